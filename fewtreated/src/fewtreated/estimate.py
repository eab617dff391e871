"""Estimates with cluster scores, so that smooth functions of estimates are also estimates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from fewtreated import jackknife
from fewtreated.display import Shown, intervals
from fewtreated.errors import NOT_ESTIMABLE, DesignError, check_level
from fewtreated.jackknife import FEWEST_DF, NOTHING_LEFT, degrees_of_freedom, left_out

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Labels = Sequence[Any] | npt.NDArray[Any]

NO_TERM = ("",)  # terms of a refusal, which answers every request with its reason
STEP = 1e-30  # for derivatives by a complex step: no difference is taken, so the smaller the better
DRAWS = 10_000  # draws of the largest t statistic
NO_SPREAD = "the values behind it do not vary, so a standard error of zero would be meaningless"


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Estimate(Shown):
    """Named values of an estimand, with their joint uncertainty.

    Attributes
    ----------
    estimand, unit : str
        Id or name, such as ``"E1a"``, and the unit of values and limits, such as ``"log points"``.
    terms : tuple of str
    value : float64[term]
        NaN if there is no point: for a set, or without an estimate.
    scores : float64[cluster, term], optional
        Influence of each cluster on each term, so that ``covariance = scores.T @ scores``, unless
        errors are clustered in two ways: they are then those of the first.
    covariance : float64[term, term], optional
        By default that of the scores; NaN for terms without a standard error.
    limits : float64[2, term], optional
        Ends of the intervals, if not ``value ± t(df) std_error``.
    n : int or sequence of int
        Observations or units behind each term; treated units behind an effect on the treated.
    level : float
        Coverage of intervals.
    max_df : float or float64[term]
        Upper limit on the degrees of freedom of Student's t (infinite for the normal); see `df`.
    min_df : float
        Lower limit on degrees of freedom that are estimated from the scores.
    max_joint_df : float
        Upper limit on `joint_df`, finite if errors are clustered in two ways.
    interval : str
        Kind of interval.
    reason : str
        Why a value, standard error or limit is missing; never empty if one is.
    columns : mapping of str to sequence
        Additional columns of `rows`.
    counts : mapping of str to int
        Sizes that a reader needs: firms, treated, comparison, clusters.
    details : mapping of str to object
        Intermediate results of the estimator.
    clusters : array[cluster], optional
        Labels of the rows of `scores`.

    Notes
    -----
    A subclass may have further fields, which every estimate derived from it keeps, and write
    numbers in its own way (`_number`, `_range`), with a mark after them (`_mark`).
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
    min_df: float = FEWEST_DF
    max_joint_df: float = np.inf
    interval: str = "confidence interval"
    reason: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    clusters: npt.NDArray[Any] | None = None

    _mark = ""

    def __post_init__(self) -> None:
        """Compute the covariance from the scores.

        Raise DesignError if a missing result has no reason.
        """
        if self.covariance is None:
            if self.scores is None:
                covariance = np.full((len(self.terms),) * 2, np.nan)
            else:
                covariance = self.scores.T @ self.scores
            object.__setattr__(self, "covariance", covariance)
        if not self.reason and np.isnan([self.std_error, *self.conf_int]).any():
            raise DesignError(
                f"Cannot create an Estimate of {self.estimand}: a standard error or interval is"
                " missing; state why in `reason`"
            )

    @property
    def refused(self) -> bool:
        """Whether the estimate has neither values nor limits."""
        return bool(np.isnan(self.value).all() and np.isnan(self.conf_int).all())

    def require(self) -> Self:
        """Return the estimate; raise DesignError with the reason if it is refused."""
        if self.refused:
            raise DesignError(self.reason)
        return self

    @property
    def std_error(self) -> Floats:
        """Standard errors, float64[term]; NaN if missing."""
        return np.asarray(
            np.sqrt(np.clip(np.diag(self.covariance), 0, None))
        )  # rounding may fall below zero

    @cached_property
    def stated(self) -> Self:
        """Estimate for printing, without numbers for terms with a zero standard error.

        A standard error counts as zero if it is so small that it may be due to rounding.
        """
        no_spread = self.std_error <= NOTHING_LEFT * np.fmax(1.0, np.abs(self.value))
        if not no_spread.any():
            return self
        if np.isnan([self.value, self.std_error, *self.conf_int]).any():
            reasons = [self.reason]
        else:
            reasons = []
        if np.isfinite(self.value[no_spread]).any():
            reasons.append(NO_SPREAD)
        return self.without(no_spread, "; ".join(reasons))

    def without(self, terms: Bools, reason: str) -> Self:
        """Remove the value, standard error and interval of some terms, and set the reason.

        `terms` is bool[term].
        """
        return replace(
            self,
            value=np.where(terms, np.nan, self.value),
            covariance=np.where(np.logical_or.outer(terms, terms), np.nan, self.covariance),
            limits=np.where(terms, np.nan, self.conf_int),
            reason=reason,
        )

    @cached_property
    def df(self) -> Floats:
        """Degrees of freedom of each term, float64[term].

        They are the smaller of `max_df` and
        :func:`fewtreated.jackknife.degrees_of_freedom`.
        """
        return self._df(self.min_df)

    def _df(self, least: float) -> Floats:
        max_df: Floats = np.broadcast_to(np.asarray(self.max_df, dtype=float), len(self.terms))
        if self.scores is None:
            return max_df
        return np.fmin(max_df, degrees_of_freedom(self.scores, least))

    @property
    def cov_small_sample(self) -> Floats:
        """Covariance scaled for methods that treat it as known, float64[term, term].

        The factor is ``(t(joint_df) / z)²``.
        """
        quantile = (1 + self.level) / 2
        return np.asarray(
            (stats.t.ppf(quantile, self.joint_df) / stats.norm.ppf(quantile)) ** 2 * self.covariance
        )

    @property
    def conf_int(self) -> Floats:
        """Limits of the intervals, float64[2, term]."""
        if self.limits is not None:
            return self.limits
        half = np.asarray(stats.t.ppf((1 + self.level) / 2, self.df)) * self.std_error
        return np.array([self.value - half, self.value + half])

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Table of the estimate, with one row per term.

        The columns are `term`, `estimate`, `std_error`, `conf_low`, `conf_high`, `n`, and any
        `columns`.
        """
        low, high = self.conf_int
        columns = {"term": list(self.terms), "estimate": self.value, "std_error": self.std_error}
        return pd.DataFrame(
            {**columns, "conf_low": low, "conf_high": high, "n": self.n, **self.columns}
        )

    def at(self, level: float) -> Self:
        """Return the estimate with intervals of another coverage.

        Raise DesignError if its intervals are not from t.
        """
        check_level(level)
        if self.limits is not None:
            raise DesignError(
                f"Cannot change the level of {self.estimand}: its limits are no multiples of errors"
            )
        return replace(self, level=level)

    def tidy(self) -> pd.DataFrame:
        """Return one row per term with the columns that R's broom names.

        They are `term`, `estimate`, `std.error`, and so on, and, at the end, `df` and `n`.

        The p-value is that of no effect, from Student's t with `df`; it is missing where limits are
        not from t.
        """
        low, high = self.conf_int
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.limits is None:
                statistic = self.value / self.std_error
            else:
                statistic = np.full(len(self.terms), np.nan)
        columns = {"term": list(self.terms), "estimate": self.value, "std.error": self.std_error}
        columns |= {"statistic": statistic, "p.value": 2 * stats.t.sf(np.abs(statistic), self.df)}
        columns |= {"conf.low": low, "conf.high": high, "df": self.df, "n": self.n}
        return pd.DataFrame(columns)

    def summary(self) -> str:
        """Return all rows of :meth:`tidy` as text, with the heading and notes."""
        head, _, notes = self._shown()
        return "\n".join(
            [head, self.tidy().to_string(index=False, float_format="{:.4g}".format), *notes]
        )

    def to_latex(self) -> str:
        """Return :meth:`tidy` as a LaTeX table; it needs the package booktabs."""
        return str(self.tidy().to_latex(index=False, float_format="{:.4g}".format, escape=True))

    def plot(self, *, title: str = "", xlabel: str = "", ax: Axes | None = None) -> Axes:
        """Plot the terms with their intervals, under a title, by default the estimand.

        They are drawn on `ax`, by default that of a new figure.

        Numeric terms, such as periods, are plotted along the x axis, other terms as a list. A
        refusal shows its reason.
        """
        return intervals(
            self.rows,
            title=title or self.estimand,
            unit=self.unit,
            xlabel=xlabel,
            reason=self.reason,
            ax=ax,
        )

    def _shown(self) -> tuple[str, pd.DataFrame, list[str]]:
        if self.terms == NO_TERM:
            return NOT_ESTIMABLE, self.rows.iloc[:0], [self.reason]
        if self.stated is not self:
            return self.stated._shown()
        counts = ", ".join(
            f"{name.replace('_', ' ')} {count:,}" for name, count in self.counts.items() if count
        )
        if (np.isnan(self.conf_int) | (self.conf_int == self.value)).all():
            interval = ""
        else:
            interval = f"{self.level:.0%} {self.interval}"
        head = f"{self.estimand}, {self.unit}{self._mark}"
        return head, self.rows, [note for note in (interval, counts, self.reason) if note]

    def row(self, term: str | int) -> pd.Series:
        """Return the row for one term."""
        return self.rows.iloc[self._position(term)]

    def bounds(self, term: str | int) -> tuple[float, float] | None:
        """Return the interval for one term, or None if :attr:`stated` has none."""
        low, high = self.stated.conf_int[:, self._position(term)]
        if np.isnan(low) or np.isnan(high):
            return None
        return (float(low), float(high))

    def __getitem__(self, terms: str | int | slice | Sequence[str | int]) -> Self:
        """Select terms in the given order; return a refusal unchanged.

        A number stands for its text, as in ``effects[0]``; ``effects[-3:2]`` has those from -3 to
        2, both included, and ``effects[-3:2:2]`` every other of them.
        """
        if self.terms == NO_TERM:
            return self
        positions = self._positions(terms)
        kept = np.array(positions, dtype=np.int64)

        def of_kept(values: Any) -> Any:
            if np.isscalar(values):
                return values
            return np.asarray(values)[kept]

        return replace(
            self,
            terms=tuple(self.terms[position] for position in positions),
            value=self.value[kept],
            scores=None if self.scores is None else self.scores[:, kept],
            covariance=self.covariance[np.ix_(kept, kept)],
            limits=None if self.limits is None else self.limits[:, kept],
            n=of_kept(self.n),
            max_df=of_kept(self.max_df),
            columns={name: of_kept(values) for name, values in self.columns.items()},
        )

    def _positions(self, terms: str | int | slice | Sequence[str | int]) -> list[int]:
        """Return the places of one term, of several, or of those in a range with both its ends."""
        if isinstance(terms, str | int | np.integer):
            return [self._position(terms)]
        if not isinstance(terms, slice):
            return [self._position(term) for term in terms]
        number = pd.to_numeric(pd.Series(self.terms), errors="coerce")
        inside = number.notna()
        if terms.start is not None:
            inside &= number >= terms.start
        if terms.stop is not None:
            inside &= number <= terms.stop
        return list(np.flatnonzero(inside)[:: terms.step].tolist())

    def _position(self, term: str | int) -> int:
        term = str(term)
        if self.terms.count(term) != 1:
            raise DesignError(f"Cannot find the term {term!r}; choose from {', '.join(self.terms)}")
        return self.terms.index(term)

    def delta_method(
        self,
        function: Callable[[Any], Mapping[str, Any]],
        *,
        estimand: str,
        unit: str,
        **changes: Any,
    ) -> Self:
        """Apply a function to the values, with standard errors and intervals by the delta method.

        Parameters
        ----------
        function : callable
            Maps the values, an array [term], to values by term. Its derivatives are taken by a
            complex step, exact to rounding for sums, products, ratios, powers, logs and
            exponentials; it must not take absolute values, compare, or conjugate.
        estimand, unit : str
        **changes
            Other fields to set. `n` is kept if it is one number for all terms; if `max_df` varies
            by term, the result has that of the term that contributes most of its variance.
        """
        result = function(self.value)
        steps = self.value + STEP * 1j * np.eye(len(self.value))
        slope = np.array([[np.imag(out) / STEP for out in function(at).values()] for at in steps])
        dominant = np.argmax(slope**2 * np.diag(self.covariance)[:, np.newaxis], axis=0)
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
                "max_df": (
                    self.max_df if np.isscalar(self.max_df) else np.asarray(self.max_df)[dominant]
                ),
                "columns": {},
                **changes,
            },
        )

    def jackknife(
        self,
        function: Callable[[Any], Mapping[str, Any]],
        *,
        estimand: str,
        unit: str,
        **changes: Any,
    ) -> Self:
        """Apply a function to sums, with standard errors by the cluster jackknife (CV3).

        The covariance is ``(G - 1) / G`` times the sum of squared changes when each of G clusters
        is left out.

        Parameters
        ----------
        function : callable
            Maps the values, which are the scores summed over clusters, to values by term; called
            with the sums, [term], and with those without each cluster, [term, cluster]. It must not
            change if all sums are scaled.
        estimand, unit : str
        **changes
            Other fields to set; `n` is kept only if it is one number for all terms.

        Raises
        ------
        DesignError
            If there are no scores, or errors are clustered in two ways.

        References
        ----------
        MacKinnon, J. G., Nielsen, M. O. and Webb, M. D. (2023), Fast and reliable jackknife and
        bootstrap methods for cluster-robust inference, Journal of Applied Econometrics 38, 671-694.
        """
        if self.scores is None:
            raise DesignError(
                f"Cannot jackknife {self.estimand}: its estimator provides no cluster scores; use"
                " its own standard errors"
            )
        if np.isfinite(self.max_joint_df):
            raise DesignError(
                f"Cannot jackknife {self.estimand}: its errors are clustered in two ways; use"
                " delta_method, or cluster in one"
            )
        result = function(self.value)
        sums = self.scores.T

        def values(x: Floats) -> Floats:
            return np.array([np.broadcast_to(value, x.shape[1:]) for value in function(x).values()])

        clusters = np.count_nonzero(sums.any(axis=0))
        changed = left_out(values, self.value, sums).T
        estimable = np.asarray(np.isfinite(changed).all(axis=0))
        alone = ", ".join(
            term for term, several in zip(result, estimable, strict=True) if not several
        )
        fields = {
            "terms": tuple(result),
            "value": np.array([float(value) for value in result.values()]),
            "scores": jackknife.scores(np.where(estimable, changed, np.nan), clusters),
            "n": self.n if np.isscalar(self.n) else 0,
            "reason": self.reason or (f"{alone}: rests on a single cluster" if alone else ""),
        }
        return replace(self, estimand=estimand, unit=unit, covariance=None, **(fields | changes))

    def exp(self) -> Self:
        """Convert log points to per cent, ``100 (exp(x) - 1)``.

        Standard errors are by the delta method.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # overflow means infinite
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
        """Joint degrees of freedom of all terms: the geometric mean of each term's.

        Each term's are taken without the minimum of `df`.

        The mean is used because their estimates are noisy. A band may thus be narrower than the
        interval of a term that rests on far fewer clusters than the others. With the minimum, bands
        cover too little where one cluster dominates (.87 of plain panels with a log-sd of 2 and 30
        groups, .92 without it).
        """
        return min(float(np.exp(np.nanmean(np.log(self._df(1.0))))), self.max_joint_df)

    def sup_t_band(self) -> Floats:
        """Return the limits of a sup-t band that covers all terms jointly, float64[2, term]."""
        half = critical_value(self.covariance, self.level, df=self.joint_df) * self.std_error
        return np.array([self.value - half, self.value + half])

    def with_set(self, name: str, ends: tuple[float, float], reason: str) -> Self:
        """Append a set-valued term: an interval without a point estimate or standard error."""
        return replace(
            self,
            terms=(*self.terms, name),
            value=np.append(self.value, np.nan),
            scores=(
                None
                if self.scores is None
                else np.pad(self.scores, ((0, 0), (0, 1)), constant_values=np.nan)
            ),
            covariance=np.pad(self.covariance, (0, 1), constant_values=np.nan),
            limits=np.column_stack([self.conf_int, ends]),
            n=self.n if np.isscalar(self.n) else [*self.n, self.n[-1]],
            max_df=np.append(self.max_df, np.nan) if np.ndim(self.max_df) else self.max_df,
            columns={name: [*values, np.nan] for name, values in self.columns.items()},
            reason=reason,
        )

    def __format__(self, spec: str) -> str:
        """Format a single term as text.

        The format "unit" adds the unit, "both" adds the interval, and "all" adds unit and interval;
        "interval" prints the interval alone. A missing number is replaced by a few words that fit
        into a sentence; "all" also adds the reason.
        """
        if len(self.terms) != 1 or spec not in ("", "unit", "interval", "both", "all"):
            raise DesignError(
                f"Cannot format {self.estimand} as {spec!r}; select one term"
                f" ({', '.join(self.terms)}) and a format: unit, interval, both or all"
            )
        if self.stated is not self:
            return format(self.stated, spec)
        point, within = self._point_and_range()
        if not point and not within:
            if spec == "all":
                return f"{NOT_ESTIMABLE} ({self.reason})"
            return NOT_ESTIMABLE
        if not point or (within and spec == "interval"):
            written = within
        elif within and spec in ("both", "all"):
            written = f"{point} [{within}]"
        else:
            written = point
        if spec in ("unit", "all"):
            written += f" {self.unit}"
        return written + self._mark + self._what_lacks(spec, within)

    def _point_and_range(self) -> tuple[str, str]:
        """Write the value and the interval of the only term; empty text if missing.

        A value that is exact, since both ends are equal to it, has no interval to write.
        """
        low, high = self.conf_int[:, 0].tolist()
        point = ""
        within = ""
        if not np.isnan(self.value[0]):
            point = self._number(float(self.value[0]))
        if not np.isnan([low, high]).any() and not low == high == self.value[0]:
            within = self._range(low, high)
        return point, within

    def _what_lacks(self, spec: str, within: str) -> str:
        """Write what a format asks for and the estimate does not have."""
        if within:
            return ""
        if spec == "all":
            return f" ({self.reason})"
        if spec in ("interval", "both"):
            return " (no interval)"
        return ""

    def _number(self, value: float) -> str:
        return f"{value:.4g}"

    def _range(self, low: float, high: float) -> str:
        return f"{self._number(low)} to {self._number(high)}"


