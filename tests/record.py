"""The record of 2021 judged from public figures as the notebooks do, and README's answer made from it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from analysis import grades, parameters
from analysis.event import read_event
from analysis.evidence import claims, households, listed, recentring, shift, sums, threshold, totals
from analysis.evidence.verdicts import NOT_SHOWN, NOT_TESTABLE, SUPPORTED, Verdict
from analysis.exhibits.words import listing
from analysis.numbers import day, number, percent_change, points, quantity, span
from analysis.provenance import ROOT

NAMED = ["Aukey", "Mpow", "Youkeshu"]  # in claim C08
FIRST, LAST = "2021-01-05", "2021-04-23"  # the estimation window of the share prices
IN_WORDS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COUNTED = {NOT_SHOWN: "Neither {} nor {} has been counted by anyone but its author"}


def given(notebook: str) -> Any:
    """Return the parameters of a notebook as it stands."""
    return parameters.declared(ROOT / "notebooks" / f"{notebook}.ipynb")()


def known(asked: Any) -> totals.Totals:
    """Return what the effect on growth depends on, by the parameters of report 05."""
    return totals.Totals(
        float(totals.third_party_sales().values["2020"]),
        share=(asked.share_low, asked.share_high),
        closed=totals.closed_sales(asked.yuan_per_dollar),
        recapture=(asked.recapture_low, asked.recapture_high),
        common=(asked.common_low, asked.common_high),
        left=totals.rest_of_year(asked.closed_from),
    )


@lru_cache(maxsize=1)
def rivals() -> float:
    """Return the least that purchases say of the part of growth through rivals that were not closed."""
    asked, tables = given("09_households"), households.Households.load()
    left = recentring.recentred(tables, draws=asked.draws, seed=asked.seed)
    return recentring.recentred_growth(tables, left).bounds("effect on growth")[0]


def ladder() -> Any:
    """Return the bounds on the growth effect at the published totals."""
    asked = given("05_growth_public")
    return totals.bounds_by_assumption(known(asked), share=asked.share, spared=rivals(), since=day(asked.closed_from))


def judged() -> dict[str, Verdict]:
    """Judge every reading from public figures by its own rule, with the margins fixed in advance."""
    (amazon, others), (group, rest) = claims.counted("C03"), claims.counted("C06")
    tiza = listed.share_prices(FIRST, LAST, level=0.95).rows.query("seller == 'Youkeshu' and window == 'youkeshu_2d'")
    fall = tiza["conf_low"].iloc[0], tiza["conf_high"].iloc[0]
    published, record = totals.published_growth(), listed.on_record(NAMED)
    brands = {"estimate": sum(record.values()), "claimed": len(record)}
    found = [
        claims.judge("C01", "V1", claims.Finding(published=[*published["low"], *published["high"]])),
        claims.judge(
            "C01",
            "V2",
            claims.Finding(interval=ladder().bounds("purchases"), margin=given("05_growth_public").delta_pp),
        ),
        claims.judge(
            "C16", "", claims.Finding(published=[totals.stated_change(), *totals.shares()["change"]], margin=1.0)
        ),
        claims.judge("C03", finding=claims.Finding(claimed=amazon["value"], independent=others)),
        claims.judge("C06", finding=claims.Finding(claimed=group["value"], independent=rest)),
        claims.judge("C07", "invest", claims.Finding(tier="listed")),
        claims.judge("C07", "sell", claims.Finding(tier="listed")),
        claims.judge("C08", "market", claims.Finding(interval=fall)),
        claims.judge("C08", "record", claims.Finding(tier="listed", on_record=list(record.values()), **brands)),
        claims.judge("C12", finding=claims.Finding(claimed=listed.frozen("Youkeshu")[0])),
        *claims.untestable("01_claims_and_context", read_event("amazon_2021").claims),
    ]
    return {one.name: one for one in found}


def spoken() -> dict[str, Verdict]:
    """Judge every reading from the best data that there are: public figures, or purchases of households."""
    return judged() | {(one := of_households()).name: one}


def of_households() -> Verdict:
    """Judge what purchases of households can be read for: the change of the share."""
    asked, tables = given("09_households"), households.Households.load()
    lost = totals.closed_sales(asked.yuan_per_dollar)[1] / float(totals.third_party_sales().values["2020"])
    change = {"interval": households.bounded(tables, lost / asked.share_low)["V3"], "margin": asked.delta_share_pp}
    change |= {"tier": "households", "provenance": "estimate", **grades.of_households("V3_bounded")}
    return claims.judge("C16", "", claims.Finding(**change))


def growth(found: Mapping[str, Verdict]) -> str:
    """Say what is known of Chinese sellers' growth on Amazon."""
    stayed, lower, asked = found["C01 V1"], found["C01 V2"], given("05_growth_public")
    assert (stayed.word, lower.word) == (NOT_SHOWN, NOT_SHOWN)
    known_of, fall = known(asked), points(asked.delta_pp)
    days, shares = (asked.closed_from, asked.closed_mean), (asked.share, asked.share_low, asked.share_high)
    year_end = f"{asked.closed_from[:4]}-12-31"
    needed = threshold.thresholds(known_of.base, [asked.delta_pp], days=days, shares=shares, until=[year_end])
    needed = needed[asked.delta_pp]
    wide = threshold.by_published_share(
        known_of.base, asked.delta_pp, days=threshold.mean_dates(asked.closed_from)
    ).query("until == @year_end")
    claimed = sums.against_all_sales(known_of.closed[1], asked.share, *sums.CLAIMED_FOR)
    published = totals.published_growth()
    assert published.query("dates == '2020 to 2021'")["low"].min() > 0 > published["low"].min()
    december = totals.shares().query("first == '2020-12' and last == '2021-12'").eval("after / before")
    by_year = sorted(december * (100 + float(totals.third_party_growth().values["2021"])) - 100)
    by_fees = sorted(published.query("dates != '2020 to 2021'")["growth"])
    assert len(by_fees) == len(by_year) == 2
    return (
        "Whether the closures slowed Chinese sellers as a whole depends on what the closed accounts had sold, on what "
        "rivals took over, and on whether fear or trust moved the others. "
        f"To cut growth by {fall}, closed accounts must have sold about {needed[0]:.1f} billion dollars a year "
        f"(about {needed.min():.1f} to {needed.max():.1f} for our Chinese shares and dates, {wide['needed'].min():.1f} "
        f"to {wide['needed'].max():.1f} for every published share and mean dates until {day(wide['day'].max())}), net "
        f"of what rivals took over. Neither published sum settles it: more than {known_of.closed[0]:.1f} billion is a "
        f"floor, for the first accounts suspended, and more than {known_of.closed[1]:.1f} a loss that the trade group "
        f"asserts for two months, {claimed['part']:.0f} per cent of all that Chinese sellers sold in them. So Amazon's "
        f"sentence is *{lower.word.lower()}*, and neither is its opposite. Whether growth stayed positive depends on "
        "the dates: published readings of the calendar year say so, and those from December to December are "
        f"{quantity(stayed.low, stayed.unit)} and {quantity(by_fees[1], stayed.unit)} per cent, or "
        f"{quantity(by_year[0], stayed.unit)} and {quantity(by_year[1], stayed.unit)} with the year's growth of "
        "all sales."
    )


