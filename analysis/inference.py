"""Estimates, checks against a margin set in advance, and exact permutation inference.

An :class:`Estimate` never travels without its uncertainty: each row has a standard
error and an interval, or NaN and a `reason` that says why there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from math import comb
from operator import index
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from analysis.errors import DesignError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

COLUMNS = ["term", "estimate", "std_error", "conf_low", "conf_high", "n"]
MAX_ASSIGNMENTS = 1_000_000
TIE = 1e-12  # two statistics closer than this, relative to their size, are the same number


@dataclass(frozen=True, eq=False)
class Estimate:
    """An estimand's estimate with its uncertainty and the setup that made it.

    Attributes
    ----------
    estimand : str
        Id or name of the estimand, such as ``"E1a"``.
    unit : str
        Unit of `estimate` and of the interval, such as ``"log points"``.
    rows : DataFrame
        One row per term: `term`, `estimate`, `std_error`, `conf_low`, `conf_high`, `n`
        (observations or units behind the row); further columns are allowed.
    level : float
        Coverage of the interval, between 0 and 1.
    interval : str
        Kind of the interval, such as ``"permutation interval"``.
    counts : mapping of str to int
        Sizes that a reader needs: firms, treated, comparison, clusters, assignments.
    reason : str
        Why an error or an interval is NaN; empty when none is.
    covariance : float64[term, term], optional
        Of the estimates, so that several of them can be tested or combined.
    make_influence : function, optional
        Makes `influence`, which is large on a large panel and so not kept.
    design : Design, optional
        What was asked of the panel, so that the estimate can be made again: a placebo is ``replace(design, ...)``.
    digest : str
        Digest of the panel; empty where the estimator was given arrays.
    details : mapping of str to object
        What the estimator found on the way: weights, placebo estimates, residuals.
    """

    estimand: str
    unit: str
    rows: pd.DataFrame
    level: float = 0.95
    interval: str = "confidence interval"
    counts: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    covariance: Floats | None = None
    make_influence: Callable[[], Floats] | None = None
    design: Any = None
    digest: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse rows that lack a column, and a missing error without its reason."""
        absent = [name for name in COLUMNS if name not in self.rows.columns]
        if absent:
            raise DesignError(f"an Estimate of {self.estimand} was asked for; its rows lack {absent}; add them")
        if self.rows[["std_error", "conf_low", "conf_high"]].isna().any(axis=None) and not self.reason:
            raise DesignError(
                f"an Estimate of {self.estimand} was asked for; an error or interval is missing and no reason "
                "is given; say in `reason` why it cannot be had"
            )

    @property
    def influence(self) -> Floats:
        """By how much each cluster moves each term, float64[cluster, term], computed when asked for.

        ``influence.T @ influence`` is the covariance. A DesignError where the estimator gives none.
        """
        if self.make_influence is None:
            raise DesignError(
                f"influence values of {self.estimand} were asked for; its estimator has none; use the errors in `rows`"
            )
        return self.make_influence()

    def at(self, kept: npt.NDArray[np.int64]) -> Estimate:
        """Return some of the rows, by their places, with what goes with them of covariance and influence."""
        return replace(
            self,
            rows=self.rows.iloc[kept].reset_index(drop=True),
            covariance=None if self.covariance is None else self.covariance[np.ix_(kept, kept)],
            make_influence=lambda: self.influence[:, kept],
        )

    def row(self, term: str) -> pd.Series:
        """Return the row of one term; an unknown term is a DesignError."""
        found = self.rows.loc[self.rows["term"] == term]
        if len(found) != 1:
            raise DesignError(f"term {term!r} was asked for; there are {list(self.rows['term'])}; name one of these")
        return found.iloc[0]

    def bounds(self, term: str) -> tuple[float, float] | None:
        """Return the interval of one term, or None where there is none."""
        row = self.row(term)
        low, high = float(row["conf_low"]), float(row["conf_high"])
        return None if np.isnan(low) or np.isnan(high) else (low, high)


