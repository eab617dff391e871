"""Format the numbers of an estimate as text."""

from __future__ import annotations

import math

MARKS = {"real": "●", "estimate": "◐", "simulated": "○"}
MINUS = "−"
# instead of a number that cannot be estimated, with a reason elsewhere
NOT_ESTIMABLE = "not estimable with this data"
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


def _limit(value: float, unit: str, decimals: int | None) -> str:
    if not LONGEST < abs(value) < math.inf or not unit.startswith(SIGNED):
        return quantity(value, unit, decimals)
    return f"{'<' if value < 0 else '>'} {number(math.copysign(LONGEST, value), 0, signed=True)}"
