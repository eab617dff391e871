"""What can be taken away from a report: its estimates, its tables for a paper, and its figures with their data.

An executed notebook holds all of it beside its HTML: see :mod:`analysis.exhibits.payload`.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from analysis.exhibits.payload import ESTIMATES, FACTS, MIME, read_estimates, read_facts
from runner import papers
from runner.schedule import Job

SVG = re.compile(r'<img src="data:image/svg\+xml;base64,([^"]+)"')


def parts(notebook: Path) -> Iterator[tuple[dict[str, str], bytes]]:
    """Yield what the exhibits of an executed notebook are made of, in their order, each figure with its SVG."""
    for cell in json.loads(notebook.read_bytes())["cells"]:
        for output in cell.get("outputs", []):
            shown = output.get("data", {})
            pictures = iter(SVG.findall("".join(shown.get("text/html", ""))))
            for part in shown.get(MIME, []):
                yield part, base64.b64decode(next(pictures)) if part["kind"] == "figure" else b""


def facts(notebook: Path) -> pd.DataFrame:
    """Return what an executed notebook has recorded, with the columns of `FACTS`."""
    found = [read_facts(part["csv"]) for part, _ in parts(notebook) if part["kind"] == "facts"]
    return pd.concat([pd.DataFrame(columns=[*FACTS], dtype=object), *found], ignore_index=True)


def write(notebook: Path, job: Job) -> list[Path]:
    """Write beside an executed notebook what can be taken away of it, and return the files; of nothing none.

    ``NAME.estimates.parquet`` and ``.csv`` hold the estimates of the answer and of all tables of them,
    ``NAME.tables.tex`` and ``.docx`` these tables as a paper has them, ``NAME.figures`` each figure and what it was
    drawn from.

    Raises
    ------
    PdfError
        If pandoc cannot write the tables.
    """
    rows, tables, files = list[pd.DataFrame](), list[papers.Table](), list[Path]()
    figures = numbered = 0
    stamp = {"report": job.name, "market": job.market, "as_of": str(job.parameters["as_of"])}
    folder = notebook.with_suffix(".figures")
    for part, picture in parts(notebook):
        if part["kind"] == "figure":
            figures += 1
            folder.mkdir(exist_ok=True)
            files += [folder / f"figure-{figures}.svg", folder / f"figure-{figures}.csv"]
            files[-2].write_bytes(picture)
            files[-1].write_text(part["csv"], encoding="utf-8")
            continue
        if part["kind"] in ("facts", "brief"):  # they go to the annex and to the page of the release
            continue
        of_table = part["kind"] == "estimates"
        numbered += of_table
        rows.append(read_estimates(part["csv"]).assign(table=numbered * of_table, **stamp))
        if of_table and rows[-1][["estimate", "conf_low"]].notna().any(axis=None):
            tables.append(papers.Table(part["caption"], rows[-1]))
    if rows:
        found = pd.concat(rows, ignore_index=True).drop_duplicates()
        if len(digests := {*found["panel"]} - {""}) == 1:  # refusals and verdicts do not name it
            found["panel"] = digests.pop()
        files += [notebook.with_suffix(ESTIMATES), notebook.with_suffix(".estimates.csv")]
        found.to_parquet(files[-2], index=False)
        found.to_csv(files[-1], index=False, lineterminator="\n")
    return [*files, *(papers.write(tables, notebook.with_suffix(".tables")) if tables else [])]
