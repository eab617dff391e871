"""Growth and what moved it: parts that add up, as steps from zero, and an effect against a margin set in advance."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator

from analysis.exhibits.charts.axes import axis_numbers
from analysis.exhibits.style import INK, WIDTH, look
from analysis.numbers import number, span

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW = 0.27  # inches


def waterfall(panels: Mapping[str, pd.DataFrame], *, xlabel: str) -> Figure:
    """Draw parts one after the other, each from where the last ended, and their sum from zero, a panel per title.

    Rows of `term`, `estimate` and, where there is an error, `conf_low` and `conf_high`; the last is the sum of the
    others. Intervals are of the part alone, drawn round its end. Two panels with the same terms stand side by side,
    each on its own scale, since one may have wide intervals and the other none; others below each other, on one scale.
    """
    if len(panels) == 2 and len({tuple(rows["term"]) for rows in panels.values()}) == 1:
        return _side_by_side(panels, xlabel)
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
    axis_numbers(grid[-1, 0], "x", signed=True)
    return drawing


def _side_by_side(panels: Mapping[str, pd.DataFrame], xlabel: str) -> Figure:
    rows = len(next(iter(panels.values())))
    drawing, grid = plt.subplots(1, len(panels), figsize=(WIDTH, 0.8 + ROW * rows), sharey=True)
    for axes, (title, steps) in zip(grid, panels.items(), strict=True):
        _steps(axes, steps)
        axes.set_title(title)
        axes.set_xlabel(xlabel)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axis_numbers(axes, "x", signed=True)
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
        bars = axes.errorbar(ends, places, xerr=reach, fmt="none", ecolor=INK, elinewidth=0.9, capsize=2, zorder=3)
        bars[2][0].set_linestyle(look().line)
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
        if is_set:
            width = row["conf_high"] - row["conf_low"]
            axes.barh(place, width, left=row["conf_low"], height=0.28, color=colour, zorder=2)
        else:
            axes.hlines(place, row["conf_low"], row["conf_high"], color=colour, lw=1.6, ls=look().line, zorder=2)
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
        side = "center" if not two_sided else "right" if end < 0 else "left"  # the two may lie close together
        shown = f"margin {number(end, 1, signed=True)}"
        axes.annotate(shown, (end, 1.0), xycoords=("data", "axes fraction"), ha=side, va="bottom", fontsize=7)
    axes.axvline(0, color=INK, lw=0.7, ls="-", zorder=1)
    axes.set_xlim(low, high)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_yticks(places, [fill(term, 34) for term in rows["term"]])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(xlabel)
    axis_numbers(axes, "x", signed=True)
    return drawing
