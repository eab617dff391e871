"""The run: skip what is unchanged, execute the rest, publish what succeeded."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis import config, provenance
from analysis.report import executed, fingerprint, own_panel, publish, schedule
from analysis.report.executed import Verdict
from analysis.report.interrupts import Interrupts
from analysis.report.outcomes import Exit, ReportError, disk_full
from analysis.report.own_panel import OwnPanel
from analysis.report.schedule import Job, Paths

if TYPE_CHECKING:
    from analysis.report.kernels import Kernels

TIMEOUT = 600.0  # seconds for one notebook

Render = Callable[..., None]
Verdicts = Mapping[str, list[Verdict]]  # by report


@dataclass(frozen=True)
class Order:
    """How to run: what is the same for each report of a run."""

    paths: Paths
    as_of: str
    out: Path
    workers: int
    timeout: float
    force: bool
    render: Render | None
    panel: str


@dataclass(frozen=True)
class Product:
    """A report that was made and lies in the temporary folder."""

    job: Job
    fingerprint: str
    notebook: Path
    pdf: Path
    verdicts: list[Verdict]
    seconds: float
    finished: datetime


@dataclass
class Shift:
    """One run as it goes."""

    order: Order
    common: fingerprint.Inputs
    published: publish.Published
    stage: Path
    products: dict[str, Product] = field(default_factory=dict)
    unchanged: list[str] = field(default_factory=list)
    failures: dict[str, ReportError] = field(default_factory=dict)
    not_run: dict[str, str] = field(default_factory=dict)

    def verdicts(self, jobs: Iterable[Job]) -> dict[str, list[Verdict]]:
        """Verdicts by report: this run's, else the published ones."""
        found = {**self.published.verdicts, **{name: made.verdicts for name, made in self.products.items()}}
        return {job.name: found[job.name] for job in jobs if job.name in found}


def report(
    paths: Paths,
    *,
    as_of: str,
    names: Iterable[str] = (),
    given: Mapping[str, str] | None = None,
    out: Path | None = None,
    workers: int | None = None,
    timeout: float = TIMEOUT,
    force: bool = False,
    render: Render | None = None,
    panel: OwnPanel | None = None,
) -> Exit:
    """Make the reports that are not up to date, publish them, and print how it went.

    Parameters
    ----------
    paths : Paths
    as_of : str
        Date of knowledge, YYYY-MM-DD; names the folder and reaches the notebooks.
    names : iterable of str
        Reports by name or number; none means the whole schedule.
    given : mapping
        Parameters by name, as text; where they change what is scheduled, `out` must be another
        folder than ``paths.reports``.
    out : Path
        Where to publish; ``paths.reports`` if None.
    workers : int
        Notebooks at a time; the number of cores if None.
    timeout : float
        Seconds for each notebook.
    force : bool
        Make also what is unchanged.
    render : callable
        ``render(notebook, pdf, as_of=..., footer=..., simulated=...)``; `analysis.report.pdf.render` if None.
    panel : OwnPanel
        Run the notebooks that can take a panel on this one, the scheduled reports on public figures of its event, and
        the brief, instead of the schedule.

    Returns
    -------
    Exit

    Raises
    ------
    DesignError
        If what is asked for cannot be run; nothing has been started then.
    publish.LockedError
        If another run publishes into the same folder.
    OSError
        If the disk is full while publishing; what was published is as before.
    """
    out = (out or paths.reports).absolute()
    jobs, scheduled = _planned(paths, names, given or {}, as_of, out, panel)
    briefs = [job for job in jobs if job.is_brief]
    waiting = [] if briefs else schedule.settle([job for job in scheduled if job.is_brief], {}, as_of)
    panel_path = panel.parameters["panel_path"] if panel else ""
    order = Order(paths, as_of, out, workers or os.cpu_count() or 1, timeout, force, render, panel_path)
    with Interrupts() as interrupts, publish.locked(out), publish.staging(out) as stage:
        published = publish.read(out / as_of)
        own_panel.refuse_shared(published, panel)
        shift = Shift(order, fingerprint.inputs(paths), published, stage)
        _work(shift, [job for job in jobs if not job.is_brief])
        briefs += _outdated(waiting, shift)
        for brief in briefs:
            _work_brief(shift, brief, [job for job in scheduled if not job.is_brief])
        with interrupts.held():
            _publish(shift, scheduled)
        return _tell(shift, scheduled)


