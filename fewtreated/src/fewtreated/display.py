"""Display results at a prompt, in a notebook or in a figure."""

from __future__ import annotations

from html import escape
from textwrap import fill
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 8  # most rows, and columns, of a table at a prompt
# most characters of a name, and of a note
WORD = 40
SENTENCE = 300


class Shown:
    """Base class for results displayed at a prompt or in a notebook.

    Subclasses return a heading, a table and notes from `_shown`. Only the first rows of the table
    are displayed.
    """

    def _shown(self) -> tuple[str, pd.DataFrame, list[str]]:
        raise NotImplementedError

    def __repr__(self) -> str:
        head, rows, notes = self._shown()
        table, more = _short(rows)
        if len(rows):
            text = [table.to_string(index=False, float_format="{:.4g}".format)]
        else:
            text = []
        return "\n".join(
            [cut(head, SENTENCE), *text, *more, *(cut(note, SENTENCE) for note in notes)]
        )

    def _repr_html_(self) -> str:
        head, rows, notes = self._shown()
        table, more = _short(rows)
        if len(rows):
            text = table.to_html(index=False, float_format="{:.4g}".format, border=0)
        else:
            text = ""
        below = "<br>".join(escape(cut(note, SENTENCE)) for note in [*more, *notes])
        return f"<p>{escape(cut(head, SENTENCE))}</p>{text}<p>{below}</p>"


def cut(text: str, most: int) -> str:
    """Shorten text to at most `most` characters."""
    if len(text) <= most:
        return text
    return f"{text[: most - 1]}…"


def _short(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the first rows of the non-empty columns, and a line on the rows left out.

    The line gives their number. There is no line if no row is left out.
    """
    names = [name for name in rows if name in ("term", "estimate") or rows[name].notna().any()]
    shown = (
        rows[names[:MOST]]
        .head(MOST)
        .map(lambda cell: cut(cell, WORD) if isinstance(cell, str) else cell)
    )
    return shown, [f"and {len(rows) - MOST:,} more rows: see .rows"] if len(rows) > MOST else []


def intervals(
    rows: pd.DataFrame, *, title: str, unit: str, xlabel: str, reason: str, ax: Axes | None = None
) -> Axes:
    """Draw estimates as points with intervals, on `ax` or a new figure.

    Numbered terms run along the x axis; named terms are listed down the y axis. A point without an
    interval is hollow. `rows` has `term`, `estimate`, `conf_low` and `conf_high`; if all numbers
    are missing, the reason is printed instead.
    """
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise ImportError(
            "Cannot plot: matplotlib is not installed; install fewtreated[plot]"
        ) from error

    number = pd.to_numeric(rows["term"], errors="coerce")
    along = bool(number.notna().all())
    ends = (rows["conf_low"], rows["conf_high"])
    if ax is None:
        height = 3.2 if along else 0.9 + 0.3 * len(rows)
        _, axes = plt.subplots(figsize=(6.4, height), layout="constrained")
    else:
        axes = ax
    look: dict[str, Any] = {"color": "0.6", "lw": 0.8, "zorder": 0}
    inside = ["white" if hollow else "C0" for hollow in ends[0].isna()]
    point: dict[str, Any] = {"facecolors": inside, "edgecolors": "C0", "zorder": 3}
    if rows[["estimate", "conf_low", "conf_high"]].isna().all(axis=None):
        axes.text(
            0.5,
            0.5,
            fill(cut(reason, SENTENCE), 60),
            transform=axes.transAxes,
            ha="center",
            va="center",
        )
        axes.set_axis_off()
    elif along:
        axes.axhline(0, **look)
        axes.vlines(number, *ends)
        axes.scatter(number, rows["estimate"], **point)
        axes.set(xlabel=xlabel, ylabel=unit)
    else:
        axes.axvline(0, **look)
        axes.hlines(rows.index, *ends)
        axes.scatter(rows["estimate"], rows.index, **point)
        axes.set_yticks(rows.index, [cut(term, WORD) for term in rows["term"]])
        axes.set(xlabel=unit, ylim=(len(rows) - 0.5, -0.5))
    axes.set_title(fill(cut(title, SENTENCE), 70), loc="left")
    return axes
