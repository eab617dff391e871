"""Exhibits that show verdicts: the answer on page 1 and the table of verdicts.

A verdict on a simulated market never stands alone: it follows "In the simulated market (...):". An
unrepresentative panel cannot decide a claim about totals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any, cast

import pandas as pd
from fewtreated.errors import NOT_ESTIMABLE

from analysis import data
from analysis.estimate import Estimate
from analysis.evidence.claims import OURS
from analysis.evidence.verdicts import (
    CONTRADICTED,
    NOT_GRADED,
    NOT_SHOWN,
    NOT_TESTABLE,
    SUPPORTED,
    Grade,
    Verdict,
    Word,
)
from analysis.exhibits.blocks import Block, Label, box
from analysis.exhibits.payload import Part, of_estimates
from analysis.exhibits.style import LOOK, kind_of_numbers
from analysis.numbers import MARKS, day, points, quantity, sentence_of, span, unmarked
from analysis.simulated import condition

if TYPE_CHECKING:
    from analysis.event import Event

PILL = (
    "padding:0 .5em;border:1px {line};border-radius:{round};color:{text};background:{ground};"
    "font-weight:600;white-space:nowrap"
)
LOOKS: dict[Word | None, dict[str, str]] = {  # as in print and on the page of a release
    SUPPORTED: {"line": "solid #0068a3", "round": ".7em", "text": "#ffffff", "ground": "#0068a3"},
    CONTRADICTED: {"line": "solid #b84a00", "round": "0", "text": "#ffffff", "ground": "#b84a00"},
    NOT_SHOWN: {"line": "solid #5a6672", "round": ".7em", "text": "#3d4852", "ground": "#ffffff"},
    NOT_TESTABLE: {"line": "dotted #5a6672", "round": "0", "text": "#3d4852", "ground": "#f6f7f9"},
    None: {"line": "dashed #6a3d9a", "round": "0", "text": "#6a3d9a", "ground": "#ffffff"},
}
"""Looks of the words of verdicts, and of any word on a simulated market."""
GRADED: dict[Grade, str] = {  # as stated on page 1 of a report
    "": "",
    "usable": "In tests on simulated markets the method was reliable.",
    "usable with bounds": (
        "In tests on simulated markets the method's range contained the true value; its midpoint"
        " was off."
    ),
    "do not use": "In tests on simulated markets the method failed.",
}
LITTLE_MORE = 1.5  # times as many characters as our reading of a claim has


def label(word: Word, *, simulated: bool = False) -> str:
    """Format a verdict as a label.

    For a simulated market the label is conditional: "would be: supported".
    """
    if simulated:
        name = "simulated"
        shown = f"would be: {word.lower()}"
        look = LOOKS[None]
    else:
        name = word.lower().replace(" ", "-")
        shown = word
        look = LOOKS[word]
    return Label(f'<span class="word {name}" style="{PILL.format(**look)}">{escape(shown)}</span>')


def answer_of(verdict: Verdict, event: Event) -> str:
    """Return the event's sentence for a verdict, or else its statement and word.

    What a panel or a simulated market says is called so.
    """
    margin = "our margin" if verdict.margin is None else points(verdict.margin)
    said = event.sentence(verdict.name, verdict.word).replace("{margin}", margin)
    if not said:
        said = f"{verdict.statement.partition('. ')[0].rstrip('.')}: {verdict.word.lower()}."
    lead = verdict.apart
    if not lead and verdict.tier == "panel":
        lead = "This panel:"
    return f"{lead} {said}".strip()


def finding(verdict: Verdict) -> str:
    """Format a verdict's finding.

    It is the verdict's own words if it has any, else its estimate and interval, with unit and mark.

    The number claimed is shown if there is no interval, and a dash if there are no numbers.
    """
    mark = MARKS[verdict.provenance]
    if verdict.found:
        return f"{verdict.found} {mark}"
    if verdict.low is None and verdict.claimed is not None:
        if verdict.estimate is None:
            before = "claimed"
        else:
            before = f"{quantity(verdict.estimate, verdict.unit)} of"
        return f"{before} {quantity(verdict.claimed, verdict.unit)} {verdict.unit} {mark}"
    numbers = verdict.estimate, verdict.low, verdict.high, verdict.unit, mark
    return _in_numbers(*numbers, bounds="bounds" in verdict.interval) or "–"


def _in_numbers(
    estimate: float | None,
    low: float | None,
    high: float | None,
    unit: str,
    mark: str,
    *,
    bounds: bool = False,
) -> str:
    """Format a point estimate and its interval.

    The interval is in brackets, or in parentheses if it consists of `bounds`.
    """
    if pd.isna(estimate):
        point = ""
    else:
        point = quantity(estimate, unit)
    if pd.isna(low):
        ends = ""
    else:
        ends = span(low, high, unit)
    text = (
        (f"{point} (bounds: {ends})" if bounds else f"{point} [{ends}]")
        if point and ends
        else point or ends
    )
    if text:
        return f"{text} {unit} {mark}"
    return ""


def answer(
    sentence: str,
    *,
    verdict: Verdict | None = None,
    title: str = "",
    row: Mapping[str, Any] | Estimate | None = None,
    interval: str = "",
    window: str = "",
    n: str = "",
    caveat: str = "",
    meaning: str = "",
    found: str | None = None,
) -> Block:
    """Return the answer box for page 1.

    The box contains a claim and its verdict, or the estimand if no claim is judged, and the answer.
    If the `row` has no number, its reason replaces the answer; if it has no interval, the reason
    precedes the answer.

    Parameters
    ----------
    sentence : str
        The answer.
    verdict : Verdict, optional
        Verdict, whose numbers replace those of `row`.
    title : str
        Description of the estimand, if it is to be printed.
    row : mapping or Estimate, optional
        `estimate`, `conf_low`, `conf_high` and `unit`; optionally `grade` and `reason`. No number
        is shown for an Estimate with several terms.
    interval, window, n : str
        Kind of interval; period; description of the sample size.
    caveat : str
        Limitation to state with the confidence in the verdict, or below what is `found`.
    meaning : str
        What the verdict's word means here, if not what it always does.
    found : str, optional
        What to print in place of the title, the numbers, their period and the sample size.
    """
    values = _row_values(row)
    lead = ""
    if LOOK.simulated and not verdict:
        lead = condition(LOOK.market)
    shown = _estimated(_Shown(sentence, interval=interval, window=window, n=n), values)
    if verdict:
        if verdict.aside:
            shown = replace(shown, sentence=f"{verdict.why} {shown.sentence}")
        head = claim_and_reading(verdict)
        word = label(verdict.word, simulated=verdict.simulated)
        means = f"{escape(verdict.apart)} {word} {escape(meaning or verdict.meaning)}".strip()
        lines = [means, escape(unmarked(shown.sentence))]
        text = [verdict.statement, f"{verdict.said}.", meaning, shown.sentence]
        parts = of_judged([verdict])
        shown = _judged(shown, verdict, caveat)
    else:
        head = ""
        if found is None and lead + title:
            asked = escape(lead or "What is measured:")
            head = f"<strong>{asked}</strong> <em>{escape(title)}</em>"
        lines = [escape(unmarked(shown.sentence))]
        text = [title and f"{title}:", lead, shown.numbers, shown.sentence]
        parts = _taken_row(values, title, window, shown.interval)
    if found is not None:
        shown = replace(shown, numbers=found, interval="", window="", n="")
        if found and not shown.sure:
            shown = replace(shown, sure=caveat)
    lines += [_facts(shown), escape(" ".join(filter(None, (shown.sure, _method(shown.grade)))))]
    html = box("answer", *filter(None, (head, *lines, escape(LOOK.panel))))
    return Block(html, " ".join(filter(None, (*text, LOOK.panel))), parts)


@dataclass(frozen=True)
class _Shown:
    """The sentence of an answer, and the numbers behind it with what is said of them."""

    sentence: str
    numbers: str = ""
    interval: str = ""
    window: str = ""
    n: str = ""
    grade: str = ""
    sure: str = ""


def _row_values(row: Mapping[str, Any] | Estimate | None) -> Mapping[str, Any]:
    """Return the values of an estimate by name, without numbers if it has several terms."""
    if row is None:
        return {}
    if not isinstance(row, Estimate):
        return {**row}
    of_all = {"id": row.estimand, "level": row.level, "unit": row.unit, "reason": row.reason}
    if len(row.terms) == 1:
        return {**of_all, **row.rows.iloc[0]}
    return of_all


def _estimated(shown: _Shown, values: Mapping[str, Any]) -> _Shown:
    """Add the numbers of an estimate, or the reason for which it has none or no interval."""
    point, low, high = (values.get(name) for name in ("estimate", "conf_low", "conf_high"))
    unit = values.get("unit") or ""
    numbers = _in_numbers(point, low, high, unit, MARKS[kind_of_numbers("estimate")])
    reason = values.get("reason")
    if not numbers and reason:
        refused = f"{NOT_ESTIMABLE.capitalize()}: {sentence_of(reason)}"
        return replace(shown, sentence=refused, n="", grade=values.get("grade", ""))
    if not numbers or not pd.isna(low):
        return replace(shown, numbers=numbers, grade=values.get("grade", ""))
    sentence = shown.sentence
    if reason:
        sentence = f"No interval: {sentence_of(reason)} {sentence}"
    return replace(shown, sentence=sentence, numbers=numbers, interval="")  # grades rate intervals


def _judged(shown: _Shown, verdict: Verdict, caveat: str) -> _Shown:
    """Replace the numbers of an answer by those of a verdict, with the confidence in it."""
    if verdict.estimate is None and verdict.low is None:  # no finding to be confident in
        return replace(shown, numbers="", interval="", window="", n="", grade=verdict.grade)
    sure = ""
    if verdict.confidence:
        known = ", ".join(filter(None, (verdict.confidence, caveat)))
        sure = f"Confidence in this verdict: {known}."
    return replace(
        shown,
        numbers=finding(verdict),
        interval=verdict.interval,
        window="" if verdict.found else verdict.window,
        n="",
        grade=verdict.grade,
        sure=sure,
    )


def _facts(shown: _Shown) -> str:
    """Return the line of an answer with its numbers, their period and their sample size."""
    bold = ""
    if shown.numbers:
        lines = escape(shown.numbers).replace("\n", "<br>")
        bold = f"<strong>{lines}</strong>"
        if shown.interval:
            bold += f" ({escape(shown.interval)})"
    rest = map(escape, (shown.window, unmarked(shown.n)))
    return ", ".join(filter(None, (bold, *rest)))


def _method(grade: str) -> str:
    """Say how good the method of an answer is, with the reason if it is not graded."""
    if grade.startswith(NOT_GRADED):
        return f"The method is {grade}."
    return GRADED[cast(Grade, grade)]


def claim_and_reading(verdict: Verdict) -> str:
    """Format a claim, in its author's words where claims.csv quotes it, with what is judged."""
    statement = f"<em>{escape(verdict.statement)}</em>"
    if verdict.simulated:
        return f"<strong>The claim on trial:</strong> {statement}"
    said = data.load("claims").set_index("claim_id").reindex([verdict.claim]).iloc[0]
    if verdict.party == OURS:
        return f"<strong>{escape(verdict.claimant)}.</strong> We test: {statement}"
    who = f"The claim, by {escape(verdict.claimant)}"
    if pd.isna(said["claim"]):
        return f"<strong>{who}, in our words:</strong> {statement}"
    ours, so = ("", "We read it as") if "“" in said["claim"] else (", in our words", "We test")
    return (
        f"<strong>{who}, {day(said['date'])}{ours}:</strong> {escape(said['claim'])} {so}:"
        f" {statement}"
    )


