"""Honest bounds: published numbers, linear programmes solved one by one, a referee, invariances and coverage."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from diff_diff import HonestDiD, MultiPeriodDiDResults
from diff_diff.results import PeriodEffect
from scipy import optimize, stats

from analysis.errors import DataError, DesignError
from analysis.honest import honest_bounds

MEDICAID = json.loads((Path(__file__).parent / "data" / "medicaid_event_study.json").read_text())
STUDY = (np.array(MEDICAID["estimates"]), np.array(MEDICAID["covariance"]), MEDICAID["n_pre"], MEDICAID["n_post"])
KINDS = ["relative_magnitude", "smoothness"]


def random_study(seed, n_pre, n_post):
    """Return a study with correlated errors, a pre-trend of about their size and an effect of three of them."""
    rng = np.random.default_rng(seed)
    size = n_pre + n_post
    root = rng.normal(size=(size, size)) / np.sqrt(size) + 0.5 * np.eye(size)
    drift = np.concatenate([-rng.normal(size=n_pre), 3 + rng.normal(size=n_post)])
    return drift, root @ root.T, n_pre, n_post


def ends(study, sensitivity, **options):
    """Return float64[sensitivity, 2]."""
    rows = honest_bounds(*study, sensitivity=sensitivity, **options).rows
    return rows[["conf_low", "conf_high"]].to_numpy()


# --- published numbers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_medicaid_bounds_equal_the_authors_package(kind):
    # 0.001: printed with four decimals, from simulated critical values and a grid of steps of 0.00036.
    published = MEDICAID[kind]
    found = ends(STUDY, [float(value) for value in published], kind=kind)
    assert found == pytest.approx(np.array(list(published.values())), abs=1e-3)


def test_at_twice_the_pretrend_the_medicaid_bounds_hold_zero():
    # Taking the estimated pre-trend for the true one gives [0.0113, 0.0816] here: significant, and wrong.
    low, high = ends(STUDY, 2)[0]
    assert low < 0 < high
    assert 1.9 < honest_bounds(*STUDY, sensitivity=2).breakdown < 2


# --- the closed form against linear programmes -------------------------------------------------------------------


def moments(n_pre, n_post, target, step, sign, m_bar):
    """Return the moments of one (step, sign), from the paper's definition: A of the violation, X of the nuisance."""
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
    """Accept or reject each point as the paper says, with enumerated vertices and a simulated critical value."""
    beta, sigma, n_pre, n_post = study
    alpha, kappa = 0.05, 0.005
    accepted = np.zeros(len(points), dtype=bool)
    for step in range(n_pre):
        for sign in (1, -1):
            rows, on_target, nuisance = moments(n_pre, n_post, target, step, sign, m_bar)
            covariance = rows @ sigma @ rows.T
            columns = np.column_stack([np.sqrt(np.diag(covariance)), nuisance])
            dual = vertices(columns)
            y = rows @ beta - np.outer(points, on_target)
            programme = optimize.linprog(
                np.eye(columns.shape[1])[0], A_ub=-columns, b_ub=-y[0], bounds=[(None, None)] * columns.shape[1]
            )
            statistic = y @ dual.T
            assert statistic[0].max() == pytest.approx(programme.fun, abs=1e-9)
            critical = np.quantile((draws @ rows.T @ dual.T).max(axis=1), 1 - kappa)
            for i, values in enumerate(statistic):
                accepted[i] |= accepts(values, dual @ covariance @ dual.T, critical, (alpha - kappa) / (1 - kappa))
    return accepted


def accepts(values, products, critical, size):
    """Test one point: a normal statistic cut off where another vertex overtakes it."""
    first = int(values.argmax())
    low, high = -np.inf, critical
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
    draws = np.random.default_rng(0).multivariate_normal(np.zeros(n_pre + n_post), sigma, size=100_000)
    room = (high - low) / 10
    points = np.linspace(low - room, high + room, 241)
    accepted = programmed(study, np.array(target), m_bar, points, draws)
    held = points[accepted]
    assert len(held) == np.ptp(np.flatnonzero(accepted)) + 1  # no gap between the ends
    # One step of the grid inwards; a hundredth of the length for the simulated critical value.
    slack = np.diff(points)[0] + 0.01 * (high - low)
    assert low - 0.01 * (high - low) <= held.min() <= low + slack
    assert high - slack <= held.max() <= high + 0.01 * (high - low)


