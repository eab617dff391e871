"""Spillovers on surviving units by their exposure to closed units, on the ratio scale.

The two periods, before and after, are sums over months, so zeros are ordinary values. Given a
unit's total, its second sum is binomial in the Poisson model with unit and period effects: unit
effects drop out, and a few Newton steps give the coefficients of the Poisson regression on the
whole panel. Units of one cluster with equal exposure are summed, since no equation distinguishes
them: a million firms in fifty categories become fifty rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from scipy.optimize import brentq
from scipy.special import expit

from fewtreated import jackknife
from fewtreated.errors import DataError, DesignError, check_level
from fewtreated.estimate import Bools, Estimate, Floats, Ints, Labels
from fewtreated.estimators.rows import match_units, sum_by
from fewtreated.jackknife import effective
from fewtreated.testing import TIE

__dir__ = ["exposure_effects"].copy  # for tab completion

BINS = (0.02, 0.05, 0.10, 0.20)  # edges between exposure bins, shares of the category's sales
PER = 0.10  # exposure per unit of the slope: ten percentage points
MAX_STEPS = 60
EXACT = 500  # limit of clusters for the exact quantile, whose eigenvalues take cubic time
POINTS, WEIGHTS = np.polynomial.legendre.leggauss(64)  # for a smooth integral over angles


def exposure_effects(
    before: Floats,
    after: Floats,
    exposure: Floats,
    *,
    bins: Sequence[float] = BINS,
    category: Labels | None = None,
    covariates: Mapping[str, Floats] | None = None,
    expected: Floats | None = None,
    redrawn: Iterable[Floats] | None = None,
    level: float = 0.95,
) -> Estimate:
    """Estimate how changes in the sales of units that were not closed vary with their exposure.

    It estimates a coefficient per exposure bin relative to the lowest, the slope per ten points of
    exposure, and the average effect that this slope implies over the units' exposures. All are
    Poisson coefficients with unit and period effects. None includes an effect common to all
    exposures.

    Parameters
    ----------
    before, after : float64[unit]
        Sales in the two periods of units that are not closed; zero is a value, NaN drops the unit.
    exposure : float64[unit]
        Closed rivals' share of the unit's category; NaN drops the unit.
    bins : sequence of float
        Edges between bins, in increasing order; a bin includes its lower edge. None means no bins.
    category : sequence, optional
        Cluster of each unit; each unit its own by default. Each is left out once, so thousands take
        minutes.
    covariates : mapping of str to float64[unit], optional
        Further exposures in the same equations, such as risk, each with a slope per unit of its
        own.
    expected : float64[unit], optional
        Expected exposure of each unit over redrawn closures in which it stays open. It adds the
        recentred slope, whose validity depends only on the design of the draws. Cannot be combined
        with covariates.
    redrawn : iterable of float64[unit], optional
        Exposures under redrawn closures, one array per draw, NaN if the unit is itself closed in
        it. They add randomisation p-values of the two slopes, and require `expected`.
    level : float
        Coverage of intervals.

    Returns
    -------
    Estimate
        Log points. Terms such as ``"5 to 10 %"``, ``"slope"``, ``"average"``,
        ``"recentred slope"``. Standard errors and `scores` are from the cluster jackknife. Further
        columns: `clusters` behind the row; `half_width` of the interval in standard errors;
        `p_value`, the share of draws (the actual one included) whose t statistic is at least as far
        from zero (with sandwich errors; that of the recentred equation is taken at no effect, where
        a solution need not exist), and `smallest_p`, its smallest possible value. ``details``:
        ``statistics``, t by term and draw, the actual one first; ``expected`` exposure,
        float64[unit used].

    Raises
    ------
    DataError
        If sales are negative or not finite, or an exposure is not between 0 and 1.
    DesignError
        If shapes disagree, bins do not increase, fewer than two units have known sales and an
        exposure, or exposure does not vary.

    Notes
    -----
    The recentred slope b sets the sum of ``(E - mean E) (y_after exp(-b E) - c y_before)`` to zero,
    with c such that the second factor sums to zero. If exposure multiplies sales by exp(b E), that
    factor depends only on sales without exposure: only E is random, and its mean over the draws is
    subtracted, so that no trend of a category enters. Standard errors treat mean E as known. Draws
    without a slope count as further from zero.

    Standard errors and intervals are from :func:`leave_one_out`: exposure is shared within a
    category and high in few, so that an estimate from forty categories may depend on four. If it
    depends on one, it has no standard error.

    Only sellers active at the time could be closed. Pass units that were selling just before the
    closures and a year earlier: all newcomers and leavers are among those not closed, and have more
    weight where more was closed, which raises the slope without any effect.

    References
    ----------
    Borusyak, K. and Hull, P. (2023), Nonrandom exposure to exogenous shocks, Econometrica 91,
    2155-2185. MacKinnon, J. G. and Webb, M. D. (2020), Randomization inference for
    difference-in-differences with few treated clusters, Journal of Econometrics 218, 435-450, for
    the t statistic.
    """
    check_level(level)
    others = dict(covariates or {})
    edges = np.asarray(bins, dtype=float)
    match_units(
        before=before,
        after=after,
        exposure=exposure,
        category=category,
        expected=expected,
        **others,
    )
    before, after, exposure = (
        np.asarray(values, dtype=float) for values in (before, after, exposure)
    )
    _check_values(before, after, exposure, edges)
    _check_draws(others, expected, redrawn)
    units, used, counts = _units(before, after, exposure, category, others)
    names = _names(edges, others)
    mean = np.zeros(len(used))
    if expected is not None:
        names.append("recentred slope")
        mean = np.asarray(expected, dtype=float)[used]
    statistics = {}
    if redrawn is not None:
        statistics = _statistics(units, mean, redrawn, used)
    cells = units.cells(mean)
    terms = partial(_terms, edges=edges, recentre=expected is not None)
    value, _ = terms(cells)
    scores, half_width = leave_one_out(cells, counts["clusters"], terms, level)
    n, clusters = _behind(units, edges, len(names))
    scores[:, (clusters < 2) | np.isnan(value)] = np.nan
    error = np.sqrt((scores**2).sum(axis=0))
    half_width[np.isnan(error)] = np.nan
    columns = {"clusters": clusters, "half_width": half_width}
    return Estimate(
        estimand="effect of exposure on units that are not closed",
        unit="log points",
        terms=tuple(names),
        value=value,
        scores=scores,
        limits=np.array([value - half_width * error, value + half_width * error]),
        n=n,
        level=level,
        columns=columns | _p_values(names, statistics, counts["clusters"]),
        counts=counts,
        reason=_reason(names, error),
        details={"statistics": statistics, "expected": mean},
    )


def _check_draws(
    covariates: Mapping[str, Floats], expected: Floats | None, redrawn: Iterable[Floats] | None
) -> None:
    """Raise DesignError for draws of closures beside covariates, or without their mean."""
    recentre = expected is not None
    if (covariates and recentre) or (redrawn is not None and not recentre):
        raise DesignError(
            "Cannot use expected or redrawn exposures with covariates"
            f" ({', '.join(covariates) or 'none'}), or redrawn without expected ones: the draws"
            " cover only exposure; pass `expected` and no covariates"
        )


def _names(edges: Floats, covariates: Mapping[str, Floats]) -> list[str]:
    """Return the names of the bins, of the slope and average, and of the covariates."""
    bins = [f"{100 * low:g} to {100 * high:g} %" for low, high in pairwise(edges)]
    last = [f"above {100 * edge:g} %" for edge in edges[-1:]]
    return [*bins, *last, "slope", "average", *covariates]


def _p_values(
    names: list[str], statistics: Mapping[str, Floats], clusters: int
) -> dict[str, Floats]:
    """Return the p-values of terms with draws, and the smallest possible ones, float64[term]."""
    p_value, smallest = np.full((2, len(names)), np.nan)
    if clusters > 1:
        for name, t in statistics.items():
            size = np.abs(t)
            p_value[names.index(name)] = (size >= size[0] * (1 - TIE)).mean()
            smallest[names.index(name)] = 1 / len(size)
    return {"p_value": p_value, "smallest_p": smallest}


def _reason(names: list[str], error: Floats) -> str:
    """Return why terms have no standard error."""
    lost = [name for name, missing in zip(names, np.isnan(error), strict=True) if missing]
    if not lost:
        return ""
    return (
        f"no standard error for {', '.join(lost)}: one cluster, no sales before or after, or no"
        " solution, with all clusters or without one of them"
    )


def _behind(units: _Cells, edges: Floats, count: int) -> tuple[Ints, Ints]:
    """Count the units and clusters behind each term, bins first, int64[term] each."""
    number = np.digitize(units.exposure, edges)
    bins = range(len(edges) + 1)
    lowest, *clusters = (len(np.unique(units.cluster[number == bin_])) for bin_ in bins)
    rest = np.ones(count - len(edges), dtype=np.int64)
    n = np.concatenate([np.bincount(number, minlength=len(bins))[1:], len(number) * rest])
    return n, np.concatenate(
        [np.minimum(clusters, lowest), len(np.unique(units.cluster)) * rest]
    )  # against the lowest


@dataclass(frozen=True, eq=False)
class _Cells:
    """Units, or sums of a cluster's units with equal exposure; every field has one entry per cell.

    `expected` is float64[cell, 3]: sums of sales before, of sales after, and of the latter times
    expected exposure, all weighted by expected exposure. `covariates` is float64[cell, covariate].
    """

    before: Floats
    after: Floats
    exposure: Floats
    covariates: Floats
    cluster: Ints
    expected: Floats

    def at(self, rows: npt.NDArray[Any]) -> _Cells:
        """Select cells by mask or index."""
        return replace(self, **{name: values[rows] for name, values in vars(self).items()})

    @property
    def sold(self) -> bool:
        """Whether there were sales both before and after."""
        return bool(self.before.sum() > 0 and self.after.sum() > 0)

    def cells(self, expected: Floats) -> _Cells:
        """Sum each cluster's units with equal exposure, unless there are covariates."""
        weighted = expected[:, np.newaxis] * np.column_stack(
            [self.before, self.after, self.after * expected]
        )
        if self.covariates.size:
            return replace(self, expected=weighted)
        level, values = pd.factorize(self.exposure)
        key, code = np.unique(self.cluster * len(values) + level, return_inverse=True)
        sums = sum_by(np.column_stack([self.before, self.after, weighted]), code, len(key))
        cluster, level = np.divmod(key, len(values))
        return _Cells(
            sums[:, 0], sums[:, 1], values[level], np.empty((len(key), 0)), cluster, sums[:, 2:]
        )


