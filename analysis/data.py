"""Load, check and accept the files of the data package.

``data/datapackage.json`` states what a row of each file does and does not represent, the type and
constraints of each column, and the hash of the bytes last accepted. `check` and `accept` compare
files with it; `load` checks only the hash.

A table is of one event or of all. That of an event stands in ``data/events/EVENT``, and its name in
the descriptor begins with the event: ``amazon_2021/claims``. A short name, ``claims``, means the
table of the event that is studied, which `study` sets. If an event adds rows to a table of all, the
short name means both.
"""

from __future__ import annotations

import copy
import csv
import datetime
import hashlib
import io
import json
import math
import os
import re
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fewtreated.errors import DataError
from pydantic import BaseModel, Field, ValidationError

from analysis.numbers import day
from analysis.untrusted import admit, inside

if TYPE_CHECKING:
    import pandas as pd  # slow; imported only where a table is read

DATA = Path(__file__).resolve().parents[1] / "data"
"""The repository's data folder; every function accepts another as ``root``."""

DESCRIPTOR = "datapackage.json"
SHIPPED = "amazon_2021"
"""The event that comes with the project."""
LOADED: set[str] = set()
"""Names of the files loaded so far, of which a report says that it read them."""
_studied = [SHIPPED]
DTYPES = {
    "string": "str",
    "number": "float64",
    "integer": "Int64",
    "year": "Int64",
    "boolean": "boolean",
}
COMPLETE = {"integer": "int64", "year": "int64", "boolean": "bool"}  # if no value may be missing
SHOWN = 20  # problems listed in a message


def study(event: str) -> None:
    """Set the event whose tables short names mean from now on.

    Parameters
    ----------
    event : str
        A folder of ``data/events``; empty for an event without public figures.
    """
    _studied[0] = event


def studied() -> str:
    """Return the event whose tables short names mean."""
    return _studied[0]


def events(root: Path = DATA) -> list[str]:
    """Return the events that have tables of public figures, in the order of the descriptor."""
    return [*dict.fromkeys(event for event, _ in _of_events(root))]


def tables(event: str, root: Path = DATA) -> list[str]:
    """Return the short names of an event's tables."""
    return [table for of, table in _of_events(root) if of == event]


def _of_events(root: Path) -> list[tuple[str, str]]:
    """Return the event and the short name of each table of an event."""
    names = [entry["name"].partition("/") for entry in package(root)["resources"]]
    return [(event, table) for event, _, table in names if table]


def package(root: Path = DATA) -> dict[str, Any]:
    """Return the parsed descriptor, cached until the file changes."""
    admit(root / DESCRIPTOR)
    return _parsed(root / DESCRIPTOR, (root / DESCRIPTOR).stat().st_mtime_ns)


class _Field(BaseModel):
    name: str
    type: str
    constraints: dict[str, Any] = {}


class _Schema(BaseModel):
    fields: Annotated[list[_Field], Field(min_length=1)]
    missing: Annotated[list[str], Field(alias="missingValues")] = [""]


class _Resource(BaseModel):
    """Descriptor entry, limited to the keys that the code uses."""

    name: str
    path: Annotated[
        str, Field(pattern=r"^\w[\w.-]*(/\w[\w.-]*)*$")
    ]  # no URL, which frictionless would fetch
    title: str = ""
    vintage: datetime.date
    bytes: int
    hash: str
    rows: Annotated[_Schema | None, Field(alias="schema")] = (
        None  # absent for files that are not tables
    )
    sources: list[dict[str, str]] = []


class _Package(BaseModel):
    resources: Annotated[list[_Resource], Field(min_length=1)]


@lru_cache(maxsize=8)
def _parsed(path: Path, _: int) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _Package.model_validate(parsed)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}, line {error.lineno}: invalid JSON ({error.msg}); correct it"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise DataError(
            f"{path}, key {key}: {first['msg']} (found {first['input']!r:.60}); correct it"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"Cannot read {path} as UTF-8 JSON: {error}; restore it from git") from None
    _refuse_resources(path, parsed["resources"])
    return parsed


def _refuse_resources(path: Path, entries: list[dict[str, Any]]) -> None:
    """Raise DataError if a file is declared twice, or may not be read."""
    names = [entry["name"] for entry in entries]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(
            f"Cannot use {path}: it declares {', '.join(twice)} twice; remove the duplicates"
        )
    for entry in entries:
        file = inside(path.parent, entry["path"])
        if file.exists():  # missing files are reported with all other problems
            admit(file)


