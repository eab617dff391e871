"""Verdicts and findings on the page: the words as labels, the answer of page 1, the table of verdicts.

What a simulated market says is never a bare word: it follows "If the market were as simulated (...), then:".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import pandas as pd

from analysis.errors import DesignError
from analysis.exhibits.blocks import BOX, Block, Label, table
from analysis.exhibits.style import kind, look
from analysis.numbers import MARKS, quantity, span
from analysis.verdicts import NOT_TESTABLE, Verdict, condition

PILL = "padding:0 .5em;border:1px solid currentColor;border-radius:.7em;font-weight:600;white-space:nowrap"
DASHED = PILL.replace("solid", "dashed") + ";color:#6a3d9a"  # of a simulated market
LONG = {"per cent of L": "per cent of the lost sales"}  # L is defined after page 1
TIER_NAMES = {"facts": "public facts", "listed": "listed firms", "panel": "panel", "sim": "simulated"}


def label(word: str, *, short: bool = True, simulated: bool = False) -> str:
    """Return a verdict word as a label; `short` leaves out "with this data", for tables."""
    name = "not-testable" if word == NOT_TESTABLE else word.lower().replace(" ", "-")
    shown = word.removesuffix(" with this data") if short else word
    if simulated:
        return Label(f'<span class="word simulated" style="{DASHED}">{escape(shown)}</span>')
    return Label(f'<span class="word {name}" style="{PILL}">{escape(shown)}</span>')


def labels(verdicts: Sequence[Verdict]) -> pd.Series:
    """Return the verdicts' words as a column of labels."""
    found = [label(verdict.word, simulated=verdict.simulated) for verdict in verdicts]
    return pd.Series(found, dtype=object)  # text columns forget the class


def finding(verdict: Verdict) -> str:
    """Return a verdict's estimate and interval with unit and mark, or a dash."""
    mark = MARKS[verdict.provenance]
    if verdict.low is None and verdict.estimate is None and verdict.claimed is not None:
        return f"claimed {quantity(verdict.claimed, verdict.unit)} {verdict.unit} {mark}"
    return _found(verdict.estimate, verdict.low, verdict.high, verdict.unit, mark)


def _found(estimate: float | None, low: float | None, high: float | None, unit: str, mark: str) -> str:
    if low is None and estimate is None:
        return "–"
    point = "" if estimate is None else quantity(estimate, unit)
    bounds = "" if low is None else span(low, high, unit)
    shown = f"{point} [{bounds}]" if point and bounds else point or bounds
    return f"{shown} {LONG.get(unit, unit)} {mark}"


def answer(verdict: Verdict, *, as_of: str, sentence: str) -> Block:
    """Return page 1's panel: claim, word, interval with unit, tier, date of knowledge, and the answer in a sentence.

    Raises
    ------
    DesignError
        If the verdict is simulated and the look is not, or the other way about.
    """
    _refuse_other_look([verdict])
    bold = f"<strong>{escape(finding(verdict))}</strong>"
    found = bold + (f" ({escape(verdict.interval)})" if verdict.interval else "")
    facts = _facts(found, verdict.window, "", verdict.confidence, verdict.grade, verdict.tier, as_of)
    lead = f"{escape(condition(verdict.market))} " if verdict.simulated else ""
    html = (
        f'<div class="answer" style="{BOX}">'
        f"<p><em>{escape(verdict.name)}, {escape(verdict.claimant)}:</em> {escape(verdict.statement)}</p>"
        f"<p>{lead}{label(verdict.word, short=False, simulated=verdict.simulated)} {facts}</p>"
        f"<p>{escape(sentence)}</p></div>"
    )
    return Block(html, f"{verdict.name}: {verdict.said}. {sentence}")


def finding_box(
    title: str,
    sentence: str,
    *,
    tier: str,
    as_of: str,
    unit: str = "",
    estimate: float | None = None,
    low: float | None = None,
    high: float | None = None,
    interval: str = "",
    window: str = "",
    n: str = "",
    grade: str = "",
    provenance: str = "estimate",
) -> Block:
    """Return page 1's panel where no claim is judged: what was estimated, how large it is, and a sentence.

    Parameters
    ----------
    title : str
        The estimand in words.
    sentence : str
        The answer.
    tier, as_of : str
        Tier of the data and date of knowledge.
    estimate, low, high : float, optional
        Point and interval in `unit`; a finding without a number is its sentence alone.
    interval, window, n, grade : str, optional
        Kind of interval; the time it holds for; from how many of what; the design audit's grade.
    provenance : {"estimate", "real"}
        Kind of the numbers; in a simulated look they are simulated, and the box says of which market.
    """
    shown = kind(provenance)
    number = "" if estimate is None and low is None else _found(estimate, low, high, unit, MARKS[shown])
    found = number and f"<strong>{escape(number)}</strong>" + (f" ({escape(interval)})" if interval else "")
    lead = condition(look().market) if shown == "simulated" else ""
    html = (
        f'<div class="answer" style="{BOX}"><p><em>{escape(title)}</em></p>'
        f"<p>{escape(lead)} {_facts(found, window, n, '', grade, tier, as_of)}</p><p>{escape(sentence)}</p></div>"
    )
    return Block(html, " ".join(part for part in (f"{title}:", lead, number, sentence) if part))


def verdict_table(verdicts: Sequence[Verdict], caption: str) -> Block:
    """Return the table of verdicts: claim, word, finding, grade if any, and why.

    Raises
    ------
    DesignError
        As in :func:`answer`.
    """
    _refuse_other_look(verdicts)
    head = condition(verdicts[0].market).rstrip(":") if look().simulated and verdicts else "Verdict"
    columns = {
        "Claim": [v.name for v in verdicts],
        "What was said": [f"{v.statement} ({v.claimant})" for v in verdicts],
        head: labels(verdicts),
        "Found": [finding(v) for v in verdicts],
        "Grade": [v.grade or "–" for v in verdicts],
        "Why": [v.why for v in verdicts],
    }
    if not any(verdict.grade for verdict in verdicts):
        del columns["Grade"]
    return table(pd.DataFrame(columns), caption)


def _facts(found: str, window: str, n: str, confidence: str, grade: str, tier: str, as_of: str) -> str:
    """Join what stands beside a finding; `found` is HTML already, what is empty is left out."""
    named = {"confidence": confidence, "grade": grade, "tier": TIER_NAMES[tier]}
    plain = [window, n, *(f"{name}: {value}" for name, value in named.items() if value), f"as of {as_of}"]
    return " · ".join(part for part in (found, *map(escape, plain)) if part)


def _refuse_other_look(verdicts: Iterable[Verdict]) -> None:
    for verdict in verdicts:
        if verdict.simulated != look().simulated:
            raise DesignError(
                f"the verdict on {verdict.name} was to be shown; it is {verdict.provenance} and the look is "
                f"{look().provenance!r}; call exhibits.use({'simulated' if verdict.simulated else 'real'!r}) first"
            )
