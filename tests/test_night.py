"""A run as a scheduler calls it, with real kernels: what is due, what is news, and who is told."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from unittest import mock

import pytest
from desk import SOURCES, WRITE_VERDICTS, Desk, contents, describe, full_disk, plain, sources_kept

from runner import Outcome, chain, notices, publish, release, run, schedule, scheduled, site

MONDAY = "2026-11-23"
TUESDAY = "2026-11-24"
NEXT = "2026-11-30"
LAST = "2026-12-07"
VINTAGE = "2026-11-01"
BRIEF = {"name": "00_brief", "notebook": "00_brief.ipynb"}
FIRST = {
    "name": "01_first",
    "notebook": "01_first.ipynb",
    "parameters": {"count": "4"},
    "every": "weekly on monday",
}
SECOND = {"name": "02_second", "notebook": "02_second.ipynb", "every": "monthly on 1"}
JUDGE = WRITE_VERDICTS.replace('"estimate"', '"word": note, "estimate"')


class Night(Desk):
    """A project in whose schedule each report has a day of its own, with a notice by a command."""

    def plan(self, *reports, **more):
        hooks = [{"command": [sys.executable, "hook.py"], "timeout": 30}]
        # JSON is YAML
        (self.reports / "schedule.yml").write_text(
            json.dumps({"reports": [*reports], "notices": hooks, **more})
        )

    def furnish(self):
        super().furnish()
        self.declare(describe("figures.csv", VINTAGE))
        self.write("01_first", JUDGE)
        (self.root / "hook.py").write_text(SOURCES["hook"])
        self.plan(BRIEF, FIRST, SECOND)

    def shift(self, day, *options):
        with mock.patch.object(schedule, "today", return_value=day):
            return self.ask("run", *options)

    def due(self, day, *options):
        return self.shift(day, "--due", *options)

    def told(self):
        file = self.root / "told.jsonl"
        if file.exists():
            return [plain(line) for line in file.read_text().splitlines()]
        return []

    def releases(self):
        return sorted(path.name for path in self.reports.glob("20*"))

    def as_of(self):
        return {
            name: entry["parameters"]["as_of"] for name, entry in self.manifest()["reports"].items()
        }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A project of which all reports were made on a Monday."""
    folder = tmp_path_factory.mktemp("finished")
    desk = Night(folder / "project", kernels=False)
    desk.furnish()
    with sources_kept(folder):
        assert desk.due(MONDAY) == 0
        yield desk


@pytest.fixture
def real(desk):
    """The same project, whose notebooks run in kernels."""
    return replace(desk, kernels=True)


def last_line(capsys):
    return capsys.readouterr().out.splitlines()[-1]


# What is due


def test_the_first_run_makes_all_reports_and_is_no_news(finished):
    assert finished.releases() == [MONDAY]
    assert finished.told() == []


def test_where_nothing_is_due_nothing_is_made_even_of_changed_data(desk, no_kernels, capsys):
    (desk.root / "data" / "figures.csv").write_text("year,value\n2021,2\n")
    for day in (TUESDAY, TUESDAY, "2026-11-29"):
        assert desk.due(day) == 0
    assert desk.releases() == [MONDAY]
    assert last_line(capsys) == f"Reports unchanged, as of 2026-11-29, in {MONDAY}"


def test_what_is_due_is_made_once_and_the_others_stand_beside_it(desk):
    assert desk.due(LAST) == 0  # the Monday before was missed
    assert desk.releases() == [MONDAY, LAST]
    assert desk.as_of() == {"01_first": LAST, "02_second": LAST, "00_brief": LAST}
    assert desk.due(LAST) == 0
    assert desk.due("2026-12-08") == 0
    assert desk.releases() == [MONDAY, LAST]


def test_a_report_that_is_not_due_is_carried_over_as_it_was(desk):
    pdf_before = (desk.published / "02_second.pdf").read_bytes()
    assert desk.due(NEXT) == 0
    assert desk.as_of() == {"01_first": NEXT, "02_second": MONDAY, "00_brief": NEXT}
    assert (desk.published / "02_second.pdf").read_bytes() == pdf_before


