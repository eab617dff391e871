"""Power of a panel: the smallest effect that it can detect.

It is found from placebo closures of the panel's untreated units.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from scipy.stats import mstats

from fewtreated.errors import DesignError, check_level, whole_number
from fewtreated.estimate import Estimate, Floats, Ints, Labels
from fewtreated.testing import POWER, redraw_closures

__dir__ = ["detectable", "minimum_detectable_effect"].copy  # for tab completion

Estimator = Callable[[Floats, Floats, Ints], Estimate]


def minimum_detectable_effect(
    y: Floats,
    first_treated: Floats,
    *,
    estimator: Estimator,
    level: float = 0.95,
    strata: Labels,
    draws: int,
    seed: int = 0,
) -> Estimate:
    """Estimate the smallest effect that a study on this panel can detect.

    It is estimated from placebo closures of untreated units.

    Each draw assigns the real closures, with their months, to untreated units of the same stratum;
    treated units are left out. A constant effect d shifts an estimate by d and does not change its
    error, on the level scale and, in log points, on the ratio scale. So a draw detects a fall of d
    if d > c error + estimate, and the smallest fall detected with a power of 80 per cent is a
    quantile of the right side over the draws. Nothing is assumed normal, equal or independent.

    Parameters
    ----------
    y : float64[unit, time]
    first_treated : float64[unit]
        Column of the first treated period, at least 1; inf for never.
    estimator : callable
        Function of (y, first_treated, rows) that returns an Estimate of one row; `rows` are the
        rows of the units in the panel, for selecting their clusters or strata.
    level : float
        One minus the size of the two-sided test.
    strata : sequence
        Stratum of each unit, such as size x category, so that placebos resemble treated units.
    draws, seed : int

    Returns
    -------
    Estimate
        In the unit of the estimator. Terms: ``"fall"`` (a positive number), with a test of the
        right size on this panel (c is a quantile of the placebos' t statistics), and
        ``"fall, usual"`` with the estimator's t quantile; ``"size, usual"`` is the share of
        placebos that this rejects. Standard errors are Monte Carlo errors. ``details``:
        ``placebos``, float64[draw, 2] of estimate and standard error, and ``critical``.

    Raises
    ------
    DesignError
        If a stratum has too few untreated units to replace its treated ones, or no placebo gives an
        estimate.

    References
    ----------
    Burlig, F., Preonas, L. and Woerman, M. (2020), Panel data and experimental design, Journal of
    Development Economics 144, 102458. Maritz, J. S. and Jarrett, R. G. (1978), A note on estimating
    the variance of the sample median, JASA 73, 194-196, for the error of a quantile.
    """
    y = np.asarray(y, dtype=float)
    first = np.asarray(first_treated, dtype=float)
    stratum = np.asarray(strata)
    check_level(level)
    rows, dates = _placebo_calendar(y, first, stratum)
    estimates = []
    unit = ""
    for closures in redraw_closures(
        dates, stratum[rows], np.random.default_rng(seed), whole_number("draws", draws)
    ):
        date = closures.toarray().ravel()
        estimate = estimator(y[rows], np.where(date > 0, date, np.inf), rows)
        unit = estimate.unit
        estimates.append((estimate.value[0], estimate.std_error[0], estimate.df[0]))
    found = _placebo_effects(estimates, level)
    effect, error, usual = found.T
    quantile = float(np.quantile(np.abs(effect / error), level))
    size = float((np.abs(effect / error) > usual).mean())
    terms = {
        "fall": _smallest_detected(quantile * error + effect),
        "fall, usual": _smallest_detected(usual * error + effect),
        "size, usual": (size, np.sqrt(size * (1 - size) / len(found))),
    }
    values, errors = np.array(list(terms.values())).T
    return Estimate(
        estimand="minimum detectable effect",
        unit=unit,
        terms=tuple(terms),
        value=values,
        covariance=np.diag(errors**2),
        n=len(found),
        level=level,
        interval="Monte Carlo interval",
        counts={"untreated": len(rows), "treated": len(first) - len(rows), "draws": len(found)},
        details={"placebos": found[:, :2], "critical": quantile},
    )


def _placebo_effects(estimates: list[tuple[float, float, float]], level: float) -> Floats:
    """Return the estimates with a standard error, this, and their t quantile, float64[draw, 3].

    The third number of `estimates` is their degrees of freedom. Fewer than 20 raise DesignError.
    """
    placebos = np.reshape(estimates, (-1, 3))
    placebos[:, 2] = stats.t.ppf((1 + level) / 2, placebos[:, 2])
    placebos = placebos[np.isfinite(placebos).all(axis=1) & (placebos[:, 1] > 0)]
    if len(placebos) < 20:
        raise DesignError(
            f"Cannot estimate a detectable effect: {len(placebos)} of {len(estimates)} placebo"
            " draws yield an estimate with a standard error, but 20 are needed; draw more or check"
            " why the estimator fails"
        )
    return np.asarray(placebos)


def _smallest_detected(by_draw: Floats) -> tuple[float, float]:
    """Return the fall that most draws detect, and its Monte Carlo error."""
    return np.quantile(by_draw, POWER), mstats.mjci(by_draw, [POWER])[0]


def _placebo_calendar(y: Floats, first: Floats, stratum: npt.NDArray[Any]) -> tuple[Ints, Floats]:
    """Return the untreated rows and their placebo dates.

    The dates are taken from treated units of the same stratum.
    """
    treated = first < y.shape[1]
    rows = np.flatnonzero(~treated)
    dates = np.zeros(len(rows))
    for name in np.unique(stratum[treated]):
        real = first[treated & (stratum == name)]
        free = np.flatnonzero(stratum[rows] == name)
        if len(free) <= len(real):
            raise DesignError(
                f"Cannot draw placebo closures: stratum {name} has {len(real)} treated and"
                f" {len(free)} untreated units, but needs more untreated than treated; use coarser"
                " strata"
            )
        dates[free[: len(real)]] = real
    if not treated.any():
        raise DesignError(
            f"Cannot draw placebo closures: none of the {len(y)} units is treated; pass the real"
            " dates"
        )
    return rows, dates


def detectable(rows: pd.DataFrame, *, level: float) -> Floats:
    """Return the smallest effect that a test of size 1 - level detects, float64[row].

    The test detects it with a power of 80 per cent.

    It is ``(z(level) + z(power)) std_error``, scaled up by the ratio of the interval's half-width
    to z(level) errors, which exceeds one with few clusters; rows without an interval count as
    normal. For an effect in per cent it is computed in log points around zero, and returned as a
    fall in per cent.

    Parameters
    ----------
    rows : DataFrame
        `unit`, `estimate`, `std_error`, `conf_low`, `conf_high`.
    """
    z = float(stats.norm.ppf((1 + level) / 2))
    more = float(stats.norm.ppf(POWER))
    error = rows["std_error"].to_numpy(float)
    estimate = rows["estimate"].to_numpy(float)
    logs = (rows["unit"] == "per cent").to_numpy()
    low, high = rows.reindex(columns=["conf_low", "conf_high"]).to_numpy(float).T
    half = np.where(np.isnan(error), np.nan, np.fmax((high - low) / 2, z * error))
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.log1p(low / 100)
        high = np.log1p(high / 100)
        in_logs = np.fmax((high - low) / 2, z * error / np.abs(100 + estimate))
        fall = 100 * -np.expm1(-in_logs * (z + more) / z)
    return np.asarray(np.where(logs, fall, half * (z + more) / z))
