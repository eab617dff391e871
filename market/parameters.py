"""Parameters and presets of the simulated market, read from ``data/market``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from fewtreated.errors import DesignError
from fewtreated.estimate import Floats
from pydantic import BaseModel, ConfigDict, Field, create_model

from analysis import data
from analysis.event import Event
from analysis.parameters import settled, valid_values

PLATFORMS = ("AMZ", "EBY", "ALI", "WMT", "OWN")
FIRST_MONTH = "2019-01"
MONTHS = 42
FIRST_WAVE = 28  # May 2021: the first month without the accounts closed at the end of April
WAVES = (28, 29, 30, 31)  # end of April, mid-June, July, August 2021 (newschinamag article 6808)


@dataclass(frozen=True)
class Names:
    """What a market calls its platforms, its origin and its months.

    Attributes
    ----------
    platforms : tuple of str
        The home platform, the destinations, and others. If there are fewer than the market has, the
        last one stands for all the rest.
    destinations : tuple of str
        The platforms after the first to which closed firms are said to have gone.
    origin : str
        Of the firms that the closures hit.
    first_month : str
        YYYY-MM; the first wave comes `FIRST_WAVE` months later.
    """

    platforms: tuple[str, ...] = PLATFORMS
    destinations: tuple[str, ...] = PLATFORMS[1:3]
    origin: str = "CN"
    first_month: str = FIRST_MONTH

    @classmethod
    def of(cls, event: Event) -> Names:
        """Return an event's names; raise DesignError if it has more platforms than the market."""
        first = (event.home, *event.destinations)
        platforms = (*first, *(code for code in event.platforms if code not in first))
        if len(platforms) > len(PLATFORMS):
            raise DesignError(
                f"Cannot simulate {event.title!r}: it has {len(platforms)} platforms, and the"
                f" market has {len(PLATFORMS)}; join some of them in the event's file"
            )
        month = np.datetime64(event.waves[0], "M") - FIRST_WAVE
        return cls(platforms, event.destinations, event.origin, str(month))

    def gather(self, sales: Floats, axis: int = 1) -> Floats:
        """Add up the market's platforms to those that have names."""
        return np.asarray(np.add.reduceat(sales, range(len(self.platforms)), axis=axis))


_ROWS: dict[str, dict[str, Any]] = {
    row["name"]: row for row in data.load("market_parameters").to_dict("records")
}
_KINDS = {name: int if row["type"] == "int" else float for name, row in _ROWS.items()}


def _field(row: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return a parameter's type and field.

    The title of the field states the allowed values, for messages.
    """
    kind = _KINDS[row["name"]]
    title = f"{row['type']}, {row['unit']}, from {row['low']:g} to {row['high']:g}"
    return Annotated[kind, Field(ge=row["low"], le=row["high"])], Field(
        kind(row["default"]), title=title
    )


if TYPE_CHECKING:

    class Parameters(BaseModel):
        """Parameters of one simulated market.

        Their names come from a table that mypy cannot read.
        """

        def __getattr__(self, name: str) -> Any: ...

else:
    Parameters = create_model(
        "Parameters",
        __config__=ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False),
        __doc__=(
            "Parameters of one simulated market, with one attribute per row of"
            " ``data/market/parameters.csv``."
        ),
        __module__=__name__,
        **{name: _field(row) for name, row in _ROWS.items()},
    )
PRESETS: dict[str, dict[str, Any]] = {
    str(preset): {
        name: _KINDS[name](value)
        for name, value in zip(rows["parameter"], rows["value"], strict=True)
    }
    for preset, rows in data.load("market_presets").groupby("preset", sort=False)
}


def describe() -> list[dict[str, Any]]:
    """Return the rows of ``data/market/parameters.csv``, with each parameter's default."""
    return [row | {"default": getattr(Parameters(), name)} for name, row in _ROWS.items()]


def chosen(preset: str, overrides: Mapping[str, Any] | None = None) -> Parameters:
    """Return a preset's parameters, with any overrides.

    Raises
    ------
    DesignError
        If the preset or a parameter does not exist, or a value is out of range.

    Examples
    --------
    >>> chosen("mid_3k").sigma, chosen("mid_3k", {"sigma": 0.4}).sigma
    (0.6, 0.4)
    """
    if preset not in PRESETS:
        raise DesignError(
            f"Cannot simulate preset {preset!r}: it does not exist, and no real firm or brand is"
            f" simulated by name; choose from {', '.join(PRESETS)}"
        )
    parameters = Parameters(
        **valid_values(
            Parameters, Parameters.model_validate, PRESETS[preset] | dict(overrides or {})
        )
    )
    if parameters.n_categories > parameters.n_firms:
        raise DesignError(
            f"Cannot simulate {parameters.n_categories} categories: only {parameters.n_firms} firms"
            " sell in them; set at least one firm per category"
        )
    return parameters


def from_text(given: Mapping[str, str]) -> dict[str, Any]:
    """Convert command-line overrides to numbers; raise DesignError if any are invalid."""
    values = settled(Parameters, given)
    return {name: values[name] for name in given}


def in_words(list_: str) -> dict[str, str]:
    """Return one list of labels from ``data/market/words.csv``, by id.

    The lists are "question", "assumption" and "households".
    """
    rows = data.load("market_words").query("list == @list_")
    return dict(zip(rows["id"], rows["words"], strict=True))


def plausible(name: str) -> tuple[float, float]:
    """Return a parameter's plausible range; raise DesignError if there is none."""
    stated = {
        name: row for name, row in _ROWS.items() if row["plausible_low"] == row["plausible_low"]
    }
    if name not in stated:
        raise DesignError(
            f"Cannot vary {name!r}: it has no plausible range; choose from {', '.join(stated)}"
        )
    return stated[name]["plausible_low"], stated[name]["plausible_high"]
