"""The full design audit: every estimand on simulated panels whose truth is known, by two judges.

``make audit`` (or ``make coverage``, its other name) simulates 400 panels of each preset of the market and 200 of each
plain preset, and writes data/audit.csv, whose grades reports print beside their estimates, with its card, and
docs/coverage.md, the same for readers. A look at some presets and estimands takes minutes: benchmarks/inference.py.
"""

import argparse
import datetime

import pandas as pd

from analysis import audit, data, executor, grades
from analysis.estimands.design import Design
from analysis.grades import (
    EXAGGERATES,
    FEWEST,
    LOST_WITH_BOUNDS,
    MARGINS,
    MOST_BIAS,
    MOST_OF_EFFECT,
    PATH,
    RIGHT_ERRORS,
)
from analysis.market import parameters, plain
from analysis.provenance import ROOT

PAGE = ROOT / "docs" / "coverage.md"
JUDGES = {"market": parameters.PRESETS, "plain": plain.PRESETS}
QUANTILES = ("q05", "q25", "q50", "q75", "q95")
HEAD = (
    "| preset | estimand | markets | refused | mean truth | bias (MC) | spread | mean error | coverage (MC) | grade "
    "| reason |",
    "|---|---|--:|--:|--:|--:|--:|--:|--:|---|---|",
)


def page(table: pd.DataFrame) -> str:
    """Return the page as Markdown."""
    level, (low, high) = table["level"].iloc[0], grades.right(table)
    seeds = " and ".join(
        f"seeds {part['first_seed'].min()} to {part['last_seed'].max()} of each {judge} preset"
        for judge, part in table.groupby(grades.judge(table["preset"]))
    )
    margins = ", ".join(f"{name} {margin:g}" for name, margin in MARGINS.items())
    lines = [
        "# Coverage",
        "",
        "Written by `make audit`; do not edit. Two judges: the simulated market of this project, and plain panels that "
        "have nothing of its structure (`analysis/market/plain.py`; the name holds the spread of log sales and the "
        f"number of closed brand groups; `null`: closures that change nothing). Simulated panels, {seeds}; {level:.0%} "
        "intervals, months +4 to +9 after the first wave, the default design. Truth: the same firms on the same random "
        "numbers without closures. MC: Monte Carlo error. Markets: panels with an interval and a truth; refused: those "
        "without an interval, since the panel cannot carry the estimand. All measures are in `data/audit.csv`.",
        "",
        f"Presets: {'; '.join(f'`{name}`, {parameters.named(name)}' for name in parameters.PRESETS)}.",
        "",
        f"A grade follows by rule (`analysis.grades.grade`). *Usable*: coverage at least {low:.0%}; bias at most "
        f"{MOST_BIAS:g} of the spread, and at most {MOST_OF_EFFECT:g} of the mean true effect (where that is zero, of "
        f"the margin, in points {margins}, or else of the smallest effect seen); estimates whose interval does not "
        f"hold zero exaggerate less than {EXAGGERATES:g} times; mean error from {RIGHT_ERRORS[0]:g} to "
        f"{RIGHT_ERRORS[1]:g} of the spread. *Usable with bounds*: coverage at least {level - LOST_WITH_BOUNDS:.0%}; "
        f"read the interval, not the point. *Do not use*: less. *Not graded*: fewer than {FEWEST} panels. E3g_seen "
        "and the like are what varies with exposure, held against as much of the truth; E3g is the whole, with what is "
        "common to the origin's firms as a triple difference shows it. "
        f"{PATH} is the largest gap between the event study and the truth over all months, in half-widths of its band; "
        "behind a bias stands its cause, where the market shows it.",
        "",
        "How coverage is spread over the cells of estimand and preset that are graded: per cent of cells with coverage "
        f"below {low:.0%}, within, and above {high:.0%}, and quantiles over cells, per cent. No share of all truths is "
        "given: cells that cover too much would make up for those that cover too little.",
        "",
        "| judge | cells | below | within | above | " + " | ".join(f"{int(name[1:])} %" for name in QUANTILES) + " |",
        "|---|" + 9 * "--:|",
        *(_spread(row) for row in grades.distribution(table).to_dict("records")),
    ]
    for judge, part in table.groupby(grades.judge(table["preset"])):
        off = grades.outside(part)
        lines += [
            "",
            f"Every cell outside {low:.0%} to {high:.0%}, {judge} presets: coverage in per cent.",
            "",
            f"| estimand | {' | '.join(off.columns)} |",
            "|---|" + len(off.columns) * "--:|",
            *(f"| {name} | {' | '.join(_per_cent(value) for value in row)} |" for name, *row in off.itertuples()),
        ]
    return "\n".join([*lines, "", *HEAD, *(_line(row) for row in table.to_dict("records"))]) + "\n"


def _spread(row: dict) -> str:
    shares = " | ".join(f"{row[name]:.1f}" for name in ("below", "within", "above", *QUANTILES))
    return f"| {row['judge']} | {row['cells']} | {shares} |"


def _per_cent(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.1f}"


def _line(row: dict) -> str:
    counted = f"| {row['preset']} | {row['id']} | {row['markets']} | {row['refused']} |"
    if not row["markets"]:
        return f"{counted} | | | | | {row['grade']} | {row['reason']} |"
    mean_error = "" if pd.isna(row["mean_error"]) else f"{row['mean_error']:.2f}"
    return (
        f"{counted} {row['truth']:.2f} | {row['bias']:+.2f} ({row['bias_mc']:.2f}) | {row['sd']:.2f} | "
        f"{mean_error} | {row['coverage']:.3f} ({row['coverage_mc']:.3f}) | {row['grade']} | "
        f"{row['reason']} |"
    )


def kept() -> pd.DataFrame:
    """Return the table of the last audit."""
    return data.load("audit").fillna({"unit": "", "reason": ""})


def main() -> None:
    """Simulate, summarise, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--market", type=int, default=400, help="panels per preset of the market (default 400)")
    parser.add_argument("--plain", type=int, default=200, help="panels per plain preset (default 200)")
    executor.add_options(parser)
    asked = parser.parse_args()
    with executor.opened(asked) as workers:
        parts = [
            audit.replicate(presets, range(1, vars(asked)[judge] + 1), design=Design(), workers=workers)
            for judge, presets in JUDGES.items()
        ]
    if audit.write(audit.summarise(pd.concat(parts, ignore_index=True))):
        data.accept("audit", vintage=datetime.date.today().isoformat())
    text = page(kept())  # as it was written, or digits would be rounded twice
    print(text)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
