"""Checks of what purchases of households say: each asks one thing otherwise, and is held against the plain estimate."""

import numpy as np
import pytest

from analysis.evidence import households
from analysis.evidence.households import Households, Specification
from analysis.numbers import percent_change


@pytest.fixture(scope="module")
def tables():
    return Households.load()


def test_what_is_asked_stands_first_and_each_other_row_is_the_estimate_asked_so(tables):
    asked = Specification(against="other electronics")
    rows = households.robustness(tables, asked).set_index("label")["estimate"]
    assert rows.index[0] == "as asked: definition either, against other electronics, purchases"
    assert rows.iloc[0] == pytest.approx(households.exposed(tables, asked).exp().value[0])
    assert rows["against all others"] == pytest.approx(households.exposed(tables).exp().value[0])
    spend = households.exposed(tables, Specification(against="other electronics", of="spend"))
    assert rows["spend"] == pytest.approx(spend.exp().value[0])
    assert len(rows) == 1 + 2 + 1 + 2 + 2


def test_one_of_two_placebos_excludes_zero(tables):
    rows = households.placebos(tables)
    assert ((rows["conf_low"] <= 0) & (rows["conf_high"] >= 0)).tolist() == [True, False]


def test_no_single_category_makes_the_fall_back(tables):
    without = households.without_each(tables)
    assert len(without) == len(tables.categories)
    assert without.is_monotonic_increasing
    assert without.iloc[-1] < 0
    alone = households.exposed(tables, Specification(without=("lamp",)))
    assert without["lamp"] == pytest.approx(alone.exp().value[0])


def test_bounds_without_a_drift_are_the_interval_and_grow_with_the_drift(tables):
    ends = households.with_drift(tables).conf_int([0, 0.5, 1])
    plain = households.exposed(tables).conf_int[:, 0]  # of other degrees of freedom
    assert ends[0] == pytest.approx(plain, abs=0.002)
    assert (np.diff(ends[:, 0]) < 0).all()
    assert (np.diff(ends[:, 1]) > 0).all()


def test_the_sets_that_are_drawn_have_the_actual_one_first(tables):
    sets = households.random_sets(tables, draws=100)
    (title, effects), *_ = households.drawn(sets).items()
    assert title == "100 random sets of categories"
    assert len(effects) == 101
    assert effects[0] == pytest.approx(percent_change(households.exposed(tables).value[0]))
    assert sets.value[0] == pytest.approx((1 + np.count_nonzero(effects[1:] <= effects[0])) / 101)
