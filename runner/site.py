"""Write a page for each release, a page that lists all releases, and an Atom feed of runs.

A page is a single file that loads nothing else; the page with a reader's choices computes with a
script of its own. Names, titles and claims are untrusted text. The oldest releases are removed here
too: see `prune`.
"""

from __future__ import annotations

import csv
import io
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from analysis.event import read_event, told_by
from analysis.numbers import bounds_in_words, day, quantity
from analysis.provenance import ANNEX
from analysis.simulated import condition
from runner import Outcome, ReportError, chain, diff, log, release, replication, schedule, shortened
from runner.cells import cells
from runner.diff import Changes
from runner.log import LOG
from runner.pdf import AUTHOR
from runner.publish import Verdicts, identity, name_of, rendered
from runner.release import DATA, DRAFT, LATEST, MANIFEST, VERDICTS, Release
from runner.schedule import number, varied

PAGE = "index.html"
BELIEVE = "believe.html"
FEED = "feed.xml"
SHOWN = 100  # runs on the page and in the feed
# the machine-readable rating for the word of each verdict; between 1 and 5 is "half true"
RATINGS = {"Supported": 5, "Contradicted": 1, "Not shown": None, "Not testable": None}
# files of a release that do not belong to a report
OTHERS = {
    BELIEVE: "What would you have to believe? (page)",
    ANNEX: "Annex: what all reports were made of (PDF)",
    VERDICTS: "All verdicts (JSON)",
    diff.FILE: "What changed since the previous release (JSON)",
    DATA: "The data that the reports were made of (zip)",
    "CITATION.cff": "How to cite this release (CFF)",
    replication.FILE: (
        "How to replicate this release: data, rights, programs by table and figure (Markdown)"
    ),
    MANIFEST: "What each report was made of: parameters, versions, hashes (JSON)",
}
NUMBERS = ["estimate", "std_error", "conf_low", "conf_high", "truth", "n"]  # columns of a sweep
TITLE = re.compile(r"^# +(?:\d\d +[–-] +)?(.+)", re.MULTILINE)

Row = Mapping[str, str]
Map = Mapping[Any, Any]


# A release


class Judged(BaseModel):
    """The part of a verdict shown on a release page.

    `anchor` is the verdict's id on the page, if it decides a reading; `told` is its finding in its
    own words, if any.
    """

    word: Literal["Supported", "Contradicted", "Not shown", "Not testable"]
    confidence: str
    statement: str
    claimant: str
    aside: str = ""
    anchor: str = ""
    detail: str = ""
    told: str = Field("", alias="found")
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""

    @property
    def found(self) -> str:
        """The verdict's numbers with their unit.

        The point estimate is included only if there is a finding.
        """
        if self.estimate is not None and RATINGS[self.word]:
            texts = [quantity(self.estimate, self.unit)]
        else:
            texts = []
        if self.low is not None and self.high is not None:
            ends = bounds_in_words(self.low, self.high, self.unit)
            texts.append(ends if self.high < inf else f"at least {quantity(self.low, self.unit)}")
        if texts:
            return f"{', '.join(texts).capitalize()} {self.unit}."
        return ""


@dataclass(frozen=True)
class Brief:
    """Content of a brief: its headline, its answers, and the verdicts that decide the claims.

    An answer has the page of its report, and its sentences.
    """

    headline: str = ""
    answers: Sequence[Row] = ()
    spoken: Iterable[Row] = ()

    @property
    def anchors(self) -> dict[tuple[str, ...], str]:
        """Page anchors for the brief's verdicts, keyed by `identity`."""
        return {identity(row): re.sub(r"\s", "-", name_of(row)) for row in self.spoken}


