"""Effects on closed firms (E1): sales, damage and survival, with placebos and cross-checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd
from fewtreated.errors import DesignError
from fewtreated.estimate import Bools, Floats, Ints
from fewtreated.estimators.att_gt import GroupTime, att_gt
from fewtreated.estimators.cross_checks import imputation
from fewtreated.estimators.groups import Group
from fewtreated.estimators.power import minimum_detectable_effect
from fewtreated.estimators.rows import rows_by
from fewtreated.estimators.survival import exit_survival
from fewtreated.estimators.units import usable_units
from fewtreated.testing import romano_wolf

from analysis.estimands.design import (
    ASKED,
    COLUMNS,
    Comparison,
    Design,
    Sample,
    cached_by_panel,
    in_rows,
    refusable,
    require_low_exposure,
    require_other_platforms,
)
from analysis.estimands.samples import GAP, Cohort, cohorts, followed, strata
from analysis.estimate import Estimate, Result

if TYPE_CHECKING:
    from analysis.panel import Panel

Where = Literal["all", "home"]
ByWindow = Callable[[int, int], Mapping[str, float]]
HEADLINE: dict[Where, str] = {"all": "E1a", "home": "E1b"}
AGAINST: dict[Comparison, str] = {
    "low_exposure": "against sellers of low exposure",
    "spared_same_category": "against sellers not closed, same category",
    "not_yet_closed": "against sellers closed later",
}
"""Printed names of the comparisons."""

HORIZON = 12  # months over which survival is counted
FEWEST_EXITS = 5  # clusters of exiting closed firms below which months alive have no standard error
DRAWS = 199


def scope(panel: Panel) -> Where:
    """Return "home" if the panel has only the home platform, otherwise "all"."""
    if len(panel.platforms) > 1:
        return "all"
    return "home"


def sales_on(panel: Panel, where: Where) -> tuple[Floats, int]:
    """Return sales on the home platform or on all platforms, and the number of platforms.

    The shape of sales is [firm, month].

    Raise DesignError if all platforms are requested but the panel has only one.
    """
    if where == "home":
        return panel.sales[:, 0], 1
    require_other_platforms(panel, "closed firms' sales on all platforms")
    return panel.total(), len(panel.platforms)


@cached_by_panel
@refusable
def effect_on_closed(panel: Panel, design: Design, *, where: Where = "all") -> Estimate:
    """Estimate the effect of closures on closed firms' total sales (E1a) or home sales (E1b).

    The comparison is wave by wave among firms that sold something a year before the window: firms
    closed in the wave that still sold in the month before, against comparison firms that still sold
    in the month of the wave. Only a firm in business can be closed; firms that had stopped would
    lower the comparison ("immortal time"). Firms are compared within origin and, for
    "spared_same_category", within category. Comparison firms of that kind and those
    "not_yet_closed" also gain sales from closed firms, so the estimate is the effect of a firm's
    own closure, E1c, and is labelled E1c. Firms "not_yet_closed" must survive until their own
    closure, which makes them look better. Other differences of closed firms, such as size or the
    trend of their category, are not removed.

    Returns
    -------
    Estimate
        Per cent of the sales without closure. The interval uses Student's t; degrees of freedom are
        at most the clusters on the side with fewer, closed or compared with, less one. Counts:
        `newcomers_left_out` and `stopped_left_out`, closed firms that did not sell a year earlier,
        or in the month before their wave. Refused if the design selects no firms, there are fewer
        than two clusters of closed firms, or all platforms are requested of a panel with one.
    """
    sample = design.sample(panel)
    _, width = sales_on(panel, where)
    y = sample.means(width)
    in_business = cohorts(sample, width)
    answering = [cohort.of(sample.observed(width)) for cohort in in_business]
    closed = np.concatenate([cohort.closed for cohort in answering])
    if sample.clusters(closed) < 2:
        raise DesignError(
            f"cannot compute a standard error: closed firms with sales ({len(closed)}) form fewer"
            f" than two clusters by {design.cluster}; rank the closed firms among comparison firms"
            " instead"
        )
    name = effect_name(design, where)
    n = len(closed)
    if not y[closed, 1].any():
        why = (
            f"the {n:,} closed firms sold nothing in the window; a total loss has no standard error"
        )
        return sample.mark(without_error(-100.0, n, why), estimand=name)
    effect = sample.clustered(
        lambda code: group_time_effects(y, answering, sample, code, first=1, width=2).aggregate()
    )
    newcomers = int((sample.closed & (y[:, 0] <= 0)).sum())
    stopped = (
        int(sample.closed.sum()) - newcomers - sum(len(cohort.closed) for cohort in in_business)
    )
    counts = {**effect.counts, "newcomers_left_out": newcomers, "stopped_left_out": stopped}
    if np.isnan(effect.std_error[0]):
        why = "only one cluster of closed firms still sold: no standard error"
    else:
        why = ""
    return sample.mark(replace(effect, n=n, counts=counts, reason=why).exp(), estimand=name)


@cached_by_panel
@refusable
def own_closure(panel: Panel, design: Design) -> Estimate:
    """Estimate the effect of a firm's own closure, given the closures of its rivals (E1c)."""
    return effect_on_closed(panel, replace(design, comparison="spared_same_category")).require()


