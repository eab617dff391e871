"""What is simulated looks so: in figures, tables and boxes; and what is real never does."""

import base64
import re

import pandas as pd
import pytest
from matplotlib import pyplot as plt
from test_exhibits import Reader, bare, look, verdict

from analysis.errors import DesignError
from analysis.evidence.verdicts import CONTRADICTED, NOT_TESTABLE
from analysis.exhibits import answers, blocks, charts, curves, style
from analysis.exhibits.words import phrases

__all__ = ["look"]  # a fixture

SIM = {"tier": "sim", "provenance": "simulated", "market": "mid_3k, seed 1"}


@pytest.fixture
def simulated(look):
    """Set the look of a simulated market for one test."""
    style.use("simulated", market="mid_3k, seed 1")


def svg(block) -> str:
    return base64.b64decode(dict(Reader(block.html).tags)["img"]["src"].partition(",")[2]).decode()


FRAME = pd.DataFrame({"term": ["a", "b"], "estimate": [1.0, 2.0], "conf_low": [0.0, 1.0], "conf_high": [2.0, 3.0]})
SERIES = pd.DataFrame({"term": ["a", "a", "b", "b"], "year": [2020, 2021] * 2, "estimate": [1.0, 2.0, 2.0, 3.0]})
COUNTS = pd.DataFrame({"term": ["a", "b"], "value": [10.0, 20.0], "note": "n", "strong": [True, False]})
DATED = pd.DataFrame({"term": ["a"], "first": [pd.Timestamp("2021-01-01")], "last": [pd.Timestamp("2021-03-01")]})
DAYS = pd.DataFrame(
    [(event, day, q, q * day) for event in "abcd" for day in (0, 1) for q in (0.25, 0.5, 0.75)],
    columns=["panel", "day", "quantile", "estimate"],
)
OWN = DAYS.assign(term="seller " + DAYS["panel"]).query("quantile == 0.5")
DRAWINGS = [
    lambda: charts.forest(FRAME, xlabel="x", margin=(-1.0, 1.0)),
    lambda: curves.paths(SERIES, x="year", strong=["a"], ylabel="y", closures=("2020-05", "2020-09")),
    lambda: charts.counts(COUNTS, xlabel="x"),
    lambda: charts.timeline(DATED, DATED),
    lambda: curves.paths(OWN, x="day", fan=DAYS, ylabel="y"),
]


@pytest.mark.usefixtures("simulated")
@pytest.mark.parametrize("draw", DRAWINGS)
def test_every_chart_of_a_simulated_market_has_its_colour_and_a_stamp_on_every_axes(draw):
    drawing = draw()
    axes = len(drawing.axes)
    block = blocks.figure(drawing, "Caption.", alt="A chart.")
    assert svg(block).count('id="simulated') == axes
    assert "#6a3d9a" in svg(block)
    assert "#17375e" not in svg(block)
    assert "<figcaption>○ Simulated – Caption.</figcaption>" in block.html
    assert 'alt="Simulated – A chart."' in block.html


@pytest.mark.parametrize("draw", DRAWINGS)
def test_no_chart_of_the_real_market_has_anything_of_that(draw):
    block = blocks.figure(draw(), "Caption.", alt="A chart.")
    assert 'id="simulated' not in svg(block)
    assert "#6a3d9a" not in svg(block)
    assert "imulated" not in block.html.replace(dict(Reader(block.html).tags)["img"]["src"], "")


@pytest.mark.usefixtures("simulated")
def test_lines_are_dashed_and_bars_hatched_where_the_market_is_simulated():
    drawing, axes = plt.subplots()
    axes.bar([0, 1], [1.0, 2.0], color=style.MAIN)
    (line,) = axes.plot([0, 1], [1.0, 2.0])
    assert line.get_linestyle() == "--"
    assert "<pattern" in svg(blocks.figure(drawing, "C."))


@pytest.mark.usefixtures("simulated")
@pytest.mark.parametrize("label", ["sales, US$ million", "USD", "million US dollars", "$ a month", "sales ($)"])
def test_an_axis_or_a_column_of_simulated_numbers_names_no_real_currency(label):
    drawing, axes = plt.subplots()
    axes.set_ylabel(label)
    with pytest.raises(DesignError, match="write the unit of the panel, sim-"):
        blocks.figure(drawing, "C.")
    with pytest.raises(DesignError, match="write the unit of the panel, sim-"):
        blocks.table(pd.DataFrame({label: [1.0]}), "T.")


