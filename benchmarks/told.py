"""Spoil what is on record of releases, and let news be lost on its way.

Each function spoils the folder of releases and is given the names of the last two. `TOLD` has what
each should be told with; `benchmarks/faults.py` counts how often, and `UNPROVEN` what `verify` says
of others.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from runner import release

LOG = "outcomes.jsonl"
HOURS = 401  # runs after which a log of the last 400 has forgotten a release
Spoil = Callable[[Path, str, str], object]


def lines(out: Path) -> list[dict[str, Any]]:
    """Return the lines of the log."""
    texts = (out / LOG).read_text(encoding="utf-8").splitlines()
    return [json.loads(text) for text in texts if text.strip()]


def write_lines(out: Path, outcomes: list[dict[str, Any]]) -> None:
    """Replace the log."""
    text = "".join(f"{json.dumps(outcome)}\n" for outcome in outcomes)
    (out / LOG).write_text(text, encoding="utf-8")


def rewrite(folder: Path, **changed: str) -> None:
    """Write a manifest that fits the files of its folder, with other values."""
    file = folder / release.MANIFEST
    manifest = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**manifest, **changed, "files": release.file_hashes(folder)}))


def forge(folder: Path) -> None:
    """Replace a report, and its hash in the manifest."""
    (folder / "01_first.pdf").write_text("forged")
    rewrite(folder)


def wait_out(out: Path, *_: str) -> None:
    """Add the lines of runs without news, one for each hour until now."""
    now = datetime.now(UTC)
    hours = [(now - timedelta(hours=hour)).isoformat() for hour in range(HOURS, 0, -1)]
    idle = [{"outcome": "unchanged", "at": hour, "id": f"idle {hour}"} for hour in hours]
    write_lines(out, [*lines(out), *idle])


def swap(out: Path, older: str, newest: str) -> None:
    """Swap two releases, each with the name of its new folder."""
    os.rename(out / older, out / "aside")
    os.rename(out / newest, out / older)
    os.rename(out / "aside", out / newest)
    for name in (older, newest):
        rewrite(out / name, release=name)


def roll_back(out: Path, older: str, newest: str) -> None:
    """Put the older release in the place of the newest."""
    shutil.rmtree(out / newest)
    shutil.copytree(out / older, out / newest)
    rewrite(out / newest, release=newest)


OTHER_HASH = "its hash is not the one in outcomes.jsonl"
TOLD: dict[str, tuple[Spoil, str]] = {
    "older release forged": (lambda out, older, _: forge(out / older), OTHER_HASH),
    "file added to an older release": (
        lambda out, older, _: (out / older / "note.txt").touch(),
        "note.txt: extra",
    ),
    "file missing in an older release": (
        lambda out, older, _: (out / older / "01_first.pdf").unlink(),
        "01_first.pdf: missing",
    ),
    "older release removed": (
        lambda out, older, _: shutil.rmtree(out / older),
        "has this release, and the folder has not",
    ),
    "newest release removed": (
        lambda out, _, newest: shutil.rmtree(out / newest),
        "has this release, and the folder has not",
    ),
    # of the newest, whose sentence ends so; the letter on it repeats what is wrong with the older
    "two releases swapped": (swap, "another day than the name of its folder."),
    "newest release rolled back": (roll_back, "another day than the name of its folder"),
}
"""What each should be told with, once."""


def forge_unlogged(out: Path, _: str, newest: str) -> None:
    """Forge a release, and take its line out of the log."""
    forge(out / newest)
    write_lines(out, [line for line in lines(out) if line["release"] != newest])


def sign_with_noise(out: Path, _: str, newest: str) -> None:
    """Put a file that is no signature beside a manifest."""
    (out / newest / f"{release.MANIFEST}.sig").write_text("noise")


UNPROVEN: dict[str, tuple[Spoil, str]] = {
    "forged with its line gone": (forge_unlogged, "not as published"),
    "forged after 401 hours": (lambda out, _, newest: forge(out / newest), OTHER_HASH),
    "two releases swapped": (swap, "not as published"),
    "empty folder added": (
        lambda out, _, newest: (out / newest / "empty").mkdir(),
        "not as published",
    ),
    "a signature that is none": (sign_with_noise, f"{release.MANIFEST}.sig"),
    "release before it removed": (
        lambda out, older, _: shutil.rmtree(out / older),
        "is not here, and nothing says why",
    ),
}
"""What `verify` should say of each."""


@contextmanager
def answering(port: int) -> Iterator[list[dict[str, Any]]]:
    """Serve as a webhook, and lend the list of what it is sent."""
    seen = list[dict[str, Any]]()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", port), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield seen
        finally:
            server.shutdown()
