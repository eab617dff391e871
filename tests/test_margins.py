"""Margins of an effect: by hand, against another package, and leaving out units one by one."""

import numpy as np
import pytest
from fewtreated.estimators.margins import lee_bounds, margins


def stopping(seed: int, n: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return sales before and after, and who is treated: these fall by half a log point, and half
    of them stop.
    """
    rng = np.random.default_rng(seed)
    treated = np.arange(n) % 3 == 0
    before = rng.lognormal(size=n)
    alive = rng.random(n) < np.where(treated, 0.5, 0.9)
    return before, before * np.exp(0.5 * rng.normal(size=n) - 0.5 * treated) * alive, treated


def test_four_treated_and_four_others_by_hand():
    # Of the treated two of four survive, with changes of 1 and 2; of the others all four, with 1 to
    # 4. Half of these are kept: 1 and 2, or 3 and 4. The survivors' mean of 1.5 is compared with
    # 1.5 or 3.5.
    change = np.array([1.0, 2.0, np.nan, np.nan, 1.0, 2.0, 3.0, 4.0])
    treated = np.arange(8) < 4
    bounds, _, kept = lee_bounds(change, treated)
    assert list(bounds) == [-2.0, 0.0]
    assert kept == 0.5
    mirrored, *_ = lee_bounds(change, ~treated)  # the treated are the side that is trimmed
    assert list(mirrored) == [0.0, 2.0]
    found = margins(np.ones(8), np.exp(np.nan_to_num(change, nan=-np.inf)), treated)
    total = np.log((np.exp(1) + np.exp(2)) / np.exp([1, 2, 3, 4]).sum())
    assert list(found.value) == pytest.approx([total, -0.5, -2.0, 0.0], abs=1e-12)
    assert found.rows["unit"].tolist() == [
        "log points",
        "share of units",
        "log points",
        "log points",
    ]


def test_a_unit_at_the_cut_counts_in_part():
    seen = np.where(
        np.arange(10) < 8, np.arange(10.0), np.nan
    )  # five treated, of whom all, and five others, three
    bounds, _, kept = lee_bounds(seen, np.arange(10) < 5)
    assert kept == pytest.approx(0.6)
    assert list(bounds) == pytest.approx([1 - 6, 3 - 6])
    more = np.append(seen, np.nan)  # three of six: 2.5 of the treated
    assert list(lee_bounds(more, np.arange(11) < 5)[0]) == pytest.approx([2 / 2.5 - 6, 8 / 2.5 - 6])


def test_bounds_equal_those_of_another_package_on_its_example():
    # The example in the README of pyleebounds 0.1.0, which drops whole units: -2.4907 and 9.0177
    # without 136 of 359, of whom 136.4 are to be dropped; -2.5293 and 9.0557 without 137. Its
    # errors, of 2,000 draws, are
    # .908 and .924.
    rng = np.random.RandomState(1988)
    n = 1000
    treated = rng.binomial(1, 0.5, n)
    control = rng.normal(50, 10, n)
    y = control + treated * rng.normal(5, 3, n)
    seen = rng.binomial(1, np.clip(0.3 + 0.4 * (y > 50) + 0.2 * treated, 0, 1), n)
    bounds, influence, _ = lee_bounds(np.where(seen, y, np.nan), treated == 1)
    assert list(bounds) == pytest.approx([-2.490719, 9.017738], abs=0.02)
    assert list(np.sqrt((influence**2).sum(axis=0))) == pytest.approx([0.908, 0.924], rel=0.03)


@pytest.mark.parametrize("size", [1, 4])
def test_the_errors_are_those_of_leaving_out_a_cluster(size):
    before, after, treated = stopping(3, 480)
    cluster = np.arange(480) // size
    found = margins(before, after, treated, cluster=cluster)
    kept = [np.flatnonzero(cluster != one) for one in np.unique(cluster)]
    without = np.array([margins(before[one], after[one], treated[one]).value for one in kept])
    error = np.sqrt((1 - 1 / len(kept)) * ((without - found.value) ** 2).sum(axis=0))
    assert found.std_error[:2] == pytest.approx(error[:2], rel=1e-9)
    assert found.std_error[2:] == pytest.approx(error[2:], rel=0.03)  # by influence


def test_units_that_never_sold_are_counted_and_change_nothing():
    before, after, treated = stopping(4)
    found = margins(
        np.append(before, [0.0, 0.0]),
        np.append(after, [1.0, 0.0]),
        np.append(treated, [True, False]),
    )
    np.testing.assert_array_equal(found.conf_int, margins(before, after, treated).conf_int)
    assert found.counts == {"units": 120, "without sales before": 2, "clusters": 120}


def test_intervals_cover_the_effect_on_units_that_sell_either_way():
    inside = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        treated = np.arange(200) % 2 == 0
        drift = rng.normal(size=200)
        alive = rng.random(200) < np.where(
            treated & (drift < 0), 0.5, 1.0
        )  # those that fall anyway stop
        low, high = margins(np.ones(200), np.exp(drift - 0.3 * treated) * alive, treated).conf_int[
            :, 2:
        ]
        inside.append(low[0] <= -0.3 <= high[1])
    assert np.mean(inside) > 0.95
    assert alive[treated].mean() < 0.85


def test_one_cluster_of_treated_units_leaves_no_standard_error():
    before, after, treated = stopping(5)
    found = margins(before, after, treated, cluster=np.where(treated, 0, np.arange(120)))
    assert np.isfinite(found.value).all()
    assert np.isnan(found.std_error).all()
    assert found.reason == "1 of 1 cells rest on a single cluster and have no standard error"
