"""What moved between two releases is told in words: which, by how much, and why."""

import json

import pytest
from desk import cases
from releases import BRIEF, DESCRIPTOR, FIGURES, REPORT, SIMULATED, estimate, make, verdict

from analysis.exhibits.payload import MIME
from runner import ReportError, diff

LATER = "2026-11-26"


def compared(out, before=None, **after):
    return diff.between(make(out, **(before or {})), make(out, LATER, **after))


def built(options):
    """Options of a release, in which a verdict or an estimate is said by what is unusual in it."""
    rows = {
        report: [estimate(**row) for row in rows]
        for report, rows in options.get("estimates", {}).items()
    }
    verdicts = [verdict(**row) for row in options.get("verdicts", ())]
    return (
        options
        | ({"estimates": rows} if rows else {})
        | ({"verdicts": verdicts} if verdicts else {})
    )


@pytest.mark.parametrize("case", cases("diff"), ids=lambda case: case["name"])
def test_what_moved_is_told_under_its_heading(tmp_path, case):
    changes = compared(tmp_path, built(case.get("before", {})), **built(case["after"]))
    told = {
        heading: some
        for heading, some in diff.headed_lines(changes)
        if heading.startswith(("Words", "Numbers", "Data"))
    }
    assert told == case["told"]
    assert diff.summary_line(changes) == case.get("line", diff.summary_line(changes))


def lines(changes, heading):
    return dict(diff.headed_lines(changes)).get(heading)


def test_between_equal_releases_nothing_moved(tmp_path):
    found = compared(tmp_path)
    assert found.compared == 2
    assert diff.summary_line(found) == "Since the release of 2026-11-25: nothing moved."
    assert diff.headed_lines(found) == []


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        (
            verdict(),
            verdict("Contradicted"),
            ["C01 V1 in 05_growth: Not shown before, Contradicted now"],
        ),
        (None, verdict(), ["C01 V1 in 05_growth: no word before, Not shown now"]),
        (verdict(estimate=1.0), verdict(estimate=1.4), []),
        (verdict(), verdict(confidence="high"), []),
        (
            verdict(margin=2.0),
            verdict(margin=9.0),
            ["C01 V1 in 05_growth: margin 2.0 before, 9.0 now"],
        ),
        (verdict(market="m"), verdict("Supported", market="m"), []),
        (verdict(aside="Of its firms:"), verdict("Supported", aside="Of its firms:"), []),
    ],
)
def test_a_claim_is_told_to_have_another_word_only_if_it_is_judged_by_it(tmp_path, was, now, said):
    found = compared(tmp_path, {"verdicts": [was] if was else []}, verdicts=[now])
    assert [each.said for each in diff.turned(found)] == said


def test_a_report_with_a_new_name_is_renamed_and_nothing_moved(tmp_path):
    new = {"reports": ("02_growth", SIMULATED, BRIEF), "formerly": {"02_growth": [REPORT, "04_a"]}}
    rows = {"02_growth": [estimate(table="3")], SIMULATED: [estimate(market="m, seed 1")]}
    found = compared(tmp_path, verdicts=[verdict(report="02_growth")], estimates=rows, **new)
    assert (found.words, found.numbers, found.reports, [*diff.turned(found)]) == ([], [], [], [])
    assert found.compared == 2
    assert lines(found, "Renamed") == ["05_growth is now 02_growth"]
    assert diff.summary_line(found) == "Since the release of 2026-11-25: 1 report renamed."


def test_a_report_that_follows_two_is_compared_with_both(tmp_path):
    old = [verdict(report="03_listed"), verdict(claim="C02", report="02_market")]
    new = [verdict(report="01_hit"), verdict("Supported", claim="C02", report="01_hit")]
    rows = {"03_listed": [estimate()], "02_market": [estimate(label="Gone")]}
    found = compared(
        tmp_path,
        {"reports": ("03_listed", "02_market", "04_a"), "verdicts": old, "estimates": rows},
        reports=("01_hit", "05_b"),
        formerly={"01_hit": ["03_listed", "02_market"]},
        verdicts=new,
        estimates={"01_hit": [estimate(label="New"), estimate(estimate="12")]},
    )
    assert [each.said for each in diff.turned(found)] == [
        "C02 V1 in 01_hit: Not shown before, Supported now"
    ]
    assert [number.new for number in found.numbers] == ["+12.0 (+6.0 to +14.0)"]
    assert lines(found, "Reports") == ["04_a is gone", "05_b is new"]
    assert found.renamed == ["03_listed is now 01_hit", "02_market is now 01_hit"]


