"""Type the columns of a block of rows by the schema, or refuse the first value that breaks it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from analysis.errors import DataError
from analysis.facts.reading import Problem
from analysis.inference import Bools, Floats
from analysis.panel.columns import MONTH, NUMBER, Column, columns
from analysis.panel.files import File

Months = npt.NDArray[np.int64]
NEVER = np.iinfo(np.int64).min
"""Number of a missing month, as numpy has it for NaT."""

_DIGITS = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_YEAR_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_EXCEL_SERIAL = re.compile(r"[2-6][0-9]{4}(\.[0-9]+)?")
_EXCEL_DAY_0 = np.datetime64("1899-12-30")
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
        Codes and words; none is missing.
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
        if (count := int(wrong.sum())) > 1:
            found += f", the first of {count:,} such in rows {self.first:,} to {self.first + len(wrong) - 1:,}"
        where = f"{self.file.path}, row {self.first + at}, column {name}"
        raise DataError(str(Problem(where, asked, found, do or columns()[name].remedy)))


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
    block.refuse(_rows(coded, pc.equal(words, ""), missing=True), column.name, "a value")
    padded = pc.not_equal(words, pc.utf8_trim_whitespace(words))
    block.refuse(_rows(coded, padded), column.name, "a word", do="remove the blanks around it")
    if "enum" in column.limits:
        allowed = column.limits["enum"]
        unknown = pc.invert(pc.is_in(words, pa.array(allowed, pa.string())))
        block.refuse(_rows(coded, unknown), column.name, f"one of {', '.join(allowed)}")
    block.texts[column.name] = coded


def _rows(coded: pa.DictionaryArray, words: pa.BooleanArray, missing: bool = False) -> Bools:
    """Return the rows that hold one of the marked words, with or without the rows that hold none."""
    marked = np.append(words.to_numpy(zero_copy_only=False), missing).astype(bool)
    return marked[_codes(coded)] if marked.any() else np.zeros(len(coded), dtype=bool)


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
    where = f"{block.file.path}, column {column.name}"
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
        block.refuse(~digits.to_numpy(False), column.name, "a number such as 1250 or 2e-3")
        array = pc.if_else(blank, pa.scalar(None, array.type), array)
    elif pa.types.is_boolean(array.type) or pa.types.is_temporal(array.type):
        raise _wrong_type(block, column, "numbers", array.type)
    try:
        return np.asarray(array.cast(pa.float64()).to_numpy(zero_copy_only=False))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _wrong_type(block, column, "numbers", array.type) from error


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
    words = coded.dictionary.to_pylist()
    serial = _rows(coded, pa.array([bool(_EXCEL_SERIAL.fullmatch(word)) for word in words], pa.bool_()))
    if serial.any():
        word = coded[int(serial.argmax())].as_py()
        date = _EXCEL_DAY_0 + np.timedelta64(int(float(word)), "D")
        block.refuse(serial, column.name, "a month YYYY-MM", f"{word!r}, an Excel serial number ({date})")
    known = [bool(_YEAR_MONTH.fullmatch(word)) for word in words]
    wrong = pa.array([word != "" and not fits for word, fits in zip(words, known, strict=True)], pa.bool_())
    block.refuse(_rows(coded, wrong), column.name, "a month YYYY-MM")
    by_word = [word if fits else "NaT" for word, fits in zip(words, known, strict=True)] + ["NaT"]
    numbers = np.array(by_word, dtype="datetime64[M]").astype(np.int64)
    return np.asarray(numbers)[_codes(coded)]


_KINDS = {NUMBER: _add_number, MONTH: _add_month}
