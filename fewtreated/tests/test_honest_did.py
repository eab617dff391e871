"""Honest bounds: published numbers, linear programmes one by one, invariances, coverage."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from diff_diff.honest_did import _compute_optimal_flci
from fewtreated.estimators.att_gt import att_gt
from fewtreated.estimators.honest_did import honest_bounds
from scipy import optimize, stats

MEDICAID, BENZARTI = (
    json.loads((Path(__file__).parent / "data" / f"{name}_event_study.json").read_text())
    for name in ("medicaid", "benzarti_carloni")
)
STUDY, BC = (
    (np.array(one["estimates"]), np.array(one["covariance"]), one["n_pre"], one["n_post"])
    for one in (MEDICAID, BENZARTI)
)
KINDS = ["relative", "smooth"]


def random_study(seed, n_pre, n_post):
    """Return a study with correlated errors, a pre-trend of about their size and an effect of three
    of them.
    """
    rng = np.random.default_rng(seed)
    size = n_pre + n_post
    root = rng.normal(size=(size, size)) / np.sqrt(size) + 0.5 * np.eye(size)
    drift = np.concatenate([-rng.normal(size=n_pre), 3 + rng.normal(size=n_post)])
    return drift, root @ root.T, n_pre, n_post


def ends(study, sensitivity, restriction="relative", **options):
    """Return float64[sensitivity, 2]."""
    return honest_bounds(*study, restriction=restriction, **options).conf_int(
        np.atleast_1d(sensitivity)
    )


# --- published numbers
# ----------------------------------------


@pytest.mark.parametrize(
    ("study", "kind", "tolerance"),
    [
        (
            MEDICAID,
            "relative_magnitude",
            1e-3,
        ),  # simulated critical values, and a grid of steps of 0.00036
        (MEDICAID, "smoothness", 1e-4),  # the quantile of a million draws
        (BENZARTI, "smoothness", 1e-4),
    ],
)
def test_bounds_equal_those_of_the_authors_package(study, kind, tolerance):
    if study is MEDICAID:
        given = STUDY
    else:
        given = BC
    found = ends(
        given,
        [float(value) for value in study[kind]],
        "smooth" if kind == "smoothness" else "relative",
    )
    assert found == pytest.approx(np.array(list(study[kind].values())), abs=tolerance)


def test_fixed_length_intervals_equal_those_of_the_julia_package():
    # README of HonestDiD.jl, whose quantile is exact: five digits are printed.
    error = np.array([0.060, 0.050, 0.055, 0.050, 0.052, 0.060, 0.065, 0.070])
    sigma = np.outer(error, error) * 0.6 ** np.abs(np.subtract.outer(np.arange(8), np.arange(8)))
    printed = [
        [0.03849, 0.23376],
        [0.027367, 0.2422],
        [0.0061132, 0.25851],
        [-0.01481, 0.27416],
        [-0.028729, 0.294],
    ]
    given = (np.array([0.02, -0.01, 0.03, 0.15, 0.20, 0.25, 0.22, 0.18]), sigma, 3, 5)
    assert ends(given, np.arange(5) / 100, "smooth") == pytest.approx(np.array(printed), abs=1e-5)


@pytest.mark.parametrize("target", [[1.0, 0, 0, 0], [0.25] * 4, [0, 0, 0, 1.0]])
@pytest.mark.parametrize("m", [0.0, 0.01, 0.05])
def test_fixed_length_intervals_are_as_short_as_those_of_another_library(target, m):
    beta, sigma, n_pre, n_post = BC
    theirs = _compute_optimal_flci(
        beta[:n_pre], beta[n_pre:], sigma, np.array(target), n_pre, n_post, m
    )
    ours = ends(BC, m, "smooth", target=target)[0]
    assert np.diff(ours) == pytest.approx(np.diff(theirs), rel=1e-9)
    assert ours == pytest.approx(
        np.array(theirs), abs=2e-5
    )  # they search a grid, and the length is flat in the centre


def test_at_twice_the_pretrend_the_medicaid_bounds_hold_zero():
    # Taking the estimated pre-trend for the true one gives [0.0113, 0.0816] here: significant, and
    # wrong.
    low, high = ends(STUDY, 2)[0]
    assert low < 0 < high
    assert 1.9 < honest_bounds(*STUDY).breakdown < 2


# --- the closed form against linear programmes
# ----------------------------------------


def moments(n_pre, n_post, target, step, sign, m_bar):
    """Return the moments of one (step, sign), from the paper's definition: A of the violation, X of
    the nuisance.
    """
    change = np.diff(np.insert(np.eye(n_pre + n_post), n_pre, 0.0, axis=0), axis=0)
    bound = m_bar * sign * change[step]
    rows = np.concatenate([change[n_pre:] - bound, -change[n_pre:] - bound])
    basis = np.concatenate([[target], np.linalg.svd(np.array([target]))[2][1:]])
    inverse = np.linalg.inv(basis)
    after = rows[:, n_pre:] @ inverse
    return rows, after[:, 0], after[:, 1:]


def vertices(columns):
    """Return the vertices of ``{g >= 0: columns' g = (1, 0, ..)}`` by trying every basis."""
    n_rows, n_columns = columns.shape
    found = []
    for basis in combinations(range(n_rows), n_columns):
        square = columns[list(basis)].T
        if np.linalg.cond(square) < 1e10:
            weights = np.zeros(n_rows)
            weights[list(basis)] = np.linalg.solve(square, np.eye(n_columns)[0])
            if (weights > -1e-12).all():
                found.append(weights)
    return np.unique(np.round(found, 12), axis=0)


def programmed(study, target, m_bar, points, draws):
    """Accept or reject each point as the paper says, with enumerated vertices and a simulated
    critical value.
    """
    beta, sigma, n_pre, n_post = study
    alpha = 0.05
    kappa = 0.005
    accepted = np.zeros(len(points), dtype=bool)
    for step in range(n_pre):
        for sign in (1, -1):
            rows, on_target, nuisance = moments(n_pre, n_post, target, step, sign, m_bar)
            covariance = rows @ sigma @ rows.T
            columns = np.column_stack([np.sqrt(np.diag(covariance)), nuisance])
            dual = vertices(columns)
            y = rows @ beta - np.outer(points, on_target)
            programme = optimize.linprog(
                np.eye(columns.shape[1])[0],
                A_ub=-columns,
                b_ub=-y[0],
                bounds=[(None, None)] * columns.shape[1],
            )
            statistic = y @ dual.T
            assert statistic[0].max() == pytest.approx(programme.fun, abs=1e-9)
            critical = np.quantile((draws @ rows.T @ dual.T).max(axis=1), 1 - kappa)
            for i, values in enumerate(statistic):
                accepted[i] |= accepts(
                    values, dual @ covariance @ dual.T, critical, (alpha - kappa) / (1 - kappa)
                )
    return accepted


def accepts(values, products, critical, size):
    """Test one point: a normal statistic cut off where another vertex overtakes it."""
    first = int(values.argmax())
    low = -np.inf
    high = critical
    for value, product in zip(values, products[first], strict=True):
        ratio = product / products[first, first]
        if abs(ratio - 1) > 1e-7:
            bound = (value - ratio * values[first]) / (1 - ratio)
            low, high = (max(low, bound), high) if ratio < 1 else (low, min(high, bound))
    if values[first] <= 0 or values[first] > critical:
        return values[first] <= 0
    sd = np.sqrt(products[first, first])
    tail = stats.norm.sf(np.array([values[first], low, high]) / sd)
    return (tail[0] - tail[2]) / (tail[1] - tail[2]) >= size


@pytest.mark.parametrize(
    ("study", "target", "m_bar"),
    [
        (STUDY, [1.0, 0.0], 1.0),
        (random_study(1, 3, 3), [1 / 3, 1 / 3, 1 / 3], 0.5),
        (random_study(2, 2, 1), [1.0], 1.5),
        (random_study(3, 3, 3), [0.0, -1.0, 1.0], 1.0),
        (random_study(4, 2, 4), [0.0, 0.0, 0.0, 1.0], 0.7),
        (random_study(5, 3, 2), [1.0, -2.0], 1.0),
        (random_study(6, 2, 3), [1.0, 0.0, 0.0], 2.0),
    ],
)
def test_relative_bounds_equal_a_grid_of_linear_programmes(study, target, m_bar):
    low, high = ends(study, m_bar, target=target)[0]
    _, sigma, n_pre, n_post = study
    draws = np.random.default_rng(0).multivariate_normal(
        np.zeros(n_pre + n_post), sigma, size=100_000
    )
    room = (high - low) / 10
    points = np.linspace(low - room, high + room, 241)
    accepted = programmed(study, np.array(target), m_bar, points, draws)
    held = points[accepted]
    assert len(held) == np.ptp(np.flatnonzero(accepted)) + 1  # no gap between the ends
    # One step of the grid inwards; a hundredth of the length for the simulated critical value.
    slack = np.diff(points)[0] + 0.01 * (high - low)
    assert low - 0.01 * (high - low) <= held.min() <= low + slack
    assert high - slack <= held.max() <= high + 0.01 * (high - low)


def test_bounds_on_quarters_are_those_of_an_event_study_of_quarters():
    rng = np.random.default_rng(4)
    first = np.where(np.arange(60) < 20, 10.0, np.inf)
    y = rng.normal(size=(60, 18)) + rng.normal(size=(60, 1)) - 2 * (np.arange(18) >= first[:, None])
    # 9 before the reference's quarter's end, 8 from treatment on
    months = att_gt(y, first).aggregate("dynamic")[:]
    summed = y[:, 1:16].reshape(60, 5, 3).mean(axis=2)
    quarters = att_gt(summed, np.where(first == 10, 3.0, np.inf)).aggregate("dynamic")[:]
    for kind in KINDS:
        ours = ends(
            (months.value, months.covariance, 9, 8), [0.0, 0.3], kind, every=3, target=[0.5, 0.5]
        )
        by_quarter = ends(
            (quarters.value, quarters.covariance, 2, 2), [0.0, 0.3], kind, target=[0.5, 0.5]
        )
        np.testing.assert_allclose(ours, by_quarter, rtol=1e-6)


# --- invariances
# ----------------------------------------


def test_no_violation_relative_to_the_pretrend_is_parallel_trends():
    for study in (STUDY, random_study(1, 3, 1), random_study(2, 2, 4)):
        estimate = study[0][study[2]]
        half = stats.norm.ppf(0.975) * np.sqrt(study[1][study[2], study[2]])
        # 1e-8: bisection, and the critical value's circle.
        assert ends(study, 0.0)[0] == pytest.approx([estimate - half, estimate + half], abs=1e-8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(6))
def test_bounds_widen_with_the_sensitivity_and_hold_the_breakdown(seed, kind):
    study = random_study(seed, 2 + seed % 3, 1 + seed % 4)
    found = ends(study, np.linspace(0, 3, 13), kind)
    length = np.diff(found)[:, 0]
    assert (np.diff(length) > 0).all()
    breakdown = honest_bounds(*study, restriction=kind).breakdown
    excluded = (found[:, 0] > 0) | (found[:, 1] < 0)
    if excluded.any() or kind == "relative":
        assert np.isfinite(breakdown) == excluded.any()
    if excluded.any():
        assert (np.linspace(0, 3, 13)[excluded] <= breakdown).all()
        low, high = ends(study, breakdown, kind)[0]
        assert max(low, -high) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("factor", [1e-4, 1e3])
def test_the_unit_of_the_estimates_does_not_matter(factor, kind):
    beta, sigma, n_pre, n_post = STUDY
    scaled = (factor * beta, factor**2 * sigma, n_pre, n_post)
    values = np.array([0.01, 1.0, 2.0])
    unit = 1.0
    if kind == "smooth":  # M has the unit of the estimates
        unit = factor
        values = values / 50
    assert ends(scaled, unit * values, kind) == pytest.approx(
        factor * ends(STUDY, values, kind), rel=1e-6
    )
    breakdown, plain = (
        honest_bounds(*study, restriction=kind).breakdown for study in (scaled, STUDY)
    )
    assert breakdown == pytest.approx(unit * plain, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_negated_and_weighted_studies_have_the_mirrored_and_scaled_bounds(kind):
    beta, sigma, n_pre, n_post = study = random_study(8, 3, 2)
    mirrored = ends((-beta, sigma, n_pre, n_post), [0.3, 1.0], kind)
    assert -mirrored[:, ::-1] == pytest.approx(ends(study, [0.3, 1.0], kind), rel=1e-7)
    once = ends(study, [0.3, 1.0], kind, target=[0.2, 0.8])
    # The violation of a doubled target is doubled too.
    assert ends(study, [0.3, 1.0], kind, target=[0.4, 1.6]) == pytest.approx(2 * once, rel=1e-7)
    assert ends(study, [0.3, 1.0], kind, target=[-0.2, -0.8]) == pytest.approx(
        -once[:, ::-1], rel=1e-7
    )


# --- coverage
# ----------------------------------------


@pytest.mark.parametrize(
    ("kind", "violation"),
    [
        ("relative", [-2.0, 0.0, 2.0, 4.0]),  # steps 2, 0, 2 | 2, 2: the largest allowed
        ("relative", [0.0, 0.0, 0.0, 0.0]),
        ("smooth", [-1.0, 0.0, 1.0, 3.0]),  # slopes -1, 0 | 1, 2: bends of 1
        ("smooth", [1.0, 0.0, -1.0, -1.0]),
    ],
)
def test_the_truth_is_covered_at_the_edge_of_what_is_allowed(kind, violation):
    n_draws = 120
    _, sigma, *_ = random_study(12, 2, 2)
    rng = np.random.default_rng(1)
    draws = rng.multivariate_normal(np.add(violation, [0, 0, 7, 9]), sigma, size=n_draws)
    covered = [
        low <= 7 <= high
        for low, high in (ends((draw, sigma, 2, 2), 1.0, kind)[0] for draw in draws)
    ]
    assert np.mean(covered) >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / n_draws)


# --- what has no answer
# ----------------------------------------


@pytest.mark.parametrize(("kind", "name"), [("relative", "M-bar"), ("smooth", "M")])
def test_bounds_that_hold_zero_whatever_is_allowed_say_so_in_words(kind, name):
    beta, sigma, n_pre, n_post = STUDY
    nothing = honest_bounds(
        np.where(np.arange(7) < 5, beta, 0.0), sigma, n_pre, n_post, restriction=kind
    )
    assert np.isnan(nothing.breakdown)
    assert f"at every {name}, 0 included, they hold zero, so they do not tell the sign" in repr(
        nothing
    )
    some = honest_bounds(*STUDY, restriction=kind)
    assert f"largest {name} at which they exclude zero: {some.breakdown:.3g}" in repr(some)


def test_a_bend_allowed_may_exclude_a_zero_that_straight_lines_include():
    # The line through all steps before treatment is uncertain; with bends the last step counts for
    # more.
    half = np.array(
        [
            [0.667, 0, 0, 0],
            [-0.004, 0.03, 0, 0],
            [0.169, -0.009, 0.057, 0],
            [0.225, -0.039, 0.072, 0.165],
        ]
    )
    sigma = half + np.tril(half, -1).T
    bounds = honest_bounds(np.array([-2.59, 1.06, 1.68, -0.88]), sigma, 3, 1, restriction="smooth")
    low = bounds.conf_int([0.0, 0.2])[:, 0]
    assert low[0] < 0 < low[1]
    assert bounds.breakdown > 1
    flat = honest_bounds(
        np.array([0.0, 0.0, 0.0, 9.0]), sigma, 3, 1, restriction="smooth"
    )  # no bend to measure by
    assert flat.conf_int(flat.breakdown)[0, 0] == pytest.approx(0, abs=1e-6)
