"""Sales of sets of firms against what they would have been: by hand, errors against resampling, true and estimated."""

from dataclasses import replace

import numpy as np
import pytest
from panels import SHORT, joined, random_sides, rows_of, sides, sides_by_hand

from analysis.errors import DesignError
from analysis.estimands import changes
from analysis.estimands.catalogue import estimate_all
from analysis.estimands.displacement import displacement, platform_mix, relocation, shares_of_loss
from analysis.estimands.growth import effect_on_growth, effect_on_sales, effect_on_share, growth_effect, share_effect


def shared(firms, **fields):
    """Return where the lost sales went, and L."""
    found = displacement(sides(**firms), replace(SHORT, **fields))
    return found, found.details["lost"].row("L")["estimate"]


def test_exposed_firms_that_grow_as_others_do_have_not_changed():
    firms = sides_by_hand()
    firms["sales"][2:6, :, 12:] = 15.0
    found = changes.estimated(sides(**firms), SHORT)
    exposed = [place for place, (what, _, _) in enumerate(found.cells) if what == "exposed"]
    assert len(exposed) == 2 * 5
    np.testing.assert_allclose(found.estimate.value[exposed], 0.0, atol=1e-12)


def test_what_is_estimated_is_what_is_true_where_all_would_have_grown_alike():
    """Every firm would have sold 15 a month; formulas are the same, but only what is estimated has errors."""
    firms = sides_by_hand()
    panel = sides(**firms)
    after, own = firms["sales"][:, :, 12:].sum(axis=2), firms["origin"] == "CN"
    sold = np.array([firms["sales"][:, 0, :3].sum(axis=1), after[:, 0]])
    true = changes.true(after - 45.0, np.isfinite(firms["closed_at"]), own, sold, panel.platforms, SHORT.destinations)
    for formula, verb, terms in (
        (shares_of_loss, displacement, [f"d{k}" for k in range(1, 8)]),
        (growth_effect, effect_on_growth, ["closed", "exposed", "seen"]),
        (share_effect, effect_on_share, ["closed", "exposed", "others", "seen"]),
    ):
        known, found = formula(true)[terms], verb(panel, SHORT)[terms]
        np.testing.assert_allclose(known.value, found.value, atol=1e-9)
        np.testing.assert_allclose(known.ends, [known.value] * 2, atol=1e-12)
        assert (known.std_error == 0).all()
    assert effect_on_sales(panel, SHORT).row("seen")["estimate"] == pytest.approx(100 * (2 * (5 + 17 + 15) / 90 - 1))


def test_asking_leaves_a_panel_as_it_was():
    panel = sides(**random_sides(4))
    sales, firms = panel.sales.copy(), panel.firms.copy()
    estimate_all(panel, SHORT)
    np.testing.assert_array_equal(panel.sales, sales)
    assert firms.equals(panel.firms)


# Newcomers, and firms that are not known


def test_a_firm_new_to_a_platform_counts_with_all_it_sells_there():
    firms = sides_by_hand()
    firms["sales"][:2, 1, :12] = 0.0
    assert shared(firms)[0].row("d3")["estimate"] == pytest.approx(100 * 2 * 3 * 16.0 / 60.0)


def test_newcomers_among_comparison_firms_do_not_move_what_closed_firms_would_have_sold():
    newcomers = np.zeros((2, 5, 15))
    newcomers[:, :, 12:] = 40.0
    found, lost = shared(joined(sides_by_hand(), newcomers, np.inf, "CN", True))
    assert lost == pytest.approx(60.0)
    assert found.row("d3")["estimate"] == pytest.approx(10.0)
    assert found.row("d1")["estimate"] < 0  # exposed firms have no newcomers, where others have many


def test_a_firm_with_a_missing_month_is_dropped_and_counted():
    firms, holed, outside = random_sides(11), np.ones((1, 5, 15)), np.ones((1, 5, 15))
    holed[0, 2, 13], outside[0, 2, 6] = np.nan, np.nan  # the latter is in neither window
    plain, found, whole = (
        displacement(sides(**one), SHORT)
        for one in (firms, *(joined(firms, more, np.inf, "CN", True) for more in (holed, outside)))
    )
    assert [one.counts["dropped_missing"] for one in (plain, found, whole)] == [0, 1, 0]
    np.testing.assert_allclose(found.value, plain.value, rtol=1e-12)
    np.testing.assert_allclose(found.std_error, plain.std_error, rtol=1e-12)


# Errors


def kinds_of(firms):
    kind = np.where(np.isfinite(firms["closed_at"]), 0, np.where(firms["comparison"], 2, 1))
    return np.unique(kind * 2 + (firms["origin"] == "CN"), return_inverse=True)[1]


