"""Export reports and releases: estimates, tables, figures, sweeps, citation and RO-Crate.

An executed notebook stores the data of its exhibits beside their HTML: see
:mod:`analysis.exhibits.payload`.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
from calendar import month_name
from collections.abc import Iterable, Iterator, Mapping
from html import unescape
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from analysis.exhibits.payload import (
    COLUMNS,
    ESTIMATES,
    FACTS,
    MIME,
    as_exported,
    read_estimates,
    read_facts,
)
from analysis.numbers import MARKS, bounds_in_words, day, number, quantity, sentence_of, span
from analysis.provenance import ROOT
from runner.cells import cells, shown
from runner.pdf import PdfError, pandoc
from runner.publish import name_of, rendered, write_json
from runner.schedule import Job

SVG = re.compile(r'<img src="data:image/svg\+xml;base64,([^"]+)" alt="([^"]*)"')
MONTH = re.compile(r"\b(\d{4})-(\d\d)\b(?!-)")
SIGNS = str.maketrans(
    {"−": "$-$", "∞": r"$\infty$", "≤": r"$\leq$", "≥": r"$\geq$"}
)  # the LaTeX for each
COMPARISON = ".comparison.csv"  # suffix of the file that compares the reports of a sweep
CITATION = "CITATION.cff"
METADATA = "ro-crate-metadata.json"
SPECIFICATION = "https://w3id.org/ro/crate/1.2"
PYTHON = "https://www.python.org/"


# A report


def parts(notebook: Path) -> Iterator[tuple[dict[str, str], bytes]]:
    """Yield each exhibit's data and picture from an executed notebook, in order.

    Only a figure has a picture, an SVG with alt text.
    """
    for data in chain.from_iterable(map(shown, cells(notebook))):
        pictures = iter(SVG.findall("".join(data.get("text/html", ""))))
        for part in data.get(MIME, []):
            svg, alt = next(pictures) if part["kind"] == "figure" else ("", "")
            yield {**part, "alt": unescape(alt)}, base64.b64decode(svg)


def facts(notebook: Path) -> pd.DataFrame:
    """Return the facts recorded in an executed notebook, with the columns of `FACTS`."""
    recorded = [read_facts(part["csv"]) for part, _ in parts(notebook) if part["kind"] == "facts"]
    return pd.concat([pd.DataFrame(columns=[*FACTS], dtype=object), *recorded], ignore_index=True)


def write_exports(notebook: Path, job: Job) -> list[Path]:
    """Export a report's estimates, tables and figures beside its executed notebook.

    Return the files written.

    ``NAME.estimates.parquet`` and ``.csv`` contain the estimates in the answer and in all tables of
    estimates, ``NAME.tables.tex`` and ``.docx`` contain these tables in the format of a paper, and
    ``NAME.figures`` contains each figure with its data.

    Raises
    ------
    PdfError
        If pandoc cannot write the tables.
    """
    rows = list[pd.DataFrame]()
    tables = list[dict[str, Any]]()
    files = list[Path]()
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
        elif part["kind"] in (
            "answer",
            "estimates",
        ):  # other kinds go to the annex and to the page of the release
            of_table = part["kind"] == "estimates"
            numbered += of_table
            rows.append(read_estimates(part["csv"]).assign(table=numbered * of_table, **stamp))
            if of_table and rows[-1][["estimate", "conf_low"]].notna().any(axis=None):
                tables.append(tabled(part["caption"], rows[-1]))
    if rows:
        estimates = pd.concat(rows, ignore_index=True).drop_duplicates()
        if len(digests := {*estimates["panel"]} - {""}) == 1:  # refusals and verdicts name no panel
            estimates["panel"] = digests.pop()
        files += [notebook.with_suffix(ESTIMATES), notebook.with_suffix(".estimates.csv")]
        estimates.to_parquet(files[-2], index=False)
        estimates.to_csv(files[-1], index=False, lineterminator="\n")
    return [*files, *(write_tables(tables, notebook.with_suffix(".tables")) if tables else [])]


# Tables in the format of a paper: one row per estimate, notes below; no stars, since an interval
# says more


def tabled(caption: str, rows: pd.DataFrame) -> dict[str, Any]:
    """Return a table of estimates as its title, cells and notes.

    An item estimated in several windows, such as a firm after each piece of news, is one row;
    windows are columns.
    """
    first = rows.iloc[0]
    named = rows["label"].str.partition(": ")
    head = "Effect"
    items = rows["label"]
    if len({*named[0]}) == 1 and named[2].all():  # "Owner of: Loctek"
        head = named[0].iloc[0]
        items = named[2]
    interval = _interval(rows)
    table = pd.DataFrame([cells_of(row, interval) for row in rows.to_dict("records")])
    table.insert(0, head, [*items])
    one = {name: table[name].iloc[0] for name in ("Unit", "Window") if len({*table[name]}) == 1}
    marks = "".join(MARKS.values())
    title, _, about = re.sub(f" ?[{marks}]", "", caption).rstrip(".").partition(". ")
    if one.get("Unit") and one["Unit"] not in caption:
        title += f" ({one['Unit']})"
    notes = [about]
    if one.get("Window"):
        notes.append(f"Window: {one['Window']}")
    notes.append(_kinds(rows))
    if table[head].duplicated().any() and not table.duplicated([head, "Window"]).any():
        table = _by_window(table, head, interval)
        notes.append(f"In brackets, the {interval}")
    for reason, of in rows[rows["reason"] != ""].groupby("reason", sort=False)["label"]:
        notes.append(f"{', '.join(of.str.removeprefix(f'{head}: '))}: {reason}")
    if first["market"]:
        notes.append(f"Simulated: {first['market']}; no finding about a real market")
    notes.append(f"Report {first['report']}, as of {day(first['as_of'])}")
    return {
        "id": f"{first['report']}-{first['table']}",
        "title": title,
        "cells": table[[name for name in table if name not in one and {*table[name]} - {"", "–"}]],
        "notes": " ".join(sentence_of(f"{note[0].upper()}{note[1:]}") for note in notes if note),
    }


def _interval(rows: pd.DataFrame) -> str:
    """Return the heading of the column of intervals."""
    levels = rows["level"][rows["conf_low"].notna() & rows["estimate"].notna()]
    shown = {f"{100 * level:g} per cent interval" for level in levels.dropna()}
    if len(shown) == 1:
        return shown.pop()
    if len(levels):
        return "Interval"
    return "Bounds"


def _kinds(rows: pd.DataFrame) -> str:
    """Say what the intervals of the estimates are, if that is known."""
    bounded = rows["conf_low"].notna()
    estimated = rows["estimate"].notna()
    short = (
        rows["interval"].str.replace(r"^\d+% |,.*", "", regex=True)[bounded & estimated].unique()
    )
    kinds = " or ".join(f"{kind}s" for kind in short if kind)
    if not kinds:
        return ""
    if (bounded & ~estimated).any():
        kinds += ", and bounds where there is no estimate"
    return f"Intervals are {kinds}"


def _by_window(table: pd.DataFrame, head: str, interval: str) -> pd.DataFrame:
    """Return a table with a column for each window, in the order of the rows."""
    table = table.assign(cell=table["Estimate"] + " [" + table[interval] + "]")
    wide = table.pivot(index=head, columns="Window", values="cell")
    return wide[[*table["Window"].unique()]].fillna("–").reset_index()


def cells_of(row: Mapping[str, Any], interval: str) -> dict[str, str]:
    """Return the table cells for an estimate, keyed by column heading."""
    unit = row["unit"]
    limits = (row["conf_low"], row["conf_high"], unit)
    if pd.isna(row["conf_low"]):
        ends = "–"
    elif pd.isna(row["estimate"]):
        ends = bounds_in_words(*limits)
    else:
        ends = span(*limits)
    return {
        "Estimate": quantity(row["estimate"], unit),
        "Std. error": quantity(row["std_error"], unit).lstrip("+"),
        interval: ends,
        "Truth": quantity(row["truth"], unit),
        "n": number(row["n"], 0),
        "Unit": unit,
        "Window": row["window"],
    }


def write_tables(tables: Iterable[Mapping[str, Any]], stem: Path) -> list[Path]:
    """Write a report's tables to a ``.tex`` and a ``.docx`` file, and return the files.

    The ``.tex`` file can be included in a document.

    Raises
    ------
    PdfError
        If pandoc cannot write them.
    """
    page = MONTH.sub(
        lambda month: f"{month_name[int(month[2])]} {month[1]}",
        rendered("tables.html.j2", tables=tables),
    )
    files = [stem.with_name(f"{stem.name}{kind}") for kind in (".tex", ".docx")]
    for file in files:
        command = [str(pandoc()), "--from=html", "--wrap=none", f"--output={file}"]
        done = subprocess.run(
            command, input=page, capture_output=True, encoding="utf-8", check=False
        )
        if done.returncode != 0:
            raise PdfError(
                f"Cannot write {file.name}: pandoc stopped with: {done.stderr.strip()}; run again."
            )
    files[0].write_text(files[0].read_text(encoding="utf-8").translate(SIGNS), encoding="utf-8")
    return files


# A sweep


def compare(
    folder: Path, jobs: Iterable[Job], verdicts: Mapping[str, Iterable[Mapping[str, Any]]]
) -> list[Path]:
    """Write each sweep's ``SWEEP.comparison.csv`` beside its reports, and return the files.

    Each row is an estimate from one of the reports, as in ``docs/estimates.md``, preceded by the
    parameter values that differ and, if it decides a claim, followed by the word of that claim. A
    report without estimates has one row with the estimate left empty.

    Parameters
    ----------
    folder : Path
        Contains the estimates of the reports already; a failed report has none.
    jobs : iterable of Job
    verdicts : mapping
        By report, as written by the notebooks.
    """
    tables = dict[str, list[pd.DataFrame]]()
    for job in jobs:
        if job.sweep and (folder / f"{job.name}.pdf").is_file():
            rows = _sweep_rows(folder, job, verdicts.get(job.name, ()))
            tables.setdefault(job.sweep, []).append(rows)
    files = {folder / f"{sweep}{COMPARISON}": pd.concat(rows) for sweep, rows in tables.items()}
    for file, rows in files.items():
        rows.to_csv(file, index=False, float_format="%.12g", lineterminator="\n")
    return [*files]


def _sweep_rows(folder: Path, job: Job, verdicts: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return a report's rows in the file that compares its sweep."""
    file = folder / f"{job.name}.estimates.parquet"
    if file.is_file():
        rows = pd.read_parquet(file)
    else:
        rows = as_exported(pd.DataFrame({"report": [job.name]}, columns=[*COLUMNS]))
    words = {name_of(verdict): str(verdict.get("word", "")) for verdict in verdicts}
    # "C01 V2: Growth was not lower ..."
    claims = rows["label"].str.partition(": ")[0].where(rows["table"] == 0, "")
    varied = {name + "_parameter" * (name in COLUMNS): text for name, text in job.swept.items()}
    judged = rows.assign(word=[words.get(name, "") for name in claims])
    return pd.concat([pd.DataFrame(varied, index=rows.index), judged], axis=1)


