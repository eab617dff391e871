"""Count what there is to read in Python code: its tokens, its code lines and its habits.

Comments, docstrings and layout do not count. A string is one token; the expressions inside an
f-string count as well. Python 3.11, 3.12 and 3.13 give the same numbers.
"""

from __future__ import annotations

import ast
import copy
import io
import json
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
# up to Python 3.11 an f-string is one token; from 3.12 on it is a start, parts and an end
F_STRING_START = getattr(tokenize, "FSTRING_START", None)
F_STRING_END = getattr(tokenize, "FSTRING_END", None)
Definition = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Function:
    """A function's name, first line, number of code lines and number of parameters."""

    name: str
    row: int
    lines: int
    parameters: int


class Source:
    """The counts of one source text: a file, or a cell of a notebook."""

    def __init__(self, text: str, file: str = "<text>") -> None:
        tree = ast.parse(text, file)
        self.nodes = list(ast.walk(tree))
        self.docstrings = [node for node in self.nodes if is_docstring(node)]
        spans = list(token_spans(text))
        inner = sum(map(inner_tokens, self.nodes))
        self.tokens = len(spans) - len(self.docstrings) + inner
        self.lines = rows(spans) - rows((node.lineno, node.end_lineno) for node in self.docstrings)
        self.statements = sum(isinstance(node, ast.stmt) for node in self.nodes)
        self.tuples = sum(map(is_tuple_assignment, self.nodes))
        self.conditionals = sum(isinstance(node, ast.IfExp) for node in self.nodes)
        functions = [node for node in self.nodes if isinstance(node, Definition)]
        self.functions = [self.function(node) for node in functions]

    @property
    def string_characters(self) -> int:
        """Count the characters inside string literals other than docstrings."""
        docstrings = {id(node.value) for node in self.docstrings}
        constants = [node for node in self.nodes if isinstance(node, ast.Constant)]
        texts = [node.value for node in constants if id(node) not in docstrings]
        return sum(len(text) for text in texts if isinstance(text, str))

    def function(self, node: Definition) -> Function:
        """Return the counts of a function."""
        lines = self.lines & rows([(node.lineno, node.end_lineno)])
        arguments = [part for part in ast.walk(node.args) if isinstance(part, ast.arg)]
        parameters = {argument.arg for argument in arguments} - {"self", "cls"}
        return Function(node.name, node.lineno, len(lines), len(parameters))


def token_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield the first and last row of each token that is not layout."""
    opened = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == F_STRING_START:
            opened.append(token.start[0])
        elif token.type == F_STRING_END:
            start = opened.pop()
            if not opened:
                yield start, token.end[0]
        elif not opened and token.type not in LAYOUT:
            yield token.start[0], token.end[0]


def rows(spans: Iterable[tuple[int, int]]) -> set[int]:
    """Return all rows of the given first and last rows."""
    return {row for first, last in spans for row in range(first, last + 1)}


def is_docstring(node: ast.AST) -> bool:
    """Return whether a node is a statement that is nothing but a string."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def is_tuple_assignment(node: ast.AST) -> bool:
    """Return whether a node assigns a tuple that is written out to a tuple."""
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Tuple)
        and any(isinstance(target, ast.Tuple) for target in node.targets)
    )


class InnerStrings(ast.NodeTransformer):
    """Replace each f-string by an empty string, which is one token too."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.Constant:
        """Return an empty string."""
        return ast.Constant("")


def inner_tokens(node: ast.AST) -> int:
    """Count the tokens of an expression inside an f-string, an f-string inside it being one."""
    if not isinstance(node, ast.FormattedValue):
        return 0
    plain = InnerStrings().visit(copy.deepcopy(node.value))
    return len(list(token_spans(ast.unparse(plain))))


def notebook_sources(text: str, file: str) -> list[Source]:
    """Return the code cells of a notebook, without magics and shell commands."""
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    return [Source(without_magics("".join(cell["source"])), file) for cell in cells]


def without_magics(cell: str) -> str:
    """Return a cell's text without the lines that only a notebook understands."""
    lines = [line for line in cell.splitlines() if not line.lstrip().startswith(("%", "!"))]
    return "\n".join(lines) + "\n"
