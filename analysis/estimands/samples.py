"""Select each estimand's firms, for its estimator and for the sample flow.

A selection maps names to masks, bool[firm]: a name of `USED` for each set of firms that an estimand
uses, and a name of `LEFT` for each reason why firms are left out. If several names apply to a firm,
the first one counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from fewtreated.errors import DesignError
from fewtreated.estimate import Bools, Floats, Ints

from analysis.estimands.design import Design, Sample, over_years

if TYPE_CHECKING:
    from analysis.panel import Panel

USED = {
    "closed": "closed by the end of the window",
    "asked about": "not closed by then: exposed or suspect",
    "compared": "firms that they are compared with",
}
LEFT = {
    "in part": "closed with a dose below the threshold",
    "later": "closed after the window",
    "shut": "closed, in an estimand about firms not closed",
    "origin": "of an origin outside the estimand, or without a closed firm left",
    "category": "of an origin and category without a closed firm left",
    "exposed": "not closed, but closed rivals had much of the category",
    "unknown": "half of a year's months, the month of a wave, the exposure or the risk is missing",
    "none before": "no sales in the baseline months: entered later",
    "too small": "not closed, and smaller than nine of ten closed firms",
    "stopped": "sold nothing in the month from which it is followed, or in the window",
}
"""Columns of :func:`sample_flow`, with their meaning."""
Masks = dict[str, Bools]
Row = tuple[str, Masks]
"""Ids of estimands, and masks bool[firm] by a name of `USED` or `LEFT`; the first name that applies
counts.
"""

LEADS = 6  # months before closure that E5a estimates
GAP = 3  # months without a sale anywhere that count as exit
SMALLEST = 0.1  # quantile of closed firms' sales below which a firm is too small to compare
HIGH_RISK = 0.5  # risk above which a firm is suspect


@dataclass(frozen=True, eq=False)
class Cohort:
    """Month of a closure wave, with the positions of its closed and comparison firms."""

    month: int
    closed: Ints
    others: Ints

    @property
    def firms(self) -> Ints:
        """All firms of the cohort, closed firms first."""
        return np.concatenate([self.closed, self.others])

    def of(self, firms: Bools) -> Cohort:
        """Restrict the cohort to the given firms, bool[firm]."""
        return replace(
            self, closed=self.closed[firms[self.closed]], others=self.others[firms[self.others]]
        )


def cohorts(sample: Sample, width: int) -> list[Cohort]:
    """Return the closed and comparison firms of each wave.

    Sales are those on the first `width` platforms.

    Only a firm in business can be closed. So closed firms must have sold a year before the window
    and in the month before their wave, and comparison firms a year before the window and in the
    month of the wave. A comparison firm belongs to every wave that it survived to. NaN passes, to
    be counted as missing.
    """
    sold = ~(sample.sums[0, :, :width].sum(axis=1) <= 0)
    return _in_business(
        sample, sold, sample.comparison & sold, lambda month: ~sample.stopped[:, month]
    )


def _in_business(
    sample: Sample, closed: Bools, others: Bools, sells: Callable[[int], Bools]
) -> list[Cohort]:
    """Return the cohort of firms in business at each wave.

    Closed firms must sell in the month before their wave, the others in its month.
    """
    wave = [
        (month, closed & (sample.first == month) & sells(month - 1), others & sells(month))
        for month in sample.waves
    ]
    return [
        Cohort(month, np.flatnonzero(mine), np.flatnonzero(theirs)) for month, mine, theirs in wave
    ]


def aligned(sample: Sample, sales: Floats, width: int) -> tuple[list[Cohort], int]:
    """Return cohorts of firms with known sales around their wave, and the last month.

    The last month is counted from closure.

    `sales` is float64[firm, month]. Months run from `base_months` before closure to the last that
    all waves have, at most `post_to`. A firm "not_yet_closed" is compared with a cohort only if it
    stays open until `anticipation` months after the last.
    """
    panel = sample.panel
    design = sample.design
    matched = [cohort for cohort in cohorts(sample, width) if len(cohort.firms)]
    end = min(
        design.post_to, len(panel.months) - 1 - max((cohort.month for cohort in matched), default=0)
    )
    closures = panel.closures(cut=design.cut)
    used = []
    for cohort in matched:
        months = sales[:, cohort.month - design.base_months : cohort.month + end + 1]
        observed = np.isfinite(months.sum(axis=1))
        open_ = closures > cohort.month + end + design.anticipation
        used.append(replace(cohort.of(observed), others=cohort.of(observed & open_).others))
    return [cohort for cohort in used if len(cohort.firms)], end


def leads_design(design: Design) -> Design:
    """Return the design for E5a: its comparisons exclude the months shortly before closure."""
    last = 11 - LEADS  # the same months a year before must end before the leads begin
    return replace(
        design,
        anticipation=LEADS,
        post_from=min(design.post_from, last),
        post_to=min(design.post_to, last),
        base_months=max(design.base_months, LEADS + 2),
    )


def strata(sample: Sample) -> Ints:
    """Return the stratum within which each firm is compared, int64[firm].

    Depending on the comparison, strata are origins, pairs of origin and category, or a single one.
    """
    if sample.design.comparison == "spared_same_category":
        return sample.origin * (int(sample.category.max()) + 1) + sample.category
    if sample.design.comparison == "not_yet_closed":
        return np.zeros_like(sample.origin)
    return sample.origin


def left_out(sample: Sample) -> Masks:
    """Return masks of the firms that estimands on closed firms leave out by default."""
    partly = (sample.panel.firms["dose"] < sample.design.cut).to_numpy()
    exposed = sample.never_closed & ~sample.comparison & np.isfinite(sample.exposure)
    later = ~(sample.closed | partly | sample.never_closed)
    return {
        "in part": partly,
        "later": later,
        "exposed": exposed,
        "stopped": np.ones_like(sample.closed),
    }


def cohort_masks(sample: Sample, used: Iterable[Cohort], unknown: Bools) -> Masks:
    """Return masks of the cohorts' closed firms and of the comparison firms in their strata."""
    within = strata(sample)
    if sample.design.comparison == "spared_same_category":
        reason = "category"
    else:
        reason = "origin"
    closed = np.zeros_like(sample.closed)
    compared = np.zeros_like(sample.closed)
    for cohort in used:
        closed[cohort.closed] = True
        compared[cohort.others[np.isin(within[cohort.others], within[cohort.closed])]] = True
    apart = ~np.isin(within, within[closed]) & ~sample.closed
    return left_out(sample) | {
        "closed": closed,
        "compared": compared,
        "unknown": unknown,
        reason: apart,
    }


