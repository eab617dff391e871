"""Inject faults into runs and count the losses.

Run ``make faults``, or ``make faults ARGS=--short`` for a few of each fault.

A small project with three notebooks is set up in a temporary folder and its reports are released;
then each fault is injected into a run. A run survives a fault if

- the previous release is unchanged, byte for byte, and `latest` points to it or to a newer,
  complete one;
- no kernel of the run is left running;
- the next run, once any manual damage is repaired, succeeds without help and leaves no temporary
  folder.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import psutil
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
sys.path += [str(ROOT), str(ROOT / "tests")]

from desk import WRITE_VERDICTS, Desk, describe  # noqa: E402

from benchmarks import told  # noqa: E402
from benchmarks.fuzz import measured  # noqa: E402
from runner import release  # noqa: E402

FIRST = date(2024, 1, 1)  # early enough that no run is dated in the future
COMMAND = (
    "import sys; from pathlib import Path; from runner.cli import main; "
    "sys.exit(main(sys.argv[2:], Path(sys.argv[1])))"
)
NOBODY = 65534
JUDGE = WRITE_VERDICTS.replace('"estimate"', '"word": note, "estimate"')
SLOW = JUDGE + "import time; time.sleep(0.3)"
MEMORY = (
    "import resource; resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)); x ="
    " bytearray(10**12)"
)
Ended = subprocess.CompletedProcess[str]
LOST = subprocess.CompletedProcess([], 1, "")
"""Result of a run that misbehaved."""


@dataclass
class World:
    """Small project with its own temporary folder and calendar."""

    folder: Path
    days: Iterator[int] = field(default_factory=count)
    most: tuple[float, int] = (
        0.0,
        0,
    )  # seconds of the processor and megabytes of a command that makes no report

    @property
    def desk(self) -> Desk:
        """The project."""
        return Desk(self.folder / "project")

    @property
    def out(self) -> Path:
        """Folder with the project's releases."""
        return self.desk.reports

    def furnish(self) -> None:
        """Write the project, and release its reports."""
        (self.folder / "tmp").mkdir(parents=True)
        self.desk.root.mkdir()
        self.desk.furnish()
        self.desk.declare(describe("figures.csv", "2023-12-01"))
        for name in ("01_first", "02_second"):
            self.desk.write(name, SLOW)
        self.move_on()
        assert not self.run().returncode, "the first run, without any fault, failed"

    def move_on(self) -> None:
        """Advance to the next day, so that all reports are due."""
        self.as_of = (FIRST + timedelta(days=next(self.days))).isoformat()

    def measured(self, *command: str) -> Ended:
        """Run another command than `run`; it is lost if it takes too long or too much memory."""
        done, seconds, most = measured(self.command(*command), env=self.environment)
        alone = "made again" not in done.stdout
        self.most = (max(self.most[0], seconds * alone), max(self.most[1], most * alone))
        if done.returncode < 0 or (alone and (seconds > 10 or most > 1 << 10)):
            print(f"LOST  {command[0]}: {done.returncode}, {seconds:.1f} s, {most} MB", flush=True)
            return LOST
        return done

    def command(self, *command: str) -> list[str]:
        """Return the arguments by which a command is run on the project."""
        return [sys.executable, "-c", COMMAND, str(self.desk.root), *command]

    @property
    def environment(self) -> dict[str, str]:
        """Environment of a command, with a folder for temporary files in the world."""
        return os.environ | {"TMPDIR": str(self.folder / "tmp")}

    def start(
        self, *options: str, environment: dict[str, str] | None = None, **more: Any
    ) -> subprocess.Popen[str]:
        """Start a run; `more` is passed to `Popen`."""
        command = self.command("run", "--as-of", self.as_of, *options)
        pipes: dict[str, Any] = {
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            "text": True,
        }
        return subprocess.Popen(
            command, env=self.environment | (environment or {}), **pipes, **more
        )

    def run(self, *options: str, **more: Any) -> Ended:
        """Run the schedule to completion."""
        return ended(self.start(*options, **more))

    def releases(self) -> dict[str, dict[str, str]]:
        """Return the file hashes and the manifest of each release, by name."""
        return {
            name: release.file_hashes(self.out / name) | {"": self.manifest(name)}
            for name in release.names(self.out)
        }

    def manifest(self, name: str) -> str:
        """Read a release's manifest."""
        return (self.out / name / release.MANIFEST).read_text(encoding="utf-8")

    def kernels(self) -> list[int]:
        """Return the process ids of this project's kernels."""
        lines = {
            process.pid: " ".join(process.info["cmdline"] or [])
            for process in psutil.process_iter(["cmdline"])
        }
        return [
            pid
            for pid, line in lines.items()
            if "ipykernel_launcher" in line and str(self.folder) in line
        ]

    def lost(self, before: dict[str, dict[str, str]], done: Ended | None) -> list[str]:
        """Return the damage done by a fault, and advance to the next day.

        The next run, which is undisturbed, must succeed.
        """
        now = self.releases()
        lost = [
            f"release {name} has changed"
            for name, hashes in before.items()
            if now.get(name) != hashes
        ]
        if done is None:
            printed = ""
        else:
            printed = done.stdout.strip()
        if done is LOST:
            lost.append("it did not end as it should")
        early = printed.endswith("KeyboardInterrupt")  # Python's own, while still loading our code
        if (
            re.search("^Traceback", printed, re.MULTILINE) and not early
        ):  # a cell's traceback is indented
            lost.append(f"a traceback instead of a message: {printed.splitlines()[-1]}")
        deadline = time.monotonic() + 15
        while self.kernels() and time.monotonic() < deadline:
            time.sleep(0.2)
        lost += [f"kernel {kernel} is still running" for kernel in self.kernels()]
        again = self.run()
        if again.returncode:
            lost.append(f"the next run ends with {again.returncode}: {again.stdout[-300:]}")
        if faults := release.read((self.out / "latest").resolve()).faults():
            lost.append(f"latest is incomplete: {faults[0]}")
        temporary = (*self.out.glob(".run-*"), *(self.folder / "tmp").iterdir())
        self.move_on()
        return lost + [f"{path.name} is left" for path in temporary]


