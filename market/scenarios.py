"""Scenarios of the simulated market that vary the number and size of closed firms.

Every number is the truth in a simulated market, in the window of the estimands; nothing is
estimated or real. Two parameters set the number and size of closed accounts: the closed share of
the origin's sales, and the size tilt, the power of sales with which the odds of closure rise. The
number of closed accounts follows from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
import pandas as pd
from fewtreated.errors import DesignError

from analysis.estimate import Estimate
from analysis.numbers import span
from market.executor import Workers, each
from market.parameters import chosen, in_words, plausible
from market.truth import Truth
from market.worlds import Market, expected_accounts

RANGES: dict[str, tuple[float, float, str]] = {
    name: (*plausible(name), term) for name, term in in_words("assumption").items()
}
"""Plausible range of each assumption that drives the effect, from the market's parameters, and its
label.
"""
_FLOOR, _CEILING = plausible("closed_gmv")
SHARES = tuple(float(f"{_FLOOR * (_CEILING / _FLOOR) ** (step / 3):.2g}") for step in range(-3, 5))
"""Closed shares of Chinese sales: the plausible range in three equal log steps, with three more
below and one above.
"""
TILTS = (0.0, 0.3, 0.6, 0.9)  # change in the log odds of closure per log sales
FEWEST = 20  # markets needed to read off the 5th and 95th percentiles
Made = TypeVar("Made")


def each_market(
    make: Callable[[Market], Made], preset: str, seeds: Iterable[int], workers: Workers = 1
) -> list[Made]:
    """Call a function with the market for each seed.

    `workers` is as for :func:`market.executor.each`.
    """
    return each(partial(_of_market, make, preset), [(seed,) for seed in seeds], workers, "markets")


def _of_market(make: Callable[[Market], Made], preset: str, seed: int) -> Made:
    return make(Market.open(preset, chosen(preset), seed))


def outcomes(market: Market, window: tuple[int, int] = (4, 9)) -> dict[str, float]:
    """Return the effect of the closures in one market, and the accounts closed.

    It is the effect in a window after the first wave.

    `E3g` is that on growth, in percentage points, and `accounts` the expected number.
    """
    return {
        "E3g": Truth(market).window(*window).of_growth()["E3g"],
        "accounts": expected_accounts(market),
    }


def _changed(
    cases: list[dict[str, float]], window: tuple[int, int], market: Market
) -> list[dict[str, float]]:
    return [outcomes(market.changed(**case), window) for case in cases]


def quantile_range(markets: int, level: float) -> tuple[float, str]:
    """Return the share of markets that a range should cover, and a description of the range.

    With fewer than `FEWEST` markets, the range covers all of them.
    """
    if markets < FEWEST:
        return 1.0, f"lowest to highest of {markets} markets"
    return level, f"middle {level:.0%} of {markets} markets"


def grid(
    preset: str, seeds: Iterable[int], *, window: tuple[int, int] = (4, 9), workers: Workers = 1
) -> pd.DataFrame:
    """Simulate every combination of closed share (`SHARES`) and size tilt (`TILTS`).

    `workers` is as for :func:`market.executor.each`.

    Returns
    -------
    DataFrame
        `share`, `tilt`, `seed` and the values of :func:`outcomes`.
    """
    drawn = list(seeds)
    pairs = [(share, tilt) for tilt in TILTS for share in SHARES]
    cases = [{"closed_gmv": share, "tilt": tilt} for share, tilt in pairs]
    markets = each_market(partial(_changed, cases, window), preset, drawn, workers)
    rows = [
        {"share": share, "tilt": tilt, "seed": seed} | row
        for seed, cells in zip(drawn, markets, strict=True)
        for (share, tilt), row in zip(pairs, cells, strict=True)
    ]
    return pd.DataFrame(rows)


def _by_tilt(cells: pd.DataFrame) -> Iterator[tuple[float, list[pd.DataFrame]]]:
    """Yield each size tilt in a grid with its markets, whose rows are sorted by share."""
    for tilt, rows in cells.sort_values("share").groupby("tilt"):
        yield tilt, [market for _, market in rows.groupby("seed")]


def _median_and_ends(values: Sequence[float], level: float) -> list[float]:
    """Return the median of the values, and the limits that enclose a share `level` of them.

    All three are NaN if there are no values.
    """
    ends = (0.5, (1 - level) / 2, (1 + level) / 2)
    if len(values):
        return list(np.quantile(values, ends))
    return [np.nan] * 3


def by_accounts(
    cells: pd.DataFrame, accounts: Sequence[float], *, level: float = 0.95
) -> pd.DataFrame:
    """Interpolate the effect of closing the given numbers of accounts, by size tilt.

    In each market the closed share is interpolated at that number of accounts (both in logs), and
    then the effect at that share. The rows are medians and quantiles over markets.

    Parameters
    ----------
    cells : DataFrame
        From :func:`grid`.
    accounts : sequence of float
    level : float
        Share of markets between `low` and `high`.

    Returns
    -------
    DataFrame
        `accounts`, `tilt`, `markets` whose grid covers that number, `share` (per cent of the
        origin's sales, median), and `E3g`, `low`, `high` in percentage points; NaN if no market's
        grid covers it.
    """
    rows = []
    for tilt, markets in _by_tilt(cells):
        for wanted in accounts:
            shares = []
            effects = []
            for market in markets:
                closed = np.log(market["accounts"].to_numpy())  # rises with the share
                if closed[0] <= np.log(wanted) <= closed[-1]:
                    shares.append(np.interp(np.log(wanted), closed, np.log(market["share"])))
                    effects.append(np.interp(shares[-1], np.log(market["share"]), market["E3g"]))
            share = 100 * np.exp(_median_and_ends(shares, level)[0])
            rows.append((wanted, tilt, len(shares), share, *_median_and_ends(effects, level)))
    return pd.DataFrame(
        rows, columns=["accounts", "tilt", "markets", "share", "E3g", "low", "high"]
    )


def summary(read: pd.DataFrame, accounts: float) -> dict[str, Estimate]:
    """Return the ranges of the "effect" and the closed "share" over size tilts.

    They are for one number of accounts.

    For use in a figure, the term of the effect names the accounts and the share closed, and its
    column `accounts` contains their number. Raises DesignError for a number that no market's grid
    covers.
    """
    rows = read[(read["accounts"] == accounts) & (read["markets"] > 0)]
    if rows.empty:
        raise DesignError(
            f"Cannot interpolate the effect of closing {accounts:,} accounts: no market's grid"
            " covers that number; choose a number within the grid, or widen its shares"
        )
    unit = "share of sales, per cent"
    least = rows["share"].min()
    most = rows["share"].max()
    closed = f"{accounts:,} accounts closed, {span(least, most, unit)} per cent of Chinese sales"
    ends = {
        "effect": (closed, "percentage points", rows["low"].min(), rows["high"].max()),
        "share": ("share", unit, least, most),
    }
    return {
        name: Estimate(
            estimand="E3g",
            unit=unit,
            terms=(term,),
            value=np.full(1, np.nan),
            limits=np.array([[low], [high]]),
            columns={"accounts": [accounts]},
            interval="range over size tilts",
            reason="a range over size tilts has no point",
            provenance="simulated",
        )
        for name, (term, unit, low, high) in ends.items()
    }


def threshold(cells: pd.DataFrame, margin: float, *, level: float = 0.95) -> pd.DataFrame:
    """Find the smallest closed share that lowers growth by more than a margin, by size tilt.

    Returns
    -------
    DataFrame
        `tilt`; `share` (per cent of the origin's sales) and `accounts`, medians over the markets
        whose grid reaches the margin; `low` and `high` of the share over these markets; `reached`,
        their number, out of `markets`.
    """
    rows = []
    for tilt, markets in _by_tilt(cells):
        shares = []
        accounts = []
        for market in markets:
            fall = -np.minimum.accumulate(market["E3g"].to_numpy())
            if fall[0] <= margin < fall[-1]:
                logs = np.log(market["share"].to_numpy())
                share = np.interp(margin, fall, logs)
                shares.append(100 * np.exp(share))
                accounts.append(np.exp(np.interp(share, logs, np.log(market["accounts"]))))
        count = _median_and_ends(accounts, level)[0]
        rows.append((tilt, *_median_and_ends(shares, level), count, len(shares), len(markets)))
    return pd.DataFrame(
        rows, columns=["tilt", "share", "low", "high", "accounts", "reached", "markets"]
    )


def tornado(preset: str, seeds: Iterable[int], *, window: tuple[int, int] = (4, 9)) -> pd.DataFrame:
    """Move one assumption at a time to each end of its range.

    All else is as in the preset, with the same random numbers.

    Returns
    -------
    DataFrame
        One row per parameter in `RANGES`, sorted by decreasing effect: `parameter`, `term` (a
        label), `low`, `high`; `at_low`, `at_high` and `base`, means of E3g over markets; and
        `error`, the Monte Carlo error of the difference between both ends.
    """
    table = pd.DataFrame([(name, term, low, high) for name, (low, high, term) in RANGES.items()])
    table.columns = pd.Index(["parameter", "term", "low", "high"])
    cases = [{}, *({name: end} for name, (*ends, _) in RANGES.items() for end in ends)]
    markets = each_market(partial(_changed, cases, window), preset, seeds)
    effects = np.array([[row["E3g"] for row in rows] for rows in markets])
    means = effects.mean(axis=0)
    gap = effects[:, 2::2] - effects[:, 1::2]
    if len(gap) > 1:
        error = gap.std(axis=0, ddof=1) / np.sqrt(len(gap))
    else:
        error = np.nan
    table = table.assign(at_low=means[1::2], at_high=means[2::2], base=means[0], error=error)
    order = np.argsort(-np.abs(gap.mean(axis=0)), kind="stable")
    return table.iloc[order].reset_index(drop=True)
