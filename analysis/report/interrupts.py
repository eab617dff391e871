"""Signals end a run in order, and never in the middle of publishing."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Interrupts:
    """While entered, a signal raises `SystemExit` (128 + its number) in the main thread.

    The first one counts: those that follow are ignored, so that cleaning up is not cut short.
    One that was ignored already, as under ``nohup``, stays ignored.
    """

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self._held = False
        self._pending: int | None = None

    def __enter__(self) -> "Interrupts":
        heeded = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._stop) for number in heeded}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let a signal wait until the block has ended."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._pending is not None:
            raise SystemExit(128 + self._pending)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        if self._held:
            self._pending = number
        else:
            raise SystemExit(128 + number)
