"""The run: skip what is unchanged, execute the rest, publish what succeeded."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from analysis import provenance
from analysis.errors import DataError, DesignError
from analysis.provenance import ANNEX
from analysis.report import Exit, ReportError, disk_full, pdf, publish, schedule
from analysis.report.publish import Published, Verdict
from analysis.report.schedule import PANEL, Job

if TYPE_CHECKING:
    from analysis.study import Study

TIMEOUT = 600.0  # seconds for one notebook
_TRACEBACK_LINES = 15


@dataclass
class Run:
    """One run as it goes: what is asked of it, what stands published, and what became of each report."""

    as_of: str
    timeout: float
    workers: int
    force: bool
    stage: Path
    sockets: Path  # of kernels: a folder of few letters, for a socket's path has at most about a hundred
    published: Published
    panel: str  # what the panel of the run is said to be; empty if there is none
    common: Mapping[str, Any]  # `beside`: by number the report that others refer to, of public figures before a panel's
    entries: dict[str, dict[str, Any]]  # of the manifest, by report
    verdicts: dict[str, list[Verdict]]
    made: list[str] = field(default_factory=list)
    failures: dict[str, ReportError] = field(default_factory=dict)
    lines: dict[str, str] = field(default_factory=dict)  # what is said of each report at the end
    kernels: list[Any] = field(default_factory=list)
    stopping: bool = False

    def notebook(self, name: str) -> Path:
        """Return where the executed notebook of a report lies now, made by this run or published before."""
        return (self.stage / name if name in self.made else self.published.folder) / f"{name}.ipynb"


def report(
    root: Path,
    *,
    as_of: str,
    names: Iterable[str] = (),
    given: Mapping[str, str] | None = None,
    out: Path | None = None,
    workers: int | None = None,
    timeout: float = TIMEOUT,
    force: bool = False,
    panel: Mapping[str, str] | None = None,
) -> Exit:
    """Make the reports of a repository that are not up to date, publish them in the folder of the date, and say how.

    `names` chooses by name or number, `given` are parameters as text, and `panel`, of `schedule.own_panel`, runs the
    reports on a panel instead of the schedule. What cannot be run is a `DesignError` or `DataError` before anything has
    been started; whatever goes wrong, what was published is as before.
    """
    out = (out or root / "reports").absolute()
    jobs, scheduled, found = _planned(root, names, given or {}, as_of, out, panel)
    briefs = [job for job in jobs if job.is_brief]
    waiting = [] if briefs else schedule.settled([job for job in scheduled if job.is_brief], {}, as_of)
    source = panel["panel_path"] if panel else ""
    with _interruptible(), publish.locked(out), publish.staging(out) as stage, tempfile.TemporaryDirectory() as sockets:
        published = publish.read(out / as_of)
        if published.entries and published.panel != source:
            theirs, mine = published.panel or "the scheduled data", source or "the scheduled data"
            there = f"{published.folder} holds those of a run on {theirs}"
            raise DesignError(f"Reports on {mine}: {there}; give another folder with --out.")
        asked = (as_of, timeout, workers or os.cpu_count() or 1, force, stage, Path(sockets), published)
        said = found.caveats if found else ""
        common = {**publish.inputs(root), "beside": schedule.beside(scheduled)}
        run = Run(*asked, said, common, {**published.entries}, {**published.verdicts})
        _work(run, [job for job in jobs if not job.is_brief])
        # a brief that nobody chose, but that stands beside a report that has just been made again, is made again too
        for brief in briefs or [job for job in waiting if run.made and job.name in published.entries]:
            _work_brief(run, brief, [job for job in scheduled if not job.is_brief])
        _publish(run, [job.name for job in scheduled], source)
    for failure in run.failures.values():
        print(failure, file=sys.stderr)
    told = [job.name for job in scheduled if job.name in run.lines]
    for name in told:
        print(f"{name:24}  {run.lines[name]}")
    pages = [f"{name}.pdf" for name in told if name in run.made or run.lines[name] == "unchanged"]
    for page in [*pages, *([ANNEX] if pages else [])]:
        print(os.path.relpath(published.folder / page))
    if found:
        print(found.speaks)
    codes = {failure.code for failure in run.failures.values()}
    return next((code for code in (Exit.DISK_FULL, Exit.FAILED, Exit.PDF, Exit.REFUSED) if code in codes), Exit.OK)


def _planned(
    root: Path, names: Iterable[str], given: Mapping[str, str], as_of: str, out: Path, panel: Mapping[str, str] | None
) -> tuple[list[Job], list[Job], Study | None]:
    """Return the jobs to run, settled, all that belong together, and the study of a panel; or refuse them."""
    scheduled = schedule.read(root)
    if panel:
        scheduled = schedule.on_panel(scheduled, panel, given)
    jobs = schedule.settled(schedule.select(scheduled, names), given, as_of)
    if (panel or given) and out.resolve() == (root / "reports").resolve():
        asked = "Reports on a panel" if panel else f"Parameter {', '.join(given)}"
        remedy = "give another folder with --out DIR" + ("" if panel else ", or write the value into schedule.yml")
        raise DesignError(f"{asked}: {out} holds the reports of the schedule with its parameters; {remedy}.")
    schedule.refuse_foresight(root, as_of)
    if not panel:
        return jobs, scheduled, None
    found = _examined(jobs)
    jobs, scheduled = (schedule.named(part, found.market, scheduled) for part in (jobs, scheduled))
    return jobs, scheduled, found


def _examined(jobs: list[Job]) -> Study:
    """Read the panel once and look for what the reports compare."""
    from analysis.study import Study

    mine = [job.parameters for job in jobs if job.name.startswith(PANEL)]
    if not mine:
        raise DesignError("Reports on a panel: none of those that were named can take one; name none, or 03 to 06.")
    found = Study.open(mine[0])
    try:
        found.design.sample(found.panel)
    except DesignError as refusal:
        raise DesignError(f"{mine[0]['panel_path']}: {refusal}") from refusal
    return found


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let a signal raise `SystemExit` (128 + its number); those that follow are ignored, so that cleaning up is whole.

    One that was ignored already, as under ``nohup``, stays ignored.
    """
    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def stop(number: int, frame: FrameType | None) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = {each: signal.signal(each, stop) for each in signals if signal.getsignal(each) != signal.SIG_IGN}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _environment(as_of: str, scratch: Path) -> Iterator[None]:
    """Set what kernels inherit: one BLAS thread, a fixed clock and hash seed, nobody's own settings.

    Two kernels with two BLAS threads each on two cores are slower than one after the other.
    """
    before, midnight = dict(os.environ), datetime.fromisoformat(as_of).replace(tzinfo=UTC)
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    os.environ |= {"SOURCE_DATE_EPOCH": f"{midnight.timestamp():.0f}", "PYTHONHASHSEED": "0"}
    os.environ |= {"IPYTHONDIR": f"{scratch}/ipython", "JUPYTER_RUNTIME_DIR": f"{scratch}/runtime"}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before


