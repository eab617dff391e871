"""What a researcher would see of a simulated market: the measurement layer (equation 12)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.errors import DesignError
from analysis.estimate import Bools, Floats
from analysis.market.engine import Course
from analysis.market.firms import NEVER, streams
from analysis.market.parameters import FIRST_MONTH, MONTHS, PLATFORMS, Ints, Parameters
from analysis.market.paths import PERIMETER
from analysis.market.worlds import Market
from analysis.panel import Panel

EBY = PLATFORMS.index("EBY")
Texts = npt.NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows of the panel to be: sales float64[row, platform, month], which firm each is, and what closed it when."""

    sales: Floats
    firm: Ints
    suffix: Texts
    closed: Ints
    dose: Floats


@lru_cache(maxsize=8)
def _ids(count: int, stem: str) -> Texts:
    return np.array([f"{stem}{number:04d}" for number in range(count)], dtype=object)


def firm_ids(count: int) -> Texts:
    """Return ids SIM-0000, SIM-0001, ...; a simulated firm has no other name."""
    return _ids(count, "SIM-")


def observe(market: Market, course: Course) -> Panel:
    """Return the panel that a world leaves behind."""
    parameters = market.stage.parameters
    both = np.concatenate([market.history.sales, course.sales])
    sales = np.ascontiguousarray(both.transpose(2, 1, 0))
    generator = streams(market.seed)["measurement"]
    linked = generator.random(len(sales)) >= parameters.unlinked
    _measure(parameters, sales, generator)
    closures = market.closures
    everyone = np.arange(len(sales))
    rows = _Rows(sales, everyone, np.full(len(sales), "", dtype=object), closures.month, closures.dose)
    if parameters.by_account or not linked.all():
        rows = _renamed(market, rows, np.full(len(sales), True) if parameters.by_account else ~linked)
    if parameters.by_account:
        rows = _accounts(market, rows)
    return _panel(market, rows)


def _measure(parameters: Parameters, sales: Floats, generator: np.random.Generator) -> None:
    """Blur what is sold without bias, break the perimeter of EBY, and hide platforms, in place."""
    if parameters.noise:
        error = generator.standard_normal(sales.shape)
        sales *= np.exp(parameters.noise * error - parameters.noise**2 / 2)
    if parameters.perimeter:
        sales[:, EBY, PERIMETER:] *= 1 + parameters.perimeter


def _renamed(market: Market, rows: _Rows, unlinked: Bools) -> _Rows:
    """Give the renamed accounts of `unlinked` firms a row of their own, as if they were newcomers."""
    closures, parameters = market.closures, market.stage.parameters
    firms = np.flatnonzero(unlinked & (closures.back < MONTHS))
    if not firms.size:
        return rows
    months = np.arange(MONTHS)
    since = np.clip(months - closures.back[firms, np.newaxis], 0, 12)
    earned = (parameters.reputation + (1 - parameters.reputation) * since / 12) ** (1 / (1 - parameters.sigma))
    open_ = (months >= closures.back[firms, np.newaxis]) & (months < closures.again[firms, np.newaxis])
    bitten = closures.dose[firms, np.newaxis] * parameters.bite
    new = bitten * open_ * earned
    share = np.divide(new, 1 - bitten + new, out=np.zeros_like(new), where=new > 0)
    sales = np.zeros((len(firms), *rows.sales.shape[1:]))
    sales[:, 0] = rows.sales[firms, 0] * share
    kept = rows.sales.copy()
    kept[firms, 0] -= sales[:, 0]
    again = closures.again[firms]
    return _Rows(
        np.concatenate([kept, sales]),
        np.concatenate([rows.firm, firms]),
        np.concatenate([rows.suffix, np.full(len(firms), "-R", dtype=object)]),
        np.concatenate([rows.closed, again]),
        np.concatenate([rows.dose, (again < NEVER).astype(float)]),
    )


