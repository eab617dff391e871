"""A run as a scheduler calls it: what is due, where it is published, what is news in it, and who is told."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from analysis import data
from analysis.errors import DataError, DesignError
from runner import Exit, ReportError, cadence, disk_full, notices, publish, release, releases, run, say, schedule
from runner.release import Release
from runner.run import Outcome
from runner.schedule import Job


def work(
    root: Path, *, as_of: str, due: bool = False, as_json: bool = False, out: Path | None = None, **options: Any
) -> Exit:
    """Run, say what became of it, and tell those whom the schedule names.

    Parameters
    ----------
    root : Path
        Folder of the project.
    as_of : str
        Date of knowledge, YYYY-MM-DD.
    due : bool
        Whether what is due by the schedule is asked for, and nothing where nothing is.
    as_json : bool
        Print the outcome as one JSON object, and nothing else, to standard output.
    out : Path, optional
        Another folder than the schedule's; of what is published there somebody is told only if it is what is `due`.
    options
        Of `run.reports`.
    """
    try:
        plan = schedule.load(root)
    except DataError as error:
        ended = without_paths(stopped(error, as_of), root)
        _tell(ended, recorded((out or root / "reports").absolute(), ended), as_json=as_json)
        raise
    told = plan.notices if due or out is None or out.resolve() == (root / plan.publish).resolve() else ()
    waits: list[str] = []

    def asked(job: Job, standing: Release) -> bool:
        stands = date.fromisoformat(standing.manifest.reports[job.name].as_of)
        if job.is_brief or not cadence.is_due(job.every, moment(as_of), stands):
            return False
        waited = awaited(root, job, standing)
        waits.extend(f"{job.name} waits for {one}." for one in waited)
        return not waited

    with notices.withheld(plan.notices) as environment:
        try:
            outcome = run.reports(root, as_of=as_of, out=out, due=asked if due else None, **options)
        except BaseException as error:
            ended = without_paths(stopped(error, as_of), root)
            faults = recorded((out or root / plan.publish).absolute(), ended)
            faults += notices.send(ended, told, environment, root=root)
            _tell(ended, faults, as_json=as_json)
            raise
        old = () if options.get("panel") else stale(root, outcome, moment(as_of))
        outcome = replace(outcome, stale=old, notes=(*outcome.notes, *waits))
        folder = outcome.out / (outcome.draft or outcome.release)
        briefs = [folder / f"{name}.pdf" for name in outcome.reports if schedule.number(name) == "00"]
        ended = without_paths(outcome.as_json(), root)
        faults = recorded(outcome.out, ended)
        faults += notices.send(ended, told, environment, root=root, brief=next(iter(briefs), None))
    if not as_json:
        outcome.tell()
        say(notices.line(ended))
    _tell(ended, faults, as_json=as_json)
    return outcome.code or (Exit.NOTICE if faults else Exit.OK)


def recorded(out: Path, ended: notices.Outcome) -> list[str]:
    """Record an outcome in the page and the feed of a folder, and return why that was not possible, if it was not."""
    try:
        releases.record(out, ended, datetime.now(UTC))
    except OSError as error:
        return [f"The page and the feed in {out.name} could not be written ({error.strerror})."]
    return []


def moment(as_of: str) -> datetime:
    """Return the moment for which a run asks what is due: now, or the end of another day than today."""
    day, now = date.fromisoformat(as_of), datetime.now()
    return now if day == now.date() else datetime.combine(day, time(23, 59))


def awaited(root: Path, job: Job, standing: Release) -> list[str]:
    """Return what a report waits for, in words; nothing if it waits for nothing any more."""
    entry, read = standing.manifest.reports[job.name], standing.manifest.inputs.get("data", {})
    wanted, stood = dict[str, str | None](), dict[str, str]()
    for name in job.waits_for:
        file = root / name
        wanted[name] = publish.sha256(file) if file.is_file() else None
        if known := read.get(name.removeprefix("data/"), entry.files.get(file.name)):
            stood[name] = known
    return cadence.awaited(wanted, stood)


def stale(root: Path, outcome: Outcome, now: datetime) -> tuple[str, ...]:
    """Return which data of the reports that were due are older than the schedule allows, in words.

    It is said on the day on which a report is due, and not on every day until the data are new.
    """
    stood = release.read(outcome.out / outcome.previous).manifest.reports if outcome.previous else {}
    found = dict[str, None]()
    for job in schedule.read(root):
        entry = stood.get(job.name)
        if job.fresh_days and cadence.is_due(job.every, now, date.fromisoformat(entry.as_of) if entry else None):
            found |= dict.fromkeys(cadence.stale(dated(root, job.waits_for), now.date(), job.fresh_days))
    return tuple(found)


def dated(root: Path, files: Iterable[str]) -> dict[str, date]:
    """Return the date of files, as the data's descriptor has it or else the disk; of none, that of the newest data."""
    declared = {f"data/{one['path']}": one["vintage"] for one in data.package(root / "data")["resources"]}
    newest = f"data/{data.newest(root / 'data')['path']}"
    found = {name: root / name for name in files or [newest]}
    return {
        name: date.fromisoformat(declared[name]) if name in declared else date.fromtimestamp(file.stat().st_mtime)
        for name, file in found.items()
        if name in declared or file.is_file()
    }


def stopped(error: BaseException, as_of: str) -> dict[str, Any]:
    """Return the outcome of a run that an error or a signal has stopped."""
    refused = isinstance(error, DataError | DesignError | ReportError)
    outcome = "refused" if refused else "failed" if isinstance(error, Exception) else "interrupted"
    said = str(error) or type(error).__name__
    said = f"a signal ended the run ({said})" if outcome == "interrupted" else said
    said = "the disk is full; make room and run again" if disk_full(error) else said
    nothing: dict[str, Any] = {"release": "", "draft": "", "as_of": as_of, "reports": {}}
    return {"outcome": outcome, **nothing, "changed_words": [], "stale": [], "failures": [said], "notes": []}


def without_paths(told: notices.Outcome, root: Path) -> dict[str, Any]:
    """Return an outcome without the folders of the project and of its user, which are nobody else's business."""
    places = {f"{root.absolute()}/": "", str(root.absolute()): ".", str(Path.home()): "~"}

    def freed(one: Any) -> Any:
        for place, shown in places.items() if isinstance(one, str) else ():
            one = one.replace(place, shown)
        return one

    return {
        name: {key: freed(value) for key, value in found.items()}
        if isinstance(found, Mapping)
        else [freed(one) for one in found]
        if isinstance(found, list | tuple)
        else found
        for name, found in told.items()
    }


def _tell(told: notices.Outcome, faults: Iterable[str], *, as_json: bool) -> None:
    """Print which notices failed, and the outcome with them where JSON was asked for."""
    faults = [*faults]
    for fault in faults:
        say(fault, sys.stderr)
    if as_json:
        say(json.dumps({**told, "notices": faults}))
