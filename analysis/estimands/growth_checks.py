"""What the effect on growth is held against: a margin, the common effect that would turn the verdict, a year before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from analysis.errors import DataError, DesignError
from analysis.estimands.answers import COLUMNS, named
from analysis.estimands.checks import a_year_early
from analysis.estimands.design import Design, pick
from analysis.estimands.indirect import effect_on_growth
from analysis.inference import Estimate, largest_std_error, noninferiority

if TYPE_CHECKING:
    from analysis.panel import Panel

ADDS_UP = 1e-9  # percentage points; sums of float64 agree far closer


def rungs(effect: Estimate, words: Sequence[str], *, margin: float, two_sided: bool = False) -> pd.DataFrame:
    """Add up the parts of an effect one by one, then the common part, each sum against the margin.

    Parameters
    ----------
    effect : Estimate
        Parts, "seen" (their sum) and a set, such as those of :mod:`analysis.estimands.growing`. Its level is that of
        both one-sided tests together: 0.90 for limits of 95 per cent.
    words : sequence of str
        What each part, and at last the common part, adds; as many as there are rows without "seen".
    margin : float
        In the unit of the effect, set in advance.
    two_sided : bool
        Whether a rise beyond the margin counts too (two one-sided tests), or only a fall (non-inferiority).

    Returns
    -------
    DataFrame
        `term`, `estimate` (NaN for the set), `std_error`, `conf_low`, `conf_high`, `n`; `p_value` of the test that the
        effect is the margin or more below zero (or away from it), for the set at its worse end.
    """
    parts = len(effect.rows) - 2
    assert effect.covariance is not None
    value = effect.rows["estimate"].to_numpy(float)[:parts]
    sums = np.tril(np.ones((parts, parts)))
    point = sums @ value
    error = np.sqrt(np.diag(sums @ effect.covariance[:parts, :parts] @ sums.T))
    reach = float(stats.norm.ppf((1 + effect.level) / 2)) * error
    seen, whole = effect.rows.iloc[-2], effect.rows.iloc[-1]
    ends = (
        [0.0] * parts + [whole["conf_low"] - seen["conf_low"]],
        [0.0] * parts + [whole["conf_high"] - seen["conf_high"]],
    )
    tested = zip([*point, point[-1]], [*error, error[-1]], *ends, strict=True)
    p_values = []
    for x, spread, low, high in tested:
        below, above = (noninferiority(end, spread, margin).p_value for end in (x + low, -x - high))
        p_values.append(max(below, above) if two_sided else below)
    return pd.DataFrame(
        {
            "term": list(words),
            "estimate": [*point, np.nan],
            "std_error": [*error, np.nan],
            "conf_low": [*(point - reach), whole["conf_low"]],
            "conf_high": [*(point + reach), whole["conf_high"]],
            "n": effect.rows["n"].drop(effect.rows.index[-2]).to_numpy(),
            "p_value": p_values,
        }
    )


def break_even(effect: Estimate, margin: float) -> Estimate:
    """Return the common effect at which the verdict on "not lower" turns.

    With x seen of the effect on growth, the whole lies at the margin where the common part is ``-margin - x``. If it is
    surely above the upper limit, growth was not lower beyond the margin; if surely below the lower limit, it was.

    Parameters
    ----------
    effect : Estimate
        With a row "seen", as :func:`effect_on_growth`.
    margin : float
        Positive, in the unit of the effect.
    """
    if not 0 < margin < np.inf:
        raise DesignError(f"a break-even against a margin was asked for; found {margin}; give a positive number")
    seen = effect.row("seen")
    row = {
        "term": "break-even common effect",
        "estimate": -margin - seen["estimate"],
        "std_error": seen["std_error"],
        "conf_low": -margin - seen["conf_high"],
        "conf_high": -margin - seen["conf_low"],
        "n": seen["n"],
    }
    return Estimate(
        estimand="break-even common effect",
        unit=effect.unit,
        rows=pd.DataFrame([row]),
        level=effect.level,
        counts=effect.counts,
        design=effect.design,
        digest=effect.digest,
    )


def precision(asked: Mapping[str, tuple[Estimate, float, bool]], *, level: float) -> pd.DataFrame:
    """Compare the errors that a panel has with those that would show a true zero with a power of 80 per cent.

    Parameters
    ----------
    asked : mapping of str to (Estimate, float, bool)
        By label: an effect with a row "seen", its margin, and whether the test is two-sided.
    level : float
        One minus the size of each one-sided test.

    Returns
    -------
    DataFrame
        `label`, `margin`, `needed` and `has` (standard errors), and `times`, how many times as many independent
        clusters the panel would need: the square of has over needed.
    """
    rows = [
        {"label": label, "margin": margin, "has": float(effect.row("seen")["std_error"])}
        | {"needed": largest_std_error(margin, level=level, two_sided=two_sided)}
        for label, (effect, margin, two_sided) in asked.items()
    ]
    table = pd.DataFrame(rows)
    return table.assign(times=(table["has"] / table["needed"]) ** 2)


def steps(values: Mapping[str, float], total: str) -> pd.DataFrame:
    """Return known parts and their sum, called `total`, as rows to draw: `term`, `estimate`."""
    return pd.DataFrame({"term": [*values, total], "estimate": [*values.values(), sum(values.values())]})


def added_up(found: Estimate, terms: Mapping[str, tuple[str, str]], truth: Mapping[str, float]) -> pd.DataFrame:
    """Return parts, their sum, and a last row of what is missing between both.

    A sum that is what it is by definition, such as 100 per cent, has no error, and no interval is given for it.

    Parameters
    ----------
    found : Estimate
    terms : mapping of str to (str, str)
        As :func:`analysis.estimands.answers.named`; the last is the sum of the others.
    truth : mapping of str to float
        True values by id, where they are known.

    Raises
    ------
    DataError
        If the parts do not add up to 1e-9.
    """
    rows = named(found, terms)
    rows.loc[rows["std_error"] <= ADDS_UP, ["std_error", "conf_low", "conf_high", "n", "mde"]] = np.nan
    rows["truth"] = rows["id"].map(dict(truth)).astype(float)
    if rows["truth"][:-1].isna().any():  # not known, or shares of a loss that there was not
        rows["truth"] = np.nan
    missing = {name: float(rows[name][:-1].sum() - rows[name].iloc[-1]) for name in ("estimate", "truth")}
    if not abs(missing["estimate"]) <= ADDS_UP or abs(missing["truth"]) > ADDS_UP:
        raise DataError(
            f"parts of {found.estimand} that add up to {ADDS_UP:g} were asked for; found {missing} missing; "
            "this is an error of the program: report it"
        )
    check = {"id": "check", "label": "check: parts minus their sum", "unit": found.unit, "reason": ""} | missing
    return pd.concat([rows, pd.DataFrame([check])], ignore_index=True)


def placebo(panel: Panel, design: Design) -> Estimate:
    """Estimate the effect on growth of closures that did not happen: a year early, before the real ones.

    All firms sold something in the month before the first wave, for the closed ones had lived until then. Newcomers
    stay, for entry is a part of growth; the part of closed firms alone is off for it, as
    :func:`analysis.estimands.checks.placebo` says, and that of both parts much less.

    Returns
    -------
    Estimate
        As :func:`analysis.estimands.effect_on_growth` without a common part; nothing but chance and paths that part
        anyway move it from zero.

    Raises
    ------
    DesignError
        If the panel does not reach back far enough, and as :func:`analysis.estimands.effect_on_growth`.
    """
    alive = ~(panel.total()[:, pick(panel, design).base.stop - 1] <= 0)
    early = a_year_early(panel, design, alive)
    return replace(effect_on_growth(*early, common=(0.0, 0.0)), estimand="E3g, a year before")


def year_before(panel: Panel, design: Design) -> pd.DataFrame:
    """Return :func:`placebo` as rows of :func:`analysis.estimands.answers.answers`, or one that says why there is none.

    Rows "closed", "exposed" and "seen" of it, with the column `term`.
    """
    labels = {"closed": "closed firms, a year early", "exposed": "exposed firms", "seen": "both"}
    try:
        found = placebo(panel, design)
    except DesignError as refusal:
        row = {"id": "placebo", "label": "E3g, a year early", "term": "seen", "unit": "percentage points"}
        return pd.DataFrame([row | {"reason": str(refusal)}], columns=[*COLUMNS, "term"])
    return named(found, {term: ("placebo", label) for term, label in labels.items()}).assign(term=list(labels))
