"""Requests that estimators and tests refuse: a row of a table each, with the message."""

import numpy as np
import pytest

from analysis.errors import DataError, DesignError
from analysis.estimators.abnormal_returns import MIN_DAYS, abnormal_returns, market_rank
from analysis.estimators.att_gt import att_gt
from analysis.estimators.cross_checks import doubly_robust, imputation
from analysis.estimators.exposure import exposure_effects
from analysis.estimators.honest_did import honest_bounds
from analysis.estimators.its import its_fan
from analysis.estimators.power import minimum_detectable_effect
from analysis.estimators.survival import exit_survival
from analysis.estimators.synthetic import permutation_did, synthetic_did
from analysis.testing import assignments, largest_std_error, noninferiority, redraw_closures, romano_wolf

TWO = np.eye(2)
TESTS = [
    (lambda: noninferiority(0.0, 0.0, 1.0), "Cannot use std_error = 0.0: it is not a positive number; give a finite"),
    (lambda: noninferiority(0.0, np.nan, 1.0), "Cannot use std_error = nan: "),
    (lambda: noninferiority(np.nan, 1.0, 2.0), "Cannot test an estimate of nan: it is not finite; "),
    (lambda: noninferiority(np.inf, 1.0, 2.0), "Cannot test an estimate of inf"),
    (lambda: noninferiority(0.0, 1.0, -2.0), "Cannot use margin = -2.0: "),
    (lambda: noninferiority(0.0, 1.0, np.inf), "Cannot use margin = inf: "),
    (
        lambda: noninferiority(0.0, 1.0, 1.0, 0.05),
        "Cannot use level = 0.05: it is not between 0.5 and 1; 0.95 is usual",
    ),
    (lambda: noninferiority(0.0, 1.0, 1.0, 1.0), "Cannot use level = 1.0: "),
    (lambda: largest_std_error(0.0), "Cannot use margin = 0.0: "),
    (lambda: largest_std_error(1.0, level=1.5), "Cannot use level = 1.5: "),
    (lambda: permutation_did(np.arange(8.0), np.arange(8) < 2, level=0.05), "Cannot use level = 0.05: "),
    (lambda: permutation_did(np.arange(8.0), np.arange(8) < 2, level=95.0), "Cannot use level = 95.0: "),
    (
        lambda: assignments(4, 0),
        "Cannot permute the treatment of 0 among 4 units: it takes at least one treated and one",
    ),
    (lambda: assignments(4, 4), "Cannot permute the treatment of 4 among 4 units: "),
    (lambda: assignments(60, 30), "Cannot list the assignments of 30 among 60 units: 118,264,581,564,861,424 are more"),
    (
        lambda: romano_wolf([1, 2], np.diag([1, 0])),
        "estimates [1.0, 2.0], variances [1.0, 0.0] and df inf: each must be",
    ),
    (
        lambda: redraw_closures([1, 1, 0, 0], [0, 0, 1, 1], np.random.default_rng(0), 3),
        "each of 2 strata all units are",
    ),
    (lambda: romano_wolf([1, 2], np.diag([1, np.nan])), "variances [1.0, nan] and df inf: "),
    (lambda: romano_wolf([1, np.nan], TWO, df=9), "Cannot test a family with the estimates [1.0, nan], "),
    (
        lambda: romano_wolf([1, 2], TWO, df=-1),
        "and df -1.0: each must be finite, and the latter two positive; leave out",
    ),
    (
        lambda: romano_wolf([1, 2], np.eye(3), df=9),
        "have shapes (2,), (3, 3) and (); give an Estimate, or estimates[term",
    ),
    (lambda: romano_wolf([1, 2], TWO, df=[9, 9, 9]), "have shapes (2,), (2, 2) and (3,); "),
    (lambda: romano_wolf([1, 2], None, df=9), "have shapes (2,), () and (); "),
]


@pytest.mark.parametrize(("call", "message"), TESTS, ids=[message for _, message in TESTS])
def test_a_test_of_numbers_that_make_none_is_refused(call, message):
    with pytest.raises(DesignError) as refused:
        call()
    assert message in str(refused.value)