Fault = Callable[[World], Ended | None]
"""Function that disturbs a run, repairs any manual damage, and returns the run if it ended."""


def ended(process: subprocess.Popen[str]) -> Ended:
    """Wait for a run to end, and return it with its output."""
    printed, _ = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, printed)


# Faults


def killed(number: signal.Signals, most: float) -> Fault:
    """Return a fault that sends a signal to a run at a random moment."""

    def fault(world: World) -> Ended:
        process = world.start()
        time.sleep(random.uniform(0.0, most))
        process.send_signal(number)
        return ended(process)

    return fault


def kernel_killed(most: float) -> Fault:
    """Return a fault that kills a kernel at a random moment."""

    def fault(world: World) -> Ended:
        process = world.start()
        while not world.kernels() and process.poll() is None:
            time.sleep(0.02)
        time.sleep(random.uniform(0.0, most / 2))
        for kernel in world.kernels()[:1]:
            os.kill(kernel, signal.SIGKILL)
        return ended(process)

    return fault


@contextmanager
def replaced(file: Path, content: bytes | None) -> Iterator[None]:
    """Temporarily replace a file's content, or replace the file with a folder."""
    before = file.read_bytes()
    file.unlink()
    file.mkdir() if content is None else file.write_bytes(content)
    try:
        yield
    finally:
        release.remove(file)
        file.write_bytes(before)


def cell(source: str, *options: str) -> Fault:
    """Return a fault caused by a cell in a notebook."""

    def fault(world: World) -> Ended:
        notebook = world.desk.root / "notebooks" / "01_first.ipynb"
        with replaced(notebook, notebook.read_bytes()):
            world.desk.write("01_first", source)
            return world.run(*options)

    return fault


def damaged(name: str, content: bytes | None) -> Fault:
    """Return a fault that damages one of the project's files."""

    def fault(world: World) -> Ended:
        with replaced((world.desk.root / name).resolve(), content):
            return world.run()

    return fault


