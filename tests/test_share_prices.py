"""The program from prices to market and ranks, on an invented source; and what the owners' shares
say together.
"""

import runpy

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from fewtreated.errors import DataError, DesignError
from fewtreated.estimators.abnormal_returns import abnormal_returns, pool_events
from scipy import stats

from analysis import data
from analysis.estimate import Estimate
from analysis.evidence import listed, share_prices

FIRST = "2021-01-05"
LAST = "2021-04-23"
TIZA = "Tiza Information / Youkeshu"
HEADER = "日期,开盘,收盘,最高,最低,成交量,成交额,振幅,涨跌幅,涨跌额,换手率"
SELLERS = ["002640", "002803", "300209", "300464", "300592", "300729", "300866", "601113"]
OTHERS = [f"600{number:03}" for number in range(1, 131)]
BEIJING = ["430047", "832000"]


@pytest.fixture(scope="module")
def make():
    return runpy.run_path(str(data.DATA / "events" / "amazon_2021" / "prices.py"))


@pytest.fixture(scope="module")
def invented():
    """Return daily changes in per cent by day and code; NaN without trading."""
    rng = np.random.default_rng(5)
    days = data.load("market_stock_returns")["date"].dt.strftime("%Y-%m-%d")
    codes = [*SELLERS, *OTHERS, *BEIJING]
    common = rng.normal(0.1, 1, len(days))
    own = rng.normal(0, 2, (len(days), len(codes)))
    changes = pd.DataFrame(common[:, None] + own, days, codes).round(2)
    changes.loc["2021-03-01", "430047"] = 61.0  # dropped
    changes.loc["2021-03-01", "832000"] = -50.0  # dropped
    changes.loc["2021-03-01", "600001"] = 49.99  # kept
    changes.loc["2021-07-08", "600002"] = np.nan  # suspended within a window
    changes.loc[:"2021-02-10", "600003"] = np.nan  # fewer than 60 days in the estimation window
    changes.loc["2021-07-01", "300209"] = 20.06  # the owner rises by its limit, as rounded
    changes.loc["2021-06-30", "600004"] = 9.98  # five days before the window: so does another
    changes.loc["2021-06-29", "600005"] = 9.98  # six days before
    changes.loc["2021-07-05", "600006"] = 9.98  # but closes below its highest price
    changes.loc["2021-07-05", "430047"] = 29.98  # not of Shanghai or Shenzhen
    return changes


