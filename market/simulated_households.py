"""Simulated households that buy in a simulated market, where delisted products lose their titles.

Unlike real purchases, they have a known truth, and show whether the design would find it in two
cases. In the first, only closed firms' titles are blank. In the second, so are those of firms that
exited before the export and, among all others, older titles more often, most of all those of
short-lived brands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from fewtreated.errors import check_choice
from fewtreated.estimate import Bools, Floats, Ints

from analysis.data import load
from analysis.evidence import households as real
from analysis.evidence.households import AGAINST, BASELINE, CHINESE, OF, Households
from analysis.grades import STILL_SOLD
from analysis.numbers import percent_change
from analysis.simulated import closures
from market import simulate
from market.parameters import FIRST_MONTH, MONTHS, in_words
from market.truth import Truth

TITLES = ("all but closed firms'", STILL_SOLD)
"""Firms whose titles remain, without the selection and with it."""

MARKET: dict[str, Any] = {
    "n_firms": 40_000,
    "n_categories": 200,
}  # many sellers in each category, and no closed firm in most
EXPOSED = 24  # categories in which the largest closed firms sold; as many as in the real data
CLASSES = (*CHINESE["either"], "other")
FOUND = (
    0.04,
    0.20,
)  # of Chinese firms, found by lists and by the rule: 10 per cent of purchases, as in the real data
MISTAKEN = 0.02  # share of other firms that the rule mistakes for Chinese; assumption
LOST = (
    0.007,
    0.010,
    0.005,
)  # share of titles lost per month, by class, while their seller sells on; assumption
EXPORT = "2022-11"
# shape of the gamma distribution of group tastes; assumption, with standard errors as in the real
# data
TASTE = 5.0
MONTH = pd.period_range(FIRST_MONTH, periods=MONTHS, freq="M").astype(str)
BOUNDED = "_bounded"  # suffix to an estimand's id, for its interval that allows for lost titles
UNITS = {"E2a": "log points", "V3": "percentage points"}
LABELS = in_words("households")
ORDER = {name: rank for rank, name in enumerate([*TITLES, *LABELS])}


@dataclass(frozen=True)
class Simulated:
    """Simulated purchases, and their market's true estimands by id.

    ``E2a`` (log points) is the effect of the crackdown on the share of Chinese firms that were
    never closed, in categories where closed firms had sold compared with others. ``V3`` (points) is
    the change in the share of brands presumed Chinese, with all titles.
    """

    households: Households
    true: dict[str, float]


def draw(truth: Truth, titles: str, *, lost: Sequence[float] = LOST) -> Simulated:
    """Draw the purchases that the buyers in the real tables would make in a simulated market.

    Each group of buyers makes as many titled purchases per month as the real group, from firms in
    proportion to their sales and to the group's tastes.

    Parameters
    ----------
    truth : Truth
        Truth of a market with the parameters of `MARKET`; its seed also sets brands, tastes and
        purchases, which do not depend on `titles`.
    titles : str
        One of `TITLES`.
    lost : sequence of float
        Share of titles lost per month while their seller sells on, by class of origin.
    """
    check_choice("titles", titles, TITLES)
    rng = np.random.default_rng([truth.market.seed, EXPOSED])
    firms = truth.firms
    sales = truth.sales("W11")[:, 0]
    uniform = rng.random(len(firms))
    classes = np.where(
        uniform < MISTAKEN, 1, 2
    )  # positions in CLASSES, as the lists and the rule would assign them
    classes = np.where(firms["origin"] == "CN", np.digitize(uniform, np.cumsum(FOUND)), classes)
    cells = firms["category"].to_numpy() * len(CLASSES) + classes
    count = truth.market.parameters.n_categories * len(CLASSES)
    all_, seen = (
        np.array(
            [np.bincount(cells, month, count) for month in volume.T]
        ).T  # float64[category x class, month]
        for volume in (sales, sales * _titled(truth, classes, titles, lost))
    )
    buyers = load("household_buyers").query("month in @MONTH").reset_index(drop=True)
    month = np.searchsorted(MONTH, buyers["month"])
    inside = _exposed(truth)
    groups, group = np.unique(buyers["buyer_group"], return_inverse=True)
    chance = seen.T[month] * rng.gamma(TASTE, 1 / TASTE, (len(groups), len(seen)))[group]
    bought = rng.multinomial(buyers["purchases"], chance / chance.sum(axis=1, keepdims=True))
    ever = (
        all_ * np.bincount(month, buyers["purchases"]) / seen.sum(axis=0)
    )  # purchases with and without a title
    return Simulated(_tables(buyers, bought, inside), _effect(truth, inside) | _change(ever))


def replicate(preset: str, seed: int) -> list[dict[str, Any]]:
    """Simulate a market's households, and compare the design's estimates with the truth.

    Returns
    -------
    list of dict
        For each of `TITLES` and each estimand, also with its interval from
        :func:`analysis.evidence.households.bounded`: `preset`, `seed`, `titles`, `closed`, `id`,
        `truth`, `estimate`, `std_error`, `low`, `high`.
    """
    _, truth = simulate(preset, seed, **MARKET)
    chinese = truth.firms["origin"].eq("CN").to_numpy()
    closed_share = float(
        _closed_sales(truth)[chinese].sum() / truth.window().year[chinese, 0].sum()
    )
    rows: list[dict[str, Any]] = []
    for titles in TITLES:
        twin = draw(truth, titles)
        at = {"preset": preset, "seed": seed, "titles": titles, "closed": int(truth.closed.sum())}
        estimated = {
            "E2a": real.exposed(twin.households)["effect"],
            "V3": real.share(twin.households)["change"],
        }
        bounds = real.bounded(twin.households, closed_share)
        for name, true in twin.true.items():
            estimate = estimated[name]
            row = at | {"truth": true}
            (value,) = estimate.value
            (error,) = estimate.std_error
            (low, high) = estimate.conf_int[:, 0]
            rows.append(
                row | {"id": name, "estimate": value, "std_error": error, "low": low, "high": high}
            )
            low, high = bounds[name]
            row |= {"id": name + BOUNDED, "estimate": (low + high) / 2, "std_error": np.nan}
            rows.append(row | {"low": low, "high": high})
    return rows


def worst(audit: pd.DataFrame) -> pd.DataFrame:
    """Select the preset with the lowest coverage for each estimand and each of `TITLES`.

    Adds `term`, a label, and `estimate`, `conf_low`, `conf_high`: the coverage and its Monte Carlo
    limits, per cent.
    """
    rows = audit.sort_values("coverage", kind="stable").drop_duplicates(["titles", "id"])
    rows = rows.sort_values(
        ["titles", "id"], key=lambda names: names.map(ORDER), kind="stable", ignore_index=True
    )
    share = 100 * rows["coverage"]
    error = 196 * rows["coverage_mc"]
    low = (share - error).clip(0)
    high = (share + error).clip(upper=100)
    term = rows["id"].map(LABELS) + ": " + rows["titles"]
    return rows.drop(columns="truth").assign(
        term=term, unit="per cent", estimate=share, conf_low=low, conf_high=high
    )


def by_market(audit: pd.DataFrame) -> pd.DataFrame:
    """List coverage by kind of market, if only products still sold keep their titles.

    Returns
    -------
    DataFrame
        `term`, the estimand in words; `kind`, the closures in words; `estimate`, coverage in per
        cent.
    """
    rows = audit[audit["titles"] == TITLES[1]]
    kinds = {preset: closures(preset, share=False) for preset in rows["preset"].unique()}
    listed = pd.DataFrame(
        {
            "term": rows["id"].map(LABELS),
            "kind": rows["preset"].map(kinds),
            "estimate": 100 * rows["coverage"],
        }
    )
    order = rows["id"].map([*LABELS].index)
    return listed.iloc[order.argsort(kind="stable")].reset_index(drop=True)


def in_units(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of :func:`replicate` in words, with per cent for log points.

    Adds `term` and `unit` to `truth`, `estimate`, `low` and `high`.
    """
    name = rows["id"].str.removesuffix(BOUNDED)
    numbers = ["truth", "estimate", "low", "high"]
    in_logs = name.map(UNITS) == "log points"
    shown = rows.assign(term=rows["id"].map(LABELS), unit=name.map(UNITS).mask(in_logs, "per cent"))
    shown.loc[in_logs, numbers] = percent_change(rows.loc[in_logs, numbers])
    return shown[["term", "unit", *numbers]].reset_index(drop=True)


