"""Try one estimator that the benchmark left out, beside the one that its report recommends.

Two-way fixed effects with the cluster jackknife (CRV3) are not among the tools of ``rivals.py``.
This program, ``python fewtreated/benchmarks/trial.py``, fits them to the same panels, by number of
closed brands, and writes ``data/benchmark/trial.csv``. Nothing is tuned; the call is that of the
library's documentation.
"""

import datetime
import warnings

import pandas as pd
from benchmark import FIRST_SEED, fitted, summarise
from rivals import TOOLS, Tool

from analysis import data

CELLS = ("few_5", "few_9", "few_19")
PANELS = 300
LEFT_OUT = Tool(
    name="feols_crv3",
    label="Two-way effects, jackknife",
    library="pyfixest",
    draws=PANELS,
    truth="log",
    call="feols('log_sales ~ closed | firm + month', data, vcov={'CRV3': 'brand'})",
)
TRIED = {tool.name: tool for tool in (LEFT_OUT, TOOLS["ours_log"])}
COLUMNS = ["cell", "tool", "label", "library", "version", "call", "draws"]
COLUMNS += ["coverage", "coverage_mc", "width", "power", "power_mc", "refused"]


def tried() -> pd.DataFrame:
    """Fit both estimators to every panel of the cells.

    Return a row per cell and estimator with `COLUMNS`.
    """
    seeds = range(FIRST_SEED, FIRST_SEED + PANELS)
    rows = pd.concat(
        [fitted(cell, PANELS, seed, TRIED) for cell in CELLS for seed in seeds], ignore_index=True
    )
    table = summarise(rows, TRIED)
    table["power_mc"] = (table["power"] * (1 - table["power"]) / table["draws"]) ** 0.5
    return table[COLUMNS].round(4)


def main() -> None:
    """Run the trial, write its table, and accept the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # each fit's warnings are recorded in its own row
        table = tried()
    table.to_csv(data.DATA / "benchmark" / "trial.csv", index=False, lineterminator="\n")
    data.accept("benchmark_trial", vintage=datetime.date.today().isoformat())
    print(table.drop(columns=["call", "library", "version"]).to_string(index=False))


if __name__ == "__main__":
    main()
