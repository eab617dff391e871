"""The market, month by month: presence and reputation, demand, exit (equations 2, 3, 4, 9)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.estimate import Bools, Floats
from analysis.market.demand import Nests, platform_targets
from analysis.market.firms import ALWAYS, NEVER, Firms
from analysis.market.parameters import PLATFORMS, Ints, Parameters
from analysis.market.paths import Paths

EBY = PLATFORMS.index("EBY")
FULL = 12  # months to full reputation
THOUSAND = 1000.0  # sim-$, the unit of sales in the exit hazard


@dataclass(frozen=True, eq=False)
class Stage:
    """What no world changes.

    Attributes
    ----------
    parameters, firms, paths
        Of this market.
    base : float64[platform, firm]
        Weight of each product at full reputation, without shocks and fakes.
    level : float64[platform, category]
        Utility that gives every platform its share of spending in month 0.
    """

    parameters: Parameters
    firms: Firms
    paths: Paths
    base: Floats
    level: Floats


@dataclass(frozen=True, eq=False)
class Plan:
    """What a world does to firms before anyone buys; `closed` counts the firms that closures touch.

    Attributes
    ----------
    first : int
        Month of row 0 of the arrays.
    start : int64[platform, firm]
        First month on each platform.
    home : float64[month, firm]
        Factor on weights on AMZ: fake reviews times the open part.
    closed : int64[closed]
        Rows of the firms touched.
    effort : float64[month, platform, closed]
        Factor on their weights.
    following : float64[month, closed]
        Share of the category's spending that follows the firm to its other platforms.
    hazard : float64[month, closed]
        Added to their exit hazard.
    trust : float64[month]
        Utility of AMZ.
    """

    first: int
    start: Ints
    home: Floats
    closed: Ints
    effort: Floats
    following: Floats
    hazard: Floats
    trust: Floats


@dataclass(frozen=True, eq=False)
class Course:
    """What happened from month `first` on.

    Attributes
    ----------
    first : int
        Month of row 0.
    sales : float64[month, platform, firm]
        sim-$.
    alive : bool[month, firm]
        Not gone for good at the start of the month; firms that have not entered yet are alive.
    outside : float64[month, category]
        Spending elsewhere, sim-$.
    survivors : bool[firm]
        Alive after the last month.
    plan : Plan
    """

    first: int
    sales: Floats
    alive: Bools
    outside: Floats
    survivors: Bools
    plan: Plan


def fakes(parameters: Parameters, kept: Floats | Bools) -> Floats:
    """Return the factor on weights of a share of fake reviews kept."""
    return np.exp(parameters.boost / (1 - parameters.sigma) * kept)


def untouched(stage: Stage, start: Ints, first: int, last: int) -> Plan:
    """Return the plan of months ``first`` to ``last - 1`` in which nobody interferes."""
    months, none = last - first, np.empty(0, dtype=np.int64)
    home = np.broadcast_to(fakes(stage.parameters, stage.firms.cheater), (months, len(stage.firms)))
    nobody = np.empty((months, 0))
    return Plan(first, start, home, none, np.empty((months, len(PLATFORMS), 0)), nobody, nobody, np.zeros(months))


def set_stage(parameters: Parameters, firms: Firms, paths: Paths) -> Stage:
    """Fix levels so that platforms and origins have their shares of spending in month 0."""
    log_base = np.log(firms.stands_for) + firms.size + firms.fit
    log_base += parameters.entrant_size * (firms.entry_month != ALWAYS)
    base = np.exp(log_base)
    now = base * paths.firm[0] * (firms.start == ALWAYS)
    now[0] *= fakes(parameters, firms.cheater)
    sizes, chinese = platform_targets(parameters)
    factor = _origin_factor(firms.nests, now, firms.chinese, chinese[:, np.newaxis])
    base, now = base * factor, now * factor
    level = np.log(sizes / (1 - sizes.sum()))[:, np.newaxis] - firms.nests.inclusive(firms.nests.totals(now))
    usual = np.nanmean(np.where(np.isfinite(level), level, np.nan), axis=1, keepdims=True)
    return Stage(parameters, firms, paths, base, np.where(np.isfinite(level), level, usual))


def _origin_factor(nests: Nests, now: Floats, chinese: Bools, wanted: Floats) -> Floats:
    """Return factors on Chinese weights, [platform, firm], that give the wanted Chinese share of sales."""
    ours, theirs = nests.totals(now * chinese), nests.totals(now * ~chinese)
    for sums in (ours, theirs):  # nests off AMZ are thin: one factor for the platform
        sums[1:] = sums[1:].sum(axis=1, keepdims=True)
    both = (ours > 0) & (theirs > 0)
    factor = np.where(both, wanted / (1 - wanted) * theirs / np.where(both, ours, 1.0), 1.0)
    return np.where(chinese, nests.spread(factor), 1.0)


def run(stage: Stage, plan: Plan, alive: Bools) -> Course:
    """Run the months of a plan; `alive` bool[firm] says who is left when it begins."""
    firms, paths, months = stage.firms, stage.paths, len(plan.trust)
    sales = np.empty((months, len(PLATFORMS), len(firms)))
    living = np.empty((months, len(firms)), dtype=bool)
    outside = np.empty((months, len(firms.nests.starts)))
    reputation = _Reputation(stage, plan.start, plan.first)
    leavers = np.flatnonzero(firms.stop != NEVER)
    entered = plan.start.min(axis=0)
    alive = alive.copy()
    for row, month in enumerate(range(plan.first, plan.first + months)):
        living[row] = alive
        weights = reputation.weights(month) * (paths.firm[month] * alive)
        weights[0] *= plan.home[row]
        weights[EBY, leavers[firms.stop[leavers] <= month]] = 0.0
        weights[:, plan.closed] *= plan.effort[row]
        appeal = stage.level + paths.appeal[month]
        appeal[0] += plan.trust[row]
        sales[row], outside[row] = _sell(firms.nests, weights, appeal, paths.spending[month], plan, row)
        gone = firms.drawn["exit"][month] < _hazard(
            stage.parameters, sales[row].sum(axis=0) / firms.stands_for, plan, row
        )
        alive &= ~(gone & (entered <= month))
    return Course(plan.first, sales, living, outside, alive, plan)


def _sell(
    nests: Nests, weights: Floats, appeal: Floats, spending: Floats, plan: Plan, row: int
) -> tuple[Floats, Floats]:
    """Let followers buy from their brand's other platforms, and everyone else choose."""
    if not plan.closed.size:
        return nests.sales(weights, appeal, spending)
    away = weights[1:, plan.closed]
    some = away.sum(axis=0)
    category = nests.category[plan.closed]
    following = np.where(some > 0, plan.following[row], 0.0)
    share = np.bincount(category, following, minlength=len(spending))
    sales, outside = nests.sales(weights, appeal, spending * (1 - share))
    sold = sales[1:, plan.closed]
    total = sold.sum(axis=0)
    split = np.divide(sold, total, out=np.zeros_like(sold), where=total > 0)
    sales[1:, plan.closed] = sold + split * (following * spending[category])
    return sales, outside


