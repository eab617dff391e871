"""Sales of sets of firms against what they would have been: by hand, errors against resampling,
true and estimated.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from panels import SHORT, joined, panel_of, random_sides, rows_of, sides, sides_by_hand

from analysis.estimands import changes
from analysis.estimands.catalogue import estimate_all
from analysis.estimands.displacement import (
    amounts,
    displacement,
    lost_sales,
    platform_mix,
    shares_of_loss,
)
from analysis.estimands.growth import (
    effect_on_growth,
    effect_on_sales,
    effect_on_share,
    growth_effect,
    observed_growth,
    share_effect,
)
from fewtreated import jackknife
from market.truth import Window


def shared(firms, **fields):
    """Return where the lost sales went, and L."""
    panel = sides(**firms)
    design = replace(SHORT, **fields)
    return displacement(panel, design), lost_sales(panel, design).row("sum")["estimate"]


def test_exposed_firms_that_grow_as_others_do_have_not_changed():
    firms = sides_by_hand()
    firms["sales"][2:6, :, 12:] = 15.0
    found = changes.estimated(sides(**firms), SHORT)
    exposed = [place for place, (what, _, _) in enumerate(found.cells) if what == "exposed"]
    assert len(exposed) == 2 * 5
    np.testing.assert_allclose(found.estimate.value[exposed], 0.0, atol=1e-12)


def test_what_is_estimated_is_what_is_true_where_all_would_have_grown_alike():
    """Every firm would have sold 15 a month; formulas are the same, but only what is estimated has
    errors.
    """
    firms = sides_by_hand()
    panel = sides(**firms)
    after = firms["sales"][:, :, 12:]
    base = firms["sales"][:, :, :3].sum(axis=2)
    nothing = np.zeros(len(panel.firms))
    closed = np.isfinite(firms["closed_at"])
    who = {
        "chinese": firms["origin"] == "CN",
        "closed": closed,
        "exposure": nothing,
        "suspicion": nothing,
    }
    window = Window(
        {"W11": after}, base, base, dose=1.0 * closed, months_closed=1.0 * closed, **who
    )
    true = window.changes(after.sum(axis=2) - 45.0)
    for formula, verb, terms in (
        (shares_of_loss, displacement, [f"d{k}" for k in range(1, 8)]),
        (growth_effect, effect_on_growth, ["closed", "exposed", "seen"]),
        (share_effect, effect_on_share, ["seen"]),
    ):
        known = formula(true)[terms]
        found = verb(panel, SHORT)[terms]
        np.testing.assert_allclose(known.value, found.value, atol=1e-9)
        np.testing.assert_allclose(known.conf_int, [known.value] * 2, atol=1e-12)
        assert (known.std_error == 0).all()
    assert effect_on_sales(panel, SHORT).row("seen")["estimate"] == pytest.approx(
        100 * (2 * (5 + 17 + 15) / 90 - 1)
    )


def test_asking_leaves_a_panel_as_it_was():
    panel = sides(**random_sides(4))
    sales = panel.sales.copy()
    firms = panel.firms.copy()
    estimate_all(panel, SHORT)
    np.testing.assert_array_equal(panel.sales, sales)
    assert firms.equals(panel.firms)


# Newcomers, and firms that are not known


def test_a_firm_new_to_a_platform_counts_with_all_it_sells_there():
    firms = sides_by_hand()
    firms["sales"][:2, 1, :12] = 0.0
    firms["sales"][:2, 1] /= 4  # else they would gain more than they lost, which is refused
    assert shared(firms)[0].row("d3")["estimate"] == pytest.approx(100 * 2 * 3 * 4.0 / 60.0)


def test_newcomers_among_comparison_firms_do_not_move_what_closed_firms_would_have_sold():
    newcomers = np.zeros((2, 5, 15))
    newcomers[:, :, 12:] = 40.0
    found, lost = shared(joined(sides_by_hand(), newcomers, np.inf, "CN", True))
    assert lost == pytest.approx(60.0)
    assert found.row("d3")["estimate"] == pytest.approx(10.0)
    assert (
        found.row("d1")["estimate"] < 0
    )  # exposed firms have no newcomers, where others have many


def test_a_firm_of_which_most_months_are_missing_is_dropped_and_counted():
    firms = random_sides(11)
    holed = np.ones((1, 5, 15))
    outside = np.ones((1, 5, 15))
    # the latter is in neither window
    holed[0, 2, 13:15] = np.nan
    outside[0, 2, 6] = np.nan
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


@pytest.mark.slow
def test_errors_equal_those_of_a_bootstrap_that_keeps_the_number_of_each_kind():
    firms = random_sides(5, n=480)
    rng = np.random.default_rng(1)
    drawn = []
    closed = np.isfinite(firms["closed_at"])
    firms["closed_at"][closed] += rng.integers(0, 2, closed.sum())  # two waves
    firms["sales"][~closed & (rng.random(480) < 0.1), :, :12] = 0.0  # newcomers
    firms["sales"][~closed & (rng.random(480) < 0.2), :, 13:] = (
        0.0  # firms that stop between the waves
    )
    plain = displacement(sides(**firms), SHORT)
    kinds = kinds_of(firms)
    for _ in range(400):
        rows = np.concatenate(
            [rng.choice(np.flatnonzero(kinds == kind), (kinds == kind).sum()) for kind in range(6)]
        )
        drawn.append(displacement(sides(**rows_of(firms, rows)), SHORT).value)
    spread = np.cov(np.array(drawn).T)
    errors = plain.std_error[:7]
    resampled = np.sqrt(np.diag(spread))[:7]
    # 400 draws leave 3.5 % Monte Carlo error in a standard error; the ratio by L adds some
    # curvature.
    np.testing.assert_allclose(errors, resampled, rtol=0.15)
    ours = plain.covariance[:7, :7] / np.outer(errors, errors)
    np.testing.assert_allclose(ours, spread[:7, :7] / np.outer(resampled, resampled), atol=0.15)


def in_three(panel):
    """Divide each category in three: firms not closed are clustered by category."""
    category = panel.firms["category"] + pd.Series(
        np.arange(len(panel.firms)) % 3, panel.firms.index
    ).astype(str)
    return replace(panel, firms=panel.firms.assign(category=category))


def test_errors_equal_those_of_a_jackknife_over_clusters():
    # Clusters within one kind, each of three firms, so that leaving one out is leaving out draws of
    # that kind.
    firms = random_sides(6, n=480)
    kinds = kinds_of(firms)
    cluster = np.empty(480, dtype=object)
    for kind in range(6):
        rows = np.flatnonzero(kinds == kind)
        cluster[rows] = [f"SIM-G{kind}{place // 3:03d}" for place in range(len(rows))]

    def mix(kept):
        panel = in_three(sides(**rows_of(firms, kept), brand=cluster[kept]))
        return platform_mix(panel, replace(SHORT, cluster="brand_group"))

    points = np.array([mix(cluster != one).value for one in np.unique(cluster)])
    count = len(points)
    jackknife = np.sqrt((count - 1) / count * ((points - points.mean(axis=0)) ** 2).sum(axis=0))
    # Second-order terms: about one over the clusters of the smallest kind, some 20.
    np.testing.assert_allclose(mix(cluster != "").std_error, jackknife, rtol=0.05)


@pytest.mark.parametrize(
    "estimand",
    [
        lambda *given: changes.estimated(*given).estimate,
        lambda *given: effect_on_growth(*given)["seen"],
        observed_growth,
        platform_mix,
    ],
)
def test_factor_and_degrees_of_freedom_are_those_of_the_one_jackknife(estimand, monkeypatch):
    firms = random_sides(6, n=480)
    brand = [f"SIM-G{place:03d}" for place in np.sqrt(np.arange(480)).astype(int)]  # of 1 to 41

    def found():
        made = in_three(sides(**rows_of(firms, np.full(480, True)), brand=brand))
        return estimand(made, replace(SHORT, cluster="brand_group"))

    before = found()
    factor = jackknife.factor
    monkeypatch.setattr(jackknife, "factor", lambda clusters: 0.25 * factor(clusters))
    monkeypatch.setattr(jackknife, "most_df", np.ones_like)
    np.testing.assert_allclose(found().covariance, 0.25 * before.covariance, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(found().df, 1)


def shocked(seed):
    """Return home sales before and after of firms in twelve categories, in the first six of which
    some are closed.

    Three firms of a category are closed, in brand groups of two; one in ten is a newcomer. What
    moves a category moves all its firms.
    """
    rng = np.random.default_rng(seed)
    category = np.repeat(np.arange(12), 20)
    place = np.tile(np.arange(20), 12)
    closed = (category < 6) & (place < 3)
    before = rng.lognormal(size=240) * (closed | (rng.random(240) < 0.9))
    after = np.where(before > 0, before, 0.3) * rng.lognormal(sigma=0.3, size=240)
    after *= np.exp(0.3 * rng.normal(size=12))[category] * np.where(closed, 0.2, 1.0)
    brand = np.where(closed, np.cumsum(closed) // 2, 1000 + np.arange(240))
    return before, after, closed, category, brand


def moved_by(before, after, closed, category, kept, size):
    """Return what closed firms lost, and exposed ones gained, by the formula; of `size` firms, were
    as many left.
    """
    pool = kept & (category >= 6)
    exposed = kept & (category < 6) & ~closed
    old = before > 0
    gone = kept & closed
    base = before[pool].sum()
    scale = [size[name] / one.sum() for name, one in (("closed", gone), ("exposed", exposed))]
    lost = scale[0] * (after[gone] - before[gone] * after[pool & old].sum() / base).sum()
    gained = scale[1] * (after[exposed] - before[exposed] * after[pool].sum() / base).sum()
    return lost, gained - scale[0] * before[gone].sum() * after[pool & ~old].sum() / base


def test_errors_are_those_of_leaving_out_closed_brand_groups_and_categories_of_all_others():
    before, after, closed, category, brand = shocked(3)
    sales = np.repeat(before[:, np.newaxis, np.newaxis], 15, axis=2)
    sales[:, 0, 12:] = after[:, np.newaxis]
    panel = panel_of(
        sales,
        dict.fromkeys(np.flatnonzero(closed), 12),
        category=[f"C{one:02d}" for one in category],
        brand=[f"SIM-G{one}" for one in brand],
    )
    mixed = np.where(closed, 100 + brand, category)
    size = {"closed": 18, "exposed": (~closed & (category < 6)).sum()}

    def of(kept):
        return np.array(moved_by(before, after, closed, category, kept, size))

    whole = of(closed | True)
    labels = np.unique(mixed)
    assert len(labels) == 12 + len(np.unique(brand[closed])) == 22
    moved = np.array([whole - of(mixed != label) for label in labels]) * np.sqrt(
        1 - 1 / len(labels)
    )
    design = replace(SHORT, cluster="brand_group")
    found = changes.estimated(panel, design).estimate
    np.testing.assert_allclose(found.value, 3 * whole, rtol=1e-9)  # three months
    np.testing.assert_allclose(found.covariance, 9 * moved.T @ moved, rtol=1e-9)
    grown = effect_on_growth(panel, design)[["closed", "exposed", "seen"]]
    scores = np.column_stack([moved, moved.sum(axis=1)])
    error = 100 * np.sqrt((scores**2).sum(axis=0)) / before.sum()
    np.testing.assert_allclose(grown.std_error, error, rtol=1e-9)
    shared_out = displacement(panel, design)
    (lost, gained) = whole
    slope = moved @ np.array([gained / lost**2, -1 / lost])  # of exposed over lost sales
    np.testing.assert_allclose(
        shared_out.row("d1")["std_error"], 100 * np.sqrt(slope @ slope), rtol=1e-9
    )
    alone = effect_on_growth(panel, SHORT).row("exposed")["std_error"]
    assert grown.row("exposed")["std_error"] > 1.3 * alone  # firms of a category move together


def test_copies_in_a_cluster_add_no_information():
    firms = random_sides(7)
    brand = [f"SIM-G{place // 2}" for place in range(480)]
    twice = rows_of(firms, np.repeat(np.arange(240), 2))
    copied = in_three(sides(**twice, brand=brand))
    for verb, rtol in (
        (platform_mix, 0.02),
        (observed_growth, 1e-9),
    ):  # a firm is left out of its own set of platforms too
        alone = verb(sides(**firms), SHORT)
        found = verb(copied, replace(SHORT, cluster="brand_group"))
        np.testing.assert_allclose(found.std_error, alone.std_error, rtol=rtol, atol=1e-9)


def test_home_sales_alone_and_one_origin_alone_can_be_compared():
    firms = sides_by_hand()
    firms["sales"][:, 4] = np.nan
    panel = sides(**firms)
    found = changes.estimated(panel, SHORT, home=True)
    assert found.away == ()
    assert amounts(found).row("sum")["estimate"] == pytest.approx(60.0)
    own = changes.estimated(panel, SHORT, of_origin=True, home=True)
    assert own.cells == [("closed", True, "AMZ"), ("exposed", True, "AMZ")]
    np.testing.assert_allclose(own.estimate.value, [-60.0, 12.0])
