"""The brief: sentences that follow from the words of verdicts, five claims at most, and nothing
simulated.
"""

import re
from collections import Counter
from html import unescape
from itertools import product

import pytest
from pages import Page
from record import IN_WORDS, spoken
from test_exhibits import EVENT, V2, look, verdict

from analysis.evidence import claims, listed
from analysis.evidence.verdicts import (
    CONFIDENCE,
    CONTRADICTED,
    DECIDED,
    NOT_SHOWN,
    NOT_TESTABLE,
    SUPPORTED,
    WORDS,
    best,
)
from analysis.exhibits import brief
from analysis.exhibits.answers import OURS, phrases
from analysis.exhibits.payload import MIME
from analysis.numbers import spelled

__all__ = ["look"]  # a fixture

SIM = {
    "tier": "sim",
    "provenance": "simulated",
    "market": "mid_3k, seed 1",
    "report": "simulated/05_growth_panel",
}
BARE = {"estimate": None, "low": None, "high": None}
HEDGED = {"high": set(), "moderate": {"probably"}, "low": {"may have", "may not have"}}
UNKNOWN = {
    NOT_SHOWN: "public evidence does not show whether",
    NOT_TESTABLE: "we found no public figure that shows whether",
}


def of(question, **changes):
    """Return a verdict on a question of the event, or on a reading by its name."""
    claim, reading = EVENT.asked.get(question) or question.partition(" ")[::2]
    return verdict(**{"claim": claim, "reading": reading, "report": f"report_on_{claim}"} | changes)


def text(block):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", block.html)).split())


def rows(judged, event=EVENT):
    return [[cell[1] for cell in row] for row in Page(brief.brief_table(judged, event).html).rows()]


# Sentences


@pytest.mark.parametrize(
    ("question", "word", "level"), [*product(phrases().sayings, WORDS, CONFIDENCE)]
)
def test_no_sentence_says_more_than_its_word(question, word, level):
    saying = phrases().sayings[question]
    claimed = {"claimed": 3000.0, "unit": "accounts"}
    for found in ({}, BARE, {"estimate": -3.0}):
        one = of(question, word=word, confidence=level, **claimed | found)
        told = brief.topic_sentence([one], EVENT)
        assert re.fullmatch(r"[A-Z0-9][^{}]*\.", told)
        assert "no effect" not in told
        assert not re.search(r"\b[CEV]\d", told)
        assert (brief.finding_in_words(one) in told) == (found != BARE and word in DECIDED)
        assert (f"{level} confidence" in told) == (word in DECIDED)
        hedges = {hedge for hedge in ("probably", "may have", "may not have") if hedge in told}
        if word in UNKNOWN and not (saying.record and word == NOT_SHOWN):
            assert told.lower().startswith(UNKNOWN[word])
            assert not hedges
            assert " not " not in told.replace("does not show", "")
        elif saying.record:
            assert not hedges
        else:
            assert hedges <= HEDGED[level]
            assert bool(hedges) == bool(HEDGED[level])
            assert (" not " in told) == ((word == CONTRADICTED) != saying.denied)


def test_one_verdict_answers_in_a_sentence_and_what_a_panel_says_is_not_called_public():
    told = brief.topic_sentence([verdict(word=NOT_SHOWN)], EVENT).removeprefix("Public evidence ")
    assert brief.told(verdict(word=NOT_SHOWN), EVENT) == f"Public evidence {told}"
    for of in ({"tier": "panel"}, SIM):
        assert brief.told(verdict(word=NOT_SHOWN, **of), EVENT) == f"This panel {told}"
    assert brief.told(None, EVENT) == ""


def test_sentences_that_begin_alike_share_their_beginning_and_what_cannot_be_tested_is_left_out():
    shift = of("more_presence_elsewhere", margin=None)
    sold = of("more_sales_elsewhere", word=NOT_TESTABLE, **BARE)
    theirs = [of("growth_positive", word=NOT_SHOWN), of("C08 market", word=NOT_SHOWN)]
    assert (
        brief.topic_sentence([shift, sold, *theirs], EVENT)
        == "Public evidence does not show whether some affected Chinese merchants put more money"
        " into other platforms, such as eBay and AliExpress, whether Chinese sellers' growth on"
        " Amazon stayed positive or whether shares of Youkeshu's owner dropped beyond the market"
        " by more than their usual swings in the two days after its notice."
    )
    sure = [
        shift.model_copy(update={"word": SUPPORTED}),
        sold.model_copy(update={"word": SUPPORTED}),
    ]
    sure = [one.model_copy(update={"confidence": "moderate"} | BARE) for one in sure]
    assert (
        brief.topic_sentence(sure, EVENT)
        == "Some affected Chinese merchants probably put more money into other platforms, such as"
        " eBay and AliExpress; closed merchants probably sold more on eBay and AliExpress"
        " (moderate confidence)."
    )
    assert (
        brief.topic_sentence([sold], EVENT)
        == "We found no public figure that shows whether closed merchants sold more on eBay and"
        " AliExpress."
    )


