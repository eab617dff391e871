"""Files that people write in YAML: read as a model; what is wrong is refused by file, line or key."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent

from analysis.errors import DataError, refuse
from analysis.untrusted import YAML_BYTES, YAML_DEPTH, admit

LONGEST_TEXT = 500

Model = TypeVar("Model", bound=BaseModel)


def load(path: Path, model: type[Model]) -> Model:
    """Read a YAML file as a model; a `DataError` names file, line or key, what was found and what to do.

    Every scalar is text as it was written: what the label 1688 or no is, or a date 2021-02-30, the model says.
    """
    admit(path, YAML_BYTES)
    try:
        text = path.read_text(encoding="utf-8")
        _refuse_shape(path, text)
        content = YAML(typ="base", pure=True).load(text)
    except DataError:
        raise
    except (OSError, ValueError, TypeError, YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", getattr(error, "strerror", error))
        twice = 'keep one of the two lines: of a question that is answered, remove that with the value "?"'
        do = twice if isinstance(error, DuplicateKeyError) else "mend or name it"
        raise DataError(f"{path}{line}: a file of YAML in UTF-8 was asked for; {problem}; {do}") from None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise DataError(f"{path}: keys and values were asked for; found {content!r:.60}; write `key: value` lines")
    if left := [*_unanswered(content)]:
        found = f"{len(left)} {'question is' if len(left) == 1 else 'questions are'} open: {', '.join(left)}"
        raise DataError(f'{path}: an answer to each question was asked for; {found}; write it over each "?"')
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"] if part not in ("", "[key]"))
        asked, found = first["msg"].removeprefix("Value error, "), f"{first['input']!r:.60}"
        if "notices" in first["loc"]:  # it may be a password that somebody wrote where its variable's name belongs
            found = "something else, which is not shown"
        if first["type"] == "extra_forbidden":
            beside = f" beside {', '.join(model.model_fields)}" if len(first["loc"]) == 1 else ""
            asked = f"there is no such key{beside}"
        raise DataError(f"{path}, key {key or 'of the file'}: {asked}; found {found}; correct it") from None


def _refuse_shape(path: Path, text: str) -> None:
    """Refuse what grows or nests without end, and signs that no text has, before a value is made of it."""
    depth = 0
    for event in YAML(typ="base", pure=True).parse(text):
        at, do = f"{path}, line {event.start_mark.line + 1}", "write it out, a `key: value` line for each"
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if isinstance(event, AliasEvent):
            refuse(at, "plain values", f"the alias *{event.anchor}", do)
        if depth > YAML_DEPTH:
            refuse(at, f"at most {YAML_DEPTH} levels of lists and keys", "more", do)
        if isinstance(event, ScalarEvent) and (odd := [sign for sign in event.value if _is_odd(sign)]):
            refuse(at, "text", f"the sign {ascii(odd[0])[1:-1]} in it", "write it without that sign")


def _is_odd(sign: str) -> bool:
    return sign not in "\n\t" and unicodedata.category(sign) in ("Cc", "Cs")  # no text may hold a surrogate


def _unanswered(content: dict[str, Any], before: str = "") -> Iterator[str]:
    """Yield the keys of which the value is a question mark, as a proposed map asks."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _unanswered(value, f"{before}{key}.")
        elif value == "?":
            yield f"{before}{key}"


def is_(asked: str, holds: Callable[[Any], object]) -> AfterValidator:
    """Return a validator that refuses a value of which `holds` is not true, with what was asked for."""

    def check(value: Any) -> Any:
        if not holds(value):
            raise ValueError(f"{asked} was asked for")
        return value

    return AfterValidator(check)


def is_like(asked: str, pattern: str) -> AfterValidator:
    """Return a validator that refuses text that does not match a whole pattern."""
    return is_(asked, re.compile(pattern).fullmatch)


OneOrMore = BeforeValidator(lambda given: (given,) if isinstance(given, str) else given)
Text = Annotated[
    str,
    is_("text", str.strip),
    is_(f"text of at most {LONGEST_TEXT} characters", lambda text: len(text) <= LONGEST_TEXT),
]
Texts = tuple[Text, ...]
Labels = Annotated[dict[Text, Text], Field(min_length=1)]


class Written(BaseModel):
    """The base of what people write: frozen, and without keys that it does not know."""

    model_config = {"extra": "forbid", "frozen": True}
