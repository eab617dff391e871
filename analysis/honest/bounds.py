"""The question that honest bounds answer, its checks, and the breakdown value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
from scipy import optimize, special

from analysis.errors import DataError, DesignError
from analysis.honest import magnitudes, smoothness
from analysis.inference import Floats

Kind = Literal["relative_magnitude", "smoothness"]
Ends = Callable[[float], tuple[float, float]]

ROUNDING = 1e-8  # asymmetry or negative eigenvalue of a covariance, relative to its largest, that is rounding
DOUBLINGS = 40  # beyond 2 ** 40 units of sensitivity a breakdown value is called infinite


@dataclass(frozen=True, eq=False)
class Bounds:
    """Intervals for an effect under violations of parallel trends of a bounded size.

    Attributes
    ----------
    rows : DataFrame
        One row per value asked for, in that order: `sensitivity`, `conf_low`, `conf_high`. Effects and, for
        ``"smoothness"``, sensitivities are in the unit of the estimates; M-bar has none.
    original : Series
        `estimate`, `std_error`, `conf_low`, `conf_high` if parallel trends hold exactly.
    breakdown : float
        Largest sensitivity at which the interval excludes zero; NaN if it never does, infinite if it always does.
    kind : str
        ``"relative_magnitude"`` or ``"smoothness"``.
    level : float
        Coverage.
    target : float64[n_post]
        Weights of the post coefficients in the effect.
    reason : str
        Why `breakdown` is not a finite number; empty when it is.
    """

    rows: pd.DataFrame
    original: pd.Series
    breakdown: float
    kind: Kind
    level: float
    target: Floats
    reason: str = ""


def honest_bounds(
    estimates: Sequence[float] | Floats,
    covariance: Sequence[Sequence[float]] | Floats,
    n_pre: int,
    n_post: int,
    *,
    kind: Kind = "relative_magnitude",
    sensitivity: float | Sequence[float] | Floats,
    target: Sequence[float] | Floats | None = None,
    level: float = 0.95,
) -> Bounds:
    """Bound an event study's effect when its parallel trends may be violated.

    Parameters
    ----------
    estimates : float64[n_pre + n_post]
        Coefficients in order of time, without the reference period between the two parts.
    covariance : float64[n_pre + n_post, n_pre + n_post]
        Their covariance.
    n_pre, n_post : int
        Number of coefficients before (at least 2) and after (at least 1) the reference period.
    kind : {"relative_magnitude", "smoothness"}
        ``"relative_magnitude"``: from one period to the next the violation after treatment changes by at most M-bar
        times its largest change before. ``"smoothness"``: the slope of the violation changes by at most M a period.
    sensitivity : float or sequence of float
        Values of M-bar (no unit) or of M (unit of the estimates); 0 or more.
    target : float64[n_post], optional
        Weights of the effect of interest on the post coefficients; the first one by default.
    level : float
        Coverage, between 0.5 and 1.

    Returns
    -------
    Bounds

    Raises
    ------
    DataError
        If estimates or covariance have the wrong shape, are not finite, or the covariance is not one.
    DesignError
        If a number of periods, the kind, a sensitivity, the target or the level is not allowed, or the covariance
        has no variance where the method needs some.

    Notes
    -----
    Relative magnitudes: confidence set of the conditional least-favourable hybrid test of Andrews, Roth and Pakes,
    whose first stage spends a tenth of the size, on the moments that involve a post period; the union over which
    step before treatment is the largest, and its sign. The interval reaches from its smallest to its largest value.
    Smoothness: shortest fixed-length interval. Both take the estimates as normal with a known covariance.

    The R package HonestDiD does the same up to these choices, which move the last digits: there the least-favourable
    critical value is the quantile of 1,000 draws and the quantile of the folded normal of a million, here both are
    computed; there the ends lie on a grid of 1,000 points within 20 standard errors of zero, here they are located
    by subdivision wherever they are. Two differences are of substance. With a single post period its second stage does
    not use that the first was passed and is a little wide; here it does, as in the paper. For a target whose weights
    times their period sum below zero its bias has the wrong constant; here the bias is that of the weights.

    References
    ----------
    Rambachan, A. and Roth, J. (2023), A more credible approach to parallel trends, Review of Economic Studies 90,
    2555-2591. Andrews, I., Roth, J. and Pakes, A. (2023), Inference for linear conditional moment inequalities,
    Review of Economic Studies 90, 2763-2791.
    """
    _check_design(n_pre, n_post, kind, level)
    beta, sigma = _check_study(estimates, covariance, n_pre + n_post)
    values, weights = _check_sensitivity(sensitivity), _check_target(target, n_post)
    ends, unit = _method(kind, beta, sigma, n_pre, weights, 1 - level)
    found = [ends(float(value)) for value in values]
    breakdown, reason = _breakdown(ends, unit)
    return Bounds(
        rows=pd.DataFrame(
            {
                "sensitivity": values,
                "conf_low": [low for low, _ in found],
                "conf_high": [high for _, high in found],
            }
        ),
        original=_original(beta[n_pre:], sigma[n_pre:, n_pre:], weights, level),
        breakdown=breakdown,
        kind=kind,
        level=level,
        target=weights,
        reason=reason,
    )


def _method(kind: Kind, beta: Floats, sigma: Floats, n_pre: int, target: Floats, alpha: float) -> tuple[Ends, float]:
    """Return the interval as a function of the sensitivity, and a unit to begin the search for the breakdown with."""
    if kind == "smoothness":
        path = smoothness.frontier(beta, sigma, n_pre, target)
        return partial(smoothness.interval, path, alpha=alpha), float(np.sqrt(path.variance))
    study = magnitudes.steps(beta, sigma, n_pre, target)
    return partial(magnitudes.interval, study, alpha=alpha), 1.0


def _original(beta: Floats, sigma: Floats, target: Floats, level: float) -> pd.Series:
    estimate, std_error = float(target @ beta), float(np.sqrt(target @ sigma @ target))
    reach = float(special.ndtri((1 + level) / 2)) * std_error
    return pd.Series(
        {
            "estimate": estimate,
            "std_error": std_error,
            "conf_low": estimate - reach,
            "conf_high": estimate + reach,
        }
    )


def _breakdown(ends: Ends, unit: float) -> tuple[float, str]:
    """Return the sensitivity at which the interval, which widens with it, reaches zero; else why there is none."""

    def distance(value: float) -> float:
        low, high = ends(value)
        return max(low, -high)

    if distance(0.0) <= 0:
        return np.nan, "the interval holds zero at a sensitivity of 0, so that there is no breakdown value"
    low, high = 0.0, unit
    for _ in range(DOUBLINGS):
        if distance(high) <= 0:
            return float(optimize.brentq(distance, low, high, xtol=1e-9 * unit, rtol=1e-9)), ""
        low, high = high, 2 * high
    return np.inf, f"the interval excludes zero at every sensitivity up to {low:.3g}"


def _check_design(n_pre: int, n_post: int, kind: str, level: float) -> None:
    if n_pre < 2 or n_post < 1:
        raise DesignError(
            f"honest bounds from {n_pre} coefficients before and {n_post} after treatment were asked for; a violation "
            "before treatment is judged from at least two, and an effect needs at least one; estimate more periods"
        )
    if kind not in ("relative_magnitude", "smoothness"):
        raise DesignError(
            f"honest bounds of kind {kind!r} were asked for; there are 'relative_magnitude' and 'smoothness'; name one"
        )
    if not 0.5 < level < 1:
        raise DesignError(f"a level between 0.5 and 1 was asked for; found {level}; 0.95 is usual")


def _check_study(
    estimates: Sequence[float] | Floats, covariance: Sequence[Sequence[float]] | Floats, size: int
) -> tuple[Floats, Floats]:
    beta, sigma = np.asarray(estimates, dtype=np.float64), np.asarray(covariance, dtype=np.float64)
    if beta.shape != (size,) or sigma.shape != (size, size):
        raise DataError(
            f"{size} estimates and their {size} x {size} covariance were asked for; found shapes {beta.shape} and "
            f"{sigma.shape}; leave the reference period out of both"
        )
    if missing := int((~np.isfinite(beta)).sum() + (~np.isfinite(sigma)).sum()):
        raise DataError(
            f"finite estimates and covariances were asked for; {missing} are not; leave out periods without an "
            "estimate, which must be a whole end of the study"
        )
    scale = float(np.abs(sigma).max())
    uneven, lowest = float(np.abs(sigma - sigma.T).max()), float(np.linalg.eigvalsh((sigma + sigma.T) / 2)[0])
    if uneven > ROUNDING * scale or lowest < -ROUNDING * scale:
        raise DataError(
            "a symmetric, positive semi-definite covariance was asked for; found an asymmetry of "
            f"{uneven:.3g} and a smallest eigenvalue of {lowest:.3g}; give the estimator's covariance, not its errors"
        )
    return beta, (sigma + sigma.T) / 2


def _check_sensitivity(sensitivity: float | Sequence[float] | Floats) -> Floats:
    values = np.atleast_1d(np.asarray(sensitivity, dtype=np.float64))
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all() or (values < 0).any():
        raise DesignError(
            f"one or more sensitivities of 0 or more were asked for; found {sensitivity!r}; give finite bounds on the "
            "violation"
        )
    return values


def _check_target(target: Sequence[float] | Floats | None, n_post: int) -> Floats:
    first = [1.0] + [0.0] * (n_post - 1)
    weights = np.array(first if target is None else target, dtype=np.float64)
    if weights.shape != (n_post,) or not np.isfinite(weights).all() or not weights.any():
        raise DesignError(
            f"a weight for each of {n_post} post coefficients was asked for; found {target!r}; give finite numbers, "
            "not all zero"
        )
    return weights
