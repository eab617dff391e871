"""The cluster jackknife: an estimate is made again without each cluster in turn.

Every standard error from leaving out clusters has its factor and its degrees of freedom from here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__dir__ = [
    "degrees_of_freedom",
    "effective",
    "factor",
    "left_out",
    "most_df",
    "scores",
    "without",
].copy

Floats = npt.NDArray[np.float64]

# of clusters that are not fewer: an estimate nearer to one is mostly noise, and intervals explode
FEWEST_DF = 4.0
NOTHING_LEFT = 1e-9  # share of a total below which a remainder is rounding


def factor(clusters: Any) -> float:
    """Return the factor of the sum of products of changes in a covariance (CV3).

    It is ``(G - 1) / G``. Which G clusters count is for the estimator to say.
    """
    return float(1 - 1 / clusters)


def scores(changes: Floats, clusters: Any) -> Floats:
    """Scale the changes without each cluster, so that the covariance is ``scores.T @ scores``.

    References
    ----------
    MacKinnon, J. G., Nielsen, M. O. and Webb, M. D. (2023), Fast and reliable jackknife and
    bootstrap methods for cluster-robust inference, Journal of Applied Econometrics 38, 671-694.
    """
    return np.asarray(np.sqrt(factor(clusters)) * changes)


def most_df(clusters: Any) -> Any:
    """Return the most degrees of freedom that clusters leave: one less, and at least one.

    Those of a comparison are the clusters on the side that has fewer, such as those of treated
    units.
    """
    return np.maximum(clusters - 1, 1)


def without(sums: Floats, by_cluster: Floats) -> Floats:
    """Return sums without each cluster, float64[sum, cluster].

    `by_cluster` is float64[sum, cluster]. What is left by rounding is set to zero.
    """
    rest = sums[:, np.newaxis] - by_cluster
    rest[np.abs(rest) <= NOTHING_LEFT * np.abs(sums)[:, np.newaxis]] = 0.0
    return rest


def left_out(function: Callable[[Any], Any], sums: Floats, by_cluster: Floats) -> Floats:
    """Return the change in a function of sums when each cluster is left out in turn.

    The result is float64[term, cluster].

    The change is the value with all clusters minus the value without one. The result is NaN if
    nothing is left to compute it from. `function` takes the sums, [sum], and those without each
    cluster, [sum, cluster], and returns [term] and [term, cluster]; `by_cluster` is float64[sum,
    cluster].
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        change = function(sums)[:, np.newaxis] - function(without(sums, by_cluster))
    return np.where(np.isfinite(change), change, np.nan)


def effective(square: Floats, fourth: Floats, least: float = FEWEST_DF) -> Floats:
    """Estimate degrees of freedom from cluster scores, float64[term].

    They are at least `least`, and NaN if all scores are zero. For normal scores d of G clusters
    with unequal variances v, Satterthwaite's are ``(sum v)^2 / sum v^2``, less one for the mean.
    Since a normal's fourth moment is three squared variances, they are estimated by
    ``3 (sum d^2)^2 / sum d^4 - 2``, less that one: about G - 1 for equal clusters, 0 if one
    dominates. A few large firms among many reduce them, and so do a few extreme changes among equal
    firms. Since the jackknife overstates errors where one cluster dominates, intervals with the
    minimum still cover the truth as often as stated (docs/coverage.md); without it, ends of
    thousands of per cent are common.

    Parameters
    ----------
    square, fourth : float64[term]
        Sums over clusters of squared scores, and of their squares.

    References
    ----------
    Satterthwaite, F. E. (1946), An approximate distribution of estimates of variance components,
    Biometrics Bulletin 2, 110-114. Lipsitz, S. R., Ibrahim, J. G. and Parzen, M. (1999), A
    degrees-of-freedom approximation for a t-statistic with heterogeneous variance, The Statistician
    48, 495-506, for sample moments in place of known variances.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return np.asarray(np.maximum(3 * square**2 / fourth - 3, least))


def degrees_of_freedom(scores: Floats, least: float = FEWEST_DF) -> Floats:
    """Return the degrees of freedom of scores, float64[term]; `scores` are float64[cluster, term].

    They are the smaller of those of the clusters with a score and :func:`effective`, and NaN if all
    scores are zero.
    """
    clusters = np.count_nonzero(scores, axis=0)
    most = np.where(clusters > 0, most_df(clusters), np.nan)
    square = scores**2
    fourth = np.einsum("ij,ij->j", square, square)
    return np.fmin(most, effective(square.sum(axis=0), fourth, least))
