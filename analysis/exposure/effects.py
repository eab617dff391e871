"""Spillovers on units that are not closed themselves, by their exposure to those that are, on the ratio scale.

Two periods, before and after, are sums over months, so zeros are values like any other. Given the total of a unit, its
second sum is binomial in the Poisson model with unit and period effects: the unit effects drop out, and a few Newton
steps on two numbers per unit give the coefficients of the whole panel's Poisson regression, months included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy import stats

from analysis.errors import DesignError
from analysis.exposure.draws import Redraw, drawn_exposure
from analysis.exposure.equations import Ints, Labels, Units, poisson, recentred, sum_by, t_statistics, units_of
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
        Cluster of each unit; each unit its own where not given.
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
        Coverage of intervals, which use t quantiles with clusters - 1 degrees of freedom.

    Returns
    -------
    Estimate
        Log points. Terms such as ``"5 to 10 %"``, ``"slope"``, ``"average"``, ``"recentred slope"``, after ``"CN: "``
        where there is an origin. Further columns: `origin`; `clusters` behind the row; `p_value`, the share of
        draws (the actual one among them) whose t statistic (of the recentred
        equation at no effect, where there need be no solution) is at least as far from zero, and `smallest_p`, the
        smallest it can be. ``details``: ``covariance``; ``influence``, a function that returns float64[cluster, term];
        ``statistics``, t by term and draw, the actual one first; ``expected`` exposure, float64[unit used].

    Raises
    ------
    DesignError
        If inputs do not fit, sales are negative, or exposure does not vary.

    Notes
    -----
    The recentred slope b sets the sum of ``(E - mean E) (y_after exp(-b E) - c y_before)`` to zero, with c from the sum
    of the second factor. Where exposure multiplies sales by exp(b E), that factor holds what would have been without
    it: only E is random, and its mean over the draws is taken off, so that no trend of a category enters. Errors have
    no small-sample factor and take mean E as known. Draws without a slope count as further from zero.

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
    terms = [
        term
        for name, rows in groups
        for term in [*_bins(name, units, rows, edges), *_slopes(name, units, rows, drawn, list(beside or {}), step)]
    ]
    return _estimate(terms, units, level, counts | {"draws": len(drawn)})


@dataclass(frozen=True, eq=False)
class _Term:
    """A row to be, with the influence of each unit used and the units behind it; `statistics` by draw or empty."""

    name: str
    origin: str
    value: float
    influence: Floats
    members: Bools
    clusters: int
    statistics: Floats


def _bins(origin: str, units: Units, rows: Ints, edges: Floats) -> list[_Term]:
    """Coefficients of the bins above the lowest; NaN where it or the lowest sold nothing before or after."""
    part = units.at(rows)
    place = np.digitize(part.exposure, edges)
    sold = sum_by(np.column_stack([part.before, part.after]), place, len(edges) + 1).min(axis=1) > 0
    kept = np.flatnonzero(sold & sold[0])[1:]
    value, influence = np.full(len(edges), np.nan), np.zeros((len(place), len(edges)))
    if len(kept):
        dummies = (place[:, None] == kept).astype(float)
        coefficients, moved = poisson(part.at(sold[place]), np.hstack([dummies, part.beside])[sold[place]], origin)
        value[kept - 1] = coefficients[: len(kept)]
        influence[np.ix_(sold[place], kept - 1)] = moved[:, : len(kept)]
    made = []
    for bin_, name in enumerate(_bin_names(edges), start=1):
        behind = [len(np.unique(part.cluster[place == which])) for which in (0, bin_)]
        term = _term(name, origin, value[bin_ - 1], influence[:, bin_ - 1], rows, place == bin_, units)
        made.append(replace(term, clusters=min(behind)) if behind[0] < behind[1] else term)
    return made


def _bin_names(edges: Floats) -> list[str]:
    within = [f"{100 * low:g} to {100 * high:g} %" for low, high in pairwise(edges)]
    return [*within, *(f"above {100 * edge:g} %" for edge in edges[-1:])]


def _slopes(origin: str, units: Units, rows: Ints, drawn: Floats, beside: list[str], step: float) -> list[_Term]:
    """Slope, average effect and slopes of further exposures; with draws the recentred slope and p-values."""
    part, everyone = units.at(rows), np.ones(len(rows), dtype=bool)
    statistics = np.empty((2, 0))
    if len(drawn):
        statistics = np.array([t_statistics(replace(part, exposure=row)) for row in [part.exposure, *drawn[:, rows]]]).T
    slope, moved = poisson(part, part.regressors, origin)
    free = part.after * np.exp(-slope[0] * part.exposure)  # sales after, had there been no exposure
    average = np.log(part.after.sum() / free.sum())
    shift = part.after / part.after.sum() - free / free.sum() + moved[:, 0] * (free @ part.exposure) / free.sum()
    found = [("slope", step * slope[0], step * moved[:, 0], statistics[0]), ("average", average, shift, _NONE)]
    found += [(name, slope[i], moved[:, i], _NONE) for i, name in enumerate(beside, start=1)]
    if len(drawn):
        try:
            again, moved = recentred(part, origin)
        except (
            DesignError,
            np.linalg.LinAlgError,
        ):  # too little unexpected exposure for an estimate; the p-value does not need one
            again, moved = np.full(1, np.nan), np.zeros((len(rows), 1))
        found.append(("recentred slope", step * again[0], step * moved[:, 0], statistics[1]))
    return [
        replace(_term(name, origin, value, influence, rows, everyone, units), statistics=t)
        for name, value, influence, t in found
    ]


_NONE: Floats = np.empty(0)


def _term(name: str, origin: str, value: float, influence: Floats, rows: Ints, members: Bools, units: Units) -> _Term:
    whole, behind = np.zeros(len(units.before)), np.zeros(len(units.before), dtype=bool)
    whole[rows], behind[rows] = influence, members
    clusters = len(np.unique(units.cluster[behind]))
    return _Term(f"{origin}: {name}" if origin else name, origin, float(value), whole, behind, clusters, _NONE)


def _estimate(terms: list[_Term], units: Units, level: float, counts: dict[str, int]) -> Estimate:
    value = np.array([term.value for term in terms])
    influence = np.column_stack([term.influence for term in terms])
    by_cluster = sum_by(influence, units.cluster, counts["clusters"])
    by_cluster[:, [term.clusters < 2 for term in terms] | np.isnan(value)] = np.nan
    covariance = by_cluster.T @ by_cluster
    error = np.sqrt(np.diag(covariance))
    reach = stats.t.ppf((1 + level) / 2, counts["clusters"] - 1) * error
    p_value, smallest = _randomisation(terms)
    rows = pd.DataFrame(
        {
            "term": [term.name for term in terms],
            "estimate": value,
            "std_error": error,
            "conf_low": value - reach,
            "conf_high": value + reach,
            "n": [int(term.members.sum()) for term in terms],
            "origin": [term.origin for term in terms],
            "clusters": [term.clusters for term in terms],
            "p_value": p_value,
            "smallest_p": smallest,
        }
    )
    lost = ", ".join(rows.loc[np.isnan(error), "term"])
    return Estimate(
        estimand="effect of exposure on units that are not closed",
        unit="log points",
        rows=rows,
        level=level,
        interval=f"confidence interval, t with {counts['clusters'] - 1} degrees of freedom",
        counts=counts,
        reason=f"no error for {lost}: one cluster, no sales before or after, or no solution" if lost else "",
        details={
            "covariance": covariance,
            "influence": lambda: by_cluster,
            "statistics": {term.name: term.statistics for term in terms if len(term.statistics)},
            "expected": units.expected,
        },
    )


def _randomisation(terms: list[_Term]) -> tuple[list[float], list[float]]:
    """Share of draws at least as far from zero as the first, the actual one; and the smallest such share."""
    sizes = [np.abs(term.statistics) for term in terms]
    known = [len(term.statistics) > 0 and term.clusters > 1 for term in terms]
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
