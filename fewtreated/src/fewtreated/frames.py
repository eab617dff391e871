"""Estimators for a DataFrame with one row per unit and period.

Columns are given by name. Periods are whole numbers, pandas Periods, or dates and text such as
2021-05, which are read as months. The same estimators for arrays are in `fewtreated.arrays`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from fewtreated.clusterings import combined
from fewtreated.display import Shown, cut
from fewtreated.errors import DesignError, check_choice, whole_number
from fewtreated.estimate import Estimate, Floats, Ints
from fewtreated.estimators import att_gt as by_cohort
from fewtreated.estimators import exposure as by_exposure
from fewtreated.estimators import honest_did, randomization, synthetic
from fewtreated.estimators.base import Base
from fewtreated.estimators.doubly_robust import DoublyRobust
from fewtreated.estimators.power import minimum_detectable_effect
from fewtreated.estimators.survival import exit_survival
from fewtreated.estimators.units import Comparison, Scale, usable_units
from fewtreated.long import Long
from fewtreated.plots import event_study
from fewtreated.testing import JointTest, all_zero

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__dir__ = [
    "CohortEffects",
    "att_gt",
    "exposure_effects",
    "honest_bounds",
    "power",
    "randomization_did",
    "survival",
    "synthetic_did",
].copy


@dataclass(frozen=True, eq=False, repr=False)
class CohortEffects(Shown):
    """Effects by cohort (first treated period) and period.

    Attributes
    ----------
    studies : dict of str to GroupTime
        Effects by the column that errors are clustered by, and by pairs of two columns.
    outcome : str
    periods : Index
    comparison : {"never", "not_yet"}
    effects : Estimate
        One term such as ``"g=2021-05 t=2021-07"`` per cohort and period.
    """

    studies: Mapping[str, by_cohort.GroupTime]
    outcome: str
    periods: pd.Index
    comparison: Comparison
    effects: Estimate = field(init=False)

    def __post_init__(self) -> None:
        """Estimate the effects, or raise DesignError."""
        estimate = self._average("group_time")
        cells = np.array(
            [[int(name[2:]) for name in term.split()] for term in estimate.terms]
        ).reshape(-1, 2)
        group, period = (self.periods[column] for column in cells.T)
        columns = {"group": group, "time": period, "event_time": cells[:, 1] - cells[:, 0]}
        terms = tuple(f"g={g} t={t}" for g, t in zip(group, period, strict=True))
        object.__setattr__(
            self, "effects", replace(estimate, terms=terms, columns={**estimate.columns, **columns})
        )

    def aggregate(
        self,
        kind: by_cohort.Kind = "simple",
        *,
        balance_e: int | None = None,
        min_e: int | None = None,
        max_e: int | None = None,
    ) -> Estimate:
        """Average the effects over all treated cells or over parts of them.

        Parts are by periods since treatment, by cohort, or by period.

        Parameters
        ----------
        kind : {"simple", "dynamic", "group", "calendar"}
            All but the first end with the ``"average"``: over the periods from treatment on, with
            equal weights, over cohorts by their number of units, or over periods.
        balance_e, min_e, max_e : int, optional
            Of dynamic effects, only cohorts observed for `balance_e` periods after treatment, and
            periods up to it; the first and the last period since treatment.
        """
        check_choice("kind", kind, get_args(by_cohort.Kind))
        limits = {"balance_e": balance_e, "min_e": min_e, "max_e": max_e}
        estimate = self._average(kind, **limits)
        if kind in ("group", "calendar"):
            terms = (
                *(str(self.periods[int(term)]) for term in estimate.terms[:-1]),
                estimate.terms[-1],
            )
            estimate = replace(estimate, terms=terms)
        return estimate

    def _average(self, kind: Any, **limits: int | None) -> Estimate:
        """Return the average with errors by the columns of clusters, one or two."""

        def of(study: by_cohort.GroupTime) -> Estimate:
            if kind == "group_time":
                return study.effects
            return study.aggregate(kind, **limits)

        estimate = combined({column: of(study) for column, study in self.studies.items()})
        scale = next(iter(self.studies.values())).scale
        return replace(
            estimate,
            unit=_named(estimate.unit, self.outcome),
            details={**estimate.details, "scale": scale, "comparison": self.comparison},
        )

    @property
    def rows(self) -> pd.DataFrame:
        """One row per cohort and period, with the columns of an Estimate."""
        return self.effects.rows

    @cached_property
    def pretest(self) -> JointTest:
        """Test that all effects before treatment, and before its anticipation, are zero.

        It is the pre-test of parallel trends, over cohorts and periods, with Hotelling's F; see
        :func:`fewtreated.testing.all_zero`. Paths may part where it finds nothing.
        """
        event = self.rows["event_time"]
        before = self.rows["term"][event < self._reference].tolist()
        return all_zero(self.effects[before], "paths were parallel before treatment")

    @property
    def _reference(self) -> int:
        """Period since treatment from which changes are counted."""
        return -1 - next(iter(self.studies.values())).anticipation

    def tidy(self) -> pd.DataFrame:
        """Return the rows with the columns that R's broom gives them.

        See :meth:`fewtreated.estimate.Estimate.tidy`.
        """
        return self.effects.tidy()

    def summary(self) -> str:
        """Return all rows as text, with statistics, notes, and the pre-test."""
        return f"{self.effects.summary()}\n{self.pretest}"

    def to_latex(self) -> str:
        """Return :meth:`tidy` as a LaTeX table."""
        return self.effects.to_latex()

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Plot the effects by periods since treatment, on `ax` or a new figure.

        Each has two intervals, its own and that of the joint band of all periods, and the
        reference period is marked by a hollow point at zero.
        """
        return event_study(self.aggregate("dynamic")[:], self._reference, ax=ax)

    def _shown(self) -> tuple[str, pd.DataFrame, list[str]]:
        try:
            average = self.aggregate()
            head, rows, notes = average._shown()
        except DesignError:  # no treated cell has a comparison, so there is no average
            return self.effects._shown()
        more = (
            'effects by cohort and period: .rows; by periods since treatment: .aggregate("dynamic")'
        )
        notes = [*notes, str(self.pretest), f"{len(self.rows):,} {more}"]
        if "base_weight" in average.details:
            last = f"{average.details['base_weight']:.2f} of the last untreated period"
            notes.append(f"base: {last}, the rest of the mean of all untreated periods")
        return head, rows, notes


