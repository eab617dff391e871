"""Keep what a run has done so far, report by report."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, cast

from runner import (
    Exit,
    ReportError,
    Said,
    SentenceError,
    State,
    corrections,
    diff,
    disk_full,
    publish,
    release,
)
from runner.corrections import Correction
from runner.diff import Changes
from runner.inputs import commit_of_inputs
from runner.kernels import Kernels
from runner.pdf import PdfError
from runner.publish import Verdict
from runner.release import Entry, Manifest, Release
from runner.request import Request
from runner.schedule import Job

COMMIT = "commit"  # key of the failure that parameters or data are not those of the last commit


@dataclass
class Run:
    """State of a run: its request, the standing release and the outcome of each report."""

    root: Path
    request: Request
    out: Path  # the folder of releases
    stage: Path  # a temporary folder
    sockets: Path
    jobs: Sequence[Job]
    # `publish.inputs`, and `beside`: the report that others refer to, by number
    common: Mapping[str, Any]
    chosen: Mapping[str, str] = field(default_factory=dict)  # why to make a report, by name
    standing: Release | None = None  # the release to carry over from
    panel: str = ""  # digest of the path of the panel, empty if there is none
    panel_is: str = ""  # description of the panel
    fresh: str = "new"  # why to make a report that cannot be carried over
    whole: bool = True  # whether it makes all reports that a release has
    warnings: Sequence[Said] = ()  # of earlier releases
    notes: list[Said] = field(default_factory=list)  # of the panel and the last commit
    uncommitted: Sequence[str] = ()  # what differs from the last commit: see `runner.committed`
    held: str = ""  # why it makes no release, if it makes anything
    corrections: Sequence[Correction] = ()  # of what earlier releases said
    told: Mapping[str, int] = field(default_factory=dict)  # releases that told each correction
    # by report, as all below: its entry in the manifest
    entries: dict[str, Entry] = field(default_factory=dict)
    verdicts: dict[str, list[Verdict]] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    failures: dict[str, ReportError] = field(default_factory=dict)
    # failures of reports that are carried over
    stale: dict[str, ReportError] = field(default_factory=dict)
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
        new = self.gathered()
        return diff.between(self.standing, Release(new, self.manifest(new.name)))

    @cached_property
    def stood(self) -> Mapping[str, Entry]:
        """Entries of the standing release, by report."""
        if self.standing:
            return self.standing.manifest.reports
        return {}

    def why(self, job: Job, print_: str) -> str:
        """Return why a report has to be made, or nothing if it can be carried over.

        It can if it is unchanged, or differs only in its date and is not asked for.
        """
        if job.name not in self.stood:
            return self.fresh
        entry = self.stood[job.name]
        reasons = []
        if job.name in self.chosen and (self.request.force or entry.as_of != self.request.as_of):
            reasons.append(self.chosen[job.name])
        if entry.fingerprint != print_:
            reasons.append(f"changed: {self._differing(job) or 'what it reads or refers to'}")
        return "; ".join(reasons)

    def _differing(self, job: Job) -> str:
        """List the inputs of a report, apart from its date, that differ from the standing one's."""
        standing = cast(Release, self.standing)
        was = {**standing.manifest.inputs, **dict(self.stood[job.name])}
        now = {**self.common, **publish.about(job)}
        for each in (was, now):
            each["parameters"] = {**each["parameters"], "as_of": ""}
        return ", ".join(part for part in publish.unlike(was, now) if part in was and part in now)

    def carry(self, job: Job) -> None:
        """Carry over a report from the standing release."""
        entry = self.entries[job.name] = self.stood[job.name]
        self.verdicts[job.name] = cast(Release, self.standing).verdicts()[job.name]
        state = self.states[job.name] = State(state="unchanged")
        if entry.as_of != self.request.as_of:
            state.as_of = entry.as_of

    def carry_failed(self) -> None:
        """Carry over the reports that failed, if others were made, and mark them as stale."""
        if not self.made:
            return
        for job in self.jobs:
            if job.name not in self.failures or job.name not in self.stood:
                continue
            failure = self.stale[job.name] = self.failures.pop(job.name)
            self.carry(job)
            entry = self.entries[job.name].model_copy(update={"stale": failure.reason})
            self.entries[job.name] = entry
            self.states[job.name] = State(state="failed", as_of=entry.as_of)

    def gathered(self) -> Path:
        """Gather the reports, verdicts and data in one folder, as in a release.

        Files that are already there stay: changes are computed before the brief is made, and the
        brief is added later.
        """
        new = self.stage / "new"
        new.mkdir(exist_ok=True)
        for name, entry in self.entries.items():
            for file in (file for file in entry.made if not (new / file).exists()):
                (new / file).parent.mkdir(parents=True, exist_ok=True)
                if name not in self.made and self.standing:
                    shutil.copyfile(self.standing.folder / file, new / file)
                else:
                    os.replace(self.stage / name / file, new / file)
        write_verdicts(new, self.verdicts)
        if not (new / release.DATA).exists():
            release.pack(self.root / "data", self.common["data"], new / release.DATA)
        return new

    def manifest(self, name: str) -> Manifest:
        """Return the manifest of the reports, without the hashes of their files."""
        shown = corrections.shown(self.corrections, self.told)
        return Manifest(
            release=name,
            as_of=self.request.as_of,
            previous=self.standing.folder.name if self.standing else "",
            previous_sha256=self.standing.digest if self.standing else "",
            panel=self.panel,
            panel_is=self.panel_is,
            commit=commit_of_inputs(),
            inputs={part: files for part, files in self.common.items() if part != "beside"},
            files={},
            reports={
                job.name: self.entries[job.name] for job in self.jobs if job.name in self.entries
            },
            made=sorted(self.made),
            failed=sorted({*self.failures, *self.stale} - {COMMIT}),
            uncommitted=[*self.uncommitted],
            corrections=corrections.counted(self.corrections, self.told),
            corrected=[each.said_in_full for each in shown],
        )


def write_verdicts(folder: Path, verdicts: Mapping[str, Iterable[Verdict]]) -> None:
    """Write verdicts to a folder, in the order of their reports' names."""
    rows = [*chain(*(verdicts[name] for name in sorted(verdicts)))]
    publish.write_json(folder / release.VERDICTS, rows)


def report_error(name: str, error: Exception) -> ReportError:
    """Convert an error to a `ReportError`, or raise it again if it is a bug in the runner."""
    if isinstance(error, ReportError):
        return error
    if disk_full(error):
        return ReportError(
            f"{name}: the disk is full ({error}); make room and run again.", Exit.DISK_FULL
        )
    if isinstance(error, PdfError):
        return ReportError(f"{name}: no PDF: {error}", Exit.PDF)
    if isinstance(error, SentenceError):
        return ReportError(f"{name}: {error}")
    raise error
