"""An Estimate: functions of it with their errors, joint covariance, sets, bands, and how it is
written.
"""

import numpy as np
import pandas as pd
import pytest
from fewtreated.errors import DesignError
from fewtreated.estimate import Estimate, critical_value, refusal, stack_estimates
from fewtreated.estimators.rows import sum_by
from fewtreated.jackknife import FEWEST_DF, effective
from scipy import stats

TERMS = ("a", "b", "c")
MOVED = np.random.default_rng(0).normal(size=(30, 3)) / 40
VALUE = np.array([1.5, 0.8, 2.0])


def made(**changes):
    given = {
        "estimand": "E1a",
        "unit": "yuan",
        "terms": TERMS,
        "value": VALUE,
        "scores": MOVED,
        "n": 30,
    }
    return Estimate(**(given | changes))


def one(value=-0.25, error=0.1, **changes):
    given = {
        "estimand": "E1a",
        "unit": "log points",
        "terms": ("simple",),
        "value": np.array([value]),
    }
    return Estimate(**(given | {"covariance": np.array([[error**2]])} | changes))


# --- functions of an estimate
# ----------------------------------------


def test_sums_ratios_logs_and_products_have_the_errors_of_the_delta_method_by_hand():
    a, b, c = VALUE
    found = made().delta_method(
        lambda x: {
            "sum": x[0] + 2 * x[1] - 3,
            "ratio": x[0] / x[1],
            "log": np.log(x[2]),
            "product": x[0] * x[1] * x[2],
            "power": x[1] ** 3,
            "fixed": 4.0,
        },
        estimand="E2",
        unit="ratio",
        level=0.9,
    )
    gradient = np.array(
        [
            [1, 2, 0],
            [1 / b, -a / b**2, 0],
            [0, 0, 1 / c],
            [b * c, a * c, a * b],
            [0, 3 * b**2, 0],
            [0, 0, 0],
        ]
    )
    assert found.terms == ("sum", "ratio", "log", "product", "power", "fixed")
    np.testing.assert_allclose(
        found.value, [a + 2 * b - 3, a / b, np.log(c), a * b * c, b**3, 4], rtol=1e-15
    )
    np.testing.assert_allclose(
        found.covariance, gradient @ MOVED.T @ MOVED @ gradient.T, rtol=1e-13, atol=1e-18
    )
    np.testing.assert_allclose(found.scores, MOVED @ gradient.T, rtol=1e-13, atol=1e-18)
    assert (found.estimand, found.unit, found.level, found.n) == ("E2", "ratio", 0.9, 30)


def test_a_function_of_a_function_is_the_function_of_both():
    def share(x):
        return {"share": x[0] / (x[0] + x[1]), "rest": x[2]}

    def logs(x):
        return {"logs": np.log(x[0]) - np.exp(x[1])}

    twice = (
        made().delta_method(share, estimand="s", unit="").delta_method(logs, estimand="l", unit="")
    )
    at_once = made().delta_method(lambda x: logs(list(share(x).values())), estimand="l", unit="")
    np.testing.assert_allclose(twice.value, at_once.value, rtol=1e-15)
    np.testing.assert_allclose(twice.covariance, at_once.covariance, rtol=1e-13)
    np.testing.assert_allclose(twice.scores, at_once.scores, rtol=1e-13)


def test_what_clusters_add_is_handed_on_to_any_function_and_gives_its_covariance():
    ratio = (
        made()[["c", "a"]]
        .delta_method(lambda x: {"ratio": x[0] / x[1]}, estimand="r", unit="")
        .exp()
    )
    for found in (ratio, made().exp()):
        np.testing.assert_allclose(found.scores.T @ found.scores, found.covariance, rtol=1e-13)


