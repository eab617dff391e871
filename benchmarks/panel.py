"""Time the reading of a million firms x 36 months from Parquet, and compare peak memory with the array's.

Each file is read in a fresh process, whose whole memory counts; the last figure excludes the interpreter and its
libraries. Rows are sorted by firm, as in written panels, or by month with firms in random order, which is the hardest
case if ids are coded once. Linux only.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.panel import Panel

MONTHS = pd.period_range("2019-07", periods=36, freq="M")
READ = """
import re, sys, time
import pyarrow.csv, pyarrow.parquet
from analysis.panel import read_panel

def peak():  # getrusage would count the parent's memory, too
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024

before = peak()
start = time.perf_counter()
panel = read_panel(sys.argv[1])
seconds = time.perf_counter() - start
array, top = panel.sales.nbytes / 2**20, peak()
print(f"{seconds:6.1f} s   array {array:5.0f} MiB   peak {top:5.0f} MiB   {top / array:.2f} times the array, "
      f"{(top - before) / array:.2f} without the interpreter")
"""


def made_up(count: int) -> Panel:
    """Generate a panel of `count` firms on one platform."""
    rng = np.random.default_rng(0)
    closed = np.where(rng.random(count) < 0.01, np.datetime64("2021-05-01", "us"), np.datetime64("NaT", "us"))
    firms = pd.DataFrame(
        {
            "brand_group": [f"B{k // 3:07d}" for k in range(count)],
            "origin": np.where(rng.random(count) < 0.4, "CN", "US"),
            "category": [f"c{k}" for k in rng.integers(0, 120, count)],
            "closed_on": closed,
            "dose": np.where(np.isnat(closed), np.nan, 1.0),
            "risk": rng.random(count),
        },
        index=pd.Index([f"SIM-{k:07d}" for k in range(count)], name="firm"),
    )
    sales = np.exp(rng.normal(8, 2, (count, 1, len(MONTHS))))
    return Panel(sales, firms, ("AMZ",), MONTHS, "simulated")


def by_month(source: Path, target: Path, count: int) -> None:
    """Rewrite a panel's rows month by month, with firms in random order."""
    table, rng = pq.read_table(source), np.random.default_rng(0)
    with pq.ParquetWriter(target, table.schema) as writer:
        for month in range(len(MONTHS)):
            writer.write_table(table.take(pa.array(rng.permutation(count) * len(MONTHS) + month)))


def main() -> None:
    """Print one line per row order."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--firms", type=int, default=1_000_000)
    count = parser.parse_args().firms
    with tempfile.TemporaryDirectory() as folder:
        firms, months = Path(folder, "by_firm.parquet"), Path(folder, "by_month.parquet")
        made_up(count).to_parquet(firms)
        by_month(firms, months, count)
        for path in (firms, months):
            print(f"{path.stem:9}", end="", flush=True)
            subprocess.run([sys.executable, "-c", READ, str(path)], check=True)


if __name__ == "__main__":
    main()
