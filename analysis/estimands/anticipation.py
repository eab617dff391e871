"""What the news of closures did: to firms before their own closure (E5a), and to suspect firms never closed (E5b)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analysis.errors import DesignError
from analysis.estimands.design import Design
from analysis.estimands.event_study import event_study
from analysis.estimate import Estimate, Floats
from analysis.estimators.att_gt import att_gt

if TYPE_CHECKING:
    from analysis.panel import Panel

LEADS = 6  # months before closure in which closed firms are looked at
HIGH_RISK = 0.5  # risk above which a firm is suspect; the unit of risk is the panel's own, so it is an argument too


def anticipation(panel: Panel, design: Design) -> Estimate:
    """Estimate the effect on closed firms' home sales in each of the six months before their closure (E5a).

    The leads of :func:`analysis.estimands.event_study.event_study` with the seventh month before as reference. The
    effect must be zero there, and paths parallel after it, which no earlier month can prove.

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
        anticipation=LEADS,
        post_from=min(design.post_from, last),
        post_to=min(design.post_to, last),
        base_months=max(design.base_months, LEADS + 2),
    )
    leads = event_study(panel, early, where="home")[[str(lead) for lead in range(-LEADS, 0)]]
    return replace(leads.exp(), estimand="E5a", columns={}, design=design)


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
    sample, risk = design.sample(panel), known_risk(panel)
    y = np.column_stack([sample.home[:, part].mean(axis=1) for part in (sample.before, sample.after)])
    low = np.nan_to_num(sample.exposure, nan=np.inf) < design.low
    used = sample.never_closed & low & np.isfinite(y).all(axis=1)
    used &= (y[:, 0] > 0) & (sample.home[:, sample.base.stop - 1] > 0) & ~np.isnan(risk)
    suspect = risk > high
    both = [
        np.bincount(sample.origin[used & side], minlength=int(sample.origin.max()) + 1) for side in (suspect, ~suspect)
    ]
    used &= (np.minimum(*both) > 0)[sample.origin]
    sides = [len(np.unique(sample.cluster[used & side])) for side in (suspect, ~suspect)]
    if min(sides) < 2:
        raise DesignError(
            f"chilling of firms with a risk above {high:g} and an exposure below {design.low:g} was asked for; found "
            f"{sides[0]} clusters of them and {sides[1]} to compare with, in origins that have both; two of each are "
            "the fewest: choose another limit, or rescale the column risk"
        )
    first = np.where(suspect[used], 1.0, np.inf)
    code, strata = sample.cluster[used], sample.origin[used]
    found = att_gt(y[used], first, scale="ratio", cluster=code, strata=strata, level=design.level)
    counts = {"suspect": int((used & suspect).sum()), "others": int((used & ~suspect).sum())}
    effect = found.aggregate().exp()
    return sample.mark(
        effect, estimand="E5b", terms=("chilling",), n=counts["suspect"], counts=dict(found.counts) | counts
    )


def known_risk(panel: Panel) -> Floats:
    """Return the risk of each firm, float64[firm]; a panel in which none is known is refused."""
    risk: Floats = panel.firms["risk"].to_numpy(float)
    if np.isnan(risk).all():
        raise DesignError(
            f"the risk of firms was asked for; it is known for none of {len(risk)}; without it demand that spared "
            "firms inherit and their chilling cannot be told apart: add the column risk"
        )
    return risk
