"""Claims, their readings, and the verdict on each reading.

The module also loads published counts of accounts, the register of threats and the timeline of
closures.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pandas as pd
from fewtreated.errors import DesignError
from pydantic import ValidationError

from analysis import data, series
from analysis.estimate import OF_CENSUS
from analysis.event import Event, read_event
from analysis.evidence import sources, verdicts
from analysis.evidence.sources import Admitted, Published
from analysis.evidence.verdicts import Interval, Verdict

NOTHING_ADMITTED = Admitted()
OURS = "Our question"  # by whom a reading is asked that nobody claimed, in readings.csv
RULE = ["kind", "about", "quantity", "unit", "totals", "confidence", "change", "notebook"]
"""What a claim in an event's own file has of the reading whose question it answers."""
QUOTED = re.compile("“.*”")
INSERTED = re.compile(r" \[.*?\]")  # words that a newspaper put into a quotation
ONLY_OWN = "Only {} gives a figure."
ONLY_OTHERS = "Others' figures are of another quantity."
RESTING = "Our own range rests on a figure of {}."
AFTERMATH = ("legal_action", "recovery")  # events on the timeline that came of the closures
ONLY_PRODUCTS = "Others' figures on it are products of two sources, which give no word."


def readings(claims: Collection[str] | None = None, event: Event | None = None) -> pd.DataFrame:
    """Return the ledger of claims, with one row per reading.

    Each row has the columns of the claim and of its test; its `statement` ends with what is not
    judged of the words of the claim. All claims of the event that is studied are included by
    default. Readings of the claims in an event's own file are tested by the same rules as those
    that answer the same questions about the event that ships.
    """
    load = event.register if event else partial(data.load, event=data.studied() or data.SHIPPED)
    ledger = load("readings").merge(load("claims"), on="claim_id", how="left", validate="m:1")
    ledger["claimant"] = ledger.pop("asked_by").fillna(ledger["claimant"])
    ledger["statement"] += (" Not judged: " + ledger["omits"] + ".").fillna("")
    if event and event.own:
        asked = read_event(data.SHIPPED).readings
        rules = data.load("readings", event=data.SHIPPED).fillna({"reading": ""})
        rows = rules.set_index(["claim_id", "reading"])[RULE]
        extra = [
            rows.loc[asked[question]].to_dict()
            | {"claim_id": claim, "reading": reading, "estimand": question}
            | {
                "statement": event.own[claim].readings[question],
                "claimant": event.own[claim].claimant,
            }
            for question, (claim, reading) in event.asked.items()
        ]
        ledger = pd.concat([ledger, pd.DataFrame(extra)], ignore_index=True)
    if claims is None:
        return ledger
    return ledger[ledger["claim_id"].isin([*claims])].reset_index(drop=True)


