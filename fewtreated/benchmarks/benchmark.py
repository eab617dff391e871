"""Run the benchmark of estimators for few treated clusters.

It fits every tool of ``tools.csv`` to the panels of every cell of ``cells.csv``, and writes two
tables: ``results.parquet``, which is the same in every run with the same versions, and
``costs.parquet``, the seconds and memory, which are not. Fits are kept by block of panels; one that
is kept, of the same call and version, is not made again.
"""

import argparse
import logging
import os
import re
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
from generator import CELLS
from measures import summarise
from rivals import TABLE, Tool, tools

BLOCK = 100  # panels that a stop can lose
LARGEST = "alike"  # the cell whose panels have most rows, on which memory is measured
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def fitted(cell: str, seed: int, chosen: Collection[Tool]) -> list[dict[str, Any]]:
    """Draw one panel and fit tools to it.

    Returns
    -------
    list of dict
        One per tool: `cell`, `seed`, `tool`, `call`, `version`, the `truth` that it estimates, the
        `oracle` of that truth, and what :meth:`rivals.Tool.run` returns.
    """
    logging.disable(logging.WARNING)  # the other libraries' own
    drawn = CELLS[cell].draw(seed)
    truth, oracle = drawn.truth(), drawn.oracle()
    tables = {name: drawn.long(name) for name in truth}
    return [
        {"cell": cell, "seed": seed, "tool": tool.name, "call": tool.call, "version": tool.version}
        | {"truth": truth[tool.truth], "oracle": oracle[tool.truth]}
        | tool.run(tables[tool.truth])
        for tool in chosen
    ]


def all_fits(
    cells: Collection[str],
    known: Mapping[str, Tool],
    panels: int,
    workers: Executor,
    folder: Path,
) -> pd.DataFrame:
    """Return what :func:`fitted` does of at most so many panels of each cell, making what lacks.

    Seeds count from 1. What the folder holds of another call or version is made again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for start in range(1, panels + 1, BLOCK):
        seeds = range(start, min(start + BLOCK, panels + 1))
        for cell in cells:
            file = folder / f"{cell}_{start}.parquet"
            held = _held(file, known)
            done = {*zip(held["seed"], held["tool"], strict=True)}
            work = {
                seed: [
                    tool
                    for tool in known.values()
                    if seed <= tool.draws and (seed, tool.name) not in done
                ]
                for seed in seeds
            }
            work = {seed: chosen for seed, chosen in work.items() if chosen}
            if work:
                made = workers.map(fitted, [cell] * len(work), work.keys(), work.values())
                held = pd.concat([held, pd.DataFrame([row for rows in made for row in rows])])
                _keep(held, file)
                held = _held(file, known)
                print(f"{cell}: panels {start} to {seeds[-1]}", flush=True)
            found.append(held[held["seed"].isin(seeds)])
    order = {name: place for place, name in enumerate((*cells, *known))}
    rows = pd.concat(found, ignore_index=True)
    rows = rows[rows["seed"] <= rows["tool"].map(lambda name: known[name].draws)]
    return rows.sort_values(
        ["cell", "tool", "seed"],
        key=lambda names: names.map(order) if names.name != "seed" else names,
        ignore_index=True,
    )


def _held(file: Path, known: Mapping[str, Tool]) -> pd.DataFrame:
    """Return the fits in a file that are of the tools as they are now."""
    if not file.exists():
        return pd.DataFrame({"seed": [], "tool": []})
    rows = pd.read_parquet(file)
    now = {(tool.name, tool.call, tool.version) for tool in known.values()}
    made = zip(rows["tool"], rows["call"], rows["version"], strict=True)
    return rows[[fit in now for fit in made]]


def _keep(rows: pd.DataFrame, file: Path) -> None:
    """Write a file in one step."""
    rows.to_parquet(file.with_suffix(".draft"), index=False)
    file.with_suffix(".draft").rename(file)


def forget(names: Collection[str], folder: Path) -> None:
    """Remove all fits of some tools, whose code has changed but not their version."""
    for file in folder.glob("*.parquet"):
        rows = pd.read_parquet(file)
        _keep(rows[~rows["tool"].isin(names)], file)


def peak(name: str, table: Path) -> float:
    """Return the largest memory of a fresh process that makes one fit, in MiB, on Linux.

    Imports are included.
    """
    command = [sys.executable, __file__, "--tools", str(table), "--peak", name]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(said.split()[-1])  # a library may print, too


def _peak(tool: Tool) -> float:
    tool.run(CELLS[LARGEST].draw(1).long(tool.truth))
    status = Path("/proc/self/status")  # getrusage would count the parent's, too
    if not status.exists():
        return float("nan")
    return int(re.search(r"VmHWM:\s+(\d+)", status.read_text(encoding="utf-8"))[1]) / 1024


@contextmanager
def opened(options: argparse.Namespace) -> Iterator[Executor]:
    """Open the workers chosen on the command line: processes here, or those of a dask scheduler."""
    if options.scheduler:
        from distributed import Client

        with Client(options.scheduler) as client:
            yield client.get_executor(pure=False)
        return
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
        yield pool


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--panels", type=int, default=1000, help="most of a cell (default 1000)")
    parser.add_argument(
        "--cells", nargs="+", choices=CELLS, default=[*CELLS], help="cells (default all)"
    )
    parser.add_argument("--tools", type=Path, default=TABLE, help="table of tools")
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder of the results")
    parser.add_argument("--parts", type=Path, default=Path("parts"), help="folder of finished fits")
    parser.add_argument(
        "--again", nargs="+", default=[], metavar="TOOL", help="tools to forget the fits of first"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of dask: tcp://scheduler:8786")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    return parser


def main() -> None:
    """Run the benchmark, and write its results."""
    options = _parser().parse_args()
    try:
        known = tools(options.tools)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None
    if options.peak:
        print(_peak(known[options.peak]))
        return
    for name in THREADS:  # sums on several threads differ in their last digits
        os.environ.setdefault(name, "1")
    forget(options.again, options.parts)
    with opened(options) as workers:
        rows = all_fits(options.cells, known, options.panels, workers, options.parts)
    options.out.mkdir(parents=True, exist_ok=True)
    table = summarise(rows, known)
    table.to_parquet(options.out / "results.parquet", index=False)
    print("Measuring the memory of each tool in a process of its own", flush=True)
    costs = rows.groupby("tool", sort=False)["seconds"].median().reset_index()
    costs["mebibytes"] = [peak(name, options.tools) for name in costs["tool"]]
    costs.to_parquet(options.out / "costs.parquet", index=False)
    print(f"Share of intervals that contain the truth; all results are in {options.out}:")
    print(table.pivot(index="tool", columns="cell", values="coverage").round(2).to_string())


if __name__ == "__main__":
    main()
