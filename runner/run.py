"""The run: carry over what is unchanged, make the rest, and put a whole release, or a draft, into the output folder."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis import parameters, provenance
from analysis.errors import DesignError
from analysis.provenance import ANNEX
from runner import Exit, ReportError, diff, disk_full, pdf, publish, release, say, schedule
from runner.diff import Changes
from runner.kernels import TIMEOUT, Kernels, interruptible
from runner.publish import Verdict
from runner.release import DRAFT, Entry, Manifest, Release
from runner.schedule import PANEL, Job

if TYPE_CHECKING:
    from analysis.study import Study

Due = Callable[[Job, Release], bool]
"""Whether a report that stands in the newest release is to be made again."""


@dataclass(frozen=True)
class Outcome:
    """What became of a run."""

    outcome: str  # published; unchanged; failed; refused; draft, of what was named where no release stands
    as_of: str
    code: Exit
    out: Path  # the folder of releases
    release: str  # name of the release that it made or found unchanged; empty if there is none
    draft: str  # name of the draft that it made; empty if there is none
    previous: str  # name of the release that stood before; empty for the first
    reports: Mapping[str, str]  # a line by report
    failures: tuple[str, ...]
    notes: tuple[str, ...]  # on a damaged release, and on what the panel can tell
    changed_words: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return what others are told of it."""
        told = ("outcome", "release", "draft", "as_of", "reports", "changed_words", "stale", "failures", "notes")
        return {name: getattr(self, name) for name in told}

    def tell(self) -> None:
        """Print failures to standard error, and a line a report, the paths of the PDFs and notes to standard output."""
        for failure in self.failures:
            say(failure, sys.stderr)
        for name, line in self.reports.items():
            say(f"{name:24}  {line}")
        folder = self.out / (self.draft or self.release)
        for page in (folder / f"{name}.pdf" for name in (*self.reports, Path(ANNEX).stem)):
            if page.is_file():
                say(os.path.relpath(page))
        for note in self.notes:
            say(note)


@dataclass
class Run:
    """One run as it goes: what is asked of it, what stands, and what became of each report."""

    root: Path
    as_of: str
    workers: int
    force: bool
    stage: Path
    kernels: Kernels
    jobs: Sequence[Job]
    asked: Collection[str]  # names of reports
    standing: Release | None  # what may be carried over
    panel: str  # digest of where the panel of the run lies; empty if there is none
    panel_is: str  # what it is, in words
    common: Mapping[str, Any]  # `publish.inputs`; `beside`: by number the report that others refer to
    entries: dict[str, Entry] = field(default_factory=dict)  # of the manifest, by report, as all below
    verdicts: dict[str, list[Verdict]] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    failures: dict[str, ReportError] = field(default_factory=dict)
    lines: dict[str, str] = field(default_factory=dict)  # what is said of each report at the end

    @cached_property
    def changes(self) -> Changes | None:
        """What moved since the release that stands; the brief, which says so, does not count."""
        if not self.standing:
            return None
        new = _gathered(self)
        return diff.between(self.standing, Release(new, _manifest(self, new.name)))

    def carried(self, job: Job, print_: str) -> bool:
        """Carry a report over if it is what this run would make, or is so but for its date and nobody asks for it."""
        entry = self.standing.manifest.reports.get(job.name) if self.standing else None
        if not self.standing or not entry or entry.fingerprint != print_:
            return False
        if job.name in self.asked and (self.force or entry.as_of != self.as_of):
            return False
        self.entries[job.name], self.verdicts[job.name] = entry, self.standing.verdicts()[job.name]
        self.lines[job.name] = "unchanged" if entry.as_of == self.as_of else f"unchanged  as of {entry.as_of}"
        return True


