"""``python -m analysis.market``: solve the solved parameters again, and print moments beside targets."""

import argparse

from analysis.market.calibration import calibrate, solve
from analysis.market.parameters import PRESETS, Parameters


def main() -> None:
    """Print solved and stored values, and the calibration report."""
    parser = argparse.ArgumentParser(prog="python -m analysis.market", description=__doc__)
    parser.add_argument("--preset", default="mid_3k", choices=PRESETS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-solve", action="store_true", help="only compare moments with targets")
    asked = parser.parse_args()
    if not asked.no_solve:
        for name, value in solve(asked.preset, asked.seed).items():
            print(f"{name:14} solved {value:8.4f}   stored {getattr(Parameters(), name):8.4f}")
    print(calibrate(asked.preset, asked.seed).to_string(index=False, float_format=lambda number: f"{number:.3f}"))


if __name__ == "__main__":
    main()
