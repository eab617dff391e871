"""What titles of figures say follows the numbers that are drawn."""

import numpy as np
import pandas as pd
import pytest
from test_exhibits_estimates import made

from analysis.evidence.verdicts import USABLE, WITH_BOUNDS
from analysis.exhibits import messages, style


def rows(**ends):
    frame = pd.DataFrame(ends, index=["conf_low", "conf_high"]).T
    return frame.rename_axis("term").reset_index().assign(estimate=frame.mean(axis=1).to_numpy())


BELOW, ABOVE, BOTH, NONE = (-3.0, -1.0), (1.0, 3.0), (-1.0, 1.0), (np.nan, np.nan)


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ({"a": BELOW, "b": BELOW}, "A and b fell"),
        ({"a": ABOVE, "b": BELOW}, "B fell; a rose"),
        ({"a": BELOW, "b": BOTH}, "A fell; no change can be told for b"),
        ({"a": BELOW, "b": NONE}, "A fell"),
        ({"a": NONE}, ""),
        (dict.fromkeys("abcde", BOTH), "No change can be told for any of 5 shares"),
        (dict.fromkeys("abcde", BELOW), "All 5 shares fell"),
        (dict.fromkeys("abcde", BELOW) | {"f": BOTH}, "5 of 6 shares fell; no change can be told for f"),
        ({"a, b": BELOW, "c": ABOVE}, "1 of 2 shares fell; c rose"),
    ],
)
def test_a_direction_is_said_of_what_its_whole_interval_has(ends, said):
    assert messages.by_direction(rows(**ends), noun="shares") == said


def test_numbers_for_who_cannot_see_are_estimates_with_their_intervals_and_sets_have_no_point():
    told = messages.in_numbers(rows(a=BELOW, b=BOTH).assign(estimate=[-2.0, np.nan]), "per cent")
    assert told == "a: −2.0 [−3.0 to −1.0]; b: −1.0 to +1.0; per cent."
    assert messages.values({"a": 1.25, "b": np.nan}, 1) == "a: 1.3; b: –."


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (3.0, "It fell from 5 to 3 points, 2021 to 2022"),
        (7.2, "It rose from 5 to 7 points, 2021 to 2022"),
        (5.4, "It stayed at 5 points, 2021 to 2022"),
        (np.nan, ""),
    ],
)
def test_a_series_is_said_to_move_as_its_written_numbers_do(last, said):
    assert messages.moved("It", pd.Series({2021: 5.0, 2022: last}), 2021, 2022, unit="points") == said
    assert messages.moved("It", pd.Series({2021: 5.0}), 2021, 2022) == ""


def test_sellers_below_where_they_began_are_counted_by_group():
    index = pd.Series({"a": 33.0, "b": 54.0, "c": 150.0, "d": 99.0, "e": np.nan})
    said = "fell at 2 of 2 closed sellers and at 1 of 2 others"
    assert messages.number_below(index, ["a", "b"]) == said
    assert "at none of 2 others" in messages.number_below(index + 10, ["a", "b"])
    assert "at 1 of 2 closed sellers" in messages.number_below(index.replace(54.0, 120.0), ["a", "b"])


def test_a_rank_is_the_lowest_or_a_number():
    assert messages.ranked(1, 28) == "is the lowest of 28"
    assert messages.ranked(4.0, 28) == "ranks 4 of 28"


def test_months_of_an_event_study_are_counted_before_and_since_closure():
    study = rows(a=BOTH, b=ABOVE, c=BELOW, d=BELOW, e=BOTH).assign(month=[-3, -2, 0, 1, 2])
    said = "Closed firms' sales were lower, by more than chance, in 2 of 3 months since closure; "
    assert messages.after_closure(study) == said + "before it they differed in 1 of 2"
    assert messages.after_closure(study.iloc[[0, 4]]).endswith(
        "none of 1 months since closure; before it they differed in none of 1"
    )


