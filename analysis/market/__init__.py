"""The simulated market: demand, closures, relocation and chilling, with the truth in every world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analysis.errors import DesignError
from analysis.market.observe import observe
from analysis.market.parameters import chosen
from analysis.market.truth import Truth
from analysis.market.worlds import Market

if TYPE_CHECKING:
    from analysis.panel import Panel


def simulate(preset: str, seed: int, **overrides: Any) -> tuple[Panel, Truth]:
    """Simulate one market.

    Parameters
    ----------
    preset : str
        One of :data:`analysis.market.parameters.PRESETS`.
    seed : int
        Non-negative. The same preset, seed and overrides give the same panel and truth to the bit.
    **overrides : float or int
        Parameters to change, of ``data/market/parameters.csv``.

    Returns
    -------
    Panel
        What a researcher would see of world W11.
    Truth
        What happened, and what would have: it runs other worlds when they are asked for.

    Raises
    ------
    DesignError
        If the preset or a parameter does not exist, or a value is out of its range.

    Examples
    --------
    >>> panel, truth = simulate("mid_3k", seed=1)
    >>> panel.sales.shape[1:], round(truth.scalars()["E1b"])
    ((5, 42), -100)
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise DesignError(f"seed {seed!r} was asked for; a simulation needs a whole number of at least 0; give one")
    truth = Truth(Market.open(preset, chosen(preset, overrides), seed))
    return observe(truth.market, truth.course("W11")), truth
