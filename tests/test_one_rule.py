"""One rule for both sides: whose word counts, of what time, and parties exchanged."""

import re

import pytest
from fewtreated.errors import DesignError
from reading import project_text

from analysis import data, on_trial
from analysis.evidence import claims, listed, sources
from analysis.evidence.sources import FUTURE, PAST, Published
from analysis.evidence.verdicts import CONTRADICTED, MEANING, NOT_SHOWN, NOT_TESTABLE, SUPPORTED

AMAZON = "Amazon"
GROUP = "Shenzhen Cross-Border E-Commerce Association"
SWAPPED = {AMAZON: GROUP, GROUP: AMAZON}
OTHER = "Marketplace Pulse"
SAID = "2021-09-17"

# What each kind of claim is given: one figure, and the word that it gets if the figure counts.
KINDS = {
    "positive": (5.0, {}, SUPPORTED),
    "not_lower": (0.0, {"margin": 2.0}, SUPPORTED),
    "unchanged": (-7.0, {"margin": 1.0}, CONTRADICTED),
    "at_most": (5.0, {"margin": 1.0}, CONTRADICTED),
    "direction": (5.0, {}, SUPPORTED),
    "fell": (5.0, {}, CONTRADICTED),
    "stated": (3000.0, {"claimed": 3000.0}, SUPPORTED),
    "documented": (1.0, {"parts": ["Mpow"]}, SUPPORTED),
}


def figure(by, value, **changes):
    return Published(by=by, low=value, high=value, part="Mpow", filing=True, **changes)


def word(kind, published, claimant, *, said=SAID, about=PAST, quantity="", **given):
    finding = claims.Finding(published=published, **given)
    return finding.admitting(claimant=claimant, said=said, about=about, quantity=quantity).word(
        kind
    )


def swapped(published):
    return [figure(SWAPPED.get(one.by, one.by), one.low) for one in published]


def test_every_kind_of_the_ledger_is_tried():
    assert {*data.load("readings")["kind"]} - {"untestable"} <= {*KINDS}
    assert {*data.load("verdict_rules")["kind"]} == {*KINDS}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("claimant", [AMAZON, GROUP])
def test_a_figure_counts_unless_it_is_the_claimants(kind, claimant):
    value, given, counted = KINDS[kind]
    assert word(kind, [figure(OTHER, value)], claimant, **given) == counted
    assert word(kind, [figure(SWAPPED[claimant], value)], claimant, **given) == counted
    assert word(kind, [figure(claimant, value)], claimant, **given) == NOT_SHOWN


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "speakers", [[AMAZON], [GROUP], [AMAZON, GROUP], [AMAZON, OTHER], [GROUP, OTHER], [OTHER], []]
)
@pytest.mark.parametrize("claimant", [AMAZON, GROUP])
def test_parties_that_change_places_get_the_same_word(kind, speakers, claimant):
    value, given, _ = KINDS[kind]
    published = [
        figure(by, value * factor) for by, factor in zip(speakers, (1.0, -3.0), strict=False)
    ]
    before = word(kind, published, claimant, **given)
    assert word(kind, swapped(published), SWAPPED[claimant], **given) == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("claimant", [AMAZON, GROUP])
def test_a_figure_of_another_quantity_does_not_count_for_either_side(kind, claimant):
    value, given, counted = KINDS[kind]
    of_sales = figure(OTHER, value, of="share of sales")
    of_top_sellers = figure(OTHER, value, of="share of top sellers")
    assert word(kind, [of_sales], claimant, quantity="share of sales", **given) == counted
    assert word(kind, [of_top_sellers], claimant, quantity="share of sales", **given) == NOT_SHOWN


def test_each_quantity_of_the_ledger_is_one_that_is_published():
    published = [*on_trial.of_growth(), *on_trial.of_share()]
    assert {*data.load("readings")["quantity"].dropna()} <= {one.of for one in published}


