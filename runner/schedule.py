"""Plan a run's reports and their parameters, from ``schedule.yml`` or for the user's own panel."""

from __future__ import annotations

import calendar
import itertools
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from cronsim import CronSim, CronSimError
from fewtreated.errors import DesignError
from pydantic import AfterValidator, BaseModel, Field, model_validator

from analysis import data, parameters, yaml
from analysis.event import Event, read_event, told_by
from analysis.simulated import market_of
from analysis.yaml import OneOrMore, Text, Written, is_like

SIMULATED = (  # prefix in the names of reports with simulated numbers: their folder in a release
    "simulated/"
)
PANEL = "panel_"  # prefix in the names of reports on a panel, simulated or the user's own
METHODS = "methods"  # the same for reports on methods
# parameters that the runner sets, each with its command-line option
OPTIONS = {
    "as_of": "--as-of",
    "verdict_folder": "--out",
    "panel_path": "--panel",
    "panel_map": "--map",
}

TOLD = ("failed", "panel", "since", "changed", "corrected")  # what the runner tells the brief
AGED = "stale_after_days"

CADENCES = {
    "daily": "0 0 * * *",
    "monthly on last": "0 0 L * *",
    **{f"weekly on {day.lower()}": f"0 0 * * {day[:3].upper()}" for day in calendar.day_name},
    # days that every month has
    **{f"monthly on {day}": f"0 0 {day} * *" for day in range(1, 29)},
}


def as_cron(every: str) -> str:
    """Convert a cadence in the schedule to a cron expression; raise `ValueError` if it is invalid.

    >>> as_cron("weekly on monday"), as_cron("monthly on last"), as_cron("30 6 * * 1-5")
    ('0 0 * * MON', '0 0 L * *', '30 6 * * 1-5')
    """
    if known := CADENCES.get(" ".join(every.lower().split())):
        return known
    with suppress(CronSimError, StopIteration):
        if len(every.split()) == 5:
            next(CronSim(every, datetime(2021, 1, 1)))
            return every
    expected = (
        "daily, weekly on monday, monthly on 1 (to 28, or last) or five cron fields, such as 30 6 *"
        " * 1-5"
    )
    raise ValueError(f"expected {expected}")


def last_due(every: str, now: datetime) -> date | None:
    """Return the last day on which a report fell due.

    Parameters
    ----------
    every : str
        As in the schedule: ``daily``, ``weekly on monday``, ``monthly on 1`` (or ``last``), or five
        fields of cron.
    now : datetime
        Local time, without a time zone.

    Returns
    -------
    date or None
        None for a cron expression without a match in the last fifty years.

    Examples
    --------
    >>> last_due("weekly on monday", datetime(2026, 11, 26, 12, 0))
    datetime.date(2026, 11, 23)
    """
    return next(
        (day.date() for day in CronSim(as_cron(every), now + timedelta(seconds=1), reverse=True)),
        None,
    )


def is_due(every: str, now: datetime, stands: date | None) -> bool:
    """Return whether a report is due, given the as-of date of the standing report, if there is one.

    However many runs were missed, the report is made once, since only the last due day counts. A
    report dated later than the clock, for example after the clock was set back, is not due.

    >>> is_due("weekly on monday", datetime(2026, 11, 26, 12, 0), date(2026, 11, 2))
    True
    >>> is_due("weekly on monday", datetime(2026, 11, 26, 12, 0), date(2026, 11, 26))
    False
    """
    last = last_due(every, now)
    return stands is None or (last is not None and stands < last)


Values = Annotated[tuple[Text, ...], Field(min_length=1), OneOrMore]
Variable = Annotated[
    str, is_like("the name of an environment variable, such as MAIL_HOST,", "[A-Z][A-Z0-9_]*")
]
Address = Annotated[
    str, is_like("an address such as reports@example.org", r"[^\s@<>,;]+@[^\s@<>,;]+")
]


