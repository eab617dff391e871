"""Query the rows of a panel's files, or of a database table, in SQL."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
from fewtreated.errors import refuse

from analysis.panel.database import DatabaseTable, free, quoted
from analysis.panel.file import FILE_ROWS, File, parquet_copies, stored
from analysis.panel.formats import EITHER, SPELLED, number_pattern
from analysis.panel.map import MONTH, NUMBER, Map, attributes, columns
from analysis.panel.opening import MEMORY, parser_errors, types_of
from analysis.untrusted import LONGEST_NAME, refuse_length, refuse_more

ROWS_AT_ONCE = 1 << 18
# combinations of attributes, or of platform, date and currency, that are compared in memory
_MOST_GROUPS = 1 << 24
_OF_SALES = """, count(value) AS known, bool_or(bad) AS bad, max(pointed) AS pointed,
COALESCE(bool_or(value = 0), FALSE) AS zero, sum(abs(value)) AS size,
CAST(sum(TRY_CAST(round(value * 100) AS BIGINT)) AS DOUBLE) / 100 AS amount"""

_TIME = r"^[0-9-]{10}[T ]\d\d:\d\d(:\d\d(\.\d+)?)?( ?[+-]\d\d:?\d\d|Z)?$"

Notes = list[tuple[str, str, int]]


@dataclass(frozen=True)
class FileRows:
    """Rows of a file or database table, as the table `cells` in the SQL dialect of DuckDB.

    `types` are those of its columns, without dictionaries, and `remote` is whether another engine
    does the work.
    """

    path: Path  # for messages
    connection: Any
    types: Mapping[str, pa.DataType]
    base: str  # FROM clause, with a column of positions
    row: str  # name of that column
    remote: bool = False
    own: str = ""  # `base` without the rows that were joined
    whole: str = ""  # `base` with the rows that the map drops

    def query(self, sql: str, **tables: pa.Table) -> pa.Table:
        """Return the result of a query, which may join tables of ours."""
        return pa.Table.from_batches([*self.stream(sql, **tables)])

    def stream(self, sql: str, **tables: pa.Table) -> Iterator[pa.RecordBatch]:
        """Yield the result of a query in batches in no particular order.

        The first batch may be empty.
        """
        with parser_errors(self.path, self.remote):
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
            if self.remote:  # Ibis would overwrite a table of the database itself
                self.connection.raw_sql(f"DROP TABLE IF EXISTS pg_temp.{name}").close()
                self.connection.create_table(name, table, temp=True)
            else:  # a table of DuckDB's own is joined several times faster, in less memory
                self.connection.register(f"{name}_given", table)
                self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM {name}_given")
                self.connection.unregister(f"{name}_given")


def settings(folder: str) -> dict[str, Any]:
    """Return settings of DuckDB, which may write to a folder what does not fit into its memory."""
    return {
        "memory_limit": MEMORY,
        "preserve_insertion_order": False,
        "autoload_known_extensions": False,
        "temp_directory": folder,
    }


@contextmanager
def opened_rows(file: File, most: int = 0, longest: int = LONGEST_NAME) -> Iterator[FileRows]:
    """Open the rows of files, or of a database table, for queries.

    With `most`, they are at least the first `most` rows of a file, in their order. Text of more
    than `longest` characters is refused before all of a file is copied.
    """
    if file.in_database:
        with _table_rows(file, file.in_database) as rows:
            yield rows
    else:
        with (
            parquet_copies(file, most, longest) as paths,
            _file_rows(file, paths, ordered=bool(most)) as rows,
        ):
            yield rows


@contextmanager
def _file_rows(file: File, paths: Sequence[Path], *, ordered: bool) -> Iterator[FileRows]:
    """Open copies of files in Parquet for queries, which may keep their order."""
    import duckdb

    how = settings(str(paths[0].parent)) | {"preserve_insertion_order": ordered}
    with duckdb.connect(config=how) as database:
        listed = ", ".join(literal(as_pattern(path)) for path in paths)
        # columns are those of the files: a folder named category=toys is no column
        cells = f"read_parquet([{listed}], file_row_number = true, hive_partitioning = false)"
        row = f"CAST(file_index AS BIGINT) * {FILE_ROWS} + file_row_number"
        names = {stored(name): name for name in file.needed}
        schema = pa.parquet.read_schema(paths[0])
        yield _numbered(file, database, types_of(schema, names), names, row, cells)


@contextmanager
def _table_rows(file: File, in_database: DatabaseTable) -> Iterator[FileRows]:
    """Open a table of a database for queries."""
    names = {name: name for name in file.needed}
    row = "row_number() OVER (ORDER BY NULL) - 1"
    with (
        tempfile.TemporaryDirectory() as folder,
        in_database.connected(settings(folder)) as connection,
    ):
        cells, schema = in_database.opened(connection)
        types = types_of(schema, names)
        remote = in_database.is_remote
        yield _numbered(file, connection, types, names, row, cells, remote=remote)


def _numbered(
    file: File,
    connection: Any,
    types: Mapping[str, pa.DataType],
    names: Mapping[str, str],
    row: str,
    cells: str,
    *,
    remote: bool = False,
) -> FileRows:
    """Return rows with their position, joined with those of a second file if they must be.

    `names` are those of the file by those in `cells`. Rows that the map drops are left out.
    """
    listed = ", ".join(f"{quoted(name)} AS {quoted(theirs)}" for name, theirs in names.items())
    position = free("_row", file.header)
    base = f"FROM (SELECT {listed}, {row} AS {position} FROM {cells}) AS numbered"
    types = {names[name]: of for name, of in types.items()}
    every = FileRows(file.path, connection, types, base, position, remote)
    rows = every
    if file.named.rows.drop:
        kept = " AND ".join(f"NOT {fits}" for _, _, fits in _dropped(file))
        base = f"FROM (SELECT * {every.base} WHERE {kept}) AS kept"
        rows = replace(every, base=base, whole=every.base)
    if not file.attributes or file.apart or not (join := file.named.join):
        return rows
    rows.register(market_impact_attributes=file.attributes)
    key = file.attributes.column_names[0]
    base = (
        f"{rows.base} JOIN market_impact_attributes ON CAST({quoted(join.key)} AS VARCHAR) = {key}"
    )
    return replace(rows, base=base, own=rows.base)


def _dropped(file: File) -> Iterator[tuple[str, str, str]]:
    """Yield each column and pattern by which a map drops rows, with SQL for what fits."""
    for name, pattern in file.named.rows.drop.items():
        text = f"CAST({quoted(name)} AS VARCHAR)"
        whole = literal(f"^({pattern})$")
        yield name, pattern, f"COALESCE(regexp_matches({text}, {whole}), FALSE)"


# The distinct values of a file


@dataclass(frozen=True)
class Distinct:
    """The distinct combinations of the columns of a file, with their rows.

    `units` are those of a firm or account and its attributes, and `groups` those of platform,
    month, currency and provenance, with what is known of their sales. `sales` are the distinct
    sales, if any may be wrong. Each has the number `n` of its rows, and the `first` and `last` of
    them. `source` is SQL for the rows, and `notes` count those that a second file has or lacks.
    """

    rows: FileRows
    source: str
    units: pa.Table
    groups: pa.Table
    sales: pa.Table | None
    notes: Notes


def query_distinct(file: File, rows: FileRows) -> Distinct:
    """Query the distinct combinations of the columns of a file."""
    refuse_long_text(file, rows, LONGEST_NAME)
    sql = _source(file, rows)
    units = _query_units(file, rows, sql)
    groups = _query_combinations(file, rows, sql, group_columns(file), _OF_SALES)
    notes = _drop_notes(file, rows)
    notes += _join_notes(file, rows, pc.sum(units["n"]).as_py() or 0)
    if not len(units) and file.named.rows.drop:
        refuse(file.path, *file.refusal("all dropped"))
    if not len(units):
        refuse(file.path, "rows of data", "only a header", "export it again")
    sales = None
    if pc.any(groups["bad"]).as_py() or pc.max(groups["pointed"]).as_py() == 1:
        sales = rows.query(
            f"{sql} SELECT sales, count(*) AS n, min(row) AS first, max(row) AS last FROM source"
            f" GROUP BY sales ORDER BY bool_or(bad) DESC, first LIMIT {_MOST_GROUPS}"
        )
    return Distinct(rows, sql, units, groups, sales, notes)


def refuse_long_text(file: File, rows: FileRows, most: int) -> None:
    """Raise DataError if a column contains longer text than `most` characters."""
    for name in (name for name, of in rows.types.items() if is_text(of)):
        long = f"bit_length({quoted(name)}) > {8 * most} AND length({quoted(name)}) > {most}"
        found = rows.query(
            f"SELECT length({quoted(name)}) AS length, {rows.row} AS position {rows.base}"
            f" WHERE {long} ORDER BY position LIMIT 1"
        )
        for first in found.to_pylist():
            path, row = file.place(first["position"] * max(1, len(file.months)))
            refuse_length(f"{path}, row {row:,}", name, first["length"], most)


def unit_columns(file: File) -> list[str]:
    """Return our columns in the file that describe firms and accounts."""
    names = ("firm", "account", "renamed_from", *attributes(), "weight")
    return [name for name in names if name in file.theirs]


def group_columns(file: File) -> list[str]:
    """Return our columns that tell to which month of a platform, and currency, a row belongs."""
    more = [name for name in ("currency", "provenance") if name in file.theirs]
    return ["platform", "month", *more]


def _query_units(file: File, rows: FileRows, sql: str) -> pa.Table:
    """Return the distinct combinations of the columns of units.

    Their attributes from a second file are returned with them.
    """
    names = unit_columns(file)
    if not file.attributes or not file.apart:
        return _query_combinations(file, rows, sql, names)
    own = ["_key", *(name for name in names if name not in file.apart)]
    found = _query_combinations(file, rows, sql, own)
    cells = ", ".join(
        f"{_column_sql(file, ours, file.joined_types)} AS {ours}" for ours in file.apart
    )
    key = file.attributes.column_names[0]
    sql = f"SELECT {key} AS _key, {cells} FROM market_impact_attributes"
    apart = rows.query(sql, market_impact_attributes=file.attributes)
    joined = found.join(apart, "_key", join_type="inner").group_by(names)
    found = joined.aggregate([("n", "sum"), ("first", "min"), ("last", "max")])
    return found.rename_columns({"n_sum": "n", "first_min": "first", "last_max": "last"})


def _query_combinations(
    file: File, rows: FileRows, sql: str, names: list[str], more: str = ""
) -> pa.Table:
    """Return the distinct combinations of columns, with the number of rows of each.

    The first and the last row of each are returned, too.
    """
    listed = ", ".join(names)
    most = _MOST_GROUPS >> (6 * bool(more))
    found = rows.query(
        f"{sql} SELECT {listed}, count(*) AS n, min(row) AS first, max(row) AS last{more}"
        f" FROM source GROUP BY {listed} LIMIT {most + 1}"
    )
    do = "leave out columns of attributes that contain other values in each row"
    refuse_more(file.path, len(found), most, f"combinations of {listed}", do)
    return found


def _drop_notes(file: File, rows: FileRows) -> Notes:
    """Return notes on rows that the map drops; raise DataError for a pattern that fits none."""
    notes = Notes()
    left = ""
    for name, pattern, fits in _dropped(file):
        sql = f"SELECT count(*) AS n {rows.whole} WHERE {fits}{left}"
        count = rows.query(sql)["n"][0].as_py()
        if not count:
            file.refuse_column(name, *file.refusal("nothing to drop", pattern=pattern))
        notes.append(("rows", f"left out: their {name} fits {pattern!r}", count))
        left += f" AND NOT {fits}"
    return notes


def _join_notes(file: File, rows: FileRows, cells: int) -> Notes:
    """Return notes on rows that were joined with a second file; raise DataError if none were."""
    if not (join := file.named.join):
        return []
    count = rows.query(f"SELECT count(*) AS n {rows.own or rows.base}")["n"][0].as_py()
    joined = cells // max(1, len(file.months))
    if count and not joined:
        expected = f"keys of {join.file} in the column {join.key!r}"
        do = f"correct `join` in {file.map}, or the keys"
        refuse(file.path, expected, f"none in {count:,} rows", do)
    lost = ("rows", f"left out: their {join.key} is not in {join.file}", count - joined)
    return [("rows", f"joined with {join.file}", joined), lost]


# SQL


def _source(file: File, rows: FileRows) -> str:
    """Return SQL that begins a query with the table `source`.

    The table has the cells of a file under our names.

    Beside them it has `row`, their position; `value`, the sales as a number, NULL if missing;
    `bad`, whether they are invalid; and `pointed`, 1 if a point in them may mark decimals or
    thousands, 2 if their separators are clear, and 0 otherwise. A row of a wide file is one row per
    month.
    """
    types = {**rows.types, **file.joined_types}
    sold = [types[column] for column in file.months or [file.theirs["sales"]]]
    for ours, theirs in file.theirs.items():
        _refuse_type(file, ours, types[theirs])
    for of in sold:
        _refuse_type(file, "sales", of)
    row = rows.row
    cells = {ours: _column_sql(file, ours, types) for ours in file.theirs if ours not in file.apart}
    if file.apart and (join := file.named.join):
        cells["_key"] = f"CAST({quoted(join.key)} AS VARCHAR)"
    has_text = any(map(is_text, sold))
    if file.months:
        count = len(file.months)
        cast = "VARCHAR" if has_text else "DOUBLE"  # some may contain only whole numbers
        row = f"{row} * {count} + unnest([{', '.join(map(str, range(count)))}])"
        cells["month"] = f"unnest([{', '.join(map(literal, file.months.values()))}])"
        sales = (f"CAST({quoted(column)} AS {cast})" for column in file.months)
        cells["sales"] = f"unnest([{', '.join(sales)}])"
    listed = ", ".join(f"{cell} AS {ours}" for ours, cell in cells.items())
    value, bad, pointed = _sales_sql(file.named, has_text)
    return f"""WITH cells AS (SELECT CAST({row} AS BIGINT) AS row, {listed} {rows.base}),