@dataclass(frozen=True)
class Finding:
    """Evidence on one reading of a claim, from which a rule derives the verdict.

    Attributes
    ----------
    interval : (low, high) or None
        Our own estimate, for the kinds not_lower, unchanged, at_most, direction, fell and positive,
        in the reading's unit; `kind` names the interval's type.
    rests_on : sequence of str
        Whose figures set an end of the interval. If one is the claimant's, the interval is not
        counted.
    margin : float or None
        In the same unit, set in advance.
    published : sequence of Published
        What is published on the claim, with who says it, the claimant's own word included: which of
        it counts is decided here and nowhere else. Their range replaces the interval. For the kind
        documented, the records.
    parts : sequence of str
        For the kind documented: the parts of the claim, such as the firms that it names.
    claimed : float or None
        For the kind stated: the claimant's number, which is shown; with an estimate, the number of
        parts claimed.
    admitted : Admitted
        What the claim admits of `published`, set by :func:`judge`.
    estimate, window, n, tier, provenance, market, grade
        As in `Verdict`.
    unit : str
        Unit of interval and estimate, if not the reading's own.
    passed : bool or None
        For a panel: whether the placebo found nothing.
    drift : float or None
        For a panel and the kind not_lower: the placebo estimate, in the reading's unit.
    graded : str
        Description of the panels behind the grade; the grade "do not use" rules out a verdict.
    aside : str
        Restriction to the firms of an unrepresentative panel, which cannot decide a claim about
        totals.
    gaps : str
        Why a panel with too many gaps cannot decide a claim about totals.
    doubts : str
        Names of what is doubtful in a panel, on which the estimate rests; confidence is then low.
    estimand, change : str
        Only if they differ from those of the reading.
    detail, found : str
        As in `Verdict`.
    """

    interval: Interval | None = None
    rests_on: Sequence[str] = ()
    kind: str = ""
    margin: float | None = None
    published: Sequence[Published] = ()
    parts: Sequence[str] = ()
    claimed: float | None = None
    admitted: Admitted = NOTHING_ADMITTED
    estimate: float | None = None
    unit: str = ""
    window: str = ""
    n: str = ""
    tier: str = "facts"
    provenance: str = "real"
    market: str = ""
    grade: str = ""
    graded: str = ""
    passed: bool | None = None
    drift: float | None = None
    aside: str = ""
    gaps: str = ""
    doubts: str = ""
    estimand: str = ""
    change: str = ""
    detail: str = ""
    found: str = ""

    def admitting(self, *, claimant: str, said: str, about: str, quantity: str) -> Finding:
        """Return the evidence without the word of the claimant or its agents.

        What the claim admits is described in :func:`analysis.evidence.sources.admitted_figures`.
        """
        admitted = sources.admitted_figures(
            self.published, claimant=claimant, said=said, about=about, quantity=quantity
        )
        if self.interval and any(sources.is_word_of(name, claimant) for name in self.rests_on):
            return replace(self, interval=None, admitted=replace(admitted, resting=True))
        return replace(self, admitted=admitted)

    @property
    def estimated(self) -> bool:
        """True if the finding rests on our own estimates from observed data."""
        return self.tier in verdicts.ESTIMATED

    @property
    def range(self) -> Interval | None:
        """Range of the figures that count if there are any, otherwise the interval."""
        figures = self.admitted.values
        if figures and not self.parts:
            return (min(figures), max(figures))
        return self.interval

    @property
    def wider_range(self) -> Interval | None:
        """Range of the figures that count and of the products of two sources."""
        every = self.admitted.all_values
        if self.admitted.figures and not self.parts:
            return (min(every), max(every))
        return self.interval

    @property
    def is_silent(self) -> bool:
        """True if nobody but the claimant gives a figure or record that counts."""
        return self.interval is None and not self.admitted.figures

    def word(self, kind: str) -> verdicts.Word:
        """Return the verdict under the rule for the given kind of claim.

        Products of two sources may take a word away, but never give one.
        """
        if kind == "untestable":
            return verdicts.NOT_TESTABLE
        if self.is_silent:
            is_stated = kind == "stated" and self.claimed is not None
            admitted = self.admitted
            is_spoken_of = (
                admitted.own
                or admitted.others
                or admitted.resting
                or admitted.products
                or is_stated
            )
            if is_spoken_of:
                return verdicts.NOT_SHOWN
            return verdicts.NOT_TESTABLE
        by_figures = self._by_rule(kind, self.range, self.admitted.values)
        with_products = self._by_rule(kind, self.wider_range, self.admitted.all_values)
        if by_figures == with_products:
            return by_figures
        return verdicts.NOT_SHOWN

    def _by_rule(self, kind: str, held: Interval | None, values: Sequence[float]) -> verdicts.Word:
        margin = self.margin or 0.0
        rules: dict[str, Callable[[], verdicts.Word]] = {
            "not_lower": lambda: verdicts.not_lower(held, margin),
            "unchanged": lambda: verdicts.unchanged(held, margin),
            "at_most": lambda: verdicts.at_most(held, margin),
            "direction": lambda: verdicts.direction(held),
            "fell": lambda: verdicts.direction(held and (-held[1], -held[0])),
            "positive": lambda: verdicts.stayed_positive(held or ()),
            "stated": lambda: verdicts.stated(self.claimed, values),
            "documented": lambda: verdicts.documented(self.admitted.documented(self.parts)),
        }
        return rules[kind]()

    def confidence(self, kind: str, word: str) -> verdicts.Level:
        """Return the confidence in a verdict based on our own estimates.

        It depends on the grade, the placebo and the drift that the finding survives, and is low if
        the data are doubtful.
        """
        if self.doubts:
            return verdicts.CONFIDENCE[-1]
        survived = None
        if (
            kind == "not_lower"
            and self.interval
            and self.drift is not None
            and word != verdicts.NOT_SHOWN
        ):
            survived = verdicts.breakdown_value(self.interval, -(self.margin or 0.0), self.drift)
        return verdicts.confidence(
            self.grade if self.range else "", passed=self.passed, breakdown=survived
        )

    def barred(self, totals: bool) -> str:
        """Return the reason why a panel cannot decide a reading, or an empty string if it can.

        `totals` is True for a reading about totals.
        """
        if not self.estimated:
            return ""
        if totals and self.aside:
            return (
                "This panel is not representative of the sellers that the claim is about, so it"
                " cannot decide a claim about totals; what it finds applies to its own firms."
            )
        if totals and self.gaps:
            return self.gaps
        if self.range and self.grade == verdicts.DO_NOT_USE:  # the audit grades estimates
            return f"The method is graded not to be used on data such as these: {self.graded}."
        if self.range and verdicts.is_exact(self.range) and self.kind != OF_CENSUS:
            return (
                "Its interval has no width: no error was found where there must be one, so nothing"
                " is tested."
            )
        return ""


