"""Time the estimation of all estimands as the number of firms in a panel grows."""

import argparse
import time

from analysis.estimands.catalogue import estimate_all
from analysis.estimands.design import Design
from market import simulate

SIZES = (4_000, 16_000, 64_000, 256_000)


def seconds(start_firms: int) -> tuple[int, float]:
    """Simulate a panel; return its number of firms and the time taken to estimate everything on it."""
    panel, _ = simulate("mid_3k", seed=1, n_firms=start_firms)
    start = time.perf_counter()
    estimate_all(panel, Design())
    return len(panel.firms), time.perf_counter() - start


def main() -> None:
    """Print one line per panel size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=SIZES, help="firms at the start of the market")
    first = None
    for size in parser.parse_args().sizes:
        firms, taken = seconds(size)
        first = first or (firms, taken)
        print(
            f"{size:7,} firms at the start, {firms:7,} rows  {taken:7.2f} s  "
            f"{firms / first[0]:5.1f} times the firms, {taken / first[1]:5.1f} times the time",
            flush=True,
        )


if __name__ == "__main__":
    main()