def test_a_release_dated_after_today_is_news_and_does_not_keep_todays_from_being_published(
    desk, capsys
):
    assert desk.due(NEXT) == 0  # by a clock that is a week early
    capsys.readouterr()
    assert desk.due(TUESDAY) == 0
    assert desk.releases() == [MONDAY, NEXT]  # that of Monday counts, of which nothing is due
    assert os.readlink(desk.reports / "latest") == MONDAY
    said = (
        f"reports/{NEXT}: this release is dated after today, {TUESDAY}, so runs ignore it; set the"
        " clock if it is "
    )
    said += "wrong, or else move the release elsewhere."
    assert f"{said}\n" in capsys.readouterr().err
    assert desk.told()[-1]["failures"] == [said]
    assert desk.shift(TUESDAY) == 0
    assert desk.releases() == [MONDAY, TUESDAY, NEXT]
    assert os.readlink(desk.reports / "latest") == TUESDAY
    assert len(desk.told()) == 1
    shutil.rmtree(desk.reports / NEXT)
    assert desk.due(TUESDAY) == desk.due(TUESDAY) == 0
    gone = desk.told()[-1]["failures"]
    assert gone[0].startswith(f"reports/{NEXT}: outcomes.jsonl has this release, and the folder ")
    assert desk.ask("prune", "--keep", "9") == 0
    assert desk.due(TUESDAY) == desk.due(TUESDAY) == 0
    assert [told["mended"] for told in desk.told()] == [[], [], gone]


def test_a_release_whose_run_was_killed_before_latest_showed_it_is_shown_though_no_other_is_made(
    desk,
):
    desk.write("01_first", "1 / 0")
    for day, code in ((TUESDAY, 0), (NEXT, 3)):  # nothing is due, or what is due fails
        (desk.reports / "latest").unlink()
        assert desk.due(day) == code
        assert os.readlink(desk.reports / "latest") == MONDAY


def test_a_report_that_failed_stays_due(desk):
    desk.write("01_first", "1 / 0")
    assert desk.due(NEXT) == 3
    desk.write("01_first", WRITE_VERDICTS)
    assert desk.due("2026-12-01") == 0
    assert desk.as_of()["01_first"] == "2026-12-01"


def test_the_notebook_of_a_failed_night_stops_in_the_debugger_where_it_failed_and_is_made_up_for(
    desk,
):
    desk.write("01_first", "import json\njson.loads('not JSON')")
    assert desk.due(NEXT) == 3
    failed = desk.reports / "draft" / "failed" / "01_first.ipynb"
    command = [
        sys.executable,
        "-m",
        "IPython",
        "--no-banner",
        "--colors=NoColor",
        "--pdb",
        str(failed),
    ]
    typed = "up\nup\nup\np count\nq\n"
    told = subprocess.run(
        command, input=typed, cwd=desk.root, capture_output=True, text=True, check=False
    ).stdout
    assert "json/decoder.py" in told  # where the error was raised
    assert (
        "ipdb> 4\n" in told
    )  # the cell is three callers above, and has the parameters of the night
    desk.write("01_first", JUDGE)
    assert desk.shift(NEXT, "01_first") == 0
    assert desk.releases() == [MONDAY, NEXT]
    assert desk.as_of() == {"01_first": NEXT, "02_second": MONDAY, "00_brief": NEXT}


def test_a_report_that_failed_stands_marked_where_the_schedule_lets_the_others_be_published(
    desk, capsys
):
    desk.plan(BRIEF, FIRST, {**SECOND, "every": "daily"}, carry_failed=True)
    desk.write("01_first", "1 / 0")
    assert desk.due(NEXT, "--json") == 3
    shown = plain(capsys.readouterr().out)
    why = "01_first: a cell failed with ZeroDivisionError: division by zero"
    assert (shown["outcome"], shown["release"]) == ("published", NEXT)
    assert shown["reports"]["01_first"] == f"failed  stands as of {MONDAY}"
    assert shown["failures"][0].startswith(why)
    assert desk.as_of() == {"01_first": MONDAY, "02_second": NEXT, "00_brief": NEXT}
    assert [entry["stale"] for entry in desk.manifest()["reports"].values()] == ["", why, ""]
    said = f"As of 23 November 2026: it could not be made again with the others. {why}"
    assert said in desk.text("index.html")
    assert (
        f"Not made again: 01_first, as of {MONDAY}: {why}"
        in (desk.reports / "index.html").read_text()
    )
    assert f"failed: 01_first (it stands as of {MONDAY})" in desk.text("00_brief.ipynb")
    assert (desk.published / "failed" / "01_first.ipynb").exists()
    assert desk.ask("verify", str(desk.published), "--all") == 0
    said = capsys.readouterr().out
    assert f"01_first: as of {MONDAY}, of older data or code than the others: {why}" in said
    assert [f"{name}: made again, identical" in said for name in desk.as_of()] == [
        True,
        False,
        True,
    ]
    assert "Not made again: 1 reports" in said
    desk.plan(BRIEF, FIRST, SECOND, carry_failed=True)
    assert desk.due(NEXT) == 3  # there is nothing but the failed one to be made: a draft
    assert desk.releases() == [MONDAY, NEXT]
    desk.write("01_first", JUDGE)
    assert desk.due("2026-12-01") == 0
    assert desk.manifest()["reports"]["01_first"]["stale"] == ""