def effect_name(design: Design, where: Where) -> str:
    """Return the id of the effect, on home or total sales, that a design identifies."""
    if design.comparison == "low_exposure":
        return HEADLINE[where]
    return f"E1c, {where}"


def without_error(value: float, n: int, reason: str) -> Estimate:
    """Build an estimate, in per cent, without a standard error.

    `n` is the number of closed firms.
    """
    return Estimate(
        estimand="", unit="per cent", terms=("simple",), value=np.array([value]), n=n, reason=reason
    )


def group_time_effects(
    y: Floats,
    among: Sequence[Cohort],
    sample: Sample,
    cluster: Ints,
    *,
    first: int,
    width: int,
    anticipation: int = 0,
) -> GroupTime:
    """Compare closed firms with comparison firms by cohort, within the design's strata.

    Parameters
    ----------
    y : float64[firm, period]
        Without missing values where it is used.
    among : sequence of Cohort
    sample : Sample
    cluster : int64[firm]
    first, width : int
        Number of periods of a cohort before its closure, and in all. If `y` has exactly `width`
        periods, every cohort uses them; otherwise periods are months, and those of a cohort begin
        `first` months before its closure.
    """
    within = strata(sample)
    groups = []
    used = np.zeros(len(y), dtype=bool)
    for cohort in among:
        if y.shape[1] == width:
            start = 0
        else:
            start = cohort.month - first
        used[cohort.firms] = True
        for firms, closure in ((cohort.closed, float(first)), (cohort.others, np.inf)):
            for rows in rows_by(within[firms]) if len(firms) else ():
                groups.append(
                    Group(firms[rows], closure, (within[firms[rows[0]]], cohort.month), start)
                )
    return GroupTime(
        y=y,
        groups=groups,
        width=width,
        scale="ratio",
        anticipation=anticipation,
        cluster=cluster,
        labels=np.arange(int(cluster.max()) + 1),
        counts={"units": int(used.sum()), "treated": sum(len(cohort.closed) for cohort in among)},
    )


def mechanical_loss(dose: Floats, months_closed: Floats, home: Floats, everywhere: Floats) -> float:
    """Return the sales of closed accounts as a percentage of closed firms' total sales.

    The closed part (dose) of baseline home sales, times the share of the window in which the firm
    is closed. This is a property of the firms, without sampling error. All arguments are
    float64[firm].
    """
    if everywhere.sum():
        return float(100 * (dose * months_closed * home).sum() / everywhere.sum())
    return np.nan