def card(name: str, root: Path = DATA) -> dict[str, Any]:
    """Return a file's card: its entry in the descriptor.

    Its keys include title, notThis, path, hash, vintage and schema. If a short name means two
    files, it is the card of the event's.
    """
    return _cards(name, root)[-1]


def _cards(name: str, root: Path, event: str | None = None) -> list[dict[str, Any]]:
    """Return the cards that a name means: that of all events first."""
    found = _meant(name, root, event)
    if not found:
        names = ", ".join(entry["name"] for entry in package(root)["resources"])
        raise DataError(
            f"Cannot find the file {name!r}: {DESCRIPTOR} declares only {names}; choose or"
            " declare one"
        )
    return found


def _meant(name: str, root: Path, event: str | None) -> list[dict[str, Any]]:
    of = studied() if event is None else event
    names = (name, f"{of}/{name}")
    entries = package(root)["resources"]
    return [dict(entry) for each in names for entry in entries if entry["name"] == each]


def newest(root: Path = DATA) -> dict[str, Any]:
    """Return the card of the file with the latest vintage."""
    return dict(max(package(root)["resources"], key=lambda entry: entry["vintage"]))


def load(name: str, *, root: Path = DATA, event: str | None = None) -> pd.DataFrame:
    """Load a file as a typed DataFrame.

    Parameters
    ----------
    name : str
        Name in the descriptor, for example ``"market_targets"``, or the short name of an event's
        table, for example ``"listed_sellers"``.
    root : Path
        Data folder that contains ``datapackage.json``.
    event : str, optional
        The event of a short name; by default the one that is studied.

    Returns
    -------
    DataFrame
        The columns of the schema in its order: str, float64, int64 (Int64 if values may be
        missing), bool (boolean if they may be missing) or datetime64. Missing values are NA.

    Raises
    ------
    DataError
        If the file is not declared, is missing, or differs from the accepted bytes; or if an event
        repeats a row of the table that it adds to.
    """
    import pandas as pd

    cards = _cards(name, root, event)
    tables = [_table(entry, root) for entry in cards]
    if len(tables) == 1:
        return tables[0]
    both = pd.concat(tables, ignore_index=True)
    key = cards[0]["schema"].get("primaryKey", list(both))
    if (twice := both.duplicated(key)).any():
        row = ", ".join(both.loc[twice, key].iloc[0].astype(str))
        paths = " and ".join(str(root / entry["path"]) for entry in cards)
        raise DataError(f"Cannot read {paths} together: both have {row}; remove it from one")
    return both


def _table(entry: dict[str, Any], root: Path) -> pd.DataFrame:
    """Load the file of a card."""
    import pandas as pd

    LOADED.add(entry["name"])
    content, changed = _read(entry, root)
    _refuse(changed, f"load {entry['name']}")
    if "schema" not in entry:
        raise DataError(f"Cannot load {root / entry['path']}: it is no table of text; open it")
    fields = entry["schema"]["fields"]
    dates = [field["name"] for field in fields if field["type"] == "date"]
    try:
        frame = pd.read_csv(
            io.BytesIO(content),
            dtype={
                field["name"]: DTYPES[field["type"]] for field in fields if field["type"] != "date"
            },
            parse_dates=dates,
            keep_default_na=False,
            na_values=entry["schema"].get("missingValues", [""]),
            true_values=["true", "True", "TRUE", "1"],
            false_values=["false", "False", "FALSE", "0"],
        )
        return frame.astype(_complete_types(fields))
    except (ValueError, KeyError, TypeError, OverflowError) as error:  # it was accepted by hand
        do = "run `market-impact check` to list the problems"
        raise DataError(f"Cannot read {root / entry['path']} as declared: {error}; {do}") from None


def _complete_types(fields: list[dict[str, Any]]) -> dict[str, str]:
    """Return the types of the columns in which no value may be missing."""
    return {
        field["name"]: COMPLETE[field["type"]]
        for field in fields
        if field.get("constraints", {}).get("required") and field["type"] in COMPLETE
    }


