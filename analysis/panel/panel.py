"""The panel: sales by firm, platform and month, who the firms are, and what follows from both."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.errors import DataError, DesignError
from analysis.estimate import Bools, Floats
from analysis.panel.columns import attributes
from analysis.panel.content import digest_of, month_numbers

UNITS = {"real": "USD", "simulated": "sim-$"}
SIMULATED_ID = r"SIM-G?[0-9]"
"""How the id of a simulated firm or account begins, as in SIM-0417, and of a brand group, as in SIM-G0021."""
IDS = ("firm", "account", "brand_group")
"""Columns of ids, any of which may say that a panel is simulated."""


def _nothing_dropped() -> pd.DataFrame:
    return pd.DataFrame({"what": pd.Series(dtype="str"), "rule": pd.Series(dtype="str"), "count": np.empty(0, int)})


@dataclass(frozen=True, eq=False)
class Panel:
    """Sales of firms on platforms by month.

    Attributes
    ----------
    sales : float64[firm, platform, month]
        USD, or sim-$ in a simulated panel. Zero is nothing sold, NaN is not known.
    firms : DataFrame
        Index: firm id, in the order of axis 0. Columns: `brand_group`, `origin` ("CN" or other), `category` (str),
        `closed_on` (datetime64, first day of the month of closure; NaT if never; after the last month it is
        right-censored), `dose` (closed share of the firm's home sales, in (0, 1]; NaN if never closed), `risk`
        (larger is more suspect; NaN is not known).
    platforms : tuple of str
        Axis 1, the home platform first.
    months : PeriodIndex
        Axis 2, monthly, without gaps.
    provenance : str
        "real" or "simulated".
    dropped : DataFrame
        What the file held and the panel does not: `what`, `rule`, `count`; no row where nothing was left out.

    Raises
    ------
    DataError
        When the parts do not fit each other, a value is negative or infinite, an id comes twice, or a firm or brand
        group with a simulated id is called real.
    """

    sales: Floats
    firms: pd.DataFrame
    platforms: tuple[str, ...]
    months: pd.PeriodIndex
    provenance: str
    dropped: pd.DataFrame = field(default_factory=_nothing_dropped)

    def __post_init__(self) -> None:
        """Refuse parts that do not fit each other."""
        for wrong, asked, found, remedy in self._faults():
            if wrong:
                raise DataError(f"a panel with {asked} was asked for; found {found}; {remedy}")

    def _faults(self) -> list[tuple[bool, str, str, str]]:
        """Return each way in which the parts may not fit: whether they do, asked, found, what to do."""
        shape = (len(self.firms), len(self.platforms), len(self.months))
        ids, lacking = self.firms.index, [name for name in attributes() if name not in self.firms]
        twice = list(ids[ids.duplicated()][:1])
        steps = np.diff(self.months.asi8) if self.months.freqstr == "M" else np.array([0])
        low, high = np.fmin.reduce(self.sales, None, initial=0.0), np.fmax.reduce(self.sales, None, initial=0.0)
        named = ids.append(pd.Index(self.firms["brand_group"].unique())) if "brand_group" in self.firms else ids
        simulated = named[named.astype(str).str.match(SIMULATED_ID)]
        return [
            (self.provenance not in UNITS, "a provenance real or simulated", repr(self.provenance), "use one of these"),
            (self.sales.dtype != np.float64, "sales in float64", str(self.sales.dtype), "convert them"),
            (self.sales.shape != shape, f"sales of shape {shape}", str(self.sales.shape), "match its axes"),
            (bool(lacking), f"firms with {', '.join(attributes())}", f"no {', '.join(lacking)}", "add the column"),
            (bool(twice), "each firm once", f"the firm {twice} twice", "merge its rows"),
            (len(set(self.platforms)) < shape[1], "each platform once", str(self.platforms), "merge the two"),
            (bool((steps != 1).any()), "months without gaps", str(list(self.months[:3])), "give every month"),
            (low < 0 or high == np.inf, "finite sales of at least 0", f"{low:g} to {high:g}", "correct them"),
            (
                self.provenance == "real" and len(simulated) > 0,
                "real firms",
                f"{len(simulated)} simulated ids such as {simulated[:1].tolist()}",
                "say that it is simulated, or leave these firms out",
            ),
        ]

    @property
    def unit(self) -> str:
        """Unit of the sales: "USD" or "sim-$"."""
        return UNITS[self.provenance]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of sales, firms, platforms, months and provenance, in whatever order firms and platforms stand."""
        return digest_of(self.sales, self.firms, self.platforms, self.months, self.provenance)

    def platform(self, name: str) -> Floats:
        """Return the sales on one platform, float64[firm, month]; an unknown name is a DesignError."""
        if name not in self.platforms:
            raise DesignError(
                f"the platform {name!r} was asked for; there are {', '.join(self.platforms)}; name one of these"
            )
        return self.sales[:, self.platforms.index(name)]

    def total(self) -> Floats:
        """Return the sales on all platforms, float64[firm, month]; NaN where one of them is not known."""
        return np.asarray(self.sales.sum(axis=1))

    def closures(self, *, cut: float = 0.5) -> Floats:
        """Return the month of closure of each firm, also of those closed after the last month.

        `cut`, in (0, 1], is the smallest dose that counts as a closure.

        Returns
        -------
        float64[firm]
            Position of the month on axis 2, beyond its end for closures after the last month (right-censored, counted
            in `censored`); inf for firms never closed, or closed below `cut`.

        Raises
        ------
        DesignError
            If `cut` is not in (0, 1].
        DataError
            If a firm was closed before the first month.
        """
        if not 0 < cut <= 1:
            raise DesignError(f"a dose in (0, 1] as cut was asked for; found {cut}; 0.5 is usual")
        closed = self.firms["closed_on"].notna().to_numpy()
        position = month_numbers(self.firms["closed_on"]) - self.months.asi8[0]
        if (early := closed & (position < 0)).any():
            raise DataError(
                f"months of closure within the panel were asked for; {early.sum()} firms such as "
                f"{self.firms.index[early][0]!r} were closed before {self.months[0]}; leave them out"
            )
        return np.where(closed & (self.firms["dose"].to_numpy(float) >= cut), position, np.inf)

    def first_treated(self, *, cut: float = 0.5) -> Floats:
        """Return :meth:`closures` as far as the panel shows them: inf also for firms closed after the last month."""
        position = self.closures(cut=cut)
        return np.where(position < len(self.months), position, np.inf)

    def count_closed(self, *, cut: float = 0.5) -> int:
        """Return the number of firms closed within the window, with a dose of at least `cut`."""
        return int(np.isfinite(self.first_treated(cut=cut)).sum())

    @property
    def censored(self) -> int:
        """Number of firms whose closure lies after the last month: never closed within the window."""
        closed = self.firms["closed_on"].notna().to_numpy()
        return int((closed & (month_numbers(self.firms["closed_on"]) > self.months.asi8[-1])).sum())

    def cohorts(self, *, cut: float = 0.5) -> pd.DataFrame:
        """Count the closed firms by month of closure, within the window.

        Returns
        -------
        DataFrame
            `month` (Period), `firms`, `brand_groups`; one row per month in which firms were closed, in order.
        """
        first = self.first_treated(cut=cut)
        closed = np.isfinite(first)
        groups = self.firms["brand_group"][closed].groupby(first[closed].astype(int))
        return pd.DataFrame(
            {
                "month": self.months[np.unique(first[closed]).astype(int)],
                "firms": groups.size().to_numpy(),
                "brand_groups": groups.nunique().to_numpy(),
            }
        )

    def base_share(self, *, base: slice, home: str = "AMZ") -> Floats:
        """Return the share of each firm in its category's home sales over the base months.

        Parameters
        ----------
        base : slice
            Positions of the base months on axis 2.
        home : str
            The platform.

        Returns
        -------
        float64[firm]
            Sales recorded in the base months over those of the category. NaN for a firm with no known base month,
            and in a category that sold nothing.

        Raises
        ------
        DesignError
            If the base holds no month or the platform is unknown.
        """
        sold, known = self._base_sales(base, home)
        category, _ = pd.factorize(self.firms["category"])
        with np.errstate(invalid="ignore"):
            share = sold / np.bincount(category, weights=sold)[category]
        return np.where(known, share, np.nan)

    def exposure(self, *, base: slice, home: str = "AMZ", cut: float = 0.5) -> Floats:
        """Return how much of its category's home sales each firm's closed rivals held.

        ``E[i, t]`` is the sum of the base shares of the firms of i's category other than i that were closed by t.

        Parameters
        ----------
        base : slice
            Positions of the base months on axis 2, before the first closure.
        home : str
            The platform.
        cut : float
            Smallest dose that counts as a closure.

        Returns
        -------
        float64[firm, month]
            Shares between 0 and 1. A firm with no known base month holds nothing for the others. NaN in a category
            that sold nothing in the base months.

        Raises
        ------
        DesignError
            If the base holds no month or reaches into the closures, or the platform is unknown.
        """
        first = self.first_treated(cut=cut)
        self._before_closures(base, first)
        sold, _ = self._base_sales(base, home)
        category, names = pd.factorize(self.firms["category"])
        closed = np.flatnonzero(np.isfinite(first))
        by_month = np.zeros((len(names), len(self.months)))
        np.add.at(by_month, (category[closed], first[closed].astype(int)), sold[closed])
        lost: Floats = by_month.cumsum(axis=1)[category]
        own = sold[closed, None] * (np.arange(len(self.months)) >= first[closed, None])
        lost[closed] = np.maximum(lost[closed] - own, 0.0)  # the difference of equal sums may be a rounding below 0
        with np.errstate(invalid="ignore"):
            lost /= np.bincount(category, weights=sold, minlength=len(names))[category, None]
        return lost

    def _base_sales(self, base: slice, home: str) -> tuple[Floats, Bools]:
        """Return the home sales of each firm in the base months, and whether any of them is known."""
        sales = self.platform(home)[:, base]
        if sales.shape[1] == 0:
            raise DesignError(f"base months {base} were asked for; the panel has {len(self.months)}; give one of them")
        return np.nansum(sales, axis=1), np.asarray(~np.isnan(sales).all(axis=1))

    def _before_closures(self, base: slice, first: Floats) -> None:
        months = np.arange(len(self.months))[base]
        if len(months) and months.max() >= first.min():
            closure, last = self.months[int(first.min())], self.months[months.max()]
            raise DesignError(
                f"base months before the first closure were asked for; the base ends in {last}, the first closure is "
                f"in {closure}; end the base earlier"
            )

    def to_parquet(self, path: str | Path) -> None:
        """Write one row per firm, platform and month, missing sales as null.

        The provenance goes into the metadata of the file, into a column and, in simulated panels, the ids.

        Raises
        ------
        DataError
            When the panel is simulated and a firm id does not look like SIM-0417.
        """
        from analysis.panel.writing import write

        write(self, Path(path))


def concat(*panels: Panel) -> Panel:
    """Put the firms of several panels into one.

    Returns
    -------
    Panel
        Firms in the order given; what was dropped is listed one after the other.

    Raises
    ------
    DataError
        When none is given, their provenance, platforms or months differ, or a firm is in two of them.
    """
    if not panels:
        raise DataError("panels to put together were asked for; found none; give at least one")
    for name, found in (
        ("provenance", [panel.provenance for panel in panels]),
        ("list of platforms", [", ".join(panel.platforms) for panel in panels]),
        ("window", [f"{panel.months[0]} to {panel.months[-1]}" for panel in panels]),
    ):
        if len(set(found)) > 1:
            raise DataError(
                f"panels of one {name} were asked for; found {' and '.join(dict.fromkeys(found))}; "
                "keep them apart, or bring them to the same"
            )
    return Panel(
        sales=np.concatenate([panel.sales for panel in panels]),
        firms=pd.concat([panel.firms for panel in panels]),
        platforms=panels[0].platforms,
        months=panels[0].months,
        provenance=panels[0].provenance,
        dropped=pd.concat([panel.dropped for panel in panels], ignore_index=True),
    )
