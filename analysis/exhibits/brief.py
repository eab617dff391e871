"""The brief: the answer of a run on one page.

Its sentences stand in the event's file, one for each word of a verdict, and the numbers are those
that the reports hand on. Results for a simulated market are left out unless the run has no others,
in which case the brief is about that market.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from html import escape
from itertools import chain
from typing import TYPE_CHECKING

import pandas as pd

from analysis import data, on_trial
from analysis.evidence import claims, shift, sums, threshold, totals
from analysis.evidence.claims import OURS
from analysis.evidence.verdicts import (
    DECIDED,
    NOT_TESTABLE,
    Tier,
    Verdict,
    apart,
    best,
    displaced_verdicts,
    unjudged,
)
from analysis.exhibits import words
from analysis.exhibits.answers import answer_of, by_whom, finding, label
from analysis.exhibits.blocks import NOTHING, Block, Label, box, figure, link, say, table
from analysis.exhibits.charts import sales_by_place
from analysis.exhibits.findings import money_figure, revenue_figure
from analysis.exhibits.payload import BRIEF, REFUSED, SPOKEN, Part
from analysis.numbers import MARKS, spelled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.estimate import Estimate
    from analysis.event import Event

LABELLED = '<span class="word '  # the beginning of a label
CLAIMS = "04_claims"  # the report that holds all verdicts
OF_TIER: dict[Tier, str] = {
    "facts": "public facts",
    "listed": "listed firms",
    "households": ("the trade group's claimed loss, assumed ranges and household purchases"),
    "panel": "panel",
    "sim": "simulated",
}


def headline(verdicts: Sequence[Verdict], event: Event) -> str:
    """Return the event's headline: the sentences for the best verdicts on its questions."""
    answers = {event.question(verdict.name): verdict for verdict in best(verdicts)}
    if not answers:
        return "No claim could be judged."
    told = [answer_of(answers[name], event) for name in event.headline if name in answers]
    return " ".join(told) or "The verdicts on the claims are below."


def finding_in_words(verdict: Verdict) -> str:
    """Format a verdict's finding on one line, without the mark.

    The result is a dash if there is no finding.
    """
    return finding(verdict).removesuffix(MARKS[verdict.provenance]).replace("\n", " ").strip()


def answered(
    verdicts: Sequence[Verdict], event: Event, readings: Sequence[str]
) -> Iterator[tuple[Verdict, str]]:
    """Yield the verdicts on some readings, each with its sentence and its numbers.

    What public figures say comes first where households or a panel take precedence. A sentence that
    the headline says is not said again, nor is one that only says that there is no figure where the
    report says more. A reading that cannot be tested is left out beside another.
    """
    public = displaced_verdicts(verdicts)
    answers = {event.question(verdict.name): verdict for verdict in best(verdicts)}
    mine = [answers[name] for name in readings if name in answers]
    above = headline(verdicts, event)
    for verdict in [one for one in mine if one.word != NOT_TESTABLE] or mine[:1]:
        for each in (*public.get(verdict.name, ()), verdict):
            said = answer_of(each, event)
            if said in above or (each.detail and each.word == NOT_TESTABLE):
                said = ""
            yield each, " ".join(filter(None, (said, _behind(each))))


def _behind(verdict: Verdict) -> str:
    """Return the numbers behind a verdict: what its report says of them, or its finding."""
    if verdict.detail or verdict.low is None:
        return verdict.detail
    return f"{words.capitalised(finding_in_words(verdict))}, by {OF_TIER[verdict.tier]}."


def _page(verdict: Verdict) -> str:
    return f"{verdict.report or verdict.notebook}.pdf"


def _report(page: str) -> str:
    """Return what a page is called in print."""
    if re.match(r"\d\d_", page):
        return f"Report {page[:2]}"
    return "The report"


# The page


def head(verdicts: Sequence[Verdict], event: Event, *, failed: str = "", panel: str = "") -> Block:
    """Return the headline, what happened, and what the run is.

    `failed` names the reports that failed in the run; `panel` describes its panel and any doubts
    about it. The first parts contain the headline and the verdicts as data.
    """
    above = headline(verdicts, event)
    missing = failed and f"<strong>Missing, for they failed in this run:</strong> {escape(failed)}."
    silent = ""
    if not best(verdicts):
        silent = f"{escape(event.title)}: no report in this run judges any of its claims."
    lines = [escape(event.background), missing, escape(panel), silent]
    html = box("headline", f"<strong>{escape(above)}</strong>")
    html += "".join(f"<p>{line}</p>" for line in lines if line)
    said = Part("brief", above, pd.DataFrame(columns=[*BRIEF], dtype=object))
    return Block(html, above, (said, _spoken(best(verdicts), event)))