def test_a_function_of_sums_is_made_again_without_each_cluster():
    rng = np.random.default_rng(4)
    values = rng.lognormal(size=(90, 2))  # what each of 90 rows adds, in nine unequal clusters
    code = np.repeat(np.arange(9), [40, 10, 9, 8, 7, 6, 5, 3, 2])

    def ratio(x):
        return {"ratio": x[0] / x[1], "log": np.log(x[0] / x[1]), "fixed": 3.0}

    def of(rows):
        return np.array(list(ratio(values[rows].sum(axis=0)).values()))

    sums = made(terms=("a", "b"), value=values.sum(axis=0), scores=sum_by(values, code, 12))
    found = sums.jackknife(
        ratio, estimand="r", unit="ratio"
    )  # three codes have no row, and are no clusters
    without = np.array([of(code != cluster) for cluster in range(9)])
    np.testing.assert_allclose(found.value, of(code >= 0), rtol=1e-14)
    np.testing.assert_allclose(
        found.scores[:9], np.sqrt(8 / 9) * (found.value - without), rtol=1e-10, atol=1e-14
    )
    np.testing.assert_array_equal(found.scores[9:], 0.0)
    error = np.sqrt(8 / 9 * ((without - found.value) ** 2).sum(axis=0))
    np.testing.assert_allclose(found.std_error, error, rtol=1e-10, atol=1e-14)
    assert found.terms == ("ratio", "log", "fixed")
    assert (found.estimand, found.unit, found.n) == ("r", "ratio", 30)


def test_intervals_are_those_of_student_s_t_with_the_degrees_of_freedom_that_clusters_leave():
    most = np.array([5, 9, 200])
    found = made(max_df=most, level=0.9)
    of_clusters = effective((MOVED**2).sum(axis=0), (MOVED**4).sum(axis=0))
    assert of_clusters[0] > 5  # the first two are capped, and the last is not
    assert of_clusters[1] > 9
    assert of_clusters[2] < 200
    np.testing.assert_array_equal(found.df, [5, 9, of_clusters[2]])
    for term, df in zip(TERMS, found.df, strict=True):
        row = found.row(term)
        half = stats.t.ppf(0.95, df) * found[term].std_error[0]
        assert found.bounds(term) == found[term].bounds(term) == (row["conf_low"], row["conf_high"])
        assert found.bounds(term) == pytest.approx(
            (row["estimate"] - half, row["estimate"] + half), rel=1e-12
        )
    known = made(
        scores=None, covariance=np.eye(3), max_df=most
    )  # who adds what is not known, so the cap holds
    np.testing.assert_array_equal(known.df, most)
    assert np.isinf(made(scores=None, covariance=np.eye(3)).df).all()


@pytest.mark.parametrize(
    ("clusters", "df"), [(0, 200), (1, 1), (2, 1), (3, 2), (5, 4), (30, FEWEST_DF)]
)
def test_degrees_of_freedom_are_fewer_than_the_clusters_that_move_a_term(clusters, df):
    """One cluster moves it a hundred times as far as any other: the estimated number is below the
    least.
    """
    moved = np.where(np.arange(30) < clusters, 0.01, 0.0)
    moved[: min(clusters, 1)] = 1.0
    assert made(terms=("a",), value=VALUE[:1], scores=moved[:, np.newaxis], max_df=200).df == df


@pytest.mark.parametrize(("loud", "df"), [(0, 5), (1, 9)])
def test_a_function_has_at_most_the_degrees_of_freedom_of_the_term_behind_most_of_its_variance(
    loud, df
):
    errors = np.where(np.arange(2) == loud, 2.0, 1.0)
    found = made(
        terms=("a", "b"),
        value=VALUE[:2],
        scores=None,
        covariance=np.diag(errors**2),
        max_df=np.array([5, 9]),
    )
    gap = found.delta_method(lambda x: {"gap": x[1] - x[0]}, estimand="gap", unit="yuan")
    half = stats.t.ppf(0.975, df) * np.sqrt(5)
    assert gap.bounds("gap") == pytest.approx((-0.7 - half, -0.7 + half), rel=1e-12)


def of_changes(moved):
    return effective((moved**2).sum(axis=0), (moved**4).sum(axis=0))


def test_effective_degrees_of_freedom_of_equal_clusters_tend_to_one_less_than_their_number():
    clusters = 60
    draws = 20_000
    moved = np.random.default_rng(6).normal(size=(clusters, draws))
    square = (moved**2).sum(axis=0)
    fourth = (moved**4).sum(axis=0)
    # E[(sum d^2)^2] = G^2 + 2 G and E[sum d^4] = 3 G for normal d of variance one, so the ratio is
    # G + 2
    assert effective(np.sqrt((square**2).mean()), fourth.mean()) == pytest.approx(
        clusters - 1, rel=0.01
    )
    assert np.median(effective(square, fourth)) == pytest.approx(
        clusters - 1, rel=0.1
    )  # each draw is noisy


