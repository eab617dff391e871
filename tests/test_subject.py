"""What a report of tier panel or sim is about."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from analysis.estimands.answers import answers, detectable, questions
from ruamel.yaml import YAML

from analysis import config, subject
from analysis.errors import DesignError
from analysis.estimands import Design
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
    ids = [spec[0] for question in questions(simulated.panel, simulated.design) for spec in question.terms.values()]
    assert len(set(ids)) == len(ids)
    assert set(ids) <= set(simulated.true())


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
    content = YAML(typ="safe").load(config.EVENTS / "amazon_2021.yml") | event
    (tmp_path / "mine.yml").write_text(json.dumps(content))
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


def test_an_estimand_that_a_panel_cannot_carry_has_a_reason_and_no_number(simulated):
    found = answers(simulated.panel, Design(post_from=0, post_to=2, comparison="not_yet_closed"), ["E1a", "E4a_EBY"])
    rows = found.rows.set_index("id")
    assert rows.loc["E4a_EBY", ["estimate", "std_error", "mde"]].isna().all()
    assert "use comparison='low_exposure'" in rows.loc["E4a_EBY", "reason"]
    assert "E4a_EBY" not in found.made


def test_an_estimand_that_is_not_there_is_refused(simulated):
    with pytest.raises(DesignError, match="E9 was asked for; there are E1a"):
        answers(simulated.panel, Design(), ["E1a", "E9"])


def test_answers_are_what_the_verbs_say(simulated):
    found = answers(simulated.panel, Design(), ["E1a", "d3"])
    for name, term in (("E1a", "simple"), ("d3", "d3")):
        row = found.rows.set_index("id").loc[name]
        assert row["estimate"] == found.made[name].row(term)["estimate"]


def test_the_detectable_effect_is_in_the_unit_and_free_of_the_estimate(simulated):
    rows = answers(simulated.panel, Design(), ["E1a", "E3g"]).rows
    normal = rows.assign(conf_low=np.nan, conf_high=np.nan)
    logs = rows["std_error"][0] / (100 + rows["estimate"][0])  # of log points
    fall = 100 * (1 - np.exp(-(1.959964 + 0.841621) * logs))
    assert detectable(normal, level=0.95)[0] == pytest.approx(fall, rel=1e-5)
    half = np.log((100 + rows["conf_high"][0]) / (100 + rows["conf_low"][0])) / 2  # Student's, of few closed groups
    fall = 100 * (1 - np.exp(-(1.959964 + 0.841621) * half / 1.959964))
    assert detectable(rows, level=0.95)[0] == pytest.approx(fall, rel=1e-5)
    assert half > 1.959964 * logs
    assert detectable(rows, level=0.95)[1] == pytest.approx((1.959964 + 0.841621) * rows["std_error"][1], rel=1e-5)
