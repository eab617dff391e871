"""Claims, readings, counts and threats: the ledger, and the verdict on one line of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis import facts, verdicts
from analysis.errors import DesignError
from analysis.verdicts import Interval, Verdict, party

PANEL_TIERS = ("panel", "sim")  # what readings.csv says of the public figures is no context of theirs

# The rule of each kind in a sentence, by the word it gives; data/readings.csv adds what is particular to a reading.
BECAUSE = {
    ("positive", verdicts.SUPPORTED): "Every published reading is above zero.",
    ("positive", verdicts.CONTRADICTED): "Every published reading is below zero.",
    ("positive", verdicts.NOT_SHOWN): "Published readings lie on both sides of zero.",
    ("not_lower", verdicts.SUPPORTED): "Even the lower end lies above the margin.",
    ("not_lower", verdicts.CONTRADICTED): "Even the upper end lies below the margin.",
    ("not_lower", verdicts.NOT_SHOWN): "The range holds both harm beyond the margin and none.",
    ("unchanged", verdicts.SUPPORTED): "The whole range lies inside the margin.",
    ("unchanged", verdicts.CONTRADICTED): "The whole range lies outside the margin.",
    ("unchanged", verdicts.NOT_SHOWN): "The range holds changes inside and beyond the margin.",
    ("fell", verdicts.SUPPORTED): "The whole range lies below zero.",
    ("fell", verdicts.CONTRADICTED): "The whole range lies above zero.",
    ("fell", verdicts.NOT_SHOWN): "The range holds zero.",
    ("direction", verdicts.SUPPORTED): "The whole range lies above zero.",
    ("direction", verdicts.CONTRADICTED): "The whole range lies below zero.",
    ("direction", verdicts.NOT_SHOWN): "The range holds zero.",
    ("count", verdicts.SUPPORTED): "An independent count of the same comes within ten per cent.",
    ("count", verdicts.CONTRADICTED): "Independent counts of the same are further off.",
    ("count", verdicts.NOT_SHOWN): "Nobody but the claimant has counted the same.",
    ("documented", verdicts.SUPPORTED): "Every part of it is on record.",
    ("documented", verdicts.NOT_SHOWN): "Not every part of it is on record.",
}

# What would change the word that a panel gives; data/readings.csv says what would change that of public figures.
CHANGES = {
    "positive": "More firms: supported if the interval lies above zero, contradicted if below it.",
    "not_lower": "More firms, or less room for what is common to all: supported if the lower end lies above the "
    "margin, contradicted if the upper end lies below it.",
    "unchanged": "More firms, or less room for what is common to all: supported if the whole range lies inside the "
    "margin, contradicted if outside it.",
    "direction": "More closed firms: supported if the interval lies above zero, contradicted if below it.",
}


def readings() -> pd.DataFrame:
    """Return one row per claim and reading: the claim's own columns and how the reading is tested."""
    return facts.load("readings").merge(
        facts.load("claims").drop(columns="seed"), on="claim_id", how="left", validate="m:1"
    )


def of_event(claims: Sequence[str]) -> pd.DataFrame:
    """Return the rows of :func:`readings` on the claims that an event names."""
    ledger = readings()
    return ledger[ledger["claim_id"].isin(claims)].reset_index(drop=True)


