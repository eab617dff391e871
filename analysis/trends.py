"""Interrupted time series, as a fan of specifications and for falsification only.

One aggregate series and one break date cannot tell a closure from anything else that happened that
quarter. What the fan can show is how far reasonable specifications disagree, and whether
breaks at dates when nothing was closed look the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from analysis.errors import DesignError, whole_number
from analysis.estimate import Estimate, Floats

SEASON = 4
MIN_BEFORE = 4  # a year, so that every season is seen before a break


Lags = int | None  # of a HAC error; None where only the estimate is wanted


class Break(NamedTuple):
    """One specification's break, its error, its quarters, and the degrees of freedom of its interval."""

    estimate: float
    error: float
    n: int
    df: float = np.inf


def _ols(y: Floats, regressors: list[Floats], lags: Lags) -> Break:
    """Coefficient of the first regressor with its HAC error; an intercept is added."""
    import statsmodels.api as sm

    design = np.column_stack([*regressors, np.ones(len(y))])
    if len(y) < design.shape[1] + 2 or np.linalg.matrix_rank(design) < design.shape[1]:
        return Break(np.nan, np.nan, len(y))
    if lags is None:
        return Break(float(sm.OLS(y, design).fit().params[0]), np.nan, len(y))
    fit = sm.OLS(y, design).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True})
    return Break(float(fit.params[0]), float(fit.bse[0]), len(y), float(fit.df_resid))


def _components(y: Floats, post: Floats, level: str) -> Break:
    """Coefficient of the break in an unobserved-components model; NaN where the fit does not converge."""
    import statsmodels.api as sm

    fit = sm.tsa.UnobservedComponents(y, level=level, exog=post[:, None]).fit(method="powell", disp=False)
    if not fit.mle_retvals["converged"]:
        return Break(np.nan, np.nan, len(y))
    place = fit.model.param_names.index("beta.x1")
    return Break(float(fit.params[place]), float(fit.bse[place]), len(y))


Fit = Callable[[Floats, int, Lags], Break]


def _parts(y: Floats, first_post: int) -> tuple[Floats, Floats, list[Floats]]:
    t = np.arange(len(y), dtype=float)
    seasons = [(t % SEASON == s).astype(float) for s in range(1, SEASON)]
    return (t >= first_post).astype(float), t, seasons


def _shift(y: Floats, first_post: int, lags: Lags) -> Break:
    post, _, _ = _parts(y, first_post)
    return _ols(y, [post], lags)


def _shift_trend(y: Floats, first_post: int, lags: Lags) -> Break:
    post, t, _ = _parts(y, first_post)
    return _ols(y, [post, t], lags)


def _shift_slope(y: Floats, first_post: int, lags: Lags) -> Break:
    """Level and slope change; centred so that the coefficient is the mean gap over the quarters after."""
    post, t, _ = _parts(y, first_post)
    bend = post * (t - t[first_post:].mean())
    return _ols(y, [post, t, bend], lags)


def _shift_season(y: Floats, first_post: int, lags: Lags) -> Break:
    post, _, seasons = _parts(y, first_post)
    return _ols(y, [post, *seasons], lags)


def _shift_trend_season(y: Floats, first_post: int, lags: Lags) -> Break:
    post, t, seasons = _parts(y, first_post)
    return _ols(y, [post, t, *seasons], lags)


def _last_year(y: Floats, first_post: int, lags: Lags) -> Break:
    start = max(0, first_post - SEASON)
    return _shift(y[start:], first_post - start, None if lags is None else min(lags, 2))


def _local_level(y: Floats, first_post: int, _: Lags) -> Break:
    return _components(y, _parts(y, first_post)[0], "local level")


def _smooth_trend(y: Floats, first_post: int, _: Lags) -> Break:
    return _components(y, _parts(y, first_post)[0], "smooth trend")


