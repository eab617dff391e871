"""Every estimator has the factor and the degrees of freedom of its errors from one jackknife.

Clusters have 1 to 21 units, and two of them hold no treated unit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from fewtreated.estimate import Estimate
from fewtreated.estimators.att_gt import att_gt
from fewtreated.estimators.cross_checks import imputation
from fewtreated.estimators.doubly_robust import doubly_robust
from fewtreated.estimators.exposure import exposure_effects
from fewtreated.estimators.rows import sum_by
from fewtreated.estimators.survival import exit_survival
from fewtreated.estimators.synthetic import synthetic_did
from fewtreated.estimators.units import usable_units
from frozen import UNITS, sales_panel
from scipy import stats

from fewtreated import jackknife

SIZES = (1, 1, 2, 3, 5, 9, 21)
CLUSTER = np.repeat(np.arange(len(SIZES)), SIZES)
ALONE = np.arange(UNITS)
PANEL = sales_panel()
Y = PANEL["y"]
FIRST = np.where(ALONE > 2, PANEL["first"], np.inf)
FIRST[0] = 4.0
TREATED = np.isfinite(FIRST)
SOLD = np.where(CLUSTER[:, np.newaxis] == 4, 0.0, Y)  # a cluster that never sold anything
GONE = np.where(np.arange(30) < 6 + (7 * ALONE % 26)[:, np.newaxis], 1.0, 0.0)


@dataclass(frozen=True)
class Case:
    """An estimator of the units in a mask, its clusters, and how many it counts.

    `exact` is False if the estimator does not estimate everything again.
    """

    of: Callable[[Any], Estimate]
    cluster: Any
    clusters: int
    fewest: int
    exact: bool = True


def adjusted(kind, **options):
    def of(rows):
        given = {name: values[rows] for name, values in options.items()}
        return kind(usable_units(Y[rows], FIRST[rows], cluster=CLUSTER[rows], **given))

    return of


def exposed(cluster):
    share = np.sqrt(cluster + 1) / 4 % 1

    def of(rows):
        return exposure_effects(
            SOLD[rows, 0] + 1 * (SOLD[rows, 0] > 0),
            SOLD[rows, 5],
            share[rows],
            bins=[],
            category=cluster[rows],
        )

    return of


def share_of_sums(rows):
    sums = sum_by(SOLD[rows, :2], CLUSTER[rows], len(SIZES))
    total = Estimate(
        estimand="sums", unit="u", terms=("a", "b"), value=sums.sum(axis=0), scores=sums
    )
    return total.jackknife(lambda x: {"share": x[0] / x[1]}, estimand="share", unit="u")


CASES = {
    "by cohort": Case(
        lambda rows: att_gt(Y[rows], FIRST[rows], cluster=CLUSTER[rows]).aggregate("dynamic"),
        CLUSTER,
        clusters=7,
        fewest=5,
    ),
    "ratios by cohort": Case(
        lambda rows: att_gt(
            SOLD[rows], FIRST[rows], scale="ratio", cluster=CLUSTER[rows]
        ).aggregate(),
        CLUSTER,
        clusters=6,
        fewest=5,
    ),
    "by cohort, units": Case(
        lambda rows: att_gt(Y[rows], FIRST[rows]).aggregate(), ALONE, clusters=42, fewest=13
    ),
    "cells, units": Case(
        lambda rows: att_gt(Y[rows], np.where(FIRST[rows] == 4, np.inf, FIRST[rows])).effects,
        ALONE,
        clusters=42,
        fewest=6,
    ),
    "imputation": Case(adjusted(imputation), CLUSTER, clusters=7, fewest=5),
    "doubly robust": Case(adjusted(doubly_robust), CLUSTER, clusters=7, fewest=5),
    "covariates": Case(
        adjusted(doubly_robust, covariates=PANEL["covariates"]),
        CLUSTER,
        clusters=7,
        fewest=5,
        exact=False,
    ),
    "exposure": Case(exposed(CLUSTER), CLUSTER, clusters=6, fewest=6),
    "survival": Case(
        lambda rows: exit_survival(
            GONE[rows], np.full(rows.sum(), 6.0), TREATED[rows], cluster=CLUSTER[rows]
        ),
        CLUSTER,
        clusters=7,
        fewest=5,
    ),
    "synthetic": Case(
        lambda rows: synthetic_did(Y[rows], TREATED[rows], 3, inference="jackknife"),
        ALONE,
        clusters=42,
        fewest=13,
        exact=False,
    ),
    "sums": Case(share_of_sums, CLUSTER, clusters=6, fewest=6),
}
EVERY = np.ones(UNITS, dtype=bool)
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@pytest.mark.parametrize(
    "case", [case for case in CASES.values() if case.exact], ids=lambda case: case.clusters
)
def test_the_covariance_is_that_of_fits_without_each_cluster(case):
    full = case.of(EVERY)
    changes = [full.value - case.of(case.cluster != one).value for one in np.unique(case.cluster)]
    products = np.transpose(changes) @ np.array(changes)
    expected = (case.clusters - 1) / case.clusters * products
    np.testing.assert_allclose(full.covariance, expected, rtol=1e-8, atol=1e-12)


@cases
def test_the_factor_and_the_count_of_clusters_are_those_of_the_jackknife(case, monkeypatch):
    before = case.of(EVERY)
    counted = []

    def factor(clusters):
        counted.append(int(clusters))
        return 0.25 * (1 - 1 / clusters)

    monkeypatch.setattr(jackknife, "factor", factor)
    np.testing.assert_allclose(case.of(EVERY).covariance, 0.25 * before.covariance, rtol=1e-9)
    assert {*counted} == {case.clusters}


@cases
def test_the_most_degrees_of_freedom_are_those_of_the_jackknife(case, monkeypatch):
    counted = []

    def most_df(clusters):
        counted.extend(np.ravel(clusters).tolist())
        return np.ones_like(clusters)

    monkeypatch.setattr(jackknife, "most_df", most_df)
    found = case.of(EVERY)
    np.testing.assert_array_equal(found.df, 1)
    assert case.fewest in counted
    if "half_width" in found.columns:  # intervals of its own, at least as wide as those of t
        assert (found.columns["half_width"] >= stats.t.ppf(0.975, 1)).all()
