"""Little memory is told calmly, and before work; and long work tells how far it is."""

import errno
import gzip
import io
import os
import resource
import subprocess
import sys
import time

import numpy as np
import pytest
from duckdb import OutOfMemoryException
from fewtreated.errors import DataError
from panels import random_panel
from test_panel import rows_of

from analysis import memory
from analysis.panel.opening import cells_about, parser_errors
from analysis.provenance import ROOT
from runner import Exit, kernels, say, waiting
from runner.cli import main
from runner.schedule import Job

PANEL = ["--panel", "data/examples/tidy.csv", "--map", "data/examples/tidy.map.yml"]
COMMANDS = {
    "check": ["check", *PANEL],
    "run": ["run", *PANEL, "--out", "OUT"],
    "map": ["map", "data/examples/tidy.csv"],
    "simulate": ["simulate", "--preset", "floor_3k", "--seed", "1", "--out", "OUT"],
    "panel": ["panel", *PANEL[1:], "--out", "OUT"],
}
ROWS = rows_of(random_panel(np.random.default_rng(1)))


@pytest.mark.parametrize("limit", [200, 1100, 1700])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_narrow_limit_is_told_in_a_sentence(tmp_path, command, limit):
    size = limit << 20
    words = [f"{tmp_path}/out" if word == "OUT" else word for word in COMMANDS[command]]
    ran = subprocess.run(
        [sys.executable, "-m", "runner", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size)),
    )
    assert ran.returncode == Exit.MEMORY
    why = f"the limit of address space is {limit / 1024:.1f} GiB"
    assert ran.stderr.startswith(f"error: Cannot go on for want of memory: {why}")
    assert len(ran.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        np._core._exceptions._ArrayMemoryError((1 << 40,), np.dtype("f8")),
        ImportError("libarrow.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
    ],
)
def test_a_lack_of_memory_at_work_is_told_in_a_sentence(monkeypatch, capsys, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("analysis.panel.propose.propose", fail)
    assert main(["map", str(ROOT / "data/examples/tidy.csv")]) == Exit.MEMORY
    assert "Cannot go on for want of memory: " in capsys.readouterr().err


def test_a_reader_does_not_take_a_lack_of_memory_for_a_bad_file(tmp_path, monkeypatch):
    with pytest.raises(MemoryError), parser_errors(tmp_path / "a.csv"):
        raise MemoryError
    with pytest.raises(DataError, match="--pieces"), parser_errors(tmp_path / "a.csv"):
        raise OutOfMemoryException
    monkeypatch.setattr(memory, "limit", lambda: 2 << 30)
    with pytest.raises(MemoryError), parser_errors(tmp_path / "a.csv"):
        raise OutOfMemoryException


def test_a_notebook_that_lacks_memory_says_what_to_do(tmp_path):
    class FailedError(Exception):
        ename = "_ArrayMemoryError"

    told = kernels._of_cell(Job("01", tmp_path, {}), FailedError())
    assert told.code == Exit.MEMORY
    assert "01: Cannot go on for want of memory: " in told.reason


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet"])
def test_the_size_of_a_panel_is_told_before_it_is_read(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    if kind == "parquet":
        ROWS.to_parquet(path, index=False)
    elif kind == "csv":
        ROWS.to_csv(path, index=False)
    else:
        path.write_bytes(gzip.compress(ROWS.to_csv(index=False).encode()))
    assert len(ROWS) <= cells_about(path) <= len(ROWS) + 1


def test_months_as_columns_are_cells(tmp_path):
    names = ",".join(f"m{at}" for at in range(60))
    (tmp_path / "a.csv").write_text(f"{names}\n" + f"{','.join('1' * 60)}\n" * 9)
    assert cells_about(tmp_path / "a.csv") == 600


def test_the_size_of_a_large_file_is_told_by_its_beginning(tmp_path):
    with (tmp_path / "a.csv").open("w") as file:
        file.writelines("firm,1234567890\n" for _ in range(1_000_000))
    assert cells_about(tmp_path / "a.csv") == pytest.approx(1_000_000, rel=0.01)


@pytest.mark.parametrize("content", [b"", b"\0", b"PAR1", b"\x1f\x8b"])
@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet", "xlsx", "dta"])
def test_a_file_that_is_none_has_a_size_all_the_same(tmp_path, kind, content):
    (tmp_path / f"a.{kind}").write_bytes(content)
    assert cells_about(tmp_path / f"a.{kind}") < 3
    assert cells_about(tmp_path / f"none.{kind}") == 0


def test_commands_tell_what_they_need_and_what_there_is(capsys):
    main(["map", str(ROOT / "data/examples/tidy.csv")])
    assert "memory: about 0." in capsys.readouterr().err


def test_a_limit_of_address_space_is_what_there_is(monkeypatch):
    before = memory.available()
    assert 0 < before < 1 << 50
    monkeypatch.setattr(memory, "limit", lambda: 1)
    assert memory.available() == 0


@pytest.mark.parametrize(("limit", "code"), [(2000, Exit.MEMORY), (None, Exit.OK)])
def test_a_panel_that_is_too_large_for_a_limit_is_refused_before_work(
    monkeypatch, capsys, limit, code
):
    monkeypatch.setattr("analysis.panel.opening.cells_about", lambda _: 7_000_000)
    monkeypatch.setattr("analysis.panel.propose.propose", lambda *_, **__: "done")
    if limit:
        monkeypatch.setattr(memory, "limit", lambda: limit << 20)
    assert main(["map", str(ROOT / "data/examples/tidy.csv")]) == code
    told = capsys.readouterr()
    assert ("allow 3.0 GiB or more" in told.err) == bool(limit)
    assert ("done" in told.out) == (not limit)


def test_work_that_lasts_tells_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr(waiting, "EVERY", 0.05)
    with waiting.counted("panel", 1) as count:
        for piece in (1, 2, 3):
            count.begin(f"piece {piece}", 3)
            time.sleep(0.12)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "panel: 0 of 3 done after 0 s; now: piece 1"
    assert "panel: 2 of 3 done after 0 s; now: piece 3" in lines


class Written(io.StringIO):
    """A stream that keeps each write apart."""

    def __init__(self):
        super().__init__()
        self.pieces = []

    def write(self, text):
        self.pieces.append(text)
        return len(text)


def test_a_line_is_one_write_so_that_reports_made_side_by_side_do_not_mix_theirs():
    stream = Written()
    say("02_growth: running", stream)
    assert stream.pieces == ["02_growth: running\n"]


@pytest.mark.parametrize("command", ["simulate", "panel", "check"])
def test_commands_count_their_steps(tmp_path, monkeypatch, command):
    counts = []
    begin = waiting.Count.begin

    def noted(self, step, total=0):
        begin(self, step, total)
        counts.append((self.what, self.done, self.total, step))

    monkeypatch.setattr(waiting.Count, "begin", noted)
    monkeypatch.chdir(ROOT)
    words = [f"{tmp_path}/out.parquet" if word == "OUT" else word for word in COMMANDS[command]]
    assert main(words + ["--pieces", "2"] * (command == "panel")) == 0
    assert [done for _, done, *_ in counts] == [0, 1, 2]
    assert {total for _, _, total, _ in counts[1:]} == {3}
    assert {what for what, *_ in counts} == {command}
