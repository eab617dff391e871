"""The runner's faults, with real kernels; what was published before must stay as it was."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from textwrap import indent

import pytest
from desk import (
    AS_OF,
    BRIEF_PARAMETERS,
    LATER,
    NO_VERDICTS,
    PARAMETERS,
    READ_VERDICTS,
    SOURCES,
    VINTAGE,
    WRITE_VERDICTS,
    contents,
    describe,
    document_text,
    full_disk,
    published_once,
    sources_kept,
)
from fewtreated.errors import DesignError
from reading import read_json

from analysis import provenance
from runner import Exit, ReportError, kernels, log, pdf, publish, release, schedule
from runner.inputs import commit_of_inputs


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A project whose three reports have been published once."""
    with published_once(tmp_path_factory.mktemp("finished")) as desk:
        yield desk


@pytest.fixture
def quick(desk):
    """The same project, whose cells run without a kernel."""
    return replace(desk, kernels=False)


# What a run leaves

OF_THE_RELEASE = [
    *(
        "CITATION.cff",
        "annex.pdf",
        "changes.json",
        "data.zip",
        "index.html",
        "manifest.json",
        "replication.md",
        "ro-crate-metadata.json",
    ),
    "verdicts.json",
]


def test_a_run_publishes_each_report_its_notebook_the_verdicts_and_the_manifest(finished):
    names = ["00_brief", "01_first", "02_second"]
    files = [f"{name}.{kind}" for name in names for kind in ("ipynb", "pdf")]
    assert sorted(os.listdir(finished.published)) == sorted([*files, *OF_THE_RELEASE])
    assert os.readlink(finished.reports / "latest") == AS_OF
    assert finished.is_clear()

    verdicts = read_json(finished.published / "verdicts.json")
    assert verdicts == [
        {"claim": "c1", "estimate": 4, "as_of": AS_OF, "provenance": "real", "report": "01_first"},
        {"claim": "c1", "estimate": 3, "as_of": AS_OF, "provenance": "real", "report": "02_second"},
    ]

    manifest = finished.manifest()
    assert manifest["as_of"] == AS_OF
    files = ("datapackage.json", "figures.csv")
    assert manifest["inputs"]["data"] == {
        name: publish.sha256(finished.root / "data" / name) for name in files
    }
    assert manifest["commit"] == commit_of_inputs()
    assert {"python", "papermill", "pandas", "typst"} <= manifest["inputs"]["versions"].keys()
    assert list(manifest["reports"]) == names
    entry = manifest["reports"]["01_first"]
    assert entry["parameters"]["count"] == 4
    assert entry["parameters"]["as_of"] == AS_OF
    assert entry["made"] == ["01_first.ipynb", "01_first.pdf"]
    assert entry["notebook_sha256"] == publish.digest(
        finished.root / "notebooks" / "01_first.ipynb"
    )
    assert entry["seconds"] > 0
    there = contents(finished.published)
    del there["manifest.json"]
    assert manifest["files"] == {
        name: hashlib.sha256(content).hexdigest() for name, content in there.items()
    }
    with zipfile.ZipFile(finished.published / "data.zip") as archive:
        packed = {
            name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()
        }
    assert packed == manifest["inputs"]["data"]
    assert (manifest["release"], manifest["previous"], manifest["panel"]) == (AS_OF, "", "")


def test_kernels_have_one_thread_and_the_as_of_clock_and_leave_no_time_and_no_path_of_the_machine(
    finished,
):
    text = finished.text("01_first.ipynb")
    assert "1 1795564800" in text  # midnight of AS_OF, UTC
    assert str(finished.root) not in text
    assert ".run-" not in text
    for word in ("papermill", "start_time", "duration", "iopub"):
        assert f'"{word}' not in text


def test_the_brief_reads_the_verdicts_of_the_run(finished):
    text = finished.text("00_brief.ipynb")
    assert text.index('\\"report\\": \\"01_first\\"') < text.index('\\"report\\": \\"02_second\\"')
    assert '\\"estimate\\": 4' in text


def test_a_second_execution_gives_the_same_bytes(desk):
    before = contents(desk.published)
    assert desk.run(force=True) == Exit.OK
    assert desk.published.name == f"{AS_OF}.2"
    after = contents(desk.published)
    assert before.keys() == after.keys()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {
        "manifest.json",
        "changes.json",
        "index.html",
        "annex.pdf",
    }  # when, and since which release


def test_a_notebook_of_an_older_format_gets_ids_that_are_not_drawn(quick):
    file = quick.root / "notebooks" / "01_first.ipynb"
    notebook = read_json(file)
    for each in notebook["cells"]:
        del each["id"]
    file.write_text(json.dumps({**notebook, "nbformat_minor": 4}))
    assert quick.run("01", force=True) == Exit.OK
    first = quick.text("01_first.ipynb")
    assert re.findall(r'"id": "(.+?)"', first) == [f"cell-{number}" for number in range(4)]
    assert quick.run("01", force=True) == Exit.OK
    assert quick.text("01_first.ipynb") == first


