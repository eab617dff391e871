"""Estimators on DataFrames: equal to those on arrays, which have their referees; refusals."""

import pickle
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import yaml
from fewtreated.errors import DataError
from fewtreated.estimate import Estimate
from fewtreated.estimators import att_gt as by_cohort
from fewtreated.estimators import exposure as by_exposure
from fewtreated.estimators import honest_did, synthetic
from fewtreated.estimators.doubly_robust import doubly_robust
from fewtreated.estimators.power import minimum_detectable_effect
from fewtreated.estimators.survival import exit_survival
from fewtreated.estimators.units import usable_units
from fewtreated.testing import all_zero
from scipy import stats

import fewtreated as ft
from fewtreated import errors

N = 40
T = 8
MONTHS = pd.period_range("2021-03", periods=T, freq="M")
NUMBERS = ["estimate", "std_error", "conf_low", "conf_high"]
NAMES = {"outcome": "sales", "unit": "firm", "time": "month"}
CALL = NAMES | {"first_treated": "closed"}
RNG = np.random.default_rng(1)
FIRST = np.where(np.arange(N) % 4 == 0, 4.0, np.where(np.arange(N) % 4 == 1, 5.0, np.inf))
Y = RNG.lognormal(size=(N, T)) + 3 - 0.5 * (np.arange(T) >= FIRST[:, np.newaxis])
BY_FIRM = {
    "weight": RNG.uniform(1, 3, N),
    "size": RNG.normal(size=N),
    "group": np.arange(N) // 2,
    "fifth": np.arange(N) % 5,
    "category": np.array(list("ab"))[np.arange(N) // 20],
}


def long(times=MONTHS, never=pd.NaT):
    """Return a row per firm and month in no order, with labels that are no positions."""
    firm, month = np.indices(Y.shape).reshape(2, -1)
    frame = pd.DataFrame(
        {"firm": [f"F{i:02}" for i in firm], "month": times[month], "sales": Y.ravel()}
    )
    closed = pd.Series([never if np.isinf(first) else times[int(first)] for first in FIRST])
    frame["closed"] = closed[firm].to_numpy()
    frame["on"] = month >= FIRST[firm]
    frame = frame.assign(**{name: values[firm] for name, values in BY_FIRM.items()})
    frame["held"] = (firm % 10 + month / 10) / 50
    frame["lone"] = FIRST[firm]  # each cohort one cluster
    frame.index = [f"row {i}" for i in frame.index]
    return frame.sample(frac=1, random_state=1)


def same(ours, theirs):
    np.testing.assert_allclose(ours.rows[NUMBERS], theirs.rows[NUMBERS], rtol=0, atol=1e-10)


@pytest.mark.parametrize("scale", ["level", "ratio"])
def test_a_frame_gives_what_its_arrays_give_whatever_the_order_of_its_rows(scale):
    names = {"weights": "weight", "cluster": "group", "strata": "category"}
    effects = ft.att_gt(long(), **CALL, **names, scale=scale, anticipation=1)
    arrays = {what: BY_FIRM[name] for what, name in names.items()}
    expected = by_cohort.att_gt(Y, FIRST, **arrays, scale=scale, anticipation=1)
    same(effects, expected.effects)
    for kind in ("simple", "dynamic"):
        same(effects.aggregate(kind), expected.aggregate(kind))


def test_covariates_make_it_doubly_robust():
    found = ft.att_gt(long(), **CALL, covariates=["size"], cluster="group")
    units = usable_units(Y, FIRST, BY_FIRM["size"][:, np.newaxis], cluster=BY_FIRM["group"])
    for kind, ours in (("group_time", found.effects), ("dynamic", found.aggregate("dynamic"))):
        same(ours, doubly_robust(units, kind))
    assert found.rows["group"].iloc[0] == MONTHS[4]


@pytest.mark.parametrize(
    ("times", "never"),
    [
        *((times, "") for times in (MONTHS.strftime("%Y-%m"), pd.Index(np.arange(T)))),
        (MONTHS.strftime("%Y-%m"), None),
        (MONTHS.to_timestamp(), pd.NaT),
        (MONTHS.to_timestamp(how="end"), pd.NaT),
        (pd.Index(MONTHS.to_timestamp().date), None),
        (MONTHS.to_timestamp().tz_localize("Asia/Shanghai"), pd.NaT),
        (pd.Index(MONTHS.to_timestamp(), dtype="timestamp[ns][pyarrow]"), pd.NaT),
        (pd.CategoricalIndex(MONTHS.strftime("%Y-%m")), None),
        (pd.Index(np.arange(2001, 2001 + T)), 0),
        (pd.Index(np.arange(2001, 2001 + T)), np.inf),
        (pd.Index(np.arange(T)), 99),
        (pd.period_range("2021Q1", periods=T, freq="Q"), pd.NaT),
    ],
)
def test_periods_are_numbers_months_dates_or_text_and_never_is_written_in_many_ways(times, never):
    same(ft.att_gt(long(times, never), **CALL), by_cohort.att_gt(Y, FIRST).effects)


def test_effects_are_named_by_the_periods_of_the_frame_and_by_its_outcome():
    effects = ft.att_gt(long(), **CALL).effects
    assert effects.terms[0] == "g=2021-07 t=2021-03"
    assert effects.rows.loc[0, ["group", "time", "event_time"]].tolist() == [
        MONTHS[4],
        MONTHS[0],
        -4,
    ]
    assert effects.unit == "units of sales"


def test_a_comparison_with_units_not_yet_treated_is_that_of_the_arrays():
    effects = ft.att_gt(long(), **CALL, comparison="not_yet", strata="category")
    expected = by_cohort.att_gt(Y, FIRST, comparison="not_yet", strata=BY_FIRM["category"])
    same(effects, expected.effects)
    for kind in ("group", "calendar"):
        same(effects.aggregate(kind), expected.aggregate(kind))
    assert effects.aggregate("group").terms == ("2021-07", "2021-08", "average")


def leaving():
    """Return the frame without the rows of three treated firms after the month of their closure."""
    frame = long()
    gone = frame["firm"].isin(["F00", "F01", "F04"]) & (frame["month"] > MONTHS[5])
    return frame[~gone]


def ended(frame):
    """Return a frame in which sales of two firms never treated are empty in the last two months."""
    last = frame["firm"].isin(["F02", "F03"]) & (frame["month"] > MONTHS[5])
    return frame.assign(sales=frame["sales"].mask(last))


@pytest.mark.parametrize("absent", ["zero", "missing"])
def test_an_outcome_that_is_empty_to_the_end_is_read_as_one_without_a_row(absent):
    empty = ended(long())
    dropped = empty[empty["sales"].notna()]
    found = [ft.att_gt(frame, **CALL, absent=absent) for frame in (empty, dropped)]
    same(found[0], found[1])
    assert found[0].effects.counts == found[1].effects.counts


def test_an_empty_outcome_before_the_end_is_missing_whatever_absent_means():
    frame = long()
    frame.loc[(frame["firm"] == "F02") & (frame["month"] == MONTHS[5]), "sales"] = np.nan
    y = Y.copy()
    y[2, 5] = np.nan
    same(ft.att_gt(frame, **CALL, absent="zero"), by_cohort.att_gt(y, FIRST).effects)


def test_absent_rows_of_firms_that_leave_are_zero_or_missing_as_asked_and_counted():
    y = Y.copy()
    y[np.ix_([0, 1, 4], [6, 7])] = 0
    zero = ft.att_gt(leaving(), **CALL, absent="zero")
    same(zero, by_cohort.att_gt(y, FIRST).effects)
    assert "absent rows as zero 6" in repr(zero)
    y[y == 0] = np.nan
    missing = ft.att_gt(leaving(), **CALL, absent="missing")
    same(missing, by_cohort.att_gt(y, FIRST).effects)
    assert "missing 6" in repr(missing)
    assert zero.aggregate().value[0] < missing.aggregate().value[0]  # survivors lose less


def test_single_absent_rows_and_empty_cells_cost_no_unit():
    frame = long().drop(["row 9", "row 18"])  # of a firm never treated
    frame.loc["row 20", "sales"] = np.nan
    found = ft.att_gt(frame, **CALL).effects
    assert [found.counts[name] for name in ("units", "missing")] == [N, 3]


@pytest.mark.parametrize("covariates", [None, ["size"]])
@pytest.mark.parametrize("kind", ["simple", "dynamic"])
def test_two_clusters_add_up_and_their_pairs_are_taken_off(covariates, kind):
    """Each unit is a pair of its own here, so that pairs are what is without clusters."""

    def of(cluster):
        found = ft.att_gt(frame, **CALL, covariates=covariates, cluster=cluster)
        return found.aggregate(kind)

    frame = long()
    frame["eighth"] = frame["firm"].str[1:].astype(int) // 5
    both, one, other, pairs = map(of, (["eighth", "fifth"], "eighth", "fifth", "firm"))
    assert both.interval == "confidence interval, errors clustered by eighth and by fifth"
    assert one.interval == "confidence interval, errors clustered by eighth"
    larger = np.maximum(one.std_error, other.std_error) ** 2
    expected = one.std_error**2 + other.std_error**2 - pairs.std_error**2
    whole = one.covariance + other.covariance - pairs.covariance
    if np.linalg.eigvalsh(whole).min() >= 0:
        np.testing.assert_allclose(both.std_error**2, np.maximum(expected, larger), rtol=1e-9)
    assert (both.std_error**2 >= larger * (1 - 1e-12)).all()
    assert np.linalg.eigvalsh(both.covariance).min() > -1e-12
    np.testing.assert_allclose(both.df, np.minimum(one.df, other.df))
    assert both.joint_df == min(one.joint_df, other.joint_df)


def test_two_clusters_cover_shocks_to_both_where_the_wider_of_two_does_not():
    """Effects of zero, and shocks of the same size to each of 20 rows and 20 columns."""
    rng = np.random.default_rng(5)
    row, column = np.indices((20, 20)).reshape(2, -1)
    treated = (row + column) % 2 == 0
    frame = pd.DataFrame({"firm": np.arange(400), "row": row, "column": column})
    frame["closed"] = np.where(treated, 1, np.inf)
    frame = frame.loc[np.repeat(np.arange(400), 2)].reset_index(drop=True)
    frame["month"] = np.arange(800) % 2
    held = {"wider": [], "both": []}
    for _ in range(120):
        side = 1 - 2 * treated
        shocks = side * (rng.normal(size=20)[row] + rng.normal(size=20)[column])
        frame["sales"] = np.column_stack([np.zeros(400), shocks + rng.normal(size=400)]).ravel()
        found = [
            ft.att_gt(frame, **CALL, cluster=cluster).aggregate()
            for cluster in ("row", "column", ["row", "column"])
        ]
        covers = [bool(low <= 0 <= high) for low, high in (one.conf_int[:, 0] for one in found)]
        wider = int(found[1].std_error[0] > found[0].std_error[0])
        held["wider"].append(covers[wider])
        held["both"].append(covers[2])
    error = np.sqrt(0.05 * 0.95 / 120)
    assert np.mean(held["both"]) > 0.95 - 2 * error
    assert np.mean(held["wider"]) < 0.95 - 2 * error


def test_more_than_two_clusters_are_refused():
    with pytest.raises(errors.DesignError, match="Cannot cluster in 3 ways, by group, fifth"):
        ft.att_gt(long(), **CALL, cluster=["group", "fifth", "category"])


def test_functions_of_estimates_clustered_in_two_ways_are_not_jackknifed():
    two = ft.att_gt(long(), **CALL, cluster=["group", "fifth"]).effects
    with pytest.raises(errors.DesignError, match="its errors are clustered in two ways"):
        two.jackknife(lambda value: {"first": value[0]}, estimand="first", unit="")


def test_results_are_tidy_printed_pickled_and_sent_to_other_processes():
    effects = ft.att_gt(long(), **CALL, cluster=["group", "fifth"])
    tidy = effects.tidy()
    rows = effects.rows
    df = effects.effects.df
    assert list(tidy) == [
        "term",
        "estimate",
        "std.error",
        "statistic",
        "p.value",
        "conf.low",
        "conf.high",
        "df",
        "n",
    ]
    np.testing.assert_array_equal(tidy[["df", "n"]], np.column_stack([df, rows["n"]]))
    np.testing.assert_allclose(tidy["statistic"], rows["estimate"] / rows["std_error"])
    excluded = (rows["conf_low"] > 0) | (rows["conf_high"] < 0)
    assert ((tidy["p.value"] < 0.05) == excluded).all()
    np.testing.assert_allclose(tidy["p.value"], 2 * stats.t.sf(abs(tidy["statistic"]), df))
    assert effects.summary().count("\ng=") == len(rows)
    assert "2021-07 t=2021-03 & " in effects.to_latex()
    for again in (
        pickle.loads(pickle.dumps(effects)),
        joblib.Parallel(2)([joblib.delayed(lambda one: one)(effects)])[0],
    ):
        same(again.aggregate("calendar"), effects.aggregate("calendar"))
        assert repr(again) == repr(effects)


def test_terms_are_found_by_number_and_in_ranges_with_both_ends():
    dynamic = ft.att_gt(long(), **CALL).aggregate("dynamic")
    assert dynamic[-2].terms == dynamic["-2"].terms == ("-2",)
    assert dynamic[-3:2].terms == ("-3", "-2", "0", "1", "2")
    assert dynamic[1:].terms == ("1", "2", "3")
    assert dynamic[-3:3:2].terms == ("-3", "0", "2")
    assert dynamic.row(0)["estimate"] == dynamic.value[dynamic.terms.index("0")]
    assert np.diff(dynamic[0].at(0.9).conf_int, axis=0) < np.diff(dynamic[0].conf_int, axis=0)
    assert dynamic[[0, 1]].bounds(1) == dynamic.bounds("1")


def shocked(seed):
    """Return log sales of 600 firms, 1 to 3 a brand, hit by shocks to 24 categories, of which 12
    have closures.
    """
    rng = np.random.default_rng(seed)
    n = 600
    width = 36
    brand = np.repeat(np.arange(n), rng.integers(1, 4, n))[:n]
    category_of = rng.integers(24, size=n)
    closed = ((rng.random(n) < 0.2) & (category_of < 12))[brand]
    persistent = 0.8 ** np.abs(np.subtract.outer(np.arange(width), np.arange(width)))
    root = np.linalg.cholesky(persistent).T
    shocks = [sd * (rng.normal(size=(n, width)) @ root) for sd in (0.2, 0.2, 0.2)]
    y = shocks[0] + shocks[1][brand] + shocks[2][category_of[brand]] + rng.normal(size=(n, 1))
    y += np.where(closed, np.log(0.35), 0)[:, np.newaxis] * (np.arange(width) >= 24)
    firm, month = np.indices(y.shape).reshape(2, -1)
    frame = pd.DataFrame(
        {
            "firm": firm,
            "month": month,
            "sales": y.ravel(),
            "closed": np.where(closed, 24, np.inf)[firm],
        }
    )
    return frame.assign(brand=brand[firm], category=category_of[brand][firm])


@pytest.mark.slow
def test_two_clusters_mend_intervals_and_pretrends_where_categories_share_shocks():
    runs = 150
    missed = {}
    found = {}
    for seed in range(runs):
        frame = shocked(seed)
        for cluster in ("brand", ["brand", "category"]):
            effects = ft.att_gt(frame, **CALL, cluster=cluster)
            low, high = effects.aggregate().conf_int[:, 0]
            missed.setdefault(str(cluster), []).append(not low <= np.log(0.35) <= high)
            low, high = effects.aggregate("dynamic")[:-2].sup_t_band()
            found.setdefault(str(cluster), []).append(bool(((low > 0) | (high < 0)).any()))
    both = str(["brand", "category"])
    error = np.sqrt(0.05 * 0.95 / runs)
    assert np.mean(missed[both]) < 0.05 + 3 * error
    assert np.mean(found[both]) < 0.05 + 3 * error
    assert np.mean(missed["brand"]) > np.mean(missed[both])
    assert np.mean(found["brand"]) > 0.05 + 3 * error


def changed(row, column, value):
    frame = long().astype({column: object})
    frame.loc[row, column] = value
    return frame


CASES = yaml.safe_load((Path(__file__).parent / "cases" / "frames.yml").read_text(encoding="utf-8"))
WEEKS = pd.date_range("2021-03-01", periods=T, freq="W")


EXPOSED = NAMES | {"exposure": "held"}
WINDOWS = {"before": ("2021-03", "2021-05"), "after": (MONTHS[5], MONTHS[7])}


def test_exposure_in_a_frame_is_its_mean_over_the_later_window():
    effects = ft.exposure_effects(
        long(), **EXPOSED, **WINDOWS, category="group", covariates=["size"]
    )
    arrays = Y[:, :3].sum(axis=1), Y[:, 5:].sum(axis=1), (np.arange(N) % 10 + 0.6) / 50
    options = {"category": BY_FIRM["group"], "covariates": {"size": BY_FIRM["size"]}}
    same(effects, by_exposure.exposure_effects(*arrays, **options))


def test_synthetic_differences_name_their_weights():
    frame = long()[long()["firm"].isin(["F00", "F02", "F03", "F06", "F07"])]
    found = ft.synthetic_did(frame, "on", **NAMES)
    expected = synthetic.synthetic_did(Y[[0, 2, 3, 6, 7]], np.arange(5) == 0, 4)
    np.testing.assert_allclose(found.value, expected.value, atol=1e-10)
    weights = found.details["unit_weights"].sort_index()
    assert weights.index.tolist() == ["F02", "F03", "F06", "F07"]
    np.testing.assert_allclose(weights, expected.details["unit_weights"], atol=1e-8)
    assert found.details["time_weights"].index.equals(MONTHS[:4])


@pytest.mark.parametrize("anticipation", [0, 1])
def test_honest_bounds_of_an_event_study_are_those_of_its_arrays_with_wider_errors(anticipation):
    effects = ft.att_gt(long(), **CALL, anticipation=anticipation)
    averaged = effects.aggregate("dynamic")
    study = averaged[:]
    before = 5 - 1 - anticipation
    target = np.eye(len(study.terms) - before)[anticipation]
    expected = honest_did.honest_bounds(
        study.value, study.cov_small_sample, before, len(target), target=target
    )
    for bounds in (effects, averaged, study):
        np.testing.assert_allclose(
            ft.honest_bounds(bounds).conf_int([0, 1]), expected.conf_int([0, 1])
        )
    assert (np.diag(study.cov_small_sample) > np.diag(study.covariance)).all()
    assert ft.honest_bounds(study, target=["0", "1"]).rows["term"].tolist() == [
        "0",
        "0.5",
        "1",
        "1.5",
        "2",
    ]


def test_bounds_on_longer_periods_count_these_from_the_reference():
    terms = tuple(
        str(period) for period in range(-7, 4) if period != -2
    )  # a period of anticipation
    value = np.random.default_rng(0).normal(size=10)
    study = Estimate(estimand="", unit="", terms=terms, value=value, covariance=np.eye(10))
    options = {"restriction": "smooth", "every": 2}
    expected = honest_did.honest_bounds(value, np.eye(10), 5, 5, **options, target=[0.0, 1.0])
    np.testing.assert_allclose(
        ft.honest_bounds(study, **options, target=1).conf_int(0.1), expected.conf_int(0.1)
    )


def test_noninferiority_takes_an_estimate_with_its_degrees_of_freedom():
    effects = ft.att_gt(long(), **CALL)
    average = effects.aggregate()
    numbers = average.value[0], average.std_error[0]
    expected = ft.noninferiority(*numbers, margin=2.0, df=average.df[0])
    assert (
        ft.noninferiority(effects, margin=2.0) == ft.noninferiority(average, margin=2.0) == expected
    )
    assert expected != ft.noninferiority(*numbers, margin=2.0)


@pytest.mark.parametrize("covariates", [None, ["size"]])
def test_n_is_the_number_of_treated_units_behind_a_term(covariates):
    effects = ft.att_gt(long(), **CALL, covariates=covariates, cluster="group")
    assert effects.aggregate().rows["n"].tolist() == [np.isfinite(FIRST).sum()]
    dynamic = effects.aggregate("dynamic").rows.set_index("term")["n"]
    for month in range(-5, 4):
        there = [(first == FIRST).sum() for first in (4, 5) if 0 <= first + month < T]
        assert month == -1 or dynamic[str(month)] == sum(there)
    assert effects.rows["n"].tolist() == [
        (first == FIRST).sum() for first in 4 + (effects.rows["group"] == MONTHS[5])
    ]


@pytest.mark.parametrize(
    "call",
    [
        ft.permutation_did,
        lambda values, treated: by_exposure.exposure_effects(values + 1, values + 1, treated),
        lambda values, treated: by_cohort.att_gt(Y[:6], treated * 4, weights=values + 1),
        lambda values, treated: by_cohort.att_gt(Y[:6], treated.reset_index(drop=True)[::-1] * 4),
    ],
)
def test_series_of_units_in_different_orders_are_refused(call):
    values = pd.Series(np.arange(6.0), list("abcdef"))
    treated = pd.Series([1, 1, 0, 0, 0, 0], list("fedcba"))
    with pytest.raises(DataError, match=r"Cannot match units by position: .* use \w+\.reindex"):
        call(values, treated)


def test_the_caller_s_arrays_stay_as_they_were():
    y = Y.copy()
    first = FIRST.copy()
    held = np.arange(N) / 200
    for array in (y, first, held):
        array.setflags(write=False)  # a change would raise
    by_cohort.att_gt(y, first).aggregate()
    doubly_robust(usable_units(y, first, held[:, np.newaxis]))
    by_exposure.exposure_effects(y[:, 0], y[:, 1], held, expected=held, redrawn=[held[::-1]])
    synthetic.synthetic_did(y, np.arange(N) < 1, 4)


def test_series_in_one_order_count_as_their_values():
    before, after, held = arrays = Y[:, 0], Y[:, 7], np.arange(N) % 10 / 50
    series = [pd.Series(values, [f"F{i}" for i in range(N)]) for values in arrays]
    found = by_exposure.exposure_effects(*series, expected=series[2] / 2)
    same(found, by_exposure.exposure_effects(before, after, held, expected=held / 2))


def test_a_target_is_a_period_as_a_number_or_as_text_and_by_default_the_first_treated_one():
    effects = ft.att_gt(long(), **CALL)
    for targets in ({"target": ["0", "1"]}, {"target": [0, 1]}), ({}, {"target": 0}):
        one, other = (ft.honest_bounds(effects, **target).conf_int([1.0]) for target in targets)
        np.testing.assert_array_equal(one, other)


def att_gt(frame, **options):
    return ft.att_gt(frame, **(CALL | options))


def exposed(**windows):
    return ft.exposure_effects(long(), **EXPOSED, **(WINDOWS | windows))


def synthetic_effect(frame, **treatment):
    return ft.synthetic_did(frame, **NAMES, **treatment)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["says"])
