"""Judge claims by rules that depend on the kind of claim and never on its content.

A verdict is one of four words (`WORDS`). Confidence in it is separate and has its own rule
(:func:`confidence`). A simulated market cannot decide a claim: its result is shown separately, as
"In the simulated market (closures, seed): ...". The same applies to the result of an
unrepresentative panel on totals.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from fewtreated.errors import DataError, DesignError
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from analysis import data

if TYPE_CHECKING:
    from analysis.event import Event

Word = Literal["Supported", "Contradicted", "Not shown", "Not testable"]
Level = Literal["", "high", "moderate", "low"]
Tier = Literal["facts", "listed", "households", "panel", "sim"]
Grade = Literal["", "usable", "usable with bounds", "do not use"]
WORDS: tuple[Word, ...] = get_args(Word)
SUPPORTED, CONTRADICTED, NOT_SHOWN, NOT_TESTABLE = WORDS
DECIDED = (SUPPORTED, CONTRADICTED)  # verdicts that can have a confidence
MEANING: dict[Word, str] = {
    SUPPORTED: "The evidence fits the claim and not its opposite.",
    CONTRADICTED: "The evidence fits the opposite of the claim and not the claim.",
    NOT_SHOWN: "The evidence fits the claim and its opposite, or only the claimant gives a figure.",
    NOT_TESTABLE: "We found no figure that tests the claim, not even the claimant's own.",
}
"""The one definition of each word; whatever prints a definition prints this."""
CONFIDENCE: tuple[Level, ...] = get_args(Level)[1:]
TIERS: tuple[Tier, ...] = get_args(Tier)
ESTIMATED = TIERS[
    TIERS.index("households") :
]  # our own estimates from observations, with a grade and standard errors
GRADES: tuple[Grade, ...] = get_args(Grade)
_, USABLE, WITH_BOUNDS, DO_NOT_USE = GRADES
NOT_GRADED = "not graded"  # instead of a grade; a colon and a reason may follow
SAME_COUNT = 0.10  # relative difference up to which two numbers agree
AS_LARGE = 1.0  # breakdown value at which a finding survives a drift as large as the largest before
EXACT = 1e-9  # relative width below which an interval is only rounding

Interval = tuple[float, float]


def _published(value: float) -> float | str:
    """Round a number to 12 digits for JSON, or convert infinity to text.

    Results differ between processors beyond 12 digits, and JSON has no infinity.
    """
    if math.isinf(value):
        return str(value)
    return float(f"{value:.12g}")


_ROUNDED = PlainSerializer(_published, when_used="json-unless-none")
Number = Annotated[float, Field(allow_inf_nan=False), _ROUNDED]
Limit = Annotated[float, Field(ge=-math.inf), _ROUNDED]  # no NaN


class Verdict(BaseModel):
    """Verdict on one reading of a claim.

    Attributes
    ----------
    claim, reading : str
        Id in claims.csv, and the reading (``"V2"``), empty if the claim has only one.
    statement, claimant : str
        The claim as a sentence, and its author.
    word, confidence : str
        One of `WORDS`, and high, moderate or low; empty for a word that decides nothing.
    estimand, unit, window, n : str
        Estimand, unit, period, and a description of the sample size.
    estimate, low, high, margin : float or None
        Point estimate, interval and the margin to compare it with, in `unit`.
    claimed : float or None
        The claimant's own figure, which is not a finding.
    found : str
        The finding in words, in one or more lines, where the interval alone would mislead; else
        empty.
    interval : str
        Kind of interval: ``"permutation interval"``, ``"bounds"``, ``"published readings"``.
    tier, provenance : str
        Data tier, and whether the numbers are real, estimated or simulated.
    market : str
        Description of the simulated market (its closures and seed, or the panel's file); empty for
        real numbers.
    aside : str
        Restriction to certain firms if the panel is not representative, so that it decides nothing;
        else empty.
    grade : str
        Grade of the estimator in the design audit; empty if it has none.
    why, change, detail : str
        The reason for the verdict, what would change it, and the numbers behind it (for the brief),
        as sentences.
    as_of, notebook, inputs : str
        Date of the information used, the judging notebook, and a digest of the data that it read.
    panel : str
        Digest of the panel used; empty for public figures.
    report : str
        Name of the report in a run, set by the runner.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    claim: str
    statement: str
    claimant: str
    word: Word
    confidence: Level
    tier: Tier
    provenance: Literal["real", "estimate", "simulated"]
    why: str
    change: str
    reading: str = ""
    estimand: str = ""
    estimate: Number | None = None
    low: Limit | None = None
    high: Limit | None = None
    claimed: Number | None = None
    found: str = ""
    interval: str = ""
    margin: Number | None = None
    unit: str = ""
    window: str = ""
    n: str = ""
    as_of: str = ""
    notebook: str = ""
    inputs: str = ""
    panel: str = ""
    report: str = ""
    market: str = ""
    aside: str = ""
    grade: Grade = ""
    detail: str = ""

    @property
    def name(self) -> str:
        """Claim and reading as printed in tables, such as ``"C01 V2"``."""
        return f"{self.claim} {self.reading}".strip()

    @property
    def party(self) -> str:
        """Claimant without the person in brackets.

        It is "Amazon" for "Amazon (vice-president Cindy Tai)".
        """
        return self.claimant.partition(" (")[0]

    @property
    def simulated(self) -> bool:
        """True if the verdict is about a simulated market.

        Such a verdict cannot decide the claim.
        """
        return self.provenance == "simulated"

    @property
    def meaning(self) -> str:
        """Meaning of the verdict, in the conditional for a simulated market."""
        if self.word == NOT_TESTABLE and self.low is not None:
            return f"What is found {'would' if self.simulated else 'does'} not test the claim."
        if self.simulated:  # in a simulated market the truth is known
            return (
                MEANING[self.word]
                .replace("fits", "would fit")
                .replace("We found", "There would be")
            )
        return MEANING[self.word]

    @property
    def apart(self) -> str:
        """Phrase that restricts the verdict to a simulated market or a panel's firms.

        It is an empty string if there is no restriction.
        """
        from analysis.simulated import (
            condition,
        )  # imported late, since it reads a table that few verdicts need

        if self.simulated:
            return condition(self.market)
        return self.aside

    def _repr_markdown_(self) -> str:
        """Show the verdict in a notebook: its word, the claim, and the reason."""
        return f"**{self.said}**: {self.statement} {self.why}"

    @property
    def said(self) -> str:
        """The verdict's word, preceded by any restriction from `apart`."""
        return f"{self.apart} {self.word}".strip()

    @model_validator(mode="after")
    def _fits(self) -> Verdict:
        if self.simulated != bool(self.market) or (self.tier == "sim" and not self.simulated):
            stamps = (
                f"its tier is {self.tier!r}, its provenance {self.provenance!r} and its market"
                f" {self.market!r}"
            )
            remedy = (
                "set market if and only if the numbers are simulated, as they always are in"
                " tier sim"
            )
            raise ValueError(f"{self.name}: {stamps}; {remedy}")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(
                f"{self.name}: its interval runs from {self.low} to {self.high}; swap the limits"
            )
        return self


def of_sweep(report: str) -> bool:
    """Return whether a report's name marks it as part of a parameter sweep.

    >>> names = ("panel_03_growth__seed-2", "02_growth__share-0-5", "simulated/panel_03_growth")
    >>> [of_sweep(name) for name in names]
    [True, True, False]
    """
    return "__" in report


def faults(error: ValidationError) -> str:
    """Format the faults in an invalid verdict, each with its key, rule and value."""
    return "; ".join(
        (
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}, found {fault['input']!r:.60}"
            if fault["type"] != "value_error"
            else fault["msg"].removeprefix("Value error, ")
        )
        for fault in error.errors()
    )


