"""Draw the panels of the benchmark, with the true effect on treated firms.

``cells.csv`` has a row for each kind of panel, with the values of all its parameters. They were
written down before any estimator was run on them, and differ from those on which the defaults of
``fewtreated`` were chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd
from scipy.signal import lfilter

NEVER = 0  # as every library writes a firm that is never treated
SOME = 0.4  # a brand has k firms with probability 0.4 (1 - 0.4)^(k - 1)
MONTH_SD = 0.15  # of shocks that all firms share


@dataclass(frozen=True, eq=False)
class Drawn:
    """One panel, and what no estimator is shown.

    Attributes
    ----------
    sales, without : float64[firm, month]
        Sales with closures, and in the same world without them.
    seen : bool[firm, month]
        Whether the month is in the table.
    firms : DataFrame
        One row per firm: `brand` and `category`, whole numbers, and `first`, the month of closure
        from 1 on, or `NEVER`.
    """

    sales: np.ndarray
    without: np.ndarray
    seen: np.ndarray
    firms: pd.DataFrame

    @property
    def after(self) -> np.ndarray:
        """Months of treated firms from their `first` on, bool[firm, month]."""
        first = self.firms["first"].to_numpy()[:, np.newaxis]
        return (first != NEVER) & (np.arange(1, self.sales.shape[1] + 1) >= first)

    def truth(self) -> dict[str, float]:
        """Return the effect on treated firms, in log points.

        `log` is the mean effect on log sales over all months from closure on in which a firm
        sells, `ratio` the log of total sales in all of them over what they would have been.
        """
        after = self.after
        sells = after & (self.sales > 0)
        return {
            "log": float(np.log(self.sales[sells] / self.without[sells]).mean()),
            "ratio": float(np.log(self.sales[after].sum() / self.without[after].sum())),
        }

    def oracle(self) -> dict[str, float]:
        """Return what the simplest comparison finds without closures, where there is no effect.

        `log` is the mean over closed firms of log sales after closure less before, less the same of
        firms never closed; `ratio` the log of their total after closure over that expected from the
        growth of firms never closed. The spread over panels is that of an estimate whose error is
        known exactly.
        """
        after = self.after
        shut = after.any(axis=1)
        log = np.log(self.without, where=self.without > 0, out=np.full(after.shape, np.nan))
        others = pd.DataFrame(log[~shut]).mean()
        gaps = pd.DataFrame(log[shut]) - others
        changes = gaps.where(after[shut]).mean(axis=1) - gaps.where(~after[shut]).mean(axis=1)
        growth = self.without[~shut].mean(axis=0)
        total, expected = 0.0, 0.0
        for own, later in zip(self.without[shut], after[shut], strict=True):
            total += own[later].sum()
            expected += own[~later].mean() * growth[later].sum() / growth[~later].mean()
        return {"log": float(changes.mean()), "ratio": float(np.log(total / expected))}

    def long(self, truth: str) -> pd.DataFrame:
        """Return the table that an estimator is given, one row per firm and month.

        For an effect on logs it has the months with sales; for one on totals also those without.
        Months are numbered from 1, so that no month is `NEVER`.
        """
        shown = self.seen.copy()
        if truth == "log":
            shown &= self.sales > 0
        firm, month = np.nonzero(shown)
        frame = pd.DataFrame({"firm": firm, "month": month + 1, "sales": self.sales[shown]})
        if truth == "log":
            frame["log_sales"] = np.log(frame["sales"])
        for name in ("brand", "category", "first"):
            frame[name] = self.firms[name].to_numpy()[firm]
        frame["closed"] = self.after[shown].astype(int)
        return frame


@dataclass(frozen=True)
class Cell:
    """Parameters of a kind of panel.

    Attributes
    ----------
    cell, kind : str
        Its name in the code and in reports.
    null : str
        The cell with the same parameters and no effect, if there is one.
    closed, open : int
        Brands that are closed, and that never are.
    size : int
        Firms of each brand; 0 draws them from a geometric distribution.
    largest : float
        Share of closed firms that are of the first brand; 0 leaves it as drawn.
    categories : int
        Number of categories, to which firms belong whatever their brand.
    hit : float
        Share of categories that closed firms are in; firms never closed are in all.
    periods, before, waves : int
        Months, those before the first wave, and waves, one a month, among which closed brands take
        turns.
    effect : float
        Effect of closure on log sales.
    differ, grow : float
        The effect of waves runs from ``1 - differ`` to ``1 + differ`` times `effect`, and grows by
        `grow` of itself a month.
    spread, firm_sd, brand_sd, category_sd : float
        Standard deviations of log sales between firms, and of the shocks to firms, brands and
        categories.
    persistence, tails : float
        Autocorrelation of these shocks, and degrees of freedom of Student's t that innovations are
        drawn from; infinite for the normal.
    exits, lost : float
        Monthly probability from the first wave on that a firm stops for good, and what closure adds
        to it. Its sales are zero from then on.
    zeros, missing : float
        Probabilities that a firm sells nothing in a month, and that a month is not in the table.
    """

    cell: str
    kind: str
    null: str
    closed: int
    open: int
    size: int
    largest: float
    categories: int
    hit: float
    periods: int
    before: int
    waves: int
    effect: float
    differ: float
    grow: float
    spread: float
    firm_sd: float
    brand_sd: float
    category_sd: float
    persistence: float
    tails: float
    exits: float
    lost: float
    zeros: float
    missing: float

    def draw(self, seed: int) -> Drawn:
        """Draw a panel; cells with the same seed share no random numbers."""
        rng = np.random.default_rng([seed, crc32(self.cell.encode())])
        firms = self._firms(rng)
        log = self.spread * rng.standard_normal((len(firms), 1))
        log = log + MONTH_SD * rng.standard_normal(self.periods)
        for sd, of in (
            (self.firm_sd, np.arange(len(firms))),
            (self.brand_sd, firms["brand"].to_numpy()),
            (self.category_sd, firms["category"].to_numpy()),
        ):
            log += sd * self._shocks(rng, of.max() + 1)[of]
        first = firms["first"].to_numpy()[:, np.newaxis]
        since = np.arange(1, self.periods + 1) - first
        after = (first != NEVER) & (since >= 0)
        wave = (first - self.before - 1) / max(self.waves - 1, 1)
        size = 1 + self.differ * (2 * wave - 1) * (self.waves > 1)
        effect = np.where(after, self.effect * size * (1 + self.grow * since), 0.0)
        stays = self._stays(rng, log.shape, np.arange(self.periods) >= self.before, self.exits)
        sells = stays & (rng.random(log.shape) >= self.zeros)
        survives = self._stays(rng, log.shape, after, self.lost)
        return Drawn(
            sales=np.where(sells & survives, np.exp(log + effect), 0.0),
            without=np.where(sells, np.exp(log), 0.0),
            seen=rng.random(log.shape) >= self.missing,
            firms=firms,
        )

    def _firms(self, rng: np.random.Generator) -> pd.DataFrame:
        sizes = rng.geometric(SOME, self.closed + self.open)
        if self.size:
            sizes[:] = self.size
        if self.largest:
            rest = sizes[1 : self.closed].sum()
            sizes[0] = max(1, round(self.largest / (1 - self.largest) * rest))
        brand = np.repeat(np.arange(len(sizes)), sizes)
        shut = brand < self.closed
        within = np.where(shut, round(self.hit * self.categories), self.categories)
        first = np.where(shut, self.before + 1 + brand % self.waves, NEVER)
        return pd.DataFrame({"brand": brand, "category": rng.integers(within), "first": first})

    def _shocks(self, rng: np.random.Generator, many: int) -> np.ndarray:
        """Return stationary shocks of variance one, float64[many, month]."""
        if np.isinf(self.tails):
            new = rng.standard_normal((many, self.periods))
        else:
            scale = np.sqrt((self.tails - 2) / self.tails)
            new = scale * rng.standard_t(self.tails, (many, self.periods))
        new[:, 1:] *= np.sqrt(1 - self.persistence**2)
        return lfilter([1.0], [1.0, -self.persistence], new)

    @staticmethod
    def _stays(
        rng: np.random.Generator, shape: tuple[int, ...], at_risk: np.ndarray, chance: float
    ) -> np.ndarray:
        """Return whether a firm has not stopped, bool[firm, month]."""
        return ~np.logical_or.accumulate((rng.random(shape) < chance) & at_risk, axis=1)


CELLS = {
    row["cell"]: Cell(**row)
    for row in pd.read_csv(Path(__file__).with_name("cells.csv"), keep_default_na=False).to_dict(
        "records"
    )
}
"""Kinds of panels by name."""
