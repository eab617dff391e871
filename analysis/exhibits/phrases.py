"""The words that reports choose from by tier, grade, word and question: ``data/words.yml``."""

from __future__ import annotations

from functools import lru_cache

from pydantic import BaseModel, ConfigDict

from analysis import data, yaml
from analysis.evidence.verdicts import Grade, Level, Tier, Word


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Saying(_Entry):
    """How a sentence says of one question that it is so: who did what; `did` is the participle too."""

    who: str
    did: str
    do: str
    what: str
    denied: bool = False
    record: bool = False


class OfTier(_Entry):
    """What a tier of data is called, and what page 1 says that an answer is read from."""

    name: str
    source: str


class Phrases(_Entry):
    """The file; its comments say what each table is for."""

    tiers: dict[Tier, OfTier]
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
    """Read the file, or refuse one that is not as it was accepted."""
    data.verified("words")
    return yaml.load(data.DATA / data.card("words")["path"], Phrases)
