"""Growth and what moved it: parts that add up, as steps from zero, and an effect against a margin set in advance."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from analysis.exhibits.charts.axes import axis_numbers
from analysis.exhibits.numbers import number, span
from analysis.exhibits.style import INK, WIDTH, look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW = 0.27  # inches
NARROW = 5.0  # points across, below which ticks stand closer than one


def waterfall(panels: Mapping[str, pd.DataFrame], *, xlabel: str) -> Figure:
    """Draw parts one after the other, each from where the last ended, and their sum from zero, a panel per title.

    Rows of `term`, `estimate` and, where there is an error, `conf_low` and `conf_high`; the last is the sum of the
    others. Intervals are of the part alone, drawn round its end.
    """
    heights = [len(rows) + 1 for rows in panels.values()]
    drawing, grid = plt.subplots(
        len(panels),
        1,
        figsize=(WIDTH, 0.5 + ROW * sum(heights)),
        sharex=True,
        squeeze=False,
        gridspec_kw={"height_ratios": heights},
    )
    for axes, (title, rows) in zip(grid[:, 0], panels.items(), strict=True):
        _steps(axes, rows)
        axes.set_title(title)
    grid[-1, 0].set_xlabel(xlabel)
    low, high = grid[-1, 0].get_xlim()
    axis_numbers(grid[-1, 0], _decimals(high - low), "x", signed=True)
    return drawing


def _steps(axes: Axes, rows: pd.DataFrame) -> None:
    value = rows["estimate"].to_numpy(float)
    ends = np.append(np.cumsum(value[:-1]), value[-1])
    starts = np.append(np.append(0.0, ends[:-2]), 0.0)
    places = np.arange(len(rows))[::-1]
    colours = [look().rest] * (len(rows) - 1) + [look().main]
    axes.barh(places, value, left=starts, height=0.62, color=colours, zorder=2)
    axes.vlines(ends[:-1], places[1:] - 0.31, places[:-1] + 0.31, color=look().rest, lw=0.6, ls="-", zorder=1)
    if "conf_low" in rows:
        reach = np.array([value - rows["conf_low"], rows["conf_high"] - value]).astype(float)
        axes.errorbar(ends, places, xerr=reach, fmt="none", ecolor=INK, elinewidth=0.9, capsize=2, zorder=3)
    for place, part in zip(places, value, strict=True):
        axes.annotate(
            number(part, 1, signed=True),
            (1.01, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=7.5,
        )
    axes.axvline(0, color=INK, lw=0.7, ls="-", zorder=1)
    axes.set_yticks(places, rows["term"])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(-0.6, len(rows) - 0.4)


def against_margin(rows: pd.DataFrame, *, margin: float, xlabel: str, two_sided: bool = False) -> Figure:
    """Draw intervals against the margin that they were to stay inside of; what lies beyond it is shaded.

    Rows of `term`, `estimate` (NaN for a set), `conf_low`, `conf_high`, and `truth` where it is known, drawn as an open
    circle. `two_sided` shades what lies above the margin too.
    """
    drawing, axes = plt.subplots(figsize=(WIDTH, 0.75 + 0.36 * len(rows)))
    places = np.arange(len(rows))[::-1]
    for place, row in zip(places, rows.to_dict("records"), strict=True):
        is_set = pd.isna(row["estimate"])
        colour = look().main if is_set else look().rest
        width = 7 if is_set else 1.6
        axes.hlines(place, row["conf_low"], row["conf_high"], color=colour, lw=width, ls="-", zorder=2)
        if not is_set:
            axes.plot(row["estimate"], place, "o", color=colour, ms=5, zorder=3)
        if pd.notna(row.get("truth")):
            axes.plot(row["truth"], place, "o", mfc="white", mec=INK, mew=1.1, ms=6, zorder=4)
        shown = span(row["conf_low"], row["conf_high"], "percentage points")
        axes.annotate(shown, (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=7.5, color=colour)
    reach = [*rows["conf_low"], *rows["conf_high"], -margin, margin if two_sided else 0.0]
    pad = 0.06 * (max(reach) - min(reach))
    low, high = min(reach) - pad, max(reach) + pad
    for end, limit in [(-margin, low), (margin, high)][: 1 + two_sided]:
        axes.axvspan(end, limit, color=look().band, zorder=0, lw=0)
        axes.axvline(end, color=INK, lw=0.9, ls=(0, (3, 2)), zorder=1)
        shown = f"margin {number(end, 1, signed=True)}"
        axes.annotate(shown, (end, 1.0), xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=7)
    axes.axvline(0, color=INK, lw=0.7, ls="-", zorder=1)
    axes.set_xlim(low, high)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_yticks(places, [fill(term, 34) for term in rows["term"]])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(xlabel)
    axis_numbers(axes, _decimals(high - low), "x", signed=True)
    return drawing


def _decimals(width: float) -> int:
    """Return the decimals that ticks need on an axis so wide."""
    return 0 if width > NARROW else 1
