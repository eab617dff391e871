import datetime
import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pandas as pd
import pytest
from desk import AS_OF, PARAMETERS, Desk, cases

from analysis.provenance import ROOT
from runner import Outcome, release, run
from runner import cli as command_line
from runner.schedule import own_panel

CASES = cases("command_line")


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A project in which nothing has run, and nothing can."""
    monkeypatch.setitem(sys.modules, "papermill", None)
    monkeypatch.setitem(sys.modules, "jupyter_client.manager", None)
    desk = Desk(tmp_path)
    desk.furnish()
    return desk


@pytest.mark.parametrize(("arguments", "message"), CASES["refused"])
def test_a_bad_request_exits_2_before_a_kernel_starts(desk, capsys, arguments, message):
    given = arguments.replace("HERE", str(desk.root)).split()
    assert command_line.main(["run", *given], desk.root) == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: ")
    assert message.replace("TODAY", f"{datetime.date.today()}") in said.err
    assert said.out == ""
    assert not desk.published.exists()


@pytest.mark.parametrize("line", ["", "rnu", "run --jobs 0", "run --timeout -1", "run --jobs two"])
def test_a_wrong_option_exits_2(desk, line):
    assert command_line.main(line.split(), desk.root) == 2


def unchanged(out):
    return Outcome(outcome="unchanged", as_of=AS_OF, out=out, release=AS_OF)


def recorded(monkeypatch):
    """What a run is asked for, which does nothing."""
    asked = {}

    def reports(root, request, due):
        asked.update(vars(request), due=due)
        return unchanged(root)

    monkeypatch.setattr(run, "reports", reports)
    return asked


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (errno.EIO, 3, "[Errno 5] Input/output error"),
        (errno.ENOSPC, 7, "The disk is full ([Errno 28]"),
    ],
)
def test_a_file_system_that_fails_or_is_full_ends_without_a_traceback(
    desk, capsys, monkeypatch, number, code, said
):
    monkeypatch.setattr(
        release.tempfile, "mkdtemp", mock.Mock(side_effect=OSError(number, os.strerror(number)))
    )
    assert command_line.main(["run", "--as-of", AS_OF], desk.root) == code
    told = capsys.readouterr().err
    assert told.startswith(f"error: {said}")
    assert "; published releases are untouched" in told


def test_options_reach_the_runner(desk, monkeypatch, tmp_path):
    asked = recorded(monkeypatch)
    line = (
        f"run 01 02 -p count=3 -p note=a=b --as-of {AS_OF} --out {tmp_path} --jobs 3 --timeout 9"
        " --force --dry-run"
    )
    line += " --accept-changes"
    assert command_line.main(line.split(), desk.root) == 0
    of = {
        "names": ["01", "02"],
        "given": {"count": "3", "note": "a=b"},
        "as_of": AS_OF,
        "out": tmp_path,
        "workers": 3,
    }
    assert asked == {
        **of,
        "timeout": 9.0,
        "force": True,
        "dry": True,
        "accept": True,
        "panel": None,
        "due": None,
    }


def test_a_panel_with_its_map_and_event_reaches_the_runner(desk, monkeypatch):
    asked = recorded(monkeypatch)
    assert command_line.main(["run", "--panel", "own.csv"], desk.root) == 0
    assert asked["panel"] == own_panel(Path("own.csv")) | {"event": "amazon_2021", "panel_map": ""}
    assert (
        command_line.main(
            ["run", "--panel", "own.csv", "--map", "own.yml", "--event", "other.yml"], desk.root
        )
        == 0
    )
    files = {"event": "other.yml", "panel_path": "own.csv", "panel_map": "own.yml"}
    assert asked["panel"] == {name: str(Path(file).absolute()) for name, file in files.items()}


@pytest.mark.parametrize(
    ("line", "folder"),
    [
        ("", "reports"),
        ("01", "reports"),
        ("01 -p count=5", "reports/scratch"),
        ("--panel wide.csv.gz", "my-reports/wide"),
        ("--panel wide.csv -p count=5", "my-reports/wide"),
    ],
)
def test_where_results_lie_follows_from_what_is_asked_for(desk, monkeypatch, line, folder):
    asked = recorded(monkeypatch)
    assert command_line.main(["run", *line.split()], desk.root) == 0
    assert asked["out"] == desk.root / folder


@pytest.mark.parametrize("option", ["--map", "--event"])
def test_a_map_or_an_event_without_a_panel_exits_2(desk, capsys, option):
    assert command_line.main(["run", option, "own.yml"], desk.root) == 2
    assert (
        f"Option {option} own.yml needs a panel of your own; add --panel" in capsys.readouterr().err
    )


def test_list_shows_the_schedule_with_the_brief_last(desk, capsys):
    assert command_line.main(["list"], desk.root) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "01_first 01_first.ipynb count=4",
        "02_second 02_second.ipynb",
        "00_brief 00_brief.ipynb",
    ]


def test_params_shows_value_type_rule_and_help(desk, capsys):
    assert command_line.main(["params", "02"], desk.root) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "02_second"
    assert "  count = 3  (int, allowed 1 to 9)  number of things" in shown
    assert len(shown) == 1 + len(PARAMETERS.splitlines())


def test_params_shows_what_a_scheduled_report_gets_and_what_the_notebook_has(desk, capsys):
    assert command_line.main(["params", "01"], desk.root) == 0
    shown = capsys.readouterr().out.splitlines()
    assert (
        "  count = 4  (int, allowed 1 to 9)  number of things; set in schedule.yml, 3 in the"
        " notebook" in shown
    )
    (day,) = (line for line in shown if line.startswith("  as_of"))
    assert f"= '{datetime.date.today()}'" in day
    assert day.endswith("; option --as-of sets it")


def test_params_of_the_brief_shows_the_brief_alone(desk, capsys):
    assert command_line.main(["params", "00"], desk.root) == 0
    assert capsys.readouterr().out.splitlines()[0] == "00_brief"


@pytest.mark.slow
def test_check_refuses_a_changed_byte_and_accept_records_it_whatever_else_is_wrong(desk, capsys):
    shutil.rmtree(desk.root / "data")
    shutil.copytree(command_line.ROOT / "data", desk.root / "data")
    meant, wrong = (desk.root / "data" / "facts" / name for name in ("threats.csv", "claims.csv"))
    assert command_line.main(["check"], desk.root) == 0
    assert "threats" in capsys.readouterr().out
    last = meant.read_text().splitlines()[-1]
    right = wrong.read_text()
    meant.write_text(meant.read_text() + last.replace("T10", "T99", 1) + "\n")
    assert command_line.main(["check"], desk.root) == 2
    assert "threats.csv" in capsys.readouterr().err
    wrong.write_text(f"{right}\n")
    assert command_line.main(["check", "--accept", str(meant)], desk.root) == 2
    said = capsys.readouterr()
    assert said.out.startswith(f"facts/threats.csv: accepted as of {datetime.date.today()}, ")
    assert (
        said.err.splitlines()[-1]
        == "facts/threats.csv was accepted; still to be corrected: facts/claims.csv"
    )
    wrong.write_text(right)
    assert command_line.main(["check"], desk.root) == 0


def test_the_command_line_starts_without_the_heavy_libraries():
    heavy = {"pandas", "numpy", "papermill", "nbformat", "pypandoc", "typst", "tqdm", "matplotlib"}
    code = f"import sys, runner.cli, runner.pdf; print(sorted({heavy!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_is_no_error():
    command = f"{sys.executable} -m runner check | true"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], cwd=ROOT, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_panel_that_fits_no_window_is_refused_though_its_reader_has_seen_enough(tmp_path):
    rows = pd.read_csv(ROOT / "data" / "examples" / "tidy.csv")
    rows[rows["month"].between("2021-01", "2021-08")].to_csv(tmp_path / "short.csv", index=False)
    own = f"--panel {tmp_path / 'short.csv'} --map data/examples/tidy.map.yml"
    command = f"set -o pipefail; {sys.executable} -m runner check {own} | true"
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "no window fits" in done.stderr
