"""Group-time effects of an absorbing treatment, on the level and on the ratio scale.

Every estimand here is a smooth function of group-by-period means. One pass gives these means and the covariance of
what they are made of; each effect is then a short function with its gradient. No design matrix, no demeaning in a loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.errors import DesignError
from analysis.group_means import Cell, Primitives, primitives
from analysis.group_time import Comparison, GroupTime, Missing, Scale, group_time
from analysis.inference import Floats


def att_gt(
    y: Floats,
    first_treated: Floats,
    *,
    comparison: Comparison = "never",
    scale: Scale = "level",
    missing: Missing = "balanced",
    anticipation: int = 0,
    cluster: Sequence[Any] | None = None,
    strata: Sequence[Any] | None = None,
    level: float = 0.95,
) -> GroupTime:
    """Estimate group-time effects by comparing changes since the last period before treatment.

    ``ATT(g, t) = E[Y_t - Y_b | g] - E[Y_t - Y_b | comparison]`` with ``b = g - 1 - anticipation``, for all ``t != b``
    (a universal base), or on the ratio scale ``log(E[Y_t|g] / E[Y_b|g]) - log(E[Y_t|C] / E[Y_b|C])``, for which zeros
    are values like any other.

    Parameters
    ----------
    y : float64[unit, time]
        Outcomes; NaN is missing.
    first_treated : float64[unit]
        Column index of the first treated period; inf for never.
    comparison : {"never", "not_yet"}
        Never treated, or not treated by the later of the two periods (never treated included).
    scale : {"level", "ratio"}
    missing : {"balanced", "pairwise"}
        Which units answer: those seen in every period, or in each cell those seen in both of its periods. These are
        different estimands on unbalanced panels, and the result names which.
    anticipation : int
        Periods before treatment in which an effect is allowed for.
    cluster : sequence, optional
        Cluster of each unit, such as the brand group; each unit its own where not given.
    strata : sequence, optional
        Comparisons are made within these and averaged over the treated; they stand for covariates.
    level : float
        Coverage of intervals.

    Returns
    -------
    GroupTime
        An Estimate with a term such as ``"g=5 t=7"`` for each cohort and period, and with ``.aggregate()``. Errors
        are ``sqrt(sum of squared influence values)``, without a small-sample factor. A cell without comparison is NaN,
        never zero.

    Raises
    ------
    DesignError
        If shapes disagree, nobody is treated, or nobody can be compared.

    References
    ----------
    Callaway, B. and Sant'Anna, P. H. C. (2021), Difference-in-differences with multiple time periods, Journal of
    Econometrics 225, 200-230. Santos Silva, J. M. C. and Tenreyro, S. (2006), The log of gravity, Review of Economics
    and Statistics 88, 641-658, for the ratio scale.
    """
    y, first = np.asarray(y, dtype=float), np.asarray(first_treated, dtype=float)
    _check(y, first, comparison, scale, missing, anticipation)
    keep = first - 1 - anticipation >= 0
    early = int((~keep).sum())
    dropped = 0
    if missing == "balanced" and np.isnan(y.min(initial=np.inf)):  # NaN where any is; no array of flags
        whole = ~np.isnan(y.min(axis=1))
        dropped = int((keep & ~whole).sum())
        keep &= whole
    if not keep.all():
        y, first = y[keep], first[keep]
    codes = None if cluster is None else pd.factorize(np.asarray(cluster)[keep])[0].astype(np.int64)
    stratum = np.zeros(len(y), dtype=np.int64) if strata is None else pd.factorize(np.asarray(strata)[keep])[0]
    groups, labels = _groups(first, stratum)
    cells = _cells(labels, y.shape[1], comparison, anticipation)
    if not any(len(cell.pool) for cell in cells):
        raise DesignError(
            f"effects against {comparison} treated units were asked for; {len(y)} units are left in {len(groups)} "
            "groups and no treated group has a comparison; choose another comparison, or add untreated units"
        )
    counts = {
        "units": len(y),
        "treated": int(np.isfinite(first).sum()),
        "dropped_missing": dropped,
        "dropped_always_treated": early,
        "clusters": len(y) if codes is None else int(codes.max()) + 1,
        "anticipation": anticipation,
    }
    made = primitives(y, groups, cells, ratio=scale == "ratio", cluster=codes)
    return group_time(made, _named(cells, labels, made), scale=scale, missing=missing, level=level, counts=counts)


def _check(y: Floats, first: Floats, comparison: str, scale: str, missing: str, anticipation: int) -> None:
    for name, value, allowed in (
        ("comparison", comparison, ("never", "not_yet")),
        ("scale", scale, ("level", "ratio")),
        ("missing", missing, ("balanced", "pairwise")),
    ):
        if value not in allowed:
            raise DesignError(f"{name} = {value!r} was asked for; there are {allowed}; choose one")
    if y.ndim != 2 or first.shape != (len(y),) or np.isnan(first).any():
        raise DesignError(
            f"y[unit, time] and first_treated[unit] were asked for; found shapes {y.shape} and {first.shape}, and "
            f"{int(np.isnan(first).sum())} units without a date; use inf for never treated"
        )
    if anticipation < 0:
        raise DesignError(f"anticipation = {anticipation} was asked for; it is a number of periods; give 0 or more")
    if not ((first < y.shape[1]) & (first > -np.inf)).any():
        raise DesignError(f"effects were asked for; none of {len(y)} units is treated inside the window; widen it")
    if scale == "ratio" and np.nanmin(y) < 0:
        raise DesignError(
            f"the ratio scale was asked for; {int((y < 0).sum())} outcomes are negative; use the level scale"
        )


def _groups(first: Floats, stratum: npt.NDArray[np.int64]) -> tuple[list[npt.NDArray[np.int64]], pd.DataFrame]:
    """Rows by (first treated, stratum), and the labels of these groups."""
    cohort, _ = pd.factorize(first, sort=True)
    key = cohort * (int(stratum.max()) + 1) + stratum
    order = np.argsort(key.astype(np.min_scalar_type(key.max())), kind="stable")  # few groups: sorted by their bits
    sizes = np.bincount(key)
    rows = np.split(order, np.cumsum(sizes[sizes > 0])[:-1])
    return rows, pd.DataFrame(
        {"first": [first[part[0]] for part in rows], "stratum": [stratum[part[0]] for part in rows]}
    )


def _cells(labels: pd.DataFrame, n_times: int, comparison: Comparison, anticipation: int) -> list[Cell]:
    first, stratum = labels["first"].to_numpy(), labels["stratum"].to_numpy()
    cells = []
    for group in np.flatnonzero(first < n_times):
        base = int(first[group]) - 1 - anticipation
        peers = (stratum == stratum[group]) & (np.arange(len(first)) != group)
        for time in range(n_times):
            if time == base:
                continue
            untreated = np.isinf(first) if comparison == "never" else first > max(time, base) + anticipation
            cells.append(Cell(int(group), time, base, np.flatnonzero(peers & untreated)))
    return cells


def _named(cells: list[Cell], labels: pd.DataFrame, made: Primitives) -> pd.DataFrame:
    """Say of each cell which group owns it, when that was treated, and how many units are behind it."""
    owner = np.array([cell.group for cell in cells])
    group = labels["first"].to_numpy()[owner].astype(int)
    time = np.array([cell.time for cell in cells])
    return pd.DataFrame(
        {
            "owner": owner,
            "group": group,
            "time": time,
            "event_time": time - group,
            "n_treated": made.n_treated,
            "n_comparison": made.n_pool,
        }
    )
