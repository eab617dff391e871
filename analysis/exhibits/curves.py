"""Drawings along an axis: lines through time, fans, effects by month and by exposure.

As in :mod:`analysis.exhibits.charts`, one function draws one kind, and what is refused is handed on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator, MultipleLocator, NullLocator, PercentFormatter

from analysis.estimate import Estimate
from analysis.exhibits.charts import TRUTH, ZERO, Style, axis_numbers, beside_plot, chart, interval, legend_above, near
from analysis.exhibits.style import BAND, FAINT, INK, MAIN, REST, WIDTH
from analysis.numbers import NOT_ESTIMABLE, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Months = tuple[str, str]  # the first and the last, such as those of the closures
LOG_TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
DOTTED: Style = {"color": REST, "lw": 0.7, "ls": (0, (1, 2)), "zorder": 0}
GROUPS: tuple[Style, ...] = (  # the first is what a figure is about; they differ in grey and in print too
    {"color": MAIN, "lw": 2.2},
    {"color": REST, "lw": 1.4, "ls": (0, (4, 1.5))},
    {"color": REST, "lw": 1.4, "ls": (0, (1, 1.2))},
)
LOWEST, HIGHEST = -105.0, (50.0, 150.0)  # per cent: where the axis of an event study ends, at the least and the most
BANDS = ("band_low", "band_high", "honest_low", "honest_high")  # of an event study, beside its intervals
REACH = 60  # per cent: where the axis of a dose response ends
ASIDE = 0.22  # months; an estimate and its truth would cover each other


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
    return moved[np.argsort(order)]


def years_of(months: pd.PeriodIndex) -> np.ndarray:
    """Return months as fractions of years."""
    return np.asarray(months.year + (months.month - 1) / 12, dtype=float)


def shade(axes: Axes, closures: Months, *, named: bool = True) -> None:
    """Shade the months of the closures on an axis of years, and name them above it."""
    first, last = years_of(pd.PeriodIndex([closures[0], pd.Period(closures[1], "M") + 1], freq="M"))
    axes.axvspan(first, last, color=BAND, lw=0, zorder=0)
    if named:
        over: Style = {"xycoords": ("data", "axes fraction"), "ha": "center", "va": "bottom", "fontsize": 7}
        axes.annotate("accounts closed", ((first + last) / 2, 1.01), **over)


@chart
def lines(
    frame: pd.DataFrame,
    *,
    strong: Sequence[str],
    ylabel: str,
    closures: Months,
    height: float = 2.9,
) -> Figure:
    """Draw an index on a log scale, one line per column, named on the right; `strong` ones in the main colour.

    `frame` is indexed by years, which are drawn at their middle; gaps (NaN) are bridged by no line. A line that ends
    early is named on the right too, with its last year, where other lines do not cross its name. Where the index is 100
    there is a line; the months of `closures` are shaded.
    """
    drawing, axes = plt.subplots(figsize=(WIDTH, height))
    years, frame = list(map(str, frame.index)), frame.set_axis(frame.index + 0.5)
    ends = {}
    for name in frame.columns:
        colour, width = (MAIN, 2.0) if name in strong else (REST, 1.1)
        axes.plot(frame.index, frame[name], marker="o", ms=3, zorder=3, color=colour, lw=width)
        ends[name] = frame[name].dropna().index[-1], frame[name].dropna().iloc[-1]
    axes.set_yscale("log")
    axes.set_yticks([tick for tick in LOG_TICKS if 0.6 * frame.min(axis=None) < tick < 1.4 * frame.max(axis=None)])
    axes.yaxis.set_minor_locator(NullLocator())
    axis_numbers(axes, "y")
    axes.axhline(100, color=REST, lw=0.6, zorder=0)
    bottom, top = np.log(axes.get_ylim())
    places = np.log([y for _, y in ends.values()])
    apart, last = spread(places, 0.18 / height * (top - bottom)), frame.index[-1]
    for (name, (x, _)), place in zip(ends.items(), apart, strict=True):
        look: Style = {"color": MAIN, "weight": "bold"} if name in strong else {"color": REST}
        named = name if x == last else f"{name}, to {x - 0.5:.0f}"
        near(axes, (last, float(np.exp(place))), named, (6, 0), annotation_clip=False, **look)
    axes.set_ylabel(ylabel)
    axes.set_xticks(frame.index, years)
    axes.margins(x=0.02)
    shade(axes, closures)
    return drawing


@chart
def fans(
    paths: pd.DataFrame,
    titles: Mapping[str, str],
    *,
    panel: str,
    over: str,
    ylabel: str,
    xlabel: str = "",
    own: pd.DataFrame | None = None,
    level: float | None = None,
) -> Figure:
    """Draw outer quantiles and quartiles as bands, a panel per title, with the median or with lines of their own.

    `paths` has a column that names the `panel`, one of days or months to go `over`, `quantile` and `value`; `own` the
    first two, `term`, `value` and `strong`, whether in the main colour. `level` draws a line to compare with.
    """
    columns = len(titles) if own is None else 2
    rows = -(-len(titles) // columns)
    drawing, grid = plt.subplots(rows, columns, figsize=(WIDTH, 2.1 * rows), sharex=True, sharey=True, squeeze=False)
    gap = 0.085 * (paths["value"].max() - paths["value"].min())
    for axes, (key, title) in zip(grid.flat, titles.items(), strict=True):
        wide = paths[paths[panel] == key].pivot(index=over, columns="quantile", values="value")
        months = isinstance(wide.index, pd.PeriodIndex)
        x = years_of(wide.index) if months else wide.index.to_numpy()
        for low, high, colour in ((wide.columns[0], wide.columns[-1], BAND), (0.25, 0.75, FAINT)):
            axes.fill_between(x, wide[low], wide[high], color=colour, lw=0)
        axes.plot(x[[0, -1]], [0, 0], color=REST, lw=0.6, ls="-")
        axes.set_xlim(x[0], x[-1] + 9 * (own is not None))  # room for the names
        axes.set_xticks(np.arange(np.ceil(x[0]), x[-1] + 1e-9, 1 if months else 10).astype(int))
        if own is None:
            axes.plot(x, wide[0.5], color=MAIN)
        else:
            mine = own[own[panel] == key].pivot(index=over, columns="term", values="value")
            strong = own[own[panel] == key].groupby("term")["strong"].first()
            for name, place in zip(mine.columns, spread(mine.iloc[-1].to_numpy(), gap), strict=True):
                colour, width, weight = (MAIN, 1.8, "bold") if strong[name] else (REST, 1.2, "normal")
                axes.plot(mine.index, mine[name], color=colour, lw=width)
                axes.text(x[-1] + 0.6, place, name, color=colour, fontsize=7, va="center", weight=weight)
            axes.axvline(0, **DOTTED)
            axis_numbers(axes, "x")
        if level is not None:
            axes.axhline(level, **DOTTED)
        axis_numbers(axes, "y", signed=True)
        axes.set(title=fill(title, 44), xlabel=xlabel, ylabel=ylabel)
        axes.label_outer()
    return drawing


@chart
def by_group(
    paths: pd.DataFrame, panels: Mapping[str, tuple[str, str]], *, waves: Sequence[pd.Period], ylabel: str
) -> Figure:
    """Draw one measure a panel, a line per group, months with closures shaded.

    `paths` has `month` (Period), `group`, `measure`, `platform`, `value`; `panels` gives measure and platform by title.
    There are three groups.
    """
    rows = -(-len(panels) // 3)
    drawing, grid = plt.subplots(rows, 3, figsize=(WIDTH, 0.4 + 1.65 * rows), sharex=True, squeeze=False)
    for axes, (title, (measure, platform)) in zip(grid.flat, panels.items(), strict=False):
        mine = paths[(paths["measure"] == measure) & (paths["platform"] == platform)]
        for style, (group, line) in zip(GROUPS, mine.groupby("group", sort=False), strict=False):
            years = years_of(pd.PeriodIndex(line["month"]))
            axes.plot(years, line["value"], label=group, **style)
        shade(axes, (str(waves[0]), str(waves[-1])), named=False)
        axes.set(title=fill(title, 30), ylim=(0, None), xticks=range(int(years.min()), int(years.max()) + 1))
        axis_numbers(axes, "y")
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel(ylabel)
    drawing.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=7.5)
    return drawing


def _padded(rows: pd.DataFrame, band: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return months and the ends of a band, which goes on for a part of a month on either side."""
    month = rows["month"].to_numpy(float)
    low, high = (np.pad(rows[f"{band}_{end}"].to_numpy(float), 1, mode="edge") for end in ("low", "high"))
    return np.r_[month[0] - 0.4, month, month[-1] + 0.4], low, high


