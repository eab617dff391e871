"""Effects on firms that were never closed, by exposure (E2) and by risk (E5b).

None of them includes an effect common to all firms regardless of exposure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from fewtreated.errors import DesignError, whole_number
from fewtreated.estimate import Bools, Floats, Ints
from fewtreated.estimators.att_gt import att_gt
from fewtreated.estimators.exposure import BINS, PER, exposure_effects
from fewtreated.testing import redraw_closures
from scipy import sparse

from analysis.estimands.design import Design, Sample, cached_by_panel, over_years, refusable
from analysis.estimands.samples import HIGH_RISK, incumbents, suspects
from analysis.estimate import Estimate

if TYPE_CHECKING:
    from analysis.panel import Panel

# halvings of the upper tail by size and by risk: down to the largest 1/64, the riskiest 1/8
SIZES = 6
RISKS = 3
DRAWS = 299
E2 = {True: "E2a", False: "E2b"}  # by whether firms are of the origin


@cached_by_panel
@refusable
def recentred(panel: Panel, design: Design, *, own_origin: bool = True) -> Estimate:
    """Estimate the effect of exposure on the home sales of firms that were not closed (E2a or E2b).

    It shows only effects that vary with exposure, not those common to all firms. The firms are
    those of :func:`analysis.estimands.samples.incumbents`, clustered by category because exposure
    is shared within it.

    A category with many firms of the kind that was closed was likely to lose one. The plain slope
    includes whatever such categories would have done anyway. The slope on exposure less its
    expectation, "recentred slope", does not (Borusyak and Hull 2023); the expectation is that of
    :class:`RedrawnExposure`.

    Parameters
    ----------
    panel, design
        The design's windows, base months and level are used.
    own_origin : bool
        Whether to use firms of the design's origin (E2a) or all others (E2b).

    Returns
    -------
    Estimate
        Per cent, transformed from log points with its interval: bins, both slopes per ten points of
        exposure, average. Refused if there are no such firms or their exposure does not vary.
    """
    sample, firms = rivals_of_closed(panel, design, own_origin)
    return _spillover(
        sample, firms, E2[own_origin], expected=RedrawnExposure(sample, firms).expected
    )


def _spillover(
    sample: Sample,
    firms: Bools,
    name: str,
    *,
    windows: Sequence[slice] = (),
    exposure: Any = None,
    **options: Any,
) -> Estimate:
    """Estimate the effect of exposure on the given firms, in per cent.

    `windows` and `exposure` replace those of the sample.
    """
    before, after = over_years(sample.home[firms], *(windows or (sample.before, sample.after)))
    category = sample.category[firms]
    level = sample.design.level
    if exposure is None:
        exposure = sample.exposure[firms]
    effects = exposure_effects(before, after, exposure, category=category, level=level, **options)
    return sample.mark(effects.exp(), estimand=name, interval=sample.interval("category"))


def rivals_of_closed(panel: Panel, design: Design, own_origin: bool) -> tuple[Sample, Bools]:
    """Select the sample and the rivals of closed firms, from the design's origin or from others.

    The rivals are :func:`analysis.estimands.samples.incumbents`.
    """
    sample = design.sample(panel)
    firms = incumbents(sample, sample.of_origin(own_origin))
    if not firms.any():
        raise DesignError(
            f"{sample.never_closed.sum()} firms were never closed, but none"
            f" {'from' if own_origin else 'outside'} origin {sample.design.origin} sold in the"
            " first and last base months; choose other base months"
        )
    return sample, firms


@cached_by_panel
@refusable
def dose_response(panel: Panel, design: Design, *, own_origin: bool = True) -> Estimate:
    """Estimate E2a or E2b by exposure bin.

    Returns
    -------
    Estimate
        Per cent, relative to firms in the lowest bin: one row per bin with firms in at least two
        categories, in order. Further columns: `id` of its true value; `exposure` and `lowest`, mean
        exposure in the bin and in the lowest one, weighted by sales before; `clusters`, its
        categories. Refused as for :func:`recentred`, and if no bin has two usable categories.
    """
    effects = recentred(panel, design, own_origin=own_origin).require()
    kept = np.flatnonzero(effects.std_error[: len(BINS)] > 0)
    if not len(kept):
        raise DesignError(
            f"no bin above an exposure of {BINS[0]:g} has two usable categories; use the slope"
            " instead"
        )
    family = effects[[effects.terms[bin_] for bin_ in kept]]
    exposure = _mean_exposure(*rivals_of_closed(panel, design, own_origin))
    columns = {
        "id": [f"{effects.estimand}_bin{bin_ + 1}" for bin_ in kept],
        "exposure": exposure[kept + 1],
        "lowest": np.full(len(kept), exposure[0]),
        "clusters": family.columns["clusters"],
    }
    return replace(family, columns=columns, reason="", details={})


def slope_lines(bins: pd.DataFrame, slopes: pd.DataFrame) -> pd.DataFrame:
    """Return fitted effects by exposure, for plotting alongside effects by bin.

    Effects are relative to the lowest bin.

    Parameters
    ----------
    bins, slopes : DataFrame
        Rows of :func:`dose_response`, and rows "slope" in per cent per ten points; `origin` matches
        the two.

    Returns
    -------
    DataFrame
        `origin`, `exposure` from the lowest to the highest mean, `estimate`, `conf_low`,
        `conf_high`, per cent.
    """
    reach = bins.groupby("origin", sort=False).agg(low=("lowest", "min"), high=("exposure", "max"))
    drawn = []
    for row in slopes[slopes["origin"].isin(reach.index)].to_dict("records"):
        low, high = reach.loc[row["origin"]]
        line = pd.DataFrame({"origin": row["origin"], "exposure": np.linspace(low, high, 40)})
        steps = (line["exposure"] - low) / PER
        ends = ("estimate", "conf_low", "conf_high")
        drawn.append(
            line.assign(
                **{name: 100 * np.expm1(steps * np.log1p(row[name] / 100)) for name in ends}
            )
        )
    return pd.concat(drawn, ignore_index=True)


@cached_by_panel
@refusable
def chilling(panel: Panel, design: Design) -> Estimate:
    """Estimate the effect of the news on home sales of suspect firms never closed (E5b).

    The sample is low-exposure firms, never closed, that sold a year before the window and in the
    last month before the first wave. Those with a risk above `HIGH_RISK` are compared with the rest
    within origin, after against before, on the ratio scale. Such firms gain no demand from closed
    ones, so the difference is the effect of the news, if both would have grown equally.

    Returns
    -------
    Estimate
        Per cent: "chilling"; `n` is the number of suspect firms. Refused if risk is unknown, or
        either side has fewer than two clusters.
    """
    sample = design.sample(panel)
    require_known_risk(panel)
    firms = suspects(sample)
    suspect = firms["asked about"]
    used = firms["asked about"] | firms["compared"]
    sides = [sample.clusters(firms[side]) for side in ("asked about", "compared")]
    if min(sides) < 2:
        raise DesignError(
            f"too few clusters: {sides[0]} of suspect firms (risk above {HIGH_RISK:g}, exposure"
            f" below {design.low:g}) and {sides[1]} of comparison firms from the same origins, but"
            " two of each are needed; rescale risk"
        )
    y = sample.means(1)[used]
    first = np.where(suspect[used], 1.0, np.inf)
    code = sample.cluster[used]
    strata = sample.origin[used]
    effects = att_gt(y, first, scale="ratio", cluster=code, strata=strata)
    effect = effects.aggregate().at(design.level).exp()
    n = int(suspect.sum())
    return sample.mark(effect, estimand="E5b", terms=("chilling",), n=n, interval=sample.interval())


def require_known_risk(panel: Panel) -> None:
    """Raise DesignError if the risk of all firms is unknown."""
    if panel.firms["risk"].isna().all():
        raise DesignError(
            "cannot separate inherited demand from chilling: risk is unknown for all"
            f" {len(panel.firms)} firms; supply it"
        )


@cached_by_panel
@refusable
def with_risk(panel: Panel, design: Design, *, own_origin: bool = True) -> Estimate:
    """Estimate the slopes on exposure and on risk jointly.

    Returns
    -------
    Estimate
        As from :func:`recentred`, with the row "risk": per cent per standard deviation of risk
        among the firms. Also refused if risk is unknown or the same for all firms.
    """
    sample, firms = rivals_of_closed(panel, design, own_origin)
    require_known_risk(panel)
    risk = panel.firms["risk"].to_numpy(float)[firms]
    if not (spread := float(pd.Series(risk).std(ddof=0))) > 0:
        raise DesignError(f"risk does not vary among the {firms.sum()} firms; use exposure alone")
    return _spillover(sample, firms, E2[own_origin], covariates={"risk": risk / spread})


@cached_by_panel
@refusable
def year_before(panel: Panel, design: Design, *, own_origin: bool = True) -> Estimate:
    """Estimate a placebo slope of E2, with both windows moved back by a year.

    Returns
    -------
    Estimate
        As from :func:`recentred`; there were no closures yet, so any slope is a difference in
        trends. Also refused if the panel does not reach back that far.
    """
    sample, firms = rivals_of_closed(panel, design, own_origin)
    windows = sample.two_years_ago("a placebo a year earlier"), sample.before
    return _spillover(sample, firms, "placebo, a year before", windows=windows)


class RedrawnExposure:
    """Iterable of exposures under redrawn closures, float64[firm]; NaN for firms drawn as closed.

    Brand groups are permuted within strata of origin, size of home sales in the base months (the
    upper half, quarter and so on of the origin) and risk (likewise; unknown risk is a stratum). A
    group takes over the closure dates and the closed share of another, so each draw has the actual
    waves. Only groups with home sales in the base months are permuted.
    """

    def __init__(self, sample: Sample, firms: Bools, *, draws: int = DRAWS, seed: int = 0) -> None:
        """Prepare to redraw the exposure of the given firms, bool[firm].

        `stratum` is -1 for groups that are not permuted.
        """
        panel = sample.panel
        sold = np.nansum(sample.home[:, sample.base], axis=1)
        group, names = panel.codes("brand_group")
        volume = np.bincount(group, weights=sold).astype(float)
        shut = np.bincount(group, weights=sold * sample.months_closed)
        order = np.lexsort(
            [panel.codes("id")[0], -sold]
        )  # ties, such as groups without sales, by name
        largest = order[
            np.unique(group[order], return_index=True)[1]
        ]  # the firm that represents its group
        origin = sample.origin[largest]
        risk = panel.firms["risk"].to_numpy(float)[largest]
        sizes = _halvings(volume, origin, SIZES)
        risks = _halvings(risk, origin, RISKS)
        strata = pd.factorize((origin * (SIZES + 2) + sizes + 1) * (RISKS + 2) + risks + 1)[0]
        share = np.nan_to_num(panel.base_share(base=sample.base))
        shape = (len(names), int(sample.category.max()) + 1)
        self.closed = np.divide(
            shut, volume, out=np.zeros(len(volume)), where=volume > 0
        )  # share of each group
        self.stratum = np.where(volume > 0, strata, -1)
        self.held = sparse.coo_array((share, (group, sample.category)), shape=shape).tocsr()
        self.group = group[firms]
        self.category = sample.category[firms]
        self.draws = whole_number("draws", draws)
        self.seed = seed

    @cached_property
    def redrawn(self) -> sparse.csr_array:
        """Closed share of each group by draw, sparse float64[draw, group].

        Raises DesignError if groups do not differ within any stratum.
        """
        took = np.flatnonzero(self.stratum >= 0)
        rng = np.random.default_rng(self.seed)
        drawn = redraw_closures(self.closed[took], self.stratum[took], rng, self.draws)
        return sparse.csr_array(
            (drawn.data, took[drawn.indices], drawn.indptr), shape=(self.draws, len(self.closed))
        )

    def __iter__(self) -> Iterator[Floats]:
        for drawn in self.redrawn:
            closed = drawn.toarray().ravel()
            yield np.where((closed > 0)[self.group], np.nan, (closed @ self.held)[self.category])

    @property
    def expected(self) -> Floats:
        """Expected exposure of each firm given that it stays open, float64[firm].

        It is the exact mean over all draws in which the firm stays open. The expected closed share
        of a group is the mean over its stratum; given that another group of the stratum stays open,
        it is n / (n - 1) times that.
        """
        stratum = self.stratum + 1
        size = np.bincount(self.stratum + 1)
        mean = np.divide(
            np.bincount(stratum, weights=self.closed), size, out=np.zeros(len(size)), where=size > 0
        )
        mean[0] = 0.0  # never closed
        more = mean / np.maximum(size - 1, 1)
        member = sparse.coo_array((np.ones(len(stratum)), (stratum, np.arange(len(stratum)))))
        of_stratum = (member.tocsr() @ self.held).toarray()
        held = np.asarray(self.held[self.group, self.category]).ravel()
        stratum_of = stratum[self.group]
        usual = (mean[stratum] @ self.held)[self.category]
        beyond = more[stratum_of] * (of_stratum[stratum_of, self.category] - held)
        return np.asarray(usual - mean[stratum_of] * held + beyond)


@cached_by_panel
@refusable
def randomization_test(
    panel: Panel, design: Design, *, own_origin: bool = True, draws: int = DRAWS, seed: int = 0
) -> Estimate:
    """Test E2 by randomisation inference.

    Exposure is redrawn by :class:`RedrawnExposure`.

    Returns
    -------
    Estimate
        The rows "slope" and "recentred slope" of :func:`recentred`, with `p_value` over draws and
        `smallest_p`; ``details["statistics"]`` contains the t statistics, the actual one first. The
        recentred slope subtracts the expected exposure of a firm's category, which removes a trend
        of categories with many suspect firms.
    """
    sample, firms = rivals_of_closed(panel, design, own_origin)
    redrawn = RedrawnExposure(sample, firms, draws=draws, seed=seed)
    effects = _spillover(sample, firms, E2[own_origin], expected=redrawn.expected, redrawn=redrawn)
    return effects[["slope", "recentred slope"]]


@cached_by_panel
@refusable
def spared_categories(panel: Panel, design: Design, *, own_origin: bool = True) -> Estimate:
    """Estimate a placebo slope on expected exposure in categories without closures.

    Categories with firms of the kind that was closed were more likely to lose one
    (:class:`RedrawnExposure`). If none was closed, a slope on expected exposure is a trend of such
    categories, not a spillover.

    Returns
    -------
    Estimate
        As from :func:`recentred`, per ten points of expected exposure. Also refused if fewer than
        two categories had no closures.
    """
    sample, firms = rivals_of_closed(panel, design, own_origin)
    lost = sample.closed | (np.nan_to_num(sample.exposure) > 0)
    hit = (np.bincount(sample.category, weights=lost) > 0)[sample.category]
    if (count := len(np.unique(sample.category[firms & ~hit]))) < 2:
        raise DesignError(
            f"only {count} of {len(np.unique(sample.category))} categories had no closures, but a"
            " placebo needs two; use the placebo a year earlier"
        )
    expected = RedrawnExposure(sample, firms).expected[~hit[firms]]
    return _spillover(
        sample, firms & ~hit, "placebo, categories without closures", exposure=expected
    )


def _halvings(values: Floats, origin: Ints, most: int) -> Ints:
    """Count how often an origin's upper tail can be halved and still contain each value.

    The count is at most `most`, and -1 if the value is unknown.
    """
    of_origin = pd.Series(values).groupby(origin)
    above = (of_origin.rank(ascending=False, method="first") - 0.5) / of_origin.transform("count")
    return np.asarray(np.floor(-np.log2(above)).clip(upper=most).fillna(-1), dtype=np.int64)


def _mean_exposure(sample: Sample, firms: Bools) -> Floats:
    """Return mean exposure by bin, weighted by baseline sales.

    The result is float64[bin], NaN for bins without sales.
    """
    exposure = sample.exposure[firms]
    before, after = sample.sums[:, firms, 0]
    weight = np.where(np.isfinite(before + after + exposure), before, 0.0)
    amounts = (weight, np.nan_to_num(exposure) * weight)
    bins = np.digitize(exposure, BINS)
    sold, held = (
        np.bincount(bins, weights=amount, minlength=len(BINS) + 1).astype(float)
        for amount in amounts
    )
    return np.asarray(np.divide(held, sold, out=np.full(len(sold), np.nan), where=sold > 0))
