"""The estimands of the closures, computed from worlds instead of estimated: E1 to E5 and the two identities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.exposure.effects import BINS
from analysis.inference import Bools, Floats
from analysis.market.parameters import PLATFORMS

HOME = 0
DESTINATIONS = ("EBY", "ALI")  # where closed firms are said to have gone
HIGH_RISK, LOW_EXPOSURE = 0.5, 0.02  # suspicion and exposure of the firms that show chilling alone (E5b)
EXPOSURE_STEP = 0.10  # E2 slopes are per ten points of exposure


@dataclass(frozen=True, eq=False)
class Scene:
    """Sales of all worlds in one window, and who is who; arrays over firms.

    Attributes
    ----------
    after : dict of str to float64[firm, platform, month]
        Sales in the window by world.
    base : float64[firm, platform]
        Sales in the same calendar months a year before, equal in all worlds.
    year : float64[firm, platform]
        Sales in the twelve months before the first wave.
    chinese, closed : bool[firm]
        Origin, and whether at least half of the firm's AMZ sales are closed.
    dose, months_closed, exposure, suspicion : float64[firm]
        Closed share, part of the window in which it is closed, leave-own-out exposure in the window, risk score.
    outside : dict of str to float
        Spending elsewhere in the window by world.
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
    outside: dict[str, float]

    def total(self, world: str) -> Floats:
        """Return sales in the window, float64[firm, platform]."""
        return np.asarray(self.after[world].sum(axis=2))

    def change(self, world: str = "W11", against: str = "W00") -> Floats:
        """Return the difference of sales between two worlds, float64[firm, platform]."""
        return self.total(world) - self.total(against)

    @property
    def lost(self) -> float:
        """AMZ sales that the closed firms lost (L), sim-$."""
        return -float(self.change()[self.closed, HOME].sum())


def over(numerator: float, denominator: float) -> float:
    """Divide; NaN where there is nothing to divide by."""
    return float(numerator / denominator) if denominator else float("nan")


def effect(scene: Scene, firms: Bools, platforms: slice | int, world: str = "W11") -> float:
    """Return the change of the sales of some firms against W00, in per cent of theirs there."""
    change = scene.change(world)[firms][:, platforms].sum()
    return 100 * over(change, scene.total("W00")[firms][:, platforms].sum())


def direct(scene: Scene) -> dict[str, float]:
    """Return E1a, E1b and E1e: closed firms on all platforms, on AMZ, and against the mechanical loss."""
    everywhere = effect(scene, scene.closed, slice(None))
    return {
        "E1a": everywhere,
        "E1b": effect(scene, scene.closed, HOME),
        "E1e": over(-everywhere, mechanical(scene)),
    }


def mechanical(scene: Scene) -> float:
    """Return what the closed accounts alone had sold, in per cent of the closed firms' sales on all platforms."""
    sold = (scene.dose * scene.months_closed * scene.year[:, HOME])[scene.closed].sum()
    return 100 * over(sold, scene.year[scene.closed].sum())


def spillover(scene: Scene) -> dict[str, float]:
    """Return E2a and E2b: mean change of firms not closed, its slope per ten points of exposure, and it by bin."""
    found = {}
    before, change = scene.total("W00")[:, HOME], scene.change("W10")[:, HOME]
    for name, origin in (("E2a", scene.chinese), ("E2b", ~scene.chinese)):
        firms = origin & ~scene.closed & (scene.dose == 0) & (scene.year[:, HOME] > 0) & (before > 0)
        weight, exposure = before[firms], scene.exposure[firms]
        found[name] = 100 * over(change[firms].sum(), weight.sum())
        centred = exposure - over(weight @ exposure, weight.sum())
        slope = over(centred @ change[firms], weight @ centred**2)
        found[f"{name}_slope"] = 100 * EXPOSURE_STEP * slope
        found |= {f"{name}_bin{bin_}": value for bin_, value in _by_bin(exposure, weight, change[firms]).items()}
    return found


def _by_bin(exposure: Floats, before: Floats, change: Floats) -> dict[int, float]:
    """Return the change in each bin of exposure that holds firms, against the lowest, in per cent by number of bin."""
    place = np.digitize(exposure, BINS)
    held = [bin_ for bin_ in np.unique(place).tolist() if bin_ > 0 and (place == 0).any()]
    growth = {bin_: 1 + over(change[place == bin_].sum(), before[place == bin_].sum()) for bin_ in (0, *held)}
    return {bin_: 100 * (over(growth[bin_], growth[0]) - 1) for bin_ in held}


def growth(scene: Scene) -> dict[str, float]:
    """Return E3, E3g and E3s: effect on the sales, growth and share of Chinese firms on AMZ."""
    chinese = scene.chinese
    what, without = scene.total("W11")[:, HOME], scene.total("W00")[:, HOME]
    return {
        "E3": effect(scene, chinese, HOME),
        "E3g": 100 * over((what - without)[chinese].sum(), scene.base[chinese, HOME].sum()),
        "E3s": 100 * (over(what[chinese].sum(), what.sum()) - over(without[chinese].sum(), without.sum())),
    }


