"""Closures drawn again: how often slopes are as far from zero as those of E2 when others of their kind are closed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.errors import DesignError
from analysis.estimands.design import Design, marked, pick
from analysis.estimands.indirect import between, spared, spillover
from analysis.exposure import leave_own_out, redraw_closures
from analysis.inference import Estimate, Floats

if TYPE_CHECKING:
    from analysis.panel import Panel

SIZES, RISKS = 6, 3  # how often a stratum of size, and of risk, is halved upwards: the largest 1/64, the riskiest 1/8
DRAWS = 299


def redraws(panel: Panel, design: Design, *, own_origin: bool = True) -> Callable[[int, np.random.Generator], Floats]:
    """Return a function that draws closures anew and gives the exposure of the firms that `spillover` uses.

    Brand groups change places within strata of origin, size of home sales in the base months (the upper half, quarter
    and so on of the origin) and risk (likewise; a stratum of its own where unknown). A group takes over the calendar
    and the closed share of another, so each draw has the waves that there were. Only groups that sold at home in the
    base months take part.

    Parameters
    ----------
    panel, design, own_origin
        As :func:`spillover`.

    Returns
    -------
    callable
        From the number of draws and a Generator to float64[draw, firm used], for `redraw` of
        :func:`analysis.exposure.exposure_effects`; NaN where the draw closes the firm itself.

    Raises
    ------
    DesignError
        When called, if within every stratum all groups are alike.
    """
    picked = pick(panel, design)
    sold = np.nansum(panel.platform(panel.platforms[0])[:, picked.base], axis=1)
    group = pd.factorize(panel.firms["brand_group"])[0]
    volume = np.bincount(group, weights=sold).astype(float)
    shut = np.bincount(group, weights=sold * picked.months_closed)
    closed = np.divide(shut, volume, out=np.zeros(len(volume)), where=volume > 0)
    order = np.argsort(-sold, kind="stable")
    largest = order[np.unique(group[order], return_index=True)[1]]  # firm that speaks for its group
    strata = _strata(panel.firms.iloc[largest], volume)
    share = panel.base_share(base=picked.base, home=panel.platforms[0])
    firms, category = spared(panel, design, own_origin=own_origin), panel.firms["category"].to_numpy()

    def drawn(draws: int, rng: np.random.Generator) -> Floats:
        again = np.zeros((draws, len(volume)))
        again[:, volume > 0] = redraw_closures(closed[volume > 0], strata[volume > 0], rng, draws)
        return leave_own_out(again[:, group], share, category)[:, firms]

    return drawn


def randomised(panel: Panel, design: Design, *, own_origin: bool = True, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """Test E2 by drawing closures anew (:func:`redraws`).

    Returns
    -------
    Estimate
        As :func:`spillover`, the rows "slope" and "recentred slope", with `p_value` over draws and `smallest_p`;
        ``details["statistics"]`` holds t of each, the actual one first. The recentred one takes off the exposure that
        a firm's category would have had anyway, so a trend of categories with many suspect firms is not in it.
    """
    redraw = redraws(panel, design, own_origin=own_origin)
    found = spillover(panel, design, own_origin=own_origin, redraw=redraw, draws=draws, seed=seed)
    return found.at(np.flatnonzero(found.rows["term"].isin(["slope", "recentred slope"])))


def in_words(rows: pd.DataFrame) -> str:
    """Say the p-values of rows of :func:`randomised`, each with its `label`, in a sentence."""
    known = rows.dropna(subset="p_value")
    if known.empty:
        return "No draw could be compared."
    said = "; ".join(f"{row['label']}, p = {row['p_value']:.3f}" for row in known.to_dict("records"))
    return f"{said}. The smallest p that so many draws allow is {known['smallest_p'].min():.3f}."


def spared_categories(
    panel: Panel, design: Design, *, own_origin: bool = True, draws: int = DRAWS, seed: int = 0
) -> Estimate:
    """Estimate a placebo: the slope on expected exposure in categories in which nothing was closed.

    Categories of firms of the kind that was closed were likelier to lose one (:func:`redraws`). Where none was lost,
    a slope on that likelihood is a trend of such categories and no spillover.

    Returns
    -------
    Estimate
        As :func:`spillover`, per ten points of expected exposure.

    Raises
    ------
    DesignError
        As :func:`spillover` and :func:`redraws`, and where fewer than two categories lost nothing.
    """
    picked, firms = pick(panel, design), spared(panel, design, own_origin=own_origin)
    category = panel.firms["category"].to_numpy()
    hit = np.isin(category, category[picked.closed | (np.nan_to_num(picked.exposure) > 0)])
    if (count := len(np.unique(category[firms & ~hit]))) < 2:
        raise DesignError(
            f"a placebo in categories without closures was asked for; found {count} of {len(np.unique(category))}; two "
            "are needed: rely on the year before"
        )
    drawn = redraws(panel, design, own_origin=own_origin)(draws, np.random.default_rng(seed))
    expected = np.nan_to_num(np.nanmean(drawn, axis=0))[~hit[firms]]
    found = between(panel, design, firms & ~hit, (picked.before, picked.after), expected)
    return marked(replace(found, estimand="placebo, categories without closures"), panel, design)


def _strata(firms: pd.DataFrame, volume: Floats) -> npt.NDArray[Any]:
    """Return origin, size and risk of each group as one label, str[group]."""
    origin = firms["origin"].astype(str).to_numpy()
    sizes, risks = (
        pd.Series(values).groupby(origin).transform(lambda part, most=most: _halvings(part, most)).astype(int)
        for values, most in ((volume, SIZES), (firms["risk"].to_numpy(float), RISKS))
    )
    return np.asarray(origin + "\0" + sizes.astype(str) + "\0" + risks.astype(str))


def _halvings(values: pd.Series, most: int) -> pd.Series:
    """Return how often the upper half can be taken with a value still in it, up to `most`; -1 where it is unknown."""
    above = (values.rank(ascending=False, method="first") - 0.5) / values.notna().sum()
    return np.floor(-np.log2(above)).clip(upper=most).fillna(-1)
