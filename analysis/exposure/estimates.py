"""The terms that the equations give: bins, slope, average and recentred slope, each with its derivatives."""

from __future__ import annotations

import numpy as np

from analysis.errors import DesignError
from analysis.exposure.equations import Units, poisson, recentred, sum_by
from analysis.inference import Floats


def terms(part: Units, edges: Floats, step: float, origin: str, *, redrawn: bool) -> tuple[Floats, Floats]:
    """Estimate every bin above the lowest, the slope, the average, slopes of what is beside, and the recentred slope.

    Returns float64[term] and the derivative by each unit's log sales after, float64[unit, term]; NaN where there is no
    estimate. The last term is there where exposure was `redrawn`.
    """
    found = [_bins(part, edges, origin), _slopes(part, step, origin)]
    if redrawn:
        found.append(_recentred_slope(part, step, origin))
    values, gradients = zip(*found, strict=True)
    return np.concatenate(values), np.hstack(gradients)


def _bins(part: Units, edges: Floats, origin: str) -> tuple[Floats, Floats]:
    """Coefficients of the bins above the lowest; NaN where it or the lowest sold nothing before or after."""
    place = np.digitize(part.exposure, edges)
    sold = sum_by(np.column_stack([part.before, part.after]), place, len(edges) + 1).min(axis=1) > 0
    kept = np.flatnonzero(sold & sold[0])[1:]
    value, gradient = np.full(len(edges), np.nan), np.full((len(place), len(edges)), np.nan)
    if len(kept):
        dummies = (place[:, None] == kept).astype(float)
        coefficients, _, moved = poisson(part.at(sold[place]), np.hstack([dummies, part.beside])[sold[place]], origin)
        value[kept - 1], gradient[:, kept - 1] = coefficients[: len(kept)], 0.0
        gradient[np.ix_(sold[place], kept - 1)] = moved[:, : len(kept)]
    return value, gradient


def _slopes(part: Units, step: float, origin: str) -> tuple[Floats, Floats]:
    """Slope per `step`, average effect, and slopes of further exposures per unit."""
    slope, _, moved = poisson(part, part.regressors, origin)
    free = part.after * np.exp(-slope[0] * part.exposure)  # sales after, had there been no exposure
    average = np.log(part.after.sum() / free.sum())
    shift = part.after / part.after.sum() - free / free.sum() + moved[:, 0] * (free @ part.exposure) / free.sum()
    value = np.array([step * slope[0], average, *slope[1:]])
    return value, np.column_stack([step * moved[:, 0], shift, moved[:, 1:]])


def _recentred_slope(part: Units, step: float, origin: str) -> tuple[Floats, Floats]:
    try:
        slope, moved = recentred(part, origin)
    except (DesignError, np.linalg.LinAlgError):
        # too little unexpected exposure for an estimate; the p-value does not need one
        return np.full(1, np.nan), np.full((len(part.before), 1), np.nan)
    return step * slope[:1], step * moved[:, :1]
