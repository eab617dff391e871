"""The brief: what the verdicts of a whole run say of an event, on one page for a reader who reads no other.

Headline and sentences follow from words, confidence and estimates by `SAYINGS` and `FORMS`, so that none says more than
its word. What a simulated market says is not on the page, which links to it; only where a run has nothing else is the
brief of that market.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from html import escape
from itertools import chain
from operator import add
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.figure import Figure

from analysis import data
from analysis.evidence import claims, listed
from analysis.evidence.verdicts import (
    CONTRADICTED,
    NOT_SHOWN,
    NOT_TESTABLE,
    SUPPORTED,
    USABLE,
    WITH_BOUNDS,
    Level,
    Verdict,
    Word,
    apart,
    best,
    elsewhere,
    unjudged,
)
from analysis.exhibits import words
from analysis.exhibits.answers import TIER_NAMES, finding, label, link
from analysis.exhibits.blocks import Block, Label, box, figure, say, table
from analysis.exhibits.charts import timeline
from analysis.exhibits.curves import paths
from analysis.exhibits.payload import of_brief
from analysis.exhibits.style import BESIDE, WIDTH
from analysis.numbers import MARKS, points, quantity
from analysis.provenance import ANNEX

if TYPE_CHECKING:
    from analysis.event import Event

MOST = 7  # rows of the table
NOTHING = Block("", "")


@dataclass(frozen=True)
class Saying:
    """How a sentence says of one question that it is so: who did what; `did` is the participle too.

    It may name the event's `own` sellers, its `home` platform and the places `there`, and of a verdict the `party` who
    spoke, what was `claimed` and the `margin`.
    """

    who: str
    did: str
    do: str
    what: str
    denied: bool = False  # whether the claim is that it is not so
    record: bool = False  # whether its word is of what is on record, which is so or not, and never probable


SAYINGS = {
    "growth_positive": Saying("{own} sellers' growth on {home}", "stayed", "stay", "positive"),
    "growth_not_lower": Saying(
        "the closures", "slowed", "slow", "{own} sellers' growth on {home} by more than {margin}", denied=True
    ),
    "C08 record": Saying("the closures", "hit", "hit", "big {own} brands", record=True),
    "C08 market": Saying("the news", "cost", "cost", "the parent company of Youkeshu market value"),
    "more_presence_elsewhere": Saying("{own} merchants", "put", "put", "more money into {there}"),
    "more_sales_elsewhere": Saying("closed merchants", "sold", "sell", "more on {there}"),
    "C03": Saying("{party}'s count of {claimed}", "held", "hold", "up"),
    "C06": Saying("the trade group's count of {claimed}", "held", "hold", "up"),
}
"""By question of the event's file, or by name of the reading where it is none of these."""
TOPICS = {
    "Growth": ("growth_positive",),
    "Growth against what would have been": ("growth_not_lower",),
    "The closed sellers": ("C08 record", "C08 market"),
    "The shift and the counts": ("more_presence_elsewhere", "more_sales_elsewhere", "C03", "C06"),
}
HEADLINE = ("C08 record", "growth_not_lower")  # if neither gets a word, whatever else does
ROWS = (
    *("growth_positive", "growth_not_lower", "C08 record", "more_presence_elsewhere", "C03", "C06"),
    *("more_sales_elsewhere", "share_unchanged"),
)
"""What goes into the table first, where there is more than it has room for."""
SO = "{who} {did} {what}"
FORMS: dict[tuple[Word, Level], str] = {
    (SUPPORTED, "moderate"): "{who} probably {did} {what}",
    (SUPPORTED, "low"): "{who} may have {did} {what}",
    (CONTRADICTED, "high"): "{who} did not {do} {what}",
    (CONTRADICTED, "moderate"): "{who} probably did not {do} {what}",
    (CONTRADICTED, "low"): "{who} may not have {did} {what}",
}
"""The clause of a sentence by word and confidence; else it is `SO`."""
BEGINS: dict[Word, str] = {
    NOT_SHOWN: "it cannot be told whether",
    NOT_TESTABLE: "these data cannot test whether",
}
RULE = "{} readings, each judged by a rule fixed in advance. <em>Not shown</em>: the data fit claim and opposite alike."
GRADES = {
    "": "",
    "usable": "Where the truth is known, the method finds it.",
    "usable with bounds": "Where the truth is known, the method's range holds it, but not its middle.",
    "do not use": "Where the truth is known, the method misses it.",
}
CHECK = "The method also finds an effect where nothing was closed."  # so confidence is low though the grade allows more
RECORD: dict[Word, str] = {
    SUPPORTED: "it is on record that",
    CONTRADICTED: "the record denies that",
    NOT_SHOWN: "it is not on record that",
}


