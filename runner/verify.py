"""Verify a release against its manifest, and remove old releases but for one that verifies."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from analysis.errors import DesignError
from runner import Exit, ReportError, diff, publish, release, say, site
from runner.diff import ESTIMATES
from runner.publish import sha256, unlike
from runner.release import DATA, LATEST, MANIFEST, VERDICTS, Manifest, Release

MOST = 5  # names in one line


def faults(published: Release) -> list[str]:
    """List the files of a release that fail its hashes, a line for each."""
    lines = [*published.faults(), *_beside(published)]
    wrong = {line.partition(":")[0] for line in lines}
    for name, check in ((DATA, _data), (VERDICTS, _verdicts)):
        try:
            lines += [f"{name}: {fault}" for fault in check(published)] if name not in wrong else []
        except (ReportError, zipfile.BadZipFile) as error:  # its hash is right, and it was never what it should be
            lines.append(f"{name}: {error}")
    return lines


def _beside(published: Release) -> Iterator[str]:
    """Find files in the folder that the manifest does not list."""
    there = (path for path in sorted(published.folder.rglob("*")) if path.is_symlink() or not path.is_dir())
    for name in (path.relative_to(published.folder).as_posix() for path in there):
        if name not in (MANIFEST, *published.manifest.files):
            yield f"{name}: extra, the manifest does not list it"


def _data(published: Release) -> Iterator[str]:
    """Check the archive against the data that the reports were made of."""
    hashes = published.manifest.inputs["data"]
    with zipfile.ZipFile(published.folder / DATA) as archive:
        held = {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}
    for name in unlike(hashes, held):
        state = "without" if name not in held else "beside them" if name not in hashes else "another"
        yield f"not the data that the reports were made of: {state} {name}"


def _verdicts(published: Release) -> Iterator[str]:
    """Check each verdict against the entry of its report."""
    for report, verdicts in published.verdicts().items():
        entry = published.manifest.reports.get(report)
        of = {"as_of": entry.as_of, "market": entry.market, "notebook": Path(entry.notebook).stem} if entry else {}
        for name, verdict in ((publish.name_of(each), each) for each in verdicts):
            if not entry:
                yield f"{name}: it is of {report}, which is no report of the release"
            for key in (key for key, value in of.items() if verdict.get(key, value) != value):
                yield f"{name}: its {key} is {verdict[key]!r}; the manifest has {of[key]!r} of {report}"


def differences(manifest: Manifest, now: Mapping[str, Mapping[str, str]], notebooks: Mapping[str, str]) -> list[str]:
    """Describe the parts in which a checkout differs from the inputs of a release, a line for each.

    Parameters
    ----------
    manifest : Manifest
    now : mapping
        As :func:`runner.publish.inputs` returns it.
    notebooks : mapping of str to str
        Digest of the notebook of each report, as it is now.
    """
    was = {**manifest.inputs, "notebooks": {name: entry.notebook_sha256 for name, entry in manifest.reports.items()}}
    parts = {**now, "notebooks": notebooks}
    lines = []
    for kind in sorted({*was, *parts}):
        before, after = was.get(kind, {}), parts.get(kind, {})
        names = diff.changed_values(before, after) if kind == "versions" else unlike(before, after)
        lines += [f"{kind}: {', '.join(diff.first(names, MOST))}"] if names else []
    return lines


def prove(root: Path, folder: Path, again: str | None = "") -> Exit:
    """Verify the hashes of a release, then make one report again from this checkout, and print the results.

    Parameters
    ----------
    root : Path
        The checkout.
    folder : Path
        The release, or a link to it.
    again : str or None
        Which report is made again; the quickest one if empty, none if None.

    Raises
    ------
    DesignError, ReportError
        If the folder is no release, or a report cannot be made again here.
    """
    published = release.read(folder.resolve())
    manifest = published.manifest
    if wrong := faults(published):
        for line in wrong:
            say(f"{published.folder.name}/{line}")
        say(f"{published.folder.name}: not as it was published (faults: {len(wrong)}); take nothing from it.")
        return Exit.FAILED
    say(f"{published.folder.name}: all {len(manifest.files)} files are as the manifest says, and there is no other.")
    say(f"{DATA}: the {len(manifest.inputs['data'])} files of data that the reports were made of.")
    say(f"{VERDICTS}: each verdict is of the report, date and market that the manifest says.")
    notebooks = {name: root / "notebooks" / entry.notebook for name, entry in manifest.reports.items()}
    digests = {name: publish.digest(file) for name, file in notebooks.items() if file.is_file()}
    unlike = differences(manifest, publish.inputs(root), digests)
    for line in unlike:
        say(f"This checkout differs from what the release was made of, {line}")
    if not unlike:
        say("This checkout: the data, code, layout, words, versions and notebooks that the release was made of.")
    elif again is not None:
        commit, _, local = (manifest.commit or "the commit that made it").partition(" + ")
        more = f", with the {local} that it had then and git has not," if local else ""
        say(f"No report was made again: check out {commit}{more} and verify there.")
    return Exit.OK if again is None else Exit.REFUSED if unlike else _again(root, published, again)


def _again(root: Path, published: Release, name: str) -> Exit:
    from runner import run

    reports = published.manifest.reports
    # the quickest, of those with estimates and without files of one's own
    ranks = {name: (bool(of.files), f"{name}{ESTIMATES}" not in of.made, of.seconds) for name, of in reports.items()}
    name = name or min(ranks, key=lambda name: ranks[name])
    if name not in reports:
        raise DesignError(f"Option --again {name}: the release has {', '.join(reports)}; name one of them.")
    files = [file for file in reports[name].made if not file.endswith(".ipynb")]  # a notebook names its commit
    with run.again(root, published, name) as made:
        now = {file: sha256(made / file) for file in files if (made / file).is_file()}
    for file in (other := [file for file in files if now.get(file) != published.manifest.files[file]]):
        say(f"{file}: made again, it has other bytes.")
    if not other:
        what = "PDF and estimates" if f"{name}{ESTIMATES}" in files else "PDF"
        say(f"{name}: made again, the same to the byte: {what}, {len(files)} files in all.")
    return Exit.FAILED if other else Exit.OK


def prune(out: Path, keep: int) -> list[str]:
    """Remove all but the newest `keep` releases, and return a line for each; the caller holds the lock.

    The release that `latest` shows and the newest one that verifies stay, however old. What is no release by its
    manifest is left alone.
    """
    releases = site.newest_first(out)
    latest = os.readlink(out / LATEST) if (out / LATEST).is_symlink() else ""
    sound = next((each.folder.name for each in releases if not faults(each)), "")
    stays, lines = {sound: "it is the newest one that verifies", latest: "`latest` shows it"}, list[str]()
    for old in reversed(releases[keep:]):
        name, away = old.folder.name, out / f"{release.STAGE}{old.folder.name}"
        if name in stays:
            lines.append(f"{name}: stays, {stays[name]}")
            continue
        os.rename(old.folder, away)  # nobody sees half a release
        release.remove(away)
        lines.append(f"{name}: removed, {len(old.manifest.files)} files of {old.manifest.as_of}")
    if lines:
        site.refresh(out)
    return lines
