"""Two other estimators of group-time effects, with covariates and weights: doubly robust, and by imputation.

Both average effects as totals over treated cells: what was seen, what it would have been, and how many there are. Each
unit moves these totals, and so the averages on either scale, by its own row. No dummies are formed: units and periods
are absorbed in closed form, on a balanced panel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.errors import DesignError, check_choice
from analysis.estimate import Bools, Estimate, Floats, Ints, Labels, slopes
from analysis.estimators.arrays import refuse_other_order, sum_by
from analysis.estimators.att_gt import Scale, check_options, why_early

__all__ = ["doubly_robust", "imputation"]
__dir__ = __all__.copy

Kind = Literal["simple", "dynamic", "group_time"]

RANK = 1e-10  # of a column, or of an eigenvalue, beside the largest: below it is rounding
STEPS, CLOSE = 50, 1e-10  # of Newton's method, and the largest last step of a log odds


@dataclass(frozen=True, eq=False)
class _Units:
    """Units that can be used: outcomes, cohort, covariates with a constant, weights, clusters; options, and counts.

    `cohort` is int64[unit], the place in `first`, the first treated periods in order; -1 for never treated.
    """

    y: Floats
    first: Ints
    cohort: Ints
    z: Floats
    weight: Floats
    code: Ints
    labels: npt.NDArray[Any]
    counts: dict[str, int]
    scale: Scale
    level: float


def doubly_robust(
    y: Floats,
    first_treated: Floats,
    covariates: Floats | None = None,
    *,
    kind: Kind = "simple",
    scale: Scale = "level",
    anticipation: int = 0,
    weights: Floats | None = None,
    cluster: Labels | None = None,
    level: float = 0.95,
) -> Estimate:
    """Estimate effects by comparison with never treated units of the same covariates, by regression and by odds.

    Changes since the last period before treatment are predicted from the covariates of the never treated, and what is
    left is compared under weights that make the never treated like the cohort: right if either the regression or the
    log odds of treatment are linear in the covariates. Without covariates it is
    :func:`analysis.estimators.att_gt.att_gt`, with weights.

    Parameters
    ----------
    y : float64[unit, time]
        Outcomes; NaN is missing, and its unit is dropped and counted.
    first_treated : float64[unit]
        Column index of the first treated period; inf for never.
    covariates : float64[unit, column], optional
        Known before treatment; a constant is added. A unit without one is dropped and counted.
    kind : {"simple", "dynamic", "group_time"}
        All treated cells, by event time, or a term such as ``"g=5 t=7"`` for each cohort and period.
    scale : {"level", "ratio"}
        Mean effect in units of `y`, or the log of what was seen over what it would have been, in log points.
    anticipation : int
        Periods before treatment in which an effect is allowed for.
    weights : float64[unit], optional
        How many units of the population each stands for, up to a factor; positive.
    cluster : sequence, optional
        Cluster of each unit; each unit its own where not given.
    level : float
        Coverage of intervals.

    Returns
    -------
    Estimate
        `n` is the number of treated units behind each term. Errors are sums of squared influence values by cluster,
        with those of both fits and of the sizes of cohorts, without a small-sample factor.

    Raises
    ------
    DesignError
        If shapes disagree, nobody is treated or never treated, or covariates tell a cohort and the never treated apart.

    References
    ----------
    Sant'Anna, P. H. C. and Zhao, J. (2020), Doubly robust difference-in-differences estimators, Journal of Econometrics
    219, 101-122. Callaway, B. and Sant'Anna, P. H. C. (2021), Difference-in-differences with multiple time periods,
    Journal of Econometrics 225, 200-230.
    """
    units = _units(y, first_treated, covariates, scale, anticipation, weights, cluster, level)
    base = units.first - 1 - anticipation
    terms, among = _terms(kind, units.first, np.arange(units.y.shape[1]) != base[:, np.newaxis])
    moved = np.zeros((3, len(units.y), len(terms)))
    for cohort, place in enumerate(base):
        rows = np.flatnonzero((units.cohort == cohort) | (units.cohort < 0))
        treated, outcome = units.cohort[rows] == cohort, units.y[rows]
        change = outcome - outcome[:, place][:, np.newaxis]
        effect, influence = _att(change, treated, units.z[rows], units.weight[rows])
        own = np.where(treated, units.weight[rows], 0)[:, np.newaxis]
        seen = own * (outcome if scale == "ratio" else change)
        gained = own.sum() * influence + own * effect
        moved[:, rows] += np.array([seen, seen - gained, np.broadcast_to(own, seen.shape)]) @ among[cohort]
    return _estimate("doubly robust", kind, units, terms, among, moved.sum(axis=1), moved)


def imputation(
    y: Floats,
    first_treated: Floats,
    covariates: Floats | None = None,
    *,
    kind: Kind = "simple",
    scale: Scale = "level",
    anticipation: int = 0,
    weights: Floats | None = None,
    cluster: Labels | None = None,
    level: float = 0.95,
) -> Estimate:
    """Estimate effects against outcomes imputed from unit and period effects, fitted where nobody is treated yet.

    All untreated periods count, not the last alone: more precise, and wrong by more if paths part slowly before
    treatment. Covariates have a coefficient in each period. Parameters are those of :func:`doubly_robust`; terms are of
    treated periods, and of those of anticipation.

    Returns
    -------
    Estimate
        `n` is the number of treated units behind each term. Errors are the conservative ones of the paper: given who
        is treated, and with the mean effect of a cohort in a period (squared weights) in place of each unit's own.

    Raises
    ------
    DesignError
        As :func:`doubly_robust`, but for the odds.

    References
    ----------
    Borusyak, K., Jaravel, X. and Spiess, J. (2024), Revisiting event-study designs: robust and efficient estimation,
    Review of Economic Studies 91, 3253-3285.
    """
    units = _units(y, first_treated, covariates, scale, anticipation, weights, cluster, level)
    width = units.y.shape[1]
    ends = np.append(units.first - anticipation, width)  # the last is of the never treated, cohort -1
    terms, among = _terms(kind, units.first, np.arange(width) >= ends[:-1, np.newaxis])
    totals, moved = np.zeros((3, len(terms))), np.zeros((3, len(units.y), len(terms)))
    left, moved[1] = _imputed(units, ends, np.concatenate([among, np.zeros((1, *among.shape[1:]))]))
    for cohort, cells in enumerate(among):
        rows = np.flatnonzero(units.cohort == cohort)
        own, effect = units.weight[rows, np.newaxis], left[rows]
        moved[0, rows] = own * (effect - (own**2 * effect).sum(axis=0) / (own**2).sum()) @ cells
        seen = own * (units.y[rows] if scale == "ratio" else effect)
        parts = np.array([seen, seen - own * effect, np.broadcast_to(own, seen.shape)])
        totals += parts.sum(axis=1) @ cells
    return _estimate("imputed", kind, units, terms, among, totals, moved)


def _units(
    y: Floats,
    first_treated: Floats,
    covariates: Floats | None,
    scale: Scale,
    anticipation: int,
    weights: Floats | None,
    cluster: Labels | None,
    level: float,
) -> _Units:
    check_options(scale, anticipation, level)
    refuse_other_order(y=y, first_treated=first_treated, covariates=covariates, weights=weights, cluster=cluster)
    y, first = np.asarray(y, dtype=float), np.asarray(first_treated, dtype=float)
    x = np.empty((len(y), 0)) if covariates is None else np.asarray(covariates, dtype=float)
    weight = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=float)
    if y.ndim != 2 or x.ndim != 2 or not len(y) == len(x) == len(first) == len(weight) or np.isnan(first).any():
        raise DesignError(
            f"y[unit, time], first_treated[unit], covariates[unit, column] and weights[unit] were asked for; found "
            f"shapes {y.shape}, {first.shape}, {x.shape} and {weight.shape}, and {int(np.isnan(first).sum())} units "
            "without a date; use inf for never treated"
        )
    if (wrong := ~((weight > 0) & (weight < np.inf))).any():
        raise DesignError(
            f"positive weights were asked for; {wrong.sum()} of {len(weight)} are not, such as {weight[wrong][0]:g}; "
            "leave units without weight out"
        )
    if scale == "ratio" and (y < 0).any():
        raise DesignError(
            f"the ratio scale was asked for; {int((y < 0).sum())} outcomes are negative; use the level scale"
        )
    late, known = first - 1 - anticipation >= 0, np.isfinite(y).all(axis=1) & np.isfinite(x).all(axis=1)
    keep = late & known
    first = np.where(first < y.shape[1], first, np.inf)[keep]
    cohort, periods = pd.factorize(np.where(np.isinf(first), np.nan, first), sort=True)
    if not len(periods) or not (cohort < 0).any():
        raise DesignError(
            f"effects against never treated units were asked for; of {int(keep.sum())} units that can be used "
            f"{int((cohort >= 0).sum())} are treated and {int((cohort < 0).sum())} never; "
            f"{why_early(int((~late).sum()))}add units or widen the window"
        )
    code, labels = pd.factorize(np.flatnonzero(keep) if cluster is None else np.asarray(cluster)[keep])
    counts = {
        "units": int(keep.sum()),
        "treated": int((cohort >= 0).sum()),
        "dropped_missing": int((late & ~known).sum()),
        "dropped_always_treated": int((~late).sum()),
        "clusters": len(labels),
    }
    z, first = np.column_stack([np.ones(len(y)), x])[keep], periods.astype(np.int64)
    return _Units(y[keep], first, cohort, z, weight[keep], code, np.asarray(labels), counts, scale, level)


def _terms(kind: Kind, first: Ints, shown: Bools) -> tuple[tuple[str, ...], Floats]:
    """Return names, and which cells each is made of, float64[cohort, time, term], of those shown[cohort, time]."""
    check_choice("kind", kind, get_args(Kind))
    event = np.arange(shown.shape[1]) - first[:, np.newaxis]
    key = {"simple": np.zeros_like(event), "dynamic": event, "group_time": np.arange(event.size).reshape(event.shape)}
    shown = shown & (event >= 0) if kind == "simple" else shown
    keys = np.unique(key[kind][shown])
    names = ["simple"] if kind == "simple" else [str(one) for one in keys]
    if kind == "group_time":
        names = [f"g={first[one // shown.shape[1]]} t={one % shown.shape[1]}" for one in keys]
    return tuple(names), ((key[kind][:, :, np.newaxis] == keys) & shown[:, :, np.newaxis]).astype(float)


def _att(change: Floats, treated: Bools, z: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Return the effect on the treated of each change, float64[time], and how each unit moves it, [unit, time]."""
    z = _basis(z, weight)
    chance = _chance(treated, z, weight)
    own, rest = np.where(treated, weight, 0), np.where(treated, 0, weight)
    odds = rest * chance / (1 - chance)
    own_share, odds_share = own / own.sum(), odds / odds.sum()
    gram = z.T @ (rest[:, np.newaxis] * z)
    left = change - z @ _solve(gram, z.T @ (rest[:, np.newaxis] * change))
    seen, without = own_share @ left, odds_share @ left
    moved = own_share[:, np.newaxis] * (left - seen) - odds_share[:, np.newaxis] * (left - without)
    by_slope = (own_share - odds_share) @ z
    moved -= rest[:, np.newaxis] * left * (z @ _solve(gram, by_slope))[:, np.newaxis]
    by_odds = z.T @ (odds_share[:, np.newaxis] * (left - without))
    information = z.T @ ((weight * chance * (1 - chance))[:, np.newaxis] * z)
    moved -= (weight * (treated - chance))[:, np.newaxis] * (z @ _solve(information, by_odds))
    return seen - without, moved


