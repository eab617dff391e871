"""The truth about a simulated market: formulas of known changes, parts that add up, and what it
keeps apart.
"""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from fewtreated.errors import DesignError
from panels import WAVES
from small import SMALL, small

from analysis.estimands import displacement, growth
from market import simulate
from market.parameters import PLATFORMS
from market.truth import Truth, Window
from market.worlds import CHANNELS

PARTS = [f"d{number}" for number in range(1, 8)]


@pytest.fixture(scope="module")
def truth():
    return small(trust=0.05)[1]


# Formulas


@pytest.mark.parametrize("preset", ["mid_3k", "tail_50k", "trust", "stress"])
@pytest.mark.parametrize("window", [(4, 9), (0, 10), (6, 6)])
def test_the_truth_is_the_difference_between_worlds_and_adds_up(preset, window):
    truth = small(preset)[1]
    found = truth.scalars(*window)
    seen = truth.window(*window)
    own = seen.chinese
    closed = seen.closed
    what = seen.total("W11")
    without = seen.total("W00")
    change = what - without
    home = (what[:, 0], without[:, 0])
    mine = change[own, 0].sum()
    sold = seen.base[own, 0].sum()
    low = ~closed & (seen.dose == 0) & (seen.exposure < 0.02)
    # by origin: change of all but firms of low exposure, less what these did in proportion
    beside = {}
    for origin in (own, ~own):
        rate = change[low & origin].sum(axis=0) / seen.base[low & origin].sum(axis=0)
        for name, firms in (("closed", origin & closed), ("spared", origin & ~closed & ~low)):
            beside[name, origin[0] == own[0]] = change[firms].sum(axis=0) - rate * seen.base[
                firms
            ].sum(axis=0)
    moved, gained = (beside[name, True] + beside[name, False] for name in ("closed", "spared"))
    lost = -moved[0]
    expected = {
        "E3": 100 * mine / without[own, 0].sum(),
        "E3g": 100 * mine / sold,
        "E3g_seen": 100 * (beside["closed", True] + beside["spared", True])[0] / sold,
        "E3s": 100 * (home[0][own].sum() / home[0].sum() - home[1][own].sum() / home[1].sum()),
        "E4b_CN": 100 * beside["spared", True][0] / lost,
        "d2": 100 * beside["spared", False][0] / lost,
        **{
            f"E4a_{name}": 100 * moved[place] / lost
            for place, name in enumerate(PLATFORMS)
            if place
        },
        "d5": 100 * moved[3:].sum() / lost,
        "d6": 100 * gained[1:].sum() / lost,
        "L": lost / (window[1] - window[0] + 1),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-12, abs=1e-9)
    assert [found["d1"], found["d3"], found["d4"]] == [
        found["E4b_CN"],
        found["E4a_EBY"],
        found["E4a_ALI"],
    ]
    assert sum(found[name] for name in PARTS) == pytest.approx(100.0, abs=1e-9)
    assert found["E3g_common"] == pytest.approx(found["E3g"] - found["E3g_seen"], abs=1e-9)
    assert sum(found[f"E3k_{name}"] for name in growth.PARTS) == pytest.approx(
        found["E3g_seen"], abs=1e-9
    )
    assert sum(truth.decomposition(*window).values()) == pytest.approx(found["E3g"], abs=1e-9)


def test_what_is_common_to_all_firms_is_not_seen(truth):
    """All firms of an origin, those of low exposure among them, sell a tenth less: it is in the
    whole and not seen.
    """
    window = truth.window()
    less = {
        world: sales * (0.9 if world == "W11" else 1.0) for world, sales in window.after.items()
    }
    assert window.low.any()
    hit = dataclasses.replace(window, after=less | {"W00": window.after["W11"]})
    hit = dataclasses.replace(hit, base=window.total("W11"))  # who sold before sells now
    assert hit.of_growth()["E3g"] == pytest.approx(-10.0)
    assert hit.of_growth()["E3g_seen"] == pytest.approx(0.0, abs=1e-9)
    assert list(hit.seen_parts_of_growth().values()) == pytest.approx([0.0] * 4, abs=1e-9)


def test_a_true_change_has_no_error(truth):
    window = truth.window()
    changes = window.changes(window.seen)
    for known in (
        growth.growth_effect(changes),
        growth.share_effect(changes),
        displacement.shares_of_loss(changes),
    ):
        assert (known.std_error == 0).all()
        np.testing.assert_array_equal(known.conf_int, [known.value] * 2)


def by_hand():
    """Five Chinese firms: one closed, one that gains, one that stops, one left alone, one that
    comes later.
    """
    sold = {"W11": [0.0, 36.0, 0.0, 10.0, 4.0], "W00": [50.0, 33.0, 18.0, 10.0, 9.0]}
    after = {world: np.zeros((5, len(PLATFORMS), 1)) for world in sold}
    for world, sales in sold.items():
        after[world][:, 0, 0] = sales
    base = np.zeros((5, len(PLATFORMS)))
    closed = np.arange(5) == 0
    base[:, 0] = [40.0, 30.0, 20.0, 10.0, 0.0]
    chinese = np.ones(5, dtype=bool)
    share = closed.astype(float)
    return Window(
        after,
        base,
        base,
        chinese,
        closed,
        share,
        share,
        exposure=np.full(5, 0.1),
        suspicion=np.zeros(5),
    )


