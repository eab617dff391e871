"""Bounds on growth from totals, and the share of sales that closed accounts carry."""

import re
from dataclasses import replace

import numpy as np
import pytest
from fewtreated.errors import DesignError
from reading import project_text
from scipy.integrate import quad
from scipy.optimize import bisect
from scipy.stats import norm

from analysis import data, series
from analysis.evidence import sums, threshold, totals
from analysis.evidence.totals import Totals, bounds_by_assumption, by_prior, closed_share

YEAR = "2021-12-31"
PUBLIC = Totals(295.0, share=(0.4, 0.4), closed=(1.0, 100 / 6.49), recapture=(0.0, 0.8))
KNOWN = replace(PUBLIC, share=(0.33, 0.46), common=(-3.0, 3.0), left=0.7066)
LADDER = {"share": 0.4, "spared": -2.2, "since": "25 April 2021"}


@pytest.mark.parametrize(
    ("changes", "by_hand"),
    [
        # 100 bn yuan at 6.49 are 15.41 bn of 118 bn dollars; 1 bn of which a fifth is lost is 0.2
        # of 118.
        ({}, (-13.1, -0.2)),
        ({"common": (-3.0, 3.0)}, (-16.1, 2.8)),
        ({"left": 0.7066}, (-9.2, -0.1)),
    ],
)
def test_the_public_bounds_are_what_a_pocket_calculator_gives(changes, by_hand):
    assert replace(PUBLIC, **changes).bounds() == pytest.approx(by_hand, abs=0.05)


def test_every_value_inside_the_assumptions_gives_an_effect_inside_the_set():
    rng = np.random.default_rng(0)
    ranges = {
        "share": (0.33, 0.46),
        "closed": (1.0, 15.4),
        "recapture": (0.1, 0.8),
        "common": (-3.0, 3.0),
    }
    low, high = Totals(295.0, **ranges, left=0.7).bounds()
    share, closed, recapture, common = (rng.uniform(*ranges[name], size=2000) for name in ranges)
    effects = -100 * 0.7 * closed * (1 - recapture) / (295 * share) + common
    assert low <= effects.min() < effects.max() <= high
    corner = -70 * 15.4 * 0.9 / (295 * 0.33) - 3, -70 * 1.0 * 0.2 / (295 * 0.46) + 3
    assert (low, high) == pytest.approx(corner, abs=1e-12)


def test_parts_that_cannot_be_extreme_together_are_bounded_together():
    rng = np.random.default_rng(0)
    low, high = replace(KNOWN, recapture=(0.0, 1.0)).bounds(-2.2)
    share = rng.uniform(0.33, 0.46, 2000)
    closed = rng.uniform(*KNOWN.closed, 2000)
    own = 100 * KNOWN.left * closed / (295 * share)
    gain = rng.uniform(-2.2 * KNOWN.left, own)  # rivals win no more than closed accounts lost
    effects = gain - own + rng.uniform(-3, 3, 2000)
    assert low <= effects.min() < effects.max() <= high
    assert (low, high) == pytest.approx((-15.7, 3.0), abs=0.05)
    assert high < KNOWN.own[1] - KNOWN.own[0] + 3  # what adding up the ends of the parts would give


def test_currency_does_not_matter_and_nothing_closed_leaves_only_the_common_part():
    yuan = replace(PUBLIC, base=295.0 * 6.49, closed=(6.49, 100.0))
    assert yuan.bounds() == pytest.approx(PUBLIC.bounds())
    assert replace(PUBLIC, closed=(0.0, 0.0), common=(-3, 3)).bounds() == (-3, 3)


def test_the_threshold_is_where_the_effect_reaches_the_fall():
    days = ("2021-04-25", "2021-07-01")
    shares = (0.33, 0.40, 0.46)
    found = threshold.thresholds(PUBLIC.base, [2.0], days=days, shares=shares, until=[YEAR])
    assert [*found[2.0]] == pytest.approx([2.8, 3.3, 3.8, 3.7, 4.5, 5.1], abs=0.05)
    for day, _, share, needed in found.itertuples(index=False):
        known = replace(
            PUBLIC, share=(share, share), left=totals.rest_of_year(day), recapture=(0.0, 0.0)
        )
        assert replace(known, closed=(needed, needed)).bounds() == pytest.approx((-2, -2))


