"""Where firms sell: through time, closed firms at the destinations (E4a), spared firms since the news (E5c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis import accounting
from analysis.accounting.ratios import share_out
from analysis.errors import DesignError
from analysis.estimands.design import Design, clusters, marked, pick
from analysis.estimands.indirect import needs_low_exposure, platform_shift, stacked
from analysis.inference import Bools, Estimate, Floats

if TYPE_CHECKING:
    from analysis.panel import Panel

GROUPS = ("closed", "exposed", "unexposed")


def hedging(panel: Panel, design: Design) -> Estimate:
    """Estimate how many more of the spared firms of the origin sell on each other platform since the news (E5c).

    Firms never closed that sold something in the window and a year before, since who stops selling leaves every
    platform. To hedge is to join: counted are the months of the window with sales on a platform, as a share of them,
    of firms that had none there a year before. Their mean over such firms of the origin against that over such firms of
    all other origins, times the part of the origin's firms that were not there yet. Firms that leave a platform, such
    as one that changes its rules, are in neither. It is the effect of the news if firms of both sides would have joined
    alike and the others had no news of their own. A platform that opened to the origin alone (`design.opened`) is not
    estimated: who joined it for the news, and who because it opened, looks the same.

    Returns
    -------
    Estimate
        Percentage points, a term per platform other than home. `n` are the firms of the origin. NaN where a platform
        opened, or no firm of another origin could have joined it; without error where nobody joined.

    Raises
    ------
    DesignError
        If either side has fewer than two clusters.
    """
    picked = pick(panel, design)
    own = (panel.firms["origin"] == design.origin).to_numpy()
    parts = [panel.sales[:, :, part] for part in (picked.before, picked.after)]
    answering = picked.whole
    for part in parts:
        answering = answering & ~np.isnan(part).any(axis=(1, 2)) & (part > 0).any(axis=(1, 2))
    sides = [answering & side for side in (own, ~own)]
    codes = clusters(panel, design)
    if min(counts := [len(np.unique(codes[side])) for side in sides]) < 2:
        raise DesignError(
            f"presence of spared firms of origin {design.origin} against others was asked for; found {counts[0]} and "
            f"{counts[1]} clusters; two of each are needed for an error"
        )
    absent: Bools = np.asarray(~(parts[0][:, 1:] > 0).any(axis=2))
    joined = np.where(absent, 100 * (parts[1][:, 1:] > 0).mean(axis=2), 0.0)
    value, influence = _joined_more(joined, absent, sides, codes)
    names = np.array(panel.platforms[1:])
    shut = np.isin(names, design.opened)
    full = ~shut & ~absent[sides[1]].any(axis=0)
    idle = ~shut & ~full & ~joined[answering].any(axis=0)
    value[shut | full], influence[:, shut | full] = np.nan, np.nan
    error, z = np.sqrt((influence**2).sum(axis=0)), float(stats.norm.ppf((1 + design.level) / 2))
    error[idle] = np.nan
    rows = pd.DataFrame(
        {
            "term": names,
            "estimate": value,
            "std_error": error,
            "conf_low": value - z * error,
            "conf_high": value + z * error,
            "n": int(sides[0].sum()),
        }
    )
    reasons = [
        (shut, f"opened to firms of origin {design.origin} alone, so who joined for the news cannot be told"),
        (full, "had all firms of other origins, so none is left that could have joined it"),
        (idle, "was joined by nobody, and none of so many has no error"),
    ]
    found = Estimate(
        estimand="E5c",
        unit="percentage points",
        rows=rows,
        level=design.level,
        counts={"own": int(sides[0].sum()), "other": int(sides[1].sum()), "clusters": counts[0] + counts[1]},
        reason="; ".join(f"{', '.join(names[where])} {why}" for where, why in reasons if where.any()),
        covariance=influence.T @ influence,
        make_influence=lambda: influence,
    )
    return marked(found, panel, design)


def _joined_more(joined: Floats, absent: Bools, sides: list[Bools], codes: Any) -> tuple[Floats, Floats]:
    """Return by platform how much more the first side joined, over all its firms, and its influence.

    Influence is float64[cluster, platform]. The estimate is ``w (m - m')``, with m the mean of `joined` over firms that
    were absent on each side, and w the part of the first side that was.
    """
    code, names = pd.factorize(codes)
    counts = [np.maximum((absent & side[:, np.newaxis]).sum(axis=0), 1) for side in sides]
    means = [joined[side].sum(axis=0) / count for side, count in zip(sides, counts, strict=True)]
    total = sides[0].sum()
    share, gap = counts[0] / total, means[0] - means[1]
    influence = np.zeros((len(names), joined.shape[1]))
    for side, sign, mean, count in zip(sides, (1.0, -1.0), means, counts, strict=True):
        np.add.at(influence, code[side], sign * share * absent[side] * (joined[side] - mean) / count)
    np.add.at(influence, code[sides[0]], gap * (absent[sides[0]] - share) / total)
    return share * gap, influence


def toward_destinations(panel: Panel, design: Design) -> Estimate:
    """Estimate how far closed firms went to the design's destinations that the panel covers, together.

    Returns
    -------
    Estimate
        "presence": change of closed firms' presence against unexposed firms', mean over the destinations, percentage
        points; "sales": change of their sales there, per cent of their lost home sales, delta or Fieller interval as
        in :func:`analysis.accounting.displacement`. Column `unit`. `n` are the closed firms.

    Raises
    ------
    DesignError
        If the panel has none of the destinations, or as :func:`analysis.estimands.platform_shift`.
    """
    picked = needs_low_exposure(panel, design, "the shift to the destinations")
    wanted = [name for name in design.destinations if name in panel.platforms]
    if not wanted:
        raise DesignError(
            f"a shift to {', '.join(design.destinations)} was asked for; the panel has {', '.join(panel.platforms)}; "
            "bring sales there, or name other destinations"
        )
    shift = platform_shift(panel, design)
    named = shift.rows["term"].isin([f"presence {name}: closed - unexposed" for name in wanted]).to_numpy()
    influence = shift.influence[:, named].mean(axis=1)
    error, z = float(np.sqrt(influence @ influence)), float(stats.norm.ppf((1 + design.level) / 2))
    value = float(shift.rows.loc[named, "estimate"].mean())
    presence = {"term": "presence", "unit": "percentage points", "estimate": value, "std_error": error}
    presence |= {"conf_low": value - z * error, "conf_high": value + z * error, "n": shift.rows.loc[named, "n"].min()}
    everybody = np.ones(len(panel.firms), dtype=bool)
    found = accounting.changes(**stacked(panel, design, picked, panel.platforms, everybody))
    weights = found.sum_of("closed", [panel.platforms.index(name) for name in wanted])
    shared, _, _ = share_out(found, ["sales"], weights[np.newaxis], np.zeros(1), design.level, total="sum")
    sales = shared.iloc[0].to_dict() | {"unit": "per cent of L", "n": found.counts["closed"]}
    rows = pd.DataFrame([presence, sales])
    return marked(Estimate("E4a", "as in each row", rows, design.level, counts=shift.counts), panel, design)


def for_verdict(found: Estimate | None, term: str) -> dict[str, Any]:
    """Return what a verdict on one row of :func:`toward_destinations` needs; nothing where there is no estimate."""
    if found is None:
        return {}
    row = found.row(term)
    return {"interval": found.bounds(term), "estimate": float(row["estimate"]), "unit": str(row["unit"])}


def mix_paths(panel: Panel, design: Design) -> pd.DataFrame:
    """Follow the platform mix of closed, exposed and unexposed firms by month; a description, without error.

    Firms of origins with closures that sold something a year before the window. `share`: mean over firms with sales
    in the month of a platform's share in them; `concentration`: mean of the sum of squared shares; `presence`: share of
    all these firms with sales on a platform. Per cent.

    Returns
    -------
    DataFrame
        `month` (Period), `group`, `measure`, `platform` (empty for concentration), `value`, and `n` firms of the group.
    """
    picked = pick(panel, design)
    origin = panel.firms["origin"].to_numpy()
    answering = (np.nansum(panel.sales[:, :, picked.before], axis=(1, 2)) > 0) & np.isin(origin, origin[picked.closed])
    masks = (picked.closed, ~picked.closed & ~picked.comparison, picked.comparison)
    frames = [_mix(panel, answering & mask, name) for mask, name in zip(masks, GROUPS, strict=True)]
    return pd.concat(frames, ignore_index=True)


def _mix(panel: Panel, firms: Bools, name: str) -> pd.DataFrame:
    sales = panel.sales[firms]
    total = sales.sum(axis=1, keepdims=True)
    shares = np.divide(sales, total, out=np.full(sales.shape, np.nan), where=total > 0)
    sells = np.where(np.isnan(sales), np.nan, sales > 0)
    measures: list[tuple[str, str, Floats]] = [("concentration", "", (shares**2).sum(axis=1))]
    for place, platform in enumerate(panel.platforms):
        measures += [("share", platform, shares[:, place]), ("presence", platform, sells[:, place])]
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "month": panel.months,
                    "group": name,
                    "measure": measure,
                    "platform": platform,
                    "value": 100 * _mean(values),
                    "n": int(firms.sum()),
                }
            )
            for measure, platform, values in measures
        ]
    )


def _mean(values: Floats) -> Floats:
    """Return the mean over firms by month, NaN where nobody is known."""
    seen = np.isfinite(values)
    count = seen.sum(axis=0)
    total = np.where(seen, values, 0.0).sum(axis=0)
    return np.asarray(np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0))
