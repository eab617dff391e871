"""Truth about a simulated market: sales in every world, and every estimand.

For growth, share, displacement and relocation, the formulas of `analysis.estimands` are applied to
changes between worlds.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from functools import cache, cached_property

import numpy as np
import pandas as pd
from fewtreated.errors import DesignError, check_choice
from fewtreated.estimate import Bools, Floats, Ints
from fewtreated.estimators.exposure import BINS, PER

from analysis.estimands import growth
from analysis.estimands.changes import Changes, What
from analysis.estimands.closed_firms import HORIZON, Where, mechanical_loss
from analysis.estimands.design import Design
from analysis.estimands.displacement import mix_change, proportional, shares_of_loss
from analysis.estimands.samples import GAP, HIGH_RISK, LEADS
from analysis.estimate import Estimate
from market.observe import ids
from market.parameters import FIRST_WAVE, MONTHS, Names
from market.population import NEVER
from market.worlds import (
    BASE,
    CHANNELS,
    WORLDS,
    Channels,
    Market,
    Trajectory,
    at_work,
    exposure_by_category,
    part_of,
)

HOME = 0
NAMES = Names()


@dataclass(frozen=True, eq=False)
class Window:
    """Sales in one window by world, and firm attributes.

    Attributes
    ----------
    after : dict of str to float64[firm, platform, month]
        Sales in the window by world.
    base : float64[firm, platform]
        Sales in the same calendar months a year earlier, equal in all worlds.
    year : float64[firm, platform]
        Sales in the twelve months before the first wave.
    chinese, closed : bool[firm]
        True if the firm is Chinese, and if at least half of its AMZ sales were closed.
    dose, months_closed, exposure, suspicion : float64[firm]
        Closed share, share of the window in which the firm is closed, leave-own-out exposure in the
        window, risk score.
    names : Names
        What platforms and origin are called.
    """

    after: dict[str, Floats]
    base: Floats
    year: Floats
    chinese: Bools
    closed: Bools
    dose: Floats
    months_closed: Floats
    exposure: Floats
    suspicion: Floats
    names: Names = NAMES

    def total(self, world: str) -> Floats:
        """Return a world's sales in the window, float64[firm, platform]."""
        return np.asarray(self.after[world].sum(axis=2))

    @cached_property
    def change(self) -> Floats:
        """Effect of the crackdown on sales, W11 less W00, float64[firm, platform]."""
        return self.total("W11") - self.total("W00")

    @cached_property
    def low(self) -> Bools:
        """Mask of comparison firms, never closed and hardly exposed, bool[firm]."""
        return np.asarray(~self.closed & (self.dose == 0) & (self.exposure < Design.low))

    @cached_property
    def seen(self) -> Floats:
        """Change in sales that a comparison with low-exposure firms would show.

        The array is float64[firm, platform].

        It leaves out the effect common to all firms of an origin, which is that on low-exposure
        firms in proportion to baseline sales.
        """
        seen = np.where(self.low[:, np.newaxis], 0.0, self.change)
        for origin in (self.chinese, ~self.chinese):
            low = origin & self.low
            others = origin & ~self.low
            sold = self.base[low].sum(axis=0)
            change = self.change[low].sum(axis=0)
            seen[others] -= self.base[others] * np.divide(
                change, sold, out=np.zeros(len(sold)), where=sold > 0
            )
        return seen

    @property
    def lost(self) -> float:
        """Closed firms' lost AMZ sales (L), in sim-$.

        They are as a comparison with low-exposure firms would show them.
        """
        return -float(self.seen[self.closed, HOME].sum())

    def changes(self, change: Floats) -> Changes:
        """Sum changes in sales by set, origin and platform.

        The sums have the same form as a panel's estimates.
        """
        sets: list[tuple[What, Bools]] = [("closed", self.closed), ("exposed", ~self.closed)]
        origins = [(True, self.chinese), (False, ~self.chinese)]
        cells = [
            (what, chinese, platform)
            for what, _ in sets
            for chinese, _ in origins
            for platform in self.names.platforms
        ]
        estimate = Estimate(
            estimand="changes",
            unit="sim-$",
            terms=tuple(" ".join(map(str, cell)) for cell in cells),
            value=np.concatenate(
                [change[firms & side].sum(axis=0) for _, firms in sets for _, side in origins]
            ),
            scores=np.zeros((0, len(cells))),
            counts={"closed": int(self.closed.sum())},
        )
        sales = (self.base[:, HOME], self.total("W11")[:, HOME])
        sold = np.array([[total[side].sum() for _, side in origins] for total in sales])
        home, *others = self.names.platforms
        return Changes(estimate, cells, home, tuple(others), self.names.destinations, sold)

    def effect(self, firms: Bools, platforms: slice | int, world: str = "W11") -> float:
        """Return the change, in per cent, in the given firms' sales relative to W00."""
        with_, without = (self.total(name)[firms][:, platforms].sum() for name in (world, "W00"))
        return 100 * over(with_ - without, without)

    def mechanical(self) -> float:
        """Return closed accounts' own sales as a percentage of closed firms' sales everywhere.

        Everywhere means on all platforms.
        """
        dose, months, year = (
            values[self.closed] for values in (self.dose, self.months_closed, self.year)
        )
        return mechanical_loss(dose, months, year[:, HOME], year.sum(axis=1))

    def scalars(self) -> dict[str, float]:
        """Return every estimand that depends on sales in one window, by id."""
        return {
            **self.of_closed(),
            **self.of_rivals(),
            **self.of_growth(),
            **{f"E3k_{name}": points for name, points in self.seen_parts_of_growth().items()},
            **self.of_loss(),
            **self.mix(),
            **self.toward(),
            **self.of_news(),
        }

    def of_closed(self) -> dict[str, float]:
        """Return E1a, E1b and E1e, the effects on closed firms.

        They are the effects everywhere, on AMZ, and relative to the mechanical loss.
        """
        everywhere = self.effect(self.closed, slice(None))
        return {
            "E1a": everywhere,
            "E1b": self.effect(self.closed, HOME),
            "E1e": over(-everywhere, self.mechanical()),
        }

    def of_rivals(self) -> dict[str, float]:
        """Return E2a and E2b, the effects on firms that were not closed.

        Each has a mean, a slope per ten points of exposure, and bins of exposure.
        """
        effects: dict[str, float] = {}
        without = self.total("W00")[:, HOME]
        with_ = self.total("W10")[:, HOME]
        eligible = ~self.closed & (self.dose == 0) & (self.year[:, HOME] > 0) & (without > 0)
        for name, origin in (("E2a", self.chinese), ("E2b", ~self.chinese)):
            firms = origin & eligible
            effects |= by_exposure(name, self.exposure[firms], without[firms], with_[firms])
        return effects

    def of_growth(self) -> dict[str, float]:
        """Return E3g, E3 and E3s: effects on Chinese firms' growth, sales and share on AMZ.

        There are true and observable effects.

        E3g_common, the difference between E3g and E3g_seen, is common to all Chinese firms and so
        not observable.
        """
        effects: dict[str, float] = {}
        for end, change in (("", self.change), ("_seen", self.seen)):
            changes = self.changes(change)
            effect = growth.growth_effect(changes)
            sold = changes.sold[:, 0]
            effects["E3g" + end] = effect["seen"].value[0]
            effects["E3" + end] = growth.sales_effect(effect, 100 * sold[1] / sold[0])[
                "seen"
            ].value[0]
            effects["E3s" + end] = growth.share_effect(changes)["seen"].value[0]
        return effects | {"E3g_common": effects["E3g"] - effects["E3g_seen"]}

    def parts_of_growth(self) -> dict[str, float]:
        """Split E3g between closed firms, incumbents, voluntary exit and entry.

        It is in percentage points.

        The parts add up to E3g. Incumbents are firms that sold on AMZ in the base months. A firm is
        alive if it sells on AMZ in the window.
        """
        return self._parts(np.ones(len(self.closed), dtype=bool))

    def seen_parts_of_growth(self) -> dict[str, float]:
        """Split E3g_seen into the same parts as E3g.

        From each part, that of low-exposure firms is deducted in proportion to baseline sales.
        Entry is scaled to the joint sales of exposed and closed firms.
        """
        whole = self.base[self.chinese, HOME].sum()
        sold = self.base[:, HOME] * self.chinese
        low, exposed, closed = (
            sold[who].sum() / whole for who in (self.low, ~self.low & ~self.closed, self.closed)
        )
        common = self._parts(self.low)
        others = self._parts(~self.low)
        beside = {"incumbents": exposed, "exit": exposed, "entry": exposed + closed}
        spared = {
            name: others[name] - over(common[name] * sold, low) for name, sold in beside.items()
        }
        gone = over((common["incumbents"] + common["exit"]) * closed, low)
        return {"closed": others["closed"] - gone} | spared

    def _parts(self, among: Bools) -> dict[str, float]:
        """Return the given firms' contributions to the effect on Chinese sales growth.

        They are in percentage points.
        """
        chinese = self.chinese
        change = self.change[:, HOME]
        incumbent = self.base[:, HOME] > 0
        with_ = self.total("W11")[:, HOME] > 0
        without = self.total("W00")[:, HOME] > 0
        spared = chinese & incumbent & ~self.closed
        parts = {
            "closed": chinese & incumbent & self.closed,
            "incumbents": spared & (with_ == without),
            "exit": spared & (with_ != without),
            "entry": chinese & ~incumbent,
        }
        volume = self.base[chinese, HOME].sum()
        return {
            name: 100 * over(change[firms & among].sum(), volume) for name, firms in parts.items()
        }

    def of_loss(self) -> dict[str, float]:
        """Return d1 to d7, E4a, E4b and E4e: where closed firms' lost AMZ sales went.

        They are in per cent of L.
        """
        names = {f"d{k}": f"d{k}" for k in range(1, 8)} | {
            f"E4a_{name}": name for name in self.names.platforms[1:]
        }
        origin = self.names.origin
        names |= {f"E4b_{origin}": "d1", "E4b_other": "d2"}
        names |= {f"E4e_{origin}": "d1", "E4e_other": "d2"}
        if not self.lost > 0:  # nothing was lost
            return dict.fromkeys(names, float("nan"))
        shares = shares_of_loss(self.changes(self.seen))
        value = dict(zip(shares.terms, map(float, shares.value), strict=True))
        chinese, other = proportional(self.year[:, HOME], self.closed, self.chinese)
        expected = {f"E4e_{origin}": chinese, "E4e_other": other}
        return {name: value[term] - expected.get(name, 0.0) for name, term in names.items()}

    def mix(self) -> dict[str, float]:
        """Return E4d: the mean change in platform shares of closed firms, in points.

        The mean is over those that sell in both worlds.
        """
        change = mix_change(self.total("W11"), self.total("W00"))[self.closed]
        change = change[np.isfinite(change).all(axis=1)]
        if len(change):
            mean = change.mean(axis=0)
        else:
            mean = np.full(len(self.names.platforms), np.nan)
        named = zip(self.names.platforms, mean, strict=True)
        return {f"E4d_{name}": float(value) for name, value in named}

    def toward(self) -> dict[str, float]:
        """Return the changes in closed firms' presence and sales at the destinations.

        Presence is in points. Sales are in per cent of L.

        E4a_presence is the share of the window's months with sales there, averaged over both
        platforms and the closed firms that sold anything a year earlier; E4a_sales is the change in
        sales.
        """
        columns = [self.names.platforms.index(name) for name in self.names.destinations]
        firms = self.closed & self.base.any(axis=1)
        present = [
            float((self.after[world][firms][:, columns] > 0).sum()) for world in ("W11", "W00")
        ]
        months = self.after["W11"].shape[2] * len(columns) * int(firms.sum())
        gained = float(self.seen[self.closed][:, columns].sum())
        return {
            "E4a_presence": 100 * over(present[0] - present[1], months),
            "E4a_sales": 100 * over(gained, max(self.lost, 0.0)),
        }

    def of_news(self) -> dict[str, float]:
        """Return E5b, the effect of the news alone.

        It is the effect on AMZ sales of suspect, hardly exposed firms, per cent.
        """
        suspect = ~self.closed & (self.suspicion > HIGH_RISK) & (self.exposure < Design.low)
        return {"E5b": self.effect(suspect, HOME, "W01")}


