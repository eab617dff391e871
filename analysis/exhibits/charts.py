"""Charts with one row per term, charts of dates and draws, and helpers for all charts.

Each function draws one kind of chart from tidy rows. It computes nothing, labels directly and
always draws the uncertainty. A refused Estimate is returned unchanged, and `figure` explains why
there is no figure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from inspect import signature
from textwrap import fill, wrap
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import numpy as np
import pandas as pd
import seaborn as sns
from fewtreated.errors import NOT_ESTIMABLE
from matplotlib import dates
from matplotlib import pyplot as plt
from matplotlib.colors import ListedColormap, to_hex
from matplotlib.ticker import (
    Formatter,
    LogFormatter,
    MaxNLocator,
    NullLocator,
    ScalarFormatter,
)

from analysis.estimate import Estimate
from analysis.evidence.verdicts import CONTRADICTED, NOT_SHOWN, NOT_TESTABLE, SUPPORTED
from analysis.exhibits.payload import estimate_rows, of_figure, refused
from analysis.exhibits.style import BAND, BESIDE, FAINT, INK, MAIN, REST, WIDTH
from analysis.numbers import number, span

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Options = ParamSpec("Options")
Style = dict[str, Any]
Row = Mapping[str, Any]  # in a table of estimates
Ends = tuple[float, float]
ALL = (-np.inf, np.inf)
LONGEST_TERM = 60  # characters per line
ZERO: Style = {"color": INK, "lw": 0.7, "ls": "-", "zorder": 1}
TRUTH: Style = {"color": INK, "mfc": "white", "ms": 5, "ls": "none", "label": "truth", "zorder": 4}


def chart(
    draw: Callable[Concatenate[Any, Options], Figure],
) -> Callable[Concatenate[Any, Options], Figure | Estimate]:
    """Decorate a chart function so that it accepts an Estimate and stores the data drawn.

    A refused Estimate is returned unchanged. The data are stored in the attribute `data` of the
    figure.
    """

    @wraps(draw)
    def drawn(rows: Any, /, *more: Options.args, **options: Options.kwargs) -> Figure | Estimate:
        if refused(rows):
            return rows  # type: ignore[no-any-return]
        drawing = draw(estimate_rows(rows), *more, **options)
        vars(drawing)["data"] = of_figure(
            signature(draw).bind(estimate_rows(rows), *more, **options).arguments
        )
        return drawing

    return drawn


# Helpers


class Ticks(Formatter):
    """Axis tick formatter that shows as many decimals as the ticks need.

    Numbers are written in the style of the reports.
    """

    def __init__(self, *, signed: bool) -> None:
        self.signed = signed
        self.decimals = 0

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Format one tick; `pos` is ignored."""
        return number(x, self.decimals, signed=self.signed)

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """Format all ticks with the same number of decimals.

        Steps of 2.5, for example, are not printed as steps of 2 and 3.
        """
        written = [f"{round(float(value), 9):.10g}" for value in values]
        self.decimals = max((len(text.partition(".")[2]) for text in written), default=0)
        return [self(value) for value in values]


def axis_numbers(axes: Axes, which: str = "xy", *, signed: bool = False) -> None:
    """Format the ticks of one or both axes with :class:`Ticks`."""
    for name in which:
        getattr(axes, f"{name}axis").set_major_formatter(Ticks(signed=signed))


def terms_axis(
    axes: Axes, terms: Iterable[str], *, width: int = LONGEST_TERM, size: float = 7.5
) -> np.ndarray:
    """Write terms beside a plot, one per row from the top, and return the height of each row."""
    names = [fill(term, width) for term in terms]
    heights = np.arange(len(names))[::-1]
    axes.set_yticks(heights, names)
    axes.tick_params(axis="y", length=0, labelsize=size)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(-0.6, len(names) - 0.4)
    return heights


def interval(
    axes: Axes, at: float, row: Row, far: Ends = ALL, *, colour: str = MAIN, across: bool = False
) -> None:
    """Draw a point with an interval, vertically or `across`.

    An interval that extends beyond `far` ends in an arrow.
    """

    def put(values: Sequence[float], *style: str, **more: Any) -> None:
        along = [at] * len(values)
        axes.plot(
            *((values, along) if across else (along, values)),
            *style,
            color=colour,
            zorder=3,
            **more,
        )

    low = row["conf_low"]
    high = row["conf_high"]
    put(np.clip([low, high], *far).tolist())
    put([row["estimate"]], "o", ms=5)
    for beyond, edge, marker in (
        (low < far[0], far[0], "v<"[across]),
        (high > far[1], far[1], "^>"[across]),
    ):
        if beyond:
            put([edge], marker, ms=5, clip_on=False)