def _titled(truth: Truth, classes: Ints, titles: str, lost: Sequence[float]) -> Floats:
    """Return the share of each month's purchases that still have a title on the export date.

    The result is float64[firm, month].
    """
    left = ~truth.closed[:, np.newaxis] * np.ones(MONTHS)
    if titles == TITLES[0]:
        return left
    age = np.array([(pd.Period(EXPORT, "M") - pd.Period(month, "M")).n for month in MONTH])
    sells_on = truth.course("W11").survivors[:, np.newaxis]
    return np.asarray(left * sells_on * np.exp(-np.array(lost)[classes][:, np.newaxis] * age))


def _closed_sales(truth: Truth) -> Floats:
    """Return closed firms' sales in the year before the first wave.

    The result is float64[firm], 0 for other firms.
    """
    return np.where(truth.closed, truth.window().year[:, 0], 0.0)


def _exposed(truth: Truth) -> Bools:
    """Return a mask of the categories in which the largest closed firms sold.

    The mask is bool[category], true for up to `EXPOSED` categories.
    """
    volume = _closed_sales(truth)
    largest = np.argsort(-volume, kind="stable")[: np.count_nonzero(volume)]
    chosen = pd.unique(truth.firms["category"].to_numpy()[largest])[:EXPOSED]
    return np.isin(np.arange(truth.market.parameters.n_categories), chosen)


