"""Errors by leaving out one cluster at a time, and how many of them an interval reaches where few clusters decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from analysis.errors import DesignError
from analysis.exposure.equations import Units, sum_by
from analysis.inference import Floats

Estimates = Callable[[Units], tuple[Floats, Floats]]

EXACT = 500  # clusters; the eigenvalues behind the exact quantile take the cube of their number
POINTS, WEIGHTS = np.polynomial.legendre.leggauss(64)  # of a smooth integral over angles; more points change nothing


@dataclass(frozen=True, eq=False)
class Jackknife:
    """What leaving out each cluster did to the terms.

    Attributes
    ----------
    moved : float64[cluster, term]
        Change of the estimate, times ``sqrt((G - 1) / G)``, so that ``moved.T @ moved`` is their covariance; 0 for
        clusters that sold nothing here, and NaN for a term that has no estimate without one of the clusters.
    reach : float64[term]
        Errors from the estimate to either end of its interval.
    """

    moved: Floats
    reach: Floats


def leave_one_out(part: Units, count: int, estimates: Estimates, level: float) -> Jackknife:
    """Estimate again without each cluster.

    Parameters
    ----------
    part : Units
        With clusters coded from 0 to ``count - 1``; some may be absent.
    count : int
    estimates : function of Units
        Returns values float64[term] and their derivatives by each unit's log sales after, float64[unit, term].
    level : float
        Coverage of intervals.

    Notes
    -----
    The covariance is CV3: ``(G - 1) / G`` times the sum of outer products of the changes from the estimate with all G
    clusters. Normal shocks e of equal variance to the log sales of all clusters would move the estimate by ``l'e`` and
    the changes by ``A e``, A being the difference of l with and without each cluster. The reach is the quantile of
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
    known, reach = ~np.isnan(moved).any(axis=0), np.full(len(value), np.nan)
    usual = stats.t.ppf((1 + level) / 2, len(there) - 1)
    for i in np.flatnonzero(known):
        own = _quantile(full[:, i], change[i].T @ change[i], level) if exact else _effective(full[:, i], level)
        reach[i] = max(usual, own)
    return Jackknife(moved, reach)


def _effective(slope: Floats, level: float) -> float:
    number = (slope**2).sum() ** 2 / (slope**4).sum()
    return float(stats.t.ppf((1 + level) / 2, max(number - 1, 1)))


def _quantile(slope: Floats, spread: Floats, level: float) -> float:
    """Return c with ``P(|l'e| > c sqrt(e'Ke)) = 1 - level`` for standard normal e."""
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
