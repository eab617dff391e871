"""Grades beside estimates: the simulated panels that a panel could be, and the worst grade of the audit there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from analysis import data
from analysis.evidence.verdicts import DO_NOT_USE, NOT_GRADED, USABLE, WITH_BOUNDS
from analysis.simulated import closures, panels

if TYPE_CHECKING:
    from analysis.estimands.design import Sample

GRADES = (USABLE, WITH_BOUNDS, DO_NOT_USE)
TOO_EARLY = f"{NOT_GRADED}: the window begins before the last wave"
STILL_SOLD = "those still sold"  # titles that real purchases have: those of products that can still be bought
FEW = "few_treated"  # the market's preset with a handful of closed groups


def plausible(closed: float | None, audit: pd.DataFrame) -> tuple[str, ...]:
    """Return the presets that a real panel could be.

    They are those of the market, without ``null``, where closures are dated and change nothing, but a closed account
    does not sell; and by the number of closed firms, which is seen before anything is estimated, some of the others.

    Parameters
    ----------
    closed : float or None
        Closed firms of the panel. By their number, on the log scale, the nearest plain presets join; and
        ``few_treated``, where it is nearer than any of the market's. None where it is not known: then all of them.
    audit : DataFrame
        With `preset` and `closed`, the mean number of closed firms of a panel.
    """
    kinds = panels()[panels()["effect"]]
    plain = kinds[kinds["judge"] == "plain"]
    market = kinds.index[kinds["judge"] == "market"].drop(FEW)
    if closed is None:
        return (*market, FEW, *plain.index)
    number = audit.groupby("preset")["closed"].first()
    away = (number.map(math.log) - math.log(max(closed, 1))).abs()
    few = [FEW] if FEW in away and away[FEW] < away.reindex(market).min() else []
    distance = away[away.index.isin(plain.index)]
    nearest = plain["groups"].reindex(distance.index[distance == distance.min()])
    return (*market, *few, *plain.index[plain["groups"].isin(nearest)])


def worst(preset: str, closed: float | None, *, audit: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the grade that the design audit gives each estimator, and where it comes from.

    Parameters
    ----------
    preset : str
        Preset of the simulated market. Empty for a panel that was brought: then the worst grade over the presets of
        both judges that it could be, :func:`plausible`; presets that give no grade are passed over.
    closed : float or None
        Closed firms of the panel; see :func:`plausible`.
    audit : DataFrame, optional
        The table to read grades from; ``data/audit.csv`` where not given.

    Returns
    -------
    DataFrame
        By `id`: `grade`, and the `preset` and `judge` that give it, of several the one of least coverage.
    """
    table = data.load("audit") if audit is None else audit
    presets = [preset] if preset else plausible(closed, table)
    graded = table[table["grade"].isin(GRADES) & table["preset"].isin(presets)]
    graded = graded.assign(judge=judge(graded["preset"]), order=graded["grade"].map(GRADES.index))
    ordered = graded.sort_values(["order", "coverage"], ascending=[False, True], kind="stable")
    return ordered.drop_duplicates("id").set_index("id")[["grade", "preset", "judge"]]


def of_households(name: str) -> dict[str, str]:
    """Return the worst grade of an estimand of households, and the simulated market that gives it.

    Read from ``data/households/audit.csv``, as :func:`analysis.evidence.claims.judge` takes them.
    """
    audit = data.load("household_audit").query("titles == @STILL_SOLD and id == @name")
    row = audit.loc[audit["coverage"].idxmin()]
    return {"grade": row["grade"], "graded": f"twins of a market with {closures(row['preset'])}"}


def too_early(rows: pd.DataFrame, sample: Sample) -> pd.Series:
    """Mark the rows that are of the window where that begins before all firms are closed, as in no audited panel."""
    return rows["months"] == sample.window if sample.still_open else pd.Series(False, rows.index)


def judge(presets: pd.Series) -> pd.Series:
    """Return which judge has each preset: "market" or "plain"."""
    return presets.map(panels()["judge"])
