"""Build the panel that a researcher would observe in a simulated market (equation 12)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd
from fewtreated.estimate import Bools, Floats, Ints

from analysis.panel import Panel
from market.parameters import FIRST_MONTH, MONTHS, Names
from market.population import NEVER, PERIMETER, streams
from market.worlds import EBY, Market, Trajectory, renamed

Texts = npt.NDArray[np.object_]
Dates = npt.NDArray[np.datetime64]


@lru_cache(maxsize=8)
def ids(count: int, stem: str = "SIM-") -> Texts:
    """Return simulated ids, such as SIM-0000 and SIM-0001."""
    return np.array([f"{stem}{number:04d}" for number in range(count)], dtype=object)


def first_days(month: Ints, first_month: str = FIRST_MONTH) -> Dates:
    """Return the first day of each month, given by its position; NaT if it is never."""
    dates = np.datetime64(first_month, "M") + month
    return np.where(month < NEVER, dates, np.datetime64("NaT", "M")).astype("datetime64[s]")


def observe(market: Market, course: Trajectory, names: Names) -> Panel:
    """Build the panel of one world, as a researcher would see it, under an event's names."""
    parameters = market.parameters
    closures = market.closures
    sales = np.ascontiguousarray(
        np.concatenate([market.history.sales, course.sales]).transpose(2, 1, 0)
    )
    generator = streams(market.seed)["measurement"]
    linked = generator.random(len(sales)) >= parameters.unlinked
    if parameters.noise:  # which has no bias
        error = generator.standard_normal(sales.shape)
        sales *= np.exp(parameters.noise * error - parameters.noise**2 / 2)
    if parameters.perimeter:
        sales[:, EBY, PERIMETER:] *= 1 + parameters.perimeter
    rows = pd.DataFrame(
        {
            "firm": np.arange(len(sales)),
            "suffix": "",
            "closed": closures.month,
            "dose": closures.dose,
        }
    )
    if parameters.by_account:
        rest = _renamed(market, sales, rows, np.full(len(sales), True))
        return _panel(market, names, *_accounts(market, *rest))
    return _panel(market, names, *_renamed(market, sales, rows, ~linked))


def _renamed(
    market: Market, sales: Floats, rows: pd.DataFrame, unlinked: Bools
) -> tuple[Floats, pd.DataFrame]:
    """Move the sales of renamed accounts to rows of their own, as if the accounts were new firms.

    Only firms marked in `unlinked` are affected. `rows` contains, for each row of `sales`, its
    `firm` and `suffix`, the month in which it was `closed`, and its `dose`.
    """
    closures = market.closures
    firms = np.flatnonzero(unlinked & (closures.back < MONTHS))
    bitten = closures.dose[firms, np.newaxis] * market.parameters.bite
    new = bitten * renamed(market, closures, firms, 0).T
    sold = np.zeros((len(firms), *sales.shape[1:]))
    sold[:, 0] = sales[firms, 0] * np.divide(
        new, 1 - bitten + new, out=np.zeros_like(new), where=new > 0
    )
    sales[firms, 0] -= sold[:, 0]
    again = closures.again[firms]
    added = pd.DataFrame(
        {"firm": firms, "suffix": "-R", "closed": again, "dose": (again < NEVER).astype(float)}
    )
    return np.concatenate([sales, sold]), pd.concat([rows, added], ignore_index=True)


def _accounts(market: Market, sales: Floats, rows: pd.DataFrame) -> tuple[Floats, pd.DataFrame]:
    """Split AMZ sales by account, with renamed accounts last.

    Sales on other platforms stay with a firm's first account.
    """
    firms = market.firms
    closures = market.closures
    bite = market.parameters.bite
    firm = np.repeat(np.arange(len(firms)), firms.accounts)
    number = np.arange(len(firm)) - np.repeat(
        np.cumsum(firms.accounts) - firms.accounts, firms.accounts
    )
    share = firms.account_shares[firm, number][:, np.newaxis]
    shut = number < closures.closed_accounts[firm]
    after = np.arange(MONTHS) >= closures.month[firm][:, np.newaxis]
    bitten = bite * closures.dose[firm][:, np.newaxis]
    open_ = np.where(shut[:, np.newaxis], 1 - bite, 1.0)
    left = np.divide(share * open_, 1 - bitten, out=np.zeros((len(firm), 1)), where=bitten < 1)
    sold = np.zeros((len(firm), *sales.shape[1:]))
    sold[:, 0] = sales[firm, 0] * np.where(after, left, share)
    sold[number == 0, 1:] = sales[: len(firms), 1:]
    closed = np.where(shut, closures.month[firm], NEVER)
    suffix = [f"-{account + 1}" for account in number]
    mine = pd.DataFrame(
        {"firm": firm, "suffix": suffix, "closed": closed, "dose": shut.astype(float)}
    )
    renamed_ones = slice(len(firms), None)
    return np.concatenate([sold, sales[renamed_ones]]), pd.concat(
        [mine, rows[renamed_ones]], ignore_index=True
    )


def _largest(market: Market, sales: Floats, sold: Bools) -> Bools:
    """Select the firms and accounts that sold most at home in the year before the news."""
    base = sales[:, 0, market.news - 12 : market.news].sum(axis=1)
    largest = np.zeros(len(sold), dtype=np.bool_)
    order = np.argsort(-np.where(sold, base, -1.0), kind="stable")
    largest[order[: market.parameters.top_n]] = True
    return largest


def _panel(market: Market, names: Names, sales: Floats, rows: pd.DataFrame) -> Panel:
    """Build a panel from the firms and accounts large enough to be observed.

    Those left out are counted.
    """
    parameters = market.parameters
    firms = market.firms
    sold: Bools = np.asarray(sales.any(axis=(1, 2)))
    top = _largest(market, sales, sold)
    kept = np.flatnonzero(sold & top)
    if len(kept) != len(sold):
        sales = sales[kept]
    sales[:, parameters.covered :] = np.nan
    sales = names.gather(sales)
    firm, suffix, closed, dose = (
        rows[name].to_numpy()[kept] for name in ("firm", "suffix", "closed", "dose")
    )
    group = ids(len(firms), "SIM-G")[firms.group[firm]] + np.where(suffix == "-R", "-R", "")
    frame = pd.DataFrame(
        {
            "brand_group": pd.array(group),
            "origin": np.where(firms.chinese[firm], names.origin, "other"),
            "category": ids(parameters.n_categories, "C")[firms.nests.category[firm]],
            "closed_on": first_days(closed, names.first_month),
            "dose": np.where(closed < NEVER, dose, np.nan),
            "risk": np.where(suffix == "-R", np.nan, firms.suspicion[firm]),
        },
        index=pd.Index(ids(len(firms))[firm] + suffix, name="firm"),
    )
    small = f"left out: not among the top {parameters.top_n} by base sales on {names.platforms[0]}"
    dropped = [
        ("potential entrant or account", "left out: never sold anything", int((~sold).sum())),
        ("firm or account", small, int((sold & ~top).sum())),
    ]
    return Panel(
        sales=sales,
        firms=frame,
        platforms=names.platforms,
        months=pd.period_range(names.first_month, periods=MONTHS, freq="M"),
        provenance="simulated",
        dropped=pd.DataFrame(
            [rule for rule in dropped if rule[2]], columns=["what", "rule", "count"]
        ),
        population="census",
    )
