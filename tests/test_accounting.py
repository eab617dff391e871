"""Bounds on growth from totals, and the share of sales that closed accounts carry."""

import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss
from scipy.stats import norm

from analysis.accounting import assumption_ladder, closed_share, growth_set
from analysis.errors import DesignError

PUBLIC = {"base": 295.0, "share": (0.4, 0.4), "closed": (1.0, 100 / 6.49), "recapture": (0.0, 0.8)}
LADDER = {
    "share": 0.4,
    "share_range": (0.33, 0.46),
    "closed": (1.0, 100 / 6.49),
    "recapture": (0.0, 0.8),
    "common": (-3.0, 3.0),
}


@pytest.mark.parametrize(
    ("common", "by_hand"),
    [
        # 100 bn yuan at 6.49 are 15.41 bn of 118 bn dollars; 1 bn of which a fifth is lost is 0.2 of 118.
        ((0.0, 0.0), (-13.1, -0.2)),
        ((-3.0, 3.0), (-16.1, 2.8)),
    ],
)
def test_the_public_bounds_are_what_a_pocket_calculator_gives(common, by_hand):
    assert growth_set(**PUBLIC, common=common) == pytest.approx(by_hand, abs=0.05)
    exact = -100 * 15.408320493 / 118 + common[0], -100 * 0.2 / 118 + common[1]
    assert growth_set(**PUBLIC, common=common) == pytest.approx(exact, abs=1e-8)


@pytest.mark.parametrize(
    ("name", "narrow", "wide"),
    [
        ("share", (0.38, 0.42), (0.33, 0.46)),
        ("closed", (2.0, 10.0), (1.0, 15.4)),
        ("recapture", (0.2, 0.5), (0.0, 0.8)),
        ("common", (-1.0, 1.0), (-3.0, 3.0)),
    ],
)
def test_a_weaker_assumption_widens_the_set_at_both_ends(name, narrow, wide):
    arguments = PUBLIC | {"common": (-1.0, 2.0)}
    inner, outer = (growth_set(**(arguments | {name: value})) for value in (narrow, wide))
    assert outer[0] < inner[0] < inner[1] < outer[1]


def test_every_value_inside_the_assumptions_gives_an_effect_inside_the_set():
    rng = np.random.default_rng(0)
    ranges = {"share": (0.33, 0.46), "closed": (1.0, 15.4), "recapture": (0.1, 0.8), "common": (-3.0, 3.0)}
    low, high = growth_set(295.0, **ranges)
    share, closed, recapture, common = (rng.uniform(*ranges[name], size=2000) for name in ranges)
    effects = -100 * closed * (1 - recapture) / (295 * share) + common
    assert low <= effects.min() < effects.max() <= high
    corner = -100 * 15.4 * 0.9 / (295 * 0.33) - 3, -100 * 1.0 * 0.2 / (295 * 0.46) + 3
    assert (low, high) == pytest.approx(corner, abs=1e-12)


def test_currency_does_not_matter_and_nothing_closed_leaves_only_the_common_part():
    yuan = PUBLIC | {"base": 295.0 * 6.49, "closed": tuple(6.49 * value for value in PUBLIC["closed"])}
    assert growth_set(**yuan, common=(-3, 3)) == pytest.approx(growth_set(**PUBLIC, common=(-3, 3)))
    assert growth_set(**(PUBLIC | {"closed": (0.0, 0.0)}), common=(-3, 3)) == (-3, 3)


def test_each_rung_of_the_ladder_lies_inside_the_one_before():
    found = assumption_ladder(295.0, **LADDER)
    low, high = found.rows["conf_low"].to_numpy(), found.rows["conf_high"].to_numpy()
    assert found.rows["term"].tolist() == ["share range", "one share", "recapture", "no common part"]
    assert (np.diff(low) >= 0).all()
    assert (np.diff(high) <= 0).all()
    assert low[0] < low[-1] <= high[-1] < high[0]
    assert (low[2], high[2]) == pytest.approx((-16.1, 2.8), abs=0.05)
    assert (low[3], high[3]) == pytest.approx((-13.1, -0.2), abs=0.05)


def test_a_set_has_no_point_and_says_so():
    found = assumption_ladder(295.0, **LADDER)
    assert found.rows[["estimate", "std_error"]].isna().all(axis=None)
    assert (found.interval, found.unit) == ("identified set", "percentage points")
    assert "no standard error" in found.reason


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": 0.0}, "positive sales of the base year were asked for; found 0.0; check the series"),
        ({"share": (0.0, 0.4)}, "a range of the Chinese share inside [1e-09, 1.0] was asked for; found (0.0, 0.4)"),
        ({"share": (0.4, 1.1)}, "a range of the Chinese share inside"),
        ({"closed": (5.0, 1.0)}, "a range of closed sales inside [0.0, inf] was asked for; found (5.0, 1.0); give its"),
        ({"recapture": (-0.1, 0.5)}, "a range of recapture inside [0.0, 1.0] was asked for"),
        ({"common": (3.0, -3.0)}, "a range of the common part inside [-inf, inf] was asked for"),
        ({"common": (np.nan, 1.0)}, "a range of the common part inside"),
    ],
)
def test_assumptions_that_are_upside_down_or_out_of_bounds_are_refused(changes, message):
    with pytest.raises(DesignError) as refused:
        growth_set(**(PUBLIC | {"common": (0.0, 0.0)} | changes))
    assert str(refused.value).startswith(message)


def test_a_share_outside_its_own_range_is_refused():
    with pytest.raises(DesignError, match=r"a share inside \(0\.33, 0\.46\) was asked for; found 0\.6"):
        assumption_ladder(295.0, **(LADDER | {"share": 0.6}))


def test_closures_at_random_carry_their_number_s_share():
    assert closed_share(3000, 1e6, sd_log_sales=2.3, tilt=0.0) == pytest.approx(0.003)


@pytest.mark.parametrize("tilt", [0.2, 0.5, 0.9])
def test_a_tilt_equals_the_mean_size_of_the_closed_by_quadrature(tilt):
    # Gauss-Hermite: mean sales of accounts drawn in proportion to sales to the power tilt, over mean sales.
    sd = 0.9
    nodes, weights = hermegauss(60)
    sales = np.exp(sd * nodes)
    ratio = (weights @ sales ** (1 + tilt) / (weights @ sales**tilt)) / (weights @ sales / weights.sum())
    assert closed_share(1000, 1e6, sd_log_sales=sd, tilt=tilt) == pytest.approx(0.001 * ratio, rel=1e-10)


def test_no_tilt_carries_more_than_the_very_largest():
    accounts, population, sd = 3000, 1_000_000, 2.3
    quantiles = (np.arange(population) + 0.5) / population
    sales = np.sort(np.exp(sd * norm.ppf(quantiles)))
    top = sales[-accounts:].sum() / sales.sum()
    cap = closed_share(accounts, population, sd_log_sales=sd, tilt=5.0)
    assert cap == pytest.approx(top, rel=0.02)  # a million accounts against their continuous distribution
    assert cap == pytest.approx(0.33, abs=0.005)
    tilts = [closed_share(accounts, population, sd_log_sales=sd, tilt=tilt) for tilt in np.linspace(0, 2, 21)]
    assert tilts == sorted(tilts)
    assert max(tilts) == cap


@pytest.mark.parametrize(("accounts", "population"), [(0, 100), (100, 100), (200, 100)])
def test_more_closed_than_there_are_is_refused(accounts, population):
    with pytest.raises(DesignError, match="give fewer closed than there are"):
        closed_share(accounts, population, sd_log_sales=2.3, tilt=0.5)