def att_gt(
    data: pd.DataFrame,
    first_treated: Hashable,
    *,
    outcome: Hashable,
    unit: Hashable,
    time: Hashable,
    covariates: str | Sequence[Hashable] | None = None,
    weights: Hashable = None,
    cluster: str | Sequence[Hashable] | None = None,
    strata: Hashable = None,
    comparison: Comparison = "never",
    absent: Literal["zero", "missing"] | None = None,
    scale: Scale = "level",
    anticipation: int = 0,
    base: Base = "last",
) -> CohortEffects:
    """Estimate effects by cohort and period, relative to units that are never, or not yet, treated.

    Parameters
    ----------
    data : DataFrame
        One row per unit and period.
    first_treated : column
        First treated period. NaN, NaT, infinity, an empty string, a 0 before the first period, or a
        period after the last one means never; a 0 in a frame that begins with period 0 is refused.
        Units without an untreated period are dropped and counted.
    outcome, unit, time : column
        Each effect is of the units with an outcome in both of its periods.
    covariates : list of columns, optional
        Determined before treatment, one value per unit; a unit without one is dropped and counted.
        Text and categories become 0/1 columns for each level but one. They make estimates doubly
        robust, as :func:`fewtreated.estimators.doubly_robust.doubly_robust` describes.
    weights, strata : column, optional
        Sampling weights, and groups within which units are compared; one value per unit.
    cluster : column or list of two columns, optional
        Clusters for standard errors; one value per unit. Of two columns, shocks to the clusters of
        either count, as in :func:`fewtreated.clusterings.combined`.
    comparison : {"never", "not_yet"}
        Units that are never treated, or not until the later period of an effect.
    absent : {"zero", "missing"}
        What an absent outcome means: zero, or that it was not observed. An outcome is absent if it
        has no row, or if it and all later ones of its unit are missing. It must be given if those
        of any unit end before the last period, since an exit may be the effect, or a fall that the
        comparison had too.
    scale : {"level", "ratio"}
        Mean effect in units of the outcome, or log of the observed over the counterfactual total,
        in log points.
    anticipation : int
        Periods before treatment in which an effect is allowed.
    base : {"last", "weighted"}
        What changes are taken from: the last untreated period, or a mixture of it and of the mean
        of all untreated periods, weighted so that units that are never treated differ least by
        chance. Weighted gives shorter intervals, the more so the sooner shocks fade, but no
        effects before treatment to test. It needs never-treated clusters, five or more, and no
        covariates.

    Returns
    -------
    CohortEffects
        With `rows`, ``.aggregate()``, ``.aggregate("dynamic")`` and ``.plot()``. Standard errors
        are those of :func:`fewtreated.estimators.att_gt.att_gt`, by a cluster jackknife. For other
        intervals than of 95 per cent, an Estimate has ``.at(0.9)``.

    Raises
    ------
    DataError
        If a column is missing, a row is repeated, a period has no row, or a value is invalid.
    DesignError
        If no unit is treated, none can serve as a comparison, no unit is observed twice, covariates
        separate a cohort from its comparison, or `absent` must be given.

    Examples
    --------
    >>> import pandas as pd
    >>> from fewtreated import att_gt
    >>> sales = {"A": [5, 6, 3], "B": [7, 8, 4], "C": [5, 6, 7], "D": [9, 9, 10]}
    >>> data = pd.DataFrame(sales, [2019, 2020, 2021])
    >>> data = data.melt(var_name="firm", value_name="sales", ignore_index=False)
    >>> data = data.rename_axis("year").reset_index()
    >>> data["closed"] = data["firm"].map({"A": 2021, "B": 2021})
    >>> att_gt(data, outcome="sales", unit="firm", time="year", first_treated="closed").aggregate()
    simple effect on the treated, units of sales
      term  estimate  std_error  conf_low  conf_high  n
    simple      -4.5     0.6124    -12.28      3.281  2
    95% confidence interval
    units 4, treated 2, clusters 4
    """
    long = Long(data, unit, time)
    y = long.values(outcome, "outcome")
    first = long.dates(first_treated, anticipation)
    x = long.covariates(covariates)
    filled = long.absent(absent, y)
    y[filled] = 0.0
    options: dict[str, Any] = {"scale": scale, "anticipation": anticipation}
    options |= {
        "covariates": np.column_stack([*x.values()]) if x else None,
        "weights": long.constant(weights, "weights"),
        "strata": long.constant(strata, "strata"),
    }
    if x and base != "last":
        raise DesignError(
            f'Cannot use base = "{base}" with covariates; use base="last", or leave out covariates'
        )
    units = usable_units(y, first, **options, comparison=comparison, complete=False)
    study: by_cohort.GroupTime
    if x:
        study = DoublyRobust.of(units, comparison, periods=long.periods)
    else:
        study = by_cohort.GroupTime.of(units, comparison, base=base)
    study.counts["absent_rows_as_zero"] = int(filled.sum())

    def by(cluster: Any) -> Any:  # the same units, whose own labels are their rows
        code, labels = pd.factorize(cluster[study.labels])
        return replace(
            study, cluster=code, labels=labels, counts={**study.counts, "clusters": len(labels)}
        )

    studies = {
        name: study if codes is None else by(codes)
        for name, codes in long.clusters(cluster).items()
    }
    return CohortEffects(studies, str(outcome), long.periods, comparison)