def test_to_an_earlier_day_growth_is_on_the_same_days_of_the_year_before():
    by_hand_2020 = (14_479 + 18_195 + 20_436 * 79 / 92) / (14_479 + 18_195 + 20_436 + 27_351)
    by_hand_2021 = 24_252 * 79 / 92 / (23_709 + 25_085 + 24_252 + 30_320)
    found = threshold.thresholds(
        295.0, [2.0], days=["2021-07-01"], shares=[0.4], until=["2021-09-17"]
    )[2.0].item()
    assert found == pytest.approx(0.02 * 295 * 0.4 * by_hand_2020 / by_hand_2021)


def test_an_account_closed_after_the_horizon_is_refused():
    with pytest.raises(
        DesignError, match="accounts closed on 2021-10-01 after 2021-09-17; choose an earlier date"
    ):
        threshold.thresholds(295.0, [2.0], days=["2021-10-01"], shares=[0.4], until=["2021-09-17"])


def test_the_claim_was_made_on_17_september_and_mean_dates_end_before_it():
    assert threshold.claim_day() == "2021-09-17"
    assert threshold.mean_dates("2021-08-15") == ["2021-08-15", "2021-09-01"]
    assert threshold.mean_dates("2021-11-01") == ["2021-11-01"]


def test_every_published_share_has_a_threshold_by_date_and_horizon_with_its_definition():
    days = threshold.mean_dates("2021-04-25")
    found = threshold.by_published_share(295.0, 2.0, days=days)
    assert len(found) == len(totals.published_shares()) * len(days) * 2
    assert found["definition"].notna().all()
    year = found[found["until"] == YEAR]["needed"]
    to_claim = found[found["until"] != YEAR]["needed"]
    assert (year.min(), year.max()) == pytest.approx((2.4, 9.3), abs=0.05)
    assert to_claim.min() == pytest.approx(2.8, abs=0.05)


def test_a_mean_date_after_the_claim_has_the_calendar_year_alone():
    found = threshold.by_published_share(295.0, 2.0, days=["2021-10-01"])
    assert set(found["until"]) == {YEAR}


@pytest.mark.parametrize("name", ["README.md", "notebooks/02_growth.ipynb"])
def test_the_threshold_is_never_called_a_bound(name):
    text = project_text(name)
    assert "must have sold" in text
    assert not re.search(
        r"must have sold at least|closed sales of at least|must have sold (?!about|twice)", text
    )


def test_thresholds_are_exported_with_their_share_date_and_horizon_and_without_an_interval():
    needed = threshold.by_published_share(295.0, 2.0, days=["2021-06-01"])
    rows = threshold.as_estimates(needed, 2.0)
    assert rows["estimate"].tolist() == needed["needed"].tolist()
    assert set(rows["estimand"]) == {"closed sales that a fall of 2 points needs"}
    assert rows["label"].iloc[0] == (
        "Chinese share 29 per cent (top sellers, mean of the US, British, German and Japanese"
        " sites, 2020-05), accounts closed on 2021-06-01"
    )
    assert set(rows["reason"]) == {
        "one share, one mean date and one horizon: no bound and no interval"
    }


def test_every_share_of_sales_or_top_sellers_of_before_the_closures_counts_once_by_definition():
    found = totals.published_shares()
    assert sorted(set(found["value"])) == [29, 33, 35, 36, 40, 42, 46, 49, 58]
    assert not found.duplicated(["value", "definition"]).any()
    assert found["date"].max() <= "2021-01" or found["date"].max() == "2021"
    assert found["share"].tolist() == pytest.approx((found["value"] / 100).tolist())
    assert not found["definition"].str.contains("active|new|European").any()


def test_shares_over_time_are_chinese_ones_of_top_sellers_in_order_and_each_counts_once():
    found = totals.shares_over_time()
    assert found["month"].is_monotonic_increasing
    assert not found.duplicated(["month", "definition", "value"]).any()
    four = found[found["term"] == totals.FOUR_SITES].set_index("month")["value"]
    assert (four["2016-05"], four["2020-12"], four["2021-09"], four["2021-12"]) == (11, 42, 38, 33)
    assert set(found["term"]) == {*totals.TERMS.values()}
    assert not found["definition"].str.contains("all countries|European").any()
    of_year = found[found["term"] == "“top merchants”"].iloc[0]
    assert (str(of_year["month"]), of_year["year"]) == ("2020-07", 2020.5)


def test_a_share_relabelled_on_one_side_joins_nothing(monkeypatch):
    assert "Revoic" in set(totals.share_changes()["publisher"])
    rows = series.qualified_rows("origin_shares")
    odd = rows["source_publisher"].eq("Revoic") & rows["date"].eq("2021-12")
    relabelled = rows.assign(definition=rows["definition"].mask(odd, "sales on amazon.com"))
    monkeypatch.setattr(series, "qualified_rows", lambda _: relabelled)
    assert "Revoic" not in set(totals.share_changes()["publisher"])


