"""Draw the house of ``[tool.house]`` in pyproject.toml into docs/architecture.md."""

from __future__ import annotations

import ast
import re
import textwrap
import tomllib
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
MARK = "<!-- drawn by docs/house.py -->"
PICTURE = re.compile(rf"(?<={MARK}\n```text\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
DESCRIBED = re.compile(r'^# (.+)\n"?([^"\n]+?)"? = ', re.MULTILINE)  # a room below its comment
NAMES = 34  # width of the first column
WHAT = 48  # and of the second
WIDE = NAMES + WHAT + 4


def top(name: str) -> str:
    """Return the package of a module."""
    return name.partition(".")[0]


def floor(package: str, may_import: dict[str, list[str]]) -> int:
    """Return the floor of a package: 0, or one above the highest that it may import."""
    rules = [names for module, names in may_import.items() if top(module) == package]
    below = {top(name) for names in rules for name in names}
    return 1 + max((floor(name, may_import) for name in below), default=-1)


def says(folder: Path) -> str:
    """Return the first sentence of a package's docstring."""
    text = (folder / "__init__.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]


def row(names: str, what: str) -> Iterator[str]:
    """Yield the lines of a row of two columns."""
    columns = textwrap.wrap(names, NAMES), textwrap.wrap(what, WHAT)
    for left, right in zip_longest(*columns, fillvalue=""):
        yield f"│ {left:{NAMES}}  {right:{WHAT}} │"


def drawn(package: str, house: dict[str, Any], described: dict[str, str]) -> Iterator[str]:
    """Yield the lines of a package: what it is, its rooms, the highest first, and its imports."""
    (folder,) = house["packages"].get(package, [package])
    yield f"┌{'─' * WIDE}┐"
    yield from row(f"{folder}/", says(ROOT / folder))
    yield f"├{'─' * WIDE}┤"
    for room in reversed(house["rooms"].get(package, {})):
        yield from row(room, described[room])
    for module, names in house["may_import"].items():
        if top(module) == package and names:
            yield from row(f"({module} may import)", ", ".join(names))
    yield f"└{'─' * WIDE}┘"


def picture() -> str:
    """Return the picture of the house: each package stands on those that it imports."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    house = tomllib.loads(text)["tool"]["house"]
    may_import = house["may_import"]
    packages = {top(name) for name in may_import}
    lines: list[str] = []
    for package in sorted(packages, key=lambda name: floor(name, may_import), reverse=True):
        section = text.partition(f"[tool.house.rooms.{package}]")[2].partition("\n[")[0]
        described = {room: comment for comment, room in DESCRIBED.findall(section)}
        lines += drawn(package, house, described)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(PICTURE.sub(lambda _: picture(), page, count=1), encoding="utf-8")
