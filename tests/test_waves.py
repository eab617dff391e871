"""Closed firms are compared wave by wave: who is in business, who had stopped, who is new."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from panels import (
    BY_FIRM,
    SHORT,
    WAVE,
    by_hand,
    changed,
    joined,
    panel_of,
    random_sides,
    sides,
    sides_by_hand,
)

from analysis.estimands.changes import estimated
from analysis.estimands.closed_firms import effect_on_closed
from analysis.estimands.design import Design
from analysis.estimands.displacement import (
    displacement,
    lost_sales,
    platform_mix,
    toward_destinations,
)
from analysis.estimands.growth import effect_on_growth


def shared(firms):
    return displacement(sides(**firms), SHORT)


def dying_out():
    """Return sales without closures and the month of closure: half of all firms stop after May,
    half after July.

    Closures fall on firms still in business: 8 in May, 4 in July, 2 in September. Rows 14 to 21 are
    exposed, 22 to 29 in another category.
    """
    last = np.tile([WAVE, WAVE, WAVE, WAVE, WAVE + 2, WAVE + 2, 99, 99], 4)
    last = np.concatenate([last[:8], [WAVE + 2, WAVE + 2, 99, 99], [99, 99], last[:16]])
    sales = np.where(np.arange(42) <= last[:, None], 10.0, 0.0)[:, None] * np.ones((1, 5, 1))
    return sales, np.repeat([WAVE, WAVE + 2, WAVE + 4, 99], [8, 4, 2, 16])


def test_firms_that_die_before_later_waves_do_not_make_harmless_closures_look_good():
    sales, month = dying_out()
    closed_at = {firm: wave for firm, wave in enumerate(month) if wave < 99}
    harmless = panel_of(sales, closed_at, category=np.where(np.arange(30) < 22, "C0", "C1"))
    for comparison in ("low_exposure", "spared_same_category"):
        for where in ("all", "home"):
            found = effect_on_closed(harmless, Design(comparison=comparison), where=where)
            assert found.row("simple")["estimate"] == pytest.approx(0.0, abs=1e-9)
    found = effect_on_closed(harmless, Design())
    assert (found.counts["units"], found.counts["treated"], found.counts["stopped_left_out"]) == (
        22,
        14,
        0,
    )

    def harming(sales):
        sales[:14, 0] *= np.where(np.arange(42) >= month[:14, None], 0.4, 1.0)

    harmful = changed(harmless, harming)
    # 6 of the 14 would have lived: they lose 6 a month on AMZ and nothing elsewhere, and nobody
    # gains it
    parts = estimated(harmful, BY_FIRM)
    assert lost_sales(harmful, BY_FIRM).row("sum")["estimate"] == pytest.approx(6 * 6 * 6.0)
    np.testing.assert_allclose(np.delete(parts.estimate.value, 0), 0.0, atol=1e-9)
    grown = effect_on_growth(harmful, BY_FIRM)[["closed", "exposed"]]
    np.testing.assert_allclose(grown.value, [-100 * 6 * 6 / 300, 0.0], atol=1e-9)


def test_a_closed_firm_that_had_stopped_is_counted_out():
    panel = by_hand()
    more = replace(panel, sales=panel.sales.copy(), firms=panel.firms.copy())
    more.firms.loc[more.firms.index[2], ["closed_on", "dose"]] = [pd.Timestamp("2021-07-01"), 1.0]
    more.sales[2, :, WAVE + 1 :] = 0.0
    found = effect_on_closed(more, Design())
    assert found.row("simple")["estimate"] == pytest.approx(-100 * 9 / 75)
    assert (found.counts["treated"], found.counts["stopped_left_out"]) == (2, 1)


def test_a_wave_that_lost_all_is_in_the_loss_of_all_waves():
    panel = by_hand()
    for firm, date in ((2, "2021-05-01"), (3, "2021-06-01")):
        panel.firms.loc[panel.firms.index[firm], ["closed_on", "dose"]] = [pd.Timestamp(date), 1.0]
    panel.sales[[0, 2], 0, WAVE:] = 0.0
    panel.sales[[1, 3], 0, WAVE + 1 :] = 3.0
    found = effect_on_closed(panel, Design(), where="home")
    assert found.row("simple")["estimate"] == pytest.approx(100 * (2 * 3 / (4 * 15) - 1))


def test_newcomers_that_come_by_the_sales_of_all_incumbents_are_no_gain_of_exposed_firms():
    plain = shared(sides_by_hand())
    new = np.zeros((2, 5, 15))
    # 2 comparison firms sold 20 a month, closed and exposed ones 40
    new[0, :, 12:] = 2.0
    new[1, :, 12:] = 4.0
    market = joined(
        joined(sides_by_hand(), new[:1], np.inf, "CN", True), new[1:], np.inf, "CN", False
    )
    found = shared(market)
    np.testing.assert_allclose(found.rows["estimate"], plain.rows["estimate"], atol=1e-9)


def test_a_closed_newcomer_has_no_sales_before_to_compare_and_is_left_out():
    newcomer = np.zeros((1, 5, 15))
    newcomer[:, :, 11] = 40.0
    newcomer[:, 1:, 12:] = 40.0
    plain = shared(sides_by_hand())
    found = shared(joined(sides_by_hand(), newcomer, 12.0, "CN", False))
    np.testing.assert_allclose(found.rows["estimate"], plain.rows["estimate"])
    assert (found.counts["closed"], found.counts["newcomers_left_out"]) == (2, 1)


def test_comparison_firms_answer_only_for_the_waves_that_they_lived_to_see():
    market = sides_by_hand()
    market["closed_at"][1] = 13.0
    stops = np.full((2, 5, 15), 10.0)
    stops[0, :, 12:] = 0.0
    stops[1, :, 13:] = 0.0
    found = lost_sales(sides(**joined(market, stops, np.inf, "CN", True)), SHORT).row("sum")
    # the first firm that stops answers for no wave, the second for the first of two: 45 + 45 + 10
    # of 90 there
    assert found["estimate"] == pytest.approx(30 * (100 / 90 + 1.5) - 30)


def test_a_closed_firm_that_had_stopped_is_in_no_set_and_counted():
    stops = np.full((1, 5, 15), 10.0)
    stops[:, :, 12:] = 0.0
    plain = shared(sides_by_hand())
    found = shared(joined(sides_by_hand(), stops, 13.0, "CN", False))
    np.testing.assert_allclose(found.rows["estimate"], plain.rows["estimate"])
    assert [found.counts[name] for name in ("closed", "exposed", "stopped_left_out")] == [2, 4, 1]


def test_where_nobody_stops_the_month_of_closure_changes_neither_estimates_nor_errors():
    firms = random_sides(12)
    firms["sales"] += 1.0  # every firm sells on every platform in every month
    spread = np.where(
        np.isfinite(firms["closed_at"]), 3.0 + np.arange(240) % 12, np.inf
    )  # waves of a few firms
    windows = {
        "post_from": 9,
        "post_to": 11,
        "anticipation": 0,
        "base_months": 3,
    }  # of the first in month 3
    plain = shared(firms)
    found = displacement(sides(**firms | {"closed_at": spread}), replace(SHORT, **windows))
    columns = ["estimate", "std_error", "conf_low", "conf_high"]
    np.testing.assert_allclose(found.rows[columns], plain.rows[columns], rtol=1e-9, atol=1e-9)


def test_means_are_over_firms_that_still_sold_before_the_first_closure():
    stops = np.full((1, 5, 15), 10.0)
    stops[:, :, 11:] = 0.0
    plain = sides(**sides_by_hand())
    more = sides(**joined(sides_by_hand(), stops, np.inf, "CN", True))
    np.testing.assert_allclose(platform_mix(more, SHORT).value, platform_mix(plain, SHORT).value)
    one, other = (toward_destinations(panel, SHORT).row("presence") for panel in (plain, more))
    assert one["estimate"] == other["estimate"]


def test_a_closed_firm_that_sold_nothing_a_year_before_is_counted_out():
    panel = by_hand()
    panel.sales[1, :, :26] = 0.0
    assert (
        "closed firms with sales (1) form fewer than two clusters by"
        in effect_on_closed(panel, Design()).reason
    )
    more = by_hand()
    more.firms.loc[more.firms.index[2], ["closed_on", "dose"]] = [pd.Timestamp("2021-05-01"), 1.0]
    more.sales[2, :, :26] = 0.0
    assert effect_on_closed(more, Design()).counts["newcomers_left_out"] == 1
