"""Trends that bend by at most M a period: the shortest interval of fixed length around an affine estimator.

Donoho (1994), Armstrong and Kolesar (2018), as Rambachan and Roth (2023) use them: the estimator is the target plus
weights on the coefficients before treatment that cancel every linear trend. With ``y_i`` the worst harm of a bend
``i`` periods before the reference, its largest bias is ``M (c + sum |y_i|)`` and its variance a quadratic in ``y``.
The best estimators of all M are therefore one lasso path, straight between its knots and followed exactly; each M has
its point on the path where bias and standard deviation are traded at the rate of the interval's own length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from analysis.errors import DesignError
from analysis.inference import Bools, Floats

MAX_KNOTS = 10_000
FLAT = 1e-12  # an eigenvalue of the variance below this share of the largest is none


@dataclass(frozen=True)
class Frontier:
    """Estimators that no other one beats in bias and variance at once.

    Attributes
    ----------
    price : float64[knot]
        Rate at which variance is given for bias, rising; 0 is the estimator of least variance.
    harms : float64[knot, n_pre - 1]
        The ``y`` of the module's docstring at each knot; a straight line between two.
    bias_floor : float
        Bias at M = 1 that no weights can remove.
    center, slope, variance, linear, quadratic : float, float64[n_pre - 1], or a square of these
        The estimate is ``center + slope @ y`` and its variance
        ``variance + 2 linear @ y + y @ quadratic @ y``.
    """

    price: Floats
    harms: Floats
    bias_floor: float
    center: float
    slope: Floats
    variance: float
    linear: Floats
    quadratic: Floats

    def at(self, price: float) -> tuple[float, float, float]:
        """Return estimate, bias at M = 1 and standard deviation of the estimator at one price."""
        y = np.array([np.interp(price, self.price, column) for column in self.harms.T])
        variance = self.variance + 2 * self.linear @ y + y @ self.quadratic @ y
        return float(self.center + self.slope @ y), float(self.bias_floor + np.abs(y).sum()), float(np.sqrt(variance))


def frontier(estimates: Floats, covariance: Floats, n_pre: int, target: Floats) -> Frontier:
    """Follow the path of best estimators from the least bias to the least variance.

    Raises
    ------
    DesignError
        If some combination of the coefficients before treatment has no variance.
    """
    near_first = np.concatenate([np.arange(n_pre)[::-1], np.arange(n_pre, len(estimates))])
    estimates, covariance = estimates[near_first], covariance[np.ix_(near_first, near_first)]
    # Weight of coefficient k before the reference: y[k-1] - 2 y[k] + y[k+1], with y[0] the target's own slope.
    bend = np.eye(n_pre, n_pre - 1, -1) - 2 * np.eye(n_pre, n_pre - 1) + np.eye(n_pre, n_pre - 1, 1)
    start = np.zeros(n_pre)
    start[0] = np.arange(1, len(target) + 1) @ target
    base = np.concatenate([start, target])
    move = np.concatenate([bend, np.zeros((len(target), n_pre - 1))])
    quadratic, linear = move.T @ covariance @ move, move.T @ covariance @ base
    spread = np.linalg.eigvalsh(quadratic)
    if spread[0] <= FLAT * spread[-1]:
        raise DesignError(
            "smoothness bounds were asked for; a combination of the coefficients before treatment has no variance "
            f"(eigenvalues of it from {spread[0]:.3g} to {spread[-1]:.3g}); estimate with more clusters than "
            "coefficients"
        )
    price, harms = _lasso_path(quadratic, linear)
    bends_after = np.cumsum(np.cumsum(target[::-1]))
    return Frontier(
        price=price,
        harms=harms,
        bias_floor=float(np.abs(bends_after).sum()),
        center=float(base @ estimates),
        slope=move.T @ estimates,
        variance=float(base @ covariance @ base),
        linear=linear,
        quadratic=quadratic,
    )


def _lasso_path(quadratic: Floats, linear: Floats) -> tuple[Floats, Floats]:
    """Return the knots of ``argmin y'Qy / 2 + r'y + price sum |y|``, from price 0 up.

    Efron et al. (2004): from the price at which y is zero downwards, a coordinate enters when its gradient reaches
    the price and leaves when it reaches zero.
    """
    y, price = np.zeros(len(linear)), float(np.abs(linear).max())
    prices, knots = [price], [y]
    active = np.zeros(len(linear), dtype=bool)
    active[np.abs(linear).argmax()] = True
    sign = -np.sign(linear)
    while price > 0:
        if len(prices) > MAX_KNOTS:
            raise DesignError(
                f"smoothness bounds were asked for; the path of estimators has more than {MAX_KNOTS} knots; "
                "perturb tied variances or use fewer periods before treatment"
            )
        direction = np.zeros(len(linear))
        direction[active] = np.linalg.solve(quadratic[np.ix_(active, active)], sign[active])
        step, event = _next_event(y, quadratic @ y + linear, direction, quadratic @ direction, price, active)
        y, price = y + step * direction, price - step
        if event >= 0:
            active[event] = ~active[event]
            y[event] = 0.0
            sign[event] = -np.sign((quadratic @ y + linear)[event])
        prices.append(price)
        knots.append(y)
    return np.array(prices[::-1]), np.array(knots[::-1])


def _next_event(
    y: Floats, gradient: Floats, direction: Floats, drift: Floats, price: float, active: Bools
) -> tuple[float, int]:
    """Return how far the price can fall before a coordinate enters or leaves, and which (-1: none before zero)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        leaves = np.where(active & (y * direction < 0), -y / direction, np.inf)
        rises = np.where(~active & (drift > -1), (price - gradient) / (1 + drift), np.inf)
        falls = np.where(~active & (drift < 1), (price + gradient) / (1 - drift), np.inf)
    steps = np.maximum(np.minimum(leaves, np.minimum(rises, falls)), 0.0)
    event = int(steps.argmin())
    return (price, -1) if steps[event] >= price else (float(steps[event]), event)


