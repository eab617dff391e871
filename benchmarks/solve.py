"""Solve for the simulated market's calibrated parameters, and compare its moments with Amazon's.

A parameter is solved if its row in data/market/parameters.csv names a moment: the average market
then matches the target for that moment in data/market/targets.csv. The output is copied by hand
into the column `default`. With ``--moments``, every moment is printed with its target, followed by
the names of those that miss it.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from fewtreated.errors import DesignError
from fewtreated.estimate import Bools, Floats
from scipy.optimize import brentq

from analysis import data
from market.parameters import FIRST_WAVE, PLATFORMS, PRESETS, Parameters, chosen, describe
from market.population import ALWAYS, NEVER
from market.truth import HOME, Truth, over
from market.worlds import Market

MARKETS = 12  # markets to average, as the sampling error of one is far above the tolerances
YEAR_2020 = slice(12, 24)
TOP = 10_000  # merchants, Marketplace Pulse seller retention
SHARE_CLOSED = "closed share of Chinese AMZ sales"
SWEEPS = 2  # rounds in which each parameter is solved given the others
PRECISION = (
    0.01  # share of a parameter's bracket; moments are no smoother, since firms are discrete
)

# In the order of solution. Within its bracket, a moment is monotone in the parameter.
BRACKETS = {
    "entrant_size": (0.0, 2.5),
    "transitory": (0.005, 0.3),
    "exit_base": (0.005, 0.08),
    "growth": (0.0, 0.03),
    "boost": (0.02, 0.4),
    "cheat_level": (-4.5, 0.0),
    "effort": (0.0, 1.5),
}


def solve(
    preset: str = "mid_3k",
    seed: int = 1,
    *,
    markets: int = MARKETS,
    brackets: Mapping[str, tuple[float, float]] = BRACKETS,
    sweeps: int = SWEEPS,
) -> dict[str, float]:
    """Solve for the parameters at which the average market matches its target moments.

    The parameters are solved for one at a time.
    """
    moments = {row["name"]: row["solved_for"] for row in describe()}
    targets = data.load("market_targets").set_index("moment")["target"]
    values = dict[str, float]()
    for name, (low, high) in [*brackets.items()] * sweeps:

        def miss(value: float, name: str = name) -> float:
            simulated = averages(preset, seed, values | {name: value}, markets)
            return float(simulated[moments[name]] - targets[moments[name]])

        misses = miss(low), miss(high)
        if misses[0] * misses[1] > 0:
            raise DesignError(
                f"Cannot solve for {name} such that {moments[name]} = {targets[moments[name]]}:"
                f" between {low} and {high} it is off by {misses[0]:.3f} to {misses[1]:.3f}; widen"
                " the bracket or change another parameter"
            )
        values[name] = float(brentq(miss, low, high, xtol=PRECISION * (high - low)))
    return values


def held_against_targets(
    preset: str = "mid_3k", seed: int = 1, *, markets: int = MARKETS, **overrides: Any
) -> pd.DataFrame:
    """Compare the average market's moments with their targets.

    There is one row per moment, with its tolerance and source.
    """
    table = data.load("market_targets")
    rows = table[table["preset"].isin(["all", preset])].drop(columns="preset")
    share = chosen(preset, overrides).closed_gmv
    rows.loc[len(table)] = [SHARE_CLOSED, share, 0.15 * share, f"preset {preset}"]
    simulated = rows["moment"].map(averages(preset, seed, overrides, markets))
    passed = (simulated - rows["target"]).abs() <= rows["tolerance"]
    rows = rows.assign(simulated=simulated, passed=passed).reset_index(drop=True)
    return rows[["moment", "simulated", "target", "tolerance", "passed", "source"]]


def averages(
    preset: str, seed: int, overrides: Mapping[str, Any], markets: int = MARKETS
) -> dict[str, float]:
    """Average each moment over markets with successive seeds."""
    given = chosen(preset, overrides)
    by_market = [
        moments_of(Truth(Market.open(preset, given, seed + number))) for number in range(markets)
    ]
    return {name: float(np.mean([values[name] for values in by_market])) for name in by_market[0]}


def moments_of(truth: Truth) -> dict[str, float]:
    """Compute a market's moments, by name.

    The year is the twelve months before the first wave.
    """
    # float64[platform, firm]
    year = np.asarray(truth.market.history.sales[-12:].sum(axis=0))
    return {
        **_cheating(truth, year),
        **_sizes(truth, year),
        **_totals(truth, year),
        **_entry(truth),
        **_closures(truth, year),
    }


def _sizes(truth: Truth, year: Floats) -> dict[str, float]:
    """Return the spread of merchants' sales, and the shares of the largest."""
    merchants = truth.market.firms.stands_for
    sells = year[HOME] > 0
    log_sales = np.log(year[HOME, sells] / merchants[sells])
    centred = log_sales - np.average(log_sales, weights=merchants[sells])
    spread = np.sqrt(np.average(centred**2, weights=merchants[sells]))
    order = np.argsort(-log_sales)
    rank, held = (
        np.append(0.0, np.cumsum(values[sells][order])) for values in (merchants, year[HOME])
    )
    return {"sd of log sales": float(spread)} | {
        f"share of the top {count:,} merchants": float(np.interp(count, rank, held) / held[-1])
        for count in (700, 33_000, 300_000)
    }


