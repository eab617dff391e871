"""Run the reports that are due, and send the news."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time
from functools import partial
from pathlib import Path

from fewtreated.errors import DataError, DesignError

from analysis import data
from runner import (
    UNSENT,
    Exit,
    Outcome,
    ReportError,
    Said,
    disk_full,
    publish,
    release,
    run,
    say,
    schedule,
    site,
)
from runner.release import Release
from runner.remembered import remembered
from runner.request import Request, folder
from runner.schedule import Job, Notice


def work(root: Path, request: Request, *, due: bool = False, as_json: bool = False) -> Exit:
    """Make reports, print the outcome, and notify the recipients listed in the schedule.

    Parameters
    ----------
    root : Path
        Folder of the project.
    request : Request
        If it publishes to a folder other than the schedule's, recipients are notified only if the
        run is for `due`.
    due : bool
        Whether to make only the reports that are due, and nothing if there are none.
    as_json : bool
        Whether to print only the outcome to standard output, as one JSON object.
    """
    recipients = tuple[Notice, ...]()
    keep = None
    waits = list[Said]()
    wrong = None

    def is_due(job: Job, standing: Release) -> str:
        stands = date.fromisoformat(standing.manifest.reports[job.name].as_of)
        now = moment(request.as_of)
        if job.reads_verdicts or not schedule.is_due(job.plan.every, now, stands):
            return ""
        files = [*awaited(root, job, standing)]
        waits.extend(Said(about=job.name, said=f"{job.name} waits for {file}.") for file in files)
        if files:
            return ""
        return f"due on {schedule.last_due(job.plan.every, now)}"

    try:
        plan = schedule.load(root)
        published = root / plan.publish
        out = folder(root, request, published)
        request = replace(request, out=out)
        if due or out.resolve() == published.resolve():
            recipients = plan.notices
            keep = plan.keep
        with withheld(plan.notices):
            outcome = run.reports(root, request, is_due if due else None)
        if request.panel:
            old = []
        else:
            old = [*stale(root, outcome, moment(request.as_of))]
        outcome = outcome.model_copy(update={"stale": old, "notes": [*outcome.notes, *waits]})
    except BaseException as error:
        outcome = stopped(error, request.as_of, (request.out or root / "reports").absolute())
        wrong = error
    ended = outcome_without_paths(outcome, root)
    faults = list[str]()
    if ended.code != Exit.LOCKED and not request.dry:  # if it is locked, the run at work will tell
        ended, faults = told(root, ended, recipients, keep)
    if as_json:
        say(json.dumps({**ended.model_dump(exclude={"at", "id"}), "notices": faults}))
    elif not wrong:
        outcome.tell()
        say(ended.line)
    for fault in faults:
        say(fault, sys.stderr)
    if wrong:
        raise wrong
    return outcome.code or (Exit.NOTICE if faults else Exit.OK)


def told(
    root: Path, outcome: Outcome, recipients: Sequence[Notice], keep: int | None
) -> tuple[Outcome, list[str]]:
    """Send the notices of a run and log it.

    Return its outcome with what the log knows, and what could not be told.

    It is logged after the news is sent, so that a run that is killed meanwhile is told again, and
    before the other notices, which may copy the page and the feed. Of the releases, the newest
    `keep` stay.
    """
    jobs = list[Job]()
    with suppress(DataError, DesignError):  # a schedule that cannot be read is told as such
        jobs = schedule.read_jobs(root)
    if outcome.outcome == "published":
        outcome = outcome.model_copy(update={"manifest": release.read(outcome.folder).digest})
    outcome = remembered(outcome, site.logged(outcome.out), jobs)
    briefs = [
        outcome.folder / f"{name}.pdf" for name in outcome.reports if schedule.number(name) == "00"
    ]
    send = partial(_send, root=root, brief=next(iter(briefs), None))
    faults = send(outcome, recipients, logged=False)
    if outcome.news and len(faults) == sum(notice.on == "news" for notice in recipients):
        outcome = outcome.model_copy(update={"news": UNSENT if faults else ""})
    try:
        site.record(outcome.out, outcome, datetime.now(UTC), keep=keep)
    except OSError as error:
        faults.append(
            f"The page and the feed in {outcome.out.name} could not be written ({error.strerror})."
        )
    return outcome, faults + send(outcome, recipients, logged=True)


def _send(
    outcome: Outcome, recipients: Sequence[Notice], *, root: Path, brief: Path | None, logged: bool
) -> list[str]:
    """Send notices, if there are any, and return the failures."""
    if not recipients:
        return []
    from runner import notices  # imports network clients

    return notices.send(
        outcome, recipients, environment=dict(os.environ), root=root, brief=brief, logged=logged
    )


@contextmanager
def withheld(notices: Iterable[Notice]) -> Iterator[None]:
    """Remove the notices' variables from the environment while notebooks run."""
    names = {name for notice in notices for name in notice.variables}
    hidden = {name: os.environ.pop(name) for name in names & os.environ.keys()}
    try:
        yield
    finally:
        os.environ |= hidden


