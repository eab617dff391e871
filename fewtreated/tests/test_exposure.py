"""Exposure effects: Poisson as referee, exact shifts, jackknife, recentring, randomisation, and
what is refused.
"""

import numpy as np
import pytest
import statsmodels.api as sm
from fewtreated.errors import DesignError
from fewtreated.estimators.exposure import exposure_effects
from fewtreated.testing import redraw_closures
from scipy import stats

N = 90
T = 4
CATEGORIES = 15
POST = np.arange(T) >= 2
EDGES = (0.05, 0.15)


def panel(seed, n=N):
    """Sales with zeros, exposure and category of each unit; exposure is mostly the category's."""
    rng = np.random.default_rng(seed)
    category = rng.permutation(np.arange(n) % CATEGORIES)
    exposure = rng.permutation(np.linspace(0, 0.3, CATEGORIES))[category] + rng.uniform(0, 0.02, n)
    y = (
        rng.lognormal(size=(n, 1))
        * rng.poisson(1.5, size=(n, T))
        * np.exp(POST * 2 * exposure[:, None])
    )
    return y, exposure, category


def effects(y, exposure, post, **options):
    """Estimate from sales by month; what is expected under draws is their mean."""
    if "redrawn" in options:
        options["expected"] = np.nanmean([exposure, *options["redrawn"]], axis=0)
    return exposure_effects(y[:, ~post].sum(axis=1), y[:, post].sum(axis=1), exposure, **options)


def permuted(exposure, draws=9):
    return [np.random.default_rng(seed).permutation(exposure) for seed in range(draws)]


def poisson(y, regressors, cluster):
    """Poisson regression with a dummy per unit and per month: coefficients and clustered errors."""
    n, months = y.shape
    unit = np.repeat(np.arange(n), months)
    month = np.tile(np.arange(months), n)
    design = np.column_stack(
        [
            regressors[unit] * POST[month][:, None],
            unit[:, None] == np.arange(n),
            month[:, None] == np.arange(1, months),
        ]
    ).astype(float)
    fit = sm.GLM(y.ravel(), design, family=sm.families.Poisson()).fit(
        tol=1e-13,
        maxiter=100,
        cov_type="cluster",
        cov_kwds={"groups": cluster[unit], "use_correction": False},
    )
    k = regressors.shape[1]
    return fit.params[:k], fit.bse[:k]


def jackknife(y, regressors, cluster):
    """CV3 errors of the same regression, by fitting it again without each cluster."""
    names = np.unique(cluster)
    whole = poisson(y, regressors, cluster)[0]
    left_out = [
        poisson(y[kept], regressors[kept], cluster[kept])[0]
        for kept in (cluster != name for name in names)
    ]
    return np.sqrt((len(names) - 1) / len(names) * ((np.array(left_out) - whole) ** 2).sum(axis=0))


def selling(y):
    """Rows with any sale: the referee cannot fit a unit that never sells."""
    return y.sum(axis=1) > 0


def test_bins_and_slope_equal_poisson_with_unit_and_month_effects():
    y, exposure, category = panel(1)
    assert (y == 0).any()
    found = effects(y, exposure, POST, bins=EDGES, category=category)
    rows = found.rows.set_index("term")
    kept = selling(y)
    place = np.digitize(exposure, EDGES)
    for terms, regressors in (
        (["slope"], exposure[:, None] / 0.10),
        (["5 to 15 %", "above 15 %"], (place[:, None] == [1, 2]).astype(float)),
    ):
        estimate, _ = poisson(y[kept], regressors[kept], category[kept])
        np.testing.assert_allclose(rows.loc[terms, "estimate"], estimate, atol=1e-6)
        error = jackknife(y[kept], regressors[kept], category[kept])
        np.testing.assert_allclose(rows.loc[terms, "std_error"], error, rtol=1e-6)


def test_two_exposures_in_one_equation_equal_poisson():
    y, exposure, category = panel(2)
    risk = np.random.default_rng(0).random(N)
    found = effects(y, exposure, POST, bins=EDGES, category=category, covariates={"risk": risk})
    kept = selling(y)
    regressors = np.column_stack([exposure / 0.10, risk])[kept]
    estimate = poisson(y[kept], regressors, category[kept])[0]
    error = jackknife(y[kept], regressors, category[kept])
    rows = found.rows.set_index("term").loc[["slope", "risk"]]
    np.testing.assert_allclose(rows["estimate"], estimate, atol=1e-6)
    np.testing.assert_allclose(rows["std_error"], error, rtol=1e-6)


