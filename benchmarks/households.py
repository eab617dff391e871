"""Would the design for purchases of households see the truth? Twins of them, drawn from the simulated market.

``make audit`` runs it too. It writes data/households/audit.csv, whose grades report 09 reads.
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


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row per preset, titles and estimand; of random sets `rejection` is how often p is at most .05."""
    parts = []
    for (titles, sets), of in rows.groupby(["titles", rows["id"] == twin.SETS]):
        if sets:
            rejects = of["estimate"] <= 1 - Design.level
            part = (
                of.assign(rejects=rejects)
                .groupby("preset", as_index=False)
                .agg(
                    id=("id", "first"),
                    first_seed=("seed", "min"),
                    last_seed=("seed", "max"),
                    closed=("closed", "mean"),
                    markets=("seed", "size"),
                    rejection=("rejects", "mean"),
                )
            )
            error = np.sqrt(part["rejection"] * (1 - part["rejection"]) / part["markets"])
            part = part.assign(unit="p", rejection_mc=error, grade=NOT_GRADED)
        else:
            units = of["id"].str.removesuffix(twin.BOUNDED).map(twin.UNITS)
            part = audit.summarise(of.assign(label="", unit=units, level=Design.level, refused=""))
            sets_ = part["id"].str.endswith(twin.BOUNDED)  # no point is read off them, so that coverage alone counts
            covers = Design.level - part["coverage"] <= grading.LOST_WITH_BOUNDS
            part["grade"] = part["grade"].mask(sets_, covers.map({True: WITH_BOUNDS, False: DO_NOT_USE}))
            part.loc[sets_, ["bias", "bias_mc", "sd", "sd_mc", "reason"]] = np.nan
        parts.append(part.assign(titles=titles, provenance="simulated"))
    order = {name: place for place, name in enumerate([*PRESETS, *twin.TITLES])}
    found = pd.concat(parts, ignore_index=True)[COLUMNS]
    return found.sort_values(["preset", "titles"], key=lambda names: names.map(order), kind="stable", ignore_index=True)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--markets", type=int, default=200, help="of each preset")
    executor.add_options(options)
    asked = options.parse_args()
    with executor.opened(asked) as workers:
        found = audit.each_panel(twin.replicate, PRESETS, range(1, asked.markets + 1), workers)
    made = table(pd.DataFrame(chain(*found)))
    made.to_csv(FILE, index=False, float_format="%.6g", lineterminator="\n")
    data.accept("household_audit", vintage=datetime.date.today().isoformat())
    print(made.to_string(index=False))
