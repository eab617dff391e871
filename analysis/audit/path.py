"""The whole path of closed firms on trial: whether the band of the event study holds the truth in every month."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.errors import DesignError
from analysis.estimands.event_study import event_study, true_path

if TYPE_CHECKING:
    from analysis.estimands.design import Design
    from analysis.market.truth import Truth
    from analysis.panel import Panel

PATH = "E1a_path"


def path_inside(panel: Panel, truth: Truth, design: Design) -> dict[str, Any]:
    """Return a row for the path of E1a by month since closure, before it and after.

    The estimate is the largest gap between the path and its truth over all months with a band, signed, in half-widths
    of the band; its truth is zero, and its interval a half-width to either side. So the interval holds the truth where
    the band holds the whole path, and coverage is that of the band. There is no standard error.

    Returns
    -------
    dict
        `id`, `label`, `unit`, `truth`, and `estimate`, `low`, `high`, or `refused`, why there is none.
    """
    row: dict[str, Any] = {"id": PATH, "label": "closed firms' sales, all months at once", "truth": 0.0}
    row["unit"] = "half-widths of the band"
    try:
        study = event_study(panel, design)
    except DesignError as refusal:
        return row | {"refused": str(refusal)}
    half = (study.rows["band_high"] - study.rows["estimate"]).to_numpy()
    gap = study.rows["estimate"].to_numpy() - true_path(truth, study)
    banded = np.isfinite(gap) & (half > 0)
    if not banded.any():
        return row | {"refused": "no month has a band and a truth"}
    units = gap[banded] / half[banded]
    largest = float(units[np.argmax(np.abs(units))])
    return row | {"estimate": largest, "low": largest - 1, "high": largest + 1}
