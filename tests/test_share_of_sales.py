"""A share of one's own: a distribution or a file of draws in place of the published shares."""

import numpy as np
import pandas as pd
import pytest
from fewtreated.errors import DesignError

from analysis.evidence import threshold, totals
from analysis.evidence.share_of_sales import believed

ASSUMED = {"point": 0.40, "low": 0.40, "high": 0.46}
KNOWN = totals.Totals(
    295.0, share=(0.40, 0.46), closed=(1.0, 100 / 6.49), common=(-3.0, 3.0), left=0.7
)
WEIGHED = {"dates": ("2021-04-25", "2021-07-01"), "fall": 2.0}


def test_without_a_text_shares_in_the_range_are_alike_and_published_ones_are_tabulated():
    found = believed(**ASSUMED)
    assert (found.name, found.point, found.range) == ("", 0.40, (0.40, 0.46))
    assert found.draws.mean() == pytest.approx(0.43, abs=1e-3)
    assert (found.draws.min() >= 0.40, found.draws.max() <= 0.46) == (True, True)
    pd.testing.assert_frame_equal(found.table, totals.published_shares())


def test_a_distribution_gives_its_median_and_its_middle_95_per_cent():
    found = believed("norm(0.36, scale=0.02)", **ASSUMED)
    assert found.point == pytest.approx(0.36, abs=1e-3)
    assert found.range == pytest.approx((0.36 - 1.96 * 0.02, 0.36 + 1.96 * 0.02), abs=1e-3)
    assert found.table["share"].tolist() == [found.low, found.point, found.high]
    assert set(found.table["definition"]) == {"drawn from norm(0.36, scale=0.02)"}


def test_a_file_of_draws_is_drawn_from(tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("share\n0.3\n0.3\n0.5\n", encoding="utf-8")
    found = believed(str(file), **ASSUMED)
    assert set(found.draws) == {0.3, 0.5}
    assert found.name == "mine.csv"
    assert np.mean(found.draws == 0.3) == pytest.approx(2 / 3, abs=0.01)
    assert set(found.table["definition"]) == {"drawn from mine.csv"}


def test_the_same_text_gives_the_same_draws():
    one, other = (believed("beta(40, 60)", **ASSUMED) for _ in range(2))
    assert (one.draws == other.draws).all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("norm(0.9, 0.5)", "is not between 0 and 1; choose another distribution"),
        ("poisson(3)", "no continuous distribution poisson"),
        ("norm.rvs(0.4, 0.1)", "it is no call"),
        ("norm(__import__('os'))", "malformed node"),
        ("beta(40, 60, 1, 1, 1)", "write it like beta"),
        ("no_such_file.csv", "it is no call"),
        ("beta(-1, 2)", "write it like beta"),
    ],
)
def test_what_is_no_distribution_of_a_share_is_refused(text, said):
    with pytest.raises(DesignError) as refused:
        believed(text, **ASSUMED)
    assert said in str(refused.value)


@pytest.mark.parametrize("content", ["part\n0.4\n", "share\nhigh\n", "share\n"])
def test_a_file_without_shares_is_refused(tmp_path, content):
    file = tmp_path / "mine.csv"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(DesignError, match=r"mine\.csv: it has no numbers in a column share"):
        believed(str(file), **ASSUMED)


def test_a_share_of_one_s_own_reaches_the_threshold_and_the_weights():
    mine = believed("uniform(0.19, 0.02)", **ASSUMED)
    needed = threshold.by_published_share(295.0, 2.0, days=["2021-04-25"], shares=mine.table)
    half = threshold.by_published_share(295.0, 2.0, days=["2021-04-25"]).query("value == 40")
    year = needed[needed["until"] == "2021-12-31"]["needed"]
    assert year.median() == pytest.approx(half["needed"].iloc[0] / 2, rel=0.01)
    assert totals.by_prior(KNOWN, **WEIGHED, shares=mine.draws) > totals.by_prior(KNOWN, **WEIGHED)


def test_the_usual_draws_give_the_usual_weights():
    usual = totals.by_prior(KNOWN, **WEIGHED)
    drawn = totals.by_prior(KNOWN, **WEIGHED, shares=believed(**ASSUMED).draws)
    assert drawn == pytest.approx(usual, abs=0.5)
