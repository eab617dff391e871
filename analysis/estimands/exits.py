"""How long closed firms go on selling anywhere (E1d)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analysis.errors import DesignError
from analysis.estimands.design import Design, clusters, marked, pick
from analysis.inference import Estimate
from analysis.survival import Survival, exit_survival

if TYPE_CHECKING:
    from analysis.panel import Panel

GAP, HORIZON = 3, 12  # months without a sale anywhere that count as exit; months over which time alive is counted
SMALLEST = 0.1  # quantile of closed firms' sales below which a firm is too small to be compared


def survival_of_closed(panel: Panel, design: Design) -> Survival:
    """Follow closed firms and those they are compared with until they sell nothing on any platform for three months.

    Firms of each wave, which all sold in the month before it, start in its month; a firm not closed is followed from
    each wave that it lived to see. Compared within origin, with firms that are not small: in the base months they sold
    at least what the smallest tenth of the closed firms sold at most, for small firms give up sooner.

    Raises
    ------
    DesignError
        If the comparison is of firms not yet closed, whose own closure comes, or as
        :func:`analysis.survival.exit_survival`.
    """
    if design.comparison == "not_yet_closed":
        raise DesignError(
            f"{HORIZON} months alive against firms not yet closed were asked for; these are closed in their turn; use "
            "comparison='low_exposure'"
        )
    picked, first, total = pick(panel, design), panel.first_treated(cut=design.cut), panel.total()
    size, sells = np.nansum(total[:, picked.base], axis=1), total > 0
    peers = picked.comparison & (size >= np.quantile(size[picked.closed], SMALLEST))
    waves = np.unique(first[picked.closed]).astype(int)
    chosen = [np.flatnonzero(((first == wave) | peers) & sells[:, wave - 1]) for wave in waves]
    firm = np.concatenate(chosen)
    return exit_survival(
        total[firm],
        np.repeat(waves, [len(part) for part in chosen]),
        picked.closed[firm],
        gap=GAP,
        horizon=HORIZON,
        strata=panel.firms["origin"].astype(str).to_numpy()[firm],
        cluster=clusters(panel, design)[firm],
        level=design.level,
    )


def months_alive(panel: Panel, design: Design) -> Estimate:
    """Estimate by how many of twelve months closure shortens a firm's life (E1d).

    Returns
    -------
    Estimate
        Months: ``"treated"``, ``"comparison"``, ``"difference"``, as :func:`survival_of_closed`; `n` closed firms.
        ``details``: its ``curves``. Closed firms of one cluster leave no error, for their deviations from their own
        mean add up to nothing.
    """
    lives = survival_of_closed(panel, design)
    found = lives.mean_months
    rows = found.rows.assign(n=int(found.row("treated")["n"]))
    details = {**found.details, "curves": lives.curves}
    if lives.units.loc[lives.units["treated"], "cluster"].nunique() < 2:
        rows.loc[rows["term"] != "comparison", ["std_error", "conf_low", "conf_high"]] = np.nan
        reason = f"the closed firms are of one cluster by {design.cluster}; two are the fewest for an error"
        found = replace(found, rows=rows, reason=reason)
    return marked(replace(found, rows=rows, details=details), panel, design)