def write(folder, changes):
    """Write a source in the form of the published one."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stock_list.csv").write_text(",code,name\n")
    for code in changes:
        lines = [HEADER, "2020-12-31,1,1,1,1,1,1,1,99.0,1,1"]
        for day, change in changes[code].dropna().items():
            if (code, day) == ("600006", "2021-07-05"):
                high = 12
            else:
                high = 11
            lines.append(f"{day},10,11,{high},10,1,1,1,{change},1,1")
        (folder / f"{code}.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory, invented):
    return write(tmp_path_factory.mktemp("prices") / "data", invented)


@pytest.fixture(scope="module")
def made(make, source):
    return make["tables"](source)


def test_the_market_is_the_mean_of_all_codes_without_returns_of_half_or_more(made, invented):
    tables, prices = made
    market = tables["market_stock_returns"].set_index("date")
    kept = (invented / 100).where(invented.abs() < 50)
    main = kept.drop(columns=BEIJING)
    assert market["market_return"].to_numpy() == pytest.approx(
        kept.mean(axis=1).to_numpy(), abs=5.1e-7
    )
    assert market["n_stocks"].tolist() == kept.count(axis=1).tolist()
    assert market["shanghai_shenzhen_return"].to_numpy() == pytest.approx(
        main.mean(axis=1).to_numpy(), abs=5.1e-7
    )
    assert market["shanghai_shenzhen_stocks"].tolist() == main.count(axis=1).tolist()
    assert market["median_return"].to_numpy() == pytest.approx(
        kept.median(axis=1).to_numpy(), abs=5.1e-7
    )
    assert market.loc["2021-03-01", "n_stocks"] == market.loc["2021-03-02", "n_stocks"] - 2
    assert prices.dropped == 2


@pytest.mark.parametrize("market", ["all", "shanghai_shenzhen"])
@pytest.mark.parametrize("window", ["youkeshu_2d", "first_wave_10d"])
def test_shares_are_ranked_by_the_rule_of_the_estimates(made, invented, market, window):
    # The whole market goes through the estimator that the owners' shares go through
    kept = (invented / 100).where(invented.abs() < 50)
    if market == "shanghai_shenzhen":
        kept = kept.drop(columns=BEIJING)
    mean = kept.mean(axis=1)
    first, last = (int(kept.index.get_loc(day)) for day in (FIRST, LAST))
    ranked = made[0]["market_car_ranks"].query("market == @market and window == @window")
    opens, closes = (
        int(kept.index.get_loc(ranked[name].iloc[0])) for name in ("first_day", "last_day")
    )
    shares = kept.drop(columns="600003").T.to_numpy()
    found = abnormal_returns(
        shares, mean, estimation=(first, last + 1), event={window: (opens, closes + 1)}
    )
    values = np.sort(found.value[np.isfinite(found.value)])
    assert ranked["n_stocks"].unique().tolist() == [len(values)]
    assert len(values) == kept.shape[1] - 1 - (window == "youkeshu_2d")
    kept_ranks = [
        r for r in range(1, len(values) + 1) if r <= 50 or r > len(values) - 50 or r % 10 == 0
    ]
    assert ranked["rank"].tolist() == kept_ranks
    assert ranked["cumulative_abnormal_return"].tolist() == pytest.approx(
        values[ranked["rank"] - 1], abs=5.1e-6
    )


def test_shares_after_a_rise_by_the_limit_are_found_where_the_owner_rose_too(made):
    rose = made[0]["market_after_limit"]
    assert sorted(rose["window"].unique()) == ["youkeshu_10d", "youkeshu_2d"]
    two = rose[rose["window"] == "youkeshu_2d"]
    assert two[["ticker", "limit", "limit_day"]].to_numpy().tolist() == [
        ["300209.SZ", 0.2, "2021-07-01"],
        ["600004.SH", 0.1, "2021-06-30"],
    ]


def test_owners_keep_their_daily_returns(made, invented):
    sellers = made[0]["seller_stock_returns"]
    tiza = sellers[sellers["ticker"] == "300209.SZ"].set_index("date")["daily_return"]
    assert tiza.to_numpy() == pytest.approx(invented["300209"].to_numpy() / 100, abs=1e-9)
    assert sellers.groupby("ticker")["exposed"].first()["601113.SH"] == "closed"


@pytest.mark.parametrize(
    ("code", "change", "said"),
    [
        ("600001", lambda text: text.replace("涨跌幅", "change"), "no 涨跌幅"),
        (
            "600001",
            lambda text: text + "2021-12-31,10,11,11,10,1,1,1,0.5,1,1\n",
            "two of 2021-12-31",
        ),
        (
            "600001",
            lambda text: text.replace("2021-05-06,10,11,11", "2021-05-06,10,11,-"),
            "none on 2021-05-06",
        ),
        ("601113", lambda _: HEADER + "\n", "no prices of 601113.SH"),
    ],
    ids=["column", "day twice", "number", "owner"],
)
def test_a_source_that_cannot_be_read_is_refused(make, tmp_path, invented, code, change, said):
    folder = write(tmp_path, invented[[*SELLERS, "600001"]])
    file = folder / f"{code}.csv"
    file.write_text(change(file.read_text()))
    with pytest.raises(DataError, match=said):
        make["tables"](folder)


def test_a_folder_without_prices_and_a_window_without_its_days_are_refused(
    make, tmp_path, invented
):
    with pytest.raises(DataError, match=r"files of prices such as 300209\.csv; found none"):
        make["tables"](tmp_path)
    holiday = write(tmp_path / "holiday", invented[SELLERS].drop(index="2021-07-07"))
    with pytest.raises(
        DataError, match="window 'youkeshu_2d': the source has no prices on its first or last day"
    ):
        make["tables"](holiday)


DAYS = 140
CALM = (0, 100)


def shares(correlation, *, events, seed=0):
    """Return daily returns float64[event, day] of one common factor, and a market that has nothing
    to do with them.
    """
    rng = np.random.default_rng(seed)
    factor = np.sqrt(correlation) * rng.normal(size=DAYS)
    own = np.sqrt(1 - correlation) * rng.normal(size=(events, DAYS))
    return 0.02 * (factor + own), 0.001 * rng.normal(size=DAYS)


def pooled(returns, market, spans):
    """Pool one event per share: the share's window among the spans."""
    names = [f"window {place}" for place in range(len(spans))]
    found = abnormal_returns(
        returns, market, estimation=CALM, event=dict(zip(names, spans, strict=True))
    )
    terms = [f"{place}: {name}" for place, name in enumerate(names)]
    return found[terms], pool_events(
        found, terms, spans, found.details["abnormal"], estimation=CALM
    )


APART = [(100, 102), (110, 112), (120, 122)]
TOGETHER = [(100, 102)] * 3


