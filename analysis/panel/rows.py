"""Query the rows of a panel's files, or of a database table, in SQL."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from fewtreated.errors import refuse

from analysis.panel.file import (
    FILE_ROWS,
    MEMORY,
    ROWS_AT_ONCE,
    File,
    as_parquet,
    connected,
    is_text,
    reading,
    types_of,
)
from analysis.panel.formats import EITHER, SPELLED, number_pattern
from analysis.panel.map import Map, columns
from analysis.panel.panel import MONTH, NUMBER


@dataclass(frozen=True)
class Rows:
    """Rows of a file or database table, as the table `cells` in the SQL dialect of DuckDB.

    `types` are those of its columns, without dictionaries, and `remote` is whether another engine
    does the work.
    """

    path: Path  # for messages
    connection: Any
    types: Mapping[str, pa.DataType]
    base: str  # FROM clause, with a column _row of positions
    remote: bool = False
    own: str = ""  # `base` without the rows that were joined

    def query(self, sql: str, **tables: pa.Table) -> pa.Table:
        """Return the result of a query, which may join tables of ours."""
        return pa.Table.from_batches([*self.stream(sql, **tables)])

    def stream(self, sql: str, **tables: pa.Table) -> Iterator[pa.RecordBatch]:
        """Yield the result of a query in batches in no particular order.

        The first batch may be empty.
        """
        with reading(self.path, self.remote):
            self.register(**tables)
            if self.remote:
                reader = self.connection.sql(sql, dialect="duckdb").to_pyarrow_batches(
                    chunk_size=ROWS_AT_ONCE
                )
            else:
                reader = self.connection.sql(sql).to_arrow_reader(ROWS_AT_ONCE)
            yield pa.RecordBatch.from_pylist([], reader.schema)
            yield from reader

    def register(self, **tables: pa.Table) -> None:
        """Let queries refer to tables of ours."""
        for name, table in tables.items():
            if self.remote and self.connection.name == "pyspark":  # which has no temporary tables
                import ibis

                self.connection.create_view(name, ibis.memtable(table), overwrite=True)
            elif self.remote:
                self.connection.create_table(name, table, temp=True, overwrite=True)
            else:
                self.connection.register(name, table)

    def refuse_long(self, most: int) -> None:
        """Raise DataError if a column contains longer text than `most` characters."""
        for name in (name for name, of in self.types.items() if is_text(of)):
            long = f"bit_length({quoted(name)}) > {8 * most} AND length({quoted(name)}) > {most}"
            found = self.query(
                f"SELECT length({quoted(name)}) AS found {self.base} WHERE {long} LIMIT 1"
            )["found"]
            for length in found.to_pylist():
                expected = f"text of at most {most:,} characters"
                do = "shorten it, or use another column"
                refuse(f"{self.path}, column {name!r}", expected, f"one of {length:,}", do)


@contextmanager
def rows_of(file: File, needed: Sequence[str], most: int = 0) -> Iterator[Rows]:
    """Open some columns of a file or of a database table for queries.

    With `most`, at least the first `most` rows of the file are opened.
    """
    if file.attributes and file.named.join:
        keys = [file.named.join.key]
    else:
        keys = []
    own = [*dict.fromkeys([*(name for name in needed if name not in file.joined), *keys])]
    if file.engine:
        row = "row_number() OVER (ORDER BY NULL) - 1 AS _row"
        base = f"FROM (SELECT *, {row} FROM {quoted(file.path.name)}) AS numbered"
        with connected(file.path, file.engine) as remote:
            with reading(file.path, is_table=True):
                schema = remote.table(file.path.name).schema().to_pyarrow()
            yield _joined(file, Rows(file.path, remote, types_of(schema, own), base, True))
        return
    import duckdb

    settings: Any = {
        "memory_limit": MEMORY,
        "preserve_insertion_order": most > 0,
        "autoload_known_extensions": False,
    }
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(config=settings) as database:
        database.execute(f"SET temp_directory = {literal(folder)}")
        paths = [as_parquet(file, at, own, folder, most) for at in range(len(file.paths))]
        listed = ", ".join(literal(as_pattern(path)) for path in paths)
        # columns are those of the files: a folder named category=toys is no column
        cells = f"read_parquet([{listed}], file_row_number = true, hive_partitioning = false)"
        row = f"CAST(file_index AS BIGINT) * {FILE_ROWS} + file_row_number AS _row"
        base = f"FROM (SELECT *, {row} FROM {cells}) AS numbered"
        schema = pa.parquet.read_schema(paths[0])
        yield _joined(file, Rows(file.path, database, types_of(schema, own), base))


def _joined(file: File, rows: Rows) -> Rows:
    """Return rows joined in SQL with those of the second file of a map, if they must be."""
    if not file.attributes or file.apart or not (join := file.named.join):
        return rows
    rows.register(attributes=file.attributes)
    base = f"{rows.base} JOIN attributes ON CAST({quoted(join.key)} AS VARCHAR) = _key"
    return replace(rows, base=base, own=rows.base)


def source(file: File, rows: Rows) -> str:
    """Return SQL that begins a query with the table `source`.

    The table has the cells of a file under our names.

    Beside them it has `row`, their position; `value`, the sales as a number, NULL if missing;
    `bad`, whether they are invalid; and `pointed`, 1 if a point in them may mark decimals or
    thousands, 2 if their separators are clear, and 0 otherwise. A row of a wide file is one row per
    month.
    """
    types = {**rows.types, **file.joined}
    row = "_row"
    sold = [types[column] for column in file.months or [file.theirs["sales"]]]
    for ours, of in [
        *((ours, types[theirs]) for ours, theirs in file.theirs.items()),
        *(("sales", of) for of in sold),
    ]:
        is_number = columns()[ours]["type"] == NUMBER
        no_number = pa.types.is_boolean(of) or pa.types.is_temporal(of)
        if pa.types.is_nested(of) or "binary" in str(of) or (is_number and no_number):
            where = f"{file.path}, column {file.called(ours)}"
            if is_number:
                expected = "numbers"
            else:
                expected = "text"
            refuse(where, expected, f"values of type {of}", columns()[ours]["remedy"])
    cells = {ours: _cell(file, ours, types) for ours in file.theirs if ours not in file.apart}
    if file.apart and (join := file.named.join):
        cells["_key"] = f"CAST({quoted(join.key)} AS VARCHAR)"
    if file.months:  # of which some may contain only whole numbers
        if any(map(is_text, sold)):
            cast = "VARCHAR"
        else:
            cast = "DOUBLE"
        months = len(file.months)
        row = f"_row * {months} + unnest([{', '.join(map(str, range(months)))}])"
        cells["month"] = f"unnest([{', '.join(map(literal, file.months.values()))}])"
        cells["sales"] = (
            f"unnest([{', '.join(f'CAST({quoted(column)} AS {cast})' for column in file.months)}])"
        )
    listed = ", ".join(f"{cell} AS {ours}" for ours, cell in cells.items())
    value, bad, pointed = _sales(file.named, has_text=any(map(is_text, sold)))
    return f"""WITH cells AS (SELECT CAST({row} AS BIGINT) AS row, {listed} {rows.base}),
