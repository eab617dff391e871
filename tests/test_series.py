"""Series: one publisher, measure, definition and population; derivations; splices."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from fewtreated.errors import DataError

from analysis import data, series
from analysis.evidence import shift

AMAZON = "Amazon (own filings)"
EBAY = "eBay (own filings and releases)"
ALIBABA = {
    "platform": "Alibaba international",
    "series": "international_commerce_retail_revenue",
    "freq": "Q",
}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Return a copy of the data folder that a test may change, and that series are read from."""
    root = Path(shutil.copytree(data.DATA, tmp_path / "data"))
    there = {
        name: partial(getattr(data, name), root=root)
        for name in ("load", "card", "package", "verified")
    }
    monkeypatch.setattr(series, "data", SimpleNamespace(**there))
    return root


def change(root, name, old, new):
    """Revise a file as a researcher would: edit it, then accept it."""
    path = root / data.card(name)["path"]
    text = path.read_bytes().decode()
    assert old in text
    path.write_bytes(text.replace(old, new, 1).encode())
    data.accept(name, vintage="2027-01-31", root=root)


def amazon(name):
    return series.published(
        "platform_quarterly", platform="Amazon", series=name, publisher=AMAZON, freq="Q"
    )


def ebay(name, **where):
    return series.published("platform_quarterly", platform="eBay", series=name, **where)


def buyers(**where):
    name = "retail_annual_active_consumers"
    return series.published(
        "platform_quarterly", platform="Alibaba international", series=name, freq="Q", **where
    )


# One series


def test_a_series_carries_unit_publisher_sources_and_periods():
    services = amazon("third_party_seller_services")
    assert (services.unit, services.publisher) == ("million USD", AMAZON)
    assert services.points["bound"].eq("").all()
    assert services.values.index.freqstr.startswith("Q")
    assert services.values["2021Q3"] == 24252
    assert list(services.sources["period"]) == services.periods
    assert services.sources["source_url"].str.startswith("http").all()
    assert (
        services.sources["source_publisher"].nunique() > 3
    )  # copies of one publisher are one publisher


def test_a_value_is_written_with_the_mark_of_its_own_period():
    volume = shift.volume()
    assert (f"{volume:2021Q1}"[-1], f"{volume:2022Q3}") == ("◐", "17,715 ●")
    with pytest.raises(DataError, match="for '2030Q1'; choose from 2021Q1, "):
        format(volume, "2030Q1")


def test_annual_and_quarterly_values_of_one_file_do_not_mix():
    assert ebay("gmv_total", freq="A").periods == ["2019", "2020", "2021", "2022"]
    assert ebay("gmv_total", freq="Q", first="2022Q1", last="2022Q4").periods == [
        f"2022Q{q}" for q in range(1, 5)
    ]


def test_half_years_keep_their_names():
    half = ebay("net_revenue_china_sellers", freq="H")
    assert half.periods == ["2022H1", "2023H1"]
    assert round(float(series.growth(half).values["2023H1"]), 1) == 16.6


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (
            {"platform": "eBay", "series": "gmv_total", "freq": "Q"},
            rf"2 values of publisher: 'Motley Fool' \(1\), '{EBAY[:4]}",
        ),
        (
            {"platform": "eBay", "series": "gmv_growth_yoy"},
            "2 values of unit: 'percent as reported'",
        ),
        ({"platform": "Walmart"}, "values of series: .*declare a splice in splices.csv"),
        (ALIBABA, r"'as named' \(28\), 'segment basis of 2023' \(11\)"),
    ],
)
def test_rows_of_several_series_are_refused_by_what_differs(where, said):
    with pytest.raises(DataError, match=said):
        series.published("platform_quarterly", **where)


def test_a_definition_that_is_named_is_one_series():
    assert (
        series.published(
            "platform_quarterly", definition="segment basis of 2023", **ALIBABA
        ).periods[0]
        == "2023Q2"
    )


def test_two_populations_and_papers_that_cite_one_publisher_are_not_joined():
    survey = "share of shoppers' latest cross-border purchase made on the platform (IPC survey)"
    with pytest.raises(DataError, match="values of population"):
        series.published("platform_shift_evidence", measure=survey, platform="eBay")
    active = {"measure": "share of active sellers based in China", "marketplace": "Amazon (all)"}
    with pytest.raises(
        DataError, match=r"4 values of publisher: 'ChinaTalk\.nl citing Marketplace Pulse'"
    ):
        series.published("origin_shares", **active)


