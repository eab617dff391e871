"""Totals and shares that bound the closures' effect on growth on Amazon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, stats

from analysis import data, series
from analysis.errors import DataError, DesignError
from analysis.estimate import Estimate
from analysis.estimators.its import its_fan
from analysis.numbers import span
from analysis.series import Series

AMAZON = "Amazon (own filings)"
SHARES = ["market share of Chinese sellers", "share of top sellers based in China"]
FLOOR, ASSERTED = "US dollars of yearly GMV (more than)", "yuan of losses (more than)"
SOURCE = ["source_publisher", "source_url"]
BOUNDS = {"at most": -np.inf, "at least": np.inf}  # open ends of readings that are bounds

Range = tuple[float, float]


def lead() -> Series:
    """Return third-party services' lead over online stores in yearly growth, points by quarter."""
    quarterly: dict[str, Any] = {"platform": "Amazon", "publisher": AMAZON, "freq": "Q"}
    services, stores = (
        series.growth(series.published("platform_quarterly", series=name, **quarterly))
        for name in ("third_party_seller_services", "net_sales_online_stores")
    )
    return series.difference(services, stores)


def lead_noise() -> float:
    """Return the standard deviation of the lead over the two years before the closures, percentage points."""
    return float(lead().values["2019Q1":"2020Q4"].std())


def third_party_sales() -> Series:
    """Return Marketplace Pulse's estimates of third-party sales on Amazon by year, billion US dollars."""
    return _third_party("third-party GMV (estimate)")


def third_party_growth() -> Series:
    """Return yearly growth of third-party sales as stated by Marketplace Pulse, per cent.

    Its totals may come from different vintages, so growth computed from them can differ from the growth stated.
    """
    return _third_party("yoy growth of third-party GMV (estimate)")


def _third_party(measure: str) -> Series:
    """Return one measure by the publisher of the 2020 third-party sales."""
    file = "platform_shift_evidence"
    sales = series.rows(file).query("measure == 'third-party GMV (estimate)' and date == '2020'")
    publisher = sales["publisher"].iloc[0]
    return series.published(file, measure=measure, platform="Amazon", publisher=publisher, freq="A")


def closed_sales(yuan_per_dollar: float) -> Range:
    """Return the range of closed accounts' yearly sales, billion US dollars.

    The lower end is Marketplace Pulse's figure for the first suspended sellers (a floor for any count); the upper is
    the loss asserted by the trade group ("more than"), converted from yuan.
    """
    events = data.load("events").set_index("unit")["quantity"]
    if (matches := [int((events.index == unit).sum()) for unit in (FLOOR, ASSERTED)]) != [1, 1]:
        raise DataError(f"Cannot bound closed sales: events.csv has {matches} floors and losses; keep one of each")
    return events[FLOOR] / 1e9, events[ASSERTED] / 1e9 / yuan_per_dollar


def shares() -> pd.DataFrame:
    """Return published pairs of Chinese shares before and after the closures, one definition each.

    Returns
    -------
    DataFrame
        `measure`, `marketplace`, `publisher`, `first`, `before`, `last`, `after` (per cent) and `change` (points):
        every series of shares of sales or of top sellers observed in December 2020 or January 2021, and again
        between September and December 2021.
    """
    frame = series.rows("chinese_seller_share").query("measure in @SHARES")
    keys = ["measure", "marketplace", "publisher"]
    frame = frame[[*keys, "date", "value"]]
    early = frame[frame["date"].between("2020-12", "2021-01")].rename(columns={"date": "first", "value": "before"})
    late = frame[frame["date"].between("2021-09", "2021-12")].rename(columns={"date": "last", "value": "after"})
    both = early.merge(late, on=keys)
    return both.assign(change=both["after"] - both["before"])


