"""The one pass behind group-time effects: means by group and period, and the influence of each unit on them.

A unit's influence on any smooth function of group means is linear in its own row and, where it belongs to a pool of
several groups, shifted by a constant of its group. So the covariance of all functions follows from one cross-product
matrix per group; nothing of size units x functions is ever held on a balanced panel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg.blas import dgemm

from analysis.inference import Floats

Ints = npt.NDArray[np.int64]
BLOCK = 1024  # units; 36 months of them stay in the processor's cache


@dataclass(frozen=True, eq=False)
class Cell:
    """A comparison of one treated group with a pool of groups at one period.

    Attributes
    ----------
    group, time, base : int
        Index of the treated group, column of the outcome and of the period it is compared with.
    pool : int64[group]
        Indices of the groups that stand for the comparison; empty where there is none.
    """

    group: int
    time: int
    base: int
    pool: Ints


@dataclass(frozen=True, eq=False)
class Primitives:
    """What every effect is made of, and how each unit moves it.

    Attributes
    ----------
    observed, counterfactual : float64[cell]
        Mean outcome of the treated group, and what it would have been with the pool's change.
    shares : float64[group]
        Units of the group over all units.
    n_treated, n_pool : int64[cell]
        Units behind each.
    covariance : float64[2 cells + groups, 2 cells + groups]
        Of observed, counterfactual and shares, in this order. On the level scale a unit's own mean is left out of it,
        for the sake of precision: there only the difference of observed and counterfactual has a meaning.
    influence_of : callable
        Turns a gradient float64[term, 2 cells + groups] into influence values float64[cluster, term].
    """

    observed: Floats
    counterfactual: Floats
    shares: Floats
    n_treated: Ints
    n_pool: Ints
    covariance: Floats
    influence_of: Callable[[Floats], Floats]


def primitives(y: Floats, groups: list[Ints], cells: list[Cell], *, ratio: bool, cluster: Ints | None) -> Primitives:
    """Compute observed and counterfactual means of all cells with their joint covariance.

    Parameters
    ----------
    y : float64[unit, time]
        NaN is missing; a cell uses the units that are seen in both of its periods.
    groups : list of int64[units of the group]
        Row numbers by group.
    cells : list of Cell
    ratio : bool
        Whether the pool's change is a ratio of means, or a mean of differences.
    cluster : int64[unit], optional
        Cluster codes 0..K-1; each unit its own cluster where not given.

    Notes
    -----
    Level: ``K = mean_u y_b + mean_pool (y_t - y_b)``. Ratio: ``K = mean_u y_b * mean_pool y_t / mean_pool y_b``.
    """
    moments = [_moments(y, rows, ratio) for rows in groups]
    if any(np.isnan(mean).any() for mean, _ in moments):
        return _Pairwise(y, groups, cells, ratio, cluster).solve()
    return _Balanced(y, groups, cells, ratio, cluster, moments).solve()


def _moments(y: Floats, rows: Ints, ratio: bool) -> tuple[Floats, Floats]:
    """Return the mean of a group by period and the cross-products of deviations from it, in one pass over its rows.

    Deviations are first from the mean of a few units, so that large levels do not cost digits. On the level scale a
    unit's own level cancels in differences and is kept out of the products. Both are NaN where an outcome is.
    """
    centre = y[rows[:BLOCK]].mean(axis=0)
    width = y.shape[1]
    total, cross, level = np.zeros(width), np.zeros((width, width)), 0.0
    ones, even = np.ones(BLOCK), np.full(width, 1 / width)  # sums as products: numpy adds short rows slowly
    profile, levels = np.asfortranarray(np.column_stack([centre, np.ones(width)])), np.ones((2, BLOCK), order="F")
    buffer = np.empty((BLOCK, width))
    for start in range(0, len(rows), BLOCK):
        some = rows[start : start + BLOCK]
        part = np.take(y, some, axis=0, out=buffer[: len(some)], mode="clip")  # "clip" writes without a copy between
        if ratio:
            part -= centre
        else:
            own = part @ even - even @ centre
            level += own.sum()
            levels[1, : len(own)] = own
            part = dgemm(-1.0, profile, levels[:, : len(own)], 1.0, part.T, overwrite_c=True).T  # both in one pass
        total += ones[: len(part)] @ part
        cross += part.T @ part
    shift = total / len(rows)
    return centre + shift + level / len(rows), cross - len(rows) * np.outer(shift, shift)


class _Maker:
    """Shared bookkeeping: cell values from sums, and the accumulation of influence values by cluster."""

    def __init__(self, y: Floats, groups: list[Ints], cells: list[Cell], ratio: bool, cluster: Ints | None) -> None:
        self.y, self.groups, self.cells, self.ratio, self.cluster = y, groups, cells, ratio, cluster
        self.sizes = np.array([len(rows) for rows in groups], dtype=float)
        self.width = 2 * len(cells) + len(groups)

    def share_influence(self, group: int) -> Floats:
        """Influence of one unit of a group on all shares: float64[2 cells + groups], zero elsewhere."""
        total = self.sizes.sum()
        constant = np.zeros(self.width)
        constant[2 * len(self.cells) :] = -self.sizes / total**2
        constant[2 * len(self.cells) + group] += 1 / total
        return constant

    def clusters(self) -> int:
        return len(self.y) if self.cluster is None else int(self.cluster.max()) + 1

    def add(self, out: Floats, rows: Ints, values: Floats) -> None:
        """Add influence values of some units to their clusters."""
        if self.cluster is None:
            out[rows] += values
            return
        codes = self.cluster[rows]
        order = np.argsort(codes, kind="stable")
        starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
        out[codes[order][starts]] += np.add.reduceat(values[order], starts, axis=0)


class _Balanced(_Maker):
    """No period is missing: functions of one mean per group and period."""

    def __init__(
        self,
        y: Floats,
        groups: list[Ints],
        cells: list[Cell],
        ratio: bool,
        cluster: Ints | None,
        moments: list[tuple[Floats, Floats]],
    ) -> None:
        super().__init__(y, groups, cells, ratio, cluster)
        self.moments = moments

    def solve(self) -> Primitives:
        means = np.array([mean for mean, _ in self.moments])
        slopes = np.zeros((len(self.groups), self.width, self.y.shape[1]))
        constants = np.array([self.share_influence(g) for g in range(len(self.groups))])
        observed, counterfactual = np.full(len(self.cells), np.nan), np.full(len(self.cells), np.nan)
        for i, cell in enumerate(self.cells):
            observed[i] = means[cell.group, cell.time]
            slopes[cell.group, i, cell.time] += 1 / self.sizes[cell.group]
            if len(cell.pool):
                counterfactual[i] = self._counterfactual(i + len(self.cells), cell, means, slopes, constants)
        return Primitives(
            observed=observed,
            counterfactual=counterfactual,
            shares=self.sizes / self.sizes.sum(),
            n_treated=np.array([int(self.sizes[cell.group]) for cell in self.cells], dtype=np.int64),
            n_pool=np.array([int(self.sizes[cell.pool].sum()) for cell in self.cells], dtype=np.int64),
            covariance=self._covariance(means, slopes, constants),
            influence_of=lambda gradient: self._influence(gradient, means, slopes, constants),
        )

    def _counterfactual(self, row: int, cell: Cell, means: Floats, slopes: Floats, constants: Floats) -> float:
        own, pool, sizes = means[cell.group, cell.base], cell.pool, self.sizes[cell.pool]
        total = sizes.sum()
        after, before = sizes @ means[pool, cell.time] / total, sizes @ means[pool, cell.base] / total
        if self.ratio and before == 0:
            return np.nan  # nothing to divide by: no comparison, and no part in the covariance
        factor, scale = (after / before, own / before) if self.ratio else (1.0, 1.0)
        slopes[cell.group, row, cell.base] += (factor if self.ratio else 1.0) / self.sizes[cell.group]
        slopes[pool, row, cell.time] += scale / total
        slopes[pool, row, cell.base] -= scale * factor / total
        deviation = (means[pool, cell.time] - after) - factor * (means[pool, cell.base] - before)
        constants[pool, row] += scale * deviation / total
        return float(own * factor if self.ratio else own + after - before)

    def _covariance(self, means: Floats, slopes: Floats, constants: Floats) -> Floats:
        if self.cluster is not None:
            total = self._influence(np.eye(self.width), means, slopes, constants)
            return total.T @ total
        covariance = np.zeros((self.width, self.width))
        for g, (_, cross) in enumerate(self.moments):
            active = np.flatnonzero((slopes[g] != 0).any(axis=1) | (constants[g] != 0))
            slope, constant = slopes[g][active], constants[g][active]
            covariance[np.ix_(active, active)] += slope @ cross @ slope.T + self.sizes[g] * np.outer(constant, constant)
        return covariance

    def _influence(self, gradient: Floats, means: Floats, slopes: Floats, constants: Floats) -> Floats:
        out = np.zeros((self.clusters(), len(gradient)))
        for g, rows in enumerate(self.groups):
            self.add(out, rows, (self.y[rows] - means[g]) @ (gradient @ slopes[g]).T + gradient @ constants[g])
        return out


class _Pairwise(_Maker):
    """Some periods are missing: each cell has means of its own, over the units seen in both of its periods."""

    def solve(self) -> Primitives:
        n = len(self.cells)
        sums = self._sums()
        observed, counterfactual = np.full(n, np.nan), np.full(n, np.nan)
        for i, (own, pool) in enumerate(sums):
            if own[0] > 0:
                observed[i] = own[1] / own[0]
            if self._compared(own, pool):
                before = own[2] / own[0]
                counterfactual[i] = before * pool[1] / pool[2] if self.ratio else before + (pool[1] - pool[2]) / pool[0]
        self.sums = sums
        covariance = np.zeros((self.width, self.width))
        if self.cluster is None:
            for _, columns, block in self._blocks():
                covariance[np.ix_(columns, columns)] += block.T @ block
        else:
            total = self._influence(np.eye(self.width))
            covariance = total.T @ total
        return Primitives(
            observed=observed,
            counterfactual=counterfactual,
            shares=self.sizes / self.sizes.sum(),
            n_treated=np.array([int(own[0]) for own, _ in sums], dtype=np.int64),
            n_pool=np.array([int(pool[0]) for _, pool in sums], dtype=np.int64),
            covariance=covariance,
            influence_of=self._influence,
        )

    def _compared(self, own: Floats, pool: Floats) -> bool:
        """Whether there are units on both sides and, for a ratio, the pool had something to be divided by."""
        return bool(own[0] > 0 and pool[0] > 0 and (pool[2] != 0 or not self.ratio))

    def _columns(self, group: int) -> tuple[Floats, Floats]:
        """Return who is seen and the outcomes with zeros elsewhere, float64[time, unit]."""
        part = np.ascontiguousarray(self.y[self.groups[group]].T)
        seen = np.isfinite(part)
        return seen.astype(float), np.where(seen, part, 0.0)

    def _sums(self) -> list[tuple[Floats, Floats]]:
        """By cell, count and sums at the outcome and base period, of the treated group and of the pool."""
        pairs = []
        for g in range(len(self.groups)):
            seen, filled = self._columns(g)
            both = filled @ seen.T  # sum at one period over the units seen at another too
            pairs.append(np.array([seen @ seen.T, both, both.T]))
        table = np.array(pairs)
        return [
            (table[cell.group, :, cell.time, cell.base], table[cell.pool, :, cell.time, cell.base].sum(axis=0))
            for cell in self.cells
        ]

    def _blocks(self) -> Iterator[tuple[Ints, Ints, Floats]]:
        """Yield by group its rows, the primitives it moves, and the influence values float64[unit, primitive]."""
        n = len(self.cells)
        for g, rows in enumerate(self.groups):
            columns: list[int] = []
            parts: list[Floats] = []
            known, filled = self._columns(g)
            for i, cell in enumerate(self.cells):
                if g != cell.group and g not in cell.pool:
                    continue
                own, pool = self.sums[i]
                if not self._compared(own, pool):
                    continue
                seen = known[cell.time] * known[cell.base]
                after, before = filled[cell.time], filled[cell.base]
                factor, scale = (pool[1] / pool[2], own[2] / own[0] / (pool[2] / pool[0])) if self.ratio else (1.0, 1.0)
                if g == cell.group:
                    columns += [i, n + i]
                    parts.append(seen * (after - own[1] / own[0]) / own[0])
                    parts.append(factor * seen * (before - own[2] / own[0]) / own[0])
                else:
                    columns.append(n + i)
                    part = after - factor * before if self.ratio else after - before
                    part -= (pool[1] - factor * pool[2]) / pool[0]
                    part *= seen
                    part *= scale / pool[0]
                    parts.append(part)
            shares = self.share_influence(g)[2 * n :]
            columns += list(range(2 * n, self.width))
            parts += [np.full(len(rows), share) for share in shares]
            yield rows, np.array(columns), np.array(parts).T

    def _influence(self, gradient: Floats) -> Floats:
        out = np.zeros((self.clusters(), len(gradient)))
        for rows, columns, block in self._blocks():
            self.add(out, rows, block @ gradient[:, columns].T)
        return out