@cached_by_panel
@refusable
def damage_multiple(panel: Panel, design: Design) -> Estimate:
    """Estimate the ratio of the loss on all platforms to the mechanical loss (E1e).

    The mechanical loss is the sales of the closed accounts.

    Returns
    -------
    Estimate
        A ratio: 1 is the mechanical loss, more is damage beyond it. ``details``: `mechanical_loss`,
        per cent. Refused as for :func:`effect_on_closed`, and if doses are unknown or closed firms
        sold nothing at home.
    """
    if panel.no_dose:
        raise DesignError(f"cannot separate the sales of the closed accounts: {panel.no_dose}")
    loss = effect_on_closed(panel, design).require()
    sample = design.sample(panel)
    base = panel.sales[:, :, sample.base]
    firms = sample.closed & ~np.isnan(base).any(axis=(1, 2))
    sold = base[firms].sum(axis=2)
    dose = panel.firms["dose"].to_numpy(float)[firms]
    mechanical = mechanical_loss(dose, sample.months_closed[firms], sold[:, 0], sold.sum(axis=1))
    if not mechanical > 0:
        raise DesignError(
            f"cannot compute the mechanical loss: the {firms.sum()} closed firms sold nothing on"
            f" {panel.platforms[0]} in the {design.base_months} base months; choose a longer base"
            " period"
        )
    return loss.delta_method(
        lambda x: {"damage multiple": -x[0] / mechanical},
        estimand=f"E1e, from {loss.estimand}",
        unit="ratio",
        limits=-loss.conf_int[::-1] / mechanical,
        details={"mechanical_loss": mechanical},
    )


@cached_by_panel
@refusable
def months_alive(panel: Panel, design: Design) -> Estimate:
    """Estimate the effect of closure on months of survival, out of twelve (E1d).

    Firms survive until they sell nothing on any platform for three months. They are compared within
    origin, wave by wave, with firms that sold at least as much in the base months as the tenth
    percentile of closed firms, because small firms give up sooner.

    Returns
    -------
    Estimate
        Months: ``"treated"``, ``"comparison"``, ``"difference"``; `n` is the number of closed
        firms. There is no standard error if closed firms exit in fewer than `FEWEST_EXITS` clusters
        of the kind with the larger errors, since with no exits nothing would seem to vary. Refused
        if the comparison firms are not yet closed, if the panel has only one platform, so that a
        firm that moves elsewhere seems to exit, or as for
        :func:`fewtreated.estimators.survival.exit_survival`.
    """
    require_other_platforms(panel, "survival on any platform")
    if design.comparison == "not_yet_closed":
        raise DesignError(
            "cannot estimate survival relative to firms closed later; use comparison='low_exposure'"
        )
    sample = design.sample(panel)
    starting, _ = followed(sample)
    firm = np.concatenate([cohort.firms for cohort in starting])

    starts = np.repeat(
        [cohort.month for cohort in starting], [len(cohort.firms) for cohort in starting]
    )
    same = {"rows": firm, "strata": sample.origin[firm], "gap": GAP, "horizon": HORIZON}
    survival = partial(exit_survival, panel.total(), starts, sample.closed[firm], **same)
    lives = sample.clustered(lambda code: survival(cluster=code[firm]))
    unsure = dict[str, Any]()
    units = lives.details["units"]
    exits = units.loc[units["treated"] & units["exited"], "cluster"].nunique()
    if exits < FEWEST_EXITS:
        unsure["covariance"] = np.where(
            np.array(lives.terms) == "comparison", lives.covariance, np.nan
        )
        unsure["reason"] = (
            f"too few clusters with an exit: {exits}; an interval needs at least {FEWEST_EXITS}"
        )
    months = f"{HORIZON} months since closure"
    return sample.mark(lives, n=lives.n[0], months=months, details={}, **unsure)


def comparisons(
    panel: Panel, design: Design, truth: ByWindow | None = None, *, where: Where = "all"
) -> pd.DataFrame:
    """Estimate the effect on closed firms relative to each comparison group, in two windows.

    Firms not yet closed are available only until shortly before the last wave. The second window is
    the longest that they allow, with the firms closed by its end.

    Parameters
    ----------
    panel, design
    truth : callable, optional
        Returns the true E1a and E1c of the firms closed by the end of a window, given its first and
        last month.
    where : {"all", "home"}

    Returns
    -------
    DataFrame
        Rows as from :func:`analysis.estimands.catalogue.estimate_all`, with `comparison`, `window`
        and `truth`. E1c comes from comparison firms that gain demand themselves; `n` is the number
        of closed firms.
    """
    first = panel.first_treated(cut=design.cut)
    closures = first[np.isfinite(first)]
    if len(closures):
        longest = int(np.ptp(closures)) - design.anticipation - 1
    else:
        longest = -1
    windows = [(design.post_from, design.post_to), *([(0, longest)] if longest >= 0 else [])]
    parts = list[tuple[str, str, Estimate]]()
    columns = list[dict[str, Any]]()
    for start, end in windows:
        if truth:
            true = truth(start, end)
        else:
            true = {}
        if start == end:
            window = f"month {start}"
        else:
            window = f"months {start} to {end}"
        for name in get_args(Comparison):
            varied = replace(design, comparison=name, post_from=start, post_to=end)
            effect = effect_name(varied, where).removesuffix(", all")
            against = effect_on_closed(panel, varied, where=where)["simple"]
            parts.append((effect, f"against {name.replace('_', ' ')}", against))
            columns.append(
                {"comparison": name, "window": window, "truth": true.get(effect, np.nan)}
            )
    return in_rows(parts, "per cent").assign(**pd.DataFrame(columns))


