"""Exhibits that show verdicts: the answer on page 1 and the table of verdicts.

A verdict on a simulated market never stands alone: it follows "In the simulated market (...):". An
unrepresentative panel cannot decide a claim about totals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from html import escape
from typing import Any

import pandas as pd
from fewtreated.estimate import Estimate

from analysis import data, yaml
from analysis.evidence.verdicts import NOT_GRADED, NOT_TESTABLE, Grade, Level, Tier, Verdict, Word
from analysis.exhibits.blocks import Block, Label, box, note, table
from analysis.exhibits.payload import Part, of_estimates
from analysis.exhibits.style import LOOK, kind
from analysis.numbers import MARKS, NOT_ESTIMABLE, day, quantity, sentence_of, span, unmarked
from analysis.simulated import condition
from analysis.yaml import Written

PILL = (
    "padding:0 .5em;border:1px solid"
    " currentColor;border-radius:.7em;font-weight:600;white-space:nowrap"
)
OURS = "Our question"  # by whom a reading is asked that nobody claimed, in readings.csv
DASHED = PILL.replace("solid", "dashed") + ";color:#6a3d9a"  # for a simulated market


def label(word: str, *, simulated: bool = False) -> str:
    """Format a verdict as a label.

    For a simulated market the label is conditional: "would be: supported".
    """
    if simulated:
        name = "simulated"
    elif word == NOT_TESTABLE:
        name = "not-testable"
    else:
        name = word.lower().replace(" ", "-")
    if simulated:
        shown = f"would be: {word.lower()}"
    else:
        shown = word
    return Label(
        f'<span class="word {name}" style="{DASHED if simulated else PILL}">{escape(shown)}</span>'
    )


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
    if isinstance(row, Estimate):
        of_all = {"id": row.estimand, "level": row.level, "unit": row.unit, "reason": row.reason}
        row = {**of_all, **(row.rows.iloc[0] if len(row.terms) == 1 else {})}
    if row is None:
        row = {}
    confidence = ""
    grade = row.get("grade", "")
    point, low, high = (row.get(name) for name in ("estimate", "conf_low", "conf_high"))
    numbers = _in_numbers(point, low, high, row.get("unit") or "", MARKS[kind("estimate")])
    if not numbers and row.get("reason"):
        sentence = f"{NOT_ESTIMABLE.capitalize()}: {sentence_of(row['reason'])}"
        n = ""
    elif numbers and pd.isna(low):
        # grades rate intervals
        interval = ""
        grade = ""
        if row.get("reason"):
            sentence = f"No interval: {sentence_of(row['reason'])} {sentence}"
    if verdict:
        head = _claim(verdict)
        if verdict.aside:
            sentence = f"{verdict.why} {sentence}"
        word = label(verdict.word, simulated=verdict.simulated)
        means = f"{escape(verdict.apart)} {word} {escape(meaning or verdict.meaning)}".strip()
        said = [means, escape(unmarked(sentence))]
        numbers = finding(verdict)
        interval = verdict.interval
        n = ""
        if verdict.found:
            window = ""
        else:
            window = verdict.window
        if caveat and verdict.confidence:
            confidence = f"{verdict.confidence}, {caveat}"
        else:
            confidence = verdict.confidence
        grade = verdict.grade
        if verdict.estimate is None and verdict.low is None:
            numbers = interval = window = confidence = ""  # no finding to be confident in
        text = " ".join(filter(None, (verdict.statement, f"{verdict.said}.", meaning, sentence)))
    else:
        if LOOK.simulated:
            lead = condition(LOOK.market)
        else:
            lead = ""
        said = [escape(unmarked(sentence))]
        if found is None:
            measured = lead + title
        else:
            measured = ""
        head = (
            f"<strong>{escape(lead or 'What is measured:')}</strong> <em>{escape(title)}</em>"
            * bool(measured)
        )
        text = " ".join(filter(None, (title and f"{title}:", lead, numbers, sentence)))
    record = {
        "label": title,
        "window": window,
        "interval": interval,
        "provenance": kind("estimate"),
        **row,
    }
    if found is not None:
        numbers = found
        interval = ""
        window = ""
        n = ""
    lines = escape(numbers).replace("\n", "<br>")
    bold = numbers and f"<strong>{lines}</strong>" + (f" ({escape(interval)})" if interval else "")
    facts = ", ".join(filter(None, (bold, *map(escape, filter(None, (window, unmarked(n)))))))
    if confidence:
        sure = f"Confidence in this verdict: {confidence}."
    elif found:
        sure = caveat
    else:
        sure = ""
    # with the reason, if there is one
    if grade.startswith(NOT_GRADED):
        ungraded = f"The method is {grade}."
    else:
        ungraded = ""
    method = ungraded or phrases().grades[grade]
    said += [facts, escape(" ".join(filter(None, (sure, method)))), escape(LOOK.panel)]
    html = box("answer", *filter(None, (head, *said)))
    text = " ".join(filter(None, (text, LOOK.panel)))
    ours = (of_estimates("answer", title, pd.DataFrame([record])),) if len(row) else ()
    return Block(html, text, _taken([verdict]) if verdict else ours)


def _claim(verdict: Verdict) -> str:
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


def _taken(verdicts: Sequence[Verdict]) -> tuple[Part, ...]:
    """Return the verdicts' estimates as data for export."""
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


