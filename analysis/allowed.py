"""Which values a parameter may have: its type, and the rule after ``allowed`` in its comment.

A rule is one of

- ``LOW to HIGH``, both ends included: numbers for an int or float, dates YYYY-MM-DD for a str. Either end
  may be the name of another parameter of the notebook; its value in force is the bound then::

      share_low: float = 0.33  # lowest share; allowed 0.05 to share_high

- ``a | b | c``: one of these;
- ``date``: a date YYYY-MM-DD.
"""

import datetime
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.errors import DesignError

Value = int | float | str | bool

TYPES = {"int": int, "float": float, "str": str, "bool": bool}
_NUMBERS = {
    "int": re.compile(r"[+-]?[0-9]+"),
    "float": re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"),
}
_RANGE = re.compile(r"(\S+) to (\S+)")
_TIERS = re.compile(r"tiers? (\w+(?:, \w+)*): ")


@dataclass(frozen=True)
class Parameter:
    """One line of a notebook's parameters cell.

    Attributes
    ----------
    name : str
    type : str
        ``"int"``, ``"float"``, ``"str"`` or ``"bool"``.
    default : int, float, str or bool
        The value that the notebook uses when it is run by hand.
    help : str
        Meaning and unit, from the comment; empty if there is none. What begins with ``tier sim:`` or ``tiers panel,
        sim:`` belongs to these tiers of data alone.
    allowed : str
        The rule after ``allowed`` in the comment; empty if any value of the type will do.
    """

    name: str
    type: str
    default: Value
    help: str
    allowed: str

    @property
    def tiers(self) -> tuple[str, ...]:
        """The tiers of data that it belongs to; none means all."""
        found = _TIERS.match(self.help)
        return tuple(found[1].split(", ")) if found else ()

    @property
    def ends(self) -> tuple[str, ...]:
        """Both ends of its range as written, numbers, dates or names; empty without a range."""
        found = _RANGE.fullmatch(self.allowed)
        return found.groups() if found else ()

    @property
    def kind(self) -> str:
        """What can be compared with it: ``"number"``, ``"date"``, or else its type."""
        if self.type in _NUMBERS:
            return "number"
        return "date" if self.type == "str" and (self.ends or self.allowed == "date") else self.type

    @property
    def wanted(self) -> str:
        """What a value must be, in words."""
        if self.kind == "date":
            return f"{self.type}, allowed a date YYYY-MM-DD" + (f", {self.allowed}" if self.ends else "")
        return f"{self.type}, allowed {self.allowed}" if self.allowed else self.type


def is_date(value: object) -> bool:
    """Whether `value` is the text of a date, YYYY-MM-DD."""
    if not (isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value)):
        return False
    try:
        datetime.date.fromisoformat(value)
    except ValueError:
        return False
    return True


def from_text(kind: str, text: str) -> Value:
    """Read text as a value of a type; what cannot be read stays text, and is refused as such."""
    if kind == "bool":
        return {"true": True, "false": False}.get(text, text)
    if kind in _NUMBERS and _NUMBERS[kind].fullmatch(text):
        return int(text) if kind == "int" else float(text)
    return text


def refuse_no_rule(parameter: Parameter, known: Mapping[str, Parameter]) -> None:
    """Raise `DesignError` if the rule of a parameter is none, or names a parameter that cannot bound it."""
    if not _is_rule(parameter, known):
        raise DesignError(
            f"Parameter {parameter.name}: the comment says `allowed {parameter.allowed}`, which is no rule for "
            f"{parameter.type}; write `allowed LOW to HIGH` (each a number, a date, or the name of another such "
            "parameter of the notebook), `allowed a | b | c` or `allowed date`."
        )


def admit(known: Mapping[str, Parameter], values: Mapping[str, object]) -> dict[str, Value]:
    """Check values against types and rules, which may lean on each other's values.

    Parameters
    ----------
    known : mapping of name to Parameter
    values : mapping
        A value for each of them; an int will do for a float.

    Returns
    -------
    dict
        A value of its type for each parameter, in the order of `known`.

    Raises
    ------
    DesignError
        For the first value of a wrong type, else for the first one that is not allowed.
    """
    typed = {name: _typed(parameter, values[name]) for name, parameter in known.items()}
    for name, parameter in known.items():
        if not _permits(parameter, typed):
            raise _refusal(parameter, typed[name], _in_force(parameter, typed))
    return typed


def _is_rule(parameter: Parameter, known: Mapping[str, Parameter]) -> bool:
    if not parameter.allowed or (parameter.allowed == "date" and parameter.type == "str"):
        return True
    if parameter.ends and parameter.kind in ("number", "date"):
        return all(_is_bound(end, parameter, known) for end in parameter.ends)
    words = _words(parameter)
    return all(type(word) is TYPES[parameter.type] and re.fullmatch(r"\S+", str(word)) for word in words)


def _is_bound(end: str, parameter: Parameter, known: Mapping[str, Parameter]) -> bool:
    if end in known:
        return end != parameter.name and known[end].kind == parameter.kind
    if parameter.kind == "date":
        return is_date(end)
    return parameter.kind == "number" and isinstance(from_text("float", end), float)


def _typed(parameter: Parameter, value: object) -> Value:
    if parameter.type == "float" and type(value) is int:
        value = float(value)
    fits = type(value) is TYPES[parameter.type] and (parameter.kind != "date" or is_date(value))
    if isinstance(value, Value) and fits and not (isinstance(value, float) and not math.isfinite(value)):
        return value
    raise _refusal(parameter, value)


def _permits(parameter: Parameter, values: Mapping[str, Value]) -> bool:
    value: Any = values[parameter.name]
    if parameter.ends:
        low, high = (_bound(end, parameter, values) for end in parameter.ends)
        return bool(low <= value <= high)
    return parameter.allowed in ("", "date") or value in _words(parameter)


def _bound(end: str, parameter: Parameter, values: Mapping[str, Value]) -> Any:
    return values[end] if end in values else from_text("float" if parameter.kind == "number" else "str", end)


def _words(parameter: Parameter) -> list[Value]:
    return [from_text(parameter.type, word) for word in re.split(r"\s*\|\s*", parameter.allowed)]


def _in_force(parameter: Parameter, values: Mapping[str, Value]) -> str:
    """Say what the named bounds are in this run."""
    named = [f"{end} is {values[end]}" for end in parameter.ends if end in values]
    return f", where {' and '.join(named)}" if named else ""


def _refusal(parameter: Parameter, value: object, in_force: str = "") -> DesignError:
    return DesignError(
        f"Parameter {parameter.name}: found {value!r} ({type(value).__name__}); "
        f"give a value that is {parameter.wanted}{in_force}."
    )