def test_a_run_can_publish_elsewhere_and_what_is_named_where_nothing_stands_is_a_draft(
    quick, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    before = quick.bytes()
    assert quick.run("02", out=Path("elsewhere")) == Exit.OK
    files = ["02_second.ipynb", "02_second.pdf", *OF_THE_RELEASE]
    assert sorted(os.listdir(tmp_path / "elsewhere" / "draft")) == sorted(files)
    assert (tmp_path / "elsewhere" / "latest").readlink() == Path("draft")
    assert quick.run(out=Path("elsewhere")) == Exit.OK
    assert sorted(os.listdir(tmp_path / "elsewhere")) == [".lock", AS_OF, "latest", log.LOG]
    assert (tmp_path / "elsewhere" / "latest").readlink() == Path(AS_OF)
    assert quick.bytes() == before


# What need not run


def test_unchanged_reports_are_skipped_without_starting_anything(desk, no_kernels, capsys):
    before = desk.bytes()
    assert desk.run() == Exit.OK
    assert desk.bytes() == before
    assert [line.split()[1:] for line in capsys.readouterr().out.splitlines()[:3]] == [
        ["unchanged"]
    ] * 3


DAMAGED = [("01_first.pdf", "missing"), ("00_brief.ipynb", "damaged"), ("verdicts.json", "missing")]
DAMAGED += [("index.html", "damaged"), ("data.zip", "damaged")]


def all_made_again(desk, capsys, *names):
    """Run, see that nothing is carried over, and return what is said."""
    assert desk.run(*names) == Exit.OK
    said = "".join(capsys.readouterr())
    assert said.count("published ") == 3
    assert desk.published.name == f"{AS_OF}.2"
    return said


@pytest.mark.parametrize(("lost", "wrong"), DAMAGED)
def test_from_a_damaged_release_nothing_is_carried_over_and_it_stays_as_it_is(
    quick, capsys, lost, wrong
):
    file = quick.published / lost
    content = file.read_bytes()
    file.unlink()
    if wrong == "damaged":
        file.write_bytes(content[:-2])
    before = contents(quick.published)
    said = all_made_again(quick, capsys, "02")
    assert f"its files do not match: {lost}: {wrong}. All reports are made again." in said
    assert "stays as it is: restore it from a copy, and see by `market-impact verify`" in said
    assert contents(quick.reports / AS_OF) == before


@pytest.mark.parametrize("content", ["{", "[]", '{"reports": 1}', "{}", None])
def test_from_a_release_whose_manifest_no_run_wrote_nothing_is_carried_over(quick, capsys, content):
    file = quick.published / "manifest.json"
    file.unlink()
    file.write_text(content) if content else file.mkdir()
    said = all_made_again(quick, capsys)
    assert "not a release: its manifest.json cannot be read (" in said


OUTSIDE = "../../notebooks/01_first.ipynb"  # a file that is there, as the manifest says


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (lambda _: {"files": {}}, "verdicts.json: the manifest has no hash for it"),
        (lambda _: {"release": "2026-01-01"}, "belongs to '2026-01-01'"),
        (
            lambda desk: {
                "files": desk.manifest()["files"]
                | {OUTSIDE: publish.sha256(desk.published / OUTSIDE)}
            },
            "01_first.ipynb: the manifest lists a path outside the release",
        ),
    ],
)
def test_a_manifest_that_leads_out_of_its_folder_or_is_of_another_one_is_not_followed(
    quick, capsys, changed, why
):
    told = quick.manifest() | changed(quick)
    publish.write_json(quick.published / "manifest.json", told)
    (quick.reports / log.LOG).unlink()  # which has the hash of the manifest
    assert why in all_made_again(quick, capsys, "01")


LAYOUT_OF_REPORTS = ("template.typ", "fonts/one.otf", "filter.lua", "figures.mplstyle")


ALL = {"00_brief", "01_first", "02_second"}


def prints(desk, given=(), verdicts=None):
    jobs = schedule.settled(schedule.read_jobs(desk.root), dict(given), AS_OF)
    common = publish.inputs(desk.root)
    return {
        job.name: publish.fingerprint(job, common, verdicts if job.is_brief else None)
        for job in jobs
    }


def moved(before, after):
    """Return the reports whose fingerprints differ."""
    return {name for name in before if after[name] != before[name]}


READ = [
    "data/figures.csv",
    *(f"reports/{name}" for name in LAYOUT_OF_REPORTS),
    "data/more.csv",
    "docs/glossary.md",
]