def test_shares_of_top_sellers_neither_bear_out_nor_refute_what_amazon_says_of_sales():
    by_all = claims.Finding(published=on_trial.of_share(), margin=2.5)
    unchanged = claims.judge("C16", finding=by_all)
    fell = on_trial.share_fell()
    assert (unchanged.word, fell.word) == (NOT_SHOWN, NOT_SHOWN)
    admitted = by_all.admitting(claimant=AMAZON, said="2022-01-11", about=PAST, quantity="")
    assert admitted.word("unchanged") == CONTRADICTED  # if top sellers stood in for sales


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_claimant_says_beside_others_changes_no_word(kind):
    value, given, _ = KINDS[kind]
    for others in ([value], [value, -3 * value], [-3 * value]):
        published = [figure(OTHER, one) for one in others]
        alone = word(kind, published, AMAZON, **given)
        assert word(kind, [*published, figure(AMAZON, 7 * value)], AMAZON, **given) == alone


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("stated", "documented")])
@pytest.mark.parametrize("claimant", [AMAZON, GROUP])
def test_a_range_that_rests_on_the_claimants_figure_is_not_counted(kind, claimant):
    value, given, counted = KINDS[kind]
    for rests_on in ([OTHER], [SWAPPED[claimant], OTHER], []):
        assert (
            word(kind, [], claimant, interval=(value, value + 0.1), rests_on=rests_on, **given)
            == counted
        )
    ours = {"interval": (value, value + 0.1), "rests_on": [OTHER, claimant]}
    assert word(kind, [], claimant, **ours, **given) == NOT_SHOWN


# One definition of the two words that decide nothing


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("claimant", [AMAZON, GROUP])
def test_what_nobody_speaks_of_is_not_testable(kind, claimant):
    _, given, _ = KINDS[kind]
    without = {name: what for name, what in given.items() if name != "claimed"}
    assert word(kind, [], claimant, **without) == NOT_TESTABLE


def test_a_claim_of_investment_gets_the_word_of_the_same_definition():
    own = [figure(GROUP, 5.0)]
    for name in (("C07", "invest"), ("C07", "sell")):
        assert claims.judge(*name).word == NOT_TESTABLE
        assert claims.judge(*name, claims.Finding(published=own)).word == NOT_SHOWN
        assert (
            claims.judge(*name, claims.Finding(published=[figure(AMAZON, 5.0)])).word == SUPPORTED
        )


def test_both_words_are_defined_once_and_printed_the_same_everywhere():
    glossary = project_text("docs/glossary.md")
    page = project_text("runner/templates/index.html.j2")
    legend = re.search(r'<dl class="legend">.*?</dl>', page, re.DOTALL).group()
    method = project_text("notebooks/04_claims.ipynb")
    for name, meaning in MEANING.items():
        assert meaning in legend
        if name in (NOT_SHOWN, NOT_TESTABLE):
            assert f"- **{name}**: {meaning}" in glossary
            assert f"*{name}*: {{eval}}`meaning['{name}']`" in method
    assert legend.count("<dd>") == len(MEANING)


# Of what time


@pytest.mark.parametrize(
    ("first", "last", "said", "is_past"),
    [
        ("2021", "2021", "2021-09-17", True),  # most of the year was over
        ("2021-12", "2021-12", "2021-09-17", False),
        ("2021-12", "2021-12", "2022-01-11", True),
        ("2021-09-17", "2021-09-17", "2021-09-17", True),
        ("2021-09-18", "2021-09-18", "2021-09-17", False),
        ("2021-07", "2021-07", "2021-07", True),
        ("2021", "2022", "2021-09-17", False),
        ("2020", "2021", "2021-09-17", True),
    ],
)
def test_a_claim_admits_figures_of_the_time_that_it_can_be_about(first, last, said, is_past):
    one = [figure(OTHER, 5.0, first=first, last=last)]
    assert word("positive", one, AMAZON, said=said) == (SUPPORTED if is_past else NOT_TESTABLE)
    assert word("positive", one, AMAZON, said=said, about=FUTURE) == (
        NOT_TESTABLE if is_past else SUPPORTED
    )


def test_the_claimants_own_figure_of_another_time_is_no_figure_on_the_claim():
    late = [figure(AMAZON, 5.0, first="2021-12")]
    assert word("positive", late, AMAZON) == NOT_TESTABLE


def test_a_claim_about_no_time_is_refused():
    with pytest.raises(DesignError, match="Cannot date a claim that is about 'then'"):
        sources.admitted_figures([], claimant=AMAZON, said=SAID, about="then")


# Products of two sources


