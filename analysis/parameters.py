"""Read a notebook's parameters from their cell, and check them against the rules stated in it."""

from __future__ import annotations

import ast
import datetime
import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError, create_model

from analysis.errors import DesignError
from analysis.provenance import ROOT
from analysis.yaml import is_

NOTEBOOKS = ROOT / "notebooks"

Value = int | float | str | bool


def is_date(text: str) -> bool:
    """Return whether text is a date in the format YYYY-MM-DD."""
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def declared(notebook: Path) -> type[BaseModel]:
    """Return a strict model of a notebook's parameters.

    Its fields are the lines of the cell tagged ``parameters``. A line is an annotated literal. Its comment states the
    meaning and unit (the field's `description`) and a rule (its `title`): ``allowed LOW to HIGH``, ``allowed a | b`` or
    ``allowed date``. Lines are parsed with `ast`: papermill's own reader skips a line with two equal signs, and takes
    more than a second to import in each kernel.
    """
    asked = f"Parameters of {notebook.name}"
    try:
        cells = json.loads(notebook.read_bytes())["cells"]
        found = tuple("".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", []))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DesignError(f"{asked}: {notebook} is not a notebook ({error!r}); check its name.") from None
    return _model(notebook, found)


@lru_cache(maxsize=64)
def _model(notebook: Path, found: tuple[str, ...]) -> type[BaseModel]:
    asked = f"Parameters of {notebook.name}"
    if len(found) != 1:
        raise DesignError(f"{asked}: {len(found)} cells are tagged `parameters`; tag exactly one code cell.")
    fields: dict[str, Any] = {}
    for line in filter(str.strip, found[0].splitlines()):
        try:
            fields |= _field(line, fields)
        except (SyntaxError, ValueError, OverflowError) as error:
            example = "`delta_pp: float = 2.0  # percentage points; allowed 0 to 20`"
            raise DesignError(f"{asked}: `{line}` is not a parameter ({error}); write it like {example}.") from None
    config: Any = {"extra": "forbid", "strict": True, "allow_inf_nan": False, "validate_default": True}
    model: type[BaseModel] = create_model(notebook.stem, __config__=config, **fields)
    admitted(model, model.model_validate, {})
    return model


def _field(line: str, known: Iterable[str]) -> dict[str, Any]:
    """Parse a line of the parameters cell into a field for `create_model`.

    Return no field for a comment.
    """
    kinds: dict[str, Any] = {"int": int, "float": float, "str": str, "bool": bool}
    match ast.parse(line).body:
        case []:
            return {}
        case [ast.AnnAssign(target=ast.Name(name), annotation=ast.Name(word), value=ast.expr() as value)] if (
            word in kinds and name not in known and name[0] != "_"
        ):
            kind, default = kinds[word], ast.literal_eval(value)
        case _:
            raise ValueError("expected `name: type = literal`, with a new name and the type int, float, str or bool")
    comment = line.encode()[value.end_col_offset :].decode().partition("#")[2].strip()
    help_, rule = said.groups() if (said := re.fullmatch(r"(.*[\s;,])?allowed\s+(.+)", comment)) else (comment, "")
    words, title = re.split(r"\s*\|\s*", rule), f"{word}, allowed {rule}" if rule else word
    if kind is str and rule == "date":
        kind, title = Annotated[str, is_("a date", is_date)], f"{word}, allowed a date YYYY-MM-DD"
    elif kind in (int, float) and (ends := re.fullmatch(r"(\S+) to (\S+)", rule)):
        kind = Annotated[kind, Field(ge=kind(ends[1]), le=kind(ends[2]))]
    elif rule and (kind is bool or re.search(r"\s", "".join(words))):
        raise ValueError(f"`allowed {rule}` is not a valid rule for the type {word}")
    elif rule:
        kind = Annotated[kind, is_("one of these", [kind(one) for one in words].__contains__)]
    default = float(default) if word == "float" and type(default) is int else default
    return {name: (kind, Field(default, title=title, description=(help_ or "").rstrip(" ;,")))}


def settled(model: type[BaseModel], given: Mapping[str, str]) -> dict[str, Value]:
    """Return a notebook's parameters, with defaults overridden by text from a schedule or a command line."""
    return admitted(model, model.model_validate_strings, given)


def check(notebook: str, namespace: Mapping[str, object]) -> dict[str, Value]:
    """Return the checked parameters of a running notebook, given its ``globals()``.

    For use in the setup cell of a notebook.
    """
    model = declared(NOTEBOOKS / notebook)
    return admitted(model, model.model_validate, {name: namespace.get(name) for name in model.model_fields})


def admitted(model: type[BaseModel], read: Callable[..., BaseModel], given: Mapping[str, Any]) -> dict[str, Value]:
    """Validate parameters; raise DesignError if a name is unknown or a value is invalid."""
    refuse_unknown(given, model.model_fields)
    try:
        return read(given).model_dump()
    except ValidationError as error:
        name, found = str(error.errors()[0]["loc"][0]), error.errors()[0]["input"]
        wanted = model.model_fields[name].title
        raise DesignError(f"Parameter {name}: found {found!r:.60}; use a value of type {wanted}.") from None


def refuse_unknown(given: Iterable[str], known: Iterable[str]) -> None:
    """Raise DesignError for an unknown parameter name, suggesting a similar one."""
    names = sorted(known)
    for name in given:
        if name not in names:
            near = [*difflib.get_close_matches(name, names, n=1), "one of these"][0]
            known = ", ".join(names)
            raise DesignError(f"Parameter {name} does not exist; choose from {known}; did you mean {near}?")
