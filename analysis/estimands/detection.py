"""How small an effect on closed firms a panel would show, from closures given to groups that were spared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from analysis.effects import att_gt
from analysis.errors import DesignError
from analysis.estimands.design import Design, marked, pick
from analysis.inference import Bools, Estimate, Floats
from analysis.planning import Ints, minimum_detectable_effect

if TYPE_CHECKING:
    from analysis.panel import Panel

DRAWS = 199


def smallest_effect(panel: Panel, design: Design, *, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """Estimate the smallest effect on closed firms' sales (E1a) that this panel would show, from placebo closures.

    Sales are those of brand groups, which are closed together, on all platforms, in the window and a year before. In
    each draw as many groups of the comparison as were closed, of the same origin and size (above or below the median
    closed group; of the same origin where these are too few), are taken for closed and compared with the rest as
    :func:`analysis.estimands.effect_on_closed` does, waves set aside. So nothing is assumed of the distribution of
    sales, and no effect is looked at. Groups sold something a year before, and in the last month before the first wave.

    Returns
    -------
    Estimate
        Per cent: "fall" and "rise", with a test of the right size on this panel, and "fall, normal", "rise, normal"
        with normal critical values, each seen with a power of 80 per cent; "size, normal", per cent of draws in which
        these find what is not there. Errors are Monte Carlo errors; `n` are draws. ``details["within"]``: what placebo
        closures have in common with the real ones, "origin and size" or "origin".

    Raises
    ------
    DesignError
        As :func:`analysis.planning.minimum_detectable_effect`, or if no closed group sold.

    See Also
    --------
    analysis.planning.minimum_detectable_effect
    """
    picked, total = pick(panel, design), panel.total()
    y = np.column_stack([total[:, part].mean(axis=1) for part in (picked.before, picked.after)])
    used = (picked.closed | picked.comparison) & np.isfinite(y).all(axis=1) & ~(total[:, picked.base.stop - 1] <= 0)
    firms = panel.firms[used].assign(before=y[used, 0], after=y[used, 1], closed=picked.closed[used])
    keys = ["origin", "brand_group", "closed"]  # spared members of a closed group are a unit of their own
    groups = firms.groupby(keys, sort=True)[["before", "after"]].sum().query("before > 0").reset_index()
    groups = groups[groups["origin"].isin(groups.loc[groups["closed"], "origin"])]
    closed, origin = groups["closed"].to_numpy(), groups["origin"].astype(str).to_numpy()
    if not closed.any():
        raise DesignError("placebo closures were asked for; no closed group sold a year before; widen the window")
    large = (groups["before"] >= groups.loc[groups["closed"], "before"].median()).to_numpy()
    both = np.char.add(np.char.add(origin, "\0"), large.astype(str))
    within = "origin and size" if _enough(both, closed) else "origin"

    def estimator(sales: Floats, first: Floats, rows: Ints) -> Estimate:
        return att_gt(sales, first, scale="ratio", strata=origin[rows]).aggregate("simple", draws=1)

    found = minimum_detectable_effect(
        groups[["before", "after"]].to_numpy(float),
        np.where(closed, 1.0, np.inf),
        level=design.level,
        estimator=estimator,
        strata=both if within == "origin and size" else origin,
        draws=draws,
        seed=seed,
    )
    return marked(_in_per_cent(found, within), panel, design)


def _enough(stratum: npt.NDArray[np.str_], closed: Bools) -> bool:
    """Return whether in every stratum more groups were spared than closed, so that some are left to compare with."""
    return all(np.count_nonzero(~closed[stratum == name]) > closed[stratum == name].sum() for name in stratum[closed])


def _in_per_cent(found: Estimate, within: str) -> Estimate:
    """Turn log points into a fall or a rise in per cent, and the share of false alarms too."""
    rows = found.rows.copy()
    sign = np.where(rows["term"].str.startswith("decrease"), -1.0, 1.0)
    log = ~rows["term"].str.startswith("size").to_numpy()
    for name in ("estimate", "conf_low", "conf_high"):
        value = rows[name].to_numpy(float)
        rows[name] = 100 * np.where(log, sign * np.expm1(sign * value), value)
    slope = np.where(log, 1 + sign * rows["estimate"] / 100, 1.0)
    rows["std_error"] = 100 * rows["std_error"] * slope
    rows["term"] = rows["term"].str.replace("decrease", "fall").str.replace("increase", "rise")
    return Estimate(
        estimand="E1a, smallest effect seen",
        unit="per cent",
        rows=rows,
        level=found.level,
        interval=found.interval,
        counts=found.counts,
        details={**found.details, "within": within},
    )
