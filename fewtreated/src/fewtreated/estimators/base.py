"""Weigh the periods before treatment, from which changes are taken.

The last period before treatment is the best base if shocks last, the mean of all periods before it
if they are brief. Which mixture is best shows in units that are never treated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from fewtreated.errors import DesignError
from fewtreated.estimate import Floats, Ints
from fewtreated.estimators.groups import Group
from fewtreated.estimators.units import Scale

__dir__ = ["BaseWeight", "base_weight"].copy  # for tab completion

Base = Literal["last", "weighted"]


class BaseWeight(NamedTuple):
    """Weight of the last untreated period in the base.

    Attributes
    ----------
    value : float
        With all clusters.
    without : float64[cluster]
        Without each cluster.
    """

    value: float
    without: Floats


def base_weight(
    y: Floats,
    groups: Sequence[Group],
    *,
    scale: Scale,
    anticipation: int,
    weight: Floats | None,
    cluster: Ints | None,
    clusters: int,
) -> BaseWeight:
    """Weigh the last untreated period so that never-treated units change the least by chance.

    Units that are never treated have no effect. If they are treated on the dates of the cohorts,
    in the proportions of these, what each adds to their mean change is ``P - M + w (M - L)``: with
    P of its outcomes after those dates, L of those in the last period before, and M of the means of
    all periods before, each less its mean over units (as a share of its total, on the ratio scale).
    The sum of squares is smallest for ``w = -sum (P - M)(M - L) / sum (M - L)^2``, which is kept
    between 0 and 1. Without a cluster, the products of its units are left out of both sums. Only
    units with all outcomes count. The weight does not depend on how errors are clustered. The
    arguments are those of :class:`fewtreated.estimators.att_gt.GroupTime`, and the number of
    clusters.

    Raises
    ------
    DesignError
        If the last untreated period differs from the mean of all in fewer than three clusters of
        units that are never treated.
    """
    width = y.shape[1]
    after = np.zeros(len(y))
    before = np.zeros(len(y))
    cohorts = [group for group in groups if group.first < width]
    for group in groups:
        if group.parts or np.isfinite([group.first, group.until]).any():
            continue
        rows = group.rows[np.isfinite(y[group.rows]).all(axis=1)]
        own = np.ones(len(rows)) if weight is None else weight[rows]
        for cohort in cohorts:
            first = int(cohort.first)
            last = first - 1 - anticipation
            if cohort.stratum != group.stratum or group.base not in (None, last) or not len(rows):
                continue
            never = y[rows]
            kinds = (never[:, first:].mean(axis=1), never[:, : last + 1].mean(axis=1))
            post, mean, latest = (_apart(kind, own, scale) for kind in (*kinds, never[:, last]))
            size = len(cohort.rows) * (width - first)
            after[rows] += size * (post - mean)
            before[rows] += size * (mean - latest)
    code = np.arange(len(y)) if cluster is None else cluster
    products, squares = (
        np.bincount(code, product, clusters) for product in (-after * before, before**2)
    )
    count = np.count_nonzero(squares)
    if count < 3:
        raise DesignError(
            f"Cannot weigh the periods before treatment: they differ in {count} clusters of units"
            ' that are never treated and have all outcomes, and three are needed; use base="last"'
        )

    def kept(product: Floats, square: Floats) -> Floats:
        return np.clip(product / square, 0, 1)

    without = kept(products.sum() - products, squares.sum() - squares)
    return BaseWeight(float(kept(products.sum(), squares.sum())), np.asarray(without))


def _apart(values: Floats, weight: Floats, scale: Scale) -> Floats:
    """Return what each unit adds to the chance error of a mean or log total, float64[unit]."""
    total = weight @ values
    if scale == "level":
        return np.asarray(weight * (values - total / weight.sum()) / weight.sum())
    if total > 0:
        return np.asarray(weight * values / total)
    return np.zeros(len(values))
