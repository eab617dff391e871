"""Run the design audit, which estimates every estimand on simulated panels with a known truth.

``make audit`` (or ``make coverage``) simulates 400 panels for each preset of the market and 200 for
each plain preset. It writes data/audit.csv, with the grades that reports print next to their
estimates, its card, and docs/coverage.md for readers, and says which rows moved. ``--check`` draws
some presets again in minutes, each with all its panels, and compares: it writes nothing, names the
rows of data/audit.csv that moved, and then ends with 1. ``--presets`` runs a preview: it prints the
measures of some presets, and writes nothing.
"""

import argparse
from collections.abc import Iterable
from concurrent.futures import Executor

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analysis import data, grades
from analysis.estimands.design import Design
from analysis.provenance import ROOT
from analysis.simulated import closures
from market import audit, executor, grading, moved, parameters, plain

PAGE = ROOT / "docs" / "coverage.md"
JUDGES = {"market": parameters.PRESETS, "plain": plain.PRESETS}
CHECKED = ("few_treated", "plain_sd1_9")  # one of the market and a plain one
SHOWN = [
    "preset",
    "id",
    "markets",
    "truth",
    "coverage",
    "coverage_mc",
    "rejection",
    "rejection_mc",
    "bias",
    "bias_mc",
    "sd",
    "mean_error",
    "grade",
]


def page(table: pd.DataFrame) -> str:
    """Render docs/coverage.md from an audit's table."""
    low, high = grading.right(table)
    parts = dict([*table.groupby(grades.judge(table["preset"]))])
    jinja = Environment(
        loader=FileSystemLoader(ROOT / "benchmarks"), undefined=StrictUndefined, trim_blocks=True
    )
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


def look(presets: list[str], panels: int, workers: Executor) -> None:
    """Print the measures of the audit for the given presets."""
    rows = audit.replicate(presets, range(1, panels + 1), design=Design(), workers=workers)
    print(audit.summarise(rows)[SHOWN].to_string(index=False, float_format="{:.3g}".format))


def again(presets: Iterable[str], table: pd.DataFrame, workers: Executor) -> pd.DataFrame:
    """Draw presets again with the seeds that they have in an audit's table, and summarise them."""
    parts = []
    for preset in presets:
        rows = table[table["preset"] == preset]
        if rows.empty:
            raise SystemExit(
                f"Cannot check {preset}: data/audit.csv has no such preset; run `make audit`."
            )
        seeds = range(rows["first_seed"].min(), rows["last_seed"].max() + 1)
        parts.append(audit.replicate([preset], seeds, design=Design(), workers=workers))
    return audit.summarise(pd.concat(parts, ignore_index=True))


def main() -> None:
    """Run the audit and write its results, check some presets, or preview them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--market", type=int, default=400, help="panels per preset of the market (default 400)"
    )
    parser.add_argument(
        "--plain", type=int, default=200, help="panels per plain preset (default 200)"
    )
    parser.add_argument(
        "--check", action="store_true", help=f"only draw {' and '.join(CHECKED)} again, and compare"
    )
    parser.add_argument(
        "--presets", nargs="+", help="only print a preview of these presets, or check them"
    )
    parser.add_argument(
        "--panels", type=int, default=100, help="panels per preset in the preview (default 100)"
    )
    executor.add_options(parser)
    options = parser.parse_args()
    with executor.opened(options) as workers:
        if options.check:
            presets = options.presets or CHECKED
            lines = audit.compare(again(presets, shipped(), workers))
            print(moved.sentence(f"data/audit.csv, {', '.join(presets)}", lines))
            raise SystemExit(bool(lines))
        if options.presets:
            look(options.presets, options.panels, workers)
            return
        parts = [
            audit.replicate(
                presets, range(1, vars(options)[judge] + 1), design=Design(), workers=workers
            )
            for judge, presets in JUDGES.items()
        ]
    lines = audit.write(audit.summarise(pd.concat(parts, ignore_index=True)))
    PAGE.write_text(page(shipped()), encoding="utf-8")  # reread, or digits would be rounded twice
    print(moved.sentence("data/audit.csv", lines))


if __name__ == "__main__":
    main()
