"""Spillovers on units that are not closed themselves, by their exposure to those that are, on the ratio scale.

Two periods, before and after, are sums over months, so zeros are values like any other. Given the total of a unit, its
second sum is binomial in the Poisson model with unit and period effects: the unit effects drop out, and a few Newton
steps give the coefficients of the whole panel's Poisson regression, months included. Units of one cluster that are
exposed alike count as one, for no equation can tell them apart: so a million firms in fifty categories are fifty rows.
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

from analysis.errors import DataError, DesignError
from analysis.estimate import Estimate, Floats, Ints, Labels
from analysis.estimators.arrays import refuse_other_order, sum_by
from analysis.testing import TIE, check_level

__all__ = ["exposure_effects"]
__dir__ = __all__.copy

BINS = (0.02, 0.05, 0.10, 0.20)  # edges between exposure bins, shares of the category's sales
PER = 0.10  # exposure of one step of a slope: ten percentage points
MAX_STEPS = 60
EXACT = 500  # clusters; the eigenvalues behind the exact quantile take the cube of their number
POINTS, WEIGHTS = np.polynomial.legendre.leggauss(64)  # of a smooth integral over angles; more points change nothing


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
    """Estimate how the change in sales of units that are not closed varies with their exposure.

    A coefficient for each exposure bin against the lowest, the slope per ten points of exposure, and the effect that
    this slope implies on average over the exposures there are. All are Poisson coefficients with unit and period
    effects. An effect common to all exposures is in none of them.

    Parameters
    ----------
    before, after : float64[unit]
        Sales of units that are not closed, in the two periods to compare; zero is a value, NaN drops the unit.
    exposure : float64[unit]
        Share of the unit's category that closed rivals held; NaN drops the unit.
    bins : sequence of float
        Rising edges between bins; a bin holds its lower edge. None, no bins.
    category : sequence, optional
        Cluster of each unit; each unit its own where not given. Every cluster is left out once, so that thousands of
        them take minutes.
    covariates : mapping of str to float64[unit], optional
        Further exposures in the same equations, such as risk, each with a slope per unit of its own.
    expected : float64[unit], optional
        Exposure to expect of each unit, had closures been drawn anew while it stays open. With it comes the recentred
        slope, whose validity rests on the way of drawing alone. No covariates then.
    redrawn : iterable of float64[unit], optional
        Exposures under re-drawn closures, one array a draw, NaN where the unit is itself closed in it; read twice.
        They give randomisation p-values of the two slopes, and what is expected where it is not given: their mean.
    level : float
        Coverage of intervals.

    Returns
    -------
    Estimate
        Log points. Terms such as ``"5 to 10 %"``, ``"slope"``, ``"average"``, ``"recentred slope"``. Errors and
        `influence` are those of leaving out each cluster. Further columns: `clusters` behind the row; `half_width`,
        errors from the estimate to either end of its interval; `p_value`, the share of draws (the actual one among
        them) whose t statistic (with sandwich errors; of the recentred equation at no effect, where there need be no
        solution) is at least as far from zero, and `smallest_p`, the smallest it can be. ``details``:
        ``statistics``, t by term and draw, the actual one first; ``expected`` exposure, float64[unit used].

    Raises
    ------
    DataError
        If sales are negative or not finite, or an exposure is no share.
    DesignError
        If shapes disagree, bins do not rise, fewer than two units have known sales and an exposure, or exposure does
        not vary.

    Notes
    -----
    The recentred slope b sets the sum of ``(E - mean E) (y_after exp(-b E) - c y_before)`` to zero, with c from the sum
    of the second factor. Where exposure multiplies sales by exp(b E), that factor holds what would have been without
    it: only E is random, and its mean over the draws is taken off, so that no trend of a category enters. Errors take
    mean E as known. Draws without a slope count as further from zero.

    Errors and intervals are those of :func:`leave_one_out`: exposure is shared within a category and high in few, so
    that an estimate from forty categories may rest on four. Where one of them decides alone there is no error.

    Who could be closed was selling at the time. Give only units that were selling just before the closures and a year
    earlier: newcomers and leavers are all among those not closed, and weigh more where more was closed, which raises
    the slope without any effect.

    References
    ----------
    Borusyak, K. and Hull, P. (2023), Nonrandom exposure to exogenous shocks, Econometrica 91, 2155-2185. MacKinnon,
    J. G. and Webb, M. D. (2020), Randomization inference for difference-in-differences with few treated clusters,
    Journal of Econometrics 218, 435-450, for the t statistic.
    """
    check_level(level)
    others, edges = dict(covariates or {}), np.asarray(bins, dtype=float)
    refuse_other_order(before=before, after=after, exposure=exposure, category=category, expected=expected, **others)
    before, after, exposure = (np.asarray(values, dtype=float) for values in (before, after, exposure))
    _refuse_wrong(before, after, exposure, edges)
    recentre = expected is not None or redrawn is not None
    if others and recentre:
        raise DesignError(
            f"covariates beside re-drawn exposures were asked for; found {list(others)}, and the draws are of exposure "
            "alone; give one of the two"
        )
    units, used, counts = _units(before, after, exposure, category, others)
    names = [f"{100 * low:g} to {100 * high:g} %" for low, high in pairwise(edges)]
    names += [*(f"above {100 * edge:g} %" for edge in edges[-1:]), "slope", "average", *others]
    names += ["recentred slope"] * recentre
    usual, statistics = np.zeros(len(used)) if expected is None else np.asarray(expected, dtype=float)[used], {}
    if redrawn is not None:
        usual = _expected(units.exposure, redrawn, used) if expected is None else usual
        statistics = _statistics(units, usual, redrawn, used)
    cells, terms = units.cells(usual), partial(_terms, edges=edges, recentre=recentre)
    value = terms(cells)[0]
    moved, half = leave_one_out(cells, counts["clusters"], terms, level)
    n, clusters = np.full(len(names), len(used)), np.full(len(names), counts["clusters"])
    behind = pd.Series(units.cluster).groupby(np.digitize(units.exposure, edges)).agg(["size", "nunique"])
    behind = behind.reindex(range(len(edges) + 1), fill_value=0)
    n[: len(edges)] = behind["size"][1:]
    clusters[: len(edges)] = np.minimum(behind["nunique"][1:], behind["nunique"][0])  # a bin is held against the lowest
    moved[:, (clusters < 2) | np.isnan(value)] = np.nan
    error = np.sqrt((moved**2).sum(axis=0))
    half[np.isnan(error)] = np.nan
    p_value, smallest_p = np.full((2, len(names)), np.nan)
    for name, t in statistics.items():
        place, size = names.index(name), np.abs(t)
        if clusters[place] > 1:
            p_value[place], smallest_p[place] = (size >= size[0] * (1 - TIE)).mean(), 1 / len(size)
    lost = ", ".join(name for name, missing in zip(names, np.isnan(error), strict=True) if missing)
    why = "one cluster, no sales before or after, or no solution, with all clusters or without one of them"
    return Estimate(
        estimand="effect of exposure on units that are not closed",
        unit="log points",
        terms=tuple(names),
        value=value,
        scores=moved,
        limits=np.array([value - half * error, value + half * error]),
        n=n,
        level=level,
        interval="confidence interval, leave-one-cluster-out jackknife, as many errors wide as `half_width` says",
        columns={"clusters": clusters, "half_width": half, "p_value": p_value, "smallest_p": smallest_p},
        counts=counts,
        reason=f"no error for {lost}: {why}" if lost else "",
        details={"statistics": statistics, "expected": usual},
    )


@dataclass(frozen=True, eq=False)
class _Cells:
    """Units, or sums of units that are exposed alike, each an array [cell].

    `expected` is the sum of sales before, after, and of sales after times expected exposure once more, each weighted by
    what exposure was expected: float64[cell, 3]. `covariates` is [cell, covariate].
    """

    before: Floats
    after: Floats
    exposure: Floats
    covariates: Floats
    cluster: Ints
    expected: Floats

    def at(self, rows: npt.NDArray[Any]) -> _Cells:
        """Return some of them."""
        return replace(self, **{name: values[rows] for name, values in vars(self).items()})

    @property
    def sold(self) -> bool:
        """Whether anything was sold before, and after."""
        return bool(self.before.sum() > 0 and self.after.sum() > 0)

    def cells(self, expected: Floats) -> _Cells:
        """Add up units of one cluster that are exposed alike; covariates tell every unit apart."""
        weighted = expected[:, np.newaxis] * np.column_stack([self.before, self.after, self.after * expected])
        if self.covariates.size:
            return replace(self, expected=weighted)
        level, values = pd.factorize(self.exposure)
        key, code = np.unique(self.cluster * len(values) + level, return_inverse=True)
        sums = sum_by(np.column_stack([self.before, self.after, weighted]), code, len(key))
        return _Cells(
            before=sums[:, 0],
            after=sums[:, 1],
            exposure=values[key % len(values)],
            covariates=np.empty((len(key), 0)),
            cluster=key // len(values),
            expected=sums[:, 2:],
        )


def _expected(actual: Floats, redrawn: Iterable[Floats], used: Ints) -> Floats:
    """Return the mean exposure of each unit over the draws and what happened, where it is not closed itself."""
    total, known = actual.copy(), np.ones(len(actual))
    for drawn in redrawn:
        there = ~np.isnan(drawn[used])
        total[there] += drawn[used][there]
        known += there
    return total / known


def _statistics(units: _Cells, expected: Floats, redrawn: Iterable[Floats], used: Ints) -> dict[str, Floats]:
    """Return t of both slopes, what happened first, then each draw."""
    found = []
    for exposure in chain([units.exposure], (drawn[used] for drawn in redrawn)):
        there = np.isfinite(exposure)
        found.append(_t_statistics(replace(units, exposure=exposure).at(there).cells(expected[there])))
    plain, recentred = np.array(found).T
    return {"slope": plain, "recentred slope": recentred}


def _t_statistics(part: _Cells) -> tuple[float, float]:
    """Return t of the slope, inf where there is none, and of the recentred equation at no effect."""
    try:
        slope, influence, _ = _poisson(part, part.exposure[:, np.newaxis])
    except DesignError:  # it counts as further from zero than the actual one, and can only raise the p-value
        return np.inf, np.inf
    error = np.linalg.norm(np.bincount(part.cluster, weights=influence[:, 0]))
    scores = np.bincount(part.cluster, weights=_unexpected(part, 0.0)[1])
    spread = np.linalg.norm(scores)
    return float(slope[0] / error) if error > 0 else np.inf, float(scores.sum() / spread) if spread > 0 else 0.0


def _refuse_wrong(before: Floats, after: Floats, exposure: Floats, edges: Floats) -> None:
    """Refuse sales and exposures that cannot be what they are said to be, and edges in another order."""
    if before.ndim != 1 or not before.shape == after.shape == exposure.shape:
        raise DesignError(
            "sales before and after and an exposure of each unit were asked for; found shapes "
            f"{before.shape}, {after.shape} and {exposure.shape}; give equal lengths"
        )
    for name, sales in (("before", before), ("after", after)):
        if (wrong := (sales < 0) | np.isinf(sales)).any():
            raise DataError(
                f"sales {name} of 0 or more were asked for; found {sales[wrong][0]:g} and {wrong.sum() - 1:,} more "
                "that are not; correct them, or leave them missing"
            )
    if (wrong := (exposure < -TIE) | (exposure > 1 + TIE)).any():
        raise DataError(
            f"exposure as a share, from 0 to 1, was asked for; found {exposure[wrong][0]:g} and {wrong.sum() - 1:,} "
            "more that are none; divide per cent by 100, or leave such units out"
        )
    if edges.ndim != 1 or not (np.diff(edges) > 0).all() or not ((edges > 0) & (edges < 1)).all():
        raise DesignError(
            f"rising edges between bins, shares above 0 and below 1, were asked for; found {edges.tolist()}; sort "
            "them, each once"
        )


def _units(
    before: Floats, after: Floats, exposure: Floats, category: Labels | None, covariates: Mapping[str, Floats]
) -> tuple[_Cells, Ints, dict[str, int]]:
    """Return the units with known sales and exposures, their rows, and counts."""
    others = np.column_stack([np.asarray(values, dtype=float) for values in (exposure, *covariates.values())])
    label = np.arange(len(others)) if category is None else np.asarray(category)
    unseen, unknown = np.isnan(before + after), np.isnan(others).any(axis=1)
    used = np.flatnonzero(~unseen & ~unknown)
    if len(used) < 2:
        raise DesignError(
            f"effects of exposure were asked for; {len(used)} of {len(others)} units have sales in all months and an "
            "exposure; choose months that are known"
        )
    code, clusters = pd.factorize(label[used], sort=True)
    units = _Cells(before[used], after[used], others[used, 0], others[used, 1:], code, np.zeros((len(used), 3)))
    counts = {
        "units": len(used),
        "dropped_missing": int(unseen.sum()),
        "dropped_exposure": int((unknown & ~unseen).sum()),
        "clusters": len(clusters),
    }
    return units, used, counts


def _terms(part: _Cells, *, edges: Floats, recentre: bool) -> tuple[Floats, Floats]:
    """Estimate every bin above the lowest, the slope, the average, slopes of covariates, and the recentred slope.

    Returns float64[term] and the derivative by each cell's log sales after, float64[cell, term]; NaN where there is no
    estimate.
    """
    found = [_bins(part, edges), _slopes(part)]
    if recentre:
        found.append(_recentred(part))
    values, gradients = zip(*found, strict=True)
    return np.concatenate(values), np.hstack(gradients)


def _bins(part: _Cells, edges: Floats) -> tuple[Floats, Floats]:
    """Coefficients of the bins above the lowest; NaN where it or the lowest sold nothing before or after."""
    place = np.digitize(part.exposure, edges)
    sold = sum_by(np.column_stack([part.before, part.after]), place, len(edges) + 1).min(axis=1) > 0
    kept = np.flatnonzero(sold & sold[0])[1:]
    value, gradient = np.full(len(edges), np.nan), np.full((len(place), len(edges)), np.nan)
    if len(kept):
        dummies = np.hstack([(place[:, None] == kept).astype(float), part.covariates])
        coefficients, _, moved = _poisson(part.at(sold[place]), dummies[sold[place]])
        value[kept - 1], gradient[:, kept - 1] = coefficients[: len(kept)], 0.0
        gradient[np.ix_(sold[place], kept - 1)] = moved[:, : len(kept)]
    return value, gradient


def _slopes(part: _Cells) -> tuple[Floats, Floats]:
    """Slope per ten points, average effect, and slopes of covariates per unit."""
    slope, _, moved = _poisson(part, np.column_stack([part.exposure, part.covariates]))
    free = part.after * np.exp(-slope[0] * part.exposure)  # sales after, had there been no exposure
    average = np.log(part.after.sum() / free.sum())
    shift = part.after / part.after.sum() - free / free.sum() + moved[:, 0] * (free @ part.exposure) / free.sum()
    value = np.array([PER * slope[0], average, *slope[1:]])
    return value, np.column_stack([PER * moved[:, 0], shift, moved[:, 1:]])


def _poisson(part: _Cells, x: Floats) -> tuple[Floats, Floats, Floats]:
    """Poisson coefficients of `x` in the second period, with unit and period effects.

    Returns float64[regressor], the influence of each cell, and the derivative by its log sales after, both
    float64[cell, regressor].
    """
    total, beta = part.before + part.after, np.zeros(x.shape[1])
    level = np.log(part.after.sum() / part.before.sum()) if part.sold else np.nan
    for _ in range(MAX_STEPS if part.sold else 0):
        share = expit(level + x @ beta)
        weight, residual = total * share * (1 - share), part.after - total * share
        centred = x - weight @ x / weight.sum()
        bread, raw = (centred * weight[:, None]).T @ centred, np.diag((x * weight[:, None]).T @ x)
        size = np.sqrt(np.diag(bread))
        if (np.diag(bread) <= 1e-10 * raw).any() or np.linalg.cond(bread / np.outer(size, size)) > 1e12:
            break  # the exposures hardly vary, or move together
        move = np.linalg.solve(bread, centred.T @ residual)
        rise = residual.sum() / weight.sum() + (centred - x)[0] @ move
        far = np.abs(rise + x @ move).max()
        if far < 1e-10:
            influence = np.linalg.solve(bread, (centred * residual[:, None]).T).T
            return beta, influence, np.linalg.solve(bread, (centred * (part.after * (1 - share))[:, None]).T).T
        damping = min(1.0, 2.0 / far)  # a few units hold most sales, and full steps may overshoot
        beta, level = beta + damping * move, level + damping * rise
    raise DesignError(
        f"effects of exposure were asked for; the equations of {len(x)} units have no "
        "single finite solution: exposure does not vary, varies together with another, or decides who "
        "sold before and after; use fewer exposures"
    )


def _unexpected(part: _Cells, beta: float) -> Floats:
    """Return, by cell, unexpected exposure times sales after net of `beta`, times their change, and squared times them.

    Unexpected is exposure less what was expected of each unit, and less its mean weighted by sales before.
    """
    held, first, second = part.expected.T
    scale = np.exp(-beta * part.exposure)
    free, off = part.after * scale, part.exposure - (part.exposure @ part.before - held.sum()) / part.before.sum()
    with_sales = off * free - first * scale
    change = with_sales - free.sum() / part.before.sum() * (off * part.before - held)
    return np.array([with_sales, change, off**2 * free - (2 * off * first - second) * scale])


def _recentred(part: _Cells) -> tuple[Floats, Floats]:
    """Slope per ten points that makes the change net of it unrelated to unexpected exposure; NaN: there is none."""
    beta = 0.0
    for _ in range(MAX_STEPS if part.sold else 0):
        with_sales, change, square = _unexpected(part, beta)
        slope, seen = float(with_sales @ part.exposure), part.after * np.exp(-beta * part.exposure) @ part.exposure**2
        if square.sum() <= 1e-10 * seen or slope == 0:  # too little that was not expected
            break
        move = float(change.sum()) / slope
        far = np.abs(part.exposure * move).max()
        if far < 1e-10:
            return np.array([PER * beta]), PER * with_sales[:, np.newaxis] / slope
        beta += min(1.0, 2.0 / far) * move
    return np.full(1, np.nan), np.full((len(part.before), 1), np.nan)


def leave_one_out(
    part: _Cells, count: int, estimates: Callable[[_Cells], tuple[Floats, Floats]], level: float
) -> tuple[Floats, Floats]:
    """Estimate again without each of `count` clusters; `estimates` returns values and derivatives as :func:`_terms`.

    Returns
    -------
    moved : float64[cluster, term]
        Change of the estimate, times ``sqrt((G - 1) / G)``, so that ``moved.T @ moved`` is their covariance; 0 for
        clusters that sold nothing here, and NaN for a term that has no estimate without one of the clusters.
    half_width : float64[term]
        Errors from the estimate to either end of its interval.

    Notes
    -----
    The covariance is CV3: ``(G - 1) / G`` times the sum of outer products of the changes from the estimate with all G
    clusters. Normal shocks e of equal variance to the log sales of all clusters would move the estimate by ``l'e`` and
    the changes by ``A e``, A being the difference of l with and without each cluster. The half-width is the quantile of
    ``|l'e| / sqrt((G - 1) / G e'A'A e)``, whatever that variance is, but at least the usual t quantile with G - 1
    degrees of freedom, so that the model of equal variances only ever widens intervals. Equal clusters reach little
    further than that; a few exposed clusters among many do, as there are few in truth. Beyond `EXACT` clusters their
    effective number ``(sum l^2)^2 / sum l^4`` stands in: the t quantile with one degree of freedom less.

    References
    ----------
    MacKinnon, J. G., Nielsen, M. O. and Webb, M. D. (2023), Fast and reliable jackknife and bootstrap methods for
    cluster-robust inference, Journal of Applied Econometrics 38, 671-694. Carter, A. V.,
    Schnepel, K. T. and Steigerwald, D. G. (2017), Asymptotic behavior of a t-test robust to cluster heterogeneity,
    Review of Economics and Statistics 99, 698-709, for the effective number. Bell, R. M. and McCaffrey, D. F. (2002),
    Bias reduction in standard errors for linear regression with multi-stage samples, Survey Methodology 28, 169-181,
    for quantiles under a working model; they match two moments, which overstates them where one cluster dominates.
    """
    value, gradient = estimates(part)
    there = np.unique(part.cluster[part.before + part.after > 0])
    factor = np.sqrt((len(there) - 1) / len(there))
    moved = np.zeros((count, len(value)))
    full = sum_by(gradient, part.cluster, count)[there]
    exact = len(there) <= EXACT
    change = np.full((len(value), len(there), len(there)), np.nan) if exact else np.empty(0)
    for row, cluster in enumerate(there):
        kept = part.at(part.cluster != cluster)
        moved[cluster] = np.nan
        try:
            without, left = estimates(kept)
        except DesignError:  # the estimate rests on this one cluster: it has no error
            continue
        moved[cluster] = factor * (value - without)
        if exact:
            change[:, row] = factor * (full - sum_by(left, kept.cluster, count)[there]).T
    moved[:, np.isnan(moved).any(axis=0)] = np.nan
    half = np.full(len(value), np.nan)
    usual = float(stats.t.ppf((1 + level) / 2, len(there) - 1))
    for i in np.flatnonzero(~np.isnan(moved).any(axis=0)):
        own = _quantile(full[:, i], change[i].T @ change[i], level, usual) if exact else _effective(full[:, i], level)
        half[i] = max(usual, own)
    return moved, half


def _effective(slope: Floats, level: float) -> float:
    number = (slope**2).sum() ** 2 / (slope**4).sum()
    return float(stats.t.ppf((1 + level) / 2, max(number - 1, 1)))


def _quantile(slope: Floats, spread: Floats, level: float, usual: float) -> float:
    """Return c with ``P(|l'e| > c sqrt(e'Ke)) = 1 - level`` for standard normal e, or `usual` where that is larger."""
    if _beyond(usual, slope, spread) <= 1 - level:
        return usual
    high = 2.0
    while _beyond(high, slope, spread) > 1 - level:
        high *= 2
    return float(brentq(lambda c: _beyond(c, slope, spread) - (1 - level), 0.1, high, xtol=1e-6))


def _beyond(c: float, slope: Floats, spread: Floats) -> float:
    """Probability that ``(l'e)^2 - c^2 e'Ke`` is positive: of one squared normal above a weighted sum of others.

    At most one eigenvalue is positive, so that this is the mean of ``2 Phi(-sqrt(W))`` over the weighted sum W of
    squares; with Craig's integral of exp(-W / (2 sin^2)) for the former, a product over weights on a quarter circle.
    """
    values = np.linalg.eigvalsh(np.outer(slope, slope) - c**2 * spread)
    if values[-1] <= 0:  # no shocks whatever reach so far
        return 0.0
    weights = np.maximum(-values[:-1], 0.0) / values[-1]
    sine = np.sin(np.pi / 4 * (POINTS + 1))
    return float(WEIGHTS @ np.exp(-0.5 * np.log1p(weights[:, None] / sine**2).sum(axis=0))) / 2
