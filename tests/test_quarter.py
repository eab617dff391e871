"""What judges the simulated quarter finds what was told otherwise; `make quarter` runs it."""

from datetime import date

from benchmarks import quarter
from benchmarks.quarter import Day


def test_what_is_told_otherwise_than_it_was_is_found(tmp_path):
    due = quarter.Expected("unchanged", 0, "2021-01-01")
    told = {"outcome": "published", "release": "2021-01-01", "draft": "", "as_of": "2021-01-02", "reports": {}}
    told |= {"changed_words": [], "stale": [], "failures": [], "notes": []}
    run = quarter.Ran(Day(date(2021, 1, 2)), due, 0, told, "2021-01-01")
    assert quarter.untruths(run, "2021-01-01") == ["outcome: 'published' was told, and 'unchanged' is true"]
