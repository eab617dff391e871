"""Reports are written as a newspaper would print them."""

import ast
import re

import nbformat
import pytest
from ruamel.yaml import YAML

from analysis import data
from analysis.provenance import ROOT

TICS = YAML(typ="safe").load(ROOT / "tests" / "cases" / "tics.yml")
REAL = ("00_brief", "01_who_was_hit", "02_growth", "03_shift", "04_claims", "05_households")
REAL += ("india_apps_2020/00_brief", "india_apps_2020/01_who_won")
SIMULATED = tuple(
    f"{folder}/{path.stem}"
    for folder in ("panel", "methods")
    for path in sorted((ROOT / "notebooks" / folder).glob("*.ipynb"))
)
EXHIBITS = sorted(file.stem for file in (ROOT / "analysis" / "exhibits").glob("[!_]*.py"))
OF_EVENTS = [f"events/{event}/readings.csv" for event in data.events()]
OF_EVENTS += [f"events/{event}/event.yml" for event in data.events()]
PRINTED = ("verdict_rules.csv", "estimands.csv", "glossary.md", *OF_EVENTS)


def strings(code):
    """Return the strings of code that are no docstrings; those without a space are names of columns
    and terms.
    """
    nodes = [*ast.walk(ast.parse(code))]
    apart = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    found = [
        node.value for node in nodes if isinstance(node, ast.Constant) and id(node) not in apart
    ]
    return [text for text in found if isinstance(text, str) and " " in text]


def prose(notebook):
    """Return the text cells of a notebook and the strings of its code, without its parameters."""
    texts = []
    for cell in nbformat.read(ROOT / "notebooks" / f"{notebook}.ipynb", 4).cells:
        if cell.cell_type == "markdown":
            texts.append(cell.source)
        elif "parameters" not in cell.metadata.get("tags", []):
            texts += strings(cell.source)
    return "\n".join(texts)


def printed(where):
    """Return what a notebook, a file of data, the glossary or a module of exhibits prints."""
    if where in REAL + SIMULATED:
        return prose(where)
    if where in EXHIBITS:
        return "\n".join(
            strings((ROOT / "analysis" / "exhibits" / f"{where}.py").read_text(encoding="utf-8"))
        )
    folder = ROOT / ("docs" if where.endswith(".md") else "data")
    return re.sub(r"(?m)^\s*#.*$|https?://\S+", "", (folder / where).read_text(encoding="utf-8"))


@pytest.mark.parametrize("tic", TICS)
@pytest.mark.parametrize("where", [*REAL, *SIMULATED, *EXHIBITS, *PRINTED])
def test_nothing_that_is_printed_has_a_turn_of_phrase_that_no_newspaper_would_print(where, tic):
    text = printed(where)
    found = [
        text[max(match.start() - 40, 0) : match.end() + 40]
        for match in re.finditer(tic, text, re.IGNORECASE)
    ]
    assert not found
