"""Group-time effects as a result: rows, and their averages with errors, bands and a pre-trend test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from analysis.errors import DesignError
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


def rows_of(found: GroupTime) -> pd.DataFrame:
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
