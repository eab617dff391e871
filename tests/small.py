"""A small simulated market, made once for each of its parameters."""

from functools import cache

from market import simulate

SMALL = {"n_firms": 600, "n_categories": 8, "closed_gmv": 0.13, "tilt": 0.2}


@cache
def small(preset="mid_3k", seed=1, **overrides):
    return simulate(preset, seed, **(SMALL | overrides))