def test_errors_equal_those_of_a_bootstrap_that_keeps_the_number_of_each_kind():
    firms, rng, drawn = random_sides(5, n=480), np.random.default_rng(1), []
    closed = np.isfinite(firms["closed_at"])
    firms["closed_at"][closed] += rng.integers(0, 2, closed.sum())  # two waves
    firms["sales"][~closed & (rng.random(480) < 0.1), :, :12] = 0.0  # newcomers
    firms["sales"][~closed & (rng.random(480) < 0.2), :, 13:] = 0.0  # firms that stop between the waves
    plain, kinds = displacement(sides(**firms), SHORT), kinds_of(firms)
    for _ in range(400):
        rows = np.concatenate([rng.choice(np.flatnonzero(kinds == kind), (kinds == kind).sum()) for kind in range(6)])
        drawn.append(displacement(sides(**rows_of(firms, rows)), SHORT).value)
    spread = np.cov(np.array(drawn).T)
    errors, resampled = plain.std_error[:7], np.sqrt(np.diag(spread))[:7]
    # 400 draws leave 3.5 % Monte Carlo error in a standard error; the ratio by L adds some curvature.
    np.testing.assert_allclose(errors, resampled, rtol=0.15)
    ours = plain.covariance[:7, :7] / np.outer(errors, errors)
    np.testing.assert_allclose(ours, spread[:7, :7] / np.outer(resampled, resampled), atol=0.15)


def test_errors_equal_those_of_a_jackknife_over_clusters():
    # Clusters within one kind, each of three firms, so that leaving one out is leaving out draws of that kind.
    firms = random_sides(6, n=480)
    kinds, cluster = kinds_of(firms), np.empty(480, dtype=object)
    for kind in range(6):
        rows = np.flatnonzero(kinds == kind)
        cluster[rows] = [f"SIM-G{kind}{place // 3:03d}" for place in range(len(rows))]
    design = replace(SHORT, cluster="brand_group")

    def both(firms, brand):
        panel = sides(**firms, brand=brand)
        return [verb(panel, design) for verb in (relocation, platform_mix)]

    points = np.array(
        [
            np.concatenate([found.value for found in both(rows_of(firms, cluster != one), cluster[cluster != one])])
            for one in np.unique(cluster)
        ]
    )
    count = len(points)
    jackknife = np.sqrt((count - 1) / count * ((points - points.mean(axis=0)) ** 2).sum(axis=0))
    # Second-order terms: about one over the clusters of the smallest kind, some 20.
    errors = np.concatenate([found.std_error for found in both(firms, cluster)])
    np.testing.assert_allclose(errors, jackknife, rtol=0.1)


def test_copies_in_a_cluster_add_no_information():
    firms, brand = random_sides(7), [f"SIM-G{place // 2}" for place in range(480)]
    twice = rows_of(firms, np.repeat(np.arange(240), 2))
    alone = displacement(sides(**firms), SHORT)
    copied = displacement(sides(**twice, brand=brand), replace(SHORT, cluster="brand_group"))
    np.testing.assert_allclose(copied.std_error, alone.std_error, rtol=1e-9, atol=1e-9)


# Refusals


def stopped(firms):
    firms["sales"][:2, :, 11] = 0.0


def gained(firms):
    firms["sales"][:2, 0, 12:] = 16.0


def without_ebay(firms):
    firms["sales"][firms["comparison"], 1] = 0.0


def unknown(firms):
    firms["sales"][:, 4] = np.nan


def single(firms):
    firms["closed_at"][1] = np.inf


def of_one_origin(firms):
    firms["comparison"][6:8] = False


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (stopped, "found 0 closed and 4 comparison firms"),
        (single, "closed firms of origin CN"),
        (of_one_origin, "found 2 and 0 clusters"),
        (unknown, "OWN is unknown for all"),
        (gained, "there is no loss to share out"),
        (without_ebay, "were compared on EBY; they sold 60 before and the 2 comparison firms nothing"),
    ],
)
def test_what_cannot_be_compared_is_refused(spoil, message):
    firms = sides_by_hand()
    spoil(firms)
    with pytest.raises(DesignError) as refused:
        displacement(sides(**firms), SHORT)
    assert message in str(refused.value)


def test_home_sales_alone_and_one_origin_alone_can_be_compared():
    firms = sides_by_hand()
    unknown(firms)
    panel = sides(**firms)
    found = changes.estimated(panel, SHORT, home=True)
    assert found.away == ()
    assert found.lost == pytest.approx(60.0)
    own = changes.estimated(panel, SHORT, own=True, home=True)
    assert own.cells == [("closed", True, "AMZ"), ("exposed", True, "AMZ")]
    np.testing.assert_allclose(own.estimate.value, [-60.0, 12.0])
