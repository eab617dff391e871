"""Detectable effects by placebo, and step-down p-values, each against a referee."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from analysis.effects import att_gt
from analysis.errors import DesignError
from analysis.inference import Estimate
from analysis.planning import minimum_detectable_effect
from analysis.testing import romano_wolf

N, T = 150, 4
Z = stats.norm.ppf(0.975)


def panel(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    first = np.full(N, np.inf)
    first[:15], first[15:25] = 2.0, 3.0
    return rng.normal(size=(N, 1)) + rng.normal(size=(N, T)), first


def last_change(y, first, rows) -> Estimate:
    """Difference in the mean change from the first to the last period, between treated and others."""
    change, treated = y[:, -1] - y[:, 0], np.isfinite(first)
    value = change[treated].mean() - change[~treated].mean()
    error = np.sqrt(sum(part.var(ddof=1) / len(part) for part in (change[treated], change[~treated])))
    row = {"term": ["d"], "estimate": value, "std_error": error, "conf_low": value, "conf_high": value, "n": len(rows)}
    return Estimate("d", "units of y", pd.DataFrame(row))


def test_on_a_normal_panel_it_is_the_textbook_formula():
    y, first = panel(1)
    found = minimum_detectable_effect(y, first, estimator=last_change, draws=1000).rows.set_index("term")
    change = (y[:, -1] - y[:, 0])[np.isinf(first)]
    error = change.std(ddof=1) * np.sqrt(1 / 25 + 1 / 100)
    textbook = (Z + stats.norm.ppf(0.8)) * error
    for term in ("increase", "decrease", "increase, normal", "decrease, normal"):
        # beside the Monte Carlo error: the error of a draw is estimated from 25 units, 2 % each way
        assert abs(found.loc[term, "estimate"] - textbook) < 4 * found.loc[term, "std_error"] + 0.02 * textbook
    size = found.loc["size, normal"]
    assert abs(size["estimate"] - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 1000) + 0.01


@pytest.mark.parametrize("scale", ["level", "ratio"])
def test_an_effect_on_the_panel_moves_each_placebo_by_just_that(scale):
    y, first = panel(2)
    y = np.exp(y / 2)

    def estimator(values, dates, _):
        return att_gt(values, dates, scale=scale).aggregate("simple", draws=1)

    def with_effect(values, dates, rows):
        treated = np.arange(T) >= dates[:, None]
        moved = values + 0.4 * treated if scale == "level" else values * np.exp(0.4 * treated)
        return estimator(moved, dates, rows)

    plain, moved = (
        minimum_detectable_effect(y, first, estimator=way, draws=30).details["placebos"]
        for way in (estimator, with_effect)
    )
    np.testing.assert_allclose(moved[:, 0], plain[:, 0] + 0.4, rtol=1e-9)
    np.testing.assert_allclose(moved[:, 1], plain[:, 1], rtol=1e-9)


def test_an_effect_of_this_size_is_found_with_this_power_in_other_draws():
    y, first = panel(2)
    y = np.exp(y / 2)
    found = minimum_detectable_effect(y, first, estimator=last_change, power=0.7, draws=600)
    critical = found.details["critical"]
    for term, sign in (("increase", 1), ("decrease", -1)):
        effect = sign * found.row(term)["estimate"]
        for seed, allowed in ((0, 1 / 600), (1, 4 * np.sqrt(2 * 0.7 * 0.3 / 600))):
            other = minimum_detectable_effect(y, first, estimator=last_change, draws=600, seed=seed)
            estimate, error = other.details["placebos"].T
            assert (sign * (estimate + effect) > critical * error).mean() == pytest.approx(0.7, abs=allowed)


def test_it_moves_with_the_unit_of_y_and_grows_with_power_and_level():
    y, first = panel(3)
    plain = minimum_detectable_effect(y, first, draws=25).rows
    scaled = minimum_detectable_effect(6.49 * y, first, draws=25).rows
    np.testing.assert_allclose(scaled["estimate"][:4], 6.49 * plain["estimate"][:4], rtol=1e-9)
    assert scaled["estimate"][4] == plain["estimate"][4]
    arguments = {"estimator": last_change, "draws": 200}
    plain = minimum_detectable_effect(y, first, **arguments).rows["estimate"]
    for more in ({"power": 0.9}, {"level": 0.99}):
        harder = minimum_detectable_effect(y, first, **arguments, **more).rows["estimate"]
        assert (harder[:4] > plain[:4]).all()


def test_placebos_keep_the_calendar_of_each_stratum_among_the_untreated():
    y, first = panel(4)
    strata = np.where(np.arange(N) % 3 == 0, "big", "small")
    calls = []

    def spy(values, dates, rows):
        np.testing.assert_array_equal(values, y[rows])
        assert np.isinf(first[rows]).all()
        for stratum in ("big", "small"):
            real = first[(strata == stratum) & np.isfinite(first)]
            placebo = dates[(strata[rows] == stratum) & np.isfinite(dates)]
            np.testing.assert_array_equal(np.sort(placebo), np.sort(real))
        calls.append(dates)
        return last_change(values, dates, rows)

    found = minimum_detectable_effect(y, first, estimator=spy, strata=strata, draws=30)
    assert len(np.unique(calls, axis=0)) == 30
    assert found.counts == {"untreated": 125, "treated": 25, "draws": 30}
    again = minimum_detectable_effect(y, first, estimator=last_change, strata=strata, draws=30)
    pd.testing.assert_frame_equal(found.rows, again.rows)


def test_a_test_that_rejects_too_often_is_said_to_and_made_to_pay():
    rng = np.random.default_rng(5)
    first = np.full(90, np.inf)
    first[:3] = 2.0
    y = np.where(rng.random((90, T)) < 0.1, 50.0, 1.0) * rng.lognormal(size=(90, T))
    found = minimum_detectable_effect(y, first, draws=80).rows.set_index("term")["estimate"]
    assert found["size, normal"] > 0.1
    assert found["increase"] > found["increase, normal"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"first_treated": np.full(N, np.inf)}, "none of 150 units is treated"),
        ({"first_treated": np.where(np.arange(N) < 80, 2.0, np.inf)}, "80 treated and 70 untreated units"),
        ({"first_treated": np.full(N, np.nan)}, "150 missing dates"),
        ({"strata": np.arange(N)}, "1 treated and 0 untreated units"),
        ({"power": 80}, "a power between 0 and 1 was asked for; found 80"),
        ({"level": 0.05}, "a level between 0.5 and 1"),
        ({"draws": 5}, "5 of 5 placebo draws gave an estimate"),
        ({"draws": 5.0}, "a whole number for draws"),
    ],
)
def test_an_effect_that_cannot_be_planned_is_refused(changes, message):
    y, first = panel(6)
    arguments = {"first_treated": first, "estimator": last_change} | changes
    with pytest.raises(DesignError) as refused:
        minimum_detectable_effect(y, arguments.pop("first_treated"), **arguments)
    assert message in str(refused.value)


DRAWS = 40_000


def error_of(p) -> np.ndarray:
    return 4 * np.sqrt(p * (1 - p) / DRAWS) + 2 / DRAWS


def test_step_down_p_values_of_independent_tests_are_holm_and_sidak_s():
    t = np.array([2.9, 0.3, -2.2, 1.4, -3.1])
    found = romano_wolf(t, covariance=np.eye(5), draws=DRAWS)
    sidak = multipletests(found["p_value"], method="holm-sidak")[1]
    np.testing.assert_array_less(np.abs(found["p_adjusted"] - sidak), error_of(sidak))
    assert list(found["rank"]) == [2, 5, 3, 4, 1]


@pytest.mark.parametrize("correlation", [0.3, 0.9])
def test_step_down_p_values_lie_between_one_test_s_and_holm_s_and_keep_the_order(correlation):
    joint = np.full((6, 6), correlation) + (1 - correlation) * np.eye(6)
    scale = np.array([1, 5, 0.1, 2, 3, 1.0])
    t = np.array([2.6, 2.4, -2.2, 1.9, 0.4, -1.1])
    found = romano_wolf(t * scale, covariance=joint * np.outer(scale, scale), draws=DRAWS)
    holm = multipletests(found["p_value"], method="holm")[1]
    assert (found["p_adjusted"] <= holm + error_of(holm)).all()
    assert (found["p_adjusted"] >= found["p_value"] - error_of(found["p_value"])).all()
    by_size = found.sort_values("rank")
    assert (np.diff(np.abs(by_size["t"])) <= 0).all()
    assert (np.diff(by_size["p_adjusted"]) >= 0).all()
    last = by_size.iloc[-1]  # the last step is a single test
    assert last["p_adjusted"] == pytest.approx(last["p_value"], abs=error_of(last["p_value"]))
    single = romano_wolf(t * scale, covariance=np.diag(scale**2), draws=DRAWS)
    assert found["p_adjusted"][0] < single["p_adjusted"][0]  # what goes together costs less


def test_tests_that_are_one_test_are_not_adjusted():
    found = romano_wolf(np.array([2.0, 2.0, 4.0]), covariance=np.ones((3, 3)) * [[1, 1, 2], [1, 1, 2], [2, 2, 4]])
    p = 2 * stats.norm.sf(2.0)
    np.testing.assert_allclose(found["p_adjusted"], p, atol=4 * np.sqrt(p / 20_000))


def test_influence_values_do_as_well_as_their_covariance():
    influence = np.random.default_rng(1).normal(size=(50, 3)) / 10
    estimates = np.array([1.0, 2.0, -1.5])
    pd.testing.assert_frame_equal(
        romano_wolf(estimates, influence=influence), romano_wolf(estimates, covariance=influence.T @ influence)
    )


def test_the_family_is_wrong_as_rarely_as_promised():
    rng, runs, joint = np.random.default_rng(2), 400, np.full((4, 4), 0.5) + 0.5 * np.eye(4)
    t = rng.multivariate_normal(np.zeros(4), joint, size=runs)
    false = [romano_wolf(row, covariance=joint, draws=2000)["p_adjusted"].min() < 0.1 for row in t]
    assert abs(np.mean(false) - 0.1) < 4 * np.sqrt(0.1 * 0.9 / runs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "found both or neither"),
        ({"covariance": np.eye(2), "influence": np.ones((5, 2))}, "found both or neither"),
        ({"covariance": np.eye(3)}, "found shapes (2,) and (3, 3)"),
        ({"covariance": np.diag([1.0, 0.0])}, "variances [1.0, 0.0]; leave out terms"),
        ({"covariance": np.diag([1.0, np.nan])}, "leave out terms that cannot be estimated"),
    ],
)
def test_a_family_without_a_joint_distribution_is_refused(arguments, message):
    with pytest.raises(DesignError) as refused:
        romano_wolf(np.array([1.0, 2.0]), **arguments)
    assert message in str(refused.value)
