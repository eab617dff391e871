"""Convert a file's cells to the schema's types.

Errors name the row, column and value, and the line to add to the map.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis.errors import refuse
from analysis.estimate import Bools, Floats, Ints
from analysis.panel.file import ROWS_AT_ONCE, File, tables
from analysis.panel.formats import (
    MONEY,
    QUARTERS,
    SPELLED,
    TOTALS,
    UNKNOWN,
    dates,
    number_pattern,
    number_signs,
    strange,
)
from analysis.panel.map import DOLLARS, ISO_MONTH, as_day, columns
from analysis.panel.panel import MONTH, NUMBER, TEXT, UNITS
from analysis.untrusted import LONGEST_NAME, refuse_long

Days = npt.NDArray[np.datetime64]

ROW = np.dtype(
    [("unit", np.int32), ("platform", np.int32), ("month", np.int32), ("day", np.int8), ("sales", np.float64)]
)
LONGEST_GAP = 12  # months without a row; isolated rows beyond such a gap are taken for errors
_EITHER = r"^(0?|[1-9][0-9]{0,2}(\.[0-9]{3})?)$"
_BOUNDS = {"minimum": (np.less, "at least"), "maximum": (np.greater, "at most")}
_BOUNDS["exclusiveMinimum"] = (np.less_equal, "more than")


def month_text(number: float) -> str:
    """Format a number of months since January 1970 as YYYY-MM."""
    return str(np.datetime64(int(number), "M"))


def shown(value: Any) -> str:
    """Format a value for a message."""
    return "nothing" if value is None or value == "" else repr(value)


@dataclass(frozen=True)
class Block:
    """Consecutive rows of a file, with the schema's columns.

    A row of a wide file becomes one row per month. `start` is the position of the first row in the file. `raw` contains
    the cells as they are in the file. `typed` contains text as a dictionary array without nulls; numbers, and months
    since January 1970, as float64 with NaN if missing; and, under "date", the dates in the column month.
    """

    file: File
    start: int
    raw: Mapping[str, pa.ChunkedArray]
    typed: dict[str, Any]

    def refuse(self, wrong: Bools, name: str, expected: str, actual: str = "", do: str = "") -> None:
        """Raise DataError for the first invalid row, if there is one."""
        if wrong.any():
            rows = self.start + np.flatnonzero(wrong)
            actual = actual or shown(self.raw[name][int(wrong.argmax())].as_py())
            if len(rows) > 1:
                first, last = self.file.row(rows[[0, -1]])
                actual += f", the first of {len(rows):,} such values in rows {first:,} to {last:,}"
            self.file.refuse(int(rows[0]), name, expected, actual, do)

    def refuse_words(self, coded: pa.DictionaryArray, right: Any, name: str, expected: str, do: str = "") -> None:
        """Raise DataError for the first row with an invalid text value, if there is one."""
        if not (right := np.asarray(right, dtype=bool)).all():
            wrong = ~right[np.asarray(coded.indices)]
            word = coded[int(wrong.argmax())].as_py()
            odd = strange(word) if columns()[name]["type"] == MONTH else ""
            self.refuse(wrong, name, expected, shown(word) + odd, QUARTERS if "quarter" in odd else do)


def blocks(file: File) -> Iterator[Block]:
    """Yield typed blocks of a file's rows, converting foreign currencies to US dollars."""
    start, typing = 0, {NUMBER: _numbers, MONTH: _months, TEXT: _words}
    for table in tables(file):
        block = Block(file, start, _ours(file, table), {})
        for name, cells in block.raw.items():
            kind = columns()[name]["type"]
            try:
                block.typed[name] = typing[kind](block, name)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                expected, where = "numbers" if kind == NUMBER else "text", f"{file.path}, column {file.called(name)}"
                refuse(where, expected, f"values of type {cells.type}", columns()[name]["remedy"])
            limits = columns()[name].get("constraints", {})
            for limit, (breaks, expected) in _BOUNDS.items():
                if (bound := limits.get(limit)) is not None:
                    least, text = (np.datetime64(bound).astype(int), bound) if kind == MONTH else (bound, f"{bound:,}")
                    block.refuse(breaks(block.typed[name], least), name, f"{expected} {text}")
            if limits.get("required") and kind != TEXT:
                block.refuse(np.isnan(block.typed[name]), name, "a number" if kind == NUMBER else "a month")
        if "dose" in block.typed:
            closed, dosed = ~np.isnan(block.typed["closed_on"]), ~np.isnan(block.typed["dose"])
            block.refuse(closed & ~dosed, "dose", "the dose of a closed firm")
            block.refuse(~closed & dosed, "dose", "no dose for a firm without closed_on")
        if file.named.rates:
            block.typed["sales"] = block.typed["sales"] * _rates(block)
        yield block
        start += len(block.typed["sales"])


