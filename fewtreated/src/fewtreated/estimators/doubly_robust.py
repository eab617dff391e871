"""Doubly robust group-time effects, relative to units with the same covariates.

Changes since the base are predicted by a regression on the units to compare with, and the residuals
are compared under odds weights that make these units like the cohort. Both are fitted once for each
pair of groups, or for each pair of periods if outcomes are missing. Without a cluster, means and
the regression are exact, and the log odds are one Newton step from those with it. An effect without
a cluster is then a sum of residuals, each times a factor of its unit, so that covariates need not
be multiplied by outcomes again.

On the ratio scale growth since the base takes the place of changes, and the outcome in the base is
part of a unit's weight: the regression is of outcomes on the base times covariates, and zeros are
ordinary values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

import numpy as np

from fewtreated.errors import DesignError
from fewtreated.estimate import Estimate, Floats, Ints
from fewtreated.estimators.att_gt import GroupTime
from fewtreated.estimators.groups import Pair
from fewtreated.estimators.units import Comparison, Units
from fewtreated.jackknife import NOTHING_LEFT

__dir__ = ["DoublyRobust", "doubly_robust"].copy  # for tab completion

ROWS = 2**12  # units at a time
SAME = 1e-12  # share of the largest eigenvalue below which covariates repeat each other
SINGULAR = 1e-10  # share of an eigenvalue or a pivot below which it is zero
# limit of Newton steps, the longest of them in log odds, and the size of the last
STEPS = 50
LONGEST = 5.0
CLOSE = 1e-8
MANY = 16  # times as many units as a solution is started from


@dataclass(frozen=True, eq=False)
class Fit:
    """Regression and odds of a cohort and its comparison.

    Attributes
    ----------
    basis : float64[covariate, column]
        Covariates as sums of columns of z. Their products over the comparison are the identity.
    one : float64[covariate]
        Coefficients of the covariates that give 1 for each unit.
    log_odds : float64[covariate]
        Coefficients of the log odds of being in the cohort.
    spread, odds : float64[covariate, covariate]
        Information on the log odds, and products of covariates under odds weights.
    treated : float64[covariate]
        Sums of the cohort's covariates. All sums are weighted, on the ratio scale also by the base.
    slopes : float64[covariate, time]
        Coefficients of the regression of outcomes.
    observed, residual : float64[time]
        Sums of the cohort's outcomes, and of what the regression leaves of them.
    of_odds : float64[covariate, time]
        Products of covariates and residuals of the comparison under odds weights.
    """

    basis: Floats
    one: Floats
    log_odds: Floats
    spread: Floats
    odds: Floats
    treated: Floats
    slopes: Floats
    observed: Floats
    residual: Floats
    of_odds: Floats

    @property
    def size(self) -> float:
        """Sum of the cohort's weights."""
        return float(self.one @ self.treated)

    @property
    def effect(self) -> Floats:
        """Sum over the cohort of effects on outcomes, float64[time]."""
        weight = self.size / (self.one @ self.odds @ self.one)
        return np.asarray(self.residual - weight * (self.one @ self.of_odds))


@dataclass(frozen=True)
class Part:
    """Cells of a pair of groups that share a fit.

    Attributes
    ----------
    fit : Fit
    periods : None or list of int
        Period and base, if outcomes are missing.
    terms : int64[term]
    adds : float64[time, term]
        1 where the outcome of a period of the fit is added to a term.
    changes : float64[time, term]
        The same, on the level scale less the outcome of the base.
    base : int
        Place of the base among the periods of the fit.
    """

    fit: Fit
    periods: list[int] | None
    terms: Ints
    adds: Floats
    changes: Floats
    base: int


