"""Series computed from published ones; each says how, and bounds stay bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.errors import DataError
from analysis.facts import periods
from analysis.facts.published import Series

Array = np.ndarray[Any, np.dtype[np.float64]]
_OPPOSITE = {"": "", "lower": "upper", "upper": "lower"}


def growth(series: Series, *, scale: str = "percent") -> Series:
    """Change on the same period one year before.

    Parameters
    ----------
    series : Series
        Levels, all positive.
    scale : {"percent", "log"}
        100 (y / y' - 1) in per cent, or log(y / y') in log points (natural logarithm).

    Raises
    ------
    DataError
        When no period has its year before, a level is not positive, or two bounds leave
        the growth unbounded.
    """
    known = set(series.periods)
    pairs = [(p, p, periods.a_year_before(p)) for p in sorted(known) if periods.a_year_before(p) in known]
    scales: dict[str, tuple[str, Callable[[Array, Array], Array]]] = {
        "percent": ("percent y/y", lambda now, before: 100 * (now / before - 1)),
        "log": ("log points y/y", lambda now, before: np.log(now / before)),
    }
    if scale not in scales:
        raise DataError(f"Asked for growth on the scale {scale!r}; known are percent, log; use one of these.")
    _positive(series, "growth")
    unit, compute = scales[scale]
    name = f"growth of {series.name}"
    return _derive(pairs, series, series, compute, name=name, unit=unit, derivation=f"year-on-year, {scale}")


def from_growth(level: Series, growth: Series) -> Series:
    """Levels one year before, from levels and their reported growth.

    Parameters
    ----------
    level : Series
        Levels of the later year.
    growth : Series
        Reported growth of the same periods, in per cent.

    Returns
    -------
    Series
        level / (1 + growth / 100), in the periods one year before; provenance
        "estimate", because reported growth is rounded.

    Raises
    ------
    DataError
        When growth is not in per cent, the publishers differ, or no period is common.
    """
    _same("publisher", level, growth)
    return backed_out(level, growth)


def backed_out(level: Series, growth: Series) -> Series:
    """As `from_growth`, without asking for one publisher; for declared splices."""
    if not growth.unit.startswith("percent"):
        raise DataError(
            f"Asked for levels from the growth {growth.name!r}; its unit is {growth.unit!r}; "
            "give reported growth in percent."
        )
    pairs = [(periods.a_year_before(p), p, p) for p in _common(level, growth)]
    how = f"{level.name} divided by one plus the reported growth one year later ({growth.name})"
    result = _derive(
        pairs, level, growth, lambda y, g: y / (1 + g / 100), name=level.name, unit=level.unit, derivation=how
    )
    return replace(result, marks=result.marks.assign(provenance="estimate"))


def quarters_from_cumulative(series: Series) -> Series:
    """Quarters as differences of reports that run from 1 January.

    Parameters
    ----------
    series : Series
        Holds, by year, some of 2021Q1, 2021H1, 2021Q1-Q3 and 2021; ask `series` without
        a frequency. Quarters two to four that it holds are not used.

    Returns
    -------
    Series
        Those quarters of which both ends were reported.

    Raises
    ------
    DataError
        When no quarter can be derived.
    """
    known = set(series.periods)
    chain = ["Q1", "H1", "Q1-Q3", ""]
    pairs = [
        (f"{year}Q{number + 2}", year + chain[number + 1], year + chain[number])
        for year in sorted({p[:4] for p in known if p[:4].isdigit()})
        for number in range(3)
        if {year + chain[number], year + chain[number + 1]} <= known
    ]
    how = "first quarters as published; others as differences of reports from 1 January"
    later = _derive(
        pairs, series, series, lambda now, before: now - before, name=series.name, unit=series.unit, derivation=how
    )
    return joined([_only(series, [p for p in known if p.endswith("Q1")]), later], later.name, how)


def calendar_years_from_ltm(series: Series) -> Series:
    """Calendar years from sums of the last twelve months: their value at Q4.

    Raises
    ------
    DataError
        When the unit does not say "last twelve months", or no fourth quarter is there.
    """
    if "last twelve months" not in series.unit:
        raise DataError(
            f"Asked for calendar years of {series.name!r}; its unit is {series.unit!r}; "
            "give a series of the last twelve months."
        )
    fourth = [p for p in series.periods if p.endswith("Q4")]
    at_q4 = _only(series, fourth)
    index = periods.index([p[:4] for p in fourth])
    return replace(
        at_q4,
        values=at_q4.values.set_axis(index),
        unit=series.unit.partition(" (")[0],
        marks=at_q4.marks.set_axis(index, axis=0),
        derivation="last twelve months at Q4",
    )


def share(part: Series, whole: Series) -> Series:
    """Part as a percentage of the whole, in the periods of both.

    Raises
    ------
    DataError
        When units or publishers differ, the whole is not positive, no period is common,
        or two bounds leave the share unbounded.
    """
    _same("unit", part, whole)
    _same("publisher", part, whole)
    _positive(whole, "a share")
    pairs = [(p, p, p) for p in _common(part, whole)]
    how = f"{part.name} as a percentage of {whole.name}"
    return _derive(
        pairs, part, whole, lambda a, b: 100 * a / b, name=how, unit=f"percent of {whole.name}", derivation=how
    )


def difference(one: Series, other: Series) -> Series:
    """One minus the other, in the periods of both; per cent become percentage points.

    Raises
    ------
    DataError
        When units or publishers differ, no period is common, or two bounds leave the
        difference unbounded.
    """
    _same("unit", one, other)
    _same("publisher", one, other)
    pairs = [(p, p, p) for p in _common(one, other)]
    how = f"{one.name} minus {other.name}"
    unit = "percentage points" if one.unit.startswith("percent") else one.unit
    return _derive(pairs, one, other, lambda a, b: a - b, name=how, unit=unit, derivation=how)


def joined(parts: list[Series], name: str, derivation: str) -> Series:
    """Put stretches of one series behind each other; for derivations and declared splices.

    Raises
    ------
    DataError
        When their units differ or two hold one period.
    """
    for part in parts[1:]:
        _same("unit", parts[0], part)
    texts = [text for part in parts for text in part.periods]
    twice = sorted({text for text in texts if texts.count(text) > 1})
    if twice:
        raise DataError(f"Asked to join {name!r}; two parts hold {', '.join(twice)}; keep one of them.")
    order = np.argsort(texts)
    index = periods.index([texts[i] for i in order])
    values = np.concatenate([part.values.to_numpy() for part in parts])[order]
    return Series(
        name=name,
        values=pd.Series(values, index=index, name="value"),
        unit=parts[0].unit,
        publisher=_publishers(*parts),
        sources=_sources(*parts),
        marks=pd.concat([part.marks for part in parts]).iloc[order].set_axis(index, axis=0),
        derivation=derivation,
    )


def _derive(
    pairs: list[tuple[str, str, str]],
    top: Series,
    bottom: Series,
    compute: Callable[[Array, Array], Array],
    *,
    name: str,
    unit: str,
    derivation: str,
) -> Series:
    """Compute on pairs (period of the result, of the top, of the bottom).

    The result rises with the top and falls with the bottom, which decides its bounds.
    """
    if not pairs:
        there = ", ".join(top.periods)
        raise DataError(f"Asked for {name!r} ({derivation}); no periods fit among {there}; load more of them.")
    results, tops, bottoms = (list(column) for column in zip(*pairs, strict=True))
    upper, lower = _only(top, tops), _only(bottom, bottoms)
    index = periods.index(results)
    values = compute(upper.values.to_numpy(), lower.values.to_numpy())
    marks = pd.DataFrame(
        {
            "bound": [
                _bound(a, b, name, result)
                for a, b, result in zip(upper.marks["bound"], lower.marks["bound"], results, strict=True)
            ],
            "provenance": [
                "estimate" if "estimate" in both else "real"
                for both in zip(upper.marks["provenance"], lower.marks["provenance"], strict=True)
            ],
        },
        index=index,
    )
    return Series(
        name=name,
        values=pd.Series(values, index=index, name="value"),
        unit=unit,
        publisher=_publishers(top, bottom),
        sources=_sources(top, bottom),
        marks=marks,
        derivation=derivation,
    )


def _bound(top: str, bottom: str, name: str, period: str) -> str:
    """Bound of what rises with the top and falls with the bottom."""
    if top and bottom and top == bottom:
        raise DataError(
            f"Asked for {name!r} in {period}; both values are {top} bounds, which bound nothing together; "
            "leave the period out."
        )
    return top or _OPPOSITE[bottom]


def _only(series: Series, wanted: Iterable[str]) -> Series:
    """Return the series at some of its periods, in the order asked, repeats allowed."""
    place = {text: i for i, text in enumerate(series.periods)}
    rows = [place[text] for text in wanted]
    return replace(series, values=series.values.iloc[rows], marks=series.marks.iloc[rows])


def _common(one: Series, other: Series) -> list[str]:
    return sorted(set(one.periods) & set(other.periods))


def _sources(*parts: Series) -> pd.DataFrame:
    return pd.concat([part.sources for part in parts]).drop_duplicates().reset_index(drop=True)


def _publishers(*parts: Series) -> str:
    return "; ".join(dict.fromkeys(one for part in parts for one in part.publisher.split("; ")))


def _same(attribute: str, one: Series, other: Series) -> None:
    mine, its = getattr(one, attribute), getattr(other, attribute)
    if mine != its:
        raise DataError(
            f"Asked to combine {one.name!r} and {other.name!r}; their {attribute}s differ: "
            f"{mine!r} and {its!r}; take both from one, or declare a splice in data/splices.csv."
        )


def _positive(series: Series, what: str) -> None:
    wrong = series.values[series.values <= 0]
    if len(wrong):
        raise DataError(
            f"Asked for {what} of {series.name!r}; {wrong.index[0]} is {wrong.iloc[0]:g}; "
            "take a series of positive levels."
        )
