"""The public record: published anchors out of the data, and the word that each claim gets from
them.
"""

import re

import numpy as np
import pandas as pd
import pytest
from fewtreated.errors import DataError, DesignError
from reading import project_text
from record import FIRST, LAST, judged, of_households

from analysis import data
from analysis.event import read_event
from analysis.evidence import claims, listed
from analysis.evidence.sources import Published
from analysis.evidence.verdicts import DECIDED, MEANING, NOT_SHOWN, NOT_TESTABLE, SUPPORTED
from analysis.exhibits import answers, brief, words


@pytest.fixture(scope="module")
def shares():
    return listed.share_prices(FIRST, LAST, level=0.95).rows.set_index(["seller", "window"])


@pytest.fixture(scope="module")
def compared():
    spans = [(2020, 2021), (2019, 2020), (2020, 2023)]
    return {span: listed.revenue_change(*span, level=0.95) for span in spans}


@pytest.fixture(scope="module")
def left():
    return listed.leave_one_out(2020, 2021, level=0.95)


@pytest.mark.parametrize(
    ("event", "per_cent", "share_below", "stocks"),
    [
        (("Sunvalley", "sunvalley_2d"), -17.4, 0.00, 4075),
        (("Youkeshu", "youkeshu_2d"), -17.9, 0.00, 4087),
        (("Tongtuo", "tongtuo_2d"), -2.5, 0.20, 4088),
        (("Loctek", "first_wave_10d"), -15.9, 0.02, 4037),
        (("Jihong", "first_wave_10d"), -13.1, 0.04, 4037),
        (("Anker Innovations", "sunvalley_2d"), 5.2, 0.914, 4075),
    ],
)
def test_share_prices_moved_as_published(shares, event, per_cent, share_below, stocks):
    row = shares.loc[event]
    assert row["estimate"] == pytest.approx(per_cent, abs=0.05)
    assert row["n_stocks"] == stocks
    assert row["conf_low"] < row["estimate"] < row["conf_high"]
    assert [row["rank_low"] / stocks, row["rank_high"] / stocks] == pytest.approx(
        [share_below] * 2, abs=0.005
    )


def test_a_market_rank_of_a_listed_seller_agrees_with_the_published_one(shares):
    # The market file was ranked by the same rule with the same shares in it, so that our return is
    # between its neighbours, but for the digits to which the market's and the ranked returns are
    # rounded.
    ranks = data.load("market_car_ranks").query("market == 'all'")
    for (_, window), row in shares.dropna(subset=["estimate"]).iterrows():
        known = ranks[ranks["window"] == window]
        below = known.loc[known["rank"] < row["rank_low"], "cumulative_abnormal_return"]
        above = known.loc[known["rank"] > row["rank_high"], "cumulative_abnormal_return"]
        assert 100 * below.max() <= row["estimate"] + 0.003
        assert 100 * above.min() >= row["estimate"] - 0.003
        assert row["rank_high"] - row["rank_low"] <= 18


def test_spared_firms_listed_after_the_closures_had_no_share_price_in_2021():
    later = listed.listed_later()
    assert later == ["Sailvan", "Santai", "Ugreen", "Zibuyu", "Ziel"]
    frame = listed.design().set_index("name").loc[later]
    assert (frame["listed_on"] > "2021-12-31").all()
    assert frame["listed_url"].str.startswith("http").all()
    assert not set(frame["firm"]) & set(data.load("seller_stock_returns")["firm"])


def test_without_firms_listed_later_fifteen_pairs_are_left_and_no_interval(compared):
    early = listed.sellers().query("name not in @listed.listed_later()")
    found = listed.revenue_change(2020, 2021, chosen=early, level=0.95)
    row = found.row("did")
    changes = compared[2020, 2021].details["changes"].set_index("firm")
    mean = changes.groupby("closed")["change"].mean()
    assert (row["rank"], found.counts["assignments"], pd.isna(row["conf_low"])) == (1, 15, True)
    kept = changes.loc[["Anker", "Jihong", "Loctek", "Vesync"], "change"].mean()
    assert row["estimate"] == pytest.approx(mean[True] - kept, abs=1e-12)


