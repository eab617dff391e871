"""Look for what is implausible in a panel: another unit, one firm, breaks, odd closures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from fewtreated.errors import refuse

from analysis.numbers import number
from analysis.panel.checks import Table
from analysis.panel.map import RECOGNISED, Map, phrase, refusal_words
from analysis.panel.panel import Panel

# firms from which on a total may be among them, and from which on a share or median says something
FEW_FIRMS = 3
MANY_FIRMS = 10
# factor by which typical sales never change in a month; months without sales before a closure
BREAK = 4.0
LATE = 6
# so many times the sales on the home platform are not made on another one, but in another unit
SIDE = 20.0
GOING_ON = 0.05  # firms that keep a larger share of their home sales were not fully closed


@dataclass(frozen=True)
class Beside:
    """How much larger sales on another platform are than on the home platform.

    Sales are those before the first closure.

    `times` is the ratio of all sales, `middle` the median ratio over the `count` firms that sell on
    both, and `months` the number of months compared.
    """

    home: str
    other: str
    times: float
    middle: float
    count: int
    months: int

    @property
    def least(self) -> float:
        """The smaller of the two ratios: a unit multiplies both."""
        return min(self.times, self.middle)

    @property
    def values(self) -> dict[str, Any]:
        """Values for a sentence."""
        return vars(self) | {"times": number(self.times, 2), "middle": number(self.middle, 2)}


def beside_home(panel: Panel) -> Beside | None:
    """Compare sales on the home platform with those on the platform that is largest beside it.

    Only firms and months are compared in which sales on both are known. Months are those before the
    first closure, or all if there is none. None if fewer than `FEW_FIRMS` firms sell on both.
    """
    first = panel.first_treated()
    before = int(min(first.min(initial=np.inf), len(panel.months)))
    home = panel.sales[:, 0, :before]
    found = list[Beside]()
    for at, name in enumerate(panel.platforms[1:], start=1):
        other = panel.sales[:, at, :before]
        known = ~(np.isnan(home) | np.isnan(other))
        own, beside = (sales.sum(axis=1, where=known) for sales in (home, other))
        both = (own > 0) & (beside > 0)
        if np.count_nonzero(both) >= FEW_FIRMS:
            ratios = {
                "times": float(beside.sum() / own.sum()),
                "middle": float(np.median(beside[both] / own[both])),
            }
            months = int(known.any(axis=0).sum())
            found.append(
                Beside(panel.platforms[0], name, **ratios, count=int(both.sum()), months=months)
            )
    return max(found, key=lambda each: each.least, default=None)


def refuse_units(panel: Panel, path: Any) -> None:
    """Raise DataError if the home platform is in another unit than another platform.

    It is if another platform has more than `SIDE` times its sales, in all and for the median firm
    that sells on both.
    """
    largest = beside_home(panel)
    if largest and largest.least > SIDE:
        refuse(path, *refusal_words("home unit", **largest.values))


def data_warnings(panel: Panel, table: Table) -> Iterator[str]:
    """Yield warnings about what is implausible.

    These are dominant firms, months without rows, a home platform smaller than another, breaks in
    level, and closures at odds with sales.

    A firm is dominant if it has half or more of all sales, as the sum of all others has, or of
    those on a platform with at least `MANY_FIRMS` firms.
    """
    sales = panel.sales
    observed = ~np.isnan(panel.sales)

    def named(position: int) -> str:
        name = panel.firms.index[position]
        first = table.units["first"][(table.units["firm"] == name).to_numpy()].min()
        return f"{name!r} (row {table.file.row(first)})"

    sold = sales.sum(axis=2, where=observed)
    parts = [(name, slice(at, at + 1)) for at, name in enumerate(panel.platforms)]
    for what, part in [("all sales", slice(None)), *parts]:
        by_firm = sold[:, part].sum(axis=1)
        if what in panel.platforms:
            least = MANY_FIRMS
        else:
            least = FEW_FIRMS
        firm = int(by_firm.argmax())
        half = by_firm.sum() / 2
        if np.count_nonzero(by_firm) >= least and by_firm[firm] > 0.999 * half:
            place, month = np.unravel_index(np.nanargmax(own := sales[firm, part]), own.shape)
            share = number(50 * by_firm[firm] / half, 2)
            most = number(own[place, month], 0)
            when = panel.months[month]
            where = {"what": what, "platform": panel.platforms[part][place], "month": when}
            yield phrase("dominant", share=share, firm=named(firm), most=most, **where)
            break
    gap = ~np.asarray(observed.any(axis=(0, 1)))
    if gap.any():
        yield phrase(
            "gap", count=gap.sum(), months=len(gap), such=", ".join(map(str, panel.months[gap]))
        )
    largest = beside_home(panel)
    if largest and largest.least > 1:
        yield phrase("home small", **largest.values)
    yield from _breaks(panel, named)
    yield from _closures(panel, named)


def _breaks(panel: Panel, named: Callable[[int], str]) -> Iterator[str]:
    """Yield a warning for each month in which typical sales change by a factor above `BREAK`."""
    step = 1 + len(panel.firms) // 20_000  # firms, enough for a median
    for month in range(1, len(panel.months)):
        before, now = (panel.sales[::step, :, at].ravel() for at in (month - 1, month))
        both = np.flatnonzero((before > 0) & (now > 0))
        times = np.median(now[both] / before[both]) if len(both) >= MANY_FIRMS else 1.0
        if not 1 / BREAK < times < BREAK:
            firm = named(both[0] // len(panel.platforms) * step)
            sold = number(now[both[0]], 0)
            yield phrase(
                "break", month=panel.months[month], times=number(times, 3), firm=firm, sales=sold
            )


def _closures(panel: Panel, named: Callable[[int], str]) -> Iterator[str]:
    """Yield a warning if closed firms stopped selling at odd times.

    The times are odd if firms had sold nothing at home for long, or if most cease to at one other
    time.
    """
    first = panel.first_treated()
    home = panel.platforms[0]
    closed = np.flatnonzero(np.isfinite(first))
    month = first[closed].astype(int)
    sells = panel.sales[closed, 0] > 0
    last = np.where(sells, np.arange(len(panel.months)), -1).max(axis=1)
    ended = (last >= 0) & (last < len(panel.months) - 1)
    late = month - 1 - last
    # in the month of the closure a firm may still sell
    off = ended & np.isin(late, pd.Series(late[ended]).mode()[:1]) & ~np.isin(late, (-1, 0))
    odd = np.flatnonzero(
        off if off.sum() >= max(FEW_FIRMS, ended.sum() / 2) else ended & (late >= LATE)
    )
    for at in odd[:1]:
        when = {"last": panel.months[last[at]], "month": panel.months[month[at]]}
        yield phrase(
            "closures", count=len(odd), ended=ended.sum(), home=home, firm=named(closed[at]), **when
        )


def rate_warnings(named: Map) -> list[str]:
    """Return warnings about exchange rates above 1 for currencies worth less than a US dollar."""
    rates = {money or named.currency: max(by.values()) for money, by in named.rates.items()}
    cheap = RECOGNISED["cheap"]
    odd = [(money, rate) for money, rate in rates.items() if money.lower() in cheap and rate > 1]
    return [
        phrase("inverted", money=money, rate=number(rate, 2), inverse=number(1 / rate, 3))
        for money, rate in odd
    ]


def unknown_doses(panel: Panel) -> str:
    """Explain why doses are unknown, or return an empty string if they are known.

    Without a column of doses, closed firms are presumed fully closed. Their doses are unknown if
    they kept selling at home.
    """
    first = panel.first_treated(cut=1.0)
    home = panel.sales[np.isfinite(first), 0]
    first = first[np.isfinite(first), np.newaxis]
    month = np.arange(home.shape[1])
    parts = (
        (first - 12 <= month) & (month < first),
        month > first,
    )  # the closure month may be partial
    before, after = (pd.DataFrame(np.where(window, home, np.nan)).mean(axis=1) for window in parts)
    seen = before.notna() & after.notna()
    sold = before[seen].sum()
    left = after[seen].sum()
    if not left > GOING_ON * sold > 0:
        return ""
    share = number(100 * left / sold, 0)
    home = panel.platforms[0]
    return phrase("no dose", count=seen.sum(), share=share, home=home)
