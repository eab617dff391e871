"""Verdicts on the page: the answer of page 1 and the table of verdicts.

And the last page: what was read, with which parameters, by which code, from which sources. What a simulated market
says is never a bare word: it follows "If the market were as simulated (...), then:". What a panel that is not
representative says of totals has no word at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import reduce
from html import escape
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import data, provenance
from analysis.estimate import Estimate
from analysis.exhibits.blocks import Block, Label, box, note, say, sentence_of, table
from analysis.exhibits.parts import Part, of_estimates
from analysis.exhibits.style import LOOK, kind
from analysis.numbers import LONG, MARKS, NOT_ESTIMABLE, quantity, span
from analysis.verdicts import NOT_TESTABLE, Verdict, condition

if TYPE_CHECKING:
    from analysis.panel import Panel

PILL = "padding:0 .5em;border:1px solid currentColor;border-radius:.7em;font-weight:600;white-space:nowrap"
DASHED = PILL.replace("solid", "dashed") + ";color:#6a3d9a"  # of a simulated market
TIER_NAMES = {
    "facts": "public facts",
    "listed": "listed firms",
    "households": "American households",
    "panel": "panel",
    "sim": "simulated",
}
HIDDEN = ("verdict_file", "verdict_folder")  # where a run keeps its papers says nothing about its results
FILES = ("panel_path", "panel_map", "event")  # nor does the folder of a file


def label(word: str, *, short: bool = True, simulated: bool = False) -> str:
    """Return a verdict word as a label; `short` leaves out "with this data", for tables."""
    name = "simulated" if simulated else "not-testable" if word == NOT_TESTABLE else word.lower().replace(" ", "-")
    shown = word.removesuffix(" with this data") if short else word
    return Label(f'<span class="word {name}" style="{DASHED if simulated else PILL}">{escape(shown)}</span>')


def finding(verdict: Verdict) -> str:
    """Return a verdict's estimate and interval with unit and mark, or a dash; beside it how many were claimed."""
    mark = MARKS[verdict.provenance]
    if verdict.low is None and verdict.claimed is not None:
        claimed = f"{quantity(verdict.claimed, verdict.unit)} {verdict.unit} {mark}"
        return (
            f"claimed {claimed}"
            if verdict.estimate is None
            else f"{quantity(verdict.estimate, verdict.unit)} of {claimed}"
        )
    return _found(verdict.estimate, verdict.low, verdict.high, verdict.unit, mark) or "–"


def _found(estimate: float | None, low: float | None, high: float | None, unit: str, mark: str) -> str:
    point = "" if pd.isna(estimate) else quantity(estimate, unit)
    bounds = "" if pd.isna(low) else span(low, high, unit)
    shown = f"{point} [{bounds}]" if point and bounds else point or bounds
    return f"{shown} {LONG.get(unit, unit)} {mark}" if shown else ""


def answer(
    sentence: str,
    *,
    as_of: str,
    verdict: Verdict | None = None,
    title: str = "",
    row: Mapping[str, Any] | Estimate | None = None,
    interval: str = "",
    window: str = "",
    n: str = "",
    tier: str = "",
    caveat: str = "",
) -> Block:
    """Return page 1's panel: the claim and its word, or where none is judged what was estimated; and the answer.

    In place of the answer stands the reason where the `row` has no number, before it that for which it has no interval.

    Parameters
    ----------
    sentence : str
        The answer.
    as_of : str
        Date of knowledge.
    verdict : Verdict, optional
        It brings its own numbers, so that those of what follows are shown only without one.
    title : str
        The estimand in words.
    row : mapping or Estimate, optional
        `estimate`, `conf_low`, `conf_high` and `unit`; where there are, `grade` and `reason`. Of an Estimate of several
        terms no number is shown.
    interval, window, n, tier : str
        Kind of interval; the time it holds for; from how many of what; tier of the data.
    caveat : str
        What a verdict's confidence does without.
    """
    if isinstance(row, Estimate):
        known = {"id": row.estimand, "level": row.level, "unit": row.unit, "reason": row.reason}
        row = {**known, **(row.rows.iloc[0] if len(row.terms) == 1 else {})}
    row = {} if row is None else row
    confidence, grade = "", row.get("grade", "")
    point, low, high = (row.get(name) for name in ("estimate", "conf_low", "conf_high"))
    found = _found(point, low, high, row.get("unit") or "", MARKS[kind("estimate")])
    if not found and row.get("reason"):
        sentence, n = f"{NOT_ESTIMABLE.capitalize()}: {sentence_of(row['reason'])}", ""
    elif found and pd.isna(low):
        interval, grade = "", ""  # a grade is of intervals
        sentence = f"No interval: {sentence_of(row['reason'])} {sentence}" if row.get("reason") else sentence
    if verdict:
        head = f"<em>{escape(verdict.name)}, {escape(verdict.claimant)}:</em> {escape(verdict.statement)}"
        lead = escape(verdict.apart)
        sentence = f"{verdict.why} {sentence}" if verdict.aside else sentence
        word = label(verdict.word, short=False, simulated=verdict.simulated)
        found, interval, window, n, tier = finding(verdict), verdict.interval, verdict.window, "", verdict.tier
        confidence = f"{verdict.confidence}, {caveat}" if caveat else verdict.confidence
        grade = verdict.grade
        if found == "–" and verdict.tier in ("panel", "sim"):
            found = interval = confidence = ""  # there is nothing to be sure of
        text = f"{verdict.name}: {verdict.said}. {sentence}"
    else:
        lead, word = escape(condition(LOOK.market)) if LOOK.simulated else "", ""
        head, text = f"<em>{escape(title)}</em>", " ".join(filter(None, (f"{title}:", lead, found, sentence)))
    bold = found and f"<strong>{escape(found)}</strong>" + (f" ({escape(interval)})" if interval else "")
    named = {"confidence": confidence, "grade": grade, "tier": TIER_NAMES[tier]}
    plain = [window, n, *(f"{name}: {value}" for name, value in named.items() if value), f"as of {as_of}"]
    facts = " · ".join(filter(None, (bold, *map(escape, plain))))
    own = {"label": title, "window": window, "interval": interval, "provenance": kind("estimate"), **row}
    lines = [" ".join(filter(None, (lead, word, facts))), escape(sentence), *filter(None, [escape(LOOK.panel)])]
    html, text = box("answer", head, *lines), " ".join(filter(None, (text, LOOK.panel)))
    return Block(html, text, _taken([verdict]) if verdict else (of_estimates("answer", title, pd.DataFrame([own])),))


