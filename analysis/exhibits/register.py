"""The threat register on the page of a panel's report: what else happened in the months of the closures."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.exhibits.blocks import Block, note, table

COLUMNS = {"threat_id": "Id", "months": "When", "event": "What", "hits": "Hits", "threatens": "Threatens"}


def threats(register: pd.DataFrame, named: Sequence[str]) -> Block:
    """Return the table of those threats that an event names, or a line that it names none.

    Parameters
    ----------
    register : DataFrame
        As :func:`analysis.evidence.claims.threats`.
    named : sequence of str
        Their ids.
    """
    rows = register[register["threat_id"].isin(named)]
    if rows.empty:
        return note("The event names no threats.")
    return table(rows, "Threats of those months, by the event's own file.", columns=COLUMNS, provenance="real")
