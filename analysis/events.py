"""The event that a report is about: its platforms, waves and claims, read from ``data/events/<name>.yml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import strict_yaml
from analysis.errors import DataError, DesignError
from analysis.provenance import ROOT

FOLDER = ROOT / "data" / "events"


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
    origin, origin_name : str
        Code of the firms whose growth is asked about, and the adjective in print.
    waves : tuple of Period
        Months of the closures, in order.
    readings : mapping of str to (str, str)
        Claim and reading of readings.csv that a panel can judge, by question.
    claims, threats : tuple of str
        Rows of claims.csv that are judged, and rows of threats.csv.
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

    @property
    def away(self) -> tuple[str, ...]:
        """Codes of the platforms other than home."""
        return tuple(code for code in self.platforms if code != self.home)


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
        waves=tuple(_month(path, text) for text in _texts(path, content, "waves")),
        readings={key: _reading(path, text) for key, text in _mapping(path, content, "readings").items()},
    )
    _check(path, event)
    return event


def _check(path: Path, event: Event) -> None:
    unknown = sorted({event.home, *event.destinations} - set(event.platforms))
    first = next(iter(event.platforms), "")
    for wrong, asked, found in (
        (bool(unknown), "home and destinations among the platforms", ", ".join(unknown)),
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