# --- smoothness against a referee and a general optimiser --------------------------------------------------------


def refereed(study, m):
    """Return diff-diff's interval for the mean of the post effects."""
    beta, sigma, n_pre, n_post = study
    times = [*range(-n_pre - 1, -1), *range(n_post)]
    effects = {
        time: PeriodEffect(time, b, s, b / s, 0.5, (b - s, b + s))
        for time, b, s in zip(times, beta, np.sqrt(np.diag(sigma)), strict=True)
    }
    results = MultiPeriodDiDResults(
        effects, 0.0, 1.0, 0.0, 1.0, (-1.0, 1.0), 100, 50, 50, times[:n_pre], times[n_pre:],
        vcov=sigma, interaction_indices={time: i for i, time in enumerate(times)}, reference_period=-1,
    )  # fmt: skip
    found = HonestDiD(method="smoothness", M=m).fit(results)
    return found.ci_lb, found.ci_ub


@pytest.mark.parametrize("seed", range(8))
def test_smoothness_bounds_equal_the_referee(seed):
    n_pre, n_post = 2 + seed % 4, 1 + seed % 3
    study = random_study(seed, n_pre, n_post)
    values = [0.0, 0.05, 0.3, 2.0]
    found = ends(study, values, kind="smoothness", target=np.full(n_post, 1 / n_post))
    referee = np.array([refereed(study, m) for m in values])
    # The half-length is a minimum, hence good to many digits in both; where it is flat the centres may differ more.
    assert np.diff(found)[:, 0] == pytest.approx(np.diff(referee)[:, 0], rel=2e-3)
    assert found.mean(axis=1) == pytest.approx(referee.mean(axis=1), abs=0.02)


def half_length(weights, study, target, m):
    """Return the half-length of the interval around an estimator that cancels linear trends, from first principles.

    The bias is the largest over all bends of at most m, a linear programme whose vertices are all bends at the limit.
    """
    _, sigma, n_pre, n_post = study
    times = np.array([*range(-n_pre, 0), *range(1, n_post + 1)])
    full = np.concatenate([weights, target])
    bends = range(-n_pre + 1, n_post)
    bias = sum(
        abs(full @ np.where(times > bend, times - bend, 0.0)) if bend >= 0
        else abs(full @ np.where(times < bend, bend - times, 0.0))
        for bend in bends
    )  # fmt: skip
    sd = np.sqrt(full @ sigma @ full)
    return sd * np.sqrt(stats.ncx2.ppf(0.95, 1, (m * bias / sd) ** 2))


@pytest.mark.parametrize("target", [[1.0, 0.0], [0.5, 0.5], [-1.0, 0.2], [2.0, -1.0]])
def test_no_other_weights_give_a_shorter_smoothness_interval(target):
    study = random_study(11, 4, 2)
    slope = np.array(target) @ [1.0, 2.0]
    constraint = {"type": "eq", "fun": lambda w: w @ [4.0, 3.0, 2.0, 1.0] - slope}
    for m in (0.02, 0.2, 1.0):
        low, high = ends(study, m, kind="smoothness", target=target)[0]
        starts = np.random.default_rng(0).normal(size=(4, 4))
        tries = [
            optimize.minimize(half_length, w, (study, np.array(target), m), constraints=constraint) for w in starts
        ]
        # A minimum over a kink: the general optimiser stops a little above it, never below.
        assert (high - low) / 2 == pytest.approx(min(found.fun for found in tries), rel=2e-3)
        assert (high - low) / 2 <= min(found.fun for found in tries) * (1 + 1e-7)


# --- invariances -------------------------------------------------------------------------------------------------


