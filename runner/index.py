"""The page of a release: the answer, a card for each report, and the verdicts as machines read them.

It is one file without script, and asks for nothing elsewhere. Names, titles and claims are text that others wrote.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic import ValidationError

from analysis import data
from analysis.event import read_event
from analysis.evidence.verdicts import CONTRADICTED, NOT_TESTABLE, SUPPORTED, WORDS, Verdict, best, of_sweep
from analysis.exhibits import answers, brief
from analysis.provenance import ANNEX
from analysis.simulated import condition
from runner import crate, diff, sweep
from runner.diff import Changes
from runner.page import page
from runner.pdf import AUTHOR
from runner.release import DATA, DRAFT, MANIFEST, VERDICTS
from runner.schedule import number, varied

if TYPE_CHECKING:
    from analysis.event import Event

FILE = "index.html"
RATINGS = {SUPPORTED: 5, CONTRADICTED: 1}
"""What machines are told beside a word. The other two have no number: between 1 and 5 lies "half true"."""
KINDS = {
    ".pdf": "PDF",
    ".ipynb": "notebook",
    ".estimates.csv": "estimates (CSV)",
    ".estimates.parquet": "estimates (Parquet)",
    ".tables.docx": "tables (Word)",
    ".tables.tex": "tables (LaTeX)",
}
OTHERS = {
    ANNEX: "Annex: what all reports were made of (PDF)",
    VERDICTS: "All verdicts (JSON)",
    diff.FILE: "What changed since the release before (JSON)",
    DATA: "The data that the reports were made of (zip)",
    MANIFEST: "What each report was made of: parameters, versions, hashes (JSON)",
    crate.CITATION: "How to cite this release (CFF)",
}
"""What each file of a release is that belongs to no report, where there is one."""
SIMULATED = (
    "<p>What our methods would find in a market whose truth is known. Nothing here is a finding about a real market, "
    "and nothing here gives a claim its word.</p>"
)
DRAFT_NOTE = (
    '<p class="warning">A draft: not every report of the schedule is here as it should be. What is published stands '
    "in the release before.</p>"
)
STAMP = '<p class="stamp">Simulated</p>'
PICTURE = re.compile(r'<img src="data:[^"]*" alt="([^"]*)"')


@dataclass(frozen=True)
class Card:
    """What the page says of one report: its files, its verdicts, and what its first figure shows, in words."""

    name: str
    title: str
    market: str
    files: Mapping[str, str]  # path by what it is
    figure: tuple[str, str] | None  # path and alternative text
    verdicts: Sequence[Verdict]
    unread: int  # verdicts of another form than `Verdict`

    @classmethod
    def of(cls, name: str, entry: Mapping[str, Any], notebook: Path, found: Iterable[Any]) -> Card:
        """Read a card off the manifest's entry of a report, its executed notebook and its verdicts."""
        title, seen = _read(notebook)
        made = entry["made"]
        files = {KINDS[path.removeprefix(name)]: path for path in made if path.removeprefix(name) in KINDS}
        picture = f"{name}.figures/figure-1.svg"
        figure = (picture, seen) if picture in made else None
        rows = [*found]
        judged = [verdict for row in rows if (verdict := _verdict(row))]
        in_order = {kind: files[kind] for kind in KINDS.values() if kind in files}
        if of_sweep(name):
            title += f" ({', '.join(varied(name))})"
        return cls(name, title or name, entry["market"], in_order, figure, judged, len(rows) - len(judged))

    @property
    def picture(self) -> str:
        """Its first figure; empty without one."""
        if not self.figure:
            return ""
        path, seen = self.figure
        return f'<img src="{_link(path)}" alt="{escape(seen)}" loading="lazy">'

    def html(self, anchors: Mapping[Verdict, str]) -> str:
        """Return the card as an item of a list."""
        title = escape(self.title)
        parts = [
            STAMP if self.market else "",
            f'<h3><a href="{_link(self.files["PDF"])}">{title}</a></h3>',
            self.picture,
        ]
        parts.append(self._found(anchors))
        if self.unread:
            parts.append(f"<p>Verdicts that only verdicts.json can show: {self.unread}.</p>")
        links = [
            f'<li><a href="{_link(path)}">{kind}<span class="unseen"> of {title}</span></a></li>'
            for kind, path in self.files.items()
        ]
        parts.append(f'<ul class="files">{"".join(links)}</ul>')
        return f'<li class="card{" simulated" if self.market else ""}">{"".join(parts)}</li>'

    def _found(self, anchors: Mapping[Verdict, str]) -> str:
        if not self.verdicts:
            return '<p class="quiet">Judges no claim.</p>'
        if self.market:  # nobody's claim stands beside what is simulated
            words = Counter(verdict.word for verdict in self.verdicts)
            told = ", ".join(f"{words[word]} would be {word.lower()}" for word in WORDS if words[word])
            return f"<p>{escape(condition(self.market))} {told}, of {len(self.verdicts)} readings.</p>"
        items = {verdict: self._item(verdict, anchors.get(verdict, "")) for verdict in self.verdicts}
        told = "".join(item for verdict, item in items.items() if verdict.word != NOT_TESTABLE)
        rest = "".join(item for verdict, item in items.items() if verdict.word == NOT_TESTABLE)
        first = f'<ul class="words">{told}</ul>' if told else ""
        folded = f"<summary>Not testable with this data: {rest.count('<li')}</summary>"
        return first + (f'<details>{folded}<ul class="words">{rest}</ul></details>' if rest else "")

    def _item(self, verdict: Verdict, anchor: str) -> str:
        head = escape(verdict.apart)
        if not verdict.apart and verdict.word != NOT_TESTABLE:  # those stand under a heading that says so
            head = f"{answers.label(verdict.word)} ({verdict.confidence} confidence)<br>"
        place = f' id="{escape(anchor)}"' if anchor else ""
        claimant = f'<span class="quiet">{escape(verdict.claimant)}</span>'
        return f"<li{place}>{head} {escape(verdict.statement)} {claimant}</li>"


