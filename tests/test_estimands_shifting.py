"""Where firms sell: by hand, and on a simulated market."""

from dataclasses import replace

import numpy as np
import pytest
from test_estimands import WAVE, by_hand, panel_of

from analysis import estimands
from analysis.errors import DesignError
from analysis.estimands import Design, shifting
from analysis.market import simulate


@pytest.fixture(scope="module")
def market():
    return simulate("ceiling_50k", seed=1)


def test_hedging_is_the_change_in_presence_of_the_origin_beyond_that_of_others():
    sales = np.zeros((10, 5, 42))
    sales[:, 0] = 10.0
    sales[1:6, 1, WAVE:] = 1.0  # all five spared firms of the origin join EBY
    sales[6, 1, WAVE:] = 1.0  # and one of four others
    origin = np.where(np.arange(10) < 6, "CN", "US")
    found = shifting.hedging(panel_of(sales, {0: "2021-05-01"}, origin=origin), Design(low=0.9)).rows.set_index("term")
    assert found.loc["EBY", "estimate"] == pytest.approx(75.0)
    assert found.loc["EBY", "std_error"] == pytest.approx(100 * np.sqrt((0.75**2 + 3 * 0.25**2) / 16))
    assert found.loc[["ALI", "WMT", "OWN"], "estimate"].tolist() == [0.0, 0.0, 0.0]
    assert (found["n"] == 5).all()


def test_a_firm_that_stops_selling_does_not_count_as_leaving_a_platform():
    sales = np.zeros((10, 5, 42))
    sales[:, :2] = 10.0
    sales[1:3, :, WAVE:] = 0.0  # two spared firms of the origin are gone
    origin = np.where(np.arange(10) < 6, "CN", "US")
    found = shifting.hedging(panel_of(sales, {0: "2021-05-01"}, origin=origin), Design(low=0.9)).rows.set_index("term")
    assert found.loc["EBY", "estimate"] == 0.0


def test_hedging_without_others_to_compare_with_is_refused():
    sales = np.full((4, 5, 42), 10.0)
    with pytest.raises(DesignError, match="found 3 and 0 clusters"):
        shifting.hedging(panel_of(sales, {0: "2021-05-01"}), Design(low=0.9))


def test_the_shift_to_the_destinations_is_the_sum_of_its_parts(market):
    panel, design = market[0], Design()
    found = shifting.toward_destinations(panel, design)
    parts = estimands.displacement(panel, design)
    both = parts.row("d3")["estimate"] + parts.row("d4")["estimate"]
    assert found.row("sales")["estimate"] == pytest.approx(both)
    shift = estimands.platform_shift(panel, design)
    presence = [shift.row(f"presence {name}: closed - unexposed")["estimate"] for name in ("EBY", "ALI")]
    assert found.row("presence")["estimate"] == pytest.approx(np.mean(presence))
    one = shifting.toward_destinations(panel, replace(design, destinations=("EBY", "none")))
    assert one.row("sales")["estimate"] == pytest.approx(parts.row("d3")["estimate"])
    assert shifting.for_verdict(found, "sales")["unit"] == "per cent"
    assert shifting.for_verdict(None, "sales") == {}


def test_a_shift_to_nowhere_is_refused(market):
    with pytest.raises(DesignError, match="a shift to ETS was asked for; the panel has AMZ"):
        shifting.toward_destinations(market[0], Design(destinations=("ETS",)))


def test_the_mix_through_time_is_the_mean_of_firms_that_sell():
    panel = by_hand()
    paths = shifting.mix_paths(panel, Design()).set_index(["group", "measure", "platform", "month"])["value"]
    assert paths["closed", "share", "AMZ", "2020-01"] == pytest.approx(20.0)
    assert paths["closed", "share", "AMZ", "2021-09"] == pytest.approx(100 * 3 / 66)
    assert paths["closed", "concentration", "", "2020-01"] == pytest.approx(20.0)
    assert paths["unexposed", "presence", "EBY", "2021-09"] == 100.0
