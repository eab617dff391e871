"""Type the columns of a block of rows by the schema, or refuse the first value that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from analysis.config import ISO_MONTH, as_month
from analysis.errors import DataError
from analysis.estimate import Bools, Floats
from analysis.panel.columns import MONTH, NUMBER, Column, columns
from analysis.panel.files import File, Months
from analysis.panel.layout import EXCEL_SERIAL, serial_date
from analysis.panel.problem import Problem

NEVER = np.iinfo(np.int64).min
"""Number of a missing month, as numpy has it for NaT."""

_DIGITS = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_MONEY = r"\p{Sc}|元|USD|CNY|RMB|EUR|GBP|JPY|HKD"
_LIMITS = (
    ("minimum", np.less, "at least"),
    ("exclusiveMinimum", np.less_equal, "more than"),
    ("maximum", np.greater, "at most"),
)
_CODED = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True)
class Block:
    """Consecutive rows of a file, its columns typed.

    Attributes
    ----------
    file : File
    first : int
        Number of the first of the rows in the file.
    raw : RecordBatch
        The rows as read.
    texts : dict of str to DictionaryArray
        Codes and words; none is missing. Empty only where the schema lets a word be left out.
    numbers : dict of str to float64[row]
        NaN where missing.
    months : dict of str to int64[row]
        Months since January 1970, `NEVER` where missing.
    """

    file: File
    first: int
    raw: pa.RecordBatch
    texts: dict[str, pa.DictionaryArray]
    numbers: dict[str, Floats]
    months: dict[str, Months]

    def refuse(self, wrong: Bools, name: str, asked: str, found: str = "", do: str = "") -> None:
        """Raise a DataError for the first wrong row of a column, if there is one."""
        if not wrong.any():
            return
        at = int(wrong.argmax())
        found = found or shown(self.raw.column(name)[at].as_py())
        rows = self.rows()
        if (count := int(wrong.sum())) > 1:
            found += f", the first of {count:,} such in rows {rows[0]:,} to {rows[-1]:,}"
        where = f"{self.file.path}, row {rows[at]}, column {self.file.layout.called(name, at)}"
        raise DataError(str(Problem(where, asked, found, do or columns()[name].remedy)))

    def rows(self) -> npt.NDArray[np.int64]:
        """Return the number in the file of each row, which where months are columns holds several."""
        return self.first + np.arange(self.raw.num_rows) // self.file.layout.months_a_row


def typed(file: File, names: list[str]) -> Iterator[Block]:
    """Yield the rows of these columns of a file in typed blocks.

    Raises
    ------
    DataError
        For the first value that breaks the schema, with file, row, column and value.
    """
    for first, raw in file.blocks(names):
        block = Block(file, first, raw, {}, {}, {})
        for column in (columns()[name] for name in names):
            _KINDS.get(column.kind, _add_text)(block, column, raw.column(column.name))
        yield block


def shown(value: Any) -> str:
    """Return a value as messages show it."""
    return "nothing" if value is None or value == "" else repr(value)


def _add_text(block: Block, column: Column, array: pa.Array) -> None:
    coded = _coded(block, column, array)
    words = coded.dictionary
    if column.limits.get("required"):
        block.refuse(marked(coded, pc.equal(words, ""), missing=True), column.name, "a value")
    elif coded.indices.null_count:
        coded = coded.dictionary_decode().fill_null("").dictionary_encode().cast(_CODED)
        words = coded.dictionary
    padded = pc.not_equal(words, pc.utf8_trim_whitespace(words))
    block.refuse(marked(coded, padded), column.name, "a word", do="remove the blanks around it")
    if "enum" in column.limits:
        allowed = column.limits["enum"]
        unknown = pc.invert(pc.is_in(words, pa.array(allowed, pa.string())))
        block.refuse(marked(coded, unknown), column.name, f"one of {', '.join(allowed)}")
    block.texts[column.name] = coded


def marked(coded: pa.DictionaryArray, words: pa.BooleanArray, missing: bool = False) -> Bools:
    """Return the rows that hold one of the marked words, with or without the rows that hold none."""
    wrong = np.append(words.to_numpy(zero_copy_only=False), missing).astype(bool)
    return wrong[_codes(coded)] if wrong.any() else np.zeros(len(coded), dtype=bool)


def _codes(coded: pa.DictionaryArray) -> npt.NDArray[np.int32]:
    """Return the codes, -1 for null."""
    return np.asarray(coded.indices.fill_null(-1))


def _coded(block: Block, column: Column, array: pa.Array) -> pa.DictionaryArray:
    """Return text, or whole numbers as text, in codes of 32 bits."""
    try:
        if pa.types.is_dictionary(array.type) and len(array.dictionary) > len(array):
            array = array.dictionary_decode()
        if pa.types.is_dictionary(array.type):
            words = array.dictionary.cast(pa.string()).fill_null("")
            return pa.DictionaryArray.from_arrays(array.indices.cast(pa.int32()), words)
        return array.cast(pa.string()).dictionary_encode().cast(_CODED)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _wrong_type(block, column, "text", array.type) from error


def _wrong_type(block: Block, column: Column, asked: str, found: pa.DataType) -> DataError:
    where = f"{block.file.path}, column {block.file.layout.called(column.name)}"
    return DataError(str(Problem(where, asked, f"values of type {found}", column.remedy)))


def _add_number(block: Block, column: Column, array: pa.Array) -> None:
    values = _numbers(block, column, array)
    block.refuse(np.isinf(values), column.name, "a finite number")
    _check_limits(block, column, values, read=float)
    block.numbers[column.name] = values


def _check_limits(block: Block, column: Column, values: npt.NDArray[Any], read: Callable[[Any], Any]) -> None:
    for limit, broken, asked in _LIMITS:
        if limit in column.limits:
            wrong = broken(values, read(column.limits[limit]))
            block.refuse(wrong, column.name, f"{asked} {column.limits[limit]}")


def _numbers(block: Block, column: Column, array: pa.Array) -> Floats:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        blank = pc.equal(array, "")
        digits = pc.fill_null(pc.or_(blank, pc.match_substring_regex(array, _DIGITS)), True)
        if not (right := digits.to_numpy(False)).all():
            _refuse_money(block, column, array, ~right)
            block.refuse(~right, column.name, "a number such as 1250 or 2e-3")
        array = pc.if_else(blank, pa.scalar(None, array.type), array)
    elif pa.types.is_boolean(array.type) or pa.types.is_temporal(array.type):
        raise _wrong_type(block, column, "numbers", array.type)
    try:
        return np.asarray(array.cast(pa.float64()).to_numpy(zero_copy_only=False))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _wrong_type(block, column, "numbers", array.type) from error


def _refuse_money(block: Block, column: Column, array: pa.Array, wrong: Bools) -> None:
    """Refuse numbers with the sign of a currency: in one column they may be of several."""
    priced = wrong & pc.fill_null(pc.match_substring_regex(array, _MONEY), False).to_numpy(False)
    if priced.any():
        signs = pc.struct_field(pc.extract_regex(array.filter(pa.array(priced)), f"(?P<sign>{_MONEY})"), "sign")
        signs = ", ".join(sorted(signs.unique().to_pylist()))
        found = f"{shown(array[int(priced.argmax())].as_py())}, of the signs {signs}"
        do = "take the signs out, bring all rows to one currency, and name it in a map with its rates if it is not USD"
        block.refuse(priced, column.name, "plain numbers of one currency, without its sign", found, do)


def _add_month(block: Block, column: Column, array: pa.Array) -> None:
    if pa.types.is_date(array.type) or pa.types.is_timestamp(array.type) or pa.types.is_null(array.type):
        numbers = _months_of_dates(block, column, array)
    else:
        numbers = _months_of_text(block, column, array)
    if column.limits.get("required"):
        block.refuse(numbers == NEVER, column.name, "a month YYYY-MM")
    _check_limits(block, column, numbers, read=lambda month: np.datetime64(month, "M").astype(np.int64))
    block.months[column.name] = numbers


def _months_of_dates(block: Block, column: Column, array: pa.Array) -> Months:
    times = array.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False).astype("datetime64[us]")
    months = times.astype("datetime64[M]")
    within = ~np.isnat(times) & (months.astype(times.dtype) != times)
    block.refuse(within, column.name, "the first day of a month", do="set the day to 1, once the month is right")
    return np.asarray(months.astype(np.int64))


def _months_of_text(block: Block, column: Column, array: pa.Array) -> Months:
    coded = _coded(block, column, array)
    words, pattern = coded.dictionary.to_pylist(), block.file.format_of(column.name)
    asked = "a month YYYY-MM" if pattern == ISO_MONTH else f"the first day of a month, as {pattern}"
    by_word = [as_month(word, pattern) for word in words]
    serial = marked(
        coded, _where(not month and EXCEL_SERIAL.fullmatch(word) for word, month in zip(words, by_word, strict=True))
    )
    if serial.any():
        word = coded[int(serial.argmax())].as_py()
        block.refuse(serial, column.name, asked, f"{word!r}, an Excel serial number ({serial_date(word)})")
    wrong = _where(word != "" and not month for word, month in zip(words, by_word, strict=True))
    block.refuse(marked(coded, wrong), column.name, asked)
    numbers = np.array([month or "NaT" for month in [*by_word, None]], dtype="datetime64[M]").astype(np.int64)
    return np.asarray(numbers)[_codes(coded)]


def _where(found: Iterable[Any]) -> pa.BooleanArray:
    return pa.array(map(bool, found), pa.bool_())


_KINDS = {NUMBER: _add_number, MONTH: _add_month}
