"""When a report is due by the calendar."""

from datetime import date, datetime, time, timedelta

import pytest
from desk import cases

from runner.schedule import is_due, last_due

CASES = cases("schedule")
NOON = datetime(2026, 11, 26, 12, 0)  # a Thursday


@pytest.mark.parametrize(("every", "day"), CASES["last_due"])
def test_the_last_day_on_which_a_report_fell_due_is_read_off_the_calendar(every, day):
    assert last_due(every, NOON) == date.fromisoformat(day)


def test_a_report_that_never_stood_is_due_whatever_the_day():
    assert is_due("monthly on last", NOON, None)


@pytest.mark.parametrize(
    "every", ["daily", "weekly on monday", "monthly on 1", "*/5 * * * *", "0 18 * * 4"]
)
def test_a_report_that_has_just_been_made_is_not_due_again_on_that_day(every):
    for hour in (0, 6, 12, 23):
        assert not is_due(every, datetime.combine(NOON, time(hour)), NOON.date())


def test_after_a_gap_of_months_a_report_is_made_once():
    stands = date(2026, 5, 4)
    made = []
    for day in range(10):
        now = NOON + timedelta(days=day)
        if is_due("weekly on monday", now, stands):
            stands = now.date()
            made.append(str(stands))
    assert made == ["2026-11-26", "2026-11-30"]


def test_a_clock_that_goes_back_makes_nothing():
    for stands in (NOON.date() + timedelta(days=1), NOON.date() + timedelta(days=400)):
        assert not is_due("daily", NOON, stands)


def test_a_report_missed_in_the_evening_is_made_up_for_on_the_next_day():
    evening = "0 18 * * *"
    assert not is_due(evening, NOON, date(2026, 11, 25))
    assert is_due(evening, NOON.replace(hour=18), date(2026, 11, 25))
    assert is_due(evening, NOON, date(2026, 11, 24))
