"""What is to be run: the reports of ``schedule.yml``, or those on a panel of one's own, with their parameters."""

from __future__ import annotations

import datetime
import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from analysis import config, data
from analysis.errors import DesignError

SIMULATED = "sim__"  # how the name of a report begins whose numbers are simulated
PANEL = "panel__"  # and one on a panel of one's own
OPTIONS = {"as_of": "--as-of", "verdict_file": "--out", "verdict_folder": "--out"}
OPTIONS |= {"panel_path": "--panel", "panel_map": "--map"}
"""Parameters that the runner sets, and the options that say how."""
MOST = 200  # reports of one sweep


@dataclass(frozen=True)
class Job:
    """One report: a notebook and its parameters.

    They are text as in the schedule; after `settled` a typed value for each that the notebook has. `files` are those
    read beside the data folder, such as a panel. `market` is the simulated one, in words; empty if none is. When it is
    due say `every`, `waits_for` and `fresh_days`, as in the schedule. One of a sweep has the name of the sweep, and of
    the parameters that differ there the text of `swept`.
    """

    name: str
    notebook: Path
    parameters: Mapping[str, Any]
    files: tuple[Path, ...] = ()
    market: str = ""
    every: str = "daily"
    waits_for: tuple[str, ...] = ()
    fresh_days: int | None = None
    sweep: str = ""
    swept: Mapping[str, str] = field(default_factory=dict)

    @property
    def called(self) -> set[str]:
        """What a user may call it: its name, its number, and the name of its sweep."""
        return {self.name, self.number, self.sweep or self.name}

    @property
    def number(self) -> str:
        """The two digits in its name."""
        return number(self.name)

    @property
    def is_brief(self) -> bool:
        """Whether it reads the verdicts of all others, and so runs after them."""
        return self.number == "00"

    @property
    def verdicts_parameter(self) -> str:
        """Name of the parameter that says where verdicts are read or written."""
        return "verdict_folder" if self.is_brief else "verdict_file"


def number(name: str) -> str:
    """Return the two digits in the name of a report."""
    return name.removeprefix(SIMULATED).removeprefix(PANEL)[:2]


def varied(name: str) -> list[str]:
    """Return which values make a report one of its sweep, by its name.

    >>> varied("sim__05_growth_panel__seed-2__conf-0-9"), varied("sim__05_growth_panel")
    (['seed-2', 'conf-0-9'], [])
    """
    return name.removeprefix(SIMULATED).removeprefix(PANEL).split("__")[1:]


def own_panel(path: Path, map: Path | None = None, event: str = config.ON_RECORD) -> dict[str, str]:
    """Return what a panel of one's own sets in each notebook; kernels run elsewhere, so files are named in full."""
    return {
        "event": str(Path(event).absolute()) if event.endswith(".yml") else event,
        "panel_path": str(path.absolute()),
        "panel_map": str(map.absolute()) if map else "",
    }


def load(root: Path) -> config.Schedule:
    """Read the schedule of a repository as it is written; what is wrong with it is a `DataError`."""
    return config.load(root / "reports" / "schedule.yml", config.Schedule)


def read(root: Path) -> list[Job]:
    """Read the reports of a repository's schedule, in its order, the brief last; a sweep is a report of each value.

    Raises
    ------
    DataError
        If the file is missing or is not what `config.Schedule` says.
    DesignError
        If there is no such notebook, a parameter is one that the runner sets, or two reports of a sweep have one name.
    """
    file, jobs = root / "reports" / "schedule.yml", list[Job]()
    for report in load(root).reports:
        notebook, where = root / "notebooks" / report.notebook, f"{file}, {report.name}"
        if not notebook.is_file():
            raise DesignError(f"{where}: there is no notebook {report.notebook!r} in {notebook.parent}.")
        _refuse_set(report.parameters.keys() - _panels(report), where)
        plan = Job(report.name, notebook, {}, (), "", report.every, report.waits_for, report.fresh_days)
        limit = {"stale_after_days": str(report.fresh_days)} if report.fresh_days else {}
        limit = {name: text for name, text in limit.items() if name in config.parameters(notebook).model_fields}
        found = [_one(root, plan, {**limit, **given}, report) for given in _combined(report, where)]
        names = [job.name.casefold() for job in found]
        if twice := [job.name for job in found if names.count(job.name.casefold()) > 1]:
            raise DesignError(f"{where}: {len(twice)} reports of its sweep are called {twice[0]}; give other values.")
        jobs += found
    return sorted(jobs, key=lambda job: job.is_brief)


