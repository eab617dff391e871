"""Group-time effects of an absorbing treatment, on the level and on the ratio scale.

Every estimand here is a smooth function of group-by-period means. One pass gives these means and the covariance of
what they are made of; each effect is then a short function with its gradient. No design matrix, no demeaning in a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from analysis.errors import DesignError
from analysis.group_means import Cell, Primitives, primitives
from analysis.inference import Bools, Estimate, Floats, simultaneous_factor

Comparison = Literal["never", "not_yet"]
Scale = Literal["level", "ratio"]
Missing = Literal["balanced", "pairwise"]
Kind = Literal["simple", "dynamic", "group", "calendar"]


@dataclass(frozen=True, eq=False)
class GroupTime:
    """Effects by cohort and period, and what is needed to aggregate them.

    Attributes
    ----------
    rows : DataFrame
        `group` and `time` (column index of first treatment and of the outcome), `event_time`, `estimate`,
        `std_error`, `conf_low`, `conf_high`, `n_treated`, `n_comparison`. Level scale: difference of mean changes, in
        units of `y`. Ratio scale: log of observed over counterfactual mean, in log points, the Poisson coefficient.
    level, scale, comparison, missing : float, str
        As asked; `missing` names which units answer.
    counts : dict of str to int
        Units used, dropped for a missing period, treated before the first base period, and clusters.
    reason : str
        Why rows are NaN.
    """

    rows: pd.DataFrame
    scale: Scale
    comparison: Comparison
    missing: Missing
    level: float
    counts: dict[str, int]
    reason: str
    cells: pd.DataFrame
    observed: Floats
    counterfactual: Floats
    shares: Floats
    covariance: Floats
    influence_of: Callable[[Floats], Floats]

    def aggregate(self, kind: Kind = "simple", *, seed: int = 0, draws: int = 10_000) -> Estimate:
        """Average the effects, weighted by cohort size, with the sampling of the weights in the error.

        Parameters
        ----------
        kind : {"simple", "dynamic", "group", "calendar"}
            All treated cells; by event time; by cohort (treated cells); by period (treated cells).
        seed, draws : int
            For the simultaneous band: Gaussian multipliers on the influence values, whose distribution given the
            data is normal with their covariance, so that is drawn from.

        Returns
        -------
        Estimate
            Rows with `band_low`, `band_high` (simultaneous) beside the pointwise interval; ``details["covariance"]``
            float64[term, term], ``details["influence"]`` a function that returns float64[cluster, term], and for
            ``dynamic`` ``details["pretrend"]``: Wald statistic, degrees of freedom and p-value of no effect before.

        Raises
        ------
        DesignError
            If the kind is unknown or no cell is treated.
        """
        sets = self._sets(kind)
        members = np.array([(self.cells_usable & inside) for _, inside in sets])
        kept = members.any(axis=1)
        if not kept.any():
            raise DesignError(
                f"the {kind} effect was asked for; none of {len(self.cells)} cells has a comparison; widen the window"
            )
        value, gradient = _combine(
            members[kept], self.observed, self.counterfactual, self.shares, self.scale, self.owner
        )
        covariance = gradient @ self.covariance @ gradient.T
        error = np.sqrt(np.diag(covariance))
        names = [sets[place][0] for place in np.flatnonzero(kept)]
        z = stats.norm.ppf((1 + self.level) / 2)
        wide = simultaneous_factor(covariance, self.level, seed=seed, draws=draws)
        rows = pd.DataFrame(
            {
                "term": names,
                "estimate": value,
                "std_error": error,
                "conf_low": value - z * error,
                "conf_high": value + z * error,
                "band_low": value - wide * error,
                "band_high": value + wide * error,
                "n": members[kept].sum(axis=1),
            }
        )
        details: dict[str, Any] = {"covariance": covariance, "influence": lambda: self.influence_of(gradient)}
        if kind == "dynamic":
            details["pretrend"] = _wald(value, covariance, np.array([int(name) for name in names]) < -self.anticipation)
        return Estimate(
            estimand=f"{kind} effect on the treated, {self.missing}",
            unit="units of y" if self.scale == "level" else "log points",
            rows=rows,
            level=self.level,
            counts=self.counts,
            reason=self.reason,
            details=details,
        )

    @property
    def anticipation(self) -> int:
        """Periods before treatment in which an effect is allowed for."""
        return self.counts["anticipation"]

    @property
    def owner(self) -> Floats:
        """Which share belongs to each cell, int[cell]."""
        return np.asarray(self.cells["owner"])

    @property
    def cells_usable(self) -> Bools:
        """Cells with a comparison and, on the ratio scale, positive means: bool[cell]."""
        found = np.isfinite(self.observed) & np.isfinite(self.counterfactual)
        if self.scale == "ratio":
            found &= (np.nan_to_num(self.observed) > 0) & (np.nan_to_num(self.counterfactual) > 0)
        return found

    def _sets(self, kind: Kind) -> list[tuple[str, Bools]]:
        event = self.cells["event_time"].to_numpy()
        treated = event >= 0
        by = {"dynamic": event, "group": self.cells["group"].to_numpy(), "calendar": self.cells["time"].to_numpy()}
        if kind == "simple":
            return [("simple", treated)]
        if kind not in by:
            raise DesignError(
                f"aggregation {kind!r} was asked for; there are simple, dynamic, group, calendar; choose one"
            )
        inside = np.ones(len(event), dtype=bool) if kind == "dynamic" else treated
        return [(str(key), (by[kind] == key) & inside) for key in np.unique(by[kind][inside])]


def _combine(
    members: Bools, observed: Floats, counterfactual: Floats, shares: Floats, scale: Scale, owner: Floats
) -> tuple[Floats, Floats]:
    """Combine cells into terms, weighted by the share of their group, with the gradient.

    Level: ``sum p (O - K) / sum p``. Ratio: ``log sum p O - log sum p K``, the total observed over the total
    counterfactual. The gradient is with respect to (O, K, shares): float64[term, 2 cells + groups].
    """
    weight = members * shares[owner]
    seen, without = np.where(members, observed, 0.0), np.where(members, counterfactual, 0.0)
    total_seen, total_without = (weight * seen).sum(axis=1), (weight * without).sum(axis=1)
    if scale == "level":
        total = weight.sum(axis=1)
        value = (total_seen - total_without) / total
        by_seen, by_without = weight / total[:, None], -weight / total[:, None]
        by_weight = members * (seen - without - value[:, None]) / total[:, None]
    else:
        value = np.log(total_seen / total_without)
        by_seen, by_without = weight / total_seen[:, None], -weight / total_without[:, None]
        by_weight = seen / total_seen[:, None] - without / total_without[:, None]
    by_share = np.zeros((len(members), len(shares)))
    for column, group in enumerate(owner):
        by_share[:, group] += by_weight[:, column]
    return value, np.hstack([by_seen, by_without, by_share])


def _wald(value: Floats, covariance: Floats, before: Bools) -> dict[str, float]:
    """Wald test of no effect in the terms before treatment; NaN where there is none."""
    if not before.any():
        return {"statistic": np.nan, "df": 0, "p_value": np.nan}
    part = covariance[np.ix_(before, before)]
    statistic = float(value[before] @ np.linalg.pinv(part) @ value[before])
    rank = int(np.linalg.matrix_rank(part))
    return {"statistic": statistic, "df": rank, "p_value": float(stats.chi2.sf(statistic, rank))}


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
        Errors are ``sqrt(sum of squared influence values)``, without a small-sample factor. A cell without
        comparison is NaN, never zero.

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
    if missing == "balanced":
        whole = ~np.isnan(y).any(axis=1)
        dropped = int((keep & ~whole).sum())
        keep &= whole
    else:
        dropped = 0
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
    made = primitives(y, groups, cells, ratio=scale == "ratio", cluster=codes)
    return _result(
        made,
        cells,
        labels,
        scale,
        comparison,
        missing,
        level,
        {
            "units": len(y),
            "treated": int(np.isfinite(first).sum()),
            "dropped_missing": dropped,
            "dropped_always_treated": early,
            "clusters": len(y) if codes is None else int(codes.max()) + 1,
            "anticipation": anticipation,
        },
    )


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
    if not np.isfinite(first[first < y.shape[1]]).any():
        raise DesignError(f"effects were asked for; none of {len(y)} units is treated inside the window; widen it")
    if scale == "ratio" and np.nanmin(y) < 0:
        raise DesignError(
            f"the ratio scale was asked for; {int((y < 0).sum())} outcomes are negative; use the level scale"
        )


def _groups(first: Floats, stratum: npt.NDArray[np.int64]) -> tuple[list[npt.NDArray[np.int64]], pd.DataFrame]:
    """Rows by (first treated, stratum), and the labels of these groups."""
    _, cohort = np.unique(first, return_inverse=True)
    key = cohort * (int(stratum.max()) + 1) + stratum
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    rows = np.split(order, starts[1:])
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


def _result(
    made: Primitives,
    cells: list[Cell],
    labels: pd.DataFrame,
    scale: Scale,
    comparison: Comparison,
    missing: Missing,
    level: float,
    counts: dict[str, int],
) -> GroupTime:
    first = labels["first"].to_numpy()
    frame = pd.DataFrame(
        {
            "owner": [cell.group for cell in cells],
            "group": [int(first[cell.group]) for cell in cells],
            "time": [cell.time for cell in cells],
            "event_time": [cell.time - int(first[cell.group]) for cell in cells],
            "n_treated": made.n_treated,
            "n_comparison": made.n_pool,
        }
    )
    found = GroupTime(
        rows=pd.DataFrame(),
        scale=scale,
        comparison=comparison,
        missing=missing,
        level=level,
        counts=counts,
        reason="",
        cells=frame,
        observed=made.observed,
        counterfactual=made.counterfactual,
        shares=made.shares,
        covariance=made.covariance,
        influence_of=made.influence_of,
    )
    rows = _rows(found)
    lost = int(rows["estimate"].isna().sum())
    reason = f"{lost} of {len(rows)} cells have no comparison, or no positive mean" if lost else ""
    return replace(found, rows=rows, reason=reason)


def _rows(found: GroupTime) -> pd.DataFrame:
    """One row per cohort and period: strata averaged over the treated."""
    cells = found.cells
    keys = cells.drop_duplicates(["group", "time"])[["group", "time", "event_time"]].reset_index(drop=True)
    place = keys.set_index(["group", "time"]).index.get_indexer(pd.MultiIndex.from_frame(cells[["group", "time"]]))
    members = (place == np.arange(len(keys))[:, None]) & found.cells_usable
    kept = members.any(axis=1)
    value, error = np.full(len(keys), np.nan), np.full(len(keys), np.nan)
    value[kept], gradient = _combine(
        members[kept], found.observed, found.counterfactual, found.shares, found.scale, found.owner
    )
    error[kept] = np.sqrt(np.einsum("ij,jk,ik->i", gradient, found.covariance, gradient, optimize=True))
    z = stats.norm.ppf((1 + found.level) / 2)
    sizes = cells.groupby(["group", "time"], sort=False)[["n_treated", "n_comparison"]].sum().reset_index(drop=True)
    bounds = pd.DataFrame(
        {"estimate": value, "std_error": error, "conf_low": value - z * error, "conf_high": value + z * error}
    )
    return pd.concat([keys, bounds, sizes], axis=1)
