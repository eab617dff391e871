"""Open the files or the database table of a panel, and match the header to the schema."""

from __future__ import annotations

import glob
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from fewtreated.errors import refuse

from analysis.panel.database import DatabaseTable, free
from analysis.panel.formats import misread_month
from analysis.panel.map import POPULATIONS, Map, Wide, as_day, columns, joined_files, refusal_words
from analysis.panel.opening import (
    SHEET_CELLS,
    batches,
    encoding_of,
    file_type,
    parser_errors,
    read_header,
    refuse_file,
    rows_above,
    types_of,
)
from analysis.untrusted import LONGEST_NAME, refuse_long
from analysis.yaml import load

CONSTANT = {name for name, column in columns().items() if "constantWithin" in column}
FILE_ROWS = 1 << 32  # positions of rows in a file; those of the next file follow


@dataclass(frozen=True)
class File:
    """A file whose header has been read.

    `map` is the path of the map, for messages. `metadata` describes the panel. `allowed` lists the
    platforms that may occur. `theirs` maps our columns to the file's. `months`, for a wide file,
    maps each column to its month (YYYY-MM). `table` contains all rows if files of this type are
    read at once. `paths` are this file and those that continue it. `in_database` is the table of a
    database that is read instead. `attributes` has the rows that the map joins, by their first
    column.
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
    in_database: DatabaseTable | None = None
    attributes: pa.Table | None = None

    @property
    def owner(self) -> str:
        """Unit within which attributes must be constant: "account" or "firm"."""
        if "renamed_from" in self.theirs or self.named.closures == "account":
            return "account"
        return "firm"

    @cached_property
    def joined_types(self) -> Mapping[str, pa.DataType]:
        """Columns that the map joins from its second file, and their types."""
        if self.attributes:
            return types_of(self.attributes.schema, self.attributes.column_names[1:])
        return {}

    @cached_property
    def apart(self) -> list[str]:
        """Our columns in the second file, if all are attributes of firms.

        SQL then need not join its rows.
        """
        ours = [name for name, theirs in self.theirs.items() if theirs in self.joined_types]
        if CONSTANT.issuperset(ours):
            return ours
        return []

    @property
    def needed(self) -> list[str]:
        """Columns of the first file that are read."""
        keys = [*self.named.rows.drop]
        if self.named.join:
            keys.append(self.named.join.key)
        named = dict.fromkeys([*self.theirs.values(), *self.months, *keys])
        return [name for name in named if name in keys or name not in self.joined_types]

    @property
    def population(self) -> str:
        """Population that the firms represent, from the map or the metadata."""
        return self.named.population or self.metadata.get("population", POPULATIONS[-1])

    def code(self, label: str) -> str:
        """Return the platform code for a label in the file."""
        return self.named.platforms.get(label, label)

    def map_line(self, text: str) -> str:
        """Return an instruction to write a line in the map, or in a new map if there is none."""
        if self.map:
            return f"write `{text}` in {self.map}"
        return f"write a map with the line `{text}`"

    def refusal(self, key: str, line: str = "", /, **values: Any) -> tuple[str, str, str]:
        """Return what is expected of the file, what was found and what to do.

        What to do may begin with writing a `line` in the map.
        """
        return refusal_words(key, line=self.map_line(line), map=self.map, path=self.path, **values)

    def place(self, position: Any) -> tuple[Path, int]:
        """Return the file and the row in it that stand at a position among the rows of all files.

        In a wide file, each month of a row has its own position.
        """
        at, row = divmod(int(position) // max(1, len(self.months)), FILE_ROWS)
        return self.paths[at], row + rows_above(self.paths[at], self.named) + 1

    def row(self, position: Any) -> str:
        """Format the row at a position, with its file if there are several."""
        path, row = self.place(position)
        return f"{row:,}" + f" of {path}" * (len(self.paths) > 1)

    def column(self, name: str, position: int = 0) -> str:
        """Return a column's name for use in messages.

        It is the name in the file, with ours in parentheses if it differs.
        """
        theirs = self.theirs.get(name, name)
        if self.months and name in ("month", "sales"):
            theirs = [*self.months][position % len(self.months)]
        if theirs == name:
            return name
        return f"{theirs!r} ({name})"

    def refuse_column(self, name: str, *words: str) -> NoReturn:
        """Raise DataError for a whole column."""
        refuse(f"{self.path}, column {self.column(name)}", *words)

    def refuse(
        self, rows: pd.DataFrame, name: str, expected: str, actual: str, do: str = ""
    ) -> NoReturn:
        """Raise DataError for the first of some rows.

        The rows are given as `n`, `first` and `last` of distinct values.
        """
        first = rows["first"].min()
        count = rows["n"].sum()
        if count > 1:
            last = self.row(rows["last"].max())
            actual += f", the first of {count:,} such values in rows {self.row(first)} to {last}"
        path, row = self.place(first)
        where = f"{path}, row {row}, column {self.column(name, first)}"
        refuse(where, expected, actual, do or columns()[name]["remedy"])


def value_text(value: Any) -> str:
    """Format a value for a message."""
    if pd.isna(value) or value == "":
        return "nothing"
    return repr(value)


def open_file(
    paths: Sequence[Path],
    map: Path | None,
    allowed: Sequence[str] | None,
    in_database: DatabaseTable | None = None,
) -> File:
    """Read the header of a file or of several, and match its columns to the schema.

    The map is used if there is one.

    With a table of a database as `in_database`, the only path has its name, for messages.
    """
    named = Map()
    if map:
        named = load(map, Map)
    if in_database:
        header, metadata, table = in_database.header(), dict[str, str](), None
    else:
        paths = [each for path in paths for each in _named_by(path)]
        for each in paths:
            refuse_file(each)
        header, metadata, table = read_header(paths[0], named)
    path = paths[0]
    attributes = None
    if named.join:
        attributes = _attributes(joined_files(path, map)[0], named.join.key, header)
        header = [*header, *attributes.column_names[1:]]
    theirs = {name: name for name in columns() if name in header} | named.columns
    file = File(
        path,
        map,
        named,
        header,
        metadata,
        allowed,
        theirs,
        {},
        table,
        paths,
        in_database,
        attributes,
    )
    _match_header(file)
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
    refuse_file(path)
    named = Map.model_construct(encoding=encoding_of(path))
    header, _, table = read_header(path, named)
    if key not in header:
        do = "correct `join` in the map"
        refuse(path, f"the column {key!r}", f"the columns {', '.join(header)}", do)
    needed = [key, *(name for name in header if name not in others)]
    attributes = pa.Table.from_batches(
        batches(path, named, table, needed, SHEET_CELLS // len(header))
    )
    attributes = attributes.cast(pa.schema(types_of(attributes.schema, needed)))
    for name in needed:
        refuse_long(path, name, attributes[name], LONGEST_NAME, 1 + rows_above(path, named))
    keys = attributes[0].cast(pa.string())
    words = keys.to_pandas()
    for again in words[words.duplicated(keep=False)][:1]:
        rows = words.index[words == again][:2] + 1 + rows_above(path, named)
        where = f"{path}, column {key!r}"
        found = f"{again!r} in rows {' and '.join(f'{row:,}' for row in rows)}"
        refuse(where, "each key once", found, "keep one of them")
    return attributes.set_column(0, free("_key", [*others, *header]), keys)


def _match_header(file: File) -> None:
    """Match the columns of a file to the schema; raise DataError if they do not fit."""
    named = file.named
    theirs = file.theirs
    needed = [name for name, column in columns().items() if not column.get("optional")]

    def fail(key: str, name: str = "", **values: Any) -> NoReturn:
        row = file.place(0)[1] - 1
        where = f"{file.path}, row {row}" if row else file.path
        asked = f"{file.map_line(f'columns: {{{name}: THEIRS}}')}, where THEIRS is its name"
        values |= {
            "asked": asked,
            "header": ", ".join(file.header),
            "needed": ", ".join(needed),
            "optional": ", ".join(columns().keys() - needed),
            "population": file.population,
            "remedy": columns().get(name, {}).get("remedy"),
        }
        refuse(where, *file.refusal(key, "population: sample", name=name, **values))

    _refuse_columns(file, fail)
    if named.wide:
        _match_months(file, named.wide, fail)
        needed = [name for name in needed if name not in ("month", "sales")]
    if "renamed_from" in theirs and ("firm" in theirs or "account" in theirs):
        theirs.setdefault("firm", theirs.get("account", ""))  # either can stand in for the other
        theirs.setdefault("account", theirs["firm"])
    for name in needed:
        if name not in theirs:
            fail("no column with a map" if file.map else "no column", name)


def _refuse_columns(file: File, fail: Callable[..., NoReturn]) -> None:
    """Raise DataError if columns are unknown, ambiguous or contradict the map."""
    theirs = file.theirs
    alike = [name.casefold() for name in file.header]
    for name in file.header:
        if not file.map and name not in columns():
            fail("unknown column", name)
    for name, column in theirs.items():
        if alike.count(column.casefold()) != 1:  # as SQL compares them
            fail("not one mapped column" if file.map else "not one column", name, column=column)
    for name in file.named.rows.drop:
        if file.header.count(name) != 1 or name in file.joined_types:
            fail("no column to drop by", name=name)
    by_account = file.named.closures == "account"
    sample = "sample" in (file.named.population, file.population)
    for key, name, is_present, is_wrong in (
        ("doses of accounts", "dose", True, by_account),
        ("no accounts", "account", False, by_account),
        ("no currency", "currency", False, file.named.money_by_row),
        ("weights of no sample", "weight", True, not sample),
        ("no weights", "weight", False, sample and "population" not in file.metadata),
    ):
        if is_wrong and (name in theirs) == is_present:
            fail(key, name)


def _match_months(file: File, wide: Wide, fail: Callable[..., NoReturn]) -> None:
    """Find the months in a wide file's column names."""
    months = file.months
    names = {"prefix": wide.prefix, "format": wide.format}
    for column in file.header:
        word = column.removeprefix(wide.prefix)
        odd, mend = misread_month(word)
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