def _imputed(units: _Units, ends: Ints, among: Floats) -> tuple[Floats, Floats]:
    """Return outcomes less what is imputed, float64[unit, time], and how each unit moves the totals imputed, by term.

    Unit effects are absorbed, so that a cohort, whose untreated periods are those before its end, adds the product of
    two small matrices to the normal equations.
    """
    z, width = _basis(units.z, units.weight), units.y.shape[1]
    untreated = np.arange(width) < ends[:, np.newaxis]
    share = untreated / ends[:, np.newaxis]
    columns, free = width * z.shape[1], slice(z.shape[1], None)  # the first period is each unit's own level
    normal, sides = np.zeros((columns, columns)), np.zeros((width, z.shape[1], 1 + among.shape[2]))
    for cohort in range(-1, len(units.first)):
        rows = units.cohort == cohort
        weighted = units.weight[rows, np.newaxis] * z[rows]
        centre = np.diag(untreated[cohort]) - np.outer(untreated[cohort], share[cohort])
        wanted = among[cohort] - np.outer(share[cohort], among[cohort].sum(axis=0))
        normal += np.kron(centre, z[rows].T @ weighted)
        sides[:, :, 0] += centre @ units.y[rows].T @ weighted
        sides[:, :, 1:] += wanted[:, np.newaxis] * weighted.sum(axis=0)[:, np.newaxis]
    solved = np.zeros((columns, sides.shape[2]))
    solved[free] = _solve(normal[free, free], sides.reshape(columns, -1)[free])
    slope, by_residual = np.split(solved.reshape(sides.shape), [1], axis=2)
    left = units.y - z @ slope[:, :, 0].T
    left -= (left * share[units.cohort]).sum(axis=1, keepdims=True)
    residual = units.weight[:, np.newaxis] * left * untreated[units.cohort]
    return left, np.einsum("uk,ukp->up", z, np.einsum("ut,tkp->ukp", residual, by_residual, optimize=True))