Y = 10 - np.arange(30.0).reshape(5, 6)
FIRST = np.array([2.0, 3.0, np.inf, np.inf, np.inf])
UNITS = [
    ({"first_treated": np.full(5, np.inf)}, "of 5 units that can be used 0 are treated in the window and 5 never; "),
    ({"first_treated": np.full(5, 3.0)}, "5 are treated in the window and 0 never; add units or widen the window"),
    ({"first_treated": [0.0, 0.0, np.inf, np.inf, np.inf]}, "of 3 units that can be used 0 are treated in the window"),
    ({"first_treated": [0.0, 0.0, np.inf, np.inf, np.inf]}, "2 units have no period before treatment, and so are"),
    ({"first_treated": np.full(5, np.nan)}, "and 5 units have no date; give one row for each unit, and inf for never"),
    ({"first_treated": np.zeros(3)}, "their shapes are (5, 6), (3,), (5, 0) and (5,)"),
    ({"weights": np.ones(3)}, "their shapes are (5, 6), (5,), (5, 0) and (3,)"),
    ({"weights": [0.0, 0.0, 1.0, 1.0, 1.0]}, "Cannot weight units by 0: 2 of 5 weights are not positive numbers"),
    ({"weights": [np.inf, 1.0, 1.0, 1.0, 1.0]}, "Cannot weight units by inf: 1 of 5"),
    ({"weights": [np.nan, 1.0, 1.0, 1.0, 1.0]}, "Cannot weight units by nan: 1 of 5"),
    ({"scale": "ratio"}, "Cannot use the ratio scale: 19 outcomes are negative; use the level scale"),
    ({"scale": "log"}, "Cannot use scale = 'log': it is none of level, ratio"),
    ({"level": 95}, "Cannot use level = 95: "),
]


@pytest.mark.parametrize("estimator", [att_gt, doubly_robust, imputation])
@pytest.mark.parametrize(("options", "message"), UNITS, ids=[message for _, message in UNITS])
def test_effects_that_cannot_be_estimated_are_refused(estimator, options, message):
    with pytest.raises(DesignError) as refused:
        estimator(**{"y": Y, "first_treated": FIRST} | options)
    assert message in str(refused.value)


@pytest.mark.parametrize("estimator", [doubly_robust, imputation])
@pytest.mark.parametrize("covariates", [np.ones((3, 1)), np.ones(5)])
def test_covariates_of_another_shape_are_refused(estimator, covariates):
    with pytest.raises(DesignError, match=r"their shapes are \(5, 6\), \(5,\), \((3, 1|5,)\) and \(5,\)"):
        estimator(Y, FIRST, covariates)


def test_a_treated_group_without_comparison_in_its_stratum_is_refused():
    with pytest.raises(DesignError, match="of 5 units in 3 groups, no treated group has a comparison; add untreated"):
        att_gt(Y, FIRST, strata=np.isinf(FIRST))


SALES, HELD = np.ones(10), np.arange(1, 11) / 100
EXPOSURES = [
    ({"before": np.full(10, np.nan)}, DesignError, "0 of 10 units have sales in all months and an exposure; choose"),
    ({"exposure": 0 * HELD}, DesignError, "no single finite solution: exposure does not vary"),
    ({"covariates": {"same": HELD}}, DesignError, "varies together with another"),
    ({"redrawn": [HELD], "covariates": {"risk": HELD}}, DesignError, "covariates ['risk'] with redrawn exposures: the"),
    ({"level": 95}, DesignError, "Cannot use level = 95: "),
    ({"exposure": 100 * HELD}, DataError, "Cannot use an exposure of 2, and of 8 more units: it is not a share from 0"),
    ({"exposure": -HELD}, DataError, "Cannot use an exposure of -0.01, and of 9 more units"),
    (
        {"before": -SALES},
        DataError,
        "Cannot use sales before of -1, and of 9 more units: they are negative or infinite",
    ),
    ({"after": np.inf * SALES}, DataError, "Cannot use sales after of inf, and of 9 more units"),
    ({"bins": (0.05, 0.02)}, DesignError, "Cannot use the edges [0.05, 0.02] between bins: they do not rise, or are"),
    ({"bins": (2, 5)}, DesignError, "Cannot use the edges [2.0, 5.0] between bins"),
    ({"exposure": HELD[:2]}, DesignError, "their shapes are (10,), (10,) and (2,); give one number of each for each"),
]


@pytest.mark.parametrize(("options", "error", "message"), EXPOSURES, ids=[message for *_, message in EXPOSURES])
def test_exposures_without_an_effect_are_refused(options, error, message):
    with pytest.raises(error) as refused:
        exposure_effects(**{"before": SALES, "after": SALES, "exposure": HELD} | options)
    assert message in str(refused.value)


