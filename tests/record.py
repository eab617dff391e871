"""The record of 2021 judged from public figures as the notebooks do, and README's answer made from
it.
"""

from functools import lru_cache

import numpy as np

from analysis import grades, on_trial, parameters
from analysis.data import SHIPPED
from analysis.event import read_event
from analysis.evidence import claims, households, listed, recentring, shift, threshold, totals
from analysis.evidence.verdicts import NOT_SHOWN, NOT_TESTABLE, SUPPORTED, best
from analysis.numbers import day, number, percent_change, points, quantity
from analysis.provenance import ROOT

# the estimation window of the share prices
FIRST = "2021-01-05"
LAST = "2021-04-23"
IN_WORDS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
COUNTED = {NOT_SHOWN: "Neither {} nor {} has been counted by anyone but its author"}


def given(notebook):
    """Return the parameters of a notebook as it stands."""
    return parameters.parameter_model(ROOT / "notebooks" / f"{notebook}.ipynb")()


def known(asked):
    """Return what the effect on growth depends on, by the parameters of report 02."""
    return totals.Totals(
        float(totals.third_party_sales().values["2020"]),
        share=(asked.share_low, asked.share_high),
        closed=totals.closed_sales(asked.yuan_per_dollar),
        recapture=(asked.recapture_low, asked.recapture_high),
        common=(asked.common_low, asked.common_high),
        left=totals.rest_of_year(asked.closed_from),
    )


@lru_cache(maxsize=1)
def rivals():
    """Return the least that purchases say of the part of growth through rivals that were not
    closed.
    """
    asked = given("05_households")
    tables = households.Households.load()
    left = recentring.recentred(tables, draws=asked.draws, seed=asked.seed)
    return recentring.recentred_growth(tables, left).bounds("effect on growth")[0]


def ladder():
    """Return the bounds on the growth effect at the published totals."""
    asked = given("02_growth")
    return totals.bounds_by_assumption(
        known(asked), share=asked.share, spared=rivals(), since=day(asked.closed_from)
    )


def judged():
    """Judge every reading from public figures as the reports do, with the range of the effect on
    growth in full.
    """
    event = read_event(SHIPPED)
    growth = given("02_growth")
    effect = ladder().bounds("purchases")
    prices = listed.share_prices(FIRST, LAST, level=given("01_who_was_hit").conf).rows
    tiza = prices.query("seller == 'Youkeshu' and window == 'youkeshu_2d'").iloc[0]
    of_share = {"published": on_trial.of_share(), "unit": on_trial.OF_ITSELF}
    of_effect = {"interval": effect, "rests_on": on_trial.rests_on()}
    asked = {
        "growth_positive": {"published": on_trial.of_growth()},
        "growth_not_lower": {**of_effect, "margin": growth.delta_pp},
        "share_unchanged": {**of_share, "margin": growth.delta_share_pp / growth.share},
        "more_presence_elsewhere": {"tier": "listed"},
        "more_sales_elsewhere": {"tier": "listed"},
        "C08 market": {"interval": (tiza["conf_low"], tiza["conf_high"]), "tier": "listed"},
    }
    found = [
        claims.judge(*(event.readings.get(name) or name.split()), claims.Finding(**evidence))
        for name, evidence in asked.items()
    ]
    found += [on_trial.count("C03"), on_trial.count("C06")]
    found += [on_trial.brands_hit(), on_trial.money_frozen()]
    found += on_trial.of_others(effect, growth.delta_pp)
    found += claims.untestable("04_claims", event.claims)
    return {one.name: one for one in found}


def named(verdicts):
    """Return the verdict from the best data on each reading by its name, and each verdict by name
    and tier.
    """
    every = list(verdicts)
    return {one.name: one for one in best(every)} | {
        f"{one.name} by {one.tier}": one for one in every
    }


def spoken():
    """Judge every reading from public figures and from purchases of households."""
    return named([*judged().values(), of_households()])


