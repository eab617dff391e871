"""Group-time effects of an absorbing treatment, on the level and on the ratio scale.

Every effect is a smooth function of sums by group (cohort and stratum) and period, of degree zero: so what a unit adds
to it is the gradient by the sums of its group, times the unit's own row. No design matrix, no demeaning in a loop, and
nothing of size units x effects is held unless errors are clustered.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.errors import DesignError
from analysis.estimate import Bools, Estimate, Floats, Ints, Labels, rows_by, slopes

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


@dataclass(frozen=True, eq=False, kw_only=True)
class GroupTime:
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
    cluster: Ints | None
    labels: npt.NDArray[Any]
    level: float
    counts: dict[str, int]

    def __post_init__(self) -> None:
        """Refuse groups of which none can be compared."""
        if not (self.cells[1] >= 0).any():
            raise DesignError(
                f"effects against never treated units were asked for; {self.counts['units']} units are left in "
                f"{len(self.groups)} groups and no treated group has a comparison; add untreated units"
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

    @property
    def sums(self) -> Floats:
        """Sums of the outcomes of each group and, last, of ones, float64[group, time + 1]."""
        return self._passed[0]

    @cached_property
    def effects(self) -> Estimate:
        """One term such as ``"g=5 t=7"`` for each cohort and period, averaged over strata; NaN without comparison."""
        own, pool, group, time, _ = self.cells
        place, key = pd.factorize(group * self.width + time)
        group, time = key // self.width, key % self.width
        size = np.append(self.sums[:, -1], 0)
        treated, comparison = (np.bincount(place, size[of]).astype(np.int64) for of in (own, pool))
        columns = {"group": group, "time": time, "event_time": time - group}
        return self._estimate(
            "effect on the treated by cohort and period",
            [f"g={one} t={other}" for one, other in zip(group, time, strict=True)],
            place,
            n=treated + comparison,
            columns=columns | {"n_treated": treated, "n_comparison": comparison},
        )

    def aggregate(self, kind: Literal["simple", "dynamic"] = "simple") -> Estimate:
        """Average the effects over all treated cells, or by event time; weighted by cohort, with the error of weights.

        Raises
        ------
        DesignError
            If no cell has a comparison, or on the ratio scale none of those treated sold anything.
        """
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
        n = np.bincount(place[usable & (place >= 0)], minlength=len(terms))
        return self._estimate(f"{kind} effect on the treated", terms, place, n=n)

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
        """Return where the sums stand that :meth:`_counterfactual` takes."""
        own, pool, _, time, base = cells
        units = np.full(len(own), self.width)
        places = [(own, base), (pool, time), (pool, base)]
        return places if self.scale == "ratio" else [*places, (own, units), (pool, units)]

    def _counterfactual(self, own_base: Any, pool_time: Any, pool_base: Any, n_own: Any = 1, n_pool: Any = 1) -> Any:
        if self.scale == "ratio":
            return own_base * pool_time / pool_base
        return own_base + n_own * (pool_time - pool_base) / n_pool

    def _average(self, seen: Any, without: Any, n: Any) -> Any:
        return np.log(seen / without) if self.scale == "ratio" else (seen - without) / n

    def _estimate(self, estimand: str, terms: list[str], place: Ints, **more: Any) -> Estimate:
        """Average the cells of each term; `place` is int64[cell], the number of the term or -1."""
        usable, seen, without = self._totals()
        kept = np.flatnonzero(usable & (place >= 0))
        term, cells = place[kept], self.cells[:, kept]
        own, _, _, time, _ = cells
        totals: list[Floats] = [
            np.bincount(term, values, minlength=len(terms)).astype(float)
            for values in (seen[kept], without[kept], self.sums[own, -1])
        ]
        totals[0] = np.where((totals[0] > 0) | (self.scale == "level"), totals[0], np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = self._average(*totals)
            by_seen, by_without, by_n = (slope[term] for slope in slopes(self._average, *totals))
        gradient = np.zeros((len(terms), *self.sums.shape))
        np.add.at(gradient, (term, own, time), by_seen)
        np.add.at(gradient, (term, own, np.full(len(own), -1)), by_n)
        places = self._places(cells)
        for spot, slope in zip(places, slopes(self._counterfactual, *(self.sums[one] for one in places)), strict=True):
            np.add.at(gradient, (term, *spot), by_without * slope)
        gradient[np.isnan(value)] = np.nan  # a term without cells has no error either
        lost = int(np.isnan(value).sum())
        influence = partial(self._influence, gradient)
        return Estimate(
            estimand=estimand,
            unit="units of y" if self.scale == "level" else "log points",
            terms=tuple(terms),
            value=value,
            by_cluster=influence if self.cluster is None else influence(),
            covariance=self._covariance(gradient) if self.cluster is None else None,
            level=self.level,
            counts=self.counts,
            clusters=self.labels,
            reason=f"{lost} of {len(terms)} cells have no comparison, or no positive mean" if lost else "",
            **more,
        )

    def _blocks(self, group: Group) -> Iterator[tuple[Ints, Floats]]:
        """Yield rows of a group and a copy of their outcomes, few at a time."""
        size, times = max(BLOCK // self.width, 1), self.y[:, group.start : group.start + self.width]
        for first in range(0, len(group.rows), size):
            rows = group.rows[first : first + size]
            yield rows, times[rows]

    def _centre(self, part: Floats) -> Floats:
        """Take off each unit's own level, which cancels on the level scale; in place."""
        if self.scale == "level":
            np.subtract(part, (part @ np.full(self.width, 1 / self.width))[:, np.newaxis], out=part)
        return part

    def _influence(self, gradient: Floats) -> Floats:
        """Return what each cluster (or unit) adds to each term, float64[cluster, term]."""
        code = np.arange(len(self.y)) if self.cluster is None else self.cluster
        found = np.zeros((len(self.labels), len(gradient)))
        for place, group in enumerate(self.groups):
            slope = gradient[:, place]
            for rows, part in self._blocks(group) if slope.any() else ():
                np.add.at(found, code[rows], self._centre(part) @ slope[:, :-1].T + slope[:, -1])
        return found

    def _covariance(self, gradient: Floats) -> Floats:
        """Return the sum of squares of :meth:`_influence` where each unit is its own cluster, without forming it."""
        total = np.zeros((len(gradient), len(gradient)))
        for group, (mean, cross) in enumerate(self._passed[1]):
            active = np.flatnonzero(gradient[:, group].any(axis=1))
            slope = gradient[active, group]
            middle = slope[:, :-1] @ mean + slope[:, -1]
            spread = slope[:, :-1] @ cross @ slope[:, :-1].T
            total[np.ix_(active, active)] += spread + len(self.groups[group].rows) * np.outer(middle, middle)
        return total

    @cached_property
    def _passed(self) -> tuple[Floats, list[tuple[Floats, Floats]]]:
        """What one pass over the rows finds: the sums and, where units are clusters, moments of centred outcomes.

        Moments are the means of each group by period, and the cross-products of deviations from them.
        """
        sums, moments = np.empty((len(self.groups), self.width + 1)), []
        for place, group in enumerate(self.groups):
            total, cross, found, near = np.zeros(self.width), np.zeros((self.width, self.width)), [], None
            for _, part in self._blocks(group):
                ones = np.ones(len(part))
                found.append(ones @ part)  # a product: numpy adds short rows slowly
                if self.cluster is None:
                    off = self._centre(part)
                    near = off.mean(axis=0) if near is None else near
                    off -= near
                    total += ones @ off
                    cross += off.T @ off
            sums[place] = [*np.sum(found, axis=0), len(group.rows)]
            if near is not None:
                shift = total / len(group.rows)
                moments.append((near + shift, cross - len(group.rows) * np.outer(shift, shift)))
        return sums, moments


def att_gt(
    y: Floats,
    first_treated: Floats,
    *,
    scale: Scale = "level",
    anticipation: int = 0,
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
    cluster : sequence, optional
        Cluster of each unit, such as the brand group; each unit its own where not given.
    strata : sequence, optional
        Comparisons are made within these and averaged over the treated; they stand for covariates.
    level : float
        Coverage of intervals.

    Returns
    -------
    GroupTime
        With `effects`, an Estimate, and ``.aggregate()``. Errors are ``sqrt(sum of squared influence values)``, without
        a small-sample factor. A cell without comparison is NaN, never zero.

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
    if y.ndim != 2 or first.shape != (len(y),) or np.isnan(first).any():
        raise DesignError(
            f"y[unit, time] and first_treated[unit] were asked for; found shapes {y.shape} and {first.shape}, and "
            f"{int(np.isnan(first).sum())} units without a date; use inf for never treated"
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
        cluster=codes,
        labels=labels,
        level=level,
        counts=counts,
    )
