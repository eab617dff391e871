"""Event study of closed firms, anticipation (E5a), effects by cohort and honest bounds (E1).

Time is counted from each firm's own closure. Firms of a wave are stacked with their comparison
firms, so a firm that is not closed appears once in each wave in which it could have been closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from fewtreated.errors import DesignError
from fewtreated.estimate import Bools, Floats, Ints, critical_value, draws_of_t, stack_estimates
from fewtreated.estimators.att_gt import GroupTime
from fewtreated.estimators.honest_did import Bounds, honest_bounds
from fewtreated.testing import POWER, romano_wolf
from scipy import optimize, stats

from analysis.estimands.closed_firms import (
    Where,
    effect_name,
    group_time_effects,
    sales_on,
    without_error,
)
from analysis.estimands.design import Design, Sample, cached_by_panel, refusable
from analysis.estimands.samples import LEADS, Cohort, aligned, leads_design
from analysis.estimate import Estimate
from analysis.numbers import percent_change

if TYPE_CHECKING:
    from analysis.panel import Panel

FEWEST = 10  # clusters of closed firms below which joint tests and bands understate their error
SENSITIVITY = (
    0.0,
    0.5,
    1.0,
)  # honest bounds: drift per period, as multiples of the largest before closure
QUARTER = (
    3  # months; bounds that allow the largest monthly step in each month of a year say nothing
)
ROUNDING = 1e-12  # log points: smaller standard errors are zero up to rounding
NO_ERROR = (
    "waves with one cluster or no sales have no standard error; waves without comparison firms have"
    " no estimate"
)


@dataclass(frozen=True, eq=False)
class Stack:
    """Closed and comparison firms stacked by cohort.

    Months run from `base_months` before the cohort's closure to `end` after it. `sales` is
    float64[firm, month].
    """

    sales: Floats
    cohorts: Sequence[Cohort]
    end: int
    sample: Sample

    @property
    def closed(self) -> Ints:
        """Closed firms ordered by cohort, int64[closed firm]."""
        return np.concatenate(
            [np.empty(0, dtype=np.int64), *(cohort.closed for cohort in self.cohorts)]
        )

    @property
    def closed_clusters(self) -> int:
        """Number of clusters of closed firms."""
        return self.sample.clusters(self.closed)

    @property
    def closed_frame(self) -> pd.DataFrame:
        """Closed firms and the positions of their closure months."""
        month = np.concatenate(
            [np.full(len(cohort.closed), cohort.month) for cohort in self.cohorts]
        )
        return pd.DataFrame({"firm": self.sample.panel.firms.index[self.closed], "cohort": month})

    def group_time(self, cluster: Ints) -> GroupTime:
        """Estimate effects by cohort and month.

        Closures are in column `base_months`.
        """
        first = self.sample.design.base_months
        anticipation = self.sample.design.anticipation
        width = first + self.end + 1
        return group_time_effects(
            self.sales,
            self.cohorts,
            self.sample,
            cluster,
            first=first,
            width=width,
            anticipation=anticipation,
        )


def stack(panel: Panel, design: Design, *, where: Where = "all") -> Stack:
    """Stack closed and comparison firms by month since closure.

    They are the firms of :func:`analysis.estimands.closed_firms.effect_on_closed`.

    Raises
    ------
    DesignError
        If the design selects no firms, closed firms are in fewer than two clusters, or all
        platforms are requested of a panel with one.
    """
    sample = design.sample(panel)
    sales, width = sales_on(panel, where)
    rows = Stack(sales, *aligned(sample, sales, width), sample)
    if rows.closed_clusters < 2:
        raise DesignError(
            f"cannot estimate effects by month: closed firms ({len(rows.closed)}) form fewer than"
            f" two clusters by {design.cluster}; rank the closed firms among comparison firms"
            " instead"
        )
    return rows


@dataclass(frozen=True)
class Pretrend:
    """Tests for pre-trends in the months before the reference.

    All are NaN if there are fewer than `FEWEST` clusters of closed firms.

    Attributes
    ----------
    largest_t, p_value : float
        The largest absolute t statistic, and the probability that chance yields one as large.
        Unlike a Wald test, it does not invert the covariance, which is unreliable with few closed
        firms. Months without a standard error are left out.
    within : float
        Largest one-sided limit over the months before the reference, in log points: the smallest
        margin at which an equivalence test of all these months passes (Dette and Schumann, 2024).
    drift : float
        Steady drift, in log points per month, that this test would detect with a power of 80 per
        cent (Roth, 2022); a smaller drift may well be present.
    """

    largest_t: float
    p_value: float
    within: float
    drift: float


@cached_by_panel
@refusable
def event_study(panel: Panel, design: Design, *, where: Where = "all") -> Estimate:
    """Estimate the effect on closed firms' sales by month since closure.

    The reference is the last month before anticipation, ``-1 - anticipation``.

    Parameters
    ----------
    panel, design
        Firms and months as stacked by :func:`stack`.
    where : {"all", "home"}
        Sales on all platforms or on the home platform.

    Returns
    -------
    Estimate
        Log points, one term per month such as ``"-4"`` or ``"0"``. `band_low` and `band_high` are a
        joint band for all months, NaN with fewer than `FEWEST` clusters of closed firms; `n` is the
        number of closed firms. ``details``: ``pretrend`` (:class:`Pretrend`), ``reference``,
        ``where``, and ``closed``, a frame of the closed firms and their cohorts (positions of
        months). Refused as for :func:`stack`, and if fewer than two months precede the reference.

    References
    ----------
    Dette, H. and Schumann, M. (2024), Testing for equivalence of pre-trends in
    difference-in-differences estimation, Journal of Business and Economic Statistics 42, 1289-1301.
    Roth, J. (2022), Pretest with caution: event-study estimates after testing for parallel trends,
    American Economic Review: Insights 4, 305-322.
    """
    if design.base_months < design.anticipation + 3:
        raise DesignError(
            f"{design.base_months} base months leave fewer than two months before the reference,"
            f" with {design.anticipation} months of anticipation; set base_months to"
            f" {design.anticipation + 3} or more"
        )
    rows = stack(panel, design, where=where)
    dynamic = rows.sample.clustered(lambda code: rows.group_time(code).aggregate("dynamic")[:])
    low, high = (
        dynamic.sup_t_band()
        if rows.closed_clusters >= FEWEST
        else np.full((2, len(dynamic.terms)), np.nan)
    )
    return design.sample(panel).mark(
        dynamic,
        estimand=f"{effect_name(design, where)} by month since closure",
        n=len(rows.closed),
        months="by month since closure",
        counts={**dynamic.counts, "closed_clusters": rows.closed_clusters},
        columns={"band_low": low, "band_high": high},
        details={
            "reference": -1 - design.anticipation,
            "where": where,
            "closed": rows.closed_frame,
            "pretrend": _pretrend(dynamic, -1 - design.anticipation, rows.closed_clusters),
        },
    )


def _pretrend(dynamic: Estimate, reference: int, clusters: int) -> Pretrend:
    month = np.array(dynamic.terms, dtype=int)
    before = (month < reference) & (dynamic.std_error > ROUNDING)
    if not before.any() or clusters < FEWEST:
        return Pretrend(np.nan, np.nan, np.nan, np.nan)
    value = dynamic.value[before]
    error = dynamic.std_error[before]
    df = dynamic.joint_df
    covariance = dynamic.covariance[np.ix_(before, before)]
    tests = romano_wolf(value, covariance, df=df)
    within = np.abs(value) + stats.t.ppf(dynamic.level, df) * error
    wide = critical_value(covariance, dynamic.level, df=df)
    chance = draws_of_t(covariance, df)
    steady = (month[before] - reference) / error  # a drift of one per month, in standard errors

    def missed(drift: float) -> float:
        return POWER - float((np.abs(chance + drift * steady) > wide).any(axis=1).mean())

    most = 2 * (wide + np.abs(chance).max()) / np.abs(steady).max()
    drift = float(optimize.brentq(missed, 0.0, most, xtol=1e-6))
    return Pretrend(
        float(tests["t"].abs().max()), float(tests["p_adjusted"].min()), float(within.max()), drift
    )


@cached_by_panel
@refusable
def anticipation(panel: Panel, design: Design) -> Estimate:
    """Estimate effects on closed firms' home sales before their closure (E5a).

    There is one effect for each of the six months before.

    These are the leads of :func:`event_study`, with the seventh month before closure as reference.
    They require a zero effect in that month and parallel paths after it, which earlier months
    cannot prove.

    Returns
    -------
    Estimate
        Per cent: "-6" to "-1". `n` is the number of closed firms. Refused as for
        :func:`event_study`.
    """
    study = event_study(panel, leads_design(design), where="home").require()
    leads = study[[str(lead) for lead in range(-LEADS, 0)]]
    return replace(leads.exp(), estimand="E5a", columns={}, design=design)


@cached_by_panel
@refusable
def by_cohort(panel: Panel, design: Design, *, where: Where = "all") -> Estimate:
    """Estimate the effect of closure for each cohort and for all cohorts together.

    The effect covers the months from closure to `post_to` months after it.

    Returns
    -------
    Estimate
        Per cent of the sales without closure, on all platforms or at home, as a ratio of totals:
        one term per month of closure, such as ``"2021-05"``, then ``"all waves"``. `n` is the
        number of closed firms. Waves share comparison firms. ``details``: ``closed`` as in
        :func:`event_study`, and ``end``, the last month since closure. Refused as for
        :func:`stack`.
    """
    rows = stack(panel, design, where=where)
    kept = [cohort for cohort in rows.cohorts if len(cohort.closed)]
    effects = {
        str(panel.months[cohort.month]): _average(replace(rows, cohorts=[cohort]))
        for cohort in kept
    }
    effects["all waves"] = _average(rows)
    stacked = stack_estimates(
        effects, estimand=f"{effect_name(design, where)} by wave", reason=NO_ERROR
    )
    details = {"closed": rows.closed_frame, "end": rows.end}
    if np.isnan(stacked.std_error).any():
        why = NO_ERROR
    else:
        why = ""
    months = f"months 0 to {rows.end} since closure"
    return rows.sample.mark(stacked, level=design.level, reason=why, months=months, details=details)


def _average(rows: Stack) -> Estimate:
    """Return the average effect; omit its standard error if it rests on a single cluster."""
    n = len(rows.closed)
    if not any(
        rows.sales[firms.closed, firms.month : firms.month + rows.end + 1].any()
        for firms in rows.cohorts
    ):
        return without_error(-100.0, n, NO_ERROR)
    effect = refusable(rows.sample.clustered)(lambda code: rows.group_time(code).aggregate())
    if effect.refused:
        return without_error(np.nan, n, NO_ERROR)
    effect = replace(effect, n=n).exp()
    if rows.closed_clusters > 1:
        return effect
    return without_error(effect.value[0], n, NO_ERROR)


@refusable
def honest(
    study: Estimate, *, truth: Floats | None = None, drifts: Sequence[float] = SENSITIVITY
) -> Estimate:
    """Bound the mean effect in the window under violations of parallel trends.

    The bounds are those of relative magnitudes on an :func:`event_study`. Months of anticipation
    follow the reference and have no weight; months `post_from` to `post_to` since closure have
    equal weights, as far as they are available. Periods are quarters, counted from the reference,
    if these months are whole quarters and two precede the quarter that ends with the reference, and
    otherwise months. `truth`, float64[term], is the true path in a simulated market, log points.
    `drifts` are changes per period, as multiples of the largest before closure.

    Returns
    -------
    Estimate
        Log points, one term per drift, such as ``"0.5"``: limits without a point estimate.
        ``details``: `breakdown`, the largest sensitivity at which the interval excludes zero, NaN
        if it never does, infinite if it always does; `period`, ``"quarter"`` or ``"month"``; and
        `truth`, the true mean effect in per cent, None if unknown. Refused if fewer than two months
        precede the reference, or the window has none.
    """
    design = study.design
    month = np.array(study.terms, dtype=int)
    inside = (month >= design.post_from) & (month <= design.post_to)
    if not inside.any():
        raise DesignError(
            f"the event study ends in month {month.max()}, before the window begins; set post_from"
            f" to {month.max()} or less"
        )
    bounds, period = _drifted(study, inside)
    true = None if truth is None else percent_change(float(truth[inside].mean()))
    return replace(
        study,
        terms=tuple(f"{times:g}" for times in drifts),
        value=np.full(len(drifts), np.nan),
        scores=None,
        covariance=None,
        limits=bounds.conf_int(drifts).T,
        columns={},
        reason="bounds have no point estimate",
        details={"breakdown": bounds.breakdown, "period": period, "truth": true},
    )


@refusable
def by_month(study: Estimate, truth: Floats | None = None) -> pd.DataFrame:
    """Return an event study's rows for a chart, converted to per cent.

    There is one row per month, with the confidence band and the true effect. Columns: `month`,
    `estimate`, `conf_low`, `conf_high`, `band_low`, `band_high`, `truth`.
    """
    rows = study.rows.assign(truth=np.nan if truth is None else truth)
    values = rows.drop(columns=["term", "std_error", "n"])
    return percent_change(values).assign(month=rows["term"].astype(int))


def _drifted(study: Estimate, months: Bools) -> tuple[Bounds, str]:
    """Bound the mean effect over the selected months.

    `months` is bool[term]. Also name the periods from one to the next.
    """
    after = np.array(study.terms, dtype=int) > study.details["reference"]
    end = _known(study)
    if months[end:].any():
        raise DesignError(
            f"cannot bound the effects: month {study.terms[end]} has no standard error, because"
            " only one cluster sold anything then; end the window earlier or start the base months"
            " later"
        )
    before = int((~after).sum())
    target = months[:end][after[:end]]
    period = "month"
    every = 1
    quarters = target[: len(target) // QUARTER * QUARTER].reshape(-1, QUARTER)
    whole = quarters.all(axis=1)
    if before + 1 >= 3 * QUARTER and QUARTER * whole.sum() == target.sum():
        target = whole
        period = "quarter"
        every = QUARTER
    known = study.value[:end], study.cov_small_sample[:end, :end]
    how: Any = {"target": target / target.sum(), "every": every, "level": study.level}
    return honest_bounds(*known, before, int(after[:end].sum()), **how), period


def _known(study: Estimate) -> int:
    """Count the months before the first without a standard error.

    Return 0 if that month precedes closure.
    """
    unknown = np.flatnonzero(np.isnan(study.std_error))
    if len(unknown):
        end = int(unknown[0])
    else:
        end = len(study.terms)
    if int(study.terms[min(end, len(study.terms) - 1)]) >= 0:
        return end
    return 0
