"""The effect on exposed categories less the mean effect on random sets of others (Borusyak and Hull's recentring)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.errors import DesignError
from analysis.estimands.design import estimand
from analysis.estimate import Estimate, Floats
from analysis.evidence.households import (
    AGAINST,
    BASELINE,
    Households,
    Specification,
    compared,
    exposed,
    half_year,
    log_ratios,
    of_classes,
    sums_by_window,
)

LIKE = 0.08  # Chinese share before, above which a category resembles the exposed ones
OFTEN = 40  # fewest order lines before for a usable share


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
        One term, p, with its Monte Carlo error; `details` has `effects` of the draws and `exposed`, log points, with
        `std_errors` and `std_error` by category, and `share`, the mean Chinese share of the sets before.

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
    elsewhere = {"all others": AGAINST["all others"]}
    total = np.array([[sums.sum()] for sums in sums_by_window(households, spec, spec.windows, elsewhere).values()])
    rng = np.random.default_rng(seed)
    sets = [rng.choice(len(pool), size, replace=False) for _ in range(draws)]
    inside = np.array([pool[chosen].sum(axis=0) for chosen in sets]).T
    outside = total - inside
    with np.errstate(divide="ignore"):  # a set that loses everything falls back furthest
        first, last = log_ratios([*inside[:2], *outside[:2], *inside[2:], *outside[2:]])
    effects, effect = last - first, exposed(households, replace(spec, against="all others")).value[0]
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
            "std_errors": np.array([_by_category(pool[chosen]) for chosen in sets]),
            "std_error": _by_category(exposed_by_category(households, spec).to_numpy()),
            "share": float(np.mean(inside[0] / inside[1])),
        },
    )


def recentred(sets: Estimate) -> Estimate:
    """Return the effect on exposed categories less the mean of random sets, log points.

    If categories with a high Chinese share fall back anyway, the effect expected without closures is that mean, not
    zero. Interval and p (`details`) invert the randomisation test of effects over their standard errors.

    References
    ----------
    Borusyak, K. and Hull, P. (2023), Nonrandom exposure to exogenous shocks, Econometrica 91, 2155-2185.
    """
    effects, std_error = sets.details["effects"], sets.details["std_error"]
    effect = sets.details["exposed"] - effects.mean()
    ratios = (effects - effects.mean()) / sets.details["std_errors"]
    low, high = np.quantile(ratios, [(1 - sets.level) / 2, (1 + sets.level) / 2])
    p = (1 + np.count_nonzero(np.abs(ratios) >= abs(effect / std_error))) / (1 + len(ratios))
    return replace(
        sets,
        estimand="recentred effect on the Chinese share of exposed categories",
        unit="log points",
        terms=("effect",),
        value=np.array([effect]),
        covariance=np.array([[std_error**2]]),
        limits=np.array([[effect - high * std_error], [effect - low * std_error]]),
        interval="randomisation interval",
        details={**sets.details, "p": p},
    )


def recentred_growth(households: Households, effect: Estimate, spec: Specification = BASELINE) -> Estimate:
    """Convert the effect of :func:`recentred` to its part of the growth of all Chinese purchases, percentage points.

    It is the share of exposed categories in Chinese purchases before, times the relative change there; the closed
    sellers' own loss is not included.
    """
    places = (compared(households, spec)["exposed categories"], None)
    inside, bought = (households.sums(spec.before, spec.chinese, place, spec.of).sum() for place in places)
    weight = 100 * inside / bought
    return replace(
        effect,
        estimand="effect on growth through rivals, recentred",
        unit="percentage points",
        terms=("effect on growth",),
        value=weight * np.expm1(effect.value),
        covariance=effect.covariance * (weight * np.exp(effect.value[0])) ** 2,
        limits=weight * np.expm1(effect.conf_int),
    )


def _by_category(sums: Floats) -> float:
    """Return the standard error of a log ratio of shares, from float64[category, (Chinese, all) before and after]."""
    before, total, after, total_after = (sums / sums.sum(axis=0)).T
    scores = after - total_after - before + total
    return float(np.sqrt((scores**2).sum() * len(sums) / (len(sums) - 1)))


def exposed_by_category(households: Households, spec: Specification = BASELINE) -> pd.DataFrame:
    """Return purchases of each exposed category by name: Chinese brands and all, before and after."""
    rows = households.purchases
    sums = {
        f"{brands}, {when}": of_classes(rows[rows["month"].between(*window)], classes)
        .groupby("category")["purchases"]
        .sum()
        for when, window in spec.windows.items()
        for brands, classes in (("Chinese brands", spec.chinese), ("all", None))
    }
    return pd.DataFrame(sums).reindex(households.categories["category"]).fillna(0)


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
    sums = [
        of_classes(rows[rows["half_year"] == first], classes).groupby("category")["purchases"].sum()
        for first, _ in windows
        for classes in (spec.chinese, None)
    ]
    by_category = pd.concat(sums, axis=1).fillna(0).drop(index=households.categories["category"], errors="ignore")
    counts = by_category.to_numpy(dtype=float)
    return np.asarray(counts[(counts[:, 1] >= OFTEN) & (counts[:, 0] > LIKE * counts[:, 1])])
