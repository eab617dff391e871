"""Spillovers on units that are not closed themselves, by their exposure to those that are, on the ratio scale.

Two periods, before and after, are sums over months, so zeros are values like any other. Given the total of a unit, its
second sum is binomial in the Poisson model with unit and period effects: the unit effects drop out, and a few Newton
steps on two numbers per unit give the coefficients of the whole panel's Poisson regression, months included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd

from analysis.errors import DesignError
from analysis.exposure.draws import Redraw, drawn_exposure
from analysis.exposure.equations import Ints, Labels, Units, t_statistics, units_of
from analysis.exposure.estimates import terms
from analysis.exposure.jackknife import leave_one_out
from analysis.inference import TIE, Bools, Estimate, Floats

BINS = (0.02, 0.05, 0.10, 0.20)  # edges between exposure bins, shares of the category's sales


def exposure_effects(
    y: Floats,
    exposure: Floats,
    post: Bools,
    *,
    bins: Sequence[float] = BINS,
    origin: Labels | None = None,
    category: Labels | None = None,
    strata: Labels | None = None,
    beside: Mapping[str, Floats] | None = None,
    redraw: Redraw | None = None,
    draws: int = 999,
    seed: int = 0,
    step: float = 0.10,
    level: float = 0.95,
) -> Estimate:
    """Estimate how the change in sales of units that are not closed varies with their exposure.

    By origin: a coefficient for each exposure bin against the lowest, the slope per `step` of exposure, and the effect
    that this slope implies on average over the exposures there are. All are Poisson coefficients with unit and period
    effects. An effect common to all exposures is in none of them.

    Parameters
    ----------
    y : float64[unit, month]
        Sales of units that are not closed, in the months to compare; zero is a value, NaN drops the unit.
    exposure : float64[unit]
        Share of the unit's category that closed rivals held; NaN drops the unit.
    post : bool[month]
        Whether the month lies after the closures; before them otherwise.
    bins : sequence of float
        Rising edges between bins; a bin holds its lower edge. None, no bins.
    origin : sequence, optional
        Estimates are made for each value apart, with period effects of its own and one covariance over all.
    category : sequence, optional
        Cluster of each unit; each unit its own where not given. Every cluster is left out once, so that thousands of
        them take minutes.
    strata : sequence, optional
        Each has period effects of its own; they stand for covariates.
    beside : mapping of str to float64[unit], optional
        Further exposures in the same equations, such as risk, each with a slope per unit of its own.
    redraw : float64[draw, unit] or function of draws and a Generator that returns it, optional
        Exposures under re-drawn closures, NaN where the unit is itself closed in that draw. With it come the
        recentred slope, whose validity rests on the draws alone, and randomisation p-values of the two slopes.
    draws, seed : int
        For a `redraw` that is a function.
    step : float
        Exposure of one step of the slope: 0.10 is ten percentage points.
    level : float
        Coverage of intervals.

    Returns
    -------
    Estimate
        Log points. Terms such as ``"5 to 10 %"``, ``"slope"``, ``"average"``, ``"recentred slope"``, after ``"CN: "``
        where there is an origin. Errors and `influence` are those of leaving out each cluster. Further columns:
        `origin`; `clusters` behind the row; `reach`, errors from the estimate to either end of its interval;
        `p_value`, the share of draws (the actual one among them) whose t statistic (with sandwich errors; of the
        recentred equation at no effect, where there need be no solution) is at least as far from zero, and
        `smallest_p`, the smallest it can be. ``details``: ``statistics``, t by term and draw, the actual one first;
        ``expected`` exposure, float64[unit used].

    Raises
    ------
    DesignError
        If inputs do not fit, sales are negative, or exposure does not vary.

    Notes
    -----
    The recentred slope b sets the sum of ``(E - mean E) (y_after exp(-b E) - c y_before)`` to zero, with c from the sum
    of the second factor. Where exposure multiplies sales by exp(b E), that factor holds what would have been without
    it: only E is random, and its mean over the draws is taken off, so that no trend of a category enters. Errors take
    mean E as known. Draws without a slope count as further from zero.

    Errors and intervals are those of :func:`analysis.exposure.jackknife.leave_one_out`: exposure is shared within a
    category and high in few, so that an estimate from forty categories may rest on four. Where one of them decides
    alone there is no error.

    Who could be closed was selling at the time. Give only units that were selling just before the closures and a year
    earlier: newcomers and leavers are all among those not closed, and weigh more where more was closed, which raises
    the slope without any effect.

    References
    ----------
    Borusyak, K. and Hull, P. (2023), Nonrandom exposure to exogenous shocks, Econometrica 91, 2155-2185. MacKinnon,
    J. G. and Webb, M. D. (2020), Randomization inference for difference-in-differences with few treated clusters,
    Journal of Econometrics 218, 435-450, for the t statistic.
    """
    units, used, groups, counts = units_of(y, exposure, post, origin, category, strata, beside or {})
    edges = np.asarray(bins, dtype=float)
    _check_numbers(edges, step, level)
    drawn = np.empty((0, len(used)))
    if redraw is not None:
        drawn = drawn_exposure(redraw, draws, seed, len(y))[:, used]
        units = replace(units, expected=np.nanmean(np.vstack([units.exposure, drawn]), axis=0))
    found = [
        _of_origin(name, units, rows, drawn, edges, list(beside or {}), step, level, counts["clusters"])
        for name, rows in groups
    ]
    return _estimate([term for own in found for term in own], units, level, counts | {"draws": len(drawn)})


@dataclass(frozen=True, eq=False)
class _Term:
    """A row to be, what leaving out each cluster did to it, and its units; `statistics` by draw or empty."""

    name: str
    origin: str
    value: float
    moved: Floats
    reach: float
    n: int
    clusters: int
    statistics: Floats


def _of_origin(
    origin: str,
    units: Units,
    rows: Ints,
    drawn: Floats,
    edges: Floats,
    beside: list[str],
    step: float,
    level: float,
    count: int,
) -> list[_Term]:
    """Make the terms of one origin."""
    part = units.at(rows)
    redrawn = len(drawn) > 0
    cells, estimates = part.cells(), partial(terms, edges=edges, step=step, origin=origin, redrawn=redrawn)
    value, left_out = estimates(cells)[0], leave_one_out(cells, count, estimates, level)
    names = [*_bin_names(edges), "slope", "average", *beside, *(["recentred slope"] if redrawn else [])]
    statistics = dict.fromkeys(names, np.empty(0))
    if redrawn:
        t = np.array([t_statistics(replace(part, exposure=row)) for row in [part.exposure, *drawn[:, rows]]])
        statistics |= {"slope": t[:, 0], "recentred slope": t[:, 1]}
    n, clusters = _behind(part, edges, len(names))
    return [
        _Term(
            f"{origin}: {name}" if origin else name,
            origin,
            float(value[i]),
            left_out.moved[:, i],
            float(left_out.reach[i]),
            n[i],
            clusters[i],
            statistics[name],
        )
        for i, name in enumerate(names)
    ]


def _behind(part: Units, edges: Floats, count: int) -> tuple[list[int], list[int]]:
    """Units behind each term, and clusters: of a bin the fewer of its own and of the lowest's."""
    place = np.digitize(part.exposure, edges)
    in_bin = [len(np.unique(part.cluster[place == bin_])) for bin_ in range(len(edges) + 1)]
    others = count - len(edges)
    n = [int((place == bin_).sum()) for bin_ in range(1, len(edges) + 1)]
    clusters = [min(in_bin[0], own) for own in in_bin[1:]]
    return n + others * [len(place)], clusters + others * [len(np.unique(part.cluster))]


