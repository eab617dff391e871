"""Look for what is doubtful in a panel: units, breaks in level, sums among firms, shifted months.

A break is a jump of the median firm from one month to the next that neither the other platforms nor
the same month of another year show. ``benchmarks/doubts.py`` measures how often a clean panel is
doubted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from fewtreated.errors import refuse
from fewtreated.estimate import Bools, Floats, Ints

from analysis.numbers import number
from analysis.panel.checks import Table
from analysis.panel.map import RECOGNISED, Map, phrase, refusal_words
from analysis.panel.panel import Doubt, Panel

# firms from which on they can have a sum, and from which on a share or median says something
FEW_FIRMS = 3
MANY_FIRMS = 10
# factors by which the median firm never changes in a month: beside others, and if there are none
TWICE = 2.0
ALONE = 4.0
SURE = 4.0  # standard errors of a median beyond these factors
SUDDEN = 30.0  # the factor for a single firm, if `SOME` of all firms change so in one month
SOME = 0.01
SPREAD = 1.4826  # standard deviation of a normal, over its median absolute deviation
OF_MEDIAN = 1.2533  # standard error of its median, over that of its mean
ENOUGH = 2_000  # firms, for a median; sums of others are among the largest of as many
UNIT = 1000.0  # how far apart two units are
RARE = 1e-6  # chance of so few firms between two heaps of firms, if they were one
SAME = 0.005  # relative difference between a row and a sum that it may be
# of its months must have the sum, and there must be so many
MOST = 0.9
MONTHS = 6
SIDE = 20.0  # so many times the sales on the home platform are another unit, of however few firms
BY_CHANCE = 0.001  # chance of what is taken for another unit, or for a shift of months
REACH = 6  # months around a closure, of which one has the largest fall of sales
PARTLY = 0.8  # of its sales is what a firm keeps at most in a month that its closure cuts short
HALF = 0.4995  # of the sales on each platform is what a firm has that is the sum of all others
NEARLY_ALL = 0.9  # of the sales on one
GOING_ON = 0.05  # firms that keep a larger share of their home sales were not fully closed

Named = Callable[[int], str]  # a firm and its first row, by its position


def raised(panel: Panel, table: Table) -> tuple[Doubt, ...]:
    """Return the doubts about a panel; those that its map accepts have the reason.

    Raise DataError for a doubt that stops and that is not accepted.
    """
    file = table.file
    reasons = file.named.accepted

    def named(position: int) -> str:
        name = panel.firms.index[position]
        first = table.units["first"][(table.units["firm"] == name).to_numpy()].min()
        return f"{name!r} (row {file.row(first)})"

    found = [*doubts(panel, named), *_inverted(file.named)]
    found = [replace(doubt, accepted=reasons.get(doubt.name, "")) for doubt in found]
    for doubt in found:
        if doubt.stops and not doubt.accepted:
            line = file.map_line(doubt.line)
            refuse(file.path, doubt.expected, doubt.found, f"{doubt.do}; if it is right, {line}")
    return tuple(found)


def doubts(panel: Panel, named: Named) -> Iterator[Doubt]:
    """Yield what is doubtful in a panel, beginning with what stops."""
    yield from _home_small(panel)
    yield from _sums(panel, named)
    yield from _shifted(panel)
    yield from _breaks(panel, named)
    yield from _two_units(panel, named)
    yield from _dominant(panel, named)
    yield from _gaps(panel)


def _doubt(key: str, name: str = "", *, stops: bool = False, **values: Any) -> Doubt:
    """Return a doubt in the words of ``data/panel.schema.json``, called by its key and a name."""
    words = refusal_words(key, "doubts", **values)
    return Doubt(f"{key} {name}".strip(), *words, stops, str(values.get("platform", "")))


# Units


@dataclass(frozen=True)
class Beside:
    """How much larger sales on another platform are than on the home platform.

    Sales are those before the first closure.

    `times` is the ratio of all sales, `middle` the median ratio over the `count` firms that sell on
    both, `chance` that of so many ratios above 1 if either were as likely, and `months` the number
    of months compared.
    """

    home: str
    other: str
    times: float
    middle: float
    chance: float
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
    from scipy import stats  # slow

    found = list[Beside]()
    for at, name in enumerate(panel.platforms[1:], start=1):
        other = panel.sales[:, at, :before]
        known = ~(np.isnan(home) | np.isnan(other))
        own, beside = (sales.sum(axis=1, where=known) for sales in (home, other))
        both = (own > 0) & (beside > 0)
        if np.count_nonzero(both) >= FEW_FIRMS:
            count = int(both.sum())
            more = int((beside > own)[both].sum())
            ratios = {
                "times": float(beside.sum() / own.sum()),
                "middle": float(np.median(beside[both] / own[both])),
                "chance": float(stats.binom.sf(more - 1, count, 0.5)),
            }
            months = int(known.any(axis=0).sum())
            found.append(Beside(panel.platforms[0], name, **ratios, count=count, months=months))
    return max(found, key=lambda each: each.least, default=None)


def _home_small(panel: Panel) -> Iterator[Doubt]:
    """Yield a doubt if another platform is larger, in all and for the median firm on both.

    That is for more than half of them, and not by chance, or `SIDE` times as large for a few.
    """
    largest = beside_home(panel)
    if largest and largest.least > (1.0 if largest.chance < BY_CHANCE else SIDE):
        yield _doubt("home small", stops=True, **largest.values)


def _two_units(panel: Panel, named: Named) -> Iterator[Doubt]:
    """Yield a doubt if firms fall into two heaps by size, as if some were in another unit.

    If sizes have one peak, any place holds at least as many firms as the smaller of two places at
    equal distances on both sides of it. A binomial test compares the two numbers, for places half
    of `UNIT` apart in logs.
    """
    from scipy import stats  # slow

    sold = panel.sales > 0
    with np.errstate(invalid="ignore"):
        mean = panel.sales.sum(axis=(1, 2), where=sold) / sold.sum(axis=(1, 2))
    order = np.argsort(mean)[: np.count_nonzero(mean > 0)]
    size = np.log(mean[order])
    half = np.log(UNIT) / 2
    places = np.linspace(size[0] + half, size[-1] - half, 200)

    def count(at: Floats) -> Ints:
        low, high = np.searchsorted(size, [at - half / 4, at + half / 4])
        return np.asarray(high - low)

    least = np.minimum(count(places - half), count(places + half))
    between = count(places)
    chance = stats.binom.cdf(between, between + least, 0.5)
    at = int(chance.argmin())
    if chance[at] < RARE:
        below = int(np.searchsorted(size, places[at]))
        small, large = (number(np.exp(np.median(heap)), 0) for heap in np.split(size, [below]))
        such: dict[str, Any] = {"small": small, "large": large, "firm": named(order[0])}
        yield _doubt("two units", count=below, all=len(size), **such)


def _inverted(named: Map) -> Iterator[Doubt]:
    """Yield a doubt for each exchange rate above 1 of a currency worth less than a US dollar."""
    for currency, by_period in named.rates.items():
        money = currency or named.currency
        rate = max(by_period.values())
        if money.lower() in RECOGNISED["cheap"] and rate > 1:
            values: dict[str, Any] = {"rate": number(rate, 2), "inverse": number(1 / rate, 3)}
            yield _doubt("rate", money, money=money, **values)


# Breaks in level


@dataclass(frozen=True)
class Jumps:
    """Changes of firms' sales from month to month, in logs.

    `firms` are positions in the panel, of all closed firms and of enough others. `own` is
    float64[firm, platform, month], NaN unless sales are above 0 before and after, and on the home
    platform from the closure on, which is a fall by itself.
    """

    panel: Panel
    named: Named
    firms: Ints
    closed: Bools
    own: Floats

    @classmethod
    def of(cls, panel: Panel, named: Named) -> Jumps:
        """Compute the changes in a panel."""
        first = panel.first_treated(cut=np.finfo(float).tiny)
        step = 1 + len(first) // ENOUGH
        firms = np.flatnonzero(np.isfinite(first) | (np.arange(len(first)) % step == 0))
        own = _changes(panel.sales[firms])
        after = np.arange(1, len(panel.months)) >= first[firms, np.newaxis]
        own[:, 0] = np.where(after, np.nan, own[:, 0])
        return cls(panel, named, firms, np.isfinite(first[firms]), own)

    def doubt(
        self, name: str, on: str, jump: Floats, broken: Bools, cells: Floats
    ) -> Iterator[Doubt]:
        """Yield a doubt about the largest break, if there is one, with a firm that has it.

        A firm has it if one of its `cells`, float64[firm, ..., month], is not NaN.
        """
        if not broken.any():
            return
        at = int(np.where(broken, np.abs(jump), 0.0).argmax())
        has = np.isfinite(cells[..., at].reshape(len(cells), -1)).any(axis=1)
        values: dict[str, Any] = {
            "month": self.panel.months[at + 1],
            "times": number(np.exp(jump[at]), 3),
            "firm": self.named(int(self.firms[has.argmax()])),
            "months": int(broken.sum()),
            "platform": name if name in self.panel.platforms else "",
        }
        yield _doubt("break", name, on=on, **values)


def _changes(sales: Floats) -> Floats:
    """Return changes along the last axis, in logs, NaN unless sales are above 0 at both ends."""
    with np.errstate(invalid="ignore", divide="ignore"):
        changes = np.diff(np.log(sales))
    return np.where(np.isfinite(changes), changes, np.nan)


def _breaks(panel: Panel, named: Named) -> Iterator[Doubt]:
    """Yield doubts about breaks in the level of platforms, of closed firms and of single firms.

    If no platform has a break beside the others, all together may have one. Closed firms are
    compared with the others of each platform, and only a rise counts.
    """
    jumps = Jumps.of(panel, named)
    others = jumps.own[~jumps.closed]
    count = np.isfinite(others).sum(axis=0)
    usual = np.where(count >= MANY_FIRMS, _median(others), np.nan)
    apart = jumps.own - usual
    spread = SPREAD * float(np.nan_to_num(_median(np.abs(apart).ravel())))
    found = list[Doubt]()
    for at, name in enumerate(panel.platforms):
        beside = _median(np.delete(usual, at, axis=0))
        broken = _broken(usual[at], count[at], spread, beside)
        found += jumps.doubt(name, f"on {name}", usual[at], broken, jumps.own[:, at])
    if not found:
        middle = _median(usual)
        broken = _broken(middle, count.sum(axis=0), spread, np.full_like(middle, np.nan))
        found += jumps.doubt("all", "on all platforms", middle, broken, jumps.own)
    apart[~jumps.closed] = np.nan
    cells = np.concatenate(np.moveaxis(apart, 1, 0))
    rise = _median(cells)
    broken = _broken(rise, np.isfinite(cells).sum(axis=0), spread, np.zeros_like(rise))
    yield from found
    yield from jumps.doubt("closed", "of closed firms", rise, broken & (rise > 0), apart)
    yield from _sudden(jumps)


def _sudden(jumps: Jumps) -> Iterator[Doubt]:
    """Yield a doubt if `SOME` of the firms not closed change by `SUDDEN` in one month."""
    changes = _changes(jumps.panel.total()[jumps.firms])
    changes[jumps.closed] = np.nan
    apart = changes - _median(changes)
    sudden = np.where(np.abs(apart) > np.log(SUDDEN), apart, np.nan)
    least = np.maximum(FEW_FIRMS, SOME * np.isfinite(changes).sum(axis=0))
    broken = np.isfinite(sudden).sum(axis=0) >= least
    yield from jumps.doubt("firms", "of some firms", _median(sudden), broken, sudden)


def _median(cells: Floats) -> Floats:
    """Return the median over the first axis of what is not NaN."""
    shape = cells.shape[1:]
    columns = pd.DataFrame(cells.reshape(len(cells), math.prod(shape)))
    return np.asarray(columns.median().to_numpy().reshape(shape))


def _broken(jump: Floats, count: Ints, spread: float, beside: Floats) -> Bools:
    """Return the months in which the median firm changes as in no other place and no other year.

    Parameters
    ----------
    jump : float64[month]
        The median change, in logs.
    count : int64[month]
        Changes of which it is the median.
    spread : float
        Standard deviation of a single change beside the median.
    beside : float64[month]
        The change in other places, NaN if there are none.

    Returns
    -------
    bool[month]
        Whether the change, and its difference from each of the others, is larger than a factor of
        `TWICE` (of `ALONE` without any others) by more than `SURE` standard errors of a median.
    """
    years = [pd.Series(jump).shift(months).to_numpy() for months in (12, -12)]
    apart = np.abs([jump - other for other in (beside, *years)])
    factor = np.where(np.isfinite(apart).any(axis=0), TWICE, ALONE)
    error = OF_MEDIAN * spread / np.sqrt(np.maximum(count, 1))
    least = np.fmin.reduce([np.abs(jump), *apart])
    return np.asarray((count >= FEW_FIRMS) & (least > np.log(factor) + SURE * error))


# Rows that are no firms, and months without any


def _dominant(panel: Panel, named: Named) -> Iterator[Doubt]:
    """Yield a doubt if a firm has half of each platform of many firms, or nearly all of one."""
    sold = np.nansum(panel.sales, axis=2)
    many = np.count_nonzero(sold, axis=0) >= MANY_FIRMS
    if not many.any():
        return
    share = sold[:, many] / sold[:, many].sum(axis=0)
    firms = np.flatnonzero((share.min(axis=1) >= HALF) | (share.max(axis=1) >= NEARLY_ALL))
    for firm in firms[:1]:
        at = int(share[firm].argmax())
        platform = np.array(panel.platforms)[many][at]
        percent = number(100 * share[firm, at], 1)
        yield _doubt("dominant", share=percent, on=platform, firm=named(int(firm)))


def _gaps(panel: Panel) -> Iterator[Doubt]:
    """Yield a doubt if months have no row."""
    gap = np.isnan(panel.sales).all(axis=(0, 1))
    if gap.any():
        such = ", ".join(map(str, panel.months[gap]))
        yield _doubt("gap", count=gap.sum(), months=len(panel.months), such=such)


def _sums(panel: Panel, named: Named) -> Iterator[Doubt]:
    """Yield a doubt if firms are sums of other firms, whatever their name."""
    found = sums(panel)
    if found:
        such = "; ".join(f"{named(firm)} of {of}" for firm, of in [*found.items()][:FEW_FIRMS])
        yield _doubt("sums", stops=True, count=len(found), such=such)


def sums(panel: Panel) -> dict[int, str]:
    """Find firms whose sales are, month by month, those of other firms together.

    The others are all smaller firms, or those of an origin or category, on one platform or on all.
    A firm that is a sum is in no other sum. It is among the `ENOUGH` largest firms.

    Returns
    -------
    dict of int to str
        By position of the firm, what it is the sum of.
    """
    of = ["all firms"]
    groups = [np.zeros(len(panel.firms), dtype=int)]
    for column in ("origin", "category"):
        code, words = panel.codes(column)
        groups.append(code + len(of))
        of += [f"{column} {word}" for word in words]
    on = ["all platforms", *panel.platforms]
    added = np.zeros((len(of), len(on), len(panel.months)))
    members = np.zeros((len(of), len(on)), dtype=int)

    def add(firms: Any) -> None:
        sales = np.nan_to_num(panel.sales[firms])
        wide = np.concatenate([sales.sum(axis=1, keepdims=True), sales], axis=1)
        for codes in groups:
            np.add.at(added, codes[firms], wide)
            np.add.at(members, codes[firms], (wide > 0).any(axis=2))

    size = np.nansum(panel.sales, axis=(1, 2))
    order = size.argsort(kind="stable")
    add(order[:-ENOUGH])
    found = dict[int, str]()
    for firm in order[-ENOUGH:]:
        near = np.abs(added.sum(axis=2) - size[firm]) <= SAME * size[firm]
        pairs = np.argwhere(near & (members >= FEW_FIRMS))
        own = np.nansum(panel.sales[firm], axis=0)
        same = [f"{of[group]} on {on[at]}" for group, at in pairs if _same(added[group, at], own)]
        if same:
            found[int(firm)] = same[0]
        else:
            add([firm])
    return found


def _same(total: Floats, own: Floats) -> bool:
    """Return whether sales are a sum in `MOST` of the months in which there are any."""
    sold = own > 0
    same = np.abs(total - own)[sold] <= SAME * own[sold]
    return bool(sold.sum() >= MONTHS and np.mean(same) >= MOST)


# Closures


def falls(panel: Panel) -> pd.DataFrame:
    """Find the month in which each closed firm's home sales fall most.

    Returns
    -------
    DataFrame
        By firm: `lag`, months from `closed_on` to the largest fall within `REACH` months of it,
        beside what is usual for firms that were not closed; NaN if sales did not fall by half.
        `kept` is what it sold in the month of `closed_on`, relative to the month before.
    """
    first = panel.first_treated()
    closed = np.flatnonzero(np.isfinite(first))
    at = first[closed, np.newaxis].astype(int) + np.arange(-REACH, REACH + 1)
    jumps = Jumps.of(panel, str)
    usual = np.nan_to_num(_median(jumps.own[~jumps.closed, 0]))
    level = panel.sales[closed, 0] / np.exp(np.concatenate([[0.0], usual.cumsum()]))
    inside = (at >= 1) & (at < level.shape[1])
    at = np.where(inside, at, 0)
    before, now = (np.take_along_axis(level, at - back, axis=1) for back in (1, 0))
    fall = np.where(inside, np.nan_to_num(before - now), -np.inf)
    most = fall.argmax(axis=1)
    row = np.arange(len(closed))
    halved = now[row, most] <= 0.5 * before[row, most]
    with np.errstate(invalid="ignore", divide="ignore"):
        kept = now[:, REACH] / before[:, REACH]
    lag = np.where(halved & (fall[row, most] > 0), most - REACH, np.nan)
    return pd.DataFrame({"lag": lag, "kept": kept}, index=panel.firms.index[closed])


def _shifted(panel: Panel) -> Iterator[Doubt]:
    """Yield a doubt if home sales of most closed firms fall at one distance from `closed_on`.

    They may fall a month later if they fell in part in the month itself, which the closure cut. If
    months of falls were drawn at random, as many at one distance would be rarer than `BY_CHANCE`.
    """
    from scipy import stats  # slow

    found = falls(panel).dropna(subset="lag")
    count = found["lag"].value_counts()
    if count.empty:
        return
    lag = int(count.index[0])
    most = int(count.iloc[0])
    places = 2 * REACH + 1
    chance = places * stats.binom.sf(most - 1, len(found), 1 / places)
    cut = lag == 1 and found["kept"][found["lag"] == 1].median() < PARTLY
    if lag and not cut and most >= len(found) / 2 and chance < BY_CHANCE:
        lags = ", ".join(f"{lag:+.0f} ({firms})" for lag, firms in count.sort_index().items())
        such: dict[str, Any] = {"count": most, "all": len(found), "lag": f"{lag:+d}", "lags": lags}
        yield _doubt("months", stops=True, home=panel.platforms[0], **such)


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
