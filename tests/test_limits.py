"""What public figures cannot carry: every estimand of a report that takes a panel is a row, estimated or not."""

import pytest

from analysis.errors import DesignError
from analysis.evidence import limits
from analysis.numbers import NOT_ESTIMABLE


@pytest.mark.parametrize("report", sorted(limits.MISSING))
def test_each_row_names_an_effect_and_what_is_missing(report):
    rows = limits.out_of_reach(report)
    assert rows["answer"].eq(NOT_ESTIMABLE).all()
    assert list(limits.COLUMNS) == ["id", "effect", "answer", "why"]
    assert rows["why"].str.match(r"[A-Z].*\.$").all()
    assert not rows["id"].duplicated().any()


def test_a_report_without_public_figures_is_refused():
    with pytest.raises(DesignError, match="'07' cannot estimate was asked for; there are 03, 05, 06"):
        limits.out_of_reach("07")