def _card(name: str, entry: Map, folder: Path, rows: Sequence[Any], anchors: Map) -> dict[str, Any]:
    """Return what the page shows about a report, such as its files, verdicts and sources.

    `entry` is its entry in the manifest; `unread` counts the verdicts that do not match `Judged`.
    """
    from runner import exports

    notebook = folder / f"{name}.ipynb"
    verdicts = list[Judged]()
    for row in rows:
        with suppress(ValidationError):
            shown = {**row, "anchor": anchors.get(identity(row), "")}
            verdicts.append(Judged.model_validate(shown))
    parts = {part["kind"]: part for part, _ in reversed([*exports.parts(notebook)])}
    figure = parts.get("figure", {"alt": "", "caption": ""})
    drawn = f"{name}.figures/figure-1.svg"
    linked = exports.facts(notebook).query("value.str.match('https?://')")
    linked = linked.drop_duplicates("name").sort_values("name")
    return {
        "name": name,
        "market": entry["market"],
        "made": entry["made"],
        "stale": entry.get("stale"),
        "as_of": entry["parameters"].get("as_of", ""),
        "title": _title(name, notebook),
        "event": entry["parameters"].get("event", told_by(entry["notebook"])),
        "figure": drawn if drawn in entry["made"] else "",
        "seen": figure["alt"],
        "caption": figure["caption"],
        "sources": dict(linked[["name", "value"]].to_numpy()),
        "verdicts": verdicts,
        "believe": parts.get("believe"),
        "unread": len(rows) - len(verdicts),
    }


def _title(name: str, notebook: Path) -> str:
    """Return a report's title, with the values that distinguish it in its sweep."""
    of_text = (cell for cell in cells(notebook) if cell["cell_type"] == "markdown")
    texts = ["".join(cell["source"]) for cell in of_text]
    title = name
    if found := TITLE.search("\n".join(texts)):
        title = found[1]
    if values := varied(name):
        return f"{title} ({', '.join(values)})"
    return title


def write_page(
    folder: Path, manifest: Map, verdicts: Verdicts, *, event: str, changes: Changes | None
) -> None:
    """Write a release page and its metadata for catalogues.

    The folder must contain all other files but the manifest.

    Parameters
    ----------
    folder : Path
    manifest : mapping
        As published, with its as-of date, one entry per report, and the reports that were made and
        that failed.
    verdicts : mapping
        By report, as written by the notebooks.
    event : str
        Name or file of the event that the reports are about; empty if there is none.
    changes : Changes or None
        Changes since the previous release.
    """
    from runner import exports

    entries = manifest["reports"]
    exports.cite(folder, manifest)
    replication.write_replication(folder, entries)
    brief = says(folder, entries)
    cards = [
        _card(name, of, folder, verdicts.get(name, ()), brief.anchors)
        for name, of in entries.items()
    ]
    about = "Reports"
    background = ""
    if event:
        about = read_event(event).title
        background = read_event(event).background
    common: dict[str, Any] = {"manifest": manifest, "day": day, "about": about}
    chosen = _write_believe(folder, cards, common)
    first = next((card for card in cards if number(card["name"]) == "00"), None)
    by_page = {f"{card['name']}.pdf": card for card in cards}
    answers = [(by_page.get(row["page"]), row) for row in brief.answers]
    pictured = next((card for card, _ in answers if card and card["figure"]), first)
    files = {name: f"failed/{name}.ipynb" for name in manifest["failed"]}
    others = OTHERS | {
        file: f"{name}, as far as it came (notebook)" for name, file in files.items()
    }
    others = {
        file: what for file, what in others.items() if file == MANIFEST or (folder / file).is_file()
    }
    text = rendered(
        "index.html.j2",
        **common,
        title=f"{brief.headline} – {about}" if brief.headline else about,
        background=background,
        believe=BELIEVE if chosen else "",
        pictured=pictured,
        said=brief,
        answers=answers,
        brief=first,
        cards=[card for card in cards if card is not first],
        event=first["event"] if first else event,
        ratings=RATINGS,
        identity=identity,
        author=AUTHOR,
        condition=condition,
        changes=changes and changes.as_json(),
        sweeps=[_sweep(folder, file) for file in sorted(folder.rglob(f"*{exports.COMPARISON}"))],
        others=others,
    )
    (folder / PAGE).write_text(text, encoding="utf-8")
    exports.describe(folder, manifest, {PAGE: "The page of this release", **others})