# Sentences


def question(verdict: Verdict, event: Event) -> str:
    """Return what a verdict answers, as `SAYINGS` calls it."""
    by_name = {" ".join(asked).strip(): name for name, asked in event.asked.items()}
    return by_name.get(verdict.name, verdict.name)


def clause(verdict: Verdict, event: Event, who: str = "") -> tuple[str, str]:
    """Return how a sentence on a verdict begins, if with anything, and its clause, without numbers that were found.

    `who` is a pronoun that stands for who did it.
    """
    saying, word = SAYINGS[question(verdict, event)], verdict.word
    if saying.denied:
        word = {SUPPORTED: CONTRADICTED, CONTRADICTED: SUPPORTED}.get(word, word)  # of what the saying says
    begins = (BEGINS | RECORD if saying.record else BEGINS).get(word, "")
    form = SO if saying.record else FORMS.get((word, verdict.confidence), SO)
    named = {
        "own": event.origin_name,
        "home": event.platforms[event.home],
        "there": " and ".join(event.platforms[code] for code in event.destinations),
        "party": verdict.party,
        "claimed": f"{quantity(verdict.claimed, verdict.unit)} {verdict.unit}",
        "margin": "nothing" if verdict.margin is None else points(verdict.margin),
    }
    parts = {name: getattr(saying, name).format(**named) for name in ("who", "did", "do", "what")}
    parts["who"] = who or parts["who"]
    return begins, form.format(**parts)


def told(verdict: Verdict | None, event: Event) -> str:
    """Answer the question of one verdict, as its word and confidence allow; nothing where none is judged."""
    if verdict is None:
        return ""
    where = "on such a panel" if verdict.simulated else ""
    return f"{words.sentence(' '.join(filter(None, [where, *clause(verdict, event)])))}."


def sentence(found: Sequence[Verdict], event: Event) -> str:
    """Say what was found of the questions of one topic; those that begin alike share their beginning.

    What cannot be tested is left out where anything else of the topic can.
    """
    told = [one for one in found if one.word != NOT_TESTABLE] or found
    parts: dict[tuple[str, str], list[str]] = {}
    for one in told:
        begins, text = clause(one, event)
        sure = "" if one.word == NOT_TESTABLE else f"{one.confidence} confidence"
        numbers = in_words(one) if one.low is not None or one.estimate is not None else ""
        source = TIER_NAMES[one.tier] if one.tier not in ("facts", "listed") else ""
        parts.setdefault((begins, "; ".join(filter(None, (source, sure)))), []).append(
            f"{text} ({numbers})" if numbers else text
        )
    said = []
    for (begins, sure), texts in parts.items():
        again = begins.rpartition(" ")[2]
        but_last = f", {again} ".join(texts[:-1])
        whole = f" or {again} ".join(filter(None, [but_last, texts[-1]])) if begins else "; ".join(texts)
        said.append(f"{begins} {whole}".strip() + (f" ({sure})" if sure else ""))
    return words.sentence("; ".join(said).replace(") (", "; ")) + "."