def answers(
    verdicts: Sequence[Verdict], event: Event, *readings: str, beside: Block = NOTHING
) -> Block:
    """Return the answer to a question, with its verdicts, `beside` a figure if there is one.

    `readings` are questions of the event, or names of readings such as ``"C08 record"``. If none of
    them is judged, the answer says so.
    """
    told = [*answered(verdicts, event, readings)]
    if not told:
        none = say("No report of this run judges a claim on this.")
        return replace(none, html=f"{none.html}{REFUSED}")
    page = _page(told[0][0])
    said = " ".join(dict.fromkeys(text for _, text in told if text))
    html = "".join(f"<p>{escape(text)} {_judged(verdict)}</p>" for verdict, text in told)
    html = html.removesuffix("</p>") + f" {link(_report(page), page)}.</p>"
    if not beside.html:
        html += REFUSED
    else:
        html = (
            f'<div class="beside" style="display:flex"><div>{html}</div>'
            f"<div>{beside.html}</div></div>"
        )
    row = Part("brief", "", pd.DataFrame([[page, said]], columns=[*BRIEF], dtype=object))
    return Block(html, said, (row, *beside.parts))


def _judged(verdict: Verdict) -> str:
    """Format a verdict after the statement that it judges."""
    statement = verdict.statement.partition(". ")[0].rstrip(".")
    return f"<em>{escape(statement)}</em>: {_word(verdict)}."


def _word(verdict: Verdict) -> str:
    """Format a verdict as a label with the confidence in it."""
    shown = label(verdict.word, simulated=verdict.simulated)
    if verdict.word in DECIDED:
        return f"{shown} ({verdict.confidence} confidence)"
    return shown


def _spoken(verdicts: Sequence[Verdict], event: Event) -> Part:
    """Return verdicts as data for export, with the date and source of each claim."""
    ledger = event.register("claims").set_index("claim_id")[["date", "source_url"]].astype(str)
    said = ledger.to_dict("index")
    rows = [
        {**dict(verdict), "party": verdict.party, **said.get(verdict.claim, {})}
        for verdict in verdicts
    ]
    return Part("spoken", "", pd.DataFrame(rows, columns=[*SPOKEN], dtype=object))


def below(
    verdicts: Sequence[Verdict],
    event: Event,
    *above: Block,
    since: str = "",
    changed: str = "",
    corrected: str = "",
) -> Block:
    """Return what follows the answers: verdicts by a panel in a table, and lines in small type.

    The first lines say which parameters and data `changed` since the last commit, and what is
    `corrected` of what earlier releases said. Then come results of an unrepresentative panel on
    totals, without a verdict, the claims that are not judged, and how many verdicts of all the page
    prints, here and `above`. The last line lists changes `since` the previous release.
    """
    lines = {"Not as committed.": changed, "Corrected:": corrected}
    lines |= {about: " ".join(texts) for about, texts in _aside(verdicts).items()}
    if best(verdicts):
        lines["Not judged in this run."] = " ".join(_unjudged(verdicts, event))
    shown = [one for one in best(verdicts) if one.tier == "panel"]
    if not best(verdicts) and all(verdict.simulated for verdict in verdicts):
        shown = [one for by_name in apart(verdicts).values() for one in by_name.values()]
    counted = ""
    if best(verdicts):
        counted = _counted(
            "".join(one.html for one in above).count(LABELLED) + len(shown), best(verdicts)
        )
    small = _small({lead: text for lead, text in lines.items() if text}, counted, since)
    if shown:
        return _claims_table(shown, displaced_verdicts(verdicts)) + small
    return small


def _aside(verdicts: Sequence[Verdict]) -> dict[str, list[str]]:
    """Return the results that a panel has for its own firms alone, by what restricts them."""
    return {
        about: [
            f"{one.statement} {finding_in_words(one)}."
            for one in by_name.values()
            if not one.simulated
        ]
        for about, by_name in apart(verdicts).items()
    }


def _unjudged(verdicts: Sequence[Verdict], event: Event) -> list[str]:
    """Return the statements of the event that this run does not judge."""
    ledger = claims.readings(event=event).fillna({"reading": ""})
    names = (ledger["claim_id"] + " " + ledger["reading"]).str.strip()
    # Some claims lack a reading
    said = (
        event.register("claims").set_index("claim_id")["claim"].to_dict()
        | ledger.set_index(names)["statement"].to_dict()
    )
    return [said[name] for name in unjudged(verdicts, event)]


