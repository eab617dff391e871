"""Estimands that follow firms through time: survival, anticipation, hedging, entry, and closure of one firm alone."""

from __future__ import annotations

import dataclasses

import numpy as np

from analysis.inference import Bools, Floats
from analysis.market.enforcement import Closures
from analysis.market.estimands import EXPOSURE_STEP, HOME, over
from analysis.market.firms import NEVER
from analysis.market.parameters import FIRST_WAVE, MONTHS, PLATFORMS, Ints
from analysis.market.worlds import WORLDS, Market

HORIZON = 12  # months of restricted survival
SILENCE = 3  # months without a sale anywhere that count as exit
LEADS = range(-6, 0)  # months before closure in which anticipation could show


def survival(with_: Floats, without: Floats, closed_month: Floats) -> dict[str, float]:
    """Return E1d: difference of restricted mean survival of closed firms, months.

    Parameters
    ----------
    with_, without : float64[firm, platform, month]
        Sales in W11 and W00.
    closed_month : float64[firm]
        First month of closure; inf for firms not closed.

    A firm lives until the first month in which it sells nowhere, then or in the two months that follow; one that comes
    back after that has exited all the same. Firms whose twelve months reach beyond the last month count as long as
    they are seen.
    """
    rows = np.flatnonzero(np.isfinite(closed_month))
    month = closed_month[rows].astype(np.int64)[:, np.newaxis] + np.arange(HORIZON)
    seen = month < MONTHS
    alive = [_lives(np.asarray(sales[rows].any(axis=1))) for sales in (with_, without)]
    at = np.minimum(month, MONTHS - 1)
    until = [np.logical_and.accumulate(np.take_along_axis(lives, at, axis=1), axis=1) for lives in alive]
    shares = [lives * seen for lives in until]
    counts = seen.sum(axis=0)
    difference = (shares[0].sum(axis=0) - shares[1].sum(axis=0)) / np.maximum(counts, 1)
    return {"E1d": float(difference.sum()) if len(rows) else float("nan")}


def _lives(sells: Bools) -> Bools:
    lives = sells.copy()
    for ahead in range(1, SILENCE):
        lives[:, :-ahead] |= sells[:, ahead:]
    return lives


def anticipation(with_: Floats, without: Floats, closed_month: Floats) -> dict[str, float]:
    """Return E5a by month before closure: change of closed firms' AMZ sales against W00, per cent."""
    rows = np.flatnonzero(np.isfinite(closed_month))
    month = closed_month[rows].astype(np.int64)
    found = {}
    for lead in LEADS:
        what, otherwise = (sales[rows, HOME, month + lead].sum() for sales in (with_, without))
        found[f"E5a_{lead}"] = 100 * over(what - otherwise, otherwise)
    return found


def hedging(news_only: Floats, without: Floats, firms: Bools) -> dict[str, float]:
    """Return E5c: change of the share of firms on each platform off AMZ in the window, points.

    Parameters
    ----------
    news_only, without : float64[firm, platform, month]
        Sales in W01 and W00 in the window.
    firms : bool[firm]
        Chinese firms not closed that sold something a year before. Only those that sell in both worlds count, as in
        E4d: who stays away because of the news is entry (E5d), not hedging.
    """
    live = firms & np.any(news_only, axis=(1, 2)) & np.any(without, axis=(1, 2))
    change = (news_only[live] > 0).mean(axis=(0, 2)) - (without[live] > 0).mean(axis=(0, 2))
    return {f"E5c_{name}": 100 * float(change[axis]) for axis, name in enumerate(PLATFORMS) if axis != HOME}


def entry(market: Market, starts: tuple[Ints, Ints], exposure: Floats, last: int) -> dict[str, float]:
    """Return E5d: Chinese entrants a month in W11 and W00 from the news to month `last`, and what changed.

    Parameters
    ----------
    market : Market
    starts : pair of int64[platform, firm]
        First months on platforms in W11 and W00.
    exposure : float64[category]
        Closed share of each category.
    last : int
        Last month that counts.

    Returns
    -------
    dict of str to float
        Entrants a month, their change in per cent, and its slope per ten points of exposure.
    """
    firms = market.stage.firms
    may = firms.chinese & (firms.entry_month >= market.news) & (firms.entry_month <= last)
    entered = [may & (start.min(axis=0) < NEVER) for start in starts]
    months = last - market.news + 1
    by = [np.bincount(firms.nests.category[who], minlength=len(exposure)) for who in entered]
    centred = exposure - exposure.mean()
    usual = by[1].mean()
    slope = over(over(float(centred @ (by[0] - by[1])), float(centred @ centred)), float(usual))
    return {
        "entrants_W11": float(by[0].sum()) / months,
        "entrants_W00": float(by[1].sum()) / months,
        "E5d": 100 * over(float(by[0].sum() - by[1].sum()), float(by[1].sum())),
        "E5d_slope": 100 * EXPOSURE_STEP * slope,
    }


def own_closure(market: Market, with_: Floats, trust: Floats, closed: Bools, window: slice) -> dict[str, float]:
    """Return E1c: effect of its own closure on a closed firm's sales, all others being closed as they are, per cent.

    Categories are separate markets, so one firm of each is spared at a time; the common trust is held fixed.

    Parameters
    ----------
    market : Market
    with_ : float64[month, platform, firm]
        Sales in W11 after `history`.
    trust : float64[month]
        That of W11.
    closed : bool[firm]
        Who is closed.
    window : slice
        Rows of `with_` that count.
    """
    rows = np.flatnonzero(closed)
    category = market.stage.firms.nests.category[rows]
    turn = np.arange(len(rows)) - np.searchsorted(category, category)
    otherwise = 0.0
    for number in range(int(turn.max(initial=-1)) + 1):
        spared = rows[turn == number]
        course = market.go_on(WORLDS["W11"], _spare(market.closures, spared), trust)
        otherwise += float(course.sales[window][:, :, spared].sum())
    what = float(with_[window][:, :, rows].sum())
    return {"E1c": 100 * over(what - otherwise, otherwise)}


def _spare(closures: Closures, firms: Ints) -> Closures:
    month, dose, back = closures.month.copy(), closures.dose.copy(), closures.back.copy()
    month[firms], dose[firms], back[firms] = NEVER, 0.0, NEVER
    return dataclasses.replace(closures, month=month, dose=dose, back=back)


def window_of(market: Market, first: int, last: int) -> slice:
    """Return the rows after `history` of months `first` to `last` after the first wave."""
    return slice(FIRST_WAVE + first - market.news, FIRST_WAVE + last + 1 - market.news)
