"""One table of each sweep: what its reports found, beside the values of the parameters that differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from analysis import numbers
from analysis.exhibits.payload import COLUMNS, typed
from runner.publish import name_of
from runner.schedule import Job

FILE = ".comparison.csv"
WORD = "word"


def write(folder: Path, jobs: Iterable[Job], verdicts: Mapping[str, Iterable[Mapping[str, Any]]]) -> list[Path]:
    """Write ``SWEEP.comparison.csv`` of each sweep beside its reports, and return the files.

    A row is an estimate of one of the reports, as in ``docs/estimates.md``. Before it stand the values of what differs;
    after it, where it is a finding on a claim, the word that the claim is given. A report that shows no estimate has a
    row without any, so that none is missing.

    Parameters
    ----------
    folder : Path
        It holds the estimates of the reports already; one that failed has none.
    jobs : iterable of Job
    verdicts : mapping
        By report, as the notebooks wrote them.
    """
    tables = dict[str, list[pd.DataFrame]]()
    for job in (job for job in jobs if job.sweep and (folder / f"{job.name}.pdf").is_file()):
        file = folder / f"{job.name}.estimates.parquet"
        rows = (
            pd.read_parquet(file) if file.is_file() else typed(pd.DataFrame({"report": [job.name]}, columns=[*COLUMNS]))
        )
        words = {name_of(one): str(one.get("word", "")) for one in verdicts.get(job.name, ())}
        found = rows["label"].str.partition(": ")[0].where(rows["table"] == 0, "")  # "C01 V2: Growth was not lower ..."
        varied = {name + "_parameter" * (name in COLUMNS): text for name, text in job.swept.items()}
        before = pd.DataFrame(varied, index=rows.index)
        told = rows.assign(**{WORD: [words.get(name, "") for name in found]})
        tables.setdefault(job.sweep, []).append(pd.concat([before, told], axis=1))
    files = []
    for sweep, parts in tables.items():
        files.append(folder / f"{sweep}{FILE}")
        pd.concat(parts, ignore_index=True).to_csv(files[-1], index=False, float_format="%.12g", lineterminator="\n")
    return files


def html(folder: Path) -> str:
    """Return a section of a release's page: the answers of each sweep side by side, and a link to the whole table."""
    return "".join(_section(file) for file in sorted(folder.glob(f"*{FILE}")))


def _section(file: Path) -> str:
    rows = pd.read_csv(
        file,
        dtype={**COLUMNS, WORD: "str"},
        keep_default_na=False,
        na_values={name: [""] for name, kind in COLUMNS.items() if kind == "float64"},
    )
    varied, sweep = [*rows.columns[: rows.columns.get_loc("report")]], file.name.removesuffix(FILE)
    # an answer does not say the truth of its simulated market, but another table of the same report does
    rows["truth"] = rows.groupby(["report", "estimand"])["truth"].transform("first")
    answers = rows[rows["table"] == 0].drop_duplicates(["report", "label"])
    parts = [f"<h3>{escape(sweep)}, by {escape(' and '.join(varied))}</h3>"]
    if (rows["market"] != "").any():
        parts.append('<p class="stamp">Simulated</p>')
    for label, group in answers.groupby("label", sort=False):
        table = [_cells(row) for row in group.to_dict("records")]
        told = [head for head in table[0] if any(cells[head] for cells in table)]
        heads = "".join(f'<th scope="col">{escape(head)}</th>' for head in (*varied, *told))
        body = "".join(
            f"<tr>{_links(row, varied)}{''.join(f'<td>{escape(cells[head])}</td>' for head in told)}</tr>"
            for row, cells in zip(group.to_dict("records"), table, strict=True)
        )
        parts.append(
            f'<table class="sweep"><caption>{escape(str(label)) or "Reports"}</caption><thead><tr>{heads}</tr></thead>'
            f"<tbody>{body}</tbody></table>"
        )
    parts.append(f'<p><a href="{quote(file.name)}">All estimates of the sweep (CSV)</a></p>')
    return "".join(parts)


def _links(row: Mapping[Any, Any], varied: Iterable[str]) -> str:
    page = f"{quote(row['report'])}.pdf"
    return "".join(f'<th scope="row"><a href="{page}">{escape(str(row[name]))}</a></th>' for name in varied)


def _cells(row: Mapping[Any, Any]) -> dict[str, str]:
    """Return what is shown of an answer; what is empty in all rows of a table has no column."""
    unit, word = row["unit"], row[WORD]
    point, low, high, truth = (
        None if pd.isna(row[name]) else row[name] for name in ("estimate", "conf_low", "conf_high", "truth")
    )
    return {
        "estimate": "" if point is None else numbers.quantity(point, unit),
        "interval": "" if low is None or high is None else numbers.span(low, high, unit),
        "truth": "" if truth is None else numbers.quantity(truth, unit),
        "unit": unit,
        "word": f"would be {word.lower()}" if word and row["market"] else word,
    }
