"""Requests that estimators and tests refuse: a row of a table each, with the message."""

import numpy as np
import pytest

from analysis.errors import DesignError
from analysis.estimators.att_gt import att_gt
from analysis.estimators.cross_checks import doubly_robust, imputation
from analysis.estimators.synthetic import permutation_did
from analysis.testing import assignments, largest_std_error, noninferiority, romano_wolf

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
