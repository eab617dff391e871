"""Chinese brands in household purchases: share, growth, and the effect of the closures on them.

Estimates are functions of sums over groups of buyers. Standard errors come from leaving out one
group at a time (a jackknife) and, where exposed categories are compared with others, from shocks to
their sellers. Robustness checks cover other specifications, placebo years, lost titles and drift.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fewtreated.errors import DataError, DesignError
from fewtreated.estimate import NO_SPREAD, Floats

from analysis.data import DATA, load
from analysis.estimate import Estimate, refusal

SAID = {
    "by name": "by name, from our list",
    "by rule": "by a rule",
    "either": "by name or by a rule",
}
"""The three definitions of a Chinese brand in words."""

CHINESE = {
    "by name": ["named_chinese"],
    "by rule": ["pseudo_brand"],
    "either": ["named_chinese", "pseudo_brand"],
}
"""Classes of origin under each of the three definitions of a Chinese brand."""

ALONE = {
    "by name": "Chinese brands by name alone",
    "by rule": "Chinese brands by a rule alone",
    "either": "Chinese brands by name or by a rule",
}
"""Labels of the three definitions."""

AGAINST = {
    "all others": ["other electronics", "everything else"],
    "other electronics": ["other electronics"],
}
"""Comparison categories for the exposed ones."""

OF = ("purchases", "units", "spend")
"""Quantities that can be summed."""

# class of origin, and category, of purchases that name none
BLANK = "blank"
UNKNOWN = "not known"
Window = tuple[str, str]
Interval = tuple[float, float]
EARLIEST = "2018-09"  # first half-year shown in figures

OTHER_WINDOWS: dict[str, dict[str, Any]] = {
    "half-year of the closures, from March 2021": {
        "before": ("2020-03", "2020-08"),
        "after": ("2021-03", "2021-08"),
    },
    "over two years, without Prime Day": {
        "before": ("2019-09", "2020-02"),
        "after": ("2021-09", "2022-02"),
    },
}
PLACEBOS: dict[str, dict[str, Any]] = {
    "no closures yet: a year earlier": {
        "before": ("2019-09", "2020-02"),
        "after": ("2020-09", "2021-02"),
    },
    "no closures yet: two years earlier": {
        "before": ("2018-09", "2019-02"),
        "after": ("2019-09", "2020-02"),
    },
}


@dataclass(frozen=True)
class Specification:
    """Specification of a comparison: definition, categories, quantity and windows.

    Attributes
    ----------
    definition : {"by name", "by rule", "either"}
        Definition of a Chinese brand: on a list, by the rule, or one of the two. Report 05 measures
        by name. Report 02 and the audit of the method take either.
    against : {"all others", "other electronics"}
        Comparison categories for the exposed ones.
    of : {"purchases", "units", "spend"}
    before, after : (str, str)
        First and last month, YYYY-MM, of two windows of the same length and calendar months.
    level : float
        Coverage of intervals.
    """

    definition: str = "either"
    against: str = "all others"
    of: str = "purchases"
    before: Window = ("2020-09", "2021-02")
    after: Window = ("2021-09", "2022-02")
    level: float = 0.95

    def __post_init__(self) -> None:
        """Raise DesignError if the definition, comparison or quantity is unknown."""
        for name, choices in {"definition": CHINESE, "against": AGAINST, "of": OF}.items():
            if (given := getattr(self, name)) not in choices:
                raise DesignError(
                    f"Cannot use {name}={given!r}; choose one of {', '.join(choices)}"
                )

    @property
    def chinese(self) -> list[str]:
        """Classes of origin that count as Chinese."""
        return CHINESE[self.definition]

    @property
    def windows(self) -> dict[str, Window]:
        """Windows by name: ``"before"`` and ``"after"``."""
        return {"before": self.before, "after": self.after}


BASELINE = Specification()


@dataclass(frozen=True)
class Households:
    """Household purchase tables, loaded from ``data/households`` or counted from the whole file.

    `closed` is None unless a table of products supplied the brands of purchases without a title.
    """

    purchases: pd.DataFrame
    buyers: pd.DataFrame
    categories: pd.DataFrame
    half_years: pd.DataFrame
    closed: pd.DataFrame | None = None

    @classmethod
    def load(cls, root: Path = DATA) -> Households:
        """Load the tables from a data folder."""
        public = [name for name in cls.__dataclass_fields__ if name != "closed"]
        return cls(**{name: load(f"household_{name}", root=root) for name in public})

    @classmethod
    def read(cls, folder: Path) -> Households:
        """Read the tables written to a folder by the `purchases` command."""
        files = {name: folder / f"{name}.csv" for name in cls.__dataclass_fields__}
        tables = {name: pd.read_csv(file) for name, file in files.items() if file.is_file()}
        if absent := [name for name in files if name not in tables and name != "closed"]:
            do = "count the purchase file again with --out"
            raise DataError(
                f"Cannot read the household tables from {folder}: {absent[0]}.csv is missing; {do}"
            )
        return cls(**tables)

    @cached_property
    def groups(self) -> pd.Index:
        """Sorted buyer groups."""
        return pd.Index(np.unique(self.buyers["buyer_group"]), name="buyer_group")

    def sums(
        self,
        window: Window,
        classes: Sequence[str] | None = None,
        categories: Sequence[str] | None = None,
        of: str = "purchases",
    ) -> Floats:
        """Sum titled purchases by buyer group, float64[group].

        Parameters
        ----------
        window : (str, str)
            First and last month, YYYY-MM.
        classes, categories : sequence of str, optional
            Classes of origin and categories to include; all by default.
        of : {"purchases", "units", "spend"}
        """
        rows = of_classes(self.purchases[self.purchases["month"].between(*window)], classes)
        return self._by_group(
            rows if categories is None else rows[rows["category"].isin(categories)], of
        )

    def everything(self, window: Window, of: str) -> Floats:
        """Sum all purchases, with or without a title, by buyer group, float64[group]."""
        return self._by_group(self.purchases[self.purchases["month"].between(*window)], of)

    def of_closed(self, window: Window, of: str) -> Floats:
        """Sum purchases from closed sellers by buyer group, float64[group].

        Raises DesignError if closed sellers are not identified.
        """
        if self.closed is None:
            raise DesignError(
                "Cannot estimate the loss of closed brands: closed.csv, with purchases of these"
                " brands, is missing. Count the whole file with a table of products (purchases"
                " amazon-purchases.csv --brands PRODUCTS --out FOLDER, where PRODUCTS has the"
                " columns parent_asin and store), then read FOLDER."
            )
        return self._by_group(self.closed[self.closed["month"].between(*window)], of)

    def _by_group(self, rows: pd.DataFrame, of: str) -> Floats:
        sums = rows.groupby("buyer_group")[of].sum().reindex(self.groups, fill_value=0)
        return np.asarray(sums, dtype=float)

    def jackknife(
        self,
        sums: Mapping[str, Floats],
        function: Callable[..., Mapping[str, Any]],
        unit: str,
        level: float,
        may_be_zero: Collection[str] = (),
    ) -> Estimate:
        """Estimate a function of named sums, with jackknife standard errors over buyer groups."""
        if absent := [
            name
            for name, by_group in sums.items()
            if not by_group.any() and name not in may_be_zero
        ]:
            return refusal(
                f"these sums of purchases are zero: {', '.join(absent)}; choose other months or"
                " categories"
            )
        scores = np.column_stack([*sums.values()])
        totals = Estimate(
            estimand=function.__name__.replace("_", " "),
            unit=unit,
            terms=tuple(sums),
            value=scores.sum(axis=0),
            scores=scores,
            clusters=self.groups.to_numpy(),
            counts={"buyer_groups": len(self.groups)},
            n=len(self.groups),
            level=level,
        )
        return totals.jackknife(lambda total: function(*total), estimand=totals.estimand, unit=unit)


def of_classes(rows: pd.DataFrame, classes: Sequence[str] | None) -> pd.DataFrame:
    """Select purchases in the given classes of origin; by default, all that have a title."""
    if classes is None:
        return rows[rows["origin_class"] != BLANK]
    return rows[rows["origin_class"].isin(classes)]


def sums_by_window(
    households: Households,
    spec: Specification,
    windows: Mapping[str, Window],
    places: Mapping[str, Sequence[str] | None],
) -> dict[str, Floats]:
    """Sum purchases of Chinese brands and of all brands by window, category set and buyer group."""
    return {
        f"{brands}{f' in {place}' if place else ''}, {when}": households.sums(
            window, classes, categories, spec.of
        )
        for when, window in windows.items()
        for place, categories in places.items()
        for brands, classes in (("Chinese brands", spec.chinese), ("all", None))
    }


def compared(households: Households, spec: Specification) -> dict[str, list[str]]:
    """Return the exposed categories and the comparison categories."""
    return {
        "exposed categories": list(households.categories["category"]),
        spec.against: AGAINST[spec.against],
    }


def log_ratios(totals: Sequence[Any]) -> list[Any]:
    """Return log ratios of the Chinese share in exposed categories to that in other categories.

    Each ratio is computed from four sums in `totals`: Chinese and all purchases in exposed
    categories, then those in other categories.
    """
    logs = [np.log(total) for total in totals]
    return [logs[at] - logs[at + 1] - logs[at + 2] + logs[at + 3] for at in range(0, len(logs), 4)]


def half_year(month: str) -> str:
    """Return the first month (March or September) of the half-year that contains a month.

    An empty string is returned unchanged.
    """
    if month:
        return str(pd.Period(month, "M") - (int(month[5:]) - 3) % 6)
    return ""


def register(root: Path = DATA) -> list[str]:
    """Return the brands of which the register of events says that accounts were closed, sorted."""
    events = load("events", root=root)
    actors = events.loc[events["event_type"] == "brand_closure", "actor"].str.replace(
        r" \(.*", "", regex=True
    )
    return sorted({*", ".join(actors).split(", ")} - {"Amazon"})


# Estimates


def share(households: Households, spec: Specification = BASELINE) -> Estimate:
    """Estimate the Chinese share of titled purchases in both windows, and its change (V3).

    The shares are in per cent, the change in percentage points.
    """

    def chinese_share(
        chinese: Any, total: Any, chinese_after: Any, total_after: Any
    ) -> dict[str, Any]:
        first = 100 * chinese / total
        last = 100 * chinese_after / total_after
        return {"before": first, "after": last, "change": last - first}

    sums = sums_by_window(households, spec, spec.windows, {"": None})
    return households.jackknife(sums, chinese_share, "percentage points", spec.level)


def worst_case(households: Households, spec: Specification = BASELINE) -> tuple[float, Interval]:
    """Bound the change in the Chinese share of all purchases, with or without a title.

    In each window, all or none of the untitled purchases may be of Chinese brands. If the tables
    contain no untitled purchases, as is true of the public part, their share in both windows is
    assumed to be that in the whole file.

    Returns
    -------
    float
        Share of purchases without a title in the first window, per cent.
    (low, high)
        Change of the Chinese share of all purchases, percentage points.

    References
    ----------
    Manski, C. F. (1989), Anatomy of the selection problem, Journal of Human Resources 24, 343-360.
    """
    if (households.purchases["origin_class"] == BLANK).any():
        first, last = (
            100
            * households.sums(window, [BLANK], of=spec.of).sum()
            / households.everything(window, spec.of).sum()
            for window in spec.windows.values()
        )
    else:
        rows = load("household_whole_file")["rows"]
        first = last = 100 * rows.iloc[1] / rows.iloc[0]
    before, after = share(households, spec).value[:2] * (1 - np.array([first, last]) / 100)
    return first, (after - before - first, after + last - before)


def closed(households: Households, spec: Specification = BASELINE) -> Estimate:
    """Estimate the percentage change in closed brands' share of all purchases (E1b).

    All purchases count, with or without a title. This is the closed brands' own loss if the same
    share of their purchases is identified in both windows, by title or by the table of products:
    the loss is larger if fewer are identified before, and smaller if fewer are after. Only the
    windows, `of` and `level` of `spec` matter.

    Returns
    -------
    Estimate
        One term; -100, without a standard error, if no closed brand was bought in the second
        window.

    Raises
    ------
    DesignError
        If no table of products supplied the brands of purchases without a title.
    """

    def loss_of_closed_brands(
        first: Any, total: Any, last: Any, total_after: Any
    ) -> dict[str, Any]:
        return {"closed brands": 100 * (last / first * total / total_after - 1)}

    sums = {
        f"{name}, {when}": by_group(window, spec.of)
        for when, window in spec.windows.items()
        for name, by_group in (
            ("closed brands", households.of_closed),
            ("all", households.everything),
        )
    }
    rare = "closed brands, after"
    loss = households.jackknife(
        sums, loss_of_closed_brands, "per cent", spec.level, may_be_zero=[rare]
    )
    if loss.refused or sums[rare].any():
        return replace(
            loss, limits=np.maximum(loss.conf_int, -100.0)
        )  # no loss exceeds 100 per cent
    return replace(
        loss, scores=None, covariance=None, reason=f"no purchases of {rare}: {NO_SPREAD}"
    )


def exposed(households: Households, spec: Specification = BASELINE) -> Estimate:
    r"""Estimate the change in the Chinese share in exposed categories relative to others (E2a).

    It is in log points.

    Let :math:`s_{kg}` be the contribution of category k and group g to the log ratio. The variance
    over groups omits the shocks that all buyers share, those to sellers in exposed categories,
    :math:`\sum_k [(\sum_g s_{kg})^2 - \sum_g s_{kg}^2]`, which is added if positive (Cameron, A.
    C., Gelbach, J. B. and Miller, D. L. 2011, Robust inference with multiway clustering, JBES 29,
    238-249).
    """

    def effect_on_spared_firms(*totals: Any) -> dict[str, Any]:
        first, last = log_ratios(totals)
        return {"effect": last - first}

    places = compared(households, spec)
    sums = sums_by_window(households, spec, spec.windows, places)
    effect = households.jackknife(sums, effect_on_spared_firms, "log points", spec.level)
    if effect.refused:
        return effect
    lines = of_classes(households.purchases, None)
    lines = lines[lines["category"].isin(places["exposed categories"])]
    scores = []
    for sign, window in ((-1, spec.before), (1, spec.after)):
        rows = lines[lines["month"].between(*window)]
        for weight, of in ((sign, of_classes(rows, spec.chinese)), (-sign, rows)):
            scores.append(
                weight * of.groupby(["category", "buyer_group"])[spec.of].sum() / of[spec.of].sum()
            )
    by_both = pd.concat(scores, axis=1).fillna(0).sum(axis=1)
    shared = float((by_both.groupby("category").sum() ** 2).sum() - (by_both**2).sum())
    covariance = effect.covariance + max(shared, 0.0)
    return replace(effect, scores=None, clusters=None, covariance=covariance, max_df=effect.df)


def exposed_shares(households: Households, spec: Specification = BASELINE) -> Estimate:
    """Estimate the Chinese share in exposed categories by half-year, in per cent.

    The first half-year is `EARLIEST`.
    """
    months = pd.period_range(EARLIEST, households.buyers["month"].max(), freq="M").astype(str)
    windows = {months[at]: (months[at], months[at + 5]) for at in range(0, len(months) - 5, 6)}

    def chinese_share(*totals: Any) -> dict[str, Any]:
        return {when: 100 * totals[2 * at] / totals[2 * at + 1] for at, when in enumerate(windows)}

    exposed = {"exposed": compared(households, spec)["exposed categories"]}
    sums = sums_by_window(households, spec, windows, exposed)
    return households.jackknife(sums, chinese_share, "per cent", spec.level)


# Robustness


def effects_by_choice(
    households: Households, spec: Specification = BASELINE
) -> dict[str, Estimate]:
    """Re-estimate :func:`exposed`, in per cent, with one choice changed at a time, by label.

    The first is the estimate as specified, and the last two are placebos, before the closures.
    """
    changes: dict[str, dict[str, Any]] = {
        "as above": {},
        **{label: {"definition": name} for name, label in ALONE.items() if name != spec.definition},
        **{f"against {name}": {"against": name} for name in AGAINST if name != spec.against},
        **{f"{name} in place of {spec.of}": {"of": name} for name in OF if name != spec.of},
        **OTHER_WINDOWS,
        **PLACEBOS,
    }
    return {
        label: exposed(households, replace(spec, **change)).exp()
        for label, change in changes.items()
    }


def bounded(
    households: Households, closed: float, spec: Specification = BASELINE
) -> dict[str, Interval]:
    """Bound V3 and E2a, allowing for closed sellers and for lost titles.

    Older purchases are more likely to have lost their titles, and more so for some brands than for
    others. The rate is not observed, but it applied before the closures, too: at worst, nothing
    else raised the Chinese share then, or moved it apart in exposed categories. So ``V3``, the
    change in the Chinese share, points, is lowered by up to the largest earlier yearly rise in the
    log share, and by closed sellers' sales. ``E2a``, log points, moves either way by the largest
    earlier yearly change in the log ratio. Sampling errors are added at the ends; the losses are
    taken as given.

    Parameters
    ----------
    households : Households
    closed : float
        Closed sellers' largest possible share of baseline Chinese sales, none of it in purchases
        with a title.
    spec : Specification

    Raises
    ------
    DesignError
        If the purchases cover no earlier year.
    """
    first = households.buyers["month"].min()
    early = [
        replace(spec, **months) for months in PLACEBOS.values() if months["before"][0] >= first
    ]
    if not early:
        raise DesignError(
            f"Cannot bound the loss of titles: purchases begin in {first}; add an earlier year"
        )
    shares = [share(households, year).value for year in early]
    rise = max(0.0, *(float(np.log(after / before)) for before, after, _ in shares))
    drift = max(float(abs(exposed(households, year).value[0])) for year in early)

    def ends(
        estimate: Estimate, lowest: Callable[[Any], Any], highest: Callable[[Any], Any]
    ) -> Interval:
        limits = estimate.delta_method(
            lambda value: {"lowest": lowest(value), "highest": highest(value)},
            estimand="bounded",
            unit=estimate.unit,
        ).conf_int
        return float(limits[0, 0]), float(limits[1, 1])

    left = 1 - closed
    return {
        "V3": ends(
            share(households, spec),
            lambda of: of[1] * np.exp(-rise) - of[0] / left,
            lambda of: of[1] - of[0],
        ),
        "E2a": ends(
            exposed(households, spec),
            lambda effect: effect[0] - drift,
            lambda effect: effect[0] + drift,
        ),
    }