def _totals(truth: Truth, year: Floats) -> dict[str, float]:
    """Return the growth of sales, the Chinese share, and the firms on other platforms."""
    firms = truth.market.firms
    history = truth.market.history
    by_month = truth.sales("W11")[:, HOME].sum(axis=0)
    years = [float(by_month[start : start + 12].sum()) for start in (0, 12, 24)]
    incumbent = firms.chinese & history.alive[-1] & (firms.entry_month == ALWAYS)
    moments = {
        "Chinese share of AMZ sales": over(year[HOME, firms.chinese].sum(), year[HOME].sum()),
        "AMZ growth 2019 to 2020": over(years[1], years[0]) - 1,
        "AMZ growth 2020 to 2021": over(years[2], years[1]) - 1,
    }
    for name in ("ALI", "EBY"):
        sales = history.sales[-1, PLATFORMS.index(name), incumbent]
        moments[f"Chinese firms on {name}"] = float((sales > 0).mean())
    return moments


def _entry(truth: Truth) -> dict[str, float]:
    """Return who enters, and which firms are there later."""
    firms = truth.market.firms
    history = truth.market.history
    merchants = firms.stands_for
    entry = firms.entry_month
    sales = history.sales[:, HOME]
    newcomer = (history.plan.start.min(axis=0) == entry) & (entry > 0)
    cohort = newcomer & (entry >= YEAR_2020.start) & (entry < YEAR_2020.stop)
    joined = newcomer & (entry < FIRST_WAVE - 1)
    now, before, two_years = (_top(sales[len(sales) - 1 - lag], merchants) for lag in (0, 12, 24))
    moments = {
        "top 10,000 there a year before": over(merchants[now & before].sum(), merchants[now].sum()),
        "top 10,000 there two years before": over(
            merchants[now & two_years].sum(), merchants[now].sum()
        ),
        "first-year cohort's share of sales": over(
            sales[YEAR_2020, cohort].sum(), sales[YEAR_2020].sum()
        ),
        "joiners still active": over(
            merchants[joined & history.alive[-1]].sum(), merchants[joined].sum()
        ),
    }
    for name, january in (("2020", 12), ("2021", 24)):
        entrants = newcomer & (abs(entry - january) <= 2)
        share = float(firms.chinese[entrants].mean())
        moments[f"Chinese part of entrants, January {name}"] = share
    return moments