def _chance(treated: Bools, z: Floats, weight: Floats) -> Floats:
    """Return the fitted probability of treatment of a logit, by Newton's method."""
    log_odds = np.full(len(z), np.log(weight[treated].sum() / weight[~treated].sum()))
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-log_odds))
        information = z.T @ ((weight * chance * (1 - chance))[:, np.newaxis] * z)
        step = z @ np.linalg.lstsq(information, z.T @ (weight * (treated - chance)), rcond=None)[0]
        log_odds = log_odds + np.clip(step, -5, 5)
        if np.abs(step).max() < CLOSE:
            return np.asarray(chance)
    raise DesignError(
        f"treated units were to be compared with others of the same covariates; {z.shape[1] - 1} covariates tell "
        f"{treated.sum()} treated and {(~treated).sum()} never treated units apart; use fewer or coarser covariates"
    )


def _basis(z: Floats, weight: Floats) -> Floats:
    """Return columns that span the same, orthonormal under the weights: one that follows from others adds nothing."""
    root = np.sqrt(weight)[:, np.newaxis]
    columns = root * z / np.linalg.norm(root * z, axis=0).clip(np.finfo(float).tiny)
    vectors, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(vectors[:, sizes > RANK * sizes[0]] / root)


def _solve(matrix: Floats, right: Floats) -> Floats:
    values = np.linalg.eigvalsh(matrix)
    if unknown := int((values <= RANK * values[-1]).sum()):
        raise DesignError(
            f"coefficients of covariates were asked for; {unknown} of {len(values)} cannot be told, for the units that "
            "tell them do not differ; leave out covariates in which the never treated are all alike"
        )
    return np.asarray(np.linalg.solve(matrix, right))


