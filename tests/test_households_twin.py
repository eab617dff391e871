"""Twins of the households: what is drawn from a simulated market, what is true of it, and the kept
table of both.
"""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fewtreated.errors import DesignError

from analysis import data, grades
from analysis.estimands.design import Design
from analysis.evidence import households, verdicts
from analysis.evidence.households import Households, Specification
from analysis.parameters import NOTEBOOKS
from analysis.simulated import closures
from market import grading, simulate
from market import simulated_households as twin

SMALL = {"n_firms": 4000, "n_categories": 40}


def truth(preset="ceiling_50k", seed=3, **changed):
    return simulate(preset, seed, **twin.MARKET | changed)[1]


@pytest.fixture(scope="module")
def twins():
    market = truth()
    return {titles: twin.draw(market, titles) for titles in twin.TITLES}


def test_a_group_of_buyers_buys_as_many_things_a_month_as_the_real_one(twins):
    for one in twins.values():
        by = ["month", "buyer_group"]
        bought = one.households.purchases.groupby(by)["purchases"].sum()
        given = one.households.buyers.set_index(by)["purchases"]
        pd.testing.assert_series_equal(bought, given[given > 0].sort_index(), check_names=False)


def test_a_twin_is_the_same_each_time_and_another_of_another_seed():
    first, again, other = (
        twin.draw(truth(seed=seed, **SMALL), twin.TITLES[1]).households for seed in (3, 3, 4)
    )
    pd.testing.assert_frame_equal(first.purchases, again.purchases)
    assert not first.purchases.equals(other.purchases)


def test_titles_that_go_with_time_raise_the_share_of_brands_of_short_life(twins):
    before, after = (
        households.share(twins[titles].households)["change"].value[0] for titles in twin.TITLES
    )
    assert after > before
    true = [twins[titles].true for titles in twin.TITLES]
    assert true[0]["V3"] == pytest.approx(
        true[1]["V3"], abs=0.05
    )  # the truth does not depend on what can be seen
    assert true[0]["E2a"] == true[1]["E2a"] != 0


def test_closures_that_change_nothing_have_no_effect_and_titles_of_another_name_are_refused():
    null = truth("null", **SMALL)
    assert twin.draw(null, twin.TITLES[0]).true["E2a"] == 0
    with pytest.raises(DesignError, match="Cannot use titles = 'some'; choose from all but closed"):
        twin.draw(null, "some")


@pytest.mark.slow
def test_the_kept_table_speaks_of_this_code():
    kept = data.load("household_audit").query("preset == 'floor_3k'").set_index(["titles", "id"])
    rows = pd.DataFrame(
        [row for seed in range(1001, 1009) for row in twin.replicate("floor_3k", seed)]
    )
    bare = rows[~rows["id"].str.endswith(twin.BOUNDED)]
    for (titles, name), found in bare.groupby(["titles", "id"]):
        of = kept.loc[(titles, name)]
        gap = found["estimate"] - found["truth"]
        assert abs(gap.mean() - of["bias"]) < 5 * of["sd"] / np.sqrt(len(gap)), (titles, name)
        assert found["std_error"].mean() == pytest.approx(of["mean_error"], rel=0.2), (titles, name)


def test_grades_of_intervals_with_room_follow_from_coverage_alone():
    kept = data.load("household_audit")
    for row in kept[kept["id"].str.endswith(twin.BOUNDED)].to_dict("records"):
        lost = Design.level - row["coverage"] > grading.LOST_WITH_BOUNDS
        assert row["grade"] == (verdicts.DO_NOT_USE if lost else verdicts.WITH_BOUNDS)
        assert np.isnan(row["bias"])
    for name, grade in (("V3", "do not use"), ("E2a_bounded", "usable with bounds")):
        seen = kept[(kept["titles"] == twin.TITLES[1]) & (kept["id"] == name)].set_index("preset")[
            "coverage"
        ]
        source = f"twins of a market with {closures(seen.idxmin())}"
        assert grades.household_grade(name) == {"grade": grade, "graded": source}


# Room for lost titles


