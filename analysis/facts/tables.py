"""Load, check and accept the files of the data package."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.errors import DataError
from analysis.facts import descriptor
from analysis.facts.casting import cast
from analysis.facts.descriptor import DATA
from analysis.facts.reading import Problem, changed, read

SHOWN = 20
"""How many problems a message lists before it counts the rest."""


def load(name: str, *, root: Path = DATA) -> pd.DataFrame:
    """Load one file as a typed frame.

    Parameters
    ----------
    name : str
        Name in the descriptor, for example ``"listed_sellers"``.
    root : Path
        Data folder that holds ``datapackage.json``.

    Returns
    -------
    DataFrame
        The columns of the schema in its order; see `analysis.facts.casting.cast` for the
        types. Missing values are NA.

    Raises
    ------
    DataError
        When a byte differs from the descriptor, or header, types, constraints or keys
        differ from the schema. It lists every problem with file, row and column.
    """
    entry = descriptor.resource(name, root)
    content, problems = _content(entry, root)
    if not problems:
        problems = changed(content, entry, _called(entry, root))
        frame, broken = _table(content, entry, root)
        problems += broken
    if problems:
        raise DataError(_message(f"Asked to load {name!r}", problems))
    return frame


def check(root: Path = DATA) -> pd.DataFrame:
    """Validate every declared file.

    Returns
    -------
    DataFrame
        One row per file: name, file, rows, bytes, vintage, sha256.

    Raises
    ------
    DataError
        Once, with the problems of all files, and the files that nothing declares.
    """
    problems, summary = _undeclared(root), []
    for name in descriptor.names(root):
        entry = descriptor.resource(name, root)
        content, wrong = _content(entry, root)
        if not wrong:
            frame, broken = _table(content, entry, root)
            wrong = changed(content, entry, _called(entry, root)) + broken
            card = descriptor.describe(name, root)
            summary.append((name, card.path, len(frame), card.bytes, card.vintage, card.sha256))
        problems += wrong
    if problems:
        raise DataError(_message(f"Asked to check {root}", problems))
    return pd.DataFrame(summary, columns=["name", "file", "rows", "bytes", "vintage", "sha256"])


def accept(path_or_name: str | Path, *, vintage: str, root: Path = DATA) -> descriptor.Card:
    """Record a deliberate change of a file in the descriptor.

    Only its bytes, hash and vintage are written, in one step; the rest of the
    descriptor keeps its text.

    Parameters
    ----------
    path_or_name : str or Path
        The file, or its name in the descriptor.
    vintage : str
        Date of the change, YYYY-MM-DD.

    Returns
    -------
    Card
        What the descriptor now says about the file.

    Raises
    ------
    DataError
        When the changed file breaks the schema; nothing is written then.
    """
    name = descriptor.find(path_or_name, root)
    entry = descriptor.resource(name, root)
    content, problems = _content(entry, root)
    if not problems:
        problems = _table(content, entry, root)[1]
    if problems:
        raise DataError(_message(f"Asked to accept {name!r}", problems))
    descriptor.record(name, content, vintage, root)
    return descriptor.describe(name, root)


def _called(entry: dict[str, Any], root: Path) -> str:
    """How messages call a file: from the repository's top level, or the whole path."""
    shown = Path(DATA.name) if root == DATA else root
    return str(shown / entry["path"])


def _content(entry: dict[str, Any], root: Path) -> tuple[bytes, list[Problem]]:
    try:
        return (root / entry["path"]).read_bytes(), []
    except OSError as error:
        do = "restore it from git, or remove its entry from datapackage.json"
        return b"", [Problem(_called(entry, root), "a file", str(error.strerror), do)]


def _table(content: bytes, entry: dict[str, Any], root: Path) -> tuple[pd.DataFrame, list[Problem]]:
    frame, problems = _typed(content, json.dumps(entry), _called(entry, root))
    return frame.copy(), list(problems)


@lru_cache(maxsize=32)
def _typed(content: bytes, declared: str, file: str) -> tuple[pd.DataFrame, list[Problem]]:
    """Cast once per content and declaration, since a notebook asks for the same files many times."""
    entry = json.loads(declared)
    text = read(content, entry, file)
    if text.problems:
        return pd.DataFrame(), text.problems
    return cast(text, entry["schema"], file)


def _undeclared(root: Path) -> list[Problem]:
    """Files that nothing declares; hidden ones, such as the Finder's .DS_Store, are no data."""
    declared = {(root / descriptor.resource(name, root)["path"]).resolve() for name in descriptor.names(root)}
    return [
        Problem(str(path), "a declared file", "no entry in datapackage.json", "declare it there, or remove it")
        for path in sorted([*root.glob("*.csv"), *(root / "facts").iterdir()])
        if path.resolve() not in declared and not path.name.startswith(".")
    ]


def _message(asked: str, problems: list[Problem]) -> str:
    counted = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = [f"{asked}; {counted}:", *(f"  {problem}" for problem in problems[:SHOWN])]
    if len(problems) > SHOWN:
        lines.append(f"  ... and {len(problems) - SHOWN} more; mend these first.")
    return "\n".join(lines)