def test_every_reading_of_the_event_that_can_be_tested_has_a_sentence_or_a_row():
    ledger = claims.readings(EVENT.claims).fillna({"reading": ""}).query("kind != 'untestable'")
    known = {
        brief.question(verdict(claim=row.claim_id, reading=row.reading), EVENT)
        for row in ledger.itertuples()
    }
    assert {*phrases().sayings} <= known
    assert {*phrases().rows} <= known
    assert {name for names in phrases().topics.values() for name in names} <= {*phrases().sayings}


def test_the_headline_of_the_record_is_this():
    record = of(
        "C08 record",
        word=SUPPORTED,
        estimate=3.0,
        claimed=3.0,
        low=None,
        high=None,
        unit="brands named",
    )
    assert (
        brief.headline([record, V2], EVENT)
        == "Amazon closed, froze or restricted accounts of the Chinese sellers Aukey, Mpow and"
        " Youkeshu. Public evidence does not show whether the closures slowed the growth of all"
        " Chinese sellers on Amazon by more than 2 percentage points in 2021."
    )
    assert brief.headline([], EVENT) == "No claim could be judged."
    assert brief.headline([of("C12")], EVENT) == "The verdicts on the claims are below."


@pytest.mark.parametrize(
    ("changes", "written"),
    [
        ({"found": "At best 7"}, "At best 7"),
        ({"low": -1.0, "high": 7.25}, "−1.0 to +7.3 per cent"),
        ({"low": -1.0, "high": 7.25, "estimate": 3.0}, "+3.0 (bounds: −1.0 to +7.3) per cent"),
        (
            {"low": -1.0, "high": 7.25, "estimate": 3.0, "interval": "95% interval"},
            "+3.0 [−1.0 to +7.3] per cent",
        ),
        (BARE | {"claimed": 9.0}, "claimed +9.0 per cent"),
        (BARE, "–"),
    ],
)
def test_a_finding_has_its_own_words_or_numbers_and_no_mark(changes, written):
    assert brief.finding_in_words(verdict(unit="per cent", **changes)) == written


def test_statements_are_counted_by_their_word():
    judged = [of("C03", word=SUPPORTED), of("C06"), of("C12"), of("C02", word=NOT_TESTABLE, **BARE)]
    assert (
        brief.tally(judged)
        == "Of four statements we find one supported, two not shown and one not testable."
    )
    assert brief.tally(judged) in brief.brief(judged, EVENT).html
    asked = of("C08 market", word=SUPPORTED, claimant="Our question (after a report)")
    assert (
        brief.tally([*judged, asked]) == f"{brief.tally(judged)} Our own question: one supported."
    )


def test_the_brief_prints_as_many_verdicts_of_each_word_as_it_counts():
    """Count words in the table, in the lines below it, and in the line of those not listed."""
    judged = [one for name, one in spoken().items() if " by " not in name]
    page = text(brief.brief_table(judged, EVENT))
    told, unlisted = page.split("The same rules for all")[0].split("Not listed: ")
    numbers = {name: number for number, name in enumerate(IN_WORDS)}
    for word in WORDS:
        clause = next((part for part in unlisted.split(";") if part.strip().startswith(word)), "")
        others = sum(
            int(numbers.get(count, 0) or count) for count in re.findall(r"(\w+) in report", clause)
        )
        listed_ = len(re.findall(rf"\b{word}\b(?! by)", told))
        assert listed_ + others == sum(one.word == word for one in judged), word
    counted = Counter(one.word for one in judged if one.party != OURS)
    for word, count in counted.items():
        assert f"{spelled(count)} {word.lower()}" in brief.tally(judged)


