"""Results of every public estimator on small panels, which the table frozen.csv holds as they were.

Run as a program, it writes that table again; the results of an estimator that was meant to change
are then looked at.
"""

from __future__ import annotations

import csv
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fewtreated.estimate import (
    Estimate,
    critical_value,
    stack_estimates,
)
from fewtreated.estimators import abnormal_returns as returns_of
from fewtreated.estimators.att_gt import att_gt
from fewtreated.estimators.cross_checks import imputation
from fewtreated.estimators.doubly_robust import doubly_robust
from fewtreated.estimators.exposure import EXACT, exposure_effects
from fewtreated.estimators.honest_did import Bounds, honest_bounds
from fewtreated.estimators.power import detectable, minimum_detectable_effect
from fewtreated.estimators.rows import sum_by, without_each
from fewtreated.estimators.survival import exit_survival
from fewtreated.estimators.synthetic import permutation_did, simplex_least_squares, synthetic_did
from fewtreated.estimators.units import usable_units
from fewtreated.frames import att_gt as att_gt_of_frame
from fewtreated.frames import exposure_effects as exposure_effects_of_frame
from fewtreated.frames import honest_bounds as honest_bounds_of_frame
from fewtreated.frames import synthetic_did as synthetic_did_of_frame
from fewtreated.jackknife import effective, left_out
from fewtreated.testing import (
    TestResult,
    assignments,
    largest_std_error,
    noninferiority,
    redraw_closures,
    romano_wolf,
    shift_interval,
)

TABLE = Path(__file__).with_name("frozen.csv")
UNITS = 42
PERIODS = 6
SENSITIVITIES = [0.0, 0.5, 1.0, 2.0]
Case = tuple[str, Any]


def sales_panel():
    """Return sales of 42 units in six periods, of which two cohorts are treated, with what
    describes the units.
    """
    rng = np.random.default_rng(20210501)
    unit = np.arange(UNITS)
    first = np.where(unit % 6 == 0, 3.0, np.where(unit % 6 == 1, 4.0, np.inf))
    covariates = rng.normal(size=(UNITS, 2))
    level = rng.normal(2.0, 0.5, UNITS) + 0.2 * covariates[:, 0]
    noise = rng.normal(0.0, 0.2, (UNITS, PERIODS))
    effect = -0.5 * (np.arange(PERIODS) >= first[:, np.newaxis])
    y = np.exp(level[:, np.newaxis] + 0.1 * np.arange(PERIODS) + noise + effect)
    y[rng.random(y.shape) < 0.05] = 0.0
    holes = y.copy()
    holes[rng.random(y.shape) < 0.08] = np.nan
    return {
        "y": y,
        "holes": holes,
        "first": first,
        "covariates": covariates,
        "weights": rng.uniform(0.5, 2.0, UNITS),
        "cluster": unit // 3 % 11,
        "strata": unit % 2,
    }


def numbers(result):
    """Return the numbers of a result by what they measure, each an array."""
    if isinstance(result, Estimate):
        upper = np.triu_indices(len(result.terms))
        low, high = result.conf_int
        return {
            "value": result.value,
            "std_error": result.std_error,
            "conf_low": low,
            "conf_high": high,
            "df": result.df,
            "n": np.broadcast_to(result.n, len(result.terms)),
            "covariance": result.covariance[upper],
            "columns": _numeric(result.rows[list(result.columns)]),
        }
    if isinstance(result, Bounds):
        found = result.conf_int(SENSITIVITIES)
        return {"conf_int": found, "breakdown": result.breakdown, "rows": _numeric(result.rows)}
    if isinstance(result, TestResult):
        return {"rows": _numeric(result.rows)}
    if isinstance(result, pd.DataFrame):
        return {"rows": _numeric(result)}
    if isinstance(result, tuple):
        return {f"part {number}": part for number, part in enumerate(result)}
    return {"value": result}


def _numeric(table):
    return table.select_dtypes("number").to_numpy(float)


