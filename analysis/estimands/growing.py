"""What the closures did to the origin's sellers at home: their sales, their share, and the parts of their growth (E3).

All rest on :func:`effect_on_growth`: closed firms, and spared firms by their exposure, against those of low exposure.
What is common to all of an origin's firms is in no comparison; it is an interval that the reader gives.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis import accounting
from analysis.accounting.changes import by_cluster, cluster_codes
from analysis.errors import DesignError
from analysis.estimands.design import Design, Picked, clusters, marked, pick
from analysis.estimands.direct import in_per_cent
from analysis.estimands.indirect import _own, effect_on_growth, growth, stacked, with_set
from analysis.exposure import exposure_effects
from analysis.inference import Bools, Estimate, Floats

if TYPE_CHECKING:
    from analysis.panel import Panel

PARTS = ("closed", "incumbents", "exit", "entry")  # of E3g, as in the truth of a simulated market


def effect_on_sales(panel: Panel, design: Design, *, common: tuple[float, float]) -> Estimate:
    """Estimate the effect on the origin's home sales, in per cent of what they would have been (E3).

    E3g counts in points of the sales before; with an observed growth of G points the same change is
    ``100 E3g / (100 + G - E3g)`` per cent of the sales without closures. Growth is taken as known, as the sales are.

    Returns
    -------
    Estimate
        Per cent: "closed", "exposed" (each alone), "seen" (both), and "E3", the set with the common part, which
        `common` gives in points of the sales before.

    Raises
    ------
    DesignError
        As :func:`effect_on_growth`, and if the effect is as large as all that was sold.
    """
    effect = effect_on_growth(panel, design, common=common)
    level = 100 + float(growth(panel, design).row("growth")["estimate"])
    rows = effect.rows.copy()
    if (rows["conf_high"] >= level).any():
        raise DesignError(
            f"the effect on sales in per cent was asked for; that on growth reaches {rows['conf_high'].max():.4g} "
            f"points and {level:.4g} per cent of the base were sold: without closures nothing may be left; use E3g"
        )
    slope = 100 * level / (level - rows["estimate"].to_numpy(float)) ** 2
    for name in ("estimate", "conf_low", "conf_high"):
        rows[name] = 100 * rows[name] / (level - rows[name])
    rows["std_error"] *= slope
    rows["term"] = rows["term"].replace("E3g", "E3")
    joint = slope[:3]
    return replace(
        effect,
        estimand="E3",
        unit="per cent",
        rows=rows,
        reason=effect.reason.replace("E3g", "E3"),
        covariance=effect.covariance * np.outer(joint, joint),
        make_influence=lambda: effect.influence * joint,
    )


def effect_on_share(panel: Panel, design: Design, *, common: tuple[float, float]) -> Estimate:
    """Estimate the effect on the origin's share of home sales, and bound it by an explicit common part (E3s).

    The counterfactual of :func:`effect_on_growth` for every origin: with home sales of A, of which the origin sold a
    share s, and changes D of sets of firms, ``E3s = (D(origin) - s D(all)) / (A - D(all))``, which adds up over the
    sets. What moves all sellers alike leaves a share as it is. What moves only the origin's (chilling, entrants that
    stayed away, the trend of 2021 of that origin) does not, and is in no comparison within the origin: it is `common`,
    in percentage points of growth as in :func:`effect_on_growth`, here taken to be the origin's alone.

    Returns
    -------
    Estimate
        Percentage points of home sales: "closed" and "exposed" firms of the origin, "others" (firms of other origins),
        "seen" (their sum), and "E3s": no point but the set. Sales are taken as known, what they would have been is not.

    Raises
    ------
    DesignError
        If there is one origin only, or as :func:`effect_on_growth`.
    """
    mine_alone = effect_on_growth(panel, design, common=common)
    picked, own = pick(panel, design), _own(panel, design.origin)
    if own.all():
        raise DesignError(
            f"the share of {design.origin} in home sales was asked for; all {len(own)} firms are of this origin; bring "
            "a panel with other sellers too, or use E3g"
        )
    found = accounting.changes(**stacked(panel, design, picked, panel.platforms[:1], np.ones(len(own), dtype=bool)))
    before, after, known = _home_sales(panel, picked)
    mine = own[known]
    share, total = float(after[mine].sum() / after.sum()), float(after.sum())
    sets = [found.sum_of(what, [0], design.origin) for what in ("closed", "exposed")]
    others = [found.sum_of(what, [0], design.origin, of=False) for what in ("closed", "exposed")]
    weights = np.array([(1 - share) * sets[0], (1 - share) * sets[1], -share * np.sum(others, axis=0)])
    changed = np.sum([*sets, *others], axis=0)
    left = total - float(changed @ found.value.ravel())
    part = weights @ found.value.ravel() / left
    influence = 100 * (found.influence @ weights.T + np.outer(found.influence @ changed, part)) / left
    part, influence = 100 * np.append(part, part.sum()), np.column_stack([influence, influence.sum(axis=1)])
    held = float(before[mine].sum()) / 100
    alone = share * total - float(np.sum(sets, axis=0) @ found.value.ravel())
    low, high = (100 * (alone / left - (alone - c * held) / (left - c * held)) for c in common)
    n = [*mine_alone.rows["n"][:2], int((~mine).sum()), int(known.sum())]
    return Estimate(
        estimand="E3s",
        unit="percentage points",
        rows=with_set(["closed", "exposed", "others", "seen"], "E3s", part, influence, (low, high), n, design.level),
        level=design.level,
        counts=found.counts,
        reason=f"E3s is a set: what moved the origin's firms alone, {common[0]:g} to {common[1]:g} points of their "
        "growth, is assumed",
        covariance=influence.T @ influence,
        make_influence=lambda: influence,
        design=design,
        digest=panel.digest,
        details={
            "common": common,
            "share": 100 * share,
            "share_before": float(100 * before[mine].sum() / before.sum()),
        },
    )


def effect_in_parts(panel: Panel, design: Design, *, common: tuple[float, float]) -> Estimate:
    """Split what is seen of the effect on growth into four parts that add up to it (E3k).

    Closed firms as in :func:`effect_on_growth`. The exposed part falls into three, as exposed firms and those of low
    exposure differ in each: with base sales B, of which survivors (who sell in the window) held ``v B``, survivors'
    growth r and newcomers' sales ``w B``, low exposure without a mark on the left::

        incumbents  B' v' (r' - r)      those who still sell, against the growth of such firms
        exit        B' (v' - v) r       more or fewer that stopped, at what survivors would have grown to
        entry       B' w' - (B' + C) w  more or fewer newcomers, and larger or smaller ones; C: base sales of closed
                                        firms, beside which newcomers would have come too

    So each margin must have moved alike without closures, which is more than their sum asks. What entry, exit and
    incumbents have in common with firms of low exposure is in none of them.

    Returns
    -------
    Estimate
        Percentage points: "closed", "incumbents", "exit", "entry", "seen" (their sum), and "E3g", the set. Columns
        `set_low`, `set_high`: the interval with the whole of `common` in that part, for nobody knows how it divides;
        closed firms have of it the share that they held of sales before.

    Raises
    ------
    DesignError
        As :func:`effect_on_growth`, or if no comparison firm sells in both windows.
    """
    whole, picked = effect_on_growth(panel, design, common=common), pick(panel, design)
    own = _own(panel, design.origin)
    before, after, known = _home_sales(panel, picked, own)
    code = cluster_codes(clusters(panel, design)[own], known)
    closed, pool = picked.closed[own][known], picked.comparison[own][known]
    exposed = ~closed & ~pool
    value, moved = _margins(before, after, closed, pool)
    base = float(before.sum())
    part = np.append(whole.rows["estimate"][0], 100 * value / base)
    influence = np.column_stack(
        [whole.influence[:, 0], 100 * by_cluster(moved, np.arange(len(before)), code) / base, whole.influence[:, 2]]
    )
    sold, sells = before > 0, after > 0
    kinds = [exposed & sold & sells, exposed & sold & ~sells, exposed & ~sold & sells]
    n = [int(whole.rows["n"][0]), *(int(kind.sum()) for kind in kinds), int(known.sum())]
    rows = with_set([*PARTS, "seen"], "E3g", np.append(part, part.sum()), influence, common, n, design.level)
    weight = np.array([float(before[closed].sum()) / base, 1, 1, 1, 1, 0])  # the last has it already
    rows["set_low"] = rows["conf_low"] + common[0] * weight
    rows["set_high"] = rows["conf_high"] + common[1] * weight
    return replace(
        whole,
        estimand="E3k",
        rows=rows,
        covariance=influence.T @ influence,
        make_influence=lambda: influence,
    )


def entry_by_exposure(panel: Panel, design: Design) -> Estimate:
    """Estimate how entry of the origin's firms varies with what closed firms held of a category (E5d).

    A firm enters when it first sells on any platform. Its category's entrants from the first wave to the end of the
    window are compared with those of the same months a year before, over categories, as
    :func:`analysis.exposure.exposure_effects` does with sales. Fewer or more entrants in all categories alike, the
    level of E5d, cannot be told from the trend of 2021.

    Returns
    -------
    Estimate
        Per cent: "slope" per ten points of exposure, and "level" without an estimate; `n` are entrants in both years.
        Counts: `entrants` and `entrants_before`, in the two years.

    Raises
    ------
    DesignError
        If the panel does not reach back a year and a month before the first wave, nobody enters, or categories differ
        in no exposure.
    """
    picked, own = pick(panel, design), _own(panel, design.origin)
    wave, stop = picked.base.stop, picked.after.stop
    if wave < 13:
        raise DesignError(
            f"entrants of the same months a year before {panel.months[wave]} were asked for; the panel begins in "
            f"{panel.months[0]}, when all firms look new; bring a month more than a year before"
        )
    sold = panel.total() > 0
    first = np.where(sold.any(axis=1) & own, sold.argmax(axis=1), -1)
    category, names = pd.factorize(panel.firms["category"])
    entrants = np.column_stack(
        [
            np.bincount(category[(first >= start) & (first < end)], minlength=len(names))
            for start, end in ((wave - 12, stop - 12), (wave, stop))
        ]
    ).astype(float)
    if not entrants.any(axis=0).all():
        before, after = entrants.sum(axis=0).astype(int)
        raise DesignError(
            f"entrants of origin {design.origin} were asked for; {before} firms of it first sell in the months a year "
            f"before and {after} in those from {panel.months[wave]}; bring a panel that firms may enter, not "
            "one of the largest at the start"
        )
    held = panel.base_share(base=picked.base, home=panel.platforms[0])
    share = np.nan_to_num(held[picked.closed])
    exposure = np.bincount(category[picked.closed], weights=share, minlength=len(names)).astype(float)
    found = in_per_cent(exposure_effects(entrants, exposure, np.array([False, True]), bins=(), level=design.level))
    counts = dict(zip(("entrants_before", "entrants"), entrants.sum(axis=0).astype(int).tolist(), strict=True))
    columns = ["term", "estimate", "std_error", "conf_low", "conf_high", "n", "clusters"]
    slope = found.rows.loc[found.rows["term"] == "slope", columns].assign(n=sum(counts.values()))
    level = {"term": "level", "n": counts["entrants"], "clusters": slope["clusters"].iloc[0]}
    joint = found.influence[:, :1]
    return marked(
        replace(
            found,
            estimand="E5d",
            rows=pd.concat([slope, pd.DataFrame([level])], ignore_index=True),
            counts=dict(found.counts) | counts,
            reason="entry that changed alike in all categories cannot be told from the trend of that year",
            covariance=joint.T @ joint,
            make_influence=lambda: joint,
            details={},
        ),
        panel,
        design,
    )


def _home_sales(panel: Panel, picked: Picked, firms: Bools | None = None) -> tuple[Floats, Floats, Bools]:
    """Return home sales before and after of firms that have both, and which of those asked for these are."""
    home = panel.platform(panel.platforms[0])
    home = home if firms is None else home[firms]
    before, after = (home[:, part].sum(axis=1) for part in (picked.before, picked.after))
    known = np.isfinite(before) & np.isfinite(after)
    return before[known], after[known], known


def _margins(before: Floats, after: Floats, closed: Bools, pool: Bools) -> tuple[Floats, Floats]:
    """Return incumbents, exit and entry of :func:`effect_in_parts` in money, and their influence float64[firm, 3]."""
    moved, exposed = np.zeros((len(before), 3)), ~closed & ~pool
    if not exposed.any():
        return np.zeros(3), moved
    sold = before > 0
    stays = np.where(sold & (after > 0), before, 0.0)
    grown, new = np.where(sold, after, 0.0), np.where(sold, 0.0, after)
    held, kept = float(before[pool].sum()), float(stays[pool].sum())
    if not kept > 0:
        raise DesignError(
            f"the parts of growth were asked for; none of {pool.sum()} firms of low exposure sold in both windows; "
            "widen the window, or raise `low`"
        )
    survival, growth_, entry = kept / held, float(grown[pool].sum()) / kept, float(new[pool].sum()) / held
    parts = [grown - growth_ * stays, (stays - survival * before) * growth_, new - entry * before]
    own = np.column_stack(parts)[exposed]
    total, base, base_kept = own.sum(axis=0), float(before[exposed].sum()), float(stays[exposed].sum())
    of_growth = ((grown - growth_ * stays) / kept)[pool]
    of_survival = ((stays - survival * before) / held)[pool]
    of_entry = ((new - entry * before) / held)[pool]
    moved[exposed] = own - own.mean(axis=0)  # the number of firms is fixed, as in analysis.accounting.changes
    moved[pool] = np.column_stack(
        [
            -base_kept * of_growth,
            (base_kept - base * survival) * of_growth - base * growth_ * of_survival,
            -(base + before[closed].sum()) * of_entry,
        ]
    )
    total[2] -= entry * before[closed].sum()
    moved[closed, 2] = -entry * (before[closed] - before[closed].mean())
    return total, moved
