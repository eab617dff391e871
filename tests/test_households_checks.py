"""Checks of what purchases of households say: each asks one thing otherwise, and is held against the plain estimate."""

import numpy as np
import pytest

from analysis.evidence import households, recentring
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


def test_bounds_without_a_drift_are_the_interval_and_grow_with_the_drift(tables):
    ends = households.with_drift(tables).conf_int([0, 0.5, 1])
    plain = households.exposed(tables).conf_int[:, 0]  # of other degrees of freedom
    assert ends[0] == pytest.approx(plain, abs=0.002)
    assert (np.diff(ends[:, 0]) < 0).all()
    assert (np.diff(ends[:, 1]) > 0).all()


def test_an_effect_is_recentred_on_the_random_sets_and_its_interval_inverts_their_test(tables):
    sets = recentring.random_sets(tables)
    found, effects = recentring.recentred(sets), sets.details["effects"]
    assert found.value[0] == pytest.approx(sets.details["exposed"] - effects.mean())
    assert (100 * (effects < 0).mean(), percent_change(np.median(effects))) == pytest.approx((89, -9.6), abs=0.6)
    low, high = found.bounds("effect")
    assert low < found.value[0] < high
    assert (low < 0 < high) == (found.details["p"] > 0.05)
    assert sets.details["share"] == pytest.approx(0.177, abs=1e-3)
    assert sets.details["exposed"] == pytest.approx(households.exposed(tables).value[0])
    growth = recentring.recentred_growth(tables, found)
    assert growth.value[0] == pytest.approx(10.1 * np.expm1(found.value[0]), abs=0.01)  # a tenth of Chinese purchases


def test_purchases_by_exposed_category_add_up_to_their_sums(tables):
    by_category = recentring.exposed_by_category(tables)
    assert len(by_category) == len(tables.categories)
    assert by_category.sum().tolist() == [323, 1406, 385, 1682]


def test_where_nothing_is_assumed_of_blank_titles_the_change_of_the_share_has_either_sign(tables):
    blank, change = households.worst_case(tables)
    assert (blank, *change) == pytest.approx((4.8, -3.1, 6.5), abs=0.05)