OneOrOther = TypeVar("OneOrOther", bound=Estimate)  # an Estimate or a subclass of it


def refusal(reason: str) -> Estimate:
    """Build a refusal: an Estimate with a reason but no values."""
    return Estimate(
        estimand="", unit="", terms=NO_TERM, value=np.full(1, np.nan), n=np.nan, reason=reason
    )


def critical_value(covariance: Floats, level: float, *, df: float = np.inf) -> float:
    """Return the half-width, in standard errors, of a band that covers all terms jointly.

    It is the quantile of the largest absolute t statistic under a normal with this covariance, from
    which a multiplier bootstrap with Gaussian weights on the scores would draw, or under the
    multivariate t if `df` is finite. Terms without a standard error are ignored.
    """
    uncertain = np.flatnonzero(np.diag(covariance) > 0)
    if len(uncertain) < 2:
        return float(stats.t.ppf((1 + level) / 2, df))
    return float(
        np.quantile(
            np.abs(draws_of_t(covariance[np.ix_(uncertain, uncertain)], df)).max(axis=1), level
        )
    )


def draws_of_t(covariance: Floats, df: float) -> Floats:
    """Draw t statistics under the null hypothesis for the given covariance, float64[draw, term]."""
    rng = np.random.default_rng(0)
    normal = rng.standard_normal((DRAWS, len(covariance))) @ root(covariance)
    if np.isfinite(df):
        return normal / np.sqrt(rng.chisquare(df, (DRAWS, 1)) / df)
    return normal