@cached_by_panel
@refusable
def placebo(panel: Panel, design: Design, *, where: Where = "all") -> Estimate:
    """Estimate a placebo effect, with closures dated a year early.

    The panel is cut off before the real closures. Closed firms were selected at the real closure,
    so they had survived until then. Hence the placebo uses firms that sold something in the month
    before the first wave and already existed at the start of the early base. Newcomers grow
    manyfold in the placebo year, and their growth is related to whether they were closed: with
    them, the placebo finds a fall even in simulated markets that have none.

    Returns
    -------
    Estimate
        As from :func:`effect_on_closed`; only chance and diverging paths move it from zero. Also
        refused if the panel does not reach back far enough.
    """
    sample = design.sample(panel)
    gone, newcomer = (
        sample.stopped[:, month] for month in (sample.base.stop - 1, max(sample.base.start - 12, 0))
    )
    early = effect_on_closed(*a_year_early(panel, design, ~gone & ~newcomer), where=where).require()
    return replace(early, estimand=f"{HEADLINE[where]}, a year before", digest=panel.digest)


def a_year_early(panel: Panel, design: Design, firms: Bools) -> tuple[Panel, Design]:
    """Return a panel of the given firms with closures dated a year early, and its design.

    The panel ends before the real closures. The window of the design covers the same months a year
    early, even if no firm of the first wave is left.

    Raises
    ------
    DesignError
        If the panel does not reach back far enough.
    """
    sample = design.sample(panel)
    if sample.no_placebo:
        raise DesignError(
            f"a placebo a year early needs {12 + design.base_months} months before the first wave"
            f" and sales two years before the window, but the panel starts in {panel.months[0]};"
            " narrow the window or add earlier months"
        )
    end = sample.base.stop - design.anticipation
    dated = panel.firms["closed_on"] - pd.DateOffset(years=1)
    kept = (
        firms & ~(dated < panel.months[0].to_timestamp()).to_numpy()
    )  # closed in part long before the first wave
    early = panel.firms.assign(closed_on=dated)[kept]
    shifted = replace(
        panel, sales=panel.sales[kept][:, :, :end], firms=early, months=panel.months[:end]
    )
    left = shifted.first_treated(cut=design.cut)
    if np.isfinite(left).any():
        late = int(left.min()) + 12 - sample.base.stop
    else:
        late = 0
    return shifted, replace(
        design, post_from=design.post_from - late, post_to=design.post_to - late
    )


def mechanical(rows: pd.DataFrame, multiple: Estimate) -> pd.DataFrame:
    """Select the rows of E1a and E1e, and prepend a row for the mechanical loss."""
    rows = rows[rows["id"].isin(["E1a", "E1e"])]
    if multiple.refused:
        return rows
    loss = rows.iloc[-1][ASKED].to_dict() | {
        "df": np.nan,
        "level": np.nan,
        "interval": "",
    }  # it has no standard error
    loss |= {
        "id": "mechanical",
        "label": "the closed accounts' own sales",
        "unit": "per cent",
        "reason": "",
    }
    loss["estimate"] = -multiple.details["mechanical_loss"]
    return pd.concat([pd.DataFrame([loss]), rows], ignore_index=True)[COLUMNS + ASKED]


