"""Run the reports that are due, and send the news."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time
from functools import partial
from pathlib import Path

from fewtreated.errors import DataError, DesignError

from analysis import data
from runner import (
    ASIDE,
    ONCE,
    Exit,
    Outcome,
    ReportError,
    Said,
    disk_full,
    log,
    publish,
    release,
    remembered,
    run,
    say,
    schedule,
    site,
)
from runner.release import Release
from runner.remembered import LOOKED_AT, Way
from runner.request import Request, folder
from runner.schedule import Job, Notice

PLACE = Path("reports", ".published")  # file that names the folder of the releases


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
    plan = None
    recipients = tuple[Notice, ...]()
    keep = None
    waits = list[Said]()
    wrong = None
    try:
        plan = schedule.load(root)
        published = root / plan.publish
        out = folder(root, request, published)
        if due or out.resolve() == published.resolve():
            recipients = plan.notices
            keep = plan.keep
        notes = list[Said]()
        if out == published.absolute() and not (request.out or request.dry):
            notes = [*note_place(root, plan.publish)]
        request = replace(request, out=out)
        with withheld(plan.notices):
            outcome = run.reports(
                root, request, partial(_due, root, request, waits) if due else None
            )
        if request.panel:
            old = []
        else:
            old = [*stale(root, outcome, moment(request.as_of))]
        outcome = outcome.model_copy(
            update={"stale": old, "waits": waits, "notes": [*outcome.notes, *notes]}
        )
    except BaseException as error:
        outcome = stopped(error, request.as_of, folder(root, request, last_place(root)))
        if plan is None:
            outcome.failures[0].key = "schedule"
        wrong = error
    now = datetime.now(UTC)
    outcome.failures.extend(clock(log.logged(outcome.out), now))
    ended = outcome_without_paths(outcome, root)
    faults = list[str]()
    if ended.code != Exit.LOCKED and not request.dry:  # if it is locked, the run at work will tell
        looked_at = LOOKED_AT[: 1 + due] if ended.reports else ()
        ended, faults = told(root, ended, looked_at, recipients, keep)
    if as_json:
        say(json.dumps({**ended.model_dump(exclude=ASIDE), "notices": faults}))
    elif not wrong:
        outcome.tell()
        say(ended.line)
    for fault in faults:
        say(fault, sys.stderr)
    if wrong:
        raise wrong
    return outcome.code or (Exit.NOTICE if faults else Exit.OK)


def _due(root: Path, request: Request, waits: list[Said], job: Job, standing: Release) -> str:
    """Return why a report is due, or nothing; add to `waits` what keeps it from being made."""
    stands = date.fromisoformat(standing.manifest.reports[job.name].as_of)
    now = moment(request.as_of)
    if job.reads_verdicts or not schedule.is_due(job.plan.every, now, stands):
        return ""
    files = [*awaited(root, job, standing)]
    for name, why in files:
        key = f"{job.name} waits for {name}"
        waits.append(Said(about=job.name, said=f"{key}, which {why}.", key=key, again=ONCE))
    if files:
        return ""
    return f"due on {schedule.last_due(job.plan.every, now)}"


def told(
    root: Path,
    outcome: Outcome,
    looked_at: Collection[str],
    recipients: Sequence[Notice],
    keep: int | None,
) -> tuple[Outcome, list[str]]:
    """Send the notices of a run and log it.

    Return its outcome with what the log knows, and what could not be told.

    It is logged after the news is sent, so that a run that is killed meanwhile is told again, and
    before the other notices, which may copy the page and the feed. What the log says that a way has
    not taken is sent with the next run. Of the releases, the newest `keep` stay.
    """
    out = outcome.out
    jobs = list[Job]()
    with suppress(DataError, DesignError):  # a schedule that cannot be read is told as such
        jobs = schedule.read_jobs(root)
    runs = [run for run in log.logged(out) if run.id != outcome.id]
    outcome = remembered.remembered(outcome, runs, looked_at)
    outcome.owners = remembered.owners(outcome, jobs)
    letters = dict[Way, Outcome | None]()
    for way in remembered.ways(recipients, jobs):
        letter = letters[way] = remembered.letter(outcome, runs, way)
        if letter:
            letter.owners = remembered.owners(letter, jobs)
    first = {way: letter for way, letter in letters.items() if way.notice.on == "news"}
    then = {way: letter for way, letter in letters.items() if way not in first}
    failed = _send(first, root)
    outcome.ways = _taken(letters, {*failed, *then})
    faults = list[str]()
    line = None
    try:
        line = site.record(out, outcome, datetime.now(UTC), keep=keep)
    except OSError as error:
        faults.append(
            f"The page and the feed in {out.name} could not be written ({error.strerror})."
        )
    failed |= _send(then, root)
    taken = _taken(letters, failed)
    if line and line.ways != taken:
        log.append(out, line.model_copy(update={"ways": taken}))
    return outcome, [*remembered.undelivered(letters, failed), *faults]


def _send(letters: Mapping[Way, Outcome | None], root: Path) -> dict[Way, str]:
    """Send letters, and return why some were not taken."""
    if not letters:
        return {}
    from runner import notices  # imports network clients

    return notices.send(letters, environment=dict(os.environ), root=root)


def _taken(letters: Mapping[Way, Outcome | None], failed: Container[Way]) -> dict[str, bool]:
    """Return whether each way has taken all that it is owed, by id.

    A call after each run is owed only if there is news.
    """
    taken = dict[str, bool]()
    for way, letter in letters.items():
        owed = letter is not None and (way.notice.on == "published" or bool(letter.news))
        taken[way.id] = taken.get(way.id, True) and not (owed and way in failed)
    return taken


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


def awaited(root: Path, job: Job, standing: Release) -> Iterator[tuple[str, str]]:
    """Yield the files that a report is waiting for, and why.

    They are missing, or unchanged since the standing report. Contents are compared, since the time
    of a file shows only when it was copied.
    """
    entry = standing.manifest.reports[job.name]
    read = standing.manifest.inputs["data"]
    for name in job.plan.waits_for:
        file = root / name
        if not file.is_file():
            yield name, "is missing"
        elif publish.sha256(file) == read.get(
            name.removeprefix("data/"), entry.files.get(file.name)
        ):
            yield name, "has not changed"


def stale(root: Path, outcome: Outcome, now: datetime) -> Iterator[Said]:
    """Describe data files that are older than the schedule allows.

    It begins when their report is due, and stands until there is another file. Each is told again
    on each day on which the report falls due, even if that waits for the file and so stays due.
    """
    runs = log.logged(outcome.out)
    stood = {each.key for each in runs[-1].stale} if runs else set[str]()
    if outcome.previous:
        reports = release.read(outcome.out / outcome.previous).manifest.reports
    else:
        reports = {}
    for job in schedule.read_jobs(root):
        entry = reports.get(job.name)
        limit = job.plan.fresh_days
        if not limit:
            continue
        due = schedule.is_due(
            job.plan.every, now, date.fromisoformat(entry.as_of) if entry else None
        )
        last = schedule.last_due(job.plan.every, now) or now.date()
        for file, day in dated(root, job.plan.waits_for).items():
            said = f"{job.name}: {file} is dated {day}"
            days = (now.date() - day).days
            if days > limit and (due or said in stood):
                more = f"{said}, {days:,} days ago; the schedule allows at most {limit}"
                yield Said(about=job.name, said=more, key=said, again=f"{last}")


def clock(runs: Sequence[Outcome], now: datetime) -> Iterator[Said]:
    """Describe a clock that says another time than the log.

    Runs that are later than now, and at least as many as came after them, mean that the clock was
    ahead then, or is behind now. Nothing here can tell which, so the more numerous are believed.
    """
    later = [at for at, run in enumerate(runs) if datetime.fromisoformat(run.at) > now]
    if later and len(later) >= len(runs) - later[-1]:
        newest = max(runs[at].at for at in later)
        said = f"The clock says {now.isoformat(timespec='minutes')}, and {log.LOG} has runs up to"
        yield Said(
            said=f"{said} {newest}: it was ahead then, or is behind now; set it.",
            key="clock",
            again=ONCE,
        )


def note_place(root: Path, publish_to: str) -> Iterator[Said]:
    """Note where the schedule publishes, for the day on which it cannot be read.

    Yield a sentence if that is impossible.
    """
    if root / publish_to == last_place(root):
        return
    try:
        release.replace(root / PLACE, publish_to)
    except OSError as error:
        why = f"{PLACE} cannot be written ({error.strerror})"
        yield Said(said=f"{why}, so a schedule that cannot be read would be told in reports/ only.")


def last_place(root: Path) -> Path:
    """Return the folder to which the schedule published when it was last read."""
    file = root / PLACE
    if file.is_file():
        return root / file.read_text(encoding="utf-8")
    return root / "reports"


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
    told = outcome.model_dump(
        include={"reports", "changed_words", "stale", "failures", "waits", "notes"}
    )
    clean = json.loads(publish.replaced(json.dumps(told, ensure_ascii=False), places))
    return Outcome.model_validate({**dict(outcome), **clean})
