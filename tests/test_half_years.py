"""Closed sellers' growth by half-year, nine months and quarter, against that of others."""

import numpy as np
import pandas as pd
import pytest
from fewtreated.errors import DataError, DesignError

from analysis import data
from analysis.evidence import half_years, listed

# cumulative revenue: all double each year, but R in the second half of 2021 and S in the first
INVENTED = {
    "R": {"2019H1": 50, "2019": 100, "2020H1": 100, "2020": 200, "2021H1": 200, "2021": 300},
    "S": {"2019H1": 10, "2019": 20, "2020H1": 20, "2020": 40, "2021H1": 30, "2021": 70},
    "T": {"2019H1": 30, "2019": 60, "2020H1": 60, "2020": 120, "2021H1": 120, "2021": 240},
    "U": {"2020H1": 7, "2020": 14, "2021H1": 14, "2021": 28},
}


@pytest.fixture
def invented(monkeypatch):
    """Replace the sellers by four, of which the first is closed."""
    long = [
        {"name": name, "period": period, "value": float(value)}
        for name, one in INVENTED.items()
        for period, value in one.items()
    ]
    roles = pd.DataFrame(
        {"name": [*INVENTED], "role": ["closed", "not_closed", "not_closed", "not_closed"]}
    )
    monkeypatch.setattr(half_years, "published_rows", lambda: pd.DataFrame(long))
    monkeypatch.setattr(listed, "design", lambda: roles)


@pytest.mark.parametrize(
    ("span", "wanted"),
    [
        ("year", {"2020": 10.0, "2021": 20.0}),
        ("half-year", {"2020H1": 3.0, "2020H2": 7.0}),
        ("nine months", {"2020Q1-Q3": 6.0}),
        ("quarter", {"2020Q1": 1.0, "2020Q2": 2.0, "2020Q3": 3.0, "2020Q4": 4.0}),
    ],
)
def test_what_is_cumulative_from_january_is_taken_apart_where_both_ends_are_published(span, wanted):
    figures = pd.Series(
        {"2021": 20.0, "2020": 10.0, "2020Q1-Q3": 6.0, "2020H1": 3.0, "2020Q1": 1.0, "2021Q3": 99.0}
    )
    assert half_years.stand_alone(figures, span).to_dict() == wanted


def test_a_sum_that_falls_within_a_year_is_refused():
    with pytest.raises(DataError, match="2020H2: the sum to the end of 2020H2 is smaller"):
        half_years.stand_alone(pd.Series({"2020H1": 3.0, "2020": 2.0}), "half-year")


def test_an_unknown_span_is_refused_by_those_there_are():
    with pytest.raises(
        DesignError, match="'month'; choose from year, half-year, nine months, quarter"
    ):
        half_years.revenue_by_period("month")


def test_the_effect_of_an_invented_closure_is_found_in_its_half_year_and_not_in_the_one_before(
    invented,
):
    # In the second half of 2021 R sells what it sold the year before; in the first S grows by half
    # instead of doubling.
    table = half_years.comparisons_by_period("half-year", level=0.95)
    ahead = 100 * (2 / (1.5 * 2 * 2) ** (1 / 3) - 1)
    np.testing.assert_allclose(table["gap"], [0.0, 0.0, ahead, -50.0], atol=1e-9)
    np.testing.assert_allclose(table["closed"], [100.0, 100.0, 100.0, 0.0], atol=1e-9)
    assert table["firms"].tolist() == [3, 3, 4, 4]  # U has no figures of 2019
    assert table.loc["2021H2", ["rank", "p_lower", "p_smallest"]].tolist() == [1, 0.25, 0.25]
    assert table.loc["2021H1", ["rank", "p_lower"]].tolist() == [2, 1.0]  # only S is further behind
    widened = half_years.compare("half-year", "2021H2", since="2021H1", level=0.95)
    assert widened.row("did")["estimate"] == pytest.approx(np.log(0.5) - np.log1p(ahead / 100))


@pytest.mark.parametrize(("closed", "choices"), [(["R"], 4), (["R", "S"], 6), (["R", "S", "T"], 4)])
def test_the_smallest_p_value_is_one_over_the_number_of_choices(invented, closed, choices):
    found = half_years.compare("half-year", "2021H2", closed=closed, level=0.95)
    assert found.counts["assignments"] == choices
    assert found.row("did")["p_smallest"] == 1 / choices
    assert np.isnan(found.row("did")["conf_low"])  # too few for an interval


def test_a_closed_seller_that_does_not_count_as_closed_is_no_comparison(invented):
    found = half_years.compare("half-year", "2021H2", closed=["S"], level=0.95)
    assert set(found.details["changes"]["firm"]) == {"S", "T", "U"}
    only = half_years.compare("half-year", "2021H2", against=["T"], level=0.95)
    assert set(only.details["changes"]["firm"]) == {"R", "T"}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"period": "2030H1"},
            "2030H1: no seller has it; choose from 2020H1, 2020H2, 2021H1, 2021H2",
        ),
        ({"period": "2020H1", "against": ["U"]}, r"no other seller \(U\) has growth for 2020H1"),
        ({"period": "2020H1", "closed": ["U"]}, r"no closed seller \(U\) has growth for 2020H1"),
    ],
)
def test_a_comparison_that_cannot_be_made_is_refused(invented, asked, message):
    with pytest.raises(DesignError, match=message):
        half_years.compare("half-year", level=0.95, **asked)


