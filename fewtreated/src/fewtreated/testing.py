"""Tests against a margin set in advance, permutation tests and multiple testing."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse, special, stats

from fewtreated.display import Shown
from fewtreated.errors import DesignError, check_level
from fewtreated.estimate import Bools, Estimate, Floats, Labels, correlation, root

__dir__ = [
    "JointTest",
    "TestResult",
    "all_zero",
    "assignments",
    "largest_std_error",
    "noninferiority",
    "redraw_closures",
    "romano_wolf",
].copy

POWER = 0.8  # of planned tests
DRAWS = 20_000  # draws of a family's t statistics under the null
MAX_ASSIGNMENTS = 1_000_000
BLOCK = 2**20  # numbers held in memory at a time
ROUNDING = 1e-8  # of correlations
SINGULAR = 1e-10  # eigenvalue of a correlation matrix below which it has no inverse
TIE = 1e-12  # relative difference below which two statistics are equal


@dataclass(frozen=True, repr=False)
class TestResult(Shown):
    """Result of a one-sided test against a margin fixed in advance.

    Attributes
    ----------
    null : str
        The null hypothesis.
    p_value, low : float
        `low` is the lower limit, to compare with ``-margin``.
    passed : bool
        Whether the null hypothesis is rejected.
    """

    __test__ = False  # or pytest collects it as a test

    null: str
    p_value: float
    low: float
    passed: bool

    @property
    def rows(self) -> pd.DataFrame:
        """One row with the columns `p_value`, `low` and `passed`."""
        return pd.DataFrame([{"p_value": self.p_value, "low": self.low, "passed": self.passed}])

    def _shown(self) -> tuple[str, pd.DataFrame, list[str]]:
        if self.passed:
            outcome = "passed"
        else:
            outcome = "inconclusive"
        return f"{outcome}, against the hypothesis that {self.null}", self.rows, []


@dataclass(frozen=True, repr=False, kw_only=True)
class JointTest(Shown):
    """Result of a test that several effects are all zero.

    Attributes
    ----------
    null : str
        The null hypothesis.
    effects : int
        Number of effects tested.
    statistic, p_value : float
        The Wald statistic W and its p-value; NaN if the effects cannot be tested.
    df : (int, float)
        Degrees of freedom of F.
    reason : str
        Why there is no p-value; empty if there is one.
    """

    __test__ = False  # or pytest collects it as a test

    null: str
    effects: int
    statistic: float = np.nan
    df: tuple[int, float] = (0, np.nan)
    p_value: float = np.nan
    reason: str = ""

    @property
    def rows(self) -> pd.DataFrame:
        """One row with the columns `statistic`, `df_1`, `df_2` and `p_value`."""
        numbers = {"statistic": self.statistic, "df_1": self.df[0], "df_2": self.df[1]}
        return pd.DataFrame([{**numbers, "p_value": self.p_value}])

    def __str__(self) -> str:
        """Return the test in one line."""
        if self.reason:
            return f"no test that {self.null}: {self.reason}"
        found = f"W {self.statistic:.4g}, F({self.df[0]}, {self.df[1]:.4g}), p {self.p_value:.4g}"
        return f"test that {self.null}: {found}"

    def _shown(self) -> tuple[str, pd.DataFrame, list[str]]:
        return str(self), self.rows.iloc[: 0 if self.reason else 1], []


def all_zero(estimate: Estimate, null: str = "all effects are zero") -> JointTest:
    """Test that all terms of an Estimate are zero, with Hotelling's F in place of a chi-square.

    The statistic is ``W = b' V^-1 b``, for q effects b with covariance V. From few clusters V is
    too noisy to count as known, and a chi-square with q degrees of freedom rejects too often.
    With v for the estimate's `joint_df`, W is compared with Hotelling's T² instead:
    ``W (v - q + 1) / (v q)`` with F with q and ``v - q + 1`` degrees of freedom, exact for v + 1
    clusters of one normal covariance. V from the jackknife is larger, and the comparison's clusters
    are more than those counted: with 5 to 20 treated clusters it rejected 0 to 2 per cent of true
    hypotheses at 5, a chi-square 5 to 23.

    Parameters
    ----------
    estimate : Estimate
        Terms without a standard error are left out.
    null : str
        The hypothesis in words.

    Returns
    -------
    JointTest
        With a reason and without a p-value if there are more effects than degrees of freedom, or V
        has no inverse.

    References
    ----------
    Hotelling, H. (1931), The generalization of Student's ratio, Annals of Mathematical Statistics
    2, 360-378.
    """
    known = np.isfinite(estimate.value) & (estimate.std_error > 0)
    tested = estimate[[term for term, kept in zip(estimate.terms, known, strict=True) if kept]]
    effects = len(tested.terms)
    if not len(estimate.terms):
        return JointTest(null=null, effects=0, reason="there are no such effects")
    if not effects:
        return JointTest(null=null, effects=0, reason="no effect has a standard error")
    freedom = tested.joint_df - effects + 1
    if freedom <= 0:
        reason = f"{effects} effects, but clusters leave {tested.joint_df:.3g} degrees of freedom"
        return JointTest(null=null, effects=effects, reason=reason)
    related = correlation(tested.covariance)
    t = tested.value / tested.std_error
    if not np.isfinite(related).all() or np.linalg.eigvalsh(related)[0] < SINGULAR:
        reason = f"the covariance of {effects} effects has no inverse"
        return JointTest(null=null, effects=effects, reason=reason)
    wald = float(t @ np.linalg.solve(related, t))
    share = 1.0 if np.isinf(freedom) else freedom / tested.joint_df
    p_value = float(stats.f.sf(wald * share / effects, effects, freedom))
    return JointTest(
        null=null, effects=effects, statistic=wald, df=(effects, freedom), p_value=p_value
    )


def _positive(name: str, value: float) -> None:
    if not value > 0 or not np.isfinite(value):
        raise DesignError(f"Cannot use {name} = {value}; pass a positive, finite number")


def noninferiority(
    estimate: Any,
    std_error: float | None = None,
    *,
    margin: float,
    level: float = 0.95,
    df: float | None = None,
) -> TestResult:
    """Test whether an effect is no worse than ``-margin``.

    The test is one-sided.

    Parameters
    ----------
    estimate : CohortEffects, Estimate of one term, or float
        For the result of :func:`fewtreated.att_gt`, its average; an Estimate has its own standard
        error and degrees of freedom. Harm is negative.
    std_error, df : float
        Only if the estimate is a number; without `df`, the standard error is treated as known.
    margin : float
        Positive, in the unit of the estimate, and set in advance.
    level : float
        One minus the size of the test; the lower limit is ``estimate - t(level, df) * std_error``.

    Returns
    -------
    TestResult
        ``.passed`` if the lower limit lies above ``-margin``. A failure is inconclusive, never
        proof of harm.

    Raises
    ------
    DesignError
        If the estimate or its standard error is missing or not finite, or the margin or level is
        invalid.

    Examples
    --------
    >>> from fewtreated import noninferiority
    >>> noninferiority(-0.4, 0.7, margin=2.0)
    passed, against the hypothesis that the effect is 2 or more below zero
     p_value    low  passed
     0.01114 -1.551    True
    """
    if hasattr(estimate, "aggregate"):  # effects by cohort
        estimate = estimate.aggregate()
    if isinstance(estimate, Estimate):
        estimate, std_error, df = _single_effect(estimate, std_error, df)
    if std_error is None:
        std_error = np.nan
    if df is None:
        df = np.inf
    if not np.isfinite(estimate):
        raise DesignError(
            f"Cannot test an estimate of {estimate}: it is not finite; pass a finite estimate"
        )
    _positive("std_error", std_error)
    _positive("margin", margin)
    check_level(level)
    low = float(estimate - stats.t.ppf(level, df) * std_error)
    p_value = float(stats.t.sf((estimate + margin) / std_error, df))
    return TestResult(f"the effect is {margin:g} or more below zero", p_value, low, low > -margin)


def _single_effect(
    effect: Estimate, std_error: float | None, df: float | None
) -> tuple[float, float, float]:
    """Return the value, standard error and degrees of freedom of an Estimate's only term.

    Raise DesignError if it has more or no standard error, or if `std_error` or `df` is given too.
    """
    if len(effect.terms) != 1 or std_error is not None or df is not None:
        raise DesignError(
            f"Cannot test an Estimate with {len(effect.terms)} terms, std_error = {std_error}"
            f" and df = {df}: pass a single term, such as estimate[{effect.terms[0]!r}],"
            " without std_error or df"
        )
    if np.isnan([effect.value[0], effect.std_error[0]]).any():
        raise DesignError(
            f"Cannot test {effect.estimand}: no standard error ({effect.reason}); use another"
            " effect"
        )
    return effect.value[0], effect.std_error[0], effect.df[0]


def largest_std_error(margin: float, *, level: float = 0.95, two_sided: bool = False) -> float:
    """Return the largest standard error at which a zero effect passes with a power of 80 per cent.

    Non-inferiority: ``margin / (z(level) + z(power))``. Equivalence (`two_sided`):
    ``margin / (z(level) + z((1 + power) / 2))``. An invalid margin or level raises DesignError.
    """
    _positive("margin", margin)
    check_level(level)
    if two_sided:
        power = (1 + POWER) / 2
    else:
        power = POWER
    return float(margin / (stats.norm.ppf(level) + stats.norm.ppf(power)))


def assignments(n_units: int, n_treated: int) -> Bools:
    """Return every way to treat `n_treated` of `n_units` units, bool[assignment, unit].

    More than `MAX_ASSIGNMENTS` raise DesignError.
    """
    if not 0 < n_treated < n_units:
        raise DesignError(
            f"Cannot permute the treatment: {n_treated} of {n_units} units are treated, but at"
            " least one must be treated and one not; add units"
        )
    if (count := comb(n_units, n_treated)) > MAX_ASSIGNMENTS:
        raise DesignError(
            f"Cannot list all ways to treat {n_treated} of {n_units} units: there are {count:,},"
            f" more than {MAX_ASSIGNMENTS:,}; use fewer units, for example by adding up those that"
            " are treated together"
        )
    chosen = np.array(list(combinations(range(n_units), n_treated)))
    treated = np.zeros((len(chosen), n_units), dtype=bool)
    np.put_along_axis(treated, chosen, True, axis=1)
    return treated


def ranks(effect: float, draws: Floats) -> dict[str, list[float]]:
    """Return an effect's `rank` among draws that include it, and its p-values."""
    tie = TIE * float(np.abs(draws).max())
    return {
        "rank": [int((draws < effect - tie).sum()) + 1],
        "p_two_sided": [float((np.abs(draws) >= abs(effect) - tie).mean())],
        "p_smallest": [1 / len(draws)],
    }


