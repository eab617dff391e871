"""Estimators for few treated units: permutation inference and synthetic difference-in-differences.

With one or two treated units no standard error can be trusted. The rank of the treated among all
assignments is exact, as is the smallest p-value that the sample allows. With more, synthetic
difference-in-differences has the errors of its authors: the jackknife with fixed weights, and the
spread of placebo effects on donors.
"""

from __future__ import annotations

from math import comb
from typing import Any, Literal, get_args

import numpy as np
from scipy.optimize import nnls

from fewtreated import jackknife
from fewtreated.errors import DesignError, check_choice, check_level, whole_number
from fewtreated.estimate import Bools, Estimate, Floats
from fewtreated.estimators.rows import indicator, match_units
from fewtreated.jackknife import left_out
from fewtreated.testing import TIE, assignments, ranks, shift_interval

__dir__ = ["permutation_did", "synthetic_did"].copy  # for tab completion

Method = Literal["sdid", "sc", "did"]
Inference = Literal["ranks", "placebo", "jackknife"]
Fit = tuple[float, Floats, Floats, Floats]
NEGLIGIBLE = 1e-6  # the ridge of the paper, which makes weights unique without spreading them
SPREAD = 1.5  # ratio of two standard deviations from which on it is reported
MAX_PLACEBOS = 5_000  # assignments of several treated units, each of which takes a fit
# of placebo effects for a standard error if there are more sets of donors, as in the authors'
# package
DRAWS = 200
FIRM = 1e-3  # ridge over mean squared column from which on the dual is well conditioned
CERTIFIED = (
    1e-12  # gap at which weights are within 4e-11 of the optimum, for columns of mean length one
)
MAX_STEPS = 1_000  # usually up to a hundred; each costs a product with the support


def permutation_did(
    change: Floats, treated: Bools, *, level: float = 0.95, unit: str = "units of change"
) -> Estimate:
    """Estimate the difference in mean change between treated and untreated units.

    Inference is by permutation.

    The estimate is ``mean(change[treated]) - mean(change[~treated])``. Under the null that
    treatment shifts no unit, every choice of the same number of treated units was equally likely.

    That is exact if all units have the same variance: where the treated have twice the spread of
    the others, intervals cover too little. The printed result says so, and gives the ratio of both
    spreads if it is above `SPREAD` or below one over it.

    Parameters
    ----------
    change : float64[unit]
        Change of the outcome from before to after.
    treated : bool[unit]
        Who was treated.
    level : float
        Coverage of the interval, from inverting the two-sided test.
    unit : str
        Unit of `change`.

    Returns
    -------
    Estimate
        Row ``did``, with columns `rank` (1 = lowest of all assignments), `p_lower` (one-sided,
        towards a fall), `p_two_sided`, `p_smallest` (of the one-sided test); `details["draws"]`
        float64[assignment].

    Raises
    ------
    DesignError
        If shapes differ, a change is not finite, `treated` is not true or false, or a group is
        empty.

    References
    ----------
    MacKinnon, J. G. and Webb, M. D. (2020), Journal of Econometrics 218, 435-450.

    Examples
    --------
    >>> from fewtreated import permutation_did
    >>> permutation_did([-1.2, -0.9, 0.1, 0.3, 0.2, -0.1, 0.4, 0.0], [1, 1, 0, 0, 0, 0, 0, 0])
    difference of mean changes, units of change
    term  estimate  conf_low  conf_high  n  rank  p_two_sided  p_smallest
     did      -1.2      -1.6       -0.8  8     1      0.03571     0.03571
    95% permutation interval
    units 8, treated 2, assignments 28
    2 treated of 8 units: ranks over 28 assignments instead of a standard error; they assume that
    all units have the same spread
    """
    match_units(change=change, treated=treated)
    change = np.asarray(change, dtype=float)
    treated = indicator(treated)
    if not np.isfinite(change).all():
        raise DesignError(
            f"Cannot compare changes: {np.count_nonzero(~np.isfinite(change))} units have no finite"
            " change; drop them"
        )
    n = len(change)
    n_treated = int(treated.sum())
    assigned = assignments(n, n_treated)
    draws, slopes = (_contrasts(assigned, values) for values in (change, treated.astype(float)))
    observed = float(draws[(assigned == treated).all(axis=1)][0])
    limits = np.array(shift_interval(observed, draws, slopes, level))
    reason = (
        f"{n_treated} treated of {n} units: ranks over {len(draws)} assignments instead of a"
        " standard error; they assume that all units have the same spread"
    ) + _spreads(change, treated)
    if not np.isfinite(limits).all():
        limits[:] = np.nan
        reason += (
            f"; no {level:.0%} interval, since no p-value below {1 / len(draws):.3f} is possible"
        )
    p_lower = float((draws <= observed + TIE * np.abs(draws).max()).mean())
    return Estimate(
        estimand="difference of mean changes",
        unit=unit,
        terms=("did",),
        value=np.array([observed]),
        limits=limits[:, np.newaxis],
        n=n,
        columns=ranks(observed, draws) | {"p_lower": [p_lower]},
        level=level,
        interval="permutation interval",
        counts={"units": n, "treated": n_treated, "assignments": len(draws)},
        reason=reason,
        details={"draws": draws},
    )


