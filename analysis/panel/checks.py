"""Check a whole panel, raising DataError for invalid data and returning warnings about implausible data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis.errors import refuse
from analysis.estimate import Ints
from analysis.numbers import number
from analysis.panel.cells import LONGEST_GAP, Rows, month_text
from analysis.panel.formats import CHINA, QUARTERS
from analysis.panel.map import Map
from analysis.panel.panel import Panel

IDS = ("firm", "account", "brand_group", "category")
GOING_ON = 0.05  # firms that keep a larger share of their home sales were not fully closed
_LESS_THAN_A_DOLLAR = ("cny", "rmb", "jpy", "hkd", "人民币", "元", "¥", "日元", "円", "港元")


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
        if not codes.duplicated().any():
            continue
        second = int(codes.duplicated().argmax())
        pair = [words[int(index)].as_py() for index in ((codes == codes[second]).argmax(), second)]
        labels = getattr(file.named, f"{name}s", {}) or {word: word for word in words.to_pylist()}
        merged = "CN" if name == "origin" and plain[second].as_py() == "cn" else min(pair)
        line = ", ".join(f"{label}: {merged if code in pair else code}" for label, code in labels.items())
        do = "use one spelling in all rows" if name in IDS else file.line(f"{name}s: {{{line}}}")
        every = [file.code(word) if name == "platform" else word for word in values.distinct.to_pylist()]
        firsts = np.concatenate(values.first)
        actual = " and ".join(f"{word!r} (first in row {file.row(firsts[every.index(word)]):,})" for word in pair)
        refuse(f"{file.path}, column {file.called(name)}", f"one spelling of each {name}", actual, do)


def data_warnings(panel: Panel) -> tuple[str, ...]:
    """Return warnings about dominant values and firms, and about months without rows.

    A value or firm is dominant if it makes up more than half of all sales.
    """
    warnings, sales, observed = list[str](), panel.sales, ~np.isnan(panel.sales)
    by_firm, largest = sales.sum(axis=(1, 2), where=observed), np.fmax.reduce(sales, None)
    if largest > (half := by_firm.sum() / 2):
        firm, platform, month = np.unravel_index(int((sales == largest).argmax()), sales.shape)
        share, money = number(50 * largest / half, 2), f"{number(largest, 0)} {panel.unit}"
        where = f"firm {panel.firms.index[firm]!r} on {panel.platforms[int(platform)]} in {panel.months[month]}"
        warnings.append(f"One value is {share} per cent of all sales: that of {where}, {money}.")
    elif by_firm.max() > half:
        share = number(50 * by_firm.max() / half, 2)
        warnings.append(f"One firm has {share} per cent of all sales: {panel.firms.index[by_firm.argmax()]!r}.")
    gap = ~np.asarray(observed.any(axis=(0, 1)))
    if gap.any():
        months = ", ".join(map(str, panel.months[gap]))
        warnings.append(f"{gap.sum()} of {len(gap)} months have no row in the file and are not known: {months}.")
    return tuple(warnings)


def rate_warnings(named: Map) -> list[str]:
    """Return warnings about exchange rates above 1 for currencies worth less than a US dollar."""
    rates = {money or named.currency: max(by_month.values()) for money, by_month in named.rates.items()}
    return [
        f"A rate for {money} is {number(rate, 2)}: it is probably inverted; write the US dollars for one unit, "
        f"such as {number(1 / rate, 3)}."
        for money, rate in rates.items()
        if money.lower() in _LESS_THAN_A_DOLLAR and rate > 1
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
