"""Displacement: the lost home sales of closed firms in seven signed parts that add up to all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.accounting.changes import Changes, changes
from analysis.accounting.ratios import share_out
from analysis.inference import Bools, Estimate, Floats

RESIDUAL = "lost to spending elsewhere: the residual, with the errors of all parts"


def displacement(
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
    own_origin: str = "CN",
    named: Sequence[str] = ("EBY", "ALI"),
    outside: float | None = None,
) -> Estimate:
    """Share out the lost home sales of closed firms, L, into seven signed parts.

    d1 and d2: home sales of exposed firms, of `own_origin` and of others; d3, d4: closed firms on the two `named`
    platforms; d5: closed firms on all other platforms; d6: exposed firms off the home platform; d7: what is left. All
    are changes against the growth of comparison firms, which have none by construction: what is common to all firms,
    such as a gain in trust, is in no part but the residual.

    Parameters
    ----------
    sales, closed_at, origin, platforms, home, before, after, comparison, cluster
        As :func:`changes`.
    level : float
        Coverage of intervals.
    own_origin : str
        Origin whose recapture is d1.
    named : one or two str
        Platforms of d3 and d4; a part whose platform is not in `platforms` is NaN, and its sales are in d7.
    outside : float, optional
        Change of spending outside the platforms against the counterfactual, in units of `sales`, taken as known. With
        it d7 is measured, and a row ``"discrepancy"`` holds what then is missing to 100.

    Returns
    -------
    Estimate
        Per cent of L: rows d1 to d7 and "sum", with `part` in words and `method`, "delta" or "Fieller", of the
        interval. Where L is not distinguishable from zero the Fieller set is unbounded, from -inf to inf.
        ``details``: `lost`, the Estimate of L.

    Raises
    ------
    DesignError
        As :func:`changes`; if nothing was lost; if the level is not in (0, 1).

    References
    ----------
    Fieller, E. C. (1954), Some problems in interval estimation, JRSS B 16, 175-185. Finney, D. J. (1978), Statistical
    Method in Biological Assay, section 4.6, for when the delta method will do.
    """
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
    parts = _parts(found, own_origin, named)
    rest = found.lost - np.nansum([weights for _, _, weights in parts], axis=0)
    names = [name for name, _, _ in parts] + (["d7"] if outside is None else ["d7", "discrepancy"])
    words = [text for _, text, _ in parts]
    words += [RESIDUAL] if outside is None else ["lost to spending elsewhere: measured", "not accounted for"]
    weights = np.array([w for _, _, w in parts] + ([] if outside is None else [np.zeros_like(rest)]) + [rest])
    constant = np.zeros(len(names))
    if outside is not None:
        constant[-2:] = outside, -outside
    lacking = np.isnan(weights).any(axis=1)
    rows, influence, lost = share_out(found, names, weights, constant, level, total="sum")
    rows["part"] = [*words, "all parts"]
    gone = [name for name, nothing in zip(names, lacking, strict=True) if nothing]
    reason = f"{', '.join(gone)}: no such platform in the data, so d7 holds its sales" if gone else ""
    return Estimate(
        estimand="E4c",
        unit="per cent of L",
        rows=rows,
        level=level,
        counts=found.counts,
        reason=reason,
        covariance=influence.T @ influence,
        make_influence=lambda: influence,
        details={"lost": lost},
    )


def _parts(found: Changes, own: str, named: Sequence[str]) -> list[tuple[str, str, Floats]]:
    """Return name, words and weights of d1 to d6; NaN weights where no platform carries the part."""
    home, at = found.platforms[found.home], {name: place for place, name in enumerate(found.platforms)}
    named = [*named, ""][:2]  # one platform alone leaves no d4
    places = [[at[name]] if name in at else [] for name in named]
    places.append([place for place in found.away if found.platforms[place] not in named])
    others = " or ".join(found.platforms[place] for place in places[2]) or "other platforms"
    made = [
        ("d1", f"recaptured on {home} by {own} firms not closed", found.sum_of("exposed", [found.home], own)),
        ("d2", f"recaptured on {home} by others", found.sum_of("exposed", [found.home], own, of=False)),
    ]
    for name, where, place in zip(("d3", "d4", "d5"), (*named, others), places, strict=True):
        weights = found.sum_of("closed", place)
        made.append((name, f"moved with the firm to {where}", weights if place else np.full_like(weights, np.nan)))
    return [*made, ("d6", f"other firms off {home}", found.sum_of("exposed", found.away))]
