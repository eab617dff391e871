"""Estimates as rows of a table: id, label, unit, smallest effect seen, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.errors import DesignError
from analysis.estimate import Estimate
from analysis.estimators.power import detectable

COLUMNS = ["id", "label", "estimate", "std_error", "conf_low", "conf_high", "unit", "n", "mde", "reason"]


def as_rows(found: Estimate, terms: Mapping[str, tuple[str, str]]) -> pd.DataFrame:
    """Return rows of an estimate in `COLUMNS`; `terms` gives each the id and the label it is to have.

    `mde` is the smallest effect seen with a power of 80 per cent. A row without an error is a set, or has none for the
    estimate's own reason, which stands beside it.
    """
    rows = found[list(terms)].rows
    rows["id"], rows["label"] = ([pair[place] for pair in terms.values()] for place in (0, 1))
    rows["unit"] = rows.get("unit", found.unit)
    rows["reason"] = np.where(rows["std_error"].isna(), found.reason, "")
    return rows.assign(mde=detectable(rows, level=found.level))[COLUMNS]


def answered(
    terms: Mapping[str, tuple[str, str]], unit: str, make: Callable[..., Estimate], *asked: Any, **options: Any
) -> pd.DataFrame:
    """Return :func:`as_rows` of what a verb estimates; where it refuses, the rows have the reason and no number."""
    try:
        return as_rows(make(*asked, **options), terms)
    except DesignError as refusal:
        rows = [{"id": name, "label": label, "unit": unit, "reason": str(refusal)} for name, label in terms.values()]
        return pd.DataFrame(rows, columns=COLUMNS)


def by_origin(
    make: Callable[..., Estimate],
    panel: Any,
    design: Any,
    names: tuple[str, str],
    terms: Mapping[str, str] | None = None,
    *,
    columns: Collection[str] = (),
    **options: Any,
) -> tuple[pd.DataFrame, dict[str, Estimate]]:
    """Ask the same of firms of the design's origin and of all others; a refusal becomes a row with its reason.

    Parameters
    ----------
    make : callable
        From (panel, design, own_origin=...) to an Estimate, such as :func:`analysis.estimands.rivals.spillover`.
    panel, design
    names : pair of str
        What firms of the origin, and all others, are called.
    terms : mapping of str to str, optional
        Terms to keep, and what they are called; all where not given.
    columns : collection of str
        Further columns that rows have even if both are refused.
    **options
        Passed on.

    Returns
    -------
    rows : DataFrame
        In `COLUMNS`, with `origin` (a name) and `term` besides; `id` such as "E2a_slope".
    made : dict of str to Estimate
        By name.
    """
    tables: list[pd.DataFrame] = []
    made: dict[str, Estimate] = {}
    for name, own in zip(names, (True, False), strict=True):
        try:
            found = make(panel, design, own_origin=own, **options)
        except DesignError as refusal:
            tables.append(pd.DataFrame({"origin": [name], "label": [name], "reason": [str(refusal)]}))
            continue
        kept = found.rows if terms is None else found.rows[found.rows["term"].isin(list(terms))]
        said = name + ": " + kept["term"].map(lambda term: (terms or {}).get(term, term))
        reason = np.where(kept["std_error"].isna(), found.reason, "")
        ids = kept["id"] if "id" in kept else found.estimand + "_" + kept["term"]
        tables.append(kept.assign(id=ids, origin=name, label=said, unit=found.unit, reason=reason))
        made[name] = found
    wanted = dict.fromkeys([*COLUMNS, "origin", "term", *columns, *(name for one in tables for name in one.columns)])
    table = pd.concat([one.reindex(columns=list(wanted)) for one in tables], ignore_index=True)
    table = table.astype(dict.fromkeys(["id", "unit", "term"], object))  # text, even where both are refused
    return table.assign(mde=detectable(table, level=design.level)), made
