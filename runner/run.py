"""Run reports: carry over those unchanged, make the rest, and publish a release or a draft."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from fewtreated.errors import DesignError

from analysis import parameters, provenance
from analysis.provenance import ANNEX
from runner import (
    Exit,
    Outcome,
    ReportError,
    Said,
    State,
    committed,
    corrections,
    diff,
    disk_full,
    pdf,
    publish,
    release,
    schedule,
    site,
)
from runner.corrections import Correction
from runner.diff import Changes
from runner.kernels import TIMEOUT, Kernels, interruptible
from runner.publish import Verdict, Verdicts
from runner.release import DRAFT, Entry, Manifest, Release
from runner.schedule import PANEL, Job

if TYPE_CHECKING:
    from analysis.study import Study


COMMIT = "commit"  # key of the failure that parameters or data are not those of the last commit
UNKNOWN = (
    "Whether parameters and data are those of the last commit is not known, as git could not be"
    " asked"
)


@dataclass(frozen=True)
class Request:
    """Options for a run.

    Attributes
    ----------
    as_of : str
        As-of date, YYYY-MM-DD.
    names : sequence of str
        Names or numbers of reports; all if empty.
    given : mapping
        Parameters as text.
    out : Path or None
        Folder of the releases; None means that of the schedule.
    workers : int or None
        Notebooks to run at a time; None means one per core.
    timeout : float
        Time limit for one notebook, seconds.
    force : bool
        Whether to make unchanged reports too.
    dry : bool
        Whether only to say what would be made, and why.
    panel : mapping or None
        As from `schedule.own_panel`, to make the reports on that panel instead of the schedule's.
    accept : bool
        Whether parameters and data that differ from the last commit may be published.
    """

    as_of: str
    names: Sequence[str] = ()
    given: Mapping[str, str] = field(default_factory=dict)
    out: Path | None = None
    workers: int | None = None
    timeout: float = TIMEOUT
    force: bool = False
    dry: bool = False
    panel: Mapping[str, str] | None = None
    accept: bool = False


@dataclass
class Run:
    """State of a run: its request, the standing release and the outcome of each report."""

    root: Path
    request: Request
    stage: Path
    sockets: Path
    jobs: Sequence[Job]
    chosen: Mapping[str, str]  # why to make a report, by name
    standing: Release | None  # the release to carry over from
    panel: str  # digest of the path of the panel, empty if there is none
    panel_is: str  # description of the panel
    common: Mapping[
        str, Any
    ]  # `publish.inputs`, and `beside`: the report that others refer to, by number
    fresh: str = "new"  # why to make a report that cannot be carried over
    uncommitted: Sequence[
        str
    ] = ()  # what differs from the last commit: see `committed.uncommitted`
    held: str = ""  # why it makes no release, if it makes anything
    corrections: Sequence[Correction] = ()  # of what earlier releases said
    told: Mapping[str, int] = field(
        default_factory=dict
    )  # how many releases have told each correction
    entries: dict[str, Entry] = field(
        default_factory=dict
    )  # entries of the manifest, by report, as all below
    verdicts: dict[str, list[Verdict]] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    failures: dict[str, ReportError] = field(default_factory=dict)
    stale: dict[str, ReportError] = field(
        default_factory=dict
    )  # failures of reports that are carried over
    states: dict[str, State] = field(default_factory=dict)

    @cached_property
    def kernels(self) -> Kernels:
        """Kernels that execute the run's notebooks."""
        return Kernels(self.request.as_of, self.sockets, self.request.timeout)

    @cached_property
    def changes(self) -> Changes | None:
        """Changes since the standing release, leaving out the brief, which reports them."""
        if not self.standing:
            return None
        new = _gathered(self)
        return diff.between(self.standing, Release(new, _manifest(self, new.name)))

    def why(self, job: Job, print_: str) -> str:
        """Return why a report has to be made, or nothing if it can be carried over.

        It can if it is unchanged, or differs only in its date and is not asked for.
        """
        entry = self.standing.manifest.reports.get(job.name) if self.standing else None
        if not self.standing or not entry:
            return self.fresh
        asked = self.request.force or entry.as_of != self.request.as_of
        if asked and job.name in self.chosen:
            reasons = [self.chosen[job.name]]
        else:
            reasons = []
        if entry.fingerprint != print_:
            was = {**self.standing.manifest.inputs, **dict(entry)}
            now = {**self.common, **publish.about(job)}
            was["parameters"], now["parameters"] = (
                {**each["parameters"], "as_of": ""} for each in (was, now)
            )
            parts = [part for part in publish.unlike(was, now) if part in was.keys() & now.keys()]
            reasons += [f"changed: {', '.join(parts) or 'what it reads or refers to'}"]
        return "; ".join(reasons)

    def carry(self, job: Job) -> None:
        """Carry over a report from the standing release."""
        standing = cast(Release, self.standing)
        as_of = self.request.as_of
        entry = self.entries[job.name] = standing.manifest.reports[job.name]
        self.verdicts[job.name] = standing.verdicts()[job.name]
        self.states[job.name] = State(
            state="unchanged", as_of="" if entry.as_of == as_of else entry.as_of
        )

    def carry_failed(self) -> None:
        """Carry over the reports that failed, if others were made, and mark them as stale."""
        if self.standing and self.made:
            stood = self.standing.manifest.reports
        else:
            stood = {}
        for job in [job for job in self.jobs if job.name in self.failures and job.name in stood]:
            failure = self.stale[job.name] = self.failures.pop(job.name)
            self.carry(job)
            entry = self.entries[job.name] = stood[job.name].model_copy(
                update={"stale": failure.reason}
            )
            self.states[job.name] = State(state="failed", as_of=entry.as_of)


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
    out = (request.out or root / plan.publish).absolute()
    as_of = request.as_of
    pdf.refuse_incomplete()
    scheduled, chosen, study = _planned(root, request, out)
    if request.panel:
        lies = publish.digest_of(request.panel["panel_path"])
    else:
        lies = ""
    if study and study.speaks:
        notes = [Said(said=study.speaks)]
    else:
        notes = []
    with _held(out, request.dry) as (stage, sockets):
        ahead = release.after(out, schedule.today())
        standing, damage = release.standing(out, as_of, site.known(out))
        try:
            _ = standing and diff.between(
                standing, standing
            )  # reads all that later steps read of it
        except ReportError as error:
            standing = None
            damage = f"{error} All reports are made again."
        ahead = [*([Said(said=damage)] if damage else []), *ahead]
        if release.panel(out) not in (None, lies):
            raise DesignError(
                f"{out} contains reports on other data; choose another folder with --out."
            )
        if standing and not request.dry:
            release.point(
                out, standing.folder.name, stage, schedule.today()
            )  # a killed run may have made no link
        only_named = bool(request.names) and not standing and not damage
        jobs = [job for job in scheduled if not only_named or job.name in chosen]
        if due and standing:  # the brief reads the others, so it is due with any of them
            stood = standing.manifest.reports
            whys = {
                job.name: due(job, standing) if job.name in stood else "new" for job in scheduled
            }
            if not (chosen := {report: why for report, why in whys.items() if why}):
                return _not_due(standing, as_of).model_copy(update={"failures": ahead, "out": out})
            chosen |= {job.name: "reads the others" for job in scheduled if job.is_brief}
        before = _sources(root, jobs)
        common = {
            part: files for part, files in before.items() if part not in ("notebooks", "files")
        }
        common["beside"] = schedule.beside(scheduled)
        about = (
            lies,
            study.caveats if study else "",
            common,
            "the release before is damaged" if damage else "new",
        )
        run = Run(root, request, stage, sockets, jobs, chosen, standing, *about)
        publishes = bool(due) or out.resolve() == (root / plan.publish).resolve()
        notes += _look_back(run, out, publishes=publishes, only_named=only_named)
        if request.dry:
            return _would(run).model_copy(update={"failures": ahead, "out": out})
        _work(run, [job for job in jobs if not job.is_brief])
        if plan.carry_failed:
            run.carry_failed()
        for brief in (job for job in jobs if job.is_brief):
            _work_brief(run, brief)
        if run.held and run.made:
            run.failures[COMMIT] = ReportError(run.held, Exit.REFUSED)
        if run.made or run.failures:
            now = _sources(root, jobs)
        else:
            now = before
        if changed := [
            f"{part}: {name}"
            for part, was in before.items()
            for name in publish.unlike(was, now[part])
        ]:
            # the reports would mix both states
            run.failures["inputs"] = ReportError(
                f"During the run {', '.join(changed)} changed; run again."
            )
        try:
            name = _put(run, out, whole=not only_named)
        except OSError as error:
            run.failures["disk"] = _failure("Publishing", error)
            name = ""
    ended = _ended(run, name, only_named)
    return ended.model_copy(
        update={"out": out, "failures": [*ended.failures, *ahead], "notes": notes}
    )


