"""Titles, alternative texts and sentences, worded by rules from the numbers that they describe.

By these rules, something fell if its interval lies below zero and rose if it lies above; otherwise
no change is clear. The text for a refused result is empty or states the reason. Reports on a panel
call these rules in their text, since its sentences must be true of any panel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from fewtreated.errors import NOT_ESTIMABLE

from analysis.estimate import Estimate
from analysis.evidence.verdicts import (
    CONTRADICTED,
    NOT_SHOWN,
    NOT_TESTABLE,
    SUPPORTED,
    USABLE,
    Verdict,
    is_exact,
    not_lower,
)
from analysis.exhibits.payload import estimate_rows, refused
from analysis.exhibits.style import kind_of_numbers
from analysis.numbers import (
    SIGNED,
    number,
    p_value,
    percent_change,
    points,
    quantity,
    sentence_of,
    span,
)
from analysis.simulated import condition

if TYPE_CHECKING:
    from analysis.estimands.design import Design, Sample
    from analysis.study import Study

MOST = 4  # names listed in a sentence at most; more are counted, as are names with a comma
SLOWED = {  # answers to whether growth was cut, by the verdict that it was not, and its confidence
    SUPPORTED: {"high": "No, not", "moderate": "Probably not", "low": "Perhaps not"},
    CONTRADICTED: {"high": "Yes,", "moderate": "Probably", "low": "Perhaps"},
}
NO_INTERVAL = "No interval can be computed"  # instead of a finding, as a title


# Names and numbers in a row


def capitalised(text: str) -> str:
    """Capitalise the first letter of a sentence."""
    return text[:1].upper() + text[1:]


def listing(names: Iterable[str], total: int = 0, *, every: str = "all") -> str:
    """Join names as "a, b and c", or count them if there are many.

    The count is "5 of 6", or `every` and the total.
    """
    items = list(names)
    if len(items) > MOST or any("," in item for item in items):
        if len(items) < total:
            count = f"{len(items)} of"
        else:
            count = every
        return f"{count} {max(total, len(items))}"
    return " and ".join(filter(None, (", ".join(items[:-1]), *items[-1:])))


def text(name: str) -> str:
    """Write a name, such as that of a platform, as it is."""
    return name


def in_numbers(rows: Any, unit: str, *, label: str = "term") -> str:
    """Format the estimate and interval of each row, preceded by its `label` column."""
    if refused(rows):
        return ""
    items = []
    for row in estimate_rows(rows).to_dict("records"):
        ends = span(row["conf_low"], row["conf_high"], unit)
        if pd.notna(row["estimate"]):
            point = f"{quantity(row['estimate'], unit)} [{ends}]"
        else:
            point = ends
        items.append(f"{row[label]}: {point}")
    return f"{'; '.join(items)}; {unit}."


def described(rows: pd.DataFrame, axis: str) -> str:
    """Describe the data drawn along an axis, for readers who cannot see the figure.

    Rows are described by their intervals, and paths by their first and last values. Only the first
    of several parts is described. The text is empty if rows have no `term` or `month`, or no
    `estimate`.
    """
    label = next((name for name in ("term", "month") if name in rows), "")
    if not label or "estimate" not in rows:
        return ""
    if "part" in rows:
        rows = rows[rows["part"] == rows["part"].iloc[0]]
    unit = next((unit for unit in SIGNED if axis.endswith(unit)), axis)
    if "conf_low" in rows and not rows[label].duplicated().any():
        text = in_numbers(
            rows.dropna(subset=["estimate", "conf_low"], how="all"), unit, label=label
        )
        return f"{capitalised(axis)}: {text.removesuffix(f'; {unit}.')}."
    names = [name for name in ("panel", "origin", label) if name in rows]
    items = []
    for name, line in rows.dropna(subset="estimate").groupby(names, sort=False)["estimate"]:
        ends = dict.fromkeys(quantity(value, unit) for value in line.iloc[[0, -1]])
        items.append(f"{' '.join(', '.join(map(str, name)).split())}: {' to '.join(ends)}")
    return f"{capitalised(axis)}: {'; '.join(items)}."


# Titles of figures


def _sides(rows: Any) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Return the rows with an interval, and masks of the intervals below and above zero."""
    bounded = estimate_rows(rows).dropna(subset=["conf_low", "conf_high"])
    return bounded, bounded["conf_high"] < 0, bounded["conf_low"] > 0