def test_no_violation_relative_to_the_pretrend_is_parallel_trends():
    for study in (STUDY, random_study(1, 3, 1), random_study(2, 2, 4)):
        found = honest_bounds(*study, sensitivity=0.0)
        reach = stats.norm.ppf(0.975) * np.sqrt(study[1][study[2], study[2]])
        assert found.original["conf_low"] == pytest.approx(study[0][study[2]] - reach, rel=1e-12)
        # 1e-8: bisection, and the critical value's circle.
        assert found.rows.loc[0, "conf_low"] == pytest.approx(found.original["conf_low"], abs=1e-8)
        assert found.rows.loc[0, "conf_high"] == pytest.approx(found.original["conf_high"], abs=1e-8)


def test_no_bend_is_the_linear_extrapolation_of_least_variance():
    beta, sigma, n_pre, n_post = random_study(3, 4, 2)
    trend = np.array([-4.0, -3.0, -2.0, -1.0, 1.0, 2.0])
    columns = np.column_stack([trend, np.eye(n_pre + n_post)[:, n_pre:]])
    weight = np.linalg.inv(sigma)
    variance = np.linalg.inv(columns.T @ weight @ columns)
    estimate = variance @ columns.T @ weight @ beta
    reach = stats.norm.ppf(0.975) * np.sqrt(variance[1, 1])
    found = ends((beta, sigma, n_pre, n_post), 0, kind="smoothness")[0]
    assert found == pytest.approx([estimate[1] - reach, estimate[1] + reach], rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(6))
def test_bounds_widen_with_the_sensitivity_and_hold_the_breakdown(kind, seed):
    study = random_study(seed, 2 + seed % 3, 1 + seed % 4)
    found = ends(study, np.linspace(0, 3, 13), kind=kind)
    length = np.diff(found)[:, 0]
    assert (np.diff(length) > 0).all()
    breakdown = honest_bounds(*study, kind=kind, sensitivity=0).breakdown
    excluded = (found[:, 0] > 0) | (found[:, 1] < 0)
    assert np.isfinite(breakdown) == excluded[0]
    if excluded[0]:
        assert (np.linspace(0, 3, 13)[excluded] <= breakdown).all()
        low, high = ends(study, breakdown, kind=kind)[0]
        assert max(low, -high) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_unit_of_the_estimates_does_not_matter(kind):
    beta, sigma, n_pre, n_post = STUDY
    power = 1 if kind == "smoothness" else 0
    values = np.array([0.0, 0.01, 0.02]) if kind == "smoothness" else np.array([0.5, 1.0, 2.0])
    for factor in (1e-4, 1e3):
        scaled = (factor * beta, factor**2 * sigma, n_pre, n_post)
        assert ends(scaled, values * factor**power, kind=kind) == pytest.approx(
            factor * ends(STUDY, values, kind=kind), rel=1e-7
        )
        assert honest_bounds(*scaled, kind=kind, sensitivity=0).breakdown == pytest.approx(
            factor**power * honest_bounds(*STUDY, kind=kind, sensitivity=0).breakdown, rel=1e-7
        )


