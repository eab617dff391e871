"""Solve the solved parameters of the simulated market again, and print them beside the stored values.

A parameter is solved if its row in data/market/parameters.csv names a moment, so that the average market has the
target of that moment in data/market/targets.csv. What is printed goes into the column `default`, by hand.
"""

import argparse

from scipy.optimize import brentq

from analysis import data
from analysis.errors import DesignError
from market.calibrate import MARKETS, averages
from market.parameters import PRESETS, Parameters, describe

SWEEPS = 2  # each parameter is solved given the others, twice over
PRECISION = 0.01  # of a parameter's bracket: steps between firms make moments no smoother than that

# In the order in which they are solved; a moment is monotone in its parameter within the bracket.
BRACKETS = {
    "entrant_size": (0.0, 2.5),
    "transitory": (0.005, 0.3),
    "exit_base": (0.005, 0.08),
    "growth": (0.0, 0.03),
    "boost": (0.02, 0.4),
    "cheat_level": (-4.5, 0.0),
    "effort": (0.0, 1.5),
}


def solve(preset="mid_3k", seed=1, *, markets=MARKETS, brackets=BRACKETS, sweeps=SWEEPS):
    """Return the value of each parameter at which the average market has its moment, given the others."""
    moments = {row["name"]: row["solved_for"] for row in describe()}
    targets = data.load("market_targets").set_index("moment")["target"]
    values = {}
    for name, (low, high) in list(brackets.items()) * sweeps:

        def miss(value, name=name):
            return averages(preset, seed, values | {name: value}, markets)[moments[name]] - targets[moments[name]]

        ends = miss(low), miss(high)
        if ends[0] * ends[1] > 0:
            raise DesignError(
                f"{name} with {moments[name]} = {targets[moments[name]]} was asked for; between {low} and {high} it is "
                f"missed by {ends[0]:.3f} to {ends[1]:.3f}; widen the bracket or change another parameter"
            )
        values[name] = float(brentq(miss, low, high, xtol=PRECISION * (high - low)))
    return values


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="mid_3k", choices=PRESETS)
    parser.add_argument("--seed", type=int, default=1)
    for found, value in solve(**vars(parser.parse_args())).items():
        print(f"{found:14} solved {value:8.4f}   stored {getattr(Parameters(), found):8.4f}")