def stored(name: str) -> str:
    """Return the name of a column in a copy: another one if DuckDB has a column of that name."""
    return name + " of the file" * (name.casefold() in ("file_index", "file_row_number"))


@contextmanager
def parquet_copies(file: File, most: int = 0, longest: int = LONGEST_NAME) -> Iterator[list[Path]]:
    """Copy the needed columns of each file to Parquet, in a folder that is removed in the end.

    With `most`, at least the first `most` rows are copied. Text of more than `longest` characters
    is refused before all of it is copied. To a file that is Parquet, there is a
    link, so that the name that DuckDB sees is ours, unless some of its columns would be hidden.
    """
    with tempfile.TemporaryDirectory() as folder:
        targets = [Path(folder, f"{at}.parquet") for at in range(len(file.paths))]
        for path, target in zip(file.paths, targets, strict=True):
            _copy(file, path, target, most, longest)
        yield targets


def _copy(file: File, path: Path, target: Path, most: int, longest: int) -> None:
    needed = file.needed
    header = file.header
    table = file.table
    if path != file.path:
        header, _, table = read_header(path, file.named)
    if lacking := sorted({*needed} - {*header}):
        expected = f"the columns of {file.path}"
        refuse(path, expected, f"no column {lacking[0]!r}", "add it, or leave the file out")
    if file_type(path) == ".parquet":
        if [*map(stored, header)] == [*header]:
            target.symlink_to(path.absolute())
            return
        table = pa.parquet.read_table(path.absolute(), columns=needed, read_dictionary=needed)
    names = [*map(stored, needed)]
    schema = pa.schema([(name, pa.string()) for name in names])
    if table:
        schema = table.select(needed).rename_columns(names).schema
    count = 0
    with parser_errors(path), pa.parquet.ParquetWriter(target, schema) as writer:
        for batch in batches(path, file.named, table, needed):
            first = count + 1 + rows_above(path, file.named)
            for name, cells in zip(needed, batch.columns, strict=True):
                refuse_long(path, name, cells, longest, first)
            writer.write_batch(batch.rename_columns(names))
            count += len(batch)
            if 0 < most <= count:
                break