def _spreads(change: Floats, treated: Bools) -> str:
    """Return what to say of the standard deviations of both groups, if they visibly differ."""
    if min(treated.sum(), (~treated).sum()) < 2:
        return ""
    own, others = change[treated].std(ddof=1), change[~treated].std(ddof=1)
    if own <= SPREAD * others and others <= SPREAD * own:
        return ""
    if others == 0 or own == 0:
        return ", but one group's changes do not vary"
    return f", but that of the treated is {own / others:.2g} times the others'"


def _contrasts(assigned: Bools, values: Floats) -> Floats:
    """Return the difference in means by assignment, float64[assignment]."""
    n_treated = assigned[0].sum()
    return np.asarray(
        assigned @ values / n_treated - ~assigned @ values / (assigned.shape[1] - n_treated)
    )


def _noise(y: Floats, treated: Bools, first_post: int) -> float:
    """Return the standard deviation of donors' changes from period to period before treatment."""
    steps = np.diff(y[~treated, :first_post], axis=1)
    if steps.size > 1:
        return float(steps.std(ddof=1))
    return 0.0


def _weights(
    y: Floats, treated: Bools, first_post: int, method: Method, noise: float
) -> tuple[Floats, Floats]:
    """Return donor weights and pre-period weights, each summing to one."""
    donors = y[~treated]
    target = y[treated].mean(axis=0)
    n_pre = first_post
    n_post = y.shape[1] - first_post
    if method == "did":
        return np.full(len(donors), 1 / len(donors)), np.full(n_pre, 1 / n_pre)
    before = donors[:, :n_pre]
    if method == "sc":
        return simplex_least_squares(
            before.T, target[:n_pre], n_pre * (NEGLIGIBLE * noise) ** 2
        ), np.zeros(n_pre)
    zeta = (treated.sum() * n_post) ** 0.25 * noise
    # Taking out means over time (or over donors) is the same as fitting an intercept.
    level = target[:n_pre] - target[:n_pre].mean()
    after = donors[:, n_pre:].mean(axis=1)
    omega = simplex_least_squares(before.T - before.mean(axis=1), level, n_pre * zeta**2)
    ridge = len(donors) * (NEGLIGIBLE * noise) ** 2
    return omega, simplex_least_squares(before - before.mean(axis=0), after - after.mean(), ridge)


def _fit(y: Floats, treated: Bools, first_post: int, method: Method, noise: float) -> Fit:
    """Return the effect, donor weights, pre-period weights, and the gap by period.

    The noise sets the ridge.
    """
    omega, lam = _weights(y, treated, first_post, method, noise)
    gap = y[treated].mean(axis=0) - omega @ y[~treated]
    return float(gap[first_post:].mean() - lam @ gap[:first_post]), omega, lam, gap


