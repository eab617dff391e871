"""What is wrong with a panel as a whole, and refused, and what may be wrong, and is said."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis.estimate import Floats, Ints
from analysis.numbers import number
from analysis.panel.cells import month_text
from analysis.panel.file import QUARTERS, refuse
from analysis.panel.rows import Rows

LONGEST_GAP = 12  # months without a row, from which on what stands apart is taken for an error
_CHINA = ("cn", "chn", "prc", "china", "mainlandchina", "p.r.china", "中国", "中国大陆", "中國")


def refuse_months(rows: Rows, by_month: Ints) -> None:
    """Refuse months that stand apart from all others, and rows of quarters or years; `by_month` counts the rows."""
    file, months = rows.file, np.flatnonzero(by_month)
    steps = np.diff(months)
    if len(months) > 2 and (step := int(np.gcd.reduce(steps))) > 1:
        found = f"rows of {', '.join(map(month_text, months[:3]))} and so on, one month in {step}"
        refuse(f"{file.path}, column {file.called('month')}", "a panel by month", found, QUARTERS)
    if len(steps) and steps.max() > LONGEST_GAP:
        place = months[int(steps.argmax())]
        late = by_month[place + 1 :].sum() <= by_month[: place + 1].sum()
        month = np.concatenate([row["month"] for row in rows.as_read()])
        apart = month > place if late else month <= place
        found = f"{month_text(month[apart.argmax()])!r}, without a row in the {steps.max() - 1} months "
        found += f"{'before' if late else 'after'} it" + f", the first of {apart.sum():,} such" * bool(apart.sum() > 1)
        do = "correct the month, or leave out what stands apart"
        file.refuse(int(apart.argmax()), "month", "months without a gap of a year", found, do)


def refuse_spellings(rows: Rows) -> None:
    """Refuse an origin, platform or firm that is written in two ways, which would be taken for two."""
    file = rows.file
    for name in ("origin", "platform", "firm"):
        words = rows.values[name].known
        codes = [file.code(label) for label in rows.labels()] if name == "platform" else words
        unique = pa.array(codes).unique()
        plain = pc.replace_substring_regex(pc.utf8_lower(pc.utf8_normalize(unique, "NFKC")), r"\s+", "")
        if name == "origin":
            plain = pc.if_else(pc.is_in(plain, pa.array(_CHINA)), "cn", plain)
        if len(plain.unique()) == len(plain):
            continue
        same = plain.dictionary_encode().indices.to_pylist()
        second = next(place for place, code in enumerate(same) if same.index(code) < place)
        pair = [unique[place].as_py() for place in (same.index(same[second]), second)]
        labels = getattr(file.named, f"{name}s", {}) or {word: word for word in unique.to_pylist()}
        one = "CN" if name == "origin" and plain[second].as_py() == "cn" else min(pair)
        line = ", ".join(f"{label}: {one if code in pair else code}" for label, code in labels.items())
        do = "write it in one way in all rows" if name == "firm" else file.line(f"{name}s: {{{line}}}")
        where = f"{file.path}, column {file.called(name)}"
        refuse(where, f"each {name} written in one way", f"{pair[0]!r} and {pair[1]!r}", do)


def doubts_of(
    sales: Floats, firms: pd.Index, platforms: Sequence[str], months: pd.PeriodIndex, unit: str
) -> tuple[str, ...]:
    """Say what may be an error and need not be: a value or a firm that holds most sales, and months without a row."""
    said, whole, by_firm = list[str](), np.nansum(sales), np.nansum(sales, axis=(1, 2))
    at = tuple(map(int, np.unravel_index(np.nanargmax(sales), sales.shape)))
    firm, platform, month = firms[at[0]], platforms[at[1]], months[at[2]]
    if sales[at] > whole / 2:
        said.append(
            f"One value is {number(100 * sales[at] / whole, 2)} per cent of all sales: firm {firm!r} on {platform} in "
            f"{month}, {number(sales[at], 0)} {unit}."
        )
    elif by_firm.max() > whole / 2:
        share = number(100 * by_firm.max() / whole, 2)
        said.append(f"One firm has {share} per cent of all sales: {firms[by_firm.argmax()]!r}.")
    gap = np.asarray(np.isnan(sales).all(axis=(0, 1)))
    if gap.any():
        told = ", ".join(map(str, months[gap]))
        said.append(f"{gap.sum()} of {len(gap)} months have no row in the file and are not known: {told}.")
    return tuple(said)