def _reach(shift: float, alpha: float) -> tuple[float, float]:
    """Return q - shift for the 1 - alpha quantile q of ``|N(shift, 1)|``, and one minus q's slope in `shift`."""
    ends = float(-special.ndtri(alpha)) - 1e-9, float(-special.ndtri(alpha / 2)) + 1e-9
    excess = optimize.brentq(
        lambda more: special.ndtr(more) - special.ndtr(-2 * shift - more) - (1 - alpha), *ends, xtol=1e-14
    )
    return float(excess), float(2 * special.expit(-2 * (shift + excess) * shift))


def interval(path: Frontier, m: float, alpha: float) -> tuple[float, float]:
    """Return the shortest interval of fixed length for the target.

    Parameters
    ----------
    path : Frontier
        From :func:`frontier`.
    m : float
        Bound on the change of the trend's slope between two periods, in the unit of the estimates; 0 or more.
    alpha : float
        One minus the coverage.

    Returns
    -------
    tuple of float
        The estimate of the best affine estimator, minus and plus half the length.
    """

    def dear(price: float) -> float:
        """Difference between a price and the rate at which the interval's length trades variance for bias there."""
        _, bias, sd = path.at(price)
        excess, flatness = _reach(m * bias / sd, alpha)
        return price - m * sd * (1 - flatness) / (excess + m * bias / sd * flatness)

    top = float(path.price[-1])
    if m == 0:
        price = 0.0
    elif dear(top) <= 0:
        price = top
    else:
        price = optimize.brentq(dear, 0.0, top, xtol=1e-13 * top)
    estimate, bias, sd = path.at(price)
    half = m * bias + sd * _reach(m * bias / sd, alpha)[0]
    return estimate - half, estimate + half
