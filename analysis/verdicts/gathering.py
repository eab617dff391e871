"""Verdicts of a whole run: which one speaks for a claim, how many gave which word, what nobody judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from analysis import facts
from analysis.verdicts.record import TIERS, Verdict
from analysis.verdicts.rules import NOT_TESTABLE, WORDS


def _foremost(found: Iterable[Verdict]) -> list[Verdict]:
    chosen: dict[tuple[str, str], Verdict] = {}
    for verdict in sorted(found, key=_rank):
        chosen.setdefault((verdict.claim, verdict.reading), verdict)
    return [chosen[key] for key in sorted(chosen)]


def _rank(verdict: Verdict) -> tuple[bool, int, str]:
    return verdict.word == NOT_TESTABLE, -TIERS.index(verdict.tier), verdict.notebook


def best(found: Iterable[Verdict]) -> list[Verdict]:
    """Return the verdict that gives each reading its word, in the order of the claims.

    A panel goes before listed firms, and these before public facts; but "not testable" with one kind of data never
    displaces what another could test. Among equals the first notebook speaks. Simulated verdicts give no word.
    """
    return _foremost(verdict for verdict in found if not verdict.simulated)


def simulated(found: Iterable[Verdict]) -> dict[str, Verdict]:
    """Return what a simulated market says, by name of the reading; chosen among several as in :func:`best`."""
    return {verdict.name: verdict for verdict in _foremost(verdict for verdict in found if verdict.simulated)}


def party(claimant: str) -> str:
    """Return who spoke, without the person in brackets: "Amazon (Cindy Tai)" is Amazon."""
    return claimant.split(" (", maxsplit=1)[0]


def unjudged(verdicts: Sequence[Verdict]) -> list[str]:
    """Return the readings of readings.csv that no verdict gives its word; those of a simulated market give none."""
    ledger = facts.load("readings")
    known = (ledger["claim_id"] + " " + ledger["reading"].fillna("")).str.strip()
    judged = {verdict.name for verdict in verdicts if not verdict.simulated}
    return [name for name in known if name not in judged]


def tally(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """Count the verdicts by word, in the order of `WORDS`; those of a simulated market do not count."""
    words = [verdict.word for verdict in verdicts if not verdict.simulated]
    return {word: words.count(word) for word in WORDS}
