"""A few days of the simulated quarter, really run; `make quarter` runs all of it."""

import random
from datetime import date

from benchmarks import quarter
from benchmarks.quarter import CHANGES, Day


def day(number, kind, *, of=0, fault=""):
    when = date(2021, 1, number)
    return Day(when, kind, (lambda world: CHANGES[of][1](world, when)) if of else (lambda world: world), fault)


def test_what_runs_tell_of_changes_and_faults_is_what_was_done(tmp_path):
    days = [
        day(1, "first"),
        day(4, "data", of=3),
        day(5, "a file is cut off", fault="a file of the last release is cut off"),
        day(6, "killed", fault="the runner is killed"),
        day(7, "locked", fault="the folder is locked"),
        day(8, "a cell fails", fault="a cell fails"),
        day(11, "sweep", of=24),
        day(8, "the clock goes back"),
    ]
    quarter.furnish(tmp_path)
    runs, made = quarter.quarter(tmp_path, days, random.Random(1))
    found, beside = quarter.judged(tmp_path, runs, made)
    assert ([*filter(None, found)], beside) == ([], [])
    outcomes = [run.told["outcome"] if run.told else "killed" for run in runs]
    assert outcomes[:3] == ["published"] * 3
    assert outcomes[4:] == ["refused", "failed", "published", "unchanged"]


def test_what_is_told_otherwise_than_it_was_is_found(tmp_path):
    due = quarter.Expected("unchanged", 0, "2021-01-01")
    told = {"outcome": "published", "release": "2021-01-01", "draft": "", "as_of": "2021-01-02", "reports": {}}
    told |= {"changed_words": [], "stale": [], "failures": [], "notes": []}
    run = quarter.Ran(Day(date(2021, 1, 2)), due, 0, told, "2021-01-01")
    assert quarter.untruths(run, "2021-01-01") == ["outcome: 'published' was told, and 'unchanged' is true"]
