"""Effects by exposure, closures drawn again, and recapture against what size alone would give."""

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
from analysis.numbers import NOT_ESTIMABLE, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def dose_response(
    bins: pd.DataFrame, lines: pd.DataFrame, placebo: pd.DataFrame, *, xlabel: str, ylabel: str, reach: float = 60
) -> Figure:
    """Draw effects by bin of exposure with intervals over the slope and its band, a panel per origin.

    `bins` has `origin`, `exposure`, `lowest` (shares), `estimate`, `conf_low`, `conf_high` (per cent) and, where it is
    known, `truth`; `lines` and `placebo` have `origin`, `exposure`, `estimate`, `conf_low`, `conf_high`. An interval
    that goes on beyond ``-reach`` or ``reach`` ends in an arrow.
    """
    origins = list(dict.fromkeys(bins["origin"]))
    drawing, grid = plt.subplots(1, len(origins), figsize=(WIDTH, 2.4), sharey=True, squeeze=False)
    for axes, origin in zip(grid[0], origins, strict=True):
        own, line, fake = (part[part["origin"] == origin] for part in (bins, lines, placebo))
        axes.set_title(origin)
        axes.axhline(0, color=INK, lw=0.7, ls="-", zorder=1)
        if own["estimate"].isna().all():
            axes.text(0.5, 0.7, NOT_ESTIMABLE, transform=axes.transAxes, ha="center", color=look().rest)
            axes.set_xlim(0, 10)
        axes.fill_between(100 * line["exposure"], line["conf_low"], line["conf_high"], color=look().band, lw=0)
        axes.plot(100 * fake["exposure"], fake["estimate"], color=look().rest, lw=1.0, ls=":", label="a year before")
        axes.plot(100 * line["exposure"], line["estimate"], color=look().main, lw=1.2, label="slope")
        axes.plot(100 * own["lowest"].head(1), [0] * len(own.head(1)), "o", color=look().main, mfc="white", ms=5)
        _whiskers(axes, own, reach)
        if "truth" in own and own["truth"].notna().any():
            axes.plot(100 * own["exposure"], own["truth"], "D", color=INK, mfc="none", ms=5, label="truth", zorder=4)
        axes.set_ylim(-reach, reach)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel(xlabel)
        axis_numbers(axes, "x")
        axis_numbers(axes, "y", signed=True)
    grid[0, 0].set_ylabel(ylabel)
    grid[0, 0].legend(frameon=False, fontsize=7, loc="lower left", ncols=3)
    return drawing


def _whiskers(axes: Axes, rows: pd.DataFrame, reach: float) -> None:
    """Draw points with their intervals, an arrow where one goes on beyond the axis."""
    for row in rows.dropna(subset=["estimate", "conf_low"]).to_dict("records"):
        place = 100 * row["exposure"]
        low, high = np.clip([row["conf_low"], row["conf_high"]], -reach, reach)
        axes.plot([place, place], [low, high], color=look().main, lw=1.6, zorder=3)
        axes.plot(place, row["estimate"], "o", color=look().main, ms=5, zorder=3)
        for beyond, edge, marker in ((row["conf_low"] < -reach, -reach, "v"), (row["conf_high"] > reach, reach, "^")):
            if beyond:
                axes.plot(place, edge, marker, color=look().main, ms=5, clip_on=False, zorder=3)


def drawn_again(samples: Mapping[str, np.ndarray], *, xlabel: str) -> Figure:
    """Draw the distribution of a statistic over re-drawn closures, a panel each; the first value is the actual one."""
    drawing, grid = plt.subplots(1, max(len(samples), 1), figsize=(WIDTH, 2.1), squeeze=False)
    for axes, (title, values) in zip(grid[0], samples.items(), strict=False):
        finite = values[1:][np.isfinite(values[1:])]
        axes.hist(finite, bins=30, color=look().faint)
        axes.axvline(values[0], color=look().main, lw=2.0, ls="-")
        axes.set_title(fill(title, 46))
        axes.annotate(
            f"actual {number(float(values[0]), 1, signed=True)}",
            (values[0], 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(3, -2),
            textcoords="offset points",
            va="top",
            fontsize=7,
            color=look().main,
        )
        axes.set_xlabel(xlabel)
        axis_numbers(axes, "x", signed=True)
        axis_numbers(axes)
    grid[0, 0].set_ylabel("draws")
    return drawing


def against_benchmark(rows: pd.DataFrame, *, xlabel: str, benchmark: str, reach: float = 200) -> Figure:
    """Draw shares with intervals beside what they are compared with, a row per `term`, `estimate`, `benchmark`.

    Limits are `conf_low` and `conf_high`; those beyond ``-reach`` or ``reach``, or infinite, end in an arrow; `reach`
    makes room for each estimate. A column `truth` is drawn where there is one.
    """
    drawing, axes = plt.subplots(figsize=(WIDTH, 0.9 + 0.45 * len(rows)))
    places = np.arange(len(rows))[::-1]
    reach = max(reach, 1.1 * np.fmax.reduce(np.abs(rows["estimate"]), initial=0.0))
    for place, row in zip(places, rows.to_dict("records"), strict=True):
        low, high = np.clip([row["conf_low"], row["conf_high"]], -reach, reach)
        axes.plot([low, high], [place, place], color=look().main, lw=1.6, zorder=2)
        axes.plot(row["estimate"], place, "o", color=look().main, ms=6, zorder=3)
        axes.plot([row["benchmark"]] * 2, [place - 0.25, place + 0.25], color=look().rest, lw=3, ls="-", zorder=1)
        for beyond, edge, marker in ((row["conf_low"] < -reach, -reach, "<"), (row["conf_high"] > reach, reach, ">")):
            if beyond:
                axes.plot(edge, place, marker, color=look().main, ms=5, clip_on=False, zorder=3)
    if "truth" in rows and rows["truth"].notna().any():
        axes.plot(rows["truth"], places, "D", color=INK, mfc="none", ms=6, ls="none", label="truth", zorder=4)
    axes.plot([], [], color=look().rest, lw=3, ls="-", label=benchmark)
    axes.axvline(0, color=INK, lw=0.7, ls="-", zorder=1)
    axes.set_yticks(places, rows["term"])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel(xlabel)
    axis_numbers(axes, "x", signed=True)
    axes.legend(frameon=False, fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return drawing
