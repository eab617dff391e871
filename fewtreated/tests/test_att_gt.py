"""Group-time effects: referees, invariances, aggregation, clusters, missing periods, and the ratio
scale.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from diff_diff import CallawaySantAnna
from fewtreated.errors import DesignError
from fewtreated.estimate import Estimate
from fewtreated.estimators.att_gt import att_gt
from fewtreated.jackknife import effective
from scipy import stats

N = 240
T = 9


def panel(seed, *, missing=0.0, n=N):
    rng = np.random.default_rng(seed)
    first = np.where(rng.random(n) < 0.5, rng.integers(4, T - 1, n), np.inf).astype(float)
    effect = np.where(np.arange(T) >= first[:, None], -0.25, 0.0)
    y = rng.normal(size=(n, 1)) * 2 + rng.normal(size=(1, T)) + rng.normal(size=(n, T)) + effect
    y[rng.random(y.shape) < missing] = np.nan
    return y, first


def referee(y, first, comparison="never"):
    long = pd.DataFrame(
        {
            "unit": np.repeat(np.arange(len(y)), T),
            "time": np.tile(np.arange(T), len(y)),
            "y": y.ravel(),
            "first": np.repeat(np.where(np.isinf(first), 0, first), T),
        }
    ).dropna()
    model = CallawaySantAnna(control_group=f"{comparison}_treated", base_period="universal")
    with warnings.catch_warnings():  # of cells without a comparison, and of `aggregate`
        warnings.simplefilter("ignore")
        return model.fit(
            long, outcome="y", unit="unit", time="time", first_treat="first", aggregate="all"
        )


@pytest.mark.parametrize(
    ("comparison", "missing", "never"),
    [("never", 0.0, True), ("never", 0.08, True)]
    + [("not_yet", missing, never) for missing in (0.0, 0.08) for never in (True, False)],
)
def test_effects_equal_the_referee_and_errors_are_a_little_longer(comparison, missing, never):
    """Theirs are of influence values, ours of leaving out each unit: apart by one over those of the
    smallest cohort.

    With missing outcomes, both compare the units observed in both periods of an effect, and add up
    effects by them; but the referee weighs periods of a cohort equally, and with `cluster` cohorts
    by their size.
    """
    y, first = panel(1, missing=missing)
    y, first = (y, first) if never else (y[np.isfinite(first)], first[np.isfinite(first)])
    theirs = referee(y, first, comparison)
    ours = att_gt(y, first, comparison=comparison)
    assert ours.counts["units"] >= 0.95 * len(y)
    rows = ours.effects.rows.set_index(["group", "time"])
    pairs = [(ours.aggregate("simple").rows.iloc[0], theirs.overall_att, theirs.overall_se)]
    for (group, time), cell in theirs.group_time_effects.items():
        if time != group - 1 and np.isfinite(
            cell["effect"]
        ):  # the reference period, which they print as zero
            pairs.append((rows.loc[(int(group), int(time))], cell["effect"], cell["se"]))
    assert len(pairs) == 1 + rows["estimate"].notna().sum()
    for kind, of_kind in {
        "dynamic": theirs.event_study_effects,
        "group": theirs.group_effects,
    }.items():
        averages = ours.aggregate(kind)
        for term, cell in of_kind.items():
            if term != -1 and not (kind == "group" and missing):
                pairs.append((averages.row(str(int(term))), cell["effect"], cell["se"]))
    smallest = rows.loc[rows["estimate"].notna(), ["n_treated", "n_comparison"]].min(axis=None)
    for row, effect, error in pairs:
        assert row["estimate"] == pytest.approx(effect, abs=1e-12)
        assert 0.999 < row["std_error"] / error < 1 + 1.2 / smallest


def test_an_effect_is_of_the_units_seen_in_both_periods_and_others_are_counted():
    y, first = panel(3, missing=0.1)
    y[0, 1:] = np.nan  # seen once
    ours = att_gt(y, first)
    seen = np.isfinite(y)
    base = np.where(np.isinf(first), 0, first - 1).astype(int)
    used = (seen.sum(axis=1) > 1) & (np.isinf(first) | seen[np.arange(N), base])
    assert ours.counts["units"] == used.sum() < N
    assert ours.counts["dropped_missing"] == N - used.sum()
    assert ours.counts["missing"] == (~seen[used]).sum()
    for row in ours.effects.rows.itertuples():
        both = seen[:, row.group - 1] & seen[:, row.time] & ((first == row.group) | np.isinf(first))
        two = att_gt(
            y[both][:, [row.group - 1, row.time]], np.where(np.isinf(first[both]), np.inf, 1.0)
        ).effects
        assert row.estimate == pytest.approx(two.value[0], abs=1e-12)
        assert [row.n_treated, row.n_comparison] == [two.n[0], both.sum() - two.n[0]]
        factor = (1 - 1 / used.sum()) / (1 - 1 / both.sum())
        assert row.std_error == pytest.approx(np.sqrt(factor) * two.std_error[0], rel=1e-9)


def of_kind(found, kind):
    if kind == "effects":
        return found.effects
    return found.aggregate(kind)


def few_units():
    """Sixty units of unequal sizes, some months without sales; two cohorts in few clusters; unequal
    strata.
    """
    rng = np.random.default_rng(0)
    n = 60
    y = np.exp(rng.normal(size=(n, 1)) + 0.3 * rng.normal(size=(n, 8)))
    y[rng.random((n, 8)) < 0.05] = 0
    first = np.where(np.arange(n) < 8, 4.0, np.where(np.arange(n) < 14, 5.0, np.inf))
    cluster = np.concatenate(
        [np.arange(8) // 2, 10 + np.arange(6) // 2, 100 + np.arange(n - 14) // 3]
    )
    return y, first, cluster, rng.integers(2, size=n)


def without_each(y, first, cluster, scale, kind, terms, comparison="never", **by_unit):
    """Estimate again without each cluster, float64[cluster, term]; NaN where a term is gone."""
    found = []
    for one in np.unique(cluster):
        keep = cluster != one
        left = {name: None if values is None else values[keep] for name, values in by_unit.items()}
        options = {"scale": scale, "cluster": cluster[keep], "comparison": comparison}
        again = of_kind(att_gt(y[keep], first[keep], **options, **left), kind)
        known = dict(zip(again.terms, again.value, strict=True))
        found.append([known.get(term, np.nan) for term in terms])
    return np.array(found)


def most(first, labels, terms):
    """Return one less than the treated clusters of each term."""
    found = []
    for term in terms:
        if term[0] != "g":
            cohorts = [4.0, 5.0]
        else:
            cohorts = [float(term[2])]
        if term.lstrip("-").isdigit():
            cohorts = [one for one in cohorts if 0 <= one + int(term) < 8]
        found.append(max(len(np.unique(labels[np.isin(first, cohorts)])) - 1, 1))
    return np.array(found)


@pytest.mark.parametrize("kind", ["effects", "simple", "dynamic"])
@pytest.mark.parametrize("stratified", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("grouped", ["alone", "of one side", "of both sides", "strata"])
@pytest.mark.parametrize("scale", ["level", "ratio"])
def test_errors_are_exactly_those_of_leaving_out_each_cluster(
    scale, grouped, weighted, stratified, kind
):
    y, first, cluster, stratum = few_units()
    units = np.arange(len(y))
    by_unit = {
        "strata": stratum if stratified else None,
        "weights": 1.0 + units % 3 if weighted else None,
    }
    labels = {
        "alone": units,
        "of one side": cluster,
        "of both sides": units % 7,
        "strata": stratum,
    }[grouped]
    found = of_kind(
        att_gt(y, first, scale=scale, cluster=None if grouped == "alone" else labels, **by_unit),
        kind,
    )
    again = without_each(y, first, labels, scale, kind, found.terms, **by_unit)
    moved = np.sqrt(1 - 1 / len(again)) * (found.value - again)
    np.testing.assert_allclose(found.covariance, moved.T @ moved, rtol=1e-10, atol=1e-14)
    square = (moved**2).sum(axis=0)
    fourth = (moved**4).sum(axis=0)
    fewest = most(first, labels, found.terms)
    np.testing.assert_allclose(found.df, np.minimum(fewest, effective(square, fourth)), rtol=1e-8)
    if grouped != "alone":
        np.testing.assert_allclose(
            found.scores[np.argsort(found.clusters)], moved, rtol=1e-9, atol=1e-13
        )
        assert list(found.clusters) == list(pd.unique(labels))
    else:
        assert found.scores is None


@pytest.mark.parametrize("kind", ["effects", "simple", "dynamic", "group", "calendar"])
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("comparison", ["never", "not_yet"])
@pytest.mark.parametrize("scale", ["level", "ratio"])
def test_errors_of_any_comparison_and_pairs_of_periods_leave_out_each_cluster(
    scale, comparison, missing, grouped, kind
):
    y, first, cluster, _ = few_units()
    first[14:20] = 6.0
    if missing:
        y[np.random.default_rng(5).random(y.shape) < 0.05] = np.nan
    units = np.arange(len(y))
    if grouped:
        labels = cluster
    else:
        labels = units
    found = of_kind(
        att_gt(y, first, scale=scale, comparison=comparison, cluster=cluster if grouped else None),
        kind,
    )
    moved = found.value - without_each(y, first, labels, scale, kind, found.terms, comparison)
    if grouped:
        some = (np.nan_to_num(moved) != 0).any(axis=1).sum()
    else:
        some = found.counts["clusters"]
    np.testing.assert_allclose(
        found.covariance, (1 - 1 / some) * moved.T @ moved, rtol=1e-9, atol=1e-14
    )
    if not grouped:
        freedom = effective((moved**2).sum(axis=0), (moved**4).sum(axis=0))
        np.testing.assert_allclose(
            found.df, np.minimum(np.maximum(found.n - 1, 1), freedom), rtol=1e-8
        )


@pytest.mark.parametrize("scale", ["level", "ratio"])
def test_an_effect_that_rests_on_one_cluster_has_no_error_and_says_so(scale):
    y, first, _, _ = few_units()
    one = np.where(np.isfinite(first), 0, np.arange(len(y)))  # all treated are of one
    found = att_gt(y, first, scale=scale, cluster=one)
    for kind in ("effects", "simple"):
        of = of_kind(found, kind)
        assert np.isfinite(of.value).all()
        assert np.isnan([of.std_error, *of.conf_int]).all()
        assert (
            of.reason
            == f"{len(of.terms)} of {len(of.terms)} cells rest on a single cluster and have no"
            " standard error"
        )
    later = np.where(first == 5, 0, 1 + np.arange(len(y)))  # of one cohort alone
    rows = att_gt(y, first, scale=scale, cluster=later).effects.rows
    assert (rows["std_error"].isna() == (rows["group"] == 5)).all()
    pool = np.where(np.isinf(first), 0, 1 + np.arange(len(y)))  # nobody is left to compare with
    assert np.isnan(att_gt(y, first, scale=scale, cluster=pool).aggregate().std_error).all()


def test_intervals_of_nine_unequal_treated_clusters_cover_where_normal_ones_do_not():
    """Firms of log-normal sizes, of which one to three a group are closed without effect; groups
    share what moves them.

    300 runs leave a Monte Carlo error of .013.
    """
    rng = np.random.default_rng(8)
    runs = 300
    cluster = np.repeat(np.arange(129), np.where(np.arange(129) % 9 < 3, [1, 2, 3] * 43, 1))
    first = np.where(cluster < 9, 1.0, np.inf)
    student = normal = 0
    for _ in range(runs):
        size = rng.lognormal(sigma=1.0, size=len(first))
        shock = rng.normal(scale=0.4, size=129)[cluster]
        after = size * np.exp(shock) * rng.lognormal(sigma=0.4, size=len(first))
        y = np.column_stack([size, after])
        found = att_gt(y, first, scale="ratio", cluster=cluster).aggregate()
        student += found.conf_int[0, 0] <= 0 <= found.conf_int[1, 0]
        normal += abs(found.value[0]) <= stats.norm.ppf(0.975) * influence_error(y, first, cluster)
    assert student / runs >= 0.91
    assert normal / runs < 0.87


def influence_error(y, first, cluster):
    """Return the error of influence values of the ratio, without a correction for few clusters:
    what is not enough.
    """
    moved = np.zeros(cluster.max() + 1)
    for side in (np.isfinite(first), np.isinf(first)):
        before, after = y[side].T
        np.add.at(moved, cluster[side], after / after.sum() - before / before.sum())
    return np.sqrt(moved @ moved)


def test_group_time_effects_are_an_estimate_with_a_term_for_each_cohort_and_period():
    y, first = panel(19)
    found = att_gt(y, first).effects
    assert isinstance(found, Estimate)
    assert found.rows["term"].is_unique
    row = found.rows.iloc[3]
    assert row["term"] == f"g={row['group']} t={row['time']}"
    assert row["n"] == row["n_treated"] == (first == row["group"]).sum()
    assert found.bounds(row["term"]) == (row["conf_low"], row["conf_high"])
    assert row["std_error"] == pytest.approx(np.sqrt(found.covariance[3, 3]), rel=1e-12)


@pytest.mark.parametrize("kind", ["effects", "simple", "dynamic"])
@pytest.mark.parametrize("scale", ["level", "ratio"])
def test_a_weight_of_two_is_the_same_unit_twice_in_its_cluster_be_each_unit_its_own_or_said_to_be(
    scale, kind
):
    y, first, _, _ = few_units()
    times = 1 + np.arange(len(y)) % 2
    units = np.arange(len(y))
    twice = att_gt(
        *(np.repeat(part, times, axis=0) for part in (y, first)),
        scale=scale,
        cluster=np.repeat(units, times),
    )
    for cluster in (None, units):
        once = of_kind(att_gt(y, first, scale=scale, weights=times, cluster=cluster), kind)
        np.testing.assert_allclose(once.value, of_kind(twice, kind).value, rtol=1e-12)
        np.testing.assert_allclose(
            once.covariance, of_kind(twice, kind).covariance, rtol=1e-9, atol=1e-14
        )
        np.testing.assert_allclose(once.df, of_kind(twice, kind).df, rtol=1e-9)
    plain, scaled = (
        of_kind(att_gt(y, first, scale=scale, weights=one), kind)
        for one in (None, np.full(len(y), 7.0))
    )
    np.testing.assert_allclose(scaled.value, plain.value, rtol=1e-12)
    np.testing.assert_allclose(scaled.conf_int, plain.conf_int, rtol=1e-9)


@pytest.mark.parametrize("kind", ["simple", "dynamic"])
def test_effects_ignore_unit_levels_time_shocks_and_the_order_of_units(kind):
    y, first = panel(7)
    rng = np.random.default_rng(0)
    order = rng.permutation(N)
    plain = att_gt(y, first).aggregate(kind).rows
    moved = (y + 1e6 * rng.normal(size=(N, 1)) + rng.normal(size=(1, T)))[order]
    again = att_gt(moved, first[order]).aggregate(kind).rows
    np.testing.assert_allclose(
        again.drop(columns="term"), plain.drop(columns="term"), rtol=1e-6, atol=1e-8
    )


def test_shifting_a_cohort_after_its_treatment_moves_its_effects_by_exactly_that():
    y, first = panel(8)
    treated = np.arange(T) >= first[:, None]
    before = att_gt(y, first).effects.rows
    after = att_gt(y + 3.0 * treated, first).effects.rows
    moved = np.where(before["event_time"] >= 0, 3.0, 0.0)
    np.testing.assert_allclose(after["estimate"] - before["estimate"], moved, atol=1e-12)
    np.testing.assert_allclose(after["std_error"], before["std_error"], rtol=1e-12)


def poisson(y, first):
    """Poisson regression with unit and time effects on two cohorts, by GLM with dummies."""
    n, t = y.shape
    unit = np.repeat(np.arange(n), t)
    time = np.tile(np.arange(t), n)
    design = np.column_stack(
        [
            (time >= first[unit]).astype(float),
            (unit[:, None] == np.arange(n)).astype(float),
            (time[:, None] == np.arange(1, t)).astype(float),
        ]
    )
    return (
        sm.GLM(y.ravel(), design, family=sm.families.Poisson())
        .fit(tol=1e-13, maxiter=200)
        .params[0]
    )


def test_the_ratio_scale_equals_poisson_with_unit_and_time_effects_zeros_included():
    rng = np.random.default_rng(10)
    first = np.where(np.arange(40) < 15, 1.0, np.inf)
    y = rng.poisson(2.0, size=(40, 2)).astype(float) * rng.lognormal(size=(40, 1))
    y = y[y.sum(axis=1) > 0]
    first = first[: len(y)]
    assert (y == 0).any()
    ours = att_gt(y, first, scale="ratio").effects.rows.iloc[0]
    estimate = poisson(y, first)
    n = len(y)
    again = np.array(
        [poisson(np.delete(y, unit, axis=0), np.delete(first, unit)) for unit in range(n)]
    )
    assert ours["estimate"] == pytest.approx(estimate, abs=1e-6)
    assert ours["std_error"] == pytest.approx(
        np.sqrt((1 - 1 / n) * ((again - estimate) ** 2).sum()), rel=1e-6
    )


def test_the_ratio_scale_ignores_the_unit_of_money_and_multiplies_exactly():
    y, first = panel(11)
    y = np.exp(y / 4)
    treated = np.arange(T) >= first[:, None]
    plain = att_gt(y, first, scale="ratio").aggregate("simple").rows.iloc[0]
    scaled = att_gt(y * 6.49, first, scale="ratio").aggregate("simple").rows.iloc[0]
    halved = (
        att_gt(np.where(treated, y / 2, y), first, scale="ratio").aggregate("simple").rows.iloc[0]
    )
    assert scaled["estimate"] == pytest.approx(plain["estimate"], abs=1e-12)
    assert scaled["std_error"] == pytest.approx(plain["std_error"], rel=1e-10)
    assert halved["estimate"] == pytest.approx(plain["estimate"] - np.log(2), abs=1e-12)


def test_strata_are_averaged_over_the_treated_and_one_stratum_is_none():
    y, first = panel(12)
    stratum = np.arange(N) % 2
    pd.testing.assert_frame_equal(
        att_gt(y, first).effects.rows, att_gt(y, first, strata=np.zeros(N)).effects.rows
    )
    trend = stratum[:, None] * np.arange(
        T
    )  # strata on different trends, and treated unevenly over them
    first = np.where((stratum == 1) & (np.arange(N) % 3 == 0), np.inf, first)
    found = att_gt(y + 5.0 * trend, first, strata=stratum).aggregate("simple").rows.iloc[0]
    plain = att_gt(y, first, strata=stratum).aggregate("simple").rows.iloc[0]
    assert found["estimate"] == pytest.approx(plain["estimate"], abs=1e-9)


def test_a_cell_without_comparison_is_missing_and_said_to_be():
    y, first = panel(14)
    stratum = np.where(first == T - 2, 1, 0)  # nobody is never treated where these are
    found = att_gt(y, first, strata=stratum)
    last = found.effects.rows.query("group == @T - 2")
    assert last[["estimate", "std_error", "conf_low", "conf_high"]].isna().all(axis=None)
    assert (last["n_comparison"] == 0).all()
    assert "have no comparison" in found.effects.reason
    lost = found.effects.rows["estimate"].isna().to_numpy()
    influence = att_gt(y, first, strata=stratum, cluster=np.arange(N)).effects.scores
    np.testing.assert_array_equal(np.isnan(influence), np.broadcast_to(lost, (N, len(lost))))
    np.testing.assert_array_equal(np.isnan(found.effects.covariance), lost | lost[:, None])


def test_a_period_without_any_comparison_sales_takes_no_error_from_other_cells():
    y, first = panel(20)
    y = np.exp(y / 3)
    cohorts = np.unique(first[np.isfinite(first)]).astype(int)
    whole = att_gt(y, first, scale="ratio").effects.rows
    y[np.isinf(first), cohorts[0] - 1] = 0  # the base of one cohort
    found = att_gt(y, first, scale="ratio").effects.rows
    gone = (found["group"] == cohorts[0]) | (found["time"] == cohorts[0] - 1)
    assert found.loc[gone, ["estimate", "std_error"]].isna().all(axis=None)
    numbers = ["estimate", "std_error"]
    np.testing.assert_allclose(found.loc[~gone, numbers], whole.loc[~gone, numbers], rtol=1e-9)


def test_a_treated_cell_that_sold_nothing_has_no_ratio_but_stays_in_the_totals():
    y, first = panel(21)
    y = np.exp(y / 3)
    one = int(first[np.isfinite(first)].min())
    kept = (first == one) | np.isinf(first)
    y = y[kept]
    first = first[kept]
    y[first == one, T - 1] = 0
    found = att_gt(y, first, scale="ratio")
    gone = found.effects.rows.query("group == @one and time == @T - 1")
    assert gone[["estimate", "std_error"]].isna().all(axis=None)
    assert found.effects.reason.startswith("1 of ")
    own = y[first == one].mean(axis=0)
    never = y[np.isinf(first)].mean(axis=0)
    without = own[one - 1] * never / never[one - 1]
    expected = np.log(own[one:].sum() / without[one:].sum())
    assert found.aggregate().row("simple")["estimate"] == pytest.approx(expected, rel=1e-12)
    dynamic = found.aggregate("dynamic")
    assert dynamic.terms[-2:] == (str(T - 2 - one), "average")  # nothing was sold in the last


def test_the_band_is_wider_than_an_interval_of_its_freedom_and_covers_all_terms_together(
    monkeypatch,
):
    monkeypatch.setattr("fewtreated.estimate.DRAWS", 1000)
    missed = 0
    runs = 400
    for seed in range(runs):
        y, first = panel(1000 + seed, n=150)
        y = y + 0.25 * (np.arange(T) >= first[:, None])  # no effect is left
        found = att_gt(y, first).aggregate("dynamic")[:]
        low, high = found.sup_t_band()
        wide = (high - found.value) / found.std_error
        np.testing.assert_allclose(wide, wide[0])
        assert wide[0] > stats.t.ppf(0.975, found.joint_df)
        missed += bool(((low > 0) | (high < 0)).any())
    error = np.sqrt(0.05 * 0.95 / runs)
    assert missed / runs < 0.05 + 4 * error


def few_others(comparison_clusters, draws, seed):
    """Draw effects of zero on forty clusters, with shocks to clusters, beside a few others."""
    rng = np.random.default_rng(seed)
    clusters = 40 + comparison_clusters
    cluster = np.repeat(np.arange(clusters), 3)
    first = np.where(cluster < 40, 1.0, np.inf)
    for _ in range(draws):
        change = rng.normal(size=clusters)[cluster] + 0.5 * rng.normal(size=len(cluster))
        yield np.column_stack([np.zeros(len(cluster)), change]), first, cluster


@pytest.mark.parametrize("comparison_clusters", [2, 3])
def test_few_comparison_clusters_limit_degrees_of_freedom_so_that_intervals_cover(
    comparison_clusters,
):
    held = []
    for y, first, cluster in few_others(comparison_clusters, 150, seed=4):
        effect = att_gt(y, first, cluster=cluster).aggregate()
        assert effect.df.tolist() == [comparison_clusters - 1]
        low, high = effect.conf_int[:, 0]
        held.append(low <= 0 <= high)
    assert np.mean(held) > 0.95 - 2 * np.sqrt(0.05 * 0.95 / 150)


def test_strata_and_not_yet_count_the_clusters_compared_with_once():
    y, first = panel(2)
    units = len(y)
    never = int(np.isinf(first).sum())
    stratum = np.arange(units) % 2
    alone = att_gt(y, first, strata=stratum, comparison="not_yet").aggregate()
    each = att_gt(
        y, first, strata=stratum, comparison="not_yet", cluster=np.arange(units)
    ).aggregate()
    np.testing.assert_allclose(alone.df, each.df, rtol=1e-9)
    assert each.max_df[0] >= never - 1


def test_treated_units_without_a_comparison_are_counted_and_printed():
    y, first = panel(3)
    stratum = np.where(np.arange(len(y)) < 20, "alone", "others")
    first[:20] = 5.0
    effect = att_gt(y, first, strata=stratum).aggregate()
    assert effect.counts["treated_without_comparison"] == 20
    assert "treated without comparison 20" in repr(effect)
    late = att_gt(y[np.isfinite(first)], first[np.isfinite(first)], comparison="not_yet")
    last = int((first[np.isfinite(first)] == first[np.isfinite(first)].max()).sum())
    assert late.aggregate().counts["treated_without_comparison"] == last


BASED = {"base": "weighted"}


@pytest.mark.parametrize("scale", ["level", "ratio"])
def test_a_weighted_base_mixes_the_last_period_and_the_mean_of_all_before(scale):
    rng = np.random.default_rng(7)
    y = np.exp(rng.normal(size=(60, 1)) + 0.3 * rng.normal(size=(60, T)))
    first = np.where(np.arange(60) < 12, 5.0, np.inf)
    study = att_gt(y, first, scale=scale, **BASED)
    weight = study.base_weight.value
    assert 0 < weight < 1
    base = weight * y[:, 4] + (1 - weight) * y[:, :5].mean(axis=1)
    two = np.column_stack([base, y[:, 5]])
    expected = att_gt(two, np.where(first < np.inf, 1.0, np.inf), scale=scale).aggregate()
    np.testing.assert_allclose(study.effects["g=5 t=5"].value, expected.value, rtol=1e-12)
    assert study.effects.columns["event_time"].min() == 0
    assert study.aggregate().details == {"base_weight": weight}


def test_the_base_is_the_last_period_if_shocks_last_and_the_mean_if_they_are_brief():
    rng = np.random.default_rng(8)
    brief = rng.normal(size=(400, 12))
    first = np.where(np.arange(400) < 50, 8.0, np.inf)
    assert att_gt(brief, first, **BASED).base_weight.value < 0.1
    assert att_gt(brief.cumsum(axis=1), first, **BASED).base_weight.value > 0.9


def test_errors_with_a_weighted_base_weigh_it_again_without_each_cluster():
    rng = np.random.default_rng(9)
    y = rng.normal(size=(90, T)) + 0.5 * rng.normal(size=(90, T)).cumsum(axis=1)
    first = np.where(np.arange(90) < 16, 4.0 + np.arange(90) % 2, np.inf)
    cluster = np.arange(90) // 2
    study = att_gt(y, first, cluster=cluster, **BASED)
    value = study.aggregate().value[0]
    last, mean = (
        np.array([_effect(y[kept], first[kept], how) for kept in _without(cluster)])
        for how in ("last", "mean")
    )
    weight = study.base_weight.without
    assert np.ptp(weight) > 0
    np.testing.assert_allclose(weight[:8], study.base_weight.value)  # treated clusters
    changes = value - (weight * last + (1 - weight) * mean)
    expected = np.sqrt(np.sum(changes**2) * 44 / 45)
    np.testing.assert_allclose(study.aggregate().std_error, expected, rtol=1e-9)


def _without(cluster):
    return [cluster != one for one in np.unique(cluster)]


def _effect(y, first, how):
    """Return the effect on the treated, weighted by units and periods, from a base by hand."""
    total = count = 0
    for start in np.unique(first[np.isfinite(first)]).astype(int):
        base = y[:, start - 1] if how == "last" else y[:, :start].mean(axis=1)
        change = y[:, start:] - base[:, np.newaxis]
        treated = first == start
        gap = change[treated].mean(axis=0) - change[np.isinf(first)].mean(axis=0)
        total += treated.sum() * gap.sum()
        count += treated.sum() * len(gap)
    return total / count


@pytest.mark.parametrize("scale", ["level", "ratio"])
def test_a_weighted_base_of_units_with_a_missing_outcome_is_of_those_they_have(scale):
    y, first = panel(5)
    y = np.exp(0.2 * y)
    whole = att_gt(y, first, scale=scale, comparison="not_yet", **BASED).aggregate()
    y[0, 0] = np.nan
    one_less = att_gt(y, first, scale=scale, comparison="not_yet", **BASED).aggregate()
    np.testing.assert_allclose(one_less.value, whole.value, atol=0.01)
    np.testing.assert_allclose(one_less.std_error, whole.std_error, rtol=0.02)
    assert one_less.counts["missing"] == 1


def test_a_base_cannot_be_weighted_by_two_clusters_or_by_none():
    y, first = panel(6)
    cluster = np.where(np.isinf(first), np.arange(len(y)) % 2, 2 + np.arange(len(y)))
    with pytest.raises(DesignError, match="they differ in 2 clusters"):
        att_gt(y, first, cluster=cluster, **BASED).aggregate()


def test_a_weighted_base_asks_for_eight_degrees_of_freedom_where_one_cluster_decides():
    rng = np.random.default_rng(11)
    y = rng.normal(size=(120, T))
    y[0, 5:] += 50  # far more than all others
    first = np.where(np.arange(120) < 12, 5.0, np.inf)
    for cluster in (None, np.arange(120)):
        last, weighted = (
            att_gt(y, first, cluster=cluster, base=base).aggregate().df[0]
            for base in ("last", "weighted")
        )
        assert (last, weighted) == (4.0, 8.0)


@pytest.mark.parametrize("scale", ["level", "ratio"])
def test_the_dynamic_average_weighs_periods_from_treatment_on_equally(scale):
    y, first = panel(2)
    found = att_gt(np.exp(y), first, scale=scale).aggregate("dynamic")
    assert found.terms[-1] == "average"
    after = found[0:]
    assert found.row("average")["estimate"] == pytest.approx(after.value.mean(), rel=1e-12)
    assert found.row("average")["std_error"] == pytest.approx(
        np.sqrt(after.covariance.mean()), rel=1e-9
    )
    assert found.row("average")["n"] == np.isfinite(first).sum()


@pytest.mark.parametrize("scale", ["level", "ratio"])
def test_balanced_dynamic_effects_are_those_of_cohorts_followed_for_that_long(scale):
    y, first = panel(2)
    y = np.exp(y)
    held = 2
    followed = ~(T - 1 - first < held) | np.isinf(first)
    balanced = att_gt(y, first, scale=scale).aggregate("dynamic", balance_e=held)
    alone = att_gt(y[followed], first[followed], scale=scale).aggregate("dynamic", max_e=held)
    assert 0 < followed.sum() < N
    assert balanced.terms == alone.terms
    np.testing.assert_allclose(balanced.value, alone.value, rtol=1e-12)
    np.testing.assert_array_equal(balanced.n, alone.n)


def test_dynamic_effects_in_a_range_of_periods_are_those_of_all_but_for_the_average():
    y, first = panel(2)
    study = att_gt(y, first)
    part = study.aggregate("dynamic", min_e=-2, max_e=1)
    whole = study.aggregate("dynamic")
    assert part.terms == ("-2", "0", "1", "average")
    np.testing.assert_allclose(part[:].value, whole[-2:1].value, rtol=1e-12)
    np.testing.assert_allclose(part[:].covariance, whole[-2:1].covariance, rtol=1e-9)
    assert part.value[-1] == pytest.approx(whole[0:1].value.mean(), rel=1e-12)
    assert "average" not in study.aggregate("dynamic", max_e=-2).terms
