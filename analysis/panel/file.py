"""Open a panel file, match its header to the schema, and query its rows in SQL, whatever its type."""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
import zipfile
from bisect import bisect
from codecs import getincrementaldecoder
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any, NoReturn, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from analysis.errors import DataError, refuse
from analysis.panel.formats import EITHER, SPELLED, number_pattern, strange
from analysis.panel.map import Map, Wide, as_day, columns, said
from analysis.panel.panel import MONTH, NUMBER, POPULATIONS
from analysis.untrusted import LONGEST_NAME, admit, refuse_long
from analysis.yaml import load

ROWS_AT_ONCE = 1 << 18
KINDS = (".csv", ".csv.gz", ".tsv", ".parquet", ".xlsx", ".dta")
OF_TEXT = KINDS[:3]
# per block of a text file, of which the reader runs some twenty ahead; and to detect the encoding
_BYTES_AT_ONCE, _BYTES_LOOKED_AT = 1 << 22, 1 << 26
HEADER_BYTES, MOST_COLUMNS = 1 << 20, 10_000
MOST_ROWS, MOST_CELLS = 1 << 31, 1 << 24  # rows in a file; cells and characters in a sheet, which is kept in memory
UNPACKED_BYTES = 1 << 32  # that a file may declare
_CODECS = {"utf-8": "utf-8", "gbk": "gb18030"}  # gb18030 includes all of GBK
_MARK = b"\xef\xbb\xbf"  # the byte order mark of UTF-8


@dataclass(frozen=True)
class File:
    """A file whose header has been read.

    `map` is the path of the map, for messages. `metadata` describes the panel. `allowed` lists the platforms that may
    occur. `theirs` maps our columns to the file's. `months`, for a wide file, maps each column to its month (YYYY-MM).
    `table` contains all rows if files of this type are read at once. `engine` is the URL of the database in which
    `path` names a table. `paths` are this file and those that continue it, whose rows begin at the positions `starts`.
    """

    path: Path
    map: Path | None
    named: Map
    header: Sequence[str]
    metadata: Mapping[str, str]
    allowed: Sequence[str] | None
    theirs: dict[str, str]
    months: dict[str, str]
    table: pa.Table | None
    engine: str = ""
    paths: Sequence[Path] = ()
    starts: list[int] = field(default_factory=lambda: [0])

    @property
    def owner(self) -> str:
        """Unit within which attributes must be constant: "account" or "firm"."""
        return "account" if "renamed_from" in self.theirs or self.named.closures == "account" else "firm"

    @property
    def population(self) -> str:
        """Population that the firms represent, from the map or the metadata."""
        return self.named.population or self.metadata.get("population", POPULATIONS[-1])

    def code(self, label: str) -> str:
        """Return the platform code for a label in the file."""
        return self.named.platforms.get(label, label)

    def line(self, text: str) -> str:
        """Return an instruction to write a line in the map, or in a new map if there is none."""
        return f"write `{text}` in {self.map}" if self.map else f"write a map with the line `{text}`"

    def __format__(self, line: str) -> str:
        """Return an instruction to write a line, so that messages can say ``{line:absent: zero}``."""
        return self.line(line)

    def said(self, key: str, /, **values: Any) -> tuple[str, str, str]:
        """Return what is expected of the file, what was found and what to do."""
        return said(key, line=self, map=self.map, path=self.path, **values)

    def place(self, position: Any) -> tuple[Path, int]:
        """Return the file and the row in it that stand at a position among the rows of all files.

        In a wide file, each month of a row has its own position.
        """
        row = int(position) // max(1, len(self.months))
        at = bisect(self.starts, row) - 1
        above = 0 if kind(self.paths[at]) in (".parquet", ".dta", "") else self.named.header_row
        return self.paths[at], row - self.starts[at] + above + 1

    def row(self, position: Any) -> str:
        """Format the row at a position, with its file if there are several."""
        path, row = self.place(position)
        return f"{row:,}" + f" of {path}" * (len(self.paths) > 1)

    def called(self, name: str, position: int = 0) -> str:
        """Return a column's name for use in messages.

        It is the name in the file, with ours in parentheses if it differs.
        """
        theirs = self.theirs.get(name, name)
        if self.months and name in ("month", "sales"):
            theirs = [*self.months][position % len(self.months)]
        return name if theirs == name else f"{theirs!r} ({name})"

    def refuse(self, rows: pd.DataFrame, name: str, expected: str, actual: str, do: str = "") -> NoReturn:
        """Raise DataError for the first of some rows, which are given as `n`, `first` and `last` of distinct values."""
        first, last, count = rows["first"].min(), rows["last"].max(), rows["n"].sum()
        if count > 1:
            actual += f", the first of {count:,} such values in rows {self.row(first)} to {self.row(last)}"
        path, row = self.place(first)
        where = f"{path}, row {row}, column {self.called(name, first)}"
        refuse(where, expected, actual, do or columns()[name]["remedy"])


