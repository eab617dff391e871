"""Effects relative to outcomes imputed within strata, to check group-time effects with.

They are averages of totals over treated cells: observed outcomes, counterfactual outcomes, and
numbers of units. These are functions of sums over units, so that the totals without a cluster
follow from the cluster's own sums. Units and periods are absorbed in closed form on a balanced
panel, without dummies.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, get_args

import numpy as np

from fewtreated import jackknife
from fewtreated.errors import DesignError, check_choice
from fewtreated.estimate import Bools, Estimate, Floats, Ints
from fewtreated.estimators.rows import rows_by, sum_by, without_each
from fewtreated.estimators.units import UNITS, Scale, Units
from fewtreated.jackknife import left_out

__dir__ = ["imputation"].copy  # for tab completion

Kind = Literal["simple", "dynamic", "group_time"]

RANK = 1e-10  # share of the largest eigenvalue below which another is treated as zero


def imputation(units: Units, kind: Kind = "simple") -> Estimate:
    """Estimate effects relative to outcomes imputed from unit and period effects.

    Unit and period effects are fitted on untreated cells.

    It uses all untreated periods, not only the last: estimates are more precise, but more biased if
    paths diverge slowly before treatment. Period effects are fitted within each stratum. Terms
    cover treated periods, and periods of anticipation are used for neither.

    Parameters
    ----------
    units : Units
        As returned by :func:`fewtreated.estimators.units.usable_units`, without missing outcomes.
    kind : {"simple", "dynamic", "group_time"}
        All treated cells, by event time, or one term such as ``"g=5 t=7"`` per cohort and period.

    Returns
    -------
    Estimate
        `n` is the number of treated units behind each term. Standard errors are from the cluster
        jackknife (CV3), with all fits repeated without each cluster. Cells without comparison units
        are left out.

    Raises
    ------
    DesignError
        If there are covariates.

    References
    ----------
    Borusyak, K., Jaravel, X. and Spiess, J. (2024), Revisiting event-study designs: robust and
    efficient estimation, Review of Economic Studies 91, 3253-3285.
    """
    if units.z.shape[1] > 1:
        raise DesignError(
            f"Cannot impute with {units.z.shape[1] - 1} covariates; pass strata, or use"
            " doubly_robust"
        )
    width = units.y.shape[1]
    ends = np.append(units.first - units.anticipation, width)  # last, cohort -1: never treated
    terms, cells = _terms(kind, units.first, np.arange(width) >= units.first[:, np.newaxis])
    function = partial(
        _imputed, untreated=np.arange(width) < ends[:, np.newaxis], cells=cells, scale=units.scale
    )
    code = np.arange(len(units.y)) if units.cluster is None else units.cluster
    totals = np.zeros(3 * len(terms))
    moved = np.zeros((len(units.labels), 3 * len(terms)))
    for rows in rows_by(units.stratum):
        weight = units.weight[rows, np.newaxis] * (
            units.cohort[rows, np.newaxis] % len(ends) == np.arange(len(ends))
        )
        present, place = np.unique(code[rows], return_inverse=True)
        parts = (weight, weight[:, :, np.newaxis] * units.y[rows, np.newaxis])
        sums = (sum_by(part, place, len(present)) for part in parts)
        total, change = without_each(function, *sums)
        totals += total
        moved[present] += change
    average = partial(_average, scale=units.scale)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = average(totals)
        changes = left_out(average, totals, moved.T).T
    n, fewest = _behind(units, code, np.asarray(cells.any(axis=1)))
    reason = ""
    if lost := int(np.isnan(changes).any(axis=0).sum()):
        reason = f"{lost} of {len(terms)} terms rest on a single cluster, or have no positive total"
    return Estimate(
        estimand=f"{kind} effect on the treated, imputed",
        unit=UNITS[units.scale],
        terms=terms,
        value=value,
        scores=jackknife.scores(changes, np.count_nonzero(moved.any(axis=1))),
        n=n,
        max_df=jackknife.most_df(fewest),
        reason=reason,
        counts=units.counts,
        clusters=units.labels,
    )


def _terms(kind: Kind, first: Ints, shown: Bools) -> tuple[tuple[str, ...], Floats]:
    """Return the term names and each term's cells among `shown`, float64[cohort, time, term]."""
    check_choice("kind", kind, get_args(Kind))
    event = np.arange(shown.shape[1]) - first[:, np.newaxis]
    key = {
        "simple": np.zeros_like(event),
        "dynamic": event,
        "group_time": np.arange(event.size).reshape(event.shape),
    }
    keys = np.unique(key[kind][shown])
    names = [str(time) for time in keys]
    if kind == "simple":
        names = [kind]
    if kind == "group_time":
        names = [f"g={first[cell // shown.shape[1]]} t={cell % shown.shape[1]}" for cell in keys]
    return tuple(names), ((key[kind][:, :, np.newaxis] == keys) & shown[:, :, np.newaxis]).astype(
        float
    )


