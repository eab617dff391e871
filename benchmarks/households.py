"""Audit the design for household purchases on twins with a known truth.

The twins are drawn from simulated markets.

``make audit`` runs this script, too. It writes data/households/audit.csv, from which report 05
reads its grades, and says which rows moved. ``--check`` draws one preset again, compares, writes
nothing, and ends with 1 if a row moved.
"""

import argparse
from itertools import chain

import numpy as np
import pandas as pd

from analysis.estimands.design import Design
from analysis.evidence.verdicts import DO_NOT_USE, WITH_BOUNDS
from market import audit, executor, grading, moved
from market import simulated_households as twin

PRESETS = ("null", "floor_3k", "mid_3k", "ceiling_50k", "chill", "pretrend")
CHECKED = "null"
COLUMNS = [
    *("preset", "titles", "id", "unit", "first_seed", "last_seed", "closed", "markets", "truth"),
    *("bias", "bias_mc", "sd", "sd_mc", "mean_error", "mean_error_mc", "coverage", "coverage_mc"),
    *("rejection", "rejection_mc", "grade", "reason"),
]


def summarised(rows: pd.DataFrame) -> pd.DataFrame:
    """Summarise replicates in one row per preset, kind of titles and estimand."""
    parts = []
    for titles, of in rows.groupby("titles"):
        units = of["id"].str.removesuffix(twin.BOUNDED).map(twin.UNITS)
        summary = audit.summarise(of.assign(label="", unit=units, level=Design.level, refused=""))
        sets = summary["id"].str.endswith(
            twin.BOUNDED
        )  # sets have no point estimate, so only coverage counts
        covers = Design.level - summary["coverage"] <= grading.LOST_WITH_BOUNDS
        summary["grade"] = summary["grade"].mask(
            sets, covers.map({True: WITH_BOUNDS, False: DO_NOT_USE})
        )
        summary.loc[sets, ["bias", "bias_mc", "sd", "sd_mc", "reason"]] = np.nan
        parts.append(summary.assign(titles=titles))
    order = {name: rank for rank, name in enumerate([*PRESETS, *twin.TITLES])}
    table = pd.concat(parts, ignore_index=True)[COLUMNS]
    return table.sort_values(
        ["preset", "titles"], key=lambda names: names.map(order), kind="stable", ignore_index=True
    )


def main() -> None:
    """Run the audit and write its results, or check one preset."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--markets", type=int, default=200, help="markets per preset (default 200)")
    parser.add_argument(
        "--check", action="store_true", help=f"only draw {CHECKED} again, and compare"
    )
    executor.add_options(parser)
    options = parser.parse_args()
    name = "household_audit"
    if options.check:
        presets = [CHECKED]
    else:
        presets = PRESETS
    with executor.opened(options) as workers:
        replicates = audit.each_panel(
            twin.replicate, presets, range(1, options.markets + 1), workers
        )
    summary = summarised(pd.DataFrame(chain(*replicates)))
    if options.check:
        lines = audit.compare(summary, name)
    else:
        lines = audit.write(summary, name)
    print(moved.sentence(f"data/households/audit.csv{f', {CHECKED}' * options.check}", lines))
    raise SystemExit(options.check and bool(lines))


if __name__ == "__main__":
    main()
