"""Compare parameters and data with the last git commit.

An experiment is thus not published as a release.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fewtreated.errors import DesignError

from analysis import data, parameters
from runner import publish
from runner.schedule import OPTIONS

EXAMPLES = "data/examples/"  # which no scheduled report reads
MOST = 4  # differences that a line names


def uncommitted(root: Path, notebooks: Iterable[Path]) -> tuple[list[str], str]:
    """Describe parameters and data that differ from the last commit.

    Parameters
    ----------
    root : Path
        Folder of the project. If it has no git history, as a copy from an archive, nothing differs.
    notebooks : iterable of Path
        The notebooks whose defaults are compared, apart from those that the runner sets.

    Returns
    -------
    differences : list of str
        One per parameter and per file of `data/`, but for examples; files of `data/` that git does
        not know count if they are declared.
    unknown : str
        Why git could not be asked, if there is a history; otherwise empty.
    """
    if not (root / ".git").exists():
        return [], ""
    if shutil.which("git") is None:
        return [], "git is not installed"
    form = ["--porcelain=v2", "--branch", "-z", "--no-renames", "--untracked-files=all"]
    asked = _git(root, "status", *form, "--", "data", "notebooks")
    if asked.returncode:
        lines = asked.stderr.decode(errors="replace").strip().splitlines()
        return [], (
            lines[0].removeprefix("fatal: ")
            if lines
            else f"git status ended with {asked.returncode}"
        )
    lines = asked.stdout.decode(errors="surrogateescape").split("\0")
    if "# branch.oid (initial)" in lines:
        return [], "it has no commit"
    tracked, others = _changed(lines)
    differences = [*_parameters(root, notebooks, tracked, others)]
    declared = {f"data/{card['path']}" for card in data.package(root / "data")["resources"]}
    differences += sorted(
        file for file in tracked if file.startswith("data/") and not file.startswith(EXAMPLES)
    )
    differences += sorted(f"{file} (not in git)" for file in others & declared)
    return differences, ""


def sentence(differences: Sequence[str]) -> str:
    """Name the differences in a sentence, or return an empty string if there are none.

    >>> sentence(["data/counts.csv"])
    'Differs from the last commit: data/counts.csv.'
    """
    if not differences:
        return ""
    named = [*differences[:MOST]]
    if len(differences) > MOST:
        named.append(f"and {len(differences) - MOST} more")
    verb = "Differs" if len(differences) == 1 else "Differ"
    return f"{verb} from the last commit: {'; '.join(named)}."


def refusal(differences: Sequence[str]) -> str:
    """Say why a run made no release, and what to do."""
    why = (
        "No release: parameters or data are not those of the last commit, so the reports are in a"
        " draft."
    )
    do = "Commit them (git commit) or restore them (git restore), and run again."
    other = "Option --accept-changes publishes them as they are, and the brief says so."
    return f"{why} {sentence(differences)} {do} {other}"


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run git on a work tree without taking its locks, and regardless of file modes."""
    command = [
        "git",
        "-C",
        str(root),
        "--no-optional-locks",
        "-c",
        "core.fileMode=false",
        *arguments,
    ]
    return subprocess.run(command, capture_output=True, check=False)


def _changed(lines: Iterable[str]) -> tuple[set[str], set[str]]:
    """Return the files that differ from the last commit, and those that git does not know.

    They are read from git's status.
    """
    tracked = set[str]()
    others = set[str]()
    fields = {"1": 8, "u": 10}  # before the path
    for line in lines:
        kind = line[:1]
        if kind in fields:
            tracked.add(line.split(" ", fields[kind])[-1])
        elif kind == "?":
            others.add(line[2:])
    return tracked, others


def _parameters(
    root: Path, notebooks: Iterable[Path], tracked: set[str], others: set[str]
) -> Iterator[str]:
    """Describe the defaults that differ from the last commit, by notebook."""
    for notebook in sorted({*notebooks}):
        name = notebook.relative_to(root).as_posix()
        if name in others:
            yield f"{name} (not in git)"
        elif name in tracked:
            then = _committed(root, name)
            now = _defaults(notebook)
            if then is None:
                yield f"{name} (its parameters at the last commit cannot be read)"
                continue
            for key in publish.unlike(then, now):
                was = "no parameter"
                if key in then:
                    was = f"{then[key]!r:.40}"
                value = f"no {key}"
                if key in now:
                    value = f"{key} = {now[key]!r:.40}"
                yield f"{value} in {name} ({was} at the last commit)"


def _committed(root: Path, name: str) -> dict[str, Any] | None:
    """Return the defaults of a notebook at the last commit, or None if they cannot be read."""
    shown = _git(root, "show", f"HEAD:{name}")
    if shown.returncode:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / Path(name).name
        file.write_bytes(shown.stdout)
        try:
            return _defaults(file)
        except DesignError:
            return None


def _defaults(notebook: Path) -> dict[str, Any]:
    """Return the defaults of a notebook, apart from those of parameters that the runner sets."""
    fields = parameters.parameter_model(notebook).model_fields
    return {name: field.default for name, field in fields.items() if name not in OPTIONS}
