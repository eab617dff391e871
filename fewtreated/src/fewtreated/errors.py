"""Exceptions and the checks that raise them.

A message says what cannot be done, why (what was found, with counts and the offending key), and
what to do.
"""

from collections.abc import Collection
from operator import index
from typing import Any, NoReturn

NOT_ESTIMABLE = "not estimable with this data"  # instead of a number, with a reason elsewhere
# characters kept of a message, whose end says what to do
_HEAD = 6000
_TAIL = 1500


class _RefusalError(ValueError):
    def __str__(self) -> str:
        """Return the message with non-printable characters escaped.

        A long message is shortened in the middle.
        """
        text = super().__str__()
        if not (len(text) <= _HEAD + _TAIL):
            text = f"{text[:_HEAD]} ... {text[-_TAIL:]}"
        return "".join(
            sign if sign.isprintable() or sign == "\n" else ascii(sign)[1:-1] for sign in text
        )

    def _render_traceback_(self) -> list[str]:
        """Return only the message, which IPython shows in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class DataError(_RefusalError):
    """Exception raised when the input is invalid or contradicts its description."""


class DesignError(_RefusalError):
    """Exception for a request that is invalid or cannot be met with the given design and data."""


def refuse(where: Any, expected: str, actual: str, remedy: str) -> NoReturn:
    """Raise DataError, stating the location, the expected and actual values, and a remedy."""
    raise DataError(f"{where}: expected {expected}; found {actual}; {remedy}.")


def whole_number(name: str, value: Any) -> int:
    """Return a value as an int; raise DesignError if it is not an integer.

    Floats such as 2.0 are rejected too.
    """
    try:
        return index(value)
    except TypeError as error:
        raise DesignError(
            f"Cannot use {name} = {value!r}: it is not a whole number; pass an int"
        ) from error


def check_choice(name: str, value: Any, allowed: Collection[str]) -> None:
    """Raise DesignError unless a value is among the allowed values."""
    if value not in allowed:
        raise DesignError(f"Cannot use {name} = {value!r}; choose from {', '.join(allowed)}")


def check_level(level: float) -> None:
    """Raise DesignError unless the level is between 0.5 and 1."""
    if not 0.5 < level < 1:
        raise DesignError(
            f"Cannot use level = {level}: it is not between 0.5 and 1; use 0.95, for example"
        )
