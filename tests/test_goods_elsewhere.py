"""Sales outside Amazon, with and without logistics, and under both readings of Aukey's share."""

import pytest

from analysis import data
from analysis.evidence import shift

ROWS = shift.goods_elsewhere().set_index(["firm", "period", "reading"]).sort_index()


def test_sailvans_goods_and_logistics_add_up_to_its_revenue():
    figures = (
        data.load("listed_sellers")
        .query("firm.str.startswith('Sailvan')")
        .set_index(["period", "measure"])["value"]
    )
    for period in ("2020", "2021"):
        row = ROWS.loc["Sailvan", period].iloc[0]
        logistics = row["with_logistics_low"] - row["goods_low"]
        assert logistics == pytest.approx(
            figures[period, "revenue_total"] - figures[period, "revenue_goods"]
        )
        assert row["amazon_low"] + row["with_logistics_low"] == pytest.approx(
            figures[period, "revenue_total"]
        )


def test_sailvan_sold_goods_for_seven_hundred_million_yuan_less_elsewhere():
    goods, everything = (
        ROWS.loc["Sailvan"][name].diff().iloc[-1] for name in ("goods_low", "with_logistics_low")
    )
    assert round(goods / 1000, 1) == -0.7
    assert round(everything / 1000, 1) == -0.8


@pytest.mark.parametrize("period", ["2021", "2023"])
def test_a_share_of_goods_alone_can_only_lower_aukeys_sales_on_amazon(period):
    of_gross = ROWS.loc["Aukey", period, shift.OF_GROSS]
    of_goods = ROWS.loc["Aukey", period, shift.OF_GOODS]
    assert of_gross["amazon_low"] == of_gross["amazon_high"] == of_goods["amazon_high"]
    assert (
        of_goods["with_logistics_low"]
        == of_gross["with_logistics_low"]
        == of_gross["with_logistics_high"]
    )
    total = of_gross["amazon_high"] + of_gross["with_logistics_high"]
    for logistics in (0.0, 0.3 * total, total):  # whatever logistics was, sales lie within the ends
        part = of_gross["amazon_high"] / total
        amazon = part * (total - logistics)
        assert of_goods["amazon_low"] <= amazon <= of_goods["amazon_high"] + 1e-9
        assert (
            of_goods["with_logistics_low"] - 1e-9
            <= total - amazon
            <= of_goods["with_logistics_high"] + 1e-9
        )
        assert (
            of_goods["goods_low"]
            <= (1 - part) * (total - logistics)
            <= of_goods["goods_high"] + 1e-9
        )
