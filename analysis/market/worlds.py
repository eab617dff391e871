"""Worlds on the same random numbers: which channels are at work, and what then happens."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from analysis.errors import DesignError
from analysis.estimate import Bools, Floats
from analysis.market import enforcement, responses
from analysis.market.enforcement import Closures
from analysis.market.engine import Course, Plan, Stage, run, set_stage, untouched
from analysis.market.firms import NEVER, draw, streams
from analysis.market.parameters import FIRST_WAVE, MONTHS, PLATFORMS, Ints, Parameters
from analysis.market.paths import trace

CHANNELS = ("closure", "relocation", "chilling", "hedging", "trust")
Channels = frozenset[str]
_ALL = frozenset(CHANNELS)

WORLDS: dict[str, Channels] = {
    "W11": _ALL,  # what happened
    "W00": frozenset(),  # no crackdown
    "W10": frozenset({"closure", "relocation", "trust"}),  # closures, no news; buyers see what is gone
    "W10n": frozenset({"closure", "trust"}),  # closures without relocation
    "W01": frozenset({"chilling", "hedging", "trust"}),  # news only
    **{f"no_{channel}": _ALL - {channel} for channel in CHANNELS},
}


def at_work(channels: Channels) -> Channels:
    """Return the channels that can do anything: no relocation without closure, no trust while no fake is removed."""
    found = set(channels)
    if "closure" not in found:
        found.discard("relocation")
    if not found & {"closure", "chilling"}:
        found.discard("trust")
    return frozenset(found)


def channels_of(world: str) -> Channels:
    """Return the channels of a named world; an unknown name is a DesignError."""
    if world not in WORLDS:
        raise DesignError(f"world {world!r} was asked for; there is none; choose from {', '.join(WORLDS)}")
    return at_work(WORLDS[world])


@dataclass(frozen=True, eq=False)
class Market:
    """One market up to the first wave or news, and whom the closures will hit.

    Attributes
    ----------
    preset : str
    seed : int
    stage : Stage
    history : Course
        The months that all worlds share.
    closures : Closures
    base_share : float64[firm]
        Firm's AMZ sales over its category's whole spending, in the last twelve months of `history`.
    """

    preset: str
    seed: int
    stage: Stage
    history: Course
    closures: Closures
    base_share: Floats

    @property
    def news(self) -> int:
        """First month in which worlds can differ."""
        return FIRST_WAVE - self.stage.parameters.news_lead

    @classmethod
    def open(cls, preset: str, parameters: Parameters, seed: int) -> Market:
        """Draw a market, run it up to the first wave or news, and choose whom to close."""
        firms = draw(parameters, streams(seed))
        stage = set_stage(parameters, firms, trace(parameters, firms))
        news = FIRST_WAVE - parameters.news_lead
        start = entering(stage, None, None)
        history = run(stage, untouched(stage, start, 0, news), np.ones(len(firms), dtype=bool))
        base = slice(news - 12, news)
        share = history.sales[base, 0].sum(axis=0) / firms.nests.spread(stage.paths.spending[base].sum(axis=0))
        return cls(preset, seed, stage, history, enforcement.close(stage, history), share)

    def go_on(self, channels: Channels, closures: Closures | None = None, trust: Floats | None = None) -> Course:
        """Run the months after `history` with these channels at work.

        Parameters
        ----------
        channels : frozenset of str
            Of `CHANNELS`.
        closures : Closures, optional
            Others than those of the market, for firms that are spared alone.
        trust : float64[month], optional
            Utility of AMZ to hold fixed.
        """
        plan = self.plan(at_work(channels), closures or self.closures)
        return run(
            self.stage, plan if trust is None else dataclasses.replace(plan, trust=trust), self.history.survivors
        )

    def plan(self, channels: Channels, closures: Closures) -> Plan:
        """Work out what these channels do to firms from the month of the news on."""
        stage, first = self.stage, self.news
        real = "closure" in channels and stage.parameters.bite > 0  # a sham closure is a date, nobody responds to it
        closed = np.flatnonzero((closures.month < NEVER) & real)
        part = enforcement.open_part(stage, closures, closed, first)
        kept = enforcement.chilled(stage, first) if "chilling" in channels else self._unchilled()
        trust = np.zeros(MONTHS - first)
        if "trust" in channels:
            removed = enforcement.removed_fakes(stage, closures, kept, part, closed)
            trust = enforcement.trust(stage, removed, first)
        moves = closed if "relocation" in channels else closed[:0]
        effort = np.ones((MONTHS - first, len(PLATFORMS), len(closed)))
        following = np.zeros((MONTHS - first, len(closed)))
        if len(moves):
            effort = responses.relocation_effort(stage, closures, moves, first)
            following = responses.followers(stage, part, moves, self.base_share)
        return Plan(
            first=first,
            start=self._start(channels, closures, closed, moves),
            home=enforcement.home_factor(stage, kept, part, closed),
            closed=closed,
            effort=effort,
            following=following,
            hazard=responses.closed_hazard(stage, closures, closed, first),
            trust=trust,
        )

    def _unchilled(self) -> Floats:
        return np.ones((MONTHS - self.news, int(self.stage.firms.cheater.sum())))

    def _start(self, channels: Channels, closures: Closures, closed: Ints, moves: Ints) -> Ints:
        stage = self.stage
        exposure = None
        if len(closed):
            exposure = responses.exposure_by_category(stage, closures, closures.month < NEVER)
        hedging = "hedging" in channels
        start = entering(stage, self.news if hedging else None, exposure)
        if hedging:
            start = np.minimum(start, self._hedges(closures, closed, start.min(axis=0) < NEVER))
        if len(moves):
            start[:, moves] = np.minimum(start[:, moves], responses.relocation_start(stage, closures, moves))
        return start

    def _hedges(self, closures: Closures, closed: Ints, enters: Bools) -> Ints:
        """Return first months on platforms joined because of the news, by firms that enter, while not closed."""
        start = np.where(enters, responses.hedging_start(self.stage, self.news), NEVER)
        start[:, closed] = np.where(start[:, closed] < closures.month[closed], start[:, closed], NEVER)
        return start


def entering(stage: Stage, news: int | None, exposure: Floats | None) -> Ints:
    """Return first months on each platform, int64[platform, firm], `NEVER` for firms that do not enter."""
    return np.where(responses.admitted(stage, news, exposure), stage.firms.start, NEVER)