def shown(value: Any) -> str:
    """Format a value for a message."""
    return "nothing" if value is None or value == "" else repr(value)


def is_text(kind: pa.DataType) -> bool:
    """Return whether an Arrow type is one of text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def kind(path: Path) -> str:
    """Return a file's type, one of `KINDS`, or an empty string if it is unsupported."""
    return next((ending for ending in KINDS if path.name.lower().endswith(ending)), "")


def refuse_kind(path: Path) -> None:
    """Raise DataError if a file is missing, has an unsupported type or is too large."""
    admit(path)
    if not kind(path):
        refuse(path, f"a file of type {', '.join(KINDS)}", f"the type {path.suffix!r}", "convert it to one of these")
    with reading(path):
        if kind(path) == ".parquet":
            refuse_more(path, pa.parquet.read_metadata(path).num_rows, MOST_ROWS, "rows")
        elif kind(path) == ".xlsx":
            with zipfile.ZipFile(path) as parts:
                size = sum(member.file_size for member in parts.infolist())
                refuse_more(path, size, UNPACKED_BYTES, "unpacked bytes")


def refuse_more(path: Path, size: int, most: int, of: str, do: str = "split the file, or aggregate its rows") -> None:
    """Raise DataError if a file is larger than the limit."""
    if size > most:
        refuse(path, f"at most {most:,} {of}", f"{size:,}", do)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Convert parser exceptions to DataError."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryException":
            refuse(path, f"rows that can be added up in {MEMORY}", "more", "build the panel with `panel --pieces 16`")
        actual = f"one that cannot be read ({error or type(error).__name__})"
        refuse(path, f"a valid {kind(path) or 'database table, not a'} file", actual, "export it again")


def open_file(paths: Sequence[Path], map: Path | None, allowed: Sequence[str] | None, engine: str = "") -> File:
    """Read the header of a file or of several, and match its columns to the schema, using the map if there is one.

    With the URL of a database as `engine`, the only path names a table in it.
    """
    named, path = load(map, Map) if map else Map(), paths[0]
    paths = [each for path in paths for each in ("*" in path.name and sorted(path.parent.glob(path.name))) or [path]]
    for path in paths[::-1] if not engine else ():
        refuse_kind(path)
    header, metadata, table = opened(path, named, engine)
    theirs = {name: name for name in columns() if name in header} | named.columns
    file = File(path, map, named, header, metadata, allowed, theirs, {}, table, engine, paths)
    for fault in _faults(file):
        refuse(f"{path}, row {above}" if (above := file.place(0)[1] - 1) else path, *fault)
    return file