def _statistics(
    units: _Cells, expected: Floats, redrawn: Iterable[Floats], used: Ints
) -> dict[str, Floats]:
    """Return both slopes' t statistics, first for the actual exposure, then by draw.

    Each is float64[1 + draw].
    """
    statistics = []
    for exposure in chain([units.exposure], (draw[used] for draw in redrawn)):
        is_open = np.isfinite(exposure)
        statistics.append(
            _t_statistics(replace(units, exposure=exposure).at(is_open).cells(expected[is_open]))
        )
    plain, recentred = np.array(statistics).T
    return {"slope": plain, "recentred slope": recentred}


def _t_statistics(cells: _Cells) -> tuple[float, float]:
    """Return the t statistics of the slope and of the recentred equation at zero effect."""
    try:
        slope, influence, _ = _poisson(cells, cells.exposure[:, np.newaxis])
    except DesignError:  # further from zero than the actual slope; this can only raise p-values
        return np.inf, np.inf
    error = np.linalg.norm(np.bincount(cells.cluster, weights=influence[:, 0]))
    scores = np.bincount(cells.cluster, weights=_unexpected(cells, 0.0)[1])
    spread = np.linalg.norm(scores)
    return float(slope[0] / error) if error > 0 else np.inf, (
        float(scores.sum() / spread) if spread > 0 else 0.0
    )