def by_exposure(name: str, exposure: Floats, without: Floats, with_: Floats) -> dict[str, float]:
    """Return the effects of exposure by id: the average, the slope and one effect per bin.

    Ids are, for example, "E2a", "E2a_slope" and "E2a_bin1". Effects are in per cent, from sales
    with and without closures, float64[firm]. The slope, per ten points, is from a least-squares
    regression of the relative change, weighted by sales without closures. Bins are relative to the
    lowest.
    """
    change = with_ - without
    total = without.sum()
    centred = exposure - over(float(without @ exposure), total)
    effects = {name: over(100 * change.sum(), total)}
    effects[f"{name}_slope"] = (
        100 * PER * over(float(centred @ change), float(without @ centred**2))
    )
    sums = (
        pd.DataFrame({"with": with_, "without": without}).groupby(np.digitize(exposure, BINS)).sum()
    )
    growth = sums["with"] / sums["without"]
    if 0 in growth.index and total:
        effects |= {
            f"{name}_bin{bin_}": 100 * (growth[bin_] / growth[0] - 1) for bin_ in growth.index[1:]
        }
    return {term: float(value) for term, value in effects.items()}


def over(numerator: float, denominator: float) -> float:
    """Divide two numbers; return NaN if the denominator is zero."""
    if denominator:
        return float(numerator / denominator)
    return float("nan")


