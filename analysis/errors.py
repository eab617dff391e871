"""The two errors of the package, and checks that raise them.

A message says what cannot be done, why (what was found, with counts and the offending key), and what to do.
"""

from collections.abc import Collection
from operator import index
from typing import Any, NoReturn

_HEAD, _TAIL = 6000, 1500  # characters of a message; its end says what to do


class _RefusalError(ValueError):
    def __str__(self) -> str:
        """Return the message, shortened in the middle, without characters that a terminal would obey."""
        text = super().__str__()
        text = text if len(text) <= _HEAD + _TAIL else f"{text[:_HEAD]} ... {text[-_TAIL:]}"
        return "".join(sign if sign.isprintable() or sign == "\n" else ascii(sign)[1:-1] for sign in text)

    def _render_traceback_(self) -> list[str]:
        """Return the message alone, which IPython shows in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class DataError(_RefusalError):
    """The input contradicts its own description."""


class DesignError(_RefusalError):
    """The request is not identified by this design or these data."""


def refuse(where: Any, expected: str, actual: str, remedy: str) -> NoReturn:
    """Raise DataError for a file."""
    raise DataError(f"{where}: expected {expected}; found {actual}; {remedy}.")


def whole_number(name: str, value: Any) -> int:
    """Return a count or a column number as int; refuse anything but an integer, such as 2.0, with DesignError."""
    try:
        return index(value)
    except TypeError as error:
        raise DesignError(f"Cannot use {name} = {value!r}: it is not a whole number; give an int") from error


def check_choice(name: str, value: Any, allowed: Collection[str]) -> None:
    """Raise DesignError for a value that is not among those allowed."""
    if value not in allowed:
        raise DesignError(f"Cannot use {name} = {value!r}: it is none of {', '.join(allowed)}; choose one of these")