def _check_values(before: Floats, after: Floats, exposure: Floats, edges: Floats) -> None:
    """Check that sales are finite and not negative, exposures lie in [0, 1] and edges increase."""
    for name, sales in (("before", before), ("after", after)):
        if (wrong := (sales < 0) | np.isinf(sales)).any():
            raise DataError(
                f"Cannot use the sales in `{name}`: {wrong.sum():,} values are negative or"
                f" infinite, such as {sales[wrong][0]:g}; correct them or set them to NaN"
            )
    if (wrong := (exposure < -TIE) | (exposure > 1 + TIE)).any():
        raise DataError(
            f"Cannot use the exposures: {wrong.sum():,} values are not between 0 and 1, such as "
            f"{exposure[wrong][0]:g}; divide percentages by 100 or drop these units"
        )
    if edges.ndim != 1 or not (np.diff(edges) > 0).all() or not ((edges > 0) & (edges < 1)).all():
        raise DesignError(
            f"Cannot use the bin edges {', '.join(f'{edge:g}' for edge in edges)}: they must"
            " increase and lie between 0 and 1; sort them and remove duplicates"
        )


def _units(
    before: Floats,
    after: Floats,
    exposure: Floats,
    category: Labels | None,
    covariates: Mapping[str, Floats],
) -> tuple[_Cells, Ints, dict[str, int]]:
    """Select the units without missing values; return them, their rows and the counts."""
    others = np.column_stack(
        [np.asarray(values, dtype=float) for values in (exposure, *covariates.values())]
    )
    if category is None:
        category = np.arange(len(others))
    no_sales = np.isnan(before + after)
    no_exposure = np.isnan(others).any(axis=1)
    used = _both_known(no_sales, no_exposure)
    code, clusters = pd.factorize(np.asarray(category)[used], sort=True)
    expected = np.zeros((len(used), 3))
    units = _Cells(before[used], after[used], others[used, 0], others[used, 1:], code, expected)
    counts = {
        "units": len(used),
        "dropped_missing": int(no_sales.sum()),
        "dropped_exposure": int((no_exposure & ~no_sales).sum()),
        "clusters": len(clusters),
    }
    return units, used, counts


