"""Typeset the annex to a run's reports: their parameters, files, sources and versions.

Reports end with a link to it: see :func:`analysis.exhibits.report.colophon`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.exhibits.payload import MIME
from runner import diff, pdf, schedule
from runner.diff import Changes
from runner.exports import facts
from runner.publish import rendered
from runner.schedule import SIMULATED

OPENING = (
    "# Annex: parameters, files, sources and versions\n\nWhat the reports of this run were made of,"
    " as each of them has recorded it. Made again of the same parameters, files and versions, a"
    " report is the same to the byte."
)
HASH = 16  # characters of a digest to show; data/datapackage.json and manifest.json have it in full
# title of the section and its columns, by kind of fact
SECTIONS = {
    "panel": ("Panel", {"name": "Panel", "value": "Digest", "about": "Rows left out"}),
    "file": (
        "Files",
        {
            "name": "File",
            "about": "What it holds, and not",
            "vintage": "Vintage",
            "value": "sha256",
        },
    ),
    "source": ("Sources", {"name": "Document", "value": "Address"}),
    "version": ("Code", {"told": "Commit and versions"}),
}


def typeset_annex(
    notebooks: Mapping[str, Path], page: Path, *, as_of: str, changes: Changes | None = None
) -> None:
    """Typeset the annex to executed notebooks as a PDF, if there are any.

    Notebooks are keyed by report name. The annex ends with the `changes` since the previous
    release, if given.

    Raises
    ------
    PdfError
        As for :func:`runner.pdf.render`.
    """
    if not notebooks:
        return
    recorded = [facts(file).assign(report=name) for name, file in notebooks.items()]
    exhibits = fact_tables(pd.concat(recorded, ignore_index=True))
    if changes:
        exhibits |= moved(changes)
    cells: list[dict[str, Any]] = [{"cell_type": "markdown", "metadata": {}, "source": OPENING}]
    for title, exhibit in exhibits.items():
        of = {"text/html": exhibit, MIME: []}
        shown = {"output_type": "display_data", "metadata": {}, "data": of}
        code: dict[str, Any] = {
            "cell_type": "code",
            "metadata": {},
            "source": "",
            "execution_count": None,
        }
        cells.append({"cell_type": "markdown", "metadata": {}, "source": f"## {title}"})
        cells.append({**code, "outputs": [shown]})
    notebook = page.with_suffix(".ipynb")
    content = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    try:
        notebook.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        pdf.render(notebook, page, as_of=as_of, footer="Annex to the reports beside it")
    finally:
        notebook.unlink(missing_ok=True)


def fact_tables(recorded: pd.DataFrame) -> dict[str, str]:
    """Return the non-empty tables of the annex, keyed by title.

    Parameters
    ----------
    recorded : DataFrame
        The column `report`, then those of `FACTS`.
    """
    of = dict(iter(recorded.groupby("what")))
    tables = dict[str, str]()
    if "parameter" in of:
        columns = {"report": "Report", "told": "Parameters"}
        tables["Parameters"] = _table(
            _joined(of["parameter"], " = "), columns, "Parameters as run."
        )
    for kind, (title, columns) in SECTIONS.items():
        if kind not in of:
            continue
        rows = of[kind]
        if kind == "version":
            rows = _joined(rows, " ")
        if kind in ("panel", "file"):
            rows = rows.assign(value=rows["value"].str.removeprefix("sha256:").str[:HASH])
        rows = rows.groupby([*columns])["report"].agg(_short).reset_index()  # one row per fact
        tables[title] = _table(
            rows, {**columns, "report": "Reports"}, f"{title}, and the reports that name it."
        )
    return tables


def moved(changes: Changes) -> dict[str, str]:
    """Return the table of changes since the previous release, keyed by its title."""
    lines = [(what, line) for what, some in diff.headed_lines(changes) for line in some]
    heads = ["What", "Change"]
    caption = "What moved, and what may have moved it."
    if not lines:
        heads = []
        caption = diff.summary_line(changes)
    table = rendered("annex.html.j2", heads=heads, rows=lines, caption=caption)
    return {f"Since the release of {changes.since}": table}


def _joined(rows: pd.DataFrame, between: str) -> pd.DataFrame:
    """Join the names and values recorded by each report into one text per report.

    The text is in the column `told`.
    """
    pairs = rows.assign(told=rows["name"] + between + rows["value"])
    return pairs.groupby("report", sort=False)["told"].agg("; ".join).reset_index()


def _table(rows: pd.DataFrame, columns: Mapping[str, str], caption: str) -> str:
    cells = rows[[*columns]].astype(object).to_numpy().tolist()
    return rendered("annex.html.j2", heads=[*columns.values()], rows=cells, caption=caption)


def _short(reports: Sequence[str]) -> str:
    """Shorten report names, as to "01, 05, simulated panel_03"."""
    short = [
        f"{'simulated ' * name.startswith(SIMULATED)}{schedule.number(name)}" for name in reports
    ]
    return ", ".join(dict.fromkeys(short))