def in_the_way(name: str, make: Callable[[Path], object]) -> Fault:
    """Return a fault that occupies a name in the output folder until the run ends."""

    def fault(world: World) -> Ended:
        path = world.out / name
        aside = world.folder / "aside"
        if there := os.path.lexists(path):
            os.rename(path, aside)
        make(path)
        done = world.run()
        if name == ".run-x" or (
            name == "latest" and path.is_symlink()
        ):  # a run repairs these without help
            release.remove(aside)
            return done
        release.remove(path)
        if there:
            os.rename(aside, path)
        return done

    return fault


def zipped(*files: tuple[str, bytes]) -> bytes:
    """Return a zip file."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return stream.getvalue()


def alterations() -> Iterator[tuple[str, bytes | None]]:
    """Yield files of a release and their new content, or nothing for a pipe in their place."""
    deep = b"[" * 100_000
    many = b"9" * 5_000
    big = b"[" + b'{"a": 1},' * 2_000_000 + b"{}]"
    odd = (
        b"",
        b"{",
        b"[1]",
        b"\xff\xfe\x00",
        deep,
        b'{"a": ' + many + b"}",
        b"[NaN]",
        b'[{"report": ["x"]}]',
        big,
    )
    for name in ("verdicts.json", "01_first.ipynb", "changes.json"):
        yield from ((name, content) for content in (*odd, None))
    data = ("datapackage.json", b"{")
    huge = ("figures.csv", bytes(1 << 30))
    cut = zipped(data)
    members = (
        (),
        (data,),
        (data, data),
        (huge,),
        (("/etc/x", b""), ("../x", b"")),
        (("figures.csv", deep),),
    )
    archives = [b"PK", cut[:-9] + b"\xff" * 9, cut.replace(b"PK\x01\x02", b"PK\x01\x09")]
    yield from (
        ("data.zip", content) for content in (*archives, *(zipped(*each) for each in members), None)
    )
    for part in ("inputs", "files", "reports", "as_of", "previous"):
        values = (b"null", b"{}", b'"../x"', deep, b"[" + many + b"]")
        yield from ((f"manifest.json: {part}", content) for content in values)


def altered(name: str, content: bytes | None) -> Fault:
    """Return a fault that alters a release and then gives it to each command that reads one.

    Its hash is altered, too.

    Each command has to end by itself, in ten seconds and one gigabyte if it makes no report,
    without a traceback.
    """
    file, _, part = name.partition(": ")

    def fault(world: World) -> Ended:
        folder = (world.out / "latest").resolve()
        kept = world.folder / "kept"
        older = next(other for other in reversed(release.names(world.out)) if other != folder.name)
        shutil.copytree(world.out, kept, symlinks=True)
        (world.out / "outcomes.jsonl").unlink(missing_ok=True)  # it knows the hash of the manifest
        manifest = json.loads(world.manifest(folder.name))
        (folder / file).unlink()
        if part:
            text = (
                json.dumps({**manifest, part: "HERE"}).encode().replace(b'"HERE"', content or b"")
            )
            (folder / file).write_bytes(text)
        else:
            os.mkfifo(folder / file) if content is None else (folder / file).write_bytes(content)
            files = release.file_hashes(folder)
            (folder / release.MANIFEST).write_text(json.dumps({**manifest, "files": files}))
        both = (str(world.out / older), str(folder))
        ended_ = list[Ended]()
        verify = ("verify", both[1])
        for command in ((*verify, "--no-again"), ("diff", *both), ("prune", "--keep", "9"), verify):
            ended_.append(world.measured(*command))
        ended_.append(world.run())
        shutil.rmtree(world.out)
        shutil.copytree(kept, world.out, symlinks=True)
        shutil.rmtree(kept)
        return next(
            (done for done in ended_ if "Traceback" in done.stdout or done is LOST), ended_[-1]
        )

    return fault


def twice(world: World) -> Ended:
    """Start two schedulers at once; one must exit with code 4 or find the work done."""
    both = [ended(process) for process in [world.start(), world.start()]]
    codes = sorted(process.returncode for process in both)
    if codes in ([0, 4], [0, 0]):
        return both[1]
    return LOST


def clock_back(world: World) -> Ended:
    """Run with a date earlier than the current release's."""
    shown = os.readlink(world.out / "latest")
    today = world.as_of
    world.as_of = (FIRST - timedelta(days=1)).isoformat()
    done = world.run("--force")
    world.as_of = today
    if os.readlink(world.out / "latest") == shown:
        return done
    return LOST


