"""Draw the panels of the benchmark of estimators, with the true effect on closed firms.

Half of the cells come from a third generator. It is no fresh ground for the methods of this
project: the least degrees of freedom of their intervals were chosen on plain panels with the same
values. It has few brands of unequal size, of which one has two fifths of the closed firms, very
unequal sales, lasting shocks to firms, brands and categories, four waves, and exits. The others are
the simulated market and plain panels, cut to the same layout: a balanced panel of 24 months, twelve
before the first wave, of firms that sell in each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from market import parameters, plain
from market.audit import simulated

MONTHS = 24
BEFORE = 12
WAVES = 4
NEVER = 0  # as every library writes a firm that is never treated
SIZES = (0.55, 0.25, 0.15, 0.05)  # of brands with one, two, three and six firms
FIRST = parameters.FIRST_WAVE - BEFORE


@dataclass(frozen=True, eq=False)
class Drawn:
    """One panel, and what no estimator is shown.

    Attributes
    ----------
    sales, without : float64[firm, month]
        Sales with closures, and in the same world without them.
    firms : DataFrame
        One row per firm: `brand` and `category`, whole numbers, `first`, the month of closure or
        `NEVER`, and `hit`, whether there are closures in its category.
    parallel : bool
        Whether firms' paths without closures are parallel by construction.
    """

    sales: np.ndarray
    without: np.ndarray
    firms: pd.DataFrame
    parallel: bool

    @property
    def after(self) -> np.ndarray:
        """Months of treated firms from their `first` on, bool[firm, month]."""
        first = self.firms["first"].to_numpy()[:, np.newaxis]
        return (first != NEVER) & (np.arange(MONTHS) >= first)

    def truth(self) -> dict[str, float]:
        """Return the effect on treated firms, in log points.

        `log` is the mean effect on log sales of all months from closure on, `ratio` the log of
        total sales in them over what they would have been, and `window` the same for months 4 to 9
        after the first wave.
        """
        after = self.after
        window = np.zeros(MONTHS, dtype=bool)
        window[BEFORE + 4 : BEFORE + 10] = True

        def ratio(those: np.ndarray) -> float:
            return float(np.log(self.sales[those].sum() / self.without[those].sum()))

        log = float(np.log(self.sales[after] / self.without[after]).mean())
        return {"log": log, "ratio": ratio(after), "window": ratio(after & window)}

    def oracle(self) -> float:
        """Return what the simplest comparison finds without closures, where there is no effect.

        It is the mean over closed firms of log sales after closure less before, less the same of
        firms never closed. The spread over panels is that of an estimate whose error is known
        exactly.
        """
        log = np.log(self.without)
        shut = self.after.any(axis=1)
        gaps = log[shut] - log[~shut].mean(axis=0)
        pairs = zip(gaps, self.after[shut], strict=True)
        return float(np.mean([row[after].mean() - row[~after].mean() for row, after in pairs]))

    def rivals(self) -> Drawn:
        """Return the panel of firms never closed, some of which are treated.

        The treated are those in categories with closures.

        They are from the first wave on, and categories are the clusters.
        """
        kept = self.firms["first"] == NEVER
        firms = self.firms[kept].reset_index(drop=True)
        firms["first"] = np.where(firms["hit"], BEFORE, NEVER)
        firms["brand"] = firms["category"]
        return Drawn(self.sales[kept], self.without[kept], firms, self.parallel)

    def long(self) -> pd.DataFrame:
        """Return the table that every estimator is given, one row per firm and month.

        Months are numbered from 1, so that no month is `NEVER`.
        """
        firm, month = (index.ravel() for index in np.indices(self.sales.shape))
        frame = pd.DataFrame({"firm": firm, "month": month + 1, "sales": self.sales.ravel()})
        frame["log_sales"] = np.log(frame["sales"])
        for name in ("brand", "category", "first"):
            frame[name] = self.firms[name].to_numpy()[firm]
        frame["first"] += frame["first"] != NEVER
        frame["closed"] = (frame["first"] != NEVER) & (frame["month"] >= frame["first"])
        return frame.astype({"closed": int})


@dataclass(frozen=True)
class Few:
    """Parameters of the third generator.

    Attributes
    ----------
    brands : int
        Closed brands; the first has `largest` of their firms, the others one to six each.
    firms : int
        Firms that are never closed, in brands of one to six.
    effect : float
        Effect of closure on log sales of each closed firm.
    spillover : float
        Effect of closures on log sales of firms never closed in categories with closures.
    drift : float
        Change of log sales a month in categories with closures, from the first month on; zero keeps
        paths parallel.
    log_sd, firm_sd, brand_sd, category_sd : float
        Standard deviations of log sales between firms, and of the shocks to firms, brands and
        categories.
    persistence, exits : float
        Autocorrelation of all shocks, and monthly probability of exit after the last wave.
    """

    brands: int
    firms: int = 100
    effect: float = float(np.log(0.7))
    spillover: float = 0.0
    drift: float = 0.0
    largest: float = 0.4
    categories: int = 12
    log_sd: float = 2.0
    firm_sd: float = 0.3
    brand_sd: float = 0.2
    category_sd: float = 0.1
    persistence: float = 0.9
    exits: float = 0.01

    def draw(self, seed: int) -> Drawn:
        """Draw a panel."""
        rng = np.random.default_rng([seed, self.brands])
        closed = rng.choice([1, 2, 3, 6], self.brands, p=SIZES)
        closed[0] = max(1, round(self.largest / (1 - self.largest) * closed[1:].sum()))
        others = rng.choice([1, 2, 3, 6], self.firms, p=SIZES)
        others = others[: np.searchsorted(others.cumsum(), self.firms) + 1]
        brand = np.repeat(np.arange(len(closed) + len(others)), np.concatenate([closed, others]))
        shut = brand < self.brands
        half = self.categories // 2
        # Closed brands are in categories 0 to 5; the others in all.
        category = np.where(
            shut, rng.integers(0, half, len(brand)), rng.integers(0, self.categories, len(brand))
        )
        first = np.where(shut, BEFORE + brand % WAVES, NEVER)
        log = self.log_sd * rng.standard_normal((len(brand), 1)) + 0.1 * rng.standard_normal(MONTHS)
        for sd, of in (
            (self.firm_sd, np.arange(len(brand))),
            (self.brand_sd, brand),
            (self.category_sd, category),
        ):
            shocks = sd * rng.standard_normal((of.max() + 1, MONTHS))
            shocks[:, 1:] *= np.sqrt(1 - self.persistence**2)
            log += lfilter([1.0], [1.0, -self.persistence], shocks)[of]
        log += self.drift * np.arange(MONTHS) * (category < half)[:, np.newaxis]
        stays = rng.geometric(self.exits, len(brand)) > MONTHS - (BEFORE + WAVES)
        columns = {"brand": brand, "category": category, "first": first, "hit": category < half}
        firms = pd.DataFrame(columns)[stays].reset_index(drop=True)
        drawn = Drawn(np.exp(log[stays]), np.exp(log[stays]), firms, parallel=self.drift == 0)
        near = np.outer(firms["hit"] & (firms["first"] == NEVER), np.arange(MONTHS) >= BEFORE)
        return replace(
            drawn, sales=drawn.without * np.exp(self.effect * drawn.after + self.spillover * near)
        )


def cut(
    panel: Any,
    with_: np.ndarray,
    without: np.ndarray,
    seed: int,
    *,
    parallel: bool,
    firms: int = 100,
) -> Drawn:
    """Cut a simulated panel to the layout of the benchmark.

    The layout is firms of one origin that sell in every month.

    All closed firms are kept, and as many never closed as `firms`, drawn at random.
    """
    months = slice(FIRST, FIRST + MONTHS)
    with_ = with_[:, months]
    without = without[:, months]
    origin = (panel.firms["origin"] == "CN").to_numpy()
    month = panel.first_treated(cut=0.5) - FIRST
    partly = panel.firms["closed_on"].notna().to_numpy() & ~np.isfinite(month)
    lives = (with_ > 0).all(axis=1) & (without > 0).all(axis=1) & origin & ~partly
    closed = np.flatnonzero(lives & np.isfinite(month))
    others = np.flatnonzero(lives & ~np.isfinite(month))
    rng = np.random.default_rng([seed, 77])
    kept = np.sort(np.concatenate([closed, rng.permutation(others)[:firms]]))
    rows = panel.firms.iloc[kept]
    columns = {"brand": "brand_group", "category": "category"}
    table = pd.DataFrame({name: pd.factorize(rows[column])[0] for name, column in columns.items()})
    table["first"] = np.where(np.isfinite(month[kept]), month[kept], NEVER).astype(int)
    hit = panel.firms.loc[panel.firms["closed_on"].notna(), "category"]
    table["hit"] = rows["category"].isin(hit).to_numpy()
    return Drawn(with_[kept], without[kept], table, parallel)


def of(preset: str) -> Callable[[int], Drawn]:
    """Return a function that draws plain panels or simulated markets.

    Plain panels have sales at home, simulated markets have sales on all platforms.
    """

    def draw(seed: int) -> Drawn:
        panel, truth = simulated(preset, seed)
        if preset in plain.PRESETS:
            return cut(panel, panel.sales[:, 0], truth.without[:, 0], seed, parallel=True)
        without = truth.sales("W00")[truth.firms.index.get_indexer(panel.firms.index)].sum(axis=1)
        return cut(panel, panel.total(), without, seed, parallel=False)

    return draw


def rivals(draw: Callable[[int], Drawn]) -> Callable[[int], Drawn]:
    """Return a function that draws the same panels, with rivals in place of closed firms."""
    return lambda seed: draw(seed).rivals()


CELLS: dict[str, Callable[[int], Drawn]] = {
    **{f"few_{brands}": Few(brands).draw for brands in (5, 9, 19, 99)},
    "few_9_drift": Few(9, drift=-0.02).draw,
    "few_9_spillover": Few(9, spillover=0.1).draw,
    "few_19_alike": Few(19, largest=0.1, brand_sd=0.0, category_sd=0.0, persistence=0.5).draw,
    **{preset: of(preset) for preset in ("plain_sd1_9", "heavy_9")},
    **{f"market_{preset}": of(preset) for preset in parameters.PRESETS},
    "rivals_few_9": rivals(Few(9, spillover=0.1).draw),
    **{f"rivals_{preset}": rivals(of(preset)) for preset in ("mid_3k", "ceiling_50k")},
}
"""Functions that draw a panel from a seed, by cell."""
KINDS = (
    "5 brands|9 brands|19 brands|99 brands|9 brands, drift|9, rivals gain|19 brands alike|plain, 9"
    " brands"
)
KINDS += (
    "|heavy, 9 brands|market, null|market, small|market, medium|market, large|market, many|market,"
    " chill|market, trust"
)
KINDS += "|market, trends|market, few|market, stress|rivals|rivals, medium|rivals, large"
"""Names of the cells in the report, which explains them."""
