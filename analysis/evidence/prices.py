"""Listed sellers' shares: what investors thought a closure costs its owner."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from analysis import facts
from analysis.errors import DesignError
from analysis.estimate import Estimate
from analysis.estimators.abnormal_returns import Window, abnormal_returns, market_rank
from analysis.evidence.revenue import short_name

COLUMNS = ("term", "estimate", "std_error", "conf_low", "conf_high", "n")
HALF_DIGIT = 5e-5  # daily returns are published with four decimals


def _matrix() -> tuple[pd.DataFrame, pd.Series]:
    """Return of each listed seller by firm and day, and of the market by day."""
    market = facts.load("market_stock_returns").set_index("date")["market_return"]
    shares = facts.load("seller_stock_returns")
    return shares.pivot(index="firm", columns="date", values="daily_return").reindex(columns=market.index), market


def _columns(days: pd.Index, first: str, last: str) -> Window:
    inside = np.flatnonzero((days >= pd.Timestamp(first)) & (days <= pd.Timestamp(last)))
    if not len(inside):
        raise DesignError(f"a window from {first} to {last} was asked for; no trading day lies in it; move it")
    return int(inside[0]), int(inside[-1]) + 1


def share_prices(estimation_first: str, estimation_last: str, *, level: float) -> Estimate:
    """Return abnormal returns of all listed sellers in every window whose market ranks are known.

    Parameters
    ----------
    estimation_first, estimation_last : str
        Days of the estimation window; windows that begin before its end are left out.
    level : float
        Coverage of the intervals.

    Returns
    -------
    Estimate
        Rows as :func:`analysis.estimators.abnormal_returns.abnormal_returns`, in per cent, with `exposed`,
        `first_day`, `last_day`, `rank_low`, `rank_high` and `n_stocks` in the market.
    """
    shares, market = _matrix()
    ranks = facts.load("market_car_ranks")
    windows = ranks.drop_duplicates("window").set_index("window")
    windows = windows[windows["first_day"] > pd.Timestamp(estimation_last)].sort_values("first_day")
    if windows.empty:
        raise DesignError(
            f"abnormal returns after {estimation_last} were asked for; every window of market_car_ranks.csv "
            "begins before; end the estimation window earlier"
        )
    spans = {
        name: _columns(market.index, row["first_day"], row["last_day"])
        for name, row in windows.to_dict("index").items()
    }
    found = abnormal_returns(
        shares.to_numpy(),
        market.to_numpy(),
        estimation=_columns(market.index, estimation_first, estimation_last),
        event=spans,
        firms=list(shares.index),
        level=level,
    )
    exposed = facts.load("seller_stock_returns").drop_duplicates("firm").set_index("firm")["exposed"]
    rows = found.rows.join(windows[["first_day", "last_day", "n_stocks"]], on="window")
    rows = rows.assign(exposed=rows["firm"].map(exposed), seller=rows["firm"].map(short_name))
    rows[["rank_low", "rank_high"]] = [_ranked(row, ranks) for row in rows.to_dict("records")]
    more = {name: rows[name].to_numpy() for name in rows.columns if name not in COLUMNS}
    return replace(
        found,
        value=100 * found.value,
        covariance=1e4 * found.covariance,
        columns=more,
        unit="per cent",
        details={**found.details, "days": market.index, "shares": shares},
    )


def _ranked(row: dict[str, object], ranks: pd.DataFrame) -> tuple[float, float]:
    value = float(row["estimate"])  # type: ignore[arg-type]
    if np.isnan(value):
        return np.nan, np.nan
    known = ranks[ranks["window"] == row["window"]]
    return market_rank(
        value,
        known["rank"].to_numpy(),
        known["cumulative_abnormal_return"].to_numpy(),
        int(known["n_stocks"].iloc[0]),
        rounding=HALF_DIGIT * int(row["n"]),  # type: ignore[call-overload]
    )


def price_paths(found: Estimate) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return cumulative abnormal returns around each event: the market's quantiles, and the shares it names.

    Parameters
    ----------
    found : Estimate
        From :func:`share_prices`.

    Returns
    -------
    market : DataFrame
        `event`, `day` (trading days from the event), `quantile`, `value` in per cent.
    shares : DataFrame
        `event`, `day`, `term` (seller), `value` in per cent. An event that names a seller shows that one; the first
        wave, which names no listed one, shows those for which no closure was disclosed.
    """
    paths = facts.load("market_car_paths").rename(columns={"event_day": "day"})
    market = paths.assign(value=100 * paths["cumulative_abnormal_return"])[["event", "day", "quantile", "value"]]
    exposed = found.rows.drop_duplicates("firm").set_index("firm")["exposed"]
    days, firms = found.details["days"], list(found.details["shares"].index)
    parts = []
    for event, group in paths.drop_duplicates(["event", "day"]).groupby("event", sort=False):
        named = [firm for firm in firms if str(event) in firm.lower()]
        for firm in named or [firm for firm in firms if exposed[firm] == "not_closed"]:
            places = days.get_indexer(group["date"])
            path = np.cumsum(found.details["abnormal"][firms.index(firm), places])
            parts.append(
                pd.DataFrame({"event": event, "day": group["day"], "term": short_name(firm), "value": 100 * path})
            )
    return market, pd.concat(parts, ignore_index=True)


def for_print(rows: pd.DataFrame) -> pd.DataFrame:
    """Arrange rows of :func:`share_prices` for a table: window, seller, group, CAR with interval, rank, own past."""
    ranks = [
        f"{low:,.0f}" if low == high else f"{low:,.0f}–{high:,.0f}"
        for low, high in zip(rows["rank_low"], rows["rank_high"], strict=True)
    ]
    spans = [f"{low:.1f} to {high:.1f}" for low, high in zip(rows["conf_low"], rows["conf_high"], strict=True)]
    days = [f"{a.day}–{b.day} {b:%b}" for a, b in zip(rows["first_day"], rows["last_day"], strict=True)]
    return pd.DataFrame(
        {
            "Window": days,
            "Owner of": rows["seller"],
            "Group": rows["exposed"].str.replace("_", " "),
            "CAR, %": rows["estimate"],
            "Interval": [span.replace("-", "−") for span in spans],
            "Rank": ranks,
            "Of": rows["n_stocks"].map(lambda n: f"{n:,}"),
            "Own past": rows["p_own"],
        }
    )