def _imputed(held: Floats, y: Floats, *, untreated: Bools, cells: Floats, scale: str) -> Floats:
    """Compute a stratum's totals by term from weights and outcomes by cohort.

    Totals are float64[..., 3 terms].

    `held` is float64[..., cohort], `y` float64[..., cohort, time]. Unit effects are absorbed: each
    cohort, untreated before its end, adds a small matrix to the normal equations of period effects.
    """
    share = untreated / untreated.sum(axis=1, keepdims=True)
    centre = untreated[:, :, np.newaxis] * (np.eye(len(share.T)) - share[:, np.newaxis])
    normal = np.einsum("...h,hts->...ts", held, centre)
    right = np.einsum("hts,...hs->...t", centre, y)
    period = np.zeros(right.shape)  # period 0 is absorbed in unit effects
    period[..., 1:] = _solve(normal[..., 1:, 1:], right[..., 1:, np.newaxis])[..., 0]
    effect = y - held[..., np.newaxis] * period[..., np.newaxis, :]
    effect -= (effect * share).sum(axis=-1, keepdims=True)
    observed = effect
    if scale == "ratio":
        observed = y
    totals = np.array(np.broadcast_arrays(observed, observed - effect, held[..., np.newaxis]))[
        ..., :-1, :
    ]
    totals = np.where(np.isfinite(totals[1]) & (totals[2] > 0), totals, 0.0)
    added = np.einsum("x...ht,htp->...xp", totals, cells)
    return np.asarray(added.reshape(*added.shape[:-2], -1))


def _solve(matrix: Floats, right: Floats) -> Floats:
    """Solve symmetric systems of equations.

    The two sides are float64[..., row, row] and [..., row, column]. The solution is NaN if it is
    not unique.
    """
    values, vectors = np.linalg.eigh(matrix)
    inverse = np.where(values > RANK * values[..., -1:], 1 / values, np.nan)
    return np.asarray(vectors @ (inverse[..., np.newaxis] * (vectors.swapaxes(-2, -1) @ right)))


def _average(totals: Any, *, scale: Scale) -> Any:
    """Return the effect of each term from its three totals, [3 terms, ...]."""
    observed, counterfactual, n = np.split(totals, 3)
    if scale == "level":
        return (observed - counterfactual) / n
    return np.log(
        np.where(observed > 0, observed, np.nan)
        / np.where(counterfactual > 0, counterfactual, np.nan)
    )


def _behind(units: Units, code: Ints, in_term: Bools) -> tuple[Ints, Ints]:
    """Count the treated units by term, and the clusters of the side that has fewer.

    `in_term` is bool[cohort, term].
    """
    held = np.array(
        [
            np.bincount(code[units.cohort == cohort], minlength=len(units.labels))
            for cohort in range(len(units.first))
        ]
    )
    treated = ((held.T @ in_term) > 0).sum(axis=0)
    never = len(np.unique(code[units.cohort < 0]))
    return held.sum(axis=1) @ in_term, np.minimum(treated, never)