def by_direction(
    rows: Any, fell: str = "fell", rose: str = "rose", unknown: str = "no clear change for"
) -> str:
    """State which terms fell, which rose, and for which no change is clear.

    Parameters
    ----------
    rows : DataFrame or Estimate
        `term`, `conf_low`, `conf_high`; rows without an interval are left out.
    fell, rose : str
        Verbs for the terms whose interval lies below zero and above it.
    unknown : str
        Phrase that precedes the terms whose interval contains zero.
    """
    bounded, below, above = _sides(rows)
    terms = bounded["term"]
    rest = bounded["term"][~(below | above)]
    sides = ((terms[below], fell), (terms[above], rose))
    clauses = [f"{listing(side, len(terms))} {verb}" for side, verb in sides if len(side)]
    clauses += [f"{unknown} {listing(rest, len(terms), every='any of')}"] if len(rest) else []
    return capitalised("; ".join(clauses)) or NO_INTERVAL


def by_ways(rows: pd.DataFrame, fell: str, rose: str) -> str:
    """Count the specifications that find a fall, a rise, or neither."""
    bounded, below, above = _sides(rows)
    less = below.sum()
    more = above.sum()
    text = f"{less or 'None'} of {len(bounded)} specifications find {fell}, {more or 'none'} {rose}"
    if rest := len(bounded) - less - more:
        neither = f", and {rest} neither"
    else:
        neither = ""
    if len(bounded):
        return f"{text}{neither}"
    return NO_INTERVAL


def beside_margin(rows: Any, margin: float, what: str, verdict: Verdict | None = None) -> str:
    """State whether something fell by more than a margin, from the interval of the last row.

    If the interval tests nothing by the `verdict` on it, the text says so.
    """
    if refused(rows):
        return NO_INTERVAL
    low, high = estimate_rows(rows).iloc[-1][["conf_low", "conf_high"]]
    if np.isnan([low, high]).any():
        return NO_INTERVAL
    if is_exact((low, high)):
        return f"Whether {what} changed is open: the interval has no width, so no error was found"
    word = not_lower((low, high), margin)
    left = f"the range runs from {span(low, high, 'percentage points')}"
    tested = verdict is None or verdict.word != "Not testable"
    if word == NOT_SHOWN or not tested:
        left = f"{'open' if tested else 'not tested'}: {left}"
        return f"Whether the closures cut {what} by more than {points(margin)} is {left}"
    return (
        f"The closures {'did not cut' if word == SUPPORTED else 'cut'} {what} by more than"
        f" {points(margin)}: {left}"
    )


def after_closure(rows: Any) -> str:
    """Count the months before and after closure in which intervals exclude zero.

    The intervals are those of an event study.
    """
    if refused(rows):
        return NO_INTERVAL
    bounded, lower, higher = _sides(rows)
    since = bounded["month"] >= 0
    away = lower | higher
    after = (lower & since).sum() or "none"
    before = (away & ~since).sum() or "none"
    text = (
        f"Sales of closed sellers were lower, by more than chance, in {after} of {since.sum()}"
        " months after closure"
    )
    return f"{text}; in the {(~since).sum()} months before, they differed in {before}"


def across_choices(rows: pd.DataFrame, unit: str) -> str:
    """State how an estimate varies under other choices, and whether its placebo shows an effect.

    `rows` are from :func:`analysis.estimands.robustness.robustness`: first the main estimate, last
    the placebo.
    """
    first = rows.iloc[0]
    others = rows.iloc[1:-1].dropna(subset="estimate")
    placebo = rows.iloc[-1]
    if pd.isna(first["estimate"]) or others.empty:
        return NO_INTERVAL
    ends = span(others["estimate"].min(), others["estimate"].max(), unit)
    text = (
        f"The estimate is {quantity(first['estimate'], unit)} {unit}; {len(others)} other choices"
        f" give {ends}"
    )
    if pd.isna(placebo["conf_low"]):
        return text
    holds = placebo["conf_low"] <= 0 <= placebo["conf_high"]
    return (
        f"{text}. A year early, with nothing closed,"
        f" {'no effect shows' if holds else 'one shows too'}"
    )