def test_estimates_ignore_money_order_and_silent_units():
    y, exposure, category = panel(5)
    drawn = permuted(exposure)
    plain = effects(y, exposure, POST, bins=EDGES, category=category, redrawn=drawn).rows
    order = np.random.default_rng(1).permutation(N)
    again = effects(
        np.vstack([6.49 * y[order], np.zeros((1, T))]),
        np.append(exposure[order], 0.1),
        POST,
        bins=EDGES,
        category=np.append(category[order], 0),
        redrawn=[np.append(one[order], 0.1) for one in drawn],
    ).rows
    for column in ("estimate", "std_error", "p_value"):
        np.testing.assert_allclose(again[column], plain[column], rtol=1e-8, atol=1e-10)


def test_bins_and_the_recentred_slope_ignore_what_happens_to_all():
    y, exposure, category = panel(5)
    drawn = permuted(exposure)
    plain, again = (
        effects(z, exposure, POST, bins=EDGES, category=category, redrawn=drawn).rows.set_index(
            "term"
        )
        for z in (y, y * np.where(POST, 1.7, 1.0))
    )
    terms = ["5 to 15 %", "above 15 %", "recentred slope"]
    for column in ("estimate", "std_error"):
        np.testing.assert_allclose(again.loc[terms, column], plain.loc[terms, column], rtol=1e-9)


def test_an_effect_by_bin_moves_the_bins_and_one_by_exposure_the_recentred_slope_by_exactly_that():
    y, exposure, category = panel(6)
    drawn = permuted(exposure)
    arguments = {"bins": EDGES, "category": category, "redrawn": drawn}
    plain = effects(y, exposure, POST, **arguments).rows.set_index("term")["estimate"]
    by_bin = y * np.exp(POST * np.array([0, 0.3, -0.5])[np.digitize(exposure, EDGES)][:, None])
    found = effects(by_bin, exposure, POST, **arguments).rows.set_index("term")["estimate"]
    assert found["5 to 15 %"] - plain["5 to 15 %"] == pytest.approx(0.3, abs=1e-10)
    assert found["above 15 %"] - plain["above 15 %"] == pytest.approx(-0.5, abs=1e-10)
    by_exposure = y * np.exp(POST * 4.0 * exposure[:, None])
    found = effects(by_exposure, exposure, POST, **arguments).rows.set_index("term")["estimate"]
    assert found["recentred slope"] - plain["recentred slope"] == pytest.approx(0.4, abs=1e-9)


def test_errors_of_all_terms_are_those_of_leaving_out_each_category():
    y, exposure, category = panel(37)
    expected = np.vstack([exposure, *permuted(exposure, 5)]).mean(axis=0)

    def estimates(kept):
        options = {
            "category": category[kept],
            "expected": expected[kept],
        }  # which errors take as known
        return effects(y[kept], exposure[kept], POST, bins=EDGES, **options)

    whole = estimates(np.ones(N, dtype=bool))
    left_out = np.array([estimates(category != c).value for c in range(CATEGORIES)])
    moved = np.sqrt((CATEGORIES - 1) / CATEGORIES) * (whole.value - left_out)
    assert whole.terms == ("5 to 15 %", "above 15 %", "slope", "average", "recentred slope")
    assert np.isfinite(whole.std_error).all()
    np.testing.assert_allclose(whole.scores, moved, atol=1e-8)
    np.testing.assert_allclose(whole.covariance, moved.T @ moved, atol=1e-8)


def test_a_term_that_rests_on_one_category_has_no_error():
    y, exposure, category = panel(7)
    exposure = np.where(category == 3, 0.3, 0.0)
    found = effects(y, exposure, POST, bins=EDGES, category=category)
    assert np.isfinite(found.rows["estimate"].iloc[1:]).all()
    assert found.rows[["std_error", "conf_low", "half_width"]].isna().all(axis=None)
    assert "no standard error for 5 to 15 %, above 15 %, slope, average" in found.reason


