"""The tables of an audit as files."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from analysis.facts import DATA

FILE = DATA / "audit.csv"
COVERED = DATA / "audit_covered.csv"
DIGITS = "%.6g"  # of a simulation's results, so that other machines write the same bytes


def write(table: pd.DataFrame, path: Path = FILE) -> bool:
    """Write a table of :func:`analysis.audit.summarise` or :func:`analysis.audit.shares` as CSV, whole or not at all.

    A column `provenance` says "simulated" in every row.

    Returns
    -------
    bool
        Whether the file is another than before, and so has to be accepted (``python -m analysis check --accept``).
    """
    marked = table.assign(provenance="simulated")
    content = marked.to_csv(index=False, float_format=DIGITS, lineterminator="\n").encode()
    if path.exists() and path.read_bytes() == content:
        return False
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_bytes(content)
    os.replace(draft, path)
    return True
