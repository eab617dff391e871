"""What the axes of several charts have in common: labels that do not touch, numbers on ticks, dated events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import Formatter

from analysis.exhibits.style import look
from analysis.numbers import number

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


def decimals_of(ticks: Sequence[float]) -> int:
    """Return how many decimals write every tick as it is, so that steps of 2.5 are not printed as steps of 2 and 3."""
    places = np.asarray(ticks, dtype=float)
    steps = np.diff(np.unique(places))
    if not len(steps):
        return 0
    off = (float(np.abs(np.round(places, digits) - places).max()) for digits in range(9))
    return next((digits for digits, far in enumerate(off) if far < 0.01 * steps.min()), 9)


class Ticks(Formatter):
    """Ticks of an axis, written as every other number of a report, with the decimals that their step needs."""

    def __init__(self, *, signed: bool) -> None:
        self.signed, self.decimals = signed, 0

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return one tick; `pos` is its place among them."""
        return number(x, self.decimals, signed=self.signed)

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """Return all ticks of the axis, with as many decimals as they need together."""
        self.decimals = decimals_of(values)
        return [self(value) for value in values]


def axis_numbers(axes: Axes, which: str = "y", *, signed: bool = False) -> None:
    """Write the ticks of an axis as :class:`Ticks`; `which` is ``"x"`` or ``"y"``."""
    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_formatter(Ticks(signed=signed))


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
