"""A design: the firms and months that it picks, what it refuses, and that it is asked once."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fewtreated.errors import DesignError
from fewtreated.estimators.att_gt import att_gt
from panels import MONTHS, WAVE, by_hand, panel_of
from small import small

from analysis.estimands.closed_firms import effect_on_closed
from analysis.estimands.design import Design, over_years
from analysis.estimands.event_study import event_study, honest
from analysis.estimands.growth import effect_on_growth
from analysis.estimands.samples import sample_flow
from analysis.study import estimable


def test_a_design_picks_the_months_and_firms_that_it_names():
    sample = Design().sample(by_hand())
    for part, ends in (
        (sample.after, ["2021-09", "2022-02"]),
        (sample.before, ["2020-09", "2021-02"]),
        (sample.base, ["2020-05", "2021-04"]),
    ):
        assert MONTHS[part][[0, -1]].astype(str).tolist() == ends
    assert (sample.window, sample.year_ago) == ("2021-09 to 2022-02", "2020-09 to 2021-02")
    assert np.flatnonzero(sample.closed).tolist() == [0, 1]
    assert np.flatnonzero(sample.comparison).tolist() == [6, 7, 8, 9, 10, 11]
    np.testing.assert_allclose(sample.exposure[2:6], 1 / 3)
    same = Design(comparison="spared_same_category").sample(by_hand())
    assert np.flatnonzero(same.comparison).tolist() == [2, 3, 4, 5]
    early = Design(post_from=0, post_to=1).sample(by_hand())
    assert early.months_closed[:2].tolist() == [1.0, 0.5]


def test_years_are_added_up_over_the_months_known_in_both_and_scaled_if_most_are():
    sales = 10.0 + np.arange(2 * 24).reshape(2, 24)
    years = slice(0, 12), slice(12, 24)
    np.testing.assert_allclose(
        over_years(sales, *years), [sales[:, year].sum(axis=1) for year in years]
    )
    sales[0, [1, 14, 15]] = np.nan
    sales[1, :6] = np.nan
    kept = np.delete(
        np.arange(12), [1, 2, 3]
    )  # a month that is missing in one year is left out of both
    expected = [12 / 9 * sales[0, kept + first].sum() for first in (0, 12)]
    np.testing.assert_allclose(
        over_years(sales, *years), [[each, np.nan] for each in expected]
    )  # half are not most


def test_a_hundredth_of_months_missing_costs_two_of_sixty_closed_firms_and_check_tells_the_rule():
    panel, _ = small()
    sales = panel.sales.copy()
    sales[np.random.default_rng(0).random(sales.shape) < 0.01] = np.nan
    holed = replace(panel, sales=sales)
    used, left = (
        sample_flow(one, Design()).set_index("estimands").loc["E1a E1e", "closed"]
        for one in (panel, holed)
    )
    assert 30 < used - 1 <= left
    whole, found = (effect_on_closed(one, Design()).value[0] for one in (panel, holed))
    assert found == pytest.approx(whole, abs=1.0)
    told = dict(estimable(holed, Design())[0][1].to_numpy().tolist())["years with missing months"]
    assert told.endswith("months known in both years, and scaled up, if these are more than half")


def test_firms_closed_in_part_or_after_the_window_are_in_no_comparison():
    panel = by_hand()
    panel.firms.loc[panel.firms.index[6], ["closed_on", "dose"]] = [pd.Timestamp("2021-05-01"), 0.3]
    panel.firms.loc[panel.firms.index[9], ["closed_on", "dose"]] = [pd.Timestamp("2022-05-01"), 1.0]
    sample = Design().sample(panel)
    assert np.flatnonzero(sample.closed).tolist() == [0, 1]
    assert np.flatnonzero(sample.comparison).tolist() == [7, 8, 10, 11]


def test_closed_firms_cluster_by_brand_group_and_others_by_category_unless_one_is_asked_for():
    panel = by_hand()
    panel.firms["brand_group"] = ["SIM-A", "SIM-A", *(f"SIM-{place}" for place in range(10))]
    mixed = Design(cluster="brand_group").sample(panel).mixed_cluster
    assert mixed[0] == mixed[1]  # closed, of one group
    assert (
        mixed[2:6].tolist() == [mixed[2]] * 4
    )  # of the first category, and not with the closed firms in it
    assert mixed[6:].tolist() == [mixed[6]] * 6
    assert len(np.unique(mixed)) == 3
    for cluster in ("firm", "category"):
        sample = Design(cluster=cluster).sample(panel)
        np.testing.assert_array_equal(sample.mixed_cluster, sample.cluster)


def shaken(seed, shock, *, hit=10):
    """Return 400 firms, 160 of them closed by twos in the first `hit` categories, others in ten;
    each has a shock. Brand groups are in two categories each, if there are several.
    """
    rng = np.random.default_rng(seed)
    firm = np.arange(400)
    closed = firm < 160
    category = np.where(closed, firm % hit, 10 + firm % 10)
    sales = rng.lognormal(sigma=0.3, size=(400, 1, 1)) * np.ones((400, 2, 42))
    after = rng.lognormal(sigma=0.3, size=400) * np.exp(shock * rng.normal(size=20))[category]
    sales[:, :, WAVE:] *= after[:, np.newaxis, np.newaxis]
    brand = [f"SIM-G{one:03d}" for one in np.where(closed, firm // 2, firm)]
    return panel_of(
        sales,
        dict.fromkeys(np.flatnonzero(closed), WAVE),
        category=[f"C{one:02d}" for one in category],
        brand=brand,
    )


def tried(panel, design):
    """Return an estimate, and those by each kind of cluster that it is made of."""
    sample = design.sample(panel)
    found = []
    y = np.column_stack(
        [panel.total()[:, part].sum(axis=1) for part in (sample.before, sample.after)]
    )

    def estimate(code):
        first = np.where(sample.closed, 1.0, np.inf)
        found.append(att_gt(y, first, scale="ratio", cluster=code).aggregate())
        return found[-1]

    return sample.clustered(estimate), found


@pytest.mark.parametrize("shock", [0.0, 0.4])
def test_errors_are_clustered_by_brand_group_and_by_category_at_once(shock):
    summed = 0
    for seed in range(20):
        both, (groups, categories, pairs) = tried(shaken(seed, shock), Design())
        assert both.value == groups.value == categories.value
        variance = groups.std_error**2 + categories.std_error**2 - pairs.std_error**2
        larger = max(groups.std_error[0], categories.std_error[0]) ** 2
        assert both.std_error[0] ** 2 == pytest.approx(max(variance[0], larger), rel=1e-12)
        assert both.df == min(groups.df, categories.df)
        assert both.interval.endswith("clustered by brand group and by category")
        assert np.unique(groups.clusters).size < np.unique(pairs.clusters).size
        summed += variance[0] > 1.01 * larger
    assert summed


def test_a_shock_to_categories_widens_intervals():
    error = {
        shock: np.array([tried(shaken(seed, shock), Design())[0].std_error for seed in range(20)])
        for shock in (0.0, 0.4)
    }
    alone = [tried(shaken(seed, 0.4), Design())[1][0].std_error for seed in range(20)]
    assert (error[0.4] > 1.4 * np.array(alone)).all()
    assert (error[0.4] > error[0.0]).all()


def test_errors_are_clustered_in_one_way_where_asked_or_where_the_other_gives_none():
    for cluster in ("firm", "category"):
        kept, (alone,) = tried(shaken(1, 0.4), Design(cluster=cluster))
        assert kept.std_error == alone.std_error
        assert kept.interval == f"confidence interval, errors clustered by {cluster}"
    one_category = shaken(1, 0.4, hit=1)  # all are closed in it
    kept, (groups, categories, _) = tried(one_category, Design())
    assert np.isnan(categories.std_error).all()
    assert kept.std_error == groups.std_error
    assert kept.interval == "confidence interval, errors clustered by brand group"


def test_the_sample_of_a_design_is_made_once_for_a_panel_and_goes_with_it():
    panel = by_hand()
    sample = Design().sample(panel)
    assert Design().sample(panel) is sample
    assert Design(level=0.9).sample(panel) is not sample
    assert Design().sample(by_hand()) is not sample
    effect_on_growth(panel, Design(cluster="firm"))
    gone = weakref.ref(panel)
    del panel, sample
    gc.collect()
    assert gone() is None


def test_an_estimand_is_made_once_or_has_the_reason_also_of_what_follows_from_it():
    panel = by_hand()
    assert effect_on_closed(panel, Design()).require().row("simple")["n"] == 2
    assert effect_on_closed(panel, Design()) is effect_on_closed(panel, Design())
    assert effect_on_closed(panel, Design(), where="home") is not effect_on_closed(panel, Design())
    alone = replace(panel, firms=panel.firms.assign(brand_group="SIM-G0"))
    study = event_study(alone, Design())
    assert study.refused
    assert "closed firms (2) form fewer than two clusters" in study.reason
    assert event_study(alone, Design()) is study
    assert honest(study) is study
    with pytest.raises(DesignError, match=r"closed firms \(2\) form fewer than two clusters"):
        study.require()


def test_one_name_is_a_name_and_not_its_letters():
    assert Design(destinations="EBY") == Design(destinations=("EBY",))
    assert hash(Design(destinations=["EBY"])) == hash(Design(destinations=("EBY",)))
