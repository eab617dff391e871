"""Connect to a database, and open one of its tables.

No message quotes anything of the database's address, which may contain a password.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from fewtreated.errors import refuse

from analysis.panel.map import RECOGNISED, refusal_words

_NAMES_SHOWN = 10


@contextmanager
def database(path: Path, engine: str) -> Iterator[Any]:
    """Connect to the database of the table `path`.

    Raises
    ------
    DataError
        If there is no driver for it, no server answers, it refuses the login, or it has no database
        of that name: a sentence each.
    """
    import ibis  # slow

    try:
        remote = ibis.connect(engine)
    except Exception as error:
        key = "no driver" if isinstance(error, ImportError) else _fault(error)
        words = refusal_words(key, error=type(error).__name__)
    else:
        try:
            yield remote
        finally:
            remote.disconnect()
        return
    refuse(path, *words)


def _fault(error: Exception) -> str:
    """Return the refusal that fits what a driver says of a failed connection."""
    said = str(error).lower()
    for fault, pattern in RECOGNISED["faults"].items():
        if re.search(pattern, said):
            return str(fault)
    return "no connection"


def schema_and_table(path: Path) -> tuple[str, str]:
    """Return the schema of a table, or an empty string if it has none, and its own name.

    >>> schema_and_table(Path("shop.orders")), schema_and_table(Path("orders"))
    (('shop', 'orders'), ('', 'orders'))
    """
    schema, _, table = path.name.rpartition(".")
    return schema, table


def open_table(remote: Any, path: Path) -> Any:
    """Return a table of a connected database; raise DataError if it or its schema is not there."""
    schema, table = schema_and_table(path)
    try:
        return remote.table(table, database=schema or None)
    except Exception as error:
        fault = type(error).__name__
    schemas = remote.list_databases()
    schema = schema or remote.current_database
    if schema not in schemas:
        _refuse_name(path, "no schema", schema, schemas)
    tables = remote.list_tables(database=schema)
    if table not in tables:
        _refuse_name(path, "no table", table, tables)
    refuse(path, *refusal_words("unreadable table", error=fault))


def _refuse_name(path: Path, key: str, name: str | None, names: Iterable[str]) -> NoReturn:
    """Raise DataError for a name that is not among those of a database."""
    there = sorted(names)
    listed = ", ".join(there[:_NAMES_SHOWN]) or "none"
    if len(there) > _NAMES_SHOWN:
        listed += f" and {len(there) - _NAMES_SHOWN:,} more"
    found = repr(name) if name else "another one in --engine"
    refuse(path, *refusal_words(key, name=found, names=listed))
