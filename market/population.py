"""Firms, accounts and demand nests of the simulated market, with their random numbers (equation 3).

The module also draws the environment, which is the same in every world: spending, season, pandemic,
freight and shocks to platforms (equation 1, threat register).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from fewtreated.estimate import Bools, Floats, Ints

from market.parameters import FIRST_WAVE, MONTHS, PLATFORMS, Parameters

PURPOSES = ("types", "shocks", "entry", "closure", "exit", "relocation", "measurement")
NEVER = 10_000  # a month that never comes
ALWAYS = -100  # before the first month, with full reputation
MOST_ACCOUNTS = 12
WALMART_OPENS = 26  # March 2021
PAYMENTS = (27, 31)  # managed payments on eBay become compulsory, April to July 2021
CHINESE_ENTRY = (
    [12, 24],
    [0.47, 0.75],
)  # Chinese share of new sellers, January 2020 and 2021 (Marketplace Pulse)

SEASON = np.array(
    [-0.06, -0.08, -0.02, -0.03, 0.0, -0.01, 0.0, -0.01, -0.02, 0.02, 0.12, 0.09]
)  # assumption
# April 2020, June 2021
COVID = 15
REVERSAL = 29
CHINESE_DECLINE = (22, 38)  # November 2020 to March 2022
FREIGHT = (
    [20, 32, 41],
    [0.0, np.log(4.9), np.log(2.5)],
)  # log index, September 2020 = 0; the end is assumed
PRIME_DAYS = (6, 21, 29)  # July 2019, October 2020, June 2021
# July, June, April 2021
VAT = 30
TRACKING = 29
PERIMETER = 27
RESTOCK = (
    FIRST_WAVE  # limits of 22 April 2021, in monthly data the same month as the first closures
)
REVIEW_CASE = 30  # 25 June 2021, so from July

# Share of firms on each platform at the start. Chinese: Payoneer 2016 (AMZ 62, ALI 40, EBY 28 %);
# others: assumption.
PRESENCE = np.array([[0.75, 0.30, 0.02, 0.10, 0.30], [0.70, 0.28, 0.40, 0.02, 0.20]])
MULTIHOMING = (
    0.3  # log odds of a further platform per sd of size: hosting a second platform has a fixed cost
)


@dataclass(frozen=True, eq=False)
class Nests:
    """Nested demand, in which each nest is a category on a platform.

    The outside good is spending elsewhere. Firms are sorted by category, so that a nest is a
    contiguous block.

    Attributes
    ----------
    category : int[firm]
        Sorted, each of ``0 .. n_categories - 1`` at least once.
    starts : int[category]
        First firm of each category.
    sigma : float64[platform, 1]
        Nesting parameters.
    """

    category: Ints
    starts: Ints
    sigma: Floats

    @classmethod
    def of(cls, category: Ints, parameters: Parameters) -> Nests:
        """Build nests from sorted categories."""
        below = parameters.sigma_spread * np.array(
            [0.0, 1.0, 1.0, 0.0, 2.0]
        )  # own sites are the least similar
        sigma = np.maximum(parameters.sigma - below, 0.0)[:, np.newaxis]
        return cls(category, np.searchsorted(category, np.arange(parameters.n_categories)), sigma)

    def totals(self, values: Floats) -> Floats:
        """Sum values within categories, from ``[..., firm]`` to ``[..., category]``."""
        return np.add.reduceat(values, self.starts, axis=-1)

    def spread(self, values: Floats) -> Floats:
        """Broadcast category values to firms, from ``[..., category]`` to ``[..., firm]``."""
        return np.repeat(values, np.diff(np.append(self.starts, len(self.category))), axis=-1)

    def inclusive(self, totals: Floats) -> Floats:
        """Return (1 - sigma) times the log of the nest sums, float64[platform, category].

        It is -inf for an empty nest.
        """
        with np.errstate(divide="ignore"):
            return (1 - self.sigma) * np.log(totals)

    def sales(self, weights: Floats, appeal: Floats, spending: Floats) -> tuple[Floats, Floats]:
        """Allocate spending to products by nested logit.

        Parameters
        ----------
        weights : float64[platform, firm]
            ``exp(utility / (1 - sigma))`` of each product, 0 if not on sale.
        appeal : float64[platform, category]
            Utility common to all products in a nest.
        spending : float64[category]
            Total spending, sim-$.

        Returns
        -------
        sales : float64[platform, firm]
            sim-$.
        outside : float64[category]
            Spending elsewhere, sim-$; it adds up to `spending` with the sales.
        """
        totals = self.totals(weights)
        pull = np.exp(self.inclusive(totals) + appeal)
        outside = spending / (1 + pull.sum(axis=0))
        with np.errstate(divide="ignore", invalid="ignore"):
            per_weight = np.where(totals > 0, pull * outside / totals, 0.0)
        return weights * self.spread(per_weight), outside


@dataclass(frozen=True, eq=False)
class Firms:
    """Firms that sell or might enter, sorted by category.

    Attributes
    ----------
    nests : Nests
    chinese, cheater : bool[firm]
    size : float64[firm]
        Permanent log sales of one merchant, centred on the median merchant.
    stands_for : float64[firm]
        Merchants that each simulated firm represents; they add up to `population`.
    fit : float64[platform, firm]
        Log sales on a platform beyond the firm's size.
    entry_month, group, accounts : int64[firm]
        Month of entry (`ALWAYS` for initial firms), brand group, number of accounts.
    account_shares : float64[firm, account]
        Share of each account in the firm's AMZ sales.
    suspicion : float64[firm]
        Score in (0, 1) known before the closures, higher for cheaters (the risk exposure R).
    start : int64[platform, firm]
        First month on a platform if nothing is closed: `ALWAYS`, a month or `NEVER`.
    stop : int64[firm]
        First month after leaving EBY, or `NEVER`.
    cheating, bulk, drift : float64[category]
        Intensity of cheating (standard normal), weight of freight, in [0, 1], and trend (standard
        normal).
    drawn : dict of str to float64[...]
        Stored uniforms, the same in every world.
    """

    nests: Nests
    chinese: Bools
    cheater: Bools
    size: Floats
    stands_for: Floats
    fit: Floats
    entry_month: Ints
    group: Ints
    accounts: Ints
    account_shares: Floats
    suspicion: Floats
    start: Ints
    stop: Ints
    cheating: Floats
    bulk: Floats
    drift: Floats
    drawn: dict[str, Floats]

    def __len__(self) -> int:
        """Return the number of firms."""
        return len(self.size)


def streams(seed: int) -> dict[str, np.random.Generator]:
    """Return an independent random generator for each purpose.

    No channel then shifts another's draws.
    """
    children = np.random.SeedSequence(seed).spawn(len(PURPOSES))
    return {
        purpose: np.random.default_rng(child)
        for purpose, child in zip(PURPOSES, children, strict=True)
    }


def platform_targets(parameters: Parameters) -> tuple[Floats, Floats]:
    """Return each platform's share of spending and Chinese share of sales in month 0.

    Each is float64[platform].

    The volume of third-party sales on Amazon is that of about 2019, 200 billion US dollars a year.
    The sizes of the other platforms, and the Chinese shares there, are assumptions, since the part
    of their volume that such firms sell is not published.
    """
    sizes = np.array([200.0, 60.0, 25.0, 8.0, 35.0])
    return parameters.inside * sizes / sizes.sum(), np.array(
        [parameters.cn_share, 0.20, 0.90, 0.01, 0.10]
    )


def delay(uniform: Floats, probability: Floats | float, speed: float) -> Ints:
    """Return delays: integers from 1 onwards, or `NEVER`.

    A delay is the smallest integer k >= 1 with ``uniform < probability * (1 - exp(-k / speed))``.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        exact = np.nan_to_num(-speed * np.log1p(-uniform / probability), nan=0.0, posinf=0.0)
    return np.where(uniform < probability, np.floor(exact) + 1, NEVER).astype(np.int64)


