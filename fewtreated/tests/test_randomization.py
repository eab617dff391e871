"""Reassigning treatment among clusters, beside least squares with a dummy for each unit and period,
and on panels without an effect.
"""

import numpy as np
import pandas as pd
import pytest
from fewtreated.errors import DesignError
from fewtreated.estimators.randomization import randomization_did
from numpy import inf

import fewtreated as ft

FIRST = np.repeat([3.0, 5.0, *[inf] * 8], 2)  # two of ten clusters of two units
CLUSTER = np.repeat(np.arange(10), 2)
NAMES = {"outcome": "y", "unit": "unit", "time": "time", "first_treated": "first"}


def panel(seed=0, effect=0.0, lost=0.0, first=FIRST, cluster=CLUSTER, periods=8):
    """Return outcomes with lasting shocks to clusters, some of them missing."""
    rng = np.random.default_rng(seed)
    clusters = cluster.max() + 1
    shocks = rng.normal(size=(clusters, periods)).cumsum(axis=1)[cluster]
    y = shocks + rng.normal(size=(len(first), periods))
    y += effect * (np.arange(periods) >= first[:, np.newaxis])
    y[rng.random(y.shape) < lost] = np.nan
    return y


def by_dummies(y, d, outcome):
    """Return the coefficient on `d` of a regression with a dummy for each unit and period."""
    seen = np.isfinite(y)
    unit, time = np.nonzero(seen)
    dummies = [
        unit[:, np.newaxis] == np.arange(len(y)),
        time[:, np.newaxis] == np.arange(y.shape[1]),
    ]
    x = np.column_stack([d[seen], *dummies]).astype(float)
    return np.linalg.lstsq(x, outcome[seen], rcond=None)[0][0]


def treatment(first, periods=8):
    return (np.arange(periods) >= first[:, np.newaxis]).astype(float)


@pytest.mark.parametrize("lost", [0.0, 0.2])
def test_the_estimate_and_its_ranks_are_those_of_least_squares(lost):
    y = panel(effect=-2.0, lost=lost)
    found = randomization_did(y, FIRST, cluster=CLUSTER, draws=50)
    rng = np.random.default_rng(1)
    dates = np.full(10, inf)
    expected = []
    for picked in [[0, 1], *(rng.permutation(10)[:2] for _ in range(50))]:
        dates[:] = inf
        dates[picked] = 3.0, 5.0
        expected.append(by_dummies(y, treatment(dates[CLUSTER]), y))
    np.testing.assert_allclose(found.details["draws"], expected, rtol=1e-9, atol=1e-12)
    assert found.value[0] == pytest.approx(expected[0])
    assert found.columns["rank"] == [np.sum(np.array(expected) < expected[0] - 1e-9) + 1]
    assert found.columns["p_two_sided"] == [
        np.mean(np.abs(expected) >= abs(expected[0]) * (1 - 1e-9))
    ]


def test_the_interval_has_the_effects_that_are_not_rejected():
    y = panel(seed=3, effect=-2.0)
    ends = randomization_did(y, FIRST, cluster=CLUSTER, draws=199, level=0.9).conf_int[:, 0]

    def p_value(effect):
        less = y - effect * treatment(FIRST)
        found = randomization_did(less, FIRST, cluster=CLUSTER, draws=199)
        return found.columns["p_two_sided"][0]

    for end, outwards in zip(ends, (-1, 1), strict=True):
        assert p_value(end - outwards * 1e-6) > 0.1 >= p_value(end + outwards * 1e-6)


def test_without_an_effect_one_of_twenty_intervals_misses_zero():
    missed = 0
    for seed in range(600):
        low, high = randomization_did(panel(seed), FIRST, cluster=CLUSTER, draws=199).conf_int[:, 0]
        missed += not low <= 0 <= high
    assert abs(missed / 600 - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 600)


def test_one_treated_cluster_is_compared_with_each_of_the_others():
    first = np.repeat([3.0, *[inf] * 24], 2)
    cluster = np.repeat(np.arange(25), 2)
    y = panel(effect=-20.0, first=first, cluster=cluster)
    found = randomization_did(y, first, cluster=cluster)
    assert len(found.details["draws"]) == 25
    assert found.columns["p_two_sided"] == [1 / 25]
    assert np.isfinite(found.conf_int).all()
    few = randomization_did(y[:12], first[:12], cluster=cluster[:12])
    assert np.isnan(few.conf_int).all()
    assert few.reason.endswith("no 95% interval, since no p-value is small enough")


def test_a_frame_gives_the_numbers_of_the_arrays_and_its_own_names():
    y = panel(lost=0.1)
    unit, time = np.indices(y.shape).reshape(2, -1)
    data = pd.DataFrame({"unit": unit, "time": 2010 + time, "y": y.ravel(), "owner": CLUSTER[unit]})
    data["first"] = 2010 + FIRST[unit]
    data = data.dropna().sample(frac=1, random_state=1)
    found = ft.randomization_did(data, **NAMES, cluster="owner", absent="missing", draws=99)
    expected = randomization_did(y, FIRST, cluster=CLUSTER, draws=99)
    assert found.value == pytest.approx(expected.value)
    assert found.columns == expected.columns
    assert found.unit == "units of y"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"first_treated": np.full(20, inf)}, "0 of 10 clusters are treated, but at least one"),
        ({"first_treated": np.full(20, 3.0)}, "10 of 10 clusters are treated"),
        (
            {"first_treated": np.append(4.0, FIRST[1:])},
            "in 1, such as 0, units are first treated at different times, or only some",
        ),
        ({"draws": 0}, "Cannot draw 0 reassignments: pass draws = 1 or more, such as 999"),
        ({"draws": 9.5}, "Cannot use draws = 9.5: it is not a whole number"),
        ({"level": 95.0}, "Cannot use level = 95.0"),
        ({"cluster": CLUSTER[:4]}, "Cannot match units: the shapes are y (20, 8)"),
        (
            {
                "y": np.where(np.arange(8) < 5, 1.0, np.nan) * np.ones((20, 1)),
                "first_treated": np.repeat([6.0, *[inf] * 9], 2),
            },
            "nothing is left of that of 10 assignments; drop clusters",
        ),
    ],
)
def test_what_cannot_be_reassigned_is_refused(options, says):
    given = {"y": panel(), "first_treated": FIRST, "cluster": CLUSTER} | options
    with pytest.raises(DesignError) as refused:
        randomization_did(given.pop("y"), given.pop("first_treated"), **given)
    assert says in str(refused.value)