parsed AS (SELECT *, {value} AS value, {pointed} AS pointed FROM cells),
source AS (SELECT *, COALESCE({bad}, FALSE) AS bad FROM parsed)"""


def _refuse_type(file: File, ours: str, of: pa.DataType) -> None:
    """Raise DataError if a column has a type from which ours cannot be made."""
    expected = "text"
    wrong = pa.types.is_nested(of) or "binary" in str(of)
    if columns()[ours]["type"] == NUMBER:
        expected = "numbers"
        wrong = wrong or pa.types.is_boolean(of) or pa.types.is_temporal(of)
    if wrong:
        file.refuse_column(ours, expected, f"values of type {of}", columns()[ours]["remedy"])


def _column_sql(file: File, ours: str, types: Mapping[str, pa.DataType]) -> str:
    """Return the SQL expression of one of our columns.

    Only months become dates, since ids must stay apart.
    """
    name = quoted(file.theirs[ours])
    kind = types[file.theirs[ours]]
    if ours == "month" and file.named.has_times and is_text(kind):
        day = f"substr({name}, 1, 10)"  # of orders: there are fewer days than times
        return f"CASE WHEN regexp_matches({name}, {literal(_TIME)}) THEN {day} ELSE {name} END"
    if columns()[ours]["type"] == MONTH:
        return as_date(file.named, name, kind)
    return name


def is_text(kind: pa.DataType) -> bool:
    """Return whether an Arrow type is one of text."""
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def literal(text: str) -> str:
    """Quote text for SQL."""
    return "'" + text.replace("'", "''") + "'"


def as_pattern(path: Path) -> str:
    """Return the pattern that only this path fits, since DuckDB takes every path as a pattern.

    >>> as_pattern(Path("/data/panel[1].parquet"))
    '/data/panel[[]1].parquet'
    """
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in str(path))


def as_date(named: Map, column: str, kind: pa.DataType) -> str:
    """Return the SQL expression for the cells of a column, with dates in place of timestamps."""
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        return column
    zone = getattr(kind, "tz", None)
    if named.timezone and not zone:
        column = f"timezone('UTC', {column})"
    if zone and zone[0] in "+-":
        zone = f"GMT{zone}"
    # stored in UTC, where midnight in Shanghai falls on the previous day
    if zone := named.timezone or zone:
        column = f"timezone({literal(zone)}, {column})"
    return f"CAST({column} AS DATE)"


def _sales_sql(named: Map, has_text: bool) -> tuple[str, str, str]:
    """Return the SQL expressions for `value`, `bad` and `pointed`."""
    least, most = (columns()["sales"]["constraints"][limit] for limit in ("minimum", "maximum"))
    if named.rows.period == "order":
        least = -most
    bad = f"value NOT BETWEEN {least} AND {most}"
    if not has_text:
        return "NULLIF(CAST(sales AS DOUBLE), CAST('NaN' AS DOUBLE))", bad, "0"
    plain = "sales"
    if named.thousands:
        thousands = SPELLED.get(named.thousands, f"[{named.thousands}]")
        plain = f"regexp_replace(sales, {literal(thousands)}, '', 'g')"
    known = f"sales NOT IN ({', '.join(map(literal, ['', *named.missing]))})"
    pointed = "0"
    if not named.model_fields_set & {"thousands", "decimal"}:
        clear = f"NOT regexp_matches(sales, {literal(EITHER)}) THEN 2 WHEN sales LIKE '%.%' THEN 1"
        pointed = f"CASE WHEN NOT ({known}) THEN 0 WHEN {clear} ELSE 0 END"
    pattern = literal(number_pattern(named.thousands, named.decimal))
    bad += f" OR ({known} AND NOT regexp_matches(sales, {pattern}))"
    number = f"TRY_CAST(replace({plain}, '{named.decimal}', '.') AS DOUBLE)"
    return f"CASE WHEN {known} THEN {number} END", bad, pointed
