"""What a report shows of an audit: who is graded how, and where two audits disagree."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from analysis.audit.grading import GRADES, MOST_BIAS, NOT_GRADED
from analysis.audit.path import PATH
from analysis.audit.performance import ROUNDING
from analysis.errors import DesignError
from analysis.market.parameters import Parameters, chosen

KEYS = ["preset", "id"]
POWER = {
    **{"id": "Estimand", "truth": "Mean truth", "mde": "Smallest effect seen", "mde_mc": "MC"},
    **{"rejection": "Power", "rejection_mc": "MC", "type_s": "Type S", "type_s_mc": "MC"},
    **{"type_m": "Type M, ratio", "type_m_mc": "MC"},
}
"""Columns of `power` and their headers."""
APART = {
    **{"preset": "Preset", "id": "Estimand", "coverage_run": "Coverage, this run", "markets_run": "Markets"},
    **{"coverage_kept": "Full audit", "markets_kept": "Markets", "p_adjusted": "Adjusted p"},
}
"""Columns of `apart` and their headers."""
COMPARED = [*KEYS, "level", "coverage", "markets"]


def mechanisms(table: pd.DataFrame) -> pd.DataFrame:
    """Describe the presets of an audit by the parameters in which they differ from the defaults, ``mid_3k``.

    Returns
    -------
    DataFrame
        `preset`; `closed`, mean number of closed firms of a panel; `differs`, parameters with value, default and unit.
    """
    plain = Parameters()
    units = {known.name: known.metadata["unit"] for known in dataclasses.fields(Parameters)}
    rows = []
    for preset, closed in table.groupby("preset", sort=False)["closed"].first().items():
        values = dataclasses.asdict(chosen(str(preset)))
        changed = {name: value for name, value in values.items() if value != getattr(plain, name)}
        words = [
            f"{name} {value:,.10g} instead of {getattr(plain, name):,.10g} ({units[name]})"
            for name, value in changed.items()
        ]
        rows.append({"preset": preset, "closed": closed, "differs": "; ".join(words) or "the defaults"})
    return pd.DataFrame(rows)


def estimands(table: pd.DataFrame) -> pd.DataFrame:
    """Return `id`, `label`, `unit` of each estimand of an audit, once."""
    return table.sort_values("unit", key=lambda unit: unit == "", kind="stable").drop_duplicates("id")[
        ["id", "label", "unit"]
    ]


def covered(replicates: pd.DataFrame) -> dict[str, float]:
    """Return how many of all truths lie inside their intervals, over estimands and presets.

    Estimates of one market go together, and so do markets of one seed: the Monte Carlo error is that of the mean over
    seeds, the interval from Student's t.

    Returns
    -------
    dict
        `share`, `error`, `low`, `high` in per cent; `intervals`, `seeds`, `markets` that stand behind it. The error is
        NaN with a single seed.

    Raises
    ------
    DesignError
        If no interval has a truth.
    """
    used = replicates[replicates["scored"] & replicates["low"].notna() & replicates["truth"].notna()]
    if used.empty:
        raise DesignError("a share of truths inside intervals was asked for; no interval has a truth; simulate more")
    inside = (used["low"] <= used["truth"]) & (used["truth"] <= used["high"])
    by_seed = inside.groupby(used["seed"]).agg(["sum", "count"])
    share, seeds = 100 * float(inside.mean()), len(by_seed)
    # of a ratio of sums over seeds
    gap = 100 * by_seed["sum"].to_numpy(float) - share * by_seed["count"].to_numpy(float)
    error = float(np.sqrt(seeds * (gap**2).sum() / max(seeds - 1, 1)) / len(used)) if seeds > 1 else np.nan
    reach = float(stats.t.ppf(0.975, seeds - 1)) * error if seeds > 1 else np.nan
    markets = len(used[["preset", "seed"]].drop_duplicates())
    return {
        "share": share,
        "error": error,
        "low": max(share - reach, 0.0),
        "high": min(share + reach, 100.0),
        "intervals": len(used),
        "seeds": seeds,
        "markets": markets,
    }


def shares(replicates: pd.DataFrame, *, first: int = 50) -> pd.DataFrame:
    """Return :func:`covered` over all presets, over all presets in the first so many seeds, and by preset.

    Returns
    -------
    DataFrame
        `preset`, "all" or one; `first_seed`, `last_seed`, and what :func:`covered` returns.
    """
    lowest = replicates["seed"].min()
    parts = [("all", replicates), ("all", replicates[replicates["seed"] < lowest + first])]
    parts += [(str(name), part) for name, part in replicates.groupby("preset", sort=False)]
    rows = [
        {"preset": name, "first_seed": part["seed"].min(), "last_seed": part["seed"].max()} | covered(part)
        for name, part in parts
    ]
    return pd.DataFrame(rows).drop_duplicates(["preset", "first_seed", "last_seed"], ignore_index=True)


def standardised(replicates: pd.DataFrame, name: str, preset: str) -> pd.DataFrame:
    """Return the intervals of one estimand, measured from the truth in their own standard errors.

    Parameters
    ----------
    replicates : DataFrame
    name : str
        Id of the estimand.
    preset : str
        One preset, or "all_presets".

    Returns
    -------
    DataFrame
        By growing size of z: `preset`, `seed`, `z`, `low`, `high`, `holds` (whether the truth, 0, is inside).

    Raises
    ------
    DesignError
        If there is no such estimand, or none of its intervals has a truth and a positive error.
    """
    asked = replicates[(replicates["id"] == name) & ((replicates["preset"] == preset) | (preset == "all_presets"))]
    used = asked[(asked["std_error"] > 0) & asked["low"].notna() & asked["truth"].notna()]
    if used.empty:
        raise DesignError(
            f"the intervals of {name} in {preset} were asked for; {len(asked)} markets answer, none "
            "with an interval and a truth; name another preset of this run, or an estimand of "
            f"{', '.join(replicates['id'].unique())}"
        )
    unit = {
        new: (used[old] - used["truth"]) / used["std_error"]
        for new, old in (("z", "estimate"), ("low", "low"), ("high", "high"))
    }
    rows = used[["preset", "seed"]].assign(**unit)
    rows["holds"] = (rows["low"] <= 0) & (rows["high"] >= 0)
    return rows.sort_values("z", key=np.abs, kind="stable", ignore_index=True)


def grid(table: pd.DataFrame, column: str, like: pd.DataFrame) -> pd.DataFrame:
    """Return a column of an audit by estimand (rows) and preset, in the order of another; missing where absent."""
    wide = table.pivot(index="id", columns="preset", values=column)
    return wide.reindex(index=like["id"].unique(), columns=like["preset"].unique())


Cells = tuple[pd.DataFrame, npt.NDArray[np.int64], int | None]
BIAS, RMSE = "bias over spread", "RMSE"
POWERS = {  # of `power_cells`: column, factor, where the shade changes, decimals
    "power": ("rejection", 100, (0.5, 0.8), 0),
    "Type S": ("type_s", 100, (0.05, 0.1), 0),
    "Type M": ("type_m", 1, (1.5, 2.0), None),
}


def coverage_cells(table: pd.DataFrame, limits: tuple[float, float]) -> Cells:
    """Return per cent of intervals that hold the truth by estimand (rows) and preset, darker below each limit."""
    shares = grid(table, "coverage", table)
    return 100 * shares, 2 - np.digitize(shares, limits), 0


def error_cells(table: pd.DataFrame) -> dict[str, Cells]:
    r"""Return bias over spread and RMSE by estimand (rows) and preset, with shades and decimals, to draw as cells.

    The bias is darker beyond `MOST_BIAS` and twice that; its Monte Carlo error is :math:`1/\sqrt n` spreads in every
    cell of n markets, since that of the bias is :math:`s_e/\sqrt n`. The RMSE is darker where it is more than half the
    mean true effect, and more than all of it.
    """
    rows = table.assign(
        scaled=table["bias"] / table["sd"].where(table["sd"] > 0),
        size=table["rmse"] / table["truth"].abs().where(table["truth"].abs() > ROUNDING),
    )
    scaled, size = grid(rows, "scaled", table), grid(rows, "size", table)
    return {
        BIAS: (scaled, np.digitize(scaled.abs(), (MOST_BIAS, 2 * MOST_BIAS)), 1),
        RMSE: (grid(rows, "rmse", table), np.digitize(size.fillna(0.0), (0.5, 1.0)), None),
    }


def power_cells(table: pd.DataFrame) -> dict[str, Cells]:
    """Return power, Type S (per cent) and Type M by estimand (rows) and preset, with shades and decimals.

    Only where the mean truth is not zero, and without the path, whose band is held against the truth. Darker: power
    below 80 and 50 per cent, Type S from 5 and 10 per cent, Type M from 1.5 and 2.
    """
    rows = table[(table["truth"].abs() > ROUNDING) & (table["id"] != PATH)]
    like = table[table["id"].isin(rows["id"]) & table["preset"].isin(rows["preset"])]
    found: dict[str, Cells] = {}
    for name, (column, factor, limits, decimals) in POWERS.items():
        values = grid(rows, column, like)
        shade = np.digitize(values, limits)
        found[name] = (factor * values, 2 - shade if column == "rejection" else shade, decimals)
    return found


def largest_error(table: pd.DataFrame, measure: str, *, relative: bool = False) -> float:
    """Return the largest Monte Carlo error of a measure in any cell of an audit, over the measure if `relative`."""
    error = table[f"{measure}_mc"]
    return float((error / table[measure].abs() if relative else error).max())


def power(table: pd.DataFrame, preset: str) -> pd.DataFrame:
    """Return power, detectable effect and exaggeration of the estimands in one preset, columns as `POWER`.

    Shares in per cent; `small` says that the mean true effect is smaller than the smallest effect seen. Estimands
    without an answer there are left out, and so is the path, whose band is held against the truth and not against zero.
    """
    rows = table[(table["preset"] == preset) & (table["markets"] > 1) & (table["id"] != PATH)].reset_index(drop=True)
    shares = [name for name in POWER if name.startswith(("rejection", "type_s"))]
    return rows.assign(**100 * rows[shares], small=rows["truth"].abs() < rows["mde"])


def tally(table: pd.DataFrame) -> dict[str, int]:
    """Count the cells of an audit by grade, in the order of `GRADES`, then those not graded."""
    return {word: int((table["grade"] == word).sum()) for word in (*GRADES, NOT_GRADED)}


def larger(run: pd.DataFrame, kept: pd.DataFrame) -> pd.DataFrame:
    """Return of two audits the one to be shown: this run, if it has every cell of the kept one on as many markets."""
    both = kept[[*KEYS, "markets"]].merge(run[[*KEYS, "markets"]], on=KEYS, how="left", suffixes=("_kept", "_run"))
    return run if (both["markets_run"] >= both["markets_kept"]).all() else kept


def apart(run: pd.DataFrame, kept: pd.DataFrame, *, size: float = 0.05) -> pd.DataFrame:
    """Hold the coverage of two audits of different seeds against each other, cell by cell.

    Fisher's exact test of two shares, since few markets make a normal error worthless (8 of 8 has none). The p-values
    are adjusted by Holm, so that with nothing but chance at work the probability of any row is at most `size`.

    Parameters
    ----------
    run, kept : DataFrame
        From :func:`analysis.audit.summarise`.
    size : float
        Probability of a false alarm.

    Returns
    -------
    DataFrame
        Only cells that differ beyond chance: `preset`, `id`, `coverage_run`, `markets_run`, `coverage_kept`,
        `markets_kept`, `p_adjusted`. ``attrs["compared"]`` counts the cells that both have, with
        intervals of one level.

    Raises
    ------
    DesignError
        If the two have seeds in common, and so are not independent.
    """
    first = max(run["first_seed"].min(), kept["first_seed"].min())
    last = min(run["last_seed"].max(), kept["last_seed"].max())
    if first <= last:
        raise DesignError(
            f"two independent audits were asked for; both have the seeds {first} to {last}; start this run after them"
        )
    both = run[COMPARED].merge(kept[COMPARED], on=[*KEYS, "level"], suffixes=("_run", "_kept"))
    both = both[(both["markets_run"] > 0) & (both["markets_kept"] > 0)].reset_index(drop=True)
    p = np.array([_fisher(row) for row in both.to_dict("records")])
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    found = both.assign(p_adjusted=adjusted)[adjusted < size].reset_index(drop=True)
    found.attrs["compared"] = len(both)
    return found


def _fisher(row: Mapping[str, float]) -> float:
    hits = [[round(row[f"coverage_{who}"] * row[f"markets_{who}"]), row[f"markets_{who}"]] for who in ("run", "kept")]
    return float(stats.fisher_exact([[held, n - held] for held, n in hits]).pvalue)
