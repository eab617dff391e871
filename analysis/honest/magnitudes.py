"""Violations relative to the pre-trend: the conditional least-favourable hybrid test, in closed form.

A violation ``delta`` is allowed when each of its steps after treatment is at most M-bar times its largest step
before. The set is a union over the step ``s`` that is the largest and its sign, and so is the confidence set. For one
such pair, with ``q`` the signed step, Andrews, Roth and Pakes (2023) test

    ±(step of the post coefficients) - M q <= 0   for every post period

and treat all post effects but the target as nuisance parameters: their statistic is a linear programme. Its dual has
the two moments of one period as mirror images, so that every vertex is known without a search. With
``n_t = sum of the target's weights from t on`` and ``N = sum |n_t|`` the vertices are, up to their scale,

    (p - theta) - M N q,    -(p - theta) - M N q,    -2 M q  once for each period,

where ``p`` is the estimate of the target. Each (s, sign) is thus a problem in two normal variables, ``p`` and ``q``:
no programme is solved, the least-favourable critical value is an integral over a circle instead of a simulation, and
the ends of the set are located by repeated subdivision instead of on a fixed grid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import special

from analysis.errors import DesignError
from analysis.inference import Bools, Floats

FIRST_STAGE = 0.1  # share of the test's size that the least-favourable stage spends (Rambachan and Roth, 2023)
DIRECTIONS = 2048  # of the circle, for the critical value: seven digits
NEWTON = 8  # steps; five reach the rounding error
SCAN = 401  # points between where nothing is accepted and where everything is
REFINEMENTS, REFINED = 7, 33  # then the first accepted cell is cut into 32, seven times over
PARALLEL = 1e-9  # two vertices whose slopes differ by less point the same way and do not bound each other
FLAT = 1e-12  # a variance below this share of its parts is none


@dataclass(frozen=True)
class Steps:
    """What the tests need of an event study, whatever M-bar is.

    Attributes
    ----------
    weights : float64[n_post]
        Weight of each post step in the target: ``n_t`` of the module's docstring.
    center, variance : float
        Estimate of the target and its variance.
    before : float64[2 * n_pre]
        Steps of the coefficients before treatment, then the same with the other sign.
    before_variance, with_target : float64[2 * n_pre]
        Their variances, and covariances with the target's estimate.
    after_variance : float64[n_post]
        Variances of the post steps.
    crossed : float64[2 * n_pre, n_post]
        Covariances of the steps before with the steps after.
    """

    weights: Floats
    center: float
    variance: float
    before: Floats
    before_variance: Floats
    with_target: Floats
    after_variance: Floats
    crossed: Floats


def steps(estimates: Floats, covariance: Floats, n_pre: int, target: Floats) -> Steps:
    """Turn coefficients into steps from period to period, through the reference period's zero.

    Raises
    ------
    DesignError
        If a step, or the part of the target that a step before does not explain, has no variance.
    """
    size = len(estimates)
    change = np.diff(np.insert(np.eye(size), n_pre, 0.0, axis=0), axis=0)
    wanted = np.concatenate([np.zeros(n_pre), target])
    before = np.concatenate([change[:n_pre], -change[:n_pre]])
    after = change[n_pre:]
    found = Steps(
        weights=np.cumsum(target[::-1])[::-1],
        center=float(wanted @ estimates),
        variance=float(wanted @ covariance @ wanted),
        before=before @ estimates,
        before_variance=np.einsum("si,ij,sj->s", before, covariance, before),
        with_target=before @ covariance @ wanted,
        after_variance=np.einsum("ti,ij,tj->t", after, covariance, after),
        crossed=before @ covariance @ after.T,
    )
    _refuse_flat(found, float(np.trace(covariance)))
    return found


def _refuse_flat(study: Steps, scale: float) -> None:
    floor = FLAT * scale
    left = study.variance * study.before_variance - study.with_target**2
    flat = (
        int((study.before_variance <= floor).sum()) // 2 + int((study.after_variance <= floor).sum()),
        int(((left <= floor * study.before_variance) & (study.before_variance > floor)).sum()) // 2,
    )
    if any(flat):
        raise DesignError(
            "relative-magnitude bounds were asked for; in this covariance "
            f"{flat[0]} steps between neighbouring periods have no variance and {flat[1]} steps before treatment "
            "determine the target's estimate; estimate with more clusters than coefficients"
        )


@dataclass(frozen=True)
class _Problem:
    """The moments of every (s, sign) at one M-bar; the first axis is the problem, `vertex` the second.

    Attributes
    ----------
    slopes, values : float64[problem, vertex]
        A vertex's statistic at theta is ``values - slopes * theta``.
    products : float64[problem, vertex, vertex]
        Covariances of the vertices' statistics.
    critical : float64[problem]
        Least-favourable critical value.
    """

    slopes: Floats
    values: Floats
    products: Floats
    critical: Floats


def _problem(study: Steps, m_bar: float, first_stage: float) -> _Problem:
    up, down = (
        np.sqrt(study.after_variance - 2 * side * m_bar * study.crossed + m_bar**2 * study.before_variance[:, None])
        for side in (1, -1)
    )
    rises, falls = np.maximum(study.weights, 0), np.maximum(-study.weights, 0)
    scale_up, scale_down = up @ rises + down @ falls, down @ rises + up @ falls
    reach = m_bar * np.abs(study.weights).sum()
    zero = np.zeros(len(study.before))
    target = [1 / scale_up, -1 / scale_down]
    step = [-reach / scale_up, -reach / scale_down]
    if len(study.weights) > 1:
        # Of parallel vertices only the longest and the shortest can ever bind.
        pairs = np.delete(1 / (up + down), _only(study.weights), axis=1)
        target += [zero, zero]
        step += [-2 * m_bar * pairs.max(axis=1), -2 * m_bar * pairs.min(axis=1)]
    loads = np.stack([np.stack(target, axis=1), np.stack(step, axis=1)], axis=2)
    both = np.empty((len(zero), 2, 2))
    both[:, 0, 0], both[:, 1, 1] = study.variance, study.before_variance
    both[:, 0, 1] = both[:, 1, 0] = study.with_target
    return _Problem(
        slopes=loads[:, :, 0],
        values=loads[:, :, 0] * study.center + loads[:, :, 1] * study.before[:, None],
        products=loads @ both @ loads.swapaxes(1, 2),
        critical=_least_favourable(loads @ np.linalg.cholesky(both), first_stage),
    )


def _only(weights: Floats) -> list[int]:
    """Index of the only period that carries weight: its pair is the sum of the first two vertices, hence none."""
    carried = np.flatnonzero(weights)
    return [int(carried[0])] if len(carried) == 1 else []


def _least_favourable(rays: Floats, size: float) -> Floats:
    """Return c with ``P(max_j rays_j'Z > c) = size``, Z standard normal in the plane; float64[problem].

    In polar coordinates the probability is the mean over directions u of ``exp(-c² / 2 m(u)²)``, with ``m(u)`` the
    largest ``rays_j'u``. It is convex in c above the longest ray, so that Newton's method from the left is monotone.
    """
    angles = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
    reach = np.maximum((rays @ np.stack([np.cos(angles), np.sin(angles)])).max(axis=1), 1e-150)
    inverse = 1 / reach**2
    found = np.asarray(-special.ndtri(size) * np.linalg.norm(rays, axis=2).max(axis=1))
    for _ in range(NEWTON):
        tail = np.exp(-0.5 * found[:, None] ** 2 * inverse)
        found = found + (tail.mean(axis=1) - size) / (found * (tail * inverse).mean(axis=1))
    return found


def _accepted(problem: _Problem, theta: Floats, size: float) -> Bools:
    """Whether the hybrid test accepts; `theta` is float64[problem, point], the answer bool of that shape.

    The statistic is that of the largest vertex. Given which vertex it is and what is independent of it, it is a
    normal variable cut off where another vertex would overtake it, and at the first stage's critical value.
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
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # where the first stage has decided already
        share = _upper_share(value / sd, low / sd, np.minimum(high, critical) / sd)
    return np.asarray((value <= 0) | ((value <= critical) & (share >= size)))


def _upper_share(value: Floats, low: Floats, high: Floats) -> Floats:
    """P(Z > value | low < Z < high) for a standard normal Z, exact far out in the tail as well."""
    base = special.log_ndtr(-low)
    rest = np.exp(special.log_ndtr(-high) - base)
    return np.asarray((np.exp(special.log_ndtr(-value) - base) - rest) / (1 - rest))


def _lower_end(problem: _Problem, center: float, size: float) -> float:
    """Return the smallest accepted value over all problems; `center`, the estimate itself, is always accepted."""
    # The first vertex alone rejects everything below `left`, and nothing is rejected from `right` to the estimate.
    left = (problem.values[:, 0] - problem.critical) / problem.slopes[:, 0]
    right = np.minimum(problem.values[:, 0] / problem.slopes[:, 0], center)
    possible = np.flatnonzero(left < right)
    problem, left, right = _some(problem, possible), left[possible], right[possible]
    theta = np.concatenate([np.linspace(left, right, SCAN, axis=1), _ties(problem, left, right)], axis=1)
    theta = np.sort(theta, axis=1)
    accepted = _accepted(problem, theta, size)
    some = np.flatnonzero(accepted.any(axis=1))
    problem, theta, accepted = _some(problem, some), theta[some], accepted[some]
    for _ in range(REFINEMENTS):
        first = accepted.argmax(axis=1)[:, None]
        outside = np.take_along_axis(theta, np.maximum(first - 1, 0), axis=1)[:, 0]
        inside = np.take_along_axis(theta, first, axis=1)[:, 0]
        theta = np.linspace(outside, inside, REFINED, axis=1)
        accepted = _accepted(problem, theta, size)
    return float(theta[:, -1].min())


def _some(problem: _Problem, chosen: npt.NDArray[np.intp]) -> _Problem:
    return _Problem(*(field[chosen] for field in vars(problem).values()))


def _ties(problem: _Problem, left: Floats, right: Floats) -> Floats:
    """Return where the first vertex meets another: the conditional test accepts there, however narrowly."""
    meet = (problem.values[:, :1] - problem.values[:, 1:]) / (problem.slopes[:, :1] - problem.slopes[:, 1:])
    return np.clip(meet, left[:, None], right[:, None])


def interval(study: Steps, m_bar: float, alpha: float) -> tuple[float, float]:
    """Return the ends of the hybrid confidence set for the target.

    Parameters
    ----------
    study : Steps
        From :func:`steps`.
    m_bar : float
        Bound on a step after treatment, in multiples of the largest step before; 0 or more.
    alpha : float
        One minus the coverage.

    Returns
    -------
    tuple of float
        Smallest and largest value that the test accepts. Between them values may be rejected; the estimate never is.
    """
    first_stage = FIRST_STAGE * alpha
    size = (alpha - first_stage) / (1 - first_stage)
    problem = _problem(study, m_bar, first_stage)
    # All statistics are linear in the estimates and each step is there with both signs: negated, one upper end is a
    # lower one.
    mirrored = replace(problem, values=-problem.values)
    return _lower_end(problem, study.center, size), -_lower_end(mirrored, -study.center, size)
