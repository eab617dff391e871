"""Measures of performance over replicates, each with its Monte Carlo error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.audit.causes import cause
from analysis.audit.grading import grade, reason
from analysis.audit.path import PATH
from analysis.errors import DesignError
from analysis.estimate import Bools, Floats
from analysis.estimators.power import POWER, detectable

MEASURES = ("bias", "sd", "mean_error", "rmse", "coverage", "rejection", "mde", "type_s", "type_m")
COLUMNS = [
    *("preset", "id", "label", "unit", "level", "first_seed", "last_seed", "closed"),
    *("markets", "refused", "undefined", "truth"),
    *(name for measure in MEASURES for name in (measure, f"{measure}_mc")),
    *("grade", "reason"),
]
Pair = tuple[float, float]
NOTHING: Pair = (np.nan, np.nan)
ROUNDING = 1e-9  # a truth nearer to zero, in per cent or points, is zero: sums of sales cancel to some 1e-14


def summarise(replicates: pd.DataFrame) -> pd.DataFrame:
    r"""Measure how every estimator does in every preset.

    With the error :math:`e_r = \hat\theta_r - \theta_r` of market r of n (the truth differs between markets, since
    each draws its firms anew), and Monte Carlo errors in columns ``..._mc``:

    - `bias`, mean error, with :math:`s_e/\sqrt n`;
    - `sd`, empirical, :math:`s_e`, with :math:`s_e/\sqrt{2(n-1)}`;
    - `mean_error`, mean of the standard errors, to be held against `sd`;
    - `rmse`, root of the mean :math:`e_r^2`, by the delta method;
    - `coverage`, share of intervals that hold the truth, with :math:`\sqrt{c(1-c)/n}`;
    - `rejection`, share of intervals that do not hold zero: power where the truth is not zero, size where it is, as
      in the preset ``null``;
    - `mde`, smallest effect that a two-sided test of size 1 - level, by the estimate's own error, sees with a power of
      80 per cent: from `mean_error` and the empirical `sd` by :func:`analysis.estimators.power.detectable`;
    - `type_s`, share of the estimates whose interval does not hold zero that have the wrong sign; `type_m`, mean size
      of these estimates over the mean size of their truths (Gelman and Carlin's exaggeration, as a ratio of means
      since truths differ). NaN where the truth is zero, or no interval excludes zero.

    Parameters
    ----------
    replicates : DataFrame
        From :func:`analysis.audit.replicate`. Estimands that are not scored are left out; `unscored` counts them.

    Returns
    -------
    DataFrame
        One row per preset and id: `label`, `unit`, `level`, `first_seed`, `last_seed`; `closed`, mean number of closed
        firms; `markets` that count; `refused`, markets without an interval; `undefined`, markets with one but without
        a truth; `truth`, mean; the measures; `grade` and its `reason`, with the cause of a bias where it is known
        (:mod:`analysis.audit.causes`).

    Raises
    ------
    DesignError
        If no estimand is scored.

    References
    ----------
    Morris, White and Crowther (2019), table 6. Gelman, A. and Carlin, J. (2014), Beyond power calculations: assessing
    type S and type M errors, Perspectives on Psychological Science 9, 641-651.
    """
    scored = replicates[replicates["scored"]]
    if scored.empty:
        raise DesignError(
            f"an audit was asked for; none of {replicates['id'].nunique()} estimands has a truth in the simulated "
            "market; ask for one that has"
        )
    rows = [_row(group) for _, group in scored.groupby(["preset", "id"], sort=False)]
    table = pd.DataFrame(rows, columns=[name for name in COLUMNS if name not in ("grade", "reason")])
    table["mde"], table["mde_mc"] = _smallest_seen(table)
    table.loc[table["id"] == PATH, ["mde", "mde_mc"]] = np.nan  # a gap in half-widths is no effect
    table["grade"] = [grade(row) for _, row in table.iterrows()]
    table["reason"] = [_said(row) for _, row in table.iterrows()]
    return table[COLUMNS]


def _said(row: pd.Series) -> str:
    """Return the reason by rule, and behind a bias its cause where it is known."""
    said = reason(row)
    why = cause(row["id"], row["preset"]) if said.startswith("bias") else ""
    return f"{said}: {why}" if why else said


def _row(group: pd.DataFrame) -> dict[str, Any]:
    first = group.iloc[0]
    answered = group["estimate"].notna() & group["low"].notna() & group["high"].notna()
    used = group[answered & group["truth"].notna()]
    measures = _measures(used) if len(used) else dict.fromkeys(MEASURES, NOTHING)
    return {
        **{name: first[name] for name in ("preset", "id", "label", "level")},
        "unit": next((unit for unit in group["unit"] if isinstance(unit, str)), ""),
        "first_seed": group["seed"].min(),
        "last_seed": group["seed"].max(),
        "closed": group["closed"].mean(),
        "markets": len(used),
        "refused": int((~answered).sum()),
        "undefined": int(answered.sum()) - len(used),
        "truth": used["truth"].mean(),
        **{name: value for name, (value, _) in measures.items()},
        **{f"{name}_mc": error for name, (_, error) in measures.items()},
    }


def _measures(used: pd.DataFrame) -> dict[str, Pair]:
    truth, estimate, low, high = (used[name].to_numpy(float) for name in ("truth", "estimate", "low", "high"))
    n, gap = len(used), estimate - truth
    spread = float(gap.std(ddof=1)) if n > 1 else np.nan
    rmse = float(np.sqrt((gap**2).mean()))
    seen = (low > 0) | (high < 0)
    real = seen & (np.abs(truth) > ROUNDING)
    return {
        "bias": _mean(gap),
        "sd": (spread, spread / np.sqrt(2 * (n - 1)) if n > 1 else np.nan),
        "mean_error": _mean(used["std_error"].to_numpy(float)),
        "rmse": (rmse, _mean(gap**2)[1] / (2 * rmse) if rmse else np.nan),
        "coverage": _share((low <= truth) & (truth <= high)),
        "rejection": _share(seen),
        **_sign_and_size(truth[real], estimate[real]),
    }


def _sign_and_size(truth: Floats, estimate: Floats) -> dict[str, Pair]:
    """Return Type S and Type M of the estimates that differ significantly from zero."""
    if not len(truth):
        return {"type_s": NOTHING, "type_m": NOTHING}
    size, real = np.abs(estimate), np.abs(truth)
    ratio = float(size.mean() / real.mean())
    error = _mean(size - ratio * real)[1] / float(real.mean())
    return {"type_s": _share(np.sign(truth) != np.sign(estimate)), "type_m": (ratio, error)}


def _mean(values: Floats) -> Pair:
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return float(values.mean()), float(error)


def _share(hits: Bools) -> Pair:
    share = float(hits.mean())
    return share, float(np.sqrt(share * (1 - share) / len(hits)))


def _smallest_seen(table: pd.DataFrame) -> tuple[Floats, Floats]:
    """Return the detectable effect, and half its change as spread and mean error move by their Monte Carlo errors.

    An estimate of spread s is seen where it lies z(level) of its own errors from zero. So what
    :func:`analysis.estimators.power.detectable` takes for one error is ``(z(level) m + z(power) s) / (z(level) +
    z(power))``, with m the mean error; s alone for what has an interval and no error.
    """
    level = float(table["level"].iloc[0])
    z, more = float(stats.norm.ppf((1 + level) / 2)), float(stats.norm.ppf(POWER))
    rows = table.assign(estimate=table["truth"] + table["bias"], conf_low=np.nan, conf_high=np.nan)
    found = []
    for step in (-1, 0, 1):
        spread = (table["sd"] + step * table["sd_mc"].fillna(0.0)).clip(lower=0)
        mean = (table["mean_error"] + step * table["mean_error_mc"].fillna(0.0)).clip(lower=0).fillna(spread)
        error = (z * mean + more * spread) / (z + more)
        found.append(detectable(rows.assign(std_error=error), level=level, power=POWER))
    low, at, high = found
    return at, np.where(table["sd_mc"].isna(), np.nan, (high - low) / 2)
