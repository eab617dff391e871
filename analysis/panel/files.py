"""Open a CSV or Parquet file of a panel, and hand out its rows in blocks of our columns, untyped."""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from analysis.config import DOLLARS, ISO_MONTH, Map
from analysis.errors import DataError
from analysis.estimate import Floats
from analysis.panel.columns import TEXT, columns
from analysis.panel.layout import Layout, lay_out, plain
from analysis.panel.problem import BOM, Problem

ROWS_AT_ONCE = 1 << 18
"""Rows of a block of a Parquet file: what is held beside the panel itself."""

Months = npt.NDArray[np.int64]
ORDER = "platform_order"
"""Key of the metadata under which a written panel says, in JSON, how its platforms are ordered."""

_BYTES_AT_ONCE = 1 << 22  # of a CSV file; the reader runs ahead by a good twenty blocks
_CODED = pa.dictionary(pa.int32(), pa.string())
_READABLE = {".csv", ".parquet"}


@dataclass(frozen=True, eq=False)
class Links:
    """What becomes of each account.

    Attributes
    ----------
    accounts : StringArray
        Ids, sorted; an account is a position in it.
    texts : dict of str to StringArray
        By account: what is said of its firm in words. Empty if no account is renamed.
    closed, dose : array[account] or None
        Month of closure and dose of its firm; None where the file gives them by firm.
    notes : list of (str, str, int)
        Rows for `Panel.dropped`.
    """

    accounts: pa.StringArray
    texts: dict[str, pa.StringArray]
    closed: Months | None
    dose: Floats | None
    notes: list[tuple[str, str, int]]

    @property
    def makes(self) -> tuple[str, ...]:
        """Our columns that the file lacks and these links make."""
        return () if self.dose is None else ("dose",)