HOSTILE = [("verdicts.json", b"[" * 100_000), ("verdicts.json", b"[1]"), ("data.zip", b"")]


@pytest.mark.parametrize(("file", "content"), HOSTILE)
def test_of_a_release_with_hostile_files_whose_hashes_are_right_all_reports_are_made_again(
    desk, file, content
):
    (desk.published / file).write_bytes(content)
    about = {**desk.manifest(), "files": release.file_hashes(desk.published)}
    publish.write_json(desk.published / "manifest.json", about)
    (desk.reports / "outcomes.jsonl").unlink()  # which knows the hash of the manifest
    assert desk.due(TUESDAY) == 0
    assert desk.releases() == [MONDAY, TUESDAY]


def test_as_many_releases_are_kept_as_the_schedule_says(desk):
    desk.plan(BRIEF, FIRST, {**SECOND, "every": "daily"}, keep=2)
    for day in (TUESDAY, NEXT, NEXT):
        assert desk.due(day) == 0
    assert desk.releases() == [TUESDAY, NEXT]


def test_a_report_waits_for_data_that_are_newer_than_its_own_and_is_made_when_they_have_come(
    desk, capsys
):
    desk.plan(BRIEF, {**FIRST, "waits_for": ["data/figures.csv", "incoming/done"]}, SECOND)
    assert desk.due(NEXT) == 0
    said = capsys.readouterr().out
    assert "01_first waits for data/figures.csv, which has not changed.\n" in said
    assert "01_first waits for incoming/done, which is missing.\n" in said
    assert desk.releases() == [MONDAY]
    (desk.root / "data" / "figures.csv").write_text("year,value\n2021,2\n")
    assert desk.due(NEXT) == 0
    assert "01_first waits for incoming/done, which is missing.\n" in capsys.readouterr().out
    assert desk.releases() == [MONDAY]
    (desk.root / "incoming").mkdir()
    (desk.root / "incoming" / "done").touch()
    assert desk.due(NEXT) == 0
    assert desk.as_of()["01_first"] == NEXT
    began, one_less, over = desk.told()
    assert (len(began["waits"]), len(one_less["waits"]), len(over["waits"])) == (2, 1, 0)
    assert one_less["mended"] + over["mended"] == began["waits"]


def test_a_dry_run_says_what_would_be_made_and_why_and_changes_nothing(desk, no_kernels, capsys):
    def dry(day, *options):
        tree = [[*os.walk(desk.root)], contents(desk.root)]
        assert desk.shift(day, "--dry-run", *options) == 0
        assert [[*os.walk(desk.root)], contents(desk.root)] == tree

    second = {**SECOND, "waits_for": "data/figures.csv"}
    desk.plan(BRIEF, {**FIRST, "parameters": {"count": "5"}}, second, {**SECOND, "name": "03_c"})
    (desk.reports / "latest").unlink()  # as a killed run may leave it
    (desk.reports / ".run-x").mkdir()
    dry("2026-12-01", "--due", "--json")
    shown = plain(capsys.readouterr().out)
    assert shown["outcome"] == "planned"
    assert shown["waits"] == ["02_second waits for data/figures.csv, which has not changed."]
    whys = [
        "due on 2026-11-30; changed: parameters",
        "changed: what it reads or refers to",
        "new",
    ]  # to 03_c
    assert [*shown["reports"].values()] == [f"to make: {why}" for why in whys]
    (desk.root / "data" / "figures.csv").write_text("year,value\n2021,2\n")
    dry(MONDAY, "02", "--force")
    line = f"{'02_second':34}  to make: asked for; changed: data\n"
    assert line in capsys.readouterr().out
    dry(MONDAY, "--out", str(desk.root / "none"))
    (desk.reports / MONDAY / "01_first.pdf").unlink()
    dry(TUESDAY, "--due")
    assert (
        "its files do not match: 01_first.pdf: missing. All reports are made again."
        in capsys.readouterr().err
    )


