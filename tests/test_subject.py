"""What a report of tier panel or sim is about."""

from dataclasses import replace

import pandas as pd
import pytest
import yaml

from analysis import events, subject
from analysis.errors import DesignError
from analysis.estimands.catalogue import estimate_all
from analysis.estimands.design import Design
from analysis.market import simulate
from analysis.market.parameters import PRESETS

SETTINGS = {
    "data_tier": "sim",
    "event": "amazon_2021",
    "panel_path": "",
    "panel_map": "",
    "sim_preset": "mid_3k",
    "seed": 1,
    "post_from": 4,
    "post_to": 9,
    "conf": 0.9,
}


@pytest.fixture(scope="module")
def simulated():
    return subject.take(SETTINGS)


def test_the_parameters_make_the_market_and_the_design(simulated):
    panel, _ = simulate("mid_3k", seed=1)
    assert simulated.panel.digest == panel.digest
    assert (simulated.market, simulated.mark, simulated.preset) == ("mid_3k, seed 1", "simulated", "mid_3k")
    assert simulated.design == Design(level=0.9)


def test_the_truth_of_every_question_is_known(simulated):
    assert set(estimate_all(simulated.panel, simulated.design)) <= set(simulated.true())


def test_a_panel_that_was_brought_has_no_truth_and_stays_simulated(simulated, tmp_path):
    file = tmp_path / "mine.parquet"
    simulated.panel.to_parquet(file)
    brought = subject.take(SETTINGS | {"data_tier": "panel", "panel_path": str(file)})
    assert brought.panel.digest == simulated.panel.digest
    assert (brought.market, brought.mark, brought.preset) == ("mine.parquet", "simulated", "")
    assert brought.true() == {}


def brought(tmp_path, simulated, months: dict[str, str], **event):
    """Take the simulated panel with its closures in other months, for an event with other keys."""
    firms = simulated.panel.firms.copy()
    firms["closed_on"] = firms["closed_on"].map(lambda day: pd.Timestamp(months.get(f"{day:%Y-%m}", day)), "ignore")
    replace(simulated.panel, firms=firms).to_parquet(tmp_path / "mine.parquet")
    content = yaml.safe_load((events.FOLDER / "amazon_2021.yml").read_text(encoding="utf-8")) | event
    (tmp_path / "mine.yml").write_text(yaml.safe_dump(content, sort_keys=False))
    given = {"data_tier": "panel", "panel_path": str(tmp_path / "mine.parquet"), "event": str(tmp_path / "mine.yml")}
    return subject.take(SETTINGS | given)


def test_closures_in_months_that_are_no_wave_are_counted_and_said(simulated, tmp_path):
    number = subject.closed_by_month(simulated.panel)
    later = brought(tmp_path, simulated, {"2021-08": "2021-10-01"})
    assert f"in its waves: {number.iloc[:3].sum()}, in other months: 2021-10 ({number.iloc[3]})." in later.line
    assert simulated.line.endswith(f"in its waves: {number.sum()}, in other months: none.")
    assert simulated.line.startswith(f"Event: {simulated.event.title}, as simulated; ")


def test_closures_before_the_first_wave_are_refused_with_their_number_and_month(simulated, tmp_path):
    number = subject.closed_by_month(simulated.panel).iloc[0]
    said = (
        rf"found {number} firms closed before it: 2021-03 \({number}\); leave them out of the panel, or add the month"
    )
    with pytest.raises(DesignError, match=said):
        brought(tmp_path, simulated, {"2021-05": "2021-03-01"})
    found = brought(tmp_path, simulated, {"2021-05": "2021-03-01"}, waves=["2021-03", "2021-06"])
    assert "in other months: 2021-07 (" in found.line


def test_a_panel_of_another_event_is_refused(simulated, tmp_path):
    total = subject.closed_by_month(simulated.panel).sum()
    with pytest.raises(
        DesignError, match=rf"1999-01\) were asked for; found {total} firms closed in other months only"
    ):
        brought(tmp_path, simulated, {}, waves=["1999-01"])


@pytest.mark.parametrize("preset", PRESETS)
def test_simulated_closures_are_those_of_the_event_that_ships(preset):
    found = subject.take(SETTINGS | {"sim_preset": preset, "seed": 3})
    assert found.line.endswith("in other months: none.")
    assert found.closed == found.panel.cohorts()["firms"].sum() > 0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"data_tier": "facts"}, "only panel and sim have one"),
        ({"data_tier": "panel"}, "panel_path is empty"),
        ({"event": "none"}, "there are amazon_2021"),
        ({"sim_preset": "mid"}, "choose from null"),
    ],
)
def test_what_cannot_be_taken_is_refused(values, said):
    with pytest.raises(DesignError, match=said):
        subject.take(SETTINGS | values)
