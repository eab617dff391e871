"""One series = one publisher x measure x definition x population."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.errors import DataError
from analysis.facts import descriptor, periods
from analysis.facts.descriptor import DATA
from analysis.facts.tables import load

AS_NAMED = "as named"
"""Definition of rows whose note does not change it (see data/definitions.csv)."""


@dataclass(frozen=True, eq=False)
class Series:
    """One published or derived series.

    Attributes
    ----------
    name : str
        Entity and measure, for example ``"eBay: gmv_total"``.
    values : pandas Series of float64
        Indexed by a PeriodIndex (years, quarters, months) or by text periods, in order.
    unit : str
        Unit with its currency, for example ``"million USD"``.
    publisher : str
        Publisher, after data/publishers.csv; of a splice, all of them.
    sources : DataFrame
        Columns period, source_publisher, source_url: the rows behind the values.
    marks : DataFrame
        Columns bound ("", "lower" or "upper") and provenance ("real" or "estimate"),
        indexed like the values.
    derivation : str
        "as published", or how the values were derived.
    """

    name: str
    values: pd.Series
    unit: str
    publisher: str
    sources: pd.DataFrame
    marks: pd.DataFrame
    derivation: str = "as published"

    @property
    def bound(self) -> str | None:
        """None where every value is a point, else "lower", "upper" or "mixed"."""
        kinds = set(self.marks["bound"]) - {""}
        return None if not kinds else kinds.pop() if len(kinds) == 1 else "mixed"

    @property
    def provenance(self) -> str:
        """Whether every value is "real", or some are an "estimate"."""
        return "estimate" if (self.marks["provenance"] == "estimate").any() else "real"

    @property
    def periods(self) -> list[str]:
        """Periods as the files write them, in the order of the values."""
        return [str(period) for period in self.marks.index]


def rows(resource: str, *, root: Path = DATA) -> pd.DataFrame:
    """Load a file with four more columns that say how to read each row.

    Returns
    -------
    DataFrame
        The file's columns, then publisher (after data/publishers.csv), definition (after
        data/definitions.csv), bound ("", "lower" or "upper") and provenance ("real" or
        "estimate"), the last two read from the row's own words (``phrases`` and
        ``wording`` in the descriptor).

    Raises
    ------
    DataError
        When the file has no publishers, or cannot be loaded.
    """
    frame = load(resource, root=root)
    if "source_publisher" not in frame:
        raise DataError(
            f"Asked for the rows of {resource!r} with their publishers; it has no column "
            "source_publisher; use load() for this file."
        )
    copies = load("publishers", root=root).set_index("source_publisher")["publisher"]
    frame["publisher"] = frame["source_publisher"].map(copies).fillna(frame["source_publisher"])
    frame["definition"] = _definitions(frame, resource, root)
    frame["bound"] = ""
    for bound in ("upper", "lower"):
        frame.loc[_says(frame, bound, resource, root), "bound"] = bound
    estimates = _says(frame, "estimate", resource, root)
    frame["provenance"] = estimates.map({True: "estimate", False: "real"})
    return frame


def series(
    resource: str,
    *,
    freq: str | None = None,
    first: str | None = None,
    last: str | None = None,
    root: Path = DATA,
    **where: str,
) -> Series:
    """One series of a file.

    Parameters
    ----------
    resource : str
        Name of the file, for example ``"platform_quarterly"``.
    freq : {"A", "H", "Q", "M", "FY"}, optional
        Keep calendar years, half-years, quarters, months or fiscal years; without it all
        periods, as text unless they are of one kind.
    first, last : str, optional
        First and last period to keep, in the form of `freq`.
    **where : str
        Column = value, of the file or of `rows` (publisher, definition).

    Returns
    -------
    Series

    Raises
    ------
    DataError
        When no row is left, when the rows span more than one series, or when a period
        has two different values.
    """
    asked = f"Asked for one series of {resource}" + "".join(f", {key}={where[key]!r}" for key in where)
    identity = _identity(resource, root)
    frame = _normalised(rows(resource, root=root), identity, resource, root)
    for column, value in where.items():
        frame = _select(frame, column, value, asked)
    frame = _within(frame, freq, first, last, asked)
    _one(frame, identity["identifiedBy"], asked)
    return _series(_unrepeated(frame, asked), identity)


def _identity(resource: str, root: Path) -> dict[str, Any]:
    entry = descriptor.resource(resource, root)
    if "series" not in entry:
        raise DataError(
            f"Asked for a series of {resource!r}; its entry in datapackage.json names no columns "
            "that identify one; use load() for this file."
        )
    return dict(entry["series"])


def _definitions(frame: pd.DataFrame, resource: str, root: Path) -> pd.Series:
    declared = load("definitions", root=root)
    result = pd.Series(AS_NAMED, index=frame.index)
    mine = declared[declared["resource"] == resource]
    if mine.empty:
        return result
    identity = _identity(resource, root)
    for line in mine.itertuples():
        same = (frame[identity["entity"]] == line.entity) & (frame[identity["measure"]] == line.measure)
        says = frame["note"].str.contains(str(line.note_says), regex=False, na=False)
        result[same & says] = str(line.definition)
    return result


def _says(frame: pd.DataFrame, kind: str, resource: str, root: Path) -> pd.Series:
    """Whether the wording of each row holds one of the phrases of a kind."""
    pattern = re.compile("|".join(descriptor.package(root)["phrases"][kind]), re.IGNORECASE)
    said = pd.Series(False, index=frame.index)
    for column in descriptor.resource(resource, root).get("wording", []):
        said |= frame[column].fillna("").map(lambda text: bool(pattern.search(text))).astype(bool)
    return said


def _normalised(frame: pd.DataFrame, identity: dict[str, Any], resource: str, root: Path) -> pd.DataFrame:
    """Put periods and values under common names; a cumulative quarter names its months."""
    frame = frame.assign(period=frame[identity["period"]], value=frame[identity["value"]])
    cumulative = _says(frame, "cumulative", resource, root)
    frame.loc[cumulative, "period"] = frame.loc[cumulative, "period"].map(periods.year_to_date)
    return frame


def _select(frame: pd.DataFrame, column: str, value: str, asked: str) -> pd.DataFrame:
    if column not in frame:
        raise DataError(f"{asked}; there is no column {column!r}; choose from {', '.join(frame.columns)}.")
    kept = frame[frame[column] == value]
    if kept.empty:
        there = sorted(map(str, frame[column].dropna().unique()))
        shown = ", ".join(there[:15]) + (f" and {len(there) - 15} more" if len(there) > 15 else "")
        raise DataError(f"{asked}; no row has {column}={value!r}; rows there have {shown}; use one of these.")
    return kept


def _within(frame: pd.DataFrame, freq: str | None, first: str | None, last: str | None, asked: str) -> pd.DataFrame:
    ends = [end for end in (first, last) if end is not None]
    if ends and (freq is None or not all(periods.of_frequency(end, freq) for end in ends)):
        raise DataError(f"{asked} from {first} to {last}; the frequency is {freq}; give both in one form.")
    keep = pd.Series(True, index=frame.index)
    if freq is not None:
        keep &= frame["period"].map(lambda period: periods.of_frequency(period, freq)).astype(bool)
    if first is not None:
        keep &= frame["period"] >= first
    if last is not None:
        keep &= frame["period"] <= last
    if not keep.any():
        span = f"freq={freq}, first={first}, last={last}"
        there = ", ".join(sorted(frame["period"].unique()))
        raise DataError(f"{asked}; no period fits {span}; there are {there}; ask for some of these.")
    return frame[keep]


def _one(frame: pd.DataFrame, identified_by: list[str], asked: str) -> None:
    """Refuse rows that span more than one series, naming every column that differs."""
    spans = []
    for column in identified_by:
        counts = frame[column].fillna("none").value_counts(sort=False)
        if len(counts) > 1:
            found = ", ".join(f"{value!r} ({count})" for value, count in counts.items())
            spans.append(f"{len(counts)} values of {column}: {found}")
    if spans:
        raise DataError(
            f"{asked}; its {len(frame)} rows span {'; '.join(spans)}; these are different series: "
            "choose one of each, or declare a splice in data/splices.csv."
        )


def _unrepeated(frame: pd.DataFrame, asked: str) -> pd.DataFrame:
    for period, group in frame.groupby("period"):
        if len(set(group["value"])) > 1:
            found = ", ".join(
                f"{value:g} ({source})" for value, source in zip(group["value"], group["source_publisher"], strict=True)
            )
            raise DataError(
                f"{asked}; {period} has different values: {found}; "
                "choose one with source_publisher=..., or correct the file."
            )
    return frame.drop_duplicates("period").sort_values("period")


def _series(frame: pd.DataFrame, identity: dict[str, Any]) -> Series:
    one = frame.iloc[0]
    index = periods.index(list(frame["period"]))
    return Series(
        name=f"{one[identity['entity']]}: {one[identity['measure']]}",
        values=pd.Series(frame["value"].to_numpy(dtype=float), index=index, name="value"),
        unit=_unit([one[column] for column in identity["unit"]]),
        publisher=one["publisher"],
        sources=frame[["period", "source_publisher", "source_url"]].reset_index(drop=True),
        marks=frame[["bound", "provenance"]].set_axis(index, axis=0),
    )


def _unit(parts: list[Any]) -> str:
    """Put the currency behind the first words: million (...) and CNY -> million CNY (...)."""
    unit, *currency = [str(part) for part in parts if not pd.isna(part)]
    head, bracket, rest = unit.partition(" (")
    return " ".join([head, *currency]) + bracket + rest