def test_where_one_cluster_decides_the_fewest_degrees_of_freedom_are_left():
    moved = np.vstack([np.full((1, 3), 100.0), np.random.default_rng(7).normal(size=(50, 3))])
    np.testing.assert_array_equal(of_changes(moved), FEWEST_DF)
    assert np.isnan(of_changes(np.zeros((50, 1)))).all()  # nothing moves it


@pytest.mark.parametrize("scale", [1e-60, -3.0, 1e70])
def test_effective_degrees_of_freedom_have_no_unit(scale):
    moved = np.random.default_rng(8).standard_t(4, size=(40, 5))
    np.testing.assert_allclose(of_changes(scale * moved), of_changes(moved), rtol=1e-12)
    assert (of_changes(moved) < 39).any()  # heavy tails leave fewer


def test_a_function_has_neither_the_limits_nor_the_columns_of_what_it_is_computed_from():
    wide = made(
        limits=np.array([VALUE - 9, VALUE + 9]), columns={"clusters": [3, 4, 5]}, n=[1, 2, 3]
    )
    found = wide.delta_method(lambda x: {"sum": sum(x)}, estimand="sum", unit="yuan")
    half = stats.t.ppf(0.975, found.df[0]) * found.std_error[0]
    assert found.bounds("sum") == pytest.approx((VALUE.sum() - half, VALUE.sum() + half), rel=1e-12)
    assert list(found.rows) == ["term", "estimate", "std_error", "conf_low", "conf_high", "n"]


def test_log_points_and_their_limits_become_per_cent():
    logs = made(unit="log points", value=np.array([-0.5, 0.0, 0.2]), level=0.9)
    found = logs.exp()
    assert found.unit == "per cent"
    np.testing.assert_allclose(found.value, 100 * (np.exp(logs.value) - 1), rtol=1e-14)
    np.testing.assert_allclose(found.conf_int, 100 * (np.exp(logs.conf_int) - 1), rtol=1e-12)
    by_hand = logs.delta_method(
        lambda x: {str(i): 100 * np.exp(v) for i, v in enumerate(x)}, estimand="", unit=""
    )
    np.testing.assert_allclose(found.covariance, by_hand.covariance, rtol=1e-13)
    np.testing.assert_allclose(found.scores, by_hand.scores, rtol=1e-13)


# --- terms
# ----------------------------------------


def test_some_of_the_terms_keep_the_order_asked_for_and_how_they_move_together():
    ends = np.array([[1.0, 0.5, 1.5], [2.0, 1.0, 2.5]])
    whole = made(
        n=[10, 20, 30],
        columns={"clusters": ["x", "y", "z"]},
        limits=ends,
        max_df=np.array([3.0, 4.0, 5.0]),
    )
    some = whole[["c", "a"]]
    assert some.terms == ("c", "a")
    np.testing.assert_array_equal(some.covariance, whole.covariance[[2, 0]][:, [2, 0]])
    np.testing.assert_array_equal(some.scores, MOVED[:, [2, 0]])
    pd.testing.assert_frame_equal(some.rows, whole.rows.iloc[[2, 0]].reset_index(drop=True))
    pd.testing.assert_series_equal(whole["b"].rows.iloc[0], whole.row("b"), check_names=False)


def test_a_term_that_is_not_there_or_there_twice_is_refused():
    with pytest.raises(DesignError, match=r"the term 'd'; choose from a, b, c"):
        made()["d"]
    with pytest.raises(DesignError, match=r"the term 'b'; choose from a, b, b"):
        made(terms=("a", "b", "b")).row("b")


def test_a_set_is_added_and_nothing_else():
    before = made(n=[10, 20, 30], columns={"clusters": [3, 4, 5]})
    after = before.with_set("whole", (-1.0, 4.0), "an assumption, not a draw")
    pd.testing.assert_frame_equal(after[list(TERMS)].rows, before.rows, check_dtype=False)
    np.testing.assert_array_equal(after.covariance[:3, :3], before.covariance)
    np.testing.assert_array_equal(after[list(TERMS)].scores, before.scores)
    assert after.bounds("whole") == (-1.0, 4.0)
    assert after.row("whole")[["estimate", "std_error", "clusters"]].isna().all()
    assert after.row("whole")["n"] == 30
    assert np.isnan(after["whole"].scores).all()
    assert (after.reason, before.reason) == ("an assumption, not a draw", "")