@dataclass(frozen=True)
class Members:
    """Units of a group in a block of clusters.

    Attributes
    ----------
    z : float64[column, unit]
        In the order of clusters.
    y : float64[time, unit]
        Outcomes.
    weight : float64[unit]
    at : int64[unit]
        Cluster of each unit, counted from the start of the block.
    count : int
        Number of clusters of the block.
    """

    z: Floats
    y: Floats
    weight: Floats
    at: Ints
    count: int

    def seen(self, periods: list[int]) -> Members:
        """Return those units that are observed in some periods, with the outcomes in these."""
        y = self.y[periods]
        seen = np.isfinite(y).all(axis=0)
        return Members(self.z[:, seen], y[:, seen], self.weight[seen], self.at[seen], self.count)

    @cached_property
    def first(self) -> Ints:
        """First unit of each cluster that has any."""
        return np.flatnonzero(np.diff(self.at, prepend=-1))

    def add(self, values: Floats) -> Floats:
        """Sum over the units of each cluster, float64[..., cluster or 1]; 0 if there are none.

        `values` are float64[..., unit].
        """
        if not len(self.at):
            return np.zeros((*values.shape[:-1], 1))
        if len(self.first) < len(self.at):
            values = np.add.reduceat(values, self.first, axis=-1)
        if len(self.first) == self.count:
            return values
        sums = np.zeros((*values.shape[:-1], self.count))
        sums[..., self.at[self.first]] = values
        return sums

    def residuals(self, factor: Floats, periods: Floats, slopes: Floats, base: Any) -> Floats:
        """Sum over each cluster a factor times what a regression on the base leaves of outcomes.

        `slopes` are float64[column, term], `periods` float64[time, term]. Whatever is smaller is
        summed over units: terms, or periods.
        """
        factor = factor * self.weight
        if 2 * periods.shape[1] < len(periods):
            return self.add(factor * (periods.T @ self.y - base * (slopes.T @ self.z)))
        of_slopes = slopes.T @ self.add(factor * base * self.z)
        return np.asarray(periods.T @ self.add(factor * self.y) - of_slopes)


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class DoublyRobust(GroupTime):
    """Group-time effects relative to units with the same covariates.

    Attributes
    ----------
    z : float64[column, unit]
        A constant, and covariates with mean 0 and variance 1.
    periods : sequence, optional
        Names of the periods in messages; their numbers by default.
    """

    z: Floats
    periods: Sequence[Any] | None = None

    _method: ClassVar[str] = ", doubly robust"

    @classmethod
    def of(cls, units: Units, comparison: Comparison, **fields: Any) -> Self:
        """Group units by cohort; `fields` are further attributes."""
        x = units.z[:, 1:].T
        x = x - x.mean(axis=1, keepdims=True)
        spread = x.std(axis=1, keepdims=True)
        z = np.vstack([np.ones(len(units.y)), x / np.where(spread > 0, spread, 1)])
        return super().of(units, comparison, z=z, **fields)

    @property
    def size(self) -> int:
        """Number of clusters to process at a time."""
        return max(ROWS * len(self.labels) // len(self.y), 1)

    @property
    def _has_moments(self) -> bool:
        return False

    @cached_property
    def _fits(self) -> dict[Any, Fit | None]:
        """Fits so far by treated and comparison group, and by period if outcomes are missing."""
        return {}

    def _compared(self, pair: Pair) -> Iterator[tuple[Ints, Floats]]:
        for part in self._split(pair):
            yield part.terms, self._whole(part)

    def _split(self, pair: Pair) -> Iterator[Part]:
        """Yield the cells of a pair by fit, without those that no unit is observed in."""
        adds = np.eye(len(pair.times)) if pair.adds is None else pair.adds.T
        if not self.paired:
            every = np.zeros((self.width, len(pair.terms)))
            every[pair.times] = adds
            yield from self._part(pair, None, pair.terms, every, int(pair.base))
            return
        for time, added in zip(pair.times.tolist(), adds, strict=True):
            terms = np.flatnonzero(added)
            both = np.array([added[terms], np.zeros(len(terms))])
            yield from self._part(pair, [time, int(pair.base)], pair.terms[terms], both, 1)

    def _part(
        self, pair: Pair, periods: list[int] | None, terms: Ints, adds: Floats, base: int
    ) -> Iterator[Part]:
        """Yield the part of some terms if it has units; `base` is a row of `adds`."""
        changes = adds.copy()
        if self.scale == "level":
            changes[base] -= adds.sum(axis=0)
        key = (pair.treated, pair.comparison, *(periods or [])[:1])
        if key not in self._fits:
            self._fits[key] = self._fit(pair, periods)
        if (fit := self._fits[key]) is not None:
            yield Part(fit, periods, terms, adds, changes, base)

    def _fit(self, pair: Pair, periods: list[int] | None) -> Fit | None:
        """Fit the regression and the odds of a pair, or return None if it has no units.

        Raise DesignError if covariates separate the groups, or do not differ in the comparison.
        """
        own, others = (
            self._seen(self.groups[number].rows, periods)
            for number in (pair.treated, pair.comparison)
        )
        if not (len(own) and len(others)):
            return None
        rows = np.append(own, others)
        compared = slice(len(own), None)
        z = self.z[:, rows]
        weight = self._weights(rows)
        measure = weight
        if self.scale == "ratio":
            measure = weight * self.y[rows, pair.base]
        if not measure[compared].any():
            return None
        basis, unknown = _basis(z, measure, compared)
        if unknown:
            raise DesignError(
                f"Cannot estimate {unknown} of {len(basis)} slopes for"
                f" {_where(self, pair, periods)}: the untreated units do not differ; drop"
                " covariates"
            )
        z = basis @ z
        one = z[:, compared] @ measure[compared]
        treated = z[:, : len(own)] @ measure[: len(own)]
        log_odds: Floats | None = 0.0 * one
        if measure[: len(own)].any():
            log_odds = _log_odds(z, measure, np.arange(len(rows)) < len(own), one)
        if log_odds is None:
            kind = "never" if np.isinf(self.groups[pair.comparison].until) else "not-yet"
            raise DesignError(
                f"Cannot compare {_where(self, pair, periods)} with units of the same covariates:"
                f" {len(self.z) - 1} covariates separate {len(own)} treated and {len(others)}"
                f" {kind}-treated units; use fewer or coarser covariates"
            )
        chance = _chance(log_odds @ z)
        spread = measure * chance * (1 - chance) * z @ z.T
        z = z[:, compared]
        odds = chance[compared] / (1 - chance[compared])
        products = measure[compared] * odds * z @ z.T
        (observed,) = self._with_outcomes(weight[np.newaxis, : len(own)], own, periods)
        of_others = weight[compared] * np.vstack([z, odds * z])
        slopes, of_odds = np.split(self._with_outcomes(of_others, others, periods), 2)
        return Fit(
            basis=basis,
            one=one,
            log_odds=log_odds,
            spread=spread,
            odds=products,
            treated=treated,
            slopes=slopes,
            observed=observed,
            residual=observed - treated @ slopes,
            of_odds=of_odds - products @ slopes,
        )

    def _base(self, outcome: Floats) -> Any:
        """Return what an outcome in the base adds to the weight of its unit, float64[unit]."""
        return outcome if self.scale == "ratio" else 1.0

    def _seen(self, rows: Ints, periods: list[int] | None) -> Ints:
        """Return those of the rows that are observed in some periods; None for all periods."""
        if periods is None:
            return rows
        return np.asarray(rows[np.isfinite(self.y[rows[:, np.newaxis], periods]).all(axis=1)])

    def _weights(self, rows: Ints) -> Floats:
        return np.ones(len(rows)) if self.weight is None else self.weight[rows]

    def _with_outcomes(self, values: Floats, rows: Ints, periods: list[int] | None) -> Floats:
        """Sum products of values, float64[value, unit], and outcomes: float64[value, time]."""
        sums: Any = 0.0
        for start in range(0, len(rows), ROWS):
            y = self.y[rows[start : start + ROWS]]
            sums = sums + values[:, start : start + ROWS] @ (
                y if periods is None else y[:, periods]
            )
        return np.asarray(sums)

    def _whole(self, part: Part) -> Floats:
        """Return both totals of the terms of a part, float64[2, term]."""
        effect = part.fit.effect @ part.changes
        if self.scale == "level":
            return np.array([effect, part.fit.size * part.adds.sum(axis=0)])
        observed = part.fit.observed @ part.adds
        return np.array([observed, observed - effect])

    def _changes(self, pairs: list[Pair], size: int, start: int, stop: int) -> Floats:
        change = np.zeros((2, size, stop - start))
        for part, left in self._without_each(pairs, start, stop):
            change[:, part.terms] += self._whole(part)[..., np.newaxis] - left
        return change.reshape(2 * size, -1)

    def _left_out(
        self, average: Callable[[Any], Any], totals: Floats, pairs: list[Pair]
    ) -> Iterator[tuple[Ints, Floats]]:
        count = len(average(totals))
        one_cell_each = sum(len(pair.times) for pair in pairs) == count == len(totals) // 2
        if self.scale == "ratio" or not one_cell_each:
            yield from super()._left_out(average, totals, pairs)
            return
        # No other part changes a term, so that totals need not be added up.
        for start in range(0, len(self.labels), self.size):
            clusters = self.order[start : start + self.size]
            change = np.zeros((count, len(clusters)))
            for part, left in self._without_each(pairs, start, start + len(clusters)):
                effect, size = self._whole(part)[..., np.newaxis]
                with np.errstate(divide="ignore", invalid="ignore"):
                    change[part.terms] = effect / size - left[0] / left[1]
            change[~np.isfinite(change)] = np.nan
            yield clusters, change

    def _without_each(
        self, pairs: list[Pair], start: int, stop: int
    ) -> Iterator[tuple[Part, Floats]]:
        """Yield the parts with units in a block of clusters, and their totals without each."""
        sides = {side for pair in pairs for side in (pair.treated, pair.comparison)}
        members = {number: self._members_of(number, start, stop) for number in sides}
        for pair in pairs:
            both = members[pair.treated], members[pair.comparison]
            if any(len(side.at) for side in both):
                for part in self._split(pair):
                    yield part, self._left(part, *both)

    def _members_of(self, number: int, start: int, stop: int) -> Members:
        rows, at = self.members[number]
        some = slice(*np.searchsorted(at, [start, stop]))
        chosen = rows[some]
        y = np.ascontiguousarray(self.y[chosen].T)
        return Members(self.z[:, chosen], y, self._weights(chosen), at[some] - start, stop - start)

    def _left(self, part: Part, treated: Members, others: Members) -> Floats:
        """Return both totals of terms without each cluster, float64[2, term, cluster].

        They are zero where the regression or the odds cannot be fitted without the cluster.

        Slopes without a cluster change by ``-(I - G)^-1 s``, where G and s are the cluster's sums
        of ``w z z'`` and of ``w z r``, with the residuals r and products over the comparison of I.
        The odds weights change by ``z'step`` of themselves. So the effect is linear in r. Its
        factor is -w for a treated unit; for others it is the odds weight, and ``w z'(I - G)^-1 a``,
        where a is by how much means of covariates differ.
        """
        fit = part.fit
        if part.periods is not None:
            treated, others = (side.seen(part.periods) for side in (treated, others))
        base, base_of_others = (self._base(side.y[part.base]) for side in (treated, others))
        own = treated.weight * base
        z = fit.basis @ treated.z
        chance = _chance(fit.log_odds @ z)
        held = fit.treated[:, np.newaxis] - treated.add(own * z)
        score = treated.add(own * (1 - chance) * z)
        spread = treated.add(_products(z, own * chance * (1 - chance)))
        own = others.weight * base_of_others
        z = fit.basis @ others.z
        chance = _chance(fit.log_odds @ z)
        odds = chance / (1 - chance)
        score = score - others.add(own * chance * z)
        spread = spread + others.add(_products(z, own * chance * (1 - chance)))
        by_odds = fit.one[:, np.newaxis] - _solve_without(fit.spread, spread, score)
        size = fit.one @ held
        kept = size > NOTHING_LEFT * fit.size
        size = np.where(kept, size, 0.0)
        rest = fit.odds[..., np.newaxis] - others.add(_products(z, own * odds))
        like = (rest * by_odds).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = size / (fit.one @ like)
            apart = held * kept - like * share
        by_odds = by_odds * share
        gram = others.add(_products(z, own))
        by_slopes = _solve_without(np.eye(len(fit.one)), gram, apart)
        factor = (z * by_slopes[:, others.at]).sum(axis=0)
        factor += odds * (z * by_odds[:, others.at]).sum(axis=0)
        regression = (part.changes, fit.basis.T @ (fit.slopes @ part.changes))
        effect = (
            (fit.residual @ part.changes)[:, np.newaxis]
            - (fit.of_odds @ part.changes).T @ by_odds
            - treated.residuals(np.ones(1), *regression, base)
            + others.residuals(factor, *regression, base_of_others)
        )
        known = np.isfinite(effect).all(axis=0)
        effect[:, ~known] = 0.0
        if self.scale == "level":
            return np.array([effect, np.multiply.outer(part.adds.sum(axis=0), size * known)])
        seen = treated.add(treated.weight * (part.adds.T @ treated.y))
        observed = ((fit.observed @ part.adds)[:, np.newaxis] - seen) * known
        return np.array([observed, observed - effect])


def _where(study: DoublyRobust, pair: Pair, periods: list[int] | None) -> str:
    """Name a cohort and a period, for a message."""
    names = range(study.width) if study.periods is None else study.periods
    cohort = int(study.groups[pair.treated].first)
    return f"cohort {names[cohort]} in period {names[(periods or pair.times)[0]]}"


def _chance(log_odds: Floats) -> Floats:
    with np.errstate(over="ignore"):  # of a chance of zero
        return np.asarray(1 / (1 + np.exp(-log_odds)))


def _products(z: Floats, weight: Floats) -> Floats:
    """Return products of covariates, float64[covariate, covariate, unit]."""
    return np.asarray((weight * z)[:, np.newaxis] * z)


def _basis(z: Floats, weight: Floats, compared: slice) -> tuple[Floats, int]:
    """Return the basis of a fit, and how many of its covariates do not vary in the comparison."""
    values, vectors = np.linalg.eigh(weight * z @ z.T)
    kept = values > SAME * values[-1]
    basis = (vectors[:, kept] / np.sqrt(values[kept])).T
    z, weight = z[:, compared], weight[compared]
    known = np.linalg.eigvalsh(basis @ (weight * z @ z.T) @ basis.T)
    if unknown := int((known <= SINGULAR * known[-1]).sum()):
        return basis, unknown
    for _ in range(2):  # the second time takes off the rounding of the first
        own = basis @ z
        basis = np.linalg.solve(np.linalg.cholesky(weight * own @ own.T), basis)
    return basis, 0


def _log_odds(z: Floats, weight: Floats, treated: Any, one: Floats) -> Floats | None:
    """Fit a logit by Newton's method; return None if covariates separate the two groups."""
    found = None
    if len(weight) > MANY * ROWS:  # start from the solution for some of the units
        found = _log_odds(z[:, ::MANY], weight[::MANY], treated[::MANY], one)
    if found is None:
        found = one * np.log(weight[treated].sum() / weight[~treated].sum())
    for _ in range(STEPS):
        chance = _chance(found @ z)
        information = weight * chance * (1 - chance) * z @ z.T
        step = np.linalg.lstsq(information, z @ (weight * (treated - chance)), rcond=None)[0]
        size = np.abs(step @ z).max()
        found = found + step * min(1.0, LONGEST / max(size, CLOSE))
        if size < CLOSE:
            return np.asarray(found)
    return None


def _solve_without(matrix: Floats, part: Floats, right: Floats) -> Floats:
    """Solve ``(matrix - part) x = right`` for each cluster by elimination, float64[row, cluster].

    `part` is float64[row, column, cluster], `right` float64[row, cluster]. The solution is NaN if
    it is not unique. The matrices are positive semidefinite, so that rows need not be exchanged.
    """
    rest = matrix[..., np.newaxis] - part
    right = right.copy()
    rows = range(len(matrix))
    for row in rows:
        pivot = rest[row, row]
        pivot[pivot <= SINGULAR * matrix[row, row]] = np.nan
        for below in rows[row + 1 :]:
            share = rest[below, row] / pivot
            rest[below] -= share * rest[row]
            right[below] -= share * right[row]
    for row in reversed(rows):
        known = (rest[row, row + 1 :] * right[row + 1 :]).sum(axis=0)
        right[row] = (right[row] - known) / rest[row, row]
    return right


def doubly_robust(
    units: Units,
    kind: Literal["simple", "dynamic", "group", "calendar", "group_time"] = "simple",
    comparison: Comparison = "never",
) -> Estimate:
    """Estimate doubly robust effects relative to untreated units with the same covariates.

    Changes since the last period before treatment are predicted by a regression on the comparison
    units, and the residuals compared under odds weights that make these like the cohort: consistent
    if either the regression or the log odds of treatment are linear in the covariates. With strata,
    both are fitted within each. On the ratio scale growth since then takes the place of changes,
    and units are weighted by the outcome it starts from. Without covariates the results are those
    of :func:`fewtreated.estimators.att_gt.att_gt`.

    Parameters
    ----------
    units : Units
        As returned by :func:`fewtreated.estimators.units.usable_units`. If outcomes are missing,
        each effect is of the units observed in both periods, and so are its regression and odds.
    kind : {"simple", "dynamic", "group", "calendar", "group_time"}
        As for :func:`fewtreated.estimators.att_gt.att_gt`, or one term such as ``"g=5 t=7"`` per
        cohort and period.
    comparison : {"never", "not_yet"}
        As for :func:`fewtreated.estimators.att_gt.att_gt`, and as passed to `usable_units`.

    Returns
    -------
    Estimate
        `n` is the number of treated units behind each term. Standard errors are from the cluster
        jackknife (CV3), as for :func:`fewtreated.estimators.att_gt.att_gt`: means and the
        regression without a cluster are exact, and the log odds of treatment without it are one
        Newton step from those with it, to first order.

    Raises
    ------
    DesignError
        If covariates separate a cohort and its comparison, or do not vary in the comparison; the
        message names the cohort and the period.

    References
    ----------
    Sant'Anna, P. H. C. and Zhao, J. (2020), Doubly robust difference-in-differences estimators,
    Journal of Econometrics 219, 101-122. Callaway, B. and Sant'Anna, P. H. C. (2021),
    Difference-in-differences with multiple time periods, Journal of Econometrics 225, 200-230.
    """
    study = DoublyRobust.of(units, comparison)
    if kind == "group_time":
        return study.effects
    return study.aggregate(kind)