def exposure_effects(
    data: pd.DataFrame,
    after: tuple[Any, Any],
    exposure: Hashable,
    *,
    before: tuple[Any, Any],
    outcome: Hashable,
    unit: Hashable,
    time: Hashable,
    category: Hashable = None,
    covariates: str | Sequence[Hashable] | None = None,
    bins: Sequence[float] = by_exposure.BINS,
    level: float = 0.95,
) -> Estimate:
    """Estimate how sales changes of units that stayed open vary with exposure to closed rivals.

    Parameters
    ----------
    data : DataFrame
        One row per unit and period, for the units that were not closed.
    after, before : (first, last)
        Periods to sum after and before the closures, both ends included.
    exposure : column
        Share of closed rivals in the unit's category; its mean over `after` is used.
    outcome, unit, time : column
        A unit without sales or exposure in one of the periods is dropped and counted.
    category : column, optional
        Cluster of each unit.
    covariates : list of columns, optional
        Further exposures, one value per unit.
    bins : sequence of float
        Edges between bins of exposure, in increasing order.
    level : float
        Coverage of intervals.

    Returns
    -------
    Estimate
        Log points: a term per bin, ``"slope"`` per ten points of exposure, and ``"average"``, with
        the columns and details of :func:`fewtreated.estimators.exposure.exposure_effects`, which
        also takes redrawn closures.

    Raises
    ------
    DataError
        If a column is missing, a row is repeated, a period has no row, or a value is invalid.
    DesignError
        If fewer than two units can be used, or exposure does not vary.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from fewtreated import exposure_effects
    >>> firm, year = np.arange(80).repeat(2), np.tile([2020, 2021], 80)
    >>> category = firm % 20
    >>> columns = {"firm": firm, "year": year, "category": category, "held": category / 100}
    >>> data = pd.DataFrame(columns)
    >>> data["sales"] = (10 + firm % 3) * np.exp(2 * data["held"] * (year == 2021))
    >>> effects = exposure_effects(data, outcome="sales", unit="firm", time="year", exposure="held",
    ...                            category="category", before=(2020, 2020), after=(2021, 2021))
    >>> float(effects["slope"].value[0].round(6))
    0.2
    """
    long = Long(data, unit, time)
    first, second = long.sums(outcome, before, after)
    held = long.values(exposure, "exposure")[:, long.window(after, "after")].mean(axis=1)
    options: Any = {
        "category": long.constant(category, "category"),
        "covariates": long.covariates(covariates),
    }
    return by_exposure.exposure_effects(first, second, held, bins=bins, level=level, **options)


