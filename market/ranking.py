"""Rank the estimators of the benchmark, which were fitted to panels with few closed brands.

The tables are in ``data/benchmark``; ``docs/benchmark.md`` explains their columns.
"""

from __future__ import annotations

import pandas as pd

from analysis import data
from market.grading import LOST

FEW = r"few_(\d+)"  # kinds of panels that differ in the number of closed brands alone
SHARES = ("level", "coverage", "coverage_mc", "power", "refused", "warned", "pretrend")
OURS = "of this project"


def results() -> pd.DataFrame:
    """Return the benchmark, a row for each estimator and kind of panel.

    Returns
    -------
    DataFrame
        Its columns, shares in per cent; `name`, the estimator with its library; `brands`, the
        number of closed brands where that alone differs; and `enough`, whether intervals contain
        the truth at most 3 points less often than they claim, and are given often enough for that.
    """
    rows = pd.read_parquet(_file("benchmark"))
    rows[[*SHARES]] *= 100
    library = rows["library"].mask(rows["ours"], OURS)
    brands = rows["cell"].str.extract(rf"^{FEW}$")[0].astype("Int64")
    needed = rows["level"] - 100 * LOST
    return rows.assign(
        name=rows["label"] + " (" + library + ")",
        brands=brands,
        enough=rows["coverage"].ge(needed) & rows["refused"].lt(100 - needed),
    )


def ranked(rows: pd.DataFrame) -> pd.DataFrame:
    """Rank the estimators of one kind of panel, by `tool`.

    First come those that are right often enough, the shortest first; then the others, the one that
    is right most often first.
    """
    by_length = rows[rows["enough"]].sort_values("width")
    by_coverage = rows[~rows["enough"]].sort_values("coverage", ascending=False)
    return pd.concat([by_length, by_coverage]).set_index("tool", drop=False)


def with_costs(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the time of a fit, `milliseconds`, and its memory, `mebibytes`, to rows by tool."""
    costs = pd.read_parquet(_file("benchmark_costs")).set_index("tool")
    costs = costs.assign(milliseconds=1000 * costs["seconds"])
    return rows.join(costs[["milliseconds", "mebibytes"]])


def _file(name: str) -> str:
    data.verified(name)
    return str(data.DATA / data.card(name)["path"])