def _taken(verdicts: Sequence[Verdict]) -> tuple[Part, ...]:
    """Return what was found for some readings, to be taken away; nothing where nothing was."""
    rows = [verdict.model_dump() | {"label": f"{verdict.name}: {verdict.statement}"} for verdict in verdicts]
    found = pd.DataFrame(rows).rename(columns={"low": "conf_low", "high": "conf_high"}).drop(columns="n")  # in words
    found = found.dropna(subset=["estimate", "conf_low"], how="all")
    return () if found.empty else (of_estimates("answer", "", found),)


def verdict_table(verdicts: Sequence[Verdict], caption: str) -> Block:
    """Return the table of verdicts: claim, word, finding, grade if any, and why; or a line that there are none."""
    if not verdicts:
        return note("The event names no claim that is to be judged here.")
    first = verdicts[0]
    columns = {
        "Claim": [v.name for v in verdicts],
        "What was said": [f"{v.statement} ({v.claimant})" for v in verdicts],
        first.apart.rstrip(":") if first.simulated else "Verdict": [
            label(v.word, simulated=v.simulated) for v in verdicts
        ],
        "Found": [finding(v) for v in verdicts],
        "Grade": [v.grade or "–" for v in verdicts],
        "Why": [v.why for v in verdicts],
    }
    if not any(verdict.grade for verdict in verdicts):
        del columns["Grade"]
    return replace(table(pd.DataFrame(columns, dtype=object), caption), parts=_taken(verdicts))


# The last page


def colophon(
    settings: Mapping[str, Any],
    *,
    resources: Sequence[str],
    sources: Sequence[pd.DataFrame] = (),
    panel: Panel | None = None,
) -> Block:
    """Return the provenance of a report.

    Parameters
    ----------
    settings : mapping
        Parameters as run, with `as_of`, the date of knowledge, and `stale_after_days`: a warning is printed when the
        newest file is older than this.
    resources : sequence of str
        Names of the files that were read, after datapackage.json; none where all came from a panel.
    sources : sequence of DataFrame
        Each with columns `source_publisher`, `source_url`: where the figures that are shown come from.
    panel : Panel, optional
        What was estimated from: its digest, and the rows that were left out of it by rule.
    """
    hidden = (*HIDDEN, "sim_preset") if settings.get("panel_path") else HIDDEN  # no market where a panel was brought
    shown = {name: Path(str(value)).name if name in FILES else value for name, value in settings.items()}
    run = "; ".join(f"{name} = {value}" for name, value in shown.items() if name not in hidden and value != "")
    made = "; ".join(f"{name} {version}" for name, version in provenance.versions().items())
    parts = []
    if resources:
        cards = [data.card(name) for name in resources]
        newest = max(card["vintage"] for card in cards)
        age = (date.fromisoformat(settings["as_of"]) - date.fromisoformat(newest)).days
        if age > settings["stale_after_days"]:
            old = f"The newest file is of {newest}, {age} days before this report: look for newer figures."
            parts.append(note(old, warning=True))
        columns = {
            "File": [card["path"] for card in cards],
            "What it holds, and what it is not": [f"{card['title']}. {card['notThis']}" for card in cards],
            "Vintage": [card["vintage"] for card in cards],
            "sha256": [card["hash"].removeprefix("sha256:")[:12] for card in cards],
        }
        parts.append(table(pd.DataFrame(columns), "Data read, from the project's own data folder.", provenance="real"))
    if sources:
        found = pd.concat([frame[["source_publisher", "source_url"]] for frame in sources]).drop_duplicates()
        found = found.sort_values(["source_publisher", "source_url"]).groupby("source_publisher")["source_url"]
        headers = {"source_publisher": "Publisher", "first": "Address, or the first of several", "size": "Addresses"}
        caption = "Sources of the figures shown; every figure's own address stands in its row of the data."
        frame = found.agg(["first", "size"]).reset_index().astype({"size": str})
        parts.append(table(frame, caption, columns=headers, provenance="real"))
    if panel is not None:
        rules = [f"{row['count']:,} × {row['what']}, rule: {row['rule']}" for row in panel.dropped.to_dict("records")]
        told = f"as read: {'; '.join(rules)}" if rules else "nothing was left out"
        parts.append(say(f"{panel.provenance}, digest {panel.digest[:12]}; {told}.", lead="Panel."))
    parts.append(say(f"{run}.", lead="Parameters as run."))
    parts.append(say(f"Commit {provenance.commit() or 'unknown (not a git checkout)'}; {made}.", lead="Code."))
    return reduce(add, parts)
