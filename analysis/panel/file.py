"""Open a panel file, read its header and yield its rows as tables of unchecked cells."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from codecs import getincrementaldecoder
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat, zip_longest
from pathlib import Path
from typing import IO, Any, NoReturn, cast

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from pydantic import TypeAdapter

from analysis.errors import DataError, refuse
from analysis.panel.formats import QUARTERS, strange
from analysis.panel.map import Map, Wide, as_day, columns
from analysis.panel.panel import ORDER, POPULATIONS
from analysis.untrusted import admit
from analysis.yaml import load

ROWS_AT_ONCE = 1 << 18
KINDS = (".csv", ".csv.gz", ".tsv", ".parquet", ".xlsx", ".dta")
OF_TEXT = KINDS[:3]
_ONLY_FOR = {"encoding": OF_TEXT, "separator": OF_TEXT, "sheet": (".xlsx",)}  # keys of a map
# per block of a text file, of which the reader runs some twenty ahead; and to detect the encoding
_BYTES_AT_ONCE, _BYTES_LOOKED_AT = 1 << 22, 1 << 26
HEADER_BYTES, MOST_COLUMNS = 1 << 20, 10_000
MOST_ROWS, MOST_CELLS = 1 << 28, 1 << 24  # rows in a file; cells and characters in a sheet, which is kept in memory
UNPACKED_BYTES = 1 << 32  # that a file may declare
_CODECS = {"utf-8": "utf-8", "gbk": "gb18030"}  # gb18030 includes all of GBK
_MARK = b"\xef\xbb\xbf"  # the byte order mark of UTF-8


@dataclass(frozen=True)
class File:
    """A file whose header has been read.

    `map` is the path of the map, for messages. `metadata` describes the panel. `allowed` lists the platforms that may
    occur. `theirs` maps our columns to the file's. `months`, for a wide file, maps each column to its month (YYYY-MM).
    `table` contains all rows if files of this type are read at once.
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

    def row(self, position: Any) -> Any:
        """Convert positions to the file's row numbers.

        In a wide file, each month of a row has its own position.
        """
        return (1 if kind(self.path) in (".parquet", ".dta") else 2) + position // max(1, len(self.months))

    def called(self, name: str, position: int = 0) -> str:
        """Return a column's name for use in messages.

        It is the name in the file, with ours in parentheses if it differs.
        """
        theirs = self.theirs.get(name, name)
        if self.months and name in ("month", "sales"):
            theirs = [*self.months][position % len(self.months)]
        return name if theirs == name else f"{theirs!r} ({name})"

    def refuse(self, position: int, name: str, expected: str, actual: str, do: str = "") -> NoReturn:
        """Raise DataError for the row at the given position."""
        where = f"{self.path}, row {self.row(position)}, column {self.called(name, position)}"
        refuse(where, expected, actual, do or columns()[name]["remedy"])

    def refuse_header(self, expected: str, actual: str, do: str) -> NoReturn:
        """Raise DataError for the header."""
        refuse(f"{self.path}, row 1" if self.row(0) == 2 else self.path, expected, actual, do)


def kind(path: Path) -> str:
    """Return a file's type, one of `KINDS`, or an empty string if it is unsupported."""
    return next((ending for ending in KINDS if path.name.lower().endswith(ending)), "")


def refuse_kind(path: Path) -> None:
    """Raise DataError if a file is missing, has an unsupported type or is too large."""
    admit(path)
    if not kind(path):
        refuse(path, f"a file of type {', '.join(KINDS)}", f"the type {path.suffix!r}", "convert it to one of these")
    size, most, of = 0, UNPACKED_BYTES, "unpacked bytes"
    with reading(path):
        if kind(path) == ".parquet":
            size, most, of = pa.parquet.read_metadata(path).num_rows, MOST_ROWS, "rows"
        elif kind(path) == ".xlsx":
            with zipfile.ZipFile(path) as parts:
                size = sum(member.file_size for member in parts.infolist())
    if size > most:
        refuse(path, f"at most {most:,} {of}", f"{size:,}", "split the file, or aggregate its rows")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Convert parser exceptions to DataError."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        actual = f"one that cannot be read ({error or type(error).__name__})"
        refuse(path, f"a valid {kind(path)} file", actual, "export it again")


