"""The table of estimates, what it says of those that are missing or small or off the truth, and results without any."""

import re

import numpy as np
import pandas as pd
import pytest

from analysis.estimate import Estimate
from analysis.exhibits import answers, blocks, charts, curves, style
from analysis.numbers import NOT_ESTIMABLE


@pytest.fixture(autouse=True)
def simulated_look():
    style.use("simulated", "a market")
    yield
    style.use()


ROWS = pd.DataFrame(
    {
        "id": ["A", "B", "C"],
        "label": ["first", "second", "third"],
        "estimate": [1.0, -8.0, np.nan],
        "conf_low": [-1.0, -9.0, np.nan],
        "conf_high": [3.0, -7.0, np.nan],
        "unit": ["per cent", "per cent", None],
        "n": [10, 20, np.nan],
        "mde": [2.8, 1.4, np.nan],
        "reason": ["", "", "nobody was closed"],
    }
)


def cells(block) -> list[list[str]]:
    rows = re.findall("<tr>(.*?)</tr>", block.html)[1:]
    return [re.findall("<td[^>]*>(.*?)</td>", row) for row in rows]


def test_a_row_without_an_estimate_says_so_and_why():
    block = blocks.estimates(ROWS, "Effects.")
    assert NOT_ESTIMABLE in cells(block)[2]
    assert "third: nobody was closed." in block.text
    assert "nobody was closed" not in blocks.estimates(ROWS, "Effects.", why=False).text
    assert "nobody was closed" in blocks.reasons(ROWS).text
    assert blocks.reasons(ROWS.head(2)).html == ""
    told = blocks.reasons(ROWS.assign(reason="a part of -3 to 3 points since 2021-05")).text
    assert told == "first: a part of −3 to 3 points since 2021-05."


def test_an_estimate_below_the_detectable_effect_is_marked_in_its_row():
    block = blocks.estimates(ROWS, "Effects.")
    assert [row[1] for row in cells(block)] == ["+1.0 ○ †", "−8.0 ○", NOT_ESTIMABLE]
    assert "† smaller than the smallest effect that this panel would show." in block.html
    assert "†" not in blocks.estimates(ROWS.iloc[1:2], "Effects.").html


def test_a_dash_in_the_place_of_a_truth_or_a_grade_is_explained():
    assert "Truth –: no true value is defined for it." in blocks.estimates(ROWS, "E.", true={"A": 2.0}).html
    assert "Truth –" not in blocks.estimates(ROWS, "E.", true={"A": 2.0, "B": 0.0}).html
    ungraded = "Not graded: not among the audited estimands."
    assert ungraded in blocks.estimates(ROWS, "E.").html
    assert ungraded in blocks.estimates(ROWS.assign(grade=["usable", "not graded", "not graded"]), "E.").html
    graded = blocks.estimates(ROWS.assign(grade=["usable", "do not use", "not graded"]), "E.")
    assert ungraded not in graded.html
    assert [row[-1] for row in cells(graded)] == ["usable", "do not use", "–"]


def test_codes_become_names_as_whole_words_in_labels_and_reasons():
    rows = ROWS.assign(label=["moved to EBY", "EBYE", "by CN rivals"], reason=["EBY opened to CN", "", ""])
    named = blocks.in_words(rows, {"EBY": "eBay", "CN": "Chinese"})
    assert named["label"].tolist() == ["moved to eBay", "EBYE", "by Chinese rivals"]
    assert named["reason"].tolist() == ["eBay opened to Chinese", "", ""]


