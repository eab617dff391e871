"""What the closures did to the closed firms (E1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.effects import att_gt
from analysis.errors import DesignError
from analysis.estimands.design import Design, Picked, clusters, marked, pick
from analysis.inference import Estimate, Floats

if TYPE_CHECKING:
    from analysis.panel import Panel


def effect_on_closed(panel: Panel, design: Design) -> Estimate:
    """Estimate the effect on closed firms' sales on all platforms (E1a).

    Compared are firms that sold something a year before the window, wave by wave: firms closed in it that still sold
    in the month before, and comparison firms that still sold in its month, for only a firm in business can be closed
    (else those that had stopped would make the comparison fall, "immortal time"). It is within origin, and within
    category where the comparison is "spared_same_category". That one and "not_yet_closed" share what closed firms leave
    to their rivals, so they estimate the effect of a firm's own closure, E1c, and say so. Firms "not_yet_closed" must
    live on until their own closure, which flatters them. What sets closed firms apart beyond this, such as their size
    or the trend of their category, is not removed.

    Returns
    -------
    Estimate
        Per cent of the sales without closure; on the level scale, money a firm and month. The interval is Student's,
        with a degree of freedom less than there are clusters of closed firms. Counts: `newcomers_left_out`
        and `stopped_left_out`, closed firms that did not sell a year before, or in the month before their wave.

    Raises
    ------
    DesignError
        If the design picks nobody, or fewer than two clusters of closed firms.
    """
    return _effect(panel, design, panel.total(), "all platforms")


def effect_on_closed_at_home(panel: Panel, design: Design) -> Estimate:
    """Estimate the effect on closed firms' sales on the home platform (E1b); otherwise as :func:`effect_on_closed`."""
    home = panel.platforms[0]
    return _effect(panel, design, panel.platform(home), home)


def damage_multiple(panel: Panel, design: Design) -> Estimate:
    """Divide the loss on all platforms by the mechanical one: what the closed accounts alone had sold (E1e).

    The mechanical loss is the closed part of home sales in the base months, times the share of the window in which
    the firm is closed, over the sales of closed firms on all platforms; it is a property of the firms, without error.

    Returns
    -------
    Estimate
        A ratio: 1 is the mechanical loss, more is damage beyond it.

    Raises
    ------
    DesignError
        As :func:`effect_on_closed`, on the level scale, and if closed firms sold nothing at home.
    """
    if design.scale != "ratio":
        raise DesignError("a damage multiple on the level scale was asked for; it divides per cents; use scale='ratio'")
    loss, picked = effect_on_closed(panel, design), pick(panel, design)
    firms = picked.closed & ~np.isnan(panel.sales[:, :, picked.base]).any(axis=(1, 2))
    sold = panel.sales[firms][:, :, picked.base].sum(axis=2)
    dose = panel.firms["dose"].to_numpy(float)[firms] * picked.months_closed[firms]
    if not (dose @ sold[:, 0]) > 0:
        raise DesignError(
            f"a mechanical loss was asked for; the {firms.sum()} closed firms sold nothing on {panel.platforms[0]} in "
            f"{design.base_months} base months; choose a longer base"
        )
    mechanical = 100 * float(dose @ sold[:, 0]) / float(sold.sum())
    row = loss.rows.iloc[0]
    rows = pd.DataFrame(
        {
            "term": ["damage multiple"],
            "estimate": -row["estimate"] / mechanical,
            "std_error": row["std_error"] / mechanical,
            "conf_low": -row["conf_high"] / mechanical,
            "conf_high": -row["conf_low"] / mechanical,
            "n": row["n"],
        }
    )
    return Estimate(
        f"E1e, from {loss.estimand}",
        "ratio",
        rows,
        design.level,
        counts=loss.counts,
        reason=loss.reason,
        design=design,
        digest=panel.digest,
        details={"mechanical_loss": mechanical, "loss": loss},
    )


def _effect(panel: Panel, design: Design, sales: Floats, where: str) -> Estimate:
    picked = pick(panel, design)
    y = np.column_stack([sales[:, part].mean(axis=1) for part in (picked.before, picked.after)])
    firm, wave = matched(panel, design, picked, y[:, 0])
    closed, code = picked.closed[firm], clusters(panel, design)[firm]
    strata: Any = pd.factorize(compared_within(panel, design))[0][firm] * len(panel.months) + wave
    answering = closed & np.isfinite(y[firm]).all(axis=1)
    closed_clusters = _two_clusters(code[answering], design)
    name = {"all platforms": "E1a", panel.platforms[0]: "E1b"}[where]
    if design.comparison != "low_exposure":
        name = f"E1c, {where}"
    if design.scale == "ratio" and not y[firm][answering, 1].any():
        return marked(_all_lost(name, int(answering.sum()), design), panel, design)
    found = att_gt(
        y[firm],
        np.where(closed, 1.0, np.inf),
        scale=design.scale,
        cluster=code,
        strata=strata,
        level=design.level,
    )
    answer = replace(found.aggregate("simple"), reason=found.reason, counts=_counts(found.counts, picked, y, firm))
    answer = replace(answer, details={"clusters": pd.unique(code[np.isfinite(y[firm]).all(axis=1)])})
    answer = replace(answer, rows=answer.rows.drop(columns=["band_low", "band_high"]).assign(n=found.counts["treated"]))
    answer = by_student(answer, closed_clusters - 1)
    answer = in_per_cent(answer) if design.scale == "ratio" else replace(answer, unit=f"{panel.unit} a firm and month")
    return marked(replace(answer, estimand=name), panel, design)


