"""No number and no word moves unless it is meant to; `tests/golden.py` says what is held, and
freezes it again.
"""

import golden
import pytest

SECOND = [
    pytest.param(name, marks=pytest.mark.slow) for name in golden.markets() if name.endswith(" 2")
]


@pytest.mark.parametrize(
    "market", [*(name for name in golden.markets() if not name.endswith(" 2")), *SECOND]
)
def test_every_estimate_and_truth_is_what_it_was(market):
    assert golden.differences(golden.collected(market), golden.read(market)) == []


def test_every_result_from_public_figures_and_listed_firms_is_what_it_was():
    assert golden.differences(golden.flat(golden.public()), golden.read("public")) == []


def test_a_number_that_moved_in_the_ninth_digit_is_seen():
    wanted = golden.read("mid_3k 1")
    cell = (
        (wanted["what"] == "estimates") & (wanted["column"] == "estimate") & (wanted["row"] == "0")
    )
    moved = wanted.assign(value=wanted["value"].where(~cell, lambda kept: kept))
    moved.loc[cell, "value"] = repr(float(wanted.loc[cell, "value"].iloc[0]) * (1 + 1e-8))
    assert len(golden.differences(moved, wanted)) == 1
    assert len(golden.differences(wanted[~cell], wanted)) == 1