def closed_sellers(found: Mapping[str, Verdict]) -> str:
    """Say what is known of the closed sellers that are listed."""
    record, asked, before = found["C08 record"], given("03_listed_sellers"), listed.base_year()
    changes = listed.revenue_change(before, asked.after, level=asked.conf).details["changes"]
    fell = {row.firm: number(-percent_change(row.change), 0) for row in changes.query("closed").itertuples()}
    alone = listed.leave_one_out(before, asked.after, level=asked.conf).set_index("left_out").loc["Youkeshu"]
    outside = np.floor(listed.most_lost("Youkeshu", before)["other"])
    assert alone["rank"] == 1
    assert (changes.query("not closed")["change"] > 0).all()
    assert (record.word, record.estimate) == (SUPPORTED, record.claimed)
    return (
        f"Filings or newspapers confirm that the {IN_WORDS[int(record.claimed)]} brands that were named lost accounts. "
        f"Sunvalley lost {fell['Sunvalley']} per cent of its revenue in {asked.after} and Youkeshu {fell['Youkeshu']}, "
        f"while all {IN_WORDS[len(changes.query('not closed'))]} others grew. How much the closures caused is unknown: "
        f"Youkeshu was falling in the first half of {asked.after}, and at least {outside:.0f} per cent of its fall was "
        f"outside Amazon. Sunvalley alone ended at {quantity(percent_change(alone['estimate']), 'per cent')} per cent "
        f"against the others; luck would put it last once in {IN_WORDS[int(alone['assignments'])]} times. "
        f"{IN_WORDS[len(listed.listed_later())].capitalize()} of the others were listed after {before + 1}, perhaps "
        "because they had done well. Aukey, which kept selling on Amazon, publishes no revenue for the year before."
    )


