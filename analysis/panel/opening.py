"""Open a file of any type: its header, its metadata, and its rows in batches.

A worksheet and a Stata file are read at once; text and Parquet files in batches.
"""

from __future__ import annotations

import csv
import gzip
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from itertools import islice, takewhile, zip_longest
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from fewtreated.errors import DataError, refuse

from analysis import memory
from analysis.panel.map import Map, columns, refusal_words
from analysis.untrusted import LONGEST_NAME, admit, refuse_more

TEXT_TYPES = (".csv", ".csv.gz", ".tsv")
FILE_TYPES = (*TEXT_TYPES, ".parquet", ".xlsx", ".dta")
_BYTES_AT_ONCE = 1 << 22  # per block of a text file, of which the reader runs some twenty ahead
HEADER_BYTES = 1 << 20
MOST_COLUMNS = 10_000
# rows in a file; cells and characters in a sheet, which is kept in memory
MOST_ROWS = 1 << 31
SHEET_CELLS = 1 << 24
# that a file, and a workbook, may declare
UNPACKED_BYTES = 1 << 32
BOOK_BYTES = 1 << 28
MEMORY = "1GB"  # for the tables of the engine, to which the panel's array does not belong
_CODECS = {"utf-8": "utf-8", "gbk": "gb18030"}  # gb18030 includes all of GBK
_RAGGED = re.compile(
    r"Row #(?P<row>\d+): Expected (?P<expected>\d+) columns, got (?P<found>\d+): (?P<text>[^�]*)$"
)
_NO_VALUE = re.compile(
    rb"(</f>|<f[^>]*/>)(<v */>|<v></v>)?</c>"
)  # a formula that was never computed
_MARK = b"\xef\xbb\xbf"  # the byte order mark of UTF-8


def file_type(path: Path) -> str:
    """Return a file's type, one of `FILE_TYPES`, or an empty string if it is unsupported."""
    return next((ending for ending in FILE_TYPES if path.name.lower().endswith(ending)), "")


def refuse_file(path: Path) -> None:
    """Raise DataError if a file is missing, has an unsupported type or is too large."""
    admit(path)
    if not file_type(path):
        refuse(
            path,
            f"a file of type {', '.join(FILE_TYPES)}",
            f"the type {path.suffix!r}",
            "convert it to one of these",
        )
    with parser_errors(path):
        if file_type(path) == ".parquet":
            _refuse_parquet(path)
        elif file_type(path) == ".xlsx":
            sizes = {part.filename: part.file_size for part in zipfile.ZipFile(path).infolist()}
            size = sum(
                size * (1 if "worksheets/" in name else 4) for name, size in sizes.items()
            )  # kept in memory
            refuse_more(
                path, size, BOOK_BYTES, "unpacked bytes (four times those beside the sheets)"
            )


def _refuse_parquet(path: Path) -> None:
    """Raise DataError if a Parquet file is too large."""
    size = path.stat().st_size
    footer = int(np.fromfile(path, "<u4", 1, offset=max(0, size - 8))[0])
    refuse_more(path, min(footer, size), 1 << 25, "bytes of metadata")
    whole = pa.parquet.read_metadata(path.absolute())
    refuse_more(path, whole.num_rows, *_most_rows(path))
    groups = [whole.row_group(number) for number in range(whole.num_row_groups)]
    size = max((group.total_byte_size - 2000 * group.num_rows for group in groups), default=0)
    refuse_more(path, size, BOOK_BYTES, "bytes in a group of rows, beside 2,000 a row")


def _most_rows(path: Path) -> tuple[int, str]:
    """Return how many rows any panel can have in a file of this size.

    There is a limit, since each row has a key of its own.
    """
    size = path.stat().st_size
    rows = size
    if file_type(path) == ".parquet":
        rows *= 32
    return min(MOST_ROWS, (1 << 22) + rows), f"rows in {size:,} bytes"


