"""Open the files or the database table of a panel, and match the header to the schema.

Files of other types are copied to Parquet.
"""

from __future__ import annotations

import csv
import glob
import gzip
import os
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import islice, takewhile, zip_longest
from pathlib import Path
from typing import IO, Any, NoReturn, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from fewtreated.errors import DataError, refuse

from analysis.panel.formats import strange
from analysis.panel.map import Map, Wide, as_day, columns, joined, said
from analysis.panel.panel import MONTH, POPULATIONS
from analysis.untrusted import LONGEST_NAME, admit, refuse_long, refuse_more
from analysis.yaml import load

ROWS_AT_ONCE = 1 << 18
OF_TEXT = (".csv", ".csv.gz", ".tsv")
KINDS = (*OF_TEXT, ".parquet", ".xlsx", ".dta")
_BYTES_AT_ONCE = 1 << 22  # per block of a text file, of which the reader runs some twenty ahead
HEADER_BYTES = 1 << 20
MOST_COLUMNS = 10_000
# rows in a file; cells and characters in a sheet, which is kept in memory
MOST_ROWS = 1 << 31
MOST_CELLS = 1 << 24
# that a file, and a workbook, may declare
UNPACKED_BYTES = 1 << 32
BOOK_BYTES = 1 << 28
CONSTANT = {name for name, column in columns().items() if "constantWithin" in column}
MEMORY = "1GB"  # for the tables of the engine, to which the panel's array does not belong
FILE_ROWS = 1 << 32  # positions of rows in a file; those of the next file follow
_CODECS = {"utf-8": "utf-8", "gbk": "gb18030"}  # gb18030 includes all of GBK
_RAGGED = re.compile(
    r"Row #(?P<row>\d+): Expected (?P<expected>\d+) columns, got (?P<found>\d+): (?P<text>[^�]*)$"
)
_NO_VALUE = re.compile(
    rb"(</f>|<f[^>]*/>)(<v */>|<v></v>)?</c>"
)  # a formula that was never computed
_MARK = b"\xef\xbb\xbf"  # the byte order mark of UTF-8


@dataclass(frozen=True)
class File:
    """A file whose header has been read.

    `map` is the path of the map, for messages. `metadata` describes the panel. `allowed` lists the
    platforms that may occur. `theirs` maps our columns to the file's. `months`, for a wide file,
    maps each column to its month (YYYY-MM). `table` contains all rows if files of this type are
    read at once. `paths` are this file and those that continue it. `engine` is the URL of the
    database in which `path` names a table. `attributes` has the rows that the map joins.
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
    paths: Sequence[Path]
    engine: str = ""
    attributes: pa.Table | None = None

    @property
    def owner(self) -> str:
        """Unit within which attributes must be constant: "account" or "firm"."""
        if "renamed_from" in self.theirs or self.named.closures == "account":
            return "account"
        return "firm"

    @cached_property
    def joined(self) -> Mapping[str, pa.DataType]:
        """Columns that the map joins from its second file, and their types."""
        if self.attributes:
            return types_of(self.attributes.schema, self.attributes.column_names[1:])
        return {}

    @cached_property
    def apart(self) -> list[str]:
        """Our columns in the second file, if all are attributes of firms.

        SQL then need not join its rows.
        """
        ours = [name for name, theirs in self.theirs.items() if theirs in self.joined]
        if CONSTANT.issuperset(ours):
            return ours
        return []

    @property
    def population(self) -> str:
        """Population that the firms represent, from the map or the metadata."""
        return self.named.population or self.metadata.get("population", POPULATIONS[-1])

    def code(self, label: str) -> str:
        """Return the platform code for a label in the file."""
        return self.named.platforms.get(label, label)

    def line(self, text: str) -> str:
        """Return an instruction to write a line in the map, or in a new map if there is none."""
        if self.map:
            return f"write `{text}` in {self.map}"
        return f"write a map with the line `{text}`"

    def __format__(self, line: str) -> str:
        """Return an instruction to write a line.

        Messages can then say ``{line:absent: zero}``.
        """
        return self.line(line)

    def said(self, key: str, /, **values: Any) -> tuple[str, str, str]:
        """Return what is expected of the file, what was found and what to do."""
        return said(key, line=self, map=self.map, path=self.path, **values)

    def place(self, position: Any) -> tuple[Path, int]:
        """Return the file and the row in it that stand at a position among the rows of all files.

        In a wide file, each month of a row has its own position.
        """
        at, row = divmod(int(position) // max(1, len(self.months)), FILE_ROWS)
        return self.paths[at], row + _above(self.paths[at], self.named) + 1

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
        if theirs == name:
            return name
        return f"{theirs!r} ({name})"

    def refuse(
        self, rows: pd.DataFrame, name: str, expected: str, actual: str, do: str = ""
    ) -> NoReturn:
        """Raise DataError for the first of some rows.

        The rows are given as `n`, `first` and `last` of distinct values.
        """
        first = rows["first"].min()
        last = rows["last"].max()
        count = rows["n"].sum()
        if count > 1:
            actual += (
                f", the first of {count:,} such values in rows {self.row(first)} to"
                f" {self.row(last)}"
            )
        path, row = self.place(first)
        where = f"{path}, row {row}, column {self.called(name, first)}"
        refuse(where, expected, actual, do or columns()[name]["remedy"])

    def refuse_where(self, wrong: Any, cells: pd.DataFrame, name: str, *words: str) -> None:
        """Raise DataError for the first wrong row, if there is one.

        `words` are what is expected, what else is said of the value, and what to do.
        """
        if len(rows := cells[np.asarray(wrong, dtype=bool)]):
            expected, more, do = (*words, "", "")[:3]
            value = rows[name].tolist()[rows["first"].argmin()]
            odd, mend = strange(str(value)) if columns()[name]["type"] == MONTH else ("", "")
            self.refuse(rows, name, expected, shown(value) + odd + more, mend or do)


def shown(value: Any) -> str:
    """Format a value for a message."""
    if pd.isna(value) or value == "":
        return "nothing"
    return repr(value)


def is_text(kind: pa.DataType) -> bool:
    """Return whether an Arrow type is one of text."""
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def kind(path: Path) -> str:
    """Return a file's type, one of `KINDS`, or an empty string if it is unsupported."""
    return next((ending for ending in KINDS if path.name.lower().endswith(ending)), "")