@pytest.mark.usefixtures("simulated")
@pytest.mark.parametrize("label", ["sales, sim-$ million", "per cent", r"$\hat\beta$"])
def test_the_unit_of_a_simulated_panel_is_welcome_on_an_axis(label):
    drawing, axes = plt.subplots()
    axes.set_xlabel(label)
    assert "Simulated" in blocks.figure(drawing, "C.").html


@pytest.mark.usefixtures("simulated")
def test_in_a_simulated_look_only_what_is_called_real_is_marked_real():
    frame = pd.DataFrame({"own": [1.0], "estimated": [2.0], "target": [3.0], "by row": [4.0], "kind": ["estimate"]})
    marks = {"estimated": "estimate", "target": "real", "by row": "kind"}
    table = blocks.table(frame, "T.", marks=marks)
    head, row = ([cell[1] for cell in line][:4] for line in Reader(table.html).rows)
    assert head == ["own ○", "estimated ○", "target ●", "by row ○"]
    assert row == ["1.0", "2.0", "3.0", "4.0"]
    assert "<caption>Simulated – T.</caption>" in table.html
    assert "<caption>● T.</caption>" in blocks.table(frame, "T.", provenance="real").html


@pytest.mark.usefixtures("simulated")
def test_a_simulated_answer_is_a_condition_and_never_a_bare_word():
    told = verdict(**SIM, word=CONTRADICTED, grade="usable")
    panel = answers.answer("So it is.", verdict=told)
    text = re.sub(r"<[^>]+>", "", panel.html)
    assert "If the market were as simulated (mid_3k, seed 1), then: would be: contradicted" in text
    assert told.claimant not in text
    assert "The data would fit the opposite of the claim" in text
    assert phrases().grades["usable"].report in text
    assert (
        panel.text
        == f"{told.statement} If the market were as simulated (mid_3k, seed 1), then: Contradicted. So it is."
    )
    table = answers.verdict_table([told], "T.")
    head, row = Reader(table.html).rows
    assert head[1][1] == "If the market were as simulated (mid_3k, seed 1), then"
    assert (head[3][1], row[3][1]) == ("Grade", "usable")
    assert '<span class="word simulated">' in bare(table)
    assert told.claimant not in table.html


def boxed(**changes):
    row = {"estimate": -1.5, "conf_low": -2.0, "conf_high": -1.0, "unit": "per cent", "grade": "usable"} | changes
    options = {"interval": "95% interval", "window": "2021", "n": "300 firms", "tier": "panel"}
    return re.sub(r"<[^>]+>", "", answers.answer("They gained.", title="Effect on rivals", row=row, **options).html)


def test_a_finding_without_a_claim_has_title_estimate_interval_unit_window_n_grade_and_source():
    told = "They gained.−1.5 [−2.0 to −1.0] per cent ◐ (95% interval), 2021, 300 firms"
    told += f"{phrases().grades['usable'].report} {phrases().tiers['panel'].source}"
    assert boxed() == f"What is measured: Effect on rivals{told}"
    assert "estimate" not in boxed(estimate=None, conf_low=None, conf_high=None, unit="")
    assert "If the market" not in boxed()
    style.use("simulated", market="mid_3k, seed 1")
    assert f"If the market were as simulated (mid_3k, seed 1), then: {told.replace('◐', '○')}" in boxed()


def test_a_look_outside_the_vocabulary_is_refused():
    with pytest.raises(DesignError, match="its provenance is 'guessed'; use one of real, estimate, simulated"):
        style.use("guessed")


def test_an_exhibit_before_a_look_is_chosen_is_refused(monkeypatch):
    monkeypatch.setattr(style.LOOK, "provenance", "")
    frame = pd.DataFrame({"a": [1.0]})
    with pytest.raises(DesignError, match=r"nobody said whether its numbers are real, .*; call style\.use first"):
        blocks.table(frame, "T.")
    assert "<caption>◐ T.</caption>" in blocks.table(frame, "T.", provenance="estimate").html


# Panels of firms that stand for no others


def test_what_a_panel_says_of_its_own_firms_is_told_apart_from_a_word():
    aside = "In this panel of 9 firms, not representative:"
    own = verdict(tier="panel", word=NOT_TESTABLE, aside=aside, why="It stands for no others.", low=-4.1, high=-2.2)
    panel = answers.answer("So it is.", verdict=own)
    assert f"{aside} Not testable with this data" in re.sub("<[^>]+>", "", panel.html)
    assert "It stands for no others. So it is." in panel.html
