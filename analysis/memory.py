"""Say what a computation on a panel will take of memory, and what there is."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path

MEBIBYTE = 1 << 20
# of address space, most of which the libraries reserve: a check of an example needs 1,450 to 1,600
LEAST = 1800 * MEBIBYTE
MARKET = 330 * MEBIBYTE  # measured, of each preset with its other worlds
BOUNDED = 1300 * MEBIBYTE  # at most, of what looks at some rows, or adds up some firms at a time
_LIBRARIES = 400 * MEBIBYTE  # that are loaded
_OF_CELL = 220  # bytes: a check of 300,000 firms in 24 months took 1.9 GiB
UNLIMITED = 1 << 62


def limit() -> int:
    """Return the limit of this process's address space, in bytes."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        return UNLIMITED
    return soft


def is_limited() -> bool:
    """Return whether this process's address space has a limit."""
    return limit() < UNLIMITED


def available() -> int:
    """Return the bytes that this process can still get: of the machine, its group and its limit."""
    found = [limit() - _of_file("/proc/self/status", "VmSize:", 0)]
    found.append(_of_file("/proc/meminfo", "MemAvailable:", UNLIMITED))
    group = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):  # no such group, or no limit
        most = int((group / "memory.max").read_text(encoding="ascii"))
        found.append(most - int((group / "memory.current").read_text(encoding="ascii")))
    return max(0, min(found))


def of_cells(cells: int, most: int = UNLIMITED) -> int:
    """Return about how many bytes the work on so many cells takes, or at most so many.

    Raise MemoryError if the limit of address space is too low for it, since libraries would end
    the process without a word.
    """
    size = min(_OF_CELL * cells, most)
    if limit() < LEAST + size:
        raise MemoryError(LEAST + size)
    return _LIBRARIES + size


def _of_file(path: str, key: str, otherwise: int) -> int:
    """Return the bytes that a line of a file of the kernel states in kibibytes."""
    with suppress(OSError):
        for line in Path(path).read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(key):
                return int(line.split()[1]) << 10
    return otherwise


def in_words(size: int) -> str:
    """Format a number of bytes.

    >>> in_words(3 << 29)
    '1.5 GiB'
    """
    return f"{size / (1 << 30):,.1f} GiB"


def is_lack(error: BaseException) -> bool:
    """Return whether an error means that memory is wanting, as loaders and threads say it.

    >>> is_lack(ImportError("libx.so: failed to map segment from shared object"))
    True
    """
    words = ("Cannot allocate memory", "failed to map segment", "can't start new thread")
    return isinstance(error, MemoryError) or any(each in str(error) for each in words)


def needed(error: BaseException) -> int:
    """Return the bytes of address space that an error of `of_cells` asks for, or else the least."""
    return next((size for size in error.args if isinstance(size, int) and size > LEAST), LEAST)


def lacking(needed: int = LEAST) -> str:
    """Say that there is too little memory, what there is, and what to do."""
    if is_limited():
        there = f"the limit of address space is {in_words(limit())} (`ulimit -v`)"
    else:
        there = f"{in_words(available())} can be had"
    do = f"allow {in_words(needed)} or more"
    do += ", or keep fewer firms of a panel with `market-impact panel --sample N`"
    return f"Cannot go on for want of memory: {there}; {do}."
