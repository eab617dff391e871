"""Which firms each estimand uses and leaves out: counts that add up, and that are those of the
estimators.
"""

from dataclasses import replace
from fnmatch import fnmatch

import numpy as np
import pytest
from fewtreated.errors import DesignError
from panels import panel_of, sparse_panel

from analysis.estimands.catalogue import estimate_all
from analysis.estimands.changes import estimated
from analysis.estimands.design import Design
from analysis.estimands.samples import LEFT, USED, sample_flow
from market import simulate

DESIGN = Design(base_months=9, cluster="firm")
COUNTED = {  # the columns that `n` of an estimand counts
    **dict.fromkeys(["E1a", "E1b", "E1c", "E1d", "E1e", "E3k_closed"], ("closed",)),
    **dict.fromkeys(["E4a_*", "E4d_*", "E5a_*"], ("closed",)),
    **dict.fromkeys(["E2a", "E2b", "E2a_slope", "E2b_slope"], ("asked about", "compared")),
    **dict.fromkeys(["E3g", "E3g_common"], ("compared",)),
    **dict.fromkeys(["E5b", "E5c_*"], ("asked about",)),
}
SETS = {
    "E3g_seen": (True, True),
    "E3s_seen": (False, True),
    "d1": (False, False),
}  # own origin, home alone


def counted(panel, design):
    """Return the estimands that a panel can carry, by id, and the counts of their firms; none where
    it carries none.
    """
    try:
        design.sample(panel)
    except DesignError:
        return None
    rows = estimate_all(panel, design).rows.dropna(subset="estimate").set_index("id")
    return rows, sample_flow(panel, design).set_index("estimands")


def row_of(name, table):
    (row,) = [
        row for ids, row in table.iterrows() if any(part == name for part in ids.split())
    ] or [row for ids, row in table.iterrows() if any(fnmatch(name, part) for part in ids.split())]
    return row


def assert_counts_are_those_of_the_estimators(panel, design):
    rows, table = counted(panel, design)
    assert (table.sum(axis=1) == len(panel.firms)).all()
    for name, n in rows["n"].items():
        firms = row_of(name, table)
        for pattern, columns in COUNTED.items():
            if fnmatch(name, pattern) and name != "E4a_sales":
                assert firms[[*columns]].sum() == n, name
        if name in SETS:
            counts = estimated(
                panel, design, of_origin=SETS[name][0], home=SETS[name][1]
            ).estimate.counts
            assert firms["closed"] == counts["closed"], name
            assert firms["asked about"] == counts["exposed"], name
            without = counts["newcomers_left_out"] + counts["stopped_left_out"]
            assert firms[list(USED)].sum() + without == counts["firms"], name


@pytest.mark.parametrize("preset", ["mid_3k", "few_treated", "stress"])
def test_firms_used_in_a_market_are_those_of_the_estimators_and_every_firm_is_counted_once(preset):
    panel, _ = simulate(preset, seed=1)
    assert_counts_are_those_of_the_estimators(panel, Design())


def test_entrants_of_a_market_are_those_of_the_estimator():
    rows, table = counted(simulate("mid_3k", seed=1)[0], Design())
    assert row_of("E5d", table)["asked about"] == rows.loc["E5d_slope", "n"]


def test_so_they_are_in_poor_panels_with_gaps_newcomers_and_closures_in_part():
    carried = 0
    for seed in range(12):
        panel = sparse_panel(np.random.default_rng(seed))
        if counted(panel, DESIGN):
            carried += 1
            assert_counts_are_those_of_the_estimators(panel, DESIGN)
    assert carried > 5


def test_a_panel_of_one_platform_has_no_row_of_another():
    panel, _ = simulate("few_treated", seed=1, n_firms=2000, n_categories=30)
    alone = replace(panel, sales=panel.sales[:, :1], platforms=panel.platforms[:1])
    table = sample_flow(alone, Design())
    assert table["estimands"].is_unique
    assert (table["estimands"] != "").all()
    assert not table["estimands"].str.contains("E5c|E4a_EBY").any()


def test_each_reason_is_that_of_the_firm_that_has_it():
    sales = np.full((12, 1, 42), 10.0) * (1 + np.arange(12))[:, np.newaxis, np.newaxis]
    sales[:, :, 28:] *= 1 + 0.01 * np.arange(12)[:, np.newaxis, np.newaxis]
    sales[2, 0, 28:] = np.nan  # closed, and not known in the window
    sales[3, 0, :26] = 0.0  # closed, entered later than the year before
    sales[4, 0, 27] = 0.0  # closed, had stopped
    sales[8, 0, 28:] = 0.0  # not closed, stopped
    closed = dict.fromkeys(range(5), 28) | {5: 28, 6: 41}
    dose = np.where(np.arange(12) == 5, 0.2, 1.0)
    origin = np.where(np.arange(12) == 11, "US", "CN")
    category = np.where(np.arange(12) < 8, "C0", "C1")
    panel = panel_of(sales, closed, dose=dose, origin=origin, category=category)
    table = sample_flow(panel, Design(cluster="firm")).set_index("estimands").loc["E1b"]
    assert table.sum() == len(panel.firms)
    one = {"in part", "later", "origin", "exposed", "unknown", "none before"}
    assert table[["closed", "asked about", "compared", "stopped"]].tolist() == [2, 0, 2, 2]
    assert {name for name in LEFT if table.get(name) == 1} == one
