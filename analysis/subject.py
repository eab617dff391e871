"""What a report of tier panel or sim is about: an event, a panel of firms, and in a simulated market the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.config import Event, read_event
from analysis.errors import DesignError
from analysis.estimands.design import Design

if TYPE_CHECKING:
    from analysis.market.truth import Truth
    from analysis.panel import Panel

WORLDS = ("W11", "W00", "W10", "W01")


@dataclass(frozen=True, eq=False)
class Subject:
    """One panel, and how it is looked at.

    Attributes
    ----------
    event : Event
    panel : Panel
    design : Design
        The default design, from the parameters of the notebook.
    tier : str
        "panel" or "sim".
    market : str
        Preset and seed of a simulated market, or the name of the file of a simulated panel; empty if real.
    truth : Truth or None
        Known in the tier sim only.
    """

    event: Event
    panel: Panel
    design: Design
    tier: str
    market: str
    truth: Truth | None

    @property
    def mark(self) -> str:
        """Provenance of what is estimated from the panel: "simulated" or "estimate"."""
        return "simulated" if self.market else "estimate"

    @property
    def preset(self) -> str:
        """Preset of the simulated market, whose grades the audit knows; empty for a panel that was brought."""
        return self.truth.market.preset if self.truth else ""

    @property
    def closed(self) -> int:
        """Number of firms closed within the panel, as the audit counts them."""
        return self.panel.count_closed(cut=self.design.cut)

    @property
    def line(self) -> str:
        """The event of a report, and the closures in its waves and in other months, in a sentence for its data."""
        months = closed_by_month(self.panel)
        other = months[~months.index.astype(str).isin(self.event.waves)]
        apart = ", ".join(f"{month} ({number})" for month, number in other.items())
        return (
            f"Event: {self.event.title}{', as simulated' if self.market else ''}; firms closed, in whole or part, in "
            f"its waves: {months.sum() - other.sum():,}, in other months: {apart or 'none'}."
        )

    def true(self) -> dict[str, float]:
        """Return the true value of every estimand in the design's window, by id; empty where it is not known."""
        if self.truth is None:
            return {}
        window = (self.design.post_from, self.design.post_to)
        return self.truth.scalars(*window)


def take(settings: Mapping[str, Any]) -> Subject:
    """Take the panel that the parameters of a notebook name.

    Parameters
    ----------
    settings : mapping
        `data_tier`, `event`; for the tier panel `panel_path` and `panel_map` (empty: the file has the schema's own
        columns), for the tier sim `sim_preset` and `seed`; and of `Design` the fields `comparison`, `post_from`,
        `post_to`, `base_months`, `anticipation`, `cluster` where they are parameters, and `conf`, its level.

    Raises
    ------
    DesignError
        If the tier has no panel, none is named, the design cannot be, or closures are not those of the event.
    DataError
        If the event or the panel cannot be read.
    """
    found = _taken(settings)
    _refuse_other_waves(found.panel, found.event)
    return found


def closed_by_month(panel: Panel) -> pd.Series:
    """Count the firms closed within a panel, in whole or in part, by month."""
    return panel.cohorts(cut=np.finfo(float).tiny).set_index("month")["firms"]


def _refuse_other_waves(panel: Panel, event: Event) -> None:
    """Refuse closures before the event's first wave, which would date it, and a panel with none in any wave."""
    months = closed_by_month(panel)
    early = months[months.index.astype(str) < event.waves[0]]
    found = ", ".join(f"{month} ({number})" for month, number in (months if early.empty else early).items())
    waves = ", ".join(event.waves)
    if len(early):
        raise DesignError(
            f"closures from {event.waves[0]} on were asked for, the first wave of the event ({event.title}); found "
            f"{early.sum():,} firms closed before it: {found}; leave them out of the panel, or add the month to `waves`"
            " in a copy of the event's file and name it with --event"
        )
    if len(months) and not months.index.astype(str).isin(event.waves).any():
        raise DesignError(
            f"closures in the waves of the event ({event.title}; {waves}) were asked for; found {months.sum():,} firms "
            f"closed in other months only: {found}; name the event of this panel with --event, or correct its `waves`"
        )


def _taken(settings: Mapping[str, Any]) -> Subject:
    event, tier = read_event(settings["event"]), settings["data_tier"]
    fields = ("comparison", "post_from", "post_to", "base_months", "anticipation", "cluster")
    design = Design(
        origin=event.origin,
        destinations=event.destinations,
        opened=event.opened,
        level=settings["conf"],
        **{name: settings[name] for name in fields if name in settings},
    )
    if tier == "sim":
        return _simulated(event, design, settings["sim_preset"], settings["seed"])
    if tier == "panel":
        return _brought(event, design, settings["panel_path"], settings["panel_map"])
    raise DesignError(f"a panel of tier {tier!r} was asked for; only panel and sim have one; choose one of them")


def _simulated(event: Event, design: Design, preset: str, seed: int) -> Subject:
    from analysis.market import simulate

    panel, truth = simulate(preset, seed, worlds=WORLDS)
    if panel.platforms[0] != event.home:
        raise DesignError(
            f"the event with home platform {event.home} was asked for in tier sim; the simulated market closes "
            f"accounts on {panel.platforms[0]}; bring a panel of the event, or choose amazon_2021"
        )
    return Subject(event, panel, design, "sim", f"{preset}, seed {seed}", truth)


def _brought(event: Event, design: Design, path: str, named: str) -> Subject:
    from analysis.panel import read_panel

    if not path:
        raise DesignError(
            "a panel was asked for; the parameter panel_path is empty; give a CSV or Parquet file, or choose tier sim"
        )
    panel = read_panel(path, map=named or None, home=event.home, platforms=tuple(event.platforms))
    market = Path(path).name if panel.provenance == "simulated" else ""
    return Subject(event, panel, design, "panel", market, None)
