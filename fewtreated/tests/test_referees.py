"""Group-time effects against fixed-effects regressions of an independent library, and the mistakes
that others make.

Where one cohort is compared with the never treated, a regression with unit and time effects has a
free coefficient for each period of the cohort, and so it must give the group-time effects: least
squares on the level scale, Poisson on the ratio scale. Nothing is shared: the referee demeans long
data, we take means of a dense array.
"""

import numpy as np
import pandas as pd
import pyfixest
import pytest
from fewtreated.errors import DesignError
from fewtreated.estimators.att_gt import att_gt
from pandas.errors import Pandas4Warning

pytestmark = pytest.mark.slow

EXACT = pyfixest.MapDemeaner(fixef_tol=1e-13)
SHAPES = [(60, 2, 1), (80, 6, 3), (50, 5, 1), (40, 7, 6)]  # units, periods, first treated period


def panel(seed, units, periods, first):
    """Return counts times a unit's size, a good part of them zeros, and when each unit is first
    treated.
    """
    rng = np.random.default_rng(seed)
    treated = np.arange(units) % 3 == 0
    mean = (
        2
        * rng.lognormal(sigma=0.3, size=periods)
        * np.where(treated[:, None] & (np.arange(periods) >= first), 0.4, 1)
    )
    y = rng.poisson(mean) * rng.lognormal(size=(units, 1))
    seen = (
        y.sum(axis=1) > 0
    )  # a unit without a sale says nothing about ratios; the referee drops it too
    return y[seen], np.where(treated, float(first), np.inf)[seen]


def long(y, first, cluster=None):
    unit, time = np.indices(y.shape)
    frame = pd.DataFrame({"y": y.ravel(), "unit": unit.ravel(), "time": time.ravel()})
    frame["treated"] = np.isfinite(first)[frame["unit"]].astype(float)
    frame["effect"] = (frame["time"] >= first[frame["unit"]]).astype(float)
    if cluster is None:
        frame["cluster"] = frame["unit"]
    else:
        frame["cluster"] = cluster[frame["unit"]]
    return frame


def grouped(first, size):
    """Return clusters of so many units, of which none holds both treated and untreated ones."""
    cluster = np.empty(len(first), dtype=int)
    for place, side in enumerate((np.isfinite(first), np.isinf(first))):
        cluster[side] = 1000 * place + np.arange(side.sum()) // size
    return cluster


def regression(fit, right, frame, vcov="CRV3", **options):
    """Coefficients and errors of refits without each cluster, as the referee makes them without any
    correction.
    """
    with pytest.warns(Pandas4Warning, match="inplace"):  # the referee's own use of pandas
        found = fit(
            f"y ~ {right} | unit + time",
            frame,
            vcov={vcov: "cluster"},
            ssc=pyfixest.ssc(k_adj=False, G_adj=False),
            demeaner=EXACT,
            **options,
        )
    return found.coef().to_numpy(), found.se().to_numpy()


def held(ours, theirs, clusters, tolerance):
    np.testing.assert_allclose(ours["estimate"], theirs[0], rtol=0, atol=tolerance)
    factor = np.sqrt(
        clusters / (clusters - 1)
    )  # a jackknife's, which without a correction the referee leaves out
    np.testing.assert_allclose(ours["std_error"] * factor, theirs[1], rtol=max(tolerance, 1e-8))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_ratio_scale_equals_poisson_with_unit_and_time_effects(shape):
    y, first = panel(1, *shape)
    assert (y == 0).mean() > 0.05
    ours = att_gt(y, first, scale="ratio").effects.rows
    right = f"i(time, treated, ref={shape[2] - 1})"
    theirs, _ = regression(
        pyfixest.fepois, right, long(y, first), "CRV1", iwls_tol=1e-12
    )  # refits would be slow
    np.testing.assert_allclose(ours["estimate"], theirs, rtol=0, atol=1e-6)


def test_errors_of_the_ratio_scale_are_those_of_poisson_without_each_cluster():
    y, first = panel(1, 60, 3, 1)
    cluster = grouped(first, 6)
    ours = att_gt(y, first, scale="ratio", cluster=cluster)
    theirs = regression(
        pyfixest.fepois, "i(time, treated, ref=0)", long(y, first, cluster), iwls_tol=1e-12
    )
    held(ours.effects.rows, theirs, ours.counts["clusters"], 1e-6)


