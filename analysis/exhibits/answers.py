"""Verdicts as labels and in words, the table of verdicts, and verdicts as data.

A verdict on a simulated market never stands alone: it follows "In the simulated market (...):". An
unrepresentative panel cannot decide a claim about totals.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import pandas as pd

from analysis import data
from analysis.evidence.claims import OURS
from analysis.evidence.verdicts import (
    CONTRADICTED,
    NOT_SHOWN,
    NOT_TESTABLE,
    SUPPORTED,
    Verdict,
    Word,
)
from analysis.exhibits.blocks import Block, Label
from analysis.exhibits.payload import Part, of_estimates
from analysis.numbers import MARKS, day, points, quantity, span

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
    margin = "our margin"
    if verdict.margin is not None:
        margin = points(verdict.margin).replace(" ", " percentage ")
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

    The interval is in brackets, or in parentheses if it consists of `bounds`. An exact number, with
    both ends equal to it, has none.
    """
    if pd.isna(estimate):
        point = ""
    else:
        point = quantity(estimate, unit)
    if pd.isna(low) or low == high == estimate:
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
