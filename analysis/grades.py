"""The grade of an estimator, by rule; the grades of the design audit beside estimates; and its cells, to be drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis import data
from analysis.market.parameters import PRESETS

USABLE, WITH_BOUNDS, DO_NOT_USE = "usable", "usable with bounds", "do not use"
GRADES = (USABLE, WITH_BOUNDS, DO_NOT_USE)
NOT_GRADED = "not graded"
SHORT = dict(zip((*GRADES, NOT_GRADED), ("yes", "bounds", "no", "–"), strict=True))

LOST = 0.03  # coverage that a bias of half a spread takes from a 95 % interval: P(|Z + 0.5| < 1.96) = 0.92
LOST_WITH_BOUNDS = 0.10  # three misses where one is due: errors a quarter too small, or a bias of nine tenths
MOST_BIAS = 0.5  # of the spread
TOO_SMALL = 0.85  # mean standard error over the spread
FEWEST = 20  # markets; with fewer, one miss moves coverage by more than the rule's steps

FEW = "few_treated"
PLAUSIBLE = tuple(preset for preset in PRESETS if preset not in ("null", FEW))
"""Presets that a real market could be, and nobody can tell which, if more than a handful of firms are closed.

Not ``null``: there closures are dated and change nothing, but a closed account does not sell. ``few_treated`` joins
where the number of closed firms, which is seen before anything is estimated, is as small as there: :func:`plausible`.
"""

PATH = "E1a_path"
ROUNDING = 1e-9  # a truth nearer to zero, in per cent or points, is zero: sums of sales cancel to some 1e-14
POWER_COLUMNS = {
    **{"id": "Estimand", "truth": "Mean truth", "mde": "Smallest effect seen", "mde_mc": "MC"},
    **{"rejection": "Power", "rejection_mc": "MC", "type_s": "Type S", "type_s_mc": "MC"},
    **{"type_m": "Type M, ratio", "type_m_mc": "MC"},
}
"""Columns of `power` and their headers."""
BIAS, RMSE = "bias over spread", "RMSE"
Cells = tuple[pd.DataFrame, npt.NDArray[np.int64], int | None]
"""Numbers by estimand and preset, their shade from 0 to 2, and decimals (None: two digits)."""


def grade(row: Mapping[str, Any]) -> str:
    """Grade one row of :func:`analysis.audit.summarise`.

    - *Usable*: intervals hold the truth at most 3 points less often than they say (92 per cent where they say 95), and
      the bias is at most half the spread. Point and interval can be read.
    - *Usable with bounds*: at most 10 points less often, whatever the bias. Read the interval, not the point.
    - *Do not use*: less often.
    - *Not graded*: fewer than `FEWEST` markets give an interval and a truth.

    The two limits of *usable* are one: a bias of half a spread, with right errors, takes just those 3 points. The limit
    on bias is there because wide intervals hide a bias: they cover, and the point is wrong. Nothing is taken off for
    intervals that are too wide; such a design is honest and weak, which the detectable effect says.

    What is observed is held against the limits as it is. A slack of two Monte Carlo errors, which this rule once gave,
    rewards ignorance: with 30 markets a coverage of 80 per cent would pass as 92. The price is that an estimator at a
    limit changes its grade from one run to the next; with 200 markets the Monte Carlo error of a coverage of 95 per
    cent is 1.5 points, so a right one falls short of 92 in about one run of forty.
    """
    if not row["markets"] >= FEWEST:
        return NOT_GRADED
    lost = round(row["level"] - row["coverage"], 9)  # 0.95 less 0.92 is 0.03
    if lost > LOST_WITH_BOUNDS:
        return DO_NOT_USE
    return USABLE if lost <= LOST and abs(row["bias"]) <= MOST_BIAS * row["sd"] else WITH_BOUNDS


def reason(row: Mapping[str, Any]) -> str:
    """Say why a row is not usable: its largest fault, or why it has no grade; empty where it is usable."""
    given = grade(row)
    if given == USABLE:
        return ""
    if given == NOT_GRADED:
        without = "truth not defined" if row["undefined"] else "not estimable"
        return f"fewer than {FEWEST} markets" if row["markets"] else without
    if abs(row["bias"]) > MOST_BIAS * row["sd"]:
        return f"bias of {row['bias'] / row['sd']:+.1f} spreads".replace("-", "−")
    return "errors too small" if row["mean_error"] < TOO_SMALL * row["sd"] else "skewed, or few closed groups"


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


def beside(rows: pd.DataFrame, preset: str, closed: float | None, *, audit: pd.DataFrame | None = None) -> pd.DataFrame:
    """Put beside each estimate the grade that the design audit gives its estimator.

    Parameters
    ----------
    rows : DataFrame
        With a column `id`.
    preset : str
        Preset of the simulated market. Empty for a panel that was brought: then the worst grade over the presets that
        its market could be, :func:`plausible`; presets that give no grade are passed over.
    closed : float or None
        Closed firms of the panel; see :func:`plausible`.
    audit : DataFrame, optional
        The table to read grades from; ``data/audit.csv`` where not given.

    Returns
    -------
    DataFrame
        `rows` with the column `grade`, "not graded" where the audit does not know the id.
    """
    table = data.load("audit") if audit is None else audit
    presets = [preset] if preset else plausible(closed, table)
    graded = table[table["grade"].isin(GRADES) & table["preset"].isin(presets)]
    worst = graded.groupby("id")["grade"].agg(lambda grades: max(grades, key=GRADES.index))
    return rows.assign(grade=rows["id"].map(worst).fillna(NOT_GRADED))


def overview(audit: pd.DataFrame) -> pd.DataFrame:
    """Return all grades of an audit in short: a row per estimand, a column per preset, and `panel`, the worst.

    "yes" usable, "bounds" usable with bounds, "no" do not use, "–" not graded.
    """
    wide = audit.pivot(index="id", columns="preset", values="grade")
    wide = wide.reindex(index=audit["id"].unique(), columns=audit["preset"].unique()).reset_index()
    panel = beside(wide, "", None, audit=audit)["grade"]
    return wide.assign(panel=panel).replace(SHORT).fillna(SHORT[NOT_GRADED])


def grid(table: pd.DataFrame, column: str, like: pd.DataFrame) -> pd.DataFrame:
    """Return a column of an audit by estimand (rows) and preset, in the order of another; missing where absent."""
    wide = table.pivot(index="id", columns="preset", values=column)
    return wide.reindex(index=like["id"].unique(), columns=like["preset"].unique())


def coverage_cells(table: pd.DataFrame, limits: tuple[float, float]) -> Cells:
    """Return per cent of intervals that hold the truth by estimand (rows) and preset, darker below each limit."""
    shares = grid(table, "coverage", table)
    return 100 * shares, 2 - np.digitize(shares, limits), 0


def error_cells(table: pd.DataFrame) -> dict[str, Cells]:
    r"""Return bias over spread and RMSE by estimand (rows) and preset, with shades and decimals, to draw as cells.

    The bias is darker beyond `MOST_BIAS` and twice that; its Monte Carlo error is :math:`1/\sqrt n` spreads in every
    cell of n markets, since that of the bias is :math:`s_e/\sqrt n`. The RMSE is darker where it is more than half the
    mean true effect, and more than all of it.
    """
    rows = table.assign(
        scaled=table["bias"] / table["sd"].where(table["sd"] > 0),
        size=table["rmse"] / table["truth"].abs().where(table["truth"].abs() > ROUNDING),
    )
    scaled, size = grid(rows, "scaled", table), grid(rows, "size", table)
    return {
        BIAS: (scaled, np.digitize(scaled.abs(), (MOST_BIAS, 2 * MOST_BIAS)), 1),
        RMSE: (grid(rows, "rmse", table), np.digitize(size.fillna(0.0), (0.5, 1.0)), None),
    }


def power_cells(table: pd.DataFrame) -> dict[str, Cells]:
    """Return power, Type S (per cent) and Type M by estimand (rows) and preset, with shades and decimals.

    Only where the mean truth is not zero, and without the path, whose band is held against the truth. Darker: power
    below 80 and 50 per cent, Type S from 5 and 10 per cent, Type M from 1.5 and 2.
    """
    rows = table[(table["truth"].abs() > ROUNDING) & (table["id"] != PATH)]
    like = table[table["id"].isin(rows["id"]) & table["preset"].isin(rows["preset"])]
    power, sign, size = (grid(rows, name, like) for name in ("rejection", "type_s", "type_m"))
    return {
        "power": (100 * power, 2 - np.digitize(power, (0.5, 0.8)), 0),
        "Type S": (100 * sign, np.digitize(sign, (0.05, 0.1)), 0),
        "Type M": (size, np.digitize(size, (1.5, 2.0)), None),
    }


def largest_error(table: pd.DataFrame, measure: str, *, relative: bool = False) -> float:
    """Return the largest Monte Carlo error of a measure in any cell of an audit, over the measure if `relative`."""
    error = table[f"{measure}_mc"]
    return float((error / table[measure].abs() if relative else error).max())


def power(table: pd.DataFrame, preset: str) -> pd.DataFrame:
    """Return power, detectable effect and exaggeration of the estimands in one preset, columns as `POWER_COLUMNS`.

    Shares in per cent; `small` says that the mean true effect is smaller than the smallest effect seen. Estimands
    without an answer there are left out, and so is the path, whose band is held against the truth and not against zero.
    """
    rows = table[(table["preset"] == preset) & (table["markets"] > 1) & (table["id"] != PATH)].reset_index(drop=True)
    shares = [name for name in POWER_COLUMNS if name.startswith(("rejection", "type_s"))]
    return rows.assign(**100 * rows[shares], small=rows["truth"].abs() < rows["mde"])


def tally(table: pd.DataFrame) -> dict[str, int]:
    """Count the cells of an audit by grade, in the order of `GRADES`, then those not graded."""
    return {word: int((table["grade"] == word).sum()) for word in (*GRADES, NOT_GRADED)}
