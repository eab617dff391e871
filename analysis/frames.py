"""Estimators for a DataFrame with one row per unit and period.

Columns are given by name. Periods are whole numbers, pandas Periods, or dates and text such as 2021-05, which are read
as months. The same estimators for arrays are in `analysis.estimators`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.display import WORD, Shown, cut
from analysis.errors import DataError, DesignError, check_choice
from analysis.estimate import Estimate, Floats, Ints
from analysis.estimators import att_gt as by_cohort
from analysis.estimators import exposure as by_exposure
from analysis.estimators import honest_did, synthetic
from analysis.estimators.cross_checks import Kind, doubly_robust
from analysis.estimators.units import Scale, usable_units

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__dir__ = ["CohortEffects", "att_gt", "exposure_effects", "honest_bounds", "synthetic_did"].copy

DATES = ("string", "date", "datetime", "datetime64")  # pandas' names of the types read as dates
NAMES = 20  # maximum number of column names in a message


@dataclass(frozen=True, eq=False, repr=False)
class CohortEffects(Shown):
    """Effects by cohort (first treated period) and period.

    Attributes
    ----------
    effects : Estimate
        One term such as ``"g=2021-05 t=2021-07"`` per cohort and period.
    average : callable
        The function behind :meth:`aggregate`.
    """

    effects: Estimate
    average: Callable[[Kind], Estimate]

    def aggregate(self, kind: Literal["simple", "dynamic"] = "simple") -> Estimate:
        """Average the effects over all treated cells ("simple") or by periods since treatment ("dynamic")."""
        check_choice("kind", kind, ("simple", "dynamic"))
        return self.average(kind)

    @property
    def rows(self) -> pd.DataFrame:
        """One row per cohort and period, with the columns of an Estimate."""
        return self.effects.rows

    def plot(self) -> Axes:
        """Plot the effects by periods since treatment, with their intervals."""
        return self.aggregate("dynamic").plot(xlabel="periods since treatment")

    def _shown(self) -> tuple[str, pd.DataFrame, list[str]]:
        try:
            head, rows, notes = self.aggregate()._shown()
        except DesignError:  # no treated cell has a comparison, so there is no average
            return self.effects._shown()
        more = 'effects by cohort and period: .rows; by periods since treatment: .aggregate("dynamic")'
        return head, rows, [*notes, f"{len(self.rows):,} {more}"]


def att_gt(
    data: pd.DataFrame,
    first_treated: Hashable,
    *,
    outcome: Hashable,
    unit: Hashable,
    time: Hashable,
    covariates: str | Sequence[Hashable] | None = None,
    weights: Hashable = None,
    cluster: Hashable = None,
    strata: Hashable = None,
    scale: Scale = "level",
    anticipation: int = 0,
    level: float = 0.95,
) -> CohortEffects:
    """Estimate effects by cohort and period, relative to units that are never treated.

    Parameters
    ----------
    data : DataFrame
        One row per unit and period.
    first_treated : column
        First treated period. NaN, NaT, infinity, an empty string, a 0 before the first period, or a period after the
        last one means never. Units without an untreated period are dropped and counted.
    outcome, unit, time : column
        A unit without an outcome in some period is dropped and counted.
    covariates : list of columns, optional
        Determined before treatment, one value per unit. They make estimates doubly robust, with the standard errors of
        :func:`analysis.estimators.cross_checks.doubly_robust`.
    weights, cluster, strata : column, optional
        Sampling weights, clusters for standard errors, and groups within which units are compared; one value per unit.
    scale : {"level", "ratio"}
        Mean effect in units of the outcome, or log of the observed over the counterfactual total, in log points.
    anticipation : int
        Periods before treatment in which an effect is allowed.
    level : float
        Coverage of intervals.

    Returns
    -------
    CohortEffects
        With `rows`, ``.aggregate()``, ``.aggregate("dynamic")`` and ``.plot()``. Standard errors without covariates are
        those of :func:`analysis.estimators.att_gt.att_gt`, by a cluster jackknife.

    Raises
    ------
    DataError
        If a column is missing, a row is repeated, a period has no row, or a value is invalid.
    DesignError
        If no unit is treated, or none can serve as a comparison.

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
    long = _Long.of(data, unit, time)
    y, first, x = long.values(outcome, "outcome"), long.dates(first_treated, anticipation), long.covariates(covariates)
    names = {"weights": weights, "cluster": cluster, "strata": strata}
    options: dict[str, Any] = {what: long.constant(name, what) for what, name in names.items() if name is not None}
    if x and options.pop("strata", None) is not None:
        raise DesignError(
            "Cannot estimate effects with covariates within strata: the doubly robust estimator does not support "
            "strata; pass them as covariates, with a 0/1 column for each stratum but one"
        )
    options |= {"scale": scale, "anticipation": anticipation, "level": level}
    groups = None if x else by_cohort.att_gt(y, first, **options)

    def average(kind: Kind) -> Estimate:
        if groups is None:
            estimate = doubly_robust(usable_units(y, first, np.column_stack([*x.values()]), **options), kind)
        else:
            estimate = groups.effects if kind == "group_time" else groups.aggregate(kind)
        estimate = replace(estimate, unit=estimate.unit.replace("units of y", f"units of {outcome}"))
        if kind != "group_time":
            return estimate
        cells = np.array([[int(name[2:]) for name in term.split()] for term in estimate.terms]).reshape(-1, 2)
        group, period = (long.periods[column] for column in cells.T)
        columns = {"group": group, "time": period, "event_time": cells[:, 1] - cells[:, 0]}
        terms = tuple(f"g={g} t={t}" for g, t in zip(group, period, strict=True))
        return replace(estimate, terms=terms, columns={**estimate.columns, **columns})

    return CohortEffects(average("group_time"), average)


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
    """Estimate how changes in the sales of units that stayed open vary with exposure to closed rivals.

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
        Log points: a term per bin, ``"slope"`` per ten points of exposure, and ``"average"``, with the columns
        and details of :func:`analysis.estimators.exposure.exposure_effects`, which also takes redrawn closures.

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
    >>> from analysis import exposure_effects
    >>> firm, year = np.arange(80).repeat(2), np.tile([2020, 2021], 80)
    >>> data = pd.DataFrame({"firm": firm, "year": year, "category": firm % 20, "held": firm % 20 / 100})
    >>> data["sales"] = (10 + firm % 3) * np.exp(2 * data["held"] * (year == 2021))
    >>> effects = exposure_effects(data, outcome="sales", unit="firm", time="year", exposure="held",
    ...                            category="category", before=(2020, 2020), after=(2021, 2021))
    >>> float(effects["slope"].value[0].round(6))
    0.2
    """
    long = _Long.of(data, unit, time)
    sales = long.values(outcome, "outcome")
    first, second = long.window(before, "before"), long.window(after, "after")
    if first.stop > second.start:
        raise DesignError(
            f"Cannot compare before = {before} with after = {after}: they overlap or are in the wrong order; end "
            "`before` earlier"
        )
    return by_exposure.exposure_effects(
        sales[:, first].sum(axis=1),
        sales[:, second].sum(axis=1),
        long.values(exposure, "exposure")[:, second].mean(axis=1),
        bins=bins,
        category=None if category is None else long.constant(category, "category"),
        covariates=long.covariates(covariates),
        level=level,
    )


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
    """Estimate the effect on a few units treated at the same time, relative to a weighted mean of the others.

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
        By default ranks for one treated unit or at most 5,000 assignments, otherwise the jackknife (``sc``: placebo).
    level : float
        Coverage of an interval.

    Returns
    -------
    Estimate
        One row, as from :func:`analysis.estimators.synthetic.synthetic_did`, but ``details["unit_weights"]`` and
        ``details["time_weights"]`` are Series by unit and period.

    Raises
    ------
    DataError
        If a column is missing, a row is repeated or missing, or a value is invalid.
    DesignError
        If units are first treated in different periods, none precedes treatment, or fewer than two units are untreated.

    Examples
    --------
    >>> import pandas as pd
    >>> from analysis import synthetic_did
    >>> sales = {"A": [5, 6, 3], "B": [7, 8, 9], "C": [5, 6, 7], "D": [9, 9, 10]}
    >>> data = pd.DataFrame(sales, [2019, 2020, 2021]).melt(var_name="firm", value_name="sales", ignore_index=False)
    >>> data = data.rename_axis("year").reset_index()
    >>> data["closed"] = (data["firm"] == "A") & (data["year"] == 2021)
    >>> synthetic_did(data, outcome="sales", unit="firm", time="year", treated="closed", method="did")
    effect on the treated, units of sales ◐
    term  estimate  n  rank  p_two_sided  p_smallest
     did    -3.833  4     1         0.25        0.25
    units 4, treated 1, donors 3, periods 3
    3 donors: placebo ranks instead of a standard error; no p-value below 0.250
    """
    long = _Long.of(data, unit, time)
    y = long.values(outcome, "outcome", complete=True)
    first = long.switched_on(treated)
    starts, count = np.unique(first[np.isfinite(first)], return_counts=True)
    if len(starts) != 1:
        dates = ", ".join(f"{long.periods[int(start)]} ({n})" for start, n in zip(starts, count, strict=True))
        raise DesignError(
            f"Cannot estimate a single effect: treatment must start in the same period for all treated units, but "
            f"starts in {dates or 'no period'}; choose one period, or use att_gt"
        )
    options: dict[str, Any] = {"method": method, "inference": inference, "level": level}
    estimate = synthetic.synthetic_did(y, np.isfinite(first), int(starts[0]), **options)
    labels = {"unit_weights": long.units[np.isinf(first)], "time_weights": long.periods[: int(starts[0])]}
    weights = {name: pd.Series(estimate.details[name], index) for name, index in labels.items()}
    return replace(estimate, unit=f"units of {outcome}", details={**estimate.details, **weights})


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
        The result of :func:`att_gt`, or an Estimate whose terms are periods since treatment except the reference, such
        as its ``.aggregate("dynamic")``.
    target : period or list of periods
        The effect of interest, such as 0 or "0"; for several, their mean. If `every` is above 1, longer periods, of
        which 0 begins after the reference.
    restriction : {"relative", "smooth"}
        The violation changes after treatment by at most M-bar times its largest change before, or its slope changes by
        at most M from one period to the next, in units of the estimates.
    every : int
        Number of periods to average into one first, such as 3 for quarters: bounds by relative magnitudes on months say
        nothing.
    level : float, optional
        Coverage; by default that of the Estimate.

    Returns
    -------
    Bounds
        With `rows`, ``.plot()``, ``.conf_int(sensitivity)`` for values of M-bar or M, and ``.breakdown``, the largest
        at which the interval excludes zero; as from :func:`analysis.estimators.honest_did.honest_bounds`.

    Raises
    ------
    DataError
        If estimates or covariance are not finite.
    DesignError
        If terms are not periods around a reference, fewer than two lie before it, or the covariance has no variance
        needed by the method.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from analysis import att_gt, honest_bounds
    >>> firm, month = np.indices((100, 6)).reshape(2, -1)
    >>> data = pd.DataFrame({"firm": firm, "month": month, "closed": np.where(firm < 30, 3, np.inf)})
    >>> data["sales"] = np.random.default_rng(1).normal(size=600) - 3 * (month >= data["closed"])
    >>> effects = att_gt(data, outcome="sales", unit="firm", time="month", first_treated="closed")
    >>> bounds = honest_bounds(effects, target=["0", "1", "2"])
    >>> bounds.conf_int([0, 1, 2]).round(2).tolist(), round(bounds.breakdown, 2)
    ([[-3.49, -2.46], [-4.38, -1.52], [-5.63, -0.23]], 2.18)
    >>> honest_bounds(effects, target=["0", "1", "2"], restriction="smooth").conf_int([0, 0.1]).round(2).tolist()
    [[-3.91, -1.85], [-4.22, -1.61]]
    """
    if isinstance(study, CohortEffects):
        study = study.aggregate("dynamic")
    time = pd.to_numeric(pd.Series(study.terms), errors="coerce").to_numpy()
    reference = np.flatnonzero(np.diff(time) == 2)
    if len(reference) != 1 or (np.delete(np.diff(time), reference) != 1).any():
        raise DesignError(
            f"Cannot bound the effects of the terms {cut(', '.join(study.terms), 60)}: they must be "
            'consecutive periods around treatment, except for the reference; pass .aggregate("dynamic")'
        )
    before = int(reference[0]) + 1
    after = len(time) - before
    terms = [str(period) for period in np.atleast_1d(target).tolist()]
    known = study.terms[before:] if every == 1 else [str(period) for period in range(after // max(every, 1))]
    if unknown := [term for term in terms if term not in known]:
        raise DesignError(
            f"Cannot bound the effect in periods {', '.join(unknown)}: the reference is period {time[before] - 1:g}; "
            f"choose from {', '.join(known) or 'more periods'}"
        )
    positions = [known.index(term) for term in terms]
    bounds = honest_did.honest_bounds(
        study.value,
        study.cov_small_sample,
        before,
        after,
        target=np.bincount(positions, minlength=len(known)) / len(positions),
        restriction=restriction,
        every=every,
        level=study.level if level is None else level,
    )
    return replace(bounds, unit=study.unit, provenance=study.provenance)


@dataclass(frozen=True, eq=False)
class _Long:
    """DataFrame with one row per unit and period.

    `code` and `position`, int64[row], index each row's unit and period in `units` and `periods`, which have no gaps.
    `start` is the first period's ordinal; `frequency` is pandas' name, or "" for whole numbers.
    """

    data: pd.DataFrame
    unit: Hashable
    time: Hashable
    code: Ints
    position: Ints
    units: pd.Index
    periods: pd.Index
    start: int
    frequency: str

    @classmethod
    def of(cls, data: pd.DataFrame, unit: Hashable, time: Hashable) -> _Long:
        """Read the units and periods of a frame; raise DataError for missing or repeated keys, or for gaps."""
        if not isinstance(data, pd.DataFrame):
            raise DesignError(
                f"Cannot read data of type {type(data).__name__}: pass a DataFrame, or arrays to analysis.estimators"
            )
        ids, when = _column(data, unit, "unit"), _column(data, time, "time")
        _refuse(ids.isna(), ids, "a unit in each row", "fill it in, or drop the row")
        ordinal, frequency = _ordinals(when)
        _refuse(~np.isfinite(ordinal), when, "a period in each row", "fill it in, or drop the row")
        if not len(data):
            raise DataError(f"Cannot use an empty frame: it needs one row per {unit} and {time}; check any filter")
        code, units = pd.factorize(ids)
        start = int(ordinal.min())
        position = (ordinal - start).astype(np.int64)
        present = np.unique(position)
        if (gaps := np.diff(present) > 1).any():
            after, missing = _labels(start + present[:-1][gaps][0] + np.arange(2), frequency)
            raise DataError(
                f"Cannot read periods with gaps: column {time!r} has {after} and later periods, but not {missing}; "
                "add rows for it, write months as 2021-05, or number the periods in order"
            )
        again = pd.Series(code * len(present) + position).duplicated(keep=False)
        do = "aggregate them first (dates are read as months: pass Periods for days or weeks)"
        _refuse(again, when, f"one row for each {unit} in a period", do)
        periods = _labels(start + np.arange(len(present)), frequency)
        return cls(data, unit, time, code, position, units, periods, start, frequency)

    def values(self, name: Hashable, what: str, *, complete: bool = False) -> Floats:
        """Return a column of numbers as float64[unit, time], NaN if missing.

        With `complete`, missing numbers raise DataError instead.
        """
        values = np.full((len(self.units), len(self.periods)), np.nan)
        values[self.code, self.position] = _numbers(_column(self.data, name, what))
        if complete and (missing := np.isnan(values)).any():
            unit, period = np.argwhere(missing)[0]
            raise DataError(
                f"Cannot use column {name!r}: it needs a number for every {self.unit} in every {self.time}, but "
                f"{missing.sum():,} of {missing.size:,} values are missing, first for "
                f"{_quoted(self.units[unit])} in {self.periods[period]}; drop such units"
            )
        return values

    def constant(self, name: Hashable, what: str) -> npt.NDArray[Any]:
        """Return a column's value for each unit, array[unit]; raise DataError if it is missing or varies within a unit.

        Weights must also be numbers.
        """
        column = self._first(name, what)
        _refuse(column.isna(), column, f"a value for each {self.unit}", "fill it in, or drop the unit")
        return _numbers(column) if what == "weights" else column.to_numpy()

    def covariates(self, names: str | Sequence[Hashable] | None) -> dict[str, Floats]:
        """Return each unit's values of the given covariates, float64[unit] by name; NaN if missing."""
        several = [names] if isinstance(names, str) else [] if names is None else names
        return {str(name): _numbers(self._first(name, "covariates")) for name in several}

    def _first(self, name: Hashable, what: str) -> pd.Series:
        """Return a column's value in each unit's first row; raise DataError if a unit's rows differ."""
        column = _column(self.data, name, what)
        codes, first = pd.factorize(column)[0], np.unique(self.code, return_index=True)[1]
        differ = codes != codes[first][self.code]
        _refuse(differ, column, f"one value in all rows of each {self.unit}", "repeat the value of the first row")
        return column.iloc[first]

    def dates(self, name: Hashable, anticipation: int = 0) -> Floats:
        """Return each unit's first treated period, float64[unit], counted from the first period; inf if never treated.

        Units whose date is empty or after the last period are never treated. With anticipation, the date must be more
        than `anticipation` periods after the last.
        """
        column = self._first(name, "first_treated")
        column = column.mask([isinstance(date, str) and not date.strip() for date in column])
        ordinal, frequency = _ordinals(column)
        dated = np.isfinite(ordinal)
        if not frequency and self.start > 0:
            dated &= ordinal != 0
        if dated.any() and frequency != self.frequency:
            kinds = " and ".join(kind or "whole numbers" for kind in (self.frequency, frequency))
            raise DataError(
                f"Cannot compare columns {self.time!r} and {name!r}: their periods have the types {kinds}; "
                f"convert {name!r}"
            )
        position = np.where(dated, ordinal - self.start, np.inf)
        width = len(self.periods)
        if (soon := dated & (position >= width) & (position < width + anticipation)).any():
            raise DesignError(
                f"Cannot allow for {anticipation} periods of anticipation: {soon.sum():,} units, such as "
                f"{_quoted(self.units[soon][0])}, are treated too soon after the last period, {self.periods[-1]}, to "
                "count as treated or as never treated; drop them"
            )
        return np.where(position < width, position, np.inf)

    def switched_on(self, name: Hashable) -> Floats:
        """Return each unit's first period with a 1, float64[unit], or inf if none; raise DataError if a 0 follows."""
        column = _column(self.data, name, "treated")
        _refuse(~np.isin(_numbers(column), (0, 1)), column, "0 or 1 in each row", "correct it")
        on = self.values(name, "treated", complete=True)
        ends = np.diff(on)[self.code, np.maximum(self.position - 1, 0)] * (self.position > 0) < 0
        _refuse(ends, column, "1 from the first treated period onwards", "drop units whose treatment ends")
        return np.where(on.any(axis=1), on.argmax(axis=1), np.inf)

    def window(self, ends: Any, what: str) -> slice:
        """Return the slice of periods between two ends, both included."""
        pair = list(ends) if isinstance(ends, Sequence) and not isinstance(ends, str) else []
        if len(pair) == 2:
            ordinal, frequency = _ordinals(pd.Series(pair, name=what))
            first, last = ordinal - self.start
            if frequency == self.frequency and 0 <= first <= last < len(self.periods):
                return slice(int(first), int(last) + 1)
        raise DesignError(
            f"Cannot use {what} = {ends!r}: column {self.time!r} runs from {self.periods[0]} to {self.periods[-1]}; "
            "pass a first and a last period within this range"
        )


