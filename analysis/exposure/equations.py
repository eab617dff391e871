"""Estimating equations of two periods: a unit's second sum given its total is binomial, so unit effects drop out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from analysis.errors import DesignError
from analysis.exposure.draws import check_shares
from analysis.inference import Bools, Floats

Ints = npt.NDArray[np.int64]
Labels = Sequence[Any] | npt.NDArray[Any]

MAX_STEPS = 60


@dataclass(frozen=True, eq=False)
class Units:
    """What is known of the units used, each an array [unit]; `beside` is [unit, further exposure]."""

    before: Floats
    after: Floats
    exposure: Floats
    expected: Floats
    beside: Floats
    stratum: Ints
    cluster: Ints

    def at(self, rows: npt.NDArray[Any]) -> Units:
        """Return some of the units."""
        return replace(self, **{name: values[rows] for name, values in vars(self).items()})

    @property
    def regressors(self) -> Floats:
        """The exposure and what is beside it, float64[unit, 1 + further]."""
        return np.column_stack([self.exposure, self.beside])

    def in_strata(self, values: Floats) -> Floats:
        """Sum within the stratum of each unit, shape of `values`."""
        count = int(self.stratum.max(initial=0)) + 1
        totals = sum_by(values if values.ndim == 2 else values[:, np.newaxis], self.stratum, count)  # also of no unit
        return np.asarray(totals[self.stratum].reshape(values.shape))

    def cells(self) -> Units:
        """Sum units that are alike in all but their sales: no equation can tell them apart."""
        alike = np.column_stack([self.stratum, self.cluster, self.exposure, self.expected, self.beside])
        _, first, code = np.unique(alike, axis=0, return_index=True, return_inverse=True)
        sums = sum_by(np.column_stack([self.before, self.after]), code.ravel(), len(first))
        return replace(self.at(first), before=sums[:, 0], after=sums[:, 1])

    def informative(self) -> Bools:
        """Units in strata that sold before and after: bool[unit]."""
        return (self.in_strata(self.before) > 0) & (self.in_strata(self.after) > 0)


def _equation(part: Units, beta: Floats) -> tuple[Floats, Floats]:
    """Return unexpected exposure within strata, [unit, regressor], and the change of sales net of `beta`, [unit]."""
    z, base = np.column_stack([part.exposure - part.expected, part.beside]), part.in_strata(part.before)
    free = part.after * np.exp(-part.regressors @ beta)
    centred = z - part.in_strata(z * part.before[:, None]) / base[:, None]
    return centred, free - part.in_strata(free) / base * part.before


def poisson(part: Units, x: Floats, origin: str) -> tuple[Floats, Floats, Floats]:
    """Poisson coefficients of `x` in the second period, with unit and stratum-by-period effects.

    Returns float64[regressor], the influence of each unit, and the derivative by its log sales after, both
    float64[unit, regressor].
    """
    influence, gradient, good = np.zeros(x.shape), np.zeros(x.shape), part.informative()
    part, x = part.at(good), x[good]
    total, beta = part.before + part.after, np.zeros(x.shape[1])
    level = np.log(part.in_strata(part.after) / part.in_strata(part.before))
    for _ in range(MAX_STEPS):
        share = expit(level + x @ beta)
        weight, residual = total * share * (1 - share), part.after - total * share
        inside = part.in_strata(weight)
        centred = x - part.in_strata(x * weight[:, None]) / inside[:, None]
        bread = _invertible((centred * weight[:, None]).T @ centred, (x * weight[:, None]).T @ x, origin, len(x))
        move = np.linalg.solve(bread, centred.T @ residual)
        rise = part.in_strata(residual) / inside + (centred - x) @ move
        reach = np.abs(rise + x @ move).max()
        if reach < 1e-10:
            influence[good] = np.linalg.solve(bread, (centred * residual[:, None]).T).T
            gradient[good] = np.linalg.solve(bread, (centred * (part.after * (1 - share))[:, None]).T).T
            return beta, influence, gradient
        damping = min(1.0, 2.0 / reach)  # a few units hold most sales, and full steps may overshoot
        beta, level = beta + damping * move, level + damping * rise
    raise _unsolved(origin, len(total))


def recentred(part: Units, origin: str) -> tuple[Floats, Floats]:
    """Slopes that make the change net of them unrelated to unexpected exposure, and their derivatives by unit."""
    gradient, good = np.zeros(part.regressors.shape), part.informative()
    part, x = part.at(good), part.regressors[good]
    beta = np.zeros(x.shape[1])
    for _ in range(MAX_STEPS):
        centred, change = _equation(part, beta)
        free = (part.after * np.exp(-x @ beta))[:, None]
        slope, size = (centred * free).T @ x, (centred * free).T @ centred
        _invertible(size, (x * free).T @ x, origin, len(x))
        move = np.linalg.solve(slope, centred.T @ change)
        reach = np.abs(x @ move).max()
        if reach < 1e-10:
            gradient[good] = np.linalg.solve(slope, (centred * free).T).T
            return beta, gradient
        beta = beta + min(1.0, 2.0 / reach) * move
    raise _unsolved(origin, len(x))


def _invertible(centred: Floats, raw: Floats, origin: str, n: int) -> Floats:
    """Return cross products within strata, unless the exposures hardly vary there or move together."""
    size = np.sqrt(np.diag(centred))
    flat = np.diag(centred) <= 1e-10 * np.diag(raw)
    if flat.any() or np.linalg.cond(centred / np.outer(size, size)) > 1e12:
        raise _unsolved(origin, n)
    return centred


def _unsolved(origin: str, n: int) -> DesignError:
    return DesignError(
        f"effects of exposure{' on ' + origin if origin else ''} were asked for; the equations of {n} units have no "
        "single finite solution: exposure does not vary within strata, varies together with another, or decides who "
        "sold before and after; use coarser strata or fewer exposures"
    )


def sum_by(values: Floats, code: Ints, count: int) -> Floats:
    """Sum rows by code: float64[code, column]."""
    return np.column_stack([np.bincount(code, weights=column, minlength=count) for column in values.T])


def t_statistics(part: Units) -> Floats:
    """Return t of the slope, inf where there is none, and of the recentred equation at no effect, under one draw."""
    part = part.at(np.isfinite(part.exposure))
    part = part.at(part.informative())
    try:
        slopes, influence, _ = poisson(part, part.regressors, "")
    except DesignError:  # it counts as further from zero than the actual one, and can only raise the p-value
        return np.array([np.inf, np.inf])
    error = np.linalg.norm(np.bincount(part.cluster, weights=influence[:, 0]))
    centred, change = _equation(part, np.zeros(part.beside.shape[1] + 1))
    moment = np.bincount(part.cluster, weights=centred[:, 0] * change)
    spread = np.linalg.norm(moment)
    t = slopes[0] / error if error > 0 else np.inf
    return np.array([t, moment.sum() / spread if spread > 0 else 0.0])


def units_of(
    y: Floats,
    exposure: Floats,
    post: Bools,
    origin: Labels | None,
    category: Labels | None,
    strata: Labels | None,
    beside: Mapping[str, Floats],
) -> tuple[Units, Ints, list[tuple[str, Ints]], dict[str, int]]:
    """Return the units with known sales and exposures, their rows in y, their places by origin, and counts."""
    y, exposure, post = np.asarray(y, dtype=float), np.asarray(exposure, dtype=float), np.asarray(post)
    others = np.column_stack([np.asarray(values, dtype=float) for values in (exposure, *beside.values())])
    labels = [np.zeros(len(y)) if given is None else np.asarray(given) for given in (origin, strata)]
    labels.append(np.arange(len(y)) if category is None else np.asarray(category))
    if y.ndim != 2 or post.shape != y.shape[1:] or any(len(part) != len(y) for part in (others, *labels)):
        raise DesignError(
            f"y[unit, month], post[month] and one exposure and label per unit were asked for; found shapes {y.shape}, "
            f"{post.shape}, {exposure.shape} and labels of {[len(part) for part in labels]} units; match them"
        )
    if post.dtype != bool or post.all() or not post.any():
        raise DesignError(f"months before and after were asked for; post is {post.tolist()}; give True for after")
    if ((y < 0) | np.isinf(y)).any():
        raise DesignError(
            f"finite sales of at least 0 were asked for; {((y < 0) | np.isinf(y)).sum()} are not; a ratio of them has "
            "no meaning: correct them"
        )
    if missing := sum(int(pd.isna(part).sum()) for part in labels):
        raise DesignError(
            f"an origin, stratum and category of each unit were asked for; {missing} are missing; name them, or leave "
            "these units out"
        )
    check_shares(exposure)
    unseen, unknown = np.isnan(y).any(axis=1), np.isnan(others).any(axis=1)
    used = np.flatnonzero(~unseen & ~unknown)
    if len(used) < 2:
        raise DesignError(
            f"effects of exposure were asked for; {len(used)} of {len(y)} units have sales in all months and an "
            "exposure; choose months that are known"
        )
    code, (names, _, clusters) = zip(*(pd.factorize(part[used], sort=True) for part in labels), strict=True)
    before, after = y[used][:, ~post].sum(axis=1), y[used][:, post].sum(axis=1)
    units = Units(before, after, others[used, 0], np.zeros(len(used)), others[used, 1:], code[1], code[2])
    groups = [("" if origin is None else str(name), np.flatnonzero(code[0] == i)) for i, name in enumerate(names)]
    counts = {
        "units": len(used),
        "dropped_missing": int(unseen.sum()),
        "dropped_exposure": int((unknown & ~unseen).sum()),
        "silent": int((before + after == 0).sum()),
        "clusters": len(clusters),
    }
    return units, used, groups, counts
