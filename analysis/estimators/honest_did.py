"""Honest bounds: event-study intervals that allow violations of parallel trends in proportion to the pre-trend.

A violation is allowed if each of its steps after treatment is at most M-bar times its largest step before. The set is a
union over which step ``s`` is the largest and its sign, and so is the confidence set. For one such pair, with ``q`` the
signed step, Andrews, Roth and Pakes (2023) test

    ±(step of the post coefficients) - M q <= 0   for every post period

and treat all post effects but the target as nuisance parameters: their statistic is a linear programme. In its dual
the two moments of a period are mirror images, so that every vertex is known without a search. With
``n_t = sum of the target's weights from t on`` and ``N = sum |n_t|`` the vertices are, up to their scale,

    (p - theta) - M N q,    -(p - theta) - M N q,    -2 M q  once for each period,

where ``p`` is the estimate of the target. Each (s, sign) is thus a problem in two normal variables, ``p`` and ``q``:
no programme is solved, the least-favourable critical value is an integral over a circle instead of a simulation, and
the limits of the set are located by repeated subdivision instead of on a fixed grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import optimize, special

from analysis.display import Shown
from analysis.errors import DataError, DesignError
from analysis.estimate import Bools, Estimate, Floats, Ints
from analysis.testing import check_level

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__dir__ = ["Bounds", "honest_bounds"].copy  # for tab completion

USUAL = (0.0, 0.5, 1.0, 1.5, 2.0)  # sensitivities in `rows`

DOUBLINGS = 40  # beyond M-bar = 2 ** 40 a breakdown value is infinite
FIRST_STAGE = 0.1  # share of the test's size spent by the least-favourable stage (Rambachan and Roth, 2023)
DIRECTIONS = 2048  # points on the circle, for seven digits of the critical value
NEWTON = 8  # steps; five reach the rounding error
SCAN = 401  # grid points between certain rejection and certain acceptance
REFINEMENTS, REFINED = 7, 33  # the first accepted cell is then divided into 32, seven times
PARALLEL = 1e-9  # vertices whose slopes differ by less are parallel and do not bound each other
FLAT = 1e-12  # share of its parts below which a variance is zero


@dataclass(frozen=True, eq=False, repr=False)
class Bounds(Shown):
    """Event study in period-to-period steps, with bounded violations of parallel trends.

    Attributes
    ----------
    weights : float64[n_post]
        Weight of each post step in the target: ``n_t`` of the module's docstring.
    mean, covariance : float64[step], float64[step, step]
        Of the steps before treatment, the same with the opposite sign, the steps after it, and the target.
    level : float
    unit, provenance : str
        Those of the estimates.
    """

    weights: Floats
    mean: Floats
    covariance: Floats
    level: float
    unit: str = "units of the estimates"
    provenance: str = "estimate"

    def conf_int(self, sensitivity: float | Sequence[float] | Floats) -> Floats:
        """Return the interval for each M-bar, float64[sensitivity, 2], in the units of the estimates.

        Raises
        ------
        DesignError
            If a sensitivity is negative or not finite.
        """
        values = np.atleast_1d(np.asarray(sensitivity, dtype=float))
        if not np.isfinite(values).all() or (values < 0).any():
            raise DesignError(
                f"Cannot use the sensitivities {', '.join(f'{m:g}' for m in values)}: some are negative or not "
                "finite; pass finite numbers of 0 or more"
            )
        return np.array([self._interval(value) for value in values.tolist()])

    @cached_property
    def breakdown(self) -> float:
        """Largest sensitivity at which the interval excludes zero; NaN if it never does, infinite if it always does."""

        def distance(m_bar: float) -> float:  # from zero to the interval; it falls as the interval widens
            low, high = self._interval(m_bar)
            return max(low, -high)

        if distance(0.0) <= 0:
            return np.nan
        low, high = 0.0, 1.0
        for _ in range(DOUBLINGS):
            if distance(high) <= 0:
                return float(optimize.brentq(distance, low, high, xtol=1e-9, rtol=1e-9))
            low, high = high, 2 * high
        return np.inf

    @cached_property
    def _usual(self) -> Estimate:
        most = "none" if np.isnan(self.breakdown) else f"{self.breakdown:.3g}"
        return Estimate(
            estimand="honest bounds by M-bar",
            unit=self.unit,
            terms=tuple(f"{m_bar:g}" for m_bar in USUAL),
            value=np.full(len(USUAL), np.nan),
            limits=self.conf_int(USUAL).T,
            level=self.level,
            provenance=self.provenance,
            reason=f"bounds have no point estimate; largest M-bar at which they exclude zero: {most}",
        )

    @property
    def rows(self) -> pd.DataFrame:
        """One row per sensitivity, from 0 to 2 in steps of 0.5: `term`, `conf_low`, `conf_high`."""
        return self._usual.rows[["term", "conf_low", "conf_high"]]

    def plot(self) -> Axes:
        """Plot the interval by sensitivity."""
        return self._usual.plot(xlabel="M-bar: largest change of the violation, as a multiple of that before treatment")

    def _shown(self) -> tuple[str, pd.DataFrame, list[str]]:
        head, _, notes = self._usual._shown()
        return head, self.rows, notes

    def _interval(self, m_bar: float) -> tuple[float, float]:
        """Return the smallest and the largest value that the hybrid test accepts."""
        first_stage = FIRST_STAGE * (1 - self.level)
        size = (1 - self.level - first_stage) / (1 - first_stage)
        problem = _problem(self, m_bar, first_stage)
        # All statistics are linear in the estimates, and each step has both signs: the upper limit is the negative
        # lower one of negated estimates.
        mirrored, center = replace(problem, values=-problem.values), float(self.mean[-1])
        return _lower_end(problem, center, size), -_lower_end(mirrored, -center, size)


def honest_bounds(
    estimates: Sequence[float] | Floats,
    covariance: Sequence[Sequence[float]] | Floats,
    n_pre: int,
    n_post: int,
    *,
    target: Sequence[float] | Floats | None = None,
    level: float = 0.95,
) -> Bounds:
    """Bound the effect in an event study when parallel trends may be violated.

    From one period to the next the violation after treatment changes by at most M-bar, the sensitivity, times its
    largest change before.

    Parameters
    ----------
    estimates : float64[n_pre + n_post]
        Coefficients in order of time, without the reference period between the two parts.
    covariance : float64[n_pre + n_post, n_pre + n_post]
        Their covariance.
    n_pre, n_post : int
        Number of coefficients before (at least 2) and after (at least 1) the reference period.
    target : float64[n_post], optional
        Weights of the effect of interest on the post coefficients; the first one by default.
    level : float
        Coverage, between 0.5 and 1.

    Returns
    -------
    Bounds
        With ``.conf_int(sensitivity)`` and ``.breakdown``.

    Raises
    ------
    DataError
        If estimates or covariance are not finite.
    DesignError
        If a number of periods or the level is invalid, or the covariance has no variance where the method needs some.

    Notes
    -----
    Confidence set of the conditional least-favourable hybrid test of Andrews, Roth and Pakes, whose first stage spends
    a tenth of the size, on the moments that involve a post period; the union over which step before treatment is the
    largest, and its sign. The interval reaches from its smallest to its largest value. The estimates are taken as
    normal with a known covariance.

    The R package HonestDiD differs in choices that change the last digits: there the least-favourable critical value is
    the quantile of 1,000 draws, here it is computed; there the limits lie on a grid of 1,000 points within 20 standard
    errors of zero, here they are located by subdivision. One difference is substantial: with a single post period, the
    second stage there ignores that the first was passed, and is slightly wide; here it is used, as in the paper.

    References
    ----------
    Rambachan, A. and Roth, J. (2023), A more credible approach to parallel trends, Review of Economic Studies 90,
    2555-2591. Andrews, I., Roth, J. and Pakes, A. (2023), Inference for linear conditional moment inequalities,
    Review of Economic Studies 90, 2763-2791.
    """
    check_level(level)
    if n_pre < 2 or n_post < 1:
        raise DesignError(
            f"Cannot bound an effect with {n_pre} coefficients before and {n_post} after treatment: at least two "
            "before and one after are needed; estimate more periods"
        )
    beta, sigma = np.asarray(estimates, dtype=float), np.asarray(covariance, dtype=float)
    if missing := int((~np.isfinite(beta)).sum() + (~np.isfinite(sigma)).sum()):
        raise DataError(
            f"Cannot bound an effect: {missing} estimates and covariances are not finite; drop periods without an "
            "estimate or standard error at either end of the study"
        )
    weights = np.eye(n_post)[0] if target is None else np.asarray(target, dtype=float)
    change = np.diff(np.insert(np.eye(len(beta)), n_pre, 0.0, axis=0), axis=0)  # through the reference period's zero
    steps = np.vstack([change[:n_pre], -change[:n_pre], change[n_pre:], np.concatenate([np.zeros(n_pre), weights])])
    bounds = Bounds(np.cumsum(weights[::-1])[::-1], steps @ beta, steps @ sigma @ steps.T, level)
    joint, floor = bounds.covariance, FLAT * float(np.trace(sigma))
    variance = np.diag(joint)[:n_pre]
    residual = joint[-1, -1] * variance - joint[:n_pre, -1] ** 2
    fixed = int((variance <= floor).sum()) + int((np.diag(joint)[2 * n_pre : -1] <= floor).sum())
    tied = int(((residual <= floor * variance) & (variance > floor)).sum())
    if fixed or tied:
        raise DesignError(
            f"Cannot bound an effect with this covariance: {fixed} steps between neighbouring periods have no variance "
            f"and {tied} steps before treatment determine the target's estimate; estimate with more clusters than "
            "coefficients"
        )
    return bounds


@dataclass(frozen=True)
class _Problem:
    """Moments of every (s, sign) at one M-bar; the first axis is the problem, the second the vertex.

    Attributes
    ----------
    slopes, values : float64[problem, vertex]
        The statistic of a vertex at theta is ``values - slopes * theta``.
    products : float64[problem, vertex, vertex]
        Covariances of the vertices' statistics.
    critical : float64[problem]
        Least-favourable critical value.
    """

    slopes: Floats
    values: Floats
    products: Floats
    critical: Floats


def _problem(study: Bounds, m_bar: float, first_stage: float) -> _Problem:
    weights, size = study.weights, len(study.mean) - 1 - len(study.weights)  # steps before treatment, with both signs
    before, after = slice(size), slice(size, -1)
    variance, crossed = np.diag(study.covariance), study.covariance[before, after]
    up, down = (
        np.sqrt(variance[after] - 2 * side * m_bar * crossed + m_bar**2 * variance[before, None]) for side in (1, -1)
    )
    rises, falls = np.maximum(weights, 0), np.maximum(-weights, 0)
    scale_up, scale_down = up @ rises + down @ falls, down @ rises + up @ falls
    reach = m_bar * np.abs(weights).sum()
    target = [1 / scale_up, -1 / scale_down]
    step = [-reach / scale_up, -reach / scale_down]
    if len(weights) > 1:
        # If one period alone has weight, its pair is the sum of the first two vertices and so no vertex; of parallel
        # vertices only the longest and the shortest can bind.
        carried = np.flatnonzero(weights)
        pairs = np.delete(1 / (up + down), carried if len(carried) == 1 else [], axis=1)
        target += [np.zeros(size), np.zeros(size)]
        step += [-2 * m_bar * pairs.max(axis=1), -2 * m_bar * pairs.min(axis=1)]
    loads = np.stack([np.stack(target, axis=1), np.stack(step, axis=1)], axis=2)
    both = np.empty((size, 2, 2))
    both[:, 0, 0], both[:, 1, 1] = variance[-1], variance[before]
    both[:, 0, 1] = both[:, 1, 0] = study.covariance[before, -1]
    return _Problem(
        slopes=loads[:, :, 0],
        values=loads[:, :, 0] * study.mean[-1] + loads[:, :, 1] * study.mean[before, None],
        products=loads @ both @ loads.swapaxes(1, 2),
        critical=_least_favourable(loads @ np.linalg.cholesky(both), first_stage),
    )


def _least_favourable(rays: Floats, size: float) -> Floats:
    """Solve ``P(max_j rays_j'Z > c) = size`` for c, float64[problem], where Z is standard normal in the plane.

    In polar coordinates the probability is the mean over directions u of ``exp(-c² / 2 m(u)²)``, with ``m(u)`` the
    largest ``rays_j'u``. It is convex in c above the longest ray, so that Newton's method from the left is monotone.
    """
    angles = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
    reach = np.maximum((rays @ np.stack([np.cos(angles), np.sin(angles)])).max(axis=1), 1e-150)
    inverse = 1 / reach**2
    critical = np.asarray(-special.ndtri(size) * np.linalg.norm(rays, axis=2).max(axis=1))
    for _ in range(NEWTON):
        tail = np.exp(-0.5 * critical[:, None] ** 2 * inverse)
        critical = critical + (tail.mean(axis=1) - size) / (critical * (tail * inverse).mean(axis=1))
    return critical


def _accepted(problem: _Problem, theta: Floats, size: float) -> Bools:
    """Return, as bool[problem, point], whether the hybrid test accepts each theta, float64[problem, point].

    The statistic is that of the largest vertex. Given which vertex it is and the variables independent of it, it is a
    normal variable truncated where another vertex would overtake it, and at the first stage's critical value.
    """
    statistics = problem.values[:, None] - problem.slopes[:, None] * theta[:, :, None]
    first = statistics.argmax(axis=2)[:, :, None]
    largest = np.take_along_axis(statistics, first, axis=2)
    products = np.take_along_axis(problem.products, first, axis=1)
    variance = np.take_along_axis(products, first, axis=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = products / variance
        bound = (statistics - ratio * largest) / (1 - ratio)
    low = np.where(ratio < 1 - PARALLEL, bound, -np.inf).max(axis=2)
    high = np.where(ratio > 1 + PARALLEL, bound, np.inf).min(axis=2)
    critical = np.broadcast_to(problem.critical[:, None], theta.shape)
    value, sd = largest[:, :, 0], np.sqrt(variance[:, :, 0])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # the first stage has already decided these
        share = _upper_share(value / sd, low / sd, np.minimum(high, critical) / sd)
    return np.asarray((value <= 0) | ((value <= critical) & (share >= size)))


def _upper_share(value: Floats, low: Floats, high: Floats) -> Floats:
    """Return P(Z > value | low < Z < high) for a standard normal Z, accurate even far in the tail."""
    base = special.log_ndtr(-low)
    rest = np.exp(special.log_ndtr(-high) - base)
    return np.asarray((np.exp(special.log_ndtr(-value) - base) - rest) / (1 - rest))


def _lower_end(problem: _Problem, center: float, size: float) -> float:
    """Return the smallest value accepted in any problem; the estimate itself, `center`, is always accepted."""
    # The first vertex alone rejects everything below `left`, and nothing is rejected from `right` to the estimate.
    left = (problem.values[:, 0] - problem.critical) / problem.slopes[:, 0]
    right = np.minimum(problem.values[:, 0] / problem.slopes[:, 0], center)
    possible = np.flatnonzero(left < right)
    problem, left, right = _some(problem, possible), left[possible], right[possible]
    # The conditional test accepts where the first vertex meets another, however narrowly.
    meet = (problem.values[:, :1] - problem.values[:, 1:]) / (problem.slopes[:, :1] - problem.slopes[:, 1:])
    ties = np.clip(meet, left[:, None], right[:, None])
    theta = np.sort(np.concatenate([np.linspace(left, right, SCAN, axis=1), ties], axis=1), axis=1)
    accepted = _accepted(problem, theta, size)
    any_point = np.flatnonzero(accepted.any(axis=1))
    problem, theta, accepted = _some(problem, any_point), theta[any_point], accepted[any_point]
    for _ in range(REFINEMENTS):
        first = accepted.argmax(axis=1)[:, None]
        outside = np.take_along_axis(theta, np.maximum(first - 1, 0), axis=1)[:, 0]
        inside = np.take_along_axis(theta, first, axis=1)[:, 0]
        theta = np.linspace(outside, inside, REFINED, axis=1)
        accepted = _accepted(problem, theta, size)
    return float(theta[:, -1].min())


def _some(problem: _Problem, chosen: Ints) -> _Problem:
    return _Problem(*(field[chosen] for field in vars(problem).values()))
