"""What exhibits are made of, to be taken away from a report: rows of estimates, what a figure was drawn from, facts.

A block carries them into the notebook beside its HTML, from where the runner writes them to files.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from analysis.errors import DataError

MIME = "application/vnd.market-impact+json"
ESTIMATES = ".estimates.parquet"  # how the name of a file of estimates ends
COLUMNS = {
    **{"report": "str", "table": "int64", "estimand": "str", "label": "str"},
    **dict.fromkeys(("estimate", "std_error", "df", "conf_low", "conf_high", "level", "n", "mde", "truth"), "float64"),
    **dict.fromkeys(("unit", "interval", "grade", "window", "comparison", "panel"), "str"),
    **dict.fromkeys(("provenance", "market", "as_of", "reason"), "str"),
}
"""Columns of an estimate that is taken away, and their types; ``docs/estimates.md`` says what they hold.

The runner knows the report, its date of knowledge, its market, and which of its tables of estimates a row is of.
"""
FACTS = ("what", "name", "value", "vintage", "about")
"""Columns of the facts of a report, which all reports of a run have one annex for.

`what` is a parameter, a file, a source, a panel or a version. The `value` of a file and of a panel is its digest, that
of a source its address.
"""
BRIEF = ("topic", "page", "sentence")
"""Columns of the brief: what a run says on each topic, and the PDF that tells more; its caption is the headline."""
SPOKEN = ("claim", "reading", "report", "tier", "statement", "party", "word", "confidence", "why", "date", "source_url")
"""Columns of the verdicts that give readings of claims their word, with date and source of each claim."""
OURS = {"id": "estimand", "months": "window", "digest": "panel"}  # by their names in rows of estimates


@dataclass(frozen=True)
class Part:
    """What one exhibit is made of: estimates, what a figure was drawn from, facts, the brief, choices of a reader."""

    kind: Literal["answer", "estimates", "figure", "facts", "brief", "spoken", "believe"]
    caption: str
    data: pd.DataFrame

    def as_json(self) -> dict[str, str]:
        """Return it as text, numbers with 12 digits, as verdicts are published."""
        table = self.data.to_csv(index=False, float_format="%.12g", lineterminator="\n")
        return {"kind": self.kind, "caption": self.caption, "csv": table}


def rows_of(result: Any) -> Any:
    """Return the rows of an Estimate; all else is its own rows."""
    from analysis.estimate import Estimate  # the runner, which reads payloads, estimates nothing

    return result.rows if isinstance(result, Estimate) else result


def refused(result: Any) -> bool:
    """Tell whether a result is an Estimate with a reason alone."""
    return rows_of(result) is not result and bool(result.refused)


def of_estimates(kind: Literal["answer", "estimates"], caption: str, rows: pd.DataFrame) -> Part:
    """Return rows of estimates with the columns `COLUMNS`, empty where they have no value."""
    ours = {theirs: name for theirs, name in OURS.items() if theirs in rows}
    named = rows.drop(columns=[*ours.values()], errors="ignore").rename(columns=ours)
    taken = typed(named.reindex(columns=[*COLUMNS]))
    taken["df"] = taken["df"].where(taken["std_error"].notna())
    taken["grade"] = taken["grade"].where(taken["conf_low"].notna(), "")  # a grade is of intervals
    bounds = taken["interval"].str.contains(r"\bset\b|\bbounds\b")
    taken["level"] = taken["level"].mask(bounds)  # they cover all or nothing
    return Part(kind, caption, taken)


def typed(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with the types of `COLUMNS`; text that is missing is empty."""
    empty = {name: "" for name, kind in COLUMNS.items() if kind == "str"} | {"table": 0}
    return rows.astype(dict.fromkeys(empty, object)).fillna(empty).astype(COLUMNS)


def read_estimates(text: str) -> pd.DataFrame:
    """Return rows of estimates from the text of :meth:`Part.as_json`."""
    return typed(pd.read_csv(io.StringIO(text), dtype=COLUMNS, keep_default_na=False, na_values=[""]))


def of_facts(rows: Iterable[Sequence[str]]) -> Part:
    """Return the facts of a report, each row filled up to the columns of `FACTS`."""
    named = [dict(zip(FACTS, row, strict=False)) for row in rows]
    return Part("facts", "", pd.DataFrame(named, columns=[*FACTS], dtype=object).fillna(""))


def read_facts(text: str) -> pd.DataFrame:
    """Return facts from the text of :meth:`Part.as_json`."""
    return pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)


def of_figure(handed: Mapping[str, Any]) -> pd.DataFrame:
    """Return all that a chart was handed as one table; where that is several, `part` says what each row belongs to.

    Parameters
    ----------
    handed : mapping of str to object
        Arguments of the chart by name: frames, or frames by title. What is neither says how to draw.
    """
    frames = dict[str, pd.DataFrame]()
    for name, argument in handed.items():
        for title, rows in argument.items() if isinstance(argument, Mapping) else [(name, argument)]:
            if isinstance(rows, pd.DataFrame):
                named = rows.index.name is not None and rows.index.name not in rows
                frames[title] = rows.reset_index(drop=not named)
    if len(frames) == 1:
        return next(iter(frames.values()))
    return pd.concat(frames, names=["part", None]).reset_index("part").reset_index(drop=True)


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
    analysis.errors.DataError: cannot load estimates: data holds no file *.estimates.parquet; name a folder of ...
    """
    frames = list[pd.DataFrame]()
    for file in sorted(Path(folder).glob(f"*{ESTIMATES}")):
        try:
            frames.append(pd.read_parquet(file)[[*COLUMNS]])
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{file}: these are no estimates ({error}); make the report again") from None
    if not frames:
        problem = f"cannot load estimates: {folder} holds no file *{ESTIMATES}"
        raise DataError(f"{problem}; name a folder of reports, such as reports/latest, or make some: `make report`")
    return pd.concat(frames, ignore_index=True)