def test_a_period_with_two_values_is_refused_with_both(root):
    change(
        root,
        "platform_quarterly",
        "eBay,gmv_total,2021Q4,20700.0,million,USD,Motley Fool",
        "eBay,gmv_total,2022Q4,18000.0,million,USD,eBay release (mirror)",
    )
    with pytest.raises(
        DataError, match=r"2022Q4 has different values: .*18000 \(eBay release \(mirror\)\)"
    ):
        series.published("platform_quarterly", platform="eBay", series="gmv_total", freq="Q")


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"platform": "Ebay"}, "no row has platform='Ebay'; choose from Alibaba international"),
        ({"country": "US"}, "there is no column 'country'"),
        ({"freq": "W"}, "'W' is not a frequency; choose from A, H, Q, M, FY"),
        ({"platform": "Shopify", "freq": "A"}, "no period fits freq='A'"),
        (
            {"platform": "Shopify", "freq": "A", "first": "2024Q1"},
            "'2024Q1' to '' does not match freq='A'",
        ),
        ({"platform": "Shopify", "first": "2024Q1"}, "does not match freq=''; choose from A, H, Q"),
    ],
)
def test_a_question_without_answer_says_what_there_is(where, said):
    with pytest.raises(DataError, match=said):
        series.published("platform_quarterly", **where)


def test_a_file_without_series_says_so():
    with pytest.raises(DataError, match=r"use data\.load\(\)"):
        series.published("events", event_id="E001")
    with pytest.raises(DataError, match=r"has no column source_publisher; use data\.load\(\)"):
        series.qualified_rows("claims")


def test_no_figure_that_its_note_calls_cumulative_stands_as_a_quarter():
    rows = data.load("listed_sellers").dropna(subset="note")
    cumulative = rows[rows["note"].str.contains("cumulative from 1 January")]["period"].str[4:]
    assert set(cumulative) == {"Q1", "H1", "Q1-Q3"}


# Bounds and provenance


def test_rows_say_which_figures_are_bounds_and_which_estimates():
    bound = series.qualified_rows("events").set_index("event_id")["bound"]
    assert (bound["E053"], bound["E054"], bound["E016"], bound["E068"]) == (
        "lower",
        "lower",
        "lower",
        "",
    )
    assert set(ebay("china_share_of_gmv").points["bound"]) == {"upper"}
    units = data.load("events").dropna(subset="unit")
    assert units[units["unit"].str.contains("more than")]["bound"].eq("lower").all()


def test_growth_over_a_lower_bound_is_an_upper_bound():
    with pytest.raises(
        DataError, match=r"in 2020Q1 both values are lower bounds, so the result is unbounded"
    ):
        series.growth(buyers(last="2021Q1"))
    bound = series.growth(buyers(first="2020Q1")).points["bound"]
    assert (bound["2021Q1"], bound["2022Q1"]) == ("upper", "")


# Derivations


def test_ebay_quarters_of_2021_sum_to_the_reported_year_within_rounding():
    level = ebay("gmv_total", freq="Q", first="2022Q1", last="2022Q4")
    reported = ebay(
        "gmv_growth_yoy", unit="percent as reported", freq="Q", first="2022Q1", last="2022Q4"
    )
    quarters = series.from_growth(level, reported)
    assert quarters.periods == ["2021Q1", "2021Q2", "2021Q3", "2021Q4"]
    assert quarters.points["provenance"].eq("estimate").all()
    year = ebay("gmv_total", freq="A").values["2021"]
    assert round(quarters.values.sum() / 1000, 2) == 87.50
    assert year / 1000 == pytest.approx(87.37, abs=0.005 + 1e-9)  # 87365 million stands on the edge
    # Growth is rounded to whole per cent: each quarter is off by at most half a point.
    slack = (quarters.values * 0.005 / (1 + (reported.values.to_numpy() - 0.5) / 100)).sum()
    assert abs(quarters.values.sum() - year) < slack


