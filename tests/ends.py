"""Each notebook's cells run in this process, with parameters at the ends of their ranges."""

import ast
import json
import os
import re
from contextlib import contextmanager, suppress
from functools import cache
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from matplotlib import pyplot as plt
from reading import read_json

from analysis import data, parameters
from analysis.evidence import claims, verdicts
from analysis.exhibits import report
from analysis.prose import NOT_SAID, UntrueError
from analysis.provenance import ROOT
from runner import document

FOLDER = ROOT / "notebooks"
NOTEBOOKS = [*sorted(FOLDER.glob("*.ipynb")), *sorted(FOLDER.glob("[a-z]*/*.ipynb"))]


def called(notebook):
    """The path of a notebook without its ending, such as panel/03_growth."""
    return notebook.relative_to(FOLDER).with_suffix("").as_posix()


@cache
def cells_of(notebook):
    """Return the kind of each cell, whether it is that of the parameters, and its source."""
    return [
        (
            cell["cell_type"],
            "parameters" in cell["metadata"].get("tags", []),
            "".join(cell["source"]),
        )
        for cell in read_json(notebook)["cells"]
    ]


def said(text, namespace):
    """Return the text of a Markdown cell with values, without the lines that are refused."""
    lines = list[str]()
    for line in text.split("\n"):
        with suppress(UntrueError):
            value = document.EXPRESSION.sub(lambda found: str(eval(found[1], namespace)), line)
            if NOT_SAID not in value:
                lines.append(value)
    return "\n".join(lines)


@cache
def statements_and_value(source, where):
    """Compile a cell's statements, and apart from them the expression that ends it, which a
    notebook would show.
    """
    tree = ast.parse(source)
    shown = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    value = compile(ast.Expression(shown.value), where, "eval") if shown else None
    return compile(tree, where, "exec"), value


def displayed(value):
    """Return what a notebook would show of a value."""
    if hasattr(value, "_repr_mimebundle_"):
        bundle = value._repr_mimebundle_()
        return str(bundle.get("text/html", bundle))
    if hasattr(value, "_repr_html_"):
        return value._repr_html_() or ""
    return repr(value)


@contextmanager
def working_in(folder):
    """Work in a folder, as a notebook's kernel does."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def run_cells(notebook, given):
    """Run a notebook's cells in one fresh namespace; after each yield its number and what it shows.

    The given parameters are set after the cell of the parameters, as papermill does. Number 0 is
    the setup cell, which checks the parameters.
    """
    namespace = {"__name__": "__main__"}
    number = -1
    shell = mock.patch.object(
        report, "get_ipython", return_value=SimpleNamespace(user_ns=namespace)
    )
    data.LOADED.clear()  # a kernel begins with none
    for kind, tagged, source in cells_of(notebook):
        if kind == "markdown":
            if number >= 0:
                number += 1
                yield number, said(source, namespace)
            continue
        statements, value = statements_and_value(source, f"{notebook.name}, cell {number + 1}")
        with working_in(notebook.parent), shell:
            exec(statements, namespace)
            if value:
                shown = displayed(eval(value, namespace))
            else:
                shown = ""
        if tagged:
            namespace.update(given)
        else:
            number += 1
            yield number, shown
    plt.close("all")


def judged(folder):
    """Write a verdict on every reading, for reports that read them, and return the folder."""
    every = data.load("readings").fillna("").to_dict("records")
    found = claims.Finding(margin=2.0)
    rows = verdicts.as_rows(
        [claims.judge(row["claim_id"], row["reading"], found) for row in every],
        as_of=data.newest()["vintage"],
        notebook="02_growth",
        resources=[],
    )
    text = json.dumps([{**row, "report": "02_growth"} for row in rows])
    (folder / "verdicts.json").write_text(text, encoding="utf-8")
    return folder


def declared(notebook):
    """Return the fields of a notebook's parameters by name."""
    return parameters.parameter_model(notebook).model_fields


def displayed_text(html):
    """Return the words of HTML, without its drawings."""
    bare = re.sub(r"<svg.*?</svg>|<[^>]+>", " ", html, flags=re.DOTALL)
    return " ".join(unescape(bare).split())