# Effects and their checks


def surely(row: Mapping[str, Any], who: str, did: str, passed: bool) -> str:
    """State whether firms did less or more, and how certain this is.

    The text is empty if there is no interval. They "probably" did if the interval excludes zero,
    the method has the best grade and the checks are `passed`; they "may have" if only the interval
    supports it; and it is open if the interval includes zero.

    Parameters
    ----------
    row : mapping
        `conf_low`, `conf_high` and `grade`.
    who : str
        Subject, in the plural.
    did : str
        Predicate, in the past tense, with braces for "less" or "more": ``"sold {} than before"``.
    passed : bool
        Whether the checks beside the estimate support it.
    """
    low = row["conf_low"]
    high = row["conf_high"]
    if np.isnan([low, high]).any():
        return ""
    if low <= 0 <= high:
        return f"This panel does not show whether {who} {did.format('less or more')}."
    if passed and row["grade"] == USABLE:
        verb = "probably"
    else:
        verb = "may have"
    return f"{capitalised(who)} {verb} {did.format('less' if high < 0 else 'more')}."


def clustered(design: Design, rivals: bool = False) -> str:
    """Describe how standard errors are clustered, for example "clustered by category".

    The description is for closed sellers alone, or also for `rivals`.
    """
    if design.cluster != "brand_group":
        return f"clustered by {design.cluster}"
    if rivals:
        return "clustered for closed sellers by brand group, others by category"
    return "clustered by brand group and by category"


def smallest_seen(row: Mapping[str, Any]) -> str:
    """State the smallest effect that a panel like this one would usually detect.

    `row` has this effect, `mde`, and its `unit`.
    """
    if pd.isna(row["mde"]):
        return ""
    effect = f"{number(row['mde'], 1, mark=kind_of_numbers('estimate'))} {row['unit']}"
    return (
        f"Four of five such panels would show an effect of {effect}; they often miss smaller ones."
    )


def placebos(rows: pd.DataFrame, against: Sequence[float]) -> str:
    """State which placebo tests found an effect, with their sizes relative to the estimates tested.

    `rows` are as for :func:`analysis.exhibits.blocks.estimates`; `against` has the estimate that
    each placebo tests, or NaN.
    """
    sorts: dict[str, list[str]] = {"found an effect": [], "found none": [], "had no interval": []}
    for row, effect in zip(rows.to_dict("records"), against, strict=True):
        if abs(effect) > 0:
            size = f", {100 * abs(row['estimate'] / effect):.0f} per cent of the estimate"
        else:
            size = ""
        if pd.isna(row["conf_low"]):
            sorts["had no interval"].append(row["label"])
        elif row["conf_low"] <= 0 <= row["conf_high"]:
            sorts["found none"].append(f"{row['label']}{size}")
        else:
            ends = span(row["conf_low"], row["conf_high"], row["unit"])
            point = quantity(row["estimate"], row["unit"], mark=kind_of_numbers("estimate"))
            sorts["found an effect"].append(f"{row['label']} {point} [{ends}]{size}")
    clauses = [f"{sort}: {'; '.join(names)}" for sort, names in sorts.items() if names]
    return f"Placebo tests that {'. Tests that '.join(clauses)}."


def breakdown_sentence(bounds: Estimate) -> str:
    """State the largest drift at which the interval of a mean effect excludes zero.

    `bounds` come from :func:`analysis.estimands.event_study.honest`.
    """
    if bounds.refused:
        return ""
    design = bounds.design
    of = f"of months {design.post_from} to {design.post_to} after a seller's own closure"
    value = bounds.details["breakdown"]
    known = {"unit": "per cent", "conf_low": nan, "conf_high": nan}
    truth = in_truth(bounds.details.get("truth"), known)
    if pd.isna(value):
        return (
            f"Even with no drift the interval of the mean effect {of} includes zero, so there is no"
            f" breakdown value. {truth}"
        ).strip()
    times = number(value, 2, mark=kind_of_numbers("estimate"))
    per = (
        f"the drift a {bounds.details['period']} is at most {times} times the largest before"
        " closure"
    )
    if np.isfinite(value):
        drift = f"as long as {per}: the breakdown value"
    else:
        drift = "under every drift that we tried"
    return f"The interval of the mean effect {of} excludes zero {drift}. {truth}".strip()


