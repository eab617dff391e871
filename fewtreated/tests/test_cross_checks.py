"""Doubly robust and imputed effects: referees, invariances, weights, bad input, and paths that
depend on covariates.

The referee of the first is a translation of R's DRDID, that of the second a library of its own, to
which weights are those of a survey. Their errors are of influence values, which are smaller than
those of leaving out each cluster: these are held against estimating again. Printed numbers are in
test_published.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
from causaldata import castle
from diff_diff import CallawaySantAnna, ImputationDiD, SurveyDesign
from drdid.drdid import drdid_panel
from fewtreated.errors import DesignError
from fewtreated.estimators import cross_checks
from fewtreated.estimators import doubly_robust as robust
from fewtreated.estimators.att_gt import att_gt
from fewtreated.estimators.units import usable_units

N = 240
T = 6


def doubly_robust(y, first_treated, covariates=None, *, kind="simple", **options):
    return robust.doubly_robust(usable_units(y, first_treated, covariates, **options), kind)


def imputation(y, first_treated, covariates=None, *, kind="simple", **options):
    """Impute within strata, by the sign of the second covariate."""
    strata = None if covariates is None else covariates[:, -1] > 0
    return cross_checks.imputation(usable_units(y, first_treated, strata=strata, **options), kind)


BOTH = pytest.mark.parametrize("estimator", [doubly_robust, imputation])
KINDS = pytest.mark.parametrize("kind", ["simple", "dynamic", "group_time"])
NUMBERS = ["estimate", "std_error"]


def panel(seed):
    """Return units that are treated the sooner the larger their covariate, on which paths depend
    too.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, 2))
    treated = rng.random(N) < 0.8 / (1 + np.exp(-0.7 * x[:, 0]))
    first = np.where(treated, rng.integers(2, T, N), np.inf)
    effect = (np.arange(T) >= first[:, np.newaxis]) * rng.normal(-0.25, 0.3, size=(N, 1))
    trend = 0.2 * x[:, :1] * np.arange(T)
    y = rng.normal(size=(N, 1)) + rng.normal(size=T) + rng.normal(size=(N, T)) + effect + trend
    return {"y": y, "first_treated": first, "covariates": x, "weights": rng.uniform(0.5, 3, N)}


def same(one, other, tolerance=1e-9):
    assert one.terms == other.terms
    np.testing.assert_allclose(one.rows[NUMBERS], other.rows[NUMBERS], rtol=0, atol=tolerance)


@pytest.mark.parametrize("weighted", [False, True])
def test_doubly_robust_effects_equal_the_referee_cell_by_cell_whose_errors_are_a_little_smaller(
    weighted,
):
    units = panel(1)
    y = units["y"]
    first = units["first_treated"]
    x = units["covariates"]
    if weighted:
        weights = units["weights"]
    else:
        weights = np.ones(N)
    rows = doubly_robust(y, first, x, kind="group_time", weights=weights).rows.set_index("term")
    assert len(rows) == 4 * (T - 1)
    for cohort in range(2, T):
        kept = (first == cohort) | np.isinf(first)
        design = np.column_stack([np.ones(kept.sum()), x[kept]])
        for time in set(range(T)) - {cohort - 1}:
            treated = (first[kept] == cohort).astype(float)
            effect, moved = drdid_panel(
                y[kept, time], y[kept, cohort - 1], treated, design, weights[kept]
            )
            error = np.sqrt((moved**2).sum()) / kept.sum()
            found = rows.loc[f"g={cohort} t={time}"]
            assert found["estimate"] == pytest.approx(effect, abs=1e-9)
            assert 1 < found["std_error"] / error < 1.2


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_imputed_effects_equal_the_referee_whose_errors_are_near(grouped, weighted):
    units = panel(2)
    weights = units["weights"] if weighted else None
    unit = np.repeat(np.arange(N), T)
    time = np.tile(np.arange(T), N)
    frame = pd.DataFrame(
        {"unit": unit, "time": time, "y": units["y"].ravel(), "weight": units["weights"][unit]}
    )
    frame["first"] = np.where(np.isinf(units["first_treated"]), 0, units["first_treated"])[unit]
    cluster = np.arange(N) // (4 if grouped else 1)
    frame["cluster"] = cluster[unit]
    survey = SurveyDesign(weights="weight", psu="cluster") if weighted else None
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # of weights that are scaled to a mean of one, and of a form that is to go
        theirs = ImputationDiD(cluster="cluster").fit(
            frame, "y", "unit", "time", "first", aggregate="event_study", survey_design=survey
        )
    asked = {"weights": weights, "cluster": cluster}
    simple, dynamic = (
        imputation(units["y"], units["first_treated"], kind=kind, **asked)
        for kind in KINDS.args[1][:2]
    )
    expected = {"simple": (theirs.overall_att, theirs.overall_se)}
    expected |= {
        str(event): (one["effect"], one["se"]) for event, one in theirs.event_study_effects.items()
    }
    for found in (simple, dynamic):
        for value, error, term in zip(found.value, found.std_error, found.terms, strict=True):
            assert value == pytest.approx(expected[term][0], abs=1e-8)
            assert 0.98 < error / expected[term][1] < 1.1


