"""What happens to everyone: spending, season, pandemic, freight, platform shocks (equation 1, threat register)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.estimate import Floats
from analysis.market.parameters import FIRST_WAVE, MONTHS, PLATFORMS, Parameters
from analysis.market.population import Firms, platform_targets

SEASON = np.array([-0.06, -0.08, -0.02, -0.03, 0.0, -0.01, 0.0, -0.01, -0.02, 0.02, 0.12, 0.09])  # assumption
COVID, REVERSAL = 15, 29  # April 2020, June 2021
CHINESE_DECLINE = (22, 38)  # November 2020 to March 2022
FREIGHT = ([20, 32, 41], [0.0, np.log(4.9), np.log(2.5)])  # log index, September 2020 = 0; the end is assumed
PRIME_DAYS = (6, 21, 29)  # July 2019, October 2020, June 2021
VAT, TRACKING, PERIMETER = 30, 29, 27  # July, June, April 2021
RESTOCK = FIRST_WAVE  # limits of 22 April 2021, in monthly data the same month as the first closures
REVIEW_CASE = 30  # 25 June 2021, so from July


@dataclass(frozen=True, eq=False)
class Environment:
    """Exogenous paths, the same in every world.

    Attributes
    ----------
    spending : float64[month, category]
        Market size M, sim-$ a month.
    appeal : float64[month, platform, category]
        Utility common to all products of a platform, or of a category on it.
    eased : float64[month]
        Share of fake reviews that is kept whatever happens to accounts.
    firm : float64[month, firm]
        Factor on a firm's weight on every platform: own shocks, Chinese trend, freight.
    state : float64[month, firm]
        The firm's own shocks, log sales.
    """

    spending: Floats
    appeal: Floats
    eased: Floats
    firm: Floats
    state: Floats

    @classmethod
    def of(cls, parameters: Parameters, firms: Firms) -> Environment:
        """Trace all paths of one market."""
        state = _state(parameters, firms.shocks)
        eased = np.where(np.arange(MONTHS) >= REVIEW_CASE, 1 - parameters.review_case, 1.0)
        appeal = np.zeros((MONTHS, len(PLATFORMS), parameters.n_categories))
        appeal[list(PRIME_DAYS), 0] = parameters.prime_day
        appeal[RESTOCK:, 0] += np.log1p(-parameters.restock * (1 - firms.bulk))  # bulky goods are not stored at Amazon
        appeal[VAT:, 2] = np.log1p(-parameters.vat * parameters.vat_reach)
        appeal[TRACKING:, 4] = np.log1p(-parameters.tracking)
        return cls(_spending(parameters, firms), appeal, eased, _factor(parameters, firms, state), state)


def _state(parameters: Parameters, shocks: Floats) -> Floats:
    """Let log sales follow a stationary autoregression."""
    sd = np.sqrt(parameters.transitory) * parameters.sd_log_sales
    state = np.empty_like(shocks)
    state[0] = sd * shocks[0]
    innovation = sd * np.sqrt(1 - parameters.rho**2)
    for month in range(1, MONTHS):
        state[month] = parameters.rho * state[month - 1] + innovation * shocks[month]
    return state


def _spending(parameters: Parameters, firms: Firms) -> Floats:
    month = np.arange(MONTHS)[:, np.newaxis]
    common = parameters.growth * month + parameters.season * SEASON[month % 12]
    common = common + np.where(month >= COVID, np.log1p(parameters.covid), 0.0)
    common = common + np.where(month >= REVERSAL, np.log1p(-parameters.covid_reversal), 0.0)
    tie = parameters.trend_tie
    slope = tie * firms.cheating + np.sqrt(1 - tie**2) * firms.drift
    walk = parameters.walk_sd * np.cumsum(firms.walk, axis=0)
    level = np.exp(common + parameters.category_trend * slope * (month - FIRST_WAVE) + walk)
    home = platform_targets(parameters)[0][0]
    return np.asarray(level * (parameters.gmv_2019 / (home * level[:12].sum())))


def _factor(parameters: Parameters, firms: Firms, state: Floats) -> Floats:
    month = np.arange(MONTHS)
    first, last = CHINESE_DECLINE
    chinese = parameters.cn_trend * (np.clip(month, first - 1, last) - (first - 1))
    freight = np.interp(month, *FREIGHT) * parameters.freight / (1 - parameters.sigma)
    exposed = np.where(firms.chinese, firms.nests.spread(firms.bulk), 0.0)
    log_factor = np.multiply.outer(freight, -exposed)
    log_factor += state
    log_factor += np.multiply.outer(chinese, firms.chinese.astype(float))
    return np.asarray(np.exp(log_factor, out=log_factor))
