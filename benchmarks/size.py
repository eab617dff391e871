"""Print the size of each room of `analysis/` beside its plan, and how rooms import each other: ``make size``.

Code is a line with a token that is neither comment, docstring nor blank. A commit that makes a room larger says why.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "analysis"
PLAN = {  # lines of code by file or folder, from the ground up: a room imports from those above it in this list
    "errors.py, untrusted.py, provenance.py, numbers.py, display.py, executor.py": 300,
    "estimate.py, testing.py": 210,
    "data.py, series.py": 335,
    "config.py": 140,
    "panel": 620,
    "estimators": 1350,
    "long.py, frames.py": 300,
    "estimands": 1220,
    "market": 1180,
    "evidence, verdicts.py": 650,
    "audit.py, grades.py, scenarios.py": 470,
    "inventory.py, study.py": 200,
    "households": 550,
    "exhibits": 930,
    "report, __main__.py": 700,
}
NOT_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def lines(path: Path) -> tuple[int, int]:
    """Return the lines of code and of docstrings of a file."""
    text, docs, code = path.read_text(encoding="utf-8"), set[int](), set[int]()
    for node in ast.walk(ast.parse(text)):
        documented = isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
        if documented and ast.get_docstring(node, clean=False) is not None:
            docs |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NOT_CODE:
            code |= set(range(token.start[0], token.end[0] + 1))
    return len(code - docs), len(docs)


def name(path: Path) -> str:
    """Return a file as Python imports it."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, known: set[str]) -> set[str]:
    """Return the files of the package that a file imports when it is loaded or later, but for types alone."""
    found: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    only_types = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    passed_over = {child for node in only_types for child in ast.walk(node)}
    for node in ast.walk(tree):
        if node in passed_over:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inside & known or {node.module}
    return (found & known) - {name(path)}


def rooms() -> dict[str, list[Path]]:
    """Return the files of each room of the plan; what the plan does not name has rooms of its own."""
    files = sorted(PACKAGE.rglob("*.py"))
    found: dict[str, list[Path]] = {room: [] for room in PLAN}
    for path in files:
        top = path.relative_to(PACKAGE).parts[0]
        room = next((room for room in PLAN if top in room.split(", ")), top)
        found.setdefault(room, []).append(path)
    return found


def arrows(found: dict[str, list[Path]]) -> dict[str, set[str]]:
    """Return the files that each file imports."""
    known = {name(path): path for paths in found.values() for path in paths}
    return {module: imports(path, set(known)) for module, path in known.items()}


def upward(found: dict[str, list[Path]]) -> list[str]:
    """Return the imports from a room of a higher floor."""
    floor = {name(path): place for place, paths in enumerate(found.values()) for path in paths}
    return [
        f"{module} -> {other}"
        for module, others in arrows(found).items()
        for other in sorted(others)
        if floor[other] > floor[module]
    ]


def circle(found: dict[str, list[Path]]) -> list[str]:
    """Return the files of a circle of imports, if there is one."""
    try:
        list(TopologicalSorter(arrows(found)).static_order())
    except CycleError as error:
        return list(error.args[1])
    return []


def main() -> None:
    """Print sizes, imports between files, those that run up, and circles."""
    found = rooms()
    total: Counter[str] = Counter()
    print(f"{'room':40}{'files':>7}{'code':>8}{'plan':>8}{'docstrings':>12}")
    for room, paths in found.items():
        counted = [lines(path) for path in paths]
        code, docs = sum(code for code, _ in counted), sum(docs for _, docs in counted)
        total.update(files=len(paths), code=code, docs=docs)
        print(f"{room:40}{len(paths):>7}{code:>8}{PLAN.get(room, 0):>8}{docs:>12}")
    print(f"{'all':40}{total['files']:>7}{total['code']:>8}{sum(PLAN.values()):>8}{total['docs']:>12}")
    print(f"\nimports between files: {sum(map(len, arrows(found).values()))}")
    print("imports that run up:", ", ".join(upward(found)) or "none")
    print("circle:", " -> ".join(circle(found)) or "none")


if __name__ == "__main__":
    main()