def refuse_kind(path: Path) -> None:
    """Raise DataError if a file is missing, has an unsupported type or is too large."""
    admit(path)
    if not kind(path):
        refuse(
            path,
            f"a file of type {', '.join(KINDS)}",
            f"the type {path.suffix!r}",
            "convert it to one of these",
        )
    with reading(path):
        if kind(path) == ".parquet":
            size = path.stat().st_size
            footer = int(np.fromfile(path, "<u4", 1, offset=max(0, size - 8))[0])
            refuse_more(path, min(footer, size), 1 << 25, "bytes of metadata")
            whole = pa.parquet.read_metadata(path.absolute())
            refuse_more(path, whole.num_rows, *_most_rows(path))
            groups = [whole.row_group(number) for number in range(whole.num_row_groups)]
            size = max(
                (group.total_byte_size - 2000 * group.num_rows for group in groups), default=0
            )
            refuse_more(path, size, BOOK_BYTES, "bytes in a group of rows, beside 2,000 a row")
        elif kind(path) == ".xlsx":
            sizes = {part.filename: part.file_size for part in zipfile.ZipFile(path).infolist()}
            size = sum(
                size * (1 if "worksheets/" in name else 4) for name, size in sizes.items()
            )  # kept in memory
            refuse_more(
                path, size, BOOK_BYTES, "unpacked bytes (four times those beside the sheets)"
            )


def _most_rows(path: Path) -> tuple[int, str]:
    """Return how many rows any panel can have in a file of this size.

    There is a limit, since each row has a key of its own.
    """
    size = path.stat().st_size
    return (
        min(MOST_ROWS, (1 << 22) + size * (32 if kind(path) == ".parquet" else 1)),
        f"rows in {size:,} bytes",
    )


@contextmanager
def reading(path: Path, is_table: bool = False) -> Iterator[None]:
    """Convert exceptions of parsers and, for the table of a database, of its engine to DataError.

    Of an engine's exception only the name of its class is quoted: its text may contain the
    database's address.
    """
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        name = type(error).__name__
        if name == "OutOfMemoryException":
            refuse(
                path,
                f"rows that can be added up in {MEMORY}",
                "more",
                "build the panel with `panel --pieces 16`",
            )
        if is_table:
            found = f"found none, or one that cannot be read ({name})"
            do = "check the name of the table, and whether the user of the database may read it"
            raise DataError(f"{path}: expected a valid database table; {found}; {do}.") from None
        refuse(
            path,
            f"a valid {kind(path)} file",
            f"one that cannot be read ({error or name})",
            "export it again",
        )