def reports(
    root: Path,
    *,
    as_of: str,
    names: Iterable[str] = (),
    due: Due | None = None,
    given: Mapping[str, str] | None = None,
    out: Path | None = None,
    workers: int | None = None,
    timeout: float = TIMEOUT,
    force: bool = False,
    panel: Mapping[str, str] | None = None,
) -> Outcome:
    """Make the reports of a repository that are not up to date, and put them with the others into a new release.

    `names` chooses by name or number what is asked for, or `due` by a rule, and where nothing is due nothing is done.
    What is not asked for is carried over from the release that stands if it is unchanged but for its date; where none
    stands, what is named makes a draft. `given` are parameters as text, and `panel`, of `schedule.own_panel`, runs the
    reports on a panel instead of the schedule. What cannot be run is a `DesignError` or `DataError` before anything has
    been started; whatever goes wrong, releases stay as they are.
    """
    out, names = (out or root / schedule.load(root).publish).absolute(), [*names]
    pdf.refuse_incomplete()
    scheduled, chosen, found = _planned(root, names, given or {}, as_of, out, panel)
    lies = publish.digest_of(panel["panel_path"]) if panel else ""
    with interruptible(), release.locked(out), release.staging(out) as stage, release.sockets(out) as sockets:
        _refuse_other_panel(out, lies)
        today = schedule.today()
        ahead = release.after(out, today)
        standing, damage = release.standing(out, as_of)
        if standing:
            release.point(out, standing.folder.name, stage, today)  # a killed run may have put it in place, and no more
        only_named = bool(names) and not standing and not damage
        jobs = [job for job in scheduled if not only_named or job.name in chosen]
        newest: Release | None = None
        if due is not None:
            chosen, newest = _due(due, scheduled, out, today, damage)
        if newest and not chosen:
            lines = {name: f"not due  as of {entry.as_of}" for name, entry in newest.manifest.reports.items()}
            name = newest.folder.name
            release.point(out, name, stage, today)  # a killed run may have put it in place, and no more
            return Outcome("unchanged", as_of, Exit.OK, out, name, "", name, lines, tuple(ahead), ())
        before = _sources(root, jobs)
        common = {name: files for name, files in before.items() if name not in ("notebooks", "files")}
        common["beside"] = schedule.beside(scheduled)
        said = found.caveats if found else ""
        kernels = Kernels(as_of, sockets, timeout)
        at_a_time = workers or os.cpu_count() or 1
        run = Run(root, as_of, at_a_time, force, stage, kernels, jobs, chosen, standing, lies, said, common)
        _work(run, [job for job in jobs if not job.is_brief])
        for brief in (job for job in jobs if job.is_brief):
            _work_brief(run, brief)
        _hold_still(run, before, _sources(root, jobs))
        try:
            name = _put(run, out, whole=not only_named)
        except OSError as error:
            run.failures["disk"], name = _failure("Publishing", error), ""
    new = bool(run.made) and name not in ("", DRAFT)  # else nothing moved in what is seen
    codes = {failure.code for failure in run.failures.values()}
    code = next((code for code in (Exit.DISK_FULL, Exit.FAILED, Exit.PDF, Exit.REFUSED) if code in codes), Exit.OK)
    outcome = {Exit.OK: "published" if run.made else "unchanged", Exit.REFUSED: "refused"}.get(code, "failed")
    if name in ("", DRAFT):
        run.lines = {report: line.replace("published", "made", 1) for report, line in run.lines.items()}
    return Outcome(
        "draft" if only_named and code == Exit.OK else outcome,
        as_of,
        code,
        out,
        name if name != DRAFT else "",
        name if name == DRAFT else "",
        standing.folder.name if standing else "",
        {job.name: run.lines[job.name] for job in jobs if job.name in run.lines},
        (*(str(failure) for failure in run.failures.values()), *ahead),
        tuple(filter(None, [damage, found.speaks if found else ""])),
        tuple(diff.turned(run.changes)) if new and run.changes else (),
    )


@contextmanager
def again(root: Path, found: Release, name: str, timeout: float = TIMEOUT) -> Iterator[Path]:
    """Make one report of a release once more, of what the checkout holds, and lend the folder with its files.

    Raises
    ------
    DesignError
        If the report was made of something else: of a file of one's own, or of other inputs.
    ReportError
        If it fails.
    """
    entries = found.manifest.reports
    if entries[name].files:
        files = ", ".join(entries[name].files)
        raise DesignError(f"{name}: it reads {files}, which no release holds; run it on that panel, and compare.")
    known = {job.name: job for job in schedule.read(root)}
    jobs = list[Job]()
    for one in (one for one in dict.fromkeys([*known, *entries]) if one in entries):  # in the order of the schedule
        job, of = known.get(one) or Job(one, root / "notebooks" / entries[one].notebook, {}), entries[one]
        jobs.append(replace(job, parameters=of.parameters, market=of.market))
    (job,) = (one for one in jobs if one.name == name)
    fields = [*parameters.declared(job.notebook).model_fields]  # the cell of parameters has them in this order
    others = [one.name for one in jobs if one is not job and not one.sweep]
    job = replace(job, parameters=dict(sorted(job.parameters.items(), key=lambda pair: fields.index(pair[0]))))
    read = {one: of for one, of in found.verdicts().items() if one in others} if job.is_brief else None
    common = {**publish.inputs(root), "beside": schedule.beside(jobs)}
    if publish.fingerprint(job, common, read) != entries[name].fingerprint:
        raise DesignError(f"{name}: what is here now gives another fingerprint; check out {entries[name].commit}.")
    with interruptible(), tempfile.TemporaryDirectory() as scratch, release.sockets(Path(scratch)) as sockets:
        as_of, stage = entries[name].as_of, Path(scratch)
        kernels = Kernels(as_of, sockets, timeout)
        run = Run(root, as_of, 1, True, stage, kernels, jobs, [name], None, "", found.manifest.panel_is, common)
        if read:
            _lay_out(run, read)
        _work(run, [job], read)
        if name in run.failures:
            raise run.failures[name]
        yield run.stage / name


