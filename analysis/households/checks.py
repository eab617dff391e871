"""How far the fall back in exposed categories bends: asked otherwise, a year early, without a category, drifting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.estimands.design import in_rows
from analysis.estimate import Estimate
from analysis.estimators.honest_did import Bounds, honest_bounds
from analysis.households.estimates import AGAINST, CHINESE, USUAL, Asked, Households, exposed, path
from analysis.numbers import percent_change

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
        **{f"{name}": {"of": name} for name in ("purchases", "units", "spend") if name != asked.of},
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
    change = by_half_year.transform(
        lambda log: {term: log[place] - log[at] for place, term in enumerate(terms) if place != at},
        estimand="E2a by half-year",
        unit=by_half_year.unit,
    )
    after = len(terms) - 1 - at
    weights = np.eye(after)[target - at - 1]
    return honest_bounds(change.value, change.widened, at, after, target=weights, level=asked.level)


def drawn(sets: Estimate) -> dict[str, np.ndarray]:
    """Return the effect and those of random sets of categories, per cent, by what they are, the actual one first."""
    effects = percent_change(np.r_[sets.details["exposed"], sets.details["effects"]])
    return {f"{sets.counts['draws']:,} random sets of categories": effects}
