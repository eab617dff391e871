"""The truth about a simulated market: every world, every estimand, on the same random numbers."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import factorial
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.errors import DesignError
from analysis.inference import Bools, Floats
from analysis.market import estimands, timelines
from analysis.market.enforcement import BASE
from analysis.market.engine import Course
from analysis.market.estimands import Scene
from analysis.market.firms import NEVER
from analysis.market.observe import firm_ids
from analysis.market.parameters import FIRST_WAVE, MONTHS
from analysis.market.responses import exposure_by_category
from analysis.market.worlds import CHANNELS, Channels, Market, at_work, channels_of

CUT = 0.5  # a firm counts as closed when at least this share of its AMZ sales is


@dataclass(frozen=True, eq=False)
class Truth:
    """What happened and what would have happened.

    Worlds that were not asked for are run when first needed, and kept.

    Attributes
    ----------
    market : Market
        The market, its history and its closures.
    """

    market: Market
    _courses: dict[Channels, Course] = field(default_factory=dict, repr=False)

    def course(self, world: str | Channels) -> Course:
        """Return the months after the first wave or news in a world, named or by its channels."""
        channels = channels_of(world) if isinstance(world, str) else at_work(world)
        if channels not in self._courses:
            self._courses[channels] = self.market.go_on(channels)
        return self._courses[channels]

    def sales(self, world: str) -> Floats:
        """Return sales in a world, float64[firm, platform, month], sim-$."""
        both = np.concatenate([self.market.history.sales, self.course(world).sales])
        return both.transpose(2, 1, 0)

    def alive(self, world: str) -> Bools:
        """Return who has not gone for good, bool[firm, month]; firms that never enter are not alive."""
        course = self.course(world)
        both = np.concatenate([self.market.history.alive, course.alive])
        entered = course.plan.start.min(axis=0) <= np.arange(MONTHS)[:, np.newaxis]
        return np.asarray((both & entered).T)

    def outside(self, world: str) -> Floats:
        """Return spending elsewhere, float64[category, month], sim-$."""
        return np.concatenate([self.market.history.outside, self.course(world).outside]).T

    @cached_property
    def firms(self) -> pd.DataFrame:
        """One row per firm, also those that enter in no world: what is true of it.

        Columns: `origin`, `category`, `brand_group`, `accounts`, `stands_for` (merchants), `cheater`, `suspicion`,
        `entry_month` (position; -100 from the start), `closed_month` (position; inf never), `dose` (0 if never).
        """
        firms, closures = self.market.stage.firms, self.market.closures
        return pd.DataFrame(
            {
                "origin": np.where(firms.chinese, "CN", "other"),
                "category": firms.nests.category,
                "brand_group": firms.group,
                "accounts": firms.accounts,
                "stands_for": firms.stands_for,
                "cheater": firms.cheater,
                "suspicion": firms.suspicion,
                "entry_month": firms.entry_month,
                "closed_month": self.closed_month,
                "dose": closures.dose,
            },
            index=pd.Index(firm_ids(len(firms)), name="firm"),
        )

    @property
    def closed_month(self) -> Floats:
        """First month of closure, float64[firm]; inf if never."""
        month = self.market.closures.month
        return np.where(month < NEVER, month, np.inf)

    @property
    def closed(self) -> Bools:
        """Firms with at least half of their AMZ sales closed, bool[firm]."""
        return np.asarray(self.market.closures.dose >= CUT)

    @property
    def evasion(self) -> pd.DataFrame:
        """Renamed accounts: `account`, `firm`, `opened`, `closed_again` (positions of months; inf if never)."""
        closures = self.market.closures
        rows = np.flatnonzero(closures.back < MONTHS)
        ids = firm_ids(len(closures.back))[rows]
        again = closures.again[rows]
        return pd.DataFrame(
            {
                "account": [f"{name}-R" for name in ids],
                "firm": ids,
                "opened": closures.back[rows],
                "closed_again": np.where(again < MONTHS, again, np.inf),
            }
        )

    @cached_property
    def exposure(self) -> Floats:
        """Leave-own-out base share of the category's closed firms, float64[firm, month]."""
        stage, closures = self.market.stage, self.market.closures
        by = np.zeros((MONTHS, len(stage.level[0])))
        by[FIRST_WAVE:] = exposure_by_category(stage, closures, self.closed)
        own = closures.share * self.closed * (np.arange(MONTHS)[:, np.newaxis] >= self.closed_month)
        return np.maximum(stage.firms.nests.spread(by) - own, 0.0).T

    def scene(self, post_from: int = 4, post_to: int = 9, worlds: tuple[str, ...] = ("W11", "W00")) -> Scene:
        """Return what the estimands of a window need.

        Parameters
        ----------
        post_from, post_to : int
            First and last month of the window after the first wave; 4 to 9 is September 2021 to February 2022.
        worlds : tuple of str
            Worlds to compare.

        Raises
        ------
        DesignError
            If the window does not lie within the months after the first wave, or its base months a year before do
            not end before the news.
        """
        first, last = FIRST_WAVE + post_from, FIRST_WAVE + post_to
        if not FIRST_WAVE <= first <= last < MONTHS or last - 12 >= self.market.news:
            raise DesignError(
                f"a window from month {post_from} to {post_to} after the first wave was asked for; months 0 to "
                f"{min(MONTHS - 1, self.market.news + 11) - FIRST_WAVE} have a base a year before that ends before "
                "the news; choose among these"
            )
        window = timelines.window_of(self.market, post_from, post_to)
        history, firms = self.market.history.sales, self.market.stage.firms
        courses = {world: self.course(world) for world in worlds}
        return Scene(
            after={world: course.sales[window].transpose(2, 1, 0) for world, course in courses.items()},
            base=history[first - 12 : last - 11].sum(axis=0).T,
            year=history[BASE.start : self.market.news].sum(axis=0).T,
            chinese=firms.chinese,
            closed=self.closed,
            dose=self.market.closures.dose,
            months_closed=(np.arange(first, last + 1) >= self.closed_month[:, np.newaxis]).mean(axis=1),
            exposure=self.exposure[:, first : last + 1].mean(axis=1),
            suspicion=firms.suspicion,
            outside={world: float(course.outside[window].sum()) for world, course in courses.items()},
        )

    def scalars(self, post_from: int = 4, post_to: int = 9) -> dict[str, float]:
        """Return every estimand in a window, by its id.

        E1a, E1b, E1c, E2, E3, E5a, E5b, E5d in per cent; E3g, E3k, E3s, E4a_presence, E4d, E5c in percentage points;
        E4a, E4b, E4e in per cent of the lost AMZ sales L; E1d in months; E1e a ratio; slopes per ten points of
        exposure; E2a_bin1 and so
        on against the bin of lowest exposure; `L` and `E1a_per_account` in sim-$ a month, the latter per closed
        account of the merchants that a firm stands for.
        NaN where nothing was closed or lost. Parameters as :meth:`scene`.
        """
        scene = self.scene(post_from, post_to, ("W11", "W00", "W10", "W01"))
        months = post_to - post_from + 1
        found = estimands.direct(scene) | self._own(post_from, post_to, self.closed)
        found |= self._timelines(post_from, post_to) | estimands.spillover(scene) | estimands.growth(scene)
        found |= estimands.shift(scene) | estimands.chilling(scene)
        spared = scene.chinese & ~scene.closed & scene.base.any(axis=1)
        found |= timelines.hedging(scene.after["W01"], scene.after["W00"], spared) | estimands.toward(scene)
        found |= {f"E3k_{name}": part for name, part in estimands.decomposition(scene).items()}
        firms, closures = self.market.stage.firms, self.market.closures
        accounts = float((firms.stands_for * closures.closed_accounts)[scene.closed].sum())
        loss = float(scene.change()[scene.closed].sum())
        found["E1a_per_account"] = estimands.over(loss, accounts * months)
        found["L"] = scene.lost / months
        return dict(sorted(found.items()))

    def closed_by(self, post_from: int, post_to: int) -> dict[str, float]:
        """Return E1a, E1c and `mechanical`, the loss that is mechanical, of the firms closed by the end of a window.

        Per cent; the last is a fall and has its sign. Parameters as :meth:`scene`.
        """
        closed = self.closed & (self.closed_month <= FIRST_WAVE + post_to)
        scene = replace(self.scene(post_from, post_to), closed=closed)
        found = {"E1a": estimands.direct(scene)["E1a"], "mechanical": -estimands.mechanical(scene)}
        return found | self._own(post_from, post_to, closed)

    def _own(self, post_from: int, post_to: int, closed: Bools) -> dict[str, float]:
        course, window = self.course("W11"), timelines.window_of(self.market, post_from, post_to)
        return timelines.own_closure(self.market, course.sales, course.plan.trust, closed, window)

    def _timelines(self, post_from: int, post_to: int) -> dict[str, float]:
        month = np.where(self.closed, self.closed_month, np.inf)
        with_, without = self.sales("W11"), self.sales("W00")
        starts = (self.course("W11").plan.start, self.course("W00").plan.start)
        by = exposure_by_category(self.market.stage, self.market.closures, self.closed)[post_to]
        return (
            timelines.survival(with_, without, month)
            | timelines.anticipation(with_, without, month)
            | timelines.entry(self.market, starts, by, FIRST_WAVE + post_to)
        )

    def decomposition(self, post_from: int = 4, post_to: int = 9) -> dict[str, float]:
        """Return the four parts of E3g in percentage points; they add up to it. Parameters as :meth:`scene`."""
        return estimands.decomposition(self.scene(post_from, post_to))

    def displacement(self, post_from: int = 4, post_to: int = 9) -> dict[str, float]:
        """Return d1 to d7 in per cent of L; they add up to 100. Parameters as :meth:`scene`."""
        return estimands.displacement(self.scene(post_from, post_to))

    def diversion(self, post_from: int = 4, post_to: int = 9) -> pd.DataFrame:
        """Return per cent of L that went to closed, other Chinese and other firms (rows) by platform (columns)."""
        return pd.DataFrame(estimands.diversion(self.scene(post_from, post_to))).T

    def entries(self, post_from: int = 4, post_to: int = 9) -> pd.DataFrame:
        """Count the firms that first sell from the news to the end of the window: origins (rows) by world."""
        last, firms = FIRST_WAVE + post_to, self.market.stage.firms
        self.scene(post_from, post_to)
        when = (firms.entry_month >= self.market.news) & (firms.entry_month <= last)
        counts = {}
        for world in ("W11", "W00", "W10", "W01"):
            enters = when & (self.course(world).plan.start.min(axis=0) < NEVER)
            counts[world] = {"CN": int((enters & firms.chinese).sum()), "other": int((enters & ~firms.chinese).sum())}
        return pd.DataFrame(counts)

    def to_parquet(self, path: str | Path) -> None:
        """Write sales and life of every firm in every world, a row per firm, platform and month."""
        from analysis.market.export import write_worlds

        write_worlds(self, Path(path))

    def to_json(self, path: str | Path, post_from: int = 4, post_to: int = 9) -> None:
        """Write parameters, firms and every estimand of a window."""
        from analysis.market.export import write_answers

        write_answers(self, Path(path), post_from, post_to)

    def shapley(self, post_from: int = 4, post_to: int = 9) -> dict[str, float]:
        """Return what each channel contributes to E3g, averaged over all orders; they add up to it.

        Runs every combination of channels once, 22 worlds. Parameters as :meth:`scene`.
        """
        scene = self.scene(post_from, post_to)
        chinese, window = scene.chinese, timelines.window_of(self.market, post_from, post_to)
        base, without = scene.base[chinese, 0].sum(), scene.total("W00")[chinese, 0].sum()
        worth: dict[Channels, float] = {}
        for size in range(len(CHANNELS) + 1):
            for chosen in itertools.combinations(CHANNELS, size):
                if (channels := at_work(frozenset(chosen))) not in worth:
                    sales = self.market.go_on(channels).sales[window, 0][:, chinese].sum()
                    worth[channels] = float(100 * (sales - without) / base)
        return {channel: _average_step(channel, worth) for channel in CHANNELS}


def _average_step(channel: str, worth: dict[Channels, float]) -> float:
    others = [other for other in CHANNELS if other != channel]
    total = 0.0
    for size in range(len(others) + 1):
        weight = factorial(size) * factorial(len(others) - size) / factorial(len(CHANNELS))
        for chosen in itertools.combinations(others, size):
            step = worth[at_work(frozenset({*chosen, channel}))] - worth[at_work(frozenset(chosen))]
            total += weight * step
    return total