# The rules. None means no estimate or bound; a bound or an identified set serves as an interval.
# NaN is rejected, as it would pass through a comparison as if it had been judged.


def not_lower(interval: Interval | None, margin: float) -> Word:
    """Judge a claim that something did no harm.

    Supported if the interval lies above ``-margin``, contradicted if it lies below.
    """
    if not 0 <= margin < math.inf:
        raise DesignError(
            f"Cannot judge the claim: the margin is {margin}; set it to a finite number of at"
            " least 0"
        )
    if interval is None:
        return NOT_TESTABLE
    low, high = interval
    if (
        not low <= high or low == math.inf or high == -math.inf
    ):  # the first comparison is false for NaN
        remedy = "pass two numbers, the lower first, or None if there is no estimate"
        raise DesignError(
            f"Cannot judge the claim: the interval runs from {low} to {high}; {remedy}"
        )
    if low > -margin:
        return SUPPORTED
    if high < -margin:
        return CONTRADICTED
    return NOT_SHOWN


def is_exact(interval: Interval) -> bool:
    """Return whether an interval has no width, up to rounding.

    Such an interval is invalid, since every estimate must have a standard error.
    """
    return interval[1] - interval[0] <= EXACT * max(map(abs, interval))


def unchanged(interval: Interval | None, margin: float) -> Word:
    """Judge a claim that something did not change.

    Supported if the interval lies inside ``±margin``, contradicted if it lies outside.
    """
    words = (
        not_lower(interval, margin),
        not_lower(None if interval is None else (-interval[1], -interval[0]), margin),
    )
    if CONTRADICTED in words:
        return CONTRADICTED
    if NOT_SHOWN in words:
        return NOT_SHOWN
    return words[0]


