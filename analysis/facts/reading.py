"""From the bytes of a file to rows of text, or the reasons why not."""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass, field
from typing import Any

BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Problem:
    """One reason to refuse a file.

    Attributes
    ----------
    where : str
        File, and row (line number in the file) and column where there is one.
    asked, found, do : str
        What the descriptor asks for, what was found, what to do.
    """

    where: str
    asked: str
    found: str
    do: str

    def __str__(self) -> str:
        return f"{self.where}: expected {self.asked}; found {self.found}; {self.do}."


@dataclass(frozen=True)
class Text:
    """Rows of a file as text.

    Attributes
    ----------
    header : list of str
    rows : list of list of str
        Every row as long as the header.
    lines : list of int
        Line of the file on which each row begins; the header is line 1.
    problems : list of Problem
        Why the rows are not to be used, where there is a reason.
    """

    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def changed(content: bytes, entry: dict[str, Any], file: str) -> list[Problem]:
    """Compare size and hash with the descriptor."""
    found = f"{len(content)} bytes, sha256:{hashlib.sha256(content).hexdigest()}"
    asked = f"{entry['bytes']} bytes, {entry['hash']}"
    if found == asked:
        return []
    command = f"python -m analysis check --accept {file}"
    return [Problem(file, asked, found, f"restore it from git, or if the change is meant, run: {command}")]


def read(content: bytes, entry: dict[str, Any], file: str) -> Text:
    """Decode a file and split it into rows; check its header against the schema."""
    wrong = _encoding(content, entry["encoding"], file)
    if wrong:
        return Text(problems=[wrong])
    stream = io.StringIO(content.decode(entry["encoding"]), newline="")
    header, rows, lines = _split(stream)
    problems = _header(header, [column["name"] for column in entry["schema"]["fields"]], file)
    problems += [
        Problem(f"{file}, row {line}", f"{len(header)} cells", f"{len(row)}", "quote cells that hold a comma")
        for row, line in zip(rows, lines, strict=True)
        if len(row) != len(header)
    ]
    return Text(header, rows, lines, problems)


def _encoding(content: bytes, encoding: str, file: str) -> Problem | None:
    if not content.strip():
        return Problem(file, "a header and rows", "an empty file", "restore it from git")
    if content.startswith(BOM):
        return Problem(file, f"{encoding} text", "a byte order mark", "save it as UTF-8 without BOM")
    try:
        content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"the byte 0x{content[error.start]:02x}, which is no {encoding} there"
        return Problem(f"{file}, row {line}", f"{encoding} text", found, f"save it as {encoding.upper()}")
    return None


def _split(stream: io.StringIO) -> tuple[list[str], list[list[str]], list[int]]:
    reader = csv.reader(stream)
    header = next(reader)
    rows, lines, line = [], [], reader.line_num + 1
    for row in reader:
        rows.append(row)
        lines.append(line)
        line = reader.line_num + 1
    return header, rows, lines


def _header(header: list[str], declared: list[str], file: str) -> list[Problem]:
    where = f"{file}, row 1"
    asked = f"the columns {', '.join(declared)}"
    extra = [column for column in header if column not in declared]
    missing = [column for column in declared if column not in header]
    problems = [
        Problem(where, asked, f"the unknown column {column!r}", "remove it, or declare it in datapackage.json")
        for column in extra
    ]
    problems += [
        Problem(where, asked, f"no column {column!r}", "restore it, or take it out of datapackage.json")
        for column in missing
    ]
    if not problems and header != declared:
        found = f"the order {', '.join(header)}"
        problems.append(Problem(where, asked, found, "put the columns back in the declared order"))
    return problems