def synthetic_did(
    data: pd.DataFrame,
    treated: Hashable,
    *,
    outcome: Hashable,
    unit: Hashable,
    time: Hashable,
    method: synthetic.Method = "sdid",
    inference: synthetic.Inference | None = None,
    level: float = 0.95,
) -> Estimate:
    """Estimate the effect on a few units treated at the same time.

    It is relative to a weighted mean of the others.

    Parameters
    ----------
    data : DataFrame
        One row per unit and period, without missing outcomes.
    treated : column
        1 in the rows of treated units from their first treated period onwards, otherwise 0.
    outcome, unit, time : column
    method : {"sdid", "sc", "did"}
        Synthetic difference-in-differences, synthetic control, or equal weights.
    inference : {"ranks", "placebo", "jackknife"}, optional
        By default ranks for one treated unit or at most 5,000 assignments, otherwise the jackknife
        (``sc``: placebo).
    level : float
        Coverage of an interval.

    Returns
    -------
    Estimate
        One row, as from :func:`fewtreated.estimators.synthetic.synthetic_did`, but
        ``details["unit_weights"]`` and ``details["time_weights"]`` are Series by unit and period.

    Raises
    ------
    DataError
        If a column is missing, a row is repeated or missing, or a value is invalid.
    DesignError
        If units are first treated in different periods, none precedes treatment, or fewer than two
        units are untreated.

    Examples
    --------
    >>> import pandas as pd
    >>> from fewtreated import synthetic_did
    >>> sales = {"A": [5, 6, 3], "B": [7, 8, 9], "C": [5, 6, 7], "D": [9, 9, 10]}
    >>> data = pd.DataFrame(sales, [2019, 2020, 2021])
    >>> data = data.melt(var_name="firm", value_name="sales", ignore_index=False)
    >>> data = data.rename_axis("year").reset_index()
    >>> data["closed"] = (data["firm"] == "A") & (data["year"] == 2021)
    >>> names = {"outcome": "sales", "unit": "firm", "time": "year", "treated": "closed"}
    >>> synthetic_did(data, **names, method="did")
    effect on the treated, units of sales
    term  estimate  n  rank  p_two_sided  p_smallest
     did    -3.833  4     1         0.25        0.25
    units 4, treated 1, donors 3, periods 3
    3 donors: placebo ranks instead of a standard error; no p-value below 0.250
    """
    long = Long(data, unit, time)
    y = long.values(outcome, "outcome", complete=True)
    first = long.switched_on(treated)
    starts, count = np.unique(first[np.isfinite(first)], return_counts=True)
    if len(starts) != 1:
        dates = ", ".join(
            f"{long.periods[int(start)]} ({n})" for start, n in zip(starts, count, strict=True)
        )
        raise DesignError(
            "Cannot estimate a single effect: treatment must start in the same period for all"
            f" treated units, but starts in {dates or 'no period'}; choose one period, or use"
            " att_gt"
        )
    how: Any = {"method": method, "inference": inference, "level": level}
    estimate = synthetic.synthetic_did(y, np.isfinite(first), int(starts[0]), **how)
    labels = {
        "unit_weights": long.units[np.isinf(first)],
        "time_weights": long.periods[: int(starts[0])],
    }
    details = {
        **estimate.details,
        **{name: pd.Series(estimate.details[name], at) for name, at in labels.items()},
    }
    return replace(estimate, unit=f"units of {outcome}", details=details)


