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
    closed_at: Floats,
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
    same platform: ``K = B * A(comparison) / B(comparison)``. A firm must be in business to be closed. So closed firms
    are compared wave by wave: those that still sold in the month before, with firms that still sold in the month of the
    wave, in which one that had stopped sells nothing, both among firms that sold something in the first window; the
    counterfactual of all is the sum over waves. Newcomers and firms that stop count only beside exposed firms, which
    have both too; newcomers come to a market with its closed firms, so what they sell in the comparison is held against
    the sales before of exposed and closed firms together: ``K = B A / B(comparison) + B(closed) N / B(comparison)``.

    Parameters
    ----------
    sales : float64[firm, platform, month]
        NaN in a window drops the firm, and is counted; NaN in the month of a wave is no sign of having stopped.
    closed_at : float64[firm]
        Month of closure, a position on axis 2, after the first window and before the end of the second; inf if none.
    origin : sequence
        Origin of each firm.
    platforms, home : sequence of str, str
        Names of axis 1, and the one of them that closed the firms.
    before, after : slice
        Windows on axis 2; the same calendar months, to be free of seasons.
    comparison : bool[firm]
        Not closed; firms neither closed nor comparison are the exposed ones.
    cluster : sequence, optional
        Cluster of each firm; each firm its own where not given. Rivals in a category take sales from each other, so
        clustering by category is closer to the truth for the parts of exposed firms.

    Returns
    -------
    Changes
        Among its counts `newcomers_left_out` and `stopped_left_out`, closed firms in no set because they sold nothing
        in the first window, or in the month before their wave.

    Raises
    ------
    DesignError
        If shapes or windows do not fit, nobody is closed or to compare with, or a set is a single cluster.
    """
    if home not in platforms:
        raise DesignError(f"the home platform {home!r} was asked for; there are {', '.join(platforms)}; name one")
    sales = np.asarray(sales, dtype=float)
    sums, known = windows(sales, platforms, before, after)
    months = np.arange(sales.shape[2])
    at = _dates(closed_at, known, months[before].max() + 1, months[after].max())
    comparison = _mask(comparison, known, "comparison")
    dated, code, where = np.isfinite(at), cluster_codes(cluster, known), np.asarray(origin)[known].astype(str)
    incumbent = np.asarray(sums[:, : len(platforms)].any(axis=1))
    waves = _waves(sales[known], at, incumbent, comparison)
    closed, exposed = np.any([np.zeros_like(dated), *(own for own, _ in waves)], axis=0), ~dated & ~comparison
    if (dated & comparison).any() or not closed.any():
        raise DesignError(
            f"closed firms that still sold, against comparison firms, were asked for; found {closed.sum()} closed, "
            f"{comparison.sum()} comparison firms and {(dated & comparison).sum()} in both; each firm belongs to one "
            "side, and closed firms must have sold in the month before"
        )
    cells, values = [], []
    influence: list[Floats] = []
    for what, mask, sides in (("closed", closed, waves), ("exposed", exposed, [(exposed, comparison)])):
        for name in np.unique(where[mask]):
            pairs = [tuple(np.flatnonzero(side & (where == name)) for side in both) for both in sides]
            pairs = [pair for pair in pairs if len(pair[0])]
            _enough(what, str(name), code, pairs)
            value, moved = _cell(sums, pairs, f"{what} firms of origin {name}", platforms)
            if what == "exposed":
                value, moved = _without_newcomers(
                    value, moved, sums, np.flatnonzero(dated & (where == name)), pairs[0][1], incumbent
                )
            cells.append((what, str(name)))
            values.append(value)
            influence.append(by_cluster(moved, np.arange(len(sums)), code))
    counts = {
        "firms": int(known.sum()),
        "closed": int(closed.sum()),
        "exposed": int(exposed.sum()),
        "comparison": int(comparison.sum()),
        "clusters": int(code.max()) + 1,
        "closed_clusters": len(np.unique(code[closed])),
        "dropped_missing": int((~known).sum()),
        "newcomers_left_out": int((dated & ~incumbent).sum()),
        "stopped_left_out": int((dated & incumbent & ~closed).sum()),
    }
    place = list(platforms).index(home)
    return Changes(cells, tuple(platforms), place, np.array(values), np.hstack(influence), counts)


def _waves(sales: Floats, at: Floats, incumbent: Bools, comparison: Bools) -> list[tuple[Bools, Bools]]:
    """Return, by wave, incumbents closed in it that sold in the month before, and those to compare that sold in it."""
    return [
        (incumbent & (at == wave) & ~stopped(sales, wave - 1), incumbent & comparison & ~stopped(sales, wave))
        for wave in np.unique(at[np.isfinite(at)]).astype(int)
    ]


def stopped(sales: Floats, month: int) -> Bools:
    """Return which firms are known to have sold nothing in a month on any platform, bool[firm]."""
    return np.asarray((sales[:, :, month] == 0).all(axis=1))


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


def _dates(closed_at: Floats, known: Bools, first: int, last: int) -> Floats:
    """Return the month of closure of each known firm, refused where it is none from the first to the last allowed."""
    at = np.asarray(closed_at)
    if at.dtype != np.float64 or at.shape != known.shape:
        raise DesignError(
            f"closed_at as float64[firm] was asked for; found {at.dtype} of shape {at.shape} for {len(known)} firms; "
            "give one month per firm, inf for firms not closed"
        )
    wrong = np.isnan(at) | (np.isfinite(at) & ((at != np.floor(at)) | (at < first) | (at > last)))
    if wrong.any():
        raise DesignError(
            f"closures in months {first} to {last} were asked for; found {at[wrong][0]:g} in row "
            f"{np.flatnonzero(wrong)[0]} of closed_at; give positions on the month axis, inf for firms not closed"
        )
    return np.asarray(at[known])


def _enough(what: str, origin: str, code: Ints, pairs: list[tuple[Ints, ...]]) -> None:
    own = len(np.unique(code[np.concatenate([one for one, _ in pairs])]))
    pool = min(len(np.unique(code[other])) for _, other in pairs)
    if min(own, pool) < 2:
        raise DesignError(
            f"{what} firms of origin {origin} against comparison firms were asked for; found {own} and {pool} "
            "clusters of them; two of each are needed for an error: widen the comparison, or leave this origin out"
        )


def _cell(sums: Floats, pairs: list[tuple[Ints, ...]], what: str, platforms: Sequence[str]) -> tuple[Floats, Floats]:
    """Return the change of a set by platform, summed over its waves, and the influence float64[firm, platform].

    Each of `pairs` holds the rows of a wave and of the firms compared with it. The number of firms in the set is fixed,
    not that of a wave, or a wave of one firm would be without error.
    """
    width = len(platforms)
    gap, moved = np.zeros((len(sums), width)), np.zeros((len(sums), width))
    for own, pool in pairs:
        held, base, later = (part.sum(axis=0) for part in (sums[own, :width], sums[pool, :width], sums[pool, width:]))
        _all_sold(held, base, len(pool), what, platforms)
        growth = np.divide(later, base, out=np.zeros(width), where=base > 0)
        weight = np.divide(held, base, out=np.zeros(width), where=base > 0)
        gap[own] = sums[own, width:] - growth * sums[own, :width]
        moved[pool] -= weight * (sums[pool, width:] - growth * sums[pool, :width])
    rows = np.concatenate([own for own, _ in pairs])
    moved[rows] += gap[rows] - gap[rows].mean(axis=0)
    return gap[rows].sum(axis=0), moved


def _without_newcomers(
    value: Floats, moved: Floats, sums: Floats, closed: Ints, pool: Ints, incumbent: Bools
) -> tuple[Floats, Floats]:
    """Take from exposed firms the newcomers that would have come beside the closed ones: ``B(closed) N / B(pool)``."""
    width = len(value)
    base, new = sums[pool, :width], sums[pool, width:] * ~incumbent[pool, np.newaxis]
    total, held = base.sum(axis=0), sums[closed, :width].sum(axis=0)
    rate, weight = (np.divide(part, total, out=np.zeros(width), where=total > 0) for part in (new.sum(axis=0), held))
    moved[pool] -= weight * (new - rate * base)
    if len(closed):
        moved[closed] -= rate * (sums[closed, :width] - held / len(closed))
    return value - rate * held, moved


def _all_sold(held: Floats, base: Floats, pool: int, what: str, platforms: Sequence[str]) -> None:
    if ((held > 0) & (base == 0)).any():
        place = int(np.argmax((held > 0) & (base == 0)))
        raise DesignError(
            f"{what} were compared on {platforms[place]}; they sold {held[place]:.4g} before and the {pool} comparison "
            f"firms nothing; widen the comparison or leave {platforms[place]} out"
        )


def by_cluster(values: Floats, rows: Ints, code: Ints) -> Floats:
    """Add up values by cluster, float64[cluster, column]."""
    count = int(code.max()) + 1
    return np.column_stack([np.bincount(code[rows], weights=column, minlength=count) for column in values.T])
