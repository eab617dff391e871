"""Assemble the reports of a run, and what a release has beside them, into a release or a draft."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from analysis.provenance import ANNEX
from runner import diff, log, pdf, publish, release, schedule, site
from runner.diff import Changes
from runner.progress import Run, report_error
from runner.publish import Verdicts
from runner.release import DRAFT, Manifest
from runner.schedule import Job


def publish_run(run: Run) -> str:
    """Publish a release or a draft to the output folder, and return its name.

    A run that is not `whole`, or in which a report failed, gives a draft. If nothing has changed,
    return the name of the newest release.
    """
    names = {job.name for job in run.jobs}
    if run.standing and run.stood.keys() == names and not (run.made or run.failures):
        name = run.standing.folder.name
        _link(run, name)
        return name
    new = run.gathered()
    _keep_failed(run, new)
    _add_annex(run, new)
    name = DRAFT
    if run.whole and not run.failures:
        given = (each.release for each in log.logged(run.out))
        name = release.next_name(run.out, run.request.as_of, given)
    manifest = run.manifest(name)
    write_beside(new, manifest, run.changes, run.jobs, run.verdicts)
    content = {**manifest.model_dump(), "files": release.file_hashes(new)}
    publish.write_json(new / release.MANIFEST, content)
    release.put(new, run.out / name, run.stage)
    _link(run, name)
    return name


def _keep_failed(run: Run, new: Path) -> None:
    """Add the notebooks of failed reports, as far as they came."""
    for job in run.jobs:
        notebook = run.stage / job.name / f"{job.name}.ipynb"
        failed = job.name in run.failures or job.name in run.stale
        if failed and notebook.exists():
            kept = new / "failed" / f"{job.name}.ipynb"
            kept.parent.mkdir(parents=True, exist_ok=True)
            publish.remove_local_paths(notebook, job)
            os.replace(notebook, kept)


def _add_annex(run: Run, new: Path) -> None:
    """Typeset the annex, and record it in the run if that fails."""
    from runner import annex  # imports pandas, not needed by a run without changes

    notebooks = {name: new / f"{name}.ipynb" for name in run.manifest(DRAFT).reports}
    try:
        annex.typeset_annex(notebooks, new / ANNEX, as_of=run.request.as_of, changes=run.changes)
    except (pdf.PdfError, OSError) as error:
        run.failures["annex"] = report_error("annex", error)


def write_beside(
    new: Path, manifest: Manifest, changes: Changes | None, jobs: Sequence[Job], verdicts: Verdicts
) -> None:
    """Write what a release has beside its reports and annex.

    It has tables of sweeps, changes, pages and metadata.
    """
    from runner import exports

    exports.compare(new, jobs, verdicts)
    reports = manifest.reports
    moved = {}
    if changes:
        moved = changes.as_json()
    moved |= {
        "headline": site.says(new, reports).headline,
        "stale": [
            f"{name}, as of {entry.as_of}: {entry.stale}"
            for name, entry in reports.items()
            if entry.stale
        ],
        "until": manifest.release,
    }
    publish.write_json(new / diff.FILE, moved)
    event = next((job.parameters["event"] for job in jobs if "event" in job.parameters), "")
    site.write_page(new, manifest.model_dump(), verdicts, event=event, changes=changes)


def _link(run: Run, name: str) -> None:
    """Point `latest` at a complete release, and remove the draft.

    It points at a draft only where no release stands.
    """
    release.point(run.out, name, run.stage, schedule.today())
    if name != DRAFT and (run.out / DRAFT).exists():
        os.rename(run.out / DRAFT, run.stage / DRAFT)