def near(
    axes: Axes, at: tuple[float, float], text: str, shift: tuple[float, float], **style: Any
) -> None:
    """Write text next to a position in a plot.

    `shift` is the offset in points.
    """
    axes.annotate(
        text,
        at,
        xytext=shift,
        **Style(textcoords="offset points", fontsize=7.5, va="center") | style,
    )


def legend_above(axes: Axes, *, lines: int = 0) -> None:
    """Place the legend above a plot, leaving room for `lines` of text."""
    axes.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, borderaxespad=0.5 + 1.4 * lines
    )


def draw_truth(axes: Axes, rows: pd.DataFrame, x: Any, y: Any) -> bool:
    """Draw true values as hollow diamonds, and return whether there are any."""
    if "truth" not in rows or rows["truth"].isna().all():
        return False
    axes.plot(x, y, "D", **TRUTH)
    return True


# One row per term


@chart
def forest(
    rows: pd.DataFrame,
    *,
    xlabel: str,
    strong: Sequence[str] | None = None,
    margin: tuple[float, float] | None = None,
    reach: float | None = None,
    signed: bool = True,
) -> Figure:
    """Draw a forest plot with one row per term.

    A row shows a point with its interval, a bar if there is only an interval (a set), or a note.
    "At most" precedes an estimate that is the upper end of an interval without a lower one.

    Parameters
    ----------
    rows : DataFrame or Estimate
        `term`, `estimate`, `conf_low`, `conf_high`; optionally `placebo_low` and `placebo_high`, a
        pale bar behind, and `truth`, a hollow diamond.
    strong : sequence of str, optional
        Terms in the main colour, others being grey; all by default.
    margin : (low, high), optional
        Shaded range; one end may be infinite. Intervals are written beside such a chart.
    reach : float, optional
        Limits beyond ``-reach`` or ``reach`` end in an arrow, as infinite ones always do; larger
        estimates extend the axis.
    signed : bool
        Whether positive numbers get a plus sign.
    """
    # points
    if len(rows) <= 15:
        size = 7.5
    else:
        size = 6.0
    lines = max(len(wrap(term, LONGEST_TERM)) for term in rows["term"])
    drawing, axes = plt.subplots(
        figsize=(WIDTH, 0.7 + (0.12 * lines + (0.11 if size > 7 else 0.02)) * len(rows))
    )
    heights = terms_axis(axes, rows["term"], size=size)
    colours = [MAIN if strong is None or term in strong else REST for term in rows["term"]]
    texts = _intervals(axes, heights, rows, colours, reach, written=margin is not None)
    for height, text, colour in zip(heights, texts, colours, strict=True):
        if signed:
            shown = text
        else:
            shown = text.replace("+", "")
        near(
            axes,
            (1.01, height),
            shown,
            (0, 0),
            xycoords=("axes fraction", "data"),
            color=colour,
            fontsize=size,
        )
    if draw_truth(axes, rows, rows.get("truth"), heights):
        legend_above(axes, lines=1 if margin else 0)
    axes.axvline(0, **ZERO)
    axes.set_xlabel(xlabel)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axis_numbers(axes, "x", signed=signed)
    if margin:
        _shade_margin(axes, margin, signed=signed)
    return drawing


