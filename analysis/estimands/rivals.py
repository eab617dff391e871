"""What became of the rivals of closed firms: by exposure, beside risk, a year before, as shares of the loss.

The slopes of E2 are :func:`analysis.estimands.spillover`; here stand what they are held against, and recapture (E4b,
E4e). An effect that is common to all firms, whatever their exposure, is in none of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from analysis.errors import DesignError
from analysis.estimands.design import Design, Picked, marked, pick
from analysis.estimands.indirect import between, displacement, spared, spillover
from analysis.estimands.news import known_risk
from analysis.exposure import BINS
from analysis.inference import Bools, Estimate, Floats
from analysis.testing import romano_wolf

if TYPE_CHECKING:
    from analysis.panel import Panel

STEP = 0.10  # exposure of one step of a slope, as in exposure_effects


def dose_response(panel: Panel, design: Design, *, own_origin: bool = True) -> Estimate:
    """Estimate E2a (E2b for other origins) by bin of exposure, with p-values adjusted for the family of bins.

    Returns
    -------
    Estimate
        Per cent, against the firms of the lowest bin: a row for each bin with firms in two categories or more, rising.
        Further columns: `id` of its true value; `exposure` and `lowest`, mean exposure in the bin and in the lowest
        one, weighted by sales before; `clusters`, its categories; `p_value`, and `p_adjusted` after Romano and Wolf.

    Raises
    ------
    DesignError
        As :func:`spillover`, and where no bin has two categories.
    """
    found = spillover(panel, design, own_origin=own_origin)
    kept = np.flatnonzero(found.rows["std_error"].notna()[: len(BINS)])
    if not len(kept):
        raise DesignError(
            f"effects by exposure were asked for; above an exposure of {BINS[0]:g} no bin holds firms of two "
            "categories; use the slope over all exposures"
        )
    family = found.at(kept)
    rows, covariance = family.rows, family.covariance
    assert covariance is not None
    error, low, high = (rows[name].to_numpy(float) for name in ("std_error", "conf_low", "conf_high"))
    half = (np.log1p(high / 100) - np.log1p(low / 100)) / 2  # longer than z errors where few categories are behind it
    z = np.log1p(rows["estimate"].to_numpy(float) / 100) / half * stats.norm.ppf((1 + design.level) / 2)
    tests = romano_wolf(z, covariance=covariance / np.outer(error, error))
    exposure = _mean_exposure(panel, pick(panel, design), spared(panel, design, own_origin=own_origin))
    rows = rows.drop(columns="smallest_p").assign(
        id=[f"{found.estimand}_bin{bin_ + 1}" for bin_ in kept],
        exposure=exposure[kept + 1],
        lowest=exposure[0],
        p_value=tests["p_value"],
        p_adjusted=tests["p_adjusted"],
    )
    return replace(family, rows=rows, reason="", details={})


def per_step(rows: pd.DataFrame) -> pd.DataFrame:
    """Turn effects by bin, rows of :func:`dose_response`, into slopes per ten points of exposure, per cent.

    ``100 (exp(0.10 log(1 + x / 100) / (exposure - lowest)) - 1)`` of the estimate, its limits and, where it is known,
    the `truth`; `mde` is a fall, and `std_error` follows. Exposures count as known.
    """
    steps = STEP / (rows["exposure"] - rows["lowest"])
    turned = {
        name: 100 * np.expm1(steps * np.log1p(rows[name] / 100))
        for name in ("estimate", "conf_low", "conf_high", "truth")
        if name in rows
    }
    turned["std_error"] = rows["std_error"] * steps * (100 + turned["estimate"]) / (100 + rows["estimate"])
    if "mde" in rows:
        turned["mde"] = -100 * np.expm1(steps * np.log1p(-rows["mde"] / 100))
    return rows.assign(**turned)


def most_exposed(bins: pd.DataFrame) -> pd.DataFrame:
    """Return the slope from the least to the most exposed bin, a row per `origin`: the primary reading of E2."""
    rows = per_step(bins.groupby("origin", sort=False).tail(1)).reset_index(drop=True)
    return rows.assign(label=rows["origin"] + ", per 10 pp, exposed " + rows["term"].fillna("enough: none"))


def slope_lines(bins: pd.DataFrame, slopes: pd.DataFrame, *, points: int = 40) -> pd.DataFrame:
    """Return what slopes imply for each exposure against the lowest bin, to draw beside effects by bin.

    Parameters
    ----------
    bins, slopes : DataFrame
        Rows of :func:`dose_response` and rows "slope", per cent per ten points, with `origin` to match them.

    Returns
    -------
    DataFrame
        `origin`, `exposure` from the lowest to the highest mean, `estimate`, `conf_low`, `conf_high`, per cent.
    """
    reach = bins.groupby("origin", sort=False).agg(low=("lowest", "min"), high=("exposure", "max"))
    drawn = []
    for row in slopes[slopes["origin"].isin(reach.index)].to_dict("records"):
        low, high = reach.loc[row["origin"]]
        line = pd.DataFrame({"origin": row["origin"], "exposure": np.linspace(low, high, points)})
        steps = (line["exposure"] - low) / STEP
        ends = ("estimate", "conf_low", "conf_high")
        drawn.append(line.assign(**{name: 100 * np.expm1(steps * np.log1p(row[name] / 100)) for name in ends}))
    return pd.concat(drawn, ignore_index=True)


def beside_risk(panel: Panel, design: Design, *, own_origin: bool = True) -> Estimate:
    """Estimate the slopes on product exposure and on risk in one equation.

    Returns
    -------
    Estimate
        As :func:`spillover`, with the row "risk": per cent for a standard deviation of risk among the firms.

    Raises
    ------
    DesignError
        As :func:`spillover`, and where risk is known of no firm or the same for all.
    """
    firms = spared(panel, design, own_origin=own_origin)
    risk = known_risk(panel)[firms]
    spread = float(np.nanstd(risk)) if not np.isnan(risk).all() else 0.0
    if not spread > 0:
        raise DesignError(
            f"risk beside exposure was asked for; it does not vary among the {firms.sum()} firms; use exposure alone"
        )
    return spillover(panel, design, own_origin=own_origin, beside={"risk": risk / spread})


def year_before(panel: Panel, design: Design, *, own_origin: bool = True) -> Estimate:
    """Estimate a placebo: the slope of E2 between the months a year before the window and those a year earlier.

    Returns
    -------
    Estimate
        As :func:`spillover`; nothing was closed yet, so any slope is a difference in trends.

    Raises
    ------
    DesignError
        As :func:`spillover`, and if the panel does not reach back so far.
    """
    picked = pick(panel, design)
    if picked.before.start < 12:
        raise DesignError(
            f"a placebo a year before was asked for; it needs {panel.months[picked.before.start]} less 12 months, the "
            f"panel starts in {panel.months[0]}; narrow the window or bring earlier months"
        )
    earlier = slice(picked.before.start - 12, picked.before.stop - 12)
    firms = spared(panel, design, own_origin=own_origin)
    found = between(panel, design, firms, (earlier, picked.before), picked.exposure[firms])
    return marked(replace(found, estimand="placebo, a year before"), panel, design)


def proportional(panel: Panel, design: Design) -> Floats:
    """Return what the origin, and others, would have taken had buyers gone by size alone: float64[2], per cent of L.

    ``s_k / (1 - s_C)``, with s the shares of home sales in the base months and C the closed firms. A fact of the panel,
    without error.
    """
    picked = pick(panel, design)
    sold = np.nansum(panel.platform(panel.platforms[0])[:, picked.base], axis=1) * ~picked.closed
    own = (panel.firms["origin"] == design.origin).to_numpy()
    return np.asarray(100 * np.array([sold[own].sum(), sold[~own].sum()]) / sold.sum())


def recapture(panel: Panel, design: Design) -> Estimate:
    """Estimate how much of their lost home sales rivals of the origin, and others, took over at home (E4b).

    The first two parts of :func:`displacement`, from home sales alone.

    Returns
    -------
    Estimate
        Per cent of L: "own" and "other", with `benchmark` of :func:`proportional` and `method` of the interval.

    Raises
    ------
    DesignError
        As :func:`displacement`.
    """
    home = replace(panel, sales=panel.sales[:, :1], platforms=panel.platforms[:1])
    found = displacement(home, design)
    parts = found.at(np.flatnonzero(found.rows["term"].isin(["d1", "d2"])))
    rows = parts.rows.drop(columns="part").assign(term=["own", "other"], benchmark=proportional(panel, design))
    return replace(parts, estimand="E4b", rows=rows, reason="", digest=panel.digest)


def excess_recapture(panel: Panel, design: Design) -> Estimate:
    """Take the proportional benchmark from recapture (E4e): what closeness in origin adds to size.

    The benchmark has no error, so errors and covariance are those of :func:`recapture`.
    """
    found = recapture(panel, design)
    taken = found.rows[["estimate", "conf_low", "conf_high"]].sub(found.rows["benchmark"], axis=0)
    return replace(found, estimand="E4e", unit="percentage points of L", rows=found.rows.assign(**taken))


def _mean_exposure(panel: Panel, picked: Picked, firms: Bools) -> Floats:
    """Return mean exposure by bin, the lowest first, weighted by sales before: float64[bin]; NaN where none sold."""
    sales = panel.platform(panel.platforms[0])[firms]
    before, after = (sales[:, part].sum(axis=1) for part in (picked.before, picked.after))
    known = np.isfinite(before + after + picked.exposure[firms])
    exposure = picked.exposure[firms][known]
    place = np.digitize(exposure, BINS)
    sold, held = (
        np.bincount(place, weights=weights, minlength=len(BINS) + 1)
        for weights in (before[known], before[known] * exposure)
    )
    return np.asarray(np.divide(held, sold, out=np.full(len(sold), np.nan), where=sold > 0))