@pytest.mark.parametrize("file", READ)
def test_a_changed_byte_or_a_new_file_that_is_read_changes_every_fingerprint(desk, file):
    before = prints(desk)
    path = desk.root / file
    path.parent.mkdir(exist_ok=True)
    path.touch()
    path.write_bytes(b"?" + path.read_bytes()[1:])
    assert moved(before, prints(desk)) == ALL


def test_a_changed_source_or_version_changes_every_fingerprint(desk, tmp_path, monkeypatch):
    with sources_kept(tmp_path):
        for package in ("analysis", "fewtreated/src/fewtreated", "market", "runner"):
            before = prints(desk)
            with (tmp_path / "sources" / package / "__init__.py").open("a") as file:
                file.write("\n")
            assert moved(before, prints(desk)) == ALL
        before = prints(desk)
        monkeypatch.setattr(provenance, "_version", lambda name: "0.0")
        assert moved(before, prints(desk)) == ALL


def test_a_changed_cell_or_parameter_changes_the_fingerprint_of_its_report_alone(desk):
    before = prints(desk)
    desk.write("01_first", WRITE_VERDICTS + "# more")
    assert moved(before, prints(desk)) == {"01_first"}
    desk.write("01_first", WRITE_VERDICTS)
    assert prints(desk) == before
    assert moved(before, prints(desk, {"count": "5"})) == {"01_first", "02_second"}


def test_changed_verdicts_change_the_fingerprint_of_the_brief_alone(desk):
    before = prints(desk, verdicts={"01_first": []})
    assert moved(before, prints(desk, verdicts={"01_first": [{"a": 1}]})) == {"00_brief"}


def test_logs_among_the_layout_outputs_counters_and_ids_change_no_fingerprint(desk):
    before = prints(desk)
    for name in ("cron.log", "nohup.out", "fonts/.DS_Store"):
        (desk.reports / name).write_text("a growing log")
    file = desk.root / "notebooks" / "01_first.ipynb"
    notebook = read_json(file)
    stream = {"output_type": "stream", "name": "stdout", "text": "seen"}
    notebook["cells"][-1].update(execution_count=7, id="another", outputs=[stream])
    file.write_text(json.dumps(notebook))
    assert prints(desk) == before


def test_a_changed_parameter_runs_its_report_and_the_brief_again(quick, capsys):
    text = (quick.reports / "schedule.yml").read_text()
    (quick.reports / "schedule.yml").write_text(text.replace("count: 4", "count: 5"))
    assert quick.run() == Exit.OK
    lines = [line.split()[:2] for line in capsys.readouterr().out.splitlines()[:3]]
    assert lines == [
        ["01_first", "published"],
        ["02_second", "unchanged"],
        ["00_brief", "published"],
    ]
    verdicts = read_json(quick.published / "verdicts.json")
    assert [verdict["estimate"] for verdict in verdicts] == [5, 3]
    assert "<dt>Unchanged</dt><dd>02_second</dd>" in quick.text("index.html")
    assert '\\"estimate\\": 5' in quick.text("00_brief.ipynb")


# A release is whole, and of one time


def as_ofs(folder):
    reports = read_json(folder / "manifest.json")["reports"]
    return {name[:2]: entry["parameters"]["as_of"] for name, entry in reports.items()}


def test_a_report_named_on_a_new_day_is_released_with_the_others_carried_over(quick, capsys):
    quick.write("01_first", WRITE_VERDICTS.replace("count,", "count + 3,"))
    assert quick.run("01", as_of=LATER) == Exit.OK
    assert quick.published.name == LATER
    assert as_ofs(quick.published) == {"00": LATER, "01": LATER, "02": AS_OF}
    assert release.read(quick.published).faults() == []
    assert quick.manifest()["previous"] == AS_OF
    assert (quick.published / "02_second.pdf").read_bytes() == (
        quick.reports / AS_OF / "02_second.pdf"
    ).read_bytes()
    assert f"{'02_second':34}  unchanged  as of 2026-11-25\n" in capsys.readouterr().out
    assert [one["as_of"] for one in read_json(quick.published / "verdicts.json")] == [LATER, AS_OF]


def test_what_is_not_named_but_has_changed_is_made_too(quick, capsys):
    quick.write("02_second", WRITE_VERDICTS, "print('new')")
    assert quick.run("01") == Exit.OK
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()[:2]] == [
        "unchanged",
        "published",
    ]


