"""Make the tables of share prices from the published prices.

Run ``python data/events/amazon_2021/prices.py SOURCE``. SOURCE is the folder ``data`` of the
public repository tszlam/trading at commit 7434e50510dea09709784865b8a0148e30c3650e. It has one file
per code, with a row per trading day, and prices adjusted for dividends and splits. Four tables are
written to the folder of this file, or to another one (``--out``):

- seller_stock_returns.csv: daily returns of the owners in ``price_sellers.csv``.
- market_stock_returns.csv: daily return of three markets.
- market_car_ranks.csv: abnormal returns by rank of the market in the windows of
  ``price_windows.csv``.
- market_after_limit.csv: abnormal returns of shares that rose by the daily limit in the five days
  before a window, for each window whose owner's share did so.

Rules
-----
1. A return is the source's daily change in per cent, a number with two decimals, divided by 100.
2. A return of 50 per cent or more, up or down, is dropped. In Shanghai and Shenzhen these are all
   of new shares, on their first days or soon after; the others are of the NEEQ.
3. The market is the mean over all codes in the source with a return on the day, each with the same
   weight. Codes that begin with 4 or 8 are shares of the Beijing exchange or, before November 2021,
   of the NEEQ. Without them it is the market of Shanghai and Shenzhen. The third market is the
   median over all codes.
4. The source lists the shares of May 2024, so shares that were delisted before are in no market.
5. Beta is fitted without a constant from 5 January to 23 April 2021, on at least 60 days, as in
   `fewtreated.estimators.abnormal_returns`.
6. A share is ranked in a window if it has a return on every day of it.
7. Of the ranks, the 50 lowest, the 50 highest and every tenth between are kept, without codes.
8. A share rose by the limit if it closed at its highest price of the day and within half a
   percentage point of the limit or above it, since adjusted prices are rounded. The limit is 20 per
   cent for codes that begin with 300, 301, 688 or 689, and 10 for others in Shanghai and Shenzhen.
   Shares under special treatment have a limit of 5, but the source does not say which these were,
   so they are not found. Codes of Beijing and the NEEQ are left out.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from fewtreated.errors import DataError, refuse
from fewtreated.estimate import Bools
from fewtreated.estimators.abnormal_returns import MIN_DAYS, market_model
from tqdm import tqdm

HERE = Path(__file__).resolve().parent

COLUMNS = {"日期": "date", "收盘": "close", "最高": "high", "涨跌幅": "change"}
"""Columns to read, by our names: day, closing price, highest price, change in per cent."""

YEAR = "2021"
ESTIMATION = "2021-01-05", "2021-04-23"
LARGEST = 0.5  # a return of this size or more is dropped
# ranks kept at either end, and the distance of those between
TAIL = 50
STEP = 10
BEFORE = 5  # trading days before a window in which a share may have risen by the limit
NEAR = 0.005  # from the limit
GROWTH_BOARDS = ("300", "301", "688", "689")
BEIJING = ("4", "8")
ALL = "all"
MAIN = "shanghai_shenzhen"


@dataclass(frozen=True)
class Prices:
    """Prices of one year by day and code.

    `returns` are fractions, NaN without trading or if dropped; `at_high` says whether a share
    closed at its highest price of the day; `dropped` is the number of returns that were dropped.
    """

    returns: pd.DataFrame
    at_high: pd.DataFrame
    dropped: int

    @property
    def main(self) -> Bools:
        """Whether each code is of Shanghai or Shenzhen, bool[code]."""
        return np.array([not code.startswith(BEIJING) for code in self.returns.columns])


def read(source: Path) -> Prices:
    """Read the prices of one year from a folder with a file per code.

    Raises
    ------
    DataError
        If the folder has no file of prices, or a file lacks a column, repeats a day or has an
        unreadable number.
    """
    files = sorted(
        path for path in source.glob("*.csv") if path.stem.isdigit() and len(path.stem) == 6
    )
    if not files:
        refuse(
            str(source),
            "files of prices such as 300209.csv",
            "none",
            "give the folder data of the repository",
        )
    parts = [_one_code(path) for path in tqdm(files, unit="code", disable=None)]
    rows = pd.concat(parts, ignore_index=True)
    too_large = rows["return"].abs() >= LARGEST
    wide = rows.assign(**{"return": rows["return"].mask(too_large)}).pivot(
        index="date", columns="code"
    )
    returns = wide["return"].dropna(axis=1, how="all")
    at_high = wide["at_high"].reindex(columns=returns.columns).eq(True)
    return Prices(returns, at_high, int(too_large.sum()))


def _one_code(path: Path) -> pd.DataFrame:
    """Return `code`, `date`, `return` and `at_high` of one code in the year."""
    rows = pd.read_csv(path, dtype={"日期": "str"})
    missing = [name for name in COLUMNS if name not in rows.columns]
    if missing:
        refuse(
            str(path),
            f"the columns {', '.join(COLUMNS)}",
            f"no {', '.join(missing)}",
            "give the whole file",
        )
    rows = rows.rename(columns=COLUMNS)[list(COLUMNS.values())]
    rows = rows[rows["date"].str.startswith(YEAR)]
    if rows["date"].duplicated().any():
        day = rows.loc[rows["date"].duplicated(), "date"].iloc[0]
        refuse(str(path), "one row per day", f"two of {day}", "remove one")
    numbers = rows[["close", "high", "change"]].apply(pd.to_numeric, errors="coerce").astype(float)
    if numbers.isna().any(axis=None):
        day = rows.loc[numbers.isna().any(axis=1), "date"].iloc[0]
        refuse(str(path), "numbers", f"none on {day}", "correct the row, or remove it")
    return pd.DataFrame(
        {
            "code": path.stem,
            "date": rows["date"],
            "return": numbers["change"] / 100,
            "at_high": numbers["close"] == numbers["high"],
        }
    )


def ticker(code: str) -> str:
    """Return a code with the suffix of its exchange."""
    if code.startswith(BEIJING):
        return f"{code}.BJ"
    if code.startswith("6"):
        return f"{code}.SH"
    return f"{code}.SZ"


def seller_returns(prices: Prices, sellers: pd.DataFrame) -> pd.DataFrame:
    """Return the daily returns of the listed owners, one row per share and day with a return.

    Raises DataError if the source lacks one of the shares.
    """
    codes = {ticker(code): code for code in prices.returns.columns}
    absent = sorted(set(sellers["ticker"]) - set(codes))
    if absent:
        raise DataError(
            f"Cannot make the returns of sellers: the source has no prices of {', '.join(absent)}; "
            "give the whole source, or correct price_sellers.csv"
        )
    parts = []
    for row in sellers.itertuples():
        daily = prices.returns[codes[row.ticker]].dropna()
        part = pd.DataFrame(
            {"date": daily.index, "ticker": row.ticker, "firm": row.firm, "exposed": row.exposed}
        )
        parts.append(part.assign(daily_return=daily.to_numpy().round(6)))
    return pd.concat(parts, ignore_index=True)


def market_returns(prices: Prices) -> pd.DataFrame:
    """Return the daily return of each market, and the number of shares in it."""
    main = prices.returns.loc[:, prices.main]
    columns = {
        "market_return": prices.returns.mean(axis=1).round(6),
        "n_stocks": prices.returns.count(axis=1),
        "shanghai_shenzhen_return": main.mean(axis=1).round(6),
        "shanghai_shenzhen_stocks": main.count(axis=1),
        "median_return": prices.returns.median(axis=1).round(6),
    }
    return pd.DataFrame(columns).rename_axis("date").reset_index()


def abnormal(returns: pd.DataFrame) -> pd.DataFrame:
    """Return the daily abnormal returns of the shares with enough days in the estimation window.

    The market is the mean of the shares that are given.
    """
    first = returns.index.searchsorted(ESTIMATION[0])
    last = returns.index.searchsorted(ESTIMATION[1], side="right")
    window = int(first), int(last)
    enough = returns.iloc[slice(*window)].count() >= MIN_DAYS
    fitted = returns.loc[:, enough]
    market = returns.mean(axis=1).to_numpy()
    model = market_model(fitted.to_numpy().T, market, estimation=window)
    return pd.DataFrame(model.abnormal.T, fitted.index, fitted.columns)


def cumulative(daily: pd.DataFrame, window: dict[str, str]) -> pd.Series:
    """Return the cumulative abnormal returns of shares in a window, ascending.

    The shares are those that were traded on every day of it.
    """
    days = daily.loc[window["first_day"] : window["last_day"]]
    if days.empty or days.index[0] != window["first_day"] or days.index[-1] != window["last_day"]:
        raise DataError(
            f"Cannot rank shares in the window {window['window']!r}: the source has no prices on"
            f" its first or last day, {window['first_day']} and {window['last_day']}; correct"
            " price_windows.csv"
        )
    return days.sum(min_count=len(days)).dropna().sort_values()


def ranks(daily: pd.DataFrame, windows: pd.DataFrame) -> pd.DataFrame:
    """Return the cumulative abnormal returns at the ranks that are kept, by window."""
    parts = []
    for window in windows.to_dict("records"):
        values = cumulative(daily, window).to_numpy()
        rank = np.arange(1, len(values) + 1)
        kept = (rank <= TAIL) | (rank > len(values) - TAIL) | (rank % STEP == 0)
        part = pd.DataFrame({"rank": rank[kept], "n_stocks": len(values)})
        part["cumulative_abnormal_return"] = values[kept].round(5)
        for place, name in enumerate(["window", "first_day", "last_day"]):
            part.insert(place, name, window[name])
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def after_limit(
    prices: Prices, daily: pd.DataFrame, windows: pd.DataFrame, sellers: pd.DataFrame
) -> pd.DataFrame:
    """Return the abnormal returns of shares that rose by the limit in the days before a window.

    Only windows whose owner's share is among them are in the table. `limit_day` is the last such
    day.
    """
    codes = prices.returns.columns
    limits = np.where(codes.str.startswith(GROWTH_BOARDS), 0.2, 0.1)
    rose = prices.at_high & (prices.returns >= limits - NEAR)
    rose = rose.loc[:, prices.main]
    owners = dict(zip(sellers["firm"], sellers["ticker"].str[:6], strict=True))
    parts = []
    for window in windows.dropna(subset="firm").to_dict("records"):
        first = rose.index.get_loc(window["first_day"])
        recent = rose.iloc[first - BEFORE : first]
        sums = cumulative(daily, window)
        seen = recent.loc[:, recent.any() & recent.columns.isin(sums.index)]
        if owners[window["firm"]] not in seen.columns:
            continue
        parts.append(
            pd.DataFrame(
                {
                    "window": window["window"],
                    "ticker": [ticker(code) for code in seen.columns],
                    "limit": limits[codes.get_indexer(seen.columns)],
                    "limit_day": seen[::-1].idxmax().to_numpy(),
                    "cumulative_abnormal_return": sums[seen.columns].to_numpy().round(5),
                }
            )
        )
    if not parts:
        names = ["window", "ticker", "limit", "limit_day", "cumulative_abnormal_return"]
        return pd.DataFrame(columns=names)
    return pd.concat(parts, ignore_index=True)


def tables(source: Path) -> tuple[dict[str, pd.DataFrame], Prices]:
    """Return the four tables by name, and the prices from which they are made."""
    sellers = pd.read_csv(HERE / "price_sellers.csv")
    windows = pd.read_csv(HERE / "price_windows.csv")
    prices = read(source)
    daily = {ALL: abnormal(prices.returns), MAIN: abnormal(prices.returns.loc[:, prices.main])}
    ranked = [ranks(table, windows).assign(market=market) for market, table in daily.items()]
    in_order = ["market", *ranked[0].columns.drop("market")]
    made = {
        "seller_stock_returns": seller_returns(prices, sellers),
        "market_stock_returns": market_returns(prices),
        "market_car_ranks": pd.concat(ranked, ignore_index=True)[in_order],
        "market_after_limit": after_limit(prices, daily[ALL], windows, sellers),
    }
    return made, prices


def main() -> None:
    """Read the arguments, write the tables, and say what was read and dropped."""
    parser = argparse.ArgumentParser(
        description="Make the tables of share prices from the published prices."
    )
    parser.add_argument(
        "source", type=Path, help="folder data of the source, with one file per code"
    )
    parser.add_argument(
        "--out", type=Path, default=HERE, help="folder for the tables; by default that of this file"
    )
    asked = parser.parse_args()
    made, prices = tables(asked.source)
    asked.out.mkdir(parents=True, exist_ok=True)
    for name, table in made.items():
        table.to_csv(asked.out / f"{name}.csv", index=False, lineterminator="\n")
        print(f"{name}: {len(table):,} rows")
    outside = int((~prices.main).sum())
    print(f"{prices.returns.shape[1]:,} codes, of which {outside:,} of Beijing and the NEEQ")
    print(f"{prices.dropped:,} returns of 50 per cent or more dropped")


if __name__ == "__main__":
    main()
