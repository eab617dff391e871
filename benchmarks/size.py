"""Check the project's size and habits against the limits of ``[tool.house]`` in pyproject.toml.

``make size`` and ``make check`` run this script. Sizes are tokens, counted by ``tokens.py``.

A budget is a limit for commits, never a reason to leave out what was asked for: raise it in the
commit that needs more, and say there in one sentence what it bought.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from math import ceil
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))

from benchmarks.rooms import Imports, Plan  # noqa: E402
from benchmarks.tokens import Function, Source, notebook_sources  # noqa: E402

SHORTEN = "remove what repeats, or raise the budget and say what that bought"
COLUMNS = ("tokens", "budget", "a line", "tuples", "conditionals", "nine of ten", "longest")
LEGEND = """\
a line: tokens for each line of code
tuples: assignments such as `a, b = x, y` per 1,000 statements
conditionals: expressions such as `x if y else z` per 1,000 statements
nine of ten: lines of code that nine of ten functions do not exceed
longest: lines of code of the longest function"""


@dataclass(frozen=True)
class Measure:
    """What is limited, its size, the limit, and what to do if the size exceeds it."""

    what: str
    size: float
    limit: float
    remedy: str

    def breach(self) -> str:
        """Return the line that reports a breach of the limit."""
        return f"{self.what}: {shown(self.size)} of at most {shown(self.limit)}; {self.remedy}"


def shown(number: float) -> str:
    """Return a number as it is printed."""
    return f"{round(number, 3):,.9g}"


class Counts:
    """The counts of several sources together, such as the files of a package."""

    def __init__(self, sources: Collection[Source]) -> None:
        self.tokens = sum(source.tokens for source in sources)
        self.lines = sum(len(source.lines) for source in sources)
        self.string_characters = sum(source.string_characters for source in sources)
        statements = sum(source.statements for source in sources)
        tuples = sum(source.tuples for source in sources)
        conditionals = sum(source.conditionals for source in sources)
        self.tuples = 1000 * tuples / max(statements, 1)
        self.conditionals = 1000 * conditionals / max(statements, 1)
        functions = [function for source in sources for function in source.functions]
        self.function_lines = sorted(function.lines for function in functions)

    @property
    def nine_of_ten(self) -> int:
        """Return the lines of code that nine of ten functions do not exceed."""
        if not self.function_lines:
            return 0
        return self.function_lines[ceil(len(self.function_lines) * 9 / 10) - 1]

    def cells(self, budget: str) -> list[str]:
        """Return the cells under COLUMNS."""
        return [
            f"{self.tokens:,}",
            budget,
            f"{self.tokens / max(self.lines, 1):.1f}",
            f"{self.tuples:.1f}",
            f"{self.conditionals:.1f}",
            f"{self.nine_of_ten}",
            f"{max(self.function_lines, default=0)}",
        ]


class House:
    """A repository's files, and the limits on their size."""

    def __init__(self, root: Path, limits: dict[str, Any]) -> None:
        self.limits = limits
        self.plan = Plan(limits)
        self.root = root
        self.files = listed_files(root)
        self.sources = {file: Source(self.text(file), file) for file in self.matching("*.py")}
        self.notebooks = {
            file: Counts(notebook_sources(self.text(file), file))
            for file in self.matching("notebooks/*.ipynb")
        }
        self.imports = Imports(self.plan, self.sources)

    def matching(self, pattern: str) -> list[str]:
        """Return the files whose path fits a pattern, in which ``*`` also stands for ``/``."""
        return [file for file in self.files if fnmatch(file, pattern)]

    def text(self, file: str) -> str:
        """Return the text of a file."""
        return (self.root / file).read_text(encoding="utf-8")

    def in_package(self, package: str, room: str | None = None) -> dict[str, Source]:
        """Return the sources of a package, or of one of its rooms, by file."""
        return {
            file: source
            for file, source in self.sources.items()
            if self.plan.package(file) == package and room in {None, self.plan.room(file)[1]}
        }

    def counts(self, package: str, room: str | None = None) -> Counts:
        """Count a package, or one of its rooms."""
        return Counts(self.in_package(package, room).values())

    def limited(self, what: str, size: float, limit: str, remedy: str) -> Measure:
        """Return a measure that has a limit by name."""
        return Measure(what, size, self.limits[limit], remedy)

    def package_sizes(self) -> Iterator[Measure]:
        """Yield the tokens of packages."""
        for package, budget in self.limits["tokens"].items():
            yield Measure(f"tokens of {package}/", self.counts(package).tokens, budget, SHORTEN)

    def room_sizes(self) -> Iterator[Measure]:
        """Yield the tokens of rooms."""
        for package, rooms in self.limits["rooms"].items():
            for room, budget in rooms.items():
                tokens = self.counts(package, room).tokens
                yield Measure(f"tokens of {package}/: {room}", tokens, budget, SHORTEN)

    def file_numbers(self) -> Iterator[Measure]:
        """Yield the number of files of packages."""
        for package, most in self.limits["files"].items():
            files = len(self.in_package(package))
            yield Measure(f"files of {package}/", files, most, "merge files")

    def other_languages(self) -> Iterator[Measure]:
        """Yield the characters of files in other languages."""
        for pattern, budget in self.limits["characters"].items():
            characters = sum(len(self.text(file)) for file in self.matching(pattern))
            yield Measure(f"characters of {pattern}", characters, budget, SHORTEN)

    def notebook_sizes(self) -> Iterator[Measure]:
        """Yield the tokens of notebooks, and the characters inside their strings."""
        tokens = sum(counts.tokens for counts in self.notebooks.values())
        yield self.limited("tokens of notebooks", tokens, "notebooks", SHORTEN)
        longest = max(self.notebooks, key=lambda file: self.notebooks[file].tokens)
        tokens = self.notebooks[longest].tokens
        remedy = "remove code that neither computes nor shows"
        yield self.limited(f"tokens of the longest notebook, {longest}", tokens, "notebook", remedy)
        characters = sum(counts.string_characters for counts in self.notebooks.values())
        what = "characters inside strings of notebooks"
        yield self.limited(what, characters, "notebook_strings", "write sentences in text cells")

    def tests_over_code(self) -> Measure:
        """Return the tokens of tests for each token of the packages that they test."""
        code = sum(self.counts(package).tokens for package in self.limits["tested"])
        ratio = self.counts("tests").tokens / code
        remedy = "turn similar tests into cases"
        return self.limited("tokens of tests/ over those of code", ratio, "tests_over_code", remedy)

    def habits(self) -> Iterator[Measure]:
        """Yield how often each package writes what is hard to read."""
        for package in self.plan.names:
            counts = self.counts(package)
            where = f"per 1,000 statements of {package}/"
            what = f"tuple assignments {where}"
            remedy = f"write one assignment a line, first in {self.most('tuples', package)}"
            yield self.limited(what, counts.tuples, "tuple_assignments", remedy)
            what = f"conditional expressions {where}"
            remedy = f"write if statements, first in {self.most('conditionals', package)}"
            yield self.limited(what, counts.conditionals, "conditional_expressions", remedy)

    def most(self, habit: str, package: str) -> str:
        """Return the file of a package that has most of a habit."""
        sources = self.in_package(package)
        return max(sources, key=lambda file: getattr(sources[file], habit), default="no file")

    def functions(self, package: str) -> dict[str, Function]:
        """Return the functions of a package by file, row and name, the longest first."""
        functions = {
            f"{file}:{function.row} {function.name}": function
            for file, source in self.in_package(package).items()
            for function in source.functions
        }
        return dict(sorted(functions.items(), key=lambda named: -named[1].lines))

    def function_lengths(self) -> Iterator[Measure]:
        """Yield the length of functions in each package but the tests."""
        for package in self.limits["tokens"]:
            what = f"lines of code of nine of ten functions of {package}/"
            lines = self.counts(package).nine_of_ten
            remedy = f"split long functions, first {next(iter(self.functions(package)), None)}"
            yield self.limited(what, lines, "nine_of_ten_functions", remedy)

    def extreme_functions(self) -> Iterator[Measure]:
        """Yield the longest function outside tests, and the one with most parameters."""
        functions: dict[str, Function] = {}
        for package in self.limits["tokens"]:
            functions |= self.functions(package)
        longest = max(function.lines for function in functions.values())
        limit = self.limits["longest_function"]
        above = [name for name, function in functions.items() if function.lines > limit]
        remedy = f"split {', '.join(above)}"
        yield Measure("lines of code of the longest function", longest, limit, remedy)
        widest = max(functions, key=lambda name: functions[name].parameters)
        what = f"most parameters, {widest}"
        remedy = "combine related parameters"
        yield self.limited(what, functions[widest].parameters, "most_parameters", remedy)

    def longest_file(self) -> Measure:
        """Return the tokens of the longest file outside tests."""
        tokens = {
            file: source.tokens
            for package in self.limits["tokens"]
            for file, source in self.in_package(package).items()
        }
        longest = max(tokens, key=lambda file: tokens[file])
        what = f"tokens of the longest file, {longest}"
        return self.limited(what, tokens[longest], "longest_file", "give each subject a file")

    def structure(self) -> Iterator[Measure]:
        """Yield the imports that run up, and the circles of imports."""
        upward = self.imports.upward()
        yield self.limited("imports that run up", len(upward), "upward_imports", "; ".join(upward))
        circles = self.imports.circles()
        yield self.limited("circles of imports", len(circles), "circles", "; ".join(circles))

    def beside_packages(self) -> Iterator[Measure]:
        """Yield the measures that the table of packages does not show."""
        yield from self.room_sizes()
        yield from self.file_numbers()
        yield from self.other_languages()
        yield from self.notebook_sizes()
        yield self.tests_over_code()
        yield self.longest_file()
        yield from self.extreme_functions()
        yield from self.structure()

    def measures(self) -> Iterator[Measure]:
        """Yield each measure that has a limit."""
        yield from self.package_sizes()
        yield from self.habits()
        yield from self.function_lengths()
        yield from self.beside_packages()

    def breaches(self) -> list[str]:
        """Return a line for each limit and rule that is not kept."""
        exceeded = [each.breach() for each in self.measures() if each.size > each.limit]
        forbidden = [
            f"{arrow}: not allowed; see [tool.house.may_import] in pyproject.toml"
            for arrow in self.imports.forbidden(self.limits["may_import"])
        ]
        return exceeded + self.unplaced() + forbidden + self.empty()

    def unplaced(self) -> list[str]:
        """Return a line for each file that is in no package or room."""
        return [
            f"{file}: not in any package or room; add it to [tool.house] in pyproject.toml"
            for file in self.sources
            if not self.has_place(file)
        ]

    def has_place(self, file: str) -> bool:
        """Return whether a file is in a package, and in a room if the package has rooms."""
        package = self.plan.package(file)
        if package in self.limits["rooms"]:
            return self.plan.room(file)[1] != ""
        return package != ""

    def empty(self) -> list[str]:
        """Return a line for each budget of what is not there."""
        budgets = [*self.package_sizes(), *self.room_sizes(), *self.other_languages()]
        return [
            f"{budget.what}: there are none; remove the budget from [tool.house] in pyproject.toml"
            for budget in budgets
            if budget.size == 0
        ]


