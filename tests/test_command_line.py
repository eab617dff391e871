import datetime
import errno
import os
import re
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


LONG = "x" * 5000
OPTIONS = [
    "run {}",
    "run 01 --out {}",
    "run -p {}=1",
    "run -p share={}",
    "run --as-of {}",
    "run --panel {}",
    "run --panel a.csv --map {}",
    "run --panel a.csv --event {}",
    "check --accept {}",
    "check --panel {} --event {}",
    "map {}",
    "map a.csv --out {}",
    "panel {} --out a.parquet",
    "panel a.csv --out {}",
    "panel a --engine {} --out a.parquet",
    "params {}",
    "purchases {} --out {}",
    "simulate --preset {} --seed 1 --out a",
    "simulate --preset mid_3k --seed {} --out a",
    "simulate --preset mid_3k --seed 1 --out {}",
    "uncited {}",
    "verify {}",
    "verify a --again {}",
    "diff {} {}",
    "{}",
    "run --{}",
]


@pytest.mark.parametrize("line", OPTIONS)
def test_an_option_of_five_thousand_characters_is_answered_in_one_short_sentence(
    desk, capsys, line
):
    assert command_line.main([word.format(LONG) for word in line.split()], desk.root) == 2
    said = capsys.readouterr()
    assert re.fullmatch(r"error: Cannot .{,180}; shorten it\.\n", said.err)
    assert said.out == ""


@pytest.mark.parametrize(
    "option", ["map a.csv --out {}", "simulate --preset mid_3k --seed 1 --out {}"]
)
def test_a_name_that_no_file_can_have_is_answered_in_one_short_sentence(
    desk, capsys, monkeypatch, option
):
    monkeypatch.chdir(desk.root)
    Path("a.csv").write_text("firm,month,sales\na,2021-01,1\n")
    words = [word.format("x" * 900) for word in option.split()]
    assert command_line.main(words, desk.root) == 2
    assert re.fullmatch(r"error: Cannot use a name of 900 .{,90}", told(capsys).strip())


def told(capsys):
    """Return the last line on standard error."""
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_a_market_that_can_be_written_nowhere_is_refused_in_a_sentence(desk, capsys):
    line = "simulate --preset mid_3k --seed 1 --out /proc/x"
    assert command_line.main(line.split(), desk.root) == 2
    assert told(capsys).startswith("error: Cannot write a simulated market to /proc/x: ")


def test_a_name_that_is_not_utf_8_is_refused_in_a_sentence(desk, capfd):
    name = os.fsencode(desk.root) + b"/a\xff.csv"
    Path(os.fsdecode(name)).write_text("firm,month,sales\na,2021-01,1\n")
    for line in (["map"], ["check", "--panel"], ["purchases"]):
        assert command_line.main([*line, os.fsdecode(name)]) == 2
        said = capfd.readouterr().err
        assert r"a\udcff.csv: expected a name in UTF-8; found other bytes; rename the file" in said


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
