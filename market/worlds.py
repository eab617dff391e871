"""Run a market's worlds month by month with the same random numbers.

Worlds follow equations 2 to 4 (presence, demand, spending) and 6 to 11 (closures, relocation, exit
and entry, chilling, trust).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from fewtreated.estimate import Bools, Floats, Ints

from market.parameters import FIRST_WAVE, MONTHS, PLATFORMS, WAVES, Parameters, chosen
from market.population import (
    ALWAYS,
    NEVER,
    Environment,
    Firms,
    Nests,
    delay,
    draw,
    platform_targets,
    streams,
)

CHANNELS = ("closure", "relocation", "chilling", "hedging", "trust")
Channels = frozenset[str]
_ALL = frozenset(CHANNELS)

WORLDS: dict[str, Channels] = {
    "W11": _ALL,  # what happened
    "W00": frozenset(),  # no crackdown
    "W10": frozenset(
        {"closure", "relocation", "trust"}
    ),  # closures, no news; buyers notice what is gone
    "W10n": frozenset({"closure", "trust"}),  # closures without relocation
    "W01": frozenset({"chilling", "hedging", "trust"}),  # news only
    **{f"no_{channel}": _ALL - {channel} for channel in CHANNELS},
}
LATE = frozenset({"closed_gmv", "tilt", "evasion", "enter", "chill", "deter", "trust"})
"""Parameters that matter only with a crackdown, and only after the first wave or the news."""

BASE = slice(FIRST_WAVE - 12, FIRST_WAVE)  # the twelve months before the first wave
EBY = PLATFORMS.index("EBY")
FULL = 12  # months to full reputation
BLOCK = 4_000  # firms; few enough for a processor's cache, and enough to outweigh the loop
THOUSAND = 1000.0  # sim-$, the unit of sales in the exit hazard
LARGEST = (
    0.2  # groups above this share of the sales to be closed stay open, or one could be all of them
)
WAVE_SHARES = (
    0.35,
    0.3,
    0.2,
    0.15,
)  # of closed sales; large firms come first (newschinamag article 6808)
WAVE_NOISE = 1.5  # noise in the order of size, log sales; assumption
FROZEN_MONTHS = 6
# relative increase in the probability of joining a platform per other platform used; assumption
ENDURES = 0.5
EXIT_WINDOW = 9  # months, equation (9)
# months, equations (10) and (11)
CHILL_SPEED = 3.0
TRUST_SPEED = 4.0
HEDGE_SPEED = 6.0


def at_work(channels: Channels) -> Channels:
    """Drop channels that have no effect.

    These are relocation if nothing is closed, and trust if no fake review is removed.
    """
    if "closure" not in channels:
        channels -= {"relocation"}
    if channels & {"closure", "chilling"}:
        return channels
    return channels - {"trust"}


@dataclass(frozen=True, eq=False)
class Closures:
    """Closures by firm: the month, the extent, and whether the firm comes back.

    Attributes
    ----------
    month : int64[firm]
        First month without the closed accounts; `NEVER` if none is closed.
    dose : float64[firm]
        Closed accounts' share of the firm's AMZ sales; 0 if none is closed.
    closed_accounts : int64[firm]
        Number of closed accounts, which are the firm's first ones.
    back, again : int64[firm]
        Months in which a renamed account opens and is closed again; `NEVER` if not.
    share : float64[firm]
        Firm's share of its category's AMZ sales in the base months.
    """

    month: Ints
    dose: Floats
    closed_accounts: Ints
    back: Ints
    again: Ints
    share: Floats


@dataclass(frozen=True, eq=False)
class Intervention:
    """Plan for a world, made before anyone buys.

    The axis `closed` runs over the firms that closures affect.

    Attributes
    ----------
    first : int
        Month of row 0 of the arrays.
    start : int64[platform, firm]
        First month on each platform.
    home : float64[month, firm]
        Factor on AMZ weights: fake reviews times the open share.
    closed : int64[closed]
        Positions of the affected firms.
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
class Trajectory:
    """Outcomes by month, from the first month of a plan onwards.

    Attributes
    ----------
    sales : float64[month, platform, firm]
        sim-$.
    alive : bool[month, firm]
        True unless the firm is gone for good at the start of the month; firms that have not entered
        yet count as alive.
    outside : float64[month, category]
        Spending elsewhere, sim-$.
    survivors : bool[firm]
        True if the firm is alive after the last month.
    plan : Intervention
    """

    sales: Floats
    alive: Bools
    outside: Floats
    survivors: Bools
    plan: Intervention