def test_what_households_and_public_figures_find_stands_side_by_side():
    public = verdict(low=-7.0, high=0.0)
    bought = verdict(tier="households", low=-3.0, high=2.7)
    told = text(brief.brief_table([public, bought], EVENT))
    assert (
        "−7.0 to 0.0 percentage points, by public facts; −3.0 to +2.7 percentage points, by the"
        " trade" in told
    )


# The page


def test_the_table_has_five_claims_at_most_and_the_rest_in_a_line():
    judged = [of(name, statement=f"{name}.", margin=None) for name in reversed(phrases().rows)]
    judged += [
        of("C12", statement="Frozen.", margin=None),
        of("C02", statement="Unknown.", word=NOT_TESTABLE, **BARE),
    ]
    head, *body = rows(judged)
    assert head == ["What was said", "Verdict, and why", "What would change it"]
    shown = [row[0].partition(" (Amazon")[0] for row in body]
    assert set(shown) == set(phrases().rows[: brief.MOST])
    below = text(brief.brief_table(judged, EVENT))
    assert "more_sales_elsewhere (Amazon, as we read it): Not shown. −16.1 to +2.8" in below
    assert re.search(
        r"Not listed: Not shown, one in report \w\w; Not testable, one in report \w\w\.", below
    )
    assert not any("Unknown" in row[0] for row in body)


def test_the_numbers_behind_a_word_follow_it_and_those_of_public_figures_come_first():
    public = verdict(detail="It takes 3 billion.", report="05_growth_public")
    bought = verdict(tier="households", report="09_households", detail="Rivals lost 1.")
    ((topic, page, told),) = brief.by_topic([bought, public], EVENT)
    assert (topic, page) == ("All Chinese sellers", "05_growth_public.pdf")
    assert (
        told == "It takes 3 billion. Rivals lost 1."
    )  # in place of the sentence, where each answer has its own
    ((*_, told),) = brief.by_topic(
        [verdict(tier="households", report="09_households"), public], EVENT
    )
    assert told.endswith("by more than 2 percentage points in 2021. It takes 3 billion.")


def test_nothing_simulated_stands_on_the_page():
    told = verdict(**SIM, word=CONTRADICTED, low=-4.1, high=-2.2)
    page, table = (make([told, V2], EVENT) for make in (brief.brief, brief.brief_table))
    assert table == brief.brief_table([V2], EVENT)
    assert page == brief.brief([V2], EVENT)


# Figures


def test_the_pictures_are_of_the_event_on_record_and_date_its_closures():
    both = brief.pictures(EVENT, after=2021, last=2023)
    assert both.html.count("<figure") == 2
    strip = unescape(both.html)
    for term in claims.closures()["term"]:
        assert term in strip
    other = EVENT.model_copy(update={"title": "Another"})
    assert brief.pictures(other, after=2021, last=2023).html == ""
    beside = brief.brief([V2], EVENT, beside=both)
    assert 'class="beside"' in beside.html
    assert beside.parts[2:] == both.parts


def test_headline_and_sentences_of_the_page_are_taken_away_as_data():
    judged = [of("growth_positive", word=SUPPORTED), verdict(report="05_growth_public")]
    page = brief.brief(judged, EVENT)
    part, spoken = page.parts
    assert (part.kind, part.caption) == ("brief", brief.headline(judged, EVENT))
    assert part.data.to_numpy().tolist() == [[*row] for row in brief.by_topic(judged, EVENT)]
    assert spoken.data[["claim", "reading", "word"]].to_numpy().tolist() == [
        [one.claim, one.reading, one.word] for one in best(judged)
    ]
    assert spoken.data["source_url"].str.startswith("https://").all()
    assert page._repr_mimebundle_()[MIME] == [part.as_json(), spoken.as_json()]


def test_the_title_of_the_revenue_figure_counts_what_fell(monkeypatch):
    told = brief.listed_revenue(EVENT, 2021, 2023).html
    real = listed.indexed
    monkeypatch.setattr(listed, "indexed", lambda *years: real(*years).assign(Anker=90.0))
    other = brief.listed_revenue(EVENT, 2021, 2023).html
    said = [re.findall(r'alt="([^"]+?)\. Revenue \(', html)[0] for html in (told, other)]
    assert "The two closed sellers with figures for 2020 and 2021 lost revenue" in said[0]
    assert said[0] != said[1]
