"""The brief: a one-page summary of a run's verdicts on an event.

The headline and the sentences follow from verdicts, confidence and estimates by the rules in
``data/words.yml``, so that none claims more than its verdict. Results for a simulated market are
left out unless the run has no others, in which case the brief is about that market.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import chain
from typing import TYPE_CHECKING

import pandas as pd

from analysis import data
from analysis.evidence import claims, listed
from analysis.evidence.verdicts import (
    CONTRADICTED,
    DECIDED,
    NOT_TESTABLE,
    SUPPORTED,
    WORDS,
    Verdict,
    apart,
    best,
    displaced_verdicts,
    unjudged,
)
from analysis.exhibits import words
from analysis.exhibits.answers import OURS, by_whom, finding, label, phrases
from analysis.exhibits.blocks import NOTHING, Block, Label, box, figure, link, say, table
from analysis.exhibits.charts import timeline
from analysis.exhibits.curves import paths
from analysis.exhibits.payload import BRIEF, SPOKEN, Part
from analysis.exhibits.style import BESIDE, WIDTH
from analysis.numbers import MARKS, points, spelled
from analysis.provenance import ANNEX

if TYPE_CHECKING:
    from analysis.event import Event

MOST = 5  # maximum number of rows in the table


# Sentences


def question(verdict: Verdict, event: Event) -> str:
    """Return the event's question that a verdict answers, or else the verdict's name."""
    by_reading = {" ".join(reading).strip(): name for name, reading in event.asked.items()}
    return by_reading.get(verdict.name, verdict.name)


def clause(verdict: Verdict, event: Event, who: str = "") -> tuple[str, str]:
    """Return the beginning of a sentence about a verdict, and its main clause.

    The beginning may be empty, and the clause contains no numbers. `who` is a pronoun that replaces
    the subject.
    """
    saying = phrases().sayings[question(verdict, event)]
    word = verdict.word
    if saying.denied:
        word = {SUPPORTED: CONTRADICTED, CONTRADICTED: SUPPORTED}.get(
            word, word
        )  # the saying is reversed
    begins = phrases().begins | (phrases().on_record if saying.record else {})
    if saying.record:
        forms = {}
    else:
        forms = phrases().forms.get(word, {})
    values = {
        "own": event.origin_name,
        "home": event.platforms[event.home],
        "there": " and ".join(event.platforms[code] for code in event.destinations),
        "margin": (
            "nothing"
            if verdict.margin is None
            else points(verdict.margin).replace(" ", " percentage ")
        ),
        "when": f" in {verdict.window[:4]}" if re.match(r"\d{4} on ", verdict.window) else "",
    }
    parts = {name: getattr(saying, name).format(**values) for name in ("who", "did", "do", "what")}
    form = forms.get(verdict.confidence, phrases().so)
    return begins.get(word, ""), form.format(**parts | ({"who": who} if who else {}))


def told(verdict: Verdict | None, event: Event) -> str:
    """Return one verdict as a sentence, or an empty string if there is no verdict."""
    if verdict is None:
        return ""
    text = words.capitalised(" ".join(filter(None, clause(verdict, event))))
    if verdict.word == NOT_TESTABLE:
        own = "This panel does not test"
    else:
        own = "This panel"
    public = "Public evidence|We found no public figure that shows"
    return f"{re.sub(public, own, text) if verdict.tier in ('panel', 'sim') else text}."


def topic_sentence(verdicts: Sequence[Verdict], event: Event) -> str:
    """Return the answers to the questions on one topic as a sentence.

    Answers that begin in the same words are joined. Untestable questions are left out if another
    question on the topic can be tested.
    """
    alike: dict[tuple[str, str], list[str]] = {}
    for verdict in [one for one in verdicts if one.word != NOT_TESTABLE] or verdicts:
        begins, text = clause(verdict, event)
        decided = verdict.word in DECIDED  # with other words, number and confidence mean nothing
        if decided:
            sure = f"{verdict.confidence} confidence"
        else:
            sure = ""
        if decided and verdict.low is not None:
            numbers = finding_in_words(verdict)
        else:
            numbers = ""
        if sure and verdict.tier not in ("facts", "listed"):
            source = phrases().tiers[verdict.tier]
        else:
            source = ""
        after = "; ".join(filter(None, (source, sure)))
        alike.setdefault((begins, after), []).append(f"{text} ({numbers})" if numbers else text)
    clauses = []
    for (begins, after), texts in alike.items():
        again = begins.rpartition(" ")[2]
        but_last = f", {again} ".join(texts[:-1])
        if begins:
            whole = f" or {again} ".join(filter(None, [but_last, texts[-1]]))
        else:
            whole = "; ".join(texts)
        clauses.append(f"{begins} {whole}".strip() + (f" ({after})" if after else ""))
    return words.capitalised("; ".join(clauses).replace(") (", "; ")) + "."


def by_topic(verdicts: Sequence[Verdict], event: Event) -> Iterator[tuple[str, str, str]]:
    """Yield the name, page and sentences of each topic that has a verdict.

    What the reports themselves say of their answers follows the sentence, or replaces it where all
    of them do. If households or a panel take precedence, it includes what is said of public
    figures.
    """
    answers = {question(verdict, event): verdict for verdict in best(verdicts)}
    public = displaced_verdicts(verdicts)
    for topic, names in phrases().topics.items():
        if mine := [answers[name] for name in names if name in answers]:
            every = [
                other for verdict in mine for other in (*public.get(verdict.name, ()), verdict)
            ]
            detailed = [verdict for verdict in every if verdict.detail]
            if all(verdict.detail for verdict in mine):
                said = []
            else:
                said = [topic_sentence(mine, event)]
            yield (
                topic,
                _page((detailed or mine)[0]),
                " ".join([*said, *(verdict.detail for verdict in detailed)]),
            )


def tally(verdicts: Sequence[Verdict]) -> str:
    """Count the statements by verdict, and our own questions apart.

    Return an empty string if none is judged.

    The counts are those of the words in the table and in the lines below it.
    """
    told = sorted(best(verdicts), key=lambda verdict: WORDS.index(verdict.word))
    theirs = Counter(verdict.word.lower() for verdict in told if verdict.party != OURS)
    ours = Counter(verdict.word.lower() for verdict in told if verdict.party == OURS)
    found = words.listing(f"{spelled(count)} {word}" for word, count in theirs.items())
    answered = words.listing(f"{spelled(count)} {word}" for word, count in ours.items())
    if ours.total() == 1:
        questions = "question"
    else:
        questions = "questions"
    if found:
        said = f"Of {spelled(theirs.total())} statements we find {found}."
    else:
        said = ""
    if ours:
        asked = f"Our own {questions}: {answered}."
    else:
        asked = ""
    return " ".join(filter(None, (said, asked)))


def headline(verdicts: Sequence[Verdict], event: Event) -> str:
    """Return the headline, based on the verdicts from the best data."""
    answers = {question(verdict, event): verdict for verdict in best(verdicts)}
    if not answers:
        return "No claim could be judged."
    names = [name for name in phrases().headline if name in answers]
    clauses = list[str]()
    before = ""
    for name in names or [name for name in phrases().sayings if name in answers][:1]:
        who = phrases().sayings[name].who
        clauses.append(
            " ".join(filter(None, clause(answers[name], event, "they" if who == before else "")))
        )
        before = who
    text = ". ".join(map(words.capitalised, clauses))
    if text:
        return f"{text}."
    return "The verdicts on the claims are below."


def finding_in_words(verdict: Verdict) -> str:
    """Format a verdict's finding on one line, without the mark.

    The result is a dash if there is no finding.
    """
    return finding(verdict).removesuffix(MARKS[verdict.provenance]).replace("\n", " ").strip()


def _page(verdict: Verdict) -> str:
    return f"{verdict.report or verdict.notebook}.pdf"


# The page


def brief(
    verdicts: Sequence[Verdict],
    event: Event,
    *,
    failed: str = "",
    panel: str = "",
    beside: Block = NOTHING,
) -> Block:
    """Return the headline and the answer, with one paragraph per topic.

    Each topic is linked to its report. `failed` names the reports that failed in the run; `panel`
    describes its panel and any doubts about it. Figures may be placed `beside` the answer. The
    first parts contain the headline, sentences and verdicts as data.
    """
    above = headline(verdicts, event)
    topics = [*by_topic(verdicts, event)]
    paragraphs = [  # what the headline says is not said again
        f"<strong>{link(topic, page)}.</strong>"
        f" {escape(text.removeprefix(above.partition('. ')[2]).strip() or text)}"
        for topic, page, text in topics
    ]
    missing = failed and f"<strong>Missing, for they failed in this run:</strong> {escape(failed)}."
    if best(verdicts):
        silent = ""
    else:
        silent = f"{escape(event.title)}: no report in this run judges any of its claims."
    answer = box("answer", *paragraphs, *filter(None, (missing, escape(panel), silent)))
    if beside.html:
        answer = (
            '<div class="beside"'
            f' style="display:flex"><div>{answer}</div><div>{beside.html}</div></div>'
        )
    page = pd.DataFrame(topics, columns=[*BRIEF], dtype=object)
    parts = (Part("brief", above, page), _spoken(best(verdicts)), *beside.parts)
    lead = f"<p>{escape(' '.join(filter(None, (event.background, tally(verdicts)))))}</p>"
    return Block(box("headline", f"<strong>{escape(above)}</strong>") + lead + answer, above, parts)


def _spoken(verdicts: Sequence[Verdict]) -> Part:
    """Return verdicts as data for export, with the date and source of each claim."""
    ledger = data.load("claims").set_index("claim_id")[["date", "source_url"]].astype(str)
    said = ledger.to_dict("index")
    rows = [
        {**dict(verdict), "party": verdict.party, **said.get(verdict.claim, {})}
        for verdict in verdicts
    ]
    return Part("spoken", "", pd.DataFrame(rows, columns=[*SPOKEN], dtype=object))


def brief_table(
    verdicts: Sequence[Verdict],
    event: Event,
    *,
    since: str = "",
    changed: str = "",
    corrected: str = "",
) -> Block:
    """Return the table of testable claims, with at most `MOST` rows, and the lines below it.

    The first lines say which parameters and data `changed` since the last commit, and what is
    `corrected` of what earlier releases said. The last line lists changes `since` the previous
    release.

    The verdicts come from the best data (:func:`analysis.evidence.verdicts.best`). Results of an
    unrepresentative panel on totals follow, without a verdict.
    """
    told = {"Not as committed.": changed, "Corrected:": corrected}
    told = {lead: text for lead, text in told.items() if text}
    if not verdicts:
        none = say(
            "No report of this run judges a claim: the event names none that these data could"
            " bear on."
        )
        if told:
            return none + _small(told)
        return none
    spoken = best(verdicts)
    if not spoken and all(verdict.simulated for verdict in verdicts):
        spoken = [verdict for by_name in apart(verdicts).values() for verdict in by_name.values()]
    shown = _in_table(spoken, event)
    lines = told | _below(verdicts, spoken, shown, event)
    if not shown:
        return _small(lines, since=since)
    rule = f"{phrases().rule} Data and code: {link('annex', ANNEX)}."
    return _claims_table(shown, displaced_verdicts(verdicts)) + _small(lines, rule, since)


def _in_table(spoken: Sequence[Verdict], event: Event) -> list[Verdict]:
    """Return the verdicts in the table: the first of the testable ones, in their order."""
    order = {name: row for row, name in enumerate(phrases().rows)}
    rank = {verdict.name: order.get(question(verdict, event), len(order)) for verdict in spoken}
    named = [one for one in spoken if one.word != NOT_TESTABLE or rank[one.name] < MOST]
    first = sorted(named, key=lambda verdict: rank[verdict.name])[:MOST]
    return [verdict for verdict in named if verdict in first]


def _claims_table(shown: Sequence[Verdict], public: Mapping[str, Sequence[Verdict]]) -> Block:
    """Return the table of claims that have a verdict in the brief."""
    columns = {
        "What was said": [_claim(verdict) for verdict in shown],
        "Verdict, and why": [_word(verdict, public) for verdict in shown],
        "What would change it": [
            re.split(r":|\. ", verdict.change)[0].rstrip(".") + "." for verdict in shown
        ],
    }
    caption = "What was said, and what the evidence shows."
    look = "real"
    if shown[0].simulated:
        caption = f"{caption} {shown[0].apart}".strip()
        look = "simulated"
    frame = pd.DataFrame(columns, dtype=object)  # text columns would lose the type of labels
    source = "the reports that the first column leads to"
    return table(frame, caption, source=source, provenance=look)


def _small(lines: Mapping[str, str], rule: str = "", since: str = "") -> Block:
    """Return lines in small type, each with its lead, then a rule, and what moved.

    The rule is HTML.
    """
    led = [f"<strong>{escape(lead)}</strong> {escape(text)}" for lead, text in lines.items()]
    small = box("small", *led, *filter(None, (rule, escape(since))))
    return Block(small, " ".join([*chain(*lines.items()), since]).strip())


def _claim(verdict: Verdict) -> Label:
    return Label(link(verdict.statement.rstrip("."), _page(verdict)) + escape(by_whom(verdict)))


def _numbers(verdict: Verdict, public: Mapping[str, Sequence[Verdict]]) -> str:
    """Format a finding with its data, after that of public figures if it differs."""
    every = (*public.get(verdict.name, ()), verdict)
    found = {finding_in_words(one): phrases().tiers[one.tier] for one in every}
    if any(one.found for one in every):
        return ". ".join(found)
    named = len(found) > 1 or verdict.tier in ("households", "panel")
    return "; ".join(f"{text}, by {tier}" if named else text for text, tier in found.items())


def _word(verdict: Verdict, public: Mapping[str, Sequence[Verdict]]) -> Label:
    if verdict.word in DECIDED:
        sure = f" Confidence: {verdict.confidence}."
    else:
        sure = ""
    if verdict.found:
        why = ""
    else:
        why = f" {verdict.why.partition('. ')[0].rstrip('.')}."
    text = f"{words.capitalised(_numbers(verdict, public))}.{why}{sure}"
    if verdict.word == NOT_TESTABLE:
        text = verdict.meaning
    return Label(f"{label(verdict.word, simulated=verdict.simulated)} {escape(text)}")


def _below(
    verdicts: Sequence[Verdict], spoken: Sequence[Verdict], shown: Sequence[Verdict], event: Event
) -> dict[str, str]:
    """Return the non-empty lines below the table, by lead."""
    rest = [verdict for verdict in spoken if verdict not in shown]
    public = displaced_verdicts(verdicts)
    ledger = claims.readings(event=event).fillna({"reading": ""})
    names = (ledger["claim_id"] + " " + ledger["reading"]).str.strip()
    # Some claims lack a reading
    said = (
        data.load("claims").set_index("claim_id")["claim"].to_dict()
        | ledger.set_index(names)["statement"].to_dict()
    )
    told = [one for one in rest if one.word in DECIDED or question(one, event) in phrases().rows]
    told = [one for one in told if one.word != NOT_TESTABLE]
    lines = {
        **{
            f"{one.statement.rstrip('.')}{by_whom(one)}:": [
                f"{one.word}. {words.capitalised(_numbers(one, public))}."
            ]
            for one in told
        },
        "Not listed:": _counted([one for one in rest if one not in told]),
        **{
            about: [
                f"{one.statement} {finding_in_words(one)}."
                for one in by_name.values()
                if not one.simulated
            ]
            for about, by_name in apart(verdicts).items()
        },
        "Not judged in this run.": (
            [said[name] for name in unjudged(verdicts, event)] if best(verdicts) else []
        ),
    }
    return {lead: " ".join(texts) for lead, texts in lines.items() if texts}


def _counted(verdicts: Sequence[Verdict]) -> list[str]:
    """Count verdicts by word and report, as the one sentence of a line.

    The line is empty if there is none.
    """
    clauses = []
    for word in WORDS:
        reports = Counter(sorted(_page(one)[:2] for one in verdicts if one.word == word))
        where = words.listing(
            f"{spelled(count)} in report {report}" for report, count in reports.items()
        )
        clauses += [f"{word}, {where}"] if where else []
    if clauses:
        return [f"{'; '.join(clauses)}."]
    return []


# Figures


def listed_revenue(event: Event, after: int, last: int, *, small: bool = False) -> Block:
    """Return a figure showing listed sellers' revenue up to the year `last`.

    It begins one year before the base year. Its title counts the sellers whose revenue had fallen
    by the year `after`. A `small` figure goes beside the answer.
    """
    before = listed.base_year()
    closed = listed.closed_names()
    index = listed.indexed(before, before - 1, last)
    rows = index.set_axis(index.index + 0.5).rename_axis(index="middle", columns="term")
    drawing = paths(
        rows.reset_index().melt(id_vars="middle", value_name="estimate"),
        x="middle",
        strong=closed,
        ylabel=f"revenue (log)\n{before} = 100",
        closures=(event.waves[0], event.waves[-1]),
        level=100,
        ticks={year + 0.5: str(year) for year in index.index},
        log="y",
        size=(BESIDE, 1.3) if small else (WIDTH, 3.0),
    )
    return figure(
        drawing,
        f"Dark: closed sellers with a figure for {before}; grey: no closure disclosed; dotted: no"
        " figure.",
        title=words.capitalised(
            words.number_below(index.loc[after], closed, f"{before} and {after}")
        ),
        source=(
            "sellers’ accounts, mostly as summarised by data sites; report 03"
            if small
            else listed.revenue_sources()
        ),
    )


def pictures(event: Event, *, after: int, last: int) -> Block:
    """Return figures showing listed sellers' revenue and the dates of closures.

    Both are public only for the event on record; the block is empty for other events.
    """
    if not event.on_record:
        return NOTHING
    closures = claims.closure_timeline()
    first, *others = closures["source_publisher"].value_counts().index
    strip = figure(
        timeline(closures, small=True),
        "Dark: closures, or products gone. Grey: other events.",
        alt=f"{'; '.join(closures['term'])}.",
        title=f"Closures, or products seen gone from Amazon, in {closures['first'].iloc[0].year}",
        source=f"{first} and {spelled(len(others))} others; report 01",
    )
    return listed_revenue(event, after, last, small=True) + strip
