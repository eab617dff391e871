"""Group-time effects of an absorbing treatment, on the level and ratio scales.

Every effect is a function of two totals, which are functions of sums by group (cohort and stratum) and period. So the
effect without a cluster follows from the rows of the cluster, and the jackknife needs no new estimation. If each unit
is its own cluster, errors of effects by cohort and period follow from moments of groups. There is no design matrix and
no demeaning in a loop, and no array of size units x effects unless errors are clustered.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.display import Shown
from analysis.errors import DesignError, check_choice
from analysis.estimate import NOTHING_LEFT, Estimate, Floats, Ints, Labels, effective, left_out
from analysis.estimators.arrays import rows_by
from analysis.estimators.units import Scale, usable_units, why_early

__dir__ = ["Group", "GroupTime", "att_gt"].copy  # for tab completion

Pair = tuple[int, int, int, Ints, Floats]  # numbers of both groups, column of the base, terms, and columns by term
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
    """Group-time effects, with methods that average them.

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
                f"Cannot compare with never-treated units: {self.counts['units']} units form {len(self.groups)} "
                "groups, but no treated group has a comparison; "
                f"{why_early(self.counts.get('dropped_always_treated', 0))}add untreated units"
            )

    @cached_property
    def cells(self) -> Ints:
        """One column per treated group and period, int64[5, cell].

        The rows are the number of the treated group, that of its comparison group (-1 for none), and the columns of
        first treatment, of the outcome, and of the base.
        """
        first, stratum = np.array([group.first for group in self.groups]), [group.stratum for group in self.groups]
        never = {label: group for group, label in enumerate(stratum) if np.isinf(first[group])}
        groups = np.flatnonzero(first < self.width)
        treated, time = np.repeat(groups, self.width), np.tile(np.arange(self.width), len(groups))
        comparison = np.repeat([never.get(stratum[group], -1) for group in groups], self.width)
        cohort = first[treated].astype(np.int64)
        base = cohort - 1 - self.anticipation
        return np.array([treated, comparison, cohort, time, base])[:, time != base]

    @cached_property
    def codes(self) -> list[Ints]:
        """Codes of the clusters of each group's units: their rows if each is its own."""
        return [group.rows if self.cluster is None else self.cluster[group.rows] for group in self.groups]

    @cached_property
    def order(self) -> Ints:
        """Cluster codes, ordered by the first group in which they occur, so that each block spans few groups."""
        first = np.full(len(self.labels), len(self.groups))
        for number, code in reversed([*enumerate(self.codes)]):
            first[code] = number
        return np.argsort(first, kind="stable")

    @cached_property
    def members(self) -> list[tuple[Ints, Ints]]:
        """Rows of each group and positions of their clusters in `order`, sorted by position."""
        position = np.argsort(self.order)
        orders = [np.argsort(position[code], kind="stable") for code in self.codes]
        parts = zip(self.groups, self.codes, orders, strict=True)
        return [(group.rows[rising], position[code][rising]) for group, code, rising in parts]

    @property
    def size(self) -> int:
        """Number of units or clusters to process at a time."""
        return max(BLOCK // self.width, 1)

    @cached_property
    def sums(self) -> Floats:
        """Weighted sums of outcomes by group and, in the last column, of units, float64[group, time + 1]."""
        sums = np.zeros((len(self.groups), self.width + 1))
        for group, total in zip(self.groups, sums, strict=True):
            for start in range(0, len(group.rows), self.size):
                y, weight = self._weighted(group, group.rows[start : start + self.size])
                total[:] += np.append(y.sum(axis=0), weight.sum())
        return sums

    @cached_property
    def totals(self) -> Floats:
        """Both totals of each cell, float64[2, cell]: observed and expected, or effects and units; NaN if undefined.

        Cells without sales are kept, since leaving them out of a total would select on the outcome.
        """
        totals = np.full((2, self.cells.shape[1]), np.nan)
        for treated, comparison, base, cells, columns in self._pairs(np.arange(self.cells.shape[1])):
            totals[:, cells] = self._compare(self.sums[treated], self.sums[comparison], base, columns)
        totals[:, ~(np.isfinite(totals).all(axis=0) & (totals[1] > 0))] = np.nan
        return totals

    @cached_property
    def effects(self) -> Estimate:
        """Effects by cohort and period, such as ``"g=5 t=7"``, averaged over strata; NaN if there is no comparison."""
        treated, comparison, cohort, time, _ = self.cells
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

    def _pairs(self, term: Ints) -> list[Pair]:
        """Return the treated groups that have a comparison group, with the terms of their cells; `term` is int64[cell].

        Each has the numbers of both groups, the column of the base, the terms, and the matrix that adds up its sums by
        term, float64[term, time + 1]. On the level scale it subtracts the base; the last column counts the cells.
        """
        pairs, known = [], np.flatnonzero((self.cells[1] >= 0) & (term >= 0))
        for of_group in rows_by(self.cells[0, known]):
            cells = known[of_group]
            treated, comparison, _, _, base = self.cells[:, cells[0]].tolist()
            terms, row = np.unique(term[cells], return_inverse=True)
            columns = np.zeros((len(terms), self.width + 1))
            columns[row, self.cells[3, cells]] = 1.0
            columns[:, -1] = np.bincount(row)
            if self.scale == "level":
                columns[:, base] -= columns[:, -1]
            pairs.append((treated, comparison, base, terms, columns))
        return pairs

    def _compare(self, treated: Floats, comparison: Floats, base: int, columns: Floats) -> Floats:
        """Compute both totals by term, float64[2, term, ...], from sums of two groups, float64[time + 1, ...]."""
        now, others = (columns[:, :-1] @ sums[:-1] for sums in (treated, comparison))
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.scale == "ratio":
                totals = now, others * (treated[base] / comparison[base])
            else:
                totals = now - others * (treated[-1] / comparison[-1]), columns[:, -1:] @ treated[-1:]
        return np.array(np.broadcast_arrays(*totals))

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
        scores, covariance, max_df = self._jackknife(average, totals, term, value)
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
        """Count each term's treated clusters; `term` and `group` come in pairs, and `n` counts units by term."""
        if self.cluster is None:
            return n
        held = np.zeros((len(self.groups), len(self.labels)), dtype=bool)
        for number, code in enumerate(self.codes):
            held[number, code] = True
        return np.array([held[group[term == number]].any(axis=0).sum() for number in range(len(n))])

    def _jackknife(self, average: Callable[[Any], Any], totals: Floats, term: Ints, value: Floats) -> tuple[Any, ...]:
        """Return jackknife scores, float64[cluster, term], their covariance, and degrees of freedom.

        Both totals of a term are left out exactly, whatever the clusters. If each unit is its own cluster, scores are
        not stored and None is returned for them, and terms of one cell each, which are many, take a shorter way to the
        same numbers; otherwise degrees of freedom follow from the scores.
        """
        if self.cluster is None and np.bincount(term[term >= 0], minlength=1).max() == 1:
            return None, *self._by_moments(term, value)
        scores, pairs = [], self._pairs(term)
        products, fourth = np.zeros((len(value), len(value))), np.zeros(len(value))
        for start in range(0, len(self.labels), self.size):
            change = self._changes(pairs, len(value), start, min(start + self.size, len(self.labels)))
            score = left_out(average, totals, change)
            if self.cluster is not None:
                scores.append(score.T)
                continue
            products += score @ score.T
            score *= score
            fourth += np.einsum("ij,ij->i", score, score)
        if self.cluster is None:
            return None, (1 - 1 / len(self.labels)) * products, effective(np.diag(products), fourth)
        by_cluster = np.sqrt(1 - 1 / self._clusters(pairs)) * np.concatenate(scores)[np.argsort(self.order)]
        return by_cluster, by_cluster.T @ by_cluster, np.inf

    def _clusters(self, pairs: list[Pair]) -> int:
        """Count the clusters of compared groups; on the ratio scale, only those that sold anything."""
        counted = np.zeros(len(self.labels), dtype=bool)
        for group in {group for pair in pairs for group in pair[:2]}:
            rows, first = self.groups[group].rows, self.groups[group].start
            some = (self.y[rows, first : first + self.width] @ np.ones(self.width) > 0) | (self.scale == "level")
            counted[self.codes[group][some]] = True
        return int(counted.sum())

    def _changes(self, pairs: list[Pair], size: int, start: int, stop: int) -> Floats:
        """Return the decrease in the terms' totals when each cluster is left out in turn, float64[2 terms, cluster]."""
        change = np.zeros((2, size, stop - start))
        sums = [self._without(group, start, stop) for group in range(len(self.groups))]
        for treated, comparison, base, terms, columns in pairs:
            if sums[treated].shape[1] == sums[comparison].shape[1] == 1:
                continue
            whole = self._compare(self.sums[treated], self.sums[comparison], base, columns)
            left = self._compare(sums[treated], sums[comparison], base, columns)
            left[:, ~np.isfinite(left).all(axis=0)] = 0.0  # without comparison units the cells are dropped too
            change[:, terms] += whole[..., np.newaxis] - left
        return change.reshape(2 * size, -1)

    def _without(self, group: int, start: int, stop: int) -> Floats:
        """Return a group's sums when each cluster of a block is left out in turn, float64[time + 1, cluster].

        A group with no clusters in the block has a single column, its sums.
        """
        (rows, at), sums = self.members[group], np.asarray(self.sums[group, :, np.newaxis])
        some = slice(*np.searchsorted(at, [start, stop]))
        if some.start == some.stop:
            return sums
        clusters, first = np.unique(at[some], return_index=True)
        rest = np.repeat(sums, stop - start, axis=1)
        y, weight = self._weighted(self.groups[group], rows[some])
        rest[:-1, clusters - start] -= np.add.reduceat(y, first).T
        rest[-1:, clusters - start] -= np.add.reduceat(weight, first).T
        rest[np.abs(rest) <= NOTHING_LEFT * np.abs(sums)] = 0.0  # rounding
        return rest

    def _by_moments(self, term: Ints, value: Floats) -> tuple[Floats, Floats]:
        """Return the covariance and degrees of freedom of one-cell terms if each unit is its own cluster.

        An effect is the difference between two groups' changes from base to outcome, of means or of log totals, so
        without a unit it moves by ``u_t - u_b``, u being that of :meth:`_moved`. Sums of products follow from those of
        ``u u'``, and those of fourth powers need a pass for each base: there is no array of units by cells.
        """
        products, fourth = np.zeros((len(value), len(value))), np.zeros(len(value))
        for group in np.unique(self.cells[:2, term >= 0]):
            cells = np.flatnonzero((self.cells[:2] == group).any(axis=0) & (term >= 0))
            terms, time, base = term[cells], *self.cells[3:, cells]
            bases, row = np.unique(base, return_inverse=True)
            second, powers = np.zeros((self.width, self.width)), np.zeros((len(bases), self.width))
            for start in range(0, len(self.groups[group].rows), self.size):
                u = self._moved(group, start)
                second += u @ u.T
                for number, column in enumerate(bases):
                    square = (u - u[column]) ** 2
                    powers[number] += np.einsum("ij,ij->i", square, square)
            for one, two in itertools.product((time, base), repeat=2):
                products[np.ix_(terms, terms)] += (1 if one is two else -1) * second[np.ix_(one, two)]
            fourth[terms] += powers[row, time]
        lost = 0.0 * (value + np.diag(products))  # NaN without a value or an error
        return (1 - 1 / len(self.labels)) * (products + np.add.outer(lost, lost)), effective(np.diag(products), fourth)

    def _moved(self, group: int, start: int) -> Floats:
        """Return the decrease in a group's mean or log total when each unit is left out in turn, float64[time, unit].

        For sums S and W of a group, and s and w of a unit, these are ``S/W - (S - s)/(W - w) = (s - w S/W) / (W - w)``
        and ``log S - log(S - s) = -log(1 - s/S)``, NaN if nothing is left. The mean over periods, which cancels in
        differences between them, is zero or taken off to reduce rounding.
        """
        sums, weight = self._weighted(self.groups[group], self.groups[group].rows[start : start + self.size])
        total, size, moved = self.sums[group, :-1, np.newaxis], self.sums[group, -1], np.ascontiguousarray(sums.T)
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.scale == "ratio":
                moved /= -np.where(total > 0, total, 1.0)
                moved[moved <= NOTHING_LEFT - 1] = np.nan
                np.log1p(moved, out=moved)
                return np.asarray(np.nan_to_num(moved.mean(axis=0)) - moved)
            moved -= total / size * weight.T
            moved /= np.where(weight < (1 - NOTHING_LEFT) * size, size - weight, np.nan).T
        return moved

    def _weighted(self, group: Group, rows: Ints) -> tuple[Floats, Floats]:
        """Return the weighted outcomes of a group's units, float64[unit, time], and their weights, float64[unit, 1]."""
        y = self.y[rows, group.start : group.start + self.width]
        weight = np.ones((len(rows), 1)) if self.weight is None else self.weight[rows, np.newaxis]
        if self.scale == "level":
            y -= y @ np.full((self.width, 1), 1 / self.width)  # the mean; cancels in the effects, and reduces rounding
        return y if self.weight is None else weight * y, weight


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
