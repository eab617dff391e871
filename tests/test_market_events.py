"""The simulated market under the names of another event."""

import json

import numpy as np
import pandas as pd
import pytest
from fewtreated.errors import DesignError

from analysis import Design, estimate_all
from market import open_study, simulate

SMALL = {"n_firms": 1500, "n_categories": 20}
BAZAAR = {
    "title": "The closing of the bazaars",
    "home": "BAZ",
    "platforms": {"BAZ": "Bazaar", "PIE": "Pier", "HLL": "Hall"},
    "destinations": ["HLL"],
    "origin": "XX",
    "origin_name": "Northern",
    "waves": ["2031-06", "2031-07"],
}


def written(tmp_path, **values):
    path = tmp_path / "bazaar.yml"
    path.write_text(json.dumps(BAZAAR | values))  # which is YAML
    return str(path)


@pytest.fixture(scope="module")
def shipped():
    return simulate("ceiling_50k", 2, **SMALL)


@pytest.fixture(scope="module")
def bazaar(tmp_path_factory):
    return simulate("ceiling_50k", 2, event=written(tmp_path_factory.mktemp("event")), **SMALL)


def test_a_market_has_the_platforms_origin_and_months_of_an_event(shipped, bazaar):
    panel = bazaar[0]
    assert panel.platforms == ("BAZ", "HLL", "PIE")
    assert {*panel.firms["origin"]} == {"XX", "other"}
    assert panel.firms["closed_on"].min() == pd.Timestamp("2031-06-01")
    of_shipped = shipped[0].sales
    np.testing.assert_allclose(panel.sales[:, :2], of_shipped[:, :2])
    np.testing.assert_allclose(panel.sales[:, 2], of_shipped[:, 2:].sum(axis=1))


def test_its_truth_has_the_same_names_and_the_same_effects_where_the_platforms_are_the_same(
    shipped, bazaar
):
    before = shipped[1].scalars()
    now = bazaar[1].scalars()
    same = {"E1a", "E1b", "E2a", "E3g", "E3s", "d1", "d2", "L"}
    assert {name: now[name] for name in same} == pytest.approx(
        {name: before[name] for name in same}
    )
    assert now["E4b_XX"] == pytest.approx(before["E4b_CN"])
    assert now["E4a_HLL"] == pytest.approx(before["E4a_EBY"])
    assert not [name for name in now if name.endswith(("_CN", "_EBY", "_ALI", "_AMZ"))]


def test_the_last_platform_stands_for_all_the_rest(shipped, bazaar):
    of_shipped, of_bazaar = (truth.window(4, 9, ("W11", "W00")) for _, truth in (shipped, bazaar))
    rest = of_shipped.change[:, 2:].sum(axis=1)
    assert np.abs(rest).sum() > 0
    np.testing.assert_allclose(of_bazaar.change[:, 2], rest, rtol=1e-9, atol=1e-6)


def test_each_estimate_of_the_panel_has_a_truth_of_its_name(bazaar):
    panel, truth = bazaar
    asked = ["E1a", "E4a_HLL", "E4a_PIE", "E4b_XX", "d3"]
    rows = estimate_all(panel, Design(origin="XX", destinations=("HLL",)), asked).rows
    assert {*rows["id"]} == {*asked} <= {*truth.scalars()}
    assert rows["estimate"].notna().all()


def test_a_notebook_of_another_event_opens_a_market_of_its_own(tmp_path):
    settings = {"event": written(tmp_path), "sim_preset": "floor_3k", "seed": 1, "conf": 0.95}
    study = open_study(settings)
    assert study.panel.platforms[0] == study.event.home == "BAZ"
    assert study.truth.firms["origin"].isin(["XX", "other"]).all()


def test_an_event_with_more_platforms_than_the_market_is_refused(tmp_path):
    many = {f"P{number}": f"Place {number}" for number in range(6)}
    event = written(tmp_path, platforms=many, home="P0", destinations=["P1"])
    with pytest.raises(DesignError, match="it has 6 platforms, and the market has 5; join some"):
        simulate("floor_3k", 1, event=event)