def open_file(path: Path, map: Path | None, allowed: Sequence[str] | None) -> File:
    """Read a file's header, and match its columns to the schema, using the map if there is one."""
    named = load(map, Map) if map else Map()
    refuse_kind(path)
    for key in named.model_fields_set & _ONLY_FOR.keys():
        if kind(path) not in _ONLY_FOR[key]:
            actual = f"`{key}: {getattr(named, key)}`"
            refuse(path, f"no `{key}`, used only for {', '.join(_ONLY_FOR[key])}", actual, "remove it from the map")
    header, metadata, table = opened(path, named)
    theirs = {name: name for name in columns() if name in header} | named.columns
    file = File(path, map, named, header, metadata, allowed, theirs, {}, table)
    needed = [name for name, column in columns().items() if not column.get("optional")]
    if not map and (unknown := [name for name in header if name not in columns()]):
        optional = ", ".join(name for name in columns() if name not in needed)
        proposes = f"`market-impact map {path} --out MAP.yml` proposes one"
        do = f"remove or rename it, or match the columns in a map ({proposes}); optional columns are {optional}"
        file.refuse_header(f"the columns {', '.join(needed)}", f"the unknown column {unknown[0]!r}", do)
    for name, column in theirs.items():
        if header.count(column) != 1:
            expected = f"one column {column!r}" + (f", mapped to {name} in {map}" if map else "")
            do = f"correct `columns` in {map}" if map else "remove the duplicate"
            file.refuse_header(expected, f"the columns {', '.join(header)}", do)
    _refuse_keys(file)
    if named.wide:
        _find_months(file, named.wide)
        needed = [name for name in needed if name not in ("month", "sales")]
    if "renamed_from" in theirs and ("firm" in theirs or "account" in theirs):
        theirs.setdefault("firm", theirs.get("account", ""))  # either can stand in for the other
        theirs.setdefault("account", theirs["firm"])
    for name in needed:
        if name not in theirs:
            named_so = f"{file.line(f'columns: {{{name}: THEIRS}}')}, where THEIRS is its name, or " if map else ""
            do = f"{named_so}add it: {columns()[name]['remedy']}"
            file.refuse_header(f"the columns {', '.join(needed)}", f"no column {name!r}", do)
    return file


def _refuse_keys(file: File) -> None:
    """Raise DataError if a map's closures, rates or population do not match the file's columns."""
    named, theirs = file.named, file.theirs
    if named.closures == "account" and ("account" not in theirs or "dose" in theirs):
        expected = "closures by account, from which doses are computed"
        actual = "a column of doses" if "dose" in theirs else "no column 'account'"
        file.refuse_header(expected, actual, f"correct `columns` or `closures` in {file.map}")
    if named.money_by_row and "currency" not in theirs:
        actual, do = "no column 'currency'", file.line("columns: {currency: THEIRS}")
        file.refuse_header("a column for the currencies in `rates`", actual, f"{do}, where THEIRS is its name")
    expected = "a column of weights if, and only if, the population is a sample"
    if "weight" in theirs and file.population != "sample":
        do = f"{file.line('population: sample')}, or rename the column if it does not contain firm weights"
        file.refuse_header(expected, f"a column of weights and the population {file.population!r}", do)
    if "weight" not in theirs and named.population == "sample" and "population" not in file.metadata:
        do = file.line("columns: {weight: THEIRS}`, where THEIRS is its name, or `population: not representative")
        file.refuse_header(expected, "no column 'weight'", do)


