"""Estimates that carry what moves them, so that any smooth function of an estimate is an estimate again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from analysis.display import Shown, intervals
from analysis.errors import DataError, DesignError
from analysis.numbers import MARKS, NOT_ESTIMABLE, quantity, span

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Labels = Sequence[Any] | npt.NDArray[Any]

NO_TERM = ("",)  # of a refusal: whatever is asked of it is refused for the same reason
STEP = 1e-30  # of a complex derivative: no difference is taken, so the smaller the better
DRAWS = 10_000  # of the largest t statistic
NOTHING_LEFT = 1e-9  # share of a total that is left without a cluster, below which it is rounding
NO_SPREAD = "nothing behind it varies: its error would be zero, which says nothing of chance"


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Estimate(Shown):
    """Named values of one estimand with their joint uncertainty.

    Attributes
    ----------
    estimand, unit : str
        Id or name, such as ``"E1a"``, and the unit of values and limits, such as ``"log points"``.
    terms : tuple of str
    value : float64[term]
        NaN where there is no point: a set, or no estimate.
    scores : float64[cluster, term], optional
        Influence of each cluster on each term, so that ``covariance = by_cluster.T @ scores``.
    covariance : float64[term, term], optional
        Made of the former where not given; NaN for terms without error, and where nothing is given.
    limits : float64[2, term], optional
        Ends of the intervals, where they are not ``value ± t(df) std_error``.
    n : int or sequence of int
        Observations or units behind each term; of an effect on the treated, treated units.
    level : float
        Coverage of intervals.
    max_df : float or float64[term]
        Most degrees of freedom that Student's t may have (infinite: normal); see `df`.
    interval : str
        Kind of the interval.
    reason : str
        Why a value, error or limit is missing; never empty where one is.
    columns : mapping of str to sequence
        Further columns of `rows`.
    counts : mapping of str to int
        Sizes that a reader needs: firms, treated, comparison, clusters.
    details : mapping of str to object
        What the estimator found on the way.
    clusters : array[cluster], optional
        Labels of the rows of `scores`.
    design, digest, months : Design, str and str
        What was asked of which panel, so that the estimate can be made again; and the months of the window, in words.
    provenance : {"estimate", "simulated"}
        What the numbers are made of, for the sign behind them.
    """

    estimand: str
    unit: str
    terms: tuple[str, ...]
    value: Floats
    scores: Any = None
    covariance: Any = None
    limits: Floats | None = None
    n: Any = 0
    level: float = 0.95
    max_df: float | Floats = np.inf
    interval: str = "confidence interval"
    reason: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    clusters: npt.NDArray[Any] | None = None
    design: Any = None
    digest: str = ""
    months: str = ""
    provenance: str = "estimate"

    def __post_init__(self) -> None:
        """Form the covariance; refuse what is missing without a reason."""
        moved = self.scores
        if self.covariance is None:
            unknown = np.full((len(self.terms),) * 2, np.nan)
            object.__setattr__(self, "covariance", unknown if moved is None else moved.T @ moved)
        if not self.reason and np.isnan([self.std_error, *self.conf_int]).any():
            raise DesignError(
                f"an Estimate of {self.estimand} was asked for; an error or interval is missing and no reason "
                "is given; say in `reason` why it cannot be had"
            )

    @property
    def refused(self) -> bool:
        """Whether there is nothing but a reason: neither a value nor a limit."""
        return bool(np.isnan(self.value).all() and np.isnan(self.conf_int).all())

    @property
    def std_error(self) -> Floats:
        """Standard errors, float64[term]; NaN where there are none."""
        variance = np.clip(np.diag(self.covariance), 0, None)  # rounding may leave nothing just below zero
        return np.asarray(np.sqrt(variance))

    @cached_property
    def stated(self) -> Estimate:
        """What may be said of it: a term whose error is zero but for rounding has the reason in place of a number."""
        nothing = self.std_error <= NOTHING_LEFT * np.fmax(1.0, np.abs(self.value))
        if not nothing.any():
            return self
        reasons = [self.reason] if np.isnan([self.value, self.std_error, *self.conf_int]).any() else []
        reasons += [NO_SPREAD] if np.isfinite(self.value[nothing]).any() else []
        return self.without(nothing, "; ".join(reasons))

    def without(self, terms: Bools, reason: str) -> Estimate:
        """Take value, error and interval off some terms, bool[term], for the reason that is given from now on."""
        return replace(
            self,
            value=np.where(terms, np.nan, self.value),
            covariance=np.where(np.logical_or.outer(terms, terms), np.nan, self.covariance),
            limits=np.where(terms, np.nan, self.conf_int),
            reason=reason,
        )

    @cached_property
    def df(self) -> Floats:
        """Degrees of freedom, float64[term]: `max_df`, or the :func:`effective` ones if these are fewer."""
        most: Floats = np.broadcast_to(np.asarray(self.max_df, dtype=float), len(self.terms))
        if self.scores is None:
            return most
        square = self.scores**2
        return np.fmin(most, effective(square.sum(axis=0), (square**2).sum(axis=0)))

    @property
    def cov_small_sample(self) -> Floats:
        """Covariance for methods that take errors as known: wider by what Student's t is wider than the normal."""
        sided = (1 + self.level) / 2
        return np.asarray((stats.t.ppf(sided, self.joint_df) / stats.norm.ppf(sided)) ** 2 * self.covariance)

    @property
    def conf_int(self) -> Floats:
        """Ends of the intervals, float64[2, term]."""
        if self.limits is not None:
            return self.limits
        half = np.asarray(stats.t.ppf((1 + self.level) / 2, self.df)) * self.std_error
        return np.array([self.value - half, self.value + half])

    @cached_property
    def rows(self) -> pd.DataFrame:
        """One row per term: `term`, `estimate`, `std_error`, `conf_low`, `conf_high`, `n`, and further columns."""
        low, high = self.conf_int
        parts = {"term": list(self.terms), "estimate": self.value, "std_error": self.std_error}
        return pd.DataFrame({**parts, "conf_low": low, "conf_high": high, "n": self.n, **self.columns})

    def plot(self, *, xlabel: str = "") -> Axes:
        """Draw the terms with their intervals: along the x axis if they are numbers, such as periods; else as a list.

        What is refused is a figure with the reason. A figure of what was simulated says so.
        """
        title = f"{self.estimand}{' (simulated)' if self.provenance == 'simulated' else ''}"
        return intervals(self.rows, title=title, unit=self.unit, xlabel=xlabel, reason=self.reason)

    def _shown(self) -> tuple[str, pd.DataFrame, list[str]]:
        if self.terms == NO_TERM:
            return NOT_ESTIMABLE, self.rows.iloc[:0], [self.reason]
        counted = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in self.counts.items() if count)
        covered = "" if np.isnan(self.conf_int).all() else f"{self.level:.0%} {self.interval}"
        head = f"{self.estimand}, {self.unit} {MARKS[self.provenance]}"
        return head, self.rows, [note for note in (covered, counted, self.reason) if note]

    def row(self, term: str) -> pd.Series:
        """Return the row of one term."""
        return self.rows.iloc[self._place(term)]

    def bounds(self, term: str) -> tuple[float, float] | None:
        """Return the interval of one term, or None where there is none, or none that may be :attr:`stated`."""
        low, high = self.stated.conf_int[:, self._place(term)]
        return None if np.isnan(low) or np.isnan(high) else (float(low), float(high))

    def __getitem__(self, terms: str | Sequence[str]) -> Estimate:
        """Return some of the terms, in the order asked for; of what is refused as a whole, the refusal."""
        if self.terms == NO_TERM:
            return self
        places = [self._place(term) for term in ([terms] if isinstance(terms, str) else terms)]
        kept = np.array(places, dtype=np.int64)

        def of_kept(values: Any) -> Any:
            return values if np.isscalar(values) else np.asarray(values)[kept]

        return replace(
            self,
            terms=tuple(self.terms[place] for place in places),
            value=self.value[kept],
            scores=None if self.scores is None else self.scores[:, kept],
            covariance=self.covariance[np.ix_(kept, kept)],
            limits=None if self.limits is None else self.limits[:, kept],
            n=of_kept(self.n),
            max_df=of_kept(self.max_df),
            columns={name: of_kept(values) for name, values in self.columns.items()},
        )

    def _place(self, term: str) -> int:
        if self.terms.count(term) != 1:
            raise DesignError(f"term {term!r} was asked for; there are {list(self.terms)}; name one of these")
        return self.terms.index(term)

    def delta_method(
        self, function: Callable[[Any], Mapping[str, Any]], *, estimand: str, unit: str, **changes: Any
    ) -> Estimate:
        """Return a function of the values as an Estimate, with errors by the delta method and limits by these errors.

        Parameters
        ----------
        function : callable
            From the values, an array [term], to values by term. Its derivatives are those of a complex step, exact to
            rounding for sums, products, ratios, powers, logs and exponentials; it must not take absolute values,
            compare, or conjugate.
        estimand, unit : str
        **changes
            Other fields. `n` is kept if it is one number for all terms; of several `max_df`, that of the term behind
            most of the variance.
        """
        result = function(self.value)
        steps = self.value + STEP * 1j * np.eye(len(self.value))
        slope = np.array([[np.imag(out) / STEP for out in function(at).values()] for at in steps])
        most = np.argmax(slope**2 * np.diag(self.covariance)[:, np.newaxis], axis=0)
        return replace(
            self,
            **{
                "estimand": estimand,
                "unit": unit,
                "terms": tuple(result),
                "value": np.array([float(np.real(value)) for value in result.values()]),
                "scores": None if self.scores is None else self.scores @ slope,
                "covariance": slope.T @ self.covariance @ slope,
                "limits": None,
                "n": self.n if np.isscalar(self.n) else 0,
                "max_df": self.max_df if np.isscalar(self.max_df) else np.asarray(self.max_df)[most],
                "columns": {},
                **changes,
            },
        )

    def jackknife(
        self, function: Callable[[Any], Mapping[str, Any]], *, estimand: str, unit: str, **changes: Any
    ) -> Estimate:
        """Return a function of sums as an Estimate, with the errors of making it again without each cluster (CV3).

        The scores are what each cluster adds to the sums. The function does not change if all sums are scaled,
        so that fewer clusters leave it as it is; it gets the sums as [term], and then as [term, cluster].
        """
        if self.scores is None:
            raise DesignError(
                f"cannot leave out the clusters of {self.estimand} one by one: its estimator has no scores; use its "
                "standard errors"
            )
        sums, result = self.scores, function(self.value)
        with np.errstate(divide="ignore", invalid="ignore"):  # nothing may be left
            without = function(self.value[:, np.newaxis] - sums.T)
        moved = np.column_stack([np.broadcast_to(result[term] - without[term], len(sums)) for term in result])
        alone = [term for term, lost in zip(result, ~np.isfinite(moved).all(axis=0), strict=True) if lost]
        moved = np.where(np.isfinite(moved).all(axis=0), moved, np.nan)
        given = {
            "terms": tuple(result),
            "value": np.array([float(value) for value in result.values()]),
            "scores": np.sqrt(1 - 1 / np.count_nonzero(sums.any(axis=1))) * moved,
            "n": self.n if np.isscalar(self.n) else 0,
            "reason": self.reason or (f"{', '.join(alone)}: rests on one cluster alone" if alone else ""),
        }
        return replace(self, estimand=estimand, unit=unit, covariance=None, **(given | changes))

    def exp(self) -> Estimate:
        """Turn log points into per cent, ``100 (exp(x) - 1)``: values and limits; errors by the delta method."""
        with np.errstate(over="ignore", invalid="ignore"):  # what no exponential holds is infinite
            slope = 100 * np.exp(self.value)
            return replace(
                self,
                unit="per cent",
                value=100 * np.expm1(self.value),
                scores=None if self.scores is None else self.scores * slope,
                covariance=self.covariance * np.outer(slope, slope),
                limits=100 * np.expm1(self.conf_int),
            )

    @property
    def joint_df(self) -> float:
        """Degrees of freedom of all terms together: the geometric mean, for each alone is seen with noise.

        A band by them may be narrower than the interval of a term that rests on much fewer clusters than the others.
        """
        return float(np.exp(np.nanmean(np.log(self.df))))

    def sup_t_band(self) -> Floats:
        """Return the ends of a band that covers all terms at once, float64[2, term]: sup-t, with joint_df."""
        half = critical_value(self.covariance, self.level, df=self.joint_df) * self.std_error
        return np.array([self.value - half, self.value + half])

    def with_set(self, name: str, ends: tuple[float, float], reason: str) -> Estimate:
        """Add a term that is a set: no point, no error, but ends."""
        size = len(self.terms)
        covariance = np.full((size + 1, size + 1), np.nan)
        covariance[:size, :size] = self.covariance
        return replace(
            self,
            terms=(*self.terms, name),
            value=np.append(self.value, np.nan),
            scores=None if (moved := self.scores) is None else np.insert(moved, size, np.nan, axis=1),
            covariance=covariance,
            limits=np.column_stack([self.conf_int, ends]),
            n=self.n if np.isscalar(self.n) else [*self.n, self.n[-1]],
            max_df=np.append(self.max_df, np.nan) if np.ndim(self.max_df) else self.max_df,
            columns={name: [*values, np.nan] for name, values in self.columns.items()},
            reason=reason,
        )

    def __format__(self, spec: str) -> str:
        """Write a term: its value; "unit": with its unit, "interval": its ends, "both", "all": both.

        Where there is none a few words say so, for a sentence; "all" gives the reason.
        """
        if len(self.terms) != 1 or spec not in ("", "unit", "interval", "both", "all"):
            raise DesignError(
                f"{self.estimand} was to be written as {spec!r}; it has the terms {list(self.terms)}, and the formats "
                "are unit, interval, both and all; name one of each"
            )
        if self.stated is not self:
            return format(self.stated, spec)
        low, high = self.conf_int[:, 0]
        point = "" if np.isnan(self.value[0]) else quantity(float(self.value[0]), self.unit)
        within = "" if np.isnan([low, high]).any() else span(float(low), float(high), self.unit)
        why = f" ({self.reason})" if spec == "all" and not within else ""
        if not point and not within:
            return NOT_ESTIMABLE + why
        written = within if not point or (within and spec == "interval") else point
        if spec in ("both", "all") and point and within:
            written = f"{point} [{within}]"
        unit = f" {self.unit}" if spec in ("unit", "all") else ""
        lacking = " (no interval)" if spec in ("interval", "both") and not within else ""
        return f"{written}{unit} {MARKS[self.provenance]}{lacking or why}"