@contextmanager
def parser_errors(path: Path, is_table: bool = False) -> Iterator[None]:
    """Convert exceptions of parsers and, for the table of a database, of its engine to DataError.

    Of an engine's exception only the name of its class is quoted: its text may contain the
    database's address.
    """
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        if memory.is_lack(error):
            raise
        name = type(error).__name__
        if name == "OutOfMemoryException" and memory.is_limited():
            raise MemoryError from None
        if name == "OutOfMemoryException":
            refuse(
                path,
                f"rows that can be added up in {MEMORY}",
                "more",
                "build the panel with `panel --pieces 16`",
            )
        if is_table:
            words = refusal_words("unreadable table", error=name)
            # without the context, which quotes the address
            raise DataError("{}: expected {}; found {}; {}.".format(path, *words)) from None
        refuse(
            path,
            f"a valid {file_type(path)} file",
            f"one that cannot be read ({error or name})",
            "export it again",
        )


# Header, metadata, and rows that are read at once


def read_header(path: Path, named: Map) -> tuple[Sequence[str], dict[str, str], pa.Table | None]:
    """Return a file's header, metadata and rows.

    The rows are a table, or None if files of this type are read in batches.
    """
    table = None
    metadata = dict[str, str]()
    with parser_errors(path):
        header: Sequence[str]
        if file_type(path) in TEXT_TYPES:
            header, _ = _text_header(path, named)
        elif file_type(path) == ".parquet":
            schema = pa.parquet.read_schema(path.absolute())
            header = schema.names
            stated = schema.metadata or {}
            for key in ("provenance", "population", "sampled"):
                if key.encode() in stated:
                    metadata[key] = stated[key.encode()].decode(errors="replace")
        else:
            if file_type(path) == ".xlsx":
                table = _sheet(path, named)
            else:
                table = _stata(path)
            header = table.column_names
    refuse_more(path, len(header), MOST_COLUMNS, "columns", "check the column separator")
    return header, metadata, table


def cells_about(path: Path) -> int:
    """Return about how many rows, or cells of months, a file has; 0 if it cannot be told.

    That of a text file is told by the lines of its first part, that of a sheet by its bytes, and
    any file of months as columns by its columns.
    """
    try:
        if file_type(path) == ".parquet":
            whole = pa.parquet.read_metadata(path.absolute())
            rows = whole.num_rows
            width = whole.num_columns
        elif file_type(path) not in TEXT_TYPES:
            return path.stat().st_size // 8
        else:
            with path.open("rb") as file:
                packed = HEADER_BYTES
                start = file.read(packed)
            if file_type(path) == ".csv.gz":
                start = zlib.decompressobj(wbits=31).decompress(start)
            lines = start.splitlines() or [b""]
            width = 1 + max(map(lines[0].count, (b",", b";", b"\t", b"|")))
            rows = len(lines) * max(path.stat().st_size, packed) // packed
    except (OSError, ValueError, zlib.error):
        return 0
    return int(rows) * (width if width > len(columns()) else 1)


def rows_above(path: Path, named: Map) -> int:
    """Return how many rows of a file stand above its first row of data."""
    if file_type(path) in (*TEXT_TYPES, ".xlsx"):
        return named.header_row
    return 0


def _stata(path: Path) -> pa.Table:
    """Read a Stata file, whose text is stored once."""
    whole = path.absolute()
    with pd.read_stata(whole, chunksize=1 << 13, convert_categoricals=False) as some:
        for frame in some:
            for name, cells in frame.select_dtypes("str").items():
                longest = int(cells.str.len().max())
                refuse_more(path, longest, 10 * LONGEST_NAME, f"characters in {name!r}")
    frame = pd.read_stata(whole)
    refuse_more(path, int(frame.memory_usage(deep=True).sum()), UNPACKED_BYTES, "unpacked bytes")
    return pa.Table.from_pandas(frame, preserve_index=False)


# Text


def _unpacked(path: Path) -> IO[bytes]:
    """Open a text file for reading, decompressing it if necessary."""
    if file_type(path) == ".csv.gz":
        return cast(IO[bytes], gzip.open(path))
    return path.open("rb")


