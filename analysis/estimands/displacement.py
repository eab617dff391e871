"""Displacement of closed firms' lost home sales (E4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from fewtreated.errors import DesignError
from fewtreated.estimate import Bools, Floats, stack_estimates
from fewtreated.estimators.rows import sum_by, without_each
from scipy import stats

from analysis.estimands import samples
from analysis.estimands.changes import Changes, Total, estimated
from analysis.estimands.design import (
    Design,
    Sample,
    cached_by_panel,
    refusable,
    require_low_exposure,
    require_other_platforms,
)
from analysis.estimands.samples import Masks
from analysis.estimate import Estimate
from fewtreated import jackknife

if TYPE_CHECKING:
    from analysis.panel import Panel

SURE = 3.0  # standard errors from zero that a loss needs before we divide by it
PARTS = [*(f"d{number}" for number in range(1, 8)), "sum"]
THOUSANDS = ("", "thousand", "million", "billion", "trillion")
RIVALS = {
    "d1": True,
    "d2": False,
}  # parts taken by rivals at home, and whether these are of the origin
RESIDUALS = ("d6", "d7")  # shown as bounds: residuals accumulate the errors of all other parts


def amounts(changes: Changes) -> Estimate:
    """Decompose closed firms' lost home sales, L, in units of sales.

    "d1", "d2": home sales of exposed firms of the origin and of other origins; "d3", "d4": closed
    firms on the destinations; "d5": closed firms on all other platforms; "d6": exposed firms off
    the home platform; "d7": the rest; "sum", equal to L. A part without a platform or firms in the
    panel is NaN, and its sales are in d7. A part whose firms cannot be compared is NaN, as are the
    residuals. "there" is d3 plus d4; further terms, named by platform code, are for closed firms on
    each other platform.
    """
    home = changes.home
    away = changes.away
    on = _platforms_of_parts(changes)
    blanks = _blanks(changes, on)
    blank = [name for names, _ in blanks for name in names]
    if not on["there"]:
        blank.append("there")

    def formula(total: Total) -> dict[str, Any]:
        rivals = {
            name: total("exposed", [home], of_origin=of_origin)
            for name, of_origin in RIVALS.items()
        }
        closed = {name: total("closed", platforms) for name, platforms in on.items()}
        parts = rivals | dict.fromkeys(("d3", "d4"), 0.0) | closed | {"d6": total("exposed", away)}
        lost = -total("closed", [home])
        left = lost - sum(rivals.values()) - total("closed", away) - parts["d6"]
        return parts | {"d7": left, "sum": lost} | dict.fromkeys(blank, np.nan)

    reason = "; ".join(f"{', '.join(names)}: {why}" for names, why in blanks)
    unit = changes.estimate.unit
    return changes.delta_method(formula, estimand="E4c", unit=unit, reason=reason)


def _platforms_of_parts(changes: Changes) -> dict[str, list[str]]:
    """Return the platforms of each part of :func:`amounts` that is of closed firms."""
    there = [name for name in changes.destinations if name in changes.away]
    numbered = enumerate(changes.destinations, start=3)
    on = {f"d{number}": [name] for number, name in numbered if name in there}
    on["d5"] = [name for name in changes.away if name not in there]
    return on | {"there": there} | {name: [name] for name in changes.away}


def _blanks(changes: Changes, on: Mapping[str, Sequence[str]]) -> list[tuple[list[str], str]]:
    """Return the parts of :func:`amounts` that have no number, with the reason why."""
    exposed = {of_origin for what, of_origin, _ in changes.cells if what == "exposed"}
    blanks = []
    for name, of_origin in RIVALS.items():
        if of_origin not in exposed and of_origin not in changes.lacking:
            who = "the origin" if of_origin else "other origins"
            blanks.append(([name], f"no firm of {who} is exposed"))
    nowhere = [name for name in ("d3", "d4", "d5") if not on.get(name)]
    nowhere += ["d6"] * (not changes.away)
    if nowhere:
        blanks.append((nowhere, "no such platform in the data, so d7 includes its sales"))
    for name, of_origin in RIVALS.items():
        if of_origin in changes.lacking:
            blanks.append(([name, *RESIDUALS], changes.lacking[of_origin]))
    return blanks


def shares_of_loss(changes: Changes) -> Estimate:
    """Return :func:`amounts` as percentages of the lost home sales, with Fieller intervals.

    The intervals are based on Student's t; L is the loss.

    Raises
    ------
    DesignError
        If L is within `SURE` standard errors of zero, or if the lower limit of closed firms' gain
        on another platform is above 100 per cent of it.

    References
    ----------
    Fieller, E. C. (1954), Some problems in interval estimation, JRSS B 16, 175-185.
    """
    money = amounts(changes)
    lost = money["sum"]
    names = money.terms
    loss = float(lost.value[0])
    error = float(lost.std_error[0])
    if not loss > SURE * error:
        raise DesignError(
            f"cannot divide by the lost {changes.home} sales: the loss is within {SURE:g} standard"
            " errors of zero; use the amounts themselves or add closed firms"
        )
    whole = names.index("sum")
    share = money.delta_method(
        lambda x: dict(zip(names, 100 * x / x[whole], strict=True)),
        estimand="E4c",
        unit="per cent of the lost sales",
    )
    wide = stats.t.ppf((1 + money.level) / 2, share.df)
    joint = money.covariance
    limits = 100 * _fieller(money.value, loss, np.diag(joint), error**2, joint[:, whole], wide)
    limits = np.where(share.std_error <= 1e-9, share.value, limits)  # the sum has no error
    _refuse_more_than_all(changes, names, limits[0])
    return replace(share, limits=np.where(np.isnan(share.value), np.nan, limits))


def _refuse_more_than_all(changes: Changes, names: Sequence[str], low: Floats) -> None:
    """Raise DesignError if closed firms certainly gained more elsewhere than they lost."""
    for name, least in zip(names, low, strict=True):
        if name in changes.away and least > 100:
            raise DesignError(
                f"cannot share out the lost {changes.home} sales: closed firms gained at least"
                f" {least:,.0f} per cent of them on {name}; check the units of sales on both"
            )


def _fieller(
    amount: Floats,
    loss: float,
    var_amount: Floats,
    var_loss: float,
    covariance: Floats,
    wide: Floats,
) -> Floats:
    """Return Fieller limits for amount / loss.

    They are float64[2, term], and infinite if the set is not an interval.

    The set contains the ratios r with ``(amount - r loss)**2 <= wide**2 var(amount - r loss)``. It
    is an interval only if `loss` itself differs from zero by more than `wide` standard errors.
    """
    square = loss**2 - wide**2 * var_loss
    middle = amount * loss - wide**2 * covariance
    root = np.sqrt(np.maximum(middle**2 - square * (amount**2 - wide**2 * var_amount), 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.array([middle - root, middle + root]) / square
    return np.where(square > 0, ends, np.array([[-np.inf], [np.inf]]))


def where_it_went(shares: Estimate, words: Mapping[str, str], true: Mapping[str, float]) -> Any:
    """Return the rows of :func:`displacement` for a chart, with true values if known.

    A refusal is returned unchanged. Residuals are drawn as bounds, or left out if the panel has
    only the home platform, since they then cover everything else. `words` are the printed names of
    the parts; `true` maps ids to true values.
    """
    if shares.refused:
        return shares
    rows = shares.rows[shares.rows["term"].isin(words)]
    residual = rows["term"].isin(RESIDUALS)
    kept = rows["estimate"].notna() & ~(residual & np.isnan(shares["d6"].value[0]))
    rows = rows.assign(estimate=rows["estimate"].mask(residual), truth=rows["term"].map(true))[kept]
    return rows.replace({"term": dict(words)})


@cached_by_panel
@refusable
def displacement(panel: Panel, design: Design) -> Estimate:
    """Estimate the seven parts of closed firms' lost home sales, in per cent (E4c).

    All parts are changes relative to comparison firms, whose own change is zero by construction. An
    effect common to all firms, such as a gain in trust, is therefore only in the residual.

    Returns
    -------
    Estimate
        Per cent of L: "d1" to "d7" and "sum", as from :func:`shares_of_loss`. Refused if the
        comparison is not "low_exposure", if the loss is too uncertain, or as for
        :func:`analysis.estimands.changes.estimated`.
    """
    shares = shares_of_loss(_changes(panel, design, "displacement"))
    return replace(shares[PARTS], n=shares.counts["firms"])


@cached_by_panel
@refusable
def lost_sales(panel: Panel, design: Design) -> Estimate:
    """Estimate the parts of :func:`displacement` in units of sales.

    Returns
    -------
    Estimate
        As from :func:`amounts`, in thousands, millions or more, depending on the size of the loss.
        Refused as for :func:`displacement`, except that the loss may be uncertain.
    """
    changes = _changes(panel, design, "displacement")
    money = amounts(changes)
    digits = int(np.log10(max(abs(money["sum"].value[0]), 1.0)))
    power = min(max((digits - 1) // 3, 0), len(THOUSANDS) - 1)  # at least two before the point
    unit = f"{THOUSANDS[power]} {money.unit}".strip()
    scaled = money.delta_method(
        lambda x: dict(zip(money.terms, x / 1000**power, strict=True)),
        estimand=money.estimand,
        unit=unit,
    )
    return replace(scaled, n=changes.estimate.counts["firms"])


@cached_by_panel
@refusable
def moved_there(panel: Panel, design: Design) -> Estimate:
    """Estimate closed firms' gain in sales on the destinations.

    It is a percentage of their baseline home sales.

    Baseline sales are known and positive even in a year without closures, unlike the loss of
    :func:`displacement`. Refused as for :func:`lost_sales`, and if closed firms had sold nothing at
    home.
    """
    changes = _changes(panel, design, "the shift to the destinations")
    sample = design.sample(panel)
    sold = float(np.nansum(sample.sums[0, sample.closed, 0]))
    if not sold > 0:
        raise DesignError(
            f"closed firms sold nothing on {changes.home} from {sample.year_ago}; choose another"
            " window"
        )
    there = amounts(changes)["there"]
    share = there.delta_method(
        lambda x: {"there": 100 * x[0] / sold}, estimand="E4a", unit="per cent"
    )
    return replace(share, n=changes.estimate.counts["closed"])


@cached_by_panel
@refusable
def relocation(panel: Panel, design: Design) -> Estimate:
    """Estimate the share of closed firms' lost home sales that moved elsewhere (E4a).

    There is one share for each other platform.
    """
    require_other_platforms(panel, "the platform shift")
    shares = shares_of_loss(_changes(panel, design, "the platform shift"))
    return replace(
        shares[panel.platforms[1:]], estimand="E4a", n=shares.counts["closed"], reason=""
    )


def _changes(panel: Panel, design: Design, what: str, *, home: bool = False) -> Changes:
    require_low_exposure(design, what)
    return estimated(panel, design, home=home, in_part=True)


def proportional(sold: Floats, closed: Bools, of_origin: Bools) -> Floats:
    """Return the recapture implied by size alone, as a percentage of lost home sales, float64[2].

    The first element is for rivals of the origin, the second for other rivals: ``s_k / (1 - s_C)``,
    with s the shares of baseline home sales, float64[firm], and C the closed firms. It is computed
    from known sales, so it has no standard error.
    """
    left = sold * ~closed
    with np.errstate(invalid="ignore"):
        return np.asarray(
            100 * np.array([left[of_origin].sum(), left[~of_origin].sum()]) / left.sum()
        )


@cached_by_panel
@refusable
def recapture(panel: Panel, design: Design) -> Estimate:
    """Estimate the recapture of lost home sales by rivals of the origin and by other rivals (E4b).

    These are the first two parts of :func:`displacement`, estimated from home sales only.

    Returns
    -------
    Estimate
        Per cent of L: "own" and "other"; `benchmark`, from :func:`proportional`. Refused as for
        :func:`displacement`.
    """
    shares = shares_of_loss(_changes(panel, design, "displacement", home=True))[[*RIVALS]]
    sample = design.sample(panel)
    size = proportional(
        np.nansum(sample.home[:, sample.base], axis=1), sample.closed, sample.is_own
    )
    return replace(
        shares,
        estimand="E4b",
        terms=("own", "other"),
        n=shares.counts["firms"],
        reason=shares.reason if np.isnan(shares.value).any() else "",
        columns={**shares.columns, "benchmark": np.where(sample.is_own.all(), np.nan, size)},
    )


@cached_by_panel
@refusable
def excess_recapture(panel: Panel, design: Design) -> Estimate:
    """Estimate recapture in excess of the proportional benchmark (E4e).

    The excess is the part due to a shared origin rather than size. The benchmark has no error, so
    standard errors and covariance are those of :func:`recapture`. A panel with a single origin has
    no such benchmark, so the estimate is refused.
    """
    taken = recapture(panel, design).require()
    design.sample(panel).require_other_origins()  # without them the benchmark compares nothing
    size = np.asarray(taken.columns["benchmark"])
    shifted = {"value": taken.value - size, "limits": taken.conf_int - size}
    return replace(taken, estimand="E4e", unit="percentage points of the lost sales", **shifted)


def mix_change(after: Floats, before: Floats) -> Floats:
    """Return the change in each firm's platform shares, float64[firm, platform].

    It is in percentage points.

    It is NaN if the firm sold nothing in one of the windows.
    """
    sold = (amount.sum(axis=1, keepdims=True) for amount in (after, before))
    later, earlier = (np.where(total > 0, total, np.nan) for total in sold)
    return np.asarray(100 * (after / later - before / earlier))


@cached_by_panel
@refusable
def platform_mix(panel: Panel, design: Design) -> Estimate:
    """Estimate the change in closed firms' platform shares relative to low-exposure firms (E4d).

    The estimate is the mean over firms of the change in a platform's share of their sales, the
    average marginal effect of a saturated fractional logit. Firms that sold nothing in one of the
    windows have no share. Each firm is compared with low-exposure firms that sold on the same
    platforms before. A shock to one platform, such as a tax, changes only the shares of firms on
    it, and closed firms that go on selling are mostly on several. If no such firm sold on the same
    platforms, the comparison is with all of them.
    """
    require_other_platforms(panel, "the platform mix")
    require_low_exposure(design, "the platform shift")
    sample = design.sample(panel)
    return _mean_difference(
        sample, samples.with_mix(sample), mix_change(sample.sums[1], sample.sums[0]), "E4d"
    )


def _mean_difference(sample: Sample, firms: Masks, values: Floats, estimand: str) -> Estimate:
    """Return the mean difference in values[firm, platform] between closed and comparison firms.

    Firms are compared with those on the same set of platforms, or with all comparison firms if
    there are none.
    """
    mine = firms["closed"]
    theirs = firms["compared"]
    sold_on = (sample.panel.sales[:, :, sample.before] > 0).any(axis=2)
    kinds = pd.Index(
        np.unique((kind := sold_on @ 2 ** np.arange(len(sample.panel.platforms)))[mine])
    )
    # last: any other kind
    place = kinds.get_indexer(kind) % (len(kinds) + 1)
    size = int(sample.cluster.max()) + 1
    clusters = sample.clusters(mine)
    width = len(kinds) + 1

    def by_kind(rows: Floats, side: Bools) -> Floats:
        key = sample.cluster[side] * width + place[side]
        return sum_by(rows[side], key, size * width).reshape(size, width, *rows.shape[1:])

    def difference(total: Floats, held: Floats, base: Floats, of_base: Floats) -> Floats:
        everyone = (
            of_base.sum(axis=-2, keepdims=True) / base.sum(axis=-1)[..., np.newaxis, np.newaxis]
        )
        of_kind = np.where(base[..., np.newaxis] > 0, of_base / base[..., np.newaxis], everyone)
        expected = np.einsum("...k,...kp->...p", held, of_kind)
        return np.asarray((total - expected) / held.sum(axis=-1)[..., np.newaxis])

    total = sum_by(values[mine], sample.cluster[mine], size)
    one = np.ones(len(values))
    sides = by_kind(one, mine), by_kind(one, theirs), by_kind(values, theirs)
    mean, changed = without_each(difference, total, *sides)
    difference_of_means = Estimate(
        estimand=estimand,
        unit="percentage points",
        terms=sample.panel.platforms,
        value=mean,
        scores=jackknife.scores(changed, max(sample.clusters(mine | theirs), 1)),
        n=int(mine.sum()),
        max_df=jackknife.most_df(clusters),
        level=sample.design.level,
        interval=sample.interval(),
        reason=(
            "fewer than two clusters of closed or of low-exposure firms"
            if np.isnan(changed).any()
            else ""
        ),
    )
    return sample.mark(difference_of_means)


@cached_by_panel
@refusable
def toward_destinations(panel: Panel, design: Design) -> Estimate:
    """Estimate the shift of closed firms to the design's destinations, in presence and in sales.

    Returns
    -------
    Estimate
        "presence": change in closed firms' presence relative to low-exposure firms, mean over the
        destinations, percentage points; "sales": change in their sales there, per cent of their
        lost home sales as in :func:`shares_of_loss`, or the reason for its absence. Has a column
        `unit`; `n` is the number of closed firms. Refused if the panel has none of the
        destinations, or as for :func:`relocation`.
    """
    require_low_exposure(design, "the shift to the destinations")
    sample = design.sample(panel)
    there = [name for name in design.destinations if name in panel.platforms]
    if not there:
        raise DesignError(
            f"the panel covers {', '.join(panel.platforms)}, but not"
            f" {', '.join(design.destinations)}; add sales there or choose other destinations"
        )
    sales = refusable(lambda: shares_of_loss(estimated(panel, design, in_part=True))["there"])()
    if sales.refused:
        sales = replace(sales, unit="per cent of the lost sales")
    before, after = (
        (panel.sales[:, :, months] > 0).mean(axis=2) for months in (sample.before, sample.after)
    )
    change = _mean_difference(sample, samples.with_presence(sample), 100 * (after - before), "E4a")[
        there
    ]
    presence = change.delta_method(
        lambda x: {"presence": sum(x) / len(x)}, estimand="E4a", unit=change.unit
    )
    both = {"presence": presence, "sales": replace(sales, n=presence.n)}
    lacking = [effect.reason for effect in both.values() if np.isnan(effect.std_error[0])]
    stacked = stack_estimates(both, estimand="E4a", reason="; ".join(dict.fromkeys(lacking)))
    return sample.mark(stacked, interval=sample.interval("", *["mixed"] * (not sales.refused)))
