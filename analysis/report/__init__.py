"""The runner, from the schedule to published PDFs. It knows reports by name, notebook and parameters; no economics."""

import errno
from enum import IntEnum


class Exit(IntEnum):
    """Exit code of a run; a signal ends it with 128 + its number."""

    OK = 0
    REFUSED = 2
    FAILED = 3
    LOCKED = 4
    PDF = 5
    DISK_FULL = 7


class ReportError(RuntimeError):
    """One report failed, and the run ends with `code` because of it; the other reports go on."""

    def __init__(self, message: str, code: Exit = Exit.FAILED):
        super().__init__(message)
        self.code = code


def disk_full(error: BaseException | None) -> bool:
    """Whether an error, or one that led to it, says that the disk is full."""
    while error is not None:
        if getattr(error, "errno", None) == errno.ENOSPC or "No space left on device" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