def _panels(report: config.Report) -> set[str]:
    """Return the parameters that name panels, where a report is made of each of several."""
    return {"panel_path", "panel_map"} if len(report.parameters.get("panel_path", ())) > 1 else set()


def _combined(report: config.Report, where: str) -> list[dict[str, str]]:
    """Return the parameters of each report of a sweep: every combination of values, in the order of the schedule."""
    combinations = itertools.product(*report.parameters.values())
    found = [dict(zip(report.parameters, values, strict=True)) for values in itertools.islice(combinations, MOST + 1)]
    if len(found) > MOST:
        raise DesignError(
            f"{where}: at most {MOST} reports of one sweep were asked for; found more; shorten its lists."
        )
    return found


def _one(root: Path, plan: Job, given: dict[str, str], report: config.Report) -> Job:
    """Return one report of a sweep, or the report itself where no parameter has several values."""
    varied = {name: given[name] for name, values in report.parameters.items() if len(values) > 1}
    if plan.number == "00" and varied:
        raise DesignError(f"{report.name}: the brief reads all reports, and there is one; give it no list of values.")
    files = [(root / given[name]).absolute() for name in sorted(_panels(report), reverse=True) if name in given]
    if given.get("event", "").endswith(".yml"):
        files += [file for file in (plan.notebook.parent / given["event"], root / given["event"]) if file.is_file()][:1]
    here = {name: str((root / given[name]).absolute()) for name in _panels(report) if name in given}
    swept = {name: Path(text).name if name in here else text for name, text in varied.items()}
    parts = [report.name, *(f"{name}-{_slug(text)}" for name, text in varied.items())]
    return replace(
        plan,
        name="__".join(parts),
        parameters={**given, **here},
        files=tuple(files),
        sweep=report.name if varied else "",
        swept=swept,
    )


def _slug(text: str) -> str:
    """Return a value as a part of a name, short and without signs; of a file its own name.

    >>> [_slug(text) for text in ("2", "-0.5", "private/panels/May 2026.csv", "all others")]
    ['2', 'minus-0-5', 'May-2026', 'all-others']
    """
    text = Path(text).stem if "/" in text else re.sub("^-", "minus ", text)
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:40]


def on_panel(scheduled: list[Job], panel: Mapping[str, str], given: Iterable[str]) -> list[Job]:
    """Return the reports of a run on a panel, those on the panel as ``panel__...``.

    They are the notebooks that can take a panel; the scheduled reports that are not simulated, where public figures are
    of the panel's event; and the brief.
    """
    if "event" in given:
        raise DesignError("Parameter event: it was given beside --panel, which sets it; use --event.")
    event_file = [Path(panel["event"])] if panel["event"].endswith(".yml") else []
    on_record, jobs = config.read_event(panel["event"]).on_record, list[Job]()
    for job in scheduled:
        known = config.parameters(job.notebook).model_fields
        mine = {name: text for name, text in panel.items() if name in known}
        if "panel_path" in known:
            files = [Path(panel[name]) for name in ("panel_path", "panel_map") if panel[name]]
            name = PANEL + (job.sweep or job.name).removeprefix(SIMULATED)
            if name not in [one.name for one in jobs]:  # a sweep over markets is one report on the panel
                jobs.append(Job(name, job.notebook, mine, (*files, *event_file)))
        elif job.is_brief or (on_record and not job.name.startswith(SIMULATED)):
            jobs.append(replace(job, parameters={**job.parameters, **mine}, files=(*event_file,)))
    return sorted(jobs, key=lambda job: (job.is_brief, job.number, job.name.startswith(PANEL)))


def named(jobs: list[Job], market: str, whole: list[Job]) -> list[Job]:
    """Return jobs of a run on a panel with the names that a simulated panel asks for.

    The brief is of that market too where it has nothing else to tell; beside public figures it keeps its name, and
    nothing of that market is on its page.
    """
    public = any(not job.name.startswith(PANEL) and not job.is_brief for job in whole)
    return [
        replace(job, name=SIMULATED + job.name.removeprefix(PANEL), market=market)
        if market and (job.name.startswith(PANEL) or (job.is_brief and not public))
        else job
        for job in jobs
    ]


def select(jobs: list[Job], names: Iterable[str]) -> list[Job]:
    """Choose jobs by report name or number (``05``, which may have several); no names means all.

    The brief reads the verdicts of all others, so choosing it chooses them too: those that are unchanged cost nothing.
    """
    wanted = {*names}
    if unknown := wanted - {name for job in jobs for name in job.called}:
        there = ", ".join(sorted(job.name for job in jobs))
        raise DesignError(f"Report {min(unknown)}: the schedule has no such report; choose from {there}.")
    chosen = [job for job in jobs if wanted & job.called]
    return jobs if any(job.is_brief for job in chosen) else chosen or jobs


