"""Changes in sales relative to a counterfactual; growth and displacement are computed from them.

Each formula of these changes is written once. Applied to estimated changes it gives an estimate
with a standard error; applied to changes between worlds of a simulated market it gives the true
value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from fewtreated.errors import DesignError
from fewtreated.estimate import Bools, Estimate, Floats, Ints
from fewtreated.estimators.rows import sum_by, without_each

from analysis.estimands.design import Design, Sample, once
from analysis.estimands.samples import Cohort, changing

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

    They are meant for :meth:`fewtreated.estimate.Estimate.jackknife`. Firms are treated as draws,
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
    changes = once(
        panel, ("changes", design, of_origin, home), lambda: _estimated(sample, of_origin, home)
    )
    if changes.lacking and not in_part:
        raise DesignError("; ".join(changes.lacking.values()))
    return changes


def _estimated(sample: Sample, of_origin: bool, home: bool) -> Changes:
    panel = sample.panel
    design = sample.design
    code = sample.mixed_cluster
    if home:
        platforms = panel.platforms[:1]
    else:
        platforms = panel.platforms
    if of_origin:
        eligible = sample.of_origin()
    else:
        eligible = np.ones_like(sample.closed)
    cohorts, firms = changing(sample, eligible, len(platforms))
    observed = ~firms["unknown"]
    closed = firms["closed"]
    exposed = firms["asked about"]
    sums = sample.sums[:, :, : len(platforms)]
    pool = sample.comparison & observed
    dated = sample.closed & observed
    _refuse_nobody(sums[:, eligible], observed, closed, pool, platforms)
    whole = [Cohort(sample.base.stop, np.flatnonzero(exposed), np.flatnonzero(pool))]
    cells: list[tuple[What, bool, str]] = []
    names = list[str]()
    sets = list[tuple[Floats, Floats, Ints]]()
    lacking = dict[bool, str]()
    what: What
    for what, mask, sides in (("closed", closed, cohorts), ("exposed", exposed, whole)):
        for number in np.unique(sample.origin[mask]):
            origin = sample.origin == number
            label = panel.firms["origin"][origin].iloc[0]
            is_own = bool(sample.is_own[origin][0])
            here = [side for cohort in sides if len((side := cohort.of(origin)).closed)]
            try:
                change, scores, df = _against(
                    sums, here, code, f"{what} firms of origin {label}", platforms
                )
            except DesignError as refused:
                if what == "closed":
                    raise
                lacking[is_own] = str(refused)
                continue
            if what == "exposed":
                dated_here = np.flatnonzero(dated & origin)
                came, by = _newcomers(sums, firms["none before"], dated_here, here[0].others, code)
                change = change - came
                scores = scores - by
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
        interval=sample.interval("mixed"),
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
    return Changes(
        sample.mark(estimate),
        cells,
        platforms[0],
        platforms[1:],
        design.destinations,
        sold,
        lacking,
    )


def _refuse_nobody(
    eligible: Floats, observed: Bools, closed: Bools, pool: Bools, platforms: Sequence[str]
) -> None:
    """Raise DesignError unless there are fully observed firms and closed firms with sales.

    `eligible` is the sales of eligible firms, float64[window, firm, platform].
    """
    if not observed.any():
        unknown = [
            name for column, name in enumerate(platforms) if np.isnan(eligible[:, :, column]).all()
        ]
        if unknown:
            remedy = f"drop {', '.join(unknown)}, where all sales are unknown"
        else:
            remedy = "supply the missing sales"
        raise DesignError(
            f"no firm has known sales on {', '.join(platforms)} in both windows; {remedy}"
        )
    if not closed.any():
        raise DesignError(
            f"found {pool.sum()} comparison firms, but no closed firm that sold until closure;"
            " add one"
        )


def _against(
    sums: Floats, cohorts: list[Cohort], code: Ints, who: str, platforms: Sequence[str]
) -> tuple[Floats, Floats, int]:
    """Return a set's change in sales by platform, with cluster scores and degrees of freedom.

    Changes are summed over cohorts. The number of firms is fixed for the set, not for each cohort;
    otherwise a cohort of one firm would have no error.
    """
    before, after = sums
    rows = np.concatenate([cohort.closed for cohort in cohorts])
    clusters = len(np.unique(code[rows]))
    fewest = min(len(np.unique(code[cohort.others])) for cohort in cohorts)
    if min(clusters, fewest) < 2:
        raise DesignError(
            f"too few clusters: {clusters} of {who} and {fewest} of comparison firms in the"
            " smallest comparison, but a standard error needs at least two of each; widen the"
            " comparison or leave out this origin"
        )
    for cohort in cohorts:
        held = before[cohort.closed].sum(axis=0)
        base = before[cohort.others].sum(axis=0)
        if (nothing := (held > 0) & (base == 0)).any():
            column = int(np.argmax(nothing))
            raise DesignError(
                f"cannot compare {who} on {platforms[column]}: their baseline sales were"
                f" {held[column]:.4g}, but the {len(cohort.others)} comparison firms had none;"
                f" widen the comparison or leave out {platforms[column]}"
            )
    both = np.stack([before, after], axis=1)

    def change(number: Floats, *sides: Floats) -> Any:
        gap: Any = 0.0
        for mine, pool in zip(sides[: len(cohorts)], sides[len(cohorts) :], strict=True):
            held, sold = np.moveaxis(mine, -2, 0)
            base, later = np.moveaxis(pool, -2, 0)
            gap = gap + np.nan_to_num(
                sold - np.where(held != 0, held * later / base, 0.0), posinf=0.0, neginf=0.0
            )
        return gap * len(rows) / number[..., np.newaxis]

    mine, others = (
        [(both, getattr(cohort, side)) for cohort in cohorts] for side in ("closed", "others")
    )
    return *_by_cluster(change, [(np.ones(len(code)), rows), *mine, *others], code), clusters - 1


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