def followed(sample: Sample) -> tuple[list[Cohort], Bools]:
    """Return the cohorts of `months_alive`, and a mask of firms too small for it.

    See :func:`analysis.estimands.closed_firms.months_alive`.

    Closed firms must have sold in the month before their wave and are followed from its month.
    Other firms are followed from each wave in whose month they sold.
    """
    total = sample.panel.total()
    size = np.nansum(total[:, sample.base], axis=1)
    small = sample.comparison & (size < np.quantile(size[sample.closed], SMALLEST))
    others = sample.comparison & ~small
    return _in_business(sample, sample.closed, others, lambda month: total[:, month] > 0), small


def incumbents(sample: Sample, eligible: Bools) -> Bools:
    """Select eligible firms, never closed, that sold at home in the first and last base months.

    Closed firms were selling. So all newcomers and leavers are among the firms not closed, and have
    more weight where more was closed, which would make growth rise with exposure without any
    effect. Hence firms that sold nothing in the first or the last base month are left out. Firms
    with unknown months are kept, to be counted as missing.
    """
    idle = (sample.home[:, sample.base.start] <= 0) | (sample.home[:, sample.base.stop - 1] <= 0)
    return np.asarray(sample.never_closed & ~idle & eligible)


def suspects(sample: Sample) -> Masks:
    """Return the suspect and comparison firms in :func:`analysis.estimands.rivals.chilling`."""
    risk = sample.panel.firms["risk"].to_numpy(float)
    masks = left_out(sample)
    low = sample.never_closed & (np.nan_to_num(sample.exposure, nan=np.inf) < sample.design.low)
    observed = sample.observed(1) & ~np.isnan(risk) & np.isfinite(sample.exposure)
    sold = sample.sums[0, :, 0] > 0
    used = low & observed & sold & (sample.home[:, sample.base.stop - 1] > 0)
    suspect = risk > HIGH_RISK
    both = np.ones_like(used)
    for side in (suspect, ~suspect):
        both &= np.isin(sample.origin, sample.origin[used & side])
    masks |= {"asked about": used & both & suspect, "compared": used & both & ~suspect}
    masks["exposed"] = sample.never_closed & ~low & np.isfinite(sample.exposure)
    return masks | {
        "shut": sample.closed,
        "origin": ~both,
        "unknown": ~observed,
        "none before": ~sold,
    }


