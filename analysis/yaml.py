"""Read hand-written YAML as a model; errors name the file and the line or key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, cast

from fewtreated.errors import DataError, refuse
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent

from analysis.numbers import number_of
from analysis.untrusted import LONGEST_NAME, YAML_BYTES, YAML_DEPTH, admit, unseen

LONGEST_TEXT = 500

Model = TypeVar("Model", bound="Written")


def load(path: Path, model: type[Model]) -> Model:
    """Read a YAML file as a model; raise DataError if it is invalid.

    Every scalar remains text as written; the model interprets values such as 1688, no or
    2021-02-30. No message shows a value below one of the model's `secret_keys`.
    """
    admit(path, YAML_BYTES)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", error)
        raise DataError(
            f"{path}: expected a YAML file in UTF-8; {problem}; correct it, or name another file."
        ) from None
    return cast(Model, _model(path, text, model))


@lru_cache(maxsize=16)  # a run reads its schedule five times; instances are frozen
def _model(path: Path, text: str, model: type[Written]) -> Written:
    """Return the model of a YAML file with this text."""
    content = _content(path, text)
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        # which may be any file, so nothing of it is quoted
        refuse(path, "keys and values", "other content", "write `key: value` lines")
    if left := [*_unanswered(content)]:
        actual = f"{number_of(len(left), 'open question')}: {', '.join(left)}"
        refuse(path, "an answer to each question", actual, 'replace each "?" with its answer')
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise DataError(f"{path}, {_first_error(error, model)}; correct it.") from None


def _content(path: Path, text: str) -> Any:
    """Parse YAML."""
    try:
        _refuse_shape(path, text)
        return YAML(typ="base", pure=True).load(text)
    except DataError:
        raise
    except (OSError, ValueError, TypeError, YAMLError) as error:
        at = ""
        if mark := getattr(error, "problem_mark", None):
            at = f", line {mark.line + 1}"
        problem = getattr(error, "problem", getattr(error, "strerror", error))
        do = "correct it, or name another file"
        if isinstance(error, DuplicateKeyError):
            do = (
                "keep one of the two lines (once a question is answered, remove the line with the"
                ' value "?")'
            )
        raise DataError(f"{path}{at}: expected a YAML file in UTF-8; {problem}; {do}.") from None


def _first_error(error: ValidationError, model: type[Written]) -> str:
    """Return the key that does not fit a model, why, and what was found."""
    first = error.errors()[0]
    keys = first["loc"]
    where = "top level"
    if key := ".".join(str(part) for part in keys if part not in ("", "[key]")):
        where = f"key {key}"
    found = f"; found {first['input']!r:.60}"
    if model.secret_keys.intersection(keys):  # it may be a password instead of its variable's name
        found = "; found another value, which is not shown"
    why = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        why = "there is no such key"
        found = ""  # since the file may be another than was meant
        if len(keys) == 1:
            why += f" among {', '.join(model.model_fields)}"
    return f"{where}: {why}{found}"


def _refuse_shape(path: Path, text: str) -> None:
    """Raise DataError if YAML contains aliases, deep nesting or invalid characters.

    No value is built before the check.
    """
    depth = 0
    for event in YAML(typ="base", pure=True).parse(text):
        at = f"{path}, line {event.start_mark.line + 1}"
        do = "write it out as `key: value` lines"
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if isinstance(event, AliasEvent):
            refuse(at, "plain values", f"the alias *{event.anchor}", do)
        if depth > YAML_DEPTH:
            refuse(at, f"at most {YAML_DEPTH} levels of lists and keys", "more", do)
        if isinstance(event, ScalarEvent) and (
            odd := unseen(event.value.replace("\n", "").replace("\t", ""))
        ):
            refuse(at, "text", f"the character {odd} in it", "remove it")


def _unanswered(content: dict[str, Any], before: str = "") -> Iterator[str]:
    """Yield the keys whose value is a question mark, as in a proposed map."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _unanswered(value, f"{before}{key}.")
        elif value == "?":
            yield f"{before}{key}"


def is_(expected: str, holds: Callable[[Any], object]) -> AfterValidator:
    """Return a validator that raises ValueError unless `holds` returns true for the value."""

    def check(value: Any) -> Any:
        if not holds(value):
            raise ValueError(f"expected {expected.removesuffix(',')}")
        return value

    return AfterValidator(check)


def is_like(expected: str, pattern: str) -> AfterValidator:
    """Return a validator that raises ValueError unless the whole text matches a pattern."""
    return is_(expected, re.compile(pattern).fullmatch)


OneOrMore = BeforeValidator(lambda given: (given,) if isinstance(given, str) else given)
Text = Annotated[
    str,
    is_("text", str.strip),
    is_(f"text of at most {LONGEST_TEXT} characters", lambda text: len(text) <= LONGEST_TEXT),
]
Name = Annotated[
    Text,
    is_(f"a name of at most {LONGEST_NAME} characters", lambda text: len(text) <= LONGEST_NAME),
]
Texts = tuple[Text, ...]
Labels = Annotated[dict[Text, Text], Field(min_length=1)]


class Written(BaseModel):
    """Base class for models of hand-written files; instances are frozen and reject unknown keys."""

    model_config = {"extra": "forbid", "frozen": True}
    secret_keys: ClassVar[frozenset[str]] = frozenset()  # below which no message shows a value
