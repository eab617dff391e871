"""Honest bounds: event-study intervals that allow violations of parallel trends.

**Smoothness.** A violation is allowed if its slope changes by at most M from one period to the
next. With ``n_t`` and p as below and ``m_t`` the sum of ``n`` from t on, the shortest interval of
fixed length is centred on ``p - m_0 f + sum_j c_j x_j``: the target less the last step before
treatment, f, carried on, corrected by the second differences before treatment, ``x_j``. Its bias is
at most ``M (sum_j |c_j| + sum_t |m_t|)``. Given ``sum |c_j|``, the weights c of least variance are
a lasso's, so that one number is left to search over; the half-length is convex in it.

**Relative magnitudes.** A violation is allowed if each of its steps after treatment is at most
M-bar times its largest step before. The set is a union over which step ``s`` is the largest and its
sign, and so is the confidence set. For one such pair, with ``q`` the signed step, Andrews, Roth and
Pakes (2023) test

    ±(step of the post coefficients) - M q <= 0   for every post period

and treat all post effects but the target as nuisance parameters: their statistic is a linear
programme. In its dual the two moments of a period are mirror images, so that every vertex is known
without a search. With ``n_t = sum of the target's weights from t on`` and ``N = sum |n_t|`` the
vertices are, up to their scale,

    (p - theta) - M N q,    -(p - theta) - M N q,    -2 M q  once for each period,

where ``p`` is the estimate of the target. Each (s, sign) is thus a problem in two normal variables,
``p`` and ``q``: no programme is solved, the least-favourable critical value is an integral over a
circle instead of a simulation, and the limits of the set are located by repeated subdivision
instead of on a fixed grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd
from scipy import optimize, special

from fewtreated.display import Shown
from fewtreated.errors import DataError, DesignError, check_choice, check_level, whole_number
from fewtreated.estimate import Bools, Estimate, Floats, Ints
from fewtreated.estimators.synthetic import simplex_least_squares

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__dir__ = ["Bounds", "honest_bounds"].copy  # for tab completion

Restriction = Literal["relative", "smooth"]
USUAL = (
    0.0,
    0.5,
    1.0,
    1.5,
    2.0,
)  # sensitivities in `rows`; of smoothness as multiples of the largest change before

DOUBLINGS = 40  # beyond M-bar = 2 ** 40 a breakdown value is infinite
FIRST_STAGE = (
    0.1  # share of the test's size spent by the least-favourable stage (Rambachan and Roth, 2023)
)
DIRECTIONS = 2048  # points on the circle, for seven digits of the critical value
NEWTON = 8  # steps; five reach the rounding error
SCAN = 401  # grid points between certain rejection and certain acceptance
# the first accepted cell is then divided into 32, seven times
REFINEMENTS = 7
REFINED = 33
PARALLEL = 1e-9  # vertices whose slopes differ by less are parallel and do not bound each other
FLAT = 1e-12  # share of its parts below which a variance is zero


@dataclass(frozen=True, eq=False, repr=False)
class Bounds(Shown):
    """Event study in period-to-period steps, with bounded violations of parallel trends.

    Attributes
    ----------
    restriction : {"relative", "smooth"}
    weights : float64[n_post]
        Weight of each post step in the target: ``n_t`` of the module's docstring.
    mean, covariance : float64[step], float64[step, step]
        Of the steps before treatment, the same with the opposite sign, the steps after it, and the
        target.
    level : float
    unit : str
        That of the estimates.
    """

    restriction: Restriction
    weights: Floats
    mean: Floats
    covariance: Floats
    level: float
    unit: str = "units of the estimates"

    def conf_int(self, sensitivity: float | Sequence[float] | Floats) -> Floats:
        """Return the interval for each M-bar or M, in the units of the estimates.

        The result is float64[sensitivity, 2].

        Raises
        ------
        DesignError
            If a sensitivity is negative or not finite.
        """
        values = np.atleast_1d(np.asarray(sensitivity, dtype=float))
        if not np.isfinite(values).all() or (values < 0).any():
            raise DesignError(
                f"Cannot use the sensitivities {', '.join(f'{m:g}' for m in values)}: some are"
                " negative or not finite; pass finite numbers of 0 or more"
            )
        return np.array([self._interval(value) for value in values.tolist()])

    @cached_property
    def breakdown(self) -> float:
        """Largest sensitivity at which the interval excludes zero.

        It is NaN if the interval never does, and infinite if it always does.
        """

        def distance(m_bar: float) -> float:  # from zero to the interval
            low, high = self._interval(m_bar)
            return max(low, -high)

        if self.restriction == "relative":  # the interval grows on both sides
            grid = np.append(0.0, 2.0 ** np.arange(DOUBLINGS))
            first = next(
                (place for place, m_bar in enumerate(grid) if distance(m_bar) <= 0), len(grid)
            )
        # its centre moves, so that it may exclude zero where it did not before, but not where M
        # exceeds `most`
        else:
            centre = self.mean[-1] - self.weights.sum() * self.mean[self._n_pre - 1]
            most = max(self._unit, abs(centre) / np.abs(np.cumsum(self.weights[::-1])).sum())
            grid = np.append(0.0, 2 * most * 2.0 ** np.arange(-16, 0.5, 0.5))
            first = 1 + next(
                (place for place in reversed(range(len(grid))) if distance(grid[place]) > 0), -1
            )
        if first in (0, len(grid)):
            if first:
                return np.inf
            return np.nan
        return float(
            optimize.brentq(
                distance, *grid[first - 1 : first + 1], xtol=1e-9 * self._unit, rtol=1e-9
            )
        )

    @property
    def _unit(self) -> float:
        """Value that counts as one in terms of the sensitivity.

        For smoothness it is the largest change of slope before treatment.
        """
        bends = np.abs(np.diff(self.mean[: self._n_pre]))
        if self.restriction == "relative":
            return 1.0
        return float(bends.max() or np.sqrt(self.covariance[-1, -1]))

    @property
    def _n_pre(self) -> int:
        return (len(self.mean) - 1 - len(self.weights)) // 2

    @cached_property
    def _usual(self) -> Estimate:
        if self.restriction == "relative":
            name = "M-bar"
        else:
            name = "M"
        values = [float(f"{multiple * self._unit:.3g}") for multiple in USUAL]
        most = f"largest {name} at which they exclude zero: {self.breakdown:.3g}"
        if np.isnan(self.breakdown):
            most = (
                f"at every {name}, 0 included, they hold zero, so they do not tell the sign of the"
                " effect"
            )
        if self.restriction == "smooth":
            most += f"; {self._unit:.3g} is the largest change of slope before treatment"
        return Estimate(
            estimand=f"honest bounds by {name}",
            unit=self.unit,
            terms=tuple(f"{value:g}" for value in values),
            value=np.full(len(values), np.nan),
            limits=self.conf_int(values).T,
            level=self.level,
            reason=f"bounds have no point estimate; {most}",
        )

    @property
    def rows(self) -> pd.DataFrame:
        """One row per sensitivity: `term`, `conf_low`, `conf_high`.

        M-bar from 0 to 2 in steps of 0.5; M in multiples, the same, of the largest change of slope
        before treatment.
        """
        return self._usual.rows[["term", "conf_low", "conf_high"]]

    def plot(self) -> Axes:
        """Plot the interval by sensitivity."""
        relative = "M-bar: largest change of the violation, as a multiple of that before"
        smooth = "M: largest change"
        return self._usual.plot(
            xlabel=relative if self.restriction == "relative" else f"{smooth} of its slope"
        )

    def _shown(self) -> tuple[str, pd.DataFrame, list[str]]:
        head, _, notes = self._usual._shown()
        return head, self.rows, notes

    def _interval(self, m_bar: float) -> tuple[float, float]:
        """Return the interval of fixed length, or that of the hybrid test.

        The latter runs from the smallest to the largest value that the test accepts.
        """
        if self.restriction == "smooth":
            return _fixed_length(self, m_bar)
        first_stage = FIRST_STAGE * (1 - self.level)
        size = (1 - self.level - first_stage) / (1 - first_stage)
        problem = _problem(self, m_bar, first_stage)
        # All statistics are linear in the estimates, and each step has both signs: the upper limit
        # is the negative lower one of negated estimates.
        mirrored = replace(problem, values=-problem.values)
        center = float(self.mean[-1])
        return _lower_end(problem, center, size), -_lower_end(mirrored, -center, size)


def honest_bounds(
    estimates: Sequence[float] | Floats,
    covariance: Sequence[Sequence[float]] | Floats,
    n_pre: int,
    n_post: int,
    *,
    target: Sequence[float] | Floats | None = None,
    restriction: Restriction = "relative",
    every: int = 1,
    level: float = 0.95,
) -> Bounds:
    """Bound the effect in an event study when parallel trends may be violated.

    Parameters
    ----------
    estimates : float64[n_pre + n_post]
        Coefficients in order of time, without the reference period between the two parts.
    covariance : float64[n_pre + n_post, n_pre + n_post]
        Their covariance.
    n_pre, n_post : int
        Number of coefficients before (at least 2) and after (at least 1) the reference period.
    target : float64[n_post], optional
        Weights of the effect of interest on the post coefficients, of the longer periods if `every`
        is above 1; the first one by default.
    restriction : {"relative", "smooth"}
        From one period to the next the violation after treatment changes by at most M-bar times its
        largest change before, or its slope changes by at most M, in units of the estimates, before
        treatment and after.
    every : int
        Number of periods to average into one first, counted from the reference in both directions,
        such as 3 for quarters; periods left over at the ends are dropped. On months, bounds by
        relative magnitudes are so wide that they say nothing. For effects in levels this is the
        event study of sums over longer periods.
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
        If a number of periods or the level is invalid, or the covariance has no variance where the
        method needs some.

    Notes
    -----
    Under smoothness the optimal confidence interval of fixed length, whose half-length is the
    quantile of ``|N(b, 1)|`` times the standard error, with b the largest bias in standard errors.
    If weights of the target are negative, the bound on the bias in HonestDiD is larger than the
    largest bias, and its interval wider.

    Under relative magnitudes the confidence set of the conditional least-favourable hybrid test of
    Andrews, Roth and Pakes, whose first stage spends a tenth of the size, on the moments that
    involve a post period; the union over which step before treatment is the largest, and its sign;
    the interval reaches from its smallest to its largest value. The estimates are taken as normal
    with a known covariance.

    The R package HonestDiD differs in choices that change the last digits: there the
    least-favourable critical value is the quantile of 1,000 draws, here it is computed; there the
    limits lie on a grid of 1,000 points within 20 standard errors of zero, here they are located by
    subdivision. One difference is substantial: with a single post period, the second stage there
    ignores that the first was passed, and is slightly wide; here it is used, as in the paper.

    References
    ----------
    Rambachan, A. and Roth, J. (2023), A more credible approach to parallel trends, Review of
    Economic Studies 90, 2555-2591. Andrews, I., Roth, J. and Pakes, A. (2023), Inference for linear
    conditional moment inequalities, Review of Economic Studies 90, 2763-2791.
    """
    check_level(level)
    check_choice("restriction", restriction, get_args(Restriction))
    longer, n_pre, n_post = _longer(n_pre, n_post, whole_number("every", every))
    beta = np.asarray(estimates, dtype=float)
    sigma = np.asarray(covariance, dtype=float)
    if missing := int((~np.isfinite(beta)).sum() + (~np.isfinite(sigma)).sum()):
        raise DataError(
            f"Cannot bound an effect: {missing} estimates and covariances are not finite; drop"
            " periods without an estimate or standard error at either end of the study"
        )
    beta = longer @ beta
    sigma = longer @ sigma @ longer.T
    if target is None:
        weights = np.eye(n_post)[0]
    else:
        weights = np.asarray(target, dtype=float)
    change = np.diff(
        np.insert(np.eye(len(beta)), n_pre, 0.0, axis=0), axis=0
    )  # through the reference period's zero
    steps = np.vstack(
        [
            change[:n_pre],
            -change[:n_pre],
            change[n_pre:],
            np.concatenate([np.zeros(n_pre), weights]),
        ]
    )
    bounds = Bounds(
        restriction, np.cumsum(weights[::-1])[::-1], steps @ beta, steps @ sigma @ steps.T, level
    )
    _check_variance(bounds)
    return bounds


def _longer(n_pre: int, n_post: int, every: int) -> tuple[Floats, int, int]:
    """Return a matrix that averages coefficients over longer periods.

    Also return the number of these periods on both sides.
    """
    if every > 0:
        before = (n_pre + 1) // every
    else:
        before = 0
    if every > 0:
        after = n_post // every
    else:
        after = 0
    if before < 3 or after < 1:
        raise DesignError(
            f"Cannot bound an effect with {max(before - 1, 0)} coefficients before and {after}"
            f" after treatment, of {every} periods each: at least two before and one after are"
            " needed; estimate more periods"
        )
    means = np.kron(np.eye(before + after), np.full(every, 1 / every))
    left = n_pre + 1 - before * every
    right = n_post - after * every
    means = np.delete(
        np.pad(means, ((0, 0), (left, right))), n_pre, axis=1
    )  # the reference period's zero
    return np.delete(means - means[before - 1], before - 1, axis=0), before - 1, after


def _check_variance(bounds: Bounds) -> None:
    """Raise DesignError if the covariance lacks a variance that the method divides by."""
    n_pre = bounds._n_pre
    joint = bounds.covariance
    kept = np.append(np.arange(n_pre), -1)
    variance = np.diag(joint)
    floor = FLAT * float(np.trace(joint))
    if bounds.restriction == "smooth":
        lacking = np.linalg.eigvalsh(joint[np.ix_(kept, kept)]) <= floor
    else:  # a step, or what is left of the target's estimate given a step before treatment
        left = joint[-1, -1] * variance[:n_pre] - joint[:n_pre, -1] ** 2 <= floor * variance[:n_pre]
        lacking = np.append(variance[np.r_[:n_pre, 2 * n_pre : len(variance) - 1]] <= floor, left)
    if lacking.any():
        raise DesignError(
            "Cannot bound an effect with this covariance: steps between neighbouring periods, or"
            " combinations of them and the target's estimate, have no variance; estimate with more"
            " clusters than coefficients, or bound longer periods"
        )


def _fixed_length(study: Bounds, m: float) -> tuple[float, float]:
    """Return the shortest interval of fixed length under a bound on the violation.

    The slope of the violation changes by at most m per period.
    """
    n_pre = study._n_pre
    carried = np.cumsum(study.weights[::-1])
    kept = np.append(np.arange(n_pre), -1)
    parts = np.diff(
        np.eye(n_pre, n_pre + 1), axis=0
    )  # second differences before treatment, then the centre without
    parts = np.vstack([parts, np.eye(n_pre + 1)[-1] - carried[-1] * np.eye(n_pre + 1)[n_pre - 1]])
    value = parts @ study.mean[kept]
    joint = parts @ study.covariance[np.ix_(kept, kept)] @ parts.T
    root = np.linalg.cholesky(joint).T  # the variance of ``c'x + centre`` is ``|root @ (c, 1)|²``
    columns = root[:-1, :-1]
    wanted = -root[:-1, -1]
    rest = root[-1, -1]
    hull = np.hstack([columns, -columns, np.zeros((n_pre - 1, 1))])
    certain = np.abs(carried).sum()

    def interval(
        length: float,
    ) -> tuple[float, float]:  # half-length and centre, given the sum of |c|
        shares = simplex_least_squares(length * hull, wanted, 0.0)
        c = length * (shares[: n_pre - 1] - shares[n_pre - 1 : -1])
        error = float(np.hypot(np.linalg.norm(columns @ c - wanted), rest))
        return error * _folded(m * (length + certain) / error, study.level), float(
            c @ value[:-1] + value[-1]
        )

    longest = float(np.abs(np.linalg.solve(columns, wanted)).sum())  # the weights of least variance
    found = optimize.minimize_scalar(
        lambda length: interval(length)[0],
        bounds=(0.0, longest),
        method="bounded",
        options={"xatol": 1e-10 * longest},
    )
    half, center = interval(found.x)
    return center - half, center + half


def _folded(bias: float, level: float) -> float:
    """Return the quantile of ``|N(bias, 1)|``.

    It is found by Newton's method from the left of a concave distribution function.
    """
    quantile = max(bias + special.ndtri(level), special.ndtri((1 + level) / 2))
    for _ in range(NEWTON):
        covered = special.ndtr(quantile - bias) - special.ndtr(-quantile - bias)
        density = np.exp(-0.5 * (quantile - bias) ** 2) + np.exp(-0.5 * (quantile + bias) ** 2)
        quantile += (level - covered) * np.sqrt(2 * np.pi) / density
    return float(quantile)


@dataclass(frozen=True)
class _Problem:
    """Moments of every (s, sign) at one M-bar.

    The first axis is the problem, the second the vertex.

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
    # steps before treatment, with both signs
    weights = study.weights
    size = 2 * study._n_pre
    before = slice(size)
    after = slice(size, -1)
    variance = np.diag(study.covariance)
    crossed = study.covariance[before, after]
    up, down = (
        np.sqrt(variance[after] - 2 * side * m_bar * crossed + m_bar**2 * variance[before, None])
        for side in (1, -1)
    )
    rises = np.maximum(weights, 0)
    falls = np.maximum(-weights, 0)
    scale_up = up @ rises + down @ falls
    scale_down = down @ rises + up @ falls
    reach = m_bar * np.abs(weights).sum()
    target = [1 / scale_up, -1 / scale_down]
    step = [-reach / scale_up, -reach / scale_down]
    if len(weights) > 1:
        # If one period alone has weight, its pair is the sum of the first two vertices and so no
        # vertex; of parallel vertices only the longest and the shortest can bind.
        carried = np.flatnonzero(weights)
        pairs = np.delete(1 / (up + down), carried if len(carried) == 1 else [], axis=1)
        target += [np.zeros(size), np.zeros(size)]
        step += [-2 * m_bar * pairs.max(axis=1), -2 * m_bar * pairs.min(axis=1)]
    loads = np.stack([np.stack(target, axis=1), np.stack(step, axis=1)], axis=2)
    both = np.empty((size, 2, 2))
    both[:, 0, 0] = variance[-1]
    both[:, 1, 1] = variance[before]
    both[:, 0, 1] = both[:, 1, 0] = study.covariance[before, -1]
    values = loads[:, :, 0] * study.mean[-1] + loads[:, :, 1] * study.mean[before, None]
    critical = _least_favourable(loads @ np.linalg.cholesky(both), first_stage)
    return _Problem(loads[:, :, 0], values, loads @ both @ loads.swapaxes(1, 2), critical)


