"""Published series, and series derived from them.

A published series has one publisher, measure, definition and population. Bounds and estimates are
marked as such in every period. Series with different publishers or definitions are joined only if
``splices.csv`` states the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import pandas as pd
from fewtreated.errors import DataError

from analysis import data
from analysis.numbers import quantity

# Calendar years, half-years, quarters, months, and fiscal years named after the year in which they
# end.
FORMS = {
    "A": r"\d{4}",
    "H": r"\d{4}H[12]",
    "Q": r"\d{4}Q[1-4]",
    "M": r"\d{4}-\d{2}",
    "FY": r"FY\d{4}",
}
OPPOSITE = {"": "", "lower": "upper", "upper": "lower"}


@dataclass(frozen=True, eq=False)
class Series:
    """One published or derived series.

    Attributes
    ----------
    name : str
        Entity and measure, for example ``"eBay: gmv_total"``.
    unit : str
        Unit with its currency, for example ``"million USD"``.
    publisher : str
        Publisher, as unified by data/publishers.csv; for a splice, all of them.
    points : DataFrame
        Columns value, bound ("", "lower" or "upper") and provenance ("real" or "estimate") by
        period, in order.
    sources : DataFrame
        Columns period, source_publisher, source_url: the rows behind the values.
    """

    name: str
    unit: str
    publisher: str
    points: pd.DataFrame
    sources: pd.DataFrame

    @property
    def periods(self) -> list[str]:
        """Periods as written in the files, in order."""
        return list(self.points.index)

    @property
    def values(self) -> pd.Series:
        """Values by period, with a PeriodIndex if all periods are years, quarters or months."""
        for freq, offset in {"A": "Y", "Q": "Q", "M": "M"}.items():
            if all(re.fullmatch(FORMS[freq], period) for period in self.periods):
                return self.points["value"].set_axis(
                    pd.PeriodIndex(self.periods, freq=offset, name="period")
                )
        return self.points["value"]

    def __format__(self, period: str) -> str:
        """Format the value for a period with its mark, as in ``f"{sales:2020}"``."""
        if period not in self.points.index:
            raise DataError(
                f"Cannot format {self.name!r} for {period!r}; choose from {', '.join(self.periods)}"
            )
        return quantity(
            self.points.loc[period, "value"], self.unit, mark=self.points.loc[period, "provenance"]
        )


def qualified_rows(resource: str) -> pd.DataFrame:
    """Load a file, adding four columns that qualify each row.

    Returns
    -------
    DataFrame
        The file's columns, and publisher (from data/publishers.csv), definition (the file's own, or
        else from data/definitions.csv), bound ("", "lower" or "upper") and provenance ("real" or
        "estimate"), which default to exact and real.
    """
    return _rows(resource, *map(data.verified, (resource, "publishers", "definitions"))).copy()


@lru_cache(maxsize=32)
def _rows(resource: str, *_: str) -> pd.DataFrame:
    """Return the rows of a file, cached by the file's content."""
    frame = data.load(resource)
    if "source_publisher" not in frame:
        raise DataError(
            f"Cannot read {resource!r} by publisher: it has no column source_publisher; use"
            " data.load()"
        )
    copies = data.load("publishers").set_index("source_publisher")["publisher"]
    frame["publisher"] = frame["source_publisher"].map(copies).fillna(frame["source_publisher"])
    if "definition" not in frame:
        frame["definition"] = "as named"
    for row in data.load("definitions").query("resource == @resource").itertuples():
        identity = _identity(resource)
        same = frame[identity["entity"]].eq(row.entity) & frame[identity["measure"]].eq(row.measure)
        same &= frame["note"].str.contains(str(row.note_says), regex=False, na=False)
        frame.loc[same, "definition"] = row.definition
    if "bound" in frame:
        frame["bound"] = frame["bound"].fillna("")
    else:
        frame["bound"] = ""
    if "provenance" not in frame:
        return frame.assign(provenance="real")
    return frame