def changing(sample: Sample, eligible: Bools, width: int) -> tuple[list[Cohort], Masks]:
    """Select, for E4 and changes in sales, the firms observed on the first `width` platforms.

    Also return the cohorts of closed and comparison firms. Both must have sold something a year
    before the window; closed firms must have sold in the month before their wave, and comparison
    firms in the month of the wave.
    """
    sums = sample.sums[:, :, :width]
    sales = sample.panel.sales[:, :width]
    observed = eligible & sample.observed(width)
    sold = (sums[0] != 0).any(axis=1)
    pool = sample.comparison & observed
    closed = np.zeros_like(observed)
    used = _in_business(
        sample, observed & sold, pool & sold, lambda month: (sales[:, :, month] != 0).any(axis=1)
    )
    closed[np.concatenate([cohort.closed for cohort in used])] = True
    exposed = ~sample.closed & ~sample.comparison & observed
    compared = pool & np.isin(sample.origin, sample.origin[closed | exposed])
    masks = {
        "closed": closed,
        "asked about": exposed,
        "compared": compared,
        "origin": ~eligible | (pool & ~compared),
    }
    return used, masks | {"unknown": ~observed, "none before": ~sold, "stopped": np.ones_like(sold)}


def twice_compared(sample: Sample) -> Masks:
    """Return the firms in `against_others`, which are observed in all three windows.

    See :func:`analysis.estimands.growth.against_others`.
    """
    (_, masks) = changing(sample, np.ones_like(sample.closed), 1)
    start = sample.before.start - 12
    if start >= 0:
        earlier = [slice(start, sample.before.stop - 12)]
    else:
        earlier = []
    early = np.isfinite(over_years(sample.home, *earlier, sample.before, sample.after)[0])
    masks |= {name: masks[name] & sample.is_own for name in ("closed", "asked about")}
    compared = sample.comparison & sample.observed(1) & early
    masks |= {"compared": compared, "origin": ~sample.is_own & ~sample.comparison}
    return masks | {"unknown": masks["unknown"] | ~early}


def on_platforms(sample: Sample, sells: Bools) -> Masks:
    """Return the closed and comparison firms selected by `sells`, bool[2, firm].

    `sells` is whether each firm has the required sales a year before the window and in it. All are
    of origins with closures, and still sold in the month before the first closure, since only a
    firm in business can be closed.
    """
    observed = sample.observed(len(sample.panel.platforms))
    origin = np.isin(sample.origin, sample.origin[observed & sample.closed])
    used = observed & origin & sells.all(axis=0) & ~sample.stopped[:, sample.waves[0] - 1]
    masks = {
        "closed": used & sample.closed,
        "compared": used & sample.comparison,
        "origin": ~origin & ~sample.closed,
    }
    return (
        left_out(sample)
        | masks
        | {"unknown": ~observed | ~np.isfinite(sample.exposure), "none before": ~sells[0]}
    )


def with_mix(sample: Sample) -> Masks:
    """Return the firms in `platform_mix`, which are those with sales in both windows.

    See :func:`analysis.estimands.displacement.platform_mix`.
    """
    return on_platforms(sample, sample.sums.sum(axis=2) > 0)


def with_presence(sample: Sample) -> Masks:
    """Return the firms in `toward_destinations`, which are those with baseline sales.

    See :func:`analysis.estimands.displacement.toward_destinations`.
    """
    before = (sample.panel.sales[:, :, sample.before] > 0).any(axis=(1, 2))
    return on_platforms(sample, np.array([before, np.ones_like(before)]))


