"""What the tutorials need where they are built.

The project's tests are in reach, and what a terminal prints is in one piece.
"""

import subprocess
from pathlib import Path

from IPython.core.magic import register_cell_magic

from analysis.provenance import ROOT

Path("tests").symlink_to(ROOT / "tests")


@register_cell_magic
def bash(line: str, cell: str) -> None:
    """Run a cell in a terminal; a command that fails stops the page."""
    done = subprocess.run(
        ["bash", "-e", "-c", cell],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    print(done.stdout, end="")
    done.check_returncode()