def test_the_room_is_what_the_years_before_can_hide():
    tables = Households.load()
    bounds = households.bounded(tables, 0.1)
    share = households.share(tables)
    early = [
        households.share(tables, Specification(**months)).value
        for months in households.PLACEBOS.values()
    ]
    risen = max(np.log(after / before) for before, after, _ in early)
    first, last, change = share.value
    lowest = last * np.exp(-risen) - first / 0.9
    highest = change
    error = share["change"].bounds("change")[1] - highest
    assert bounds["V3"][1] == pytest.approx(highest + error)
    assert lowest - bounds["V3"][0] == pytest.approx(
        error, rel=0.25
    )  # an error of nearly the same sums
    years = [
        households.exposed(tables, Specification(**months)).value[0]
        for months in households.PLACEBOS.values()
    ]
    moved = max(map(abs, years))
    low, high = households.exposed(tables).conf_int[:, 0]
    assert bounds["E2a"] == pytest.approx((low - moved, high + moved))


def test_without_a_year_before_there_is_no_room_to_be_seen():
    whole = Households.load()
    late = replace(whole, buyers=whole.buyers.query("month >= '2020-06'"))
    with pytest.raises(DesignError, match="purchases begin in 2020-06; add an earlier year"):
        households.bounded(late, 0.1)


def test_the_fortunes_of_sellers_widen_the_error_where_buyers_share_them():
    tables = Households.load()
    shaken = tables.purchases.copy()
    inside = shaken["category"].isin(tables.categories["category"][::2])
    chinese = shaken["origin_class"].isin(["named_chinese", "pseudo_brand"])
    after = shaken["month"].between(*Specification().after)
    shaken.loc[inside & chinese & after, "purchases"] *= (
        3  # half of the categories fare better, for all buyers alike
    )
    other = replace(tables, purchases=shaken)
    calm, wide = (households.exposed(one).std_error[0] for one in (tables, other))
    assert wide > 1.25 * calm


def test_the_list_by_market_has_the_coverage_of_the_kept_one():
    kept = data.load("household_audit")
    shown = twin.by_market(kept)
    of = kept.set_index(["titles", "id", "preset"]).loc[twin.TITLES[1]]
    assert [*shown["term"].unique()] == [*twin.LABELS.values()]
    assert len(shown) == len(of)
    found = shown.set_index(["term", "kind"])["estimate"]
    wanted = 100 * of.loc[("E2a", "floor_3k"), "coverage"]
    assert found[twin.LABELS["E2a"], "small closures"] == pytest.approx(wanted)


def test_one_market_is_shown_in_per_cent_and_points():
    numbers = {"truth": 0.0, "estimate": np.log(1.5), "low": np.log(0.5), "high": np.log(2.0)}
    rows = pd.DataFrame([{"id": name, **numbers} for name in ("E2a_bounded", "V3")])
    effect, share = twin.in_units(rows).to_dict("records")
    assert (effect["term"], effect["unit"]) == ("effect, with room", "per cent")
    wanted = [0.0, 50.0, -50.0, 100.0]
    assert [effect[name] for name in numbers] == pytest.approx(wanted)
    assert share["unit"] == "percentage points"
    assert [share[name] for name in numbers] == [*numbers.values()]


def test_titles_that_are_lost_at_another_rate_change_what_is_seen_and_not_what_is_true():
    market = truth(**SMALL)
    usual, other = (
        twin.draw(market, twin.TITLES[1], **given) for given in ({}, {"lost": (0.0, 0.02, 0.0)})
    )
    assert not usual.households.purchases.equals(other.households.purchases)
    assert usual.true["E2a"] == other.true["E2a"]


def test_notebooks_that_import_the_simulated_market_say_so_in_their_metadata():
    reports = [*NOTEBOOKS.glob("*.ipynb"), *NOTEBOOKS.glob("[mp]*/*.ipynb")]
    texts = {path.name: path.read_text(encoding="utf-8") for path in reports}
    simulates = {
        name
        for name, text in texts.items()
        if json.loads(text)["metadata"].get("market_impact", {}).get("market")
    }
    assert {
        name for name, text in texts.items() if re.search(r"(from|import) market\b", text)
    } == simulates
    assert "05_households.ipynb" not in simulates
