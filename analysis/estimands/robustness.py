"""Robustness checks of an estimate.

They are other windows and exposure thresholds, fewer closed firms, and a placebo year.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from fewtreated.estimate import Bools

from analysis.estimands.closed_firms import a_year_early
from analysis.estimands.design import FEWEST_BASE, Design, in_rows, refusable
from analysis.estimate import Estimate

if TYPE_CHECKING:
    from analysis.panel import Panel

Verb = Callable[["Panel", Design], Estimate]
MOST_WAVES = 4  # number of waves to leave out one at a time, those with most firms
PLACEBO = "placebo: closures a year early"


def robustness(
    verb: Verb, term: str, panel: Panel, design: Design, *, name: str, unit: str
) -> pd.DataFrame:
    """Re-estimate an effect with one choice changed at a time.

    The effect is also estimated with closures dated a year early.

    Parameters
    ----------
    verb : callable
        Function of a panel and a design that returns an Estimate or a refusal.
    term : str
        Term of that Estimate.
    panel, design
        Arguments of `verb`.
    name : str
        Id of the rows.
    unit : str
        Unit of the rows of refused estimates, which contain the reason.

    Returns
    -------
    DataFrame
        Rows as from :func:`analysis.estimands.design.as_rows`, with the label in the column `term`.
        The first row is the main estimate, the last the placebo.
    """
    effects = {"default choices": verb(panel, design)}
    effects |= {
        words: verb(panel, replace(design, **change)) for words, change in _changes(design).items()
    }
    for words, firms in _left_out(panel, design).items():
        effects[words] = verb(*_without(panel, design, firms))
    effects[PLACEBO] = early(verb, panel, design)
    rows = in_rows([(name, words, effect[term]) for words, effect in effects.items()], unit)
    return rows.assign(term=rows["label"])


@refusable
def early(verb: Verb, panel: Panel, design: Design) -> Estimate:
    """Estimate a placebo effect with closures dated a year early.

    It is estimated for firms in business before the first wave.
    """
    sample = design.sample(panel)
    return verb(*a_year_early(panel, design, ~sample.stopped[:, sample.base.stop - 1]))


def _changes(design: Design) -> dict[str, dict[str, Any]]:
    """Return the alternative choices by label, each a mapping of design fields to values."""
    first = design.post_from
    last = design.post_to
    base = max(FEWEST_BASE, design.base_months // 2)
    middle = (first + last) // 2
    halves = {f"months {first} to {middle} alone": {"post_to": middle}}
    halves |= {f"months {middle + 1} to {last} alone": {"post_from": middle + 1}}
    limits = {
        f"exposure is low below {100 * low:g} per cent": {"low": low}
        for low in (design.low / 2, 2 * design.low)
    }
    if base < design.base_months:
        earlier = {f"shares of {base} months before": {"base_months": base}}
    else:
        earlier = {}
    return (halves if first < last else {}) | limits | earlier


def _left_out(panel: Panel, design: Design) -> dict[str, Bools]:
    """Select the closed firms to leave out in each check, by label.

    The checks leave out the largest brand group, then one of the largest waves at a time.
    """
    sample = design.sample(panel)
    groups = panel.firms["brand_group"].to_numpy()
    sold = pd.Series(
        np.nansum(sample.home[:, sample.before], axis=1)[sample.closed], index=groups[sample.closed]
    )
    left_out = {
        "without the largest closed brand group": sample.closed
        & (groups == sold.groupby(level=0).sum().idxmax())
    }
    waves = pd.Series(sample.first[sample.closed].astype(int)).value_counts()
    for wave in sorted(waves.index[:MOST_WAVES]) if len(waves) > 1 else ():
        left_out[f"without closures of {panel.months[wave]}"] = sample.closed & (
            sample.first == wave
        )
    return left_out


def _without(panel: Panel, design: Design, left_out: Bools) -> tuple[Panel, Design]:
    """Return the panel without the given firms, and a design for the same months.

    The months are those of the design's window.
    """
    kept = replace(panel, sales=panel.sales[~left_out], firms=panel.firms[~left_out])
    first, left = (firms.first_treated(cut=design.cut).min() for firms in (panel, kept))
    if np.isfinite(left):
        late = int(left - first)
    else:
        late = 0
    return kept, replace(
        design, post_from=max(design.post_from - late, 0), post_to=max(design.post_to - late, 0)
    )
