"""Closures drawn again, and the exposure that each draw gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.errors import DesignError
from analysis.inference import TIE, Bools, Floats, whole_number

Ints = npt.NDArray[np.int64]
Labels = Sequence[Any] | npt.NDArray[Any]
Redraw = Floats | Callable[[int, np.random.Generator], Floats]
Scalar = TypeVar("Scalar", bound=np.generic)


def redraw_closures(
    closed: npt.NDArray[Scalar],
    strata: Labels | None,
    rng: np.random.Generator,
    draws: int,
    *,
    eligible: Bools | None = None,
) -> npt.NDArray[Scalar]:
    """Draw anew which units are closed, and when: permute what happened within strata.

    Parameters
    ----------
    closed : bool[unit] or float64[unit]
        Whether, or in which month (inf for never), a unit was closed. Months keep the real calendar: each stratum has
        as many closures in each month as it had. Where closures come in groups, give one entry per group and index
        the result by the group of each unit.
    strata : sequence, optional
        Such as size x suspicion x origin; all units are one stratum where not given.
    rng : numpy Generator
    draws : int
    eligible : bool[unit], optional
        Units among which closures are drawn; all where not given. Others keep what they have. A test is exact when
        the units whose sales are compared are a random part of those not closed, and are left out here: then no draw
        closes them, as nobody did.

    Returns
    -------
    array of the type of `closed`, [draw, unit]

    Raises
    ------
    DesignError
        If no draw can differ from what happened, a closed unit is not eligible, or lengths disagree.
    """
    closed = np.asarray(closed)
    code = np.zeros(len(closed), dtype=np.int64) if strata is None else pd.factorize(np.asarray(strata))[0]
    may = np.ones(len(closed), dtype=bool) if eligible is None else np.asarray(eligible, dtype=bool)
    if closed.ndim != 1 or code.shape != closed.shape or may.shape != closed.shape:
        raise DesignError(
            f"closures to re-draw were asked for; found shapes {closed.shape} of closures, {code.shape} of strata and "
            f"{may.shape} of eligible units; give one of each per unit"
        )
    outside = (closed if closed.dtype == bool else np.isfinite(closed.astype(float))) & ~may
    if outside.any():
        raise DesignError(
            f"closures among {may.sum()} eligible units were asked for; {outside.sum()} closed units are not eligible; "
            "let them be"
        )
    drawn = np.tile(closed, (whole_number("draws", draws), 1))
    varies = False
    for stratum in np.unique(code[may]):
        rows = np.flatnonzero((code == stratum) & may)
        varies |= bool((closed[rows] != closed[rows[0]]).any())
        drawn[:, rows] = rng.permuted(drawn[:, rows], axis=1)
    if not varies:
        raise DesignError(
            f"closures to re-draw were asked for; within each of {len(np.unique(code[may]))} strata all eligible units "
            "are alike; use coarser strata"
        )
    return drawn


def leave_own_out(closed: npt.NDArray[Any], share: Floats, category: Labels) -> Floats:
    """Return how much of its category each unit's closed rivals held, in any number of draws.

    Parameters
    ----------
    closed : bool or float64[draw, unit]
        Whether a unit is closed, or for what share of the months compared, in [0, 1].
    share : float64[unit]
        Share of the unit in its category's sales before; NaN counts as nothing held.
    category : sequence

    Returns
    -------
    float64[draw, unit]
        NaN where the unit is itself closed, and so does not answer.
    """
    code, names = pd.factorize(np.asarray(category))
    member = (code[:, None] == np.arange(len(names))).astype(float)
    lost = (np.asarray(closed, dtype=float) * np.nan_to_num(share)) @ member
    return np.where(np.asarray(closed) > 0, np.nan, lost[:, code])


def drawn_exposure(redraw: Redraw, draws: int, seed: int, n: int) -> Floats:
    """Return re-drawn exposure float64[draw, unit] from an array or a function, checked."""
    found = redraw(whole_number("draws", draws), np.random.default_rng(seed)) if callable(redraw) else redraw
    found = np.asarray(found, dtype=float)
    if found.ndim != 2 or found.shape[1] != n or not len(found):
        raise DesignError(f"re-drawn exposures [draw, {n} units] were asked for; found shape {found.shape}; match y")
    check_shares(found)
    return found


def check_shares(exposure: Floats) -> None:
    """Refuse exposure that is not a share."""
    wrong = (exposure < 0) | (exposure > 1 + TIE)
    if wrong.any():
        raise DesignError(
            f"exposures as shares from 0 to 1 were asked for; {wrong.sum()} of {exposure.size} lie outside, such as "
            f"{exposure[wrong][0]:g}; divide per cents by 100"
        )