def draw(parameters: Parameters, seed: int) -> Firms:
    """Draw the firms of one market, with all the random numbers that its worlds need."""
    generators = streams(seed)
    types = generators["types"]
    category, entry_month, chinese = _kinds(parameters, generators["entry"], types)
    count = len(category)
    standard = types.standard_normal(count)
    group = _brand_groups(parameters, types, (category, chinese, entry_month > 0))
    cheating = types.standard_normal(parameters.n_categories)
    bulk = types.random(parameters.n_categories)
    odds = parameters.cheat_level + parameters.cheat_size * standard + parameters.cheat_cn * chinese
    odds += parameters.cheat_category * cheating[category]
    cheater = types.random(count)[group] < _logistic(odds)  # one draw for the whole group
    suspicion = _logistic(-1.5 + 3 * cheater + types.standard_normal(count))
    accounts, account_shares = _accounts(parameters, types, chinese)
    fit = parameters.sd_fit * types.standard_normal((len(PLATFORMS), count))
    drift = types.standard_normal(parameters.n_categories)
    uniforms = types.random((3, len(PLATFORMS), count))
    start, stop = _presence(parameters, uniforms, standard, chinese, entry_month)
    size, stands_for = _sizes(parameters, standard, entry_month == ALWAYS)
    return Firms(
        nests=Nests.of(category, parameters),
        chinese=chinese,
        cheater=cheater,
        size=size,
        stands_for=stands_for,
        fit=fit,
        entry_month=entry_month,
        group=group,
        accounts=accounts,
        account_shares=account_shares,
        suspicion=suspicion,
        start=start,
        stop=stop,
        cheating=cheating,
        bulk=bulk,
        drift=drift,
        drawn=_drawn_for_worlds(generators, count),
    )