def test_due_and_names_are_refused_together(desk, no_kernels, capsys):
    assert desk.due(TUESDAY, "01") == 2
    assert "Option --due applies to the whole schedule" in capsys.readouterr().err


def test_releases_go_to_the_folder_of_the_schedule(desk, tmp_path):
    desk.plan(BRIEF, FIRST, SECOND, publish=str(tmp_path / "elsewhere"))
    assert desk.due(TUESDAY) == 0
    assert os.readlink(tmp_path / "elsewhere" / "latest") == TUESDAY
    assert desk.releases() == [MONDAY]


# What is news


def test_a_failure_is_news_and_nothing_but_json_is_printed(desk, capsys):
    desk.write("01_first", "1 / 0")
    assert desk.due(NEXT, "--json") == 3
    shown = plain(capsys.readouterr().out)
    assert shown.pop("notices") == []
    assert desk.told() == [shown]
    assert (shown["outcome"], shown["release"], shown["draft"], shown["as_of"]) == (
        "failed",
        "",
        "draft",
        NEXT,
    )
    assert "ZeroDivisionError" in shown["failures"][0]
    states = {name: line.split()[0] for name, line in shown["reports"].items()}
    assert states == {"01_first": "failed", "02_second": "unchanged", "00_brief": "made"}


def test_a_word_that_changed_is_news_and_the_same_word_with_another_number_is_none(desk, capsys):
    desk.plan(BRIEF, {**FIRST, "parameters": {"count": "5", "note": "a=b"}}, SECOND)
    assert desk.due(NEXT) == 0
    assert desk.told() == []
    desk.plan(BRIEF, {**FIRST, "parameters": {"count": "5", "note": "Supported"}}, SECOND)
    capsys.readouterr()
    assert desk.due(LAST) == 0
    (told,) = desk.told()
    assert told["changed_words"] == ["c1 in 01_first: a=b before, Supported now"]
    assert last_line(capsys).endswith(
        f"in {LAST}; changed: c1 in 01_first: a=b before, Supported now"
    )


def test_data_older_than_the_limit_are_told_on_each_day_on_which_their_report_is_due_and_as_over(
    desk,
):
    desk.plan(BRIEF, {**FIRST, "fresh_days": 29}, SECOND)  # their age on the first of these Mondays
    assert desk.due(NEXT) == 0
    assert desk.told() == []
    for day in (LAST, LAST, "2026-12-08"):
        assert desk.due(day) == 0
    (told,) = desk.told()
    desk.plan(BRIEF, {**FIRST, "waits_for": "data/figures.csv", "fresh_days": 29}, SECOND)
    for day in (
        "2026-12-14",
        "2026-12-14",
        "2026-12-15",
        "2026-12-22",
    ):  # one Monday waited for, then missed
        assert desk.due(day) == 0
    assert [each["as_of"] for each in desk.told()] == [LAST, "2026-12-14", "2026-12-22"]
    said = (
        "01_first: data/figures.csv is dated 2026-11-01, 36 days ago; the schedule allows at"
        " most 29"
    )
    assert told["stale"] == [said]
    desk.declare(describe("figures.csv", "2026-12-20"))
    assert desk.due("2026-12-23") == desk.due("2026-12-23") == 0
    *_, over = desk.told()
    assert (over["as_of"], over["stale"]) == ("2026-12-23", [])
    assert "data/figures.csv is dated 2026-11-01" in over["mended"][0]


