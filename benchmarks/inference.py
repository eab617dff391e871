"""Inference with few or unequal closed firms, in minutes: coverage, and the size of every test, on chosen presets.

``python -m benchmarks.inference --panels 100`` asks the plain panels alone; ``--presets`` and ``--ids`` name others of
both judges. The full audit is ``make audit``.
"""

import argparse
from collections.abc import Collection
from concurrent.futures import Executor

import numpy as np
import pandas as pd

from analysis import audit, executor
from analysis.estimands import closed_firms
from analysis.estimands.catalogue import estimate_all
from analysis.estimands.design import Design, attempt
from analysis.estimands.event_study import event_study
from analysis.grades import PATH
from analysis.market import plain
from analysis.testing import noninferiority

IDS = ("E1a", "E1b", "E1c", "E1d", "E2a", "E3g_seen", "E3_seen", "d1", "d2", "d3", "d6", "d7", PATH)
FAMILY = ("E1a", "E1b", "E1d")  # as report 03 tests them
SIZE = 0.05


def tests(preset: str, seed: int) -> dict:
    """Return whether each test rejects on one panel what is true there; missing where it is not made, or not true.

    `pretrend`, that paths were parallel before closure; `family`, any of no effect on closed firms, where there is
    none; `not_lower_E1a` and `not_lower_E3g_seen`, that the effect is no less than it is, where there is one.
    """
    panel, truth = audit.simulated(preset, seed)
    known, study = truth.scalars(), attempt(event_study, panel, Design())
    found = estimate_all(panel, Design(), [*FAMILY, "E3g_seen"])
    row = {"preset": preset, "pretrend": np.nan, "family": np.nan}
    if not study.refused:
        row["pretrend"] = _below(study.details["pretrend"].p_value)
    if known["E1a"] == 0:
        row["family"] = _below(closed_firms.family({name: found[name] for name in FAMILY})["p_adjusted"].min())
    for name in ("E1a", "E3g_seen"):
        one, margin = found[name], -known[name]
        testable = margin > 0 and one.std_error[0] > 0
        p_value = np.nan
        if testable:
            p_value = noninferiority(one.value[0], one.std_error[0], margin, df=one.df[0]).p_value
        row[f"not_lower_{name}"] = _below(p_value)
    return row


def _below(p_value: float) -> float:
    return np.nan if np.isnan(p_value) else float(p_value <= SIZE)


def sizes(presets: list[str], seeds: range, workers: Executor) -> pd.DataFrame:
    """Return how often each of :func:`tests` rejects by preset, per cent, with Monte Carlo errors in brackets."""
    rows = pd.DataFrame(audit.each_panel(tests, presets, seeds, workers)).groupby("preset", sort=False)
    share = rows.mean()
    error = (share * (1 - share) / rows.count()) ** 0.5
    return pd.DataFrame({name: _with_error(100 * share[name], 100 * error[name]) for name in share}, share.index)


def coverage(table: pd.DataFrame, ids: Collection[str]) -> pd.DataFrame:
    """Return coverage (MC), mean error over spread, bias (MC) and mean truth of some estimands by preset."""
    rows = table[table["id"].isin(ids)]
    written = {
        "coverage": _with_error(100 * rows["coverage"], 100 * rows["coverage_mc"]),
        "error/spread": (rows["mean_error"] / rows["sd"].where(rows["sd"] > 0)).round(2),
        "bias": _with_error(rows["bias"], rows["bias_mc"]),
        "truth": rows["truth"].round(2),
    }
    return rows[["preset", "id", "markets"]].assign(**written, grade=rows["grade"])


def _with_error(values: pd.Series, errors: pd.Series) -> list[str]:
    pairs = zip(values, errors, strict=True)
    return ["–" if pd.isna(value) else f"{value:.1f} ({error:.1f})" for value, error in pairs]


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", nargs="+", default=[*plain.PRESETS], help="presets (default: the plain ones)")
    parser.add_argument("--ids", nargs="+", default=IDS, help="estimands whose coverage is printed, or all")
    parser.add_argument("--panels", type=int, default=100, help="panels per preset (default 100)")
    executor.add_options(parser)
    asked = parser.parse_args()
    seeds = range(1, asked.panels + 1)
    with executor.opened(asked) as workers:
        table = audit.summarise(audit.replicate(asked.presets, seeds, design=Design(), workers=workers))
        rejected = sizes(asked.presets, seeds, workers)
    print(f"Coverage of 95% intervals, per cent (Monte Carlo error); {asked.panels} panels a preset")
    ids = tuple(table["id"].unique()) if "all" in asked.ids else tuple(asked.ids)
    print(coverage(table, ids).to_string(index=False))
    print(f"\nRejections of what is true, per cent (Monte Carlo error), at {SIZE:.0%}")
    print(rejected.to_string())


if __name__ == "__main__":
    main()
