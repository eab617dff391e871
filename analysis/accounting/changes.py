"""Sales of sets of firms against what they would have been, all platforms stacked in one covariance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.errors import DesignError
from analysis.inference import Bools, Floats

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Changes:
    """Sales against what they would have been, by set of firms, origin and platform.

    Attributes
    ----------
    cells : list of (str, str)
        Set, "closed" or "exposed", and origin.
    platforms : tuple of str
    home : int
        Position of the home platform.
    value : float64[cell, platform]
        Sales in the later window minus their counterfactual, in units of `sales`.
    influence : float64[cluster, cell * platform]
        Firms are draws, a fixed number in each cell: their luck and their sizes are in the error.
    counts : dict of str to int
    """

    cells: list[tuple[str, str]]
    platforms: tuple[str, ...]
    home: int
    value: Floats
    influence: Floats
    counts: dict[str, int]

    def sum_of(self, what: str, platforms: Sequence[int], origin: str | None = None, *, of: bool = True) -> Floats:
        """Return the weights, float64[cell * platform], that add up the changes of a set on some platforms.

        `origin` restricts the sum to firms of it, or with ``of=False`` to firms of any other.
        """
        weights = np.zeros(self.value.shape)
        for row, (name, where) in enumerate(self.cells):
            if name == what and (origin is None or (where == origin) == of):
                weights[row, list(platforms)] = 1.0
        return weights.ravel()

    @property
    def lost(self) -> Floats:
        """Weights of the lost home sales of closed firms, L; refused where none were lost."""
        weights = -self.sum_of("closed", [self.home])
        if (value := float(weights @ self.value.ravel())) <= 0:
            raise DesignError(
                f"shares of lost {self.platforms[self.home]} sales were asked for; the {self.counts['closed']} closed "
                f"firms sold {-value:.4g} more than the comparison firms' growth implies; there is no loss to share out"
            )
        return weights

    @property
    def away(self) -> list[int]:
        """Positions of the platforms other than home."""
        return [place for place in range(len(self.platforms)) if place != self.home]


def changes(
    sales: Floats,
    closed: Bools,
    origin: Sequence[Any],
    *,
    platforms: Sequence[str],
    home: str,
    before: slice,
    after: slice,
    comparison: Bools,
    cluster: Sequence[Any] | None = None,
) -> Changes:
    """Compare closed and exposed firms with the growth of the comparison firms, platform by platform.

    The counterfactual of a set is its sales before times the growth of the comparison firms of the same origin on the
    same platform: ``K = B * A(comparison) / B(comparison)``. Closed firms existed before, so they are compared with
    firms that sold something before; newcomers count only beside exposed firms, which have newcomers too.

    Parameters
    ----------
    sales : float64[firm, platform, month]
        NaN in a window drops the firm, and is counted.
    closed, comparison : bool[firm]
        Disjoint; firms in neither are the exposed ones.
    origin : sequence
        Origin of each firm.
    platforms, home : sequence of str, str
        Names of axis 1, and the one of them that closed the firms.
    before, after : slice
        Windows on axis 2; the same calendar months, to be free of seasons.
    cluster : sequence, optional
        Cluster of each firm; each firm its own where not given. Rivals in a category take sales from each other, so
        clustering by category is closer to the truth for the parts of exposed firms.

    Raises
    ------
    DesignError
        If shapes or windows do not fit, nobody is closed or to compare with, or a set is a single cluster.
    """
    if home not in platforms:
        raise DesignError(f"the home platform {home!r} was asked for; there are {', '.join(platforms)}; name one")
    sums, known = windows(np.asarray(sales, dtype=float), platforms, before, after)
    closed, comparison = (_mask(mask, known, name) for mask, name in ((closed, "closed"), (comparison, "comparison")))
    if (closed & comparison).any() or not closed.any():
        raise DesignError(
            f"closed firms against comparison firms were asked for; found {closed.sum()} closed, {comparison.sum()} "
            f"comparison firms and {(closed & comparison).sum()} in both; each firm belongs to one side"
        )
    code, where = cluster_codes(cluster, known), np.asarray(origin)[known].astype(str)
    width, cells, values = len(platforms), [], []
    influence: list[Floats] = []
    incumbent = sums[:, :width].any(axis=1)
    for what, mask in (("closed", closed), ("exposed", ~closed & ~comparison)):
        for name in np.unique(where[mask]):
            own = np.flatnonzero(mask & (where == name))
            pool = np.flatnonzero(comparison & (where == name) & (incumbent | (what == "exposed")))
            _enough(what, str(name), code[own], code[pool])
            made = _cell(sums, own, pool, f"{what} firms of origin {name}", platforms)
            cells.append((what, str(name)))
            values.append(made[0])
            influence.append(by_cluster(made[1], np.concatenate([own, pool]), code))
    counts = {
        "firms": int(known.sum()),
        "closed": int(closed.sum()),
        "exposed": int((~closed & ~comparison).sum()),
        "comparison": int(comparison.sum()),
        "clusters": int(code.max()) + 1,
        "closed_clusters": len(np.unique(code[closed])),
        "dropped_missing": int((~known).sum()),
    }
    place = list(platforms).index(home)
    return Changes(cells, tuple(platforms), place, np.array(values), np.hstack(influence), counts)


def windows(sales: Floats, platforms: Sequence[str], before: slice, after: slice) -> tuple[Floats, Bools]:
    """Return sums by platform before and after, float64[firm known, 2 platforms], and which firms are known."""
    if sales.ndim != 3 or sales.shape[1] != len(platforms):
        raise DesignError(
            f"sales[firm, platform, month] of {', '.join(platforms)} were asked for; found shape {sales.shape}; "
            "name every platform of axis 1"
        )
    months = [np.arange(sales.shape[2])[window] for window in (before, after)]
    if not len(months[0]) or not len(months[1]) or months[0].max() >= months[1].min():
        raise DesignError(
            f"a window before and one after it were asked for; found {before} and {after} in {sales.shape[2]} months; "
            "end the first before the second begins"
        )
    sums = np.concatenate([sales[:, :, window].sum(axis=2) for window in (before, after)], axis=1)
    known = np.isfinite(sums).all(axis=1)
    if not known.any():
        unseen = [name for place, name in enumerate(platforms) if np.isnan(sums[:, place :: len(platforms)]).all()]
        raise DesignError(
            f"sales on {', '.join(platforms)} were asked for; no firm has all of them in both windows, and "
            f"{', '.join(unseen) or 'no platform'} is unknown for all; leave such platforms out"
        )
    return sums[known], known


def cluster_codes(cluster: Sequence[Any] | None, known: Bools) -> Ints:
    """Return the cluster of each known firm as 0..K-1, int64[firm known]; each its own where none is given."""
    if cluster is None:
        return np.arange(known.sum())
    return np.asarray(pd.factorize(np.asarray(cluster)[known])[0], dtype=np.int64)


def _mask(mask: Bools, known: Bools, name: str) -> Bools:
    mask = np.asarray(mask)
    if mask.dtype != np.bool_ or mask.shape != known.shape:
        raise DesignError(
            f"{name} as bool[firm] was asked for; found {mask.dtype} of shape {mask.shape} for {len(known)} firms; "
            "give one truth value per firm"
        )
    return np.asarray(mask[known])


def _enough(what: str, origin: str, own: Ints, pool: Ints) -> None:
    sizes = len(np.unique(own)), len(np.unique(pool))
    if min(sizes) < 2:
        raise DesignError(
            f"{what} firms of origin {origin} against comparison firms were asked for; found {sizes[0]} and {sizes[1]} "
            "clusters of them; two of each are needed for an error: widen the comparison, or leave this origin out"
        )


def _cell(sums: Floats, own: Ints, pool: Ints, what: str, platforms: Sequence[str]) -> tuple[Floats, Floats]:
    """Return the change by platform and the influence of each firm of the set, then of the pool."""
    width = len(platforms)
    held, base, later = sums[own, :width].sum(axis=0), sums[pool, :width].sum(axis=0), sums[pool, width:].sum(axis=0)
    if ((held > 0) & (base == 0)).any():
        where = platforms[int(np.argmax((held > 0) & (base == 0)))]
        raise DesignError(
            f"{what} were compared on {where}; they sold {held[list(platforms).index(where)]:.4g} before and the "
            f"{len(pool)} comparison firms nothing; widen the comparison or leave {where} out"
        )
    growth = np.divide(later, base, out=np.zeros(width), where=base > 0)
    weight = np.divide(held, base, out=np.zeros(width), where=base > 0)
    gap = sums[own, width:] - growth * sums[own, :width]
    pooled = -weight * (sums[pool, width:] - growth * sums[pool, :width])
    return gap.sum(axis=0), np.vstack([gap - gap.mean(axis=0), pooled])


def by_cluster(values: Floats, rows: Ints, code: Ints) -> Floats:
    """Add up values by cluster, float64[cluster, column]."""
    count = int(code.max()) + 1
    return np.column_stack([np.bincount(code[rows], weights=column, minlength=count) for column in values.T])
