"""Interrupted time series, as a fan of specifications and for falsification only.

One aggregate series and one break date cannot tell a closure from anything else that happened that quarter. What the
fan can show is how far reasonable specifications disagree, and whether breaks when nothing was closed look the same.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.errors import DesignError
from analysis.estimate import Estimate, Floats

__all__ = ["its_fan"]
__dir__ = __all__.copy

MIN_BEFORE = 4  # a year, so that every season is seen before a break
YEAR_BEFORE = "shift against the year before"
FORMULAS = {
    "shift": "y ~ post",
    "shift, trend": "y ~ post + t",
    "shift, trend, bend": "y ~ post + t + bend",
    "shift, seasons": "y ~ post + C(season)",
    "shift, trend, seasons": "y ~ post + t + C(season)",
    YEAR_BEFORE: "y ~ post",
}
COMPONENTS = ("local level", "smooth trend")  # of statsmodels' unobserved components
DIGITS = "%.6g"  # of what an optimiser finds: beyond these it differs between processors


def its_fan(y: Floats, first_post: int, *, horizon: int = 4, level: float = 0.95, unit: str) -> Estimate:
    """Estimate one break under every specification, and again at each placebo date.

    Parameters
    ----------
    y : float64[quarter]
        An aggregate series without gaps, such as a lead in growth, in percentage points.
    first_post : int
        Index of the first quarter after the break.
    horizon : int
        Quarters after the break that are used; the estimate is the mean gap over them.
    level : float
        Coverage of the intervals: Student t with the residual degrees of freedom for regressions, since normal
        quantiles are too narrow on a dozen quarters; normal for unobserved components, whose errors hold in large
        samples only. Errors of regressions are Newey and West's with 4 lags, or 2 against the year before, which is few
        quarters.
    unit : str
        Unit of `y`.

    Returns
    -------
    Estimate
        One row per specification, with `placebo_low`, `placebo_high` (extremes over placebo dates, which use only
        quarters before the break), `n_placebos`, and `outside`: whether the estimate lies outside these extremes, False
        where there are no placebos. `n` counts the quarters of each fit. A specification that has too few quarters or
        does not converge is NaN with the reason. ``details["placebo_dates"]``: indices of the first quarters after each
        placebo break.

    Raises
    ------
    DesignError
        If the series has gaps, or fewer than four quarters before or `horizon` after.
    """
    y = np.asarray(y, dtype=float)
    if y.ndim != 1 or not np.isfinite(y).all():
        raise DesignError(
            f"one series without gaps was asked for; found shape {y.shape} and "
            f"{np.count_nonzero(~np.isfinite(y))} missing values; fill or cut"
        )
    if first_post < MIN_BEFORE or len(y) - first_post < horizon:
        raise DesignError(
            f"a break at quarter {first_post} with {horizon} after was asked for; the series has {len(y)} quarters; "
            f"{MIN_BEFORE} before and {horizon} after are needed"
        )
    dates = list(range(MIN_BEFORE, first_post - horizon + 1))
    terms = (*FORMULAS, *COMPONENTS)
    fits = np.array([_break(y[: first_post + horizon], first_post, name) for name in terms])
    placebos = np.array(
        [[_break(y[: date + horizon], date, name, errors=False)[0] for date in dates] for name in terms]
    )
    seen = pd.DataFrame(placebos)  # its extremes leave out what could not be fitted
    low, high = seen.min(axis=1).to_numpy(), seen.max(axis=1).to_numpy()
    outside = (fits[:, 0] < low) | (fits[:, 0] > high)
    failed = ", ".join(name for name, found in zip(terms, fits[:, 0], strict=True) if np.isnan(found))
    return Estimate(
        estimand="break in an aggregate series (falsification)",
        unit=unit,
        terms=terms,
        value=fits[:, 0],
        covariance=np.diag(fits[:, 1] ** 2),
        max_df=fits[:, 2],
        n=fits[:, 3].astype(int),
        level=level,
        columns={"placebo_low": low, "placebo_high": high, "n_placebos": seen.count(axis=1), "outside": outside},
        counts={"horizon": horizon, "specifications": len(terms), "placebo_dates": len(dates)},
        details={"placebo_dates": dates},
        reason=f"too few quarters or no convergence: {failed}" if failed else "",
    )


def _break(y: Floats, first_post: int, name: str, *, errors: bool = True) -> tuple[float, float, float, int]:
    """Return the break under one specification, its error, degrees of freedom and quarters; NaN where there is none.

    The error is NaN where it is not wanted.
    """
    import statsmodels.api as sm
    import statsmodels.formula.api as smf

    t = np.arange(len(y), dtype=float)
    frame = pd.DataFrame({"y": y, "t": t, "post": (t >= first_post) * 1.0, "season": t % 4})
    # Centred, so that the coefficient of `post` is the mean gap over the quarters after.
    frame["bend"] = frame["post"] * (t - t[first_post:].mean())
    if name in COMPONENTS:
        model = sm.tsa.UnobservedComponents(y, level=name, exog=frame[["post"]].to_numpy())
        fit = model.fit(method="powell", disp=False)
        if not fit.mle_retvals["converged"]:
            return np.nan, np.nan, np.inf, len(y)
        place = model.param_names.index("beta.x1")
        return float(DIGITS % fit.params[place]), float(DIGITS % fit.bse[place]), np.inf, len(y)
    if name == YEAR_BEFORE:
        frame = frame[max(0, first_post - 4) :]
    model = smf.ols(FORMULAS[name], frame)
    coefficients = model.exog.shape[1]
    if len(frame) < coefficients + 2 or np.linalg.matrix_rank(model.exog) < coefficients:
        return np.nan, np.nan, np.inf, len(frame)
    if not errors:
        return float(model.fit().params["post"]), np.nan, np.inf, len(frame)
    fit = model.fit(cov_type="HAC", cov_kwds={"maxlags": 2 if name == YEAR_BEFORE else 4, "use_correction": True})
    return float(fit.params["post"]), float(fit.bse["post"]), float(fit.df_resid), len(frame)
