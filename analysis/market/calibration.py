"""Calibration on moments, not on coefficients: solve what must be solved, then hold the market against its targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from analysis.errors import DesignError
from analysis.market.moments import TARGETS, moments_of, targets
from analysis.market.parameters import chosen
from analysis.market.truth import Truth
from analysis.market.worlds import Market

MARKETS = 12  # markets averaged: one has sampling error of its own, far above the tolerances
SWEEPS = 2  # each parameter is solved given the others, twice over
PRECISION = 0.01  # of a parameter's bracket: steps between firms make moments no smoother than that

# Solved one after the other: parameter, moment that it moves most, bracket. Moments are monotone in it there.
SOLVED = (
    ("entrant_size", "first-year cohort's share of sales", 0.0, 2.5),
    ("transitory", "top 10,000 there a year before", 0.005, 0.3),
    ("exit_base", "joiners still active", 0.005, 0.08),
    ("growth", "AMZ growth 2019 to 2020", 0.0, 0.03),
    ("boost", "cheaters' units, with against without fakes", 0.02, 0.4),
    ("cheat_level", "honest rivals' units, same", -4.5, 0.0),
    ("effort", "closed firms' sales, first year (E1a)", 0.0, 1.5),
)


def averages(preset: str, seed: int, overrides: Mapping[str, Any], markets: int = MARKETS) -> dict[str, float]:
    """Return each moment's average over `markets` markets, of seeds `seed`, `seed` + 1, ..."""
    given = chosen(preset, dict(overrides))
    found = [moments_of(Truth(Market.open(preset, given, seed + number))) for number in range(markets)]
    return {name: float(np.mean([moments[name] for moments in found])) for name in found[0]}


def solve(preset: str = "mid_3k", seed: int = 1, *, markets: int = MARKETS) -> dict[str, float]:
    """Solve the parameters of `SOLVED` so that the average market has their moments.

    Returns
    -------
    dict of str to float
        The values that ``parameters.py`` keeps as defaults.

    Raises
    ------
    DesignError
        If a moment cannot be reached within its bracket.
    """
    wanted = {target.moment: target.value for target in TARGETS}
    values: dict[str, float] = {}
    for _ in range(SWEEPS):
        for name, moment, low, high in SOLVED:
            values[name] = _solve_one(preset, seed, markets, values, name, (moment, wanted[moment]), (low, high))
    return values


def _solve_one(
    preset: str,
    seed: int,
    markets: int,
    values: dict[str, float],
    name: str,
    goal: tuple[str, float],
    bracket: tuple[float, float],
) -> float:
    def miss(value: float) -> float:
        return averages(preset, seed, values | {name: value}, markets)[goal[0]] - goal[1]

    ends = [miss(end) for end in bracket]
    if ends[0] * ends[1] > 0:
        raise DesignError(
            f"{name} with {goal[0]} = {goal[1]} was asked for; between {bracket[0]} and {bracket[1]} the moment goes "
            f"from {ends[0] + goal[1]:.3f} to {ends[1] + goal[1]:.3f}; widen the bracket or change another parameter"
        )
    return float(brentq(miss, *bracket, xtol=PRECISION * (bracket[1] - bracket[0])))


def calibrate(preset: str = "mid_3k", seed: int = 1, *, markets: int = MARKETS, **overrides: Any) -> pd.DataFrame:
    """Hold simulated moments against their targets.

    Parameters
    ----------
    preset : str
        One of `PRESETS`.
    seed : int
        Of the first market; the others have the seeds that follow.
    markets : int
        Markets averaged, at least 1.
    **overrides : float or int
        Fields of `Parameters` to change, such as the answer of :func:`solve`.

    Returns
    -------
    DataFrame
        A row per moment: `moment`, `simulated`, `target`, `tolerance`, `passed`, `source`.
    """
    found = averages(preset, seed, overrides, markets)
    rows = pd.DataFrame([asdict(target) for target in targets(preset, chosen(preset, overrides).closed_gmv)])
    rows.insert(1, "simulated", rows["moment"].map(found))
    rows = rows.rename(columns={"value": "target"})
    near = (rows["simulated"] - rows["target"]).abs() <= rows["tolerance"]
    return rows.assign(passed=near)[["moment", "simulated", "target", "tolerance", "passed", "source"]]
