"""Compare the table of an audit with the one that is stored, row by row."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Iterator, Mapping, Sequence

from market.grading import ROUNDING

KEYS = (
    "preset",
    "titles",
    "id",
)  # columns that name a row; only the audit of households has titles
# share by which equal numbers may differ: six digits are stored, and processors round differently
SAME = 1e-4

Row = Mapping[str, str]


def moved(new: str, old: str, presets: Collection[str] | None = None) -> list[str]:
    """Describe the rows that are not as they were.

    Parameters
    ----------
    new, old : str
        Texts of two tables, as in their CSV files.
    presets : collection of str, optional
        Presets that are compared; all by default.

    Returns
    -------
    list of str
        One line per row that moved, in the order of `new`, such as
        ``"mid_3k E1a: coverage 0.96 (was 0.9675)"``; then the rows that are gone. Numbers that
        differ by a ten-thousandth or less are the same.
    """
    now = _rows(new, presets)
    then = _rows(old, presets)
    lines = list[str]()
    for name, row in now.items():
        if name not in then:
            lines.append(f"{name}: new")
        elif changes := [*_changes(row, then[name])]:
            lines.append(f"{name}: {', '.join(changes)}")
    lines += [f"{name}: gone" for name in then if name not in now]
    return lines or (["rows in another order"] if [*now] != [*then] else [])


def sentence(path: str, lines: Sequence[str]) -> str:
    """Say whether a stored table is as it was, and otherwise which rows moved.

    >>> sentence("data/audit.csv", [])
    'data/audit.csv: as it was.'
    """
    if not lines:
        return f"{path}: as it was."
    return "\n  ".join([f"{path}: {len(lines)} row{'s' * (len(lines) > 1)} moved:", *lines])


def _rows(text: str, presets: Collection[str] | None) -> dict[str, Row]:
    """Return the rows of some presets by name."""
    rows = csv.DictReader(text.splitlines())
    kept = (row for row in rows if presets is None or row["preset"] in presets)
    return {" ".join(row[key] for key in KEYS if key in row): row for row in kept}


def _changes(new: Row, old: Row) -> Iterator[str]:
    """Describe the cells of a row that differ."""
    for column in dict.fromkeys([*new, *old]):
        value = new.get(column, "no column")
        was = old.get(column, "no column")
        if not _same(value, was):
            yield f"{column} {value or 'empty'} (was {was or 'empty'})"


def _same(value: str, was: str) -> bool:
    """Return whether two cells have the same text, or numbers that differ by rounding alone."""
    try:
        return math.isclose(float(value), float(was), rel_tol=SAME, abs_tol=ROUNDING)
    except ValueError:  # one of them is no number
        return value == was