def across_definitions() -> tuple[pd.DataFrame, float]:
    """Return the lowest growth that mixing two definitions of the share would give, to show why we keep to one.

    Returns
    -------
    rows : DataFrame
        Two rows of the file: the highest share of sales or of top sellers on all of Amazon between December 2019 and
        January 2021, and the lowest between September and December 2021.
    growth : float
        Per cent, by the arithmetic of :func:`published_growth`.
    """
    frame = series.rows("chinese_seller_share").query("marketplace == 'Amazon (all)' and unit == 'percent'")
    mine = frame[frame["measure"].str.startswith(tuple(SHARES))].sort_values("value", kind="stable")
    highest, lowest = mine["date"].between("2019-12", "2021-01"), mine["date"].between("2021-09", "2021-12")
    rows = pd.concat([mine[highest].tail(1), mine[lowest].head(1)], ignore_index=True)
    return rows, float(_times_sales(*rows["value"]))


def _times_sales(before: Any, after: Any) -> Any:
    """Return growth, per cent, of sales with the share `before` of third-party sales in 2020 and `after` in 2021."""
    return (100 + third_party_growth().values["2021"]) * after / before - 100


def stated_change() -> float:
    """Return the change in the Chinese share of sales as stated by Amazon, percentage points."""
    stated = data.load("chinese_seller_share").query("unit == 'percentage points, as stated'")
    return float(stated["value"].iloc[0])


def published_growth() -> pd.DataFrame:
    """Return every published reading of Chinese sellers' growth on Amazon from 2020 to 2021, per cent.

    Returns
    -------
    DataFrame
        `reading`, `growth`, `provenance` ("real" as published, "estimate" as share times third-party sales), `source`,
        `of` (sales or number of sellers), `bound` ("at least" for a lower bound), `low` and `high` (infinite
        on the open side of a bound).
    """
    by_share = "sales, by a share of top sellers"
    derived = [
        (f"{row.measure}, {row.before:g} to {row.after:g} %", row.before, row.after, row.publisher, by_share)
        for row in shares().itertuples()
    ]
    by = f"Amazon's statement, times growth by {third_party_growth().publisher}"
    derived.append((f"share of sales changed by {stated_change():g}", 1.0, 1.0, by, "sales, as stated"))
    products = pd.DataFrame(derived, columns=["reading", "before", "after", "source", "of"])
    products["reading"] += ", times sales"
    products["growth"] = _times_sales(products["before"], products["after"])
    stated = (
        series.rows("chinese_seller_share")
        .query("unit == 'percent yoy'")
        .rename(columns={"measure": "reading", "value": "growth", "publisher": "source"})
    )
    stated = stated.assign(provenance="real", of="number of sellers")
    stated["bound"] = stated["bound"].replace({"lower": "at least", "upper": "at most"})
    columns = ["reading", "growth", "provenance", "source", "of", "bound"]
    products = products.assign(provenance="estimate", bound="")
    readings = pd.concat([products[columns], stated[columns]], ignore_index=True)
    low, high = (readings["growth"].where(readings["bound"] != bound, end) for bound, end in BOUNDS.items())
    return readings.assign(low=low, high=high)


def growth_sources() -> pd.DataFrame:
    """Return the rows behind the shares, the growth readings and the closed sales: `source_publisher`, `source_url`."""
    frame, events = data.load("chinese_seller_share"), data.load("events")
    used = frame["measure"].isin(SHARES) & frame["date"].between("2020-12", "2021-12")
    used |= frame["unit"].isin(["percent yoy", "percentage points, as stated"])
    amounts = events["unit"].isin([FLOOR, ASSERTED])
    return pd.concat([frame.loc[used, SOURCE], events.loc[amounts, SOURCE]], ignore_index=True)


def account_map(accounts: list[float], population: float, sd_log_sales: float, tilts: list[float]) -> pd.DataFrame:
    """Tabulate the closed accounts' share of sales, per cent: one row per count, one column per tilt."""
    by_tilt = {
        f"tilt {tilt:g}": [100 * closed_share(n, population, sd_log_sales=sd_log_sales, tilt=tilt) for n in accounts]
        for tilt in tilts
    }
    return pd.DataFrame(by_tilt, index=pd.Index(accounts, name="accounts"))


