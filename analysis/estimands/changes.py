"""Sales of sets of firms against what they would have been, estimated or true: growth and displacement rest on them.

A formula of these changes is written once. Applied to changes that are estimated it has an error; applied to changes
between worlds of a simulated market it is the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from analysis.errors import DesignError
from analysis.estimands.design import Design, Sample
from analysis.estimate import NOTHING_LEFT, Bools, Estimate, Floats, Ints
from analysis.estimators.arrays import sum_by

if TYPE_CHECKING:
    from analysis.panel import Panel

What = Literal["closed", "exposed"]
Total = Callable[..., Any]
Formula = Callable[[Total], Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class Changes:
    """Changes of sales by set of firms, origin and platform.

    Attributes
    ----------
    estimate : Estimate
        A term per cell, sales minus their counterfactual in units of sales; without error where they are true.
    cells : list of (str, bool, str)
        Set, "closed" or "exposed"; whether of the origin that is asked about; platform.
    home : str
    away, destinations : tuple of str
        The other platforms, and those of them to which closed firms are said to have gone.
    sold : float64[2, 2]
        Sales at home before and after (rows) of the origin and of others (columns).
    lacking : mapping of bool to str
        Why exposed firms, by whether they are of the origin, cannot be compared; they have no cells.
    """

    estimate: Estimate
    cells: list[tuple[What, bool, str]]
    home: str
    away: tuple[str, ...]
    destinations: tuple[str, ...]
    sold: Floats
    lacking: Mapping[bool, str] = field(default_factory=dict)

    def total(self, values: Any) -> Total:
        """Return ``total(set, platforms, own=None)``, which adds up some cells of `values`; `own` restricts origins."""

        def added(what: What, platforms: Sequence[str], own: bool | None = None) -> Any:
            return sum(
                value
                for value, (name, is_own, platform) in zip(values, self.cells, strict=True)
                if name == what and platform in platforms and own in (None, is_own)
            )

        return added

    def delta_method(self, formula: Formula, *, estimand: str, unit: str, **changes: Any) -> Estimate:
        """Return a formula of :meth:`total` as an Estimate."""
        return self.estimate.delta_method(
            lambda values: formula(self.total(values)), estimand=estimand, unit=unit, **changes
        )


def totals(
    sample: Sample, values: Floats, firms: Any = slice(None), *, code: Ints | None = None, **fields: Any
) -> Estimate:
    """Return sums of values, float64[firm of `firms`, column], for :meth:`analysis.estimate.Estimate.jackknife`.

    Firms are draws, and the number of them is as random as their sales; what a firm adds is its own row. Clusters are
    those of the sample, or of `code`, int64[firm of `firms`].
    """
    code = sample.cluster[firms] if code is None else code
    return Estimate(
        estimand="totals",
        unit=sample.panel.unit,
        terms=tuple(map(str, range(values.shape[1]))),
        value=values.sum(axis=0),
        scores=sum_by(values, code, int(code.max()) + 1),
        level=sample.design.level,
        **fields,
    )


def estimated(panel: Panel, design: Design, *, own: bool = False, home: bool = False, in_part: bool = False) -> Changes:
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
    panel, design
        The comparison is of low exposure: firms neither closed nor in it are the exposed ones.
    own : bool
        Firms of the design's origin alone.
    home : bool
        The home platform alone: a firm whose sales elsewhere are not known answers too.
    in_part : bool
        Whether exposed firms may be `lacking`, which is else refused.

    Returns
    -------
    Changes
        Among its counts `newcomers_left_out` and `stopped_left_out`, closed firms in no set because they sold nothing
        in the first window, or in the month before their wave.

    Raises
    ------
    DesignError
        If no firm is known on all platforms, nobody is closed or to compare with, or a set is a single cluster.
    """
    sample = design.sample(panel)
    found = sample.once(("changes", own, home), lambda: _estimated(sample, own, home))
    if found.lacking and not in_part:
        raise DesignError("; ".join(found.lacking.values()))
    return found


