"""Do to a run whatever can happen to one, really, and count what is lost: ``make faults``, ``ARGS=--short`` for a few.

A small project with three notebooks is made in a temporary folder, its reports are released, and then each fault is
done to a run of the command line. A fault is survived if

- the release that stood before is there, byte for byte, and `latest` shows it or a newer one that is whole;
- no kernel of the run is left;
- the next run, once what was broken by hand is mended, succeeds by itself and leaves no temporary folder.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests"))

from desk import WRITE_VERDICTS, Desk  # noqa: E402

from market import executor  # noqa: E402
from runner import release  # noqa: E402

FIRST = date(2026, 11, 25)
COMMAND = "import sys; from pathlib import Path; from runner import schedule; from runner.cli import main; "
# the calendar of faults runs ahead of the clock
COMMAND += "schedule.today = lambda: '9999-12-31'; sys.exit(main(sys.argv[2:], Path(sys.argv[1])))"
NOBODY = 65534
SLOW = WRITE_VERDICTS + "import time; time.sleep(0.3)"


@dataclass
class World:
    """A small project, a temporary folder of its own, and a calendar that moves on by a day with each run."""

    folder: Path
    days: Iterator[int] = field(default_factory=count)

    @property
    def desk(self) -> Desk:
        """The project."""
        return Desk(self.folder / "project")

    @property
    def out(self) -> Path:
        """Where its releases lie."""
        return self.desk.reports

    def furnish(self) -> None:
        """Write the project and release its reports."""
        (self.folder / "tmp").mkdir(parents=True)
        self.desk.root.mkdir()
        self.desk.furnish()
        for name in ("01_first", "02_second"):
            self.desk.write(name, SLOW)
        self.move_on()
        assert not self.run().returncode, "the first run, without any fault, failed"

    def move_on(self) -> None:
        """Let it be the next day, so that all reports are due."""
        self.as_of = (FIRST + timedelta(days=next(self.days))).isoformat()

    def start(self, *options: str, before: Callable[[], None] | None = None, **more: Any) -> subprocess.Popen[str]:
        """Start a run; `before` is done in the new process, `more` are options of `Popen` and variables."""
        environment = os.environ | {"TMPDIR": str(self.folder / "tmp")} | more.pop("environment", {})
        command = [sys.executable, "-c", COMMAND, str(self.desk.root), "run", "--as-of", self.as_of, *options]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, env=environment, preexec_fn=before, **(pipes | more))  # noqa: PLW1509 - we have no threads

    def run(self, *options: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run to the end."""
        process = self.start(*options, **more)
        said, _ = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, said)

    def releases(self) -> dict[str, dict[str, str]]:
        """Hash all files by release."""
        return {name: release.hashes(self.out / name) | {"": self.manifest(name)} for name in release.names(self.out)}

    def manifest(self, name: str) -> str:
        """Read the manifest of a release."""
        return (self.out / name / release.MANIFEST).read_text(encoding="utf-8")

    def kernels(self) -> list[int]:
        """Return the processes of kernels whose runtime files lie in this world."""
        lines = {process.pid: process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])}
        return [
            pid for pid, line in lines.items() if "ipykernel_launcher" in line and str(self.folder) in " ".join(line)
        ]

    def lost(self, before: dict[str, dict[str, str]], done: subprocess.CompletedProcess[str] | None) -> list[str]:
        """Return what a fault has cost, after a run of the same day that nothing disturbs; and move on."""
        now = self.releases()
        found = [f"release {name} has changed" for name, was in before.items() if now.get(name) != was]
        said = "" if done is None else done.stdout.strip()
        early = said.endswith("KeyboardInterrupt")  # Python's own, while it still reads our code
        if re.search("^Traceback", said, re.MULTILINE) and not early:  # that of a cell is set in
            found.append(f"a traceback in place of a sentence: {said.splitlines()[-1]}")
        deadline = time.monotonic() + 15
        while self.kernels() and time.monotonic() < deadline:
            time.sleep(0.2)
        found += [f"kernel {kernel} is left" for kernel in self.kernels()]
        again = self.run()
        if again.returncode:
            found.append(f"the next run ends with {again.returncode}: {again.stdout[-300:]}")
        shown = os.readlink(self.out / "latest")
        if faults := release.read(self.out / shown).faults():
            found.append(f"latest is not whole: {faults[0]}")
        left = [path.name for path in (*self.out.glob(".run-*"), *(self.folder / "tmp").iterdir())]
        found += [f"{name} is left" for name in left]
        self.move_on()
        return found


Fault = Callable[[World], subprocess.CompletedProcess[str] | None]
"""Does something to a run, mends what it broke by hand, and returns the run, if it came to an end."""


# Faults


def _duration(world: World) -> float:
    began = time.monotonic()
    world.run()
    world.move_on()
    return time.monotonic() - began


