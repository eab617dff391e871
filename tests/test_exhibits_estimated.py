"""The table of estimates, what it says of those that are missing or small or off the truth; charts of exposure."""

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection

from analysis import exhibits
from analysis.exhibits import charts
from analysis.exhibits.charts.axes import axis_numbers
from analysis.honest import Bounds
from analysis.numbers import NOT_ESTIMABLE


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
    assert exhibits.reasons(ROWS.head(2)).html == ""
    told = exhibits.reasons(ROWS.assign(reason="a part of -3 to 3 points since 2021-05")).text
    assert told == "first: a part of −3 to 3 points since 2021-05."


def test_an_estimate_below_the_detectable_effect_is_marked_in_its_row():
    block = exhibits.estimates(ROWS, "Effects.")
    assert [row[1] for row in cells(block)] == ["+1.0 ○ †", "−8.0 ○", NOT_ESTIMABLE]
    assert "† smaller than the smallest effect that this panel would show." in block.html
    assert "†" not in exhibits.estimates(ROWS.iloc[1:2], "Effects.").html


def test_a_dash_in_the_place_of_a_truth_or_a_grade_is_explained():
    assert "Truth –: no true value is defined for it." in exhibits.estimates(ROWS, "E.", true={"A": 2.0}).html
    assert "Truth –" not in exhibits.estimates(ROWS, "E.", true={"A": 2.0, "B": 0.0}).html
    ungraded = "Not graded: not among the audited estimands."
    assert ungraded in exhibits.estimates(ROWS, "E.").html
    assert ungraded in exhibits.estimates(ROWS.assign(grade=["usable", "not graded", "not graded"]), "E.").html
    graded = exhibits.estimates(ROWS.assign(grade=["usable", "do not use", "not graded"]), "E.")
    assert ungraded not in graded.html
    assert [row[-1] for row in cells(graded)] == ["usable", "do not use", "–"]


def test_codes_become_names_as_whole_words_in_labels_and_reasons():
    rows = ROWS.assign(label=["moved to EBY", "EBYE", "by CN rivals"], reason=["EBY opened to CN", "", ""])
    named = exhibits.in_words(rows, {"EBY": "eBay", "CN": "Chinese"})
    assert named["label"].tolist() == ["moved to eBay", "EBYE", "by Chinese rivals"]
    assert named["reason"].tolist() == ["eBay opened to Chinese", "", ""]


def test_placebos_are_sorted_by_whether_they_exclude_zero_and_sized_against_their_estimates():
    assert exhibits.placebos(ROWS, [4.0, 10.0, np.nan]) == (
        "Placebos whose interval excludes zero: second −8.0 ○ [−9.0 to −7.0], 80 per cent of the estimate; "
        "whose interval holds zero: first, 25 per cent of the estimate; whose interval is not there: third."
    )
    assert exhibits.placebos(ROWS.head(1), [np.nan]) == "Placebos whose interval holds zero: first."


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
    bounds = Bounds(ROWS, ROWS.iloc[0], value, "relative_magnitude", 0.95, np.ones(1))
    told = exhibits.breakdown(bounds, "of months 0 to 3")
    assert said in told
    assert ("M* = 0.42 ○" in told) == (value == 0.42)
    assert exhibits.breakdown(None, "of months 0 to 3") == ""


@pytest.mark.parametrize(
    ("ticks", "written"),
    [
        ([-15, -12.5, -10, 0, 2.5], ["−15.0", "−12.5", "−10.0", "0.0", "+2.5"]),
        ([-2, -1.5, 0, 0.5], ["−2.0", "−1.5", "0.0", "+0.5"]),
        ([-40, 0, 20], ["−40", "0", "+20"]),
        ([0.25, 0.5], ["+0.25", "+0.50"]),
        ([1e-9, 3e5], ["0", "+300,000"]),
        ([0.1 + 0.2, 0.6], ["+0.3", "+0.6"]),
        ([7.0], ["+7"]),
        ([], []),
    ],
)
def test_ticks_have_the_decimals_that_their_step_needs(ticks, written):
    drawing, axes = plt.subplots()
    axis_numbers(axes, "x", signed=True)
    assert axes.xaxis.get_major_formatter().format_ticks(ticks) == written
    plt.close(drawing)


@pytest.mark.parametrize(("low", "high"), [(-16.1, 2.8), (-2.2, 1.2), (-0.11, 0.02), (-500.0, 40.0)])
def test_no_two_ticks_of_a_margin_chart_read_the_same_and_each_reads_as_its_place(low, high):
    rows = pd.DataFrame({"term": ["a"], "estimate": [np.nan], "conf_low": [low], "conf_high": [high]})
    drawing = charts.against_margin(rows, margin=0.01, xlabel="x")
    drawing.canvas.draw()
    axes = drawing.axes[0]
    read = [float(one.get_text().replace("−", "-").replace(",", "")) for one in axes.get_xticklabels()]
    assert len(set(read)) == len(read) > 2
    np.testing.assert_allclose(read, axes.get_xticks(), atol=1e-12)
    plt.close(drawing)


