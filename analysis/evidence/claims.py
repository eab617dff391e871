"""Claims, readings, counts and threats: the ledger, and the verdict on one line of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis import facts, verdicts
from analysis.errors import DesignError
from analysis.verdicts import Interval, Verdict

COUNTING = ["analyst_estimate", "executive_statement", "trade_group_statement", "press_report", "brand_closure"]


def readings() -> pd.DataFrame:
    """Return one row per claim and reading: the claim's own columns and how the reading is tested."""
    return facts.load("readings").merge(
        facts.load("claims").drop(columns="seed"), on="claim_id", how="left", validate="m:1"
    )


def judge(
    claim: str,
    reading: str = "",
    *,
    tier: str,
    why: str,
    confidence: str,
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
) -> Verdict:
    """Give a claim its word by the rule of its kind, which stands in ``data/readings.csv``.

    Parameters
    ----------
    claim, reading : str
        Ids in readings.csv.
    tier, provenance, confidence, why, window, n : str
        As in `Verdict`.
    interval : (low, high), optional
        For the kinds not_lower, unchanged and direction, in the reading's unit; `kind` names what it is.
    estimate, margin : float, optional
        Point and margin in the same unit.
    published : sequence of float
        For the kind positive: every published reading; their range stands in for the interval.
    claimed, independent : float, sequence of float
        For the kind count.
    on_record : sequence of bool
        For the kind documented: one entry per part of the claim.

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
        "positive": lambda: verdicts.stayed_positive(published),
        "count": lambda: verdicts.count(claimed, independent),
        "documented": lambda: verdicts.documented(on_record),
        "untestable": lambda: verdicts.NOT_TESTABLE,
    }
    return Verdict(
        claim=claim,
        reading=reading,
        statement=str(row["statement"]),
        claimant=str(row["claimant"]),
        word=rules[row["kind"]](),
        confidence=confidence,
        tier=tier,
        provenance=provenance,
        estimand=str(row["estimand"]),
        unit="" if pd.isna(row["unit"]) else str(row["unit"]),
        estimate=claimed if estimate is None else estimate,
        low=None if interval is None else float(interval[0]),
        high=None if interval is None else float(interval[1]),
        interval=kind,
        margin=margin,
        window=window,
        n=n,
        why=why,
        change=str(row["change"]),
    )


def untestable(notebook: str, *, tier: str) -> list[Verdict]:
    """Return the verdicts on all claims of a notebook that no public figure can test."""
    ledger = readings()
    mine = ledger[(ledger["notebook"] == notebook) & (ledger["kind"] == "untestable")]
    return [
        judge(row["claim_id"], tier=tier, confidence="high", why=f"It would take: {row['testable_quantity']}.")
        for row in mine.to_dict("records")
    ]


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
    """Return every published count of closed or affected accounts, stores or sellers, by date.

    Returns
    -------
    DataFrame
        `event_id`, `date`, `actor`, `value`, `what` (the unit as published), `bound` and the source.
    """
    events = facts.rows("events")
    counted = (
        events["event_type"].isin(COUNTING)
        & events["quantity"].notna()
        & events["unit"].str.contains("account|store|seller", na=False)
        & ~events["unit"].str.contains("percent", na=False)
    )
    frame = events.loc[counted].rename(columns={"quantity": "value", "unit": "what"})
    kept = frame.drop_duplicates(["actor", "date", "value"])
    columns = ["event_id", "date", "actor", "value", "what", "bound", "source_publisher", "source_url"]
    return kept[columns].sort_values(["date", "value"], ignore_index=True)


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


def closures() -> pd.DataFrame:
    """Return the named closures that are dated to the month or day: `first`, `event_id`, `actor`, `description`."""
    events = facts.load("events")
    mine = events[(events["event_type"] == "brand_closure") & (events["date"].str.len() >= 7)]
    return mine.assign(first=dates(mine["date"]))[["event_id", "first", "actor", "description", "source_publisher"]]


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
