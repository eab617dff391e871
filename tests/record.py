"""The record of 2021 judged from public figures as the notebooks do, and README's answer made from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis import grades, parameters, series
from analysis.event import read_event
from analysis.evidence import claims, households, listed, shift, totals
from analysis.evidence.verdicts import CONTRADICTED, NOT_SHOWN, NOT_TESTABLE, SUPPORTED, Verdict
from analysis.exhibits.answers import TIER_NAMES
from analysis.numbers import number, percent_change, points, quantity, span
from analysis.provenance import ROOT

NAMED = ["Aukey", "Mpow", "Youkeshu"]  # in claim C08
FIRST, LAST = "2021-01-05", "2021-04-23"  # the estimation window of the share prices
IN_WORDS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
STAYED = {SUPPORTED: "stayed positive", CONTRADICTED: "fell", NOT_SHOWN: "is not shown to have stayed positive"}
HIT = {SUPPORTED: "are on record as closed", NOT_SHOWN: "are not all on record as closed"}
COUNTED = {NOT_SHOWN: "Neither {} nor {} has been counted by anyone but its author"}


def given(notebook: str) -> Any:
    """Return the parameters of a notebook as it stands."""
    return parameters.declared(ROOT / "notebooks" / f"{notebook}.ipynb")()


def ladder() -> Any:
    """Return the bounds on the growth effect at the published totals."""
    asked = given("05_growth_public")
    return totals.bounds_by_assumption(
        float(totals.third_party_sales().values["2020"]),
        share=asked.share,
        share_range=(asked.share_low, asked.share_high),
        closed=totals.closed_sales(asked.yuan_per_dollar),
        recapture=(asked.recapture_low, asked.recapture_high),
        common=(asked.common_low, asked.common_high),
    )


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
            claims.Finding(interval=ladder().bounds("recapture"), margin=given("05_growth_public").delta_pp),
        ),
        claims.judge(
            "C01", "V3", claims.Finding(published=[totals.stated_change(), *totals.shares()["change"]], margin=1.0)
        ),
        claims.judge("C03", finding=claims.Finding(claimed=amazon["value"], independent=others)),
        claims.judge("C06", finding=claims.Finding(claimed=group["value"], independent=rest)),
        claims.judge(
            "C07",
            "invest",
            claims.Finding(estimate=shift.lead(shift.leads()), interval=shift.bounds().bounds("together")),
        ),
        claims.judge("C07", "sell"),
        claims.judge("C08", "market", claims.Finding(interval=fall)),
        claims.judge("C08", "record", claims.Finding(tier="listed", on_record=list(record.values()), **brands)),
        claims.judge("C12", finding=claims.Finding(on_record=[listed.frozen_on_record("Youkeshu")[1]])),
        *claims.untestable("01_claims_and_context", read_event("amazon_2021").claims),
    ]
    return {one.name: one for one in found}


def spoken() -> dict[str, Verdict]:
    """Judge every reading from the best data that there are: public figures, or purchases of households."""
    return judged() | {one.name: one for one in of_households()}


def of_households() -> list[Verdict]:
    """Judge what purchases of households can be read for: the effect on growth, and the change of the share."""
    asked, tables = given("09_households"), households.Households.load()
    sales, closed = float(totals.third_party_sales().values["2020"]), totals.closed_sales(asked.yuan_per_dollar)
    share, common = (asked.share_low, asked.share_high), (asked.common_low, asked.common_high)
    bounded = households.bounded(tables, closed[1] / (sales * share[0]))
    own, spared = totals.growth_set(sales, share, closed, (0.0, 0.0), common), bounded["E3g_spared"]
    basis = {"tier": "households", "provenance": "estimate"}
    interval, graded = (own[0] + spared[0], own[1] + spared[1]), grades.of_households
    return [
        claims.judge(
            "C01", "V2", claims.Finding(interval=interval, margin=asked.delta_pp, **graded("E2a_bounded"), **basis)
        ),
        claims.judge(
            "C01",
            "V3",
            claims.Finding(interval=bounded["V3"], margin=asked.delta_share_pp, **graded("V3_bounded"), **basis),
        ),
    ]


def growth(found: Mapping[str, Verdict]) -> str:
    """Say what is known of Chinese sellers' growth on Amazon."""
    stayed, lower, asked = found["C01 V1"], found["C01 V2"], given("05_growth_public")
    published, (_, across) = totals.published_growth(), totals.across_definitions()
    bounds, floor = sum(published["bound"] == "at least"), totals.closed_sales(asked.yuan_per_dollar)[0]
    assert -asked.common_low == asked.common_high
    assert lower.word == NOT_SHOWN
    narrowest = ladder().bounds("recapture")
    return (
        f"Chinese sellers' growth on Amazon {STAYED[stayed.word]}: the lowest reading that published figures give, of "
        f"sales or of the number of sellers, is {quantity(stayed.low, stayed.unit)} {stayed.unit}, and "
        f"{IN_WORDS[bounds]} of {IN_WORDS[len(published)]} are lower bounds, so that nothing bounds them above. The "
        "sign holds within one definition of the Chinese share: across two, the same arithmetic gives as little as "
        f"{number(across, signed=True)}. That it was *not lower than it would have been* is {lower.word.lower()}: "
        f"if closed sales lay between a floor of {IN_WORDS[round(floor)]} billion dollars and the loss that the "
        f"trade group asserts, the Chinese share of sales between {100 * asked.share_low:.0f} and "
        f"{100 * asked.share_high:.0f} per cent, and what the closures did to all Chinese sellers alike within "
        f"±{points(asked.common_high)}, which is assumed, public totals leave an effect of "
        f"{span(*ladder().bounds('assumed ranges'), lower.unit)} {lower.unit}; with a Chinese share of exactly "
        f"{100 * asked.share:.0f} per cent and rivals that took over at most {100 * asked.recapture_high:.0f} per cent "
        f"of the closed sales besides, {span(*narrowest, lower.unit)}."
    )


