"""One effect asked otherwise: the same numbers as asking for each by hand, and a refusal for what
cannot be asked.
"""

from dataclasses import replace

import numpy as np
import pytest
from panels import BY_FIRM, WAVE, by_hand

from analysis.estimands import growth
from analysis.estimands.design import Design
from analysis.estimands.displacement import moved_there
from analysis.estimands.robustness import MOST_WAVES, PLACEBO, robustness
from market import simulate


@pytest.fixture(scope="module")
def market():
    return simulate("ceiling_50k", seed=2)[0]


@pytest.fixture(scope="module")
def rows(market):
    asked = {"name": "E3g_seen", "unit": "percentage points"}
    return robustness(growth.effect_on_growth, "seen", market, Design(), **asked).set_index("term")


def seen(panel, design=Design()):  # noqa: B008, a frozen design
    return growth.effect_on_growth(panel, design)["seen"].value[0]


def test_the_first_row_is_as_asked_and_the_last_a_year_early(market, rows):
    assert rows["estimate"].iloc[0] == pytest.approx(seen(market))
    assert rows.index[-1] == PLACEBO
    assert rows["estimate"].iloc[-1] == pytest.approx(
        growth.placebo_growth(market, Design())["estimate"].iloc[-1]
    )


@pytest.mark.parametrize(
    ("words", "change"),
    [
        ("months 4 to 6 alone", {"post_to": 6}),
        ("months 7 to 9 alone", {"post_from": 7}),
        ("exposure is low below 1 per cent", {"low": 0.01}),
        ("exposure is low below 4 per cent", {"low": 0.04}),
        ("shares of 6 months before", {"base_months": 6}),
    ],
)
def test_one_thing_is_asked_otherwise(market, rows, words, change):
    assert rows.loc[words, "estimate"] == pytest.approx(seen(market, replace(Design(), **change)))
    assert rows.loc[words, "estimate"] != rows["estimate"].iloc[0]


def test_closed_firms_are_left_out_by_wave_and_the_window_stays(market, rows):
    sample = Design().sample(market)
    left_out = rows.filter(like="without closures of", axis=0)
    assert 1 < len(left_out) <= MOST_WAVES
    for words, row in left_out.iterrows():
        month = list(market.months.astype(str)).index(words.rpartition(" ")[2])
        gone = sample.closed & (sample.first == month)
        assert row["n"] == rows["n"].iloc[0] - (gone & sample.is_own).sum()
    assert set(rows["months"].iloc[:1]) == set(left_out["months"])  # also without the first wave


def test_the_largest_brand_group_is_that_of_most_sales_before(market, rows):
    sample = Design().sample(market)
    sold = np.where(sample.closed, np.nan_to_num(sample.home[:, sample.before]).sum(axis=1), 0.0)
    by_group = {
        name: sold[market.firms["brand_group"] == name].sum()
        for name in set(market.firms["brand_group"][sample.closed])
    }
    largest = (
        market.firms["brand_group"] == max(by_group, key=by_group.get)
    ).to_numpy() & sample.closed
    kept = replace(market, sales=market.sales[~largest], firms=market.firms[~largest])
    assert rows.loc["without the largest closed brand group", "estimate"] == pytest.approx(
        seen(kept)
    )


def test_what_cannot_be_asked_has_its_reason():
    panel = by_hand()
    short = replace(panel, sales=panel.sales[:, :, WAVE - 12 :], months=panel.months[WAVE - 12 :])
    rows = robustness(
        growth.effect_on_growth, "seen", short, BY_FIRM, name="E3g_seen", unit="percentage points"
    )
    assert np.isnan(rows["estimate"].iloc[-1])
    assert "the panel starts in" in rows["reason"].iloc[-1]
    assert set(rows["unit"]) == {"percentage points"}


def test_a_single_wave_is_not_left_out_and_a_single_month_is_not_halved():
    one = replace(BY_FIRM, post_from=4, post_to=4)
    panel = by_hand()
    panel.firms["closed_on"] = panel.firms["closed_on"].where(
        panel.firms["closed_on"].isna(), panel.months[WAVE].to_timestamp()
    )
    rows = robustness(
        growth.effect_on_growth, "seen", panel, one, name="E3g_seen", unit="percentage points"
    )
    assert not rows["term"].str.contains("closures of|alone").any()


def test_what_moved_is_in_per_cent_of_what_closed_firms_had_sold():
    # on the first destination each closed firm sells 18 in place of 15, and had sold 10 a month at
    # home
    panel = by_hand()
    assert moved_there(panel, BY_FIRM).value[0] == pytest.approx(100 * 3 / 10)
    assert moved_there(panel, BY_FIRM).n == 2
