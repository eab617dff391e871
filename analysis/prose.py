"""The words that the text of a notebook may use for its numbers.

A sentence stands in a Markdown cell, and takes its numbers from the kernel by MyST's inline
expressions: ``shares fell {eval}`fall(tiza)` per cent``. No other module formats a number for a
sentence. A word that says which way a number goes refuses the other way, so that no sentence
outlives what it says: see :class:`UntrueError`.

In a notebook: ``from analysis.prose import *``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from html import escape
from typing import Any

from analysis import numbers
from analysis.estimate import Estimate
from analysis.evidence.verdicts import Verdict
from analysis.exhibits import answers, blocks, words
from analysis.exhibits.payload import NOT_SAID

__all__ = [
    "across_choices",
    "adjusted",
    "after_closure",
    "beside_margin",
    "both",
    "breakdown_sentence",
    "by_direction",
    "by_ways",
    "capitalised",
    "caveats",
    "chance",
    "changed",
    "clustered",
    "day",
    "each",
    "fall",
    "found",
    "holds",
    "in_brief",
    "in_business",
    "in_full",
    "in_truth",
    "in_unit",
    "interval",
    "judged_so",
    "judgements",
    "names",
    "number",
    "part",
    "percent",
    "placebos",
    "plain",
    "points",
    "pretrend",
    "redraws",
    "rise",
    "sales_lost",
    "share_by_place",
    "signed",
    "slowed",
    "smallest_seen",
    "span",
    "spelled",
    "still_open",
    "surely",
    "term_of",
    "text",
    "tried_out",
    "truths_inside",
    "turning_point",
    "verdict",
    "we_do_not_know",
    "we_know",
    "what_it_holds",
    "when",
    "where_found",
    "would_settle",
]


class UntrueError(Exception):
    """A sentence that says what its numbers do not.

    A scheduled run stops at it; a run with parameters of the moment leaves the sentence out.
    """

    def _render_traceback_(self) -> list[str]:
        """Return what JupyterLab shows in place of the value."""
        return [f"Not so: {self}"]


class Said(str):
    """Text that the kernel shows as it is, without quotes."""

    __slots__ = ()
    __repr__ = str.__str__


class Html(Said):
    """Text that is already HTML."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return str(self)


def spoken(rule: Callable[..., str]) -> Callable[..., Said]:
    """Let a rule that words a sentence be used in the text of a notebook."""

    @wraps(rule)
    def said(*given: Any, **named: Any) -> Said:
        return Said(rule(*given, **named))

    return said


# Numbers


def _value_and_mark(x: Any) -> tuple[float, str]:
    """Return a number, and the mark of its provenance if it is an Estimate."""
    if isinstance(x, Estimate):
        return float(x.value.item()), f" {numbers.MARKS[x.provenance]}"
    return float(x), ""


def _numbered(x: Any, decimals: int, sign: int = 1, *, signed: bool = False) -> Said:
    value, mark = _value_and_mark(x)
    return Said(numbers.number(sign * value, decimals, signed=signed) + mark)


def number(x: Any, decimals: int = 1) -> Said:
    """Format a number, such as ``1,234.5``."""
    return _numbered(x, decimals)


def signed(x: Any, decimals: int = 1) -> Said:
    """Format a number with its sign, such as ``+7.3``."""
    return _numbered(x, decimals, signed=True)


def plain(x: float) -> Said:
    """Write a number as it stands where it is set, such as ``40`` or ``0.5``."""
    return Said(f"{x:g}")


def fall(x: Any, decimals: int = 1) -> Said:
    """Format the size of a fall; raise `UntrueError` for a rise."""
    value, _ = _value_and_mark(x)
    if not value < 0:
        raise UntrueError(f"{numbers.number(value, decimals, signed=True)} is no fall")
    return _numbered(x, decimals, -1)


def rise(x: Any, decimals: int = 1) -> Said:
    """Format the size of a rise; raise `UntrueError` for a fall."""
    value, _ = _value_and_mark(x)
    if not value > 0:
        raise UntrueError(f"{numbers.number(value, decimals, signed=True)} is no rise")
    return _numbered(x, decimals)


def interval(x: Estimate) -> Said:
    """Format the interval of an estimate, such as ``−28.5 to −7.3``."""
    return Said(f"{x:interval}")


def both(x: Estimate) -> Said:
    """Format an estimate with its interval, such as ``−17.9 [−28.5 to −7.3]``."""
    return Said(f"{x:both}")


