"""Messages of figures: what is seen, said by rule from the numbers that are drawn, as titles and alternative texts.

A rule says that something fell or rose where its whole interval does, and else that it cannot be told. Nothing is said,
and the figure has no title, where there is no number to say it from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis import data
from analysis.estimate import Estimate
from analysis.evidence.verdicts import CONTRADICTED, NOT_SHOWN, SUPPORTED, USABLE, is_exact, not_lower
from analysis.exhibits.blocks import refused, rows_of
from analysis.exhibits.style import LOOK
from analysis.numbers import number, points, quantity, span

MOST = 4  # names in a sentence; more are counted, and so are names that hold a comma


def listing(names: Iterable[str], total: int = 0, noun: str = "", *, every: str = "all") -> str:
    """Return names as "a, b and c"; where they are many, how many of a total they are, or `every` of it."""
    named = list(names)
    if len(named) > MOST or any("," in name for name in named):
        part = f"{len(named)} of" if len(named) < total else every
        return f"{part} {max(total, len(named))} {noun}".strip()
    return " and ".join(part for part in (", ".join(named[:-1]), *named[-1:]) if part)


def published(*publishers: str) -> str:
    """Return who published some series, each once, in brief."""
    parts = [re.sub(r" \([^)]*\)| at commit \w+", "", one).strip() for text in publishers for one in text.split("; ")]
    return ", ".join(dict.fromkeys(parts))


def collected(*resources: str) -> str:
    """Return who collected files of data that have one source each, in brief."""
    return published(*(source["title"] for name in resources for source in data.card(name)["sources"]))


def sentence(text: str) -> str:
    """Return a text with its first letter as that of a sentence."""
    return text[:1].upper() + text[1:]


def _sides(rows: Any) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Return the rows that have an interval, of a refusal none; which of them lie below zero, and which above it."""
    known = rows_of(rows).dropna(subset=["conf_low", "conf_high"])
    return known, known["conf_high"] < 0, known["conf_low"] > 0


def by_direction(
    rows: Any,
    *,
    fell: str = "fell",
    rose: str = "rose",
    unknown: str = "no change can be told for",
    noun: str = "",
) -> str:
    """Say of each `term` whether its interval lies below zero, above it, or holds it.

    Parameters
    ----------
    rows : DataFrame or Estimate
        `term`, `conf_low`, `conf_high`; rows without an interval are left out.
    fell, rose : str
        What is said behind the terms whose interval lies below zero and above it.
    unknown : str
        What is said before those whose interval holds it.
    noun : str
        What the terms are, for when they are many.
    """
    known, below, above = _sides(rows)
    sides = [(below, fell), (above, rose)]
    told = [f"{listing(known['term'][side], len(known), noun)} {said}" for side, said in sides if side.any()]
    rest = known["term"][~(below | above)]
    told += [f"{unknown} {listing(rest, len(known), noun, every='any of')}"] if len(rest) else []
    return sentence("; ".join(told))


def parts_seen(rows: Any, *, but: str) -> str:
    """Say of how many parts the whole interval lies above zero, or below it; `but` is the sum, which is left out."""
    known, less, more = _sides(rows_of(rows).query("term != @but"))
    told = f"Of {len(known)} places where the lost sales may have gone, {more.sum() or 'none'} surely took any"
    return "" if known.empty else f"{told}, and {less.sum()} surely sold less too" if less.any() else told


def surely(row: Mapping[str, Any], who: str, did: str, *, passed: bool) -> str:
    """Say whether some did less or more, with confidence in words; nothing without an interval.

    They "probably" did where the interval excludes zero, the method has the best grade and the checks are `passed`;
    they "may have" where the interval alone speaks for it; and it cannot be told where the interval holds zero.

    Parameters
    ----------
    row : mapping
        `conf_low`, `conf_high` and `grade`.
    who : str
        Of whom it is said, in the plural.
    did : str
        What they did, as after "have", with braces for less or more: ``"sold {} than before"``.
    passed : bool
        Whether the checks beside the estimate speak for it.
    """
    low, high = row["conf_low"], row["conf_high"]
    if np.isnan([low, high]).any():
        return ""
    unsure, sure, may = (
        ("would have", "would probably have", "might have") if LOOK.simulated else ("have", "have probably", "may have")
    )
    if low <= 0 <= high:
        return f"Whether {who} {unsure} {did.format('less or more')} cannot be told."
    verb = sure if passed and row["grade"] == USABLE else may
    return f"{sentence(who)} {verb} {did.format('less' if high < 0 else 'more')}."


