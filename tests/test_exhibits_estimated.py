"""The table of estimates, what it says of those that are missing or small or off the truth; charts of exposure."""

import re

import numpy as np
import pandas as pd
import pytest

from analysis import exhibits
from analysis.exhibits import charts
from analysis.exhibits.estimated import NOT_ESTIMABLE


@pytest.fixture(autouse=True)
def simulated_look():
    exhibits.use("simulated", "a market")
    yield
    exhibits.use()


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
    block = exhibits.estimates(ROWS, "Effects.")
    assert NOT_ESTIMABLE in cells(block)[2]
    assert "third: nobody was closed." in block.text
    assert "nobody was closed" not in exhibits.estimates(ROWS, "Effects.", why=False).text
    assert "nobody was closed" in exhibits.reasons(ROWS).text
    assert exhibits.reasons(ROWS.head(2)).text == "Every effect that was asked for has an estimate with an error."


def test_an_estimate_below_the_detectable_effect_is_named():
    assert "than the smallest effect that this panel would show: first." in exhibits.estimates(ROWS, "Effects.").html
    assert "would show: all of them" in exhibits.estimates(ROWS.head(1), "Effects.").html
    assert "would show" not in exhibits.estimates(ROWS.iloc[1:2], "Effects.").html


def test_the_truth_stands_beside_the_estimate_only_where_it_is_known():
    plain = exhibits.estimates(ROWS, "Effects.").html
    assert "Truth" not in plain
    shown = cells(exhibits.estimates(ROWS, "Effects.", true={"A": 2.0, "B": 0.0}))
    assert [row[-2:] for row in shown] == [["+2.0 ○", "yes"], ["0.0 ○", "no"], ["–", "–"]]
    given = cells(exhibits.estimates(ROWS.assign(truth=[5.0, np.nan, np.nan]), "Effects.", true={"A": 2.0, "B": -8.0}))
    assert [row[-2:] for row in given] == [["+5.0 ○", "no"], ["−8.0 ○", "yes"], ["–", "–"]]


def test_one_unit_is_said_once_and_several_have_a_column():
    assert "Unit: per cent." in exhibits.estimates(ROWS, "Effects.").html
    two = ROWS.assign(unit=["per cent", "ratio", None])
    assert "<th" in exhibits.estimates(two, "Effects.").html.split("Unit")[0]
    assert "−8.00 ○" in exhibits.estimates(two, "Effects.").html


def test_charts_of_exposure_draw_what_there_is_and_say_what_there_is_not():
    bins = pd.DataFrame(
        {
            "origin": ["own", "own", "others"],
            "exposure": [0.03, 0.15, np.nan],
            "lowest": [0.01, 0.01, np.nan],
            "estimate": [2.0, 9.0, np.nan],
            "conf_low": [-3.0, -200.0, np.nan],
            "conf_high": [7.0, 400.0, np.nan],
            "truth": [1.0, 5.0, np.nan],
        }
    )
    line = pd.DataFrame({"origin": "own", "exposure": [0.01, 0.15], "estimate": [0.0, 9.0]})
    line = line.assign(conf_low=line["estimate"] - 1, conf_high=line["estimate"] + 1)
    drawing = charts.dose_response(bins, line, line, xlabel="x", ylabel="y", reach=60)
    own, others = drawing.axes
    assert "not estimable with this data" in [text.get_text() for text in others.texts]
    arrows = [one for one in own.lines if one.get_marker() in "^v"]
    assert [float(one.get_ydata()[0]) for one in arrows] == [-60, 60]
    assert exhibits.figure(drawing, "A figure.", "Two panels.").html


def test_the_actual_statistic_is_no_draw_and_an_endless_interval_ends_in_an_arrow():
    drawing = charts.drawn_again({"own": np.array([5.0, -1.0, 0.0, np.inf, 1.0])}, xlabel="t")
    assert sum(bar.get_height() for bar in drawing.axes[0].patches) == 3
    assert drawing.axes[0].lines[0].get_xdata()[0] == 5.0
    assert exhibits.figure(drawing, "A figure.", "One panel.").html
    rows = pd.DataFrame({"term": ["own"], "estimate": [20.0], "benchmark": [40.0], "conf_low": [-np.inf]})
    drawing = charts.against_benchmark(rows.assign(conf_high=90.0), xlabel="x", benchmark="size", reach=200)
    assert [float(one.get_xdata()[0]) for one in drawing.axes[0].lines if one.get_marker() == "<"] == [-200]
    assert not [one for one in drawing.axes[0].lines if one.get_marker() == ">"]
    assert exhibits.figure(drawing, "A figure.", "One row.").html