def _write_believe(folder: Path, cards: Iterable[Map], common: Map) -> Map | None:
    """Write the page with a reader's choices, and return the card of the report it is about.

    Return None if no report on real data has choices.
    """
    chosen = next((card for card in cards if card["believe"] and not card["market"]), None)
    if chosen:
        rows = [*csv.DictReader(io.StringIO(chosen["believe"]["csv"]))]
        claim = chosen["believe"]["caption"]
        report = chosen["name"]
        page = rendered("believe.html.j2", rows=rows, claim=claim, report=report, **common)
        (folder / BELIEVE).write_text(page, encoding="utf-8")
    return chosen


def says(folder: Path, reports: Iterable[str]) -> Brief:
    """Read the brief in a folder; return an empty `Brief` if there is none."""
    from runner import exports

    headline = ""
    rows: dict[str, list[Row]] = {"brief": [], "spoken": []}
    for name in (name for name in reports if number(name) == "00"):
        for part, _ in exports.parts(folder / f"{name}.ipynb"):
            if part["kind"] in rows:
                rows[part["kind"]] += csv.DictReader(io.StringIO(part["csv"]))
                headline = headline or (part["caption"] if part["kind"] == "brief" else "")
    return Brief(headline, rows["brief"], rows["spoken"])


def _sweep(folder: Path, file: Path) -> dict[str, Any]:
    """Return a sweep's answers for the release page, with one row per answer."""
    import pandas as pd

    from runner import exports

    rows = pd.read_csv(file, dtype=str, keep_default_na=False)
    varied = [*rows.columns[: rows.columns.get_loc("report")]]
    of = ["report", "estimand"]
    # the true effect is not in the answer, but in another table of the report
    truths = rows[rows["truth"] != ""].drop_duplicates(of).set_index(of)["truth"]
    answers = (
        rows[rows["table"] == "0"]
        .drop(columns="truth")
        .drop_duplicates(["label", "report"])
        .join(truths, on=of)
    )
    answers[NUMBERS] = answers[NUMBERS].apply(pd.to_numeric)
    cells = [row | exports.cells_of(row, "Interval") for row in answers.to_dict("records")]
    path = file.relative_to(folder).as_posix()
    simulated = bool((rows["market"] != "").any())
    return {"file": path, "varied": varied, "simulated": simulated, "rows": cells}


# All releases


class Summary(BaseModel):
    """The part of ``changes.json`` shown on the page and in the feed."""

    headline: str = ""
    line: str = ""
    stale: list[str] = []
    told: list[tuple[str, list[str]]] = []


def newest_first(out: Path) -> Iterator[Release]:
    """Yield an output folder's releases that have a readable manifest, newest first."""
    for name in reversed(release.names(out)):
        with suppress(ReportError):
            yield release.read(out / name)


def prune(out: Path, keep: int) -> list[str]:
    """Remove all but the newest `keep` releases, and return one line per old release.

    The caller holds the lock. The target of `latest` and the newest release whose files match its
    manifest stay, however old. Folders without a valid manifest are left alone.
    """
    releases = [*newest_first(out)]
    latest = ""
    if (out / LATEST).is_symlink():
        latest = os.readlink(out / LATEST)
    sound = ""
    if releases[keep:]:
        sound = next((each.folder.name for each in releases if not each.faults()), "")
    stays = {sound: "it is the newest one that verifies", latest: "`latest` points at it"}
    go = {each.folder.name for each in releases[keep:]} - stays.keys()
    log.mark_pruned(out, go, schedule.today())
    lines = list[str]()
    for old in reversed(releases[keep:]):
        name = old.folder.name
        away = out / f"{release.STAGE}{old.folder.name}"
        if name in stays:
            lines.append(f"{name}: kept, since {stays[name]}")
        else:
            os.rename(old.folder, away)  # readers never see half a release
            release.remove(away)
            lines.append(
                f"{name}: removed, {len(old.manifest.files)} files as of {old.manifest.as_of}"
            )
    return lines