def _closures(truth: Truth, year: Floats) -> dict[str, float]:
    """Return what closed, how much of the market that was, and what came of it."""
    firms = truth.market.firms
    closures = truth.market.closures
    merchants = firms.stands_for
    chinese = firms.chinese
    closed = closures.dose > 0
    accounts = merchants * firms.accounts
    return {
        "AMZ share of closed firms' sales": over(
            year[HOME, truth.closed].sum(), year[:, truth.closed].sum()
        ),
        "closed firms' sales, first year (E1a)": (
            truth.window().effect(truth.closed, slice(None)) / 100
        ),
        "closed firms that reopen": over((closures.back[closed] < NEVER).sum(), closed.sum()),
        "accounts per closed firm": over(firms.accounts[closed].sum(), closed.sum()),
        SHARE_CLOSED: over(year[HOME, closed].sum(), year[HOME, chinese].sum()),
        "closed share of Chinese accounts": over(
            (merchants * closures.closed_accounts).sum(),
            accounts[chinese & (firms.entry_month == ALWAYS)].sum(),
        ),
    }


def _cheating(truth: Truth, year: Floats) -> dict[str, float]:
    """Return the effect of fake reviews on units in the cheating third.

    Also return cheaters' shares of sales.

    The shares are those in the cheating third and in all categories.
    """
    market = truth.market
    parameters = market.parameters
    firms = market.firms
    nests = market.firms.nests
    home = nests.totals(year[HOME])
    cheaters = np.divide(
        nests.totals(year[HOME] * firms.cheater), home, out=np.zeros_like(home), where=home > 0
    )
    spending = nests.totals(year).sum(axis=0) + market.history.outside[-12:].sum(axis=0)
    boost = np.exp(parameters.boost / (1 - parameters.sigma))
    shrunk = 1 - cheaters + cheaters / boost
    share = home / spending
    pull = shrunk ** (1 - parameters.sigma)
    without = spending * share * pull / (1 - share + share * pull)
    dishonest = without * cheaters / boost / shrunk
    honest = without * (1 - cheaters) / shrunk
    keen = firms.cheating >= np.quantile(firms.cheating, 2 / 3)
    sold = home * cheaters
    fair = home * (1 - cheaters)
    return {
        "cheaters' units, with against without fakes": (
            over(sold[keen].sum(), dishonest[keen].sum()) - 1
        ),
        "honest rivals' units, same": over(fair[keen].sum(), honest[keen].sum()) - 1,
        "cheaters' share of sales, all categories": over(sold.sum(), home.sum()),
        "cheaters' share of sales, cheating third": over(sold[keen].sum(), home[keen].sum()),
    }


def _top(sales: Floats, merchants: Floats) -> Bools:
    """Return a mask of the firms that stand for the `TOP` largest merchants, bool[firm]."""
    order = np.argsort(-sales / merchants)
    top = np.zeros(len(sales), dtype=bool)
    top[order[: int(np.searchsorted(np.cumsum(merchants[order]), TOP))]] = True
    return top


def show(report: pd.DataFrame) -> None:
    """Print every moment with its target, followed by the names of those that miss theirs."""
    print(report.to_string(index=False, float_format=lambda number: f"{number:.3f}"))
    missed = report[~report["passed"]]
    print(f"\n{len(missed)} of {len(report)} moments miss their target by more than the tolerance")
    for row in missed.itertuples():
        print(
            f"  {row.moment}: {row.simulated:.3f}, target {row.target:.3f}, tolerance"
            f" {row.tolerance:.3f}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="mid_3k", choices=PRESETS)
    parser.add_argument(
        "--seed",
        type=int,
        default=1,
        help="seed of the first market (default 1); the others follow",
    )
    parser.add_argument(
        "--moments",
        action="store_true",
        help="print every moment with its target, and solve nothing",
    )
    options = parser.parse_args()
    if options.moments:
        show(held_against_targets(options.preset, options.seed))
    else:
        for name, value in solve(options.preset, options.seed).items():
            print(f"{name:14} solved {value:8.4f}   stored {getattr(Parameters(), name):8.4f}")
