"""Run the benchmark of estimators with few closures.

``make benchmark`` fits every tool of ``rivals.py`` on the panels of every cell of
``generator.py``, and writes data/benchmark: ``results.parquet``, which is the same in
every run with the same versions, and ``costs.parquet``, the seconds and memory, which are not. A
cell whose panels are in build/benchmark is not run again; remove that folder to start anew.
"""

import argparse
import datetime
import logging
import re
import subprocess
import sys
from collections.abc import Collection, Mapping
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import pandas as pd
from generator import CELLS, KINDS, NEVER
from rivals import TOOLS, Tool
from scipy import stats

from analysis import data
from analysis.provenance import ROOT
from market import audit, executor

PARTS = ROOT / "build" / "benchmark"
# panels of a block are what a stop can lose
FIRST_SEED = 3001
SIZE = 0.05
LEVEL = 0.95
BLOCK = 100
LARGEST = "few_99"  # the cell whose panels have most rows, on which memory is measured
KEPT = [
    "level",
    "coverage",
    "coverage_mc",
    "bias",
    "bias_mc",
    "sd",
    "mean_error",
    "truth",
    "grade",
    "reason",
]


def fitted(
    cell: str, draws: int, seed: int, tools: Mapping[str, Tool] | None = None
) -> pd.DataFrame:
    """Draw one panel, and fit the tools, by default all of `TOOLS`, that are given that many draws.

    Returns
    -------
    DataFrame
        One row per tool: `preset` (the cell), `seed`, `id` (the tool), `closed`, the number of
        closed brands, `firms`, the number of closed firms, `truth`, `oracle`, `parallel`, and what
        :meth:`rivals.Tool.run` returns.
    """
    logging.disable(logging.WARNING)  # the other libraries' own
    drawn = CELLS[cell](seed)
    shut = drawn.firms["first"] != NEVER
    table = drawn.long()
    about = {"preset": cell, "seed": seed, "firms": int(shut.sum()), "parallel": drawn.parallel}
    about |= {
        "closed": drawn.firms.loc[shut, "brand"].nunique(),
        "level": LEVEL,
        "unit": "log points",
    }
    if not shut.any():
        return pd.DataFrame()
    truth = drawn.truth()
    oracle = drawn.oracle()
    return pd.DataFrame(
        about
        | {"id": name, "label": tool.label, "truth": truth[tool.truth], "oracle": oracle}
        | tool.run(table)
        for name, tool in (TOOLS if tools is None else tools).items()
        if tool.draws == draws
    )


