"""Make scheduled reports and publish them as PDFs.

The runner knows the name, notebook and parameters of each report, but no economics.
"""

import os
import sys
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Annotated, TextIO

from pydantic import AfterValidator, BaseModel, Field


class Exit(IntEnum):
    """Exit code of a run.

    A run that a signal ends has the code 128 plus the number of the signal.
    """

    OK = 0
    REFUSED = 2
    FAILED = 3
    LOCKED = 4
    PDF = 5
    NOTICE = 6
    DISK_FULL = 7


class ReportError(RuntimeError):
    """Failure of a report or release, or a conflict with another run.

    `code` is the exit code of the run.
    """

    def __init__(self, message: str, code: Exit = Exit.FAILED):
        super().__init__(message)
        self.code = code


QUIET = ("published", "unchanged", "draft")
"""Outcomes that are not news by themselves."""
NEWS = {
    "failures": ("failed", "What failed:"),
    "changed_words": ("changed", "Verdicts that changed since the previous release:"),
    "stale": ("stale", "Data that are stale:"),
}
"""Fields of an outcome that are news, with the label of each in the one-line summary and its heading in the letter."""


class Outcome(BaseModel):
    """Outcome of a run.

    All fields except `code`, `out` and `previous` are printed, sent and logged.
    """

    outcome: str  # published, unchanged, failed, refused, interrupted, or draft (named reports, no release yet)
    release: str = ""  # name of the release that was made or found unchanged
    draft: str = ""  # name of the draft, if one was made
    as_of: str = ""
    reports: dict[str, str] = {}  # one line per report, by name
    changed_words: list[str] = []
    stale: list[str] = []
    failures: list[str] = []
    notes: list[str] = []  # about a damaged release, what the panel can show, reports that wait for files
    at: Annotated[str, AfterValidator(lambda at: datetime.fromisoformat(at).astimezone(UTC).isoformat())] = ""
    code: Exit = Field(default=Exit.OK, exclude=True)
    out: Path = Field(default=Path(), exclude=True)  # the folder of releases
    previous: str = Field(default="", exclude=True)  # name of the release that was newest before the run

    @property
    def folder(self) -> Path:
        """Folder that contains the reports."""
        return self.out / (self.draft or self.release)

    @property
    def is_news(self) -> bool:
        """Whether the outcome is news: a failure, a changed verdict or stale data."""
        return self.outcome not in QUIET or any(getattr(self, part) for part in NEWS)

    @property
    def line(self) -> str:
        """Summarise the outcome in one line.

        >>> Outcome(outcome="failed", draft="draft", as_of="2026-11-26", failures=["05_growth: a cell failed"]).line
        'Reports failed, as of 2026-11-26, in draft; failed: 05_growth: a cell failed'
        """
        where = self.release or self.draft
        parts = [f"Reports {self.outcome}, as of {self.as_of}{f', in {where}' if where else ''}"]
        for part, (what, _) in NEWS.items():
            if news := [item.strip() for item in getattr(self, part)]:
                more = f", and {len(news) - 1} more" if len(news) > 1 else ""
                parts.append(f"{what}: {news[0].splitlines()[0][:300]}{more}")
        return _printable(" ".join("; ".join(parts).split()))

    @property
    def letter(self) -> str:
        """Message with the summary line, all news and one line per report."""
        parts = [self.line]
        for part, (_, heading) in NEWS.items():
            if news := getattr(self, part):
                parts.append("\n".join([heading, *(f"- {item}" for item in news)]))
        parts.append("\n".join(f"{name:28}  {state}" for name, state in self.reports.items()))
        return _printable("\n\n".join(filter(None, parts)) + "\n")

    def tell(self) -> None:
        """Print the outcome: failures to standard error, and the rest to standard output."""
        for failure in self.failures:
            say(failure, sys.stderr)
        for name, line in self.reports.items():
            say(f"{name:28}  {line}")
        for page in (self.folder / f"{name}.pdf" for name in (*self.reports, "annex")):
            if page.is_file():
                say(os.path.relpath(page))
        for note in self.notes:
            say(note)


def _printable(words: str) -> str:
    """Replace unprintable characters, such as terminal control codes."""
    whole = words.encode("utf-8", "replace").decode()
    return "".join(sign if sign.isprintable() or sign == "\n" else "\ufffd" for sign in whole)


def disk_full(error: object) -> bool:
    """Return whether an error means that the disk is full.

    The error may come from the system, pandoc, typst or a notebook cell.
    """
    return any(words in str(error) for words in ("No space left on device", "Disk quota exceeded"))


def say(line: str, stream: TextIO | None = None) -> None:
    """Print a line, ignoring errors such as a pipe closed by ``head``."""
    stream = stream or sys.stdout
    try:
        print(line, file=stream, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
