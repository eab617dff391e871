"""Measure how estimators did: coverage, length, interval score and power, with their own errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from generator import CELLS
from rivals import SIZE, Tool
from scipy import stats
from scipy.stats import mstats

HELD = 0.93  # coverage of what may be the best rival, but for twice its Monte Carlo error
ANSWERED = 0.9  # share of panels in which it has an interval
ENOUGH = 100  # panels that it, and a critical value, need
RESAMPLES = 200
NORMAL = float(stats.norm.ppf(1 - SIZE / 2))


def summarise(rows: pd.DataFrame, known: Mapping[str, Tool]) -> pd.DataFrame:
    r"""Tabulate how each tool did in each cell.

    Returns
    -------
    DataFrame
        One row per cell and tool, as README.md lists the columns. Monte Carlo errors are in columns
        ``..._mc``. The interval score of an interval from l to u for :math:`\theta` is

        .. math:: u - l + \frac{2}{\alpha} (l - \theta)_+ + \frac{2}{\alpha} (\theta - u)_+,

        which is least, on average, for the true quantiles. Scores and widths are in oracle lengths:
        over :math:`2 \cdot 1.96 s`, with s the spread of :meth:`generator.Drawn.oracle` over the
        panels of the cell.

    References
    ----------
    Gneiting, T. and Raftery, A. E. (2007), Strictly proper scoring rules, prediction, and
    estimation, Journal of the American Statistical Association 102, 359-378.
    """
    rows = rows.assign(target=rows["tool"].map(lambda name: known[name].truth))
    panels = rows.drop_duplicates(["cell", "target", "seed"])
    length = 2 * NORMAL * panels.groupby(["cell", "target"])["oracle"].std()
    rows = rows.join(length.rename("length"), on=["cell", "target"])
    miss = (rows["low"] - rows["truth"]).clip(lower=0) + (rows["truth"] - rows["high"]).clip(
        lower=0
    )
    rows["width"] = (rows["high"] - rows["low"]) / rows["length"]
    rows["score"] = rows["width"] + 2 / SIZE * miss / rows["length"]
    rows["covers"] = miss == 0
    # what has no standard error is measured by its own interval
    error = rows["std_error"].where(rows["std_error"] > 0, (rows["high"] - rows["low"]) / 2)
    rows["t"] = (rows["estimate"] / error).abs()
    fits = dict(list(rows.groupby(["cell", "tool"], sort=False)))
    table = pd.DataFrame([_about(*at, known) | _measures(group) for at, group in fits.items()])
    power = [_power_at_size(fits, *at) for at in fits]
    table[["power_at_size", "power_at_size_mc"]] = power
    table["best_rival"] = _best(table)
    best = table[table["best_rival"]].set_index(["cell", "truth"])["tool"]
    ratios = []
    for (cell, tool), group in fits.items():
        rival = best.get((cell, known[tool].truth))
        ratios.append(_ratio(group, fits[cell, rival]) if rival else [np.nan] * 3)
    table[["score_ratio", "score_ratio_low", "score_ratio_high"]] = ratios
    # rounded, as the last digits of a library's own threads differ from run to run
    return table.round(9)


def _about(cell: str, name: str, known: Mapping[str, Tool]) -> dict[str, Any]:
    tool = known[name]
    about = {"cell": cell, "kind": CELLS[cell].kind, "tool": name, "label": tool.label}
    about |= {"library": tool.library, "version": tool.version, "call": tool.call}
    about |= {"ours": tool.ours, "truth": tool.truth, "level": 1 - SIZE}
    return about | {"closed": CELLS[cell].closed, "open": CELLS[cell].open}


def _measures(group: pd.DataFrame) -> dict[str, Any]:
    """Return what :func:`summarise` says of the panels of one cell and tool."""
    whole = group["refused"] == ""
    used = group[whole]
    excludes = whole & ((group["low"] > 0) | (group["high"] < 0))
    told = group["warned"].where(whole, group["refused"])
    gap = used["estimate"] - used["truth"]
    found = {"draws": len(group), "effect": group["truth"].mean()}
    found |= _mean("bias", gap) | {"sd": gap.std(), "mean_error": used["std_error"].mean()}
    found |= _share("coverage", used["covers"])
    found |= {"width": used["width"].median(), "width_mc": _median_error(used["width"])}
    found |= _mean("score", used["score"]) | _share("power", excludes)
    found |= _share("refused", ~whole) | _share("warned", group["warned"] != "")
    found |= _share("pretrend", group["pretrend"].dropna() < SIZE)
    said = next(iter(told[told != ""].mode()), "")
    return found | {"says": " ".join(said.split())[:200]}


def _share(name: str, hits: pd.Series) -> dict[str, float]:
    share = hits.mean()
    return {name: share, f"{name}_mc": np.sqrt(share * (1 - share) / max(len(hits), 1))}


def _mean(name: str, values: pd.Series) -> dict[str, float]:
    return {name: values.mean(), f"{name}_mc": values.sem()}


def _median_error(values: pd.Series) -> float:
    return float(mstats.mjci(values, [0.5])[0]) if len(values) > 1 else np.nan


def _power_at_size(
    fits: Mapping[tuple[str, str], pd.DataFrame], cell: str, tool: str
) -> tuple[float, float]:
    """Return how often |t| is beyond the value that it has in 5 of 100 panels without an effect.

    Its error is from drawing the panels of both cells again.
    """
    null = fits.get((CELLS[cell].null, tool))
    if CELLS[cell].null in {"", cell} or null is None:
        return np.nan, np.nan
    here, there = (group["t"].dropna().to_numpy() for group in (fits[cell, tool], null))
    if min(len(here), len(there)) < ENOUGH:
        return np.nan, np.nan
    rng = np.random.default_rng(1)
    again = (rng.choice(there, (RESAMPLES, len(there))), rng.choice(here, (RESAMPLES, len(here))))
    critical = np.quantile(again[0], 1 - SIZE, axis=1)
    drawn = (again[1] > critical[:, np.newaxis]).mean(axis=1)
    return (here > np.quantile(there, 1 - SIZE)).mean(), drawn.std()


def _best(table: pd.DataFrame) -> pd.Series:
    """Return which rows are the best rival of their cell and truth.

    It has the smallest score of other libraries' tools that answer, and hold the truth, often
    enough.
    """
    rivals = table[
        ~table["ours"]
        & (table["draws"] >= ENOUGH)
        & (table["refused"] <= 1 - ANSWERED)
        & (table["coverage"] >= HELD - 2 * table["coverage_mc"])
    ]
    first = rivals.groupby(["cell", "truth"])["score"].idxmin()
    return pd.Series(table.index.isin(first), table.index)


def _ratio(group: pd.DataFrame, best: pd.DataFrame) -> list[float]:
    """Return the ratio of mean scores over the panels in which both answer, with its 95% interval.

    The interval is by the delta method, from pairs of scores.
    """
    answered = (
        rows.loc[rows["refused"] == ""].set_index("seed")["score"] for rows in (group, best)
    )
    pairs = pd.concat(answered, axis=1, join="inner").to_numpy()
    if len(pairs) < 2:
        return [np.nan] * 3
    own, other = pairs.mean(axis=0)
    ratio = own / other
    half = NORMAL * (pairs @ [1, -ratio]).std(ddof=1) / np.sqrt(len(pairs)) / other
    return [ratio, ratio - half, ratio + half]