def _work(run: Run, jobs: list[Job], read: Mapping[str, list[Verdict]] | None = None) -> None:
    """Make each job that is not up to date, several at a time; the brief is given the verdicts that it reads."""
    prints = {job.name: publish.fingerprint(job, run.common, read) for job in jobs}
    due = [job for job in jobs if run.force or not run.published.holds(job.name, prints[job.name])]
    run.lines |= {job.name: "unchanged" for job in jobs if job not in due}
    if not due:
        return
    footing = list(chain(*(read or {}).values()))
    with _environment(run.as_of, run.stage), ThreadPoolExecutor(run.workers) as pool:
        futures = list[Future[None]]()
        try:
            for position, job in enumerate(due):
                futures.append(pool.submit(_make, run, job, prints[job.name], footing, position))
            for future in as_completed(futures):
                future.result()
        except BaseException:  # a signal, or an error of ours: leave no kernel behind
            run.stopping = True
            pool.shutdown(wait=False, cancel_futures=True)
            while running := [future for future in futures if not future.done()]:
                for manager in [manager for manager in run.kernels if manager.has_kernel]:
                    with suppress(ProcessLookupError):  # it ended by itself in this moment
                        os.killpg(manager.provisioner.pid, signal.SIGKILL)  # with whatever it has started
                wait(running, timeout=0.1)
            raise


