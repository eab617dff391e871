"""Published series, each of one publisher, measure, definition and population, and what is derived from them.

A bound stays a bound and an estimate an estimate, period by period. Only a row of ``data/splices.csv``, which gives the
reason, joins two publishers or definitions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from analysis import data
from analysis.errors import DataError
from analysis.numbers import quantity

# Calendar years, half-years, quarters, months, fiscal years named by the year they end in.
FORMS = {"A": r"\d{4}", "H": r"\d{4}H[12]", "Q": r"\d{4}Q[1-4]", "M": r"\d{4}-\d{2}", "FY": r"FY\d{4}"}
SINCE_JANUARY = {"Q1": "Q1", "Q2": "H1", "Q3": "Q1-Q3", "Q4": ""}
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
        Publisher, after data/publishers.csv; of a splice, all of them.
    points : DataFrame
        Columns value, bound ("", "lower" or "upper") and provenance ("real" or "estimate") by period, in order.
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
        """Periods as the files write them, in order."""
        return list(self.points.index)

    @property
    def values(self) -> pd.Series:
        """The values, in a PeriodIndex where all periods are years, quarters or months."""
        for freq, offset in {"A": "Y", "Q": "Q", "M": "M"}.items():
            if all(re.fullmatch(FORMS[freq], period) for period in self.periods):
                return self.points["value"].set_axis(pd.PeriodIndex(self.periods, freq=offset, name="period"))
        return self.points["value"]

    @property
    def provenance(self) -> str:
        """Whether every value is "real", or some are an "estimate"."""
        return "estimate" if self.points["provenance"].eq("estimate").any() else "real"

    def __format__(self, period: str) -> str:
        """Write the value of a period, with its mark and without its unit: ``f"{sales:2020}"``."""
        if period not in self.points.index:
            raise DataError(f"{self.name!r} of {period!r} was to be written; it has {', '.join(self.periods)}")
        return quantity(self.points.loc[period, "value"], self.unit, mark=self.points.loc[period, "provenance"])


def rows(resource: str) -> pd.DataFrame:
    """Load a file with four more columns that say how to read each row.

    Returns
    -------
    DataFrame
        The file's columns, then publisher (after data/publishers.csv), definition (after data/definitions.csv), bound
        ("", "lower" or "upper") and provenance ("real" or "estimate"), the last two from the row's own words (`phrases`
        and `wording` in the descriptor).
    """
    return _rows(resource, *map(data.verified, (resource, "publishers", "definitions"))).copy()


@lru_cache(maxsize=32)
def _rows(resource: str, *_: str) -> pd.DataFrame:
    """Do so once for the same content: one series of a splice is read after another."""
    frame = data.load(resource)
    if "source_publisher" not in frame:
        raise DataError(
            f"rows of {resource!r} by publisher were asked for; it has no source_publisher; use data.load()"
        )
    copies = data.load("publishers").set_index("source_publisher")["publisher"]
    frame["publisher"] = frame["source_publisher"].map(copies).fillna(frame["source_publisher"])
    frame["definition"] = "as named"
    for row in data.load("definitions").query("resource == @resource").itertuples():
        identity = _identity(resource)
        same = frame[identity["entity"]].eq(row.entity) & frame[identity["measure"]].eq(row.measure)
        same &= frame["note"].str.contains(str(row.note_says), regex=False, na=False)
        frame.loc[same, "definition"] = row.definition
    frame["bound"] = np.select([_says(frame, bound, resource) for bound in ("lower", "upper")], ["lower", "upper"], "")
    frame["provenance"] = np.where(_says(frame, "estimate", resource), "estimate", "real")
    return frame


def published(resource: str, *, freq: str = "", first: str = "", last: str = "", **where: Any) -> Series:
    """Return one series of a file.

    Parameters
    ----------
    resource : str
        Name of the file, for example ``"platform_quarterly"``.
    freq : {"A", "H", "Q", "M", "FY"}, optional
        Keep calendar years, half-years, quarters, months or fiscal years; without it all periods.
    first, last : str, optional
        First and last period to keep, in the form of `freq`.
    **where : str
        Column = value, of the file or of `rows` (publisher, definition).

    Raises
    ------
    DataError
        When no row is left, when the rows span more than one series, or when a period has two different values.
    """
    asked = ", ".join([f"one series of {resource}", *(f"{key}={value!r}" for key, value in where.items())])
    asked += " was asked for"
    identity, frame = _identity(resource), rows(resource)
    frame = frame.assign(period=frame[identity["period"]], value=frame[identity["value"]])
    # A quarter that is cumulative is called by its months.
    quarter = frame["period"].str.fullmatch(FORMS["Q"]) & _says(frame, "cumulative", resource)
    frame.loc[quarter, "period"] = frame.loc[quarter, "period"].map(lambda one: one[:4] + SINCE_JANUARY[one[4:]])
    for column, value in where.items():
        if column not in frame:
            raise DataError(f"{asked}; there is no column {column!r}; choose from {', '.join(frame.columns)}")
        there, frame = sorted(map(str, frame[column].dropna().unique())), frame[frame[column] == value]
        if frame.empty:
            shown = ", ".join(there[:15]) + (f" and {len(there) - 15} more" if len(there) > 15 else "")
            raise DataError(f"{asked}; no row has {column}={value!r}; rows there have {shown}; use one of these")
    frame = _within(frame, freq, first, last, asked)
    _refuse_several(frame, identity["identifiedBy"], asked)
    frame = frame.drop_duplicates("period").sort_values("period")
    one = frame.iloc[0]
    unit, *currency = [str(one[column]) for column in identity["unit"] if not pd.isna(one[column])]
    words, bracket, rest = unit.partition(" (")  # the currency goes behind the first words: million CNY (...)
    return Series(
        name=f"{one[identity['entity']]}: {one[identity['measure']]}",
        unit=" ".join([words, *currency]) + bracket + rest,
        publisher=one["publisher"],
        points=frame.set_index("period")[["value", "bound", "provenance"]],
        sources=frame[["period", "source_publisher", "source_url"]].reset_index(drop=True),
    )


def splice(splice_id: str) -> Series:
    """Return an annual series joined as data/splices.csv declares it, which gives the reason for each stretch."""
    declared = data.load("splices")
    stretches, known = declared[declared["splice_id"] == splice_id], ", ".join(declared["splice_id"].unique())
    if stretches.empty:
        raise DataError(
            f"the splice {splice_id!r} was asked for; splices.csv declares {known}; declare it with its reason"
        )
    parts = [_stretch(row) for row in stretches.to_dict("records")]
    return joined(parts, f"{stretches['entity'].iloc[0]}: {stretches['series'].iloc[0]}")


def _stretch(row: dict[Any, Any]) -> Series:
    """Return one stretch of a splice: as published, the last twelve months at Q4, or backed out of reported growth."""
    resource, first, last = row["resource"], row["period_from"], row["period_to"]
    identity = _identity(resource)
    of_entity = {identity["entity"]: row["entity"]}
    mine = of_entity | {identity["measure"]: row["measure"], "publisher": row["publisher"]}
    if row["derivation"] == "as_is":
        return published(resource, freq="A", first=first, last=last, **mine)
    if row["derivation"] == "ltm_at_q4":
        sums = published(resource, freq="Q", first=f"{first}Q4", last=f"{last}Q4", **mine)
        if "last twelve months" not in sums.unit:
            raise DataError(
                f"calendar years of {sums.name!r} were asked for; its unit is {sums.unit!r}; mend splices.csv"
            )
        years = sums.points.filter(like="Q4", axis="index").rename(index=lambda period: period[:4])
        return replace(sums, points=years, unit=sums.unit.partition(" (")[0])
    later: dict[str, Any] = {"freq": "A", "first": str(int(first) + 1), "last": str(int(last) + 1)}
    reported = published(resource, **later, **of_entity, **{identity["measure"]: row["growth_measure"]})
    return _backed_out(published(resource, **later, **mine), reported)


def growth(levels: Series) -> Series:
    """Return the change on the same period one year before, in per cent.

    Raises
    ------
    DataError
        When no period has its year before, a level is not positive, or two bounds leave the growth unbounded.
    """
    if (wrong := levels.points["value"][levels.points["value"] <= 0]).size:
        found = f"{wrong.index[0]} is {wrong.iloc[0]:g}"
        raise DataError(f"growth of {levels.name!r} was asked for; {found}; take a series of levels above zero")
    name = f"growth of {levels.name}"
    return _derived(levels, _moved(levels, 1), lambda now, before: 100 * (now / before - 1), name, "percent y/y")


def from_growth(levels: Series, reported: Series) -> Series:
    """Return levels one year before, from levels and their growth in per cent as one publisher reports both.

    They are estimates, because reported growth is rounded.
    """
    _refuse_different("publisher", levels, reported)
    return _backed_out(levels, reported)


def _backed_out(levels: Series, reported: Series) -> Series:
    if not reported.unit.startswith("percent"):
        raise DataError(f"levels from {reported.name!r} were asked for; its unit is {reported.unit!r}; give per cent")
    earlier = _moved(levels, -1), _moved(reported, -1)
    found = _derived(*earlier, lambda level, rate: level / (1 + rate / 100), levels.name, levels.unit)
    return replace(found, points=found.points.assign(provenance="estimate"))


def difference(one: Series, other: Series) -> Series:
    """Return one minus the other, in the periods of both; per cent become percentage points.

    Raises
    ------
    DataError
        When units or publishers differ, no period is common, or two bounds leave the difference unbounded.
    """
    _refuse_different("unit", one, other)
    _refuse_different("publisher", one, other)
    unit = "percentage points" if one.unit.startswith("percent") else one.unit
    return _derived(one, other, lambda a, b: a - b, f"{one.name} minus {other.name}", unit)


def joined(parts: Sequence[Series], name: str) -> Series:
    """Put stretches of one series behind each other; a period that two hold, or two units, is a DataError."""
    for part in parts[1:]:
        _refuse_different("unit", parts[0], part)
    points = pd.concat([part.points for part in parts]).sort_index()
    if twice := sorted(set(points.index[points.index.duplicated()])):
        raise DataError(f"{name!r} was to be joined; two parts hold {', '.join(twice)}; keep one of them")
    return _made(parts, points, name, parts[0].unit)


def _derived(
    top: Series,
    bottom: Series,
    compute: Callable[[pd.Series, pd.Series], pd.Series],
    name: str,
    unit: str,
) -> Series:
    """Compute in the periods of both; what rises with the top and falls with the bottom has its bounds from them."""
    both = top.points.merge(bottom.points, left_index=True, right_index=True, suffixes=("", "_below")).sort_index()
    if both.empty:
        there = ", ".join(top.periods)
        raise DataError(f"{name!r} was asked for; no periods fit among {there}; load more of them")
    unbounded = both["bound"][both["bound"].eq(both["bound_below"]) & both["bound"].ne("")]
    if len(unbounded):
        found = f"in {unbounded.index[0]} both values are {unbounded.iloc[0]} bounds, which bound nothing together"
        raise DataError(f"{name!r} was asked for; {found}; leave the period out")
    points = both[["value", "bound", "provenance"]].assign(
        value=compute(both["value"], both["value_below"]),
        bound=both["bound"].where(both["bound"].ne(""), both["bound_below"].map(OPPOSITE)),
        provenance=both["provenance"].where(both["provenance_below"].eq("real"), "estimate"),
    )
    return _made([top, bottom], points, name, unit)


def _made(parts: Sequence[Series], points: pd.DataFrame, name: str, unit: str) -> Series:
    """Return points made of some series as one, with all their publishers and sources."""
    publishers = dict.fromkeys(one for part in parts for one in part.publisher.split("; "))
    sources = pd.concat([part.sources for part in parts]).drop_duplicates().reset_index(drop=True)
    return Series(name, unit, "; ".join(publishers), points, sources)


def _moved(found: Series, years: int) -> Series:
    """Return a series with each point under the same period some years later: 2020Q3 -> 2021Q3, FY2023 -> FY2024."""
    later = found.points.index.str.replace(r"\d{4}", lambda year: str(int(year[0]) + years), n=1, regex=True)
    return replace(found, points=found.points.set_axis(later))


def _identity(resource: str) -> dict[str, Any]:
    """Return which columns of a file identify a series."""
    entry = data.card(resource)
    if "series" not in entry:
        raise DataError(f"a series of {resource!r} was asked for; datapackage.json names none there; use data.load()")
    return dict(entry["series"])


def _says(frame: pd.DataFrame, kind: str, resource: str) -> pd.Series:
    """Return whether the wording of each row holds one of the phrases of a kind."""
    phrases = re.compile("|".join(data.package()["phrases"][kind]), re.IGNORECASE)
    wording = frame[data.card(resource).get("wording", [])].fillna("")
    return wording.map(lambda text: bool(phrases.search(text))).any(axis=1)


def _within(frame: pd.DataFrame, freq: str, first: str, last: str, asked: str) -> pd.DataFrame:
    if freq not in ("", *FORMS):
        raise DataError(f"{asked} by the frequency {freq!r}; known are {', '.join(FORMS)}; use one of these")
    if any(not re.fullmatch(FORMS.get(freq, ""), end) for end in (first, last) if end):
        raise DataError(f"{asked} from {first} to {last}; the frequency is {freq}; give both in one form")
    periods = frame["period"]
    kept = periods.str.fullmatch(FORMS.get(freq, ".*")) & periods.ge(first) & periods.le(last or "~")
    if not kept.any():
        span, there = f"freq={freq}, first={first}, last={last}", ", ".join(sorted(periods.unique()))
        raise DataError(f"{asked}; no period fits {span}; there are {there}; ask for some of these")
    return frame[kept]


def _refuse_several(frame: pd.DataFrame, identified_by: Sequence[str], asked: str) -> None:
    """Refuse rows that span more than one series, naming every column that differs, and two values of one period."""
    spans = []
    for column in identified_by:
        counts = frame[column].fillna("none").value_counts(sort=False)
        if len(counts) > 1:
            found = ", ".join(f"{value!r} ({count})" for value, count in counts.items())
            spans.append(f"{len(counts)} values of {column}: {found}")
    if spans:
        remedy = "these are different series: choose one of each, or declare a splice in data/splices.csv"
        raise DataError(f"{asked}; its {len(frame)} rows span {'; '.join(spans)}; {remedy}")
    for period, group in frame.groupby("period"):
        if len(set(group["value"])) > 1:
            found = ", ".join(f"{row.value:g} ({row.source_publisher})" for row in group.itertuples())
            remedy = "choose one with source_publisher=..., or correct the file"
            raise DataError(f"{asked}; {period} has different values: {found}; {remedy}")


def _refuse_different(attribute: str, one: Series, other: Series) -> None:
    mine, its = getattr(one, attribute), getattr(other, attribute)
    if mine != its:
        found = f"{one.name!r} and {other.name!r} were to be combined; their {attribute}s differ: {mine!r} and {its!r}"
        raise DataError(f"{found}; take both from one, or declare a splice in data/splices.csv")