def span(values: Iterable[float], decimals: int = 1) -> Said:
    """Format the least and the largest of several numbers, such as ``3.3 to 5.1``."""
    every = sorted(values)
    ends = [numbers.number(end, decimals) for end in (every[0], every[-1])]
    return Said(" to ".join(dict.fromkeys(ends)))


def part(of: Any, decimals: int = 0) -> Said:
    """Format a part of a whole, or a range of parts, in per cent, such as ``67 to 78``.

    Raise `UntrueError` for what is below 0 or above 100.
    """
    values = [float(value) for value in (of if hasattr(of, "__iter__") else [of])]
    if not (min(values) >= 0 and max(values) <= 100):
        raise UntrueError(f"{span(values, decimals)} per cent is no part of a whole")
    return span(values, decimals)


def each(values: Iterable[float], decimals: int = 1) -> Said:
    """Format several numbers as a list, such as ``1.14, 2.00 and 0.43``."""
    return names(numbers.number(value, decimals) for value in values)


def percent(share: float, decimals: int | None = None) -> Said:
    """Format a share in per cent, such as ``40`` for 0.4."""
    if decimals is None:
        return Said(f"{100 * share:g}")
    return Said(numbers.number(100 * share, decimals))


points = spoken(numbers.points)
spelled = spoken(numbers.spelled)


# Text


def day(date: Any) -> Said:
    """Format a date of any precision, such as ``6 July 2021``."""
    if hasattr(date, "strftime"):
        date = f"{date:%Y-%m-%d}"
    return Said(numbers.day(date))


def names(of: Iterable[str]) -> Said:
    """Format a list, such as ``a, b and c``."""
    *first, last = map(str, of)
    return Said(" and ".join(filter(None, [", ".join(first), last])))


capitalised = spoken(words.capitalised)


def term_of(name: str) -> Said:
    """Return an entry of docs/glossary.md."""
    return Said(blocks.glossary(name).text.partition(": ")[2])


# Conditions, each of which governs its line


def holds(condition: Any) -> Said:
    """Begin a sentence that is true only if `condition` is; raise `UntrueError` if it is not."""
    if not condition:
        raise UntrueError("its condition does not hold")
    return Said("")


def when(condition: Any) -> Said:
    """Begin a sentence that is said only if `condition` is true, usually one of two."""
    return Said("" if condition else NOT_SAID)


def chance(x: Estimate) -> Said:
    """Say ``, which may be chance`` if the interval of an estimate includes zero."""
    low, high = x.conf_int[:, 0]
    return Said(", which may be chance" if low <= 0 <= high else "")


# Verdicts


def verdict(of: Verdict) -> Html:
    """Format the word of a verdict as a label, after any market or firms that it is limited to."""
    return Html(f"{escape(of.apart)} {answers.label(of.word, simulated=of.simulated)}".strip())


def found(of: Verdict) -> Said:
    """Begin what was found on a claim: the rest of the paragraph goes to tables of verdicts."""
    return Said(of.statement)


def in_brief(of: Verdict) -> Said:
    """Begin what the brief says of a claim: the rest of the paragraph."""
    return Said(of.statement)


# Rules that word sentences for any panel

across_choices = spoken(words.across_choices)
adjusted = spoken(words.adjusted)
after_closure = spoken(words.after_closure)
beside_margin = spoken(words.beside_margin)
breakdown_sentence = spoken(words.breakdown_sentence)
by_direction = spoken(words.by_direction)
by_ways = spoken(words.by_ways)
caveats = spoken(words.caveats)
changed = spoken(words.changed)
clustered = spoken(words.clustered)
in_business = spoken(words.in_business)
in_full = spoken(words.in_full)
in_truth = spoken(words.in_truth)
in_unit = spoken(words.in_unit)
judgements = spoken(words.judgements)
placebos = spoken(words.placebos)
pretrend = spoken(words.pretrend)
redraws = spoken(words.redraws)
slowed = spoken(words.slowed)
smallest_seen = spoken(words.smallest_seen)
still_open = spoken(words.still_open)
judged_so = spoken(words.judged_so)
sales_lost = spoken(words.sales_lost)
share_by_place = spoken(words.share_by_place)
surely = spoken(words.surely)
text = spoken(words.text)
tried_out = spoken(words.tried_out)
truths_inside = spoken(words.truths_inside)
turning_point = spoken(words.turning_point)
we_do_not_know = spoken(words.we_do_not_know)
we_know = spoken(words.we_know)
what_it_holds = spoken(words.what_it_holds)
where_found = spoken(words.where_found)
would_settle = spoken(words.would_settle)