def _planned(
    paths: Paths, names: Iterable[str], given: Mapping[str, str], as_of: str, out: Path, panel: OwnPanel | None
) -> tuple[list[Job], list[Job]]:
    """Return the jobs to run, settled, and all that belong together; refuse what cannot be run."""
    scheduled = schedule.read(paths)
    if panel:
        own_panel.refuse_home(paths, out)
        own_panel.refuse_given(given, panel)
        known = {job.notebook.name: set(config.parameters(job.notebook).model_fields) for job in scheduled}
        scheduled = own_panel.jobs(scheduled, panel, known)
    chosen = schedule.select(scheduled, names)
    jobs = schedule.settle(chosen, given, as_of)
    schedule.refuse_foresight(paths, as_of)
    if not panel:
        schedule.refuse_unscheduled(paths, jobs, schedule.settle(chosen, {}, as_of), out)
        return jobs, scheduled
    market = own_panel.examine(jobs)
    return own_panel.named(jobs, market, scheduled), own_panel.named(scheduled, market, scheduled)


def _outdated(briefs: list[Job], shift: Shift) -> list[Job]:
    """Those that nobody chose, but that stand published beside a report that has just been made again."""
    return [brief for brief in briefs if shift.products and brief.name in shift.published.entries]


def _work(shift: Shift, jobs: list[Job], verdicts: Verdicts | None = None) -> None:
    """Make each job that is not up to date, several at a time; the brief is given the verdicts that it reads."""
    prints = {job.name: fingerprint.of(job, shift.common, verdicts) for job in jobs}
    fresh = [] if shift.order.force else [n for n in prints if shift.published.holds(n, prints[n])]
    shift.unchanged += fresh
    due = [job for job in jobs if job.name not in fresh]
    if not due:
        return
    from analysis.report.kernels import Kernels, environment

    kernels = Kernels()
    futures: dict[Future[Product], Job] = {}
    with environment(shift.order.as_of, shift.stage), ThreadPoolExecutor(shift.order.workers) as pool:
        try:
            for position, job in enumerate(due):
                futures[pool.submit(_make, shift, job, prints[job.name], verdicts, kernels, position)] = job
            for future in as_completed(futures):
                _note(shift, futures[future], future)
        except BaseException:  # a signal, or an error of ours: leave no kernel behind
            pool.shutdown(wait=False, cancel_futures=True)
            while running := [future for future in futures if not future.done()]:
                kernels.kill()
                wait(running, timeout=0.1)
            raise


def _note(shift: Shift, job: Job, future: Future[Product]) -> None:
    try:
        shift.products[job.name] = future.result()
    except ReportError as failure:
        shift.failures[job.name] = failure


def _work_brief(shift: Shift, brief: Job, inputs: list[Job]) -> None:
    """Make the brief from the verdicts of all others, unless one of them failed."""
    if shift.failures:
        shift.not_run[brief.name] = f"not run: it needs {', '.join(shift.failures)}"
        return
    verdicts = shift.verdicts(inputs)
    for name, found in verdicts.items():
        publish.write_json(_folder(shift.stage / "verdicts") / f"{name}.json", found)
    _work(shift, [brief], verdicts)


def _make(shift: Shift, job: Job, print_: str, read: Verdicts | None, kernels: "Kernels", position: int) -> Product:
    """Execute a notebook and make its PDF, in the temporary folder."""
    from analysis.report.kernels import execute, say

    began, bars = time.monotonic(), sys.stderr.isatty()
    notebook = _folder(shift.stage / job.name) / f"{job.name}.ipynb"
    pdf = notebook.with_suffix(".pdf")
    verdicts = shift.stage / "verdicts" if job.is_brief else notebook.with_name("verdicts.json")
    values = {**job.parameters, job.verdicts_parameter: str(verdicts)}
    progress = {"desc": f"{job.name:24}", "position": position} if bars else False
    if not bars:
        say(f"{job.name}: running")
    try:
        execute(job, values, notebook, timeout=shift.order.timeout, kernels=kernels, progress=progress)
        executed.make_reproducible(notebook, job, str(verdicts))
        executed.refuse_mixture(notebook, job)
        found = [] if job.is_brief else executed.verdicts(verdicts, job)
        _render(shift, job, notebook, pdf, executed.footer(chain(found, *(read or {}).values()), job))
    except OSError as error:
        if disk_full(error):
            raise ReportError(
                f"{job.name}: the disk is full ({error}); make room and run again.", Exit.DISK_FULL
            ) from error
        raise
    return Product(job, print_, notebook, pdf, found, time.monotonic() - began, datetime.now(UTC))


