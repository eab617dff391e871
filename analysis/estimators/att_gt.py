"""Group-time effects of an absorbing treatment, on the level and on the ratio scale.

Every effect is a function of two totals, and these of sums by group (cohort and stratum) and period. So what is left of
an effect without a cluster follows from the cluster's own rows: the jackknife leaves each of them out without
estimating anything again. No design matrix, no demeaning in a loop, and nothing of size units x effects is held unless
errors are clustered.
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
from analysis.estimate import (
    NOTHING_LEFT,
    Bools,
    Estimate,
    Floats,
    Ints,
    Labels,
    effective,
    slopes,
)
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
        Of which several may hold the same unit in other times of its own.
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
        Code of each unit's cluster, and what the codes stand for.
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
        """Refuse groups of which none can be compared."""
        if not (self.cells[1] >= 0).any():
            raise DesignError(
                f"effects against never treated units were asked for; {self.counts['units']} units are left in "
                f"{len(self.groups)} groups and no treated group has a comparison; "
                f"{why_early(self.counts.get('dropped_always_treated', 0))}add untreated units"
            )

    @cached_property
    def cells(self) -> Ints:
        """A column per treated group and period, int64[5, cell].

        The treated group and that of those never treated (-1: nobody to compare with); columns of first treatment, of
        the outcome, and of the outcome that it is compared with.
        """
        first, stratum = np.array([group.first for group in self.groups]), [group.stratum for group in self.groups]
        never = {label: group for group, label in enumerate(stratum) if np.isinf(first[group])}
        treated = np.flatnonzero(first < self.width)
        own, time = np.repeat(treated, self.width), np.tile(np.arange(self.width), len(treated))
        pool = np.repeat([never.get(stratum[group], -1) for group in treated], self.width)
        group = first[own].astype(np.int64)
        base = group - 1 - self.anticipation
        return np.array([own, pool, group, time, base])[:, time != base]

    @cached_property
    def sums(self) -> Floats:
        """Sums of the outcomes of each group and, last, of units, float64[group, time + 1]; weighted."""
        found = np.empty((len(self.groups), self.width + 1))
        for place, group in enumerate(self.groups):
            parts = [np.append(weight @ part, weight.sum()) for weight, part in self._blocks(group)]
            found[place] = np.sum(parts, axis=0)
        return found

    @cached_property
    def effects(self) -> Estimate:
        """One term such as ``"g=5 t=7"`` for each cohort and period, averaged over strata; NaN without comparison."""
        own, pool, group, time, _ = self.cells
        place, key = pd.factorize(group * self.width + time)
        group, time = key // self.width, key % self.width
        size = np.array([*(len(one.rows) for one in self.groups), 0])
        treated, comparison = (np.bincount(place, size[of]).astype(np.int64) for of in (own, pool))
        columns = {"group": group, "time": time, "event_time": time - group}
        return self._estimate(
            "effect on the treated by cohort and period",
            [f"g={one} t={other}" for one, other in zip(group, time, strict=True)],
            place,
            columns=columns | {"n_treated": treated, "n_comparison": comparison},
        )

    def _shown(self) -> tuple[str, pd.DataFrame, list[str]]:
        return self.effects._shown()

    def aggregate(self, kind: Literal["simple", "dynamic"] = "simple") -> Estimate:
        """Average the effects over all treated cells, or by event time; weighted by cohort, with the error of weights.

        Raises
        ------
        DesignError
            If `kind` is neither, no cell has a comparison, or on the ratio scale none of those treated sold anything.
        """
        check_choice("kind", kind, ("simple", "dynamic"))
        usable, seen, _ = self._totals()
        found = usable & (seen > 0) if self.scale == "ratio" else usable  # log 0 is no effect
        event = self.cells[3] - self.cells[2]
        terms, place = ["simple"], np.where(event >= 0, 0, -1)
        if kind == "dynamic":
            shown = np.unique(event[found])
            terms, place = [str(one) for one in shown], pd.Index(shown).get_indexer(event)
        if not found[place >= 0].any():
            raise DesignError(
                f"the {kind} effect was asked for; none of {len(event)} cells has a comparison; widen the window"
            )
        return self._estimate(f"{kind} effect on the treated", terms, place)

    def _totals(self) -> tuple[Bools, Floats, Floats]:
        """Return which cells have a comparison, their totals, and what these would have been, float64[cell].

        A cell that sold nothing stays: to leave it out of a total would be to select on the outcome.
        """
        own, pool, _, time, _ = self.cells
        with np.errstate(divide="ignore", invalid="ignore"):
            without = self._counterfactual(*(self.sums[place] for place in self._places(self.cells)))
        usable = (pool >= 0) & np.isfinite(without)
        return usable & (without > 0) if self.scale == "ratio" else usable, self.sums[own, time], without

    def _places(self, cells: Ints) -> list[tuple[Ints, Ints]]:
        """Return where the sums stand that :meth:`_counterfactual` takes: of the treated group, then of the other."""
        own, pool, _, time, base = cells
        units = np.full(len(own), self.width)
        pooled = [(pool, time), (pool, base)]
        return [(own, base), *pooled] if self.scale == "ratio" else [(own, base), (own, units), *pooled, (pool, units)]

    def _counterfactual(self, own_base: Any, *others: Any) -> Any:
        if self.scale == "ratio":
            pool_time, pool_base = others
            return own_base * pool_time / pool_base
        n_own, pool_time, pool_base, n_pool = others
        return own_base + n_own * (pool_time - pool_base) / n_pool

    def _estimate(self, estimand: str, terms: list[str], place: Ints, **more: Any) -> Estimate:
        """Average the cells of each term; `place` is int64[cell], the number of the term or -1."""
        usable, seen, without = self._totals()
        kept = np.flatnonzero(usable & (place >= 0))
        term, treated = np.unique([place[kept], self.cells[0, kept]], axis=1)  # each group once
        n = np.bincount(term, np.array([len(group.rows) for group in self.groups])[treated], len(terms))
        units = self.sums[self.cells[0], -1]
        totals = (seen, without) if self.scale == "ratio" else (seen - without, units)
        means = _Means(self, place[kept], self.cells[:, kept], np.array([one[kept] for one in totals]), len(terms))
        moved, covariance, df = means.jackknife()
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
            scores=moved,
            covariance=covariance,
            max_df=df,
            level=self.level,
            counts=self.counts,
            clusters=self.labels,
            reason="; ".join(f"{lost.sum()} of {len(terms)} cells {why}" for lost, why in reasons if lost.any()),
            **more,
        )

    def _blocks(self, group: Group, size: int = BLOCK) -> Iterator[tuple[Floats, Floats]]:
        """Yield weights of the rows of a group and a copy of their outcomes, few at a time."""
        size, times = max(size // self.width, 1), self.y[:, group.start : group.start + self.width]
        for first in range(0, len(group.rows), size):
            rows = group.rows[first : first + size]
            yield np.ones(len(rows)) if self.weight is None else self.weight[rows], times[rows]


@dataclass(frozen=True, eq=False)
class _Part:
    """What the rows of a group add to totals.

    `base` is the column that treated groups are compared in, -1 for what a treated group adds itself; `cells` those in
    which the group is used. `slope` is float64[column, time + 1], by the group's sums; its `columns` are totals.
    """

    group: int
    base: int
    cells: Bools
    columns: Ints
    slope: Floats


@dataclass(frozen=True, eq=False)
class _Means:
    """Functions of two totals over cells: ``log(seen / without)``, or ``(seen - without) / units``.

    `term` is int64[cell], `cells` int64[5, cell], `by_cell` both totals of each cell; there are `count` terms.
    """

    of: GroupTime
    term: Ints
    cells: Ints
    by_cell: Floats
    count: int

    @cached_property
    def totals(self) -> Floats:
        """Both totals of all terms, float64[2 terms]."""
        return np.concatenate([np.bincount(self.term, one, minlength=self.count).astype(float) for one in self.by_cell])

    @cached_property
    def value(self) -> Floats:
        """The function of each term; NaN where there is none."""
        first, second = self.totals.reshape(2, -1)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = np.log(first / second) if self.of.scale == "ratio" else first / second
        return np.where(np.isfinite(value), value, np.nan)

    @cached_property
    def parts(self) -> list[_Part]:
        """What each group adds: treated ones once, the others for each column that they serve as a base in."""
        of, term = self.of, self.term
        own, pool, _, time, base = self.cells
        ratio = of.scale == "ratio"
        places = of._places(self.cells)
        slope = slopes(of._counterfactual, *(of.sums[one] for one in places))
        into, sign = (term + self.count, 1.0) if ratio else (term, -1.0)  # without closures
        alone, ones, width = np.full(len(term), -1), np.ones(len(term)), of.width + 1
        added = [(own, alone, term, time, ones)]
        added += [] if ratio else [(own, alone, term + self.count, np.full(len(term), of.width), ones)]
        for number, ((group, column), by) in enumerate(zip(places, slope, strict=True)):
            added.append((group, alone if number < len(places) // 2 else base, into, column, sign * by))
        used, against, columns, spots, values = (np.concatenate(one) for one in zip(*added, strict=True))
        found = []
        for key in np.unique(used * width + against + 1).tolist():
            group, column = divmod(key, width)
            some = (used == group) & (against == column - 1)
            active, row = np.unique(columns[some], return_inverse=True)
            gradient = np.zeros((len(active), width))
            np.add.at(gradient, (row, spots[some]), values[some])
            found.append(_Part(group, column - 1, (pool == group) & (base == column - 1), active, gradient))
        return found

    @property
    def most(self) -> Floats:
        """Most degrees of freedom of each term: one less than treated clusters, each once."""
        of, (terms, groups) = self.of, np.unique([self.term, self.cells[0]], axis=1)
        used = [group.rows if of.cluster is None else np.unique(of.cluster[group.rows]) for group in of.groups]
        most = np.ones(self.count)
        for term in np.unique(terms):
            clusters = np.concatenate([used[group] for group in groups[terms == term]])
            most[term] = max(len(clusters if of.cluster is None else np.unique(clusters)) - 1, 1)
        return most

    def jackknife(self) -> tuple[Floats | None, Floats, Floats]:
        """Return changes of terms without each cluster, float64[cluster, term], their products, degrees of freedom.

        Where each unit is its own cluster the changes are not held, and None.
        """
        of = self.of
        if of.cluster is not None:
            left = np.zeros((len(of.labels), len(self.totals)))
            for part in self.parts:
                rows = of.groups[part.group].rows
                self._add(left, part, of.cluster[rows], of._blocks(of.groups[part.group]))
            self._again(left, of.cluster)
            moved = np.sqrt(1 - 1 / np.count_nonzero(left.any(axis=1))) * self._moved(left)
            return moved, moved.T @ moved, self.most
        factor = np.sqrt(1 - 1 / len(of.labels))
        products, square, fourth = np.zeros((self.count, self.count)), np.zeros(self.count), np.zeros(self.count)
        for number, group in enumerate(of.groups):
            parts = [part for part in self.parts if part.group == number]
            for weight, y in of._blocks(group, BLOCK * of.width // max(of.width, 2 * self.count)):
                left = np.zeros((len(y), len(self.totals)))
                for part in parts:
                    self._add(left, part, np.arange(len(y)), [(weight, y)])
                moved = factor * self._moved(left)
                products += moved.T @ moved
                moved **= 2
                square += moved.sum(axis=0)
                fourth += (moved**2).sum(axis=0)
        return None, products, np.fmin(self.most, effective(square, fourth))

    def _add(self, left: Floats, part: _Part, code: Ints, blocks: Iterable[tuple[Floats, Floats]]) -> None:
        """Add to `left`, float64[cluster, total], what a part's rows leave when they go; `code` is of those rows.

        Without a cluster the growth of others changes by what it added to it over the share of the base that is left.
        """
        of, slope, start = self.of, part.slope, 0
        found, held = np.zeros((len(left), len(part.columns))), np.zeros(len(left))
        for weight, y in blocks:
            some = code[start : start + len(y)]
            start += len(y)
            if part.base >= 0:
                np.add.at(held, some, weight * y[:, part.base] if of.scale == "ratio" else weight)
            level = y @ np.full(of.width, (of.scale == "level") / of.width)  # cancels: take it off
            added = (y - level[:, np.newaxis]) @ slope[:, :-1].T + slope[:, -1]
            np.add.at(found, some, weight[:, np.newaxis] * added)
        if part.base >= 0:
            rest = 1 - held / of.sums[part.group, part.base if of.scale == "ratio" else -1]
            gone = rest <= NOTHING_LEFT  # nobody else is left to compare with: the cells go too
            found *= np.divide(1.0, rest, out=np.zeros(len(rest)), where=~gone)[:, np.newaxis]
            if gone.any():
                there = [np.bincount(self.term[part.cells], one[part.cells], self.count) for one in self.by_cell]
                left[gone] += np.concatenate(there)
        left[:, part.columns] += found

    def _again(self, left: Floats, cluster: Ints) -> None:
        """Write in `left` what clusters take from both sides of a comparison, by adding up the rest again.

        What they take is a product of the two, which :meth:`_add` would leave out.
        """
        of, ratio = self.of, self.of.scale == "ratio"
        sides = np.zeros((2, len(left)), dtype=bool)
        for group in of.groups:
            sides[int(np.isinf(group.first)), cluster[group.rows]] = True
        both = np.flatnonzero(sides.all(axis=0))
        sums = np.zeros((len(both), *of.sums.shape))
        for place, group in enumerate(of.groups):
            rows = group.rows[np.isin(cluster[group.rows], both)]
            weight = np.ones(len(rows)) if of.weight is None else of.weight[rows]
            y = np.column_stack([of.y[rows, group.start : group.start + of.width], np.ones(len(rows))])
            np.add.at(sums[:, place], np.searchsorted(both, cluster[rows]), weight[:, np.newaxis] * y)
        own, pool, _, time, base = self.cells
        compared = base if ratio else -1
        for label, gone in zip(both, sums, strict=True):
            rest = of.sums - gone
            there = rest[pool, compared] > NOTHING_LEFT * of.sums[pool, compared]
            with np.errstate(divide="ignore", invalid="ignore"):
                without = of._counterfactual(*(rest[place] for place in of._places(self.cells)))
            totals = (rest[own, time], without) if ratio else (rest[own, time] - without, rest[own, -1])
            kept = [np.bincount(self.term[there], one[there], self.count) for one in totals]
            left[label] = self.totals - np.concatenate(kept)

    def _moved(self, left: Floats) -> Floats:
        """Return by how much each term changes where `left`, float64[cluster, total], goes; NaN where nothing stays."""
        first, second = self.totals.reshape(2, -1)
        go_first, go_second = left[:, : self.count], left[:, self.count :]
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.of.scale == "ratio":
                share, other = go_first / first, go_second / second
                moved = np.log1p(-other) - np.log1p(-share)
                moved[(share > 1 - NOTHING_LEFT) | (other > 1 - NOTHING_LEFT)] = np.nan
            else:
                moved = (go_first - self.value * go_second) / (second - go_second)
                moved[go_second > (1 - NOTHING_LEFT) * second] = np.nan
        moved[:, np.isnan(self.value)] = np.nan
        return np.asarray(moved)


def check_options(scale: str, anticipation: int, level: float) -> None:
    """Refuse a scale that there is not, anticipation that is no count, and a level that is none."""
    check_choice("scale", scale, get_args(Scale))
    if whole_number("anticipation", anticipation) < 0:
        raise DesignError(f"Cannot use anticipation = {anticipation}: it counts periods; give 0 or more")
    check_level(level)


def why_early(dropped: int) -> str:
    """Return the clause of a message about units that were dropped since they are treated from the start."""
    found = f"{dropped} units have no period before treatment, and so are dropped: if they are never treated, "
    return f"{found}leave their date missing, in arrays infinite; " if dropped else ""


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
        Column index of the first treated period; inf for never.
    scale : {"level", "ratio"}
    anticipation : int
        Periods before treatment in which an effect is allowed for.
    weights : float64[unit], optional
        Sampling weights, how many units each stands for; 1 where not given.
    cluster : sequence, optional
        Cluster of each unit, such as the brand group; each unit its own where not given.
    strata : sequence, optional
        Comparisons are made within these and averaged over the treated; they stand for covariates.
    level : float
        Coverage of intervals.

    Returns
    -------
    GroupTime
        With `effects`, an Estimate, and ``.aggregate()``; `n` is the number of treated units behind each term. Errors
        are of the cluster jackknife (CV3), with degrees of freedom of :func:`analysis.estimate.effective`. A cell
        without comparison is NaN, never zero; one that rests on one cluster has no error.

    Raises
    ------
    DesignError
        If shapes disagree, an option is not one of those above, nobody is treated, or nobody can be compared.

    References
    ----------
    Callaway, B. and Sant'Anna, P. H. C. (2021), Difference-in-differences with multiple time periods, Journal of
    Econometrics 225, 200-230. Santos Silva, J. M. C. and Tenreyro, S. (2006), The log of gravity, Review of Economics
    and Statistics 88, 641-658, for the ratio scale. MacKinnon, J. G., Nielsen, M. O. and Webb, M. D. (2023), Fast and
    reliable jackknife and bootstrap methods for cluster-robust inference, Journal of Applied Econometrics 38, 671-694.
    """
    check_options(scale, anticipation, level)
    refuse_other_order(y=y, first_treated=first_treated, weights=weights, cluster=cluster, strata=strata)
    y, first = np.asarray(y, dtype=float), np.asarray(first_treated, dtype=float)
    if y.ndim != 2 or first.shape != (len(y),) or np.isnan(first).any():
        raise DesignError(
            f"y[unit, time] and first_treated[unit] were asked for; found shapes {y.shape} and {first.shape}, and "
            f"{int(np.isnan(first).sum())} units without a date; use inf for never treated"
        )
    weight = np.ones(len(first)) if weights is None else np.asarray(weights, dtype=float)
    if weight.shape != first.shape or not ((weight > 0) & (weight < np.inf)).all():
        raise DesignError(
            f"sampling weights were asked for; found shape {weight.shape} for {len(first)} units, and "
            f"{int((~((weight > 0) & (weight < np.inf))).sum())} that are not positive numbers; give one for each unit"
        )
    if not ((first < y.shape[1]) & (first > -np.inf)).any():
        raise DesignError(f"effects were asked for; none of {len(y)} units is treated inside the window; widen it")
    if scale == "ratio" and np.nanmin(y) < 0:
        raise DesignError(
            f"the ratio scale was asked for; {int((y < 0).sum())} outcomes are negative; use the level scale"
        )
    keep = first - 1 - anticipation >= 0
    early, dropped = int((~keep).sum()), 0
    if np.isnan(y.min(initial=np.inf)):  # NaN where any is; no array of flags
        whole = ~np.isnan(y.min(axis=1))
        dropped = int((keep & ~whole).sum())
        keep &= whole
    if not keep.all():
        y, first = y[keep], first[keep]
    codes, labels = (None, np.flatnonzero(keep)) if cluster is None else pd.factorize(np.asarray(cluster)[keep])
    stratum = np.zeros(len(y), dtype=np.int64) if strata is None else pd.factorize(np.asarray(strata)[keep])[0]
    groups = [
        Group(rows, first[rows[0]], stratum[rows[0]])
        for rows in rows_by(pd.factorize(first, sort=True)[0] * (int(stratum.max()) + 1) + stratum)
    ]
    counts = {
        "units": len(y),
        "treated": int(np.isfinite(first).sum()),
        "dropped_missing": dropped,
        "dropped_always_treated": early,
        "clusters": len(labels),
    }
    return GroupTime(
        y=y,
        groups=groups,
        width=y.shape[1],
        scale=scale,
        anticipation=anticipation,
        weight=None if weights is None else weight[keep],
        cluster=codes,
        labels=labels,
        level=level,
        counts=counts,
    )
