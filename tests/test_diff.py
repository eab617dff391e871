"""What moved between two releases is told in words: which, by how much, and why."""

import json

import pytest
from releases import DESCRIPTOR, FIGURES, REPORT, SIMULATED, estimate, make, verdict

from analysis.exhibits.payload import MIME
from runner import ReportError, diff

LATER = "2026-11-26"


def compared(out, before=None, **after):
    return diff.between(make(out, **(before or {})), make(out, LATER, **after))


def lines(changes, heading):
    return dict(diff.sections(changes)).get(heading)


def test_between_equal_releases_nothing_moved(tmp_path):
    found = compared(tmp_path)
    assert not found.moved
    assert found.compared == 2
    assert diff.line(found) == "Since the release of 2026-11-25: nothing moved."
    assert diff.sections(found) == []


def test_a_word_that_moved_is_told_with_what_it_was(tmp_path):
    found = compared(tmp_path, verdicts=[verdict("Contradicted", confidence="moderate")])
    (told,) = lines(found, "Words that moved")
    said = "word Not shown, now Contradicted; confidence low, now moderate. Growth stayed positive."
    assert told == f"C01 V1 in {REPORT}: {said}"
    assert "1 verdict moved (C01 V1 from Not shown to Contradicted)" in diff.line(found)


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        (verdict(), verdict("Contradicted"), ["C01 V1 in 05_growth: Not shown before, Contradicted now"]),
        (None, verdict(), ["C01 V1 in 05_growth: no word before, Not shown now"]),
        (verdict(estimate=1.0), verdict(estimate=1.4), []),
        (verdict(), verdict(confidence="high"), []),
        (verdict(market="m"), verdict("Supported", market="m"), []),
        (verdict(aside="Of its firms:"), verdict("Supported", aside="Of its firms:"), []),
    ],
)
def test_a_claim_is_told_to_have_another_word_only_if_it_is_judged_by_it(tmp_path, was, now, said):
    found = compared(tmp_path, {"verdicts": [was] if was else []}, verdicts=[now])
    assert diff.turned(found) == said


def test_a_verdict_that_came_or_went_is_told(tmp_path):
    found = compared(tmp_path, verdicts=[verdict("Supported", reading="V2")])
    came, went = lines(found, "Words that moved")
    assert came.startswith(f"C01 V2 in {REPORT}: word none, now Supported")
    assert went.startswith(f"C01 V1 in {REPORT}: word Not shown, now none")


def test_other_words_of_a_verdict_are_told_as_reworded(tmp_path):
    (told,) = lines(compared(tmp_path, verdicts=[verdict(why="New.")]), "Words that moved")
    assert told == f"C01 V1 in {REPORT}: reworded: why. Growth stayed positive."


def moved(out, *, before=None, **after):
    rows = {"estimates": {REPORT: [estimate(**(before or {}))]}}, {"estimates": {REPORT: [estimate(**after)]}}
    return diff.between(make(out, **rows[0]), make(out, LATER, **rows[1]))


def test_a_number_that_moved_is_told_in_its_unit_and_in_standard_errors(tmp_path):
    found = moved(tmp_path, estimate="13", conf_low="9", conf_high="17")
    (told,) = lines(found, "Numbers that moved")
    assert told == (
        f"Growth of Acme in {REPORT}: +10.0 (+6.0 to +14.0), now +13.0 (+9.0 to +17.0) per cent (1.5 standard errors)"
    )
    assert diff.line(found).endswith("1 number moved, by 1.5 standard errors at most where these are known.")


def test_a_confidence_interval_gives_the_standard_error_where_none_is_stated(tmp_path):
    (number,) = moved(
        tmp_path, before={"std_error": "", "conf_low": "6.08", "conf_high": "13.92"}, estimate="12"
    ).numbers
    assert number.errors == pytest.approx(1.0, rel=1e-3)


def test_an_identified_set_has_no_standard_error(tmp_path):
    bounds = {"estimate": "", "std_error": "", "level": "", "interval": "identified set"}
    found = moved(tmp_path, before=bounds, **bounds, conf_low="5")
    assert lines(found, "Numbers that moved") == [
        f"Growth of Acme in {REPORT}: +6.0 to +14.0, now +5.0 to +14.0 per cent"
    ]


def test_a_number_that_moved_by_less_than_is_written_only_counts(tmp_path):
    found = moved(tmp_path, estimate="10.01")
    assert (found.moved, found.rounded, found.compared) == (False, 1, 1)


def test_a_number_that_came_or_went_is_told(tmp_path):
    (came, went) = lines(moved(tmp_path, label="Growth of Bright"), "Numbers that moved")
    assert came.startswith(f"Growth of Acme in {REPORT}: +10.0 (+6.0 to +14.0), now none")
    assert went.startswith(f"Growth of Bright in {REPORT}: none, now +10.0")