def matched(panel: Panel, design: Design, picked: Picked, before: Floats) -> tuple[Any, Any]:
    """Return, wave by wave, the firms closed in it and those compared with them, int64[row], and the wave of each row.

    A firm must be in business to be closed: so a closed firm must have sold in the month before its wave, and a
    comparison firm in the month of the wave, in which one that had stopped sells nothing. It answers for every wave
    that it lived to see. NaN passes, to be counted as missing.
    """
    first, stopped = panel.first_treated(cut=design.cut), panel.total() <= 0
    firms, waves = [], []
    for wave in np.unique(first[picked.closed]).astype(int):
        closed = picked.closed & (first == wave) & ~stopped[:, wave - 1]
        found = np.flatnonzero((closed | (picked.comparison & ~stopped[:, wave])) & ~(before <= 0))
        firms.append(found)
        waves.append(np.full(len(found), wave))
    return np.concatenate(firms), np.concatenate(waves)


def _all_lost(name: str, firms: int, design: Design) -> Estimate:
    """Return -100 per cent, for closed firms that sold nothing at all in the window."""
    row = {"term": "simple", "estimate": -100.0, "std_error": np.nan, "conf_low": np.nan, "conf_high": np.nan}
    return Estimate(
        estimand=name,
        unit="per cent",
        rows=pd.DataFrame([row | {"n": firms}]),
        level=design.level,
        counts={"treated": firms},
        reason=f"the {firms} closed firms sold nothing in the window: all is lost, and a ratio of zero has no error",
    )


def compared_within(panel: Panel, design: Design) -> Any:
    """Return what firms are compared within: origin; origin and category; nothing where few are left to compare."""
    origin = panel.firms["origin"].astype(str).to_numpy()
    if design.comparison == "spared_same_category":
        return origin + "\0" + panel.firms["category"].astype(str).to_numpy()
    return origin if design.comparison == "low_exposure" else np.full(len(origin), "")


def _two_clusters(code: Any, design: Design) -> int:
    """Return the number of clusters of closed firms; fewer than two are refused."""
    if (count := len(np.unique(code))) < 2:
        raise DesignError(
            f"an effect on closed firms with its error was asked for; found {len(code)} closed firms with sales in "
            f"{count} clusters by {design.cluster}; two are the fewest: use ranks among comparison firms instead"
        )
    return count


def _counts(counts: Mapping[str, int], picked: Picked, y: Floats, firm: Any) -> dict[str, int]:
    """Count firms once, however many waves they answer for, and add the closed ones that are left out."""
    used, newcomer = np.unique(firm), y[:, 0] <= 0
    seen = int(np.isfinite(y[used]).all(axis=1).sum())
    left_out = picked.closed & ~np.isin(np.arange(len(y)), used)
    return dict(counts) | {
        "units": seen,
        "dropped_missing": len(used) - seen,
        "newcomers_left_out": int((left_out & newcomer).sum()),
        "stopped_left_out": int((left_out & ~newcomer).sum()),
    }


def by_student(found: Estimate, df: int) -> Estimate:
    """Make intervals those of Student's t: an error that rests on few closed groups is uncertain itself."""
    reach = float(stats.t.ppf((1 + found.level) / 2, df)) * found.rows["std_error"]
    limits = {"conf_low": found.rows["estimate"] - reach, "conf_high": found.rows["estimate"] + reach}
    return replace(found, rows=found.rows.assign(**limits))


def in_per_cent(found: Estimate) -> Estimate:
    """Turn log points into per cent: ``100 (exp(x) - 1)`` of the point and of each limit, delta-method errors."""
    rows = found.rows.copy()
    slope = 100 * np.exp(rows["estimate"].to_numpy(float))
    for name in ("estimate", "conf_low", "conf_high"):
        rows[name] = 100 * np.expm1(rows[name])
    rows["std_error"] *= slope
    covariance = None if found.covariance is None else found.covariance * np.outer(slope, slope)
    return replace(
        found, unit="per cent", rows=rows, covariance=covariance, make_influence=lambda: found.influence * slope
    )