def _look_back(run: Run, out: Path, *, publishes: bool, only_named: bool) -> list[Said]:
    """Record corrections and what differs from the last commit in a run.

    Return what to say of the comparison.

    Nothing is compared if the run does not publish for readers of the project: on a panel of one's
    own, with parameters of the moment, or elsewhere without being scheduled.
    """
    if run.request.panel:
        return []
    run.corrections, run.told = (
        corrections.read(run.root),
        release.corrections(out, run.request.as_of),
    )
    if run.request.given or not publishes:
        return []
    run.uncommitted, unknown = committed.uncommitted(run.root, [job.notebook for job in run.jobs])
    if run.uncommitted and not run.request.accept and not only_named:
        run.held = committed.refusal(run.uncommitted)
    if unknown:
        return [Said(said=f"{UNKNOWN}: {unknown}.")]
    return []


def _not_due(standing: Release, as_of: str) -> Outcome:
    """Return the outcome of a run in which nothing is due."""
    reports = standing.manifest.reports
    states = {name: State(state="not due", as_of=entry.as_of) for name, entry in reports.items()}
    name = standing.folder.name
    return Outcome(outcome="unchanged", as_of=as_of, reports=states, release=name, previous=name)


def _would(run: Run) -> Outcome:
    """Return the outcome of a dry run: what would be made, and why."""
    inputs = [job for job in run.jobs if not job.is_brief]
    whys = {job.name: run.why(job, publish.fingerprint(job, run.common)) for job in inputs}
    states = {
        report: State(state="to make" if why else "unchanged", why=why)
        for report, why in whys.items()
    }
    if run.held and any(whys.values()):
        notes = [Said(said=run.held)]
    else:
        notes = []
    return Outcome(outcome="planned", as_of=run.request.as_of, reports=states, notes=notes)


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


