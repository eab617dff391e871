"""Audit the methods by estimating every estimand on simulated panels whose truth is known.

There are three judges, so that no method is tuned to one of them: the simulated market, and plain
and heavy panels with none of its structure (:mod:`market.plain`). `replicate` simulates panels of
all and computes every estimand on each. `summarise` computes measures of performance, each with its
Monte Carlo error, and a grade (:mod:`market.grading`). `write` stores the table as
``data/audit.csv``. The names follow Morris, T. P., White, I. R. and Crowther, M. J. (2019), Using
simulation studies to evaluate statistical methods, Statistics in Medicine 38, 2074-2102.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import date
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
from fewtreated.errors import DesignError
from fewtreated.estimate import Bools, Floats
from fewtreated.estimators.power import detectable
from fewtreated.testing import POWER
from scipy import stats
from scipy.stats import mstats

from analysis import data
from analysis.estimands.catalogue import catalogue, estimate_all
from analysis.estimands.design import Design
from analysis.estimands.event_study import event_study
from market import executor, parameters, plain, simulate
from market.executor import Workers
from market.grading import PATH, ROUNDING, grade, reason
from market.moved import moved
from market.parameters import PLATFORMS, chosen

if TYPE_CHECKING:
    from analysis.panel import Panel

PRESETS = (*parameters.PRESETS, *plain.PRESETS)
REPLICATES = [
    *("preset", "seed", "closed", "level", "id", "label", "unit"),
    *("truth", "estimate", "std_error", "low", "high", "refused"),
]
MEASURES = ("bias", "sd", "mean_error", "rmse", "coverage", "rejection", "mde", "type_s", "type_m")
COLUMNS = [
    *("preset", "id", "label", "unit", "level", "first_seed", "last_seed", "closed"),
    *("markets", "refused", "undefined", "truth"),
    *(name for measure in MEASURES for name in (measure, f"{measure}_mc")),
    *("grade", "reason"),
]
Pair = tuple[float, float]
Made = TypeVar("Made")


def replicate(
    presets: Iterable[str], seeds: Iterable[int], *, design: Design, workers: Workers
) -> pd.DataFrame:
    """Simulate panels, and compare every estimate with its truth.

    The estimands are those of :func:`analysis.estimands.catalogue.estimate_all`, including any
    added later, and `PATH`, which tests whether the band of the event study covers the whole true
    path. The rows do not depend on `workers`.

    Parameters
    ----------
    presets : iterable of str
        Names in `PRESETS`, for the simulated market or for plain panels.
    seeds : iterable of int
        Seeds for each preset. For the same seed, all presets of a judge share their random numbers.
    design : Design
        Design applied to every panel.
    workers : int or Executor
        Workers, as for :func:`market.executor.each`.

    Returns
    -------
    DataFrame
        One row per market and estimand: `preset`, `seed`; `closed`, the number of closed firms in
        the panel; `level` of the interval; `id`, `label`, `unit`; `truth`, NaN if undefined, in
        this market or in general; `estimate`, `std_error`, `low`, `high`; `refused`, the reason if
        there is no interval.

    Raises
    ------
    DesignError
        If there is no market to simulate, a preset is unknown, or there are no workers.
    """
    presets = list(presets)
    rows = pd.concat(each_panel(partial(_market, design), presets, seeds, workers))[REPLICATES]
    return rows.sort_values(
        "preset", key=lambda names: names.map(presets.index), kind="stable", ignore_index=True
    )


def each_panel(
    make: Callable[[str, int], Made], presets: Iterable[str], seeds: Iterable[int], workers: Workers
) -> list[Made]:
    """Call a function for every combination of preset and seed.

    Arguments are as for :func:`replicate`.
    """
    presets = list(presets)
    work = [(preset, seed) for seed in seeds for preset in presets]
    if not work:
        raise DesignError(
            "Cannot audit the methods: there are no markets; choose at least one preset and one"
            " seed"
        )
    for preset in set(presets).difference(plain.PRESETS):
        chosen(preset)
    return executor.each(make, work, workers, "markets")


def simulated(preset: str, seed: int) -> tuple[Panel, Any]:
    """Simulate a panel from any of the `PRESETS`, and return it with its truth."""
    if preset in plain.PRESETS:
        return plain.simulate(preset, seed)
    return simulate(preset, seed)


def _market(design: Design, preset: str, seed: int) -> pd.DataFrame:
    """Simulate one panel, and return one row per estimand."""
    panel, truth = simulated(preset, seed)
    rows = estimate_all(panel, design).rows
    rows = rows.assign(truth=rows["id"].map(truth.scalars(design.post_from, design.post_to)))
    rows = rows.rename(columns={"conf_low": "low", "conf_high": "high", "reason": "refused"})
    rows = pd.concat([rows, pd.DataFrame([path_inside(panel, truth, design)])])
    return rows.assign(
        preset=preset, seed=seed, closed=panel.count_closed(cut=design.cut), level=design.level
    )


def path_inside(panel: Panel, truth: Any, design: Design) -> dict[str, Any]:
    """Return a row that compares the monthly path of E1a with its truth.

    The estimate is the largest signed gap between the path and its truth over all months with a
    band, in half-widths of the band; its truth is zero, and its interval extends one half-width to
    either side. So the interval covers the truth if the band covers the whole path, and coverage is
    that of the band. There is no standard error.

    Returns
    -------
    dict
        `id`, `label`, `unit`, `truth`, and `estimate`, `low`, `high`, or the reason in `refused`.
    """
    row: dict[str, Any] = {"id": PATH, "truth": 0.0, "refused": ""}
    row |= {name: _estimands()[PATH][name] for name in ("label", "unit")}
    study = event_study(panel, design)
    if study.refused:
        return row | {"refused": study.reason}
    half = (study.rows["band_high"] - study.rows["estimate"]).to_numpy()
    gap = study.rows["estimate"].to_numpy() - truth.path(study)
    banded = np.isfinite(gap) & (half > 0)
    if not banded.any():
        return row | {"refused": "no month has a band and a truth"}
    units = gap[banded] / half[banded]
    largest = float(units[np.argmax(np.abs(units))])
    return row | {"estimate": largest, "low": largest - 1, "high": largest + 1}


@cache
def _estimands() -> dict[str, dict[str, str]]:
    """Return the rows of ``data/estimands.csv`` for the estimands in a simulated market, by id."""
    return catalogue(PLATFORMS, Design())


def cause(name: str, preset: str) -> str:
    """Return the known cause of an estimand's bias in a preset.

    Return an empty string if there is none.
    """
    if preset in plain.PRESETS:
        row = {}
    else:
        row = _estimands().get(name, {})
    return row.get(f"bias_{preset}") or row.get("bias", "")


def summarise(replicates: pd.DataFrame) -> pd.DataFrame:
    r"""Measure the performance of every estimator in every preset.

    With the error :math:`e_r = \hat\theta_r - \theta_r` of market r of n (the truth differs between
    markets, since each draws its firms anew), and Monte Carlo errors in columns ``..._mc``:

    - `bias`, median error, since the exponential of a noisy mean is right in half of the markets,
      not on average, with the standard error of an order statistic (Maritz and Jarrett, 1978);
    - `sd`, empirical standard deviation :math:`s_e`, with :math:`s_e/\sqrt{2(n-1)}`;
    - `mean_error`, mean of the standard errors, to be compared with `sd`;
    - `rmse`, root of the mean :math:`e_r^2`, by the delta method;
    - `coverage`, share of intervals that cover the truth, with :math:`\sqrt{c(1-c)/n}`;
    - `rejection`, share of intervals that exclude zero: power if the truth is not zero, size if it
      is, as in the preset ``null``;
    - `mde`, smallest effect that a two-sided test of size 1 - level, with the estimated standard
      error, detects with a power of 80 per cent: from `mean_error` and the empirical `sd` by
      :func:`fewtreated.estimators.power.detectable`;
    - `type_s`, share with the wrong sign among estimates whose interval excludes zero; `type_m`,
      mean size of these estimates over the mean size of their truths (Gelman and Carlin's
      exaggeration, as a ratio of means since truths differ). NaN if the truth is zero, or no
      interval excludes zero.

    Parameters
    ----------
    replicates : DataFrame
        From :func:`replicate`.

    Returns
    -------
    DataFrame
        One row per preset and id: `label`, `unit`, `level`, `first_seed`, `last_seed`; `closed`,
        mean number of closed firms; `markets` used; `refused`, markets without an interval;
        `undefined`, markets with an interval but no truth; `truth`, mean; the measures; `grade` and
        its `reason`, with the cause of a bias if it is known.

    References
    ----------
    Morris, White and Crowther (2019), table 6. Gelman, A. and Carlin, J. (2014), Beyond power
    calculations: assessing type S and type M errors, Perspectives on Psychological Science 9,
    641-651.
    """
    rows = [_summary(group) for _, group in replicates.groupby(["preset", "id"], sort=False)]
    table = pd.DataFrame(rows, columns=COLUMNS[:-2])
    table["mde"], table["mde_mc"] = _smallest_seen(table)
    table.loc[table["id"] == PATH, ["mde", "mde_mc"]] = (
        np.nan
    )  # a gap in half-widths is not an effect
    records = table.to_dict("records")
    reasons = [reason(row, cause(row["id"], row["preset"])) for row in records]
    return table.assign(grade=[grade(row) for row in records], reason=reasons)


def _summary(group: pd.DataFrame) -> dict[str, Any]:
    """Summarise one estimator in one preset."""
    first = group.iloc[0]
    answered = group["estimate"].notna() & group["low"].notna() & group["high"].notna()
    used = group[answered & group["truth"].notna()]
    if len(used):
        measures = _measures(used)
    else:
        measures = {}
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
    truth, estimate, low, high = (
        used[name].to_numpy(float) for name in ("truth", "estimate", "low", "high")
    )
    n = len(used)
    gap = estimate - truth
    if n > 1:
        spread = float(gap.std(ddof=1))
    else:
        spread = np.nan
    rmse = float(np.sqrt((gap**2).mean()))
    seen = (low > 0) | (high < 0)
    measures = {
        "bias": (float(np.median(gap)), float(mstats.mjci(gap, [0.5])[0]) if n > 1 else np.nan),
        "sd": (spread, spread / np.sqrt(2 * (n - 1)) if n > 1 else np.nan),
        "mean_error": _mean(used["std_error"].to_numpy(float)),
        "rmse": (rmse, _mean(gap**2)[1] / (2 * rmse) if rmse else np.nan),
        "coverage": _share((low <= truth) & (truth <= high)),
        "rejection": _share(seen),
    }
    real = seen & (np.abs(truth) > ROUNDING)
    if real.any():
        size = np.abs(estimate[real])
        true_size = np.abs(truth[real])
        ratio = float(size.mean() / true_size.mean())
        measures["type_s"] = _share(np.sign(truth[real]) != np.sign(estimate[real]))
        measures["type_m"] = ratio, _mean(size - ratio * true_size)[1] / float(true_size.mean())
    return measures


def _mean(values: Floats) -> Pair:
    if len(values) > 1:
        error = values.std(ddof=1) / np.sqrt(len(values))
    else:
        error = np.nan
    return float(values.mean()), float(error)


def _share(hits: Bools) -> Pair:
    share = float(hits.mean())
    return share, float(np.sqrt(share * (1 - share) / len(hits)))


def _smallest_seen(table: pd.DataFrame) -> tuple[Floats, Floats]:
    """Return the smallest detectable effects and their Monte Carlo errors.

    The error is half the change in the effect if `sd` and `mean_error` vary by their own Monte
    Carlo errors. An estimate with standard deviation s is detected if it lies z(level) standard
    errors from zero. So the standard error for :func:`fewtreated.estimators.power.detectable` is
    ``(z(level) m + z(power) s) / (z(level) + z(power))``, with m the mean standard error; it is s
    alone for intervals without a standard error.
    """
    level = float(table["level"].iloc[0])
    z = float(stats.norm.ppf((1 + level) / 2))
    more = float(stats.norm.ppf(POWER))
    rows = table.assign(estimate=table["truth"] + table["bias"], conf_low=np.nan, conf_high=np.nan)
    effects = []
    for step in (-1, 0, 1):
        spread = (table["sd"] + step * table["sd_mc"].fillna(0.0)).clip(lower=0)
        mean = (
            (table["mean_error"] + step * table["mean_error_mc"].fillna(0.0))
            .clip(lower=0)
            .fillna(spread)
        )
        error = (z * mean + more * spread) / (z + more)
        effects.append(detectable(rows.assign(std_error=error), level=level))
    low, at, high = effects
    return at, np.where(table["sd_mc"].isna(), np.nan, (high - low) / 2)


def simulated_beside(
    table: pd.DataFrame,
    presets: Iterable[str],
    seeds: Collection[int],
    *,
    design: Design,
    workers: Workers,
) -> dict[str, Any]:
    """Simulate panels of further seeds, and compare their coverage with that in an audit.

    Parameters
    ----------
    table : DataFrame
        The audit.
    presets, seeds, design, workers
        As for :func:`replicate`.

    Returns
    -------
    dict
        From :func:`beside_audit`; empty if there are no seeds, and then nothing is simulated.
    """
    if not seeds:
        return {}
    return beside_audit(replicate(presets, seeds, design=design, workers=workers), table)


def beside_audit(replicates: pd.DataFrame, table: pd.DataFrame) -> dict[str, Any]:
    """Compare the coverage in new replicates with that in an audit.

    The audit may be older than the code. The result is the mean over intervals of an indicator of
    coverage, less the coverage of the same cell in the audit; if levels differ, each less its
    level. Estimates from one panel are dependent, and so are panels with one seed, so the Monte
    Carlo error is that of a mean over seeds, and the interval uses Student's t.

    Parameters
    ----------
    replicates : DataFrame
        From :func:`replicate`, on other seeds.
    table : DataFrame
        From :func:`summarise`.

    Returns
    -------
    dict
        `estimate`, `std_error`, `conf_low`, `conf_high` in percentage points, `unit`, and the
        numbers of `intervals`, `seeds` and `markets`. `std_error` is NaN with a single seed.

    Raises
    ------
    DesignError
        If no interval has both a truth and a cell in the audit.
    """
    cells = table.loc[table["coverage"].notna(), ["preset", "id", "coverage", "level"]]
    used = replicates[replicates["low"].notna() & replicates["truth"].notna()]
    used = used.merge(cells, on=["preset", "id"], suffixes=("", "_audit"))
    if used.empty:
        raise DesignError(
            f"Cannot compare the coverage of {len(replicates)} estimates with {len(cells)} cells in"
            " an audit: no estimate has an interval, a truth and a cell; simulate more markets, or"
            " use presets from the audit"
        )
    inside = (used["low"] <= used["truth"]) & (used["truth"] <= used["high"])
    gap = 100 * (inside - used["level"] - used["coverage"] + used["level_audit"])
    by_seed = gap.groupby(used["seed"]).agg(["sum", "count"])
    mean = float(gap.mean())
    seeds = len(by_seed)
    away = (
        by_seed["sum"] - mean * by_seed["count"]
    ).to_numpy()  # residuals of a ratio of sums over seeds
    if seeds > 1:
        error = float(np.sqrt(seeds * (away**2).sum() / (seeds - 1)) / len(used))
    else:
        error = np.nan
    half = float(stats.t.ppf(0.975, seeds - 1)) * error
    return {
        **{"estimate": mean, "std_error": error, "conf_low": mean - half, "conf_high": mean + half},
        "unit": "percentage points",
        "intervals": len(used),
        "seeds": seeds,
        "markets": len(used[["preset", "seed"]].drop_duplicates()),
    }


def write(table: pd.DataFrame, name: str = "audit", root: Path = data.DATA) -> list[str]:
    """Write a table from :func:`summarise` to its CSV file in one step, and accept the file.

    A file in which no row moved stays as it is, to the last digit.

    Returns
    -------
    list of str
        The rows that moved: see :func:`market.moved.moved`.
    """
    file = root / data.card(name, root)["path"]
    content = _as_stored(table)
    lines = moved(content, file.read_text(encoding="utf-8"))
    if lines:
        data.replace(file, content)
        data.accept(name, vintage=date.today().isoformat(), root=root)
    return lines


def compare(table: pd.DataFrame, name: str = "audit", root: Path = data.DATA) -> list[str]:
    """Describe the rows of a stored audit that differ from a table drawn again.

    The table has some of the audit's presets.

    Nothing is written. The lines are those of :func:`market.moved.moved`.
    """
    file = root / data.card(name, root)["path"]
    return moved(_as_stored(table), file.read_text(encoding="utf-8"), {*table["preset"]})


def _as_stored(table: pd.DataFrame) -> str:
    """Return the text of a table's CSV file, with "simulated" as the `provenance` of every row."""
    return str(
        table.assign(provenance="simulated").to_csv(
            index=False, float_format="%.6g", lineterminator="\n"
        )
    )