def published(
    resource: str, *, freq: str = "", first: str = "", last: str = "", **where: Any
) -> Series:
    """Return one series from a file.

    Parameters
    ----------
    resource : str
        Name of the file, for example ``"platform_quarterly"``.
    freq : {"A", "H", "Q", "M", "FY"}, optional
        Keep calendar years, half-years, quarters, months or fiscal years; all periods by default.
    first, last : str, optional
        First and last period to keep, in the form of `freq`.
    **where : str
        Column = value, for columns of the file or of `rows` (publisher, definition).

    Raises
    ------
    DataError
        If no row is left, the rows span more than one series, or a period has two different values.
    """
    failure = ", ".join(
        [
            f"Cannot select one series from {resource}",
            *(f"{key}={value!r}" for key, value in where.items()),
        ]
    )
    identity = _identity(resource)
    frame = qualified_rows(resource)
    frame = frame.assign(period=frame[identity["period"]], value=frame[identity["value"]])
    for column, value in where.items():
        frame = _selected(frame, column, value, failure)
    frame = _within(frame, freq, first, last, failure)
    _refuse_several(frame, identity["identifiedBy"], failure)
    frame = frame.drop_duplicates("period").sort_values("period")
    row = frame.iloc[0]
    unit, *currency = [str(row[column]) for column in identity["unit"] if not pd.isna(row[column])]
    words, bracket, rest = unit.partition(
        " ("
    )  # the currency follows the first words: million CNY (...)
    return Series(
        name=f"{row[identity['entity']]}: {row[identity['measure']]}",
        unit=" ".join([words, *currency]) + bracket + rest,
        publisher=row["publisher"],
        points=frame.set_index("period")[["value", "bound", "provenance"]],
        sources=frame[["period", "source_publisher", "source_url"]].reset_index(drop=True),
    )


def _selected(frame: pd.DataFrame, column: str, value: Any, failure: str) -> pd.DataFrame:
    """Select the rows with a value in a column; raise DataError if there are none."""
    if column not in frame:
        raise DataError(
            f"{failure}: there is no column {column!r}; choose from {', '.join(frame.columns)}"
        )
    rows = frame[frame[column] == value]
    if rows.empty:
        there = sorted(map(str, frame[column].dropna().unique()))
        shown = ", ".join(there[:15])
        if len(there) > 15:
            shown += f" and {len(there) - 15} more"
        raise DataError(f"{failure}: no row has {column}={value!r}; choose from {shown}")
    return rows


def splice(splice_id: str) -> Series:
    """Splice the segments declared in splices.csv into an annual series."""
    declared = data.load("splices")
    stretches = declared[declared["splice_id"] == splice_id]
    names = ", ".join(declared["splice_id"].unique())
    if stretches.empty:
        raise DataError(
            f"Cannot find the splice {splice_id!r}: splices.csv declares only {names}; use one or"
            " declare another"
        )
    parts = [_stretch(row) for row in stretches.to_dict("records")]
    return join_segments(parts, f"{stretches['entity'].iloc[0]}: {stretches['series'].iloc[0]}")


def _stretch(row: dict[Any, Any]) -> Series:
    """Return one segment of a splice.

    It is taken as published, from the last twelve months at Q4, converted into yuan, or derived
    from reported growth.
    """
    resource = row["resource"]
    first = row["period_from"]
    last = row["period_to"]
    identity = _identity(resource)
    of_entity = {identity["entity"]: row["entity"]}
    mine = of_entity | {identity["measure"]: row["measure"], "publisher": row["publisher"]}
    if row["derivation"] == "as_is":
        return published(resource, freq="A", first=first, last=last, **mine)
    if row["derivation"] == "ltm_at_q4":
        sums = published(resource, freq="Q", first=f"{first}Q4", last=f"{last}Q4", **mine)
        if "last twelve months" not in sums.unit:
            raise DataError(
                f"Cannot derive annual figures from {sums.name!r} in {sums.unit!r}; correct"
                " splices.csv"
            )
        years = sums.points.filter(like="Q4", axis="index").rename(index=lambda period: period[:4])
        return replace(sums, points=years, unit=sums.unit.partition(" (")[0])
    if row["derivation"] == "in_yuan":
        return _in_yuan(published(resource, freq="A", first=first, last=last, **mine))
    later: dict[str, Any] = {"freq": "A", "first": str(int(first) + 1), "last": str(int(last) + 1)}
    reported = published(
        resource, **later, **of_entity, **{identity["measure"]: row["growth_measure"]}
    )
    return _backed_out(published(resource, **later, **mine), reported)


