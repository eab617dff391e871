"""Blocks of a report: figure, table, sentence, note. Each is one piece of plain HTML.

JupyterLab shows them as they stand; the PDF is set from the same HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import pandas as pd

from analysis.errors import DesignError
from analysis.exhibits.style import kind, look, refuse_money, to_svg
from analysis.numbers import MARKS, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# JupyterLab has no style sheet of ours; the PDF takes its look from the classes and ignores these.
BOX = "padding:.6em 1em;border-left:3px solid #17375e;background:rgba(23,55,94,.08)"
WRAP = "overflow-wrap:anywhere;min-width:4em"


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


def titled(caption: str, provenance: str) -> str:
    """Return a caption, with "Simulated –" before it where its numbers are."""
    return f"Simulated – {caption}" if provenance == "simulated" else caption


def figure(drawing: Figure, caption: str, alt: str, *, provenance: str = "") -> Block:
    """Turn a drawing into a captioned figure.

    Parameters
    ----------
    drawing : Figure
        It is closed.
    caption : str
        What is seen, the unit and the source.
    alt : str
        What a reader who cannot see the figure should know of it.
    provenance : {"", "real", "estimate"}
        Kind of the numbers drawn, marked in the caption; that of the look where not named.

    Raises
    ------
    DesignError
        If real numbers are drawn in a simulated look, or simulated ones in a real one, and as in `to_svg`.
    """
    drawn = kind(provenance)
    if (drawn == "simulated") != look().simulated:
        raise DesignError(
            f"a figure of {drawn} numbers was asked for; the look is {look().provenance!r}; call "
            f"exhibits.use({drawn!r}) before it is drawn"
        )
    image = f'<img src="{to_svg(drawing)}" alt="{escape(titled(alt, drawn))}" style="width:100%">'
    caption = titled(caption, drawn)
    marked = f"{MARKS[drawn]} {escape(caption)}"
    return Block(f'<figure class="exhibit">{image}<figcaption>{marked}</figcaption></figure>', f"Figure: {caption}")


def table(
    frame: pd.DataFrame,
    caption: str,
    *,
    columns: Mapping[str, str] | None = None,
    decimals: Mapping[str, int] | None = None,
    signed: Sequence[str] = (),
    marks: Mapping[str, str] | None = None,
    provenance: str = "",
) -> Block:
    """Turn a frame into a captioned table; numbers right, text left.

    Parameters
    ----------
    frame : DataFrame
        Text cells may hold HTML only as :class:`Label`.
    caption : str
        What a row is, the unit, and the source.
    columns : mapping of column to header, optional
        What to show, in this order; all columns under their own names where not given.
    decimals : mapping of column to int
        Digits of numeric columns; 1 where not named.
    signed : sequence of column
        Columns whose positive numbers get a plus.
    marks : mapping of column to provenance
        Provenance of a numeric column, or the name of the column that holds it row by row.
    provenance : {"", "real", "estimate", "simulated"}
        Of the table and of numeric columns without a mark; that of the look where not named.
    """
    decimals, marks, own = decimals or {}, marks or {}, kind(provenance)
    headers = columns or {name: str(name) for name in frame.columns}
    if own == "simulated":
        refuse_money(*headers.values())
    filled = []
    for name in headers:
        values = frame[name]
        if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            mark = marks.get(name, own)
            by_row = [mark] * len(frame) if mark in MARKS else frame[mark]
            cells = [
                number(float(v), decimals.get(name, 1), signed=name in signed, mark=kind(m))
                for v, m in zip(values, by_row, strict=True)
            ]
            filled.append(("right", cells))
        else:
            filled.append(("left", [v if isinstance(v, Label) else escape(str(v)) for v in values]))
    head = "".join(
        f'<th style="text-align:{side}">{escape(header)}</th>'
        for header, (side, _) in zip(headers.values(), filled, strict=True)
    )
    body = "".join(
        "<tr>" + "".join(f'<td style="text-align:{side};{WRAP}">{cells[i]}</td>' for side, cells in filled) + "</tr>"
        for i in range(len(frame))
    )
    caption = titled(caption, own)
    parts = f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    html = f'<table class="exhibit">{parts}</table>'
    return Block(html, f"Table: {caption}")


class Label(str):
    """Text that is HTML already."""

    __slots__ = ()


def say(text: str, *, lead: str = "") -> Block:
    """Return a paragraph of the report, after a `lead` in bold."""
    bold = f"<strong>{escape(lead)}</strong> " if lead else ""
    return Block(f"<p>{bold}{escape(text)}</p>", f"{lead} {text}".strip())


def note(text: str, *, warning: bool = False) -> Block:
    """Return a boxed remark."""
    kind = "warning" if warning else "note"
    return Block(f'<div class="{kind}" style="{BOX}"><p>{escape(text)}</p></div>', text)