def _ended(run: Run, name: str, only_named: bool) -> Outcome:
    """Return the outcome of a run whose results are in the folder `name`."""
    failures = run.failures | run.stale
    codes = {failure.code for failure in failures.values()}
    code = next(
        (code for code in (Exit.DISK_FULL, Exit.FAILED, Exit.PDF, Exit.REFUSED) if code in codes),
        Exit.OK,
    )
    if run.made:
        well = "published"
    else:
        well = "unchanged"
    if not run.failures:
        outcome = well
    elif code == Exit.REFUSED:
        outcome = "refused"
    else:
        outcome = "failed"
    seen = name not in ("", DRAFT)
    states = {job.name: run.states[job.name] for job in run.jobs if job.name in run.states}
    for state in states.values():
        if state.state == "published" and not seen:
            state.state = "made"
    told: dict[str, Any] = {
        "outcome": "draft" if only_named and code == Exit.OK else outcome,
        "reports": states,
    }
    told |= {
        "release": name if seen else "",
        "draft": DRAFT if name == DRAFT else "",
        "as_of": run.request.as_of,
    }
    told |= {
        "changed_words": [*diff.turned(run.changes)] if run.made and seen and run.changes else []
    }
    wrong = [
        Said(about=name if name in states else "", said=str(failure))
        for name, failure in failures.items()
    ]
    return Outcome(
        **told, failures=wrong, code=code, previous=run.standing.folder.name if run.standing else ""
    )


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
    verdicts = standing.verdicts()
    read = {
        report: verdicts[report] for report in jobs if report != name and not jobs[report].sweep
    }
    common = {**publish.inputs(root), "beside": schedule.beside(jobs.values())}
    if (
        publish.fingerprint(job, common, read if job.is_brief else None) != entry.fingerprint
    ):  # as in a draft
        raise DesignError(
            f"{name}: its fingerprint differs in this checkout; check out {entry.commit}."
        )
    with (
        interruptible(),
        tempfile.TemporaryDirectory() as scratch,
        release.sockets(Path(scratch)) as sockets,
    ):
        request = Request(entry.as_of, workers=1)
        panel_is = standing.manifest.panel_is
        run = Run(
            root, request, Path(scratch), sockets, [*jobs.values()], {}, None, "", panel_is, common
        )
        if job.is_brief:
            _lay_out(run, read)
        _work(run, [job], read if job.is_brief else None)
        if name in run.failures:
            raise run.failures[name]
        yield run.stage / name, run.entries[name].made, run.verdicts[name]