def test_what_is_refused_is_named_by_column_row_and_option(case):
    names = globals() | {
        "honest_bounds": ft.honest_bounds,
        "synthetic": synthetic_effect,
    }
    with pytest.raises(getattr(errors, case.get("error", "DataError")), match=case["says"]):
        eval(case["call"], names)


def followed():
    """Return sales of 60 firms, of which two cohorts are treated and one in three stops."""
    firm, month = np.indices((60, 14)).reshape(2, -1)
    closed = np.select([firm < 10, firm < 20], [4.0, 5.0], np.inf)
    frame = pd.DataFrame({"firm": firm, "month": month, "closed": closed, "brand": firm // 2})
    return frame.assign(sales=np.where((firm % 3 == 0) & (month >= 6 + firm % 4), 0.0, 1.0))


def test_survival_follows_each_cohort_beside_all_units_that_are_never_treated():
    frame = followed()
    found = ft.survival(frame, **CALL, cluster="brand", horizon=6)
    sales = frame["sales"].to_numpy().reshape(60, 14)
    firms = np.concatenate([np.r_[0:10, 20:60], np.r_[10:20, 20:60]])
    start = np.repeat([4.0, 5.0], 50)
    options = {"rows": firms, "strata": start, "cluster": firms // 2, "horizon": 6}
    same(found, exit_survival(sales, start, firms < 20, **options))
    assert found.unit == "periods"
    np.testing.assert_array_equal(found.details["units"].index, firms)


def test_an_absent_row_is_an_exit_only_if_it_means_zero():
    frame = followed()
    gone = frame[frame["sales"] > 0]
    found = ft.survival(gone, **CALL, absent="zero", horizon=6)
    same(found, ft.survival(frame, **CALL, horizon=6))
    with pytest.raises(errors.DesignError, match="Cannot tell what absent outcomes mean"):
        ft.survival(gone, **CALL, horizon=6)


def test_survival_without_treated_units_is_refused():
    with pytest.raises(errors.DesignError, match="column 'closed' has no period of treatment"):
        ft.survival(followed().assign(closed=np.nan), **CALL)


def test_power_is_that_of_the_average_effect_of_placebos():
    frame = followed()
    frame = frame.assign(sales=np.random.default_rng(5).normal(size=len(frame)))
    frame["third"] = frame["firm"] % 3
    found = ft.power(frame, **CALL, cluster="brand", strata="third", draws=60, seed=3)
    y = frame["sales"].to_numpy().reshape(60, 14)
    first = frame["closed"].to_numpy()[::14]
    third = np.arange(60) % 3

    def average(values, dates, rows):
        return by_cohort.att_gt(values, dates, cluster=rows // 2, strata=third[rows]).aggregate()

    options = {"estimator": average, "strata": third, "draws": 60, "seed": 3}
    same(found, minimum_detectable_effect(y, first, **options))
    assert found.unit == "units of sales"


def test_an_outcome_that_never_varies_is_printed_without_an_error_and_says_why():
    printed = repr(ft.att_gt(long().assign(sales=3.0), **CALL).aggregate())
    assert "std_error" not in printed
    assert "a standard error of zero would be meaningless" in printed


def test_a_weighted_base_is_printed_with_its_weight_and_goes_without_covariates():
    effects = ft.att_gt(long(), **CALL, base="weighted")
    expected = by_cohort.att_gt(Y, FIRST, base="weighted")
    same(effects.aggregate(), expected.aggregate())
    weight = f"{expected.base_weight.value:.2f}"
    assert f"\nbase: {weight} of the last untreated period, the rest of the mean" in repr(effects)
    with pytest.raises(errors.DesignError, match='use base="last", or leave out covariates'):
        ft.att_gt(long(), **CALL, base="weighted", covariates="size")
    with pytest.raises(errors.DesignError, match="base"):
        ft.att_gt(long(), **CALL, base="first")


def test_the_weight_of_the_base_does_not_depend_on_the_clusters_of_errors():
    both, one = (
        ft.att_gt(long(), **CALL, base="weighted", cluster=cluster).aggregate()
        for cluster in (["group", "fifth"], "group")
    )
    np.testing.assert_allclose(both.value, one.value, rtol=1e-12)
    assert both.details == one.details
    assert both.std_error >= one.std_error


@pytest.mark.parametrize("anticipation", [0, 1])
@pytest.mark.parametrize("covariates", [None, ["size"]])
def test_the_pretest_is_of_all_effects_before_treatment_and_printed(anticipation, covariates):
    effects = ft.att_gt(long(), **CALL, anticipation=anticipation, covariates=covariates)
    before = effects.rows.query("event_time < -1 - @anticipation")["term"].tolist()
    found = effects.pretest
    assert found.effects == len(before) == 7 - 2 * anticipation
    expected = all_zero(effects.effects[before])
    assert found.p_value == expected.p_value
    assert str(found) in repr(effects).splitlines()
    assert effects.summary().endswith(f"\n{found}")
    assert "test that paths were parallel before treatment: W " in str(found)


def test_names_of_a_user_s_own_units_mark_nothing_as_simulated():
    data = long()
    named = data.assign(firm="SIM-" + data["firm"].str[1:])
    options = CALL | {"outcome": "lemp"}
    one, other = (
        ft.att_gt(each.rename(columns={"sales": "lemp"}), **options) for each in (data, named)
    )
    assert repr(one) == repr(other)
    assert repr(one).splitlines()[0] == "simple effect on the treated, units of lemp"
    assert repr(one).isascii()
    assert f"{other.aggregate():all}".isascii()


def test_a_weighted_base_leaves_nothing_to_test_before_treatment_and_says_so():
    printed = repr(ft.att_gt(long(), **CALL, base="weighted"))
    assert "no test that paths were parallel before treatment: there are no such effects" in printed
