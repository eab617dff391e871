"""The one-page brief: it reads verdicts and arranges them, and computes no estimate.

A word comes from the best of facts, listed firms and panels. What a simulated market says stands in a column of its
own and counts nowhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

import pandas as pd

from analysis import provenance
from analysis.exhibits.blocks import BOX, Block, Label, say, table
from analysis.exhibits.judged import TIER_NAMES, finding, label
from analysis.numbers import quantity
from analysis.verdicts import Verdict, best, condition, elsewhere, party, simulated, tally, unjudged

if TYPE_CHECKING:
    from analysis.events import Event


def brief(verdicts: Sequence[Verdict], event: Event) -> Block:
    """Return the panel that sums up a run: what it is about, and how many readings got which word."""
    spoken, told = best(verdicts), simulated(verdicts)
    claims = len({verdict.claim for verdict in spoken})
    lead = f"Of {len(spoken)} readings of {claims} claims: {_words(spoken)}." if spoken else "No claim gets a word."
    as_of = f" As of {escape(verdicts[0].as_of)}." if verdicts else ""
    lines = [f"<em>{escape(event.title)}.</em> <strong>{lead}</strong>{as_of}"]
    if spoken:
        lines.append(f"By who said it: {_by_party(spoken)}.")
    if spoken and (absent := unjudged(verdicts, event.claims)):
        lines.append(f"<strong>Not judged in this run:</strong> {', '.join(absent)}.")
    rules = []
    if spoken:
        rules.append(
            "Each word follows from a rule that was fixed in advance. <em>Not shown</em> never means that there was no "
            "effect."
        )
    if told:
        market = escape(next(iter(told.values())).market)
        rules.append(f"Tried on a simulated market too ({market}), which decides nothing: {len(told)} of them.")
    lines += [" ".join(rules)] if rules else []
    panel = "".join(f"<p>{line}</p>" for line in lines)
    return Block(f'<div class="answer" style="{BOX}">{panel}</div>', lead)


def _by_party(verdicts: Sequence[Verdict]) -> str:
    said: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        said.setdefault(party(verdict.claimant), []).append(verdict)
    told = []
    for who, mine in said.items():
        claims, words = ", ".join(dict.fromkeys(one.claim for one in mine)), _words(mine)
        told.append(f"{escape(who)} ({claims}) {words.replace(' with this data', '')}")
    return "; ".join(told)


def _words(verdicts: Sequence[Verdict]) -> str:
    return ", ".join(f"{count} {word.lower()}" for word, count in tally(verdicts).items() if count)


def brief_table(verdicts: Sequence[Verdict]) -> Block:
    """Return the table of all readings, in the order of the claims: the word, the finding, what would change it.

    The word is that of the best data (:func:`analysis.verdicts.best`); where that is a panel, what public figures said
    stands in brackets. Where a simulated market was tried too, its word and finding stand in the last column. An event
    whose claims no report judges has no table.
    """
    if not verdicts:
        return say("No report of this run judges a claim: the event names none that these data could bear on.")
    words, told = {verdict.name: verdict for verdict in best(verdicts)}, simulated(verdicts)
    public = elsewhere(verdicts)
    readings = sorted({v.name: v for v in verdicts}.values(), key=lambda v: (v.claim, v.reading))
    shown = [words.get(verdict.name, verdict) for verdict in readings]
    columns = {
        "Claim (report)": [f"{v.name} ({v.notebook[:2]}{', panel' if v.name in public else ''})" for v in shown],
        "What was said, in this reading": [v.statement for v in shown],
        "Verdict and finding": _cells([words.get(v.name) for v in shown], public),
        "What would change it": [v.change for v in shown],
    }
    if not words:
        del columns["Verdict and finding"]
    if told:
        head = condition(next(iter(told.values())).market).rstrip(":")
        columns[head] = _cells([told.get(v.name) for v in shown])
    return table(
        pd.DataFrame(columns), _caption(shown, words.values()), provenance="simulated" if not words else "real"
    )


def _caption(shown: Sequence[Verdict], spoken: Iterable[Verdict]) -> str:
    found = {verdict.tier for verdict in spoken}
    tiers = ", ".join(name for tier, name in TIER_NAMES.items() if tier in found) or "a simulated market"
    return (
        f"Readings of the claims and their words, from {tiers}, as of {shown[0].as_of}. "
        "Real figures ●, estimates and sets ◐, simulated ○. Not testable: with this data."
    )


def _cells(verdicts: Sequence[Verdict | None], public: Mapping[str, Sequence[Verdict]] | None = None) -> pd.Series:
    """Return word, finding, margin and grade of each verdict, or a dash; as objects, since text forgets the class.

    In brackets stands what public figures said, by name of the reading.
    """
    before = public or {}
    return pd.Series([_cell(one, before.get(one.name, ())) if one else "–" for one in verdicts], dtype=object)


def _cell(verdict: Verdict, public: Sequence[Verdict]) -> str:
    beside = "; ".join(part for part in (*_found(verdict), verdict.grade and f"grade: {verdict.grade}") if part)
    before = [f"{TIER_NAMES[one.tier]}: {'; '.join([one.word.lower(), *_found(one)])}" for one in public]
    said = f" ({escape('. '.join(before))})" if before else ""
    return Label(f"{label(verdict.word, simulated=verdict.simulated)} {escape(beside)}".rstrip() + said)


def _found(verdict: Verdict) -> list[str]:
    margin = f"margin {quantity(verdict.margin, verdict.unit).lstrip('+')}" if verdict.margin is not None else ""
    found = finding(verdict).replace("percentage points", "pp")
    return [part for part in (found, margin) if part and part != "–"]


def brief_provenance(verdicts: Sequence[Verdict]) -> Block:
    """Return one line: commit, a digest of all that the verdicts' reports read, and where the rest stands."""
    digest = hashlib.sha256("".join(sorted({verdict.inputs for verdict in verdicts})).encode()).hexdigest()
    commit = provenance.commit() or "unknown (not a git checkout)"
    return say(
        f"Commit {commit[:12]}; digest of the data {digest[:12]}; all else stands at the end of each report.",
        lead="Provenance.",
    )