ONE = np.arange(4) == 0
FEW = [
    (permutation_did, (SALES, ONE), "their shapes are (10,) and (4,); give one of each for each unit"),
    (permutation_did, (np.ones((2, 2)), np.ones((2, 2), dtype=bool)), "their shapes are (2, 2) and (2, 2)"),
    (permutation_did, ([1, np.nan, np.inf, 1], ONE), "Cannot compare changes: 2 are not finite; drop those units"),
    (permutation_did, (np.ones(4), ONE & False), "Cannot permute the treatment of 0 among 4 units"),
    (
        synthetic_did,
        (Y[:4].T, ONE, 3),
        "Cannot match y and treated: their shapes are (6, 4) and (4,); give y[unit, time]",
    ),
    (synthetic_did, (np.where(Y[:4] == 7, np.nan, Y[:4]), ONE, 3), "an unbalanced panel: 1 cells are missing; drop"),
    (synthetic_did, (Y[:4], ONE, 2.0), "Cannot use first_post = 2.0: it is not a whole number; give an int"),
    (
        synthetic_did,
        (Y[:4], ONE, 0),
        "Cannot compare before and after first_post = 0: y has 6 periods; leave at least one",
    ),
    (synthetic_did, (Y[:4], ONE, 6), "Cannot compare before and after first_post = 6: y has 6 periods"),
    (
        synthetic_did,
        (Y[:4], ~ONE, 3),
        "Cannot weight donors: 3 of 4 units are treated, and at least one must be, and two",
    ),
    (synthetic_did, (Y[:4], ONE & False, 3), "Cannot weight donors: 0 of 4 units are treated"),
]
FEW += [
    (estimator, (Y[:4, 0], treated) if estimator is permutation_did else (Y[:4], treated, 3), message)
    for estimator in (permutation_did, synthetic_did)
    for treated, message in (
        (
            [1, 0, np.nan, 2],
            "2 of 4 values are neither true nor false, the first nan at 2; drop those units or set them",
        ),
        ([0, 2, 0, 0], "1 of 4 values are neither true nor false, the first 2 at 1"),
        (["1", "0", "0", "0"], "4 of 4 values are neither true nor false, the first '1'"),
        ([True, None, False, False], "1 of 4 values are neither true nor false, the first None"),
    )
]


@pytest.mark.parametrize(("estimator", "arguments", "message"), FEW)
def test_a_handful_of_units_that_cannot_be_compared_is_refused(estimator, arguments, message):
    with pytest.raises(DesignError) as refused:
        estimator(*arguments)
    assert message in str(refused.value)


def test_an_unknown_method_and_a_ratio_of_variances_that_is_none_are_refused():
    with pytest.raises(DesignError, match="Cannot use method = 'scm': it is none of sdid, sc, did"):
        synthetic_did(Y[:4], ONE, 3, method="scm")
    for ratio in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(DesignError, match=f"Cannot use ratio = {ratio}: a ratio of variances is a positive number"):
            permutation_did(np.arange(4.0), ONE, ratio=ratio)


def shares(days: int = 120, traded: int = 120, firms: list[str] | None = None, first: int = 100, market: float = 0.01):
    """Return abnormal returns of two firms, the second of which trades on the first days alone."""
    returns = np.random.default_rng(0).normal(size=(2, 120))
    returns[1, traded:] = np.nan
    event = {"event": (first, first + 4)}
    return abnormal_returns(returns, np.full(days, market), estimation=(5, 95), event=event, firms=firms)


def survival(**options):
    """Return months alive of thirty units that sell for 20 months, half of them treated; every third exits."""
    sales = (np.arange(20) < np.where(np.arange(30) % 3 == 0, 10, 20)[:, np.newaxis]) * 1.0
    units = {"sales": sales, "start": np.full(30, 4), "treated": np.arange(30) % 2 == 0} | options
    return exit_survival(**units)


def placebos(first=(2.0, 2.0, *[np.inf] * 38), **options):
    def estimator(y, dates, rows):
        return att_gt(y, dates).aggregate()

    y = np.random.default_rng(0).normal(size=(40, 4))
    options = {"strata": np.zeros(40), "draws": 30, "estimator": estimator} | options
    return minimum_detectable_effect(y, np.array(first), **options)


