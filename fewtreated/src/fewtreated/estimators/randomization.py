"""Two-way effects with an interval from reassigning treatment among clusters.

With few treated clusters, what their shocks could have done to an estimate is best seen in the
shocks of the others. A reference is the benchmark's own version, computed in another way.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fewtreated.display import WORD, cut
from fewtreated.errors import DesignError, whole_number
from fewtreated.estimate import Bools, Estimate, Floats, Ints, Labels
from fewtreated.estimators.rows import match_units, sum_by
from fewtreated.testing import ranks, shift_interval

__dir__ = ["randomization_did"].copy  # for tab completion

DRAWS = 999


def randomization_did(
    y: Floats,
    first_treated: Floats,
    *,
    cluster: Labels | None = None,
    draws: int = DRAWS,
    level: float = 0.95,
    seed: int = 1,
) -> Estimate:
    r"""Regress an outcome on treatment, unit and period effects; reassign treatment among clusters.

    In each of `draws` reassignments every treated cluster's dates go to a cluster drawn at random.
    Were :math:`\alpha` the effect, of outcomes less it, reassignment r would find
    :math:`a_r - \alpha s_r`, with :math:`a_r` the estimate on the outcomes and :math:`s_r` that on
    the true treatment. The interval has each :math:`\alpha` for which more than 1 - `level` of
    assignments, the true one included, are at least as far from zero as the truth would be.

    It is exact for one constant effect, if all clusters are alike in size and in the spread of
    their shocks. If the treated are larger than the others, it is too long; if they vary more, too
    short.

    Parameters
    ----------
    y : float64[unit, period]
        Outcome, such as a logarithm; NaN is missing.
    first_treated : float64[unit]
        First treated period of each unit, counted from the first period; inf if never treated.
    cluster : sequence, optional
        Cluster of each unit; each unit its own by default. All units of a cluster are treated at
        the same time, or none is.
    draws : int
        Reassignments. With one treated cluster each cluster is taken once instead.
    level : float
        Coverage of the interval.
    seed : int
        Of the random numbers.

    Returns
    -------
    Estimate
        Row ``did``, with columns `rank`, `p_two_sided` and `p_smallest`; ``details["draws"]``
        float64[assignment], of which the first is the true one.

    Raises
    ------
    DesignError
        If shapes differ, no cluster or each is treated, units of a cluster are treated at different
        times, or an assignment identifies no effect.

    References
    ----------
    MacKinnon, J. G. and Webb, M. D. (2020), Randomization inference for difference-in-differences
    with few treated clusters, Journal of Econometrics 218, 435-450: RI-beta, inverted.
    """
    if whole_number("draws", draws) < 1:
        raise DesignError(f"Cannot draw {draws} reassignments: pass draws = 1 or more, such as 999")
    match_units(y=y, first_treated=first_treated, cluster=cluster)
    y = np.asarray(y, dtype=float)
    if cluster is None:
        cluster = np.arange(len(y))
    code, labels = pd.factorize(np.asarray(cluster), sort=True)
    first = _first_of_each(np.asarray(first_treated, dtype=float), code, labels)
    treated = np.flatnonzero(np.isfinite(first))
    if not 0 < len(treated) < len(first):
        raise DesignError(
            f"Cannot reassign treatment: {len(treated)} of {len(first)} clusters are treated, but"
            " at least one must be and one not; add units"
        )
    assigned = _assignments(treated, len(first), draws, seed)
    effects, slopes = _effects(y, code, first, treated, assigned)
    if not np.isfinite(effects).all():
        raise DesignError(
            "Cannot reassign treatment: without unit and period effects, nothing is left of that of"
            f" {(~np.isfinite(effects)).sum()} assignments; drop clusters that are observed only"
            " before or only after treatment"
        )
    estimate = float(effects[0])
    units = int(np.isin(code, treated).sum())
    limits = np.array(shift_interval(estimate, effects, slopes, level))
    reason = (
        f"{len(treated)} treated of {len(first)} clusters: ranks over {len(effects):,} assignments"
        " instead of a standard error; they assume that all clusters have the same spread"
    )
    if not np.isfinite(limits).all():
        limits[:] = np.nan
        reason += f"; no {level:.0%} interval, since no p-value is small enough"
    return Estimate(
        estimand="two-way effect of treatment",
        unit="units of y",
        terms=("did",),
        value=effects[:1],
        limits=limits[:, np.newaxis],
        n=units,
        columns=ranks(estimate, effects),
        level=level,
        interval="randomization interval",
        counts={"units": len(y), "treated": units, "clusters": len(first)},
        reason=reason,
        details={"draws": effects},
    )


def _first_of_each(first: Floats, code: Ints, labels: Labels) -> Floats:
    """Return the first treated period of each cluster; raise DesignError if its units differ."""
    found = pd.Series(first).groupby(code).agg(["min", "max"])
    if (odd := found[found["min"] != found["max"]]).size:
        raise DesignError(
            f"Cannot reassign treatment among clusters: in {len(odd)}, such as"
            f" {cut(str(labels[odd.index[0]]), WORD)}, units are first treated at different times,"
            " or only some of them are; use att_gt, or finer clusters"
        )
    return np.asarray(found["min"], dtype=float)


def _assignments(treated: Ints, clusters: int, draws: int, seed: int) -> Ints:
    """Return who gets the dates of each treated cluster, int64[assignment, treated cluster].

    The first assignment is the true one.
    """
    if len(treated) == 1:
        others = np.delete(np.arange(clusters), treated)
        return np.concatenate([treated, others])[:, np.newaxis]
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(clusters)[: len(treated)] for _ in range(draws)]
    return np.array([treated, *drawn])


def _effects(
    y: Floats, code: Ints, first: Floats, treated: Ints, assigned: Ints
) -> tuple[Floats, Floats]:
    """Return the effects on the outcome and on treatment itself, float64[assignment] each.

    All follow from products of period dummies, each less its unit's mean, by cluster.
    """
    dummies, outcome = _products(y, code, len(first))
    dates, wave = np.unique(first[treated], return_inverse=True)
    path, of_wave = (
        (np.arange(y.shape[1]) >= each[:, np.newaxis]).astype(float) for each in (first, dates)
    )
    # a wave's products with dummies, outcomes and the true treatment, were a cluster in it
    followed = np.einsum("kst,wt->wks", dummies, of_wave)
    on_outcome = of_wave @ outcome.T
    on_truth = np.einsum("wks,ks->wk", followed, path)
    on_itself = np.einsum("wks,ws->wk", followed, of_wave)
    months, own, truth, square = (
        sum(of[wave[j], assigned[:, j]] for j in range(len(treated)))
        for of in (followed, on_outcome, on_truth, on_itself)
    )
    # the first period's dummy is a sum of the others once units' means are taken off
    inverse = np.linalg.pinv(dummies.sum(axis=0)[1:, 1:], hermitian=True)
    fitted = months[:, 1:] @ inverse
    left = square - (fitted * months[:, 1:]).sum(axis=1)
    left[left <= 1e-9 * square] = np.nan
    effects = (own - fitted @ outcome.sum(axis=0)[1:]) / left
    slopes = (truth - fitted @ months[0, 1:]) / left
    return effects, slopes


def _products(y: Floats, code: Ints, clusters: int) -> tuple[Floats, Floats]:
    """Return products of dummies of periods, less units' means, with themselves and the outcome.

    They are float64[cluster, period, period] and float64[cluster, period].
    """
    seen: Bools = np.isfinite(y)
    held = np.maximum(seen.sum(axis=1, keepdims=True), 1)
    known = np.where(seen, y, 0.0)
    outcome = np.where(seen, known - known.sum(axis=1, keepdims=True) / held, 0.0)
    dummies = np.zeros((clusters, y.shape[1], y.shape[1]))
    for one in range(clusters):
        rows = seen[code == one].astype(float)
        dummies[one] = np.diag(rows.sum(axis=0)) - rows.T @ (rows / held[code == one])
    return dummies, sum_by(outcome, code, clusters)