@pytest.mark.parametrize("each", [2, 3, 20])
def test_intervals_of_two_equal_groups_of_equal_categories_are_exact_or_the_usual_wider_ones(each):
    shock = 1e-6 * np.random.default_rng(1).normal(
        size=2 * each
    )  # small: means of growth are then means of shocks
    exposure = np.where(np.arange(2 * each) < each, 0.3, 0.0)
    y = np.column_stack([np.ones(2 * each), np.exp(shock)])
    for level in (0.90, 0.95):
        row = effects(y, exposure, np.array([False, True]), bins=(0.1,), level=level).row(
            "above 10 %"
        )
        # mean and pooled spread are independent; (G - 1) / G of the jackknife exceeds the pooled
        # error a little
        unbiased = np.sqrt((2 * each - 2) / (2 * each - 1))
        pooled = np.sqrt((shock[:each].var(ddof=1) + shock[each:].var(ddof=1)) / each)
        assert row["std_error"] * unbiased == pytest.approx(pooled, rel=1e-4)
        quantile = stats.t.ppf((1 + level) / 2, 2 * each - 2)
        usual = stats.t.ppf((1 + level) / 2, 2 * each - 1) * row["std_error"]
        assert row["conf_high"] - row["estimate"] == pytest.approx(
            max(quantile * pooled, usual), rel=1e-4
        )
        assert (quantile * pooled > usual) == (each == 2)


@pytest.mark.slow
def test_intervals_hold_the_truth_where_few_of_many_unequal_categories_are_exposed():
    runs = 150
    held = []
    narrow = []
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        category = np.repeat(np.arange(20), rng.integers(1, 9, 20))
        exposure = np.where(
            rng.permutation(20) < 3, rng.uniform(0.05, 0.4, 20), rng.uniform(0, 0.02, 20)
        )[category]
        size = rng.lognormal(sigma=0.8, size=(20, 1))[category]
        y = size * np.exp(np.array([0, 1]) * rng.normal(scale=0.2, size=(20, 1)))[category]
        row = effects(y, exposure, np.array([False, True]), bins=(), category=category).row("slope")
        held.append(row["conf_low"] <= 0 <= row["conf_high"])
        narrow.append(abs(row["estimate"]) <= stats.t.ppf(0.975, 19) * row["std_error"])
    assert abs(np.mean(held) - 0.95) < 3 * np.sqrt(0.95 * 0.05 / runs)
    assert np.mean(narrow) < 0.93  # what 19 degrees of freedom would have claimed


def test_the_average_is_what_the_slope_implies_for_the_sales_there_are():
    y, exposure, _ = panel(8)
    rows = effects(y, exposure, POST, bins=EDGES).rows.set_index("term")["estimate"]
    after = y[:, POST].sum(axis=1)
    without = after * np.exp(-rows["slope"] / 0.10 * exposure)
    assert rows["average"] == pytest.approx(np.log(after.sum() / without.sum()), abs=1e-12)


