"""Notebook set-up and closing block.

The closing block records the inputs, parameters and code of a report for the annex of the run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import data, parameters, provenance
from analysis.event import Event, read_event
from analysis.evidence import verdicts
from analysis.evidence.verdicts import Verdict
from analysis.exhibits import blocks, style
from analysis.exhibits.blocks import NOTHING, Block, link, note
from analysis.exhibits.payload import of_facts
from analysis.simulated import market_of

if TYPE_CHECKING:
    from analysis.panel import Panel
    from analysis.study import Study

HIDDEN = ("verdict_file", "verdict_folder")  # paths of output do not affect results
FILES = ("panel_path", "panel_map", "event")  # only the name of a file counts, not its folder


def start(notebook: str, namespace: Mapping[str, object]) -> Event:
    """Set up a notebook on public figures, and return its event.

    This checks the parameters and sets the style for real data.

    Parameters
    ----------
    notebook : str
        Name of its file in ``notebooks/``.
    namespace : mapping
        The ``globals()`` of the notebook.

    Raises
    ------
    DesignError
        If a parameter is invalid, or the public figures are about another event.
    """
    settings = parameters.checked_parameters(notebook, namespace)
    style.use("real")
    return read_event(str(settings["event"]), on_record=True)


def start_simulated(notebook: str, namespace: Mapping[str, object]) -> str:
    """Set up a notebook on a simulated market, and return the name of the market.

    Parameters and exceptions are as for :func:`start`.
    """
    settings = parameters.checked_parameters(notebook, namespace)
    if "event" in settings:
        read_event(str(settings["event"]), on_record=True)
    market = market_of(parameters.NOTEBOOKS / notebook, settings)
    style.use("simulated", market)
    return market


def start_panel(
    notebook: str, namespace: Mapping[str, object], open_study: Callable[[Mapping[str, Any]], Study]
) -> Study:
    """Set up a notebook on a panel, and return the study described by its parameters.

    `open_study` is either `Study.open` or the function in :mod:`market` that simulates a panel if
    no file is specified.
    """
    study = open_study(parameters.checked_parameters(notebook, namespace))
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
    """Write a notebook's verdicts to its `verdict_file`, and return its closing block.

    Parameters
    ----------
    notebook, namespace
        As in :func:`start`.
    judged : sequence of Verdict
        In the order in which they are shown.
    read : sequence of str
        Names in ``data/datapackage.json`` of the files that were read.
    sources : sequence of DataFrame
        Sources of the figures shown, with columns `source_publisher` and `source_url`.
    panel : Panel, optional
        The panel from which effects were estimated.
    """
    settings = parameters.checked_parameters(notebook, namespace)
    verdicts.write(
        judged,
        str(settings["verdict_file"]),
        as_of=str(settings["as_of"]),
        notebook=Path(notebook).stem,
        resources=read,
        digests=[panel.digest] if panel else [],
    )
    return colophon(settings, read, sources, panel)


def colophon(
    settings: Mapping[str, Any],
    resources: Sequence[str],
    sources: Sequence[pd.DataFrame],
    panel: Panel | None,
) -> Block:
    """Return the closing block of a report: date, commit and sources.

    Other facts about the report go to the annex of the run.

    Parameters
    ----------
    settings : mapping
        Parameters as run, with `as_of`, the date of the information used, and `stale_after_days`,
        the age of the newest file above which a warning is printed.
    resources : sequence of str
        Names in datapackage.json of the files that were read; empty if all data came from a panel.
    sources : sequence of DataFrame
        Sources of the figures shown, with columns `source_publisher`, `source_url`.
    panel : Panel, optional
        The panel from which effects were estimated; its digest and the rows that rules left out are
        recorded.
    """
    cards = [data.card(name) for name in resources]
    cited = data.documents(pd.concat([blocks.source_addresses(*resources), *sources])).sort_values(
        "cited"
    )
    commit = os.environ.get(provenance.COMMIT) or provenance.commit()
    commit = commit or "unknown (not a git checkout)"
    facts: list[tuple[str, ...]] = [
        *_parameter_facts(settings),
        *map(_file_fact, cards),
        *(("source", *pair) for pair in zip(cited["cited"], cited["source_url"], strict=True)),
        *([_panel_fact(panel)] if panel is not None else []),
        *(("version", *pair) for pair in {"commit": commit, **provenance.versions()}.items()),
    ]
    annex = link("annex", provenance.ANNEX)
    short = re.sub(r"^([0-9a-f]{12})[0-9a-f]+", r"\1", commit)  # keeps text after the hash
    lines = [f"As of {settings['as_of']}. Commit {short}. Parameters, files and versions: {annex}."]
    addresses = cited.groupby("publisher")["source_url"].agg(list)
    if len(addresses):
        lines.append(
            f"<strong>Sources.</strong> {'; '.join(map(_linked, addresses.index, addresses))}."
        )
    html = "\n".join(f"<p>{line}</p>" for line in lines)
    closing = Block(html, "As of, commit and sources", (of_facts(facts),))
    return _age_warning(settings, cards) + closing


def _age_warning(settings: Mapping[str, Any], cards: Sequence[Mapping[str, Any]]) -> Block:
    """Return a warning if the newest of the files read is older than the settings allow."""
    if not cards:
        return NOTHING
    newest = max(card["vintage"] for card in cards)
    age = (date.fromisoformat(settings["as_of"]) - date.fromisoformat(newest)).days
    if age <= settings["stale_after_days"]:
        return NOTHING
    old = f"The newest file is of {newest}, {age} days before this report: look for newer figures."
    return note(old, warning=True)


def _parameter_facts(settings: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the parameters that are set and not hidden, with the names of files for paths."""
    hidden = set(HIDDEN)
    if settings.get("panel_path"):
        hidden.add("sim_preset")  # own panels have no preset
    shown = {
        name: Path(str(value)).name if name in FILES else str(value)
        for name, value in settings.items()
        if name not in hidden
    }
    return [("parameter", name, value) for name, value in shown.items() if value]


def _file_fact(card: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the hash of a file, its date, what it holds, and what it is not."""
    about = f"{card['title']}. {card['notThis']}"
    return ("file", card["path"], card["hash"], card["vintage"], about)


def _panel_fact(panel: Panel) -> tuple[str, ...]:
    """Return the digest of a panel, and the rows that rules left out of it."""
    rules = [
        f"{row['count']:,} × {row['what']}, rule: {row['rule']}"
        for row in panel.dropped.to_dict("records")
    ]
    about = "nothing was left out"
    if rules:
        about = f"as read: {'; '.join(rules)}"
    return ("panel", panel.provenance, panel.digest, "", about)


def _linked(publisher: str, addresses: Sequence[str]) -> str:
    """Format links to one publisher's documents.

    Its name is linked to the first address, and numbers are linked to the others.
    """
    numbered = [link(str(number), address) for number, address in enumerate(addresses[1:], start=2)]
    return ", ".join([link(publisher, addresses[0]), *numbered])