def _undecodable(path: Path, encoding: str) -> Iterator[tuple[int, bytes, int]]:
    """Yield the first wrong byte of each line that is not in the encoding.

    Each is given as the row, the bytes and the place.
    """
    with _unpacked(path) as stream:
        lines = islice(
            iter(lambda: stream.readline(_BYTES_AT_ONCE), b""), 1 << 22
        )  # a second or two
        for row, line in enumerate(
            takewhile(lambda line: len(line) < _BYTES_AT_ONCE, lines), start=1
        ):
            try:  # no reader accepts longer lines
                line.decode(_CODECS[encoding])
            except UnicodeDecodeError as error:
                yield row, line, error.start


def encoding_of(path: Path) -> str:
    """Detect the encoding of a file, "utf-8" or "gbk"."""
    with parser_errors(path):
        if file_type(path) in TEXT_TYPES and any(_undecodable(path, "utf-8")):
            return "gbk"
        return "utf-8"


def _refuse_bytes(path: Path, encoding: str) -> None:
    """Raise DataError for the first line that is not in the given encoding, if there is one."""
    for row, line, at in _undecodable(path, encoding):
        mend = ", or write `encoding: gbk` in its map"
        with _unpacked(path) as stream:
            if stream.read(len(_MARK)) == _MARK:
                mend = ""
        meant = line.rstrip().decode("gb18030", "replace")
        key = "probably GBK"
        if encoding == "gbk":
            key = "not in GBK"
        elif "\ufffd" in meant:
            key = "not in UTF-8"
        refuse(f"{path}, row {row}", *refusal_words(key, byte=line[at], meant=meant, mend=mend))


def _text_header(path: Path, named: Map) -> tuple[list[str], str]:
    """Return the header of a text file, and the separator by which it has most columns."""
    with _unpacked(path) as stream:
        start = stream.read(HEADER_BYTES)
    text = start.removeprefix(_MARK)
    if not text.strip():
        refuse(path, "a header and rows", "an empty file", "export it again")
    if start != text and named.encoding == "gbk":
        refuse(path, *refusal_words("marked"))
    lines = text.decode(_CODECS[named.encoding], "replace").splitlines(keepends=True)
    try:
        rows = [
            (next(csv.reader(lines[named.header_row - 1 :], delimiter=sign), []), sign)
            for sign in ",;\t|"
        ]
    except csv.Error as error:
        actual = f"a malformed row ({error})"
        do = "use short names, and close all quotes"
        refuse(f"{path}, row {named.header_row}", "column names", actual, do)
    header, sign = max(rows, key=lambda row: len(row[0]))
    if "\ufffd" in "".join(header):
        _refuse_bytes(path, named.encoding)
    return header, sign


# Worksheets


def sheets(path: Path) -> list[str]:
    """Return the names of the worksheets in an Excel file; empty for other files."""
    if file_type(path) != ".xlsx":
        return []
    import openpyxl  # slow, and few panels are workbooks

    with parser_errors(path), closing(openpyxl.load_workbook(path, read_only=True)) as book:
        return [str(sheet.title) for sheet in book.worksheets]  # others are charts


def _sheet(path: Path, named: Map) -> pa.Table:
    """Read a worksheet from an Excel file.

    Columns of mixed types become text, with dates as YYYY-MM-DD.
    """
    rows = _sheet_rows(path, _sheet_name(path, named.sheet))
    while rows and not any(cell not in (None, "") for cell in rows[-1]):
        rows.pop()  # empty cells with formatting only
    rows = rows[named.header_row - 1 :]
    if not rows:
        refuse(path, "a header and rows", "an empty sheet", "export it again")
    width = len(rows[0])  # a stray cell may be far to the right
    columns = [*zip_longest(*(row[:width] for row in rows))]
    names = [_cell_text(name) or "" for name, *_ in columns]
    return pa.table([_sheet_column(cells) for _, *cells in columns], names)


def _sheet_name(path: Path, name: str | None) -> str:
    """Return the name of the worksheet to read."""
    names = sheets(path)
    if name in names:
        return str(name)
    if not name and len(names) == 1:
        return names[0]
    key = "many sheets"
    if name:
        key = "no sheet"
    first = [*names, "NAME"][0]
    refuse(path, *refusal_words(key, name=name, names=", ".join(names), first=first))