def _due(due: Due, jobs: Sequence[Job], out: Path, today: str, damage: str) -> tuple[set[str], Release | None]:
    """Return the names of reports that are due, and the newest release; all reports and None if it is damaged.

    The brief, which reads the others, is due with them.
    """
    there = release.names(out, today)
    newest = release.read(out / there[-1]) if there and not damage else None
    known = newest.manifest.reports if newest else {}
    found = {job.name for job in jobs if newest is None or job.name not in known or due(job, newest)}
    return found | {job.name for job in jobs if found and job.is_brief}, newest


def _planned(
    root: Path, names: Iterable[str], given: Mapping[str, str], as_of: str, out: Path, panel: Mapping[str, str] | None
) -> tuple[list[Job], set[str], Study | None]:
    """Return the jobs that belong together, the names of those asked for, and the study of a panel; or refuse."""
    jobs = schedule.read(root)
    if panel:
        jobs = schedule.on_panel(jobs, panel, given)
    chosen = schedule.settled(schedule.select(jobs, names), given, as_of)  # each of `given` is known to one of these
    jobs = schedule.settled(jobs, given, as_of)
    if (panel or given) and out.resolve() == (root / schedule.load(root).publish).resolve():
        asked = "Reports on a panel" if panel else f"Parameter {', '.join(given)}"
        remedy = "give another folder with --out DIR" + ("" if panel else ", or write the value into schedule.yml")
        raise DesignError(f"{asked}: {out} holds the reports of the schedule with its parameters; {remedy}.")
    schedule.refuse_foresight(root, as_of)
    if not panel:
        return jobs, {job.name for job in chosen}, None
    found = _examined(chosen)
    chosen, jobs = (schedule.named(part, found.market, jobs) for part in (chosen, jobs))
    return jobs, {job.name for job in chosen}, found


def _refuse_other_panel(out: Path, mine: str) -> None:
    theirs = release.panel(out)
    if theirs not in (None, mine):
        there = f"those on {'another' if mine else 'a'} panel" if theirs else "those on the scheduled data"
        asked = "a panel" if mine else "the scheduled data"
        raise DesignError(f"Reports on {asked}: {out} holds {there}; give another folder with --out.")


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


def _work(run: Run, jobs: list[Job], read: Mapping[str, list[Verdict]] | None = None) -> None:
    """Carry over or make each job, several at a time; the brief is given the verdicts that it reads."""
    prints = {job.name: publish.fingerprint(job, run.common, read) for job in jobs}
    due = [job for job in jobs if not run.carried(job, prints[job.name])]
    if not due:
        return
    footing = list(chain(*(read or {}).values()))
    run.kernels.each([partial(_make, run, job, prints[job.name], footing) for job in due], run.workers)