def test_sellers_compared_in_turn_give_what_each_comparison_gives_in_per_cent(compared, left):
    every = listed.sellers()
    choices = {"both": every, "one": every.query("name != 'Youkeshu'"), "again": every}
    rows = listed.gaps_by_choice(choices, 2020, 2021, level=0.95).set_index("term")
    ends = ["estimate", "conf_low", "conf_high"]
    wanted = 100 * np.expm1(compared[2020, 2021].row("did")[ends].to_numpy(float))
    np.testing.assert_allclose(rows.loc["both", ends].to_numpy(float), wanted, atol=1e-9)
    without = left.set_index("left_out").loc["Youkeshu"]
    assert rows.index.tolist() == ["both", "one"]
    assert rows.loc["one", "estimate"] == pytest.approx(100 * np.expm1(without["estimate"]))
    assert rows.loc["one", ["rank", "assignments"]].tolist() == [1, without["assignments"]]


def test_sellers_are_chosen_by_name_and_a_file_adds_others(tmp_path):
    rows = {"name": ["New", "New"], "role": "not_closed", "year": [2020, 2021]}
    file = tmp_path / "mine.csv"
    pd.DataFrame({**rows, "revenue": [100.0, 150.0]}).to_csv(file, index=False)
    chosen = listed.sellers(f"Anker, Sunvalley, {file}")
    assert chosen["name"].tolist() == ["Sunvalley", "Anker", "New"]
    assert listed.revenues(chosen)["New"].dropna().tolist() == [100, 150]
    changes = listed.revenue_change(2020, 2021, chosen=chosen, level=0.95).details["changes"]
    assert changes.set_index("firm").loc["New", "change"] == pytest.approx(np.log(1.5))
    assert len(listed.revenue_sources(chosen)) == len(
        listed.revenue_sources(listed.sellers("Sunvalley, Anker, Vesync"))
    ) - len(listed.revenue_sources(listed.sellers().query("name == 'Vesync'")))
    assert len(listed.sellers(f"all, {file}")) == len(listed.sellers()) + 1


def test_counting_a_seller_as_closed_moves_it_to_the_closed():
    chosen = listed.as_closed(listed.sellers("Sunvalley, Sailvan, Anker, Vesync"), "Sailvan")
    changes = listed.revenue_change(2020, 2021, chosen=chosen, level=0.95).details["changes"]
    assert set(changes.query("closed")["firm"]) == {"Sunvalley", "Sailvan"}


@pytest.mark.parametrize(
    ("firms", "said"),
    [
        ("all, Aukey", "Cannot compare Aukey: restricted; publishes revenue only from 2021"),
        ("all, Acme", "'Acme': it is not in the design; choose from Youkeshu, Sunvalley, Anker"),
        ("Sunvalley, Anker", "takes a closed seller and at least two others"),
        ("Anker, Vesync, Ziel", "takes a closed seller and at least two others"),
        ("all, none.csv", "Cannot read sellers from none.csv: .*check its path"),
        ("all, {wrong}", "needs the columns name, role, year, revenue"),
    ],
)
def test_sellers_that_cannot_be_compared_are_refused_with_the_reason(tmp_path, firms, said):
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("name,role,year,revenue\nNew,spared,2020,1\n")
    with pytest.raises(DesignError, match=said):
        listed.sellers(firms.format(wrong=wrong))


@pytest.fixture(scope="module")
def verdicts():
    return judged()


def figures(*values, **changes):
    """Return figures by a party that makes no claim."""
    return [Published(by="Somebody else", low=value, high=value, **changes) for value in values]


