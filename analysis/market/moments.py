"""Moments of simulated markets that public figures can be held against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.estimate import Bools, Floats
from analysis.market.firms import ALWAYS, NEVER
from analysis.market.parameters import FIRST_WAVE, PLATFORMS
from analysis.market.truth import HOME, Truth, over

YEAR_2020 = slice(12, 24)
TOP = 10_000  # merchants, Marketplace Pulse seller retention


@dataclass(frozen=True)
class Target:
    """A figure that a moment is held against, within a tolerance in the same unit."""

    moment: str
    value: float
    tolerance: float
    source: str


TARGETS = (
    Target("cheaters' units, with against without fakes", 0.272, 0.015, "Gandhi et al."),
    Target("honest rivals' units, same", -0.044, 0.005, "Gandhi et al."),
    Target("cheaters' share of sales, all categories", 0.13, 0.02, "DBT: 11 to 15 % of reviews"),
    Target("cheaters' share of sales, cheating third", 0.13, 0.02, "DBT: 11 to 15 % of reviews in three categories"),
    Target("sd of log sales", 2.3, 0.25, "fit to Marketplace Pulse"),
    Target("share of the top 700 merchants", 0.10, 0.04, "Marketplace Pulse"),
    Target("share of the top 33,000 merchants", 0.50, 0.10, "Marketplace Pulse"),
    Target("share of the top 300,000 merchants", 0.90, 0.05, "Marketplace Pulse"),
    Target("top 10,000 there a year before", 0.66, 0.05, "Marketplace Pulse"),
    Target("top 10,000 there two years before", 0.50, 0.07, "Marketplace Pulse"),
    Target("Chinese share of AMZ sales", 0.40, 0.06, "0.33 to 0.46"),
    Target("AMZ growth 2019 to 2020", 0.475, 0.05, "GMV 200, 295 bn"),
    Target("AMZ growth 2020 to 2021", 0.322, 0.10, "GMV 295, 390 bn"),
    Target("first-year cohort's share of sales", 0.10, 0.02, "Marketplace Pulse"),
    Target("Chinese part of entrants, January 2020", 0.47, 0.06, "economy.pk"),
    Target("Chinese part of entrants, January 2021", 0.75, 0.06, "economy.pk"),
    Target("joiners still active", 0.75, 0.03, "60 % of joiners since 2017, at a constant hazard"),
    Target("Chinese firms on ALI", 0.40, 0.08, "Payoneer 2016"),
    Target("Chinese firms on EBY", 0.28, 0.08, "Payoneer 2016"),
    Target("AMZ share of closed firms' sales", 0.75, 0.08, "Aukey's prospectus"),
    Target("closed firms' sales, first year (E1a)", -0.58, 0.08, "listed firms, -50 to -67 %"),
    Target("closed firms that reopen", 0.15, 0.06, "Sunvalley, Aukey"),
    Target("accounts per closed firm", 5.0, 1.0, "3,000 accounts of 600 brands"),
)


ACCOUNTS_3K, ACCOUNTS_50K = 0.003, 0.05  # 3,000 and 50,000 of about a million Chinese merchants
MANY = ("ceiling_50k", "tail_50k", "chill", "trust")


def targets(preset: str, closed_gmv: float) -> tuple[Target, ...]:
    """Return the targets of a preset: those of every market, and how much the preset closes."""
    accounts = ACCOUNTS_50K if preset in MANY else ACCOUNTS_3K
    return (
        *TARGETS,
        Target("closed share of Chinese AMZ sales", closed_gmv, 0.15 * closed_gmv, f"preset {preset}"),
        Target("closed share of Chinese accounts", accounts, 0.5 * accounts, f"preset {preset}"),
    )


def moments_of(truth: Truth) -> dict[str, float]:
    """Return the moments of one market by name."""
    return _cheating(truth) | _sizes(truth) | _totals(truth) | _turnover(truth) | _closures(truth)


def _year(truth: Truth) -> Floats:
    """Return sales in the twelve months before the first wave, float64[platform, firm]."""
    return np.asarray(truth.market.history.sales[-12:].sum(axis=0))


def _cheating(truth: Truth) -> dict[str, float]:
    """Take all fakes out of the base year's demand, and see who sells less or more where cheating is common."""
    market = truth.market
    parameters, firms, history = market.stage.parameters, market.stage.firms, market.history
    nests, year = firms.nests, _year(truth)
    home = nests.totals(year[HOME])
    cheaters = over_by(nests.totals(year[HOME] * firms.cheater), home)
    spending = nests.totals(year).sum(axis=0) + history.outside[-12:].sum(axis=0)
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