@dataclass(frozen=True)
class File:
    """A file of a panel with the columns of the schema.

    Attributes
    ----------
    path : Path
    first : int
        Number of its first row of data: 2 after the header of a CSV file, 1 in Parquet.
    layout : Layout
        Where our columns stand in it.
    named : Map or None
        None if it is in our columns.
    said : dict
        What its metadata say of the panel: `provenance` and the order of platforms; nothing in CSV.
    links : Links or None
        What accounts became, where they are renamed or closed one by one.
    """

    path: Path
    first: int
    layout: Layout
    named: Map | None = None
    said: dict[str, Any] = field(default_factory=dict)
    links: Links | None = None

    @property
    def names(self) -> list[str]:
        """Our columns that it has, or that are made from those that it has."""
        return [*self.layout.names, *(self.links.makes if self.links else ())]

    @property
    def currency(self) -> str:
        """Money of its sales."""
        return self.named.currency if self.named else DOLLARS

    def format_of(self, name: str) -> str:
        """Return the format of a column of months, as in strptime."""
        spread = bool(self.layout.months) and name == "month"  # read from the header already
        return self.named.month_format if self.named and not spread else ISO_MONTH

    def blocks(self, names: Sequence[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield the number of the first row, and some consecutive rows of these columns."""
        row, needed = self.first, self.layout.needed(names)
        for batch in _csv_batches(self, needed) if self.path.suffix == ".csv" else _parquet_batches(self, list(needed)):
            yield row, self.layout.ours(batch, names)
            row += batch.num_rows


def open_file(path: Path, named: Map | None = None) -> File:
    """Look at the header of a file.

    Raises
    ------
    DataError
        When it is no readable CSV or Parquet file, is empty, in another encoding, or its columns are not those of the
        schema, or of the map.
    """
    if not path.is_file() or path.suffix not in _READABLE:
        found = f"the type {path.suffix!r}" if path.is_file() else "no such file"
        raise _refusal(f"{path}", "a .csv or .parquet file", found, "give the path of one of these")
    if path.suffix == ".parquet" and named and named.encoding != "utf-8":
        found = f"`encoding: {named.encoding}` in {named.path}"
        raise _refusal(f"{path}", "no encoding, which is for CSV files", found, "remove it")
    header, said = (_csv_header(path, _codec(named)), {}) if path.suffix == ".csv" else _parquet_header(path)
    first = 2 if path.suffix == ".csv" else 1
    where = f"{path}, row 1" if first == 2 else f"{path}"
    if named is None:
        _check_known(header, where)
    layout = _with_ids(lay_out(header, named, where) if named else plain(header))
    _check_complete(layout, named, where)
    return File(path, first, layout, named, said)


def _codec(named: Map | None) -> str:
    return "gb18030" if named and named.encoding == "gbk" else "utf-8"  # which holds all of GBK


def _with_ids(layout: Layout) -> Layout:
    """Let the account stand for the firm, or the firm for the account, where renamed ones are linked."""
    theirs = dict(layout.theirs)
    if "renamed_from" in theirs:
        for name, other in (("firm", "account"), ("account", "firm")):
            if name not in theirs and other in theirs:
                theirs[name] = theirs[other]
    return Layout(theirs, layout.months, layout.ignored)


def _refusal(where: str, asked: str, found: str, do: str) -> DataError:
    return DataError(str(Problem(where, asked, found, do)))


def _check_known(header: list[str], where: str) -> None:
    declared = columns()
    asked = f"the columns {', '.join(name for name, column in declared.items() if not column.optional)}"
    optional = ", ".join(name for name, column in declared.items() if column.optional)
    for name in header:
        if name not in declared:
            do = f"remove or rename it, or say in a map which is which; optional columns are {optional}"
            raise _refusal(where, asked, f"the unknown column {name!r}", do)
        if header.count(name) > 1:
            raise _refusal(where, asked, f"the column {name!r} twice", "remove one of the two")


def _check_complete(layout: Layout, named: Map | None, where: str) -> None:
    asked = f"the columns {', '.join(name for name, column in columns().items() if not column.optional)}"
    for name, column in columns().items():
        if name not in layout.names and not column.optional:
            do = f"name theirs in {named.path}, or add it: {column.remedy}" if named else f"add it: {column.remedy}"
            raise _refusal(where, asked, f"no column {name!r}", do)
    if named and named.closures == "account":
        if "account" not in layout.theirs:
            do = f"name it in {named.path}, or remove `closures`"
            raise _refusal(where, "accounts that were closed one by one", "no column 'account'", do)
        if "dose" in layout.theirs:
            do = f"remove dose or `closures` from {named.path}"
            raise _refusal(where, "doses made from accounts that were closed one by one", "a column of doses", do)


def _csv_header(path: Path, codec: str) -> list[str]:
    _check_encoding(path, codec)
    with path.open(encoding="utf-8-sig" if codec == "utf-8" else codec, newline="") as stream:
        header = next(csv.reader(stream))
    for sign, called in ((";", "semicolons"), ("\t", "tabs")):
        if len(header) == 1 and sign in header[0]:
            found = f"{called} in {header[0][:60]!r}"
            raise _refusal(f"{path}, row 1", "columns separated by commas", found, "save it as CSV with commas")
    return header


def _check_encoding(path: Path, codec: str) -> None:
    """Refuse what is in another encoding, block by block, since the file may be larger than memory."""
    decoder, rows = codecs.getincrementaldecoder(codec)(), 0
    with path.open("rb") as stream:
        if not path.stat().st_size or not (start := stream.read(_BYTES_AT_ONCE)).removeprefix(BOM).strip():
            raise _refusal(f"{path}", "a header and rows", "an empty file", "export it again")
        if start.startswith(BOM) and codec != "utf-8":
            found = "the byte order mark of UTF-8"
            raise _refusal(f"{path}", "text in GBK, as the map says", found, "remove `encoding` from the map")
        content = start
        while content:
            pending = decoder.getstate()[0]
            try:
                decoder.decode(content)
            except UnicodeDecodeError as error:
                marked = start.startswith(BOM)
                raise _not_in(codec, path, pending + content, error.start, rows, marked=marked) from error
            rows += content.count(b"\n")
            content = stream.read(_BYTES_AT_ONCE)


def _not_in(codec: str, path: Path, content: bytes, position: int, rows_before: int, *, marked: bool) -> DataError:
    """Return the refusal of a byte; `marked` says whether the file begins with the byte order mark of UTF-8."""
    row = rows_before + content.count(b"\n", 0, position) + 1
    line = content[content.rfind(b"\n", 0, position) + 1 :].partition(b"\n")[0].rstrip(b"\r")
    found = f"the byte 0x{content[position]:02x}"
    if codec != "utf-8":
        do = "remove `encoding` from the map, or save the file as UTF-8"
        return _refusal(f"{path}, row {row}", "text in GBK, as the map says", f"{found}, which is none there", do)
    found += ", which is no UTF-8 there"
    try:
        found += f"; likely it is GBK, in which the row is {line.decode('gb18030')!r}"
        do = "save it as UTF-8" + (", whose mark it begins with" if marked else ", or write `encoding: gbk` in its map")
    except UnicodeDecodeError:
        found, do = f"{found}, nor is the row GBK", "save it as UTF-8"
    return _refusal(f"{path}, row {row}", "UTF-8 text", found, do)


def _csv_batches(file: File, needed: Mapping[str, list[str]]) -> Iterator[pa.RecordBatch]:
    path, ragged = file.path, list[pa.csv.InvalidRow]()

    def stop(row: pa.csv.InvalidRow) -> str:
        ragged.append(row)
        return "error"

    types = {
        theirs: _CODED if all(columns()[name].kind == TEXT for name in ours) else pa.string()
        for theirs, ours in needed.items()
    }
    try:
        yield from pa.csv.open_csv(
            path,
            read_options=pa.csv.ReadOptions(use_threads=False, block_size=_BYTES_AT_ONCE, encoding=_codec(file.named)),
            parse_options=pa.csv.ParseOptions(
                newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=stop
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=types, include_columns=list(needed), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        if not ragged:
            raise _refusal(f"{path}", "a CSV file", f"what cannot be read ({error})", "export it again") from error
        row = ragged[0]
        where, asked = f"{path}, row {row.number}", f"{row.expected_columns} cells"
        do = "quote cells that hold a comma, and give every row all cells"
        raise _refusal(where, asked, f"{row.actual_columns} in {row.text!r}", do) from error


def _parquet_header(path: Path) -> tuple[list[str], dict[str, Any]]:
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
    return schema.names, said | {ORDER: json.loads(said.get(ORDER, "[]"))}


def _parquet_batches(file: File, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with pa.parquet.ParquetFile(file.path) as opened:
        for group in range(opened.num_row_groups):  # one by one, or the buffers of all of them are kept
            yield from opened.iter_batches(ROWS_AT_ONCE, row_groups=[group], columns=list(names))
