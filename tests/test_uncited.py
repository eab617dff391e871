"""Public figures that no report uses are listed, each with the reason that the data give."""

import json

import pandas as pd
import pytest

from analysis import data
from analysis.exhibits.payload import MIME, of_facts
from analysis.provenance import ROOT
from runner.uncited import NO_REASON, listed, uncited

RULES = data.load("unused")
OF_THE_AUDIT = {  # of a review of what lay unused, with the ids that it names
    "events": ["E006", "E049", "E059", "E064", "E065", "E066", "E083"],
    "claims": ["C31"],
}


def cite(folder, *addresses):
    part = of_facts([("source", "A publisher", address) for address in addresses]).as_json()
    cell = {"cell_type": "code", "outputs": [{"data": {MIME: [part]}}]}
    (folder / "01.ipynb").write_text(json.dumps({"cells": [cell]}))


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    events = data.load("events").set_index("event_id")["source_url"]
    cite(folder, events["E001"], events["E083"])
    return uncited(folder, data.DATA)


def test_a_figure_whose_address_is_cited_is_used_unless_the_reasons_name_it(rows):
    events = data.load("events").query("provenance == 'real'")
    left = set(rows.loc[rows["file"] == "amazon_2021/events", "id"])
    cited = set(
        events.loc[
            events["source_url"].isin(events.set_index("event_id")["source_url"][["E001", "E083"]])
        ]["event_id"]
    )
    assert "E001" not in left
    assert "E083" in left
    assert left == set(events["event_id"]) - (cited - {"E083"} - set(RULES["words"]))


def test_an_estimate_is_no_real_figure(rows):
    estimates = data.load("events").query("provenance == 'estimate'")["event_id"]
    assert len(estimates)
    assert not set(estimates) & set(rows["id"])


@pytest.mark.parametrize(("file", "names"), OF_THE_AUDIT.items())
def test_each_figure_that_a_review_found_unused_has_a_reason(rows, file, names):
    reasons = rows[rows["file"] == f"amazon_2021/{file}"].set_index("id")["reason"]
    assert (reasons[names] != NO_REASON).all()


def test_each_reason_stands_for_a_row():
    for rule in RULES.itertuples():
        cells = data.load(rule.file)[rule.column].fillna("")
        assert cells.str.contains(rule.words, regex=False).any(), rule


def test_the_first_reason_that_fits_is_given():
    lines = listed(
        pd.DataFrame(
            {
                "file": ["a/events", "a/threats"],
                "id": ["E1", ""],
                "source_url": "u",
                "reason": "why",
            }
        )
    )
    assert lines == ["a/events.csv: E1: why", "a/threats.csv: 1 row from u: why"]


@pytest.mark.slow
def test_no_real_figure_is_left_out_of_the_reports_without_a_reason():
    release = ROOT / "reports" / "latest"
    if not release.exists():
        pytest.skip("no release here: run `make report` first")
    without = uncited(release.resolve(), data.DATA).query("reason == @NO_REASON")
    assert without.empty, listed(without)
