"""Other estimators of group-time effects: doubly robust with covariates, imputation within strata.

Both average effects from totals over treated cells: observed outcomes, counterfactual outcomes, and
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

__dir__ = ["doubly_robust", "imputation"].copy  # for tab completion

Kind = Literal["simple", "dynamic", "group_time"]

RANK = 1e-10  # share of the largest column or eigenvalue below which another is treated as zero
# limit of Newton steps, and size of the last step in log odds
STEPS = 50
CLOSE = 1e-10


def doubly_robust(units: Units, kind: Kind = "simple") -> Estimate:
    """Estimate doubly robust effects relative to never-treated units with the same covariates.

    Changes since the last period before treatment are predicted by a regression on the never
    treated, and the residuals compared under odds weights that make the never treated like the
    cohort: consistent if either the regression or the log odds of treatment are linear in the
    covariates. Without covariates it equals :func:`fewtreated.estimators.att_gt.att_gt`.

    Parameters
    ----------
    units : Units
        As returned by :func:`fewtreated.estimators.units.usable_units`.
    kind : {"simple", "dynamic", "group_time"}
        All treated cells, by event time, or one term such as ``"g=5 t=7"`` per cohort and period.

    Returns
    -------
    Estimate
        `n` is the number of treated units behind each term. Standard errors are from the cluster
        jackknife (CV3), as for :func:`fewtreated.estimators.att_gt.att_gt`: means and the
        regression without a cluster are exact, and the log odds of treatment without it are one
        Newton step from those with it, to first order.

    Raises
    ------
    DesignError
        If covariates separate a cohort and the never treated.

    References
    ----------
    Sant'Anna, P. H. C. and Zhao, J. (2020), Doubly robust difference-in-differences estimators,
    Journal of Econometrics 219, 101-122. Callaway, B. and Sant'Anna, P. H. C. (2021),
    Difference-in-differences with multiple time periods, Journal of Econometrics 225, 200-230.
    """
    base = units.first - 1 - units.anticipation
    terms, cells = _terms(kind, units.first, np.arange(units.y.shape[1]) != base[:, np.newaxis])
    pieces = []
    for cohort, column in enumerate(base):
        rows = np.flatnonzero((units.cohort == cohort) | (units.cohort < 0))
        treated = units.cohort[rows] == cohort
        weight = units.weight[rows]
        y = units.y[rows]
        z = _basis(units.z[rows], weight)
        function = partial(_adjusted, one=weight @ z, cells=cells[cohort], scale=units.scale)
        parts = _moments(y - y[:, column][:, np.newaxis], treated, z, weight)
        pieces.append((rows, function, [*parts, np.where(treated, weight, 0)[:, np.newaxis] * y]))
    return _estimate(f"{kind} effect on the treated, doubly robust", units, terms, cells, pieces)


def imputation(units: Units, kind: Kind = "simple") -> Estimate:
    """Estimate effects relative to outcomes imputed from unit and period effects.

    Unit and period effects are fitted on untreated cells.

    It uses all untreated periods, not only the last: estimates are more precise, but more biased if
    paths diverge slowly before treatment. Period effects are fitted within each stratum. Parameters
    are as for :func:`doubly_robust`; terms cover treated periods, and periods of anticipation are
    used for neither.

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
    pieces = []
    for rows in rows_by(units.stratum):
        weight = units.weight[rows, np.newaxis] * (
            units.cohort[rows, np.newaxis] % len(ends) == np.arange(len(ends))
        )
        pieces.append(
            (rows, function, [weight, weight[:, :, np.newaxis] * units.y[rows, np.newaxis]])
        )
    return _estimate(f"{kind} effect on the treated, imputed", units, terms, cells, pieces)


def _terms(kind: Kind, first: Ints, shown: Bools) -> tuple[tuple[str, ...], Floats]:
    """Return the term names and each term's cells among `shown`, float64[cohort, time, term]."""
    check_choice("kind", kind, get_args(Kind))
    event = np.arange(shown.shape[1]) - first[:, np.newaxis]
    key = {
        "simple": np.zeros_like(event),
        "dynamic": event,
        "group_time": np.arange(event.size).reshape(event.shape),
    }
    if kind == "simple":
        shown = shown & (event >= 0)
    keys = np.unique(key[kind][shown])
    names = [str(time) for time in keys]
    if kind == "simple":
        names = [kind]
    if kind == "group_time":
        names = [f"g={first[cell // shown.shape[1]]} t={cell % shown.shape[1]}" for cell in keys]
    return tuple(names), ((key[kind][:, :, np.newaxis] == keys) & shown[:, :, np.newaxis]).astype(
        float
    )


