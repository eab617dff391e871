"""The annex of a run: parameters, files, sources and versions of all its reports, from what each has recorded.

Reports end with a link to it; see :func:`analysis.exhibits.answers.colophon`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.exhibits.answers import link
from analysis.exhibits.blocks import Block, say, table
from runner import diff, pdf
from runner.diff import Changes
from runner.takeaway import facts

OPENING = (
    "# Annex: parameters, files, sources and versions\n\nWhat the reports of this run were made of, as each of them "
    "has recorded it. Made again of the same parameters, files and versions, a report is the same to the byte."
)
FOOTER = "Annex to the reports beside it"
HASH = 16  # letters of a digest; data/datapackage.json and manifest.json have all


def write(notebooks: Mapping[str, Path], page: Path, *, as_of: str, changes: Changes | None = None) -> None:
    """Set the annex of executed notebooks, by the name of their report, as a PDF.

    It ends with the `changes` since the release before, if there are any to tell.

    Raises
    ------
    PdfError
        As :func:`runner.pdf.render`.
    """
    recorded = [facts(file).assign(report=name) for name, file in notebooks.items()]
    cells: list[dict[str, Any]] = [{"cell_type": "markdown", "metadata": {}, "source": OPENING}]
    exhibits = sections(pd.concat(recorded, ignore_index=True)) | (moved(changes) if changes else {})
    for title, exhibit in exhibits.items():
        shown = {"output_type": "display_data", "metadata": {}, "data": {"text/html": exhibit.html}}
        cells.append({"cell_type": "markdown", "metadata": {}, "source": f"## {title}"})
        cells.append({"cell_type": "code", "metadata": {}, "source": "", "outputs": [shown], "execution_count": None})
    notebook = page.with_suffix(".ipynb")
    content = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    notebook.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    pdf.render(notebook, page, as_of=as_of, footer=FOOTER)


def sections(recorded: pd.DataFrame) -> dict[str, Block]:
    """Return the tables of the annex by their titles; none of what no report has recorded.

    Parameters
    ----------
    recorded : DataFrame
        `report` and the columns of `FACTS`.
    """
    of = dict(iter(recorded.groupby("what")))
    found = dict[str, Block]()
    if "parameter" in of:
        rows = _joined(of["parameter"], " = ")
        rows["report"] = _links(rows["report"], "{}.pdf")
        columns = {"report": "Report", "told": "Parameters"}
        found["Parameters"] = table(rows, "Parameters as run.", columns=columns, provenance="real")
    if "panel" in of:
        rows = of["panel"].assign(value=of["panel"]["value"].str[:HASH])
        columns = {"name": "Panel", "value": "Digest", "about": "Rows left out"}
        found["Panel"] = _used(rows, columns, "What was estimated from.")
    if "file" in of:
        rows = of["file"].assign(value=of["file"]["value"].str.removeprefix("sha256:").str[:HASH])
        columns = {
            "name": "File",
            "about": "What it holds, and what it is not",
            "vintage": "Vintage",
            "value": "sha256",
        }
        found["Files"] = _used(rows, columns, "Data read, from the project's own data folder.")
    if "source" in of:
        caption = "Sources of the figures shown; every figure's own address stands in its row of the data."
        found["Sources"] = _used(of["source"], {"name": "Publisher", "value": "Address"}, caption, linked="Address")
    if "version" in of:
        found["Code"] = _used(_joined(of["version"], " "), {"told": "Commit and versions"}, "Code that ran.")
    return found


def moved(changes: Changes) -> dict[str, Block]:
    """Return the table of what moved since the release before by its title."""
    lines = [(what, line) for what, some in diff.sections(changes) for line in some]
    rows = pd.DataFrame(lines, columns=["What", "Change"], dtype=object)
    title, nothing = f"Since the release of {changes.since}", diff.line(changes)
    return {title: table(rows, "What moved, and what may have moved it.", provenance="real") if lines else say(nothing)}


def _joined(rows: pd.DataFrame, between: str) -> pd.DataFrame:
    """Return one row a report, in which `told` has all its names and values."""
    told = rows.assign(told=rows["name"] + between + rows["value"])
    return told.groupby("report", sort=False)["told"].agg("; ".join).reset_index()


def _used(rows: pd.DataFrame, columns: Mapping[str, str], caption: str, *, linked: str = "") -> Block:
    """Return a table of what several reports have recorded alike, once, with the reports that have."""
    used = rows.groupby([*columns])["report"].agg(_short).reset_index().rename(columns=columns)
    if linked:
        used[linked] = _links(used[linked])
    return table(used.rename(columns={"report": "Reports"}), caption, provenance="real")


def _links(texts: Iterable[str], address: str = "{}") -> pd.Series:
    """Return links to what texts name; as objects, since columns of text forget that they are HTML."""
    return pd.Series([link(text, address.format(text)) for text in texts], dtype=object)


def _short(reports: Sequence[str]) -> str:
    """Return reports by their numbers: "01, 05, sim 05"."""
    parted = (name.rpartition("__") for name in reports)
    return ", ".join(dict.fromkeys(f"{prefix} {name[:2]}".strip() for prefix, _, name in parted))
