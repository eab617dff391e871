"""Listed sellers: their revenue, disclosures and share prices around the closures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from fewtreated.errors import DesignError, check_choice
from fewtreated.estimators.abnormal_returns import Window, abnormal_returns, market_rank
from fewtreated.estimators.synthetic import permutation_did

from analysis import data, series
from analysis.estimate import Estimate
from analysis.evidence import shift
from analysis.evidence.sources import Published
from analysis.numbers import day
from analysis.series import Series

RECENT = (
    60  # days before each window in which a share's noise is measured too, since it rose in 2021
)
RANKED_TO = 5e-6  # half of the last digit of the market's ranked returns
MARKET_TO = 5e-7  # half of the last digit of the market's daily returns
WEEK = pd.Timedelta(days=7)
MARKETS = {
    "all": "market_return",
    "shanghai_shenzhen": "shanghai_shenzhen_return",
    "median": "median_return",
}
SHOWN = (
    11,
    20,
)  # trading days before and after the news in the paths of share prices: ten days of change before


def short_name(firm: str) -> str:
    """Extract the seller's name from "Owner / Seller (brand)".

    Owner and brand are optional.
    """
    return firm.rsplit(" / ", maxsplit=1)[-1].split(" (", maxsplit=1)[0]


def design() -> pd.DataFrame:
    """Return the listed firms considered for the revenue comparison.

    Each comes with its role and the reason for it.
    """
    return data.load("listed_design")


def closed_names() -> list[str]:
    """Return the short names of the closed sellers in the design."""
    return list(design().query("role == 'closed'")["name"])


def listed_later() -> list[str]:
    """Return the short names of the comparison sellers that were listed only after the closures."""
    return list(design().query("role == 'not_closed'").dropna(subset="listed_on")["name"])


def base_year() -> int:
    """Return the last calendar year before the first closure in the design."""
    return min(int(day[:4]) for day in design()["closed_on"].dropna()) - 1


def sellers(firms: str = "all") -> pd.DataFrame:
    """Return the sellers whose revenue is compared, closed ones first.

    Parameters
    ----------
    firms : str
        "all", or what to compare, separated by commas: names of the design, "all" for all of them,
        and paths to CSV files that add sellers listed on any exchange or on none. Such a file has a
        row per seller and year: `name`, `role` ("closed" or "not_closed"), `year` and `revenue`, in
        any one currency.

    Returns
    -------
    DataFrame
        The columns of :func:`design`. For sellers that a file adds, `source` is "file" and `series`
        its path.

    Raises
    ------
    DesignError
        If a name is not in the design or has no revenue for the comparison, a file cannot be read,
        or no closed seller or fewer than two others are left.

    Examples
    --------
    >>> sellers("Sunvalley, Anker, Vesync")["name"].tolist()
    ['Sunvalley', 'Anker', 'Vesync']
    """
    known = design()
    usable = known[known["role"] != "left_out"]
    asked = [name.strip() for name in firms.split(",") if name.strip()]
    files = [name for name in asked if name.endswith(".csv")]
    named = [name for name in asked if name not in (*files, "all")]
    for name in named:
        if name not in set(usable["name"]):
            raise DesignError(_not_comparable(name, known))
    if "all" not in asked:
        usable = usable[usable["name"].isin(named)]
    added = [_added(path) for path in files]
    chosen = pd.concat([usable, *added]).sort_values("role", kind="stable", ignore_index=True)
    counts = chosen["role"].value_counts()
    if counts.get("closed", 0) < 1 or counts.get("not_closed", 0) < 2:
        raise DesignError(
            f"Cannot compare {firms!r}: that takes a closed seller and at least two others; name"
            " more sellers"
        )
    return chosen


def _not_comparable(name: str, known: pd.DataFrame) -> str:
    """Say why a seller cannot be compared."""
    left_out = known.set_index("name")["reason"]
    if name in left_out:
        return f"Cannot compare {name}: {left_out[name]}; choose other sellers"
    there = ", ".join(known.loc[known["role"] != "left_out", "name"])
    return f"Cannot compare {name!r}: it is not in the design; choose from {there}, or name a CSV"


def _read_added(path: str) -> pd.DataFrame:
    """Read a file of sellers that a user adds, a row per seller and year."""
    wanted = ["name", "role", "year", "revenue"]
    try:
        rows = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DesignError(f"Cannot read sellers from {path}: {error}; check its path") from None
    if not {*wanted} <= {*rows.columns} or not rows["role"].isin(["closed", "not_closed"]).all():
        raise DesignError(
            f"Cannot read sellers from {path}: it needs the columns {', '.join(wanted)}, with role"
            " closed or not_closed; add them"
        )
    return rows


def _added(path: str) -> pd.DataFrame:
    """Return the sellers of a user's file as rows of the design."""
    rows = _read_added(path).drop_duplicates("name")
    own = rows[["name", "role"]].assign(firm=rows["name"], source="file", series=path)
    return own.assign(reason=f"added from {path}").reindex(columns=design().columns)