def of_kind(plain, kind):
    if kind == "group_time":
        return plain.effects
    return plain.aggregate(kind)


def without_each(estimator, found, units, cluster, **asked):
    """Return the errors of estimating again without each cluster, float64[term]."""
    kept = [cluster != one for one in np.unique(cluster)]
    again = [
        estimator(**{name: part[rows] for name, part in units.items()}, **asked).value
        for rows in kept
    ]
    return np.sqrt((1 - 1 / len(kept)) * ((found.value - np.array(again)) ** 2).sum(axis=0))


@BOTH
@pytest.mark.parametrize("clusters", [6, 60])
@pytest.mark.parametrize("scale", ["level", "ratio"])
def test_errors_are_those_of_estimating_again_without_each_cluster(estimator, clusters, scale):
    """Of the log odds of treatment a step is taken to first order, which matters little even for
    six clusters.
    """
    units = panel(9)
    cluster = np.arange(N) % clusters
    units["y"] = np.exp(units["y"] / 3)
    asked = {"kind": "dynamic", "scale": scale}
    found = estimator(**units, **asked, cluster=cluster)
    again = without_each(estimator, found, units, cluster, **asked)
    np.testing.assert_allclose(
        found.std_error, again, rtol=1e-9 if estimator is imputation else 0.04
    )
    np.testing.assert_array_less(found.df, clusters)