@chart
def money_line(
    rows: pd.DataFrame,
    *,
    band: tuple[float, float],
    needed: str,
    xlabel: str,
    size: tuple[float, float] = (WIDTH, 1.75),
) -> Figure:
    """Draw sums of money on one line, on a log scale, over the band in which something happens.

    Parameters
    ----------
    rows : DataFrame
        `term`, `note` (may be empty), `conf_low` and `conf_high`: a bar if the ends differ, a
        point if they are equal, and one with an arrow if the high end is infinite ("more than"). A
        point is hollow if `asserted`. Names stand below and above the line by turns.
    band : (low, high)
        Shaded range.
    needed : str
        What the range is, written over it.
    xlabel : str
        What the sums are, with their unit.
    size : (width, height)
        In inches.
    """
    drawing, axes = plt.subplots(figsize=size)
    axes.set(xscale="log", ylim=(-1, 1), yticks=[], xlabel=xlabel)
    axes.tick_params(bottom=False, labelbottom=False)
    axes.spines["left"].set_visible(False)
    axes.axhline(0, **ZERO)
    axes.axvspan(*band, color=BAND, lw=0, zorder=0)
    middle = float(np.sqrt(band[0] * band[1]))
    above: Style = {"ha": "center", "va": "top", "fontsize": 8, "color": MAIN, "weight": "bold"}
    near(axes, (middle, 1), f"{needed}\n{_ends(*band)}", (0, -4), **above)
    for at, row in enumerate(rows.to_dict("records")):
        _sum_of_money(axes, row, above=at % 2 == 1)
    low = min(rows["conf_low"].min(), band[0])
    high = max(rows["conf_low"].max(), band[1])
    axes.set_xlim(low / 1.5, high * 1.7)
    axes.xaxis.set_minor_locator(NullLocator())
    return drawing


def _sum_of_money(axes: Axes, row: Row, *, above: bool) -> None:
    """Draw a sum on a line of money, with its name above or below."""
    low = row["conf_low"]
    high = row["conf_high"]
    side = 1 if above else -1
    if high == np.inf:
        arrow = Style(arrowstyle="->", color=MAIN, lw=1.5, shrinkA=0, shrinkB=0)
        axes.annotate("", (low * 1.25, 0), (low, 0), arrowprops=arrow)
        high = low
    if high > low:
        axes.plot([low, high], [0, 0], color=MAIN, lw=6, zorder=3)
    else:
        inside = "white" if row["asserted"] else MAIN
        axes.plot(low, 0, "o", color=MAIN, mfc=inside, ms=7, zorder=3)
    look: Style = {"ha": "center", "va": "bottom" if above else "top", "fontsize": 7.5}
    lines = (row["term"], _ends(low, row["conf_high"]), row["note"])
    middle = (float(np.sqrt(low * high)), 0)
    near(axes, middle, "\n".join(filter(None, lines)), (0, 8 * side), **look)


def _ends(low: float, high: float) -> str:
    """Write a range: its two ends, one number, or what it exceeds."""
    if high == np.inf:
        return f"more than {number(low)}"
    if low == high:
        return number(low)
    return f"{number(low)} to {number(high)}"


@chart
def heat(rows: pd.DataFrame, *, x: str, y: str, xlabel: str, ylabel: str) -> Figure:
    """Draw numbers in a table whose cells are the darker the larger the number, by panel.

    Parameters
    ----------
    rows : DataFrame
        The columns `x` and `y` (text, in the order of the rows), `estimate`, and `panel`, the title
        of a table; the tables stand side by side and share their colours.
    """
    panels = dict(iter(rows.groupby("panel", sort=False)))
    tall = 0.75 + 0.21 * rows[y].nunique()
    drawing, grid = plt.subplots(
        1, len(panels), figsize=(WIDTH, tall), sharey=True, squeeze=False, layout="constrained"
    )
    look: Style = {"cbar": False, "annot": True, "fmt": ".1f", "annot_kws": {"fontsize": 7.5}}
    look |= {"vmin": 0, "vmax": 1.6 * float(rows["estimate"].max()), "linewidths": 0.5}
    shades = sns.light_palette(to_hex(MAIN), as_cmap=True)
    for axes, (title, cells) in zip(grid[0], panels.items(), strict=True):
        order = {"index": cells[y].unique(), "columns": cells[x].unique()}
        wide = cells.pivot(index=y, columns=x, values="estimate").reindex(**order)
        sns.heatmap(wide, ax=axes, cmap=shades, **look)
        axes.set_title(title)
        axes.set(xlabel=xlabel, ylabel="")
        axes.tick_params(length=0, rotation=0)
    grid[0, 0].set_ylabel(ylabel)
    return drawing