def _faults(file: File) -> Iterator[tuple[str, str, str]]:
    """Yield what is expected of a header, what was found and what to do, and match its columns on the way."""
    named, theirs, header, alike = file.named, file.theirs, file.header, [name.casefold() for name in file.header]
    needed = [name for name, column in columns().items() if not column.get("optional")]
    optional = ", ".join(name for name in columns() if name not in needed)
    asked = {name: f"{file.line(f'columns: {{{name}: THEIRS}}')}, where THEIRS is its name" for name in columns()}

    def fault(key: str, name: str = "", **values: Any) -> tuple[str, str, str]:
        lists = {"needed": ", ".join(needed), "optional": optional, "header": ", ".join(header)}
        return file.said(key, name=name, **{"asked": asked.get(name, ""), **lists, **values})

    yield from (fault("unknown column", name) for name in header if not file.map and name not in columns())
    for name, column in theirs.items():
        if alike.count(column.casefold()) != 1:  # as SQL compares them
            yield fault("not one mapped column" if file.map else "not one column", name, column=column)
    by_account, sample = named.closures == "account", "sample" in (named.population, file.population)
    for wrong, key, name in (
        (by_account and "dose" in theirs, "doses of accounts", "dose"),
        (by_account and "account" not in theirs, "no accounts", "account"),
        (named.money_by_row and "currency" not in theirs, "no currency", "currency"),
        ("weight" in theirs and not sample, "weights of no sample", "weight"),
        ("weight" not in theirs and sample and "population" not in file.metadata, "no weights", "weight"),
    ):
        if wrong:
            yield fault(key, name, population=file.population)
    if named.wide:
        yield from _wide_faults(file, named.wide)
    if "renamed_from" in theirs and ("firm" in theirs or "account" in theirs):
        theirs.setdefault("firm", theirs.get("account", ""))  # either can stand in for the other
        theirs.setdefault("account", theirs["firm"])
    for name in needed:
        if name not in theirs and not (named.wide and name in ("month", "sales")):
            so = f"{asked[name]}, or " if file.map else ""
            yield fault("no column", name, asked=so, remedy=columns()[name]["remedy"])


def _wide_faults(file: File, wide: Wide) -> Iterator[tuple[str, str, str]]:
    """Find the months in a wide file's column names, and yield faults as `_faults` does."""
    months, names = file.months, {"prefix": wide.prefix, "format": wide.format}
    for column in file.header:
        word = column.removeprefix(wide.prefix)
        (odd, mend), month = strange(word), (as_day(word, wide.format) or "")[:7]
        if column in file.theirs.values() or not column.startswith(wide.prefix) or not (wide.prefix or month or odd):
            continue  # without a prefix, other columns may be among the months
        if not month:
            mend = mend or f"rename the column, or correct `wide` in {file.map}"
            yield file.said("no month", column=column, odd=odd, mend=mend, **names)
        if month in months.values() or file.header.count(column) > 1:
            yield file.said("month twice", month=month, column=column, **names)
        months[column] = month
    beside = [f" and the column {name!r}" for name in ("month", "sales") if name in file.theirs]
    if not months or beside:
        yield file.said("not wide", count=len(months), beside="".join(beside), **names)


# Header and metadata


def opened(path: Path, named: Map, engine: str = "") -> tuple[Sequence[str], dict[str, str], pa.Table | None]:
    """Return a file's header, metadata and rows.

    The rows are a table, or None if files of this type are read in batches.
    """
    table, metadata = None, dict[str, str]()
    with reading(path):
        if engine:
            import ibis  # slow

            header: Sequence[str] = ibis.connect(engine).table(path.name).columns
        elif kind(path) in OF_TEXT:
            header, _ = _text_header(path, named)
        elif kind(path) == ".parquet":
            schema = pa.parquet.read_schema(path)
            header, stated = schema.names, schema.metadata or {}
            keys = [key for key in ("provenance", "population") if key.encode() in stated]
            metadata = {key: stated[key.encode()].decode(errors="replace") for key in keys}
        else:
            table = _sheet(path, named) if kind(path) == ".xlsx" else _stata(path)
            header = table.column_names
    refuse_more(path, len(header), MOST_COLUMNS, "columns", "check the column separator")
    return header, metadata, table


def _stata(path: Path) -> pa.Table:
    frame = pd.read_stata(path)
    size = int(frame.memory_usage(deep=True).sum())  # of which a .dta file stores repeated text once
    refuse_more(path, size, UNPACKED_BYTES, "unpacked bytes")
    return pa.Table.from_pandas(frame, preserve_index=False)


def _unpacked(path: Path) -> IO[bytes]:
    """Open a text file for reading, decompressing it if necessary."""
    return cast(IO[bytes], gzip.open(path)) if kind(path) == ".csv.gz" else path.open("rb")


def encoding_of(path: Path) -> str:
    """Detect the encoding of a text file, "utf-8" or "gbk"."""
    if kind(path) not in OF_TEXT:
        return "utf-8"
    with reading(path), _unpacked(path) as stream:
        start = stream.read(_BYTES_LOOKED_AT)
    try:
        getincrementaldecoder("utf-8")().decode(start)  # tolerates a truncated last character
    except UnicodeDecodeError:
        return "gbk"
    return "utf-8"