def documents(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the documents cited in the `source_url` column of the given rows, most cited first.

    Returns
    -------
    DataFrame
        One row per address: the columns of ``documents.csv`` (the publisher defaults to the
        `source_publisher` of the rows), `cited`, the citation as printed, and `site`, the website
        on which the document was read.
    """
    given = rows.reindex(columns=["source_url", "source_publisher"]).astype(object)
    found = given.merge(load("documents"), how="left", on="source_url").fillna("").astype(str)
    found["publisher"] = found["publisher"].where(
        found["publisher"] != "", found["source_publisher"]
    )
    parts = zip(found["publisher"], found["document"], found["date"].map(day), strict=True)
    found["cited"] = [", ".join(filter(None, part)) for part in parts]
    found["site"] = (
        found["source_url"].str.extract(r"//(?:www\.)?((?:github\.com/[^/]+/)?[^/]+)")[0].fillna("")
    )
    found = found.iloc[(-found["cited"].map(found["cited"].value_counts())).argsort(kind="stable")]
    return found[found["cited"] != ""].drop_duplicates("source_url", ignore_index=True)


def verified(name: str, *, root: Path = DATA) -> str:
    """Check the bytes that a name means against their hashes, and return the cards as JSON.

    Raises DataError under the same conditions as `load`.
    """
    cards = _cards(name, root)
    for entry in cards:
        _refuse(_read(entry, root)[1], f"load {entry['name']}")
    return json.dumps(cards)


def check_files(root: Path = DATA, *, accepted: str = "") -> pd.DataFrame:
    """Check every file against its declaration.

    Parameters
    ----------
    root : Path
    accepted : str
        A file that has just been accepted; an error message then ends with a list of the files
        still to be corrected.

    Returns
    -------
    DataFrame
        One row per file: name, file, rows, bytes, vintage, sha256.

    Raises
    ------
    DataError
        If any file has a problem: its bytes were not accepted, a value violates the schema, or it
        is not declared. The message lists the problems of all files.
    """
    import pandas as pd

    entries = package(root)["resources"]
    declared = {root / entry["path"] for entry in entries}
    there = {
        path for folder in {file.parent for file in declared} for path in folder.glob("[!.]*.csv")
    }
    loose = sorted(there - declared)
    problems = [f"{path}: not declared; declare it in {DESCRIPTOR}, or remove it" for path in loose]
    summary = []
    broken = list[str]()
    wrong = [str(path.relative_to(root)) for path in loose]
    for entry in entries:
        rows, faults = _validated(entry, root)
        _, changed = _read(entry, root)
        # files first, or their rows would hide other files
        problems = problems + changed
        broken = broken + faults
        wrong += [entry["path"]] if changed or faults else []
        summary.append(
            (
                entry["name"],
                entry["path"],
                rows,
                entry["bytes"],
                entry["vintage"],
                entry["hash"][7:],
            )
        )
    if accepted:
        last = f"{accepted} was accepted; still to be corrected: {', '.join(wrong)}"
    else:
        last = ""
    _refuse(problems + broken, f"accept {root} as it is", last)
    return pd.DataFrame(summary, columns=["name", "file", "rows", "bytes", "vintage", "sha256"])


def accept(name: str | Path, *, vintage: str, root: Path = DATA) -> dict[str, Any]:
    """Record an intentional change to a file in the descriptor.

    The file's size, hash and vintage there are updated.

    Parameters
    ----------
    name : str or Path
        The file, or its name in the descriptor.
    vintage : str
        Date of the change, YYYY-MM-DD.

    Returns
    -------
    dict
        The card of the file.

    Raises
    ------
    DataError
        If the changed file violates its schema, or the vintage is not a date; nothing is written
        then.
    """
    by_path = {
        (root / entry["path"]).resolve(): entry["name"] for entry in package(root)["resources"]
    }
    entry = card(by_path.get(Path(name).resolve(), str(name)), root)
    _refuse(_validated(entry, root)[1], f"accept {entry['path']}")
    try:
        datetime.date.fromisoformat(vintage)
    except ValueError:
        raise DataError(
            f"Cannot use the vintage {vintage!r}: it is not a date; write it as YYYY-MM-DD"
        ) from None
    content = (root / entry["path"]).read_bytes()
    new = {
        "bytes": len(content),
        "hash": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "vintage": vintage,
    }
    expected = copy.deepcopy(package(root))
    next(other for other in expected["resources"] if other["name"] == entry["name"]).update(new)
    # Edited as text, to keep the layout: the three keys follow the path in this order.
    old = (
        rf'("path": "{re.escape(entry["path"])}".*?"bytes": )\d+(,\s*"hash":'
        r' )"[^"]*"(,\s*"vintage": )"[^"]*"'
    )
    text = (root / DESCRIPTOR).read_text(encoding="utf-8")
    text = re.sub(
        old,
        rf'\g<1>{new["bytes"]}\g<2>"{new["hash"]}"\g<3>"{vintage}"',
        text,
        count=1,
        flags=re.DOTALL,
    )
    if json.loads(text) != expected:
        where = f"the entry {entry['name']} in {root / DESCRIPTOR}"
        raise DataError(
            f"Cannot update {where}: its path must be followed by {', '.join(new)}; reorder its"
            " keys"
        )
    replace(root / DESCRIPTOR, text)
    return entry | new


def replace(path: Path, text: str) -> None:
    """Replace a file's text atomically."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def rows(name: str, *, root: Path = DATA) -> list[dict[str, str]]:
    """Load a file's rows as dicts of text, without importing pandas.

    Raises DataError under the same conditions as `load`.
    """
    content, changed = _read(card(name, root), root)
    _refuse(changed, f"load {name}")
    return [*csv.DictReader(io.StringIO(content.decode("utf-8")))]


def _read(entry: dict[str, Any], root: Path) -> tuple[bytes, list[str]]:
    """Return a file's bytes and a list of problems with them."""
    file = root / entry["path"]
    try:
        state = file.stat()
        content, digest = _hashed(file, state.st_mtime_ns, state.st_size)
    except OSError as error:
        return b"", [
            f"{file}: {error.strerror}; restore it from git, or remove its entry from {DESCRIPTOR}"
        ]
    if digest == entry["hash"]:
        return content, []
    remedy = (
        f"undo the change (git log -- {file} shows whether it was committed), or if it is intended,"
        f" run: market-impact check --accept {file}"
    )
    return content, [f"{file}: its hash is {digest}, not the accepted {entry['hash']}; {remedy}"]


@lru_cache(maxsize=64)
def _hashed(file: Path, *_: int) -> tuple[bytes, str]:
    """Return a file's bytes and their hash, cached by modification time and size."""
    content = file.read_bytes()
    return content, f"sha256:{hashlib.sha256(content).hexdigest()}"


def _validated(entry: dict[str, Any], root: Path) -> tuple[int, list[str]]:
    """Validate a file; return its number of rows and a list of schema violations."""
    from frictionless import FrictionlessException
    from frictionless.resources import TableResource

    if "schema" not in entry:
        return 0, []
    file = root / entry["path"]
    if unknown := {field["type"] for field in entry["schema"]["fields"]} - {*DTYPES, "date"}:
        return 0, [
            f"{file}: its schema has columns of type {', '.join(unknown)}; use one of"
            f" {', '.join(DTYPES)}, date"
        ]
    declared = {
        key: value for key, value in entry.items() if key not in ("bytes", "hash")
    }  # `_read` compares them
    try:
        table = TableResource.from_descriptor(declared, basepath=str(root))
        task = table.validate().tasks[0]
    except (FrictionlessException, ValueError, TypeError) as wrong:  # raised by an invalid schema
        return 0, [f"{file}: its schema cannot be read ({wrong}); correct it in {DESCRIPTOR}"]
    rows = dict[int, list[Any]]()
    for error in task.errors:
        rows.setdefault(getattr(error, "row_number", -id(error)), []).append(error)
    problems = [f"{file}: {_fault(errors)}" for errors in rows.values()]
    if task.valid:  # Table Schema allows NaN and INF as numbers
        problems += [
            f"{file}: row {row.row_number}, column {column}: found {value}; numbers must be finite"
            " or missing; correct it"
            for row in table.read_rows()
            for column, value in row.to_dict().items()
            if isinstance(value, Decimal) and not math.isfinite(value)
        ]
    return int(task.stats.get("rows", 0)), problems


def _fault(errors: list[Any]) -> str:
    """Describe the errors of one row, and say what to do."""
    missing = [error for error in errors if error.type == "missing-cell"]
    cells = missing or errors  # others follow from missing cells
    messages = {error.type: error.message for error in reversed(cells)}
    fault = "; ".join(messages.values())
    if len(cells) > len(messages):
        fault += f" (and {len(cells) - len(messages)} more in this row)"
    remedies = {"encoding-error": "save it as UTF-8", "scheme-error": "restore it from git"}
    other = f"correct it, or the schema in {DESCRIPTOR}"
    return f"{fault}; {remedies.get(cells[0].type, other)}"


def _refuse(problems: list[str], action: str, last: str = "") -> None:
    if problems:
        if len(problems) == 1:
            counted = "1 problem"
        else:
            counted = f"{len(problems)} problems"
        if len(problems) > SHOWN:
            first = f", the first {SHOWN} of which are"
        else:
            first = ""
        lines = "\n  ".join([f"Cannot {action}: found {counted}{first}:", *problems[:SHOWN]])
        raise DataError(f"{lines}\n{last}".rstrip())
