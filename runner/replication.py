"""Write the replication page of a release.

It has the release's data and rights, and which program makes each table and figure.

The page is ``docs/replication.md``, with its lists filled in. The pages of ``docs/`` fill in the
same lists but for the exhibits, which have numbers and titles only once the reports are made.
"""

from __future__ import annotations

import ast
import html
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from analysis.provenance import ROOT
from runner.cells import cells, shown

FILE = "replication.md"
PAGE = ROOT / "docs" / FILE
LONGEST_TITLE = 90
_CAPTION = re.compile(r"<(?P<kind>figcaption|caption)\b[^>]*>(?P<text>.*?)</(?P=kind)>", re.DOTALL)
_KINDS = {"figcaption": "Figure", "caption": "Table"}


def datasets() -> str:
    """List the data files with the rights to each, grouped by source and rights."""
    groups: dict[str, list[str]] = {}
    for row in json.loads((ROOT / "data" / "datapackage.json").read_bytes())["resources"]:
        sources = "; ".join(source["title"] for source in row["sources"])
        line = f"`data/{row['path']}`, {row['title']}"
        groups.setdefault(f"{sources}. *{row['licenseNote']}*", []).append(line)
    return "\n".join(f"- {source}\n  - " + "\n  - ".join(files) for source, files in groups.items())


def programs(notebooks: Mapping[str, Path], names: Mapping[str, str]) -> str:
    """Tabulate which notebook makes which report, with its question.

    Parameters
    ----------
    notebooks : mapping of str to Path
        Notebooks by report, executed or not.
    names : mapping of str to str
        Their names below ``notebooks/``.
    """
    lines = ["| report | made by | question |", "|---|---|---|"]
    for report, file in notebooks.items():
        question = "".join(cells(file)[0]["source"]).splitlines()[0].lstrip("# ")
        lines.append(f"| `{report}.pdf` | `notebooks/{names[report]}` | {question} |")
    return "\n".join(lines)


def exhibits(notebooks: Mapping[str, Path]) -> str:
    """Tabulate the figures and tables of executed notebooks by report and number.

    Each line names the cell that shows the exhibit, counted from 1 with text cells included, and
    the functions of this project that the cell calls.

    Parameters
    ----------
    notebooks : mapping of str to Path
        Executed notebooks by report.
    """
    lines = [
        "| report | exhibit | begins | cell | functions called there |",
        "|---|---|---|---|---|",
    ]
    for report, file in notebooks.items():
        for exhibit, title, number, functions in _exhibits(cells(file)):
            calls = ", ".join(f"`{name}`" for name in functions)
            lines.append(f"| `{report}` | {exhibit} | {title} | {number} | {calls} |")
    return "\n".join(lines)


def _exhibits(cells: list[dict[str, Any]]) -> Iterator[tuple[str, str, int, list[str]]]:
    """Yield each numbered exhibit.

    It is given as its name, the beginning of its caption, its cell and the cell's functions.
    """
    modules = _modules(cells)
    counts = dict.fromkeys(_KINDS.values(), 0)
    for number, cell in enumerate(cells, start=1):
        for data in shown(cell):
            for caption in _CAPTION.finditer("".join(data.get("text/html", ""))):
                kind = _KINDS[caption["kind"]]
                counts[kind] += 1
                title = _title(caption["text"])
                yield f"{kind} {counts[kind]}", title, number, _calls(cell, modules)


def _title(caption: str) -> str:
    """Return the beginning of a caption as plain text that a table cell can hold."""
    plain = html.unescape(re.sub("<[^>]+>", " ", caption))
    plain = re.sub(r"\s+", " ", plain).strip().lstrip("●◐○ ").replace("|", "/")
    if len(plain) <= LONGEST_TITLE:
        return plain
    return f"{plain[:LONGEST_TITLE].rsplit(' ', 1)[0]} …"


def _trees(cells: list[dict[str, Any]]) -> Iterator[ast.AST]:
    for cell in cells:
        if cell["cell_type"] == "code":
            yield from ast.walk(ast.parse("".join(cell["source"])))


def _modules(cells: list[dict[str, Any]]) -> set[str]:
    """Return the names under which a notebook imports modules of this project."""
    names = set[str]()
    for node in _trees(cells):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            ("analysis", "fewtreated", "market")
        ):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def _calls(cell: dict[str, Any], modules: set[str]) -> list[str]:
    """Return the functions of these modules that a cell calls, in alphabetical order."""
    names = set[str]()
    for node in _trees([cell]):
        if not (isinstance(node, ast.Call) and isinstance(function := node.func, ast.Attribute)):
            continue
        if isinstance(function.value, ast.Name) and function.value.id in modules:
            names.add(f"{function.value.id}.{function.attr}")
    return sorted(names)


def write_replication(folder: Path, reports: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the replication page into a release's folder.

    `reports` are the entries of the manifest, whose executed notebooks are in the folder.
    """
    notebooks = {name: folder / f"{name}.ipynb" for name in reports}
    names = {name: entry["notebook"] for name, entry in reports.items()}
    lists = {
        "datasets": datasets(),
        "programs": programs(notebooks, names),
        "exhibits": exhibits(notebooks),
    }
    text = PAGE.read_text(encoding="utf-8")
    for mark, lines in lists.items():
        text = text.replace(f"<!-- {mark} -->", lines)
    (folder / FILE).write_text(text, encoding="utf-8")
