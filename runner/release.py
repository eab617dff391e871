"""Manage the folder of results: complete releases, a draft, and a link to the latest of them.

Releases never change.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from fewtreated.errors import DataError, DesignError
from pydantic import AfterValidator, BaseModel, Field, TypeAdapter

from analysis.untrusted import admit
from runner import Exit, ReportError, Said, disk_full
from runner.publish import Verdict, sha256
from runner.schedule import number

LATEST = "latest"
DRAFT = "draft"
STAGE = ".run-"
MANIFEST = "manifest.json"
SIGNATURE = f"{MANIFEST}.sig"
VERDICTS = "verdicts.json"
MADE_AGAIN = (
    "All reports are made again. This release stays as it is: restore it from a copy, and see by"
    " `market-impact verify` that it fits."
)
DATA = "data.zip"
# bytes read of one file, and of all data once unpacked; bytes of one file of JSON
MOST = 1 << 28
JSON = 1 << 22
_NAME = re.compile(r"(\d{4}-\d\d-\d\d)(?:\.([1-9]\d*))?")


def _whole(inputs: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    if lacks := {"data", "code", "layout", "words", "versions"} - inputs.keys():
        raise ValueError(f"the inputs lack {', '.join(sorted(lacks))}")
    return inputs


def _in_order(reports: dict[str, Any]) -> dict[str, Any]:
    """Sort reports by number, the brief last and simulated ones after others.

    This is needed as JSON keeps no order of ours.
    """
    return dict(
        sorted(
            reports.items(), key=lambda item: (number(item[0]) == "00", number(item[0]), item[0])
        )
    )


class Entry(BaseModel):
    """Manifest entry for one report."""

    notebook: Annotated[str, Field(pattern=r"^([\w-]+/)?[\w-]+\.ipynb$")]  # in notebooks/
    notebook_sha256: str  # of its cells: see `publish.digest`
    parameters: Annotated[
        dict[str, Any], AfterValidator(lambda of: date.fromisoformat(str(of.get("as_of"))) and of)
    ]
    market: str
    files: dict[str, str]  # its own input files, such as a panel: hash by name
    fingerprint: str  # of all its inputs except the as-of date
    commit: str | None
    seconds: float
    finished: Annotated[str, AfterValidator(lambda at: datetime.fromisoformat(at) and at)]
    made: list[str]  # its files in the release
    stale: str = ""  # why it was not made again in its turn, if it was not
    formerly: list[str] = []  # names that it had in earlier releases

    @property
    def as_of(self) -> str:
        """As-of date of the report."""
        return str(self.parameters["as_of"])


class Manifest(BaseModel):
    """Contents of ``manifest.json`` in a release or draft."""

    release: str  # name of its folder
    as_of: str
    previous: str  # name of the previous release; empty for the first
    previous_sha256: str = ""  # hash of its manifest
    panel: str  # digest of the path of the panel, empty if there is none
    panel_is: str  # description of the panel
    commit: str | None
    inputs: Annotated[dict[str, dict[str, str]], AfterValidator(_whole)]  # see `publish.inputs`
    files: dict[str, str]  # all its files except this one: hash by path
    reports: Annotated[dict[str, Entry], AfterValidator(_in_order)]
    made: list[str] = []  # reports that its run made
    failed: list[str] = []  # and those that it could not make
    uncommitted: list[
        str
    ] = []  # parameters and data that differ from the last commit: see `runner.committed`
    corrections: dict[
        str, int
    ] = {}  # by correction: how many releases have told it, this one included
    corrected: list[str] = []  # the corrections that it tells, in sentences


@dataclass(frozen=True)
class Release:
    """A release or draft: a folder with its manifest."""

    folder: Path
    manifest: Manifest
    digest: str = ""  # hash of the manifest; empty while the release is in the making

    def verdicts(self) -> dict[str, list[Verdict]]:
        """Return the verdicts by report.

        Raises
        ------
        ReportError
            If the file contains anything else.
        """
        try:
            rows = TypeAdapter(list[Verdict]).validate_json(self.read(VERDICTS, JSON))
            json.dumps(rows, allow_nan=False)
        except ValueError:
            raise ReportError(
                f"{self.folder}: {VERDICTS} is not a list of verdicts; make a new release."
            ) from None
        reports = dict.fromkeys([*self.manifest.reports, *(str(row.get("report")) for row in rows)])
        return {name: [row for row in rows if str(row.get("report")) == name] for name in reports}

    def read(self, name: str, most: int = MOST) -> bytes:
        """Read a file in the release, of at most so many bytes.

        Raises
        ------
        ReportError
            If it cannot be read or does not match the manifest; a release in the making has no
            hashes to match yet.
        """
        remedy = "run `market-impact verify` for details."
        try:
            admit(self.folder / name, most)
            content = (self.folder / name).read_bytes()
        except (OSError, DataError) as error:
            raise ReportError(f"{self.folder}: {name} cannot be read ({error}); {remedy}") from None
        if self.manifest.files.get(name, digest := hashlib.sha256(content).hexdigest()) != digest:
            raise ReportError(f"{self.folder}: {name} does not match the manifest; {remedy}")
        return content

    @cached_property
    def data(self) -> dict[str, bytes]:
        """The data that the reports were made from, unpacked, by file.

        Raise `ReportError` if that is impossible.
        """
        content = io.BytesIO(self.read(DATA))
        try:
            with zipfile.ZipFile(content) as archive:
                if (size := sum(info.file_size for info in archive.infolist())) > MOST:
                    raise ValueError(f"{size:,} bytes, of which {MOST:,} are allowed")
                return {name: archive.read(name) for name in archive.namelist()}
        except Exception as error:  # zipfile raises a dozen kinds
            raise ReportError(
                f"{self.folder}: {DATA} cannot be unpacked ({error}); make a new release."
            ) from None

    def faults(self) -> list[str]:
        """Describe each file that does not match the manifest.

        Files that the manifest does not list are ignored.
        """
        made = (
            f"{report}{kind}" for report in self.manifest.reports for kind in (".pdf", ".ipynb")
        )
        files = [
            VERDICTS,
            DATA,
            *made,
            *chain(*(entry.made for entry in self.manifest.reports.values())),
        ]
        hashes = {**dict.fromkeys(files, ""), **self.manifest.files}
        return [f"{name}: {how}" for name, was in hashes.items() if (how := self._fault(name, was))]

    def strangers(self) -> list[str]:
        """Describe what is in the folder and not in the manifest.

        A signature of the manifest is left out, since no manifest can list it.
        """
        listed = {MANIFEST, SIGNATURE, *self.manifest.files}
        extra = list[str]()
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            if path.is_dir() and not path.is_symlink():
                if not any(path.iterdir()):
                    extra.append(f"{name}: extra, an empty folder")
            elif name not in listed:
                extra.append(f"{name}: extra, not listed in the manifest")
        return extra

    def _fault(self, name: str, was: str) -> str:
        path = self.folder / name
        if not was or ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute():
            if was:
                return "the manifest lists a path outside the release"
            return "the manifest has no hash for it"
        if path.is_symlink() or not path.is_file():
            if path.is_symlink():
                return "a link instead of a file"
            return "missing"
        if (now := sha256(path)) == was:
            return ""
        return (
            f"{'damaged' if path.stat().st_size else 'empty'}; its sha256 is {now}, in the manifest"
            f" {was}"
        )


# Existing releases


def read(folder: Path) -> Release:
    """Read the manifest of a release or draft.

    Raises
    ------
    ReportError
        If there is no valid manifest, or it belongs to another folder.
    """
    try:
        admit(folder / MANIFEST, JSON)
        content = (folder / MANIFEST).read_bytes()
        manifest = Manifest.model_validate_json(content)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError):
            why = error.strerror
        else:
            why = str(error).splitlines()[0]
        raise ReportError(
            f"{folder} is not a release: its {MANIFEST} cannot be read ({why})."
        ) from None
    if manifest.release != folder.name:
        raise ReportError(
            f"{folder} is not a release: its {MANIFEST} belongs to {manifest.release!r}."
        )
    return Release(folder, manifest, hashlib.sha256(content).hexdigest())


def order(name: str) -> tuple[str, int] | None:
    """Return the date and number in a release name for sorting, or None for any other name."""
    if match := _NAME.fullmatch(name):
        return (match[1], int(match[2] or 1))
    return None


def names(out: Path, as_of: str = "9999") -> list[str]:
    """Return the names of an output folder's releases up to a date, oldest first.

    Empty folders are left out.
    """
    files = out.iterdir() if out.is_dir() else ()
    there = [
        file.name
        for file in files
        if file.is_dir() and not file.is_symlink() and any(file.iterdir())
    ]
    dated = sorted((when, name) for name in there if (when := order(name)))
    return [name for when, name in dated if when[0] <= as_of]


def standing(out: Path, as_of: str, known: Mapping[str, str]) -> tuple[Release | None, str]:
    """Return the newest release up to a date, or the reason it cannot be used.

    `known` contains hashes of manifests by release, from the log of the runs. The reason is an
    empty string if there is nothing wrong. If the files of the release are damaged, the release is
    None and the reason is a sentence. If there is no release, it is None and the reason is an empty
    string.
    """
    if not (there := names(out, as_of)):
        return None, ""
    try:
        newest = read(out / there[-1])
    except ReportError as error:
        return None, f"{error} {MADE_AGAIN}"
    wrong = ""
    faults = [fault.partition(";")[0] for fault in newest.faults()]
    if newest.digest != known.get(there[-1], newest.digest):
        wrong = f"{MANIFEST} is not the one that its run logged"
    elif faults:
        wrong = f"its files do not match: {', '.join(faults[:3])}"
        if len(faults) > 3:
            wrong += f", and {len(faults) - 3} more"
    if wrong:
        return None, f"{newest.folder}: {wrong}. {MADE_AGAIN}"
    return newest, ""


def after(out: Path, today: str) -> list[Said]:
    """Describe the releases dated after today."""
    why = f"this release is dated after today, {today}, so runs ignore it"
    do = "set the clock if it is wrong, or else move the release elsewhere"
    return [
        Said(said=f"{out / name}: {why}; {do}.", key=name)
        for name in names(out)
        if name not in names(out, today)
    ]


def _newest(out: Path, there: list[str]) -> Manifest | None:
    """Return the newest readable manifest of these releases, which are sorted, the oldest first."""
    for name in reversed(there):
        with suppress(ReportError):
            return read(out / name).manifest
    return None


def panel(out: Path) -> str | None:
    """Return the digest of the panel's path in the newest readable manifest.

    Return None if there is no manifest.
    """
    newest = _newest(out, [DRAFT, *names(out)])
    if newest:
        return newest.panel
    return None


def corrections(out: Path, as_of: str) -> dict[str, int]:
    """Return how many releases have told each correction.

    The numbers are from the newest readable manifest up to a date.
    """
    newest = _newest(out, names(out, as_of))
    if newest:
        return newest.corrections
    return {}


# Before and after a run


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Lock an output folder against other runs, creating it if necessary.

    The lock ends with the process.

    Raises
    ------
    ReportError
        If another run has locked it.
    DesignError
        If it cannot be written, or a name that a run needs is taken by something else.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(
            out / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644
        )
    except OSError as error:
        if disk_full(error):
            raise
        why = f"{error.filename} cannot be written ({error.strerror})"
        raise DesignError(
            f"Cannot publish to {out}: {why}; choose another folder with --out DIR."
        ) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "(unknown)"
            why = (
                f"process {holder} is already doing so; wait for it, or choose another folder with"
                " --out DIR"
            )
            raise ReportError(f"Cannot publish to {out}: {why}.", Exit.LOCKED) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        refuse_others(out)
        yield
    finally:
        os.close(descriptor)


def refuse_others(out: Path) -> None:
    """Raise `DesignError` if something else has the name of the link or the draft."""
    latest = out / LATEST
    draft = out / DRAFT
    if os.path.lexists(latest) and not latest.is_symlink():
        raise DesignError(
            f"Cannot create the link {latest}: a file or folder has that name; move it elsewhere."
        )
    ours = (
        not draft.is_symlink()
        and draft.is_dir()
        and ((draft / MANIFEST).is_file() or not any(draft.iterdir()))
    )
    if os.path.lexists(draft) and not ours:
        raise DesignError(
            f"Cannot replace {draft}: it is not a draft made by a run; move it elsewhere."
        )


@contextmanager
def staging(out: Path, prefix: str = STAGE) -> Iterator[Path]:
    """Create a temporary folder in `out`, after removing those left by killed runs.

    The caller holds the lock. What belongs to another user stays.
    """
    for left in out.glob(f"{prefix}*"):
        if os.getuid() in (0, left.lstat().st_uid):
            remove(left)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=out, ignore_cleanup_errors=True) as stage:
        yield Path(stage)


def sockets(out: Path) -> AbstractContextManager[Path]:
    """Create a temporary folder with a short path for kernel sockets, as :func:`staging` does.

    The path of a socket has at most about a hundred bytes, so it is not in the output folder.
    Nobody can guess its name and take it first, but a part of it says to which output folder it
    belongs.
    """
    digest = hashlib.sha256(os.fsencode(out.resolve())).hexdigest()[:12]
    return staging(Path(tempfile.gettempdir()), f"analysis-{digest}-")


def remove(path: Path) -> None:
    """Remove a file, a link (but not its target) or a folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