def pretrend(study: Estimate) -> str:
    """State whether the paths of an event study diverged before closure."""
    if study.refused:
        return ""
    test = study.details["pretrend"]
    before = sum(int(term) < study.details["reference"] for term in study.terms)
    if pd.isna(test.largest_t):
        clusters = study.counts["closed_clusters"]
        return (
            f"The closed sellers form {clusters} clusters, too few for a joint test of all months."
        )
    within, drift = (
        number(percent_change(size), 0, mark=kind_of_numbers("estimate"))
        for size in (test.within, test.drift)
    )
    return (
        f"Before closure the largest of {before} t statistics is {number(test.largest_t, 1)} (joint"
        f" test: {p_value(test.p_value)}). Paths then lay within ±{within} per cent of each other."
        f" The test would find a steady drift of {drift} per cent a month four times in five, and"
        " often miss a smaller one."
    )


def adjusted(tests: Any, names: Mapping[str, str]) -> str:
    """Format adjusted p-values, each preceded by the name of its effect.

    `tests` come from :func:`analysis.estimands.closed_firms.family`.
    """
    if isinstance(tests, Estimate):
        return ""
    clauses = [
        f"{names[row['id']]}, {p_value(row['p_adjusted'])}" for row in tests.to_dict("records")
    ]
    return (
        "Tests of no effect, with p-values adjusted for their number (Romano and Wolf):"
        f" {'; '.join(clauses)}."
    )


def redraws(rows: pd.DataFrame) -> str:
    """Format the p-values of randomisation tests, each preceded by its label.

    `rows` come from :func:`analysis.estimands.rivals.randomization_test`.
    """
    compared = rows.dropna(subset="p_value")
    if compared.empty:
        return "No draw could be compared."
    text = "; ".join(
        f"{row['label']}, p = {row['p_value']:.3f}" for row in compared.to_dict("records")
    )
    return (
        f"{capitalised(text)}. With so many draws p is at least {compared['smallest_p'].min():.3f}."
    )


def changed(effect: Estimate, that: str) -> str:
    """State by how much something changed, or why it cannot be estimated.

    `that` is the sentence up to the number, such as "Closed sellers' sales changed by".
    """
    if effect.refused:
        return f"{capitalised(NOT_ESTIMABLE)}: {sentence_of(effect.reason)}"
    if np.isnan(effect.conf_int).any():
        return f"{capitalised(that)} {effect:unit}; no interval: {sentence_of(effect.reason)}"
    if np.isnan(effect.value).any():
        return f"{capitalised(that)} {effect:unit}."
    return f"{capitalised(that)} {effect:both} {effect.unit}."


def judged_so(verdict: Verdict | None, effect: Estimate, who: str, did: str) -> str:
    """State whether firms did less or more, as the verdict on that claim allows.

    They "probably" did with at least moderate confidence, and "may have" with less, or if nobody
    asked for a verdict. Parameters are as for :func:`surely`.
    """
    either = f"whether {who} {did.format('less or more')}"
    if effect.refused or (verdict and verdict.word == NOT_TESTABLE):
        return f"This panel does not test {either}."
    low, high = effect.conf_int[:, 0]
    if (verdict and verdict.word == NOT_SHOWN) or not (low > 0 or high < 0):
        return f"This panel does not show {either}."
    if verdict and verdict.confidence in ("high", "moderate"):
        verb = "probably"
    else:
        verb = "may have"
    side = "more"
    if high < 0:
        side = "less"
    return f"{capitalised(who)} {verb} {did.format(side)}."