def _intervals(
    axes: Axes,
    heights: np.ndarray,
    rows: pd.DataFrame,
    colours: Sequence[str],
    reach: float | None,
    *,
    written: bool,
) -> Iterator[str]:
    """Draw estimates, sets and placebos, and yield the text beside each row."""
    axes.use_sticky_edges = False  # bars get the same margins as points
    ends = rows[["estimate"] if reach else ["estimate", "conf_low", "conf_high"]].to_numpy(float)
    far = max(reach or 0.0, 1.1 * np.abs(ends[np.isfinite(ends)]).max(initial=0.0))
    for height, row, colour in zip(heights, rows.to_dict("records"), colours, strict=True):
        if pd.notna(row.get("placebo_low")):
            width = row["placebo_high"] - row["placebo_low"]
            axes.barh(
                height, width, left=row["placebo_low"], height=0.4, color=FAINT, lw=0, zorder=1
            )
        text = span(row["conf_low"], row["conf_high"], "percentage points")
        if pd.notna(row["estimate"]):
            interval(axes, height, row, (-far, far), colour=colour, across=True)
            most = "at most " * ((row["conf_low"], row["conf_high"]) == (-np.inf, row["estimate"]))
            if not written:
                text = most + number(row["estimate"], signed=True)
        elif pd.notna(row["conf_low"]):
            low, high = np.clip([row["conf_low"], row["conf_high"]], -far, far)
            axes.barh(height, high - low, left=low, height=0.28, color=colour, lw=0, zorder=2)
        else:
            text = NOT_ESTIMABLE
        yield text


def _shade_margin(axes: Axes, margin: tuple[float, float], *, signed: bool) -> None:
    """Shade the range inside a margin, and label its finite ends above the plot."""
    for end, side in zip(margin, ("right", "left"), strict=True):
        if np.isfinite(end):
            axes.axvline(end, color=INK, lw=0.9, ls=(0, (3, 2)), zorder=1)
            name = f"margin: {number(end, signed=signed)}"
            over = ("data", "axes fraction")
            axes.annotate(name, (end, 1.01), xycoords=over, ha=side, fontsize=7)
    limits = axes.get_xlim()
    axes.axvspan(*np.clip(margin, *limits), color=BAND, zorder=0, lw=0)
    axes.set_xlim(limits)


@chart
def stacked(
    rows: pd.DataFrame,
    *,
    parts: Mapping[str, str],
    unsure: str,
    xlabel: str,
    size: tuple[float, float] | None = None,
) -> Figure:
    """Draw one horizontal bar per term, stacked from its parts, with a note at its end.

    Parameters
    ----------
    rows : DataFrame
        `group` and `term`, written beside the bars; `note`, written at their ends; and the columns
        named in `parts`. Groups stand apart.
    parts : mapping of column to label
        In the order in which they are stacked.
    unsure : str
        The column that is hatched, since it may belong to either neighbour.
    xlabel : str
        Label of the axis of numbers.
    size : (width, height), optional
        In inches; by default as wide as the page, and as high as the bars need.
    """
    drawing, axes = plt.subplots(figsize=size or (WIDTH, 0.85 + 0.25 * len(rows)))
    apart = 0.6 * (rows["group"] != rows["group"].shift()).cumsum()
    heights = -(np.arange(len(rows)) + apart.to_numpy())
    looks = _looks_of_parts(parts, unsure)
    left = np.zeros(len(rows))
    for name, label in parts.items():
        widths = rows[name].to_numpy(float)
        axes.barh(heights, widths, left=left, height=0.72, label=label, **looks[name])
        left += widths
    for height, end, note in zip(heights, left, rows["note"], strict=True):
        near(axes, (end, height), note, (4, 0))
    axes.set_yticks(heights, [fill(term, LONGEST_TERM) for term in rows["term"]])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlim(0, 1.22 * left.max())
    axes.set_xlabel(xlabel)
    axis_numbers(axes, "x")
    legend_above(axes)
    return drawing


