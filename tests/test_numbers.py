"""How numbers are written: signs, decimals, marks, intervals, p-values."""

import math

import numpy as np
import pandas as pd
import pytest

from analysis.numbers import number, p_value, percent_change, points, quantity, span


@pytest.mark.parametrize(
    ("value", "options", "written"),
    [
        (1234567.891, {"decimals": 2}, "1,234,567.89"),
        (-0.55, {"decimals": 2}, "−0.55"),
        (3.2, {"signed": True}, "+3.2"),
        (-3.2, {"signed": True}, "−3.2"),
        (0.0, {"signed": True}, "0.0"),
        (-0.04, {"signed": True}, "0.0"),  # nothing is left of it, hence no sign
        (-0.05001, {}, "−0.1"),
        (-1234.5, {"decimals": 0}, "−1,235"),
        (2.0, {"mark": "real"}, "2.0 ●"),
        (2.0, {"mark": "estimate"}, "2.0 ◐"),
        (2.0, {"mark": "simulated"}, "2.0 ○"),
        (None, {"mark": "real"}, "–"),
        (math.nan, {"signed": True, "mark": "real"}, "–"),
        (math.inf, {"signed": True}, "∞"),
        (-math.inf, {}, "−∞"),
    ],
)
def test_numbers_have_one_way_of_being_written(value, options, written):
    assert number(value, **options) == written


@pytest.mark.parametrize("value", [*np.random.default_rng(0).normal(scale=1e4, size=50), 0.004, -0.006, 1e-300])
def test_a_written_number_reads_back_as_itself_to_half_a_digit(value):
    text = number(value, 2, signed=True)
    assert "-" not in text  # a hyphen is no minus
    assert float(text.replace("−", "-").replace(",", "")) == pytest.approx(value, abs=0.005 + 1e-9)


@pytest.mark.parametrize(
    ("value", "unit", "written"),
    [
        (-1.10602, "log points", "−1.106"),
        (0.2123, "log points", "+0.212"),
        (2.83, "percentage points", "+2.8"),
        (3000.0, "accounts", "3,000"),
        (1.0, "ratio", "1.00"),
        (130.0, "million yuan", "130"),
        (0.05, "p", "0.050"),
        (1.25, "a unit nobody listed", "1.3"),
    ],
)
def test_the_unit_decides_on_digits_and_sign(value, unit, written):
    assert quantity(value, unit) == written


def test_an_interval_is_written_with_both_ends_or_not_at_all():
    assert span(-16.06, 2.83, "percentage points") == "−16.1 to +2.8"
    assert span(0.0, math.inf, "ratio") == "0.00 to ∞"
    assert span(None, 2.0, "ratio") == span(1.0, None, "ratio") == "–"


def test_per_cent_changes_and_p_values():
    assert percent_change(-1.106) == pytest.approx(100 * (math.exp(-1.106) - 1))
    pd.testing.assert_series_equal(percent_change(pd.Series([0.0, math.log(2)])), pd.Series([0.0, 100.0]))
    assert p_value(2 / 28) == "p = 0.071"
    assert p_value(0.0002) == "p < 0.001"


def test_a_limit_beyond_a_thousand_per_cent_says_no_more_than_that():
    assert span(-100.0, 865_254.5, "per cent") == "−100.0 to > +1,000"
    assert span(-2000.0, -1000.0, "per cent of the lost sales") == "< −1,000 to −1,000.0"
    assert span(0.0, 865_254.5, "accounts") == "0 to 865,255"
    assert span(-np.inf, np.inf, "per cent") == "−∞ to ∞"


def test_a_margin_is_as_short_as_it_is():
    assert [points(value) for value in (2.0, 1.0, 0.5)] == ["2 points", "1 point", "0.5 points"]


@pytest.mark.parametrize("value", [7.25, 7.250000000000001, 7.249999999999999])
def test_numbers_that_agree_in_twelve_digits_are_written_alike_and_a_half_goes_away_from_zero(value):
    assert number(value) == "7.3"
    assert number(-value) == "−7.3"
    assert number(7.2499999999) == "7.2"
