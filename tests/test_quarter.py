"""What scheduled runs tell is what was done to the project: days are made up, and a failure is
shrunk to the fewest.

Each run is the command line in a process of its own, which can be killed at a chosen moment; its
notebooks run in that process and its PDFs are stubs, since kernels, signals at any moment and small
disks are the business of benchmarks/faults.py. ``make quarter`` makes many.
"""

import contextlib
import io
import json
import os
import re
import signal
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from random import Random
from unittest import mock
from xml.etree import ElementTree

import pytest
from desk import BRIEF_PARAMETERS, Desk, describe, full_disk, plain, sources_kept
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from reading import read_json

from runner import ONCE, Exit, Outcome, Said, cli, kernels, log, release, remembered, site, verify
from runner.schedule import Notice

START = date(
    2021, 1, 1
)  # a Friday of the past: what is due on a day before today does not depend on the hour
FRESH = 20  # days
LOADED = ("papermill", "nbclient", "runner.annex", "runner.exports")
ATOM = "{http://www.w3.org/2005/Atom}"
"""Modules that every run needs, loaded once before its process begins."""

JUDGE = """\
import pandas as pd
from analysis.exhibits.payload import MIME, of_estimates, of_facts, of_verdicts
level = {edition} * int(pd.read_csv("{path}")["value"].sum()) + count
row = {{"id": "E1", "label": "level", "estimate": level, "std_error": 1.0, "unit": "dollars"}}
levels = of_estimates("estimates", "The level.", pd.DataFrame([row]))
word = "Supported" if level % 2 else "Not shown"
verdict = {{"claim": "C01", "word": word, "provenance": "real", "as_of": as_of}}
parts = [levels, of_facts([("file", "{file}")]), of_verdicts([verdict])]
display({{MIME: [part.as_json() for part in parts], "text/plain": f"Level: {{level}}."}})
"""
BRIEF = (
    'import pathlib\nprint("failed:", failed, len([*pathlib.Path(verdict_folder).glob("*.json")]))'
)


@dataclass(frozen=True)
class Report:
    """A report of the schedule, and what decides its number."""

    notebook: str
    every: str
    falls: Callable[[date], bool]  # the days on which it falls due
    file: str
    edition: int
    count: int = 3
    fresh_days: int = 0


@dataclass(frozen=True)
class World:
    """All that reports are made of."""

    tables: Mapping[str, Mapping[int, int]]  # by file and year
    vintages: Mapping[str, str]  # by file
    count: int = 3  # of 01
    edition: int = 2  # of the notebook of 02
    swept: tuple[int, ...] = (1, 2)
    layout: int = 0
    code: int = 0
    daily: bool = False  # whether 04 is in the schedule
    broken: bool = False  # whether a cell of 02 fails

    @property
    def reports(self):
        """All reports by name but the brief."""
        monday, workday = (lambda day: day.weekday() == 0), (lambda day: day.weekday() < 5)
        reports = {
            "01_workdays": Report("01", "0 6 * * 1-5", workday, "figures.csv", 1, self.count),
            "02_weekly": Report(
                "02", "weekly on monday", monday, "figures.csv", self.edition, fresh_days=FRESH
            ),
        }
        for count in self.swept:
            swept = Report(
                "03", "0 6 1,15 * *", lambda day: day.day in (1, 15), "prices.csv", 5, count
            )
            reports[f"03_twice__count-{count}"] = swept
        return reports | (
            {"04_daily": Report("04", "daily", bool, "figures.csv", 10)} if self.daily else {}
        )

    def number(self, name):
        """Return the estimate of a report."""
        report = self.reports[name]
        return report.edition * sum(self.tables[report.file].values()) + report.count

    def word(self, name):
        """Return the word of a report."""
        if self.number(name) % 2:
            return "Supported"
        return "Not shown"

    def recipe(self, name):
        """Return what decides a report: all data, code, layout, the reports that it may refer to,
        and its own.
        """
        report = self.reports[name]
        common = (self.tables, self.vintages, self.layout, self.code, self.daily, self.swept[0])
        return (*common, report.edition, report.count, self.broken and report.notebook == "02")

    def changed(self, what, value, when):
        """Return the world after a change; data that change have another vintage."""
        if what in self.tables:
            year, by = value
            table = self.tables[what]
            tables = {**self.tables, what: {**table, year: table.get(year, 0) + by}}
            return replace(self, tables=tables, vintages={**self.vintages, what: when.isoformat()})
        return replace(self, **{what: value})


