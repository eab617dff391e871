"""What would happen if: paths over many markets, one assumption at a time, and two knobs at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from analysis.exhibits.charts.axes import axis_numbers
from analysis.exhibits.style import INK, WIDTH, look
from analysis.numbers import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def quantile_paths(
    paths: pd.DataFrame, titles: Mapping[str, str], *, ylabel: str, margin: float | None = None
) -> Figure:
    """Draw the quantiles of monthly paths as bands round their median, a panel per scenario on one scale.

    `paths` has `preset`, `month` (Period), `quantile` and `value`; `margin` draws a level below zero.
    """
    drawing, grid = plt.subplots(1, len(titles), figsize=(WIDTH, 2.1), sharey=True, squeeze=False)
    for axes, (preset, title) in zip(grid[0], titles.items(), strict=True):
        wide = paths[paths["preset"] == preset].pivot(index="month", columns="quantile", values="value")
        years = wide.index.year + (wide.index.month - 1) / 12
        inner = len(wide.columns) // 2
        for step in range(inner):
            colour = (look().band, look().faint)[min(step, 1)]
            axes.fill_between(years, wide.iloc[:, step], wide.iloc[:, -1 - step], color=colour, lw=0)
        axes.plot(years, wide.iloc[:, inner], color=look().main)
        axes.axhline(0, color=look().rest, lw=0.6, ls="-")
        if margin is not None:
            axes.axhline(-margin, color=look().rest, lw=0.8, ls=(0, (1, 2)))
        axes.set_xlim(years.min(), years.max())
        axes.set_xticks(range(int(years.min()), int(years.max()) + 1))
        axes.set_title(fill(title, 44))
        axis_numbers(axes, signed=True)
    grid[0, 0].set_ylabel(ylabel)
    return drawing


def tornado(rows: pd.DataFrame, *, xlabel: str) -> Figure:
    """Draw what each assumption does to an outcome between the two ends of its range, the widest on top.

    `rows` has `term`, `low`, `high` (the ends of the assumption), `at_low`, `at_high` and `base` (the outcome).
    """
    drawing, axes = plt.subplots(figsize=(WIDTH, 0.6 + 0.19 * len(rows)))
    places = np.arange(len(rows))[::-1]
    base = float(rows["base"].iloc[0])
    reach = np.ptp(rows[["at_low", "at_high"]].to_numpy())
    axes.barh(places, rows["at_low"] - base, left=base, height=0.5, color=look().faint, label="at the low end")
    axes.barh(places, rows["at_high"] - base, left=base, height=0.5, color=look().main, label="at the high end")
    for place, row in zip(places, rows.to_dict("records"), strict=True):
        for value, text, side in _ends(row, base):
            axes.text(
                value + 0.012 * side * reach,
                place,
                text,
                ha="right" if side < 0 else "left",
                va="center",
                fontsize=6.5,
                color=look().rest,
            )
    axes.axvline(base, color=INK, lw=0.7, ls="-")
    axes.set_yticks(places, [fill(term, 60) for term in rows["term"]])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.margins(x=0.09)
    axes.set_xlabel(xlabel)
    axis_numbers(axes, "x", signed=True)
    axes.legend(frameon=False, fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return drawing


def _ends(row: dict[str, Any], base: float) -> list[tuple[float, str, int]]:
    """Return where to write which end of an assumption, and on which side; one side that has both gets them as one."""
    (left, lower), (right, upper) = sorted((row[f"at_{end}"], f"{row[end]:g}") for end in ("low", "high"))
    if left <= base <= right:
        return [(left, lower, -1), (right, upper, 1)]
    both = f"{row['low']:g}, {row['high']:g}"
    return [(left, both, -1)] if right < base else [(right, both, 1)]


def two_knobs(
    cells: pd.DataFrame, accounts: Sequence[float], *, margin: float, xlabel: str, ylabel: str, zlabel: str
) -> Figure:
    """Draw an effect over two knobs as contours, with lines along which so many accounts are closed.

    `cells` has one row per `share` and `tilt`, with the mean `E3g` and `accounts`; `margin` draws the contour of
    ``-margin`` thick.
    """
    drawing, axes = plt.subplots(figsize=(WIDTH, 3.0))
    effect, count = (cells.pivot(index="tilt", columns="share", values=name) for name in ("E3g", "accounts"))
    # In logs, so that lines between the cells run as they do in `scenarios`, and their labels stand on them.
    x, y = np.log(effect.columns.to_numpy(float)), effect.index.to_numpy(float)
    filled = axes.contourf(x, y, effect, levels=8, cmap=_shades())
    bar = drawing.colorbar(filled, ax=axes, pad=0.02)
    bar.set_label(zlabel)
    bar.outline.set_visible(False)
    axis_numbers(bar.ax, signed=True)
    edge = axes.contour(x, y, effect, levels=[-margin], colors=[INK], linewidths=1.6, linestyles="solid")
    axes.clabel(edge, fmt=lambda value: f"{number(value, 1, signed=True)} points", fontsize=7, colors=INK)
    lines = axes.contour(x, y, np.log(count), levels=np.log(sorted(accounts)), colors=[look().main], linewidths=1.2)
    names = {level: f"{number(float(np.exp(level)), 0)} accounts" for level in lines.levels}
    axes.clabel(lines, fmt=names, fontsize=7, colors=INK)
    axes.set_xticks(x, [f"{100 * value:g}" for value in effect.columns])
    axes.set_yticks(y, [f"{value:g}" for value in y])
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    return drawing


def _shades() -> object:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("shades", [look().rest, look().faint, "#ffffff"])