def cohort_effects():
    """Yield effects by cohort and period, and their averages."""
    panel = sales_panel()
    options = {
        "plain": {},
        "clusters": {"cluster": panel["cluster"]},
        "weights": {"weights": panel["weights"], "cluster": panel["cluster"]},
        "strata": {"strata": panel["strata"]},
        "anticipation": {"anticipation": 1, "cluster": panel["cluster"]},
    }
    for comparison, scale, name in product(("never", "not_yet"), ("level", "ratio"), options):
        study = att_gt(
            panel["y"], panel["first"], comparison=comparison, scale=scale, **options[name]
        )
        case = f"att_gt {comparison} {scale} {name}"
        if name == "clusters":
            kinds = ("dynamic", "group", "calendar")
        else:
            kinds = ("simple",)
        yield f"{case} cells", study.effects
        for kind in kinds:
            found = study.aggregate(kind)
            yield f"{case} {kind}", found[:] if kind == "dynamic" else found
    for comparison, scale in product(("never", "not_yet"), ("level", "ratio")):
        study = att_gt(
            panel["holes"],
            panel["first"],
            comparison=comparison,
            scale=scale,
            cluster=panel["cluster"],
        )
        yield f"att_gt {comparison} {scale} holes", study.aggregate("dynamic")[:]


def cross_checks():
    """Yield doubly robust and imputation estimates."""
    panel = sales_panel()
    for scale, clustered in product(("level", "ratio"), (False, True)):
        cluster = panel["cluster"] if clustered else None
        plain = usable_units(
            panel["y"], panel["first"], None, panel["weights"], cluster, panel["strata"], scale
        )
        adjusted = usable_units(
            panel["y"], panel["first"], panel["covariates"], None, cluster, None, scale
        )
        for kind in ("simple", "dynamic", "group_time"):
            yield f"imputation {scale} {clustered} {kind}", imputation(plain, kind)
            yield f"doubly_robust {scale} {clustered} {kind}", doubly_robust(adjusted, kind)


def exposure():
    """Yield effects of exposure, with and without clusters, covariates, and redrawn closures."""
    rng = np.random.default_rng(2)
    count = 150
    category = np.arange(count) % 30
    shares = np.arange(30) // 2 / 40 + 0.01
    share = shares[category]
    before = rng.lognormal(2.0, 1.0, count)
    after = before * np.exp(-1.5 * share + rng.normal(0.0, 0.3, count))
    after[::17] = 0.0
    redrawn = [rng.permutation(shares)[category] for _ in range(40)]
    risk = {"risk": rng.random(count)}
    mean = np.mean(redrawn, axis=0)
    yield "exposure units", exposure_effects(before, after, share)
    many = rng.uniform(0.0, 0.3, EXACT + 20)
    of_many = rng.lognormal(2.0, 1.0, (2, len(many))) * np.exp([0.0 * many, -many])
    yield "exposure many units", exposure_effects(*of_many, many, bins=[0.1])
    yield (
        "exposure categories",
        exposure_effects(before, after, share, category=category, level=0.9),
    )
    yield (
        "exposure bins",
        exposure_effects(before, after, share, category=category, bins=[0.1, 0.2]),
    )
    yield (
        "exposure risk",
        exposure_effects(before, after, share, category=category, covariates=risk),
    )
    yield (
        "exposure redrawn",
        exposure_effects(
            before, after, share, category=category, expected=mean, redrawn=iter(redrawn)
        ),
    )


def few_treated():
    """Yield estimates for a handful of treated units."""
    rng = np.random.default_rng(3)
    y = rng.normal(size=(12, 8)).cumsum(axis=1) + rng.normal(10.0, 3.0, 12)[:, np.newaxis]
    one = np.arange(12) == 4
    three = np.arange(12) < 3
    for method in ("sdid", "sc", "did"):
        yield f"synthetic {method} one", synthetic_did(y, one, 5, method=method)
        for inference in ("ranks", "placebo", "jackknife"):
            found = synthetic_did(y, three, 5, method=method, inference=inference, level=0.9)
            yield f"synthetic {method} {inference}", found
            details = found.details
            yield (
                f"synthetic {method} {inference} weights",
                (details["unit_weights"], details["time_weights"]),
            )
    change = y[:, 5:].mean(axis=1) - y[:, :5].mean(axis=1)
    yield "permutation_did three", permutation_did(change, three)
    yield "permutation_did one", permutation_did(change, one, level=0.8)
    yield "simplex", simplex_least_squares(y.T[:, 1:], y[0], 0.1)
    drawn = assignments(6, 2)
    yield "assignments", drawn
    slopes = drawn.mean(axis=1) - 1 / 3
    yield "shift_interval", shift_interval(0.4, rng.normal(size=len(drawn)), slopes, 0.8)