def as_made(root: Path, standing: Release) -> dict[str, Job]:
    """Return the jobs of a release by name, in the order of the schedule.

    Each has the parameters it was made with.
    """
    scheduled = {job.name: job for job in schedule.read(root)}
    entries = standing.manifest.reports
    jobs = {}
    for report in (name for name in dict.fromkeys([*scheduled, *entries]) if name in entries):
        of = entries[report]
        job = scheduled.get(report) or Job(report, root / "notebooks" / of.notebook, {})
        fields = parameters.declared(
            job.notebook
        ).model_fields  # in the order in which a notebook receives them
        values = {key: of.parameters[key] for key in fields if key in of.parameters}
        jobs[report] = replace(job, parameters=values, market=of.market)
    return jobs


def _planned(
    root: Path, request: Request, out: Path
) -> tuple[list[Job], dict[str, str], Study | None]:
    """Return all jobs, why those requested are made, and the study of the panel.

    Raise `DesignError` or `DataError` if the jobs cannot be run.
    """
    jobs = schedule.read(root)
    panel = request.panel
    given = request.given
    as_of = request.as_of
    if panel:
        jobs = schedule.on_panel(jobs, panel, given)
    chosen, jobs = _settled(jobs, request)
    if (panel or given) and out.resolve() == (root / schedule.load(root).publish).resolve():
        if panel:
            what = "Reports on a panel"
        else:
            what = "Option -p"
        raise DesignError(
            f"{what}: {out} is for the scheduled reports; choose another folder with --out DIR."
        )
    schedule.refuse_foresight(root, as_of)
    if not panel:
        return jobs, dict.fromkeys((job.name for job in chosen), "asked for"), None
    mine = [job.parameters for job in chosen if job.name.startswith(PANEL)]
    if not mine:
        raise DesignError(
            "Reports on a panel: none of the named reports can use a panel; name 03 to 06, or none."
        )
    if "*" in Path(panel["panel_path"]).name and not os.path.lexists(panel["panel_path"]):
        why = f"{panel['panel_path']} stands for several files, and a release has the hash of one"
        do = "write them to one panel with `market-impact panel`, and name that"
        raise DesignError(f"Reports on a panel: {why}; {do}.")
    from analysis.study import Study

    study = Study.open(mine[0])
    study.design.sample(study.panel)  # raises if the panel lacks the firms that the reports compare
    chosen, jobs = (schedule.named(some, study.market, jobs) for some in (chosen, jobs))
    return jobs, dict.fromkeys((job.name for job in chosen), "asked for"), study


