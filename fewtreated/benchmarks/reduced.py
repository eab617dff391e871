"""Failures of other libraries that the benchmark met, each reduced to a few lines that run.

What their documentation and trackers say of each stands in docs/benchmark.md.
"""

import numpy as np
import pandas as pd

NAMES = {"unit": "unit", "time": "time", "first_treat": "first"}


def noise(
    seed: int, treated: int, units: int = 40, periods: int = 8, waves: int = 4
) -> pd.DataFrame:
    """Return a balanced panel of pure noise.

    The first units are treated in turn in the waves.
    """
    unit, time = (index.ravel() for index in np.indices((units, periods)))
    first = np.where(unit < treated, 5 + unit % waves, 0)
    return pd.DataFrame(
        {
            "unit": unit,
            "time": time + 1,
            "first": first,
            "y": np.random.default_rng(seed).normal(size=len(unit)),
        }
    )


def held(estimator: str, treated: int, panels: int = 100, **options: object) -> float:
    """Return the share of panels without an effect in which an interval of diff-diff holds zero."""
    import diff_diff

    def ends(seed: int) -> tuple[float, float]:
        model = getattr(diff_diff, estimator)(cluster="unit", **options)
        result = model.fit(noise(seed, treated), outcome="y", **NAMES)
        if hasattr(result, "conf_int"):
            return result.conf_int
        return result.overall_conf_int

    low, high = np.array([ends(seed) for seed in range(panels)]).T
    return float(((low <= 0) & (high >= 0)).mean())


def rejects(treated: int, panels: int = 100) -> float:
    """Return how often ImputationDiD rejects parallel paths on panels of pure noise.

    The result is the share of panels, with tests at 5 per cent.
    """
    from diff_diff import ImputationDiD

    fits = (
        ImputationDiD(cluster="unit").fit(noise(seed, treated), outcome="y", **NAMES)
        for seed in range(panels)
    )
    return float(np.mean([fit.pretrend_test()["p_value"] < 0.05 for fit in fits]))


def pooled(**options: int) -> float:
    """Return the effect that pyfixest's lpdid pools from two waves.

    The waves have effects of one and three, without noise.
    """
    import pyfixest

    data = noise(1, treated=20, waves=2)
    data["y"] = np.where(
        (data["first"] > 0) & (data["time"] >= data["first"]), 2.0 * data["first"] - 9, 0.0
    )
    fit = pyfixest.lpdid(
        data, yname="y", idname="unit", tname="time", gname="first", att=True, **options
    )
    return float(fit.tidy()["Estimate"].iloc[0])
