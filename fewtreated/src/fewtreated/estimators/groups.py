"""Group units by cohort, and those with which each cohort is compared."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np

from fewtreated.estimate import Floats, Ints
from fewtreated.estimators.rows import rows_by
from fewtreated.estimators.units import Comparison, Units

__dir__ = ["Group", "groups_of"].copy  # for tab completion


@dataclass(frozen=True, eq=False)
class Group:
    """Units of one cohort in one stratum, or those with which others are compared.

    Attributes
    ----------
    rows : int64[unit of the group]
        Rows of the outcomes.
    first : float
        First treated period, counted from `start`; inf for units to compare with.
    stratum : hashable
    start : int
        Column of the outcomes from which the group's periods are counted.
    until : float
        Last period until which none of the units to compare with is affected by a treatment; inf
        for never treated.
    base : int or None
        Period before treatment in which the units must be observed, too, if outcomes are missing.
    parts : tuple of int
        Numbers of the groups that these units are made of; () for the units of this group alone.
    """

    rows: Ints
    first: float
    stratum: Hashable
    start: int = 0
    until: float = np.inf
    base: int | None = None
    parts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Pair:
    """Cells that compare the same two groups.

    Attributes
    ----------
    treated, comparison, base : int
        Numbers of both groups, and the period before treatment.
    times : int64[cell]
    terms : int64[term]
        Terms to which the cells contribute.
    adds : float64[term, cell] or None
        1 where a cell is added to a term; None if each cell is a term.
    """

    treated: int
    comparison: int
    base: int
    times: Ints
    terms: Ints
    adds: Floats | None


@dataclass(frozen=True)
class Moments:
    """Sums over a group's units of products of u, of GroupTime, and of powers of ``u_t - u_b``.

    Attributes
    ----------
    bases : int64[base]
        Periods b.
    centre, first : float64[time]
        Centre that was taken off, and sums of u.
    second : float64[time, time]
    powers : float64[2, time, base]
        Third and fourth powers.
    """

    bases: Ints
    centre: Floats
    first: Floats
    second: Floats
    powers: Floats


def groups_of(units: Units, comparison: Comparison) -> list[Group]:
    """Return the cohorts by stratum, and the units to compare with.

    With missing outcomes, the latter are given for each base.
    """
    cohorts = _cohorts(units)
    missing = units.counts["missing"] > 0
    bases: dict[float, int | None] = dict.fromkeys(units.first.astype(float).tolist())
    groups = cohorts.copy()
    if missing:
        bases = {first: int(first) - 1 - units.anticipation for first in bases}
        groups = [
            replace(group, base=bases[group.first]) for group in cohorts if group.first in bases
        ]
    for numbers in rows_by(np.array([group.stratum for group in cohorts])):
        own = numbers.tolist()
        for place in range(1, len(own)):
            starts = cohorts[own[place]].first
            pooled = comparison == "not_yet"
            if np.isinf(starts):
                pooled = missing  # or else those never treated are a group of their own already
            if pooled:
                before = {base for first, base in bases.items() if first < starts}
                groups += [_pool(cohorts, own[place:], base) for base in before]
    return groups


def _cohorts(units: Units) -> list[Group]:
    """Return the units of each cohort and stratum, those never treated last in each stratum."""
    first = np.append(units.first, np.inf)  # last, cohort -1: never treated
    code = units.cohort % len(first) * (int(units.stratum.max()) + 1) + units.stratum
    return [
        Group(rows, first[units.cohort[rows[0]]], units.stratum[rows[0]]) for rows in rows_by(code)
    ]


def _pool(cohorts: list[Group], numbers: list[int], base: int | None) -> Group:
    """Return the units of cohorts of one stratum, until the first of these is treated."""
    one = cohorts[numbers[0]]
    rows = np.concatenate([cohorts[number].rows for number in numbers])
    parts: tuple[int, ...] = ()
    if base is None:
        parts = tuple(numbers)
    return Group(rows, np.inf, one.stratum, until=one.first - 1, base=base, parts=parts)