class Worlds(ABC):
    """Sales of the same firms in several worlds.

    Examples are W11 with closures and W00 without the crackdown.
    """

    @property
    @abstractmethod
    def firms(self) -> pd.DataFrame:
        """Firm attributes, with one row per firm."""

    @abstractmethod
    def sales(self, world: str) -> Floats:
        """Return sales in a world, float64[firm, platform, month]."""

    def path(self, study: Estimate) -> Floats:
        """Return the true effect on an event study's closed firms by month, float64[term].

        It is in log points.
        """
        if study.refused:
            return np.full(len(study.terms), np.nan)
        closed = study.details["closed"]
        month = np.array(study.terms, dtype=int)
        with_, without = (
            self._sold(world, closed, month, study.details["where"]) for world in ("W11", "W00")
        )
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(with_ / without))

    def by_cohort(self, cohorts: Estimate) -> dict[str, float]:
        """Return the true effect, in per cent, for each term of a cohort estimate."""
        if cohorts.refused:
            return {}
        closed = cohorts.details["closed"]
        month = np.arange(cohorts.details["end"] + 1)
        groups = [firms for _, firms in closed.groupby("cohort")] + [closed]
        effects = {}
        for term, firms in zip(cohorts.terms, groups, strict=True):
            with_, without = (
                self._sold(world, firms, month, "all").sum() for world in ("W11", "W00")
            )
            effects[term] = float(100 * (with_ / without - 1))
        return effects

    def _sold(self, world: str, closed: pd.DataFrame, month: Ints, where: Where) -> Floats:
        """Sum closed firms' sales by month since closure, float64[month]."""
        sales = self.sales(world)[self.firms.index.get_indexer(closed["firm"])]
        if where == "home":
            by_firm = sales[:, HOME]
        else:
            by_firm = sales.sum(axis=1)
        column = closed["cohort"].to_numpy()[:, np.newaxis] + month
        return np.asarray(np.take_along_axis(by_firm, column, axis=1).sum(axis=0))


