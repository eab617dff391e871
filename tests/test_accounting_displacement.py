"""Displacement: parts that add up, a market worked out by hand, errors against resampling, Fieller, and messages."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from analysis.accounting import changes, displacement, platform_shift
from analysis.accounting.ratios import fieller
from analysis.errors import DesignError

PLATFORMS = ("AMZ", "EBY", "ALI", "WMT", "OWN")
BEFORE, AFTER = slice(0, 3), slice(12, 15)
PARTS = [f"d{number}" for number in range(1, 8)]


def arrays(sales, closed_at, origin, comparison, **more):
    windows = {"platforms": PLATFORMS, "home": "AMZ", "before": BEFORE, "after": AFTER}
    return {"sales": sales, "closed_at": closed_at, "origin": origin, "comparison": comparison} | windows | more


def by_hand():
    """Two firms of each kind; sales of 10 a month grow by half; closed firms lose AMZ and find some elsewhere."""
    origin = np.array(["CN", "CN", "CN", "CN", "US", "US", "CN", "CN", "US", "US"])
    closed_at, comparison = np.where(np.arange(10) < 2, 12.0, np.inf), np.arange(10) >= 6
    sales = np.full((10, 5, 15), 10.0)
    sales[:, :, 12:] = 15.0
    sales[:2, 0, 12:] = 5.0  # lost: 2 firms x 3 months x (15 - 5) = 60
    sales[2:4, 0, 12:] = 17.0  # d1: 2 x 3 x 2 = 12
    sales[4:6, 0, 12:] = 18.0  # d2: 18
    sales[:2, 1, 12:] = 16.0  # d3: 6
    sales[:2, 2, 12:] = 15.5  # d4: 3
    sales[0, 3, 12:] = 17.0  # d5: 6
    sales[2, 1, 12:] = 14.0  # d6: -3, crowded out on EBY
    return arrays(sales, closed_at, origin, comparison)


def random_market(seed: int, n: int = 240, **more):
    rng = np.random.default_rng(seed)
    kind = rng.permutation(np.repeat([0, 1, 2, 2], n // 4))
    origin = np.where(rng.random(n) < 0.5, "CN", "US")
    size = rng.lognormal(sigma=0.8, size=(n, 1, 1)) * np.array([10, 3, 2, 1, 1])[:, None]
    size *= rng.random((n, 5, 1)) < np.array([1, 0.6, 0.6, 0.6, 0.6])[:, None]
    sales = size * rng.lognormal(sigma=0.4, size=(n, 5, 1)) ** np.r_[np.zeros(12), np.ones(3)]
    sales[kind == 0, 0, 12:] *= 0.1
    sales[kind == 0, 1:, 12:] *= 1.4
    sales[kind == 1, 0, 12:] *= 1.1
    return arrays(sales, np.where(kind == 0, 12.0, np.inf), origin, kind == 2, **more)


def test_a_market_worked_out_by_hand_is_recovered_exactly():
    found = displacement(**by_hand())
    expected = [20.0, 30.0, 10.0, 5.0, 10.0, -5.0, 30.0, 100.0]
    np.testing.assert_allclose(found.rows["estimate"], expected, atol=1e-9)
    assert found.details["lost"].row("L")["estimate"] == pytest.approx(60.0)
    assert "crowd" not in found.reason
    assert found.rows["part"].str.contains("residual").tolist() == [False] * 6 + [True, False]


@pytest.mark.parametrize("seed", range(5))
def test_the_parts_add_up_to_a_hundred_and_so_do_their_errors_to_nothing(seed):
    found = displacement(**random_market(seed))
    rows = found.rows.set_index("term")["estimate"]
    assert rows[PARTS].sum() == pytest.approx(100.0, abs=1e-9)
    assert rows["sum"] == pytest.approx(100.0, abs=1e-9)
    covariance = found.covariance[:7, :7]
    assert covariance.sum() == pytest.approx(0.0, abs=1e-9 * np.abs(covariance).max())
    influence = found.influence
    np.testing.assert_allclose(influence.T @ influence, found.covariance, rtol=1e-12)
    np.testing.assert_allclose(influence.sum(axis=0), 0.0, atol=1e-9)
    assert found.row("sum")["std_error"] < 1e-9


def test_measured_outside_spending_leaves_a_discrepancy_instead_of_a_residual():
    market = by_hand()
    found = displacement(**market, outside=12.0)
    assert found.row("d7")["estimate"] == pytest.approx(20.0)
    assert found.row("discrepancy")["estimate"] == pytest.approx(10.0)
    assert found.row("sum")["estimate"] == pytest.approx(100.0, abs=1e-9)
    residual = displacement(**random_market(1))
    measured = displacement(**random_market(1), outside=50.0)
    assert measured.row("d7")["std_error"] < residual.row("d7")["std_error"]


def test_no_relocation_gives_parts_of_exactly_nothing():
    market = by_hand()
    market["sales"][:2, 1:, 12:] = 15.0
    found = displacement(**market).rows.set_index("term")
    np.testing.assert_allclose(found.loc[["d3", "d4", "d5"], ["estimate", "std_error"]], 0.0, atol=1e-12)
    market["sales"][:, 1:] = 0.0
    found = displacement(**market).rows.set_index("term")
    np.testing.assert_array_equal(found.loc[["d3", "d4", "d5", "d6"], "estimate"], 0.0)


def test_a_firm_new_to_a_platform_counts_with_all_it_sells_there():
    market = by_hand()
    market["sales"][:2, 1, :12] = 0.0
    assert displacement(**market).row("d3")["estimate"] == pytest.approx(100 * 2 * 3 * 16.0 / 60.0)


def test_newcomers_among_comparison_firms_do_not_move_what_closed_firms_would_have_sold():
    newcomers = np.zeros((2, 5, 15))
    newcomers[:, :, 12:] = 40.0
    found = displacement(**joined(by_hand(), newcomers, np.inf, "CN", True))
    assert found.details["lost"].row("L")["estimate"] == pytest.approx(60.0)
    assert found.row("d3")["estimate"] == pytest.approx(10.0)
    assert found.row("d1")["estimate"] < 0  # exposed firms have no newcomers, where others have many


@pytest.mark.parametrize("verb", [displacement, platform_shift])
def test_the_unit_of_money_and_the_order_of_firms_and_platforms_change_nothing(verb):
    market = random_market(3, cluster=np.arange(240) // 2)
    plain = verb(**market).rows.set_index("term")[["estimate", "std_error", "conf_low", "conf_high"]]
    order, turned = np.random.default_rng(0).permutation(240), [0, 3, 1, 4, 2]
    moved = market | {name: market[name][order] for name in ("closed_at", "origin", "comparison", "cluster")}
    moved["sales"] = 6.49 * market["sales"][order][:, turned]
    moved["platforms"] = tuple(PLATFORMS[place] for place in turned)
    again = verb(**moved).rows.set_index("term")[plain.columns].loc[plain.index]
    np.testing.assert_allclose(again, plain, rtol=1e-9, atol=1e-9)


def test_the_caller_s_arrays_stay_as_they_were():
    market = random_market(4)
    kept = {name: market[name].copy() for name in ("sales", "closed_at", "origin", "comparison")}
    displacement(**market)
    platform_shift(**market)
    for name, value in kept.items():
        np.testing.assert_array_equal(market[name], value)


def groups_of(market):
    kind = np.where(np.isfinite(market["closed_at"]), 0, np.where(market["comparison"], 2, 1))
    return np.unique(kind * 2 + (market["origin"] == "CN"), return_inverse=True)[1]


def test_errors_equal_those_of_a_bootstrap_that_keeps_the_number_of_each_kind():
    market, rng, drawn = random_market(5, n=480), np.random.default_rng(1), []
    closed = np.isfinite(market["closed_at"])
    market["closed_at"][closed] += rng.integers(0, 2, closed.sum())  # two waves
    market["sales"][~closed & (rng.random(480) < 0.1), :, :12] = 0.0  # newcomers
    market["sales"][~closed & (rng.random(480) < 0.2), :, 13:] = 0.0  # firms that stop between the waves
    plain, kinds = displacement(**market), groups_of(market)
    for _ in range(400):
        rows = np.concatenate([rng.choice(np.flatnonzero(kinds == kind), (kinds == kind).sum()) for kind in range(6)])
        again = market | {name: market[name][rows] for name in ("sales", "closed_at", "origin", "comparison")}
        drawn.append(displacement(**again).rows["estimate"].to_numpy())
    spread = np.cov(np.array(drawn).T)
    errors, resampled = plain.rows["std_error"].to_numpy()[:7], np.sqrt(np.diag(spread))[:7]
    # 400 draws leave 3.5 % Monte Carlo error in a standard error; the ratio by L adds some curvature.
    np.testing.assert_allclose(errors, resampled, rtol=0.15)
    ours = plain.covariance[:7, :7] / np.outer(errors, errors)
    np.testing.assert_allclose(ours, spread[:7, :7] / np.outer(resampled, resampled), atol=0.15)


def test_errors_equal_those_of_a_jackknife_over_clusters():
    # Clusters within one kind, each of three firms, so that leaving one out is leaving out draws of that kind.
    market = random_market(6, n=480)
    kinds = groups_of(market)
    cluster = np.empty(480, dtype=int)
    for kind in range(6):
        rows = np.flatnonzero(kinds == kind)
        cluster[rows] = 1000 * kind + np.arange(len(rows)) // 3
    influence_error = platform_shift(**market, cluster=cluster).rows.set_index("term")["std_error"]
    points = []
    for one in np.unique(cluster):
        rest = cluster != one
        again = market | {name: market[name][rest] for name in ("sales", "closed_at", "origin", "comparison")}
        points.append(platform_shift(**again).rows["estimate"].to_numpy())
    points = np.array(points)
    count = len(points)
    jackknife = np.sqrt((count - 1) / count * ((points - points.mean(axis=0)) ** 2).sum(axis=0))
    # Second-order terms: about one over the clusters of the smallest kind, some 20.
    np.testing.assert_allclose(influence_error, jackknife, rtol=0.1)


def test_copies_in_a_cluster_add_no_information():
    market = random_market(7)
    twice = {name: np.repeat(market[name], 2, axis=0) for name in ("sales", "closed_at", "origin", "comparison")}
    alone, copied = displacement(**market), displacement(**(market | twice), cluster=np.repeat(np.arange(240), 2))
    np.testing.assert_allclose(copied.rows["std_error"], alone.rows["std_error"], rtol=1e-9, atol=1e-9)


def test_fieller_limits_solve_the_equation_that_defines_them():
    amount, loss, z = np.array([2.0, -1.0]), 5.0, float(norm.ppf(0.975))
    variances, spread, covariance = np.array([1.0, 0.5]), 2.0, np.array([0.3, -0.2])
    low, high = fieller(amount, loss, variances, spread, covariance, z)
    for i in range(2):

        def gap(r, i=i):
            error = variances[i] - 2 * r * covariance[i] + r**2 * spread
            return (amount[i] - r * loss) ** 2 - z**2 * error

        middle = amount[i] / loss
        assert low[i] == pytest.approx(brentq(gap, middle - 20, middle), abs=1e-9)
        assert high[i] == pytest.approx(brentq(gap, middle, middle + 20), abs=1e-9)


def test_a_sure_loss_takes_the_delta_method_and_an_unsure_one_fieller_s_longer_side():
    assert set(displacement(**random_market(8, n=4000)).rows["method"]) == {"delta"}
    unsure = displacement(**random_market(8, n=80))
    assert set(unsure.rows["method"]) == {"Fieller"}
    row, lost = unsure.row("d3"), unsure.details["lost"].row("L")
    assert lost["conf_low"] > 0
    assert row["conf_high"] - row["estimate"] > row["estimate"] - row["conf_low"] > 0
    total = unsure.row("sum")
    assert (total["conf_low"], total["conf_high"]) == (pytest.approx(100.0), pytest.approx(100.0))


def test_a_loss_that_may_be_none_bounds_nothing():
    market = random_market(9, n=80)
    rows = np.flatnonzero(np.isfinite(market["closed_at"]))
    market["sales"][rows, 0, 12:] = market["sales"][rows, 0, :3] * 0.95
    market["sales"][rows[0], 0] *= 400  # one giant is most of the loss
    found = displacement(**market)
    lost = found.details["lost"].row("L")
    assert lost["conf_low"] < 0 < lost["estimate"]
    assert np.isinf(found.rows.loc[:5, ["conf_low", "conf_high"]].to_numpy()).all()


def test_fieller_covers_a_known_share_where_the_loss_is_unsure():
    rng, z, hits = np.random.default_rng(10), float(norm.ppf(0.975)), 0
    for _ in range(4000):
        loss, amount = 4 + rng.normal(), 1.2 + rng.normal()
        low, high = fieller(np.array([amount]), loss, np.array([1.0]), 1.0, np.array([0.0]), z)
        hits += low[0] <= 0.3 <= high[0]
    # at least 95 %: sets that are no interval are widened to the line. 4 Monte Carlo errors below.
    assert hits / 4000 > 0.95 - 4 * np.sqrt(0.95 * 0.05 / 4000)


def test_an_absent_platform_is_said_and_its_sales_are_in_the_residual():
    market = by_hand()
    whole = displacement(**market)
    less = displacement(
        **(market | {"sales": market["sales"][:, [0, 1, 3, 4]], "platforms": ("AMZ", "EBY", "WMT", "OWN")})
    )
    assert np.isnan(less.row("d4")["estimate"])
    assert "d4: no such platform in the data" in less.reason
    moved = less.row("d7")["estimate"] - whole.row("d7")["estimate"]
    assert moved == pytest.approx(whole.row("d4")["estimate"])
    assert less.row("sum")["estimate"] == pytest.approx(100.0, abs=1e-9)


def joined(market, sales, closed_at, origin, comparison):
    """Add firms of one kind to a market."""
    more = {"closed_at": closed_at, "origin": origin, "comparison": comparison}
    ends = {name: np.append(market[name], [value] * len(sales)) for name, value in more.items()}
    return market | ends | {"sales": np.concatenate([market["sales"], sales])}


def test_a_firm_with_a_missing_month_is_dropped_and_counted():
    market = random_market(11)
    holed = np.ones((1, 5, 15))
    holed[0, 2, 13] = np.nan
    plain, found = displacement(**market), displacement(**joined(market, holed, np.inf, "CN", True))
    assert (plain.counts["dropped_missing"], found.counts["dropped_missing"]) == (0, 1)
    columns = ["estimate", "std_error"]
    np.testing.assert_allclose(found.rows[columns], plain.rows[columns], rtol=1e-12)
    outside = np.ones((1, 5, 15))
    outside[0, 2, 6] = np.nan  # in neither window
    assert displacement(**joined(market, outside, np.inf, "CN", True)).counts["dropped_missing"] == 0


def test_the_platform_mix_is_what_the_means_of_firms_say():
    market = by_hand()
    found = platform_shift(**market)
    # closed firms: 5 of (5 + 16 + 15.5 + 17 or 15 + 15) against a fifth before
    first, second = 100 * (5 / 68.5 - 0.2), 100 * (5 / 66.5 - 0.2)
    assert found.row("share AMZ: closed")["estimate"] == pytest.approx((first + second) / 2)
    assert found.row("share AMZ: unexposed")["estimate"] == pytest.approx(0.0)
    difference = found.row("share AMZ: closed - unexposed")
    assert difference["estimate"] == pytest.approx((first + second) / 2)
    assert found.row("relocation EBY")["estimate"] == pytest.approx(10.0)
    assert found.row("relocation all")["estimate"] == pytest.approx(25.0)
    assert found.row("concentration: closed")["estimate"] > 0
    np.testing.assert_allclose(found.rows.query("measure == 'presence'")["estimate"], 0.0)
    shares = found.rows.query("measure == 'share'").groupby("group")["estimate"].sum()
    np.testing.assert_allclose(shares, 0.0, atol=1e-9)


def test_presence_counts_months_and_leaves_out_firms_that_sold_nothing_before():
    market = by_hand()
    market["sales"][0, 1, 12:14] = 0.0  # two of three months
    found = platform_shift(**market).row("presence EBY: closed")
    assert (found["estimate"], found["n"]) == (pytest.approx(-100 * 2 / 3 / 2), 2)
    newcomer = np.full((1, 5, 15), 7.0)
    newcomer[:, :, :12] = 0.0
    for market_ in (market, joined(market, newcomer, np.inf, "CN", True)):
        assert platform_shift(**market_).row("presence EBY: unexposed")["n"] == 2


def test_changes_are_zero_for_exposed_firms_that_grow_as_others_do():
    market = by_hand()
    market["sales"][2:6, :, 12:] = 15.0
    found = changes(**market)
    exposed = [row for row, (what, _) in enumerate(found.cells) if what == "exposed"]
    np.testing.assert_allclose(found.value[exposed], 0.0, atol=1e-12)


def gained(sales):
    sales[:2, 0, 12:] = 16.0
    return sales


def without_ebay(market):
    sales = market["sales"].copy()
    sales[market["comparison"], 1] = 0.0
    return sales


def spoil(market, **what):
    return market | what


@pytest.mark.parametrize(
    ("spoiled", "message"),
    [
        (lambda m: spoil(m, closed_at=np.full(10, np.inf)), "found 0 closed, 4 comparison firms"),
        (lambda m: spoil(m, comparison=m["comparison"] | (m["closed_at"] == 12)), "and 2 in both"),
        (lambda m: spoil(m, closed_at=np.where(np.arange(10) == 0, 12.0, np.inf)), "closed firms of origin CN"),
        (lambda m: spoil(m, comparison=np.arange(10) >= 9), "found 2 and 0 clusters"),
        (lambda m: spoil(m, comparison=np.ones(3, dtype=bool)), "comparison as bool[firm] was asked for"),
        (lambda m: spoil(m, closed_at=np.ones(10, dtype=bool)), "closed_at as float64[firm] was asked for; found bool"),
        (lambda m: spoil(m, closed_at=np.r_[12.0, 2.0, [np.inf] * 8]), "closures in months 3 to 14 were asked for"),
        (lambda m: spoil(m, closed_at=np.r_[12.5, 12, [np.inf] * 8]), "found 12.5 in row 0 of closed_at"),
        (lambda m: spoil(m, closed_at=np.full(10, np.nan)), "found nan in row 0 of closed_at"),
        (lambda m: spoil(m, home="JUM"), "the home platform 'JUM' was asked for"),
        (lambda m: spoil(m, platforms=PLATFORMS[:4]), "found shape (10, 5, 15)"),
        (lambda m: spoil(m, before=AFTER, after=BEFORE), "end the first before the second begins"),
        (lambda m: spoil(m, before=slice(0, 0)), "a window before and one after it were asked for"),
        (lambda m: spoil(m, level=1.0), "a level between 0 and 1 was asked for; found 1.0"),
        (lambda m: spoil(m, sales=m["sales"] * np.r_[1, 1, 1, 1, np.nan][:, None]), "OWN is unknown for all"),
        (lambda m: spoil(m, sales=gained(m["sales"])), "there is no loss to share out"),
        (
            lambda m: spoil(m, sales=without_ebay(m)),
            "were compared on EBY; they sold 60 before and the 2 comparison firms nothing",
        ),
    ],
)
def test_what_cannot_be_shared_out_is_refused(spoiled, message):
    with pytest.raises(DesignError) as refused:
        displacement(**spoiled(by_hand()))
    assert message in str(refused.value)


def test_a_platform_mix_of_one_platform_is_refused():
    market = by_hand()
    with pytest.raises(DesignError, match="found sales on AMZ alone"):
        platform_shift(**(market | {"sales": market["sales"][:, :1], "platforms": PLATFORMS[:1]}))


def test_a_platform_mix_of_nobody_is_refused():
    market = by_hand()
    with pytest.raises(DesignError, match="the platform mix of exposed firms was asked for"):
        platform_shift(**(market | {"comparison": ~np.isfinite(market["closed_at"])}))