@contextmanager
def connected(path: Path, engine: str) -> Iterator[Any]:
    """Connect to the database of the table `path`.

    Messages quote nothing of its address, which may contain a password.
    """
    import ibis  # slow

    try:
        remote = ibis.connect(engine)
    except Exception as error:
        found = f"found no connection ({type(error).__name__})"
        do = "check the address in --engine: scheme, user, password, host and database"
        do += "; in a password, write @ as %40, # as %23, / as %2F, ? as %3F and % as %25"
        if isinstance(error, ImportError):
            do = "install the package that Ibis needs for this engine"
        raise DataError(
            f"{path}: expected a table in a database that can be reached; {found}; {do}."
        ) from None
    try:
        yield remote
    finally:
        remote.disconnect()


def open_file(
    paths: Sequence[Path], map: Path | None, allowed: Sequence[str] | None, engine: str = ""
) -> File:
    """Read the header of a file or of several, and match its columns to the schema.

    The map is used if there is one.

    With the URL of a database as `engine`, the only path names a table in it.
    """
    if map:
        named = load(map, Map)
    else:
        named = Map()
    path = paths[0]
    if not engine:
        paths = [each for path in paths for each in _named_by(path)]
        path = paths[0]
    for each in paths if not engine else ():
        refuse_kind(each)
    header, metadata, table = opened(path, named, engine)
    attributes = None
    if named.join:
        attributes = _attributes(joined(path, map)[0], named.join.key, header)
        header = [*header, *attributes.column_names[1:]]
    theirs = {name: name for name in columns() if name in header} | named.columns
    file = File(
        path, map, named, header, metadata, allowed, theirs, {}, table, paths, engine, attributes
    )
    _refuse_header(file)
    return file


def _named_by(path: Path) -> list[Path]:
    """Return the file that a path names or, if there is none, the files whose names fit it, sorted.

    Only ``*`` in the name itself stands for other characters; all others, and those of folders,
    stand for themselves.
    """
    if "*" not in path.name or os.path.lexists(path):
        return [path]
    pattern = glob.escape(path.name).replace("[*]", "*")
    return sorted(path.parent.glob(pattern)) or [path]