def by_topic(verdicts: Sequence[Verdict], event: Event) -> Iterator[tuple[str, str, str]]:
    """Yield of each topic on which something was found its name, the page that tells more, and what is said of it.

    Where households or a panel give the word, what public figures leave follows.
    """
    known, public = {question(one, event): one for one in best(verdicts)}, elsewhere(verdicts)
    for topic, names in TOPICS.items():
        if mine := [known[name] for name in names if name in known]:
            more = [f" {beside(one)}" for own in mine for one in public.get(own.name, ()) if one.low is not None]
            yield topic, _page(mine[0]), sentence(mine, event) + "".join(more)


def beside(public: Verdict) -> str:
    """Say what public figures leave where other data, which observe single purchases or firms, give the word."""
    return f"Public totals, which see no seller, say {in_words(public)}."


def headline(verdicts: Sequence[Verdict], event: Event) -> str:
    """Answer the question of the brief, as the words of the best data allow."""
    found = {question(one, event): one for one in best(verdicts)}
    if not found:
        return "No claim gets a word."
    asked = [name for name in HEADLINE if name in found] or [name for name in SAYINGS if name in found][:1]
    told, before = list[str](), ""
    for name in asked:
        same = SAYINGS[name].who == before
        told.append(" ".join(filter(None, clause(found[name], event, "they" if same else ""))))
        before = SAYINGS[name].who
    return words.sentence("; ".join(told)) + "." if told else "What became of the claims that get a word stands below."


def in_words(verdict: Verdict) -> str:
    """Return what a verdict found, an open side in words, or a dash."""
    found = finding(verdict).removesuffix(MARKS[verdict.provenance]).strip()
    return re.sub(r"^(\S+) to ∞ (.+)", r"\1 \2 or more", re.sub(r"^\S∞ to (\S+) (.+)", r"\1 \2 or less", found))


def _box(which: str, *paragraphs: str) -> str:
    return f'<div class="{which}">{"".join(f"<p>{one}</p>" for one in paragraphs)}</div>'


def _page(verdict: Verdict) -> str:
    return f"{verdict.report or verdict.notebook}.pdf"


# The page


def brief(
    verdicts: Sequence[Verdict], event: Event, *, failed: str = "", panel: str = "", beside: Block = NOTHING
) -> Block:
    """Return the headline and the answer: a sentence a topic, each with a link to its report.

    `failed` names the reports that failed in the run; `panel` is what its panel is said to be, and what is doubtful
    about it. Figures may stand `beside` the answer. Its first part has headline and sentences as data.
    """
    above, topics = headline(verdicts, event), [*by_topic(verdicts, event)]
    paragraphs = [f"<strong>{link(topic, page)}.</strong> {escape(said)}" for topic, page, said in topics]
    if failed:
        paragraphs.append(f"<strong>Missing, for they failed in this run:</strong> {escape(failed)}.")
    if panel:
        paragraphs.append(escape(panel))
    if not best(verdicts):
        paragraphs.append(f"{escape(event.title)}: no report of this run gives a claim of it a word.")
    answer = box("answer", *paragraphs) + _simulated(verdicts)
    if beside.html:
        answer = f'<div class="beside" style="display:flex"><div>{answer}</div><div>{beside.html}</div></div>'
    parts = (of_brief(above, topics), *beside.parts)
    return Block(_box("headline", f"<strong>{escape(above)}</strong>") + answer, above, parts)