def _estimated(sample: Sample, own: bool, home: bool) -> Changes:
    panel, design = sample.panel, sample.design
    platforms = panel.platforms[:1] if home else panel.platforms
    width = len(platforms)
    asked = sample.own if own else np.ones(len(panel.firms), dtype=bool)
    sums = sample.sums[:, :, :width]
    known = np.flatnonzero(asked & np.isfinite(sums).all(axis=(0, 2)))
    if not len(known):
        unseen = [name for place, name in enumerate(platforms) if np.isnan(sums[:, asked, place]).all()]
        raise DesignError(
            f"sales on {', '.join(platforms)} were asked for; no firm has all of them in both windows, and "
            f"{', '.join(unseen) or 'no platform'} is unknown for all; leave such platforms out"
        )
    before, after = sums[:, known]
    at = np.where(sample.closed, sample.first, np.inf)[known]
    dated, pool, incumbent = np.isfinite(at), sample.comparison[known], before.any(axis=1)
    sales, waves = panel.sales[:, :width], np.unique(at[np.isfinite(at)]).astype(int)
    silent = {month: (sales[known, :, month] == 0).all(axis=1) for wave in waves for month in (wave - 1, wave)}
    sides = [(incumbent & (at == wave) & ~silent[wave - 1], incumbent & pool & ~silent[wave]) for wave in waves]
    closed = np.any([np.zeros_like(dated), *(mine for mine, _ in sides)], axis=0)
    if not closed.any():
        raise DesignError(
            f"closed firms that still sold, against comparison firms, were asked for; found 0 closed and {pool.sum()} "
            "comparison firms; closed firms must have sold in the month before"
        )
    exposed = ~dated & ~pool
    origin, is_own = sample.origin[known], sample.is_own[known]
    code = sample.mixed_cluster[known]
    cells: list[tuple[What, bool, str]] = []
    names, values, moved, fewest, lacking = [], [], [], [], dict[bool, str]()
    what: What
    for what, mask, pairs in (("closed", closed, sides), ("exposed", exposed, [(exposed, pool)])):
        for number in np.unique(origin[mask]):
            label = panel.firms["origin"].iloc[known[origin == number][0]]
            here = [(np.flatnonzero(a & (origin == number)), np.flatnonzero(b & (origin == number))) for a, b in pairs]
            here = [pair for pair in here if len(pair[0])]
            who, mine = f"{what} firms of origin {label}", bool(is_own[origin == number][0])
            try:
                change, scores, df = _against(before, after, here, code, who, platforms)
            except DesignError as refused:
                if what == "closed":
                    raise
                lacking[mine] = str(refused)
                continue
            if what == "exposed":
                gone = np.flatnonzero(dated & (origin == number))
                came, by = _newcomers(before, after * ~incumbent[:, np.newaxis], gone, here[0][1], code)
                change, scores = change - came, scores - by
            cells += [(what, mine, platform) for platform in platforms]
            names += [f"{what} {label} {platform}" for platform in platforms]
            values.append(change)
            moved.append(scores)
            fewest.append(np.full(width, df))
    sold = np.array([[part[is_own, 0].sum(), part[~is_own, 0].sum()] for part in (before, after)])
    estimate = Estimate(
        estimand="changes",
        unit=panel.unit,
        terms=tuple(names),
        value=np.concatenate(values),
        scores=np.sqrt(1 - 1 / len(np.unique(code))) * np.hstack(moved),
        max_df=np.concatenate(fewest),
        level=design.level,
        counts={
            "firms": len(known),
            "closed": int(closed.sum()),
            "exposed": int(exposed.sum()),
            "dropped_missing": int(asked.sum()) - len(known),
            "newcomers_left_out": int((dated & ~incumbent).sum()),
            "stopped_left_out": int((dated & incumbent & ~closed).sum()),
        },
    )
    return Changes(sample.mark(estimate), cells, platforms[0], platforms[1:], design.destinations, sold, lacking)


