"""The fan of interrupted time series: each specification against statsmodels, and placebos."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy import stats

from analysis.estimators.its import COMPONENTS, FORMULAS, MIN_BEFORE, its_fan

FIRST, HORIZON, LAGS = 14, 4, 4
SPECIFICATIONS = [*FORMULAS, *COMPONENTS]
REGRESSORS = {  # written out, to hold the formulas against
    "shift": ["post"],
    "shift, trend": ["post", "t"],
    "shift, trend, bend": ["post", "t", "bend"],
    "shift, seasons": ["post", "q1", "q2", "q3"],
    "shift, trend, seasons": ["post", "t", "q1", "q2", "q3"],
}


def series(quarters: int = 22, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(quarters)
    return 10 + 0.2 * t + np.array([2, -1, 0, 3])[t % 4] + rng.normal(size=quarters) - 4 * (t >= FIRST)


def fan(y: np.ndarray, first: int = FIRST) -> pd.DataFrame:
    return fitted(tuple(y), first).copy()


@cache
def fitted(y: tuple[float, ...], first: int) -> pd.DataFrame:
    """Fit a series once for all tests that look at it."""
    return its_fan(np.array(y), first, horizon=HORIZON, unit="points").rows.set_index("term")


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressions_equal_least_squares_with_newey_west_errors(name):
    y, t = series()[: FIRST + HORIZON], np.arange(FIRST + HORIZON)
    post = (t >= FIRST) * 1.0
    columns = {"post": post, "t": t, "bend": post * (t - t[FIRST:].mean())} | {f"q{q}": t % 4 == q for q in (1, 2, 3)}
    design = np.column_stack([*(columns[column] for column in REGRESSORS[name]), np.ones(len(t))])
    options = {"cov_type": "HAC", "cov_kwds": {"maxlags": LAGS, "use_correction": True}, "use_t": True}
    fit = sm.OLS(y, design.astype(float)).fit(**options)
    row = fan(y).loc[name]
    assert row["estimate"] == pytest.approx(fit.params[0], abs=1e-10)
    assert row["std_error"] == pytest.approx(fit.bse[0], abs=1e-10)
    assert (row["conf_low"], row["conf_high"]) == pytest.approx(tuple(fit.conf_int()[0]), abs=1e-10)


@pytest.mark.parametrize("name", COMPONENTS)
def test_components_are_statsmodels_to_the_digits_that_an_optimiser_finds_everywhere(name):
    y = series()[: FIRST + HORIZON]
    post = (np.arange(len(y)) >= FIRST) * 1.0
    fit = sm.tsa.UnobservedComponents(y, level=name, exog=post[:, None]).fit(method="powell", disp=False)
    row = fan(y).loc[name]
    assert row["estimate"] == float(f"{fit.params[-1]:.6g}") == pytest.approx(fit.params[-1], rel=1e-5)
    assert row["std_error"] == float(f"{fit.bse[-1]:.6g}")


def test_intervals_use_student_t_for_regressions_and_the_normal_for_components():
    rows = its_fan(series(), FIRST, level=0.9, unit="points").rows.set_index("term")
    reach = (rows["conf_high"] - rows["estimate"]) / rows["std_error"]
    assert reach["shift"] == pytest.approx(stats.t.ppf(0.95, FIRST + HORIZON - 2))
    assert reach["shift, trend, seasons"] == pytest.approx(stats.t.ppf(0.95, FIRST + HORIZON - 6))
    assert reach["shift against the year before"] == pytest.approx(stats.t.ppf(0.95, 4 + HORIZON - 2))
    assert list(reach[["local level", "smooth trend"]]) == pytest.approx([stats.norm.ppf(0.95)] * 2)


def test_the_bend_is_the_mean_gap_between_two_lines_over_the_quarters_after():
    y, t = series(), np.arange(FIRST + HORIZON)
    before = np.polyfit(t[:FIRST], y[:FIRST], 1)
    gap = (y[FIRST : FIRST + HORIZON] - np.polyval(before, t[FIRST:])).mean()
    assert fan(y).loc["shift, trend, bend", "estimate"] == pytest.approx(gap, abs=1e-9)


def test_the_year_before_is_compared_with_the_quarters_after_only():
    y = series()
    expected = y[FIRST : FIRST + HORIZON].mean() - y[FIRST - 4 : FIRST].mean()
    row = fan(y).loc["shift against the year before"]
    assert row["estimate"] == pytest.approx(expected, abs=1e-10)
    assert row["n"] == 4 + HORIZON


def test_the_year_before_counts_its_own_quarters_and_takes_at_most_two_lags():
    y = series()
    year = y[FIRST - 4 : FIRST + HORIZON]
    post = (np.arange(len(year)) >= 4) * 1.0
    options = {"cov_type": "HAC", "cov_kwds": {"maxlags": 2, "use_correction": True}}
    fit = smf.ols("y ~ post", pd.DataFrame({"y": year, "post": post})).fit(**options)
    rows = fan(y)
    row = rows.loc["shift against the year before"]
    assert row["std_error"] == pytest.approx(fit.bse["post"], abs=1e-10)
    assert rows["n"].drop("shift against the year before").eq(FIRST + HORIZON).all()


def test_every_specification_finds_a_break_in_a_series_that_is_otherwise_flat():
    rng = np.random.default_rng(2)
    noise, size = 0.01, 5.0
    y = noise * rng.normal(size=24) + size * (np.arange(24) >= 20)
    # Ten times the noise: a trend that is free adds about four of its standard errors, the rest is room.
    rows = fan(y, first=20)
    assert rows.index.tolist() == SPECIFICATIONS
    assert rows["estimate"].tolist() == pytest.approx([size] * len(rows), abs=10 * noise)


def test_placebos_are_breaks_before_the_break_and_use_nothing_after_it():
    y = series()
    rows = fan(y)
    dates = range(MIN_BEFORE, FIRST - HORIZON + 1)
    by_hand = [y[date : date + HORIZON].mean() - y[:date].mean() for date in dates]
    row = rows.loc["shift"]
    assert (row["placebo_low"], row["placebo_high"]) == pytest.approx((min(by_hand), max(by_hand)), abs=1e-10)
    assert row["n_placebos"] == len(by_hand)
    other = y.copy()
    other[FIRST:] = 1000 - 50 * np.arange(len(y) - FIRST)
    changed = fan(other)
    columns = ["placebo_low", "placebo_high", "n_placebos"]
    pd.testing.assert_frame_equal(changed[columns], rows[columns])
    assert (changed["estimate"] - rows["estimate"]).abs().min() > 1


def test_outside_means_beyond_every_placebo_of_the_same_specification():
    y = series()
    moved = y + 100.0 * (np.arange(len(y)) >= FIRST)
    assert fan(moved)["outside"].tolist() == [True] * len(SPECIFICATIONS)
    rows = fan(y)
    by_hand = (rows["estimate"] < rows["placebo_low"]) | (rows["estimate"] > rows["placebo_high"])
    assert rows["outside"].dtype == bool
    assert rows["outside"].tolist() == by_hand.tolist()
    middle = rows.loc["shift", ["placebo_low", "placebo_high"]].mean()
    inside = y + (middle - rows.loc["shift", "estimate"]) * (np.arange(len(y)) >= FIRST)
    assert not fan(inside).loc["shift", "outside"]


def test_quarters_past_the_horizon_do_not_count():
    y = series()
    longer = np.append(y[: FIRST + HORIZON], [500.0, -500.0])
    pd.testing.assert_frame_equal(fan(longer), fan(y))


@pytest.mark.parametrize("shift", [-3.0, 250.0])
def test_a_level_common_to_all_quarters_changes_no_regression(shift):
    y = series()
    names = [name for name in SPECIFICATIONS if name.startswith("shift")]
    columns = ["estimate", "std_error", "placebo_low", "placebo_high"]
    pd.testing.assert_frame_equal(fan(y + shift).loc[names, columns], fan(y).loc[names, columns])


def test_the_fan_names_what_it_could_not_fit():
    found = its_fan(series()[:7], 4, horizon=3, unit="points")
    failed = found.rows.loc[found.rows["estimate"].isna(), "term"].tolist()
    assert "shift, trend, seasons" in failed  # six coefficients from seven quarters
    assert "shift" not in failed
    assert found.reason == f"too few quarters or no convergence: {', '.join(failed)}"
    assert (found.rows["n_placebos"] == 0).all()
    assert not found.rows["outside"].any()  # without placebos there is nothing to lie outside of


def test_a_fan_without_failures_gives_no_reason():
    assert its_fan(series(), FIRST, unit="points").reason == ""