def write(
    folder: Path,
    manifest: Mapping[str, Any],
    verdicts: Mapping[str, Iterable[Any]],
    *,
    event: str,
    made: Collection[str],
    failed: Collection[str],
    changes: Changes | None = None,
) -> None:
    """Write the page of a release, and what it says of itself to catalogues, into a folder.

    Parameters
    ----------
    folder : Path
        It holds all other files already, but for the manifest.
    manifest : mapping
        As published: date of knowledge, and an entry for each report.
    verdicts : mapping
        By report, as the notebooks wrote them.
    event : str
        Name or file of the event that the reports are about; empty if they are about none.
    made, failed : collection of str
        Reports of the run that writes the page; the others were carried over from the release before.
    changes : Changes, optional
        What moved since the release before.
    """
    entries, as_of = manifest["reports"], manifest["as_of"]
    crate.cite(folder, manifest)
    others = {name: what for name, what in OTHERS.items() if name == MANIFEST or (folder / name).is_file()}
    stopped = {f"failed/{name}.ipynb": f"{name}, as far as it came (notebook)" for name in sorted(failed)}
    others |= {path: what for path, what in stopped.items() if (folder / path).is_file()}
    cards = [Card.of(name, entry, folder / f"{name}.ipynb", verdicts.get(name, ())) for name, entry in entries.items()]
    found = [verdict for card in cards for verdict in card.verdicts]
    spoken = best(found)
    anchors = {verdict: re.sub(r"\s", "-", verdict.name) for verdict in spoken}
    about = read_event(event) if event else None
    title = about.title if about else "Reports"
    first = next((card for card in cards if number(card.name) == "00"), None)
    reports = [card for card in cards if card is not first]
    real = _cards([card for card in reports if not card.market], anchors)
    simulated = _cards([card for card in reports if card.market], anchors)

    answer, told = (brief.headline(found, about), _sentences(spoken, about)) if about else (title, "")
    lead = f'<p class="quiet">{escape(title)}. As of {escape(as_of)}.</p><h1>{escape(answer)}</h1>'
    lead += DRAFT_NOTE if manifest["release"] == DRAFT else ""
    if first:
        told += f'<p><a class="read" href="{_link(first.files["PDF"])}">Read the brief (PDF)</a></p>'
        lead += STAMP if first.market else ""
    lead += f'<div class="lead"><div>{told}</div>{first.picture if first else ""}</div>'
    parts = {
        "Reports": real,
        "Simulated: methods on trial": simulated and SIMULATED + simulated,
        "Sweeps": sweep.html(folder),
        **({f"Since the release of {escape(changes.since)}": _changes(changes)} if changes else {}),
        "This release": _release(manifest, made, failed, others),
    }
    shown = {heading: content for heading, content in parts.items() if content}
    text = page(f"{answer} – {title}" if about else title, lead, shown, reviews(anchors, as_of))
    (folder / FILE).write_text(text, encoding="utf-8")
    crate.describe(folder, manifest, {FILE: "The page of this release", **others})


