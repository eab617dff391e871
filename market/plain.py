"""Plain panels, in which the truth is known by construction.

They are the second judge of the methods, and have none of the market's structure. Firms are
log-normal and do not interact; those in closed brand groups lose a share of their home sales and
sell more at the destinations. There is no demand for rivals to inherit, no news and no choice of
whom to close: any effect that a method finds on other firms is an artefact. The third judge, heavy
panels, are plain panels in which one brand group has 40 per cent of closed firms' sales, sizes
differ more, shocks last longer, and those to categories are larger.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from fewtreated.errors import check_choice
from fewtreated.estimate import Bools, Floats, Ints
from scipy.signal import lfilter

from analysis.estimands.design import Design
from analysis.estimands.samples import LEADS
from analysis.panel import Panel
from market.observe import first_days, ids
from market.parameters import FIRST_MONTH, MONTHS, PLATFORMS, WAVES
from market.population import NEVER
from market.truth import HOME, Window, Worlds

SIZES = {1: 0.6, 2: 0.3, 3: 0.1}  # firms in a brand group, and their probability
REACH = np.array([1.0, 0.3, 0.2, 0.2, 0.1])  # sales by platform, relative to home
FURTHEST = 100  # months before the panel; firms begin uniformly between then and its last month


@dataclass(frozen=True)
class Plain:
    """Parameters of a plain panel.

    Attributes
    ----------
    log_sd : float
        Standard deviation of firms' log sales, log points.
    closed_groups : int
        Number of the origin's brand groups that are closed, in turn in the four waves.
    lost, gained : float
        Share of its home sales that a closed firm loses, and relative gain at each destination
        where it sells.
    groups, categories : int
        Numbers of brand groups, of one to three firms, and of categories, half of which contain
        closed groups.
    origin_share : float
        Share of groups that belong to the origin.
    shock, category_shock : float
        Standard deviation, log points, of the shocks to a firm on a platform, and to all firms in a
        category.
    stops : float
        Monthly probability that a firm stops for good after the last wave. None stops earlier,
        since closed firms would then be selected for survival.
    persistence : float
        Autocorrelation of all shocks from month to month.
    largest : float
        Expected share of one brand group in closed firms' home sales; 0 leaves sizes as drawn.
    """

    log_sd: float
    closed_groups: int
    lost: float = 0.5
    gained: float = 0.5
    groups: int = 500
    categories: int = 40
    origin_share: float = 0.7
    shock: float = 0.3
    category_shock: float = 0.1
    stops: float = 0.01
    persistence: float = 0.8
    largest: float = 0.0


_KINDS = {
    "plain": {f"sd{sd}_{closed}": Plain(sd, closed) for sd in (1, 2) for closed in (9, 30, 99)},
    "heavy": {
        f"{n}": Plain(2, n, category_shock=0.2, persistence=0.9, largest=0.4) for n in (9, 30)
    },
}
PRESETS = {
    f"{judge}_{null}{name}": replace(kind, lost=0.0, gained=0.0) if null else kind
    for judge, kinds in _KINDS.items()
    for null in ("", "null_")
    for name, kind in kinds.items()
}


@dataclass(frozen=True, eq=False)
class Truth(Worlds):
    """Truth about a plain panel.

    The formulas of the market's truth are applied to the panel and its counterfactual without
    closures.

    Attributes
    ----------
    panel : Panel
    without : float64[firm, platform, month]
        Sales without closures, with the same shocks.
    """

    panel: Panel
    without: Floats

    @property
    def firms(self) -> pd.DataFrame:
        """Firms in the panel."""
        return self.panel.firms

    def sales(self, world: str) -> Floats:
        """Return sales: with closures in worlds W11 and W10, without closures in all others.

        The news alone changes nothing.
        """
        if world in ("W11", "W10"):
            return self.panel.sales
        return self.without

    def scalars(
        self, post_from: int = Design.post_from, post_to: int = Design.post_to
    ) -> dict[str, float]:
        """Return every estimand in a window, by id, as :meth:`market.truth.Truth.scalars` does.

        A firm is affected only by its own closure (E1c equals E1a). No firm exits earlier,
        anticipates it, or is deterred from entering.
        """
        sample = Design(post_from=post_from, post_to=post_to).sample(self.panel)
        window = Window(
            after={
                world: self.sales(world)[:, :, sample.after]
                for world in ("W11", "W00", "W10", "W01")
            },
            base=self.without[:, :, sample.before].sum(axis=2),
            year=self.without[:, :, sample.base].sum(axis=2),
            chinese=sample.is_own,
            closed=sample.closed,
            dose=self.firms["dose"].fillna(0.0).to_numpy(),
            months_closed=sample.months_closed,
            exposure=sample.exposure,
            suspicion=self.firms["risk"].to_numpy(),
        )
        nothing = ("E1d", *(f"E5a_{lead}" for lead in range(-LEADS, 0)))
        scalars = window.scalars() | dict.fromkeys(nothing, 0.0)
        return scalars | {"E1c": scalars["E1a"]}


def simulate(preset: str, seed: int) -> tuple[Panel, Truth]:
    """Simulate a plain panel from one of the `PRESETS`, and return it with its truth.

    For the same seed, presets share their random numbers: only sizes, closures and their effects
    differ.

    Raises
    ------
    DesignError
        If there is no such preset.
    """
    check_choice("preset", preset, PRESETS)
    plain = PRESETS[preset]
    rng = np.random.default_rng(seed)
    size = rng.choice([*SIZES], plain.groups, p=[*SIZES.values()])
    group = np.repeat(np.arange(plain.groups), size)
    of_origin = rng.random(plain.groups) < plain.origin_share
    hit = rng.random(plain.groups) < 0.5
    category = 2 * rng.integers(plain.categories // 2, size=len(group)) + hit[group]
    level = plain.log_sd * rng.standard_normal((len(group), 1, 1)) + np.log(REACH)[:, np.newaxis]
    shocks = _persistent(rng, (len(group), len(PLATFORMS), MONTHS), plain.shock, plain.persistence)
    of_category = (plain.categories, 1, MONTHS)
    common = _persistent(rng, of_category, plain.category_shock, plain.persistence)[category]
    sells = _sells(rng, plain, len(group))
    risk = rng.random(len(group))
    order = rng.permutation(plain.groups)
    month = _closures(order[(of_origin & hit)[order]], group, sells[:, HOME], plain.closed_groups)
    if plain.largest:
        _enlarge_first(level, group, month < MONTHS, plain.largest)
    without = np.exp(level + shocks + common) * sells
    firms = pd.DataFrame(
        {
            "brand_group": [f"SIM-G{number:04d}" for number in group],
            "origin": np.where(of_origin[group], Design.origin, "other"),
            "category": [f"C{number:02d}" for number in category],
            "closed_on": first_days(np.where(month < MONTHS, month, NEVER)),
            "dose": np.where(month < MONTHS, 1.0, np.nan),
            "risk": risk,
        },
        index=pd.Index(ids(len(group)), name="firm"),
    )
    months = pd.period_range(FIRST_MONTH, periods=MONTHS, freq="M")
    sales = without * _kept(plain, month)
    panel = Panel(sales, firms, PLATFORMS, months, "simulated", population="census")
    return panel, Truth(panel, without)


def _enlarge_first(level: Floats, group: Ints, closed: Bools, share: float) -> None:
    """Raise the log sales of the first closed group to a share of all closed firms' sales."""
    size = np.exp(level[:, HOME, 0])
    first = closed & (group == group[closed][0])
    others = size[closed & ~first].sum()
    level[first] += np.log(share / (1 - share) * others / size[first].sum())