def direction(interval: Interval | None) -> Word:
    """Judge a claim of an increase.

    Supported if the interval lies above zero, contradicted if it lies below.
    """
    return not_lower(interval, 0.0)


def at_most(interval: Interval | None, margin: float) -> Word:
    """Judge a claim that something is small.

    Supported if the interval lies below `margin`, contradicted if it lies above.
    """
    return not_lower(None if interval is None else (-interval[1], -interval[0]), margin)


def stayed_positive(readings: Sequence[float]) -> Word:
    """Use all published readings of growth to judge a claim that it stayed positive.

    The readings have the same unit; they are infinite where a bound leaves one side open.
    """
    _finite("a reading", [reading for reading in readings if not math.isinf(reading)])
    return direction((min(readings), max(readings)) if readings else None)


def stated(claimed: float | None, independent: Sequence[float]) -> Word:
    """Judge a stated number against other parties' numbers under the same definition.

    The claim is supported if its number lies within 10 per cent of all of them, and contradicted if
    it is further from all. It is not shown if they disagree, or if there are none, and not testable
    if it contains no number.
    """
    _finite("an independent number", independent)
    if claimed is None:
        return NOT_TESTABLE
    if not 0 < claimed < math.inf:
        raise DesignError(
            f"Cannot judge the claim: its number is {claimed}; pass a positive number or None"
        )
    near = [abs(figure - claimed) <= SAME_COUNT * claimed for figure in independent]
    if not near or any(near) != all(near):
        return NOT_SHOWN
    if all(near):
        return SUPPORTED
    return CONTRADICTED


def documented(records: Sequence[bool]) -> Word:
    """Judge a claim that named firms were affected.

    Supported if filings, or reports by others than the claimant, confirm every part of the claim.
    """
    if odd := [value for value in records if value not in (True, False)]:
        raise DesignError(
            f"Cannot judge the claim: a record is {odd[0]!r}; pass True or False for each part"
        )
    if not records:
        return NOT_TESTABLE
    if all(records):
        return SUPPORTED
    return NOT_SHOWN


def _finite(name: str, values: Sequence[float]) -> None:
    if odd := [value for value in values if not math.isfinite(value)]:
        raise DesignError(f"Cannot judge the claim: {name} is {odd[0]}; pass finite numbers")