def plain(path: Path, table: pa.Table, most: int) -> pa.Table:
    """Decode dictionary columns to text; raise DataError if a cell has more than `most` characters."""
    for column in table.column_names:
        refuse_long(path, column, table[column], most)
    types = [cells.type.value_type if pa.types.is_dictionary(cells.type) else cells.type for cells in table.columns]
    return table.cast(pa.schema(zip(table.column_names, types, strict=True)))


def _ours(file: File, table: pa.Table) -> dict[str, pa.ChunkedArray]:
    """Return the cells by schema column, with one row per month if the file is wide."""
    table = plain(file.path, table, LONGEST_NAME)
    ours = {name: table[column] for name, column in file.theirs.items()}
    if not file.months:
        return ours
    rows, count, kinds = table.num_rows, len(file.months), {table[column].type for column in file.months}
    if len(kinds) > 1:  # some columns contain only whole numbers
        kinds = {pa.string() if any(map(pa.types.is_string, kinds)) else pa.float64()}
    ours = {name: cells.take(pa.array(np.repeat(np.arange(rows), count))) for name, cells in ours.items()}
    ours["month"] = pa.chunked_array([[*file.months.values()]]).take(pa.array(np.tile(np.arange(count), rows)))
    by_month = [chunk for column in file.months for chunk in table[column].cast(*kinds).chunks]
    order = np.arange(rows * count).reshape(count, rows).T.ravel()
    return ours | {"sales": pa.chunked_array(by_month).take(pa.array(order))}


def _coded(block: Block, name: str) -> pa.DictionaryArray:
    return block.raw[name].cast(pa.string()).fill_null("").combine_chunks().dictionary_encode()


# Text


def _words(block: Block, name: str) -> pa.DictionaryArray:
    """Encode text as a dictionary array.

    Origins become the schema's codes; platforms keep the file's labels.
    """
    coded, file, limits = _coded(block, name), block.file, columns()[name].get("constraints", {})
    words, named = coded.dictionary, file.named
    if limits.get("required"):
        block.refuse_words(coded, pc.not_equal(words, ""), name, "a value")
    trimmed = pc.utf8_trim_whitespace(words)
    block.refuse_words(coded, pc.equal(words, trimmed), name, "text without spaces around it", "remove them")
    if name in ("firm", "account", "platform", "origin", "category"):
        single = pc.invert(pc.match_substring_regex(words, f"(?i)^({TOTALS})$"))
        block.refuse_words(coded, single, name, "rows of single firms", "leave out the rows of totals")
    labels = {"platform": named.platforms, "origin": named.origins}.get(name)
    if labels:
        do = _line_of_labels(file, name, words.to_pylist(), labels)
        block.refuse_words(coded, pc.is_in(words, pa.array(labels)), name, f"one of the labels {', '.join(labels)}", do)
    if labels and name == "origin":
        coded = pa.array([labels[word] for word in words.to_pylist()]).take(coded.indices).dictionary_encode()
    if name == "platform" and file.allowed:
        is_allowed = [file.code(word) in file.allowed for word in words.to_pylist()]
        line = _line_of_labels(file, name, words.to_pylist(), {code: code for code in file.allowed})
        do = f"{f'correct `platforms` in {file.map}' if labels else line}, or name the event of these with --event"
        block.refuse_words(coded, is_allowed, name, f"one of {', '.join(file.allowed)}", do)
    money = [*named.rates, DOLLARS] if named.money_by_row else [named.currency]
    money += [] if named.rates else [UNITS["simulated"]]
    if allowed := money if name == "currency" else limits.get("enum"):
        do = _line_of_rates(file, words.to_pylist()) if name == "currency" else ""
        block.refuse_words(coded, pc.is_in(words, pa.array(allowed)), name, f"one of {', '.join(allowed)}", do)
    return coded


