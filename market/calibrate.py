"""Moments of simulated markets beside the public figures that they are held against.

The market is calibrated on moments, not on coefficients. Targets are rows of ``data/market/targets.csv``;
``benchmarks/solve.py`` solves the solved parameters again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis import data
from analysis.estimate import Bools, Floats
from market.parameters import FIRST_WAVE, PLATFORMS, chosen
from market.population import ALWAYS, NEVER
from market.truth import HOME, Truth, over
from market.worlds import Market

MARKETS = 12  # markets averaged: one has sampling error of its own, far above the tolerances
YEAR_2020 = slice(12, 24)
TOP = 10_000  # merchants, Marketplace Pulse seller retention
SHARE_CLOSED = "closed share of Chinese AMZ sales"


def calibrate(preset: str = "mid_3k", seed: int = 1, *, markets: int = MARKETS, **overrides: Any) -> pd.DataFrame:
    """Hold simulated moments against their targets.

    Parameters
    ----------
    preset : str
        One of `PRESETS`.
    seed : int
        Of the first market; the others have the seeds that follow.
    markets : int
        Markets averaged, at least 1.
    **overrides : float or int
        Parameters to change.

    Returns
    -------
    DataFrame
        A row per moment: `moment`, `simulated`, `target`, `tolerance`, `passed`, `source`.
    """
    table = data.load("market_targets")
    rows = table[table["preset"].isin(["all", preset])].drop(columns="preset")
    share = chosen(preset, overrides).closed_gmv
    rows.loc[len(table)] = [SHARE_CLOSED, share, 0.15 * share, f"preset {preset}"]
    found = rows["moment"].map(averages(preset, seed, overrides, markets))
    near = (found - rows["target"]).abs() <= rows["tolerance"]
    rows = rows.assign(simulated=found, passed=near).reset_index(drop=True)
    return rows[["moment", "simulated", "target", "tolerance", "passed", "source"]]


def averages(preset: str, seed: int, overrides: Mapping[str, Any], markets: int = MARKETS) -> dict[str, float]:
    """Return each moment's average over `markets` markets, of seeds `seed`, `seed` + 1, ..."""
    given = chosen(preset, overrides)
    found = [moments_of(Truth(Market.open(preset, given, seed + number))) for number in range(markets)]
    return {name: float(np.mean([moments[name] for moments in found])) for name in found[0]}