@pytest.mark.parametrize("df", [np.inf, 6])
def test_a_band_covers_all_terms_at_once_as_often_as_its_level_says(df, monkeypatch):
    monkeypatch.setattr("fewtreated.estimate.DRAWS", 4000)
    rng = np.random.default_rng(3)
    runs = 1500
    size = 5
    root = rng.normal(size=(size, size)) * [1, 1, 2, 5, 0.1]
    covariance = root.T @ root
    covered = 0
    pointwise = 0
    for noise in rng.normal(size=(runs, size)) @ root:
        if np.isfinite(df):
            spread = rng.chisquare(df) / df
        else:
            spread = 1.0
        known = {"value": noise, "scores": None, "covariance": spread * covariance}
        found = made(terms=tuple("abcde"), max_df=df, level=0.9, **known)
        low, high = found.sup_t_band()
        covered += bool(((low <= 0) & (high >= 0)).all())
        pointwise += bool(((found.conf_int[0] <= 0) & (found.conf_int[1] >= 0)).all())
    assert abs(covered / runs - 0.9) < 4 * np.sqrt(0.9 * 0.1 / runs)
    assert pointwise / runs < 0.85


def test_the_freedom_of_all_terms_is_the_geometric_mean_of_theirs_and_that_of_the_band():
    covariance = 0.5 + 0.5 * np.eye(3)
    found = made(scores=None, covariance=covariance, max_df=np.array([2.0, 4.0, 8.0]))
    assert found.joint_df == pytest.approx(4.0)
    half = critical_value(covariance, 0.95, df=4.0)
    np.testing.assert_allclose(found.sup_t_band(), [VALUE - half, VALUE + half], rtol=1e-9)
    assert half > critical_value(covariance, 0.95, df=8.0) > critical_value(covariance, 0.95)
    clustered = made(max_df=200)
    assert clustered.joint_df == pytest.approx(stats.gmean(clustered.df))


def test_a_term_without_error_makes_no_band_wider():
    joint = np.array([[4.0, 1.0], [1.0, 9.0]])
    wider = np.zeros((4, 4))
    wider[np.ix_([1, 3], [1, 3])] = joint
    wider[0, 0] = -1e-18  # a rounding
    assert critical_value(wider, 0.95) == critical_value(joint, 0.95)
    assert critical_value(np.zeros((3, 3)), 0.95) == pytest.approx(1.959964)


# --- what is missing
# ----------------------------------------


def test_an_error_that_is_missing_must_say_why():
    missing = {"scores": None, "value": VALUE}
    with pytest.raises(
        DesignError,
        match="Cannot create an Estimate of E1a: a standard error or interval is missing",
    ):
        made(**missing)
    with pytest.raises(DesignError, match="a standard error or interval is missing; state why"):
        made(limits=np.array([[0.0, 0.0, np.nan], [3.0, 3.0, np.nan]]))
    kept = made(**missing, reason="few units")
    assert kept.row("a")["estimate"] == 1.5
    assert kept.bounds("a") is None
    assert not kept.refused
    with pytest.raises(
        DesignError,
        match=(
            "Cannot jackknife E1a: its estimator provides no cluster scores; use its own standard"
            " errors"
        ),
    ):
        kept.jackknife(lambda x: {"sum": sum(x)}, estimand="sum", unit="yuan")


def test_an_estimate_is_refused_where_it_has_neither_a_value_nor_a_limit():
    nothing = {"value": np.full(1, np.nan), "covariance": None, "reason": "no firm was closed"}
    assert one(**nothing).refused
    assert not one(**nothing, limits=np.array([[-1.0], [1.0]])).refused


def test_whatever_is_asked_of_a_refusal_is_the_refusal():
    nothing = refusal("no firm was closed")
    assert nothing.refused
    assert nothing["seen"] is nothing
    assert nothing[["closed", "seen"]] is nothing
    assert f"{nothing['seen']:all}" == "not estimable with this data (no firm was closed)"
    with pytest.raises(DesignError, match="Cannot find the term 'seen'"):
        one(value=np.nan, covariance=None, reason="no firm was closed")[
            "seen"
        ]  # one term is refused, not all


