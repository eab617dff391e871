"""Estimates as rows of a table: id, label, unit, smallest effect seen, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.estimands.design import Design, attempt
from analysis.estimate import NO_TERM, Estimate
from analysis.estimators.power import detectable

if TYPE_CHECKING:
    from analysis.panel import Panel

COLUMNS = ["id", "label", "estimate", "std_error", "conf_low", "conf_high", "unit", "n", "mde", "reason"]


def as_rows(found: Estimate, terms: Mapping[str, tuple[str, str]] | None = None, unit: str = "") -> pd.DataFrame:
    """Return rows of an estimate in `COLUMNS`; `terms` gives each the id and the label it is to have, if not its name.

    `mde` is the smallest effect seen with a power of 80 per cent. A row without an error is a set, or has none for the
    estimate's own reason, which stands beside it. Rows of a refusal have the reason, `unit`, and no number.
    """
    terms = {term: (term, term) for term in found.terms} if terms is None else terms
    if found.terms == NO_TERM:
        rows = [{"id": name, "label": label, "unit": unit, "reason": found.reason} for name, label in terms.values()]
        return pd.DataFrame(rows, columns=COLUMNS)
    rows = found[list(terms)].rows
    rows["id"], rows["label"] = ([pair[place] for pair in terms.values()] for place in (0, 1))
    rows["unit"] = rows.get("unit", found.unit)
    rows["reason"] = np.where(rows["std_error"].isna(), found.reason, "")
    return rows.assign(mde=detectable(rows, level=found.level))[COLUMNS]


def answered(
    terms: Mapping[str, tuple[str, str]], unit: str, make: Callable[..., Estimate], *asked: Any, **options: Any
) -> pd.DataFrame:
    """Return :func:`as_rows` of what a verb estimates, or of its refusal."""
    return as_rows(attempt(make, *asked, **options), terms, unit)


def by_origin(
    make: Callable[..., Estimate], panel: Panel, design: Design, names: tuple[str, str], **options: Any
) -> dict[str, Estimate]:
    """Ask the same of firms of the design's origin and of all others, by what these are called.

    `make` is called with (panel, design, own_origin=..., **options), such as
    :func:`analysis.estimands.rivals.spillover`; a refusal is an Estimate with its reason.
    """
    return {
        name: attempt(make, panel, design, own_origin=own, **options)
        for name, own in zip(names, (True, False), strict=True)
    }


def rows_by_origin(
    found: Mapping[str, Estimate], terms: Mapping[str, str] | None = None, *, columns: Collection[str] = ()
) -> pd.DataFrame:
    """Return the rows of :func:`by_origin` in `COLUMNS`, with `origin` and `term`; a refusal is a row with its reason.

    Parameters
    ----------
    found : mapping of str to Estimate
    terms : mapping of str to str, optional
        Terms to keep, and what they are called; all where not given.
    columns : collection of str
        Further columns that rows have even if both are refused.
    """
    tables: list[pd.DataFrame] = []
    for name, one in found.items():
        if one.refused:
            tables.append(pd.DataFrame({"origin": [name], "label": [name], "reason": [one.reason]}))
            continue
        kept = one.rows if terms is None else one.rows[one.rows["term"].isin(list(terms))]
        said = name + ": " + kept["term"].map(lambda term: (terms or {}).get(term, term))
        reason = np.where(kept["std_error"].isna(), one.reason, "")
        ids = kept["id"] if "id" in kept else one.estimand + "_" + kept["term"]
        tables.append(kept.assign(id=ids, origin=name, label=said, unit=one.unit, reason=reason))
    wanted = dict.fromkeys([*COLUMNS, "origin", "term", *columns, *(name for one in tables for name in one.columns)])
    table = pd.concat([one.reindex(columns=list(wanted)) for one in tables], ignore_index=True)
    table = table.astype(dict.fromkeys(["id", "unit", "term"], object))  # text, even where both are refused
    level = next((one.level for one in found.values() if not one.refused), Design.level)
    return table.assign(mde=detectable(table, level=level))


def steps(values: Mapping[str, float], total: str) -> pd.DataFrame:
    """Return known parts and their sum, called `total`, as rows to draw: `term`, `estimate`."""
    return pd.DataFrame({"term": [*values, total], "estimate": [*values.values(), sum(values.values())]})