def over_by(numerator: Floats, denominator: Floats) -> Floats:
    """Divide element by element, 0 where there is nothing to divide by."""
    return np.divide(numerator, denominator, out=np.zeros_like(denominator), where=denominator > 0)


def _sizes(truth: Truth) -> dict[str, float]:
    firms, sales = truth.market.stage.firms, _year(truth)[HOME]
    sells = sales > 0
    merchants, log_sales = firms.stands_for[sells], np.log(sales[sells] / firms.stands_for[sells])
    centred = log_sales - np.average(log_sales, weights=merchants)
    order = np.argsort(-log_sales)
    rank, held = np.cumsum(merchants[order]), np.cumsum(sales[sells][order])
    top = {f"share of the top {count:,} merchants": _held(rank, held, count) for count in (700, 33_000, 300_000)}
    return {"sd of log sales": float(np.sqrt(np.average(centred**2, weights=merchants))), **top}


def _held(rank: Floats, held: Floats, count: int) -> float:
    return float(np.interp(count, np.append(0.0, rank), np.append(0.0, held)) / held[-1])


def _totals(truth: Truth) -> dict[str, float]:
    firms = truth.market.stage.firms
    monthly = truth.sales("W11")[:, HOME].sum(axis=0)
    years = [float(monthly[start : start + 12].sum()) for start in (0, 12, 24)]
    year = _year(truth)
    now = truth.market.history.sales[-1] > 0
    there = firms.chinese & truth.market.history.alive[-1] & (firms.entry_month == ALWAYS)
    return {
        "Chinese share of AMZ sales": over(year[HOME, firms.chinese].sum(), year[HOME].sum()),
        "AMZ growth 2019 to 2020": over(years[1], years[0]) - 1,
        "AMZ growth 2020 to 2021": over(years[2], years[1]) - 1,
        **{f"Chinese firms on {name}": float(now[PLATFORMS.index(name), there].mean()) for name in ("ALI", "EBY")},
    }


def _turnover(truth: Truth) -> dict[str, float]:
    market = truth.market
    firms, sales = market.stage.firms, market.history.sales[:, HOME]
    entered = market.history.plan.start.min(axis=0) == firms.entry_month
    newcomer = entered & (firms.entry_month > 0)
    cohort = newcomer & (firms.entry_month >= YEAR_2020.start) & (firms.entry_month < YEAR_2020.stop)
    joined = newcomer & (firms.entry_month < FIRST_WAVE - 1)
    last = len(sales) - 1
    return {
        **{
            f"top 10,000 there {name} before": _stayed(sales[last], sales[last - lag], firms.stands_for)
            for name, lag in (("a year", 12), ("two years", 24))
        },
        "first-year cohort's share of sales": over(sales[YEAR_2020, cohort].sum(), sales[YEAR_2020].sum()),
        **{
            f"Chinese part of entrants, January {year}": float(
                firms.chinese[newcomer & (abs(firms.entry_month - month) <= 2)].mean()
            )
            for year, month in ((2020, 12), (2021, 24))
        },
        "joiners still active": over(
            float(firms.stands_for[joined & market.history.alive[-1]].sum()), float(firms.stands_for[joined].sum())
        ),
    }


def _stayed(now: Floats, then: Floats, merchants: Floats) -> float:
    """Return the share of the top merchants now that were among the top then."""
    top = [_top(sales, merchants) for sales in (now, then)]
    return over(float(merchants[top[0] & top[1]].sum()), float(merchants[top[0]].sum()))


def _top(sales: Floats, merchants: Floats) -> Bools:
    order = np.argsort(-sales / merchants)
    top = np.zeros(len(sales), dtype=bool)
    top[order[: int(np.searchsorted(np.cumsum(merchants[order]), TOP))]] = True
    return top


def _closures(truth: Truth) -> dict[str, float]:
    market = truth.market
    firms, closures, year = market.stage.firms, market.closures, _year(truth)
    any_, closed = closures.dose > 0, truth.closed
    chinese = firms.chinese & (firms.entry_month == ALWAYS)
    accounts = firms.stands_for * firms.accounts
    return {
        "AMZ share of closed firms' sales": over(year[HOME, closed].sum(), year[:, closed].sum()),
        "closed firms' sales, first year (E1a)": truth.window().effect(closed, slice(None)) / 100,
        "closed firms that reopen": over(float((closures.back[any_] < NEVER).sum()), float(any_.sum())),
        "accounts per closed firm": over(float(firms.accounts[any_].sum()), float(any_.sum())),
        "closed share of Chinese AMZ sales": over(year[HOME, any_].sum(), year[HOME, firms.chinese].sum()),
        "closed share of Chinese accounts": over(
            float((firms.stands_for * closures.closed_accounts).sum()), float(accounts[chinese].sum())
        ),
    }