SPECIFICATIONS: dict[str, Fit] = {
    "shift": _shift,
    "shift, trend": _shift_trend,
    "shift, trend, bend": _shift_slope,
    "shift, seasons": _shift_season,
    "shift, trend, seasons": _shift_trend_season,
    "shift against the year before": _last_year,
    "local level": _local_level,
    "smooth trend": _smooth_trend,
}


def its_fan(y: Floats, first_post: int, *, horizon: int = 4, lags: int = 4, level: float = 0.95, unit: str) -> Estimate:
    """Estimate one break under every specification, and again at each placebo date.

    Parameters
    ----------
    y : float64[quarter]
        An aggregate series without gaps, such as a lead in growth, in percentage points.
    first_post : int
        Index of the first quarter after the break.
    horizon : int
        Quarters after the break that are used; the estimate is the mean gap over them.
    lags : int
        Lags of the HAC errors of the OLS specifications; at most 2 against the year before, which is few quarters.
    level : float
        Coverage of the intervals: Student t with the residual degrees of freedom for OLS, since normal quantiles are
        too narrow on a dozen quarters; normal for unobserved components, whose errors hold in large samples only.
    unit : str
        Unit of `y`.

    Returns
    -------
    Estimate
        One row per specification, with `placebo_low`, `placebo_high` (extremes over placebo dates, which use
        only quarters before the break), `n_placebos`, and `outside`: whether the estimate lies outside these
        extremes, False where there are no placebos. `n` counts the quarters of each fit. A specification that has
        too few quarters or does not converge is NaN with the reason. ``details["placebo_dates"]``: indices of the first
        quarters after each placebo break.

    Raises
    ------
    DesignError
        If the series has gaps, fewer than four quarters before, or fewer than `horizon` after, or a whole number
        is none.

    Notes
    -----
    OLS with Newey-West errors and unobserved components are statsmodels'. Not to be read as an effect.
    """
    y = np.asarray(y, dtype=float)
    if y.ndim != 1 or not np.isfinite(y).all():
        raise DesignError(
            f"one series without gaps was asked for; found shape {y.shape} and "
            f"{np.count_nonzero(~np.isfinite(y))} missing values; fill or cut"
        )
    first_post, horizon = whole_number("first_post", first_post), whole_number("horizon", horizon)
    lags = whole_number("lags", lags)
    if first_post < MIN_BEFORE or len(y) - first_post < horizon:
        raise DesignError(
            f"a break at quarter {first_post} with {horizon} after was asked for; the series has {len(y)} quarters; "
            f"{MIN_BEFORE} before and {horizon} after are needed"
        )
    used = y[: first_post + horizon]
    dates = range(MIN_BEFORE, first_post - horizon + 1)
    fits = {name: fit(used, first_post, lags) for name, fit in SPECIFICATIONS.items()}
    columns: dict[str, list[float]] = {"placebo_low": [], "placebo_high": [], "n_placebos": [], "outside": []}
    for name, fit in SPECIFICATIONS.items():
        placebos = np.array([fit(y[: date + horizon], date, None).estimate for date in dates])
        seen = placebos[np.isfinite(placebos)]
        low, high = (seen.min(), seen.max()) if len(seen) else (np.nan, np.nan)
        outside = bool(fits[name].estimate < low or fits[name].estimate > high)
        for column, value in zip(columns.values(), (low, high, len(seen), outside), strict=True):
            column.append(value)
    failed = [name for name, found in fits.items() if np.isnan(found.estimate)]
    return Estimate(
        estimand="break in an aggregate series (falsification)",
        unit=unit,
        terms=tuple(fits),
        value=np.array([found.estimate for found in fits.values()]),
        covariance=np.diag([found.error**2 for found in fits.values()]),
        df=np.array([found.df for found in fits.values()]),
        n=[found.n for found in fits.values()],
        columns=columns,
        level=level,
        counts={
            "quarters": len(used),
            "specifications": len(fits),
            "placebo_dates": len(dates),
            "horizon": horizon,
        },
        details={"placebo_dates": list(dates)},
        reason=f"too few quarters or no convergence: {', '.join(failed)}" if failed else "",
    )