parsed AS (SELECT *, {value} AS value, {pointed} AS pointed FROM cells),
source AS (SELECT *, COALESCE({bad}, FALSE) AS bad FROM parsed)"""


def attributes_apart(file: File, rows: Rows) -> pa.Table:
    """Return the attributes in the second file of a map under our names.

    Its keys are in the column `_key`.
    """
    cells = ", ".join(f"{_cell(file, ours, file.joined)} AS {ours}" for ours in file.apart)
    return rows.query(f"SELECT _key, {cells} FROM attributes", attributes=file.attributes)


def _cell(file: File, ours: str, types: Mapping[str, pa.DataType]) -> str:
    """Return the SQL expression of one of our columns.

    Only months become dates, since ids must stay apart.
    """
    name = file.theirs[ours]
    if columns()[ours]["type"] == MONTH:
        return as_date(file.named, quoted(name), types[name])
    return quoted(name)


def literal(text: str) -> str:
    """Quote text for SQL."""
    return "'" + text.replace("'", "''") + "'"


def as_pattern(path: Path) -> str:
    """Return the pattern that only this path fits, since DuckDB takes every path as a pattern.

    >>> as_pattern(Path("/data/panel[1].parquet"))
    '/data/panel[[]1].parquet'
    """
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in str(path))


def quoted(name: str) -> str:
    """Quote the name of a column or table for SQL."""
    return '"' + name.replace('"', '""') + '"'


def as_date(named: Map, column: str, kind: pa.DataType) -> str:
    """Return the SQL expression for the cells of a column, with dates in place of timestamps."""
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        return column
    zone = getattr(
        kind, "tz", None
    )  # stored in UTC, where midnight in Shanghai falls on the previous day
    if named.timezone and not zone:
        column = f"timezone('UTC', {column})"
    zone = named.timezone or (f"GMT{zone}" if zone and zone[0] in "+-" else zone)
    return f"CAST({f'timezone({literal(zone)}, {column})' if zone else column} AS DATE)"


def _sales(named: Map, has_text: bool) -> tuple[str, str, str]:
    """Return the SQL expressions for `value`, `bad` and `pointed`."""
    least, most = (columns()["sales"]["constraints"][limit] for limit in ("minimum", "maximum"))
    bad = f"value NOT BETWEEN {-most if named.rows == 'order' else least} AND {most}"
    if not has_text:
        return "NULLIF(CAST(sales AS DOUBLE), CAST('NaN' AS DOUBLE))", bad, "0"
    thousands = SPELLED.get(named.thousands, f"[{named.thousands}]")
    declared = {"thousands", "decimal"}
    if named.thousands:
        plain = f"regexp_replace(sales, {literal(thousands)}, '', 'g')"
    else:
        plain = "sales"
    known = f"sales NOT IN ({', '.join(map(literal, ['', *named.missing]))})"
    clear = f"NOT regexp_matches(sales, {literal(EITHER)}) THEN 2 WHEN sales LIKE '%.%' THEN 1"
    if named.model_fields_set & declared:
        pointed = "0"
    else:
        pointed = f"CASE WHEN NOT ({known}) THEN 0 WHEN {clear} ELSE 0 END"
    bad += (
        f" OR ({known} AND NOT regexp_matches(sales,"
        f" {literal(number_pattern(named.thousands, named.decimal))}))"
    )
    return (
        f"CASE WHEN {known} THEN TRY_CAST(replace({plain}, '{named.decimal}', '.') AS DOUBLE) END",
        bad,
        pointed,
    )
