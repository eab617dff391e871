"""How far the fall back in exposed categories bends: asked otherwise, a year early, without a category, drifting.

And how much purchases without a title leave open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.errors import DesignError
from analysis.estimands.design import estimand, in_rows
from analysis.estimate import Estimate
from analysis.estimators.honest_did import Bounds, honest_bounds
from analysis.households.estimates import (
    AGAINST,
    CHINESE,
    OF,
    USUAL,
    Asked,
    Households,
    exposed,
    growth_of_stayers,
    path,
    share,
    through_spared,
)
from analysis.households.purchases import BLANK, UNKNOWN
from analysis.numbers import number, percent_change

Interval = tuple[float, float]
WOULD_SETTLE = "The complete purchase records, with the purchases whose title is blank, and the brand of each product."

OTHER_MONTHS = {
    "whole years, May 2020 to April 2021 against September 2021 to August 2022": {
        "before": ("2020-05", "2021-04"),
        "after": ("2021-09", "2022-08"),
    },
    "months of the closures, May to August 2020 against 2021": {
        "before": ("2020-05", "2020-08"),
        "after": ("2021-05", "2021-08"),
    },
}
PLACEBOS = {
    "a year earlier": {"before": ("2019-09", "2020-02"), "after": ("2020-09", "2021-02")},
    "two years earlier": {"before": ("2018-09", "2019-02"), "after": ("2019-09", "2020-02")},
}


def otherwise(households: Households, asked: Asked = USUAL) -> pd.DataFrame:
    """Return rows of :func:`exposed`, as they are asked and with one thing asked otherwise at a time, per cent."""
    other: dict[str, dict[str, Any]] = {
        **{f"definition {name}": {"definition": name} for name in CHINESE if name != asked.definition},
        **{f"against {name}": {"against": name} for name in AGAINST if name != asked.against},
        **{f"{name}": {"of": name} for name in OF if name != asked.of},
        **OTHER_MONTHS,
    }
    return _rows(
        households, asked, {f"as asked: definition {asked.definition}, against {asked.against}, {asked.of}": {}} | other
    )


def placebos(households: Households, asked: Asked = USUAL) -> pd.DataFrame:
    """Return rows of :func:`exposed` in months in which nothing had been closed, per cent."""
    return _rows(households, asked, PLACEBOS)


def _rows(households: Households, asked: Asked, changes: dict[str, dict[str, Any]]) -> pd.DataFrame:
    found = {label: exposed(households, replace(asked, **change)).exp() for label, change in changes.items()}
    return in_rows([("E2a", label, one) for label, one in found.items()], "per cent")


def without_each(households: Households, asked: Asked = USUAL) -> pd.Series:
    """Return the effect without each exposed category, by its name from the lowest, per cent."""
    names = households.categories["category"]
    effects = [exposed(households, replace(asked, without=(name,))).exp().value[0] for name in names]
    return pd.Series(effects, index=names.str.replace("_", " ")).sort_values()


def with_drift(households: Households, asked: Asked = USUAL) -> Bounds:
    """Bound the effect if exposed categories had drifted apart anyway, by the half-years since September 2018.

    The reference is the half-year before the closures, the target the one after them, so that between them lies one in
    which the closures fall.
    """
    by_half_year = path(households, asked)
    terms = by_half_year.terms
    at, target = terms.index(asked.before[0]), terms.index(asked.after[0])
    change = by_half_year.delta_method(
        lambda log: {term: log[place] - log[at] for place, term in enumerate(terms) if place != at},
        estimand="E2a by half-year",
        unit=by_half_year.unit,
    )
    after = len(terms) - 1 - at
    weights = np.eye(after)[target - at - 1]
    return honest_bounds(change.value, change.cov_small_sample, at, after, target=weights, level=asked.level)


def bounded(households: Households, closed: float, asked: Asked = USUAL) -> dict[str, Interval]:
    """Return intervals by id that allow for closed firms and for the largest loss of titles that may have been.

    Older purchases are likelier to have lost their title, and of some brands likelier than of others. How fast cannot
    be seen, but it was at work in the years before the closures too: at most, nothing else raised the Chinese share
    then, and nothing else moved it apart in exposed categories. So ``V1``, growth of Chinese brands by people active in
    both half-years, per cent, and ``V3``, the change of their share, points, are taken down by up to the largest yearly
    rise of the log share before, and by what closed firms sold; ``E2a``, log points, and ``E3g_spared``, what that is
    of growth, points, go either way by the largest yearly change of the log ratio before. The errors of sampling are
    added at the ends; the losses are taken as they are.

    Parameters
    ----------
    households : Households
    closed : float
        Largest share of Chinese sales before that closed firms may have had, which no purchase with a title holds.
    asked : Asked

    Raises
    ------
    DesignError
        When no year lies before.
    """
    first = households.buyers["month"].min()
    early = [replace(asked, before=months["before"], after=months["after"]) for months in PLACEBOS.values()]
    early = [one for one in early if one.before[0] >= first]
    if not early:
        raise DesignError(
            f"the loss of titles was asked for; purchases begin in {first}; bring those of two years before"
        )
    shares = [share(households, one).value for one in early]
    risen = max(0.0, *(float(np.log(after / before)) for before, after, _ in shares))
    moved = max(float(abs(exposed(households, one).value[0])) for one in early)

    def ends(found: Estimate, lowest: Callable[[Any], Any], highest: Callable[[Any], Any]) -> Interval:
        both = found.delta_method(
            lambda value: {"lowest": lowest(value), "highest": highest(value)}, estimand="bounded", unit=found.unit
        ).conf_int
        return float(both[0, 0]), float(both[1, 1])

    left = 1 - closed
    return {
        "V1": ends(
            growth_of_stayers(households, asked),
            lambda grown: left * (100 + grown[0]) * np.exp(-risen) - 100,
            lambda grown: grown[0],
        ),
        "V3": ends(
            share(households, asked),
            lambda of: of[1] * np.exp(-risen) - of[0] / left,
            lambda of: of[1] - of[0],
        ),
        "E2a": ends(exposed(households, asked), lambda effect: effect[0] - moved, lambda effect: effect[0] + moved),
        "E3g_spared": ends(
            through_spared(households, asked),
            lambda of: (of[0] + of[1]) * np.exp(-moved) - of[0],
            lambda of: (of[0] + of[1]) * np.exp(moved) - of[0],
        ),
    }


def widest(bounded: Mapping[str, Interval], growth: Interval) -> pd.DataFrame:
    """Return the intervals of :func:`bounded`, and what they leave of the effect on growth, as rows to show."""
    rows = [
        ("change of the Chinese share", *bounded["V3"], "percentage points"),
        ("growth of Chinese brands", *bounded["V1"], "per cent"),
        ("Chinese share where closed brands had sold", *percent_change(np.array(bounded["E2a"])), "per cent"),
        ("effect on the growth of all Chinese sellers", *growth, "percentage points"),
    ]
    return pd.DataFrame(rows, columns=["label", "low", "high", "unit"])


def headline(paths: Mapping[str, Estimate], asked: Asked = USUAL) -> str:
    """Say what happened to the two shares between the half-years that are compared, as their numbers are written.

    `paths` are as :func:`analysis.households.estimates.shares_by_place` returns them.
    """
    ways = []
    for found in paths.values():
        before, after = (found.value[found.terms.index(half[0])] for half in (asked.before, asked.after))
        first, last = number(before, 0), number(after, 0)
        moved = f"{'grew' if after > before else 'fell'} from {first} to {last}"
        ways.append(f"kept {last}" if first == last else moved)
    return f"Where brands had been closed, Chinese brands {ways[0]} per cent of purchases; elsewhere they {ways[1]}"


def blank_bounds(households: Households, asked: Asked = USUAL) -> Estimate:
    """Bound the Chinese share of all purchases and its change: of those without a title all are Chinese, or none.

    Nothing is assumed of who lost a title: the change is least if all are Chinese before and none after.

    Returns
    -------
    Estimate
        Terms before, after and change, percentage points, without a point: `set_low` and `set_high` are the ends, and
        intervals go from the lower limit of the one to the upper limit of the other.

    Raises
    ------
    DesignError
        When all purchases have a title, as in the public part.

    References
    ----------
    Manski, C. F. (1989), Anatomy of the selection problem, Journal of Human Resources 24, 343-360. Manski, C. F.
    (2003), Partial Identification of Probability Distributions, Springer.
    """

    def ends_of_the_chinese_share(*totals: Any) -> dict[str, Any]:
        least, most, all_, least_after, most_after, all_after = totals
        low, high = 100 * least / all_, 100 * most / all_
        low_after, high_after = 100 * least_after / all_after, 100 * most_after / all_after
        ends = (low, high, low_after, high_after, low_after - high, high_after - low)
        return {str(place): end for place, end in enumerate(ends)}

    _check_blanks(households)
    sums = {}
    for when, window in {"before": asked.before, "after": asked.after}.items():
        sums[f"Chinese brands, {when}"] = households.sums(window, asked.chinese, of=asked.of)
        sums[f"Chinese brands and blank, {when}"] = households.sums(window, [*asked.chinese, BLANK], of=asked.of)
        sums[f"all, {when}"] = households.everything(window, asked.of)
    ends = households.jackknife(sums, ends_of_the_chinese_share, "percentage points", asked.level)
    if ends.refused:
        return ends
    return replace(
        ends,
        estimand="Chinese share of all purchases, blank titles Chinese or not",
        terms=("before", "after", "change"),
        value=np.full(3, np.nan),
        scores=None,
        covariance=None,
        limits=np.array([ends.conf_int[0, ::2], ends.conf_int[1, 1::2]]),
        columns={"set_low": ends.value[::2], "set_high": ends.value[1::2]},
        interval="bounds",
        reason=ends.reason or "a set has no point; intervals are wider than set_low to set_high by sampling errors",
    )


def blanks_by_month(households: Households) -> pd.DataFrame:
    """Return the share of purchases without a title, per cent, by month and class of category.

    Those that a table of products gave a brand are not counted as blank; a share of no purchases is NaN, and tables in
    which all have a title are a DesignError.
    """
    _check_blanks(households)
    rows = households.purchases
    listed = rows["category"].isin(households.categories["category"])
    rows = rows.assign(category=rows["category"].mask(listed, "exposed"))
    rows = pd.concat([rows, rows.assign(category="all")])
    blank = rows["purchases"].where(rows["origin_class"] == BLANK, 0)
    sums = rows.assign(blank=blank).groupby(["month", "category"])[["blank", "purchases"]].sum()
    shares = (100 * sums["blank"] / sums["purchases"]).unstack()
    return shares.reindex(columns=["exposed", *AGAINST["all others"], UNKNOWN, "all"])


def _check_blanks(households: Households) -> None:
    if not (households.purchases["origin_class"] == BLANK).any():
        raise DesignError(
            "purchases without a title were asked for; all in these tables have one, as in the public part; count the "
            "whole file (docs/households.md)"
        )


@estimand
def drawn(sets: Estimate) -> dict[str, np.ndarray]:
    """Return the effect and those of random sets of categories, per cent, by what they are, the actual one first."""
    effects = percent_change(np.r_[sets.details["exposed"], sets.details["effects"]])
    return {f"{sets.counts['draws']:,} random sets of categories": effects}