def _by_ranks(
    effect: float, y: Floats, treated: Bools, first_post: int, method: Method
) -> dict[str, Any]:
    """Rank the effect among those of every other choice of treated units.

    One treated unit: each donor in turn, among the donors. Several: every other assignment of all
    units, an exact test if units are exchangeable. Sets of donors alone overlap and would reject 7
    per cent at a nominal 5.
    """
    if treated.sum() == 1:
        y = y[~treated]
        assigned = np.eye(len(y), dtype=bool)
        among = f"{len(y)} donors"
    else:
        assigned = _other_assignments(treated)
        among = f"{treated.sum()} treated, {len(assigned)} other assignments"
    placebos = np.array(
        [_fit(y, units, first_post, method, _noise(y, units, first_post))[0] for units in assigned]
    )
    return {
        "columns": ranks(effect, np.append(placebos, effect)),
        "interval": "none",
        "reason": (
            f"{among}: placebo ranks instead of a standard error; no p-value below"
            f" {1 / (len(placebos) + 1):.3f}"
        ),
        "details": {"placebos": placebos},
    }


def _other_assignments(treated: Bools) -> Bools:
    """Return the other choices of as many treated units, bool[assignment, unit].

    More than are fitted raise DesignError.
    """
    n_treated = int(treated.sum())
    if (count := comb(len(treated), n_treated)) > MAX_PLACEBOS:
        raise DesignError(
            f"Cannot rank the effect: {count:,} assignments of {n_treated} among {len(treated)}"
            f" units are more than the {MAX_PLACEBOS:,} that are fitted; use fewer units, or"
            " inference = 'jackknife'"
        )
    assigned = assignments(len(treated), n_treated)
    return np.asarray(assigned[(assigned != treated).any(axis=1)])


def _by_placebo(
    noise: float, y: Floats, treated: Bools, first_post: int, method: Method
) -> dict[str, Any]:
    """Compute the standard deviation of placebo effects on donors.

    Each effect is on as many donors as are treated, relative to the others.
    """
    donors = y[~treated]
    n_treated = int(treated.sum())
    if len(donors) <= n_treated:
        raise DesignError(
            f"Cannot draw placebos: there are {len(donors)} donors for {n_treated} treated units;"
            " more are needed, or inference = 'jackknife'"
        )
    if comb(len(donors), n_treated) <= MAX_PLACEBOS:
        chosen = assignments(len(donors), n_treated)
    else:
        chosen = np.random.default_rng(0).random((DRAWS, len(donors))).argsort(axis=1) < n_treated
    placebos = np.array([_fit(donors, units, first_post, method, noise)[0] for units in chosen])
    reason = (
        f"standard error from {len(placebos)} placebo effects on donors: right if the treated vary"
        " as they do"
    )
    return {
        "covariance": np.array([[placebos.var()]]),
        "max_df": len(donors) - 1,
        "reason": reason,
        "details": {"placebos": placebos},
    }


def _by_jackknife(
    omega: Floats, lam: Floats, y: Floats, treated: Bools, first_post: int
) -> dict[str, Any]:
    """Leave out each unit in turn, with the weights of the others as they are.

    The weights are scaled to a sum of one.
    """
    change = y[:, first_post:].mean(axis=1) - y[:, :first_post] @ lam
    weights = np.zeros(len(y))
    weights[~treated] = omega
    sums = np.array([treated * change, treated, weights * change, weights])
    left = left_out(lambda s: np.atleast_1d(s[0] / s[1] - s[2] / s[3]), sums.sum(axis=1), sums)[0]
    if not np.isfinite(left).all():
        raise DesignError(
            "Cannot jackknife the effect: it rests on one treated unit, or on one donor that has"
            " all the weight; use inference = 'placebo'"
        )
    return {
        "scores": jackknife.scores((left - left.mean())[:, np.newaxis], len(y)),
        "max_df": jackknife.most_df(int(treated.sum())),
        "reason": "standard error by the jackknife over units",
    }


def _usual_inference(units: int, treated: int, method: Method) -> Inference:
    if treated == 1 or comb(units, treated) <= MAX_PLACEBOS:
        return "ranks"
    if method == "sc":
        return "placebo"
    return "jackknife"


