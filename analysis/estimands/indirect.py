"""What the closures did beyond the closed firms: rivals (E2), growth (E3) and other platforms (E4)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis import accounting
from analysis.errors import DesignError
from analysis.estimands.design import Design, Picked, clusters, marked, pick
from analysis.estimands.direct import in_per_cent
from analysis.exposure import exposure_effects
from analysis.inference import Bools, Estimate, Floats

if TYPE_CHECKING:
    from analysis.panel import Panel


def spillover(panel: Panel, design: Design, *, own_origin: bool = True, **options: Any) -> Estimate:
    """Estimate the effect of exposure on home sales of firms not closed (E2a; E2b for other origins).

    Only what varies with exposure is seen; what is common to all firms is not. The firms are those of :func:`spared`,
    clustered by category, in which exposure is shared.

    Parameters
    ----------
    panel, design
        The design's windows, base months and level are used.
    own_origin : bool
        Firms of the design's origin, E2a; or all others, E2b.
    **options
        Passed on to :func:`analysis.exposure.exposure_effects`, such as `strata` or `redraw`, for the firms of
        :func:`spared`.

    Returns
    -------
    Estimate
        Per cent, transformed from log points with its interval: bins, slope per ten points of exposure, average.

    Raises
    ------
    DesignError
        If there are no such firms, or their exposure does not vary.
    """
    picked, firms = pick(panel, design), spared(panel, design, own_origin=own_origin)
    if not firms.any():
        raise DesignError(
            f"spillovers on firms {'of' if own_origin else 'not of'} origin {design.origin} were asked for; none of "
            f"{picked.whole.sum()} firms never closed is, and sold through the base months; ask for the others"
        )
    found = between(panel, design, firms, (picked.before, picked.after), picked.exposure[firms], **options)
    return marked(replace(found, estimand="E2a" if own_origin else "E2b"), panel, design)


def between(
    panel: Panel, design: Design, firms: Bools, windows: tuple[slice, slice], exposure: Floats, **options: Any
) -> Estimate:
    """Return effects of an exposure[firm of `firms`] on home sales between two windows, per cent, as `spillover`."""
    if not firms.any():
        raise DesignError(f"a placebo was asked for; none of {len(firms)} firms was spared; ask for the others")
    parts = [panel.platform(panel.platforms[0])[firms][:, window] for window in windows]
    post = np.repeat([False, True], [part.shape[1] for part in parts])
    category = panel.firms["category"].to_numpy()[firms]
    y = np.concatenate(parts, axis=1)
    return in_per_cent(exposure_effects(y, exposure, post, category=category, level=design.level, **options))


def spared(panel: Panel, design: Design, *, own_origin: bool = True) -> Bools:
    """Return the rivals of closed firms: never closed, not even in part, and selling at home through the base months.

    Whoever is closed was selling. Newcomers and leavers are all among the firms not closed, and weigh more where more
    was closed, so that growth would rise with exposure without any effect: firms that sold nothing in the first or in
    the last base month are left out. A month not known stays, to be counted as missing.

    Returns
    -------
    bool[firm]
        Of the design's origin, or of all others.
    """
    picked, home = pick(panel, design), panel.platform(panel.platforms[0])
    idle = (home[:, picked.base.start] <= 0) | (home[:, picked.base.stop - 1] <= 0)
    return np.asarray(picked.whole & ~idle & ((panel.firms["origin"] == design.origin).to_numpy() == own_origin))


def growth(panel: Panel, design: Design) -> Estimate:
    """Split the observed growth of the origin's home sales by what became of each firm; no counterfactual.

    Returns
    -------
    Estimate
        Percentage points, as :func:`analysis.accounting.decompose_growth`.
    """
    picked = pick(panel, design)
    own = _own(panel, design.origin)
    before, after = (
        panel.platform(panel.platforms[0])[own][:, part].sum(axis=1) for part in (picked.before, picked.after)
    )
    code = clusters(panel, design)[own]
    return marked(
        accounting.decompose_growth(before, after, picked.closed[own], cluster=code, level=design.level), panel, design
    )


def effect_on_growth(panel: Panel, design: Design, *, common: tuple[float, float]) -> Estimate:
    """Assemble the effect on the growth of the origin's home sales, and bound it by an explicit common part (E3g).

    Closed firms, and firms not closed so far as their exposure differs from that of the comparison firms, both over
    the origin's sales before, taken as known. What is common to all firms (trust, news, entry) no comparison can show:
    it is the interval `common`, in percentage points, given by the reader.

    Returns
    -------
    Estimate
        Percentage points: "closed", "exposed", "seen" (their sum), and "E3g": no point but the set from the lower
        limit of "seen" plus the lower end of `common`, to the upper with the upper.

    Raises
    ------
    DesignError
        If the comparison is not "low_exposure", the ends of `common` are out of order, or as
        :func:`analysis.accounting.changes`.
    """
    low, high = common
    if not -np.inf < low <= high < np.inf:
        raise DesignError(f"a common part from low to high was asked for; found {common}; give its lower end first")
    picked = needs_low_exposure(panel, design, "the effect on growth")
    home = panel.platforms[:1]
    own = _own(panel, design.origin)
    found = accounting.changes(**stacked(panel, design, picked, home, own))
    sold = panel.platform(home[0])[own][:, picked.before].sum(axis=1)
    known = ~np.isnan(sold) & ~np.isnan(panel.platform(home[0])[own][:, picked.after].sum(axis=1))
    base = float(sold[known].sum())
    weights = np.array([found.sum_of("closed", [0]), found.sum_of("exposed", [0])])
    weights = 100 * np.vstack([weights, weights.sum(axis=0)]) / base
    value, influence = weights @ found.value.ravel(), found.influence @ weights.T
    n = [found.counts[name] for name in ("closed", "exposed", "firms")]
    return Estimate(
        estimand="E3g",
        unit="percentage points",
        rows=with_set(["closed", "exposed", "seen"], "E3g", value, influence, common, n, design.level),
        level=design.level,
        counts=found.counts,
        reason=f"E3g is a set: its part common to all firms, {low:g} to {high:g} points, is assumed",
        covariance=influence.T @ influence,
        make_influence=lambda: influence,
        design=design,
        digest=panel.digest,
        details={"common": common},
    )


def with_set(
    terms: list[str],
    name: str,
    value: Floats,
    influence: Floats,
    moved: tuple[float, float],
    n: list[int],
    level: float,
) -> pd.DataFrame:
    """Return a row by term with its interval, and last a set: that of the last term, its ends moved."""
    error, z = np.sqrt((influence**2).sum(axis=0)), float(stats.norm.ppf((1 + level) / 2))
    low, high = value - z * error, value + z * error
    return pd.DataFrame(
        {
            "term": [*terms, name],
            "estimate": [*value, np.nan],
            "std_error": [*error, np.nan],
            "conf_low": [*low, low[-1] + moved[0]],
            "conf_high": [*high, high[-1] + moved[1]],
            "n": [*n, n[-1]],
        }
    )


def platform_shift(panel: Panel, design: Design) -> Estimate:
    """Estimate relocation by platform (E4a), and platform shares, concentration and presence (E4d).

    As :func:`analysis.accounting.platform_shift`, with the firms of low exposure as the unexposed.
    """
    picked = needs_low_exposure(panel, design, "the platform shift")
    arrays = stacked(panel, design, picked, panel.platforms, np.ones(len(panel.firms), dtype=bool))
    return marked(accounting.platform_shift(**arrays, level=design.level), panel, design)


def relocation(panel: Panel, design: Design) -> Estimate:
    """Estimate how much of their lost home sales closed firms made up on each other platform (E4a), per cent of L."""
    return _measured(platform_shift(panel, design), "relocation", "E4a", "per cent of L")


def platform_mix(panel: Panel, design: Design) -> Estimate:
    """Estimate how the platform shares of closed firms moved against unexposed firms' (E4d), percentage points."""
    return _measured(platform_shift(panel, design), "share", "E4d", "percentage points")