@refusable
def family(effects: Mapping[str, Estimate]) -> pd.DataFrame:
    """Test several effects against zero with family-wise error control (Romano and Wolf).

    Parameters
    ----------
    effects : mapping of str to Estimate
        One-term effects by id; those without a standard error are left out. Percentages are tested
        in log points.

    Returns
    -------
    DataFrame
        `id` and the columns of :func:`fewtreated.testing.romano_wolf`; refused if no effect has a
        standard error.
    """
    tested = {name: effect for name, effect in effects.items() if np.isfinite(effect.std_error[0])}
    if not tested:
        raise DesignError(
            f"cannot test {', '.join(effects)}: none has a standard error; add an effect that"
            " has one"
        )
    scored = [
        effect if effect.unit != "per cent" else _in_logs(effect) for effect in tested.values()
    ]
    scores = [pd.Series(effect.scores[:, 0], index=effect.clusters) for effect in scored]
    joint = (
        pd.concat(scores, axis=1).fillna(0.0).to_numpy()
    )  # an effect does not depend on clusters outside its sample
    df = np.array([effect.df[0] for effect in scored])
    # errors may be clustered in more ways than scores, which tell the correlations
    error = np.array([effect.std_error[0] for effect in scored])
    scaled = joint * error / np.sqrt((joint**2).sum(axis=0))
    tests = romano_wolf(np.array([effect.value[0] for effect in scored]), scaled.T @ scaled, df=df)
    return tests.assign(id=list(tested))


def _in_logs(effect: Estimate) -> Estimate:
    return effect.delta_method(
        lambda x: {"simple": np.log(1 + x[0] / 100)}, estimand="", unit="log points"
    )


def _brand_groups(sample: Sample) -> pd.DataFrame:
    """Sum sales before and in the window over the brand groups that placebo closures may hit.

    Firms not closed in a closed group form their own unit.
    """
    panel = sample.panel
    y = sample.means(len(panel.platforms))
    used = sample.closed | sample.comparison
    used = used & np.isfinite(y).all(axis=1) & ~sample.stopped[:, sample.base.stop - 1]
    firms = pd.DataFrame({"origin": sample.origin, "group": panel.codes("brand_group")[0]})[used]
    firms = firms.assign(closed=sample.closed[used], before=y[used, 0], after=y[used, 1])
    by_group = firms.groupby(["origin", "group", "closed"], sort=True)[["before", "after"]]
    groups = by_group.sum().query("before > 0").reset_index()
    return groups[groups["origin"].isin(groups.loc[groups["closed"], "origin"])]


@cached_by_panel
@refusable
def smallest_effect(panel: Panel, design: Design, *, draws: int = DRAWS) -> Estimate:
    """Estimate the minimum detectable effect on closed firms' sales (E1a) from placebo closures.

    Sales are summed over brand groups, which are closed together, on all platforms, or at home if
    the panel has only one platform (E1b), in the window and a year earlier. Each draw treats as
    closed as many comparison groups as were closed, of the same origin and size (above or below the
    median closed group; of the same origin only, if these are too few). They are compared with the
    rest as in :func:`effect_on_closed`, ignoring waves. So no distribution of sales is assumed, and
    the real effect is not used. Groups must have sold something a year before the window, and in
    the last month before the first wave.

    Returns
    -------
    Estimate
        Per cent: "fall", with a test of the right size on this panel, and "fall, usual", with
        intervals clustered by brand group alone, each detected with a power of 80 per cent; "size,
        usual", the percentage of draws in which these intervals find an effect although there is
        none. Reported intervals are clustered by category too, if the design says so. Standard
        errors are Monte Carlo errors; `n` is the number of draws. ``details["within"]``: the traits
        that placebo closures share with the real ones, "origin and size" or "origin". Refused as
        for :func:`fewtreated.estimators.power.minimum_detectable_effect`, or if no closed group
        sold.
    """
    sample = design.sample(panel)
    groups = _brand_groups(sample)
    closed = groups["closed"].to_numpy()
    origin = groups["origin"].to_numpy()
    if not closed.any():
        raise DesignError(
            "cannot draw placebo closures: no closed group had sales a year earlier; widen the"
            " window"
        )
    large = (groups["before"] >= groups.loc[groups["closed"], "before"].median()).to_numpy()

    def estimator(sales: Floats, first: Floats, rows: Ints) -> Result:
        return att_gt(sales, first, scale="ratio", strata=origin[rows]).aggregate()

    y = groups[["before", "after"]].to_numpy(float)
    first = np.where(closed, 1.0, np.inf)
    by_strata = partial(
        minimum_detectable_effect, y, first, level=design.level, estimator=estimator, draws=draws
    )
    smallest = refusable(by_strata)(strata=2 * origin + large)
    within = "origin and size"
    if smallest.refused:
        smallest = by_strata(strata=origin)
        within = "origin"

    def per_cent(x: Any) -> Any:
        return np.concatenate([-100 * np.expm1(-x[:2]), 100 * x[2:]])

    turned = smallest.delta_method(
        lambda x: dict(zip(smallest.terms, per_cent(x), strict=True)),
        estimand=f"{HEADLINE[scope(panel)]}, smallest effect seen",
        unit="per cent",
        limits=np.array([per_cent(ends) for ends in smallest.conf_int]),
        details={**smallest.details, "within": within},
    )
    return sample.mark(turned)


