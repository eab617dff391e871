"""Group-time effects of an absorbing treatment, on the level and on the ratio scale.

Every effect is a function of two totals, and these of sums by group (cohort and stratum) and period. So an effect
without a cluster follows from the cluster's rows, and the jackknife leaves each out without estimating anything again.
No design matrix, no demeaning in a loop, and nothing of size units x effects is held unless errors are clustered.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.display import Shown
from analysis.errors import DesignError, check_choice, whole_number
from analysis.estimate import NOTHING_LEFT, Bools, Estimate, Floats, Ints, Labels, effective, slopes
from analysis.estimators.arrays import refuse_other_order, rows_by
from analysis.testing import check_level

__all__ = ["Group", "GroupTime", "att_gt"]
__dir__ = __all__.copy

Scale = Literal["level", "ratio"]
BLOCK = 2**15  # numbers that stay in the processor's cache


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
        Column of the outcomes at which the group's time begins.
    """

    rows: Ints
    first: float
    stratum: Hashable
    start: int = 0


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class GroupTime(Shown):
    """Effects by cohort and period, which can be averaged further.

    Attributes
    ----------
    y : float64[unit, time]
        Without a missing value in the periods of a group.
    groups : sequence of Group
        Several may hold the same unit, with other starts.
    width : int
        Periods of each group, from its start.
    scale : {"level", "ratio"}
        Level: difference of mean changes, in units of `y`. Ratio: log of observed over counterfactual total, in log
        points, the Poisson coefficient.
    anticipation : int
        Periods before treatment in which an effect is allowed for.
    weight : float64[unit] or None
        Sampling weights.
    cluster, labels : int64[unit] or None, array[cluster]
        Code of each unit's cluster, each unit its own if None, and the labels of the codes.
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
        """Refuse groups without any comparison."""
        if not (self.cells[1] >= 0).any():
            raise DesignError(
                f"Cannot compare with never treated units: of {self.counts['units']} units in {len(self.groups)} "
                "groups, no treated group has a comparison; "
                f"{why_early(self.counts.get('dropped_always_treated', 0))}add untreated units"
            )

    @cached_property
    def cells(self) -> Ints:
        """A column per treated group and period, int64[5, cell].

        Number of the treated group, and of its comparison group (-1 for none); columns of first treatment, of the
        outcome, and of the base outcome.
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
    def sums(self) -> Floats:
        """Weighted sums of the outcomes of each group and, last, of units, float64[group, time + 1]."""
        return np.array(
            [
                np.sum([np.append(weight @ y, weight.sum()) for weight, y in self._blocks(group)], axis=0)
                for group in self.groups
            ]
        )

    @cached_property
    def effects(self) -> Estimate:
        """One term such as ``"g=5 t=7"`` for each cohort and period, averaged over strata; NaN without comparison."""
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
        """Average the effects over all treated cells, or by event time; weighted by cohort, with the error of weights.

        Raises
        ------
        DesignError
            If `kind` is neither, no cell has a comparison, or on the ratio scale no treated cell sold anything.
        """
        check_choice("kind", kind, ("simple", "dynamic"))
        usable, observed, _ = self._totals()
        estimable = usable & (observed > 0) if self.scale == "ratio" else usable  # log 0 is no effect
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

    def _totals(self) -> tuple[Bools, Floats, Floats]:
        """Return which cells have a comparison, their totals, and their counterfactual totals, float64[cell].

        Cells that sold nothing stay: leaving them out of a total would select on the outcome.
        """
        treated, comparison, _, time, _ = self.cells
        with np.errstate(divide="ignore", invalid="ignore"):
            counterfactual = self._counterfactual(*(self.sums[index] for index in self._indexes(self.cells)))
        usable = (comparison >= 0) & np.isfinite(counterfactual)
        usable = usable & (counterfactual > 0) if self.scale == "ratio" else usable
        return usable, self.sums[treated, time], counterfactual

    def _indexes(self, cells: Ints) -> list[tuple[Ints, Ints]]:
        """Return the indexes of the sums that :meth:`_counterfactual` takes: of the treated groups, then of others."""
        treated, comparison, _, time, base = cells
        units = np.full(len(treated), self.width)
        if self.scale == "ratio":
            return [(treated, base), (comparison, time), (comparison, base)]
        return [(treated, base), (treated, units), (comparison, time), (comparison, base), (comparison, units)]

    def _counterfactual(self, treated_base: Any, *others: Any) -> Any:
        if self.scale == "ratio":
            time, base = others
            return treated_base * time / base
        n_treated, time, base, n_comparison = others
        return treated_base + n_treated * (time - base) / n_comparison

    def _estimate(self, estimand: str, terms: list[str], term: Ints, **fields: Any) -> Estimate:
        """Average the cells of each term; `term` is int64[cell], -1 for none."""
        usable, observed, counterfactual = self._totals()
        kept = np.flatnonzero(usable & (term >= 0))
        of_term, treated = np.unique([term[kept], self.cells[0, kept]], axis=1)  # each group once
        n = np.bincount(of_term, np.array([len(group.rows) for group in self.groups])[treated], len(terms))
        units = self.sums[self.cells[0], -1]
        totals = (observed, counterfactual) if self.scale == "ratio" else (observed - counterfactual, units)
        by_cell = np.array([total[kept] for total in totals])
        means = _Means(self, term[kept], self.cells[:, kept], by_cell, len(terms))
        scores, covariance, max_df = means.jackknife()
        value = means.value
        reasons = [
            (np.isnan(value), "have no comparison, or no positive mean"),
            (np.isnan(np.diag(covariance)) & ~np.isnan(value), "rest on one cluster alone, and have no error"),
        ]
        return Estimate(
            estimand=estimand,
            unit="units of y" if self.scale == "level" else "log points",
            terms=tuple(terms),
            value=value,
            n=n.astype(np.int64),
            scores=scores,
            covariance=covariance,
            max_df=max_df,
            level=self.level,
            counts=self.counts,
            clusters=self.labels,
            reason="; ".join(f"{lost.sum()} of {len(terms)} cells {why}" for lost, why in reasons if lost.any()),
            **fields,
        )

    def _blocks(self, group: Group, size: int = BLOCK) -> Iterator[tuple[Floats, Floats]]:
        """Yield weights of the rows of a group and a copy of their outcomes, few at a time."""
        size, times = max(size // self.width, 1), self.y[:, group.start : group.start + self.width]
        for first in range(0, len(group.rows), size):
            rows = group.rows[first : first + size]
            yield np.ones(len(rows)) if self.weight is None else self.weight[rows], times[rows]


@dataclass(frozen=True, eq=False)
class _Addend:
    """Addition of a group's rows to totals.

    `base` is the column in which treated groups are compared with it, -1 for that of a treated group;
    `cells`, bool[cell], those that use the group. `slope` is float64[total, time + 1], by the group's sums, of the
    totals numbered in `totals`.
    """

    group: int
    base: int
    cells: Bools
    totals: Ints
    slope: Floats


@dataclass(frozen=True, eq=False)
class _Means:
    """Functions of two totals over cells: ``log(observed / expected)``, or ``(observed - expected) / units``.

    `term` is int64[cell], `cells` int64[5, cell], `by_cell` both totals of each cell; there are `count` terms.
    """

    effects: GroupTime
    term: Ints
    cells: Ints
    by_cell: Floats
    count: int

    @cached_property
    def totals(self) -> Floats:
        """Both totals of all terms, float64[2 terms]."""
        return np.concatenate([np.bincount(self.term, total, minlength=self.count) for total in self.by_cell]) * 1.0

    @cached_property
    def value(self) -> Floats:
        """The function of each term, NaN if it is not finite."""
        first, second = self.totals.reshape(2, -1)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = np.log(first / second) if self.effects.scale == "ratio" else first / second
        return np.where(np.isfinite(value), value, np.nan)

    @cached_property
    def addends(self) -> list[_Addend]:
        """Addends by group: treated ones once, others for each column that they serve as a base in."""
        effects, term = self.effects, self.term
        treated, comparison, _, time, base = self.cells
        ratio = effects.scale == "ratio"
        indexes = effects._indexes(self.cells)
        slope = slopes(effects._counterfactual, *(effects.sums[index] for index in indexes))
        total, sign = (term + self.count, 1.0) if ratio else (term, -1.0)  # of the counterfactual
        alone, ones, width = np.full(len(term), -1), np.ones(len(term)), effects.width + 1
        terms = [(treated, alone, term, time, ones)]
        terms += [] if ratio else [(treated, alone, term + self.count, np.full(len(term), effects.width), ones)]
        for number, ((group, column), by) in enumerate(zip(indexes, slope, strict=True)):
            terms.append((group, alone if number < len(indexes) // 2 else base, total, column, sign * by))
        group, against, total, column, by = (np.concatenate(arrays) for arrays in zip(*terms, strict=True))
        addends = []
        for key in np.unique(group * width + against + 1).tolist():
            number, at = key // width, key % width - 1
            some = (group == number) & (against == at)
            active, row = np.unique(total[some], return_inverse=True)
            gradient = np.zeros((len(active), width))
            np.add.at(gradient, (row, column[some]), by[some])
            addends.append(_Addend(number, at, (comparison == number) & (base == at), active, gradient))
        return addends

    @property
    def max_df(self) -> Floats:
        """Most degrees of freedom of each term: the number of its treated clusters less one, at least 1."""
        effects, (terms, groups) = self.effects, np.unique([self.term, self.cells[0]], axis=1)
        code = effects.cluster
        clusters = [group.rows if code is None else np.unique(code[group.rows]) for group in effects.groups]
        max_df = np.ones(self.count)
        for term in np.unique(terms):
            treated = np.concatenate([clusters[group] for group in groups[terms == term]])
            max_df[term] = max(len(treated if code is None else np.unique(treated)) - 1, 1)
        return max_df

    def jackknife(self) -> tuple[Floats | None, Floats, Floats]:
        """Return scores, float64[cluster, term], their products, and degrees of freedom.

        If each unit is its own cluster the scores are not held, and None.
        """
        effects = self.effects
        if effects.cluster is not None:
            change = np.zeros((len(effects.labels), len(self.totals)))
            for addend in self.addends:
                group = effects.groups[addend.group]
                self._add(change, addend, effects.cluster[group.rows], effects._blocks(group))
            self._add_again(change, effects.cluster)
            scores = np.sqrt(1 - 1 / np.count_nonzero(change.any(axis=1))) * self._change_of_terms(change)
            return scores, scores.T @ scores, self.max_df
        factor = np.sqrt(1 - 1 / len(effects.labels))
        products, square, fourth = np.zeros((self.count, self.count)), np.zeros(self.count), np.zeros(self.count)
        for number, group in enumerate(effects.groups):
            of_group = [addend for addend in self.addends if addend.group == number]
            for weight, y in effects._blocks(group, BLOCK * effects.width // max(effects.width, 2 * self.count)):
                change = np.zeros((len(y), len(self.totals)))
                for addend in of_group:
                    self._add(change, addend, np.arange(len(y)), [(weight, y)])
                scores = factor * self._change_of_terms(change)
                products += scores.T @ scores
                scores **= 2
                square += scores.sum(axis=0)
                fourth += (scores**2).sum(axis=0)
        return None, products, np.fmin(self.max_df, effective(square, fourth))

    def _add(self, change: Floats, addend: _Addend, code: Ints, blocks: Iterable[tuple[Floats, Floats]]) -> None:
        """Add to `change`, float64[cluster, total], the totals that go with each cluster of a part; `code` is by row.

        Without a cluster the growth of others changes by the cluster's share in it over the share of the base left.
        """
        effects, slope, start = self.effects, addend.slope, 0
        sums, held = np.zeros((len(change), len(addend.totals))), np.zeros(len(change))
        for weight, y in blocks:
            rows = code[start : start + len(y)]
            start += len(y)
            if addend.base >= 0:
                np.add.at(held, rows, weight * y[:, addend.base] if effects.scale == "ratio" else weight)
            level = y @ np.full(effects.width, (effects.scale == "level") / effects.width)  # cancels: take it off
            np.add.at(sums, rows, weight[:, np.newaxis] * ((y - level[:, np.newaxis]) @ slope[:, :-1].T + slope[:, -1]))
        if addend.base >= 0:
            rest = 1 - held / effects.sums[addend.group, addend.base if effects.scale == "ratio" else -1]
            gone = rest <= NOTHING_LEFT  # without a comparison, which takes the cells along
            sums *= np.divide(1.0, rest, out=np.zeros(len(rest)), where=~gone)[:, np.newaxis]
            if gone.any():
                change[gone] += np.concatenate(
                    [np.bincount(self.term[addend.cells], total[addend.cells], self.count) for total in self.by_cell]
                )
        change[:, addend.totals] += sums

    def _add_again(self, change: Floats, cluster: Ints) -> None:
        """Replace the rows of `change` of clusters on both sides of a comparison, by adding up the others again.

        Without such a cluster the totals change by a product of the two, which :meth:`_add` leaves out.
        """
        effects, ratio = self.effects, self.effects.scale == "ratio"
        sides = np.zeros((2, len(change)), dtype=bool)
        for group in effects.groups:
            sides[int(np.isinf(group.first)), cluster[group.rows]] = True
        both = np.flatnonzero(sides.all(axis=0))
        sums = np.zeros((len(both), *effects.sums.shape))
        for number, group in enumerate(effects.groups):
            rows = group.rows[np.isin(cluster[group.rows], both)]
            weight = np.ones(len(rows)) if effects.weight is None else effects.weight[rows]
            y = np.column_stack([effects.y[rows, group.start : group.start + effects.width], np.ones(len(rows))])
            np.add.at(sums[:, number], np.searchsorted(both, cluster[rows]), weight[:, np.newaxis] * y)
        treated, comparison, _, time, base = self.cells
        compared = base if ratio else -1
        for label, gone in zip(both, sums, strict=True):
            rest = effects.sums - gone
            kept = rest[comparison, compared] > NOTHING_LEFT * effects.sums[comparison, compared]
            with np.errstate(divide="ignore", invalid="ignore"):
                counterfactual = effects._counterfactual(*(rest[index] for index in effects._indexes(self.cells)))
            observed = rest[treated, time]
            totals = (observed, counterfactual) if ratio else (observed - counterfactual, rest[treated, -1])
            left = [np.bincount(self.term[kept], total[kept], self.count) for total in totals]
            change[label] = self.totals - np.concatenate(left)

    def _change_of_terms(self, change: Floats) -> Floats:
        """Return the change of each term from that of the totals, float64[cluster, term]; NaN if no total is left."""
        first, second = self.totals.reshape(2, -1)
        go_first, go_second = change[:, : self.count], change[:, self.count :]
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.effects.scale == "ratio":
                share, other = go_first / first, go_second / second
                by_term = np.log1p(-other) - np.log1p(-share)
                by_term[(share > 1 - NOTHING_LEFT) | (other > 1 - NOTHING_LEFT)] = np.nan
            else:
                by_term = (go_first - self.value * go_second) / (second - go_second)
                by_term[go_second > (1 - NOTHING_LEFT) * second] = np.nan
        by_term[:, np.isnan(self.value)] = np.nan
        return np.asarray(by_term)


@dataclass(frozen=True, eq=False)
class Units:
    """Units that an estimator can use.

    Attributes
    ----------
    y : float64[unit, time]
    first : int64[cohort]
        First treated periods, rising.
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


def usable_units(
    y: Floats,
    first_treated: Floats,
    covariates: Floats | None,
    weights: Floats | None,
    cluster: Labels | None,
    strata: Labels | None,
    scale: Scale,
    anticipation: int,
    level: float,
) -> Units:
    """Return the units with a period before treatment and without missing values; options are those of :func:`att_gt`.

    Raises
    ------
    DesignError
        If an option is unknown, shapes disagree, a weight is not positive, a ratio has a negative outcome, or no unit
        is treated or never treated.
    """
    check_choice("scale", scale, get_args(Scale))
    if whole_number("anticipation", anticipation) < 0:
        raise DesignError(f"Cannot use anticipation = {anticipation}: it counts periods; give 0 or more")
    check_level(level)
    by_unit = {"first_treated": first_treated, "covariates": covariates, "weights": weights}
    refuse_other_order(y=y, **by_unit, cluster=cluster, strata=strata)
    y, first = np.asarray(y, dtype=float), np.asarray(first_treated, dtype=float)
    x = np.empty((len(y), 0)) if covariates is None else np.asarray(covariates, dtype=float)
    weight = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=float)
    if y.ndim != 2 or x.ndim != 2 or not len(y) == len(x) == len(first) == len(weight) or np.isnan(first).any():
        raise DesignError(
            f"Cannot match y, first_treated, covariates and weights: their shapes are {y.shape}, {first.shape}, "
            f"{x.shape} and {weight.shape}, and {int(np.isnan(first).sum())} units have no date; give one row for each "
            "unit, and inf for never treated"
        )
    if (wrong := ~((weight > 0) & (weight < np.inf))).any():
        raise DesignError(
            f"Cannot weight units by {weight[wrong][0]:g}: {wrong.sum()} of {len(weight)} weights are not positive "
            "numbers; leave units without weight out"
        )
    if scale == "ratio" and (negative := int((y < 0).sum())):
        raise DesignError(f"Cannot use the ratio scale: {negative} outcomes are negative; use the level scale")
    has_base = first - 1 - anticipation >= 0
    values = y if covariates is None else np.column_stack([y, x])
    complete = np.isfinite(values.sum(axis=1)) if not np.isfinite(values.sum()) else np.ones(len(y), bool)
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
            f"Cannot compare with never treated units: of {len(y)} units that can be used {counts['treated']} are "
            f"treated in the window and {len(y) - counts['treated']} never; "
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
    )


def why_early(dropped: int) -> str:
    """Return the clause of a message about dropped units that are treated from the start, or ""."""
    if not dropped:
        return ""
    return (
        f"{dropped} units have no period before treatment, and so are dropped: if they are never treated, leave their "
        "date missing, in arrays infinite; "
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
    """Estimate group-time effects by comparing changes since the last period before treatment with the never treated.

    ``ATT(g, t) = E[Y_t - Y_b | g] - E[Y_t - Y_b | never]`` with ``b = g - 1 - anticipation``, for all ``t != b``
    (a universal base), or on the ratio scale ``log(E[Y_t|g] / E[Y_b|g]) - log(E[Y_t|never] / E[Y_b|never])``, for
    which zeros are values like any other.

    Parameters
    ----------
    y : float64[unit, time]
        Outcomes; NaN is missing, and its unit is dropped and counted.
    first_treated : float64[unit]
        Column index of the first treated period; inf, or any after the last column, for never.
    scale : {"level", "ratio"}
    anticipation : int
        Periods before treatment in which an effect is allowed for.
    weights : float64[unit], optional
        Sampling weights: the number of units each stands for, up to a factor; 1 by default.
    cluster : sequence, optional
        Cluster of each unit, such as the brand group; each unit its own by default.
    strata : sequence, optional
        Comparisons are made within these, in place of covariates, and averaged over the treated.
    level : float
        Coverage of intervals.

    Returns
    -------
    GroupTime
        With `effects`, an Estimate, and ``.aggregate()``; `n` is the number of treated units behind each term. Errors
        are those of the cluster jackknife (CV3), with the degrees of freedom of :func:`analysis.estimate.effective`. A
        cell without comparison is NaN, never zero; one that rests on one cluster has no error. Without `cluster`, the
        scores of effects are None.

    Raises
    ------
    DesignError
        If shapes disagree, an option is unknown, a weight is not positive, a ratio has a negative outcome, nobody is
        treated, or nobody can be compared.

    References
    ----------
    Callaway, B. and Sant'Anna, P. H. C. (2021), Difference-in-differences with multiple time periods, Journal of
    Econometrics 225, 200-230. Santos Silva, J. M. C. and Tenreyro, S. (2006), The log of gravity, Review of Economics
    and Statistics 88, 641-658, for the ratio scale. MacKinnon, J. G., Nielsen, M. O. and Webb, M. D. (2023), Fast and
    reliable jackknife and bootstrap methods for cluster-robust inference, Journal of Applied Econometrics 38, 671-694.
    """
    units = usable_units(y, first_treated, None, weights, cluster, strata, scale, anticipation, level)
    first = np.append(units.first, np.inf)  # the last, of cohort -1, is never
    code = units.cohort % len(first) * (int(units.stratum.max()) + 1) + units.stratum
    return GroupTime(
        y=units.y,
        groups=[Group(rows, first[units.cohort[rows[0]]], units.stratum[rows[0]]) for rows in rows_by(code)],
        width=units.y.shape[1],
        scale=scale,
        anticipation=anticipation,
        weight=None if weights is None else units.weight,  # ones would be read block by block
        cluster=units.cluster,
        labels=units.labels,
        level=level,
        counts=units.counts,
    )