def _kept(plain: Plain, month: Ints) -> Floats:
    """Return the share of its sales that each firm keeps, float64[firm, platform, month]."""
    keeps = np.ones(len(PLATFORMS))
    keeps[[PLATFORMS.index(name) for name in Design.destinations]] += plain.gained
    keeps[HOME] -= plain.lost
    closed = np.arange(MONTHS) >= month[:, np.newaxis, np.newaxis]
    return np.where(closed, keeps[:, np.newaxis], 1.0)


def _persistent(rng: np.random.Generator, shape: tuple[int, ...], sd: float, rho: float) -> Floats:
    """Draw AR(1) paths along the last axis, with the same standard deviation in every month."""
    shocks = sd * rng.standard_normal(shape)
    shocks[..., 1:] *= np.sqrt(1 - rho**2)
    return np.asarray(lfilter([1.0], [1.0, -rho], shocks))


def _sells(rng: np.random.Generator, plain: Plain, count: int) -> Bools:
    """Draw the months in which each firm sells on each platform, bool[firm, platform, month].

    A firm sells at home while it is alive, and on another platform once it has joined. At first a
    quarter of firms sell on any given platform away from home, and at the end half do.
    """
    month = np.arange(MONTHS)
    begins = rng.integers(-FURTHEST, MONTHS, count)
    stops = np.maximum(begins, WAVES[-1]) + rng.geometric(plain.stops, count)
    joins = rng.integers(-MONTHS, 3 * MONTHS, (count, len(PLATFORMS)))
    joins[:, HOME] = begins
    lives = (month >= begins[:, np.newaxis]) & (month < stops[:, np.newaxis])
    return np.asarray(lives[:, np.newaxis] & (month >= joins[:, :, np.newaxis]))


def _closures(groups: Ints, group: Ints, lives: Bools, count: int) -> Ints:
    """Return the month in which each firm is closed, int64[firm]; `MONTHS` if never.

    The first groups with a firm alive in the month before their wave are closed; such firms close
    with them.
    """
    wave = np.full(group.max() + 1, MONTHS)
    wave[groups] = np.resize(WAVES, len(groups))
    month = wave[group]
    firm = np.arange(len(group))
    at = np.minimum(month, MONTHS - 1)
    can = (month < MONTHS) & lives[firm, at - 1]
    chosen = groups[np.isin(groups, group[can])][:count]
    return np.where(can & np.isin(group, chosen), month, MONTHS)