def confidence(grade: str, *, passed: bool | None = None, breakdown: float | None = None) -> Level:
    """Return the confidence in a verdict based on our own estimates.

    It is the lowest of three levels, for the grade, the check and the breakdown value:

    ========== ====================== ======================= ==========================
    level      grade of the audit     check of the design     breakdown value, if known
    ========== ====================== ======================= ==========================
    high       usable                 passed                  at least `AS_LARGE`
    moderate   usable with bounds,    none was possible,      below it
               or not graded          or none sharp enough
    low        do not use             failed                  none: zero is not excluded
    ========== ====================== ======================= ==========================

    Parameters
    ----------
    grade : str
        One of `GRADES`; empty if the audit did not grade the method.
    passed : bool or None
        True if the design's own check, such as a placebo year, shows no effect that matters, False
        if it shows one; None if there is no check, or if it is too weak to show either.
    breakdown : float or None
        Largest drift, as a multiple of the largest one before the closures, that the finding
        survives; NaN if it does not exclude zero even without drift; None if unknown, which sets no
        limit.
    """
    by_grade = {"usable": 0, "usable with bounds": 1, "": 1, "do not use": 2}[grade]
    by_check = {True: 0, None: 1, False: 2}[passed]
    if breakdown is None or breakdown >= AS_LARGE:
        by_breakdown = 0
    elif math.isnan(breakdown):
        by_breakdown = 2
    else:
        by_breakdown = 1
    return CONFIDENCE[max(by_grade, by_check, by_breakdown)]


def breakdown_value(interval: Interval, boundary: float, drift: float) -> float:
    """Return the drift that would move an interval to a boundary.

    It is in multiples of a placebo's drift.

    The direction of an earlier drift does not predict that of a later one, so only its size counts.
    The result is infinite if the placebo has no drift, and NaN if the interval contains the
    boundary, so that there is no finding.
    """
    distance = max(interval[0] - boundary, boundary - interval[1])
    if distance <= 0:
        return math.nan
    if drift:
        return distance / abs(drift)
    return math.inf


