"""Drawings. They take tidy frames, compute nothing, label lines directly and always draw the uncertainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import dates
from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from analysis.exhibits.numbers import number
from analysis.exhibits.style import BAND, FAINT, INK, REAL, REST, WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def _spread(places: np.ndarray, gap: float) -> np.ndarray:
    """Move label positions apart until each is `gap` from the next, keeping their order."""
    order = np.argsort(places)
    moved = places[order].astype(float)
    for _ in range(100):
        short = gap - np.diff(moved)
        if (short <= 1e-9).all():
            break
        push = np.clip(short, 0, None) / 2
        moved[:-1] -= push
        moved[1:] += push
    out = np.empty_like(moved)
    out[order] = moved
    return out


def _axis_numbers(axes: Axes, decimals: int = 0, which: str = "y", *, signed: bool = False) -> None:
    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value, decimals, signed=signed)))


def event_lines(axes: Axes, marks: Mapping[float, str]) -> None:
    """Draw dated events as thin dotted lines with their codes at the top, in two rows where they crowd."""
    for row, (place, text) in enumerate(sorted(marks.items())):
        axes.axvline(place, color=REST, lw=0.7, ls=(0, (1, 2)), zorder=0)
        axes.annotate(
            text,
            (place, 1.0 + 0.055 * (row % 2)),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="bottom",
            fontsize=6,
            color=REST,
        )


def lines(
    frame: pd.DataFrame,
    *,
    strong: Sequence[str],
    ylabel: str,
    decimals: int = 0,
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
        colour = REAL if name in strong else REST
        axes.plot(frame.index, frame[name], color=colour, lw=2.0 if name in strong else 1.1, marker="o", ms=3, zorder=3)
        ends[name] = (seen.index[-1], seen.iloc[-1], colour)
    if log:
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(MaxNLocator(5))
    if reference is not None:
        axes.axhline(reference, color=REST, lw=0.6, zorder=0)
    bottom, top = axes.get_ylim()
    scale = np.log if log else np.asarray
    wanted = scale(np.array([end[1] for end in ends.values()]))
    gap = 0.062 * 2.9 / height * float(scale(np.array(top)) - scale(np.array(bottom)))
    placed = _spread(wanted, gap)
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
            arrowprops={"arrowstyle": "-", "color": FAINT, "lw": 0.6, "shrinkA": 0, "shrinkB": 3},
            annotation_clip=False,
        )
    axes.set_ylabel(ylabel)
    _axis_numbers(axes, decimals)
    if ticks:
        axes.set_xticks(list(ticks), list(ticks.values()))
    else:
        axes.set_xticks(frame.index, [f"{x:g}" for x in frame.index])
    axes.margins(x=0.02)
    event_lines(axes, events or {})
    return drawing


def intervals(
    rows: pd.DataFrame,
    *,
    xlabel: str,
    decimals: int = 1,
    strong: Sequence[str] = (),
    band: tuple[str, str] | None = None,
    band_name: str = "",
    margin: float | None = None,
    signed: bool = True,
    height: float | None = None,
) -> Figure:
    """Draw intervals as horizontal bars with points, one per row of `term`, `estimate`, `conf_low`, `conf_high`.

    `band` names two columns drawn as a pale bar behind (placebo range); `margin` shades ``±margin``;
    a row without a point is a set and is drawn as a bar.
    """
    drawing, axes = plt.subplots(figsize=(WIDTH, height or 0.6 + 0.32 * len(rows)))
    places = np.arange(len(rows))[::-1]
    if margin is not None:
        axes.axvspan(-margin, margin, color=BAND, zorder=0)
    for place, row in zip(places, rows.to_dict("records"), strict=True):
        colour = REAL if not strong or row["term"] in strong else REST
        if band is not None and pd.notna(row[band[0]]):
            axes.plot([row[band[0]], row[band[1]]], [place, place], color=FAINT, lw=9, solid_capstyle="butt", zorder=1)
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
        label = (
            f"{number(row['conf_low'], decimals, signed=signed)} to {number(row['conf_high'], decimals, signed=signed)}"
            if is_set
            else number(row["estimate"], decimals, signed=signed)
        )
        axes.annotate(label, (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=7.5, color=colour)
    axes.axvline(0, color=INK, lw=0.7, zorder=1)
    axes.set_yticks(places, rows["term"])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.set_xlabel(xlabel)
    _axis_numbers(axes, 0, "x", signed=signed)
    if band is not None and band_name:
        axes.annotate(
            band_name, (0, 1.0), xycoords="axes fraction", va="bottom", fontsize=7, color=REST, style="normal"
        )
    return drawing


def counts(rows: pd.DataFrame, *, xlabel: str) -> Figure:
    """Draw counts on a log scale, one dot per row of `term`, `value`, `note`, `strong`."""
    drawing, axes = plt.subplots(figsize=(WIDTH, 0.6 + 0.36 * len(rows)))
    places = np.arange(len(rows))[::-1]
    for place, row in zip(places, rows.to_dict("records"), strict=True):
        colour = REAL if row["strong"] else REST
        axes.plot([1, row["value"]], [place, place], color=FAINT, lw=1, zorder=1)
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
    _axis_numbers(axes, 0, "x")
    axes.set_xlabel(xlabel)
    return drawing


def timeline(threats: pd.DataFrame, closures: pd.DataFrame) -> Figure:
    """Draw dated closures above the threats that could be mistaken for their effect.

    `threats` has `term`, `first`, `last` (dates); `closures` has `first` and `term`.
    """
    drawing, axes = plt.subplots(figsize=(WIDTH, 0.6 + 0.31 * (len(threats) + 2)))
    top = len(threats)
    for place, row in zip(np.arange(top)[::-1], threats.to_dict("records"), strict=True):
        if row["first"] == row["last"]:
            axes.plot(row["first"], place, "D", color=REST, ms=4.5, zorder=2)
        else:
            axes.barh(place, row["last"] - row["first"], left=row["first"], height=0.45, color=REST, zorder=2)
    heights = top - 0.2 + 0.75 * np.arange(len(closures))  # one step a label, since closures crowd
    for y, row in zip(heights, closures.to_dict("records"), strict=True):
        axes.plot([row["first"]] * 2, [-0.6, y], color=REAL, lw=0.8, zorder=1)
        axes.text(row["first"], y, row["term"] + " ", color=REAL, fontsize=7, ha="right", va="center", weight="bold")
    axes.set_yticks(np.arange(top)[::-1], [fill(term, 52) for term in threats["term"]], fontsize=7)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(-0.7, top + 0.75 * len(closures))
    axes.xaxis.set_major_locator(dates.MonthLocator(bymonth=(1, 7)))
    axes.xaxis.set_major_formatter(dates.DateFormatter("%b %Y"))
    return drawing


def fans(paths: pd.DataFrame, firms: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Draw a share's cumulative abnormal return over the market's quantiles, a panel per event.

    `paths` has `event`, `day`, `quantile`, `value`; `firms` has `event`, `day`, `value`, `term`; both in per cent.
    """
    drawing, grid = plt.subplots(2, 2, figsize=(WIDTH, 4.3), sharex=True, sharey=True)
    for axes, (event, title) in zip(grid.flat, titles.items(), strict=True):
        wide = paths[paths["event"] == event].pivot(index="day", columns="quantile", values="value")
        axes.fill_between(wide.index, wide.iloc[:, 0], wide.iloc[:, -1], color=BAND, lw=0)
        axes.fill_between(wide.index, wide[0.25], wide[0.75], color=FAINT, lw=0)
        own = firms[firms["event"] == event].pivot(index="day", columns="term", values="value")
        axes.plot(own.index, own, color=REAL, lw=1.6)
        reach = paths["value"].max() - paths["value"].min()
        for name, place in zip(own.columns, _spread(own.iloc[-1].to_numpy(), 0.085 * reach), strict=True):
            axes.text(own.index[-1] + 0.6, place, name, color=REAL, fontsize=7, va="center", weight="bold")
        axes.set_xlim(paths["day"].min(), paths["day"].max() + 9)  # room for the names
        axes.set_xticks(range(paths["day"].min(), paths["day"].max() + 1, 10))
        axes.axvline(0, color=REST, lw=0.7, ls=(0, (1, 2)))
        axes.plot([paths["day"].min(), paths["day"].max()], [0, 0], color=REST, lw=0.6)
        axes.set_title(title)
        _axis_numbers(axes, 0)
        _axis_numbers(axes, 0, "x")
    for axes in grid[1]:
        axes.set_xlabel("trading days from the event")
    for axes in grid[:, 0]:
        axes.set_ylabel("per cent")
    return drawing


def draws(samples: Mapping[str, tuple[np.ndarray, float]], *, xlabel: str, decimals: int = 2) -> Figure:
    """Draw all permutation draws as ticks with the observed one in dark blue, a row per sample."""
    drawing, axes = plt.subplots(figsize=(WIDTH, 0.6 + 0.42 * len(samples)))
    places = np.arange(len(samples))[::-1]
    for place, (values, observed) in zip(places, samples.values(), strict=True):
        axes.plot(values, np.full(len(values), place), "|", color=REST, ms=11, mew=1.1)
        axes.plot(observed, place, "o", color=REAL, ms=6, zorder=3)
        axes.annotate(
            number(observed, decimals, signed=True),
            (observed, place),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            color=REAL,
            fontsize=7.5,
            weight="bold",
        )
    axes.axvline(0, color=INK, lw=0.6, zorder=0)
    axes.set_yticks(places, list(samples))
    axes.set_ylim(-0.6, len(samples) - 0.2)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(xlabel)
    _axis_numbers(axes, 1, "x", signed=True)
    return drawing