def test_what_has_no_growth_is_refused():
    profit = series.published(
        "listed_sellers", firm="Sailvan Times", measure="net_profit", freq="A"
    )
    with pytest.raises(DataError, match=r"for 2017 is -65\.9827; use a series of positive levels"):
        series.growth(profit)
    gmv = ebay("gmv_total", freq="A")
    with pytest.raises(DataError, match="in 'million USD'; use growth in per cent"):
        series.from_growth(gmv, gmv)
    with pytest.raises(
        DataError, match=r"the two series have no common period \(2022 and 2023\); load more"
    ):
        series.growth(ebay("gmv_total", freq="A", first="2022"))


def test_two_publishers_are_not_combined_by_arithmetic():
    with pytest.raises(DataError, match=r"their publishers differ: 'eBay.* and 'Motley"):
        series.from_growth(
            ebay("gmv_total", publisher=EBAY, freq="Q"),
            ebay("gmv_growth_yoy", publisher="Motley Fool"),
        )


def test_deriving_changes_neither_its_inputs_nor_the_files():
    level = ebay("gmv_total", freq="A")
    points = level.points.copy()
    series.growth(level)
    assert level.points.equals(points)
    frame = data.load("events")
    frame["quantity"] = 0.0
    assert data.load("events")["quantity"].max() > 0


# Splices


def test_an_undeclared_splice_is_refused():
    with pytest.raises(
        DataError,
        match=r"splices\.csv declares only jihong_crossborder, loctek_calendar, sunvalley_cross",
    ):
        series.splice("amazon_ebay")


@pytest.mark.parametrize("splice_id", sorted(set(data.load("splices")["splice_id"])))
def test_every_declared_splice_can_be_made_and_has_its_reasons(splice_id):
    assert series.splice(splice_id).values.notna().all()
    assert data.load("splices").query("splice_id == @splice_id")["reason"].notna().all()


def test_the_splice_of_youkeshu_backs_2019_out_of_reported_growth():
    spliced = series.splice("youkeshu_revenue")
    assert spliced.values["2019"] == pytest.approx(4749 / 1.2016)
    assert list(spliced.points["provenance"]) == ["estimate", "real", "real", "real"]
    assert spliced.publisher.startswith("World Trader; Tiza")


def test_the_splice_of_sunvalley_agrees_with_the_reported_change():
    firm = "Xinghui (SACA) / Sunvalley (Zebao)"
    reported = series.published("listed_sellers", firm=firm, measure="revenue_crossborder_yoy")
    spliced = series.growth(series.splice("sunvalley_crossborder"))
    assert round(float(spliced.values["2021"]), 2) == reported.values["2021"]


def test_the_splice_of_loctek_is_the_last_twelve_months_at_the_fourth_quarter(root):
    spliced = series.splice("loctek_calendar")
    assert (spliced.values["2020"], spliced.values["2021"]) == (1941, 2871)
    assert spliced.unit == "million CNY"
    change(root, "splices", "loctek_calendar,2017,2023,", "sunvalley_crossborder,2017,2023,")
    with pytest.raises(DataError, match="two segments contain 2019, 2020, 2021, 2023"):
        series.splice("sunvalley_crossborder")


def test_a_series_in_another_currency_is_converted_at_the_rates_of_each_year():
    listed = (
        data.load("listed_sellers")
        .query("measure == 'revenue_total_hkd'")
        .set_index("period")["value"]
    )
    rates = data.load("exchange_rates").set_index(["currency", "year"])["per_dollar"]
    yuan = series.splice("vesync_in_yuan")
    assert (yuan.unit, set(yuan.points["provenance"])) == ("million CNY", {"estimate"})
    for year in yuan.periods:
        dollars = listed[year] / rates["HKD", year]
        assert yuan.points.loc[year, "value"] == pytest.approx(dollars * rates["CNY", year])
    assert listed["2023"] / rates["HKD", "2023"] == pytest.approx(
        585, abs=0.5
    )  # as Vesync reports it


@pytest.mark.parametrize(
    ("period", "currency", "message"),
    [
        ("1999", "HKD", "of 1999: exchange_rates.csv has only 2018"),
        ("2020", "EUR", "exchange_rates.csv has only CNY"),
    ],
)
def test_what_has_no_rate_is_not_converted(period, currency, message):
    vesync = series.published(
        "listed_sellers",
        firm="Vesync",
        measure="revenue_total_hkd",
        first="2020",
        last="2020",
        freq="A",
    )
    points = vesync.points.set_axis([period])
    with pytest.raises(DataError, match=message):
        series._in_yuan(replace(vesync, points=points, unit=f"million {currency}"))
