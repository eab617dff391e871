"""Time the reading of a million firms x 36 months from Parquet, and measure memory.

Peak memory is compared with the array's.

Each file is read in a fresh process, whose whole memory counts; the last figure excludes the
interpreter and its libraries. Rows are sorted by firm, as in written panels, or by month with firms
in random order, which is the hardest case if ids are coded once. Linux only.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb

ROWS = """
COPY (
    SELECT format('SIM-{{:07d}}', k) AS firm, format('B{{:07d}}', k // 3) AS brand_group,
        if(hash(k) % 5 < 2, 'CN', 'US') AS origin,
        format('c{{}}', hash(k) % 120) AS category, 'AMZ' AS platform,
        CAST(DATE '2019-07-01' + to_months(CAST(n AS INT)) AS DATE) AS month,
        exp(8 + 2 * random()) AS sales,
        if(hash(-k) % 100 = 0, DATE '2021-05-01', NULL) AS closed_on,
        if(hash(-k) % 100 = 0, 1.0, NULL) AS dose,
        hash(k) / 2.0 ** 64 AS risk
    FROM range({firms}) AS f(k), range(36) AS m(n) ORDER BY {order}
) TO '{file}'
"""
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
print(f"{seconds:6.1f} s   array {array:5.0f} MiB   peak {top:5.0f} MiB   "
      f"{top / array:.2f} times the array, {(top - before) / array:.2f} without the interpreter")
"""


def main() -> None:
    """Print one line per row order."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--firms", type=int, default=1_000_000)
    count = parser.parse_args().firms
    with tempfile.TemporaryDirectory() as folder:
        for name, order in (("by_firm", "k, n"), ("by_month", "n, hash(k)")):
            path = Path(folder, f"{name}.parquet")
            duckdb.execute(ROWS.format(firms=count, order=order, file=path))
            print(f"{name:9}", end="", flush=True)
            subprocess.run([sys.executable, "-c", READ, str(path)], check=True)


if __name__ == "__main__":
    main()