def listed_files(root: Path) -> list[str]:
    """Return the files of a repository that git tracks or would track, and that exist."""
    listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    command = ["git", "-C", str(root), *listing]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    files = sorted(set(listed.split("\0")) - {""})
    return [file for file in files if (root / file).exists()]


def folder_counts(folder: Path) -> Counts:
    """Count the Python files in any folder, without those in folders called ``tests``."""
    files = [path for path in sorted(folder.rglob("*.py")) if not is_test(path, folder)]
    if not files:
        sys.exit(f"Cannot count {folder}: it holds no Python files; name another folder")
    return Counts([Source(path.read_text(encoding="utf-8"), str(path)) for path in files])


def is_test(path: Path, folder: Path) -> bool:
    """Return whether a path inside a folder leads through one called ``tests``."""
    return "tests" in path.relative_to(folder).parts


def package_table(house: House, anchors: list[Path]) -> Iterator[list[str]]:
    """Yield the cells of a row for each package, the limits, and each anchor."""
    yield ["", *COLUMNS]
    for package, budget in house.limits["tokens"].items():
        yield [f"{package}/", *house.counts(package).cells(shown(budget))]
    yield ["tests/", *house.counts("tests").cells("")]
    habits = ("tuple_assignments", "conditional_expressions")
    lengths = ("nine_of_ten_functions", "longest_function")
    yield ["at most", "", "", "", *(shown(house.limits[name]) for name in (*habits, *lengths))]
    for folder in anchors:
        yield [str(folder), *folder_counts(folder).cells("")]