def _kinds(
    parameters: Parameters, entry: np.random.Generator, types: np.random.Generator
) -> tuple[Ints, Ints, Bools]:
    """Return each firm's category, month of entry, and whether it is Chinese, ordered by these."""
    incumbents = parameters.n_firms
    count = incumbents + round(parameters.entrants * incumbents)
    category = np.arange(count) % parameters.n_categories
    entry_month = np.full(count, ALWAYS)
    entry_month[incumbents:] = entry.integers(1, MONTHS, count - incumbents)
    of_entrants = np.interp(entry_month, *CHINESE_ENTRY)
    share = np.where(entry_month == ALWAYS, parameters.cn_firms, of_entrants)
    chinese = types.random(count) < share
    order = np.lexsort((chinese, entry_month > 0, category))
    return category[order], entry_month[order], chinese[order]


def _sizes(parameters: Parameters, standard: Floats, incumbent: Bools) -> tuple[Floats, Floats]:
    """Return each firm's log size, and the number of merchants that it represents.

    Permanent size leaves shocks and fit their part in the variance of log sales.
    """
    permanent = parameters.sd_log_sales**2 * (1 - parameters.transitory) - parameters.sd_fit**2
    spread = np.sqrt(max(permanent, 0.01))
    size = parameters.oversampling * spread**2 + spread * standard
    weight = np.exp(-parameters.oversampling * size)
    return size, weight * parameters.population / weight[incumbent].sum()


def _brand_groups(
    parameters: Parameters, types: np.random.Generator, kinds: tuple[Ints | Bools, ...]
) -> Ints:
    """Return each firm's brand group, which is a run of firms of one kind."""
    first = types.random(len(kinds[0])) < 1 / parameters.group_size
    for kind in kinds:
        first[1:] |= kind[1:] != kind[:-1]
    first[0] = True
    return np.cumsum(first) - 1


def _accounts(
    parameters: Parameters, types: np.random.Generator, chinese: Bools
) -> tuple[Ints, Floats]:
    """Return each firm's number of accounts, and their shares of its sales."""
    mean = np.where(chinese, parameters.accounts, 1.3)
    accounts = np.minimum(types.geometric(1 / mean), MOST_ACCOUNTS).astype(np.int64)
    shares = types.standard_exponential((len(chinese), MOST_ACCOUNTS))
    shares[np.arange(MOST_ACCOUNTS) >= accounts[:, np.newaxis]] = 0.0
    return accounts, shares / shares.sum(axis=1, keepdims=True)


def _drawn_for_worlds(generators: dict[str, np.random.Generator], count: int) -> dict[str, Floats]:
    """Return the random numbers that all worlds of a market share."""
    return {
        "admitted": generators["entry"].random(count),
        "closure": generators["closure"].random((7, count)),
        "exit": generators["exit"].random((MONTHS, count)),
        "relocation": generators["relocation"].random((2, len(PLATFORMS), count)),
    }


def _logistic(odds: Floats) -> Floats:
    return 1 / (1 + np.exp(-odds))


def _presence(
    parameters: Parameters, uniforms: Floats, standard: Floats, chinese: Bools, entry_month: Ints
) -> tuple[Ints, Ints]:
    """Return the months in which firms join each platform and leave EBY if nothing is closed."""
    share = PRESENCE[chinese.astype(np.intp)].T
    odds = np.log(share / (1 - share)) + MULTIHOMING * standard
    odds[0] -= MULTIHOMING * standard  # presence at home does not depend on size
    present = uniforms[0] < _logistic(odds)
    present[0] |= ~present.any(axis=0)
    start = np.where(present, entry_month, NEVER)
    joins = delay(uniforms[1, 3], parameters.walmart_gate, 12.0)
    start[3] = np.where(
        chinese & ~present[3], np.maximum(WALMART_OPENS - 1 + joins, entry_month), start[3]
    )
    start = np.minimum(start, NEVER)
    leaves = uniforms[1, 1] < parameters.managed_payments
    when = PAYMENTS[0] + np.floor(uniforms[2, 1] * (PAYMENTS[1] - PAYMENTS[0])).astype(np.int64)
    return start, np.where(chinese & leaves, when, NEVER)


