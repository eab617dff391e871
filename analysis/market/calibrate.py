"""Moments of simulated markets beside the public figures that they are held against.

The market is calibrated on moments, not on coefficients. Targets are rows of ``data/market/targets.csv``;
``benchmarks/solve.py`` solves the solved parameters again.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis import data
from analysis.estimate import Bools, Floats
from analysis.market.parameters import FIRST_WAVE, PLATFORMS, PRESETS, chosen
from analysis.market.population import ALWAYS, NEVER
from analysis.market.truth import HOME, Truth, over
from analysis.market.worlds import Market

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
    """Return the moments of one market by name."""
    return _cheating(truth) | _sizes(truth) | _totals(truth) | _turnover(truth) | _closures(truth)


def _year(truth: Truth) -> Floats:
    """Return sales in the twelve months before the first wave, float64[platform, firm]."""
    return np.asarray(truth.market.history.sales[-12:].sum(axis=0))


def _cheating(truth: Truth) -> dict[str, float]:
    """Take all fakes out of the base year's demand, and see who sells less or more where cheating is common."""
    market, year = truth.market, _year(truth)
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


def _sizes(truth: Truth) -> dict[str, float]:
    firms, sales = truth.market.firms, _year(truth)[HOME]
    sells = sales > 0
    merchants, log_sales = firms.stands_for[sells], np.log(sales[sells] / firms.stands_for[sells])
    centred = log_sales - np.average(log_sales, weights=merchants)
    order = np.argsort(-log_sales)
    rank, held = (np.append(0.0, np.cumsum(values[order])) for values in (merchants, sales[sells]))
    top = {
        f"share of the top {count:,} merchants": float(np.interp(count, rank, held) / held[-1])
        for count in (700, 33_000, 300_000)
    }
    return {"sd of log sales": float(np.sqrt(np.average(centred**2, weights=merchants))), **top}


def _totals(truth: Truth) -> dict[str, float]:
    market, year = truth.market, _year(truth)
    firms, history = market.firms, market.history
    monthly = truth.sales("W11")[:, HOME].sum(axis=0)
    years = [float(monthly[start : start + 12].sum()) for start in (0, 12, 24)]
    there = firms.chinese & history.alive[-1] & (firms.entry_month == ALWAYS)
    sold = {name: history.sales[-1, PLATFORMS.index(name), there] > 0 for name in ("ALI", "EBY")}
    return {
        "Chinese share of AMZ sales": over(year[HOME, firms.chinese].sum(), year[HOME].sum()),
        "AMZ growth 2019 to 2020": over(years[1], years[0]) - 1,
        "AMZ growth 2020 to 2021": over(years[2], years[1]) - 1,
        **{f"Chinese firms on {name}": float(sells.mean()) for name, sells in sold.items()},
    }


def _turnover(truth: Truth) -> dict[str, float]:
    market = truth.market
    firms, sales, alive = market.firms, market.history.sales[:, HOME], market.history.alive[-1]
    month, merchants = firms.entry_month, firms.stands_for
    newcomer = (market.history.plan.start.min(axis=0) == month) & (month > 0)
    cohort = newcomer & (month >= YEAR_2020.start) & (month < YEAR_2020.stop)
    joined = newcomer & (month < FIRST_WAVE - 1)
    top = {lag: _top(sales[len(sales) - 1 - lag], merchants) for lag in (0, 12, 24)}
    stayed = {lag: over(float(merchants[top[0] & top[lag]].sum()), float(merchants[top[0]].sum())) for lag in top}
    entrants = {year: newcomer & (abs(month - january) <= 2) for year, january in ((2020, 12), (2021, 24))}
    return {
        "top 10,000 there a year before": stayed[12],
        "top 10,000 there two years before": stayed[24],
        "first-year cohort's share of sales": over(sales[YEAR_2020, cohort].sum(), sales[YEAR_2020].sum()),
        **{
            f"Chinese part of entrants, January {year}": float(firms.chinese[who].mean())
            for year, who in entrants.items()
        },
        "joiners still active": over(float(merchants[joined & alive].sum()), float(merchants[joined].sum())),
    }


def _top(sales: Floats, merchants: Floats) -> Bools:
    """Return the firms that stand for the `TOP` merchants of largest sales, bool[firm]."""
    order = np.argsort(-sales / merchants)
    top = np.zeros(len(sales), dtype=bool)
    top[order[: int(np.searchsorted(np.cumsum(merchants[order]), TOP))]] = True
    return top


def _closures(truth: Truth) -> dict[str, float]:
    firms, closures, year = truth.market.firms, truth.market.closures, _year(truth)
    some, closed = closures.dose > 0, truth.closed
    before = firms.chinese & (firms.entry_month == ALWAYS)
    accounts = firms.stands_for * firms.accounts
    return {
        "AMZ share of closed firms' sales": over(year[HOME, closed].sum(), year[:, closed].sum()),
        "closed firms' sales, first year (E1a)": truth.window().effect(closed, slice(None)) / 100,
        "closed firms that reopen": over(float((closures.back[some] < NEVER).sum()), float(some.sum())),
        "accounts per closed firm": over(float(firms.accounts[some].sum()), float(some.sum())),
        SHARE_CLOSED: over(year[HOME, some].sum(), year[HOME, firms.chinese].sum()),
        "closed share of Chinese accounts": over(
            float((firms.stands_for * closures.closed_accounts).sum()), float(accounts[before].sum())
        ),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print every moment beside its target, and by name those that miss."""
    parser = argparse.ArgumentParser(prog="python -m analysis.market", description=main.__doc__)
    parser.add_argument("--preset", default="mid_3k", choices=PRESETS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--no-solve", action="store_true", help="nothing is solved here any more: see benchmarks/solve.py"
    )
    asked = parser.parse_args(arguments)
    report = calibrate(asked.preset, asked.seed)
    print(report.to_string(index=False, float_format=lambda number: f"{number:.3f}"))
    missed = report[~report["passed"]]
    print(f"\n{len(missed)} of {len(report)} moments miss their target by more than the tolerance")
    for row in missed.itertuples():
        print(f"  {row.moment}: {row.simulated:.3f}, target {row.target:.3f}, tolerance {row.tolerance:.3f}")
