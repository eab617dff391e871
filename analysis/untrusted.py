"""Check untrusted input: files, their size and location, and the characters in them."""

from __future__ import annotations

import os
import stat
import unicodedata
from pathlib import Path
from typing import Any, NoReturn

from fewtreated.errors import DataError, refuse

from analysis.provenance import ROOT

YAML_BYTES = 1 << 17
YAML_DEPTH = 12
LONGEST_NAME = 200
"""Maximum length of a name, such as that of a firm; a longer one would not fit on a page."""
MISSING_SIGN = "\u25a1"  # a white square, printed instead of unprintable characters
_UNSEEN = {
    "Cc",
    "Cf",
    "Cs",
    "Co",
    "Cn",
    "Zl",
    "Zp",
}  # Unicode categories without visible characters
_UNKNOWN = {"Co", "Cn"}  # of which a font may have some
_BLANK = {*"\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"} | {
    *map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
}  # letters and marks that are not seen


def admit(path: Path, most: int | None = None) -> None:
    """Raise DataError if a file is missing, too large or not a regular file.

    A pipe, for example, may never end.

    Raises
    ------
    DataError
    """
    if not is_utf8(str(path)):
        named = str(path).encode("utf-8", "backslashreplace").decode()
        refuse(named, "a name in UTF-8", "other bytes", "rename the file or folder")
    try:
        status = path.stat()
    except (OSError, ValueError, RuntimeError) as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        if missing:
            problem = "no such file"
        else:
            problem = getattr(error, "strerror", "") or str(error)
        refuse(path, "a file", problem, "correct its path")
    if not stat.S_ISREG(status.st_mode):
        if stat.S_ISDIR(status.st_mode):
            what = "a folder"
        else:
            what = "a pipe, socket or device"
        refuse(path, "a file", what, "save its content to a file, and use that file")
    if most is not None and status.st_size > most:
        refuse(
            path,
            f"a file of at most {most:,} bytes",
            f"{status.st_size:,}",
            "check that it is the right file",
        )


def refuse_more(
    path: Path, size: int, most: int, of: str, do: str = "split the file, or aggregate its rows"
) -> None:
    """Raise DataError if a file is larger than the limit."""
    if size > most:
        refuse(path, f"at most {most:,} {of}", f"{size:,}", do)


def inside(folder: Path, name: str) -> Path:
    """Return the path of a file in a folder.

    Raise DataError if it lies outside, even through a link.
    """
    try:
        path = (folder / name).resolve()
        if path.is_relative_to(folder.resolve()):
            return folder / name
        actual = f"{name!r}, which leads to {path}"
    except (
        OSError,
        RuntimeError,
        ValueError,
    ) as error:  # circular links, characters not allowed in names
        actual = f"{name!r} ({error})"
    refuse(
        folder,
        "the name of a file in it",
        actual,
        "put the file there, and use a name without .. and links",
    )


def located(name: str, path: str) -> Path:
    """Return the path of a file named by a parameter.

    The file is looked up in the working directory, then in the project's folder. An absolute path
    is returned as is, for its reader to report if missing; a missing relative one raises DataError.
    """
    folders = [*dict.fromkeys((Path.cwd(), ROOT))]
    files = [
        folder / path
        for folder in folders
        if Path(path).is_absolute() or os.path.isfile(folder / path)
    ]
    if not files:
        where = " or ".join(map(str, folders))
        raise DataError(f"Cannot find {name} = {path!r} in {where}; correct the path")
    return files[0]


def refuse_long(path: Path, column: str, cells: Any, most: int, first: int = 0) -> None:
    """Raise DataError if an Arrow column contains text longer than `most` characters.

    Dictionaries are checked without decoding them. `first` is the row of the first cell, with which
    the message names that of the text.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(cells, pa.DictionaryArray):
        words = cells.dictionary
    else:
        words = cells
    if pa.types.is_string_view(words.type):
        words = words.cast(pa.large_string())
    if not (pa.types.is_string(words.type) or pa.types.is_large_string(words.type)):
        return
    lengths = pc.utf8_length(words)
    at = pc.index(pc.greater(lengths, most), True).as_py()
    if at >= 0:
        refuse_length(_row_of(path, cells, at, first), column, lengths[at].as_py(), most)


def _row_of(path: Path, cells: Any, at: int, first: int) -> str:
    """Return a file and the row of a cell or, in a dictionary, of the first that has a word."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(cells, pa.DictionaryArray):
        at = pc.index(cells.indices, at).as_py()
    return f"{path}, row {at + first:,}" if first and at >= 0 else str(path)


def refuse_unseen(path: Path, column: str, cells: Any, first: int) -> None:
    """Raise DataError if an Arrow column contains text with a character that is not seen.

    `first` is the row of the first cell.
    """
    import pyarrow as pa

    if not isinstance(cells, pa.DictionaryArray):
        cells = cells.dictionary_encode()
    for at, word in enumerate(cells.dictionary.to_pylist()):
        if odd := unseen(str(word or "")):
            where = f"{_row_of(path, cells, at, first)}, column {column!r}"
            expected = "text without characters that are not seen"
            refuse(where, expected, f"{odd} in it", "remove it")


def refuse_length(where: Any, column: str, length: int, most: int) -> NoReturn:
    """Raise DataError for a text that is longer than `most` characters."""
    expected = f"text of at most {most:,} characters"
    do = "shorten it, or use another column"
    refuse(f"{where}, column {column!r}", expected, f"one of {length:,}", do)


def is_utf8(text: str) -> bool:
    """Return whether text can be written in UTF-8, as the name of a file may not.

    >>> is_utf8("é"), is_utf8("\udcff")
    (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def unseen(text: str) -> str:
    """Name the first character of a text that is not seen; return nothing if all are.

    >>> unseen("A\u200bB"), unseen("AB")
    ('U+200B (zero width space)', '')
    """
    if text.isascii() and text.isprintable():
        return ""
    for sign in text:
        if sign in _BLANK or unicodedata.category(sign) in _UNSEEN - _UNKNOWN:
            name = unicodedata.name(sign, "a control character").lower()
            return f"U+{ord(sign):04X} ({name})"
    return ""


def is_printable(sign: str) -> bool:
    """Return whether a character is visible on a page and does not reorder other characters."""
    return unicodedata.category(sign) not in _UNSEEN