def _measured(found: Estimate, measure: str, name: str, unit: str) -> Estimate:
    kept = found.at(np.flatnonzero(found.rows["measure"] == measure))
    reason = found.reason if kept.rows["estimate"].isna().any() else ""
    return replace(kept, estimand=name, unit=unit, reason=reason)


def displacement(panel: Panel, design: Design, *, outside: float | None = None) -> Estimate:
    """Share out the lost home sales of closed firms into seven parts that add up (E4c).

    As :func:`analysis.accounting.displacement`, with the firms of low exposure as comparison.
    """
    picked = needs_low_exposure(panel, design, "displacement")
    arrays = stacked(panel, design, picked, panel.platforms, np.ones(len(panel.firms), dtype=bool))
    return marked(
        accounting.displacement(
            **arrays, level=design.level, own_origin=design.origin, named=design.destinations, outside=outside
        ),
        panel,
        design,
    )


def needs_low_exposure(panel: Panel, design: Design, what: str) -> Picked:
    """Pick the firms of a design, which must compare with firms of low exposure; another is a DesignError."""
    if design.comparison != "low_exposure":
        raise DesignError(
            f"{what} against {design.comparison} firms was asked for; these inherit sales of closed firms themselves, "
            "so what others gained is not identified; use comparison='low_exposure'"
        )
    return pick(panel, design)


def stacked(panel: Panel, design: Design, picked: Picked, platforms: tuple[str, ...], firms: Bools) -> dict[str, Any]:
    """Return the arguments that the functions of analysis.accounting share."""
    return {
        "sales": panel.sales[firms][:, : len(platforms)],
        "closed_at": np.where(picked.closed, panel.first_treated(cut=design.cut), np.inf)[firms],
        "origin": panel.firms["origin"].to_numpy()[firms],
        "platforms": platforms,
        "home": panel.platforms[0],
        "before": picked.before,
        "after": picked.after,
        "comparison": picked.comparison[firms],
        "cluster": clusters(panel, design)[firms],
    }


def _own(panel: Panel, origin: str) -> Bools:
    found = (panel.firms["origin"] == origin).to_numpy()
    if not found.any():
        raise DesignError(
            f"growth of firms of origin {origin} was asked for; none of {len(found)} firms is; check the column origin"
        )
    return np.asarray(found)
