"""Verify releases against their manifests."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from analysis.errors import DesignError
from runner import Exit, ReportError, diff, publish, release, say
from runner.diff import ESTIMATES
from runner.publish import sha256, unlike
from runner.release import DATA, MANIFEST, VERDICTS, Manifest, Release

MOST = 5  # names in one line at most


def faults(published: Release) -> list[str]:
    """List the faults in a release, one line per fault."""
    lines = [*published.faults(), *_beside(published)]
    wrong = {line.partition(":")[0] for line in lines}
    for name, check in ((DATA, _data), (VERDICTS, _verdicts)):
        try:
            lines += [f"{name}: {fault}" for fault in check(published)] if name not in wrong else []
        except (ReportError, zipfile.BadZipFile) as error:  # its hash is right, so the content was wrong when published
            lines.append(f"{name}: {error}")
    return lines


def _beside(published: Release) -> Iterator[str]:
    """Yield a fault for each file in the folder that the manifest does not list."""
    there = (path for path in sorted(published.folder.rglob("*")) if path.is_symlink() or not path.is_dir())
    for name in (path.relative_to(published.folder).as_posix() for path in there):
        if name not in (MANIFEST, *published.manifest.files):
            yield f"{name}: extra, not listed in the manifest"


def _data(published: Release) -> Iterator[str]:
    """Check the data archive against the data from which the reports were made."""
    hashes = published.manifest.inputs["data"]
    with zipfile.ZipFile(published.folder / DATA) as archive:
        held = {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}
    for name in unlike(hashes, held):
        state = "is missing" if name not in held else "is extra" if name not in hashes else "differs"
        yield f"not the data that the reports were made from: {name} {state}"


def _verdicts(published: Release) -> Iterator[str]:
    """Check each verdict against its report's manifest entry."""
    for report, verdicts in published.verdicts().items():
        entry = published.manifest.reports.get(report)
        of = {"as_of": entry.as_of, "market": entry.market, "notebook": Path(entry.notebook).stem} if entry else {}
        for name, verdict in ((publish.name_of(each), each) for each in verdicts):
            if not entry:
                yield f"{name}: it belongs to {report}, which is not a report of the release"
            for key in (key for key, value in of.items() if verdict.get(key, value) != value):
                yield f"{name}: its {key} is {verdict[key]!r}; the manifest has {of[key]!r} for {report}"


def differences(manifest: Manifest, now: Mapping[str, Mapping[str, str]], notebooks: Mapping[str, str]) -> list[str]:
    """Describe how a checkout differs from the inputs of a release, one line per part.

    Parameters
    ----------
    manifest : Manifest
    now : mapping
        As returned by :func:`runner.publish.inputs`.
    notebooks : mapping of str to str
        Current digest of the notebook of each report.
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
    """Verify a release's hashes, make one report again from this checkout, and print the results.

    Parameters
    ----------
    root : Path
        The checkout.
    folder : Path
        The release, or a link to it.
    again : str or None
        Name of the report to make again; the quickest if empty, none if None.

    Raises
    ------
    DesignError, ReportError
        If the folder is not a release, or the report cannot be made again here.
    """
    published = release.read(folder.resolve())
    manifest = published.manifest
    if wrong := faults(published):
        for line in wrong:
            say(f"{published.folder.name}/{line}")
        say(f"{published.folder.name}: does not match its manifest (faults: {len(wrong)}); do not use it.")
        return Exit.FAILED
    say(f"{published.folder.name}: all {len(manifest.files)} files match the manifest, and there are no others.")
    say(f"{DATA}: the {len(manifest.inputs['data'])} data files that the reports were made from.")
    say(f"{VERDICTS}: the report, date and market of each verdict match the manifest.")
    notebooks = {name: root / "notebooks" / entry.notebook for name, entry in manifest.reports.items()}
    digests = {name: publish.digest(file) for name, file in notebooks.items() if file.is_file()}
    unlike = differences(manifest, publish.inputs(root), digests)
    for line in unlike:
        say(f"This checkout differs from the inputs of the release: {line}")
    if not unlike:
        say("This checkout has the data, code, layout, words, versions and notebooks that the release was made from.")
    elif again is not None:
        commit, _, local = (manifest.commit or "the commit that made it").partition(" + ")
        more = f", with the {local} of that time, which git does not have," if local else ""
        say(f"No report was made again: check out {commit}{more} and verify there.")
    return Exit.OK if again is None else Exit.REFUSED if unlike else _again(root, published, again)


def _again(root: Path, published: Release, name: str) -> Exit:
    from runner import run

    reports = published.manifest.reports
    # the quickest of the reports with estimates and without files of the user's own
    ranks = {name: (bool(of.files), f"{name}{ESTIMATES}" not in of.made, of.seconds) for name, of in reports.items()}
    name = name or min(ranks, key=lambda name: ranks[name])
    if name not in reports:
        raise DesignError(f"Report {name} is not in the release; choose from {', '.join(reports)}.")
    files = [file for file in reports[name].made if not file.endswith(".ipynb")]  # a notebook contains its commit
    with run.again(root, published, name) as made:
        now = {file: sha256(made / file) for file in files if (made / file).is_file()}
    for file in (other := [file for file in files if now.get(file) != published.manifest.files[file]]):
        say(f"{file}: made again, its bytes differ.")
    if not other:
        what = "PDF and estimates" if f"{name}{ESTIMATES}" in files else "PDF"
        say(f"{name}: made again, identical to the byte: {what}, {len(files)} files in all.")
    return Exit.FAILED if other else Exit.OK
