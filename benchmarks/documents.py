"""Count how far notebooks are documents: how much code they have, and where their prose stands.

``python benchmarks/documents.py`` prints a row for each notebook, or for those that it is given.
The cell of parameters does not count, nor do f-strings inside the formats of others.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))

from benchmarks.tokens import without_magics  # noqa: E402

SENTENCE = 8  # words from which an f-string is a sentence
PROSE = 5  # words from which a string is prose
COLUMNS = ("characters", "longest line", "f-strings", "sentences", "shown", "prose", "in code")
LEGEND = """\
characters: of code
longest line: of code, characters
f-strings, and how many of them are sentences, of eight words or more
shown: code cells that end in an expression
prose: lines of text that need no Python
in code: words of prose inside strings"""


@dataclass(frozen=True)
class Cell:
    """A cell of a notebook: its id, its kind, its text and its tags."""

    name: str
    kind: str
    text: str
    tags: tuple[str, ...] = ()

    @cached_property
    def tree(self) -> ast.Module:
        """Its Python, without magics."""
        return ast.parse(without_magics(self.text))

    @property
    def shows(self) -> bool:
        """Whether its last statement is an expression that is shown."""
        last = self.tree.body[-1:]
        return isinstance(next(iter(last), None), ast.Expr) and not self.text.rstrip().endswith(";")

    @property
    def f_strings(self) -> list[ast.JoinedStr]:
        """Its f-strings, without those that are formats of values in others."""
        nodes = list(ast.walk(self.tree))
        formats = {id(node.format_spec) for node in nodes if isinstance(node, ast.FormattedValue)}
        found = [node for node in nodes if isinstance(node, ast.JoinedStr)]
        return [node for node in found if id(node) not in formats]

    @property
    def strings(self) -> Iterator[list[str]]:
        """The words of each of its strings, those of an f-string without what is in braces."""
        inside = {id(part) for node in self.f_strings for part in ast.walk(node)}
        constants = [node for node in ast.walk(self.tree) if isinstance(node, ast.Constant)]
        for node in constants:
            if isinstance(node.value, str) and id(node) not in inside:
                yield node.value.split()
        for string in self.f_strings:
            yield words_of(string)


def words_of(string: ast.JoinedStr) -> list[str]:
    """Return the words of an f-string without what is in braces."""
    parts = [part.value for part in string.values if isinstance(part, ast.Constant)]
    return " ".join(map(str, parts)).split()


def read_cells(text: str) -> list[Cell]:
    """Return the cells of a notebook, given the text of its file."""
    cells = []
    for position, cell in enumerate(json.loads(text)["cells"]):
        name = cell.get("id", f"cell {position}")
        tags = tuple(cell.get("metadata", {}).get("tags", ()))
        cells.append(Cell(name, cell["cell_type"], "".join(cell["source"]), tags))
    return cells


def code_cells(cells: Iterable[Cell]) -> list[Cell]:
    """Return the code cells but that of the parameters."""
    return [cell for cell in cells if cell.kind == "code" and "parameters" not in cell.tags]


def counted(cells: list[Cell]) -> list[int]:
    """Return the counts of a notebook, in the order of `COLUMNS`."""
    code = code_cells(cells)
    lines = [line for cell in code for line in cell.text.splitlines()]
    strings = [string for cell in code for string in cell.f_strings]
    prose = [line for cell in cells if cell.kind == "markdown" for line in cell.text.splitlines()]
    words = [len(string) for cell in code for string in cell.strings]
    return [
        sum(len(cell.text) for cell in code),
        max(map(len, lines), default=0),
        len(strings),
        sum(len(words_of(string)) >= SENTENCE for string in strings),
        sum(cell.shows for cell in code),
        sum(bool(line.strip()) for line in prose),
        sum(count for count in words if count >= PROSE),
    ]


def table(notebooks: Iterable[Path]) -> Iterator[list[str]]:
    """Yield the cells of a row for each notebook, under headings."""
    yield ["", *COLUMNS]
    for notebook in notebooks:
        cells = read_cells(notebook.read_text(encoding="utf-8"))
        counts = [f"{count:,}" for count in counted(cells)]
        counts[COLUMNS.index("shown")] += f" of {len(code_cells(cells))}"
        yield [notebook.stem, *counts]


def main() -> None:
    """Print the table and what its columns are."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK")
    given = parser.parse_args().notebooks or sorted((ROOT / "notebooks").rglob("*.ipynb"))
    for name, *counts in table(given):
        print(f"{name:22}" + "".join(f"{count:>14}" for count in counts))
    print(LEGEND)


if __name__ == "__main__":
    main()
