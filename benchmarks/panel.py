"""Time the reading of a million firms x 36 months from Parquet, and measure memory.

Peak memory is compared with the array's.

Each file is read in a fresh process, whose whole memory counts; the last figure excludes the
interpreter and its libraries. Rows are sorted by firm, as in written panels, or by month with firms
in random order, which is the hardest case if ids are coded once. Linux only.

With ``--orders N`` a panel is built from a file of N orders instead, beside SQL written by hand
that adds up the same rows without a look at any of them. Both run in a fresh process, in turn.
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
# An order is of one of 20,000 sellers, on one of two platforms, in one of 36 months
ORDERS = """
COPY (
    SELECT format('F{{:05d}}', hash(n, 3) % 20000) AS seller,
        if(hash(n) % 4 < 3, 'AMZ', 'EBY') AS platform,
        TIMESTAMP '2019-07-01 08:00:00' + to_days(CAST(hash(n, 1) % 1095 AS INT)) AS month,
        (1 + hash(n, 2) % 30000) / 100 AS sales
    FROM range({orders}) AS r(n)
) TO '{file}'
"""
SELLERS = """
COPY (
    SELECT format('F{{:05d}}', k) AS seller, format('B{{:05d}}', k // 3) AS brand_group,
        if(hash(k) % 5 < 2, 'CN', 'US') AS origin, format('c{{}}', hash(k) % 120) AS category,
        if(hash(-k) % 100 = 0, DATE '2021-05-01', NULL) AS closed_on
    FROM range(20000) AS r(k)
) TO '{file}'
"""
BY_HAND = """
COPY (
    SELECT sold.*, sellers.* EXCLUDE seller
    FROM (
        SELECT seller, platform, date_trunc('month', month) AS month, sum(sales) AS sales
        FROM '{file}' GROUP BY ALL
    ) AS sold JOIN '{sellers}' AS sellers USING (seller) ORDER BY seller, platform, month
) TO '{out}'
"""
MAP = """
columns: {firm: seller}
join: {file: sellers.parquet, key: seller}
population: census
rows: order
absent: zero
"""
PEAK = """
import re, sys, time

def peak():  # getrusage would count the parent's memory, too
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024

"""
READ = f"""{PEAK}
import pyarrow.csv, pyarrow.parquet
from analysis.panel import read_panel

before = peak()
start = time.perf_counter()
panel = read_panel(sys.argv[1])
seconds = time.perf_counter() - start
array, top = panel.sales.nbytes / 2**20, peak()
print(f"{{seconds:6.1f}} s   array {{array:5.0f}} MiB   peak {{top:5.0f}} MiB   "
      f"{{top / array:.2f}} times the array, "
      f"{{(top - before) / array:.2f}} without the interpreter")
"""
BUILD = f"""{PEAK}
from pathlib import Path
from analysis.event import read_event
from analysis.panel.read import build_panel

event = read_event("amazon_2021")
start = time.perf_counter()
build_panel([Path(sys.argv[1])], Path(sys.argv[2]), map=Path(sys.argv[3]), home=event.home,
            platforms=[*event.platforms])
print(time.perf_counter() - start, peak())
"""
QUERY = f"""{PEAK}
import duckdb

start = time.perf_counter()
duckdb.execute(sys.argv[1])
print(time.perf_counter() - start, peak())
"""


def main() -> None:
    """Print one line per row order, or one per round of orders."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--firms", type=int, default=1_000_000)
    parser.add_argument("--orders", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.orders:
            build(Path(folder), asked.orders, asked.rounds)
        else:
            read(Path(folder), asked.firms)


def read(folder: Path, firms: int) -> None:
    """Read panels of so many firms, by firm and by month."""
    for name, order in (("by_firm", "k, n"), ("by_month", "n, hash(k)")):
        path = folder / f"{name}.parquet"
        duckdb.execute(ROWS.format(firms=firms, order=order, file=path))
        print(f"{name:9}", end="", flush=True)
        subprocess.run([sys.executable, "-c", READ, str(path)], check=True)


def build(folder: Path, orders: int, rounds: int) -> None:
    """Build a panel from so many orders, in turn with SQL written by hand."""
    file = folder / "orders.parquet"
    sellers = folder / "sellers.parquet"
    duckdb.execute(ORDERS.format(orders=orders, file=file))
    duckdb.execute(SELLERS.format(file=sellers))
    named = folder / "orders.map.yml"
    named.write_text(MAP, encoding="utf-8")
    for each in range(rounds):
        out = folder / f"hand{each}.parquet"
        by_hand = BY_HAND.format(file=file, sellers=sellers, out=out)
        theirs, their_peak = timed(QUERY, by_hand)
        ours, our_peak = timed(BUILD, str(file), str(folder / f"panel{each}.parquet"), str(named))
        print(
            f"{orders:,} orders: SQL {theirs:.1f} s, {their_peak:.0f} MiB; panel {ours:.1f} s,"
            f" {our_peak:.0f} MiB; {ours / theirs:.2f} times the time",
            flush=True,
        )


def timed(program: str, *given: str) -> tuple[float, float]:
    """Run a program in a fresh process; return its seconds and its peak memory in MiB."""
    done = subprocess.run(
        [sys.executable, "-c", program, *given], check=True, stdout=subprocess.PIPE, text=True
    )
    seconds, top = map(float, done.stdout.split()[-2:])  # after what DuckDB prints of progress
    return seconds, top


if __name__ == "__main__":
    main()