def _column(data: pd.DataFrame, name: Any, what: str) -> pd.Series:
    """Return the column with the given name; raise DataError if it is missing or repeated."""
    names = list(data.columns)
    count = names.count(name) if isinstance(name, Hashable) else 0
    if count == 1:
        return data[name]
    close = get_close_matches(name, map(str, names)) if isinstance(name, str) and not count else []
    near = [column for column in names if str(column) in close]
    listed = ", ".join(map(_quoted, near or names[:NAMES]))
    raise DataError(
        f"Cannot read {what} = {_quoted(name)}: the frame has {count or 'no'} columns with that name; "
        f"{'did you mean' if near else 'it has'} {listed}{'?' if near else ''}"
    )


def _refuse(wrong: Any, column: pd.Series, needs: str, do: str) -> None:
    """Raise DataError if any row is invalid; the message identifies the first one.

    The row is identified by its label, or by its position if labels repeat.
    """
    rows = np.flatnonzero(wrong)
    if len(rows):
        row = _quoted(column.index[rows[0]]) if column.index.is_unique else f"at position {rows[0]}"
        value, more = _quoted(column.iloc[rows[0]]), f", and {len(rows) - 1:,} more are wrong" if len(rows) > 1 else ""
        raise DataError(f"Cannot use column {column.name!r}: it needs {needs}, but row {row} has {value}{more}; {do}")