def believe(verdict: Verdict, choices: pd.DataFrame) -> Block:
    """Hand on what a page of the release computes at values that its reader chooses.

    Nothing is shown; `choices` are those of :func:`analysis.evidence.totals.choices`.
    """
    said = (
        f"The claim: {verdict.statement} It is one reading of what {verdict.party} said. On all"
        f" that is public, our verdict is {verdict.word}."
    )
    return Block("", "", (Part("believe", said, choices),))


def of_judged(verdicts: Sequence[Verdict]) -> tuple[Part, ...]:
    """Return the verdicts' estimates as data for export."""
    if not verdicts:
        return ()
    rows = [
        verdict.model_dump() | {"label": f"{verdict.name}: {verdict.statement}"}
        for verdict in verdicts
    ]
    frame = (
        pd.DataFrame(rows)
        .rename(columns={"low": "conf_low", "high": "conf_high"})
        .drop(columns="n")
    )  # in words
    frame = frame.dropna(subset=["estimate", "conf_low"], how="all")
    if frame.empty:
        return ()
    return (of_estimates("answer", "", frame),)


def _taken_row(
    values: Mapping[str, Any], title: str, window: str, interval: str
) -> tuple[Part, ...]:
    """Return an estimate as data for export, if there is one."""
    if not values:
        return ()
    shown = {"label": title, "window": window, "interval": interval}
    record = {**shown, "provenance": kind_of_numbers("estimate"), **values}
    return (of_estimates("answer", title, pd.DataFrame([record])),)