def _against(
    before: Floats, after: Floats, pairs: list[tuple[Ints, Ints]], code: Ints, who: str, platforms: Sequence[str]
) -> tuple[Floats, Floats, int]:
    """Return the change of a set by platform, summed over its waves; by how much each cluster moves it; its most df.

    Each of `pairs` holds the rows of a wave and of the firms compared with it. The number of firms in the set is fixed,
    not that of a wave, or a wave of one firm would be without error.
    """
    rows = np.concatenate([own for own, _ in pairs])
    clusters, fewest = len(np.unique(code[rows])), min(len(np.unique(code[pool])) for _, pool in pairs)
    if min(clusters, fewest) < 2:
        raise DesignError(
            f"{who} against comparison firms were asked for; found {clusters} and {fewest} clusters of them; two of "
            "each are needed for an error: widen the comparison, or leave this origin out"
        )
    gap, moved = np.zeros(before.shape), np.zeros((int(code.max()) + 1, before.shape[1]))
    for own, pool in pairs:
        held, base = before[own].sum(axis=0), before[pool].sum(axis=0)
        if (nothing := (held > 0) & (base == 0)).any():
            place = int(np.argmax(nothing))
            raise DesignError(
                f"{who} were compared on {platforms[place]}; they sold {held[place]:.4g} before and the {len(pool)} "
                f"comparison firms nothing; widen the comparison or leave {platforms[place]} out"
            )
        growth, without = _growth(after, before, pool, code)
        gap[own] = after[own] - growth * before[own]
        moved += np.where(np.isnan(without), gap[own].sum(axis=0), -held * without)
    return gap[rows].sum(axis=0), moved + of_fixed_number(gap, rows, code), clusters - 1


def _newcomers(before: Floats, new: Floats, closed: Ints, pool: Ints, code: Ints) -> tuple[Floats, Floats]:
    """Return sales of newcomers that would have come beside the closed firms, and how much each cluster moves them."""
    held, (growth, without) = before[closed].sum(axis=0), _growth(new, before, pool, code)
    moved = held * np.where(np.isnan(without), growth, without)
    return growth * held, moved + growth * of_fixed_number(before, closed, code)


def _growth(after: Floats, before: Floats, pool: Ints, code: Ints) -> tuple[Floats, Floats]:
    """Return after / before of the comparison firms by platform, and its change without each cluster.

    Zero where nothing was sold before; NaN without a cluster that sold all of it, when nothing is left to compare with.
    """
    size = int(code.max()) + 1
    later, base = (sum_by(values[pool], code[pool], size) for values in (after, before))
    total = base.sum(axis=0)
    growth = np.divide(later.sum(axis=0), total, out=np.zeros(len(total)), where=total > 0)
    rest = total - base
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.where(rest > NOTHING_LEFT * total, (later - growth * base) / rest, np.nan)
    return growth, np.where(total > 0, change, 0.0)


def of_fixed_number(values: Floats, rows: Ints, code: Ints) -> Floats:
    """Return by how much each cluster moves the sum over some rows, were there as many rows without it."""
    size = int(code.max()) + 1
    if not len(rows):
        return np.zeros((size, values.shape[1]))
    number = np.bincount(code[rows], minlength=size)[:, np.newaxis]
    sums = sum_by(values[rows], code[rows], size)
    left = len(rows) - number
    found: Floats = np.divide(len(rows) * sums - number * sums.sum(axis=0), left, out=sums.copy(), where=left > 0)
    return found


def true(
    change: Floats, closed: Bools, own: Bools, sold: Floats, platforms: Sequence[str], destinations: Sequence[str]
) -> Changes:
    """Return true changes, float64[firm, platform], by the same cells: closed firms, and all others.

    `sold` is float64[2, firm], sales at home before and after.
    """
    sets: list[tuple[What, bool, Bools]] = [
        (what, is_own, mask & (own == is_own))  # type: ignore[misc]
        for what, mask in (("closed", closed), ("exposed", ~closed))
        for is_own in (True, False)
    ]
    cells = [(what, is_own, platform) for what, is_own, _ in sets for platform in platforms]
    estimate = Estimate(
        estimand="changes",
        unit="sim-$",
        terms=tuple(" ".join(map(str, cell)) for cell in cells),
        value=np.concatenate([change[firms].sum(axis=0) for *_, firms in sets]),
        scores=np.zeros((0, len(cells))),
        counts={"closed": int(closed.sum())},
    )
    by_origin = np.array([[part[own].sum(), part[~own].sum()] for part in sold])
    return Changes(estimate, cells, platforms[0], tuple(platforms[1:]), tuple(destinations), by_origin)