@dataclass(frozen=True, eq=False)
class Market:
    """A market, with everything that its worlds have in common.

    Attributes
    ----------
    preset : str
    seed : int
    parameters : Parameters
    firms : Firms
    environment : Environment
    base : float64[platform, firm]
        Weight of each product at full reputation, without shocks or fakes.
    level : float64[platform, category]
        Utility at which every platform has its share of spending in month 0.
    """

    preset: str
    seed: int
    parameters: Parameters
    firms: Firms
    environment: Environment
    base: Floats
    level: Floats

    @classmethod
    def open(cls, preset: str, parameters: Parameters, seed: int) -> Market:
        """Draw a market calibrated to each platform's and origin's share of spending in month 0."""
        firms = draw(parameters, seed)
        environment = Environment.of(parameters, firms, streams(seed)["shocks"])
        nests = firms.nests
        log_base = np.log(firms.stands_for) + firms.size + firms.fit
        log_base += parameters.entrant_size * (firms.entry_month != ALWAYS)
        base = np.exp(log_base)
        now = base * environment.firm[0] * (firms.start == ALWAYS)
        now[0] *= fakes(parameters, firms.cheater)
        sizes, chinese = platform_targets(parameters)
        ours = nests.totals(now * firms.chinese)
        theirs = nests.totals(now * ~firms.chinese)
        for sums in (
            ours,
            theirs,
        ):  # nests on other platforms are thin, so each platform has one factor
            sums[1:] = sums[1:].sum(axis=1, keepdims=True)
        both = (ours > 0) & (theirs > 0)
        odds = (chinese / (1 - chinese))[:, np.newaxis]
        factor = np.where(both, odds * theirs / np.where(both, ours, 1.0), 1.0)
        factor = np.where(firms.chinese, nests.spread(factor), 1.0)
        base = base * factor
        now = now * factor
        level = np.log(sizes / (1 - sizes.sum()))[:, np.newaxis] - nests.inclusive(
            nests.totals(now)
        )
        usual = np.nanmean(np.where(np.isfinite(level), level, np.nan), axis=1, keepdims=True)
        level = np.where(np.isfinite(level), level, usual)
        return cls(preset, seed, parameters, firms, environment, base, level)

    def changed(self, **overrides: Any) -> Market:
        """Return this market with other parameters and the same random numbers.

        Months before the first wave or news, and those without a crackdown, are not simulated again
        if only `LATE` parameters change.
        """
        parameters = chosen(self.preset, vars(self.parameters) | overrides)
        if not LATE.issuperset(overrides):
            return Market.open(self.preset, parameters, self.seed)
        other = dataclasses.replace(self, parameters=parameters)
        vars(other).update(history=self.history, undisturbed=self.undisturbed)
        return other

    @property
    def news(self) -> int:
        """First month in which worlds can differ."""
        return int(FIRST_WAVE - self.parameters.news_lead)

    @cached_property
    def history(self) -> Trajectory:
        """Outcomes shared by all worlds: those before the news."""
        plan = untouched(self, _entering(self, None, None), 0, self.news)
        return run(self, plan, np.ones(len(self.firms), dtype=bool))

    @cached_property
    def closures(self) -> Closures:
        """Closures in this market, as chosen by :func:`close`."""
        return close(self)

    @cached_property
    def undisturbed(self) -> Trajectory:
        """Outcomes after `history` without a crackdown."""
        return run(self, intervene(self, frozenset(), self.closures), self.history.survivors)

    def blocks(self) -> Iterator[tuple[slice, Market]]:
        """Yield parts of the market, beside the slice of firms in each.

        Parts are adjacent categories with `BLOCK` firms or more.

        Firms in different categories have nothing in common but trust, so that with given trust
        each part can be run by itself. Its arrays are views.
        """
        nests = self.firms.nests
        count = len(self.firms)
        edges = np.append(nests.starts, count)
        step = -(-BLOCK * len(nests.starts) // count)
        for first in range(0, len(nests.starts), step):
            some = slice(first, first + step)
            firms = slice(edges[first], edges[min(first + step, len(nests.starts))])
            own = Nests(
                nests.category[firms] - first, nests.starts[some] - firms.start, nests.sigma
            )
            drawn = {name: values[..., firms] for name, values in self.firms.drawn.items()}
            sellers = dataclasses.replace(part_of(self.firms, firms, count), nests=own, drawn=drawn)
            paths = part_of(self.environment, firms, count)
            base = self.base[:, firms]
            level = self.level[:, some]
            paths = dataclasses.replace(
                paths, spending=paths.spending[:, some], appeal=paths.appeal[..., some]
            )
            part = dataclasses.replace(
                self, firms=sellers, environment=paths, base=base, level=level
            )
            vars(part).update(history=part_of(self.history, firms, count))
            yield firms, part

    def go_on(
        self, channels: Channels, closures: Closures | None = None, trust: Floats | None = None
    ) -> Trajectory:
        """Run the months after `history` with the given channels.

        Parameters
        ----------
        channels : frozenset of str
            Members of `CHANNELS`.
        closures : Closures, optional
            Closures that replace the market's, to spare single firms.
        trust : float64[month], optional
            Fixed utility of AMZ; only as many months are run.
        """
        if not at_work(channels) and trust is None:
            return self.undisturbed
        plan = intervene(self, at_work(channels), closures or self.closures)
        return run(
            self,
            plan if trust is None else dataclasses.replace(plan, trust=trust),
            self.history.survivors,
        )


def part_of(whole: Any, firms: slice, count: int) -> Any:
    """Return a dataclass with some of its arrays cut to some firms.

    They are those whose last axis runs over all `count` firms.
    """
    ours = {name: value for name, value in vars(whole).items() if np.shape(value)[-1:] == (count,)}
    return dataclasses.replace(whole, **{name: value[..., firms] for name, value in ours.items()})


def fakes(parameters: Parameters, kept: Floats | Bools) -> Floats:
    """Return the factor by which the remaining fake reviews raise weights."""
    return np.asarray(np.exp(parameters.boost / (1 - parameters.sigma) * kept))


def run(market: Market, plan: Intervention, alive: Bools) -> Trajectory:
    """Run a plan month by month.

    `alive`, bool[firm], marks the firms that remain at its start.
    """
    parameters = market.parameters
    firms = market.firms
    environment = market.environment
    months = len(plan.trust)
    sales = np.empty((months, len(PLATFORMS), len(firms)))
    living = np.empty((months, len(firms)), dtype=bool)
    outside = np.empty((months, len(firms.nests.starts)))
    earned = np.log(
        parameters.reputation + (1 - parameters.reputation) * np.arange(FULL + 1) / FULL
    )
    factors = np.exp(earned / (1 - firms.nests.sigma))  # from reputation, [platform, age]
    base = market.base.ravel()
    start = plan.start.astype(np.int16)
    reputed = np.where(start < plan.first - FULL, market.base, 0.0)
    leavers = np.flatnonzero(firms.stop != NEVER)
    entered = plan.start.min(axis=0)
    alive = alive.copy()
    added = np.zeros(len(firms))
    for row, month in enumerate(range(plan.first, plan.first + months)):
        living[row] = alive
        age = (np.int16(month) - start).ravel()
        young = np.flatnonzero(
            age.view(np.uint16) <= FULL
        )  # only these change; negative ages are large as unsigned
        reputed.ravel()[young] = base[young] * factors[young // len(firms), age[young]]
        weights = reputed * (environment.firm[month] * alive)
        weights[0] *= plan.home[row]
        weights[EBY, leavers[firms.stop[leavers] <= month]] = 0.0
        weights[:, plan.closed] *= plan.effort[row]
        appeal = market.level + environment.appeal[month]
        appeal[0] += plan.trust[row]
        sales[row], outside[row] = _sell(
            firms, weights, appeal, environment.spending[month], plan, row
        )
        added[plan.closed] = plan.hazard[row]
        prone = np.flatnonzero(
            firms.drawn["exit"][month] < parameters.exit_base + added
        )  # others cannot exit
        size = np.log1p(sales[row][:, prone].sum(axis=0) / firms.stands_for[prone] / THOUSAND)
        hazard = parameters.exit_base * np.exp(-parameters.exit_size * size) + added[prone]
        alive[prone] &= ~((firms.drawn["exit"][month, prone] < hazard) & (entered[prone] <= month))
    return Trajectory(sales, living, outside, alive, plan)


def _sell(
    firms: Firms, weights: Floats, appeal: Floats, spending: Floats, plan: Intervention, row: int
) -> tuple[Floats, Floats]:
    """Return sales and outside spending in one month of a plan.

    Followers buy their brand on other platforms, and all other buyers choose freely.
    """
    if not plan.closed.size:
        return firms.nests.sales(weights, appeal, spending)
    category = firms.nests.category[plan.closed]
    following = np.where(weights[1:, plan.closed].sum(axis=0) > 0, plan.following[row], 0.0)
    share = np.bincount(category, following, minlength=len(spending))
    sales, outside = firms.nests.sales(weights, appeal, spending * (1 - share))
    sold = sales[1:, plan.closed]
    total = sold.sum(axis=0)
    split = np.divide(sold, total, out=np.zeros_like(sold), where=total > 0)
    sales[1:, plan.closed] = sold + split * (following * spending[category])
    return sales, outside


def _by_group(firms: Firms, values: Floats | Bools) -> Floats:
    """Sum values over the firms in each brand group."""
    return np.asarray(np.bincount(firms.group, values), dtype=float)


def _candidates(market: Market) -> tuple[Floats, Bools, Floats, Floats, Floats]:
    """Return the quantities that determine closures.

    By firm, these are base sales on AMZ, and whether it can be closed. By group, they are the mean
    score, mean log size and base sales of the firms that can be closed; the means are NaN if none
    can.
    """
    parameters = market.parameters
    firms = market.firms
    history = market.history
    base: Floats = history.sales[-12:, 0].sum(axis=0)
    open_ = np.asarray((base > 0) & history.survivors & firms.chinese)
    score = (
        parameters.by_cheating * firms.cheater
        + parameters.tilt * firms.size
        + parameters.by_risk * firms.suspicion
    )
    score = score + parameters.by_spurt * market.environment.state[FIRST_WAVE - 1]
    with np.errstate(invalid="ignore"):
        mean, size = (
            _by_group(firms, open_ * each) / _by_group(firms, open_) for each in (score, firms.size)
        )
    return base, open_, mean, size, _by_group(firms, open_ * base)


def close(market: Market) -> Closures:
    """Choose which brand groups are closed, and when.

    Some firms close only in part, and some come back for a while. A group closes with probability
    ``logistic(h + score)``, where the intercept h is raised until closed groups have the target
    share of Chinese sales. Groups close if their uniform is below that probability, which means in
    the order of ``logit(uniform) - score``.
    """
    parameters = market.parameters
    firms = market.firms
    uniforms = market.firms.drawn["closure"]
    base, open_, mean, size, sales = _candidates(market)
    count = len(mean)
    threshold = np.log(uniforms[0, :count] / (1 - uniforms[0, :count])) - mean
    wanted = parameters.closed_gmv * base[firms.chinese].sum()
    eligible = np.flatnonzero(~np.isnan(mean) & (sales <= LARGEST * wanted))
    order = eligible[np.argsort(threshold[eligible], kind="stable")][: parameters.max_groups]
    chosen_groups = order[: int(np.searchsorted(np.cumsum(sales[order]), wanted))]

    gumbel = -np.log(-np.log(uniforms[1, :count]))
    by_size = chosen_groups[np.argsort(-(size + WAVE_NOISE * gumbel)[chosen_groups], kind="stable")]
    before = np.cumsum(sales[by_size]) - sales[by_size]
    wave = np.searchsorted(
        np.cumsum(WAVE_SHARES)[:-1], before / max(sales[by_size].sum(), 1.0), side="right"
    )
    when = np.full(count, NEVER)
    when[by_size] = np.array(WAVES)[wave]
    month = np.where(open_, when[firms.group], NEVER)
    closed = month < NEVER

    partly = (uniforms[2] < parameters.partial) & (firms.accounts > 1)
    few = np.maximum(np.rint(parameters.partial_accounts * firms.accounts), 1).astype(np.int64)
    accounts = np.where(closed, np.where(partly, few, firms.accounts), 0)
    held = np.cumsum(firms.account_shares, axis=1)[
        np.arange(len(firms)), np.maximum(accounts, 1) - 1
    ]

    comes = (uniforms[3] < parameters.evasion) & closed
    stay = max(1 - 1 / parameters.evasion_delay, 1e-9)  # a geometric delay
    wait = 1 + np.floor(np.log(uniforms[4]) / np.log(stay)).astype(np.int64)
    back = np.where(comes, np.minimum(month + wait, NEVER), NEVER)
    return Closures(
        month=month,
        dose=np.where(closed, np.where(partly, held, 1.0), 0.0),
        closed_accounts=accounts,
        back=back,
        again=np.where(comes & (uniforms[5] < parameters.reclosure), back + 1, NEVER),
        share=base / firms.nests.spread(firms.nests.totals(base)),
    )


def expected_accounts(market: Market) -> float:
    """Return the expected number of closed accounts.

    The expectation is over the uniforms, with the market as drawn: group g closes with probability
    ``logistic(h + score)``, with the h at which closed groups have the target share of Chinese
    sales in expectation. Accounts are those of the merchants that a firm represents, all of them or
    the partial few. No group is too large to close here: `LARGEST` is for a sample of firms, and
    would fill a small share with ever more of the smallest.
    """
    parameters = market.parameters
    firms = market.firms
    base, open_, mean, _, sales = _candidates(market)
    wanted = parameters.closed_gmv * base[firms.chinese].sum()
    may = ~np.isnan(mean)
    whole = 1 - parameters.partial * (1 - parameters.partial_accounts)
    accounts = _by_group(firms, open_ * firms.stands_for * firms.accounts)[may] * whole
    chance = 1 / (1 + np.exp(-(np.linspace(-40.0, 20.0, 601)[:, np.newaxis] + mean[may])))
    return float(
        np.exp(np.interp(np.log(wanted), np.log(chance @ sales[may]), np.log(chance @ accounts)))
    )


def untouched(market: Market, start: Ints, first: int, last: int) -> Intervention:
    """Build the plan for months ``first`` to ``last - 1`` without intervention."""
    months = last - first
    none = np.empty(0, dtype=np.int64)
    home = np.broadcast_to(
        fakes(market.parameters, market.firms.cheater), (months, len(market.firms))
    )
    nobody = np.empty((months, 0))
    return Intervention(
        first,
        start,
        home,
        none,
        np.empty((months, len(PLATFORMS), 0)),
        nobody,
        nobody,
        np.zeros(months),
    )


def intervene(market: Market, channels: Channels, closures: Closures) -> Intervention:
    """Build the plan from the month of the news onwards, with the given channels."""
    parameters = market.parameters
    firms = market.firms
    first = market.news
    real = (
        "closure" in channels and parameters.bite > 0
    )  # nobody responds to a sham closure, which is just a date
    closed = np.flatnonzero((closures.month < NEVER) & real)
    dose = closures.dose[closed]
    since = np.arange(first, MONTHS)[:, np.newaxis] - closures.month[closed]
    open_share = 1.0 - dose * parameters.bite * (since >= 0) * (
        1.0 - renamed(market, closures, closed, first)
    )
    home, trust = _climate(market, channels, closures, closed, open_share)
    effort = np.ones((len(since), len(PLATFORMS), len(closed)))
    following = np.zeros((len(since), len(closed)))
    if "relocation" in channels:
        # effort grows, but frozen cash dampens it
        cash = np.where(since < FROZEN_MONTHS, 1 - parameters.frozen, 1.0)
        grown = (1 - np.exp(-np.maximum(since, 0) / parameters.speed)) * cash * dose
        effort = np.exp(parameters.effort * grown[:, np.newaxis, :] / (1 - firms.nests.sigma))
        effort[:, 0] = 1.0
        year = slice(market.news - 12, market.news)
        spending = firms.nests.spread(market.environment.spending[year].sum(axis=0))
        share = market.history.sales[year, 0].sum(axis=0) / spending
        following = parameters.follow * (1 - open_share) * share[closed]
    hit = (since >= 0) & (since <= EXIT_WINDOW)
    hazard = parameters.exit_closed * (1 + parameters.frozen) * dose * hit
    return Intervention(
        first,
        _starts(market, channels, closures, closed),
        home,
        closed,
        effort,
        following,
        hazard,
        trust,
    )


def renamed(market: Market, closures: Closures, firms: Ints, first: int) -> Floats:
    """Return renamed accounts' sales relative to what the closed accounts would have sold.

    The result is float64[month, firm].
    """
    months = np.arange(first, MONTHS)[:, np.newaxis]
    newcomer = market.parameters.reputation
    since = np.clip(months - closures.back[firms], 0, FULL)
    earned = (newcomer + (1 - newcomer) * since / FULL) ** (1 / (1 - market.parameters.sigma))
    return np.asarray(
        ((months >= closures.back[firms]) & (months < closures.again[firms])) * earned
    )


def _climate(
    market: Market, channels: Channels, closures: Closures, closed: Ints, open_share: Floats
) -> tuple[Floats, Floats]:
    """Return the factor on AMZ weights, and AMZ's gain in utility.

    The factor is float64[month, firm], the gain float64[month].

    Cheaters whom the news chills give up fake reviews, the more suspect ones sooner. Buyers trust
    AMZ more as base sales with fake reviews disappear.
    """
    parameters = market.parameters
    cheater = market.firms.cheater
    months = len(open_share)
    since = np.arange(1, months + 1)
    trust = np.zeros(months)
    kept = np.ones((months, int(cheater.sum())))
    if "chilling" in channels:
        pace = (1 + market.firms.suspicion[cheater]) / CHILL_SPEED
        kept = 1 - parameters.chill * (1 - np.exp(-since[:, np.newaxis] * pace))
    if "trust" in channels:
        fake = closures.share * cheater
        left = np.repeat(fake[np.newaxis, :], months, axis=0)
        left[:, cheater] *= kept
        left[:, closed] *= open_share
        removed = 1 - left.sum(axis=1) / max(fake.sum(), 1e-300)
        trust = parameters.trust * removed * (1 - np.exp(-since / TRUST_SPEED))
    kept = (
        kept * market.environment.eased[-months:, np.newaxis]
    )  # fakes removed in every world earn no trust
    home = np.repeat(fakes(parameters, cheater)[np.newaxis, :], months, axis=0)
    home[:, cheater] = fakes(parameters, kept)
    home[:, closed] *= open_share
    return home, trust


def _starts(market: Market, channels: Channels, closures: Closures, closed: Ints) -> Ints:
    """Return each firm's first month on each platform with the given channels.

    The result is int64[platform, firm].
    """
    parameters = market.parameters
    firms = market.firms
    uniforms = market.firms.drawn["relocation"]
    exposure = (
        exposure_by_category(market, closures, closures.month < NEVER) if len(closed) else None
    )
    start = _entering(market, market.news if "hedging" in channels else None, exposure)
    if (
        "hedging" in channels
    ):  # Chinese firms that join another platform because of the news, while not closed
        sells = firms.chinese & (firms.start[0] < NEVER) & (start.min(axis=0) < NEVER)
        joins = (
            np.maximum(market.news, firms.entry_month)
            - 1
            + delay(uniforms[1], parameters.hedge, HEDGE_SPEED)
        )
        joins = np.where(sells & (joins < NEVER), joins, NEVER)
        joins[:, closed] = np.where(
            joins[:, closed] < closures.month[closed], joins[:, closed], NEVER
        )
        joins[0] = NEVER
        start = np.minimum(start, joins)
    if "relocation" in channels:  # closed firms that join another platform because of the closure
        month = closures.month[closed]
        sizes = platform_targets(parameters)[0]
        elsewhere = (firms.start[1:, closed] < month).sum(axis=0)
        pull = np.sqrt(sizes / sizes[1:].mean())[:, np.newaxis]  # larger platforms attract more
        chance = parameters.enter * closures.dose[closed] * pull * (1 + ENDURES * elsewhere)
        joins = month + delay(uniforms[0][:, closed], np.minimum(chance, 1.0), parameters.speed)
        joins[0] = NEVER
        start[:, closed] = np.minimum(start[:, closed], joins)
    return start


def _entering(market: Market, news: int | None, exposure: Floats | None) -> Ints:
    """Return each firm's first month on each platform, int64[platform, firm].

    It is `NEVER` if the firm does not enter.

    From month `news` onwards, the news deters Chinese firms. Gaps in a category, measured by its
    `exposure`, attract entrants.
    """
    parameters = market.parameters
    firms = market.firms
    chance = np.full(len(firms), parameters.entry, dtype=float)
    if news is not None:
        chance *= np.where(firms.chinese & (firms.entry_month >= news), 1 - parameters.deter, 1.0)
    if exposure is not None:
        row = firms.entry_month - FIRST_WAVE
        gap = np.where(row >= 0, exposure[np.maximum(row, 0), firms.nests.category], 0.0)
        chance *= 1 + parameters.induce * gap
    return np.where(
        (firms.entry_month < 0) | (firms.drawn["admitted"] < chance), firms.start, NEVER
    )


def exposure_by_category(market: Market, closures: Closures, closed: Bools) -> Floats:
    """Return the base share of firms closed by each month from `FIRST_WAVE` onwards.

    The result is float64[month, category].
    """
    firms = np.flatnonzero(closed)
    by = np.zeros((MONTHS - FIRST_WAVE + 1, len(market.firms.nests.starts)))
    np.add.at(
        by,
        (closures.month[firms] - FIRST_WAVE, market.firms.nests.category[firms]),
        closures.share[firms],
    )
    return np.cumsum(by[:-1], axis=0)
