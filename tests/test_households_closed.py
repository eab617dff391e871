"""What closed brands lost, and what blank titles leave open: held against a file that was worked
out by hand.
"""

import dataclasses
import re

import count
import numpy as np
import pandas as pd
import pytest
from fewtreated.errors import DesignError
from test_households import made_up, stores

from analysis.evidence.households import Households, Specification, closed, share, worst_case
from analysis.provenance import ROOT

BOUGHT = [
    # day, price, title, code, category, buyer, how often; the table of products knows B04, a Mpow,
    # and not B10
    ("2020-10-01", "10", "", "B04", "HEADPHONES", "ann", 3),
    ("2020-10-01", "10", "", "B04", "HEADPHONES", "ben", 1),
    ("2020-10-01", "10", "Sony Headphones", "B09", "HEADPHONES", "eve", 1),
    ("2020-10-01", "10", "Anker Hub", "B07", "HUB", "ben", 5),
    ("2020-10-01", "10", "A Book", "B08", "BOOK", "eve", 8),
    ("2020-10-01", "10", "", "B10", "", "eve", 2),
    ("2021-10-01", "30", "", "B04", "HEADPHONES", "ann", 1),
    ("2021-10-01", "10", "", "B04", "HEADPHONES", "ben", 1),
    ("2021-10-01", "10", "Anker Hub", "B07", "HUB", "eve", 4),
    ("2021-10-01", "10", "A Book", "B08", "BOOK", "ann", 18),
    ("2021-10-01", "10", "", "B10", "HEADPHONES", "eve", 1),
]
ANN = 45  # her group


def counted(folder, *, with_products):
    lines = [
        (day, price, "1", title, code, category, buyer)
        for day, price, title, code, category, buyer, often in BOUGHT
        for _ in range(often)
    ]
    products = stores(folder / "products.csv") if with_products else None
    if with_products:
        out = "my-named-households"
    else:
        out = "my-households"
    return count.count(made_up(folder / "bought.csv", lines), products).write(folder / out)


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    return Households.read(counted(tmp_path_factory.mktemp("named"), with_products=True))


@pytest.fixture(scope="module")
def nameless(tmp_path_factory):
    return Households.read(counted(tmp_path_factory.mktemp("nameless"), with_products=False))


def test_how_many_products_of_each_closed_brand_a_table_holds_is_said_before_anything_is_estimated(
    tmp_path,
):
    said = count.count(
        made_up(
            tmp_path / "bought.csv", [("2020-10-01", "10", "1", "", "B04", "HEADPHONES", "ann")]
        ),
        stores(tmp_path / "products.csv"),
    ).said[-1]
    assert said.startswith("Products of the closed brands in the table of products: ")
    assert re.search(r"\bMpow 1\b", said)
    assert re.search(r"\bRavPower 0\b|\bRAVPower 0\b", said)


def bought_of_closed(households, kept):
    """Return the same with some of the purchases of closed brands alone."""
    return dataclasses.replace(households, closed=households.closed.query(kept))


@pytest.mark.parametrize(
    ("of", "change"),
    [("purchases", (2 / 25) / (4 / 20) - 1), ("spend", (40 / 270) / (40 / 200) - 1)],
    ids=["purchases", "spend"],
)
def test_closed_brands_fell_per_purchase_of_all_with_and_without_a_title(named, of, change):
    found = closed(named, Specification(of=of))
    assert (found.terms, found.unit) == (("closed brands",), "per cent")
    assert found.value == pytest.approx([100 * change])


def test_its_error_is_that_of_leaving_out_each_buyer_and_nobody_loses_more_than_all(named):
    found = closed(named)
    without = (
        100 * np.array([(1 / 6) / (1 / 17), (1 / 24) / (3 / 14), (2 / 20) / (4 / 9)]) - 100
    )  # ann, ben, eve
    assert found.std_error == pytest.approx([np.sqrt(2 / 3 * ((without - found.value) ** 2).sum())])
    assert found.value[0] - found.std_error[0] < -100
    assert found.bounds("closed brands")[0] == -100


def test_nothing_bought_after_is_the_loss_of_all_and_has_no_error(named):
    found = closed(bought_of_closed(named, "month < '2021-01'"))
    assert (found.value.tolist(), np.isnan(found.std_error).tolist()) == ([-100.0], [True])
    assert f"{found:all}".startswith(
        "−100.0 per cent ◐ (no purchases of closed brands, after: the values behind it do not vary"
    )


@pytest.mark.parametrize("kept", ["month > '2021-01'", "month > '2022-01'"])
def test_nothing_bought_before_is_refused(named, kept):
    found = closed(bought_of_closed(named, kept))
    assert found.refused
    assert (
        found.reason
        == "these sums of purchases are zero: closed brands, before; choose other months or"
        " categories"
    )


def test_purchases_before_by_one_buyer_alone_leave_no_error(named):
    found = closed(bought_of_closed(named, f"buyer_group == {ANN}"))
    assert found.value == pytest.approx([100 * ((1 / 25) / (3 / 20) - 1)])
    assert (found.bounds("closed brands"), found.reason) == (
        None,
        "closed brands: rests on a single cluster",
    )


def test_without_a_table_of_products_the_loss_is_refused_with_the_command(nameless):
    for households in (nameless, Households.load()):
        assert households.closed is None
        with pytest.raises(
            DesignError, match=r"--brands PRODUCTS .* the columns parent_asin and store"
        ):
            closed(households)


def test_blank_titles_are_all_chinese_or_none_and_a_table_of_products_narrows_what_they_leave_open(
    named, nameless
):
    # 5 Anker and 6 blank of 20, then 4 and 3 of 25; with 4 and 2 of the blank named as Mpow
    assert worst_case(nameless) == (30, pytest.approx((16 - 55, 28 - 25)))
    assert worst_case(named) == (10, pytest.approx((24 - 55, 28 - 45)))


def test_where_no_title_is_blank_in_the_windows_the_change_is_that_of_the_share():
    households = Households.load()
    early = households.purchases.query("month == '2018-01'").assign(origin_class="blank")
    more = dataclasses.replace(households, purchases=pd.concat([households.purchases, early]))
    change = share(households).value[2]
    assert worst_case(more) == (0, pytest.approx((change, change)))


def test_what_the_guide_shows_runs_on_a_file_that_was_counted_with_and_without_a_table_of_products(
    tmp_path, monkeypatch, capsys
):
    for with_products in (True, False):
        counted(tmp_path, with_products=with_products)
    monkeypatch.chdir(tmp_path)
    guide = (ROOT / "docs" / "households.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    assert "my-named-households" in blocks[-1]
    for block in blocks:
        exec(block, {})
    assert "loss of closed brands, per cent ◐" in capsys.readouterr().out
