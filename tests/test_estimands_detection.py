"""The smallest effect that a panel would show: from placebo closures, and in line with what it then shows."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.errors import DesignError
from analysis.estimands import Design, pick
from analysis.estimands.detection import smallest_effect
from analysis.market import simulate

DESIGN = Design()


@pytest.fixture(scope="module")
def panel():
    return simulate("ceiling_50k", 1, n_firms=1500, n_categories=30)[0]


def shown(panel, **options):
    return smallest_effect(panel, DESIGN, **({"draws": 99} | options)).rows.set_index("term")["estimate"]


def test_it_does_not_look_at_what_became_of_closed_firms(panel):
    sales = panel.sales.copy()
    closed = panel.firms["closed_on"].notna().to_numpy()
    sales[closed, :, 30:] *= 0.3
    pd.testing.assert_series_equal(shown(replace(panel, sales=sales)), shown(panel))


def test_it_does_not_depend_on_the_unit_of_money(panel):
    pd.testing.assert_series_equal(shown(replace(panel, sales=7.0 * panel.sales)), shown(panel))


def test_a_harder_test_needs_a_larger_effect_and_noise_makes_it_larger(panel):
    plain = shown(panel)
    assert 0 < plain["fall"] < 100
    assert plain["fall"] < plain["rise"]  # the same distance in log points
    level = smallest_effect(panel, replace(DESIGN, level=0.8), draws=99).rows.set_index("term")["estimate"]
    assert level["fall, normal"] < plain["fall, normal"]
    noise = np.random.default_rng(1).lognormal(0, 1.5, panel.sales.shape[:2])[:, :, np.newaxis]
    sales = panel.sales.copy()
    sales[:, :, 30:] *= noise
    assert shown(replace(panel, sales=sales))["fall"] > plain["fall"]


def test_such_a_fall_is_seen_about_as_often_as_it_says(panel):
    """Give a fall of that size to the placebos themselves: the share that a right test sees is the power asked for."""
    found = smallest_effect(panel, DESIGN, draws=199)
    placebos, critical = found.details["placebos"], found.details["critical"]
    fall = np.log1p(-found.row("fall")["estimate"] / 100)
    seen = (placebos[:, 0] + fall) / placebos[:, 1] < -critical
    assert seen.mean() == pytest.approx(0.8, abs=0.01)  # 199 draws, each half a point


def test_groups_are_closed_together(panel):
    found = smallest_effect(panel, DESIGN, draws=30)
    closed = panel.firms[panel.first_treated() < 38]
    assert found.counts["treated"] <= closed["brand_group"].nunique()
    assert found.details["within"] == "origin and size"


def test_without_groups_to_stand_in_it_is_refused(panel):
    low = np.flatnonzero(pick(panel, DESIGN).comparison & (panel.firms["origin"] == "CN").to_numpy())
    sales = panel.sales.copy()
    sales[low[5:], :, 27] = 0.0  # all but five sell nothing in the month before the first wave
    small = replace(panel, sales=sales)
    with pytest.raises(DesignError, match="untreated"):
        smallest_effect(small, DESIGN, draws=30)
