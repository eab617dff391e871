"""Scenarios: the truth of many simulated markets, by accounts, by assumption, over time."""

import numpy as np
import pandas as pd
import pytest
from fewtreated.errors import DesignError
from small import small

from market import scenarios, simulate
from market.parameters import plausible
from market.worlds import expected_accounts


def cells_of(slope, seeds=3):
    """A grid by hand: the effect is -slope per cent closed; accounts are 1e6 times the share."""
    rows = pd.DataFrame([(share, seed) for seed in range(seeds) for share in (0.001, 0.01, 0.1)])
    share = rows[0]
    return pd.DataFrame(
        {
            "share": share,
            "tilt": 0.5,
            "seed": rows[1],
            "E3g": -100 * slope * share,
            "accounts": 1e6 * share,
        }
    )


def test_the_outcome_is_the_truth_of_the_market():
    truth = small()[1]
    assert scenarios.outcomes(truth.market)["E3g"] == pytest.approx(truth.scalars()["E3g"])


def test_the_expected_number_of_accounts_is_the_mean_of_what_is_closed_where_no_group_is_too_large(
    monkeypatch,
):
    monkeypatch.setattr("market.worlds.LARGEST", 1e9)
    counts = []
    expected = []
    for seed in range(40):
        _, truth = simulate("ceiling_50k", seed=seed, n_firms=1000, n_categories=10, tilt=0.6)
        market = truth.market
        firms = truth.firms
        hit = np.isfinite(firms["closed_month"].to_numpy())
        counts.append((firms["stands_for"].to_numpy() * market.closures.closed_accounts)[hit].sum())
        expected.append(expected_accounts(market))
    gap = np.array(counts) - np.array(expected)
    assert abs(gap.mean()) < 3 * gap.std() / np.sqrt(len(gap))
    assert gap.std() < 0.6 * np.mean(expected)  # so that the line above can fail


def test_more_sales_closed_are_more_accounts_and_a_larger_tilt_is_fewer():
    flat, steep = (
        [expected_accounts(small(closed_gmv=share, tilt=tilt)[1].market) for share in (0.01, 0.1)]
        for tilt in (0.0, 0.9)
    )
    assert flat[0] < flat[1]
    assert steep[0] < flat[0]
    assert steep[1] < flat[1]


def test_a_number_of_accounts_is_read_off_the_grid_and_not_beyond_it():
    read = scenarios.by_accounts(cells_of(2.0), (10_000, 10)).set_index("accounts")
    assert read.loc[10_000, ["share", "E3g", "low", "high"]].tolist() == pytest.approx(
        [1.0, -2.0, -2.0, -2.0]
    )
    assert read.loc[10, "markets"] == 0
    assert read.loc[10, ["share", "E3g", "low", "high"]].isna().all()
    assert scenarios.summary(read.reset_index(), 10_000)["effect"].conf_int[1] == pytest.approx(
        [-2.0]
    )
    with pytest.raises(
        DesignError, match="effect of closing 10 accounts: no market's grid covers that number"
    ):
        scenarios.summary(read.reset_index(), 10)


def test_the_threshold_is_where_the_effect_crosses_the_margin():
    edge = scenarios.threshold(cells_of(2.0), 2.0).iloc[0]
    assert (edge["share"], edge["accounts"], edge["reached"]) == pytest.approx((1.0, 10_000, 3))
    never = scenarios.threshold(cells_of(0.01), 2.0).iloc[0]
    assert never["reached"] == 0
    assert np.isnan(never["share"])


def test_a_tornado_moves_one_assumption_and_puts_the_widest_first(monkeypatch):
    monkeypatch.setattr(
        scenarios,
        "outcomes",
        lambda market, window: {"E3g": -market.parameters.trust - market.seed},
    )
    monkeypatch.setattr(
        scenarios, "RANGES", {"sigma": (0.1, 0.2, "no part"), "trust": (0.0, 0.5, "a part")}
    )
    bars = scenarios.tornado("mid_3k", [1, 3])
    assert bars["parameter"].tolist() == ["trust", "sigma"]
    assert bars.loc[0, ["at_low", "at_high", "base", "error"]].tolist() == pytest.approx(
        [-2.0, -2.5, -2.02, 0.0]
    )


def test_the_grid_spans_the_plausible_range_of_the_closed_share():
    low, high = plausible("closed_gmv")
    assert {low, high} <= set(scenarios.SHARES)
    assert list(scenarios.SHARES) == sorted(scenarios.SHARES)
    assert min(scenarios.SHARES) < low < high < max(scenarios.SHARES)


def test_a_cell_of_the_grid_is_the_market_of_these_two_parameters(monkeypatch):
    monkeypatch.setattr(scenarios, "SHARES", (0.01, 0.1))
    monkeypatch.setattr(scenarios, "TILTS", (0.3,))
    cell = scenarios.grid("mid_3k", [5]).iloc[1]
    market = simulate("mid_3k", 5, closed_gmv=0.1, tilt=0.3)[1].market
    assert cell.drop(["share", "tilt", "seed"]).to_dict() == scenarios.outcomes(market)


def test_every_range_is_one_that_the_market_allows():
    for name, (low, high, _) in scenarios.RANGES.items():
        for value in (low, high):
            assert np.isfinite(scenarios.outcomes(small(**{name: value})[1].market)["E3g"])


def test_few_markets_are_shown_from_the_lowest_to_the_highest_and_many_by_quantiles():
    assert scenarios.quantile_range(6, 0.9) == (1.0, "lowest to highest of 6 markets")
    assert scenarios.quantile_range(20, 0.9) == (0.9, "middle 90% of 20 markets")
    read = scenarios.by_accounts(cells_of(3.0), [20_000], level=scenarios.quantile_range(3, 0.9)[0])
    assert read["low"].iloc[0] <= read["E3g"].iloc[0] <= read["high"].iloc[0]


def test_nesting_makes_fakes_given_up_cost_more_and_deterred_entry_less():
    def cost(sigma, **without):
        def gap(market):
            with_, out = (
                scenarios.outcomes(market.changed(sigma=sigma, **more))["E3g"]
                for more in ({}, without)
            )
            return out - with_

        return float(np.mean(scenarios.each_market(gap, "mid_3k", range(1, 3))))

    assert cost(0.8, chill=0.0) > cost(0.4, chill=0.0) > 0
    assert 0 < cost(0.8, deter=0.0) < cost(0.4, deter=0.0)