def record(out: Path, outcome: Outcome, at: datetime, *, keep: int | None = None) -> Outcome | None:
    """Add the outcome of a run to the log, and return its line.

    The page and the feed are rewritten if the run is an entry in them.

    If another run holds the lock, the page and the feed are left to that run. A run without a
    release or draft adds nothing to a folder that has no log.

    Parameters
    ----------
    out : Path
        The output folder.
    outcome : Outcome
    at : datetime
        When the run ended.
    keep : int or None
        Number of releases to leave after a new one; None means all.
    """
    if not (outcome.release or outcome.draft or (out / LOG).is_file()):
        return None
    told = logged_as(outcome, at)
    log.append(out, told)
    with suppress(ReportError), release.locked(out):
        log.rewrite(out, log.remaining(log.logged(out)))
        if keep and outcome.outcome == "published":
            prune(out, keep)
        if not _shows_newest(out):
            refresh(out)
        log.make_room(out)
    return told


def _shows_newest(out: Path) -> bool:
    """Return whether page and feed have the newest run that is an entry, such as a killed one."""
    if not all((out / file).is_file() for file in (PAGE, FEED)):
        return False
    entries = [run.id for run in log.logged(out) if log.is_entry(run)]
    return entries[-1:] == [] or entries[-1] in (out / FEED).read_text(encoding="utf-8")


def logged_as(outcome: Outcome, at: datetime) -> Outcome:
    """Return an outcome as the log has it: shortened, and with its time and id."""
    short = {part: [*map(shortened, getattr(outcome, part))] for part in ("failures", "notes")}
    given = {"at": at.isoformat(timespec="seconds"), "id": outcome.id or uuid.uuid4().urn}
    return outcome.model_copy(update={**short, **given})


def refresh(out: Path) -> None:
    """Rewrite an output folder's page and feed from its releases and log.

    Both have the last runs that are an entry. Each file is replaced in one step.
    """
    releases = [*newest_first(out)]
    runs = sorted(
        filter(log.is_entry, log.logged(out)), key=lambda run: run.at
    )  # of runs of the same second, the last one is first
    runs = runs[-SHOWN:][::-1]
    summaries = {each.folder.name: changes(each) for each in releases}
    updated = max((run.at for run in runs), default="1970-01-01T00:00:00+00:00")
    values = {
        "releases": summaries,
        "doubtful": chain.doubtful(out),
        "runs": [_item(run, summaries) for run in runs],
        "updated": updated,
    }
    for file, template in ((FEED, "feed.xml.j2"), (PAGE, "releases.html.j2")):
        page = rendered(template, **values, author=AUTHOR, id=log.urn(AUTHOR), feed=FEED)
        release.replace(out / file, page)


def _item(run: Outcome, summaries: Mapping[str, Summary]) -> dict[str, Any]:
    """Return a run's entry for the page and the feed: its outcome, what moved, and its link."""
    where = run.release or run.draft
    moved = ""
    if run.outcome == "published" and run.release in summaries:
        moved = summaries[run.release].line
    page = PAGE
    if where in summaries or where == DRAFT:
        page = f"{where}/{PAGE}"
    return {**dict(run), "moved": moved, "page": page}


def changes(standing: Release) -> Summary:
    """Read a release's ``changes.json``; return an empty summary if it is missing or invalid."""
    try:
        return Summary.model_validate_json(standing.read(diff.FILE, release.JSON))
    except (ReportError, ValidationError):
        return Summary()
