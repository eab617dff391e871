"""Events, each a crackdown described by ``event.yml`` in a folder of ``data/events``.

The tables of the event's public figures stand beside that file. Which there may be is listed in
``docs/another-event.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fewtreated.errors import DesignError, refuse
from pydantic import BeforeValidator, Field, model_validator

from analysis import data
from analysis.provenance import ROOT
from analysis.untrusted import inside, located
from analysis.yaml import Labels, Name, Text, Texts, Written, is_like, load

if TYPE_CHECKING:
    import pandas as pd  # slow; imported only where a table is read

EVENTS = ROOT / "data" / "events"

QUESTIONS = (
    "growth_positive",
    "growth_not_lower",
    "share_unchanged",
    "more_presence_elsewhere",
    "more_sales_elsewhere",
)
"""What the reports on a panel ask."""

ClaimAndReading = Annotated[
    tuple[str, str], BeforeValidator(lambda text: str(text).partition(" ")[::2])
]
Month = Annotated[str, is_like("a month YYYY-MM", "[0-9]{4}-(0[1-9]|1[0-2])")]


class Claim(Written):
    """A claim about an event, defined in the event's own file."""

    claimant: Name
    readings: Labels  # question in the reports: the statement that it tests


class Threat(Written):
    """A concurrent development that could confound the estimates.

    It is defined in the event's own file.
    """

    when: Text
    what: Text
    hits: Text
    threatens: Text  # description of the estimates at risk


class Sentences(Written):
    """What the verdict on one reading of a claim comes to: a sentence for each word.

    It is true for any number under that word.
    """

    supported: Text = Field(alias="Supported")
    contradicted: Text = Field(alias="Contradicted")
    not_shown: Text = Field(alias="Not shown")
    not_testable: Text = Field(alias="Not testable")


_BY_ID = BeforeValidator(
    lambda given: dict.fromkeys(map(str, given)) if isinstance(given, list | tuple) else given
)


class Event(Written):
    """A crackdown, with the claims made about it and the threats to its estimates.

    Claims and threats are defined in the event's own file, or are rows of ``claims.csv`` and
    ``threats.csv``.
    """

    title: Name  # as printed, a noun phrase
    background: str = ""  # who said what of which closures, for the brief
    home: Name  # code of the platform that closed accounts, the first of `platforms`
    platforms: Annotated[
        dict[Name, Name], Field(min_length=1)
    ]  # codes in panels, and printed names
    destinations: Annotated[
        Texts, Field(min_length=1, max_length=2)
    ]  # where closed firms are said to have gone
    origin: Name  # code of the firms whose growth is studied
    origin_name: Name  # the adjective, as printed
    waves: Annotated[tuple[Month, ...], Field(min_length=1)]  # months of the closures
    speakers: Labels = Field(default={})  # by party, in the order of a scorecard: who speaks
    readings: dict[
        Text, ClaimAndReading
    ] = {}  # rows of readings.csv, by the question that tests them
    claims: Annotated[
        dict[Text, Claim | None], _BY_ID
    ] = {}  # by id; None refers to a row of claims.csv
    threats: Annotated[
        dict[Text, Threat | None], _BY_ID
    ] = {}  # by id; None refers to a row of threats.csv
    answers: dict[Text, Sentences] = {}  # by question, or by a reading's name such as C08 record
    headline: Texts = ()  # the questions that the headline of the brief answers

    @model_validator(mode="after")
    def _fits(self) -> Event:
        named = {self.home, *self.destinations}
        for expected, holds in (
            ("home and destinations among the platforms", named <= {*self.platforms}),
            ("the home platform listed first", next(iter(self.platforms)) == self.home),
            ("destinations other than home", self.home not in self.destinations),
            (
                "waves in chronological order, each once",
                list(self.waves) == sorted(set(self.waves)),
            ),
        ):
            if not holds:
                raise ValueError(f"expected {expected}")
        return self

    @property
    def own(self) -> dict[str, Claim]:
        """Claims defined in the event's own file, by id."""
        return {name: claim for name, claim in self.claims.items() if claim}

    @property
    def asked(self) -> dict[str, tuple[str, str]]:
        """Claim and reading that each question tests, if the event makes the claim.

        If a claim from the event's own file has several readings, they are called V1, V2 and so on.
        """
        named = {
            question: reading
            for question, reading in self.readings.items()
            if reading[0] in self.claims
        }
        return named | {
            question: (name, f"V{number}" if len(claim.readings) > 1 else "")
            for name, claim in self.own.items()
            for number, question in enumerate(claim.readings, start=1)
        }

    def question(self, name: str) -> str:
        """Return the question that a reading answers, or else the reading's name, `name`."""
        return {" ".join(pair).strip(): asked for asked, pair in self.asked.items()}.get(name, name)

    def sentence(self, name: str, word: str) -> str:
        """Return the sentence for a verdict's word on the reading `name`.

        It is empty if the file has none.
        """
        answers = self.answers.get(self.question(name))
        if answers is None:
            return ""
        return str(answers.model_dump(by_alias=True)[word])

    @property
    def record(self) -> str:
        """Folder of ``data/events`` whose public figures describe this event; empty if none does.

        Waves, claims, readings and threats may differ from those in the file of that folder.
        """
        same = {"title", "home", "platforms", "destinations", "origin", "origin_name"}
        mine = self.model_dump(include=same)
        for name in data.events():
            if load(_file_of(name), Event).model_dump(include=same) == mine:
                return name
        return ""

    def register(self, table: str) -> pd.DataFrame:
        """Return the event's ``claims``, ``readings`` or ``threats``; no rows if it has no table.

        An event without public figures keeps its claims and threats in its own file.
        """
        if table in data.tables(self.record):
            return data.load(table, event=self.record)
        return data.load(table, event=data.SHIPPED).head(0)

    def is_told_by(self, record: str) -> bool:
        """Whether the reports on the public figures in a folder of ``data/events`` are about it.

        They judge the readings of that event, so it must have the same.
        """
        return self.record == record and self.readings == load(_file_of(record), Event).readings


