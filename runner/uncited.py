"""List the public figures that no report in a release uses.

Each is given with its reason in ``unused.csv`` of its event.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from analysis import data
from runner.exports import facts

REASONS = "unused"
NO_REASON = "no reason given; add a row to unused.csv"
KEYS = ["event_id", "claim_id"]


def uncited(release: Path, data_folder: Path) -> pd.DataFrame:
    """Return the rows of real figures that no report in a release uses.

    A row counts as unused if no report cites its address, or if ``unused.csv`` names it by its own
    id, since one address can hold several figures.

    Parameters
    ----------
    release : Path
        Folder with the executed notebooks.
    data_folder : Path
        Folder with ``datapackage.json``.

    Returns
    -------
    DataFrame
        `file`, `id` (empty where a file has none), `source_url` and `reason` (`NO_REASON` if there
        is none).

    Raises
    ------
    DataError
        If a file of figures differs from its descriptor.
    """
    cited = _cited(release)
    tables = [
        _unused(event, table, cited, data_folder)
        for event in data.events(data_folder)
        for table in data.tables(event, data_folder)
    ]
    return pd.concat([table for table in tables if len(table)], ignore_index=True)


def listed(rows: pd.DataFrame) -> list[str]:
    """Format the result of :func:`uncited`.

    There is a line for each id, or else for each address and reason of a file.
    """
    groups = rows.groupby(["file", "id", "source_url", "reason"], sort=False).size()
    lines = []
    for (file, row_id, address, reason), count in groups.items():
        what = row_id or f"{count} {'row' if count == 1 else 'rows'} from {address}"
        lines.append(f"{file}.csv: {what}: {reason}")
    return lines


def _cited(release: Path) -> set[str]:
    recorded = [facts(notebook)["value"] for notebook in sorted(release.rglob("*.ipynb"))]
    return {address for values in recorded for address in values}


def _unused(event: str, table: str, cited: set[str], data_folder: Path) -> pd.DataFrame:
    """Return the unused rows of one table of an event, with the first reason that fits each."""
    rows = data.load(f"{event}/{table}", root=data_folder)
    if "source_url" not in rows:
        return pd.DataFrame()
    if "provenance" in rows:
        rows = rows[rows["provenance"] == "real"]
    reason = pd.Series(NO_REASON, rows.index)
    named = pd.Series(False, rows.index)
    reasons = pd.DataFrame({"file": [], "column": [], "words": [], "reason": []})
    if REASONS in data.tables(event, data_folder):
        reasons = data.load(REASONS, root=data_folder, event=event)
    for rule in (
        reasons[reasons["file"] == table].iloc[::-1].itertuples()
    ):  # the first that fits is written last
        fits = rows[rule.column].fillna("").str.contains(rule.words, regex=False)
        reason = reason.mask(fits, rule.reason)
        named |= fits & (rule.column in KEYS)
    key = next((column for column in KEYS if column in rows), None)
    found = pd.DataFrame(
        {
            "file": f"{event}/{table}",
            "id": rows[key] if key else "",
            "source_url": rows["source_url"],
        }
    )
    found["source_url"] = found["source_url"].fillna("no address")
    return found.assign(reason=reason)[named | ~rows["source_url"].isin(cited)]