def _both_known(no_sales: Bools, no_exposure: Bools) -> Ints:
    """Return the rows of units with sales and exposure; fewer than two raise DesignError."""
    used = np.flatnonzero(~no_sales & ~no_exposure)
    if len(used) < 2:
        raise DesignError(
            f"Cannot estimate effects of exposure: only {len(used)} of {len(no_sales)} units have"
            " sales in all months and a known exposure, but two are needed; choose months with"
            " data"
        )
    return used


def _terms(cells: _Cells, *, edges: Floats, recentre: bool) -> tuple[Floats, Floats]:
    """Estimate the bin effects, the average effect and the slopes.

    The terms are the bin effects, the slope, the average effect, the slopes on covariates, and the
    recentred slope.

    Return float64[term] and the derivative with respect to each cell's log sales after,
    float64[cell, term]; NaN if there is no solution.
    """
    estimates = [_bins(cells, edges), _slopes(cells), *([_recentred(cells)] if recentre else [])]
    values, gradients = zip(*estimates, strict=True)
    return np.concatenate(values), np.hstack(gradients)


def _bins(cells: _Cells, edges: Floats) -> tuple[Floats, Floats]:
    """Estimate the effect of each bin relative to the lowest bin.

    It is NaN if either bin has no sales.
    """
    number = np.digitize(cells.exposure, edges)
    sold = (
        sum_by(np.column_stack([cells.before, cells.after]), number, len(edges) + 1).min(axis=1) > 0
    )
    kept = np.flatnonzero(sold & sold[0])[1:]
    value = np.full(len(edges), np.nan)
    gradient = np.full((len(number), len(edges)), np.nan)
    if len(kept):
        dummies = np.hstack([(number[:, None] == kept).astype(float), cells.covariates])
        coefficients, _, by_sales = _poisson(cells.at(sold[number]), dummies[sold[number]])
        value[kept - 1] = coefficients[: len(kept)]
        gradient[:, kept - 1] = 0.0
        gradient[np.ix_(sold[number], kept - 1)] = by_sales[:, : len(kept)]
    return value, gradient


def _slopes(cells: _Cells) -> tuple[Floats, Floats]:
    """Estimate the slope on exposure, the average effect, and the slopes on covariates.

    The slope on exposure is per ten points.
    """
    slope, _, by_sales = _poisson(cells, np.column_stack([cells.exposure, cells.covariates]))
    free = cells.after * np.exp(
        -slope[0] * cells.exposure
    )  # sales after, had there been no exposure
    average = np.log(cells.after.sum() / free.sum())
    by_slope = by_sales[:, 0] * (free @ cells.exposure) / free.sum()
    of_average = cells.after / cells.after.sum() - free / free.sum() + by_slope
    value = np.array([PER * slope[0], average, *slope[1:]])
    return value, np.column_stack([PER * by_sales[:, 0], of_average, by_sales[:, 1:]])


