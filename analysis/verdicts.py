"""From a claim and an estimate to one of four words, by fixed rules.

The rules depend on the kind of claim, never on its content. A bound or an identified set stands in
for a confidence interval and is called so. Confidence is separate from the word.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from numbers import Real
from pathlib import Path
from typing import Any

from analysis import facts
from analysis.errors import DataError, DesignError

SUPPORTED = "Supported"
CONTRADICTED = "Contradicted"
NOT_SHOWN = "Not shown"
NOT_TESTABLE = "Not testable with this data"
WORDS = (SUPPORTED, CONTRADICTED, NOT_SHOWN, NOT_TESTABLE)
CONFIDENCE = ("high", "moderate", "low")
TIERS = ("facts", "listed", "panel", "sim")
PROVENANCE = ("real", "estimate", "simulated")
SAME_COUNT = 0.10  # two counts of one thing agree when they differ by at most this share

Interval = tuple[float, float]


@dataclass(frozen=True)
class Verdict:
    """What the data say of one claim in one reading.

    Attributes
    ----------
    claim, reading : str
        Id in claims.csv, and which reading of it (``"V2"``); empty where there is one.
    statement, claimant : str
        The claim in words and who made it.
    word, confidence : str
        One of `WORDS`; high, moderate or low.
    estimand, unit, window, n : str
        What was estimated, in which unit, over which time, from how many of what.
    estimate, low, high, margin : float or None
        Point and interval in `unit`, and the margin it is held against; None where there is none.
    claimed : float or None
        The claimant's own figure, which is no finding.
    interval : str
        Kind of interval: ``"permutation interval"``, ``"identified set"``, ``"published readings"``.
    tier, provenance : str
        Data tier, and whether the numbers are real, estimated or simulated.
    why, change : str
        The reason in a sentence, and what would change the word.
    as_of, notebook, inputs : str
        Date of knowledge, who judged, and a digest of the data it read.
    report : str
        Name of the report of a run, stamped by the runner.
    """

    claim: str
    statement: str
    claimant: str
    word: str
    confidence: str
    tier: str
    provenance: str
    why: str
    change: str
    reading: str = ""
    estimand: str = ""
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    claimed: float | None = None
    interval: str = ""
    margin: float | None = None
    unit: str = ""
    window: str = ""
    n: str = ""
    as_of: str = ""
    notebook: str = ""
    inputs: str = ""
    report: str = ""

    @property
    def name(self) -> str:
        """Claim and reading, as tables call it: ``"C01 V2"``."""
        return f"{self.claim} {self.reading}".strip()

    def __post_init__(self) -> None:
        """Refuse words outside the vocabulary, a word from a simulated market, and numbers that are none."""
        for name, allowed in (
            ("word", WORDS),
            ("confidence", CONFIDENCE),
            ("tier", TIERS),
            ("provenance", PROVENANCE),
        ):
            if getattr(self, name) not in allowed:
                raise DesignError(
                    f"a verdict on {self.claim} was asked for; its {name} is {getattr(self, name)!r}; "
                    f"use one of {allowed}"
                )
        if self.tier == "sim" or self.provenance == "simulated":
            raise DesignError(
                f"a verdict on {self.claim} was asked for; its numbers are simulated; "
                "only facts, listed and panel data give a claim its word"
            )
        for name in ("estimate", "low", "high", "claimed", "margin"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, Real) or math.isnan(value)):
                raise DesignError(
                    f"a verdict on {self.claim} was asked for; its {name} is {value!r}; give a number, or None for none"
                )
        if self.low is not None and self.high is not None and self.low > self.high:
            raise DesignError(
                f"a verdict on {self.claim} was asked for; its interval runs from {self.low} to {self.high}; swap them"
            )


def _finite(name: str, *values: Any) -> None:
    """Refuse numbers that would pass through a comparison as if they had been judged."""
    for value in values:
        if not isinstance(value, Real) or not math.isfinite(value):
            raise DesignError(
                f"a word was asked for; {name} is {value!r}; give finite numbers, or None where there is no estimate"
            )


def _interval(interval: Interval) -> Interval:
    """Refuse an interval that holds no number; an end may be infinite, for a bound on one side."""
    low, high = interval
    if not low <= high or low == math.inf or high == -math.inf:  # the first comparison is false for NaN
        raise DesignError(
            f"a word was asked for; the interval runs from {low} to {high}; give two numbers, the lower first, "
            "or None where there is no estimate"
        )
    return low, high


def _margin(margin: float) -> float:
    _finite("the margin", margin)
    if margin < 0:
        raise DesignError(f"a word was asked for; the margin is {margin}; give it as a positive number")
    return margin


def not_lower(interval: Interval | None, margin: float) -> str:
    """Judge "did no harm": supported above ``-margin``, contradicted below it.

    `interval` and `margin` share one unit; None means that there is no estimate or bound. As in every rule, a NaN
    is a DesignError.
    """
    margin = _margin(margin)
    if interval is None:
        return NOT_TESTABLE
    low, high = _interval(interval)
    return SUPPORTED if low > -margin else CONTRADICTED if high < -margin else NOT_SHOWN


def unchanged(interval: Interval | None, margin: float) -> str:
    """Judge "unchanged": supported inside ``±margin``, contradicted outside it."""
    margin = _margin(margin)
    if interval is None:
        return NOT_TESTABLE
    low, high = _interval(interval)
    if -margin < low and high < margin:
        return SUPPORTED
    return CONTRADICTED if high < -margin or low > margin else NOT_SHOWN


def direction(interval: Interval | None) -> str:
    """Judge "more of it": supported when the interval lies above zero."""
    if interval is None:
        return NOT_TESTABLE
    low, high = _interval(interval)
    return SUPPORTED if low > 0 else CONTRADICTED if high < 0 else NOT_SHOWN


def stayed_positive(readings: Sequence[float]) -> str:
    """Judge "growth stayed positive" from every published reading of it, in any one unit."""
    if not readings:
        return NOT_TESTABLE
    _finite("a reading", *readings)
    return direction((min(readings), max(readings)))


def count(claimed: float | None, independent: Iterable[float]) -> str:
    """Judge a count against independent sources with the same definition.

    Parameters
    ----------
    claimed : float or None
        The claimant's figure, positive; None where the claim names no number.
    independent : iterable of float
        Figures of others for the same thing by the same definition.

    Returns
    -------
    str
        Supported within 10 per cent of one of them, contradicted further off from all, not shown where
        only the claimant's figure exists or the definitions differ, not testable without a figure.

    Raises
    ------
    DesignError
        If a figure is not finite, or the claimed one not positive.
    """
    figures = list(independent)
    _finite("an independent count", *figures)
    if claimed is None:
        return NOT_TESTABLE
    _finite("the claimed count", claimed)
    if claimed <= 0:
        raise DesignError(f"a word was asked for; the claimed count is {claimed}; give a positive one, or None")
    if not figures:
        return NOT_SHOWN
    gaps = [abs(figure - claimed) for figure in figures]
    return SUPPORTED if min(gaps) <= SAME_COUNT * claimed else CONTRADICTED


def documented(found: Sequence[bool]) -> str:
    """Judge "these firms were hit" or "this sum was frozen" from filings that say so, one entry per part.

    Supported when a filing, prospectus or two independent reports bear out every part of the claim.
    """
    if not found:
        return NOT_TESTABLE
    if odd := [value for value in found if value not in (True, False)]:
        raise DesignError(f"a word was asked for; on record or not is {odd[0]!r}; give true or false for each part")
    return SUPPORTED if all(found) else NOT_SHOWN


def _clean(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write(
    verdicts: Sequence[Verdict], path: str | Path, *, as_of: str, notebook: str, resources: Sequence[str]
) -> None:
    """Write a notebook's verdicts as a JSON list, whole or not at all.

    Parameters
    ----------
    verdicts : sequence of Verdict
        In the order in which they are shown.
    path : path
        The file; its folder is made when missing.
    as_of, notebook : str
        Stamped on each verdict: date of knowledge, and who judged.
    resources : sequence of str
        Names of the files that were read, after datapackage.json; their digest is stamped too.
    """
    inputs = hashlib.sha256("".join(facts.digest(name) for name in sorted(resources)).encode()).hexdigest()
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    stamped = [asdict(replace(verdict, as_of=as_of, notebook=notebook, inputs=inputs)) for verdict in verdicts]
    rows = [{name: _clean(value) for name, value in row.items()} for row in stamped]
    draft = target.with_name(f".{target.name}.tmp")
    draft.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(draft, target)


def read(folder: str | Path) -> list[Verdict]:
    """Read all verdicts of a run: of a published folder its verdicts.json, else every file, in the order of names.

    Raises
    ------
    DataError
        If there are none, a file is not a list of verdicts, or they were made at different dates of knowledge.
    """
    whole = Path(folder) / "verdicts.json"
    files = [whole] if whole.exists() else sorted(Path(folder).glob("*.json"))
    if not files:
        raise DataError(f"the verdicts of a run were asked for; {folder} holds none; run make report first")
    names = {field.name for field in fields(Verdict)}
    needed = {field.name for field in fields(Verdict) if field.default is MISSING}
    found = []
    for file in files:
        try:
            rows = json.loads(file.read_text(encoding="utf-8"))
        except json.JSONDecodeError as broken:
            raise DataError(
                f"{file.name}: a list of verdicts was asked for; found no JSON ({broken}); run the notebook again"
            ) from broken
        if not isinstance(rows, list) or any(not isinstance(row, dict) for row in rows):
            raise DataError(
                f"{file.name}: a list of verdicts was asked for; found something else; run the notebook again"
            )
        for row in rows:
            if unknown := sorted(set(row) - names):
                raise DataError(
                    f"{file.name}: a verdict was asked for; found unknown keys {unknown}; run the notebook again"
                )
            if absent := sorted(needed - set(row)):
                raise DataError(f"{file.name}: a verdict was asked for; it lacks {absent}; run the notebook again")
            found.append(Verdict(**row))
    if len(dates := sorted({verdict.as_of for verdict in found})) > 1:
        raise DataError(f"{folder}: the verdicts of one run were asked for; found dates {dates}; run make report again")
    return found


def party(claimant: str) -> str:
    """Return who spoke, without the person in brackets: "Amazon (Cindy Tai)" is Amazon."""
    return claimant.split(" (", maxsplit=1)[0]


def unjudged(verdicts: Sequence[Verdict]) -> list[str]:
    """Return the readings of readings.csv for which there is no verdict."""
    ledger = facts.load("readings")
    known = (ledger["claim_id"] + " " + ledger["reading"].fillna("")).str.strip()
    judged = {verdict.name for verdict in verdicts}
    return [name for name in known if name not in judged]


def tally(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """Count the verdicts by word, in the order of `WORDS`."""
    return {word: sum(verdict.word == word for verdict in verdicts) for word in WORDS}
