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


def hedged(change, *, n=10):
    """Return E5c by platform where firm 0 of six of the origin is closed, and `change` has its way with sales."""
    sales = np.zeros((n, 5, 42))
    sales[:, 0] = 10.0
    change(sales)
    origin = np.where(np.arange(n) < 6, "CN", "US")
    return shifting.hedging(panel_of(sales, {0: "2021-05-01"}, origin=origin), Design(low=0.9))


def test_hedging_is_how_much_more_the_origin_joined_than_others():
    def joining(sales):
        sales[1:6, 1, WAVE:] = 1.0  # all five spared firms of the origin join EBY
        sales[6, 1, WAVE:] = 1.0  # and one of four others

    found = hedged(joining)
    rows = found.rows.set_index("term")
    assert rows.loc["EBY", "estimate"] == pytest.approx(75.0)
    assert rows.loc["EBY", "std_error"] == pytest.approx(100 * np.sqrt((0.75**2 + 3 * 0.25**2) / 16))
    assert rows.loc[["ALI", "OWN"], "estimate"].tolist() == [0.0, 0.0]
    assert rows.loc[["ALI", "OWN"], "std_error"].isna().all()
    assert (rows["n"] == 5).all()
    assert "ALI, OWN was joined by nobody" in found.reason


def test_only_firms_that_were_not_there_yet_can_hedge():
    def joining(sales):
        sales[1:4, 1] = 1.0  # three of five are on EBY all along
        sales[4, 1, WAVE:] = 1.0
        sales[6:8, 1] = 1.0  # of four others two are, and nobody joins

    rows = hedged(joining).rows.set_index("term")
    assert rows.loc["EBY", "estimate"] == pytest.approx(20.0)  # one of five, none of the two others that could


def test_firms_that_leave_a_platform_are_not_in_hedging():
    def leaving(sales):
        sales[1:6, 1, :WAVE] = 1.0  # the origin leaves EBY
        sales[5, 2, WAVE:] = 1.0

    rows = hedged(leaving).rows.set_index("term")
    assert rows.loc["EBY", "estimate"] == 0.0
    assert rows.loc["ALI", "estimate"] == pytest.approx(20.0)


def test_a_platform_that_opened_to_the_origin_alone_is_not_estimated():
    def opening(sales):
        sales[1:6, 3, WAVE:] = 1.0
        sales[6:, 4] = 1.0  # and all others are on OWN

    found = hedged(opening)
    rows = found.rows.set_index("term")
    assert rows.loc[["WMT", "OWN"], ["estimate", "conf_low", "conf_high"]].isna().all(axis=None)
    assert "WMT opened to firms of origin CN alone" in found.reason
    assert "OWN had all firms of other origins" in found.reason


def test_the_error_of_hedging_is_that_of_redrawn_firms():
    rng = np.random.default_rng(1)
    sales = np.zeros((240, 5, 42))
    sales[:, 0] = 10.0
    sales[:, 1] = (rng.random(240) < 0.4)[:, np.newaxis]
    sales[:, 1, WAVE:] = np.maximum(sales[:, 1, WAVE:], (rng.random(240) < 0.2)[:, np.newaxis])
    origin = np.where(np.arange(240) < 120, "CN", "US")

    def found(rows):
        again = np.r_[0, rows]
        return shifting.hedging(panel_of(sales[again], {0: "2021-05-01"}, origin=origin[again]), Design(low=0.9)).rows

    error = found(np.arange(1, 240)).set_index("term").loc["EBY", "std_error"]
    drawn = [found(rng.integers(1, 240, 239)).set_index("term").loc["EBY", "estimate"] for _ in range(300)]
    assert np.std(drawn) == pytest.approx(error, rel=0.15)  # 300 draws know a spread within 4 per cent


def test_a_firm_that_stops_selling_is_not_asked_whether_it_hedged():
    def stopping(sales):
        sales[1:3, :, WAVE:] = 0.0  # two spared firms of the origin are gone
        sales[3, 1, WAVE:] = 1.0

    rows = hedged(stopping).rows.set_index("term")
    assert rows.loc["EBY", "estimate"] == pytest.approx(100 / 3)
    assert rows.loc["EBY", "n"] == 3


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
    assert shifting.for_verdict(found, "sales")["unit"] == "per cent of L"
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
