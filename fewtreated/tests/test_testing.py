"""Tests against a margin, exact permutation intervals, and step-down p-values: referees, brute
force and coverage.
"""

from dataclasses import replace
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
import pytest
from fewtreated.estimate import Estimate
from fewtreated.estimators.synthetic import permutation_did
from fewtreated.testing import (
    DRAWS,
    all_zero,
    assignments,
    largest_std_error,
    noninferiority,
    romano_wolf,
)
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

CASES = [
    (-0.4, 0.5, 2.0, 0.95),
    (1.7, 0.9, 2.0, 0.9),
    (-3.1, 0.7, 1.0, 0.975),
    (0.0, 0.8, 2.0, 0.95),
]


def sample_with(mean, std_error, n=40):
    """Return data whose mean and standard error are the given ones, for a referee that takes data
    only.
    """
    x = np.random.default_rng(5).normal(size=n)
    return DescrStatsW(mean + (x - x.mean()) / x.std(ddof=1) * std_error * np.sqrt(n))


@pytest.mark.parametrize(("estimate", "std_error", "margin", "level"), CASES)
@pytest.mark.parametrize("n", [None, 5, 40])
def test_noninferiority_is_the_z_test_of_statsmodels_or_with_degrees_of_freedom_its_t_test(
    estimate, std_error, margin, level, n
):
    # 1e-12: the same closed form, up to the rounding of the referee's own mean and variance.
    referee = sample_with(estimate, std_error, n or 40)
    if n:
        kind = "t"
    else:
        kind = "z"
    found = noninferiority(estimate, std_error, margin=margin, level=level, df=n and n - 1)
    p_value = getattr(referee, f"{kind}test_mean")(-margin, alternative="larger")[1]
    assert found.p_value == pytest.approx(p_value, rel=1e-10, abs=1e-12)
    low = getattr(referee, f"{kind}confint_mean")(alpha=2 * (1 - level))[0]
    assert found.low == pytest.approx(low, abs=1e-12)
    assert found.passed == (found.p_value < 1 - level)
    assert found.null == f"the effect is {margin:g} or more below zero"
    if n:
        assert found.low < noninferiority(estimate, std_error, margin=margin, level=level).low


def test_a_wider_margin_never_fails_what_a_narrower_one_passed_and_a_limit_on_it_does_not_pass():
    found = [noninferiority(-0.6, 0.5, margin=margin) for margin in np.linspace(0.1, 4, 80)]
    p_values = [one.p_value for one in found]
    passed = [one.passed for one in found]
    assert p_values == sorted(p_values, reverse=True)
    assert passed == sorted(passed)
    assert {True, False} == set(passed)
    limit = float(stats.norm.ppf(0.95))
    assert [noninferiority(0.0, 1.0, margin=limit + more).passed for more in (0.0, 1e-9)] == [
        False,
        True,
    ]


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("level", [0.95, 0.9, 0.975])
def test_at_the_largest_standard_error_a_true_zero_passes_with_the_stated_power(two_sided, level):
    margin = 2.0
    points = 1000
    std_error = largest_std_error(margin, level=level, two_sided=two_sided)
    draws = std_error * stats.norm.ppf(
        (np.arange(points) + 0.5) / points
    )  # the estimates' distribution, evenly
    passed = np.array(
        [noninferiority(draw, std_error, margin=margin, level=level).passed for draw in draws]
    )
    if two_sided:
        passed &= passed[::-1]  # neither worse nor better by the margin; the draws are symmetric
    assert passed.mean() == pytest.approx(
        0.8, abs=1.5 / points
    )  # each end can be off by one point of the grid


@pytest.mark.parametrize(("n", "k"), [(2, 1), (5, 2), (8, 2), (8, 6), (9, 4)])
def test_assignments_are_all_subsets_once(n, k):
    drawn = assignments(n, k)
    subsets = {tuple(int(place) for place in np.flatnonzero(row)) for row in drawn}
    assert drawn.shape == (comb(n, k), n)
    assert subsets == set(combinations(range(n), k))


def p_two_sided(change, treated, shift):
    """Two-sided permutation p-value of a constant shift, from scratch: take the shift off, then
    permute.
    """
    rest = change - shift * treated
    n = len(change)
    k = int(treated.sum())

    def statistic(chosen):
        inside = rest[list(chosen)].sum()
        return abs(inside / k - (rest.sum() - inside) / (n - k))

    own = statistic(tuple(np.flatnonzero(treated)))
    return float(np.mean([statistic(chosen) >= own - 1e-9 for chosen in combinations(range(n), k)]))