def _check_panel(y: Floats, treated: Bools, first_post: int, method: str) -> tuple[Floats, Bools]:
    check_choice("method", method, get_args(Method))
    match_units(y=y, treated=treated)
    y = np.asarray(y, dtype=float)
    treated = indicator(treated)
    first_post = whole_number("first_post", first_post)
    if missing := np.count_nonzero(~np.isfinite(y)):
        raise DesignError(
            f"Cannot use an unbalanced panel: {missing} cells are missing; drop the units concerned"
        )
    if not 1 <= first_post < y.shape[1]:
        raise DesignError(
            f"Cannot use first_post = {first_post}: y has {y.shape[1]} periods; leave at least one"
            " before treatment and one after"
        )
    if not 0 < treated.sum() <= len(y) - 2:
        raise DesignError(
            f"Cannot weight donors: {int(treated.sum())} of {len(y)} units are treated, but at"
            " least one must be treated and two untreated; add donors"
        )
    return y, treated


def synthetic_did(
    y: Floats,
    treated: Bools,
    first_post: int,
    *,
    method: Method = "sdid",
    inference: Inference | None = None,
    level: float = 0.95,
    unit: str = "units of y",
) -> Estimate:
    """Estimate an effect by synthetic difference-in-differences.

    The method can also be synthetic control or plain differences.

    ``sum_t>=T0 gap_t / T1 - sum_t<T0 lambda_t gap_t`` with
    ``gap_t = mean(y_treated,t) - omega @ y_donors,t``. Unit weights omega and time weights lambda
    solve the paper's two ridge problems on the simplex, with
    ``zeta = (N_treated T1)^(1/4) sd(first differences of donors before)``.

    Parameters
    ----------
    y : float64[unit, time]
        Balanced outcomes.
    treated : bool[unit]
        Units treated from `first_post` onwards.
    first_post : int
        Column index of the first treated period.
    method : {"sdid", "sc", "did"}
        ``sc``: no intercept, no time weights; ``did``: uniform weights.
    inference : {"ranks", "placebo", "jackknife"}, optional
        ``ranks``: an exact test, with one treated unit each donor a placebo, with several every
        other assignment of as many units. ``placebo``: the spread of effects on every set of as
        many donors as are treated, or on 200 sets if there are more than 5,000. ``jackknife``: each
        unit left out in turn, with fixed weights; it needs two treated units, and suits ``sc``
        badly. By default ranks for one treated unit or at most 5,000 assignments, otherwise the
        jackknife, for ``sc`` placebos.
    level : float
        Coverage of an interval.
    unit : str
        Unit of `y`.

    Returns
    -------
    Estimate
        Row named by the method: with ranks `rank` (1 = lowest among treated and placebos),
        `p_two_sided` and `p_smallest` ``= 1 / (placebos + 1)``, otherwise a standard error and an
        interval. `details`: `unit_weights` float64[donor], `time_weights` float64[pre-period],
        `placebos` float64[placebo] if there are any, `rmse_before` of the fit before treatment.

    Raises
    ------
    DesignError
        If shapes disagree, a cell is missing, `treated` is not true or false, `first_post` is not a
        whole number with periods on both sides, fewer than two donors are left, or an inference
        needs more treated units or donors.

    References
    ----------
    Arkhangelsky, D., Athey, S., Hirshberg, D., Imbens, G. and Wager, S. (2021), Synthetic
    difference-in-differences, American Economic Review 111, 4088-4118.
    """
    y, treated = _check_panel(y, treated, first_post, method)
    check_level(level)
    n_treated = int(treated.sum())
    if inference is None:
        inference = _usual_inference(len(y), n_treated, method)
    check_choice("inference", inference, get_args(Inference))
    noise = _noise(y, treated, first_post)
    effect, omega, lam, gap = _fit(y, treated, first_post, method, noise)
    if inference == "jackknife":
        found = _by_jackknife(omega, lam, y, treated, first_post)
    elif inference == "placebo":
        found = _by_placebo(noise, y, treated, first_post, method)
    else:
        found = _by_ranks(effect, y, treated, first_post, method)
    before = gap[:first_post] - (0.0 if method == "sc" else gap[:first_post].mean())
    fit = {
        "unit_weights": omega,
        "time_weights": lam,
        "rmse_before": float(np.sqrt((before**2).mean())),
    }
    return Estimate(
        estimand="effect on the treated",
        unit=unit,
        terms=(method,),
        value=np.array([effect]),
        n=len(y),
        level=level,
        counts={
            "units": len(y),
            "treated": n_treated,
            "donors": len(y) - n_treated,
            "periods": y.shape[1],
        },
        **found | {"details": fit | found.get("details", {})},
    )