def _work_brief(run: Run, brief: Job) -> None:
    """Make the brief from the verdicts that there are; it names the reports that failed."""
    inputs = [job for job in run.jobs if not job.is_brief]
    failed = [job.name for job in inputs if job.name in run.failures]
    read = {job.name: run.verdicts[job.name] for job in inputs if job.name in run.verdicts and not job.sweep}
    if failed and not any(read.values()):
        run.lines[brief.name] = f"not run: there is no verdict without {', '.join(failed)}"
        return
    more = {"failed": ", ".join(failed), "panel": run.panel_is}
    brief = replace(brief, parameters={**brief.parameters, **{name: text for name, text in more.items() if text}})
    _lay_out(run, read)
    if not run.standing or "since" not in brief.parameters:
        return _work(run, [brief], read)
    before = run.standing.manifest.reports.get(brief.name)
    told = _with_since(brief, str(before.parameters.get("since", "")) if before else "")
    if run.made or not run.carried(told, publish.fingerprint(told, run.common, read)):
        told = _with_since(brief, diff.line(run.changes) if run.changes else "")
    _work(run, [told], read)
    if told.parameters["since"] and not _has_room(run, brief.name):
        run.failures.pop(brief.name, None)
        run.made = [name for name in run.made if name != brief.name]
        shutil.rmtree(run.stage / brief.name)
        _work(run, [brief], read)
        run.lines[brief.name] += "  without a line on what moved, for which it has no room: see the annex"


def _has_room(run: Run, brief: str) -> bool:
    """Whether a brief that was made with a line on what moved is one page; what is not made now does not count."""
    if failure := run.failures.get(brief):
        return failure.code != Exit.PDF
    return brief not in run.made or pdf.pages(run.stage / brief / f"{brief}.pdf") <= 1


def _with_since(brief: Job, since: str) -> Job:
    return replace(brief, parameters={**brief.parameters, "since": since})


def _lay_out(run: Run, read: Mapping[str, list[Verdict]]) -> None:
    """Write the verdicts that a brief reads."""
    (run.stage / "verdicts").mkdir()
    for name, found in read.items():
        publish.write_json(run.stage / "verdicts" / f"{name}.json", found)


def _make(run: Run, job: Job, print_: str, read: list[Verdict], position: int) -> None:
    """Execute a notebook and make its PDF, in the temporary folder; a failure is kept in the run."""
    from runner import takeaway

    began, folder = time.monotonic(), run.stage / job.name
    folder.mkdir()
    notebook, page = folder / f"{job.name}.ipynb", folder / f"{job.name}.pdf"
    verdicts = run.stage / "verdicts" if job.is_brief else folder / "verdicts.json"
    try:
        run.kernels.execute(job, {**job.parameters, job.verdicts_parameter: str(verdicts)}, notebook, position)
        publish.make_reproducible(notebook, job, str(verdicts))
        found = [] if job.is_brief else publish.verdicts(verdicts, job)
        footer = publish.footer(notebook, [*found, *read], job)
        simulated = bool(job.market)
        pdf.render(notebook, page, as_of=run.as_of, footer=footer, simulated=simulated, beside=run.common["beside"])
        taken = takeaway.write(notebook, job)
        publish.open_with_answer(notebook)
    except (ReportError, pdf.PdfError, OSError) as error:
        failure = run.failures[job.name] = _failure(job.name, error)
        run.lines[job.name] = "refused" if failure.code == Exit.REFUSED else "failed"
        return
    seconds = round(time.monotonic() - began, 1)
    run.entries[job.name] = Entry(
        notebook=job.notebook.name,
        notebook_sha256=publish.digest(job.notebook),
        parameters=publish.parameters(job),
        market=job.market,
        files=publish.hashes(job),
        fingerprint=print_,
        commit=provenance.commit(),
        seconds=seconds,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        made=sorted(file.relative_to(folder).as_posix() for file in (notebook, page, *taken)),
    )
    run.verdicts[job.name] = found
    run.lines[job.name] = f"published  {seconds:5.1f} s"
    run.made.append(job.name)


def _failure(name: str, error: Exception) -> ReportError:
    """Return what is told of an error; one that is a fault of ours is raised again."""
    if isinstance(error, ReportError):
        return error
    if disk_full(error):
        return ReportError(f"{name}: the disk is full ({error}); make room and run again.", Exit.DISK_FULL)
    if isinstance(error, pdf.PdfError):
        return ReportError(f"{name}: no PDF: {error}", Exit.PDF)
    raise error


def _sources(root: Path, jobs: Iterable[Job]) -> dict[str, dict[str, str]]:
    """Hash all that reports are made of, by part and file."""
    found = {**publish.inputs(root), "notebooks": {job.notebook.name: publish.digest(job.notebook) for job in jobs}}
    return {**found, "files": {name: was for job in jobs for name, was in publish.hashes(job).items()}}