@chart
def event_study(rows: pd.DataFrame, *, reference: int, ylabel: str, bands: bool = True, height: float = 2.7) -> Figure:
    """Draw effects by month with pointwise intervals over a simultaneous band (filled) and honest bounds (dotted).

    Neither is drawn across the closure, nor across the reference, which is hollow; without `bands` neither is at all.

    `rows` has `month`, `estimate`, `conf_low`, `conf_high`, `band_low`, `band_high` and, where they are known, `truth`,
    drawn a little to the right, and `honest_low`, `honest_high`. Months after the reference and before 0, in which an
    effect is allowed for, are shaded. What lies above the axis is cut off; an interval that goes on ends in an arrow.
    """
    drawing, axes = plt.subplots(figsize=(WIDTH, height))
    rows = rows if bands else rows.assign(**dict.fromkeys(BANDS, np.nan))
    reach = rows["band_high"].fillna(rows["conf_high"]).max()  # few closed firms have no band
    top = float(np.fmin(np.fmax(10 + reach, HIGHEST[0]), HIGHEST[1]))
    if reference < -1:
        axes.axvspan(reference + 0.5, -0.5, color=BAND, lw=0, zorder=0)
    if "honest_low" in rows and rows["honest_low"].notna().any():
        month, low, high = _padded(rows.dropna(subset="honest_low"), "honest")
        for end, name in ((low, "honest bounds"), (high, "")):
            axes.plot(month, end, color=INK, lw=1.2, ls=(0, (1, 1)), zorder=1.5, label=name)
    pieces = np.select([rows["month"] < reference, rows["month"] < 0], [0, 1], 2)
    for piece, part in rows[rows["month"] != reference].groupby(pieces[rows["month"] != reference]):
        name = "band for all months at once" if piece == 2 and part["band_low"].notna().any() else ""
        axes.fill_between(*_padded(part, "band"), color=FAINT, lw=0, label=name)
    for row in rows.to_dict("records"):
        interval(axes, row["month"], row, (-np.inf, top), upright=True)
    axes.plot([], [], "o", color=MAIN, ms=5, label="estimate")
    axes.plot(reference, 0, "o", color=MAIN, mfc="white", ms=5, zorder=3)
    if "truth" in rows and rows["truth"].notna().any():
        axes.plot(rows["month"] + ASIDE, rows["truth"], "D", **TRUTH)
    axes.axhline(0, **ZERO)
    axes.axvline(-0.5, color=REST, lw=0.8, ls=":", zorder=1)
    axes.set(ylim=(LOWEST, top), xlabel="months since the closure", ylabel=ylabel)
    legend_above(axes)
    axes.xaxis.set_major_locator(MultipleLocator(2))
    axis_numbers(axes, signed=True)
    return drawing


