"""Rows of estimates: intervals, counts, and every draw of a permutation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.ticker import NullLocator

from analysis.exhibits.charts.axes import axis_numbers
from analysis.exhibits.style import INK, WIDTH, look
from analysis.numbers import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def intervals(
    rows: pd.DataFrame,
    *,
    xlabel: str,
    strong: Sequence[str] = (),
    band: tuple[str, str] | None = None,
    margin: float | None = None,
) -> Figure:
    """Draw intervals as horizontal bars with points, one per row of `term`, `estimate`, `conf_low`, `conf_high`.

    `band` names two columns drawn as a pale bar behind (placebo range); `margin` shades ``±margin``;
    a row without a point is a set and is drawn as a bar.
    """
    drawing, axes = plt.subplots(figsize=(WIDTH, 0.6 + 0.32 * len(rows)))
    places = np.arange(len(rows))[::-1]
    if margin is not None:
        axes.axvspan(-margin, margin, color=look().band, zorder=0)
    for place, row in zip(places, rows.to_dict("records"), strict=True):
        colour = look().main if not strong or row["term"] in strong else look().rest
        if band is not None and pd.notna(row[band[0]]):
            axes.plot(
                [row[band[0]], row[band[1]]], [place, place], color=look().faint, lw=9, solid_capstyle="butt", zorder=1
            )
        is_set = pd.isna(row["estimate"])
        if pd.notna(row["conf_low"]):
            axes.plot(
                [row["conf_low"], row["conf_high"]],
                [place, place],
                color=colour,
                lw=7 if is_set else 1.6,
                solid_capstyle="butt",
                zorder=2,
            )
        if not is_set:
            axes.plot(row["estimate"], place, "o", color=colour, ms=5, zorder=3)
        ends = ("conf_low", "conf_high") if is_set else ("estimate",)
        label = " to ".join(number(row[name], signed=True) for name in ends)
        axes.annotate(label, (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=7.5, color=colour)
    axes.axvline(0, color=INK, lw=0.7, zorder=1)
    axes.set_yticks(places, rows["term"])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.set_xlabel(xlabel)
    axis_numbers(axes, "x", signed=True)
    return drawing


def counts(rows: pd.DataFrame, *, xlabel: str) -> Figure:
    """Draw counts on a log scale, one dot per row of `term`, `value`, `note`, `strong`."""
    drawing, axes = plt.subplots(figsize=(WIDTH, 0.6 + 0.36 * len(rows)))
    places = np.arange(len(rows))[::-1]
    for place, row in zip(places, rows.to_dict("records"), strict=True):
        colour = look().main if row["strong"] else look().rest
        axes.plot([1, row["value"]], [place, place], color=look().faint, lw=1, zorder=1)
        axes.plot(row["value"], place, "o", color=colour, ms=6, zorder=2)
        axes.annotate(
            f"{number(row['value'], 0)} {row['note']}",
            (row["value"], place),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            fontsize=7.5,
            color=colour,
        )
    axes.set_xscale("log")
    axes.set_xlim(5, rows["value"].max() * 3_000)  # room for the words behind the largest
    axes.set_yticks(places, [fill(term, 30) for term in rows["term"]])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks([10, 100, 1_000, 10_000, 100_000])
    axis_numbers(axes, "x")
    axes.set_xlabel(xlabel)
    return drawing


def draws(samples: Mapping[str, tuple[np.ndarray, float]], *, xlabel: str) -> Figure:
    """Draw all permutation draws as ticks with the observed one in dark blue, a row per sample."""
    drawing, axes = plt.subplots(figsize=(WIDTH, 0.6 + 0.42 * len(samples)))
    places = np.arange(len(samples))[::-1]
    for place, (values, observed) in zip(places, samples.values(), strict=True):
        axes.plot(values, np.full(len(values), place), "|", color=look().rest, ms=11, mew=1.1)
        axes.plot(observed, place, "o", color=look().main, ms=6, zorder=3)
        axes.annotate(
            number(observed, 2, signed=True),
            (observed, place),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            color=look().main,
            fontsize=7.5,
            weight="bold",
        )
    axes.axvline(0, color=INK, lw=0.6, zorder=0)
    axes.set_yticks(places, list(samples))
    axes.set_ylim(-0.6, len(samples) - 0.2)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(xlabel)
    axis_numbers(axes, "x", signed=True)
    return drawing
