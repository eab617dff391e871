"""The runner, from the schedule to published PDFs. It knows reports by name, notebook and parameters; no economics."""

import os
import sys
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Annotated, TextIO

from pydantic import AfterValidator, BaseModel, Field


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


class Outcome(BaseModel):
    """What became of a run, as it is printed, sent and logged, but for `code`, `out` and `previous`."""

    outcome: str  # published; unchanged; failed; refused; interrupted; draft, of what was named where no release stands
    release: str = ""  # name of the release that it made or found unchanged
    draft: str = ""  # name of the draft that it made
    as_of: str = ""
    reports: dict[str, str] = {}  # a line by report
    changed_words: list[str] = []
    stale: list[str] = []
    failures: list[str] = []
    notes: list[str] = []  # on a damaged release, on what the panel can tell, on what waits
    at: Annotated[str, AfterValidator(lambda at: datetime.fromisoformat(at).astimezone(UTC).isoformat())] = ""
    code: Exit = Field(default=Exit.OK, exclude=True)
    out: Path = Field(default=Path(), exclude=True)  # the folder of releases
    previous: str = Field(default="", exclude=True)  # name of the release that stood before

    @property
    def folder(self) -> Path:
        """Where its reports lie."""
        return self.out / (self.draft or self.release)

    def tell(self) -> None:
        """Print failures to standard error, and a line a report, the paths of the PDFs and notes to standard output."""
        for failure in self.failures:
            say(failure, sys.stderr)
        for name, line in self.reports.items():
            say(f"{name:24}  {line}")
        for page in (self.folder / f"{name}.pdf" for name in (*self.reports, "annex")):
            if page.is_file():
                say(os.path.relpath(page))
        for note in self.notes:
            say(note)


def disk_full(error: object) -> bool:
    """Whether an error says that the disk is full: one of the system, or of pandoc, typst or a cell in its words."""
    return any(words in str(error) for words in ("No space left on device", "Disk quota exceeded"))


def say(line: str, stream: TextIO | None = None) -> None:
    """Print a line to standard output, or elsewhere; if nobody reads it any more, as with ``head``, work goes on."""
    stream = stream or sys.stdout
    try:
        print(line, file=stream, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
