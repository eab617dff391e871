"""The runner, from the schedule to published PDFs. It knows reports by name, notebook and parameters; no economics."""

import os
import sys
from enum import IntEnum
from typing import TextIO


class Exit(IntEnum):
    """Exit code of a run; a signal ends it with 128 + its number."""

    OK = 0
    REFUSED = 2
    FAILED = 3
    LOCKED = 4
    PDF = 5
    NOTICE = 6
    DISK_FULL = 7


class ReportError(RuntimeError):
    """A report failed, and the others go on; or another run is at work. The run ends with `code` because of it."""

    def __init__(self, message: str, code: Exit = Exit.FAILED):
        super().__init__(message)
        self.code = code


def disk_full(error: object) -> bool:
    """Whether an error says that the disk is full: one of the system, or of pandoc, typst or a cell in its words."""
    return any(said in str(error) for said in ("No space left on device", "Disk quota exceeded"))


def say(line: str, stream: TextIO | None = None) -> None:
    """Print a line to standard output, or elsewhere; if nobody reads it any more, as with ``head``, work goes on."""
    stream = stream or sys.stdout
    try:
        print(line, file=stream, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
