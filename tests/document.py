"""The rules for a notebook that is a document; each yields the cells that break it."""

import ast
import re
from collections import defaultdict

from benchmarks.documents import SENTENCE, code_cells, read_cells, words_of
from benchmarks.tokens import Source, is_tuple_assignment, without_magics

WIDEST = 100  # characters a line
LONGEST = 12  # lines of code a cell
TRIES = 3  # cells under TRY_IT
TRY_IT = "Try it"
EVALUATED = re.compile(r"\{eval\}`([^`]+)`")
BUILT_IN = {"len", "map", "max", "min", "sorted"}
METHODS = {"capitalize", "item", "max", "min", "nunique", "sum", "tolist"}
VOCABULARY = "from analysis.prose import *"
CONDITIONS = {"holds", "when"}
UNPACKED = (ast.GeneratorExp, ast.List, ast.ListComp)


class Document:
    """A notebook, for its rules; `words` is the vocabulary of its text."""

    def __init__(self, text, words, *, tries=TRIES, foreign=(), is_report=True):
        self.cells = read_cells(text)
        self.words = frozenset(words)
        self.tries = tries
        self.foreign = tuple(foreign)  # names that it must not contain
        self.is_report = is_report

    @property
    def code(self):
        """Return its code cells without that of the parameters."""
        return code_cells(self.cells)

    @property
    def prose(self):
        return self.of("markdown")

    def of(self, kind):
        return [cell for cell in self.cells if cell.kind == kind]


# Code cells


def wide_lines(document):
    for cell in document.code:
        for line in cell.text.splitlines():
            if len(line) > WIDEST:
                yield f"{cell.name}: {len(line)} characters: {line.strip()[:50]}"


def long_cells(document):
    for cell in document.code:
        lines = len(Source(without_magics(cell.text)).lines)
        if lines > LONGEST:
            yield f"{cell.name}: {lines} lines of code"


def sentences_in_code(document):
    for cell in document.code:
        for string in cell.f_strings:
            if len(words_of(string)) >= SENTENCE:
                yield f"{cell.name}: {' '.join(words_of(string))[:60]}"


def conditional_expressions(document):
    for cell in document.code:
        for node in ast.walk(cell.tree):
            if isinstance(node, ast.IfExp):
                yield f"{cell.name}: {ast.unparse(node)[:60]}"


def tuple_assignments(document):
    for cell in document.code:
        for node in ast.walk(cell.tree):
            if is_tuple_assignment(node) or _unpacks(node):
                yield f"{cell.name}: {ast.unparse(node)[:60]}"


def _unpacks(node):
    """Return whether a node assigns what it writes out, such as a comprehension, to a tuple."""
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.value, UNPACKED)
        and any(isinstance(target, ast.Tuple) for target in node.targets)
    )


def calls_of_globals(document):
    for cell in document.code:
        for node in ast.walk(cell.tree):
            if isinstance(node, ast.Name) and node.id == "globals":
                yield f"{cell.name}: globals()"


def cells_that_show_nothing(document):
    for cell in document.code:
        if not cell.shows:
            yield f"{cell.name}: ends in no expression"


# Text cells


def expressions_that_compute(document):
    for cell in document.prose:
        for text, tree in expressions(cell):
            if not _is_word(tree, document.words):
                yield f"{cell.name}: {text}"


def expressions(cell):
    """Yield the expressions in the text of a cell, and their trees."""
    for text in EVALUATED.findall(cell.text):
        yield text, ast.parse(text, mode="eval").body


def _is_word(tree, words):
    """Return whether an expression is a word of the vocabulary, or a simple name."""
    if isinstance(tree, ast.Call) and _called(tree) in CONDITIONS and len(tree.args) == 1:
        condition = tree.args[0]
        negated = isinstance(condition, ast.UnaryOp) and isinstance(condition.op, ast.Not)
        return _is_simple(condition.operand if negated else condition, words)
    return _is_simple(tree, words)


