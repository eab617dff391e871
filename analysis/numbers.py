"""Format numbers consistently in tables, sentences, labels and checks.

A number carries its provenance as a mark, chosen by the caller.
"""

from __future__ import annotations

import math
import re
from calendar import month_name
from typing import TypeVar

T = TypeVar("T")

MARKS = {"real": "●", "estimate": "◐", "simulated": "○"}
MARKED = re.compile(r"([\d∞][^<>\d●◐○.,;:]{0,40}?) ?([●◐○])")
"""A number, its unit if any, and its mark."""
MINUS = "−"
A_SET = "no point: a set"  # instead of a point estimate, for bounds
DECIMALS = {
    "log points": 3,
    "percentage points": 1,
    "per cent": 1,
    "per cent of base-year sales": 1,
    "ratio": 2,
    "p": 3,
    "accounts": 0,
    "billion yuan": 0,
    "stores or accounts": 0,
    "firms": 0,
    "brands named": 0,
    "million yuan": 0,
    "billion US dollars": 0,
}
SIGNED = (
    "log points",
    "percentage points",
    "per cent",
)  # also units that begin with one, such as per cent of sales
HALF_UP = 1 + 1e-13  # rounds a half up, and no other number of 12 digits
FEW_MILLIONS = 100.0  # millions below which one decimal is shown
LONGEST = 1_000.0  # per cent or points beyond which a limit is capped


def number(value: float | None, decimals: int = 1, *, signed: bool = False, mark: str = "") -> str:
    """Format a number with a true minus sign, thousands separators and its provenance mark.

    Numbers that agree in 12 digits, the precision of published verdicts, look the same; halves
    round away from zero.

    Parameters
    ----------
    value : float or None
        Missing values become an en dash, without a mark.
    decimals : int
        Digits after the decimal point.
    signed : bool
        Whether a positive number gets a plus sign.
    mark : {"", "real", "estimate", "simulated"}
        Provenance; estimates from a simulated market are simulated.
    """
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        if value < 0:
            return f"{MINUS}∞"
        return "∞"
    text = f"{HALF_UP * float(f'{abs(value):.12g}'):,.{decimals}f}"
    zero = float(text.replace(",", "")) == 0
    if zero:
        sign = ""
    elif value < 0:
        sign = MINUS
    elif signed:
        sign = "+"
    else:
        sign = ""
    return f"{sign}{text}{' ' + MARKS[mark] if mark else ''}"


def quantity(value: float | None, unit: str, decimals: int | None = None, *, mark: str = "") -> str:
    """Format a number with the usual sign and decimals for its unit.

    The unit itself is left out.
    """
    if unit.startswith("million") and abs(value or 0.0) >= FEW_MILLIONS:
        usual = 0
    else:
        usual = DECIMALS.get(unit, 1)
    return number(
        value, usual if decimals is None else decimals, signed=unit.startswith(SIGNED), mark=mark
    )


def span(low: float | None, high: float | None, unit: str, decimals: int | None = None) -> str:
    """Format an interval as "low to high".

    A limit in per cent or points beyond `LONGEST` becomes "> +1,000".
    """
    if low is None or high is None:
        return "–"
    return f"{_limit(low, unit, decimals)} to {_limit(high, unit, decimals)}"


def bounds_in_words(low: float, high: float, unit: str) -> str:
    """Format bounds as "between low and high".

    Brackets are reserved for confidence intervals.
    """
    return f"between {_limit(low, unit, None)} and {_limit(high, unit, None)}"


def _limit(value: float, unit: str, decimals: int | None) -> str:
    if not LONGEST < abs(value) < math.inf or not unit.startswith(SIGNED):
        return quantity(value, unit, decimals)
    return f"{'<' if value < 0 else '>'} {number(math.copysign(LONGEST, value), 0, signed=True)}"


def unmarked(text: str) -> str:
    """Remove the provenance marks from the numbers in a sentence.

    In an exhibit, a single mark serves all numbers.
    """
    return MARKED.sub(r"\1", text)


def points(value: float) -> str:
    """Format a margin in percentage points with its noun: "2 points", "1 point", "0.5 points"."""
    return f"{value:g} point{'' if value == 1 else 's'}"


def day(date: str) -> str:
    """Format a date of any precision for use in prose: "6 July 2021", "July 2021"."""
    year, month, number, *_ = *date.split("-"), "", ""
    return " ".join(filter(None, [number.lstrip("0"), month and month_name[int(month)], year]))


def spelled(count: float) -> str:
    """Format a whole number for use in prose: as a word below ten, and as "none" for zero."""
    small = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    if count < len(small):
        return small[int(count)]
    return f"{count:,.0f}"


def number_of(number: int, what: str) -> str:
    """Format a whole number with its noun: "1 month", "2,000 firms"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def percent_change(log_points: T) -> T:
    """Convert log points to percentage changes, ``100 (exp(x) - 1)``.

    `log_points` is a number, an array or a table.
    """
    import numpy as np  # slow; the command line formats numbers without it

    return 100 * np.expm1(log_points)  # type: ignore[no-any-return, call-overload]


def p_value(value: float) -> str:
    """Format a p-value to three decimals."""
    if value < 0.001:
        return "p < 0.001"
    return f"p = {value:.3f}"


def sentence_of(reason: str) -> str:
    """Format a reason as a sentence, with a full stop and true minus signs."""
    return re.sub(r"(?<![\w–-])-(?=\d)", MINUS, reason).rstrip(".") + "."
