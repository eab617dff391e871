"""Series: one publisher, measure, definition and population; derivations; splices; anchors."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from analysis import facts
from analysis.errors import DataError

AMAZON = "Amazon (own filings)"
EBAY = "eBay (own filings and releases)"


@pytest.fixture
def data(tmp_path):
    """Return a copy of the data folder that a test may change."""
    return Path(shutil.copytree(facts.DATA, tmp_path / "data"))


def change(data: Path, name: str, old: str, new: str) -> None:
    """Revise a file as a researcher would: edit it, then accept it."""
    path = data / facts.describe(name, data).path
    text = path.read_bytes().decode()
    assert old in text
    path.write_bytes(text.replace(old, new, 1).encode())
    facts.accept(name, vintage="2027-01-31", root=data)


def amazon(series: str) -> facts.Series:
    return facts.series("platform_quarterly", platform="Amazon", series=series, publisher=AMAZON, freq="Q")


def ebay(series: str, **where: str) -> facts.Series:
    return facts.series("platform_quarterly", platform="eBay", series=series, **where)


def lead() -> facts.Series:
    services, stores = amazon("third_party_seller_services"), amazon("net_sales_online_stores")
    return facts.difference(facts.growth(services), facts.growth(stores))


def revenue(firm: str) -> facts.Series:
    return facts.series("listed_sellers", firm=firm, measure="revenue_total", freq="A")


def anker() -> facts.Series:
    return facts.series("listed_sellers", firm="Anker Innovations", measure="revenue_total", publisher="Sina Finance")


# One series


def test_a_series_carries_unit_publisher_sources_and_periods():
    services = amazon("third_party_seller_services")
    assert services.unit == "million USD"
    assert services.publisher == AMAZON
    assert services.derivation == "as published"
    assert (services.bound, services.provenance) == (None, "real")
    assert services.values.index.freqstr.startswith("Q")
    assert services.values["2021Q3"] == 24252
    assert list(services.sources["period"]) == services.periods
    assert services.sources["source_url"].str.startswith("http").all()


def test_copies_of_one_publisher_are_one_publisher():
    assert amazon("third_party_seller_services").sources["source_publisher"].nunique() > 3


def test_annual_and_quarterly_values_of_one_file_do_not_mix():
    gmv = ebay("gmv_total", freq="A")
    assert gmv.periods == ["2019", "2020", "2021", "2022"]
    assert ebay("gmv_total", freq="Q", first="2022Q1", last="2022Q4").periods == [f"2022Q{q}" for q in range(1, 5)]


def test_half_years_keep_their_names():
    half = ebay("net_revenue_china_sellers", freq="H")
    assert half.periods == ["2022H1", "2023H1"]
    assert round(float(facts.growth(half).values["2023H1"]), 1) == 16.6


def test_joining_two_publishers_is_refused_by_name():
    with pytest.raises(DataError) as refused:
        ebay("gmv_total", freq="Q")
    message = str(refused.value)
    assert f"2 values of publisher: 'Motley Fool' (1), '{EBAY}' (14)" in message
    assert "declare a splice in data/splices.csv" in message


def test_joining_two_units_is_refused():
    with pytest.raises(DataError, match="2 values of unit: 'percent as reported'"):
        ebay("gmv_growth_yoy")


def test_joining_two_measures_is_refused():
    with pytest.raises(DataError, match="values of series: "):
        facts.series("platform_quarterly", platform="Walmart")


def test_joining_two_definitions_is_refused_though_the_series_has_one_name():
    where = {"platform": "Alibaba international", "series": "international_commerce_retail_revenue", "freq": "Q"}
    with pytest.raises(DataError, match=r"'as named' \(28\), 'segment basis of 2023' \(11\)"):
        facts.series("platform_quarterly", **where)
    assert facts.series("platform_quarterly", definition="segment basis of 2023", **where).periods[0] == "2023Q2"


def test_joining_two_populations_is_refused():
    with pytest.raises(DataError, match="values of population"):
        facts.series(
            "platform_shift_evidence",
            measure="share of shoppers' latest cross-border purchase made on the platform (IPC survey)",
            platform="eBay",
        )


def test_papers_that_cite_one_publisher_are_not_joined():
    with pytest.raises(DataError, match=r"4 values of publisher: 'ChinaTalk\.nl citing Marketplace Pulse'"):
        facts.series(
            "chinese_seller_share", measure="share of active sellers based in China", marketplace="Amazon (all)"
        )


def test_a_period_with_two_values_is_refused_with_both(data):
    change(
        data,
        "platform_quarterly",
        "eBay,gmv_total,2021Q4,20700.0,million,USD,Motley Fool",
        "eBay,gmv_total,2022Q4,18000.0,million,USD,eBay release (mirror)",
    )
    with pytest.raises(DataError, match=r"2022Q4 has different values: .*18000 \(eBay release \(mirror\)\)"):
        facts.series("platform_quarterly", platform="eBay", series="gmv_total", freq="Q", root=data)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"platform": "Ebay"}, "no row has platform='Ebay'; rows there have Alibaba international"),
        ({"country": "US"}, "there is no column 'country'"),
        ({"freq": "W"}, "the frequency 'W'; known are A, H, Q, M, FY"),
        ({"platform": "Shopify", "freq": "A"}, "no period fits freq=A"),
        ({"platform": "Shopify", "freq": "A", "first": "2024Q1"}, "give both in one form"),
        ({"platform": "Shopify", "first": "2024Q1"}, "give both in one form"),
    ],
)
def test_a_question_without_answer_says_what_there_is(where, said):
    with pytest.raises(DataError, match=said):
        facts.series("platform_quarterly", **where)


def test_a_file_without_series_says_so():
    with pytest.raises(DataError, match=r"use load\(\) for this file"):
        facts.series("events", event_id="E001")
    with pytest.raises(DataError, match="no column source_publisher"):
        facts.rows("claims")


def test_a_new_year_in_the_file_is_in_the_series(data):
    line = "eBay,gmv_total,2022,73900.0"
    change(data, "platform_quarterly", line, line.replace("2022,73900.0", "2016,1.5"))
    gmv = facts.series("platform_quarterly", platform="eBay", series="gmv_total", freq="A", root=data)
    assert gmv.values["2016"] == 1.5


# Bounds and provenance


def test_rows_say_which_figures_are_bounds():
    bound = facts.rows("events").set_index("event_id")["bound"]
    assert (bound["E053"], bound["E054"], bound["E016"], bound["E068"]) == ("lower", "lower", "lower", "")
    assert ebay("china_share_of_gmv").bound == "upper"


def test_more_than_in_a_measure_that_is_no_bound_is_none():
    rows = facts.rows("chinese_seller_share").set_index("measure")
    assert rows.loc["number of sellers (all countries) with more than US$1m of sales", "bound"] == ""


def test_rows_say_which_figures_are_estimates():
    gmv = facts.series(
        "platform_shift_evidence", measure="third-party GMV (estimate)", population="all third-party sellers"
    )
    assert gmv.provenance == "estimate"
    assert gmv.publisher == "Marketplace Pulse"


def test_growth_over_a_lower_bound_is_an_upper_bound():
    buyers = facts.series(
        "platform_quarterly",
        platform="Alibaba international",
        series="retail_annual_active_consumers",
        last="2021Q1",
        freq="Q",
    )
    assert buyers.bound == "lower"
    with pytest.raises(DataError, match=r"2020Q1; both values are lower bounds"):
        facts.growth(buyers)
    later = facts.series(
        "platform_quarterly",
        platform="Alibaba international",
        series="retail_annual_active_consumers",
        first="2020Q1",
        freq="Q",
    )
    growth = facts.growth(later)
    assert growth.marks.loc["2021Q1", "bound"] == "upper"
    assert growth.marks.loc["2022Q1", "bound"] == ""
    assert growth.bound == "upper"


# Derivations


def test_ebay_quarters_of_2021_sum_to_the_reported_year_within_rounding():
    level = ebay("gmv_total", freq="Q", first="2022Q1", last="2022Q4")
    reported = ebay("gmv_growth_yoy", unit="percent as reported", freq="Q", first="2022Q1", last="2022Q4")
    quarters = facts.from_growth(level, reported)
    assert quarters.periods == ["2021Q1", "2021Q2", "2021Q3", "2021Q4"]
    assert quarters.provenance == "estimate"
    assert "divided by one plus the reported growth" in quarters.derivation
    year = ebay("gmv_total", freq="A").values["2021"]
    assert round(quarters.values.sum() / 1000, 2) == 87.50
    assert year / 1000 == pytest.approx(87.37, abs=0.005 + 1e-9)  # 87365 million stands on the edge
    # Growth is rounded to whole per cent: each quarter is off by at most half a point.
    slack = (quarters.values * 0.005 / (1 + (reported.values.to_numpy() - 0.5) / 100)).sum()
    assert abs(quarters.values.sum() - year) < slack


def test_quarters_are_differences_of_reports_from_january():
    cumulative = anker()
    quarters = facts.quarters_from_cumulative(cumulative)
    assert quarters.values["2021Q1"] == cumulative.values["2021Q1"]
    assert quarters.values["2021Q3"] == pytest.approx(8425.1914 - 5370.5769)
    assert quarters.values["2021Q1":"2021Q4"].sum() == pytest.approx(cumulative.values["2021"])
    assert "2017Q1" not in quarters.periods
    assert "differences of reports from 1 January" in quarters.derivation


def test_derived_quarters_agree_with_the_published_ones():
    quarters = facts.quarters_from_cumulative(anker())
    assert quarters.values["2021Q4"] == pytest.approx(4149, abs=0.5)  # the annual report's 41.49 hundred million
    services = facts.series(
        "platform_quarterly", platform="Amazon", series="third_party_seller_services", publisher=AMAZON
    )
    assert facts.quarters_from_cumulative(services).values["2021Q4"] == services.values["2021Q4"]


def test_a_quarter_whose_note_says_cumulative_is_read_as_cumulative(data):
    where = {"firm": "Ziel Home (Songmics)", "measure": "revenue_total"}
    change(data, "listed_sellers", ",2022Q1-Q3,revenue_total,4118.5318", ",2022Q3,revenue_total,4118.5318")
    quarters = facts.quarters_from_cumulative(facts.series("listed_sellers", root=data, **where))
    assert quarters.values["2022Q3"] == pytest.approx(4118.5318 - 2808.6767)
    assert "2022Q3" not in facts.series("listed_sellers", freq="Q", root=data, **where).periods


def test_no_quarters_come_from_years_alone():
    with pytest.raises(DataError, match=r"no periods fit among 2019, 2020, 2021, 2022"):
        facts.quarters_from_cumulative(ebay("gmv_total", freq="A"))


def test_growth_in_per_cent_and_in_log_points_agree():
    gmv = ebay("gmv_total", freq="A")
    percent, log = facts.growth(gmv), facts.growth(gmv, scale="log")
    np.testing.assert_allclose(np.log1p(percent.values / 100), log.values, rtol=1e-12)
    assert (percent.unit, log.unit) == ("percent y/y", "log points y/y")
    with pytest.raises(DataError, match="known are percent, log"):
        facts.growth(gmv, scale="points")


def test_growth_of_a_loss_is_refused():
    profit = facts.series("listed_sellers", firm="Sailvan Times", measure="net_profit", freq="A")
    with pytest.raises(DataError, match=r"2017 is -65\.9827"):
        facts.growth(profit)


def test_growth_that_is_not_in_per_cent_is_refused():
    gmv = ebay("gmv_total", freq="A")
    with pytest.raises(DataError, match="give reported growth in percent"):
        facts.from_growth(gmv, gmv)


def test_a_share_is_a_percentage_of_its_whole():
    china = ebay("net_revenue_china_sellers", freq="H")
    whole = ebay("net_revenue", publisher=EBAY, freq="H")
    share = facts.share(china, whole)
    assert share.values["2023H1"] == pytest.approx(100 * 500 / 5050)
    assert share.unit == "percent of eBay: net_revenue"


def test_two_publishers_are_not_combined_by_arithmetic():
    gmv = ebay("gmv_total", freq="A")
    with pytest.raises(DataError, match="their publishers differ: 'MarketBeat' and 'eBay"):
        facts.share(ebay("net_revenue", publisher="MarketBeat"), gmv)
    reported = ebay("gmv_growth_yoy", publisher="Motley Fool")
    with pytest.raises(DataError, match="their publishers differ"):
        facts.from_growth(ebay("gmv_total", publisher=EBAY, freq="Q"), reported)


def test_two_units_are_not_combined_by_arithmetic():
    services = amazon("third_party_seller_services")
    with pytest.raises(DataError, match="their units differ: 'million USD' and 'percent y/y'"):
        facts.difference(services, facts.growth(services))


def test_deriving_changes_neither_its_inputs_nor_the_files():
    level = ebay("gmv_total", freq="A")
    values, marks = level.values.copy(), level.marks.copy()
    facts.growth(level)
    facts.share(level, level)
    assert level.values.equals(values)
    assert level.marks.equals(marks)
    frame = facts.load("events")
    frame["quantity"] = 0.0
    assert facts.load("events")["quantity"].max() > 0


# Splices


def test_an_undeclared_splice_is_refused():
    with pytest.raises(DataError, match="declares jihong_crossborder, loctek_calendar, sunvalley_crossborder"):
        facts.splice("amazon_ebay")


@pytest.mark.parametrize("splice_id", sorted(set(facts.load("splices")["splice_id"])))
def test_every_declared_splice_can_be_made_and_says_why(splice_id):
    spliced = facts.splice(splice_id)
    assert spliced.derivation.startswith("spliced: ")
    for reason in facts.load("splices").query("splice_id == @splice_id")["reason"]:
        assert reason in spliced.derivation


def test_the_splice_of_youkeshu_backs_2019_out_of_reported_growth():
    spliced = facts.splice("youkeshu_revenue")
    assert spliced.values["2019"] == pytest.approx(4749 / 1.2016)
    assert list(spliced.marks["provenance"]) == ["estimate", "real", "real", "real"]
    assert spliced.publisher.startswith("World Trader; Tiza")


def test_the_splice_of_sunvalley_agrees_with_the_reported_change():
    reported = facts.series(
        "listed_sellers", firm="Xinghui (SACA) / Sunvalley (Zebao)", measure="revenue_crossborder_yoy"
    )
    spliced = facts.growth(facts.splice("sunvalley_crossborder"))
    assert round(float(spliced.values["2021"]), 2) == reported.values["2021"]


def test_the_splice_of_loctek_is_the_last_twelve_months_at_the_fourth_quarter():
    spliced = facts.splice("loctek_calendar")
    assert (spliced.values["2020"], spliced.values["2021"]) == (1941, 2871)
    assert spliced.unit == "million CNY"


def test_stretches_of_a_splice_that_overlap_are_refused(data):
    change(data, "splices", "loctek_calendar,2017,2023,", "sunvalley_crossborder,2017,2023,")
    with pytest.raises(DataError, match="two parts hold 2019, 2020, 2021, 2023"):
        facts.splice("sunvalley_crossborder", root=data)


# Published anchors; tolerance is half the last printed digit


@pytest.mark.parametrize(
    ("splice_id", "printed"),
    [
        ("youkeshu_revenue", -1.104),
        ("sunvalley_crossborder", -0.617),
        ("loctek_calendar", 0.391),
        ("jihong_crossborder", 0.111),
    ],
)
def test_spliced_revenue_changes_as_printed_from_2020_to_2021(splice_id, printed):
    change = facts.growth(facts.splice(splice_id), scale="log").values["2021"]
    assert change == pytest.approx(printed, abs=0.0005)


@pytest.mark.parametrize(
    ("firm", "printed"),
    [("Anker Innovations", 0.296), ("Ziel Home (Songmics)", 0.407), ("Sailvan Times", 0.058), ("Zibuyu", 0.212)],
)
def test_published_revenue_changes_as_printed_from_2020_to_2021(firm, printed):
    assert facts.growth(revenue(firm), scale="log").values["2021"] == pytest.approx(printed, abs=0.0005)


@pytest.mark.parametrize(
    ("quarter", "printed"),
    [("2021Q1", 19.4), ("2021Q2", 22.0), ("2021Q3", 15.4), ("2021Q4", 11.4), ("2022Q1", 10.2), ("2022Q4", 22.2)],
)
def test_services_lead_stores_by_the_printed_points(quarter, printed):
    # 2021Q2 is 22.05 points; the difference of the two rates after rounding would be 22.1.
    ahead = lead()
    assert ahead.unit == "percentage points"
    assert ahead.values[quarter] == pytest.approx(printed, abs=0.05)


def test_the_lead_varied_as_printed_in_2019_and_2020():
    before = lead().values["2019Q1":"2020Q4"]
    assert len(before) == 8
    assert before.std() == pytest.approx(4.5, abs=0.05)
