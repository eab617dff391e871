"""How much of Sunvalley's fall the closures of its brands could account for."""

import numpy as np
import pytest
from fewtreated.errors import DesignError

from analysis import data
from analysis.evidence import brand_closures, totals


def test_if_all_brands_closed_on_one_day_all_sales_from_then_on_are_lost():
    day = data.load("events").set_index("event_id").loc["E034", "date"]
    found = brand_closures.accounted_for(50.0, 0.0, amazon=100.0, others_closed=day)
    assert found["lost"] == pytest.approx(100 * totals.rest_of_year(day))
    assert found["of_fall"] == pytest.approx(2 * found["lost"]) == pytest.approx(found["of_gap"])


@pytest.mark.parametrize(("amazon", "june", "all_six"), [(76.54, 25, 65), (100.0, 32, 84)])
def test_june_s_closures_account_for_a_third_at_most_and_all_six_brands_for_most(
    amazon, june, all_six
):
    # The fall and the growth of six comparable sellers, as they were printed first
    of_june = brand_closures.accounted_for(46.02, 27.88, amazon=amazon)
    of_all = brand_closures.accounted_for(
        46.02, 27.88, amazon=amazon, others_closed=brand_closures.OTHERS_CLOSED
    )
    assert of_june["of_gap"] == pytest.approx(june, abs=0.5)
    assert of_all["of_gap"] == pytest.approx(all_six, abs=0.6)
    assert of_june["lost"] == pytest.approx(33 * totals.rest_of_year("2021-06-16"))
    assert of_june["points_grown"] == pytest.approx(of_june["points"] * 1.2788)


def test_draws_of_a_share_give_what_each_of_them_gives():
    amazon = np.array([70.0, 76.54, 100.0])
    drawn = brand_closures.accounted_for(46.02, 27.88, amazon=amazon, brands=33.0)
    for place, part in enumerate(amazon):
        one = brand_closures.accounted_for(46.02, 27.88, amazon=part)
        assert drawn["of_gap"][place] == pytest.approx(one["of_gap"])
    third = brand_closures.accounted_for(46.02, 27.88, amazon=100.0, brands=np.array([33.0, 66.0]))
    assert third["lost"][1] == pytest.approx(2 * third["lost"][0])


def test_all_six_main_brands_are_on_record_as_barred_in_the_year_of_the_first():
    events = data.load("events").set_index("event_id")
    barred = events.loc["E099"]
    stopped = events.loc[brand_closures.STOPPED]
    assert (barred["quantity"], barred["date"]) == (6, stopped["date"][:4])
    assert stopped["date"] < brand_closures.OTHERS_CLOSED


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"fall": -3.0, "missed": 10.0, "amazon": 50.0},
            "fall of -3 per cent: revenue did not fall",
        ),
        (
            {"fall": 40.0, "missed": 10.0, "amazon": 120.0},
            "120 per cent as the part sold on Amazon; choose 0 to 100",
        ),
        (
            {"fall": 40.0, "missed": 10.0, "amazon": 50.0, "brands": np.array([50.0, -1.0])},
            "-1 per cent as the brands' part of sales on Amazon; choose 0 to 100",
        ),
        (
            {"fall": 40.0, "missed": 10.0, "amazon": 50.0, "others_closed": "2022-01-01"},
            "others on 2022-01-01: the year is 2021",
        ),
    ],
)
def test_what_cannot_be_accounted_for_is_refused(asked, message):
    with pytest.raises(DesignError, match=message):
        brand_closures.accounted_for(**asked)