def print_packages(house: House, anchors: list[Path]) -> None:
    """Print the table of packages, then of anchors."""
    table = list(package_table(house, anchors))
    width = max(len(name) for name, *_ in table)
    for name, *cells in table:
        print(f"{name:{width}}" + "".join(f"{cell:>13}" for cell in cells))
    print(LEGEND)


def print_measures(measures: list[Measure]) -> None:
    """Print a line for each measure: what, size and limit."""
    width = max(len(each.what) for each in measures)
    print(f"\n{'':{width}}{'size':>13}{'at most':>13}")
    for each in measures:
        print(f"{each.what:{width}}{shown(each.size):>13}{shown(each.limit):>13}")


def main() -> None:
    """Print sizes and limits, or only the breaches, with status 1 if there are any."""
    parser = argparse.ArgumentParser(description="Print sizes beside their limits.")
    parser.add_argument("--check", action="store_true", help="print only breaches")
    anchors = "folders of Python code to print beside the packages; their tests are left out"
    parser.add_argument("--anchors", nargs="+", type=Path, metavar="FOLDER", help=anchors)
    options = parser.parse_args()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    house = House(ROOT, project["tool"]["house"])
    if options.check:
        sys.exit("\n".join(house.breaches()) or None)
    print_packages(house, options.anchors or [])
    if not options.anchors:
        print_measures(list(house.beside_packages()))


if __name__ == "__main__":
    main()
