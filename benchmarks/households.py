"""Would the design for purchases of households see the truth? Twins of them, drawn from the simulated market.

``make audit`` runs it too. It writes data/households/audit.csv, whose grades report 09 reads.
"""

import argparse
import datetime
import os
from itertools import chain

import numpy as np
import pandas as pd

from analysis import audit, data
from analysis.estimands.design import Design
from analysis.households import twin

PRESETS = ("null", "floor_3k", "mid_3k", "ceiling_50k", "chill", "pretrend")
COLUMNS = [
    *("preset", "titles", "id", "unit", "first_seed", "last_seed", "closed", "markets", "truth"),
    *("bias", "bias_mc", "sd", "sd_mc", "mean_error", "mean_error_mc", "coverage", "coverage_mc"),
    *("rejection", "rejection_mc", "grade", "reason"),
]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per preset, titles and estimand; of random sets, how often p is at most .05."""
    parts = []
    for (titles, sets), of in rows.groupby(["titles", rows["id"] == twin.SETS], sort=False):
        if sets:
            size = (of["estimate"] <= 1 - Design.level).groupby(of["preset"], sort=False).agg(["mean", "size"])
            error = np.sqrt(size["mean"] * (1 - size["mean"]) / size["size"])
            seeds = {"first_seed": rows["seed"].min(), "last_seed": rows["seed"].max(), "grade": audit.NOT_GRADED}
            part = pd.DataFrame({"rejection": size["mean"], "rejection_mc": error, "markets": size["size"]})
            part = part.reset_index().assign(
                id=twin.SETS, unit="p", **seeds, closed=of.groupby("preset")["closed"].mean()
            )
        else:
            units = of["id"].str.removesuffix(twin.BOUNDED).map(twin.UNITS)
            part = audit.summarise(of.assign(label="", unit=units, level=Design.level, refused=""))
        parts.append(part.assign(titles=titles))
    found = pd.concat(parts, ignore_index=True)
    return found.sort_values(
        ["preset", "titles"],
        key=lambda names: (
            names.map(found["preset"].drop_duplicates().tolist().index) if names.name == "preset" else names
        ),
        kind="stable",
    )[COLUMNS]


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--markets", type=int, default=200, help="of each preset")
    options.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = options.parse_args()
    found = audit.each_panel(twin.replicate, PRESETS, range(1, asked.markets + 1), asked.workers)
    pd.DataFrame(chain(*found)).to_parquet("/tmp/twinrows.parquet")