def _accounts(market: Market, rows: _Rows) -> _Rows:
    """Split AMZ sales by account; sales elsewhere stay with the firm's first account."""
    firms, closures = market.stage.firms, market.closures
    whole = np.flatnonzero(rows.suffix == "")
    renamed = np.flatnonzero(rows.suffix != "")
    firm = np.repeat(whole, firms.accounts[whole])
    number = np.arange(len(firm)) - np.repeat(np.cumsum(firms.accounts) - firms.accounts, firms.accounts)
    share = firms.account_shares[firm, number][:, np.newaxis]
    shut = number < closures.closed_accounts[firm]
    after = np.arange(MONTHS) >= closures.month[firm][:, np.newaxis]
    bitten = market.stage.parameters.bite * closures.dose[firm][:, np.newaxis]
    open_ = np.where(shut[:, np.newaxis], 1 - market.stage.parameters.bite, 1.0)
    left = np.divide(share * open_, 1 - bitten, out=np.zeros((len(firm), 1)), where=bitten < 1)
    sales = np.zeros((len(firm), *rows.sales.shape[1:]))
    sales[:, 0] = rows.sales[firm, 0] * np.where(after, left, share)
    first = number == 0
    sales[first, 1:] = rows.sales[firm[first], 1:]
    names = np.array([f"-{n + 1}" for n in number], dtype=object)
    return _Rows(
        np.concatenate([sales, rows.sales[renamed]]),
        np.concatenate([firm, rows.firm[renamed]]),
        np.concatenate([names, rows.suffix[renamed]]),
        np.concatenate([np.where(shut, closures.month[firm], NEVER), rows.closed[renamed]]),
        np.concatenate([shut.astype(float), rows.dose[renamed]]),
    )


def _panel(market: Market, rows: _Rows) -> Panel:
    parameters = market.stage.parameters
    firms = market.stage.firms
    sold: Bools = np.asarray(rows.sales.any(axis=(1, 2)))
    base = rows.sales[:, 0, market.news - 12 : market.news].sum(axis=1)
    ranked = np.argsort(-np.where(sold, base, -1.0), kind="stable")
    top = np.zeros(len(sold), dtype=np.bool_)
    top[ranked[: parameters.top_n]] = True
    kept = np.flatnonzero(sold & top)
    sales = rows.sales if len(kept) == len(sold) else rows.sales[kept]
    sales[:, parameters.covered :] = np.nan
    firm, suffix, closed = rows.firm[kept], rows.suffix[kept], rows.closed[kept]
    months = pd.period_range(FIRST_MONTH, periods=MONTHS, freq="M")
    start = np.datetime64(FIRST_MONTH, "M")
    dates = np.where(closed < NEVER, start + np.minimum(closed, NEVER - 1), np.datetime64("NaT", "M"))
    frame = pd.DataFrame(
        {
            "brand_group": pd.array(_ids(len(firms), "SIM-G")[firms.group[firm]] + np.where(suffix == "-R", "-R", "")),
            "origin": np.where(firms.chinese[firm], "CN", "other"),
            "category": _ids(parameters.n_categories, "C")[firms.nests.category[firm]],
            "closed_on": dates.astype("datetime64[s]"),
            "dose": np.where(closed < NEVER, rows.dose[kept], np.nan),
            "risk": np.where(suffix == "-R", np.nan, firms.suspicion[firm]),
        },
        index=pd.Index(firm_ids(len(firms))[firm] + suffix, name="firm"),
    )
    return Panel(
        sales=sales,
        firms=frame,
        platforms=PLATFORMS,
        months=months,
        provenance="simulated",
        dropped=_dropped(parameters, int((~sold).sum()), int((sold & ~top).sum())),
    )


def _dropped(parameters: Parameters, unsold: int, small: int) -> pd.DataFrame:
    rules = [
        ("potential entrant or account", "never sold anything", unsold),
        ("firm or account", f"not among the top {parameters.top_n} by base sales on AMZ", small),
    ]
    return pd.DataFrame([rule for rule in rules if rule[2]], columns=["what", "rule", "count"])


def listed_extract(panel: Panel, firms: list[str]) -> pd.DataFrame:
    """Return quarterly sales of a few firms over all platforms, as listed companies report them.

    Parameters
    ----------
    panel : Panel
    firms : list of str
        Ids.

    Returns
    -------
    DataFrame
        Index: quarters; a column per firm, in the unit of the panel.

    Raises
    ------
    DesignError
        If a firm is not in the panel.
    """
    if absent := [name for name in firms if name not in panel.firms.index]:
        raise DesignError(f"quarterly sales of {absent[0]} were asked for; the panel has no such firm; name its ids")
    rows = panel.firms.index.get_indexer(firms)
    monthly = pd.DataFrame(panel.total()[rows].T, index=panel.months, columns=firms)
    return monthly.groupby(panel.months.asfreq("Q")).sum()