WORDS = {
    "C01 V1": NOT_SHOWN,
    "C01 V2": NOT_SHOWN,
    "C16": NOT_SHOWN,
    "C03": NOT_SHOWN,
    "C06": NOT_SHOWN,
    "C07 invest": NOT_TESTABLE,
    "C07 sell": NOT_TESTABLE,
    "C08 market": SUPPORTED,
    "C08 record": SUPPORTED,
    "C12": NOT_SHOWN,
    "C13 stores": NOT_SHOWN,
    "C13 loss": NOT_SHOWN,
    "C15 tiny": NOT_SHOWN,
    "C15 momentum": NOT_SHOWN,
    "C18": NOT_SHOWN,
    "C20": NOT_SHOWN,
} | dict.fromkeys(["C02", "C04", "C05", "C09", "C10", "C11", "C39"], NOT_TESTABLE)


def test_public_figures_give_every_reading_of_the_ledger_its_starting_word_once(verdicts):
    ledger = claims.readings()
    names = (ledger["claim_id"] + " " + ledger["reading"].fillna("")).str.strip()
    assert {name: one.word for name, one in verdicts.items()} == WORDS
    assert set(names) == set(WORDS)
    assert all(one.statement and one.claimant and one.change for one in verdicts.values())
    # the newspaper said no such
    assert [name for name, one in verdicts.items() if one.party == answers.OURS] == ["C08 market"]


@pytest.mark.parametrize(
    ("reading", "changes", "word"),
    [
        (("C01", "V1"), {"published": figures(9.0, -1.0)}, "Not shown"),
        (("C01", "V2"), {"interval": (-1.5, 0.0), "margin": 2.0}, "Supported"),
        (("C01", "V2"), {"interval": (-9.0, -3.0), "margin": 2.0}, "Contradicted"),
        (("C01", "V2"), {"margin": 2.0}, "Not testable"),
        (("C03", ""), {"claimed": 3000.0, "published": figures(2900.0)}, "Supported"),
        (("C07", "sell"), {"interval": (0.5, 2.0)}, "Supported"),
        (
            ("C08", "record"),
            {"published": figures(1.0, part="Mpow", filing=True), "parts": ["Mpow", "Aukey"]},
            "Not shown",
        ),
        (("C02", ""), {"interval": (0.5, 2.0)}, "Not testable"),
    ],
)
def test_other_figures_would_have_given_other_words(reading, changes, word):
    assert claims.judge(*reading, claims.Finding(**changes)).word == word


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("C99", ""), "Cannot judge C99: readings.csv contains only C01 V1, C01 V2, C16, C02,"),
        (("C01", "V9"), "Cannot judge C01 V9: readings.csv contains only"),
        (
            ("C01", ""),
            "Cannot judge C01: readings.csv contains only",
        ),  # which of its three readings?
        (
            ("C01", "V2"),
            "Cannot judge C01 V2: this kind of claim needs a margin; set one in the finding",
        ),
        (("C16", ""), "Cannot judge C16: this kind of claim needs a margin"),
    ],
)
def test_unknown_readings_and_margins_chosen_afterwards_are_refused(arguments, message):
    with pytest.raises(DesignError) as refused:
        claims.judge(*arguments)
    assert str(refused.value).startswith(message)


def test_a_simulated_figure_gives_no_claim_its_word():
    asked = {"interval": (0.0, 1.0), "margin": 2.0, "tier": "sim"}
    with pytest.raises(DesignError, match="set market if and only if the numbers are simulated"):
        claims.judge("C01", "V2", claims.Finding(**asked))
    told = claims.judge(
        "C01",
        "V2",
        claims.Finding(**asked, provenance="simulated", market="mid_3k, seed 1", grade="usable"),
    )
    assert told.said == "In the simulated market (mid_3k, seed 1): Supported"
    assert told.grade == "usable"


def test_confidence_in_public_figures_is_that_of_the_ledger_and_stands_beside_a_finding_alone(
    verdicts,
):
    ledger = claims.readings()
    ledger = ledger.set_index(
        (ledger["claim_id"] + " " + ledger["reading"].fillna("")).str.strip()
    )["confidence"]
    decided = {name for name, word in WORDS.items() if word in DECIDED}
    assert {name: one.confidence for name, one in verdicts.items()} == {
        name: level if name in decided else "" for name, level in ledger.items()
    }
    given = {"published": figures(-7.0, -2.0), "margin": 1.0, "grade": "do not use"}
    assert claims.judge("C16", "", claims.Finding(**given)).confidence == ledger["C16"]


