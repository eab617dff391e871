"""What estimates are worth: sign and size errors, families of hypotheses, intervals of ratios."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from analysis.errors import DesignError
from analysis.inference import Floats, whole_number


def share_between(name: str, value: float, low: float = 0.0) -> None:
    """Refuse a share outside (low, 1)."""
    if not low < value < 1:
        raise DesignError(f"a {name} between {low:g} and 1 was asked for; found {value}; give a share, such as 0.9")


class DesignAnalysis(NamedTuple):
    """What significance would mean if the effect were as assumed: three numbers of :func:`type_s_m`."""

    power: float
    type_s: float
    exaggeration: float


def type_s_m(effect: float, std_error: float, level: float = 0.95) -> DesignAnalysis:
    """Return power, sign error and exaggeration of a two-sided test, in closed form.

    Parameters
    ----------
    effect, std_error : float
        An effect thought plausible before the data, and the error of the study's estimate, in one unit.
    level : float
        One minus the size of the test.

    Returns
    -------
    DesignAnalysis
        `power`; `type_s`, the probability that a significant estimate has the wrong sign; `exaggeration`, the
        expected size of a significant estimate over that of the effect.

    Raises
    ------
    DesignError
        If the effect is zero (it has no sign to miss) or not finite, the error not positive, or the level no share.

    References
    ----------
    Gelman, A. and Carlin, J. (2014), Beyond power calculations, Perspectives on Psychological Science 9, 641-651. Lu,
    J., Qiu, Y. and Deng, A. (2019), A note on Type S/M errors in hypothesis testing, British Journal of Mathematical
    and Statistical Psychology 72, 1-17, for the closed form.
    """
    share_between("level", level, 0.5)
    if not np.isfinite(effect) or effect == 0 or not 0 < std_error < np.inf:
        raise DesignError(
            f"an effect other than 0 and a positive error were asked for; found {effect} and {std_error}; give the "
            "effect that is thought plausible"
        )
    z, signal = stats.norm.ppf((1 + level) / 2), abs(effect) / std_error
    right, wrong = stats.norm.cdf(signal - z), stats.norm.cdf(-signal - z)
    power = right + wrong
    size = stats.norm.pdf(z - signal) + stats.norm.pdf(z + signal) + signal * (right - wrong)
    return DesignAnalysis(float(power), float(wrong / power), float(size / (signal * power)))


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


@dataclass(frozen=True)
class RatioInterval:
    """A confidence set of a ratio.

    Attributes
    ----------
    estimate : float
    low, high : float
        ``bounded``: the set is [low, high], one of which may be infinite. ``disjoint``: it is everything outside
        (low, high). ``unbounded``: it is every number, and these are infinite.
    kind : {"bounded", "disjoint", "unbounded"}
    level : float
    """

    estimate: float
    low: float
    high: float
    kind: Literal["bounded", "disjoint", "unbounded"]
    level: float

    def __contains__(self, ratio: float) -> bool:
        """Say whether a ratio is in the set."""
        return not self.low < ratio < self.high if self.kind == "disjoint" else self.low <= ratio <= self.high

    def __str__(self) -> str:
        """Say the set in words."""
        share = f"{100 * self.level:g} % set"
        if self.kind == "unbounded":
            return f"{share}: every number; the denominator may be zero, and the data say nothing about the ratio"
        if self.kind == "disjoint":
            return (
                f"{share}: at most {self.low:.3g} or at least {self.high:.3g}; the denominator may be zero, and "
                "the data exclude only what lies between"
            )
        return f"{share}: {self.low:.3g} to {self.high:.3g}"


def fieller(numerator: float, denominator: float, covariance: Floats, level: float = 0.95) -> RatioInterval:
    """Return the ratios r for which numerator - r denominator is not significantly different from zero.

    Parameters
    ----------
    numerator, denominator : float
        Two estimates, jointly normal.
    covariance : float64[2, 2]
        Of the two, in this order.
    level : float
        Coverage, which holds whatever the denominator is.

    Returns
    -------
    RatioInterval
        Bounded when the denominator differs significantly from zero; otherwise no bounded set can cover.

    Raises
    ------
    DesignError
        If the covariance is none, the denominator is zero without error, or the level is no share.

    References
    ----------
    Fieller, E. C. (1954), Some problems in interval estimation, Journal of the Royal Statistical Society B 16, 175-185.
    """
    share_between("level", level, 0.5)
    v = np.asarray(covariance, dtype=float)
    if v.shape != (2, 2) or not np.isfinite([numerator, denominator, *v.ravel()]).all() or not _is_covariance(v):
        raise DesignError(
            f"two finite estimates and their 2 x 2 covariance were asked for; found {numerator}, {denominator} and "
            f"{v.tolist()}; it must be symmetric, and its eigenvalues at least 0"
        )
    if denominator == 0 and v[1, 1] == 0:
        raise DesignError("a ratio was asked for; its denominator is exactly zero, without error; there is no ratio")
    z2 = stats.norm.ppf((1 + level) / 2) ** 2
    # numerator - r denominator is insignificant where square r^2 - 2 cross r + constant <= 0
    square, cross, constant = (
        denominator**2 - z2 * v[1, 1],
        numerator * denominator - z2 * v[0, 1],
        numerator**2 - z2 * v[0, 0],
    )
    estimate = numerator / denominator if denominator else np.nan
    inside = cross**2 - square * constant
    if square > 0:
        reach = np.sqrt(max(inside, 0.0))  # not negative but for rounding: the estimate is in the set
        return RatioInterval(estimate, (cross - reach) / square, (cross + reach) / square, "bounded", level)
    if square < 0 < inside:
        reach = np.sqrt(inside)
        return RatioInterval(estimate, (cross + reach) / square, (cross - reach) / square, "disjoint", level)
    if square == 0 and cross != 0:
        edge = constant / (2 * cross)
        low, high = (edge, np.inf) if cross > 0 else (-np.inf, edge)
        return RatioInterval(estimate, low, high, "bounded", level)
    return RatioInterval(estimate, -np.inf, np.inf, "unbounded", level)


def _is_covariance(v: Floats) -> bool:
    return bool(np.allclose(v, v.T) and (np.linalg.eigvalsh(v) >= -1e-9 * np.abs(v).max()).all())