# Publishing


def pack(folder: Path, names: Iterable[str], file: Path) -> None:
    """Write files from a folder to a zip file that depends only on their names and content."""
    with zipfile.ZipFile(file, "w") as archive:
        for name in sorted(names):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            info.create_system = 3
            archive.writestr(info, (folder / name).read_bytes(), zipfile.ZIP_DEFLATED, 6)


def file_hashes(folder: Path) -> dict[str, str]:
    """Hash all files in a folder except the manifest, by path."""
    files = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    return {name: sha256(folder / name) for name in files if name != MANIFEST}


def next_name(out: Path, as_of: str, given: Iterable[str] = ()) -> str:
    """Return the name for the next release on a given date.

    A name used by anything else counts as taken, and so do those `given` to earlier releases,
    whether they are still there or not.
    """
    names = {*given, *(file.name for file in out.iterdir())}
    there = [when[1] for name in names if (when := order(name)) and when[0] == as_of]
    if there:
        return f"{as_of}.{max(there) + 1}"
    return as_of


def put(new: Path, target: Path, stage: Path) -> None:
    """Flush a finished folder to disk, and rename it into place.

    An old draft is moved out of the way.
    """
    for path in (*new.rglob("*"), new):
        reach_disk(path)
    if target.name == DRAFT and target.exists():
        os.rename(target, stage / "before")
    os.rename(new, target)
    reach_disk(target.parent)


def point(out: Path, name: str, stage: Path, today: str) -> None:
    """Point `latest` at a release or draft, unless it already points at a later release.

    A draft comes before any release. The later release must exist and not be dated after today.
    The link is replaced in one step.
    """
    link = out / LATEST
    shown = ""
    if link.is_symlink():
        shown = os.readlink(link)
    if shown != name and (
        shown not in names(out, today) or (order(shown) or ("", 0)) < (order(name) or ("", 0))
    ):
        os.symlink(name, stage / "link")
        os.replace(stage / "link", link)
        reach_disk(out)


def reach_disk(path: Path) -> None:
    """Flush a file or folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(file: Path, text: str) -> None:
    """Replace a file's content with text in one step, flushed to disk."""
    draft = file.with_name(f"{STAGE}{file.name}")
    remove(draft)
    try:
        with draft.open("x", encoding="utf-8") as stream:
            stream.write(text)
        reach_disk(draft)
        os.replace(draft, file)
    except OSError:
        draft.unlink(missing_ok=True)  # it would fill a disk further
        raise