def sales_lost(money: Estimate, study: Study) -> str:
    """State what closed sellers lost at home, and how sales changed elsewhere because of it.

    `money` comes from :func:`analysis.estimands.displacement.lost_sales`.
    """
    if money.refused:
        return f"What was lost is not known: {sentence_of(money.reason)}"
    lost = f"Closed sellers lost {money['sum']:both} {money.unit} on {study.home}."
    if len(study.panel.platforms) == 1:
        alone = f"This panel holds {study.home} alone, so it does not show where sales went."
        return f"{alone} {lost}"
    takers = {
        f"{study.event.origin_name} rivals there": "d1",
        "other rivals there": "d2",
        f"closed sellers on {study.there}": "there",
    }
    known = [f"of {who} by {money[d]}" for who, d in takers.items() if not money[d].refused]
    if not known:
        return lost
    return f"{lost} Because of the closures, sales changed, in {money.unit}: {', '.join(known)}."


def share_by_place(shares: Any) -> str:
    """Count the places where lost sales clearly went, as a title.

    `shares` come from :func:`analysis.estimands.displacement.where_it_went`.
    """
    if refused(shares):
        return NO_INTERVAL
    bounded, below, above = _sides(shares)
    if bounded.empty:
        return NO_INTERVAL
    took = above.sum() or "none"
    text = f"Of {len(bounded)} places where the lost sales may have gone, {took} clearly took any"
    if below.any():
        return f"{text}, and {below.sum()} clearly sold less too"
    return text


def in_business(effect: Estimate, closed: int) -> str:
    """State how many of the closed sellers an effect is about; empty if it is refused."""
    if effect.refused:
        return ""
    return (
        f"The answer is about {int(np.ravel(effect.n)[0]):,} of {closed:,} closed sellers: those in"
        " business a year before, and just before their closure."
    )


def slowed(effect: Estimate, changed_by: str, margin: float, verdict: Verdict | None = None) -> str:
    """Answer whether closures cut growth by more than a margin, with the number behind it.

    Parameters
    ----------
    effect : Estimate
        Effect on growth, one term with an interval.
    changed_by : str
        Sentence up to the number, such as "the closures changed growth by".
    margin : float
        In the unit of the effect.
    verdict : Verdict, optional
        Verdict on the claim that growth was not lower, whose word precedes the interval's.
    """
    said = changed(effect, changed_by)
    if effect.refused or np.isnan(effect.conf_int).any():
        return said
    low, high = effect.conf_int[:, 0]
    word = not_lower((low, high), margin)
    sure = "high"
    why = ""
    if verdict:
        word = verdict.word
        sure = verdict.confidence
        why = verdict.why
    if word in SLOWED:
        return f"{SLOWED[word][sure]} by more than {points(margin)}. {said}"
    if word == NOT_SHOWN:
        return f"This panel does not show it. {said}"
    return f"This panel does not test it. {why} {said}"


def in_full(effect: Estimate) -> str:
    """Write an estimate with interval and unit, or a few words and the reason."""
    return f"{effect:all}"


def in_unit(effect: Estimate) -> str:
    """Write an estimate with its unit, or a few words instead."""
    return f"{effect:unit}"


def turning_point(turn: Estimate, margin: float) -> str:
    """State which common effect decides whether growth was lower by more than a margin.

    `turn` comes from :func:`analysis.estimands.growth.break_even`.
    """
    if turn.refused:
        return ""
    return (
        f"If it is worth more than {turn:all}, growth was not lower by {points(margin)}; if less,"
        " it was."
    )


# Known facts about a market or a panel


def where_found(study: Study) -> str:
    """Introduce a statement from a simulated market, or from a panel that is not representative."""
    if study.market:
        return condition(study.market)
    return study.aside


def we_know(study: Study) -> str:
    """Introduce what a report found, on page 1."""
    return f"What we know{' in the simulated market' * bool(study.market)}:"


def we_do_not_know(study: Study) -> str:
    """Introduce what a panel does not show; in a simulated market all is known."""
    if study.market:
        return "What we would not know in a real market:"
    return "What we do not know:"


def would_settle(study: Study) -> str:
    """Introduce what would decide the question; in a simulated market it is decided."""
    return f"What would settle it{' in a real market' * bool(study.market)}:"