def market(seed, *, n=160, effect=0.0, trend=0.0, noise=0.2):
    """Draw closures at random among firms that could be closed; the others answer. Categories have
    trends.
    """
    rng = np.random.default_rng(seed)
    category = rng.integers(0, 10, n)
    size = rng.lognormal(sigma=0.7, size=n)
    share = size / np.bincount(category, weights=size)[category]
    could = rng.random(n) < np.linspace(0.2, 0.8, 10)[category]  # some categories have more to lose
    closed = np.zeros(n, dtype=bool)
    closed[rng.choice(np.flatnonzero(could), n // 8, replace=False)] = True
    change = trend * np.linspace(-0.1, 0.1, 10) + rng.normal(scale=noise, size=10)

    def exposure_to(
        drawn,
    ):  # of firms that could not be closed; they leave out no share of their own
        return np.bincount(category[could], weights=(drawn * share[could]), minlength=10)[
            category[~could]
        ]

    def redraw(draws):
        drawn = redraw_closures(closed[could], None, np.random.default_rng(0), draws)
        return [exposure_to(one) for one in drawn.toarray()]

    exposure = exposure_to(closed[could])
    kept = category[~could]
    factor = np.exp(POST * (change[kept] + effect * exposure)[:, None])
    y = size[~could, None] * rng.gamma(2.0, size=(len(kept), T)) * factor
    return y, exposure, kept, redraw


@pytest.mark.slow
def test_the_randomisation_test_has_its_size_when_closures_are_drawn_as_they_were():
    runs = 200
    draws = 19
    p_values = []
    for seed in range(runs):
        y, exposure, category, redraw = market(seed, trend=3.0)
        found = effects(y, exposure, POST, bins=(0.01,), category=category, redrawn=redraw(draws))
        p_values.append(found.rows.set_index("term").loc[["slope", "recentred slope"], "p_value"])
    for level in (0.05, 0.20):
        share = (np.array(p_values) <= level + 1e-9).mean(axis=0)
        np.testing.assert_array_less(np.abs(share - level), 4 * np.sqrt(level * (1 - level) / runs))


@pytest.mark.slow
def test_recentring_takes_off_what_categories_with_more_to_lose_have_in_common():
    slopes = []
    for seed in range(60):
        y, exposure, category, redraw = market(
            1000 + seed, n=600, effect=2.0, trend=3.0, noise=0.05
        )
        found = effects(y, exposure, POST, bins=(0.01,), category=category, redrawn=redraw(30))
        slopes.append(found.rows.set_index("term").loc[["slope", "recentred slope"], "estimate"])
    mean = np.mean(slopes, axis=0)
    error = np.std(slopes, axis=0, ddof=1) / np.sqrt(len(slopes))
    assert abs(mean[1] - 0.2) < 3 * error[1]  # 2.0 per unit is 0.2 per ten points
    assert mean[0] - 0.2 > 5 * error[0]


def test_p_values_are_shares_of_draws_and_the_smallest_is_said():
    y, exposure, category, redraw = market(1, effect=20.0, n=600)
    found = effects(y, exposure, POST, bins=(0.01,), category=category, redrawn=redraw(39))
    rows = found.rows.set_index("term")
    for term in ("slope", "recentred slope"):
        t = np.abs(found.details["statistics"][term])
        assert len(t) == 40
        assert rows.loc[term, "p_value"] == (t >= t[0] * (1 - 1e-12)).mean()
        assert rows.loc[term, "smallest_p"] == 1 / 40
    estimate, error = poisson(
        y, exposure[:, None], category
    )  # draws have sandwich errors, the estimate its jackknife
    assert found.details["statistics"]["slope"][0] == pytest.approx(
        estimate[0] / error[0], rel=1e-6
    )
    assert (rows.loc[["slope", "recentred slope"], "p_value"] == 1 / 40).all()
    assert rows.loc[["above 1 %", "average"], "p_value"].isna().all()


def test_draws_all_as_it_was_say_nothing_and_one_without_a_slope_counts_as_further_from_zero():
    y, exposure, category = panel(10)
    flat = effects(y, exposure, POST, bins=EDGES, category=category, redrawn=[np.full(N, 0.1)] * 3)
    assert flat.row("slope")["p_value"] == 1.0
    found = effects(y, exposure, POST, bins=EDGES, category=category, redrawn=[exposure] * 4)
    rows = found.rows.set_index("term")
    assert rows.loc["slope", "p_value"] == 1.0
    assert rows.loc["recentred slope", "p_value"] == 1.0
    assert rows.loc["recentred slope", ["estimate", "std_error"]].isna().all()
    assert (
        "no standard error for recentred slope: one cluster, no sales before or after, or no"
        " solution" in found.reason
    )


def test_a_unit_closed_in_a_draw_does_not_answer_in_it():
    y, exposure, category = panel(11)
    drawn = np.random.default_rng(0).permutation(exposure)
    without = np.where(np.arange(N) < 9, np.nan, drawn)
    whole = effects(y, exposure, POST, bins=EDGES, category=category, redrawn=[without])
    alone = effects(
        y[9:], drawn[9:], POST, bins=EDGES, category=category[9:], redrawn=[without[9:]]
    )
    alone = alone.details["statistics"]["slope"]
    assert whole.details["statistics"]["slope"][1] == pytest.approx(alone[1], rel=1e-9)
    assert alone[0] == pytest.approx(alone[1], rel=1e-9)
    np.testing.assert_allclose(whole.details["expected"][:9], exposure[:9])


def test_a_bin_in_one_category_has_no_error_and_an_empty_one_no_estimate():
    y, exposure, category = panel(12)
    exposure = np.where(category == 3, 0.5, exposure)
    found = effects(y, exposure, POST, bins=(0.05, 0.15, 0.4, 0.9), category=category)
    rows = found.rows.set_index("term")
    assert np.isfinite(rows.loc["40 to 90 %", "estimate"])
    assert np.isnan(rows.loc["40 to 90 %", "std_error"])
    assert rows.loc["40 to 90 %", "clusters"] == 1
    assert np.isnan(rows.loc["above 90 %", "estimate"])
    assert "no standard error for 40 to 90 %, above 90 %: one cluster, no sales" in found.reason
    assert np.isfinite(rows.loc[["5 to 15 %", "slope"], "std_error"]).all()


@pytest.mark.parametrize("others", [0.0, None])
def test_a_slope_that_rests_on_one_category_has_no_error(others):
    """Without that category nothing is left that sells: no unit, or none that did after."""
    y, exposure, category = panel(12)
    if others == 0.0:
        category = np.where(category == 3, 3, 0)
    else:
        category = np.zeros(N, dtype=int)
    exposure = exposure + np.linspace(0, 0.1, N)
    y[(category == 0) & (others is not None), 2:] = 0.0
    found = effects(y, exposure, POST, bins=(), category=category)
    assert np.isfinite(found.row("slope")["estimate"])
    assert np.isnan(found.row("slope")["std_error"])
    assert found.reason


def test_without_a_lowest_bin_there_are_no_bins_but_a_slope():
    y, exposure, category = panel(12)
    found = effects(y, exposure + 0.1, POST, bins=EDGES, category=category)
    rows = found.rows.set_index("term")
    assert rows.loc[["5 to 15 %", "above 15 %"], "estimate"].isna().all()
    assert np.isfinite(rows.loc["slope", "std_error"])
    assert found.reason
    none = effects(y, exposure + 0.1, POST, bins=(), category=category)
    assert list(none.rows["term"]) == ["slope", "average"]
    assert not none.reason


def test_units_without_sales_or_exposure_known_are_dropped_and_counted():
    y, exposure, category = panel(13)
    y[:3, 1] = np.nan
    exposure[2:7] = np.nan
    found = effects(y, exposure, POST, bins=EDGES, category=category)
    assert found.counts["dropped_missing"] == 3
    assert found.counts["dropped_exposure"] == 4
    assert found.counts["units"] == N - 7
    alone = effects(y[7:], exposure[7:], POST, bins=EDGES, category=category[7:])
    np.testing.assert_array_equal(found.rows["estimate"], alone.rows["estimate"])


def test_a_coefficient_that_would_be_infinite_is_refused():
    new = np.arange(20) % 2  # these sold nothing before
    y = np.column_stack([1.0 - new, np.ones(20)])
    with pytest.raises(
        DesignError, match="the equations of 20 units have no unique finite solution"
    ):
        effects(
            y, np.arange(20) / 100, np.array([False, True]), bins=(0.05,), covariates={"new": new}
        )


def test_the_degrees_of_freedom_of_the_scores_stand_in_for_the_exact_quantile_of_many_clusters(
    monkeypatch,
):
    rng = np.random.default_rng(2)
    category = np.repeat(np.arange(60), 5)
    exposure = (
        np.where(category < 4, 0.2, 0.01) + 0.001 * category
    )  # four categories carry the slope
    y = rng.gamma(2.0, size=(300, len(POST)))
    exact = effects(y, exposure, POST, bins=(), category=category).rows.set_index("term")
    monkeypatch.setattr("fewtreated.estimators.exposure.EXACT", 10)
    found = effects(y, exposure, POST, bins=(), category=category).rows.set_index("term")
    assert found.loc["slope", "std_error"] == exact.loc["slope", "std_error"]
    assert stats.t.ppf(0.975, 59) < found.loc["slope", "half_width"] < 4.0  # few clusters in truth
    assert found.loc["slope", "half_width"] == pytest.approx(
        exact.loc["slope", "half_width"], rel=0.5
    )
