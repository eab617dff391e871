"""Find the commit and versions behind a result, using only the standard library.

Importing this module is therefore fast.
"""

import platform
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

ANNEX = "annex.pdf"  # stored with the reports of a run, and linked from each
DISTRIBUTION = "market-impact-notebooks"
SIMULATED_ID = r"SIM-G?[0-9]"
"""Prefix of simulated ids: of firms and accounts, as in SIM-0417, and of brand groups, as in
SIM-G0021.
"""
ROOT = Path(__file__).resolve().parent.parent
INPUTS = {
    "data": ("data/", "**/*"),
    "code": (
        "",
        "analysis/**/*.py",
        "fewtreated/src/**/*.py",
        "market/**/*.py",
        "runner/**/*.py",
        "runner/**/*.j2",
    ),
    "layout": ("reports/", "*.lua", "*.typ", "*.mplstyle", "*.css", "fonts/*.otf"),
    "words": ("docs/", "glossary.md"),
    "notebooks": ("notebooks/", "**/*.ipynb"),
    "schedule": ("reports/", "schedule.yml"),
}
"""Inputs of reports by kind: a folder of the repository, and the patterns of its files that affect
reports.
"""


def commit(folder: Path = ROOT) -> str | None:
    """Return the full commit hash of a work tree.

    ``" + local changes"`` is appended if a tracked file among `INPUTS` differs from the commit;
    other files do not affect reports.

    Parameters
    ----------
    folder : Path
        Top level of the work tree.

    Returns
    -------
    str or None
        None if git is not installed, there is no commit, or the folder is not a top level: a copy
        inside another repository does not belong to that repository's commit.
    """
    if shutil.which("git") is None:
        return None
    git = ["git", "-C", str(folder), "--no-optional-locks"]  # kernels run it concurrently
    answer = subprocess.run(
        [*git, "rev-parse", "--show-toplevel", "HEAD"], capture_output=True, text=True, check=False
    )
    top, _, found = answer.stdout.strip().rpartition("\n")
    if answer.returncode != 0 or Path(top).resolve() != folder.resolve():
        return None
    paths = [
        f":(glob){folder}{pattern}" for folder, *patterns in INPUTS.values() for pattern in patterns
    ]
    command = [*git, "status", "--porcelain", "--untracked-files=no", "--", *paths]
    changed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if changed:
        return f"{found} + local changes"
    return found


def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed package's dependencies."""
    required = [line for line in metadata.requires(DISTRIBUTION) or [] if "extra ==" not in line]
    names = [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in required]
    return {"python": platform.python_version(), **{name: _version(name) for name in names}}


def _version(name: str) -> str:
    """Return the version of an installed distribution.

    Only the line of its metadata that states the version is used, without the rest.
    """
    text = metadata.distribution(name).read_text("METADATA") or ""
    stated = re.search(r"^Version: *(\S+)", text, re.MULTILINE)
    if stated:
        return stated[1]
    return metadata.version(name)