NOTHING = Finding()  # for a claim that public figures cannot test
TAKEN = (
    "tier",
    "provenance",
    "market",
    "margin",
    "claimed",
    "estimate",
    "window",
    "n",
    "detail",
    "found",
)
"""Fields of a verdict that are those of its finding."""


def judge(
    claim: str, reading: str = "", finding: Finding = NOTHING, *, event: Event | None = None
) -> Verdict:
    """Judge one reading of a claim by the rule for its kind.

    This is the one place where the word of the claimant or its agents is set aside: it is shown and
    never counted, for every kind of claim and whoever speaks.

    ``readings.csv`` states the kind of each reading, and the confidence in verdicts from
    public figures. The confidence in a verdict from a panel or from households follows from its
    grade and checks (:func:`analysis.evidence.verdicts.confidence`).

    Parameters
    ----------
    claim, reading : str
        Ids in readings.csv, or the id of a claim in the event's own file.
    finding : Finding
        Evidence on the reading; none by default.
    event : Event, optional
        An event, which may have its own claims.

    Raises
    ------
    DesignError
        If the reading is unknown, a margin that its kind needs is missing, or the verdict is
        invalid.
    """
    row = _row_of(claim, reading, event)
    failure = f"Cannot judge {claim} {reading}".rstrip()
    if row["kind"] in ("not_lower", "unchanged", "at_most") and finding.margin is None:
        raise DesignError(f"{failure}: this kind of claim needs a margin; set one in the finding")
    asked = {name: row[name] for name in ("claimant", "about", "quantity")}
    finding = finding.admitting(said=row["date"], **asked)
    word = verdicts.NOT_TESTABLE
    if not finding.barred(row["totals"]):
        word = finding.word(row["kind"])
    try:
        return Verdict.model_validate(_fields(row, word, finding))
    except ValidationError as error:
        raise DesignError(f"{failure}: {verdicts.faults(error)}; correct the finding") from error


def _row_of(claim: str, reading: str, event: Event | None) -> pd.Series:
    """Return the row of a reading; raise DesignError if there is none."""
    ledger = readings(event=event).fillna({"reading": "", "unit": "", "date": "", "quantity": ""})
    rows = ledger[(ledger["claim_id"] == claim) & (ledger["reading"] == reading)]
    if len(rows) != 1:
        names = ", ".join((ledger["claim_id"] + " " + ledger["reading"]).str.strip())
        failure = f"Cannot judge {claim} {reading}".rstrip()
        raise DesignError(f"{failure}: readings.csv contains only {names}; choose one of these")
    return rows.iloc[0]


def _fields(row: pd.Series, word: verdicts.Word, finding: Finding) -> dict[str, Any]:
    """Return the fields of the verdict on a reading."""
    why, change = _reason(row, word, finding)
    low, high = finding.range or (None, None)
    fields: dict[str, Any] = {name: getattr(finding, name) for name in TAKEN}
    fields |= {"claim": row["claim_id"], "reading": row["reading"], "word": word}
    fields |= {"statement": row["statement"], "claimant": row["claimant"]}
    fields |= {"low": low, "high": high, "interval": _interval_kind(finding)}
    fields |= {"why": finding.barred(row["totals"]) or why, "change": finding.change or change}
    fields |= {"confidence": _confidence(row, word, finding), "grade": "", "aside": ""}
    if finding.range:
        fields["grade"] = finding.grade
    if row["totals"]:
        fields["aside"] = finding.aside
    of_reading = {name: getattr(finding, name) or row[name] for name in ("estimand", "unit")}
    return fields | of_reading


def _confidence(row: pd.Series, word: verdicts.Word, finding: Finding) -> str:
    """Return the confidence in a verdict: of the reading, or of our own estimate."""
    if word not in verdicts.DECIDED:
        return ""
    if finding.estimated:
        return finding.confidence(row["kind"], word)
    return str(row["confidence"])


def _interval_kind(finding: Finding) -> str:
    """Return the name of the interval's type, or an empty string."""
    if finding.kind:
        return finding.kind
    if finding.admitted.figures and finding.range:
        return "published readings"
    return ""


