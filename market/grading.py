"""Grade estimators, and summarise an audit for the reports."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd
from fewtreated.testing import POWER

from analysis.evidence.verdicts import DO_NOT_USE, NOT_GRADED, USABLE, WITH_BOUNDS
from analysis.grades import judge_of_preset, plausible
from analysis.numbers import number, quantity, span
from analysis.simulated import panels
from market.parameters import in_words

# loss of coverage of a 95 % interval from a bias of half a standard deviation: P(|Z + 0.5| < 1.96)
# = 0.92
LOST = 0.03
# three times the expected misses: standard errors a quarter too small, or a bias of 0.9 sd
LOST_WITH_BOUNDS = 0.10
MOST_BIAS = 0.5  # in standard deviations
MOST_OF_EFFECT = 0.25  # bias over the effect of interest
MARGINS = {
    "E3g": 2.0,
    "E3g_seen": 2.0,
    "E3g_common": 2.0,
    "E3s_seen": 1.0,
}  # points that matter, as in report 02
EXAGGERATES = 2.0  # Type M error at or above which a significant estimate misleads
RIGHT_ERRORS = (0.8, 1.5)  # mean standard error over the standard deviation
FEWEST = 20  # markets; with fewer, one miss moves coverage by more than the rule's steps
PATH = "E1a_path"
# a truth nearer to zero, in per cent or points, is zero: sums of sales cancel to some 1e-14
ROUNDING = 1e-9

_EFFECT = panels()[panels()["effect"]]
MANY = tuple(
    _EFFECT.index[(_EFFECT["judge"] == "plain") & (_EFFECT["groups"] == _EFFECT["groups"].max())]
)
"""Plain presets with about as many closed firms as the market with large closures."""
SIZES: dict[str, str] = panels()["size"].dropna().to_dict()
"""Labels of presets, which describe the closed share of the origin's sales."""
TRENDING = ("pretrend", "stress")
"""Presets in which closures hit categories whose demand was falling anyway."""
QUESTIONS = in_words("question")
"""Questions that reports panel_01 to panel_04 ask of a panel, by estimand."""
MOSTLY = 100 * POWER  # per cent of panels at or above which a question is mostly answered


def grade(row: Mapping[str, Any]) -> str:
    """Return the grade of a row from :func:`market.audit.summarise`.

    - *Usable*: intervals cover the truth at most 3 points less often than stated (92 per cent
      instead of 95), and the row has none of the :func:`faults`. Both the point estimate and the
      interval can be used.
    - *Usable with bounds*: at most 10 points less often, whatever the faults. Use the interval, not
      the point estimate.
    - *Do not use*: even less often.
    - *Not graded*: fewer than `FEWEST` markets have both an interval and a truth.

    Observed coverage is compared with the limits without slack. A slack of two Monte Carlo errors,
    which this rule once allowed, rewards ignorance: with 30 markets a coverage of 80 per cent would
    pass as 92. The price is that an estimator near a limit can change its grade from one run to the
    next: with 200 markets the Monte Carlo error of a coverage of 95 per cent is 1.5 points, so a
    correct estimator falls short of 92 in about one run in forty.
    """
    if not row["markets"] >= FEWEST:
        return NOT_GRADED
    lost = round(row["level"] - row["coverage"], 9)  # 0.95 less 0.92 is 0.03
    if lost > LOST_WITH_BOUNDS:
        return DO_NOT_USE
    if lost > LOST or faults(row):
        return WITH_BOUNDS
    return USABLE