def _settled(jobs: list[Job], request: Request) -> tuple[list[Job], list[Job]]:
    """Return the jobs that a request asks for, and all jobs, each with its parameters.

    Parameters given with ``-p`` are those of the reports that are named, or of all if none is. The
    reports that the brief reads keep their own if only the brief is named.
    """
    asked = {job.name for job in schedule.select(jobs, request.names)}
    named = [job for job in jobs if {*request.names} & job.called] or jobs
    settled = {job.name: job for job in schedule.settled(named, request.given, request.as_of)}
    others = [job for job in jobs if job.name not in settled]
    settled |= {job.name: job for job in schedule.settled(others, {}, request.as_of)}
    every = [settled[job.name] for job in jobs]
    return [job for job in every if job.name in asked], every


def _work(run: Run, jobs: list[Job], read: Mapping[str, list[Verdict]] | None = None) -> None:
    """Carry over the unchanged jobs, and make the others in parallel.

    `read` contains the verdicts that the brief reads.
    """
    prints = {job.name: publish.fingerprint(job, run.common, read) for job in jobs}
    whys = {job.name: run.why(job, prints[job.name]) for job in jobs}
    due = [job for job in jobs if whys[job.name]]
    for job in (job for job in jobs if not whys[job.name]):
        run.carry(job)
    if due:
        verdicts = list(chain(*(read or {}).values()))
        makes = [
            partial(_make, run, job, prints[job.name], whys[job.name], verdicts) for job in due
        ]
        run.kernels.each(makes, run.request.workers or os.cpu_count() or 1)


def _work_brief(run: Run, brief: Job) -> None:
    """Make the brief from the available verdicts, listing the failed reports in it."""
    inputs = [job for job in run.jobs if not job.is_brief]
    failed = [job.name for job in inputs if job.name in run.failures]
    old = [f"{name} (it stands as of {run.entries[name].as_of})" for name in run.stale]
    read = {
        job.name: run.verdicts[job.name]
        for job in inputs
        if job.name in run.verdicts and not job.sweep
    }
    if failed and not any(read.values()):
        run.states[brief.name] = State(
            state="not run", why=f"there are no verdicts without {', '.join(failed)}"
        )
        return
    more = {"failed": ", ".join([*failed, *old]), "panel": run.panel_is}
    brief = _with(brief, **{name: text for name, text in more.items() if text})
    _lay_out(run, read)
    brief = _with(brief, **_known(brief, changed=committed.sentence(run.uncommitted)))
    before = run.standing.manifest.reports.get(brief.name) if run.standing else None
    if before:
        stood = before.parameters
    else:
        stood = {}
    as_before = _with(
        brief,
        **_known(brief, **{name: str(stood.get(name, "")) for name in ("since", "corrected")}),
    )
    if run.made or run.why(as_before, publish.fingerprint(as_before, run.common, read)):
        if "since" in brief.parameters and run.changes:
            since = diff.line(run.changes)
        else:
            since = ""
        corrected = corrections.line(corrections.shown(run.corrections, run.told))
        brief = _with(brief, **_known(brief, since=since, corrected=corrected))
    else:  # what only tells of the release before is no reason to make the brief again
        brief = as_before
    _work(run, [brief], read)


def _known(job: Job, **parameters: str) -> dict[str, str]:
    """Return those of the given parameters that the notebook of a job has."""
    return {name: text for name, text in parameters.items() if name in job.parameters}


def _with(job: Job, **parameters: str) -> Job:
    return replace(job, parameters={**job.parameters, **parameters})


def _lay_out(run: Run, read: Mapping[str, list[Verdict]]) -> None:
    """Write the verdicts for the brief to read."""
    (run.stage / "verdicts").mkdir()
    publish.write_json(
        run.stage / "verdicts" / release.VERDICTS, [*chain(*(read[name] for name in sorted(read)))]
    )


