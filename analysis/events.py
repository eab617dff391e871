"""The event that a report is about: its platforms, waves and claims, read from ``data/events/<name>.yml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import facts, strict_yaml
from analysis.errors import DataError, DesignError
from analysis.provenance import ROOT

FOLDER = ROOT / "data" / "events"
ON_RECORD = "amazon_2021"
"""The event whose public figures data/facts holds."""


@dataclass(frozen=True)
class Event:
    """One crackdown.

    Attributes
    ----------
    title : str
        In print, as a noun phrase.
    home : str
        Code of the platform that closed accounts; the first of `platforms`.
    platforms : mapping of str to str
        Codes in panels and names in print.
    destinations : tuple of str
        Codes of the one or two platforms to which closed firms are said to have gone.
    opened : tuple of str
        Codes of platforms that opened to the origin alone in these months; the file may leave the key out.
    origin, origin_name : str
        Code of the firms whose growth is asked about, and the adjective in print.
    waves : tuple of Period
        Months of the closures, in order. A panel in which a firm is closed before the first is refused; closures in
        other months after it are counted and said.
    readings : mapping of str to (str, str)
        Claim and reading of readings.csv, by question that public totals or a panel can answer.
    claims, threats : tuple of str
        Rows of claims.csv that reports and the brief speak of, and rows of threats.csv.
    """

    title: str
    home: str
    platforms: Mapping[str, str]
    destinations: tuple[str, ...]
    origin: str
    origin_name: str
    waves: tuple[pd.Period, ...]
    readings: Mapping[str, tuple[str, str]]
    claims: tuple[str, ...]
    threats: tuple[str, ...]
    opened: tuple[str, ...] = ()

    @property
    def asked(self) -> dict[str, tuple[str, str]]:
        """The readings of claims that the event names."""
        return {question: reading for question, reading in self.readings.items() if reading[0] in self.claims}


def names(folder: Path = FOLDER) -> list[str]:
    """Return the names of the events that there are."""
    return sorted(path.stem for path in folder.glob("*.yml"))


def read(name: str, folder: Path = FOLDER) -> Event:
    """Read an event.

    Parameters
    ----------
    name : str
        Name of a file of `folder` without its ending, or the path of any ``.yml`` file.
    folder : Path

    Raises
    ------
    DesignError
        If there is no such event.
    DataError
        If the file lacks a key or has an unknown one, a value is of the wrong kind, or the parts do not fit.
    """
    path = Path(name) if name.endswith(".yml") else folder / f"{name}.yml"
    if not path.is_file():
        raise DesignError(f"the event {name!r} was asked for; there are {', '.join(names(folder))}; name one of these")
    content, wanted = strict_yaml.load(path), [field.name for field in fields(Event)]
    content.setdefault("opened", [])
    if wrong := sorted(set(content) ^ set(wanted)):
        raise DataError(f"{path}: the keys {', '.join(wanted)} were asked for; found {wrong} too many or missing")
    event = Event(
        title=_text(path, "title", content["title"]),
        home=_text(path, "home", content["home"]),
        platforms={code: _text(path, "platforms", name) for code, name in _mapping(path, content, "platforms").items()},
        destinations=tuple(_texts(path, content, "destinations")),
        origin=_text(path, "origin", content["origin"]),
        origin_name=_text(path, "origin_name", content["origin_name"]),
        claims=tuple(_texts(path, content, "claims")),
        threats=tuple(_texts(path, content, "threats")),
        opened=tuple(_texts(path, content, "opened")),
        waves=tuple(_month(path, text) for text in _texts(path, content, "waves")),
        readings={key: _reading(path, text) for key, text in _mapping(path, content, "readings").items()},
    )
    _check(path, event)
    _check_rows(path, event)
    return event


def on_record(event: Event) -> bool:
    """Whether the public figures are of this event.

    They are those of `ON_RECORD`: its title, platforms, origin and readings. Waves, claims and threats may differ, so
    a copy of the file with another wave still has them.
    """
    known = read(ON_RECORD)
    same = ("title", "home", "platforms", "destinations", "origin", "origin_name", "readings")
    return all(getattr(event, name) == getattr(known, name) for name in same)


def record(name: str) -> Event:
    """Read the event of a report on public figures or listed firms.

    Raises
    ------
    DesignError
        If the public figures are of another event than this one.
    DataError
        As :func:`read`.
    """
    event = read(name)
    if not on_record(event):
        raise DesignError(
            f"public figures of {event.title!r} were asked for; those of data/facts are of the event {ON_RECORD}; "
            "bring a panel (data_tier panel), or choose that event"
        )
    return event


def _check_rows(path: Path, event: Event) -> None:
    """Refuse claims, readings and threats that the ledgers do not have."""
    ledger = facts.load("readings")
    readings = set(zip(ledger["claim_id"], ledger["reading"].fillna(""), strict=True))
    for asked, wrong in (
        ("claims of claims.csv", set(event.claims) - set(facts.load("claims")["claim_id"])),
        ("threats of threats.csv", set(event.threats) - set(facts.load("threats")["threat_id"])),
        ("readings of readings.csv", {" ".join(pair).strip() for pair in set(event.readings.values()) - readings}),
    ):
        if wrong:
            raise DataError(f"{path}: {asked} were asked for; found {', '.join(sorted(wrong))}; mend the file")


def _check(path: Path, event: Event) -> None:
    unknown = sorted({event.home, *event.destinations, *event.opened} - set(event.platforms))
    first = next(iter(event.platforms), "")
    for wrong, asked, found in (
        (bool(unknown), "home, destinations and opened among the platforms", ", ".join(unknown)),
        (first != event.home, "the home platform first", first),
        (event.home in event.destinations, "destinations other than home", event.home),
        (not 1 <= len(event.destinations) <= 2, "one or two destinations", str(len(event.destinations))),
        (not event.waves or list(event.waves) != sorted(set(event.waves)), "waves in order", str(event.waves)),
    ):
        if wrong:
            raise DataError(f"{path}: {asked} were asked for; found {found or 'none'}; mend the file")


def _text(path: Path, key: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise DataError(f"{path}: {key} as text was asked for; found {value!r}; write it in quotes")
    return value


def _texts(path: Path, content: Mapping[str, Any], key: str) -> list[str]:
    if not isinstance(content[key], list):
        raise DataError(f"{path}: {key} as a list was asked for; found {content[key]!r}; write [a, b]")
    return [_text(path, key, value) for value in content[key]]


def _mapping(path: Path, content: Mapping[str, Any], key: str) -> dict[str, Any]:
    if not isinstance(content[key], dict):
        raise DataError(f"{path}: {key} as `name: value` lines were asked for; found {content[key]!r}; write them so")
    return {_text(path, key, name): value for name, value in content[key].items()}


def _month(path: Path, text: str) -> pd.Period:
    try:
        return pd.Period(text, freq="M")
    except ValueError:
        raise DataError(f"{path}: a wave as YYYY-MM was asked for; found {text!r}; correct it") from None


def _reading(path: Path, text: Any) -> tuple[str, str]:
    claim, _, reading = _text(path, "readings", text).partition(" ")
    return claim, reading