def _work_brief(run: Run, brief: Job, inputs: list[Job]) -> None:
    """Make the brief from the verdicts that there are; it names the reports that failed.

    A report that failed keeps the verdicts that stand published, if they were made of the files that it has now.
    """
    failed = [job for job in inputs if job.name in run.failures]
    stale = [job.name for job in failed if run.entries.get(job.name, {}).get("files") != publish.hashes(job)]
    there = [job.name for job in inputs if job.name in run.verdicts and job.name not in stale]
    read = {name: run.verdicts[name] for name in there}
    if failed and not any(read.values()):
        run.lines[brief.name] = f"not run: there is no verdict without {', '.join(job.name for job in failed)}"
        return
    if failed:
        earlier = " (its verdicts are of an earlier run of this day)"
        told = ", ".join(f"{job.name}{earlier if read.get(job.name) else ''}" for job in failed)
        brief = replace(brief, parameters={**brief.parameters, "failed": told})
    if run.panel:
        brief = replace(brief, parameters={**brief.parameters, "panel": run.panel})
    (run.stage / "verdicts").mkdir(exist_ok=True)
    for name, found in read.items():
        publish.write_json(run.stage / "verdicts" / f"{name}.json", found)
    _work(run, [brief], read)


def _make(run: Run, job: Job, print_: str, read: list[Verdict], position: int) -> None:
    """Execute a notebook and make its PDF, in the temporary folder; a failure is kept in the run."""
    from analysis.report import takeaway

    began, folder = time.monotonic(), run.stage / job.name
    folder.mkdir()
    notebook, page = folder / f"{job.name}.ipynb", folder / f"{job.name}.pdf"
    verdicts = run.stage / "verdicts" if job.is_brief else folder / "verdicts.json"
    try:
        _execute(run, job, {**job.parameters, job.verdicts_parameter: str(verdicts)}, notebook, position)
        publish.make_reproducible(notebook, job, str(verdicts))
        found = [] if job.is_brief else publish.verdicts(verdicts, job)
        footer = publish.footer(notebook, [*found, *read], job)
        simulated = bool(job.market)
        pdf.render(notebook, page, as_of=run.as_of, footer=footer, simulated=simulated, beside=run.common["beside"])
        taken = takeaway.write(notebook, job)
        publish.open_with_answer(notebook)
    except (ReportError, pdf.PdfError, OSError) as error:
        if isinstance(error, ReportError):
            failure = error
        elif disk_full(error):
            failure = ReportError(f"{job.name}: the disk is full ({error}); make room and run again.", Exit.DISK_FULL)
        elif isinstance(error, pdf.PdfError):
            failure = ReportError(f"{job.name}: no PDF: {error}", Exit.PDF)
        else:
            raise
        run.failures[job.name] = failure
        run.lines[job.name] = "refused" if failure.code == Exit.REFUSED else "failed"
        return
    run.entries[job.name] = {
        "notebook": job.notebook.name,
        "parameters": dict(job.parameters),
        "market": job.market,
        "files": publish.hashes(job),
        "fingerprint": print_,
        "commit": provenance.commit(),
        "seconds": round(time.monotonic() - began, 1),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "pdf_sha256": publish.sha256(page),
        "takeaway": {str(file.relative_to(folder)): publish.sha256(file) for file in taken},
    }
    run.verdicts[job.name] = found
    run.lines[job.name] = f"published  {time.monotonic() - began:5.1f} s"
    run.made.append(job.name)


