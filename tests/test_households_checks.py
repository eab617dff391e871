"""Checks of what purchases of households say: each asks one thing otherwise, and is held against the plain estimate."""

import numpy as np
import pytest

from analysis.households import checks, estimates
from analysis.households.estimates import Asked, Households
from analysis.numbers import percent_change


@pytest.fixture(scope="module")
def households():
    return Households.load()


def test_what_is_asked_stands_first_and_each_other_row_is_the_estimate_asked_so(households):
    asked = Asked(against="other electronics")
    rows = checks.otherwise(households, asked).set_index("label")["estimate"]
    assert rows.index[0] == "as asked: definition either, against other electronics, purchases"
    assert rows.iloc[0] == pytest.approx(estimates.exposed(households, asked).exp().value[0])
    assert rows["against all others"] == pytest.approx(estimates.exposed(households).exp().value[0])
    spend = estimates.exposed(households, Asked(against="other electronics", of="spend"))
    assert rows["spend"] == pytest.approx(spend.exp().value[0])
    assert len(rows) == 1 + 2 + 1 + 2 + 2


def test_one_of_two_placebos_excludes_zero(households):
    rows = checks.placebos(households)
    assert ((rows["conf_low"] <= 0) & (rows["conf_high"] >= 0)).tolist() == [True, False]


def test_no_single_category_makes_the_fall_back(households):
    without = checks.without_each(households)
    assert len(without) == len(households.categories)
    assert without.is_monotonic_increasing
    assert without.iloc[-1] < 0
    alone = estimates.exposed(households, Asked(without=("lamp",)))
    assert without["lamp"] == pytest.approx(alone.exp().value[0])


def test_bounds_without_a_drift_are_the_interval_and_grow_with_the_drift(households):
    ends = checks.with_drift(households).conf_int([0, 0.5, 1])
    plain = estimates.exposed(households).conf_int[:, 0]  # of other degrees of freedom
    assert ends[0] == pytest.approx(plain, abs=0.002)
    assert (np.diff(ends[:, 0]) < 0).all()
    assert (np.diff(ends[:, 1]) > 0).all()


def test_the_sets_that_are_drawn_have_the_actual_one_first(households):
    sets = estimates.random_sets(households, draws=100)
    (title, effects), *_ = checks.drawn(sets).items()
    assert title == "100 random sets of categories"
    assert len(effects) == 101
    assert effects[0] == pytest.approx(percent_change(estimates.exposed(households).value[0]))
    assert sets.value[0] == pytest.approx((1 + np.count_nonzero(effects[1:] <= effects[0])) / 101)
