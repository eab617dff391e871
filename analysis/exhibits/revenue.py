"""The figure of sellers' revenue before and after the closures, which two reports show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.evidence import claims, listed
from analysis.exhibits.curves import paths, shade_days
from analysis.exhibits.style import BESIDE, WIDTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def revenue_figure(last: int, *, chosen: pd.DataFrame | None = None, small: bool = False) -> Figure:
    """Draw sellers' yearly revenue up to the year `last`, the year before the closures being 100.

    Closed sellers are dark, and a dotted line bridges years without a figure. The days from the
    first dated closure to Amazon's count of closed accounts are shaded.

    Parameters
    ----------
    last : int
        Last year; the first is the year before the base year.
    chosen : DataFrame, optional
        Sellers, from :func:`analysis.evidence.listed.sellers`; by default all of the design.
    small : bool
        Whether the figure is for the brief: narrower and lower, with few ticks and without the
        names of grey lines.
    """
    sellers = listed.sellers() if chosen is None else chosen
    base = listed.base_year()
    index = listed.indexed(base, base - 1, last, chosen=sellers)
    years = index.index
    size = (WIDTH, 3.4)
    if small:
        years = years[::2]
        size = (BESIDE, 1.6)
    drawing: Any = paths(
        _in_rows(index),
        x="middle",
        strong=[*sellers.loc[sellers["role"] == "closed", "name"]],
        ylabel=f"{base} = 100 (log)",
        level=100,
        ticks={year + 0.5: str(year) for year in years},
        log="y",
        size=size,
        only_strong=small,
    )
    days = claims.closure_timeline()["first"]
    shade_days(drawing.axes[0], days.min(), days.max(), "accounts closed")
    if small:
        drawing.axes[0].set_yticks([10, 100])
    return drawing  # type: ignore[no-any-return]


def _in_rows(index: pd.DataFrame) -> pd.DataFrame:
    """Return an index by year and seller as rows, each year at its middle."""
    rows = index.set_axis(index.index + 0.5).rename_axis(index="middle", columns="term")
    return rows.reset_index().melt(id_vars="middle", value_name="estimate")


def growth_figure(growth: Mapping[str, pd.DataFrame], *, strong: Sequence[str]) -> Figure:
    """Draw sellers' growth on the same period of the year before, in one plot per kind of period.

    Parameters
    ----------
    growth : mapping of str to DataFrame
        By title, growth in per cent by period ("2021H1", "2021Q3") and seller, from
        :func:`analysis.evidence.half_years.growth_by_period`.
    strong : sequence of str
        Closed sellers, which are dark.
    """
    rows = pd.concat([_by_period(frame).assign(panel=name) for name, frame in growth.items()])
    years = sorted({int(x) for x in rows["middle"]})
    drawing: Any = paths(
        rows.dropna(subset="estimate"),
        x="middle",
        strong=strong,
        ylabel="growth on the year before, %",
        level=0,
        ticks={year + 0.5: str(year) for year in years},
        size=(WIDTH, 2.3),
    )
    days = claims.closure_timeline()["first"]
    lows, highs = zip(*(axes.get_ylim() for axes in drawing.axes), strict=True)
    for axes in drawing.axes:
        shade_days(axes, days.min(), days.max(), "")
        axes.set(xlim=(years[0], years[-1] + 1), ylim=(min(lows), max(highs)))
        axes.tick_params(labelleft=axes is drawing.axes[0])
    return drawing  # type: ignore[no-any-return]


def _by_period(growth: pd.DataFrame) -> pd.DataFrame:
    """Return growth by half-year or quarter as rows, each at the middle of its period."""
    parts = {"H": 2, "Q": 4}
    middles = [
        int(period[:4]) + (int(period[5]) - 0.5) / parts[period[4]] for period in growth.index
    ]
    rows = growth.set_axis(middles).rename_axis(index="middle", columns="term")
    return rows.reset_index().melt(id_vars="middle", value_name="estimate")
