"""The marks beside numbers, counted in an executed notebook: ● real, ◐ estimated, ○ simulated."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

NAMES = {"●": "real", "◐": "estimated", "○": "simulated"}
HIDDEN = {"remove-cell", "parameters", "injected-parameters"}  # tags of cells that are not printed
# A number, at most its unit, and the mark; what is said about the marks has no number before them.
_MARKED = re.compile(r"\d[^<>\d●◐○.,;:]{0,40}([●◐○])")


def count(notebook: Path) -> dict[str, int]:
    """Count the marked numbers that an executed notebook prints, by the name of their mark."""
    found = Counter(
        mark
        for cell in json.loads(notebook.read_bytes())["cells"]
        if not HIDDEN & set(cell["metadata"].get("tags", []))
        for text in _shown(cell)
        for mark in _MARKED.findall(unescape(text))
    )
    return {name: found[mark] for mark, name in NAMES.items()}


def shares(notebook: Path) -> str:
    """Say how many numbers of a report are real, estimated and simulated; nothing if it marks none."""
    counts = count(notebook)
    total = sum(counts.values())
    if total == 0:
        return ""
    parts = (f"{counts[name]} {name} {mark} ({counts[name] / total:.0%})" for mark, name in NAMES.items())
    return f"Numbers in this report: {', '.join(parts)}"


def _shown(cell: dict[str, Any]) -> Iterator[str]:
    for output in cell.get("outputs", []):
        html = output.get("data", {}).get("text/html", "")
        yield html if isinstance(html, str) else "".join(html)
