"""What is to be run: ``schedule.yml`` read strictly, and its jobs given their parameters."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from analysis import config
from analysis.errors import DesignError
from analysis.facts import descriptor

SIMULATED = "sim__"  # how the name of a report begins whose numbers are simulated
PANEL = "panel__"  # and one on a panel of one's own, beside the report of the same notebook on public figures


@dataclass(frozen=True)
class Paths:
    """Where the runner finds its things.

    Attributes
    ----------
    notebooks : Path
        Folder of the notebooks, and the working folder of their kernels.
    reports : Path
        Folder of ``schedule.yml`` and of the layout of the PDFs; reports are published
        here unless another folder is asked for.
    data : Path
        Folder of the data; each of its files is part of every fingerprint.
    """

    notebooks: Path
    reports: Path
    data: Path

    @classmethod
    def under(cls, root: Path) -> "Paths":
        """Return the paths of a repository."""
        return cls(root / "notebooks", root / "reports", root / "data")


@dataclass(frozen=True)
class Job:
    """One report: a notebook and its parameters.

    Attributes
    ----------
    name : str
        Name of the report and of the files that it publishes.
    notebook : Path
    parameters : mapping
        As written in the schedule; after `settle` a typed value for each parameter.
    files : tuple of Path
        What it reads beside the data folder, such as a panel or an event: part of its fingerprint.
    market : str
        The simulated market that it is about, ``"mid_3k, seed 1"``; empty where its numbers are real.
    """

    name: str
    notebook: Path
    parameters: Mapping[str, Any]
    files: tuple[Path, ...] = ()
    market: str = ""

    @property
    def number(self) -> str:
        """The two digits in its name."""
        return self.name.removeprefix(SIMULATED).removeprefix(PANEL)[:2]

    @property
    def tier(self) -> str:
        """Tier of its data; empty where its notebook knows only one."""
        return str(self.parameters.get("data_tier", ""))

    @property
    def is_brief(self) -> bool:
        """Whether it reads the verdicts of all others, and so runs after them."""
        return self.number == "00"

    @property
    def verdicts_parameter(self) -> str:
        """Name of the parameter that says where verdicts are read or written."""
        return "verdict_folder" if self.is_brief else "verdict_file"


def read(paths: Paths) -> list[Job]:
    """Read the schedule.

    Returns
    -------
    list of Job
        In the order of the file, the brief last.

    Raises
    ------
    DesignError
        For an unknown or missing key, a name used twice, or a notebook that does not exist.
    DataError
        If the file is missing or no YAML.
    """
    file = paths.reports / "schedule.yml"
    jobs = []
    for report in config.load(file, config.Schedule).reports:
        notebook = paths.notebooks / report.notebook
        if not notebook.is_file():
            raise DesignError(f"{file}, {report.name}: there is no notebook {report.notebook!r} in {paths.notebooks}.")
        jobs.append(Job(report.name, notebook, report.parameters))
    return sorted(jobs, key=lambda job: job.is_brief)


def select(jobs: list[Job], names: Iterable[str]) -> list[Job]:
    """Choose jobs by report name or number (``05``, which may have several); no names means all.

    The brief reads the verdicts of all others, so choosing it chooses them too: those that
    are unchanged cost nothing.

    Raises
    ------
    DesignError
        For a name that no report has.
    """
    chosen = set()
    for name in names:
        found = [job.name for job in jobs if name in (job.name, job.number)]
        if not found:
            raise DesignError(
                f"Report {name}: the schedule has no such report; choose from "
                f"{', '.join(sorted(job.name for job in jobs))}."
            )
        chosen.update(found)
    if not chosen or any(job.is_brief and job.name in chosen for job in jobs):
        return jobs
    return [job for job in jobs if job.name in chosen]


def settle(jobs: list[Job], given: Mapping[str, str], as_of: str) -> list[Job]:
    """Give each job a typed value for every parameter of its notebook.

    Parameters
    ----------
    jobs : list of Job
    given : mapping
        Text by name, from ``-p``; it goes to each job that knows the name, and it goes
        before the schedule.
    as_of : str
        Date of knowledge, YYYY-MM-DD.

    Raises
    ------
    DesignError
        For a name that no job knows or that only the runner sets, and as in `parameters`.
    """
    if not config.is_date(as_of):
        raise DesignError(f"As-of date: found {as_of!r}; give a date YYYY-MM-DD.")
    known = {job.name: config.parameters(job.notebook) for job in jobs}
    names = {name: set(model.model_fields) for name, model in known.items()}
    config.refuse_unknown(given, set().union(*names.values()))
    settled = []
    for job in jobs:
        _refuse_reserved(job, names[job.name], given)
        mine = {name: text for name, text in given.items() if name in names[job.name]}
        try:
            values = config.settled(known[job.name], {**job.parameters, **mine, "as_of": as_of})
        except DesignError as error:
            raise DesignError(f"Report {job.name}: {error}") from None
        settled.append(_of_market(replace(job, parameters=values)))
    return settled


def _of_market(job: Job) -> Job:
    """Name the market of a job that simulates one; its name must say so, and no other name may."""
    if job.tier == "panel" and not job.name.startswith(PANEL):
        raise DesignError(
            f"Report {job.name}: data_tier panel was asked for; a panel is read and checked before anything runs; give "
            "it with --panel FILE --out DIR."
        )
    if job.tier == "sim":
        preset = job.parameters.get("sim_preset", "as named")
        job = replace(job, market=f"{preset}, {_seeds(job.parameters)}")
    if job.name.startswith(SIMULATED) != bool(job.market):
        raise DesignError(
            f"Report {job.name}: its data_tier is {job.tier or 'not a parameter'!r}; the name begins with {SIMULATED} "
            "if and only if its numbers are simulated: choose or write the report of the other name."
        )
    return job


def _seeds(values: Mapping[str, Any]) -> str:
    """Name the seed of one market, or the first and the last of several."""
    if "first_seed" not in values:
        return f"seed {values.get('seed', 'as named')}"
    return f"seeds {values['first_seed']} to {values['first_seed'] + values['markets'] - 1}"


def refuse_foresight(paths: Paths, as_of: str) -> None:
    """Raise `DesignError` if the data hold what was not known yet at the date of knowledge."""
    card = descriptor.newest(paths.data)
    if as_of < card.vintage:
        raise DesignError(
            f"As-of date: {as_of} was asked for, but {paths.data / card.path} is of {card.vintage} and may hold what "
            f"was not known then; give --as-of {card.vintage} or later, or check out the data of that date from git."
        )


def refuse_unscheduled(paths: Paths, settled: list[Job], scheduled: list[Job], out: Path) -> None:
    """Raise `DesignError` if a job would be published among the scheduled reports with other parameters.

    Parameters
    ----------
    paths : Paths
    settled, scheduled : list of Job
        The same jobs, as they are to run and as the schedule has them.
    out : Path
        Where they are to be published.
    """
    if out.resolve() != paths.reports.resolve():
        return
    for job, plain in zip(settled, scheduled, strict=True):
        for name, value in job.parameters.items():
            if value != plain.parameters[name]:
                raise DesignError(
                    f"Parameter {name}: {value!r} was given for {job.name}, which the schedule runs with "
                    f"{plain.parameters[name]!r}, and {out} holds the reports of the schedule; give another folder "
                    "with --out DIR, or write the value into schedule.yml."
                )


def _refuse_reserved(job: Job, names: set[str], given: Mapping[str, str]) -> None:
    reserved = {"as_of", job.verdicts_parameter}
    if taken := reserved & (given.keys() | job.parameters.keys()):
        raise DesignError(
            f"Report {job.name}: {', '.join(sorted(taken))} was given as a parameter, but the runner "
            "sets it; use --as-of for the date."
        )
    if missing := reserved - names:
        raise DesignError(
            f"Report {job.name}: the parameters cell of {job.notebook.name} lacks "
            f"{', '.join(sorted(missing))}; add it, since the runner sets it."
        )