def _line_of_labels(file: File, name: str, words: Sequence[str], labels: Mapping[str, str]) -> str:
    """Return an instruction to map each label to the code of a similar label, or to the placeholder CODE."""
    listed = bool(getattr(file.named, f"{name}s"))
    code_of = {} if listed else {word: word for word in words if word in labels}
    for word in words:
        if word not in labels:
            like = [label for label in labels if word.casefold().startswith(label.casefold())]
            like += difflib.get_close_matches(word, labels, 1, 0.7)
            code_of[word] = labels[like[0]] if like else "CODE"
    line = "..., " * listed + ", ".join(f"{word}: {code}" for word, code in code_of.items())
    codes = f", where CODE is one of {', '.join(dict.fromkeys(labels.values()))}" if "CODE" in code_of.values() else ""
    return file.line(f"{name}s: {{{line}}}") + codes


def _line_of_rates(file: File, words: Sequence[str]) -> str:
    rates = ", ".join(f"{word}: RATE" for word in words if word != DOLLARS and word not in file.named.rates)
    more = "..., " if file.named.money_by_row else ""
    instead = f", instead of `currency: {file.named.currency}`" if file.named.currency != DOLLARS else ""
    by = "by year {2020: RATE, 2021: RATE} or by month"
    return f"{file.line(f'rates: {{{more}{rates}}}')}{instead}, where RATE is US dollars per unit, {by}"


# Months


def _months(block: Block, name: str) -> Floats:
    """Parse dates as months since January 1970.

    The dates in the column month are also kept in the block.
    """
    cells = block.raw[name]
    if pa.types.is_timestamp(cells.type) and cells.type.tz:
        cells = pc.local_timestamp(cells)  # Arrow stores UTC, where midnight in Shanghai falls on the previous day
    if pa.types.is_date(cells.type) or pa.types.is_timestamp(cells.type):
        days: Days = cells.cast(pa.timestamp("us")).to_numpy().astype("datetime64[D]")
    else:
        days = _days(block, name)
    if name == "month":
        block.typed["date"] = days
    return np.where(np.isnat(days), np.nan, days.astype("datetime64[M]").astype(np.int64))


def _days(block: Block, name: str) -> Days:
    """Parse dates in the map's formats.

    Raise DataError if a date matches no format, or if two formats disagree on it.
    """
    coded, named = _coded(block, name), block.file.named
    key, formats = "month_format", (ISO_MONTH,) if block.file.months else named.month_format
    if name == "closed_on":
        key, formats = "closed_format", named.closed_format or named.month_format
    length = 7 if name != "month" or named.rows == "month" else 10  # characters on which formats must agree
    words = coded.dictionary.to_pylist()
    read = [{format_: day for format_ in formats if (day := as_day(word, format_))} for word in words]
    for word, ways in zip(words, read, strict=True):
        if len({day[:length] for day in ways.values()}) > 1:
            readings = ", ".join(f"{day[:length]} by {format_}" for format_, day in ways.items())
            do = f"remove one of the formats from `{key}` in {block.file.map}, or split the file"
            expected = f"one reading of {word!r} ({readings})"
            block.refuse_words(coded, [other != word for other in words], name, expected, do)
    expected = f"a date in the format {' or '.join(formats)}" if formats != (ISO_MONTH,) else "a month YYYY-MM"
    right = [not word or bool(ways) for word, ways in zip(words, read, strict=True)]
    wrong = [word for word, valid in zip(words, right, strict=True) if not valid]
    block.refuse_words(coded, right, name, expected, _line_of_formats(block.file, key, words, wrong, formats))
    days_read: Days = np.array([next(iter(ways.values()), "NaT") for ways in read], dtype="datetime64[D]")
    return np.asarray(days_read[np.asarray(coded.indices)])


