"""Detectable effects by placebo closures, against the textbook formula and against other draws."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fewtreated.estimate import Estimate
from fewtreated.estimators.att_gt import att_gt
from fewtreated.estimators.power import detectable, minimum_detectable_effect
from scipy import stats

N = 150
T = 4
Z = stats.norm.ppf(0.975)


def panel(seed):
    rng = np.random.default_rng(seed)
    first = np.full(N, np.inf)
    first[:15] = 2.0
    first[15:25] = 3.0
    return rng.normal(size=(N, 1)) + rng.normal(size=(N, T)), first


def last_change(y, first, rows):
    """Difference in mean changes from the first to the last period, treated less others."""
    change = y[:, -1] - y[:, 0]
    treated = np.isfinite(first)
    value = change[treated].mean() - change[~treated].mean()
    variance = sum(part.var(ddof=1) / len(part) for part in (change[treated], change[~treated]))
    known = {"value": np.array([value]), "covariance": np.array([[variance]])}
    return Estimate(estimand="d", unit="units of y", terms=("d",), n=len(rows), **known)


def simple(y, first, rows):
    return att_gt(y, first).aggregate()


def smallest(y, first, strata=np.zeros(N), **options):  # noqa: B008
    return minimum_detectable_effect(y, first, strata=strata[: len(y)], **options)


def test_on_a_normal_panel_it_is_the_textbook_formula():
    y, first = panel(1)
    found = smallest(y, first, estimator=last_change, draws=1000).rows.set_index("term")
    change = (y[:, -1] - y[:, 0])[np.isinf(first)]
    error = change.std(ddof=1) * np.sqrt(1 / 25 + 1 / 100)
    textbook = (Z + stats.norm.ppf(0.8)) * error
    for term in ("fall", "fall, usual"):
        # beside the Monte Carlo error: the error of a draw is estimated from 25 units, 2 % each way
        assert (
            abs(found.loc[term, "estimate"] - textbook)
            < 4 * found.loc[term, "std_error"] + 0.02 * textbook
        )
    size = found.loc["size, usual"]
    assert abs(size["estimate"] - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 1000) + 0.01


@pytest.mark.parametrize("scale", ["level", "ratio"])
def test_an_effect_on_the_panel_moves_each_placebo_by_just_that(scale):
    y, first = panel(2)
    y = np.exp(y / 2)

    def estimator(values, dates, _):
        return att_gt(values, dates, scale=scale).aggregate("simple")

    def with_effect(values, dates, rows):
        treated = np.arange(T) >= dates[:, None]
        if scale == "level":
            moved = values + 0.4 * treated
        else:
            moved = values * np.exp(0.4 * treated)
        return estimator(moved, dates, rows)

    plain, moved = (
        smallest(y, first, estimator=way, draws=30).details["placebos"]
        for way in (estimator, with_effect)
    )
    np.testing.assert_allclose(moved[:, 0], plain[:, 0] + 0.4, rtol=1e-9)
    np.testing.assert_allclose(moved[:, 1], plain[:, 1], rtol=1e-9)


def test_an_effect_of_this_size_is_found_with_this_power_in_other_draws():
    y, first = panel(2)
    y = np.exp(y / 2)
    found = smallest(y, first, estimator=last_change, draws=600)
    critical = found.details["critical"]
    fall = found.row("fall")["estimate"]
    for seed, allowed in ((0, 1 / 600), (1, 4 * np.sqrt(2 * 0.8 * 0.2 / 600))):
        other = smallest(y, first, estimator=last_change, draws=600, seed=seed)
        estimate, error = other.details["placebos"].T
        assert (estimate - fall < -critical * error).mean() == pytest.approx(0.8, abs=allowed)


def test_it_moves_with_the_unit_of_y_and_grows_with_the_level():
    y, first = panel(3)
    plain = smallest(y, first, estimator=simple, draws=25).rows
    scaled = smallest(6.49 * y, first, estimator=simple, draws=25).rows
    np.testing.assert_allclose(scaled["estimate"][:2], 6.49 * plain["estimate"][:2], rtol=1e-9)
    assert scaled["estimate"][2] == plain["estimate"][2]
    arguments = {"estimator": last_change, "draws": 200}
    plain = smallest(y, first, **arguments).rows["estimate"]
    harder = smallest(y, first, **arguments, level=0.99).rows["estimate"]
    assert (harder[:2] > plain[:2]).all()


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
    again = smallest(y, first, estimator=last_change, draws=30, strata=strata)
    pd.testing.assert_frame_equal(found.rows, again.rows)


def test_a_test_that_rejects_too_often_is_said_to_and_made_to_pay():
    rng = np.random.default_rng(5)
    first = np.full(90, np.inf)
    first[:3] = 2.0
    y = np.where(rng.random((90, T)) < 0.1, 50.0, 1.0) * rng.lognormal(size=(90, T))

    def normal(values, dates, rows):
        return replace(simple(values, dates, rows), max_df=np.inf)

    found = smallest(y, first, estimator=normal, draws=80).rows.set_index("term")["estimate"]
    assert found["size, usual"] > 0.1
    assert found["fall"] > found["fall, usual"]
    own = smallest(y, first, estimator=simple, draws=80).rows.set_index("term")["estimate"]
    assert own["size, usual"] < 0.1 < found["size, usual"]


def rows_of(unit, estimate, error, ends):
    return pd.DataFrame(
        {
            "unit": [unit],
            "estimate": estimate,
            "std_error": error,
            "conf_low": ends[0],
            "conf_high": ends[1],
        }
    )


def test_a_level_needs_z_of_the_test_and_of_the_power_together():
    found = detectable(rows_of("yuan", 3.0, 2.0, (-0.9, 6.9)), level=0.95)
    assert found == pytest.approx([2 * (stats.norm.ppf(0.975) + stats.norm.ppf(0.8))], rel=1e-12)


@pytest.mark.parametrize("estimate", [-30.0, 0.0, 80.0])
def test_a_ratio_is_a_fall_whatever_was_estimated_and_larger_where_the_interval_is_longer(estimate):
    logs = np.log1p(estimate / 100)
    error = 0.1
    ends = [100 * np.expm1(logs + sign * reach * error) for reach in (Z, 3.0) for sign in (-1, 1)]
    few, many = (
        detectable(rows_of("per cent", estimate, (100 + estimate) * error, limits), level=0.95)[0]
        for limits in (ends[2:], ends[:2])
    )
    assert many == pytest.approx(100 * -np.expm1(-(Z + stats.norm.ppf(0.8)) * error), rel=1e-12)
    assert few == pytest.approx(
        100 * -np.expm1(-(Z + stats.norm.ppf(0.8)) * error * 3.0 / Z), rel=1e-12
    )
    unknown = rows_of("per cent", estimate, (100 + estimate) * error, (np.nan, np.nan))
    assert detectable(unknown, level=0.95) == pytest.approx([many], rel=1e-12)