def as_nobody(world: World) -> Ended:
    """Run as another user, who can read every file but write none."""
    return world.run(user=NOBODY, group=NOBODY, environment={"HOME": "/nonexistent"})


def full(room: int) -> Fault:
    """Return a fault that fills the output disk after `room` bytes."""

    def fault(world: World) -> Ended:
        target = world.folder / "small"
        target.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", target], check=True)
        try:
            return world.run("--out", str(target))
        finally:
            subprocess.run(["umount", target], check=True)
            target.rmdir()

    return fault


def odd(name: str, **environment: str) -> Fault:
    """Return a fault that uses an unusual output folder name or environment."""

    def fault(world: World) -> Ended:
        done = world.run("--out", str(world.folder / name), environment=environment)
        shutil.rmtree(world.folder / name, ignore_errors=True)
        if done.returncode:
            return LOST
        return done

    return fault


# What is to be told


@contextmanager
def kept(world: World) -> Iterator[None]:
    """Go back to the day of the newest release, and put everything back when it ends."""
    copy = world.folder / "kept"
    shutil.copytree(world.out, copy, symlinks=True)
    today = world.as_of
    world.as_of = release.names(world.out)[-1][:10]
    try:
        yield
    finally:
        world.as_of = today
        shutil.rmtree(world.out)
        os.rename(copy, world.out)


def plan(world: World, **changed: Any) -> None:
    """Let each run with news add it to a file, and change the schedule otherwise."""
    file = world.out / "schedule.yml"
    schedule = YAML(typ="safe").load(file)
    hook = {"command": ["tee", "-a", str(world.folder / "news.jsonl")]}
    file.write_text(json.dumps({**schedule, "notices": [hook], **changed}))


def news(world: World) -> list[dict[str, Any]]:
    """Return what the command of the schedule was given, and forget it."""
    file = world.folder / "news.jsonl"
    texts = []
    if file.exists():
        texts = re.sub("}\\s*{", "}\n{", file.read_text(encoding="utf-8")).splitlines()
        file.unlink()
    return [json.loads(text) for text in texts if text.strip()]


def times(world: World, part: str, said: str) -> int:
    """Return in how many pieces of news a part says something."""
    return sum(said in json.dumps(each.get(part, "")) for each in news(world))


def if_told(done: Ended, *counts: int) -> Ended:
    """Return a run as it ended if each of what it should tell was told once."""
    if {*counts} == {1}:
        return done
    print(f"LOST  told {' and '.join(str(int(count)) for count in counts)} times", flush=True)
    return LOST


def spoilt(spoil: told.Spoil, said: str) -> Fault:
    """Return a fault on the record that is to be told once, and once more when it is mended."""

    def fault(world: World) -> Ended:
        with kept(world):
            plan(world)
            good = world.folder / "good"
            shutil.copytree(world.out, good, symlinks=True)
            older, newest = release.names(world.out)[-2:]
            spoil(world.out, older, newest)
            for _ in range(3):
                done = world.run("--due")
            began = times(world, "failures", said)
            for name in (older, newest):
                release.remove(world.out / name)
                shutil.copytree(good / name, world.out / name)
            for _ in range(2):
                done = world.run("--due")
            over = times(world, "mended", said)
            shutil.rmtree(good)
        return if_told(done, began, over)

    return fault


def unproven(spoil: told.Spoil, said: str) -> Fault:
    """Return a fault on the record, 401 hourly runs after the last release, for `verify` to say."""

    def fault(world: World) -> Ended:
        with kept(world):
            told.wait_out(world.out)
            world.run("--due")
            spoil(world.out, *release.names(world.out)[-2:])
            newest = str(world.out / release.names(world.out)[-1])
            done = world.measured("verify", newest, "--no-again")
        return if_told(done, said in done.stdout)

    return fault