def _hazard(parameters: Parameters, sales: Floats, plan: Plan, row: int) -> Floats:
    """Return each firm's probability to leave for good, given its sales per merchant."""
    hazard = parameters.exit_base * np.exp(-parameters.exit_size * np.log1p(sales / THOUSAND))
    hazard[plan.closed] += plan.hazard[row]
    return hazard


class _Reputation:
    """Weights at the reputation that age on the platform has earned; only the young are touched each month."""

    def __init__(self, stage: Stage, start: Ints, first: int):
        newcomer = stage.parameters.reputation
        earned = np.log(newcomer + (1 - newcomer) * np.arange(FULL + 1) / FULL)
        self.factors = np.exp(earned / (1 - stage.firms.nests.sigma))  # [platform, age]
        self.base = stage.base.ravel()
        self.start = start.astype(np.int16)
        self.weighted = np.where(start < first - FULL, stage.base, 0.0)

    def weights(self, month: int) -> Floats:
        """Return float64[platform, firm]; months must be asked for one after the other."""
        age = (np.int16(month) - self.start).ravel()
        young = np.flatnonzero(age.view(np.uint16) <= FULL)  # a negative age is a large unsigned one
        platform = young // self.start.shape[1]
        self.weighted.ravel()[young] = self.base[young] * self.factors[platform, age[young]]
        return self.weighted
