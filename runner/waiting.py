"""Tell whoever waits how far a command is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic

from runner import say

EVERY = 10.0  # seconds between two lines


class Count:
    """How many steps of a command are done, and which one is at work."""

    def __init__(self, what: str, total: int):
        self.what = what
        self.total = total
        self.done = -1
        self.step = ""

    def begin(self, step: str, total: int = 0) -> None:
        """Note that the next step begins; `total` replaces the number of steps."""
        self.done += 1
        self.step = step
        self.total = total or self.total

    def line(self, seconds: float) -> str:
        """Say how far the command is.

        >>> count = Count("check", 3)
        >>> count.begin("reading")
        >>> count.line(20)
        'check: 0 of 3 done after 20 s; now: reading'
        """
        return (
            f"{self.what}: {max(0, self.done)} of {self.total} done after {seconds:.0f} s;"
            f" now: {self.step}"
        )


@contextmanager
def counted(what: str, total: int) -> Iterator[Count]:
    """Print how far a command is, every ten seconds while it lasts, to standard error."""
    count = Count(what, total)
    over = Event()
    since = monotonic()

    def tell() -> None:
        while not over.wait(EVERY):
            say(count.line(monotonic() - since), sys.stderr)

    teller = Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield count
    finally:
        over.set()
        teller.join()
