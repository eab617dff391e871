"""Group-time effects as a result: rows, and their averages with errors, bands and a pre-trend test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats
from scipy.sparse import csr_array

from analysis.errors import DesignError
from analysis.group_means import Primitives
from analysis.inference import Bools, Estimate, Floats, simultaneous_factor

Comparison = Literal["never", "not_yet"]
Scale = Literal["level", "ratio"]
Missing = Literal["balanced", "pairwise"]
Kind = Literal["simple", "dynamic", "group", "calendar"]


@dataclass(frozen=True, eq=False, kw_only=True)
class GroupTime(Estimate):
    """Effects by cohort and period: an Estimate that can be averaged further.

    Its rows add `group` and `time` (column index of first treatment and of the outcome), `event_time`, `n_treated` and
    `n_comparison`. Level scale: difference of mean changes, in units of `y`. Ratio scale: log of observed over
    counterfactual mean, in log points, the Poisson coefficient. Its counts are units used, dropped for a missing
    period, treated before the first base period, and clusters.

    Attributes
    ----------
    scale, missing : str
        As asked; `missing` names which units answer.
    cells : DataFrame
        One row per cohort, stratum and period, of which the rows and the averages are made: `owner` (the group),
        `group`, `time`, `event_time`, `n_treated`, `n_comparison`.
    means : Primitives
        Means and influence of these cells.
    """

    scale: Scale
    missing: Missing
    cells: pd.DataFrame
    means: Primitives

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
            Rows with `band_low`, `band_high` (simultaneous) beside the pointwise interval, `n` in cells. For
            ``dynamic`` ``details["pretrend"]``: Wald statistic, degrees of freedom and p-value of no effect before.

        Raises
        ------
        DesignError
            If the kind is unknown or no cell is treated.
        """
        usable = _usable(self.means, self.scale)
        found = usable & (self.means.observed > 0) if self.scale == "ratio" else usable  # log 0 is no effect
        sets = {name: inside & usable for name, inside in self._sets(kind).items() if (inside & found).any()}
        if not sets:
            raise DesignError(
                f"the {kind} effect was asked for; none of {len(self.cells)} cells has a comparison; widen the window"
            )
        members = np.array(list(sets.values()))
        value, gradient = _combine(members, self.means, self.cells["owner"].to_numpy(), self.scale)
        covariance = gradient @ self.means.covariance @ gradient.T
        rows = _with_interval(pd.DataFrame({"term": list(sets), "estimate": value}), covariance, self.level)
        wide = simultaneous_factor(covariance, self.level, seed=seed, draws=draws) * rows["std_error"]
        rows = rows.assign(band_low=value - wide, band_high=value + wide, n=members.sum(axis=1))
        details = {}
        if kind == "dynamic":
            before = np.array([int(name) for name in sets]) < -self.counts["anticipation"]
            details["pretrend"] = _wald(value, covariance, before)
        return Estimate(
            estimand=f"{kind} effect on the treated, {self.missing}",
            unit=self.unit,
            rows=rows,
            level=self.level,
            counts=self.counts,
            reason=self.reason,
            covariance=covariance,
            make_influence=lambda: self.means.influence_of(gradient),
            details=details,
        )

    def _sets(self, kind: Kind) -> dict[str, Bools]:
        """Return the cells of each term, bool[cell]."""
        event = self.cells["event_time"].to_numpy()
        treated = event >= 0
        by = {"dynamic": event, "group": self.cells["group"].to_numpy(), "calendar": self.cells["time"].to_numpy()}
        if kind == "simple":
            return {"simple": treated}
        if kind not in by:
            raise DesignError(
                f"aggregation {kind!r} was asked for; there are simple, dynamic, group, calendar; choose one"
            )
        inside = np.ones(len(event), dtype=bool) if kind == "dynamic" else treated
        return {str(key): (by[kind] == key) & inside for key in np.unique(by[kind][inside])}