def placebo_check(placebo: pd.DataFrame, margin: float) -> dict[str, Any]:
    """Derive the fields `passed` and `drift` of a :class:`Finding` from a placebo test.

    The last row of `placebo` has its `estimate`, `conf_low` and `conf_high`. `passed` is True if
    the interval lies inside the margin, so that no effect that matters was found (an equivalence
    test; Dette, H. and Schumann, M. 2024, Testing for equivalence of pre-trends in
    difference-in-differences estimation, JBES 42, 1289-1301); otherwise False if it excludes zero,
    or None if it contains zero, as a weak placebo always does. `drift` is the estimate. Both fields
    are None if there is no interval.
    """
    row = placebo.iloc[-1]
    low = row["conf_low"]
    high = row["conf_high"]
    if pd.isna(low):
        return {"passed": None, "drift": None}
    inside = -margin < low and high < margin
    return {
        "passed": True if inside else None if low <= 0 <= high else False,
        "drift": float(row["estimate"]),
    }


def _reason(row: pd.Series, word: str, finding: Finding) -> tuple[str, str]:
    """Return the reason for a verdict, and the evidence that would change it."""
    if row["kind"] == "untestable":
        return f"It would take: {row['testable_quantity']}.", row["change"]
    rules = data.load("verdict_rules").set_index("kind")
    is_panel = finding.estimated
    # a panel has an interval
    if is_panel and row["kind"] == "positive":
        kind = "direction"
    else:
        kind = row["kind"]
    why = rules.loc[kind].get(word.lower().replace(" ", "_"), "There is no estimate or bound.")
    if finding.doubts and word in verdicts.DECIDED:
        why += f" Confidence is low, since the panel is doubtful ({finding.doubts})."
    if is_panel:
        return why, rules["panel_change"].fillna(row["change"])[row["kind"]]
    if word == verdicts.NOT_SHOWN and finding.is_silent:
        why = _silence(finding.admitted).format(row["claimant"].partition(" (")[0])
    return why if pd.isna(row["context"]) else f"{why} {row['context']}", row["change"]


def _silence(admitted: Admitted) -> str:
    """Return why nothing counts, with a place for the claimant's name."""
    if admitted.resting:
        return RESTING
    if admitted.products:
        return ONLY_PRODUCTS
    if admitted.own or not admitted.others:
        return ONLY_OWN
    return ONLY_OTHERS


def untestable(notebook: str, claims: Collection[str]) -> list[Verdict]:
    """Judge the claims in a notebook that no public figure can test."""
    return [
        *map(
            judge,
            readings(claims).query("notebook == @notebook and kind == 'untestable'")["claim_id"],
        )
    ]


def scored(judged: Sequence[Verdict]) -> pd.DataFrame:
    """Return who said what, and the verdict on it, by speaker and date.

    Parameters
    ----------
    judged : sequence of Verdict
        One verdict on each reading, as from :func:`analysis.evidence.verdicts.best`.

    Returns
    -------
    DataFrame
        One row per verdict: `name` of the reading, `speaker`, `party`, `date`; `quoted`, the words
        reported of the claim, empty if it is in our words; `reads`, how we read it; `omits`, what
        this leaves out; `short`, `kind`; `word` and `confidence`; `why`, one sentence; and
        `change`, what would change the verdict.
    """
    ledger = readings().fillna({"reading": "", "omits": "", "date": ""})
    ledger.index = pd.Index((ledger["claim_id"] + " " + ledger["reading"]).str.strip())
    told = pd.DataFrame(
        {
            "word": one.word,
            "confidence": one.confidence,
            "party": one.party,
            "why": _briefly(one),
            "panel_change": one.change if one.tier == "panel" else None,
        }
        for one in judged
    )
    told.index = pd.Index([one.name for one in judged], name="name")
    rows = told.join(ledger[["claim", "statement", "omits", "short", "kind", "date", "change"]])
    quoted = rows["claim"].str.extract(f"({QUOTED.pattern})", expand=False).fillna("")
    rows["quoted"] = quoted.str.replace(INSERTED, "", regex=True)
    rows["reads"] = rows["statement"].str.partition(" Not judged: ")[0]
    rows["change"] = rows["panel_change"].fillna(rows["change"])
    speakers = {**read_event(data.studied()).speakers, OURS: OURS}
    order = {speaker: place for place, speaker in enumerate(speakers.values())}
    rows["speaker"] = rows["party"].map(speakers).fillna(rows["party"])
    rows["place"] = rows["speaker"].map(order)
    rows = rows.reset_index().sort_values(["place", "date", "name"], ignore_index=True)
    return rows.drop(columns=["claim", "statement", "panel_change", "place"])