def read_event(name: str, *, record: str = "") -> Event:
    """Read an event by name from ``data/events``, or from a ``.yml`` file.

    With `record`, raise DesignError if the public figures in that folder of ``data/events`` do not
    describe the event.
    """
    path = located("event", name) if name.endswith(".yml") else _file_of(name)
    if not path.is_file():
        there = ", ".join(sorted(file.parent.name for file in EVENTS.glob("*/event.yml")))
        raise DesignError(f"Cannot find the event {name!r}; choose from {there}")
    event = load(path, Event)
    for key, expected, wrong in _faults(event):
        if wrong:
            refuse(f"{path}, key {key}", expected, ", ".join(sorted(wrong)), "correct the file")
    if record and not event.is_told_by(record):
        raise DesignError(
            f"Cannot use public figures for {event.title!r}: the figures of this report describe"
            f" {record}; supply a panel, or choose {record}"
        )
    return event


def told_by(notebook: str) -> str:
    """Return the event of whose public figures a notebook tells.

    It is that of the notebook's folder in ``notebooks/``, or else the one that ships.

    >>> told_by("02_growth"), told_by("panel/03_growth")
    ('amazon_2021', 'amazon_2021')
    """
    folder = notebook.partition("/")[0]
    return folder if folder in data.events() else data.SHIPPED


def _file_of(name: str) -> Path:
    """Return the file of an event in ``data/events``."""
    return inside(EVENTS, f"{name}/event.yml")


def _faults(event: Event) -> Iterator[tuple[str, str, set[str]]]:
    """Yield what an event names and our data do not know: its key, what is expected, the names."""
    own = {*event.own}
    known = {*event.register("claims")["claim_id"]}
    or_own = "" if event.record else ", which this event has not, or entries with their keys"
    yield "claims", f"ids in claims.csv{or_own}", {*event.claims} - own - known
    yield "claims", "ids that are not in claims.csv", own & known
    undescribed = {name for name, threat in event.threats.items() if not threat}
    undescribed -= {*event.register("threats")["threat_id"]}
    yield "threats", f"ids in threats.csv{or_own}", undescribed
    ledger = event.register("readings")
    readings = {*zip(ledger["claim_id"], ledger["reading"].fillna(""), strict=True)}
    unread = {*event.readings.values()} - readings
    yield "readings", "readings in readings.csv", {" ".join(pair) for pair in unread}
    questions = [question for claim in event.own.values() for question in claim.readings]
    unasked = {*event.readings, *questions} - {*QUESTIONS}
    yield "readings", f"questions among {', '.join(QUESTIONS)}", unasked
    twice = {one for one in questions if questions.count(one) > 1}
    yield "readings", "each question once", twice
    names = {" ".join(pair).strip() for pair in (*readings, *event.asked.values())}
    expected = "questions that reports ask, or names of readings"
    yield "answers", expected, {*event.answers} - {*QUESTIONS} - names
    yield "headline", expected, {*event.headline} - {*QUESTIONS} - names
