"""Blocks of a report: figure, table, sentence, answer, note. Each is one piece of plain HTML.

JupyterLab shows them as they stand; the PDF is set from the same HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import pandas as pd

from analysis.exhibits.numbers import MARKS, number, quantity, span
from analysis.exhibits.style import to_svg
from analysis.verdicts import NOT_TESTABLE, Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# JupyterLab has no style sheet of ours; the PDF takes its look from the classes and ignores these.
BOX = "padding:.6em 1em;border-left:3px solid #17375e;background:rgba(23,55,94,.08)"
PILL = "padding:0 .5em;border:1px solid currentColor;border-radius:.7em;font-weight:600;white-space:nowrap"
WRAP = "overflow-wrap:anywhere;min-width:4em"

TIER_NAMES = {"facts": "public facts", "listed": "listed firms", "panel": "panel", "sim": "simulated"}


@dataclass(frozen=True)
class Block:
    """One exhibit; the last expression of a cell shows it."""

    html: str
    text: str

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": self.text}

    def __add__(self, other: Block) -> Block:
        """Set two blocks one below the other."""
        return Block(f"{self.html}\n{other.html}", f"{self.text}\n{other.text}")


def figure(drawing: Figure, caption: str, alt: str, *, provenance: str = "real") -> Block:
    """Turn a drawing into a captioned figure.

    Parameters
    ----------
    drawing : Figure
        It is closed.
    caption : str
        What is seen, the unit and the source.
    alt : str
        What a reader who cannot see the figure should know of it.
    provenance : {"real", "estimate"}
        Kind of the numbers drawn, marked in the caption.
    """
    image = f'<img src="{to_svg(drawing)}" alt="{escape(alt)}" style="width:100%">'
    marked = f"{MARKS[provenance]} {escape(caption)}"
    return Block(f'<figure class="exhibit">{image}<figcaption>{marked}</figcaption></figure>', f"Figure: {caption}")


def table(
    frame: pd.DataFrame,
    caption: str,
    *,
    columns: Mapping[str, str] | None = None,
    decimals: Mapping[str, int] | None = None,
    signed: Sequence[str] = (),
    marks: Mapping[str, str] | None = None,
) -> Block:
    """Turn a frame into a captioned table; numbers right, text left.

    Parameters
    ----------
    frame : DataFrame
        Text cells may hold HTML only when made by :func:`label`.
    caption : str
        What a row is, the unit, and the source.
    columns : mapping of column to header, optional
        What to show, in this order; all columns under their own names where not given.
    decimals : mapping of column to int
        Digits of numeric columns; 1 where not named.
    signed : sequence of column
        Columns whose positive numbers get a plus.
    marks : mapping of column to provenance
        Provenance of a numeric column, or the name of the column that holds it row by row; real where not named.
    """
    decimals, marks = decimals or {}, marks or {}
    headers = columns or {name: str(name) for name in frame.columns}
    filled = []
    for name in headers:
        values = frame[name]
        if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            mark = marks.get(name, "real")
            by_row = [mark] * len(frame) if mark in MARKS else frame[mark]
            cells = [
                number(float(v), decimals.get(name, 1), signed=name in signed, mark=m)
                for v, m in zip(values, by_row, strict=True)
            ]
            filled.append(("right", cells))
        else:
            filled.append(("left", [v if isinstance(v, _Label) else escape(str(v)) for v in values]))
    head = "".join(
        f'<th style="text-align:{side}">{escape(header)}</th>'
        for header, (side, _) in zip(headers.values(), filled, strict=True)
    )
    body = "".join(
        "<tr>" + "".join(f'<td style="text-align:{side};{WRAP}">{cells[i]}</td>' for side, cells in filled) + "</tr>"
        for i in range(len(frame))
    )
    parts = f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    html = f'<table class="exhibit">{parts}</table>'
    return Block(html, f"Table: {caption}")


class _Label(str):
    """Text that is HTML already."""

    __slots__ = ()


def label(word: str, *, short: bool = True) -> str:
    """Return a verdict word as a label; `short` leaves out "with this data", for tables."""
    kind = "not-testable" if word == NOT_TESTABLE else word.lower().replace(" ", "-")
    shown = word.removesuffix(" with this data") if short else word
    return _Label(f'<span class="word {kind}" style="{PILL}">{escape(shown)}</span>')


def labels(verdicts: Sequence[Verdict]) -> pd.Series:
    """Return the verdicts' words as a column of labels."""
    return pd.Series([label(verdict.word) for verdict in verdicts], dtype=object)  # text columns forget the class


def say(text: str, *, lead: str = "") -> Block:
    """Return a paragraph of the report, after a `lead` in bold."""
    bold = f"<strong>{escape(lead)}</strong> " if lead else ""
    return Block(f"<p>{bold}{escape(text)}</p>", f"{lead} {text}".strip())


def note(text: str, *, warning: bool = False) -> Block:
    """Return a boxed remark."""
    kind = "warning" if warning else "note"
    return Block(f'<div class="{kind}" style="{BOX}"><p>{escape(text)}</p></div>', text)


def finding(verdict: Verdict) -> str:
    """Return a verdict's estimate and interval with unit and mark, or a dash."""
    mark = MARKS[verdict.provenance]
    if verdict.low is None and verdict.estimate is None:
        return (
            "–"
            if verdict.claimed is None
            else f"claimed {quantity(verdict.claimed, verdict.unit)} {verdict.unit} {mark}"
        )
    point = "" if verdict.estimate is None else quantity(verdict.estimate, verdict.unit) + " "
    if verdict.low is None:
        return f"{point}{verdict.unit} {mark}"
    bounds = span(verdict.low, verdict.high, verdict.unit)
    return f"{point}[{bounds}] {verdict.unit} {mark}" if point else f"{bounds} {verdict.unit} {mark}"


def answer(verdict: Verdict, *, as_of: str, sentence: str) -> Block:
    """Return page 1's panel: claim, word, interval with unit, tier, date of knowledge, and the answer in a sentence."""
    facts = [
        f"<strong>{escape(finding(verdict))}</strong>" + (f" ({escape(verdict.interval)})" if verdict.interval else ""),
        escape(verdict.window),
        f"confidence: {verdict.confidence}",
        f"tier: {TIER_NAMES[verdict.tier]}",
        f"as of {as_of}",
    ]
    html = (
        f'<div class="answer" style="{BOX}">'
        f"<p><em>{escape(verdict.name)}, {escape(verdict.claimant)}:</em> {escape(verdict.statement)}</p>"
        f"<p>{label(verdict.word, short=False)} {' · '.join(part for part in facts if part)}</p>"
        f"<p>{escape(sentence)}</p></div>"
    )
    return Block(html, f"{verdict.name}: {verdict.word}. {sentence}")


def verdict_table(verdicts: Sequence[Verdict], caption: str, *, why: bool = True) -> Block:
    """Return the table of verdicts: claim, word, finding, confidence, and why or what would change it."""
    frame = pd.DataFrame(
        {
            "Claim": [v.name for v in verdicts],
            "What was said": [f"{v.statement} ({v.claimant})" for v in verdicts],
            "Verdict": labels(verdicts),
            "Found": [finding(v) for v in verdicts],
            "Why" if why else "What would change it": [v.why if why else v.change for v in verdicts],
        }
    )
    return table(frame, caption)