def all_draws(
    cells: Collection[str], panels: int, workers: Executor | int, folder: Path
) -> pd.DataFrame:
    """Fit at most so many panels of each cell, and return a row per panel and tool.

    Quick tools go first. What is already in the folder, by cell, draws and block of panels, is
    read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    counts = sorted({tool.draws for tool in TOOLS.values()}, reverse=True)
    parts = [
        (cell, most, at)
        for most in counts
        for at in range(0, min(most, panels), BLOCK)
        for cell in cells
    ]
    files = [folder / f"{cell}_{most}_{at}.parquet" for cell, most, at in parts]
    for file, (cell, most, at) in zip(files, parts, strict=True):
        if not file.exists():
            items = [
                (cell, most, FIRST_SEED + number)
                for number in range(at, min(at + BLOCK, most, panels))
            ]
            rows = pd.concat(
                executor.each(fitted, items, workers, f"panels of {cell}"), ignore_index=True
            )
            rows.to_parquet(file.with_suffix(".draft"), index=False)
            file.with_suffix(".draft").rename(file)
    order = {name: place for place, name in enumerate((*cells, *TOOLS))}
    rows = pd.concat(map(pd.read_parquet, files))
    return rows.sort_values(
        ["preset", "id"], key=lambda names: names.map(order), kind="stable", ignore_index=True
    )


def summarise(rows: pd.DataFrame, tools: Mapping[str, Tool] | None = None) -> pd.DataFrame:
    r"""Tabulate how each tool did in each cell.

    Returns
    -------
    DataFrame
        One row per cell and tool, with `KEPT` as :func:`market.audit.summarise` defines them, on
        panels with an interval; `draws` and `closed`, the numbers of panels and closed brands;
        `width`, the median width of intervals over :math:`2 \cdot 1.96 s`, with s the spread of
        :meth:`generator.Drawn.oracle` over the panels of the cell; `power`, the share of
        all panels whose interval excludes zero; `pretrend`, the share whose test of parallel paths
        rejects at `SIZE`, where they are parallel; `refused` and `warned`, shares, and `says`, the
        most frequent message; `kind`, what the panels are like; `version` and `call`.
    """
    table = audit.summarise(rows)
    more = []
    kinds = dict(zip(CELLS, KINDS.split("|"), strict=True))
    if tools is None:
        known = TOOLS
    else:
        known = tools
    spreads = rows.drop_duplicates(["preset", "seed"]).groupby("preset")["oracle"].std()
    lengths = (
        2 * stats.norm.ppf((1 + LEVEL) / 2) * spreads
    )  # of intervals of one who knows the spread
    for (cell, name), group in rows.groupby(["preset", "id"], sort=False):
        whole = group["refused"] == ""
        about = {"preset": cell, "id": name, "draws": len(group)}
        told = pd.Series(np.where(whole, group["warned"], group["refused"]))
        excludes = whole & ((group["low"] > 0) | (group["high"] < 0))
        if group["parallel"].all():
            tested = group["pretrend"].dropna()
        else:
            tested = pd.Series(dtype=float)
        about |= {
            "closed": group["closed"].mean(),
            "power": excludes.mean(),
            "refused": (~whole).mean(),
        }
        about["width"] = (group["high"] - group["low"])[whole].median() / lengths[cell]
        about |= {"pretrend": (tested < SIZE).mean(), "warned": (group["warned"] != "").mean()}
        about |= {"says": next(iter(told[told != ""].mode()), "")[:200], "kind": kinds[cell]}
        more.append(
            about
            | {
                key: getattr(known[name], key)
                for key in ("label", "library", "version", "call", "ours")
            }
        )
    found = table[["preset", "id", *KEPT]].merge(pd.DataFrame(more), on=["preset", "id"])
    # rounded, as the last digits of a library's own threads differ from run to run
    return found.rename(columns={"preset": "cell", "id": "tool"}).round(9)


def peak(name: str) -> float:
    """Return the largest memory of a fresh process that makes one fit, in MiB.

    Imports are included.
    """
    command = [sys.executable, __file__, "--peak", name]
    return float(
        subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    )


def main() -> None:
    """Run the benchmark, and write its results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--panels", type=int, default=300, help="most panels of a cell (default 300)"
    )
    parser.add_argument(
        "--cells", nargs="+", choices=CELLS, default=[*CELLS], help="cells (default all)"
    )
    parser.add_argument(
        "--out", type=Path, default=data.DATA / "benchmark", help="folder of the results"
    )
    parser.add_argument("--parts", type=Path, default=PARTS, help="folder of finished cells")
    parser.add_argument("--peak", choices=TOOLS, help=argparse.SUPPRESS)
    executor.add_options(parser)
    options = parser.parse_args()
    if options.peak:
        TOOLS[options.peak].run(CELLS[LARGEST](FIRST_SEED).long())
        status = Path("/proc/self/status").read_text(
            encoding="utf-8"
        )  # getrusage would count the parent's, too
        print(int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024)
        return
    with executor.opened(options) as workers:
        rows = all_draws(options.cells, options.panels, workers, options.parts)
    options.out.mkdir(parents=True, exist_ok=True)
    table = summarise(rows)
    table.to_parquet(options.out / "results.parquet", index=False)
    costs = rows.groupby("id", sort=False)["seconds"].median().rename_axis("tool").reset_index()
    costs["mebibytes"] = costs["tool"].map(peak)
    costs.to_parquet(options.out / "costs.parquet", index=False)
    print(table.pivot(index="tool", columns="cell", values="coverage").round(2).to_string())
    if options.out == data.DATA / "benchmark":
        for name in ("benchmark", "benchmark_costs"):
            data.accept(name, vintage=datetime.date.today().isoformat())


if __name__ == "__main__":
    main()