def _find_months(file: File, wide: Wide) -> None:
    """Parse the months in a wide file's column names."""
    expected, months = f"sales columns named {wide.prefix}MONTH, with MONTH in the format {wide.format}", file.months
    for column in file.header:
        word = column.removeprefix(wide.prefix)
        month, taken = (as_day(word, wide.format) or "")[:7], column in file.theirs.values()
        if taken or not column.startswith(wide.prefix) or not (wide.prefix or month or strange(word)):
            continue  # without a prefix, other columns may be among the months
        if not month:
            do = QUARTERS if "quarter" in strange(word) else f"rename the column, or correct `wide` in {file.map}"
            file.refuse_header(expected, f"the column {column!r}{strange(word)}", do)
        if month in months.values() or file.header.count(column) > 1:
            file.refuse_header(expected, f"the month {month} twice ({column!r})", "remove one column")
        months[column] = month
    beside = [f" and the column {name!r}" for name in ("month", "sales") if name in file.theirs]
    if not months or beside:
        actual = f"{len(months)} such columns{''.join(beside)}"
        file.refuse_header(f"{expected}, instead of columns month and sales", actual, f"correct `wide` in {file.map}")


# Opening: header, metadata and, for file types read at once, all rows


def opened(path: Path, named: Map) -> tuple[Sequence[str], dict[str, str], pa.Table | None]:
    """Return a file's header, metadata and rows.

    The rows are a table, or None if files of this type are read in blocks.
    """
    table, metadata = None, dict[str, str]()
    with reading(path):
        if kind(path) in OF_TEXT:
            header: Sequence[str] = _text_header(path, named)
        elif kind(path) == ".parquet":
            schema = pa.parquet.read_schema(path)
            header, metadata = schema.names, _panel_metadata(path, schema.metadata or {})
        else:
            table = _sheet(path, named.sheet) if kind(path) == ".xlsx" else _stata(path)
            header = table.column_names
    if len(header) > MOST_COLUMNS:
        refuse(path, f"at most {MOST_COLUMNS:,} columns", f"{len(header):,}", "check the column separator")
    return header, metadata, table


def _panel_metadata(path: Path, raw: Mapping[bytes, bytes]) -> dict[str, str]:
    """Decode the metadata on provenance, population and platform order.

    Metadata of other programs are ignored.
    """
    keys = [key for key in ("provenance", "population", ORDER) if key.encode() in raw]
    metadata = {key: raw[key.encode()].decode(errors="replace") for key in keys}
    try:
        TypeAdapter(list[str]).validate_json(metadata.get(ORDER, "[]"))
    except ValueError:
        expected = f"a list of names in JSON as {ORDER} in the metadata"
        refuse(path, expected, repr(metadata[ORDER][:60]), "correct or remove it")
    return metadata


def _stata(path: Path) -> pa.Table:
    frame = pd.read_stata(path)
    if (size := int(frame.memory_usage(deep=True).sum())) > UNPACKED_BYTES:  # a .dta file stores repeated text once
        refuse(path, f"at most {UNPACKED_BYTES:,} unpacked bytes", f"{size:,}", "split the file, or aggregate its rows")
    return pa.Table.from_pandas(frame, preserve_index=False)


def _unpacked(path: Path) -> IO[bytes]:
    """Open a text file for reading, decompressing it if necessary."""
    return cast(IO[bytes], gzip.open(path)) if kind(path) == ".csv.gz" else path.open("rb")


def _usual_separator(path: Path) -> str:
    """Return the default column separator for a text file."""
    return "\t" if kind(path) == ".tsv" else ","


def of_text(path: Path) -> tuple[Map, list[str]]:
    """Detect the encoding and separator of a text file.

    Return them as a map, and as map lines if they are not the defaults.
    """
    with reading(path), _unpacked(path) as stream:
        start = stream.read(_BYTES_LOOKED_AT)
    encoding, lines = "utf-8", list[str]()
    try:
        text = getincrementaldecoder("utf-8-sig")().decode(start)  # tolerates a truncated last character
    except UnicodeDecodeError:
        encoding, text = "gbk", start.decode("gb18030", "replace")
        lines = ["encoding: gbk  # the file is not valid UTF-8"]
    header = text.partition("\n")[0]
    separator = max(",;\t|", key=header.count)
    if separator != _usual_separator(path):
        lines.append(f"separator: {json.dumps(separator)}  # {header.count(separator)} of them in the header")
    return Map.model_validate({"encoding": encoding, "separator": separator}), lines


