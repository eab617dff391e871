"""The project's estimates: what is derived from one keeps its class, design, panel and months, and
its numbers are written with their mark.
"""

from dataclasses import replace

import numpy as np
import pytest
from fewtreated.estimate import Estimate as Result
from fewtreated.estimate import stack_estimates

from analysis.estimate import Estimate, refusal

ORIGIN = {"design": "a design", "digest": "a1b2", "months": "2021", "provenance": "simulated"}
SUMS = np.array([[1.0, 2.0], [2.0, 3.0], [3.0, 5.0]])


def one(value=-0.25, error=0.1, **changes):
    given = {"estimand": "E1a", "unit": "log points", "terms": ("simple",)}
    given |= {"value": np.array([value]), "covariance": np.array([[error**2]])}
    return Estimate(**(given | changes))


def two():
    sums = {"terms": ("a", "b"), "value": SUMS.sum(axis=0), "scores": SUMS}
    return Estimate.of(Result(estimand="sums", unit="yuan", **sums), **ORIGIN)


def ratio(x):
    return {"ratio": x[0] / x[1]}


@pytest.mark.parametrize(
    "derive",
    [
        lambda found: replace(found, level=0.9),
        lambda found: found.at(0.9),
        lambda found: found["a"],
        lambda found: found.exp(),
        lambda found: found.without(np.array([True, False]), "one is gone"),
        lambda found: found.with_set("whole", (0.0, 1.0), "an assumption"),
        lambda found: found.delta_method(ratio, estimand="r", unit=""),
        lambda found: found.jackknife(ratio, estimand="r", unit=""),
        lambda found: stack_estimates({"a": found["a"], "b": found["b"]}, estimand="both"),
        lambda found: found.require().stated,
        Estimate.of,
    ],
)
def test_what_is_derived_from_an_estimate_keeps_its_class_and_origin(derive):
    found = derive(two())
    assert type(found) is Estimate
    assert {name: getattr(found, name) for name in ORIGIN} == ORIGIN


def test_a_result_of_the_library_becomes_an_estimate_with_the_same_numbers():
    result = Result(estimand="s", unit="u", terms=("a", "b"), value=SUMS[0], scores=SUMS, n=3)
    found = Estimate.of(result, months="2021")
    assert (found.months, found.provenance, found.n) == ("2021", "estimate", 3)
    np.testing.assert_array_equal(found.conf_int, result.conf_int)


def test_a_refusal_is_an_estimate_of_the_project():
    assert type(refusal("nobody was closed")) is Estimate
    assert f"{refusal('nobody was closed'):all}".endswith("(nobody was closed)")


def test_an_estimate_is_written_with_its_mark_and_on_request_with_unit_and_interval():
    found = one(unit="per cent", value=-25.0, error=10.0)
    assert f"{found}" == "−25.0 ◐"
    assert f"{found:unit}" == "−25.0 per cent ◐"
    assert f"{found:interval}" == "−44.6 to −5.4 ◐"
    assert f"{found:all}" == "−25.0 [−44.6 to −5.4] per cent ◐"
    assert f"{found:both}" == "−25.0 [−44.6 to −5.4] ◐"
    assert f"{one(provenance='simulated'):unit}" == "−0.250 log points ○"


def test_a_set_is_written_by_its_ends_and_a_refusal_by_its_reason():
    whole = one(unit="per cent", value=-25.0, error=10.0).with_set(
        "whole", (-60.0, 2000.0), "an assumption"
    )["whole"]
    assert f"{whole}" == f"{whole:interval}" == "−60.0 to > +1,000 ◐"
    assert f"{whole:unit}" == f"{whole:all}" == "−60.0 to > +1,000 per cent ◐"
    nothing = one(value=np.nan, covariance=None, reason="no firm was closed")
    for spec in ("", "unit", "interval", "both"):
        assert format(nothing, spec) == "not estimable with this data"
    assert f"{nothing:all}" == "not estimable with this data (no firm was closed)"


def test_a_value_without_interval_says_so_where_the_interval_is_asked_for_and_why_where_all_is():
    found = one(unit="per cent", value=-100.0, covariance=None, reason="nothing was sold")
    assert f"{found}" == "−100.0 ◐"
    assert f"{found:interval}" == f"{found:both}" == "−100.0 ◐ (no interval)"
    assert f"{found:all}" == "−100.0 per cent ◐ (nothing was sold)"
