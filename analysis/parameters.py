"""Read a notebook's parameters from their cell, and check them against the rules stated in it."""

from __future__ import annotations

import ast
import datetime
import difflib
import json
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from fewtreated.errors import DesignError
from pydantic import BaseModel, Field, ValidationError, create_model

from analysis.provenance import ROOT
from analysis.yaml import is_

NOTEBOOKS = ROOT / "notebooks"

Value = int | float | str | bool

RELATIONS: dict[
    str, Callable[[Any, Any], bool]
] = {  # of a parameter to another one, as its comment states it
    "at most": operator.le,
    "at least": operator.ge,
    "less than": operator.lt,
    "more than": operator.gt,
    "before": operator.lt,
    "after": operator.gt,
}


@dataclass(frozen=True)
class Relation:
    """A rule that ties a parameter to another one.

    Examples are ``at most share_high`` and ``at most 11 minus anticipation``.

    Attributes
    ----------
    words : str
        One of `RELATIONS`.
    other : str
        Name of the other parameter.
    minuend : int, optional
        Number from which the other parameter is subtracted.
    """

    words: str
    other: str
    minuend: int | None = None

    def __str__(self) -> str:
        """Write the rule as in the comment."""
        return f"{self.words} {self.bound}"

    @property
    def bound(self) -> str:
        """What the parameter is compared with, as in the comment."""
        if self.minuend is None:
            return self.other
        return f"{self.minuend} minus {self.other}"

    def holds(self, value: Any, other: Any) -> bool:
        """Return whether a value satisfies the rule, given that of the other parameter.

        Dates in the format YYYY-MM-DD compare as text.
        """
        return RELATIONS[self.words](value, other if self.minuend is None else self.minuend - other)


