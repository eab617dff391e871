"""Charts: what is drawn, what is written beside it, and what is cut off with an arrow."""

import numpy as np
import pandas as pd
import pytest
import seaborn as sns
from matplotlib import pyplot as plt

from analysis.exhibits import charts, curves, style
from analysis.exhibits.blocks import figure
from analysis.exhibits.charts import axis_numbers

pytestmark = pytest.mark.usefixtures("simulated_look")


@pytest.mark.parametrize(
    ("ticks", "written"),
    [
        ([-2, -1.5, 0, 0.5], ["−2.0", "−1.5", "0.0", "+0.5"]),
        ([-40, 0, 20], ["−40", "0", "+20"]),
        ([0.25, 0.5], ["+0.25", "+0.50"]),
        ([1e-9, 3e5], ["0", "+300,000"]),
        ([], []),
    ],
)
def test_ticks_have_the_decimals_that_their_step_needs(ticks, written):
    _, axes = plt.subplots()
    axis_numbers(axes, "x", signed=True)
    assert axes.xaxis.get_major_formatter().format_ticks(ticks) == written


@pytest.mark.parametrize(
    ("low", "high"), [(-16.1, 2.8), (-2.2, 1.2), (-0.11, 0.02), (-500.0, 40.0)]
)
def test_no_two_ticks_of_a_margin_chart_read_the_same_and_each_reads_as_its_place(low, high):
    rows = pd.DataFrame(
        {"term": ["a"], "estimate": [np.nan], "conf_low": [low], "conf_high": [high]}
    )
    drawing = charts.forest(rows, margin=(-0.01, np.inf), xlabel="x")
    drawing.canvas.draw()
    axes = drawing.axes[0]
    read = [
        float(one.get_text().replace("−", "-").replace(",", "")) for one in axes.get_xticklabels()
    ]
    assert len(set(read)) == len(read) > 2
    np.testing.assert_allclose(read, axes.get_xticks(), atol=1e-12)


STUDY = pd.DataFrame(
    {
        "month": [-4, -3, -1, 0, 1],
        "estimate": [5.0, 0.0, 2.0, -40.0, -50.0],
        "conf_low": [-20.0, -9, -8, -60, -70],
    }
).assign(
    conf_high=[900.0, 9.0, 8.0, -20.0, -10.0],
    band_low=-80.0,
    band_high=[40.0, 12.0, 12.0, -10.0, 0.0],
)


def test_an_event_study_without_a_band_ends_where_its_intervals_do():
    few = STUDY.assign(band_low=np.nan, band_high=np.nan)
    for rows in (few, few.assign(conf_high=np.inf), few.assign(conf_high=np.nan)):
        assert (
            50
            <= curves.event_study_chart(rows, reference=-2, ylabel="y").axes[0].get_ylim()[1]
            <= 150
        )


def test_an_event_study_has_thin_lines_for_all_months_and_an_arrow_where_an_interval_goes_on():
    axes = curves.event_study_chart(STUDY, reference=-2, ylabel="y").axes[0]
    assert [one.get_xdata().tolist() for one in axes.lines if one.get_marker() == "^"] == [[-4]]
    (band,) = axes.collections
    ends = STUDY[["band_low", "band_high"]].to_numpy().tolist()
    assert [path.vertices[:, 1].tolist() for path in band.get_paths()] == ends
    assert band.get_linewidth()[0] < axes.lines[0].get_linewidth()


FRAME = pd.DataFrame(
    {"term": ["a", "b"], "estimate": [1.0, np.nan], "conf_low": [0.0, 1.0], "conf_high": [2.0, 3.0]}
)


def test_a_set_is_a_bar_a_point_has_an_interval_and_a_row_without_either_says_so():
    rows = pd.concat(
        [FRAME, FRAME.head(1).assign(term="c", estimate=np.nan, conf_low=np.nan, conf_high=np.nan)]
    )
    axes = charts.forest(rows, xlabel="x").axes[0]
    (bar,) = axes.patches
    assert (
        bar.get_x(),
        bar.get_x() + bar.get_width(),
        bar.get_y() + bar.get_height() / 2,
    ) == pytest.approx((1, 3, 1))
    assert axes.lines[0].get_xdata().tolist() == [0.0, 2.0]
    assert [text.get_text() for text in axes.texts] == [
        "+1.0",
        "+1.0 to +3.0",
        "not estimable with this data",
    ]