def fan(first_post: str, horizon: int, *, level: float) -> Estimate:
    """Return the fan of breaks in third-party services' lead, with placebo dates; for falsification only.

    Parameters
    ----------
    first_post : str
        First quarter after the break, such as ``"2021Q3"``.
    horizon, level
        As in :func:`analysis.estimators.its.its_fan`; ``details["placebo_dates"]`` are names of quarters here.
    """
    quarters, y = lead().periods, lead().values.to_numpy()
    breaks = its_fan(y, quarters.index(first_post), horizon=horizon, level=level, unit="percentage points")
    return replace(breaks, details={"placebo_dates": [quarters[date] for date in breaks.details["placebo_dates"]]})


def assumptions(settings: Mapping[str, Any], closed: Range) -> pd.DataFrame:
    """Tabulate the factors of the bounds with the ranges used: `factor`, `low`, `high`, `unit`, `basis`.

    Parameters
    ----------
    settings : mapping
        Parameters of the growth notebook.
    closed : (low, high)
        From :func:`closed_sales`.
    """
    top, assumed = "published shares of top sellers stand in for sales", "assumed: no source"
    loss = "a floor by Marketplace Pulse; the trade group's loss, itself more than"
    share, low, high = (settings[name] for name in ("share", "share_low", "share_high"))
    recapture = (settings["recapture_low"], settings["recapture_high"])
    rows = [
        ("closed sales", *closed, "bn US dollars a year", loss),
        ("Chinese share, range", low, high, "share of sales", top),
        ("Chinese share, one value", share, share, "share of sales", top),
        ("recapture by Chinese rivals", *recapture, "share of closed sales", assumed),
        ("common part", settings["common_low"], settings["common_high"], "percentage points", assumed),
    ]
    return pd.DataFrame(rows, columns=["factor", "low", "high", "unit", "basis"])


def growth_set(base: float, share: Range, closed: Range, recapture: Range, common: Range) -> Range:
    """Bound the closures' effect on Chinese sellers' growth on Amazon (E3g), percentage points of the base year.

    ``-closed (1 - recapture) / (base * share) + common``, at the ends that make it lowest and highest.

    Parameters
    ----------
    base : float
        Third-party sales in the base year, in any currency.
    share : (low, high)
        Chinese share of these, in (0, 1].
    closed : (low, high)
        Yearly sales of closed accounts, in the same currency.
    recapture : (low, high)
        Share of the closed sales that Chinese rivals on Amazon took over, in [0, 1].
    common : (low, high)
        Effect common to all Chinese sellers (trust, chilling, entry), in percentage points.

    Raises
    ------
    DesignError
        If a range is out of bounds or reversed.
    """
    ranges = {"the Chinese share": (share, 1e-9, 1.0), "closed sales": (closed, 0.0, np.inf)}
    ranges |= {"recapture": (recapture, 0.0, 1.0), "the common part": (common, -np.inf, np.inf)}
    for name, (given, low, high) in ranges.items():
        if not low <= given[0] <= given[1] <= high:
            limits = f"it must lie inside [{low}, {high}]"
            raise DesignError(f"Cannot use {given} as the range of {name}: {limits}; give its lower end first")
    worst = -100 * closed[1] * (1 - recapture[0]) / (base * share[0]) + common[0]
    best = -100 * closed[0] * (1 - recapture[1]) / (base * share[1]) + common[1]
    return worst, best