def _least_favourable(rays: Floats, size: float) -> Floats:
    """Solve ``P(max_j rays_j'Z > c) = size`` for c, float64[problem].

    Z is standard normal in the plane.

    In polar coordinates the probability is the mean over directions u of ``exp(-c² / 2 m(u)²)``,
    with ``m(u)`` the largest ``rays_j'u``. It is convex in c above the longest ray, so that
    Newton's method from the left is monotone.
    """
    angles = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
    reach = np.maximum((rays @ np.stack([np.cos(angles), np.sin(angles)])).max(axis=1), 1e-150)
    inverse = 1 / reach**2
    critical = np.asarray(-special.ndtri(size) * np.linalg.norm(rays, axis=2).max(axis=1))
    for _ in range(NEWTON):
        tail = np.exp(-0.5 * critical[:, None] ** 2 * inverse)
        critical = critical + (tail.mean(axis=1) - size) / (
            critical * (tail * inverse).mean(axis=1)
        )
    return critical


def _accepted(problem: _Problem, theta: Floats, size: float) -> Bools:
    """Return whether the hybrid test accepts each theta.

    `theta` is float64[problem, point]. The result is bool[problem, point].

    The statistic is that of the largest vertex. Given which vertex it is and the variables
    independent of it, it is a normal variable truncated where another vertex would overtake it, and
    at the first stage's critical value.
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
    value = largest[:, :, 0]
    sd = np.sqrt(variance[:, :, 0])
    with np.errstate(
        divide="ignore", invalid="ignore", over="ignore"
    ):  # the first stage has already decided these
        share = _upper_share(value / sd, low / sd, np.minimum(high, critical) / sd)
    return np.asarray((value <= 0) | ((value <= critical) & (share >= size)))


def _upper_share(value: Floats, low: Floats, high: Floats) -> Floats:
    """Return P(Z > value | low < Z < high) for a standard normal Z.

    It is accurate even far in the tail.
    """
    base = special.log_ndtr(-low)
    rest = np.exp(special.log_ndtr(-high) - base)
    return np.asarray((np.exp(special.log_ndtr(-value) - base) - rest) / (1 - rest))


def _lower_end(problem: _Problem, center: float, size: float) -> float:
    """Return the smallest value accepted in any problem.

    The estimate itself, `center`, is always accepted.
    """
    # The first vertex alone rejects everything below `left`, and nothing is rejected from `right`
    # to the estimate.
    left = (problem.values[:, 0] - problem.critical) / problem.slopes[:, 0]
    right = np.minimum(problem.values[:, 0] / problem.slopes[:, 0], center)
    possible = np.flatnonzero(left < right)
    problem = _some(problem, possible)
    left = left[possible]
    right = right[possible]
    # The conditional test accepts where the first vertex meets another, however narrowly.
    meet = (problem.values[:, :1] - problem.values[:, 1:]) / (
        problem.slopes[:, :1] - problem.slopes[:, 1:]
    )
    ties = np.clip(meet, left[:, None], right[:, None])
    theta = np.sort(np.concatenate([np.linspace(left, right, SCAN, axis=1), ties], axis=1), axis=1)
    accepted = _accepted(problem, theta, size)
    any_point = np.flatnonzero(accepted.any(axis=1))
    problem = _some(problem, any_point)
    theta = theta[any_point]
    accepted = accepted[any_point]
    for _ in range(REFINEMENTS):
        first = accepted.argmax(axis=1)[:, None]
        outside = np.take_along_axis(theta, np.maximum(first - 1, 0), axis=1)[:, 0]
        inside = np.take_along_axis(theta, first, axis=1)[:, 0]
        theta = np.linspace(outside, inside, REFINED, axis=1)
        accepted = _accepted(problem, theta, size)
    return float(theta[:, -1].min())


def _some(problem: _Problem, chosen: Ints) -> _Problem:
    return _Problem(*(field[chosen] for field in vars(problem).values()))
