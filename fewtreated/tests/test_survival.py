"""Exit: what counts as one, a hand-worked example, statsmodels, Greenwood's variance, strata,
clusters, refusals.
"""

import numpy as np
import pandas as pd
import pytest
from fewtreated.estimators.survival import exit_survival
from statsmodels.duration.survfunc import SurvfuncRight


def sales_of(*lives):
    """Rows of months: 1 sells, 0 does not, ? is not known."""
    return np.array(
        [[{"1": 1.0, "0": 0.0, "?": np.nan}[month] for month in life] for life in lives]
    )


def panel(seed, n=300, months=30):
    """Units that leave at random, treated ones more often, from a start between 8 and 12."""
    rng = np.random.default_rng(seed)
    treated = rng.random(n) < 0.4
    start = rng.integers(8, 13, n)
    leaves = start + rng.geometric(np.where(treated, 0.08, 0.03)) - 1
    sales = rng.lognormal(size=(n, months)) * (np.arange(months) < leaves[:, None])
    return sales, start, treated


def test_a_tiny_example_by_hand():
    sales = sales_of(
        "1100011111",  # treated: exits in the first month after the start, and returns
        "1111100000",  # treated: exits in month 3
        "1111111111",  # treated: censored after month 5, the last in which an exit would be known
        "1111110000",  # comparison: exits in month 4
        "1101101101",  # comparison: pauses are no exit
        "1111111100",  # comparison: silent too late to tell
    )
    found = exit_survival(sales, np.full(6, 2), np.arange(6) < 3, gap=3, horizon=6)
    assert list(found.details["units"]["months"]) == [0, 3, 5, 4, 5, 5]
    assert list(found.details["units"]["exited"]) == [True, True, False, True, False, False]
    # treated S = 2/3 for months 0 to 2, 1/3 for 3 to 5; comparison S = 1 for months 0 to 3, 2/3 for
    # 4 and 5
    rows = found.rows.set_index("term")
    np.testing.assert_allclose(rows["estimate"], [3.0, 4 + 4 / 3, 3.0 - 4 - 4 / 3])
    # Greenwood: 3^2 1/(3 2) + 1^2 1/(2 1) = 2; comparison (4/3)^2 1/(3 2) = 8/27; each of three
    # firms is left out
    np.testing.assert_allclose(
        rows["std_error"] ** 2, 5 / 6 * (3 / 2) ** 2 * np.array([2.0, 8 / 27, 2 + 8 / 27])
    )


def test_months_that_are_not_known_end_what_is_seen():
    sales = sales_of("11111?1111", "1100?00000", "1110001111", "1111111111")
    found = exit_survival(
        sales, np.full(4, 1), np.array([True, True, False, False]), gap=2, horizon=3
    )
    assert list(found.details["units"]["months"]) == [2, 1, 2, 7]
    assert list(found.details["units"]["exited"]) == [False, True, True, False]


@pytest.mark.parametrize("gap", [1, 3])
def test_months_alive_are_those_of_statsmodels(gap):
    sales, start, treated = panel(1)
    found = exit_survival(sales, start, treated, gap=gap, horizon=12)
    rows = found.rows.set_index("term")
    for group, term in ((True, "treated"), (False, "comparison")):
        own = found.details["units"][found.details["units"]["treated"] == group]
        referee = SurvfuncRight(own["months"], own["exited"].astype(int))
        alive = [
            np.append(1.0, referee.surv_prob)[(referee.surv_times <= month).sum()]
            for month in range(12)
        ]
        assert rows.loc[term, "estimate"] == pytest.approx(sum(alive), rel=1e-12)


def test_errors_are_those_of_leaving_out_each_unit():
    sales, start, treated = panel(2)
    found = exit_survival(sales, start, treated, horizon=10)
    kept = [np.arange(len(start)) != unit for unit in found.clusters]
    again = [
        exit_survival(sales[rows], start[rows], treated[rows], horizon=10).value for rows in kept
    ]
    moved = np.sqrt(1 - 1 / len(kept)) * (found.value - np.array(again))
    np.testing.assert_allclose(found.scores, moved, atol=1e-12)


