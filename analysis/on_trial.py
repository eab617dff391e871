"""Figures that others published on the claims about 2021, and verdicts that rest on them alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis import data, parameters
from analysis.evidence import claims, listed, totals
from analysis.evidence.sources import TIMES, Admitted, Published, admitted_figures, as_published
from analysis.evidence.verdicts import Verdict
from analysis.provenance import ROOT

NAMED = ("Aukey", "Mpow", "Youkeshu")  # in claim C08
TINY = 1.0  # per cent of all Chinese sellers: what "a tiny part" is read as, our choice
BILLION = 1e9
OF_ITSELF = "per cent of the share"
SALES = "sales"  # quantities, as in readings.csv
SHARE_OF_SALES = "share of sales"
SHARE_OF_TOP = "share of top sellers"
FIRST = "2021-05"  # month from which closed accounts are counted
FIGURE = ["by", "low", "high"]
TURNS = {"November 2020": "2020-11", "March 2022": "2022-03"}  # in claim C20


def given(notebook: str) -> Any:
    """Return the parameters of a notebook as it stands."""
    return parameters.parameter_model(ROOT / "notebooks" / f"{notebook}.ipynb")()


def admitted_by_reading(claim: str, published: Sequence[Published], reading: str = "") -> Admitted:
    """Return what a reading admits of what is published."""
    ledger = claims.readings([claim]).fillna({"reading": "", "quantity": ""})
    row = ledger[ledger["reading"] == reading].iloc[0]
    asked = {name: row[name] for name in ("claimant", "about", "quantity")}
    return admitted_figures(published, said=row["date"], **asked)


# What is published on a quantity, and by whom


def of_growth() -> list[Published]:
    """Return who published which growth of Chinese sellers in 2021.

    The time of a comparison of two months is the later one.
    """
    frame = totals.published_growth()
    later = frame["dates"].str.rpartition(" to ")[2]
    times = [time if len(time) == 4 else str(pd.Period(time, "M")) for time in later]
    of = frame["of"].map(lambda text: SALES if text.startswith(SALES) else text)
    frame = frame.assign(
        by=frame["source"], product=frame["provenance"].eq("estimate"), first=times, of=of
    )
    return as_published(frame)


def of_share() -> list[Published]:
    """Return who published which change of the Chinese share in 2021.

    Amazon's own statement is included.

    Changes are in per cent of the share itself, since pages define the share in different ways.
    """
    frame = totals.share_changes()
    figures = frame.assign(by=frame["publisher"], low=frame["relative"], high=frame["relative"])
    of = frame["definition"].mask(frame["definition"].str.startswith("top sellers"), SHARE_OF_TOP)
    reported = as_published(figures[FIGURE].assign(first=frame["last"], of=of))
    stated = data.load("origin_shares").query("unit == 'percentage points, as stated'").iloc[0]
    change = totals.stated_change()
    own = Published(
        by=stated["source_publisher"],
        low=change,
        high=change,
        first=stated["date"],
        of=SHARE_OF_SALES,
    )
    return [*reported, own]


def of_suspended() -> list[Published]:
    """Return what part of all Chinese sellers the counts of closed accounts make, in per cent.

    Each is a count by one party, times a number of sellers estimated by another.
    """
    population = data.load("origin_shares").query("unit == 'merchants'").iloc[0]
    counts = claims.counts()
    parts = 100 * counts["value"] / population["value"]
    by = counts["counted_by"] + TIMES + population["source_publisher"]
    until = counts["event_id"].map(data.load("events").set_index("event_id")["date"])
    return as_published(
        counts.assign(by=by, low=parts, high=parts)[FIGURE].assign(last=until),
        first=FIRST,
        product=True,
    )


def rests_on() -> list[str]:
    """Return whose figures set an end of the range of the effect on growth.

    These are the sums for closed accounts and the total of all sales. When in the year sales are
    made follows Amazon's accounts, which sets no end.
    """
    return [*totals.amount_sources()["actor"], totals.third_party_sales().publisher]


def of_turns() -> list[Published]:
    """Return who dates the turns in the share of top sellers."""
    dated = data.load("origin_shares").query(
        "measure.str.startswith('share of top sellers based in the US')"
    )
    turns = {month: name for name, month in TURNS.items()}
    rows = dated[dated["date"].isin(turns)]
    return [Published(by=row.source_publisher, part=turns[row.date]) for row in rows.itertuples()]


# The readings


def count(claim: str, reading: str = "", **told: Any) -> Verdict:
    """Judge a count of accounts or stores."""
    own, same = claims.counts_for_claim(claim, reading)
    return claims.judge(
        claim, reading, claims.Finding(claimed=own["value"], published=same, **told)
    )


def loss(**told: Any) -> Verdict:
    """Judge the trade group's loss, in billion yuan."""
    stated = totals.amount_sources().query("unit == @totals.ASSERTED")
    amounts = stated["quantity"] / BILLION
    same = as_published(stated.assign(by=stated["actor"], low=amounts, high=amounts)[FIGURE])
    return claims.judge(
        "C13", "loss", claims.Finding(claimed=amounts.item(), published=same, **told)
    )


def brands_hit(**told: Any) -> Verdict:
    """Judge whether the brands that the newspaper names were hit."""
    records = listed.records_of_brands([*NAMED])
    documented = admitted_by_reading("C08", records, "record").documented(NAMED)
    finding = claims.Finding(
        published=records,
        parts=NAMED,
        estimate=sum(documented),
        claimed=len(NAMED),
        tier="listed",
        **told,
    )
    return claims.judge("C08", "record", finding)


def money_frozen(**told: Any) -> Verdict:
    """Judge how much of Youkeshu's money Amazon froze, in million yuan."""
    amount, _ = listed.frozen("Youkeshu")
    filed = data.load("listed_sellers").query(
        "measure == 'funds_frozen' and firm.str.contains('Youkeshu')"
    )
    figures = filed.assign(by=filed["source_publisher"], low=filed["value"], high=filed["value"])
    finding = claims.Finding(
        claimed=amount, published=as_published(figures[FIGURE]), tier="listed", **told
    )
    return claims.judge("C12", finding=finding)


def suspended_tiny(**told: Any) -> Verdict:
    """Judge whether the suspended sellers are a tiny part of all."""
    finding = claims.Finding(published=of_suspended(), margin=TINY, **told)
    return claims.judge("C15", "tiny", finding)


def momentum(interval: tuple[float, float], margin: float, **told: Any) -> Verdict:
    """Judge whether the closures hardly changed growth, by a range in percentage points."""
    finding = claims.Finding(interval=interval, margin=margin, rests_on=rests_on(), **told)
    return claims.judge("C15", "momentum", finding)


def share_fell(**told: Any) -> Verdict:
    """Judge whether the Chinese share fell in 2021."""
    return claims.judge("C18", finding=claims.Finding(published=of_share(), unit=OF_ITSELF, **told))


def turns(**told: Any) -> Verdict:
    """Judge when the share of American sellers turned."""
    return claims.judge("C20", finding=claims.Finding(published=of_turns(), parts=[*TURNS], **told))


def of_others(effect: tuple[float, float], margin: float) -> list[Verdict]:
    """Judge what the trade group and Marketplace Pulse said besides.

    Parameters
    ----------
    effect : (low, high)
        Range of the effect on growth, in percentage points.
    margin : float
        In percentage points.
    """
    return [
        count("C13", "stores"),
        loss(),
        suspended_tiny(),
        momentum(effect, margin),
        share_fell(),
        turns(),
    ]
