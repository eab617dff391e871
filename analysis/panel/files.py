"""Open a CSV or Parquet file of a panel, and hand out its rows in blocks, untyped."""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from analysis.errors import DataError
from analysis.facts.reading import BOM, Problem
from analysis.panel.columns import TEXT, columns

ROWS_AT_ONCE = 1 << 18
"""Rows of a block of a Parquet file: what is held beside the panel itself."""

ORDER = "platform_order"
"""Key of the metadata under which a written panel says, in JSON, how its platforms are ordered."""

_BYTES_AT_ONCE = 1 << 24
_CODED = pa.dictionary(pa.int32(), pa.string())
_READABLE = {".csv", ".parquet"}


@dataclass(frozen=True)
class File:
    """A file of a panel with the columns of the schema.

    Attributes
    ----------
    path : Path
    names : list of str
        Its columns.
    first : int
        Number of its first row of data: 2 after the header of a CSV file, 1 in Parquet.
    said : dict
        What its metadata say of the panel: `provenance` and the order of platforms; nothing in CSV.
    """

    path: Path
    names: list[str]
    first: int
    said: dict[str, Any] = field(default_factory=dict)

    def blocks(self, names: Sequence[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield the number of the first row, and some consecutive rows of these columns."""
        row = self.first
        for batch in _csv_batches(self.path, names) if self.path.suffix == ".csv" else _parquet_batches(self, names):
            yield row, batch
            row += batch.num_rows


def open_file(path: Path) -> File:
    """Look at the header of a file.

    Raises
    ------
    DataError
        When it is no readable CSV or Parquet file, is empty, not in UTF-8, has a byte order mark, or its columns are
        not those of the schema.
    """
    if not path.is_file() or path.suffix not in _READABLE:
        found = f"the type {path.suffix!r}" if path.is_file() else "no such file"
        raise _refusal(f"{path}", "a .csv or .parquet file", found, "give the path of one of these")
    file = _csv(path) if path.suffix == ".csv" else _parquet(path)
    _check_header(file)
    return file


def _refusal(where: str, asked: str, found: str, do: str) -> DataError:
    return DataError(str(Problem(where, asked, found, do)))


def _check_header(file: File) -> None:
    declared, where = columns(), f"{file.path}, row 1" if file.first == 2 else f"{file.path}"
    asked = f"the columns {', '.join(name for name, column in declared.items() if not column.optional)}"
    optional = ", ".join(name for name, column in declared.items() if column.optional)
    for name in file.names:
        if name not in declared:
            do = f"remove or rename it; optional columns are {optional}"
            raise _refusal(where, asked, f"the unknown column {name!r}", do)
        if file.names.count(name) > 1:
            raise _refusal(where, asked, f"the column {name!r} twice", "remove one of the two")
    for name, column in declared.items():
        if name not in file.names and not column.optional:
            raise _refusal(where, asked, f"no column {name!r}", f"add it: {column.remedy}")


def _csv(path: Path) -> File:
    _check_encoding(path)
    with path.open(encoding="utf-8", newline="") as stream:
        header = next(csv.reader(stream))
    return File(path, header, first=2)


def _check_encoding(path: Path) -> None:
    """Refuse what is not UTF-8, block by block, since the file may be larger than memory."""
    decoder, rows = codecs.getincrementaldecoder("utf-8")(), 0
    with path.open("rb") as stream:
        if not path.stat().st_size or not (start := stream.read(_BYTES_AT_ONCE)).strip():
            raise _refusal(f"{path}", "a header and rows", "an empty file", "export it again")
        if start.startswith(BOM):
            raise _refusal(f"{path}", "UTF-8 text", "a byte order mark", "save it as UTF-8 without BOM")
        content = start
        while content:
            pending = decoder.getstate()[0]
            try:
                decoder.decode(content)
            except UnicodeDecodeError as error:
                raise _not_utf8(path, pending + content, error.start, rows) from error
            rows += content.count(b"\n")
            content = stream.read(_BYTES_AT_ONCE)


def _not_utf8(path: Path, content: bytes, position: int, rows_before: int) -> DataError:
    row = rows_before + content.count(b"\n", 0, position) + 1
    line = content[content.rfind(b"\n", 0, position) + 1 :].partition(b"\n")[0].rstrip(b"\r")
    found = f"the byte 0x{content[position]:02x}, which is no UTF-8 there"
    try:
        found += f"; read as GBK the row is {line.decode('gb18030')!r}"
    except UnicodeDecodeError:
        found += ", nor is the row GBK"
    return _refusal(f"{path}, row {row}", "UTF-8 text", found, "save it as UTF-8 without BOM")


def _csv_batches(path: Path, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    ragged: list[pa.csv.InvalidRow] = []

    def stop(row: pa.csv.InvalidRow) -> str:
        ragged.append(row)
        return "error"

    types = {name: _CODED if columns()[name].kind == TEXT else pa.string() for name in names}
    try:
        yield from pa.csv.open_csv(
            path,
            read_options=pa.csv.ReadOptions(use_threads=False, block_size=_BYTES_AT_ONCE),
            parse_options=pa.csv.ParseOptions(
                newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=stop
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=types, include_columns=list(names), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        if not ragged:
            raise _refusal(f"{path}", "a CSV file", f"what cannot be read ({error})", "export it again") from error
        row = ragged[0]
        where, asked = f"{path}, row {row.number}", f"{row.expected_columns} cells"
        do = "quote cells that hold a comma, and give every row all cells"
        raise _refusal(where, asked, f"{row.actual_columns} in {row.text!r}", do) from error


def _parquet(path: Path) -> File:
    try:
        with pa.parquet.ParquetFile(path) as opened:
            schema = opened.schema_arrow
    except pa.ArrowInvalid as error:
        raise _refusal(f"{path}", "a Parquet file", f"what cannot be read ({error})", "export it again") from error
    said = {
        key.decode(): value.decode()
        for key, value in (schema.metadata or {}).items()
        if key in (b"provenance", ORDER.encode())
    }
    return File(path, schema.names, first=1, said=said | {ORDER: json.loads(said.get(ORDER, "[]"))})


def _parquet_batches(file: File, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with pa.parquet.ParquetFile(file.path) as opened:
        for group in range(opened.num_row_groups):  # one by one, or the buffers of all of them are kept
            yield from opened.iter_batches(ROWS_AT_ONCE, row_groups=[group], columns=list(names))
