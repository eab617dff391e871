"""The brief of a run on a real panel: every claim of the event, by the best data, with what public
figures said.
"""

import re

import golden
import pytest
import stamps
from panels import called_real
from reading import pages, pdf_text, read_json

from analysis import data
from analysis.event import read_event
from analysis.evidence import verdicts
from analysis.numbers import quantity
from runner import Exit
from runner.cli import main

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    called_real(n_firms=2000, n_categories=30).to_parquet(folder / "own.parquet")
    assert (
        main(["run", "--panel", str(folder / "own.parquet"), "--out", str(folder / "out")])
        == Exit.OK
    )
    return next((folder / "out").glob("20*"))


@pytest.fixture(scope="module")
def brief(published):
    told = pages(published / "00_brief.pdf")
    assert len(told) <= 2
    return " ".join(told)


def test_reports_on_the_panel_stand_beside_those_on_public_figures(published):
    names = {path.stem for path in published.glob("*.pdf")}
    on_panel = {f"panel_{name}" for name in ("01_closed_firms", "02_spillovers")}
    on_panel |= {f"panel_{name}" for name in ("03_growth", "04_shift")}
    public = {"01_who_was_hit", "02_growth", "03_shift", "04_claims", "05_households"}
    assert names == on_panel | public | {"00_brief", "annex"}
    stamps.assert_told_apart(published)


def test_page_one_the_brief_and_the_manifest_say_what_the_panel_is(published, brief):
    manifest = read_json(published / "manifest.json")
    said = manifest["panel_is"]
    assert re.fullmatch(
        r"Panel own\.parquet: [\d,]+ firms, 2019-01 to 2022-06, said to be a census\.", said
    )
    assert said in brief
    for pdf in published.glob("panel_*.pdf"):
        assert said in pages(pdf)[0]


def test_reports_on_a_real_panel_have_the_threats_of_the_event(published):
    for pdf in published.glob("panel_*.pdf"):
        told = re.findall(r"T\d\d", pdf_text(pdf))
        assert set(read_event("amazon_2021").threats) <= set(told)


def test_every_reading_of_the_event_has_its_word(published, brief):
    ledger = data.load("readings")
    event = read_event("amazon_2021")
    names = {
        f"{claim} {reading}".strip()
        for claim, reading in ledger[["claim_id", "reading"]].fillna("").to_numpy()
    }
    found = {verdict.name: verdict for verdict in verdicts.best(verdicts.read_verdicts(published))}
    assert set(found) == names
    assert {name for name, verdict in found.items() if verdict.tier == "panel"} <= {
        " ".join(reading).strip() for reading in event.asked.values()
    }
    assert event.background.partition(",")[0] in brief
    assert "Not judged in this run" not in brief
    of_panel = [verdict for verdict in found.values() if verdict.tier == "panel"]
    assert of_panel
    for verdict in of_panel:
        assert verdict.statement.rstrip(".").replace("'", "’") in brief
        assert verdict.word in brief


def test_a_panel_s_word_stands_with_interval_margin_and_grade_and_what_public_figures_said(
    published, brief
):
    found = verdicts.read_verdicts(published)
    (panel,) = (one for one in found if one.name == "C01 V2" and one.tier == "panel")
    (public,) = (one for one in found if one.name == "C01 V2" and one.tier == "facts")
    assert panel.grade
    ends = f"{quantity(panel.low, panel.unit)} to {quantity(panel.high, panel.unit)}"
    told = brief[brief.index(f"{panel.statement.rstrip('.')} (Amazon") :]
    assert panel.word in told
    assert f"{public.found}, by public facts; {ends} percentage points, by panel" in told
    assert panel.confidence == "low" or panel.grade != "do not use"
    assert len({one.panel for one in found if one.tier == "panel"}) == 1


def test_every_verdict_of_the_run_is_what_it_was(published):
    rows = read_json(published / "verdicts.json")
    assert golden.differences(golden.verdicts(rows), golden.read("own panel run")) == []
