"""Which code made a result: commit and versions. Standard library only, since the command line is quick."""

import platform
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

DISTRIBUTION = "market-impact-notebooks"
ROOT = Path(__file__).resolve().parent.parent


def commit(folder: Path = ROOT) -> str | None:
    """Return ``git describe`` of the work tree around a folder; None outside git or before a commit."""
    if shutil.which("git") is None:
        return None
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None


def versions() -> dict[str, str]:
    """Return the versions of Python and of the direct dependencies, as the installed package names them."""
    required = [line for line in metadata.requires(DISTRIBUTION) or [] if "extra ==" not in line]
    names = [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in required]
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in names}}