def _series_of(row: Mapping[Any, Any]) -> Series:
    """Return the published series of a seller of the design."""
    if row["source"] == "splice":
        return series.splice(row["series"])
    return series.published("listed_sellers", firm=row["firm"], measure=row["series"], freq="A")


def _yearly(row: Mapping[Any, Any]) -> pd.Series:
    """Return the revenue of a seller by year."""
    if row["source"] == "file":
        own = _read_added(row["series"])
        return own[own["name"] == row["name"]].set_index("year")["revenue"].astype(float)
    values = _series_of(row).values
    return values.set_axis(values.index.year)


def revenues(chosen: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the yearly revenue of each seller, on all platforms.

    Parameters
    ----------
    chosen : DataFrame, optional
        From :func:`sellers`; by default all of the design.

    Returns
    -------
    float64[year, seller]
        Million yuan, NaN if a year is not published; columns are short names, closed sellers first.
    """
    rows = _rows(chosen)
    wide = pd.DataFrame({row["name"]: _yearly(row) for row in rows})
    return wide.sort_index().rename_axis("period")


def revenue_sources(chosen: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the published rows behind :func:`revenues`."""
    return pd.concat([_series_of(row).sources for row in _rows(chosen) if row["source"] != "file"])


def _rows(chosen: pd.DataFrame | None) -> list[dict[Any, Any]]:
    """Return the chosen sellers as rows, by default all."""
    rows: list[dict[Any, Any]] = (sellers() if chosen is None else chosen).to_dict("records")
    return rows


def indexed(
    base: int, first: int, last: int, *, chosen: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return yearly revenue from `first` to `last`, indexed to 100 in the year `base`.

    The frame is float64[year, seller]; `chosen` is from :func:`sellers`.
    """
    wide = revenues(chosen)
    return 100 * wide.loc[first:last] / wide.loc[base]


def revenue_change(
    before: int, after: int, *, chosen: pd.DataFrame | None = None, level: float
) -> Estimate:
    """Compare changes in the log revenue of closed and other sellers with a permutation test.

    Parameters
    ----------
    before, after : int
        Years; sellers without revenue for both are left out.
    chosen : DataFrame, optional
        Sellers to compare, from :func:`sellers`; by default all of the design.
    level : float
        Coverage of the permutation interval.

    Returns
    -------
    Estimate
        Row ``did`` in log points; ``details["changes"]`` has `firm`, `change` and `closed`, sorted
        by `change`.
    """
    rows = pd.DataFrame(_rows(chosen))
    wide = revenues(rows)
    change = np.log(wide.loc[after] / wide.loc[before])
    seen = change.dropna()
    closed = seen.index.isin(rows.loc[rows["role"] == "closed", "name"])
    comparison = permutation_did(seen.to_numpy(), closed, level=level, unit="log points")
    changes = pd.DataFrame({"firm": seen.index, "change": seen.to_numpy(), "closed": closed})
    details = {**comparison.details, "changes": changes.sort_values("change", ignore_index=True)}
    return Estimate.of(comparison, estimand="E1a", details=details)


def leave_one_out(
    before: int, after: int, *, chosen: pd.DataFrame | None = None, level: float
) -> pd.DataFrame:
    """Re-estimate :func:`revenue_change`, leaving out one firm at a time.

    The columns are `left_out`, `estimate`, `rank` and `assignments`.
    """
    every = pd.DataFrame(_rows(chosen))
    changes = revenue_change(before, after, chosen=every, level=level).details["changes"]
    rows = []
    for name in changes["firm"]:
        rest = every[every["name"] != name]
        if changes.query("firm != @name")[
            "closed"
        ].any():  # without the only closed firm, nothing can be compared
            found = revenue_change(before, after, chosen=rest, level=level)
            rows.append(
                (name, *found.rows.iloc[0][["estimate", "rank"]], found.counts["assignments"])
            )
    return pd.DataFrame(rows, columns=["left_out", "estimate", "rank", "assignments"])


def as_closed(chosen: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return sellers of :func:`sellers` with one of them counted as closed."""
    return chosen.assign(role=chosen["role"].mask(chosen["name"] == name, "closed"))


def other_choices(chosen: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the sellers of our result and of other comparisons with them, by what they are.

    `chosen` is from :func:`sellers`. Our result sets Youkeshu aside.
    """
    alone = chosen.query("name != 'Youkeshu'")
    rivals = chosen["reason"].str.startswith("competes") | (chosen["name"] == "Sunvalley")
    return {
        "Sunvalley (our result)": alone,
        "Sunvalley, without sellers listed later": alone[~alone["name"].isin(listed_later())],
        "Sunvalley, against its rivals alone": chosen[rivals],
        "Sunvalley and Sailvan, as if it were closed": as_closed(alone, "Sailvan"),
        "Sunvalley and Youkeshu": chosen,
    }


def gaps_by_choice(
    choices: Mapping[str, pd.DataFrame], before: int, after: int, *, level: float
) -> pd.DataFrame:
    """Compare revenue as :func:`revenue_change` does, in per cent, for several lists of sellers.

    Parameters
    ----------
    choices : mapping of str to DataFrame
        Sellers by label; one that comes to the same sellers as an earlier one is left out.
    before, after : int
        Years.
    level : float
        Coverage of the permutation intervals.

    Returns
    -------
    DataFrame
        `term` (the label), `estimate`, `conf_low`, `conf_high`, `rank`, `assignments`; the limits
        are missing if no interval is computed.
    """
    rows = []
    seen = list[set[tuple[str, str]]]()
    for label, chosen in choices.items():
        who = {*zip(chosen["name"], chosen["role"], strict=True)}
        if who in seen:
            continue
        seen.append(who)
        found = revenue_change(before, after, chosen=chosen, level=level)
        row = found.exp().rows[["estimate", "conf_low", "conf_high"]].iloc[0]
        counted = {"rank": found.row("did")["rank"], "assignments": found.counts["assignments"]}
        rows.append({"term": label, **row, **counted})
    return pd.DataFrame(rows)


def most_lost(firm: str, before: int) -> dict[str, float]:
    """Bound the part of a firm's fall in revenue that is due to lost Amazon sales.

    The bound is its Amazon sales in the year `before`, and half the unit to which they are rounded.
    Returns `revenue` and `amazon` in that year, the `fall` in the next and the part of it that must
    be `outside` Amazon, million yuan, and `other`, that part in per cent of the fall. Raises
    DataError if the firm does not publish its Amazon sales.
    """
    revenue, later = revenues().loc[[before, before + 1], firm]
    year = str(before)
    named = design().set_index("name").loc[firm, "firm"]
    sold = series.published("listed_sellers", firm=named, measure="revenue_amazon", freq="A")
    amazon = sold.values[year]
    fall = revenue - later
    printed = shift.mix().query(
        "firm == @firm and platform == 'Amazon' and measure == 'revenue' and period == @year"
    )
    outside = max(fall - amazon - printed["rounded_to"].sum() / 2, 0)
    return {
        "revenue": revenue,
        "amazon": amazon,
        "fall": fall,
        "outside": outside,
        "other": 100 * outside / fall,
    }


def records_of_brands(names: list[str]) -> list[Published]:
    """Return the records of each brand's or firm's closure, with who says it.

    A record is an owner's disclosure of closed stores or frozen money, or a report that names the
    brand among those closed. Our own column on exposure is no record. Which of them count for a
    claim is decided where it is judged.
    """
    filings = data.load("listed_sellers")
    events = data.load("events").query("event_type == 'brand_closure'")
    filings = filings[filings["measure"].isin(["shops_closed", "funds_frozen"])]
    records = list[Published]()
    for name in names:
        disclosed = filings[filings["firm"].str.contains(name, case=False)]
        reported = events[(events["actor"] + events["description"]).str.contains(name, case=False)]
        records += [
            Published(by=by, part=name, filing=True) for by in disclosed["source_publisher"]
        ]
        records += [Published(by=by, part=name) for by in reported["source_publisher"]]
    return records


def frozen(firm: str) -> tuple[float, float]:
    """Return a firm's frozen funds as first reported and as disclosed, in million yuan.

    The first report is the original article.
    """
    events = data.load("events")
    named = events.loc[events["seed"] & events["unit"].eq("yuan frozen (more than)"), "quantity"]
    filed = (
        data.load("listed_sellers").query("measure == 'funds_frozen'").set_index("firm")["value"]
    )
    return named.item() / 1e6, float(filed.rename(short_name)[firm])


def firms_on_record() -> pd.DataFrame:
    """Return the public record of each seller whose accounts were closed.

    It is read from ``firms_on_record.csv``.

    Returns
    -------
    DataFrame
        `name`, `seller` (with brands and owner), `closed`, `stores` (how many were affected, and by
        when), `frozen` (million yuan), revenue and profit in the last year before the closures and
        the next (`revenue_before`, `revenue_after`, `profit_before`, `profit_after`; million yuan),
        `whose_profit`, `became` (with publishers and months), `events`, `source`; a dash or NaN
        where nothing is published.
    """
    told = data.load("firms_on_record").fillna("")
    figures = data.load("listed_sellers")
    rows = told.to_dict("records")
    brands = [f" ({row['brands']})" if row["brands"] != row["name"] else "" for row in rows]
    owners = [f", owned by {row['owner']}" for row in rows]
    disclosed = figures.set_index(["measure", "firm"])["value"].sort_index()
    shops = told["firm"].map(disclosed["shops_closed"]).map("{:.0f}".format)
    stores = [
        text.replace("{}", shop) or "–" for text, shop in zip(told["affected"], shops, strict=True)
    ]
    years = {"before": base_year(), "after": base_year() + 1}
    amounts = {
        f"{kind}_{when}": [_in_year(figures, row, row[kind], str(year)) for row in rows]
        for kind in ("revenue", "profit")
        for when, year in years.items()
    }
    return told.assign(
        seller=told["name"] + brands + owners,
        stores=stores,
        frozen=told["firm"].map(disclosed["funds_frozen"]),
        became=told["became"].replace(_cited(told), regex=True),
        **amounts,
    )


def _in_year(figures: pd.DataFrame, row: Mapping[Any, Any], measures: str, year: str) -> float:
    """Return the first published of some measures of a seller in a year, NaN if none is."""
    mine = figures[(figures["firm"] == row["firm"]) & (figures["period"] == year)]
    values = mine.set_index("measure")["value"]
    return next((values[name] for name in measures.split() if name in values), np.nan)


def _cited(told: pd.DataFrame) -> dict[str, str]:
    """Return the publisher and month of each event that the record names, by its number."""
    events = data.load("events").set_index("event_id").loc[" ".join(told["events"]).split()]
    named = {}
    for event in events.index:
        paper = data.documents(events.loc[[event]]).iloc[0]
        named[event] = ", ".join(filter(None, (paper["publisher"], day(paper["date"][:7]))))
    return named


def _windows_after(day: str) -> pd.DataFrame:
    """Return the event windows that begin after a day, in order of their first day."""
    windows = data.load("price_windows").set_index("window")
    later = windows[windows["first_day"] > pd.Timestamp(day)]
    if later.empty:
        raise DesignError(
            f"Cannot end the estimation window on {day}: no event window in"
            " price_windows.csv begins later; choose an earlier day"
        )
    return later.sort_values("first_day", kind="stable")


def share_prices(
    estimation_first: str, estimation_last: str, *, level: float, market: str = "all"
) -> Estimate:
    """Estimate listed sellers' abnormal returns after the estimation window.

    They are estimated in every window that begins after it.

    Parameters
    ----------
    estimation_first, estimation_last : str
        First and last day of the estimation window; windows that begin before its end are left out.
    level : float
        Coverage of the intervals.
    market : {"all", "shanghai_shenzhen", "median"}
        Market whose return is taken off: the mean of all codes in the source, that of Shanghai and
        Shenzhen, or the median of all codes.

    Returns
    -------
    Estimate
        Rows of `abnormal_returns`, in per cent, with `exposed`, `first_day`, `last_day`,
        `rank_low`, `rank_high` and `n_stocks` in the market; the last three are missing for the
        median, which no share was ranked against.
    """
    check_choice("market", market, MARKETS)
    returns = data.load("market_stock_returns").set_index("date")[MARKETS[market]]
    listed = data.load("seller_stock_returns")
    ranks = data.load("market_car_ranks").query("market == @market")
    calm = _columns(returns.index, estimation_first, estimation_last)
    shares = listed.pivot(index="firm", columns="date", values="daily_return").reindex(
        columns=returns.index
    )
    windows = _windows_after(estimation_last)
    windows["n_stocks"] = ranks.drop_duplicates("window").set_index("window")["n_stocks"]
    spans = {
        str(row.Index): _columns(returns.index, row.first_day, row.last_day)
        for row in windows.itertuples()
    }
    names = list(shares.index)
    estimate = abnormal_returns(
        shares, returns, estimation=calm, event=spans, firms=names, level=level, recent=RECENT
    )
    exposed = listed.drop_duplicates("firm").set_index("firm")["exposed"]
    rows = estimate.rows.join(windows[["first_day", "last_day", "n_stocks"]], on="window")
    rows = rows.assign(exposed=rows["firm"].map(exposed), seller=rows["firm"].map(short_name))
    in_market = {window: ranks[ranks["window"] == window] for window in spans}
    rows[["rank_low", "rank_high"]] = [
        _ranked(row, in_market[row["window"]]) for row in rows.to_dict("records")
    ]
    more = rows.drop(columns=["term", "estimate", "std_error", "conf_low", "conf_high", "n"])
    return Estimate.of(
        estimate,
        unit="per cent",
        value=100 * estimate.value,
        covariance=1e4 * estimate.covariance,
        columns={str(name): column.to_numpy() for name, column in more.items()},
        details={
            **estimate.details,
            "days": returns.index,
            "shares": shares,
            "market": returns,
            "calm": calm,
            "spans": spans,
        },
    )


def since(prices: Estimate, window: str, first: str) -> Estimate:
    """Estimate one share's abnormal return from an earlier day to the end of a window, in per cent.

    The noise of a day is measured as for every window: before the first day, and never on the days
    that are added up.

    Parameters
    ----------
    prices : Estimate
        From :func:`share_prices`.
    window : str
        Its term, "firm: window".
    first : str
        First day.
    """
    row = prices[window].rows.iloc[0]
    span = _columns(prices.details["days"], first, row["last_day"])
    own = abnormal_returns(
        prices.details["shares"].loc[row["firm"]],
        prices.details["market"],
        estimation=prices.details["calm"],
        event={"": span},
        level=prices.level,
        recent=RECENT,
    )
    return Estimate.of(own, unit="per cent", value=100 * own.value, covariance=1e4 * own.covariance)


def _over(prices: Estimate, window: str, spans: dict[str, Window]) -> Estimate:
    """Estimate a share's abnormal return over each span of days, in per cent.

    The daily noise is that of a window.
    """
    row = prices[window].rows.iloc[0]
    calm = prices.details["calm"]
    shares = prices.details["shares"].loc[row["firm"]]
    market = prices.details["market"]
    found = abnormal_returns(shares, market, estimation=calm, event=spans, level=prices.level)
    covariance = 1e4 * found.covariance * (row["noise"] / found.rows["noise"].iloc[0]) ** 2
    df = np.repeat(prices[window].max_df, len(spans))
    return Estimate.of(
        found, unit="per cent", value=100 * found.value, covariance=covariance, max_df=df
    )


def _columns(days: pd.Index, first: Any, last: Any) -> Window:
    inside = np.flatnonzero((days >= pd.Timestamp(first)) & (days <= pd.Timestamp(last)))
    if not len(inside):
        raise DesignError(
            f"Cannot use a window from {first} to {last}: it contains no trading day; choose other"
            " days"
        )
    return int(inside[0]), int(inside[-1]) + 1


def _ranked(row: dict[Any, Any], market: pd.DataFrame) -> tuple[float, float]:
    if np.isnan(row["estimate"]) or market.empty:
        return np.nan, np.nan
    ranks = market["rank"].to_numpy()
    values = market["cumulative_abnormal_return"].to_numpy()
    rounding = RANKED_TO + MARKET_TO * abs(row["beta"]) * row["n"]
    return market_rank(
        row["estimate"], ranks, values, int(market["n_stocks"].iloc[0]), rounding=rounding
    )


def price_paths(prices: Estimate) -> pd.DataFrame:
    """Return what each closed seller's share earned beyond the market.

    It is counted from the eve of the seller's news.

    On the last day of the two-day window, value and band are those of the estimate and half its
    interval.

    Parameters
    ----------
    prices : Estimate
        From :func:`share_prices`.

    Returns
    -------
    DataFrame
        `event`, `day` (trading days from the news), `term` (seller), `value` in per cent, and
        `band_low`, `band_high`, between which it stays by chance at the level of `prices`, if all
        its days are as noisy as the window's.
    """
    around = pd.Index(range(-SHOWN[0], SHOWN[1] + 1), name="day")
    parts = []
    for row in prices.rows[
        prices.rows["window"] == prices.rows["seller"].str.lower() + "_2d"
    ].itertuples():
        first = prices.details["days"].get_loc(row.first_day)
        steps = around.drop(-1)  # the eve, from which the others are counted
        found = _over(
            prices,
            row.term,
            {str(day): (first + min(day + 1, 0), first + max(day + 1, 0)) for day in steps},
        )
        half = np.diff(found.conf_int, axis=0)[0] / 2
        part = pd.DataFrame(
            {"value": np.sign(steps + 1) * found.value, "band_low": -half, "band_high": half}, steps
        )
        part = part.reindex(around, fill_value=0.0).reset_index()
        parts.append(part.assign(event=row.window.removesuffix("_2d"), term=row.seller))
    return pd.concat(parts, ignore_index=True)


def in_the_week(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the events around each closed seller's news.

    They run from a week before the news to the end of its two-day window.

    `rows` come from :func:`share_prices`. The news itself is among the events; events dated only by
    month or year are not. The columns are those of events.csv, and `seller`.
    """
    known = data.load("events")
    on = pd.to_datetime(known["date"], format="%Y-%m-%d", errors="coerce")
    news = rows[rows["window"] == rows["seller"].str.lower() + "_2d"].sort_values("first_day")
    own = [
        known[on.between(row.first_day - WEEK, row.last_day)].assign(seller=row.seller)
        for row in news.itertuples()
    ]
    return pd.concat(own, ignore_index=True)