def test_an_earlier_date_takes_nothing_from_a_later_one_and_latest_stays(quick, capsys):
    assert quick.run("01", as_of=VINTAGE) == Exit.OK
    assert "made" in capsys.readouterr().out
    assert quick.run(as_of=VINTAGE) == Exit.OK
    assert as_ofs(quick.reports / VINTAGE) == {"00": VINTAGE, "01": VINTAGE, "02": VINTAGE}
    assert quick.published.name == AS_OF
    capsys.readouterr()
    assert quick.run(as_of=VINTAGE) == Exit.OK
    assert capsys.readouterr().out.count("unchanged") == 3


def test_a_report_that_the_schedule_has_no_more_leaves_nothing(quick):
    text = (quick.reports / "schedule.yml").read_text().splitlines()
    (quick.reports / "schedule.yml").write_text(
        "\n".join(line for line in text if "02_second" not in line)
    )
    assert quick.run() == Exit.OK
    assert list(quick.manifest()["reports"]) == ["00_brief", "01_first"]
    assert not list(quick.published.glob("02*"))


@pytest.mark.parametrize(
    "changed", ["data/figures.csv", "reports/filter.lua", "notebooks/02_second.ipynb"]
)
def test_what_changes_while_a_run_is_at_work_ends_in_a_draft(quick, capsys, changed):
    before = quick.bytes()
    file = quick.root / changed
    text = file.read_text().replace('"# What is asked?"', '"# What is asked now?"')
    edit = f"import pathlib\npathlib.Path({str(file)!r}).write_text({text!r} + ' ')"
    quick.write("01_first", edit, WRITE_VERDICTS)
    assert quick.run() == Exit.FAILED
    kind = Path(changed).parts[0].replace("reports", "layout")
    assert (
        f"During the run {kind}: {Path(changed).name} changed; run again" in capsys.readouterr().err
    )
    assert quick.bytes() == before
    assert quick.draft.exists()


# What stands at the foot of the pages

REAL = "Real figures"
BOTH = "Real figures and estimates from them"
NONE = "Figures as marked: ● real, ◐ estimate, ○ simulated"


@pytest.mark.parametrize(
    ("first", "second", "feet"),
    [
        (WRITE_VERDICTS, WRITE_VERDICTS, [REAL, REAL, REAL]),
        (WRITE_VERDICTS.replace('"real"', '"estimate"'), WRITE_VERDICTS, [BOTH, BOTH, REAL]),
        (NO_VERDICTS, WRITE_VERDICTS, [REAL, NONE, REAL]),
        (NO_VERDICTS, NO_VERDICTS, [NONE, NONE, NONE]),
    ],
)
def test_the_footer_says_what_the_verdicts_rest_on(quick, first, second, feet):
    quick.write("01_first", first)
    quick.write("02_second", second)
    assert quick.run() == Exit.OK
    for name, foot in zip(("00_brief", "01_first", "02_second"), feet, strict=True):
        assert quick.text(f"{name}.pdf").endswith(f", {AS_OF}, {foot}")


@pytest.mark.parametrize(("new", "said"), [('"provenance": "guessed"', "'guessed'"), ("", "None")])
def test_a_verdict_that_is_neither_real_nor_an_estimate_nor_simulated_gets_no_pdf(
    quick, capsys, new, said
):
    before = quick.bytes()
    quick.write("01_first", WRITE_VERDICTS.replace('"provenance": "real"', new))
    assert quick.run("01") == Exit.FAILED
    assert (
        f"01_first: the provenance of a verdict is {said}; it must be real, estimate or"
        in capsys.readouterr().err
    )
    assert quick.bytes() == before


# What is refused before a kernel starts


def test_a_layout_that_lacks_a_file_is_refused(desk, no_kernels, tmp_path, monkeypatch):
    shutil.copytree(
        pdf.SOURCES,
        tmp_path / "reports",
        ignore=shutil.ignore_patterns("20*", "latest", "draft", ".*"),
    )
    monkeypatch.setattr(pdf, "SOURCES", tmp_path / "reports")
    (tmp_path / "reports" / "fonts" / "NotoSansCJKsc-Bold-subset.otf").unlink()
    (tmp_path / "reports" / "template.typ").unlink()
    said = (
        r"Report layout: cannot find \*\.typ, fonts/NotoSansCJKsc-Bold-subset\.otf in .*;"
        r" restore it"
    )
    with pytest.raises(DesignError, match=said):
        desk.run()


def test_a_date_before_the_newest_data_is_refused(desk, no_kernels):
    as_of = "2026-11-23"
    desk.declare(
        describe("old.csv", "2026-11-01"),
        describe("facts/figures.csv"),
        describe("last.csv", "2026-11-02"),
    )
    with pytest.raises(DesignError) as caught:
        desk.run(as_of=as_of)
    said = str(caught.value)
    figures = desk.root / "data" / "facts" / "figures.csv"
    assert said.startswith(f"Cannot publish reports as of {as_of}, because {figures} is")
    assert f"is dated {VINTAGE} " in said
    assert f"use --as-of {VINTAGE} or later" in said
    assert not (desk.reports / as_of).exists()


