"""Open a table of a database: of a file of DuckDB, or of a server of PostgreSQL.

Messages quote nothing of a database's address, which may contain a password.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
from fewtreated.errors import refuse

from analysis.panel.map import RECOGNISED, refusal_words
from analysis.panel.opening import MOST_COLUMNS, parser_errors
from analysis.untrusted import refuse_more

_NAMES_SHOWN = 10
_TABLES = """SELECT current_schema(), nspname, relname FROM pg_catalog.pg_namespace AS spaces
LEFT JOIN pg_catalog.pg_class AS tables
ON tables.relnamespace = spaces.oid AND relkind IN ('r', 'p', 'v', 'm', 'f')"""


@dataclass(frozen=True)
class DatabaseTable:
    """A table of a database.

    `name` is TABLE or SCHEMA.TABLE. If there is a table whose own name has the point, it is meant.
    `engine` is the database's address, or the name of an environment variable that has it.
    """

    name: str
    engine: str = field(repr=False)

    @property
    def address(self) -> str:
        """The database's address; raise DataError if it is that of an engine that is not tested."""
        address = self.engine
        if "://" not in address:
            address = os.environ.get(address, "")
        if not address.startswith(("duckdb://", "postgres://", "postgresql://")):
            refuse(self.name, *refusal_words("other engine"))
        return address

    @property
    def is_remote(self) -> bool:
        """Whether another engine than DuckDB adds up the rows."""
        return not self.address.startswith("duckdb:")

    @property
    def _readings(self) -> list[tuple[str, str]]:
        """What the name may mean: a schema, or an empty string if it names none, and a table."""
        schema, _, table = self.name.rpartition(".")
        return [("", self.name)] + [(schema, table)] * bool(schema and table)

    @contextmanager
    def connected(self, settings: Mapping[str, Any]) -> Iterator[Any]:
        """Connect to DuckDB with these settings, or to PostgreSQL by Ibis.

        Raises
        ------
        DataError
            If there is no driver for it, no server answers, it refuses the login, or it has no
            database of that name: a sentence each.
        """
        address = self.address
        try:
            if self.is_remote:
                connection = _postgresql(address)
                close = connection.disconnect
            else:
                connection = _duckdb(address, settings)
                close = connection.close
        except Exception as error:
            key = "no driver" if isinstance(error, ImportError) else _fault(error)
            words = refusal_words(key, error=type(error).__name__)
        else:
            try:
                yield connection
            finally:
                close()
            return
        refuse(self.name, *words)  # out of the exception's reach, which has the address

    def header(self) -> Sequence[str]:
        """Return the names of the table's columns."""
        with self.connected({}) as connection:
            names: Sequence[str] = self.opened(connection)[1].names
        refuse_more(Path(self.name), len(names), MOST_COLUMNS, "columns")
        return names

    def opened(self, connection: Any) -> tuple[str, pa.Schema]:
        """Return the table's name in SQL, and the names and types of its columns.

        Raises
        ------
        DataError
            If the database has no such schema or table, or its user may not read it.
        """
        for schema, table in self._readings:
            cells = ".".join(map(quoted, filter(None, (schema, table))))
            try:
                if self.is_remote:
                    connection.raw_sql(f"SELECT 1 FROM {cells} LIMIT 0").close()  # with its rights
                    columns = connection.table(table, database=schema or None).schema()
                    return cells, columns.to_pyarrow()
                return cells, connection.sql(f"FROM {cells} LIMIT 0").to_arrow_table().schema
            except Exception as error:
                fault = type(error).__name__
        self._refuse_absent(connection)
        refuse(self.name, *refusal_words("unreadable table", error=fault))

    def _refuse_absent(self, connection: Any) -> None:
        """Raise DataError if the database has no such schema, or no such table in it."""
        schema, table = self._readings[-1]
        with parser_errors(Path(self.name), is_table=True):
            if self.is_remote:
                with connection.raw_sql(_TABLES) as cursor:
                    found = cursor.fetchall()
            else:
                found = connection.execute(_TABLES).fetchall()
        schema = schema or found[0][0]
        if schema not in (schemas := {space for _, space, _ in found}):
            self._refuse_name("no schema", schema, schemas)
        tables = {each for _, space, each in found if space == schema and each}
        if table not in tables:
            self._refuse_name("no table", table, tables)

    def _refuse_name(self, key: str, name: str | None, names: Iterable[str]) -> NoReturn:
        """Raise DataError for a name that is not among those of the database."""
        there = sorted(names)
        listed = ", ".join(there[:_NAMES_SHOWN]) or "none"
        if len(there) > _NAMES_SHOWN:
            listed += f" and {len(there) - _NAMES_SHOWN:,} more"
        found = repr(name) if name else "another one in --engine"
        refuse(self.name, *refusal_words(key, name=found, names=listed))


def _duckdb(address: str, settings: Mapping[str, Any]) -> Any:
    import duckdb

    path = address.removeprefix("duckdb://")
    return duckdb.connect(path, read_only=True, config=dict(settings))


def _postgresql(address: str) -> Any:
    import ibis  # slow
    import psycopg

    # which reads the address as psql does: with a service file, or a file of passwords
    return ibis.postgres.from_connection(psycopg.connect(address, autocommit=True))


def _fault(error: Exception) -> str:
    """Return the refusal that fits what a driver says of a failed connection."""
    said = str(error).lower()
    for fault, pattern in RECOGNISED["faults"].items():
        if re.search(pattern, said):
            return str(fault)
    return "no connection"


def quoted(name: str) -> str:
    """Quote the name of a column or table for SQL."""
    return '"' + name.replace('"', '""') + '"'


def free(name: str, taken: Iterable[str]) -> str:
    """Return a name like this one that no other column has, as SQL compares names."""
    others = {each.casefold() for each in taken}
    while name in others:
        name += "_"
    return name
