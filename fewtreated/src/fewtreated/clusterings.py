"""Cluster standard errors in two ways at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from fewtreated.errors import DesignError
from fewtreated.estimate import Estimate, Floats

__dir__ = ["combined", "with_pairs"].copy  # for tab completion

Codes = npt.NDArray[Any]
AnEstimate = TypeVar("AnEstimate", bound=Estimate)


def with_pairs(clusters: Mapping[str, Codes]) -> dict[str, Codes]:
    """Add to two kinds of cluster the pairs of them in which units are.

    Parameters
    ----------
    clusters : mapping of str to array[unit]
        Clusters of each unit by kind. One kind is returned as it is.

    Raises
    ------
    DesignError
        If there are more than two.
    """
    if len(clusters) > 2:
        raise DesignError(
            f"Cannot cluster in {len(clusters)} ways, by {', '.join(clusters)}: the method is for"
            " two; pass one or two columns"
        )
    if len(clusters) < 2:
        return dict(clusters)
    one, other = (pd.factorize(cluster)[0] for cluster in clusters.values())
    pairs = pd.factorize(one * (other.max() + 1) + other)[0]
    return {**clusters, " and by ".join(clusters): pairs}


def combined(found: Mapping[str, AnEstimate]) -> AnEstimate:
    """Combine an estimate with errors by each of :func:`with_pairs`, and name the clusters.

    For two kinds b and c the covariance is ``V_b + V_c - V_bc``, the last with each pair of
    clusters as one cluster: shocks to units of the same b count, and those to units of the same c,
    and neither twice. If it is not positive semidefinite, negative eigenvalues are set to zero; no
    variance is smaller than by either kind alone. Degrees of freedom are the fewer of both, term by
    term. Scores are kept of the first kind, whichever is larger, so that those of several estimates
    go together; they tell how estimates vary with each other, and not by how much. Details are kept
    of the kind with the larger variances.

    Parameters
    ----------
    found : mapping of str to Estimate
        Estimates of the same terms by kind of cluster; one, or two and last that of pairs.

    References
    ----------
    Cameron, A. C., Gelbach, J. B. and Miller, D. L. (2011), Robust inference with multiway
    clustering, Journal of Business and Economic Statistics 29, 238-249. MacKinnon, J. G., Nielsen,
    M. O. and Webb, M. D. (2024), Jackknife inference with two-way clustering, arXiv 2406.08880, for
    the larger of the variances.
    """
    name = list(found)[-1]
    one, *others = found.values()
    interval = one.interval + f", errors clustered by {name}" * bool(name)
    if not others:
        return replace(one, interval=interval)
    other, both = others
    larger = np.fmax(np.diag(one.covariance), np.diag(other.covariance))
    wider = max(one, other, key=lambda each: np.nansum(np.diag(each.covariance)))
    return replace(
        one,
        details=wider.details,
        covariance=_nearest(one.covariance + other.covariance - both.covariance, larger),
        max_df=np.fmin(one.df, other.df),
        max_joint_df=min(one.joint_df, other.joint_df),
        counts={name: min(count, other.counts[name]) for name, count in one.counts.items()},
        interval=interval,
    )


def _nearest(covariance: Floats, least: Floats) -> Floats:
    """Return the nearest covariance whose variances are at least `least`, float64[term].

    Terms without a variance stay NaN.
    """
    known = np.flatnonzero(np.isfinite(least) & np.isfinite(np.diag(covariance)))
    values, vectors = np.linalg.eigh(covariance[np.ix_(known, known)])
    nearest = (vectors * np.clip(values, 0, None)) @ vectors.T
    variance = np.diag(nearest)
    short = np.sqrt(np.fmax(variance, least[known]) / np.where(variance > 0, variance, np.nan))
    scale = np.where(np.isfinite(short), short, 1.0)
    result = np.full(covariance.shape, np.nan)
    result[np.ix_(known, known)] = nearest * np.outer(scale, scale)
    return result
