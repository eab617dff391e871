"""Who is in the market: firms, brand groups, accounts, presence, cheaters, and every random number they will need."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.estimate import Bools, Floats
from analysis.market.demand import Nests
from analysis.market.parameters import MONTHS, PLATFORMS, Ints, Parameters

PURPOSES = ("types", "shocks", "entry", "closure", "exit", "relocation", "measurement")
NEVER = 10_000  # a month that never comes
ALWAYS = -100  # before the first month, with full reputation
MOST_ACCOUNTS = 12
WALMART_OPENS = 26  # March 2021
PAYMENTS = (27, 31)  # managed payments on eBay become compulsory, April to July 2021

# Share of firms on each platform at the start. Chinese: Payoneer 2016 (AMZ 62, ALI 40, EBY 28 %); others: assumption.
PRESENCE = np.array([[0.75, 0.30, 0.02, 0.10, 0.30], [0.70, 0.28, 0.40, 0.02, 0.20]])
MULTIHOMING = 0.3  # log odds of a further platform per sd of size: hosting a second platform has a fixed cost


@dataclass(frozen=True, eq=False)
class Firms:
    """All firms that sell or might enter, sorted by category; arrays run over firms.

    Attributes
    ----------
    nests : Nests
    chinese, cheater : bool[firm]
    size : float64[firm]
        Permanent log sales of one merchant, centred on the median merchant.
    stands_for : float64[firm]
        Merchants that the simulated firm stands for; they add up to `population`.
    fit : float64[platform, firm]
        Log sales that the firm has on a platform beyond its size.
    entry_month, group, accounts : int64[firm]
        Month of entry (`ALWAYS` for those there at the start), brand group, number of accounts.
    account_shares : float64[firm, account]
        Share of each account in the firm's AMZ sales.
    suspicion : float64[firm]
        Score in (0, 1) known before the closures; cheaters have higher ones (the risk exposure R).
    start : int64[platform, firm]
        First month on a platform, without any closure; `ALWAYS`, a month or `NEVER`.
    stop : int64[firm]
        First month no longer on EBY, or `NEVER`.
    cheating, bulk : float64[category]
        Intensity of cheating (standard normal) and weight of freight, in [0, 1].
    shocks : float64[month, firm]
        Standard normal.
    walk : float64[month, category]
        Standard normal.
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
    category_draws: Floats
    shocks: Floats
    walk: Floats
    drawn: dict[str, Floats]

    def __len__(self) -> int:
        """Return how many firms there are."""
        return len(self.size)


def streams(seed: int) -> dict[str, np.random.Generator]:
    """Return one independent generator for each purpose, so that a channel cannot move another one's numbers."""
    children = np.random.SeedSequence(seed).spawn(len(PURPOSES))
    return {purpose: np.random.default_rng(child) for purpose, child in zip(PURPOSES, children, strict=True)}


def logistic(odds: Floats) -> Floats:
    """Return the probability of log odds."""
    return 1 / (1 + np.exp(-odds))


def sd_permanent(parameters: Parameters) -> float:
    """Return the standard deviation of permanent log size, which leaves room for shocks and fit."""
    total = parameters.sd_log_sales**2
    return float(np.sqrt(max(total * (1 - parameters.transitory) - parameters.sd_fit**2, 0.01)))


