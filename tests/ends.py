"""Each notebook's code cells run in this process, with parameters at the ends of their ranges."""

import ast
import os
import re
from contextlib import contextmanager
from functools import cache
from html import unescape
from pathlib import Path

from matplotlib import pyplot as plt
from reading import read_json

from analysis import parameters
from analysis.provenance import ROOT

NOTEBOOKS = [
    *sorted((ROOT / "notebooks").glob("*.ipynb")),
    *sorted((ROOT / "notebooks" / "examples").glob("*.ipynb")),
]


@cache
def code_cells(notebook):
    """Return a notebook's code cells in order, each with whether it is that of the parameters."""
    cells = read_json(notebook)["cells"]
    return [
        ("parameters" in cell["metadata"].get("tags", []), "".join(cell["source"]))
        for cell in cells
        if cell["cell_type"] == "code"
    ]


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
    """Run a notebook's code cells in one fresh namespace; after each yield its number and what it
    shows.

    The given parameters are set after the cell of the parameters, as papermill does. Number 0 is
    the setup cell, which checks the parameters.
    """
    namespace = {"__name__": "__main__"}
    number = -1
    for tagged, source in code_cells(notebook):
        statements, value = statements_and_value(source, f"{notebook.name}, cell {number + 1}")
        with working_in(notebook.parent):
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


def declared(notebook):
    """Return the fields of a notebook's parameters by name."""
    return parameters.parameter_model(notebook).model_fields


def displayed_text(html):
    """Return the words of HTML, without its drawings."""
    bare = re.sub(r"<svg.*?</svg>|<[^>]+>", " ", html, flags=re.DOTALL)
    return " ".join(unescape(bare).split())
