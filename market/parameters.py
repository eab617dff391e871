"""The parameters of the simulated market and its presets: rows of ``data/market``, each with unit, range and source."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from analysis import data
from analysis.errors import DesignError

PLATFORMS = ("AMZ", "EBY", "ALI", "WMT", "OWN")
FIRST_MONTH = "2019-01"
MONTHS = 42
FIRST_WAVE = 28  # May 2021: the first month without the accounts closed at the end of April
WAVES = (28, 29, 30, 31)  # end of April, mid-June, July, August 2021 (newschinamag article 6808)

_KINDS = {"int": int, "float": float}
_ROWS: dict[str, dict[str, Any]] = {row["name"]: row for row in data.load("market_parameters").to_dict("records")}
_DEFAULTS = {name: _KINDS[row["type"]](row["default"]) for name, row in _ROWS.items()}
PRESETS: dict[str, dict[str, Any]] = {
    str(preset): {
        name: _KINDS[_ROWS[name]["type"]](value) for name, value in zip(rows["parameter"], rows["value"], strict=True)
    }
    for preset, rows in data.load("market_presets").groupby("preset", sort=False)
}


class Parameters(SimpleNamespace):
    """The parameters of one simulated market: those of ``data/market/parameters.csv``, each an attribute.

    >>> Parameters().sigma, Parameters(sigma=0.4).sigma
    (0.6, 0.4)
    """

    def __init__(self, **changed: Any) -> None:
        """Take the defaults, some of them changed; :func:`chosen` refuses what cannot be."""
        super().__init__(**_DEFAULTS | changed)

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse: a market has its parameters for good."""
        raise AttributeError(f"parameter {name} of a simulated market cannot be set; simulate another market")

    @staticmethod
    def describe() -> list[dict[str, Any]]:
        """Return the row of every parameter, with what it rests on, was solved for, and stands for."""
        return [row | {"default": _DEFAULTS[name]} for name, row in _ROWS.items()]


def chosen(preset: str, overrides: Mapping[str, Any] | None = None) -> Parameters:
    """Return the parameters of a preset, some overridden; what there is not, or cannot be, is a DesignError."""
    if preset not in PRESETS:
        asked = f"preset {preset!r} of the simulated market was asked for"
        found = "there is none, and real firms or brands are never simulated by name"
        raise DesignError(f"{asked}; {found}; choose from {', '.join(PRESETS)}")
    given = PRESETS[preset] | dict(overrides or {})
    for name, value in given.items():
        if name not in _ROWS:
            asked = f"parameter {name!r} of the simulated market was asked for"
            raise DesignError(f"{asked}; there is none; choose from {', '.join(_ROWS)}")
        row = _ROWS[name]
        wanted = (int,) if row["type"] == "int" else (int, float)
        if isinstance(value, bool) or not isinstance(value, wanted) or not row["low"] <= value <= row["high"]:
            asked = f"parameter {name} = {value!r} was asked for; it is {row['type']} in {row['unit']}"
            raise DesignError(f"{asked}; give a value from {row['low']:g} to {row['high']:g}")
    made = Parameters(**given)
    if made.n_categories > made.n_firms:
        asked = f"{made.n_categories} categories were asked for; there are {made.n_firms} firms to sell in them"
        raise DesignError(f"{asked}; give at least one firm per category")
    return made


def from_text(given: Mapping[str, str]) -> dict[str, Any]:
    """Return overrides typed on a command line as numbers; what is none stays text, and is refused by `chosen`."""
    numbers: dict[str, Any] = {}
    for name, text in given.items():
        try:
            numbers[name] = type(_DEFAULTS.get(name, 0.0))(text)
        except ValueError:
            numbers[name] = text
    return numbers


def plausible(name: str) -> tuple[float, float]:
    """Return the range in which a parameter plausibly lies; where none is stated, that is a DesignError."""
    stated = [known for known, row in _ROWS.items() if row["plausible_low"] == row["plausible_low"]]
    if name not in stated:
        asked = f"the plausible range of {name!r} was asked for"
        raise DesignError(f"{asked}; none is stated; choose from {', '.join(stated)}")
    return _ROWS[name]["plausible_low"], _ROWS[name]["plausible_high"]
