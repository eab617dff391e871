"""The first numbers of the households, found by an independent script with errors linearised by
respondent.

Values are held to the digits that it gave. Errors are of other clusters, 100 groups of buyers in
place of 1,707 people, so that they may differ by what the error of an error from 100 clusters is:
two of its 7 per cent, 1 / sqrt(2 * 99).
"""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from fewtreated.errors import DataError, DesignError

from analysis import data
from analysis.evidence import households
from analysis.evidence.households import Households, Specification

ERRORS = 2 / np.sqrt(2 * 99)
YEARS = {"before": ("2020-05", "2021-04"), "after": ("2021-09", "2022-08")}
ELECTRONICS = {"against": "other electronics"}


@pytest.fixture(scope="module")
def tables():
    return Households.load()


def digits(values, decimals):
    return [round(float(value), decimals) for value in values]


@pytest.mark.parametrize(
    ("asked", "before", "after", "error"),
    [
        ({}, 9.80, 11.61, 0.42),
        ({"definition": "by name"}, 1.67, 1.74, None),
        ({"definition": "by rule"}, 8.13, 9.87, None),
    ],
)
def test_the_chinese_share_of_what_can_be_seen_rose(tables, asked, before, after, error):
    found = households.share(tables, Specification(**asked))
    assert digits(found.value[:2], 2) == [before, after]
    assert error is None or found.row("change")["std_error"] == pytest.approx(error, rel=ERRORS)


def test_the_share_of_spend_rose(tables):
    found = households.share(tables, Specification(of="spend"))
    assert digits(found.value[:2], 1) == [10.4, 12.7]
    assert found.row("change")["std_error"] == pytest.approx(0.6, rel=ERRORS)


@pytest.mark.parametrize(
    ("asked", "effect", "error"),
    [
        ({}, -0.186, 0.086),
        ({"definition": "by name"}, -0.223, 0.136),
        ({"definition": "by rule"}, -0.059, 0.113),
        (ELECTRONICS, -0.068, 0.102),
        (YEARS, -0.160, 0.061),
        (YEARS | ELECTRONICS, -0.078, 0.075),
        ({"before": ("2020-05", "2020-08"), "after": ("2021-05", "2021-08")}, -0.281, 0.107),
        ({"before": ("2019-09", "2020-02"), "after": ("2020-09", "2021-02")}, 0.015, 0.085),
        ({"before": ("2018-09", "2019-02"), "after": ("2019-09", "2020-02")}, -0.205, 0.094),
    ],
)
def test_in_exposed_categories_the_chinese_share_fell_back(tables, asked, effect, error):
    found = households.exposed(tables, Specification(**asked))
    assert digits(found.value, 3) == [effect]
    assert found.std_error == pytest.approx([error], rel=ERRORS)


@pytest.mark.slow
def test_an_error_is_that_of_leaving_out_each_group_of_buyers(tables):
    found = households.exposed(tables)
    without = []
    for group in tables.groups:
        counted = {name: getattr(tables, name) for name in ("purchases", "buyers")}
        left = {name: table[table["buyer_group"] != group] for name, table in counted.items()}
        without.append(households.exposed(dataclasses.replace(tables, **left)).value[0])
    squares = (np.array(without) - found.value) ** 2
    assert found.std_error == pytest.approx([np.sqrt(99 / 100 * squares.sum())])


def test_tables_of_a_folder_give_what_those_of_the_package_give(tables, tmp_path):
    read = Households.read(data.DATA / "households")
    assert households.exposed(read).rows.equals(households.exposed(tables).rows)
    with pytest.raises(
        DataError, match=r"purchases\.csv is missing; count the purchase file again"
    ):
        Households.read(tmp_path)


def test_purchases_without_a_title_are_in_no_share(tables):
    blank = tables.purchases.assign(origin_class="blank")
    more = dataclasses.replace(tables, purchases=pd.concat([tables.purchases, blank]))
    assert households.share(more).value.tolist() == households.share(tables).value.tolist()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {"definition": "both"},
            "Cannot use definition='both'; choose one of by name, by rule, either",
        ),
        (
            {"against": "books"},
            "Cannot use against='books'; choose one of all others, other electronics",
        ),
    ],
)
def test_what_is_not_there_is_refused_with_what_there_is(tables, asked, said):
    with pytest.raises(DesignError, match=said):
        households.exposed(tables, Specification(**asked))


def test_months_without_purchases_are_refused_with_a_reason(tables):
    found = households.exposed(tables, Specification(after=("2023-09", "2024-02")))
    assert found.refused
    assert (
        "these sums of purchases are zero: Chinese brands in exposed categories, after"
        in found.reason
    )
