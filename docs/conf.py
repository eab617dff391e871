"""How ``make docs`` builds these pages from what code and data say of themselves.

This needs no network.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from pathlib import Path
from typing import Any

from docutils.nodes import SkipNode, literal_block
from docutils.utils.math.latex2mathml import tex2mathml
from jupyter_client import KernelManager

sys.path.insert(0, str(Path(__file__).parent))
os.environ["PATH"] = os.pathsep.join(
    [str(Path(sys.executable).parent), os.environ["PATH"]]
)  # `!python` in a cell

import made

KernelManager.transport_encryption.default_value = "auto"  # quiet about plain TCP
logging.getLogger("traitlets").setLevel(logging.WARNING)  # and about each page that runs

project = "Market-impact notebooks"
author = "the market-impact-notebooks authors"
copyright = f"2026, {author}"
extensions = ["myst_nb", "sphinx.ext.autodoc", "numpydoc"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_in_temp = True
nb_execution_timeout = 120
nb_execution_raise_on_error = True
nb_execution_excepthook = "never"
autodoc_typehints = "none"  # numpydoc prints the types that docstrings give
numpydoc_show_class_members = False
default_role = "code"  # a name between single backticks in a docstring
toc_object_entries = False
html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["own.css"]
html_copy_source = False
html_math_renderer = "mathml"


def fill(app: Any, name: str, source: list[str]) -> None:
    """Put what is made from data in place of its mark."""
    for mark, make in made.PARTS.items():
        if (place := f"<!-- {mark} -->") in source[0]:
            source[0] = source[0].replace(place, make())


def colour(app: Any, tree: Any, name: str) -> None:
    """Colour a cell that writes a map or an event as YAML."""
    for cell in tree.findall(literal_block):
        if re.match(r"%%writefile \S+\.yml\n", cell.astext()):
            cell.attributes |= {"language": "yaml", "force": True}  # for the first line is none


def formula(self: Any, node: Any) -> None:
    """Write a formula as MathML, which browsers draw themselves."""
    self.body.append(tex2mathml(node.astext(), as_block=node.tagname == "math_block"))
    raise SkipNode


def setup(app: Any) -> None:
    """Tell Sphinx of these."""
    app.connect("source-read", fill)
    app.connect("doctree-resolved", colour)
    app.add_html_math_renderer("mathml", (formula, None), (formula, None))