SIM = {"tier": "sim", "provenance": "simulated", "market": "mid_3k, seed 1", "margin": 2.0}


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({"grade": "usable", "passed": True, "drift": 0.5}, "high"),
        (
            {"grade": "usable", "passed": True, "drift": -0.5},
            "high",
        ),  # which way it went says nothing of the next one
        (
            {"grade": "usable", "passed": True, "drift": 2.5},
            "moderate",
        ),  # larger than the room to the margin
        ({"grade": "usable", "passed": True, "interval": (-9.0, 9.0)}, ""),  # it decides nothing
        ({"grade": "usable", "passed": False}, "low"),
    ],
)
def test_confidence_in_a_panel_follows_from_grade_placebo_and_room(changes, level):
    found = claims.judge("C01", "V2", claims.Finding(**(SIM | {"interval": (0.0, 1.0)} | changes)))
    assert found.confidence == level


def test_a_drift_of_growth_says_nothing_of_a_share():
    given = {"interval": (0.0, 0.5), "margin": 1.0, "grade": "usable", "passed": True, "drift": 2.5}
    assert claims.judge("C16", "", claims.Finding(**(SIM | given))).confidence == "high"


def test_an_estimand_without_an_estimate_has_no_grade():
    found = claims.judge("C01", "V2", claims.Finding(**SIM, grade="do not use"))
    assert (found.word, found.grade, found.confidence) == (NOT_TESTABLE, "", "")


def test_a_grade_that_says_not_to_use_the_method_bars_a_word_and_says_where_it_comes_from():
    given = {"interval": (0.0, 1.0), "grade": "do not use", "graded": "medium closures"}
    found = claims.judge("C01", "V2", claims.Finding(**SIM, **given))
    assert (found.word, found.low, found.grade, found.confidence) == (
        NOT_TESTABLE,
        0.0,
        "do not use",
        "",
    )
    assert (
        found.why == "The method is graded not to be used on data such as these: medium closures."
    )
    public = {"interval": (0.0, 1.0), "grade": "do not use", "margin": 2.0}
    assert (
        claims.judge("C01", "V2", claims.Finding(**public)).word == "Supported"
    )  # the audit tries panels


@pytest.mark.parametrize("end", [0.0, 1.0, -7e9])
def test_an_interval_without_width_bars_a_word(end):
    found = claims.judge(
        "C01",
        "V2",
        claims.Finding(**SIM, interval=(end, end * (1 + 1e-12)) if end > 0 else (end, end)),
    )
    assert (found.word, found.low) == (NOT_TESTABLE, end)
    assert "has no width" in found.why


OWN = {"tier": "panel", "provenance": "estimate", "interval": (1.0, 2.0), "grade": "usable"}
OWN |= {"aside": "In this panel of 9 firms, not representative:"}


@pytest.mark.parametrize("name", [("C01", "V1"), ("C01", "V2"), ("C16", "")])
def test_a_panel_that_is_not_representative_gives_no_word_on_totals(name):
    found = claims.judge(*name, claims.Finding(**OWN, margin=3.0))
    assert (found.word, found.low, found.high, found.apart) == (
        NOT_TESTABLE,
        1.0,
        2.0,
        OWN["aside"],
    )
    assert (
        "is not representative of the sellers that the claim is about, so it cannot decide a claim"
        " about totals" in found.why
    )
    assert (
        claims.judge(*name, claims.Finding(**OWN | {"aside": ""}, margin=3.0)).word == "Supported"
    )


def test_what_is_said_of_closed_firms_needs_no_representative_panel():
    found = claims.judge("C07", "sell", claims.Finding(**OWN))
    assert (found.word, found.apart) == ("Supported", "")


def test_what_would_change_a_panel_s_word_is_not_a_panel():
    public = claims.judge("C01", "V2", claims.Finding(margin=2.0))
    assert public.change.startswith("Monthly sales of closed sellers")
    assert claims.judge("C01", "V2", claims.Finding(**SIM)).change.startswith(
        "More firms, or a narrower range for effects common to all sellers"
    )


