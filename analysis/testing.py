"""Families of hypotheses: p-values that hold for all of them together."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from analysis.errors import DesignError
from analysis.inference import Floats, whole_number


def romano_wolf(
    estimates: Floats,
    *,
    covariance: Floats | None = None,
    influence: Floats | None = None,
    draws: int = 20_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Adjust the p-values of a family of two-sided tests of zero, step by step, for their joint distribution.

    Parameters
    ----------
    estimates : float64[term]
    covariance : float64[term, term], optional
        Give this or `influence`.
    influence : float64[cluster, term], optional
        Influence values; Gaussian multipliers on them are normal with covariance ``influence.T @ influence``.
    draws, seed : int
        Of the largest absolute t statistic under no effect.

    Returns
    -------
    DataFrame
        In the order given: `t`, `p_value` (of one test, normal), `p_adjusted` (the probability of any false rejection
        in the family is at most the level at which these are read), `rank` (1 for the largest t).

    Raises
    ------
    DesignError
        If shapes disagree, or a variance is not positive.

    References
    ----------
    Romano, J. P. and Wolf, M. (2005), Exact and approximate stepdown methods for multiple hypothesis testing, JASA 100,
    94-108; (2016), Efficient computation of adjusted p-values for resampling-based stepdown multiple testing,
    Statistics and Probability Letters 113, 38-40.
    """
    if (covariance is None) == (influence is None):
        raise DesignError("a covariance or influence values were asked for; found both or neither; give one")
    estimates = np.asarray(estimates, dtype=float)
    joint = np.asarray(covariance if influence is None else np.transpose(influence) @ influence, dtype=float)
    variance = np.diag(joint) if joint.ndim == 2 else np.empty(0)
    if estimates.ndim != 1 or joint.shape != (len(estimates),) * 2 or not (variance > 0).all() or not len(estimates):
        raise DesignError(
            f"estimates[term] with a covariance of positive variances were asked for; found shapes {estimates.shape} "
            f"and {joint.shape}, variances {variance.tolist()}; leave out terms that cannot be estimated"
        )
    error = np.sqrt(variance)
    t = np.abs(estimates / error)
    values, vectors = np.linalg.eigh(joint / np.outer(error, error))
    root = vectors * np.sqrt(np.clip(values, 0, None))
    size = np.abs(np.random.default_rng(seed).standard_normal((whole_number("draws", draws), len(t))) @ root.T)
    order = np.argsort(-t, kind="stable")
    largest = np.maximum.accumulate(size[:, order[::-1]], axis=1)[:, ::-1]  # of each term and those after it
    steps = (1 + (largest >= t[order]).sum(axis=0)) / (1 + draws)
    adjusted, rank = np.empty(len(t)), np.empty(len(t), dtype=np.int64)
    adjusted[order], rank[order] = np.maximum.accumulate(steps), np.arange(1, len(t) + 1)
    return pd.DataFrame({"t": estimates / error, "p_value": 2 * stats.norm.sf(t), "p_adjusted": adjusted, "rank": rank})