def test_a_descriptor_is_no_data(tmp_path):
    other = json.loads(json.dumps(DESCRIPTOR))
    other["resources"][0]["hash"] = "y"
    assert compared(tmp_path, data={"datapackage.json": json.dumps(other)}).data == []


def test_what_may_have_moved_a_report_is_named_by_kind(tmp_path):
    rows = {REPORT: [estimate(estimate="11")], SIMULATED: [estimate(market="m, seed 1")]}
    of = {"code": {"a.py": "2"}, "versions": {"python": "3.12.0"}}
    tables = {"facts/figures.csv": FIGURES.replace("2021,12", "2021,13")}
    found = compared(
        tmp_path, estimates=rows, inputs=of, data=tables, parameters={"margin": 3}, notebook="other"
    )
    assert lines(found, "What may have moved them") == [
        f"{REPORT}: data facts/figures.csv; parameter margin none, now 3; its notebook; code; "
        "version of python 3.11.9, now 3.12.0"
    ]
    assert lines(found, "Code") == ["a.py"]
    assert lines(found, "Notebooks") == [REPORT, SIMULATED]


def test_data_that_a_report_does_not_read_did_not_move_it(tmp_path):
    facts = {
        "kind": "facts",
        "caption": "",
        "csv": "what,name,value,vintage,about\nfile,facts/figures.csv,,,\n",
    }
    output = {"output_type": "display_data", "data": {MIME: [facts]}}
    reads = {f"{REPORT}.ipynb": json.dumps({"cells": [{"outputs": [output]}]}) + "\n"}
    rows = {
        REPORT: [estimate(estimate="11")],
        SIMULATED: [estimate(market="m, seed 1", estimate="11")],
    }
    old = make(tmp_path, data={"facts/other.csv": "a\n1\n"})
    new = make(tmp_path, LATER, estimates=rows, data={"facts/other.csv": "a\n2\n"}, more=reads)
    assert diff.between(old, new).causes == {
        REPORT: ["the as-of date"],
        SIMULATED: ["data facts/other.csv"],  # it has recorded nothing
    }


def test_a_file_that_is_not_as_its_manifest_says_is_not_compared(tmp_path):
    old = make(tmp_path)
    new = make(tmp_path, LATER)
    (new.folder / f"{REPORT}.estimates.csv").write_text("damaged\n")
    with pytest.raises(
        ReportError, match=f"{REPORT}.estimates.csv does not match the manifest; run `market-impact"
    ):
        diff.between(old, new)


def test_a_change_is_json_with_its_words(tmp_path):
    found = compared(tmp_path, estimates={REPORT: [estimate(estimate="11")]}).as_json()
    assert json.loads(json.dumps(found)) == found
    assert found["told"][0][0] == "Numbers that moved"
    assert found["numbers"][0]["errors"] == 0.5


def test_long_lists_are_cut_with_what_is_left_out(tmp_path):
    many = "".join(f"F{place},2020,1\n" for place in range(20))
    told = lines(compared(tmp_path, data={"facts/figures.csv": FIGURES + many}), "Data")
    assert len(told) == diff.MOST + 1
    assert told[-1] == "and 8 more"


def test_however_much_moved_it_is_told_in_one_line(tmp_path):
    rows = {REPORT: [estimate(label=f"Growth of F{place}") for place in range(2000)]}
    told = diff.summary_line(compared(tmp_path, estimates=rows, verdicts=[verdict("Supported")]))
    assert told == "Since the release of 2026-11-25: 1 verdict moved; 2001 numbers moved."
