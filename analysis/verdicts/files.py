"""Verdict files: written whole or not at all, and read back only where they belong together."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import MISSING, asdict, fields, replace
from pathlib import Path
from typing import Any

from analysis import facts
from analysis.errors import DataError
from analysis.verdicts.record import Verdict

LIMITS = ("low", "high")  # an interval may be open to a side; JSON has no number for that


def _written(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as JSON can hold it: an infinite limit in words."""
    return row | {name: str(row[name]) for name in LIMITS if row[name] is not None and math.isinf(row[name])}


def _read(row: dict[str, Any]) -> Verdict:
    return Verdict(**row | {name: float(row[name]) for name in LIMITS if isinstance(row.get(name), str)})


def write(
    verdicts: Sequence[Verdict],
    path: str | Path,
    *,
    as_of: str,
    notebook: str,
    resources: Sequence[str],
    digests: Sequence[str] = (),
) -> None:
    """Write a notebook's verdicts as a JSON list, whole or not at all.

    Parameters
    ----------
    verdicts : sequence of Verdict
        In the order in which they are shown.
    path : path
        The file; its folder is made when missing.
    as_of, notebook : str
        Stamped on each verdict: date of knowledge, and who judged.
    resources : sequence of str
        Names of the files that were read, after datapackage.json; their digest is stamped too.
    digests : sequence of str
        Digests of the panels that were read; stamped on the verdicts as `panel`, joined.
    """
    parts = [*(facts.digest(name) for name in sorted(resources)), *sorted(digests)]
    inputs = hashlib.sha256("".join(parts).encode()).hexdigest()
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    panel = " ".join(sorted(digests))
    stamped = [
        asdict(replace(verdict, as_of=as_of, notebook=notebook, inputs=inputs, panel=panel)) for verdict in verdicts
    ]
    rows = [_written(row) for row in stamped]
    draft = target.with_name(f".{target.name}.tmp")
    draft.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(draft, target)


def read(folder: str | Path) -> list[Verdict]:
    """Read all verdicts of a run: of a published folder its verdicts.json, else every file, in the order of names.

    Raises
    ------
    DataError
        If there are none, a file is not a list of verdicts, they were made at different dates of knowledge, the
        simulated ones speak of different markets or those of tier panel of different panels, or one tier judges a
        reading twice.
    """
    whole = Path(folder) / "verdicts.json"
    files = [whole] if whole.exists() else sorted(Path(folder).glob("*.json"))
    if not files:
        raise DataError(f"the verdicts of a run were asked for; {folder} holds none; run make report first")
    found = [_read(row) for file in files for row in _rows(file)]
    dates = sorted({verdict.as_of for verdict in found})
    markets = sorted({verdict.market for verdict in found if verdict.simulated})
    panels = sorted({verdict.panel[:12] for verdict in found if verdict.tier == "panel"})
    for what, several in (("dates", dates), ("simulated markets", markets), ("panels with the digests", panels)):
        if len(several) > 1:
            raise DataError(
                f"{folder}: the verdicts of one run were asked for; found {what} {several}; run make report again, "
                "with one panel to a folder"
            )
    _refuse_twice(folder, found)
    return found


def _refuse_twice(folder: str | Path, found: Sequence[Verdict]) -> None:
    """Refuse a reading that one tier judges twice: nothing says which of the two holds."""
    judged = Counter((verdict.name, verdict.tier) for verdict in found)
    if twice := [f"{name} of tier {tier} {number} times" for (name, tier), number in judged.items() if number > 1]:
        raise DataError(
            f"{folder}: one verdict on each reading and tier was asked for; found {', '.join(twice)}; remove the file "
            "that another run left there, or let one notebook judge it"
        )


def _rows(file: Path) -> list[dict[str, Any]]:
    names = {field.name for field in fields(Verdict)}
    needed = {field.name for field in fields(Verdict) if field.default is MISSING}
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as broken:
        raise DataError(
            f"{file.name}: a list of verdicts was asked for; found no JSON ({broken}); run the notebook again"
        ) from broken
    if not isinstance(rows, list) or any(not isinstance(row, dict) for row in rows):
        raise DataError(f"{file.name}: a list of verdicts was asked for; found something else; run the notebook again")
    for row in rows:
        asked = f"{file.name}: a verdict was asked for"
        if unknown := sorted(set(row) - names):
            raise DataError(f"{asked}; found unknown keys {unknown}; run the notebook again")
        if absent := sorted(needed - set(row)):
            raise DataError(f"{asked}; it lacks {absent}; run the notebook again")
        if row["provenance"] == "simulated" and not row.get("market"):
            raise DataError(f"{asked}; it is simulated and names no market; run the notebook again")
        if row["tier"] == "panel" and not row.get("panel"):
            raise DataError(f"{asked}; it is of tier panel and names no panel; run the notebook again")
    return rows