def _text_header(path: Path, named: Map) -> tuple[list[str], str]:
    """Return the header of a text file, and the separator by which it has most columns."""
    with _unpacked(path) as stream:
        start = stream.read(HEADER_BYTES)
    if not start.removeprefix(_MARK).strip():
        refuse(path, "a header and rows", "an empty file", "export it again")
    if start.startswith(_MARK) and named.encoding == "gbk":
        refuse(path, *said("marked"))
    text = start.removeprefix(_MARK).decode(_CODECS[named.encoding], "replace")
    where, rows = f"{path}, row {named.header_row}", list[tuple[list[str], str, str]]()
    do = "use short names, and close all quotes"
    for sign in ",;\t|":
        lines = io.StringIO(text, newline="")
        for _ in range(named.header_row - 1):
            lines.readline()
        try:
            rows.append((next(csv.reader(lines, delimiter=sign), []), sign, lines.read(1)))
        except csv.Error as error:
            refuse(where, "column names", f"a malformed row ({error})", do)
    header, sign, more = max(rows, key=lambda row: len(row[0]))
    if len(start) == HEADER_BYTES and not more:
        refuse(where, f"column names within the first {HEADER_BYTES:,} bytes", "a longer row", do)
    if "\ufffd" in "".join(header):
        _refuse_bytes(path, named.encoding)
    return header, sign


def _refuse_bytes(path: Path, encoding: str) -> None:
    """Raise DataError for the first line that is not in the given encoding, if there is one."""
    with _unpacked(path) as stream:
        mend = "" if stream.read(len(_MARK)) == _MARK else ", or write `encoding: gbk` in its map"
        stream.seek(0)
        for row, line in enumerate(iter(lambda: stream.readline(_BYTES_AT_ONCE), b""), start=1):
            try:  # no reader accepts longer lines
                line.decode(_CODECS[encoding], "strict" if len(line) < _BYTES_AT_ONCE else "replace")
            except UnicodeDecodeError as error:
                meant = line.rstrip().decode("gb18030", "replace")
                key = "not in GBK" if encoding == "gbk" else "not in UTF-8" if "\ufffd" in meant else "probably GBK"
                refuse(f"{path}, row {row}", *said(key, byte=line[error.start], meant=meant, mend=mend))


def _sheet(path: Path, named: Map) -> pa.Table:
    """Read a worksheet from an Excel file.

    Columns of mixed types become text, with dates as YYYY-MM-DD.
    """
    import openpyxl  # slow, and few panels are workbooks

    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    name, names = named.sheet, [sheet.title for sheet in book.worksheets]  # others are charts
    if name not in names and (name or len(names) != 1):
        sheets = {"names": ", ".join(names), "first": (names or ["NAME"])[0]}
        refuse(path, *said("no sheet" if name else "many sheets", name=name, **sheets))
    with zipfile.ZipFile(path) as parts:
        has_formulas = any(b"<f" in parts.read(part) for part in parts.namelist() if part.startswith("xl/worksheets/"))
    books = [book, openpyxl.load_workbook(path, read_only=True)] if has_formulas else [book]
    rows, size, pages = list[tuple[Any, ...]](), 0, [each[name or names[0]] for each in books]
    for sheet in pages:
        sheet.reset_dimensions()  # the declared ones may span a million columns
    for row, *formulas in zip(*(sheet.iter_rows(values_only=True) for sheet in pages), strict=False):
        for cell, formula in zip(row, *formulas, strict=False) if formulas else ():
            if cell is None and formula:
                refuse(f"{path}, row {len(rows) + 1}", *said("formulas", formula=formula))
        rows.append(row)
        size += 1 + sum(len(cell) if isinstance(cell, str) else 1 for cell in row)
        refuse_more(path, size, MOST_CELLS, "cells and characters in a sheet", "save the sheet as .csv")
    while rows and not any(cell not in (None, "") for cell in rows[-1]):
        rows.pop()  # empty cells with formatting only
    if not (rows := rows[named.header_row - 1 :]):
        refuse(path, "a header and rows", "an empty sheet", "export it again")
    columns = [*zip_longest(*rows)][: len(rows[0])]
    return pa.table([_typed(cells) for _, *cells in columns], [_text(name) or "" for name, *_ in columns])