def moment(as_of: str) -> datetime:
    """Return the time as of which reports are due.

    It is now if `as_of` is today, otherwise the end of that day.
    """
    day = date.fromisoformat(as_of)
    now = datetime.now()
    if day == now.date():
        return now
    return datetime.combine(day, time(23, 59))


def awaited(root: Path, job: Job, standing: Release) -> Iterator[str]:
    """Describe the files that a report is waiting for.

    They are missing, or unchanged since the standing report. Contents are compared, since the time
    of a file shows only when it was copied.
    """
    entry = standing.manifest.reports[job.name]
    read = standing.manifest.inputs["data"]
    for name in job.plan.waits_for:
        file = root / name
        if not file.is_file():
            yield f"{name}, which is missing"
        elif publish.sha256(file) == read.get(
            name.removeprefix("data/"), entry.files.get(file.name)
        ):
            yield f"{name}, which has not changed"


def stale(root: Path, outcome: Outcome, now: datetime) -> Iterator[Said]:
    """Describe due reports' data files that are older than the schedule allows.

    Each is told once for each day on which its report fell due, even if that waits for the file and
    so stays due.
    """
    known = [(run.as_of, each.key) for run in site.logged(outcome.out) for each in run.stale]
    if outcome.previous:
        stood = release.read(outcome.out / outcome.previous).manifest.reports
    else:
        stood = {}
    for job in schedule.read_jobs(root):
        entry = stood.get(job.name)
        limit = job.plan.fresh_days
        if limit and schedule.is_due(
            job.plan.every, now, date.fromisoformat(entry.as_of) if entry else None
        ):
            due = f"{schedule.last_due(job.plan.every, now) or now.date()}"
            for file, day in dated(root, job.plan.waits_for).items():
                said = f"{job.name}: {file} is dated {day}"
                days = (now.date() - day).days
                if days > limit and not any(as_of >= due and said == each for as_of, each in known):
                    more = f"{said}, {days:,} days ago; the schedule allows at most {limit}"
                    yield Said(about=job.name, said=more, key=said)


def dated(root: Path, files: Iterable[str]) -> dict[str, date]:
    """Return the date of each file, from the descriptor or else from the disk.

    If there are no files, return the date of the newest data.
    """
    declared = {
        f"data/{card['path']}": card["vintage"] for card in data.package(root / "data")["resources"]
    }
    names = [*files] or [f"data/{data.newest(root / 'data')['path']}"]
    dates = {name: date.fromisoformat(declared[name]) for name in names if name in declared}
    others = [name for name in names if name not in declared and (root / name).is_file()]
    return dates | {name: date.fromtimestamp((root / name).stat().st_mtime) for name in others}


def stopped(error: BaseException, as_of: str, out: Path) -> Outcome:
    """Return the outcome of a run that was stopped by an error or a signal."""
    refused = isinstance(error, DataError | DesignError | ReportError)
    if refused:
        outcome = "refused"
    elif isinstance(error, Exception):
        outcome = "failed"
    else:
        outcome = "interrupted"
    if disk_full(error):
        why = "the disk is full; make room and run again"
    else:
        why = str(error) or type(error).__name__
    if outcome == "interrupted":
        why = f"a signal ended the run ({why})"
    if isinstance(error, ReportError):
        code = error.code
    else:
        code = Exit.OK
    return Outcome(outcome=outcome, as_of=as_of, failures=[Said(said=why)], out=out, code=code)


def outcome_without_paths(outcome: Outcome, root: Path) -> Outcome:
    """Remove paths to the project and to the user's home folder from an outcome."""
    places = {f"{root.absolute()}/": "", str(root.absolute()): ".", **publish.home()}
    told = outcome.model_dump(include={"reports", "changed_words", "stale", "failures", "notes"})
    clean = json.loads(publish.replaced(json.dumps(told, ensure_ascii=False), places))
    return Outcome.model_validate({**dict(outcome), **clean})
