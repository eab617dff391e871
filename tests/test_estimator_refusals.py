"""Requests that estimators and tests refuse: a row of a table each, with the message."""

import numpy as np
import pytest

from analysis.errors import DesignError
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