def _render(shift: Shift, job: Job, notebook: Path, pdf: Path, footer: str) -> None:
    try:
        render = shift.order.render or _own_render()
        render(notebook, pdf, as_of=shift.order.as_of, footer=footer, simulated=bool(job.market))
    except RuntimeError as error:
        code = Exit.DISK_FULL if disk_full(error) else Exit.PDF
        raise ReportError(f"{job.name}: no PDF: {error}", code) from error


def _own_render() -> Render:
    from analysis.report.pdf import render

    return render


def _publish(shift: Shift, scheduled: list[Job]) -> None:
    """Move what was made into place, the manifest last, and keep aside what failed."""
    out, stage, folder = shift.order.out, shift.stage, shift.published.folder
    for name in shift.failures:
        if (notebook := stage / name / f"{name}.ipynb").exists():
            os.replace(notebook, _folder(out / "failed") / notebook.name)
    if shift.products:
        made = [file for product in shift.products.values() for file in (product.pdf, product.notebook)]
        verdicts, manifest = stage / "verdicts.json", stage / "manifest.json"
        found = shift.verdicts(scheduled)
        publish.write_json(verdicts, [verdict for name in sorted(found) for verdict in found[name]])
        publish.write_json(manifest, _manifest(shift, scheduled, fingerprint.sha256(verdicts)))
        _folder(folder)
        publish.move([(file, folder / file.name) for file in (*made, verdicts, manifest)], stage)
        for name in shift.products:
            (out / "failed" / f"{name}.ipynb").unlink(missing_ok=True)
    if not shift.failures:
        publish.point_latest(folder, stage)


def _manifest(shift: Shift, scheduled: list[Job], verdicts_sha256: str) -> dict[str, Any]:
    """Describe what is published: of earlier runs what still stands, of this run what it made."""
    commit = provenance.commit()
    entries = {**shift.published.entries}
    for name, product in shift.products.items():
        entries[name] = {
            "notebook": product.job.notebook.name,
            "parameters": dict(product.job.parameters),
            "market": product.job.market,
            "files": {file.name: fingerprint.sha256(file) for file in product.job.files},
            "fingerprint": product.fingerprint,
            "commit": commit,
            "seconds": round(product.seconds, 1),
            "finished": product.finished.isoformat(timespec="seconds"),
            "pdf_sha256": fingerprint.sha256(product.pdf),
        }
    return {
        "as_of": shift.order.as_of,
        "panel": shift.order.panel,
        "commit": commit,
        "data": shift.common.data,
        "versions": shift.common.versions,
        "verdicts_sha256": verdicts_sha256,
        "reports": {job.name: entries[job.name] for job in scheduled if job.name in entries},
    }


def _tell(shift: Shift, scheduled: list[Job]) -> Exit:
    """Print one line per report of the run and the paths of the PDFs; return how the run ends."""
    for failure in shift.failures.values():
        print(failure, file=sys.stderr)
    touched = {*shift.products, *shift.unchanged, *shift.failures, *shift.not_run}
    jobs = [job for job in scheduled if job.name in touched]
    for job in jobs:
        if product := shift.products.get(job.name):
            line = f"published  {product.seconds:5.1f} s"
        elif job.name in shift.failures:
            line = "refused" if shift.failures[job.name].code == Exit.REFUSED else "failed"
        else:
            line = shift.not_run.get(job.name, "unchanged")
        print(f"{job.name:24}  {line}")
    for job in jobs:
        if job.name in (*shift.products, *shift.unchanged):
            print(os.path.relpath(shift.published.folder / f"{job.name}.pdf"))
    codes = {failure.code for failure in shift.failures.values()}
    return next((code for code in (Exit.DISK_FULL, Exit.FAILED, Exit.PDF, Exit.REFUSED) if code in codes), Exit.OK)


def _folder(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    return path
