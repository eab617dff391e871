"""Interrupted time series, as a fan of specifications and for falsification only.

One aggregate series and one break date cannot distinguish a closure from other events of that quarter. The fan shows
how far reasonable specifications disagree, and whether breaks without a closure look the same.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.errors import DesignError
from analysis.estimate import Estimate, Floats

__dir__ = ["its_fan"].copy  # what the tab key offers

MIN_BEFORE = 4  # quarters, so that every season comes before a break
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
DIGITS = "%.6g"  # of an optimiser's result, which beyond these differs between processors


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
        samples only. Errors of regressions are Newey and West's with 4 lags, or 2 on the few quarters against the year
        before.
    unit : str
        Unit of `y`.

    Returns
    -------
    Estimate
        One row per specification, with `placebo_low`, `placebo_high` (extremes over placebo dates, which use only
        quarters before the break), `n_placebos`, and `outside`: whether the estimate lies outside these extremes, False
        without placebos. `n` counts the quarters of each fit. A specification that has too few quarters or does not
        converge is NaN, with a reason. ``details["placebo_dates"]``: index of the first quarter after each placebo
        break.

    Raises
    ------
    DesignError
        If the series has gaps, or fewer than four quarters before or `horizon` after.
    """
    y = np.asarray(y, dtype=float)
    if y.ndim != 1 or not np.isfinite(y).all():
        raise DesignError(
            f"Cannot fit a series of shape {y.shape} with {np.count_nonzero(~np.isfinite(y))} missing values: it must "
            "be one without gaps; fill or cut it"
        )
    if first_post < MIN_BEFORE or len(y) - first_post < horizon:
        raise DesignError(
            f"Cannot estimate a break at quarter {first_post} of {len(y)}: it takes {MIN_BEFORE} quarters before and "
            f"{horizon} after; use a longer series"
        )
    dates = list(range(MIN_BEFORE, first_post - horizon + 1))
    terms = (*FORMULAS, *COMPONENTS)
    fits = np.array([_break(y[: first_post + horizon], first_post, name) for name in terms])
    placebos = np.array(
        [[_break(y[: date + horizon], date, name, errors=False)[0] for date in dates] for name in terms]
    )
    by_term = pd.DataFrame(placebos)  # its extremes skip NaN
    low, high = by_term.min(axis=1).to_numpy(), by_term.max(axis=1).to_numpy()
    outside = (fits[:, 0] < low) | (fits[:, 0] > high)
    failed = ", ".join(name for name, value in zip(terms, fits[:, 0], strict=True) if np.isnan(value))
    return Estimate(
        estimand="break in an aggregate series (falsification)",
        unit=unit,
        terms=terms,
        value=fits[:, 0],
        covariance=np.diag(fits[:, 1] ** 2),
        max_df=fits[:, 2],
        n=fits[:, 3].astype(int),
        level=level,
        columns={"placebo_low": low, "placebo_high": high, "n_placebos": by_term.count(axis=1), "outside": outside},
        counts={"horizon": horizon, "specifications": len(terms), "placebo_dates": len(dates)},
        details={"placebo_dates": dates},
        reason=f"too few quarters or no convergence: {failed}" if failed else "",
    )


def _break(y: Floats, first_post: int, name: str, *, errors: bool = True) -> tuple[float, float, float, int]:
    """Return the break under one specification, its error, degrees of freedom and quarters; NaN without a fit.

    Without `errors` the error is NaN.
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
        post = model.param_names.index("beta.x1")
        return float(DIGITS % fit.params[post]), float(DIGITS % fit.bse[post]), np.inf, len(y)
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