def closed_sellers(found: Mapping[str, Verdict]) -> str:
    """Say what is known of the closed sellers that are listed."""
    record, asked, before = found["C08 record"], given("03_listed_sellers"), listed.base_year()
    change = listed.revenue_change(before, asked.after, level=asked.conf)
    row, closed, firms = change.row("did"), IN_WORDS[change.counts["treated"]], IN_WORDS[change.counts["units"]]
    spared = change.details["changes"].query("not closed")["change"]
    six, later = IN_WORDS[len(spared)], IN_WORDS[len(listed.listed_later())].capitalize()
    wider = listed.by_variance(before, asked.after, level=asked.conf).iloc[-1]
    most = listed.most_lost("Youkeshu", before)["other"]
    aukey = listed.unpublished_base("Aukey", asked.after, spared)["threshold"]
    assert (row["rank"], row["p_lower"]) == (1, row["p_smallest"])
    assert (wider["ratio"], record.word == SUPPORTED) == (2, record.estimate == record.claimed)
    return (
        f"The {IN_WORDS[int(record.claimed)]} brands that were named {HIT[record.word]}. Revenue of {closed} listed "
        f"sellers with a disclosed closure changed by {quantity(row['estimate'], change.unit)} log points "
        f"({number(percent_change(row['estimate']), signed=True)} per cent) against {six} without one, {before} to "
        f"{asked.after}. They rank lowest of {firms}, one-sided p = 1/{change.counts['assignments']}, the smallest "
        f"that {firms} firms allow; the {100 * asked.conf:.0f} per cent interval is "
        f"{span(row['conf_low'], row['conf_high'], change.unit)}, and "
        f"{span(wider['conf_low'], wider['conf_high'], change.unit)} if closed firms vary twice as much as the others. "
        f"At least {np.floor(most):.0f} per cent of the fall of one of the {closed}, Youkeshu, was outside Amazon; how "
        "much of that the closure caused is not known. Aukey, closed too, is not ranked: its revenue of "
        f"{before} is not published, and only above {number(aukey, 0)} million yuan is its change below all {six}. "
        f"{later} of the {six} were listed after {before + 1}, and may be here because they fared well."
    )


def moved(found: Mapping[str, Verdict]) -> str:
    """Say what is known of a shift to other platforms."""
    invest, sell, leads = found["C07 invest"], found["C07 sell"], shift.leads()
    assert (invest.word, sell.word) == (NOT_SHOWN, NOT_TESTABLE)
    assert series.growth(shift.volume()).values["2022"].lt(0).all()
    assert invest.estimate is not None
    by_year = leads.query("perimeter == @shift.MARKETPLACE").set_index("year")["US"]
    before, closures, earlier = (by_year[year] for year in ("2020", "2021", "2019"))
    assert max(before, closures) < 0 < invest.estimate < earlier
    return (
        "Nothing public shows that closed merchants sold more on eBay or AliExpress: eBay's volume fell, AliExpress is "
        "not published apart from its group, and no closed firm's sales on either are. One series shows a first sign: "
        "on eBay, revenue from sellers outside the US, UK and Germany, China's among them, rose by "
        f"{number(invest.estimate)} per cent against that from American sellers in 2022, after falling by "
        f"{number(-before)} in 2020 and by {number(-closures)} in 2021. But it rose by {number(earlier)} in "
        "2019, before any closure, and if take rates, exchange rates, hedges and a recovery explain all they can, "
        f"{number(invest.low, signed=True)} to {number(invest.high, signed=True)} is left."
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
    lower, share_, asked = found["C01 V2"], found["C01 V3"], given("09_households")
    assert (lower.tier, share_.tier, lower.word, share_.word) == (*["households"] * 2, *[NOT_SHOWN] * 2)
    tables = households.Households.load()
    share, effect = households.share(tables), households.exposed(tables).exp()
    sets, placebos = households.random_sets(tables, draws=asked.draws, seed=asked.seed), households.placebos(tables)
    failed = IN_WORDS[len(placebos.query("conf_low > 0 or conf_high < 0"))]
    return (
        "Of what American volunteers bought on Amazon and whose title can still be seen, brands presumed Chinese were "
        f"{number(share.value[0], 1)} per cent before the closures and {number(share.value[1], 1)} a year later. In "
        "the categories in which brands had been closed their share stood still while it grew elsewhere: "
        f"{number(effect.value[0], signed=True)} per cent in relation ({span(*effect.bounds('effect'), 'per cent')} by "
        f"sampling alone). But random sets of categories fall as far one time in {IN_WORDS[round(1 / sets.value[0])]}, "
        f"{failed} of {IN_WORDS[len(placebos)]} earlier years shows as much, and closed brands themselves are not in "
        "it, for their titles are blank. With room for lost titles, and for what closed firms sold, the share changed "
        f"by {span(share_.low, share_.high, share_.unit)} points; {TIER_NAMES[lower.tier]} leave an effect on growth "
        f"of {span(lower.low, lower.high, lower.unit)}: {lower.word.lower()}."
    )


ANSWER = {
    "Growth": growth,
    "What households bought": bought,
    "The closed sellers": closed_sellers,
    "The shift": moved,
    "The counts": counts,
}
"""What makes each bullet of README's answer from the verdicts that it quotes."""