def judge(
    claim: str,
    reading: str = "",
    *,
    tier: str,
    interval: Interval | None = None,
    kind: str = "",
    estimate: float | None = None,
    margin: float | None = None,
    published: Sequence[float] = (),
    claimed: float | None = None,
    independent: Sequence[float] = (),
    on_record: Sequence[bool] = (),
    provenance: str = "real",
    window: str = "",
    n: str = "",
    market: str = "",
    grade: str = "",
    unit: str = "",
    passed: bool | None = None,
    drift: float | None = None,
) -> Verdict:
    """Give a claim its word by the rule of its kind, which stands in ``data/readings.csv``.

    Confidence in what public figures give stands there too; that in a panel's word follows from grade and checks by
    :func:`analysis.verdicts.confidence`.

    Parameters
    ----------
    claim, reading : str
        Ids in readings.csv.
    tier, provenance, window, n, market, grade : str
        As in `Verdict`, whose `why` is the rule's own sentence with the context that readings.csv gives.
    interval : (low, high), optional
        For the kinds not_lower, unchanged, direction and fell, in the reading's unit; `kind` names what it is.
    estimate, margin : float, optional
        Point and margin in the same unit.
    published : sequence of float
        For the kind positive: every published reading; their range stands in for the interval. A panel has its own
        `interval` instead.
    unit : str
        Unit of interval and estimate where it is not the reading's own.
    claimed, independent : float, sequence of float
        For the kind count.
    on_record : sequence of bool
        For the kind documented: one entry per part of the claim.
    passed : bool, optional
        For a panel: whether the placebo found nothing.
    drift : float, optional
        For a panel and the kind not_lower: estimate of the placebo, in the reading's unit.

    Raises
    ------
    DesignError
        If the reading is unknown, or a margin that its kind needs is missing.
    """
    ledger = readings()
    found = ledger[(ledger["claim_id"] == claim) & (ledger["reading"].fillna("") == reading)]
    if len(found) != 1:
        known = (ledger["claim_id"] + " " + ledger["reading"].fillna("")).str.strip().tolist()
        raise DesignError(f"a verdict on {claim} {reading} was asked for; readings.csv has {known}; name one of these")
    row = found.iloc[0]
    if row["kind"] in ("not_lower", "unchanged") and margin is None:
        raise DesignError(f"a verdict on {claim} {reading} was asked for; its kind needs a margin; give one in advance")
    if published:
        interval, kind = (min(published), max(published)), kind or "published readings"
    rules: dict[str, Any] = {
        "not_lower": lambda: verdicts.not_lower(interval, margin or 0.0),
        "unchanged": lambda: verdicts.unchanged(interval, margin or 0.0),
        "direction": lambda: verdicts.direction(interval),
        "fell": lambda: verdicts.direction(None if interval is None else (-interval[1], -interval[0])),
        "positive": lambda: verdicts.stayed_positive(published or interval or ()),
        "count": lambda: verdicts.count(claimed, independent),
        "documented": lambda: verdicts.documented(on_record),
        "untestable": lambda: verdicts.NOT_TESTABLE,
    }
    word = rules[row["kind"]]()
    grade = "" if interval is None else grade  # the audit grades estimates
    return Verdict(
        claim=claim,
        reading=reading,
        statement=str(row["statement"]),
        claimant=str(row["claimant"]),
        word=word,
        confidence=verdicts.confidence(grade, passed=passed, breakdown=_survived(word, interval, margin, drift))
        if tier in PANEL_TIERS
        else str(row["confidence"]),
        tier=tier,
        provenance=provenance,
        estimand=str(row["estimand"]),
        unit=unit or ("" if pd.isna(row["unit"]) else str(row["unit"])),
        estimate=estimate,
        claimed=claimed,
        low=None if interval is None else float(interval[0]),
        high=None if interval is None else float(interval[1]),
        interval=kind,
        margin=margin,
        window=window,
        n=n,
        market=market,
        grade=grade,
        why=_because(row, word, tier),
        change=str(CHANGES.get(row["kind"], row["change"]) if tier in PANEL_TIERS else row["change"]),
    )


def judge_each(
    asked: Mapping[str, tuple[str, str]], found: Mapping[str, Mapping[str, Any]], **given: Any
) -> dict[str, Verdict]:
    """Judge, by question, those that an event asks.

    Parameters
    ----------
    asked : mapping of str to (str, str)
        Claim and reading by question, such as :attr:`analysis.config.Event.asked`.
    found : mapping of str to mapping
        What :func:`judge` needs to know of each question; it goes before what is given for all.
    **given
        What it needs to know of all.
    """
    return {name: judge(*asked[name], **(given | dict(result))) for name, result in found.items() if name in asked}


def checked(placebo: pd.DataFrame) -> dict[str, Any]:
    """Return what :func:`judge` needs of a placebo, from its last row: `estimate`, `conf_low`, `conf_high`.

    `passed`: its interval holds zero; `drift`: its estimate. Both None where there is no placebo.
    """
    row = placebo.iloc[-1]
    if pd.isna(row["conf_low"]):
        return {"passed": None, "drift": None}
    return {"passed": bool(row["conf_low"] <= 0 <= row["conf_high"]), "drift": float(row["estimate"])}


def _survived(word: str, interval: Interval | None, margin: float | None, drift: float | None) -> float | None:
    """Return the breakdown value of "lower" or "not lower"; None where there is no such finding or no placebo."""
    if interval is None or margin is None or drift is None or word == verdicts.NOT_SHOWN:
        return None
    return verdicts.breakdown(interval, -margin, drift)


def _because(row: pd.Series, word: str, tier: str) -> str:
    if row["kind"] == "untestable":
        return f"It would take: {row['testable_quantity']}."
    of_panel = tier in PANEL_TIERS
    kind = "direction" if of_panel and row["kind"] == "positive" else row["kind"]
    rule = BECAUSE.get((kind, word), "There is no estimate or bound.")
    return rule if of_panel or pd.isna(row["context"]) else f"{rule} {row['context']}"


