"""Changes of sales against their counterfactual, estimated or true: the basis of growth and displacement.

A formula of these changes is written once. Applied to changes that are estimated it has an error; applied to changes
between worlds of a simulated market it is the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from analysis.errors import DesignError
from analysis.estimands.design import Design, Sample, once
from analysis.estimands.samples import Cohort, changing
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
        """Return ``total(set, platforms, of_origin=None)``, which sums some cells of `values`."""

        def added(what: What, platforms: Sequence[str], of_origin: bool | None = None) -> Any:
            return sum(
                value
                for value, (name, is_own, platform) in zip(values, self.cells, strict=True)
                if name == what and platform in platforms and of_origin in (None, is_own)
            )

        return added

    def delta_method(self, formula: Formula, *, estimand: str, unit: str, **changes: Any) -> Estimate:
        """Return a formula of :meth:`total` as an Estimate."""
        return self.estimate.delta_method(
            lambda values: formula(self.total(values)), estimand=estimand, unit=unit, **changes
        )


def totals(sample: Sample, values: Floats, code: Ints, **fields: Any) -> Estimate:
    """Return column sums of values[firm, column] for :meth:`analysis.estimate.Estimate.jackknife`.

    Firms are draws, and the number of them is as random as their sales; what a firm adds is its own row. `code` is the
    cluster of each, int64[firm].
    """
    return Estimate(
        estimand="totals",
        unit=sample.panel.unit,
        terms=tuple(map(str, range(values.shape[1]))),
        value=values.sum(axis=0),
        scores=sum_by(values, code, int(code.max()) + 1),
        level=sample.design.level,
        **fields,
    )


def estimated(
    panel: Panel, design: Design, *, of_origin: bool = False, home: bool = False, in_part: bool = False
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
    panel, design
        The comparison is of low exposure: firms neither closed nor in it are the exposed ones.
    of_origin : bool
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
    changes = once(panel, ("changes", design, of_origin, home), lambda: _estimated(sample, of_origin, home))
    if changes.lacking and not in_part:
        raise DesignError("; ".join(changes.lacking.values()))
    return changes


def _estimated(sample: Sample, of_origin: bool, home: bool) -> Changes:
    panel, design, code = sample.panel, sample.design, sample.mixed_cluster
    platforms = panel.platforms[:1] if home else panel.platforms
    eligible = sample.own if of_origin else np.ones_like(sample.closed)
    cohorts, firms = changing(sample, eligible, len(platforms))
    observed, closed, exposed = ~firms["unknown"], firms["closed"], firms["asked about"]
    sums, pool, dated = sample.sums[:, :, : len(platforms)], sample.comparison & observed, sample.closed & observed
    _refuse_nobody(sums[:, eligible], observed, closed, pool, platforms)
    whole = [Cohort(sample.base.stop, np.flatnonzero(exposed), np.flatnonzero(pool))]
    cells: list[tuple[What, bool, str]] = []
    names, sets, lacking = list[str](), list[tuple[Floats, Floats, Ints]](), dict[bool, str]()
    what: What
    for what, mask, sides in (("closed", closed, cohorts), ("exposed", exposed, whole)):
        for number in np.unique(sample.origin[mask]):
            origin = sample.origin == number
            label, is_own = panel.firms["origin"][origin].iloc[0], bool(sample.is_own[origin][0])
            here = [side for cohort in sides if len((side := cohort.of(origin)).closed)]
            try:
                change, scores, df = _against(sums, here, code, f"{what} firms of origin {label}", platforms)
            except DesignError as refused:
                if what == "closed":
                    raise
                lacking[is_own] = str(refused)
                continue
            if what == "exposed":
                came, by = _newcomers(sums, firms["none before"], np.flatnonzero(dated & origin), here[0].others, code)
                change, scores = change - came, scores - by
            cells += [(what, is_own, platform) for platform in platforms]
            names += [f"{what} {label} {platform}" for platform in platforms]
            sets.append((change, scores, np.full(len(platforms), df)))
    values, scores_of, max_df = zip(*sets, strict=True)
    sold_by = [observed & side for side in (sample.is_own, ~sample.is_own)]
    estimate = Estimate(
        estimand="changes",
        unit=panel.unit,
        terms=tuple(names),
        value=np.concatenate(values),
        scores=np.sqrt(1 - 1 / len(np.unique(code[observed]))) * np.hstack(scores_of),
        max_df=np.concatenate(max_df),
        level=design.level,
        counts={
            "firms": int(observed.sum()),
            "closed": int(closed.sum()),
            "exposed": int(exposed.sum()),
            "dropped_missing": int((eligible & ~observed).sum()),
            "newcomers_left_out": int((dated & firms["none before"]).sum()),
            "stopped_left_out": int((dated & ~firms["none before"] & ~closed).sum()),
        },
    )
    sold = np.array([[window[side, 0].sum() for side in sold_by] for window in sums])
    return Changes(sample.mark(estimate), cells, platforms[0], platforms[1:], design.destinations, sold, lacking)


def _refuse_nobody(eligible: Floats, observed: Bools, closed: Bools, pool: Bools, platforms: Sequence[str]) -> None:
    """Refuse where no firm is known on all platforms, or none closed; `eligible` are sales[window, firm, platform]."""
    if not observed.any():
        unknown = [name for column, name in enumerate(platforms) if np.isnan(eligible[:, :, column]).all()]
        lacking = f"; leave out {', '.join(unknown)}, unknown for all firms" if unknown else ""
        raise DesignError(f"no firm has known sales on {', '.join(platforms)} in both windows{lacking}")
    if not closed.any():
        raise DesignError(f"found 0 closed firms that sold until their closure, beside {pool.sum()} comparison firms")


def _against(
    sums: Floats, cohorts: list[Cohort], code: Ints, who: str, platforms: Sequence[str]
) -> tuple[Floats, Floats, int]:
    """Return a set's change by platform, its scores by cluster and its degrees of freedom, summed over cohorts.

    The number of firms in the set is fixed, not that of a cohort, or a cohort of one firm would be without error.
    """
    before, after = sums
    rows = np.concatenate([cohort.closed for cohort in cohorts])
    clusters, fewest = len(np.unique(code[rows])), min(len(np.unique(code[cohort.others])) for cohort in cohorts)
    if min(clusters, fewest) < 2:
        raise DesignError(
            f"{who} against comparison firms were asked for; found {clusters} and {fewest} clusters of them; two of "
            "each are needed for an error: widen the comparison, or leave this origin out"
        )
    gap, scores = np.zeros(before.shape), np.zeros((int(code.max()) + 1, before.shape[1]))
    for cohort in cohorts:
        firms, pool = cohort.closed, cohort.others
        held, base = before[firms].sum(axis=0), before[pool].sum(axis=0)
        if (nothing := (held > 0) & (base == 0)).any():
            column = int(np.argmax(nothing))
            raise DesignError(
                f"cannot compare {who} on {platforms[column]}: they sold {held[column]:.4g} before and the {len(pool)} "
                f"comparison firms nothing; widen the comparison, or leave {platforms[column]} out"
            )
        growth, without = _growth(after, before, pool, code)
        gap[firms] = after[firms] - growth * before[firms]
        scores += np.where(np.isnan(without), gap[firms].sum(axis=0), -held * without)
    return gap[rows].sum(axis=0), scores + of_fixed_number(gap, rows, code), clusters - 1


def _newcomers(sums: Floats, new: Bools, closed: Ints, pool: Ints, code: Ints) -> tuple[Floats, Floats]:
    """Return the expected sales of newcomers beside the closed firms, and their scores by cluster."""
    before, held = sums[0], sums[0, closed].sum(axis=0)
    growth, without = _growth(sums[1] * new[:, np.newaxis], before, pool, code)
    scores = held * np.where(np.isnan(without), growth, without)
    return growth * held, scores + growth * of_fixed_number(before, closed, code)


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
    """Return scores by cluster of a sum over some rows, holding the number of rows fixed."""
    size = int(code.max()) + 1
    if not len(rows):
        return np.zeros((size, values.shape[1]))
    number = np.bincount(code[rows], minlength=size)[:, np.newaxis]
    sums = sum_by(values[rows], code[rows], size)
    left = len(rows) - number
    without = np.divide(len(rows) * sums - number * sums.sum(axis=0), left, out=sums.copy(), where=left > 0)
    return np.asarray(without)