def test_a_firm_that_stands_for_several_units_is_followed_for_each_from_its_own_start():
    sales, start, treated = panel(3)
    rows = np.repeat(np.arange(len(start)), 2)
    starts = start[rows] + np.tile([0, 2], len(start))
    groups = treated[rows]
    found = exit_survival(sales, starts, groups, rows=rows, cluster=rows)
    copied = exit_survival(sales[rows], starts, groups, cluster=rows)
    pd.testing.assert_frame_equal(found.details["units"], copied.details["units"])
    pd.testing.assert_frame_equal(found.rows, copied.rows)


def test_degrees_of_freedom_are_those_of_each_side_and_of_the_smaller_for_their_difference():
    sales, start, treated = panel(3)
    cluster = np.where(treated, np.arange(300) % 12, 100 + np.arange(300) % 7)
    found = exit_survival(sales, start, treated, cluster=cluster, gap=3, horizon=6)
    assert found.terms == ("treated", "comparison", "difference")
    assert (found.df <= [11, 6, 6]).all()
    assert found.df[0] > 6


def test_copies_add_no_information():
    sales, start, treated = panel(5)
    alone = exit_survival(sales, start, treated).rows
    twice = [np.repeat(part, 2, axis=0) for part in (sales, start, treated)]
    copies = exit_survival(*twice, cluster=np.repeat(np.arange(len(start)), 2))
    np.testing.assert_allclose(copies.rows["std_error"], alone["std_error"], rtol=1e-10)


def test_strata_are_averaged_over_the_treated():
    sales, start, treated = panel(6)
    strata = np.where(np.arange(len(start)) % 4 == 0, "big", "small")
    found = exit_survival(sales, start, treated, strata=strata)
    share = (strata[treated] == "big").mean()
    parts = [
        exit_survival(sales[own], start[own], treated[own]).rows["estimate"]
        for own in (strata == "big", strata == "small")
    ]
    np.testing.assert_allclose(found.rows["estimate"], share * parts[0] + (1 - share) * parts[1])


def test_errors_within_strata_are_those_of_leaving_out_each_of_unequal_clusters():
    sales, start, treated = panel(7, n=240)
    # the first holds a third
    strata = np.arange(240) % 2
    cluster = np.maximum(np.arange(240) // 4, 20)

    def months(kept):
        return exit_survival(
            sales[kept], start[kept], treated[kept], strata=strata[kept], cluster=cluster[kept]
        )

    found = months(cluster >= 0)
    moved = np.sqrt(1 - 1 / 40) * (
        found.value - [months(cluster != one).value for one in found.clusters]
    )
    np.testing.assert_allclose(found.scores, moved, atol=1e-12)


def test_intervals_of_months_cover_and_the_known_difference_is_met():
    months = np.arange(12)
    truth = (0.92 ** (months + 1)).sum() - (
        0.97 ** (months + 1)
    ).sum()  # S(k): not gone by the end of month k
    inside = 0
    estimates = []
    for seed in range(150):
        row = exit_survival(*panel(100 + seed, n=250)).row("difference")
        inside += row["conf_low"] <= truth <= row["conf_high"]
        estimates.append(row["estimate"])
    error = np.std(estimates, ddof=1) / np.sqrt(150)
    assert abs(np.mean(estimates) - truth) < 4 * error
    assert inside / 150 > 0.95 - 4 * np.sqrt(0.95 * 0.05 / 150)


def test_who_is_left_out_is_counted():
    sales = sales_of(
        "1111111111", "0001111111", "1111111111", "1111000000", "1111111111", "11?1111111"
    )
    start = np.array([3, 3, 9, 3, np.inf, 3])
    found = exit_survival(
        sales, start, np.array([True, True, True, False, False, False]), gap=3, horizon=3
    )
    assert found.counts["not_followed"] == 2
    assert found.counts["not_selling"] == 1
    assert list(found.details["units"].index) == [0, 3, 5]


def test_a_group_without_exits_is_alive_through_the_horizon_without_error():
    sales = sales_of("1110000000", "1111111111", "1111111111", "1111111111")
    found = exit_survival(sales, np.full(4, 2), np.array([True, True, False, False]), horizon=5)
    row = found.row("comparison")
    assert (row["estimate"], row["std_error"]) == (5, 0)
