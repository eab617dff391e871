"""How firms respond: relocation, hedging, entry and exit after closure (equations 8 to 10)."""

from __future__ import annotations

import numpy as np

from analysis.estimate import Bools, Floats
from analysis.market.demand import platform_targets
from analysis.market.enforcement import Closures
from analysis.market.engine import Stage
from analysis.market.firms import NEVER, delay
from analysis.market.parameters import FIRST_WAVE, MONTHS, Ints

FROZEN_MONTHS = 6
HEDGE_SPEED = 6.0  # months, equation (10)
ENDURES = 0.5  # added to the probability to join a platform per platform already sold on off AMZ; assumption
EXIT_WINDOW = 9  # months, equation (9)


def relocation_start(stage: Stage, closures: Closures, closed: Ints) -> Ints:
    """Return first months int64[platform, closed] on platforms joined because of closure; AMZ is `NEVER`."""
    parameters, firms = stage.parameters, stage.firms
    elsewhere = (firms.start[1:, closed] < closures.month[closed]).sum(axis=0)
    sizes = platform_targets(parameters)[0]
    pull = np.sqrt(sizes / sizes[1:].mean())[:, np.newaxis]  # larger platforms attract more
    chance = parameters.enter * closures.dose[closed] * pull * (1 + ENDURES * elsewhere)
    wait = delay(firms.drawn["relocation"][0][:, closed], np.minimum(chance, 1.0), parameters.speed)
    start = np.asarray(np.minimum(closures.month[closed] + wait, NEVER))
    start[0] = NEVER
    return start


def relocation_effort(stage: Stage, closures: Closures, closed: Ints, first: int) -> Floats:
    """Return factors float64[month, platform, closed] on weights off AMZ: effort grows, frozen cash dampens it."""
    parameters = stage.parameters
    since = np.arange(first, MONTHS)[:, np.newaxis] - closures.month[closed]
    cash = np.where(since < FROZEN_MONTHS, 1 - parameters.frozen, 1.0)
    grown = (1 - np.exp(-np.maximum(since, 0) / parameters.speed)) * cash * closures.dose[closed]
    utility = parameters.effort * grown[:, np.newaxis, :] / (1 - stage.firms.nests.sigma)
    utility[:, 0] = 0.0
    return np.asarray(np.exp(utility))


def followers(stage: Stage, part: Floats, closed: Ints, base_share: Floats) -> Floats:
    """Return the share of its category's spending that follows each closed firm, float64[month, closed]."""
    return stage.parameters.follow * (1 - part) * base_share[closed]


def closed_hazard(stage: Stage, closures: Closures, closed: Ints, first: int) -> Floats:
    """Return what closure adds to the exit hazard, float64[month, closed]."""
    parameters = stage.parameters
    since = np.arange(first, MONTHS)[:, np.newaxis] - closures.month[closed]
    hit = (since >= 0) & (since <= EXIT_WINDOW)
    return parameters.exit_closed * (1 + parameters.frozen) * closures.dose[closed] * hit


def hedging_start(stage: Stage, news: int) -> Ints:
    """Return first months int64[platform, firm] on platforms that Chinese firms join because of the news."""
    firms = stage.firms
    wait = delay(firms.drawn["relocation"][1], stage.parameters.hedge, HEDGE_SPEED)
    sells = firms.chinese & (firms.start[0] < NEVER)
    since = np.maximum(news, firms.entry_month)
    start = np.where(sells, np.minimum(since - 1 + wait, NEVER), NEVER)
    start[0] = NEVER
    return start


def admitted(stage: Stage, news: int | None, exposure: Floats | None) -> Bools:
    """Return who enters, bool[firm]; the news deter Chinese firms, gaps in a category attract.

    Parameters
    ----------
    stage : Stage
    news : int, optional
        First month in which entrants know; None in a world without news.
    exposure : float64[month, category], optional
        Share of the category's base sales that is closed, from `FIRST_WAVE` on; None without closures.
    """
    parameters, firms = stage.parameters, stage.firms
    chance = np.full(len(firms), parameters.entry)
    if news is not None:
        chance *= np.where(firms.chinese & (firms.entry_month >= news), 1 - parameters.deter, 1.0)
    if exposure is not None:
        row = firms.entry_month - FIRST_WAVE
        gap = np.where(row >= 0, exposure[np.maximum(row, 0), firms.nests.category], 0.0)
        chance *= 1 + parameters.induce * gap
    return (firms.entry_month < 0) | (firms.drawn["admitted"] < chance)


def exposure_by_category(stage: Stage, closures: Closures, closed: Bools) -> Floats:
    """Return float64[month, category] from `FIRST_WAVE` on: base share of the firms in `closed` closed by then."""
    months = np.arange(FIRST_WAVE, MONTHS)
    firms = np.flatnonzero(closed)
    by = np.zeros((len(months) + 1, len(stage.level[0])))
    np.add.at(by, (closures.month[firms] - FIRST_WAVE, stage.firms.nests.category[firms]), closures.share[firms])
    return np.cumsum(by[:-1], axis=0)