@pytest.mark.parametrize(
    ("low", "high", "margin", "passed"),
    [
        (-1.0, 1.9, 2.0, True),
        (0.5, 1.9, 2.0, True),  # not zero, and yet nothing that matters
        (-1.0, 2.1, 2.0, None),  # too weak to tell
        (-2.0, 2.0, 2.0, None),  # on the margin
        (-400.0, 500.0, 2.0, None),
        (1.5, 2.1, 2.0, False),
        (-9.0, -8.0, 2.0, False),
        (-9.0, -8.0, 10.0, True),
    ],
)
def test_a_placebo_passes_where_its_last_row_is_inside_the_margin_and_fails_where_it_excludes_0(
    low, high, margin, passed
):
    rows = pd.DataFrame({"estimate": [7.0, 1.5], "conf_low": [8.0, low], "conf_high": [10.0, high]})
    assert claims.placebo_check(rows, margin) == {"passed": passed, "drift": 1.5}


def test_a_placebo_that_is_not_there_shows_nothing():
    rows = pd.DataFrame({"estimate": [1.5], "conf_low": [np.nan], "conf_high": [np.nan]})
    assert claims.placebo_check(rows, 2.0) == {"passed": None, "drift": None}


def test_the_ledger_of_an_event_holds_its_claims_alone():
    assert claims.readings(["C07", "C01"])["claim_id"].tolist() == ["C01"] * 2 + ["C07"] * 2
    assert [one.claim for one in claims.untestable("04_claims", ["C02", "C01"])] == ["C02"]


def test_the_record_of_the_brands_is_counted_and_says_nothing_of_revenue(verdicts):
    found = verdicts["C08 record"]
    assert answers.finding(found) == "3 of 3 brands named ●"
    assert (found.low, found.high) == (None, None)


def test_a_scorecard_has_each_verdict_once_under_who_spoke(verdicts):
    found = claims.scored([*verdicts.values()]).set_index("name")
    assert {*found.index} == {*verdicts}
    speakers = read_event("amazon_2021").speakers.values()
    assert found["speaker"].unique().tolist() == [*speakers, claims.OURS]
    assert found["word"].to_dict() == {name: one.word for name, one in verdicts.items()}
    assert found.loc["C03", "why"] == found.loc["C06", "why"] == "Only the speaker’s figure."
    assert found.loc["C06", "quoted"].startswith("“This crackdown")
    assert "[" not in found.loc["C16", "quoted"]
    assert found.loc["C02", "quoted"] == ""  # in our words
    assert found.loc["C08 record", "reads"] == "Aukey, Mpow and Youkeshu were hit."
    assert found.loc["C08 record", "omits"] == "whether they were among the biggest"


def test_a_scorecard_says_once_who_spoke_and_what_two_readings_share(verdicts):
    said = claims.scored([verdicts[name] for name in ("C01 V1", "C01 V2", "C06", "C07 sell")])
    card = answers.scorecard(said)
    assert card["who"].tolist()[:2] == ["Amazon, 17 September 2021", ""]
    quoted = said["quoted"].iloc[0]
    assert card["said"].iloc[0] == f"{quoted} We read: {said['reads'].iloc[0]}"
    assert card["said"].iloc[1] == said["reads"].iloc[1]
    assert card["said"].iloc[2] == f"{said['quoted'].iloc[2]} Left out: “merchants”."
    assert all(card["change"].str.count(r"\.$") == 1)
    assert answers.said_in(said)["claim_id"].tolist() == ["C01", "C06", "C07"]


def test_what_only_its_author_states_is_not_shown_whoever_speaks(verdicts):
    ledger = claims.readings().set_index("claim_id")
    for claim, author in (("C03", "vice-president"), ("C06", "trade group"), ("C12", "filing")):
        assert ledger.loc[claim, "kind"] == "stated"
        assert verdicts[claim].why.startswith(f"Only {verdicts[claim].party} gives a figure.")
        assert author in verdicts[claim].why
        assert verdicts[claim].meaning == MEANING[NOT_SHOWN]
    assert "about 130 million" in verdicts["C12"].statement
    claimed, filed = listed.frozen("Youkeshu")
    assert (claimed, filed) == (130, 130)
    assert (
        claims.judge("C12", finding=claims.Finding(claimed=claimed, published=figures(filed))).word
        == SUPPORTED
    )


