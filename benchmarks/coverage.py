"""How often intervals hold the truth: every estimand on simulated markets whose truth is known.

``make coverage`` writes docs/coverage.md. Each preset is simulated many times; a row says how often the interval held
the truth, with its Monte Carlo error, beside bias, spread and mean standard error. A grade follows from these by rule.
"""

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import pandas as pd

from analysis.errors import DesignError
from analysis.provenance import ROOT

LEVEL = 0.95
WORLDS = ("W11", "W00", "W10")
PARTS = {f"d{k}": f"d{k}" for k in range(1, 8)}
PLATFORMS = ("EBY", "ALI", "WMT", "OWN")


def estimates(panel: object, design: object) -> Iterator[tuple[str, str, pd.Series | None]]:
    """Yield for every estimand its name, the name of its truth, and the row with its interval (None if refused)."""
    from dataclasses import replace

    from analysis import estimands as e

    asked = [
        ("E1a", [("simple", "E1a")], partial(e.effect_on_closed, panel, design)),
        ("E1b", [("simple", "E1b")], partial(e.effect_on_closed_at_home, panel, design)),
        (
            "E1c",
            [("simple", "E1c")],
            partial(e.effect_on_closed, panel, replace(design, comparison="spared_same_category")),
        ),
        ("E2a", [("slope", "E2a_slope"), ("average", "E2a")], partial(e.spillover, panel, design)),
        ("E2b", [("slope", "E2b_slope"), ("average", "E2b")], partial(e.spillover, panel, design, own_origin=False)),
        ("E3g", [("seen", "E3g")], partial(e.effect_on_growth, panel, design, common=(0.0, 0.0))),
        ("E4c", list(PARTS.items()), partial(e.displacement, panel, design)),
    ]
    for name, terms, make in asked:
        try:
            rows = make().rows.set_index("term")
        except DesignError:
            rows = None
        for term, truth in terms:
            label = name if len(terms) == 1 else f"{name} {term}"
            yield label, truth, None if rows is None or term not in rows.index else rows.loc[term]
    try:
        moved = e.relocation(panel, design).rows.set_index("platform")
    except DesignError:
        moved = None
    for platform in PLATFORMS:
        yield f"E4a {platform}", f"E4a_{platform}", None if moved is None else moved.loc[platform]


def one(preset: str, seed: int) -> list[tuple[str, str, float, float, float, float, float]]:
    """Simulate one market and hold every estimate against its truth."""
    from analysis.estimands import Design
    from analysis.market import simulate

    panel, truth = simulate(preset, seed, worlds=WORLDS)
    known = truth.scalars(4, 9) | truth.displacement(4, 9)
    nothing = (np.nan,) * 4
    found = []
    for label, name, row in estimates(panel, Design(level=LEVEL)):
        numbers = (
            nothing if row is None else tuple(float(row[c]) for c in ("estimate", "std_error", "conf_low", "conf_high"))
        )
        found.append((preset, label, float(known[name]), *numbers))
    return found


def grade(row: pd.Series) -> str:
    """Give a grade by rule: usable, usable with bounds, or do not use."""
    if row["coverage"] >= LEVEL - 0.03 - 2 * row["mc_error"] and abs(row["bias"]) <= 0.5 * row["sd"]:
        return "usable"
    return "usable with bounds" if row["coverage"] >= 0.85 - 2 * row["mc_error"] else "do not use"


def reason(row: pd.Series) -> str:
    """Say why coverage falls short, where it does."""
    if row["grade"] == "usable":
        return ""
    if abs(row["bias"]) > 0.5 * row["sd"]:
        return "bias"
    return "errors too small" if row["mean_se"] < 0.85 * row["sd"] else "skewed, or few closed groups"


def summarise(found: pd.DataFrame) -> pd.DataFrame:
    """Return one row per preset and estimand."""
    rows = []
    for (preset, label), group in found.groupby(["preset", "estimand"], sort=False):
        seen = group[group["low"].notna() & group["truth"].notna()]
        if seen.empty:
            rows.append({"preset": preset, "estimand": label, "markets": 0, "refused": len(group)})
            continue
        covered = ((seen["low"] <= seen["truth"]) & (seen["truth"] <= seen["high"])).mean()
        gap = (seen["estimate"] - seen["truth"]).replace([np.inf, -np.inf], np.nan).dropna()
        row = {
            "preset": preset,
            "estimand": label,
            "markets": len(seen),
            "refused": len(group) - len(seen),
            "truth": seen["truth"].mean(),
            "bias": gap.mean(),
            "bias_mc": gap.std() / np.sqrt(max(len(gap), 1)),
            "sd": gap.std(),
            "mean_se": seen["error"].replace([np.inf, -np.inf], np.nan).mean(),
            "coverage": covered,
            "mc_error": np.sqrt(covered * (1 - covered) / len(seen)),
        }
        row["grade"] = grade(pd.Series(row))
        row["reason"] = reason(pd.Series(row))
        rows.append(row)
    return pd.DataFrame(rows)


def page(table: pd.DataFrame, markets: int) -> str:
    """Return the page as Markdown."""
    lines = [
        "# Coverage",
        "",
        f"Written by `make coverage`; do not edit. Each row: {markets} simulated markets of a preset (seeds 1 to "
        f"{markets}), {LEVEL:.0%} intervals, months +4 to +9 after the first wave, the default design. Truth by "
        "re-simulation on the same random numbers. MC: Monte Carlo error. Refused: the design said that the panel "
        "cannot carry the estimand.",
        "",
        "A grade follows by rule. *Usable*: coverage at least 92 per cent up to twice its MC error, and bias at most "
        "half the spread. *Usable with bounds*: coverage at least 85 per cent. *Do not use*: less. E3g is the part "
        "that varies with exposure, held against the whole effect: what is common to all sellers is missing from it.",
        "",
        "| preset | estimand | markets | refused | mean truth | bias (MC) | spread | mean error | coverage (MC) "
        "| grade | reason |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|---|---|",
    ]
    for row in table.to_dict("records"):
        if not row["markets"]:
            lines.append(f"| {row['preset']} | {row['estimand']} | 0 | {row['refused']} | | | | | | not estimable | |")
            continue
        lines.append(
            f"| {row['preset']} | {row['estimand']} | {row['markets']} | {row['refused']} | {row['truth']:.2f} | "
            f"{row['bias']:+.2f} ({row['bias_mc']:.2f}) | {row['sd']:.2f} | {row['mean_se']:.2f} | "
            f"{row['coverage']:.3f} ({row['mc_error']:.3f}) | {row['grade']} | {row['reason']} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Simulate, summarise, print and write."""
    from analysis.market import PRESETS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--markets", type=int, default=400, help="markets per preset (default 400)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--presets", nargs="*", default=list(PRESETS), help="presets (default all)")
    asked = parser.parse_args()
    work = [(preset, seed) for preset in asked.presets for seed in range(1, asked.markets + 1)]
    with ProcessPoolExecutor(asked.jobs) as pool:
        parts = list(pool.map(one, *zip(*work, strict=True), chunksize=20))
    columns = ["preset", "estimand", "truth", "estimate", "error", "low", "high"]
    table = summarise(pd.DataFrame([row for part in parts for row in part], columns=columns))
    text = page(table, asked.markets)
    print(text)
    target = ROOT / "docs" / "coverage.md"
    target.parent.mkdir(exist_ok=True)
    target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