def _counted(printed: int, every: Sequence[Verdict]) -> str:
    """Say how many verdicts the page prints, and where all are."""
    where = next((_page(one) for one in every if _page(one).startswith(CLAIMS)), "")
    if printed == 1:
        page = "One verdict stands on this page"
    else:
        page = f"{words.capitalised(spelled(printed))} verdicts stand on this page"
    if where:
        ours = sum(one.party == OURS for one in every)
        own = f", {spelled(ours)} on a question of our own," if ours else ""
        return f"{page}; all {spelled(len(every))}{own} are in {link('report 04', where)}."
    return f"{page}."


def _claims_table(shown: Sequence[Verdict], public: Mapping[str, Sequence[Verdict]]) -> Block:
    """Return the table of claims that a panel judges."""
    columns = {
        "What was said": [_claim(verdict) for verdict in shown],
        "Verdict, and why": [_why(verdict, public) for verdict in shown],
        "What would change it": [
            re.split(r":|\. ", verdict.change)[0].rstrip(".") + "." for verdict in shown
        ],
    }
    caption = "What was said, and what the panel shows."
    look = "real"
    if shown[0].simulated:
        caption = f"{shown[0].apart} what was said, and what is found."
        look = "simulated"
    frame = pd.DataFrame(columns, dtype=object)  # text columns would lose the type of labels
    source = "the reports that the first column leads to"
    return table(frame, caption, source=source, provenance=look)


def _claim(verdict: Verdict) -> Label:
    return Label(link(verdict.statement.rstrip("."), _page(verdict)) + escape(by_whom(verdict)))


def _why(verdict: Verdict, public: Mapping[str, Sequence[Verdict]]) -> Label:
    """Format a verdict with its finding, after that of public figures, and its reason."""
    every = (*public.get(verdict.name, ()), verdict)
    found = "; ".join(f"{finding_in_words(one)}, by {OF_TIER[one.tier]}" for one in every)
    if verdict.simulated:
        found = finding_in_words(verdict)
    text = f"{words.capitalised(found)}. {verdict.why.partition('. ')[0].rstrip('.')}."
    if verdict.word == NOT_TESTABLE:
        text = verdict.meaning
    return Label(f"{_word(verdict)} {escape(text)}")


def _small(lines: Mapping[str, str], rest: str, since: str) -> Block:
    """Return lines in small type, each with its lead, then the rest, and what moved.

    The rest is HTML.
    """
    led = [f"<strong>{escape(lead)}</strong> {escape(text)}" for lead, text in lines.items()]
    small = box("small", *led, *filter(None, (rest, escape(since))))
    return Block(small, " ".join([*chain(*lines.items()), since]).strip())


# Figures


def picture(event: Event, what: str) -> Block:
    """Return a figure of the brief, drawn with the parameters of its report as it stands.

    `what` is "revenue", "dollars" or "places". The result is empty for another event than the one
    that ships, whose reports these are.
    """
    if event.record != data.SHIPPED:
        return NOTHING
    number, draw = PICTURES[what]
    return figure(draw(), source=f"report {number}")


def _revenue() -> Figure:
    """Draw the revenue of listed sellers, as in report 01."""
    return revenue_figure(on_trial.given("01_who_was_hit").long_after, small=True)


def _dollars() -> Figure | Estimate:
    """Draw what is published of closed accounts' sales over what a fall needs, as in report 02."""
    asked = on_trial.given("02_growth")
    counted = sums.floor_from_below(asked.yuan_per_dollar)[["low", "high"]].sum()
    days = threshold.mean_dates(asked.closed_from)
    base = float(totals.third_party_sales().values["2020"])
    needed = threshold.by_published_share(base, asked.delta_pp, days=days)
    of_year = needed.query("until == until.max()")["needed"]
    closed = totals.closed_sales(asked.yuan_per_dollar)
    return money_figure(closed, counted, of_year, asked.delta_pp, small=True)


def _places() -> Figure | Estimate:
    """Draw what sellers sold on Amazon and elsewhere, as in report 03."""
    return sales_by_place(shift.stacks(), small=True)


PICTURES = {
    "revenue": ("01", _revenue),
    "dollars": ("02", _dollars),
    "places": ("03", _places),
}
