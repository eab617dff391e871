"""Survival of sellers: exit and restricted mean survival, with scores by cluster.

The survival function comes from statsmodels; this module defines exit and follow-up.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from statsmodels.duration.survfunc import SurvfuncRight

from analysis.errors import DesignError
from analysis.estimate import Bools, Estimate, Floats, Labels
from analysis.estimators.arrays import alike

__dir__ = ["exit_survival"].copy  # for tab completion

BLOCK = 2**16  # units at a time


def exit_survival(
    sales: Floats,
    start: npt.NDArray[Any],
    treated: Bools,
    *,
    rows: npt.NDArray[Any] | None = None,
    gap: int = 3,
    horizon: int = 12,
    strata: Labels | None = None,
    cluster: Labels | None = None,
    level: float = 0.95,
) -> Estimate:
    """Compare how long treated and untreated units keep selling on any platform.

    A unit exits in the first month of its first `gap` months in a row without a sale. An exit in month k is known only
    `gap` - 1 months later, so every unit is followed up to the last such month and censored after it.

    Parameters
    ----------
    sales : float64[firm, month]
        Over all platforms; zero is no sale, NaN is missing and ends the follow-up.
    start : float64[unit]
        Column in which the follow-up starts, such as the month of closure; for a comparison unit, that of the treated
        units it is compared with. Units with inf are left out.
    treated : bool[unit]
    rows : int64[unit], optional
        Row of `sales` for each unit, if a firm appears as several units; one to one by default.
    gap : int
        Months in a row without a sale that count as exit.
    horizon : int
        Months over which time alive is counted.
    strata : sequence, optional
        Groups within which differences are computed; they are averaged over the treated.
    cluster : sequence, optional
        Cluster of each unit, such as the brand group; each unit its own by default.
    level : float
        Coverage of intervals.

    Returns
    -------
    Estimate
        Months alive within the horizon: ``"treated"``, ``"comparison"`` and ``"difference"``. Counts of units left out:
        ``not_followed`` (no start, or no known month after it), ``not_selling`` (no sale in the `gap` months before
        it), and of those that ``returned`` after an exit. ``details``: `units` at risk, indexed by their row: `months`
        alive since the start, `exited` (False is censored), `treated`, `stratum`, `cluster`, `seen`, the months in
        which an exit would be known; and `curves`, Kaplan-Meier by group over all strata: `treated`, `month`,
        `survival`, `std_error`, `at_risk`, `exits`.

    Raises
    ------
    DesignError
        If a group is empty, no unit is followed for the whole horizon, or no unit exits.

    Notes
    -----
    Time alive is the sum of S(0) to S(horizon - 1), months in which a unit is alive. The influence of each unit gives
    Greenwood's variance exactly; the influence of a cluster is divided by the share of its group that remains without
    it, as in a jackknife.

    References
    ----------
    Royston, P. and Parmar, M. K. B. (2013), Restricted mean survival time, BMC Medical Research Methodology 13, 152.
    """
    start, n, months = np.asarray(start, dtype=float), len(treated), sales.shape[1]
    rows = np.arange(n) if rows is None else rows
    start = np.minimum(start, months).astype(np.float32)  # inf starts after the last month: not followed
    blocks = [slice(first, first + BLOCK) for first in range(0, max(n, 1), BLOCK)]
    followed_blocks = zip(*(_followed(sales[rows[block]], start[block], gap) for block in blocks), strict=True)
    silent, last, selling, again = (np.concatenate(arrays) for arrays in followed_blocks)
    seen = last - gap - start + 1  # months after the start in which an exit would be known
    followed = seen >= 0
    kept = np.flatnonzero(followed & selling)
    exited = silent <= start + seen
    columns = {
        "months": np.where(exited, silent - start, seen),
        "exited": exited,
        "treated": treated,
        "stratum": np.zeros(n, dtype=np.int64) if strata is None else strata,
        "cluster": np.arange(n) if cluster is None else cluster,
        "seen": seen,
    }
    units = pd.DataFrame({name: np.asarray(values)[kept] for name, values in columns.items()}, index=kept)
    _check_units(units, horizon)
    counts = {
        "units": len(kept),
        "not_followed": int((~followed).sum()),
        "not_selling": int((followed & ~selling).sum()),
        "exits": int(exited[kept].sum()),
        "returned": int((exited & again)[kept].sum()),
        "clusters": units["cluster"].nunique(),
    }
    curves = pd.concat([_curve(units[units["treated"] == group], group) for group in (True, False)])
    return replace(_mean_months(units, horizon, level), counts=counts, details={"units": units, "curves": curves})


def _followed(
    sales: Floats, start: npt.NDArray[Any], gap: int
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], Bools, Bools]:
    """Return each unit's exit month and last observed month, and whether it sold before the start and after exit.

    Each is an array [unit], the last two bool.
    """
    n, months = sales.shape
    column = np.arange(months)
    after = column >= start[:, None]
    unknown = np.isnan(sales) & after
    last_known = np.where(unknown.any(axis=1), unknown.argmax(axis=1) - 1, months - 1).astype(np.float32)
    runs = np.zeros((n, months), dtype=bool)
    if months >= gap:
        windows = np.lib.stride_tricks.sliding_window_view((sales == 0) & after, gap, axis=1)
        runs[:, : months - gap + 1] = windows.all(axis=2)
    silent = np.where(runs.any(axis=1), runs.argmax(axis=1), np.inf).astype(np.float32)  # whole months
    before = (column < start[:, None]) & (column >= start[:, None] - gap)
    again = ((column > silent[:, None]) & (sales > 0)).any(axis=1)
    return silent, last_known, np.asarray((before & (sales > 0)).any(axis=1)), np.asarray(again)


def _check_units(units: pd.DataFrame, horizon: int) -> None:
    treated, stratum = units["treated"], units["stratum"]
    missing = set(stratum[treated]) - set(stratum[~treated])
    if not treated.any() or treated.all() or missing:
        raise DesignError(
            f"Cannot compare survival: {treated.sum()} treated and {(~treated).sum()} comparison units are at risk, "
            f"and {len(missing)} strata of treated units have no comparison; use coarser strata"
        )
    cells = [(treated == group) & (stratum == label) for label in set(stratum[treated]) for group in (True, False)]
    longest = int(min(units["seen"][cell].max() for cell in cells))
    if not 0 < horizon <= longest + 1:
        raise DesignError(
            f"Cannot estimate survival over {horizon} months: one group is followed for {longest + 1} months at "
            "most; shorten the horizon"
        )
    if not units["exited"].any():
        raise DesignError(f"Cannot compare survival: none of the {len(units)} units exits; follow them for longer")


def _curve(units: pd.DataFrame, treated: bool) -> pd.DataFrame:
    curve = SurvfuncRight(units["months"].to_numpy(), units["exited"].to_numpy().astype(int)).summary()
    curve.columns = pd.Index(["survival", "std_error", "at_risk", "exits"])
    counts = {"month": int, "at_risk": int, "exits": int}
    return curve.rename_axis("month").reset_index().astype(counts).assign(treated=treated)


def _months_alive(units: pd.DataFrame, horizon: int) -> tuple[float, Floats]:
    """Return restricted mean survival and each unit's influence on it, float64[unit]."""
    months, exited = units["months"].to_numpy(), units["exited"].to_numpy()
    if not exited.any():
        return float(horizon), np.zeros(len(units))
    table = SurvfuncRight(months, exited.astype(int))
    alive = np.append(1.0, table.surv_prob)[np.searchsorted(table.surv_times, np.arange(horizon), side="right")]
    ahead = np.append(np.cumsum(alive[::-1])[::-1], 0.0)  # months alive from each month on
    within = table.surv_times < horizon
    time, exits, risk = table.surv_times[within].astype(int), table.n_events[within], table.n_risk[within]
    stay = risk - exits
    per_exit = np.divide(ahead[time], stay, out=np.zeros(len(time)), where=stay > 0)  # 0 once no unit is left
    died = (months[:, None] == time) & exited[:, None]
    influence = -(died - (months[:, None] >= time) * (exits / risk)) @ per_exit
    return float(alive.sum()), influence