def _text_header(path: Path, named: Map) -> list[str]:
    with _unpacked(path) as stream:
        start = stream.read(HEADER_BYTES)
    if not start.removeprefix(_MARK).strip():
        refuse(path, "a header and rows", "an empty file", "export it again")
    if start.startswith(_MARK) and named.encoding == "gbk":
        actual = "the byte order mark of UTF-8"
        refuse(path, "text in GBK, as the map says", actual, "remove `encoding` from the map")
    codec, sign = _CODECS[named.encoding].replace("utf-8", "utf-8-sig"), named.separator or _usual_separator(path)
    lines = io.StringIO(start.decode(codec, "replace"), newline="")
    try:
        header = next(csv.reader(lines, delimiter=sign))
    except csv.Error as error:
        refuse(f"{path}, row 1", "column names", f"a malformed row ({error})", "use short names, and close all quotes")
    if len(start) == HEADER_BYTES and not lines.read(1):
        do = "use short names, and close all quotes"
        refuse(f"{path}, row 1", f"column names within the first {HEADER_BYTES:,} bytes", "a longer row", do)
    if "\ufffd" in "".join(header):
        _refuse_bytes(path, named.encoding)
    if len(header) == 1 and (others := sorted({*",;\t|"} & {*header[0]})):
        do = "write `separator: {}` in its map".format(repr(others[-1]).replace("'", '"'))
        refuse(f"{path}, row 1", f"columns separated by {sign!r}", repr(header[0][:60]), do)
    return header


def _refuse_bytes(path: Path, encoding: str) -> None:
    """Raise DataError for the first line that is not in the given encoding, if there is one."""
    with _unpacked(path) as stream:
        for row, line in enumerate(iter(lambda: stream.readline(_BYTES_AT_ONCE), b""), start=1):
            if len(line) == _BYTES_AT_ONCE:
                return  # no reader accepts a line this long
            try:
                line.decode(_CODECS[encoding])
            except UnicodeDecodeError as error:
                actual, meant = f"the byte 0x{line[error.start]:02x}", line.rstrip().decode("gb18030", "replace")
                expected, do = "UTF-8 text", "save it as UTF-8"
                if encoding == "gbk":
                    expected, do = "text in GBK, as the map says", f"remove `encoding` from the map, or {do}"
                elif "\ufffd" not in meant:
                    actual += f"; it is probably GBK, in which the row reads {meant!r}"
                    stream.seek(0)
                    do += "" if stream.read(3) == _MARK else ", or write `encoding: gbk` in its map"
                refuse(f"{path}, row {row}", expected, actual, do)


def _sheet(path: Path, name: str | None) -> pa.Table:
    """Read a worksheet from an Excel file.

    Columns of mixed types become text, with dates as YYYY-MM-DD.
    """
    import openpyxl  # slow, and few panels are workbooks

    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    names = [sheet.title for sheet in book.worksheets]  # others are charts
    if name not in names and (name or len(names) != 1):
        expected = f"the sheet {name!r}" if name else "one sheet"
        do = f"write `sheet: {(names or ['NAME'])[0]}` in its map, or name another sheet"
        refuse(path, expected, f"the sheets {', '.join(names)}", do)
    sheet, rows, size = book[name or names[0]], list[tuple[Any, ...]](), 0
    sheet.reset_dimensions()  # the declared ones may span a million columns
    with zipfile.ZipFile(path) as parts:
        has_formulas = any(b"<f" in parts.read(part) for part in parts.namelist() if part.startswith("xl/worksheets/"))
    other = openpyxl.load_workbook(path, read_only=True)[sheet.title] if has_formulas else None
    if other:
        other.reset_dimensions()
    written = other.iter_rows(values_only=True) if other else repeat(())
    for row, formulas in zip(sheet.iter_rows(values_only=True), written, strict=False):
        if lost := [formula for cell, formula in zip(row, formulas, strict=False) if cell is None and formula]:
            do = "open it in Excel and save it, or paste the values"
            refuse(f"{path}, row {len(rows) + 1}", "the values of formulas", f"{lost[0]!r} without its value", do)
        rows.append(row)
        size += 1 + sum(len(cell) if isinstance(cell, str) else 1 for cell in row)
        if size > MOST_CELLS:
            refuse(path, f"at most {MOST_CELLS:,} cells and characters in a sheet", "more", "save the sheet as .csv")
    while rows and not any(cell not in (None, "") for cell in rows[-1]):
        rows.pop()  # empty cells with formatting only
    if not rows:
        refuse(path, "a header and rows", "an empty sheet", "export it again")
    columns = [*zip_longest(*rows)][: len(rows[0])]
    return pa.table([_typed(cells) for _, *cells in columns], [_text(name) or "" for name, *_ in columns])


