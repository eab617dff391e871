"""Grades of estimates, from an audit of the methods on simulated panels."""

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
DOUBTED = f"{NOT_GRADED}: the panel is doubtful"
STILL_SOLD = "those still sold"  # real purchase data keep titles only of products still on sale
FEW = "few_treated"  # market preset with a handful of closed groups


def plausible(closed: float | None, audit: pd.DataFrame) -> tuple[str, ...]:
    """Return the presets that a real panel may resemble.

    These are the market's presets, except ``null``, in which closures change nothing although
    closed accounts do not sell, and some plain and heavy presets, chosen by the number of closed
    firms, which is known before any estimation.

    Parameters
    ----------
    closed : float or None
        Number of closed firms in the panel. Those nearest in number, on a log scale, are added, and
        ``few_treated`` if it is nearer than all market presets. None means unknown, and adds all
        presets.
    audit : DataFrame
        Table with `preset` and `closed`, the mean number of closed firms in a panel.
    """
    kinds = panels()[panels()["effect"]]
    plain = kinds[kinds["judge"] != "market"]
    market = kinds.index[kinds["judge"] == "market"].drop(FEW)
    if closed is None:
        return (*market, FEW, *plain.index)
    number = audit.groupby("preset")["closed"].first()
    away = (number.map(math.log) - math.log(max(closed, 1))).abs()
    if FEW in away and away[FEW] < away.reindex(market).min():
        few = [FEW]
    else:
        few = []
    distance = away[away.index.isin(plain.index)]
    nearest = plain["groups"].reindex(distance.index[distance == distance.min()])
    return (*market, *few, *plain.index[plain["groups"].isin(nearest)])


def worst(preset: str, closed: float | None, *, audit: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the design audit's grade for each estimand, with the preset and judge behind it.

    A judge is a simulator of panels: the market, or one of two plainer models.

    Parameters
    ----------
    preset : str
        Preset of the simulated market. If empty, for a user's panel, the result is the worst grade
        over the :func:`plausible` presets of all judges, ignoring presets without a grade.
    closed : float or None
        Number of closed firms in the panel; see :func:`plausible`.
    audit : DataFrame, optional
        Table of grades; ``data/audit.csv`` by default.

    Returns
    -------
    DataFrame
        By `id`: `grade`, and the `preset` and `judge` behind it, with the lowest coverage if there
        are several.
    """
    if audit is None:
        table = data.load("audit")
    else:
        table = audit
    presets = [preset] if preset else plausible(closed, table)
    graded = table[table["grade"].isin(GRADES) & table["preset"].isin(presets)]
    graded = graded.assign(
        judge=judge_of_preset(graded["preset"]), order=graded["grade"].map(GRADES.index)
    )
    ordered = graded.sort_values(["order", "coverage"], ascending=[False, True], kind="stable")
    return ordered.drop_duplicates("id").set_index("id")[["grade", "preset", "judge"]]


def household_grade(name: str) -> dict[str, str]:
    """Return the worst grade for a household estimand, and the simulated market behind it.

    Both come from ``data/households/audit.csv``; their keys are fields of
    :class:`analysis.evidence.claims.Finding`.
    """
    audit = data.load("household_audit").query("titles == @STILL_SOLD and id == @name")
    row = audit.loc[audit["coverage"].idxmin()]
    return {"grade": row["grade"], "graded": f"twins of a market with {closures(row['preset'])}"}


def too_early(rows: pd.DataFrame, sample: Sample) -> pd.Series:
    """Flag rows whose window begins before the last closure.

    No window in the audit does.
    """
    if sample.still_open:
        return rows["months"] == sample.window
    return pd.Series(False, rows.index)


def judge_of_preset(presets: pd.Series) -> pd.Series:
    """Return the judge of each preset, "market", "plain" or "heavy"."""
    return presets.map(panels()["judge"])