def beside(jobs: Iterable[Job]) -> dict[str, str]:
    """Return by number the report that others refer to: of several the one on public figures, or else the first.

    One of a sweep goes after others.
    """
    found = dict[str, str]()
    for job in sorted(jobs, key=lambda job: (bool(job.sweep), job.name.startswith((SIMULATED, PANEL)))):
        found.setdefault(job.number, job.name)
    return found


def settled(jobs: list[Job], given: Mapping[str, str], as_of: str) -> list[Job]:
    """Give each job a typed value for every parameter of its notebook.

    Parameters
    ----------
    jobs : list of Job
    given : mapping
        Text by name, from ``-p``; it goes to each job that knows the name, and it goes before the schedule.
    as_of : str
        Date of knowledge, YYYY-MM-DD.

    Raises
    ------
    DesignError
        For a name that no job knows or that the runner sets, a value that is not allowed, and a report that is
        simulated and has not the name of one, or the other way about.
    """
    models = [config.parameters(job.notebook) for job in jobs]
    config.refuse_unknown(given, {name for model in models for name in model.model_fields})
    _refuse_set(given, "Option -p")
    found = []
    for job, model in zip(jobs, models, strict=True):
        if missing := {"as_of", job.verdicts_parameter} - model.model_fields.keys():
            lacks = ", ".join(sorted(missing))
            raise DesignError(f"Report {job.name}: the parameters cell of {job.notebook.name} lacks {lacks}; add it.")
        mine = {name: text for name, text in given.items() if name in model.model_fields}
        if several := sorted(mine.keys() & job.swept.keys()):
            raise DesignError(f"Parameter {several[0]}: the schedule sweeps over it in {job.sweep}; change it there.")
        try:
            values = config.settled(model, {**job.parameters, **mine, "as_of": as_of})
        except DesignError as error:
            raise DesignError(f"Report {job.name}: {error}") from None
        market = job.market or _market(job.notebook.name, values, of_panel=bool(job.sweep))
        if job.name.startswith(SIMULATED) != bool(market):
            raise DesignError(
                f"Report {job.name}: its parameters are of {market or 'no simulated market'}; a name begins with "
                f"{SIMULATED} if and only if the numbers are simulated: choose or write the report of the other name."
            )
        found.append(replace(job, parameters=values, market=market))
    return found


def asked(root: Path, panel: Mapping[str, str], given: Mapping[str, str], as_of: str) -> dict[str, Any]:
    """Return the parameters of all reports on a panel, as a run with ``-p`` of `given` would have them; or refuse."""
    jobs = settled(on_panel(read(root), panel, given), given, as_of)
    return {name: value for job in jobs if job.name.startswith(PANEL) for name, value in job.parameters.items()}


def _market(notebook: str, values: Mapping[str, Any], *, of_panel: bool) -> str:
    """Name the market that a notebook with these parameters simulates, or that of its panel; empty if none."""
    if "sim_preset" not in values or values.get("panel_path"):
        if not of_panel or not values.get("panel_path"):
            return ""
        from analysis.study import Study

        return Study.open(values).market
    from analysis.market.parameters import MANY_MARKETS, MANY_SIZES, market_named  # nothing else here needs a market

    seeds = (values["first_seed"], values["markets"]) if "first_seed" in values else (values["seed"],)
    several = {"07_scenarios.ipynb": MANY_SIZES, "09_households_twin.ipynb": MANY_MARKETS}
    return several.get(notebook, "{}").format(market_named(values["sim_preset"], *seeds))


def _refuse_set(given: Iterable[str], where: str) -> None:
    for name in given:
        if name in OPTIONS:
            raise DesignError(f"{where}: {name} was given as a parameter, but the runner sets it; use {OPTIONS[name]}.")


def today() -> str:
    """Return the date of the clock, YYYY-MM-DD."""
    return datetime.date.today().isoformat()


def refuse_foresight(root: Path, as_of: str) -> None:
    """Raise `DesignError` for a date of knowledge after today, and for one before that of the data."""
    if as_of > (now := today()):
        raise DesignError(
            f"As-of date: cannot publish reports as of {as_of}, which is after today, {now} by the clock; give --as-of "
            f"{now} or earlier, or set the clock."
        )
    newest = data.newest(root / "data")
    file, vintage = root / "data" / newest["path"], newest["vintage"]
    if as_of < vintage:
        raise DesignError(
            f"As-of date: {as_of} was asked for, but {file} is of {vintage} and may hold what was not known then; give "
            f"--as-of {vintage} or later, or check out the data of that date from git."
        )