def sales_by_place(sold: pd.DataFrame, *, small: bool = False) -> Figure | Estimate:
    """Draw what sellers sold on Amazon and elsewhere, with Amazon's part at the ends of the bars.

    `sold` is from :func:`analysis.evidence.shift.stacks`. What may have been sold in either place
    is hatched. A seller is named once. A `small` figure is for the brief: it stands beside a text,
    and Amazon's part is not written.
    """
    named = (sold["firm"] + ", ").where(sold["firm"] != sold["firm"].shift(), "")
    rows = sold.assign(group=sold["firm"], term=named + sold["period"], note="")
    parts = {"on_amazon": "on Amazon", "either": "either", "elsewhere": "elsewhere"}
    if small:
        size = (BESIDE, 0.6 + 0.15 * len(rows))
        drawing: Any = stacked(rows, parts=parts, unsure="either", xlabel="billion yuan", size=size)
        drawing.axes[0].xaxis.set_major_locator(MaxNLocator(2, steps=[5, 10]))
        return drawing  # type: ignore[no-any-return]
    rows["note"] = [_part(*ends) for ends in sold[["part_low", "part_high"]].to_numpy()]
    parts["either"] = "one or the other"
    xlabel = "billion yuan; at the ends Amazon’s part"
    return stacked(rows, parts=parts, unsure="either", xlabel=xlabel)


def _part(low: float, high: float) -> str:
    """Write a part of a whole, from its least to its largest."""
    if high - low >= 100:
        return "unknown"
    return f"{' to '.join(dict.fromkeys(number(end, 0) for end in (low, high)))}%"


def _looks_of_parts(parts: Iterable[str], unsure: str) -> dict[str, Style]:
    """Return a colour for each part of a bar, and hatching for the one that is unsure."""
    colours = iter((MAIN, FAINT, BAND))
    hatched: Style = {"facecolor": REST, "hatch": "/////", "lw": 0.6}  # lines are white
    return {
        name: hatched if name == unsure else {"facecolor": next(colours), "lw": 0.6}
        for name in parts
    }


@chart
def heat_by_limit(rows: pd.DataFrame, *, x: str, least: float) -> Figure:
    """Draw a map with one row per term, and each number in its cell, dark from a limit on.

    Numbers of at least `least` are dark, others pale; missing ones leave a cell empty. Terms and
    columns keep the order in which they first come.

    Parameters
    ----------
    rows : DataFrame
        `term`, `estimate` and the column `x`.
    x : str
        Column whose values are the columns of the map.
    least : float
        Number from which a cell is dark.
    """
    wide = rows.pivot(index="term", columns=x, values="estimate")
    wide = wide.loc[rows["term"].unique(), rows[x].unique()]
    terms = [fill(term, LONGEST_TERM) for term in wide.index]
    across = max(12, 92 // len(wide.columns))
    heads = ["\n".join(fill(line, across) for line in str(head).split("\n")) for head in wide]
    lines = sum(term.count("\n") + 1 for term in terms)
    above = max(head.count("\n") + 1 for head in heads)
    if lines > 12:
        room = 0.16 * lines  # inches
    else:
        room = 0.2 * lines
    drawing, axes = plt.subplots(figsize=(WIDTH, 0.3 + 0.13 * above + room))
    shades = wide.ge(least).mask(wide.isna()).astype(float)
    sns.heatmap(
        shades,
        annot=wide.map(lambda cell: number(cell, 0)).to_numpy(),
        fmt="",
        annot_kws={"fontsize": 7.5},
        cmap=ListedColormap([BAND, MAIN]),
        vmin=0,
        vmax=1,
        cbar=False,
        linewidths=0.8,
        xticklabels=False,
        yticklabels=False,
        ax=axes,
    )
    axes.set_xticks(np.arange(len(heads)) + 0.5, heads)
    axes.set_yticks(np.arange(len(terms)) + 0.5, terms)
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=7.5, labelrotation=0)
    axes.set(xlabel="", ylabel="")
    return drawing


def styled(drawing: Any, high: float) -> Any:
    """Give a drawing of seaborn the width of the page, and numbers as in the reports.

    Parameters
    ----------
    drawing : Axes or seaborn grid
    high : float
        Height, inches.

    Returns
    -------
    Axes or seaborn grid
        `drawing`.
    """
    drawing.figure.set_layout_engine("constrained")
    drawing.figure.set_size_inches(WIDTH, high)
    for axes in drawing.figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if isinstance(axis.get_major_formatter(), ScalarFormatter | LogFormatter):
                axis.set_major_formatter(Ticks(signed=False))
                axis.set_minor_locator(NullLocator())
    return drawing


# A tile per statement