# A release


def cite(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the project's citation with a release's date and commit."""
    file = folder / CITATION
    text = (ROOT / CITATION).read_text(encoding="utf-8")
    text += f"date-released: {manifest['as_of']}\n"
    if manifest["commit"]:
        text += f'commit: "{manifest["commit"]}"\n'
    file.write_text(text, encoding="utf-8")


def describe(folder: Path, manifest: Mapping[str, Any], others: Mapping[str, str]) -> None:
    """Describe a release's files as an RO-Crate.

    `others` maps files that belong to no report to their descriptions. The crate contains the
    release, its files, and the notebook that was run to make each report.
    """
    files = dict(others)
    for name, entry in manifest["reports"].items():
        of = ""
        if entry["market"]:
            of = f"Simulated ({entry['market']}), no finding about a real market: "
        files |= dict.fromkeys(entry["made"], f"{of}report {name}")
        files[f"{name}.ipynb"] = f"{of}executed notebook of report {name}"
    cited = YAML(typ="safe").load(ROOT / CITATION)
    names = {"metadata": METADATA, "specification": SPECIFICATION, "python": PYTHON}
    crate = rendered("ro-crate.json.j2", cited=cited, manifest=manifest, files=files, **names)
    write_json(folder / METADATA, json.loads(crate))