# --- how it is written
# ----------------------------------------


def test_an_estimate_is_written_plainly_and_on_request_with_unit_and_interval():
    found = one(unit="per cent", value=-25.0, error=10.0)
    assert f"{found}" == "-25"
    assert f"{found:unit}" == "-25 per cent"
    assert f"{found:interval}" == "-44.6 to -5.4"
    assert f"{found:all}" == "-25 [-44.6 to -5.4] per cent"
    assert f"{found:both}" == "-25 [-44.6 to -5.4]"


def test_a_set_is_written_by_its_ends_and_a_refusal_by_its_reason():
    whole = one().with_set("whole", (-60.0, 2000.0), "an assumption")["whole"]
    assert f"{whole}" == f"{whole:interval}" == "-60 to 2000"
    assert f"{whole:unit}" == f"{whole:all}" == "-60 to 2000 log points"
    nothing = one(value=np.nan, covariance=None, reason="no firm was closed")
    for spec in ("", "unit", "interval", "both"):
        assert format(nothing, spec) == "not estimable with this data"
    assert f"{nothing:all}" == "not estimable with this data (no firm was closed)"


def test_a_value_without_interval_says_so_where_the_interval_is_asked_for_and_why_where_all_is():
    found = one(value=-1.0, covariance=None, reason="nothing was sold")
    assert f"{found}" == "-1"
    assert f"{found:interval}" == f"{found:both}" == "-1 (no interval)"
    assert f"{found:all}" == "-1 log points (nothing was sold)"


def test_a_term_without_spread_is_not_stated_and_the_others_are():
    still = one(unit="per cent").delta_method(
        lambda x: {"moves": x[0], "still": 0 * x[0] + 3}, estimand="X", unit="per cent"
    )
    assert np.isnan(still.stated.value).tolist() == [False, True]
    assert still.bounds("moves") is not None
    assert still.bounds("still") is None
    assert "a standard error of zero would be meaningless" in f"{still['still']:all}"
    assert still["moves"].stated.value == still.value[0]


def test_several_terms_and_unknown_formats_are_not_written():
    for found, spec in ((made(), ""), (one(), ".2f")):
        with pytest.raises(DesignError, match="Cannot format"):
            format(found, spec)


# --- tools
# ----------------------------------------


def test_estimates_stand_beside_each_other_with_their_own_errors_limits_and_units():
    first = one(max_df=4, level=0.9, n=12, interval="interval, errors clustered by brand")
    second = one(2.0, 0.5, unit="months", n=[7], limits=np.array([[0.0], [9.0]]), level=0.9)
    found = stack_estimates({"first": first, "second": second}, estimand="both", reason="")
    assert found.level == 0.9
    assert list(found.rows["unit"]) == ["log points", "months"]
    assert list(found.rows["n"]) == [12, 7]
    for name, part in (("first", first), ("second", second)):
        columns = ["estimate", "std_error", "conf_low", "conf_high"]
        assert list(found.row(name)[columns]) == pytest.approx(
            list(part.rows.iloc[0][columns]), rel=1e-14
        )
    assert np.isnan(found.covariance[0, 1])
    assert found.interval == "interval, errors clustered by brand, or confidence interval"
    alike = stack_estimates({"one": first, "other": first}, estimand="both")
    assert (alike.unit, alike.interval) == ("log points", first.interval)
    assert "unit" not in alike.rows


@pytest.mark.parametrize(
    ("value", "error", "written"),
    [
        (-0.04, 0.0122449, "-0.04 [-0.064 to -0.016]"),
        (-0.0004321, 0.0001, "-0.0004321 [-0.0006281 to -0.0002361]"),
        (12345.678, 100.0, "1.235e+04 [1.215e+04 to 1.254e+04]"),
    ],
)
def test_a_small_number_is_written_with_significant_digits(value, error, written):
    made = Estimate(
        estimand="effect",
        unit="log points",
        terms=("one",),
        value=np.array([value]),
        covariance=np.array([[error**2]]),
    )
    assert f"{made:both}" == written
