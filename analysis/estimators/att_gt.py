"""Group-time effects of an absorbing treatment, on the level and on the ratio scale.

Every effect is a function of two totals, which are functions of sums by group (cohort and stratum) and period. So the
effect without a cluster follows from the rows of the cluster, and the jackknife needs no new estimation. There is no
design matrix and no demeaning in a loop, and no array of size units x effects unless errors are clustered.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.display import Shown
from analysis.errors import DesignError, check_choice, whole_number
from analysis.estimate import NOTHING_LEFT, Estimate, Floats, Ints, Labels, effective, left_out
from analysis.estimators.arrays import match_units, rows_by
from analysis.testing import check_level

__dir__ = ["Group", "GroupTime", "att_gt", "usable_units"].copy  # for tab completion

Scale = Literal["level", "ratio"]
BLOCK = 2**15  # outcomes at a time


@dataclass(frozen=True, eq=False)
class Group:
    """Units of one cohort in one stratum.

    Attributes
    ----------
    rows : int64[unit of the group]
        Rows of the outcomes.
    first : float
        First treated period, counted from `start`; inf for never.
    stratum : hashable
    start : int
        Column of the outcomes from which the group's periods are counted.
    """

    rows: Ints
    first: float
    stratum: Hashable
    start: int = 0


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class GroupTime(Shown):
    """Group-time effects, which can be averaged further.

    Attributes
    ----------
    y : float64[unit, time]
        Without missing values in the periods of a group.
    groups : sequence of Group
        Several groups may contain the same unit, with different starts.
    width : int
        Number of periods of each group, from its start.
    scale : {"level", "ratio"}
        Level: difference of mean changes, in units of `y`. Ratio: log of observed over counterfactual total, in log
        points, the Poisson coefficient.
    anticipation : int
        Number of periods before treatment in which there may be an effect.
    weight : float64[unit] or None
        Sampling weights.
    cluster, labels : int64[unit] or None, array[cluster]
        Code of each unit's cluster, None if each unit is its own cluster, and the labels of the codes.
    level : float
    counts : dict of str to int
        Units used, treated, dropped for a missing period, treated before the first base period, and clusters.
    """

    y: Floats
    groups: Sequence[Group]
    width: int
    scale: Scale
    anticipation: int
    weight: Floats | None = None
    cluster: Ints | None
    labels: npt.NDArray[Any]
    level: float
    counts: dict[str, int]

    def __post_init__(self) -> None:
        """Raise DesignError if no treated group has a comparison."""
        if not (self.cells[1] >= 0).any():
            raise DesignError(
                f"Cannot compare with never treated units: {self.counts['units']} units form {len(self.groups)} "
                "groups, but no treated group has a comparison; "
                f"{why_early(self.counts.get('dropped_always_treated', 0))}add untreated units"
            )

    @cached_property
    def cells(self) -> Ints:
        """One column per treated group and period, int64[4, cell].

        The rows are the number of the treated group, that of its comparison group (-1 for none), the column of first
        treatment, and that of the outcome.
        """
        first, stratum = np.array([group.first for group in self.groups]), [group.stratum for group in self.groups]
        never = {label: group for group, label in enumerate(stratum) if np.isinf(first[group])}
        groups = np.flatnonzero(first < self.width)
        treated, time = np.repeat(groups, self.width), np.tile(np.arange(self.width), len(groups))
        comparison = np.repeat([never.get(stratum[group], -1) for group in groups], self.width)
        cohort = first[treated].astype(np.int64)
        return np.array([treated, comparison, cohort, time])[:, time != cohort - 1 - self.anticipation]

    @cached_property
    def pairs(self) -> list[tuple[int, int, int, Ints]]:
        """Treated groups that have a comparison group: both numbers, column of the base outcome, and their cells."""
        of_group = [(*self.cells[:3, cells[0]].tolist(), cells) for cells in rows_by(self.cells[0])]
        return [
            (one, other, first - 1 - self.anticipation, cells) for one, other, first, cells in of_group if other >= 0
        ]

    @cached_property
    def order(self) -> Ints:
        """Cluster codes, ordered by the first group in which they occur, so that each block spans few groups."""
        first = np.full(len(self.labels), len(self.groups))
        for number in reversed(range(len(self.groups))):
            first[self._code(self.groups[number])] = number
        return np.argsort(first, kind="stable")

    @cached_property
    def members(self) -> list[tuple[Ints, Ints]]:
        """Rows of each group and positions of their clusters in `order`, sorted by position."""
        position, members = np.argsort(self.order), list[tuple[Ints, Ints]]()
        for group in self.groups:
            at = position[self._code(group)]
            rising = np.argsort(at, kind="stable")
            members.append((group.rows[rising], at[rising]))
        return members

    def _code(self, group: Group) -> Ints:
        """Return the cluster code of each unit in a group, int64[unit of the group]."""
        return group.rows if self.cluster is None else self.cluster[group.rows]

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """Blocks of clusters, as half-open ranges of positions in `order`."""
        size, count = max(BLOCK // self.width, 1), len(self.labels)
        return [(start, min(start + size, count)) for start in range(0, count, size)]

    @cached_property
    def sums(self) -> Floats:
        """Weighted sums of outcomes by group and, in the last column, of units, float64[group, time + 1]."""
        sums = np.zeros((len(self.groups), self.width + 1))
        for block in self.blocks:
            for group, held in self._by_cluster(*block).items():
                sums[group] += held.sum(axis=1)
        return sums

    @cached_property
    def totals(self) -> Floats:
        """Both totals of each cell, float64[2, cell]: observed and expected, or effects and units; NaN if undefined.

        Cells without sales are kept, since leaving them out of a total would select on the outcome.
        """
        totals = np.full((2, self.cells.shape[1]), np.nan)
        for treated, comparison, base, cells in self.pairs:
            totals[:, cells] = self._compare(self.sums[treated], self.sums[comparison], base)[:, self.cells[3, cells]]
        totals[:, ~(np.isfinite(totals).all(axis=0) & (totals[1] > 0))] = np.nan
        return totals

    @cached_property
    def effects(self) -> Estimate:
        """Effects by cohort and period, such as ``"g=5 t=7"``, averaged over strata; NaN without comparison."""
        treated, comparison, cohort, time = self.cells
        term, key = pd.factorize(cohort * self.width + time)
        cohort, time = key // self.width, key % self.width
        size = np.array([*(len(group.rows) for group in self.groups), 0])
        n_treated, n_comparison = (np.bincount(term, size[side]).astype(np.int64) for side in (treated, comparison))
        columns = {"group": cohort, "time": time, "event_time": time - cohort}
        return self._estimate(
            "effect on the treated by cohort and period",
            [f"g={g} t={t}" for g, t in zip(cohort, time, strict=True)],
            term,
            columns=columns | {"n_treated": n_treated, "n_comparison": n_comparison},
        )

    def _shown(self) -> tuple[str, pd.DataFrame, list[str]]:
        return self.effects._shown()

    def aggregate(self, kind: Literal["simple", "dynamic"] = "simple") -> Estimate:
        """Average the effects over all treated cells or by event time; standard errors reflect the estimated weights.

        Raises
        ------
        DesignError
            If `kind` is unknown, no cell has a comparison, or on the ratio scale no treated cell sold anything.
        """
        check_choice("kind", kind, ("simple", "dynamic"))
        observed, _ = self.totals
        estimable = observed > 0 if self.scale == "ratio" else np.isfinite(observed)  # log 0 is not an effect
        event = self.cells[3] - self.cells[2]
        terms, term = ["simple"], np.where(event >= 0, 0, -1)
        if kind == "dynamic":
            events = np.unique(event[estimable])
            terms, term = [str(time) for time in events], pd.Index(events).get_indexer(event)
        if not estimable[term >= 0].any():
            raise DesignError(
                f"Cannot estimate the {kind} effect: none of {len(event)} cells has a comparison; widen the window"
            )
        return self._estimate(f"{kind} effect on the treated", terms, term)

    def _compare(self, treated: Floats, comparison: Floats, base: int) -> Floats:
        """Compute both totals by period, float64[2, time, ...], from sums of two groups, float64[time + 1, ...]."""
        now, others = treated[:-1], comparison[:-1]
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.scale == "ratio":
                return np.array([now, treated[base] * others / others[base]])
            effect = now - now[base] - treated[-1] * (others - others[base]) / comparison[-1]
        return np.array([effect, np.broadcast_to(treated[-1], effect.shape)])

    def _estimate(self, estimand: str, terms: list[str], term: Ints, **fields: Any) -> Estimate:
        """Average the cells of each term; `term` is int64[cell], -1 for none."""
        term, size = np.where(np.isfinite(self.totals[1]), term, -1), len(terms)
        kept = np.flatnonzero(term >= 0)
        totals = np.concatenate([np.bincount(term[kept], total[kept], size) for total in self.totals])

        def average(x: Any) -> Any:
            first, second = x[:size], x[size:]
            return np.log(first / second) if self.scale == "ratio" else first / second

        with np.errstate(divide="ignore", invalid="ignore"):
            value = average(totals)
        value[~np.isfinite(value)] = np.nan
        of_term, treated = np.unique([term[kept], self.cells[0, kept]], axis=1)  # count each group once
        n = np.bincount(of_term, np.array([len(group.rows) for group in self.groups])[treated], size).astype(np.int64)
        scores, covariance, max_df = self._jackknife(average, totals, term)
        max_df = np.fmin(max_df, self._treated_clusters(of_term, treated, n) - 1)
        reasons = [
            (np.isnan(value), "have no comparison, or no positive mean"),
            (np.isnan(np.diag(covariance)) & ~np.isnan(value), "rest on a single cluster and have no standard error"),
        ]
        return Estimate(
            estimand=estimand,
            unit="units of y" if self.scale == "level" else "log points",
            terms=tuple(terms),
            value=value,
            n=n,
            scores=scores,
            covariance=covariance,
            max_df=np.maximum(max_df, 1),
            level=self.level,
            counts=self.counts,
            clusters=self.labels,
            reason="; ".join(f"{lost.sum()} of {len(terms)} cells {why}" for lost, why in reasons if lost.any()),
            **fields,
        )

    def _treated_clusters(self, term: Ints, group: Ints, n: Ints) -> Ints:
        """Count the treated clusters of each term, given pairs of a term and a group, and the units by term."""
        if self.cluster is None:
            return n
        clusters = np.zeros_like(n)
        for number in np.unique(term):
            rows = np.concatenate([self.groups[treated].rows for treated in group[term == number]])
            clusters[number] = len(np.unique(self.cluster[rows]))
        return clusters

    def _jackknife(self, average: Callable[[Any], Any], totals: Floats, term: Ints) -> tuple[Any, Floats, Any]:
        """Return jackknife scores, float64[cluster, term], their covariance, and degrees of freedom.

        If each unit is its own cluster, scores are not stored and None is returned for them.
        """
        size, scores, some = len(totals) // 2, list[Floats](), 0
        products, square, fourth = np.zeros((size, size)), np.zeros(size), np.zeros(size)
        for block in self.blocks:
            change = self._changes(term, size, *block)
            score = left_out(average, totals, change)
            products += score @ score.T
            some += int(np.count_nonzero(change.any(axis=0)))
            if self.cluster is not None:
                scores.append(score.T)
            score = score * score
            square += score.sum(axis=1)
            fourth += (score * score).sum(axis=1)
        factor = 1 - 1 / (len(self.labels) if self.cluster is None else some)
        by_cluster = np.sqrt(factor) * np.concatenate(scores)[np.argsort(self.order)] if scores else None
        return by_cluster, factor * products, effective(square, fourth)

    def _changes(self, term: Ints, size: int, start: int, stop: int) -> Floats:
        """Return the decrease in the totals of `size` terms without each cluster, float64[2 terms, cluster].

        Terms increase over the cells of a group.
        """
        held, nothing = self._by_cluster(start, stop), np.zeros((self.width + 1, stop - start))
        change = np.zeros((2, size, stop - start))
        for treated, comparison, base, of_pair in self.pairs:
            cells = of_pair[term[of_pair] >= 0]
            if not len(cells) or not held.keys() & {treated, comparison}:
                continue
            rest, others = (
                self.sums[group][:, np.newaxis] - held.get(group, nothing) for group in (treated, comparison)
            )
            compared = base if self.scale == "ratio" else -1
            others[compared, others[compared] <= NOTHING_LEFT * self.sums[comparison, compared]] = 0.0
            left = self._compare(rest, others, base)[:, self.cells[3, cells]]
            left[:, ~np.isfinite(left).all(axis=0)] = 0.0  # without comparison units the cells are dropped too
            active, first = np.unique(term[cells], return_index=True)
            change[:, active] += np.add.reduceat(self.totals[:, cells, np.newaxis] - left, first, axis=1)
        return change.reshape(2 * size, -1)

    def _by_cluster(self, start: int, stop: int) -> dict[int, Floats]:
        """Return sums for a block of clusters, float64[time + 1, cluster], by number of the groups that contain any."""
        sums = dict[int, Floats]()
        for number, (group, (rows, at)) in enumerate(zip(self.groups, self.members, strict=True)):
            some = slice(*np.searchsorted(at, [start, stop]))
            y = self.y[rows[some], group.start : group.start + self.width]
            if not len(y):
                continue
            if self.scale == "level":
                y = y - y.mean(axis=1, keepdims=True)  # cancels in the effects, and reduces rounding
            weight = np.ones(len(y)) if self.weight is None else self.weight[rows[some]]
            clusters, first = np.unique(at[some] - start, return_index=True)
            sums[number] = np.zeros((self.width + 1, stop - start))
            sums[number][:-1, clusters] = np.add.reduceat(weight[:, np.newaxis] * y, first).T
            sums[number][-1, clusters] = np.add.reduceat(weight, first)
        return sums


@dataclass(frozen=True, eq=False)
class Units:
    """Units that an estimator can use.

    Attributes
    ----------
    y : float64[unit, time]
    first : int64[cohort]
        First treated periods in increasing order.
    cohort : int64[unit]
        Number of the unit's cohort, -1 for never treated.
    z : float64[unit, 1 + covariate]
        A constant, and covariates.
    weight : float64[unit]
    cluster : int64[unit] or None
        Code of the unit's cluster; each unit its own if None.
    labels : array[cluster]
    stratum : int64[unit]
    counts : dict of str to int
    scale, anticipation, level
        As passed to :func:`usable_units`.
    """

    y: Floats
    first: Ints
    cohort: Ints
    z: Floats
    weight: Floats
    cluster: Ints | None
    labels: npt.NDArray[Any]
    stratum: Ints
    counts: dict[str, int]
    scale: Scale
    anticipation: int
    level: float


def usable_units(
    y: Floats,
    first_treated: Floats,
    covariates: Floats | None = None,
    weights: Floats | None = None,
    cluster: Labels | None = None,
    strata: Labels | None = None,
    scale: Scale = "level",
    anticipation: int = 0,
    level: float = 0.95,
) -> Units:
    """Select the units with a period before treatment and no missing values; options are as for :func:`att_gt`.

    `covariates`, float64[unit, column], are determined before treatment; a constant is added. A unit with a missing one
    is dropped and counted.

    Raises
    ------
    DesignError
        If an option is unknown, shapes disagree, a weight is not positive, an outcome on the ratio scale is negative,
        or there are no treated or no never-treated units.
    """
    check_choice("scale", scale, get_args(Scale))
    if whole_number("anticipation", anticipation) < 0:
        raise DesignError(f"Cannot use anticipation = {anticipation}: it is a number of periods; pass 0 or more")
    check_level(level)
    by_unit = {"first_treated": first_treated, "covariates": covariates, "weights": weights}
    match_units(y=y, **by_unit, cluster=cluster, strata=strata)
    y, first = np.asarray(y, dtype=float), np.asarray(first_treated, dtype=float)
    x = np.empty((len(y), 0)) if covariates is None else np.asarray(covariates, dtype=float)
    weight = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=float)
    _check_units(y, first, weight, scale)
    has_base = first - 1 - anticipation >= 0
    complete = np.isfinite(y.sum(axis=1) + x.sum(axis=1))
    kept = has_base & complete
    y = y if kept.all() else y[kept]
    cohort, dates = pd.factorize(np.where(first < y.shape[1], first, np.nan)[kept], sort=True)
    counts = {
        "units": len(y),
        "treated": int((cohort >= 0).sum()),
        "dropped_missing": int((has_base & ~complete).sum()),
        "dropped_always_treated": int((~has_base).sum()),
    }
    if not 0 < counts["treated"] < len(y):
        raise DesignError(
            f"Cannot compare with never treated units: of {len(y)} usable units, {counts['treated']} are treated in "
            f"the window and {len(y) - counts['treated']} never; "
            f"{why_early(counts['dropped_always_treated'])}add units or widen the window"
        )
    code, labels = (None, np.flatnonzero(kept)) if cluster is None else pd.factorize(np.asarray(cluster)[kept])
    return Units(
        y=y,
        first=dates.astype(np.int64),
        cohort=cohort,
        z=np.column_stack([np.ones(len(y)), x[kept]]),
        weight=weight[kept],
        cluster=code,
        labels=np.asarray(labels),
        stratum=np.zeros(len(y), np.int64) if strata is None else pd.factorize(np.asarray(strata)[kept])[0],
        counts={**counts, "clusters": len(labels)},
        scale=scale,
        anticipation=anticipation,
        level=level,
    )


def _check_units(y: Floats, first: Floats, weight: Floats, scale: Scale) -> None:
    """Raise DesignError for missing dates, weights that are not positive, or negative outcomes on the ratio scale."""
    if undated := int(np.isnan(first).sum()):
        raise DesignError(f"Cannot date the treatment of {undated} of {len(y)} units; pass inf for never treated units")
    if (wrong := ~((weight > 0) & (weight < np.inf))).any():
        raise DesignError(
            f"Cannot weight units by {weight[wrong][0]:g}: {wrong.sum()} of {len(weight)} weights are not positive "
            "numbers; drop units without a weight"
        )
    if scale == "ratio" and (negative := int((y < 0).sum())):
        raise DesignError(f"Cannot use the ratio scale: {negative} outcomes are negative; use the level scale")


def why_early(dropped: int) -> str:
    """Return a clause about dropped units that are treated from the start, for a message, or ""."""
    if not dropped:
        return ""
    return (
        f"{dropped} units have no period before treatment and are dropped; if they are never treated, leave their date "
        "missing, or set it to inf in arrays; "
    )


def att_gt(
    y: Floats,
    first_treated: Floats,
    *,
    scale: Scale = "level",
    anticipation: int = 0,
    weights: Floats | None = None,
    cluster: Labels | None = None,
    strata: Labels | None = None,
    level: float = 0.95,
) -> GroupTime:
    """Estimate group-time effects by comparing changes since the last untreated period with those of the never treated.

    ``ATT(g, t) = E[Y_t - Y_b | g] - E[Y_t - Y_b | never]`` with ``b = g - 1 - anticipation``, for all ``t != b``
    (a universal base), or on the ratio scale ``log(E[Y_t|g] / E[Y_b|g]) - log(E[Y_t|never] / E[Y_b|never])``, for
    which zeros are ordinary values.

    Parameters
    ----------
    y : float64[unit, time]
        Outcomes; NaN is missing, and its unit is dropped and counted.
    first_treated : float64[unit]
        Column index of the first treated period; inf, or anything after the last column, means never.
    scale : {"level", "ratio"}
    anticipation : int
        Number of periods before treatment in which there may be an effect.
    weights : float64[unit], optional
        Sampling weights: the number of units that each represents, up to a factor; 1 by default.
    cluster : sequence, optional
        Cluster of each unit, such as the brand group; each unit its own by default.
    strata : sequence, optional
        Groups within which units are compared, instead of covariates; effects are averaged over the treated.
    level : float
        Coverage of intervals.

    Returns
    -------
    GroupTime
        With `effects`, an Estimate, and ``.aggregate()``; `n` is the number of treated units behind each term. Standard
        errors are from the cluster jackknife (CV3), with degrees of freedom from :func:`analysis.estimate.effective`. A
        cell without comparison units is NaN, never zero; one that rests on a single cluster has no standard error.
        Without `cluster`, the scores of effects are None.

    Raises
    ------
    DesignError
        If shapes disagree, an option is unknown, a weight is not positive, an outcome on the ratio scale is
        negative, or there are no treated or no comparison units.

    References
    ----------
    Callaway, B. and Sant'Anna, P. H. C. (2021), Difference-in-differences with multiple time periods, Journal of
    Econometrics 225, 200-230. Santos Silva, J. M. C. and Tenreyro, S. (2006), The log of gravity, Review of Economics
    and Statistics 88, 641-658, for the ratio scale. MacKinnon, J. G., Nielsen, M. O. and Webb, M. D. (2023), Fast and
    reliable jackknife and bootstrap methods for cluster-robust inference, Journal of Applied Econometrics 38, 671-694.
    """
    units = usable_units(y, first_treated, None, weights, cluster, strata, scale, anticipation, level)
    first = np.append(units.first, np.inf)  # last, cohort -1: never treated
    code = units.cohort % len(first) * (int(units.stratum.max()) + 1) + units.stratum
    return GroupTime(
        y=units.y,
        groups=[Group(rows, first[units.cohort[rows[0]]], units.stratum[rows[0]]) for rows in rows_by(code)],
        width=units.y.shape[1],
        scale=scale,
        anticipation=anticipation,
        weight=None if weights is None else units.weight,  # None avoids reading an array of ones
        cluster=units.cluster,
        labels=units.labels,
        level=level,
        counts=units.counts,
    )