def by_ways(rows: pd.DataFrame, *, fell: str, rose: str) -> str:
    """Say how many ways of asking find that something fell, how many that it rose, and how many cannot tell."""
    known, below, above = _sides(rows)
    below, above = below.sum(), above.sum()
    told = f"{below or 'None'} of {len(known)} ways of asking find {fell}, {above or 'none'} {rose}"
    return f"{told}, and {len(known) - below - above or 'none'} cannot tell" if len(known) else ""


def in_numbers(rows: Any, unit: str, *, label: str = "term") -> str:
    """Write each row with its estimate and interval, for a reader who cannot see the figure; `label` names it."""
    if refused(rows):
        return ""
    told = []
    for row in rows_of(rows).to_dict("records"):
        ends = span(row["conf_low"], row["conf_high"], unit)
        point = f"{quantity(row['estimate'], unit)} [{ends}]" if pd.notna(row["estimate"]) else ends
        told.append(f"{row[label]}: {point}")
    return f"{'; '.join(told)}; {unit}."


def values(named: Mapping[Any, float] | pd.Series, decimals: int = 0) -> str:
    """Write named numbers in a row."""
    return "; ".join(f"{name}: {number(value, decimals)}" for name, value in named.items()) + "."


def named(changes: pd.Series) -> str:
    """Write changes in a sentence, each with its sign and its name in brackets."""
    return listing(f"{number(value, signed=True)} ({name})" for name, value in changes.items())


def moved(name: str, series: pd.Series, first: Any, last: Any, *, unit: str = "", decimals: int = 0) -> str:
    """Say of a series whether it fell or rose from one place of its index to another, as its numbers are written."""
    before, after = (number(series.get(place), decimals) for place in (first, last))
    if "–" in (before, after):
        return ""
    said = "stayed at" if before == after else f"{'fell' if series[last] < series[first] else 'rose'} from {before} to"
    return f"{name} {said} {after}{f' {unit}' if unit else ''}, {first} to {last}"


def counted(rows: pd.DataFrame) -> str:
    """Say between what published counts lie, and whether any two authors count the same thing.

    `rows` has `value`, `counted_by` and `definition`.
    """
    low, high = (number(end, 0) for end in (rows["value"].min(), rows["value"].max()))
    authors = rows.groupby("definition")["counted_by"].nunique()
    alike = (authors > 1).sum()
    same = f"in {alike} of {len(authors)} cases several authors count the same thing"
    told = same if alike else "no two authors count the same thing"
    return f"{len(rows)} counts by {rows['counted_by'].nunique()} authors run from {low} to {high}; {told}"


def falling_into(rows: pd.DataFrame, months: Sequence[str], noun: str) -> str:
    """Say how many dated rows, with a `first` and a `last` day, overlap the time from the first month to the last."""
    begin, end = pd.Period(months[0], "M").start_time, pd.Period(months[-1], "M").end_time
    among = ((rows["first"] <= end) & (rows["last"] >= begin)).sum()
    return f"{among or 'None'} of {len(rows)} {noun} fall into the months of the closures"


def number_below(index: pd.Series, closed: Sequence[str]) -> str:
    """Say how many closed sellers, and how many others, are below 100 in an index of their revenue."""
    below = index.dropna() < 100
    groups = (below[below.index.isin(closed)], below[~below.index.isin(closed)])
    hit, others = (f"{group.sum() or 'none'} of {len(group)}" for group in groups)
    return f"fell at {hit} closed sellers and at {others} others"


def ranked(rank: float, of: int) -> str:
    """Say a rank among so many, from the lowest."""
    return f"is the lowest of {of}" if rank == 1 else f"ranks {rank:.0f} of {of}"


def after_closure(rows: Any) -> str:
    """Say in how many months since closure, and before it, the intervals of an event study exclude zero."""
    if refused(rows):
        return ""
    known, lower, higher = _sides(rows)
    since, away = known["month"] >= 0, lower | higher
    told = f"Closed firms' sales were lower, by more than chance, in {(lower & since).sum() or 'none'} of {since.sum()}"
    return (
        f"{told} months since closure; before it they differed in {(away & ~since).sum() or 'none'} of {(~since).sum()}"
    )