OTHERS = [
    (
        lambda: its_fan(np.ones((2, 9)), 5, unit=""),
        "Cannot fit a series of shape (2, 9) with 0 missing values: it must",
    ),
    (lambda: its_fan([1.0, np.nan] * 6, 6, unit=""), "Cannot fit a series of shape (12,) with 6 missing values"),
    (
        lambda: its_fan(np.ones(12), 3, unit=""),
        "a break at quarter 3 of 12: it takes 4 quarters before and 4 after; use",
    ),
    (lambda: its_fan(np.ones(12), 9, unit=""), "a break at quarter 9 of 12: it takes 4 quarters before and 4 after"),
    (
        lambda: shares(first=94),
        "Cannot use window 'event' from day 94: the estimation window ends at 95; start it after",
    ),
    (
        lambda: shares(days=119),
        "Cannot fit a market model: the market has shape (119,) for 120 days, or a missing return",
    ),
    (
        lambda: shares(market=np.nan),
        "Cannot fit a market model: the market has shape (120,) for 120 days, or a missing",
    ),
    (lambda: shares(traded=64), "firm 1 has 59 days in the estimation window, and it takes 60; lengthen it"),
    (lambda: shares(traded=64, firms=["Anker", "Tiza"]), "firm Tiza has 59 days in the estimation window"),
    (lambda: survival(horizon=40), "months alive within 40: one group is followed for 14 months at most; shorten the"),
    (lambda: survival(horizon=0), "Cannot estimate months alive within 0"),
    (lambda: survival(treated=np.ones(30, bool)), "30 treated and 0 comparison units are at risk"),
    (lambda: survival(sales=np.ones((30, 20))), "none of 30 units exits; follow them for longer"),
    (lambda: survival(strata=np.arange(30)), "and 15 strata of treated units have no comparison; use coarser strata"),
    (lambda: placebos([np.inf] * 40), "Cannot draw placebo closures: none of 40 units is treated; give the real"),
    (lambda: placebos([2.0] * 21 + [np.inf] * 19), "stratum 0.0 has 21 treated and 19 untreated units, which must be"),
    (lambda: placebos(strata=np.arange(40)), "stratum 0 has 1 treated and 0 untreated units"),
    (lambda: placebos(level=0.05), "Cannot use level = 0.05"),
    (
        lambda: placebos(draws=5),
        "Cannot estimate a detectable effect: 5 of 5 placebo draws gave an estimate with an error",
    ),
    (lambda: placebos(draws=5.0), "Cannot use draws = 5.0: it is not a whole number"),
]

STUDY = {"estimates": np.arange(7.0), "covariance": np.eye(7), "n_pre": 4, "n_post": 3}
OTHERS += [
    (lambda: honest_bounds(**STUDY | {"n_pre": 1, "n_post": 6}), "by 1 coefficients before and 6 after treatment: it"),
    (lambda: honest_bounds(**STUDY | {"n_pre": 7, "n_post": 0}), "by 7 coefficients before and 0 after treatment"),
    (lambda: honest_bounds(**STUDY, level=95), "Cannot use level = 95"),
    (
        lambda: honest_bounds(**STUDY | {"covariance": np.full((7, 7), 1e-4)}),
        "5 steps between neighbouring periods",
    ),
    (
        lambda: honest_bounds(**STUDY).conf_int([1.0, -0.5]),
        "sensitivities [1.0, -0.5]: they are negative or not",
    ),
    (lambda: honest_bounds(**STUDY).conf_int(np.inf), "sensitivities [inf]"),
]


@pytest.mark.parametrize(("call", "message"), OTHERS, ids=[message for _, message in OTHERS])
def test_series_and_panels_that_cannot_carry_an_estimate_are_refused(call, message):
    with pytest.raises(DesignError) as refused:
        call()
    assert message in str(refused.value)


def test_the_fewest_days_of_a_market_model_are_enough():
    assert np.isfinite(shares(traded=5 + MIN_DAYS).details["beta"]).all()


@pytest.mark.parametrize(("car", "values"), [(np.nan, [0.0, 1.0]), (0.5, [1.0, 0.0])])
def test_a_rank_of_nothing_or_in_an_unsorted_market_is_refused(car, values):
    with pytest.raises(DataError, match="sort the file by rank and leave out shares without trade"):
        market_rank(car, np.array([1, 2]), np.array(values), 2, rounding=0.0)


def test_bounds_of_a_study_with_a_missing_estimate_are_refused():
    with pytest.raises(DataError, match="1 estimates and covariances are not finite; leave out periods without an"):
        honest_bounds(**STUDY | {"estimates": [*range(6), np.nan]})
