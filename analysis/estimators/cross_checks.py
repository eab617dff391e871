"""Other estimators of group-time effects, with covariates and weights: doubly robust and imputation.

Both average effects from totals over treated cells: observed outcomes, counterfactual outcomes, and numbers of units. A
unit's influence on these totals, and hence on averages on either scale, follows from its own row. Units and periods are
absorbed in closed form on a balanced panel, without dummies.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from analysis.errors import DesignError, check_choice
from analysis.estimate import Bools, Estimate, Floats, Ints
from analysis.estimators.arrays import sum_by
from analysis.estimators.units import Units

__dir__ = ["doubly_robust", "imputation"].copy  # for tab completion

Kind = Literal["simple", "dynamic", "group_time"]

RANK = 1e-10  # share of the largest column or eigenvalue below which another is treated as zero
STEPS, CLOSE = 50, 1e-10  # limit of Newton steps, and size of the last step in log odds


def doubly_robust(units: Units, kind: Kind = "simple") -> Estimate:
    """Estimate doubly robust effects relative to never-treated units with the same covariates.

    Changes since the last period before treatment are predicted by a regression on the never treated, and the residuals
    compared under odds weights that make the never treated like the cohort: consistent if either the regression or the
    log odds of treatment are linear in the covariates. Without covariates it equals
    :func:`analysis.estimators.att_gt.att_gt`.

    Parameters
    ----------
    units : Units
        As returned by :func:`analysis.estimators.units.usable_units`.
    kind : {"simple", "dynamic", "group_time"}
        All treated cells, by event time, or one term such as ``"g=5 t=7"`` per cohort and period.

    Returns
    -------
    Estimate
        `n` is the number of treated units behind each term. The covariance is computed from scores by cluster,
        which include the influence of both fits and of cohort sizes; there is no small-sample factor.

    Raises
    ------
    DesignError
        If covariates separate a cohort and the never treated.

    References
    ----------
    Sant'Anna, P. H. C. and Zhao, J. (2020), Doubly robust difference-in-differences estimators, Journal of Econometrics
    219, 101-122. Callaway, B. and Sant'Anna, P. H. C. (2021), Difference-in-differences with multiple time periods,
    Journal of Econometrics 225, 200-230.
    """
    base = units.first - 1 - units.anticipation
    terms, cells = _terms(kind, units.first, np.arange(units.y.shape[1]) != base[:, np.newaxis])
    influence = np.zeros((3, len(units.y), len(terms)))
    for cohort, column in enumerate(base):
        rows = np.flatnonzero((units.cohort == cohort) | (units.cohort < 0))
        treated, outcome = units.cohort[rows] == cohort, units.y[rows]
        change = outcome - outcome[:, column][:, np.newaxis]
        effect, on_effect = _att(change, treated, units.z[rows], units.weight[rows])
        weight = np.where(treated, units.weight[rows], 0)[:, np.newaxis]
        observed = weight * (outcome if units.scale == "ratio" else change)
        gain = weight.sum() * on_effect + weight * effect
        totals = np.array([observed, observed - gain, np.broadcast_to(weight, observed.shape)])
        influence[:, rows] += totals @ cells[cohort]
    name = f"{kind} effect on the treated, doubly robust"
    return _estimate(name, units, terms, cells, influence.sum(axis=1), influence)


def imputation(units: Units, kind: Kind = "simple") -> Estimate:
    """Estimate effects relative to outcomes imputed from unit and period effects, fitted on untreated cells.

    It uses all untreated periods, not only the last: estimates are more precise, but more biased if paths diverge
    slowly before treatment. Covariates have one coefficient per period. Parameters are as for :func:`doubly_robust`;
    terms cover treated periods, and periods of anticipation are used for neither.

    Returns
    -------
    Estimate
        `n` is the number of treated units behind each term. Standard errors are the conservative ones of the paper:
        conditional on treatment, with the mean effect of a cohort in a period (squared weights) instead of each unit's
        effect.

    Raises
    ------
    DesignError
        If the untreated units do not differ in a covariate.

    References
    ----------
    Borusyak, K., Jaravel, X. and Spiess, J. (2024), Revisiting event-study designs: robust and efficient estimation,
    Review of Economic Studies 91, 3253-3285.
    """
    width = units.y.shape[1]
    ends = np.append(units.first - units.anticipation, width)  # last, cohort -1: never treated
    terms, cells = _terms(kind, units.first, np.arange(width) >= units.first[:, np.newaxis])
    totals, influence = np.zeros((3, len(terms))), np.zeros((3, len(units.y), len(terms)))
    residual, influence[1] = _imputed(units, ends, np.concatenate([cells, np.zeros((1, *cells.shape[1:]))]))
    for cohort, in_terms in enumerate(cells):
        rows = np.flatnonzero(units.cohort == cohort)
        weight, effect = units.weight[rows, np.newaxis], residual[rows]
        mean = (weight**2 * effect).sum(axis=0) / (weight**2).sum()
        influence[0, rows] = weight * (effect - mean) @ in_terms
        observed = weight * (units.y[rows] if units.scale == "ratio" else effect)
        by_unit = np.array([observed, observed - weight * effect, np.broadcast_to(weight, observed.shape)])
        totals += by_unit.sum(axis=1) @ in_terms
    return _estimate(f"{kind} effect on the treated, imputed", units, terms, cells, totals, influence)


def _terms(kind: Kind, first: Ints, shown: Bools) -> tuple[tuple[str, ...], Floats]:
    """Return the term names and each term's cells among `shown`, float64[cohort, time, term]."""
    check_choice("kind", kind, get_args(Kind))
    event = np.arange(shown.shape[1]) - first[:, np.newaxis]
    key = {"simple": np.zeros_like(event), "dynamic": event, "group_time": np.arange(event.size).reshape(event.shape)}
    shown = shown & (event >= 0) if kind == "simple" else shown
    keys = np.unique(key[kind][shown])
    names = ["simple"] if kind == "simple" else [str(time) for time in keys]
    if kind == "group_time":
        names = [f"g={first[cell // shown.shape[1]]} t={cell % shown.shape[1]}" for cell in keys]
    return tuple(names), ((key[kind][:, :, np.newaxis] == keys) & shown[:, :, np.newaxis]).astype(float)