@pytest.mark.parametrize(
    ("seed", "n", "k", "level"), [(1, 6, 1, 0.7), (2, 7, 2, 0.9), (3, 6, 3, 0.8), (4, 8, 2, 0.95)]
)
def test_the_interval_equals_a_grid_of_tests_from_scratch(seed, n, k, level):
    rng = np.random.default_rng(seed)
    change = rng.standard_t(2, size=n)
    treated = rng.permutation(np.arange(n) < k)
    row = permutation_did(change, treated, level=level).rows.iloc[0]
    low = row["conf_low"]
    high = row["conf_high"]
    width = high - low
    grid = np.linspace(
        low - width / 2, high + width / 2, 300
    )  # an even number, so that no point is a limit
    kept = np.array([p_two_sided(change, treated, shift) > 1 - level + 1e-9 for shift in grid])
    assert {True, False} == set(kept)
    np.testing.assert_array_equal(kept, (grid >= low) & (grid <= high))
    for limit, outward in ((low, -1), (high, 1)):  # the limits themselves, closer than any grid
        assert p_two_sided(change, treated, limit - outward * 1e-6 * width) > 1 - level
        assert p_two_sided(change, treated, limit + outward * 1e-6 * width) <= 1 - level + 1e-9


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95])
@pytest.mark.parametrize(("n", "k"), [(8, 2), (7, 3), (10, 1)])
def test_over_all_assignments_the_interval_covers_exactly_as_often_as_its_level_allows(n, k, level):
    # Closure at random among fixed firms: of N assignments exactly floor((1 - level) N) intervals
    # may miss.
    untreated = np.random.default_rng(9).standard_cauchy(size=n)
    drawn = assignments(n, k)
    shift = 1.3
    misses = 0
    for treated in drawn:
        rows = permutation_did(untreated + shift * treated, treated, level=level).rows
        low, high = (
            rows[["conf_low", "conf_high"]]
            .fillna({"conf_low": -np.inf, "conf_high": np.inf})
            .iloc[0]
        )
        misses += not low <= shift <= high
    assert misses == int((1 - level) * len(drawn) + 1e-9)


def error_of(p):
    return 4 * np.sqrt(p * (1 - p) / DRAWS) + 2 / DRAWS


def test_step_down_p_values_of_independent_tests_are_holm_and_sidak_s():
    t = np.array([2.9, 0.3, -2.2, 1.4, -3.1])
    found = romano_wolf(t, np.eye(5))
    sidak = multipletests(found["p_value"], method="holm-sidak")[1]
    np.testing.assert_array_less(np.abs(found["p_adjusted"] - sidak), error_of(sidak))
    assert list(found["rank"]) == [2, 5, 3, 4, 1]


@pytest.mark.parametrize("correlation", [0.3, 0.9])
def test_step_down_p_values_lie_between_one_test_s_and_holm_s_and_keep_the_order(correlation):
    joint = np.full((6, 6), correlation) + (1 - correlation) * np.eye(6)
    scale = np.array([1, 5, 0.1, 2, 3, 1.0])
    t = np.array([2.6, 2.4, -2.2, 1.9, 0.4, -1.1])
    found = romano_wolf(t * scale, joint * np.outer(scale, scale))
    holm = multipletests(found["p_value"], method="holm")[1]
    assert (found["p_adjusted"] <= holm + error_of(holm)).all()
    assert (found["p_adjusted"] >= found["p_value"] - error_of(found["p_value"])).all()
    by_size = found.sort_values("rank")
    assert (np.diff(np.abs(by_size["t"])) <= 0).all()
    assert (np.diff(by_size["p_adjusted"]) >= 0).all()
    last = by_size.iloc[-1]  # the last step is a single test
    assert last["p_adjusted"] == pytest.approx(last["p_value"], abs=error_of(last["p_value"]))
    single = romano_wolf(t * scale, np.diag(scale**2))
    assert found["p_adjusted"][0] < single["p_adjusted"][0]  # what goes together costs less


def test_tests_that_are_one_test_are_not_adjusted():
    found = romano_wolf(
        np.array([2.0, 2.0, 4.0]), np.ones((3, 3)) * [[1, 1, 2], [1, 1, 2], [2, 2, 4]]
    )
    p = 2 * stats.norm.sf(2.0)
    np.testing.assert_allclose(found["p_adjusted"], p, atol=4 * np.sqrt(p / 20_000))


@pytest.mark.parametrize("df", [4.0, np.array([3.0, 12.0, np.inf, 5.0])])
def test_a_family_of_few_degrees_of_freedom_is_rejected_less(df):
    joint = np.full((4, 4), 0.5) + 0.5 * np.eye(4)
    t = np.array([2.6, -2.4, 1.2, 3.5])
    known = romano_wolf(t, joint)
    found = romano_wolf(t, joint, df=df)
    np.testing.assert_allclose(found["p_value"], 2 * stats.t.sf(np.abs(t), df), rtol=1e-12)
    few = np.isfinite(np.broadcast_to(df, 4))
    assert (found["p_value"] > known["p_value"])[few].all()
    assert (found["p_adjusted"] > known["p_adjusted"])[few].all()
    assert (found["p_adjusted"] >= known["p_adjusted"]).all()
    assert (found["p_adjusted"] >= found["p_value"] - error_of(found["p_value"])).all()
    assert list(found["rank"]) == list(
        found["p_value"].rank()
    )  # the surest first, which need not be the largest t
    same = romano_wolf(t, joint, df=np.full(4, 1e7))
    np.testing.assert_allclose(same["p_adjusted"], known["p_adjusted"], atol=0.01)