def _line_of_formats(file: File, key: str, words: Sequence[str], wrong: Sequence[str], formats: Sequence[str]) -> str:
    """Return an instruction to list date formats in the map, or an empty string if none fit."""
    _, likely, undecided = dates(wrong)
    if not wrong or not (likely or undecided):
        return ""
    kept = [pattern for pattern in formats if any(as_day(word, pattern) for word in words)]
    line = ", ".join(f'"{pattern}"' for pattern in dict.fromkeys([*kept, *likely, *(ways[0] for ways in undecided)]))
    other = "".join(f', or with "{ways[1]}" if the month comes first' for ways in undecided)
    return file.line(f"{key}: {f'[{line}]' if ',' in line else line}") + other


# Numbers


def _numbers(block: Block, name: str) -> Floats:
    cells, file = block.raw[name], block.file
    thousands, decimal = file.named.thousands, file.named.decimal
    if pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
        if file.named.missing:
            cells = pc.if_else(pc.is_in(cells, pa.array(file.named.missing, cells.type)), None, cells)
        right = pc.match_substring_regex(cells, number_pattern(thousands, decimal))
        if (wrong := ~right.fill_null(True).to_numpy()).any():
            money = pc.extract_regex(cells, f"(?i)(?P<sign>{MONEY})")  # a column may mix currencies
            signs = pc.struct_field(money, "sign")
            signed, every = signs.is_valid().to_numpy(), ", ".join(sorted(signs.drop_null().unique().to_pylist()))
            actual = f"{cells[int((wrong & signed).argmax())].as_py()!r}, with the symbols {every}"
            do = f"remove the symbols and, unless they mean USD, {file.line('currency: CODE')} with its `rates`"
            block.refuse(wrong & signed, name, "plain numbers in one currency, without its symbol", actual, do)
            do = _line_of_signs(file, cells)
            word = str(cells[int(wrong.argmax())].as_py())
            if re.fullmatch(f"{UNKNOWN}|[-–—]+", word.lower()):
                line = file.line(f'missing: ["{word}"]')
                do = f"{line} if it marks an unknown value, or write 0 if nothing was sold"
            block.refuse(wrong, name, "a number such as 1250 or 2e-3", do=do)
        if name == "sales" and not file.named.model_fields_set & {"thousands", "decimal"}:
            _refuse_either(block, cells)
        if thousands:
            cells = pc.replace_substring_regex(cells, SPELLED.get(thousands, re.escape(thousands)), "")
        if decimal != ".":
            cells = pc.replace_substring(cells, decimal, ".")
        cells = pc.if_else(pc.equal(cells, ""), None, cells)
    elif pa.types.is_boolean(cells.type):
        raise pa.ArrowInvalid("Cannot read booleans as numbers")  # Arrow would cast them
    values = np.asarray(cells.cast(pa.float64()))
    block.refuse(np.isinf(values), name, "a finite number")
    return values


def _refuse_either(block: Block, sales: pa.ChunkedArray) -> None:
    """Raise DataError if points in sales may mark either decimals or thousands."""
    if pc.all(pc.match_substring_regex(sales, _EITHER)).as_py():
        pointed = pc.match_substring(sales, ".").fill_null(False).to_numpy()
        do = f"""{block.file.line('decimal: "."')} if it marks decimals, else `thousands: "."` and `decimal: ","`"""
        block.refuse(pointed, "sales", "unambiguous decimal points, not three digits after each point", do=do)


def _line_of_signs(file: File, cells: pa.ChunkedArray) -> str:
    """Return an instruction to set number separators in the map, or an empty string if none fit."""
    ways = []
    for thousands, decimal in number_signs(cells.drop_null().unique().to_pylist()):
        lines = [f'thousands: "{thousands}"'] * (thousands != file.named.thousands)
        ways.append("` and `".join(lines + [f'decimal: "{decimal}"'] * (decimal != file.named.decimal)))
    return file.line("` or, whichever is meant, `".join(ways)) if ways else ""


# Money


