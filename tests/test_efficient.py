"""Efficient averages: a referee by matrices of cohorts, invariances, power, and the numbers that R
prints.

The package staggered of R prints its numbers on 7,785 police officers of Chicago
(pj_officer_level_balanced), which no package on PyPI contains and which are not ours to distribute:
the test of them runs where a CSV of the columns uid, period, first_trained and complaints is at
tests/data/pj_officer_level_balanced.csv, and was run when it was written.
"""

import numpy as np
import pandas as pd
import pytest
from datasets import HERE
from fewtreated.estimators.att_gt import att_gt
from fewtreated.estimators.efficient import efficient

OFFICERS = HERE / "pj_officer_level_balanced.csv"


def panel(seed, n=240, width=8, never=True, effect=-0.3):
    rng = np.random.default_rng(seed)
    dates = [3.0, 5.0, 6.0, np.inf if never else 7.0]
    first = rng.permutation(np.repeat(dates, n // 4))
    y = 2 * rng.normal(size=(n, 1)) + rng.normal(size=width) + rng.normal(size=(n, width))
    return y + effect * (np.arange(width) >= first[:, np.newaxis]), first


def by_matrices(y, first, weights):
    """Return Roth and Sant'Anna's estimate, error and share, from means and covariances of cohorts.

    `weights` has the weight of each cohort and period, after and before treatment: float64[2,
    cohort, time].
    """
    value = np.zeros(2)
    covariance = np.zeros((2, 2))
    for cohort, weight in zip(np.unique(first), weights.transpose(1, 0, 2), strict=True):
        own = y[first == cohort]
        value += weight @ own.mean(axis=0)
        covariance += weight @ np.cov(own.T) @ weight.T / len(own)
    share = covariance[0, 1] / covariance[1, 1]
    return value @ [1, -share], np.sqrt([1, -share] @ covariance @ [1, -share]), share


@pytest.mark.parametrize("never", [True, False])
@pytest.mark.parametrize("comparison", ["never", "not_yet"])
def test_it_equals_the_formula_of_the_paper(comparison, never):
    if comparison == "never" and not never:
        return
    y, first = panel(1, never=never)
    study = att_gt(y, first, comparison=comparison)
    cohorts = np.unique(first)
    cells = {}
    for row in study.effects.rows.dropna(subset="estimate").itertuples():
        weight = np.zeros((2, len(cohorts), y.shape[1]))
        if comparison == "never":
            later = np.isinf(cohorts)
        else:
            later = cohorts > max(row.group, row.time)
        for part, time in enumerate((row.time, row.group - 1)):
            weight[part, cohorts == row.group, time] += 1
            weight[part, later, time] -= 1 / later.sum()  # cohorts are of equal size
        cells[row.group, row.time] = weight
    treated = {key: weight for key, weight in cells.items() if key[1] >= key[0]}
    of = {
        "simple": [list(treated)],
        "dynamic": [[key for key in cells if key[1] - key[0] == event] for event in (-2, 0, 1)],
        "group": [[key for key in treated if key[0] == cohort] for cohort in (3, 5, 6)],
        "calendar": [
            [key for key in treated if key[1] == time]
            for time in sorted({key[1] for key in treated})
        ],
    }
    for kind, several in of.items():
        found = efficient(study, kind)
        weights = [np.mean([cells[key] for key in keys], axis=0) for keys in several]
        if kind == "dynamic":
            terms = ["-2", "0", "1"]
        else:
            terms = list(found.terms[: len(several)])
        if kind in ("group", "calendar"):
            weights.append(np.mean(weights, axis=0))
            terms.append("average")
        for term, weight in zip(terms, weights, strict=True):
            value, error, share = by_matrices(y, first, weight)
            place = found.terms.index(term)
            assert found.value[place] == pytest.approx(value, abs=1e-12)
            assert found.std_error[place] == pytest.approx(error, rel=1e-10)
            assert found.details["beta"][place] == pytest.approx(share, rel=1e-9)
        assert list(found.n) == list(study.aggregate(kind).n)


def test_it_covers_and_its_errors_are_shorter_than_of_differences_where_units_differ_little():
    runs = 400
    covered = 0
    ratios = []
    for seed in range(runs):
        y, first = panel(seed, effect=0.0)
        study = att_gt(y - y.mean(axis=1, keepdims=True) * 0.9, first, comparison="not_yet")
        found = efficient(study)
        covered += found.conf_int[0, 0] <= 0 <= found.conf_int[1, 0]
        ratios.append(found.std_error[0] / study.aggregate().std_error[0])
    assert abs(covered / runs - 0.95) < 4 * np.sqrt(0.95 * 0.05 / runs)
    assert np.mean(ratios) < 0.85


@pytest.mark.skipif(
    not OFFICERS.exists(),
    reason="the panel of police officers is not beside the tests; see the top",
)
def test_numbers_that_r_prints_are_reproduced_to_their_last_digit():
    """README of the package staggered 1.2.3: estimates and se_neyman, and staggered_cs for
    differences.
    """
    frame = pd.read_csv(OFFICERS)
    y = frame.pivot(index="uid", columns="period", values="complaints").to_numpy(float)
    study = att_gt(
        y, frame.groupby("uid")["first_trained"].first().to_numpy(float) - 1, comparison="not_yet"
    )
    assert study.aggregate().value[0] == pytest.approx(-0.005176818, abs=5e-10)
    printed = {
        "simple": {"simple": (-0.001126981, 0.002119248)},
        "group": {"average": (-0.001084689, 0.002264876)},
        "calendar": {"average": (-0.00187198, 0.002561472)},
        "dynamic": {
            "0": (3.083575e-04, 0.002650957),
            "1": (2.591678e-03, 0.002621513),
            "5": (7.979656e-04, 0.002727140),
        },
    }
    for kind, terms in printed.items():
        found = efficient(study, kind)
        for term, (value, error) in terms.items():
            place = found.terms.index(term)
            assert [found.value[place], found.std_error[place]] == pytest.approx(
                [value, error], abs=5e-9
            )