def name_again(world: World) -> Ended:
    """Remove the newest release and make another as of its date, under another name."""
    with kept(world):
        newest = release.names(world.out)[-1]
        shutil.rmtree(world.out / newest)
        done = world.run("--force")
        given = (world.out / newest).exists()
    return LOST if given else done


def server_down(world: World) -> Ended:
    """Publish a changed word while one of two recipients is down, who is to be told later."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = {"CHAT": f"http://127.0.0.1:{port}/"}
    with kept(world):
        plan(world)
        schedule = YAML(typ="safe").load(world.out / "schedule.yml")
        schedule["reports"][1]["parameters"] = {"note": "Supported"}
        schedule["notices"].append({"webhook": "CHAT", "timeout": 5})
        plan(world, **schedule)
        world.run(environment=address)
        world.run("--due", environment=address)
        with told.answering(port) as seen:
            for _ in range(2):
                done = world.run("--due", environment=address)
        command = times(world, "changed_words", "Supported")
        web = sum("Supported" in json.dumps(each["changed_words"]) for each in seen)
    return if_told(done, command, web)


def clock_ahead(world: World) -> Ended:
    """Run once with a date two years ahead; what is stale is still told afterwards."""
    with kept(world):
        reports = YAML(typ="safe").load(world.out / "schedule.yml")["reports"]
        reports[1] |= {"fresh_days": 1, "waits_for": "data/figures.csv"}
        plan(world, reports=reports)
        today = world.as_of
        world.as_of = (date.fromisoformat(today) + timedelta(days=700)).isoformat()
        world.run("--due")
        news(world)
        world.as_of = today
        done = world.run("--due")
        said = times(world, "stale", "figures.csv")
    return if_told(done, said)


def schedule_lost(world: World) -> Ended:
    """Break and mend a schedule that publishes to another folder, where that is to be told."""
    out = world.folder / "elsewhere"
    with kept(world):
        file = world.out / "schedule.yml"
        shutil.copytree(world.out, out, symlinks=True)
        plan(world, publish=str(out))
        world.run("--due")
        with replaced(file, b"reports: ["):
            for _ in range(2):
                world.run("--due")
        feed = out / "feed.xml"
        began = feed.exists() and "Refused" in feed.read_text(encoding="utf-8")
        for _ in range(2):
            done = world.run("--due")
        over = times(world, "mended", "schedule.yml")
        (world.out / ".published").unlink(missing_ok=True)
    shutil.rmtree(out)
    return if_told(done, began, over)


def home_is_root(world: World) -> Ended:
    """Fail in a cell, whose message is to be told as it is though the home folder is /."""
    notebook = world.desk.root / "notebooks" / "01_first.ipynb"
    with replaced(notebook, notebook.read_bytes()):
        world.desk.write("01_first", "raise OSError('neither 3/4 of a/b')")
        done = world.run("--json", environment={"HOME": "/"})
    return if_told(done, "neither 3/4 of a/b" in done.stdout)


def succeeds(*command: str, **options: Any) -> bool:
    """Return whether a command runs successfully."""
    try:
        return not subprocess.run(command, capture_output=True, check=False, **options).returncode
    except OSError:
        return False


def faults(short: bool, most: float, whole: int) -> Iterator[tuple[str, Fault, int]]:
    """Yield each fault with its name and number of repetitions."""
    many, few = (3, 1) if short else (50, 5)
    yield "runner killed", killed(signal.SIGKILL, most), many
    yield "kernel killed", kernel_killed(most), many
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGXCPU):
        yield number.name, killed(number, most), few
    yield "cell hangs", cell("import time; time.sleep(600)", "--timeout", "3"), 1
    yield "kernel out of memory", cell(MEMORY), 1
    yield "kernel ended by the system, twice", cell("import os; os.kill(os.getpid(), 9)"), 1
    yield "cell leaves the program", cell("import os; os._exit(0)"), 1
    yield "two schedulers", twice, few
    yield "clock goes back", clock_back, 1
    for name in ("reports/schedule.yml", "data/datapackage.json", "notebooks/01_first.ipynb"):
        for what, content in {"garbage": b"\xff\x00{[", "empty": b"", "a folder": None}.items():
            yield f"{name}: {what}", damaged(name, content), 1
    for name in (release.MANIFEST, "verdicts.json", "01_first.pdf", "01_first.ipynb", "index.html"):
        for what, content in {
            "truncated": b"{",
            "wrong shape": b"[1, 2]",
            "a folder": None,
        }.items():
            yield f"{name} of the release: {what}", damaged(f"reports/latest/{name}", content), 1
    for name, content in [*alterations()][:: 9 if short else 1]:
        yield f"altered {name.partition(':')[0]}", altered(name, content), 1
    yield from ((f"told: {name}", spoilt(*each), 1) for name, each in told.TOLD.items())
    yield from ((f"verify: {name}", unproven(*each), 1) for name, each in told.UNPROVEN.items())
    yield "told: name given again", name_again, 1
    yield "told: server down, command works", server_down, 1
    yield "told: clock ahead", clock_ahead, 1
    yield "told: schedule lost, published elsewhere", schedule_lost, 1
    yield "told: home is /", home_is_root, 1
    things: dict[str, Callable[[Path], object]] = {"a file": Path.touch, "a folder": Path.mkdir}
    things["dangling"] = lambda path: path.symlink_to("nowhere")
    for name in ("latest", "draft", ".lock", ".run-x"):
        for what, make in things.items():
            yield f"{name}: {what}", in_the_way(name, make), 1
    for name in ("with blanks", "q'uo\"te", "{brace} $HOME %s", "naïve 亚马逊", "-dash", "x" * 200):
        yield f"folder {name[:20]!r}", odd(name), 1
    for locale in ("C", "tr_TR.UTF-8"):
        yield f"locale {locale}", odd("plain", LC_ALL=locale, LANG=locale), 1
    yield "no home", odd("plain", HOME="/nonexistent"), 1
    if os.geteuid() == 0 and succeeds(sys.executable, "-c", "", user=NOBODY, group=NOBODY):
        yield "other user, read-only output", as_nobody, 1
    with tempfile.TemporaryDirectory() as folder:
        mounts = succeeds("mount", "-t", "tmpfs", "tmpfs", folder) and succeeds("umount", folder)
    steps = (3 if short else 20) if mounts else 0
    for step in range(steps):
        yield "disk full", full(int(whole * (step + 0.5) / steps)), 1


def main() -> int:
    """Inject the faults, print the table, and return 1 if anything was lost, else 0."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--short", action="store_true", help="a few of each fault, for continuous integration"
    )
    parser.add_argument(
        "--only", default="", metavar="PATTERN", help="faults whose name starts with this"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="seed of the random moments (default 1)"
    )
    options = parser.parse_args()
    random.seed(options.seed)
    tried = Counter[str]()
    failed = Counter[str]()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        os.chmod(folder, 0o755)  # for the other user
        world = World(Path(folder))
        world.furnish()
        began = time.monotonic()
        world.run("--force")
        most = time.monotonic() - began
        whole = sum(file.stat().st_size for file in world.out.rglob("*"))
        world.move_on()
        for name, fault, times in faults(options.short, most, whole):
            for _ in range(times if re.match(options.only, name) else 0):
                before = world.releases()
                lost = world.lost(before, fault(world))
                kind = name.partition(":")[0]
                tried[kind] += 1
                failed[kind] += bool(lost)
                for line in lost:
                    print(f"LOST  {name}: {line}", flush=True)
        for kind in tried:
            print(f"{kind:45} {tried[kind]:5} tried {failed[kind]:5} lost", flush=True)
        print(f"with an altered release, at most {world.most[0]:.1f} s and {world.most[1]} MB")
    print(f"{'all':45} {tried.total():5} tried {failed.total():5} lost")
    return int(failed.total() > 0)


if __name__ == "__main__":
    sys.exit(main())
