"""The full design audit: every estimand on simulated markets whose truth is known.

``make audit`` (or ``make coverage``, its other name) simulates 400 markets of each preset, and writes data/audit.csv,
whose grades reports print beside their estimates, and data/audit_covered.csv, the shares of truths inside their
intervals, with their cards, and docs/coverage.md, the same tables for readers.
"""

import argparse
import datetime
import os

import pandas as pd

from analysis import audit, data
from analysis.estimands.design import Design
from analysis.grades import FEWEST, LOST, LOST_WITH_BOUNDS, MOST_BIAS, PATH
from analysis.market.parameters import PRESETS
from analysis.provenance import ROOT

PAGE = ROOT / "docs" / "coverage.md"
HEAD = (
    "| preset | estimand | markets | refused | mean truth | bias (MC) | spread | mean error | coverage (MC) | grade "
    "| reason |",
    "|---|---|--:|--:|--:|--:|--:|--:|--:|---|---|",
)


def page(table: pd.DataFrame, shares: pd.DataFrame) -> str:
    """Return the page as Markdown."""
    first, last, level = table["first_seed"].min(), table["last_seed"].max(), table["level"].iloc[0]
    lines = [
        "# Coverage",
        "",
        f"Written by `make audit`; do not edit. Simulated markets, seeds {first} to {last} of each preset; {level:.0%} "
        "intervals, months +4 to +9 after the first wave, the default design. Truth by re-simulation on the same "
        "random numbers. MC: Monte Carlo error. Markets: those with an interval and a truth; refused: those without an "
        f"interval, since the panel cannot carry the estimand. All measures are in `data/audit.csv`.",
        "",
        f"A grade follows by rule (`analysis.grades.grade`). *Usable*: coverage at least {level - LOST:.0%}, and bias "
        f"at most {MOST_BIAS:g} of the spread. *Usable with bounds*: coverage at least {level - LOST_WITH_BOUNDS:.0%}; "
        f"read the interval, not the point. *Do not use*: less. *Not graded*: fewer than {FEWEST} markets. E3g is "
        "the part that varies with exposure, held against the whole effect: what is common to all firms is missing. "
        f"{PATH} is the largest gap between the event study and the truth over all months, in half-widths of its band; "
        "behind a bias stands its cause, where the market shows it.",
        "",
        f"Of all truths, over estimands, presets and markets, this share lies inside its {level:.0%} interval. The "
        "Monte Carlo error is exact in that estimates of one market, and markets of one seed, go together: it is that "
        f"of a mean over seeds. {PATH} counts as one interval, the band that holds a whole path or does not.",
        "",
        "| preset | seeds | intervals | inside, per cent (MC) |",
        "|---|---|--:|--:|",
        *(_share(row) for row in shares.to_dict("records")),
        "",
        *HEAD,
        *(_line(row) for row in table.to_dict("records")),
    ]
    return "\n".join(lines) + "\n"


def _share(row: dict) -> str:
    seeds = f"{row['first_seed']} to {row['last_seed']}"
    return f"| {row['preset']} | {seeds} | {row['intervals']:,} | {row['share']:.2f} ({row['error']:.2f}) |"


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


def main() -> None:
    """Simulate, summarise, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--markets", type=int, default=400, help="markets per preset (default 400)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: cores)")
    asked = parser.parse_args()
    replicates = audit.replicate(PRESETS, range(1, asked.markets + 1), design=Design(), workers=asked.workers)
    table, shares = audit.summarise(replicates), audit.shares(replicates)
    text = page(table, shares)
    print(text)
    today = datetime.date.today().isoformat()
    if audit.write(table):
        data.accept("audit", vintage=today)
    if audit.write(shares, audit.COVERED):
        data.accept("audit_covered", vintage=today)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
