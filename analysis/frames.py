"""The estimators as users call them: on a DataFrame, a row per unit and period, by names of columns; or on arrays."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from analysis import testing
from analysis.display import Shown, cut
from analysis.errors import DesignError, check_choice
from analysis.estimate import Estimate
from analysis.estimators import att_gt as by_cohort
from analysis.estimators import exposure as by_exposure
from analysis.estimators import honest_did, synthetic
from analysis.estimators.cross_checks import Kind, doubly_robust
from analysis.long import Long

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CohortEffects", "att_gt", "exposure_effects", "honest_bounds", "noninferiority", "synthetic_did"]
__dir__ = __all__.copy

Given = Any
"""The name of a column of a DataFrame, or an array."""


@dataclass(frozen=True, eq=False, repr=False)
class CohortEffects(Shown):
    """Effects by cohort (first treated period) and period, which can be averaged further.

    Attributes
    ----------
    effects : Estimate
        A term such as ``"g=2021-05 t=2021-07"`` for each cohort and period.
    average : callable
        What :meth:`aggregate` calls.
    """

    effects: Estimate
    average: Callable[[Kind], Estimate]

    def aggregate(self, kind: Literal["simple", "dynamic"] = "simple") -> Estimate:
        """Average the effects over all treated cells, or by periods since treatment; nothing else is a `kind`."""
        check_choice("kind", kind, ("simple", "dynamic"))
        return self.average(kind)

    @property
    def rows(self) -> pd.DataFrame:
        """One row per cohort and period, as those of an Estimate."""
        return self.effects.rows

    def plot(self) -> Axes:
        """Draw the effects by periods since treatment, with their intervals."""
        return self.aggregate("dynamic").plot(xlabel="periods since treatment")

    def _shown(self) -> tuple[str, pd.DataFrame, list[str]]:
        try:
            head, rows, notes = self.aggregate()._shown()
        except DesignError:  # no treated cell can be compared: there is no average to show
            return self.effects._shown()
        more = 'effects by cohort and period: .rows; by periods since treatment: .aggregate("dynamic")'
        return head, rows, [*notes, f"{len(self.rows):,} {more}"]


def att_gt(
    data: Given,
    first_treated: Given,
    *,
    outcome: Hashable = None,
    unit: Hashable = None,
    time: Hashable = None,
    covariates: Given = None,
    weights: Given = None,
    cluster: Given = None,
    strata: Given = None,
    scale: by_cohort.Scale = "level",
    anticipation: int = 0,
    level: float = 0.95,
) -> CohortEffects:
    """Estimate effects by cohort and period against units that are never treated.

    Parameters
    ----------
    data : DataFrame or float64[unit, time]
        A row per unit and period, or outcomes. A unit without an outcome in some period is dropped and counted.
    first_treated : column or float64[unit]
        First treated period. Never is NaN, NaT, infinity, a 0 before the first period, or a period after the last; in
        arrays of column numbers infinity. Units treated before a period to compare with are dropped and counted.
    outcome, unit, time : column
        Of a DataFrame.
    covariates : list of columns or float64[unit, column], optional
        Known before treatment, one value per unit. With them estimates are doubly robust, and errors those of
        :func:`analysis.estimators.cross_checks.doubly_robust`.
    weights, cluster, strata : column or array[unit], optional
        How many units each stands for; whose errors go together; within what units are compared. One value per unit.
    scale : {"level", "ratio"}
        Mean effect in units of the outcome, or the log of what was seen over what it would have been, in log points.
    anticipation : int
        Periods before treatment in which an effect is allowed for.
    level : float
        Coverage of intervals.

    Returns
    -------
    CohortEffects
        With `rows`, ``.aggregate()``, ``.aggregate("dynamic")`` and ``.plot()``. Errors without covariates are those of
        :func:`analysis.estimators.att_gt.att_gt`, a cluster jackknife.

    Raises
    ------
    DataError
        If a column is not there, a row comes twice, a period has no row, or a value is not what it must be.
    DesignError
        If nobody is treated or nobody can be compared.

    Examples
    --------
    >>> import pandas as pd
    >>> from analysis import att_gt
    >>> sales = {"A": [5, 6, 3], "B": [7, 8, 4], "C": [5, 6, 7], "D": [9, 9, 10]}
    >>> data = pd.DataFrame(sales, [2019, 2020, 2021]).melt(var_name="firm", value_name="sales", ignore_index=False)
    >>> data = data.rename_axis("year").reset_index()
    >>> data["closed"] = data["firm"].map({"A": 2021, "B": 2021})
    >>> att_gt(data, outcome="sales", unit="firm", time="year", first_treated="closed").aggregate()
    simple effect on the treated, units of sales ◐
      term  estimate  std_error  conf_low  conf_high  n
    simple      -4.5     0.6124    -12.28      3.281  2
    95% confidence interval
    units 4, treated 2, clusters 4
    """
    y, first, x, long = data, first_treated, covariates, _long(data, outcome, unit, time)
    by_unit: dict[str, Any] = {"weights": weights, "cluster": cluster, "strata": strata}
    if long:
        y, first = long.values(outcome, "outcome"), long.dates(first_treated, anticipation)
        named = long.covariates(covariates)
        x = np.column_stack([*named.values()]) if named else None
        by_unit = {what: long.constant(name, what) for what, name in by_unit.items() if name is not None}
    if x is not None and by_unit.pop("strata", None) is not None:
        raise DesignError(
            "effects with covariates and within strata were asked for; found both, and the doubly robust estimator has "
            "no strata; give them as covariates, a column of 0 and 1 for each stratum but one"
        )
    options: dict[str, Any] = {**by_unit, "scale": scale, "anticipation": anticipation, "level": level}
    groups = by_cohort.att_gt(y, first, **options) if x is None else None

    def average(kind: Kind) -> Estimate:
        if groups is None:
            found = doubly_robust(y, first, x, kind=kind, **options)
        else:
            found = groups.effects if kind == "group_time" else groups.aggregate(kind)
        return long.named(found, outcome, cells=kind == "group_time") if long else found

    return CohortEffects(average("group_time"), average)


def exposure_effects(
    data: Given,
    after: Given,
    exposure: Given,
    *,
    before: tuple[Any, Any] | None = None,
    outcome: Hashable = None,
    unit: Hashable = None,
    time: Hashable = None,
    category: Given = None,
    covariates: Given = None,
    expected: Given = None,
    bins: Sequence[float] = by_exposure.BINS,
    level: float = 0.95,
) -> Estimate:
    """Estimate how the change in sales of units that are not closed varies with their exposure to those that are.

    Parameters
    ----------
    data : DataFrame or float64[unit]
        A row per unit and period, of units that are not closed; or their sales before.
    after : (first, last) or float64[unit]
        Periods of `time` that are added up after the closures, both included; or sales after.
    exposure : column or float64[unit]
        Share of the unit's category that closed rivals held. Of a column the mean over `after` counts.
    before : (first, last)
        Periods that are added up before the closures. With a DataFrame only, as are `outcome`, `unit` and `time`.
    outcome, unit, time : column
        Sales, and whose they are, when. A unit without sales or exposure in one of the periods is dropped and counted.
    category : column or sequence, optional
        Cluster of each unit.
    covariates : list of columns, or mapping of str to float64[unit], optional
        Further exposures, one value per unit.
    expected : column or float64[unit], optional
        Exposure to expect of each unit, had closures been drawn anew: gives the recentred slope. The draws themselves
        are taken by :func:`analysis.estimators.exposure.exposure_effects`.
    bins : sequence of float
        Rising edges between bins of exposure.
    level : float
        Coverage of intervals.

    Returns
    -------
    Estimate
        Log points: a term per bin, ``"slope"`` per ten points of exposure, and ``"average"``, with the further columns
        and details of :func:`analysis.estimators.exposure.exposure_effects`.

    Raises
    ------
    DataError
        If a column is not there, a row comes twice, a period has no row, or a value is not what it must be.
    DesignError
        If fewer than two units can be used, or exposure does not vary.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from analysis import exposure_effects
    >>> firm, year = np.arange(80).repeat(2), np.tile([2020, 2021], 80)
    >>> data = pd.DataFrame({"firm": firm, "year": year, "category": firm % 20, "held": firm % 20 / 100})
    >>> data["sales"] = (10 + firm % 3) * np.exp(2 * data["held"] * (year == 2021))
    >>> found = exposure_effects(data, outcome="sales", unit="firm", time="year", exposure="held", category="category",
    ...                          before=(2020, 2020), after=(2021, 2021))
    >>> float(found["slope"].value[0].round(6))
    0.2
    """
    long = _long(data, outcome, unit, time)
    if not long:
        given, others, usual = (data, after, exposure), covariates, expected
    else:
        sales = long.values(outcome, "outcome")
        first, second = long.window(before, "before"), long.window(after, "after")
        if first.stop > second.start:
            raise DesignError(
                f"periods before and after were asked for; found before = {before} and after = {after}, which overlap "
                "or are the wrong way round; end `before` earlier"
            )
        held = long.values(exposure, "exposure")[:, second].mean(axis=1)
        given = (sales[:, first].sum(axis=1), sales[:, second].sum(axis=1), held)
        others = long.covariates(covariates)
        usual = None if expected is None else long.covariates([expected])[str(expected)]
        category = None if category is None else long.constant(category, "category")
    return by_exposure.exposure_effects(
        *given, bins=bins, category=category, covariates=others, expected=usual, level=level
    )


def synthetic_did(
    data: Given,
    treated: Given = None,
    first_post: Given = None,
    *,
    outcome: Hashable = None,
    unit: Hashable = None,
    time: Hashable = None,
    first_treated: Hashable = None,
    method: synthetic.Method = "sdid",
    level: float = 0.95,
) -> Estimate:
    """Estimate an effect on few units that are treated at once by a weighted mean of the others.

    Parameters
    ----------
    data : DataFrame or float64[unit, time]
        A row per unit and period, or outcomes; none may be missing.
    treated : column or bool[unit]
        1 in the rows of treated units from their first treated period on, else 0; in arrays who is treated.
    first_post : int
        Column of the first treated period. With arrays only.
    outcome, unit, time : column
        Of a DataFrame.
    first_treated : column
        In place of `treated`: the first treated period, missing for never; see :func:`att_gt`.
    method : {"sdid", "sc", "did"}
        Synthetic difference-in-differences, synthetic control, or equal weights.
    level : float
        Carried to the result.

    Returns
    -------
    Estimate
        A row with its rank among placebos, as :func:`analysis.estimators.synthetic.synthetic_did`. With a DataFrame
        ``details["unit_weights"]`` and ``details["time_weights"]`` are Series by unit and period.

    Raises
    ------
    DataError
        If a column is not there, a row comes twice or is missing, or a value is not what it must be.
    DesignError
        If units are first treated in different periods, nothing lies before, or fewer than two units are untreated.

    Examples
    --------
    >>> import pandas as pd
    >>> from analysis import synthetic_did
    >>> sales = {"A": [5, 6, 3], "B": [7, 8, 9], "C": [5, 6, 7], "D": [9, 9, 10]}
    >>> data = pd.DataFrame(sales, [2019, 2020, 2021]).melt(var_name="firm", value_name="sales", ignore_index=False)
    >>> data = data.rename_axis("year").reset_index()
    >>> data["closed"] = (data["firm"] == "A") & (data["year"] == 2021)
    >>> found = synthetic_did(data, outcome="sales", unit="firm", time="year", treated="closed", method="did")
    >>> found
    effect on the treated, units of sales ◐
    term  estimate  n  rank  p_two_sided  p_smallest
     did    -3.833  4     1         0.25        0.25
    units 4, treated 1, donors 3, periods 3
    3 donors: placebo ranks instead of an error; no p-value below 0.250
    """
    long = _long(data, outcome, unit, time)
    if not long:
        return synthetic.synthetic_did(data, treated, first_post, method=method, level=level)
    if first_post is not None or (treated is None) == (first_treated is None):
        raise DesignError(
            "a DataFrame and who is treated since when were asked for; found "
            f"treated = {treated!r}, first_treated = {first_treated!r}, first_post = {first_post!r}; give one of the "
            "first two, the name of a column"
        )
    y = long.values(outcome, "outcome", whole=True)
    first = long.switched_on(treated) if first_treated is None else long.dates(first_treated)
    starts, count = np.unique(first[np.isfinite(first)], return_counts=True)
    if len(starts) != 1:
        told = ", ".join(f"{long.periods[int(one)]} ({number})" for one, number in zip(starts, count, strict=True))
        raise DesignError(
            f"units that are all first treated in one period were asked for; found {told or 'no treated unit'}; choose "
            "one period, or use att_gt"
        )
    found = synthetic.synthetic_did(y, np.isfinite(first), int(starts[0]), method=method, level=level)
    named = {"unit_weights": long.units[np.isinf(first)], "time_weights": long.periods[: int(starts[0])]}
    weights = {name: pd.Series(found.details[name], index) for name, index in named.items()}
    return long.named(replace(found, details={**found.details, **weights}), outcome)


def honest_bounds(
    study: Any,
    covariance: Any = None,
    n_pre: Any = None,
    n_post: Any = None,
    *,
    target: Any = None,
    level: float | None = None,
) -> honest_did.Bounds:
    """Bound the effects of an event study when its parallel trends may be violated.

    Parameters
    ----------
    study : CohortEffects, Estimate or float64[n_pre + n_post]
        What :func:`att_gt` returned, or ``.aggregate("dynamic")`` of it, or another Estimate whose terms are periods
        since treatment without the reference; or coefficients.
    covariance, n_pre, n_post : float64[n_pre + n_post, n_pre + n_post], int and int
        Of coefficients.
    target : period, list of periods, or weights of the coefficients after the reference
        The effect of interest, such as 0 or "0": of several periods the mean; the first treated one where not given.
    level : float, optional
        Coverage; that of the Estimate, or 0.95.

    Returns
    -------
    Bounds
        With `rows`, ``.plot()``, ``.conf_int(sensitivity)`` and ``.breakdown``, the largest sensitivity at which the
        interval excludes zero; as :func:`analysis.estimators.honest_did.honest_bounds`.

    Raises
    ------
    DataError
        If estimates or covariance are not finite.
    DesignError
        If terms are no periods around a reference, fewer than two lie before it, or the covariance cannot carry it.

    Examples
    --------
    >>> import numpy as np
    >>> from analysis import att_gt, honest_bounds
    >>> rng = np.random.default_rng(1)
    >>> y, first = rng.normal(size=(100, 6)), np.where(np.arange(100) < 30, 3, np.inf)
    >>> y[:30, 3:] -= 3
    >>> bounds = honest_bounds(att_gt(y, first), target=["0", "1", "2"])
    >>> bounds
    honest bounds by M-bar, units of y ◐
    term  conf_low  conf_high
       0    -3.487     -2.461
     0.5    -3.863     -2.116
       1    -4.379     -1.517
     1.5    -4.982    -0.8807
       2    -5.627    -0.2339
    95% confidence interval
    bounds have no point; they exclude zero up to 2.18 as M-bar
    """
    if isinstance(study, CohortEffects):
        study = study.aggregate("dynamic")
    if not isinstance(study, Estimate):
        usual = 0.95 if level is None else level
        return honest_did.honest_bounds(study, covariance, n_pre, n_post, target=target, level=usual)
    time = pd.to_numeric(pd.Series(study.terms), errors="coerce").to_numpy()
    reference = np.flatnonzero(np.diff(time) == 2)
    if len(reference) != 1 or (np.delete(np.diff(time), reference) != 1).any():
        raise DesignError(
            "periods since treatment, each once but the reference, were asked for; found the terms "
            f'{cut(", ".join(study.terms), 60)}; give .aggregate("dynamic"), or all terms from one to another'
        )
    before = int(reference[0]) + 1
    after = len(time) - before
    if unknown := [term for term, error in zip(study.terms, study.std_error, strict=True) if np.isnan(error)]:
        raise DesignError(
            f"estimates with errors were asked for; found none for {cut(', '.join(unknown), 60)}; give periods that "
            'have one, such as .aggregate("dynamic")[["-3", "-2", "0", "1"]]'
        )
    wanted = [str(one) for one in np.atleast_1d("0" if target is None else target).tolist()]
    places = [study.terms.index(study[term].terms[0]) - before for term in wanted]
    if min(places) < 0:
        raise DesignError(
            f"an effect after the reference was asked for; found {', '.join(wanted)}, and the reference is period "
            f"{time[before] - 1:g}; choose later periods"
        )
    weights = np.bincount(places, minlength=after) / len(places)
    covered = study.level if level is None else level
    bounds = honest_did.honest_bounds(study.value, study.cov_small_sample, before, after, target=weights, level=covered)
    return replace(bounds, unit=study.unit, provenance=study.provenance)


def noninferiority(
    estimate: CohortEffects | Estimate | float,
    std_error: float | None = None,
    *,
    margin: float,
    level: float = 0.95,
    df: float | None = None,
) -> testing.TestResult:
    """Test one-sided that an effect is not worse than ``-margin``.

    Parameters
    ----------
    estimate : CohortEffects, Estimate of one term, or float
        What :func:`att_gt` returned counts by its average; an Estimate brings its error and degrees of freedom.
    std_error, df : float
        Of a number; without `df` the error is taken as known.
    margin : float
        Positive, in the unit of the estimate, and set in advance.
    level : float
        One minus the size of the test.

    Returns
    -------
    TestResult
        ``.passed`` when the lower limit lies above ``-margin``. A failure is inconclusive, never a proof of harm.

    Raises
    ------
    DesignError
        If there is no estimate or error, or the margin or level cannot be.

    Examples
    --------
    >>> from analysis import noninferiority
    >>> noninferiority(-0.4, 0.7, margin=2.0)
    passed, against the hypothesis that the effect is 2 or more below zero
     p_value    low  passed
     0.01114 -1.551    True
    """
    if isinstance(estimate, CohortEffects):
        estimate = estimate.aggregate()
    if not isinstance(estimate, Estimate):
        error = np.nan if std_error is None else std_error
        return testing.noninferiority(estimate, error, margin, level, df=np.inf if df is None else df)
    if len(estimate.terms) != 1 or std_error is not None or df is not None:
        raise DesignError(
            f"an Estimate of one term, which brings its error, was asked for; found {len(estimate.terms)} terms, "
            f"std_error = {std_error} and df = {df}; give one term, such as estimate[{estimate.terms[0]!r}], alone"
        )
    value, spread = float(estimate.value[0]), float(estimate.std_error[0])
    if np.isnan([value, spread]).any():
        raise DesignError(
            f"an Estimate with its error was asked for; {estimate.estimand} has none ({estimate.reason}); test another"
        )
    return testing.noninferiority(value, spread, margin, level, df=float(estimate.df[0]))


def _long(data: Any, outcome: Hashable, unit: Hashable, time: Hashable) -> Long | None:
    """Return a DataFrame as long data, and None for arrays, of which no column can be named."""
    if isinstance(data, pd.DataFrame):
        return Long.of(data, unit, time)
    named = {"outcome": outcome, "unit": unit, "time": time}
    if given := [f"{what} = {name!r}" for what, name in named.items() if name is not None]:
        raise DesignError(
            f"columns of a DataFrame were named; found {', '.join(given)} beside {type(data).__name__}; give the "
            "DataFrame, or arrays alone"
        )
    return None
