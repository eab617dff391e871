"""Select the units that an estimator of group-time effects can use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from fewtreated.errors import DesignError, check_choice, whole_number
from fewtreated.estimate import Bools, Floats, Ints, Labels
from fewtreated.estimators.rows import match_units

__dir__ = ["Units", "usable_units"].copy  # for tab completion

Scale = Literal["level", "ratio"]
Comparison = Literal["never", "not_yet"]
UNITS: dict[Scale, str] = {"level": "units of y", "ratio": "log points"}  # of effects


@dataclass(frozen=True, eq=False)
class Units:
    """Units that an estimator can use.

    Attributes
    ----------
    y : float64[unit, time]
    first : int64[cohort]
        First treated periods in increasing order.
    cohort : int64[unit]
        Number of the unit's cohort, -1 for never treated.
    z : float64[unit, 1 + covariate]
        A constant, and covariates.
    weight : float64[unit]
    cluster : int64[unit] or None
        Code of the unit's cluster; each unit its own if None.
    labels : array[cluster]
    stratum : int64[unit]
    counts : dict of str to int
    scale, anticipation
        As passed to :func:`usable_units`.
    """

    y: Floats
    first: Ints
    cohort: Ints
    z: Floats
    weight: Floats
    cluster: Ints | None
    labels: npt.NDArray[Any]
    stratum: Ints
    counts: dict[str, int]
    scale: Scale
    anticipation: int


def usable_units(
    y: Floats,
    first_treated: Floats,
    covariates: Floats | None = None,
    weights: Floats | None = None,
    cluster: Labels | None = None,
    strata: Labels | None = None,
    scale: Scale = "level",
    anticipation: int = 0,
    comparison: Comparison = "never",
    *,
    complete: bool = True,
) -> Units:
    """Select the units with a period before treatment and without missing values.

    Options are as for :func:`fewtreated.estimators.att_gt.att_gt`. `covariates`, float64[unit,
    column], are determined before treatment; a constant is added. A unit with a missing one is
    dropped and counted. If not `complete`, outcomes may be missing, but not in all periods but one,
    nor in the base of a treated unit that is not compared with others.

    Raises
    ------
    DesignError
        If an option is unknown, shapes disagree, a weight is not positive, an outcome on the ratio
        scale is negative, no unit is observed twice, or there are no treated units or none to
        compare with.
    """
    _check_options(scale, comparison, anticipation)
    by_unit = {"first_treated": first_treated, "covariates": covariates, "weights": weights}
    match_units(y=y, **by_unit, cluster=cluster, strata=strata)
    y = np.asarray(y, dtype=float)
    first = np.asarray(first_treated, dtype=float)
    x = _given(covariates, np.empty((len(y), 0)))
    weight = _given(weights, np.ones(len(y)))
    _check_units(y, first, weight, scale)
    base = first - 1 - anticipation
    has_base = base >= 0
    known = np.isfinite(x.sum(axis=1))
    whole = known & np.isfinite(y @ np.ones(y.shape[1]))
    enough = whole
    if not complete and not whole.all():
        enough = known & _in_pairs(y, base, comparison)
    kept = has_base & enough
    if not kept.all():
        y = y[kept]
    missing = 0
    if (kept & ~whole).any():
        missing = int(y.size - np.isfinite(y).sum())
    cohort, dates = _cohorts(first[kept], y.shape[1])
    code, labels = _codes(cluster, kept)
    counts = {
        "units": len(y),
        "treated": int((cohort >= 0).sum()),
        "dropped_missing": int((has_base & ~enough).sum()),
        "dropped_always_treated": int((~has_base).sum()),
        "missing": missing,
        "clusters": len(labels),
    }
    _check_sides(counts, comparison)
    return Units(
        y=y,
        first=dates,
        cohort=cohort,
        z=np.column_stack([np.ones(len(y)), x[kept]]),
        weight=weight[kept],
        cluster=None if cluster is None else code,
        labels=labels,
        stratum=np.zeros(len(y), np.int64) if strata is None else _codes(strata, kept)[0],
        counts=counts,
        scale=scale,
        anticipation=anticipation,
    )


def _given(values: Any, default: Floats) -> Floats:
    if values is None:
        return default
    return np.asarray(values, dtype=float)


def _codes(labels: Labels | None, kept: Bools) -> tuple[Ints, npt.NDArray[Any]]:
    """Return numbers of the labels of the units kept, which by default are their rows."""
    if labels is None:
        rows = np.flatnonzero(kept)
        return rows, rows
    code, distinct = pd.factorize(np.asarray(labels)[kept])
    return code, np.asarray(distinct)


def _cohorts(first: Floats, width: int) -> tuple[Ints, Ints]:
    """Return the number of each unit's cohort, and the first treated periods in order.

    Numbers are int64[unit], -1 for never.
    """
    column = np.minimum(first, width).astype(np.int64)
    dates = np.flatnonzero(np.bincount(column)[:width])
    number = np.full(width + 1, -1)
    number[dates] = np.arange(len(dates))
    return number[column], dates


def _in_pairs(y: Floats, base: Floats, comparison: Comparison) -> Bools:
    """Return whether each unit is observed in its base and in another period, bool[unit].

    Units that are never treated, or that others are compared with, may lack a base.

    Raise DesignError if no unit is observed twice.
    """
    observed = np.isfinite(y)
    twice = observed.sum(axis=1) > 1
    if not twice.any():
        raise DesignError(
            f"Cannot estimate changes of units: each of {len(y)} is observed in one period at most,"
            " as in repeated cross-sections; follow the same units over time, or estimate on means"
            " of groups of units"
        )
    if comparison == "not_yet":
        return np.asarray(twice)
    has_base = base < y.shape[1]
    column = np.clip(np.nan_to_num(base), 0, y.shape[1] - 1).astype(np.int64)
    return np.asarray(twice & (~has_base | observed[np.arange(len(y)), column]))


def _check_options(scale: Scale, comparison: Comparison, anticipation: int) -> None:
    check_choice("scale", scale, get_args(Scale))
    check_choice("comparison", comparison, get_args(Comparison))
    if whole_number("anticipation", anticipation) < 0:
        raise DesignError(
            f"Cannot use anticipation = {anticipation}: it is a number of periods; pass 0 or more"
        )


def _check_sides(counts: dict[str, int], comparison: Comparison) -> None:
    """Raise DesignError if no unit is treated, or none can be compared with."""
    never = counts["units"] - counts["treated"]
    if counts["treated"] and (never or comparison == "not_yet"):
        return
    early = ""
    if dropped := counts["dropped_always_treated"]:
        early = (
            f"; {dropped} units have no period before treatment and are dropped; if never treated,"
            " leave their date missing"
        )
    raise DesignError(
        f"Cannot compare with never-treated units: of {counts['units']} usable units,"
        f" {counts['treated']} are treated in the window and {never} never; add units or widen the"
        f" window{early}"
    )


def _check_units(y: Floats, first: Floats, weight: Floats, scale: Scale) -> None:
    """Raise DesignError for dates, weights or outcomes that cannot be used.

    These are missing dates, dates between two periods, weights that are not positive, and negative
    outcomes on the ratio scale.
    """
    if (part := np.isfinite(first) & (first != np.floor(first))).any():
        raise DesignError(
            f"Cannot use {first[part][0]:g} as a first treated period ({part.sum()} of {len(y)} are"
            " not whole); pass the index of a column, or inf for never"
        )
    if undated := int(np.isnan(first).sum()):
        raise DesignError(
            f"Cannot use missing treatment dates ({undated} of {len(y)}); set never-treated units"
            " to inf"
        )
    if (wrong := ~((weight > 0) & (weight < np.inf))).any():
        raise DesignError(
            f"Cannot weight units by {weight[wrong][0]:g}: {wrong.sum()} of {len(y)} weights are"
            " not positive numbers"
        )
    if scale == "ratio" and (negative := int((y < 0).sum())):
        raise DesignError(
            f"Cannot use the ratio scale: {negative} outcomes are negative; use the level scale"
        )