def lay_out(desk, code, world):
    """Bring the project into the state of a day."""
    cards = []
    for file, table in world.tables.items():
        rows = "".join(f"{year},{value}\n" for year, value in table.items())
        (desk.root / "data" / file).write_text(f"year,value\n{rows}")
        schema = {
            "primaryKey": "year",
            "fields": [{"name": name, "type": "integer"} for name in ("year", "value")],
        }
        cards.append(describe(file, world.vintages[file]) | {"schema": schema})
    desk.declare(*cards)
    schedule = {"00_brief": {"name": "00_brief", "notebook": "00.ipynb"}}
    for name, report in world.reports.items():
        path = desk.root / "data" / report.file
        broken = world.broken and report.notebook == "02"
        judge = JUDGE.format(path=path, file=report.file, edition=report.edition)
        desk.write(report.notebook, "1 / 0" if broken else judge)
        values = {"count": [*world.swept] if "__" in name else report.count}
        entry = {
            "name": name.partition("__")[0],
            "notebook": f"{report.notebook}.ipynb",
            "every": report.every,
        }
        if report.fresh_days:
            fresh = {"fresh_days": report.fresh_days}
        else:
            fresh = {}
        schedule[entry["name"]] = entry | {"parameters": values} | fresh
    desk.write("00", BRIEF, parameters=BRIEF_PARAMETERS)
    (desk.reports / "schedule.yml").write_text(
        json.dumps({"reports": [*schedule.values()]})
    )  # JSON is YAML
    (desk.reports / "template.typ").write_text(f"// edition {world.layout}\n")
    (code / "errors.py").write_text(f"# edition {world.code}\n")


# What is true


@dataclass
class Made:
    """A release: what it was made of, the date of each of its reports, and the release that it is
    compared with.
    """

    name: str
    world: World
    dates: dict[str, date]
    before: "Made | None"
    cut: str = ""  # the file that was cut off afterwards


@dataclass(frozen=True)
class Told:
    """What a run tells."""

    outcome: str
    code: Exit
    failures: Sequence[str] = field(default_factory=list)  # words of each
    release: str = ""
    reports: Mapping[str, str] = field(default_factory=dict)
    changed_words: Sequence[str] = field(default_factory=list)
    stale: Sequence[str] = field(default_factory=list)
    draft: str = ""