def faults(row: Mapping[str, Any]) -> list[str]:
    """Return a row's faults other than low coverage.

    Wide intervals can hide these faults:

    - The bias is more than half a standard deviation: with correct standard errors it costs 3
      points of coverage. Or it is more than a quarter of the effect of interest: the mean true
      effect or, if that is zero, the project's margin (`MARGINS`) or else the smallest detectable
      effect.
    - The mean standard error is less than 0.8 times the standard deviation, or more than 1.5 times.
    - Estimates whose interval excludes zero are on average at least twice their truth (Type M
      error).
    """
    reasons = []
    bias = abs(row["bias"])
    what = "mean true effect"
    size = abs(row["truth"])
    if size <= ROUNDING:
        what, size = (
            ("margin", MARGINS[row["id"]])
            if row["id"] in MARGINS
            else ("smallest effect seen", row["mde"])
        )
    if bias > MOST_BIAS * row["sd"]:
        reasons.append(f"bias of {row['bias'] / row['sd']:+.1f} spreads".replace("-", "−"))
    elif bias > MOST_OF_EFFECT * size:
        reasons.append(f"bias of {bias / size:.2g} times the {what}")
    if row["mean_error"] < RIGHT_ERRORS[0] * row["sd"]:
        reasons.append("errors too small")
    if row["mean_error"] > RIGHT_ERRORS[1] * row["sd"]:
        reasons.append("errors too large")
    if row["type_m"] >= EXAGGERATES:
        reasons.append(f"exaggerates {row['type_m']:.1f} times")
    return reasons


def reason(row: Mapping[str, Any], cause: str = "") -> str:
    """Return the reason for a row's grade, or an empty string if the row is usable.

    The reason lists the row's faults, with the `cause` of a bias.
    """
    grade_ = grade(row)
    if grade_ == NOT_GRADED:
        if row["undefined"]:
            without = "truth not defined"
        else:
            without = "not estimable"
        if row["markets"]:
            return f"fewer than {FEWEST} markets"
        return without
    reasons = [
        f"{fault} ({cause})" if cause and fault.startswith("bias") else fault
        for fault in faults(row)
    ]
    return "; ".join(reasons) or ("" if grade_ == USABLE else "skewed, or few closed groups")


def right(table: pd.DataFrame) -> tuple[float, float]:
    """Return the limits of acceptable coverage, 3 points on either side of an audit's level."""
    level = float(table["level"].iloc[0])
    return round(level - LOST, 9), round(level + LOST, 9)


def distribution(table: pd.DataFrame) -> pd.DataFrame:
    """Summarise the distribution of coverage in an audit, by judge and overall.

    Returns
    -------
    DataFrame
        `judge`; `cells`, the number with enough markets; `below`, `within`, `above`, the
        percentages of cells with coverage below, within and above the limits of :func:`right`; and
        quantiles of coverage over cells, per cent, in `q05`, `q25`, `q50`, `q75`, `q95`.
    """
    graded = table[table["markets"] >= FEWEST]
    low, high = right(table)
    rows = []
    for name, cells in [("all", graded), *graded.groupby(judge_of_preset(graded["preset"]))]:
        cover = cells["coverage"].round(9)
        parts = {"below": cover < low, "within": cover.between(low, high), "above": cover > high}
        rows.append(
            {"judge": name, "cells": len(cells)}
            | {word: 100 * hits.mean() for word, hits in parts.items()}
            | {f"q{at:02d}": 100 * cover.quantile(at / 100) for at in (5, 25, 50, 75, 95)}
        )
    return pd.DataFrame(rows)


def outside(table: pd.DataFrame) -> pd.DataFrame:
    """Tabulate coverage, in per cent, outside the limits of :func:`right` by estimand and preset.

    Coverage within the limits is missing. Estimands and presets without such a cell are left out.
    """
    low, high = right(table)
    cover = table["coverage"].round(9)
    off = table[(table["markets"] >= FEWEST) & ~cover.between(low, high)]
    wide = 100 * off.pivot(index="id", columns="preset", values="coverage")
    ordered = wide.reindex(index=table["id"].unique(), columns=table["preset"].unique())
    return ordered.dropna(how="all").dropna(axis=1, how="all")