def test_events_without_a_common_day_are_pooled_as_independent():
    events, found = pooled(*shares(0.5, events=3), APART)
    assert found.value == pytest.approx([events.value.mean()] * 2)
    assert found["noise"].std_error[0] == pytest.approx(np.sqrt((events.std_error**2).sum()) / 3)
    assert found.counts["common_days"] == 0
    referee = stats.ttest_1samp(events.value, 0).confidence_interval(0.95)
    assert found["spread"].conf_int[:, 0] == pytest.approx([referee.low, referee.high])
    scaled = stats.ttest_1samp(events.value / events.std_error, 0)
    assert (found.details["t"], found.details["p_value"]) == pytest.approx(
        (scaled.statistic, scaled.pvalue)
    )


def test_events_on_the_same_days_are_pooled_with_the_correction_of_kolari_and_pynnonen():
    returns, market = shares(0.5, events=3)
    events, found = pooled(returns, market, TOGETHER)
    abnormal = abnormal_returns(returns, market, estimation=CALM, event={"": (100, 102)}).details[
        "abnormal"
    ]
    correlation = np.corrcoef(abnormal[:, slice(*CALM)])
    c = correlation[np.triu_indices(3, 1)].mean()
    assert found.details["mean_correlation"] == pytest.approx(c)
    assert found.counts["common_days"] == 6
    covariance = correlation * np.outer(events.std_error, events.std_error)
    assert found["noise"].std_error[0] == pytest.approx(np.sqrt(covariance.sum()) / 3)
    plain = events.value.std(ddof=1) / np.sqrt(3)
    assert found["spread"].std_error[0] == pytest.approx(plain * np.sqrt((1 + 2 * c) / (1 - c)))
    scaled = stats.ttest_1samp(events.value / events.std_error, 0).statistic
    assert found.details["t"] == pytest.approx(scaled * np.sqrt((1 - c) / (1 + 2 * c)))


def test_a_part_in_common_counts_in_part():
    returns, market = shares(0.5, events=2)
    (whole, half, none) = (
        pooled(returns, market, [(100, 110), other])[1].details["mean_correlation"]
        for other in ((100, 110), (105, 115), (110, 120))
    )
    assert (half, none) == pytest.approx((whole / 2, 0))


def estimate(values):
    terms = tuple(str(place) for place in range(len(values)))
    covariance = np.diag(np.where(np.isfinite(values), 1.0, np.nan))
    return Estimate(
        estimand="E0",
        unit="per cent",
        terms=terms,
        value=np.array(values),
        covariance=covariance,
        reason="invented",
    )


@pytest.mark.parametrize(
    ("values", "signs", "said"),
    [
        ([1.0], [1], "Cannot pool 1 events: at least two"),
        ([1.0, np.nan], [1, 1], "without an estimate: 1;"),
        ([1.0, 2.0], [1, 1], "mean correlation of 1.00"),
        ([1.0, 2.0], [1, -1], "mean correlation of -1.00"),
    ],
    ids=["one", "not traded", "the same share", "opposite shares"],
)
def test_events_that_cannot_be_pooled_are_refused(values, signs, said):
    abnormal = np.outer(signs, np.random.default_rng(1).normal(size=DAYS))
    found = estimate(values)
    with pytest.raises(DesignError, match=said):
        pool_events(found, found.terms, [(100, 102)] * len(values), abnormal, estimation=CALM)


@pytest.fixture(scope="module")
def prices():
    return listed.share_prices(FIRST, LAST, level=0.95)


@pytest.mark.parametrize(
    ("length", "noise", "spread"),
    [
        ("2d", "−12.6 [−18.1 to −7.1] ◐", "−12.6 [−34.3 to +9.1] ◐"),
        ("10d", "−14.9 [−27.3 to −2.6] ◐", "−14.9 [−47.6 to +17.7] ◐"),
    ],
)
def test_the_three_owners_fell_together_by_their_own_noise_but_not_by_the_spread_between_them(
    prices, length, noise, spread
):
    found = share_prices.pool(prices, share_prices.own_news(length))
    assert [f"{found[term]:both}" for term in ("noise", "spread")] == [noise, spread]
    assert found.counts == {"events": 3, "common_days": 0}
    events = found.details["events"].set_index("seller")
    assert events.index.tolist() == ["Sunvalley", "Youkeshu", "Tongtuo"]
    assert events["estimate"].mean() == pytest.approx(found.value[0])
    if length == "2d":  # Sunvalley's owner fell more than any but one
        assert events.loc["Sunvalley", ["rank_low", "rank_high", "n_stocks"]].tolist() == [
            2,
            2,
            4075,
        ]


def test_owners_of_closed_accounts_in_the_first_days_shared_them(prices):
    closed = prices.rows.query("exposed == 'closed' and window == 'first_wave_10d'")["term"]
    found = share_prices.pool(prices, list(closed))
    assert found.counts == {"events": 3, "common_days": 30}
    assert found.details["mean_correlation"] == pytest.approx(0.163, abs=5e-4)
    assert f"{found['noise']:both}" == "−7.0 [−18.2 to +4.3] ◐"