@dataclass(frozen=True, eq=False, repr=False)
class Truth(Worlds):
    """Truth about a simulated market: what happened, and what would have happened in other worlds.

    Worlds are run on first use and cached.

    Attributes
    ----------
    market : Market
        The market, its history and its closures.
    names : Names
        What its platforms, its origin and its months are called.
    """

    market: Market
    names: Names = NAMES
    _courses: dict[Channels, Trajectory] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Truth of the simulated market {self.market.preset}, seed {self.market.seed}"

    def course(self, world: str) -> Trajectory:
        """Return a world's outcomes from the news onwards.

        `world` is one of `WORLDS`.
        """
        check_choice("world", world, WORLDS)
        channels = at_work(WORLDS[world])
        if channels not in self._courses:
            self._courses[channels] = self.market.go_on(channels)
        return self._courses[channels]

    def sales(self, world: str) -> Floats:
        """Return sales in a world, in sim-$, float64[firm, platform, month]."""
        both = np.concatenate([self.market.history.sales, self.course(world).sales])
        return both.transpose(2, 1, 0)

    @cached_property
    def firms(self) -> pd.DataFrame:
        """True attributes of every firm, including firms that enter in no world.

        Columns: `origin`, `category`, `brand_group`, `accounts`, `stands_for` (merchants),
        `cheater`, `suspicion`, `entry_month` (position; -100 for initial firms), `closed_month`
        (position; inf if never), `dose` (0 if never), and `opened` and `closed_again`, the
        positions of the months in which its renamed account, with the suffix "-R", opened and was
        closed (inf if never).
        """
        firms = self.market.firms
        closures = self.market.closures
        opened, again = (
            np.where(when < MONTHS, when, np.inf) for when in (closures.back, closures.again)
        )
        return pd.DataFrame(
            {
                "origin": np.where(firms.chinese, self.names.origin, "other"),
                "category": firms.nests.category,
                "brand_group": firms.group,
                "accounts": firms.accounts,
                "stands_for": firms.stands_for,
                "cheater": firms.cheater,
                "suspicion": firms.suspicion,
                "entry_month": firms.entry_month,
                "closed_month": self.closed_month,
                "dose": closures.dose,
                "opened": opened,
                "closed_again": again,
            },
            index=pd.Index(ids(len(firms)), name="firm"),
        )

    @property
    def closed_month(self) -> Floats:
        """Month of each firm's closure, float64[firm]; inf if never."""
        month = self.market.closures.month
        return np.where(month < NEVER, month, np.inf)

    @property
    def closed(self) -> Bools:
        """Mask of firms with at least half of their AMZ sales closed, bool[firm]."""
        return np.asarray(self.market.closures.dose >= Design.cut)

    @cached_property
    def exposure(self) -> Floats:
        """Base share of other closed firms in the same category, float64[firm, month]."""
        market = self.market
        closures = self.market.closures
        by = np.zeros((MONTHS, market.parameters.n_categories))
        by[FIRST_WAVE:] = exposure_by_category(market, closures, self.closed)
        itself = (
            closures.share * self.closed * (np.arange(MONTHS)[:, np.newaxis] >= self.closed_month)
        )
        return np.maximum(market.firms.nests.spread(by) - itself, 0.0).T

    def window(
        self,
        post_from: int = Design.post_from,
        post_to: int = Design.post_to,
        worlds: tuple[str, ...] = ("W11", "W00"),
    ) -> Window:
        """Return the sales and firm attributes needed for the estimands in a window.

        Parameters
        ----------
        post_from, post_to : int
            First and last month of the window after the first wave; 4 to 9 is September 2021 to
            February 2022.
        worlds : tuple of str
            Worlds to compare.

        Raises
        ------
        DesignError
            If the window is not within the months after the first wave, or if its base months, a
            year earlier, do not end before the news.
        """
        first = FIRST_WAVE + post_from
        last = FIRST_WAVE + post_to
        if not FIRST_WAVE <= first <= last < MONTHS or last - 12 >= self.market.news:
            raise DesignError(
                f"Cannot use a window from month {post_from} to {post_to} after the first wave:"
                f" only months 0 to {min(MONTHS - 1, self.market.news + 11) - FIRST_WAVE} have base"
                " months, a year earlier, that precede the news; choose among them"
            )
        rows = self._rows(post_from, post_to)
        history = self.market.history.sales
        firms = self.market.firms
        courses = {world: self.course(world) for world in worlds}
        named = self.names.gather
        return Window(
            after={
                world: named(course.sales[rows].transpose(2, 1, 0))
                for world, course in courses.items()
            },
            base=named(history[first - 12 : last - 11].sum(axis=0).T),
            year=named(history[BASE.start : self.market.news].sum(axis=0).T),
            chinese=firms.chinese,
            closed=self.closed,
            dose=self.market.closures.dose,
            months_closed=(np.arange(first, last + 1) >= self.closed_month[:, np.newaxis]).mean(
                axis=1
            ),
            exposure=self.exposure[:, first : last + 1].mean(axis=1),
            suspicion=firms.suspicion,
            names=self.names,
        )

    def _rows(self, post_from: int, post_to: int) -> slice:
        """Return the rows after `history` for the months of a window.

        They are the months `post_from` to `post_to` after the first wave.
        """
        return slice(
            FIRST_WAVE + post_from - self.market.news, FIRST_WAVE + post_to + 1 - self.market.news
        )

    def scalars(
        self, post_from: int = Design.post_from, post_to: int = Design.post_to
    ) -> dict[str, float]:
        """Return every estimand in a window, by id.

        E1a, E1b, E1c, E2, E3, E5a and E5b are in per cent; E3g, E3k, E3s, E4a_presence and E4d
        in percentage points; E4a, E4b, E4e and d1 to d7, which add up to 100, in per cent
        of the lost AMZ sales L. E1d is in months, and E1e is a ratio. Slopes are per ten points of
        exposure; E2a_bin1 and so on are relative to the bin of lowest exposure. `L` and
        `E1a_per_account` are in sim-$ per month, the latter per closed account of the merchants
        that a firm represents. Values are NaN if nothing was closed or lost. Parameters are as for
        :meth:`window`.
        """
        window = self.window(post_from, post_to, ("W11", "W00", "W10", "W01"))
        months = post_to - post_from + 1
        firms = self.market.firms
        closures = self.market.closures
        accounts = float((firms.stands_for * closures.closed_accounts)[window.closed].sum())
        loss = float(window.change[window.closed].sum())
        values = {
            **window.scalars(),
            "E1c": self._own_closure(post_from, post_to, self.closed),
            "E1d": self._months_alive(),
            "E1a_per_account": over(loss, accounts * months),
            "L": window.lost / months,
            **self._anticipation(),
        }
        return dict(sorted(values.items()))

    def closed_by(self, post_from: int, post_to: int) -> dict[str, float]:
        """Return E1a, E1c and the `mechanical` loss of firms closed by the end of a window.

        They are in per cent.

        The loss is negative. Parameters are as for :meth:`window`.
        """
        window = self._closed_by(post_from, post_to)
        return {
            "E1a": window.effect(window.closed, slice(None)),
            "mechanical": self.mechanical(post_from, post_to),
            "E1c": self._own_closure(post_from, post_to, window.closed),
        }

    def mechanical(self, post_from: int, post_to: int) -> float:
        """Return the mechanical loss of firms closed by the end of a window.

        It is a negative percentage.
        """
        return -self._closed_by(post_from, post_to).mechanical()

    def _closed_by(self, post_from: int, post_to: int) -> Window:
        closed = self.closed & (self.closed_month <= FIRST_WAVE + post_to)
        return replace(self.window(post_from, post_to), closed=closed)

    def decomposition(
        self, post_from: int = Design.post_from, post_to: int = Design.post_to
    ) -> dict[str, float]:
        """Return the four parts of E3g in percentage points.

        The parts add up to E3g. Parameters are as for :meth:`window`.
        """
        return self.window(post_from, post_to).parts_of_growth()

    def _own_closure(self, post_from: int, post_to: int, closed: Bools) -> float:
        """Return E1c: the effect of a firm's own closure on its sales, in per cent.

        All other closures are given.

        Categories are separate markets, so one firm in each can be spared at a time; the common
        trust is kept fixed.
        """
        course = self.course("W11")
        rows = self._rows(post_from, post_to)
        otherwise = 0.0
        for those, part in self.market.blocks():
            closures = part_of(self.market.closures, those, len(closed))
            firms = np.flatnonzero(closed[those])
            category = part.firms.nests.category[firms]
            turn = np.arange(len(firms)) - np.searchsorted(category, category)
            for number in range(int(turn.max(initial=-1)) + 1):
                spared = firms[turn == number]
                others = ~np.isin(np.arange(len(part.firms)), spared)
                month, back = (
                    np.where(others, when, NEVER) for when in (closures.month, closures.back)
                )
                without = replace(closures, month=month, dose=closures.dose * others, back=back)
                again = part.go_on(WORLDS["W11"], without, course.plan.trust[: rows.stop])
                otherwise += float(again.sales[rows][:, :, spared].sum())
        return 100 * over(float(course.sales[rows][:, :, closed].sum()) - otherwise, otherwise)

    def _months_alive(self) -> float:
        """Return E1d: the difference, in months, in closed firms' restricted mean survival.

        A firm exits in the first of three consecutive months in which it sells nowhere, even if it
        returns later. Firms whose twelve months extend beyond the last month count for as long as
        they are observed.
        """
        firms = np.flatnonzero(self.closed)
        month = self.closed_month[firms].astype(np.int64)[:, np.newaxis] + np.arange(HORIZON)
        seen = month < MONTHS
        shares = []
        for world in ("W11", "W00"):
            sells = np.pad(self.sales(world)[firms].any(axis=1), ((0, 0), (0, GAP - 1)))
            lives = np.lib.stride_tricks.sliding_window_view(sells, GAP, axis=1).any(axis=2)
            at = np.take_along_axis(lives, np.minimum(month, MONTHS - 1), axis=1)
            shares.append((np.logical_and.accumulate(at, axis=1) * seen).sum(axis=0))
        difference = (shares[0] - shares[1]) / np.maximum(seen.sum(axis=0), 1)
        if len(firms):
            return float(difference.sum())
        return float("nan")

    def _anticipation(self) -> dict[str, float]:
        """Return E5a: the change in closed firms' AMZ sales by month before closure.

        It is in per cent, relative to W00.
        """
        firms = np.flatnonzero(self.closed)
        month = self.closed_month[firms].astype(np.int64)
        worlds = [self.sales(world) for world in ("W11", "W00")]
        effects = {}
        for lead in range(-LEADS, 0):
            with_, without = (sales[firms, HOME, month + lead].sum() for sales in worlds)
            effects[f"E5a_{lead}"] = 100 * over(with_ - without, without)
        return effects

    def shapley(
        self, post_from: int = Design.post_from, post_to: int = Design.post_to
    ) -> dict[str, float]:
        """Return each channel's contribution to E3g, averaged over all orders (its Shapley value).

        The contributions add up to E3g. Every combination of channels is run once, 22 worlds in
        all. Parameters are as for :meth:`window`.
        """
        window = self.window(post_from, post_to)
        chinese = window.chinese
        rows = self._rows(post_from, post_to)
        base = window.base[chinese, HOME].sum()
        without = window.total("W00")[chinese, HOME].sum()

        @cache
        def worth(channels: Channels) -> float:
            course = self._courses.get(channels) or self.market.go_on(channels)
            sales = course.sales[rows, HOME][:, chinese].sum()
            return float(100 * (sales - without) / base)

        orders = list(itertools.permutations(CHANNELS))
        mean = dict.fromkeys(CHANNELS, 0.0)
        for order in orders:
            for position, channel in enumerate(order):
                before, after = (
                    worth(at_work(frozenset(order[:end]))) for end in (position, position + 1)
                )
                mean[channel] += (after - before) / len(orders)
        return mean