def _attributes(path: Path, key: str, others: Sequence[str]) -> pa.Table:
    """Read the second file of a map, in which each key is once.

    The table has the key as text, and columns other than `others`.
    """
    refuse_kind(path)
    named = Map.model_construct(encoding=encoding_of(path))
    header, _, table = opened(path, named)
    if key not in header:
        refuse(
            path,
            f"the column {key!r}",
            f"the columns {', '.join(header)}",
            "correct `join` in the map",
        )
    needed = [key, *(name for name in header if name not in others)]
    attributes = pa.Table.from_batches(
        _batches(path, named, table, needed, MOST_CELLS // len(header))
    )
    attributes = attributes.cast(pa.schema(types_of(attributes.schema, needed)))
    for name in needed:
        refuse_long(path, name, attributes[name], LONGEST_NAME)
    keys = attributes[0].cast(pa.string())
    twice = keys.to_pandas()[lambda words: words.duplicated(keep=False)]
    for again in twice[:1]:
        rows = " and ".join(
            f"{at + 1 + _above(path, named):,}" for at in twice.index[twice == again][:2]
        )
        refuse(
            f"{path}, column {key!r}",
            "each key once",
            f"{again!r} in rows {rows}",
            "keep one of them",
        )
    return attributes.set_column(0, "_key", keys)


def _above(path: Path, named: Map) -> int:
    if kind(path) in (".parquet", ".dta", ""):
        return 0
    return named.header_row


def _refuse_header(file: File) -> None:
    """Match the columns of a file to the schema; raise DataError if they do not fit."""
    named = file.named
    theirs = file.theirs
    alike = [name.casefold() for name in file.header]
    needed = [name for name, column in columns().items() if not column.get("optional")]
    lists = {"needed": ", ".join(needed), "optional": ", ".join(columns().keys() - needed)}

    def fail(key: str, name: str = "", **values: Any) -> NoReturn:
        asked = f"{file.line(f'columns: {{{name}: THEIRS}}')}, where THEIRS is its name"
        values = {
            "asked": asked,
            "header": ", ".join(file.header),
            "population": file.population,
            **lists,
            **values,
        }
        above = file.place(0)[1] - 1
        refuse(
            f"{file.path}, row {above}" if above else file.path,
            *file.said(key, name=name, **values),
        )

    for name in file.header:
        if not file.map and name not in columns():
            fail("unknown column", name)
    for name, column in theirs.items():
        if alike.count(column.casefold()) != 1:  # as SQL compares them
            fail("not one mapped column" if file.map else "not one column", name, column=column)
    by_account = named.closures == "account"
    sample = "sample" in (named.population, file.population)
    for wrong, key, name in (
        (by_account and "dose" in theirs, "doses of accounts", "dose"),
        (by_account and "account" not in theirs, "no accounts", "account"),
        (named.money_by_row and "currency" not in theirs, "no currency", "currency"),
        ("weight" in theirs and not sample, "weights of no sample", "weight"),
        (
            "weight" not in theirs and sample and "population" not in file.metadata,
            "no weights",
            "weight",
        ),
    ):
        if wrong:
            fail(key, name)
    if named.wide:
        _match_months(file, named.wide, fail)
    if "renamed_from" in theirs and ("firm" in theirs or "account" in theirs):
        theirs.setdefault("firm", theirs.get("account", ""))  # either can stand in for the other
        theirs.setdefault("account", theirs["firm"])
    for name in needed:
        if name not in theirs and not (named.wide and name in ("month", "sales")):
            fail(
                "no column with a map" if file.map else "no column",
                name,
                remedy=columns()[name]["remedy"],
            )


def _match_months(file: File, wide: Wide, fail: Callable[..., NoReturn]) -> None:
    """Find the months in a wide file's column names."""
    months = file.months
    names = {"prefix": wide.prefix, "format": wide.format}
    for column in file.header:
        word = column.removeprefix(wide.prefix)
        odd, mend = strange(word)
        month = (as_day(word, wide.format) or "")[:7]
        if (
            column in file.theirs.values()
            or not column.startswith(wide.prefix)
            or not (wide.prefix or month or odd)
        ):
            continue  # without a prefix, other columns may be among the months
        if not month:
            mend = mend or f"rename the column, or correct `wide` in {file.map}"
            fail("no month", column=column, odd=odd, mend=mend, **names)
        if month in months.values() or file.header.count(column) > 1:
            fail("month twice", month=month, column=column, **names)
        months[column] = month
    beside = [f" and the column {name!r}" for name in ("month", "sales") if name in file.theirs]
    if not months or beside:
        fail("not wide", count=len(months), beside="".join(beside), **names)


# Header and metadata


def opened(
    path: Path, named: Map, engine: str = ""
) -> tuple[Sequence[str], dict[str, str], pa.Table | None]:
    """Return a file's header, metadata and rows.

    The rows are a table, or None if files of this type are read in batches.
    """
    table = None
    metadata = dict[str, str]()
    with reading(path, is_table=bool(engine)):
        if engine:
            with connected(path, engine) as remote:
                header: Sequence[str] = remote.table(path.name).columns
        elif kind(path) in OF_TEXT:
            header, _ = _text_header(path, named)
        elif kind(path) == ".parquet":
            schema = pa.parquet.read_schema(path.absolute())
            header = schema.names
            stated = schema.metadata or {}
            keys = [
                key for key in ("provenance", "population", "sampled") if key.encode() in stated
            ]
            metadata = {key: stated[key.encode()].decode(errors="replace") for key in keys}
        elif kind(path) == ".xlsx":
            table = _sheet(path, named)
            header = table.column_names
        else:
            whole = path.absolute()
            with pd.read_stata(
                whole, chunksize=1 << 13, convert_categoricals=False
            ) as some:  # a word is stored once
                for name, cells in (
                    column for frame in some for column in frame.select_dtypes("str").items()
                ):
                    refuse_more(
                        path,
                        int(cells.str.len().max()),
                        10 * LONGEST_NAME,
                        f"characters in {name!r}",
                    )
            frame = pd.read_stata(whole)
            size = int(
                frame.memory_usage(deep=True).sum()
            )  # of which a .dta file stores repeated text once
            refuse_more(path, size, UNPACKED_BYTES, "unpacked bytes")
            header = [*frame]
            table = pa.Table.from_pandas(frame, preserve_index=False)
    refuse_more(path, len(header), MOST_COLUMNS, "columns", "check the column separator")
    return header, metadata, table


def _unpacked(path: Path) -> IO[bytes]:
    """Open a text file for reading, decompressing it if necessary."""
    if kind(path) == ".csv.gz":
        return cast(IO[bytes], gzip.open(path))
    return path.open("rb")


def undecodable(path: Path, encoding: str) -> Iterator[tuple[int, bytes, int]]:
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
    with reading(path):
        if kind(path) in OF_TEXT and any(undecodable(path, "utf-8")):
            return "gbk"
        return "utf-8"


def _refuse_bytes(path: Path, encoding: str) -> None:
    """Raise DataError for the first line that is not in the given encoding, if there is one."""
    for row, line, at in undecodable(path, encoding):
        with _unpacked(path) as stream:
            if stream.read(len(_MARK)) == _MARK:
                mend = ""
            else:
                mend = ", or write `encoding: gbk` in its map"
        meant = line.rstrip().decode("gb18030", "replace")
        if encoding == "gbk":
            key = "not in GBK"
        elif "\ufffd" in meant:
            key = "not in UTF-8"
        else:
            key = "probably GBK"
        refuse(f"{path}, row {row}", *said(key, byte=line[at], meant=meant, mend=mend))


def _text_header(path: Path, named: Map) -> tuple[list[str], str]:
    """Return the header of a text file, and the separator by which it has most columns."""
    with _unpacked(path) as stream:
        start = stream.read(HEADER_BYTES)
    if not start.removeprefix(_MARK).strip():
        refuse(path, "a header and rows", "an empty file", "export it again")
    if start.startswith(_MARK) and named.encoding == "gbk":
        refuse(path, *said("marked"))
    lines = (
        start.removeprefix(_MARK)
        .decode(_CODECS[named.encoding], "replace")
        .splitlines(keepends=True)
    )
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


def sheets(path: Path) -> list[str]:
    """Return the names of the worksheets in an Excel file; empty for other files."""
    if kind(path) != ".xlsx":
        return []
    import openpyxl  # slow, and few panels are workbooks

    with reading(path), closing(openpyxl.load_workbook(path, read_only=True)) as book:
        return [str(sheet.title) for sheet in book.worksheets]


def _sheet(path: Path, named: Map) -> pa.Table:
    """Read a worksheet from an Excel file.

    Columns of mixed types become text, with dates as YYYY-MM-DD.
    """
    import openpyxl

    # others are charts
    name = named.sheet
    names = sheets(path)
    if name not in names and (name or len(names) != 1):
        listed = {"names": ", ".join(names), "first": (names or ["NAME"])[0]}
        refuse(path, *said("no sheet" if name else "many sheets", name=name, **listed))
    with zipfile.ZipFile(path) as parts:
        has_formulas = any(
            _NO_VALUE.search(parts.read(part)) for part in parts.namelist() if "worksheets/" in part
        )
    rows = list[tuple[Any, ...]]()
    size = 0
    pages = list[Iterator[tuple[Any, ...]]]()
    with ExitStack() as opened_books:
        for has_values in (True, False)[: 1 + has_formulas]:
            book = closing(openpyxl.load_workbook(path, read_only=True, data_only=has_values))
            page = opened_books.enter_context(book)[name or names[0]]
            page.reset_dimensions()  # the declared ones may span a million columns
            pages.append(page.iter_rows(values_only=True))
        for row, *formulas in zip(*pages, strict=False):
            for cell, formula in zip(row, *formulas, strict=False) if formulas else ():
                if cell is None and formula:
                    refuse(f"{path}, row {len(rows) + 1}", *said("formulas", formula=formula))
            rows.append(row)
            size += 1 + sum(len(cell) if isinstance(cell, str) else 1 for cell in row)
            refuse_more(
                path, size, MOST_CELLS, "cells and characters in a sheet", "save the sheet as .csv"
            )
            refuse_more(
                path, len(rows), 1 << 20, "rows in a sheet"
            )  # as Excel: gaps are filled with rows
    while rows and not any(cell not in (None, "") for cell in rows[-1]):
        rows.pop()  # empty cells with formatting only
    if not (rows := rows[named.header_row - 1 :]):
        refuse(path, "a header and rows", "an empty sheet", "export it again")
    cells = [
        *zip_longest(*(row[: len(rows[0])] for row in rows))
    ]  # cut first: a stray cell may be far to the right
    return pa.table(
        [_typed(column) for _, *column in cells], [_text(name) or "" for name, *_ in cells]
    )


def _typed(cells: list[Any]) -> pa.Array:
    kinds = {type(cell) for cell in cells if cell is not None}
    return pa.array(
        cells if len(kinds) < 2 or kinds == {int, float} else [_text(cell) for cell in cells]
    )


def _text(cell: Any) -> str | None:
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%d}"
    if cell is None:
        return None
    return str(cell)