def untestable(notebook: str, claims: Sequence[str], *, tier: str) -> list[Verdict]:
    """Return the verdicts on those of some claims that fall to a notebook and that no public figure can test."""
    ledger = of_event(claims)
    mine = ledger[(ledger["notebook"] == notebook) & (ledger["kind"] == "untestable")]
    return [judge(row["claim_id"], tier=tier) for row in mine.to_dict("records")]


def dates(text: pd.Series, *, last: bool = False) -> pd.Series:
    """Turn dates of year, month or day precision into days: the first of the period, or its last.

    Parameters
    ----------
    text : Series of str
        ``2021``, ``2021-05`` or ``2021-05-09``.
    last : bool
        Take the last day of the period.
    """
    periods = [pd.Period(value, freq={4: "Y", 7: "M", 10: "D"}[len(value)]) for value in text]
    ends = [(period.end_time if last else period.start_time).normalize() for period in periods]
    return pd.Series(pd.DatetimeIndex(ends), index=text.index)


def counts() -> pd.DataFrame:
    """Return every published count of closed or affected accounts, stores or sellers that counts.csv defines, by date.

    Returns
    -------
    DataFrame
        `event_id`, `date`, `counted_by`, `value`, `what` (the unit as published), `definition`, `bound` and the source.
    """
    defined = facts.load("counts").drop(columns="reason")
    frame = facts.rows("events").merge(defined, on="event_id", how="inner", validate="1:1", suffixes=("_row", ""))
    frame = frame.rename(columns={"quantity": "value", "unit": "what"})
    columns = ["event_id", "date", "counted_by", "value", "what", "definition", "bound"]
    columns += ["source_publisher", "source_url"]
    return frame[columns].sort_values(["date", "value"], ignore_index=True)


def counted(claim: str) -> tuple[pd.Series, list[float]]:
    """Return the claimant's count behind a claim, and the counts of the same definition by others.

    Raises
    ------
    DesignError
        If the claim has no count, or its claimant has none of its definition.
    """
    ledger = readings().set_index("claim_id").loc[[claim]].iloc[0]
    same = counts().query("definition == @ledger.counted")
    own = same["counted_by"] == party(ledger["claimant"])
    if not own.any():
        raise DesignError(
            f"the count behind {claim} was asked for; counts.csv has none of {ledger['counted']!r} by "
            f"{ledger['claimant']}; add the event and its definition"
        )
    return same[own].iloc[-1], same.loc[~own, "value"].tolist()


def threats() -> pd.DataFrame:
    """Return the threat register with days: `first`, `last`, `months` (for print) beside the file's columns."""
    frame = facts.load("threats")
    first, last = dates(frame["first_day"]), dates(frame["last_day"], last=True)
    months = [
        a.strftime("%d %b %Y" if precision == "day" else "%b %Y")
        + ("" if b_text == a_text else f" to {b.strftime('%b %Y')}")
        for a, b, precision, a_text, b_text in zip(
            first, last, frame["precision"], frame["first_day"], frame["last_day"], strict=True
        )
    ]
    return frame.assign(first=first, last=last, months=months)


def event_marks(codes: Sequence[str]) -> dict[float, str]:
    """Return threats as places on an axis of years (2021.5 is mid-2021) with their codes."""
    frame = threats().set_index("threat_id").loc[list(codes)]
    middle = frame["first"] + (frame["last"] - frame["first"]) / 2
    return {day.year + (day.day_of_year - 1) / 365.25: code for code, day in middle.items()}


def waves() -> pd.DataFrame:
    """Return the first named closure of each month that is dated to the day: `first`, `term` (for print), `actor`."""
    events = facts.load("events")
    mine = events[(events["event_type"] == "brand_closure") & (events["date"].str.len() == len("2021-05-09"))]
    mine = mine[mine["actor"] != "Amazon"]  # a list of closed brands, in which nobody is named first
    first = dates(mine["date"])
    frame = mine.assign(first=first, term=[f"{day.day} {day:%b}" for day in first], month=first.dt.to_period("M"))
    return frame.sort_values("first").drop_duplicates("month")[["first", "term", "actor"]].reset_index(drop=True)


def sources() -> pd.DataFrame:
    """Return where claims and threats were read: `source_publisher` (claimant or register), `source_url`."""
    claims, register = facts.load("claims").query("seed"), facts.load("threats")
    return pd.concat(
        [
            claims.assign(source_publisher=claims["claimant"])[["source_publisher", "source_url"]],
            register.assign(source_publisher="Threat register, " + register["threat_id"])[
                ["source_publisher", "source_url"]
            ],
        ]
    )