class Plan(Written):
    """When to make a report, within which limits, and for whom.

    The report is not due while a file in `waits_for` is missing or unchanged since the standing
    report. Data older than `fresh_days` are stale. A report that fails is tried again up to
    `retries` times, after a pause.
    """

    every: Annotated[Text, AfterValidator(lambda every: as_cron(every) and every)] = "daily"
    waits_for: Annotated[tuple[Text, ...], OneOrMore] = ()
    fresh_days: Annotated[int, Field(ge=1, le=20_000)] | None = None
    owner: Annotated[tuple[Address, ...], OneOrMore] = ()  # gets letters about it too
    timeout: Annotated[float, Field(ge=1, le=1e6)] | None = (
        None  # seconds; None means that of the run
    )
    memory: Annotated[int, Field(ge=1024)] | None = None  # megabytes of address space
    retries: Annotated[int, Field(ge=0, le=9)] = 0
    pause: Annotated[float, Field(ge=0, le=3600)] = 60.0  # seconds
    formerly: Annotated[tuple[Text, ...], OneOrMore] = ()  # names in earlier releases


class Report(Plan):
    """A report in the schedule: its name, notebook, parameters and plan.

    Parameters are text, and only those that differ from the notebook's defaults are listed. A
    parameter with a list of values gives one report per value.
    """

    name: Annotated[
        str,
        is_like(
            "a name such as 02_growth, bazaar_2031/02_growth or simulated/panel_03_growth",
            rf"(\w+/)?(?!\w*__)(\d\d|{PANEL}\d\d|{METHODS})_\w+",
        ),
    ]
    notebook: Annotated[
        str, is_like("a notebook such as panel/03_growth.ipynb", r"(\w+/)?\w+\.ipynb")
    ]
    parameters: dict[Text, Values] = {}


class Mail(Written):
    """An e-mail with the brief.

    `host`, `user` and `password` are the names of the environment variables that contain them.
    """

    model_config = {"extra": "forbid", "frozen": True, "populate_by_name": True}

    to: Annotated[tuple[Address, ...], Field(min_length=1), OneOrMore]
    sender: Annotated[Address, Field(alias="from")]
    host: Variable  # contains HOST or HOST:PORT
    user: Variable | None = None
    password: Variable | None = None
    starttls: bool = True

    @model_validator(mode="after")
    def _fits(self) -> Mail:
        if (self.user is None) != (self.password is None):
            raise ValueError("expected user and password together, or neither")
        if self.user and not self.starttls:
            raise ValueError(
                "expected starttls, since a password sent in plain text can be intercepted"
            )
        return self


