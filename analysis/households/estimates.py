"""What purchases of households say: the Chinese share, growth, and what fell back where brands had been closed.

All are functions of sums over groups of buyers, with errors from leaving each group out (a jackknife), and where
exposed categories are compared with others, from what their sellers went through; sets of other categories, drawn at
random, say how often as much happens where no closed brand is on record.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.data import DATA, load
from analysis.errors import DataError, DesignError
from analysis.estimands.design import estimand
from analysis.estimate import NO_SPREAD, Estimate, Floats, refusal
from analysis.households.purchases import ASINS, BLANK, STAYED

CHINESE = {
    "either": ["named_chinese", "pseudo_brand"],
    "by name": ["named_chinese"],
    "by rule": ["pseudo_brand"],
}
"""The three definitions of a Chinese brand: classes of origin."""

AGAINST = {"all others": ["other electronics", "everything else"], "other electronics": ["other electronics"]}
"""What exposed categories are compared with."""

OF = ("purchases", "units", "spend")
"""What can be added up."""

Window = tuple[str, str]
LIKE = 0.08  # Chinese share before, above which a category is like the exposed ones
EARLIEST = "2018-09"  # first half-year that is drawn
OFTEN = 40  # order lines before, below which its share says little


@dataclass(frozen=True)
class Asked:
    """What is asked of the tables.

    Attributes
    ----------
    definition : {"either", "by name", "by rule"}
        Which brands are Chinese.
    against : {"all others", "other electronics"}
        What exposed categories are compared with.
    of : {"purchases", "units", "spend"}
    before, after : (str, str)
        First and last month, YYYY-MM, of two windows of the same length and months of the year.
    without : tuple of str
        Exposed categories to leave out.
    level : float
        Coverage of intervals.
    """

    definition: str = "either"
    against: str = "all others"
    of: str = "purchases"
    before: Window = ("2020-09", "2021-02")
    after: Window = ("2021-09", "2022-02")
    without: tuple[str, ...] = ()
    level: float = 0.95

    def __post_init__(self) -> None:
        """Refuse what there is not."""
        known = {"definition": CHINESE, "against": AGAINST, "of": OF}
        for name, there in known.items():
            if (given := getattr(self, name)) not in there:
                raise DesignError(f"{name} {given!r} was asked for; there are {', '.join(there)}; choose one of these")

    @property
    def chinese(self) -> list[str]:
        """Classes of origin of Chinese brands."""
        return CHINESE[self.definition]


USUAL = Asked()


@dataclass(frozen=True)
class Households:
    """The tables of ``data/households``, or those that the whole file was counted to, as they are written.

    `closed` is there only where a table of products gave purchases without a title their brand.
    """

    purchases: pd.DataFrame
    buyers: pd.DataFrame
    categories: pd.DataFrame
    stayers: pd.DataFrame
    half_years: pd.DataFrame
    closed: pd.DataFrame | None = None

    @classmethod
    def load(cls, root: Path = DATA) -> Households:
        """Load the tables of a data folder."""
        public = [name for name in cls.__dataclass_fields__ if name != "closed"]
        return cls(**{name: load(f"household_{name}", root=root) for name in public})

    @classmethod
    def read(cls, folder: Path) -> Households:
        """Read the tables that ``market-impact purchases`` wrote to a folder."""
        files = {name: folder / f"{name}.csv" for name in cls.__dataclass_fields__}
        there = {name: pd.read_csv(file) for name, file in files.items() if file.is_file()}
        if lost := [name for name in files if name not in there and name != "closed"]:
            do = "count the file of purchases again with --out"
            raise DataError(f"{folder}: expected the tables of households; found no {lost[0]}.csv; {do}.")
        return cls(**there)

    @cached_property
    def groups(self) -> pd.Index:
        """Groups of buyers."""
        return pd.Index(np.unique(self.buyers["buyer_group"]), name="buyer_group")

    def sums(
        self,
        window: Window,
        classes: Sequence[str] | None = None,
        categories: Sequence[str] | None = None,
        of: str = "purchases",
    ) -> Floats:
        """Return sums of purchases, float64[group]: of classes of origin, or all that have a title; of categories.

        Parameters
        ----------
        window : (str, str)
            First and last month, YYYY-MM.
        of : {"purchases", "units", "spend"}
        """
        rows = self.purchases[self.purchases["month"].between(*window)]
        rows = rows[rows["origin_class"] != BLANK] if classes is None else rows[rows["origin_class"].isin(classes)]
        return self._by_group(rows if categories is None else rows[rows["category"].isin(categories)], of)

    def everything(self, window: Window, of: str) -> Floats:
        """Return sums of all purchases, those without a title as well, float64[group]."""
        return self._by_group(self.purchases[self.purchases["month"].between(*window)], of)

    def active(self, window: Window) -> Floats:
        """Return the months in which buyers bought something, added up, float64[group]."""
        return self._by_group(self.buyers[self.buyers["month"].between(*window)], "active_buyers")

    def of_closed(self, window: Window, of: str) -> Floats:
        """Return sums of purchases of closed brands, float64[group]; a DesignError where they cannot be seen."""
        if self.closed is None:
            raise DesignError(
                "purchases of closed brands were asked for; no table of products gave purchases without a title their "
                "brand, so that there is no closed.csv; count the whole file with market-impact purchases "
                "amazon-purchases.csv --brands PRODUCTS --out FOLDER, where PRODUCTS is a table with the columns "
                f"{' and '.join(ASINS.values())}, and read FOLDER"
            )
        return self._by_group(self.closed[self.closed["month"].between(*window)], of)

    def stayed(self, half_year: str, classes: Sequence[str] | None, of: str) -> Floats:
        """Return sums of the people who bought in both half-years of `STAYED`, float64[group]."""
        rows = self.stayers[(self.stayers["half_year"] == half_year) & (self.stayers["origin_class"] != BLANK)]
        return self._by_group(rows if classes is None else rows[rows["origin_class"].isin(classes)], of)

    def _by_group(self, rows: pd.DataFrame, of: str) -> Floats:
        added = rows.groupby("buyer_group")[of].sum().reindex(self.groups, fill_value=0)
        return np.asarray(added, dtype=float)

    def jackknife(
        self,
        sums: Mapping[str, Floats],
        function: Callable[..., Mapping[str, Any]],
        unit: str,
        level: float,
        may_be_zero: Collection[str] = (),
    ) -> Estimate:
        """Return a function of sums by name as an Estimate, with the errors of leaving out each group of buyers."""
        if lost := [name for name, of_group in sums.items() if not of_group.any() and name not in may_be_zero]:
            return refusal(f"no purchases of these: {', '.join(lost)}; choose other months or categories")
        by_group = np.column_stack([*sums.values()])
        totals = Estimate(
            estimand=function.__name__.replace("_", " "),
            unit=unit,
            terms=tuple(sums),
            value=by_group.sum(axis=0),
            scores=by_group,
            clusters=self.groups.to_numpy(),
            counts={"buyer_groups": len(self.groups)},
            n=len(self.groups),
            level=level,
        )
        return totals.jackknife(lambda total: function(*total), estimand=totals.estimand, unit=unit)


def share(households: Households, asked: Asked = USUAL) -> Estimate:
    """Return the Chinese share of what has a title in two windows, and its change: percentage points (V3)."""

    def chinese_share(chinese: Any, all_: Any, chinese_after: Any, all_after: Any) -> dict[str, Any]:
        first, last = 100 * chinese / all_, 100 * chinese_after / all_after
        return {"before": first, "after": last, "change": last - first}

    return households.jackknife(_of_all(households, asked), chinese_share, "percentage points", asked.level)


def growth(households: Households, asked: Asked = USUAL) -> Estimate:
    """Return the growth of purchases per active buyer and month, per cent: of Chinese brands, and of all (V1)."""
    active = {f"active buyers, {when}": households.active(getattr(asked, when)) for when in ("before", "after")}

    def growth_per_buyer(*totals: Any) -> dict[str, Any]:
        first, all_first, last, all_last, buyers, buyers_last = totals
        fewer = buyers / buyers_last
        return {"Chinese brands": 100 * (last / first * fewer - 1), "all": 100 * (all_last / all_first * fewer - 1)}

    return households.jackknife(_of_all(households, asked) | active, growth_per_buyer, "per cent", asked.level)


def growth_of_stayers(households: Households, asked: Asked = USUAL) -> Estimate:
    """Return the same of the people who bought both before and after, from one half-year of `STAYED` to the other."""
    sums = {
        f"{what}, {half_year}": households.stayed(half_year, classes, asked.of)
        for half_year in STAYED
        for what, classes in (("Chinese brands", asked.chinese), ("all", None))
    }

    def growth_of_those_who_stayed(first: Any, all_first: Any, last: Any, all_last: Any) -> dict[str, Any]:
        return {"Chinese brands": 100 * (last / first - 1), "all": 100 * (all_last / all_first - 1)}

    return households.jackknife(sums, growth_of_those_who_stayed, "per cent", asked.level)


def closed(households: Households, asked: Asked = USUAL) -> Estimate:
    """Return the change of closed brands' purchases per purchase of the same buyers, per cent (E1b).

    All purchases are counted, whether they have a title or not. It is the closed brands' own loss if the same share of
    theirs can be seen in both windows, by a title or by the table of products: the loss is larger than this if fewer
    can be seen of those before, and smaller if fewer of those after. Of `asked`, windows, `of` and the level matter.

    Returns
    -------
    Estimate
        One term; -100 without an error where nothing of closed brands was bought after.

    Raises
    ------
    DesignError
        When no table of products gave purchases without a title their brand.
    """

    def loss_of_closed_brands(first: Any, all_first: Any, last: Any, all_last: Any) -> dict[str, Any]:
        return {"closed brands": 100 * (last / first * all_first / all_last - 1)}

    sums = {
        f"{what}, {when}": of(window, asked.of)
        for when, window in _windows(asked).items()
        for what, of in (("closed brands", households.of_closed), ("all", households.everything))
    }
    rare = "closed brands, after"
    found = households.jackknife(sums, loss_of_closed_brands, "per cent", asked.level, may_be_zero=[rare])
    if found.refused or sums[rare].any():
        return replace(found, limits=np.maximum(found.conf_int, -100.0))  # nobody loses more than all
    return replace(found, scores=None, covariance=None, reason=f"no purchases of {rare}: {NO_SPREAD}")


def exposed(households: Households, asked: Asked = USUAL) -> Estimate:
    """Return by how much the Chinese share changed more in exposed categories than in others, log points (E2a)."""

    def effect_on_spared_firms(*totals: Any) -> dict[str, Any]:
        first, last = log_ratios(totals)
        return {"effect": last - first}

    sums = _of_places(households, asked, _windows(asked))
    found = households.jackknife(sums, effect_on_spared_firms, "log points", asked.level)
    return _with_sellers(found, [1.0], households, asked)


def through_spared(households: Households, asked: Asked = USUAL) -> Estimate:
    """Return what :func:`exposed` is of the growth of all Chinese purchases, percentage points: the effect on growth.

    It is the share of Chinese purchases that lay in exposed categories before, times the relative change there: what
    closed firms lost themselves is not in it.
    """
    everywhere = {"Chinese brands, before": households.sums(asked.before, asked.chinese, of=asked.of)}

    def effect_on_growth_through_spared_firms(*totals: Any) -> dict[str, Any]:
        first, last = log_ratios(totals[:-1])
        lay = 100 * totals[0] / totals[-1]
        return {"share in exposed categories": lay, "effect on growth": lay * np.expm1(last - first)}

    sums = _of_places(households, asked, _windows(asked)) | everywhere
    found = households.jackknife(sums, effect_on_growth_through_spared_firms, "percentage points", asked.level)
    slope = [0.0, 0.0 if found.refused else found.value.sum()]  # by the effect, of a share times its exponential less 1
    return _with_sellers(found, slope, households, asked)


def shares_by_place(households: Households, asked: Asked = USUAL) -> dict[str, Estimate]:
    """Return the Chinese share in exposed categories and in those compared, by half-year since `EARLIEST`, per cent."""
    windows = _half_years(households)

    def chinese_share(*totals: Any) -> dict[str, Any]:
        return {when: 100 * totals[2 * at] / totals[2 * at + 1] for at, when in enumerate(windows)}

    return {
        place: households.jackknife(
            _of_places(households, asked, windows, place), chinese_share, "per cent", asked.level
        )
        for place in _places(households, asked)
    }


def path(households: Households, asked: Asked = USUAL) -> Estimate:
    """Return the log of the Chinese share in exposed categories over that in others, by half-year since `EARLIEST`."""
    windows = _half_years(households)

    def share_in_exposed_categories_over_that_in_others(*totals: Any) -> dict[str, Any]:
        return dict(zip(windows, log_ratios(totals), strict=True))

    sums = _of_places(households, asked, windows)
    return households.jackknife(sums, share_in_exposed_categories_over_that_in_others, "log points", asked.level)


@estimand
def random_sets(households: Households, asked: Asked = USUAL, *, draws: int = 2000, seed: int = 0) -> Estimate:
    """Return how often sets of other categories, drawn at random, fall back as far as the exposed ones: one-sided p.

    A set has as many categories as are exposed, none of which is, each with a Chinese share above `LIKE` and at least
    `OFTEN` purchases before; it is compared with all other categories that are not exposed, and the exposed ones with
    all others. The mean of the draws, in `details`, says how far categories of high Chinese share fell back anyway.

    Returns
    -------
    Estimate
        One term, p, with its Monte Carlo error; `details` has the effect of each draw and of the exposed.

    Raises
    ------
    DesignError
        When windows are no half-years from March or September, or too few categories are like the exposed ones.
    """
    listed, rows, windows = households.categories["category"], households.half_years, _windows(asked)
    if any(window != _half_year(window[0]) for window in windows.values()) or asked.of != "purchases":
        raise DesignError(
            f"random sets of {asked.of} in {windows} were asked for; all categories are counted by half-year from "
            "March or September, and purchases alone; ask for two such half-years"
        )
    seen = rows[rows["origin_class"] != BLANK].assign(chinese=rows["origin_class"].isin(asked.chinese))
    counted = [
        part[part["half_year"] == first].groupby("category")["purchases"].sum()
        for first, _ in windows.values()
        for part in (seen[seen["chinese"]], seen)
    ]
    before = pd.concat(counted, axis=1).fillna(0).drop(index=listed, errors="ignore").to_numpy(dtype=float)
    like = before[(before[:, 1] >= OFTEN) & (before[:, 0] > LIKE * before[:, 1])]
    if len(like) < len(listed):
        raise DesignError(
            f"random sets of {len(listed)} categories were asked for; {len(like)} are like the exposed ones in "
            f"{asked.before[0]}; choose another half-year"
        )
    others = AGAINST["all others"]
    total = [households.sums(at, classes, others).sum() for at in windows.values() for classes in (asked.chinese, None)]
    rng = np.random.default_rng(seed)
    inside = np.array([like[rng.choice(len(like), len(listed), replace=False)].sum(axis=0) for _ in range(draws)]).T
    outside = np.array(total)[:, np.newaxis] - inside
    with np.errstate(divide="ignore"):  # a set may lose all: it falls back as far as can be
        first, last = log_ratios([*inside[:2], *outside[:2], *inside[2:], *outside[2:]])
    found = exposed(households, replace(asked, against="all others")).value[0]
    p = (1 + np.count_nonzero(last - first <= found)) / (1 + draws)
    return Estimate(
        estimand="random sets of categories that fall back as far",
        unit="p",
        terms=("p",),
        value=np.array([p]),
        covariance=np.array([[p * (1 - p) / draws]]),
        n=draws,
        interval="Monte Carlo interval",
        counts={"categories": len(like), "draws": draws},
        details={"effects": last - first, "exposed": found},
    )


def _with_sellers(found: Estimate, slope: Sequence[float], households: Households, asked: Asked) -> Estimate:
    r"""Add to the errors of an effect what all buyers share in exposed categories, the fortunes of the sellers there.

    With :math:`s_{kg}` what purchases of category k by group g are of the log ratio, the variance over groups lacks
    :math:`\sum_k [(\sum_g s_{kg})^2 - \sum_g s_{kg}^2]`, which is added where it is positive (Cameron, A. C., Gelbach,
    J. B. and Miller, D. L. 2011, Robust inference with multiway clustering, JBES 29, 238-249); `slope` by the effect.
    """
    if found.refused:
        return found
    inside = set(households.categories["category"]) - set(asked.without)
    lines = households.purchases[households.purchases["origin_class"] != BLANK]
    lines = lines[lines["category"].isin(inside)]
    parts = []
    for sign, window in ((-1, asked.before), (1, asked.after)):
        rows = lines[lines["month"].between(*window)]
        for way, of in ((sign, rows[rows["origin_class"].isin(asked.chinese)]), (-sign, rows)):
            parts.append(way * of.groupby(["category", "buyer_group"])[asked.of].sum() / of[asked.of].sum())
    by_both = pd.concat(parts, axis=1).fillna(0).sum(axis=1)
    shared = float((by_both.groupby("category").sum() ** 2).sum() - (by_both**2).sum())
    covariance = found.covariance + max(shared, 0.0) * np.outer(slope, slope)
    return replace(found, scores=None, clusters=None, covariance=covariance, max_df=found.df)


def _half_years(households: Households) -> dict[str, Window]:
    """Return the half-years that the tables hold whole, by their first month."""
    months = pd.period_range(EARLIEST, households.buyers["month"].max(), freq="M").astype(str)
    return {months[at]: (months[at], months[at + 5]) for at in range(0, len(months) - 5, 6)}


def _half_year(first: str) -> Window | None:
    """Return the window of a half-year that begins with a month, or nothing where none does."""
    return (first, str(pd.Period(first, "M") + 5)) if first[5:] in ("03", "09") else None


def _windows(asked: Asked) -> dict[str, Window]:
    return {"before": asked.before, "after": asked.after}


def _of_all(households: Households, asked: Asked) -> dict[str, Floats]:
    """Return for each window two sums: of Chinese brands, and of all."""
    return {
        f"{what}, {when}": households.sums(window, classes, of=asked.of)
        for when, window in _windows(asked).items()
        for what, classes in (("Chinese brands", asked.chinese), ("all", None))
    }


def _places(households: Households, asked: Asked) -> dict[str, list[str]]:
    """Return the categories that are compared, by what they are."""
    listed = households.categories["category"]
    if unknown := set(asked.without) - set(listed):
        raise DesignError(f"without {', '.join(sorted(unknown))} was asked for; exposed are {', '.join(listed)}")
    inside = [name for name in listed if name not in asked.without]
    return {"exposed categories": inside, asked.against: AGAINST[asked.against]}


def _of_places(
    households: Households, asked: Asked, windows: Mapping[str, Window], only: str = ""
) -> dict[str, Floats]:
    """Return for each window four sums: of Chinese brands and of all, in exposed categories and in those compared.

    Or two, of `only` one of these places.
    """
    return {
        f"{what} in {place}, {when}": households.sums(window, classes, categories, asked.of)
        for when, window in windows.items()
        for place, categories in _places(households, asked).items()
        if only in ("", place)
        for what, classes in (("Chinese brands", asked.chinese), ("all", None))
    }


def log_ratios(totals: Sequence[Any]) -> list[Any]:
    """Return for each four sums the log of the Chinese share in exposed categories over that in the others."""
    logs = [np.log(total) for total in totals]
    return [logs[at] - logs[at + 1] - logs[at + 2] + logs[at + 3] for at in range(0, len(logs), 4)]
