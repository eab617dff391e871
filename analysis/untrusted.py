"""Check untrusted input: files, their size and location, and the characters in them."""

from __future__ import annotations

import os
import stat
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Any

from fewtreated.errors import DataError, refuse

from analysis.provenance import ROOT

YAML_BYTES = 1 << 17
YAML_DEPTH = 12
LONGEST_NAME = 200
"""Maximum length of a name, such as that of a firm; a longer one would not fit on a page."""
MISSING_SIGN = "\u25a1"  # a white square, printed instead of unprintable characters
LAYOUT = ROOT / "reports"
FONTS = {
    400: "NotoSansCJKsc-Regular-subset.otf",
    700: "NotoSansCJKsc-Bold-subset.otf",
}  # for all pages, by weight
TYPST = (
    *(
        (0xA0, 0x377),
        (0x391, 0x3A1),
        (0x3A3, 0x4FF),
        (0x1E00, 0x1EFF),
        (0x2010, 0x2027),
        (0x2030, 0x205E),
    ),
    *((0x2074, 0x208E), (0x20A0, 0x20C0), (0x2100, 0x214F), (0x2190, 0x23FF), (0x2460, 0x262F)),
)
"""Ranges of code points that typst's own fonts cover and ours do not."""
_UNSEEN = {
    "Cc",
    "Cf",
    "Cs",
    "Co",
    "Cn",
    "Zl",
    "Zp",
}  # Unicode categories without visible characters


def admit(path: Path, most: int | None = None) -> None:
    """Raise DataError if a file is missing, too large or not a regular file.

    A pipe, for example, may never end.

    Raises
    ------
    DataError
    """
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


def refuse_long(path: Path, column: str, cells: Any, most: int) -> None:
    """Raise DataError if an Arrow column contains text longer than `most` characters.

    Dictionaries are checked without decoding them.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(cells, pa.DictionaryArray):
        words = cells.dictionary
    else:
        words = cells
    if pa.types.is_string(words.type):
        longest = pc.max(pc.utf8_length(words)).as_py() or 0
    else:
        longest = 0
    if longest > most:
        do = "shorten it, or use another column"
        refuse(
            f"{path}, column {column!r}",
            f"text of at most {most:,} characters",
            f"one of {longest:,}",
            do,
        )


def is_printable(sign: str) -> bool:
    """Return whether a character is visible on a page and does not reorder other characters."""
    return unicodedata.category(sign) not in _UNSEEN


class _Signs(dict[int, str]):
    """Printed form of each character, by code point: the character itself, or a square."""

    def __missing__(self, code: int) -> str:
        there = code in _codes() or any(first <= code <= last for first, last in TYPST)
        if there and (chr(code) in "\n\t" or is_printable(chr(code))):
            self[code] = chr(code)
        else:
            self[code] = MISSING_SIGN
        return self[code]


_SIGNS = _Signs()


@lru_cache(maxsize=1)
def _codes() -> frozenset[int]:
    from fontTools.ttLib import TTFont

    with TTFont(LAYOUT / "fonts" / FONTS[400], lazy=True) as font:
        return frozenset({10, 9, *font.getBestCmap()})


def printable(text: str) -> str:
    """Replace each character that cannot be printed, such as an emoji, with a square.

    Such characters are invisible, or in none of the page's fonts.
    """
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_SIGNS)
