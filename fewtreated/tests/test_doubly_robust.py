"""Covariates with every option: units not yet treated, strata, missing months, averages, factors.

The referee of single effects is a translation of R's DRDID; of what covariates leave as it was, the
estimator without them; of errors, estimates without each cluster. Numbers of R's did are in
test_published, and further properties in test_cross_checks.
"""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from drdid.drdid import drdid_panel
from fewtreated.errors import DataError, DesignError
from fewtreated.estimators.att_gt import att_gt
from fewtreated.estimators.doubly_robust import doubly_robust
from fewtreated.estimators.units import usable_units
from frozen import sales_panel

import fewtreated as ft

N = 360
T = 6
KINDS = ("simple", "dynamic", "group", "calendar", "group_time")
COMPARISONS = pytest.mark.parametrize("comparison", ["never", "not_yet"])


def robust(y, first, x, kind="group_time", comparison="never", **options):
    units = usable_units(y, first, x, comparison=comparison, complete=False, **options)
    return doubly_robust(units, kind, comparison)


def panel(seed, missing=0.0):
    """Return units whose paths and dates depend on two covariates, with holes in their outcomes."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, 2))
    treated = rng.random(N) < 0.8 / (1 + np.exp(-0.7 * x[:, 0]))
    first = np.where(treated, rng.integers(2, T, N), np.inf)
    y = rng.normal(size=(N, 1)) + rng.normal(size=(N, T)) + 0.2 * x[:, :1] * np.arange(T)
    y[rng.random(y.shape) < missing] = np.nan
    return {"y": y, "first": first, "x": x, "weights": rng.uniform(0.5, 3, N)}


def same(one, other, tolerance=1e-9):
    assert one.terms == other.terms
    np.testing.assert_array_equal(one.n, other.n)
    for name in ("value", "covariance", "df"):
        ours, theirs = (getattr(estimate, name) for estimate in (one, other))
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance, err_msg=name)


@COMPARISONS
@pytest.mark.parametrize("scale", ["level", "ratio"])
@pytest.mark.parametrize("outcomes", ["y", "holes"])
@pytest.mark.parametrize(
    "options", [(), ("strata",), ("weights", "cluster"), ("cluster",)], ids=str
)
def test_a_constant_covariate_leaves_the_effects_as_they_are(comparison, scale, outcomes, options):
    data = sales_panel()
    given = {name: data[name] for name in options}
    study = att_gt(data[outcomes], data["first"], comparison=comparison, scale=scale, **given)
    for kind, x in product(KINDS, (None, np.full((len(data["y"]), 1), 7.0))):
        expected = study.effects if kind == "group_time" else study.aggregate(kind)
        found = robust(data[outcomes], data["first"], x, kind, comparison, scale=scale, **given)
        same(found, expected)
        assert found.estimand == f"{expected.estimand}, doubly robust"


@COMPARISONS
@pytest.mark.parametrize("missing", [0.0, 0.15])
@pytest.mark.parametrize("weighted", [False, True])
def test_each_effect_is_the_referee_s_on_its_units_in_its_two_periods(
    comparison, missing, weighted
):
    data = panel(1, missing)
    y, first, x = (data[name] for name in ("y", "first", "x"))
    weights = data["weights"] if weighted else np.ones(N)
    found = robust(y, first, x, comparison=comparison, weights=weights)
    assert len(found.terms) == 4 * (T - 1)
    for (cohort, time), value, error in zip(
        found.rows[["group", "time"]].to_numpy(), found.value, found.std_error, strict=True
    ):
        later = np.inf if comparison == "never" else max(time, cohort) + 1
        seen = np.isfinite(y[:, [time, cohort - 1]]).all(axis=1)
        kept = seen & ((first == cohort) | (first >= later))
        design = np.column_stack([np.ones(kept.sum()), x[kept]])
        treated = (first[kept] == cohort).astype(float)
        effect, moved = drdid_panel(
            y[kept, time], y[kept, cohort - 1], treated, design, weights[kept]
        )
        assert value == pytest.approx(effect, abs=1e-9)
        assert 1 < error / (np.sqrt((moved**2).sum()) / kept.sum()) < 1.2


@COMPARISONS
@pytest.mark.parametrize("missing", [0.0, 0.15])
def test_a_ratio_is_the_referee_s_of_growth_weighted_by_the_base(comparison, missing):
    data = panel(2, missing)
    y, first, x, weights = np.exp(data["y"] / 3), data["first"], data["x"], data["weights"]
    found = robust(y, first, x, comparison=comparison, weights=weights, scale="ratio")
    for (cohort, time), value in zip(
        found.rows[["group", "time"]].to_numpy(), found.value, strict=True
    ):
        later = np.inf if comparison == "never" else max(time, cohort) + 1
        seen = np.isfinite(y[:, [time, cohort - 1]]).all(axis=1)
        kept = seen & ((first == cohort) | (first >= later))
        growth = y[kept, time] / y[kept, cohort - 1]
        treated = first[kept] == cohort
        base = weights[kept] * y[kept, cohort - 1]
        design = np.column_stack([np.ones(kept.sum()), x[kept]])
        effect, _ = drdid_panel(growth, 0 * growth, treated.astype(float), design, base)
        mean = np.average(growth[treated], weights=base[treated])
        assert value == pytest.approx(np.log(mean / (mean - effect)), abs=1e-9)


def test_the_effect_on_many_units_is_the_referee_s():
    rng = np.random.default_rng(14)
    x = rng.normal(size=(100_000, 2))
    treated = rng.random(len(x)) < 1 / (1 + np.exp(2 - x[:, 0]))
    y = rng.normal(size=(len(x), 2)) + x[:, :1] * np.arange(2)
    found = robust(y, np.where(treated, 1.0, np.inf), x)
    design = np.column_stack([np.ones(len(x)), x])
    effect, moved = drdid_panel(y[:, 1], y[:, 0], treated.astype(float), design)
    assert found.value == pytest.approx(effect, abs=1e-9)
    assert found.std_error == pytest.approx(np.sqrt((moved**2).sum()) / len(x), rel=1e-3)


@COMPARISONS
@pytest.mark.parametrize("missing", [0.0, 0.1])
@pytest.mark.parametrize("clusters", [12, 90])
def test_errors_are_those_of_estimates_without_each_cluster(comparison, missing, clusters):
    """Of the log odds a step is taken to first order, which matters little even for 12 clusters."""
    data = panel(3, missing)
    cluster = np.arange(N) % clusters
    arrays = [data["y"], data["first"], data["x"]]
    asked = {"kind": "calendar", "comparison": comparison}
    options = {"weights": data["weights"], "strata": np.arange(N) // (N // 2)}
    found = robust(*arrays, **asked, **options, cluster=cluster)
    again = []
    for one in range(clusters):
        kept = cluster != one
        given = {name: values[kept] for name, values in options.items()}
        again.append(robust(*(array[kept] for array in arrays), **asked, **given).value)
    error = np.sqrt((1 - 1 / clusters) * ((found.value - np.array(again)) ** 2).sum(axis=0))
    np.testing.assert_allclose(found.std_error, error, rtol=0.04)


@pytest.mark.parametrize("comparison_clusters", [2, 3])
def test_degrees_of_freedom_are_at_most_those_of_the_side_with_fewer_clusters(comparison_clusters):
    data = panel(4)
    unit = np.arange(N)
    never = np.isinf(data["first"])
    cluster = np.where(never, unit % comparison_clusters, 100 + unit % 40)
    for kind in KINDS:
        found = robust(data["y"], data["first"], data["x"], kind, cluster=cluster)
        np.testing.assert_array_equal(found.df, comparison_clusters - 1)


def test_effects_within_strata_are_averaged_over_the_treated():
    data = panel(5)
    arrays = [data["y"], data["first"], data["x"]]
    stratum = np.arange(N) % 3
    found = robust(*arrays, "dynamic", "not_yet", strata=stratum)[:]
    parts = [
        robust(*(array[stratum == one] for array in arrays), "dynamic", "not_yet")[:]
        for one in range(3)
    ]
    n = np.array([part.n for part in parts])
    np.testing.assert_array_equal(found.n, n.sum(axis=0))
    expected = (n * [part.value for part in parts]).sum(axis=0) / n.sum(axis=0)
    np.testing.assert_allclose(found.value, expected, atol=1e-12)


def test_a_missing_month_loses_no_unit_and_a_missing_covariate_loses_its_unit():
    data = panel(6)
    y, first, x = (data[name].copy() for name in ("y", "first", "x"))
    y[np.arange(N) % 2 == 0, 0] = np.nan
    x[5] = np.nan
    found = robust(y, first, x)
    assert [found.counts[name] for name in ("units", "dropped_missing")] == [N - 1, 1]
    whole = robust(*(np.delete(data[name], 5, axis=0) for name in ("y", "first", "x")))
    untouched = found.rows["time"].to_numpy() > 0
    np.testing.assert_allclose(found.value[untouched], whole.value[untouched], atol=1e-12)
    assert (found.n[~untouched] < whole.n[~untouched]).all()


def test_a_period_that_no_cohort_is_seen_in_has_no_effect():
    data = panel(7)
    data["y"][data["first"] == 3, 5] = np.nan
    found = robust(data["y"], data["first"], data["x"])
    assert np.flatnonzero(np.isnan(found.value)).tolist() == [found.terms.index("g=3 t=5")]
    assert found.reason == "1 of 20 cells have no comparison, or no positive mean"


# --- frames


def frame(seed):
    """Return a row per unit and year, with covariates of several types."""
    data = panel(seed)
    unit, time = np.indices(data["y"].shape).reshape(2, -1)
    size = np.array(["large", "medium", "small"])[np.arange(N) % 3]
    rows = pd.DataFrame({"unit": unit, "year": 2001 + time, "y": data["y"].ravel()})
    rows["first"] = 2001 + data["first"][unit]
    rows["size"] = size[unit]
    rows["number"] = data["x"][unit, 0]
    rows["owned"] = (np.arange(N) // 3 % 2 == 0)[unit]
    return rows


CALL = {"outcome": "y", "unit": "unit", "time": "year", "first_treated": "first"}


def test_text_categories_and_booleans_are_columns_of_0_and_1():
    rows = frame(8)
    by_hand = rows.assign(
        medium=(rows["size"] == "medium") * 1.0,
        small=(rows["size"] == "small") * 1.0,
        owned=rows["owned"] * 1.0,
    )
    columns = ["number", "medium", "small", "owned"]
    expected = ft.att_gt(by_hand, **CALL, covariates=columns, comparison="not_yet")
    levels = pd.CategoricalDtype(["small", "unheard of", "medium", "large"])
    for kind in (str, "category", levels):
        typed = rows.assign(size=rows["size"].astype(kind))
        found = ft.att_gt(
            typed, **CALL, covariates=["number", "size", "owned"], comparison="not_yet"
        )
        same(found.effects, expected.effects)
        for averaged in KINDS[:-1]:
            same(found.aggregate(averaged), expected.aggregate(averaged))
    assert found.aggregate("group").terms == ("2003", "2004", "2005", "2006", "average")
    assert found.aggregate("calendar").terms[-1] == "average"


def test_a_unit_without_a_level_is_dropped_and_counted():
    rows = frame(9)
    lost = rows["unit"] == 4
    found = ft.att_gt(rows.assign(size=rows["size"].mask(lost)), **CALL, covariates="size")
    same(found.effects, ft.att_gt(rows[~lost], **CALL, covariates="size").effects)
    assert found.effects.counts["dropped_missing"] == 1


def test_a_factor_of_a_single_level_adds_nothing():
    rows = frame(10)
    found = ft.att_gt(rows.assign(size="one"), **CALL, covariates="size")
    same(found.aggregate(), ft.att_gt(rows, **CALL).aggregate())


def test_numbers_among_text_are_refused():
    rows = frame(11)
    mixed = rows["number"].astype(object).mask(rows["unit"] == 2, "unknown")
    with pytest.raises(DataError, match="'number': it needs a number in each row"):
        ft.att_gt(rows.assign(number=mixed), **CALL, covariates="number")


@pytest.mark.parametrize("missing", [False, True])
def test_covariates_that_separate_a_cohort_are_refused_by_cohort_and_period(missing):
    rows = frame(12)
    apart = rows["number"] + 100 * (rows["first"] == 2004)
    if missing:
        rows.loc[(rows["unit"] < 9) & (rows["year"] == 2003), "y"] = np.nan
    said = (
        r"Cannot compare cohort 2004 in period 200[16] with units of the same covariates: 1"
        r" covariates separate \d+ treated and \d+ (never|not-yet)-treated units; use fewer or"
    )
    with pytest.raises(DesignError, match=said):
        ft.att_gt(rows.assign(number=apart), **CALL, covariates="number", comparison="not_yet")


def test_a_level_that_no_comparison_unit_has_is_refused_by_cohort_and_period():
    rows = frame(13)
    level = np.where((rows["first"] == 2005) & (rows["unit"] % 2 == 0), "odd", "usual")
    said = "Cannot estimate 1 of 2 slopes for cohort 2005 in period 2001: the untreated units"
    with pytest.raises(DesignError, match=said):
        ft.att_gt(rows.assign(size=level), **CALL, covariates="size")
