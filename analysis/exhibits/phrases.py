"""Phrases in ``data/words.yml``, chosen by tier, grade, verdict and question."""

from __future__ import annotations

from functools import lru_cache

from analysis import data, yaml
from analysis.evidence.verdicts import Grade, Level, Tier, Word
from analysis.yaml import Written


class Saying(Written):
    """Wording of an affirmative answer to one question: who did what.

    `did` is also used as the participle; `within` limits the answer.
    """

    who: str
    did: str
    do: str
    what: str
    within: str = ""
    denied: bool = False
    record: bool = False


class Phrases(Written):
    """Content of ``data/words.yml``, whose comments explain each table."""

    tiers: dict[Tier, str]
    grades: dict[Grade, str]
    rule: str
    sayings: dict[str, Saying]
    so: str
    forms: dict[Word, dict[Level, str]]
    begins: dict[Word, str]
    on_record: dict[Word, str]
    topics: dict[str, tuple[str, ...]]
    headline: tuple[str, ...]
    rows: tuple[str, ...]


@lru_cache(maxsize=1)
def phrases() -> Phrases:
    """Read the phrases from ``data/words.yml``.

    Raises DataError if the file has changed since it was accepted.
    """
    data.verified("words")
    return yaml.load(data.DATA / data.card("words")["path"], Phrases)