def test_what_is_published_of_closed_accounts_adds_up_to_a_floor():
    found = sums.floor_from_below(6.49).set_index("seller")
    assert found["low"].to_dict() == pytest.approx(
        {"first accounts": 1.0, "Sunvalley": 0.697 * 0.33, "Youkeshu": 1.5 / 6.49 * 0.3}
    )
    assert found[["low", "high"]].sum().tolist() == pytest.approx([1.3, 1.77], abs=0.005)
    events = data.load("events").set_index("event_id")
    for names in found["events"]:
        assert set(names) <= set(events.index)


@pytest.mark.parametrize("event", ["E034", "E044"])
def test_a_seller_that_may_be_among_the_first_accounts_is_not_added(monkeypatch, event):
    events = data.load("events")
    early = events.assign(date=events["date"].mask(events["event_id"] == event, "2021-05-10"))
    monkeypatch.setattr(data, "load", lambda _: early)
    with pytest.raises(
        DesignError,
        match="closed on 2021-05-10, and these by 2021-05-12, so it may be counted twice",
    ):
        sums.floor_from_below(6.49)


def test_the_trade_group_s_sum_is_most_of_what_all_chinese_sellers_sold_in_two_months():
    found = sums.against_all_sales(100 / 6.49, 0.40, *sums.CLAIMED_FOR)
    sold = 390 * 0.40 * 25_085 * 61 / 91 / (23_709 + 25_085 + 24_252 + 30_320)
    assert found["sold"] == pytest.approx(sold)
    assert found["part"] == pytest.approx(61, abs=0.5)
    assert found["part of year"] == pytest.approx(100 * 100 / 6.49 / (390 * 0.4))


def test_rivals_and_closed_accounts_lose_over_the_same_part_of_the_year():
    known = replace(PUBLIC, recapture=(0.0, 1.0), common=(-3.0, 3.0), left=0.5)
    assert known.bounds(-4.0)[0] == pytest.approx(
        -50 * known.closed[1] / (295 * 0.4) - 0.5 * 4.0 - 3.0
    )
    whole = replace(known, left=1.0).bounds(-4.0)[0]
    assert whole + 3.0 == pytest.approx(2 * (known.bounds(-4.0)[0] + 3.0))


def test_the_rest_of_the_year_is_counted_by_the_sales_of_its_quarters():
    assert totals.rest_of_year("2021-01-01") == pytest.approx(1)
    assert totals.rest_of_year("2021-04-25") == pytest.approx(0.707, abs=5e-4)
    assert totals.rest_of_year("2021-10-01") == pytest.approx(
        30_320 / (23_709 + 25_085 + 24_252 + 30_320)
    )


def test_the_steps_to_the_worst_and_best_case_end_at_the_bounds_and_each_is_what_it_says():
    steps = totals.steps(KNOWN, -4.0).set_index("step")
    free = replace(KNOWN, recapture=(0.0, 1.0))
    low, high = KNOWN.own
    assert steps.loc["closed accounts’ own sales"].tolist() == pytest.approx([-high, -low])
    assert steps.loc["rivals"].tolist() == pytest.approx([-high - 4.0 * KNOWN.left, 0.0])
    assert steps.loc["fear or trust"].tolist() == pytest.approx([*free.bounds(-4.0)])
    assert steps["worst"].is_monotonic_decreasing


@pytest.mark.parametrize("common", [(0.0, 3.0), (-3.0, 0.0), (0.0, 0.0)])
def test_each_rung_lies_inside_the_one_before(common):
    rows = bounds_by_assumption(replace(KNOWN, common=common), **LADDER).rows
    assert (rows["conf_low"].diff().iloc[1:] >= 0).all()
    assert (rows["conf_high"].diff().iloc[1:] <= 0).all()


