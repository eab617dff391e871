"""Effects by month since closure, and how many firms are still selling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.ticker import MultipleLocator, PercentFormatter

from analysis.exhibits.charts.axes import axis_numbers
from analysis.exhibits.style import INK, WIDTH, look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FLOOR, CEILING = 50.0, 150.0  # per cent: where the axis ends at the least and at the most
ASIDE = 0.22  # months; an estimate and its truth would cover each other


def event_study(rows: pd.DataFrame, *, reference: int, ylabel: str) -> Figure:
    """Draw effects by month with pointwise intervals over a simultaneous band and honest bounds; hollow: the reference.

    `rows` has `month`, `estimate`, `conf_low`, `conf_high`, `band_low`, `band_high` and, where they are known, `truth`,
    drawn a little to the right, and `honest_low`, `honest_high`. Months after the reference and before 0, in which an
    effect is allowed for, are shaded. What lies above the axis is cut off; an interval that goes on ends in an arrow.
    """
    drawing, axes = plt.subplots(figsize=(WIDTH, 2.7))
    top = min(CEILING, max(FLOOR, 10 + np.nanmax(rows["band_high"])))
    if reference < -1:
        axes.axvspan(reference + 0.5, -0.5, color=look().band, lw=0, zorder=0)
    if "honest_low" in rows and rows["honest_low"].notna().any():
        _honest(axes, rows.dropna(subset="honest_low"))
    for part in (rows[rows["month"] < reference], rows[rows["month"] > reference]):
        name = "band for all months at once" if part["month"].max() > reference else ""
        axes.fill_between(part["month"], part["band_low"], part["band_high"], color=look().faint, lw=0, label=name)
    axes.vlines(
        rows["month"], rows["conf_low"], rows["conf_high"].clip(upper=top), color=look().main, lw=1.3, ls=look().line
    )
    beyond = rows[rows["conf_high"] > top]
    axes.plot(beyond["month"], [top] * len(beyond), "^", color=look().main, ms=4.5, clip_on=False, zorder=4)
    axes.plot(rows["month"], rows["estimate"], "o", color=look().main, ms=4, zorder=3, label="estimate")
    axes.plot(reference, 0, "o", color=look().main, mfc="white", ms=5, zorder=3)
    if "truth" in rows and rows["truth"].notna().any():
        beside = rows["month"] + ASIDE
        axes.plot(beside, rows["truth"], "D", color=INK, mfc="none", ms=4, zorder=4, label="truth")
    axes.axhline(0, color=INK, lw=0.7, ls="-", zorder=1)
    axes.axvline(-0.5, color=look().rest, lw=0.8, ls=":", zorder=1)
    axes.set_ylim(-105, top)
    axes.legend(frameon=False, fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
    axes.xaxis.set_major_locator(MultipleLocator(2))
    axis_numbers(axes, "x", signed=True)
    axis_numbers(axes, "y", signed=True)
    axes.set_xlabel("months since the closure")
    axes.set_ylabel(ylabel)
    return drawing


def _honest(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw honest bounds as an outer, paler band between two thin lines."""
    ends = rows["honest_low"], rows["honest_high"]
    axes.fill_between(rows["month"], *ends, color=look().band, lw=0, zorder=0.5, label="honest bounds")
    for end in ("honest_low", "honest_high"):
        axes.plot(rows["month"], rows[end], color=look().rest, lw=0.8, zorder=1.5)


def alive(curves: pd.DataFrame, *, horizon: int, names: tuple[str, str]) -> Figure:
    """Draw the share of firms still selling by month, with intervals of two errors; the area counts to `horizon`.

    `curves` has `treated`, `month`, `survival`, `std_error`; `names` are those of the treated and of the others.
    """
    drawing, axes = plt.subplots(figsize=(WIDTH, 2.3))
    for treated, name, colour in ((True, names[0], look().main), (False, names[1], look().rest)):
        own = curves[(curves["treated"] == treated) & (curves["month"] < horizon)]
        month = np.concatenate([[0], own["month"], [horizon]])
        share, error = (np.concatenate([[first], own[column]]) for column, first in (("survival", 1), ("std_error", 0)))
        share, error = np.append(share, share[-1]), np.append(error, error[-1])
        low, high = np.clip(share - 2 * error, 0, 1), np.clip(share + 2 * error, 0, 1)
        axes.fill_between(month, low, high, step="post", color=colour, alpha=0.15, lw=0)
        axes.step(month, share, where="post", color=colour, lw=1.6)
        axes.annotate(
            name,
            (horizon, share[-1]),
            xytext=(4, 0),
            textcoords="offset points",
            color=colour,
            va="center",
            fontsize=7.5,
        )
    axes.set_ylim(0, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel("months since the closure, or since the same month for firms not closed")
    axes.set_ylabel("still selling")
    return drawing