def moments_of(truth: Truth) -> dict[str, float]:
    """Return the moments of one market by name; the year is the twelve months before the first wave."""
    market = truth.market
    firms, history, closures = market.firms, market.history, market.closures
    year = np.asarray(history.sales[-12:].sum(axis=0))  # float64[platform, firm]
    merchants, chinese, entry, alive = firms.stands_for, firms.chinese, firms.entry_month, history.alive[-1]
    found = _cheating(truth, year)

    # sizes
    sells = year[HOME] > 0
    log_sales = np.log(year[HOME, sells] / merchants[sells])
    centred = log_sales - np.average(log_sales, weights=merchants[sells])
    found["sd of log sales"] = float(np.sqrt(np.average(centred**2, weights=merchants[sells])))
    order = np.argsort(-log_sales)
    rank, held = (np.append(0.0, np.cumsum(values[sells][order])) for values in (merchants, year[HOME]))
    for count in (700, 33_000, 300_000):
        found[f"share of the top {count:,} merchants"] = float(np.interp(count, rank, held) / held[-1])

    # totals
    by_month = truth.sales("W11")[:, HOME].sum(axis=0)
    years = [float(by_month[start : start + 12].sum()) for start in (0, 12, 24)]
    found["Chinese share of AMZ sales"] = over(year[HOME, chinese].sum(), year[HOME].sum())
    found["AMZ growth 2019 to 2020"] = over(years[1], years[0]) - 1
    found["AMZ growth 2020 to 2021"] = over(years[2], years[1]) - 1
    there = chinese & alive & (entry == ALWAYS)
    for name in ("ALI", "EBY"):
        found[f"Chinese firms on {name}"] = float((history.sales[-1, PLATFORMS.index(name), there] > 0).mean())

    # who comes, and who stays
    sales, newcomer = history.sales[:, HOME], (history.plan.start.min(axis=0) == entry) & (entry > 0)
    cohort = newcomer & (entry >= YEAR_2020.start) & (entry < YEAR_2020.stop)
    now, before, two_years = (_top(sales[len(sales) - 1 - lag], merchants) for lag in (0, 12, 24))
    found["top 10,000 there a year before"] = over(merchants[now & before].sum(), merchants[now].sum())
    found["top 10,000 there two years before"] = over(merchants[now & two_years].sum(), merchants[now].sum())
    found["first-year cohort's share of sales"] = over(sales[YEAR_2020, cohort].sum(), sales[YEAR_2020].sum())
    for name, january in (("2020", 12), ("2021", 24)):
        entrants = newcomer & (abs(entry - january) <= 2)
        found[f"Chinese part of entrants, January {name}"] = float(chinese[entrants].mean())
    joined = newcomer & (entry < FIRST_WAVE - 1)
    found["joiners still active"] = over(merchants[joined & alive].sum(), merchants[joined].sum())

    # closures
    some, accounts = closures.dose > 0, merchants * firms.accounts
    found["AMZ share of closed firms' sales"] = over(year[HOME, truth.closed].sum(), year[:, truth.closed].sum())
    found["closed firms' sales, first year (E1a)"] = truth.window().effect(truth.closed, slice(None)) / 100
    found["closed firms that reopen"] = over((closures.back[some] < NEVER).sum(), some.sum())
    found["accounts per closed firm"] = over(firms.accounts[some].sum(), some.sum())
    found[SHARE_CLOSED] = over(year[HOME, some].sum(), year[HOME, chinese].sum())
    closed_accounts = (merchants * closures.closed_accounts).sum()
    found["closed share of Chinese accounts"] = over(closed_accounts, accounts[chinese & (entry == ALWAYS)].sum())
    return found


def _cheating(truth: Truth, year: Floats) -> dict[str, float]:
    """Take all fakes out of the year's demand, and see who sells less or more where cheating is common."""
    market = truth.market
    parameters, firms, nests = market.parameters, market.firms, market.firms.nests
    home = nests.totals(year[HOME])
    cheaters = np.divide(nests.totals(year[HOME] * firms.cheater), home, out=np.zeros_like(home), where=home > 0)
    spending = nests.totals(year).sum(axis=0) + market.history.outside[-12:].sum(axis=0)
    boost = np.exp(parameters.boost / (1 - parameters.sigma))
    shrunk = 1 - cheaters + cheaters / boost
    share, pull = home / spending, shrunk ** (1 - parameters.sigma)
    without = spending * share * pull / (1 - share + share * pull)
    dishonest, honest = without * cheaters / boost / shrunk, without * (1 - cheaters) / shrunk
    keen = firms.cheating >= np.quantile(firms.cheating, 2 / 3)
    sold, fair = home * cheaters, home * (1 - cheaters)
    return {
        "cheaters' units, with against without fakes": over(sold[keen].sum(), dishonest[keen].sum()) - 1,
        "honest rivals' units, same": over(fair[keen].sum(), honest[keen].sum()) - 1,
        "cheaters' share of sales, all categories": over(sold.sum(), home.sum()),
        "cheaters' share of sales, cheating third": over(sold[keen].sum(), home[keen].sum()),
    }


def _top(sales: Floats, merchants: Floats) -> Bools:
    """Return the firms that stand for the `TOP` merchants of largest sales, bool[firm]."""
    order = np.argsort(-sales / merchants)
    top = np.zeros(len(sales), dtype=bool)
    top[order[: int(np.searchsorted(np.cumsum(merchants[order]), TOP))]] = True
    return top