@pytest.mark.parametrize("df", [4, np.inf])
def test_the_family_is_wrong_as_rarely_as_promised_also_with_few_clusters(monkeypatch, df):
    monkeypatch.setattr("fewtreated.testing.DRAWS", 2000)
    rng = np.random.default_rng(3)
    runs = 400
    joint = np.full((4, 4), 0.5) + 0.5 * np.eye(4)
    # all errors go up and down together
    if df < np.inf:
        spread = rng.chisquare(df, size=runs) / df
    else:
        spread = np.ones(runs)
    drawn = list(zip(rng.multivariate_normal(np.zeros(4), joint, size=runs), spread, strict=True))
    false = {
        known: np.mean(
            [romano_wolf(t, one * joint, df=known)["p_adjusted"].min() < 0.1 for t, one in drawn]
        )
        for known in {df, np.inf}
    }
    assert abs(false[df] - 0.1) < 4 * np.sqrt(0.1 * 0.9 / runs)
    assert df == np.inf or false[np.inf] > 0.17


def test_an_adjusted_p_value_is_never_below_that_of_the_test_alone():
    for t in np.arange(0, 5, 0.1):
        alone = romano_wolf(np.array([t]), np.eye(1))
        assert alone["p_adjusted"][0] >= alone["p_value"][0]


def test_an_estimate_is_a_family_with_its_covariance_and_degrees_of_freedom():
    value = np.array([2.5, 1.0])
    found = Estimate(
        estimand="both", unit="", terms=("a", "b"), value=value, covariance=np.eye(2), max_df=7
    )
    adjusted = romano_wolf(found)
    assert adjusted.index.tolist() == ["a", "b"]
    pd.testing.assert_frame_equal(
        adjusted.reset_index(drop=True), romano_wolf(found.value, np.eye(2), df=7)
    )


def normal_means(rng, clusters, effects, shift=0.0):
    """Return means of normal clusters, an Estimate with their unbiased covariance."""
    x = rng.normal(size=(clusters, effects)) @ rng.normal(size=(effects, effects)) + shift
    scores = (x - x.mean(axis=0)) / np.sqrt(clusters * (clusters - 1))
    terms = tuple(str(term) for term in range(effects))
    options = {"scores": scores, "max_df": clusters - 1}
    return Estimate(estimand="means", unit="", terms=terms, value=x.mean(axis=0), **options), x


def test_the_joint_test_is_hotelling_s_and_does_not_depend_on_the_basis():
    made, x = normal_means(np.random.default_rng(3), 400, 3)
    found = all_zero(made)
    distance = 400 * x.mean(axis=0) @ np.linalg.solve(np.cov(x.T), x.mean(axis=0))
    assert found.statistic == pytest.approx(distance, rel=1e-9)
    share = found.df[1] / made.joint_df
    assert found.df == (3, pytest.approx(made.joint_df - 2))
    expected = stats.f.sf(found.statistic * share / 3, *found.df)
    assert found.p_value == pytest.approx(expected, rel=1e-12)
    mixed = replace(made, value=made.value[::-1] * 2, scores=made.scores[:, ::-1] * 2)
    again = all_zero(replace(mixed, covariance=None))
    assert (again.statistic, again.p_value) == pytest.approx((found.statistic, found.p_value))


def test_the_joint_test_of_one_effect_is_that_of_student_s_t():
    made, _ = normal_means(np.random.default_rng(4), 9, 1)
    assert all_zero(made).p_value == pytest.approx(made.tidy()["p.value"][0], rel=1e-9)


def test_the_joint_test_keeps_its_size_where_a_chi_square_does_not():
    rng = np.random.default_rng(5)
    found = [all_zero(normal_means(rng, 10, 3)[0]) for _ in range(500)]
    error = np.sqrt(0.05 * 0.95 / 500)
    assert np.mean([test.p_value < 0.05 for test in found]) < 0.05 + 3 * error
    assert np.mean([stats.chi2.sf(test.statistic, 3) < 0.05 for test in found]) > 0.15
    made, _ = normal_means(rng, 10, 3, shift=9.0)
    assert all_zero(made).p_value < 0.05


def test_the_joint_test_says_why_it_has_no_number():
    rng = np.random.default_rng(6)
    many_means, _ = normal_means(rng, 5, 5)
    many = all_zero(many_means)
    assert np.isnan([many.statistic, many.p_value]).all()
    assert f": 5 effects, but clusters leave {many_means.joint_df:.3g} degrees" in str(many)
    assert len(many.rows) == 1
    assert "NaN" not in repr(many)
    one = normal_means(rng, 30, 1)[0]
    twice = one.delta_method(lambda x: {"a": x[0], "b": 2 * x[0]}, estimand="twice", unit="")
    assert all_zero(twice).reason == "the covariance of 2 effects has no inverse"
    nothing = replace(twice, covariance=np.zeros((2, 2)), scores=None)
    assert all_zero(nothing).reason == "no effect has a standard error"
