"""The grades of the design audit, beside the estimates that they speak of."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from analysis import facts
from analysis.audit.grading import GRADES, NOT_GRADED
from analysis.errors import DesignError
from analysis.facts import DATA
from analysis.market.parameters import PRESETS

FEW = "few_treated"
PLAUSIBLE = tuple(preset for preset in PRESETS if preset not in ("null", FEW))
"""Presets that a real market could be, and nobody can tell which, if more than a handful of firms are closed.

Not ``null``: there closures are dated and change nothing, but a closed account does not sell. ``few_treated`` joins
where the number of closed firms, which is seen before anything is estimated, is as small as there: :func:`plausible`.
"""

SHORT = dict(zip((*GRADES, NOT_GRADED), ("yes", "bounds", "no", "–"), strict=True))


def read(root: Path = DATA) -> pd.DataFrame:
    """Read ``data/audit.csv``: one row per preset and estimand, as :func:`analysis.audit.summarise`.

    Raises
    ------
    DataError
        If the file is missing, or is not what its card says.
    """
    return facts.load("audit", root=root)


def plausible(closed: float | None, audit: pd.DataFrame) -> tuple[str, ...]:
    """Return the presets that the market of a real panel could be.

    Parameters
    ----------
    closed : float or None
        Closed firms of the panel: where it is nearer to that of ``few_treated`` than to that of any of `PLAUSIBLE`, on
        the log scale, ``few_treated`` is one of them too. None for a panel of which no number is known.
    audit : DataFrame
        With `preset` and `closed`, the mean number of closed firms of a panel.
    """
    if closed is None:
        return PLAUSIBLE
    mean = audit.groupby("preset")["closed"].first().map(math.log)
    away = (mean - math.log(max(closed, 1))).abs()
    near = FEW in away and away[FEW] < away.reindex(PLAUSIBLE).min()
    return (*PLAUSIBLE, FEW) if near else PLAUSIBLE


def covered(root: Path = DATA) -> pd.DataFrame:
    """Read ``data/audit_covered.csv``: how many truths lie inside their intervals, as :func:`analysis.audit.shares`.

    Raises
    ------
    DataError
        If the file is missing, or is not what its card says.
    """
    return facts.load("audit_covered", root=root)


def beside(rows: pd.DataFrame, preset: str, closed: float | None, *, audit: pd.DataFrame | None = None) -> pd.DataFrame:
    """Put beside each estimate the grade that the design audit gives its estimator.

    Parameters
    ----------
    rows : DataFrame
        With a column `id`, such as the rows of :func:`analysis.estimands.answers.answers`.
    preset : str
        Preset of the simulated market. Empty for a panel that was brought: then the worst grade over the presets that
        its market could be, :func:`plausible`; presets that give no grade are passed over.
    closed : float or None
        Closed firms of the panel; see :func:`plausible`.
    audit : DataFrame, optional
        The table to read grades from; that of :func:`read` where not given.

    Returns
    -------
    DataFrame
        `rows` with the columns `grade`, "not graded" where the audit does not know the id, and `grade_from`, the
        presets in which it is that bad.

    Raises
    ------
    DesignError
        If there is no such preset.
    """
    if preset and preset not in PRESETS:
        raise DesignError(
            f"grades in the preset {preset!r} were asked for; there are {', '.join(PRESETS)}; name one of these, or "
            "none for a real panel"
        )
    table = read() if audit is None else audit
    presets = [preset] if preset else plausible(closed, table)
    graded = table[table["grade"].isin(GRADES) & table["preset"].isin(presets)]
    by_id = {str(name): _worst(group) for name, group in graded.groupby("id")}
    found = [by_id.get(name, (NOT_GRADED, "")) for name in rows["id"]]
    return rows.assign(grade=[grade for grade, _ in found], grade_from=[presets for _, presets in found])


def overview(audit: pd.DataFrame) -> pd.DataFrame:
    """Return all grades of an audit in short: a row per estimand, a column per preset, and `panel`, the worst.

    "yes" usable, "bounds" usable with bounds, "no" do not use, "–" not graded.
    """
    wide = audit.pivot(index="id", columns="preset", values="grade")
    wide = wide.reindex(index=audit["id"].unique(), columns=audit["preset"].unique()).reset_index()
    panel = beside(wide, "", None, audit=audit)["grade"]
    return wide.assign(panel=panel).replace(SHORT).fillna(SHORT[NOT_GRADED])


def _worst(group: pd.DataFrame) -> tuple[str, str]:
    grade = max(group["grade"], key=GRADES.index)
    return grade, ", ".join(group.loc[group["grade"] == grade, "preset"])
