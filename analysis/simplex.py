"""Weights of synthetic controls: least squares with a ridge, over weights that are >= 0 and sum to one, exactly."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from analysis.inference import Floats

FIRM = 1e-3  # ridge over mean squared column, from which on the dual is well conditioned
CERTIFIED = 1e-12  # gap at which weights are within 4e-11 of the optimum; columns have length one on average
MAX_STEPS = 1_000  # a few to a hundred are taken; each costs a product with the support


def simplex_least_squares(matrix: Floats, target: Floats, ridge: float) -> Floats:
    """Minimise ``|matrix @ w - target|² + ridge * |w|²`` over weights that are >= 0 and sum to one.

    Since w sums to one this is the shortest vector of a convex hull, ``|hull @ w|² + ridge * |w|²``.

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
        hull, ridge = hull / size, ridge / size**2
    if ridge > FIRM:
        found = _shortest_by_newton(hull, ridge)
        if found is not None:
            return found
    return _shortest_by_active_set(hull, ridge)


def _shortest_by_active_set(hull: Floats, ridge: float) -> Floats:
    """Solve by the non-negative least squares of ``[hull; 1'] u = [0; 1]``, up to scale (Wolfe 1976).

    No step size, no tolerance; but a dense square matrix of the weights, so only for a few hundred of them.
    """
    rows = [hull, np.sqrt(ridge) * np.eye(hull.shape[1])] if ridge > 0 else [hull]
    stacked = np.vstack([*rows, np.ones(hull.shape[1])])
    weights, _ = nnls(stacked, np.append(np.zeros(len(stacked) - 1), 1.0), maxiter=100 * hull.shape[1])
    return np.asarray(weights / weights.sum())


def _shortest_by_newton(hull: Floats, ridge: float) -> Floats | None:
    """Solve by Newton's method on the dual, which has one unknown per row; None where it does not get there.

    Given ``u = hull @ w`` the best weights are the projection of ``-hull' u / ridge`` on the simplex, so that
    ``gap(u) = u - hull @ w(u)`` is piecewise linear and the gradient of a strongly convex function. Half its square is
    the duality gap, which certifies ``|w - optimum| <= |gap| / sqrt(ridge)``.
    """
    u = hull.mean(axis=1)
    value, gap, weights = _dual(hull, ridge, u)
    for _ in range(MAX_STEPS):
        if np.sqrt(gap @ gap) <= CERTIFIED:
            return weights
        held = hull[:, weights > 0]
        held = held - held.mean(axis=1, keepdims=True)
        step = -np.linalg.solve(np.eye(len(u)) + held @ held.T / ridge, gap)
        share = 1.0
        while (trial := _dual(hull, ridge, u + share * step))[0] > value + 1e-4 * share * (gap @ step) + CERTIFIED**2:
            share /= 2
        u = u + share * step
        value, gap, weights = trial
    return None


def _dual(hull: Floats, ridge: float, u: Floats) -> tuple[float, Floats, Floats]:
    """Return the negative dual function at u, its gradient, and the weights that attain it."""
    weights = _on_simplex(-(u @ hull) / ridge)
    fitted = hull @ weights
    return float(u @ u / 2 - u @ fitted - ridge * (weights @ weights) / 2), u - fitted, weights


def _on_simplex(point: Floats) -> Floats:
    """Return the nearest weights that are >= 0 and sum to one."""
    falling = -np.sort(-point)
    excess = (np.cumsum(falling) - 1) / np.arange(1, len(point) + 1)
    return np.asarray(np.maximum(point - excess[np.flatnonzero(falling > excess)[-1]], 0.0))