def test_the_truth_of_five_firms_is_what_a_pocket_calculator_gives():
    window = by_hand()
    assert window.parts_of_growth() == pytest.approx(
        {"closed": -50.0, "incumbents": 3.0, "exit": -18.0, "entry": -5.0}
    )
    assert window.of_growth()["E3g"] == pytest.approx(-70.0)
    found = window.of_loss()
    assert [found[name] for name in PARTS] == pytest.approx(
        [-40.0, 0, 0, 0, 0, 0, 140.0]
    )  # nobody is of low exposure
    assert window.of_closed() == pytest.approx({"E1a": -100.0, "E1b": -100.0, "E1e": 1.0})
    spared = dataclasses.replace(window, after=dict.fromkeys(window.after, window.after["W00"]))
    assert set(spared.parts_of_growth().values()) == {0.0}
    assert np.isnan(list(spared.of_loss().values())).all()  # nothing was lost, so it went nowhere


def test_a_firm_that_comes_back_has_exited_all_the_same():
    """As in the estimate: three silent months from the second on, and sales again after them."""
    without = np.ones((1, 1, 42))

    def months(with_):
        worlds = {"W11": with_, "W00": without}
        return Truth._months_alive(
            SimpleNamespace(closed=[True], closed_month=np.array([28.0]), sales=worlds.get)
        )

    silent = without.copy()
    silent[0, 0, WAVES[0] + 2 : WAVES[0] + 5] = 0.0
    assert months(silent) == 2 - 12
    silent[0, 0, WAVES[0] + 3] = 1.0
    assert months(silent) == 0


# Worlds


def test_mechanisms_add_up_to_the_growth_effect(truth):
    mechanisms = truth.shapley()
    assert set(mechanisms) == set(CHANNELS)
    assert sum(mechanisms.values()) == pytest.approx(truth.scalars()["E3g"], abs=1e-9)
    assert mechanisms["closure"] < 0 < mechanisms["trust"]


def test_the_own_effect_of_the_only_closed_firm_is_the_whole_effect():
    quiet = {"chill": 0.0, "deter": 0.0, "hedge": 0.0, "trust": 0.0}
    scalars = small(max_groups=1, group_size=1.0, partial=0.0, **quiet)[1].scalars()
    assert scalars["E1c"] == pytest.approx(scalars["E1a"], abs=1e-9)


def test_the_truth_of_firms_closed_by_a_month_is_that_of_all_once_all_are():
    truth = simulate("ceiling_50k", seed=1)[1]
    true = truth.scalars()
    early = truth.closed_by(0, 0)
    late = truth.closed_by(4, 9)
    assert (late["E1a"], late["E1c"]) == (true["E1a"], true["E1c"])
    assert late["E1a"] / late["mechanical"] == pytest.approx(true["E1e"])
    assert early["E1a"] != late["E1a"]


def test_closures_of_the_market_stay_as_they_are_when_a_firm_is_spared_in_thought(truth):
    before = {name: np.copy(values) for name, values in vars(truth.market.closures).items()}
    truth.scalars()
    after = vars(truth.market.closures)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert np.isfinite(truth.closed_month).any()


def test_a_difference_in_means_finds_the_truth_under_random_closure_without_interference():
    alone = {
        "sigma": 0.0,
        "sigma_spread": 0.0,
        "inside": 0.005,
        "group_size": 1.0,
        "partial": 0.0,
        "exit_size": 0.0,
    }
    none = (
        "entrants walmart_gate tilt by_cheating by_risk category_trend chill deter hedge trust"
        " induce"
    )
    misses = []
    for seed in range(40):
        truth = simulate("mid_3k", seed, **SMALL | alone | dict.fromkeys(none.split(), 0.0))[1]
        window = truth.window()
        eligible = (
            window.chinese & truth.market.history.survivors & (truth.market.closures.share > 0)
        )
        sets = (eligible & window.closed, eligible & ~window.closed)
        closed, spared = (
            window.total("W11")[firms].sum() / window.base[firms].sum() for firms in sets
        )
        misses.append(100 * (closed / spared - 1) - window.of_closed()["E1a"])
    assert abs(np.mean(misses)) < 3 * np.std(misses, ddof=1) / np.sqrt(len(misses))


def test_chilling_and_trust_have_their_signs():
    chilled, trusting, calm = (
        small(**strength)[1].scalars() for strength in ({"chill": 0.6}, {"trust": 0.5}, {})
    )
    assert chilled["E5b"] < calm["E5b"] < 0
    assert trusting["E2b"] > calm["E2b"] > 0
    assert chilled["E5a_-1"] < 0 == chilled["E5a_-6"]


@pytest.mark.parametrize("window", [(-1, 4), (4, 14), (9, 4), (4, 12)])
def test_a_window_without_its_base_and_an_unknown_world_are_refused(truth, window):
    with pytest.raises(
        DesignError, match=f"Cannot use a window from month {window[0]} to {window[1]}"
    ):
        truth.window(*window)
    with pytest.raises(DesignError, match="Cannot use world = 'W12'; choose from W11, W00"):
        truth.window(worlds=("W12",))
