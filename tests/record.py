"""The record of 2021 judged from public figures as the notebooks do, and README's answer made from
it.
"""

from functools import lru_cache

import numpy as np

from analysis import data, on_trial, parameters
from analysis.evidence import claims, households, listed, recentring, shift, sums, threshold, totals
from analysis.evidence.verdicts import NOT_SHOWN, NOT_TESTABLE, SUPPORTED, best
from analysis.exhibits.words import listing
from analysis.numbers import day, number, percent_change, points, quantity, span
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
    return on_trial.on_record(ladder().bounds("purchases"))


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
    """Judge what purchases of households can be read for: the change of the share."""
    return on_trial.of_households()


def growth(found):
    """Say what is known of Chinese sellers' growth on Amazon."""
    stayed = found["C01 V1"]
    lower = found["C01 V2"]
    asked = given("02_growth")
    assert (stayed.word, lower.word) == (NOT_SHOWN, NOT_SHOWN)
    assert stayed.low is None  # nobody's figure of the growth counts
    known_of = known(asked)
    fall = points(asked.delta_pp)
    days = (asked.closed_from, asked.closed_mean)
    shares = (asked.share, asked.share_low, asked.share_high)
    year_end = f"{asked.closed_from[:4]}-12-31"
    needed = threshold.thresholds(
        known_of.base, [asked.delta_pp], days=days, shares=shares, until=[year_end]
    )
    needed = needed[asked.delta_pp]
    wide = threshold.by_published_share(
        known_of.base, asked.delta_pp, days=threshold.mean_dates(asked.closed_from)
    ).query("until == @year_end")
    claimed = sums.against_all_sales(known_of.closed[1], asked.share, *sums.CLAIMED_FOR)
    published = totals.published_growth()
    assert published.query("dates == '2020 to 2021'")["low"].min() > 0
    assert published.query("dates == '2020 to 2021'")["source"].str.contains("Amazon").all()
    december = (
        totals.share_changes()
        .query("first == '2020-12' and last == '2021-12'")
        .eval("after / before")
    )
    by_year = sorted(december * (100 + float(totals.third_party_growth().values["2021"])) - 100)
    by_fees = sorted(published.query("dates != '2020 to 2021'")["growth"])
    assert len(by_fees) == len(by_year) == 2
    lowest, next_lowest = (quantity(rate, "per cent") for rate in by_fees)
    low, high = (quantity(rate, "per cent") for rate in by_year)
    return (
        "Whether the closures slowed Chinese sellers as a whole depends on what the closed"
        " accounts had sold, on what rivals took over, and on whether fear or trust moved the"
        f" others. To cut growth by {fall}, closed accounts must have sold about {needed[0]:.1f}"
        f" billion dollars a year (about {needed.min():.1f} to {needed.max():.1f} for our Chinese"
        f" shares and dates, {wide['needed'].min():.1f} to {wide['needed'].max():.1f} for every"
        f" published share and mean dates until {day(wide['day'].max())}), net of what rivals took"
        f" over. Neither published sum settles it: more than {known_of.closed[0]:.1f} billion is a"
        f" floor, for the first accounts suspended, and more than {known_of.closed[1]:.1f} a loss"
        f" that the trade group asserts for two months, {claimed['part']:.0f} per cent of all that"
        f" Chinese sellers sold in them. So Amazon's sentence is *{lower.word.lower()}*, and"
        f" neither is its opposite. Whether growth stayed positive is *{stayed.word.lower()}*"
        " either: the figures of the calendar year, which say so, are Amazon's own, and those from"
        f" December to December, products of two sources, are {lowest} and {next_lowest} per cent,"
        f" or {low} and {high} with the year's growth of all sales."
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
    alone = (
        listed.leave_one_out(before, asked.after, level=asked.conf)
        .set_index("left_out")
        .loc["Youkeshu"]
    )
    outside = np.floor(listed.most_lost("Youkeshu", before)["other"])
    assert alone["rank"] == 1
    assert (changes.query("not closed")["change"] > 0).all()
    assert (record.word, record.estimate) == (SUPPORTED, record.claimed)
    return (
        f"Filings or newspapers confirm that accounts of the {IN_WORDS[int(record.claimed)]} brands"
        f" that were named were closed, frozen or restricted. Sunvalley lost {fell['Sunvalley']}"
        f" per cent of its revenue in {asked.after} and Youkeshu {fell['Youkeshu']}, while all"
        f" {IN_WORDS[len(changes.query('not closed'))]} others grew. How much the closures caused"
        f" is unknown: Youkeshu was falling in the first half of {asked.after}, and at least"
        f" {outside:.0f} per cent of its fall was outside Amazon. Sunvalley alone ended at"
        f" {quantity(percent_change(alone['estimate']), 'per cent')} per cent against the others;"
        f" luck would put it last once in {IN_WORDS[int(alone['assignments'])]} times."
        f" {IN_WORDS[len(listed.listed_later())].capitalize()} of the others were listed after"
        f" {before + 1}, perhaps because they had done well. Aukey, which kept selling on Amazon,"
        " publishes no revenue for the year before."
    )


def moved(found):
    """Say what is known of a shift to other platforms."""
    invest = found["C07 invest"]
    sell = found["C07 sell"]
    made = shift.elsewhere()
    youkeshu, sunvalley, aukey = (made.loc[name] for name in ("Youkeshu", "Sunvalley", "Aukey"))
    places = shift.named(closed=True)
    asked = {"eBay", "AliExpress"}
    assert (invest.word, sell.word, [*places]) == (
        NOT_TESTABLE,
        NOT_TESTABLE,
        ["Aukey", "Youkeshu"],
    )
    assert not asked & {*places["Aukey"]}
    assert asked <= {*places["Youkeshu"]}
    return (
        "No filing that we could open says what hit sellers invested elsewhere; of two that might,"
        " we could open only parts. Three sellers with closed accounts publish what they sold"
        " outside Amazon in all, or a limit on it. Youkeshu, which was on both platforms, sold"
        f" about {number(youkeshu['before'], 0)} million yuan there in {youkeshu['first']} and at"
        f" most {number(youkeshu['after'], 0)} million in {youkeshu['last']}; its web shops had"
        " shrunk before July 2021. Sunvalley's sales on Amazon fell by about"
        f" {number(sunvalley['lost'], 0)} million, by a press figure for {sunvalley['first']}, and"
        f" elsewhere they rose by {number(sunvalley['low'], 0)} to {number(sunvalley['high'], 0)}"
        f" million. Aukey sold {number(aukey['before'], 0)} million elsewhere in {aukey['first']}"
        f" and {number(aukey['after'], 0)} million in {aukey['last']}; an article on its prospectus"
        f" names {listing(places['Aukey'])}, and neither eBay nor AliExpress. None of this shows"
        " investment, or what the closures caused."
    )


def counts(found):
    """Say what is known of the numbers of closed or affected accounts."""
    own = found["C03"]
    group = found["C06"]
    assert own.word == group.word
    assert claims.readings(["C03", "C06"])["counted"].nunique() == 2  # they count different things
    told = (f"{quantity(one.claimed, one.unit)} {one.unit}" for one in (own, group))
    return f"{COUNTED[own.word].format(*told)}, and they count different things."


def bought(found):
    """Say what purchases of American households show."""
    share_ = found["C16 by households"]
    asked = given("05_households")
    tables = households.Households.load()
    assert (share_.tier, share_.word) == ("households", NOT_SHOWN)
    spec = households.Specification(definition=asked.definition)
    drawn = {"draws": asked.draws, "seed": asked.seed}
    left = recentring.recentred(tables, spec, **drawn)
    by_rule = recentring.recentred(
        tables, households.Specification(definition="by rule"), **drawn
    ).exp()
    register = data.load("household_register")["purchases"].sum()
    effects = left.details["effects"]
    change = left.exp()
    as_far, low, high = 100 * (effects <= effects[0]).mean(), *change.bounds("effect")
    assert low < 0 < high
    assert by_rule.value[0] > 0
    fell = number(-percent_change(effects[0]))
    return (
        "Purchases by American volunteers cannot tell whether other Chinese brands lost ground"
        " where closed brands had sold. A year later the share there of brands on our list of"
        f" Chinese ones was {fell} per cent lower than if it had grown as elsewhere. But"
        f" {as_far:.0f} of 100 random sets of similar categories lagged as much. Against their"
        f" average the change is {quantity(change.value[0], 'per cent')} per cent"
        f" [{span(low, high, 'per cent')}], which chance can explain. By a rule that finds more"
        f" brands, but errs, it is {quantity(by_rule.value[0], 'per cent')}. In all categories the"
        f" listed brands' share may have changed by {span(share_.low, share_.high, 'per cent')} per"
        f" cent of itself. What closed brands lost cannot be seen: only {register} of"
        f" {tables.buyers['purchases'].sum():,} purchases name one of them."
    )


ANSWER = {
    "Growth": growth,
    "What households bought": bought,
    "The closed sellers": closed_sellers,
    "The shift": moved,
    "The counts": counts,
}
"""What makes each bullet of README's answer from the verdicts that it quotes."""
