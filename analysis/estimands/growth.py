"""Effects on the growth, level and share of the origin's home sales (E3).

Closed firms, and exposed firms that were not closed, are compared with firms of low exposure. No
comparison shows an effect common to all firms of an origin; the reader sets an interval for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from fewtreated.errors import DesignError
from fewtreated.estimate import Bools, Floats
from fewtreated.testing import largest_std_error

from analysis.estimands import robustness
from analysis.estimands.changes import Changes, estimated, totals
from analysis.estimands.design import (
    ASKED,
    COLUMNS,
    Design,
    Sample,
    as_rows,
    cached_by_panel,
    over_years,
    refusable,
    require_low_exposure,
)
from analysis.estimands.samples import twice_compared
from analysis.estimate import OF_CENSUS, Estimate
from fewtreated import jackknife

if TYPE_CHECKING:
    from analysis.panel import Panel

Range = tuple[float, float]

NOTHING: Range = (0.0, 0.0)  # no common effect: shows the estimate without a reader's interval
PARTS = (
    "closed",
    "incumbents",
    "exit",
    "entry",
)  # of E3g, as in the true values of a simulated market


def growth_effect(changes: Changes) -> Estimate:
    """Compute the effect on growth (E3g) from changes in sales.

    The terms are "closed" and "exposed" firms of the origin and "seen", their sum, in percentage
    points of the origin's baseline home sales.
    """
    base = changes.sold[0, 0]

    def formula(total: Any) -> dict[str, Any]:
        closed, exposed = (
            100 * total(what, [changes.home], of_origin=True) / base
            for what in ("closed", "exposed")
        )
        return {"closed": closed, "exposed": exposed, "seen": closed + exposed}

    return changes.delta_method(formula, estimand="E3g_seen", unit="percentage points")


def sales_effect(effect: Estimate, level: float) -> Estimate:
    """Convert the effect on growth to a percentage of sales without closures (E3).

    `effect` is as from :func:`growth_effect`; `level` is the level of observed sales, with baseline
    sales of 100.
    """
    terms = effect.terms
    return effect.delta_method(
        lambda x: dict(zip(terms, 100 * x / (level - x), strict=True)),
        estimand="E3_seen",
        unit="per cent",
        n=effect.n,
    )


def share_effect(changes: Changes, common: float = 0.0) -> Estimate:
    """Compute the effect on the origin's share of home sales (E3s) from changes in sales.

    The term is "seen", in percentage points. With home sales A, the origin's share s of them, and
    changes D of sets of firms, the effect is ``E3s = (D(origin) - s D(all)) / (A - D(all))``.
    `common` is a further change in the origin's sales, in points of its baseline sales.
    """
    sold = changes.sold[1].sum()
    share = changes.sold[1, 0] / sold

    def formula(total: Any) -> dict[str, Any]:
        origin, others = (
            sum(total(what, [changes.home], of_origin=own) for what in ("closed", "exposed"))
            for own in (True, False)
        )
        origin = origin + common * changes.sold[0, 0] / 100
        return {"seen": 100 * ((1 - share) * origin - share * others) / (sold - origin - others)}

    return changes.delta_method(formula, estimand="E3s_seen", unit="percentage points")


@cached_by_panel
@refusable
def effect_on_growth(panel: Panel, design: Design, *, common: Range = NOTHING) -> Estimate:
    """Estimate and bound the effect on the growth of the origin's home sales (E3g).

    The bounds include an assumed common part.

    The effect is that on closed firms, plus that on firms not closed to the extent that their
    exposure exceeds that of the comparison firms, both relative to the origin's baseline sales,
    which are treated as known. No comparison can show an effect common to all firms (trust, news,
    entry): the reader sets it as the interval `common`, in percentage points.

    Returns
    -------
    Estimate
        Percentage points: "closed", "exposed", "seen" (their sum), and "E3g", a set without a point
        estimate: from the lower limit of "seen" plus the lower end of `common` to the sum of the
        upper ones. Refused if the comparison is not "low_exposure", the ends of `common` are
        reversed, or as for :func:`analysis.estimands.changes.estimated`.
    """
    low, high = common
    if not -np.inf < low <= high < np.inf:
        raise DesignError(f"cannot use common = {common}; pass two finite limits, lower first")
    require_low_exposure(design, "the effect on growth")
    changes = estimated(panel, design, of_origin=True, home=True)
    n = [changes.estimate.counts[name] for name in ("closed", "exposed", "firms")]
    seen = replace(growth_effect(changes), n=n)
    reason = f"a set: its part common to all firms, {low:g} to {high:g} points, is assumed"
    return seen.with_set("E3g", tuple(seen.conf_int[:, -1] + common), reason)


@cached_by_panel
@refusable
def against_others(panel: Panel, design: Design) -> Estimate:
    """Estimate E3g with its common part measured against firms of other origins.

    Firms of low exposure had few closures in their category. The growth of those of the origin less
    that of all others, less the same gap a year earlier (a triple difference), may be the effect of
    the news about the origin. It is that effect if the gap in growth would have stayed the same and
    the others had no news. The common part is then estimated instead of assumed, from firms hardly
    exposed to closures.

    Returns
    -------
    Estimate
        Percentage points of baseline sales: "common", and "total", which adds "seen" of
        :func:`effect_on_growth`. `n` is the number of low-exposure firms with known sales in all
        three years. Refused as for :func:`effect_on_growth`, and if the panel does not reach back
        two years before the window, or either side has fewer than two clusters with sales then.
    """
    require_low_exposure(design, "the effect on growth")
    changes = estimated(panel, design, home=True)
    sample = design.sample(panel)
    what = "the comparison of growth with other origins and the previous year"
    years = [sample.two_years_ago(what), sample.before, sample.after]
    sold = over_years(sample.home, *years)
    code = sample.mixed_cluster
    pools = [twice_compared(sample)["compared"] & sample.of_origin(side) for side in (True, False)]
    clusters = [len(np.unique(code[side & (sold[0] > 0)])) for side in pools]
    if min(clusters) < 2:
        raise DesignError(
            f"too few clusters: {clusters[0]} of low-exposure firms from the origin and"
            f" {clusters[1]} from other origins with sales two years before the window, but two of"
            " each are needed; add low-exposure firms"
        )
    sums = totals(
        sample,
        np.column_stack([np.where(side, year, 0.0) for side in pools for year in sold]),
        code,
    )

    def triple(x: Any) -> dict[str, Any]:
        origin, others = (grown[2] / grown[1] - grown[1] / grown[0] for grown in (x[:3], x[3:]))
        return {"common": 100 * (origin - others)}

    common = sums.jackknife(triple, estimand="E3g", unit="percentage points")
    seen = growth_effect(changes)["seen"]
    total = replace(
        seen,
        terms=("common", "total"),
        value=common.value + np.append(0.0, seen.value),
        scores=common.scores + np.column_stack([0 * seen.scores, seen.scores]),
        covariance=None,
        max_df=jackknife.most_df(min(clusters)),
        n=int(sum(side.sum() for side in pools)),
    )
    return sample.mark(total)


@cached_by_panel
@refusable
def effect_on_sales(panel: Panel, design: Design) -> Estimate:
    """Estimate the effect on the origin's home sales in per cent (E3).

    It is a percentage of the sales without closures.

    E3g is in points of baseline sales. With an observed growth of G points, the same change is
    ``100 E3g / (100 + G - E3g)`` per cent of the sales without closures. Growth and sales are
    treated as known.

    Returns
    -------
    Estimate
        Per cent: "closed", "exposed" (each alone), and "seen" (both), without a part common to all
        firms. Refused as for :func:`effect_on_growth`, and if the effect is as large as total
        sales.
    """
    effect = effect_on_growth(panel, design).require()[["closed", "exposed", "seen"]]
    sold = estimated(panel, design, of_origin=True, home=True).sold[:, 0]
    level = 100 * sold[1] / sold[0]
    ends = effect.conf_int
    if (ends[1] >= level).any():
        raise DesignError(
            "cannot divide by sales without closures: the effect may be as large as"
            f" {ends[1].max():.4g} points, but observed sales are only {level:.4g} (baseline ="
            " 100); use E3g"
        )
    return replace(sales_effect(effect, level), limits=100 * ends / (level - ends), reason="")


@cached_by_panel
@refusable
def effect_on_share(panel: Panel, design: Design, *, common: Range = NOTHING) -> Estimate:
    """Estimate and bound the effect on the origin's share of home sales (E3s).

    The bounds include an assumed common part.

    It applies :func:`share_effect` with the counterfactual of :func:`effect_on_growth` for every
    origin. An effect on all sellers leaves shares unchanged. An effect on all sellers of the origin
    (chilling, deterred entrants, the origin's trend in 2021) changes its share, but no comparison
    within the origin shows it: `common` sets it, in percentage points of growth as in
    :func:`effect_on_growth`, here assumed to affect only the origin.

    Returns
    -------
    Estimate
        Percentage points of home sales: "seen", and "E3s", a set without a point estimate. Observed
        sales are treated as known, the counterfactual is not. Refused if there is only one origin,
        or as for :func:`effect_on_growth`.
    """
    effect_on_growth(panel, design, common=common).require()
    design.sample(panel).require_other_origins()
    changes = estimated(panel, design, home=True)
    seen = replace(share_effect(changes), n=[changes.estimate.counts["firms"]])
    wider = np.array([share_effect(changes, end).value[0] for end in common]) - seen.value[0]
    reason = (
        f"a set: the effect on the origin alone, {common[0]:g} to {common[1]:g} points of growth,"
        " is assumed"
    )
    return seen.with_set("E3s", tuple(seen.conf_int[:, -1] + wider), reason)


@cached_by_panel
@refusable
def effect_in_parts(panel: Panel, design: Design) -> Estimate:
    """Decompose the effect on growth into four margins (E3k).

    Closed firms are as in :func:`effect_on_growth`. The effect on exposed firms is split into three
    margins. B are base sales, of which survivors (firms that sell in the window) had ``v B``; r is
    the growth factor of survivors and ``w B`` are the sales of newcomers. Symbols with a prime are
    for exposed firms, those without for low exposure::

        incumbents  B' v' (r' - r)      firms that still sell, compared with the growth of such
        firms exit        B' (v' - v) r       more or fewer firms that stopped, valued at the growth
        of survivors entry       B' w' - (B' + C) w  more or fewer newcomers, or larger or smaller
        ones; C: base sales of closed
                                        firms, alongside which newcomers would have entered

    So each margin would have had to move equally without closures, a stronger assumption than for
    their sum. Effects common to exposed firms and those of low exposure are in none of the margins.

    Returns
    -------
    Estimate
        Percentage points: "closed", "incumbents", "exit", "entry", and "seen", their sum. Refused
        as for :func:`effect_on_growth`, or if no comparison firm sells in both windows.
    """
    whole = effect_on_growth(panel, design).require()[["closed", "exposed", "seen"]]
    sample = design.sample(panel)
    sides = _sides(sample)
    margins = _margins(sample, sides)
    points = np.append(whole.value[0], margins.value)
    before, after = sample.sums[:, :, 0] > 0
    of_margins = [before & after, before & ~after, ~before & after]
    counts = [int((sides["exposed"] & kind).sum()) for kind in of_margins]
    parts = replace(
        whole,
        estimand="E3k",
        terms=(*PARTS, "seen"),
        value=np.append(points, points.sum()),
        scores=np.column_stack([whole.scores[:, 0], margins.scores, whole.scores[:, 2]]),
        covariance=None,
        limits=None,
        max_df=np.take(whole.max_df, [0, 1, 1, 1, 2]),
        n=[whole.n[0], *counts, int(sides["all"].sum())],
        reason="",
    )
    idle = [name for name, n in zip(("exit", "entry"), counts[1:], strict=True) if not n]
    if not idle:
        return parts
    why = (
        f"{' and '.join(idle)}: no firm has sales in one window and 0 in the other; either all"
        " sold in both, or rows without sales are absent from the file and not read as 0 (set"
        " `absent` in the map)"
    )
    return parts.without(np.isin(parts.terms, idle), why)


def _sides(sample: Sample) -> dict[str, Bools]:
    """Select the origin's firms with known home sales: closed, compared, exposed, and all."""
    observed = sample.of_origin() & sample.observed(1)
    closed = observed & sample.closed
    compared = observed & sample.comparison
    exposed = observed & ~closed & ~compared
    return {"closed": closed, "compared": compared, "exposed": exposed, "all": observed}


def _margins(sample: Sample, sides: Mapping[str, Bools]) -> Estimate:
    """Estimate the margins of the effect on exposed firms: incumbents, exit, entry."""
    before, after = sample.sums[:, :, 0]
    flows = np.column_stack(
        [before, before * (after > 0), after * (before > 0), after * ~(before > 0)]
    )
    exposed = sides["exposed"]
    compared = sides["compared"]
    if exposed.any() and not flows[compared, 1].sum() > 0:
        raise DesignError(
            f"none of the {compared.sum()} low-exposure firms sold in both windows; widen the"
            " window or raise `low`"
        )
    closed = sides["closed"]
    columns = [np.where(firms[:, np.newaxis], flows, 0.0) for firms in (exposed, compared)]
    columns += [np.where(closed, before, 0.0), exposed, closed]
    base = before[sides["all"]].sum()
    count = (exposed.sum(), closed.sum())
    sums = totals(sample, np.column_stack(columns), sample.mixed_cluster)
    margins = sums.jackknife(
        lambda x: {name: 100 * part / base for name, part in _margins_of(x, *count).items()},
        estimand="E3k",
        unit="percentage points",
    )
    if exposed.any():
        return margins
    return replace(margins, value=np.zeros(3), scores=np.zeros(margins.scores.shape))


def _margins_of(x: Floats, exposed: int, closed: int) -> dict[str, Any]:
    """Return the margins from sums over firms, float64[11, ...], in units of sales.

    The sums are four of sales of exposed firms, four of compared ones, sales of closed firms, and
    the numbers of exposed and of closed firms, which are scaled to those given: the number of firms
    is fixed, as in :mod:`analysis.estimands.changes`.
    """
    held, stays, growing, fresh = x[:4] * _ratio(exposed, x[9])
    pool_held, pool_stays, pool_growing, pool_fresh = x[4:8]
    gone = x[8] * _ratio(closed, x[10])
    rate = pool_growing / pool_stays
    parts = (
        growing - rate * stays,
        (stays - pool_stays / pool_held * held) * rate,
        fresh - pool_fresh / pool_held * (held + gone),
    )
    return dict(zip(PARTS[1:], parts, strict=True))


def _ratio(count: int, counted: Floats) -> Floats:
    """Return a count over others, 0 where these are 0."""
    return np.divide(count, counted, out=np.zeros_like(counted), where=counted > 0)


@cached_by_panel
@refusable
def observed_growth(panel: Panel, design: Design) -> Estimate:
    """Estimate the observed growth of the origin's home sales, ``sum(after) / sum(before) - 1``.

    Returns
    -------
    Estimate
        "growth", percentage points of baseline sales. The standard error treats firms as draws from
        a larger population. A panel declared a census has all firms: if none lacks sales in these
        months, their growth is exact, with both limits equal to it. Refused if nothing was sold
        before, or there is only one cluster.
    """
    sample = design.sample(panel)
    own = sample.of_origin()
    known = sample.observed(1)
    observed = np.flatnonzero(own & known)
    sold = sample.sums[:, observed, 0].T
    clusters = sample.clusters(observed)
    if clusters < 2:
        raise DesignError(
            f"the {len(observed)} firms form fewer than two clusters; add firms from other clusters"
        )
    if not sold[:, 0].sum() > 0:
        raise DesignError(
            f"the {len(observed)} firms had no baseline sales; choose a window with sales a year"
            " earlier"
        )
    counts = {
        "firms": len(observed),
        "clusters": clusters,
        "dropped_missing": int((own & ~known).sum()),
    }
    grown = totals(sample, sold, sample.cluster[observed], counts=counts).jackknife(
        lambda x: {"growth": 100 * (x[1] / x[0] - 1)},
        estimand="growth",
        unit="percentage points",
        n=[len(observed)],
    )
    if panel.population == "census" and not counts["dropped_missing"]:
        grown = replace(
            grown,
            scores=None,
            covariance=None,
            limits=np.array([grown.value, grown.value]),
            reason=OF_CENSUS,
        )
    return sample.mark(grown)


@refusable
def cumulative_bounds(
    effect: Estimate, words: Sequence[str], *, truth: float | None = None
) -> Estimate:
    """Cumulate the parts of an effect; the common part is added last.

    Parameters
    ----------
    effect : Estimate
        Has parts, "seen" (their sum) and a set, as from :func:`effect_on_growth`.
    words : sequence of str
        Labels of the parts and, last, of the common part: one per row except "seen".
    truth : float, optional
        True value of the whole effect, if known.

    Returns
    -------
    Estimate
        The sums, the last one a set, with the column `truth`.
    """
    parts = effect[list(effect.terms[:-2])]
    sums = parts.delta_method(
        lambda x: dict(zip(words, np.cumsum(x), strict=False)),
        estimand=effect.estimand,
        unit=effect.unit,
        n=np.asarray(effect.n)[: len(parts.terms)],
    )
    ladder = sums.with_set(words[-1], tuple(effect.conf_int[:, -1]), effect.reason)
    true = [*[np.nan] * len(sums.terms), np.nan if truth is None else truth]
    return replace(ladder, n=np.delete(np.asarray(effect.n), -2), columns={"truth": true})


@refusable
def break_even(effect: Estimate, margin: float) -> Estimate:
    """Return the common effect at which the verdict "not lower" changes.

    If the seen effect on growth is x, the whole effect equals minus the margin at a common part of
    ``-margin - x``. If the common part is certainly above the upper limit of that value, growth was
    not lower by more than the margin; if it is certainly below the lower limit, it was.

    Parameters
    ----------
    effect : Estimate
        Has a term "seen", as from :func:`effect_on_growth`.
    margin : float
        Positive, in the unit of the effect.
    """
    name = "break-even common effect"
    seen = effect["seen"]
    return seen.delta_method(
        lambda x: {name: -margin - x[0]}, estimand=name, unit=effect.unit, n=seen.n, reason=""
    )


def precision(effects: Mapping[str, tuple[Estimate, float, bool]], *, level: float) -> pd.DataFrame:
    """Compare standard errors with those needed to confirm a zero effect.

    The power is 80 per cent.

    Parameters
    ----------
    effects : mapping of str to (Estimate, float, bool)
        By label: an effect with a term "seen", its margin, and whether the test is two-sided.
        Refused effects are left out.
    level : float
        One minus the size of each one-sided test.

    Returns
    -------
    DataFrame
        `label`, `margin`, `needed` and `has` (standard errors), and `times`, the factor by which
        the number of independent clusters would have to grow: the square of has over needed.
    """
    rows = [
        {"label": label, "margin": margin, "has": float(effect["seen"].std_error[0])}
        | {"needed": largest_std_error(margin, level=level, two_sided=two_sided)}
        for label, (effect, margin, two_sided) in effects.items()
        if not effect.refused
    ]
    table = pd.DataFrame(rows, columns=["label", "margin", "has", "needed"])
    return table.assign(times=(table["has"] / table["needed"]) ** 2)


def placebo_growth(panel: Panel, design: Design) -> pd.DataFrame:
    """Tabulate a placebo effect on growth, with closures dated a year early.

    All firms sold something in the month before the first wave, since closed firms had survived
    until then. Newcomers are kept, since entry is part of growth. They bias the part of closed
    firms, as explained for :func:`analysis.estimands.closed_firms.placebo`, and the sum of both
    parts much less.

    Returns
    -------
    DataFrame
        Rows of :func:`effect_on_growth` without a common part, with the column `term`; only chance
        and diverging paths move them from zero. One row with the reason if that is refused, or the
        panel does not reach back far enough.
    """
    effect = robustness.early(effect_on_growth, panel, design)
    labels = {"closed": "closed firms, a year early", "exposed": "exposed firms", "seen": "both"}
    terms = {term: ("placebo", label) for term, label in labels.items()}
    if effect.refused:
        dated = effect
    else:
        dated = replace(effect, digest=panel.digest)
    rows = as_rows(dated, terms, "percentage points")
    if rows["estimate"].isna().all():
        return rows[:1].assign(label="growth, a year early", term="seen")[
            [*COLUMNS, *ASKED, "term"]
        ]
    return rows.assign(term=list(labels))