def simplex_least_squares(matrix: Floats, target: Floats, ridge: float) -> Floats:
    """Minimise ``|matrix @ w - target|² + ridge * |w|²`` over non-negative weights that sum to one.

    Since w sums to one this is the shortest vector of a convex hull,
    ``|hull @ w|² + ridge * |w|²``.

    Parameters
    ----------
    matrix : float64[row, weight]
    target : float64[row]
    ridge : float
        Not negative, in squared units of `matrix`.

    Returns
    -------
    float64[weight]
    """
    hull = matrix - target[:, None]
    size = np.sqrt((hull**2).sum(axis=0).mean())
    if size > 0:
        hull = hull / size
        ridge = ridge / size**2
    if ridge > FIRM and (found := _by_dual(hull, ridge)) is not None:
        return found
    # The non-negative least squares of ``[hull; 1'] u = [0; 1]``, up to scale (Wolfe 1976): no step
    # size, no tolerance, but a dense square matrix of the weights, so for a few hundred of them.
    if ridge > 0:
        rows = [hull, np.sqrt(ridge) * np.eye(hull.shape[1])]
    else:
        rows = [hull]
    stacked = np.vstack([*rows, np.ones(hull.shape[1])])
    weights, _ = nnls(
        stacked, np.append(np.zeros(len(stacked) - 1), 1.0), maxiter=100 * hull.shape[1]
    )
    return np.asarray(weights / weights.sum())


def _by_dual(hull: Floats, ridge: float) -> Floats | None:
    """Maximise the dual by Newton's method, and return the weights.

    They are float64[weight], or None if the method does not converge.

    Given ``u = hull @ w`` the best weights are w(u), so the dual is strongly concave and has one
    unknown per row. Half its gradient's square is the duality gap, which certifies
    ``|w - optimum| <= |gradient| / sqrt(ridge)``. Its Hessian is piecewise constant: that of the
    weights above zero.
    """
    u = hull.mean(axis=1)
    value, gradient, weights = _dual(u, hull, ridge)
    for _ in range(MAX_STEPS):
        if np.linalg.norm(gradient) <= CERTIFIED:
            return weights
        support = hull[:, weights > 0]
        total = support.sum(axis=1)
        spread = (support @ support.T - np.outer(total, total) / support.shape[1]) / ridge
        step = np.linalg.solve(np.eye(len(u)) + spread, gradient)
        while (
            True
        ):  # halve the step until the dual rises, or the gradient falls where rounding hides a rise
            new = _dual(u + step, hull, ridge)
            if new[0] > value + 1e-4 * (step @ gradient) or np.linalg.norm(
                new[1]
            ) < 0.5 * np.linalg.norm(gradient):
                break
            step = step / 2
            if np.abs(step).max() < CERTIFIED:
                return None
        u = u + step
        value, gradient, weights = new
    return None


def _dual(u: Floats, hull: Floats, ridge: float) -> tuple[float, Floats, Floats]:
    """Return the dual's value and gradient, and the best weights."""
    weights = _attained(u, hull, ridge)
    fitted = hull @ weights
    value = float(u @ fitted + ridge * (weights @ weights) / 2 - u @ u / 2)
    return value, fitted - u, weights


def _attained(u: Floats, hull: Floats, ridge: float) -> Floats:
    """Return w(u), the projection of ``-hull' u / ridge`` onto the simplex.

    What lies above the level that makes all parts sum to one is kept, and the level found anew
    (Michelot's way): a few passes over ever fewer parts, instead of sorting them.
    """
    point = -(u @ hull) / ridge
    kept = point
    level = (point.sum() - 1) / len(point)
    while len(above := kept[kept > level]) < len(kept):
        kept = above
        level = (above.sum() - 1) / len(above)
    return np.asarray(np.maximum(point - level, 0.0))
