"""A researcher's own panel: which reports it gets, and what is looked at before any of them runs."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from analysis.errors import DesignError
from analysis.report.publish import Published
from analysis.report.schedule import SIMULATED, Job, Paths


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
    def files(self) -> tuple[Path, ...]:
        """What is read beside the data folder."""
        own = [Path(self.parameters["event"])] if self.event.endswith(".yml") else []
        return (self.path, *([self.map] if self.map else []), *own)


def jobs(scheduled: list[Job], panel: OwnPanel, known: dict[str, set[str]]) -> list[Job]:
    """Return a job for each notebook that can take a panel, and the brief.

    Parameters
    ----------
    scheduled : list of Job
    panel : OwnPanel
    known : dict
        Names of the parameters of each notebook, by its file's name.
    """
    by_notebook = {job.notebook: job for job in scheduled}
    found = [job for job in by_notebook.values() if job.is_brief or "panel_path" in known[job.notebook.name]]
    return [
        Job(job.notebook.stem, job.notebook, {} if job.is_brief else panel.parameters, panel.files) for job in found
    ]


def refuse_home(paths: Paths, out: Path) -> None:
    """Raise `DesignError` if the reports on a panel would be published among the scheduled ones."""
    if out.resolve() == paths.reports.resolve():
        raise DesignError(
            f"Reports on a panel of your own: {out} holds the reports of the schedule; give another folder with --out."
        )


def refuse_shared(published: Published, panel: OwnPanel | None) -> None:
    """Raise `DesignError` if a folder holds the reports on other data: one folder, one panel."""
    mine = panel.parameters["panel_path"] if panel else ""
    for name, entry in published.entries.items():
        theirs = entry["parameters"].get("panel_path", "")
        if theirs != mine and "verdict_folder" not in entry["parameters"]:  # the brief's
            raise DesignError(
                f"Reports on {mine or 'the scheduled data'}: {published.folder} holds {name} on "
                f"{theirs or 'the scheduled data'}; give another folder with --out."
            )


def examine(settled: Iterable[Job], panel: OwnPanel) -> str:
    """Read the panel once and look for what the reports compare; return the market if it is simulated.

    Parameters
    ----------
    settled : iterable of Job
    panel : OwnPanel

    Returns
    -------
    str
        The name of the file where its firms are simulated; empty where they are real.

    Raises
    ------
    DataError
        If the panel, its map or the event cannot be read.
    DesignError
        If the panel holds no closed firm or cannot carry the design, or ``-p`` sets what the panel sets.
    """
    from analysis import subject
    from analysis.estimands import pick

    mine = [job for job in settled if not job.is_brief]
    for name, value in panel.parameters.items():
        if others := [job for job in mine if job.parameters[name] != value]:
            raise DesignError(
                f"Parameter {name}: {others[0].parameters[name]!r} was given beside --panel, which sets it; leave it "
                "out, or use --event and --map."
            )
    if not mine:
        raise DesignError("Reports on a panel: no notebook of the schedule has the parameter panel_path; restore them.")
    found = subject.take(mine[0].parameters)
    pick(found.panel, found.design)
    return found.market


def named(found: Iterable[Job], market: str) -> list[Job]:
    """Return jobs with the name and the market that a simulated panel asks for."""
    return [replace(job, name=SIMULATED + job.name, market=market) if market else job for job in found]