def _rates(block: Block) -> Floats:
    """Return the exchange rate for each row, in US dollars per unit of its currency."""
    file, month = block.file, block.typed["month"].astype(np.int64)
    money = block.typed["currency"].to_pandas() if file.named.money_by_row else pd.Series("", range(len(month)))
    rows = pd.DataFrame({"month": month, "money": money})
    pairs = rows.drop_duplicates()
    pairs = pairs.assign(rate=[file.named.rate(month_text(number), of) for number, of in pairs.itertuples(index=False)])
    rates: Floats = rows.merge(pairs, how="left")["rate"].to_numpy()
    if (lacking := np.isnan(rates) & ~np.isnan(block.typed["sales"])).any():
        at = int(lacking.argmax())
        word, of = month_text(month[at]), money[at]
        do = f"add {word} to `rates{f': {{{of}: ...}}' if of else ''}` in {file.map}, or correct the month"
        expected = f"sales in a month with a rate for {of or file.named.currency}"
        block.refuse(lacking, "sales", expected, f"sales in {word}, which has none", do)
    return rates


# All rows


class Values:
    """Distinct values, with their positions as codes.

    Values are in order of appearance until they are sorted. `distinct` contains the values, and `first` the position of
    the first row of each, by block.
    """

    def __init__(self) -> None:
        self.distinct: Any = None
        self.first = list[Ints]()

    def code(self, values: Any, start: int) -> Ints:
        """Encode the values of a block, adding a code for each new value."""
        coded = values if isinstance(values, pa.DictionaryArray) else pa.array(values).dictionary_encode()
        words, indices = coded.dictionary, np.asarray(coded.indices)
        distinct = words[:0] if self.distinct is None else self.distinct
        codes = np.array(pc.index_in(words, distinct).fill_null(-1), dtype=np.int64)
        new = np.flatnonzero(codes < 0)
        codes[new] = len(distinct) + np.arange(len(new))
        self.distinct = pa.concat_arrays([distinct, words.take(pa.array(new))])
        self.first.append(start + np.searchsorted(np.maximum.accumulate(indices), new))  # codes rise in a block
        return np.asarray(codes[indices])

    def word(self, code: Any) -> str:
        """Return the value with the given code as text."""
        return str(self.distinct[int(code)].as_py())

    def sort(self) -> Ints:
        """Sort the values, and return an array that maps old codes to new codes."""
        order = np.asarray(pc.sort_indices(self.distinct)).astype(np.int64)
        self.distinct, self.first = self.distinct.take(pa.array(order)), [np.concatenate(self.first)[order]]
        return np.argsort(order)


@dataclass(frozen=True)
class Rows:
    """All rows of a file.

    `values` contains the sorted values of each text column (platform labels in order of appearance), and `waiting` the
    sales, in memory or, for a large file, on disk. `first` and `last` are the first and last fully covered month.
    """

    file: File
    values: Mapping[str, Values]
    waiting: IO[bytes]
    first: int
    last: int

    def as_read(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the sales in file order, in blocks with unit, platform, month and day."""
        self.waiting.seek(0)
        while content := self.waiting.read(ROW.itemsize * ROWS_AT_ONCE):
            yield np.frombuffer(content, ROW)

    def sales(self) -> Iterator[npt.NDArray[Any]]:
        """Yield blocks of sales in fully covered months.

        Weeks that span two months are split in proportion to days.
        """
        for row in self.as_read():
            if self.file.named.rows == "month":
                yield row
            else:
                parts = _split(row) if self.file.named.rows == "week" else row
                yield parts[(parts["month"] >= self.first) & (parts["month"] <= self.last)]

    def labels(self) -> list[str]:
        """Return the file's platform labels, in the order of their codes."""
        return list(self.values["platform"].distinct.to_pylist())


def _split(row: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Split weeks that span two months.

    The parts in the second month are appended, with day 0.
    """
    month = row["month"].astype("datetime64[M]")
    days = ((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.int64) - row["day"] + 1
    here, rest = row.copy(), row[days < 7]
    here["sales"] *= np.minimum(days, 7) / 7
    rest["sales"] *= 1 - days[days < 7] / 7
    rest["month"] += 1
    rest["day"] = 0
    return np.concatenate([here, rest])
