"""Check a whole panel, raising DataError for invalid data and returning warnings about implausible data."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis.errors import refuse
from analysis.estimate import Ints
from analysis.numbers import number
from analysis.panel.cells import LONGEST_GAP, Rows, month_text
from analysis.panel.formats import CHINA, QUARTERS
from analysis.panel.map import RECOGNISED, Map
from analysis.panel.panel import Panel

IDS = ("firm", "account", "brand_group", "category")
FEW, MANY = 3, 10  # firms from which on a total may be among them, and from which on a share or median says something
BREAK, LATE = 4.0, 6  # factor by which typical sales never change in a month; months without sales before a closure
GOING_ON = 0.05  # firms that keep a larger share of their home sales were not fully closed


def refuse_months(rows: Rows, by_month: Ints) -> None:
    """Raise DataError if a month is isolated or the panel is not monthly.

    `by_month` is the number of rows in each month.
    """
    file, months = rows.file, np.flatnonzero(by_month)
    steps = np.diff(months)
    if len(months) > 2 and (step := int(np.gcd.reduce(steps))) > 1:
        actual = f"rows for {', '.join(map(month_text, months[:3]))} and so on, one every {step} months"
        refuse(f"{file.path}, column {file.called('month')}", "a monthly panel", actual, QUARTERS)
    if len(steps) and steps.max() > LONGEST_GAP:
        last = months[int(steps.argmax())]
        late = by_month[last + 1 :].sum() <= by_month[: last + 1].sum()
        month = np.concatenate([row["month"] for row in rows.as_read()])
        apart = month > last if late else month <= last
        actual = f"{month_text(month[apart.argmax()])!r}, with no row in the {steps.max() - 1} months "
        actual += f"{'before' if late else 'after'} it" + f", one of {apart.sum():,} such rows" * bool(apart.sum() > 1)
        do = "correct the month, or remove the isolated rows"
        file.refuse(int(apart.argmax()), "month", "months without a gap of a year", actual, do)


def refuse_spellings(rows: Rows) -> None:
    """Raise DataError if an origin, platform, category or id has two spellings."""
    file = rows.file
    for name in ("origin", "platform", *(name for name in IDS if name in rows.values)):
        values = rows.values[name]
        words = pa.array(map(file.code, rows.labels())).unique() if name == "platform" else values.distinct
        plain = pc.replace_substring_regex(pc.utf8_lower(pc.utf8_normalize(words, "NFKC")), r"\s+", "")
        if name == "origin":
            plain = pc.if_else(pc.is_in(plain, pa.array(CHINA)), "cn", plain)
        codes = pd.Series(plain.dictionary_encode().indices.to_numpy())
        again = codes.duplicated().to_numpy()
        if name == "origin" and not file.named.origins:  # or no firm would be of the origin CN
            again = again | np.asarray(pc.and_(pc.equal(plain, "cn"), pc.not_equal(words, "CN")))
        for second in np.flatnonzero(again)[-1:]:
            pair = [words[int(at)].as_py() for at in dict.fromkeys([(codes == codes[second]).argmax(), second])]
            labels = getattr(file.named, f"{name}s", {}) or {word: word for word in words.to_pylist()}
            merged = "CN" if name == "origin" and plain[int(second)].as_py() == "cn" else min(pair)
            line = ", ".join(f"{label}: {merged if code in pair else code}" for label, code in labels.items())
            do = "use one spelling in all rows" if name in IDS else file.line(f"{name}s: {{{line}}}")
            every = [file.code(word) if name == "platform" else word for word in values.distinct.to_pylist()]
            firsts = np.concatenate(values.first)
            actual = " and ".join(f"{word!r} (first in row {file.row(firsts[every.index(word)]):,})" for word in pair)
            expected = f"one spelling of each {name}{', CN for China' if merged == 'CN' else ''}"
            refuse(f"{file.path}, column {file.called(name)}", expected, actual, do)


def data_warnings(panel: Panel, rows: Rows) -> Iterator[str]:
    """Yield warnings about dominant firms, months without rows, breaks in level, and closures at odds with sales.

    A firm is dominant if it has half or more of all sales, as the sum of all others has, or of those on a platform with
    at least `MANY` firms.
    """
    sales, observed, ids = panel.sales, ~np.isnan(panel.sales), rows.values["firm"]

    def named(position: int) -> str:
        name = panel.firms.index[position]
        return f"{name!r} (row {rows.file.row(ids.first[0][ids.distinct.index(name).as_py()]):,})"

    sold = sales.sum(axis=2, where=observed)
    parts = [(name, slice(at, at + 1)) for at, name in enumerate(panel.platforms)]
    for what, part in [("all sales", slice(None)), *parts]:
        by_firm, least = sold[:, part].sum(axis=1), MANY if what in panel.platforms else FEW
        firm, half = int(by_firm.argmax()), by_firm.sum() / 2
        if np.count_nonzero(by_firm) >= least and by_firm[firm] > 0.999 * half:
            place, month = np.unravel_index(np.nanargmax(own := sales[firm, part]), own.shape)
            most = f"{number(own[place, month], 0)} on {panel.platforms[part][place]} in {panel.months[month]}"
            share = f"{number(50 * by_firm[firm] / half, 2)} per cent of {what}: {named(firm)}, with up to {most}"
            yield f"One firm has {share}; correct its unit, or leave out its rows if they are totals."
            break
    gap = ~np.asarray(observed.any(axis=(0, 1)))
    if gap.any():
        months = ", ".join(map(str, panel.months[gap]))
        yield f"{gap.sum()} of {len(gap)} months have no row in the file and are not known: {months}."
    yield from _breaks(panel, named)
    yield from _closures(panel, named)


def _breaks(panel: Panel, named: Callable[[int], str]) -> Iterator[str]:
    """Yield a warning for each month in which typical sales change by more than the factor `BREAK`."""
    step = 1 + len(panel.firms) // 20_000  # firms, enough for a median
    for month in range(1, len(panel.months)):
        before, now = (panel.sales[::step, :, at].ravel() for at in (month - 1, month))
        both = np.flatnonzero((before > 0) & (now > 0))
        times = np.median(now[both] / before[both]) if len(both) >= MANY else 1.0
        if not 1 / BREAK < times < BREAK:
            change = f"{panel.months[month]} are {number(times, 3)} times those a month before"
            which = f"{named(both[0] // len(panel.platforms) * step)}, {number(now[both[0]], 0)}"
            yield f"Sales in {change}: for example {which}; correct the unit, or write `rates` by month in the map."


def _closures(panel: Panel, named: Callable[[int], str]) -> Iterator[str]:
    """Yield a warning if closed firms had sold nothing at home for long, or if most cease to at one other time."""
    first, home = panel.first_treated(), panel.platforms[0]
    closed = np.flatnonzero(np.isfinite(first))
    month, sells = first[closed].astype(int), panel.sales[closed, 0] > 0
    last = np.where(sells, np.arange(len(panel.months)), -1).max(axis=1)
    ended, late = (last >= 0) & (last < len(panel.months) - 1), month - 1 - last
    # in the month of the closure a firm may still sell
    off = ended & np.isin(late, pd.Series(late[ended]).mode()[:1]) & ~np.isin(late, (-1, 0))
    odd = np.flatnonzero(off if off.sum() >= max(FEW, ended.sum() / 2) else ended & (late >= LATE))
    for at in odd[:1]:
        yield (
            f"{len(odd)} of {ended.sum()} closed firms that cease to sell on {home} do not do so when they are closed: "
            f"{named(closed[at])} last sells in {panel.months[last[at]]}, and `closed_on` is {panel.months[month[at]]}"
            f"; correct one of these, or empty `closed_on` if {home} did not close it."
        )


def rate_warnings(named: Map) -> list[str]:
    """Return warnings about exchange rates above 1 for currencies worth less than a US dollar."""
    rates = {money or named.currency: max(by_month.values()) for money, by_month in named.rates.items()}
    return [
        f"A rate for {money} is {number(rate, 2)}: it is probably inverted; write the US dollars for one unit, "
        f"such as {number(1 / rate, 3)}."
        for money, rate in rates.items()
        if money.lower() in RECOGNISED["cheap"] and rate > 1
    ]


def unknown_doses(panel: Panel) -> str:
    """Explain why doses are unknown, or return an empty string if they are known.

    Without a column of doses, closed firms are presumed fully closed. Their doses are unknown if they kept selling at
    home.
    """
    first = panel.first_treated(cut=1.0)
    home, first = panel.sales[np.isfinite(first), 0], first[np.isfinite(first), np.newaxis]
    month = np.arange(home.shape[1])
    parts = (first - 12 <= month) & (month < first), month > first  # the closure month may be partial
    before, after = (pd.DataFrame(np.where(window, home, np.nan)).mean(axis=1) for window in parts)
    seen = before.notna() & after.notna()
    sold, left = before[seen].sum(), after[seen].sum()
    if not left > GOING_ON * sold > 0:
        return ""
    return (
        f"firms presumed fully closed ({seen.sum():,}), since the file has no dose, kept "
        f"{number(100 * left / sold, 0)} per cent of their earlier sales on {panel.platforms[0]}; name the column "
        "`dose`, or write `closures: account` if each account has its own closed_on"
    )
