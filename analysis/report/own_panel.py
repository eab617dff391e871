"""A researcher's own panel: which reports it gets, and what is looked at before any of them runs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from analysis import config
from analysis.errors import DesignError
from analysis.report.publish import Published
from analysis.report.schedule import PANEL, SIMULATED, Job, Paths


@dataclass(frozen=True)
class OwnPanel:
    """A panel as it was asked for on the command line.

    Attributes
    ----------
    path : Path
        CSV or Parquet file.
    map : Path or None
        What the file calls its columns; None where it has those of the schema.
    event : str
        Name of an event in ``data/events/``, or the path of another ``.yml`` file.
    """

    path: Path
    map: Path | None = None
    event: str = "amazon_2021"

    @property
    def parameters(self) -> dict[str, str]:
        """What the panel sets in each notebook; kernels run elsewhere, so files are named in full."""
        return {
            "data_tier": "panel",
            "event": str(Path(self.event).absolute()) if self.event.endswith(".yml") else self.event,
            "panel_path": str(self.path.absolute()),
            "panel_map": str(self.map.absolute()) if self.map else "",
        }

    @property
    def event_files(self) -> tuple[Path, ...]:
        """The event's own file where it lies outside the data folder."""
        return (Path(self.parameters["event"]),) if self.event.endswith(".yml") else ()

    @property
    def files(self) -> tuple[Path, ...]:
        """What is read beside the data folder."""
        return (self.path, *([self.map] if self.map else []), *self.event_files)


def jobs(scheduled: list[Job], panel: OwnPanel, known: dict[str, set[str]]) -> list[Job]:
    """Return the reports of a run on a panel.

    They are the notebooks that can take a panel, on this one, as ``panel__...``; the scheduled reports on public
    figures and listed firms, where these are of the panel's event; and the brief, which reads the verdicts of all.

    Parameters
    ----------
    scheduled : list of Job
    panel : OwnPanel
    known : dict
        Names of the parameters of each notebook, by its file's name.
    """
    recorded = config.read_event(panel.parameters["event"]).on_record
    by_notebook = {job.notebook: job for job in scheduled if "panel_path" in known[job.notebook.name]}
    mine = [Job(PANEL + notebook.stem, notebook, panel.parameters, panel.files) for notebook in by_notebook]
    rest = [job for job in scheduled if job.is_brief or (recorded and not job.name.startswith(SIMULATED))]
    return sorted([*(_about(job, panel, known) for job in rest), *mine], key=lambda job: (job.is_brief, job.number))


def _about(job: Job, panel: OwnPanel, known: dict[str, set[str]]) -> Job:
    """Return a scheduled report as one about the panel's event."""
    event = {"event": panel.parameters["event"]} if "event" in known[job.notebook.name] else {}
    return replace(job, parameters={**job.parameters, **event}, files=panel.event_files)


def refuse_home(paths: Paths, out: Path) -> None:
    """Raise `DesignError` if the reports on a panel would be published among the scheduled ones."""
    if out.resolve() == paths.reports.resolve():
        raise DesignError(
            f"Reports on a panel of your own: {out} holds the reports of the schedule; give another folder with --out."
        )


def refuse_shared(published: Published, panel: OwnPanel | None) -> None:
    """Raise `DesignError` if a folder holds the reports of another run: one folder, one panel or the schedule."""
    mine = panel.parameters["panel_path"] if panel else ""
    if published.entries and published.panel != mine:
        raise DesignError(
            f"Reports on {mine or 'the scheduled data'}: {published.folder} holds those of a "
            f"run on {published.panel or 'the scheduled data'}; give another folder with --out."
        )


def refuse_given(given: Mapping[str, str], panel: OwnPanel) -> None:
    """Raise `DesignError` if ``-p`` sets what the panel sets."""
    for name, value in panel.parameters.items():
        if given.get(name, value) != value:
            raise DesignError(
                f"Parameter {name}: {given[name]!r} was given beside --panel, which sets it; leave it out, or use "
                "--event and --map."
            )


def examine(settled: Iterable[Job]) -> str:
    """Read the panel once and look for what the reports compare; return the market if it is simulated.

    Parameters
    ----------
    settled : iterable of Job
        Those that were chosen.

    Returns
    -------
    str
        The name of the file where its firms are simulated; empty where they are real.

    Raises
    ------
    DataError
        If the panel, its map or the event cannot be read.
    DesignError
        If none of the reports is on the panel, or the panel holds no closed firm or cannot carry the design.
    """
    from analysis import subject

    mine = [job for job in settled if job.name.startswith(PANEL)]
    if not mine:
        raise DesignError(
            "Reports on a panel: none of those that were named is on it, or no notebook of the schedule has the "
            "parameter panel_path; name none, or 03 to 06."
        )
    found = subject.take(mine[0].parameters)
    try:
        found.design.sample(found.panel)
    except DesignError as refusal:
        raise DesignError(f"{mine[0].parameters['panel_path']}: {refusal}") from refusal
    return found.market


def named(found: list[Job], market: str, whole: list[Job]) -> list[Job]:
    """Return some jobs of a whole run with the name and the market that a simulated panel asks for.

    The brief is of that market too where it has nothing else to tell; beside public figures it keeps its name, and what
    is simulated stands in a column of its own.
    """
    if not market:
        return found
    public = any(not job.name.startswith(PANEL) and not job.is_brief for job in whole)
    return [
        replace(job, name=SIMULATED + job.name.removeprefix(PANEL), market=market)
        if job.name.startswith(PANEL) or (job.is_brief and not public)
        else job
        for job in found
    ]