def _in_yuan(levels: Series) -> Series:
    """Convert yearly figures into yuan at the average rates of each year, by way of the dollar."""
    unit, _, currency = levels.unit.rpartition(" ")
    per_dollar = data.load("exchange_rates").pivot(
        index="year", columns="currency", values="per_dollar"
    )
    if missing := [year for year in levels.periods if year not in per_dollar.index]:
        there = ", ".join(per_dollar.index)
        raise DataError(
            f"Cannot convert {levels.name!r} of {missing[0]}: exchange_rates.csv has only {there};"
            " add it"
        )
    if currency not in per_dollar:
        there = ", ".join(per_dollar)
        raise DataError(
            f"Cannot convert {levels.name!r} in {levels.unit!r}: exchange_rates.csv has only"
            f" {there}"
        )
    yuan = per_dollar.loc[levels.periods, "CNY"] / per_dollar.loc[levels.periods, currency]
    points = levels.points.assign(
        value=levels.points["value"] * yuan.to_numpy(), provenance="estimate"
    )
    return replace(levels, points=points, unit=f"{unit} CNY")


def growth(levels: Series) -> Series:
    """Return the percentage change from the same period a year earlier.

    Raises
    ------
    DataError
        If there are no periods a year apart, a level is not positive, or two bounds leave the
        growth unbounded.
    """
    if (wrong := levels.points["value"][levels.points["value"] <= 0]).size:
        level = f"the value for {wrong.index[0]} is {wrong.iloc[0]:g}"
        raise DataError(
            f"Cannot compute growth of {levels.name!r}: {level}; use a series of positive levels"
        )
    name = f"growth of {levels.name}"
    return _derived(
        levels,
        _shifted(levels, 1),
        lambda now, before: 100 * (now / before - 1),
        name,
        "percent y/y",
    )


def from_growth(levels: Series, reported: Series) -> Series:
    """Derive the levels a year earlier from levels and their reported growth in per cent.

    Both series must have the same publisher. The derived levels are estimates, since reported
    growth is rounded.
    """
    _refuse_different("publisher", levels, reported)
    return _backed_out(levels, reported)


def _backed_out(levels: Series, reported: Series) -> Series:
    if not reported.unit.startswith("percent"):
        raise DataError(
            f"Cannot derive levels from {reported.name!r} in {reported.unit!r}; use growth in per"
            " cent"
        )
    earlier = _shifted(levels, -1), _shifted(reported, -1)
    levels_before = _derived(
        *earlier, lambda level, rate: level / (1 + rate / 100), levels.name, levels.unit
    )
    return replace(levels_before, points=levels_before.points.assign(provenance="estimate"))


def join_segments(parts: Sequence[Series], name: str) -> Series:
    """Join the segments of one series.

    Raises DataError if their periods overlap or their units differ.
    """
    for stretch in parts[1:]:
        _refuse_different("unit", parts[0], stretch)
    points = pd.concat([stretch.points for stretch in parts]).sort_index()
    if twice := sorted(set(points.index[points.index.duplicated()])):
        raise DataError(
            f"Cannot join {name!r}: two segments contain {', '.join(twice)}; remove the overlap"
        )
    return _made(parts, points, name, parts[0].unit)


def _derived(
    top: Series,
    bottom: Series,
    compute: Callable[[pd.Series, pd.Series], pd.Series],
    name: str,
    unit: str,
) -> Series:
    """Compute a series from two others over their common periods.

    For valid bounds, it must rise with `top` and fall with `bottom`.
    """
    both = top.points.merge(
        bottom.points, left_index=True, right_index=True, suffixes=("", "_below")
    ).sort_index()
    if both.empty:
        there = " and ".join(", ".join(each.periods) for each in (top, bottom))
        raise DataError(
            f"Cannot derive {name!r}: the two series have no common period ({there}); load more"
            " periods"
        )
    unbounded = both["bound"][both["bound"].eq(both["bound_below"]) & both["bound"].ne("")]
    if len(unbounded):
        bounds = (
            f"in {unbounded.index[0]} both values are {unbounded.iloc[0]} bounds, so the result is"
            " unbounded"
        )
        raise DataError(f"Cannot derive {name!r}: {bounds}; leave the period out")
    points = both[["value", "bound", "provenance"]].assign(
        value=compute(both["value"], both["value_below"]),
        bound=both["bound"].where(both["bound"].ne(""), both["bound_below"].map(OPPOSITE)),
        provenance=both["provenance"].where(both["provenance_below"].eq("real"), "estimate"),
    )
    return _made([top, bottom], points, name, unit)