def test_the_market_model_of_the_report_is_that_of_statsmodels(prices):
    shares = prices.details["shares"].T
    market = prices.details["market"]
    calm = slice(FIRST, LAST)
    for row in prices.rows.dropna(subset="estimate").itertuples():
        fit = sm.OLS(shares.loc[calm, row.firm], market[calm], missing="drop").fit()
        days = slice(row.first_day, row.last_day)
        own = 100 * (shares.loc[days, row.firm] - fit.predict(market[days])).sum()
        assert own == pytest.approx(row.estimate, abs=1e-10)


def test_what_is_no_event_or_no_length_is_refused(prices):
    with pytest.raises(DesignError, match="no such event"):
        share_prices.pool(prices, ["Nobody: youkeshu_2d", f"{TIZA}: youkeshu_2d"])
    with pytest.raises(DesignError, match="choose from 10d, 2d"):
        share_prices.own_news("5d")
    with pytest.raises(DesignError, match="choose from all, shanghai_shenzhen, median"):
        listed.share_prices(FIRST, LAST, level=0.95, market="Beijing")


@pytest.mark.parametrize(
    ("market", "seller", "window", "shown", "rank", "stocks"),
    [
        ("shanghai_shenzhen", "Youkeshu", "youkeshu_2d", (-17.9, -28.5, -7.3), 5, 4033),
        ("median", "Youkeshu", "youkeshu_2d", (-15.5, -26.1, -4.8), None, None),
        ("median", "all owners", "2d", (-11.3, -16.9, -5.8), None, None),
    ],
)
def test_the_fall_is_there_against_other_markets(market, seller, window, shown, rank, stocks):
    rows = share_prices.by_market(FIRST, LAST, level=0.95)
    row = rows.query("market == @market and seller == @seller and window == @window").iloc[0]
    assert tuple(row[["estimate", "conf_low", "conf_high"]].astype(float).round(1)) == shown
    if rank is None:
        assert row[["rank_low", "rank_high", "n_stocks"]].isna().all()
    else:
        assert row[["rank_low", "rank_high", "n_stocks"]].tolist() == [rank, rank, stocks]


@pytest.mark.parametrize(("same_limit", "others", "mean"), [(False, 193, 0.98), (True, 28, 1.95)])
def test_no_other_share_that_had_risen_by_the_limit_fell_as_much_as_youkeshu_s_owner(
    prices, same_limit, others, mean
):
    found = share_prices.after_limit(prices, f"{TIZA}: youkeshu_2d", same_limit=same_limit)
    assert (found["others"], found["rank"]) == (others, 1)
    assert found["mean"] == pytest.approx(mean, abs=0.005)
    assert found["estimate"] < found["lowest"] < 0 < found["mean"]
    assert found["conf_high"] < 0
    # By hand: the interval of one more share with the spread of the others
    reach = stats.t.ppf(0.975, others - 1) * found["sd"] * np.sqrt(1 + 1 / others)
    assert found["conf_high"] - found["difference"] == pytest.approx(reach)
    assert found["difference"] == pytest.approx(found["estimate"] - found["mean"])


def test_an_owner_whose_share_did_not_rise_by_the_limit_is_compared_with_none(prices):
    with pytest.raises(DesignError, match="its own share did not do so"):
        share_prices.after_limit(prices, "Xinghui (SACA) / Sunvalley (Zebao): sunvalley_2d")


def test_windows_and_owners_are_those_of_the_tables():
    windows = data.load("price_windows").set_index("window")
    ranked = data.load("market_car_ranks").drop_duplicates(["market", "window"]).set_index("window")
    days = list(data.load("market_stock_returns")["date"])
    for market in ("all", "shanghai_shenzhen"):
        mine = ranked[ranked["market"] == market]
        assert mine.index.tolist() == windows.index.tolist()
        assert (mine[["first_day", "last_day"]] == windows[["first_day", "last_day"]]).all(
            axis=None
        )
    news = windows.dropna(subset="firm")
    events = data.load("events").set_index("event_id")
    eves = [days[days.index(day) - 1].strftime("%Y-%m-%d") for day in news["first_day"]]
    assert events.loc[news["event_id"], "date"].tolist() == eves
    sellers = data.load("price_sellers")
    assert set(news["firm"]) == set(sellers.query("exposed == 'closed'")["firm"])
    listed_returns = data.load("seller_stock_returns")[
        ["ticker", "firm", "exposed"]
    ].drop_duplicates()
    assert listed_returns.to_numpy().tolist() == sellers.to_numpy().tolist()