def _mean_months(units: pd.DataFrame, horizon: int, level: float) -> Estimate:
    units = units[units["stratum"].isin(units.loc[units["treated"], "stratum"])].reset_index(drop=True)
    of_treated = units.loc[units["treated"], "stratum"]
    weight = of_treated.value_counts(normalize=True)
    value, influence = np.zeros(2), np.zeros((len(units), 2))
    for (treated, stratum), cell in units.groupby(["treated", "stratum"]):
        column = 0 if treated else 1
        mean, by_unit = _months_alive(cell, horizon)
        by_unit *= len(cell) / np.maximum(len(cell) - alike(pd.factorize(cell["cluster"])[0]), 1)  # as if left out
        value[column] += weight[stratum] * mean
        influence[cell.index, column] += weight[stratum] * by_unit
        influence[of_treated.index, column] += mean * ((of_treated == stratum) - weight[stratum]) / len(of_treated)
    with_difference = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, -1.0]])
    summed = pd.DataFrame(influence @ with_difference).groupby(units["cluster"]).sum()
    return Estimate(
        estimand=f"months alive within {horizon} months",
        unit="months",
        terms=("treated", "comparison", "difference"),
        value=value @ with_difference,
        scores=summed.to_numpy(),
        n=[len(of_treated), len(units) - len(of_treated), len(units)],
        max_df=max(units.loc[units["treated"], "cluster"].nunique() - 1, 1),
        level=level,
        clusters=summed.index.to_numpy(),
    )