def _made(parts: Sequence[Series], points: pd.DataFrame, name: str, unit: str) -> Series:
    """Build a series from derived points, with the publishers and sources of its parts."""
    publishers = dict.fromkeys(
        publisher for stretch in parts for publisher in stretch.publisher.split("; ")
    )
    sources = (
        pd.concat([stretch.sources for stretch in parts]).drop_duplicates().reset_index(drop=True)
    )
    return Series(name, unit, "; ".join(publishers), points, sources)


def _shifted(levels: Series, years: int) -> Series:
    """Shift a series by the given number of years, for example from 2020Q3 to 2021Q3."""
    later = levels.points.index.str.replace(
        r"\d{4}", lambda year: str(int(year[0]) + years), n=1, regex=True
    )
    return replace(levels, points=levels.points.set_axis(later))


def _identity(resource: str) -> dict[str, Any]:
    """Return the columns of a file that identify a series."""
    entry = data.card(resource)
    if "series" not in entry:
        raise DataError(
            f"Cannot select a series from {resource!r}: datapackage.json declares none; use"
            " data.load()"
        )
    return dict(entry["series"])


def _within(frame: pd.DataFrame, freq: str, first: str, last: str, failure: str) -> pd.DataFrame:
    if freq not in ("", *FORMS):
        raise DataError(f"{failure}: {freq!r} is not a frequency; choose from {', '.join(FORMS)}")
    if any(not re.fullmatch(FORMS.get(freq, ""), end) for end in (first, last) if end):
        raise DataError(
            f"{failure}: {first!r} to {last!r} does not match {freq=}; choose from"
            f" {', '.join(FORMS)}"
        )
    periods = frame["period"]
    kept = (
        periods.str.fullmatch(FORMS.get(freq, ".*")) & periods.ge(first) & periods.le(last or "~")
    )
    if not kept.any():
        span = f"{freq=}, {first=}, {last=}"
        there = ", ".join(sorted(periods.unique()))
        raise DataError(f"{failure}: no period fits {span}; choose from {there}")
    return frame[kept]


def _refuse_several(frame: pd.DataFrame, identified_by: Sequence[str], failure: str) -> None:
    """Raise DataError if rows span several series or disagree about a period."""
    spans = []
    for column in identified_by:
        counts = frame[column].fillna("none").value_counts(sort=False)
        if len(counts) > 1:
            values = ", ".join(f"{value!r} ({count})" for value, count in counts.items())
            spans.append(f"{len(counts)} values of {column}: {values}")
    if spans:
        remedy = "choose one value of each, or declare a splice in splices.csv"
        raise DataError(f"{failure}: the {len(frame)} rows found have {'; '.join(spans)}; {remedy}")
    for period, group in frame.groupby("period"):
        if len(set(group["value"])) > 1:
            values = ", ".join(
                f"{row.value:g} ({row.source_publisher})" for row in group.itertuples()
            )
            remedy = "choose one with source_publisher=..., or correct the file"
            raise DataError(f"{failure}: {period} has different values: {values}; {remedy}")


def _refuse_different(attribute: str, left: Series, right: Series) -> None:
    mine = getattr(left, attribute)
    its = getattr(right, attribute)
    if mine != its:
        clash = f"their {attribute}s differ: {mine!r} and {its!r}"
        remedy = f"use series with the same {attribute}, or declare a splice in splices.csv"
        raise DataError(f"Cannot combine {left.name!r} and {right.name!r}: {clash}; {remedy}")
