"""The grade of an estimator in a preset, by rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

USABLE, WITH_BOUNDS, DO_NOT_USE = "usable", "usable with bounds", "do not use"
GRADES = (USABLE, WITH_BOUNDS, DO_NOT_USE)
NOT_GRADED = "not graded"

LOST = 0.03  # coverage that a bias of half a spread takes from a 95 % interval: P(|Z + 0.5| < 1.96) = 0.92
LOST_WITH_BOUNDS = 0.10  # three misses where one is due: errors a quarter too small, or a bias of nine tenths
MOST_BIAS = 0.5  # of the spread
TOO_SMALL = 0.85  # mean standard error over the spread
FEWEST = 20  # markets; with fewer, one miss moves coverage by more than the rule's steps


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
        return _why_not_graded(row)
    if abs(row["bias"]) > MOST_BIAS * row["sd"]:
        return f"bias of {row['bias'] / row['sd']:+.1f} spreads".replace("-", "−")
    return "errors too small" if row["mean_error"] < TOO_SMALL * row["sd"] else "skewed, or few closed groups"


def _why_not_graded(row: Mapping[str, Any]) -> str:
    if not row["markets"] and row["undefined"]:
        return "truth not defined"
    return f"fewer than {FEWEST} markets" if row["markets"] else "not estimable"
