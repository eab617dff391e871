"""The two ways in which a request can be refused.

Every message has three clauses: what was asked, what was found (with counts and
the offending key), and what to do about it.
"""

from collections.abc import Collection
from operator import index
from typing import Any, NoReturn

_HEAD, _TAIL = 6000, 1500  # characters of a message; what is to be done stands at its end


class _RefusalError(ValueError):
    def __str__(self) -> str:
        """Return the message, long names cut and signs escaped that a terminal would obey."""
        text = super().__str__()
        text = text if len(text) <= _HEAD + _TAIL else f"{text[:_HEAD]} ... {text[-_TAIL:]}"
        return "".join(sign if sign.isprintable() or sign == "\n" else ascii(sign)[1:-1] for sign in text)

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows, as IPython asks: the message says it all, and the lines of code say nothing."""
        return [f"{type(self).__name__}: {self}"]


class DataError(_RefusalError):
    """The input is not what it says it is."""


class DesignError(_RefusalError):
    """What is asked for is not identified by this design or these data."""


def refuse(where: Any, expected: str, actual: str, remedy: str) -> NoReturn:
    """Raise the error of what is wrong with a file."""
    raise DataError(f"{where}: expected {expected}; found {actual}; {remedy}.")


def whole_number(name: str, value: Any) -> int:
    """Return a count or a column number as int; anything but an integer, such as 2.0, is a DesignError."""
    try:
        return index(value)
    except TypeError as wrong:
        raise DesignError(f"a whole number for {name} was asked for; found {value!r}; give an int") from wrong


def check_choice(name: str, value: Any, allowed: Collection[str]) -> None:
    """Refuse a word that is none of those allowed: a DesignError."""
    if value not in allowed:
        raise DesignError(f"{name} = {value!r} was asked for; there are {', '.join(allowed)}; choose one")
