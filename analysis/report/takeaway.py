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

from analysis.errors import DataError
from analysis.exhibits.payload import COLUMNS, FACTS, MIME, read_estimates, read_facts
from analysis.report import papers
from analysis.report.schedule import Job

FILE = ".estimates.parquet"
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
        files += [notebook.with_suffix(FILE), notebook.with_suffix(".estimates.csv")]
        found.to_parquet(files[-2], index=False)
        found.to_csv(files[-1], index=False, lineterminator="\n")
    return [*files, *(papers.write(tables, notebook.with_suffix(".tables")) if tables else [])]


def load_estimates(folder: str | Path) -> pd.DataFrame:
    """Return the estimates of all reports in a folder of a run, such as ``reports/latest``.

    Returns
    -------
    DataFrame
        A row per estimate, with the columns of ``docs/estimates.md``.

    Raises
    ------
    DataError
        If there is none, or a file holds something else.

    Examples
    --------
    A folder without reports is refused:

    >>> from analysis import load_estimates
    >>> load_estimates("data")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    analysis.errors.DataError: estimates in data were asked for; found no file *.estimates.parquet; name a folder ...
    """
    found = list[pd.DataFrame]()
    for file in sorted(Path(folder).glob(f"*{FILE}")):
        try:
            found.append(pd.read_parquet(file)[[*COLUMNS]])
        except (OSError, ValueError, KeyError) as error:
            asked = f"{file}: estimates of a report were asked for"
            raise DataError(f"{asked}; found something else ({error}); make the report again") from None
    if not found:
        raise DataError(
            f"estimates in {folder} were asked for; found no file *{FILE}; name a folder of published reports, such as "
            "reports/latest, or make them with `make report`"
        )
    return pd.concat(found, ignore_index=True)