def answers(table: pd.DataFrame, presets: Collection[str] = tuple(SIZES)) -> pd.DataFrame:
    """Estimate the share of panels that answer each question, by preset.

    A panel answers if its interval excludes zero and its estimate has the sign of the truth; a
    panel without an interval does not.

    Returns
    -------
    DataFrame
        One row per question and preset, in their order: the row of the audit, the question as
        `term`, a label for `size`; `estimate`, the percentage of panels that answer, and `conf_low`
        and `conf_high`, two Monte Carlo errors to either side. Missing if the true effect is zero,
        or the grade is "do not use", since such an interval excludes values for no good reason.
    """
    rows = table[table["id"].isin(QUESTIONS) & table["preset"].isin(presets)]
    able = rows["grade"].isin((USABLE, WITH_BOUNDS)) & (rows["truth"].abs() > ROUNDING)
    panels = rows["markets"] + rows["refused"]
    share = (rows["rejection"] * (1 - rows["type_s"].fillna(0)) * rows["markets"] / panels).where(
        able
    )
    error = 2 * (share * (1 - share) / panels) ** 0.5
    rows = rows.assign(
        term=rows["id"].map(QUESTIONS),
        size=rows["preset"].map(SIZES),
        estimate=100 * share,
        conf_low=100 * (share - error).clip(lower=0),
        conf_high=100 * (share + error).clip(upper=1),
    )
    return rows.sort_values(
        "id", key=lambda ids: ids.map([*QUESTIONS].index), kind="stable", ignore_index=True
    )


def unsafe(table: pd.DataFrame) -> set[str]:
    """Return the ids of questions whose method gives no usable answer in some preset.

    The presets are those that a real panel may resemble.
    """
    rows = table[table["preset"].isin(plausible(None, table)) & table["id"].isin(QUESTIONS)]
    return {*rows.loc[rows["grade"] == DO_NOT_USE, "id"]}


def said_of_further(further: Mapping[str, Any]) -> str:
    """Say how often intervals contain the truth in panels that a run simulates beside the audit.

    Parameters
    ----------
    further : mapping
        From :func:`market.audit.simulated_beside`; empty if the run simulates none.
    """
    if not further:
        return (
            "This run simulated no panels of its own: all figures are those of the full audit, "
            "which the command “make audit” draws again with the code at hand."
        )
    if further["seeds"] == 1:
        drawn = "one further panel"
    else:
        drawn = f"{further['seeds']} further panels"
    said = (
        f"In {drawn} of each kind, simulated in this run, the share of intervals that contain the"
        f" truth differs from that in the full audit by {number(further['estimate'], signed=True)}"
        " points"
    )
    if further["seeds"] == 1:
        return f"{said}; one panel of each kind gives no interval."
    return (
        f"{said} ({span(further['conf_low'], further['conf_high'], further['unit'])}); zero should"
        " lie within."
    )


def misled(table: pd.DataFrame) -> pd.Series:
    """Return the lowest coverage for each question where it is too low, in per cent.

    It is the lowest in the `TRENDING` presets.

    Coverage is too low if it is below the limits of :func:`right`.
    """
    rows = table[table["preset"].isin(TRENDING) & table["id"].isin(QUESTIONS)]
    least = 100 * rows.groupby("id")["coverage"].min()[[*QUESTIONS]].rename(QUESTIONS)
    return least[least < 100 * right(table)[0]].sort_values()


def evidence(table: pd.DataFrame) -> pd.DataFrame:
    """Tabulate true and detectable effects, false alarms and the lowest coverage.

    There is one row per question.

    Returns
    -------
    DataFrame
        `term`; for each of the `SIZES` the mean true effect and, in brackets, the smallest effect
        mostly detected; `unit`; `least`, the smallest size at which most panels answer; `alarms`,
        the percentage of panels that detect an effect although closures change nothing; `worst`,
        the lowest coverage in any preset, per cent.
    """
    rows = answers(table)
    sides = [
        f"{quantity(row['truth'], row['unit'])}\u00a0({number(row['mde'])})"
        for row in rows.to_dict("records")
    ]
    wide = rows.assign(text=sides).pivot(index="id", columns="size", values="text")
    mostly = rows.pivot(index="id", columns="size", values="estimate")[[*SIZES.values()]].ge(MOSTLY)
    table_ = wide.assign(least=mostly.idxmax(axis=1).where(mostly.any(axis=1), "none")).reindex(
        [*QUESTIONS]
    )
    alarms = table[table["preset"] == "null"].set_index("id")["rejection"]
    worst = table[table["markets"] >= FEWEST].groupby("id")["coverage"].min()
    unit = rows.groupby("id")["unit"].first().replace({"percentage points": "points"})
    return table_.assign(
        term=QUESTIONS, unit=unit, alarms=100 * alarms, worst=100 * worst
    ).reset_index()