def moved(found: Mapping[str, Verdict]) -> str:
    """Say what is known of a shift to other platforms."""
    invest, sell, made = found["C07 invest"], found["C07 sell"], shift.elsewhere()
    youkeshu, sunvalley, aukey = (made.loc[name] for name in ("Youkeshu", "Sunvalley", "Aukey"))
    places, asked = shift.named(closed=True), {"eBay", "AliExpress"}
    assert (invest.word, sell.word, [*places]) == (NOT_TESTABLE, NOT_TESTABLE, ["Aukey", "Youkeshu"])
    assert not asked & {*places["Aukey"]}
    assert asked <= {*places["Youkeshu"]}
    return (
        "No filing that we could open says what hit sellers invested elsewhere; of two that might, we could open only "
        "parts. Three sellers with closed accounts publish what they sold outside Amazon in all, or a limit on it. "
        "Youkeshu, which was on both platforms, sold about "
        f"{number(youkeshu['before'], 0)} million yuan there in {youkeshu['first']} and at most "
        f"{number(youkeshu['after'], 0)} million in {youkeshu['last']}; its web shops had shrunk before July 2021. "
        f"Sunvalley's sales on Amazon fell by at most {number(sunvalley['lost'], 0)} million, and "
        f"elsewhere they rose by at most {number(sunvalley['high'], 0)} million. Aukey sold "
        f"{number(aukey['before'], 0)} million elsewhere in {aukey['first']} and {number(aukey['after'], 0)} million "
        f"in {aukey['last']}; an article on its prospectus names {listing(places['Aukey'])}, and neither eBay nor "
        "AliExpress. None of this shows investment, or what the closures caused."
    )


def counts(found: Mapping[str, Verdict]) -> str:
    """Say what is known of the numbers of closed or affected accounts."""
    own, group = found["C03"], found["C06"]
    assert own.word == group.word
    assert claims.readings(["C03", "C06"])["counted"].nunique() == 2  # they count different things
    told = (f"{quantity(one.claimed, one.unit)} {one.unit}" for one in (own, group))
    return f"{COUNTED[own.word].format(*told)}, and they count different things."


def bought(found: Mapping[str, Verdict]) -> str:
    """Say what purchases of American households show."""
    share_, asked, tables = found["C16"], given("09_households"), households.Households.load()
    assert (share_.tier, share_.word) == ("households", NOT_SHOWN)
    left = recentring.recentred(tables, draws=asked.draws, seed=asked.seed)
    effects, change = left.details["effects"], left.exp()
    as_far, low, high = 100 * (effects <= effects[0]).mean(), *change.bounds("effect")
    assert low < 0 < high
    fell = number(-percent_change(effects[0]))
    return (
        "Purchases by American volunteers cannot tell whether other Chinese brands lost ground where closed brands had "
        f"sold. A year later their share there was {fell} per cent lower than if it had grown as elsewhere. But "
        f"{as_far:.0f} of 100 random sets of similar categories lagged as much. Against their average the change is "
        f"{quantity(change.value[0], 'per cent')} per cent [{span(low, high, 'per cent')}], which chance can explain. "
        f"In all categories the Chinese share may have changed by {span(share_.low, share_.high, share_.unit)} points. "
        "The closed brands' own sales are missing from these data."
    )


ANSWER = {
    "Growth": growth,
    "What households bought": bought,
    "The closed sellers": closed_sellers,
    "The shift": moved,
    "The counts": counts,
}
"""What makes each bullet of README's answer from the verdicts that it quotes."""