@pytest.mark.parametrize("kind", KINDS)
def test_a_product_takes_a_word_away_and_gives_none(kind):
    value, given, counted = KINDS[kind]
    product, other = (figure("A, times B", one, product=True) for one in (value, -3 * value))
    assert word(kind, [product], AMAZON, **given) == NOT_SHOWN
    assert word(kind, [figure(OTHER, value), product], AMAZON, **given) == counted
    if kind in ("positive", "direction", "fell", "stated"):
        assert word(kind, [figure(OTHER, value), other], AMAZON, **given) == NOT_SHOWN


def test_the_claimants_word_times_anybodys_growth_is_the_claimants_word():
    for by in (
        f"{AMAZON}'s statement, times growth by {OTHER}",
        f"{OTHER}, times growth by {AMAZON}",
    ):
        assert sources.is_word_of(by, "Amazon (vice-president Cindy Tai)")
        assert not sources.is_word_of(by, GROUP)


# Whose word it is


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("South China Morning Post citing Amazon", AMAZON),
        ("Amazon (own filings)", AMAZON),
        ("Amazon 10-Q 2022 Q3 (copy in docugami/KG-RAG-datasets @547f132d)", AMAZON),
        ("Wang Xin (Shenzhen Cross-Border E-Commerce Association)", GROUP),
        ("Marketplace Pulse (via ChinaTalk.nl)", OTHER),
        ("ChinaTalk.nl citing Marketplace Pulse", OTHER),
        ("FBA Monthly (copy of Marketplace Pulse)", OTHER),
        ("Business Upturn citing SCMP", "South China Morning Post"),
        ("The Star (SCMP)", "South China Morning Post"),
        ("middleofthefairway repost of Tiza notice", "Youkeshu"),
        ("Youkeshu (Tiza), as reported by the South China Morning Post", "Youkeshu"),
        ("Ben's Bargains", "Ben's Bargains"),
    ],
)
def test_a_citation_is_the_word_of_whom_it_cites(name, whose):
    assert sources.party(name) == whose


# Records


def documented(records, names, claimant):
    admitted = sources.admitted_figures(records, claimant=claimant, said="", about=PAST)
    return dict(zip(names, admitted.documented(names), strict=True))


def test_one_publisher_is_no_record_two_are_and_a_filing_is():
    one, two = (Published(by=by, part="Mpow") for by in ("Ben's Bargains", OTHER))
    copy = Published(by="Luzi-m (copy of Marketplace Pulse)", part="Mpow")
    for records, is_record in (([one], False), ([one, two], True), ([two, copy], False)):
        assert documented(records, ["Mpow"], AMAZON) == {"Mpow": is_record}
    assert documented(
        [Published(by="A notice", part="Mpow", filing=True)], ["Mpow", "Aukey"], AMAZON
    ) == {"Mpow": True, "Aukey": False}


def test_the_newspaper_is_no_witness_to_its_own_claim_nor_is_our_column_on_exposure(monkeypatch):
    newspaper = "South China Morning Post"
    names = ["Aukey", "Mpow", "Youkeshu", "Nobody Ltd"]
    records = listed.records_of_brands(names)
    assert documented(records, names, newspaper) == dict.fromkeys(names[:3], True) | {
        "Nobody Ltd": False
    }
    mpow = [one for one in records if one.part == "Mpow"]
    assert newspaper in {sources.party(one.by) for one in mpow}
    without = [one for one in mpow if sources.party(one.by) == newspaper or one.by == OTHER]
    assert documented(without, ["Mpow"], newspaper) == {"Mpow": False}
    assert documented(without, ["Mpow"], AMAZON) == {"Mpow": True}
    load = data.load
    facts = {
        "listed_sellers": load("listed_sellers").assign(measure="revenue"),
        "events": load("events").head(0),
    }
    monkeypatch.setattr(
        data, "load", lambda name, **given: facts[name] if name in facts else load(name, **given)
    )
    assert listed.records_of_brands(names) == []


def test_what_a_reading_leaves_out_stands_beside_its_verdict():
    ledger = claims.readings().fillna({"omits": "", "reading": ""})
    omitting = ledger[ledger["omits"] != ""]
    assert len(omitting) > 1
    for row in omitting.itertuples():
        assert row.statement.endswith(f" Not judged: {row.omits}.")
    told = claims.judge("C08", "record")
    assert told.statement.endswith("Not judged: whether they were among the biggest.")


def test_the_rule_on_what_is_admitted_is_written_for_every_reading():
    ledger = data.load("readings")
    assert ledger["admits"].str.len().min() > 20
    assert {*ledger["about"]} <= {PAST, FUTURE}
