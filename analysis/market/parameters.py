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

SIZES = {"floor_3k": "small", "mid_3k": "medium", "ceiling_50k": "large"}
"""Presets by how much of the origin's sales is closed."""
_SAID = {name: f"{size} closures" for name, size in SIZES.items()} | {
    "null": "closures that change nothing",
    "tail_50k": "closures of many small accounts",
    "chill": "large closures that frighten others",
    "trust": "large closures that raise trust",
    "pretrend": "medium closures where demand was falling anyway",
    "few_treated": "closures of a few brand groups",
    "stress": "medium closures with all disturbances at once",
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


def briefly(preset: str) -> str:
    """Return what a preset closes, in words; one that there is not is a DesignError.

    >>> briefly("floor_3k")
    'small closures'
    """
    if preset == "all" or preset.startswith("plain_"):
        return "panels of all kinds" if preset == "all" else "plain panels"
    chosen(preset)
    return _SAID[preset]


def named(preset: str) -> str:
    """Return what a preset closes, in words, with the share of sales that it fixes.

    >>> named("floor_3k")
    'small closures (0.85 per cent of Chinese sales)'
    """
    words = briefly(preset)
    if preset not in PRESETS:
        return words
    made = chosen(preset)
    fixed = made.max_groups == _DEFAULTS["max_groups"]  # else so few are closed that the share is not reached
    return words + (f" ({100 * made.closed_gmv:.2g} per cent of Chinese sales)" if fixed else "")


MANY_SIZES = "closures smaller and larger than {}"  # of a report on a market whose closures it makes so
MANY_MARKETS = "many markets, one of them shown: {}"  # of a report on more markets than its parameters name


def market_named(preset: str, first_seed: int, markets: int = 1) -> str:
    """Return what a simulated market is called where its results are shown, or so many of successive seeds.

    >>> market_named("mid_3k", 1)
    'medium closures (3 per cent of Chinese sales), seed 1'
    """
    seeds = f"seed {first_seed}" if markets == 1 else f"seeds {first_seed} to {first_seed + markets - 1}"
    return f"{named(preset)}, {seeds}"


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