def _execute(run: Run, job: Job, values: Mapping[str, Any], target: Path, position: int) -> None:
    """Execute a notebook in a kernel of its own and write it, after each cell, to a file.

    A kernel that dies is tried once more. A `DesignError` or `DataError` of a cell is a refusal: it is not a fault.
    """
    import papermill
    from jupyter_client.manager import AsyncKernelManager
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError, strip_color
    from tqdm import tqdm

    class Manager(AsyncKernelManager):
        """Speaks to its kernel through files: another may take a TCP port between its choice and its use."""

        def __init__(self, **options: Any) -> None:
            super().__init__(**options, transport="ipc", ip=str(run.sockets / f"{position}-{len(run.kernels)}"))
            run.kernels.append(self)

    def tell(line: str) -> None:
        tqdm.write(f"{job.name}: {line}", file=sys.stderr)  # past any progress bars

    # papermill warns of parameters that its own inference cannot read, and logs what it raises
    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    bars = {"desc": f"{job.name:24}", "position": position} if sys.stderr.isatty() else False
    if not bars:
        tell("running")
    files = [str(path).replace("{", "{{").replace("}", "}}") for path in (job.notebook, target)]  # braces are meant
    for last in (False, True):
        deadline = time.monotonic() + run.timeout
        try:
            papermill.execute_notebook(
                *files,
                parameters=dict(values),
                kernel_name="python3",
                progress_bar=bars,
                start_timeout=run.timeout,
                timeout_func=lambda _, deadline=deadline: max(deadline - time.monotonic(), 0.001),
                resources={"metadata": {"path": str(job.notebook.parent)}},  # `cwd` would move all threads
                kernel_manager_class=Manager,
                shutdown_kernel="immediate",
                record_timing=False,
                coalesce_streams=True,
            )
            return
        except DeadKernelError:
            if last or run.stopping:
                raise ReportError(f"{job.name}: the kernel died, twice; was the memory short?") from None
            tell("the kernel died; trying once more")
        except CellTimeoutError:
            said = f"{job.name}: not done after {run.timeout:g} s; give it longer with --timeout."
            raise ReportError(said) from None
        except PapermillExecutionError as error:
            if error.ename in (DataError.__name__, DesignError.__name__):
                raise ReportError(f"{job.name}: {error.evalue}", Exit.REFUSED) from None
            lines = strip_color("\n".join(error.traceback)).rstrip().splitlines()[-_TRACEBACK_LINES:]
            said = "\n    ".join([f"{job.name}: a cell failed with {error.ename}:", *lines])
            raise ReportError(said, Exit.DISK_FULL if disk_full(error.evalue) else Exit.FAILED) from None
        except RuntimeError as error:  # nbclient, of a kernel that never answered
            raise ReportError(f"{job.name}: the kernel did not start: {error}") from None


def _publish(run: Run, scheduled: list[str], panel: str) -> None:
    """Publish what was made beside what still stands, and keep aside what failed."""
    from analysis.report import index  # with pandas, which the command line does without

    stage, folder = run.stage, run.published.folder
    failed = folder.with_name("failed")
    for name in run.failures:
        if (notebook := stage / name / f"{name}.ipynb").exists():
            failed.mkdir(exist_ok=True)
            os.replace(notebook, failed / notebook.name)
    if run.made or (run.published.entries and not run.published.annex):
        verdicts, manifest, page = stage / "verdicts.json", stage / "manifest.json", stage / ANNEX
        found = [run.verdicts[name] for name in sorted(scheduled) if name in run.verdicts]
        publish.write_json(verdicts, list(chain(*found)))
        _annex(run, [name for name in scheduled if name in run.entries], page)
        content = {
            "as_of": run.as_of,
            "panel": panel,
            "panel_is": run.panel,
            "commit": provenance.commit(),
            "data": run.common["data"],
            "versions": run.common["versions"],
            "verdicts_sha256": publish.sha256(verdicts),
            "annex_sha256": publish.sha256(page) if page.is_file() else "",
            "reports": {name: run.entries[name] for name in scheduled if name in run.entries},
        }
        publish.write_json(manifest, content)
        files = chain(*(sorted((stage / name).glob(f"{name}.*")) for name in run.made))
        before = chain(*(run.published.entries.get(name, {}).get("takeaway", {}) for name in run.made))
        notebooks = {name: run.notebook(name) for name in run.entries}
        whole = index.write(stage, content, run.verdicts, notebooks, made=run.made, failed=run.failures)
        publish.release(folder, [*files, verdicts, manifest, *stage.glob(ANNEX), *whole], stage, gone=[*before, ANNEX])
        for name in run.made:
            (failed / f"{name}.ipynb").unlink(missing_ok=True)
    if not run.failures:
        publish.point(folder.with_name("latest"), folder.name, stage)


def _annex(run: Run, names: list[str], page: Path) -> None:
    """Make the annex of all reports that will stand published; without it a run publishes them nevertheless."""
    from analysis.report import annex

    try:
        annex.write({name: run.notebook(name) for name in names}, page, as_of=run.as_of)
    except pdf.PdfError as error:
        run.failures[page.stem] = ReportError(f"{page.stem}: no PDF: {error}", Exit.PDF)
