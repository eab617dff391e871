"""How numbers are written: signs, decimals, marks, intervals, p-values."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from analysis.numbers import number, p_value, percent_change, points, quantity, span

CASES = yaml.safe_load(
    (Path(__file__).parent / "cases" / "numbers.yml").read_text(encoding="utf-8")
)


@pytest.mark.parametrize(("value", "options", "written"), CASES["number"])
def test_numbers_have_one_way_of_being_written(value, options, written):
    assert number(value, **options) == written


@pytest.mark.parametrize(
    "value", [*np.random.default_rng(0).normal(scale=1e4, size=50), 0.004, -0.006, 1e-300]
)
def test_a_written_number_reads_back_as_itself_to_half_a_digit(value):
    text = number(value, 2, signed=True)
    assert "-" not in text  # a hyphen is no minus
    assert float(text.replace("−", "-").replace(",", "")) == pytest.approx(value, abs=0.005 + 1e-9)


@pytest.mark.parametrize(("value", "unit", "written"), CASES["quantity"])
def test_the_unit_decides_on_digits_and_sign(value, unit, written):
    assert quantity(value, unit) == written


@pytest.mark.parametrize(("low", "high", "unit", "written"), CASES["span"])
def test_an_interval_is_written_with_both_ends_or_not_at_all_and_a_limit_beyond_1000_is_cut(
    low, high, unit, written
):
    assert span(low, high, unit) == written


def test_per_cent_changes_and_p_values():
    assert percent_change(-1.106) == pytest.approx(100 * (math.exp(-1.106) - 1))
    pd.testing.assert_series_equal(
        percent_change(pd.Series([0.0, math.log(2)])), pd.Series([0.0, 100.0])
    )
    assert p_value(2 / 28) == "p = 0.071"
    assert p_value(0.0002) == "p < 0.001"


def test_a_margin_is_as_short_as_it_is():
    assert [points(value) for value in (2.0, 1.0, 0.5)] == ["2 points", "1 point", "0.5 points"]


@pytest.mark.parametrize("value", [7.25, 7.250000000000001, 7.249999999999999])
def test_numbers_that_agree_in_twelve_digits_are_written_alike_and_a_half_goes_away_from_zero(
    value,
):
    assert number(value) == "7.3"
    assert number(-value) == "−7.3"
    assert number(7.2499999999) == "7.2"