def _poisson(cells: _Cells, x: Floats) -> tuple[Floats, Floats, Floats]:
    """Estimate Poisson coefficients of `x` in the second period, with unit and period effects.

    Return float64[regressor], the influence of each cell, and the derivative with respect to its
    log sales after, both float64[cell, regressor].
    """
    total = cells.before + cells.after
    beta = np.zeros(x.shape[1])
    if cells.sold:
        level = np.log(cells.after.sum() / cells.before.sum())
    else:
        level = np.nan
    for _ in range(MAX_STEPS if cells.sold else 0):
        share = expit(level + x @ beta)
        weight = total * share * (1 - share)
        residual = cells.after - total * share
        centred = x - weight @ x / weight.sum()
        bread = (centred * weight[:, None]).T @ centred
        raw = np.diag((x * weight[:, None]).T @ x)
        size = np.sqrt(np.diag(bread))
        if (np.diag(bread) <= 1e-10 * raw).any() or np.linalg.cond(
            bread / np.outer(size, size)
        ) > 1e12:
            break  # exposures hardly vary, or are collinear
        step = np.linalg.solve(bread, centred.T @ residual)
        rise = residual.sum() / weight.sum() + (centred - x)[0] @ step
        far = np.abs(rise + x @ step).max()
        if far < 1e-10:
            influence = np.linalg.solve(bread, (centred * residual[:, None]).T).T
            return (
                beta,
                influence,
                np.linalg.solve(bread, (centred * (cells.after * (1 - share))[:, None]).T).T,
            )
        damping = min(1.0, 2.0 / far)  # if a few units have most sales, full steps may overshoot
        beta = beta + damping * step
        level = level + damping * rise
    raise DesignError(
        f"Cannot estimate effects of exposure: the equations of {len(x)} units have no unique"
        " finite solution, because exposure is constant, collinear, or determines who sold before"
        " and after; drop a covariate or add units"
    )


def _unexpected(cells: _Cells, beta: float) -> Floats:
    """Return the three moments of the recentred equation, float64[3, cell].

    They are unexpected exposure times net sales after, times their change, and its square times net
    sales. Unexpected exposure is exposure less its expectation, and less the mean of this
    difference weighted by baseline sales.
    """
    before, after, after_twice = cells.expected.T
    scale = np.exp(-beta * cells.exposure)
    free = cells.after * scale
    centred = cells.exposure - (cells.exposure @ cells.before - before.sum()) / cells.before.sum()
    with_sales = centred * free - after * scale
    change = with_sales - free.sum() / cells.before.sum() * (centred * cells.before - before)
    return np.array(
        [with_sales, change, centred**2 * free - (2 * centred * after - after_twice) * scale]
    )


def _recentred(cells: _Cells) -> tuple[Floats, Floats]:
    """Estimate the slope that makes net changes unrelated to unexpected exposure.

    It is per ten points, and NaN if no slope does.
    """
    beta = 0.0
    for _ in range(MAX_STEPS if cells.sold else 0):
        with_sales, change, square = _unexpected(cells, beta)
        slope = float(with_sales @ cells.exposure)
        total = cells.after * np.exp(-beta * cells.exposure) @ cells.exposure**2
        if square.sum() <= 1e-10 * total or slope == 0:  # hardly any exposure is unexpected
            break
        step = float(change.sum()) / slope
        far = np.abs(cells.exposure * step).max()
        if far < 1e-10:
            return np.array([PER * beta]), PER * with_sales[:, np.newaxis] / slope
        beta += min(1.0, 2.0 / far) * step
    return np.full(1, np.nan), np.full((len(cells.before), 1), np.nan)


