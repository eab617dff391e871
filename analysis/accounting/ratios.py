"""Sums of changes as shares of the lost home sales, with intervals that hold when these are uncertain."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from analysis.accounting.changes import Changes
from analysis.errors import DesignError
from analysis.inference import Estimate, Floats

DELTA_UP_TO = 0.05  # squared half-width of L's interval over L; beyond it the delta method is too short (Finney 1978)


def share_out(
    found: Changes, names: list[str], weights: Floats, constant: Floats, level: float, *, total: str
) -> tuple[pd.DataFrame, Floats, Estimate]:
    """Divide sums of changes by L: rows in per cent of L with delta or Fieller intervals, their influence, and L.

    Parameters
    ----------
    found : Changes
    names : list of str
    weights : float64[term, cell * platform]
        NaN where there is no estimate.
    constant : float64[term]
        Known amounts to add, in units of sales.
    level : float
    total : str
        Name of a last row that adds up the terms which there are.
    """
    if not 0 < level < 1:
        raise DesignError(f"a level between 0 and 1 was asked for; found {level}; 0.95 is usual")
    names = [*names, total]
    weights = np.vstack([weights, np.nansum(weights, axis=0)])
    constant = np.append(constant, constant.sum())
    lost = found.lost
    amount, loss = weights @ found.value.ravel() + constant, float(lost @ found.value.ravel())
    moved, lost_moved = found.influence @ np.nan_to_num(weights).T, found.influence @ lost
    share = amount / loss
    influence = 100 * (moved - np.outer(lost_moved, share)) / loss
    z = float(stats.norm.ppf((1 + level) / 2))
    error = np.sqrt((influence**2).sum(axis=0))
    low, high = 100 * share - z * error, 100 * share + z * error
    spread = float(lost_moved @ lost_moved)
    method = "delta" if z**2 * spread <= DELTA_UP_TO * loss**2 else "Fieller"
    if method == "Fieller":
        low, high = 100 * fieller(amount, loss, (moved**2).sum(axis=0), spread, moved.T @ lost_moved, z)
        low, high = (np.where(error <= 1e-9, 100 * share, end) for end in (low, high))  # the sum is known
    rows = pd.DataFrame(
        {
            "term": names,
            "estimate": 100 * share,
            "std_error": error,
            "conf_low": np.where(np.isnan(share), np.nan, low),
            "conf_high": np.where(np.isnan(share), np.nan, high),
            "n": found.counts["firms"],
            "method": method,
        }
    )
    return rows, influence, _lost(found, loss, float(np.sqrt(spread)), z, level)


def fieller(amount: Floats, loss: float, var_amount: Floats, var_loss: float, covariance: Floats, z: float) -> Floats:
    """Return Fieller's limits of amount / loss, float64[2, term]; -inf to inf where the set is not an interval.

    The ratios r for which ``(amount - r loss)**2 <= z**2 var(amount - r loss)``. They are an interval only when `loss`
    itself differs from zero by more than z errors.
    """
    square = loss**2 - z**2 * var_loss
    if square <= 0:
        return np.array([np.full(len(amount), -np.inf), np.full(len(amount), np.inf)])
    middle = amount * loss - z**2 * covariance
    root = np.sqrt(np.maximum(middle**2 - square * (amount**2 - z**2 * var_amount), 0.0))
    return np.array([(middle - root) / square, (middle + root) / square])


def _lost(found: Changes, loss: float, error: float, z: float, level: float) -> Estimate:
    row = {"term": "L", "estimate": loss, "std_error": error, "conf_low": loss - z * error}
    rows = pd.DataFrame([row | {"conf_high": loss + z * error, "n": found.counts["closed"]}])
    return Estimate("L", "units of sales over the window", rows, level, counts=found.counts)