def randomization_did(
    data: pd.DataFrame,
    first_treated: Hashable,
    *,
    outcome: Hashable,
    unit: Hashable,
    time: Hashable,
    cluster: Hashable | None = None,
    absent: Literal["zero", "missing"] | None = None,
    draws: int = randomization.DRAWS,
    level: float = 0.95,
) -> Estimate:
    """Estimate one effect by two-way regression, with an interval from reassigning treatment.

    For few treated clusters that are like the others: then no other interval of this library is as
    short and as often right (``benchmarks/README.md``).

    Parameters
    ----------
    data : DataFrame
        One row per unit and period.
    first_treated, outcome, unit, time, absent : as for :func:`att_gt`
        The effect is a constant in units of the outcome, which may be a logarithm.
    cluster : column, optional
        Clusters of units, which are treated at the same time or not at all; by default each unit is
        its own.
    draws : int
        Reassignments.
    level : float
        Coverage of the interval.

    Returns
    -------
    Estimate
        As from :func:`fewtreated.estimators.randomization.randomization_did`.

    Raises
    ------
    DataError
        If a column is missing, a row is repeated, a period has no row, or a value is invalid.
    DesignError
        As from :func:`fewtreated.estimators.randomization.randomization_did`, or if `absent` must
        be given.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from fewtreated import randomization_did
    >>> firm, year = np.indices((30, 8)).reshape(2, -1)
    >>> shut = np.where(firm < 2, 5, np.inf)
    >>> sales = np.sin(firm * year) - 2.0 * (year >= shut)
    >>> data = pd.DataFrame({"firm": firm, "year": year, "shut": shut, "sales": sales})
    >>> names = {"outcome": "sales", "unit": "firm", "time": "year", "first_treated": "shut"}
    >>> randomization_did(data, **names, cluster="firm")
    two-way effect of treatment, units of sales
    term  estimate  conf_low  conf_high  n  rank  p_two_sided  p_smallest
     did    -2.183    -2.986     -1.415  2     1        0.003       0.001
    95% randomization interval
    units 30, treated 2, clusters 30
    2 treated of 30 clusters: ranks over 1,000 assignments instead of a standard error; they assume
    that all clusters have the same spread
    """
    long = Long(data, unit, time)
    y = long.values(outcome, "outcome")
    y[long.absent(absent, y)] = 0.0
    estimate = randomization.randomization_did(
        y,
        long.dates(first_treated),
        cluster=long.constant(cluster, "cluster"),
        draws=draws,
        level=level,
    )
    return replace(estimate, unit=_named(estimate.unit, outcome))


