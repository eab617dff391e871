"""Changes in sales relative to a counterfactual; growth and displacement are computed from them.

Each formula of these changes is written once. Applied to estimated changes it gives an estimate
with a standard error; applied to changes between worlds of a simulated market it gives the true
value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from fewtreated.errors import DesignError
from fewtreated.estimate import Bools, Floats, Ints
from fewtreated.estimators.rows import sum_by, without_each

from analysis.estimands.design import Design, Sample
from analysis.estimands.samples import Cohort, Masks, changing
from analysis.estimate import Estimate
from fewtreated import jackknife

if TYPE_CHECKING:
    from analysis.panel import Panel

What = Literal["closed", "exposed"]
Total = Callable[..., Any]
Formula = Callable[[Total], Mapping[str, Any]]
_Part = tuple[Floats, Ints]  # values[firm, ...], and the rows to sum


@dataclass(frozen=True, eq=False)
class Changes:
    """Changes in sales by set of firms, origin and platform.

    Attributes
    ----------
    estimate : Estimate
        One term per cell: sales minus counterfactual, in units of sales; true changes have no
        standard error.
    cells : list of (str, bool, str)
        Set, "closed" or "exposed"; whether its firms are of the design's origin; platform.
    home : str
    away, destinations : tuple of str
        The other platforms, and those among them to which closed firms are reported to have moved.
    sold : float64[2, 2]
        Home sales before and after (rows) by firms of the origin and by others (columns).
    lacking : mapping of bool to str
        The reason why exposed firms of the origin (True) or of others (False) cannot be compared;
        they have no cells.
    """

    estimate: Estimate
    cells: list[tuple[What, bool, str]]
    home: str
    away: tuple[str, ...]
    destinations: tuple[str, ...]
    sold: Floats
    lacking: Mapping[bool, str] = field(default_factory=dict)

    def total(self, values: Any) -> Total:
        """Return a function that sums the matching cells of `values`.

        It is called as ``total(set, platforms, of_origin=None)``.
        """

        def added(what: What, platforms: Sequence[str], of_origin: bool | None = None) -> Any:
            return sum(
                value
                for value, (name, is_own, platform) in zip(values, self.cells, strict=True)
                if name == what and platform in platforms and of_origin in (None, is_own)
            )

        return added

    def delta_method(
        self, formula: Formula, *, estimand: str, unit: str, **changes: Any
    ) -> Estimate:
        """Apply a formula to the changes, with standard errors by the delta method.

        `formula` is a function of :meth:`total`.
        """
        return self.estimate.delta_method(
            lambda values: formula(self.total(values)), estimand=estimand, unit=unit, **changes
        )


def totals(sample: Sample, values: Floats, code: Ints, **fields: Any) -> Estimate:
    """Return the column sums of values[firm, column] as an Estimate.

    They are meant for :meth:`analysis.estimate.Estimate.jackknife`. Firms are treated as draws,
    so their number is as random as their sales; each firm contributes its own row. `code` is the
    cluster of each firm, int64[firm].
    """
    fields = {"interval": sample.interval("mixed" if code is sample.mixed_cluster else "")} | fields
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
    panel: Panel,
    design: Design,
    *,
    of_origin: bool = False,
    home: bool = False,
    in_part: bool = False,
) -> Changes:
    """Estimate changes in closed and exposed firms' sales relative to comparison firms.

    The changes are by platform.

    The counterfactual of a set is its baseline sales times the growth of comparison firms of the
    same origin on the same platform: ``K = B * A(comparison) / B(comparison)``. Only a firm in
    business can be closed. So closed firms are compared wave by wave: those that still sold in the
    month before the wave, with comparison firms that still sold in the month of the wave. Both must
    have sold something in the first window. The counterfactual of all closed firms is the sum over
    waves. Newcomers and firms that stop count only in the comparison with exposed firms, which
    include both. Newcomers would have entered alongside the closed firms too, so their sales N in
    the comparison are scaled by the baseline sales of exposed and closed firms:
    ``K = B A / B(comparison) + B(closed) N / B(comparison)``.

    Parameters
    ----------
    panel, design
        With comparison firms of low exposure; firms that are neither these nor closed are the
        exposed ones.
    of_origin : bool
        Whether to use only firms of the design's origin.
    home : bool
        Whether to use only the home platform, so that firms with unknown sales elsewhere count too.
    in_part : bool
        Whether exposed firms may be `lacking`; otherwise the estimate is refused.

    Returns
    -------
    Changes
        Its counts include `newcomers_left_out` and `stopped_left_out`: closed firms in no set
        because they sold nothing in the first window, or in the month before their wave.

    Raises
    ------
    DesignError
        If no firm has known sales on all platforms, no firm is closed or comparable, or a set is a
        single cluster.
    """
    sample = design.sample(panel)
    key = ("changes", design, of_origin, home)
    changes = panel.cached(key, lambda: _estimated(sample, of_origin, home))
    if changes.lacking and not in_part:
        raise DesignError("; ".join(changes.lacking.values()))
    return changes


@dataclass(frozen=True, eq=False)
class _Set:
    """Change in sales of one set of firms from one origin, float64[platform].

    `scores` is float64[cluster, platform].
    """

    what: What
    origin: str
    is_own: bool
    change: Floats
    scores: Floats
    df: int


def _estimated(sample: Sample, of_origin: bool, home: bool) -> Changes:
    platforms = sample.panel.platforms
    if home:
        platforms = platforms[:1]
    eligible = np.ones_like(sample.closed)
    if of_origin:
        eligible = sample.of_origin()
    cohorts, firms = changing(sample, eligible, len(platforms))
    _refuse_nobody(sample, eligible, firms, platforms)
    sets, lacking = _changes_by_set(sample, cohorts, firms, platforms)
    observed = ~firms["unknown"]
    sides = [observed & side for side in (sample.is_own, ~sample.is_own)]
    return Changes(
        _stacked(sample, sets, observed, platforms, _counts(sample, eligible, firms)),
        [(each.what, each.is_own, platform) for each in sets for platform in platforms],
        platforms[0],
        platforms[1:],
        sample.design.destinations,
        np.array([[sold[side].sum() for side in sides] for sold in sample.sums[:, :, 0]]),
        lacking,
    )


def _changes_by_set(
    sample: Sample, cohorts: list[Cohort], firms: Masks, platforms: Sequence[str]
) -> tuple[list[_Set], dict[bool, str]]:
    """Return the change of each set, and the reasons why exposed firms cannot be compared."""
    pool = sample.comparison & ~firms["unknown"]
    exposed = firms["asked about"]
    whole = Cohort(sample.base.stop, np.flatnonzero(exposed), np.flatnonzero(pool))
    sets = [
        _closed_set(sample, cohorts, sample.origin == number, platforms)
        for number in np.unique(sample.origin[firms["closed"]])
    ]
    lacking = dict[bool, str]()
    for number in np.unique(sample.origin[exposed]):
        origin = sample.origin == number
        try:
            sets.append(_exposed_set(sample, whole.of(origin), firms["none before"], platforms))
        except DesignError as refused:
            lacking[bool(sample.is_own[origin][0])] = str(refused)
    return sets, lacking


def _closed_set(
    sample: Sample, cohorts: list[Cohort], origin: Bools, platforms: Sequence[str]
) -> _Set:
    """Return the change of the closed firms of an origin, bool[firm], compared wave by wave."""
    here = [cohort.of(origin) for cohort in cohorts]
    return _against(sample, "closed", [cohort for cohort in here if len(cohort.closed)], platforms)


def _exposed_set(sample: Sample, firms: Cohort, new: Bools, platforms: Sequence[str]) -> _Set:
    """Return the change of the exposed firms of an origin.

    It is net of the newcomers that would have entered alongside its closed firms.
    """
    found = _against(sample, "exposed", [firms], platforms)
    sums = sample.sums[:, :, : len(platforms)]
    known = sample.observed(len(platforms)) & (sample.origin == sample.origin[firms.closed[0]])
    beside = np.flatnonzero(sample.closed & known)
    came, scores = _newcomers(sums, new, beside, firms.others, sample.mixed_cluster)
    return replace(found, change=found.change - came, scores=found.scores - scores)


def _stacked(
    sample: Sample,
    sets: list[_Set],
    observed: Bools,
    platforms: Sequence[str],
    counts: dict[str, int],
) -> Estimate:
    """Return the changes of all sets as one Estimate, one term per set and platform."""
    clusters = len(np.unique(sample.mixed_cluster[observed]))
    estimate = Estimate(
        estimand="changes",
        unit=sample.panel.unit,
        terms=tuple(
            f"{each.what} {each.origin} {platform}" for each in sets for platform in platforms
        ),
        value=np.concatenate([each.change for each in sets]),
        scores=jackknife.scores(np.hstack([each.scores for each in sets]), clusters),
        max_df=np.repeat([each.df for each in sets], len(platforms)),
        level=sample.design.level,
        interval=sample.interval("mixed"),
        counts=counts,
    )
    return sample.mark(estimate)


def _counts(sample: Sample, eligible: Bools, firms: Masks) -> dict[str, int]:
    """Count the firms in the changes, and those left out, by reason."""
    observed = ~firms["unknown"]
    closed = firms["closed"]
    dated = sample.closed & observed
    new = firms["none before"]
    masks = {
        "firms": observed,
        "closed": closed,
        "exposed": firms["asked about"],
        "dropped_missing": eligible & ~observed,
        "newcomers_left_out": dated & new,
        "stopped_left_out": dated & ~new & ~closed,
    }
    return {name: int(mask.sum()) for name, mask in masks.items()}


def _refuse_nobody(sample: Sample, eligible: Bools, firms: Masks, platforms: Sequence[str]) -> None:
    """Raise DesignError unless there are fully observed firms and closed firms with sales."""
    observed = ~firms["unknown"]
    if not observed.any():
        unknown = [
            name
            for column, name in enumerate(platforms)
            if np.isnan(sample.sums[:, eligible, column]).all()
        ]
        remedy = "supply the missing sales"
        if unknown:
            remedy = f"drop {', '.join(unknown)}, where all sales are unknown"
        raise DesignError(
            f"no firm has known sales on {', '.join(platforms)} in both windows; {remedy}"
        )
    if not firms["closed"].any():
        pool = sample.comparison & observed
        raise DesignError(
            f"found {pool.sum()} comparison firms, but no closed firm that sold until closure;"
            " add one"
        )


def _against(sample: Sample, what: What, cohorts: list[Cohort], platforms: Sequence[str]) -> _Set:
    """Return the change in sales of the cohorts' firms, all of one origin.

    Changes are summed over cohorts. The number of firms is fixed for the set, not for each cohort;
    otherwise a cohort of one firm would have no error.
    """
    rows = np.concatenate([cohort.closed for cohort in cohorts])
    code = sample.mixed_cluster
    origin = str(sample.panel.firms["origin"].iloc[rows[0]])
    who = f"{what} firms of origin {origin}"
    _refuse_few_clusters(cohorts, code, who)
    _refuse_without_base(sample.sums[0], cohorts, who, platforms)
    both = np.stack(list(sample.sums[:, :, : len(platforms)]), axis=1)

    def change(number: Floats, *sides: Floats) -> Any:
        pairs = zip(sides[: len(cohorts)], sides[len(cohorts) :], strict=True)
        gap: Any = sum(_gap(mine, pool) for mine, pool in pairs)
        return gap * len(rows) / number[..., np.newaxis]

    mine = [(both, cohort.closed) for cohort in cohorts]
    others = [(both, cohort.others) for cohort in cohorts]
    parts = [(np.ones(len(code)), rows), *mine, *others]
    value, scores = _by_cluster(change, parts, code)
    is_own = bool(sample.is_own[rows[0]])
    return _Set(
        what, origin, is_own, value, scores, int(jackknife.most_df(len(np.unique(code[rows]))))
    )


def _gap(mine: Floats, pool: Floats) -> Floats:
    """Return sales minus counterfactual, from sums over firms, float64[..., window, platform]."""
    held, sold = np.moveaxis(mine, -2, 0)
    base, later = np.moveaxis(pool, -2, 0)
    gap = sold - np.where(held != 0, held * later / base, 0.0)
    return np.asarray(np.nan_to_num(gap, posinf=0.0, neginf=0.0))


def _refuse_few_clusters(cohorts: list[Cohort], code: Ints, who: str) -> None:
    """Raise DesignError unless a set, and each of its comparisons, has two clusters or more."""
    clusters = len(np.unique(code[np.concatenate([cohort.closed for cohort in cohorts])]))
    fewest = min(len(np.unique(code[cohort.others])) for cohort in cohorts)
    if min(clusters, fewest) < 2:
        raise DesignError(
            f"too few clusters: {clusters} of {who} and {fewest} of comparison firms in the"
            " smallest comparison, but a standard error needs at least two of each; widen the"
            " comparison or leave out this origin"
        )


def _refuse_without_base(
    before: Floats, cohorts: list[Cohort], who: str, platforms: Sequence[str]
) -> None:
    """Raise DesignError if comparison firms sold nothing on a platform on which the set sold."""
    for cohort in cohorts:
        for column, platform in enumerate(platforms):
            held = before[cohort.closed, column].sum()
            if held > 0 and before[cohort.others, column].sum() == 0:
                raise DesignError(
                    f"cannot compare {who} on {platform}: their baseline sales were"
                    f" {held:.4g}, but the {len(cohort.others)} comparison firms had none;"
                    f" widen the comparison or leave out {platform}"
                )


def _newcomers(
    sums: Floats, new: Bools, closed: Ints, pool: Ints, code: Ints
) -> tuple[Floats, Floats]:
    """Estimate the sales of newcomers that would have entered alongside the closed firms.

    Cluster scores are returned with them.
    """
    before, after = sums

    def beside(number: Floats, held: Floats, base: Floats, came: Floats) -> Any:
        return np.nan_to_num(
            held * came / base * len(closed) / number[..., np.newaxis], posinf=0.0, neginf=0.0
        )

    parts = [
        (np.ones(len(code)), closed),
        (before, closed),
        (before, pool),
        (after * new[:, np.newaxis], pool),
    ]
    return _by_cluster(beside, parts, code)


def _by_cluster(
    formula: Callable[..., Any], parts: list[_Part], code: Ints
) -> tuple[Floats, Floats]:
    """Apply a formula to sums over firms.

    Also return its change when each cluster is left out in turn.
    """
    return without_each(
        formula, *(sum_by(values[rows], code[rows], int(code.max()) + 1) for values, rows in parts)
    )
