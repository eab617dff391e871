"""Audit the design for household purchases on twins drawn from simulated markets with a known truth.

``make audit`` runs this script, too. It writes data/households/audit.csv, from which report 09 reads its grades.
"""

import argparse
import datetime
from itertools import chain

import numpy as np
import pandas as pd

from analysis import data
from analysis.estimands.design import Design
from analysis.evidence.verdicts import DO_NOT_USE, NOT_GRADED, WITH_BOUNDS
from market import audit, executor, grading
from market import simulated_households as twin

PRESETS = ("null", "floor_3k", "mid_3k", "ceiling_50k", "chill", "pretrend")
FILE = data.DATA / "households" / "audit.csv"
COLUMNS = [
    *("preset", "titles", "id", "unit", "first_seed", "last_seed", "closed", "markets", "truth"),
    *("bias", "bias_mc", "sd", "sd_mc", "mean_error", "mean_error_mc", "coverage", "coverage_mc"),
    *("rejection", "rejection_mc", "grade", "reason", "provenance"),
]


def summarised(rows: pd.DataFrame) -> pd.DataFrame:
    """Summarise replicates in one row per preset, kind of titles and estimand.

    For random sets, `rejection` is the share with p <= 0.05.
    """
    parts = []
    for (titles, sets), of in rows.groupby(["titles", rows["id"] == twin.SETS]):
        if sets:
            by_preset = of.assign(rejects=of["estimate"] <= 1 - Design.level).groupby("preset")
            summary = by_preset["seed"].agg(first_seed="min", last_seed="max", markets="size")
            summary = summary.assign(
                id=twin.SETS, closed=by_preset["closed"].mean(), rejection=by_preset["rejects"].mean()
            )
            error = np.sqrt(summary["rejection"] * (1 - summary["rejection"]) / summary["markets"])
            summary = summary.assign(unit="p", rejection_mc=error, grade=NOT_GRADED).reset_index()
        else:
            units = of["id"].str.removesuffix(twin.BOUNDED).map(twin.UNITS)
            summary = audit.summarise(of.assign(label="", unit=units, level=Design.level, refused=""))
            sets_ = summary["id"].str.endswith(twin.BOUNDED)  # sets have no point estimate, so only coverage counts
            covers = Design.level - summary["coverage"] <= grading.LOST_WITH_BOUNDS
            summary["grade"] = summary["grade"].mask(sets_, covers.map({True: WITH_BOUNDS, False: DO_NOT_USE}))
            summary.loc[sets_, ["bias", "bias_mc", "sd", "sd_mc", "reason"]] = np.nan
        parts.append(summary.assign(titles=titles, provenance="simulated"))
    order = {name: rank for rank, name in enumerate([*PRESETS, *twin.TITLES])}
    table = pd.concat(parts, ignore_index=True)[COLUMNS]
    return table.sort_values(["preset", "titles"], key=lambda names: names.map(order), kind="stable", ignore_index=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markets", type=int, default=200, help="markets per preset (default 200)")
    executor.add_options(parser)
    options = parser.parse_args()
    with executor.opened(options) as workers:
        replicates = audit.each_panel(twin.replicate, PRESETS, range(1, options.markets + 1), workers)
    summary = summarised(pd.DataFrame(chain(*replicates)))
    summary.to_csv(FILE, index=False, float_format="%.6g", lineterminator="\n")
    data.accept("household_audit", vintage=datetime.date.today().isoformat())
    print(summary.to_string(index=False))