def bounds_by_assumption(
    base: float, *, share: float, share_range: Range, closed: Range, recapture: Range, common: Range
) -> Estimate:
    """Bound E3g under successively stronger assumptions.

    The first step already assumes the ranges of the share, closed sales and common part; only recapture is
    free, anywhere in [0, 1]. Each later step keeps all assumptions above it.

    Parameters are those of :func:`growth_set`; `share` is the single value assumed from the second step on.

    Returns
    -------
    Estimate
        Rows with `term` (the step), `assumption`, `conf_low`, `conf_high` in percentage points of the base year;
        `estimate` is NaN throughout: a set has no point.

    Raises
    ------
    DesignError
        As in :func:`growth_set`, and if `share` lies outside `share_range`.

    References
    ----------
    Manski, C. F. (2011), Policy analysis with incredible certitude, Economic Journal 121, F261-F289.
    """
    if not share_range[0] <= share <= share_range[1]:
        raise DesignError(f"Cannot narrow {share_range} to a share of {share}: it is outside; give one inside")
    point, free, none = (share, share), (0.0, 1.0), (0.0, 0.0)
    ranges = (
        f"Chinese share of sales {100 * share_range[0]:g} to {100 * share_range[1]:g} per cent, sales of closed "
        f"accounts {closed[0]:.3g} to {closed[1]:.3g} billion dollars, effect on all Chinese sellers alike "
        f"{span(*common, 'percentage points')} points"
    )
    taken = (
        f"and rivals took over {100 * recapture[0]:g} to {100 * recapture[1]:g} per cent of the closed accounts' sales"
    )
    untouched = "and nothing touched all Chinese sellers alike"
    shared = f"and the Chinese share of sales is {100 * share:g} per cent"
    rungs = [
        ("assumed ranges", ranges, growth_set(base, share_range, closed, free, common)),
        ("one share", shared, growth_set(base, point, closed, free, common)),
        ("recapture", taken, growth_set(base, point, closed, recapture, common)),
        ("no common part", untouched, growth_set(base, point, closed, recapture, none)),
    ]
    terms, texts, sets = zip(*rungs, strict=True)
    return sets_of("E3g", "percentage points", terms, np.array(sets).T, {"assumption": texts})


def sets_of(estimand: str, unit: str, terms: Sequence[str], limits: Any, columns: Mapping[str, Any]) -> Estimate:
    """Return sets as an Estimate, with limits but no point."""
    return Estimate(
        estimand=estimand,
        unit=unit,
        terms=tuple(terms),
        value=np.full(len(terms), np.nan),
        limits=limits,
        n=1,
        columns=columns,
        interval="bounds",
        reason="sets from totals: there is no sample, hence no standard error",
    )


def closed_share(accounts: float, population: float, *, sd_log_sales: float, tilt: float) -> float:
    """Return closed accounts' share of sales, between 0 and 1, if closure depends on size.

    Sales S are log-normal and an account closes with probability ``min(1, c S^tilt)``, where c solves
    ``E[min(1, c S^tilt)] = accounts / population``. The share is ``E[S min(1, c S^tilt)] / E[S]``, from the moments of
    a truncated log-normal. As long as hardly any account is certain to close, it is near
    ``accounts / population * exp(tilt sd²)``; it never exceeds the share of the very largest accounts.

    Parameters
    ----------
    accounts, population : float
        Closed accounts and all accounts.
    sd_log_sales : float
        Standard deviation of log sales.
    tilt : float
        0 closes accounts at random, 1 in proportion to sales, up to certainty.

    Raises
    ------
    DesignError
        Unless fewer accounts are closed than exist.
    """
    if not 0 < accounts < population:
        raise DesignError(f"Cannot close {accounts} of {population} accounts; give more than 0 and fewer than all")
    fraction, slope = accounts / population, tilt * sd_log_sales  # log probability per standard deviation of log S
    if slope == 0:
        return fraction

    def certain_and_below(minus_log_c: float, shift: float) -> float:
        """Return the mean probability, with accounts weighted by ``exp(shift z)``: above its kink, plus below it."""
        kink = minus_log_c / slope - shift
        below = slope**2 / 2 + slope * shift - minus_log_c + stats.norm.logcdf(kink - slope)
        return float(stats.norm.sf(kink) + np.exp(below))

    # The root lies between closing only the largest, for certain, and no cap at all; 1 more at each end for rounding.
    ends = slope * stats.norm.isf(fraction) - 1, slope**2 / 2 - np.log(fraction) + 1
    cutoff = optimize.brentq(lambda u: certain_and_below(u, 0.0) - fraction, *ends, xtol=1e-13)
    return certain_and_below(cutoff, sd_log_sales)
