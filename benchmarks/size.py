"""Check the project's size against the budgets under ``[tool.house]`` in pyproject.toml.

``make size`` and ``make check`` run this script. A line counts as code if it has a token that is
not part of a comment or docstring.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NOT_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
Function = ast.FunctionDef | ast.AsyncFunctionDef
Measure = tuple[str, float, float, str]  # name, size, limit, and remedy if over it


def code_lines(text: str) -> set[int]:
    """Return the numbers of the code lines in a source text."""
    code = set[int]()
    docstrings = set[int]()
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.Module | ast.ClassDef | Function)
            and ast.get_docstring(node) is not None
        ):
            docstrings |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NOT_CODE:
            code |= set(range(token.start[0], token.end[0] + 1))
    return code - docstrings


def notebook_code(path: Path) -> str:
    """Return the code cells of a notebook as one text."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def placed(file: str) -> str:
    """Return a file's path without the folders of a distribution inside the repository."""
    return re.sub(r"^\w+/(?:src/|(?=tests/))", "", file)


def module(file: str) -> str:
    """Return the module name of a file."""
    return placed(file).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def package(file: str) -> str:
    """Return the top-level folder of a file."""
    return placed(file).partition("/")[0]


def inside(name: str, names: list[str]) -> bool:
    """Return whether a module is in the given list of modules and packages."""
    return any(f"{name}.".startswith(f"{allowed}.") for allowed in names)


