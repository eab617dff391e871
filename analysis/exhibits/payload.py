"""Data behind a report's exhibits, for export.

A block stores them in the notebook beside its HTML, and the runner writes them to files.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from fewtreated.errors import DataError

MIME = "application/vnd.market-impact+json"
# Marks that a notebook leaves for the runner
NOT_SAID = "[not said]"
"""Begins a line that is left out without a remark: the other of two wordings."""
CAPTION = "⁂"
"""Place of a caption in text; the caption stands in the Markdown cell below its exhibit."""
OPEN = "<!--caption-->"
"""The same place in HTML, where it does not show."""
REFUSED = "<!--refused-->"
"""Stands in the place of an exhibit; the caption below goes with it."""
ESTIMATES = ".estimates.parquet"  # suffix of files of estimates
COLUMNS = {
    **{"report": "str", "table": "int64", "estimand": "str", "label": "str"},
    **dict.fromkeys(
        ("estimate", "std_error", "df", "conf_low", "conf_high", "level", "n", "mde", "truth"),
        "float64",
    ),
    **dict.fromkeys(("unit", "interval", "grade", "window", "comparison", "panel"), "str"),
    **dict.fromkeys(("provenance", "market", "as_of", "reason"), "str"),
}
"""Columns of an exported estimate, and their types; ``docs/estimates.md`` explains them.

The runner fills in the report, its date, its market, and the number of the table that contains the
row.
"""
FACTS = ("what", "name", "value", "vintage", "about")
"""Columns of the facts of a report; the annex of a run collects the facts of all reports.

`what` is a parameter, a file, a source, a panel or a version. The `value` of a file or a panel is
its digest; the value of a source is its address.
"""
BRIEF = ("page", "sentence")
"""Columns of the brief: the PDF with the details of an answer, and its sentences.

The caption of the first part is the headline.
"""
SPOKEN = (
    "claim",
    "reading",
    "report",
    "tier",
    "statement",
    "party",
    "word",
    "confidence",
    "why",
    "date",
    "source_url",
)
"""Columns of the verdicts on readings of claims, with the date and source of each claim."""
OURS = {
    "id": "estimand",
    "months": "window",
    "digest": "panel",
}  # names in rows of estimates, and exported names


@dataclass(frozen=True)
class Part:
    """Data behind one exhibit, such as estimates, facts or the points in a figure."""

    kind: Literal[
        "answer", "estimates", "figure", "facts", "brief", "spoken", "believe", "verdicts"
    ]
    caption: str
    data: pd.DataFrame

    def as_json(self) -> dict[str, str]:
        """Return the part as text, with numbers rounded to 12 digits."""
        table = self.data.to_csv(index=False, float_format="%.12g", lineterminator="\n")
        return {"kind": self.kind, "caption": self.caption, "csv": table}


def estimate_rows(result: Any) -> Any:
    """Return the rows of an Estimate, or any other object unchanged."""
    from analysis.estimate import Estimate  # slow; the runner reads payloads without it

    if isinstance(result, Estimate):
        return result.rows
    return result


def refused(result: Any) -> bool:
    """Return whether a result is a refused Estimate."""
    return estimate_rows(result) is not result and bool(result.refused)


def of_estimates(kind: Literal["answer", "estimates"], caption: str, rows: pd.DataFrame) -> Part:
    """Build a part from rows of estimates, with the columns `COLUMNS`."""
    ours = {theirs: name for theirs, name in OURS.items() if theirs in rows}
    named = rows.drop(columns=[*ours.values()], errors="ignore").rename(columns=ours)
    taken = as_exported(named.reindex(columns=[*COLUMNS]))
    taken["df"] = taken["df"].where(taken["std_error"].notna())
    taken["grade"] = taken["grade"].where(taken["conf_low"].notna(), "")  # grades rate intervals
    bounds = taken["interval"].str.contains(r"\bset\b|\bbounds\b")
    taken["level"] = taken["level"].mask(bounds)  # bounds have no coverage level
    return Part(kind, caption, taken)


def as_exported(rows: pd.DataFrame) -> pd.DataFrame:
    """Convert rows to the types in `COLUMNS`.

    Missing text becomes an empty string.
    """
    empty = {name: "" for name, kind in COLUMNS.items() if kind == "str"} | {"table": 0}
    return rows.astype(dict.fromkeys(empty, object)).fillna(empty).astype(COLUMNS)


def read_estimates(text: str) -> pd.DataFrame:
    """Read rows of estimates from the text of :meth:`Part.as_json`."""
    return as_exported(
        pd.read_csv(io.StringIO(text), dtype=COLUMNS, keep_default_na=False, na_values=[""])
    )


def of_facts(rows: Iterable[Sequence[str]]) -> Part:
    """Build a part from a report's facts, padding each row to the columns `FACTS`."""
    named = [dict(zip(FACTS, row, strict=False)) for row in rows]
    return Part("facts", "", pd.DataFrame(named, columns=[*FACTS], dtype=object).fillna(""))


def read_facts(text: str) -> pd.DataFrame:
    """Read facts from the text of :meth:`Part.as_json`."""
    return pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)


def of_verdicts(rows: Iterable[Mapping[str, Any]]) -> Part:
    """Build a part from verdicts, which the runner reads from the notebook."""
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    return Part("verdicts", "", pd.DataFrame({"verdict": lines}, dtype=object))


def read_verdict_rows(text: str) -> list[dict[str, Any]]:
    """Read verdicts from the text of :meth:`Part.as_json`."""
    lines = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)["verdict"]
    return [json.loads(line) for line in lines]


def of_figure(handed: Mapping[str, Any]) -> pd.DataFrame:
    """Combine the data passed to a chart into one table.

    If there are several frames, the column `part` contains the title of each row's frame.

    Parameters
    ----------
    handed : mapping of str to object
        Arguments of the chart by name: frames, or mappings of title to frame. All others are
        options and are ignored.
    """
    frames = dict[str, pd.DataFrame]()
    for name, argument in handed.items():
        for title, rows in (
            argument.items() if isinstance(argument, Mapping) else [(name, argument)]
        ):
            if isinstance(rows, pd.DataFrame):
                named = rows.index.name is not None and rows.index.name not in rows
                frames[title] = rows.reset_index(drop=not named)
    if len(frames) == 1:
        return next(iter(frames.values()))
    return pd.concat(frames, names=["part", None]).reset_index("part").reset_index(drop=True)


def load_estimates(folder: str | Path) -> pd.DataFrame:
    """Read the estimates of all reports in a run's folder, such as ``reports/latest``.

    Returns
    -------
    DataFrame
        One row per estimate, with the columns of ``docs/estimates.md``.

    Raises
    ------
    DataError
        If the folder contains no file of estimates, or a file contains anything else.

    Examples
    --------
    A folder without reports raises an error:

    >>> from analysis import load_estimates
    >>> load_estimates("data")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    fewtreated.errors.DataError: Cannot load estimates: data has no file *.estimates.parquet; choose
    a folder of ...
    """
    frames = list[pd.DataFrame]()
    for file in sorted(Path(folder).rglob(f"*{ESTIMATES}")):
        try:
            frames.append(pd.read_parquet(file)[[*COLUMNS]])
        except (OSError, ValueError, KeyError) as error:
            raise DataError(
                f"Cannot read estimates from {file}: {error}; make the report again"
            ) from None
    if not frames:
        problem = f"Cannot load estimates: {folder} has no file *{ESTIMATES}"
        raise DataError(
            f"{problem}; choose a folder of reports, such as reports/latest, or run `make report`"
            " first"
        )
    return pd.concat(frames, ignore_index=True)