@chart
def shares(lines: Mapping[str, pd.DataFrame], *, ylabel: str, closures: Months, compared: Sequence[str] = ()) -> Figure:
    """Draw shares by half-year with their intervals, a line each, named at its end; months of closures shaded.

    `lines` have `term`, the first month of a half-year, and `estimate`, `conf_low`, `conf_high`; the first is what the
    figure is about. `closures` are their first and last month; the shares of the half-years that are `compared` are
    written at their points, which are hollow.
    """
    drawing, axes = plt.subplots(figsize=(WIDTH, 2.8))
    for (name, rows), colour, mark in zip(lines.items(), (MAIN, REST), ("o", "s"), strict=True):
        first = pd.PeriodIndex(rows["term"], freq="M")
        middle = years_of(first) + 0.25
        below, above = rows["estimate"] - rows["conf_low"], rows["conf_high"] - rows["estimate"]
        axes.errorbar(middle, rows["estimate"], [below, above], color=colour, marker=mark, ms=4, lw=1.6, elinewidth=0.8)
        for x, row in zip(middle, rows.to_dict("records"), strict=True):
            if row["term"] in compared:
                axes.plot(x, row["estimate"], mark, color=colour, mfc="white", ms=6, mew=1.6, zorder=4)
                share = f"{number(row['estimate'], 0)} %"
                near(axes, (x, row["estimate"]), share, (7, 8), color=colour, weight="bold")
        near(axes, (middle[-1], rows["estimate"].iloc[-1]), name, (8, 0), color=colour, weight="bold")
    shade(axes, closures)
    axes.set_ylim(0, 1.25 * max(rows["conf_high"].max() for rows in lines.values()))
    axes.set_xticks(middle, [f"{month:%b %Y} –\n{month + 5:%b %Y}" for month in first])
    axes.tick_params(axis="x", labelsize=7)
    axes.set(ylabel=ylabel)
    axis_numbers(axes, "y")
    return drawing