def _quoted(value: Any) -> str:
    """Format a value or label, quoting text."""
    return cut(repr(value) if isinstance(value, str) else str(value), WORD)


def _numbers(column: pd.Series, *, infinite: bool = False) -> Floats:
    """Return a column as numbers, NaN if missing; raise DataError for text and, unless allowed, for infinite values."""
    if not pd.api.types.is_numeric_dtype(column):
        other = ~column.map(lambda value: isinstance(value, Real) or bool(pd.isna(value))).to_numpy(bool)
        _refuse(other, column, "a number in each row", "convert the column to numbers, or set the cell to NaN")
    values: Floats = column.to_numpy(float, na_value=np.nan)
    if not infinite:
        _refuse(np.isinf(values), column, "a finite number in each row", "correct it, or set it to NaN")
    return values


def _ordinals(column: pd.Series) -> tuple[Floats, str]:
    """Convert periods to ordinals; also return their frequency, or "" for whole numbers.

    Ordinals are NaN for missing periods.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind in DATES:
        dates = pd.to_datetime(column, format="ISO8601", errors="coerce")
        odd = dates.isna() & column.notna()
        _refuse(odd, column, "a month such as 2021-05 in each row", "write it that way, or leave it empty")
        column = dates.dt.tz_localize(None).dt.to_period("M")
    elif kind != "period":
        values = _numbers(column, infinite=True)
        broken = np.isfinite(values) & (np.floor(values) != values)
        _refuse(broken, column, "a whole number in each row", "number the periods")
        return values, ""
    periods = pd.PeriodIndex(column)
    return np.where(periods.isna(), np.nan, periods.asi8), str(periods.freqstr)


def _labels(ordinals: Any, frequency: str) -> pd.Index:
    """Convert ordinals to periods."""
    return pd.PeriodIndex.from_ordinals(ordinals, freq=frequency) if frequency else pd.Index(ordinals)
