"""Verify releases: by their manifests, the log, each other, the checkout and what was kept."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fewtreated.errors import DataError, DesignError

from analysis.provenance import ANNEX
from analysis.untrusted import admit
from runner import Exit, ReportError, chain, diff, log, publish, release, say
from runner.diff import ESTIMATES, Changes
from runner.inputs import commit_of_inputs
from runner.log import LOG
from runner.publish import unlike
from runner.release import DATA, DRAFT, MANIFEST, SIGNATURE, VERDICTS, Entry, Release

NAMESPACE = "market-impact"  # of signatures, so that none made for another purpose counts
SIGNATURE_BYTES = 1 << 16


def faults(published: Release) -> Iterator[str]:
    """Yield the faults in a release, one line per fault.

    Faults may be in the release's files, its data and its place in the chain.
    """
    yield from (lines := published.faults())
    yield from published.strangers()
    try:
        diff.between(published, published)  # reads all that later steps read
        held = {
            name: hashlib.sha256(content).hexdigest() for name, content in published.data.items()
        }
        for name in unlike(published.manifest.inputs["data"], held):
            yield (
                f"{DATA}: not the data that the reports were made from: {name} differs, is missing"
                " or extra"
            )
    except ReportError as error:
        yield from [f"{error}"] * (not lines)
    out = published.folder.parent
    known = log.known(log.logged(out))
    if known and published.folder.name not in known and published.folder.name != DRAFT:
        why = "its run was killed before it could add one, or somebody took it out"
        yield f"{MANIFEST}: no line of {LOG} has it: {why}"
    yield from chain.misplaced(published, chain.read_all(out)[0], known)


@dataclass(frozen=True)
class Kept:
    """What the reader of a release has kept elsewhere, which nobody who forged it could change.

    `head` is the hash of a manifest of the chain, empty if there is none, and `signers` the file of
    allowed signers, as ``ssh-keygen`` reads it.
    """

    head: str = ""
    signers: Path | None = None


def held_against(published: Release, kept: Kept) -> tuple[list[str], list[str], bool]:
    """Hold a release against what its reader kept.

    Return faults, what is shown, and whether that proves the release.

    Raises
    ------
    DesignError
        If a head is no hash, or signatures cannot be checked here.
    """
    wrong, shown = _signed(published, kept.signers)
    proved = kept.signers is not None
    if kept.head:
        how, proves = chain.linked(published, kept.head)
        proved |= proves
        if how:
            shown.append(f"The head {kept.head} {how}.")
        else:
            wrong.append(f"{MANIFEST}: no unbroken chain of hashes leads to the head {kept.head}")
    return wrong, shown, proved


def _signed(published: Release, signers: Path | None) -> tuple[list[str], list[str]]:
    """Check the signature of a manifest, and return faults and what is shown."""
    file = published.folder / SIGNATURE
    if not os.path.lexists(file):
        return [f"{SIGNATURE}: missing, so nobody has signed"] * bool(signers), []
    if shutil.which("ssh-keygen") is None:
        raise DesignError(
            f"Cannot check {file}: ssh-keygen is not installed; install OpenSSH, or take the file"
            " away."
        )
    try:
        admit(file, SIGNATURE_BYTES)
    except DataError as error:
        return [f"{SIGNATURE}: {error}"], []
    if signers is None:
        by = "by whom is not known without --signers FILE"
        if not _keygen(published, "check-novalidate").returncode:
            return [], [f"{SIGNATURE}: a signature of this manifest, {by}."]
        return [f"{SIGNATURE}: no signature of this manifest"], []
    return _allowed(published, signers)


def _allowed(published: Release, signers: Path) -> tuple[list[str], list[str]]:
    """Check that somebody whom a file of signers allows has signed a manifest."""
    allowed = ["-f", str(signers)]
    found = _keygen(published, "find-principals", *allowed).stdout.decode(errors="replace")
    for name in found.splitlines():
        if not _keygen(published, "verify", *allowed, "-I", name).returncode:
            return [], [f"{SIGNATURE}: signed by {name}, whom {signers} allows."]
    return [f"{SIGNATURE}: no signature of this manifest by anybody whom {signers} allows"], []


def _keygen(published: Release, *command: str) -> subprocess.CompletedProcess[bytes]:
    manifest = (published.folder / MANIFEST).read_bytes()
    what = ["ssh-keygen", "-Y", *command, "-n", NAMESPACE, "-s", str(published.folder / SIGNATURE)]
    return subprocess.run(what, input=manifest, capture_output=True, check=False)


def prove(root: Path, folder: Path, names: list[str] | None, kept: Kept | None = None) -> Exit:
    """Verify a release, and make reports again from this checkout.

    Print what is proved and what is not.

    Parameters
    ----------
    root : Path
        The checkout.
    folder : Path
        The release, or a link to it.
    names : list of str or None
        Reports to make again; the quickest if empty, none if None.
    kept : Kept or None
        What the reader has kept elsewhere.

    Raises
    ------
    DesignError, ReportError
        If the folder is not a release, or a report cannot be made again here.
    """
    published = release.read(folder.resolve())
    reports = published.manifest.reports
    if unknown := {*(names or ())} - reports.keys():
        raise DesignError(
            f"Report {min(unknown)} is not in the release; choose from {', '.join(reports)}."
        )
    kept = kept or Kept()
    differing, shown, proved = held_against(published, kept)
    if wrong := [*faults(published), *differing]:
        for line in wrong:
            say(f"{published.folder.name}/{line}")
        say(f"{published.folder.name}: not as published (faults: {len(wrong)}); do not use it.")
        return Exit.FAILED
    _tell_files(published)
    _tell_record(published)
    for line in shown:
        say(line)
    if not proved:
        say(
            "So far, nothing was changed by accident. Whoever can write here could have changed all"
            " of it on purpose: --head or --signers, with what you keep elsewhere, would show that."
        )
    differs = _tell_inputs(root, published)
    if names is None:
        return Exit.OK
    if differs:
        _tell_checkout(published.manifest.commit)
        return Exit.REFUSED
    return _make_again(root, published, names or [_quickest(published)])


def _tell_files(published: Release) -> None:
    """Print what the files of a release are, and which of its reports are older than the others."""
    manifest = published.manifest
    besides = "no others"
    if (published.folder / SIGNATURE).exists():
        besides = f"no others but {SIGNATURE}"
    say(
        f"{published.folder.name}: all {len(manifest.files)} files match the manifest, and there"
        f" are {besides}."
    )
    say(f"{DATA}: the {len(manifest.inputs['data'])} data files that the reports were made from.")
    for name, entry in manifest.reports.items():
        if entry.stale:
            say(
                f"{name}: as of {entry.as_of}, of older data or code than the others: {entry.stale}"
            )


def _tell_record(published: Release) -> None:
    """Print what the log and the releases beside a release know of it."""
    manifest = published.manifest
    runs = log.logged(published.folder.parent)
    known = log.known(runs)
    logged = f"and there is no {LOG} beside the release"
    if published.folder.name in known:
        logged = f"which is in {LOG} beside the release"
    say(f"{MANIFEST}: sha256 {published.digest}, {logged}.")
    before = manifest.previous
    if before and not (published.folder.parent / before / MANIFEST).exists():
        days = [run.pruned for run in runs if run.release == before and run.pruned]
        why = "and nothing says why"
        if days:
            why = f"and was pruned on {days[0]}"
        say(f"The release before, {before}, is not here, {why}.")


def _current(published: Release) -> dict[str, Entry]:
    """Return the entries of the reports that were made of the inputs of their release, by name."""
    return {name: of for name, of in published.manifest.reports.items() if not of.stale}


def _tell_inputs(root: Path, published: Release) -> bool:
    """Print how this checkout differs from the inputs of a release, and return whether it does."""
    mine = _current(published)
    files = {name: root / "notebooks" / entry.notebook for name, entry in mine.items()}
    notebooks = {name: publish.digest(file) for name, file in files.items() if file.is_file()}
    now = {**publish.inputs(root), "notebooks": notebooks}
    made_of = {name: entry.notebook_sha256 for name, entry in mine.items()}
    was = {**published.manifest.inputs, "notebooks": made_of}
    differing = unlike(was, now)
    for kind in differing:
        which = ", ".join(diff.first(unlike(was.get(kind, {}), now.get(kind, {})), 5))
        say(f"This checkout differs from the inputs of the release: {kind}: {which}")
    if not differing:
        say(
            "This checkout has the data, code, layout, words, versions and notebooks that the"
            " release was made from."
        )
    return bool(differing)


def _tell_checkout(made_at: str | None) -> None:
    """Print which commit to check out before reports can be made again."""
    commit, _, local = (made_at or "the commit that made it").partition(" + ")
    if local:
        commit += f", with the {local} of that time, which git does not have,"
    say(f"No report was made again: check out {commit} and verify there.")


def _quickest(published: Release) -> str:
    """Return the quickest report, if possible with estimates and without files of the user's.

    Return an empty string if all are older than the release.
    """
    mine = _current(published)

    def rank(name: str) -> tuple[bool, bool, float]:
        entry = mine[name]
        return bool(entry.files), f"{name}{ESTIMATES}" not in entry.made, entry.seconds

    return min(mine, key=rank, default="")


def _make_again(root: Path, published: Release, names: list[str]) -> Exit:
    """Make reports again, and what a release has beside them, and print how they compare."""
    mine = _current(published)
    names = [name for name in names if name in mine]
    differ = [line for name in names for line in _again(root, published, name)]
    differ += _beside(root, published)
    others = len(published.manifest.reports) - len(names)
    if others:
        say(f"Not made again: {others} reports, of which only the hashes were compared.")
    else:
        say("All reports were made again.")
    if differ:
        return Exit.FAILED
    return Exit.OK


def _again(root: Path, published: Release, name: str) -> list[str]:
    """Make a report again, and print how it compares with what is published.

    Return what differs.
    """
    from runner import make

    entry = published.manifest.reports[name]
    with make.again(root, published, name) as (folder, made, verdicts):
        found = {file: (folder / file).read_bytes() for file in made}
    now = commit_of_inputs()
    was = entry.commit
    if now and was:  # which a notebook contains
        found = {
            file: content.replace(now.encode(), was.encode()) for file, content in found.items()
        }
    other = sorted({*made} ^ {*entry.made}) + [
        file for file in entry.made if found.get(file, b"") != published.read(file)
    ]
    other += [VERDICTS] * (verdicts != published.verdicts()[name])
    for file in other:
        say(f"{file}: made again for {name}, it differs.")
    if not other:
        say(
            f"{name}: made again, identical to the byte: its {len(entry.made)} files and"
            f" {len(verdicts)} verdicts."
        )
    return other


def _beside(root: Path, published: Release) -> list[str]:
    """Make again all that a release has beside its reports.

    Print how it compares, and return what differs.

    It is made of the reports of the release itself and, for what changed, of the release before.
    """
    files = published.manifest.files
    notebooks = [f"failed/{name}.ipynb" for name in published.manifest.failed]
    hashed = [file for file in notebooks if file in files]
    made = (file for entry in published.manifest.reports.values() for file in entry.made)
    given = {VERDICTS, DATA, *hashed, *made}
    beside = sorted(files.keys() - given)
    try:
        changes = _changes(published)
    except ReportError as error:
        say(f"Only the hashes were compared of {', '.join([*hashed, *beside])}: {error}")
        return []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for file in given & files.keys():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(published.read(file))
        _write_beside(root, published, folder, changes)
        found = {file: (folder / file).read_bytes() for file in beside if (folder / file).is_file()}
    other = [file for file in beside if found.get(file) != published.read(file)]
    for file in other:
        say(f"{file}: made again of the reports beside it, it differs.")
    if hashed:
        say(f"Only the hashes were compared of {', '.join(hashed)}.")
    if not other:
        say(
            "Made again of the reports of this release, identical to the byte:"
            f" {', '.join(beside)}."
        )
    return other


def _changes(published: Release) -> Changes | None:
    """Return the changes since the release before, if there is one."""
    manifest = published.manifest
    if not manifest.previous:
        return None
    before = release.read(published.folder.parent / manifest.previous)
    if manifest.previous_sha256 not in ("", before.digest):
        raise ReportError(
            f"{MANIFEST} of {manifest.previous} is another than when this release was made."
        )
    return diff.between(before, published)


def _write_beside(root: Path, published: Release, folder: Path, changes: Changes | None) -> None:
    """Write the annex and what is beside it to a folder with the reports, as far as possible."""
    from runner import annex, assemble, make

    manifest = published.manifest.model_copy(update={"files": {}})
    jobs = [*make.as_made(root, published).values()]
    notebooks = {name: folder / f"{name}.ipynb" for name in manifest.reports}
    try:
        annex.typeset_annex(notebooks, folder / ANNEX, as_of=manifest.as_of, changes=changes)
        assemble.write_beside(folder, manifest, changes, jobs, published.verdicts())
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        say(f"No page can be made again of these reports: {type(error).__name__}: {error}")