def _moments(change: Floats, treated: Bools, z: Floats, weight: Floats) -> list[Floats]:
    """Return what :func:`_adjusted` takes the sums of, by unit.

    These are products of covariates, also with changes, under weights.
    """
    chance = _chance(treated, z, weight)
    of_others = np.where(treated, 0, weight)
    products = z[:, :, np.newaxis] * np.hstack([z, change])[:, np.newaxis]
    _check_rank(z.T @ (of_others[:, np.newaxis] * z))
    kinds = (np.where(treated, weight, 0), of_others, of_others * chance / (1 - chance))
    spread = (weight * chance * (1 - chance))[:, np.newaxis, np.newaxis] * products[
        :, :, : z.shape[1]
    ]
    score = (weight * (treated - chance))[:, np.newaxis] * z
    return [*(kind[:, np.newaxis, np.newaxis] * products for kind in kinds), spread, score]


def _adjusted(*parts: Floats, one: Floats, cells: Floats, scale: Scale) -> Floats:
    """Compute a cohort's totals by term from sums of :func:`_moments` and treated outcomes.

    Totals are float64[..., 3 terms].

    `one` are the coefficients of the covariates that give 1 for each unit. The log odds move by
    ``spread^-1 score``, which is zero with all units, and the odds weights by as much of
    themselves.
    """
    own, others, odds, spread, score, y = parts
    width = len(one)
    slope = _solve(others[..., :width], others[..., width:])
    weights = one + _solve(spread, score[..., np.newaxis])[..., 0]
    sums = (
        np.einsum("...k,...kv->...v", by, products)
        for by, products in ((one, own), (weights, odds))
    )
    (z, change), (by_z, by_change) = (np.split(by, [width], axis=-1) for by in sums)
    held = (z @ one)[..., np.newaxis]
    residual = by_change - np.einsum("...k,...kt->...t", by_z, slope)
    expected = (
        np.einsum("...k,...kt->...t", z, slope) + held / (by_z @ one)[..., np.newaxis] * residual
    )
    observed = change
    if scale == "ratio":
        observed = y
    totals = np.array(np.broadcast_arrays(observed, observed - change + expected, held))
    return _by_term(np.where(held > 0, totals, 0.0), "x...t,tp->...xp", cells)


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
    return _by_term(
        np.where(np.isfinite(totals[1]) & (totals[2] > 0), totals, 0.0), "x...ht,htp->...xp", cells
    )


def _by_term(totals: Floats, how: str, cells: Floats) -> Floats:
    added = np.einsum(how, totals, cells)
    return np.asarray(added.reshape(*added.shape[:-2], -1))


def _chance(treated: Bools, z: Floats, weight: Floats) -> Floats:
    """Fit a logit by Newton's method and return the probabilities of treatment, float64[unit]."""
    log_odds = np.full(len(z), np.log(weight[treated].sum() / weight[~treated].sum()))
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-log_odds))
        information = z.T @ ((weight * chance * (1 - chance))[:, np.newaxis] * z)
        step = z @ np.linalg.lstsq(information, z.T @ (weight * (treated - chance)), rcond=None)[0]
        log_odds = log_odds + np.clip(step, -5, 5)
        if np.abs(step).max() < CLOSE:
            return np.asarray(chance)
    raise DesignError(
        f"Cannot compare units with the same covariates: {z.shape[1] - 1} covariates separate"
        f" {treated.sum()} treated and {(~treated).sum()} never-treated units; use fewer or coarser"
        " covariates"
    )


def _basis(z: Floats, weight: Floats) -> Floats:
    """Return a basis of the column span, orthonormal under the weights."""
    root = np.sqrt(weight)[:, np.newaxis]
    columns = root * z / np.linalg.norm(root * z, axis=0).clip(np.finfo(float).tiny)
    vectors, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(vectors[:, sizes > RANK * sizes[0]] / root)


def _check_rank(gram: Floats) -> None:
    """Raise DesignError unless the never treated identify all coefficients."""
    values = np.linalg.eigvalsh(gram)
    if unknown := int((values <= RANK * values[-1]).sum()):
        raise DesignError(
            f"Cannot estimate {unknown} of {len(values)} slopes: the untreated units do not differ;"
            " drop covariates"
        )


def _solve(matrix: Floats, right: Floats) -> Floats:
    """Solve symmetric systems of equations.

    The two sides are float64[..., row, row] and [..., row, column]. The solution is NaN if it is
    not unique.
    """
    values, vectors = np.linalg.eigh(matrix)
    inverse = np.where(values > RANK * values[..., -1:], 1 / values, np.nan)
    return np.asarray(vectors @ (inverse[..., np.newaxis] * (vectors.swapaxes(-2, -1) @ right)))


def _estimate(
    estimand: str,
    units: Units,
    terms: tuple[str, ...],
    cells: Floats,
    pieces: list[tuple[Ints, Any, list[Floats]]],
) -> Estimate:
    """Compute effects and jackknife errors from pieces of the sample.

    Each piece has rows, and a function of sums of its parts over them.
    """
    code = units.cluster
    if code is None:
        code = np.arange(len(units.y))
    totals = np.zeros(3 * len(terms))
    moved = np.zeros((len(units.labels), 3 * len(terms)))
    for rows, function, parts in pieces:
        present, place = np.unique(code[rows], return_inverse=True)
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
        estimand=estimand,
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
