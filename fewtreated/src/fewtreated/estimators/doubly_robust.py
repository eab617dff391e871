"""Doubly robust group-time effects, relative to units with the same covariates.

Changes since the base are predicted by a regression on the units to compare with, and the residuals
are compared under odds weights that make these units like the cohort. Both are fitted once for each
pair of groups, or for each pair of periods if outcomes are missing. Without a cluster, means and
the regression are exact, and the log odds are one Newton step from those with it. An effect without
a cluster is then a sum of residuals, each times a number of its unit, so that covariates need not
be multiplied by outcomes again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np

from fewtreated.errors import DesignError, check_choice
from fewtreated.estimate import Estimate, Floats, Ints
from fewtreated.estimators.att_gt import GroupTime
from fewtreated.estimators.groups import Pair
from fewtreated.estimators.units import Comparison, Units
from fewtreated.jackknife import NOTHING_LEFT

__dir__ = ["DoublyRobust", "doubly_robust"].copy  # for tab completion

ROWS = 2**12  # clusters at a time, and units of a sum
SAME = 1e-12  # share of the largest eigenvalue below which covariates repeat each other
SINGULAR = 1e-10  # share of an eigenvalue or a pivot below which it is zero
# limit of Newton steps, the longest of them in log odds, and the size of the last
STEPS = 50
LONGEST = 5.0
CLOSE = 1e-8


@dataclass(frozen=True, eq=False)
class Fit:
    """Regression and odds of a cohort and its comparison.

    Attributes
    ----------
    basis : float64[covariate, column]
        Covariates as sums of columns of z, whose products over the comparison are the identity.
    one : float64[covariate]
        Coefficients of the covariates that give 1 for each unit.
    log_odds : float64[covariate]
        Coefficients of the log odds of being in the cohort.
    spread, odds : float64[covariate, covariate]
        Information on the log odds, and products of covariates under odds weights.
    treated : float64[covariate]
        Sums of the cohort's covariates.
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
    time : int or None
        The only period, if outcomes are missing.
    terms : int64[term]
    adds : float64[time, term]
        1 where the outcome of a period of the fit is added to a term.
    changes : float64[time, term]
        The same less the outcome of the base.
    """

    fit: Fit
    time: int | None
    terms: Ints
    adds: Floats
    changes: Floats


@dataclass(frozen=True)
class Members:
    """Units of a group in a block of clusters.

    Attributes
    ----------
    rows : int64[unit]
        In the order of their clusters.
    at : int64[unit]
        Cluster of each unit, counted from the start of the block.
    count : int
        Number of clusters of the block.
    """

    rows: Ints
    at: Ints
    count: int

    @cached_property
    def first(self) -> Ints:
        """First unit of each cluster that has any."""
        return np.flatnonzero(np.diff(self.at, prepend=-1))

    def add(self, values: Floats) -> Floats:
        """Sum over the units of each cluster; `values` are float64[..., unit]."""
        alone = len(self.first) == len(self.at)
        if alone and len(self.at) == self.count:
            return values
        sums = np.zeros((*values.shape[:-1], self.count))
        if not alone:
            values = np.add.reduceat(values, self.first, axis=-1)
        sums[..., self.at[self.first]] = values
        return sums


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
    def _fits(self) -> dict[tuple[int, int, int | None], Fit | None]:
        """Fits so far by treated and comparison group, and by period if outcomes are missing."""
        return {}

    def _compared(self, pair: Pair) -> Iterator[tuple[Ints, Floats]]:
        """Yield terms of a pair and both their totals, float64[2, term]."""
        for part in self._parts(pair):
            yield part.terms, self._whole(part)

    def _parts(self, pair: Pair) -> Iterator[Part]:
        """Yield the cells of a pair by fit, without those that no unit is observed in."""
        adds = np.eye(len(pair.times))
        if pair.adds is not None:
            adds = pair.adds.T
        if not self.paired:
            wide = np.zeros((self.width, len(pair.terms)))
            wide[pair.times] = adds
            yield from self._part(pair, None, pair.terms, wide, pair.base)
            return
        for time, added in zip(pair.times.tolist(), adds, strict=True):
            terms = np.flatnonzero(added)
            both = np.array([added[terms], np.zeros(len(terms))])  # the second is the base
            yield from self._part(pair, time, pair.terms[terms], both, 1)

    def _part(
        self, pair: Pair, time: int | None, terms: Ints, adds: Floats, base: int
    ) -> Iterator[Part]:
        """Yield the part of some terms, if there are units; `base` is its row of `adds`."""
        changes = adds.copy()
        changes[base] -= adds.sum(axis=0)
        key = (int(pair.treated), int(pair.comparison), time)
        if key not in self._fits:
            self._fits[key] = self._fit(pair, time)
        if (fit := self._fits[key]) is not None:
            yield Part(fit, time, terms, adds, changes)

    def _fit(self, pair: Pair, time: int | None) -> Fit | None:
        """Fit the regression and the odds of a pair, in one period if outcomes are missing.

        Raise DesignError if covariates separate the groups, or do not differ in the comparison.
        """
        rows = [
            self._seen(self.groups[number].rows, pair.base, time)
            for number in (pair.treated, pair.comparison)
        ]
        if not (len(rows[0]) and len(rows[1])):
            return None
        weight, others = (self._weights(of_group) for of_group in rows)
        columns = [self.z[:, of_group] for of_group in rows]
        basis, unknown = _basis(columns[0], columns[1], weight, others)
        z, z_others = (basis @ of_group for of_group in columns)
        if unknown:
            raise DesignError(
                f"Cannot estimate {unknown} of {len(basis)} slopes for {self._named(pair, time)}:"
                " the untreated units do not differ; drop covariates"
            )
        one = z_others @ others
        log_odds = _log_odds(z, z_others, weight, others, one)
        if log_odds is None:
            kind = "never" if np.isinf(self.groups[pair.comparison].until) else "not-yet"
            raise DesignError(
                f"Cannot compare {self._named(pair, time)} with units of the same covariates:"
                f" {len(self.z) - 1} covariates separate {len(rows[0])} treated and {len(rows[1])}"
                f" {kind}-treated units; use fewer or coarser covariates"
            )
        of_both = [(z, weight), (z_others, others)]
        chance = [_chance(log_odds @ values) for values, _ in of_both]
        spread = sum(
            values * (weights * own * (1 - own)) @ values.T
            for (values, weights), own in zip(of_both, chance, strict=True)
        )
        odds = others * chance[1] / (1 - chance[1])
        outcomes = (pair.base, time)
        (observed,) = self._sums_of_products(weight[np.newaxis], rows[0], *outcomes)
        slopes, of_odds = np.split(
            self._sums_of_products(np.vstack([others * z_others, odds * z_others]), rows[1], *outcomes),
            2,
        )
        products = odds * z_others @ z_others.T
        return Fit(
            basis=basis,
            one=one,
            log_odds=log_odds,
            spread=spread,
            odds=products,
            treated=z @ weight,
            slopes=slopes,
            observed=observed,
            residual=observed - z @ weight @ slopes,
            of_odds=of_odds - products @ slopes,
        )

    def _named(self, pair: Pair, time: int | None) -> str:
        """Name a cohort and a period, for a message."""
        names = range(self.width) if self.periods is None else self.periods
        cohort = int(self.groups[pair.treated].first)
        when = pair.times[0] if time is None else time
        return f"cohort {names[cohort]} in period {names[when]}"

    def _weights(self, rows: Ints) -> Floats:
        return np.ones(len(rows)) if self.weight is None else self.weight[rows]

    def _seen(self, rows: Ints, base: int, time: int | None) -> Ints:
        """Return those of the rows that are observed in the base and in a period."""
        if time is None:
            return rows
        return rows[np.isfinite(self.y[rows, base] + self.y[rows, time])]

    def _taken(self, rows: Ints, base: int, time: int | None) -> Floats:
        """Return outcomes of the periods of a fit, float64[unit, time]."""
        if time is None:
            return self.y[rows]
        return self.y[rows[:, np.newaxis], [time, base]]

    def _sums_of_products(
        self, values: Floats, rows: Ints, base: int, time: int | None
    ) -> Floats:
        """Sum products of values, float64[value, unit], and outcomes: float64[value, time]."""
        sums = [
            values[:, start : start + ROWS] @ self._taken(rows[start : start + ROWS], base, time)
            for start in range(0, len(rows), ROWS)
        ]
        return np.asarray(np.sum(sums, axis=0))

    def _whole(self, part: Part) -> Floats:
        """Return both totals of the terms of a part, float64[2, term]."""
        effect = part.fit.effect @ part.changes
        if self.scale == "level":
            return np.array([effect, part.fit.size * part.adds.sum(axis=0)])
        observed = part.fit.observed @ part.adds
        return np.array([observed, observed - effect])

    def _changes(self, pairs: list[Pair], size: int, start: int, stop: int) -> Floats:
        change = np.zeros((2, size, stop - start))
        for pair in pairs:
            sides = [
                self._members_of(number, start, stop) for number in (pair.treated, pair.comparison)
            ]
            if not any(len(side.rows) for side in sides):
                continue
            for part in self._parts(pair):
                whole = self._whole(part)[..., np.newaxis]
                change[:, part.terms] += whole - self._left(part, pair.base, *sides)
        return change.reshape(2 * size, -1)

    def _members_of(self, number: int, start: int, stop: int) -> Members:
        """Return the units of a group in a block of clusters."""
        rows, at = self.members[number]
        some = slice(*np.searchsorted(at, [start, stop]))
        return Members(rows[some], at[some] - start, stop - start)

    def _left(self, part: Part, base: int, treated: Members, others: Members) -> Floats:
        """Return both totals of terms without each cluster, float64[2, term, cluster].

        They are zero where the regression or the odds cannot be fitted without the cluster.

        With products over the comparison of I and the residuals r of all units, the slopes without
        a cluster change by ``-(I - G)^-1 s``, where G and s are the cluster's sums of ``w z z'`` and
        ``w z r``. So the effect is linear in r, with the factor -w for a treated unit. That of
        others is ``w z'(I - G)^-1 a``, where a is the difference in mean covariates, plus the odds
        weight.
        """
        fit = part.fit
        if part.time is not None:
            treated, others = (
                self._seen_members(side, base, part.time) for side in (treated, others)
            )
        z, z_others = (fit.basis @ self.z[:, side.rows] for side in (treated, others))
        weight, weight_others = (self._weights(side.rows) for side in (treated, others))
        chance, chance_others = (_chance(fit.log_odds @ values) for values in (z, z_others))
        odds = weight_others * chance_others / (1 - chance_others)
        score = treated.add(weight * (1 - chance) * z) - others.add(
            weight_others * chance_others * z_others
        )
        spread = treated.add(_products(z, weight * chance * (1 - chance)))
        spread += others.add(_products(z_others, weight_others * chance_others * (1 - chance_others)))
        one = fit.one[:, np.newaxis]
        by_odds = one - _solve_without(fit.spread, spread, score)
        held = fit.treated[:, np.newaxis] - treated.add(weight * z)
        size = fit.one @ held
        size[size <= NOTHING_LEFT * fit.size] = 0.0
        held *= size > 0
        covariates = np.einsum(
            "jkc,kc->jc", fit.odds[..., np.newaxis] - others.add(_products(z_others, odds)), by_odds
        )
        by_odds *= size / (fit.one @ covariates)
        apart = held - covariates * size / (fit.one @ covariates)
        gram = others.add(_products(z_others, weight_others))
        by_slopes = _solve_without(np.eye(len(one)), gram, apart)
        factor = weight_others * (z_others * by_slopes[:, others.at]).sum(axis=0)
        factor += odds * (z_others * by_odds[:, others.at]).sum(axis=0)
        slopes = (fit.slopes @ part.changes).T
        y, y_others = (
            self._taken(side.rows, base, part.time).T for side in (treated, others)
        )
        effect = (fit.residual @ part.changes)[:, np.newaxis] - (fit.of_odds @ part.changes).T @ by_odds
        effect -= treated.add(weight * (part.changes.T @ y - slopes @ z))
        effect += others.add(factor * (part.changes.T @ y_others - slopes @ z_others))
        if self.scale == "level":
            left = np.array([effect, np.multiply.outer(part.adds.sum(axis=0), size)])
        else:
            observed = (fit.observed @ part.adds)[:, np.newaxis] - treated.add(
                weight * (part.adds.T @ y)
            )
            left = np.array([observed, observed - effect])
        left[..., ~np.isfinite(effect).all(axis=0)] = 0.0
        return left

    def _seen_members(self, side: Members, base: int, time: int) -> Members:
        """Return the members that are observed in the base and in a period."""
        seen = np.isfinite(self.y[side.rows, base] + self.y[side.rows, time])
        return Members(side.rows[seen], side.at[seen], side.count)


def _chance(log_odds: Floats) -> Floats:
    with np.errstate(over="ignore"):  # of a chance of zero
        return np.asarray(1 / (1 + np.exp(-log_odds)))


def _products(z: Floats, weight: Floats) -> Floats:
    """Return products of covariates, float64[covariate, covariate, unit]."""
    return np.asarray((weight * z)[:, np.newaxis] * z)


def _basis(z: Floats, others: Floats, weight: Floats, weight_others: Floats) -> tuple[Floats, int]:
    """Return the basis of a :class:`Fit`, and how many of its covariates the comparison lacks."""
    of_others = weight_others * others @ others.T
    values, vectors = np.linalg.eigh(weight * z @ z.T + of_others)
    kept = values > SAME * values[-1]
    basis = (vectors[:, kept] / np.sqrt(values[kept])).T
    known = np.linalg.eigvalsh(basis @ of_others @ basis.T)
    if unknown := int((known <= SINGULAR * known[-1]).sum()):
        return basis, unknown
    for _ in range(2):  # the second time takes off the rounding of the first
        own = basis @ others
        basis = np.linalg.solve(np.linalg.cholesky(weight_others * own @ own.T), basis)
    return basis, 0


def _log_odds(
    z: Floats, others: Floats, weight: Floats, weight_others: Floats, one: Floats
) -> Floats | None:
    """Fit a logit by Newton's method; return None if covariates separate the two groups."""
    found = one * np.log(weight.sum() / weight_others.sum())
    values = np.hstack([z, others])
    weights = np.append(weight, weight_others)
    treated = np.arange(len(weights)) < len(weight)
    for _ in range(STEPS):
        chance = _chance(found @ values)
        information = values * (weights * chance * (1 - chance)) @ values.T
        score = values @ (weights * (treated - chance))
        step = np.linalg.lstsq(information, score, rcond=None)[0]
        size = np.abs(step @ values).max()
        found = found + step * min(1.0, LONGEST / max(size, CLOSE))
        if size < CLOSE:
            return np.asarray(found)
    return None