def leave_one_out(
    cells: _Cells, count: int, estimates: Callable[[_Cells], tuple[Floats, Floats]], level: float
) -> tuple[Floats, Floats]:
    """Leave out each of `count` clusters in turn.

    `estimates` returns values and derivatives as :func:`_terms` does.

    Returns
    -------
    scores : float64[cluster, term]
        Change of the estimate, times ``sqrt((G - 1) / G)``; 0 for clusters without sales, and NaN
        for a term that has no estimate without one of the clusters.
    half_width : float64[term]
        Distance from the estimate to either end of its interval, in standard errors.

    Notes
    -----
    The covariance is CV3: ``(G - 1) / G`` times the sum of outer products of the changes from the
    estimate with all G clusters. Normal shocks e of equal variance to the log sales of all clusters
    change the estimate by ``l'e`` and the jackknife's changes by ``A e``, with A the difference of
    l with and without each cluster. The half-width is the quantile of
    ``|l'e| / sqrt((G - 1) / G e'A'A e)``, which does not depend on that variance, but at least the
    t quantile with G - 1 degrees of freedom, so that the model of equal variances only widens
    intervals: little for equal clusters, much for a few exposed ones among many. Beyond `EXACT`
    clusters it is the t quantile with the degrees of freedom of
    :func:`fewtreated.jackknife.effective`.

    References
    ----------
    MacKinnon, J. G., Nielsen, M. O. and Webb, M. D. (2023), Fast and reliable jackknife and
    bootstrap methods for cluster-robust inference, Journal of Applied Econometrics 38, 671-694.
    Bell, R. M. and McCaffrey, D. F. (2002), Bias reduction in standard errors for linear regression
    with multi-stage samples, Survey Methodology 28, 169-181, for quantiles under a working model;
    they match two moments, which overstates them where one cluster dominates.
    """
    value, gradient = estimates(cells)
    selling = np.unique(cells.cluster[cells.before + cells.after > 0])
    scores = np.zeros((count, len(value)))
    full = sum_by(gradient, cells.cluster, count)[selling]
    exact = len(selling) <= EXACT
    gradients = np.full((len(selling) * exact, *full.shape), np.nan)
    for row, cluster in enumerate(selling):
        rest = cells.at(cells.cluster != cluster)
        scores[cluster] = np.nan
        try:
            without, gradient = estimates(rest)
        except DesignError:  # it depends on this cluster alone, so it has no standard error
            continue
        scores[cluster] = jackknife.scores(value - without, len(selling))
        if exact:
            gradients[row] = sum_by(gradient, rest.cluster, count)[selling]
    scores[:, np.isnan(scores).any(axis=0)] = np.nan
    df = np.full(len(value), jackknife.most_df(len(selling)))
    if exact:
        return scores, _quantiles(full, gradients, level, df)
    df = np.minimum(effective((scores**2).sum(axis=0), (scores**4).sum(axis=0)), df)
    return scores, np.asarray(stats.t.ppf((1 + level) / 2, df))


def _quantiles(full: Floats, gradients: Floats, level: float, df: Ints) -> Floats:
    """Return half-widths in standard errors, float64[term]: those of t if a gradient is missing.

    `full` is the gradient with all clusters, float64[cluster, term], and `gradients` those without
    each, float64[cluster left out, cluster, term].
    """
    changes = np.moveaxis(jackknife.scores(full - gradients, len(full)), -1, 0)
    half_width = np.asarray(stats.t.ppf((1 + level) / 2, df))
    for term in np.flatnonzero(np.isfinite(changes).all(axis=(1, 2))):
        spread = changes[term].T @ changes[term]
        half_width[term] = _quantile(full[:, term], spread, level, float(half_width[term]))
    return half_width


def _quantile(slope: Floats, spread: Floats, level: float, usual: float) -> float:
    """Solve ``P(|l'e| > c sqrt(e'Ke)) = 1 - level`` for c.

    Here e is standard normal. The result is at least `usual`.
    """
    high = usual
    while _beyond(high, slope, spread) > 1 - level:
        high *= 2
    if high == usual:
        return usual
    return float(brentq(lambda c: _beyond(c, slope, spread) - 1 + level, usual, high))


def _beyond(c: float, slope: Floats, spread: Floats) -> float:
    """Return the probability that ``(l'e)^2 - c^2 e'Ke`` is positive, for standard normal e.

    At most one eigenvalue is positive, so that one squared normal must exceed a weighted sum W of
    others: the mean of ``2 Phi(-sqrt(W))``, by Craig's integral of exp(-W / (2 sin^2)) over a
    quarter circle a product over the weights.
    """
    values = np.linalg.eigvalsh(np.outer(slope, slope) - c**2 * spread)
    if values[-1] <= 0:
        return 0.0
    weights = np.maximum(-values[:-1], 0.0) / values[-1]
    sine = np.sin(np.pi / 4 * (POINTS + 1))
    return float(WEIGHTS @ np.exp(-0.5 * np.log1p(weights[:, None] / sine**2).sum(axis=0))) / 2
