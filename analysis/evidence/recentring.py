"""Recentred effects on exposed categories, as in Borusyak and Hull (2023).

The mean effect on random sets of categories is subtracted from the effect on the exposed ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from fewtreated.errors import DesignError
from fewtreated.estimate import Floats, Ints
from scipy import stats

from analysis.data import load
from analysis.estimate import Estimate, refusal
from analysis.evidence.households import (
    AGAINST,
    ALONE,
    BASELINE,
    EARLIEST,
    OTHER_WINDOWS,
    PLACEBOS,
    Households,
    Specification,
    compared,
    half_year,
    of_classes,
    sums_by_window,
)
from analysis.evidence.totals import third_party_growth

Test = Callable[[float], tuple[float, float, float]]
LIKE = 0.08  # baseline Chinese share above which a category resembles the exposed ones
OFTEN = 40  # fewest order lines of a similar category in the half-year by which it is chosen
SHIFTS = (
    np.arange(-1100, 1101) / 1000
)  # log points searched for an interval, from a third to three times


def recentred(
    households: Households,
    spec: Specification = BASELINE,
    *,
    draws: int = 9999,
    seed: int = 0,
    chosen: str = "",
    only: Sequence[str] = (),
    often: int = OFTEN,
    similar: Sequence[str] = (),
) -> Estimate:
    """Estimate the effect on exposed categories less the mean over random sets, in log points.

    Each set contains as many categories as are exposed, drawn from the exposed ones and those like
    them. A category is like them if at least `often` purchases were made in it in the first window,
    and if brands that are Chinese by name or by the rule had more than `LIKE` of these, whatever
    the definition of the effect: one set of categories serves all definitions. Some categories
    chosen so fall back from a chance high (regression to the mean), which an earlier half-year,
    named by its first month in `chosen`, avoids. `similar` names the categories in place of that
    rule. Exposed categories that are not among `only`, if it is given, are left out of the
    comparison; others in it count as exposed. The estimate is the shift s at which
    ``effect(s) - mean of effects(s) = 0``, where `effects` are those of all sets after s has been
    removed from the exposed categories (Hodges and Lehmann). The interval contains the shifts that
    :func:`permutation_test` does not reject, to the nearest 0.001. In `details`, p is that of no
    shift in the same test, so the interval contains zero if and only if p exceeds 1 - level;
    `effects` are those of the sets at no shift, in log points, and `gaps` the same in percentage
    points, each with that of the exposed categories first; `exposed` is the number of exposed
    categories, and `share` the mean Chinese share of the sets at baseline.

    Raises
    ------
    DesignError
        If the windows are not half-years starting in March or September, or if the interval extends
        beyond `SHIFTS`. A random set without a purchase of a Chinese brand does not raise: the
        estimate is refused, with the reason.

    References
    ----------
    Borusyak, K. and Hull, P. (2023), Nonrandom exposure to exogenous shocks, Econometrica 91,
    2155-2185. Rosenbaum, P. R. (2002), Observational Studies, 2nd edition, Springer (inversion of a
    randomisation test).
    """
    names = [*similar] or like_exposed(households, spec, chosen, often)
    drawn = _draw_sets(households, spec, names, only, draws, seed)
    undefined = int((drawn.within[::2] == 0).any(axis=0).sum())
    if undefined:
        return refusal(
            f"in {undefined:,} of {draws:,} random sets of {drawn.size} categories no Chinese brand"
            " was bought in one of the half-years, so that their change is not defined; choose a"
            " wider definition or later half-years"
        )
    test = permutation_test(drawn.counts, drawn.rest, drawn.sets)
    effect, limits, p = _inverted(test, spec.level)
    details = {
        "p": p,
        "effects": _less_rest(drawn.within, drawn.total),
        "gaps": drawn.gaps,
        "exposed": drawn.size,
        "share": np.mean(drawn.within[0] / drawn.within[1]),
    }
    return Estimate(
        estimand="recentred effect on the Chinese share of exposed categories",
        unit="log points",
        terms=("effect",),
        value=np.array([effect]),
        covariance=np.array([[test(effect)[1] ** 2]]),
        limits=limits[:, np.newaxis],
        n=draws,
        level=spec.level,
        interval="randomisation interval",
        counts={"categories": len(drawn.counts), "draws": draws},
        details=details,
    )


@dataclass(frozen=True, eq=False)
class _Sets:
    """Random sets of exposed and similar categories; the first is that of the exposed ones.

    `counts`, float64[category, 4], and `rest`, float64[4], are as in :func:`permutation_test`, as
    is `sets`, int64[set, position].
    """

    counts: Floats
    rest: Floats
    sets: Ints

    @property
    def size(self) -> int:
        """Number of categories in a set."""
        return len(self.sets[0])

    @cached_property
    def within(self) -> Floats:
        """Purchases in each set, float64[4, set]."""
        return np.asarray(self.counts[self.sets].sum(axis=1).T)

    @property
    def total(self) -> Floats:
        """All purchases, float64[4, 1]."""
        return np.asarray((self.counts.sum(axis=0) + self.rest)[:, np.newaxis])

    @property
    def gaps(self) -> Floats:
        """Change in the Chinese share of each set less that of the rest, percentage points."""
        outside = self.total - self.within
        apart = self.within[::2] / self.within[1::2] - outside[::2] / outside[1::2]
        return np.asarray(100 * (apart[1] - apart[0]))


def _draw_sets(
    households: Households,
    spec: Specification,
    names: Sequence[str],
    only: Sequence[str],
    draws: int,
    seed: int,
) -> _Sets:
    """Draw sets from the exposed categories and the named similar ones."""
    counted = _by_half_year(households, spec)
    pool = counted.reindex(names, fill_value=0.0).to_numpy()
    listed = exposed_by_category(households, spec)
    added = counted.loc[[name for name in only if name not in listed.index]]
    both = pd.concat([listed, added.set_axis(listed.columns, axis=1)])
    exposed = both.loc[[*only] or listed.index]
    counts = np.concatenate([exposed, pool])
    size = len(exposed)
    order = np.random.default_rng(seed).random((draws, len(counts))).argsort(axis=1)
    sets = np.concatenate([np.arange(size)[np.newaxis], order[:, :size]])
    groups = {"all others": AGAINST["all others"]}
    others = sums_by_window(households, spec, spec.windows, groups)
    sums = np.array([by_group.sum() for by_group in others.values()])
    return _Sets(counts, sums - pool.sum(axis=0) - added.to_numpy().sum(axis=0), sets)


def _inverted(test: Test, level: float) -> tuple[float, Floats, float]:
    """Invert a test: return the effect, its limits, and the p value of no shift."""
    gaps, _, p = np.transpose([test(shift) for shift in SHIFTS])
    kept = SHIFTS[p > 1 - level]
    if not len(kept) or np.abs(kept).max() == SHIFTS[-1]:
        raise DesignError(
            f"Cannot find the {level:.0%} interval of the recentred effect: it extends beyond"
            " a third or three times the Chinese share; choose a lower level or other half-years"
        )
    return float(np.interp(0.0, -gaps, SHIFTS)), kept[[0, -1]], p[SHIFTS == 0.0].item()


def recentred_by_choice(
    households: Households, spec: Specification = BASELINE, **options: Any
) -> dict[str, Estimate]:
    """Re-estimate :func:`recentred` with one choice changed at a time, by label.

    The first is the estimate as specified, and the last are placebos. `options` are those of
    :func:`recentred`.
    """
    own = exposed_by_category(households, replace(spec, definition="either"))
    sourced = households.categories.dropna(subset="source_url")["category"]
    year_earlier = next(iter(PLACEBOS.values()))["before"][0]
    ways: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
        "as above": ({}, {}),
        **{
            label: ({"definition": name}, {})
            for name, label in ALONE.items()
            if name != spec.definition
        },
        "similar categories chosen by their share a year earlier": ({}, {"chosen": year_earlier}),
        "closed accounts’ categories chosen by the rule for similar ones": (
            {},
            {"only": own.index[_alike(own)]},
        ),
        "only categories for which we can cite a source": ({}, {"only": sourced}),
        **{label: (months, {}) for label, months in {**OTHER_WINDOWS, **PLACEBOS}.items()},
    }
    return {
        of: recentred(households, replace(spec, **way), **options, **more)
        for of, (way, more) in ways.items()
    }


def widened_by_placebos(effect: Estimate, early: Iterable[Estimate]) -> Estimate:
    """Widen the interval of a recentred effect by the larger of its placebos.

    This allows for lost titles.

    Titles were lost before the closures, too, so the larger placebo, taken without its sign, is the
    most by which they have moved the effect in an `early` year.
    """
    return replace(
        effect,
        limits=effect.conf_int + max(abs(of.value[0]) for of in early) * np.array([[-1], [1]]),
    )


def permutation_test(counts: Floats, rest: Floats, sets: Ints) -> Test:
    """Build a test of whether exposed categories differ from others only by a constant shift.

    The test is two-sided.

    The shift is removed from Chinese purchases in the exposed categories in the second window. The
    effect of a set is then the change in its log Chinese share less that of all other categories.
    Its binomial standard error, from counts c of Chinese and a of all purchases, is
    ``sqrt(1/c0 - 1/a0 + 1/c1 - 1/a1)``. The statistic is the effect, less the mean over sets,
    divided by that standard error, and p is the share of sets whose statistic is at least as large
    in absolute value as that of the exposed ones.

    Parameters
    ----------
    counts : float64[category, 4]
        Purchases, (Chinese, all) before and after.
    rest : float64[4]
        Purchases in categories that no set may contain.
    sets : int64[set, position]
        Categories in each set; the first set is that of the exposed ones.

    Returns
    -------
    callable
        Maps a shift, log points, to the effect less the mean, its standard error (the binomial one
        times the standard deviation of the statistic over sets), and p.
    """
    inside = counts[sets].sum(axis=1).T
    outside = (counts.sum(axis=0) + rest)[:, np.newaxis] - inside
    moved = (counts[:, 2] * np.isin(np.arange(len(counts)), sets[0]))[sets].sum(axis=1)
    moved_outside = moved[0] - moved
    # A shift moves Chinese purchases after (row 2) alone: the rest is worked out once.
    fixed = [0, 1, 3]
    unmoved = np.array([-1, 1, -1]) @ np.log(inside[fixed] / outside[fixed])
    variance = np.array([1, -1, -1]) @ (1 / inside[fixed])

    def test(shift: float) -> tuple[float, float, float]:
        """Return the gap for the exposed set, its standard error and its p-value."""
        off = np.expm1(-shift)
        within = inside[2] + off * moved
        effects = unmoved + np.log(within / (outside[2] + off * moved_outside))
        gaps = effects - effects.mean()
        errors = np.sqrt(variance + 1 / within)
        ratios = gaps / errors
        return gaps[0], errors[0] * ratios.std(), float(np.mean(np.abs(ratios) >= abs(ratios[0])))

    return test


def recentred_growth(
    households: Households, effect: Estimate, spec: Specification = BASELINE
) -> Estimate:
    """Convert the effect of :func:`recentred` to points of Chinese sellers' growth in 2021.

    The result is in percentage points.

    It is the exposed categories' baseline share of Chinese purchases, `details["weight"]`, times
    the relative change there, times sales in 2021 over those in 2020: the change is a part of
    2021's sales, growth one of 2020's. The ratio is that of all third-party sales, as published;
    `details["scale"]` is the product of share and ratio. The closed sellers' own loss is not
    included.
    """
    places = (compared(households, spec)["exposed categories"], None)
    inside, bought = (
        households.sums(spec.before, spec.chinese, place, spec.of).sum() for place in places
    )
    scale = inside / bought * (1 + third_party_growth().values["2021"] / 100)
    change = effect.exp()
    return replace(
        change,
        estimand="effect on growth through rivals, recentred",
        unit="percentage points",
        terms=("effect on growth",),
        value=scale * change.value,
        covariance=scale**2 * change.covariance,
        limits=scale * change.conf_int,
        details={"weight": inside / bought, "scale": scale},
    )


def _less_rest(inside: Floats, total: Floats) -> Floats:
    """Return the change in the log Chinese share in each set, less the change outside it.

    The result is float64[set].
    """
    return np.asarray(np.array([-1, 1, 1, -1]) @ np.log(inside / (total - inside)))


def exposed_by_category(households: Households, spec: Specification = BASELINE) -> pd.DataFrame:
    """Sum purchases of Chinese brands and of all brands in each exposed category and window."""
    rows = households.purchases
    parts = {when: rows[rows["month"].between(*window)] for when, window in spec.windows.items()}
    return (
        _by_category(parts, spec)
        .reindex(compared(households, spec)["exposed categories"])
        .fillna(0)
    )


def _by_category(parts: Mapping[str, pd.DataFrame], spec: Specification) -> pd.DataFrame:
    """Sum purchases of Chinese brands and of all brands by category and window.

    `parts` contains the rows of each window.
    """
    sums = {
        f"{brands}, {when}": of_classes(rows, classes).groupby("category")["purchases"].sum()
        for when, rows in parts.items()
        for brands, classes in (("Chinese brands", spec.chinese), ("all", None))
    }
    return pd.DataFrame(sums).fillna(0)


def similar_shares(households: Households, spec: Specification = BASELINE) -> pd.DataFrame:
    """Return the Chinese share in all categories that resemble the exposed ones.

    It is by half-year, in per cent.

    Columns are `term` (first month), `estimate`, and `conf_low` and `conf_high`, from binomial
    errors.
    """
    similar = like_exposed(households, spec)
    rows = households.half_years
    rows = rows[rows["category"].isin(similar) & (rows["half_year"] >= EARLIEST)]
    chinese, every = (
        of.groupby("half_year")["purchases"].sum() for of in (of_classes(rows, spec.chinese), rows)
    )
    share = chinese / every
    half = stats.norm.ppf((1 + spec.level) / 2) * np.sqrt(share * (1 - share) / every)
    ends = {"estimate": share, "conf_low": share - half, "conf_high": share + half}
    return (100 * pd.DataFrame(ends)).rename_axis("term").reset_index()


def like_exposed(
    households: Households, spec: Specification = BASELINE, chosen: str = "", often: int = OFTEN
) -> list[str]:
    """Return the categories that resemble the exposed ones, as :func:`recentred` chooses them.

    `chosen` is the first month of the half-year by which they are chosen, the first window's by
    default. A category in which a page shows that closed brands sold is never among them.
    """
    rows = households.half_years[households.half_years["half_year"] == (chosen or spec.before[0])]
    by_category = _by_category({"chosen": rows}, replace(spec, definition="either"))
    sold_by_closed = {*households.categories["category"], *load("household_pages")["category"]}
    alike = _alike(by_category, often) & ~by_category.index.isin(sold_by_closed)
    return [*by_category.index[alike]]


def categories_on_early_pages() -> list[str]:
    """Return the categories in which closed brands sold by pages of 2018 to 2020 alone.

    They follow from the pages, whose products were matched to categories without regard to what was
    bought.
    """
    return [*load("household_pages")["category"].unique()]


def _by_half_year(households: Households, spec: Specification) -> pd.DataFrame:
    """Sum purchases before and after in each category counted by half-year.

    There are sums for Chinese brands and for all.
    """
    windows = spec.windows.values()
    is_half = [
        half_year(first) == first and last == str(pd.Period(first, "M") + 5)
        for first, last in windows
    ]
    if not all(is_half) or spec.of != "purchases":
        raise DesignError(
            f"Cannot draw random sets for {spec.of} in {' and '.join(map(' to '.join, windows))}:"
            " outside the exposed categories, purchases are known only by half-year from March or"
            " September; use purchases in two of these"
        )
    rows = households.half_years
    parts = {when: rows[rows["half_year"] == first] for when, (first, _) in spec.windows.items()}
    return _by_category(parts, spec).astype(float)


def _alike(by_category: pd.DataFrame, often: int = OFTEN) -> pd.Series:
    """Select categories with enough purchases and a high Chinese share.

    They have both in the first of their windows. The result is bool.
    """
    chinese = by_category.iloc[:, 0]
    every = by_category.iloc[:, 1]
    return (every >= often) & (chinese > LIKE * every)