def still_open(sample: Sample) -> str:
    """State how many closed sellers were still open in part of the window; empty if none was."""
    return sample.still_open


def caveats(study: Study) -> str:
    """Describe a panel from a file, with doubts about it; empty for a market simulated here."""
    return study.caveats


def what_it_holds(study: Study) -> str:
    """Describe the panel of a report: its size, closures and gaps, and the changes made to it."""
    return " ".join([study.sentence, as_read(study.panel.dropped), study.line])


def judgements(verdicts: Iterable[Verdict]) -> str:
    """List claims with the verdicts on them, which are conditional in a simulated market."""
    judged = list(verdicts)
    if not judged:
        return "The event names no claim that is to be judged here."
    clauses = []
    for one in judged:
        first = one.statement.partition(". ")[0].rstrip(".")
        clauses.append(f"“{first}” {one.word.lower()}")
        if one.confidence:
            clauses[-1] += f" ({one.confidence} confidence)"
    text = f"{'; '.join(clauses)}."
    if judged[0].simulated:
        return f"Here they would be: {text}"
    return text


def in_truth(value: float | None, effect: Any) -> str:
    """State the true value of an effect in a simulated market, and whether its interval has it.

    The text is empty if there is no true value. `effect` is an Estimate of one term, or its row.
    """
    if value is None or pd.isna(value):
        return ""
    unit, low, high = _unit_and_ends(effect)
    shown = quantity(value, unit, mark=kind_of_numbers("estimate"))
    truth = f"The simulated truth is {shown} {unit}"
    if pd.isna([low, high]).any():
        return f"{truth}."
    if low <= value <= high:
        verb = "contains"
    else:
        verb = "misses"
    return f"{truth}; the interval, {span(low, high, unit)}, {verb} it."


def _unit_and_ends(effect: Any) -> tuple[str, float, float]:
    """Return the unit of an effect and the limits of its interval, NaN if there is none."""
    if not isinstance(effect, Estimate):
        return effect["unit"], effect["conf_low"], effect["conf_high"]
    low, high = effect.bounds(effect.terms[0]) or (nan, nan)
    return effect.unit, low, high


def tried_out(verdict: Verdict | None, value: float | None, effect: Any, above: float = 0.0) -> str:
    """State whether a claim is true in a simulated market, and whether its verdict agrees.

    The text is empty if there is no true value.

    Parameters
    ----------
    verdict : Verdict or None
        Verdict on the claim; None if it is not judged.
    value, effect
        True value, and its estimate, as for :func:`in_truth`.
    above : float
        The claim is true if the value is above this.
    """
    truth = in_truth(value, effect)
    if not truth or verdict is None:
        return truth
    holds = float(value or 0.0) > above
    so = f"the claim is {'true' if holds else 'false'}"
    right, wrong = (SUPPORTED, CONTRADICTED) if holds else (CONTRADICTED, SUPPORTED)
    outcomes = {
        right: f"{so}, and the panel shows it",
        wrong: f"{so}, and the panel says the opposite",
    }
    return (
        f"{truth} So in this market"
        f" {outcomes.get(verdict.word, f'{so}, but the panel does not show it')}."
    )


def truths_inside(rows: pd.DataFrame, true: Mapping[str, float]) -> str:
    """Count the intervals that contain the true value in a simulated market; empty elsewhere."""
    truth = rows["id"].map(dict(true))
    known = truth.notna() & rows["conf_low"].notna()
    inside = truth.between(rows["conf_low"], rows["conf_high"])[known].sum()
    if not known.any():
        return ""
    return f"Intervals here that contain the simulated truth: {inside} of {known.sum()}."


def as_read(dropped: pd.DataFrame) -> str:
    """Format the changes made to rows when a panel was read.

    `dropped` has `what`, `rule` and `count`, the number of rows summed, linked or left out.
    """
    rules = [f"{row['count']:,} {row['what']}: {row['rule']}" for row in dropped.to_dict("records")]
    return f"Changes when the panel was read: {'; '.join(rules) or 'none'}."
