"""``python -m market``: how near the simulated market is to published moments."""

import argparse

from market.calibrate import calibrate
from market.parameters import PRESETS

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m market",
        description="Print every moment beside its target, and by name those that miss.",
    )
    parser.add_argument("--preset", default="mid_3k", choices=PRESETS)
    parser.add_argument("--seed", type=int, default=1)
    report = calibrate(**vars(parser.parse_args()))
    print(report.to_string(index=False, float_format=lambda number: f"{number:.3f}"))
    missed = report[~report["passed"]]
    print(f"\n{len(missed)} of {len(report)} moments miss their target by more than the tolerance")
    for row in missed.itertuples():
        print(f"  {row.moment}: {row.simulated:.3f}, target {row.target:.3f}, tolerance {row.tolerance:.3f}")
