"""Draw packages and rooms, as pyproject.toml lists them in ``[tool.house]``, into docs/architecture.md."""

from __future__ import annotations

import ast
import re
import textwrap
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
PICTURE = re.compile(r"(?<=<!-- drawn by docs/house.py -->\n```text\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
DESCRIBED = re.compile(r'^# (.+)\n"?([^"\n]+?)"? = ', re.MULTILINE)  # a room below its comment
NAMES = 34  # width of the first column
WHAT = 48  # and of the second
WIDE = NAMES + WHAT + 4

Allowed = Mapping[str, Sequence[str]]  # what a package, or a file of it, may import of others


def top(name: str) -> str:
    """Return the package of a module."""
    return name.partition(".")[0]


def floor(package: str, allowed: Allowed) -> int:
    """Return the floor of a package: 0 if it imports no other, or else one above all of these."""
    below = {top(name) for module, names in allowed.items() if top(module) == package for name in names}
    return 1 + max((floor(name, allowed) for name in below), default=-1)


def says(package: str) -> str:
    """Return the first sentence of a package's docstring."""
    docstring = ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8")))
    return (docstring or "").partition("\n")[0]


def row(names: str, what: str) -> Iterator[str]:
    """Yield the lines of a row of two columns."""
    columns = textwrap.wrap(names, NAMES), textwrap.wrap(what, WHAT)
    for left, right in zip_longest(*columns, fillvalue=""):
        yield f"│ {left:{NAMES}}  {right:{WHAT}} │"


def drawn(package: str, rooms: Mapping[str, object], said: Mapping[str, str], allowed: Allowed) -> Iterator[str]:
    """Yield the lines of a package: what it is, its rooms, the highest first, and its imports."""
    yield f"┌{'─' * WIDE}┐"
    yield from row(f"{package}/", says(package))
    yield f"├{'─' * WIDE}┤"
    for room in reversed(rooms):
        yield from row(room, said.get(room, ""))
    for module, names in allowed.items():
        if top(module) == package and names:
            yield from row(f"({module} may import)", ", ".join(names))
    yield f"└{'─' * WIDE}┘"


def picture() -> str:
    """Return the picture of the house: each package stands on those that it imports."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    limits = tomllib.loads(text)["tool"]["house"]
    said = {room: comment for comment, room in DESCRIBED.findall(text)}
    allowed = limits["may_import"]
    packages = sorted({top(name) for name in allowed}, key=lambda name: floor(name, allowed), reverse=True)
    lines = [line for name in packages for line in drawn(name, limits["rooms"].get(name, {}), said, allowed)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(PICTURE.sub(lambda _: picture(), page, count=1), encoding="utf-8")