def correlation(covariance: Floats) -> Floats:
    """Return the correlation matrix of a covariance, float64[term, term]."""
    error = np.sqrt(np.diag(covariance))
    return np.asarray(covariance / np.outer(error, error))


def root(covariance: Floats) -> Floats:
    """Return the symmetric square root of a covariance's correlation matrix, float64[term, term].

    It does not depend on the sign and order of the eigenvectors, which vary between processors.
    """
    values, vectors = np.linalg.eigh(correlation(covariance))
    values[values < 1e-12 * values[-1]] = 0  # rounding, whose root would matter
    return np.asarray((vectors * np.sqrt(values)) @ vectors.T)


def stack_estimates(
    parts: Mapping[str, OneOrOther], *, estimand: str, **changes: Any
) -> OneOrOther:
    """Combine one-term estimates into one Estimate, leaving the covariances between them unknown.

    The unit is that of the first; if units differ, they become a column. `changes` are other fields
    to set.
    """
    estimates = list(parts.values())
    units = [estimate.unit for estimate in estimates]
    unit = units[0]
    columns = {}
    if len(set(units)) > 1:
        unit = "as in each row"
        columns = {"unit": units}
    errors = np.concatenate([estimate.std_error for estimate in estimates])
    fields = {
        "unit": unit,
        "terms": tuple(parts),
        "value": np.concatenate([estimate.value for estimate in estimates]),
        "scores": None,
        "covariance": np.where(np.eye(len(errors), dtype=bool), errors**2, np.nan),
        "limits": np.hstack([estimate.conf_int for estimate in estimates]),
        "n": [int(np.max(estimate.n)) for estimate in estimates],
        "max_df": np.concatenate([estimate.df for estimate in estimates]),
        "interval": _kinds_of_interval(estimates),
        "reason": "",
        "columns": columns,
        "counts": {},
        "details": {},
        "clusters": None,
    }
    return replace(estimates[0], estimand=estimand, **(fields | changes))


def _kinds_of_interval(estimates: Sequence[Estimate]) -> str:
    """Name the kinds of interval of the estimates that have a standard error."""
    kinds = dict.fromkeys(
        estimate.interval for estimate in estimates if np.isfinite(estimate.std_error).any()
    )
    return ", or ".join(kinds) or Estimate.interval