def as_rows(
    verdicts: Sequence[Verdict],
    *,
    as_of: str,
    notebook: str,
    resources: Sequence[str],
    digests: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Return verdicts as values that can be written as JSON, with what they were judged from.

    Parameters
    ----------
    verdicts : sequence of Verdict
        In the order in which they are shown.
    as_of, notebook : str
        Date of the information used, and the judging notebook.
    resources : sequence of str
        Names in datapackage.json of the files read; their digest becomes `inputs`.
    digests : sequence of str
        Digests of the panels read; joined, they become `panel`.
    """
    read = [data.card(name)["hash"].removeprefix("sha256:") for name in sorted(resources)]
    inputs = hashlib.sha256("".join([*read, *sorted(digests)]).encode()).hexdigest()
    stamp = {
        "as_of": as_of,
        "notebook": notebook,
        "inputs": inputs,
        "panel": " ".join(sorted(digests)),
    }
    return [verdict.model_copy(update=stamp).model_dump(mode="json") for verdict in verdicts]


def read_verdicts(folder: str | Path, claims: Collection[str] | None = None) -> list[Verdict]:
    """Read a run's verdicts.

    They are read from verdicts.json in a published folder, or else from each JSON file in order of
    name. Verdicts from a sweep are left out, since reports that differ in a parameter would judge a
    reading twice.

    Parameters
    ----------
    folder : path
    claims : collection of str, optional
        Claims to keep.

    Raises
    ------
    DataError
        If there are none, if a file is not a list of verdicts, if verdicts concern several
        simulated markets or several panels, or if one tier judges a reading twice. Their dates may
        differ, since a report that was not due is older than the others.
    """
    whole = Path(folder) / "verdicts.json"
    files = sorted(Path(folder).glob("*.json"))
    if whole.exists():
        files = [whole]
    if not files:
        raise DataError(
            f"Cannot read the verdicts of a run: {folder} contains none; run make report first"
        )
    found = [verdict for file in files for verdict in _listed_in(file)]
    verdicts = [verdict for verdict in found if not of_sweep(verdict.report)]
    of_panels = [verdict for verdict in verdicts if verdict.tier == "panel"]
    if nameless := [verdict.name for verdict in of_panels if not verdict.panel]:
        raise DataError(
            f"Cannot read {folder}: no panel is named for {', '.join(nameless)}; run the notebook"
            " again"
        )
    markets = {verdict.market for verdict in verdicts if verdict.simulated}
    _refuse_several(folder, "simulated markets", markets)
    panels = {verdict.panel[:12] for verdict in of_panels}
    _refuse_several(folder, "panels with the digests", panels)
    _refuse_twice(folder, verdicts)
    return [verdict for verdict in verdicts if claims is None or verdict.claim in claims]


def _listed_in(file: Path) -> list[Verdict]:
    """Return the verdicts in a file."""
    try:
        return TypeAdapter(list[Verdict]).validate_json(file.read_bytes())
    except ValidationError as error:
        raise DataError(
            f"Cannot read verdicts from {file.name}: {faults(error)}; run the notebook again"
        ) from error


def _refuse_several(folder: str | Path, what: str, names: set[str]) -> None:
    """Raise DataError if verdicts concern more than one of something."""
    if len(names) > 1:
        raise DataError(
            f"Cannot read {folder} as one run: found {what} {' and '.join(sorted(names))};"
            " run make report again, with one panel per folder"
        )


def _refuse_twice(folder: str | Path, verdicts: Sequence[Verdict]) -> None:
    """Raise DataError if one tier judges a reading twice."""
    judged = Counter((verdict.name, verdict.tier) for verdict in verdicts)
    twice = [
        f"{n} verdicts on {name} in tier {tier}" for (name, tier), n in judged.items() if n > 1
    ]
    if twice:
        raise DataError(
            f"Cannot read {folder} as one run: found {', '.join(twice)}; remove the files of other"
            " runs, or judge each reading in one notebook"
        )


def _foremost(verdicts: Iterable[Verdict]) -> list[Verdict]:
    def rank(verdict: Verdict) -> tuple[bool, bool, int, str]:
        undecided = verdict.word == NOT_SHOWN and verdict.tier not in ("panel", "sim")
        return verdict.word == NOT_TESTABLE, undecided, -TIERS.index(verdict.tier), verdict.notebook

    chosen: dict[tuple[str, str], Verdict] = {}
    for verdict in sorted(verdicts, key=rank):
        chosen.setdefault((verdict.claim, verdict.reading), verdict)
    return [chosen[key] for key in sorted(chosen)]


def best(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return the verdict that takes precedence for each reading, sorted by claim.

    A panel takes precedence over household purchases, these over listed firms, and these over
    public facts. But "not testable" with one kind of data never displaces a test with another, nor
    does "not shown" without a panel displace a decision by other data, since each covers only a
    part. Among equals the first notebook counts. Verdicts that are shown separately, or belong to a
    sweep, are left out.
    """
    return _foremost(
        verdict for verdict in verdicts if not verdict.apart and not of_sweep(verdict.report)
    )


def apart(verdicts: Sequence[Verdict]) -> dict[str, dict[str, Verdict]]:
    """Return the verdicts to be shown separately, by subject and reading.

    Precedence is as in :func:`best`.
    """
    return {
        about: {
            chosen.name: chosen
            for chosen in _foremost(each for each in verdicts if each.apart == about)
        }
        for about in sorted({verdict.apart for verdict in verdicts} - {""})
    }


def unjudged(verdicts: Sequence[Verdict], event: Event) -> list[str]:
    """Return the readings of an event's claims that have no verdict.

    Verdicts that are shown separately do not count. A claim without readings is listed by its id.
    """
    ledger = event.register("readings")
    readings = [
        *zip(ledger["claim_id"], ledger["reading"].fillna(""), strict=True),
        *event.asked.values(),
    ]
    judged = {verdict.name for verdict in verdicts if not verdict.apart}
    names = [
        [" ".join(row).strip() for row in readings if row[0] == claim] or [claim]
        for claim in event.claims
    ]
    return [name for name in dict.fromkeys(chain(*names)) if name not in judged]


def displaced_verdicts(verdicts: Sequence[Verdict]) -> dict[str, list[Verdict]]:
    """Return the public verdicts displaced by those from households or a panel, by reading."""
    public = [verdict for verdict in verdicts if verdict.tier in ("facts", "listed")]
    displaced = [
        verdict.name for verdict in best(verdicts) if verdict.tier in ("households", "panel")
    ]
    return {name: [verdict for verdict in public if verdict.name == name] for name in displaced}
