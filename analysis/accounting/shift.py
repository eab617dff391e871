"""How the platform mix of closed, exposed and unexposed firms moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.accounting.changes import Changes, by_cluster, changes, cluster_codes, stopped, windows
from analysis.accounting.ratios import share_out
from analysis.errors import DesignError
from analysis.inference import Bools, Estimate, Floats

GROUPS = ("closed", "exposed", "unexposed")


def platform_shift(
    sales: Floats,
    closed_at: Floats,
    origin: Sequence[Any],
    *,
    platforms: Sequence[str],
    home: str,
    before: slice,
    after: slice,
    comparison: Bools,
    cluster: Sequence[Any] | None = None,
    level: float = 0.95,
) -> Estimate:
    """Estimate relocation of closed firms, and the change of platform shares, concentration and presence by group.

    Relocation: change of closed firms' sales on each other platform, per cent of their lost home sales. Share: mean
    over firms of the change of a platform's share in their sales, which is the average marginal effect of a saturated
    fractional logit; firms that sold nothing in one of the windows have no share. Concentration: the same for the sum
    of squared shares. Presence: share of months with sales on a platform, among firms that sold something before.
    Unexposed are the comparison firms. Differences from them stand beside the changes, and are made among firms that
    sold on the same platforms before: what moves one platform for all, such as a tax, moves the shares of those on it
    alone, and closed firms that go on selling are mostly on several. Firms on a set of platforms on which no unexposed
    firm is are held against all of them. All means are over firms that still sold in the month before the first
    closure: only a firm in business can be closed.

    Parameters
    ----------
    sales, closed_at, origin, platforms, home, before, after, comparison, cluster
        As :func:`analysis.accounting.changes`. Means are over firms of origins of which some firm was closed.
    level : float
        Coverage of intervals.

    Returns
    -------
    Estimate
        Terms such as ``"relocation EBY"``, ``"share EBY: closed"``, ``"share EBY: closed - unexposed"``,
        ``"concentration: exposed"``; columns `measure`, `platform`, `group`, and `method` of the interval. Relocation
        in per cent of L, all else in percentage points. ``details``: `lost`, the Estimate of L.

    Raises
    ------
    DesignError
        As :func:`analysis.accounting.changes`, if there is one platform only, and if nothing was lost or a group has no
        firm that sold.
    """
    if len(platforms) < 2:
        raise DesignError(
            f"the platform mix was asked for; found sales on {', '.join(platforms)} alone; bring those on other "
            "platforms too"
        )
    found = changes(
        sales,
        closed_at,
        origin,
        platforms=platforms,
        home=home,
        before=before,
        after=after,
        comparison=comparison,
        cluster=cluster,
    )
    rows, influence, lost = _relocation(found, level)
    sales, closed, where = np.asarray(sales, dtype=float), np.isfinite(closed_at), np.asarray(origin).astype(str)
    values, labels = _by_firm(sales, platforms, before, after)
    _, known = windows(sales, platforms, before, after)
    inside = known & np.isin(where, np.unique(where[known & closed]))
    inside &= ~stopped(sales, int(np.min(closed_at)) - 1)
    masks = [closed, ~closed & ~np.asarray(comparison), np.asarray(comparison)]
    sides = [(inside & mask)[known] for mask in masks]
    code, sold_on = cluster_codes(cluster, known), np.asarray((sales[known][:, :, before] > 0).any(axis=2))
    groups = [_means(values[known], side, code, name) for name, side in zip(GROUPS, sides, strict=True)]
    gaps = [_against(values[known], side, sides[-1], sold_on, code) for side in sides[:-1]]
    more, moved = _rows(groups, gaps, labels, level)
    joint = np.hstack([influence, moved])
    return Estimate(
        estimand="E4a, E4d",
        unit="per cent of L (relocation), percentage points (all else)",
        rows=pd.concat([rows, more], ignore_index=True),
        level=level,
        counts=found.counts,
        reason="NaN where no firm of a group has shares" if more["estimate"].isna().any() else "",
        covariance=joint.T @ joint,
        make_influence=lambda: joint,
        details={"lost": lost},
    )


def _relocation(found: Changes, level: float) -> tuple[pd.DataFrame, Floats, Estimate]:
    names = [found.platforms[place] for place in found.away]
    weights = np.array([found.sum_of("closed", [place]) for place in found.away]).reshape(len(names), -1)
    terms = [f"relocation {name}" for name in names]
    rows, influence, lost = share_out(found, terms, weights, np.zeros(len(names)), level, total="relocation all")
    rows["n"] = found.counts["closed"]
    return rows.assign(measure="relocation", platform=[*names, "all"], group="closed"), influence, lost


def _by_firm(
    sales: Floats, platforms: Sequence[str], before: slice, after: slice
) -> tuple[Floats, list[tuple[str, str]]]:
    """Return changes of shares, concentration and presence, float64[firm, measure], and their names."""
    shares, months = [], []
    for window in (before, after):
        amount = sales[:, :, window].sum(axis=2)
        total = amount.sum(axis=1, keepdims=True)
        shares.append(np.divide(amount, total, out=np.full(amount.shape, np.nan), where=total > 0))
        months.append((sales[:, :, window] > 0).mean(axis=2))
    sold = (months[0] > 0).any(axis=1)
    presence = np.where(sold[:, None], months[1] - months[0], np.nan)
    concentration = (shares[1] ** 2).sum(axis=1) - (shares[0] ** 2).sum(axis=1)
    names = [("share", name) for name in platforms] + [("concentration", "")]
    return (
        100 * np.column_stack([shares[1] - shares[0], concentration, presence]),
        names + [("presence", name) for name in platforms],
    )


def _means(values: Floats, members: Bools, code: Any, name: str) -> tuple[Floats, Floats, Floats]:
    """Return the mean of each measure over a group, the influence of each cluster, and the firms behind it."""
    seen = np.isfinite(values) & members[:, None]
    n = seen.sum(axis=0)
    if not n[-1]:
        raise DesignError(
            f"the platform mix of {name} firms was asked for; none of {members.sum()} of an origin with closures sold "
            "anything before; widen the window or choose another comparison"
        )
    total = np.where(seen, values, 0.0).sum(axis=0)
    mean = np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)
    gap = np.where(seen, values - mean, 0.0) / np.maximum(n, 1)
    return mean, by_cluster(gap, np.arange(len(values)), code), n


def _against(values: Floats, own: Bools, pool: Bools, sold_on: Bools, code: Any) -> tuple[Floats, Floats, Floats]:
    """Return the mean difference of a group from pool firms on the same platforms, influence, and firms behind it."""
    _, kind = np.unique(sold_on @ 2 ** np.arange(sold_on.shape[1]), return_inverse=True)
    known = np.isfinite(values)
    mean, n, gap = np.full(values.shape[1], np.nan), np.zeros(values.shape[1]), np.zeros(values.shape)
    for column, x in enumerate(np.where(known, values, 0.0).T):
        mine, theirs = own & known[:, column], pool & known[:, column]
        n[column] = mine.sum()
        if not n[column] or not theirs.any():
            continue
        held, base = (np.bincount(kind[side], minlength=kind.max() + 1) for side in (mine, theirs))
        alone = base == 0  # no pool firm on these platforms: all of them stand in
        of_kind = np.bincount(kind[theirs], weights=x[theirs], minlength=len(base)) / np.maximum(base, 1)
        expected = np.where(alone, x[theirs].mean(), of_kind)
        difference = x[mine] - expected[kind[mine]]
        mean[column] = difference.mean()
        gap[mine, column] = (difference - mean[column]) / n[column]
        weight = np.where(alone, 0.0, held / np.maximum(base, 1))[kind[theirs]] / n[column]
        gap[theirs, column] -= weight * (x[theirs] - of_kind[kind[theirs]])
        gap[theirs, column] -= held[alone].sum() / n[column] * (x[theirs] - x[theirs].mean()) / theirs.sum()
    return mean, by_cluster(gap, np.arange(len(values)), code), n


def _rows(
    groups: list[tuple[Floats, Floats, Floats]],
    gaps: list[tuple[Floats, Floats, Floats]],
    labels: list[tuple[str, str]],
    level: float,
) -> tuple[pd.DataFrame, Floats]:
    """Return a row by measure and group, then the differences from unexposed firms, and all influence values."""
    z = stats.norm.ppf((1 + level) / 2)
    sets = list(zip(GROUPS, groups, strict=True))
    sets += [(f"{name} - unexposed", gap) for name, gap in zip(GROUPS[:-1], gaps, strict=True)]
    frames = []
    for name, (mean, moved, n) in sets:
        error = np.where(np.isnan(mean), np.nan, np.sqrt((moved**2).sum(axis=0)))
        terms = [f"{measure} {platform}".strip() + f": {name}" for measure, platform in labels]
        frames.append(
            pd.DataFrame(
                {
                    "term": terms,
                    "estimate": mean,
                    "std_error": error,
                    "conf_low": mean - z * error,
                    "conf_high": mean + z * error,
                    "n": n,
                    "method": "delta",
                    "measure": [measure for measure, _ in labels],
                    "platform": [platform for _, platform in labels],
                    "group": name,
                }
            )
        )
    return pd.concat(frames, ignore_index=True), np.hstack([moved for _, (_, moved, _) in sets])