@KINDS
@pytest.mark.parametrize(("weighted", "anticipation"), [(False, 1), (True, 0)])
def test_without_covariates_doubly_robust_effects_are_the_group_time_effects(
    kind, weighted, anticipation
):
    units = panel(3)
    cluster = np.arange(N) // 4
    units = {name: units[name] for name in ("y", "first_treated", *["weights"] * weighted)}
    asked = {"anticipation": anticipation, "cluster": cluster}
    expected = of_kind(att_gt(**units, **asked), kind)
    found = doubly_robust(**units, **asked, kind=kind)
    assert found.terms == expected.terms
    np.testing.assert_allclose(found.value, expected.value, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(found.df, expected.df, rtol=1e-7)


@pytest.mark.parametrize("kind", ["simple", "group_time"])
def test_covariates_that_are_groups_are_the_strata_of_group_time_effects(kind):
    units = panel(4)
    cluster = np.arange(N) // 4
    groups = np.digitize(units["covariates"][:, 1], [-0.5, 0.5])
    units = {name: units[name] for name in ("y", "first_treated")}
    expected = of_kind(att_gt(**units, strata=groups, cluster=cluster), kind)
    units["covariates"] = (groups[:, np.newaxis] == np.arange(3)).astype(float)
    same(doubly_robust(**units, kind=kind, cluster=cluster), expected)


@BOTH
@KINDS
def test_a_weight_of_two_is_the_same_unit_twice(estimator, kind):
    units = panel(5)
    times = 1 + np.arange(N) % 2
    once = estimator(**units | {"weights": times}, kind=kind)
    copies = {name: np.repeat(values, times, axis=0) for name, values in units.items()}
    twice = estimator(
        **copies | {"weights": None}, kind=kind, cluster=np.repeat(np.arange(N), times)
    )
    same(once, twice)


@BOTH
def test_only_proportions_of_weights_matter_and_equal_ones_are_none(estimator):
    units = panel(6)
    same(estimator(**units), estimator(**units | {"weights": 7 * units["weights"]}))
    same(estimator(**units | {"weights": None}), estimator(**units | {"weights": np.full(N, 3.0)}))


@pytest.mark.parametrize(
    "more",
    [
        lambda x: np.full((N, 1), 5.0),
        lambda x: x.sum(axis=1, keepdims=True),
        lambda x: 1e6 * x + 3,
        np.zeros_like,
    ],
    ids=["constant", "sum of others", "other units", "nothing"],
)
def test_a_covariate_that_adds_nothing_changes_nothing(more):
    units = panel(7)
    x = units["covariates"]
    same(
        doubly_robust(**units),
        doubly_robust(**units | {"covariates": np.column_stack([x, more(x)])}),
        1e-7,
    )


@BOTH
@KINDS
def test_unit_levels_time_shocks_and_the_order_of_units_change_nothing(estimator, kind):
    units = panel(8)
    rng = np.random.default_rng(0)
    order = rng.permutation(N)
    moved = units | {"y": units["y"] + 100 * rng.normal(size=(N, 1)) + rng.normal(size=T)}
    moved = {name: values[order] for name, values in moved.items()}
    same(estimator(**units, kind=kind), estimator(**moved, kind=kind))


def test_the_imputed_ratio_is_the_log_of_what_was_seen_over_what_would_have_been():
    units = panel(10)
    units["y"] = np.exp(units["y"] / 3)
    level, ratio = (
        imputation(**units, kind="dynamic", scale=scale).value for scale in ("level", "ratio")
    )
    event = np.arange(T) - units["first_treated"][:, np.newaxis]
    for place, term in enumerate(imputation(**units, kind="dynamic").terms):
        cells = event == int(term)
        seen = np.average(units["y"][cells], weights=np.repeat(units["weights"], cells.sum(axis=1)))
        assert ratio[place] == pytest.approx(-np.log1p(-level[place] / seen), abs=1e-9)


def test_the_error_of_a_ratio_is_that_of_sums_where_each_unit_is_measured_by_its_own_base():
    """Outcomes over their base, weighted by it: group-time effects on the ratio scale, which are
    made of sums.
    """
    rng = np.random.default_rng(11)
    sales = rng.lognormal(size=(N, 1)) * rng.lognormal(sigma=0.3, size=(N, 2))
    first = np.where(np.arange(N) % 3 == 0, 1.0, np.inf)
    base = sales[:, :1]
    found = att_gt(sales, first, scale="ratio").aggregate()
    plain = {"scale": "ratio", "weights": base[:, 0]}
    same(att_gt(sales / base, first, **plain).aggregate(), found, 1e-12)
    other = doubly_robust(sales / base, first, **plain)
    assert other.value == pytest.approx(found.value, abs=1e-12)
    assert other.std_error == pytest.approx(found.std_error, rel=1e-9)


def test_anticipation_moves_the_base_back():
    units = panel(12)
    units["first_treated"][units["first_treated"] == 2] = 3.0
    dip = units["y"] - 2.0 * (np.arange(T) == units["first_treated"][:, np.newaxis] - 1)
    clean = doubly_robust(**units, anticipation=1)
    same(clean, doubly_robust(**units | {"y": dip}, anticipation=1))
    assert abs(doubly_robust(**units | {"y": dip}).value - clean.value) > 0.3


@BOTH
@pytest.mark.parametrize("never", [T, 99.0])
def test_a_date_after_the_last_period_is_never(estimator, never):
    units = panel(19)
    dated = units | {
        "first_treated": np.where(np.isinf(units["first_treated"]), never, units["first_treated"])
    }
    same(estimator(**units), estimator(**dated))
    plain = {name: (units[name], dated[name]) for name in ("y", "first_treated")}
    one, other = (att_gt(*arrays).effects for arrays in zip(*plain.values(), strict=True))
    same(one, other)


def test_a_unit_with_something_missing_is_dropped_and_counted():
    units = panel(13)
    holed = {name: values.copy() for name, values in units.items()}
    holed["y"][3, 2] = np.nan
    holed["covariates"][5, 0] = np.nan
    holed["first_treated"][7] = 0.0
    kept = np.delete(np.arange(N), [3, 5, 7])
    found = doubly_robust(**holed)
    same(found, doubly_robust(**{name: values[kept] for name, values in units.items()}), 1e-12)
    counted = ("units", "dropped_missing", "dropped_always_treated")
    assert [found.counts[name] for name in counted] == [237, 2, 1]
    assert att_gt(holed["y"], holed["first_treated"]).counts["dropped_always_treated"] == 1


@BOTH
def test_a_cohort_of_one_cluster_has_no_error_of_its_own_and_leaves_that_of_the_average(estimator):
    units = panel(14)
    units["first_treated"][units["first_treated"] == 2] = np.inf
    units["first_treated"][0] = 2.0
    cells = estimator(units["y"], units["first_treated"], kind="group_time").rows.set_index("term")
    lone = cells.index.str.startswith("g=2")
    assert cells["estimate"].notna().all()
    assert (cells["std_error"].isna() == lone).all()
    plain = {name: units[name] for name in ("y", "first_treated")}
    simple = estimator(**plain)
    assert simple.std_error == pytest.approx(
        without_each(estimator, simple, plain, np.arange(N)), rel=1e-9
    )
    assert simple.reason == ""
    assert "rest on a single cluster" in estimator(**plain, kind="group_time").reason


@BOTH
def test_what_sold_nothing_has_no_ratio(estimator):
    units = panel(15)
    y = 10 + units["y"]
    y[np.isfinite(units["first_treated"]), T - 1] = 0
    found = estimator(y, units["first_treated"], kind="group_time", scale="ratio")
    gone = np.array([term.endswith(f"t={T - 1}") for term in found.terms])
    np.testing.assert_array_equal(np.isnan(found.value), gone)
    assert "no positive" in found.reason


def market(seed, *, odds, trend, n=400):
    """Return two periods, treated and trending by a covariate, each in a straight line or not; the
    effect is -1.
    """
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1.5, 1.5, size=n)
    shape = {"line": x, "bend": x**2 - 0.75}
    treated = rng.random(n) < 1 / (1 + np.exp(0.5 - shape[odds]))
    change = shape[trend] - treated + rng.normal(size=n)
    y = rng.normal(size=(n, 1)) + np.column_stack([np.zeros(n), change])
    return {"y": y, "first_treated": np.where(treated, 1.0, np.inf), "covariates": x[:, np.newaxis]}


