"""What the axes of several charts have in common: labels that do not touch, numbers on ticks, dated events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FuncFormatter

from analysis.exhibits.numbers import number
from analysis.exhibits.style import look

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def spread(places: np.ndarray, gap: float) -> np.ndarray:
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


def axis_numbers(axes: Axes, decimals: int = 0, which: str = "y", *, signed: bool = False) -> None:
    """Write the ticks of an axis as every other number of a report; `which` is ``"x"`` or ``"y"``."""
    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value, decimals, signed=signed)))


def event_lines(axes: Axes, marks: Mapping[float, str]) -> None:
    """Draw dated events as thin dotted lines with their codes at the top, in two rows where they crowd."""
    for row, (place, text) in enumerate(sorted(marks.items())):
        axes.axvline(place, color=look().rest, lw=0.7, ls=(0, (1, 2)), zorder=0)
        axes.annotate(
            text,
            (place, 1.0 + 0.055 * (row % 2)),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="bottom",
            fontsize=6,
            color=look().rest,
        )
