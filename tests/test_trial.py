"""What the documents say of the estimator that the benchmark left out is what its trial found."""

from trial import CELLS, LEFT_OUT, PANELS, TRIED

from analysis import data
from analysis.provenance import ROOT
from market import grading

ROWS = data.load("benchmark_trial").set_index(["cell", "tool"])
LEVEL = 0.95


def test_the_trial_is_whole():
    assert [*ROWS.index] == [(cell, tool) for cell in CELLS for tool in TRIED]
    assert (ROWS["draws"] == PANELS).all()
    assert ROWS.loc[(slice(None), LEFT_OUT.name), "call"].eq(LEFT_OUT.call).all()


def test_ours_was_fitted_to_the_panels_of_the_benchmark():
    import pandas as pd

    ranked = pd.read_parquet(data.DATA / data.card("benchmark")["path"]).set_index(["cell", "tool"])
    for cell in CELLS:
        assert (
            abs(
                ROWS.loc[(cell, "ours_log"), "coverage"]
                - ranked.loc[(cell, "ours_log"), "coverage"]
            )
            < 1e-4
        )


def test_the_page_says_where_it_did_better_by_the_rule_of_the_report():
    better = {}
    for cell in CELLS:
        left_out = ROWS.loc[(cell, LEFT_OUT.name)]
        ours = ROWS.loc[(cell, "ours_log")]
        right = left_out["coverage"] >= LEVEL - grading.LOST
        better[cell] = (
            right and left_out["width"] < ours["width"] and left_out["power"] > ours["power"]
        )
    assert better == {"few_5": False, "few_9": True, "few_19": False}
    page = (ROOT / "docs" / "benchmark.md").read_text(encoding="utf-8")
    assert "With nine brands it does better by the report's rule" in page
    assert "With five and with nineteen they are right too rarely" in page