def verdict_table(verdicts: Sequence[Verdict], caption: str) -> Block:
    """Return the table of verdicts, or a note if no claim is judged.

    The columns are claim, verdict, finding, grade (if there is one) and reason. The sources are
    those of the claims judged.
    """
    if not verdicts:
        return note("The event names no claim that is to be judged here.")
    if verdicts[0].simulated:
        heading = verdicts[0].apart.rstrip(":")
    else:
        heading = "Verdict"
    columns = {
        "What was said": [f"{v.statement}{by_whom(v)}" for v in verdicts],
        heading: [label(v.word, simulated=v.simulated) for v in verdicts],
        "Found": [finding(v) for v in verdicts],
        **({"Grade": [v.grade or "–" for v in verdicts]} if any(v.grade for v in verdicts) else {}),
        "Why": [
            f"{v.why}{f' Confidence: {v.confidence}.' if v.confidence else ''}" for v in verdicts
        ],
    }
    said = table(
        pd.DataFrame(columns, dtype=object), caption, source=_said({one.claim for one in verdicts})
    )
    return replace(said, parts=_taken(verdicts))


def ledger(readings: pd.DataFrame, verdicts: Sequence[Verdict], caption: str) -> Block:
    """Return the table of claims, with the verdict on each or the report that contains it.

    The last column states what would change the verdict. `readings` come from
    :func:`analysis.evidence.claims.readings`; `verdicts` are those of this report.
    """
    words = {(verdict.claim, verdict.reading): label(verdict.word) for verdict in verdicts}
    rows = readings.fillna({"reading": ""}).to_dict("records")
    columns = {
        "Claim, as we read it": [f"{row['claimant']}: {row['statement']}" for row in rows],
        "Verdict": [
            words.get((row["claim_id"], row["reading"]), f"report {row['notebook'][:2]}")
            for row in rows
        ],
        "What would change it": [row["change"] for row in rows],
    }
    return table(
        pd.DataFrame(columns, dtype=object), caption, source=_said(set(readings["claim_id"]))
    )


def _said(claims: set[str]) -> pd.DataFrame:
    """Return the rows on the given claims, with their sources."""
    return data.load("claims").query("claim_id in @claims")


# Phrases on file


class Saying(Written):
    """Wording of an affirmative answer to one question: who did what.

    `did` is also used as the participle.
    """

    who: str
    did: str
    do: str
    what: str
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