def test_reports_with_parameters_need_a_folder_of_their_own(desk, no_kernels, tmp_path):
    before = desk.bytes()
    (tmp_path / "link").symlink_to(desk.reports)
    for out in (desk.reports, tmp_path / "link"):
        with pytest.raises(
            DesignError, match=r"Option -p: .* is for the scheduled reports; .* --out DIR"
        ):
            desk.run("01", given={"count": "5"}, out=out)
    assert desk.bytes() == before


def test_a_parameter_goes_to_the_reports_that_know_it(desk):
    desk.write("02_second", WRITE_VERDICTS, parameters=PARAMETERS + "lag: int = 1  # quarters\n")
    jobs = {
        job.name: job
        for job in schedule.settled(schedule.read_jobs(desk.root), {"lag": "2"}, AS_OF)
    }
    assert jobs["02_second"].parameters["lag"] == 2
    assert "lag" not in jobs["01_first"].parameters
    assert jobs["01_first"].parameters["count"] == 4
    with pytest.raises(DesignError, match="Parameter lag does not exist"):
        schedule.settled([jobs["01_first"]], {"lag": "2"}, AS_OF)


ONE_VALUE = PARAMETERS.replace("allowed 1 to 9", "allowed 1 | 3")


def test_a_parameter_goes_to_the_reports_that_are_named_and_others_keep_their_own(quick, tmp_path):
    quick.write("02_second", WRITE_VERDICTS, parameters=ONE_VALUE)  # which would refuse 5

    def counts(*names):
        out = tmp_path / "-".join(["with", *names])
        assert quick.run(out=out) == Exit.OK
        assert quick.run(*names, given={"count": "5"}, out=out) == Exit.OK
        entries = read_json(out / "latest" / "manifest.json")["reports"]
        return [entries[name]["parameters"]["count"] for name in ("01_first", "02_second")]

    assert counts("01") == [5, 3]
    with pytest.raises(DesignError, match="Report 02_second: Parameter count: found '5'"):
        counts()
    with pytest.raises(DesignError, match="Report 02_second: Parameter count: found '5'"):
        counts("01", "02")


def test_a_parameter_of_the_brief_goes_to_the_brief_and_not_to_what_it_reads(quick, tmp_path):
    quick.write(
        "00_brief",
        READ_VERDICTS,
        parameters=BRIEF_PARAMETERS + "count: int = 1  # of lines; allowed 1 to 9\n",
    )
    assert quick.run("00", given={"count": "5"}, out=tmp_path / "mine") == Exit.OK
    entries = read_json(tmp_path / "mine" / "draft" / "manifest.json")["reports"]
    assert {name: entry["parameters"]["count"] for name, entry in entries.items()} == {
        "01_first": 4,
        "02_second": 3,
        "00_brief": 5,
    }


def test_a_notebook_without_the_runners_parameters_is_refused(desk, no_kernels):
    desk.write("01_first", WRITE_VERDICTS, parameters="count: int = 4")
    with pytest.raises(DesignError, match=r"01_first\.ipynb lacks as_of; add it"):
        desk.run("01")


def test_a_schedule_with_a_notebook_that_is_not_there_is_refused(desk):
    (desk.reports / "schedule.yml").write_text("reports: [{name: 01_a, notebook: nowhere.ipynb}]")
    with pytest.raises(
        DesignError, match=r"schedule\.yml, 01_a: there is no notebook 'nowhere\.ipynb' in"
    ):
        schedule.read_jobs(desk.root)


def test_reports_are_chosen_by_name_or_number_and_the_brief_brings_its_inputs(desk):
    jobs = schedule.read_jobs(desk.root)

    def chosen(*names):
        return [job.name for job in schedule.select(jobs, names)]

    assert chosen("02") == chosen("2") == chosen("02_second") == ["02_second"]
    assert chosen("02", "01") == ["01_first", "02_second"]
    assert chosen() == chosen("00") == ["01_first", "02_second", "00_brief"]
    with pytest.raises(
        DesignError,
        match=r"Report 3 is not in the schedule; choose from 00_brief, 01_first, 02_sec",
    ):
        chosen("3")


# Whose kernel it is


