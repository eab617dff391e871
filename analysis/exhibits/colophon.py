"""The last page: what was read, with which parameters, by which code, from which sources."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import data, provenance
from analysis.exhibits.blocks import Block, note, say, table

if TYPE_CHECKING:
    from analysis.panel import Panel

HIDDEN = ("verdict_file", "verdict_folder")  # where a run keeps its papers says nothing about its results
MARKET = ("sim_preset",)  # says nothing either where a panel was brought
FILES = ("panel_path", "panel_map", "event")  # nor does the folder of a file


def colophon(
    settings: Mapping[str, Any],
    *,
    resources: Sequence[str],
    sources: Sequence[pd.DataFrame] = (),
    panel: Panel | None = None,
) -> Block:
    """Return the provenance of a report.

    Parameters
    ----------
    settings : mapping
        Parameters as run, with `as_of`, the date of knowledge, and `stale_after_days`: a warning is printed when the
        newest file is older than this.
    resources : sequence of str
        Names of the files that were read, after datapackage.json; none where all came from a panel.
    sources : sequence of DataFrame
        Each with columns `source_publisher`, `source_url`: where the figures that are shown come from.
    panel : Panel, optional
        What was estimated from: its digest, and the rows that were left out of it by rule.
    """
    hidden = (*HIDDEN, *(MARKET if settings.get("panel_path") else ()))
    shown = {name: Path(str(value)).name if name in FILES else value for name, value in settings.items()}
    run = "; ".join(f"{name} = {value}" for name, value in shown.items() if name not in hidden and value != "")
    made = "; ".join(f"{name} {version}" for name, version in provenance.versions().items())
    parts = [
        *(_read(resources, settings) if resources else []),
        *([_sources(sources)] if sources else []),
        *([_panel(panel)] if panel is not None else []),
        say(f"{run}.", lead="Parameters as run."),
        say(f"Commit {provenance.commit() or 'unknown (not a git checkout)'}; {made}.", lead="Code."),
    ]
    return reduce(add, parts)


def _read(resources: Sequence[str], settings: Mapping[str, Any]) -> list[Block]:
    cards = [data.card(name) for name in resources]
    frame = pd.DataFrame(
        {
            "File": [card["path"] for card in cards],
            "What it holds, and what it is not": [f"{card['title']}. {card['notThis']}" for card in cards],
            "Vintage": [card["vintage"] for card in cards],
            "sha256": [card["hash"].removeprefix("sha256:")[:12] for card in cards],
        }
    )
    shown = table(frame, "Data read, from the project's own data folder.", provenance="real")
    return [*_stale(max(card["vintage"] for card in cards), settings["as_of"], settings["stale_after_days"]), shown]


def _panel(panel: Panel) -> Block:
    rows = panel.dropped.to_dict("records")
    left = "; ".join(f"{row['count']:,} × {row['what']}, rule: {row['rule']}" for row in rows)
    return say(f"{panel.provenance}, digest {panel.digest[:12]}; left out: {left or 'nothing'}.", lead="Panel.")


def _stale(newest: str, as_of: str, stale_after_days: int) -> list[Block]:
    age = (datetime.date.fromisoformat(as_of) - datetime.date.fromisoformat(newest)).days
    if age <= stale_after_days:
        return []
    return [
        note(f"The newest file is of {newest}, {age} days before this report: look for newer figures.", warning=True)
    ]


def _sources(frames: Sequence[pd.DataFrame]) -> Block:
    columns = ["source_publisher", "source_url"]
    unique = pd.concat([frame[columns] for frame in frames]).drop_duplicates().sort_values(columns)
    by_publisher = unique.groupby("source_publisher")["source_url"].agg(["first", "size"]).reset_index()
    shown = pd.DataFrame(
        {
            "Publisher": by_publisher["source_publisher"],
            "Address, or the first of several": by_publisher["first"],
            "Addresses": by_publisher["size"].astype(str),
        }
    )
    caption = "Sources of the figures shown; every figure's own address stands in its row of the data."
    return table(shown, caption, provenance="real")
