"""The brief: each answer is the event's sentence for its verdict, with as many verdicts as it says,
and nothing simulated.
"""

import re
from html import unescape
from itertools import product

import pytest
from pages import Page
from record import IN_WORDS, given, spoken
from test_exhibits import EVENT, V2, look, verdict

from analysis.evidence import claims, totals
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
from analysis.exhibits.answers import answer_of
from analysis.exhibits.payload import MIME
from runner.document import assembled

__all__ = ["look"]  # a fixture

SIM = {
    "tier": "sim",
    "provenance": "simulated",
    "market": "mid_3k, seed 1",
    "report": "simulated/panel_03_growth",
}
BARE = {"estimate": None, "low": None, "high": None}
PLAIN = EVENT.model_copy(update={"answers": {}, "headline": ()})


def of(question, **changes):
    """Return a verdict on a question of the event, or on a reading by its name."""
    claim, reading = EVENT.asked.get(question) or question.partition(" ")[::2]
    return verdict(**{"claim": claim, "reading": reading, "report": f"report_on_{claim}"} | changes)


def text(block):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", block.html)).split())


def labels(block):
    return len(re.findall('class="word ', block.html))


# Sentences


@pytest.mark.parametrize(("question", "word"), [*product(EVENT.answers, WORDS)])
def test_each_word_on_each_reading_has_a_sentence_without_a_number(question, word):
    written = EVENT.answers[question].model_dump(by_alias=True)[word]
    assert re.fullmatch(r"[A-Z][^{}\d]*[^.\s]\.", written.replace("{margin}", "our margin"))
    told = answer_of(of(question, word=word, margin=2.0), EVENT)
    assert told == written.replace("{margin}", "2 percentage points")
    open_word = "does not show whether|No independent|do not confirm|by no more than their usual"
    assert bool(re.search(open_word, told)) == (word == NOT_SHOWN), told


def test_no_two_words_on_a_reading_have_one_sentence():
    for question in EVENT.answers:
        told = {answer_of(of(question, word=word), EVENT) for word in WORDS}
        assert len(told) == len(WORDS)


def test_every_reading_of_the_event_that_can_be_tested_has_sentences():
    ledger = claims.readings(EVENT.claims).fillna({"reading": ""}).query("kind != 'untestable'")
    names = (ledger["claim_id"] + " " + ledger["reading"]).str.strip()
    assert {*EVENT.answers} == {EVENT.question(name) for name in names}
    assert {*EVENT.headline} <= {*EVENT.answers}


def test_without_a_sentence_the_statement_and_the_word_are_said():
    growth = of("growth_not_lower", statement="They grew. Not judged: “fast”.", word=NOT_SHOWN)
    assert answer_of(growth, PLAIN) == "They grew: not shown."
    assert brief.headline([growth], PLAIN) == "The verdicts on the claims are below."


def test_what_a_panel_or_a_simulated_market_says_is_called_so():
    public = answer_of(V2, EVENT)
    assert answer_of(verdict(tier="panel"), EVENT) == f"This panel: {public}"
    assert answer_of(verdict(**SIM), EVENT) == (
        f"In the simulated market (mid_3k, seed 1): {public}"
    )
    aside = verdict(tier="panel", aside="In this panel of 9 firms, not representative:")
    assert answer_of(aside, EVENT) == f"In this panel of 9 firms, not representative: {public}"


def test_the_headline_is_the_event_s_sentences_for_its_questions():
    record = of("C08 record", word=SUPPORTED)
    assert brief.headline([V2, record], EVENT) == (
        f"{answer_of(record, EVENT)} {answer_of(V2, EVENT)}"
    )
    assert brief.headline([record], EVENT) == answer_of(record, EVENT)
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


# Answers


def test_an_answer_is_what_its_report_says_below_the_sentence_that_the_headline_lacks():
    told = of("C08 market", word=SUPPORTED, detail="They fell by 18.", report="01_who_was_hit")
    page = brief.answers([told], EVENT, "C08 market")
    assert text(page) == (
        "Just after the notice of Youkeshu's owner, its shares fell beyond the market by more than"
        f" their usual swings. They fell by 18. {told.statement.rstrip('.')} : Supported (moderate"
        " confidence). Report 01 ."
    )
    said = of("C08 record", word=SUPPORTED, detail="Revenue fell by 46.", report="01_who_was_hit")
    assert text(brief.answers([said], EVENT, "C08 record")) == (
        f"Revenue fell by 46. {said.statement.rstrip('.')} : Supported (moderate confidence)."
        " Report 01 ."
    )


@pytest.mark.parametrize(("word", "level"), [*product(WORDS, CONFIDENCE)])
def test_a_confidence_stands_beside_a_word_that_decides_and_no_other(word, level):
    page = text(brief.answers([verdict(word=word, confidence=level)], EVENT, "growth_not_lower"))
    assert (f"{word} ({level} confidence)" in page) == (word in DECIDED)
    assert ("confidence" in page) == (word in DECIDED)


def test_public_figures_come_before_a_panel_or_purchases_of_households():
    public = verdict(detail="It takes 3 billion.", report="02_growth")
    panel = verdict(tier="panel", low=-3.0, high=2.7, report="panel_03_growth")
    page = brief.answers([panel, public], EVENT, "growth_not_lower")
    assert labels(page) == 2
    told = text(page)
    found = "−3.0 to +2.7 percentage points, by panel."
    assert told.index("It takes 3 billion.") < told.index(found)
    assert "This panel: The evidence" in brief.headline([panel, public], EVENT)
    assert "Report 02" in told