@dataclass(frozen=True, eq=False)
class Environment:
    """Exogenous paths, the same in every world.

    Attributes
    ----------
    spending : float64[month, category]
        Market size M, sim-$ per month.
    appeal : float64[month, platform, category]
        Utility common to all products on a platform, or in a category there.
    eased : float64[month]
        Share of fake reviews that remains whatever happens to accounts.
    firm : float64[month, firm]
        Factor on a firm's weight on every platform, from its own shocks, the Chinese trend and
        freight.
    state : float64[month, firm]
        The firm's own shocks, log sales.
    """

    spending: Floats
    appeal: Floats
    eased: Floats
    firm: Floats
    state: Floats

    @classmethod
    def of(
        cls, parameters: Parameters, firms: Firms, generator: np.random.Generator
    ) -> Environment:
        """Draw the paths of one market."""
        shocks = generator.standard_normal((MONTHS, len(firms)))
        steps = generator.standard_normal((MONTHS, parameters.n_categories))
        walk = parameters.walk_sd * np.cumsum(steps, axis=0)
        state = _autoregression(parameters, shocks)
        factor = _log_factors(parameters, firms, state)
        eased = np.where(np.arange(MONTHS) >= REVIEW_CASE, 1 - parameters.review_case, 1.0)
        spending = _spending(parameters, firms, walk)
        appeal = _appeal(parameters, firms)
        return cls(spending, appeal, eased, np.exp(factor, out=factor), state)


def _autoregression(parameters: Parameters, shocks: Floats) -> Floats:
    """Return firms' own shocks to log sales, a stationary autoregression, float64[month, firm]."""
    sd = np.sqrt(parameters.transitory) * parameters.sd_log_sales
    innovation = sd * np.sqrt(1 - parameters.rho**2)
    state = np.empty_like(shocks)
    state[0] = sd * shocks[0]
    for now in range(1, MONTHS):
        state[now] = parameters.rho * state[now - 1] + innovation * shocks[now]
    return state


def _appeal(parameters: Parameters, firms: Firms) -> Floats:
    """Return utility common to all products, float64[month, platform, category]."""
    appeal = np.zeros((MONTHS, len(PLATFORMS), parameters.n_categories))
    appeal[list(PRIME_DAYS), 0] = parameters.prime_day
    stored = 1 - firms.bulk  # Amazon does not store bulky goods
    appeal[RESTOCK:, 0] += np.log1p(-parameters.restock * stored)
    appeal[VAT:, 2] = np.log1p(-parameters.vat * parameters.vat_reach)
    appeal[TRACKING:, 4] = np.log1p(-parameters.tracking)
    return appeal


def _spending(parameters: Parameters, firms: Firms, walk: Floats) -> Floats:
    """Return market size, sim-$ per month, float64[month, category]."""
    tie = parameters.trend_tie
    column = np.arange(MONTHS)[:, np.newaxis]
    common = parameters.growth * column + parameters.season * SEASON[column % 12]
    common = common + np.where(column >= COVID, np.log1p(parameters.covid), 0.0)
    common = common + np.where(column >= REVERSAL, np.log1p(-parameters.covid_reversal), 0.0)
    slope = tie * firms.cheating + np.sqrt(1 - tie**2) * firms.drift
    level = np.exp(common + parameters.category_trend * slope * (column - FIRST_WAVE) + walk)
    target = platform_targets(parameters)[0][0]
    return np.asarray(level * (parameters.gmv_2019 / (target * level[:12].sum())))


def _log_factors(parameters: Parameters, firms: Firms, state: Floats) -> Floats:
    """Return the log factor on each firm's weight on every platform, float64[month, firm]."""
    month = np.arange(MONTHS)
    first, last = CHINESE_DECLINE
    chinese = parameters.cn_trend * (np.clip(month, first - 1, last) - (first - 1))
    freight = np.interp(month, *FREIGHT) * parameters.freight / (1 - parameters.sigma)
    bulk = np.where(firms.chinese, firms.nests.spread(firms.bulk), 0.0)
    factor: Floats = np.multiply.outer(freight, -bulk)
    factor += state
    factor += np.multiply.outer(chinese, firms.chinese.astype(float))
    return factor
