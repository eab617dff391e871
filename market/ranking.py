"""Rank the estimators of the benchmark, which were fitted to panels with few closed brands.

The tables are in ``data/benchmark``; ``fewtreated/benchmarks/README.md`` explains their columns.
"""

from __future__ import annotations

import pandas as pd

from analysis import data
from market.grading import LOST

# kinds of panels by the question of which estimator to take
PLAIN = ("one", "two", "five", "nine", "nineteen")
FEW_OTHERS = ("comparison_3", "comparison_5")
SHARES = ["level", "coverage", "coverage_mc", "power", "power_mc", "power_at_size"]
SHARES += ["refused", "warned", "pretrend"]
BESIDE = ["cell", "label", "score_ratio", "score_ratio_low", "score_ratio_high"]
FEWEST = 100  # panels of an estimator that may be chosen
OURS = "of this project"
WRITTEN = {"scipy": "written out"}  # methods that no package has


def results() -> pd.DataFrame:
    """Return the benchmark, a row for each estimator and kind of panel.

    Returns
    -------
    DataFrame
        Its columns, shares in per cent; `name`, the estimator with its library; `brands`, the
        number of closed brands in the cells `PLAIN`; and `enough`, whether intervals contain
        the truth at most 3 points less often than they claim, and are given often enough for that.
    """
    rows = pd.read_parquet(_file("benchmark"))
    rows[SHARES] *= 100
    library = rows["library"].mask(rows["ours"], OURS).replace(WRITTEN)
    brands = rows["closed"].where(rows["cell"].isin(PLAIN)).astype("Int64")
    needed = rows["level"] - 100 * LOST
    return rows.assign(
        name=rows["label"] + " (" + library + ")",
        brands=brands,
        enough=rows["coverage"].ge(needed) & rows["refused"].lt(100 - needed),
    )


def ranked(rows: pd.DataFrame) -> pd.DataFrame:
    """Rank the estimators of one kind of panel, by `tool`.

    First come those that are right often enough, the one with the smallest interval score first;
    then the others, the one that is right most often first.
    """
    by_score = rows[rows["enough"]].sort_values("score")
    by_coverage = rows[~rows["enough"]].sort_values("coverage", ascending=False)
    return pd.concat([by_score, by_coverage]).set_index("tool", drop=False)


def chosen(rows: pd.DataFrame) -> pd.DataFrame:
    """Say which estimator of the effect on logs to take for how many treated clusters.

    Returns
    -------
    DataFrame
        One row for each of `PLAIN` and `FEW_OTHERS`: the first of :func:`ranked` among tools with
        at least `FEWEST` panels, with their columns; beside it, in columns ``..._ours``, the first
        of this project. A cell in which none is right often enough has no row.
    """
    kept = rows[(rows["truth"] == "log") & (rows["draws"] >= FEWEST) & rows["enough"]]
    cells = [ranked(kept[kept["cell"] == cell]) for cell in (*PLAIN, *FEW_OTHERS)]
    first = pd.concat([cell.head(1) for cell in cells])
    own = pd.concat([cell[cell["ours"]].head(1) for cell in cells])
    return first.merge(own[BESIDE], on="cell", how="left", suffixes=("", "_ours"))


def with_costs(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the time of a fit, `milliseconds`, and its memory, `mebibytes`, to rows by tool."""
    costs = pd.read_parquet(_file("benchmark_costs")).set_index("tool")
    costs = costs.assign(milliseconds=1000 * costs["seconds"])
    return rows.join(costs[["milliseconds", "mebibytes"]])


def _file(name: str) -> str:
    data.verified(name)
    return str(data.DATA / data.card(name)["path"])