def _sheet_rows(path: Path, name: str) -> list[tuple[Any, ...]]:
    """Return the rows of a worksheet; raise DataError if a formula has no value."""
    import openpyxl

    with zipfile.ZipFile(path) as parts:
        has_formulas = any(
            _NO_VALUE.search(parts.read(part)) for part in parts.namelist() if "worksheets/" in part
        )
    rows = list[tuple[Any, ...]]()
    size = 0
    pages = list[Iterator[tuple[Any, ...]]]()
    with ExitStack() as books:
        for has_values in (True, False)[: 1 + has_formulas]:
            book = closing(openpyxl.load_workbook(path, read_only=True, data_only=has_values))
            page = books.enter_context(book)[name]
            page.reset_dimensions()  # the declared ones may span a million columns
            pages.append(page.iter_rows(values_only=True))
        for row, *formulas in zip(*pages, strict=False):
            for cell, formula in zip(row, *formulas, strict=False) if formulas else ():
                if cell is None and formula:
                    refuse(
                        f"{path}, row {len(rows) + 1}", *refusal_words("formulas", formula=formula)
                    )
            rows.append(row)
            size += 1 + sum(len(cell) if isinstance(cell, str) else 1 for cell in row)
            of = "cells and characters in a sheet"
            refuse_more(path, size, SHEET_CELLS, of, "save the sheet as .csv")
            # as Excel: gaps are filled with rows
            refuse_more(path, len(rows), 1 << 20, "rows in a sheet")
    return rows


def _sheet_column(cells: list[Any]) -> pa.Array:
    """Return the cells of a column as they are, or as text if their types differ."""
    types = {type(cell) for cell in cells if cell is not None}
    if len(types) > 1 and types != {int, float}:
        cells = [_cell_text(cell) for cell in cells]
    return pa.array(cells)


def _cell_text(cell: Any) -> str | None:
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%d}"
    if cell is None:
        return None
    return str(cell)


# Rows


def batches(
    path: Path, named: Map, table: pa.Table | None, needed: list[str], most: int = 0
) -> Iterator[pa.RecordBatch]:
    """Yield some columns of a file in batches.

    Raise DataError if there are more rows than `most`, or than any panel can have.
    """
    most = most or MOST_ROWS
    count = 0
    if file_type(path) == ".parquet" and not table:
        table = pa.parquet.read_table(path.absolute(), read_dictionary=needed)
    for batch in table.select(needed).to_batches() if table else _text_batches(path, named, needed):
        refuse_more(path, count := count + len(batch), *min((most, "rows"), _most_rows(path)))
        if file_type(path) in TEXT_TYPES and not any(
            pc.max(pc.binary_length(cells)).as_py() for cells in batch
        ):
            refuse(path, "rows of data", f"{len(batch):,} empty lines", "remove them")
        yield batch


def _text_batches(path: Path, named: Map, needed: list[str]) -> Iterator[pa.RecordBatch]:
    _, sign = _text_header(path, named)
    reading = pa.csv.ReadOptions(
        use_threads=False,
        block_size=_BYTES_AT_ONCE,
        encoding=_CODECS[named.encoding],
        skip_rows=named.header_row - 1,
    )
    parsing = pa.csv.ParseOptions(delimiter=sign, newlines_in_values=True, ignore_empty_lines=False)
    text = pa.csv.ConvertOptions(
        column_types=dict.fromkeys(needed, pa.string()), include_columns=needed
    )
    packed = "gzip" if file_type(path) == ".csv.gz" else None
    try:
        yield from pa.csv.open_csv(
            pa.input_stream(path.absolute(), compression=packed), reading, parsing, text
        )
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        for row in _RAGGED.finditer(str(error)):
            words = refusal_words("ragged row", sign=sign, **row.groupdict())
            refuse(f"{path}, row {row['row']}", *words)
        _refuse_bytes(path, named.encoding)
        raise


def types_of(schema: pa.Schema, names: Iterable[str]) -> dict[str, pa.DataType]:
    """Return the types of some columns by name, of dictionaries those of their values."""
    types = {name: schema.field(name).type for name in names}
    return {name: of.value_type if pa.types.is_dictionary(of) else of for name, of in types.items()}