def brief_table(verdicts: Sequence[Verdict], event: Event, *, since: str = "") -> Block:
    """Return the table of what can be tested, at most `MOST` rows, and what is to be said beside it, in lines.

    The last line says what moved `since` the release before.

    The word is that of the best data (:func:`analysis.evidence.verdicts.best`); where that is a panel, what public
    figures said stands in brackets. What a panel that is not representative says of totals follows, without a word.
    """
    spoken = best(verdicts)
    if simulated := not spoken and all(one.simulated for one in verdicts):
        spoken = list(chain(*(told.values() for told in apart(verdicts).values())))
    if not verdicts:
        return say("No report of this run judges a claim: the event names none that these data could bear on.")
    tested = [one for one in spoken if one.word != NOT_TESTABLE]
    places = {name: place for place, name in enumerate(ROWS)}
    first = sorted(tested, key=lambda one: places.get(question(one, event), len(places)))[:MOST]
    shown, public = [one for one in tested if one in first], elsewhere(verdicts)
    columns = {
        "What was said": [_claim(one) for one in shown],
        "Verdict, and what was found": [_word(one, public.get(one.name, ())) for one in shown],
        "Confidence, and why": [_why(one) for one in shown],
        "What would settle it": [one.change.partition(":")[0].rstrip(".") + "." for one in shown],
    }
    tiers = {one.tier for one in shown}
    known = ", ".join(name for tier, name in TIER_NAMES.items() if tier in tiers)
    caption = f"{event.title}, by {known}."
    caption = f"{caption} {shown[0].apart if shown and simulated else ''}".strip()
    frame = pd.DataFrame(columns, dtype=object)  # text columns forget that labels are HTML
    blocks = [table(frame, caption, provenance="simulated" if simulated else "real")] if shown else []
    told, where = _beside(verdicts, spoken, shown, event), f"Data, code and settings: {link('annex', ANNEX)}."
    below = [f"<strong>{escape(lead)}</strong> {escape(text)}" for lead, text in told] + (
        [f"{RULE.format(len(spoken))} {where}"] if shown else []
    )
    below += [escape(since)] if since else []
    return reduce(add, [*blocks, Block(_box("small", *below), " ".join([*chain(*told), since]).strip())])


def _claim(verdict: Verdict) -> Label:
    who = "" if verdict.simulated else f" ({escape(verdict.party)})"  # it is no finding about them
    return Label(link(verdict.statement.rstrip("."), _page(verdict)) + who)


def _found(verdict: Verdict) -> str:
    margin = "" if verdict.margin is None else f"; less than {points(verdict.margin)} counts as none"
    return in_words(verdict) + margin


def _reason(verdict: Verdict) -> tuple[str, str]:
    """Return what its rule says of a finding, and what limits it, if anything is known to."""
    rule, _, limits = verdict.why.partition(". ")
    return rule.rstrip(".") + ".", limits


def _word(verdict: Verdict, public: Sequence[Verdict]) -> Label:
    told = "; ".join(
        f"{'' if one.word == verdict.word else f'{one.word.lower()}, '}{in_words(one)}".removesuffix(", –")
        for one in public
    )
    said = f" (Public figures: {told}.)" if told else ""
    text = f"{words.sentence(_found(verdict))}. {_reason(verdict)[0]}{said}"
    return Label(f"{label(verdict.word, simulated=verdict.simulated)} {escape(text)}")


def _why(verdict: Verdict) -> str:
    failed = verdict.grade in (USABLE, WITH_BOUNDS) and verdict.confidence == "low"
    limits = CHECK if failed else GRADES[verdict.grade], _reason(verdict)[1]
    return " ".join(filter(None, (f"{words.sentence(verdict.confidence)}.", *limits)))


