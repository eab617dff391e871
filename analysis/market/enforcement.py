"""Closures in waves by brand group, evasion, and the climate: chilling and trust (equations 6, 7, 10, 11)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.estimate import Bools, Floats
from analysis.market.engine import Course, Stage, fakes
from analysis.market.firms import NEVER, Firms
from analysis.market.parameters import FIRST_WAVE, MONTHS, WAVES, Ints, Parameters

BASE = slice(FIRST_WAVE - 12, FIRST_WAVE)  # the twelve months before the first wave
LARGEST = 0.2  # a group with more than this share of what is to be closed stays open, or it would be the whole market
WAVE_SHARES = (0.35, 0.3, 0.2, 0.15)  # of closed sales; the big come first (newschinamag article 6808)
WAVE_NOISE = 1.5  # log sales by which the order of size is blurred; assumption
CHILL_SPEED, TRUST_SPEED = 3.0, 4.0  # months, equations (10) and (11)


@dataclass(frozen=True, eq=False)
class Closures:
    """Who is closed, when, how much of it, and who comes back.

    Attributes
    ----------
    month : int64[firm]
        First month without the closed accounts; `NEVER` if none is closed.
    dose : float64[firm]
        Closed accounts' share of the firm's AMZ sales; 0 if none is closed.
    closed_accounts : int64[firm]
        The firm's first so many accounts are closed.
    back, again : int64[firm]
        Month in which a renamed account opens, and in which it is closed in turn; `NEVER` if not.
    share : float64[firm]
        Firm's share of its category's AMZ sales in the base months.
    """

    month: Ints
    dose: Floats
    closed_accounts: Ints
    back: Ints
    again: Ints
    share: Floats


def close(stage: Stage, history: Course) -> Closures:
    """Choose whom to close, from what was sold before the first wave or news."""
    parameters, firms = stage.parameters, stage.firms
    base = history.sales[max(history.first, len(history.sales) - 12) :, 0].sum(axis=0)
    open_ = (base > 0) & history.survivors & firms.chinese
    chosen, wave = _groups_to_close(stage, base, open_)
    month = np.where(open_ & chosen[firms.group], np.array(WAVES)[wave[firms.group]], NEVER)
    dose, count = _doses(parameters, firms, month < NEVER)
    back, again = _comebacks(parameters, firms, month)
    return Closures(month, dose, count, back, again, base / firms.nests.spread(firms.nests.totals(base)))


def _groups_to_close(stage: Stage, base: Floats, open_: Bools) -> tuple[Bools, Ints]:
    """Return bool[group] chosen and int[group] wave.

    A group is closed with probability ``logistic(h + score)``, where one intercept h is raised until the closed
    groups hold the wanted share of Chinese sales: group g is in when its uniform is below, that is in the order of
    ``logit(uniform) - score``.
    """
    parameters, firms = stage.parameters, stage.firms
    uniforms = firms.drawn["closure"]
    members, mean, size, sales = _groups(stage, base, open_)
    count = len(members)
    threshold = np.log(uniforms[0, :count] / (1 - uniforms[0, :count])) - mean
    wanted = parameters.closed_gmv * base[firms.chinese].sum()
    eligible = np.flatnonzero((members > 0) & (sales <= LARGEST * wanted))
    order = eligible[np.argsort(threshold[eligible], kind="stable")][: parameters.max_groups]
    closed = order[: int(np.searchsorted(np.cumsum(sales[order]), wanted))]

    chosen, wave = np.zeros(count, dtype=bool), np.zeros(count, dtype=np.int64)
    chosen[closed] = True
    gumbel = -np.log(-np.log(uniforms[1, :count]))
    first = closed[np.argsort(-(size + WAVE_NOISE * gumbel)[closed], kind="stable")]
    before = np.cumsum(sales[first]) - sales[first]
    done = before / max(sales[first].sum(), 1.0)
    wave[first] = np.searchsorted(np.cumsum(WAVE_SHARES)[:-1], done, side="right")
    return chosen, wave


def _groups(stage: Stage, base: Floats, open_: Bools) -> tuple[Floats, Floats, Floats, Floats]:
    """Return by group: firms that can be closed, their mean score and mean log size, and their base sales."""
    parameters, firms = stage.parameters, stage.firms
    score = parameters.by_cheating * firms.cheater + parameters.tilt * firms.size + parameters.by_risk * firms.suspicion
    score = score + parameters.by_spurt * stage.paths.state[FIRST_WAVE - 1]
    members = np.asarray(np.bincount(firms.group, open_), dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(firms.group, open_ * score) / members
        size = np.bincount(firms.group, open_ * firms.size) / members
    return members, mean, size, np.asarray(np.bincount(firms.group, open_ * base), dtype=float)


def expected_accounts(stage: Stage, history: Course) -> float:
    """Return the number of accounts that are closed in expectation.

    Over the uniforms alone, the market as drawn: group g is closed with probability ``logistic(h + score)``, with the h
    at which the closed groups hold the wanted share of Chinese sales in expectation. Accounts are those of the
    merchants that a firm stands for, all of them or the partial few. No group is too large to be closed here: `LARGEST`
    serves a sample of firms, and would fill a small share with ever more of the smallest.
    """
    parameters, firms = stage.parameters, stage.firms
    base = history.sales[-12:, 0].sum(axis=0)
    open_ = (base > 0) & history.survivors & firms.chinese
    members, mean, _, sales = _groups(stage, base, open_)
    wanted = parameters.closed_gmv * base[firms.chinese].sum()
    may = members > 0
    whole = 1 - parameters.partial * (1 - parameters.partial_accounts)
    accounts = np.bincount(firms.group, open_ * firms.stands_for * firms.accounts)[may] * whole
    chance = 1 / (1 + np.exp(-(np.linspace(-40.0, 20.0, 601)[:, np.newaxis] + mean[may])))
    return float(np.exp(np.interp(np.log(wanted), np.log(chance @ sales[may]), np.log(chance @ accounts))))


def _doses(parameters: Parameters, firms: Firms, closed: Bools) -> tuple[Floats, Ints]:
    """Close all accounts, or in some firms only the first few."""
    some = (firms.drawn["closure"][2] < parameters.partial) & (firms.accounts > 1)
    few = np.maximum(np.rint(parameters.partial_accounts * firms.accounts), 1).astype(np.int64)
    count = np.where(closed, np.where(some, few, firms.accounts), 0)
    cumulated = np.cumsum(firms.account_shares, axis=1)
    part = cumulated[np.arange(len(firms)), np.maximum(count, 1) - 1]
    return np.where(closed, np.where(some, part, 1.0), 0.0), count


def _comebacks(parameters: Parameters, firms: Firms, month: Ints) -> tuple[Ints, Ints]:
    """Let some closed firms open a new account after a geometric delay, and close some of these after a month."""
    uniforms = firms.drawn["closure"]
    comes = (uniforms[3] < parameters.evasion) & (month < NEVER)
    stay = max(1 - 1 / parameters.evasion_delay, 1e-9)
    wait = 1 + np.floor(np.log(uniforms[4]) / np.log(stay)).astype(np.int64)
    back = np.where(comes, np.minimum(month + wait, NEVER), NEVER)
    return back, np.where(comes & (uniforms[5] < parameters.reclosure), back + 1, NEVER)


def open_part(stage: Stage, closures: Closures, closed: Ints, first: int) -> Floats:
    """Return factor float64[month, closed] on the AMZ weights of the firms in `closed`."""
    months = np.arange(first, MONTHS)[:, np.newaxis]
    bitten = closures.dose[closed] * stage.parameters.bite
    newcomer = stage.parameters.reputation
    since = np.clip(months - closures.back[closed], 0, 12)
    earned = (newcomer + (1 - newcomer) * since / 12) ** (1 / (1 - stage.parameters.sigma))
    returned = (months >= closures.back[closed]) & (months < closures.again[closed])
    return np.asarray(1.0 - bitten * (months >= closures.month[closed]) * (1.0 - returned * earned))


def chilled(stage: Stage, news: int) -> Floats:
    """Return the share of fake reviews kept, float64[month, cheater], from the month of the news on."""
    firms = stage.firms
    since = np.arange(news, MONTHS)[:, np.newaxis] - news + 1
    pace = (1 + firms.suspicion[firms.cheater]) / CHILL_SPEED  # faster where suspicion is higher
    return 1 - stage.parameters.chill * (1 - np.exp(-since * pace))


def removed_fakes(stage: Stage, closures: Closures, kept: Floats, part: Floats, closed: Ints) -> Floats:
    """Return the share of fake sales that is gone, float64[month], weighted by base sales on AMZ."""
    cheater = stage.firms.cheater
    sales = closures.share * cheater
    left = np.repeat(sales[np.newaxis, :], len(kept), axis=0)
    left[:, cheater] *= kept
    left[:, closed] *= part
    return np.asarray(1 - left.sum(axis=1) / max(sales.sum(), 1e-300))


def trust(stage: Stage, removed: Floats, first: int) -> Floats:
    """Return the utility that every product on AMZ gains, float64[month]."""
    since = np.arange(first, first + len(removed)) - first + 1
    return np.asarray(stage.parameters.trust * removed * (1 - np.exp(-since / TRUST_SPEED)))


def home_factor(stage: Stage, kept: Floats, part: Floats, closed: Ints) -> Floats:
    """Return the factor float64[month, firm] on AMZ weights, up to the last month.

    The part of the fake reviews that goes in every world (`Paths.eased`) is no part of `kept`: it earns no trust.
    """
    firms = stage.firms
    kept = kept * stage.paths.eased[-len(kept) :, np.newaxis]
    home = np.repeat(fakes(stage.parameters, firms.cheater)[np.newaxis, :], len(kept), axis=0)
    home[:, firms.cheater] = fakes(stage.parameters, kept)
    home[:, closed] *= part
    return home