def test_a_poisson_coefficient_far_from_zero_is_found_without_a_start_value():
    y, first = panel(3, 60, 2, 1)
    y[:, 1] *= np.where(np.isfinite(first), 0.01, 1)
    cluster = grouped(first, 6)
    found = att_gt(y, first, scale="ratio", cluster=cluster)
    assert found.effects.value[0] < -4
    theirs = regression(pyfixest.fepois, "effect", long(y, first, cluster), iwls_tol=1e-12)
    held(found.effects.rows, theirs, found.counts["clusters"], 1e-6)


def test_two_periods_and_two_groups_are_the_two_way_regression():
    y, first = panel(2, 60, 2, 1)
    held(
        att_gt(y, first).effects.rows,
        regression(pyfixest.feols, "effect", long(y, first)),
        len(y),
        1e-8,
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [1, 4])
def test_dynamic_effects_of_one_cohort_equal_the_event_study(shape, size):
    y, first = panel(4, *shape)
    cluster = grouped(first, size)
    ours = att_gt(y, first, cluster=cluster)
    theirs = regression(
        pyfixest.feols, f"i(time, treated, ref={shape[2] - 1})", long(y, first, cluster)
    )
    held(ours.aggregate("dynamic").rows, theirs, ours.counts["clusters"], 1e-8)


@pytest.mark.parametrize("shape", SHAPES)
def test_clusters_of_treated_and_untreated_units_have_the_errors_of_refits(shape):
    y, first = panel(9, *shape)
    cluster = np.arange(len(y)) // 4
    ours = att_gt(y, first, cluster=cluster)
    theirs = regression(
        pyfixest.feols, f"i(time, treated, ref={shape[2] - 1})", long(y, first, cluster)
    )
    held(ours.aggregate("dynamic").rows, theirs, ours.counts["clusters"], 1e-8)


@pytest.mark.parametrize(
    ("scale", "fit", "tolerance"), [("level", "feols", 1e-8), ("ratio", "fepois", 1e-6)]
)
def test_each_cohort_of_a_staggered_panel_is_an_event_study_of_its_own(scale, fit, tolerance):
    y, first = panel(5, 90, 6, 3)
    first = np.where(np.isfinite(first), np.arange(len(y)) % 4 + 1.0, np.inf)
    rows = att_gt(y, first, scale=scale).effects.rows
    if scale == "ratio":
        options = {"iwls_tol": 1e-12, "vcov": "CRV1"}
    else:
        options = {}
    for cohort in np.unique(first[np.isfinite(first)]):
        kept = (first == cohort) | np.isinf(first)
        right = f"i(time, treated, ref={int(cohort) - 1})"
        own = rows[rows["group"] == cohort]
        coefficients, errors = regression(
            getattr(pyfixest, fit), right, long(y[kept], first[kept]), **options
        )
        np.testing.assert_allclose(own["estimate"], coefficients, rtol=0, atol=tolerance)
        if scale == "level":  # of refits of the ratio there would be too many
            np.testing.assert_allclose(
                own["std_error"], errors * np.sqrt(1 - 1 / len(y)), rtol=tolerance
            )


# --- mistakes of other libraries, each of which was seen
# ----------------------------------------


def test_a_unit_with_a_single_untreated_period_does_not_crash_and_counts():
    y, first = panel(6, 60, 4, 2)
    one = int(np.flatnonzero(np.isfinite(first))[0])
    first[one] = 1.0  # a cohort of its own, untreated in the first period only
    found = att_gt(y, first).effects.rows.set_index(["group", "time"])
    never = y[np.isinf(first)]
    for time in (1, 2, 3):
        by_hand = (y[one, time] - y[one, 0]) - (never[:, time] - never[:, 0]).mean()
        assert found.loc[(1, time), "estimate"] == pytest.approx(by_hand, abs=1e-12)
        assert found.loc[(1, time), "n_treated"] == 1


def test_a_horizon_that_nobody_is_seen_at_is_missing_and_never_zero():
    y, first = panel(7, 60, 6, 3)
    y[np.isfinite(first), 5] = np.nan
    found = att_gt(y, first)
    assert np.isnan(found.effects.row("g=3 t=5")["estimate"])
    assert found.aggregate("dynamic").terms[-1] == "1"
    y[np.isfinite(first)] = np.nan
    with pytest.raises(DesignError, match="of 40 usable units, 0 are treated"):
        att_gt(y, first)
