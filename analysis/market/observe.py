"""What a researcher would see of a simulated market: the measurement layer (equation 12)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.estimate import Bools, Floats, Ints
from analysis.market.environment import PERIMETER
from analysis.market.parameters import FIRST_MONTH, MONTHS, PLATFORMS
from analysis.market.population import NEVER, streams
from analysis.market.worlds import EBY, Market, Trajectory, renamed
from analysis.panel import Panel

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


def observe(market: Market, course: Trajectory) -> Panel:
    """Return the panel that a world leaves behind."""
    parameters, closures = market.parameters, market.closures
    sales = np.ascontiguousarray(np.concatenate([market.history.sales, course.sales]).transpose(2, 1, 0))
    generator = streams(market.seed)["measurement"]
    linked = generator.random(len(sales)) >= parameters.unlinked
    if parameters.noise:  # without bias
        error = generator.standard_normal(sales.shape)
        sales *= np.exp(parameters.noise * error - parameters.noise**2 / 2)
    if parameters.perimeter:
        sales[:, EBY, PERIMETER:] *= 1 + parameters.perimeter
    names = np.full(len(sales), "", dtype=object)
    rows = _Rows(sales, np.arange(len(sales)), names, closures.month, closures.dose)
    rows = _renamed(market, rows, np.full(len(sales), True) if parameters.by_account else ~linked)
    return _panel(market, _accounts(market, rows) if parameters.by_account else rows)


def _renamed(market: Market, rows: _Rows, unlinked: Bools) -> _Rows:
    """Give the renamed accounts of `unlinked` firms a row of their own, as if they were newcomers."""
    closures = market.closures
    firms = np.flatnonzero(unlinked & (closures.back < MONTHS))
    if not firms.size:
        return rows
    bitten = closures.dose[firms, np.newaxis] * market.parameters.bite
    new = bitten * renamed(market, closures, firms, 0).T
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
    firms, closures, bite = market.firms, market.closures, market.parameters.bite
    whole, others = np.flatnonzero(rows.suffix == ""), np.flatnonzero(rows.suffix != "")
    firm = np.repeat(whole, firms.accounts[whole])
    number = np.arange(len(firm)) - np.repeat(np.cumsum(firms.accounts) - firms.accounts, firms.accounts)
    share = firms.account_shares[firm, number][:, np.newaxis]
    shut = number < closures.closed_accounts[firm]
    after = np.arange(MONTHS) >= closures.month[firm][:, np.newaxis]
    bitten = bite * closures.dose[firm][:, np.newaxis]
    open_ = np.where(shut[:, np.newaxis], 1 - bite, 1.0)
    left = np.divide(share * open_, 1 - bitten, out=np.zeros((len(firm), 1)), where=bitten < 1)
    sales = np.zeros((len(firm), *rows.sales.shape[1:]))
    sales[:, 0] = rows.sales[firm, 0] * np.where(after, left, share)
    first = number == 0
    sales[first, 1:] = rows.sales[firm[first], 1:]
    return _Rows(
        np.concatenate([sales, rows.sales[others]]),
        np.concatenate([firm, rows.firm[others]]),
        np.concatenate([np.array([f"-{n + 1}" for n in number], dtype=object), rows.suffix[others]]),
        np.concatenate([np.where(shut, closures.month[firm], NEVER), rows.closed[others]]),
        np.concatenate([shut.astype(float), rows.dose[others]]),
    )


def _panel(market: Market, rows: _Rows) -> Panel:
    """Leave out who never sold and who is too small to be seen, counted, and name what is left."""
    parameters, firms = market.parameters, market.firms
    sold: Bools = np.asarray(rows.sales.any(axis=(1, 2)))
    base = rows.sales[:, 0, market.news - 12 : market.news].sum(axis=1)
    top = np.zeros(len(sold), dtype=np.bool_)
    top[np.argsort(-np.where(sold, base, -1.0), kind="stable")[: parameters.top_n]] = True
    kept = np.flatnonzero(sold & top)
    sales = rows.sales if len(kept) == len(sold) else rows.sales[kept]
    sales[:, parameters.covered :] = np.nan
    firm, suffix, closed = rows.firm[kept], rows.suffix[kept], rows.closed[kept]
    dates = np.where(closed < NEVER, np.datetime64(FIRST_MONTH, "M") + closed, np.datetime64("NaT", "M"))
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
    dropped = [
        ("potential entrant or account", "never sold anything", int((~sold).sum())),
        (
            "firm or account",
            f"not among the top {parameters.top_n} by base sales on AMZ",
            int((sold & ~top).sum()),
        ),
    ]
    return Panel(
        sales=sales,
        firms=frame,
        platforms=PLATFORMS,
        months=pd.period_range(FIRST_MONTH, periods=MONTHS, freq="M"),
        provenance="simulated",
        dropped=pd.DataFrame([rule for rule in dropped if rule[2]], columns=["what", "rule", "count"]),
    )