def _att(change: Floats, treated: Bools, z: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Return the effect on the treated, float64[time], and each unit's influence on it, float64[unit, time]."""
    z = _basis(z, weight)
    chance = _chance(treated, z, weight)
    of_treated, of_others = np.where(treated, weight, 0), np.where(treated, 0, weight)
    odds = of_others * chance / (1 - chance)
    share, odds_share = of_treated / of_treated.sum(), odds / odds.sum()
    gram = z.T @ (of_others[:, np.newaxis] * z)
    residual = change - z @ _solve(gram, z.T @ (of_others[:, np.newaxis] * change))
    observed, counterfactual = share @ residual, odds_share @ residual
    deviation = odds_share[:, np.newaxis] * (residual - counterfactual)
    influence = share[:, np.newaxis] * (residual - observed) - deviation
    by_slope = (share - odds_share) @ z
    influence -= of_others[:, np.newaxis] * residual * (z @ _solve(gram, by_slope))[:, np.newaxis]
    information = z.T @ ((weight * chance * (1 - chance))[:, np.newaxis] * z)
    influence -= (weight * (treated - chance))[:, np.newaxis] * (z @ _solve(information, z.T @ deviation))
    return observed - counterfactual, influence


def _imputed(units: Units, ends: Ints, cells: Floats) -> tuple[Floats, Floats]:
    """Return residuals, float64[unit, time], and the influence on imputed totals, float64[unit, term].

    Unit effects are absorbed: each cohort, untreated before its end, adds the product of two small matrices to the
    normal equations.
    """
    z, width = _basis(units.z, units.weight), units.y.shape[1]
    untreated = np.arange(width) < ends[:, np.newaxis]
    share = untreated / ends[:, np.newaxis]
    columns, free = width * z.shape[1], slice(z.shape[1], None)  # period 0 is absorbed in unit effects
    normal, sides = np.zeros((columns, columns)), np.zeros((width, z.shape[1], 1 + cells.shape[2]))
    for cohort in range(-1, len(units.first)):
        rows = units.cohort == cohort
        weighted = units.weight[rows, np.newaxis] * z[rows]
        centre = np.diag(untreated[cohort]) - np.outer(untreated[cohort], share[cohort])
        target = cells[cohort] - np.outer(share[cohort], cells[cohort].sum(axis=0))
        normal += np.kron(centre, z[rows].T @ weighted)
        sides[:, :, 0] += centre @ units.y[rows].T @ weighted
        sides[:, :, 1:] += target[:, np.newaxis] * weighted.sum(axis=0)[:, np.newaxis]
    solved = np.zeros((columns, sides.shape[2]))
    solved[free] = _solve(normal[free, free], sides.reshape(columns, -1)[free])
    slope, by_residual = np.split(solved.reshape(sides.shape), [1], axis=2)
    left = units.y - z @ slope[:, :, 0].T
    left -= (left * share[units.cohort]).sum(axis=1, keepdims=True)
    residual = units.weight[:, np.newaxis] * left * untreated[units.cohort]
    return left, np.einsum("uk,ukp->up", z, np.einsum("ut,tkp->ukp", residual, by_residual, optimize=True))


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
        f"Cannot compare units with the same covariates: {z.shape[1] - 1} covariates separate {treated.sum()} treated "
        f"and {(~treated).sum()} never-treated units; use fewer or coarser covariates"
    )


