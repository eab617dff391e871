"""The effect on closed firms by imputation: where it is E1a itself, by hand, and where it parts
from it.
"""

from dataclasses import replace

import numpy as np
import pytest
from panels import FALL, TRACE, WAVE, by_hand, changed, panel_of, two_waves

from analysis.estimands.closed_firms import cross_checks, effect_on_closed, imputed_effect
from analysis.estimands.design import Design
from market import simulate


def made_up(seed):
    """Return 200 firms of two origins, 60 of them closed, in a category of their own; no effect."""
    rng = np.random.default_rng(seed)
    born = rng.integers(0, 20, size=200)
    closed = np.argsort(rng.logistic(size=200) + born)[:60]
    sales = rng.lognormal(size=(200, 1)) * (np.arange(42) >= born[:, np.newaxis])
    sales[:, WAVE:] *= np.exp(0.3 * rng.normal(size=200))[:, np.newaxis]
    category = np.where(np.isin(np.arange(200), closed), "C0", "C1")
    when = {int(firm): WAVE + place % 2 for place, firm in enumerate(closed)}
    sales = np.repeat(sales[:, np.newaxis] / 2, 2, axis=1)
    return panel_of(sales, when, category=category, origin=np.where(np.arange(200) % 3, "CN", "US"))


def test_months_before_that_are_those_of_the_window_give_the_imputed_effect_of_e1a_itself():
    panel = simulate("mid_3k", seed=1)[0]
    design = Design(base_months=8, cluster="category")  # all but anticipation: the year-ago window
    own, imputed = (verb(panel, design) for verb in (effect_on_closed, imputed_effect))
    assert imputed.row("simple")["estimate"] == pytest.approx(
        own.row("simple")["estimate"], rel=1e-9
    )
    assert own.std_error[0] == pytest.approx(imputed.std_error[0], rel=1e-9)


def test_the_imputed_effect_is_a_difference_of_means_over_all_months_before():
    panel = two_waves()
    design = Design(cluster="firm")
    dates = panel.firms["closed_on"]
    panel = replace(
        panel, firms=panel.firms.assign(closed_on=dates.mask(dates.notna(), dates.min()))
    )
    total = panel.total()
    closed = np.arange(14) < 6
    year_ago, window, fitted = (
        total[:, part].mean(axis=1) for part in (slice(20, 26), slice(32, 38), slice(16, 26))
    )
    own, other = (
        [part[side].sum() / year_ago[side].sum() for part in (window, fitted)]
        for side in (closed, ~closed)
    )
    effect = (own[0] - own[1]) - (other[0] - other[1])
    found = imputed_effect(panel, design)
    assert found.row("simple")["estimate"] == pytest.approx(
        100 * effect / (own[0] - effect), rel=1e-9
    )
    assert found.details["months"] == "2020-05 to 2021-02"


def test_what_closed_firms_lost_is_recovered_by_both():
    rows = cross_checks(two_waves(), Design(cluster="firm"))
    assert list(rows["id"]) == ["E1a"] * 2
    np.testing.assert_allclose(rows["estimate"], 100 * (FALL - 1), atol=500 * TRACE)


@pytest.mark.parametrize(
    "month", [17, 20]
)  # a base month, in the second case one of the first window
def test_a_firm_with_a_month_that_is_not_known_is_left_out_of_imputation_alone(month):
    panel = made_up(3)
    closed = np.flatnonzero(panel.firms["closed_on"].notna())[0]

    def unknown(sales):
        sales[closed, 0, month] = np.nan

    holed = changed(panel, unknown)
    assert list(cross_checks(holed, Design())["n"]) == [60, 59]
    assert imputed_effect(holed, Design()).counts["dropped_missing"] == 1


def test_a_refusal_is_a_row_with_its_reason_beside_the_other():
    panel = made_up(5)

    def gaps(sales):
        sales[:, :, 17] = np.nan  # a base month, which only imputation needs

    rows = cross_checks(changed(panel, gaps), Design())
    assert list(rows["estimate"].isna()) == [False, True]
    assert rows["reason"][1]


def test_closed_firms_that_sell_nothing_have_no_ratio_and_say_so():
    def nothing(sales):
        sales[:2, :, WAVE + 2 :] = 0.0

    rows = cross_checks(changed(by_hand(), nothing), Design())
    assert rows["estimate"][0] == -100.0
    assert rows["estimate"][1:].isna().all()
    assert rows["reason"][1:].str.contains("no positive total").all()
