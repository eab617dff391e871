"""Totals and shares on Amazon: what bounds the closures' effect on Chinese sellers' growth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from analysis import facts
from analysis.errors import DataError, DesignError
from analysis.estimate import Estimate
from analysis.evidence.bounds import closed_share
from analysis.numbers import quantity
from analysis.trends import its_fan

FILINGS = "Amazon (own filings)"
SHARES = ["market share of Chinese sellers", "share of top sellers based in China"]
FLOOR, ASSERTED = "US dollars of yearly GMV (more than)", "yuan of losses (more than)"


def lead() -> facts.Series:
    """Return the lead of third-party services over online stores in yearly growth, points by quarter."""
    services, stores = (
        facts.growth(facts.series("platform_quarterly", platform="Amazon", series=name, publisher=FILINGS, freq="Q"))
        for name in ("third_party_seller_services", "net_sales_online_stores")
    )
    return facts.difference(services, stores)


def lead_noise() -> float:
    """Return the standard deviation of the lead over the two years before the closures, percentage points."""
    return float(lead().values["2019Q1":"2020Q4"].std())


def third_party_sales() -> facts.Series:
    """Return Marketplace Pulse's estimates of third-party sales on Amazon by year, billion US dollars."""
    frame = facts.rows("platform_shift_evidence")
    mine = frame[frame["measure"] == "third-party GMV (estimate)"]
    publisher = mine.loc[mine["date"] == "2020", "publisher"].iloc[0]
    return facts.series(
        "platform_shift_evidence",
        measure="third-party GMV (estimate)",
        platform="Amazon",
        publisher=publisher,
        freq="A",
    )


def closed_sales(yuan_per_dollar: float) -> tuple[float, float]:
    """Return the range of yearly sales of closed accounts, billion US dollars.

    The lower end is what Marketplace Pulse put on the first suspended sellers (a floor for any count); the upper is
    the loss that the trade group asserts ("more than"), translated from yuan.

    Raises
    ------
    DataError
        If the two events are not in the record exactly once.
    """
    events = facts.load("events")
    floor = events.loc[events["unit"] == FLOOR, "quantity"]
    asserted = events.loc[events["unit"] == ASSERTED, "quantity"]
    if len(floor) != 1 or len(asserted) != 1:
        raise DataError(
            f"events.csv: one floor and one asserted loss were asked for; found {len(floor)} and {len(asserted)}; "
            "keep one row of each"
        )
    return float(floor.iloc[0]) / 1e9, float(asserted.iloc[0]) / 1e9 / yuan_per_dollar


def shares() -> pd.DataFrame:
    """Return the published pairs of a Chinese share before and after the closures, one definition each.

    Returns
    -------
    DataFrame
        `measure`, `marketplace`, `publisher`, `first`, `before`, `last`, `after` (per cent) and `change` (points):
        every series of shares of sales or of top sellers that was observed in December 2020 or January 2021, and
        again from September to December 2021.
    """
    frame = facts.rows("chinese_seller_share")
    mine = frame[frame["measure"].isin(SHARES)]
    keys = ["measure", "marketplace", "publisher"]
    early = mine[mine["date"].between("2020-12", "2021-01")].set_index(keys)
    late = mine[mine["date"].between("2021-09", "2021-12")].set_index(keys)
    both = early[["date", "value"]].merge(
        late[["date", "value"]], left_index=True, right_index=True, suffixes=("_before", "_after")
    )
    both = both.reset_index().rename(
        columns={"date_before": "first", "value_before": "before", "date_after": "last", "value_after": "after"}
    )
    return both.assign(change=both["after"] - both["before"])


def stated_change() -> float:
    """Return the change in the Chinese share of sales that Amazon itself stated, percentage points."""
    frame = facts.load("chinese_seller_share")
    return float(frame.loc[frame["unit"] == "percentage points, as stated", "value"].iloc[0])


def published_growth() -> pd.DataFrame:
    """Return every published reading of Chinese sellers' growth on Amazon from 2020 to 2021, per cent.

    Returns
    -------
    DataFrame
        `reading`, `growth`, `of` (sales or number of sellers), `bound` ("at least" for a lower bound), `provenance`
        ("real" as published, "estimate" as share times third-party sales), `source`.
    """
    sales = third_party_sales()
    factor = float(sales.values["2021"] / sales.values["2020"])
    product = [
        (
            f"{row.measure}, {row.before:g} to {row.after:g} %, times sales",
            100 * (factor * row.after / row.before - 1),
            "estimate",
            row.publisher,
        )
        for row in shares().itertuples()
    ]
    unchanged = (
        f"share of sales changed by {stated_change():g}, times sales",
        100 * (factor - 1),
        "estimate",
        f"Amazon's statement, times sales by {sales.publisher}",
    )
    derived = pd.DataFrame([*product, unchanged], columns=["reading", "growth", "provenance", "source"])
    kinds = [*(["sales, by a share of top sellers"] * len(product)), "sales, as stated"]
    frame = facts.rows("chinese_seller_share")
    own = frame[frame["unit"].eq("percent yoy")].assign(of="number of sellers", provenance="real")
    own["bound"] = own["bound"].fillna("").replace({"lower": "at least", "upper": "at most"})
    own = own.rename(columns={"measure": "reading", "value": "growth", "publisher": "source"})
    columns = ["reading", "growth", "provenance", "source", "of", "bound"]
    return pd.concat([derived.assign(of=kinds, bound="")[columns], own[columns]], ignore_index=True)


