"""What a panel does not hold is not estimable: each estimand has an error above zero, or says what
is missing.
"""

from dataclasses import replace

import numpy as np
import pytest
from panels import changed

from analysis.estimands import closed_firms, event_study
from analysis.estimands.catalogue import estimate_all
from analysis.estimands.closed_firms import cross_checks
from analysis.estimands.design import Design
from analysis.estimands.displacement import lost_sales
from analysis.estimands.growth import effect_in_parts
from market import simulate

ELSEWHERE = r"E1[acde]|E4a.*|E4d.*|d[3-6]"
OTHERS = r"E2b.*|E3s_seen|E3g|E3g_common|E4b_other|E4e.*|E5c.*|d2"


@pytest.fixture(scope="module")
def panel():
    return simulate("ceiling_50k", seed=2, n_firms=2000, n_categories=30)[0]


def at_home(panel):
    return replace(panel, sales=panel.sales[:, :1], platforms=panel.platforms[:1])


def of_one_origin(panel):
    firms = (panel.firms["origin"] == "CN").to_numpy()
    return replace(panel, sales=panel.sales[firms], firms=panel.firms[firms])


@pytest.mark.parametrize(
    ("poor", "lacking", "said"),
    [
        (
            at_home,
            ELSEWHERE,
            (
                "only sales on AMZ|the panel covers AMZ, but not EBY, ALI; add sales there|no such"
                " platform in the data"
            ),
        ),
        (
            of_one_origin,
            OTHERS,
            "add sellers from other origins|no firm of other origins is exposed",
        ),
    ],
)
def test_what_a_panel_of_one_platform_or_origin_lacks_is_refused_and_nothing_has_an_error_of_0(
    panel, poor, lacking, said
):
    rows = estimate_all(poor(panel), Design()).rows
    asked = rows["id"].str.fullmatch(lacking)
    assert asked.sum() > 8
    assert rows.loc[asked, ["estimate", "std_error", "conf_low"]].isna().all(axis=None)
    assert rows.loc[asked, "reason"].str.contains(said).all()
    told = rows["std_error"] > 0
    assert told[~asked].sum() > 20
    assert (told | (rows["std_error"].isna() & (rows["reason"] != ""))).all()


def test_a_panel_of_the_home_platform_is_asked_for_sales_there(panel):
    poor = at_home(panel)
    where = closed_firms.scope(poor)
    assert (where, closed_firms.scope(panel)) == ("home", "all")
    effect = closed_firms.effect_on_closed(poor, Design(), where=where)
    for rows in (
        cross_checks(poor, Design(), where=where),
        closed_firms.comparisons(poor, Design(), where=where),
    ):
        row = rows[rows["id"] == "E1b"].iloc[0]
        assert row["estimate"] == pytest.approx(effect.value[0])
    study = event_study.event_study(poor, Design(), where=where)
    assert study.estimand.startswith("E1b")
    assert event_study.by_cohort(poor, Design(), where=where).estimand == "E1b by wave"
    assert closed_firms.placebo(poor, Design(), where=where).estimand == "E1b, a year before"
    assert (
        closed_firms.smallest_effect(poor, Design(), draws=99).estimand
        == "E1b, smallest effect seen"
    )
    assert "only sales on AMZ" in event_study.event_study(poor, Design()).reason


def test_lost_sales_of_a_panel_of_the_home_platform_are_left_over_and_not_moved(panel):
    found = lost_sales(at_home(panel), Design())
    assert np.isnan(found[["d3", "d4", "d5", "d6", "there"]].value).all()
    assert found[["d1", "d2", "d7"]].value.sum() == pytest.approx(found["sum"].value[0])


def test_without_zeros_nobody_is_seen_to_stop_or_to_start(panel):
    def unknown(sales):
        sales[sales == 0] = np.nan

    holed = changed(at_home(panel), unknown)
    found = effect_in_parts(holed, Design())
    assert np.isnan(found[["exit", "entry"]].value).all()
    assert "not read as 0 (set `absent` in the map)" in f"{found['entry']:all}"
    assert (
        estimate_all(holed, Design(), ["E3k_exit", "E3k_entry", "E5d_slope"])
        .rows["estimate"]
        .isna()
        .all()
    )


def test_an_error_of_zero_is_never_stated(panel):
    """Nobody sells on EBY: closed firms moved nothing there, and nothing of chance can be said of
    it.
    """

    def absent(sales):
        sales[:, 1] = 0.0

    found = estimate_all(changed(panel, absent), Design(), ["E4a_EBY", "d3", "E4d_EBY"])
    assert [one.bounds(one.terms[0]) for one in found.values()] == [None] * 3
    assert found.rows["estimate"].isna().all()
    assert found.rows["reason"].str.contains("a standard error of zero would be meaningless").all()
