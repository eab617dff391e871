"""Estimands that public figures cannot carry, and what is missing for each: printed as rows, never left out."""

from __future__ import annotations

import pandas as pd

from analysis.errors import DesignError
from analysis.numbers import NOT_ESTIMABLE

# (id, effect, why not), by the report that would answer on public figures.
MISSING = {
    "03": (
        ("E1b", "closed firms' sales on Amazon", "Owners publish revenue over all platforms, not by platform."),
        ("E1c", "own closure, rivals' closures given", "It takes spared firms in the closed ones' own categories."),
        ("E1d", "months that closed firms live on", "Sellers with yearly accounts are those that lived on."),
        ("E1", "event study by month, with bands", "Revenue is published by year."),
    ),
    "05": (
        ("E3s", "effect on the Chinese share of sales", "Published shares are of top sellers, and of one world only."),
        ("E3k", "parts: closed, spared, stopped, entered", "No sales by firm are published, nor by what became of it."),
        ("E5d", "entry by exposure", "Entrants are not published by category."),
    ),
    "06": (
        ("E4a", "relocation of closed firms' sales", "No sales of closed firms on the destinations are published."),
        ("E4b, E4e", "recapture by rivals, beyond their size", "No sales of rivals by category are published."),
        ("E4c", "of each 100 dollars lost, seven parts", "Neither the loss nor any of its parts is published."),
        ("E4d", "change of closed firms' platform mix", "One closed survivor publishes Amazon's share, for two years."),
        ("E5c", "spared firms joining other platforms", "No presence by firm, platform and month is published."),
    ),
}


CAPTION = (
    "Estimands of this question that public figures cannot carry. A panel of firms could: see the same report on one."
)
COLUMNS = {"id": "Code", "effect": "Effect", "answer": "Estimate", "why": "What is missing"}


def out_of_reach(report: str) -> pd.DataFrame:
    """Return what a report cannot estimate from public figures: `id`, `effect`, `answer`, `why`.

    Parameters
    ----------
    report : str
        Number of the notebook, such as ``"05"``.

    Raises
    ------
    DesignError
        If no public figures are read by that report.
    """
    if report not in MISSING:
        raise DesignError(
            f"what report {report!r} cannot estimate was asked for; there are {', '.join(MISSING)}; name one"
        )
    rows = pd.DataFrame(MISSING[report], columns=["id", "effect", "why"])
    return rows.assign(answer=NOT_ESTIMABLE)
