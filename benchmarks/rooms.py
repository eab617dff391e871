"""Say to which package and room each file belongs, and which file imports which."""

from __future__ import annotations

import ast
from functools import cached_property
from typing import Any

from benchmarks.tokens import Source


class Plan:
    """The packages and rooms that ``[tool.house]`` lays out."""

    def __init__(self, limits: dict[str, Any]) -> None:
        self.names = [*limits["tokens"], "tests"]
        self.packages = {
            folder: package
            for package in self.names
            for folder in limits["packages"].get(package, [package])
        }
        self.floors = {
            (package, entry): (floor, room)
            for package, rooms in limits["rooms"].items()
            for floor, room in enumerate(rooms)
            for entry in room.split(", ")
        }

    def folder(self, file: str) -> str:
        """Return the folder of a file's package, or an empty string if it is in none."""
        folders = [folder for folder in self.packages if file.startswith(f"{folder}/")]
        return max(folders, key=len, default="")

    def package(self, file: str) -> str:
        """Return a file's package, or an empty string if it is in none."""
        return self.packages.get(self.folder(file), "")

    def module(self, file: str) -> str:
        """Return the name under which a file is imported."""
        above = self.folder(file).rpartition("/")[0]
        path = file.removeprefix(f"{above}/") if above else file
        return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def room(self, file: str) -> tuple[int, str]:
        """Return the floor and name of a file's room, or -1 and an empty string."""
        inside = file.removeprefix(f"{self.folder(file)}/")
        entry = inside.partition("/")[0].removesuffix(".py")
        return self.floors.get((self.package(file), entry), (-1, ""))


class Imports:
    """The files of a repository, and the files that each imports."""

    def __init__(self, plan: Plan, sources: dict[str, Source]) -> None:
        self.plan = plan
        self.sources = sources
        self.files = {plan.module(file): file for file in sources}

    @cached_property
    def imported(self) -> dict[str, set[str]]:
        """Files that each file imports, including late imports and those for type checking."""
        imported = {}
        for file, source in self.sources.items():
            names = {name for node in source.nodes for name in self.names(node)}
            imported[file] = {self.files[name] for name in names if name in self.files} - {file}
        return imported

    def names(self, node: ast.AST) -> set[str]:
        """Return the names of what an import statement may import."""
        if isinstance(node, ast.Import):
            return {alias.name for alias in node.names}
        if not isinstance(node, ast.ImportFrom) or not node.module:
            return set()
        members = {f"{node.module}.{alias.name}" for alias in node.names}
        if members <= set(self.files):
            return members
        return members | {node.module}

    def reached(self, file: str) -> set[str]:
        """Return the files that a file imports, directly or indirectly."""
        reached: set[str] = set()
        waiting = [file]
        while waiting:
            new = self.imported[waiting.pop()] - reached
            reached |= new
            waiting += new
        return reached

    def upward(self) -> list[str]:
        """Return the imports of higher rooms by lower rooms in the same package."""
        return [
            f"{file} -> {target}"
            for file, targets in self.imported.items()
            for target in sorted(targets)
            if self.plan.package(file) == self.plan.package(target)
            and self.plan.room(file)[0] < self.plan.room(target)[0]
        ]

    def circles(self) -> list[str]:
        """Return the groups of files that import each other, directly or indirectly."""
        reached = {file: self.reached(file) for file in self.sources}
        groups = {
            tuple(sorted(target for target in targets if file in reached[target]))
            for file, targets in reached.items()
        }
        return [" <-> ".join(group) for group in sorted(groups) if group]

    def forbidden(self, rules: dict[str, list[str]]) -> list[str]:
        """Return the imports from other packages that the rules do not allow."""
        forbidden = []
        for file, targets in self.imported.items():
            module = self.plan.module(file)
            holding = [name for name in rules if is_inside(module, name)]
            if not holding:
                continue
            allowed = rules[max(holding, key=len)]
            forbidden += [
                f"{file} -> {target}"
                for target in sorted(targets)
                if self.plan.package(target) != self.plan.package(file)
                and not any(is_inside(self.plan.module(target), name) for name in allowed)
            ]
        return forbidden


def is_inside(module: str, name: str) -> bool:
    """Return whether a module is the named module or package, or lies in it."""
    return f"{module}.".startswith(f"{name}.")
