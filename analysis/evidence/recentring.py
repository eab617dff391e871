"""The effect on exposed categories less what random sets of categories show (Borusyak and Hull's recentring)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.errors import DesignError
from analysis.estimands.design import estimand
from analysis.estimate import Estimate, Floats, Ints
from analysis.evidence.households import (
    AGAINST,
    BASELINE,
    Households,
    Specification,
    compared,
    exposed,
    half_year,
    of_classes,
    sums_by_window,
)

LIKE = 0.08  # Chinese share before, above which a category resembles the exposed ones
OFTEN = 40  # fewest order lines before for a usable share
SHIFTS = np.arange(-700, 701) / 1000  # log points among which an interval is sought: a halving to a doubling


@estimand
def random_sets(
    households: Households, spec: Specification = BASELINE, *, draws: int = 2000, seed: int = 0
) -> Estimate:
    """Return how often sets of other categories, drawn at random, fall back as far as the exposed ones: one-sided p.

    A set contains as many categories as are exposed, but only unexposed ones, each with a Chinese share above `LIKE`
    and at least `OFTEN` purchases before. It is compared with all other unexposed categories, and the exposed ones with
    all others. The mean over draws, in `details`, shows how far categories with a high Chinese share fell back anyway.

    Returns
    -------
    Estimate
        One term, p, with its Monte Carlo error; `details` has `effects` of the draws and `exposed`, log points, and
        `share`, the mean Chinese share of the sets before.

    Raises
    ------
    DesignError
        If windows are not half-years from March or September, or too few categories resemble the exposed ones.
    """
    size, pool = len(households.categories), _like_exposed(households, spec)
    if len(pool) < size:
        raise DesignError(
            f"Cannot draw random sets of {size} categories: only {len(pool)} resemble the exposed ones in "
            f"{spec.before[0]}; choose another half-year."
        )
    rng = np.random.default_rng(seed)
    inside = np.array([pool[rng.choice(len(pool), size, replace=False)].sum(axis=0) for _ in range(draws)]).T
    with np.errstate(divide="ignore"):  # a set that loses everything falls back furthest
        effects = _less_rest(inside, _elsewhere(households, spec)[:, np.newaxis])
    effect = exposed(households, replace(spec, against="all others")).value[0]
    p = (1 + np.count_nonzero(effects <= effect)) / (1 + draws)
    return Estimate(
        estimand="random sets of categories that fall back as far",
        unit="p",
        terms=("p",),
        value=np.array([p]),
        covariance=np.array([[p * (1 - p) / draws]]),
        n=draws,
        level=spec.level,
        interval="Monte Carlo interval",
        counts={"categories": len(pool), "draws": draws},
        details={
            "effects": effects,
            "exposed": effect,
            "share": float(np.mean(inside[0] / inside[1])),
        },
    )


def recentred(households: Households, spec: Specification = BASELINE, *, draws: int = 9999, seed: int = 0) -> Estimate:
    """Return the effect on exposed categories less the effect expected of a random set of categories, log points.

    Of the exposed categories and those like them, others are called exposed at random, as many as are. The estimate is
    the shift s for which ``effect(s) - mean of effects(s) = 0``, where `effects` are those of all such sets after s has
    been taken off the exposed categories (Hodges and Lehmann). The interval holds the shifts that
    :func:`permutation_test` does not reject, to .001, and p (`details`) is that of no shift in the same test: the
    interval holds zero where p exceeds 1 - level, and nowhere else.

    Raises
    ------
    DesignError
        If windows are not half-years from March or September, or the interval reaches beyond `SHIFTS`.

    References
    ----------
    Borusyak, K. and Hull, P. (2023), Nonrandom exposure to exogenous shocks, Econometrica 91, 2155-2185.
    Rosenbaum, P. R. (2002), Observational Studies, 2nd edition, Springer (inversion of a randomisation test).
    """
    pool, inside = _like_exposed(households, spec), exposed_by_category(households, spec).to_numpy(dtype=float)
    counts, size = np.concatenate([inside, pool]), len(inside)
    order = np.random.default_rng(seed).random((draws, len(counts))).argsort(axis=1)
    sets = np.concatenate([np.arange(size)[np.newaxis], order[:, :size]])
    test = permutation_test(counts, _elsewhere(households, spec) - pool.sum(axis=0), sets)
    gaps, _, p = np.transpose([test(shift) for shift in SHIFTS])
    kept = SHIFTS[p > 1 - spec.level]
    if not len(kept) or np.abs(kept).max() == SHIFTS[-1]:
        raise DesignError(
            f"Cannot find the {spec.level:.0%} interval of the recentred effect: it reaches beyond a halving or a "
            "doubling of the Chinese share; choose a lower level or other half-years."
        )
    effect = np.interp(0.0, -gaps, SHIFTS)
    return Estimate(
        estimand="recentred effect on the Chinese share of exposed categories",
        unit="log points",
        terms=("effect",),
        value=np.array([effect]),
        covariance=np.array([[test(effect)[1] ** 2]]),
        limits=kept[[0, -1], np.newaxis],
        n=draws,
        level=spec.level,
        interval="randomisation interval",
        counts={"categories": len(counts), "draws": draws},
        details={"p": test(0.0)[2]},
    )


def permutation_test(counts: Floats, rest: Floats, sets: Ints) -> Callable[[float], tuple[float, float, float]]:
    """Return the two-sided test that a constant shift is all that sets the exposed categories apart from others.

    The shift is taken off Chinese purchases after in the exposed categories. Each set then has an effect, the change of
    its log Chinese share less that of everything else; a binomial error of its counts c of Chinese and a of all
    purchases, ``sqrt(1/c0 - 1/a0 + 1/c1 - 1/a1)``; and as its statistic the effect, less the mean over sets, over that
    error. The share of sets whose statistic is as large in size as that of the exposed ones is p.

    Parameters
    ----------
    counts : float64[category, 4]
        Purchases, (Chinese, all) before and after.
    rest : float64[4]
        Purchases in categories that no set may contain.
    sets : int64[set, position]
        Categories of each set, the exposed ones first.

    Returns
    -------
    callable
        Maps a shift, log points, to the effect less the mean, its standard error (the error of its counts times the
        standard deviation of the statistic over sets), and p.
    """
    inside, total = counts[sets].sum(axis=1).T, (counts.sum(axis=0) + rest)[:, np.newaxis]
    moved = (counts[:, 2] * np.isin(np.arange(len(counts)), sets[0]))[sets].sum(axis=1)

    def test(shift: float) -> tuple[float, float, float]:
        """Return the gap of the exposed set, its error, and p."""
        off = np.expm1(-shift) * np.array([[0], [0], [1], [0]])
        within, effects = inside + off * moved, _less_rest(inside + off * moved, total + off * moved[0])
        gaps, errors = effects - effects.mean(), np.sqrt(np.array([1, -1, 1, -1]) @ (1 / within))
        ratios = gaps / errors
        return gaps[0], errors[0] * ratios.std(), float(np.mean(np.abs(ratios) >= abs(ratios[0])))

    return test


def recentred_growth(households: Households, effect: Estimate, spec: Specification = BASELINE) -> Estimate:
    """Convert the effect of :func:`recentred` to its part of the growth of all Chinese purchases, percentage points.

    It is the share of exposed categories in Chinese purchases before, times the relative change there; the closed
    sellers' own loss is not included.
    """
    places = (compared(households, spec)["exposed categories"], None)
    inside, bought = (households.sums(spec.before, spec.chinese, place, spec.of).sum() for place in places)
    weight, change = inside / bought, effect.exp()
    return replace(
        change,
        estimand="effect on growth through rivals, recentred",
        unit="percentage points",
        terms=("effect on growth",),
        value=weight * change.value,
        covariance=weight**2 * change.covariance,
        limits=weight * change.conf_int,
    )


def _less_rest(inside: Floats, total: Floats) -> Floats:
    """Return changes of the log Chinese share inside less those of the rest of a total, float64[4, set]."""
    return np.asarray(np.array([-1, 1, 1, -1]) @ np.log(inside / (total - inside)))


def _elsewhere(households: Households, spec: Specification) -> Floats:
    """Return purchases in all categories that are not exposed, float64[(Chinese, all) before and after]."""
    sums = sums_by_window(households, spec, spec.windows, {"all others": AGAINST["all others"]})
    return np.array([by_group.sum() for by_group in sums.values()])


def exposed_by_category(households: Households, spec: Specification = BASELINE) -> pd.DataFrame:
    """Return purchases of each exposed category by name: Chinese brands and all, before and after."""
    rows = households.purchases
    parts = {when: rows[rows["month"].between(*window)] for when, window in spec.windows.items()}
    return _by_category(parts, spec).reindex(compared(households, spec)["exposed categories"]).fillna(0)


def _by_category(parts: Mapping[str, pd.DataFrame], spec: Specification) -> pd.DataFrame:
    """Sum purchases by category: Chinese brands and all, in each part."""
    sums = {
        f"{brands}, {when}": of_classes(rows, classes).groupby("category")["purchases"].sum()
        for when, rows in parts.items()
        for brands, classes in (("Chinese brands", spec.chinese), ("all", None))
    }
    return pd.DataFrame(sums).fillna(0)


def _like_exposed(households: Households, spec: Specification) -> Floats:
    """Return purchases in categories like the exposed ones, float64[category, (Chinese, all) before and after]."""
    windows = spec.windows.values()
    is_half = [half_year(first) == first and last == str(pd.Period(first, "M") + 5) for first, last in windows]
    if not all(is_half) or spec.of != "purchases":
        raise DesignError(
            f"Cannot draw random sets of {spec.of} in {spec.windows}: all categories are counted by half-year from "
            "March or September, and only for purchases; give two such half-years."
        )
    rows = households.half_years
    parts = {when: rows[rows["half_year"] == first] for when, (first, _) in spec.windows.items()}
    by_category = _by_category(parts, spec).drop(index=households.categories["category"], errors="ignore")
    counts = by_category.to_numpy(dtype=float)
    return np.asarray(counts[(counts[:, 1] >= OFTEN) & (counts[:, 0] > LIKE * counts[:, 1])])