def test_what_cannot_be_tested_is_left_out_beside_another_reading():
    invested = of("more_presence_elsewhere", word=NOT_TESTABLE, **BARE)
    sold = of("more_sales_elsewhere", word=NOT_TESTABLE, **BARE)
    asked = ("more_presence_elsewhere", "more_sales_elsewhere")
    assert labels(brief.answers([invested, sold], EVENT, *asked)) == 1
    no_filing = invested.model_copy(update={"detail": "No filing says it."})
    page = text(brief.answers([no_filing], EVENT, *asked))
    assert page.startswith("No filing says it.")
    assert ": Not testable" in page
    more = sold.model_copy(update={"word": SUPPORTED})
    assert "Closed sellers sold more" in text(brief.answers([invested, more], EVENT, *asked))
    assert labels(brief.answers([invested, more], EVENT, *asked)) == 1


def test_a_question_that_no_report_answers_says_so():
    assert text(brief.answers([V2], EVENT, "C08 record")) == (
        "No report of this run judges a claim on this."
    )


# The page


def test_the_brief_prints_as_many_verdicts_as_it_says():
    judged = [one for name, one in spoken().items() if " by " not in name]
    panel = [verdict(tier="panel", panel="a"), of("C16", tier="panel", panel="a")]
    for every in (judged, [*judged, *panel]):
        answers = [brief.answers(every, EVENT, name) for name in ("C08 record", "growth_not_lower")]
        below = brief.below(every, EVENT, *answers)
        printed = sum(map(labels, (*answers, below)))
        said = re.search(r"(\w+) verdicts stand on this page", text(below))[1]
        assert said.lower() == IN_WORDS[printed]


def test_the_report_that_holds_all_verdicts_is_named_with_their_number():
    judged = [V2, of("C03", report="04_claims"), of("C06", report="04_claims")]
    answer = brief.answers(judged, EVENT, "growth_not_lower")
    assert "One verdict stands on this page; all three are in report 04 ." in text(
        brief.below(judged, EVENT, answer)
    )
    assert '<a href="04_claims.pdf">' in brief.below(judged, EVENT, answer).html


def test_what_public_figures_and_a_panel_find_stands_side_by_side_in_a_table():
    public = verdict(low=-7.0, high=0.0)
    panel = verdict(tier="panel", low=-3.0, high=2.7)
    head, row = Page(brief.below([public, panel], EVENT).html).rows()
    assert [cell[1] for cell in head] == [
        "What was said",
        "Verdict, and why",
        "What would change it",
    ]
    assert (
        "−7.0 to 0.0 percentage points, by public facts; −3.0 to +2.7 percentage points, by panel"
        in row[1][1]
    )
    assert not Page(brief.below([public], EVENT).html).rows()


def test_nothing_simulated_stands_on_the_page():
    told = verdict(**SIM, word=CONTRADICTED, low=-4.1, high=-2.2)
    for make in (brief.head, brief.below):
        assert make([told, V2], EVENT) == make([V2], EVENT)
    asked = ([told, V2], [V2])
    one, other = (brief.answers(judged, EVENT, "growth_not_lower") for judged in asked)
    assert one == other


def test_headline_sentences_and_verdicts_are_taken_away_as_data():
    judged = [of("growth_positive", word=SUPPORTED), verdict(report="02_growth", detail="So.")]
    page = brief.head(judged, EVENT)
    part, told = page.parts
    assert (part.kind, part.caption) == ("brief", brief.headline(judged, EVENT))
    assert told.data[["claim", "reading", "word"]].to_numpy().tolist() == [
        [one.claim, one.reading, one.word] for one in best(judged)
    ]
    assert told.data["source_url"].str.startswith("https://").all()
    assert page._repr_mimebundle_()[MIME] == [part.as_json(), told.as_json()]
    (answer,) = brief.answers(judged, EVENT, "growth_not_lower").parts
    assert answer.data.to_numpy().tolist() == [["02_growth.pdf", "So."]]


# Figures


def test_a_figure_stands_beside_its_answer_and_is_of_the_event_on_record():
    revenue = brief.picture(EVENT, "revenue")
    assert revenue.html.count("<figure") == 1
    assert brief.picture(EVENT.model_copy(update={"title": "Another"}), "revenue").html == ""
    beside = brief.answers([V2], EVENT, "growth_not_lower", beside=revenue)
    assert 'class="beside"' in beside.html
    assert beside.parts[1:] == revenue.parts


def test_without_a_figure_the_caption_below_is_left_out():
    def caption(block):
        shown = {"data": block._repr_mimebundle_()}
        cells = [
            {"cell_type": "code", "id": "a", "source": "", "metadata": {}, "outputs": [shown]},
            {"cell_type": "markdown", "id": "b", "source": "Figure: **T.** So.", "metadata": {}},
        ]
        done, _ = assembled({"cells": cells, "metadata": {}}, strict=True)
        (cell,) = done["cells"]
        return "So." in cell["outputs"][0]["data"]["text/html"]

    places = brief.picture(EVENT, "places")
    assert caption(brief.answers([V2], EVENT, "growth_not_lower", beside=places))
    assert not caption(brief.answers([V2], EVENT, "growth_not_lower"))
    assert not caption(brief.answers([], EVENT, "growth_not_lower"))


def test_the_line_of_dollars_has_the_published_sums_over_what_a_fall_takes():
    (drawn,) = brief.picture(EVENT, "dollars").parts
    rows = drawn.data.set_index("term")
    floor, loss = totals.closed_sales(given("02_growth").yuan_per_dollar)
    assert rows["conf_low"].tolist()[::2] == [floor, loss]
    assert rows.loc["our count", "conf_low"] > floor
    assert rows["asserted"].tolist() == [False, False, True]