@dataclass(frozen=True)
class Check:
    """A test against a margin that was fixed in advance.

    Attributes
    ----------
    name, null : str
        What is tested and the hypothesis that a small `p_value` speaks against.
    p_value : float
        Of the test; for two one-sided tests the larger of the two.
    low, high : float
        Limits that are compared with the margin (infinite on an open side).
    margin : float
        The margin, in the unit of the estimate, positive.
    passed : bool
        Whether the null hypothesis is rejected.
    level : float
        One minus the size of each one-sided test.
    """

    name: str
    null: str
    p_value: float
    low: float
    high: float
    margin: float
    passed: bool
    level: float


def _positive(name: str, value: float) -> None:
    if not value > 0 or not np.isfinite(value):
        raise DesignError(f"a positive {name} was asked for; found {value}; give a finite number above 0")


def _share(level: float) -> None:
    if not 0.5 < level < 1:
        raise DesignError(f"a level between 0.5 and 1 was asked for; found {level}; 0.95 is usual")


def whole_number(name: str, value: Any) -> int:
    """Return a count or a column number as int; anything but an integer, such as 2.0, is a DesignError."""
    try:
        return index(value)
    except TypeError as wrong:
        raise DesignError(f"a whole number for {name} was asked for; found {value!r}; give an int") from wrong


def noninferiority(estimate: float, std_error: float, margin: float, level: float = 0.95) -> Check:
    """Test one-sided that an effect is not worse than ``-margin``.

    Parameters
    ----------
    estimate, std_error, margin : float
        In one unit; a harm is negative. `margin` is positive and set in advance.
    level : float
        One minus the size of the test; the lower limit is ``estimate - z(level) * std_error``.

    Returns
    -------
    Check
        Passed when the lower limit lies above ``-margin``. A failure is inconclusive, never a proof of harm.

    Raises
    ------
    DesignError
        If the estimate is not finite, the standard error or margin not a positive number, or the level not in
        (0.5, 1).
    """
    if not np.isfinite(estimate):
        raise DesignError(f"an estimate was asked for; found {estimate}; give a finite number, or no check at all")
    _positive("std_error", std_error)
    _positive("margin", margin)
    _share(level)
    low = estimate - stats.norm.ppf(level) * std_error
    p_value = float(stats.norm.sf((estimate + margin) / std_error))
    null = f"the effect is {margin:g} or more below zero"
    return Check("non-inferiority", null, p_value, float(low), np.inf, margin, bool(low > -margin), level)


def equivalence(estimate: float, std_error: float, margin: float, level: float = 0.95) -> Check:
    """Test by two one-sided tests (TOST) that an effect lies inside ``±margin``.

    Parameters
    ----------
    estimate, std_error, margin : float
        In one unit; `margin` is positive and set in advance.
    level : float
        One minus the size of each one-sided test; the limits are ``estimate ± z(level) * std_error``.

    Returns
    -------
    Check
        Passed when both limits lie inside the margin.

    Raises
    ------
    DesignError
        As :func:`noninferiority`.

    References
    ----------
    Schuirmann, D. J. (1987), Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680.
    """
    below = noninferiority(estimate, std_error, margin, level)
    above = noninferiority(-estimate, std_error, margin, level)
    return Check(
        "equivalence",
        f"the effect is {margin:g} or more away from zero",
        max(below.p_value, above.p_value),
        below.low,
        -above.low,
        margin,
        below.passed and above.passed,
        level,
    )


def largest_std_error(margin: float, *, power: float = 0.8, level: float = 0.95, two_sided: bool = False) -> float:
    """Return the largest standard error with which a true zero passes the check with `power`.

    Non-inferiority: ``margin / (z(level) + z(power))``. Equivalence (`two_sided`):
    ``margin / (z(level) + z((1 + power) / 2))``. Same unit as `margin`. A margin, level or power that gives no
    number is a DesignError.
    """
    _positive("margin", margin)
    _share(level)
    if not 0 < power < 1:
        raise DesignError(f"a power between 0 and 1 was asked for; found {power}; 0.8 is usual")
    reach = (1 + power) / 2 if two_sided else power
    return float(margin / (stats.norm.ppf(level) + stats.norm.ppf(reach)))