@chart
def answered(rows: pd.DataFrame, *, ylabel: str, ticks: Mapping[float, str], mostly: float) -> Figure:
    """Draw how often panels answer each question, a line each over their closed firms, named at its end.

    `rows` has `term`, `closed`, `estimate`, `conf_low`, `conf_high`, in per cent; a term is in the main colour where
    it comes to `mostly`, which is dotted. `ticks` names numbers of closed firms.
    """
    drawing, axes = plt.subplots(figsize=(WIDTH, 2.9))
    lines = list(rows.dropna(subset="estimate").groupby("term", sort=False))
    places = spread(np.array([line["estimate"].iloc[-1] for _, line in lines]), 5.5)
    for (term, line), place in zip(lines, places, strict=True):
        colour = MAIN if line["estimate"].max() >= mostly else REST
        axes.plot(line["closed"], line["estimate"], color=colour, lw=1.2)
        for row in line.to_dict("records"):
            interval(axes, row["closed"], row, (-np.inf, np.inf), colour=colour, upright=True)
        beside_plot(axes, place, f"{number(line['estimate'].iloc[-1], 0)}  {term}", colour)
    axes.axhline(mostly, **DOTTED)
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks([*ticks], [*ticks.values()])
    axes.set(ylabel=ylabel, ylim=(0, 103))
    axis_numbers(axes, "y")
    return drawing


def alive(lives: Estimate, *, horizon: int, names: tuple[str, str]) -> Figure | Estimate:
    """Draw the share of firms still selling by month, with intervals of two errors; the area counts to `horizon`.

    ``lives.details["curves"]`` has `treated`, `month`, `survival`, `std_error`; `names` are those of the treated and of
    the others.
    """
    if lives.refused:
        return lives
    curves = lives.details["curves"]
    drawing, axes = plt.subplots(figsize=(WIDTH, 2.3))
    ends = []
    for treated, colour in ((True, MAIN), (False, REST)):
        own = curves[(curves["treated"] == treated) & (curves["month"] < horizon)]
        month = np.r_[0, own["month"], horizon]
        share, error = (np.r_[one, own[of]] for of, one in (("survival", 1.0), ("std_error", 0.0)))
        share, error = np.append(share, share[-1]), np.append(error, error[-1])
        low, high = np.clip(share - 2 * error, 0, 1), np.clip(share + 2 * error, 0, 1)
        axes.fill_between(month, low, high, step="post", color=colour, alpha=0.15, lw=0)
        axes.step(month, share, where="post", color=colour)
        ends.append(share[-1])
    for name, place, colour in zip(names, spread(np.array(ends), 0.08), (MAIN, REST), strict=True):
        beside_plot(axes, place, name, colour)
    axes.set(xlabel="months since the closure, or since the same month for firms not closed", ylabel="still selling")
    axes.set(xlim=(None, horizon), ylim=(0, 1.03))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    vars(drawing)["data"] = curves[curves["month"] < horizon]
    return drawing


@chart
def dose_response(
    bins: pd.DataFrame, lines: pd.DataFrame, placebo: pd.DataFrame, *, xlabel: str, ylabel: str
) -> Figure:
    """Draw effects by bin of exposure with intervals over the slope and its band, a panel per origin.

    `bins` has `origin`, `exposure`, `lowest` (shares), `estimate`, `conf_low`, `conf_high` (per cent) and, where it is
    known, `truth`; `lines` and `placebo` have `origin`, `exposure`, `estimate`, `conf_low`, `conf_high`. An interval
    that goes on beyond `REACH` to either side ends in an arrow.
    """
    origins = list(dict.fromkeys(bins["origin"]))
    drawing, grid = plt.subplots(1, len(origins), figsize=(WIDTH, 2.4), sharey=True, squeeze=False)
    for axes, origin in zip(grid[0], origins, strict=True):
        own, line, fake = (part[part["origin"] == origin] for part in (bins, lines, placebo))
        axes.set_title(origin)
        axes.axhline(0, **ZERO)
        if own["estimate"].isna().all():
            axes.text(0.5, 0.7, NOT_ESTIMABLE, transform=axes.transAxes, ha="center", color=REST)
            axes.set_xlim(0, 10)
        axes.fill_between(100 * line["exposure"], line["conf_low"], line["conf_high"], color=BAND, lw=0)
        axes.plot(100 * fake["exposure"], fake["estimate"], color=REST, lw=1.0, ls=":", label="a year before")
        axes.plot(100 * line["exposure"], line["estimate"], color=MAIN, lw=1.2, label="slope")
        axes.plot(100 * own["lowest"].head(1), [0] * len(own.head(1)), "o", color=MAIN, mfc="white", ms=5)
        for row in own.dropna(subset=["estimate", "conf_low"]).to_dict("records"):
            interval(axes, 100 * row["exposure"], row, (-REACH, REACH), upright=True)
        if "truth" in own and own["truth"].notna().any():
            axes.plot(100 * own["exposure"], own["truth"], "D", **TRUTH)
        axes.set(ylim=(-REACH, REACH), xlabel=xlabel)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axis_numbers(axes, "x")
        axis_numbers(axes, "y", signed=True)
    grid[0, 0].set_ylabel(ylabel)
    grid[0, 0].legend(loc="lower left", ncols=3)
    return drawing
