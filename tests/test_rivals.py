"""Rivals of closed firms: by exposure, beside risk, a year before, and under closures drawn again;
by hand.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fewtreated.estimators.exposure import exposure_effects
from panels import DOSES_DESIGN, MONTHS, WAVE, changed, doses
from scipy import sparse

from analysis.estimands import rivals
from analysis.estimands.design import Design
from market import simulate
from market.truth import by_exposure


@pytest.mark.parametrize(("own", "name"), [(True, "E2a"), (False, "E2b")])
def test_spillovers_are_the_exposure_effects_of_rivals_in_business_by_origin(own, name):
    panel = simulate("ceiling_50k", seed=1)[0]
    design = Design()
    sample = design.sample(panel)
    home = panel.sales[:, 0]
    firms = sample.never_closed & ((panel.firms["origin"] == "CN").to_numpy() == own)
    firms &= (home[:, [16, 27]] > 0).all(axis=1)
    np.testing.assert_array_equal(rivals.rivals_of_closed(panel, design, own)[1], firms)
    plain = exposure_effects(
        home[firms, 20:26].sum(axis=1),
        home[firms, 32:38].sum(axis=1),
        sample.exposure[firms],
        category=panel.firms["category"].to_numpy()[firms],
    )
    ours = rivals.effect_on_rivals(panel, design, own_origin=own)
    assert (ours.estimand, ours.unit) == (name, "per cent")
    np.testing.assert_allclose(
        ours.value[:-1], 100 * np.expm1(plain.value)
    )  # the last is the recentred slope
    np.testing.assert_allclose(ours.scores.T @ ours.scores, ours.covariance, atol=1e-9)


# By exposure


@pytest.mark.parametrize("own", [True, False])
def test_an_effect_that_grows_with_exposure_has_the_same_slope_in_every_bin(own):
    found = rivals.dose_response(doses(lambda e, r: 2 * e), DOSES_DESIGN, own_origin=own).rows
    assert list(found["term"]) == ["2 to 5 %", "10 to 20 %"]
    np.testing.assert_allclose(
        found["estimate"], 100 * np.expm1(2 * np.array([0.04, 0.15])), rtol=0.02
    )
    np.testing.assert_allclose(found[["exposure", "lowest"]], [[0.04, 0], [0.15, 0]], atol=1e-12)
    assert list(found["id"]) == [f"{'E2a' if own else 'E2b'}_bin{bin_}" for bin_ in (1, 3)]


def test_a_line_through_the_bins_starts_at_zero_and_passes_where_the_slope_says():
    bins = rivals.dose_response(doses(), DOSES_DESIGN).rows.assign(origin="XA")
    slopes = pd.DataFrame(
        {"origin": ["XA"], "estimate": [20.0], "conf_low": [10.0], "conf_high": [30.0]}
    )
    line = rivals.slope_lines(bins, slopes)
    assert line.iloc[0][["exposure", "estimate", "conf_high"]].tolist() == [0.0, 0.0, 0.0]
    assert line.iloc[-1]["exposure"] == pytest.approx(0.15)
    np.testing.assert_allclose(line.iloc[-1]["estimate"], 100 * (1.2**1.5 - 1))


def test_demand_and_fear_are_told_apart_by_risk():
    panel = doses(lambda e, r: 2 * e - 0.5 * r)
    found = rivals.with_risk(panel, DOSES_DESIGN)
    spread = (
        panel.firms["risk"].to_numpy()[rivals.rivals_of_closed(panel, DOSES_DESIGN, True)[1]].std()
    )
    assert found.row("slope")["estimate"] == pytest.approx(100 * np.expm1(0.2), rel=0.02)
    assert found.row("risk")["estimate"] == pytest.approx(100 * np.expm1(-0.5 * spread), rel=0.02)


def test_a_trend_with_exposure_shows_a_year_before():
    panel = doses()
    flat = rivals.placebo_slope(panel, DOSES_DESIGN).row("slope")["estimate"]
    assert flat == pytest.approx(0.0, abs=1e-9)
    exposure = DOSES_DESIGN.sample(panel).exposure

    def trending(sales):
        sales[:, 0, 14:WAVE] *= np.exp(-1.5 * exposure)[:, None]

    assert (
        rivals.placebo_slope(changed(panel, trending), DOSES_DESIGN).row("slope")["estimate"] < -10
    )
    short = replace(panel, sales=panel.sales[:, :, 9:], months=MONTHS[9:])
    assert (
        "needs sales from 2019-09, but the panel starts in 2019-10"
        in rivals.placebo_slope(short, DOSES_DESIGN).reason
    )


def test_the_truth_by_exposure_is_growth_against_the_least_exposed():
    exposure = np.array([0.0, 0.01, 0.03, 0.04, 0.30])
    before = np.array([10.0, 10, 10, 30, 10])
    change = np.array([1.0, 1, 5, 7, 6.5])
    found = by_exposure("E2a", exposure, before, before + change)
    assert found["E2a"] == pytest.approx(100 * change.sum() / before.sum())
    slope, _ = np.polyfit(exposure, change / before, 1, w=np.sqrt(before))
    assert found["E2a_slope"] == pytest.approx(10 * slope)
    bins = {name: value for name, value in found.items() if "bin" in name}
    assert bins == pytest.approx(
        {"E2a_bin1": 100 * (1.3 / 1.1 - 1), "E2a_bin4": 100 * (1.65 / 1.1 - 1)}
    )
    assert set(by_exposure("E2a", exposure[2:], before[2:], before[2:])) == {"E2a", "E2a_slope"}


# Closures drawn again


def test_the_actual_closures_give_the_actual_exposure(mid, monkeypatch):
    def actual(closed, strata, rng, draws):
        return sparse.csr_array(np.tile(closed, (draws, 1)))

    monkeypatch.setattr(rivals, "redraw_closures", actual)
    # all closures count, so that a group is closed as a whole
    panel = mid[0]
    design = Design(cut=0.01)
    sample, firms = rivals.rivals_of_closed(panel, design, True)
    first, second = rivals.RedrawnExposure(sample, firms, draws=2)
    np.testing.assert_allclose(first, second)
    hit = (
        panel.firms["brand_group"].isin(panel.firms["brand_group"][sample.closed])[firms].to_numpy()
    )
    np.testing.assert_allclose(first[~hit], sample.exposure[firms][~hit], atol=1e-6)
    assert np.isnan(first[hit]).all()


def test_draws_keep_the_calendar_and_leave_groups_in_their_stratum(mid, monkeypatch):
    seen = {}

    def spy(closed, strata, rng, draws):
        seen.update(closed=closed, strata=strata, drawn=redraw_closures(closed, strata, rng, draws))
        return seen["drawn"]

    redraw_closures = rivals.redraw_closures
    monkeypatch.setattr(rivals, "redraw_closures", spy)
    sample, firms = rivals.rivals_of_closed(mid[0], Design(), True)
    exposure = np.array(list(rivals.RedrawnExposure(sample, firms, draws=20)))
    assert exposure.shape == (20, firms.sum())
    assert np.isnan(exposure).any()  # a firm that is drawn does not answer
    drawn = seen["drawn"].toarray()
    assert (drawn != seen["closed"]).any()
    for stratum in np.unique(seen["strata"]):
        inside = seen["strata"] == stratum
        kept = np.sort(seen["closed"][inside])[None].repeat(20, 0)
        np.testing.assert_allclose(np.sort(drawn[:, inside]), kept)


@pytest.mark.parametrize("own", [True, False])
def test_what_to_expect_of_exposure_is_the_mean_of_many_draws(mid, own):
    """Squared gaps, in Monte Carlo errors of 4,000 draws, are one on average over the forty
    categories of a market.
    """
    sample, firms = rivals.rivals_of_closed(mid[0], Design(), own)
    redrawn = rivals.RedrawnExposure(sample, firms, draws=4000)
    count = total = square = 0
    for drawn in redrawn:
        open_ = np.isfinite(drawn)
        known = np.where(open_, drawn, 0.0)
        count = count + open_
        total = total + known
        square = square + known**2
    mean = total / count
    error = np.sqrt((square / count - mean**2) / count)
    moves = error > 1e-9
    np.testing.assert_allclose(mean[~moves], redrawn.expected[~moves], atol=1e-9)
    gap = (mean - redrawn.expected)[moves] / error[moves]
    assert moves.sum() > 1000
    assert np.abs(gap).max() < 5
    assert (gap**2).mean() < 2
    found = rivals.effect_on_rivals(mid[0], Design(), own_origin=own)
    sums = sample.sums[:, firms, 0]
    again = exposure_effects(
        *sums, sample.exposure[firms], category=sample.category[firms], expected=mean
    ).exp()
    np.testing.assert_array_equal(found.value[:-1], again.value[:-1])
    exact, drawn = (one.row("recentred slope") for one in (found, again))
    assert exact["estimate"] == pytest.approx(drawn["estimate"], abs=0.05 * exact["std_error"])


def test_closures_of_chance_are_as_likely_as_any_other_draw(mid):
    found = rivals.randomization_test(mid[0], Design(), draws=49, seed=3)
    assert found.terms == ("slope", "recentred slope")
    for term in found.terms:
        t = np.abs(found.details["statistics"][term])
        assert found.row(term)["p_value"] == pytest.approx((t >= t[0] * (1 - 1e-12)).mean())
        assert found.row(term)["smallest_p"] == 1 / 50


def test_a_trend_of_likely_categories_shows_where_nothing_was_closed(mid):
    panel = mid[0]
    design = Design()
    plain = rivals.spared_categories(panel, design).row("slope")
    expected = np.zeros(len(panel.firms))
    sample, firms = rivals.rivals_of_closed(panel, design, True)
    expected[firms] = rivals.RedrawnExposure(sample, firms).expected

    def trending(sales):
        sales[:, 0, WAVE:] *= np.exp(3 * expected)[:, None]

    found = rivals.spared_categories(changed(panel, trending), design).row("slope")
    assert (100 + found["estimate"]) / (100 + plain["estimate"]) == pytest.approx(
        np.exp(0.3), rel=0.01
    )