def honest_bounds(
    study: CohortEffects | Estimate,
    *,
    target: Any = "0",
    restriction: honest_did.Restriction = "relative",
    every: int = 1,
    level: float | None = None,
) -> honest_did.Bounds:
    """Bound the effects of an event study under violations of parallel trends.

    Parameters
    ----------
    study : CohortEffects or Estimate
        The result of :func:`att_gt`, or an Estimate whose terms are periods since treatment except
        the reference, such as its ``.aggregate("dynamic")``.
    target : period or list of periods
        The effect of interest, such as 0 or "0"; for several, their mean. If `every` is above 1,
        longer periods, of which 0 begins after the reference.
    restriction : {"relative", "smooth"}
        The violation changes after treatment by at most M-bar times its largest change before, or
        its slope changes by at most M from one period to the next, in units of the estimates.
    every : int
        Number of periods to average into one first, such as 3 for quarters: bounds by relative
        magnitudes on months say nothing.
    level : float, optional
        Coverage; by default that of the Estimate.

    Returns
    -------
    Bounds
        With `rows`, ``.plot()``, ``.conf_int(sensitivity)`` for values of M-bar or M, and
        ``.breakdown``, the largest at which the interval excludes zero; as from
        :func:`fewtreated.estimators.honest_did.honest_bounds`.

    Raises
    ------
    DataError
        If estimates or covariance are not finite.
    DesignError
        If terms are not periods around a reference, fewer than two lie before it, or the covariance
        has no variance needed by the method.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from fewtreated import att_gt, honest_bounds
    >>> firm, month = np.indices((100, 6)).reshape(2, -1)
    >>> closed = np.where(firm < 30, 3, np.inf)
    >>> data = pd.DataFrame({"firm": firm, "month": month, "closed": closed})
    >>> data["sales"] = np.random.default_rng(1).normal(size=600) - 3 * (month >= data["closed"])
    >>> effects = att_gt(data, outcome="sales", unit="firm", time="month", first_treated="closed")
    >>> bounds = honest_bounds(effects, target=["0", "1", "2"])
    >>> bounds.conf_int([0, 1, 2]).round(2).tolist(), round(bounds.breakdown, 2)
    ([[-3.49, -2.46], [-4.38, -1.52], [-5.63, -0.23]], 2.18)
    >>> bounds = honest_bounds(effects, target=["0", "1", "2"], restriction="smooth")
    >>> bounds.conf_int([0, 0.1]).round(2).tolist()
    [[-3.91, -1.85], [-4.22, -1.61]]
    """
    if isinstance(study, CohortEffects):
        study = study.aggregate("dynamic")
    every = whole_number("every", every)
    before = _periods_before(study)
    study = study[:]  # without the average
    after = len(study.terms) - before
    weights = _target_weights(study, before, target, every)
    if level is None:
        level = study.level
    how: Any = {"target": weights, "restriction": restriction, "every": every, "level": level}
    bounds = honest_did.honest_bounds(study.value, study.cov_small_sample, before, after, **how)
    return replace(bounds, unit=study.unit)


