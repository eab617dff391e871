"""A correction is told by two releases, counted along their chain, and kept by the changelog."""

import csv
import json
import re
from pathlib import Path

import pytest
from desk import AS_OF, BRIEF_PARAMETERS, NO_VERDICTS, Desk, describe, sources_kept
from reading import read_json
from test_brief import V2
from test_committed import EXPERIMENT
from test_index import publish_page

from analysis import data
from analysis.event import read_event
from analysis.exhibits import brief
from analysis.provenance import ROOT
from runner import Exit, corrections, publish

COLUMNS = ["correction_id", "gravity", "place", "said", "right", "why"]
FIRST = ["a", "2", "Report 01", "they rose", "they fell", "A sign was lost"]
GRAVER = ["b", "1", "Report 02", "9 per cent", "it was 7", "A row came twice"]
TOLD = BRIEF_PARAMETERS + 'corrected: str = ""  # what was wrong\nsince: str = ""  # what moved\n'


def write(desk, *rows):
    file = desk.root / "data" / "corrections.csv"
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows([COLUMNS, *rows])
    known = {"bytes": file.stat().st_size, "hash": f"sha256:{publish.sha256(file)}"}
    desk.declare(describe("figures.csv"), describe("corrections.csv") | known)


def work(desk, **options):
    return desk.work(**{"as_of": AS_OF, **options})


def revise(desk, value):
    """Change the data, which gives another release."""
    (desk.root / "data" / "figures.csv").write_text(f"year,value\n2021,{value}\n")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    desk = Desk(folder / "project", kernels=False)
    desk.furnish()
    desk.write("00_brief", "print('corrected:', corrected)", parameters=TOLD)
    with sources_kept(folder):
        assert work(desk) == Exit.OK
        yield desk


def told(desk):
    """Return the corrections of the newest release in its manifest, checking that the brief and the
    page agree.
    """
    manifest = desk.manifest()
    page, brief = (desk.text(name) for name in ("index.html", "00_brief.ipynb"))
    assert ("Earlier releases were wrong" in page) == bool(manifest["corrected"])
    said = re.search(r"corrected: (Report|two statements)", brief)
    assert bool(said) == bool(manifest["corrected"])
    assert all(line.partition("“")[0] in page for line in manifest["corrected"])
    return manifest["corrected"]


SAID = "Report 01 said “they rose”; they fell. A sign was lost."


def test_the_first_release_that_knows_a_correction_tells_it_and_the_next_one_and_no_later_one(desk):
    assert told(desk) == []
    write(desk, FIRST)
    for expected in ([SAID], [SAID], [], []):
        assert work(desk) == Exit.OK
        assert told(desk) == expected
        revise(desk, len(list(desk.reports.glob("20*"))) + 1)
    names = sorted(path.name for path in desk.reports.glob("20*"))
    assert names == [AS_OF, *(f"{AS_OF}.{number}" for number in range(2, 6))]


def test_a_correction_that_comes_later_has_two_releases_of_its_own(desk):
    write(desk, FIRST)
    assert work(desk) == Exit.OK
    write(desk, FIRST, GRAVER)
    expected = [["Report 02", "Report 01"], ["Report 02"], []]  # the gravest first
    for places in expected:
        assert work(desk) == Exit.OK
        assert [line.partition(" said")[0] for line in told(desk)] == places
        revise(desk, len(list(desk.reports.glob("20*"))) + 1)


def test_that_a_correction_has_been_told_makes_no_release(desk):
    write(desk, FIRST)
    for number in (2, 3):
        assert work(desk) == Exit.OK
        before = desk.bytes()
        assert work(desk) == Exit.OK
        assert desk.bytes() == before
        revise(desk, number)


def test_a_draft_tells_corrections_and_does_not_count(desk):
    write(desk, FIRST)
    revise(desk, "x")
    desk.write("01_first", "raise ValueError('no')")
    assert work(desk) == Exit.FAILED
    assert read_json(desk.draft / "manifest.json")["corrected"] == [SAID]
    desk.write("01_first", NO_VERDICTS)
    assert work(desk) == Exit.OK
    assert (told(desk), desk.manifest()["corrections"]) == ([SAID], {"a": 1})


def test_a_damaged_release_still_counts(desk):
    write(desk, FIRST)
    assert work(desk) == Exit.OK
    (desk.published / "01_first.pdf").write_text("damaged")
    assert work(desk) == Exit.OK
    assert desk.manifest()["corrections"] == {"a": 2}
    (desk.published / "01_first.pdf").write_text("damaged")
    assert work(desk) == Exit.OK
    assert (told(desk), desk.manifest()["corrections"]) == ([], {"a": 2})


def test_the_page_of_a_release_that_tells_corrections_is_made_again_to_the_byte(desk, capsys):
    write(desk, FIRST)
    assert work(desk) == Exit.OK
    assert desk.ask("verify", str(desk.reports / "latest"), "--all") == Exit.OK
    assert "index.html" in capsys.readouterr().out


def test_a_correction_is_no_cause_of_a_change(desk):
    write(desk, FIRST)
    desk.write(
        "02_second",
        NO_VERDICTS,
        parameters=EXPERIMENT,
    )
    assert work(desk) == Exit.OK
    causes = read_json(desk.published / "changes.json")["causes"]
    assert "corrected" not in json.dumps(causes)


def test_the_brief_prints_the_gravest_and_counts_the_others(desk):
    write(desk, FIRST)
    (row,) = corrections.read_corrections(desk.root)
    write(desk, FIRST, GRAVER)
    first, second = corrections.read_corrections(desk.root)
    assert (first.id, second) == ("b", row)
    assert corrections.line([]) == ""
    assert corrections.line([row]) == "Report 01 said “they rose”; they fell."
    listed = "two statements of earlier releases, listed in index.html."
    assert corrections.line([first, row]) == listed


def test_the_page_escapes_what_it_tells(tmp_path):
    page = publish_page(
        tmp_path, [], corrected=["<script>alert(1)</script> & more"], uncommitted=["<b>x</b>"]
    )
    assert "&lt;script&gt;alert(1)" in page.html
    assert "&lt;b&gt;x" in page.html


def test_the_brief_escapes_and_leads_what_the_run_says():
    event = read_event("amazon_2021")
    for judged in ([], [V2]):
        shown = brief.below(judged, event, changed="a < b", corrected="c < d").html
        assert "<strong>Not as committed.</strong> a &lt; b" in shown
        assert "<strong>Corrected:</strong> c &lt; d" in shown
        assert shown.index("committed") < shown.index("Corrected")
        assert "Corrected" not in brief.below(judged, event).html


# The corrections of the project


CORRECTIONS = corrections.read_corrections(ROOT)


def test_what_was_certain_is_corrected():
    assert {"believe_word", "santai_revenue", "vesync_revenue", "readme_commands"} <= {
        row.id for row in CORRECTIONS
    }
    assert len(data.load("corrections")) == len(CORRECTIONS)


@pytest.mark.parametrize("row", CORRECTIONS, ids=lambda row: row.id)
def test_a_correction_is_short_ends_without_a_stop_and_stays_in_the_changelog(row):
    assert len(row.sentence) <= 240
    assert not re.search(r"[.;]$", row.right + row.why)
    changelog = Path(ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"“{row.said}”" in changelog
    assert row.right in changelog
