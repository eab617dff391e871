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
        month, nests, tie = np.arange(MONTHS), firms.nests, parameters.trend_tie
        column = month[:, np.newaxis]
        sd = np.sqrt(parameters.transitory) * parameters.sd_log_sales  # log sales follow a stationary autoregression
        innovation, state = sd * np.sqrt(1 - parameters.rho**2), np.empty_like(firms.shocks)
        state[0] = sd * firms.shocks[0]
        for now in range(1, MONTHS):
            state[now] = parameters.rho * state[now - 1] + innovation * firms.shocks[now]

        appeal = np.zeros((MONTHS, len(PLATFORMS), parameters.n_categories))
        appeal[list(PRIME_DAYS), 0] = parameters.prime_day
        appeal[RESTOCK:, 0] += np.log1p(-parameters.restock * (1 - firms.bulk))  # bulky goods are not stored at Amazon
        appeal[VAT:, 2] = np.log1p(-parameters.vat * parameters.vat_reach)
        appeal[TRACKING:, 4] = np.log1p(-parameters.tracking)

        common = parameters.growth * column + parameters.season * SEASON[column % 12]
        common = common + np.where(column >= COVID, np.log1p(parameters.covid), 0.0)
        common = common + np.where(column >= REVERSAL, np.log1p(-parameters.covid_reversal), 0.0)
        slope = tie * firms.cheating + np.sqrt(1 - tie**2) * firms.drift
        walk = parameters.walk_sd * np.cumsum(firms.walk, axis=0)
        level = np.exp(common + parameters.category_trend * slope * (column - FIRST_WAVE) + walk)
        spending = level * (parameters.gmv_2019 / (platform_targets(parameters)[0][0] * level[:12].sum()))

        first, last = CHINESE_DECLINE
        chinese = parameters.cn_trend * (np.clip(month, first - 1, last) - (first - 1))
        freight = np.interp(month, *FREIGHT) * parameters.freight / (1 - parameters.sigma)
        factor = np.multiply.outer(freight, -np.where(firms.chinese, nests.spread(firms.bulk), 0.0))
        factor += state
        factor += np.multiply.outer(chinese, firms.chinese.astype(float))
        eased = np.where(month >= REVIEW_CASE, 1 - parameters.review_case, 1.0)
        return cls(spending, appeal, eased, np.exp(factor, out=factor), state)