def _bin_names(edges: Floats) -> list[str]:
    within = [f"{100 * low:g} to {100 * high:g} %" for low, high in pairwise(edges)]
    return [*within, *(f"above {100 * edge:g} %" for edge in edges[-1:])]


def _estimate(found: list[_Term], units: Units, level: float, counts: dict[str, int]) -> Estimate:
    value = np.array([term.value for term in found])
    moved = np.column_stack([term.moved for term in found])
    moved[:, [term.clusters < 2 for term in found] | np.isnan(value)] = np.nan
    covariance = moved.T @ moved
    error = np.sqrt(np.diag(covariance))
    reach = np.where(np.isnan(error), np.nan, [term.reach for term in found])
    p_value, smallest = _randomisation(found)
    rows = pd.DataFrame(
        {
            "term": [term.name for term in found],
            "estimate": value,
            "std_error": error,
            "conf_low": value - reach * error,
            "conf_high": value + reach * error,
            "n": [term.n for term in found],
            "origin": [term.origin for term in found],
            "clusters": [term.clusters for term in found],
            "reach": reach,
            "p_value": p_value,
            "smallest_p": smallest,
        }
    )
    lost = ", ".join(rows.loc[np.isnan(error), "term"])
    why = "one cluster, no sales before or after, or no solution, with all clusters or without one of them"
    return Estimate(
        estimand="effect of exposure on units that are not closed",
        unit="log points",
        rows=rows,
        level=level,
        interval="confidence interval, leave-one-cluster-out jackknife, as many errors wide as `reach` says",
        counts=counts,
        reason=f"no error for {lost}: {why}" if lost else "",
        covariance=covariance,
        make_influence=lambda: moved,
        details={
            "statistics": {term.name: term.statistics for term in found if len(term.statistics)},
            "expected": units.expected,
        },
    )


def _randomisation(found: list[_Term]) -> tuple[list[float], list[float]]:
    """Share of draws at least as far from zero as the first, the actual one; and the smallest such share."""
    sizes = [np.abs(term.statistics) for term in found]
    known = [len(term.statistics) > 0 and term.clusters > 1 for term in found]
    share = [
        float((size >= size[0] * (1 - TIE)).mean()) if had else np.nan for size, had in zip(sizes, known, strict=True)
    ]
    return share, [1 / len(size) if had else np.nan for size, had in zip(sizes, known, strict=True)]


def _check_numbers(edges: Floats, step: float, level: float) -> None:
    if edges.ndim != 1 or (np.diff(edges) <= 0).any() or not (edges > 0).all():
        raise DesignError(f"rising edges of bins above 0 were asked for; found {edges.tolist()}; sort them")
    if not step > 0 or not 0.5 < level < 1:
        raise DesignError(
            f"a step above 0 and a level between 0.5 and 1 were asked for; found {step} and {level}; 0.10 and 0.95 "
            "are usual"
        )
