"""Cast columns of text by the rules of Table Schema, and check their constraints.

Types: string, number, integer, boolean, date, year. ``NaN`` and ``INF``, which Table
Schema lets a number be, are refused: a figure is finite or missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from analysis.errors import DataError
from analysis.facts.reading import Problem, Text

_SPOKEN = {
    "number": "a number such as -1.5 or 2e-3",
    "integer": "a whole number",
    "boolean": "true or false",
    "date": "a date YYYY-MM-DD",
    "year": "a year of four digits",
}
_SHAPES = {
    "number": r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?",
    "integer": r"[+-]?[0-9]+",
    "boolean": r"true|True|TRUE|1|false|False|FALSE|0",
    "date": r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "year": r"[0-9]{4}",
}
_TRUE = ["true", "True", "TRUE", "1"]


def cast(text: Text, schema: dict[str, Any], file: str) -> tuple[pd.DataFrame, list[Problem]]:
    """Turn rows of text into a typed frame.

    Parameters
    ----------
    text : Text
        Rows as read, without problems of their own.
    schema : dict
        Table Schema of the file.
    file : str
        How messages call the file.

    Returns
    -------
    frame : DataFrame
        One column per field: str, float64, int64 (Int64 where values may be missing),
        bool (boolean where they may be missing) or datetime64. Missing is NA.
    problems : list of Problem
        One per value that breaks the schema, with its row and column; the frame is
        then not to be used.
    """
    raw = pd.DataFrame(text.rows, columns=text.header, dtype=str)
    missing = raw.isin(schema.get("missingValues", [""]))
    frame, problems = pd.DataFrame(index=raw.index), []
    for column in schema["fields"]:
        values = raw[column["name"]].mask(missing[column["name"]])
        typed, wrong = _column(values, column)
        for row, asked in wrong:
            where = f"{file}, row {text.lines[row]}, column {column['name']}"
            problems.append(Problem(where, asked, _shown(values[row]), "correct it, or the schema in datapackage.json"))
        frame[column["name"]] = typed
    problems += _keys(raw, missing, schema.get("primaryKey", []), text, file)
    return frame, problems


def _column(values: pd.Series, column: dict[str, Any]) -> tuple[pd.Series, list[tuple[int, str]]]:
    """Cast one column; return it with (row, what was asked) of each wrong value."""
    kind, limits = column["type"], column.get("constraints", {})
    if kind != "string" and kind not in _SHAPES:
        raise DataError(
            f"Asked for the type {kind!r} of the column {column['name']!r}; "
            f"known are string, {', '.join(_SHAPES)}; use one of these."
        )
    present = values.dropna()
    typed, fits = _typed(present, kind)
    wrong = [(row, _SPOKEN[kind]) for row in fits.index[~fits]]
    if limits.get("required"):
        wrong += [(row, "a value") for row in values.index[values.isna()]]
    wrong += [
        (row, asked)
        for asked, broken in _limits(present[fits], typed[fits], kind, limits)
        for row in broken.index[broken]
    ]
    return _whole(typed, values, kind, bool(limits.get("required"))), wrong


def _typed(present: pd.Series, kind: str) -> tuple[pd.Series, pd.Series]:
    """Values of the type, and whether each text is of the type at all."""
    if kind == "string":
        return present, pd.Series(True, index=present.index)
    fits = present.str.fullmatch(_SHAPES[kind]).astype(bool)
    if kind == "date":
        typed = pd.to_datetime(present, format="%Y-%m-%d", errors="coerce")
        return typed, fits & typed.notna()
    if kind == "boolean":
        return present.isin(_TRUE), fits
    typed = pd.to_numeric(present.where(fits), errors="coerce")
    return typed, fits & np.isfinite(typed)


def _whole(typed: pd.Series, values: pd.Series, kind: str, required: bool) -> pd.Series:
    """Put the missing values back, in the type that can hold them."""
    if kind == "string":
        return values
    complete = required and len(typed) == len(values) and bool(typed.notna().all())
    dtypes = {
        "number": ("float64", "float64"),
        "integer": ("int64", "Int64"),
        "year": ("int64", "Int64"),
        "boolean": ("bool", "boolean"),
        "date": ("datetime64[us]", "datetime64[us]"),
    }
    dtype: Any = dtypes[kind][0 if complete else 1]
    return typed.astype(dtype).reindex(values.index)


def _limits(text: pd.Series, typed: pd.Series, kind: str, limits: dict[str, Any]) -> Iterable[tuple[str, pd.Series]]:
    """Yield what each constraint asks for, and which values break it."""
    read: Callable[[Any], Any] = pd.Timestamp if kind == "date" else lambda value: value
    if limits.get("unique"):
        yield "a value that no other row has", typed.duplicated()
    if "enum" in limits:
        allowed = [read(value) for value in limits["enum"]]
        yield f"one of {', '.join(map(str, limits['enum']))}", ~typed.isin(allowed)
    if "pattern" in limits:
        pattern = re.compile(limits["pattern"])
        yield f"text like {limits['pattern']}", ~text.map(lambda cell: bool(pattern.fullmatch(cell))).astype(bool)
    if "minimum" in limits:
        yield f"at least {limits['minimum']}", typed < read(limits["minimum"])
    if "maximum" in limits:
        yield f"at most {limits['maximum']}", typed > read(limits["maximum"])


def _shown(value: Any) -> str:
    return "nothing" if pd.isna(value) else repr(value)


def _keys(raw: pd.DataFrame, missing: pd.DataFrame, key: list[str] | str, text: Text, file: str) -> list[Problem]:
    """Rows whose primary key stands in an earlier row, or is missing."""
    columns = [key] if isinstance(key, str) else key
    if not columns:
        return []
    name = ", ".join(columns)
    first = {tuple(row): line for row, line in zip(raw[columns].to_numpy()[::-1], text.lines[::-1], strict=True)}
    problems = []
    for row in raw.index[raw.duplicated(columns)]:
        value = tuple(raw.loc[row, columns])
        found = f"{value if len(value) > 1 else repr(value[0])}, which stands in row {first[value]} already"
        where = f"{file}, row {text.lines[row]}, column {name}"
        problems.append(Problem(where, "a key once", found, "remove one of the two rows, or correct its key"))
    for row in raw.index[missing[columns].any(axis=1)]:
        where = f"{file}, row {text.lines[row]}, column {name}"
        problems.append(Problem(where, "a whole key", "a missing part", "fill it in"))
    return problems
