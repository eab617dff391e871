"""The effect on closed firms' sales (E1a, E1b) by two other estimators, of the same firms and on the same scale.

A firm's outcome is its sales over those of its first window, and these are its weight: so the weighted mean of closed
firms is the ratio of their sums, of which E1a is made, and an effect is per cent of what they would have sold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.errors import DesignError
from analysis.estimands.closed_firms import HEADLINE, Where, effect_on_closed, sales_on, width_of
from analysis.estimands.design import Design, Sample, estimand, in_rows, low_exposure
from analysis.estimands.event_study import FEWEST
from analysis.estimands.samples import cohorts
from analysis.estimate import Bools, Estimate, Floats, Ints
from analysis.estimators.cross_checks import doubly_robust, imputation

if TYPE_CHECKING:
    from analysis.panel import Panel


@dataclass(frozen=True, eq=False)
class _Answering:
    """The firms of E1a or E1b, each once for every cohort in which it is closed or compared: int64[row] and so on.

    `within` are dummies of origin and cohort, of those that hold both closed firms and others; `before` is what each
    sold in a month of the first window.
    """

    sample: Sample
    where: Where
    firm: Ints
    closed: Bools
    within: Floats
    before: Floats

    def sales(self, months: slice) -> Floats:
        """Return sales over those of the first window, float64[row, month]."""
        return sales_on(self.sample.panel, self.where)[self.firm, months] / self.before[:, np.newaxis]

    @property
    def clusters(self) -> int:
        """Clusters of closed firms."""
        return len(np.unique(self.sample.cluster[self.firm[self.closed]]))

    def mark(self, effect: Estimate, name: str, **details: Any) -> Estimate:
        """Turn into per cent; Student's interval, with a degree of freedom less than clusters of closed firms."""
        return self.sample.mark(
            effect, estimand=f"{HEADLINE[self.where]}, {name}", max_df=self.clusters - 1, details=details
        ).exp()


def _answering(panel: Panel, design: Design, where: Where) -> _Answering:
    sample = low_exposure(panel, design, "the effect by other estimators")
    before, width = sales_on(panel, where)[:, sample.before].mean(axis=1), width_of(panel, where)
    among = [cohort.of(sample.known(width)) for cohort in cohorts(sample, width)]
    rows = pd.DataFrame({"firm": np.concatenate([cohort.firms for cohort in among])})
    month = np.repeat([cohort.month for cohort in among], [len(cohort.firms) for cohort in among])
    rows["closed"] = sample.closed[rows["firm"]]
    rows["within"] = pd.factorize(sample.origin[rows["firm"]] * len(panel.months) + month)[0]
    both = rows.groupby("within")["closed"].transform("nunique") == 2
    if not both.any():
        raise DesignError(
            f"found {rows['closed'].sum()} closed and {(~rows['closed']).sum()} comparison firms that still sold, none "
            "of the same origin in the same wave; widen the comparison"
        )
    rows = rows[both]
    firm = rows["firm"].to_numpy()
    within = pd.get_dummies(rows["within"], dtype=float).to_numpy()
    return _Answering(sample, where, firm, rows["closed"].to_numpy(), within, before[firm])


@estimand
def adjusted_effect(panel: Panel, design: Design, *, where: Where = "all") -> Estimate:
    """Estimate E1a doubly robust: against firms of the same origin and wave that are alike before the closures.

    Alike in the share of the home platform in their sales in the first window, and in age, the months with sales before
    it (in logs). With neither it would be E1a itself. Not alike in size, for sales before are what growth is measured
    from: of firms that sold as much, one is large and another had a good year, which does not last. Nor in risk, for
    the closures scare spared firms that are as suspect.

    Returns
    -------
    Estimate
        As :func:`analysis.estimands.closed_firms.effect_on_closed`. Refused if the comparison is not of low exposure,
        nobody is left to compare, or as :func:`analysis.estimators.cross_checks.doubly_robust`.
    """
    rows = _answering(panel, design, where)
    sample = rows.sample
    at_home = sample.home[rows.firm, sample.before].mean(axis=1) / panel.total()[rows.firm, sample.before].mean(axis=1)
    age = np.log1p((panel.total()[rows.firm, : sample.before.start] > 0).sum(axis=1))
    effect = doubly_robust(
        np.column_stack([np.ones(len(rows.firm)), rows.sales(sample.after).mean(axis=1)]),
        np.where(rows.closed, 1.0, np.inf),
        np.column_stack([rows.within, at_home, age]),
        scale="ratio",
        weights=rows.before,
        cluster=sample.cluster[rows.firm],
        level=design.level,
    )
    return rows.mark(effect, "doubly robust")


@estimand
def imputed_effect(panel: Panel, design: Design, *, where: Where = "all") -> Estimate:
    """Estimate E1a by imputation: against firm and month effects of all months from the base on, by origin and wave.

    Months end before anticipation begins; those from there to the window are left out.

    Returns
    -------
    Estimate
        As :func:`analysis.estimands.closed_firms.effect_on_closed`, without an interval where fewer than `FEWEST`
        clusters were closed, for it would be too narrow; ``details["months"]``: those of the fit, in words. Refused as
        :func:`adjusted_effect`.
    """
    rows = _answering(panel, design, where)
    sample = rows.sample
    fitted = slice(min(sample.base.start, sample.before.start), sample.base.stop - design.anticipation)
    effect = imputation(
        np.column_stack([rows.sales(fitted), rows.sales(sample.after)]),
        np.where(rows.closed, float(fitted.stop - fitted.start), np.inf),
        rows.within,
        scale="ratio",
        weights=rows.before,
        cluster=sample.cluster[rows.firm],
        level=design.level,
    )
    effect = rows.mark(effect, "imputed", months=sample.months(fitted))
    if rows.clusters >= FEWEST or effect.refused:
        return effect
    why = f"closed firms of {rows.clusters} clusters; fewer than {FEWEST} are too few for an interval by imputation"
    return replace(effect, covariance=np.full((1, 1), np.nan), limits=None, scores=None, reason=why)


def cross_checks(panel: Panel, design: Design, *, where: Where = "all") -> pd.DataFrame:
    """Return E1a (E1b) by its own ratio of sums, doubly robust and imputed, as rows; a refusal has its reason."""
    ratio, imputed = effect_on_closed(panel, design, where=where), imputed_effect(panel, design, where=where)
    effects = {
        "ratio of sums": ratio,
        "doubly robust, given share and age": adjusted_effect(panel, design, where=where),
        "imputed" + (f", from {imputed.details['months']}" if imputed.details else ""): imputed,
    }
    name = ratio.estimand or HEADLINE[where]
    return in_rows([(name, label, effect["simple"]) for label, effect in effects.items()], "per cent")