def sheets(path: Path) -> list[str]:
    """Return an Excel file's worksheet names, and none of other files."""
    if kind(path) != ".xlsx":
        return []
    import openpyxl

    with reading(path):
        return [str(sheet.title) for sheet in openpyxl.load_workbook(path, read_only=True).worksheets]


def _typed(cells: list[Any]) -> pa.Array:
    kinds = {type(cell) for cell in cells if cell is not None}
    return pa.array(cells if len(kinds) < 2 or kinds == {int, float} else [_text(cell) for cell in cells])


def _text(cell: Any) -> str | None:
    return f"{cell:%Y-%m-%d}" if isinstance(cell, datetime) else None if cell is None else str(cell)


# Rows


def batches(file: File, needed: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield the needed columns of a file in batches of rows."""
    count, of_kind = 0, _parquet_batches if kind(file.path) == ".parquet" else _text_batches
    with reading(file.path):
        for batch in of_kind(file, needed) if file.table is None else file.table.select(needed).to_batches():
            count += batch.num_rows
            refuse_more(file.path, count, MOST_ROWS, "rows")
            yield batch


def _text_batches(file: File, needed: list[str]) -> Iterator[pa.RecordBatch]:
    path, named, ragged = file.path, file.named, list[Any]()
    codec, (_, sign), above = _CODECS[named.encoding], _text_header(path, named), named.header_row - 1

    def stop(row: pa.csv.InvalidRow) -> str:
        ragged.append(row)
        return "error"

    reading = pa.csv.ReadOptions(use_threads=False, block_size=_BYTES_AT_ONCE, encoding=codec, skip_rows=above)
    lines = {"newlines_in_values": True, "ignore_empty_lines": False, "invalid_row_handler": stop}
    parsing = pa.csv.ParseOptions(delimiter=sign, **lines)
    text = pa.csv.ConvertOptions(column_types=dict.fromkeys(needed, pa.string()), include_columns=needed)
    packed = "gzip" if kind(path) == ".csv.gz" else None
    try:
        yield from pa.csv.open_csv(pa.input_stream(path, compression=packed), reading, parsing, text)
    except (pa.ArrowInvalid, UnicodeDecodeError):
        for row in ragged:
            lengths = {"expected": row.expected_columns, "found": row.actual_columns}
            refuse(f"{path}, row {row.number}", *said("ragged row", text=row.text, sign=sign, **lengths))
        _refuse_bytes(path, named.encoding)
        raise


def _parquet_batches(file: File, needed: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield batches of rows, with text dictionary-encoded to save memory."""
    texts = [column.name for column in pa.parquet.read_schema(file.path) if pa.types.is_string(column.type)]
    with pa.parquet.ParquetFile(file.path, read_dictionary=texts) as rows:
        yield from rows.iter_batches(ROWS_AT_ONCE, columns=needed)


# Rows in SQL

MEMORY = "1GB"
"""For the engine's own tables; the panel's array is not part of them."""
_NUMERIC = (is_text, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
_PLAIN = (*_NUMERIC, pa.types.is_boolean, pa.types.is_date, pa.types.is_timestamp)


@dataclass(frozen=True)
class Rows:
    """Rows of a file or database table, as the table `source` in the SQL dialect of DuckDB.

    It has the cells under our names; `row`, their position; `value`, the sales as a number, NULL if missing; `bad`,
    whether they are invalid; and `pointed`, 1 if a point in them may mark decimals or thousands, 2 if their separators
    are clear, and 0 otherwise. A row of a wide file is one row per month. `remote` is whether another engine does the
    work, and so adds up all that it can.
    """

    path: Path  # for messages
    connection: Any
    source: str  # common table expressions
    remote: bool

    def query(self, sql: str) -> pa.Table:
        """Return the result of a query."""
        return pa.Table.from_batches([*self._stream(sql, {})])

    def of_units(self, units: pa.Table, parts: pa.Table, amount: str) -> Iterator[pa.RecordBatch]:
        """Yield each row's `unit` and `part`, its amount, whether its sales are `unknown`, and `n`, how many rows.

        Unit and part are positions in two tables of keys. Several rows of a unit and part may come as one.
        """
        keys, joins = {"unit": units, "part": parts}, ""
        for name, table in keys.items():
            joins += f" JOIN {name}s USING ({', '.join(column for column in table.column_names if column != 'factor')})"
            keys[name] = table.append_column(name, pa.array(np.arange(len(table), dtype=np.int32)))
        listed = f"{amount} AS amount, value IS NULL AS unknown, CAST(1 AS BIGINT) AS n"
        sql = f"SELECT unit, part, {listed} FROM source{joins}"
        if self.remote and amount != "row":
            of = "BIGINT" if "BIGINT" in amount else "DOUBLE"
            added = f"CAST(sum(amount) AS {of}) AS amount, bool_or(unknown) AS unknown, CAST(sum(n) AS BIGINT) AS n"
            sql = f"SELECT unit, part, {added} FROM ({sql}) AS joined GROUP BY unit, part"
        return self._stream(sql, keys)

    def _stream(self, sql: str, tables: dict[str, pa.Table]) -> Iterator[pa.RecordBatch]:
        """Yield the result of a query, which may join tables of ours, in batches in no particular order."""
        with reading(self.path):
            sql = f"WITH {self.source} {sql}"
            for name, table in tables.items():
                if self.remote:
                    self.connection.create_table(f"{name}s", table, temp=True, overwrite=True)
                else:
                    self.connection.register(f"{name}s", table)
            if self.remote:
                reader = self.connection.sql(sql, dialect="duckdb").to_pyarrow_batches(chunk_size=ROWS_AT_ONCE)
            else:
                reader = self.connection.sql(sql).to_arrow_reader(ROWS_AT_ONCE)
            yield pa.RecordBatch.from_pylist([], reader.schema)  # so that there is one
            yield from reader


@contextmanager
def rows_of(file: File) -> Iterator[Rows]:
    """Open a file or database table for queries."""
    if file.engine:
        import ibis

        with reading(file.path):
            connection = ibis.connect(file.engine)
            schema = connection.table(file.path.name).schema().to_pyarrow()
        try:
            yield _rows(file, connection, schema, "row_number() OVER () - 1", f"FROM {_quoted(file.path.name)}")
        finally:
            connection.disconnect()
        return
    import duckdb

    settings: Any = {"memory_limit": MEMORY, "preserve_insertion_order": False, "autoload_known_extensions": False}
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(config=settings) as database:
        database.execute(f"SET temp_directory = {_literal(folder)}")
        needed = [*dict.fromkeys([*file.theirs.values(), *file.months])]
        source = _as_parquet(file, Path(folder, "rows.parquet"), needed)
        base = f"FROM read_parquet({_literal(str(source))}, file_row_number = true)"
        yield _rows(file, database, pa.parquet.read_schema(source), "file_row_number", base)


def _rows(file: File, connection: Any, schema: pa.Schema, row: str, base: str) -> Rows:
    """Return the rows of a table with a schema."""
    types = {theirs: schema.field(theirs).type for theirs in [*file.theirs.values(), *file.months]}
    types = {theirs: of.value_type if pa.types.is_dictionary(of) else of for theirs, of in types.items()}
    quoted = {theirs: _quoted(theirs) for theirs in types}
    rows = Rows(file.path, connection, f"cells AS (SELECT * {base})", bool(file.engine))
    for theirs in (name for name, of in types.items() if is_text(of)):
        column = quoted[theirs]
        long = f"bit_length({column}) > {8 * LONGEST_NAME} AND length({column}) > {LONGEST_NAME}"
        for length in rows.query(f"SELECT length({column}) AS found FROM cells WHERE {long} LIMIT 1")["found"]:
            refuse_long(file.path, theirs, length.as_py(), LONGEST_NAME)
    sold = [types[column] for column in file.months or [file.theirs["sales"]]]
    for ours, of in [*((ours, types[theirs]) for ours, theirs in file.theirs.items()), *(("sales", of) for of in sold)]:
        is_number = columns()[ours]["type"] == NUMBER
        if not any(allowed(of) for allowed in (_NUMERIC if is_number else _PLAIN)):
            where, expected = f"{file.path}, column {file.called(ours)}", "numbers" if is_number else "text"
            refuse(where, expected, f"values of type {of}", columns()[ours]["remedy"])
    cells = {ours: _cell(file.named, ours, quoted[theirs], types[theirs]) for ours, theirs in file.theirs.items()}
    if file.months:  # of which some may contain only whole numbers
        cast, months = "VARCHAR" if any(map(is_text, sold)) else "DOUBLE", len(file.months)
        row = f"({row}) * {months} + unnest([{', '.join(map(str, range(months)))}])"
        cells["month"] = f"unnest([{', '.join(map(_literal, file.months.values()))}])"
        cells["sales"] = f"unnest([{', '.join(f'CAST({quoted[column]} AS {cast})' for column in file.months)}])"
    listed = ", ".join(f"{cell} AS {ours}" for ours, cell in cells.items())
    value, bad, pointed = _sales(file.named, has_text=any(map(is_text, sold)))
    source = f"""cells AS (SELECT CAST({row} AS BIGINT) AS row, {listed} {base}),
parsed AS (SELECT *, {value} AS value, {pointed} AS pointed FROM cells),
source AS (SELECT *, COALESCE({bad}, FALSE) AS bad FROM parsed)"""
    return Rows(file.path, connection, source, bool(file.engine))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _as_parquet(file: File, target: Path, needed: list[str]) -> Path:
    """Return a Parquet file with the needed columns of the rows of a file and of those that continue it."""
    if kind(file.path) == ".parquet" and len(file.paths) == 1:
        return file.path
    writer, count = None, 0
    for at, path in enumerate(file.paths):
        header, _, table = opened(path, file.named) if at else (file.header, {}, file.table)
        if lacking := sorted({*needed} - {*header}):
            refuse(path, f"the columns of {file.path}", f"no column {lacking[0]!r}", "add it, or leave the file out")
        file.starts[at:] = [count]
        for batch in batches(replace(file, path=path, table=table), needed):
            rows = pa.Table.from_batches([batch]).select(needed)
            writer, count = writer or pa.parquet.ParquetWriter(target, rows.schema), count + len(batch)
            with reading(path):
                writer.write_table(rows.cast(writer.schema))
    if writer is None:
        refuse(file.path, "rows of data", "only a header", "export it again")
    writer.close()
    return target


def _cell(named: Map, ours: str, column: str, kind: pa.DataType) -> str:
    """Return the SQL expression for a column's cells: dates for timestamps of a month, else the cells as they are."""
    if columns()[ours]["type"] != MONTH or not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        return column
    zone = getattr(kind, "tz", None)  # stored in UTC, where midnight in Shanghai falls on the previous day
    column = f"timezone('UTC', {column})" if named.timezone and not zone else column
    zone = named.timezone or (f"GMT{zone}" if zone and zone[0] in "+-" else zone)
    return f"CAST({f'timezone({_literal(zone)}, {column})' if zone else column} AS DATE)"


def _sales(named: Map, has_text: bool) -> tuple[str, str, str]:
    """Return the SQL expressions for `value`, `bad` and `pointed`."""
    least, most = (columns()["sales"]["constraints"][limit] for limit in ("minimum", "maximum"))
    bad = f"value NOT BETWEEN {-most if named.rows == 'order' else least} AND {most}"
    if not has_text:
        return "NULLIF(CAST(sales AS DOUBLE), CAST('NaN' AS DOUBLE))", bad, "0"
    thousands, declared = SPELLED.get(named.thousands, f"[{named.thousands}]"), {"thousands", "decimal"}
    plain = f"regexp_replace(sales, {_literal(thousands)}, '', 'g')" if named.thousands else "sales"
    known = f"sales NOT IN ({', '.join(map(_literal, ['', *named.missing]))})"
    clear = f"NOT regexp_matches(sales, {_literal(EITHER)}) THEN 2 WHEN sales LIKE '%.%' THEN 1"
    pointed = "0" if named.model_fields_set & declared else f"CASE WHEN NOT ({known}) THEN 0 WHEN {clear} ELSE 0 END"
    bad += f" OR ({known} AND NOT regexp_matches(sales, {_literal(number_pattern(named.thousands, named.decimal))}))"
    return f"CASE WHEN {known} THEN TRY_CAST(replace({plain}, '{named.decimal}', '.') AS DOUBLE) END", bad, pointed