def group_time(
    means: Primitives, cells: pd.DataFrame, *, scale: Scale, missing: Missing, level: float, counts: dict[str, int]
) -> GroupTime:
    """Make the result: one row per cohort and period, strata averaged over the treated."""
    each = cells.groupby(["group", "time", "event_time"], sort=False)
    rows = each[["n_treated", "n_comparison"]].sum().reset_index()
    members = (each.ngroup().to_numpy() == np.arange(len(rows))[:, None]) & _usable(means, scale)
    value, gradient = _combine(members, means, cells["owner"].to_numpy(), scale)
    sparse = csr_array(gradient)  # a row is made of few cells, so this costs next to nothing
    covariance = sparse @ (sparse @ means.covariance).T
    sizes = [rows.pop(name) for name in ("n_treated", "n_comparison")]
    rows.insert(0, "term", [f"g={group} t={time}" for group, time in zip(rows["group"], rows["time"], strict=True)])
    rows = _with_interval(rows.assign(estimate=value), covariance, level)
    rows = rows.assign(n_treated=sizes[0], n_comparison=sizes[1], n=sizes[0] + sizes[1])
    lost = int(np.isnan(value).sum())
    return GroupTime(
        estimand=f"effect on the treated by cohort and period, {missing}",
        unit="units of y" if scale == "level" else "log points",
        rows=rows,
        level=level,
        counts=counts,
        reason=f"{lost} of {len(rows)} cells have no comparison, or no positive mean" if lost else "",
        covariance=covariance,
        make_influence=lambda: means.influence_of(gradient),
        scale=scale,
        missing=missing,
        cells=cells,
        means=means,
    )


def _usable(means: Primitives, scale: Scale) -> Bools:
    """Return which cells have a comparison and, on the ratio scale, a positive counterfactual: bool[cell].

    A cell that sold nothing stays: to leave it out of a total would be to select on the outcome.
    """
    found = np.isfinite(means.observed) & np.isfinite(means.counterfactual)
    if scale == "ratio":
        found &= np.nan_to_num(means.counterfactual) > 0
    return found


def _with_interval(rows: pd.DataFrame, covariance: Floats, level: float) -> pd.DataFrame:
    error = np.sqrt(np.clip(np.diag(covariance), 0, None))  # rounding may leave nothing just below zero
    reach = stats.norm.ppf((1 + level) / 2) * error
    return rows.assign(std_error=error, conf_low=rows["estimate"] - reach, conf_high=rows["estimate"] + reach)


def _combine(members: Bools, means: Primitives, owner: Any, scale: Scale) -> tuple[Floats, Floats]:
    """Combine cells into terms, weighted by the share of their group, with the gradient.

    Level: ``sum p (O - K) / sum p``. Ratio: ``log sum p O - log sum p K``, the total observed over the total
    counterfactual. The gradient is with respect to (O, K, shares): float64[term, 2 cells + groups]. A term without
    cells, or a ratio of nothing observed, is NaN, and so are its gradient and its covariance with any other.
    """
    weight = members * means.shares[owner]
    seen, without = np.where(members, means.observed, 0.0), np.where(members, means.counterfactual, 0.0)
    total_seen, total_without = (weight * seen).sum(axis=1), (weight * without).sum(axis=1)
    with np.errstate(invalid="ignore"):  # 0 / 0
        if scale == "level":
            total = weight.sum(axis=1)
            value = (total_seen - total_without) / total
            by_seen, by_without = weight / total[:, None], -weight / total[:, None]
            by_weight = members * (seen - without - value[:, None]) / total[:, None]
        else:
            total_seen = np.where(total_seen > 0, total_seen, np.nan)
            value = np.log(total_seen / total_without)
            by_seen, by_without = weight / total_seen[:, None], -weight / total_without[:, None]
            by_weight = seen / total_seen[:, None] - without / total_without[:, None]
    by_share = np.zeros((len(members), len(means.shares)))
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
