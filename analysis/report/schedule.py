"""What is to be run: the reports of ``schedule.yml``, or those on a panel of one's own, with their parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from analysis import config, data
from analysis.errors import DesignError

SIMULATED = "sim__"  # how the name of a report begins whose numbers are simulated
PANEL = "panel__"  # and one on a panel of one's own
OPTIONS = {"as_of": "--as-of", "verdict_file": "--out", "verdict_folder": "--out"}
OPTIONS |= {"panel_path": "--panel", "panel_map": "--map"}
"""Parameters that the runner sets, and the options that say how."""


@dataclass(frozen=True)
class Job:
    """One report: a notebook and its parameters.

    They are text as in the schedule; after `settled` a typed value for each that the notebook has. `files` are those
    read beside the data folder, such as a panel. `market` is the simulated one, in words; empty if none is.
    """

    name: str
    notebook: Path
    parameters: Mapping[str, Any]
    files: tuple[Path, ...] = ()
    market: str = ""

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


def own_panel(path: Path, map: Path | None = None, event: str = config.ON_RECORD) -> dict[str, str]:
    """Return what a panel of one's own sets in each notebook; kernels run elsewhere, so files are named in full."""
    return {
        "event": str(Path(event).absolute()) if event.endswith(".yml") else event,
        "panel_path": str(path.absolute()),
        "panel_map": str(map.absolute()) if map else "",
    }


def read(root: Path) -> list[Job]:
    """Read the schedule of a repository, in its order, the brief last.

    Raises
    ------
    DataError
        If the file is missing or is not what `config.Schedule` says.
    DesignError
        If there is no such notebook, or a parameter is one that the runner sets.
    """
    file, jobs = root / "reports" / "schedule.yml", []
    for report in config.load(file, config.Schedule).reports:
        notebook = root / "notebooks" / report.notebook
        if not notebook.is_file():
            raise DesignError(f"{file}, {report.name}: there is no notebook {report.notebook!r} in {notebook.parent}.")
        _refuse_set(report.parameters, f"{file}, {report.name}")
        jobs.append(Job(report.name, notebook, report.parameters))
    return sorted(jobs, key=lambda job: job.is_brief)


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
            jobs.append(Job(PANEL + job.name.removeprefix(SIMULATED), job.notebook, mine, (*files, *event_file)))
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
    if unknown := wanted - {name for job in jobs for name in (job.name, job.number)}:
        there = ", ".join(sorted(job.name for job in jobs))
        raise DesignError(f"Report {min(unknown)}: the schedule has no such report; choose from {there}.")
    chosen = [job for job in jobs if wanted & {job.name, job.number}]
    return jobs if any(job.is_brief for job in chosen) else chosen or jobs


def beside(jobs: Iterable[Job]) -> dict[str, str]:
    """Return by number the report that others refer to: of several the one on public figures, or else the first."""
    found = dict[str, str]()
    for job in sorted(jobs, key=lambda job: job.name.startswith((SIMULATED, PANEL))):
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
        try:
            values = config.settled(model, {**job.parameters, **mine, "as_of": as_of})
        except DesignError as error:
            raise DesignError(f"Report {job.name}: {error}") from None
        market = job.market or _market(job.notebook.name, values)
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


def _market(notebook: str, values: Mapping[str, Any]) -> str:
    """Name the market that a notebook with these parameters simulates; empty if none."""
    if "sim_preset" not in values or values.get("panel_path"):
        return ""
    from analysis.market.parameters import MANY_MARKETS, MANY_SIZES, market_named  # nothing else here needs a market

    seeds = (values["first_seed"], values["markets"]) if "first_seed" in values else (values["seed"],)
    several = {"07_scenarios.ipynb": MANY_SIZES, "09_households_twin.ipynb": MANY_MARKETS}
    return several.get(notebook, "{}").format(market_named(values["sim_preset"], *seeds))


def _refuse_set(given: Iterable[str], where: str) -> None:
    for name in given:
        if name in OPTIONS:
            raise DesignError(f"{where}: {name} was given as a parameter, but the runner sets it; use {OPTIONS[name]}.")


def refuse_foresight(root: Path, as_of: str) -> None:
    """Raise `DesignError` if the data hold what was not known yet at the date of knowledge."""
    newest = data.newest(root / "data")
    file, vintage = root / "data" / newest["path"], newest["vintage"]
    if as_of < vintage:
        raise DesignError(
            f"As-of date: {as_of} was asked for, but {file} is of {vintage} and may hold what was not known then; give "
            f"--as-of {vintage} or later, or check out the data of that date from git."
        )
