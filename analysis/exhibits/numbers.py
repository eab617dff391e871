"""How numbers are written: one way for every table, sentence, label and check."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np

from analysis.exhibits.style import kind

T = TypeVar("T")

MARKS = {"real": "●", "estimate": "◐", "simulated": "○"}
MINUS = "−"
DECIMALS = {
    "log points": 3,
    "percentage points": 1,
    "per cent": 1,
    "per cent of base-year sales": 1,
    "ratio": 2,
    "p": 3,
    "accounts": 0,
    "stores or accounts": 0,
    "firms": 0,
    "million yuan": 0,
    "billion US dollars": 1,
}
SIGNED = ("log points", "percentage points", "per cent")


def number(value: float | None, decimals: int = 1, *, signed: bool = False, mark: str = "") -> str:
    """Write a number with a true minus, thousands separators and its provenance mark.

    Parameters
    ----------
    value : float or None
        Missing values are written as an en dash, without a mark.
    decimals : int
        Digits after the point.
    signed : bool
        Whether a positive number gets its plus.
    mark : {"", "real", "estimate", "simulated"}
        Provenance; in a simulated look an estimate is marked simulated.
    """
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return f"{MINUS}∞" if value < 0 else "∞"
    text = f"{abs(value):,.{decimals}f}"
    zero = float(text.replace(",", "")) == 0
    sign = "" if zero else MINUS if value < 0 else "+" if signed else ""
    return f"{sign}{text}{' ' + MARKS[kind(mark)] if mark else ''}"


def quantity(value: float | None, unit: str, *, mark: str = "") -> str:
    """Write a number with the decimals and the sign that its unit asks for, without the unit."""
    return number(value, DECIMALS.get(unit, 1), signed=unit in SIGNED, mark=mark)


def span(low: float | None, high: float | None, unit: str) -> str:
    """Write an interval as "low to high"."""
    if low is None or high is None:
        return "–"
    return f"{quantity(low, unit)} to {quantity(high, unit)}"


def percent_change(log_points: T) -> T:
    """Translate log points, a number or a column of them, into per cent changes: ``100 (exp(x) - 1)``."""
    return 100 * np.expm1(log_points)  # type: ignore[no-any-return, call-overload]


def p_value(value: float, smallest: float | None = None) -> str:
    """Write a p-value with three decimals, and as one in n where it is the smallest of n assignments."""
    if smallest is not None and math.isclose(value, smallest):
        return f"p = 1/{round(1 / smallest)}"
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