def is_date(text: str) -> bool:
    """Return whether text is a date in the format YYYY-MM-DD."""
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def parameter_model(notebook: Path) -> type[BaseModel]:
    """Return a strict model of a notebook's parameters.

    Its fields are the lines of the cell tagged ``parameters``. A line is an annotated literal. Its
    comment states the meaning and unit (the field's `description`) and a rule (its `title`):
    ``allowed LOW to HIGH``, ``allowed a | b``, ``allowed date`` or, for dates within limits,
    ``allowed 2021-06-20 to 2021-07-20``.

    Rules that tie a parameter to another one follow, each after a semicolon::

        share_low: float = 0.40  # lowest share; allowed 0.05 to 0.95; at most share_high
        post_to: int = 9  # last month; allowed 0 to 9; at least post_from; at most 11 minus
        anticipation

    The words are those of `RELATIONS`; ``before`` and ``after`` are for dates and years. Such a
    rule stands on one of the two lines, and is checked whichever of the two changed.

    Lines are parsed with `ast`: papermill's own reader skips a line with two equal signs, and takes
    more than a second to import in each kernel.
    """
    asked = f"Parameters of {notebook.name}"
    try:
        cells = json.loads(notebook.read_bytes())["cells"]
        found = tuple(
            "".join(cell["source"])
            for cell in cells
            if "parameters" in cell["metadata"].get("tags", [])
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DesignError(
            f"{asked}: {notebook} is not a notebook ({error!r}); check its name."
        ) from None
    return _model(notebook, found)


@lru_cache(maxsize=64)
def _model(notebook: Path, found: tuple[str, ...]) -> type[BaseModel]:
    asked = f"Parameters of {notebook.name}"
    if len(found) != 1:
        raise DesignError(
            f"{asked}: {len(found)} cells are tagged `parameters`; tag exactly one code cell."
        )
    fields: dict[str, Any] = {}
    for line in filter(str.strip, found[0].splitlines()):
        try:
            fields |= _field(line, fields)
        except (SyntaxError, ValueError, OverflowError) as error:
            example = "`delta_pp: float = 2.0  # percentage points; allowed 0 to 20`"
            raise DesignError(
                f"{asked}: `{line}` is not a parameter ({error}); write it like {example}."
            ) from None
    _refuse_unrelated(asked, fields)
    config: Any = {
        "extra": "forbid",
        "strict": True,
        "allow_inf_nan": False,
        "validate_default": True,
    }
    model: type[BaseModel] = create_model(notebook.stem, __config__=config, **fields)
    valid_values(model, model.model_validate, {})
    return model


def _field(line: str, known: Iterable[str]) -> dict[str, Any]:
    """Parse a line of the parameters cell into a field for `create_model`.

    Return no field for a comment.
    """
    kinds: dict[str, Any] = {"int": int, "float": float, "str": str, "bool": bool}
    match ast.parse(line).body:
        case []:
            return {}
        case [
            ast.AnnAssign(
                target=ast.Name(name), annotation=ast.Name(word), value=ast.expr() as value
            )
        ] if word in kinds and name not in known and name[0] != "_":
            kind = kinds[word]
            default = ast.literal_eval(value)
        case _:
            raise ValueError(
                "expected `name: type = literal`, with a new name and the type int, float, str or"
                " bool"
            )
    comment = line.encode()[value.end_col_offset :].decode().partition("#")[2].strip()
    stated = re.fullmatch(r"(.*[\s;,])?allowed\s+(.+)", comment)
    help_, rules = stated.groups() if stated else (comment, "")
    rule, *others = re.split(r"\s*;\s*", rules)
    relations = [_relation(text) for text in others]
    title = ", ".join([word, *filter(None, [_stated(kind, rule)]), *map(str, relations)])
    if word == "float" and type(default) is int:
        default = float(default)
    field = Field(default, title=title, description=(help_ or "").rstrip(" ;,"))
    limited = _limited(kind, rule)
    for relation in relations:
        limited = Annotated[limited, relation]
    return {name: (limited, field)}


def _stated(kind: type, rule: str) -> str:
    """Return what a rule allows, for messages; empty if there is no rule."""
    if kind is str and rule == "date":
        return "allowed a date YYYY-MM-DD"
    if rule:
        return f"allowed {rule}"
    return ""


def _days(rule: str) -> list[str]:
    """Return the first and last day of a rule such as ``2021-06-20 to 2021-07-20``.

    The list is empty if it is another rule.
    """
    days = rule.split(" to ")
    if len(days) == 2 and all(map(is_date, days)):
        return days
    return []


def _limited(kind: type, rule: str) -> Any:
    """Return a type that admits only what a rule allows.

    Raise ValueError for a rule that is not valid for the type.
    """
    words = re.split(r"\s*\|\s*", rule)
    if not rule:
        return kind
    if kind is str and rule == "date":
        return Annotated[str, is_("a date", is_date)]
    if kind is str and (days := _days(rule)):
        first, last = days
        return Annotated[
            str, is_("a date", is_date), is_("a day within", lambda day: first <= day <= last)
        ]
    if kind in (int, float) and (ends := re.fullmatch(r"(\S+) to (\S+)", rule)):
        return Annotated[kind, Field(ge=kind(ends[1]), le=kind(ends[2]))]
    spaced = re.search(r"\s", "".join(words))
    if kind is bool or (spaced and not (kind is str and len(words) > 1)):
        raise ValueError(f"`allowed {rule}` is not a valid rule for the type {kind.__name__}")
    return Annotated[kind, is_("one of these", [kind(one) for one in words].__contains__)]


def _relation(text: str) -> Relation:
    """Parse a rule that ties a parameter to another one; raise ValueError if it is none."""
    words = "|".join(RELATIONS)
    parts = re.fullmatch(rf"({words}) (?:(\d+) minus )?([^\W\d]\w*)", text)
    if parts is None:
        raise ValueError(
            f"`{text}` does not follow the allowed values as `at most OTHER`; use"
            f" {', '.join(RELATIONS)}"
        )
    return Relation(parts[1], parts[3], int(parts[2]) if parts[2] else None)


def _refuse_unrelated(asked: str, fields: Mapping[str, Any]) -> None:
    """Raise DesignError for a rule on a parameter that it cannot refer to.

    Such a parameter is not in the cell, or cannot be compared with the rule's own.
    """
    kinds = {name: field.title.partition(",")[0] for name, (_, field) in fields.items()}
    numbers = ("int", "float")
    for name, (limited, _) in fields.items():
        for relation in _relations(getattr(limited, "__metadata__", ())):
            other = kinds.get(relation.other, "no parameter of this cell")
            alike = kinds[name] == other or (kinds[name] in numbers and other in numbers)
            if (
                name == relation.other
                or not alike
                or (relation.minuend is not None and other not in numbers)
            ):
                found = (
                    f"{relation.other} is"
                    f" {other if relation.other not in kinds else f'of type {other}'}"
                )
                do = f"name another parameter that can be compared with {name}"
                raise DesignError(f"{asked}: {name} cannot be {relation} ({found}); {do}.")


def _relations(metadata: Iterable[object]) -> list[Relation]:
    return [one for one in metadata if isinstance(one, Relation)]


def settled(model: type[BaseModel], given: Mapping[str, str]) -> dict[str, Value]:
    """Return a notebook's parameters, with defaults overridden by text.

    The text is from a schedule or a command line.
    """
    return valid_values(model, model.model_validate_strings, given)


def checked_parameters(notebook: str, namespace: Mapping[str, object]) -> dict[str, Value]:
    """Return the checked parameters of a running notebook, given its ``globals()``.

    For use in the setup cell of a notebook.
    """
    model = parameter_model(NOTEBOOKS / notebook)
    return valid_values(
        model, model.model_validate, {name: namespace.get(name) for name in model.model_fields}
    )


def valid_values(
    model: type[BaseModel], read: Callable[..., BaseModel], given: Mapping[str, Any]
) -> dict[str, Value]:
    """Validate parameters.

    Raise DesignError if a name is unknown, a value is invalid or two contradict each other.
    """
    refuse_unknown(given, model.model_fields)
    try:
        values = read(given).model_dump()
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        found = error.errors()[0]["input"]
        wanted = model.model_fields[name].title
        raise DesignError(
            f"Parameter {name}: found {found!r:.60}; use a value of type {wanted}."
        ) from None
    for name, field in model.model_fields.items():
        for relation in _relations(field.metadata):
            other = values[relation.other]
            if not relation.holds(values[name], other):
                found = f"found {values[name]!r:.60}, but {relation.other} is {other!r:.60}"
                do = f"use a value {relation}, or change {relation.other} too"
                raise DesignError(f"Parameter {name}: {found}; {do}.")
    return values


def refuse_unknown(given: Iterable[str], known: Iterable[str]) -> None:
    """Raise DesignError for an unknown parameter name, suggesting a similar one."""
    names = sorted(known)
    for name in given:
        if name not in names:
            near = [*difflib.get_close_matches(name, names, n=1), "one of these"][0]
            known = ", ".join(names)
            raise DesignError(
                f"Parameter {name} does not exist; choose from {known}; did you mean {near}?"
            )
