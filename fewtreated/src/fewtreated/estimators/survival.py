"""Survival of sellers: exit and restricted mean survival, with scores by cluster.

A reference for the survival function is that of statsmodels (tests/test_survival.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fewtreated import jackknife
from fewtreated.errors import DesignError
from fewtreated.estimate import Bools, Estimate, Floats, Ints, Labels
from fewtreated.estimators.rows import sum_by, without_each

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
) -> Estimate:
    """Compare how long treated and untreated units keep selling on any platform.

    A unit exits in the first month of its first `gap` months in a row without a sale. An exit in
    month k is known only `gap` - 1 months later, so every unit is followed up to the last such
    month and censored after it.

    Parameters
    ----------
    sales : float64[firm, month]
        Over all platforms; zero is no sale, NaN is missing and ends the follow-up.
    start : float64[unit]
        Column in which the follow-up starts, such as the month of closure; for a comparison unit,
        that of the treated units it is compared with. Units with inf are left out.
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

    Returns
    -------
    Estimate
        Months alive within the horizon: ``"treated"``, ``"comparison"`` and ``"difference"``.
        Counts of units left out: ``not_followed`` (no start, or no known month after it) and
        ``not_selling`` (no sale in the `gap` months before it). ``details``: `units` at risk,
        indexed by their row: `months` alive since the start, `exited` (False is censored),
        `treated`, `stratum`, `cluster`, and `seen`, the months in which an exit would be known.

    Raises
    ------
    DesignError
        If a group is empty, no unit is followed for the whole horizon, or no unit exits.

    Notes
    -----
    Time alive is the sum of S(0) to S(horizon - 1), months in which a unit is alive. It is a
    function of exits and units at risk by month, so that each cluster is left out exactly (CV3).

    References
    ----------
    Royston, P. and Parmar, M. K. B. (2013), Restricted mean survival time, BMC Medical Research
    Methodology 13, 152.
    """
    start = np.asarray(start, dtype=float)
    n = len(treated)
    months = sales.shape[1]
    if rows is None:
        rows = np.arange(n)
    start = np.minimum(start, months).astype(
        np.float32
    )  # inf starts after the last month: not followed
    blocks = [slice(first, first + BLOCK) for first in range(0, max(n, 1), BLOCK)]
    followed_blocks = zip(
        *(_followed(sales[rows[block]], start[block], gap) for block in blocks), strict=True
    )
    silent, last, selling = (np.concatenate(arrays) for arrays in followed_blocks)
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
    units = pd.DataFrame(
        {name: np.asarray(values)[kept] for name, values in columns.items()}, index=kept
    )
    _check_units(units, horizon)
    counts = {
        "units": len(kept),
        "not_followed": int((~followed).sum()),
        "not_selling": int((followed & ~selling).sum()),
        "exits": int(exited[kept].sum()),
        "clusters": units["cluster"].nunique(),
    }
    return replace(_mean_months(units, horizon), counts=counts, details={"units": units})


def _followed(
    sales: Floats, start: npt.NDArray[Any], gap: int
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], Bools]:
    """Return each unit's exit and last observed month, and whether it sold before the start.

    Each result is array[unit].
    """
    n, months = sales.shape
    column = np.arange(months)
    after = column >= start[:, None]
    unknown = np.isnan(sales) & after
    last_known = np.where(unknown.any(axis=1), unknown.argmax(axis=1) - 1, months - 1).astype(
        np.float32
    )
    runs = np.zeros((n, months), dtype=bool)
    if months >= gap:
        windows = np.lib.stride_tricks.sliding_window_view((sales == 0) & after, gap, axis=1)
        runs[:, : months - gap + 1] = windows.all(axis=2)
    silent = np.where(runs.any(axis=1), runs.argmax(axis=1), np.inf).astype(
        np.float32
    )  # whole months
    before = (column < start[:, None]) & (column >= start[:, None] - gap)
    return silent, last_known, np.asarray((before & (sales > 0)).any(axis=1))


def _check_units(units: pd.DataFrame, horizon: int) -> None:
    treated = units["treated"]
    stratum = units["stratum"]
    missing = set(stratum[treated]) - set(stratum[~treated])
    if not treated.any() or treated.all() or missing:
        raise DesignError(
            f"Cannot compare survival: {treated.sum()} treated and {(~treated).sum()} comparison"
            f" units are at risk, and {len(missing)} strata of treated units have no comparison;"
            " use coarser strata"
        )
    cells = [
        (treated == group) & (stratum == label)
        for label in set(stratum[treated])
        for group in (True, False)
    ]
    longest = int(min(units["seen"][cell].max() for cell in cells))
    if not 0 < horizon <= longest + 1:
        raise DesignError(
            f"Cannot estimate survival over {horizon} months: one group is followed for"
            f" {longest + 1} months at most; shorten the horizon"
        )
    if not units["exited"].any():
        raise DesignError(
            f"Cannot compare survival: none of the {len(units)} units exits; follow them for longer"
        )


def _mean_months(units: pd.DataFrame, horizon: int) -> Estimate:
    """Average time alive over the strata of the treated, with errors by the cluster jackknife."""
    units = units[units["stratum"].isin(units.loc[units["treated"], "stratum"])]
    code, labels = pd.factorize(units["cluster"], sort=True)
    treated = units["treated"].to_numpy()
    clusters = [len(np.unique(code[side])) for side in (treated, ~treated)]
    months = partial(_months_alive, horizon=horizon)
    value, changed = without_each(months, *_by_month(units, code, horizon))
    return Estimate(
        estimand=f"months alive within {horizon} months",
        unit="months",
        terms=("treated", "comparison", "difference"),
        value=value,
        scores=jackknife.scores(changed, len(labels)),
        n=[treated.sum(), (~treated).sum(), len(units)],
        max_df=jackknife.most_df(np.array([*clusters, min(clusters)])),
        reason=(
            "a group, or its comparison in a stratum, is a single cluster"
            if np.isnan(changed).any()
            else ""
        ),
        clusters=np.asarray(labels),
    )


def _by_month(units: pd.DataFrame, code: Ints, horizon: int) -> Iterator[Floats]:
    """Yield units whose follow-up ends, and exits, float64[cluster, side, stratum, month]."""
    stratum, strata = pd.factorize(units["stratum"])
    shape = (int(code.max()) + 1, 2, len(strata), horizon + 1)
    ended = np.minimum(units["months"].to_numpy(), horizon).astype(np.int64)
    cell = np.ravel_multi_index((code, 1 - units["treated"].to_numpy(), stratum, ended), shape)
    for weight in (np.ones(len(cell)), units["exited"].to_numpy()):
        yield sum_by(weight, cell, int(np.prod(shape))).reshape(shape)


def _months_alive(left: Floats, exits: Floats, *, horizon: int) -> Floats:
    """Return months alive of the treated, the others, and their difference, float64[..., 3]."""
    at_risk = np.cumsum(left[..., ::-1], axis=-1)[..., ::-1]
    stays = np.where(at_risk > 0, 1 - exits / at_risk, 1.0)[..., :horizon]
    alive = np.cumprod(stays, axis=-1).sum(axis=-1)
    weight = at_risk[..., 0, :, 0] / at_risk[..., 0, :, 0].sum(axis=-1, keepdims=True)
    alive = np.where(
        at_risk[..., 0] > 0, alive, np.where(weight > 0, np.nan, 0.0)[..., np.newaxis, :]
    )
    both = (alive * weight[..., np.newaxis, :]).sum(axis=-1)
    return np.concatenate([both, both[..., :1] - both[..., 1:]], axis=-1)
