"""Growth taken apart: identities, contributions by hand, errors against a bootstrap, and the simulated truth."""

import numpy as np
import pytest

from analysis.accounting import decompose_effect, decompose_growth
from analysis.errors import DesignError
from analysis.market import simulate

PARTS = ["closed", "continuing", "exit", "entry"]


def firms(seed: int, n: int = 300):
    rng = np.random.default_rng(seed)
    before = rng.lognormal(size=n) * (rng.random(n) < 0.8)
    after = np.where(before > 0, before, 0.5) * rng.lognormal(sigma=0.5, size=n) * (rng.random(n) < 0.8)
    return before, after, rng.random(n) < 0.1


@pytest.mark.parametrize("seed", range(5))
def test_the_contributions_add_up_to_growth_and_so_do_their_influence_values(seed):
    before, after, closed = firms(seed)
    found = decompose_growth(before, after, closed)
    rows = found.rows.set_index("term")["estimate"]
    assert rows[PARTS].sum() == pytest.approx(rows["growth"], abs=1e-9)
    assert rows["growth"] == pytest.approx(100 * (after.sum() / before.sum() - 1), abs=1e-9)
    influence = found.influence
    np.testing.assert_allclose(influence[:, :4].sum(axis=1), influence[:, 4], atol=1e-12)
    np.testing.assert_allclose(influence.T @ influence, found.covariance, atol=1e-12)


def test_the_contributions_are_what_a_pocket_calculator_gives():
    before, after = np.array([50.0, 30.0, 20.0, 0.0, 0.0]), np.array([10.0, 45.0, 0.0, 25.0, 0.0])
    rows = decompose_growth(before, after, np.arange(5) == 0).rows
    assert rows["estimate"].tolist() == pytest.approx([-40.0, 15.0, -20.0, 25.0, -20.0])
    assert rows["n"].tolist() == [1, 1, 1, 1, 5]


@pytest.mark.parametrize("size", [1, 3])
def test_errors_equal_those_of_a_cluster_bootstrap(size):
    before, after, closed = firms(1, n=600)
    cluster = np.arange(600) // size
    found = decompose_growth(before, after, closed, cluster=cluster)
    rng, drawn = np.random.default_rng(2), []
    members = np.arange(600).reshape(-1, size)
    for _ in range(1500):
        rows = members[rng.integers(len(members), size=len(members))].ravel()
        drawn.append(decompose_growth(before[rows], after[rows], closed[rows]).rows["estimate"].to_numpy())
    # 1,500 draws leave 1.8 % Monte Carlo error in a standard error; the ratio adds curvature of the order 1 / 200.
    np.testing.assert_allclose(found.rows["std_error"], np.std(drawn, axis=0), rtol=0.08)


def test_the_unit_of_money_and_the_order_of_firms_change_nothing():
    before, after, closed = firms(3)
    order = np.random.default_rng(0).permutation(300)
    plain = decompose_growth(before, after, closed).rows
    moved = decompose_growth(6.49 * before[order], 6.49 * after[order], closed[order]).rows
    np.testing.assert_allclose(moved.drop(columns="term"), plain.drop(columns="term"), rtol=1e-10)


def test_a_firm_that_is_missing_in_a_window_is_dropped_and_counted():
    before, after, closed = firms(4)
    plain = decompose_growth(before, after, closed)
    found = decompose_growth(np.append(before, np.nan), np.append(after, 3.0), np.append(closed, False))
    assert found.counts["dropped_missing"] == 1
    np.testing.assert_allclose(found.rows["estimate"], plain.rows["estimate"])


@pytest.mark.parametrize("seed", range(5))
def test_the_four_parts_of_the_effect_add_up_to_it(seed):
    before, with_, closed = firms(seed)
    without = firms(seed + 100)[1]
    rows = decompose_effect(before, with_, without, closed).rows.set_index("term")["estimate"]
    assert rows.drop("E3g").sum() == pytest.approx(rows["E3g"], abs=1e-9)
    growth = [decompose_growth(before, after, closed).row("growth")["estimate"] for after in (with_, without)]
    assert rows["E3g"] == pytest.approx(growth[0] - growth[1], abs=1e-9)


def test_two_equal_worlds_have_no_effect():
    before, with_, closed = firms(6)
    assert (decompose_effect(before, with_, with_, closed).rows["estimate"] == 0).all()


def test_the_parts_of_the_effect_by_hand_and_who_is_alive_can_be_given():
    before = np.array([40.0, 30.0, 20.0, 10.0, 0.0])
    with_, without = np.array([0.0, 36.0, 0.0, 10.0, 4.0]), np.array([50.0, 33.0, 18.0, 10.0, 9.0])
    closed = np.arange(5) == 0
    found = decompose_effect(before, with_, without, closed)
    assert found.rows["estimate"].tolist() == pytest.approx([-50.0, 3.0, -18.0, -5.0, -70.0])
    assert found.rows["std_error"].isna().all()
    assert "both worlds are known" in found.reason
    everyone = {"observed": np.ones(5, dtype=bool), "counterfactual": np.ones(5, dtype=bool)}
    again = decompose_effect(before, with_, without, closed, alive=everyone)
    assert again.rows["estimate"].tolist() == pytest.approx([-50.0, -15.0, 0.0, -5.0, -70.0])


def test_the_effect_in_a_simulated_market_is_what_its_truth_says():
    _, truth = simulate("mid_3k", seed=3, n_firms=800)
    scene = truth.scene(4, 9)
    own = scene.chinese
    worlds = [scene.total(world)[own, 0] for world in ("W11", "W00")]
    found = decompose_effect(scene.base[own, 0], *worlds, scene.closed[own]).rows.set_index("term")["estimate"]
    assert found.drop("E3g").to_dict() == pytest.approx(truth.decomposition(), abs=1e-9)
    assert found["E3g"] == pytest.approx(truth.scalars()["E3g"], abs=1e-9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"after": np.ones(3)}, "one value a firm, were asked for; found shapes [(3,), (5,)]"),
        ({"closed": np.ones(5)}, "closed in float64"),
        ({"after": -np.ones(5)}, "5 are negative"),
        ({"before": np.zeros(5)}, "the 5 firms sold nothing before"),
        ({"cluster": np.zeros(5)}, "found 1 cluster"),
        ({"level": 95}, "a level between 0 and 1 was asked for; found 95"),
    ],
)
def test_growth_that_cannot_be_taken_apart_is_refused(changes, message):
    given = {"before": np.ones(5), "after": np.ones(5), "closed": np.arange(5) == 0} | changes
    with pytest.raises(DesignError) as refused:
        decompose_growth(**given)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"observed": np.array([np.nan, 1.0])}, "1 of 2 firms have no sales in one of them"),
        ({"alive": {"observed": np.ones(2, dtype=bool)}}, "found ['observed']; name both"),
        ({"alive": {"observed": np.ones(2), "counterfactual": np.ones(3)}}, "found shape (3,) in the counterfactual"),
        ({"before": np.zeros(2)}, "sold nothing before"),
    ],
)
def test_an_effect_between_worlds_that_are_not_known_is_refused(changes, message):
    one = np.ones(2)
    given = {"before": one, "observed": one, "counterfactual": one, "closed": np.array([True, False])} | changes
    with pytest.raises(DesignError) as refused:
        decompose_effect(**given)
    assert message in str(refused.value)
