"""Run the design audit, which estimates every estimand on simulated panels with a known truth.

``make audit`` (or ``make coverage``) simulates 400 panels for each preset of the market and 200 for each plain preset.
It writes data/audit.csv, with the grades that reports print next to their estimates, its card, and docs/coverage.md
for readers. ``--presets`` runs a preview in minutes: it prints, for some presets, coverage and how often each test
rejects a true hypothesis, and writes nothing.
"""

import argparse
import datetime
from collections.abc import Collection
from concurrent.futures import Executor

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analysis import data, grades
from analysis.estimands import closed_firms
from analysis.estimands.catalogue import estimate_all
from analysis.estimands.design import Design
from analysis.estimands.event_study import event_study
from analysis.provenance import ROOT
from analysis.simulated import closures
from analysis.testing import noninferiority
from market import audit, executor, grading, parameters, plain
from market.grading import PATH

PAGE = ROOT / "docs" / "coverage.md"
JUDGES = {"market": parameters.PRESETS, "plain": plain.PRESETS}
IDS = ("E1a", "E1b", "E1c", "E1d", "E2a", "E3g_seen", "E3_seen", "d1", "d2", "d3", "d6", "d7", PATH)
FAMILY = ("E1a", "E1b", "E1d")  # as tested in report 03
SIZE = 0.05


def page(table: pd.DataFrame) -> str:
    """Render docs/coverage.md from an audit's table."""
    low, high = grading.right(table)
    parts = dict([*table.groupby(grades.judge(table["preset"]))])
    jinja = Environment(loader=FileSystemLoader(ROOT / "benchmarks"), undefined=StrictUndefined, trim_blocks=True)
    jinja.keep_trailing_newline = True
    return jinja.get_template("coverage.md.j2").render(
        grading=grading,
        level=table["level"].iloc[0],
        low=low,
        high=high,
        seeds=[drawn(judge, rows) for judge, rows in parts.items()],
        presets={name: closures(name) for name in parameters.PRESETS},
        spread=grading.distribution(table).to_dict("records"),
        outside={judge: grading.outside(rows) for judge, rows in parts.items()},
        rows=table.to_dict("records"),
    )


def drawn(judge: str, rows: pd.DataFrame) -> str:
    """State the seeds of most of a judge's estimands, and of those with other seeds."""
    ids = rows.groupby("last_seed")["id"].unique()
    most = max(ids.index, key=lambda last: len(ids[last]))
    others = "; ".join(f"1 to {last} for {', '.join(ids[last])}" for last in ids.index.drop(most))
    return f"seeds 1 to {most} of each {judge} preset" + (f" ({others})" if others else "")


def shipped() -> pd.DataFrame:
    """Load the latest audit's table."""
    return data.load("audit").fillna({"unit": "", "reason": ""})


def rejections(preset: str, seed: int) -> dict:
    """Return whether each test rejects a true hypothesis on one panel.

    The value is NaN if the test was not run, or if its hypothesis is false.

    The hypotheses are that paths were parallel before closure (`pretrend`), that there is no effect on closed firms
    (`family`, if there is none), and that an effect is not below its true value (`not_lower_E1a`,
    `not_lower_E3g_seen`, if it is negative).
    """
    panel, truth = audit.simulated(preset, seed)
    true, study = truth.scalars(), event_study(panel, Design())
    estimates = estimate_all(panel, Design(), [*FAMILY, "E3g_seen"])
    p_values = {"pretrend": np.nan if study.refused else study.details["pretrend"].p_value, "family": np.nan}
    if true["E1a"] == 0:
        p_values["family"] = closed_firms.family({name: estimates[name] for name in FAMILY})["p_adjusted"].min()
    for name in ("E1a", "E3g_seen"):
        effect, test = estimates[name], f"not_lower_{name}"
        p_values[test] = np.nan
        if true[name] < 0 < effect.std_error[0]:
            margin = noninferiority(effect, margin=-true[name])
            p_values[test] = margin.p_value
    rejects = {test: np.nan if np.isnan(p) else float(p <= SIZE) for test, p in p_values.items()}
    return {"preset": preset} | rejects


def sizes(presets: list[str], seeds: range, workers: Executor) -> pd.DataFrame:
    """Tabulate rejection rates, in per cent, by preset, with Monte Carlo errors in brackets."""
    rows = pd.DataFrame(audit.each_panel(rejections, presets, seeds, workers)).groupby("preset", sort=False)
    share = rows.mean()
    error = (share * (1 - share) / rows.count()) ** 0.5
    return pd.DataFrame({name: _with_error(100 * share[name], 100 * error[name]) for name in share}, share.index)


def measures(table: pd.DataFrame, ids: Collection[str]) -> pd.DataFrame:
    """Tabulate coverage, bias, mean truth and the ratio of mean standard error to sd, by preset."""
    rows = table[table["id"].isin(ids)]
    columns = {
        "coverage": _with_error(100 * rows["coverage"], 100 * rows["coverage_mc"]),
        "error/spread": (rows["mean_error"] / rows["sd"].where(rows["sd"] > 0)).round(2),
        "bias": _with_error(rows["bias"], rows["bias_mc"]),
        "truth": rows["truth"].round(2),
    }
    return rows[["preset", "id", "markets"]].assign(**columns, grade=rows["grade"])


def _with_error(values: pd.Series, errors: pd.Series) -> list[str]:
    pairs = zip(values, errors, strict=True)
    return ["–" if pd.isna(value) else f"{value:.1f} ({error:.1f})" for value, error in pairs]


def look(presets: list[str], ids: Collection[str], panels: int, workers: Executor) -> None:
    """Print the coverage of intervals and the size of tests for the given presets."""
    seeds = range(1, panels + 1)
    table = audit.summarise(audit.replicate(presets, seeds, design=Design(), workers=workers))
    print(f"Coverage of 95% intervals, per cent (Monte Carlo error); {panels} panels per preset")
    print(measures(table, ids).to_string(index=False))
    print(f"\nRejections of true hypotheses, per cent (Monte Carlo error), at {SIZE:.0%}")
    print(sizes(presets, seeds, workers).to_string())


def main() -> None:
    """Run the audit and write its results, or preview the given presets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--market", type=int, default=400, help="panels per preset of the market (default 400)")
    parser.add_argument("--plain", type=int, default=200, help="panels per plain preset (default 200)")
    parser.add_argument("--presets", nargs="+", help="only print a preview of these presets")
    parser.add_argument("--ids", nargs="+", default=IDS, help="estimands in the preview")
    parser.add_argument("--panels", type=int, default=100, help="panels per preset in the preview (default 100)")
    executor.add_options(parser)
    options = parser.parse_args()
    with executor.opened(options) as workers:
        if options.presets:
            look(options.presets, options.ids, options.panels, workers)
            return
        parts = [
            audit.replicate(presets, range(1, vars(options)[judge] + 1), design=Design(), workers=workers)
            for judge, presets in JUDGES.items()
        ]
    if audit.write(audit.summarise(pd.concat(parts, ignore_index=True))):
        data.accept("audit", vintage=datetime.date.today().isoformat())
    text = page(shipped())  # reread, or digits would be rounded twice
    print(text)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
