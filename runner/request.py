"""Say what a run is asked for, and which reports that makes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fewtreated.errors import DesignError

from runner import publish, schedule
from runner.kernels import TIMEOUT
from runner.schedule import PANEL, Job

if TYPE_CHECKING:
    from analysis.study import Study


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
        Folder of the results; None means the one of `folder`.
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


def folder(root: Path, request: Request, publish: Path) -> Path:
    """Return the folder of a run's results.

    It is the one that is asked for, or else my-reports/FILE for a panel, reports/scratch for
    parameters of the moment, and for all others `publish`, that of the schedule.
    """
    if request.out:
        return request.out.absolute()
    if request.panel:
        name = Path(request.panel["panel_path"]).name.partition(".")[0]
        return (root / "my-reports" / name).absolute()
    if request.given:
        return (root / "reports" / "scratch").absolute()
    return publish.absolute()


@dataclass(frozen=True)
class Planned:
    """All reports that a request concerns, why those asked for are made, and on which panel."""

    jobs: list[Job]
    chosen: Mapping[str, str]  # reasons by name
    panel: str = ""  # digest of the path of the panel, empty if there is none
    panel_is: str = ""  # description of the panel
    shows: str = ""  # what the panel can show


def planned(root: Path, request: Request, out: Path) -> Planned:
    """Return what a request concerns, for releases in `out`.

    Raise `DesignError` or `DataError` if the jobs cannot be run.
    """
    jobs = schedule.read_jobs(root)
    if request.panel:
        jobs = schedule.on_panel(jobs, request.panel, request.given)
    chosen, jobs = _settled(jobs, request)
    _refuse_shared_folder(root, request, out)
    schedule.refuse_foresight(root, request.as_of)
    if not request.panel:
        return Planned(jobs, _asked_for(chosen))
    study = _study(chosen, request.panel)
    chosen, jobs = (schedule.named(some, study.market, jobs) for some in (chosen, jobs))
    panel = publish.digest_of(request.panel["panel_path"])
    return Planned(jobs, _asked_for(chosen), panel, study.caveats, study.speaks)


def _asked_for(jobs: list[Job]) -> dict[str, str]:
    return dict.fromkeys((job.name for job in jobs), "asked for")


def _settled(jobs: list[Job], request: Request) -> tuple[list[Job], list[Job]]:
    """Return the jobs that a request asks for, and all jobs, each with its parameters.

    Parameters given with ``-p`` are those of the reports that are named, or of all if none is. The
    reports that the brief reads keep their own if only the brief is named.
    """
    asked = {job.name for job in schedule.select(jobs, request.names)}
    names = {schedule.meant(jobs, name) for name in request.names}
    named = [job for job in jobs if names & job.called] or jobs
    settled = {job.name: job for job in schedule.settled(named, request.given, request.as_of)}
    others = [job for job in jobs if job.name not in settled]
    settled |= {job.name: job for job in schedule.settled(others, {}, request.as_of)}
    every = [settled[job.name] for job in jobs]
    return [job for job in every if job.name in asked], every


def _refuse_shared_folder(root: Path, request: Request, out: Path) -> None:
    """Raise `DesignError` if reports on other data would be among the scheduled ones."""
    if not (request.panel or request.given):
        return
    if out.resolve() != (root / schedule.load(root).publish).resolve():
        return
    if request.panel:
        what = "Reports on a panel"
    else:
        what = "Option -p"
    raise DesignError(
        f"{what}: {out} is for the scheduled reports; choose another folder with --out DIR."
    )


def _study(chosen: list[Job], panel: Mapping[str, str]) -> Study:
    """Return the study of a panel, as the first of the chosen reports on it asks for."""
    mine = [job.parameters for job in chosen if job.name.startswith(PANEL)]
    if not mine:
        raise DesignError(
            "Reports on a panel: none of the named reports can use a panel; name panel_01 to"
            " panel_04, or none."
        )
    path = panel["panel_path"]
    if "*" in Path(path).name and not os.path.lexists(path):
        why = f"{path} stands for several files, and a release has the hash of one"
        do = "write them to one panel with `market-impact panel`, and name that"
        raise DesignError(f"Reports on a panel: {why}; {do}.")
    from analysis.study import Study

    study = Study.open(mine[0])
    study.design.sample(study.panel)  # raises if the panel lacks the firms that the reports compare
    return study
