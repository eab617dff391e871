"""A study of a simulated market: its panel, a design, and the truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.simulated import market_named
from analysis.study import Study, event_and_design
from market import simulate


def open_study(settings: Mapping[str, Any]) -> Study:
    """Open the panel that the parameters of a notebook name, or simulate the market that they describe.

    Parameters
    ----------
    settings : mapping
        As :meth:`analysis.study.Study.open` takes them; where `panel_path` is empty, `sim_preset` and `seed`.

    Raises
    ------
    DesignError
        If the design cannot be, the market is of another event, or closures are not those of the event.
    DataError
        If the event or the panel cannot be read.
    """
    if settings.get("panel_path"):
        return Study.open(settings)
    preset, seed = settings["sim_preset"], settings["seed"]
    event, design = event_and_design(settings)
    panel, truth = simulate(preset, seed)
    return Study(event, panel, design, market_named(preset, seed), preset=preset, truth=truth)
