"""Average group-time effects by efficient weights.

The weights are efficient if dates of treatment are as good as random.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fewtreated.errors import DesignError
from fewtreated.estimate import Estimate
from fewtreated.estimators.att_gt import GroupTime, Kind

__dir__ = ["efficient"].copy  # for tab completion


def efficient(study: GroupTime, kind: Kind = "simple") -> Estimate:
    """Average effects without taking off all of the difference before treatment.

    Otherwise it averages as :meth:`GroupTime.aggregate` does.

    If dates of treatment are random, the difference between cohorts before treatment, x, is zero on
    average, and any share b of it may be taken off the difference after:
    ``theta(b) = theta - b x``. The share with the least variance is ``b = Cov(theta, x) / Var(x)``;
    1 is difference-in-differences, 0 the difference after.

    Parameters
    ----------
    study : GroupTime
        On the level scale, without weights, clusters, strata and missing outcomes.
        ``comparison="not_yet"`` uses what the assumption allows.
    kind : {"simple", "dynamic", "group", "calendar"}

    Returns
    -------
    Estimate
        With the shares as ``details["beta"]``. Standard errors are conservative (Neyman's), and do
        not count the estimation of b, which does not matter in large samples.

    Raises
    ------
    DesignError
        If the study has something that the estimator does not support.

    References
    ----------
    Roth, J. and Sant'Anna, P. H. C. (2023), Efficient estimation for staggered rollout designs,
    Journal of Political Economy Microeconomics 1, 669-709.
    """
    several = len({group.stratum for group in study.groups}) > 1
    kept = {
        "weights": study.weight is not None,
        "clusters": study.cluster is not None,
        "strata": several,
    }
    kept |= {"missing outcomes": study.paired, "the ratio scale": study.scale == "ratio"}
    if any(kept.values()):
        raise DesignError(
            "Cannot use efficient weights with"
            f" {', '.join(name for name, has in kept.items() if has)}: they are for means of units"
            " whose dates are random; leave it out, or pass efficient=False"
        )
    plain = study.aggregate(kind)
    _, term = study.terms(kind)
    cells = np.flatnonzero(term >= 0)
    size = np.array([len(group.rows) for group in study.groups])
    units = np.bincount(term[cells], size[study.cells[0, cells]])
    weights = np.zeros(
        (2, len(units), len(size), study.width)
    )  # after and before, by term, cohort and period
    for cell in cells:
        treated, comparison, _, *times = study.cells[:, cell]
        parts = list(study.groups[comparison].parts or (comparison,))
        for weight, time in zip(weights[:, term[cell]], times, strict=True):
            weight[treated, time] += size[treated] / units[term[cell]]
            weight[parts, time] -= (
                size[treated] / units[term[cell]] * size[parts] / size[parts].sum()
            )
    if len(plain.terms) > len(units):  # the last is the average
        if kind == "group":
            share = plain.n[:-1]
        else:
            share = np.ones(len(units))
        weights = np.append(
            weights, np.einsum("k,akgt->agt", share / share.sum(), weights)[:, np.newaxis], axis=1
        )
    values = np.zeros((2, len(plain.terms)))
    scores = np.zeros((2, len(study.y), len(plain.terms)))
    for number, group in enumerate(study.groups):
        if not group.parts:
            y = study.y[group.rows]
            by_group = weights[:, :, number].transpose(0, 2, 1)
            values += y.mean(axis=0) @ by_group
            with np.errstate(invalid="ignore", divide="ignore"):
                scores[:, group.rows] = (
                    (y - y.mean(axis=0)) / np.sqrt(len(y) * (len(y) - 1.0)) @ by_group
                )
    with np.errstate(invalid="ignore"):
        beta = (scores[0] * scores[1]).sum(axis=0) / (scores[1] ** 2).sum(axis=0)
    return replace(
        plain,
        estimand=f"{plain.estimand}, efficient for random dates",
        value=values[0] - beta * values[1],
        scores=scores[0] - beta * scores[1],
        covariance=None,
        clusters=None,
        details={"beta": beta},
        reason=(
            "no variance before treatment, or a cohort of one unit" if np.isnan(beta).any() else ""
        ),
    )