def _read(notebook: Path) -> tuple[str, str]:
    """Return the title of an executed notebook, without its number, and the alternative text of its first figure."""
    cells = json.loads(notebook.read_bytes())["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    titles = [title for text in texts for title in re.findall(r"^# +(?:\d\d +[–-] +)?(.+)", text, re.MULTILINE)]
    shown = [out.get("data", {}).get("text/html", "") for cell in cells for out in cell.get("outputs", [])]
    seen = [alt for html in shown for alt in PICTURE.findall("".join(html))]
    return next(iter(titles), ""), unescape(next(iter(seen), ""))


def _verdict(row: object) -> Verdict | None:
    try:
        return Verdict.model_validate(row)
    except ValidationError:
        return None


def headline(verdicts: Mapping[str, Iterable[Any]], event: str) -> str:
    """Return the answer with which the page of a release opens; nothing where the reports are about no event."""
    found = [verdict for rows in verdicts.values() for row in rows if (verdict := _verdict(row))]
    return brief.headline(found, read_event(event)) if event else ""


def _sentences(spoken: Sequence[Verdict], event: Event) -> str:
    """Return what the brief says on each topic, with a link to the report."""
    items = [
        f'<li><a href="{_link(page)}">{escape(topic)}</a>. {escape(said)}</li>'
        for topic, page, said in brief.by_topic(spoken, event)
    ]
    return f'<ul class="answer">{"".join(items)}</ul>' if items else ""


def _cards(cards: Sequence[Card], anchors: Mapping[Verdict, str]) -> str:
    return f'<ul class="cards">{"".join(card.html(anchors) for card in cards)}</ul>' if cards else ""


def _release(
    manifest: Mapping[str, Any], made: Collection[str], failed: Collection[str], others: Mapping[str, str]
) -> str:
    kept = [name for name in manifest["reports"] if name not in made and name not in failed]
    told = {"Made in this run": f"{len(made)} of {len(manifest['reports'])} reports", "Unchanged": ", ".join(kept)}
    told["Failed in this run"] = ", ".join(sorted(failed))
    lines = [f"<dt>{what}</dt><dd>{escape(which)}</dd>" for what, which in told.items() if which]
    links = [f'<li><a href="{_link(name)}">{escape(what)}</a></li>' for name, what in others.items()]
    if manifest["panel_is"]:
        lines.append(f"<dt>Panel</dt><dd>{escape(manifest['panel_is'])}</dd>")
    return f'<dl>{"".join(lines)}</dl><ul class="files">{"".join(links)}</ul>'


def _changes(changes: Changes) -> str:
    parts = [f"<p>{escape(diff.line(changes))}</p>"]
    for heading, lines in diff.sections(changes):
        items = "".join(f"<li>{escape(line)}</li>" for line in lines)
        parts.append(f"<details><summary>{escape(heading)}</summary><ul>{items}</ul></details>")
    return "".join(parts)


def _link(path: str) -> str:
    return escape(quote(path))


def reviews(anchors: Mapping[Verdict, str], as_of: str) -> dict[str, Any]:
    """Return verdicts as ClaimReviews of schema.org, each at its place on the page; nothing simulated is one."""
    ledger = data.load("claims").set_index("claim_id")[["date", "source_url"]].astype(str).to_dict("index")
    found = []
    for verdict, anchor in anchors.items():
        claim: dict[str, Any] = {"@type": "Claim", "author": {"@type": "Organization", "name": verdict.party}}
        if known := ledger.get(verdict.claim):
            appearance = {"@type": "CreativeWork", "url": known["source_url"]}
            claim |= {"datePublished": known["date"], "appearance": appearance}
        value = RATINGS.get(verdict.word)
        scale = {} if value is None else {"ratingValue": value, "bestRating": 5, "worstRating": 1}
        why = f"Confidence: {verdict.confidence}. {verdict.why}"
        rating: dict[str, Any] = {"@type": "Rating", "alternateName": verdict.word, "ratingExplanation": why, **scale}
        one: dict[str, Any] = {"@type": "ClaimReview", "url": f"#{quote(anchor)}", "claimReviewed": verdict.statement}
        one |= {"itemReviewed": claim, "author": {"@type": "Organization", "name": AUTHOR}, "datePublished": as_of}
        found.append({**one, "reviewRating": rating, "isBasedOn": quote(f"{verdict.report}.pdf"), "inLanguage": "en"})
    return {"@context": "https://schema.org", "@graph": found}