def test_the_reason_follows_the_word():
    wide = (-16.1, 2.8)
    narrow = (-0.5, 0.3)
    cases = [(2.0, wide), (20.0, wide), (2.0, narrow)]
    reasons = [
        claims.judge("C01", "V2", claims.Finding(interval=given, margin=margin)).why
        for margin, given in cases
    ]
    assert reasons[0].startswith("The range includes slowdowns both within and beyond the margin.")
    assert reasons[1].startswith("Even the lower end of the range is within the margin.")
    assert reasons[2].startswith("Even the lower end of the range is within the margin.")
    assert all(reason.endswith("We found no public comparison group.") for reason in reasons)


def test_only_a_count_of_the_same_by_another_can_bear_a_count_out():
    own, same = claims.counts_for_claim("C06")
    assert own["counted_by"] == "Shenzhen Cross-Border E-Commerce Association"
    assert [one.by for one in same] == [own["counted_by"]]
    assert set(claims.counts()["definition"]) >= {
        "closed for good",
        "closed or affected",
        "suspended",
    }


def test_counts_stand_in_order_of_publication():
    dates = claims.counts().set_index("event_id")["date"]
    assert dates.is_monotonic_increasing
    assert dates["E011"] == "2021-05"  # of closures of late April


def test_no_more_of_a_fall_can_be_lost_amazon_sales_than_there_were():
    found = listed.most_lost("Youkeshu", 2020)
    assert (found["revenue"], found["amazon"], found["fall"]) == (4749, 1500, 3174)
    assert found["outside"] == 1624  # sales on Amazon are rounded
    assert found["other"] == pytest.approx(100 * 1624 / 3174)
    with pytest.raises(DataError, match="revenue_amazon"):
        listed.most_lost("Jihong", 2020)


def test_leaving_out_the_only_closed_firm_is_not_tried():
    left = listed.leave_one_out(2020, 2023, level=0.95)
    assert "Sunvalley" not in set(left["left_out"])
    assert len(left) == 6


def test_the_jump_before_the_news_is_in_the_paths_and_takes_most_of_the_fall():
    prices = listed.share_prices(FIRST, LAST, level=0.95)
    tiza = "Tiza Information / Youkeshu"
    paths = listed.price_paths(prices).query("event == 'youkeshu'").set_index("day")
    path = paths["value"]
    term = f"{tiza}: youkeshu_2d"
    assert (path.diff().idxmax(), path.diff()[-4]) == (-4, pytest.approx(22.7, abs=0.05))  # 1 July
    # From the eve on, so that after two days the path is at the estimate and its band as wide as
    # the interval
    assert (path[-1], path[1]) == (0, pytest.approx(prices[term].value[0]))
    low, high = prices[term].conf_int[:, 0]
    assert paths.loc[1, ["band_low", "band_high"]].tolist() == pytest.approx(
        [(low - high) / 2, (high - low) / 2]
    )
    net, again = (listed.since(prices, term, f"2021-07-0{day}") for day in (1, 7))
    assert net.value[0] == pytest.approx(path[1] - path[-5])
    assert [f"{net:both}", f"{prices[term]:both}"] == [
        "−5.5 [−16.7 to +5.7] ◐",
        "−17.9 [−28.5 to −7.3] ◐",
    ]
    # From the window's own first day, nothing changes. From the day of the jump on, the jump is no
    # noise.
    assert again.conf_int[:, 0] == pytest.approx(prices[term].conf_int[:, 0])
    assert net.rows["noise"].item() < again.rows["noise"].item()