def _make(run: Run, job: Job, print_: str, why: str, read: list[Verdict]) -> None:
    """Execute a notebook and make its PDF in the temporary folder.

    Any failure is recorded in the run.
    """
    from runner import exports

    began = time.monotonic()
    folder = run.stage / job.name
    notebook = folder / f"{job.name}.ipynb"
    page = folder / f"{job.name}.pdf"
    notebook.parent.mkdir(parents=True)
    if job.is_brief:
        written = run.stage / "verdicts"
    else:
        written = folder / "verdicts.json"
    try:
        run.kernels.execute(job, {**job.parameters, job.verdicts_parameter: str(written)}, notebook)
        publish.make_reproducible(notebook, job, str(written))
        if job.is_brief:
            verdicts = []
        else:
            verdicts = publish.verdicts(written, job)
        footer = publish.footer(notebook, [*verdicts, *read], job)
        as_of = run.request.as_of
        beside = schedule.seen_from(job, run.common["beside"])
        pdf.render(
            notebook, page, as_of=as_of, footer=footer, simulated=bool(job.market), beside=beside
        )
        exported = exports.write(notebook, job)
        publish.open_with_answer(notebook)
    except (ReportError, pdf.PdfError, OSError) as error:
        failure = run.failures[job.name] = _failure(job.name, error)
        run.states[job.name] = State(state="refused" if failure.code == Exit.REFUSED else "failed")
        return
    seconds = round(time.monotonic() - began, 1)
    of = {
        **publish.about(job),
        "fingerprint": print_,
        "commit": provenance.commit(),
        "seconds": seconds,
    }
    of["made"] = sorted(file.relative_to(folder).as_posix() for file in (notebook, page, *exported))
    finished = datetime.now(UTC).isoformat(timespec="seconds")
    run.entries[job.name] = Entry(notebook=job.notebook.name, finished=finished, **of)
    run.verdicts[job.name] = verdicts
    run.states[job.name] = State(state="published", seconds=seconds, why=why)
    run.made.append(job.name)


def _failure(name: str, error: Exception) -> ReportError:
    """Convert an error to a `ReportError`, or raise it again if it is a bug in the runner."""
    if isinstance(error, ReportError):
        return error
    if disk_full(error):
        return ReportError(
            f"{name}: the disk is full ({error}); make room and run again.", Exit.DISK_FULL
        )
    if isinstance(error, pdf.PdfError):
        return ReportError(f"{name}: no PDF: {error}", Exit.PDF)
    raise error


def _sources(root: Path, jobs: Iterable[Job]) -> dict[str, dict[str, str]]:
    """Hash all inputs of the given reports, by part and file."""
    notebooks = {job.notebook.name: publish.digest(job.notebook) for job in jobs}
    files = {name: digest for job in jobs for name, digest in publish.hashes(job).items()}
    return {**publish.inputs(root), "notebooks": notebooks, "files": files}


def _gathered(run: Run) -> Path:
    """Gather the reports, verdicts and data in one folder, as in a release.

    Files that are already there stay: changes are computed before the brief is made, and the brief
    is added later.
    """
    new = run.stage / "new"
    new.mkdir(exist_ok=True)
    for name, entry in run.entries.items():
        for file in (file for file in entry.made if not (new / file).exists()):
            (new / file).parent.mkdir(parents=True, exist_ok=True)
            if name not in run.made and run.standing:
                shutil.copyfile(run.standing.folder / file, new / file)
            else:
                os.replace(run.stage / name / file, new / file)
    publish.write_json(
        new / release.VERDICTS, [*chain(*(run.verdicts[name] for name in sorted(run.verdicts)))]
    )
    if not (new / release.DATA).exists():
        release.pack(run.root / "data", run.common["data"], new / release.DATA)
    return new