# Another estimator for the same firms, on the same scale


def _stacked(sample: Sample, width: int) -> tuple[Ints, Ints]:
    """Stack the firms of E1a or E1b by cohort: the firm of each row, and its origin and cohort.

    Within a cohort, origins without both closed and comparison firms are dropped.
    """
    among = [cohort.of(sample.observed(width)) for cohort in cohorts(sample, width)]
    rows = pd.DataFrame({"firm": np.concatenate([cohort.firms for cohort in among])})
    month = np.repeat([cohort.month for cohort in among], [len(cohort.firms) for cohort in among])
    rows["closed"] = sample.closed[rows["firm"]]
    months = len(sample.panel.months)
    rows["within"] = pd.factorize(sample.origin[rows["firm"]] * months + month)[0]
    both = rows.groupby("within")["closed"].transform("nunique") == 2
    if not both.any():
        raise DesignError(
            f"found {rows['closed'].sum()} closed and {(~rows['closed']).sum()} comparison firms"
            " with sales, but no pair from the same origin and wave; widen the comparison"
        )
    return rows["firm"][both].to_numpy(), rows["within"][both].to_numpy()


@cached_by_panel
@refusable
def imputed_effect(panel: Panel, design: Design, *, where: Where = "all") -> Estimate:
    """Estimate E1a or E1b by imputation.

    Sales without closures are imputed from firm effects, and from month effects by origin and wave.
    The fit uses the months before anticipation begins and those of the window, but not the months
    between. A firm's outcome is its sales relative to the first window, and its weight is its
    monthly sales in that window. So the weighted mean over closed firms is the ratio of their sums,
    as in E1a.

    Returns
    -------
    Estimate
        As from :func:`effect_on_closed`; ``details["months"]``: the months of the fit, as text.
        Refused if the comparison firms are not of low exposure, none is left, or as for
        :func:`fewtreated.estimators.cross_checks.imputation`.
    """
    require_low_exposure(design, "the effect by other estimators")
    sample = design.sample(panel)
    sales, width = sales_on(panel, where)
    firm, within = _stacked(sample, width)
    fitted = slice(
        min(sample.base.start, sample.before.start), sample.base.stop - design.anticipation
    )
    before = sample.means(width)[firm, 0]
    y = np.column_stack([sales[firm, fitted], sales[firm, sample.after]]) / before[:, np.newaxis]
    first = np.where(sample.closed[firm], float(fitted.stop - fitted.start), np.inf)
    units = usable_units(
        y, first, scale="ratio", weights=before, cluster=sample.cluster[firm], strata=within
    )
    effect = sample.mark(
        imputation(units).at(design.level),
        estimand=f"{HEADLINE[where]}, imputed",
        interval=sample.interval(),
    )
    return replace(effect.exp(), details={"months": sample.months(fitted)})


def cross_checks(panel: Panel, design: Design, *, where: Where = "all") -> pd.DataFrame:
    """Tabulate estimates of E1a or E1b by two methods: a ratio of sums and imputation."""
    ratio = effect_on_closed(panel, design, where=where)
    imputed = imputed_effect(panel, design, where=where)
    how = "imputed"
    if imputed.details:
        how += f", from {imputed.details['months']}"
    name = ratio.estimand or HEADLINE[where]
    rows = [(name, "ratio of sums", ratio["simple"]), (name, how, imputed["simple"])]
    return in_rows(rows, "per cent")
