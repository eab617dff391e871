"""What is simulated looks so: in figures, tables and boxes; and what is real never does."""

import base64

import pandas as pd
import pytest
from fewtreated.errors import DesignError
from matplotlib import pyplot as plt
from pages import Page
from test_exhibits import look

from analysis.exhibits import blocks, charts, curves, style

__all__ = ["look"]  # a fixture

SIM = {"tier": "sim", "provenance": "simulated", "market": "mid_3k, seed 1"}


@pytest.fixture
def simulated(look):
    """Set the look of a simulated market for one test."""
    style.use("simulated")


def svg(block):
    return base64.b64decode(Page(block.html).one("img")["src"].partition(",")[2]).decode()


FRAME = pd.DataFrame(
    {"term": ["a", "b"], "estimate": [1.0, 2.0], "conf_low": [0.0, 1.0], "conf_high": [2.0, 3.0]}
)
SERIES = pd.DataFrame(
    {"term": ["a", "a", "b", "b"], "year": [2020, 2021] * 2, "estimate": [1.0, 2.0, 2.0, 3.0]}
)
DATED = pd.DataFrame(
    {"term": ["a"], "first": [pd.Timestamp("2021-01-01")], "last": [pd.Timestamp("2021-03-01")]}
)
MONTHS = pd.DataFrame(
    {"month": [-4, -3, -1, 0, 1], "estimate": 1.0, "conf_low": 0.0, "conf_high": 2.0}
)
MONTHS = MONTHS.assign(band_low=-1.0, band_high=3.0, truth=1.0)
BINS = FRAME.assign(origin="o", exposure=[0.1, 0.2], lowest=0.1)
ROWS = FRAME.assign(truth=1.0, placebo_low=-1.0, placebo_high=1.0)
HALVES = FRAME.assign(term=["2021-03", "2021-09"])
CLOSED = ("2021-05", "2021-09")
LOOK = {"ticks": {2021: "2021"}, "size": (6, 3)}
DRAWINGS = {
    "forest": lambda: charts.forest(ROWS, xlabel="x", margin=(-1.0, 1.0), strong=["a"]),
    "timeline": lambda: charts.timeline(DATED),
    "histogram": lambda: charts.histogram(pd.DataFrame({"value": range(9)}), xlabel="x"),
    "paths": lambda: curves.paths(
        SERIES, x="year", strong=["a"], ylabel="y", closures=CLOSED, log=True, **LOOK
    ),
    "event_study": lambda: curves.event_study_chart(MONTHS, reference=-2, ylabel="y"),
    "shares": lambda: curves.shares_chart(
        {"a": HALVES, "b": HALVES}, ylabel="y", closures=CLOSED, compared=["2021-03"]
    ),
    "dose_response": lambda: curves.dose_response_chart(BINS, BINS, BINS, xlabel="x", ylabel="y"),
}


@pytest.mark.usefixtures("simulated")
@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)
@pytest.mark.parametrize("title", ["", "It fell"])
def test_every_chart_of_a_simulated_market_has_its_colour_and_says_so_in_its_picture(draw, title):
    block = blocks.figure(draw(), "Caption.", alt="A chart.", title=title)
    assert svg(block).count('id="simulated"') == 1
    assert f">Simulated –{f' {title}' if title else ''}</text>" in svg(block)
    assert "#6a3d9a" in svg(block)
    assert "#17375e" not in svg(block)
    assert "<figcaption>○ Simulated – Caption.</figcaption>" in block.html
    assert f'alt="Simulated – {title}{". " if title else ""}A chart."' in block.html


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)
def test_no_chart_of_the_real_market_has_anything_of_that(draw):
    block = blocks.figure(draw(), "Caption.", alt="A chart.")
    assert 'id="simulated' not in svg(block)
    assert "#6a3d9a" not in svg(block)
    assert "imulated" not in block.html.replace(Page(block.html).one("img")["src"], "")


@pytest.mark.usefixtures("simulated")
def test_nothing_lies_over_the_data_of_a_simulated_market():
    drawing, axes = plt.subplots()
    axes.bar([0, 1], [1.0, 2.0], color=style.MAIN)
    (line,) = axes.plot([0, 1], [1.0, 2.0])
    picture = svg(blocks.figure(drawing, "C."))
    assert line.get_linestyle() == "-"
    assert "<pattern" not in picture
    assert not axes.texts


@pytest.mark.usefixtures("simulated")
@pytest.mark.parametrize(
    "label", ["sales, US$ million", "USD", "million US dollars", "$ a month", "sales ($)"]
)
def test_an_axis_or_a_column_of_simulated_numbers_names_no_real_currency(label):
    drawing, axes = plt.subplots()
    axes.set_ylabel(label)
    with pytest.raises(DesignError, match="use the unit sim-"):
        blocks.figure(drawing, "C.")
    with pytest.raises(DesignError, match="use the unit sim-"):
        blocks.table(pd.DataFrame({label: [1.0]}), "T.")


@pytest.mark.usefixtures("simulated")
@pytest.mark.parametrize("label", ["sales, sim-$ million", "per cent", r"$\hat\beta$"])
def test_the_unit_of_a_simulated_panel_is_welcome_on_an_axis(label):
    drawing, axes = plt.subplots()
    axes.set_xlabel(label)
    assert "Simulated" in blocks.figure(drawing, "C.").html


def test_a_look_outside_the_vocabulary_is_refused():
    with pytest.raises(
        DesignError, match="the provenance is 'guessed'; choose one of real, estimate, simulated"
    ):
        style.use("guessed")


def test_an_exhibit_before_a_look_is_chosen_is_refused(monkeypatch):
    monkeypatch.setattr(style.LOOK, "provenance", "")
    frame = pd.DataFrame({"a": [1.0]})
    with pytest.raises(
        DesignError, match=r"the kind of its numbers is not set \(real, .*; call style\.use first"
    ):
        blocks.table(frame, "T.")
    assert "<caption>◐ T.</caption>" in blocks.table(frame, "T.", provenance="estimate").html
