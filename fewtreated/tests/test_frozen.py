"""Every public estimator gives the results that it gave when it moved here, to 1e-12."""

import csv

import numpy as np
import pytest
from frozen import GROUPS, TABLE, measured


@pytest.fixture(scope="module")
def stored():
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        (row["case"], row["measure"]): np.array(row["numbers"].split(), dtype=float) for row in rows
    }


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.__name__)
def test_results_are_those_stored(group, stored):
    found = {(case, measure): values for case, measure, values in measured(group)}
    assert found.keys() <= stored.keys()
    for key, values in found.items():
        np.testing.assert_allclose(
            values, stored[key], rtol=1e-12, atol=1e-12, err_msg=" ".join(key)
        )


def test_nothing_stored_is_left_out(stored):
    found = {(case, measure) for group in GROUPS for case, measure, _ in measured(group)}
    assert stored.keys() == found