def test_parts_are_counted_that_surely_took_something_of_what_was_lost():
    told = "Of 3 places where the lost sales may have gone, "
    assert (
        messages.parts_seen(rows(a=BOTH, b=BOTH, c=BOTH, d=NONE, sum=ABOVE), but="sum") == f"{told}none surely took any"
    )
    some = messages.parts_seen(rows(a=ABOVE, b=BOTH, c=BELOW, sum=ABOVE), but="sum")
    assert some == f"{told}1 surely took any, and 1 surely sold less too"
    assert messages.parts_seen(rows(a=NONE), but="sum") == ""


def test_the_part_that_still_sells_is_that_before_the_horizon():
    curves = pd.DataFrame({"treated": [True, True, False], "month": [0, 12, 0], "survival": [0.4, 0.1, 0.9]})
    lives = made(1.0)
    lives.details["curves"] = curves
    said = "After 12 months 40 per cent of closed firms still sell, and 90 per cent of the others"
    assert messages.still_selling(lives, 12) == said


@pytest.mark.parametrize(
    ("ends", "fall"),
    [
        (BOTH, "It did not fall by more than 2 points: the range is −1.0 to +1.0"),
        ((-4.0, 1.0), "It cannot be told whether it fell by more than 2 points: the range is −4.0 to +1.0"),
        ((-4.0, -3.0), "It fell by more than 2 points: the range is −4.0 to −3.0"),
        ((3.0, 4.0), "It did not fall by more than 2 points: the range is +3.0 to +4.0"),
        (NONE, ""),
    ],
)
def test_beside_a_margin_the_last_row_is_what_counts(ends, fall):
    ladder = rows(first=BELOW, last=ends)
    assert messages.beside_margin(ladder, 2.0, "it") == fall


def test_each_number_of_accounts_gets_its_own_words():
    bars = rows(few=BOTH, some=(-4.0, 1.0), many=(-9.0, -5.0)).assign(accounts=[500, 3_000, 50_000])
    assert messages.by_count(bars, 2.0) == (
        "With 500 accounts closed growth would not fall by 2 points; with 3,000 accounts closed it cannot be told "
        "whether growth would fall by 2 points; with 50,000 accounts closed growth would fall by more than 2 points"
    )


def test_ways_of_asking_are_counted_by_what_they_find_and_those_without_an_interval_are_left_out():
    told = messages.by_ways(rows(a=BELOW, b=BELOW, c=BOTH, d=NONE), fell="lower sales", rose="higher sales")
    assert told == "2 of 3 ways of asking find lower sales, none higher sales, and 1 cannot tell"
    told = messages.by_ways(rows(a=ABOVE), fell="less", rose="more")
    assert told == "None of 1 ways of asking find less, 1 more, and none cannot tell"
    assert messages.by_ways(rows(a=NONE), fell="less", rose="more") == ""


@pytest.mark.parametrize(
    ("placebo", "said"),
    [
        (BOTH, "; a year early, when nothing was closed, none is seen"),
        (BELOW, "; a year early, when nothing was closed, one is seen too"),
        (NONE, ""),
    ],
)
def test_an_effect_asked_otherwise_has_its_range_and_its_placebo(placebo, said):
    asked = rows(asked=BELOW, other=(-5.0, -3.0), refused=NONE, more=ABOVE, placebo=placebo)
    told = "−2.0 per cent as asked, −4.0 to +2.0 when asked in 2 other ways"
    assert messages.asked_otherwise(asked, "per cent") == told + said
    assert messages.asked_otherwise(rows(asked=NONE, other=BELOW, placebo=BOTH), "per cent") == ""