def _briefly(verdict: Verdict) -> str:
    """Return the reason for a verdict in one sentence, without the name of the speaker."""
    if verdict.word == verdicts.NOT_TESTABLE:
        return "We found no figure."
    if verdict.why.startswith(ONLY_OWN.format(verdict.party)):
        return "Only the speaker’s figure."
    return verdict.why.partition(". ")[0].rstrip(".") + "."


def days_of_periods(text: pd.Series, *, last: bool = False) -> pd.Series:
    """Convert periods to their first or last days.

    Each value of `text` is a year, a month (``2021-05``) or a day.
    """
    periods = [pd.Period(value, freq={4: "Y", 7: "M", 10: "D"}[len(value)]) for value in text]
    ends = [(period.end_time if last else period.start_time).normalize() for period in periods]
    return pd.Series(pd.DatetimeIndex(ends), index=text.index)


def counts() -> pd.DataFrame:
    """Return published counts of closed or affected accounts, stores or sellers.

    They are in order of publication.

    Returns
    -------
    DataFrame
        `event_id`, `date`, `counted_by`, `value`, `what` (the unit as published), `definition`,
        `bound` and the source, for each count defined in counts.csv.
    """
    frame = series.qualified_rows("events").merge(
        data.load("counts"), on="event_id", validate="1:1", suffixes=("_row", "")
    )
    frame = frame.rename(columns={"quantity": "value", "unit": "what"})
    frame["date"] = frame["source_date"].fillna(frame["date"])
    columns = ["event_id", "date", "counted_by", "value", "what", "definition", "bound"]
    columns += ["publisher", "source_publisher", "source_date", "source_url"]
    return frame[columns].sort_values(["date", "value"], ignore_index=True)


def counts_for_claim(claim: str, reading: str = "") -> tuple[pd.Series, list[Published]]:
    """Return the claimant's count for a claim, and all counts under the same definition.

    The latter come with who made them.
    """
    ledger = readings([claim]).fillna({"reading": ""}).query("reading == @reading").iloc[0]
    same = counts().query("definition == @ledger.counted")
    own = same[[sources.is_word_of(by, ledger["claimant"]) for by in same["counted_by"]]]
    figures = same.assign(by=same["counted_by"], low=same["value"], high=same["value"])
    return own.iloc[-1], sources.as_published(figures)


def threat_register(event: Event | None = None) -> pd.DataFrame:
    """Return the register of threats with their dates.

    The columns are those of the file, the `first` and `last` day, and `months` as text. For an
    event, return its own threats, which have no dates, or else the rows of the register that it
    lists.
    """
    frame = event.register("threats") if event else data.load("threats")
    frame = frame.assign(
        first=days_of_periods(frame["first_day"]),
        last=days_of_periods(frame["last_day"], last=True),
    )
    first = frame["first"].dt.strftime
    last = frame["last"].dt.strftime
    begins = first("%d %b %Y").where(frame["precision"] == "day", first("%b %Y"))
    frame = frame.assign(
        months=begins + (" to " + last("%b %Y")).where(frame["last_day"] != frame["first_day"], "")
    )
    if event is None:
        return frame
    own = _own_threats(event)
    if len(own):
        return own
    return frame[frame["threat_id"].isin([*event.threats])]


def _own_threats(event: Event) -> pd.DataFrame:
    """Return the threats in an event's own file."""
    return pd.DataFrame(
        {
            "threat_id": name,
            "months": threat.when,
            "event": threat.what,
            "hits": threat.hits,
            "threatens": threat.threatens,
        }
        for name, threat in event.threats.items()
        if threat
    )


def closure_timeline(*, aftermath: bool = False) -> pd.DataFrame:
    """Return the timeline of closures and related events, to Amazon's count of them.

    Adds the columns `first`, `last` (days), `term` (a label) and `strong`, which is True for a
    closure. With the `aftermath`, it goes on with what came of it.
    """
    frame = data.load("closure_timeline").merge(
        series.qualified_rows("events"), on="event_id", validate="1:1"
    )
    if not aftermath:
        frame = frame[~frame["event_type"].isin(AFTERMATH)].reset_index(drop=True)
    days = pd.to_datetime(frame["day"])
    strong = frame["event_type"].isin(["brand_closure", "seller_disclosure"])
    return frame.assign(
        first=days, last=days, term=frame["when"] + ": " + frame["says"], strong=strong
    )