def draw(parameters: Parameters, generators: dict[str, np.random.Generator]) -> Firms:
    """Draw the firms of one market."""
    types, entry = generators["types"], generators["entry"]
    incumbents = parameters.n_firms
    count = incumbents + round(parameters.entrants * incumbents)
    category = np.arange(count) % parameters.n_categories
    entry_month = np.full(count, ALWAYS)
    entry_month[incumbents:] = entry.integers(1, MONTHS, count - incumbents)
    chinese = types.random(count) < np.where(entry_month == ALWAYS, parameters.cn_firms, _chinese_entry(entry_month))
    order = np.lexsort((chinese, entry_month > 0, category))
    category, entry_month, chinese = category[order], entry_month[order], chinese[order]

    spread = sd_permanent(parameters)
    standard = types.standard_normal(count)
    size = parameters.oversampling * spread**2 + spread * standard
    stands_for = np.exp(-parameters.oversampling * size)
    group = _groups(parameters, types.random(count), category, chinese, entry_month)
    cheating, bulk = types.standard_normal(parameters.n_categories), types.random(parameters.n_categories)
    odds = parameters.cheat_level + parameters.cheat_size * standard + parameters.cheat_cn * chinese
    odds += parameters.cheat_category * cheating[category]
    cheater = types.random(count)[group] < logistic(odds)  # one draw for the whole group
    suspicion = logistic(-1.5 + 3 * cheater + types.standard_normal(count))
    accounts, account_shares = _accounts(parameters, types, chinese)
    fit = parameters.sd_fit * types.standard_normal((len(PLATFORMS), count))
    draws = types.standard_normal(parameters.n_categories), types.random((3, len(PLATFORMS), count))
    start, stop = _presence(parameters, draws[1], standard, chinese, entry_month)
    return Firms(
        nests=Nests.of(category, parameters),
        chinese=chinese,
        cheater=cheater,
        size=size,
        stands_for=stands_for * parameters.population / stands_for[entry_month == ALWAYS].sum(),
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
        category_draws=draws[0],
        shocks=generators["shocks"].standard_normal((MONTHS, count)),
        walk=generators["shocks"].standard_normal((MONTHS, parameters.n_categories)),
        drawn={
            "admitted": entry.random(count),
            "closure": generators["closure"].random((7, count)),
            "exit": generators["exit"].random((MONTHS, count)),
            "relocation": generators["relocation"].random((2, len(PLATFORMS), count)),
        },
    )


def _chinese_entry(month: Ints) -> Floats:
    """Return the Chinese part of new sellers: 0.47 in January 2020, 0.75 in January 2021 (Marketplace Pulse)."""
    return np.interp(month, [12, 24], [0.47, 0.75])


def _groups(parameters: Parameters, uniform: Floats, category: Ints, chinese: Bools, entry_month: Ints) -> Ints:
    """Cut neighbours of one category, origin and kind into brand groups."""
    first = uniform < 1 / parameters.group_size
    for kind in (category, chinese, entry_month > 0):
        first[1:] |= kind[1:] != kind[:-1]
    first[0] = True
    return np.cumsum(first) - 1


def _accounts(parameters: Parameters, types: np.random.Generator, chinese: Bools) -> tuple[Ints, Floats]:
    """Draw numbers of accounts (geometric, capped) and their shares in the firm's sales."""
    mean = np.where(chinese, parameters.accounts, 1.3)
    accounts = np.minimum(types.geometric(1 / mean), MOST_ACCOUNTS).astype(np.int64)
    shares = types.standard_exponential((len(chinese), MOST_ACCOUNTS))
    shares[np.arange(MOST_ACCOUNTS) >= accounts[:, np.newaxis]] = 0.0
    return accounts, shares / shares.sum(axis=1, keepdims=True)


def _presence(
    parameters: Parameters, uniforms: Floats, standard: Floats, chinese: Bools, entry_month: Ints
) -> tuple[Ints, Ints]:
    """Return first month on each platform and first month off it, in a world where nothing is closed."""
    share = PRESENCE[chinese.astype(np.intp)].T
    odds = np.log(share / (1 - share)) + MULTIHOMING * standard
    odds[0] -= MULTIHOMING * standard  # the home platform is not chosen by size
    present = uniforms[0] < logistic(odds)
    present[0] |= ~present.any(axis=0)
    start = np.where(present, entry_month, NEVER)
    joins = delay(uniforms[1, 3], parameters.walmart_gate, 12.0)
    start[3] = np.where(chinese & ~present[3], np.maximum(WALMART_OPENS - 1 + joins, entry_month), start[3])
    start = np.minimum(start, NEVER)
    leaves = uniforms[1, 1] < parameters.managed_payments
    when = PAYMENTS[0] + np.floor(uniforms[2, 1] * (PAYMENTS[1] - PAYMENTS[0])).astype(np.int64)
    return start, np.where(chinese & leaves, when, NEVER)


def delay(uniform: Floats, probability: Floats | float, speed: float) -> Ints:
    """Return the first whole month k >= 1 with ``uniform < probability * (1 - exp(-k / speed))``, or `NEVER`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        exact = -speed * np.log1p(-uniform / probability)
    return np.where(uniform < probability, np.floor(np.nan_to_num(exact, nan=0.0, posinf=0.0)) + 1, NEVER).astype(
        np.int64
    )