def test_years_are_those_of_the_yearly_comparison():
    ours = half_years.compare("year", "2021", level=0.95).rows
    pd.testing.assert_frame_equal(ours, listed.revenue_change(2020, 2021, level=0.95).rows)


def test_the_quarters_of_sunvalley_s_owner_give_the_growth_that_two_other_sources_print():
    grown = half_years.growth_by_period("quarter")["Sunvalley"].round(2)
    events = data.load("events").set_index("event_id")["quantity"]
    assert grown["2021Q3"] == events["E076"]
    assert grown["2022Q1"] == events["E087"]
    level = half_years.revenue_by_period("quarter")["Sunvalley"]
    assert round(level["2021Q3"]) == 587  # million yuan, as in the description of E076


def test_loctek_s_halves_agree_with_its_sums_of_twelve_months():
    sums = data.load("listed_sellers").query("firm == 'Loctek' and measure == 'revenue_total_ltm'")
    sums = sums.set_index("period")["value"]
    half = half_years.revenue_by_period("half-year")["Loctek"]
    for year in (2020, 2021):
        rise = (
            sums[f"{year}Q2"] - sums[f"{year - 1}Q4"]
        )  # the first half of one year for that of the last
        assert half[f"{year}H1"] - half[f"{year - 1}H1"] == pytest.approx(
            rise, abs=1.0
        )  # sums are whole millions


def test_sunvalley_s_owner_grew_least_in_the_first_half_of_2021_and_fell_in_the_second():
    table = half_years.comparisons_by_period("half-year", level=0.95).loc[["2021H1", "2021H2"]]
    assert table["closed"].round(1).tolist() == [18.2, -64.5]
    assert table["others"].round(1).tolist() == [52.5, 5.8]
    assert table["gap"].round(1).tolist() == [-22.5, -66.4]
    assert table["rank"].tolist() == [1, 1]
    assert table["p_lower"].tolist() == table["p_smallest"].tolist() == [0.2, 0.2]
    grown = half_years.growth_by_period("half-year").loc["2021H1"].dropna()
    assert set(grown.index) == {"Sunvalley", "Anker", "Jihong", "Loctek", "Sailvan"}
    assert grown.drop("Sunvalley").min() > grown["Sunvalley"] > 0


def test_before_any_closure_the_owner_grew_like_anker_and_by_less_from_the_closure_s_quarter_on():
    grown = half_years.growth_by_period("quarter")
    gap = (grown["Sunvalley"] - grown["Anker"]).loc["2021Q1":"2021Q4"]
    assert abs(gap["2021Q1"]) < 2
    assert (gap.loc["2021Q2":] < -50).all()


def test_by_nine_months_both_owners_can_be_compared_and_were_last():
    table = half_years.comparisons_by_period("nine months", level=0.95)
    assert table.loc["2021Q1-Q3", ["rank", "assignments"]].tolist() == [1, 6]
    assert table.loc["2020Q1-Q3", "rank"] > 1
    assert half_years.growth_by_period("nine months").loc["2021Q1-Q3", "Youkeshu"] == pytest.approx(
        -55.37, abs=0.01
    )


@pytest.mark.parametrize(
    ("span", "period", "per_cent", "rank", "choices"),
    [
        ("half-year", "2021H2", -49.5, 1, 10),
        ("half-year", "2022H1", -16.3, 2, 5),
        ("year", "2021", -40.9, 1, 45),
    ],
)
def test_with_sailvan_as_closed_the_gap_is_smaller_and_stays(span, period, per_cent, rank, choices):
    found = half_years.compare(span, period, closed=["Sunvalley", "Sailvan"], level=0.95)
    assert 100 * np.expm1(found.value[0]) == pytest.approx(per_cent, abs=0.05)
    assert (found.row("did")["rank"], found.counts["assignments"]) == (rank, choices)


def test_every_seller_of_the_design_has_a_series_or_a_reason_for_having_none():
    declared = half_years.declared_series()
    assert set(declared["name"]) == set(listed.design()["name"])
    assert declared["measure"].isna().equals(declared["publisher"].isna())
    silent = set(declared.loc[declared["measure"].isna(), "name"])
    assert declared.loc[declared["measure"].isna(), "reason"].notna().all()
    assert set(half_years.published_rows()["name"]) == set(declared["name"]) - silent
    assert not silent & set(half_years.revenue_by_period("half-year").columns)


def test_no_seller_is_left_out_of_the_design_for_want_of_figures_that_the_file_has():
    left_out = listed.design().query("role == 'left_out'")
    figures = data.load("listed_sellers").query(
        "measure.str.startswith('revenue_total') and unit == 'million'"
    )
    both = figures[figures["period"].isin(["2020", "2021"])].groupby("firm")["period"].nunique()
    with_both = set(both.index[both == 2]) & set(left_out["firm"])
    assert with_both == {"Global Top E-Commerce"}  # of two groups, as its reason says


def test_without_hardware_sunvalley_grew_in_the_first_half_unless_almost_none_was_sold_in_2020():
    found = half_years.without_hardware("2021")
    assert found["growth"].round(0).tolist() == [13, -78]
    ends = [half_years.without_hardware("2021", part)["growth"] for part in (0, 1)]
    assert [end["H1"].round(0) for end in ends] == [-6, 46]
    assert max(end["H2"] for end in ends) < -75
    group = half_years.revenue_by_period("half-year")["Sunvalley"]
    assert found["after"].sum() == pytest.approx(group["2021H1"] + group["2021H2"] - 1050)
    with pytest.raises(DesignError, match="choose 0 to 1"):
        half_years.without_hardware("2021", 1.5)