def sheets(path: Path) -> list[str]:
    """Return an Excel file's worksheet names."""
    import openpyxl

    with reading(path):
        return [str(sheet.title) for sheet in openpyxl.load_workbook(path, read_only=True).worksheets]


def _typed(cells: list[Any]) -> pa.Array:
    kinds = {type(cell) for cell in cells if cell is not None}
    return pa.array(cells if len(kinds) < 2 or kinds == {int, float} else [_text(cell) for cell in cells])


def _text(cell: Any) -> str | None:
    return f"{cell:%Y-%m-%d}" if isinstance(cell, datetime) else None if cell is None else str(cell)


# Rows


def tables(file: File) -> Iterator[pa.Table]:
    """Yield the rows of a file in tables of similar size.

    In a wide file, each month of a row counts as a row.
    """
    held, needed = list[pa.RecordBatch](), [*dict.fromkeys([*file.theirs.values(), *file.months])]
    if file.table is not None:
        batches: Iterator[pa.RecordBatch] = iter(file.table.select(needed).to_batches(ROWS_AT_ONCE))
    else:
        batches = (_parquet_batches if kind(file.path) == ".parquet" else _text_batches)(file, needed)
    count = 0
    with reading(file.path):
        for batch in batches:
            held.append(batch)
            count += batch.num_rows
            if count > MOST_ROWS:
                refuse(file.path, f"at most {MOST_ROWS:,} rows", "more", "split the file, or aggregate its rows")
            if sum(batch.num_rows for batch in held) * max(1, len(file.months)) >= ROWS_AT_ONCE:
                yield pa.Table.from_batches(held)
                held = []
    if any(batch.num_rows for batch in held):
        yield pa.Table.from_batches(held)


def _text_batches(file: File, needed: list[str]) -> Iterator[pa.RecordBatch]:
    ragged, codec, sign = list[Any](), _CODECS[file.named.encoding], file.named.separator or _usual_separator(file.path)

    def stop(row: pa.csv.InvalidRow) -> str:
        ragged.append(row)
        return "error"

    reading = pa.csv.ReadOptions(use_threads=False, block_size=_BYTES_AT_ONCE, encoding=codec)
    parsing = pa.csv.ParseOptions(
        delimiter=sign, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=stop
    )
    text = pa.csv.ConvertOptions(column_types=dict.fromkeys(needed, pa.string()), include_columns=needed)
    packed = "gzip" if kind(file.path) == ".csv.gz" else None
    try:
        yield from pa.csv.open_csv(pa.input_stream(file.path, compression=packed), reading, parsing, text)
    except (pa.ArrowInvalid, UnicodeDecodeError):
        for row in ragged:
            expected, actual = f"{row.expected_columns} cells", f"{row.actual_columns} in {row.text!r}"
            do = f"quote cells that contain {sign!r}, and make every row as long as the header"
            refuse(f"{file.path}, row {row.number}", expected, actual, do)
        _refuse_bytes(file.path, file.named.encoding)
        raise


def _parquet_batches(file: File, needed: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield batches of rows, with text dictionary-encoded to save memory."""
    texts = [column.name for column in pa.parquet.read_schema(file.path) if pa.types.is_string(column.type)]
    with pa.parquet.ParquetFile(file.path, read_dictionary=texts) as rows:
        for group in range(rows.num_row_groups):  # one at a time, or all their buffers stay in memory
            yield from rows.iter_batches(ROWS_AT_ONCE, row_groups=[group], columns=needed)