def of_households():
    """Judge what purchases of households can be read for: the change of the share, in per cent of
    itself.
    """
    asked = given("05_households")
    tables = households.Households.load()
    spec = households.Specification(definition=asked.definition, against=asked.against)
    sold = totals.closed_sales(asked.yuan_per_dollar)[1]
    lost = sold / float(totals.third_party_sales().values["2020"])
    share = float(households.share(tables, spec).value[0])
    low, high = households.bounded(tables, lost / asked.share_low, spec)["V3"]
    finding = claims.Finding(
        interval=(100 * low / share, 100 * high / share),
        margin=asked.delta_share_pp / asked.share_low,
        unit=on_trial.OF_ITSELF,
        rests_on=[totals.amount_sources()["actor"].iloc[-1]],
        tier="households",
        provenance="estimate",
        **grades.household_grade("V3_bounded"),
    )
    return claims.judge(*read_event(SHIPPED).readings["share_unchanged"], finding)


def sentence_of_amazon(found):
    """Say what became of Amazon's sentence on growth."""
    lower = found["C01 V2"]
    assert lower.word == NOT_SHOWN
    return (
        f"That the closures did no harm to growth is *{lower.word.lower()}*, and neither is its"
        " opposite."
    )


def closed_sellers(found):
    """Say what is known of the closed sellers that are listed."""
    record = found["C08 record"]
    asked = given("01_who_was_hit")
    before = listed.base_year()
    changes = listed.revenue_change(before, asked.after, level=asked.conf).details["changes"]
    fell = {
        row.firm: number(-percent_change(row.change), 0)
        for row in changes.query("closed").itertuples()
    }
    others = changes.query("not closed")
    outside = np.floor(listed.most_lost("Youkeshu", before)["other"])
    assert (others["change"] > 0).all()
    assert (record.word, record.estimate) == (SUPPORTED, record.claimed)
    return (
        f"In {asked.after} revenue fell by {fell['Sunvalley']} per cent at Sunvalley and by"
        f" {fell['Youkeshu']} at Youkeshu, while it grew at all {IN_WORDS[len(others)]} others. But"
        " Youkeshu was already falling in the first half of the year, and at least"
        f" {outside:.0f} per cent of its fall was outside Amazon."
    )


def all_sellers(found):
    """Say what a fall in growth takes, and what is published of it."""
    assert found["C01 V2"].word == NOT_SHOWN
    asked = given("02_growth")
    known_of = known(asked)
    year_end = f"{asked.closed_from[:4]}-12-31"
    days = threshold.mean_dates(asked.closed_from)
    wide = threshold.by_published_share(known_of.base, asked.delta_pp, days=days)
    needed = wide.query("until == @year_end")["needed"]
    return (
        f"To cut growth in {year_end[:4]} by {points(asked.delta_pp)}, closed accounts must have"
        f" sold about {needed.min():.1f} to {needed.max():.1f} billion dollars a year, by Chinese"
        " share and date of closure, net of what rivals took over. Two sums are published:"
        f" {known_of.closed[0]:.1f} billion, a floor, and {known_of.closed[1]:.1f}, asserted."
    )


def moved(found):
    """Say what is known of a shift to other platforms."""
    assert (found["C07 invest"].word, found["C07 sell"].word) == (NOT_TESTABLE, NOT_TESTABLE)
    sold = shift.stacks().query("firm == 'Aukey'").set_index("period")["elsewhere"]
    (first, before), (last, after) = sold.items()
    return (
        f"Aukey sold {number(before)} billion yuan outside Amazon in {first} and {number(after)} in"
        f" {last}; the closures’ part in this is unknown."
    )


def counts(found):
    """Say what is known of the numbers of closed or affected accounts."""
    own = found["C03"]
    group = found["C06"]
    assert (own.word, group.word) == (NOT_SHOWN, NOT_SHOWN)
    assert claims.readings(["C03", "C06"])["counted"].nunique() == 2  # they count different things
    amazon, trade = (quantity(one.claimed, one.unit) for one in (own, group))
    return (
        f"Only the claimants have counted Amazon’s {amazon} accounts and the trade group’s {trade}"
        " stores or accounts."
    )


ANSWER = {
    "Amazon’s sentence": sentence_of_amazon,
    "Closed sellers": closed_sellers,
    "All Chinese sellers": all_sellers,
    "Elsewhere": moved,
    "Counts": counts,
}
"""What makes each bullet of README's answer from the verdicts that it quotes."""
