"""Requests that estimators and tests refuse, with the message: the cases are in
cases/estimators.yml.
"""

from pathlib import Path

import numpy as np
import pytest
import yaml
from fewtreated.estimators.abnormal_returns import MIN_DAYS, abnormal_returns, market_rank
from fewtreated.estimators.att_gt import att_gt
from fewtreated.estimators.exposure import exposure_effects
from fewtreated.estimators.honest_did import honest_bounds
from fewtreated.estimators.power import minimum_detectable_effect
from fewtreated.estimators.survival import exit_survival
from fewtreated.estimators.synthetic import permutation_did, synthetic_did
from fewtreated.estimators.units import usable_units
from fewtreated.testing import (
    assignments,
    largest_std_error,
    noninferiority,
    redraw_closures,
    romano_wolf,
)
from numpy import inf, nan

from fewtreated import errors

Y = 10 - np.arange(30.0).reshape(5, 6)
FIRST = np.array([2.0, 3.0, inf, inf, inf])
SALES = np.ones(10)
HELD = np.arange(1, 11) / 100
CASES = [
    (case, estimator)
    for case in yaml.safe_load(
        (Path(__file__).parent / "cases" / "estimators.yml").read_text(encoding="utf-8")
    )
    for estimator in case.get("of", [""])
]


def units(estimator, **options):
    return estimator(**{"y": Y, "first_treated": FIRST} | options)


def exposed(**options):
    return exposure_effects(**{"before": SALES, "after": SALES, "exposure": HELD} | options)


def few(estimator, treated):
    if estimator is permutation_did:
        return estimator(Y[:4, 0], treated)
    return estimator(Y[:4], treated, 3)


def shares(
    days=120,
    traded=120,
    firms=None,
    first=100,
    market=0.01,
):
    """Return abnormal returns of two firms, the second of which trades on the first days alone."""
    returns = np.random.default_rng(0).normal(size=(2, 120))
    returns[1, traded:] = nan
    event = {"event": (first, first + 4)}
    return abnormal_returns(
        returns, np.full(days, market), estimation=(5, 95), event=event, firms=firms
    )


def survival(**options):
    """Return months alive of thirty units that sell for 20 months, half of them treated; every
    third exits.
    """
    sales = (np.arange(20) < np.where(np.arange(30) % 3 == 0, 10, 20)[:, np.newaxis]) * 1.0
    units = {"sales": sales, "start": np.full(30, 4), "treated": np.arange(30) % 2 == 0} | options
    return exit_survival(**units)


def placebos(first=(2.0, 2.0, *[inf] * 38), **options):
    def estimator(y, dates, rows):
        return att_gt(y, dates).aggregate()

    y = np.random.default_rng(0).normal(size=(40, 4))
    options = {"strata": np.zeros(40), "draws": 30, "estimator": estimator} | options
    return minimum_detectable_effect(y, np.array(first), **options)


NAMES = {
    **{"np": np, "inf": inf, "nan": nan, "Y": Y, "FIRST": FIRST, "SALES": SALES, "HELD": HELD},
    "ONE": np.arange(4) == 0,
    "TWO": np.eye(2),
    "STUDY": {"estimates": np.arange(7.0), "covariance": np.eye(7), "n_pre": 4, "n_post": 3},
}
CALLS = (
    *(units, exposed, few, shares, survival, placebos, att_gt, usable_units, permutation_did),
    *(
        synthetic_did,
        honest_bounds,
        market_rank,
        noninferiority,
        largest_std_error,
        assignments,
    ),
    *(redraw_closures, romano_wolf),
)
NAMES |= {call.__name__: call for call in CALLS}


@pytest.mark.parametrize(
    ("case", "estimator"), CASES, ids=[f"{of} {case['says']}" for case, of in CASES]
)
def test_a_request_that_makes_no_estimate_is_refused(case, estimator):
    with pytest.raises(getattr(errors, case.get("error", "DesignError"))) as refused:
        eval(case["call"], NAMES | {"estimator": NAMES.get(estimator)})
    assert case["says"] in str(refused.value)


def test_the_fewest_days_of_a_market_model_are_enough():
    assert np.isfinite(shares(traded=5 + MIN_DAYS).details["beta"]).all()
