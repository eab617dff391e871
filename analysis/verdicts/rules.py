"""From an estimate to one of four words, by fixed rules.

The rules depend on the kind of claim, never on its content. A bound or an identified set stands in
for a confidence interval.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

from analysis.errors import DesignError

SUPPORTED = "Supported"
CONTRADICTED = "Contradicted"
NOT_SHOWN = "Not shown"
NOT_TESTABLE = "Not testable with this data"
WORDS = (SUPPORTED, CONTRADICTED, NOT_SHOWN, NOT_TESTABLE)
SAME_COUNT = 0.10  # two counts of one thing agree when they differ by at most this share

Interval = tuple[float, float]


def _finite(name: str, *values: Any) -> None:
    """Refuse numbers that would pass through a comparison as if they had been judged."""
    for value in values:
        if not isinstance(value, Real) or not math.isfinite(value):
            raise DesignError(
                f"a word was asked for; {name} is {value!r}; give finite numbers, or None where there is no estimate"
            )


def _interval(interval: Interval) -> Interval:
    """Refuse an interval that holds no number; an end may be infinite, for a bound on one side."""
    low, high = interval
    if not low <= high or low == math.inf or high == -math.inf:  # the first comparison is false for NaN
        raise DesignError(
            f"a word was asked for; the interval runs from {low} to {high}; give two numbers, the lower first, "
            "or None where there is no estimate"
        )
    return low, high


def _margin(margin: float) -> float:
    _finite("the margin", margin)
    if margin < 0:
        raise DesignError(f"a word was asked for; the margin is {margin}; give it as a positive number")
    return margin


def not_lower(interval: Interval | None, margin: float) -> str:
    """Judge "did no harm": supported above ``-margin``, contradicted below it.

    `interval` and `margin` share one unit; None means that there is no estimate or bound. As in every rule, a NaN
    is a DesignError.
    """
    margin = _margin(margin)
    if interval is None:
        return NOT_TESTABLE
    low, high = _interval(interval)
    return SUPPORTED if low > -margin else CONTRADICTED if high < -margin else NOT_SHOWN


def unchanged(interval: Interval | None, margin: float) -> str:
    """Judge "unchanged": supported inside ``±margin``, contradicted outside it."""
    margin = _margin(margin)
    if interval is None:
        return NOT_TESTABLE
    low, high = _interval(interval)
    if -margin < low and high < margin:
        return SUPPORTED
    return CONTRADICTED if high < -margin or low > margin else NOT_SHOWN


def direction(interval: Interval | None) -> str:
    """Judge "more of it": supported when the interval lies above zero."""
    if interval is None:
        return NOT_TESTABLE
    low, high = _interval(interval)
    return SUPPORTED if low > 0 else CONTRADICTED if high < 0 else NOT_SHOWN


def stayed_positive(readings: Sequence[float]) -> str:
    """Judge "growth stayed positive" from every published reading of it, in any one unit."""
    if not readings:
        return NOT_TESTABLE
    _finite("a reading", *readings)
    return direction((min(readings), max(readings)))


def count(claimed: float | None, independent: Iterable[float]) -> str:
    """Judge a count against independent sources with the same definition.

    Parameters
    ----------
    claimed : float or None
        The claimant's figure, positive; None where the claim names no number.
    independent : iterable of float
        Figures of others for the same thing by the same definition.

    Returns
    -------
    str
        Supported within 10 per cent of one of them, contradicted further off from all, not shown where
        only the claimant's figure exists or the definitions differ, not testable without a figure.

    Raises
    ------
    DesignError
        If a figure is not finite, or the claimed one not positive.
    """
    figures = list(independent)
    _finite("an independent count", *figures)
    if claimed is None:
        return NOT_TESTABLE
    _finite("the claimed count", claimed)
    if claimed <= 0:
        raise DesignError(f"a word was asked for; the claimed count is {claimed}; give a positive one, or None")
    if not figures:
        return NOT_SHOWN
    gaps = [abs(figure - claimed) for figure in figures]
    return SUPPORTED if min(gaps) <= SAME_COUNT * claimed else CONTRADICTED


def documented(found: Sequence[bool]) -> str:
    """Judge "these firms were hit" or "this sum was frozen" from filings that say so, one entry per part.

    Supported when a filing, prospectus or two independent reports bear out every part of the claim.
    """
    if not found:
        return NOT_TESTABLE
    if odd := [value for value in found if value not in (True, False)]:
        raise DesignError(f"a word was asked for; on record or not is {odd[0]!r}; give true or false for each part")
    return SUPPORTED if all(found) else NOT_SHOWN