def _tables(buyers: pd.DataFrame, bought: Ints, inside: Bools) -> Households:
    row, cell = np.nonzero(bought)
    category, of_class = np.divmod(cell, len(CLASSES))
    names = np.array([f"C{number:03d}" for number in range(len(inside))])
    lines = buyers[["month", "buyer_group"]].iloc[row].reset_index(drop=True)
    lines = lines.assign(
        half_year=lines["month"].map({month: real.half_year(month) for month in MONTH}),
        name=names[category],
        category=np.where(inside, names, AGAINST["all others"][-1])[category],
        origin_class=np.array(CLASSES)[of_class],
        **dict.fromkeys(OF, bought[row, cell]),
    )

    def added(*by: str) -> pd.DataFrame:
        return lines.groupby([*by, "origin_class"])[list(OF)].sum().reset_index()

    return Households(
        purchases=added("month", "buyer_group", "category"),
        buyers=buyers,
        categories=pd.DataFrame({"category": names[inside]}),
        half_years=added("half_year", "name").rename(columns={"name": "category"}),
    )


def _effect(truth: Truth, inside: Bools) -> dict[str, float]:
    firms = truth.firms
    spared = ~truth.closed
    chinese = spared & firms["origin"].eq("CN").to_numpy()
    exposed = inside[firms["category"].to_numpy()]
    sums = [
        truth.sales(world)[sellers & categories, 0][:, _months(BASELINE.after)].sum()
        for world in ("W00", "W11")
        for categories in (exposed, ~exposed)
        for sellers in (chinese, spared)
    ]
    without, with_ = real.log_ratios(sums)
    return {"E2a": float(with_ - without)}


def _change(ever: Floats) -> dict[str, float]:
    presumed = np.isin(np.resize(CLASSES, len(ever)), BASELINE.chinese)
    (first, all_first), (last, all_last) = (
        (ever[presumed][:, _months(window)].sum(), ever[:, _months(window)].sum())
        for window in (BASELINE.before, BASELINE.after)
    )
    return {"V3": 100 * float(last / all_last - first / all_first)}


def _months(window: tuple[str, str]) -> Bools:
    first, last = window
    return np.asarray((first <= MONTH) & (last >= MONTH))