def test_placebos_are_sorted_by_whether_they_exclude_zero_and_sized_against_their_estimates():
    assert blocks.placebos(ROWS, [4.0, 10.0, np.nan]) == (
        "Placebos whose interval excludes zero: second −8.0 ○ [−9.0 to −7.0], 80 per cent of the estimate; "
        "whose interval holds zero: first, 25 per cent of the estimate; whose interval is not there: third."
    )
    assert blocks.placebos(ROWS.head(1), [np.nan]) == "Placebos whose interval holds zero: first."


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            0.42,
            "excludes zero up to a drift from month to month of M* times the largest before closure: the break",
        ),
        (np.nan, "The interval of the mean effect of months 0 to 3 holds zero even with no drift"),
        (np.inf, "excludes zero under every drift"),
    ],
)
def test_the_breakdown_value_decides_what_is_said_of_drift(value, said):
    told = blocks.breakdown(value, "of months 0 to 3")
    assert said in told
    assert ("M* = 0.42 ○" in told) == (value == 0.42)
    assert blocks.breakdown(None, "of months 0 to 3") == ""


def test_the_truth_stands_beside_the_estimate_only_where_it_is_known():
    plain = blocks.estimates(ROWS, "Effects.").html
    assert "Truth" not in plain
    shown = cells(blocks.estimates(ROWS, "Effects.", true={"A": 2.0, "B": 0.0}))
    assert [row[-2:] for row in shown] == [["+2.0 ○", "yes"], ["0.0 ○", "no"], ["–", "–"]]
    given = cells(blocks.estimates(ROWS.assign(truth=[5.0, np.nan, np.nan]), "Effects.", true={"A": 2.0, "B": -8.0}))
    assert [row[-2:] for row in given] == [["+5.0 ○", "no"], ["−8.0 ○", "yes"], ["–", "–"]]


def test_one_unit_is_said_once_and_several_have_a_column():
    assert "Unit: per cent." in blocks.estimates(ROWS, "Effects.").html
    two = ROWS.assign(unit=["per cent", "ratio", None])
    assert "<th" in blocks.estimates(two, "Effects.").html.split("Unit")[0]
    assert "−8.00 ○" in blocks.estimates(two, "Effects.").html


def made(value=np.nan, *, reason="nobody was closed.", limits=np.nan, terms=("seen",)) -> Estimate:
    size = len(terms)
    ends = np.full((2, size), limits)
    return Estimate(estimand="E3g", unit="ratio", terms=terms, value=np.full(size, value), limits=ends, reason=reason)


@pytest.mark.parametrize("refusal", [made(), made(terms=())])
@pytest.mark.parametrize(
    "show",
    [
        blocks.table,
        blocks.estimates,
        lambda found, caption: blocks.figure(charts.forest(found, xlabel="x"), caption, "A."),
        lambda found, caption: blocks.figure(charts.waterfall({"As estimated": found}, xlabel="x"), caption, "A."),
        lambda found, caption: blocks.figure(curves.event_study(found, reference=-1, ylabel="y"), caption, "A."),
    ],
)
def test_an_exhibit_of_a_refused_estimate_is_one_line_with_its_name_and_the_reason(show, refusal):
    told = "Effect on growth: not estimable with this data. Nobody was closed."
    assert show(refusal, "Effect on growth, 2021 on 2020 (E3g).").text == told


@pytest.mark.parametrize("found", [made(1.0), made(limits=0.0)])
def test_a_reason_beside_a_number_is_no_reason_to_show_nothing(found):
    assert blocks.table(found, "T.").text == "Table: Simulated – T."
    assert charts.forest(found, xlabel="x").axes


def test_one_refused_estimate_among_several_leaves_the_others_their_panels():
    drawing = charts.waterfall({"A": made(), "B": made(1.0)}, xlabel="x")
    assert [axes.get_title(loc="left") for axes in drawing.axes] == ["B"]


@pytest.mark.parametrize("row", [made(), {"estimate": np.nan, "unit": None, "reason": "nobody was closed"}])
def test_an_answer_without_a_number_is_its_reason(row):
    panel = answers.answer("They fell by –.", title="Effect", row=row, n="– firms", tier="panel", as_of="2026-11-01")
    assert panel.text.endswith("Not estimable with this data: nobody was closed.")
    assert "fell" not in panel.html
    assert "firms" not in panel.html