def survival(
    data: pd.DataFrame,
    first_treated: Hashable,
    *,
    outcome: Hashable,
    unit: Hashable,
    time: Hashable,
    cluster: str | Sequence[Hashable] | None = None,
    absent: Literal["zero", "missing"] | None = None,
    gap: int = 3,
    horizon: int = 12,
) -> Estimate:
    """Compare how long treated units, and units that are never treated, stay in business.

    Each cohort is compared with all units that are never treated, followed from the same period.

    Parameters
    ----------
    data : DataFrame
        One row per unit and period.
    first_treated : column
        First treated period, as for :func:`att_gt`.
    outcome, unit, time : column
        An outcome of zero in `gap` periods in a row is an exit, in the first of them.
    cluster, absent
        As for :func:`att_gt`.
    gap : int
        Periods in a row with an outcome of zero that count as an exit.
    horizon : int
        Periods since treatment over which time in business is counted.

    Returns
    -------
    Estimate
        Periods in business within the horizon, ``"treated"``, ``"comparison"`` and
        ``"difference"``, as from :func:`fewtreated.estimators.survival.exit_survival`, but
        ``details["units"]`` has the name of each unit.

    Raises
    ------
    DataError
        If a column is missing, a row is repeated, a period has no row, or a value is invalid.
    DesignError
        If no unit is treated or none is not, no unit exits or is followed for the whole horizon, or
        `absent` must be given.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from fewtreated import survival
    >>> firm, month = np.indices((60, 12)).reshape(2, -1)
    >>> closed = np.where(firm < 20, 4, np.inf)
    >>> data = pd.DataFrame({"firm": firm, "month": month, "closed": closed, "sales": 1.0})
    >>> data.loc[(firm % 2 == 0) & (firm < 24) & (month >= 6), "sales"] = 0
    >>> names = {"outcome": "sales", "unit": "firm", "time": "month", "first_treated": "closed"}
    >>> survival(data, **names, horizon=5)["difference"].value.round(3)
    array([-1.35])
    """
    long = Long(data, unit, time)
    y = long.values(outcome, "outcome")
    first = long.dates(first_treated)
    y[long.absent(absent, y)] = 0.0
    if not np.isfinite(first).any():
        raise DesignError(
            f"Cannot compare survival: column {first_treated!r} has no period of treatment within"
            f" {long.periods[0]} to {long.periods[-1]}; add units that are treated"
        )
    rows, start = _cohorts_beside_never_treated(first)
    options: Any = {"rows": rows, "strata": start, "gap": gap, "horizon": horizon}
    follow = partial(exit_survival, y, start, np.isfinite(first[rows]), **options)
    clusters = long.clusters(cluster)
    if cluster is None:
        clusters = {"": np.arange(len(first))}
    found = {name: follow(cluster=codes[rows]) for name, codes in clusters.items()}
    estimate = combined(found)
    units = estimate.details["units"]
    return replace(
        estimate,
        estimand=f"time in business within {horizon} periods",
        unit="periods",
        details={"units": units.set_index(long.units[rows[units.index]])},
    )


def _cohorts_beside_never_treated(first: Floats) -> tuple[Ints, Floats]:
    """Stack the units of each cohort and, again for each, those that are never treated.

    Return the unit of each row of the stack and the first treated period of its cohort; `first` is
    that of each unit.
    """
    units = []
    starts = []
    for start in np.unique(first[np.isfinite(first)]):
        compared = np.flatnonzero((first == start) | np.isinf(first))
        units.append(compared)
        starts.append(np.full(len(compared), start))
    return np.concatenate(units), np.concatenate(starts)


