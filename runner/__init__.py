"""Make scheduled reports and publish them as PDFs.

The runner knows the name, notebook and parameters of each report, but no economics.
"""

import os
import re
import sys
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Annotated, TextIO

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field


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
    MEMORY = 8


class ReportError(RuntimeError):
    """Failure of a report or release, or a conflict with another run.

    `code` is the exit code of the run, and `reason` the message in one line.
    """

    def __init__(self, message: str, code: Exit = Exit.FAILED):
        super().__init__(message)
        self.reason = reason(message)
        self.code = code


class SentenceError(ValueError):
    """A sentence that cannot be said, or a caption without its exhibit."""


# fields of an outcome that tell news, with the label of each in the one-line summary and its
# heading in the letter
NEWS = {
    "failures": ("failed", "What failed:"),
    "changed_words": ("changed", "Verdicts that changed since the previous release:"),
    "stale": ("stale", "Data that are stale:"),
    "waits": ("waiting", "What reports wait for:"),
    "mended": ("over", "What was told before, and is over:"),
    "standing": ("still failed", "What failed before, and was not tried again:"),
}
REMINDER = "reminder"
ONCE = "once"
ASIDE = {"at", "id", "pruned", "ways"}  # fields of an outcome for the log alone
PATHS = re.compile(
    r"(?<![\w.:/<])/(?:[^/\s'\"]+/)+"
)  # folders of this machine, in messages about failures


class Said(BaseModel):
    """What a run has to say of a report, or of the whole run if `about` is empty.

    What has the same `key`, if any, is the same thing.
    """

    about: str = ""
    said: str
    key: str = ""
    # what stands is told again when this changes; daily if it is empty
    again: str = ""
    late: str = ""  # date of the run that found it, if that could not tell it

    @property
    def in_full(self) -> str:
        """What is said and, if it comes late, of which date it is."""
        return f"{self.said}{f' (late: of {self.late})' * bool(self.late)}"


class State(BaseModel):
    """What a run did with a report."""

    # published, made (in a draft), unchanged, not due, failed, refused, not run, or to make (dry)
    state: str
    as_of: str = ""  # date of the report that stands, if it is another than that of the run
    seconds: float | None = None
    why: str = ""

    @property
    def line(self) -> str:
        """The state in words."""
        if self.seconds is not None:
            return f"{self.state}  {self.seconds:5.1f} s  {self.why}"
        stands = ""
        if self.as_of:
            stands = f"  {'stands ' * (self.state == 'failed')}as of {self.as_of}"
        return f"{self.state}{stands}{': ' * bool(self.why)}{self.why}"


def _or_text(field: str) -> BeforeValidator:  # as in the log of an earlier version
    return BeforeValidator(lambda given: {field: given} if isinstance(given, str) else given)


News = list[Annotated[Said, _or_text("said")]]