def test_a_set_has_no_point_and_says_so():
    found = bounds_by_assumption(KNOWN, **LADDER)
    assert found.rows[["estimate", "std_error"]].isna().all(axis=None)
    assert (found.interval, found.unit) == ("bounds", "percentage points")
    assert "no standard error" in found.reason


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"share": (0.0, 0.4)},
            "0.0 to 0.4 as the range of the Chinese share: it must lie within [1e-09, 1.0]",
        ),
        (
            {"share": (0.5, 0.46)},
            (
                "0.5 to 0.46 as the range of the Chinese share: it must lie within [1e-09, 1.0],"
                " with the lower end first; change share_low or share_high"
            ),
        ),
        ({"share": (0.4, 1.1)}, "0.4 to 1.1 as the range of the Chinese share"),
        (
            {"closed": (5.0, 1.0)},
            "5.0 to 1.0 as the range of closed accounts' sales: it must lie within [0.0, inf]",
        ),
        (
            {"recapture": (-0.1, 0.5)},
            "-0.1 to 0.5 as the range of recapture: it must lie within [0.0, 1.0]",
        ),
        (
            {"common": (3.0, -3.0)},
            "3.0 to -3.0 as the range of the common part: it must lie within [-inf, inf]",
        ),
        ({"common": (np.nan, 1.0)}, "nan to 1.0 as the range of the common part"),
        ({"left": 1.2}, "1.2 to 1.2 as the range of the part of the year"),
    ],
)
def test_assumptions_that_are_upside_down_or_out_of_bounds_are_refused(changes, message):
    with pytest.raises(DesignError) as refused:
        replace(PUBLIC, **changes)
    assert str(refused.value).startswith(f"Cannot use {message}")


def test_a_share_outside_its_own_range_is_refused():
    with pytest.raises(
        DesignError,
        match=r"Cannot assume a Chinese share of 0\.6: it is not between 0\.33 and 0\.46",
    ):
        bounds_by_assumption(KNOWN, **(LADDER | {"share": 0.6}))


def test_the_prior_on_closed_sales_decides():
    found = by_prior(KNOWN, dates=("2021-04-25", "2021-09-01"), fall=2.0)
    assert found == pytest.approx([37, 48], abs=1.5)


def test_closures_at_random_carry_their_number_s_share():
    assert closed_share(3000, 1e6, sd_log_sales=2.3, tilt=0.0) == pytest.approx(0.003)


def integrated(accounts, population, sd, tilt):
    """Share of sales of the closed by numerical integration over z, with the cap found by
    bisection.
    """

    def mean(log_c, weight):
        def chance(z):
            return np.exp(min(0.0, log_c + tilt * sd * z)) * norm.pdf(z - weight)

        kink = min(
            max(-log_c / (tilt * sd), -30.0), 30.0
        )  # where closure becomes certain: no quadrature across it
        return sum(
            quad(chance, *ends, epsabs=1e-14, epsrel=1e-11, limit=200)[0]
            for ends in ((-30, kink), (kink, 30))
        )

    log_c = bisect(lambda c: mean(c, 0.0) - accounts / population, -200, 50, xtol=1e-10)
    return mean(log_c, sd)


@pytest.mark.parametrize(
    ("accounts", "sd", "tilt"),
    [
        (1000, 0.9, 0.2),
        (1000, 0.9, 0.9),
        (3000, 2.3, 0.7),
        (50_000, 2.3, 0.5),
        (900_000, 2.3, 0.5),
        (3000, 2.3, 2.0),
    ],
)
def test_a_tilt_carries_what_numerical_integration_finds(accounts, sd, tilt):
    found = closed_share(accounts, 1e6, sd_log_sales=sd, tilt=tilt)
    assert found == pytest.approx(integrated(accounts, 1e6, sd, tilt), rel=1e-7)


def test_what_closed_accounts_held_depends_on_inequality_and_ends_at_the_largest_sellers():
    ends = [
        totals.held(count, 1e6, spread)[1] for spread in (1.5, 2.3, 3.0) for count in (3000, 600)
    ]
    assert ends == pytest.approx([2.8, 0.6, 19.5, 6.8, 49.6, 28.2], abs=0.06)
    largest = [totals.held(count, 1e6, 2.3, [200.0])[0] for count in (3000, 600)]
    assert largest == pytest.approx([32.7, 17.4], abs=0.06)


@pytest.mark.parametrize("tilt", [1e-12, 1e-6, 40.0])
@pytest.mark.parametrize("accounts", [1, 999_999])
def test_a_share_lies_between_that_of_the_number_and_one_at_the_extremes(accounts, tilt):
    fraction = accounts / 1e6
    assert fraction * (1 - 1e-9) <= closed_share(accounts, 1e6, sd_log_sales=2.3, tilt=tilt) <= 1


def test_equal_accounts_carry_their_number_s_share_whatever_the_tilt():
    assert closed_share(3000, 1e6, sd_log_sales=0.0, tilt=0.7) == pytest.approx(0.003)


@pytest.mark.parametrize(("accounts", "population"), [(0, 100), (100, 100), (200, 100)])
def test_more_closed_than_there_are_is_refused(accounts, population):
    with pytest.raises(DesignError, match="close at least one but not all"):
        closed_share(accounts, population, sd_log_sales=2.3, tilt=0.5)