class Notice(Written):
    """A channel for news about runs: a command, an e-mail or a webhook.

    It is used for news, after each run, or after each release.
    """

    command: Annotated[tuple[Text, ...], Field(min_length=1)] | None = (
        None  # program and arguments, without a shell
    )
    email: Mail | None = None
    webhook: Variable | None = None  # contains an address https://...
    form: Literal["json", "slack"] = "json"  # format of the message to the webhook
    timeout: Annotated[float, Field(gt=0, le=86_400)] = 30.0  # seconds
    on: Literal["news", "always", "published"] = "news"

    @model_validator(mode="after")
    def _fits(self) -> Notice:
        if len({"command", "email", "webhook"} & self.model_fields_set) != 1:
            raise ValueError("expected exactly one of command, email and webhook")
        if self.form != "json" and self.webhook is None:
            raise ValueError("expected a webhook, since form applies only to webhooks")
        return self

    @property
    def kind(self) -> str:
        """Kind of channel: "command", "email" or "webhook"."""
        if self.command:
            return "command"
        if self.email:
            return "email"
        return "webhook"

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the environment variables that the notice needs."""
        mail = (self.email.host, self.email.user, self.email.password) if self.email else ()
        return tuple(name for name in (self.webhook, *mail) if name)


class Schedule(Written):
    """Contents of ``reports/schedule.yml``."""

    reports: Annotated[list[Report], Field(min_length=1)]
    publish: Text = "reports"  # folder of the releases, absolute or relative to the project
    keep: Annotated[int, Field(ge=1)] | None = (
        None  # number of releases that a run leaves; None means all
    )
    carry_failed: bool = (
        False  # whether a report that failed stands as it was, marked, in a release with the others
    )
    notices: tuple[Notice, ...] = ()
    # it may be a password instead of its variable's name
    secret_keys: ClassVar[frozenset[str]] = frozenset({"notices"})


@dataclass(frozen=True)
class Job:
    """A report to make: a notebook and its parameters.

    Parameters are text as in the schedule or, after `settled`, one typed value per parameter of the
    notebook. `files` are those read from outside the data folder, such as a panel. `market`
    describes the simulated market, if any. A report in a sweep has the name of the sweep in
    `sweep`, and its own values of the parameters that differ, as text, in `swept`.
    """

    name: str
    notebook: Path
    parameters: Mapping[str, Any]
    files: tuple[Path, ...] = ()
    market: str = ""
    sweep: str = ""
    swept: Mapping[str, str] = field(default_factory=dict)
    plan: Plan = field(default_factory=Plan)

    @property
    def called(self) -> set[str]:
        """Names that select the report: its own name, its short one and its sweep."""
        return {self.name, number(self.name), self.sweep or self.name}

    @property
    def is_brief(self) -> bool:
        """Whether the report is the brief, which is made last of all."""
        return number(self.name).rpartition("/")[2] == "00"

    @property
    def event(self) -> str:
        """The event that the report is about, as its parameter or else its folder names it."""
        return str(self.parameters.get("event", told_by(self.notebook_name)))

    @property
    def turn(self) -> int:
        """When the report is made: 0 first, 1 after the verdicts it reads, 2 for the brief."""
        return self.reads_verdicts + self.is_brief

    def reads(self, other: Job) -> bool:
        """Whether the report reads the verdicts of another: one made before it on its event."""
        return other.turn < self.turn and other.event == self.event

    @property
    def notebook_name(self) -> str:
        """Path of the notebook in the folder ``notebooks``."""
        parts = self.notebook.parts
        return "/".join(parts[len(parts) - parts[::-1].index("notebooks") :])

    @property
    def reads_verdicts(self) -> bool:
        """Whether the report shows the verdicts of the others, and so is made after them."""
        return "verdict_folder" in parameters.parameter_model(self.notebook).model_fields


def number(name: str) -> str:
    """Return the short name of a report, by which sentences and commands refer to it.

    >>> number("02_growth"), number("simulated/panel_03_growth"), number("methods_scenarios")
    ('02', 'panel_03', 'methods_scenarios')
    >>> number("bazaar_2031/02_growth")
    'bazaar_2031/02'
    """
    plain = name.removeprefix(SIMULATED)
    numbered = re.match(rf"(\w+/)?({PANEL})?\d\d", plain)
    if numbered:
        return numbered[0]
    return plain.partition("__")[0]


def varied(name: str) -> list[str]:
    """Return the values in a report's name that distinguish it from other reports in its sweep.

    >>> varied("simulated/panel_03_growth__seed-2__conf-0-9"), varied("simulated/panel_03_growth")
    (['seed-2', 'conf-0-9'], [])
    """
    return name.split("__")[1:]


def own_panel(path: Path, map: Path | None = None, event: str = data.SHIPPED) -> dict[str, str]:
    """Return the parameters that select the user's own panel.

    Paths are absolute, since kernels run in other folders.
    """
    if event.endswith(".yml"):
        event = str(Path(event).absolute())
    return {
        "event": event,
        "panel_path": str(path.absolute()),
        "panel_map": str(map.absolute()) if map else "",
    }


def load(root: Path) -> Schedule:
    """Read the schedule of a repository; raise `DataError` if it is invalid."""
    return yaml.load(root / "reports" / "schedule.yml", Schedule)


def read_jobs(root: Path) -> list[Job]:
    """Read the reports of a schedule in order, those that read verdicts after the others.

    A sweep gives one report per value.

    Raises
    ------
    DataError
        If the file is missing or does not match `Schedule`.
    DesignError
        If a notebook is missing, the runner itself sets a parameter, or two reports of a sweep have
        the same name.
    """
    file = root / "reports" / "schedule.yml"
    jobs = list[Job]()
    for report in load(root).reports:
        where = f"{file}, {report.name}"
        jobs += _sweep(root, report, where)
        names = [job.name.casefold() for job in jobs]
        if twice := [job.name for job in jobs if names.count(job.name.casefold()) > 1]:
            raise DesignError(
                f"{where}: {len(twice)} reports are named {twice[0]}; use different names or"
                " values."
            )
    return sorted(jobs, key=lambda job: job.turn)


def _sweep(root: Path, report: Report, where: str) -> Iterator[Job]:
    """Yield a report for each combination of its values; `where` names it in messages."""
    notebook = root / "notebooks" / report.notebook
    if not notebook.is_file():
        raise DesignError(
            f"{where}: there is no notebook {report.notebook!r} in {root / 'notebooks'}."
        )
    several = [name for name, values in report.parameters.items() if len(values) > 1]
    panels = set[str]()
    if "panel_path" in several:
        panels = {"panel_path", "panel_map"}
    _refuse_set(report.parameters.keys() - panels, where)
    plan = Job(report.name, notebook, {}, plan=report)
    if plan.reads_verdicts and several:
        raise DesignError(
            f"{where}: it reads the verdicts of the other reports, so it cannot be a sweep; use"
            " single values."
        )
    given = dict[str, str]()
    if report.fresh_days and AGED in parameters.parameter_model(notebook).model_fields:
        given[AGED] = str(report.fresh_days)
    for values in itertools.product(*report.parameters.values()):
        given |= zip(report.parameters, values, strict=True)
        yield _one(root, plan, given, several, panels)


def _one(
    root: Path, plan: Job, given: Mapping[str, str], several: list[str], panels: set[str]
) -> Job:
    """Return one report of a sweep over the parameters in `several`.

    Return the report itself if `several` is empty.
    """
    paths = {
        name: (root / given[name]).absolute()
        for name in sorted(panels, reverse=True)
        if name in given
    }
    event = given.get("event", "")
    places = []
    if event.endswith(".yml"):
        places = [plan.notebook.parent / event, root / event]
    swept = {name: paths[name].name if name in paths else given[name] for name in several}
    name = "__".join([plan.name, *(f"{each}-{_slug(given[each])}" for each in several)])
    files = (*paths.values(), *[file for file in places if file.is_file()][:1])
    values = {**given, **{name: str(path) for name, path in paths.items()}}
    return replace(
        plan,
        name=name,
        parameters=values,
        files=files,
        sweep=plan.name * bool(several),
        swept=swept,
    )


def _slug(text: str) -> str:
    """Shorten a value to letters, digits and hyphens, for use in a name.

    A path is shortened to its file name.

    >>> [_slug(text) for text in ("2", "-0.5", "private/panels/May 2026.csv", "all others")]
    ['2', 'minus-0-5', 'May-2026', 'all-others']
    """
    if "/" in text:
        text = Path(text).stem
    else:
        text = re.sub("^-", "minus ", text)
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:40]


def on_panel(scheduled: list[Job], panel: Mapping[str, str], given: Iterable[str]) -> list[Job]:
    """Return the jobs for a run on a panel.

    The names of reports on the panel itself begin with ``panel_``. The run has every notebook that
    can use a panel, the scheduled reports on real data if public figures cover the event of the
    panel, and the brief.
    """
    if "event" in given:
        raise DesignError("Parameter event was given with -p, but --panel sets it; use --event.")
    if panel["event"].endswith(".yml"):
        event_file = [Path(panel["event"])]
    else:
        event_file = []
    event = read_event(panel["event"])
    jobs = list[Job]()
    for job in scheduled:
        fields = parameters.parameter_model(job.notebook).model_fields
        mine = {name: text for name, text in panel.items() if name in fields}
        if "panel_path" in fields:
            from analysis.panel.map import joined_files  # imports pandas

            files = [Path(panel[name]) for name in ("panel_path", "panel_map") if panel[name]]
            files += joined_files(*files)
            name = (job.sweep or job.name).removeprefix(SIMULATED)
            name = PANEL * (not name.startswith(PANEL)) + name
            if name not in [
                each.name for each in jobs
            ]:  # a sweep over markets gives one report on the panel
                jobs.append(Job(name, job.notebook, mine, (*files, *event_file), plan=job.plan))
        elif number(job.name) == "00" or _is_about(event, job):
            jobs.append(replace(job, parameters={**job.parameters, **mine}, files=(*event_file,)))
    return sorted(jobs, key=lambda job: (job.turn, number(job.name), job.name.startswith(PANEL)))


def _is_about(event: Event, job: Job) -> bool:
    """Return whether a report tells of the public figures of an event."""
    return not job.name.startswith(SIMULATED) and event.is_told_by(told_by(job.notebook_name))


def named(jobs: list[Job], market: str, whole: list[Job]) -> list[Job]:
    """Rename the jobs of a run on a panel if the panel is simulated.

    The brief is renamed too if it reads nothing else; beside reports on public figures it keeps its
    name, and shows nothing about that market.
    """
    public = any(not job.name.startswith(PANEL) and not job.is_brief for job in whole)
    mine = {
        job.name
        for job in jobs
        if market and (job.name.startswith(PANEL) or (job.is_brief and not public))
    }
    new = (replace(job, name=SIMULATED + job.name, market=market) for job in jobs)
    return [other if job.name in mine else job for job, other in zip(jobs, new, strict=True)]


def meant(jobs: list[Job], name: str) -> str:
    """Return the name that jobs are called by, for a name as a user writes it.

    A number alone means a report on public figures: 2 is 02_growth. A set before it means that
    set: panel/2 is panel_02_spillovers. A word means the report whose name has it.

    Raises
    ------
    DesignError
        If no report has the name, or several have the word.
    """
    if any(name in job.called for job in jobs):
        return name
    kind, _, word = name.removeprefix(SIMULATED).rpartition("/")
    start = f"{kind}_" if kind else ""
    part = f"_{word}_"
    if word.isdecimal():
        start += f"{int(word):02}_"
        part = ""
    known = sorted({job.sweep or job.name for job in jobs})
    found = []
    for each in known:
        plain = each.removeprefix(SIMULATED)
        if plain.startswith(start) and part in f"_{plain}_":
            found.append(each)
    if not found:
        raise DesignError(f"Report {name} is not in the schedule; choose from {', '.join(known)}.")
    if len(found) > 1:
        raise DesignError(f"Report {name} could be {' or '.join(found)}; write one of these.")
    return found[0]


def select(jobs: list[Job], names: Iterable[str]) -> list[Job]:
    """Select jobs by name, number or word (see `meant`), or all jobs if no names are given.

    A report that reads the verdicts of others brings those along; unchanged ones are not run again.
    """
    wanted = {meant(jobs, name) for name in names}
    chosen = [job for job in jobs if wanted & job.called]
    return [job for job in jobs if job in chosen or any(each.reads(job) for each in chosen)] or jobs


def beside(jobs: Collection[Job]) -> dict[str, str]:
    """Return, for each number, the name of the report that others refer to.

    If several reports share a number, it is the report on public figures, or else the first.
    Reports in a sweep come after others. Simulated ones also have the key `SIMULATED` + number, for
    simulated reports.
    """
    names = {
        SIMULATED + number(job.name): job.name for job in jobs if job.name.startswith(SIMULATED)
    }
    for job in sorted(
        jobs, key=lambda job: (bool(job.sweep), job.name.startswith((SIMULATED, PANEL)))
    ):
        names.setdefault(number(job.name), job.name)
    return names


def seen_from(job: Job, beside: Mapping[str, str]) -> dict[str, str]:
    """Return the relative paths from a report to the others, by number.

    A simulated report refers to simulated reports where there are any.
    """
    if job.market:
        like = {
            name.removeprefix(SIMULATED): of
            for name, of in beside.items()
            if name.startswith(SIMULATED)
        }
        beside = {**beside, **like}
    return {name: os.path.relpath(of, Path(job.name).parent) for name, of in beside.items()}


def settled(jobs: list[Job], given: Mapping[str, str], as_of: str) -> list[Job]:
    """Give each job a typed value for every parameter of its notebook.

    Parameters
    ----------
    jobs : list of Job
    given : mapping
        Text by name, from ``-p``, for each job that has the parameter; it overrides the schedule.
    as_of : str
        As-of date, YYYY-MM-DD.

    Raises
    ------
    DesignError
        If no job knows a name or the runner sets it, if a value is not allowed, or if a report is
        simulated but its name does not begin with `SIMULATED`, or the reverse.
    """
    models = [parameters.parameter_model(job.notebook) for job in jobs]
    parameters.refuse_unknown(given, {name for model in models for name in model.model_fields})
    _refuse_set(given, "Option -p")
    return [
        _typed(job, model, {**given, "as_of": as_of})
        for job, model in zip(jobs, models, strict=True)
    ]


def _typed(job: Job, model: type[BaseModel], given: Mapping[str, str]) -> Job:
    """Return a job with a typed value for every parameter in the model of its notebook."""
    if "as_of" not in model.model_fields:
        raise DesignError(
            f"Report {job.name}: the parameters cell of {job.notebook_name} lacks as_of; add it."
        )
    mine = {name: text for name, text in given.items() if name in model.model_fields}
    if several := sorted(mine.keys() & job.swept.keys()):
        raise DesignError(
            f"Parameter {several[0]}: {job.sweep} lists its values in the schedule; edit that list."
        )
    try:
        values = parameters.settled(model, {**job.parameters, **mine})
    except DesignError as error:
        raise DesignError(f"Report {job.name}: {error}") from None
    market = job.market or _market(job, values)
    if job.name.startswith(SIMULATED) != bool(market):
        rule = (
            f"a name begins with {SIMULATED} if and only if the numbers are simulated: choose"
            " the other report"
        )
        raise DesignError(
            f"Report {job.name}: its parameters describe {market or 'no simulated market'}; {rule}."
        )
    return replace(job, parameters=values, market=market)


def asked(
    root: Path, panel: Mapping[str, str], given: Mapping[str, str], as_of: str
) -> dict[str, Any]:
    """Return the parameters of all reports on a panel; raise `DesignError` if any are invalid.

    `given` contains the parameters set with ``-p``.
    """
    jobs = settled(on_panel(read_jobs(root), panel, given), given, as_of)
    return {
        name: value
        for job in jobs
        if job.name.startswith(PANEL)
        for name, value in job.parameters.items()
    }


def varies(job: Job) -> bool:
    """Return whether a job has other numbers than its notebook was written for.

    That is so on a panel of the user's own, without some of the reports that it reads, or with
    parameters other than the defaults, apart from those that the runner sets.
    """
    if any(job.parameters.get(name) for name in ("panel_path", "panel", "failed")):
        return True
    fields = parameters.parameter_model(job.notebook).model_fields
    own = fields.keys() - {*OPTIONS, *TOLD, AGED}
    return any(job.parameters[name] != fields[name].default for name in own)


def _market(job: Job, values: Mapping[str, Any]) -> str:
    """Return the name of the simulated market that a report is about, or an empty string."""
    if job.sweep and values.get("panel_path"):
        from analysis.study import Study  # imports all that reads a panel

        return Study.open(values).market
    return market_of(job.notebook, values)


def _refuse_set(given: Iterable[str], where: str) -> None:
    for name in given:
        if name in OPTIONS:
            raise DesignError(
                f"{where}: {name} was given as a parameter, but the runner sets it; use"
                f" {OPTIONS[name]}."
            )


def today() -> str:
    """Return today's date from the system clock, as YYYY-MM-DD."""
    return date.today().isoformat()


def refuse_foresight(root: Path, as_of: str) -> None:
    """Raise `DesignError` for an as-of date after today or before the newest data."""
    if as_of > (now := today()):
        why = f"which is after today, {now}; use --as-of {now} or earlier, or set the clock."
        raise DesignError(f"Cannot publish reports as of {as_of}, {why}")
    newest = data.newest(root / "data")
    if as_of < (vintage := newest["vintage"]):
        why = (
            f"because {root / 'data' / newest['path']} is dated {vintage} and may include later"
            " knowledge"
        )
        do = f"use --as-of {vintage} or later, or check out the data of that date from git"
        raise DesignError(f"Cannot publish reports as of {as_of}, {why}; {do}.")