@pytest.mark.parametrize(("odds", "trend"), [("line", "line"), ("line", "bend"), ("bend", "line")])
def test_where_paths_depend_on_covariates_plain_differences_err_and_doubly_robust_ones_do_not(
    odds, trend
):
    """A straight line in one of the two is enough; plain differences are wrong where both have the
    same shape.
    """
    runs = 300
    found = [
        doubly_robust(**market(seed, odds=odds, trend=trend)).rows.iloc[0] for seed in range(runs)
    ]
    values, errors = (np.array([one[name] for one in found]) for name in NUMBERS)
    assert abs(values.mean() + 1) < 4 * values.std() / np.sqrt(runs)
    assert errors.mean() == pytest.approx(
        values.std(), rel=0.15
    )  # the spread of 300 has an error of 4 per cent
    if odds == trend:
        plain = [
            att_gt(*list(market(seed, odds=odds, trend=trend).values())[:2]).aggregate().value
            for seed in range(50)
        ]
        assert abs(np.mean(plain) + 1) > 0.3


def test_covariates_that_tell_treated_and_never_treated_apart_are_refused():
    units = panel(17)
    units["covariates"] = np.where(np.isfinite(units["first_treated"]), 1.0, -1.0)[:, np.newaxis]
    units["covariates"] = units["covariates"] + np.random.default_rng(0).uniform(
        -0.5, 0.5, size=(N, 1)
    )
    with pytest.raises(
        DesignError, match=r"1 covariates separate \d+ treated and \d+ never-treated units"
    ):
        doubly_robust(**units)
    refused = pytest.raises(
        DesignError, match="Cannot impute with 1 covariates; pass strata, or use doubly_robust"
    )
    with refused:
        cross_checks.imputation(
            usable_units(units["y"], units["first_treated"], units["covariates"])
        )


def test_a_covariate_in_which_the_never_treated_are_all_alike_is_refused():
    units = market(18, odds="line", trend="line")
    never = np.isinf(units["first_treated"])
    units["covariates"] = np.where(never, 0.0, np.arange(len(never)) % 2)[:, np.newaxis]
    with pytest.raises(DesignError, match=r"separate|the untreated units do not differ"):
        doubly_robust(**units)


@BOTH
def test_a_state_that_alone_is_a_cohort_leaves_the_average_its_error(estimator):
    """Castle-doctrine laws (causaldata): Florida alone passed one in 2005; the referee is
    diff-diff.
    """
    frame = castle.load_pandas().data.sort_values(["sid", "year"])
    dates = frame[frame["post"] == 1].groupby("sid")["year"].min()
    y = np.log(frame.pivot(index="sid", columns="year", values="homicide"))
    first = y.index.map(dates).to_numpy(float)
    found = estimator(y.to_numpy(), np.nan_to_num(first - y.columns[0], nan=np.inf))
    assert not found.reason
    if estimator is doubly_robust:
        long = frame.assign(y=np.log(frame["homicide"]), first=frame["sid"].map(dates).fillna(0))
        theirs = CallawaySantAnna().fit(long, "y", "sid", "year", "first")
        assert found.value == pytest.approx(theirs.overall_att)
        assert 1 < found.std_error / theirs.overall_se < 1.05
