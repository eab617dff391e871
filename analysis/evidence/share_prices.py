"""What the shares of all owners say together, and what may explain it.

Possible explanations are the market and an earlier jump.

The abnormal returns of single shares are from :func:`analysis.evidence.listed.share_prices`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from fewtreated.errors import DesignError, check_choice
from fewtreated.estimators.abnormal_returns import pool_events
from scipy import stats

from analysis import data
from analysis.estimate import Estimate
from analysis.evidence import listed


def own_news(length: str) -> list[str]:
    """Return the terms of all windows of one length that an owner's news opens, by date.

    Parameters
    ----------
    length : str
        As at the end of the windows in ``price_windows.csv``: "2d" or "10d".
    """
    windows = data.load("price_windows").dropna(subset="firm").sort_values("first_day")
    lengths = windows["window"].str.rsplit("_", n=1).str[-1]
    check_choice("length", length, sorted(set(lengths)))
    mine = windows[lengths == length]
    return list(mine["firm"] + ": " + mine["window"])


def pool(prices: Estimate, terms: list[str]) -> Estimate:
    """Average the abnormal returns of several events, in per cent.

    Parameters
    ----------
    prices : Estimate
        From :func:`analysis.evidence.listed.share_prices`.
    terms : list of str
        Its terms, such as those of :func:`own_news`.

    Returns
    -------
    Estimate
        From :func:`fewtreated.estimators.abnormal_returns.pool_events`. ``details["events"]`` has a
        row per event: `seller`, `window`, `estimate`, `conf_low`, `conf_high` in per cent,
        `rank_low`, `rank_high`, `n_stocks`.

    Raises
    ------
    DesignError
        If a term is not among the estimates, or the events cannot be pooled.
    """
    unknown = [term for term in terms if term not in prices.terms]
    if unknown:
        raise DesignError(
            f"Cannot pool {', '.join(unknown)}: the prices have no such event; use terms of the"
            " estimate"
        )
    rows = prices.rows.set_index("term").loc[terms]
    firms = prices.details["shares"].index
    pooled = pool_events(
        prices,
        terms,
        [prices.details["spans"][window] for window in rows["window"]],
        prices.details["abnormal"][firms.get_indexer(rows["firm"])],
        estimation=prices.details["calm"],
    )
    shown = [
        "seller",
        "window",
        "estimate",
        "conf_low",
        "conf_high",
        "rank_low",
        "rank_high",
        "n_stocks",
    ]
    return Estimate.of(
        pooled, details={**pooled.details, "events": rows[shown].reset_index(drop=True)}
    )


def by_market(estimation_first: str, estimation_last: str, *, level: float) -> pd.DataFrame:
    """Estimate each owner's abnormal return at its news, and the pooled one, against three markets.

    Parameters
    ----------
    estimation_first, estimation_last : str
        First and last day of the estimation window.
    level : float
        Coverage of the intervals.

    Returns
    -------
    DataFrame
        `market`, `seller` ("all owners" if pooled, with the interval of ``noise``), `window`,
        `estimate`, `conf_low`, `conf_high` in per cent, `rank_low`, `rank_high`, `n_stocks`; the
        last three are missing where no ranks are known.
    """
    parts = []
    for market in listed.MARKETS:
        prices = listed.share_prices(estimation_first, estimation_last, level=level, market=market)
        for length in ("2d", "10d"):
            pooled = pool(prices, own_news(length))
            mean = pooled["noise"].rows[["estimate", "conf_low", "conf_high"]]
            mean = mean.assign(seller="all owners", window=length)
            parts.append(pd.concat([pooled.details["events"], mean]).assign(market=market))
    rows = pd.concat(parts, ignore_index=True)
    return rows[["market", *rows.columns.drop("market")]]


def after_limit(prices: Estimate, term: str, *, same_limit: bool = False) -> pd.Series:
    """Compare an owner's share with other shares that had just risen by the daily limit.

    They had risen by it within five days before.

    If part of a fall is the end of a jump, shares that jumped at the same time show how large that
    part is.

    Parameters
    ----------
    prices : Estimate
        From :func:`analysis.evidence.listed.share_prices`, for the market of all codes.
    term : str
        Its term, "firm: window".
    same_limit : bool
        Whether only shares with the same daily limit are compared.

    Returns
    -------
    Series
        `estimate` of the owner's share, `others` (number), their `mean`, `median`, `lowest` and
        standard deviation `sd`, `rank` of the owner's share among them and itself (1 = lowest), and
        `difference` from the mean with `conf_low`, `conf_high`; per cent. The interval is that of
        one more share of the same spread, ``sd sqrt(1 + 1 / others)``, Student's t with others - 1
        degrees of freedom.

    Raises
    ------
    DesignError
        If the owner's share did not rise by the limit within five days before the window.
    """
    row = prices[term].rows.iloc[0]
    tickers = data.load("price_sellers").set_index("firm")["ticker"]
    rose = data.load("market_after_limit").query("window == @row.window").set_index("ticker")
    own = tickers[row["firm"]]
    if own not in rose.index:
        raise DesignError(
            f"Cannot compare {term} with shares that rose by the daily limit: its own share did not"
            " do so in the five days before, or its window is not in"
            " market_after_limit.csv"
        )
    others = rose.drop(index=own)
    if same_limit:
        others = others[others["limit"] == rose.loc[own, "limit"]]
    returns = 100 * others["cumulative_abnormal_return"]
    number = len(returns)
    sd = float(returns.std())
    difference = row["estimate"] - returns.mean()
    reach = stats.t.ppf((1 + prices.level) / 2, number - 1) * sd * np.sqrt(1 + 1 / number)
    return pd.Series(
        {
            "estimate": row["estimate"],
            "others": number,
            "mean": returns.mean(),
            "median": returns.median(),
            "lowest": returns.min(),
            "sd": sd,
            "rank": int((returns < row["estimate"]).sum()) + 1,
            "difference": difference,
            "conf_low": difference - reach,
            "conf_high": difference + reach,
        }
    )
