"""Event study: the market model against statsmodels, sums by hand, refusals and ranks."""

import numpy as np
import pytest
import statsmodels.api as sm
from fewtreated.estimators.abnormal_returns import abnormal_returns, market_rank
from scipy import stats

ESTIMATION = (5, 95)
EVENT = (100, 104)


@pytest.fixture
def shares():
    """Return daily returns of three firms, one with days without trade before the event, and the
    market's.
    """
    rng = np.random.default_rng(0)
    market = 0.01 * rng.standard_t(4, size=120)
    returns = np.outer([0.8, 1.3, -0.2], market) + 0.02 * rng.standard_t(4, size=(3, 120))
    returns[1, [7, 30, 31]] = np.nan
    return returns, market


def referee(returns, market, firm):
    seen = np.isfinite(returns[firm])
    seen[: ESTIMATION[0]] = seen[ESTIMATION[1] :] = False
    return sm.OLS(returns[firm, seen], market[seen]).fit()


@pytest.mark.parametrize("firm", range(3))
def test_the_market_model_and_its_errors_equal_statsmodels(shares, firm):
    returns, market = shares
    fit = referee(returns, market, firm)
    found = abnormal_returns(
        returns, market, estimation=ESTIMATION, event={"event": EVENT}, level=0.9
    )
    assert found.details["beta"][firm] == pytest.approx(fit.params[0], rel=1e-12)
    assert found.details["sigma"][firm] == pytest.approx(np.sqrt(fit.mse_resid), rel=1e-12)
    row = found.rows.iloc[firm]
    days = np.arange(*EVENT)
    error = np.sqrt(len(days) * fit.mse_resid + market[days].sum() ** 2 * fit.bse[0] ** 2)
    assert row["estimate"] == pytest.approx(
        (returns[firm, days] - fit.params[0] * market[days]).sum(), rel=1e-12
    )
    assert row["std_error"] == pytest.approx(error, rel=1e-12)
    reach = stats.t.ppf(0.95, fit.df_resid) * error
    assert (row["conf_low"], row["conf_high"]) == pytest.approx(
        (row["estimate"] - reach, row["estimate"] + reach)
    )


def test_the_noise_of_recent_days_counts_where_it_is_larger(shares):
    returns, market = shares
    returns[0, 97] += 0.3  # after the estimation window, before the event
    plain, found = (
        abnormal_returns(
            returns, market, estimation=ESTIMATION, event={"event": EVENT}, recent=days
        )
        for days in (0, 6)
    )
    assert found.value == pytest.approx(plain.value)
    abnormal = returns[:, 94:100] - np.outer(plain.details["beta"], market[94:100])
    ratio = np.sqrt((abnormal**2).sum(axis=1) / 5) / plain.details["sigma"]
    assert ratio[0] > 1 > ratio[1]
    assert (found.rows["std_error"] / plain.rows["std_error"]).to_numpy() == pytest.approx(
        np.maximum(ratio, 1)
    )
    reach = (found.conf_int[1] - found.value) / found.rows["std_error"]
    assert reach.iloc[:2].to_numpy() == pytest.approx(stats.t.ppf(0.975, [5, 86]))


def test_a_firm_that_is_the_market_has_no_abnormal_return(shares):
    _, market = shares
    row = abnormal_returns(
        1.4 * market, market, estimation=ESTIMATION, event={"event": EVENT}
    ).rows.iloc[0]
    assert (row["beta"], row["estimate"]) == pytest.approx((1.4, 0.0), abs=1e-12)


def test_news_of_c_a_day_moves_the_sum_by_exactly_c_times_the_days(shares):
    returns, market = shares
    news = returns.copy()
    news[0, slice(*EVENT)] -= 0.03
    before, after = (
        abnormal_returns(one, market, estimation=ESTIMATION, event={"event": EVENT}).rows[
            "estimate"
        ]
        for one in (returns, news)
    )
    assert list(after - before) == pytest.approx([-0.12, 0.0, 0.0], abs=1e-15)


def test_a_day_without_trade_in_the_window_gives_no_return_and_is_named(shares):
    returns, market = shares
    returns[2, 101] = np.nan
    found = abnormal_returns(
        returns,
        market,
        estimation=ESTIMATION,
        event={"two": (102, 104), "four": EVENT},
        firms=["a", "b", "c"],
    )
    gone = found.rows[found.rows["estimate"].isna()]
    assert gone["term"].tolist() == ["c: four"]
    assert gone[["std_error", "conf_low", "conf_high"]].isna().all(axis=None)
    assert gone["n"].tolist() == [3]
    assert found.reason == "not traded on every day of the window: c: four"


def test_the_caller_s_arrays_are_left_alone_and_later_changes_to_them_do_not_reach_the_result(
    shares,
):
    returns, market = shares
    kept = returns.copy(), market.copy()
    found = abnormal_returns(returns, market, estimation=ESTIMATION, event={"event": EVENT})
    np.testing.assert_array_equal(returns, kept[0])
    np.testing.assert_array_equal(market, kept[1])
    before = found.rows.copy(), found.details["abnormal"].copy()
    returns += 1
    market += 1
    np.testing.assert_array_equal(found.details["abnormal"], before[1])
    assert found.rows.equals(before[0])


def test_firms_do_not_touch_each_other_and_days_outside_the_windows_do_not_count(shares):
    returns, market = shares
    whole = abnormal_returns(returns, market, estimation=ESTIMATION, event={"event": EVENT}).rows
    changed = returns.copy()
    changed[0] = 0.5
    changed[:, :5] = changed[:, 104:] = 0.9
    other = abnormal_returns(changed, market, estimation=ESTIMATION, event={"event": EVENT}).rows
    assert other.iloc[1:].drop(columns="term").equals(whole.iloc[1:].drop(columns="term"))
    assert other["estimate"].iloc[0] != whole["estimate"].iloc[0]


def known(values, every=10, tail=20):
    """Return ranks and values as in the market file: all in the tails, every tenth between."""
    ranks = np.arange(1, len(values) + 1)
    kept = (ranks <= tail) | (ranks > len(values) - tail) | (ranks % every == 0)
    return ranks[kept], values[kept]


def test_the_market_rank_is_exact_in_the_tails_and_a_range_that_holds_it_between():
    market = np.sort(np.random.default_rng(4).normal(size=400))
    ranks, values = known(market)
    for place, own in enumerate(market, start=1):  # the share is one of the market's
        low, high = market_rank(float(own), ranks, values, len(market), rounding=1e-12)
        assert low <= place <= high
        assert high - low <= (0 if place < 20 or place > 380 else 18)
        if 20 < place <= 380:
            assert high > low


def test_rounding_widens_the_rank_to_all_that_it_allows():
    ranks = np.arange(1, 6)
    values = np.array([-0.30, -0.2001, -0.20, -0.1999, 0.10])
    assert market_rank(-0.20, ranks, values, 5, rounding=1e-6) == (3, 3)
    assert market_rank(-0.20, ranks, values, 5, rounding=2e-4) == (2, 4)


@pytest.mark.parametrize("car", [-9.0, 9.0])
def test_a_return_beyond_the_market_still_gets_a_rank_inside_it(car):
    market = np.linspace(-1, 1, 100)
    low, high = market_rank(car, *known(market), 100, rounding=0.0)
    assert 1 <= low <= high
    assert high == (1 if car < 0 else low)