def as_parquet(file: File, at: int, needed: list[str], folder: str, most: int) -> Path:
    """Copy some columns of one of the files to Parquet, and at least `most` rows if not 0.

    To a file that is Parquet, make a link, so that the name that DuckDB sees is ours.
    """
    path = file.paths[at]
    target = Path(folder, f"{at}.parquet")
    count = 0
    header, _, table = opened(path, file.named) if at else (file.header, {}, file.table)
    if lacking := sorted({*needed} - {*header}):
        refuse(
            path,
            f"the columns of {file.path}",
            f"no column {lacking[0]!r}",
            "add it, or leave the file out",
        )
    if kind(path) == ".parquet":
        target.symlink_to(path.absolute())
        return target
    if table:
        schema = table.select(needed).schema
    else:
        schema = pa.schema([(name, pa.string()) for name in needed])
    with reading(path), pa.parquet.ParquetWriter(target, schema) as writer:
        for batch in _batches(path, file.named, table, needed, MOST_ROWS):
            writer.write_batch(batch)
            if 0 < most <= (count := count + len(batch)):
                break
    return target


def _batches(
    path: Path, named: Map, table: pa.Table | None, needed: list[str], most: int
) -> Iterator[pa.RecordBatch]:
    """Yield some columns of a file in batches.

    Raise DataError if there are more rows than `most`.
    """
    count = 0
    if kind(path) == ".parquet":
        table = pa.parquet.read_table(path.absolute(), read_dictionary=needed)
    for batch in table.select(needed).to_batches() if table else _text_batches(path, named, needed):
        refuse_more(path, count := count + len(batch), *min((most, "rows"), _most_rows(path)))
        if kind(path) in OF_TEXT and not any(
            pc.max(pc.binary_length(cells)).as_py() for cells in batch
        ):
            refuse(path, "rows of data", f"{len(batch):,} empty lines", "remove them")
        yield batch


