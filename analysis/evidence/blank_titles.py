"""Bounds for purchases without a title, available once the whole file was counted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.errors import DesignError
from analysis.estimate import Estimate
from analysis.evidence.households import AGAINST, BASELINE, BLANK, UNKNOWN, Households, Specification


def blank_bounds(households: Households, spec: Specification = BASELINE) -> Estimate:
    """Bound the Chinese share of all purchases and its change: either all or none of those without a title are Chinese.

    Nothing is assumed about which titles were lost: the change is smallest if all are Chinese before and none after.

    Returns
    -------
    Estimate
        Terms before, after and change, percentage points, without a point: `set_low` and `set_high` are the ends, and
        intervals run from the lower limit of the former to the upper limit of the latter.

    Raises
    ------
    DesignError
        If all purchases have a title, as in the public part.

    References
    ----------
    Manski, C. F. (1989), Anatomy of the selection problem, Journal of Human Resources 24, 343-360. Manski, C. F.
    (2003), Partial Identification of Probability Distributions, Springer.
    """

    def ends_of_the_chinese_share(*totals: Any) -> dict[str, Any]:
        least, most, total, least_after, most_after, total_after = totals
        low, high = 100 * least / total, 100 * most / total
        low_after, high_after = 100 * least_after / total_after, 100 * most_after / total_after
        ends = (low, high, low_after, high_after, low_after - high, high_after - low)
        return {str(place): end for place, end in enumerate(ends)}

    _refuse_without_blanks(households)
    sums = {}
    for when, window in spec.windows.items():
        sums[f"Chinese brands, {when}"] = households.sums(window, spec.chinese, of=spec.of)
        sums[f"Chinese brands and blank, {when}"] = households.sums(window, [*spec.chinese, BLANK], of=spec.of)
        sums[f"all, {when}"] = households.everything(window, spec.of)
    ends = households.jackknife(sums, ends_of_the_chinese_share, "percentage points", spec.level)
    if ends.refused:
        return ends
    return replace(
        ends,
        estimand="Chinese share of all purchases, blank titles Chinese or not",
        terms=("before", "after", "change"),
        value=np.full(3, np.nan),
        scores=None,
        covariance=None,
        limits=np.array([ends.conf_int[0, ::2], ends.conf_int[1, 1::2]]),
        columns={"set_low": ends.value[::2], "set_high": ends.value[1::2]},
        interval="bounds",
        reason=ends.reason or "a set has no point; intervals are wider than set_low to set_high by sampling errors",
    )


def blanks_by_month(households: Households) -> pd.DataFrame:
    """Return the share of purchases without a title, per cent, by month and class of category.

    Purchases that a table of products gave a brand do not count as blank; a share of no purchases is NaN. Raise
    DesignError if all purchases have a title.
    """
    _refuse_without_blanks(households)
    rows = households.purchases
    exposed = rows["category"].isin(households.categories["category"])
    rows = rows.assign(category=rows["category"].mask(exposed, "exposed"))
    rows = pd.concat([rows, rows.assign(category="all")])
    blank = rows["purchases"].where(rows["origin_class"] == BLANK, 0)
    sums = rows.assign(blank=blank).groupby(["month", "category"])[["blank", "purchases"]].sum()
    shares = (100 * sums["blank"] / sums["purchases"]).unstack()
    return shares.reindex(columns=["exposed", *AGAINST["all others"], UNKNOWN, "all"])


def _refuse_without_blanks(households: Households) -> None:
    if not (households.purchases["origin_class"] == BLANK).any():
        raise DesignError(
            "Cannot bound what blank titles hide: all purchases in these tables have a title, as in the "
            "public part; count the whole file (docs/households.md)."
        )
