"""The effect on closed firms by other estimators: where they are E1a itself, by hand, and where
they part from it.
"""

from dataclasses import replace

import numpy as np
import pytest
from panels import FALL, TRACE, WAVE, by_hand, changed, panel_of, two_waves

from analysis.estimands.closed_firms import (
    adjusted_effect,
    cross_checks,
    effect_on_closed,
    imputed_effect,
)
from analysis.estimands.design import Design
from market import simulate

BOTH = pytest.mark.parametrize("verb", [adjusted_effect, imputed_effect])


def made_up(seed: int, *, bend: float = 0.0, alike: bool = False):
    """Return 200 firms of two origins, of which 60 in a category are closed, the older more often;
    no effect.

    The older grow by less, by `bend` of their age; or all are as old as the panel.
    """
    rng = np.random.default_rng(seed)
    if alike:
        born = np.zeros(200, dtype=int)
    else:
        born = rng.integers(0, 20, size=200)
    age = np.log1p(20 - born)
    closed = np.argsort(rng.logistic(size=200) - 2 * age)[:60]
    sales = rng.lognormal(size=(200, 1)) * (np.arange(42) >= born[:, np.newaxis])
    sales[:, WAVE:] *= np.exp(-bend * age + 0.3 * rng.normal(size=200))[:, np.newaxis]
    category = np.where(np.isin(np.arange(200), closed), "C0", "C1")
    when = {int(firm): WAVE + place % 2 for place, firm in enumerate(closed)}
    sales = np.repeat(sales[:, np.newaxis] / 2, 2, axis=1)
    return panel_of(sales, when, category=category, origin=np.where(np.arange(200) % 3, "CN", "US"))


def test_without_a_difference_of_covariates_the_doubly_robust_effect_is_e1a_itself():
    """Firms of the same age that sell at home alone: what is left are origin and wave, by which E1a
    compares too.

    Its error, too, of leaving out each firm.
    """
    panel = made_up(1, alike=True)
    design = Design()
    own, adjusted = (verb(panel, design) for verb in (effect_on_closed, adjusted_effect))
    assert adjusted.row("simple")["estimate"] == pytest.approx(
        own.row("simple")["estimate"], rel=1e-9
    )
    assert own.std_error[0] == pytest.approx(adjusted.std_error[0], rel=1e-9)
    assert (adjusted.row("simple")["n"], adjusted.unit) == (60, own.unit)
    assert (adjusted.design, adjusted.digest, adjusted.provenance) == (
        own.design,
        own.digest,
        own.provenance,
    )


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


def test_what_closed_firms_lost_is_recovered_by_all_three():
    rows = cross_checks(two_waves(), Design(cluster="firm"))
    assert list(rows["id"]) == ["E1a"] * 3
    np.testing.assert_allclose(rows["estimate"], 100 * (FALL - 1), atol=500 * TRACE)


def test_where_older_firms_grow_less_and_are_closed_more_the_doubly_robust_effect_is_right():
    found = [cross_checks(made_up(seed, bend=0.3), Design())["estimate"] for seed in range(20)]
    own, adjusted, imputed = np.mean(found, axis=0)
    assert abs(adjusted) < 4 * np.std(found, axis=0)[1] / np.sqrt(20)
    assert own < -5
    assert imputed < -5  # which knows of origin and wave alone


@pytest.mark.parametrize(
    "month", [17, 20]
)  # a base month, in the second case one of the first window
def test_a_firm_with_a_month_that_is_not_known_is_left_out_of_imputation_alone(month):
    panel = made_up(3)
    closed = np.flatnonzero(panel.firms["closed_on"].notna())[0]

    def unknown(sales):
        sales[closed, 0, month] = np.nan

    holed = changed(panel, unknown)
    assert list(cross_checks(holed, Design())["n"]) == [60, 60, 59]
    assert imputed_effect(holed, Design()).counts["dropped_missing"] == 1


def test_a_refusal_is_a_row_with_its_reason_beside_the_others():
    panel = made_up(5, alike=True)
    closed = panel.firms["closed_on"].notna().to_numpy()

    def newcomers(sales):
        sales[~closed, :, :10] = 0.0

    rows = cross_checks(changed(panel, newcomers), Design())
    assert list(rows["estimate"].isna()) == [False, True, False]
    assert "separate 60 treated" in rows["reason"][1]


def test_closed_firms_that_sell_nothing_have_no_ratio_and_say_so():
    def nothing(sales):
        sales[:2, :, WAVE + 2 :] = 0.0

    rows = cross_checks(changed(by_hand(), nothing), Design())
    assert rows["estimate"][0] == -100.0
    assert rows["estimate"][1:].isna().all()
    assert rows["reason"][1:].str.contains("no positive total").all()