def _hold_still(run: Run, before: Mapping[str, dict[str, str]], now: Mapping[str, dict[str, str]]) -> None:
    """Let the run fail if what reports are made of has changed since it began: they would not belong together."""
    items = {(part, name) for known in (before, now) for part in known for name in known[part]}
    if changed := [f"{part}: {name}" for part, name in sorted(items) if before[part].get(name) != now[part].get(name)]:
        said = f"While the run was at work, {', '.join(changed)} changed; run again."
        run.failures["inputs"] = ReportError(said)


def _gathered(run: Run) -> Path:
    """Lay what was made or carried over, the verdicts and the data beside each other, as a release has them.

    What lies there already stays: what moved is told before the brief is made, which then comes to it.
    """
    new = run.stage / "new"
    new.mkdir(exist_ok=True)
    for name, entry in run.entries.items():
        for file in entry.made:
            if (new / file).exists():
                continue
            (new / file).parent.mkdir(exist_ok=True)
            if name not in run.made and run.standing:
                shutil.copyfile(run.standing.folder / file, new / file)
            else:
                os.replace(run.stage / name / file, new / file)
    publish.write_json(new / release.VERDICTS, [*chain(*(run.verdicts[name] for name in sorted(run.verdicts)))])
    if not (new / release.DATA).exists():
        release.pack(run.root / "data", run.common["data"], new / release.DATA)
    return new


def _manifest(run: Run, name: str) -> Manifest:
    """Return the manifest of what has been made and carried over, without the hashes of its files."""
    return Manifest(
        release=name,
        as_of=run.as_of,
        previous="" if run.standing is None else run.standing.folder.name,
        panel=run.panel,
        panel_is=run.panel_is,
        commit=provenance.commit(),
        inputs={name: files for name, files in run.common.items() if name != "beside"},
        files={},
        reports={job.name: run.entries[job.name] for job in run.jobs if job.name in run.entries},
    )


def _put(run: Run, out: Path, *, whole: bool) -> str:
    """Put a release, or the draft if it is not `whole`, into the output folder, and return its name.

    If nothing has changed, that is the release that stands.
    """
    if run.standing and not run.made and not run.failures:
        standing = run.standing.folder.name
        if run.standing.manifest.reports.keys() == {job.name for job in run.jobs}:
            _show(out, standing, run.stage)
            return standing
    from runner import index, sweep  # with pandas, which a run that changes nothing does without

    new, changes = _gathered(run), run.changes
    for job in run.jobs:
        if job.name in run.failures and (notebook := run.stage / job.name / f"{job.name}.ipynb").exists():
            (new / "failed").mkdir(exist_ok=True)
            publish.without_paths(notebook, job)
            os.replace(notebook, new / "failed" / notebook.name)
    sweep.write(new, run.jobs, run.verdicts)
    _annex(run, new / ANNEX)
    target = out / (release.next_name(out, run.as_of) if whole and not run.failures else DRAFT)
    manifest = _manifest(run, target.name)
    event = next((job.parameters["event"] for job in run.jobs if "event" in job.parameters), "")
    told = {
        **(changes.as_json() if changes else {}),
        "headline": index.headline(run.verdicts, event),
        "until": target.name,
    }
    publish.write_json(new / diff.FILE, told)
    of = {"made": run.made, "failed": [*run.failures]}
    index.write(new, manifest.model_dump(), run.verdicts, event=event, changes=changes, **of)
    publish.write_json(new / release.MANIFEST, {**manifest.model_dump(), "files": release.hashes(new)})
    release.put(new, target, run.stage)
    if target.name != DRAFT:
        _show(out, target.name, run.stage)
    return target.name


def _show(out: Path, name: str, stage: Path) -> None:
    """Let a whole release be seen, and take away the draft."""
    release.point(out, name, stage, schedule.today())
    if (out / DRAFT).exists():
        os.rename(out / DRAFT, stage / DRAFT)


def _annex(run: Run, page: Path) -> None:
    """Make the annex of all reports, if there is one."""
    from runner import annex

    notebooks = {job.name: page.with_name(f"{job.name}.ipynb") for job in run.jobs if job.name in run.entries}
    if not notebooks:
        return
    try:
        annex.write(notebooks, page, as_of=run.as_of, changes=run.changes)
    except (pdf.PdfError, OSError) as error:
        run.failures[page.stem] = _failure(page.stem, error)
    finally:
        page.with_suffix(".ipynb").unlink(missing_ok=True)
