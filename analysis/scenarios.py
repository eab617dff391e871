"""What would happen if: simulated markets in which more or fewer, larger or smaller firms are closed.

Every number is the truth of a simulated market, in the window of the estimands; nothing is estimated and nothing real.
How many accounts are closed and how much they sell are two knobs: the closed share of the origin's sales, and the size
tilt, the power of sales with which the odds of closure rise. The number of closed accounts follows from the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis import verdicts
from analysis.errors import DesignError
from analysis.market.enforcement import expected_accounts
from analysis.market.parameters import FIRST_MONTH, chosen, plausible
from analysis.market.truth import Truth
from analysis.market.worlds import Market

TERMS = {
    "closed_gmv": "closed share of Chinese sales",
    "tilt": "size tilt of closures",
    "sigma": "nesting: how far buyers stay on the platform",
    "cn_share": "Chinese share of home sales",
    "enter": "closed firms' probability to join another platform",
    "evasion": "share of closed firms that reopen",
    "chill": "fake reviews that others give up",
    "deter": "share of Chinese entry deterred",
    "trust": "utility gained when all fakes are gone",
}
"""The assumptions on which the effect hangs, in words."""
RANGES: dict[str, tuple[float, float, str]] = {name: (*plausible(name), term) for name, term in TERMS.items()}
"""Plausible ends of each, as the parameters of the market state them."""
_FLOOR, _CEILING = plausible("closed_gmv")
SHARES = tuple(float(f"{_FLOOR * (_CEILING / _FLOOR) ** (step / 3):.2g}") for step in range(-3, 5))
"""Closed share of Chinese sales: the plausible range in three steps of one ratio, three more below and one above."""
TILTS = (0.0, 0.3, 0.6, 0.9)  # log odds of closure per log sales
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
FEWEST = 20  # markets from which quantiles of their outer twentieths can be read
OUTCOMES = ("E3g", "E3s", "E1a", "moved", "accounts")


def outcomes(preset: str, seed: int, *, window: tuple[int, int] = (4, 9), **overrides: Any) -> dict[str, float]:
    """Simulate one market and return what the closures did in it.

    Parameters
    ----------
    preset : str
    seed : int
    window : (int, int)
        First and last month after the first wave.
    **overrides
        Parameters of the market.

    Returns
    -------
    dict
        `E3g`, `E3s` (percentage points), `E1a` (per cent), `moved` (per cent of the lost sales that moved with the
        closed firms to other platforms; NaN where nothing was lost), and `accounts`, closed in expectation.
    """
    truth = Truth(Market.open(preset, chosen(preset, overrides), seed))
    market, found = truth.market, truth.window(*window)
    grown, parts = found.of_growth(), found.of_loss()
    return {
        "E3g": grown["E3g"],
        "E3s": grown["E3s"],
        "E1a": found.effect(found.closed, slice(None)),
        "moved": parts["d3"] + parts["d4"] + parts["d5"],
        "accounts": expected_accounts(market.stage, market.history),
    }


def reach(markets: int, level: float) -> tuple[float, str]:
    """Return the share of markets to show between low and high, and in words; all, where `FEWEST` are not there."""
    if markets < FEWEST:
        return 1.0, f"lowest to highest of {markets} markets"
    return level, f"middle {level:.0%} of {markets} markets"


def closed_accounts(presets: Iterable[str], seeds: Iterable[int]) -> pd.DataFrame:
    """Count the accounts that presets close in expectation, over markets.

    Returns
    -------
    DataFrame
        `preset`, `share` (per cent of the origin's sales, which the preset fixes), and `accounts`, `low`, `high`:
        median, fewest and most.
    """
    drawn, rows = list(seeds), []
    for preset in presets:
        closed = [outcomes(preset, seed)["accounts"] for seed in drawn]
        share = 100 * chosen(preset, {}).closed_gmv
        rows.append((preset, share, np.median(closed), min(closed), max(closed)))
    return pd.DataFrame(rows, columns=["preset", "share", "accounts", "low", "high"])


def grid(
    preset: str,
    seeds: Iterable[int],
    *,
    shares: Sequence[float] = SHARES,
    tilts: Sequence[float] = TILTS,
    window: tuple[int, int] = (4, 9),
) -> pd.DataFrame:
    """Simulate every combination of closed share and size tilt.

    Returns
    -------
    DataFrame
        `share`, `tilt`, `seed` and :func:`outcomes`.
    """
    return pd.DataFrame(
        [
            {"share": share, "tilt": tilt, "seed": seed}
            | outcomes(preset, seed, window=window, closed_gmv=share, tilt=tilt)
            for seed in seeds
            for tilt in tilts
            for share in shares
        ]
    )


def by_accounts(cells: pd.DataFrame, accounts: Sequence[float], *, level: float = 0.95) -> pd.DataFrame:
    """Read off the grid what the closure of so many accounts would do, by size tilt.

    In each market the closed share is interpolated at the wanted number of accounts (both in logs), then the effect at
    that share; the rows are medians and quantiles over markets.

    Parameters
    ----------
    cells : DataFrame
        From :func:`grid`.
    accounts : sequence of float
    level : float
        Share of markets between `low` and `high`.

    Returns
    -------
    DataFrame
        `accounts`, `tilt`, `markets` in whose grid that number lies, `share` (per cent of the origin's sales, median),
        and `E3g`, `low`, `high` in percentage points; NaN where it lies in no market's grid.
    """
    rows = []
    for tilt, of_tilt in cells.groupby("tilt"):
        markets = [market.sort_values("share") for _, market in of_tilt.groupby("seed")]
        for wanted in accounts:
            read = np.array([_at(market, wanted) for market in markets])
            read = read[np.isfinite(read).all(axis=1)]
            ends = np.quantile(read[:, 1], [(1 - level) / 2, 0.5, (1 + level) / 2]) if len(read) else [np.nan] * 3
            share = 100 * float(np.median(read[:, 0])) if len(read) else np.nan
            rows.append((wanted, tilt, len(read), share, ends[1], ends[0], ends[2]))
    return pd.DataFrame(rows, columns=["accounts", "tilt", "markets", "share", "E3g", "low", "high"])


def words(read: pd.DataFrame, margin: float) -> list[str]:
    """Return the word on "not lower" that each row of :func:`by_accounts` would earn if the market were so."""
    ends = zip(read["low"], read["high"], strict=True)
    return [verdicts.not_lower(None if np.isnan(low) else (low, high), margin) for low, high in ends]


def summary(read: pd.DataFrame, accounts: float) -> dict[str, float]:
    """Return the reach of one number of accounts over all size tilts: `low`, `high`, `share_low`, `share_high`.

    A number that lies in no market's grid is a DesignError.
    """
    rows = read[(read["accounts"] == accounts) & (read["markets"] > 0)]
    if rows.empty:
        raise DesignError(
            f"the effect of {accounts:,} closed accounts was asked for; no market of the grid closes that "
            "many; choose a number between, or wider shares"
        )
    return {
        "low": float(rows["low"].min()),
        "high": float(rows["high"].max()),
        "share_low": float(rows["share"].min()),
        "share_high": float(rows["share"].max()),
    }


def _at(market: pd.DataFrame, accounts: float) -> tuple[float, float]:
    """Return closed share and effect where a market closes so many accounts; NaN outside its grid."""
    reached = market["accounts"].to_numpy()  # rises with the share
    if not reached[0] <= accounts <= reached[-1]:
        return np.nan, np.nan
    logs = np.log(market["share"].to_numpy())
    share = float(np.interp(np.log(accounts), np.log(reached), logs))
    return float(np.exp(share)), float(np.interp(share, logs, market["E3g"].to_numpy()))


def threshold(cells: pd.DataFrame, margin: float, *, level: float = 0.95) -> pd.DataFrame:
    """Find the smallest closed share at which growth falls by more than a margin, by size tilt.

    Returns
    -------
    DataFrame
        `tilt`; `share` (per cent of the origin's sales) and `accounts`, medians over the markets in which the margin is
        reached on the grid, with `low` and `high` of the share over these; `reached`, how many of `markets` those are.
    """
    rows = []
    for tilt, of_tilt in cells.groupby("tilt"):
        crossed = []
        for _, market in of_tilt.groupby("seed"):
            path = market.sort_values("share")
            effect = np.minimum.accumulate(path["E3g"].to_numpy())
            if effect[-1] < -margin <= effect[0]:
                logs = np.log(path["share"].to_numpy())
                share = float(np.interp(margin, -effect, logs))
                held = np.log(path["accounts"].to_numpy())
                crossed.append((100 * np.exp(share), np.exp(np.interp(share, logs, held))))
        found = np.array(crossed).reshape(-1, 2)
        ends = np.quantile(found[:, 0], [0.5, (1 - level) / 2, (1 + level) / 2]) if len(found) else [np.nan] * 3
        count = float(np.median(found[:, 1])) if len(found) else np.nan
        rows.append((tilt, *ends, count, len(found), of_tilt["seed"].nunique()))
    return pd.DataFrame(rows, columns=["tilt", "share", "low", "high", "accounts", "reached", "markets"])


def tornado(
    preset: str,
    seeds: Iterable[int],
    *,
    ranges: Mapping[str, tuple[float, float, str]] = RANGES,
    window: tuple[int, int] = (4, 9),
    outcome: str = "E3g",
) -> pd.DataFrame:
    """Move one assumption at a time over its range, all else as in the preset, on the same random numbers.

    Returns
    -------
    DataFrame
        One row per parameter, the widest first: `parameter`, `term` (in words), `low`, `high`; `at_low`, `at_high` and
        `base`, means of the outcome over markets; and `error`, the Monte Carlo error of the difference of the ends.
    """
    if outcome not in OUTCOMES:
        raise DesignError(f"a tornado of {outcome!r} was asked for; there are {', '.join(OUTCOMES)}; choose one")
    drawn = list(seeds)

    def mean_path(**overrides: float) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.array([outcomes(preset, seed, window=window, **overrides)[outcome] for seed in drawn])

    base, rows = mean_path(), []
    for name, (low, high, term) in ranges.items():
        ends = [mean_path(**{name: value}) for value in (low, high)]
        gap = ends[1] - ends[0]
        error = float(gap.std(ddof=1) / np.sqrt(len(gap))) if len(gap) > 1 else np.nan
        rows.append((name, term, low, high, ends[0].mean(), ends[1].mean(), base.mean(), error))
    columns = ["parameter", "term", "low", "high", "at_low", "at_high", "base", "error"]
    table = pd.DataFrame(rows, columns=columns)
    order = (table["at_high"] - table["at_low"]).abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)


def fan(presets: Sequence[str], seeds: Iterable[int]) -> pd.DataFrame:
    """Follow the effect on the origin's home sales by month, over many markets.

    Returns
    -------
    DataFrame
        `preset`, `month` (Period), `quantile` (0.05, 0.25, 0.5, 0.75, 0.95) and `value`: sales with the crackdown over
        sales without, in per cent change.
    """
    drawn, frames = list(seeds), []
    for preset in presets:
        paths = []
        for seed in drawn:
            truth = Truth(Market.open(preset, chosen(preset, {}), seed))
            chinese = truth.market.stage.firms.chinese
            with_, without = (truth.sales(world)[chinese, 0].sum(axis=0) for world in ("W11", "W00"))
            paths.append(100 * (with_ / without - 1))
        wide = pd.DataFrame(
            np.quantile(paths, QUANTILES, axis=0).T,
            index=pd.period_range(FIRST_MONTH, periods=len(paths[0]), freq="M", name="month"),
            columns=pd.Index(QUANTILES, name="quantile"),
        )
        frames.append(wide.reset_index().melt(id_vars="month", value_name="value").assign(preset=preset))
    return pd.concat(frames, ignore_index=True)