def still_selling(lives: Estimate, horizon: int) -> str:
    """Say which part of the closed and of the others still sells at the end."""
    if lives.refused:
        return ""
    curves = lives.details["curves"].query("month < @horizon")
    closed, others = (100 * curves.loc[curves["treated"] == one, "survival"].iloc[-1] for one in (True, False))
    ends = f"{number(closed, 0)} per cent of closed firms still sell, and {number(others, 0)} per cent of the others"
    return f"After {horizon} months {ends}"


def beside_margin(rows: Any, margin: float, what: str) -> str:
    """Say whether something fell by more than a margin, from the interval of the last row."""
    low, high = rows_of(rows).iloc[-1][["conf_low", "conf_high"]]
    if np.isnan([low, high]).any():
        return ""
    if is_exact((low, high)):
        return f"It cannot be told whether {what} changed: the interval has no width, so no error was found"
    word, left = not_lower((low, high), margin), f"the range is {span(low, high, 'percentage points')}"
    if word == NOT_SHOWN:
        return f"It cannot be told whether {what} fell by more than {points(margin)}: {left}"
    return f"{sentence(what)} {'did not fall' if word == SUPPORTED else 'fell'} by more than {points(margin)}: {left}"


def by_count(rows: pd.DataFrame, margin: float) -> str:
    """Say for each number of `accounts` closed whether growth would fall by a margin."""
    told = []
    for row in rows.to_dict("records"):
        word = not_lower((row["conf_low"], row["conf_high"]), margin)
        said = {SUPPORTED: "growth would not fall by", CONTRADICTED: "growth would fall by more than"}
        said |= {NOT_SHOWN: "it cannot be told whether growth would fall by"}
        told.append(f"with {number(row['accounts'], 0)} accounts closed {said[word]} {points(margin)}")
    return sentence("; ".join(told))


def asked_otherwise(rows: pd.DataFrame, unit: str) -> str:
    """Say how far an effect moves when it is asked otherwise, and whether its placebo excludes zero.

    `rows` as of :func:`analysis.estimands.robustness.robustness`: the first as asked, the last the placebo.
    """
    asked, others, placebo = rows.iloc[0], rows.iloc[1:-1].dropna(subset="estimate"), rows.iloc[-1]
    if pd.isna(asked["estimate"]) or others.empty:
        return ""
    ends = span(others["estimate"].min(), others["estimate"].max(), unit)
    said = f"{quantity(asked['estimate'], unit)} {unit} as asked, {ends} when asked in {len(others)} other ways"
    if pd.isna(placebo["conf_low"]):
        return said
    holds = placebo["conf_low"] <= 0 <= placebo["conf_high"]
    return f"{said}; a year early, when nothing was closed, {'none is seen' if holds else 'one is seen too'}"


def outgrew(lead: pd.Series, whom: str) -> str:
    """Say in which years, the index, a lead in growth was above zero and in which below."""
    above, below = (listing(map(str, lead.index[side]), len(lead)) for side in (lead > 0, lead < 0))
    told = [f"outgrew {whom} in {above}" if above else "", f"grew less than {whom} in {below}" if below else ""]
    return ", but ".join(part for part in told if part)


def widest(bars: pd.DataFrame) -> str:
    """Say which assumption moves an outcome most, and between what; `bars` as for a tornado, the widest first."""
    first, unit = bars.iloc[0], "percentage points"
    low, high = sorted(first[["at_low", "at_high"]])
    return f"Most depends on one assumption, {first['term']}: {span(low, high, unit)} points"


def outside(rows: pd.DataFrame) -> str:
    """Say how many estimates lie outside the range of their own placebos; `rows` as of a fan of specifications."""
    tried = rows.dropna(subset=["estimate", "placebo_low"])
    beyond = (tried["estimate"] < tried["placebo_low"]) | (tried["estimate"] > tried["placebo_high"])
    told = f"{beyond.sum()} of {len(tried)} estimates of a break lie outside the range of their own placebos"
    return told if len(tried) else ""