def test_a_limit_is_called_one():
    rows = FRAME.assign(estimate=[2.0, 1.0], conf_low=-np.inf)
    axes = charts.forest(rows, xlabel="x").axes[0]
    assert [text.get_text() for text in axes.texts] == ["at most +2.0", "+1.0"]


def test_what_stands_beside_an_estimate_is_drawn_where_it_is_known():
    known = FRAME.assign(
        truth=[1.5, np.nan], placebo_low=[-1.0, np.nan], placebo_high=[1.0, np.nan]
    )
    axes = charts.forest(known, xlabel="x", strong=["a"]).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["truth"]
    assert [bar.get_width() for bar in axes.patches] == [
        2.0,
        2.0,
    ]  # behind the first row, and the second row's own
    assert [text.get_color() for text in axes.texts] == [style.MAIN, style.REST]
    assert charts.forest(FRAME, xlabel="x").axes[0].get_legend() is None


@pytest.mark.parametrize(
    ("margin", "names"), [((-1.0, np.inf), ["−1.0"]), ((-1.0, 1.0), ["−1.0", "+1.0"])]
)
def test_the_margin_is_named_on_the_sides_that_it_has(margin, names):
    rows = pd.DataFrame(
        {"term": ["a"], "estimate": [0.0], "conf_low": [-40.0], "conf_high": [40.0]}
    )
    drawing = charts.forest(rows, margin=margin, xlabel="x")
    drawing.canvas.draw()
    named = [text for text in drawing.axes[0].texts if "margin" in text.get_text()]
    assert [text.get_text() for text in named] == [f"margin: {name}" for name in names]


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
    drawing = curves.dose_response_chart(bins, line, line, xlabel="x", ylabel="y")
    own, others = drawing.axes
    assert "not estimable with this data" in [text.get_text() for text in others.texts]
    arrows = [one for one in own.lines if one.get_marker() in "^v"]
    assert [float(one.get_ydata()[0]) for one in arrows] == [-100, 100]


def test_the_actual_statistic_is_no_draw_and_an_endless_interval_ends_in_an_arrow():
    drawing = charts.histogram(pd.DataFrame({"value": [5.0, -1.0, 0.0, np.inf, 1.0]}), xlabel="t")
    assert sum(bar.get_height() for bar in drawing.axes[0].patches) == 3
    assert drawing.axes[0].lines[0].get_xdata()[0] == 5.0
    rows = pd.DataFrame({"term": ["own"], "estimate": [20.0], "conf_low": [-np.inf]})
    drawing = charts.forest(rows.assign(conf_high=90.0), xlabel="x", reach=200)
    assert [
        float(one.get_xdata()[0]) for one in drawing.axes[0].lines if one.get_marker() == "<"
    ] == [-200]
    assert not [one for one in drawing.axes[0].lines if one.get_marker() == ">"]


def test_lines_have_labels_at_their_ends_and_shaded_closures():
    years = {"fell": [100.0, 33.0, 13.0], "rose": [100.0, 150.0, np.nan]}
    rows = pd.DataFrame({"x": [2020.5, 2021.5, 2022.5], **years}).melt(
        "x", var_name="term", value_name="estimate"
    )
    ticks = {2020.5: "2020", 2021.5: "2021", 2022.5: "2022"}
    given = {
        "strong": ["fell"],
        "closures": ("2021-05", "2021-09"),
        "ticks": ticks,
        "log": True,
        "size": (6, 3),
    }
    drawing = curves.paths(rows, x="x", ylabel="y", **given)
    axes = drawing.axes[0]
    places = {text.get_text(): text for text in drawing.axes[0].texts}
    drawing.canvas.draw()
    assert places["fell"].xy == (2022.5, pytest.approx(13))
    assert places["rose"].xy == (2021.5, pytest.approx(150))
    assert "accounts closed" in places
    (band,) = axes.patches
    assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx(
        (2021 + 4 / 12, 2021 + 9 / 12)
    )
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2020", "2021", "2022"]