def test_a_run_with_the_clock_ahead_silences_nothing_of_what_is_stale(desk):
    desk.plan(BRIEF, {**FIRST, "waits_for": "data/figures.csv", "fresh_days": 29}, SECOND)
    assert [desk.due(day) for day in ("2031-03-04", LAST, "2026-12-14")] == [0, 0, 0]
    assert [each["as_of"] for each in desk.told()] == ["2031-03-04", LAST, "2026-12-14"]
    assert all(each["stale"] for each in desk.told())


def test_a_clock_that_leaps_back_is_told_and_that_it_does_so_no_longer(desk):
    class Ahead(datetime):
        @classmethod
        def now(cls, zone=None):
            return datetime.now(zone) + timedelta(days=400)

    with mock.patch.object(scheduled, "datetime", Ahead):
        assert desk.due(TUESDAY) == 0
    assert [desk.due(TUESDAY) for _ in range(3)] == [0, 0, 0]
    began, over = desk.told()
    assert "it was ahead then, or is behind now; set it." in began["failures"][0]
    assert over["mended"] == began["failures"]


def test_a_schedule_that_cannot_be_read_is_told_where_it_last_published_and_as_over(
    desk, tmp_path, no_kernels
):
    out = tmp_path / "elsewhere"
    shutil.copytree(desk.reports, out, symlinks=True)
    desk.plan(BRIEF, FIRST, SECOND, publish=str(out))
    assert desk.due(TUESDAY) == 0
    schedule_file = desk.reports / "schedule.yml"
    text = schedule_file.read_text()
    for broken in ("reports: [", "reports: []"):
        schedule_file.write_text(broken)
        assert desk.due(TUESDAY) == 2
    assert (out / "feed.xml").read_text().count("Refused: as of") == 4  # twice in each entry
    schedule_file.write_text(text)
    assert desk.due(TUESDAY) == desk.due(TUESDAY) == 0
    (told,) = desk.told()
    assert (told["failures"], len(told["mended"])) == ([], 1)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_told_once_and_that_there_is_room_again(desk, tmp_path):
    out = tmp_path / "small"
    out.mkdir()
    desk.plan(BRIEF, FIRST, SECOND, publish=str(out))
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", out], check=False
    ).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        shutil.copytree(desk.reports, out, symlinks=True, dirs_exist_ok=True)
        assert desk.due(TUESDAY) == 0
        desk.write("03_more", WRITE_VERDICTS)
        desk.plan(BRIEF, FIRST, SECOND, {**SECOND, "name": "03_more"}, publish=str(out))
        filler = out / "filler"
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(bytes(1 << 23))
        assert [desk.due(TUESDAY) for _ in range(3)] == [7, 7, 7]
        assert len(desk.told()) == 1
        filler.unlink()
        desk.plan(BRIEF, FIRST, SECOND, publish=str(out))
        assert desk.due(TUESDAY) == desk.due(TUESDAY) == 0
        for told, part in zip(desk.told(), ("failures", "mended"), strict=True):
            assert "the disk is full" in told[part][0]
    finally:
        subprocess.run(["umount", out], check=True)


def test_a_run_that_is_refused_or_ended_by_a_signal_is_news(desk, no_kernels, capsys):
    assert desk.shift("2020-01-01", "--json") == 2
    shown = plain(capsys.readouterr().out)
    assert (shown["outcome"], shown["reports"]) == ("refused", {})
    why = "because data/figures.csv is dated "
    assert shown["failures"][0].startswith(f"Cannot publish reports as of 2020-01-01, {why}")
    with mock.patch.object(run, "reports", side_effect=SystemExit(143)):
        assert desk.due(NEXT) == 143
    with mock.patch.object(run, "reports", side_effect=full_disk):
        assert desk.due(NEXT) == 7
    assert [told["outcome"] for told in desk.told()] == ["refused", "interrupted", "failed"]
    assert desk.told()[1]["failures"] == ["a signal ended the run (143)"]
    assert desk.told()[2]["failures"] == ["the disk is full; make room and run again"]


