"""Arithmetic of growth: what public totals alone can say about the closures' effect."""

from __future__ import annotations

import numpy as np
from scipy import optimize, stats

from analysis.errors import DesignError
from analysis.estimate import Estimate

Range = tuple[float, float]


def _range(name: str, value: Range, low: float, high: float) -> None:
    if not low <= value[0] <= value[1] <= high:
        raise DesignError(
            f"a range of {name} inside [{low}, {high}] was asked for; found {value}; give its lower end first"
        )


def growth_set(base: float, share: Range, closed: Range, recapture: Range, common: Range) -> Range:
    """Bound the closures' effect on Chinese sellers' growth on Amazon (E3g).

    ``-closed (1 - recapture) / (base * share) + common``, at the ends that make it lowest and highest.

    Parameters
    ----------
    base : float
        Third-party sales of the base year, in any currency.
    share : (low, high)
        Chinese share of these, in (0, 1].
    closed : (low, high)
        Yearly sales of closed accounts, in the same currency.
    recapture : (low, high)
        Share of the closed sales that Chinese rivals on Amazon took over, in [0, 1].
    common : (low, high)
        Effect common to all Chinese sellers (trust, chilling, entry), in percentage points.

    Returns
    -------
    tuple of float
        Lowest and highest effect on growth, in percentage points of the base year.

    Raises
    ------
    DesignError
        If a range is out of its bounds or upside down.
    """
    if not base > 0:
        raise DesignError(f"positive sales of the base year were asked for; found {base}; check the series")
    _range("the Chinese share", share, 1e-9, 1.0)
    _range("closed sales", closed, 0.0, np.inf)
    _range("recapture", recapture, 0.0, 1.0)
    _range("the common part", common, -np.inf, np.inf)
    worst = -100 * closed[1] * (1 - recapture[0]) / (base * share[0]) + common[0]
    best = -100 * closed[0] * (1 - recapture[1]) / (base * share[1]) + common[1]
    return worst, best


def assumption_ladder(
    base: float,
    *,
    share: float,
    share_range: Range,
    closed: Range,
    recapture: Range,
    common: Range,
) -> Estimate:
    """Bounds on E3g, one assumption after the other, weakest first.

    The first rung already assumes the ranges of the share, of closed sales and of the common part; only recapture
    is free there, anywhere in [0, 1]. Each later rung keeps all assumptions above it.

    Parameters are those of :func:`growth_set`; `share` is the single value assumed from the second rung on.

    Returns
    -------
    Estimate
        Rows with `term` (the rung), `assumption`, `conf_low`, `conf_high` in percentage points of the base year;
        `estimate` is NaN throughout: a set has no point.

    Raises
    ------
    DesignError
        As :func:`growth_set`, and if `share` lies outside `share_range` or 0 outside `common`.

    References
    ----------
    Manski, C. F. (2011), Policy analysis with incredible certitude, Economic Journal 121, F261-F289.
    """
    if not share_range[0] <= share <= share_range[1]:
        raise DesignError(
            f"a share inside {share_range} was asked for; found {share}; a rung can only narrow the one before"
        )
    one = (share, share)
    if not common[0] <= 0 <= common[1]:
        raise DesignError(
            f"a common part that may be zero was asked for; found {common}; the last rung sets it to zero, and a rung "
            "can only narrow the one before: let the range hold 0"
        )
    ranges = (
        f"share {share_range[0]:.0%} to {share_range[1]:.0%}, closed {closed[0]:.3g} to {closed[1]:.3g}, "
        f"common {common[0]:g} to {common[1]:g}"
    )
    rungs = [
        ("assumed ranges", ranges, growth_set(base, share_range, closed, (0.0, 1.0), common)),
        ("one share", f"Chinese share of sales is {share:.0%}", growth_set(base, one, closed, (0.0, 1.0), common)),
        (
            "recapture",
            f"rivals took over {recapture[0]:.0%} to {recapture[1]:.0%}",
            growth_set(base, one, closed, recapture, common),
        ),
        ("no common part", "nothing common to all sellers", growth_set(base, one, closed, recapture, (0.0, 0.0))),
    ]
    return Estimate(
        estimand="E3g",
        unit="percentage points",
        terms=tuple(term for term, _, _ in rungs),
        value=np.full(len(rungs), np.nan),
        limits=np.array([bounds for _, _, bounds in rungs]).T,
        n=1,
        columns={"assumption": [text for _, text, _ in rungs]},
        interval="identified set",
        reason="sets from totals: there is no sample, hence no standard error",
    )


def closed_share(accounts: float, population: float, *, sd_log_sales: float, tilt: float) -> float:
    """Share of sales carried by closed accounts when closure falls on size.

    Sales S are log-normal and an account is closed with chance ``min(1, c S^tilt)``, where c is such that
    ``E[min(1, c S^tilt)] = accounts / population``. The share is ``E[S min(1, c S^tilt)] / E[S]``, from the moments of
    a truncated log-normal. While hardly any account is certain to close it is near
    ``accounts / population * exp(tilt sd²)``; it never exceeds the share of the very largest accounts.

    Parameters
    ----------
    accounts, population : float
        Closed accounts and all accounts.
    sd_log_sales : float
        Standard deviation of log sales.
    tilt : float
        0 closes at random, 1 in proportion to sales up to certainty.

    Returns
    -------
    float
        Share of all sales, between 0 and 1.

    Raises
    ------
    DesignError
        If not fewer accounts are closed than there are, or the deviation or the tilt is no finite number from 0 on.
    """
    if not 0 < accounts < population:
        raise DesignError(
            f"{accounts} closed of {population} accounts were asked for; give fewer closed than there are"
        )
    for name, value in (("standard deviation of log sales", sd_log_sales), ("tilt", tilt)):
        if not 0 <= value < np.inf:
            raise DesignError(f"a {name} of {value} was asked for; found no finite number from 0 on; give one")
    fraction, slope = accounts / population, tilt * sd_log_sales  # the chance rises by `slope` logs per deviation of S
    if slope == 0:
        return fraction

    def certain_and_below(minus_log_c: float, shift: float) -> float:
        """Mean of the chance, with accounts weighted by ``exp(shift z)``: above its kink, plus below it."""
        kink = minus_log_c / slope - shift
        below = slope**2 / 2 + slope * shift - minus_log_c + stats.norm.logcdf(kink - slope)
        return float(stats.norm.sf(kink) + np.exp(below))

    # The root lies between closing the largest for certain and no cap at all; 1 more at each end for rounding.
    ends = slope * stats.norm.isf(fraction) - 1, slope**2 / 2 - np.log(fraction) + 1
    found = optimize.brentq(lambda u: certain_and_below(u, 0.0) - fraction, *ends, xtol=1e-13)
    return certain_and_below(found, sd_log_sales)