def _is_simple(node, words):
    """Return whether a node is a constant or a name, with attributes, items and calls of words."""
    if isinstance(node, ast.Call):
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        return _may_be_called(node.func, words) and all(_is_simple(one, words) for one in given)
    if isinstance(node, ast.Attribute):
        return _is_simple(node.value, words)
    if isinstance(node, ast.Subscript):
        return _is_simple(node.value, words) and _is_item(node.slice)
    return isinstance(node, ast.Name | ast.Constant)


def _is_item(node):
    """Return whether a subscript is a constant or a name, or a pair of them."""
    if isinstance(node, ast.Tuple):
        return all(_is_item(one) for one in node.elts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    if isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name | ast.Constant)


def _may_be_called(func, words):
    if isinstance(func, ast.Attribute):
        return func.attr in METHODS and _is_simple(func.value, words)
    return isinstance(func, ast.Name) and func.id in words | BUILT_IN


def _called(tree):
    return getattr(tree.func, "id", "")


def words_overwritten(document):
    """Yield the words of the vocabulary that a cell gives another meaning.

    A notebook that does not import the vocabulary may use its words.
    """
    if not any(VOCABULARY in cell.text for cell in document.code):
        return
    for cell in document.of("code"):
        for name in dict.fromkeys(names_set(cell.tree)):
            if name in document.words:
                yield f"{cell.name}: sets {name}"


def names_set_elsewhere(document):
    """Yield names in the text that no cell sets, or that several do."""
    where = defaultdict(set)
    for cell in document.of("code"):
        for name in names_set(cell.tree):
            where[name].add(cell.name)
    known = document.words | BUILT_IN
    for cell in document.prose:
        for name in dict.fromkeys(_names(cell)):
            cells = sorted(where[name])
            if name not in known and len(cells) != 1:
                yield f"{cell.name}: {name} is set in {', '.join(cells) or 'no cell'}"


def _names(cell):
    """Yield the names in the expressions of a cell."""
    for _, tree in expressions(cell):
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                yield node.id


def names_set(tree):
    """Yield the names that code imports, or assigns to wholly or in part."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                yield (alias.asname or alias.name).partition(".")[0]
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                yield from _bases(target)
        elif isinstance(node, ast.AnnAssign | ast.AugAssign | ast.NamedExpr):
            yield from _bases(node.target)


def _bases(target):
    """Yield the names behind a target, such as `rows` of ``rows.loc[0]``."""
    if isinstance(target, ast.Tuple | ast.List):
        for one in target.elts:
            yield from _bases(one)
    elif isinstance(target, ast.Attribute | ast.Subscript | ast.Starred):
        yield from _bases(target.value)
    elif isinstance(target, ast.Name):
        yield target.id


# The whole notebook


def answers_missing(document):
    if document.is_report and not any("answer" in cell.tags for cell in document.cells):
        yield "no cell is tagged answer"


def tries_missing(document):
    """Yield a notebook with too few code cells in the section that invites to try it."""
    below = 0
    inside = False
    for cell in document.cells:
        if heading := re.match(r"## (.+)", cell.text) if cell.kind == "markdown" else None:
            inside = heading[1].strip() == TRY_IT
        below += inside and cell.kind == "code"
    if below < document.tries:
        yield f"{below} of {document.tries} code cells under “## {TRY_IT}”"


def foreign_names(document):
    """Yield the names of an event in a notebook that is about none; an address may have a year."""
    for cell in [*document.code, *document.prose]:
        text = re.sub(r"https?://\S+", "", cell.text)
        for name in document.foreign:
            if re.search(rf"\b{re.escape(name)}\b", text):
                yield f"{cell.name}: names {name}"


RULES = (
    wide_lines,
    long_cells,
    sentences_in_code,
    conditional_expressions,
    tuple_assignments,
    calls_of_globals,
    cells_that_show_nothing,
    expressions_that_compute,
    words_overwritten,
    names_set_elsewhere,
    answers_missing,
    tries_missing,
    foreign_names,
)
