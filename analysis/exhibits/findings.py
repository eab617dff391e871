"""Figures and tables of single findings: what they are called, and how they look.

What they show is computed in the reports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Any

import pandas as pd
import seaborn as sns

from analysis import data
from analysis.event import read_event
from analysis.evidence import claims, listed
from analysis.exhibits.answers import scorecard
from analysis.exhibits.blocks import Block, table
from analysis.exhibits.charts import money_line, styled
from analysis.exhibits.curves import paths, shade_days, shares_chart
from analysis.exhibits.style import BESIDE, WIDTH
from analysis.numbers import day, points

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.estimate import Estimate


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
        log=True,
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


def money_figure(
    closed: Sequence[float],
    counted: Sequence[float],
    needed: pd.Series,
    fall: float,
    *,
    note: str = "",
    small: bool = False,
) -> Figure | Estimate:
    """Draw what is published of closed accounts' sales over what a fall of growth needs.

    Parameters
    ----------
    closed : (floor, loss)
        Sales of the first accounts, and the loss that the trade group asserts.
    counted : (low, high)
        Our own count from below.
    needed : Series
        Sales that a fall needs, by share and date.
    fall : float
        The fall, percentage points.
    note : str
        Written below the trade group's loss.
    small : bool
        Whether the figure is for the brief.
    """
    floor, loss = closed
    low, high = counted
    rows = pd.DataFrame(
        [
            ("first accounts", floor, inf, False, ""),
            ("our count", low, high, False, ""),
            ("trade group’s loss", loss, inf, True, note),
        ],
        columns=["term", "conf_low", "conf_high", "asserted", "note"],
    )
    return money_line(
        rows,
        band=(needed.min(), needed.max()),
        needed=f"needed for a fall of {points(fall)}",
        xlabel="billion dollars a year (log)",
        size=(BESIDE, 1.35) if small else (WIDTH, 1.75),
    )


def purchases_figure(
    exposed: pd.DataFrame, similar: pd.DataFrame, *, height: float = 3.2, **more: Any
) -> Figure | Estimate:
    """Draw the Chinese share of purchases where closed accounts had sold, and elsewhere.

    Parameters are as for :func:`analysis.exhibits.curves.shares_chart`.
    """
    lines = {"where closed\naccounts had sold": exposed, "similar\ncategories": similar}
    label = "Chinese brands, % of purchases"
    return shares_chart(lines, ylabel=label, height=height, **more)


def accounts_figure(cells: pd.DataFrame, margin: float) -> Figure:
    """Draw growth in each market by the accounts closed, and by what they had sold.

    `cells` have `accounts`, `share`, `tilt`, `seed` and `E3g`; a dashed line is at the `margin`.
    """
    measures = {"accounts": "by accounts closed", "share": "by sales closed, per cent"}
    drawn = cells.assign(share=100 * cells["share"]).rename(columns=measures)
    drawn = drawn.melt(["E3g", "tilt", "seed"], [*measures.values()], "measure", "closed")
    shades = sns.light_palette("C0", drawn["tilt"].nunique() + 1)[1:]
    lines = {"kind": "line", "hue": "tilt", "units": "seed", "estimator": None, "palette": shades}
    lines |= {"facet_kws": {"sharex": False, "legend_out": False}}
    grid = sns.relplot(drawn, x="closed", y="E3g", col="measure", **lines)
    grid.set(xscale="log", xlabel="", ylabel="change of growth, points").set_titles("{col_name}")
    grid.refline(y=-margin)
    drawing = styled(grid, 3.0)
    vars(drawing)["data"] = drawn
    return drawing  # type: ignore[no-any-return]


# Tables


def firms_table(told: pd.DataFrame, before: int, after: int, source: Any) -> Block:
    """Return the table of sellers on record, with their figures in two years."""
    amounts = {
        "frozen": "Frozen",
        "revenue_before": f"Revenue {before}",
        "revenue_after": f"{after}",
        "profit_before": f"Profit {before}",
        "profit_after": f" {after}",
    }
    columns = {"seller": "Seller", "hit": "Hit, and stores", **amounts}
    columns["became"] = "What became of it"
    return table(told, columns=columns, decimals=dict.fromkeys(amounts, 0), source=source)


def readings_table(readings: pd.DataFrame) -> Block:
    """Return the table of readings of growth, from :func:`totals.published_growth`."""
    in_short = readings["reading"].str.replace(r", [\d to]+%| \([^)]*bound\)", "", regex=True)
    return table(
        readings.assign(reading=in_short),
        columns={"reading": "Reading", "bound": "Bound", "growth": "Growth, %", "source": "By"},
        signed=["growth"],
        mark="provenance",
        source="the pages listed in the annex",
    )


def titles_table(in_points: Sequence[str], per_cent: Sequence[str]) -> Block:
    """Return the table of how the Chinese share may have changed, by what titles were lost."""
    cases = {
        "If": ["no title was lost", "some were, as in earlier years", "untitled is anything"],
        "All categories, points": [*in_points],
        "Closed accounts’ categories, per cent": [*per_cent, "not bounded"],
    }
    return table(pd.DataFrame(cases), source="as for figure 1", provenance="estimate")


def platforms_table(named: pd.DataFrame) -> Block:
    """Return the table of platforms that sellers name, from :func:`shift.platforms`."""
    heads = ["Seller", "Closed", "As of", "Platforms other than Amazon", "Per cent of revenue"]
    return table(named.set_axis(heads, axis=1), source="Anker; figure 1", provenance="estimate")


def counts_table(counts: pd.DataFrame) -> Block:
    """Return the table of published counts, from :func:`claims.counts`."""
    kinds = counts["what"].str.partition(" (")
    speakers = read_event(data.studied()).speakers
    named = {party: who for party, who in speakers.items() if who != "Analysts"}
    who = counts["counted_by"].replace(named)
    listed_counts = pd.DataFrame({"Counted by": who + ", " + counts["date"].map(day)})
    numbers = counts["value"].map("{:,.0f}".format)
    listed_counts["Number"] = kinds[2].str.rstrip(")") + " " + numbers
    listed_counts["Of what"] = kinds[0].str.removesuffix(" shut") + " " + counts["definition"]
    return table(listed_counts)


def said_table(said: pd.DataFrame, *, tested: bool) -> Block:
    """Return the table of who said what; without verdicts where nothing was `tested`."""
    columns = {"who": "Who, when", "said": "What was said"}
    if tested:
        columns |= {"verdict": "Verdict, and why", "change": "What would change it"}
    else:
        columns["change"] = "What would test it"
    return table(scorecard(said), columns=columns)


def rules_table(rules: pd.DataFrame, used: pd.DataFrame) -> Block:
    """Return the table of rules, with how often each is `used`, by side."""
    times = used.reindex(rules.index, fill_value=0).astype(str).replace("0", "")
    shown = rules[["asks", "supported"]].join(times)
    return table(shown.rename(columns={"asks": "Claim that", "supported": "Supported if"}))


def accounts_table(read: pd.DataFrame) -> Block:
    """Return the table of what closing so many accounts does."""
    columns = {"accounts": "Accounts closed", "tilt": "Size tilt", "share": "Of Chinese sales, %"}
    columns |= {"E3g": "Effect on growth, points", "low": "Low", "high": "High"}
    whole = {"accounts": 0, "share": 2}
    return table(read, columns=columns, signed=["E3g", "low", "high"], decimals=whole)


def edges_table(edges: pd.DataFrame) -> Block:
    """Return the table of the closed sales, and accounts, from which growth falls by the margin."""
    columns = {"tilt": "Size tilt", "share": "Closed sales, %", "low": "Low", "high": "High"}
    columns |= {"accounts": "Accounts closed", "reached": "Markets that reach it"}
    digits = {"share": 2, "low": 2, "high": 2, "accounts": 0, "reached": 0}
    return table(edges, columns=columns, decimals=digits)


def news_in_rows(news: pd.DataFrame, dates: pd.DataFrame, means: pd.DataFrame) -> pd.DataFrame:
    """Return each owner's change after its news as a row with its rank, and then the two means.

    `dates` have the first day by seller; `means` are by the error of each share, and by the spread.
    """
    ranked = news.join(dates).reset_index()
    middle = ranked[["rank_low", "rank_high"]].mean(axis=1).map("{:,.0f}".format)
    ranks = middle.where(ranked["rank_low"] == ranked["rank_high"], "about " + middle)
    of_all = ranked["n_stocks"].map("{:,.0f}".format)
    days = ranked["first_day"].dt.strftime("%-d %B")
    ranked["term"] = ranked["seller"] + ", from " + days + ": rank " + ranks + " of " + of_all
    by = ["mean, by each share’s swings", "mean, by the spread of the three"]
    return pd.concat([ranked, means.assign(term=by)])


def estimators_table(ranked: pd.DataFrame) -> Block:
    """Return the table of estimators, with what each costs."""
    columns = {"label": "Estimator", "coverage": "Right", "width": "Length", "score": "Score"}
    columns |= {"power": "Power", "refused": "Refuses", "warned": "Warns"}
    columns |= {"milliseconds": "ms", "mebibytes": "MiB"}
    decimals = dict.fromkeys(columns, 0) | {"width": 2, "score": 2}
    return table(ranked, columns=columns, decimals=decimals)


def choices_table(choices: pd.DataFrame) -> Block:
    """Return the table of estimates in per cent, by the choice changed."""
    columns = {"choice": "Choice", "estimate": "Change", "conf_low": "From", "conf_high": "To"}
    return table(choices.assign(unit="per cent"), columns=columns | {"unit": "Unit"})