def sources() -> pd.DataFrame:
    """Return the rows behind the shares, the growth readings and the closed sales: `source_publisher`, `source_url`."""
    frame = facts.load("chinese_seller_share")
    used = frame["measure"].isin(SHARES) & frame["date"].between("2020-12", "2021-12")
    used |= frame["unit"].isin(["percent yoy", "percentage points, as stated"])
    events = facts.load("events")
    amounts = events["unit"].isin([FLOOR, ASSERTED])
    columns = ["source_publisher", "source_url"]
    return pd.concat([frame.loc[used, columns], events.loc[amounts, columns]], ignore_index=True)


def account_map(accounts: list[float], population: float, sd_log_sales: float, tilts: list[float]) -> pd.DataFrame:
    """Return the share of sales, per cent, that closed accounts carry: a row per count, a column per tilt."""
    return pd.DataFrame(
        {
            f"tilt {tilt:g}": [
                100 * closed_share(n, population, sd_log_sales=sd_log_sales, tilt=tilt) for n in accounts
            ]
            for tilt in tilts
        },
        index=pd.Index(accounts, name="accounts"),
    )


def fan(first_post: str, horizon: int, *, level: float) -> Estimate:
    """Return the fan of breaks in the lead of third-party services, with placebo dates; falsification only.

    Parameters
    ----------
    first_post : str
        First quarter after the break, such as ``"2021Q3"``.
    horizon, level
        As in :func:`analysis.trends.its_fan`, whose ``details["placebo_dates"]`` are quarters by name here.

    Raises
    ------
    DesignError
        If the quarter is not in the series, or too near to one of its ends.
    """
    series = lead().values
    quarters = list(series.index.astype(str))
    if first_post not in quarters:
        raise DesignError(
            f"a break at {first_post} was asked for; the lead runs from {quarters[0]} to {quarters[-1]}; "
            "name one of its quarters, such as 2021Q3"
        )
    found = its_fan(
        series.to_numpy(), quarters.index(first_post), horizon=horizon, level=level, unit="percentage points"
    )
    return replace(found, details={"placebo_dates": [quarters[date] for date in found.details["placebo_dates"]]})


def assumptions(settings: Mapping[str, Any], closed: tuple[float, float]) -> pd.DataFrame:
    """Return the factors of the bounds with their ranges as run: `factor`, `low`, `high`, `unit`, `basis`.

    Parameters
    ----------
    settings : mapping
        Parameters of the growth notebook.
    closed : (low, high)
        From :func:`closed_sales`.
    """
    share, low, high = settings["share"], settings["share_low"], settings["share_high"]
    recapture = (settings["recapture_low"], settings["recapture_high"])
    common = (settings["common_low"], settings["common_high"])
    top = "published shares of top sellers stand in for sales"
    rows = [
        (
            "closed sales",
            *closed,
            "bn US dollars a year",
            "a floor by Marketplace Pulse; the trade group's loss, itself more than",
        ),
        ("Chinese share, range", low, high, "share of sales", top),
        ("Chinese share, one value", share, share, "share of sales", top),
        ("recapture by Chinese rivals", *recapture, "share of closed sales", "assumed: no source"),
        ("common part", *common, "percentage points", "assumed: no source"),
    ]
    return pd.DataFrame(rows, columns=["factor", "low", "high", "unit", "basis"])


def fan_sentence(found: Estimate) -> str:
    """Say what a fan shows: its spread, and how many estimates lie outside their own placebos.

    A break that stands out under every specification would speak against an ordinary quarter; a few that do, with as
    few placebo dates, speak for neither.
    """
    rows = found.rows.dropna(subset=["estimate"])
    tried = rows[rows["n_placebos"] > 0]
    low, high = rows["estimate"].min(), rows["estimate"].max()
    spread = (
        f"The {len(rows)} estimates run from {quantity(low, found.unit)} to {quantity(high, found.unit)} points ◐. "
    )
    if tried.empty:
        return spread + f"No placebo date leaves room for the {found.counts['horizon']} quarters after a break."
    outside = int(tried["outside"].sum())
    all_or_some = {0: "None of them lies", len(tried): "All of them lie"}.get(outside, f"{outside} of them lie")
    return (
        f"{spread}{all_or_some} outside the range of their own placebos, of which there are at most "
        f"{tried['n_placebos'].max()}, {found.details['placebo_dates'][0]} to "
        f"{found.details['placebo_dates'][-1]}. A lead of this kind holds all sellers of all origins: it can speak "
        "against a claim, and is no estimate of an effect."
    )