def told_by_run(world, when, fault, last, name, stood):
    """Return what a run has to tell, and the release that it makes, or None; `stood` is what was
    stale before.
    """
    if fault == "locked":
        return Told("refused", Exit.LOCKED, ["is already doing so"]), None
    file = max(world.vintages, key=world.vintages.get)
    if when.isoformat() < world.vintages[file]:
        words = f"is dated {world.vintages[file]} and may include later knowledge"
        return Told("refused", Exit.REFUSED, [words], stale=stood), None
    stands = None if last is None or last.cut else last
    reports = world.reports
    if stands:
        dates = stands.dates
    else:
        dates = {}
    due = [
        name
        for name, report in reports.items()
        if name not in dates or falls_due(report, dates[name], when)
    ]
    age = (when - date.fromisoformat(world.vintages[file])).days
    sentence = (
        f"02_weekly: data/{file} is dated {world.vintages[file]}, {age} days ago; the schedule"
        f" allows at most {FRESH}"
    )
    same = any(said.startswith(sentence.partition(",")[0]) for said in stood)
    stale = [sentence] * (age > FRESH and ("02_weekly" in due or same))
    if stands and not due:
        return (
            Told(
                "unchanged",
                Exit.OK,
                [],
                stands.name,
                {name: f"not due as of {dates[name]}" for name in dates},
                stale=stale,
            ),
            None,
        )
    if last and last.cut:
        cut = [f"its files do not match: {last.cut}"]
    else:
        cut = []
    kept = [name for name in {*reports, *dates} - {*due, "00_brief"} if name in reports]
    same = [name for name in kept if stands.world.recipe(name) == world.recipe(name)]
    lines = {
        name: f"unchanged as of {dates[name]}" if name in same else "published"
        for name in (*reports, "00_brief")
    }
    if fault == "full" or world.broken:
        lines = {name: line.replace("published", "made") for name, line in lines.items()}
        if fault == "full":
            return (
                Told("failed", Exit.DISK_FULL, [*cut, "the disk is full"], "", lines, stale=stale),
                None,
            )
        lines["02_weekly"] = "failed"
        words = "02_weekly: a cell failed with ZeroDivisionError: division by zero"
        return (
            Told("failed", Exit.FAILED, [words, *cut], "", lines, stale=stale, draft="draft"),
            None,
        )
    words = [
        f"C01 in {name}: {stands.world.word(name)} before, {world.word(name)} now"
        for name in sorted(reports)
        if name in dates and stands.world.word(name) != world.word(name)
    ]
    made = Made(
        name, world, {name: dates[name] if name in same else when for name in lines}, stands
    )
    return Told("published", Exit.OK, cut, name, lines, words, stale), made


def falls_due(report, made, when):
    """Say whether a report falls due after a day and until another."""
    return any(report.falls(when - timedelta(ago)) for ago in range((when - made).days))


# What is told


def read_run(printed, code, true):
    """Return what a run told; of failures the true words if they are there."""
    told = plain(printed)
    lines = {name: " ".join(line.split()) for name, line in told["reports"].items()}
    lines = {name: re.sub("^(published|made) .*", r"\1", line) for name, line in lines.items()}
    pairs = zip_longest(sorted(told["failures"]), sorted(true.failures), fillvalue="")
    failures = [words if words and words in failure else failure for failure, words in pairs]
    same = sorted(failures) == sorted(true.failures)
    words = told["changed_words"]
    stale = told["stale"]
    if same:
        failures = true.failures
    return Told(
        told["outcome"], Exit(code), failures, told["release"], lines, words, stale, told["draft"]
    )


def titles(out):
    """Count the titles of entries of the feed."""
    entries = ElementTree.parse(out / "feed.xml").getroot().iter(f"{ATOM}entry")
    return Counter(entry.findtext(f"{ATOM}title", "") for entry in entries)


# The days


def forked(work):
    """Do some work in a process of its own; return its exit code or signal, and what it printed."""
    with tempfile.TemporaryFile("w+") as printed:
        process = os.fork()
        if not process:
            code = 99
            try:
                with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
                    code = work()
            except BaseException:
                traceback.print_exc(file=printed)
            printed.flush()
            os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        printed.seek(0)
        return code, printed.read()


