"""Drawings of the design audit: coverage by estimand and preset, zip plots, bias, rejections, detectable effects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.colors import ListedColormap
from matplotlib.ticker import NullLocator

from analysis.exhibits.charts.axes import axis_numbers
from analysis.exhibits.style import INK, WIDTH, look
from analysis.numbers import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


FONT, ROW = 6.5, 0.116  # points of the numbers in cells, and inches of a row of them


def cells(grid: pd.DataFrame, shade: np.ndarray, decimals: int | None, *, signed: bool = False) -> Figure:
    """Draw numbers in coloured cells, the upper half of the rows on the left and the lower on the right.

    Parameters
    ----------
    grid : DataFrame
        Numbers. Missing cells are left white with a dot.
    shade : int[row, column]
        From 0, the palest, to 2.
    decimals : int or None
        None writes two digits, or as many as there are before the point.
    signed : bool
        Whether a plus is written too.
    """
    half = -(-len(grid) // 2)
    drawing, plots = plt.subplots(1, 2, figsize=(WIDTH, 0.65 + ROW * half), squeeze=False)
    for axes, part in zip(plots[0], (slice(half), slice(half, None)), strict=True):
        _cells(axes, grid.iloc[part], shade[part], decimals, signed=signed)
        axes.set_ylim(half, 0)
    return drawing


def _cells(axes: Axes, grid: pd.DataFrame, shade: np.ndarray, decimals: int | None, *, signed: bool) -> None:
    """Fill the cells of a grid by shade, and write its numbers into them."""
    known = np.ma.masked_where(grid.isna(), shade)
    colours = ListedColormap([look().band, look().faint, look().main])
    axes.pcolormesh(known, cmap=colours, vmin=0, vmax=2, edgecolors="white", lw=0.6)
    for (row, column), value in np.ndenumerate(grid.to_numpy(float)):
        places = (0 if abs(value) >= 9.95 else 1) if decimals is None else decimals
        text = "·" if np.isnan(value) else number(value, places, signed=signed)
        ink = "white" if known[row, column] == 2 else INK
        axes.text(column + 0.5, row + 0.52, text, ha="center", va="center", fontsize=FONT, color=ink, zorder=11)
    axes.set_xticks(np.arange(grid.shape[1]) + 0.5, grid.columns, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(np.arange(len(grid)) + 0.5, grid.index)
    axes.tick_params(length=0, labelsize=FONT)
    axes.spines[:].set_visible(False)


def zip_plot(rows: pd.DataFrame, *, xlabel: str) -> Figure:
    """Draw intervals measured from the truth, by growing size of z; those that miss it in the main colour.

    `rows` has `z`, `low`, `high`, `holds`, sorted. Intervals that close like a zip at the level that they claim.
    """
    drawing, axes = plt.subplots(figsize=(WIDTH, 3.0))
    places = 100 * (np.arange(len(rows)) + 0.5) / len(rows)
    reach = 1.15 * float(np.nanquantile(np.abs(rows[["low", "high"]].to_numpy(float)), 0.95))
    for holds, colour, width in ((True, look().rest, 0.8), (False, look().main, 1.8)):
        kept = (rows["holds"] == holds).to_numpy()
        part = rows[kept]
        ends = part["low"].clip(-reach), part["high"].clip(upper=reach)
        axes.hlines(places[kept], *ends, color=colour, lw=width, ls=look().line)
        axes.plot(part["z"].clip(-reach, reach), places[kept], "o", color=colour, ms=2.2)
    axes.axvline(0, color=INK, lw=0.8)
    axes.set_xlim(-1.02 * reach, 1.02 * reach)
    axes.set_ylim(0, 100)
    axes.set_xlabel(xlabel)
    axes.set_ylabel("centile of |z|")
    axis_numbers(axes, "x", signed=True)
    return drawing


def rejections(rows: pd.DataFrame, size: float) -> Figure:
    """Draw the share of rejections where nothing happened, with two Monte Carlo errors, against the size claimed.

    `rows` has `id`, `rejection`, `rejection_mc`, shares.
    """
    drawing, axes = plt.subplots(figsize=(WIDTH, 0.6 + 0.125 * len(rows)))
    places = np.arange(len(rows))
    share, error = (100 * rows[name].to_numpy(float) for name in ("rejection", "rejection_mc"))
    axes.axvline(100 * size, color=look().rest, lw=1.0)
    ends = np.clip(share - 2 * error, 0, None), share + 2 * error
    axes.hlines(places, *ends, color=look().main, lw=1.4, ls=look().line)
    axes.plot(share, places, "o", color=look().main, ms=4)
    axes.set_yticks(places, rows["id"])
    axes.tick_params(axis="y", length=0, labelsize=6)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("rejections where nothing happened, per cent of markets")
    axis_numbers(axes, "x")
    return drawing


def mde_curve(rows: pd.DataFrame, *, unit: str) -> Figure:
    """Draw the smallest effect seen, and the size of the true one, against the number of closed firms.

    `rows` has `preset`, `closed`, `mde`, `mde_mc`, `truth`.
    """
    drawing, axes = plt.subplots(figsize=(WIDTH, 2.9))
    shown = rows.dropna(subset="mde").sort_values("closed")
    axes.plot(shown["closed"], shown["truth"].abs(), "D", mfc="white", mec=look().rest, ms=4.5, zorder=2)
    axes.vlines(
        shown["closed"],
        (shown["mde"] - 2 * shown["mde_mc"]).clip(lower=0),
        shown["mde"] + 2 * shown["mde_mc"],
        color=look().main,
        lw=1.4,
        ls=look().line,
        zorder=3,
    )
    axes.plot(shown["closed"], shown["mde"], "o", color=look().main, ms=5, zorder=3)
    near = np.log(shown["closed"]).diff().gt(0.25).cumsum()  # presets of about as many closed firms share a label
    for _, group in shown.groupby(near):
        ordered = group.sort_values("mde", ascending=False)
        axes.annotate(
            "\n".join(ordered["preset"]),
            (ordered["closed"].max(), ordered["mde"].mean()),
            xytext=(6, 0),
            textcoords="offset points",
            fontsize=6.5,
            va="center",
            color=look().main,
        )
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    ticks = [tick for tick in (2, 5, 10, 20, 50, 100, 200, 500) if tick <= 1.5 * shown["closed"].max()]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_xlim(0.8 * shown["closed"].min(), 1.8 * shown["closed"].max())
    axes.set_ylim(bottom=0)
    axes.set_xlabel("closed firms in the panel, mean over markets, logarithmic")
    axes.set_ylabel(unit)
    axis_numbers(axes)
    return drawing