def test_a_kernel_is_the_python_of_the_run_whatever_kernels_and_settings_the_user_has(
    desk, tmp_path, monkeypatch
):
    spec = tmp_path / "kernels" / "python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(
        '{"argv": ["/bin/false"], "display_name": "Mine", "language": "python"}'
    )
    (tmp_path / "startup.py").write_text("count = 'mine'")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("JUPYTER_DEFAULT_PROVISIONER_NAME", "mine")
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "startup.py"))
    told = (
        "sys.executable, os.environ.get('PYTHONSTARTUP'),"
        " get_connection_info(unpack=True)['transport']"
    )
    asked = f"import os, sys\nfrom ipykernel import get_connection_info\nprint({told})"
    desk.write("01_first", asked, WRITE_VERDICTS)
    assert desk.run("01") == Exit.OK
    shown = desk.text("01_first.ipynb")
    assert (
        f"{sys.executable} None ipc" in shown
    )  # another may take a TCP port between its choice and its use


# What fails


def test_a_failing_cell_spares_the_other_reports_and_the_brief_which_names_it_in_the_draft(
    desk, capsys
):
    before = desk.bytes()
    desk.write(
        "01_first", "import analysis\nprint('so far', analysis.__file__)", "1 / 0", WRITE_VERDICTS
    )
    desk.write("02_second", WRITE_VERDICTS, "print('new')")
    assert desk.run() == Exit.FAILED
    assert desk.bytes() == before
    there = sorted(contents(desk.draft))
    reports = [f"{name}.{kind}" for name in ("00_brief", "02_second") for kind in ("ipynb", "pdf")]
    assert there == sorted([*reports, "failed/01_first.ipynb", *OF_THE_RELEASE])
    assert "new" in (desk.draft / "02_second.ipynb").read_text()
    brief = (desk.draft / "00_brief.ipynb").read_text()
    assert "failed: 01_first\\n" in brief
    assert '\\"report\\": \\"01_first\\"' not in brief
    assert '\\"report\\": \\"02_second\\"' in brief
    page = (desk.draft / "index.html").read_text()
    assert "<dt>Failed in this run</dt><dd>01_first</dd>" in page
    assert 'href="failed/01_first.ipynb"' in page
    assert "A draft: " in page

    kept = (desk.draft / "failed" / "01_first.ipynb").read_text()
    assert "so far" in kept
    assert "ZeroDivisionError" in kept
    assert str(provenance.ROOT) not in kept
    said = capsys.readouterr()
    assert "01_first: a cell failed with ZeroDivisionError" in said.err
    assert "division by zero" in said.err
    assert "\x1b" not in said.err
    assert desk.is_clear()

    desk.write("01_first", WRITE_VERDICTS)
    assert desk.run() == Exit.OK
    assert desk.manifest()["reports"]["00_brief"]["parameters"]["failed"] == ""
    assert "ailed in this run" not in desk.text("index.html")
    assert not desk.draft.exists()


def test_without_any_verdict_there_is_no_brief(quick, capsys):
    for name in ("01_first", "02_second"):
        quick.write(name, "1 / 0", WRITE_VERDICTS)
    assert quick.run(as_of=LATER) == Exit.FAILED
    assert os.readlink(quick.reports / "latest") == AS_OF
    assert not (quick.draft / "00_brief.ipynb").exists()
    assert "not run: it reads the verdicts of 01_first, 02_second" in capsys.readouterr().out
    assert (
        "<dt>Failed in this run</dt><dd>01_first, 02_second</dd>"
        in (quick.draft / "index.html").read_text()
    )
    for name in ("01_first", "02_second"):
        quick.write(name, WRITE_VERDICTS)
    assert quick.run() == Exit.OK  # what stands is whole again
    assert (quick.draft.exists(), quick.published.name) == (False, AS_OF)


def test_a_report_that_cannot_name_what_it_lacks_is_not_run_and_the_brief_names_both(quick, capsys):
    schedule = "  - {name: 03_claims, notebook: 03_claims.ipynb}\n"
    (quick.reports / "schedule.yml").write_text(SOURCES["schedule"] + schedule)
    silent = PARAMETERS + BRIEF_PARAMETERS.splitlines()[1]  # where the verdicts are
    quick.write("03_claims", "print('claims')", NO_VERDICTS, parameters=silent)
    assert quick.run(as_of=LATER) == Exit.OK
    assert "claims" in quick.text("03_claims.ipynb")
    quick.write("01_first", "1 / 0", WRITE_VERDICTS)
    assert quick.run(as_of="2026-11-27") == Exit.FAILED
    assert not (quick.draft / "03_claims.ipynb").exists()
    assert "not run: it reads the verdicts of 01_first" in capsys.readouterr().out
    assert "failed: 01_first, 03_claims" in (quick.draft / "00_brief.ipynb").read_text()


def test_a_run_that_may_open_too_few_files_is_refused(quick, monkeypatch):
    monkeypatch.setattr(kernels.resource, "getrlimit", lambda _: (71, 4096))
    with pytest.raises(DesignError, match="Cannot run 2 notebooks with 71 open files; raise"):
        quick.run(force=True, workers=2)
    assert quick.run(force=True, workers=1) == Exit.OK


