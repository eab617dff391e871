"""Cells of a notebook, and what they show."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HIDDEN = {"remove-cell", "parameters", "injected-parameters"}  # tags of cells to leave out
COUNTS = "market_impact_marks"  # in the metadata of an assembled notebook

Cell = dict[str, Any]


def cells(notebook: Path) -> list[Cell]:
    """Return the cells of a notebook."""
    found: list[Cell] = json.loads(notebook.read_bytes())["cells"]
    return found


def shown(cell: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what a cell shows: each output's data by kind, such as ``text/html``."""
    for output in cell.get("outputs", []):
        yield output.get("data", {})