def by_whom(verdict: Verdict) -> str:
    """Return who made a claim, in brackets, and whether we only read it so.

    The result is empty if the market is simulated.
    """
    if verdict.reading and verdict.party != OURS:
        read = ", as we read it"
    else:
        read = ""
    # what is simulated is no finding about them
    if verdict.simulated:
        return ""
    return f" ({verdict.party}{read})"


def scorecard(said: pd.DataFrame) -> pd.DataFrame:
    """Return the text of the table of who said what, and whether it holds.

    `said` is from :func:`analysis.evidence.claims.scored`. The speaker and the date are written
    once, as are words that two readings share. How we read a claim is left out where its words are
    quoted and say little more.

    Returns
    -------
    DataFrame
        `who`, `said`, `verdict`, with the reason, and `change`.
    """
    who = said["speaker"] + ", " + said["date"].map(day)
    quoted = said["quoted"].where(said["quoted"] != said["quoted"].shift(), "")
    is_quoted = quoted != ""
    enough = is_quoted & (quoted.str.len() < LITTLE_MORE * said["reads"].str.len())
    between = (is_quoted & ~enough).map({True: " We read: ", False: ""})
    left_out = said["omits"].where(said["omits"] == "", " Left out: " + said["omits"] + ".")
    pairs = zip(said["word"], said["why"], strict=True)
    columns = {
        "who": who.where(who != who.shift(), ""),
        "said": quoted + between + said["reads"].mask(enough, "") + left_out,
        "verdict": [Label(f"{label(word)} {escape(why)}") for word, why in pairs],
        "change": said["change"].str.partition(". ")[0].str.rstrip(".") + ".",
    }
    return pd.DataFrame(columns, dtype=object)


def said_in(said: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the claims of a scorecard, with their sources.

    `said` is from :func:`analysis.evidence.claims.scored`.
    """
    register = data.load("claims")
    return register[register["claim_id"].isin(said["name"].str.partition(" ")[0])]