def test_firms_on_record_hold_what_the_files_say_and_name_events_that_there_are():
    told = listed.firms_on_record().set_index("name")
    events = data.load("events").set_index("event_id")
    amounts = ["revenue_before", "revenue_after", "profit_before", "profit_after"]
    assert told.loc["Youkeshu", amounts].tolist() == [4749, 1575, 417, -1671]
    assert told.loc["Sunvalley", "profit_after"] == -1524
    assert told.loc["Sunvalley", "whose_profit"] == "owner"
    assert told.loc["Aukey", "stores"] == "276 of 318 restricted"
    written = data.load("firms_on_record").set_index("name")
    assert "(E040)" in written.loc["Aukey", "became"]
    assert "(The Verge, July 2021)" in told.loc["Aukey", "became"]
    for row in told.itertuples():
        mine = events.loc[row.events.split()]
        said = " ".join(
            mine["description"]
            + " "
            + mine["quantity"].fillna(0).map("{:.0f}".format)
            + " "
            + mine["date"]
        )
        became = written.loc[row.Index, "became"]
        numbers = set(re.findall(r"\b\d{2,}\b", became)) - {"2021"}
        assert all(number in said for number in numbers), (row.Index, numbers)
        assert {*re.findall(r"E\d{3}", row.became)} <= {
            *row.events.split()
        }  # the report prints them as sources


def test_the_timeline_draws_each_event_on_a_day_of_its_own_date():
    every = claims.closure_timeline(aftermath=True)
    assert (every["first"].is_monotonic_increasing, every["strong"].sum()) == (True, 7)
    for row in every.itertuples():
        assert row.day.startswith(row.date)
        day = f"{row.first.day} {row.first:%B}"
        assert row.when in ("late April", day, f"{day} {row.first.year}")
    closures = claims.closure_timeline()
    assert closures["event_id"].tolist() == every["event_id"].head(len(closures)).tolist()
    assert (closures["first"].dt.year == 2021).all()
    assert set(every["event_type"].tail(3)) == {*claims.AFTERMATH}


def test_a_range_of_a_claim_an_assumption_and_purchases_is_not_called_american_households():
    verdict = of_households()
    page = brief.answers([verdict], read_event("amazon_2021"), "share_unchanged").html
    assert "the trade group&#x27;s claimed loss, assumed ranges and household purchases" in page
    assert "American households" not in page


WHOLE = "In this panel of 9 firms, not representative:"
TOLD = {
    "Supported": "did not cut",
    "Contradicted": "The closures cut",
    "Not shown": "is open",
    NOT_TESTABLE: "not tested",
}


@pytest.mark.parametrize(
    "population", [{}, {"aside": WHOLE}, {"gaps": "Only 3 of 9 sellers have sales."}]
)
@pytest.mark.parametrize("grade", ["", "usable", "do not use"])
@pytest.mark.parametrize("ends", [(0.0, 1.0), (-9.0, -3.0), (-9.0, 9.0), (-3.0, -3.0), None])
@pytest.mark.parametrize("tier", [{}, SIM])
def test_the_figure_says_what_the_verdict_says(tier, ends, grade, population):
    given = (
        OWN | {"aside": ""} | tier | {"interval": ends, "grade": grade, "margin": 2.0} | population
    )
    found = claims.judge("C01", "V2", claims.Finding(**given))
    low, high = ends or (np.nan, np.nan)
    rows = pd.DataFrame({"term": ["all"], "conf_low": [low], "conf_high": [high]})
    figure = words.beside_margin(rows, 2.0, "growth", found)
    assert (population == {} and grade != "do not use" and ends not in ((-3.0, -3.0), None)) == (
        found.word != NOT_TESTABLE
    )
    assert (
        figure == words.NO_INTERVAL
        if ends is None
        else "no width" in figure
        if low == high
        else TOLD[found.word] in figure
    )
    assert sum(text in figure for text in TOLD.values()) <= 1


def test_the_figure_on_page_one_knows_the_word_above_it():
    notebook = project_text("notebooks/panel/03_growth.ipynb")
    assert re.search(r"beside_margin\(ladder, delta_pp, \w+, lower\)", notebook)
