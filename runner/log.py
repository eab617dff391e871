"""Keep the log of runs: what each did, which releases there were, and who was told of what.

It is a file beside the releases, with a line for each run. A line with the id of an earlier one
takes its place.
"""

from __future__ import annotations

import errno
import json
import os
import uuid
from collections.abc import Container, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from runner import Outcome, disk_full, release
from runner.pdf import AUTHOR

LOG = "outcomes.jsonl"
ROOM = ".room"  # file whose space is given to the log when the disk is full
SPARE = 1 << 18  # bytes of it
PIECE = 1 << 13  # bytes given up for one line
PRIVATE = {"owners"}  # not in the log, which is published
KEPT = 400  # runs in the log, beside all releases: see `remaining`


def append(out: Path, outcome: Outcome) -> None:
    """Add an outcome to the log of an output folder.

    A full disk is made room on, so that the next run knows what this one told.

    Raises
    ------
    OSError
        If the log cannot be written, or is a link.
    """
    # in one write, after the partial line that a killed run may leave
    line = f"\n{outcome.model_dump_json(exclude=PRIVATE)}\n".encode()
    try:
        _write(out / LOG, line)
    except OSError as error:
        room = out / ROOM
        if not disk_full(error) or not room.is_file():
            raise
        os.truncate(room, max(0, room.stat().st_size - PIECE))
        _write(out / LOG, line)


def _write(file: Path, line: bytes) -> None:
    descriptor = os.open(
        file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644
    )
    try:
        if os.write(descriptor, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(descriptor)


def make_room(out: Path) -> None:
    """Keep some space for lines on a full disk, unless it is full already.

    The caller holds the lock.
    """
    room = out / ROOM
    if room.is_file() and room.stat().st_size == SPARE:
        return
    try:
        release.replace(room, " " * SPARE)
    except OSError as error:
        if not disk_full(error):
            raise


def rewrite(out: Path, runs: Iterable[Outcome]) -> None:
    """Replace the log by these runs. The caller holds the lock."""
    lines = (f"{run.model_dump_json(exclude=PRIVATE)}\n" for run in runs)
    release.replace(out / LOG, "".join(lines))


def logged(out: Path) -> list[Outcome]:
    """Return the outcomes in the log, oldest first, skipping unreadable lines.

    The id of a line without one, as earlier versions wrote it, is that which they gave to its entry
    in the feed.
    """
    outcomes = dict[str, Outcome]()
    if not (out / LOG).is_file():
        return []
    for line in (out / LOG).read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(ValidationError):
            outcome = Outcome.model_validate_json(line)
            outcome.id = outcome.id or urn(
                json.dumps({**json.loads(line), "line": ""}, sort_keys=True)
            )
            outcomes[outcome.id] = outcome
    return [outcome for outcome in outcomes.values() if outcome.at]


def urn(of: str) -> str:
    """Return an id for the feed that depends only on the text."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{AUTHOR}/{of}").urn


def remaining(runs: Sequence[Outcome]) -> list[Outcome]:
    """Return the runs that stay in the log, oldest first.

    They are all that published a release, and the last ones of the rest.

    With the hash of each release, a replaced one is told however old it is. Of other runs, the last
    `KEPT` stay, and of those before them the last `KEPT` that had something to tell, since later
    runs look up what was told before, and the last of which each way has taken everything.
    """
    before = runs[:-KEPT]
    last = runs[-KEPT:]
    telling = [run.id for run in before if not is_release(run) and is_entry(run)]
    taken = {way: run.id for run in runs for way, took in run.ways.items() if took}
    kept = {*telling[-KEPT:], *taken.values()}
    return [*(run for run in before if is_release(run) or run.id in kept), *last]


def is_release(run: Outcome) -> bool:
    """Return whether a run published a release."""
    return run.outcome == "published" or bool(run.manifest)


def is_entry(run: Outcome) -> bool:
    """Return whether a run is shown on the page and in the feed.

    An unchanged run is shown only if it has news.
    """
    return run.outcome != "unchanged" or bool(run.news)


def known(runs: Iterable[Outcome]) -> dict[str, str]:
    """Return the hash of each release's manifest by name, as first logged."""
    hashes = dict[str, str]()
    for run in runs:
        if run.manifest:
            hashes.setdefault(run.release, run.manifest)
    return hashes


def mark_pruned(out: Path, names: Container[str], day: str) -> None:
    """Record that releases were removed on purpose, on a day. The caller holds the lock."""
    runs = logged(out)
    if any(run.release in names for run in runs):
        marked = (
            run.model_copy(update={"pruned": day})
            if is_release(run) and run.release in names
            else run
            for run in runs
        )
        rewrite(out, marked)