def test_what_is_told_elsewhere_names_no_folder_of_the_machine(real, capsys):
    real.write("01_first", "import os\nraise RuntimeError(os.getcwd())")
    assert real.due(NEXT, "--json") == 3
    (real.reports / "schedule.yml").write_text("reports: []")
    assert real.due(NEXT, "--json") == 2
    assert "RuntimeError: notebooks" in capsys.readouterr().out
    pages = [file for kind in ("xml", "html", "jsonl") for file in real.reports.glob(f"*.{kind}")]
    told = [real.root / "told.jsonl", *pages]
    assert [file.name for file in told if str(real.root) in file.read_text()] == []


def test_nobody_is_told_of_what_is_published_elsewhere_unless_it_was_due_as_in_a_container(
    desk, tmp_path
):
    desk.write("01_first", "1 / 0")
    elsewhere = ["--out", str(tmp_path / "elsewhere")]
    assert desk.shift(NEXT, *elsewhere) == 3
    assert desk.told() == []
    assert desk.due(NEXT, *elsewhere) == 3
    assert [told["outcome"] for told in desk.told()] == ["failed"]


def test_a_damaged_release_is_told_as_json_and_in_the_feed(desk, capsys):
    (desk.published / "01_first.pdf").write_text("cut off")
    assert desk.due(TUESDAY, "--json") == 0
    shown = plain(capsys.readouterr().out)
    (wrong,) = shown["failures"]
    assert all(line.endswith("the release before is damaged") for line in shown["reports"].values())
    assert (
        wrong
        == f"reports/{MONDAY}: its files do not match: 01_first.pdf: damaged. {release.MADE_AGAIN}"
    )
    assert desk.due(TUESDAY) == 0
    assert [told["mended"] for told in desk.told()] == [[], [wrong]]
    assert (
        "its files do not match: 01_first.pdf: damaged" in (desk.reports / "feed.xml").read_text()
    )


# Who is told


def test_a_failure_is_told_once_a_reminder_a_day_and_once_that_it_is_mended_and_no_second_run_tells(
    desk, capsys
):
    desk.write("01_first", "1 / 0")
    hook = {"command": [sys.executable, "hook.py"]}
    desk.plan(
        BRIEF, {**FIRST, "owner": "a@b.c"}, SECOND, notices=[hook, {**hook, "on": "published"}]
    )
    assert [desk.due(day) for day in (NEXT, NEXT, "2026-12-01", "2026-12-01")] == [3, 3, 3, 3]
    with release.locked(desk.reports):
        assert desk.due("2026-12-02") == 4
    desk.write("01_first", JUDGE)
    assert desk.due("2026-12-02") == desk.due("2026-12-02") == 0
    seen = [(told["as_of"], told["news"], *told["mended"], *told["owners"]) for told in desk.told()]
    said = "01_first: a cell failed with ZeroDivisionError: division by zero"
    last = (
        "2026-12-02",
        "news",
        said,
        "a@b.c",
    )  # and once more to the one that hears of each release
    assert seen == [(NEXT, "news", "a@b.c"), ("2026-12-01", "reminder", "a@b.c"), last, last]
    assert (
        f">Failed: draft, as of {NEXT}.\nFailed: {said}" in (desk.reports / "feed.xml").read_text()
    )


def test_a_notice_that_fails_is_told_undoes_nothing_and_is_sent_with_the_next_run(desk, capsys):
    desk.plan(BRIEF, {**FIRST, "parameters": {"note": "Supported"}}, SECOND)
    (desk.root / "hook.py").write_text("import sys; sys.exit(9)")
    assert desk.due(NEXT, "--json") == 6
    said = capsys.readouterr()
    assert json.loads(said.out)["notices"] == ["notices.0 (command): ended with 9"]
    assert "notices.0 (command): ended with 9" in said.err
    assert os.readlink(desk.reports / "latest") == NEXT
    (desk.root / "hook.py").write_text(SOURCES["hook"])
    assert desk.due(NEXT) == desk.due(NEXT) == 0
    assert [told["changed_words"] for told in desk.told()] == [
        ["c1 in 01_first: a=b before, Supported now"]
    ]


