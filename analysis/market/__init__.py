"""The simulated market: demand, closures, relocation and chilling, with the truth in every world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analysis.errors import DesignError
from analysis.market.calibration import calibrate
from analysis.market.observe import listed_extract, observe
from analysis.market.parameters import PLATFORMS, PRESETS, Parameters, chosen
from analysis.market.truth import Truth
from analysis.market.worlds import CHANNELS, WORLDS, Market

if TYPE_CHECKING:
    from analysis.panel import Panel

__all__ = [
    "CHANNELS",
    "PLATFORMS",
    "PRESETS",
    "WORLDS",
    "Parameters",
    "Truth",
    "calibrate",
    "listed_extract",
    "simulate",
]


def simulate(preset: str, seed: int, *, worlds: tuple[str, ...] = ("W11",), **overrides: Any) -> tuple[Panel, Truth]:
    """Simulate one market.

    Parameters
    ----------
    preset : str
        One of `PRESETS`.
    seed : int
        Non-negative. The same preset, seed and overrides give the same panel and truth to the bit.
    worlds : tuple of str
        Worlds to run now, of `WORLDS`; the truth runs the others when they are asked for.
    **overrides : float or int
        Fields of `Parameters` to change.

    Returns
    -------
    Panel
        What a researcher would see of world W11.
    Truth
        What happened, and what would have.

    Raises
    ------
    DesignError
        If the preset, a world or a parameter does not exist, or a value is out of its range.

    Examples
    --------
    >>> panel, truth = simulate("mid_3k", seed=1)
    >>> panel.sales.shape[1:], round(truth.scalars()["E1b"])
    ((5, 42), -100)
    """
    market = Market.open(preset, chosen(preset, overrides), _seed(seed))
    truth = Truth(market)
    for world in worlds:
        truth.course(world)
    return observe(market, truth.course("W11")), truth


def _seed(seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise DesignError(f"seed {seed!r} was asked for; a simulation needs a whole number of at least 0; give one")
    return seed