def _solve_without(matrix: Floats, part: Floats, right: Floats) -> Floats:
    """Solve ``(matrix - part) x = right`` for each cluster by elimination, float64[row, cluster].

    `part` is float64[row, column, cluster], `right` float64[row, cluster]. The solution is NaN if
    it is not unique. The matrices are positive semidefinite, so that no pivot need be searched for.
    """
    rest = matrix[..., np.newaxis] - part
    right = right.copy()
    rows = range(len(matrix))
    for row in rows:
        pivot = rest[row, row]
        pivot = np.where(pivot > SINGULAR * matrix[row, row], pivot, np.nan)
        for below in rows[row + 1 :]:
            factor = rest[below, row] / pivot
            rest[below] -= factor * rest[row]
            right[below] -= factor * right[row]
        rest[row, row] = pivot
    for row in reversed(rows):
        known = (rest[row, row + 1 :] * right[row + 1 :]).sum(axis=0)
        right[row] = (right[row] - known) / rest[row, row]
    return right


def doubly_robust(
    units: Units,
    kind: Literal["simple", "dynamic", "group", "calendar", "group_time"] = "simple",
    comparison: Comparison = "never",
) -> Estimate:
    study = DoublyRobust.of(units, comparison)
    if kind == "group_time":
        return study.effects
    return study.aggregate(kind)