def violations():
    """Yield bounds under violations of parallel trends."""
    panel = sales_panel()
    study = att_gt(panel["y"], panel["first"], scale="ratio", cluster=panel["cluster"]).aggregate(
        "dynamic"
    )[:]
    before = study.terms.index("-2") + 1
    after = len(study.terms) - before
    for restriction, target in product(("relative", "smooth"), (None, np.full(after, 1 / after))):
        name = f"honest {restriction} {'first' if target is None else 'mean'}"
        covariance = study.cov_small_sample / 25
        yield (
            name,
            honest_bounds(
                study.value, covariance, before, after, target=target, restriction=restriction
            ),
        )
    value = np.linspace(0.1, -0.6, 9)
    yield "honest every", honest_bounds(value, 0.01 * np.eye(9) + 0.002, 5, 4, every=2, level=0.9)


def survival_and_power():
    """Yield months alive, smallest detectable effects, and tests against a margin."""
    rng = np.random.default_rng(4)
    months = rng.geometric(0.08, 60)
    sales = (np.arange(30) < 6 + months[:, np.newaxis]).astype(float)
    treated = np.arange(60) % 3 == 0
    start = np.full(60, 6.0)
    yield "survival", exit_survival(sales, start, treated)
    grouped = {"strata": np.arange(60) % 2, "cluster": np.arange(60) // 4, "horizon": 9, "gap": 2}
    yield "survival clusters", exit_survival(sales, start, treated, **grouped)
    panel = sales_panel()

    def estimator(y, first, rows):
        return att_gt(y, first, cluster=panel["cluster"][rows]).aggregate()

    arguments = {"estimator": estimator, "strata": panel["strata"], "draws": 30, "seed": 1}
    found = minimum_detectable_effect(panel["y"], panel["first"], **arguments)
    yield "power", found
    effects = att_gt(panel["y"], panel["first"], cluster=panel["cluster"]).aggregate("dynamic")[:]
    rows = effects.rows.assign(unit=["per cent", "log points"] * 3)[:6]
    yield "detectable", detectable(rows, level=0.9)
    yield "noninferiority", noninferiority(effects["0"], margin=4.0)
    yield "noninferiority of a number", noninferiority(-0.4, 0.7, margin=2.0, level=0.9, df=5.0)
    yield "largest_std_error", (largest_std_error(2.0), largest_std_error(2.0, two_sided=True))
    yield "romano_wolf", romano_wolf(effects)
    yield (
        "romano_wolf of numbers",
        romano_wolf(np.array([-3.0, 0.5]), np.array([[1, 0.3], [0.3, 2]]), df=[5.0, 9.0]),
    )
    drawn = redraw_closures(
        np.repeat([0.0, 3.0, 5.0], 8), np.arange(24) % 2, np.random.default_rng(5), 6
    )
    yield "redraw_closures", drawn.toarray()


def share_prices():
    """Yield abnormal returns and their mean."""
    rng = np.random.default_rng(6)
    market = rng.normal(0.0, 0.01, 120)
    returns = np.array([0.8, 1.2, 1.0])[:, np.newaxis] * market + rng.normal(0.0, 0.02, (3, 120))
    windows = {"day": (100, 101), "week": (100, 105)}
    found = returns_of.abnormal_returns(
        returns, market, estimation=(0, 95), event=windows, recent=10
    )
    yield "abnormal_returns", found
    terms = ["0: week", "1: week", "2: week"]
    spans = [(100, 105), (102, 107), (110, 115)]
    pooled = returns_of.pool_events(
        found, terms, spans, found.details["abnormal"], estimation=(0, 95)
    )
    yield "pool_events", pooled
    ranks = np.array([1, 2, 3, 50, 98, 99])
    values = np.array([-0.3, -0.2, -0.1, 0.0, 0.2, 0.3])
    yield "market_rank", returns_of.market_rank(-0.15, ranks, values, 100, rounding=0.001)


def functions_of_estimates():
    """Yield what can be made of an estimate, and the sums by cluster behind it."""
    panel = sales_panel()
    study = att_gt(panel["y"], panel["first"], scale="ratio", cluster=panel["cluster"])
    dynamic = study.aggregate("dynamic")[:]
    simple = study.aggregate("simple")
    yield "band", dynamic.sup_t_band()
    yield "small sample", (dynamic.cov_small_sample, dynamic.joint_df)
    yield "critical_value", critical_value(dynamic.covariance, 0.9)
    yield "at", dynamic.at(0.8)
    yield "exp", dynamic.exp()
    yield "chosen", dynamic[0:1]
    yield "set", simple.with_set("bounds", (-1.0, 0.5), "a set")
    yield "tidy", dynamic.tidy().drop(columns=["df", "n"])
    ratio = dynamic.delta_method(
        lambda x: {"ratio": x[-1] / x[0], "sum": x[0] + x[1]}, estimand="r", unit="u"
    )
    yield "delta_method", ratio
    yield "stack", stack_estimates({"one": simple, "two": simple.exp()}, estimand="both")
    sums = sum_by(panel["y"][:, :3], panel["cluster"], 11)
    total = Estimate(
        estimand="sums", unit="u", terms=("a", "b", "c"), value=sums.sum(axis=0), scores=sums
    )
    yield (
        "jackknife",
        total.jackknife(lambda x: {"share": x[0] / (x[1] + x[2])}, estimand="s", unit="u"),
    )
    yield "without_each", without_each(lambda x: x[..., :1] / x[..., 1:], sums)
    yield "left_out", left_out(lambda x: np.array([x[0] / x[2]]), sums.sum(axis=0), sums.T)
    yield "effective", effective((sums**2).sum(axis=0), (sums**4).sum(axis=0))


def frames():
    """Yield the estimators for a DataFrame."""
    panel = sales_panel()
    unit, period = np.indices(panel["y"].shape).reshape(2, -1)
    columns = {"firm": unit, "month": period, "sales": panel["y"].ravel()}
    columns |= {name: panel[name][unit] for name in ("first", "weights", "cluster", "strata")}
    columns |= {"x": panel["covariates"][unit, 0], "group": unit // 7}
    data = pd.DataFrame(columns)
    keys = {"outcome": "sales", "unit": "firm", "time": "month"}
    options = {
        "plain": {},
        "covariates": {"covariates": ["x"], "cluster": "cluster"},
        "two clusters": {"cluster": ["cluster", "group"], "scale": "ratio"},
        "weights": {"weights": "weights", "strata": "strata", "comparison": "not_yet"},
    }
    for name, chosen in options.items():
        study = att_gt_of_frame(data, "first", **keys, **chosen)
        yield f"frame {name} cells", study.effects
        yield f"frame {name} simple", study.aggregate()
        yield f"frame {name} dynamic", study.aggregate("dynamic")[:]
    gone = data.drop(data.index[(data["sales"] == 0) & (data["month"] == PERIODS - 1)])
    for absent in ("zero", "missing"):
        yield (
            f"frame absent {absent}",
            att_gt_of_frame(gone, "first", absent=absent, **keys).aggregate("group"),
        )
    fallen = data.assign(sales=data["sales"] - 20 * (data["month"] >= data["first"]))
    study = att_gt_of_frame(fallen, "first", cluster="cluster", **keys)
    for restriction in ("relative", "smooth"):
        found = honest_bounds_of_frame(study, target=["0", "1"], restriction=restriction)
        yield f"frame honest {restriction}", found
    yield "frame noninferiority", noninferiority(study, margin=4.0)
    on = (data["firm"] == 0) & (data["month"] >= 3)
    yield "frame synthetic", synthetic_did_of_frame(data.assign(on=on), "on", **keys)
    shares = data.assign(share=data["cluster"] / 20)
    windows = {"before": (0, 2), "after": (3, 5)}
    found = exposure_effects_of_frame(
        shares, exposure="share", category="cluster", **windows, **keys
    )
    yield "frame exposure", found


GROUPS = (
    cohort_effects,
    cross_checks,
    exposure,
    few_treated,
    violations,
    survival_and_power,
    share_prices,
    functions_of_estimates,
    frames,
)


def measured(group):
    """Yield the case, the measure and the numbers of all results of a group, float64[number]."""
    for case, result in group():
        for measure, values in numbers(result).items():
            yield case, measure, np.asarray(values, dtype=float).ravel()


def main():
    """Write the table."""
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["case", "measure", "numbers"])
        for group in GROUPS:
            for case, measure, values in measured(group):
                table.writerow([case, measure, " ".join(f"{value:.17g}" for value in values)])


if __name__ == "__main__":
    main()