TILES: dict[str, Style] = {
    SUPPORTED: {"facecolor": "#0068a3", "edgecolor": "#0068a3", "color": "white"},
    CONTRADICTED: {"facecolor": "#b84a00", "edgecolor": "#b84a00", "color": "white"},
    NOT_SHOWN: {"facecolor": "white", "edgecolor": "#5a6672", "color": "#3d4852"},
    NOT_TESTABLE: {"facecolor": "#f3f4f6", "edgecolor": "#7b8794", "color": "#4a5560", "ls": ":"},
}
"""Looks of the verdicts, as in print and on the pages of a release."""


@chart
def tiles(said: pd.DataFrame) -> Figure:
    """Draw a tile per statement, in a row per speaker, with the look of the verdict on it.

    `said` is from :func:`analysis.evidence.claims.scored`. Tiles of one speaker stand in the order
    of the verdicts; the legend counts those of each.
    """
    of_speakers = dict(iter(said.groupby("speaker", sort=False)))
    most = max(map(len, of_speakers.values()))
    drawing, axes = plt.subplots(figsize=(WIDTH, 0.45 + 0.44 * len(of_speakers)))
    heights = terms_axis(axes, of_speakers, size=8)
    places = {word: place for place, word in enumerate(TILES)}
    for height, rows in zip(heights, of_speakers.values(), strict=True):
        ordered = rows.sort_values("word", key=lambda words: words.map(places), kind="stable")
        for left, row in enumerate(ordered.to_dict("records")):
            _tile(axes, (left, height), row["short"], **TILES[row["word"]])
    counted = said["word"].value_counts()
    for word, look in TILES.items():
        axes.fill([], [], label=f"{word} ({counted.get(word, 0)})", **_without_text(look))
    axes.set(xlim=(-0.03, most), xticks=[])
    axes.spines["bottom"].set_visible(False)
    legend_above(axes)
    return drawing


def _tile(axes: Axes, at: tuple[float, float], text: str, **look: Any) -> None:
    """Draw a tile with a text in it; `at` is the middle of its left side."""
    axes.barh(at[1], 0.94, left=at[0], height=0.84, lw=0.9, **_without_text(look))
    inside: Style = {"ha": "center", "va": "center", "fontsize": 6.3, "color": look["color"]}
    axes.text(at[0] + 0.47, at[1], fill(text, 13), **inside)


def _without_text(look: Style) -> Style:
    return {name: value for name, value in look.items() if name != "color"}


# Dates and draws


@chart
def timeline(rows: pd.DataFrame) -> Figure:
    """Draw a timeline with a diamond for a day or two and a bar for each longer period.

    `rows` has `term`, `first` and `last`. Rows marked in an optional column `strong` are dark.
    """
    drawing, axes = plt.subplots(figsize=(WIDTH, 0.45 + 0.18 * len(rows)))
    heights = terms_axis(axes, rows["term"], width=52)
    for height, row in zip(heights, rows.to_dict("records"), strict=True):
        if row.get("strong"):
            colour = MAIN
        else:
            colour = REST
        if row["last"] - row["first"] <= pd.Timedelta(days=2):
            axes.plot(row["first"], height, "D", color=colour, ms=4.5, zorder=2)
        else:
            axes.barh(
                height,
                row["last"] - row["first"],
                left=row["first"],
                height=0.45,
                color=colour,
                zorder=2,
            )
    locator = dates.AutoDateLocator(minticks=3, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    return drawing


@chart
def histogram(draws: pd.DataFrame, *, xlabel: str) -> Figure:
    """Draw the distribution of `value` over redrawn closures, and mark the actual value.

    The first row is the actual value.
    """
    drawing, axes = plt.subplots(figsize=(WIDTH, 1.4))
    actual, *drawn = draws["value"]
    sns.histplot(x=drawn, bins=30, color=FAINT, alpha=1, ax=axes)
    axes.axvline(actual, color=MAIN, lw=2.0, ls="-")
    axes.set(xlabel=xlabel, ylabel="number")
    style = {"xycoords": ("data", "axes fraction"), "ha": "center", "color": MAIN}
    near(axes, (actual, 1.0), f"actual {number(actual, signed=True)}", (0, 6), **style)
    axis_numbers(axes, "x", signed=True)
    axis_numbers(axes, "y")
    return drawing
