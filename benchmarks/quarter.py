"""Simulate a quarter of scheduled runs with changes and faults on known days, and hold what they told against it.

Each of the runs is the command line, executed on a small project, with real kernels and PDFs. What was done is known,
so a small model says what each run has to tell. At the end the JSON of the runs, the feed, the releases and what these
say of changes are held against the model: a line for each difference, a table by kind of day, and exit code 1 if
anything was not true.

A run that is killed tells nothing. It is truthful if the feed has no entry of it, or, where its release had reached its
place whole, the one entry of a run that published it.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import psutil

from analysis import data
from analysis.provenance import ROOT
from runner import Exit, release, verify

sys.path.append(str(ROOT / "tests"))

from desk import write_notebook

START = date(2021, 1, 1)  # a Friday of the past: what is due on a day before today does not depend on the hour
FRESH = 20  # days
KEEP = 30
ATOM = "{http://www.w3.org/2005/Atom}"
PAUSE = 0.002  # seconds between two looks at what a run does
Told = dict[str, Any]

PARAMETERS = """\
as_of: str = "2021-01-01"  # date of knowledge, YYYY-MM-DD; allowed date
verdict_file: str = "../reports/scratch/verdicts.json"  # where the verdicts go
count: int = 3  # number of things; allowed 1 to 99
"""
BRIEF_PARAMETERS = """\
as_of: str = "2021-01-01"  # date of knowledge, YYYY-MM-DD; allowed date
verdict_folder: str = "../reports/scratch"  # where the verdicts are
failed: str = ""  # reports that failed
since: str = ""  # what moved since the release before
"""
JUDGE = """\
import json, pathlib
import pandas as pd
from IPython.display import display
from analysis.exhibits.payload import MIME, of_estimates, of_facts
found = {edition} * int(pd.read_csv("../data/{file}")["value"].sum()) + count
row = {{"id": "E1", "label": "level", "estimate": found, "std_error": 1.0, "unit": "dollars"}}
parts = [of_estimates("estimates", "The level.", pd.DataFrame([row])), of_facts([("file", "{file}")])]
display({{MIME: [part.as_json() for part in parts], "text/plain": f"Level: {{found}}."}}, raw=True)
verdict = {{"claim": "C01", "word": "Supported" if found % 2 else "Not shown", "provenance": "real", "as_of": as_of}}
pathlib.Path(verdict_file).write_text(json.dumps([verdict]))
"""
BRIEF = 'import pathlib\nprint(since, "failed:", failed, len([*pathlib.Path(verdict_folder).glob("*.json")]))'


# What the project is on a day


@dataclass(frozen=True)
class Report:
    """A report of the schedule, and what decides its number."""

    notebook: str
    every: str
    falls: Callable[[date], bool]  # the days on which it falls due
    file: str
    edition: int
    count: int = 3
    fresh_days: int | None = None


@dataclass(frozen=True)
class World:
    """All that reports are made of."""

    figures: Mapping[int, int]  # by year
    prices: Mapping[int, int]
    vintages: Mapping[str, str]  # by file
    count: int = 3  # of 01
    edition: int = 2  # of the notebook of 02
    swept: tuple[int, ...] = (1, 2)
    layout: int = 0
    code: int = 0
    daily: bool = False  # whether 04 is in the schedule
    broken: bool = False  # whether a cell of 02 fails

    @property
    def tables(self) -> dict[str, Mapping[int, int]]:
        """The data by file."""
        return {"figures.csv": self.figures, "prices.csv": self.prices}

    @property
    def reports(self) -> dict[str, Report]:
        """All reports by name but the brief."""
        found = {
            "01_workdays": Report("01", "0 6 * * 1-5", lambda day: day.weekday() < 5, "figures.csv", 1, self.count),
            "02_weekly": Report(
                "02", "weekly on monday", lambda day: day.weekday() == 0, "figures.csv", self.edition, 3, FRESH
            ),
        }
        for count in self.swept:
            name = f"03_twice__count-{count}"
            found[name] = Report("03", "0 6 1,15 * *", lambda day: day.day in (1, 15), "prices.csv", 5, count)
        return found | ({"04_daily": Report("04", "daily", lambda day: True, "figures.csv", 10)} if self.daily else {})

    def number(self, name: str) -> int:
        """Return the estimate of a report."""
        report = self.reports[name]
        return report.edition * sum(self.tables[report.file].values()) + report.count

    def word(self, name: str) -> str:
        """Return the word of a report."""
        return "Supported" if self.number(name) % 2 else "Not shown"

    @property
    def common(self) -> tuple[Any, ...]:
        """What counts for each report: data, code, layout, and which reports there are to refer to."""
        return (self.figures, self.prices, self.vintages, self.layout, self.code, self.daily, self.swept[0])


def furnish(root: Path) -> None:
    """Lay out a project: code, layout and data of this checkout, which its code reads, and a folder for notebooks."""
    leave = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "analysis", root / "analysis", ignore=leave)
    (root / "reports").mkdir(exist_ok=True)
    for file in (ROOT / "reports").iterdir():
        if file.suffix in (".lua", ".typ", ".mplstyle", ".css"):
            shutil.copy(file, root / "reports")
    shutil.copytree(ROOT / "reports" / "fonts", root / "reports" / "fonts", ignore=leave)
    shutil.copytree(ROOT / "data", root / "data")
    for name in ("notebooks", "docs"):
        (root / name).mkdir()
    for name in ("docs/glossary.md", "CITATION.cff"):
        shutil.copy(ROOT / name, root / name)


def lay_out(root: Path, world: World) -> None:
    """Bring the project into the state of a day."""
    cards = [{**card, "vintage": "2020-01-01"} for card in data.package()["resources"]]
    for file, table in world.tables.items():
        text = "year,value\n" + "".join(f"{year},{value}\n" for year, value in table.items())
        (root / "data" / file).write_text(text)
        schema = {"primaryKey": "year", "fields": [{"name": name, "type": "integer"} for name in ("year", "value")]}
        card = {"name": file.removesuffix(".csv"), "path": file, "title": file, "bytes": len(text)}
        digest = hashlib.sha256(text.encode()).hexdigest()
        cards.append({**card, "hash": f"sha256:{digest}", "vintage": world.vintages[file], "schema": schema})
    (root / "data" / "datapackage.json").write_text(json.dumps({"resources": cards}))
    for known in world.reports.values():
        judge = JUDGE.format(file=known.file, edition=known.edition)
        broken = "1 / 0\n" if world.broken and known.notebook == "02" else ""
        write_notebook(root / "notebooks" / f"{known.notebook}.ipynb", broken + judge, parameters=PARAMETERS)
    write_notebook(root / "notebooks" / "00.ipynb", BRIEF, parameters=BRIEF_PARAMETERS)
    for file, mark, edition in (("reports/template.typ", "//", world.layout), ("analysis/errors.py", "#", world.code)):
        marked = f"\n{mark} edition {edition}\n" if edition else ""
        (root / file).write_text((ROOT / file).read_text(encoding="utf-8") + marked, encoding="utf-8")
    plans: dict[str, dict[str, Any]] = {"00_brief": {"name": "00_brief", "notebook": "00.ipynb"}}
    for name, known in world.reports.items():
        one = {"name": name.partition("__")[0], "notebook": f"{known.notebook}.ipynb", "every": known.every}
        one["parameters"] = {"count": [*world.swept] if "__" in name else known.count}
        plans[one["name"]] = one | ({"fresh_days": known.fresh_days} if known.fresh_days else {})
    plan = {"keep": KEEP, "reports": [*plans.values()]}
    (root / "reports" / "schedule.yml").write_text(json.dumps(plan))  # JSON is YAML


# What was done


@dataclass(frozen=True)
class Day:
    """A day of the scheduler: its date by the clock, what was changed before it, and which fault it has."""

    when: date
    kind: str = "nothing but the calendar"
    change: Callable[[World], World] = lambda world: world
    fault: str = ""


def revalued(file: str, year: int, by: int, when: date) -> Callable[[World], World]:
    """Return the change of a row of a data file, which then is of another vintage."""

    def change(world: World) -> World:
        table = world.tables[file]
        new = {**table, year: table.get(year, 0) + by}
        vintages = {**world.vintages, file: when.isoformat()}
        given: dict[str, Any] = {file.removesuffix(".csv"): new}
        return replace(world, vintages=vintages, **given)

    return change


CHANGES: dict[int, tuple[str, Callable[[World, date], World]]] = {
    3: ("data", lambda world, day: revalued("figures.csv", 2019, 1, day)(world)),
    7: ("parameter", lambda world, _: replace(world, count=4)),
    10: ("notebook", lambda world, _: replace(world, edition=3)),
    12: ("layout", lambda world, _: replace(world, layout=1)),
    14: ("data", lambda world, day: revalued("prices.csv", 2020, 2, day)(world)),
    16: ("data, on a day on which nothing is due", lambda world, day: revalued("figures.csv", 2020, 3, day)(world)),
    20: ("code", lambda world, _: replace(world, code=1)),
    24: ("sweep", lambda world, _: replace(world, swept=(1, 2, 3))),
    27: ("data", lambda world, day: revalued("figures.csv", 2021, 7, day)(world)),
    31: ("parameter", lambda world, _: replace(world, count=9)),
    35: ("data and parameter", lambda world, day: revalued("prices.csv", 2019, 1, day)(replace(world, count=2))),
    40: ("schedule", lambda world, _: replace(world, daily=True)),
    43: ("data", lambda world, day: revalued("figures.csv", 2019, 2, day)(world)),
    46: ("layout", lambda world, _: replace(world, layout=2)),
    49: ("notebook", lambda world, _: replace(world, edition=2)),
    55: ("parameter", lambda world, _: replace(world, count=3)),
    58: ("schedule", lambda world, _: replace(world, daily=False)),
    62: ("sweep", lambda world, _: replace(world, swept=(2, 3))),
    66: ("code", lambda world, _: replace(world, code=0)),
    70: ("notebook", lambda world, _: replace(world, edition=5)),
    73: ("layout", lambda world, _: replace(world, layout=0)),
    77: ("parameter", lambda world, _: replace(world, count=8)),
    80: ("data", lambda world, day: revalued("prices.csv", 2022, 4, day)(world)),
    84: ("data", lambda world, day: revalued("figures.csv", 2020, -1, day)(world)),
}
"""What is changed on which day, but for faults."""
BACK = {22: 3, 52: 30, 75: 1, 88: 40}  # by how many days the clock is back on a day
GAP = (38, 7)  # before which day there is a gap, of how many days
FAULTS = {"the runner is killed": 7, "a kernel is killed": 4, "a cell fails": 4}
FAULTS |= {"the folder is locked": 3, "the disk is full": 3, "a file of the last release is cut off": 3}
"""On how many days each fault falls."""


def calendar(days: int, chance: random.Random, *, small_disk: bool) -> list[Day]:
    """Return the days: changes where they are known to be, and faults on other days by chance."""
    found = list[Day]()
    for place in range(days):
        when = START + timedelta(place + (GAP[1] if place >= GAP[0] else 0))
        if place in BACK:
            found.append(Day(when - timedelta(BACK[place]), "the clock goes back"))
        elif place in CHANGES:
            kind, change = CHANGES[place]
            found.append(Day(when, kind, lambda world, change=change, when=when: change(world, when)))
        else:
            found.append(Day(when, "after a gap of a week" if place == GAP[0] else Day(when).kind))
    # not the last: what a run tells of a locked folder comes to the feed with the next run
    free = [at for at, day in enumerate(found[:-1]) if at and day.kind == Day(START).kind and day.when.weekday() < 5]
    wanted = [fault for fault, many in FAULTS.items() for _ in range(many) if small_disk or "disk" not in fault]
    chance.shuffle(wanted)
    for at, fault in zip(chance.sample(free, min(len(free), len(wanted))), wanted, strict=False):
        found[at] = replace(found[at], kind=fault, fault=fault)
    return found


# What a run has to tell


@dataclass
class Made:
    """A release that was made: of what, and the date of each of its reports."""

    name: str
    world: World
    dates: dict[str, date]
    before: Made | None  # the release that it is compared with
    cut: str = ""  # the file that was cut off afterwards


@dataclass
class Expected:
    """What a run has to tell, and the release that it makes."""

    outcome: str
    code: int
    release: str = ""
    reports: dict[str, str] = field(default_factory=dict)
    changed_words: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    failure: str = ""  # words that are told of it
    note: str = ""
    made: Made | None = None


def expected(day: Day, world: World, last: Made | None) -> Expected:
    """Return what a run has to tell."""
    when = day.when
    if day.fault == "the folder is locked":
        return Expected("refused", Exit.LOCKED, failure="is doing so already")
    if when.isoformat() < (newest := max(world.vintages.values())):
        return Expected("refused", Exit.REFUSED, failure=f"is of {newest} and may hold what was not known then")
    stands = None if last is None or last.cut else last
    reports = world.reports
    due = {name for name, one in reports.items() if _is_due(one, stands.dates.get(name) if stands else None, when)}
    stale = [
        f"data/{file} is of {newest}, {age} days old; at most {FRESH} were asked for"
        for name in due
        if reports[name].fresh_days and (age := (when - date.fromisoformat(newest)).days) > FRESH
        for file in [max(world.vintages, key=lambda one: world.vintages[one])]
    ]
    if stands and not due:
        lines = {name: f"not due  as of {dated}" for name, dated in stands.dates.items()}
        return Expected("unchanged", Exit.OK, stands.name, lines)
    changed = {name for name, one in reports.items() if not stands or _unlike(stands.world, world, name)}
    made = {*due, *changed, "00_brief"}
    dates = {name: when if name in made else stands.dates[name] for name in (*reports, "00_brief")}  # type: ignore[union-attr]
    word = "made" if world.broken else "published"
    lines = {name: word if name in made else f"unchanged  as of {dated}" for name, dated in dates.items()}
    if day.fault == "the disk is full":
        return Expected("failed", Exit.DISK_FULL, stale=stale, failure="")
    if world.broken:
        lines["02_weekly"] = "failed"
        failure = "02_weekly: a cell failed with ZeroDivisionError"
        return Expected("failed", Exit.FAILED, "", lines, stale=stale, failure=failure)
    both = [name for name in sorted(reports) if stands and name in stands.dates]
    words = [
        f"C01 in {name}: {stands.world.word(name)} before, {world.word(name)} now"
        for name in both
        if stands and stands.world.word(name) != world.word(name)
    ]
    note = f"not as it was made: {last.cut}" if last and last.cut else ""
    new = Made(when.isoformat(), world, dates, stands)
    return Expected("published", Exit.OK, new.name, lines, words, stale, note=note, made=new)


def _is_due(report: Report, stands: date | None, when: date) -> bool:
    return stands is None or any(report.falls(when - timedelta(ago)) for ago in range((when - stands).days))


def _unlike(old: World, new: World, name: str) -> bool:
    was, now = old.reports.get(name), new.reports[name]
    mine = was and (was.edition, was.count) == (now.edition, now.count)
    return not mine or old.common != new.common or (now.notebook == "02" and old.broken != new.broken)


def moved(old: World, new: World) -> Told:
    """Return what a release has to say of what moved since another one, and why."""
    was, now = old.reports, new.reports
    both = [name for name in now if name in was]
    cells = [cell for file in new.tables for cell in _cells(file, old.tables[file], new.tables[file])]
    of = {"code": ["errors.py"] * (old.code != new.code), "layout": ["template.typ"] * (old.layout != new.layout)}
    counts = {name: f"count {was[name].count}, now {now[name].count}" for name in both}
    counts = {name: said for name, said in counts.items() if was[name].count != now[name].count}
    of["parameters"] = [f"{name}: {said}" for name, said in counts.items()]
    of["notebooks"] = [name for name in both if was[name].edition != now[name].edition]
    numbers = {name: [old.number(name), new.number(name)] for name in both if old.number(name) != new.number(name)}
    causes = {
        name: [f"data {file}" for file in dict.fromkeys(cell[0] for cell in cells) if file == now[name].file]
        + ([f"parameter {counts[name]}"] if name in counts else [])
        + ["its notebook"] * (name in of["notebooks"])
        + ["code"] * bool(of["code"])
        for name in numbers
    }
    gone = {name: "new" if name in now else "gone" for name in was.keys() ^ now.keys()}
    return {
        "reports": sorted(f"{name} is {what}" for name, what in gone.items()),
        "words": {name: [old.word(name), new.word(name)] for name in both if old.word(name) != new.word(name)},
        "numbers": numbers,
        "data": cells,
        "made_of": {part: names for part, names in of.items() if names},
        "causes": causes,
    }


def _cells(file: str, old: Mapping[int, int], new: Mapping[int, int]) -> Iterator[list[str]]:
    for year, value in new.items():
        if year not in old:
            yield [file, f"year {year}", "", "", "the row is new"]
        elif value != old[year]:
            yield [file, f"year {year}", "value", str(old[year]), str(value)]


# The runs


@dataclass
class Ran:
    """A run that was: its day, what it had to tell, and what it told."""

    day: Day
    due: Expected
    code: int
    told: Told | None  # None if it was killed
    latest: str  # what `latest` showed afterwards
    made: Made | None = None  # the release that came to be


def command(root: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the command line of the project, with its own copy of the code."""
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with (root / "run.log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "runner", *arguments],
            cwd=root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )


def ran(root: Path, day: Day, world: World, last: Made | None, chance: random.Random) -> Ran:
    """Run a day with its fault, and return what it had to tell and what it told."""
    out = root / "reports"
    lay_out(root, world)
    if last and "cut off" in day.fault:
        last.cut = chance.choice(["01_workdays.pdf", "verdicts.json", "data.zip", "02_weekly.estimates.csv"])
        os.truncate(out / last.name / last.cut, (out / last.name / last.cut).stat().st_size // 2)
    due = expected(day, world, last)
    with _spoiled(out, day.fault, chance):
        process = command(root, "run", "--due", "--json", "--as-of", day.when.isoformat())
        if "killed" in day.fault:
            _kill(process, out, due.made.name if due.made else "", day.fault, chance)
        printed, _ = process.communicate(timeout=600)
    told = json.loads(printed) if process.returncode >= 0 else None
    shown = os.readlink(out / "latest") if (out / "latest").is_symlink() else ""
    made = due.made if due.made and (out / due.made.name).is_dir() else None
    return Ran(day, due, process.returncode, told, shown, made)


@contextlib.contextmanager
def _spoiled(out: Path, fault: str, chance: random.Random) -> Iterator[None]:
    """Hold the lock of the folder, or fill its disk but for a few pages."""
    filler = out / ".filler"
    with contextlib.ExitStack() as after:
        if "locked" in fault:
            fcntl.flock(after.enter_context((out / ".lock").open("a")), fcntl.LOCK_EX)
        if "disk" in fault:
            after.callback(filler.unlink)
            with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(bytes(1 << 16))
            os.truncate(filler, filler.stat().st_size - chance.choice([0, 40_000, 120_000]))
        yield


def _kill(process: subprocess.Popen[str], out: Path, name: str, fault: str, chance: random.Random) -> None:
    """Kill a run, or one of its kernels, after a while, when it gathers, or when its release is there."""
    late = time.monotonic() + chance.uniform(0.5, 6)
    moment = chance.choice(["a while", "it gathers", "it is there"])
    while process.poll() is None:
        if "kernel" in fault:
            with contextlib.suppress(psutil.Error):  # one may have ended by itself
                children = psutil.Process(process.pid).children()
                if kernels := [one for one in children if "ipykernel_launcher" in one.cmdline()]:
                    time.sleep(chance.uniform(0, 2))  # as it starts, or as it works
                    kernels[0].kill()
                    return
        elif (
            (moment == "a while" and time.monotonic() > late)
            or (moment == "it gathers" and [*out.glob(".run-*/new")])
            or (moment == "it is there" and (out / name).is_dir())
        ):
            process.send_signal(signal.SIGKILL)
            return
        time.sleep(PAUSE)


def quarter(root: Path, days: Sequence[Day], chance: random.Random) -> tuple[list[Ran], list[Made]]:
    """Run all days, and return the runs, and the releases that were made by the model."""
    world = World(
        {2019: 4, 2020: 6, 2021: 7}, {2019: 3, 2020: 5}, dict.fromkeys(("figures.csv", "prices.csv"), "2020-12-20")
    )
    runs, made = list[Ran](), list[Made]()
    for day in days:
        world = day.change(world)
        today = replace(world, broken=True) if "cell" in day.fault else world
        runs.append(ran(root, day, today, made[-1] if made else None, chance))
        if new := runs[-1].made:
            made.append(new)
        print(f"{day.when}  {day.kind:50}  {runs[-1].told['outcome'] if runs[-1].told else 'killed'}", flush=True)
    return runs, made


# Whether it was true


def untruths(run: Ran, newest: str) -> list[str]:
    """Return in what the JSON of a run is not what it had to tell."""
    due, told = run.due, run.told
    if told is None:
        return []
    lines = {
        name: re.sub(r"^(published|made) .*", r"\1", " ".join(line.split())) for name, line in told["reports"].items()
    }
    wanted = {name: " ".join(line.split()) for name, line in due.reports.items()}
    known: dict[str, tuple[Any, Any]] = {
        "exit code": (run.code, due.code),
        "outcome": (told["outcome"], due.outcome),
        "as_of": (told["as_of"], run.day.when.isoformat()),
        "release": (told["release"], due.release),
        "reports": (lines if wanted else {}, wanted),
        "changed_words": (told["changed_words"], due.changed_words),
        "stale": (told["stale"], due.stale),
        "failures": (len(told["failures"]), 1 if due.failure else 0) if "disk" not in run.day.fault else (0, 0),
        "failure": (due.failure in " ".join(told["failures"]), True),
        "full disk": ("disk" in run.day.fault and "disk is full" not in str(told["failures"]), False),
        "note": (due.note in " ".join(told.get("notes", [])), True),
        "draft": (told["draft"], "draft" if "cell" in run.day.fault and due.failure else "")
        if "disk" not in run.day.fault
        else ("", ""),
        "latest": (run.latest, newest),
    }
    return [f"{key}: {was!r} was told, and {right!r} is true" for key, (was, right) in known.items() if was != right]


def entries(out: Path) -> list[tuple[str, str, list[str]]]:
    """Return outcome, title and lines of the entries of the feed, the oldest first."""
    found = []
    for entry in ElementTree.parse(out / "feed.xml").getroot().findall(f"{ATOM}entry"):
        term = entry.find(f"{ATOM}category").get("term")  # type: ignore[union-attr]
        found.append((term, entry.findtext(f"{ATOM}title", ""), entry.findtext(f"{ATOM}content", "").splitlines()))
    return found[::-1]


def in_feed(runs: Sequence[Ran], out: Path) -> list[list[str]]:
    """Return for each run in what the feed does not tell of it, and of nothing else."""
    left, found = entries(out), list[list[str]]()
    for run in runs:
        told, faults = run.told, list[str]()
        unwritten = told is not None and any("could not be written" in one for one in told["notices"])
        if told is None and not run.made:
            found.append([])
            continue
        outcome = told["outcome"] if told else "published"
        name = told["release"] or told["draft"] if told else run.due.release
        right = bool(left) and left[0][0] == outcome and name in left[0][1] and run.day.when.isoformat() in left[0][1]
        if right:
            lines = left.pop(0)[2]
            wanted = [*told["changed_words"], *told["stale"]] if told else []
            wanted += [one.splitlines()[0][:30] for one in told["failures"]] if told else []
            wanted += [f"{name}: {' '.join(line.split())}" for name, line in told["reports"].items()] if told else []
            faults = [f"the feed lacks {one!r}" for one in wanted if not any(one in line for line in lines)]
        elif not unwritten:
            there = left[0][:2] if left else "nothing"
            faults = [f"the feed has no entry {outcome} {name} of it, and {there} in its place"]
        found.append(faults)
    return [*found, [f"the feed has an entry of no run: {one[:2]}" for one in left]]


def of_release(root: Path, made: Made) -> list[str]:
    """Return in what a release does not verify, and does not say what moved; of one cut off, if that is found."""
    folder, said = root / "reports" / made.name, io.StringIO()
    with contextlib.redirect_stdout(said):
        proved = verify.prove(root, folder, None)
    faults = [line for line in said.getvalue().splitlines() if line.startswith(f"{made.name}/")]
    if made.cut:
        return (
            [] if len(faults) == 1 and made.cut in faults[0] else [f"{made.cut} was cut off, and verify says {faults}"]
        )
    if proved != Exit.OK:
        return [f"it does not verify: {faults}"]
    told = json.loads((folder / "changes.json").read_bytes())
    if made.before is None:
        return [f"it tells of changes, and nothing stood before: {told['line']}"] if "line" in told else []
    if "line" not in told:
        return ["it tells of no changes"]
    numbers = {one["report"]: [_first(one[key]) for key in ("old", "new")] for one in told["numbers"]}
    cells = [[one[key] for key in ("file", "key", "column", "old", "new")] for one in told["data"]]
    was = {
        "reports": told["reports"],
        "words": {one["report"]: one["moved"]["word"] for one in told["words"]},
        "numbers": numbers,
        "data": cells,
        "made_of": told["made_of"],
        "causes": told["causes"],
        "since": told["since"],
    }
    right = {**moved(made.before.world, made.world), "since": made.before.name}
    faults = [f"{key}: {was[key]} is told, and {right[key]} is true" for key in right if was[key] != right[key]]
    many = len(right["numbers"])
    said_of = f"{many} number{'' if many == 1 else 's'} moved" if many else ""
    return faults + ([] if said_of in told["line"] else [f"its line says {told['line']!r}, and {said_of} is true"])


def _first(text: str) -> int:
    return int(float(re.sub(r"[^\d.-]", "", text.split(maxsplit=1)[0])))


def after_prune(root: Path, made: Sequence[Made], keep: int, *arguments: str) -> list[str]:
    """Prune, and return in what that did not keep the newest, the one that `latest` shows and a sound one."""
    before = entries(root / "reports")
    process = command(root, "prune", *arguments)
    printed, _ = process.communicate(timeout=600)
    right = [one.name for one in made[-keep:]]
    right = sorted({*right, next(one.name for one in reversed(made) if not one.cut)})
    there = release.names(root / "reports")
    faults = [] if there == right else [f"prune left {there}, and {right} were to stay: {printed}"]
    # of a release whose run was killed nothing but the release tells, and its entry goes with it
    same = all(one[:2] in [was[:2] for was in before] for one in entries(root / "reports"))
    return faults if same else [*faults, "prune changed the entries of the feed"]


def judged(root: Path, runs: Sequence[Ran], made: list[Made]) -> tuple[list[list[str]], list[str]]:
    """Return what was not true of each run, and of all of them together."""
    names = [one.name for one in made]
    newest, found = "", list[list[str]]()
    *told, beside = in_feed(runs, root / "reports")
    for run, more in zip(runs, told, strict=True):
        newest = run.made.name if run.made else newest
        found.append(untruths(run, newest) + more)
        if run.made:
            found[-1] += [f"release {newest}: {fault}" for fault in of_release(root, run.made)]
    if release.names(root / "reports") != names:
        beside.append(f"releases {release.names(root / 'reports')} are there, and {names} were made")
    beside += after_prune(root, made, KEEP)
    left, made[-1].cut = made[-KEEP:], "manifest of files"
    (root / "reports" / made[-1].name / "annex.pdf").write_bytes(b"%PDF")
    return found, beside + after_prune(root, left, 1, "--keep", "1")


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a file system of its own at a folder, if this process may, and say whether it did."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(folder)]
    mounted = (
        shutil.which("mount") is not None and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    )
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def show(runs: Sequence[Ran], found: Sequence[Sequence[str]], beside: Sequence[str]) -> int:
    """Print what was not true and a table by kind of day, and return how much it was."""
    for run, faults in zip(runs, found, strict=True):
        for fault in faults:
            print(f"{run.day.when}, {run.day.kind}: {fault}")
    for fault in beside:
        print(fault)
    days = Counter(run.day.kind for run in runs)
    wrong = Counter(run.day.kind for run, faults in zip(runs, found, strict=True) if faults)
    print(f"{'kind of day':50} {'days':>5} {'truthful':>9} {'not':>5}")
    for kind, many in days.items():
        print(f"{kind:50} {many:5} {many - wrong[kind]:9} {wrong[kind]:5}")
    print(f"{'all':50} {days.total():5} {days.total() - wrong.total():9} {wrong.total():5}")
    return wrong.total() + len(beside)


def main() -> int:
    """Run the quarter, and print what was not true and a table by kind of day."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=90, help="how many days (default 90)")
    parser.add_argument("--seed", type=int, default=1, help="decides on which days faults fall, and when (default 1)")
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as folder, small_disk(Path(folder) / "reports") as mounted:
        root = Path(folder)
        furnish(root)
        days = calendar(asked.runs, chance, small_disk=mounted)
        runs, made = quarter(root, days, chance)
        found, beside = judged(root, runs, made)
    print(f"\n{len(runs)} runs, {len(made)} releases" + ("" if mounted else "; no disk could be made small"))
    return 1 if show(runs, found, beside) else 0


if __name__ == "__main__":
    sys.exit(main())