def _beside(
    verdicts: Sequence[Verdict], spoken: Sequence[Verdict], shown: Sequence[Verdict], event: Event
) -> list[tuple[str, str]]:
    """Return lines under the table, each after its lead; none that would be empty."""
    more = [one for one in spoken if one.word != NOT_TESTABLE and one not in shown]
    judged = " ".join(f"{one.statement} {one.word} ({in_words(one)}; {one.confidence} confidence)." for one in more)
    untestable = [one for one in spoken if one.word == NOT_TESTABLE]
    own = [(about, told) for about, told in apart(verdicts).items() if not next(iter(told.values())).simulated]
    ledger = claims.readings(event=event).fillna({"reading": ""})
    names = (ledger["claim_id"] + " " + ledger["reading"]).str.strip()
    statements = dict(zip(names, ledger["statement"], strict=True))
    statements = data.load("claims").set_index("claim_id")["claim"].to_dict() | statements  # some have no reading
    absent = [statements[name] for name in unjudged(verdicts, event)] if best(verdicts) else []
    under = {
        "Judged too.": judged,
        "Not testable with these data.": " ".join(one.statement for one in untestable),
        **{about: " ".join(f"{one.statement} {_found(one)}." for one in told.values()) for about, told in own},
        "Not judged in this run.": " ".join(absent),
    }
    return [(lead, text) for lead, text in under.items() if text]


def _simulated(verdicts: Sequence[Verdict]) -> str:
    """Return the box that says what a simulated market is for; nothing in a run without one, or with nothing else."""
    if all(one.simulated for one in verdicts):
        return ""
    pages = dict.fromkeys(_page(one) for one in verdicts if one.simulated)
    where = ", ".join(link(f"simulated {re.findall('[0-9]+', page)[0]}", page) for page in pages)
    text = f"Reports {where} and others test methods and judge no claim."
    return _box("framed", text) if where else ""


# Figures


def listed_revenue(event: Event, after: int, last: int, *, small: bool = False) -> Block:
    """Return the figure of revenue of listed sellers, from the year before the last one without closures to `last`.

    Its title says how many fell by the year `after`. A `small` one stands beside the answer; it leaves the sources to
    the large one.
    """
    before, closed = listed.base_year(), listed.closed_names()
    index, (_, series) = listed.indexed(before, before - 1, last), listed.revenues()
    ends = {firm: index[firm].last_valid_index() for firm in index}
    named = {firm: firm if end == last else f"{firm}, to {end}" for firm, end in ends.items()}
    rows = index.set_axis(index.index + 0.5).rename(columns=named).rename_axis(index="middle", columns="term")
    drawing = paths(
        rows.reset_index().melt(id_vars="middle", value_name="estimate"),
        x="middle",
        strong=closed,
        ylabel=f"revenue, {before} = 100",
        closures=(event.waves[0], event.waves[-1]),
        level=100,
        ticks={year + 0.5: str(year) for year in index.index},
        log="y",
        height=1.45 if small else 2.9,
    )
    assert isinstance(drawing, Figure)
    drawing.set_figwidth(BESIDE if small else WIDTH)
    dark = "Dark: disclosed a closure."
    return figure(
        drawing,
        dark if small else f"The scale is of ratios. {dark} A gap is a year that is not published.",
        alt=f"Revenue in {after}: {words.values(index.loc[after].dropna())}",
        title=f"From {before} to {after} revenue {words.number_below(index.loc[after], closed)}",
        source="" if small else words.published(*(one.publisher for one in series.values())),
    )


def pictures(event: Event, *, after: int, last: int) -> Block:
    """Return revenue of listed sellers and, below it, what else happened in the months of the closures.

    Both are on the public record of one event; an empty block for another.
    """
    if not event.on_record:
        return Block("", "")
    register = claims.threats()
    rows = register[register["threat_id"].isin([*event.threats])]
    closures = pd.Timestamp(event.waves[0]), pd.Timestamp(event.waves[-1]) + pd.DateOffset(months=2)
    months = f"{closures[0]:%B} to {closures[1] - pd.Timedelta(days=1):%B %Y}"
    strip = figure(
        timeline(rows.rename(columns={"short": "term"}), closures),
        f"Shaded: closures, {months}.",
        alt=f"The closures, {months}, fall together with: {'; '.join(rows['event'] + ', ' + rows['months'])}.",
        title="What else happened while accounts were closed",
    )
    return listed_revenue(event, after, last, small=True) + strip