class House:
    """A repository's Python code, and the limits on its size."""

    def __init__(self, root: Path, limits: dict[str, Any]) -> None:
        self.limits = limits
        command = [
            "git",
            "-C",
            str(root),
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
            "*.py",
        ]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(
            "\0"
        )
        files = [file for file in sorted(listed) if file and (root / file).exists()]
        self.texts = {file: (root / file).read_text(encoding="utf-8") for file in files}
        self.code = {file: code_lines(text) for file, text in self.texts.items()}
        files = (root / "notebooks").glob("**/*.ipynb")
        notebooks = sorted(path for path in files if ".ipynb_checkpoints" not in path.parts)
        self.notebooks = {
            str(path.relative_to(root)): len(code_lines(notebook_code(path))) for path in notebooks
        }
        self.floors = {
            f"{name}/{entry}": (floor, room)
            for name, rooms in limits["rooms"].items()
            for floor, room in enumerate(rooms)
            for entry in room.split(", ")
        }

    def room(self, file: str) -> tuple[int, str]:
        """Return the floor and name of a file's room, or -1 and an empty name if it has none."""
        return self.floors.get("/".join(placed(file).split("/")[:2]).removesuffix(".py"), (-1, ""))

    def size(self, name: str, room: str | None = None) -> int:
        """Count the lines of code in a package, or in one of its rooms."""
        files = [
            file
            for file in self.code
            if package(file) == name and room in {None, self.room(file)[1]}
        ]
        return sum(len(self.code[file]) for file in files)

    @cached_property
    def imports(self) -> dict[str, set[str]]:
        """Files that each file imports, including late imports and those for type checking."""
        files = {module(file): file for file in self.texts}
        imports = dict[str, set[str]]()
        for file, text in self.texts.items():
            names = set[str]()
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Import):
                    names |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    members = {f"{node.module}.{alias.name}" for alias in node.names}
                    names |= members if members <= set(files) else members | {node.module}
            imports[file] = {files[name] for name in names if name in files} - {file}
        return imports

    def reached(self, file: str) -> set[str]:
        """Return the files that a file imports, directly or indirectly."""
        reached = set[str]()
        waiting = [file]
        while waiting:
            new = self.imports[waiting.pop()] - reached
            reached |= new
            waiting += new
        return reached

    def upward(self) -> list[str]:
        """Return the imports of higher rooms by lower rooms in the same package."""
        pairs = [
            (a, b)
            for a, targets in self.imports.items()
            for b in sorted(targets)
            if package(a) == package(b)
        ]
        return [f"{a} -> {b}" for a, b in pairs if self.room(a)[0] < self.room(b)[0]]

    def circles(self) -> list[str]:
        """Return the groups of files that import each other, directly or indirectly."""
        reached = {file: self.reached(file) for file in self.texts}
        groups = {
            tuple(sorted(b for b in targets if a in reached[b])) for a, targets in reached.items()
        }
        return [" <-> ".join(group) for group in sorted(groups) if group]

    def forbidden(self) -> list[str]:
        """Return the imports from other packages that the rules do not allow."""
        rules = self.limits["may_import"]
        forbidden = []
        for file, targets in self.imports.items():
            rule = max(
                (name for name in rules if inside(module(file), [name])), key=len, default=None
            )
            if rule is not None:
                allowed = [package(file), *rules[rule]]
                forbidden += [
                    f"{file} -> {target}"
                    for target in sorted(targets)
                    if not inside(module(target), allowed)
                ]
        return forbidden

    def functions(self) -> Iterator[tuple[str, int, int]]:
        """Yield the name, code lines and number of parameters of each function outside tests."""
        for file, text in self.texts.items():
            for node in ast.walk(ast.parse(text)) if package(file) in self.limits["code"] else []:
                if isinstance(node, Function):
                    lines = self.code[file] & set(range(node.lineno, (node.end_lineno or 0) + 1))
                    parameters = {
                        argument.arg
                        for argument in ast.walk(node.args)
                        if isinstance(argument, ast.arg)
                    }
                    yield (
                        f"{file}:{node.lineno} {node.name}",
                        len(lines),
                        len(parameters - {"self", "cls"}),
                    )

    def measures(self) -> Iterator[Measure]:
        """Yield each measure that has a limit."""
        limits = self.limits
        shorten = "shorten it, or move a file out of it"
        for name, budget in limits["code"].items():
            yield f"{name}/", self.size(name), budget, shorten
            for room, most in limits["rooms"].get(name, {}).items():
                yield f"{name}/ {room}", self.size(name, room), most, shorten
        for name, most in limits["files"].items():
            yield (
                f"{name}/, files",
                len([file for file in self.texts if package(file) == name]),
                most,
                "merge files",
            )
        functions = list(self.functions())
        name, lines, _ = max(functions, key=lambda function: function[1])
        yield f"longest function: {name}", lines, limits["longest_function"], "split it"
        name, _, parameters = max(functions, key=lambda function: function[2])
        yield (
            f"most parameters: {name}",
            parameters,
            limits["most_parameters"],
            "combine related parameters",
        )
        for file, lines in self.notebooks.items():
            yield file, lines, limits["notebook"], "remove code that neither computes nor shows"
        average = sum(self.notebooks.values()) / len(self.notebooks)
        yield "notebooks on average", average, limits["notebook_average"], "shorten the longest"
        ratio = self.size("tests") / sum(map(self.size, limits["code"]))
        yield "tests over code", ratio, limits["tests_over_code"], "turn similar tests into cases"
        yield (
            "imports that run up",
            len(self.upward()),
            limits["upward_imports"],
            "; ".join(self.upward()),
        )
        yield (
            "circles of imports",
            len(self.circles()),
            limits["circles"],
            "; ".join(self.circles()),
        )

    def breaches(self) -> list[str]:
        """Return a line for each breach.

        A breach is an exceeded limit, a file in no room, a forbidden import, or an empty package or
        room.
        """
        names = {*self.limits["code"], "tests"}
        rooms = self.limits["rooms"]
        lines = [
            f"{what}: {size:.4g} of at most {most:g}; {do}"
            for what, size, most, do in self.measures()
            if size > most
        ]
        for file in self.texts:
            if package(file) not in names or (package(file) in rooms and not self.room(file)[1]):
                lines.append(
                    f"{file}: not in any package or room; add it to [tool.house] in pyproject.toml"
                )
        lines += [
            f"{arrow}: not allowed; see [tool.house.may_import] in pyproject.toml"
            for arrow in self.forbidden()
        ]
        empty = [
            what
            for what, size, _, _ in self.measures()
            if what.partition("/")[0] in names and not size
        ]
        return lines + [
            f"{what}: contains no code; remove it from [tool.house] in pyproject.toml"
            for what in empty
        ]


def main() -> None:
    """Print sizes and budgets.

    With ``--check``, print only breaches, and exit with status 1 if there are any.
    """
    parser = argparse.ArgumentParser(
        description="Print sizes beside the budgets of [tool.house] in pyproject.toml."
    )
    parser.add_argument(
        "--check", action="store_true", help="print only sizes over budget; exit with 1 if any"
    )
    house = House(
        ROOT, tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["house"]
    )
    if parser.parse_args().check:
        sys.exit("\n".join(house.breaches()) or None)
    for what, size, most, _ in house.measures():
        print(f"{what:80}{size:>10.5g}{most:>10g}")


if __name__ == "__main__":
    main()