@pytest.mark.parametrize(
    ("ends", "grade", "passed", "real", "simulated"),
    [
        (BELOW, USABLE, True, "Firms have probably sold less.", "Firms would probably have sold less."),
        (ABOVE, USABLE, True, "Firms have probably sold more.", "Firms would probably have sold more."),
        (BELOW, USABLE, False, "Firms may have sold less.", "Firms might have sold less."),
        (BELOW, WITH_BOUNDS, True, "Firms may have sold less.", "Firms might have sold less."),
        (
            BOTH,
            USABLE,
            True,
            "Whether firms have sold less or more cannot be told.",
            "Whether firms would have sold less or more cannot be told.",
        ),
        (NONE, USABLE, True, "", ""),
    ],
)
def test_confidence_in_words_follows_from_interval_grade_and_checks(ends, grade, passed, real, simulated):
    row = {"conf_low": ends[0], "conf_high": ends[1], "grade": grade}
    for market, said in (("", real), ("a market", simulated)):
        style.use("simulated" if market else "estimate", market)
        assert messages.surely(row, "firms", "sold {}", passed=passed) == said


def test_years_of_a_lead_are_named_by_its_sign():
    lead = pd.Series({"2019": 3.0, "2020": -1.0, "2021": -2.0, "2022": 4.0})
    assert (
        messages.outgrew(lead, "others")
        == "outgrew others in 2019 and 2022, but grew less than others in 2020 and 2021"
    )
    assert messages.outgrew(-lead.abs(), "others") == "grew less than others in 2019, 2020, 2021 and 2022"


def test_the_first_assumption_is_named_with_the_ends_of_its_bar():
    bars = pd.DataFrame({"term": ["a", "b"], "at_low": [-1.0, 0.0], "at_high": [-9.0, 1.0]})
    assert messages.widest(bars) == "Most depends on one assumption, a: −9.0 to −1.0 points"


def test_estimates_outside_their_placebos_are_counted():
    fan = pd.DataFrame(
        {"estimate": [1.0, -5.0, 9.0, np.nan], "placebo_low": [0.0, -1.0, np.nan, 0.0], "placebo_high": 3.0}
    )
    assert messages.outside(fan) == "1 of 2 estimates of a break lie outside the range of their own placebos"
    assert messages.outside(fan.tail(1)) == ""


@pytest.mark.parametrize(
    "say",
    [
        messages.by_direction,
        messages.after_closure,
        lambda found: messages.in_numbers(found, "per cent"),
        lambda found: messages.beside_margin(found, 2.0, "it"),
        lambda found: messages.still_selling(found, 12),
        lambda found: messages.parts_seen(found, but="sum"),
    ],
)
def test_of_a_refused_result_nothing_is_said(say):
    assert say(made()) == ""


def test_publishers_are_named_once_and_in_brief():
    named = messages.published("Sina Finance", "Time Weekly (citing 2021 annual report); Sina Finance")
    assert named == "Sina Finance, Time Weekly"
    assert messages.collected("market_car_paths", "seller_stock_returns") == "tszlam/trading"


def test_counts_say_how_far_apart_they_are_and_whether_two_authors_count_the_same():
    told = pd.DataFrame({"value": [11, 300, 50_000], "counted_by": ["A", "A", "B"], "definition": ["x", "x", "y"]})
    assert messages.counted(told) == "3 counts by 2 authors run from 11 to 50,000; no two authors count the same thing"
    assert messages.counted(told.assign(definition="x")).endswith(
        "in 1 of 1 cases several authors count the same thing"
    )


def test_events_that_overlap_the_months_of_the_closures_are_counted():
    ends = pd.DataFrame(
        {"first": ["2021-04-30", "2021-09-30", "2021-10-01"], "last": ["2021-04-30", "2022-01-01", "2021-10-02"]}
    )
    told = messages.falling_into(ends.apply(pd.to_datetime), ["2021-05", "2021-09"], "events")
    assert told == "1 of 3 events fall into the months of the closures"
    assert messages.falling_into(ends.apply(pd.to_datetime), ["2021-06", "2021-07"], "events").startswith("None of 3")
