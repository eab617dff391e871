"""Lines over time: series with their names at the end, fans of quantiles, dated episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import dates
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator, NullLocator

from analysis.exhibits.charts.axes import axis_numbers, event_lines, spread
from analysis.exhibits.style import WIDTH, look

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def lines(
    frame: pd.DataFrame,
    *,
    strong: Sequence[str],
    ylabel: str,
    reference: float | None = None,
    events: Mapping[float, str] | None = None,
    ticks: Mapping[float, str] | None = None,
    log: bool = False,
    height: float = 2.9,
) -> Figure:
    """Draw one line per column against the index, labelled at its end; `strong` ones in dark blue.

    `frame` is indexed by a number (year, or quarter as a fraction of a year); gaps (NaN) are bridged by
    no line. `reference` draws a level to compare with; `ticks` names places on the x axis.
    """
    drawing, axes = plt.subplots(figsize=(WIDTH, height))
    ends = {}
    for name in frame.columns:
        seen = frame[name].dropna()
        colour = look().main if name in strong else look().rest
        axes.plot(frame.index, frame[name], color=colour, lw=2.0 if name in strong else 1.1, marker="o", ms=3, zorder=3)
        ends[name] = (seen.index[-1], seen.iloc[-1], colour)
    if log:
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(MaxNLocator(5))
    if reference is not None:
        axes.axhline(reference, color=look().rest, lw=0.6, zorder=0)
    bottom, top = axes.get_ylim()
    scale = np.log if log else np.asarray
    wanted = scale(np.array([end[1] for end in ends.values()]))
    gap = 0.062 * 2.9 / height * float(scale(np.array(top)) - scale(np.array(bottom)))
    placed = spread(wanted, gap)
    width = frame.index.max() - frame.index.min()
    right = max(end[0] for end in ends.values()) + 0.03 * width
    for (name, (x, y, colour)), place in zip(ends.items(), np.exp(placed) if log else placed, strict=True):
        axes.annotate(
            name,
            (x, y),
            xytext=(right, place),
            color=colour,
            va="center",
            fontsize=7.5,
            weight="bold" if name in strong else "normal",
            arrowprops={"arrowstyle": "-", "color": look().faint, "lw": 0.6, "shrinkA": 0, "shrinkB": 3},
            annotation_clip=False,
        )
    axes.set_ylabel(ylabel)
    axis_numbers(axes)
    if ticks:
        axes.set_xticks(list(ticks), list(ticks.values()))
    else:
        axes.set_xticks(frame.index, [f"{x:g}" for x in frame.index])
    axes.margins(x=0.02)
    event_lines(axes, events or {})
    return drawing


def fans(paths: pd.DataFrame, firms: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Draw a share's cumulative abnormal return over the market's quantiles, a panel per event.

    `paths` has `event`, `day`, `quantile`, `value`; `firms` has `event`, `day`, `value`, `term`; both in per cent.
    """
    drawing, grid = plt.subplots(2, 2, figsize=(WIDTH, 4.3), sharex=True, sharey=True)
    for axes, (event, title) in zip(grid.flat, titles.items(), strict=True):
        wide = paths[paths["event"] == event].pivot(index="day", columns="quantile", values="value")
        axes.fill_between(wide.index, wide.iloc[:, 0], wide.iloc[:, -1], color=look().band, lw=0)
        axes.fill_between(wide.index, wide[0.25], wide[0.75], color=look().faint, lw=0)
        own = firms[firms["event"] == event].pivot(index="day", columns="term", values="value")
        axes.plot(own.index, own, color=look().main, lw=1.6)
        reach = paths["value"].max() - paths["value"].min()
        for name, place in zip(own.columns, spread(own.iloc[-1].to_numpy(), 0.085 * reach), strict=True):
            axes.text(own.index[-1] + 0.6, place, name, color=look().main, fontsize=7, va="center", weight="bold")
        axes.set_xlim(paths["day"].min(), paths["day"].max() + 9)  # room for the names
        axes.set_xticks(range(paths["day"].min(), paths["day"].max() + 1, 10))
        axes.axvline(0, color=look().rest, lw=0.7, ls=(0, (1, 2)))
        axes.plot([paths["day"].min(), paths["day"].max()], [0, 0], color=look().rest, lw=0.6)
        axes.set_title(title)
        axis_numbers(axes)
        axis_numbers(axes, "x")
    for axes in grid[1]:
        axes.set_xlabel("trading days from the event")
    for axes in grid[:, 0]:
        axes.set_ylabel("per cent")
    return drawing


def timeline(threats: pd.DataFrame, closures: pd.DataFrame) -> Figure:
    """Draw dated closures above the threats that could be mistaken for their effect.

    `threats` has `term`, `first`, `last` (dates); `closures` has `first` and `term`.
    """
    drawing, axes = plt.subplots(figsize=(WIDTH, 0.6 + 0.31 * (len(threats) + 2)))
    top = len(threats)
    for place, row in zip(np.arange(top)[::-1], threats.to_dict("records"), strict=True):
        if row["first"] == row["last"]:
            axes.plot(row["first"], place, "D", color=look().rest, ms=4.5, zorder=2)
        else:
            axes.barh(place, row["last"] - row["first"], left=row["first"], height=0.45, color=look().rest, zorder=2)
    heights = top - 0.2 + 0.75 * np.arange(len(closures))  # one step a label, since closures crowd
    for y, row in zip(heights, closures.to_dict("records"), strict=True):
        axes.plot([row["first"]] * 2, [-0.6, y], color=look().main, lw=0.8, zorder=1)
        axes.text(
            row["first"], y, row["term"] + " ", color=look().main, fontsize=7, ha="right", va="center", weight="bold"
        )
    axes.set_yticks(np.arange(top)[::-1], [fill(term, 52) for term in threats["term"]], fontsize=7)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(-0.7, top + 0.75 * len(closures))
    axes.xaxis.set_major_locator(dates.MonthLocator(bymonth=(1, 7)))
    axes.xaxis.set_major_formatter(dates.DateFormatter("%b %Y"))
    return drawing
