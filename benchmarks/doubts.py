"""Measure how often clean panels are doubted, by judge.

``python benchmarks/doubts.py --panels 1200 --first-seed 1001`` simulates so many panels of each
judge, in turn from its presets, and looks for doubts as if each were a file. A panel with several
doubts counts once. The rate stands beside its upper limit, exact at 95 per cent (Clopper and
Pearson). The thresholds in ``analysis/panel/doubts.py`` were chosen on seeds below 1001.
"""

import argparse
from collections import Counter
from collections.abc import Iterator

import pandas as pd
from scipy import stats

from analysis.panel.doubts import doubts
from analysis.simulated import panels
from market import audit


def names(preset: str, seed: int) -> list[str]:
    """Return the names of the doubts about a clean panel."""
    panel, _ = audit.simulated(preset, seed)
    return [doubt.name for doubt in doubts(panel, str)]


def rates(count: int, first_seed: int) -> Iterator[dict[str, object]]:
    """Yield, by judge, the share of clean panels with a doubt, and its upper limit, per cent."""
    by_judge = panels().loc[[*audit.PRESETS]].groupby("judge")
    for judge, rows in by_judge:
        found = Counter[str]()
        doubted = 0
        for at in range(count):
            said = names(rows.index[at % len(rows)], first_seed + at)
            doubted += bool(said)
            found.update(said)
        upper = stats.binomtest(doubted, count).proportion_ci().high
        yield {
            "judge": judge,
            "panels": count,
            "doubted": doubted,
            "per cent": 100 * doubted / count,
            "upper limit": 100 * upper,
            "doubts": ", ".join(f"{name} ({number})" for name, number in found.items()),
        }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--panels", type=int, default=1200)
    parser.add_argument("--first-seed", type=int, default=1001)
    given = parser.parse_args()
    for row in rates(given.panels, given.first_seed):
        print(pd.DataFrame([row]).to_string(index=False), flush=True)