def test_a_claim_that_is_reworded_keeps_its_number(tmp_path):
    found = moved(tmp_path, before={"table": "0", "label": "C01 V1: Old words."}, table="0", label="C01 V1: New words.")
    assert not found.moved


def test_what_is_simulated_stands_apart_and_not_in_the_brief(tmp_path):
    found = compared(
        tmp_path, estimates={REPORT: [estimate()], SIMULATED: [estimate(market="m, seed 1", estimate="99")]}
    )
    assert lines(found, "Numbers that moved") is None
    assert lines(found, "Numbers that moved in simulated markets, which give no claim its word")
    assert diff.line(found).endswith("nothing moved.")


def test_a_cell_of_the_data_is_named_by_its_key(tmp_path):
    tables = {"facts/figures.csv": FIGURES.replace("2021,12", "2021,13").replace("Bright,2020,7\n", "Clear,2020,1\n")}
    assert lines(compared(tmp_path, data=tables), "Data") == [
        "facts/figures.csv, firm Acme, year 2021: sales 12, now 13",
        "facts/figures.csv, firm Bright, year 2020: the row is gone",
        "facts/figures.csv, firm Clear, year 2020: the row is new",
    ]


def test_a_file_without_keys_and_one_that_is_new_are_told_as_a_whole(tmp_path):
    before, after = {"events/a.yml": "a: 1\n"}, {"events/a.yml": "a: 2\n", "facts/new.csv": "x\n1\n"}
    found = compared(tmp_path, {"data": before}, data=after)
    assert lines(found, "Data") == ["events/a.yml: the file changed", "facts/new.csv: the file is new"]


def test_a_descriptor_that_only_records_new_bytes_is_no_change(tmp_path):
    other = json.loads(json.dumps(DESCRIPTOR))
    other["resources"][0]["hash"] = "y"
    assert compared(tmp_path, data={"datapackage.json": json.dumps(other)}).data == []
    other["resources"][0]["title"] = "Other"
    tables = {"datapackage.json": json.dumps(other)}
    (cell,) = compared(tmp_path / "again", data=tables).data
    assert cell.said == "datapackage.json: what it says of the files changed"


def test_what_may_have_moved_a_report_is_named_by_kind(tmp_path):
    rows = {REPORT: [estimate(estimate="11")], SIMULATED: [estimate(market="m, seed 1")]}
    of = {"code": {"a.py": "2"}, "versions": {"python": "3.12.0"}}
    tables = {"facts/figures.csv": FIGURES.replace("2021,12", "2021,13")}
    found = compared(tmp_path, estimates=rows, inputs=of, data=tables, parameters={"margin": 3}, notebook="other")
    assert lines(found, "What may have moved them") == [
        f"{REPORT}: data facts/figures.csv; parameter margin none, now 3; its notebook; code; "
        "version of python 3.11.9, now 3.12.0"
    ]
    assert lines(found, "Code") == ["a.py"]
    assert lines(found, "Notebooks") == [REPORT, SIMULATED]


def test_data_that_a_report_does_not_read_did_not_move_it(tmp_path):
    facts = {"kind": "facts", "caption": "", "csv": "what,name,value,vintage,about\nfile,facts/figures.csv,,,\n"}
    output = {"output_type": "display_data", "data": {MIME: [facts]}}
    reads = {f"{REPORT}.ipynb": json.dumps({"cells": [{"outputs": [output]}]}) + "\n"}
    rows = {REPORT: [estimate(estimate="11")], SIMULATED: [estimate(market="m, seed 1", estimate="11")]}
    old = make(tmp_path, data={"facts/other.csv": "a\n1\n"})
    new = make(tmp_path, LATER, estimates=rows, data={"facts/other.csv": "a\n2\n"}, more=reads)
    assert diff.between(old, new).causes == {
        REPORT: ["the date of knowledge"],
        SIMULATED: ["data facts/other.csv"],  # it has recorded nothing
    }


def test_a_file_that_is_not_as_its_manifest_says_is_not_compared(tmp_path):
    old, new = make(tmp_path), make(tmp_path, LATER)
    (new.folder / f"{REPORT}.estimates.csv").write_text("damaged\n")
    with pytest.raises(ReportError, match=f"{REPORT}.estimates.csv is not as the manifest says; see what `market"):
        diff.between(old, new)


def test_a_change_is_json_with_its_words(tmp_path):
    found = moved(tmp_path, estimate="11").as_json()
    assert json.loads(json.dumps(found)) == found
    assert found["told"][0][0] == "Numbers that moved"
    assert found["numbers"][0]["errors"] == 0.5


def test_long_lists_are_cut_with_what_is_left_out(tmp_path):
    many = "".join(f"F{place},2020,1\n" for place in range(20))
    told = lines(compared(tmp_path, data={"facts/figures.csv": FIGURES + many}), "Data")
    assert len(told) == diff.MOST + 1
    assert told[-1] == "and 8 more"
