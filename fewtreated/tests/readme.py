"""Run the example of README.md, and save its figure: ``python readme.py FIGURE``.

Nothing but the installed library is needed, and matplotlib; without it, pass no figure.
"""

import re
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DRAWS = "effects.plot()\n"


def blocks(language):
    """Return the blocks of README.md in a language."""
    text = README.read_text(encoding="utf-8")
    return [block for name, block in BLOCK.findall(text) if name == language]


def run(figure=""):
    """Return what the example prints; save its figure if a file is given, or leave it out."""
    names = {}
    said = StringIO()
    with redirect_stdout(said):
        for block in blocks("python"):
            if block != DRAWS:
                exec(block, names)
            elif figure:
                exec(f"axes = {block}", names)
                names["axes"].figure.savefig(figure, dpi=100)
    return said.getvalue()


if __name__ == "__main__":
    print(run(*sys.argv[1:]), end="")
