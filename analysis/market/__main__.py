"""``python -m analysis.market``: solve the solved parameters again, and print moments beside targets."""

import argparse
from collections.abc import Sequence

from analysis.market.calibration import calibrate, solve
from analysis.market.parameters import PRESETS, Parameters


def main(arguments: Sequence[str] | None = None) -> None:
    """Print solved and stored values, the calibration report, and by name the moments that miss their targets."""
    parser = argparse.ArgumentParser(prog="python -m analysis.market", description=__doc__)
    parser.add_argument("--preset", default="mid_3k", choices=PRESETS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-solve", action="store_true", help="only compare moments with targets")
    asked = parser.parse_args(arguments)
    if not asked.no_solve:
        for name, value in solve(asked.preset, asked.seed).items():
            print(f"{name:14} solved {value:8.4f}   stored {getattr(Parameters(), name):8.4f}")
    report = calibrate(asked.preset, asked.seed)
    print(report.to_string(index=False, float_format=lambda number: f"{number:.3f}"))
    missed = report[~report["passed"]]
    print(f"\n{len(missed)} of {len(report)} moments miss their target by more than the tolerance")
    for row in missed.itertuples():
        print(f"  {row.moment}: {row.simulated:.3f}, target {row.target:.3f}, tolerance {row.tolerance:.3f}")


if __name__ == "__main__":
    main()