class Outcome(BaseModel):
    """Outcome of a run.

    All fields except those in `ASIDE`, `code`, `out` and `previous` are printed and sent;
    `standing`, `mended` and `news` follow from the log: see `runner.remembered`.
    """

    # published, unchanged, failed, refused, interrupted, planned (dry), or draft (named, no release
    # yet)
    outcome: str
    release: str = ""  # name of the release that was made or found unchanged
    manifest: str = ""  # hash of its manifest, if this run published it
    draft: str = ""  # name of the draft, if one was made
    as_of: str = ""
    reports: dict[str, Annotated[State, _or_text("state")]] = {}
    changed_words: News = []
    stale: News = []
    failures: News = []
    waits: News = []  # reports that are due and wait for files
    notes: News = []  # what the panel can show
    standing: News = []  # failures of earlier runs that this one did not try again
    mended: News = []  # what was told before and is over
    news: str = ""  # "news", "reminder" of failures told before, or nothing
    owners: list[str] = []  # addresses of those whose reports are in the news
    at: Annotated[
        str,
        AfterValidator(lambda at: at and datetime.fromisoformat(at).astimezone(UTC).isoformat()),
    ] = ""
    id: str = ""  # of its entry in the feed
    pruned: str = ""  # day on which its release was removed on purpose
    # whether each way to a recipient has taken all that there was to tell: see `runner.remembered`
    ways: dict[str, bool] = {}
    code: Exit = Field(default=Exit.OK, exclude=True)
    out: Path = Field(default=Path(), exclude=True)  # the folder of releases
    previous: str = Field(
        default="", exclude=True
    )  # name of the release that was newest before the run

    @property
    def folder(self) -> Path:
        """Folder that contains the reports."""
        return self.out / (self.draft or self.release)

    @property
    def troubles(self) -> list[Said]:
        """All that is wrong after the run, each with its reason in one line."""
        return [*map(shortened, self.failures), *self.standing]

    @property
    def conditions(self) -> list[Said]:
        """All that stands after the run, and so has a beginning and an end."""
        return [*self.troubles, *self.stale, *self.waits]

    @property
    def line(self) -> str:
        """Summarise the outcome in one line.

        >>> failed = ["05_growth: a cell failed"]
        >>> Outcome(outcome="failed", draft="draft", as_of="2026-11-26", failures=failed).line
        'Reports failed, as of 2026-11-26, in draft; failed: 05_growth: a cell failed'
        """
        where = self.release or self.draft
        what = "Reports"
        if self.news == REMINDER:
            what = "Reminder: reports"
        parts = [f"{what} {self.outcome}, as of {self.as_of}{f', in {where}' if where else ''}"]
        for part, (what, _) in NEWS.items():
            if news := getattr(self, part):
                parts.append(f"{what}: {reason(news[0].in_full)[:400]}")
                if len(news) > 1:
                    parts[-1] += f", and {len(news) - 1} more"
        return _printable(" ".join("; ".join(parts).split()))

    @property
    def letter(self) -> str:
        """Message with the summary line, all news, notes, one line per report and the head."""
        parts = [self.line]
        for part, (_, heading) in NEWS.items():
            if news := getattr(self, part):
                parts.append("\n".join([heading, *(f"- {item.in_full}" for item in news)]))
        parts += ["\n".join(note.in_full for note in self.notes), "\n".join(self.lines)]
        if self.manifest:
            parts.append(f"Release {self.release}: sha256 of its manifest {self.manifest}")
        return _printable("\n\n".join(filter(None, parts)) + "\n")

    @property
    def lines(self) -> list[str]:
        """One line per report."""
        return [f"{name:34}  {state.line}" for name, state in self.reports.items()]

    def tell(self) -> None:
        """Print the outcome: failures to standard error, and the rest to standard output."""
        for failure in self.failures:
            say(failure.said, sys.stderr)
        pages = (self.folder / f"{name}.pdf" for name in (*self.reports, "annex"))
        paths = [os.path.relpath(page) for page in pages if page.is_file()]
        for line in (*self.lines, *paths, *(each.said for each in (*self.waits, *self.notes))):
            say(line)


def reason(failure: str) -> str:
    r"""Shorten a failure to one line.

    The result is the first line of the failure or, if that ends with a colon, its first two.

    Folders of this machine and most of a hash are left out.

    >>> text = "05: Cannot load a: found 2 problems:\n  /data/a.csv: correct it\n  b.csv: too"
    >>> reason(text)
    '05: Cannot load a: found 2 problems: a.csv: correct it'
    """
    lines = [line.strip() for line in failure.strip().splitlines()] or [""]
    shown = PATHS.sub("", " ".join(lines[: 1 + lines[0].endswith(":")]))
    return re.sub("([0-9a-f]{12})[0-9a-f]{20,}", r"\1...", shown)


def shortened(said: Said) -> Said:
    """Shorten what is said to one line."""
    return said.model_copy(update={"said": reason(said.said)})


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
    """Print a line, ignoring errors such as a pipe closed by ``head``.

    Bytes of a file's name that are not UTF-8 are spelled out.
    """
    stream = stream or sys.stdout
    try:
        # One write a line: `print` makes two, and lines of reports that run side by side would mix.
        stream.write(line.encode("utf-8", "backslashreplace").decode() + "\n")
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
