"""Weights on the simplex: two exact methods agree, the optimality conditions hold, and thousands of weights are few."""

import numpy as np
import pytest

from analysis import simplex
from analysis.simplex import simplex_least_squares


def problem(seed: int, rows: int, weights: int) -> tuple[np.ndarray, np.ndarray, float]:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, weights)) * rng.lognormal(size=weights) + rng.normal(size=(rows, 1))
    return matrix, rng.normal(size=rows), float(rows * 10 ** rng.uniform(-2, 2))


def slack(matrix, target, ridge, weights) -> np.ndarray:
    """Slope of the objective towards each weight, less the lowest that is in use; none may be negative."""
    slope = matrix.T @ (matrix @ weights - target) + ridge * weights
    return slope - slope[weights > 0].max()


@pytest.mark.parametrize("seed", range(20))
def test_newton_on_the_dual_and_the_active_set_find_the_same_weights(seed, monkeypatch):
    given = problem(seed, 1 + seed, 40 + 5 * seed)
    by_newton = simplex_least_squares(*given)
    monkeypatch.setattr(simplex, "FIRM", np.inf)
    np.testing.assert_allclose(by_newton, simplex_least_squares(*given), rtol=0, atol=1e-10)


def test_a_search_that_does_not_end_is_handed_to_the_active_set(monkeypatch):
    given = problem(3, 12, 60)
    whole = simplex_least_squares(*given)
    monkeypatch.setattr(simplex, "MAX_STEPS", 0)
    np.testing.assert_allclose(simplex_least_squares(*given), whole, rtol=0, atol=1e-10)


@pytest.mark.parametrize("ridge", [0.1, 3.0, 100.0])
def test_the_optimality_conditions_hold_for_thousands_of_weights(ridge):
    matrix, target, _ = problem(5, 30, 5_000)
    weights = simplex_least_squares(matrix, target, ridge * 30)
    size = (matrix - target[:, None]) ** 2
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert (weights >= 0).all()
    assert slack(matrix, target, ridge * 30, weights).min() > -1e-9 * size.sum(axis=0).mean()


def test_without_a_ridge_a_target_inside_the_hull_is_met():
    corners = np.array([[0.0, 4.0, 0.0], [0.0, 0.0, 4.0]])
    weights = simplex_least_squares(corners, np.array([1.0, 2.0]), 0.0)
    np.testing.assert_allclose(weights, [0.25, 0.25, 0.5], atol=1e-12)


def test_an_overwhelming_ridge_spreads_the_weights_evenly():
    matrix, target, _ = problem(7, 5, 8)
    np.testing.assert_allclose(simplex_least_squares(matrix, target, 1e12), np.full(8, 1 / 8), atol=1e-9)