def _manifest(run: Run, name: str) -> Manifest:
    """Return the manifest of the reports, without the hashes of their files."""
    of: dict[str, Any] = {
        "release": name,
        "as_of": run.request.as_of,
        "panel": run.panel,
        "panel_is": run.panel_is,
    }
    if run.standing:
        before = (run.standing.folder.name, run.standing.digest)
    else:
        before = ("", "")
    of |= {"previous": before[0], "previous_sha256": before[1]}
    of |= {"made": sorted(run.made), "failed": sorted({*run.failures, *run.stale} - {COMMIT})}
    of |= {
        "uncommitted": [*run.uncommitted],
        "corrections": corrections.counted(run.corrections, run.told),
    }
    of["corrected"] = [each.said_in_full for each in corrections.shown(run.corrections, run.told)]
    inputs = {part: files for part, files in run.common.items() if part != "beside"}
    reports = {job.name: run.entries[job.name] for job in run.jobs if job.name in run.entries}
    return Manifest(**of, commit=provenance.commit(), inputs=inputs, files={}, reports=reports)


def _put(run: Run, out: Path, *, whole: bool) -> str:
    """Publish a release or a draft to the output folder, and return its name.

    A run that is not `whole`, or in which a report failed, gives a draft. If nothing has changed,
    return the name of the newest release.
    """
    names = {job.name for job in run.jobs}
    if (
        (old := run.standing)
        and not (run.made or run.failures)
        and old.manifest.reports.keys() == names
    ):
        _link(out, old.folder.name, run.stage)
        return old.folder.name
    new = _gathered(run)
    for job in run.jobs:
        failed = job.name in run.failures or job.name in run.stale
        if failed and (notebook := run.stage / job.name / f"{job.name}.ipynb").exists():
            kept = new / "failed" / f"{job.name}.ipynb"
            kept.parent.mkdir(parents=True, exist_ok=True)
            publish.without_paths(notebook, job)
            os.replace(notebook, kept)
    from runner import annex  # imports pandas, not needed by a run without changes

    try:
        notebooks = {name: new / f"{name}.ipynb" for name in _manifest(run, DRAFT).reports}
        annex.write(notebooks, new / ANNEX, as_of=run.request.as_of, changes=run.changes)
    except (pdf.PdfError, OSError) as error:
        run.failures["annex"] = _failure("annex", error)
    target = out / (
        release.next_name(out, run.request.as_of) if whole and not run.failures else DRAFT
    )
    manifest = _manifest(run, target.name)
    show(new, manifest, run.changes, run.jobs, run.verdicts)
    publish.write_json(
        new / release.MANIFEST, {**manifest.model_dump(), "files": release.hashes(new)}
    )
    release.put(new, target, run.stage)
    if target.name != DRAFT:
        _link(out, target.name, run.stage)
    return target.name


def show(
    new: Path, manifest: Manifest, changes: Changes | None, jobs: Sequence[Job], verdicts: Verdicts
) -> None:
    """Write what a release has beside its reports and annex.

    It has tables of sweeps, changes, pages and metadata.
    """
    from runner import exports

    exports.compare(new, jobs, verdicts)
    reports = manifest.reports
    if changes:
        moved = changes.as_json()
    else:
        moved = {}
    stale = [
        f"{name}, as of {entry.as_of}: {entry.stale}"
        for name, entry in reports.items()
        if entry.stale
    ]
    moved |= {
        "headline": site.says(new, reports).headline,
        "stale": stale,
        "until": manifest.release,
    }
    publish.write_json(new / diff.FILE, moved)
    event = next((job.parameters["event"] for job in jobs if "event" in job.parameters), "")
    site.write(new, manifest.model_dump(), verdicts, event=event, changes=changes)


def _link(out: Path, name: str, stage: Path) -> None:
    """Point `latest` at a complete release, and remove the draft."""
    release.point(out, name, stage, schedule.today())
    if (out / DRAFT).exists():
        os.rename(out / DRAFT, stage / DRAFT)