def _text_batches(path: Path, named: Map, needed: list[str]) -> Iterator[pa.RecordBatch]:
    _, sign = _text_header(path, named)
    codec = _CODECS[named.encoding]
    above = named.header_row - 1
    reading = pa.csv.ReadOptions(
        use_threads=False, block_size=_BYTES_AT_ONCE, encoding=codec, skip_rows=above
    )
    parsing = pa.csv.ParseOptions(delimiter=sign, newlines_in_values=True, ignore_empty_lines=False)
    text = pa.csv.ConvertOptions(
        column_types=dict.fromkeys(needed, pa.string()), include_columns=needed
    )
    packed = "gzip" if kind(path) == ".csv.gz" else None
    try:
        yield from pa.csv.open_csv(
            pa.input_stream(path.absolute(), compression=packed), reading, parsing, text
        )
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        for row in _RAGGED.finditer(str(error)):
            refuse(f"{path}, row {row['row']}", *said("ragged row", sign=sign, **row.groupdict()))
        _refuse_bytes(path, named.encoding)
        raise


def types_of(schema: pa.Schema, names: Iterable[str]) -> dict[str, pa.DataType]:
    """Return the types of some columns by name, of dictionaries those of their values."""
    types = {name: schema.field(name).type for name in names}
    return {name: of.value_type if pa.types.is_dictionary(of) else of for name, of in types.items()}