def assert_nothing_lost(desk, capsys, code, message, **options):
    """Run the first report, and see what is said and that all is as it was."""
    before = desk.bytes()
    assert desk.run("01", **options) == code
    said = capsys.readouterr()
    assert message in said.err
    assert desk.bytes() == before
    assert (desk.draft / "failed" / "01_first.ipynb").exists()
    assert desk.is_clear()
    return [line.split()[:2] for line in said.out.splitlines()[:2]]


ONE_FAILED = [["01_first", "failed"], ["02_second", "unchanged"]]


@pytest.mark.parametrize(
    ("cell", "message", "limit"),
    [
        ("import os; os._exit(1)", "the kernel died twice", kernels.TIMEOUT),
        (document_text("<<__import__('time').sleep(60)>>"), "not finished after 4.5 s", 4.5),
        ("import time; time.sleep(60)", "not finished after 4.5 s", 4.5),
        ("raise SystemExit", "a cell ended with SystemExit", kernels.TIMEOUT),
    ],
)
def test_after_a_fault_in_the_kernel_all_is_as_before(desk, capsys, cell, message, limit):
    desk.write("01_first", cell)
    assert assert_nothing_lost(desk, capsys, Exit.FAILED, message, timeout=limit) == ONE_FAILED


@pytest.mark.parametrize(
    ("cell", "code", "message"),
    [
        ("print(1)", Exit.FAILED, "01_first: it hands on no verdicts; end it with `finish(...)`"),
        (WRITE_VERDICTS.replace("count", "float('nan')"), Exit.FAILED, "not JSON compliant"),
        ("open('/dev/full', 'w').write('x' * 100_000)", Exit.DISK_FULL, "No space left on device"),
    ],
)
def test_after_a_notebook_without_verdicts_all_is_as_before(quick, capsys, cell, code, message):
    quick.write("01_first", cell)
    assert assert_nothing_lost(quick, capsys, code, message) == ONE_FAILED


DIES_AT_WORK = (
    "import os\nif os.path.exists('once'):\n    os.remove('once')\n    os.kill(os.getpid(), 9)"
)
DIES_IN_TEXT = [
    "def die():\n" + indent(DIES_AT_WORK, "    "),
    document_text("One <<1>>, two <<die()>>, three."),
]
DIES_AS_IT_STARTS = "import os\nos.remove(__file__)\nos._exit(9)\n"


@pytest.mark.parametrize(
    ("file", "content", "cells", "said"),
    [
        ("once", "", [DIES_AT_WORK], "the kernel died; trying"),
        ("once", "", DIES_IN_TEXT, "the kernel died; trying"),
        (  # before the real one
            "ipykernel_launcher.py",
            DIES_AS_IT_STARTS,
            ["1"],
            "the kernel died on starting; trying",
        ),
    ],
)
def test_a_kernel_that_dies_is_tried_once_more(desk, capsys, file, content, cells, said):
    (desk.root / "notebooks" / file).write_text(content)
    desk.write("01_first", *cells, WRITE_VERDICTS)
    assert desk.run("01", as_of=LATER) == Exit.OK
    assert capsys.readouterr().err.count(f"01_first: {said} once more") == 1
    assert desk.published.name == LATER


FAILS_ONCE = "import os\nif os.path.exists('once'):\n    os.remove('once')\n    1 / 0"
LIMITS = [
    ({"retries": 1}, FAILS_ONCE, Exit.OK, "01_first: again in 0 s, tries left: 1"),
    (
        {"timeout": 6},
        "import time; time.sleep(60)",
        Exit.FAILED,
        "after 6 s; raise the limit with timeout in the schedule",
    ),
    (
        {"memory": 2048, "retries": 1},
        "bytearray(2 << 30)",
        Exit.MEMORY,
        "01_first: Cannot go on with 2048 MB; raise `memory` in the schedule.",
    ),
    (
        {"retries": 9},
        "from fewtreated.errors import *\nraise DataError('no')",
        Exit.REFUSED,
        "01_first: no\n",
    ),
]


@pytest.mark.parametrize(("limits", "source", "code", "said"), LIMITS)
def test_a_report_has_its_own_limits_and_tries(desk, capsys, limits, source, code, said):
    entry = {"name": "01_first", "notebook": "01_first.ipynb", "pause": 0, **limits}
    (desk.reports / "schedule.yml").write_text(json.dumps({"reports": [entry]}))
    (desk.root / "notebooks" / "once").touch()
    desk.write("01_first", source, WRITE_VERDICTS)
    assert desk.run("01", as_of=LATER) == code
    told = capsys.readouterr().err
    assert said in told
    assert told.count("again in 0 s") == (limits.get("retries") == 1)


def broken_render(*_, **__):
    raise pdf.PdfError("no glyph for 有")