def test_no_secret_is_in_anything_that_a_run_writes_or_says(real, monkeypatch, capfd):
    secret = "unmistakable-5ecret-7f3a"
    names = ("MAIL_HOST", "MAIL_USER", "MAIL_PASSWORD", "CHAT")
    for name in names:
        monkeypatch.setenv(
            name, f"http://{secret}.invalid/" if name == "CHAT" else f"{secret}.invalid"
        )
    mail = {
        "to": "a@example.org",
        "from": "b@example.org",
        "host": "MAIL_HOST",
        "user": "MAIL_USER",
    }
    hooks = [{"email": {**mail, "password": "MAIL_PASSWORD"}}, {"webhook": "CHAT"}]
    hooks = [{**hook, "timeout": 5} for hook in (*hooks, {"webhook": "CHAT", "form": "slack"})]
    print_all = "import os\nprint(dict(os.environ))\nassert count == 4, dict(os.environ)\n"
    real.write("01_first", print_all + JUDGE)
    real.plan(BRIEF, FIRST, SECOND, notices=hooks)
    assert real.due(NEXT) == 0  # no news, and so no notice
    real.plan(BRIEF, {**FIRST, "parameters": {"count": "5"}}, SECOND, notices=hooks)
    assert real.due(LAST, "--json") == 3
    said = capfd.readouterr()
    assert len(json.loads(said.out.splitlines()[-1])["notices"]) == 3
    assert secret not in said.out + said.err
    assert secret.encode() not in b"".join(
        file.read_bytes() for file in real.root.rglob("*") if file.is_file()
    )
    assert all(secret in os.environ[name] for name in names)


def test_a_mail_that_a_dead_server_lost_comes_when_it_is_back_though_a_command_worked(
    desk, monkeypatch
):
    monkeypatch.setenv("CHAT", "http://127.0.0.1:1/")
    hooks = [
        {"command": [sys.executable, "hook.py"]},
        {"webhook": "CHAT", "timeout": 5},
        {"webhook": "CHAT", "timeout": 5, "on": "published"},
    ]
    desk.plan(BRIEF, {**FIRST, "parameters": {"note": "Supported"}}, SECOND, notices=hooks)
    assert desk.due(NEXT) == 6
    assert desk.due(NEXT) == 6
    seen = []
    monkeypatch.setattr(notices, "_post", lambda _, content, __: seen.append(json.loads(content)))
    assert [desk.due(NEXT) for _ in range(2)] == [0, 0]
    assert len(desk.told()) == 1  # the command is told no second time
    news, release_ = seen
    (word,) = news["changed_words"]
    assert word == {
        "about": "01_first",
        "said": "c1 in 01_first: a=b before, Supported now",
        "key": "",
        "again": "",
        "late": NEXT,
    }
    assert (release_["release"], len(release_["manifest"])) == (NEXT, 64)


# What the record has


def altered(desk, name):
    """Alter a release with its manifest, as somebody would who knows about hashes."""
    folder = desk.reports / name
    (folder / "01_first.pdf").write_text("forged")
    manifest = json.loads((folder / "manifest.json").read_text())
    publish.write_json(folder / "manifest.json", {**manifest, "files": release.file_hashes(folder)})


def swapped(desk, name):
    """Swap two releases, each with the name of its new folder."""
    folders = [desk.reports / name, desk.published]
    for folder, other in zip(folders, folders[::-1], strict=True):
        manifest = json.loads((folder / "manifest.json").read_text())
        publish.write_json(folder / "manifest.json", {**manifest, "release": other.name})
    os.rename(folders[0], desk.reports / "aside")
    os.rename(folders[1], folders[0])
    os.rename(desk.reports / "aside", folders[1])


SPOILS = {
    "its hash is not the one in outcomes.jsonl": altered,
    "note.txt: extra": lambda desk, name: (desk.reports / name / "note.txt").touch(),
    "00_brief.pdf: missing": lambda desk, name: (desk.reports / name / "00_brief.pdf").unlink(),
    "outcomes.jsonl has this release, and the folder has not": lambda desk, name: shutil.rmtree(
        desk.reports / name
    ),
    "as of 2026-11-30, another day": swapped,
}