def killed(world: World, number: signal.Signals, most: float) -> subprocess.CompletedProcess[str]:
    """Send a signal to a run at a random moment."""
    process = world.start()
    time.sleep(random.uniform(0.0, most))
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    return subprocess.CompletedProcess([], process.returncode, said)


def kernel_killed(world: World, most: float) -> subprocess.CompletedProcess[str]:
    """Kill a kernel at a random moment of its life."""
    process = world.start()
    while not world.kernels() and process.poll() is None:
        time.sleep(0.02)
    time.sleep(random.uniform(0.0, most / 2))
    for kernel in world.kernels()[:1]:
        os.kill(kernel, signal.SIGKILL)
    said, _ = process.communicate(timeout=120)
    return subprocess.CompletedProcess([], process.returncode, said)


def squared(number: int) -> int:
    """Do some work."""
    time.sleep(0.2)
    return number**2


def worker_killed(_: World) -> subprocess.CompletedProcess[str] | None:
    """Kill a worker of the executor at a random moment; what it was at is done again."""

    def kill() -> None:
        if workers := multiprocessing.active_children():
            os.kill(random.choice(workers).pid or 0, signal.SIGKILL)

    timer = threading.Timer(random.uniform(0.0, 3.0), kill)
    timer.start()
    found = [*executor.each(squared, [(number,) for number in range(8)], 2)]
    timer.join()
    return None if found == [number**2 for number in range(8)] else subprocess.CompletedProcess([], 1, "Traceback")


def _limited(soft: int) -> Callable[[], None]:
    def limit() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (soft, soft))

    return limit


@contextmanager
def changed(file: Path, content: str | bytes | None) -> Iterator[None]:
    """Let a file have another content, or be a folder, and mend it afterwards."""
    before = file.read_bytes()
    file.unlink()
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    try:
        yield
    finally:
        release.remove(file)
        file.write_bytes(before)


def cell(source: str, *options: str, before: Callable[[], None] | None = None) -> Fault:
    """Return a fault in a cell of a notebook."""

    def fault(world: World) -> subprocess.CompletedProcess[str]:
        notebook = world.desk.root / "notebooks" / "01_first.ipynb"
        with changed(notebook, notebook.read_bytes()):
            world.desk.write("01_first", source)
            return world.run(*options, before=before)

    return fault


def corrupted(name: str, content: str | bytes | None) -> Fault:
    """Return a fault in a file of the project."""

    def fault(world: World) -> subprocess.CompletedProcess[str]:
        with changed(world.desk.root / name, content):
            return world.run()

    return fault


def damaged(name: str, content: str | None) -> Fault:
    """Return a damage of the release that stands, which nobody mends before the next run: it makes all again."""

    def fault(world: World) -> subprocess.CompletedProcess[str]:
        with changed((world.out / "latest").resolve() / name, content):
            return world.run()

    return fault


def in_the_way(name: str, make: Callable[[Path], object]) -> Fault:
    """Return a fault in which something else bears a name of the output folder; it is taken away afterwards."""

    def fault(world: World) -> subprocess.CompletedProcess[str]:
        path, aside = world.out / name, world.folder / "aside"
        if there := os.path.lexists(path):
            os.rename(path, aside)
        make(path)
        done = world.run()
        if name == ".run-x" or (name == "latest" and path.is_symlink()):  # a run mends these by itself
            release.remove(aside)
            return done
        release.remove(path)
        if there:
            os.rename(aside, path)
        return done

    return fault


def twice(world: World) -> subprocess.CompletedProcess[str]:
    """Let two schedulers start at once: one works, the other leaves with code 4, or finds it done."""
    both = [world.start(), world.start()]
    said = [process.communicate(timeout=120)[0] for process in both]
    codes = sorted(process.returncode for process in both)
    return subprocess.CompletedProcess([], codes[-1], "".join(said) if codes in ([0, 4], [0, 0]) else "Traceback\n")


def clock_back(world: World) -> subprocess.CompletedProcess[str]:
    """Let a run have an earlier date than the release that stands."""
    shown, today = os.readlink(world.out / "latest"), world.as_of
    world.as_of = FIRST.isoformat()
    done = world.run("--force")
    world.as_of = today
    return done if os.readlink(world.out / "latest") == shown else subprocess.CompletedProcess([], 1, "Traceback\nback")


def as_nobody(world: World) -> subprocess.CompletedProcess[str]:
    """Let another user run, who may read all and write nothing."""
    return world.run(user=NOBODY, group=NOBODY, environment={"HOME": "/nonexistent"})


def full(world: World, room: int) -> subprocess.CompletedProcess[str]:
    """Let the disk of the output folder be full after so many bytes."""
    target = world.folder / "small"
    target.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", target], check=True)
    try:
        return world.run("--out", str(target))
    finally:
        subprocess.run(["umount", target], check=True)
        target.rmdir()


