"""The first and the last line of a notebook: its set-up and its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import parameters
from analysis.event import Event, read_event
from analysis.evidence import verdicts
from analysis.evidence.verdicts import Verdict
from analysis.exhibits import style
from analysis.exhibits.answers import colophon
from analysis.exhibits.blocks import Block
from analysis.simulated import market_of

if TYPE_CHECKING:
    from analysis.panel import Panel
    from analysis.study import Study


def start(notebook: str, namespace: Mapping[str, object]) -> Event:
    """Check the parameters of a notebook on public figures, let its exhibits look real, and return its event.

    Parameters
    ----------
    notebook : str
        Its file in ``notebooks/``.
    namespace : mapping
        The ``globals()`` of the notebook.

    Raises
    ------
    DesignError
        If a parameter is wrong, or the public figures are of another event.
    """
    settings = parameters.check(notebook, namespace)
    style.use("real")
    return read_event(str(settings["event"]), on_record=True)


def start_simulated(notebook: str, namespace: Mapping[str, object]) -> str:
    """Check the parameters of a notebook on a simulated market, mark its exhibits, and return the name of the market.

    Parameters and errors are those of :func:`start`.
    """
    settings = parameters.check(notebook, namespace)
    if "event" in settings:
        read_event(str(settings["event"]), on_record=True)
    market = market_of(parameters.NOTEBOOKS / notebook, settings)
    style.use("simulated", market)
    return market


def start_panel(
    notebook: str, namespace: Mapping[str, object], open_study: Callable[[Mapping[str, Any]], Study]
) -> Study:
    """Check the parameters of a notebook on a panel, mark its exhibits, and return the study that they describe.

    `open_study` is that of :mod:`market`, which simulates a panel where no file is named, or `Study.open`.
    """
    study = open_study(parameters.check(notebook, namespace))
    style.use(study.mark, study.market, study.caveats, study.file)
    return study


def finish(
    notebook: str,
    namespace: Mapping[str, object],
    judged: Sequence[Verdict] = (),
    *,
    read: Sequence[str] = (),
    sources: Sequence[pd.DataFrame] = (),
    panel: Panel | None = None,
) -> Block:
    """Write the verdicts of a notebook to its `verdict_file`, and return its last block: date, commit and sources.

    Parameters
    ----------
    notebook, namespace
        As in :func:`start`.
    judged : sequence of Verdict
        In the order in which they are shown.
    read : sequence of str
        Names of the files that were read, after ``data/datapackage.json``.
    sources : sequence of DataFrame
        Each with columns `source_publisher` and `source_url`, of the figures shown.
    panel : Panel, optional
        The panel that estimates are from.
    """
    settings = parameters.check(notebook, namespace)
    verdicts.write(
        judged,
        str(settings["verdict_file"]),
        as_of=str(settings["as_of"]),
        notebook=Path(notebook).stem,
        resources=read,
        digests=[panel.digest] if panel else [],
    )
    return colophon(settings, resources=read, sources=sources, panel=panel)
