"""How far to trust a word that a panel or a simulated market gives: one rule, from what stands beside the estimate.

What public figures give has its confidence in ``data/readings.csv``, a judgement call with the other ones.
"""

from __future__ import annotations

import math

from analysis.errors import DesignError

CONFIDENCE = ("high", "moderate", "low")
GRADES = ("", "usable", "usable with bounds", "do not use")
AS_LARGE = 1.0  # breakdown value from which a finding survives a drift as large as the largest one before


def confidence(grade: str, *, passed: bool | None = None, breakdown: float | None = None) -> str:
    """Return the lowest level that grade, check and breakdown value allow.

    ========== ====================== ======================= ==========================
    level      grade of the audit     check of the design     breakdown value, if known
    ========== ====================== ======================= ==========================
    high       usable                 passed                  at least `AS_LARGE`
    moderate   usable with bounds,    none was possible       below it
               or not graded
    low        do not use             failed                  none: zero is not excluded
    ========== ====================== ======================= ==========================

    Parameters
    ----------
    grade : str
        One of `GRADES`; empty where the audit says nothing.
    passed : bool or None
        Whether the design's own check, such as a placebo year, found nothing; None where there is none.
    breakdown : float or None
        Largest drift, as a multiple of the largest one before the closures, that the finding survives; NaN where it
        excludes zero under none; None where it is not known, which then limits nothing.

    Raises
    ------
    DesignError
        If there is no such grade, or the breakdown value is negative.
    """
    if grade not in GRADES:
        raise DesignError(f"confidence by a grade was asked for; found {grade!r}; use one of {GRADES}")
    if breakdown is not None and breakdown < 0:
        raise DesignError(f"confidence by a breakdown value was asked for; found {breakdown}; give one of 0 or more")
    by_grade = {"usable": 0, "usable with bounds": 1, "": 1, "do not use": 2}[grade]
    by_check = 1 if passed is None else 0 if passed else 2
    by_breakdown = 0 if breakdown is None or breakdown >= AS_LARGE else 2 if math.isnan(breakdown) else 1
    return CONFIDENCE[max(by_grade, by_check, by_breakdown)]


def breakdown(interval: tuple[float, float], boundary: float, drift: float) -> float:
    """Return how many times the drift seen without closures an interval survives before it reaches a boundary.

    Parameters
    ----------
    interval : (low, high)
    boundary, drift : float
        Where the word would turn, and the estimate of a placebo; in the interval's unit. Which way a drift went before
        says nothing of the way that it goes after, so its size alone counts.

    Returns
    -------
    float
        Infinite for no drift; NaN where the boundary lies in the interval, so that there is no finding.
    """
    low, high = interval
    distance = low - boundary if low > boundary else boundary - high
    if distance <= 0:
        return math.nan
    return distance / abs(drift) if drift else math.inf