def assignments(n_units: int, n_treated: int) -> Bools:
    """Return all ways to treat `n_treated` of `n_units`, bool[assignment, unit].

    Raises
    ------
    DesignError
        If there is no comparison unit, no treated unit, or more than a million assignments.
    """
    if not 0 < n_treated < n_units:
        raise DesignError(
            f"a permutation over {n_units} units was asked for; found {n_treated} treated; "
            "at least one treated and one comparison unit are needed"
        )
    if (count := comb(n_units, n_treated)) > MAX_ASSIGNMENTS:
        raise DesignError(
            f"all assignments of {n_treated} among {n_units} units were asked for; there are {count:,}; "
            f"at most {MAX_ASSIGNMENTS:,} are enumerated: use fewer units"
        )
    chosen = np.array(list(combinations(range(n_units), n_treated)))
    drawn = np.zeros((len(chosen), n_units), dtype=bool)
    np.put_along_axis(drawn, chosen, True, axis=1)
    return drawn


def shift_interval(observed: float, draws: Floats, slopes: Floats, level: float) -> tuple[float, float]:
    """Invert a two-sided permutation test of a constant shift, exactly.

    Under the null that every treated unit was shifted by tau, assignment d's statistic is
    ``draws[d] - tau * slopes[d]`` and the observed one ``observed - tau``. Assignment d is at least
    as far from zero as the observed one where tau lies between ``(observed - draws[d]) / (1 - slopes[d])``
    and ``(observed + draws[d]) / (1 + slopes[d])``, an interval that holds `observed`. The p-value at tau is the
    share of these intervals that cover tau, so each limit is an order statistic of their ends.

    Parameters
    ----------
    observed : float
        The statistic under the actual assignment, which is among the draws.
    draws, slopes : float64[assignment]
        Statistic of each assignment, and the same statistic of the treatment indicator (in [-1, 1]).
    level : float
        Coverage of the interval.

    Returns
    -------
    tuple of float
        The smallest and the largest shift with a p-value above ``1 - level``; (-inf, inf) where
        the smallest possible p-value is itself above it.

    Raises
    ------
    DesignError
        If the level is not in (0.5, 1).
    """
    _share(level)
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.array([(observed - draws) / (1 - slopes), (observed + draws) / (1 + slopes)])
    never_nearer = np.abs(slopes) > 1 - TIE  # the actual assignment and its mirror image
    low = np.sort(np.where(never_nearer, -np.inf, ends.min(axis=0)))
    high = np.sort(np.where(never_nearer, np.inf, ends.max(axis=0)))[::-1]
    needed = int(np.floor((1 - level) * len(draws) + TIE))
    return (float(low[needed]), float(high[needed]))


def simultaneous_factor(
    covariance: Floats, level: float, *, seed: int, draws: int = 10_000, df: float = np.inf
) -> float:
    """Return how many standard errors a band must be wide to cover all terms at once.

    The quantile of the largest absolute t statistic under a normal with this covariance. That is what a multiplier
    bootstrap with Gaussian weights on the influence values draws from. With finite `df` it is that of the multivariate
    t, for errors that rest on few clusters. A term without error is never missed, and no part of it.

    Parameters
    ----------
    covariance : float64[term, term]
    level : float
        Joint coverage.
    seed, draws : int
        Of the simulation.
    df : float
        Degrees of freedom that all errors share; inf for the normal.
    """
    _share(level)
    unsure = np.flatnonzero(np.diag(covariance) > 0)
    if len(unsure) < 2:
        return float(stats.t.ppf((1 + level) / 2, df))
    error = np.sqrt(np.diag(covariance)[unsure])
    values, vectors = np.linalg.eigh(covariance[np.ix_(unsure, unsure)] / np.outer(error, error))
    root = vectors * np.sqrt(np.clip(values, 0, None))
    rng = np.random.default_rng(seed)
    largest = np.abs(rng.standard_normal((draws, len(error))) @ root.T).max(axis=1)
    if np.isfinite(df):
        largest = largest / np.sqrt(rng.chisquare(df, draws) / df)
    return float(np.quantile(largest, level))
