"""How much of Sunvalley's fall in revenue the closures of its brands could account for."""

from __future__ import annotations

from typing import Any

import numpy as np
from fewtreated.errors import DesignError

from analysis import data
from analysis.evidence import totals

STOPPED = "E034"  # three brands are stopped, with the day
THIRD = "E035"  # what they had sold, per cent of sales on Amazon
OTHERS_CLOSED = (  # the day on which the others are taken to have closed, where one is needed
    "2021-08-01"
)


def accounted_for(
    fall: float, missed: float, *, amazon: Any, brands: Any = None, others_closed: str = ""
) -> dict[str, Any]:
    r"""Compute how much of a fall the closures account for, if no sale moved elsewhere.

    With ``w(d)`` the part of a year's sales made from the day ``d`` on, and ``s`` the part of sales
    on Amazon that the brands stopped in June had made, the closures cost

    .. math:: L = s\,w(d_1) + (100 - s)\,w(d_2)

    per cent of a year's sales on Amazon, the second term only if the other brands closed too. Of a
    year's revenue that is ``L * amazon / 100``; had sales grown by `missed` per cent, it would have
    been more by as much.

    Parameters
    ----------
    fall : float
        Fall in revenue, in per cent of the year before.
    missed : float
        Growth of comparable sellers, in per cent.
    amazon : float or array
        Part of revenue that was made on Amazon, in per cent; an array of draws gives arrays.
    brands : float or array, optional
        Part of sales on Amazon that the brands stopped in June had made, in per cent; by default
        the owner's figure.
    others_closed : str, optional
        Day on which the other brands closed, in the year of the first; by default they did not.

    Returns
    -------
    dict of str to float or array
        `lost`, per cent of a year's sales on Amazon; `points`, per cent of the revenue of the year
        before, and `points_grown`, with the growth missed; `of_fall`, per cent of the fall, and
        `of_gap`, per cent of the fall and the growth missed together.

    Raises
    ------
    DesignError
        If `fall` is not positive, `amazon` or `brands` is not a part in per cent, or the day is not
        in the year of the first closures.
    """
    events = data.load("events").set_index("event_id")
    first = str(events.loc[STOPPED, "date"])
    part = float(events.loc[THIRD, "quantity"]) if brands is None else brands
    if not fall > 0:
        raise DesignError(
            f"Cannot account for a fall of {fall:g} per cent: revenue did not fall; choose another"
            " year"
        )
    _refuse_no_part(amazon, "the part sold on Amazon")
    _refuse_no_part(part, "the brands' part of sales on Amazon")
    if others_closed and others_closed[:4] != first[:4]:
        raise DesignError(
            f"Cannot close the others on {others_closed}: the year is {first[:4]}; choose a day"
            " in it"
        )
    lost = part * totals.rest_of_year(first)
    if others_closed:
        lost += (100 - part) * totals.rest_of_year(others_closed)
    points = lost * amazon / 100
    grown = points * (1 + missed / 100)
    return {
        "lost": lost,
        "points": points,
        "points_grown": grown,
        "of_fall": 100 * points / fall,
        "of_gap": 100 * grown / (fall + missed),
    }


def _refuse_no_part(of: Any, named: str) -> None:
    """Raise DesignError if any of some numbers is not a part in per cent."""
    for value in np.ravel(of):
        if not 0 <= value <= 100:
            raise DesignError(f"Cannot use {value:g} per cent as {named}; choose 0 to 100")
