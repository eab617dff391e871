"""Where else Chinese sellers sell: what they publish by platform, each derived figure, eBay's lead
and its placebos.
"""

import ast
import operator

import pytest

from analysis import data, series
from analysis.evidence import shift

MIX = shift.mix()
DERIVED = MIX[MIX["derived_from"].notna()]
SIGNS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def computed(node):
    """Do the arithmetic of a derived figure."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.BinOp):
        return SIGNS[type(node.op)](computed(node.left), computed(node.right))
    assert isinstance(node, ast.Call)
    return {"min": min, "max": max}[node.func.id](*map(computed, node.args))


@pytest.mark.parametrize(
    "row", DERIVED.to_dict("records"), ids=lambda row: " ".join((row["firm"], row["period"]))
)
def test_the_arithmetic_of_each_derived_figure_gives_it_from_figures_on_file(row):
    formula = ast.parse(row["derived_from"], mode="eval").body
    decimals = len(str(row["value"]).partition(".")[2])
    assert round(computed(formula), decimals) == row["value"]
    on_file = {*data.load("listed_sellers")["value"], *MIX["value"].dropna()}
    assert {node.value for node in ast.walk(formula) if isinstance(node, ast.Constant)} - {
        0,
        1,
        100,
    } <= on_file


def test_every_figure_has_a_source_that_we_opened_and_a_basis():
    assert MIX[["basis", "source_publisher", "document"]].ne("").all(axis=None)
    assert MIX["provenance"].eq("estimate").equals(MIX["derived_from"].notna())
    assert MIX["opened"].all()
    assert MIX["source_url"].str.startswith("http").all()
    assert {*MIX["source_url"]} <= {*data.load("documents")["source_url"]}
    assert MIX["value"].isna().equals(MIX["unit"] == "")


def test_hosts_of_copies_are_not_called_publishers():
    hosts = {host.partition(" ")[0] for host in MIX["read_in"].dropna()}
    assert not MIX["source_publisher"].str.contains(r"\.\w|@|/|copy|repost").any()
    assert hosts.isdisjoint(MIX["source_publisher"])


def test_no_part_of_youkeshu_s_revenue_exceeds_the_whole():
    money = MIX.query(
        "measure == @shift.REVENUE and firm == 'Youkeshu' and period == '2021'"
    ).set_index("platform")
    whole = "measure == 'revenue_subsidiary_youkeshu' and period == '2021'"
    revenue = data.load("listed_sellers").query(whole)["value"].item()
    wanted = {"Amazon": [0.0, "lower"], "other than Amazon": [revenue, "upper"]}
    assert money[["value", "bound"]].T.to_dict("list") == wanted


STACKS = shift.stacks().set_index(["firm", "period"])
PLACES = ["on_amazon", "either", "elsewhere"]


@pytest.mark.parametrize(
    ("firm", "whole"),
    [("Sunvalley", "revenue_subsidiary_zebao"), ("Youkeshu", "revenue_subsidiary_youkeshu")],
)
def test_what_rounding_leaves_open_is_a_hundred_million_of_the_revenue_of_the_year(firm, whole):
    rows = data.load("listed_sellers").query("measure == @whole and period == '2020'")
    first = STACKS.loc[firm, "2020"]
    assert first[PLACES].sum() == pytest.approx(rows["value"].item() / 1000)
    assert first["either"] == pytest.approx(0.1)
    assert first["part_high"] - first["part_low"] == pytest.approx(
        100 * first["either"] / first[PLACES].sum()
    )


def test_a_limit_leaves_all_of_a_year_open_and_a_figure_nothing():
    assert STACKS.loc["Youkeshu", "2021"][PLACES].tolist() == [0.0, 1.575, 0.0]
    assert STACKS.loc["Youkeshu", "2021"][["part_low", "part_high"]].tolist() == [0.0, 100.0]
    assert (STACKS.loc[["Aukey", "Sailvan"], "either"] == 0).all()
    assert STACKS.loc["Aukey", "2023"]["part_low"] == pytest.approx(53.8, abs=0.01)


def test_closed_sellers_come_first_and_each_has_two_years():
    assert [*STACKS.index.unique("firm")] == ["Aukey", "Sunvalley", "Youkeshu", "Sailvan"]
    assert (STACKS.groupby("firm").size() == 2).all()


def test_no_closed_seller_publishes_its_sales_on_a_platform_that_it_names():
    named = shift.platforms().set_index("firm")
    hit = named[named["closed"] == "yes"]
    assert hit["places"].to_dict() == {
        "Aukey": "Walmart, Wayfair",
        "Youkeshu": "AliExpress, Wish, eBay",
    }
    assert hit["published"].isna().all()
    assert named.loc["Sailvan", ["places", "published"]].tolist() == ["eBay", 0.94]
    assert "Santai" not in named.index  # its figure includes Amazon


def test_the_press_figure_in_yuan_and_that_in_dollars_are_one():
    dollars = data.load("events").set_index("event_id").loc["E004", "quantity"]
    yuan = MIX.query(
        "firm == 'Sunvalley' and platform == 'Amazon' and measure == @shift.REVENUE and period =="
        " '2020'"
    )
    assert 1e6 * yuan["value"].item() / dollars == pytest.approx(
        6.46, abs=0.005
    )  # the rate of June 2021
    assert yuan["rounded_to"].item() == 100


def test_growth_is_never_taken_across_two_tables_of_the_filings():
    found = shift.leads().set_index(["Covers", "Year"])[shift.LEAD]
    assert found["marketplace", "2019"] == pytest.approx(
        100 * (1756 / 1520 - 3303 / 3382), abs=1e-9
    )
    assert found["marketplace", "2020"] == pytest.approx(
        100 * (1959 / 1769 - 4151 / 3303), abs=1e-9
    )


def test_2022_is_neither_the_highest_year_nor_outside_the_range_of_those_before_the_closures():
    by_year = shift.leads().set_index("Year")[shift.LEAD]
    before = by_year[by_year.index < shift.CLOSURES]
    assert before.min() < by_year[shift.AFTER] < before.max()


def test_the_derived_quarters_of_wish_fit_the_year_and_the_growth_that_it_gives():
    wish = (
        series.qualified_rows("platform_quarterly")
        .query("platform == 'Wish'")
        .set_index(["series", "period"])["value"]
    )
    revenue = wish["revenue"]
    core = wish["core_marketplace_revenue"]
    assert revenue["2021Q3"] == revenue["2021"] - revenue[["2021Q1", "2021Q2", "2021Q4"]].sum()
    assert round(revenue["2022Q3"] / (1 - 0.66)) == revenue["2021Q3"]
    assert round(core["2021Q4"] / (1 - 0.74)) == core["2020Q4"]
    assert round(core["2022Q3"] / (1 - 0.78)) == core["2021Q3"]


def test_a_missing_figure_is_not_bridged():
    with pytest.raises(KeyError, match="2015"):
        shift.revenue(shift.LINES, ["2015", *shift.TABLES[0][2]], shift.TABLES[0][0])