STUDY = pd.DataFrame(
    {
        "month": [-4, -3, -1, 0, 1],
        "estimate": [5.0, 0.0, 2.0, -40.0, -50.0],
        "conf_low": [-20.0, -9, -8, -60, -70],
    }
).assign(conf_high=[900.0, 9.0, 8.0, -20.0, -10.0], band_low=-80.0, band_high=[40.0, 12.0, 12.0, -10.0, 0.0])


def test_an_event_study_has_honest_bounds_after_closure_and_an_arrow_where_an_interval_goes_on():
    honest = STUDY.assign(honest_low=[np.nan] * 3 + [-70.0, -90.0], honest_high=[np.nan] * 3 + [10.0, 400.0])
    drawing = charts.event_study(honest, reference=-2, ylabel="y")
    axes = drawing.axes[0]
    arrows = [one for one in axes.lines if one.get_marker() == "^"]
    assert arrows[0].get_xdata().tolist() == [-4]
    assert "honest bounds" in [text.get_text() for text in axes.get_legend().get_texts()]
    assert all(dashed(one) for one in axes.collections if isinstance(one, LineCollection))
    plain = charts.event_study(STUDY, reference=-2, ylabel="y").axes[0]
    assert "honest bounds" not in [text.get_text() for text in plain.get_legend().get_texts()]
    plt.close("all")


def dashed(lines: LineCollection) -> bool:
    return all(pattern is not None for _, pattern in lines.get_linestyles())


def test_intervals_of_every_kind_are_dashed_where_the_market_is_simulated():
    rows = pd.DataFrame({"term": ["a", "b"], "estimate": [1.0, np.nan], "conf_low": 0.0, "conf_high": [2.0, 3.0]})
    margin = charts.against_margin(rows, margin=1.0, xlabel="x").axes[0]
    steps = charts.waterfall({"t": rows.assign(estimate=1.0)}, xlabel="x").axes[0]
    share = charts.rejections(pd.DataFrame({"id": ["a"], "rejection": [0.1], "rejection_mc": [0.02]}), 0.05).axes[0]
    intervals = [margin.collections[0], steps.containers[1].lines[2][0], share.collections[0]]
    assert all(dashed(one) for one in intervals)
    exhibits.use()
    real = charts.against_margin(rows, margin=1.0, xlabel="x").axes[0]
    assert not dashed(real.collections[0])
    plt.close("all")


def test_the_two_names_of_a_narrow_margin_do_not_cover_each_other():
    rows = pd.DataFrame({"term": ["a"], "estimate": [0.0], "conf_low": [-40.0], "conf_high": [40.0]})
    drawing = charts.against_margin(rows, margin=1.0, xlabel="x", two_sided=True)
    drawing.canvas.draw()
    left, right = (one.get_window_extent() for one in drawing.axes[0].texts if "margin" in one.get_text())
    assert left.x1 <= right.x0
    plt.close(drawing)


def test_parts_with_the_same_terms_stand_side_by_side_and_others_below_each_other():
    rows = pd.DataFrame({"term": ["a", "sum"], "estimate": [1.0, 1.0]})
    beside = charts.waterfall({"As estimated": rows, "Truth": rows}, xlabel="x").axes
    below = charts.waterfall({"As estimated": rows, "Truth": rows.assign(term=["b", "sum"])}, xlabel="x").axes
    assert beside[0].get_position().y0 == beside[1].get_position().y0
    assert below[0].get_position().x0 == below[1].get_position().x0
    plt.close("all")


def test_both_ends_of_an_assumption_are_written_once_where_one_side_has_both():
    rows = pd.DataFrame({"term": ["a", "b"], "low": [0.4, 0.0], "high": [0.8, 1.0], "base": -3.0})
    axes = charts.tornado(rows.assign(at_low=[-3.2, -4.0], at_high=[-3.1, -2.0]), xlabel="x").axes[0]
    assert [text.get_text() for text in axes.texts] == ["0.4, 0.8", "0", "1"]
    plt.close("all")


def test_labels_of_numbers_of_accounts_lie_on_their_lines():
    grid = pd.MultiIndex.from_product([(0.001, 0.01, 0.1), (0.0, 0.5)], names=["share", "tilt"]).to_frame(index=False)
    cells = grid.assign(E3g=-100 * grid["share"], accounts=1e6 * grid["share"] * np.exp(-grid["tilt"]))
    drawing = charts.two_knobs(cells, (3_000, 50_000), margin=2.0, xlabel="x", ylabel="y", zlabel="z")
    label = next(text for text in drawing.axes[0].texts if "3,000" in text.get_text())
    log_share, tilt = label.get_position()
    assert 1e6 * np.exp(log_share - tilt) == pytest.approx(3_000, rel=0.01)
    assert exhibits.figure(drawing, "C.", "A.").html


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
