"""Sentences that a result asks for: what they say of it, and that of a refusal they say nothing."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from analysis.estimands.design import Design
from analysis.estimate import Estimate, refusal
from analysis.evidence import totals
from analysis.evidence.verdicts import CONTRADICTED, NOT_SHOWN, SUPPORTED
from analysis.exhibits import sentences

REFUSED = refusal("nobody was closed")
ROWS = pd.DataFrame(
    {
        "label": ["first", "second", "third"],
        "estimate": [1.0, -8.0, np.nan],
        "conf_low": [-1.0, -9.0, np.nan],
        "conf_high": [3.0, -7.0, np.nan],
        "unit": ["per cent", "per cent", None],
        "mde": [2.8, 1.4, np.nan],
    }
)


pytestmark = pytest.mark.usefixtures("simulated_look")


def found(*terms: str, **changes) -> Estimate:
    value = np.linspace(-3.0, -1.0, len(terms))
    given = {"estimand": "E1a", "unit": "per cent", "covariance": np.eye(len(terms))}
    return Estimate(terms=terms, value=value, **(given | changes))


@pytest.mark.parametrize(
    "say", [lambda it: sentences.breakdown(it, "of x"), sentences.pretrend, sentences.against_margin]
)
def test_of_a_refusal_nothing_is_said(say):
    assert say(REFUSED) == ""


def test_a_truth_is_said_only_where_it_is_known():
    assert sentences.in_truth(-2.0, "per cent") == "In the simulated truth it is −2.0 ○ per cent."
    assert sentences.in_truth(None, "per cent") == sentences.in_truth(np.nan, "per cent") == ""


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ((-3.0, 1.0), "; the interval, −3.0 to +1.0, holds this value."),
        ((-1.0, 1.0), "; the interval, −1.0 to +1.0, misses this value."),
        ((np.nan, np.nan), "."),
        ((), "."),
    ],
)
def test_it_is_said_whether_an_interval_holds_the_truth(ends, said):
    assert (
        sentences.in_truth(-2.0, "per cent", ends, it="sales fell by")
        == f"In the simulated truth sales fell by −2.0 ○ per cent{said}"
    )


@pytest.mark.parametrize(
    ("value", "word", "said"),
    [
        (-3.0, NOT_SHOWN, "the claim is false, but the panel cannot show it"),
        (-3.0, CONTRADICTED, "the panel shows that the claim is false"),
        (-3.0, SUPPORTED, "the claim is false, but the verdict is the opposite"),
        (-1.0, NOT_SHOWN, "the claim is true, but the panel cannot show it"),
        (-1.0, SUPPORTED, "the panel shows that the claim is true"),
        (-1.0, CONTRADICTED, "the claim is true, but the verdict is the opposite"),
    ],
)
def test_a_claim_whose_truth_is_known_is_said_to_be_true_or_false_and_found_or_not(value, word, said):
    told = sentences.tried_out(SimpleNamespace(word=word), value, "per cent", (-4.0, 1.0), it="it is", above=-2.0)
    assert told == f"{sentences.in_truth(value, 'per cent', (-4.0, 1.0))} So in this market {said}."


def test_of_a_claim_whose_truth_is_not_known_nothing_is_said():
    judged = SimpleNamespace(word=NOT_SHOWN)
    assert sentences.tried_out(judged, None, "per cent", (-4.0, 1.0), it="it is", above=0.0) == ""
    assert (
        sentences.tried_out(None, 2.0, "per cent", (), it="it is", above=0.0)
        == "In the simulated truth it is +2.0 ○ per cent."
    )


def test_the_effect_that_a_panel_would_mostly_show_is_said_where_it_is_known():
    below, _, none = (sentences.smallest_seen(row) for row in ROWS.to_dict("records"))
    assert below == "Four of five such panels would show an effect of 2.8 ○ per cent; smaller ones are often missed."
    assert none == ""


def test_closed_firms_that_an_effect_is_not_of_are_counted():
    assert sentences.left_out(23.0, 24).startswith("1 of 24 closed firms cannot be compared, because ")
    assert sentences.left_out(24.0, 24) == sentences.left_out(np.nan, 24) == ""


def test_other_estimates_are_said_by_how_far_they_lie_from_the_first_and_whether_inside_its_interval():
    fourth = ROWS.iloc[:1].assign(label="fourth", estimate=2.5)
    away = "−9.0 ○ percentage points (second); +1.5 ○ percentage points (fourth), inside its interval"
    assert sentences.beside_first(pd.concat([ROWS, fourth])) == f"Away from the first: {away}."
    assert sentences.beside_first(ROWS.iloc[[0, 2]]) == sentences.beside_first(ROWS.iloc[::-1]) == ""


def test_placebos_are_sorted_by_whether_they_exclude_zero_and_sized_against_their_estimates():
    assert sentences.placebos(ROWS, [4.0, 10.0, np.nan]) == (
        "Placebos whose interval excludes zero: second −8.0 ○ [−9.0 to −7.0], 80 per cent of the estimate; "
        "whose interval holds zero: first, 25 per cent of the estimate; whose interval is not there: third."
    )
    assert sentences.placebos(ROWS.head(1), [np.nan]) == "Placebos whose interval holds zero: first."


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            0.42,
            "excludes zero up to a drift from month to month of M* times the largest before closure: the break",
        ),
        (np.nan, "The interval of the mean effect of months 0 to 3 holds zero even with no drift"),
        (np.inf, "excludes zero under every drift"),
    ],
)
def test_the_breakdown_value_decides_what_is_said_of_drift(value, said):
    told = sentences.breakdown(found("0", "1", details={"breakdown": value}), "of months 0 to 3")
    assert said in told
    assert ("M* = 0.42 ○" in told) == (value == 0.42)


def test_months_before_the_reference_are_those_of_the_test_of_the_paths():
    test = SimpleNamespace(largest_t=2.34, p_value=0.0004, within=np.log(1.2), drift=np.log(1.04))
    study = found("-5", "-4", "-2", "0", details={"pretrend": test, "reference": -3})
    told = sentences.pretrend(study)
    assert told.startswith("Before the reference the largest of 2 t statistics is 2.3 (p < 0.001 ")
    assert "paths lay within ±20 ○ per cent, and find a steady drift of 4 ○ per cent a month four times of five" in told


def test_a_study_of_few_clusters_says_how_many_in_place_of_a_test():
    nothing = SimpleNamespace(largest_t=np.nan, p_value=np.nan, within=np.nan, drift=np.nan)
    study = found("-5", "0", details={"pretrend": nothing, "reference": -3}, counts={"closed_clusters": 9})
    assert sentences.pretrend(study) == "Closed firms of 9 clusters: too few for a test or band of all months."


def test_a_margin_is_tested_without_the_common_part_and_at_its_lower_end():
    rungs = found("a", "b", "c", columns={"p_value": [0.9, 0.0123, 0.5]})
    told = "Test of a fall by the margin or more: p = 0.012 without the common part, p = 0.500 at its lower end."
    assert sentences.against_margin(rungs) == told


def test_adjusted_p_values_stand_by_the_names_of_what_is_tested():
    tests = pd.DataFrame({"id": ["x", "y"], "p_adjusted": [0.04, 0.0001]})
    told = "Of no effect, adjusted step by step for their number (Romano and Wolf): sales, p = 0.040; life, p < 0.001."
    assert sentences.adjusted(tests, {"x": "sales", "y": "life"}) == told
    assert sentences.adjusted(refusal("none has an error"), {}) == ""


def test_p_values_of_redraws_stand_beside_the_smallest_that_there_could_be():
    rows = ROWS.assign(p_value=[0.25, 0.02, np.nan], smallest_p=[0.02, 0.01, np.nan])
    told = "first, p = 0.250; second, p = 0.020. The smallest p that so many draws allow is 0.010."
    assert sentences.redraws(rows) == told
    assert sentences.redraws(rows.tail(1)) == "No draw could be compared."


def test_the_fan_says_how_many_estimates_stand_out_from_their_own_placebos():
    fan = totals.fan("2021Q3", 4, level=0.95)
    count = int(fan.rows["outside"].sum())
    assert f"{count} of them lie outside" in sentences.fan(fan)
    first, last = fan.details["placebo_dates"][0], fan.details["placebo_dates"][-1]
    assert f"{first} to {last}. A lead" in sentences.fan(fan)


def test_a_fan_without_room_for_a_placebo_says_so():
    fan = totals.fan("2021Q1", 8, level=0.95)
    assert sentences.fan(fan).endswith("No placebo date leaves room for the 8 quarters after a break.")


def test_what_was_added_up_and_what_was_left_out_are_counted_apart():
    rows = pd.DataFrame({"what": ["accounts", "columns"], "rule": ["added up", "not named"], "count": [3030, 1]})
    assert sentences.as_read(rows) == "When the panel was read: 3,030 accounts: added up; 1 columns: not named."
    assert sentences.as_read(rows.iloc[:0]) == "When the panel was read, nothing was left out."


def test_it_is_said_by_what_errors_are_clustered():
    assert sentences.clustered(Design()) == "by brand group or category, the wider"
    assert sentences.clustered(Design(), rivals=True) == "closed firms by brand group, others by category"
    assert sentences.clustered(Design(cluster="firm"), rivals=True) == "by firm"


def test_a_caption_speaks_of_a_band_only_where_one_is_drawn():
    drawn = found("-1", "0", columns={"band_low": [-4.0, -3.0]})
    few = found("-1", "0", columns={"band_low": [np.nan, np.nan]})
    assert "band" in sentences.of_band(drawn)
    assert sentences.of_band(few) == sentences.of_band(REFUSED) == ""
