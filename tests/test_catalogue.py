"""Every estimand of a panel in one table: what the verbs say, or why they say nothing."""

import numpy as np
import pytest

from analysis.errors import DesignError
from analysis.estimands.catalogue import estimate_all
from analysis.estimands.closed_firms import effect_on_closed
from analysis.estimands.design import Design
from analysis.estimands.displacement import displacement
from analysis.estimators.power import detectable
from analysis.market import simulate


@pytest.fixture(scope="module")
def panel():
    return simulate("mid_3k", seed=1)[0]


def test_an_estimand_that_a_panel_cannot_carry_has_a_reason_and_no_number(panel):
    found = estimate_all(panel, Design(post_from=0, post_to=2, comparison="not_yet_closed"), ["E1a", "E4a_EBY"])
    rows = found.rows.set_index("id")
    assert rows.loc["E4a_EBY", ["estimate", "std_error", "mde"]].isna().all()
    assert "use comparison='low_exposure'" in rows.loc["E4a_EBY", "reason"]
    assert found["E4a_EBY"].refused


def test_an_estimand_that_is_not_there_is_refused(panel):
    with pytest.raises(DesignError, match="E9 was asked for; there are E1a"):
        estimate_all(panel, Design(), ["E1a", "E9"])


def test_answers_are_what_the_verbs_say(panel):
    found = estimate_all(panel, Design(), ["E1a", "d3"])
    alone = {"E1a": effect_on_closed(panel, Design()).row("simple"), "d3": displacement(panel, Design()).row("d3")}
    for name, row in alone.items():
        assert found.rows.set_index("id").loc[name, "estimate"] == row["estimate"]


def test_the_detectable_effect_is_in_the_unit_and_free_of_the_estimate(panel):
    rows = estimate_all(panel, Design(), ["E1a", "E3g"]).rows
    normal = rows.assign(conf_low=np.nan, conf_high=np.nan)
    logs = rows["std_error"][0] / (100 + rows["estimate"][0])  # of log points
    fall = 100 * (1 - np.exp(-(1.959964 + 0.841621) * logs))
    assert detectable(normal, level=0.95)[0] == pytest.approx(fall, rel=1e-5)
    half = np.log((100 + rows["conf_high"][0]) / (100 + rows["conf_low"][0])) / 2  # Student's, of few closed groups
    fall = 100 * (1 - np.exp(-(1.959964 + 0.841621) * half / 1.959964))
    assert detectable(rows, level=0.95)[0] == pytest.approx(fall, rel=1e-5)
    assert half > 1.959964 * logs
    assert detectable(rows, level=0.95)[1] == pytest.approx((1.959964 + 0.841621) * rows["std_error"][1], rel=1e-5)
