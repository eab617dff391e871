"""Sentences that a result asks for, written as numbers are; a refused result has nothing to say in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.estimands.design import Design
from analysis.estimate import Estimate
from analysis.evidence.verdicts import CONTRADICTED, SUPPORTED, Verdict
from analysis.exhibits.style import kind
from analysis.numbers import number, p_value, percent_change, quantity, span

if TYPE_CHECKING:
    from analysis.study import Study


def in_truth(value: float | None, unit: str, ends: Sequence[float] = (), *, it: str = "it is") -> str:
    """Say the true value that a simulated market knows, and whether an interval holds it; nothing where there is none.

    `ends` are those of the interval; where they are not given, or not known, nothing is said of them. `it` is what has
    that value, with its verb.
    """
    if value is None or pd.isna(value):
        return ""
    told, (low, high) = (
        f"In the simulated truth {it} {quantity(value, unit, mark=kind('estimate'))} {unit}",
        [*ends] or [nan, nan],
    )
    if pd.isna([low, high]).any():
        return f"{told}."
    return f"{told}; the interval, {span(low, high, unit)}, {'holds' if low <= value <= high else 'misses'} this value."


def tried_out(
    verdict: Verdict | None, value: float | None, unit: str, ends: Sequence[float], *, it: str, above: float
) -> str:
    """Say whether a claim is true in a simulated market, and whether its verdict found that; nothing if not known.

    Parameters
    ----------
    verdict : Verdict or None
        What is said of the claim; None where none is judged.
    value, unit, ends
        The true value, and the interval that was estimated for it.
    it : str
        What has that value, with its verb.
    above : float
        The claim is true where the value is above it.
    """
    told = in_truth(value, unit, ends, it=it)
    if not told or verdict is None:
        return told
    true = float(value or 0.0) > above
    so = f"the claim is {'true' if true else 'false'}"
    right, wrong = (SUPPORTED, CONTRADICTED) if true else (CONTRADICTED, SUPPORTED)
    found = {right: f"the panel shows that {so}", wrong: f"{so}, but the verdict is the opposite"}
    return f"{told} So in this market {found.get(verdict.word, f'{so}, but the panel cannot show it')}."


def where_known(truth: object, text: str) -> str:
    """Return what a caption says of a truth, where there is one."""
    return "" if truth is None else text


def of_band(study: Estimate) -> str:
    """Return what a caption says of the band of an event study, where it has one."""
    drawn = pd.notna(study.columns.get("band_low", [None])).any()
    return "band: for all months at once, beyond which a month of few firms may reach; " if drawn else ""


def where_sales_went(about: Study, money: Estimate, sold: Estimate, present: Estimate) -> str:
    """Say what closed firms lost at home and what became of it: amounts of `money`, as far as they are known.

    Parameters
    ----------
    about : Study
    money : Estimate
        As :func:`analysis.estimands.displacement.lost_sales`.
    sold, present : Estimate
        Change of sales and of presence at the destinations, one term each.
    """
    if money.refused:
        return f"What was lost is not known: {money.reason}."
    changed = {f"{about.event.origin_name} rivals there": "d1", "other rivals there": "d2"}
    changed |= {f"closed firms on {about.there}": "there"}
    known = [f"of {who} by {money[term]:both}" for who, term in changed.items() if not money[term].refused]
    told = [f"Closed firms lost {money['sum']:both} {money.unit} on {about.home}."]
    told += [f"Because they were closed, sales changed: {', '.join(known)}."] if known else []
    if len(about.panel.platforms) == 1:
        alone = f"This panel holds {about.home} alone; where sales went cannot be told from it."
        return " ".join([alone, *told])
    told += [] if sold.refused else [f"Of each 100 lost, {sold:both} went there with them."]
    return " ".join([*told, f"Change in the share of them that sold there: {present:all}."])


def left_out(used: float, closed: int) -> str:
    """Say how many closed firms an effect on their sales is not of; nothing where it is of all, or of none."""
    few = f"{closed - used:,.0f} of {closed:,} closed firms"
    why = "because nothing was sold a year before, or just before the closure"
    return f"{few} cannot be compared, {why}." if 0 < used < closed else ""


def clustered(design: Design, *, rivals: bool = False) -> str:
    """Say by what errors of effects on closed firms are clustered, or of `rivals` beside them: "by category"."""
    if design.cluster != "brand_group":
        return f"by {design.cluster}"
    return "closed firms by brand group, others by category" if rivals else "by brand group or category, the wider"


def smallest_seen(row: Mapping[str, Any]) -> str:
    """Say the smallest effect that a panel such as that of a row would mostly show, `mde`, in its `unit`."""
    if pd.isna(row["mde"]):
        return ""
    seen = f"{number(row['mde'], 1, mark=kind('estimate'))} {row['unit']}"
    return f"Four of five such panels would show an effect of {seen}; smaller ones are often missed."


def placebos(rows: pd.DataFrame, against: Sequence[float]) -> str:
    """Say which placebos exclude zero and which hold it, and how large each is against the estimate that it tests.

    `rows` are as for :func:`estimates`; `against` has for each the estimate beside which it stands, NaN for none.
    """
    told: dict[str, list[str]] = {"excludes zero": [], "holds zero": [], "is not there": []}
    for row, value in zip(rows.to_dict("records"), against, strict=True):
        part = f", {100 * abs(row['estimate'] / value):.0f} per cent of the estimate" if abs(value) > 0 else ""
        if pd.isna(row["conf_low"]):
            told["is not there"].append(row["label"])
        elif row["conf_low"] <= 0 <= row["conf_high"]:
            told["holds zero"].append(f"{row['label']}{part}")
        else:
            ends = span(row["conf_low"], row["conf_high"], row["unit"])
            point = quantity(row["estimate"], row["unit"], mark=kind("estimate"))
            told["excludes zero"].append(f"{row['label']} {point} [{ends}]{part}")
    said = [f"{words}: {'; '.join(named)}" for words, named in told.items() if named]
    return f"Placebos whose interval {'; whose interval '.join(said)}."


def beside_first(rows: pd.DataFrame) -> str:
    """Say how far other estimates of the same thing lie from the first, and whether inside its interval.

    `rows` are as for :func:`estimates`, in per cent; nothing is said of one that is not there.
    """
    first, others = rows.iloc[0], rows.iloc[1:].dropna(subset="estimate")
    if pd.isna(first["estimate"]) or others.empty:
        return ""
    unit, told = "percentage points", []
    for label, value in zip(others["label"], others["estimate"], strict=True):
        off = quantity(value - first["estimate"], unit, mark=kind("estimate"))
        inside = ", inside its interval" if first["conf_low"] <= value <= first["conf_high"] else ""
        told.append(f"{off} {unit} ({label}){inside}")
    return f"Away from the {first['label']}: {'; '.join(told)}."


def breakdown(bounds: Estimate, of: str) -> str:
    """Say how large a drift the mean effect `of` some months survives: none (NaN), any (infinite), or this much."""
    if bounds.refused:
        return ""
    value = bounds.details["breakdown"]
    if pd.isna(value):
        return f"The interval of the mean effect {of} holds zero even with no drift, so there is no breakdown value."
    if value == float("inf"):
        return f"The mean effect {of} excludes zero under every drift that was tried."
    return (
        f"The mean effect {of} excludes zero up to a drift from month to month of M* times the largest before closure: "
        f"the breakdown value is M* = {number(value, 2, mark=kind('estimate'))}."
    )


def pretrend(study: Estimate) -> str:
    """Say whether the paths of an event study parted before closure."""
    if study.refused:
        return ""
    found, before = study.details["pretrend"], sum(int(term) < study.details["reference"] for term in study.terms)
    if pd.isna(found.largest_t):
        return f"Closed firms of {study.counts['closed_clusters']} clusters: too few for a test or band of all months."
    within, drift = (number(percent_change(one), 0, mark=kind("estimate")) for one in (found.within, found.drift))
    return (
        f"Before the reference the largest of {before} t statistics is {number(found.largest_t, 1)} "
        f"({p_value(found.p_value)} for all together; a small p: paths parted before). They show no more than that "
        f"paths lay within ±{within} per cent, and find a steady drift of {drift} per cent a month four times of five"
        "; a smaller one may be there."
    )


def against_margin(rungs: Estimate) -> str:
    """Say the last two p-values of :func:`analysis.estimands.growth.cumulative_bounds`."""
    if rungs.refused:
        return ""
    *_, seen, whole = (p_value(one) for one in rungs.columns["p_value"])
    return f"Test of a fall by the margin or more: {seen} without the common part, {whole} at its lower end."


def adjusted(tests: Any, named: Mapping[str, str]) -> str:
    """Say the p-values of :func:`analysis.estimands.closed_firms.family`, by what their ids are `named` in print."""
    if isinstance(tests, Estimate):
        return ""
    told = [f"{named[row['id']]}, {p_value(row['p_adjusted'])}" for row in tests.to_dict("records")]
    return f"Of no effect, adjusted step by step for their number (Romano and Wolf): {'; '.join(told)}."


def redraws(rows: pd.DataFrame) -> str:
    """Say the p-values of rows of :func:`analysis.estimands.rivals.randomization_test`, each with its `label`."""
    known = rows.dropna(subset="p_value")
    if known.empty:
        return "No draw could be compared."
    said = "; ".join(f"{row['label']}, p = {row['p_value']:.3f}" for row in known.to_dict("records"))
    return f"{said}. The smallest p that so many draws allow is {known['smallest_p'].min():.3f}."


def fan(found: Estimate) -> str:
    """Say what a fan shows: its spread, and how many estimates lie outside their own placebos.

    A break that stands out under every specification would speak against an ordinary quarter; a few that do, with as
    few placebo dates, speak for neither.
    """
    rows = found.rows.dropna(subset=["estimate"])
    tried = rows[rows["n_placebos"] > 0]
    low, high = (quantity(end, found.unit) for end in (rows["estimate"].min(), rows["estimate"].max()))
    spread = f"The {len(rows)} estimates run from {low} to {high} points ◐. "
    if tried.empty:
        return spread + f"No placebo date leaves room for the {found.counts['horizon']} quarters after a break."
    outside, dates = int(tried["outside"].sum()), found.details["placebo_dates"]
    lie = {0: "None of them lies", len(tried): "All of them lie"}.get(outside, f"{outside} of them lie")
    return (
        f"{spread}{lie} outside the range of their own placebos, of which there are at most "
        f"{tried['n_placebos'].max()}, {dates[0]} to {dates[-1]}. A lead of this kind holds all sellers of all "
        "origins: it can speak against a claim, and is no estimate of an effect."
    )


def as_read(dropped: pd.DataFrame) -> str:
    """Say row by row what was added up, linked or left out when a panel was read: `what`, `rule`, `count`."""
    told = [f"{row['count']:,} {row['what']}: {row['rule']}" for row in dropped.to_dict("records")]
    return f"When the panel was read: {'; '.join(told)}." if told else "When the panel was read, nothing was left out."