@pytest.mark.parametrize(("said", "spoil"), SPOILS.items(), ids=[*map(str, range(len(SPOILS)))])
def test_an_older_release_that_no_longer_fits_is_told_once_and_again_when_it_does(
    desk, tmp_path, said, spoil
):
    assert desk.due(NEXT) == 0
    shutil.copytree(desk.reports, tmp_path / "kept", symlinks=True)
    spoil(desk, MONDAY)
    assert [desk.due(day) for day in (NEXT, "2026-12-01", "2026-12-02")] == [0, 0, 0]
    told = desk.told()[0]
    wrong = " ".join(told["failures"])
    assert f"reports/{MONDAY}: " in wrong
    assert said in wrong
    for name in (MONDAY, NEXT):
        shutil.rmtree(desk.reports / name, ignore_errors=True)
        shutil.copytree(tmp_path / "kept" / name, desk.reports / name)
    assert desk.due("2026-12-02") == desk.due("2026-12-02") == 0
    *_, last = desk.told()
    assert any(f"reports/{MONDAY}: " in line for line in last["mended"])
    if spoil is not swapped:  # of which the newest is no longer the one that was logged
        assert len(desk.told()) == 2


def test_a_name_that_was_given_once_is_not_given_again(desk):
    assert desk.due(NEXT) == 0
    shutil.rmtree(desk.reports / NEXT)
    assert desk.shift(NEXT, "--force") == 0
    assert desk.releases() == [MONDAY, f"{NEXT}.2"]


def test_a_release_whose_run_was_killed_before_it_told_is_told_by_the_next(desk):
    desk.plan(BRIEF, {**FIRST, "parameters": {"note": "Supported"}}, SECOND)
    for owner, name in ((chain, "enter"), (site, "record")):
        copy = desk.copied(desk.root.parent / name)
        with (
            mock.patch.object(owner, name, side_effect=KeyboardInterrupt),
            contextlib.suppress(KeyboardInterrupt),
        ):
            copy.due(NEXT)
        (copy.root / "told.jsonl").unlink(missing_ok=True)  # as if it had been killed before
        assert copy.releases() == [MONDAY, NEXT]
        assert copy.due("2026-12-01") == copy.due("2026-12-01") == 0
        words = [word for told in copy.told() for word in told["changed_words"]]
        assert words == ["c1 in 01_first: a=b before, Supported now"]


def test_the_brief_the_letter_and_the_feed_have_the_heads_of_the_chain(desk):
    desk.write(
        "00_brief",
        SOURCES["read_verdicts"],
        parameters=f'{SOURCES["brief_parameters"]}since: str = ""  # what moved\n',
    )
    before = publish.sha256(desk.published / "manifest.json")
    hook = {"command": [sys.executable, "hook.py"], "on": "published"}
    desk.plan(BRIEF, FIRST, SECOND, notices=[hook])
    assert desk.due(NEXT) == 0
    head = publish.sha256(desk.published / "manifest.json")
    assert f"nothing moved. Manifest of that release: sha256 {before}." in desk.text(
        "00_brief.ipynb"
    )
    assert [told["manifest"] for told in desk.told()] == [head]
    assert f"sha256 of its manifest: {head}" in (desk.reports / "feed.xml").read_text()
    assert f"sha256 of its manifest {head}" in Outcome(outcome="published", manifest=head).letter


# A sweep


def test_a_release_has_a_sweep_with_its_table_and_the_brief_reads_none_of_it(desk):
    desk.plan(BRIEF, FIRST, {**SECOND, "name": "03_third", "parameters": {"count": ["1", "2"]}})
    assert desk.due(NEXT) == 0
    assert {*desk.manifest()["reports"]} == {
        "00_brief",
        "01_first",
        "03_third__count-1",
        "03_third__count-2",
    }
    assert "03_third.comparison.csv" in desk.manifest()["files"]
    page = desk.text("index.html")
    assert 'href="03_third.comparison.csv"' in page
    assert "What is asked? (count-2)" in page
    brief = desk.text("00_brief.ipynb")
    assert '\\"report\\": \\"01_first\\"' in brief
    assert "03_third" not in brief
    table = (desk.published / "03_third.comparison.csv").read_bytes()
    desk.plan(
        BRIEF,
        FIRST,
        {**SECOND, "name": "03_third", "parameters": {"count": ["1", "2"]}, "every": "0 0 1 1 *"},
    )
    assert desk.due(LAST) == 0
    assert desk.as_of() == {
        "01_first": LAST,
        "03_third__count-1": NEXT,
        "03_third__count-2": NEXT,
        "00_brief": LAST,
    }
    assert (desk.published / "03_third.comparison.csv").read_bytes() == table