def odd(name: str, **environment: str) -> Fault:
    """Return a fault in which the output folder has an odd name, and the environment is odd."""

    def fault(world: World) -> subprocess.CompletedProcess[str]:
        done = world.run("--out", str(world.folder / name), environment=environment)
        shutil.rmtree(world.folder / name, ignore_errors=True)
        return done if not done.returncode else subprocess.CompletedProcess([], 1, f"Traceback\n{done.stdout}")

    return fault


def _can_be_nobody() -> bool:
    """Whether another user may run this Python, which can lie in somebody's home."""
    try:
        return not subprocess.run([sys.executable, "-c", ""], user=NOBODY, group=NOBODY, check=False).returncode
    except PermissionError:
        return False


def _can_mount() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        tried = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, check=False)
        if not tried.returncode:
            subprocess.run(["umount", folder], check=True)
        return not tried.returncode


def faults(short: bool, most: float, whole: int) -> Iterator[tuple[str, Fault, int]]:
    """Name each fault, how it is done, and how often."""
    many, few = (3, 1) if short else (50, 5)
    yield "runner killed", lambda world: killed(world, signal.SIGKILL, most), many
    yield "kernel killed", lambda world: kernel_killed(world, most), many
    yield "worker killed", worker_killed, many
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGXCPU):
        yield number.name, lambda world, number=number: killed(world, number, most), few
    yield "cell hangs", cell("import time; time.sleep(600)", "--timeout", "3"), 1
    yield "kernel out of memory", cell("x = bytearray(10**12)", before=_limited(4 << 30)), 1
    yield "kernel ended by the system, twice", cell("import os; os.kill(os.getpid(), 9)"), 1
    yield "cell leaves the program", cell("import os; os._exit(0)"), 1
    yield "two schedulers", twice, few
    yield "clock goes back", clock_back, 1
    for name in ("reports/schedule.yml", "data/datapackage.json", "notebooks/01_first.ipynb"):
        yield f"{name}: garbage", corrupted(name, b"\xff\x00{["), 1
        yield f"{name}: empty", corrupted(name, b""), 1
        yield f"{name}: a folder", corrupted(name, None), 1
    for name in (release.MANIFEST, "verdicts.json", "01_first.pdf", "01_first.ipynb", "index.html"):
        for what, content in {"truncated": "{", "wrong shape": "[1, 2]", "a folder": None}.items():
            yield f"{name} of the release: {what}", damaged(name, content), 1
    nowhere: dict[str, Callable[[Path], object]] = {
        "a file": Path.touch,
        "a folder": Path.mkdir,
        "dangling": lambda path: path.symlink_to("nowhere"),
    }
    for name in ("latest", "draft", ".lock", ".run-x"):
        for what, make in nowhere.items():
            yield f"{name}: {what}", in_the_way(name, make), 1
    for name in ("with blanks", "q'uo\"te", "{brace} $HOME %s", "naïve 亚马逊", "-dash", "x" * 200):
        yield f"folder {name[:20]!r}", odd(name), 1
    for locale in ("C", "tr_TR.UTF-8"):
        yield f"locale {locale}", odd("plain", LC_ALL=locale, LANG=locale), 1
    yield "no home", odd("plain", HOME="/nonexistent"), 1
    if os.geteuid() == 0 and _can_be_nobody():
        yield "other user, read-only output", as_nobody, 1
    if _can_mount():
        steps = 3 if short else 20
        for step in range(steps):
            room = int(whole * (step + 0.5) / steps)
            yield "disk full", lambda world, room=room: full(world, room), 1


def main() -> int:
    """Do the faults, print the table, and return whether anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a few of each, for continuous integration")
    parser.add_argument("--only", default="", metavar="PATTERN", help="faults whose name begins so")
    parser.add_argument("--seed", type=int, default=1, help="of the random moments (1)")
    asked = parser.parse_args()
    random.seed(asked.seed)
    table: dict[str, list[int]] = {}
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        os.chmod(folder, 0o755)  # another user looks in
        world = World(Path(folder))
        world.furnish()
        most, whole = _duration(world), sum(file.stat().st_size for file in world.out.rglob("*") if file.is_file())
        for name, fault, times in faults(asked.short, most, whole):
            if not re.match(asked.only, name):
                continue
            row = table.setdefault(name, [0, 0])
            for _ in range(times):
                before = world.releases()
                done = fault(world)
                lost = world.lost(before, done)
                row[0] += 1
                row[1] += bool(lost)
                for line in lost:
                    print(f"LOST  {name}: {line}", flush=True)
            print(f"{name:45} {row[0]:5} tried {row[0] - row[1]:5} survived {row[1]:5} lost", flush=True)
    tried, lost_ = (sum(row[place] for row in table.values()) for place in (0, 1))
    print(f"{'all':45} {tried:5} tried {tried - lost_:5} survived {lost_:5} lost")
    return int(bool(lost_))


if __name__ == "__main__":
    sys.exit(main())