def _basis(z: Floats, weight: Floats) -> Floats:
    """Return a basis of the column span, orthonormal under the weights."""
    root = np.sqrt(weight)[:, np.newaxis]
    columns = root * z / np.linalg.norm(root * z, axis=0).clip(np.finfo(float).tiny)
    vectors, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(vectors[:, sizes > RANK * sizes[0]] / root)


def _solve(matrix: Floats, right: Floats) -> Floats:
    values = np.linalg.eigvalsh(matrix)
    if unknown := int((values <= RANK * values[-1]).sum()):
        raise DesignError(
            f"Cannot estimate {unknown} of {len(values)} coefficients: the untreated units do not differ in these "
            "covariates; drop covariates that are constant among the never treated"
        )
    return np.asarray(np.linalg.solve(matrix, right))


def _estimate(
    estimand: str, units: Units, terms: tuple[str, ...], cells: Floats, totals: Floats, influence: Floats
) -> Estimate:
    """Compute effects and standard errors from totals, float64[3, term], and influence, float64[3, unit, term]."""
    if units.scale == "ratio":
        observed, counterfactual, n = np.where((totals[:2] > 0).all(axis=0), totals, np.nan)
        value, by_total = np.log(observed / counterfactual), np.array([1 / observed, -1 / counterfactual, 0 * n])
    else:
        observed, counterfactual, n = totals
        value = (observed - counterfactual) / n
        by_total = np.array([1 / n, -1 / n, -value / n])
    by_unit = np.einsum("pt,put->ut", by_total, influence)
    code = np.arange(len(units.y)) if units.cluster is None else units.cluster
    clusters = [code[units.cohort == cohort] for cohort in range(len(units.first))]
    in_term = np.asarray(cells.any(axis=1))
    by_unit[:, in_term[[len(np.unique(codes)) < 2 for codes in clusters]].any(axis=0)] = np.nan
    lost = int(np.isnan(by_unit).any(axis=0).sum())
    return Estimate(
        estimand=estimand,
        unit="units of y" if units.scale == "level" else "log points",
        terms=terms,
        value=value,
        scores=sum_by(by_unit, code, len(units.labels)),
        n=np.array([len(codes) for codes in clusters]) @ in_term,
        level=units.level,
        reason=f"{lost} of {len(terms)} terms have a cohort of one cluster, or no positive total" if lost else "",
        counts=units.counts,
        clusters=units.labels,
    )
