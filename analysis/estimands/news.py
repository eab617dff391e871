"""What the news of closures did: to firms before their own closure (E5a), and to suspect firms never closed (E5b)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analysis.effects import att_gt
from analysis.errors import DesignError
from analysis.estimands.design import Design, clusters, marked, pick
from analysis.estimands.direct import in_per_cent
from analysis.estimands.paths import event_study
from analysis.inference import Estimate, Floats

if TYPE_CHECKING:
    from analysis.panel import Panel

LEADS = 6  # months before closure in which closed firms are looked at
HIGH_RISK = 0.5  # risk above which a firm is suspect; the unit of risk is the panel's own, so it is an argument too


def anticipation(panel: Panel, design: Design) -> Estimate:
    """Estimate the effect on closed firms' home sales in each of the six months before their closure (E5a).

    The leads of :func:`analysis.estimands.paths.event_study` with the seventh month before as reference. The effect
    must be zero there, and paths parallel after it, which no earlier month can prove.

    Returns
    -------
    Estimate
        Per cent: "-6" to "-1". `n` is the number of closed firms.

    Raises
    ------
    DesignError
        As :func:`event_study`.
    """
    last = 11 - LEADS  # the same months a year before must end before the leads begin
    early = replace(
        design,
        scale="ratio",
        anticipation=LEADS,
        post_from=min(design.post_from, last),
        post_to=min(design.post_to, last),
        base_months=max(design.base_months, LEADS + 2),
    )
    study = event_study(panel, early, where="home")
    kept = np.flatnonzero(study.rows["term"].isin([str(lead) for lead in range(-LEADS, 0)]))
    leads = in_per_cent(study.at(kept))
    return replace(leads, estimand="E5a", rows=leads.rows.drop(columns=["band_low", "band_high"]), design=design)


def chilling(panel: Panel, design: Design, *, high: float = HIGH_RISK) -> Estimate:
    """Estimate how suspect firms that were spared changed at home against others that were (E5b).

    Firms never closed, of low exposure, that sold in the window a year before and in the last month before the first
    wave: those with a risk above `high` against the rest, within origin, after against before, on the ratio scale. Who
    inherits no demand can gain none, so what is left is the news, if both would have grown alike.

    Returns
    -------
    Estimate
        Per cent: "chilling"; its `n` are the suspect firms.

    Raises
    ------
    DesignError
        If risk is unknown, or either side has fewer than two clusters.
    """
    picked, risk = pick(panel, design), known_risk(panel)
    sales, origin = panel.platform(panel.platforms[0]), panel.firms["origin"].to_numpy()
    y = np.column_stack([sales[:, part].mean(axis=1) for part in (picked.before, picked.after)])
    used = picked.whole & (np.nan_to_num(picked.exposure, nan=np.inf) < design.low) & np.isfinite(y).all(axis=1)
    used &= (y[:, 0] > 0) & (sales[:, picked.base.stop - 1] > 0) & ~np.isnan(risk)
    suspect = risk > high
    used &= np.isin(origin, origin[used & suspect]) & np.isin(origin, origin[used & ~suspect])
    code = clusters(panel, design)
    sides = [len(np.unique(code[used & side])) for side in (suspect, ~suspect)]
    if min(sides) < 2:
        raise DesignError(
            f"chilling of firms with a risk above {high:g} and an exposure below {design.low:g} was asked for; found "
            f"{sides[0]} clusters of them and {sides[1]} to compare with, in origins that have both; two of each are "
            "the fewest: choose another limit, or rescale the column risk"
        )
    first = np.where(suspect[used], 1.0, np.inf)
    found = att_gt(y[used], first, scale="ratio", cluster=code[used], strata=origin[used], level=design.level)
    answer = in_per_cent(found.aggregate("simple"))
    counts = {"suspect": int((used & suspect).sum()), "others": int((used & ~suspect).sum())}
    rows = answer.rows.drop(columns=["band_low", "band_high"]).assign(term="chilling", n=counts["suspect"])
    return marked(replace(answer, estimand="E5b", rows=rows, counts=dict(found.counts) | counts), panel, design)


def known_risk(panel: Panel) -> Floats:
    """Return the risk of each firm, float64[firm]; a panel in which none is known is refused."""
    risk: Floats = panel.firms["risk"].to_numpy(float)
    if np.isnan(risk).all():
        raise DesignError(
            f"the risk of firms was asked for; it is known for none of {len(risk)}; without it demand that spared "
            "firms inherit and their chilling cannot be told apart: add the column risk"
        )
    return risk