def redraw_closures(
    closed: Floats, strata: Labels | None, rng: np.random.Generator, draws: int
) -> sparse.csr_array:
    """Permute closures among the units of each stratum.

    Parameters
    ----------
    closed : float64[unit]
        Closure of each unit, such as its month or share of months closed; 0 for none. Each stratum
        keeps its closures. If units close in groups, pass one entry per group.
    strata : sequence, optional
        Stratum of each unit, such as size x suspicion x origin; a single one by default.
    rng, draws : numpy Generator and int

    Returns
    -------
    sparse float64[draw, unit]

    Raises
    ------
    DesignError
        If no draw can differ from the actual closures.
    """
    closed = np.asarray(closed, dtype=float)
    if strata is None:
        code = np.zeros(len(closed), dtype=np.int64)
    else:
        code = pd.factorize(np.asarray(strata))[0]
    within = [np.flatnonzero(code == stratum) for stratum in range(code.max(initial=-1) + 1)]
    if not any(np.ptp(closed[rows]) > 0 for rows in within):
        raise DesignError(
            f"Cannot redraw closures: they are identical within each of {len(within)} strata; use"
            " coarser strata"
        )
    blocks = []
    for rows in within:
        size = max(1, BLOCK // len(rows))  # draws at a time, to save memory
        for start in range(0, draws, size):
            permuted = rng.permuted(np.tile(closed[rows], (min(size, draws - start), 1)), axis=1)
            draw, unit = np.nonzero(permuted)
            blocks.append((permuted[draw, unit], start + draw, rows[unit]))
    values, draw, unit = (np.concatenate(arrays) for arrays in zip(*blocks, strict=True))
    return sparse.coo_array((values, (draw, unit)), shape=(draws, len(closed))).tocsr()


def shift_interval(
    observed: float, draws: Floats, slopes: Floats, level: float
) -> tuple[float, float]:
    """Compute an exact interval by inverting a two-sided permutation test of a constant shift.

    Under the null that every treated unit was shifted by tau, the statistic of assignment d is
    ``draws[d] - tau * slopes[d]`` and the observed one ``observed - tau``. The former is at least
    as far from zero for tau between ``(observed - draws[d]) / (1 - slopes[d])`` and
    ``(observed + draws[d]) / (1 + slopes[d])``, an interval around `observed`. The p-value at tau
    is the share of these intervals that cover tau, so each limit is an order statistic of their
    ends.

    Parameters
    ----------
    observed : float
        The statistic under the actual assignment, which is among the draws.
    draws, slopes : float64[assignment]
        Statistic of each assignment, and the same statistic of the treatment indicator (in [-1,
        1]).
    level : float
        Coverage of the interval, in (0.5, 1).

    Returns
    -------
    tuple of float
        The smallest and largest shift with a p-value above ``1 - level``; (-inf, inf) if even the
        smallest possible p-value exceeds it.
    """
    check_level(level)
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.array([(observed - draws) / (1 - slopes), (observed + draws) / (1 + slopes)])
    never_nearer = np.abs(slopes) > 1 - TIE  # the actual assignment and its mirror image
    low = np.sort(np.where(never_nearer, -np.inf, ends.min(axis=0)))
    high = np.sort(np.where(never_nearer, np.inf, ends.max(axis=0)))[::-1]
    outside = int(np.floor((1 - level) * len(draws) + TIE))
    return (float(low[outside]), float(high[outside]))


def romano_wolf(
    estimates: Estimate | Floats, covariance: Floats | None = None, *, df: float | Floats = np.inf
) -> pd.DataFrame:
    """Adjust two-sided p-values for multiple testing with the stepdown method of Romano and Wolf.

    Parameters
    ----------
    estimates : Estimate or float64[term]
        An Estimate has its own covariance and degrees of freedom.
    covariance : float64[term, term]
        Covariance of an array of estimates.
    df : float or float64[term]
        Degrees of freedom of their standard errors.

    Returns
    -------
    DataFrame
        One row per term, in the order given: `t`, `p_value` of the single test, `p_adjusted`
        (rejecting those below alpha makes any false rejection with a probability of at most alpha),
        `rank` (1 for the smallest p-value).

    Raises
    ------
    DesignError
        If shapes disagree, an estimate is not finite, a variance or degrees of freedom are not
        positive, or the matrix is no covariance.

    References
    ----------
    Romano, J. P. and Wolf, M. (2005), Exact and approximate stepdown methods for multiple
    hypothesis testing, JASA 100, 94-108; (2016), Efficient computation of adjusted p-values for
    resampling-based stepdown multiple testing, Statistics and Probability Letters 113, 38-40.

    Examples
    --------
    >>> import numpy as np
    >>> from fewtreated import romano_wolf
    >>> romano_wolf(np.array([-3.0, 0.5]), np.eye(2))["p_adjusted"].round(2).tolist()
    [0.01, 0.62]
    """
    terms = None
    if isinstance(family := estimates, Estimate):
        estimates = family.value
        covariance = family.covariance
        df = family.df
        terms = list(family.terms)
    estimates, covariance, df = (
        np.asarray(values, dtype=float) for values in (estimates, covariance, df)
    )
    if (
        estimates.ndim != 1
        or covariance.shape != 2 * estimates.shape
        or df.shape not in ((), estimates.shape)
    ):
        raise DesignError(
            f"Cannot test a family: estimates, covariance and df have shapes {estimates.shape},"
            f" {covariance.shape} and {df.shape}; pass an Estimate, or estimates[term],"
            " covariance[term, term] and one df or df[term]"
        )
    t, p_value = _single_tests(estimates, covariance, df)
    _check_covariance(covariance)
    order = np.argsort(p_value, kind="stable")
    simulated = _null_p_values(covariance, np.broadcast_to(df, len(t)))[:, order]
    smallest = np.minimum.accumulate(simulated[:, ::-1], axis=1)[
        :, ::-1
    ]  # over each term and those after it
    steps = (1 + (smallest <= p_value[order]).sum(axis=0)) / (1 + DRAWS)
    adjusted = np.empty(len(t))
    rank = np.empty(len(t), dtype=np.int64)
    adjusted[order], rank[order] = np.maximum.accumulate(steps), np.arange(1, len(t) + 1)
    adjusted = np.fmax(adjusted, p_value)  # Monte Carlo noise may make it smaller
    return pd.DataFrame(
        {"t": t, "p_value": p_value, "p_adjusted": adjusted, "rank": rank}, index=terms
    )


def _single_tests(estimates: Floats, covariance: Floats, df: Floats) -> tuple[Floats, Floats]:
    """Return the t statistic and the two-sided p-value of each term, float64[term] each."""
    variance = np.diag(covariance)
    if not (usable := (variance > 0) & np.isfinite(estimates) & (df > 0)).all():
        raise DesignError(
            f"Cannot test a family: {(~usable).sum()} of {len(usable)} terms lack a finite"
            " estimate, a positive variance or positive df; drop these terms"
        )
    t = estimates / np.sqrt(variance)
    return t, 2 * stats.t.sf(np.abs(t), df)


def _check_covariance(covariance: Floats) -> None:
    """Raise DesignError unless the matrix is symmetric, with correlations that can be."""
    related = correlation(covariance)
    apart = np.abs(related - related.T).max()
    least = np.linalg.eigvalsh(np.nan_to_num(related))[0]
    if not (apart < ROUNDING and least > -ROUNDING):
        raise DesignError(
            "Cannot test a family: the matrix is no covariance (correlations differ by"
            f" {apart:.2g} across the diagonal, their smallest eigenvalue is {least:.2g}); pass one"
            " that is symmetric and positive semidefinite"
        )


def _null_p_values(covariance: Floats, df: Floats) -> Floats:
    """Draw unadjusted two-sided p-values under the null hypothesis, float64[draw, term].

    Estimates are normal with this covariance. In each draw their standard errors take the same
    quantile of their chi distributions.
    """
    rng = np.random.default_rng(0)
    distinct, inverse = np.unique(df, return_inverse=True)
    t = rng.standard_normal((DRAWS, len(df))) @ root(covariance)
    high = rng.random((DRAWS, 1))
    spread = [
        np.sqrt(special.chdtri(k, high) / k) if np.isfinite(k) else np.ones_like(high)
        for k in distinct
    ]
    return np.asarray(2 * special.stdtr(df, -np.abs(t) / np.hstack(spread)[:, inverse]))