def power(
    data: pd.DataFrame,
    first_treated: Hashable,
    *,
    outcome: Hashable,
    unit: Hashable,
    time: Hashable,
    cluster: Hashable = None,
    strata: Hashable = None,
    scale: Scale = "level",
    level: float = 0.95,
    draws: int = 500,
    seed: int = 0,
) -> Estimate:
    """Estimate the smallest effect that the average of :func:`att_gt` can detect in these data.

    The dates of treatment are given, at random, to units that were never treated, whose effect is
    known to be zero.

    Parameters
    ----------
    data : DataFrame
        One row per unit and period.
    first_treated : column
        First treated period, as for :func:`att_gt`.
    outcome, unit, time, cluster, scale
        As for :func:`att_gt`; at most one column of clusters.
    strata : column, optional
        Groups within which dates are drawn and units are compared; one value per unit.
    level : float
        One minus the size of the two-sided test.
    draws, seed : int

    Returns
    -------
    Estimate
        ``"fall"``, the smallest fall that is detected with a power of 80 per cent, by a test of the
        right size, ``"fall, usual"`` by the usual one, and ``"size, usual"``, how often that one
        rejects a true hypothesis; as from
        :func:`fewtreated.estimators.power.minimum_detectable_effect`.

    Raises
    ------
    DataError
        If a column is missing, a row is repeated, a period has no row, or a value is invalid.
    DesignError
        If no unit is treated, a stratum has no more untreated than treated units, or fewer than 20
        draws give an estimate.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from fewtreated import power
    >>> firm, month = np.indices((60, 6)).reshape(2, -1)
    >>> closed = np.where(firm < 10, 3, np.inf)
    >>> data = pd.DataFrame({"firm": firm, "month": month, "closed": closed})
    >>> data["sales"] = np.random.default_rng(1).normal(size=360)
    >>> names = {"outcome": "sales", "unit": "firm", "time": "month", "first_treated": "closed"}
    >>> power(data, **names, draws=100)
    minimum detectable effect, units of sales
           term  estimate  std_error  conf_low  conf_high   n
           fall     1.124    0.04927     1.027       1.22 100
    fall, usual     1.289    0.04997     1.191      1.387 100
    size, usual      0.03    0.01706 -0.003434    0.06343 100
    95% Monte Carlo interval
    untreated 50, treated 10, draws 100
    """
    long = Long(data, unit, time)
    y = long.values(outcome, "outcome")
    first = long.dates(first_treated)
    given = {"cluster": cluster, "strata": strata}
    codes: dict[str, Any] = {
        name: long.constant(column, name) for name, column in given.items() if column is not None
    }

    def average(values: Floats, dates: Floats, rows: Ints) -> Estimate:
        options: Any = {name: code[rows] for name, code in codes.items()}
        return by_cohort.att_gt(values, dates, scale=scale, **options).aggregate()

    stratum = codes.get("strata", np.zeros(len(first)))
    how: Any = {"estimator": average, "level": level, "draws": draws, "seed": seed}
    found = minimum_detectable_effect(y, first, strata=stratum, **how)
    return replace(found, unit=_named(found.unit, outcome))


def _periods_before(study: Estimate) -> int:
    """Count the periods before the reference; raise DesignError unless all are consecutive."""
    time = pd.to_numeric(pd.Series(study[:].terms), errors="coerce").to_numpy()
    reference = np.flatnonzero(np.diff(time) == 2)
    if len(reference) != 1 or (np.delete(np.diff(time), reference) != 1).any():
        raise DesignError(
            f"Cannot bound the effects of the terms {cut(', '.join(study.terms), 60)}: they must be"
            " consecutive periods around treatment, except for the reference; pass"
            ' .aggregate("dynamic")'
        )
    return int(reference[0]) + 1


def _target_weights(study: Estimate, before: int, target: Any, every: int) -> Floats:
    """Return the weight of each period after the reference in the effect of interest."""
    terms = [str(period) for period in np.atleast_1d(target).tolist()]
    known = list(study.terms[before:])
    if every != 1:
        known = [str(period) for period in range(len(known) // max(every, 1))]
    if unknown := [term for term in terms if term not in known]:
        raise DesignError(
            f"Cannot bound the effect in periods {', '.join(unknown)}: the reference is period"
            f" {float(study.terms[before]) - 1:g}; choose from {', '.join(known) or 'more periods'}"
        )
    return np.array([terms.count(term) for term in known]) / len(terms)


def _named(unit: str, outcome: Hashable) -> str:
    """Name the outcome in a unit of the estimators on arrays."""
    return unit.replace("units of y", f"units of {outcome}")
