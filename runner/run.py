"""Run reports: carry over those unchanged, make the rest, and publish a release or a draft."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fewtreated.errors import DesignError

from runner import (
    Exit,
    Outcome,
    ReportError,
    Said,
    State,
    chain,
    committed,
    corrections,
    diff,
    log,
    pdf,
    publish,
    release,
    schedule,
)
from runner.assemble import publish_run
from runner.kernels import interruptible
from runner.make import make, make_reader
from runner.progress import COMMIT, Run, report_error
from runner.release import DRAFT, Release
from runner.request import Request, folder, planned
from runner.schedule import Job

UNKNOWN = (
    "Whether parameters and data are those of the last commit is not known, as git could not be"
    " asked"
)
Sources = Mapping[str, Mapping[str, str]]  # hashes by part and file


def reports(
    root: Path, request: Request, due: Callable[[Job, Release], str] | None = None
) -> Outcome:
    """Make the outdated reports of a repository, and publish them with the others in a new release.

    The run makes the reports named in the request or, given a rule that says why one is `due`,
    those that are. It carries over other reports from the newest release if only their date
    differs; without a release, the named reports become a draft. A request that cannot be run
    raises `DesignError` or `DataError` before any work starts. Existing releases never change.
    """
    plan = schedule.load(root)
    out = folder(root, request, root / plan.publish)
    pdf.refuse_incomplete()
    asked = planned(root, request, out)
    with _held(out, request.dry) as (stage, sockets):
        if not request.dry:
            chain.adopt(out)
        standing, damage = _standing(out, request.as_of)
        warnings = release.after(out, schedule.today())
        if damage:
            warnings.insert(0, Said(said=damage))
        newest = release.names(out, request.as_of)[-1:] if damage else []
        warnings += [each for each in chain.misfits(out) if each.key not in newest]
        if release.panel(out) not in (None, asked.panel):
            raise DesignError(
                f"{out} contains reports on other data; choose another folder with --out."
            )
        if standing and not request.dry:  # a killed run may have made no link
            release.point(out, standing.folder.name, stage, schedule.today())
        chosen = asked.chosen
        if due and standing:
            chosen = _due(asked.jobs, standing, due)
            if not chosen:
                return _not_due(standing, request.as_of, warnings)
        whole = bool(not request.names or standing or damage)
        jobs = [job for job in asked.jobs if whole or job.name in chosen]
        before = _sources(root, jobs)
        run = Run(
            root,
            request,
            out,
            stage,
            sockets,
            jobs,
            common=_common(before, asked.jobs),
            chosen=chosen,
            standing=standing,
            panel=asked.panel,
            panel_is=asked.panel_is,
            fresh="the release before is damaged" if damage else "new",
            whole=whole,
            warnings=warnings,
        )
        if asked.shows:
            run.notes.append(Said(said=asked.shows))
        publishes = bool(due) or out.resolve() == (root / plan.publish).resolve()
        _look_back(run, publishes=publishes)
        if request.dry:
            return _would(run)
        name = _made(run, before, carry_failed=plan.carry_failed)
        return chain.enter(_ended(run, name))


def _standing(out: Path, as_of: str) -> tuple[Release | None, str]:
    """Return the newest release up to a date, or the reason it cannot be used."""
    standing, damage = release.standing(out, as_of, log.known(log.logged(out)))
    try:
        if standing:
            diff.between(standing, standing)  # reads all that later steps read of it
    except ReportError as error:
        return None, f"{error} {release.MADE_AGAIN}"
    return standing, damage


def _due(
    jobs: list[Job], standing: Release, due: Callable[[Job, Release], str]
) -> Mapping[str, str]:
    """Return why reports are due, by name; those that read the others are with any."""
    whys = {}
    for job in jobs:
        why = "new"
        if job.name in standing.manifest.reports:
            why = due(job, standing)
        if why:
            whys[job.name] = why
    if whys:
        whys |= {job.name: "reads the others" for job in jobs if job.reads_verdicts}
    return whys


def _sources(root: Path, jobs: Iterable[Job]) -> Sources:
    """Hash all inputs of the given reports, by part and file."""
    notebooks = {job.notebook_name: publish.digest(job.notebook) for job in jobs}
    files = {name: digest for job in jobs for name, digest in publish.input_hashes(job).items()}
    return {**publish.inputs(root), "notebooks": notebooks, "files": files}


def _common(sources: Sources, jobs: list[Job]) -> Sources:
    """Return the inputs common to all reports: see `Run`."""
    own = ("notebooks", "files")
    common = {part: files for part, files in sources.items() if part not in own}
    return {**common, "beside": schedule.beside(jobs)}


def _made(run: Run, before: Sources, *, carry_failed: bool) -> str:
    """Make the reports of a run, each after those whose verdicts it reads, and publish them.

    Return the name of their folder, or nothing if it could not be written.
    """
    make(run, [job for job in run.jobs if not job.reads_verdicts])
    if carry_failed:
        run.carry_failed()
    for reader in (job for job in run.jobs if job.reads_verdicts):
        make_reader(run, reader)
    if run.held and run.made:
        run.failures[COMMIT] = ReportError(run.held, Exit.REFUSED)
    if run.made or run.failures:
        changed = _changed(before, _sources(run.root, run.jobs))
        if changed:  # the reports would mix both states
            why = f"During the run {', '.join(changed)} changed; run again."
            run.failures["inputs"] = ReportError(why)
    try:
        return publish_run(run)
    except OSError as error:
        run.failures["disk"] = report_error("Publishing", error)
        return ""


def _changed(before: Sources, now: Sources) -> list[str]:
    """Return the files that differ, each with its part."""
    return [
        f"{part}: {name}" for part, was in before.items() for name in publish.unlike(was, now[part])
    ]


def _look_back(run: Run, *, publishes: bool) -> None:
    """Record corrections and what differs from the last commit in a run.

    Nothing is compared if the run does not publish for readers of the project: on a panel of one's
    own, with parameters of the moment, or elsewhere without being scheduled.
    """
    if run.request.panel:
        return
    run.corrections = corrections.read_corrections(run.root)
    run.told = release.corrections(run.out, run.request.as_of)
    if run.request.given or not publishes:
        return
    run.uncommitted, unknown = committed.uncommitted(run.root, [job.notebook for job in run.jobs])
    if run.uncommitted and not run.request.accept and run.whole:
        run.held = committed.refusal(run.uncommitted)
    if unknown:
        run.notes.append(Said(said=f"{UNKNOWN}: {unknown}."))


def _not_due(standing: Release, as_of: str, warnings: list[Said]) -> Outcome:
    """Return the outcome of a run in which nothing is due."""
    reports = standing.manifest.reports
    states = {name: State(state="not due", as_of=entry.as_of) for name, entry in reports.items()}
    name = standing.folder.name
    return Outcome(
        outcome="unchanged",
        release=name,
        as_of=as_of,
        reports=states,
        failures=warnings,
        out=standing.folder.parent,
        previous=name,
    )


def _would(run: Run) -> Outcome:
    """Return the outcome of a dry run: what would be made, and why."""
    states = {}
    for job in (job for job in run.jobs if not job.reads_verdicts):
        why = run.why(job, publish.fingerprint(job, run.common))
        states[job.name] = State(state="to make" if why else "unchanged", why=why)
    notes = []
    if run.held and any(state.why for state in states.values()):
        notes.append(Said(said=run.held))
    return Outcome(
        outcome="planned",
        as_of=run.request.as_of,
        reports=states,
        failures=[*run.warnings],
        notes=notes,
        out=run.out,
    )


@contextmanager
def _held(out: Path, dry: bool) -> Iterator[tuple[Path, Path]]:
    """Lock the output folder, and yield temporary folders for reports and for sockets.

    A dry run writes nothing.
    """
    if dry:
        release.refuse_others(out)
        yield out, out
    else:
        with (
            interruptible(),
            release.locked(out),
            release.staging(out) as stage,
            release.sockets(out) as sockets,
        ):
            yield stage, sockets


def _ended(run: Run, name: str) -> Outcome:
    """Return the outcome of a run whose results are in the folder `name`."""
    failures = run.failures | run.stale
    codes = {failure.code for failure in failures.values()}
    ranked = (Exit.DISK_FULL, Exit.MEMORY, Exit.FAILED, Exit.PDF, Exit.REFUSED)
    code = next((code for code in ranked if code in codes), Exit.OK)
    seen = name not in ("", DRAFT)
    states = {job.name: run.states[job.name] for job in run.jobs if job.name in run.states}
    for state in states.values():
        if state.state == "published" and not seen:
            state.state = "made"
    return Outcome(
        outcome=_outcome_word(run, code),
        release=name if seen else "",
        draft=name if name == DRAFT else "",
        as_of=run.request.as_of,
        reports=states,
        changed_words=[*diff.turned(run.changes)] if run.made and seen and run.changes else [],
        failures=[
            *(
                Said(about=about if about in states else "", said=str(failure))
                for about, failure in failures.items()
            ),
            *run.warnings,
        ],
        notes=run.notes,
        code=code,
        out=run.out,
        previous=run.standing.folder.name if run.standing else "",
    )


def _outcome_word(run: Run, code: Exit) -> str:
    """Return what a run that ends with a code did with its reports, in a word."""
    if run.failures:
        return "refused" if code == Exit.REFUSED else "failed"
    if not run.whole:
        return "draft"
    return "published" if run.made else "unchanged"
