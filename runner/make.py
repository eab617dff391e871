"""Make the reports of a run: carry over those unchanged, and execute and typeset the others."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path

from fewtreated.errors import DesignError

from analysis import parameters
from runner import (
    Exit,
    ReportError,
    SentenceError,
    State,
    committed,
    corrections,
    diff,
    pdf,
    publish,
    release,
    schedule,
)
from runner.inputs import commit_of_inputs
from runner.kernels import interruptible
from runner.progress import Run, report_error, write_verdicts
from runner.publish import Verdict, Verdicts
from runner.release import Entry, Release
from runner.request import Request
from runner.schedule import Job


def make(run: Run, jobs: list[Job], read: Verdicts | None = None) -> None:
    """Carry over the unchanged jobs, and make the others in parallel.

    `read` contains the verdicts that the jobs read, if they read any.
    """
    verdicts = [*chain(*(read or {}).values())]
    makes = []
    for job in jobs:
        print_ = publish.fingerprint(job, run.common, read)
        why = run.why(job, print_)
        if why:
            makes.append(partial(_make, run, job, print_, why, verdicts))
        else:
            run.carry(job)
    if makes:
        run.kernels.each(makes, run.request.workers or os.cpu_count() or 1)


def make_reader(run: Run, job: Job) -> None:
    """Make a report that reads the verdicts of others, naming those it lacks.

    It is not run without any verdict, or if it cannot name what it lacks: it has no parameter
    `failed`.
    """
    inputs = [each for each in run.jobs if job.reads(each)]
    failed = [each.name for each in inputs if _is_lacking(run, each)]
    read = {
        each.name: run.verdicts[each.name]
        for each in inputs
        if each.name in run.verdicts and not each.sweep
    }
    names_them = "failed" in job.parameters and any(read.values())
    if failed and not names_them:
        why = f"it reads the verdicts of {', '.join(failed)}"
        run.states[job.name] = State(state="not run", why=why)
        return
    old = [f"{name} (it stands as of {run.entries[name].as_of})" for name in run.stale]
    more = {"failed": ", ".join([*failed, *old]), "panel": run.panel_is}
    job = _with_known(job, **{name: text for name, text in more.items() if text})
    job = _with_known(job, changed=committed.sentence(run.uncommitted))
    write_verdicts_read(run, job, read)
    if job.is_brief:
        job = _with_news(run, job, read)
    make(run, [job], read)


def _is_lacking(run: Run, job: Job) -> bool:
    """Whether a report hands on no verdicts in a run: it failed, or was itself not run."""
    state = run.states.get(job.name)
    return job.name in run.failures or (state is not None and state.state == "not run")


def _with_news(run: Run, brief: Job, read: Verdicts) -> Job:
    """Return the brief with what has changed since the standing release.

    If the brief is unchanged otherwise, return it with what the standing one tells: what only tells
    of the release before is no reason to make the brief again.
    """
    stood = run.stood[brief.name].parameters if brief.name in run.stood else {}
    told = {name: str(stood.get(name, "")) for name in ("since", "corrected")}
    as_before = _with_known(brief, **told)
    if not run.made and not run.why(as_before, publish.fingerprint(as_before, run.common, read)):
        return as_before
    since = ""
    if "since" in brief.parameters and run.standing and run.changes:
        head = f"Manifest of that release: sha256 {run.standing.digest}."
        since = f"{diff.summary_line(run.changes)} {head}"
    corrected = corrections.line(corrections.shown(run.corrections, run.told))
    return _with_known(brief, since=since, corrected=corrected)


def _with(job: Job, given: Mapping[str, str]) -> Job:
    return replace(job, parameters={**job.parameters, **given})


def _with_known(job: Job, **given: str) -> Job:
    """Return a job with those of the given parameters that its notebook has."""
    return _with(job, {name: text for name, text in given.items() if name in job.parameters})


def write_verdicts_read(run: Run, job: Job, read: Verdicts) -> None:
    """Write the verdicts that a report reads."""
    folder = _folder_read(run, job)
    folder.mkdir(parents=True)
    write_verdicts(folder, read)


def _folder_read(run: Run, job: Job) -> Path:
    return run.stage / "verdicts" / job.name


def _make(run: Run, job: Job, print_: str, why: str, read: list[Verdict]) -> None:
    """Make a report in the temporary folder, and record it or its failure in the run."""
    began = time.monotonic()
    folder = run.stage / job.name
    notebook = folder / f"{job.name}.ipynb"
    notebook.parent.mkdir(parents=True)
    try:
        verdicts, files = _executed(run, job, notebook, read)
    except (ReportError, SentenceError, pdf.PdfError, OSError) as error:
        failure = run.failures[job.name] = report_error(job.name, error)
        refused = failure.code == Exit.REFUSED
        run.states[job.name] = State(state="refused" if refused else "failed")
        return
    seconds = round(time.monotonic() - began, 1)
    run.entries[job.name] = Entry(
        notebook=job.notebook_name,
        fingerprint=print_,
        commit=commit_of_inputs(),
        seconds=seconds,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        formerly=[*job.plan.formerly],
        made=sorted(file.relative_to(folder).as_posix() for file in files),
        **publish.about(job),
    )
    run.verdicts[job.name] = verdicts
    run.states[job.name] = State(state="published", seconds=seconds, why=why)
    run.made.append(job.name)


def _executed(
    run: Run, job: Job, notebook: Path, read: list[Verdict]
) -> tuple[list[Verdict], list[Path]]:
    """Execute a notebook, typeset it, and return its verdicts and the files made."""
    from runner import document, exports

    page = notebook.with_suffix(".pdf")
    values = dict(job.parameters)
    places = {}
    if job.reads_verdicts:
        places = {"verdict_folder": str(_folder_read(run, job))}
    run.kernels.execute(job, values | places, notebook)
    publish.make_reproducible(notebook, job, places)
    judged = document.assemble_file(notebook, strict=not schedule.varies(job))
    verdicts = publish.verdicts(judged, job)
    pdf.render(
        notebook,
        page,
        as_of=run.request.as_of,
        footer=publish.footer(notebook, [*verdicts, *read], job),
        simulated=bool(job.market),
        beside=schedule.seen_from(job, run.common["beside"]),
    )
    exported = exports.write_exports(notebook, job)
    publish.open_with_answer(notebook)
    return verdicts, [notebook, page, *exported]


# Making a published report again


@contextmanager
def again(
    root: Path, standing: Release, name: str
) -> Iterator[tuple[Path, list[str], list[Verdict]]]:
    """Make one report of a release again from the checkout.

    Yield a folder, the report's files there, and its verdicts.

    Raises
    ------
    DesignError
        If the report was made from a file of the user's own, from other inputs than the checkout's,
        or beside other reports.
    ReportError
        If the report fails.
    """
    entry = standing.manifest.reports[name]
    if files := ", ".join(entry.files):
        raise DesignError(
            f"{name}: releases do not include {files}; run it on your copies, and compare the"
            " results."
        )
    jobs = as_made(root, standing)
    job = jobs[name]
    read = None
    if job.reads_verdicts:
        verdicts = standing.verdicts()
        inputs = [each.name for each in jobs.values() if job.reads(each) and not each.sweep]
        read = {name: verdicts[name] for name in inputs}
    common = {**publish.inputs(root), "beside": schedule.beside(jobs.values())}
    if publish.fingerprint(job, common, read) != entry.fingerprint:  # as in a draft
        raise DesignError(
            f"{name}: its fingerprint differs in this checkout; check out {entry.commit}."
        )
    with (
        interruptible(),
        tempfile.TemporaryDirectory() as scratch,
        release.sockets(Path(scratch)) as sockets,
    ):
        stage = Path(scratch)
        request = Request(entry.as_of, workers=1)
        run = Run(root, request, stage, stage, sockets, [*jobs.values()], common)
        run.panel_is = standing.manifest.panel_is
        if read is not None:
            write_verdicts_read(run, job, read)
        make(run, [job], read)
        if name in run.failures:
            raise run.failures[name]
        yield stage / name, run.entries[name].made, run.verdicts[name]


def as_made(root: Path, standing: Release) -> dict[str, Job]:
    """Return the jobs of a release by name, in the order of the schedule.

    Each has the parameters it was made with.
    """
    scheduled = {job.name: job for job in schedule.read_jobs(root)}
    entries = standing.manifest.reports
    jobs = {}
    for report in (name for name in dict.fromkeys([*scheduled, *entries]) if name in entries):
        of = entries[report]
        job = scheduled.get(report) or Job(report, root / "notebooks" / of.notebook, {})
        # in the order in which a notebook receives them
        fields = parameters.parameter_model(job.notebook).model_fields
        values = {key: of.parameters[key] for key in fields if key in of.parameters}
        jobs[report] = replace(job, parameters=values, market=of.market)
    return jobs
