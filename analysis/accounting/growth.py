"""Growth taken apart: exact contributions of closed, continuing, leaving and entering firms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.errors import DesignError
from analysis.inference import Bools, Estimate, Floats


def decompose_growth(
    before: Floats,
    after: Floats,
    closed: Bools,
    *,
    cluster: Sequence[Any] | None = None,
    level: float = 0.95,
) -> Estimate:
    """Split observed growth ``g = sum(after) / sum(before) - 1`` by what became of each firm.

    Closed firms; firms that sold in both windows; those that sold before only (exit); those that sold after only
    (entry). Each contributes ``sum(after - before) / sum(before)``, and the contributions add up to g exactly. This
    describes; it says nothing about what would have been.

    Parameters
    ----------
    before, after : float64[firm]
        Sales in two windows of the same months, in one unit. NaN in either drops the firm, and is counted.
    closed : bool[firm]
    cluster : sequence, optional
        Cluster of each firm; each its own where not given.
    level : float
        Coverage of intervals.

    Returns
    -------
    Estimate
        Percentage points of the sales before: rows "closed", "continuing", "exit", "entry", and "growth", their sum.
        Errors take firms as draws from a wider set; `covariance` and `influence` hold them jointly.

    Raises
    ------
    DesignError
        If lengths disagree, sales are negative, nothing was sold before, there is one cluster, or the level is not in
        (0, 1).
    """
    if not 0 < level < 1:
        raise DesignError(f"a level between 0 and 1 was asked for; found {level}; 0.95 is usual")
    before, after, closed, kept = _firms([before, after], closed)
    code = np.arange(len(before)) if cluster is None else pd.factorize(np.asarray(cluster)[kept])[0]
    clusters = len(np.unique(code))
    if clusters < 2:
        raise DesignError(f"growth with its error was asked for; found {clusters} cluster; two are the fewest")
    base = _base(before)
    sold, sells = before > 0, after > 0
    members = {
        "closed": closed,
        "continuing": ~closed & sold & sells,
        "exit": ~closed & sold & ~sells,
        "entry": ~closed & ~sold & sells,
    }
    inside = np.array([*members.values(), np.ones(len(before), dtype=bool)]).T
    change = inside * (after - before)[:, None]
    parts = change.sum(axis=0) / base
    by_firm = 100 * (change - before[:, None] * parts) / base
    influence = np.array([np.bincount(code, weights=column) for column in by_firm.T], dtype=float).T
    error, z = np.sqrt((influence**2).sum(axis=0)), stats.norm.ppf((1 + level) / 2)
    rows = pd.DataFrame(
        {
            "term": [*members, "growth"],
            "estimate": 100 * parts,
            "std_error": error,
            "conf_low": 100 * parts - z * error,
            "conf_high": 100 * parts + z * error,
            "n": inside.sum(axis=0),
        }
    )
    return Estimate(
        estimand="growth",
        unit="percentage points",
        rows=rows,
        level=level,
        counts={"firms": len(before), "clusters": clusters, "dropped_missing": int((~kept).sum())},
        covariance=influence.T @ influence,
        make_influence=lambda: influence,
    )


def decompose_effect(
    before: Floats,
    observed: Floats,
    counterfactual: Floats,
    closed: Bools,
    *,
    alive: Mapping[str, Bools] | None = None,
) -> Estimate:
    """Split the effect on growth (E3g) between two known worlds into four parts that add up to it.

    With ``B`` the common sales before: closed firms; incumbents alive in both worlds (or neither); incumbents alive
    in one world only, voluntary exit induced or prevented; and firms that sold nothing before, entry deterred or
    induced. Each is ``sum(observed - counterfactual) / B``.

    Parameters
    ----------
    before, observed, counterfactual : float64[firm]
        Sales before, and in the window in the two worlds; no NaN.
    closed : bool[firm]
    alive : mapping with bool[firm] under "observed" and "counterfactual", optional
        Who is in business in each world; whoever sells in the window where not given.

    Returns
    -------
    Estimate
        Percentage points: rows "closed", "incumbents", "exit", "entry", and "E3g", their sum. Both worlds are known,
        so there is no error.

    Raises
    ------
    DesignError
        If lengths disagree, a value is NaN or negative, nothing was sold before, or `alive` lacks a world.
    """
    total = len(np.asarray(before))
    before, observed, counterfactual, closed, kept = _firms([before, observed, counterfactual], closed)
    if not kept.all():
        raise DesignError(
            f"the effect between two worlds was asked for; {(~kept).sum()} of {total} firms have no sales in one of "
            "them; give every firm a value, zero where it sells nothing"
        )
    base, incumbent = _base(before), before > 0
    living = alive or {"observed": observed > 0, "counterfactual": counterfactual > 0}
    if set(living) != {"observed", "counterfactual"}:
        raise DesignError(
            f"who is alive in the worlds observed and counterfactual was asked for; found {sorted(living)}; name both"
        )
    if wrong := [world for world, who in living.items() if np.shape(who) != before.shape]:
        raise DesignError(
            f"who is alive, one value for each of {total} firms, was asked for; found shape "
            f"{np.shape(living[wrong[0]])} in the {wrong[0]} world; give bool[firm]"
        )
    same = np.asarray(living["observed"]) == np.asarray(living["counterfactual"])
    members = {
        "closed": incumbent & closed,
        "incumbents": incumbent & ~closed & same,
        "exit": incumbent & ~closed & ~same,
        "entry": ~incumbent,
        "E3g": np.ones(total, dtype=bool),
    }
    change = observed - counterfactual
    rows = pd.DataFrame(
        {
            "term": list(members),
            "estimate": [100 * float(change[inside].sum()) / base for inside in members.values()],
            "std_error": np.nan,
            "conf_low": np.nan,
            "conf_high": np.nan,
            "n": [int(inside.sum()) for inside in members.values()],
        }
    )
    return Estimate(
        estimand="E3k",
        unit="percentage points",
        rows=rows,
        counts={"firms": total},
        reason="both worlds are known: there is no error",
    )


def _firms(sales: list[Floats], closed: Bools) -> Any:
    """Return each array for the firms without NaN, who of them is closed, and which they are."""
    arrays, closed = [np.asarray(part, dtype=float) for part in sales], np.asarray(closed)
    shapes = {part.shape for part in [*arrays, closed]}
    if len(shapes) > 1 or arrays[0].ndim != 1 or closed.dtype != np.bool_:
        raise DesignError(
            f"sales and closed, one value a firm, were asked for; found shapes {sorted(shapes)} and closed in "
            f"{closed.dtype}; give float64[firm] and bool[firm]"
        )
    kept = np.all([np.isfinite(part) for part in arrays], axis=0)
    if negative := sum(int((part < 0).sum()) for part in arrays):
        raise DesignError(f"sales of at least 0 were asked for; {negative} are negative; correct them")
    return *(part[kept] for part in arrays), closed[kept], kept


def _base(before: Floats) -> float:
    if not (base := float(before.sum())) > 0:
        raise DesignError(
            f"growth was asked for; the {len(before)} firms sold nothing before; choose a window in which they did"
        )
    return base
