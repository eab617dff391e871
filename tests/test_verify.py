"""A release is proved by its hashes: whatever is damaged, missing or beside it is named."""

import json

import pytest
from releases import REPORT, make, verdict

from runner import Exit, publish, release, verify
from runner.cli import main
from runner.release import DATA, MANIFEST, VERDICTS

PDF, CSV = f"{REPORT}.pdf", f"{REPORT}.estimates.csv"


def rewrite(found, **changed):
    """Write the manifest anew, with the hashes that files have now."""
    content = json.loads((found.folder / MANIFEST).read_text())
    content |= {"files": release.hashes(found.folder), **changed}
    publish.write_json(found.folder / MANIFEST, content)
    return release.read(found.folder)


def test_a_whole_release_has_no_fault(tmp_path):
    assert verify.faults(make(tmp_path)) == []


def damage(file):
    content = file.read_bytes()
    file.write_bytes(content[:3] + b"?" + content[4:])


def link(file):
    file.rename(file.parent.parent / "elsewhere")
    file.symlink_to(file.parent.parent / "elsewhere")


DAMAGE = [(damage, "damaged"), (link, "a link"), (lambda file: file.write_bytes(b""), "empty")]
DAMAGE += [(lambda file: file.unlink(), "missing"), (lambda file: (file.unlink(), file.mkdir()), "missing")]


@pytest.mark.parametrize(("does", "said"), DAMAGE)
@pytest.mark.parametrize("name", [PDF, CSV])
def test_a_file_that_is_not_as_it_was_is_named_with_what_happened_to_it(tmp_path, does, said, name):
    found = make(tmp_path)
    does(found.folder / name)
    (line,) = verify.faults(found)
    assert line.startswith(f"{name}: {said}")


def test_a_file_beside_the_release_is_named(tmp_path):
    found = make(tmp_path)
    (found.folder / "figures").mkdir()
    (found.folder / "figures" / "note.txt").write_text("mine")
    assert verify.faults(found) == ["figures/note.txt: extra, not listed in the manifest"]


@pytest.mark.parametrize(("file", "said"), [("figures", "differs"), ("more", "is extra")])
def test_an_archive_of_other_data_than_the_reports_were_made_of_is_named(tmp_path, file, said):
    found = make(tmp_path)
    other = make(tmp_path / "other", data={f"facts/{file}.csv": "other\n"})
    (found.folder / DATA).write_bytes((other.folder / DATA).read_bytes())
    assert verify.faults(rewrite(found)) == [
        f"{DATA}: not the data that the reports were made from: facts/{file}.csv {said}"
    ]


OTHERS = [({"report": "07_other"}, "it belongs to 07_other, which is not a report of the release")]
OTHERS += [({"as_of": "2026-01-01"}, f"its as_of is '2026-01-01'; the manifest has '2026-11-25' for {REPORT}")]
OTHERS += [({"market": "m"}, f"its market is 'm'; the manifest has '' for {REPORT}")]


@pytest.mark.parametrize(("known", "said"), OTHERS)
def test_a_verdict_that_does_not_belong_to_its_report_is_named(tmp_path, known, said):
    found = make(tmp_path, verdicts=[verdict(**known)])
    assert verify.faults(found) == [f"{VERDICTS}: C01 V1: {said}"]


@pytest.mark.parametrize("name", [VERDICTS, DATA])
def test_a_file_that_is_not_what_it_should_be_though_its_hash_is_right_ends_in_a_line(tmp_path, capsys, name):
    found = make(tmp_path)
    (found.folder / name).write_text('{"word": "Supported"}')
    folder = rewrite(found).folder
    assert main(["verify", str(folder)]) == Exit.FAILED
    assert capsys.readouterr().out.startswith(f"{folder.name}/{name}: ")


def test_what_a_checkout_has_otherwise_is_named_by_part(tmp_path):
    told = make(tmp_path).manifest
    same = {name: entry.notebook_sha256 for name, entry in told.reports.items()}
    assert verify.differences(told, told.inputs, same) == []
    now = {**told.inputs, "code": {"a.py": "2", "b.py": "1"}, "versions": {"python": "3.12.0"}}
    assert verify.differences(told, now, {**same, REPORT: "other"}) == [
        "code: a.py, b.py",
        f"notebooks: {REPORT}",
        "versions: python 3.11.9, now 3.12.0",
    ]
