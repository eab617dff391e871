"""The Data Package descriptor: what each file is, and the only schema.

Nothing here needs pandas, so that a colophon or a manifest costs no import.
"""

from __future__ import annotations

import copy
import datetime
import hashlib
import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.errors import DataError

DATA = Path(__file__).resolve().parents[2] / "data"
"""The repository's data folder; every function takes another one as ``root``."""

DESCRIPTOR = "datapackage.json"


@dataclass(frozen=True)
class Card:
    """What a colophon says about one file.

    Attributes
    ----------
    name, title : str
        Name in the descriptor, and title for people.
    description, not_this : str
        What one row is, and what the file is not.
    path : str
        Path relative to the data folder.
    bytes : int
        Recorded size.
    sha256 : str
        Recorded hash, 64 hexadecimal digits.
    vintage : str
        Date of the recorded state, YYYY-MM-DD.
    sources : tuple of str
        Titles of the sources.
    """

    name: str
    title: str
    description: str
    not_this: str
    path: str
    bytes: int
    sha256: str
    vintage: str
    sources: tuple[str, ...]


def package(root: Path = DATA) -> dict[str, Any]:
    """Read the descriptor of a data folder.

    Raises
    ------
    DataError
        When it is missing, no JSON (names the line), or declares one name twice.
    """
    parsed = _parse(_text(root), root)
    declared = [entry["name"] for entry in parsed["resources"]]
    twice = sorted({name for name in declared if declared.count(name) > 1})
    if twice:
        raise DataError(
            f"Asked for the descriptor {root / DESCRIPTOR}; it declares {', '.join(twice)} twice; "
            "remove one of the two entries."
        )
    return parsed


def names(root: Path = DATA) -> list[str]:
    """Names of the declared files, in the order of the descriptor."""
    return [resource["name"] for resource in package(root)["resources"]]


def resource(name: str, root: Path = DATA) -> dict[str, Any]:
    """Return the declaration of one file.

    Raises
    ------
    DataError
        When no file of this name is declared.
    """
    declared = package(root)["resources"]
    for entry in declared:
        if entry["name"] == name:
            return dict(entry)
    raise DataError(
        f"Asked for the file {name!r} of {root / DESCRIPTOR}; "
        f"declared are {', '.join(entry['name'] for entry in declared)}; "
        "ask for one of these, or declare the file in the descriptor."
    )


def describe(name: str, root: Path = DATA) -> Card:
    """Title, hash, vintage and sources of one file, from the descriptor alone."""
    return _card(resource(name, root))


def newest(root: Path = DATA) -> Card:
    """Describe the file of the newest vintage, the first of them in the order of the descriptor."""
    return max(map(_card, package(root)["resources"]), key=lambda card: card.vintage)


def _card(entry: dict[str, Any]) -> Card:
    return Card(
        name=entry["name"],
        title=entry["title"],
        description=entry["description"],
        not_this=entry["notThis"],
        path=entry["path"],
        bytes=entry["bytes"],
        sha256=entry["hash"].removeprefix("sha256:"),
        vintage=entry["vintage"],
        sources=tuple(source["title"] for source in entry["sources"]),
    )


def digest(name: str, root: Path = DATA) -> str:
    """Return the recorded SHA-256 of one file: 64 hexadecimal digits, from the descriptor alone."""
    return describe(name, root).sha256


def find(path_or_name: str | Path, root: Path = DATA) -> str:
    """Name of the file that a name, or a path to it, means.

    Raises
    ------
    DataError
        When no declared file is meant.
    """
    wanted = Path(path_or_name).resolve()
    for entry in package(root)["resources"]:
        if str(path_or_name) == entry["name"] or wanted == (root / entry["path"]).resolve():
            return str(entry["name"])
    raise DataError(
        f"Asked to accept {path_or_name}; {root / DESCRIPTOR} declares no such file; "
        f"add a resource with its schema there first (declared: {', '.join(names(root))})."
    )


def record(name: str, content: bytes, vintage: str, root: Path = DATA) -> None:
    """Write size, hash and vintage of one file into the descriptor, and nothing else.

    The text around the three values stays as it is. The file is replaced in one step.

    Raises
    ------
    DataError
        When the vintage is no date, or the entry does not hold each of the three once.
    """
    text = _text(root)
    values = {
        "bytes": str(len(content)),
        "hash": f'"sha256:{hashlib.sha256(content).hexdigest()}"',
        "vintage": f'"{_date(vintage)}"',
    }
    start, end = _span(text, name, root)
    block = text[start:end]
    for key, value in values.items():
        block, count = re.subn(rf'("{key}"\s*:\s*)("[^"]*"|\d+)', rf"\g<1>{value}", block)
        if count != 1:
            raise DataError(
                f"Asked to record {name!r} in {root / DESCRIPTOR}; its entry holds {key!r} "
                f"{count} times; write it there exactly once."
            )
    changed = text[:start] + block + text[end:]
    _only_these_changed(text, changed, name, set(values), root)
    _replace(root / DESCRIPTOR, changed)


def _text(root: Path) -> str:
    try:
        return (root / DESCRIPTOR).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"Asked for the descriptor {root / DESCRIPTOR}; it cannot be read ({error}); "
            "restore it from git, or give the right data folder as root."
        ) from error


def _parse(text: str, root: Path) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"Asked for the descriptor {root / DESCRIPTOR}; line {error.lineno}, column "
            f"{error.colno} is no JSON ({error.msg}); mend that line."
        ) from error
    return parsed


def _span(text: str, name: str, root: Path) -> tuple[int, int]:
    """Where the entry of one file begins and ends in the text of the descriptor."""
    opening = re.search(r'^  "resources"\s*:\s*\[\s*', text, flags=re.MULTILINE)
    position = opening.end() if opening else len(text)
    while text[position : position + 1] == "{":
        entry, end = json.JSONDecoder().raw_decode(text, position)
        if entry.get("name") == name:
            return position, end
        separator = re.compile(r"\s*,\s*").match(text, end)
        position = separator.end() if separator else len(text)
    raise DataError(
        f"Asked to record {name!r} in {root / DESCRIPTOR}; its entry was not found in the list "
        '"resources" (indented by two spaces); restore that layout.'
    )


def _only_these_changed(before: str, after: str, name: str, keys: set[str], root: Path) -> None:
    expected = copy.deepcopy(_parse(before, root))
    written = _parse(after, root)
    for old, new in zip(expected["resources"], written["resources"], strict=True):
        if old["name"] == name:
            old.update({key: new[key] for key in keys})
    if expected != written:
        raise DataError(
            f"Asked to record {name!r} in {root / DESCRIPTOR}; more than {sorted(keys)} of it would "
            "have changed; nothing was written; use these keys nowhere else inside its entry."
        )


def _date(vintage: str) -> str:
    try:
        return datetime.date.fromisoformat(vintage).isoformat()
    except ValueError as error:
        raise DataError(f"Asked to record the vintage {vintage!r}; it is no date; give it as YYYY-MM-DD.") from error


def _replace(path: Path, text: str) -> None:
    """Put a text in the place of a file in one step, or leave the file untouched."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