def killing(function, after):
    """Return a function that ends its process before, or after, it does its work."""

    def kill(*positional, **named):
        if after:
            function(*positional, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    return kill


KILLS = {
    "killed as a report begins": (kernels.Kernels, "execute", False),
    "killed before the release is there": (release, "put", False),
    "killed when the release is there": (release, "put", True),
    "killed when it is shown": (release, "point", True),
    "killed before it is told": (site, "record", False),
}
CUT = ("01_workdays.pdf", "verdicts.json", "data.zip", "02_weekly.estimates.csv")
FAULTS = st.sampled_from(["", "", "", "broken", "full", "locked", *KILLS, *CUT])
CHANGES = st.one_of(
    st.tuples(st.just("broken"), st.just(False)),  # which is no change
    st.tuples(
        st.sampled_from(["figures.csv", "prices.csv"]),
        st.tuples(st.integers(2019, 2022), st.integers(1, 7)),
    ),
    st.tuples(st.just("count"), st.integers(1, 9)),
    st.tuples(st.just("edition"), st.integers(2, 5)),
    st.tuples(st.just("swept"), st.sampled_from([(1, 2), (1, 2, 3), (2, 3)])),
    st.tuples(st.sampled_from(["layout", "code"]), st.integers(0, 2)),
    st.tuples(st.just("daily"), st.booleans()),
)


class Quarter(RuleBasedStateMachine):
    """Days of a scheduler, each with a change of the project, a run and a fault."""

    def __init__(self):
        super().__init__()
        for module in LOADED:
            import_module(module)
        self.stack = contextlib.ExitStack()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.desk = Desk(folder / "project", kernels=False)
        self.code = folder / "sources" / "fewtreated/src/fewtreated"
        for context in (sources_kept(folder), self.desk.executing()):
            self.stack.enter_context(context)
        self.desk.furnish()
        self.out = self.desk.reports
        self.today = START
        files = ("figures.csv", "prices.csv")
        tables = dict(zip(files, ({2019: 4, 2020: 6, 2021: 7}, {2019: 3, 2020: 5}), strict=True))
        self.world, self.made, self.feed = (
            World(tables, dict.fromkeys(files, "2020-12-20")),
            [],
            Counter(),
        )
        self.logged = False
        self.stood = []  # what was stale after the last run
        self.given = Counter()  # names by day
        self.unlogged = []  # releases of runs that were killed before they were logged

    def teardown(self):
        self.stack.close()

    @rule(days=st.integers(0, 8), change=CHANGES, fault=FAULTS)
    def run(self, days, change, fault):
        """Let days pass, change something, and run with a fault."""
        self.today += timedelta(days)
        self.world = self.world.changed(*change, self.today)
        last = self.made[-1] if self.made else None
        when = self.today
        world = replace(self.world, broken=fault == "broken")
        if fault in CUT and last and not last.cut:
            last.cut = fault
            os.truncate(self.out / last.name / fault, 10)
        lay_out(self.desk, self.code, world)
        if there := self.given[when]:
            name = f"{when}.{there + 1}"
        else:
            name = when.isoformat()
        true, made = told_by_run(world, when, fault, last, name, self.stood)
        with self.spoiled(fault):
            code, printed = forked(
                lambda: self.command("run", "--due", "--json", "--as-of", when.isoformat())
            )
        killed = code == -signal.SIGKILL
        if made and (self.out / made.name).is_dir():
            faults = " ".join(verify.faults(release.read(self.out / made.name)))
            assert not faults or (killed and f"no line of {log.LOG} has it" in faults)
            since = read_json(self.out / made.name / "changes.json").get("since")
            assert since == getattr(made.before, "name", None)
            self.made.append(made)
            self.given[when] += 1
            if killed and fault == "killed before it is told":
                self.logged = True
                self.feed[f"Published: {made.name}"] += 1
            elif killed:
                self.unlogged.append(made.name)
        if killed:
            assert fault in KILLS
        else:
            if true.code not in (Exit.REFUSED, Exit.LOCKED):
                self.adopted()
            assert read_run(printed, code, true) == true
            self.look(true, json.loads(printed))

    def adopted(self):
        """Expect the releases of killed runs in the log."""
        self.logged |= bool(self.unlogged)
        self.feed.update(f"Published: {name}" for name in self.unlogged)
        self.unlogged = []

    def look(self, true, printed):
        """Hold the folder of releases against what is true."""
        names = [made.name for made in self.made]
        assert release.names(self.out) == names
        if true.outcome in ("published", "unchanged"):
            assert os.readlink(self.out / "latest") == names[-1]
        if true.code == Exit.LOCKED:
            return  # the run at work will tell
        self.logged |= bool(true.release or true.draft)  # what comes to nothing begins no log
        self.stood = [*true.stale] if self.logged else []
        where = printed["release"] or printed["draft"]
        day = printed["as_of"]
        if where.startswith(day):
            of = [where]
        else:
            of = [where, f"as of {day}"]
        is_entry = printed["outcome"] != "unchanged" or bool(printed["news"])
        self.feed[f"{printed['outcome'].capitalize()}: {', '.join(filter(None, of))}"] += (
            self.logged and is_entry
        )
        if self.logged:
            assert titles(self.out) == +self.feed

    @precondition(lambda self: any(not made.cut for made in self.made))
    @rule(keep=st.integers(1, 3))
    def prune(self, keep):
        """Prune: the newest stay, the one that `latest` shows, and the newest that is sound."""
        if (self.out / "latest").is_symlink():
            shown = os.readlink(self.out / "latest")
        else:
            shown = ""
        sound = next(made.name for made in reversed(self.made) if not made.cut)
        code, _ = forked(lambda: self.command("prune", "--keep", str(keep)))
        kept = [
            made for made in self.made if made in self.made[-keep:] or made.name in (shown, sound)
        ]
        assert (code, release.names(self.out)) == (Exit.OK, [made.name for made in kept])
        self.adopted()
        self.made = kept

    def command(self, *arguments):
        return cli.main([*arguments], self.desk.root)

    def spoiled(self, fault):
        """Hold the lock of the folder, fill its disk, or let a run be killed."""
        if fault == "locked":
            return release.locked(self.out)
        if fault == "full":
            return mock.patch.object(release, "put", full_disk)
        if fault in KILLS:
            owner, name, after = KILLS[fault]
            return mock.patch.object(owner, name, killing(getattr(owner, name), after))
        return contextlib.nullcontext()


@pytest.mark.slow
def test_runs_tell_what_was_done_to_the_project():
    examples = int(os.environ.get("QUARTERS", "2"))
    chosen = settings(max_examples=examples, stateful_step_count=30, deadline=None, database=None)
    run_state_machine_as_test(
        Quarter, settings=settings(chosen, suppress_health_check=[*HealthCheck])
    )


# A year of hourly runs, of which no report is made


REPORTS = [f"0{number}_report" for number in range(1, 5)]
DOWN = {"desk": 1 / 500, "chat": 1 / 300}  # how often a server dies, each hour
LONGEST = 24 * 30  # hours for which it stays so


@dataclass
class Ledger:
    """What somebody should be told, noted as it happens and not looked up in the log."""

    knows: set[str] = field(default_factory=set)
    owed: dict[str, str] = field(default_factory=dict)  # what began, and the day of the run
    words: list[tuple[str, str]] = field(default_factory=list)
    day: str = ""  # of the last run of which all was taken

    def lines(self, day, stands, turned):
        """Return what a letter should have, or nothing if none should come."""
        marked = {each: f"{each} (late: of {of})" for each, of in self.owed.items()}
        over = {*self.knows, *self.owed} - stands
        words = [f"{word} (late: of {of})" for word, of in self.words] + turned
        fails = any("fails" in each for each in stands)
        if not (stands - self.knows or over or words or (fails and day != self.day)):
            return []
        told = {each: each for each in self.knows} | {
            each: text for each, text in marked.items() if each not in self.knows
        }
        return sorted([*(told.get(each, each) for each in stands | over), *words])

    def missed(self, day, stands, turned):
        """Note what was not taken."""
        for each in stands - self.knows:
            self.owed.setdefault(each, day)
        self.words += [(word, day) for word in turned]

    def took(self, day, stands):
        """Note that all was taken."""
        self.knows, self.owed, self.words, self.day = {*stands}, {}, [], day


def conditions(random, stands):
    """Let some of what is wrong, stale or waited for begin, and some end."""
    for report in REPORTS:
        for what in ("fails", "is stale", "waits for a file"):
            text = f"{report} {what}"
            if random.random() < (1 / 30 if text in stands else 1 / 400):
                stands ^= {text}
    return stands


def hourly(day, stands, turned, hour):
    """Return the outcome of a run in which this stands, and these words have turned."""

    def said(what):
        texts = sorted(text for text in stands if what in text)
        return [
            Said(about=text.split()[0], said=text, again=ONCE * (what != "fails"), key=text)
            for text in texts
        ]

    return Outcome(
        outcome="published" if turned else "unchanged",
        release=day,
        as_of=day,
        reports=dict.fromkeys(REPORTS, "published"),
        failures=said("fails"),
        stale=said("stale"),
        waits=said("waits"),
        changed_words=turned,
        id=f"urn:{hour}",
        at=f"{day}T06:00:00",
    )


def year(hours, seed):
    """Yield what was told and what should have been, for each hour and way, and the fault."""
    random = Random(seed)
    notices = [
        Notice(email={"to": "desk@b.c", "from": "a@b.c", "host": "MAIL"}),
        Notice(webhook="CHAT"),
        Notice(command=["logger"]),
    ]
    names = dict(zip(remembered.ways(notices, []), ("desk", "chat", "log"), strict=True))
    ledgers = {way: Ledger() for way in names}
    runs, stands, seen = [], set(), set()
    down = dict.fromkeys(names, 0)
    ahead = 0
    for hour in range(hours):
        stands = conditions(random, stands)
        turned = [f"C{hour} turned"] * (random.random() < 1 / 200)
        fault = random.choices(["", "locked", "killed", "unreadable", "clock"], [400, 10, 5, 2, 1])[
            0
        ]
        if fault == "clock":
            ahead = random.randint(1, 5)
        ahead -= ahead > 0
        day = f"{START + timedelta(days=hour // 24 + 400 * (ahead > 0))}"
        for way, name in names.items():
            if down[way]:
                down[way] -= 1
            elif random.random() < DOWN.get(name, 0):
                down[way] = random.randint(1, LONGEST)
        if fault == "locked":
            continue
        if fault == "unreadable":
            wrong = [Said(said="The schedule fails to be read.", key="schedule")]
            outcome = Outcome(
                outcome="refused", as_of=day, failures=wrong, id=f"urn:{hour}", at=f"{day}T06:00"
            )
            outcome = remembered.remembered(outcome, runs, ())
            shown, turned = seen | {wrong[0].said}, []
        else:
            outcome = remembered.remembered(hourly(day, stands, turned, hour), runs)
            shown = {*stands}
        letters = {way: remembered.letter(outcome, runs, way) for way in names}
        taken = {}
        for way, letter in letters.items():
            ledger = ledgers[way]
            true = ledger.lines(day, shown, turned)
            if fault not in ("killed", "unreadable"):
                told = re.findall("^- (.+)", letter.letter if letter else "", re.MULTILINE)
                yield hour, names[way], sorted(told), true
                taken[way.id] = not (letter and down[way])
            if taken.get(way.id):
                ledger.took(day, shown)
            else:
                ledger.missed(day, shown, turned)
        seen = shown
        runs = log.remaining([*runs, outcome.model_copy(update={"ways": taken})])


@pytest.mark.parametrize(
    ("hours", "seed"),
    [(24 * 60, 1), *(pytest.param(24 * 365, seed, marks=pytest.mark.slow) for seed in range(3))],
)
def test_over_a_year_of_hourly_runs_each_way_is_told_each_thing_once_and_nothing_else(hours, seed):
    letters = Counter()
    for hour, name, told, true in year(hours, seed):
        assert told == true, f"hour {hour}, {name}"
        letters[name] += bool(told)
    assert min(letters.values()) > hours / 200
