"""Descriptions of simulated panels and markets."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewtreated.errors import DesignError

from analysis import data

if TYPE_CHECKING:
    import pandas as pd


@cache
def panels() -> pd.DataFrame:
    """Return the kinds of simulated panels used to grade methods, indexed by `preset`."""
    return data.load("graded_panels").set_index("preset")


def closures(preset: str, *, share: bool = True) -> str:
    """Describe a simulated panel's closures, with the closed share of sales if it is fixed.

    Raises
    ------
    DesignError
        If there is no such preset.

    Examples
    --------
    >>> closures("floor_3k"), closures("floor_3k", share=False)
    ("small closures (0.85 per cent of the origin's sales)", 'small closures')
    """
    if preset == "all":
        return "panels of all kinds"
    kinds = {row["preset"]: row for row in data.rows("graded_panels")}
    if preset not in kinds:
        raise DesignError(
            f"Cannot describe the closures of preset {preset!r}; choose from {', '.join(kinds)}"
        )
    if share:
        of = kinds[preset]["share"]
    else:
        of = ""
    return kinds[preset]["closes"] + (
        f" ({float(of):.2g} per cent of the origin's sales)" if of else ""
    )


def market_named(preset: str, first_seed: int, markets: int = 1) -> str:
    """Return the printed name of a simulated market, or of several markets with successive seeds.

    Without any, it is that of the panels in the full audit.

    >>> market_named("mid_3k", 1)
    "medium closures (3 per cent of the origin's sales), seed 1"
    """
    if markets == 0:
        return f"{closures('all')}, from the full audit"
    seeds = (
        f"seed {first_seed}"
        if markets == 1
        else f"seeds {first_seed} to {first_seed + markets - 1}"
    )
    return f"{closures(preset)}, {seeds}"


def market_of(notebook: Path, settings: Mapping[str, Any]) -> str:
    """Return the printed name of the market simulated by a notebook, or an empty string.

    The string is empty if there is no such market.

    The metadata of a notebook that simulates a market contain ``{"market": "{market}"}`` under
    ``market_impact``, with other words around ``{market}`` if it simulates more than its parameters
    specify.
    """
    template = (
        json.loads(notebook.read_bytes())["metadata"].get("market_impact", {}).get("market", "")
    )
    if not template or settings.get("panel_path"):
        return ""
    seeds = (
        (settings["first_seed"], settings["markets"])
        if "first_seed" in settings
        else (settings["seed"],)
    )
    return str(template.format(market=market_named(settings["sim_preset"], *seeds)))


def condition(market: str) -> str:
    """Return the phrase that introduces every statement about a simulated market.

    >>> condition("medium closures (3 per cent of the origin's sales), seed 1")
    'In the simulated market (medium closures, seed 1):'
    """
    name = re.sub(
        r" \([\d.]+ per cent of [^)]*\)", "", market
    )  # stated in the footer of every page
    return f"In the simulated market{f' ({name})' if name else ''}:"
