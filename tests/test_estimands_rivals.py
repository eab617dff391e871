"""Rivals of closed firms: by exposure, beside risk, under closures drawn again, recapture and the news; by hand."""

import warnings

import numpy as np
import pandas as pd
import pytest

from analysis import estimands
from analysis.errors import DesignError
from analysis.estimands import Design, news, pick, redrawn, rivals
from analysis.estimands.answers import answers, by_origin, detectable
from analysis.estimands.indirect import spared
from analysis.market import simulate
from analysis.market.estimands import _by_bin
from analysis.panel import Panel

PLATFORMS = ("HOME", "AWAY")
MONTHS = pd.period_range("2019-01", periods=42, freq="M")
WAVE = 28  # May 2021
CATEGORIES, SIZE = 12, 24  # in each category one firm is closed, the other 23 are its rivals
DOSES = np.repeat([0.0, 0.04, 0.15], 4)  # share of the category that the closed firm held


def market_by_hand(effect=lambda exposure, risk: 0.0 * exposure) -> Panel:
    """Firms of two origins that sell 10 a month, and rivals exp(effect) as much from the first wave on.

    The closed firm of a category holds DOSES of it; in categories of dose zero there is none. Half of the rivals are
    suspect, in turn, and a few firms of each origin move a little, so that errors are not zero.
    """
    category = np.repeat(np.arange(CATEGORIES), SIZE)
    place = np.tile(np.arange(SIZE), CATEGORIES)
    closed = (place == 0) & (DOSES[category] > 0)
    dose = DOSES[category]
    level = np.where(closed, 10 * (SIZE - 1) * dose / (1 - dose), 10.0)
    exposure, risk = np.where(closed, 0.0, dose), np.where((place // 2) % 2 == 0, 0.9, 0.1)
    origin = np.where((place % 2 == 0) | closed, "XA", "XB")
    sales = np.ones((len(category), 2, 42)) * level[:, None, None]
    sales[~closed, 0, WAVE:] *= np.exp(effect(exposure, risk))[~closed, None]
    sales[closed, 0, WAVE:] = 0.0
    sales[:, :, WAVE:] *= (1 + 0.01 * np.where(place < SIZE / 2, 1, -1))[:, None, None]
    frame = pd.DataFrame(
        {
            "brand_group": [f"SIM-G{i}" for i in range(len(category))],
            "origin": origin,
            "category": [f"C{i:02d}" for i in category],
            "closed_on": np.where(closed, np.datetime64("2021-05-01", "s"), np.datetime64("NaT", "s")),
            "dose": np.where(closed, 1.0, np.nan),
            "risk": risk,
        },
        index=pd.Index([f"SIM-{i:04d}" for i in range(len(category))], name="firm"),
    )
    return Panel(sales, frame, PLATFORMS, MONTHS, "simulated")


DESIGN = Design(origin="XA", cluster="firm")


@pytest.fixture(scope="module")
def market():
    return simulate("mid_3k", 1, worlds=("W11", "W00", "W10", "W01"))


@pytest.mark.parametrize("own", [True, False])
def test_an_effect_that_grows_with_exposure_has_the_same_slope_in_every_bin(own):
    found = rivals.dose_response(market_by_hand(lambda e, r: 2 * e), DESIGN, own_origin=own).rows
    assert list(found["term"]) == ["2 to 5 %", "10 to 20 %"]
    np.testing.assert_allclose(found["estimate"], 100 * np.expm1(2 * np.array([0.04, 0.15])), rtol=0.02)
    np.testing.assert_allclose(found[["exposure", "lowest"]], [[0.04, 0], [0.15, 0]], atol=1e-12)
    assert list(found["id"]) == [f"{'E2a' if own else 'E2b'}_bin{bin_}" for bin_ in (1, 3)]
    slopes = rivals.per_step(found)
    np.testing.assert_allclose(slopes["estimate"], 100 * np.expm1(0.2), rtol=0.04)


def test_a_slope_per_step_is_the_same_effect_at_ten_points():
    rows = pd.DataFrame({"exposure": [0.05, 0.25], "lowest": [0.0, 0.05], "std_error": [1.0, 2.0]})
    log = 1.5 * (rows["exposure"] - rows["lowest"])
    shown = rows.assign(estimate=100 * np.expm1(log), conf_low=0.0, conf_high=100 * np.expm1(2 * log), mde=5.0)
    turned = rivals.per_step(shown)
    np.testing.assert_allclose(turned["estimate"], 100 * np.expm1(0.15))
    np.testing.assert_allclose(turned["conf_high"], 100 * np.expm1(0.30))
    np.testing.assert_allclose(turned["conf_low"], 0.0)
    # an error of the effect in log points, times the ratio of the two exposures
    at = [0.10 / 0.05, 0.10 / 0.20]
    np.testing.assert_allclose(
        turned["std_error"] / (100 + turned["estimate"]), at * shown["std_error"] / (100 + shown["estimate"])
    )
    np.testing.assert_allclose(np.log1p(-turned["mde"] / 100), np.multiply(at, np.log(0.95)))


def test_adjusted_p_values_agree_with_the_intervals_and_never_fall(market):
    for own in (True, False):
        rows = rivals.dose_response(market[0], Design(), own_origin=own).rows
        outside = (rows["conf_low"] > 0) | (rows["conf_high"] < 0)
        assert ((rows["p_value"] < 0.05) == outside).all()
        assert (rows["p_adjusted"] >= rows["p_value"] - 0.01).all()  # simulated with 20,000 draws


def test_a_line_through_the_bins_starts_at_zero_and_passes_where_the_slope_says():
    bins = rivals.dose_response(market_by_hand(), DESIGN).rows.assign(origin="XA")
    slopes = pd.DataFrame({"origin": ["XA"], "estimate": [20.0], "conf_low": [10.0], "conf_high": [30.0]})
    line = rivals.slope_lines(bins, slopes)
    assert line.iloc[0][["exposure", "estimate", "conf_high"]].tolist() == [0.0, 0.0, 0.0]
    assert line.iloc[-1]["exposure"] == pytest.approx(0.15)
    np.testing.assert_allclose(line.iloc[-1]["estimate"], 100 * (1.2**1.5 - 1))


def test_demand_and_fear_are_told_apart_by_risk():
    panel = market_by_hand(lambda e, r: 2 * e - 0.5 * r)
    rows = rivals.beside_risk(panel, DESIGN).rows.set_index("term")
    spread = panel.firms["risk"].to_numpy()[spared(panel, DESIGN)].std()
    assert rows.loc["slope", "estimate"] == pytest.approx(100 * np.expm1(0.2), rel=0.02)
    assert rows.loc["risk", "estimate"] == pytest.approx(100 * np.expm1(-0.5 * spread), rel=0.02)


@pytest.mark.parametrize("verb", [rivals.beside_risk, news.chilling])
def test_without_risk_neither_fear_nor_demand_is_claimed(verb):
    panel = market_by_hand()
    panel.firms["risk"] = np.nan
    with pytest.raises(DesignError, match="known for none of 288"):
        verb(panel, DESIGN)


def test_a_trend_with_exposure_shows_a_year_before():
    panel = market_by_hand()
    flat = rivals.year_before(panel, DESIGN).row("slope")["estimate"]
    assert flat == pytest.approx(0.0, abs=1e-9)
    exposure = pick(panel, DESIGN).exposure
    panel.sales[:, 0, 14:WAVE] *= np.exp(-1.5 * exposure)[:, None]
    assert rivals.year_before(panel, DESIGN).row("slope")["estimate"] < -10
    short = Panel(panel.sales[:, :, 9:], panel.firms, PLATFORMS, MONTHS[9:], "simulated")
    with pytest.raises(DesignError, match="needs 2020-09 less 12 months, the panel starts in 2019-10"):
        rivals.year_before(short, DESIGN)


def test_the_actual_closures_give_the_actual_exposure(market, monkeypatch):
    panel, design = market[0], Design(cut=0.01)  # all closures count, so that a group is closed as a whole
    monkeypatch.setattr(redrawn, "redraw_closures", lambda closed, strata, rng, draws: np.tile(closed, (draws, 1)))
    drawn = redrawn.redraws(panel, design)(2, np.random.default_rng(0))
    firms = spared(panel, design)
    np.testing.assert_allclose(drawn[1], drawn[0])
    unmixed = ~panel.firms["brand_group"].isin(panel.firms["brand_group"][pick(panel, design).closed])[firms].to_numpy()
    np.testing.assert_allclose(drawn[0][unmixed], pick(panel, design).exposure[firms][unmixed], atol=1e-6)


def test_draws_keep_the_calendar_and_leave_groups_in_their_stratum(market, monkeypatch):
    panel, seen = market[0], {}

    def spy(closed, strata, rng, draws):
        seen.update(closed=closed, strata=strata)
        seen["drawn"] = redraw_closures(closed, strata, rng, draws)
        return seen["drawn"]

    redraw_closures = redrawn.redraw_closures
    monkeypatch.setattr(redrawn, "redraw_closures", spy)
    exposure = redrawn.redraws(panel, Design())(20, np.random.default_rng(0))
    assert exposure.shape == (20, spared(panel, Design()).sum())
    assert np.isnan(exposure).any()  # a firm that is drawn does not answer
    assert (seen["drawn"] != seen["closed"]).any()
    for stratum in np.unique(seen["strata"]):
        inside = seen["strata"] == stratum
        np.testing.assert_allclose(
            np.sort(seen["drawn"][:, inside]), np.sort(seen["closed"][inside])[None].repeat(20, 0)
        )


def test_closures_of_chance_are_as_likely_as_any_other_draw(market):
    found = redrawn.randomised(market[0], Design(), draws=49, seed=3)
    assert list(found.rows["term"]) == ["slope", "recentred slope"]
    for term in found.rows["term"]:
        t = np.abs(found.details["statistics"][term])
        assert found.row(term)["p_value"] == pytest.approx((t >= t[0] * (1 - 1e-12)).mean())
        assert found.row(term)["smallest_p"] == 1 / 50
    assert redrawn.in_words(found.rows.assign(label="x")).endswith("The smallest p that so many draws allow is 0.020.")
    assert redrawn.in_words(found.rows.head(0)) == "No draw could be compared."


def test_a_trend_of_likely_categories_shows_where_nothing_was_closed(market):
    panel, design = market[0], Design()
    plain = redrawn.spared_categories(panel, design, draws=49).row("slope")
    expected = np.zeros(len(panel.firms))
    firms = spared(panel, design)
    drawn = redrawn.redraws(panel, design)(49, np.random.default_rng(0))
    expected[firms] = np.nan_to_num(np.nanmean(drawn, axis=0))
    steep = Panel(panel.sales.copy(), panel.firms, panel.platforms, panel.months, "simulated")
    steep.sales[:, 0, WAVE:] *= np.exp(3 * expected)[:, None]
    found = redrawn.spared_categories(steep, design, draws=49).row("slope")
    assert (100 + found["estimate"]) / (100 + plain["estimate"]) == pytest.approx(np.exp(0.3), rel=0.01)
    with pytest.raises(DesignError, match="found 1 of 2"):
        redrawn.spared_categories(two_categories(), DESIGN)


def two_categories() -> Panel:
    """The first and the last category of the market by hand: one without closures, one with."""
    whole = market_by_hand()
    kept = whole.firms["category"].isin(["C00", "C11"]).to_numpy()
    return Panel(whole.sales[kept], whole.firms[kept], PLATFORMS, MONTHS, "simulated")


def test_recapture_is_the_first_two_parts_of_displacement(market):
    panel = market[0]
    found, whole = rivals.recapture(panel, Design()), estimands.displacement(panel, Design())
    names = ["estimate", "std_error", "conf_low", "conf_high"]
    np.testing.assert_allclose(found.rows[names], whole.rows.iloc[:2][names])
    np.testing.assert_allclose(found.influence.T @ found.influence, found.covariance)
    assert found.digest == panel.digest


def test_recapture_needs_no_sales_elsewhere():
    panel = market_by_hand(lambda e, r: 2 * e)
    panel.sales[:, 1] = np.nan
    whole = rivals.recapture(panel, DESIGN).rows["estimate"]
    assert (whole > 0).all()
    with pytest.raises(DesignError, match="unknown for all"):
        estimands.displacement(panel, DESIGN)


def test_what_is_beyond_size_is_recapture_less_the_proportional_share():
    panel = market_by_hand(lambda e, r: 2 * e)
    found, excess = rivals.recapture(panel, DESIGN), rivals.excess_recapture(panel, DESIGN)
    # 8 closed firms leave 11 rivals of their origin and 12 others; 4 whole categories have 12 of each
    np.testing.assert_allclose(found.rows["benchmark"], 100 * np.array([136, 144]) / 280)
    for name in ("estimate", "conf_low", "conf_high"):
        np.testing.assert_allclose(excess.rows[name], found.rows[name] - found.rows["benchmark"])
    np.testing.assert_allclose(excess.covariance, found.covariance)
    assert excess.unit == "percentage points of L"


def test_chilling_compares_suspect_with_other_firms_that_inherit_nothing():
    panel = market_by_hand(lambda e, r: 5 * e + np.where(r > 0.5, np.log(0.8), 0.0))
    found = news.chilling(panel, DESIGN)
    assert found.row("chilling")["estimate"] == pytest.approx(-20.0, abs=0.5)
    assert found.counts["suspect"] == found.counts["others"] == 48  # of 4 categories without closures
    assert found.row("chilling")["n"] == 48
    with pytest.raises(DesignError, match="found 0 clusters of them"):
        news.chilling(panel, DESIGN, high=0.95)


def test_anticipation_is_what_closed_firms_did_before_their_own_closure():
    panel = market_by_hand()
    # luck that grows, and is nil on average over the closed firms and over those they are compared with
    sign = np.where((np.arange(len(panel.firms)) // 2 + np.arange(len(panel.firms)) // SIZE) % 2, 1, -1)
    panel.sales[:] *= 1 + 0.001 * sign[:, None, None] * np.arange(42)
    panel.sales[pick(panel, DESIGN).closed, 0, WAVE - 2 : WAVE] *= 0.9
    found = news.anticipation(panel, DESIGN)
    assert list(found.rows["term"]) == ["-6", "-5", "-4", "-3", "-2", "-1"]
    np.testing.assert_allclose(found.rows["estimate"], [0, 0, 0, 0, -10, -10], atol=1e-9)
    assert found.design == DESIGN
    assert found.covariance.shape == (6, 6)


def test_a_refusal_for_one_origin_leaves_the_other_standing():
    panel = market_by_hand()
    panel.firms["origin"] = "XA"
    found = by_origin(estimands.spillover, panel, DESIGN, ("own", "others"), {"slope": "per 10 pp"}, columns=["p"])
    assert list(found.rows["label"]) == ["own: per 10 pp", "others"]
    assert list(found.rows["id"].fillna("")) == ["E2a_slope", ""]
    assert list(found.made) == ["own"]
    assert "none of" in found.rows.loc[1, "reason"]
    assert found.rows.loc[1, ["estimate", "mde", "p"]].isna().all()
    assert "p" in found.rows


def test_rows_of_two_refusals_have_text_where_text_belongs():
    panel = market_by_hand()
    panel.firms["risk"] = np.nan
    rows = by_origin(rivals.beside_risk, panel, DESIGN, ("own", "others"), {"slope": "per 10 pp"}).rows
    assert rows["estimate"].isna().all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(rows["unit"].fillna("none")) == ["none", "none"]


def test_a_report_without_any_estimate_is_refused():
    panel = market_by_hand()
    panel.firms["risk"] = np.nan
    found = answers(panel, DESIGN, ["E5b"])
    with pytest.raises(DesignError, match="E5b were asked for; none is estimable with this data"):
        found.require()
    answers(panel, DESIGN, ["E5b", "E2a"]).require()


def test_an_interval_made_longer_by_few_clusters_makes_the_detectable_effect_larger():
    row = {"estimate": 0.0, "std_error": 1.0, "unit": "per cent", "conf_low": -1.94, "conf_high": 1.98}
    normal = detectable(pd.DataFrame([row]), level=0.95)[0]
    wide = detectable(pd.DataFrame([row | {"conf_low": -9.0, "conf_high": 9.9}]), level=0.95)[0]
    assert normal == pytest.approx(100 * -np.expm1(-0.028016), rel=1e-3)  # 1.96 and 0.84 errors of a hundredth
    assert wide > 4 * normal
    assert detectable(pd.DataFrame([row]).drop(columns=["conf_low", "conf_high"]), level=0.95)[0] == pytest.approx(
        normal, rel=0.01
    )


def test_the_truth_by_bin_is_growth_against_the_least_exposed():
    exposure = np.array([0.0, 0.01, 0.03, 0.04, 0.30])
    before, change = np.array([10.0, 10, 10, 30, 10]), np.array([1.0, 1, 5, 7, 6.5])
    found = _by_bin(exposure, before, change)
    assert found == pytest.approx({1: 100 * (1.3 / 1.1 - 1), 4: 100 * (1.65 / 1.1 - 1)})
    assert _by_bin(exposure[2:], before[2:], change[2:]) == {}


def test_the_truth_lies_within_three_errors_of_each_estimate(market):
    panel, truth = market
    true = truth.scalars()
    names = ["E4b_CN", "E4b_other", "E4e_CN", "E4e_other", "E5b", *(f"E5a_-{k}" for k in range(1, 7))]
    rows = answers(panel, Design(), names).rows
    assert list(rows["reason"]) == [""] * len(names)
    assert ((rows["estimate"] - rows["id"].map(true)).abs() < 3 * rows["std_error"]).all()
    bins = by_origin(rivals.dose_response, panel, Design(), ("CN", "other")).rows
    assert bins["id"].map(true).notna().all()
    assert ((bins["estimate"] - bins["id"].map(true)).abs() < 3 * bins["std_error"]).all()
