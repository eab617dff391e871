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


def of_claims(found: Iterable[Verdict], claims: Sequence[str]) -> list[Verdict]:
    """Return the verdicts on these claims."""
    return [verdict for verdict in found if verdict.claim in claims]


def party(claimant: str) -> str:
    """Return who spoke, without the person in brackets: "Amazon (Cindy Tai)" is Amazon."""
    return claimant.split(" (", maxsplit=1)[0]


def unjudged(verdicts: Sequence[Verdict], claims: Sequence[str]) -> list[str]:
    """Return the readings of these claims that no verdict gives its word; those of a simulated market give none.

    Readings are those of readings.csv; a claim without any stands for itself.
    """
    ledger = facts.load("readings")
    known = (ledger["claim_id"] + " " + ledger["reading"].fillna("")).str.strip()
    judged = {verdict.name for verdict in verdicts if not verdict.simulated}
    names = [name for claim in claims for name in known[ledger["claim_id"] == claim].tolist() or [claim]]
    return [name for name in names if name not in judged]


def elsewhere(found: Iterable[Verdict]) -> dict[str, list[Verdict]]:
    """Return the verdicts that public figures gave a reading to which a panel gave its word, by its name."""
    found = list(found)
    on_panel = {verdict.name for verdict in best(found) if verdict.tier == "panel"}
    public = [verdict for verdict in found if verdict.tier in ("facts", "listed")]
    return {name: [verdict for verdict in public if verdict.name == name] for name in sorted(on_panel)}


def tally(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """Count the verdicts by word, in the order of `WORDS`; those of a simulated market do not count."""
    words = [verdict.word for verdict in verdicts if not verdict.simulated]
    return {word: words.count(word) for word in WORDS}
