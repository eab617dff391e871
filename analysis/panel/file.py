"""A file of a panel: its header, and its rows in blocks, typed by the schema or refused with row, column and value."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from analysis.config import DOLLARS, ISO_MONTH, Map, Wide, as_day, load
from analysis.errors import DataError
from analysis.estimate import Bools, Floats
from analysis.panel.panel import MONTH, NUMBER, TEXT, UNITS, columns

ROWS_AT_ONCE = 1 << 18
_BYTES_AT_ONCE = 1 << 22  # of a CSV file; the reader runs ahead by a good twenty blocks
_CODECS = {"utf-8": "utf-8", "gbk": "gb18030"}  # which holds all of GBK
_MARK = b"\xef\xbb\xbf"  # of the order of bytes in UTF-8
_DIGITS = r"^(-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?)?$"
_MONEY = r"(?P<sign>\p{Sc}|元|USD|CNY|RMB|EUR|GBP|JPY|HKD)"
_NO_MONEY = "take the signs out, bring all rows to one currency, and name it in a map with its rates if it is not USD"
_BOUNDS = {"minimum": (np.less, "at least"), "maximum": (np.greater, "at most")}
_BOUNDS["exclusiveMinimum"] = (np.less_equal, "more than")


def refuse(where: Any, asked: str, found: str, do: str) -> NoReturn:
    """Raise the error of all that is wrong with a file."""
    raise DataError(f"{where}: expected {asked}; found {found}; {do}.")


@dataclass(frozen=True)
class File:
    """A file whose header has been read.

    `map` is the file of the map, for messages; `said` what metadata say of the panel; `allowed` the platforms asked
    for; `theirs` their column for each of ours; `months`, where months are columns, the month YYYY-MM of each.
    """

    path: Path
    map: Path | None
    named: Map
    header: Sequence[str]
    said: Mapping[str, str]
    allowed: Sequence[str] | None
    theirs: dict[str, str]
    months: dict[str, str]

    @property
    def owner(self) -> str:
        """Of what a file says one thing in all rows: of accounts that are followed, else of firms."""
        return "account" if "renamed_from" in self.theirs or self.named.closures == "account" else "firm"

    def row(self, position: Any) -> Any:
        """Return the number in the file of the row at a position, where each month of a row has its own."""
        return (2 if self.path.suffix == ".csv" else 1) + position // max(1, len(self.months))

    def called(self, name: str, position: int = 0) -> str:
        """Return what messages call one of our columns."""
        theirs = self.theirs.get(name, name)
        if self.months and name in ("month", "sales"):
            theirs = [*self.months][position % len(self.months)]
        return name if theirs == name else f"{theirs!r} ({name})"

    def refuse(self, position: int, name: str, asked: str, found: str, do: str = "") -> NoReturn:
        """Raise a DataError for the row at a position."""
        where = f"{self.path}, row {self.row(position)}, column {self.called(name, position)}"
        refuse(where, asked, found, do or columns()[name]["remedy"])

    def refuse_header(self, asked: str, found: str, do: str) -> NoReturn:
        """Raise a DataError for the names of the columns."""
        refuse(f"{self.path}, row 1" if self.path.suffix == ".csv" else self.path, asked, found, do)


def open_file(path: Path, map: Path | None, allowed: Sequence[str] | None) -> File:
    """Find our columns in the header of a file, by a map if one is given."""
    named = load(map, Map) if map else Map()
    if not path.is_file() or path.suffix not in (".csv", ".parquet"):
        found = f"the type {path.suffix!r}" if path.is_file() else "no such file"
        refuse(path, "a .csv or .parquet file", found, "give the path of one of these")
    header, said = (_csv_header if path.suffix == ".csv" else _parquet_header)(path, named.encoding)
    theirs = {name: name for name in columns() if name in header} | named.columns
    file = File(path, map, named, header, said, allowed, theirs, {})
    needed = [name for name, column in columns().items() if not column.get("optional")]
    if not map and (unknown := [name for name in header if name not in columns()]):
        optional = ", ".join(name for name in columns() if name not in needed)
        do = f"remove or rename it, or say in a map which is which; optional columns are {optional}"
        file.refuse_header(f"the columns {', '.join(needed)}", f"the unknown column {unknown[0]!r}", do)
    for name, column in theirs.items():
        if header.count(column) != 1:
            asked = f"one column {column!r}" + (f", which {map} says is {name}" if map else "")
            do = f"correct `columns` in {map}" if map else "remove what is there twice"
            file.refuse_header(asked, f"the columns {', '.join(header)}", do)
    weighted, population = "weight" in theirs, named.population or said.get("population", "")
    if weighted != (population == "sample") and not (population == "sample" and "population" in said):
        found = (
            f"a column of weights, and the population {population or 'not said'}" if weighted else "no column 'weight'"
        )
        do = "write `population: sample` in its map and name the column of weights under `columns`, or leave out both"
        refuse(path, "weights of a sample", found, do)
    if named.closures == "account" and ("account" not in theirs or "dose" in theirs):
        asked = "accounts that were closed one by one, from which doses are made"
        found = "a column of doses" if "dose" in theirs else "no column 'account'"
        file.refuse_header(asked, found, f"correct `columns` or `closures` in {map}")
    if named.wide:
        _find_months(file, named.wide)
        needed = [name for name in needed if name not in ("month", "sales")]
    if "renamed_from" in theirs and ("firm" in theirs or "account" in theirs):
        theirs.setdefault("firm", theirs.get("account", ""))  # either stands for the other
        theirs.setdefault("account", theirs["firm"])
    for name in needed:
        if name not in theirs:
            do = (f"name theirs in {map}, or " if map else "") + f"add it: {columns()[name]['remedy']}"
            file.refuse_header(f"the columns {', '.join(needed)}", f"no column {name!r}", do)
    return file


def _find_months(file: File, wide: Wide) -> None:
    """Find the month of each column of months."""
    asked, months = f"columns of sales called {wide.prefix}MONTH, the month as {wide.format}", file.months
    for column in file.header:
        word = column.removeprefix(wide.prefix)
        month, taken = (as_day(word, wide.format) or "")[:7], column in file.theirs.values()
        if taken or not column.startswith(wide.prefix) or not (wide.prefix or month or _serial(word)):
            continue  # without a prefix any other column may stand beside the months
        if not month:
            do = f"rename the column, or correct `wide` in {file.map}"
            file.refuse_header(asked, f"the column {column!r}{_serial(word)}", do)
        if month in months.values() or file.header.count(column) > 1:
            file.refuse_header(asked, f"the month {month} twice ({column!r})", "remove one column")
        months[column] = month
    beside = [f" and the column {name!r}" for name in ("month", "sales") if name in file.theirs]
    if not months or beside:
        found = f"{len(months)} of these{''.join(beside)}"
        file.refuse_header(f"{asked}, instead of columns month and sales", found, f"correct `wide` in {file.map}")


def _serial(word: str) -> str:
    """Say which day an Excel serial number stands for; nothing of any other word."""
    if not re.fullmatch(r"[2-6][0-9]{4}(\.[0-9]+)?", word):
        return ""
    return f", an Excel serial number ({np.datetime64('1899-12-30') + np.timedelta64(int(float(word)), 'D')})"


def _csv_header(path: Path, encoding: str) -> tuple[list[str], dict[str, str]]:
    with path.open("rb") as stream:
        start = stream.read(1 << 16)
    if not start.removeprefix(_MARK).strip():
        refuse(path, "a header and rows", "an empty file", "export it again")
    if start.startswith(_MARK) and encoding == "gbk":
        found = "the byte order mark of UTF-8"
        refuse(path, "text in GBK, as the map says", found, "remove `encoding` from the map")
    codec = _CODECS[encoding].replace("utf-8", "utf-8-sig")
    with path.open(encoding=codec, errors="replace", newline="") as text:  # it looks ahead into columns of no interest
        header = next(csv.reader(text))
    if "\ufffd" in "".join(header):
        _refuse_bytes(path, encoding)
    if len(header) == 1 and {*";\t"} & {*header[0]}:
        do = "save it as CSV with commas, not with semicolons or tabs"
        refuse(f"{path}, row 1", "columns separated by commas", repr(header[0][:60]), do)
    return header, {}


def _refuse_bytes(path: Path, encoding: str) -> None:
    """Refuse the first line that is in another encoding, if there is one."""
    with path.open("rb") as stream:
        for row, line in enumerate(stream, start=1):
            try:
                line.decode(_CODECS[encoding])
            except UnicodeDecodeError as error:
                found, meant = f"the byte 0x{line[error.start]:02x}", line.rstrip().decode("gb18030", "replace")
                asked, do = "UTF-8 text", "save it as UTF-8"
                if encoding == "gbk":
                    asked, do = "text in GBK, as the map says", f"remove `encoding` from the map, or {do}"
                elif "\ufffd" not in meant:
                    found += f"; likely it is GBK, in which the row is {meant!r}"
                    stream.seek(0)
                    do += "" if stream.read(3) == _MARK else ", or write `encoding: gbk` in its map"
                refuse(f"{path}, row {row}", asked, found, do)


def _parquet_header(path: Path, encoding: str) -> tuple[list[str], dict[str, str]]:
    if encoding != "utf-8":
        refuse(path, "no encoding, which is for CSV files", f"`encoding: {encoding}`", "remove it from the map")
    try:
        schema = pa.parquet.read_schema(path)
    except pa.ArrowInvalid as error:
        refuse(path, "a Parquet file", f"what cannot be read ({error})", "export it again")
    return schema.names, {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}


def month_text(number: float) -> str:
    """Return a month, YYYY-MM, of its number since January 1970."""
    return str(np.datetime64(int(number), "M"))


def shown(value: Any) -> str:
    """Return a value as messages show it."""
    return "nothing" if value is None or value == "" else repr(value)


@dataclass(frozen=True)
class Block:
    """Consecutive rows in our columns, a row per month where months are columns.

    `start` is the position of the first among all rows; `raw` holds the cells as they stand there; `typed` words as
    codes in a dictionary, none of them missing, numbers and months since January 1970 as float64, NaN where missing.
    """

    file: File
    start: int
    raw: Mapping[str, pa.ChunkedArray]
    typed: dict[str, Any]

    def refuse(self, wrong: Bools, name: str, asked: str, found: str = "", do: str = "") -> None:
        """Raise a DataError for the first wrong row, if there is one."""
        if wrong.any():
            rows = self.start + np.flatnonzero(wrong)
            found = found or shown(self.raw[name][int(wrong.argmax())].as_py())
            if len(rows) > 1:
                first, last = self.file.row(rows[[0, -1]])
                found += f", the first of {len(rows):,} such in rows {first:,} to {last:,}"
            self.file.refuse(int(rows[0]), name, asked, found, do)

    def refuse_words(self, coded: pa.DictionaryArray, right: Any, name: str, asked: str, do: str = "") -> None:
        """Raise a DataError for the first row whose word is not a right one, if there is one."""
        if not (right := np.asarray(right, dtype=bool)).all():
            wrong = ~right[np.asarray(coded.indices)]
            word = coded[int(wrong.argmax())].as_py()
            serial = _serial(word) if columns()[name]["type"] == MONTH else ""
            self.refuse(wrong, name, asked, shown(word) + serial, do)


def blocks(file: File) -> Iterator[Block]:
    """Yield the rows of a file in blocks, typed and in dollars."""
    start, typing = 0, {NUMBER: _numbers, MONTH: _months, TEXT: _words}
    for table in _tables(file):
        block = Block(file, start, _ours(file, table), {})
        for name, cells in block.raw.items():
            kind = columns()[name]["type"]
            try:
                block.typed[name] = typing[kind](block, name)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                asked, where = "numbers" if kind == NUMBER else "text", f"{file.path}, column {file.called(name)}"
                refuse(where, asked, f"values of type {cells.type}", columns()[name]["remedy"])
            limits = columns()[name].get("constraints", {})
            for limit in [limit for limit in _BOUNDS if limit in limits]:
                (broken, asked), bound = _BOUNDS[limit], limits[limit]
                number = np.datetime64(bound).astype(int) if kind == MONTH else bound
                block.refuse(broken(block.typed[name], number), name, f"{asked} {bound}")
        if "dose" in block.typed:
            closed, dosed = ~np.isnan(block.typed["closed_on"]), ~np.isnan(block.typed["dose"])
            block.refuse(closed & ~dosed, "dose", "the dose of a closed firm")
            block.refuse(~closed & dosed, "dose", "no dose of a firm without closed_on")
        if file.named.rates:
            block.typed["sales"] = block.typed["sales"] * _rates(block)
        yield block
        start += len(block.typed["sales"])


def _tables(file: File) -> Iterator[pa.Table]:
    """Yield rows of the file, about as many months each time."""
    held, needed = list[pa.RecordBatch](), [*dict.fromkeys([*file.theirs.values(), *file.months])]
    for batch in (_csv_batches if file.path.suffix == ".csv" else _parquet_batches)(file, needed):
        held.append(batch)
        if sum(part.num_rows for part in held) * max(1, len(file.months)) >= ROWS_AT_ONCE:
            yield pa.Table.from_batches(held)
            held = []
    if any(part.num_rows for part in held):
        yield pa.Table.from_batches(held)


def _csv_batches(file: File, needed: list[str]) -> Iterator[pa.RecordBatch]:
    ragged, codec = list[Any](), _CODECS[file.named.encoding]

    def stop(row: pa.csv.InvalidRow) -> str:
        ragged.append(row)
        return "error"

    reading = pa.csv.ReadOptions(use_threads=False, block_size=_BYTES_AT_ONCE, encoding=codec)
    parsing = pa.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=stop)
    text = pa.csv.ConvertOptions(column_types=dict.fromkeys(needed, pa.string()), include_columns=needed)
    try:
        yield from pa.csv.open_csv(file.path, reading, parsing, text)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        for row in ragged:
            asked, found = f"{row.expected_columns} cells", f"{row.actual_columns} in {row.text!r}"
            do = "quote cells that hold a comma, and give every row all cells"
            refuse(f"{file.path}, row {row.number}", asked, found, do)
        _refuse_bytes(file.path, file.named.encoding)
        refuse(file.path, "a CSV file", f"what cannot be read ({error})", "export it again")


def _parquet_batches(file: File, needed: list[str]) -> Iterator[pa.RecordBatch]:
    with pa.parquet.ParquetFile(file.path) as opened:
        for group in range(opened.num_row_groups):  # one by one, or the buffers of all of them are kept
            yield from opened.iter_batches(ROWS_AT_ONCE, row_groups=[group], columns=needed)


def _ours(file: File, table: pa.Table) -> dict[str, pa.ChunkedArray]:
    """Return rows of the file in our columns; where months are columns, one row per month."""
    types = [cells.type.value_type if pa.types.is_dictionary(cells.type) else cells.type for cells in table.columns]
    table = table.cast(pa.schema(zip(table.column_names, types, strict=True)))
    found = {name: table[column] for name, column in file.theirs.items()}
    if not file.months:
        return found
    rows, count, kinds = table.num_rows, len(file.months), {table[column].type for column in file.months}
    if len(kinds) > 1:  # Parquet columns of whole numbers beside others
        kinds = {pa.string() if any(map(pa.types.is_string, kinds)) else pa.float64()}
    found = {name: cells.take(pa.array(np.repeat(np.arange(rows), count))) for name, cells in found.items()}
    found["month"] = pa.chunked_array([[*file.months.values()]]).take(pa.array(np.tile(np.arange(count), rows)))
    by_month = [chunk for column in file.months for chunk in table[column].cast(*kinds).chunks]
    order = np.arange(rows * count).reshape(count, rows).T.ravel()
    return found | {"sales": pa.chunked_array(by_month).take(pa.array(order))}


def _coded(block: Block, name: str) -> pa.DictionaryArray:
    return block.raw[name].cast(pa.string()).fill_null("").combine_chunks().dictionary_encode()


def _words(block: Block, name: str) -> pa.DictionaryArray:
    coded, named, limits = _coded(block, name), block.file.named, columns()[name].get("constraints", {})
    words = coded.dictionary
    if limits.get("required"):
        block.refuse_words(coded, pc.not_equal(words, ""), name, "a value")
    trimmed = pc.utf8_trim_whitespace(words)
    block.refuse_words(coded, pc.equal(words, trimmed), name, "a word", "remove the blanks around it")
    if labels := {"platform": named.platforms, "origin": named.origins}.get(name):
        known, do = pc.is_in(words, pa.array(labels)), f"add it under `{name}s` in {block.file.map}"
        block.refuse_words(coded, known, name, f"one of the labels {', '.join(labels)}", do)
        coded = pa.array([labels[word] for word in words.to_pylist()]).take(coded.indices).dictionary_encode()
    money = (named.currency, *([UNITS["simulated"]] if named.currency == DOLLARS else []))
    if allowed := {"platform": block.file.allowed, "currency": money}.get(name, limits.get("enum")):
        known = pc.is_in(coded.dictionary, pa.array(allowed))
        block.refuse_words(coded, known, name, f"one of {', '.join(allowed)}")
    return coded


def _months(block: Block, name: str) -> Floats:
    cells, of_header = block.raw[name], name == "month" and block.file.months
    if pa.types.is_date(cells.type) or pa.types.is_timestamp(cells.type):
        times = cells.cast(pa.timestamp("us")).to_numpy()
        found = times.astype("datetime64[M]")
        within = ~np.isnat(times) & (found != times)
        block.refuse(within, name, "the first day of a month", do="set the day to 1, once the month is right")
    else:
        coded, pattern = _coded(block, name), ISO_MONTH if of_header else block.file.named.month_format[0]
        by_word = [(as_day(word, pattern) or "")[:7] if word else "NaT" for word in coded.dictionary.to_pylist()]
        asked = "a month YYYY-MM" if pattern == ISO_MONTH else f"the first day of a month, as {pattern}"
        block.refuse_words(coded, by_word, name, asked)
        found = np.array(by_word, dtype="datetime64[M]")[np.asarray(coded.indices)]
    if columns()[name].get("constraints", {}).get("required"):
        block.refuse(np.isnat(found), name, "a month YYYY-MM")
    return np.where(np.isnat(found), np.nan, found.astype(np.int64))


def _numbers(block: Block, name: str) -> Floats:
    cells = block.raw[name]
    if pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
        if (wrong := ~pc.match_substring_regex(cells, _DIGITS).fill_null(True).to_numpy()).any():
            signs = pc.struct_field(pc.extract_regex(cells, _MONEY), "sign")  # in one column they may be of several
            signed, every = signs.is_valid().to_numpy(), ", ".join(sorted(signs.drop_null().unique().to_pylist()))
            found = f"{cells[int((wrong & signed).argmax())].as_py()!r}, of the signs {every}"
            block.refuse(wrong & signed, name, "plain numbers of one currency, without its sign", found, _NO_MONEY)
            block.refuse(wrong, name, "a number such as 1250 or 2e-3")
        cells = pc.if_else(pc.equal(cells, ""), None, cells)
    elif pa.types.is_boolean(cells.type):
        raise pa.ArrowInvalid("yes and no are no numbers, though they can be cast to some")
    values = np.asarray(cells.cast(pa.float64()))
    block.refuse(np.isinf(values), name, "a finite number")
    if columns()[name].get("constraints", {}).get("required"):
        block.refuse(np.isnan(values), name, "a number")
    return values


def _rates(block: Block) -> Floats:
    """Return the US dollars for one unit of the map's money in the month of each row."""
    named, month = block.file.named, block.typed["month"].astype(np.int64)
    by_month = {number: named.rate(month_text(number)) for number in np.unique(month)}
    rates: Floats = pd.Series(month).map(by_month).to_numpy(float)
    if (lacking := np.isnan(rates) & ~np.isnan(block.typed["sales"])).any():
        word = month_text(month[lacking.argmax()])
        asked, do = f"sales of a month with a rate for {named.currency}", f"add {word} to `rates` in {block.file.map}"
        block.refuse(lacking, "sales", asked, f"sales of {word}, which has none", do)
    return rates
