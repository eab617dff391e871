"""The second and third judges: plain and heavy panels, whose truth is known by construction."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fewtreated.errors import DesignError

from analysis.estimands.design import Design
from market import plain
from market.parameters import PLATFORMS, WAVES

DESIGN = Design()
PRESET = "plain_sd1_30"


@pytest.fixture(scope="module")
def made() -> tuple:
    return plain.simulate(PRESET, 1)


def closed(panel):
    return panel.firms["closed_on"].notna().to_numpy()


def log_home(panel, truth):
    """Return log home sales without closures of firms that sell at home in every month."""
    sales = truth.without[:, 0]
    always = (sales > 0).all(axis=1)
    return np.log(sales[always]), panel.firms["category"].to_numpy()[always]


@pytest.mark.parametrize("preset", plain.PRESETS)
def test_a_plain_panel_is_what_its_preset_says(preset):
    panel, truth = plain.simulate(preset, 3)
    given = plain.PRESETS[preset]
    firms = panel.firms[closed(panel)]
    assert firms["brand_group"].nunique() == given.closed_groups
    assert set(firms["origin"]) == {DESIGN.origin}
    assert set(panel.firms["origin"]) == {DESIGN.origin, "other"}
    assert set(panel.first_treated()[closed(panel)]) <= {float(wave) for wave in WAVES}
    assert panel.firms["brand_group"].value_counts().max() <= 3
    levels, _ = log_home(panel, truth)
    assert levels.mean(axis=1).std() == pytest.approx(given.log_sd, rel=0.15)
    if given.largest:
        sold = (
            pd.Series(truth.without[closed(panel), 0].mean(axis=1))
            .groupby(firms["brand_group"].to_numpy())
            .sum()
        )
        assert sold.max() / sold.sum() == pytest.approx(0.4, abs=0.15)
    assert panel.provenance == "simulated"


def test_the_same_seed_gives_the_same_panel_and_another_another():
    digests = [plain.simulate(PRESET, seed)[0].digest for seed in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]


def test_presets_of_one_seed_share_their_firms_and_close_more_of_them():
    few, many = (plain.simulate(name, 5)[0] for name in ("plain_sd1_9", "plain_sd1_99"))
    assert (closed(few) <= closed(many)).all()
    open_ = ~closed(many)
    np.testing.assert_array_equal(few.sales[open_], many.sales[open_])


def test_without_an_effect_nothing_differs_from_the_world_without_closures():
    panel, truth = plain.simulate("plain_null_sd2_30", 4)
    np.testing.assert_array_equal(panel.sales, truth.without)
    known = truth.scalars()
    assert {
        known[name]
        for name in ("E1a", "E1b", "E1d", "E2a", "E2b", "E3g", "E3", "E3s", "E4d_AMZ", "E5b")
    } == {0.0}
    assert np.isnan(known["d1"])  # of nothing lost there are no parts


def test_closed_firms_alone_change_and_by_what_the_preset_says(made):
    panel, truth = made
    given = plain.PRESETS[PRESET]
    since = np.arange(len(panel.months)) >= panel.first_treated()[:, np.newaxis]
    for place, name in enumerate(PLATFORMS):
        kept = {"AMZ": 1 - given.lost, "EBY": 1 + given.gained, "ALI": 1 + given.gained}.get(
            name, 1.0
        )
        expected = truth.without[:, place] * np.where(since, kept, 1.0)
        np.testing.assert_allclose(panel.sales[:, place], expected)


def test_the_truth_holds_the_loss_where_it_went_and_nothing_at_rivals(made):
    panel, truth = made
    known = truth.scalars()
    assert known["E1b"] == pytest.approx(-50)
    assert known["E1c"] == known["E1a"] > known["E1b"]
    nothing = (
        "E2a",
        "E2a_slope",
        "E2b",
        "d1",
        "d2",
        "d5",
        "d6",
        "E3k_incumbents",
        "E3k_exit",
        "E5b",
        "E4a_presence",
    )
    assert {name: known[name] for name in nothing} == dict.fromkeys(nothing, 0.0)
    shut = closed(panel)
    window = slice(32, 38)
    gap = (panel.sales - truth.without)[shut][:, :, window].sum(axis=(0, 2))
    assert known["d3"] == pytest.approx(-100 * gap[1] / gap[0])
    assert known["d4"] == pytest.approx(-100 * gap[2] / gap[0])
    assert sum(known[f"d{number}"] for number in range(1, 8)) == pytest.approx(100)
    own = (panel.firms["origin"] == DESIGN.origin).to_numpy()
    before = truth.without[own, 0, 20:26].sum()
    assert known["E3g"] == pytest.approx(100 * gap[0] / before)


def test_another_window_has_another_truth(made):
    _, truth = made
    assert (
        truth.scalars(0, 3)["E1b"] > truth.scalars()["E1b"]
    )  # later waves are still open in the first months
    assert truth.scalars(0, 3)["E1b"] == pytest.approx(-50, abs=30)


def test_shocks_of_a_firm_fade_by_a_fifth_a_month_and_those_of_its_category_are_shared(monkeypatch):
    large = {
        "quiet": replace(plain.PRESETS[PRESET], category_shock=0.0, log_sd=0.0),
        "loud": replace(plain.PRESETS[PRESET], category_shock=0.5, log_sd=0.0, shock=0.1),
    }
    monkeypatch.setattr(plain, "PRESETS", large)
    paths, _ = log_home(*plain.simulate("quiet", 2))
    assert paths.std() == pytest.approx(0.3, rel=0.05)
    assert np.corrcoef(paths[:, :-1].ravel(), paths[:, 1:].ravel())[0, 1] == pytest.approx(
        0.8, abs=0.02
    )
    assert paths[:, 0].std() == pytest.approx(
        paths[:, -1].std(), rel=0.1
    )  # the same from the first month on
    paths, category = log_home(*plain.simulate("loud", 2))
    together = np.corrcoef(paths)
    same = (category[:, np.newaxis] == category) & ~np.eye(len(category), dtype=bool)
    assert together[same].mean() > 0.9
    assert abs(together[category[:, np.newaxis] != category].mean()) < 0.1


def test_half_of_the_categories_hold_no_closed_firm(made):
    panel, _ = made
    hit = set(panel.firms["category"][closed(panel)])
    assert len(hit) <= 20
    assert len(set(panel.firms["category"])) == 40


def test_who_is_closed_was_in_business_and_no_other_had_stopped_by_then(made):
    panel, truth = made
    firms = np.flatnonzero(closed(panel))
    month = panel.first_treated()[closed(panel)].astype(int)
    assert (truth.without[firms, 0, month - 1] > 0).all()
    sells = truth.without[:, 0] > 0
    stops = sells[:, :-1] & ~sells[:, 1:]
    assert not stops[:, : WAVES[-1]].any()
    assert stops[:, WAVES[-1] :].sum() / sells[:, WAVES[-1] : -1].sum() == pytest.approx(
        0.01, abs=0.003
    )


def test_a_plain_preset_that_there_is_not_is_refused():
    with pytest.raises(DesignError, match="Cannot use preset = 'mid_3k'; choose from plain_sd1_9"):
        plain.simulate("mid_3k", 1)