def sample_flow(panel: Panel, design: Design) -> pd.DataFrame:
    """Count the firms that each estimand uses and leaves out, by reason.

    Parameters
    ----------
    panel, design
        The panel must support the design, with comparison firms of low exposure.

    Returns
    -------
    DataFrame
        `estimands`, written E5a_* if they differ only in a platform, month or part; one column for
        each name of `USED`, and for each of `LEFT` that occurs. Every row adds up to all firms.
    """
    rows = []
    for ids, masks in _rows(panel, design):
        order = [name for name in (*USED, *LEFT) if name in masks]
        counted_as = np.select([masks[name] for name in order], range(len(order)))
        counts = np.bincount(counted_as, minlength=len(order)).tolist()
        rows.append({"estimands": ids, **dict(zip(order, counts, strict=True))})
    table = pd.DataFrame(rows, columns=["estimands", *USED, *LEFT]).fillna(0)
    kept = [*USED, *(name for name in LEFT if table[name].any())]
    return table[["estimands", *kept]].astype(dict.fromkeys(kept, int))


def _rows(panel: Panel, design: Design) -> Iterator[Row]:
    sample = design.sample(panel)
    origin = design.origin
    width = len(panel.platforms)
    same = replace(design, comparison="spared_same_category").sample(panel)
    yield "E1a E1e", _closed(sample, width)
    yield "E1b", _closed(sample, 1)
    yield "E1c", _closed(same, width)
    yield "E1d", _alive(sample)
    yield "E2a_slope E2a", _rivals(sample, sample.is_own)
    yield "E2b_slope E2b", _rivals(sample, ~sample.is_own)
    yield "E3g_seen E3_seen E3k_*", changing(sample, sample.is_own, 1)[1]
    yield "E3g_common E3g", twice_compared(sample)
    everyone = np.ones_like(sample.closed)
    yield (
        f"E3s_seen E4b_{origin} E4b_other E4e_{origin} E4e_other",
        changing(sample, everyone, 1)[1],
    )
    yield "E4a_* d*", changing(sample, everyone, width)[1]
    yield "E4d_*", with_mix(sample)
    yield "E4a_presence", with_presence(sample)
    yield from _leads(panel, design)
    yield "E5b", suspects(sample)


def _closed(sample: Sample, width: int) -> Masks:
    """Return the firms that E1 compares on the first `width` platforms."""
    observed = sample.observed(width)
    used = [cohort.of(observed) for cohort in cohorts(sample, width)]
    masks = cohort_masks(sample, used, ~observed | ~np.isfinite(sample.exposure))
    return masks | {"none before": sample.sums[0, :, :width].sum(axis=1) <= 0}


def _alive(sample: Sample) -> Masks:
    """Return the firms in `months_alive` whose exit would be observed.

    See :func:`analysis.estimands.closed_firms.months_alive`.
    """
    total = sample.panel.total()
    (starting, small) = followed(sample)
    used = []
    for cohort in starting:
        month = cohort.month
        observed = np.isfinite(total[:, month : month + GAP]).sum(axis=1) == GAP
        used.append(cohort.of(observed & (total[:, month - GAP : month] > 0).any(axis=1)))
    unknown = np.isnan(total[:, sample.waves[0] - 1 : sample.waves[-1] + GAP]).any(axis=1)
    return cohort_masks(sample, used, np.asarray(unknown)) | {"too small": small}


def _rivals(sample: Sample, eligible: Bools) -> Masks:
    """Return the firms in `recentred`, of which the less exposed are comparison firms.

    See :func:`analysis.estimands.rivals.effect_on_rivals`.
    """
    observed = sample.observed(1) & np.isfinite(sample.exposure)
    idle = sample.home[:, sample.base.start] <= 0
    used = incumbents(sample, eligible) & observed
    masks = left_out(sample) | {
        "asked about": used & ~sample.comparison,
        "compared": used & sample.comparison,
    }
    del masks["exposed"]
    return masks | {
        "shut": sample.closed,
        "origin": ~eligible,
        "unknown": ~observed,
        "none before": idle,
    }


def _leads(panel: Panel, design: Design) -> Iterator[Row]:
    """Yield the firms in :func:`analysis.estimands.event_study.anticipation`, if any."""
    early = leads_design(design)
    try:
        sample = early.sample(panel)
    except DesignError:
        return
    used, end = aligned(sample, sample.home, 1)
    masks = cohort_masks(sample, used, np.zeros_like(sample.closed))
    if sample.clusters(masks["closed"]) > 1:
        months = [cohort.month for cohort in used]
        needed = sample.home[:, min(months) - early.base_months : max(months) + end + 1]
        masks["unknown"] = np.isnan(needed).any(axis=1) | ~np.isfinite(sample.exposure)
        yield "E5a_*", masks | {"none before": sample.sums[0, :, 0] <= 0}
