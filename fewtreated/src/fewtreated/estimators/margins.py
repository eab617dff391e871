"""Margins of an effect on sales that may end: whether units still sell, and how much.

The first margin is how many units still sell. The second is how much those sell that sell either
way.

A ratio of totals counts a unit that stops and a unit that shrinks alike, and no log change is
defined for a unit that stops. The extensive margin is the effect on the share that still sells. The
intensive margin, of units that would sell with and without treatment, is bounded, since nobody
knows which these are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from fewtreated.errors import DataError, DesignError
from fewtreated.estimate import Bools, Estimate, Floats, Labels, stack_estimates
from fewtreated.estimators.att_gt import att_gt
from fewtreated.estimators.rows import indicator, match_units, sum_by

__dir__ = ["lee_bounds", "margins"].copy  # for tab completion


def margins(
    before: Floats,
    after: Floats,
    treated: Bools,
    *,
    cluster: Labels | None = None,
    level: float = 0.95,
) -> Estimate:
    """Split the effect on sales into its margins.

    Parameters
    ----------
    before, after : float64[unit]
        Sales; zero afterwards is a unit that stopped. Units without sales before are left out and
        counted.
    treated : bool[unit]
    cluster : sequence, optional
        Cluster of each unit; each its own by default.
    level : float
        Coverage of intervals.

    Returns
    -------
    Estimate
        ``"ratio"``: log of the ratio of totals, treated over others; ``"extensive"``: effect on the
        share that still sells; ``"lower"`` and ``"upper"``: :func:`lee_bounds` on the log change of
        units that sell either way, whose outer limits are a conservative interval. The column
        `unit` says what each is in; `n` is the number of treated units; ``details["kept"]`` is the
        share of survivors on one side that the bounds keep.

    Raises
    ------
    DataError
        If sales are missing or negative.
    DesignError
        If shapes differ, `treated` is not true or false, or on one side no unit sells before or
        afterwards.

    References
    ----------
    Chen, J. and Roth, J. (2024), Logs with zeros? Some problems and solutions, Quarterly Journal of
    Economics 139, 891-936.
    """
    match_units(before=before, after=after, treated=treated, cluster=cluster)
    sales = np.column_stack([before, after]).astype(float)
    if wrong := np.count_nonzero(~(sales >= 0).all(axis=1)):
        raise DataError(
            f"Cannot split an effect: sales of {wrong} units are missing or negative; set those of"
            " units that stopped to 0, and drop the others"
        )
    kept = np.flatnonzero(sales[:, 0])
    code = pd.factorize(kept if cluster is None else np.asarray(cluster)[kept])[0]
    sales = sales[kept]
    treated = indicator(treated)[kept]
    count = int(code.max(initial=0)) + 1
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.where(sales[:, 1] > 0, np.log(sales[:, 1] / sales[:, 0]), np.nan)
        value, influence, share = lee_bounds(change, treated)
    sides = min(len(np.unique(code[side])) for side in (treated, ~treated))
    scores = (np.sqrt(count / (count - 1)) if sides > 1 else np.nan) * sum_by(
        influence, code, count
    )
    first = np.where(treated, 1.0, np.inf)
    ratio = att_gt(sales, first, scale="ratio", cluster=code).aggregate().at(level)
    selling = replace(
        att_gt((sales > 0).astype(float), first, cluster=code).aggregate(), unit="share of units"
    )
    few: dict[str, Any] = {
        "n": int(treated.sum()),
        "max_df": max(sides - 1, 1),
        "reason": ratio.reason,
    }
    inner = Estimate(
        estimand="",
        unit="log points",
        terms=("lower", "upper"),
        value=value,
        scores=scores,
        level=level,
        **few,
    )
    return stack_estimates(
        {
            "ratio": ratio,
            "extensive": selling.at(level),
            "lower": inner["lower"],
            "upper": inner["upper"],
        },
        estimand="margins of the effect on the treated",
        reason=ratio.reason,
        counts={
            "units": len(kept),
            "without sales before": len(before) - len(kept),
            "clusters": count,
        },
        details={"kept": share},
    )


def lee_bounds(outcome: Floats, treated: Bools) -> tuple[Floats, Floats, float]:
    """Bound the effect on units whose outcome is seen with and without treatment.

    Treatment is as good as random, and if it moves any unit out of sight, it moves none into it, or
    the reverse. Then units on the side where fewer are seen would be seen on the other side too.
    There they are a share q of those seen: at one extreme those with the lowest outcomes, at the
    other those with the highest.

    Parameters
    ----------
    outcome : float64[unit]
        NaN if it is not seen, such as the log change in sales of a unit that stopped.
    treated : bool[unit]

    Returns
    -------
    bounds : float64[2]
        The lower and the upper one; the unit at the cut counts by the part that is within q.
    influence : float64[unit, 2]
        Of each unit on the bounds; the sum of its squares, over clusters, is their variance.
    kept : float
        The share q.

    Raises
    ------
    DesignError
        If no outcome is seen on one side.

    References
    ----------
    Lee, D. S. (2009), Training, wages, and sample selection: estimating sharp bounds on treatment
    effects, Review of Economic Studies 76, 1071-1102; the variance is that of its proposition 3.
    """
    seen = np.isfinite(outcome)
    shares = [float(seen[side].mean()) if side.any() else 0.0 for side in (treated, ~treated)]
    if min(shares) == 0:
        raise DesignError(
            "Cannot bound an effect on units seen either way: no outcome is seen on one side; if"
            " these units stopped, the extensive margin is all there is"
        )
    more, sign = (treated, 1) if shares[0] >= shares[1] else (~treated, -1)
    kept = min(shares) / max(shares)
    bounds = np.empty(2)
    influence = np.zeros((len(outcome), 2))
    trimmed = more & seen
    other = ~more & seen
    level = outcome[other].mean()
    share = np.where(more, max(shares), min(shares))
    in_kept = (seen - share) / max(shares) / np.where(more, -more.sum() / kept, (~more).sum())
    for column, flip in enumerate(
        (sign, -sign)
    ):  # the lower bound is that of the highest if others are trimmed
        mean, own, slope = _lowest(flip * outcome[trimmed], kept)
        bounds[column] = sign * (flip * mean - level)
        influence[trimmed, column] = sign * flip * own
        influence[other, column] = -sign * (outcome[other] - level) / other.sum()
        influence[:, column] += sign * flip * slope * in_kept
    return bounds, influence, kept


def _lowest(y: Floats, share: float) -> tuple[float, Floats, float]:
    """Return the mean of the lowest share of y.

    Also return the influence of each value on it, and its slope in the share.
    """
    ordered = np.sort(y)
    size = share * len(y)
    cut = ordered[min(int(np.ceil(size)), len(y)) - 1]
    mean = float(np.clip(size - np.arange(len(y)), 0, 1) @ ordered / size)
    slope = float(cut - mean) / share
    return mean, (np.minimum(y - cut, 0) / share + cut - mean) / len(y), slope