@pytest.mark.parametrize("kind", KINDS)
def test_a_negated_study_has_the_mirrored_bounds(kind):
    beta, sigma, n_pre, n_post = random_study(8, 3, 3)
    mirrored = ends((-beta, sigma, n_pre, n_post), [0.3, 1.0], kind=kind)
    assert -mirrored[:, ::-1] == pytest.approx(ends((beta, sigma, n_pre, n_post), [0.3, 1.0], kind=kind), rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_scale_the_bounds(kind):
    study = random_study(9, 3, 2)
    once = ends(study, [0.3, 1.0], kind=kind, target=[0.2, 0.8])
    assert ends(study, [0.3, 1.0], kind=kind, target=[0.4, 1.6]) == pytest.approx(2 * once, rel=1e-9)
    assert ends(study, [0.3, 1.0], kind=kind, target=[-0.2, -0.8]) == pytest.approx(-once[:, ::-1], rel=1e-9)


def test_a_straight_pretrend_is_taken_out_by_smoothness_bounds():
    beta, sigma, n_pre, n_post = random_study(10, 3, 2)
    trend = np.array([-3.0, -2.0, -1.0, 1.0, 2.0])
    shifted = ends((beta + 5 * trend, sigma, n_pre, n_post), [0.0, 0.5], kind="smoothness")
    assert shifted == pytest.approx(ends((beta, sigma, n_pre, n_post), [0.0, 0.5], kind="smoothness"), rel=1e-8)


def test_equal_calls_give_equal_bits():
    for kind in KINDS:
        assert ends(STUDY, [0.01, 1.0], kind=kind).tobytes() == ends(STUDY, [0.01, 1.0], kind=kind).tobytes()


# --- coverage ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "violation", "sensitivity"),
    [
        ("relative_magnitude", [-2.0, 0.0, 2.0, 4.0], 1.0),  # steps 2, 0, 2 | 2, 2: the largest allowed
        ("relative_magnitude", [0.0, 0.0, 0.0, 0.0], 1.0),
        ("smoothness", [-2.0, -1.0, 1.5, 3.5], 0.5),  # slope 1 before, bends up by 0.5 twice
    ],
)
def test_the_truth_is_covered_at_the_edge_of_what_is_allowed(kind, violation, sensitivity):
    n_draws = 120
    _, sigma, *_ = random_study(12, 2, 2)
    rng = np.random.default_rng(1)
    draws = rng.multivariate_normal(np.add(violation, [0, 0, 7, 9]), sigma, size=n_draws)
    covered = [low <= 7 <= high for low, high in (ends((d, sigma, 2, 2), sensitivity, kind=kind)[0] for d in draws)]
    assert np.mean(covered) >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / n_draws)


# --- what has no answer ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_an_effect_that_is_not_significant_has_no_breakdown_and_says_why(kind):
    beta, sigma, n_pre, n_post = STUDY
    found = honest_bounds(0 * beta, sigma, n_pre, n_post, kind=kind, sensitivity=[0.0, 1.0])
    assert np.isnan(found.breakdown)
    assert "sensitivity of 0" in found.reason
    assert found.rows["sensitivity"].tolist() == [0.0, 1.0]


def test_a_finite_breakdown_needs_no_reason():
    assert honest_bounds(*STUDY, sensitivity=1).reason == ""


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"n_pre": 1, "n_post": 6}, DesignError, "1 coefficients before"),
        ({"n_pre": 7, "n_post": 0}, DesignError, "0 after"),
        ({"n_pre": 4}, DataError, r"6 estimates .* shapes \(7,\) and \(7, 7\)"),
        ({"covariance": np.eye(6)}, DataError, r"\(6, 6\)"),
        ({"estimates": [*STUDY[0][:-1], np.nan]}, DataError, "1 are not"),
        ({"covariance": STUDY[1] - 1e-4 * np.eye(7)}, DataError, "eigenvalue of -"),
        ({"covariance": STUDY[1] + np.eye(7, k=1) * 1e-5}, DataError, "asymmetry of 1e-05"),
        ({"kind": "exact"}, DesignError, "'exact'"),
        ({"sensitivity": []}, DesignError, r"found \[\]"),
        ({"sensitivity": [1.0, -0.5]}, DesignError, "-0.5"),
        ({"sensitivity": np.inf}, DesignError, "inf"),
        ({"target": [1.0]}, DesignError, "each of 2"),
        ({"target": [0.0, 0.0]}, DesignError, "not all zero"),
        ({"level": 95}, DesignError, "found 95"),
        ({"covariance": np.full((7, 7), 1e-4)}, DesignError, "5 steps .* no variance"),
        ({"covariance": np.full((7, 7), 1e-4), "kind": "smoothness"}, DesignError, "more clusters"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_what_was_found(change, error, match):
    beta, sigma, n_pre, n_post = STUDY
    asked = {"estimates": beta, "covariance": sigma, "n_pre": n_pre, "n_post": n_post, "sensitivity": 1.0} | change
    with pytest.raises(error, match=match):
        honest_bounds(**asked)