def render_on_full_disk(notebook, page, **_):
    page.write_text("%PDF cut o")
    raise pdf.PdfError("failed to write: No space left on device (os error 28)")


@pytest.mark.parametrize(
    ("render", "code", "message"),
    [
        (broken_render, Exit.PDF, "01_first: no PDF: no glyph for 有"),
        (render_on_full_disk, Exit.DISK_FULL, "No space left on device"),
        (full_disk, Exit.DISK_FULL, "No space left on device"),
    ],
)
def test_after_a_failed_pdf_all_is_as_before(quick, capsys, render, code, message):
    assert_nothing_lost(quick, capsys, code, message, force=True, render=render)


# Publishing


def test_a_disk_that_is_full_while_publishing_loses_nothing(quick, monkeypatch, capsys):
    before = quick.bytes()
    write_json = publish.write_json

    def write(file, content):
        (full_disk if "manifest" in file.name else write_json)(file, content)

    monkeypatch.setattr(publish, "write_json", write)
    assert quick.run("02", force=True) == Exit.DISK_FULL
    assert "Publishing: the disk is full" in capsys.readouterr().err
    assert quick.bytes() == before
    assert quick.is_clear()


# Signals and locks


def script(desk, *names):
    """Return the source of a program that runs reports."""
    found = (
        f"import pathlib, sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from desk import"
        " Desk\n"
    )
    return f"{found}sys.exit(Desk(pathlib.Path({str(desk.root)!r}), {desk.kernels}).run(*{names}))"


def sleeping_run(desk, tmp_path, *cells):
    """Start a run in a process of its own; return it and its kernel's id once that is at work."""
    witness = tmp_path / "kernel"
    at_work = (
        f"import os, pathlib, time\npathlib.Path({str(witness)!r}).write_text(str(os.getpid()))"
    )
    desk.write("01_first", at_work, *(cells or ["time.sleep(120)"]), WRITE_VERDICTS)
    # a shell's & has it ignored
    heeded = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    process = subprocess.Popen(
        [sys.executable, "-c", heeded + script(desk, "01")], stderr=subprocess.PIPE
    )
    while not (witness.exists() and witness.read_text()):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    return process, int(witness.read_text())


@pytest.mark.parametrize(("broken", "code"), [(True, Exit.FAILED), (False, Exit.OK)])
def test_a_run_whose_reader_has_gone_ends_as_it_would_have(quick, broken, code):
    quick.write("01_first", "1 / 0" if broken else WRITE_VERDICTS, "print('new')")
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", script(quick)], stdout=write, stderr=write, check=False
    )
    os.close(write)
    assert done.returncode == code
    assert quick.draft.exists() == broken
    assert quick.published.name == (AS_OF if broken else f"{AS_OF}.2")


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def sockets_of(kernel):
    """Return the folder of the sockets of a kernel, by the file that it was started with."""
    started = Path(f"/proc/{kernel}/cmdline").read_text().split("\0")
    return Path(read_json(Path(started[started.index("-f") + 1]))["ip"]).parent


def until(done):
    """Wait for what comes in a moment; the runner of the tests ends what never does."""
    while not done():
        time.sleep(0.05)


OTHERS = [
    pytest.param(number, marks=pytest.mark.slow) for number in (signal.SIGHUP, signal.SIGXCPU)
]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, *OTHERS])
def test_a_signal_leaves_no_kernel_no_temporary_folder_and_no_lock(desk, tmp_path, number):
    before = desk.bytes()
    process, kernel = sleeping_run(desk, tmp_path)
    for _ in range(2):  # the first does not empty the lock
        with pytest.raises(ReportError, match=f"process {process.pid} is already doing so"):
            desk.run("02", force=True)
    sockets = sockets_of(kernel)
    process.send_signal(number)
    process.communicate()
    assert process.returncode == 128 + number
    assert not is_alive(kernel)
    assert desk.is_clear()
    assert not sockets.exists()
    assert desk.bytes() == before
    with release.locked(desk.reports):
        pass


@pytest.mark.parametrize("cells", [[], [document_text("It <<1>> <<time.sleep(120)>>.")]])
def test_the_next_run_clears_up_after_a_killed_one(desk, tmp_path, cells):
    before = desk.bytes()
    process, kernel = sleeping_run(desk, tmp_path, *cells)
    sockets = sockets_of(kernel)
    process.kill()
    process.communicate()
    until(lambda: not is_alive(kernel))
    assert not desk.is_clear()
    assert sockets.is_dir()
    assert desk.bytes() == before
    desk.write("01_first", WRITE_VERDICTS)
    assert desk.run("02") == Exit.OK
    assert desk.is_clear()
    assert desk.bytes() == before
    assert not sockets.exists()