def _estimate(
    how: str, kind: Kind, units: _Units, terms: tuple[str, ...], among: Floats, totals: Floats, moved: Floats
) -> Estimate:
    """Average totals[3, term] that each unit moves by moved[3, unit, term]; no error where a cohort is one cluster."""

    def average(seen: Any, without: Any, n: Any) -> Any:
        return np.log(seen / without) if units.scale == "ratio" else (seen - without) / n

    if units.scale == "ratio":
        totals = np.where((totals[:2] > 0).all(axis=0), totals, np.nan)
    with np.errstate(invalid="ignore"):
        value, by_total = average(*totals), np.array(slopes(average, *totals))
    by_unit = np.einsum("pt,put->ut", by_total, moved)
    cohorts = [units.code[units.cohort == cohort] for cohort in range(len(units.first))]
    holds = np.asarray(among.any(axis=1))
    lone = holds[[len(np.unique(clusters)) < 2 for clusters in cohorts]].any(axis=0)
    by_unit[:, lone] = np.nan
    lost = int(np.isnan(by_unit).any(axis=0).sum())
    return Estimate(
        estimand=f"{kind} effect on the treated, {how}",
        unit="units of y" if units.scale == "level" else "log points",
        terms=terms,
        value=value,
        scores=sum_by(by_unit, units.code, len(units.labels)),
        n=np.array([len(clusters) for clusters in cohorts]) @ holds,
        level=units.level,
        reason=f"{lost} of {len(terms)} terms have a cohort of one cluster, or no positive total" if lost else "",
        counts=units.counts,
        clusters=units.labels,
    )