def decomposition(scene: Scene) -> dict[str, float]:
    """Split E3g into closed firms, incumbents, voluntary exit and entry; percentage points that add up.

    Incumbents sold on AMZ in the base months; "alive" is to sell on AMZ in the window.
    """
    chinese, change = scene.chinese, scene.change()[:, HOME]
    incumbent = scene.base[:, HOME] > 0
    with_, without = scene.total("W11")[:, HOME] > 0, scene.total("W00")[:, HOME] > 0
    spared = chinese & incumbent & ~scene.closed
    parts = {
        "closed": chinese & incumbent & scene.closed,
        "incumbents": spared & (with_ == without),
        "exit": spared & (with_ != without),
        "entry": chinese & ~incumbent,
    }
    volume = scene.base[chinese, HOME].sum()
    return {name: 100 * over(change[firms].sum(), volume) for name, firms in parts.items()}


def displacement(scene: Scene) -> dict[str, float]:
    """Return d1 to d7, where the lost AMZ sales of closed firms went, in per cent that add up to 100."""
    change, closed, chinese = scene.change(), scene.closed, scene.chinese
    parts = {
        "d1": change[chinese & ~closed, HOME].sum(),
        "d2": change[~chinese & ~closed, HOME].sum(),
        "d3": change[closed, PLATFORMS.index("EBY")].sum(),
        "d4": change[closed, PLATFORMS.index("ALI")].sum(),
        "d5": change[closed][:, [PLATFORMS.index("WMT"), PLATFORMS.index("OWN")]].sum(),
        "d6": change[~closed, 1:].sum(),
        "d7": scene.outside["W11"] - scene.outside["W00"],
    }
    return {name: 100 * over(float(part), scene.lost) for name, part in parts.items()}


def diversion(scene: Scene) -> dict[str, dict[str, float]]:
    """Return per cent of L that went to each group of firms (rows) on each platform."""
    change = scene.change()
    groups = {
        "closed": scene.closed,
        "CN": scene.chinese & ~scene.closed,
        "other": ~scene.chinese & ~scene.closed,
    }
    return {
        name: {platform: 100 * over(change[firms, axis].sum(), scene.lost) for axis, platform in enumerate(PLATFORMS)}
        for name, firms in groups.items()
    }


def shift(scene: Scene) -> dict[str, float]:
    """Return E4a, E4b, E4d and E4e: relocation, recapture, platform mix, excess over proportional diversion."""
    change, closed = scene.change(), scene.closed
    found = {f"E4a_{name}": 100 * over(change[closed, axis + 1].sum(), scene.lost) for axis, name in _away()}
    year = scene.year[:, HOME]
    rest = year[~closed].sum()
    for name, origin in (("CN", scene.chinese), ("other", ~scene.chinese)):
        firms = origin & ~closed
        recaptured = 100 * over(change[firms, HOME].sum(), scene.lost)
        found[f"E4b_{name}"] = recaptured
        found[f"E4e_{name}"] = recaptured - 100 * over(year[firms].sum(), rest)
    return found | _mix(scene)


def toward(scene: Scene) -> dict[str, float]:
    """Return what closed firms did at EBY and ALI together: change of presence in points, of sales in per cent of L.

    Presence is the share of the window's months with sales there, mean over both platforms and over closed firms that
    sold something a year before.
    """
    places = [PLATFORMS.index(name) for name in DESTINATIONS]
    firms = scene.closed & scene.base.any(axis=1)
    present = [float((scene.after[world][firms][:, places] > 0).sum()) for world in ("W11", "W00")]
    months = scene.after["W11"].shape[2] * len(places) * int(firms.sum())
    moved = float(scene.change()[scene.closed][:, places].sum())
    return {
        "E4a_presence": 100 * over(present[0] - present[1], months),
        "E4a_sales": 100 * over(moved, scene.lost),
    }


def _away() -> list[tuple[int, str]]:
    return list(enumerate(PLATFORMS[1:]))


def _mix(scene: Scene) -> dict[str, float]:
    """Return E4d: mean change of the platform shares of closed firms that sell in both worlds, points."""
    with_, without = scene.total("W11"), scene.total("W00")
    firms = scene.closed & (with_.sum(axis=1) > 0) & (without.sum(axis=1) > 0)
    if not firms.any():
        return {f"E4d_{name}": float("nan") for name in PLATFORMS}
    shares = [sales[firms] / sales[firms].sum(axis=1, keepdims=True) for sales in (with_, without)]
    change = (shares[0] - shares[1]).mean(axis=0)
    return {f"E4d_{name}": 100 * float(change[axis]) for axis, name in enumerate(PLATFORMS)}


def chilling(scene: Scene) -> dict[str, float]:
    """Return E5b: effect of the news alone on AMZ sales of suspect firms that are hardly exposed, per cent."""
    firms = ~scene.closed & (scene.suspicion > HIGH_RISK) & (scene.exposure < LOW_EXPOSURE)
    return {"E5b": effect(scene, firms, HOME, "W01")}
