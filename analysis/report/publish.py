"""Publication: all of it or nothing, one run at a time."""

import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.errors import DataError
from analysis.report.executed import Verdict
from analysis.report.fingerprint import sha256

_STAGE = ".run-"
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EXDEV}


class LockedError(RuntimeError):
    """Another run publishes into the same folder."""


@dataclass(frozen=True)
class Published:
    """What lies in the folder of one as-of date.

    Attributes
    ----------
    folder : Path
    entries : dict
        The manifest's entry of each report.
    verdicts : dict
        The verdicts of each report.
    panel : str
        Path of the panel that the run was on; empty for the schedule's own data.
    """

    folder: Path
    entries: dict[str, dict[str, Any]]
    verdicts: dict[str, list[Verdict]]
    panel: str = ""

    def holds(self, name: str, fingerprint: str) -> bool:
        """Whether the report stands there, made of just this and untouched since."""
        entry = self.entries.get(name)
        pdf = self.folder / f"{name}.pdf"
        return (
            entry is not None
            and entry["fingerprint"] == fingerprint
            and (self.folder / f"{name}.ipynb").is_file()
            and pdf.is_file()
            and sha256(pdf) == entry["pdf_sha256"]
        )


def read(folder: Path) -> Published:
    """Read what was published.

    A folder without a manifest, or with other verdicts than its manifest names, holds nothing.

    Raises
    ------
    DataError
        If the manifest is not one that a run wrote.
    """
    manifest, verdicts = folder / "manifest.json", folder / "verdicts.json"
    if not manifest.exists():
        return Published(folder, {}, {})
    try:
        content = json.loads(manifest.read_bytes())
        entries, panel = dict(content["reports"]), str(content.get("panel", ""))
        intact = verdicts.is_file() and sha256(verdicts) == content["verdicts_sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"Published reports: {manifest} cannot be read ({error}); delete it to make all of them again."
        ) from None
    if not intact:
        return Published(folder, {}, {})
    by_report: dict[str, list[Verdict]] = {name: [] for name in entries}
    for verdict in json.loads(verdicts.read_bytes()):
        by_report[verdict["report"]].append(verdict)
    return Published(folder, entries, by_report, panel)


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keep all other runs out of an output folder; the lock goes with the process.

    Raises
    ------
    LockedError
        If another run holds it.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise LockedError(
                f"Publishing into {out}: process {file.read().strip() or '(unknown)'} is doing so already; "
                "wait for it, or give another folder with --out."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def staging(out: Path) -> Iterator[Path]:
    """Make a temporary folder in the file system of `out`; needs the lock.

    It is gone afterwards, and so is what a killed run has left.
    """
    for stale in out.glob(f"{_STAGE}*"):
        shutil.rmtree(stale)
    stage = Path(tempfile.mkdtemp(prefix=_STAGE, dir=out))
    try:
        yield stage
    finally:
        shutil.rmtree(stage)


def move(moves: list[tuple[Path, Path]], stage: Path) -> None:
    """Move staged files to their targets, in order; if one fails, all are as before.

    Parameters
    ----------
    moves : list of (staged, target)
    stage : Path
        Where the old files are kept until all are moved: as links, which need no space, or as
        copies in a file system that has no hard links.
    """
    done: list[tuple[Path, Path]] = []
    try:
        for number, (staged, target) in enumerate(moves):
            old = stage / f"old-{number}"
            target.parent.mkdir(exist_ok=True)
            if target.exists():
                _keep(target, old)
            os.replace(staged, target)
            done.append((target, old))
    except BaseException:
        for target, old in reversed(done):
            if old.exists():
                os.replace(old, target)
            else:
                target.unlink()
        raise


def _keep(file: Path, old: Path) -> None:
    try:
        os.link(file, old)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copy2(file, old)


def point_latest(folder: Path, stage: Path) -> None:
    """Let ``latest`` beside a published folder point to it."""
    latest = folder.parent / "latest"
    if not latest.is_symlink() or os.readlink(latest) != folder.name:
        os.symlink(folder.name, stage / "latest")
        os.replace(stage / "latest", latest)


def write_json(file: Path, content: object) -> None:
    """Write JSON that is the same for the same content."""
    text = json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False)
    file.write_text(text + "\n", encoding="utf-8")