def test_a_year_that_is_not_known_is_bridged_by_a_dotted_line_of_the_same_colour():
    rows = pd.DataFrame({"term": "a", "x": [1.0, 2.0, 3.0], "estimate": [1.0, np.nan, 2.0]})
    bridge, line = (
        curves.paths(rows, x="x", ylabel="y", ticks={1: "1"}, size=(6, 3)).axes[0].lines[:2]
    )
    assert bridge.get_xdata().tolist() == [1.0, 3.0]  # joined to its points
    assert bridge.get_color() == line.get_color()
    assert (bridge.is_dashed(), line.is_dashed()) == (True, False)


def test_who_asks_for_no_signs_gets_none_and_a_figure_describes_itself():
    drawing = charts.forest(FRAME, xlabel="change, per cent", signed=False)
    assert [text.get_text() for text in drawing.axes[0].texts] == ["1.0", "1.0 to 3.0"]
    described = "Simulated – Change, per cent: a: +1.0 [0.0 to +2.0]; b: +1.0 to +3.0."
    assert f'alt="{described}"' in figure(drawing, "A figure.").html


def test_the_shares_of_the_half_years_that_are_compared_alone_are_written_at_their_points():
    halves = pd.DataFrame(
        {"term": ["2020-03", "2020-09"], "estimate": [3.0, 4.6], "conf_low": 2.0, "conf_high": 6.0}
    )
    shown = {"closures": ("2020-05", "2020-09"), "compared": ["2020-09"]}
    drawing = curves.shares_chart({"a": halves}, ylabel="y", height=2.0, **shown)
    axes = drawing.axes[0]
    assert [text.get_text() for text in axes.texts if "%" in text.get_text()] == ["4.6 %"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["Sep 2020"]
    assert drawing.get_figheight() == 2.0


def test_sums_of_money_stand_on_one_line_over_the_band_and_what_is_asserted_is_hollow():
    rows = pd.DataFrame(
        {
            "term": ["floor", "count", "asserted"],
            "conf_low": [1.0, 1.3, 15.4],
            "conf_high": [np.inf, 1.8, np.inf],
            "asserted": [False, False, True],
            "note": ["", "", "a note"],
        }
    )
    drawing = charts.money_line(rows, band=(2.4, 9.3), needed="needed", xlabel="x")
    axes = drawing.axes[0]
    said = [text.get_text() for text in axes.texts]
    assert "needed\n2.4 to 9.3" in said
    assert [text for text in said if text][1:] == [
        "floor\nmore than 1.0",
        "count\n1.3 to 1.8",
        "asserted\nmore than 15.4\na note",
    ]
    (band,) = axes.patches
    assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((2.4, 9.3))
    points = [line for line in axes.lines if line.get_marker() == "o"]
    assert [line.get_markerfacecolor() for line in points] == ["C0", "white"]
    (bar,) = [line for line in axes.lines if line.get_linewidth() == 6]
    assert bar.get_xdata().tolist() == [1.3, 1.8]
    low, high = axes.get_xlim()
    assert (low < 1.0, high > 15.4) == (True, True)


def test_a_heat_table_writes_each_number_in_its_cell_in_the_order_of_the_rows():
    rows = pd.DataFrame(
        [(p, x, y) for p in ("one", "two") for x in ("b", "a") for y in ("2 %", "1 %")],
        columns=["panel", "x", "y"],
    ).assign(estimate=np.arange(8) + 0.25)
    drawing = charts.heat(rows, x="x", y="y", xlabel="when", ylabel="share")
    one, two = drawing.axes
    assert [text.get_text() for text in one.texts] == ["0.2", "2.2", "1.2", "3.2"]
    assert [label.get_text() for label in two.get_xticklabels()] == ["b", "a"]
    assert [label.get_text() for label in one.get_yticklabels()] == ["2 %", "1 %"]
    assert (one.get_title(loc="left"), two.get_title(loc="left")) == ("one", "two")
    assert (one.get_ylabel(), two.get_ylabel()) == ("share", "")


def test_each_definition_has_a_line_of_its_own_and_the_main_one_comes_first():
    rows = pd.DataFrame(
        {"year": [2019.0, 2020.0, 2020.0, 2021.0], "value": [1.0, 2, 30, 40], "term": list("aabb")}
    )
    drawing = curves.shares_by_definition(
        rows, strong="b", ylabel="y", closures=("2021-05", "2021-08")
    )
    axes = drawing.axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["b", "a"]
    paths = {tuple(line.get_ydata()) for line in axes.lines if len(line.get_ydata())}
    assert {(1.0, 2.0), (30.0, 40.0)} <= paths
    assert axes.get_ylim()[0] == 0


def test_a_map_is_dark_from_its_limit_on_and_empty_where_a_number_is_missing():
    rows = pd.DataFrame(
        {
            "term": ["b", "a", "b", "a"],
            "size": ["two\nlines", "two\nlines", "one", "one"],
            "estimate": [80.0, 79.6, np.nan, 12.0],
        }
    )
    drawing = charts.heat_by_limit(rows, x="size", least=80)
    (axes,) = drawing.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["two\nlines", "one"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a"]
    assert [text.get_text() for text in axes.texts] == ["80", "80", "12"]
    shades = axes.collections[0].get_array()
    assert [shades[0, 0], shades[1, 0], shades[1, 1]] == [1, 0, 0]
    assert shades.mask[0, 1]


def test_a_drawing_of_seaborn_gets_the_width_of_the_page_and_the_numbers_of_reports():
    rows = pd.DataFrame({"x": [1.0, 1000.0], "y": [-2.0, 1.0], "kind": ["a", "b"]})
    grid = sns.relplot(rows, x="x", y="y").set(xscale="log")
    assert charts.styled(grid, 2.0) is grid
    assert grid.figure.get_size_inches().tolist() == [style.WIDTH, 2.0]
    assert grid.ax.xaxis.get_major_formatter().format_ticks([1, 1000]) == ["1", "1,000"]
    assert grid.ax.yaxis.get_major_formatter().format_ticks([-2, 1]) == ["−2", "1"]
    _, empty = plt.subplots()
    axes = charts.styled(sns.stripplot(rows, x="y", y="kind", ax=empty), 1.0)
    axes.figure.canvas.draw()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    plt.close("all")


SOLD = pd.DataFrame(
    {
        "firm": ["A", "A", "B", "B"],
        "closed": ["yes", "yes", "none disclosed", "none disclosed"],
        "period": ["2020", "2021"] * 2,
        "on_amazon": [3.0, 0.0, 1.0, 2.0],
        "either": [0.0, 2.0, 0.5, 0.0],
        "elsewhere": [1.0, 0.0, 0.5, 1.0],
        "part_low": [75.0, 0.0, 50.0, 66.7],
        "part_high": [75.0, 100.0, 75.0, 66.7],
    }
)


def test_sales_by_place_are_stacked_and_what_is_open_is_hatched():
    axes = charts.sales_by_place(SOLD).axes[0]
    bars = [[bar.get_width() for bar in part] for part in axes.containers]
    assert bars == [SOLD[name].tolist() for name in ("on_amazon", "either", "elsewhere")]
    assert [bool(part[0].get_hatch()) for part in axes.containers] == [False, True, False]
    assert [text.get_text() for text in axes.texts] == [
        "75%",
        "unknown",
        "50 to 75%",
        "67%",
    ]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["A, 2020", "2021", "B, 2020", "2021"]
    small = charts.sales_by_place(SOLD, small=True).axes[0]
    assert not "".join(text.get_text() for text in small.texts)


def test_a_tile_stands_for_each_statement_and_the_legend_counts_them():
    said = pd.DataFrame(
        {
            "speaker": ["One", "One", "Other"],
            "short": ["a b", "c", "d"],
            "word": ["Not testable", "Supported", "Not shown"],
        }
    )
    axes = charts.tiles(said).axes[0]
    assert [text.get_text() for text in axes.texts] == ["c", "a b", "d"]  # supported first
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "Supported (1)",
        "Contradicted (0)",
        "Not shown (1)",
        "Not testable (1)",
    ]