def effective(square: Floats, fourth: Floats) -> Floats:
    """Return the degrees of freedom that changes by cluster leave to their error, float64[term]; at least 1.

    With changes d of G clusters, normal and of unequal variances v, Satterthwaite's are ``(sum v)^2 / sum v^2``, less
    the one for the mean. What is seen of it is ``3 (sum d^2)^2 / sum d^4 - 2``, since a normal's fourth moment is three
    squared variances: about G + 2 for equal clusters, 1 where one of them decides. So both a few large firms among
    many and a few extreme changes among firms alike leave few. NaN without any change.

    Parameters
    ----------
    square, fourth : float64[term]
        Sums over clusters of squared changes, and of their squares.

    References
    ----------
    Satterthwaite, F. E. (1946), An approximate distribution of estimates of variance components, Biometrics Bulletin 2,
    110-114. Lipsitz, S. R., Ibrahim, J. G. and Parzen, M. (1999), A degrees-of-freedom approximation for a t-statistic
    with heterogeneous variance, The Statistician 48, 495-506, for the moments seen in place of known variances.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return np.asarray(np.maximum(3 * square**2 / fourth - 3, 1.0))


def refusal(reason: str) -> Estimate:
    """Return an Estimate that holds nothing but the reason why there is none."""
    return Estimate(estimand="", unit="", terms=NO_TERM, value=np.full(1, np.nan), n=np.nan, reason=reason)


def slopes(function: Callable[..., Any], *arguments: Floats) -> list[Floats]:
    """Return the derivative of a function by each argument, element by element, by a complex step."""
    moved = [
        function(*(argument + STEP * 1j * (place == moving) for place, argument in enumerate(arguments)))
        for moving in range(len(arguments))
    ]
    return [np.imag(value) / STEP for value in moved]


def critical_value(covariance: Floats, level: float, *, df: float = np.inf) -> float:
    """Return how many standard errors a band must be wide to cover all terms at once.

    The quantile of the largest absolute t statistic under a normal with this covariance. That is what a multiplier
    bootstrap with Gaussian weights on the influence values draws from. With finite `df` it is that of the multivariate
    t, for errors that rest on few clusters. A term without error is never missed, and no part of it.
    """
    unsure = np.flatnonzero(np.diag(covariance) > 0)
    if len(unsure) < 2:
        return float(stats.t.ppf((1 + level) / 2, df))
    return float(np.quantile(np.abs(draws_of_t(covariance[np.ix_(unsure, unsure)], df)).max(axis=1), level))


def draws_of_t(covariance: Floats, df: float) -> Floats:
    """Draw the t statistics of estimates with this covariance where there is no effect, float64[draw, term]."""
    rng = np.random.default_rng(0)
    drawn = rng.standard_normal((DRAWS, len(covariance))) @ root(covariance)
    return drawn / np.sqrt(rng.chisquare(df, (DRAWS, 1)) / df) if np.isfinite(df) else drawn


def root(covariance: Floats) -> Floats:
    """Return what turns independent standard normals, as rows, into ones with this correlation.

    It is the symmetric root: sign and order of eigenvectors, which hang on the processor, make no difference to it.
    """
    error = np.sqrt(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance / np.outer(error, error))
    values[values < 1e-12 * values[-1]] = 0  # rounding, whose square root would show
    return np.asarray((vectors * np.sqrt(values)) @ vectors.T)


def refuse_other_order(**given: Any) -> None:
    """Refuse Series and frames whose rows are in another order, by their names: arrays are matched by position.

    Beside an array, that is rows numbered from 0 which are not in order.
    """
    indexes = {name: one.index for name, one in given.items() if isinstance(one, pd.Series | pd.DataFrame)}
    arrays = [name for name, one in given.items() if one is not None and name not in indexes]
    for name, index in indexes.items():
        other, wanted = next(iter(indexes.items()))
        if arrays and {*index} == {*range(len(index))}:
            other, wanted = arrays[0], pd.RangeIndex(len(index))
        if not index.equals(wanted):
            raise DataError(
                f"{other} and {name} of the same units in one order were asked for; found another index of {name}; "
                f"rows are matched by position: use {name}.reindex, or {name}.to_numpy() if its order is right"
            )


def sum_by(values: Floats, code: Ints, count: int) -> Floats:
    """Add up rows by code: float64[code, column]."""
    return np.column_stack([np.bincount(code, weights=column, minlength=count) for column in values.T])


def rows_by(code: Ints) -> list[Ints]:
    """Return the rows of each code, in order of the codes, that of rows kept."""
    code = code.astype(np.min_scalar_type(code.max(initial=0)))  # few codes are sorted by their bits
    order = np.argsort(code, kind="stable")
    return np.split(order, np.flatnonzero(code[order][1:] != code[order][:-1]) + 1)


def alike(code: Ints) -> Ints:
    """Return how many have the code of each: int64[row]."""
    _, of, number = np.unique(code, return_inverse=True, return_counts=True)
    return np.asarray(number[of])


def stack_estimates(parts: Mapping[str, Estimate], *, estimand: str, **fields: Any) -> Estimate:
    """Set estimates of one term each beside each other, by name; how they move together is not known.

    The unit is that of the first, or stands in a column of its own where they differ.
    """
    made = list(parts.values())
    units = [one.unit for one in made]
    apart = {"unit": units} if len(set(units)) > 1 else {}
    covariance = np.full((len(made), len(made)), np.nan)
    np.fill_diagonal(covariance, np.concatenate([one.std_error for one in made]) ** 2)
    return Estimate(
        estimand=estimand,
        unit="as in each row" if apart else units[0],
        terms=tuple(parts),
        value=np.concatenate([one.value for one in made]),
        covariance=covariance,
        limits=np.hstack([one.conf_int for one in made]),
        n=[int(np.max(one.n)) for one in made],
        level=made[0].level,
        max_df=np.concatenate([one.df for one in made]),
        columns=apart,
        **fields,
    )
