"""Charts of paths, and of effects by month or by exposure.

As in :mod:`analysis.exhibits.charts`, each function draws one kind of chart and returns a refused
result unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import seaborn as sns
from fewtreated.errors import NOT_ESTIMABLE
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.ticker import LogLocator, MaxNLocator, MultipleLocator, NullLocator

from analysis.estimate import Estimate
from analysis.exhibits.charts import (
    ZERO,
    Style,
    axis_numbers,
    chart,
    draw_truth,
    interval,
    legend_above,
    near,
)
from analysis.exhibits.style import BAND, FAINT, MAIN, REST, WIDTH
from analysis.numbers import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Months = tuple[str, str]  # first and last month, for example of the closures
BRIDGE: Style = {"lw": 1.6, "ls": (0, (1, 1.5)), "zorder": 2}  # over a gap, joined to its points
LEADER: Style = {"arrowstyle": "-", "color": FAINT, "lw": 0.6, "shrinkA": 0, "shrinkB": 2}
# per cent: lower end of an event study's axis, and range of its upper end
LOWEST = -105.0
HIGHEST = (50.0, 150.0)
REACH = 100  # per cent: end of the axis of a dose response
ASIDE = 0.22  # months between an estimate and its true value, which would overlap


def spread(heights: np.ndarray, gap: float) -> np.ndarray:
    """Move label positions apart until each is at least `gap` from the next.

    Their order is kept.
    """
    order = np.argsort(heights)
    steps = gap * np.arange(len(heights))
    level = heights[order] - steps  # if this does not decrease, labels are far enough apart
    pushed_up = np.maximum.accumulate(level)
    pushed_down = np.minimum.accumulate(level[::-1])[::-1]
    return ((pushed_up + pushed_down) / 2 + steps)[np.argsort(order)]


def years_of(months: Iterable[Any]) -> np.ndarray:
    """Convert months to fractional years, float64[month]."""
    index = pd.PeriodIndex([*months], freq="M")
    return np.asarray(index.year + (index.month - 1) / 12, dtype=float)


def shade(axes: Axes, closures: Months) -> None:
    """Shade the months of the closures on an axis of years, and say so above the plot."""
    _shade(axes, years_of([closures[0], pd.Period(closures[1], "M") + 1]), "accounts closed")


def shade_days(axes: Axes, first: pd.Timestamp, last: pd.Timestamp, name: str) -> None:
    """Shade the days from `first` to `last` on an axis of years, with a name above the plot."""
    ends = [day.year + (day.day_of_year - 1) / (365 + day.is_leap_year) for day in (first, last)]
    _shade(axes, ends, name)


def _shade(axes: Axes, ends: Sequence[float] | np.ndarray, name: str) -> None:
    axes.axvspan(*ends, color=BAND, lw=0, zorder=0)
    over: Style = {"xycoords": ("data", "axes fraction"), "ha": "center", "va": "bottom"}
    axes.annotate(name, (sum(ends) / 2, 1.01), fontsize=7.5, **over)


@chart
def paths(
    rows: pd.DataFrame,
    *,
    x: str,
    ylabel: str,
    ticks: Mapping[float, str],
    size: tuple[float, float],
    strong: Sequence[str] = (),
    closures: Months | None = None,
    level: float | None = None,
    log: bool = False,
    only_strong: bool = False,
) -> Figure:
    """Draw one line per term along `x`, in one plot per `panel`.

    Lines are labelled at their ends if there are several.

    Parameters
    ----------
    rows : DataFrame or Estimate
        `x`, `term`, `estimate`; optionally `conf_low` and `conf_high`, `panel` (drawn in the order
        of the rows), and `note`, written at a hollow point. Dotted lines bridge gaps (NaN).
    x : str
        Column of numbers.
    ticks : mapping of float to str
        Axis labels by position.
    size : (width, height)
        Inches.
    strong : sequence of str
        Terms in the main colour; others are grey.
    closures : (first month, last month), optional
        Months to shade on an axis of years.
    level : float, optional
        Height of a thin reference line.
    log : bool
        Whether the vertical axis has a log scale.
    only_strong : bool
        Whether grey lines go without a name.
    """
    rows = rows.assign(x=rows[x])
    panels = {"": rows}
    if "panel" in rows:
        panels = dict(iter(rows.groupby("panel", sort=False)))
    drawing, grid = plt.subplots(1, len(panels), figsize=size, sharex=True, squeeze=False)
    for axes, (title, lines) in zip(grid.flat, panels.items(), strict=True):
        axes.set_title(title)
        _scales(axes, ticks, log=log)
        _lines(axes, lines, strong, named=len(set(rows["term"])) > 1, only_strong=only_strong)
        if level is not None:
            axes.hlines(level, lines["x"].min(), lines["x"].max(), **ZERO)
        if closures:
            shade(axes, closures)
    grid[0, 0].set_ylabel(ylabel)
    return drawing


def _scales(axes: Axes, ticks: Mapping[float, str], *, log: bool) -> None:
    """Scale and format the axes of a plot of paths."""
    if log:
        axes.set(yscale="log")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.margins(y=0.2)
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4))
    axis_numbers(axes, "y")
    axes.set_xticks([*ticks], [*ticks.values()])


def _lines(
    axes: Axes,
    rows: pd.DataFrame,
    strong: Sequence[str],
    *,
    named: bool,
    only_strong: bool,
) -> None:
    """Draw one line per term with its intervals.

    If `named`, each line is labelled at its end, or `only_strong` ones are.
    """
    lines = dict(iter(rows.groupby("term", sort=False)))
    for term, line in lines.items():
        _line(axes, line, strong=term in strong, named=named)
    if rows["estimate"].min() >= 0 and axes.get_yscale() == "linear":
        axes.set_ylim(0, None)
    if named:
        labelled = strong if only_strong else lines
        _names(axes, {term: lines[term] for term in lines if term in labelled}, strong)


def _line(axes: Axes, line: pd.DataFrame, *, strong: bool, named: bool) -> None:
    """Draw the line of one term with its intervals and notes, and bridge its gaps."""
    style: Style = {"color": MAIN, "lw": 2.0} if strong else {"color": REST, "lw": 1.2}
    estimates = line["estimate"]
    gaps = estimates.isna() & estimates.ffill().notna() & estimates.bfill().notna()
    if gaps.any():
        known = line.dropna(subset="estimate")[["x", "estimate"]].to_numpy().T
        axes.plot(*known, color=style["color"], **BRIDGE)
    few = named and "conf_low" not in line and len(line) <= 12
    axes.plot(line["x"], estimates, marker="o" if few else "", ms=3, **style)
    for row in line.to_dict("records"):
        if pd.notna(row.get("conf_low")):
            interval(axes, row["x"], row, colour=style["color"])
        if row.get("note"):
            _note(axes, row, style["color"], above=strong)


def _note(axes: Axes, row: Mapping[str, Any], colour: str, *, above: bool) -> None:
    """Draw a hollow point, with its note to the right, above or below."""
    at = (row["x"], row["estimate"])
    axes.plot(*at, "o", color=colour, mfc="white", ms=6, zorder=4)
    near(axes, at, row["note"], (7, 8 if above else -13), color=colour, weight="bold", ha="left")


def _names(axes: Axes, lines: Mapping[str, pd.DataFrame], strong: Sequence[str]) -> None:
    """Label each line at its end, where labels are far enough apart."""
    last = {
        term: line.dropna(subset="estimate")[["x", "estimate"]].iloc[-1]
        for term, line in lines.items()
    }
    ends = pd.DataFrame(last).T
    axes.autoscale_view()  # the heights are those of the limits as they will be
    ends["height"] = axes.transData.transform(ends)[:, 1] * 72 / axes.figure.dpi  # points
    for (own, x), labels in ends.groupby([ends.index.isin(strong), "x"]):
        look: Style = {"color": MAIN, "weight": "bold"} if own else {"color": REST}
        right = 6 if own else 12
        below = 0.0
        if x < ends["x"].max():  # clear of the lines that go on
            if own:
                right = -7
                below = 4
                look["ha"] = "right"
            else:
                below = labels["height"] - ends["height"].max() + 4
                look["ha"] = "left"
        apart = spread(labels["height"].to_numpy(), 11) - labels["height"] - below
        places = zip(labels[["x", "estimate"]].to_numpy(), labels.index, apart, strict=True)
        for at, term, shift in places:
            over: Style = {"annotation_clip": False, "arrowprops": LEADER, **look}
            near(axes, tuple(at), term, (right, shift), **over)


def shares_chart(
    lines: Mapping[str, pd.DataFrame],
    *,
    ylabel: str,
    closures: Months,
    compared: Sequence[str],
    height: float = 3.2,
) -> Figure | Estimate:
    """Draw shares by half-year with their intervals.

    The first line is in the main colour. `lines` have `term`, the first month of a half-year, and
    `estimate`, `conf_low`, `conf_high`. The shares in the `compared` half-years are written beside
    their points, and the first months of such half-years below the axis. `height` is in inches.
    """
    rows = pd.concat(
        [line.assign(half=line["term"], term=name) for name, line in lines.items()],
        ignore_index=True,
    )
    months = pd.PeriodIndex(rows["half"], freq="M")
    notes = [f"{number(share)} %" for share in rows["estimate"]]
    rows = rows.assign(middle=years_of(months) + 0.25, note=notes)
    rows.loc[~rows["half"].isin(compared), "note"] = ""
    ticks = {
        middle: f"{month:%b %Y}"
        for middle, month in zip(rows["middle"], months, strict=True)
        if f"{month:%m}" == compared[0][-2:]
    }
    size = (WIDTH, height)
    return paths(
        rows,
        x="middle",
        strong=[*lines][:1],
        closures=closures,
        ticks=ticks,
        ylabel=ylabel,
        size=size,
    )


@chart
def shares_by_definition(
    rows: pd.DataFrame, *, strong: str, ylabel: str, closures: Months
) -> Figure:
    """Draw shares over the years with a line and a marker of its own for each definition.

    Parameters
    ----------
    rows : DataFrame
        `year` (with its fraction), `value` and `term`, the definition in a few words.
    strong : str
        The term in the main colour; the others are grey.
    closures : (first month, last month)
        Months to shade.
    """
    drawing, axes = plt.subplots(figsize=(WIDTH, 2.1))
    terms = [strong, *(term for term in rows["term"].unique() if term != strong)]
    colours = dict.fromkeys(terms, to_hex(REST)) | {strong: to_hex(MAIN)}
    look: Style = {"hue_order": terms, "style_order": terms, "palette": colours}
    look |= {"markers": True, "dashes": False, "markersize": 6, "errorbar": None}
    sns.lineplot(rows, x="year", y="value", hue="term", style="term", ax=axes, **look)
    shade(axes, closures)
    axes.set(xlabel="", ylabel=ylabel, ylim=(0, None))
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), title=None)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axis_numbers(axes, "y")
    return drawing


@chart
def event_study_chart(rows: pd.DataFrame, *, reference: int, ylabel: str) -> Figure:
    """Draw effects by month with pointwise intervals and a joint band.

    Thick lines are pointwise intervals, and thin ones the joint band for all months. `rows` has
    `month`, `estimate`, `conf_low`, `conf_high`, `band_low`, `band_high` and optionally `truth`,
    drawn slightly to the right. The reference month is hollow. Months between it and month 0, which
    may already show an effect, are shaded. Values above the axis are cut off; an interval that
    extends beyond it ends in an arrow.
    """
    drawing, axes = plt.subplots(figsize=(WIDTH, 2.7))
    top = float(np.fmin(np.fmax(10 + rows["conf_high"].max(), HIGHEST[0]), HIGHEST[1]))
    if reference < -1:
        axes.axvspan(reference + 0.5, -0.5, color=BAND, lw=0, zorder=0)
    axes.vlines(
        rows["month"],
        *rows[["band_low", "band_high"]].to_numpy(float).T,
        color=REST,
        lw=0.7,
        ls="-",
        zorder=2,
    )
    for row in rows.to_dict("records"):
        interval(axes, row["month"], row, (-np.inf, top))
    axes.plot([], [], "o", color=MAIN, ms=5, label="estimate")
    axes.plot(reference, 0, "o", color=MAIN, mfc="white", ms=5, zorder=3)
    draw_truth(axes, rows, rows["month"] + ASIDE, rows.get("truth"))
    axes.axhline(0, **ZERO)
    axes.axvline(-0.5, color=REST, lw=0.8, ls=":", zorder=1)
    axes.set(ylim=(LOWEST, top), xlabel="months since the closure", ylabel=ylabel)
    legend_above(axes)
    axes.xaxis.set_major_locator(MultipleLocator(2))
    axis_numbers(axes, signed=True)
    return drawing


@chart
def dose_response_chart(
    bins: pd.DataFrame, lines: pd.DataFrame, placebo: pd.DataFrame, *, xlabel: str, ylabel: str
) -> Figure:
    """Draw effects by exposure bin, with the slope and its band, in one plot per origin.

    `bins` has `origin`, `exposure`, `lowest` (shares), `estimate`, `conf_low`, `conf_high` (per
    cent) and optionally `truth`; `lines` and `placebo` have `origin`, `exposure`, `estimate`,
    `conf_low`, `conf_high`. An interval that extends beyond `REACH` on either side ends in an
    arrow.
    """
    origins = list(dict.fromkeys(bins["origin"]))
    drawing, grid = plt.subplots(1, len(origins), figsize=(WIDTH, 2.4), sharey=True, squeeze=False)
    for axes, origin in zip(grid[0], origins, strict=True):
        points, line, fake = (rows[rows["origin"] == origin] for rows in (bins, lines, placebo))
        axes.set_title(origin)
        _dose(axes, points, line, fake)
        axes.set(ylim=(-REACH, REACH), xlabel=xlabel)
    grid[0, 0].set_ylabel(ylabel)
    grid[0, 0].legend(loc="lower left", ncols=3)
    return drawing


def _dose(axes: Axes, points: pd.DataFrame, line: pd.DataFrame, fake: pd.DataFrame) -> None:
    """Draw the effects of one origin by exposure, and its slopes."""
    axes.axhline(0, **ZERO)
    if points["estimate"].isna().all():
        axes.text(0.5, 0.7, NOT_ESTIMABLE, transform=axes.transAxes, ha="center", color=REST)
        axes.set_xlim(0, 10)
    axes.fill_between(100 * line["exposure"], line["conf_low"], line["conf_high"], color=BAND, lw=0)
    axes.plot(
        100 * fake["exposure"],
        fake["estimate"],
        color=REST,
        lw=1.0,
        ls=":",
        label="a year before",
    )
    axes.plot(100 * line["exposure"], line["estimate"], color=MAIN, lw=1.2, label="slope")
    axes.plot(
        100 * points["lowest"].head(1),
        [0] * len(points.head(1)),
        "o",
        color=MAIN,
        mfc="white",
        ms=5,
    )
    for row in points.dropna(subset=["estimate", "conf_low"]).to_dict("records"):
        interval(axes, 100 * row["exposure"], row, (-REACH, REACH))
    draw_truth(axes, points, 100 * points["exposure"], points.get("truth"))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axis_numbers(axes, "x")
    axis_numbers(axes, "y", signed=True)
