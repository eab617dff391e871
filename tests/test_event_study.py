"""Closed firms month by month: event study, cohorts, bands, honest bounds; by hand and against the
truth.
"""

import dataclasses
from dataclasses import replace

import numpy as np
import pytest
from fewtreated.errors import DesignError
from fewtreated.estimate import critical_value
from fewtreated.estimators.att_gt import att_gt
from fewtreated.jackknife import FEWEST_DF
from fewtreated.testing import noninferiority
from panels import (
    FALL,
    MONTHS,
    TRACE,
    WAVES,
    changed,
    closed_in_two,
    panel_of,
    sparse_panel,
    two_waves,
)
from scipy import stats

from analysis.estimands.closed_firms import effect_on_closed, scope
from analysis.estimands.design import Design
from analysis.estimands.event_study import FEWEST, by_cohort, by_month, event_study, honest, stack
from analysis.estimate import refusal
from analysis.numbers import percent_change


@pytest.fixture
def constant():
    return two_waves()


def noisy(panel):
    return replace(
        panel, sales=panel.sales * np.random.default_rng(2).lognormal(0, 0.3, panel.sales.shape)
    )


def test_an_event_study_recovers_a_constant_effect(constant):
    study = event_study(constant, Design())
    month = study.rows["term"].astype(int)
    assert month.tolist() == [k for k in range(-12, 10) if k != -3]
    np.testing.assert_allclose(
        study.rows["estimate"], np.where(month >= 0, np.log(FALL), 0.0), atol=10 * TRACE
    )
    assert study.rows["n"].eq(6).all()
    cohorts = by_cohort(constant, Design()).rows
    assert cohorts["term"].tolist() == ["2021-05", "2021-07", "all waves"]
    np.testing.assert_allclose(cohorts["estimate"], 100 * (FALL - 1), atol=1000 * TRACE)


def test_an_event_study_is_group_time_effects_of_the_same_arrays(constant):
    """Where all firms sell throughout, stacking waves changes nothing against one panel in calendar
    months.
    """
    panel = noisy(constant)
    study = event_study(panel, Design()).rows.set_index("term")
    plain = att_gt(
        panel.total()[:, WAVES[0] - 12 : WAVES[1] + 10],
        panel.first_treated() - WAVES[0] + 12,
        scale="ratio",
        anticipation=2,
    )
    dynamic = plain.aggregate("dynamic").rows.set_index("term")
    both = [name for name in study.index if -12 <= int(name) <= 9]
    columns = ["estimate", "std_error"]
    np.testing.assert_allclose(
        study.loc[both, columns], dynamic.loc[both, columns], rtol=1e-9, atol=1e-12
    )


def test_intervals_of_few_closed_groups_are_student_s_and_there_is_no_band(constant):
    study = event_study(noisy(constant), Design())
    rows = study.rows
    clusters = study.counts["closed_clusters"]
    assert (
        clusters
        == constant.firms.loc[study.details["closed"]["firm"], "brand_group"].nunique()
        == 6
        < FEWEST
    )
    half = (rows["conf_high"] - rows["estimate"]) / rows["std_error"]
    np.testing.assert_allclose(half, stats.t.ppf(0.975, study.df))
    assert study.df.max() == clusters - 1
    assert study.df.min() == FEWEST_DF  # a month in which one firm decides
    assert rows[["band_low", "band_high"]].isna().all(axis=None)
    assert np.isnan(dataclasses.astuple(study.details["pretrend"])).all()


@pytest.fixture(scope="module")
def many():
    """Forty firms closed, of as many groups, and sixty others, on one path but for noise."""
    rng = np.random.default_rng(5)
    sales = np.repeat(rng.lognormal(3, 0.5, 100)[:, np.newaxis, np.newaxis], 42, axis=2)
    sales = np.repeat(sales * rng.lognormal(0, 0.2, sales.shape) / 2, 2, axis=1)
    return panel_of(
        sales,
        dict.fromkeys(range(40), WAVES[0]),
        category=np.where(np.arange(100) < 40, "C0", "C1"),
    )


def of_clusters(panel, number):
    """Return the panel with closed firms in that many groups."""
    brand = [
        f"SIM-G{place % number if place < 40 else 1000 + place}"
        for place in range(len(panel.firms))
    ]
    return replace(panel, firms=panel.firms.assign(brand_group=brand))


def test_there_is_a_band_and_a_test_of_all_months_from_ten_closed_clusters_on(many):
    few, enough = (
        event_study(of_clusters(many, number), Design()) for number in (FEWEST - 1, FEWEST)
    )
    assert (few.counts["closed_clusters"], enough.counts["closed_clusters"]) == (9, 10)
    assert few.rows[["band_low", "band_high"]].isna().all(axis=None)
    assert np.isnan(dataclasses.astuple(few.details["pretrend"])).all()
    wide = (
        (enough.rows["band_high"] - enough.rows["estimate"]) / enough.rows["std_error"]
    ).to_numpy()
    np.testing.assert_allclose(wide, critical_value(enough.covariance, 0.95, df=enough.joint_df))
    assert enough.joint_df <= 9 + 1e-9
    assert wide[0] > critical_value(enough.covariance, 0.95) > stats.norm.ppf(0.975)
    assert np.isfinite(dataclasses.astuple(enough.details["pretrend"])).all()


def before_reference(study):
    """Return values, covariance, and months from the reference, of the months before it."""
    month = np.array(study.terms, dtype=int) - study.details["reference"]
    return study.value[month < 0], study.covariance[np.ix_(month < 0, month < 0)], month[month < 0]


def test_the_paths_before_closure_lie_within_the_smallest_margin_of_an_equivalence_test(many):
    study = event_study(many, Design())
    value, covariance, _ = before_reference(study)
    within = study.details["pretrend"].within
    df = study.joint_df

    def passed(margin):
        tests = [
            noninferiority(sign * one, error, margin=margin, df=df).passed
            for one, error in zip(value, np.sqrt(np.diag(covariance)), strict=True)
            for sign in (1, -1)
        ]
        return all(tests)  # every month against each side; intersection needs no adjustment

    assert passed(within * (1 + 1e-9))
    assert not passed(within * (1 - 1e-9))
    assert within > np.abs(value).max()


def test_the_drift_is_found_four_times_of_five(many):
    """Draw estimates of this covariance, and errors as sure as the study's, around a steady drift
    of that size.
    """
    study = event_study(many, Design())
    _, covariance, month = before_reference(study)
    drift = study.details["pretrend"].drift
    df = study.joint_df
    runs = 20_000
    rng = np.random.default_rng(6)
    error = np.sqrt(np.diag(covariance))
    wide = critical_value(covariance, 0.95, df=df)

    def found(size):
        noise = rng.multivariate_normal(np.zeros(len(month)), covariance, runs)
        t = (noise + size * month) / error / np.sqrt(rng.chisquare(df, (runs, 1)) / df)
        return (np.abs(t) > wide).any(axis=1).mean()

    # .02: the study's own draws are of noise alone, whose errors do not shrink and grow with the
    # drift
    assert found(drift) == pytest.approx(0.8, abs=0.02)
    assert found(drift / 2) < 0.5
    assert found(2 * drift) > 0.99
    assert found(0.0) == pytest.approx(0.05, abs=0.01)


def test_cohorts_have_the_firms_of_the_whole_and_their_totals_add_up(ceiling):
    panel = ceiling[0]
    design = Design()
    rows = stack(panel, design)
    cohorts = by_cohort(panel, design).rows.set_index("term")
    assert cohorts["n"].iloc[:-1].sum() == cohorts.loc["all waves", "n"] == len(rows.closed)
    sold = [
        rows.sales[part.closed, part.month : part.month + rows.end + 1].sum()
        for part in rows.cohorts
    ]
    sold = np.array(sold)
    without = sold / (1 + cohorts["estimate"].iloc[:-1] / 100)
    whole = 100 * (sold.sum() / without.sum() - 1)
    assert cohorts.loc["all waves", "estimate"] == pytest.approx(whole, rel=1e-9)


def test_the_firms_of_the_event_study_are_those_of_the_effect(ceiling):
    panel = ceiling[0]
    design = Design()
    closed = event_study(panel, design).details["closed"]
    assert (
        len(closed)
        == effect_on_closed(panel, design).row("simple")["n"]
        <= design.sample(panel).closed.sum()
    )


def test_firms_that_had_stopped_are_compared_with_no_wave_that_they_did_not_see(constant):
    gone = constant.sales[6:9].copy()
    gone[:, :, WAVES[0] + 1 :] = 0.0  # they see the first wave only, and then vanish
    category = [*constant.firms["category"], "C1", "C1", "C1"]
    rows = stack(
        panel_of(np.concatenate([constant.sales, gone]), closed_in_two(), category=category),
        Design(),
    )
    seen = {cohort.month: set(cohort.firms.tolist()) for cohort in rows.cohorts}
    assert {14, 15, 16} <= seen[WAVES[0]]
    assert not {14, 15, 16} & seen[WAVES[1]]


def test_firms_not_yet_closed_serve_while_they_stay_open(constant):
    early = Design(comparison="not_yet_closed", post_from=0, post_to=0, anticipation=0)
    rows = stack(constant, early)
    assert {firm for cohort in rows.cohorts for firm in cohort.others.tolist()} == {3, 4, 5}
    study = event_study(constant, early)
    assert study.estimand.startswith("E1c")
    assert study.row("0")["estimate"] == pytest.approx(np.log(FALL), abs=10 * TRACE)


def test_firms_closed_after_the_last_month_serve_as_not_yet_closed(constant):
    def closed_too(later):
        return panel_of(constant.sales[:, :, :39], closed_in_two() | later)

    design = Design(comparison="not_yet_closed")
    short = closed_too({6: 41, 7: 41, 8: 40, 9: 39})
    assert short.censored == 4
    # The window ends in month 37, and an effect may begin two months before a closure.
    assert np.flatnonzero(design.sample(short).comparison).tolist() == [6, 7, 8]
    found = effect_on_closed(short, design)
    assert found.estimand.startswith("E1c")
    assert found.row("simple")["estimate"] == pytest.approx(100 * (FALL - 1), abs=1000 * TRACE)
    first, second = stack(short, design).cohorts
    assert set(first.others) == {6, 7, 8}
    assert set(second.others) == {6, 7}  # month 38 is looked at: too near to 40
    assert event_study(short, design).row("8")["estimate"] == pytest.approx(
        np.log(FALL), abs=10 * TRACE
    )
    with pytest.raises(
        DesignError, match="but found none, since the last wave is in 2022-04, month 11"
    ):
        design.sample(closed_too({9: 39}))


def test_the_truth_of_a_simulated_market_lies_in_the_band_of_all_months(ceiling):
    panel, truth = ceiling
    study = event_study(panel, Design())
    true = truth.path(study)
    rows = study.rows
    month = rows["term"].astype(int).to_numpy()
    assert (true[month < -3] == 0).all()
    assert (true[month >= 0] < -0.5).all()
    assert ((rows["band_low"] <= true) & (true <= rows["band_high"])).all()
    cohorts = by_cohort(panel, Design())
    assert list(truth.by_cohort(cohorts)) == list(cohorts.terms)
    for term, value in truth.by_cohort(cohorts).items():
        assert abs(cohorts.row(term)["estimate"] - value) < 4 * cohorts.row(term)["std_error"]


def test_the_truth_of_an_event_study_is_that_of_its_own_firms(ceiling):
    panel, truth = ceiling
    study = event_study(panel, Design())
    half = study.details["closed"].iloc[::2]
    other = replace(study, details={**study.details, "closed": half})
    assert not np.allclose(truth.path(study), truth.path(other))
    assert np.isnan(truth.path(refusal("one group"))).all()
    assert truth.by_cohort(refusal("one group")) == {}


def test_an_event_study_is_drawn_in_per_cent_beside_its_truth(ceiling):
    panel, truth = ceiling
    study = event_study(panel, Design())
    rows = by_month(study, truth.path(study))
    assert rows["month"].tolist() == [int(term) for term in study.terms]
    np.testing.assert_allclose(rows["estimate"], percent_change(study.value))
    np.testing.assert_allclose(rows[["conf_low", "conf_high"]].T, percent_change(study.conf_int))
    np.testing.assert_allclose(rows["truth"], percent_change(truth.path(study)))
    assert by_month(study)["truth"].isna().all()


def test_honest_bounds_widen_from_the_confidence_interval_to_the_breakdown_value(ceiling):
    study = event_study(ceiling[0], Design())
    bounds = honest(study)
    month = np.array(study.terms, dtype=int)
    inside = (month >= 4) & (month <= 9)
    by_month = honest(replace(study, design=Design(post_to=8)))  # five months are no quarters
    base = np.isin(month, (-5, -4)) / 3  # of the quarter that ends with the reference, month -3
    for found, weights in ((bounds, inside / 6 - base), (by_month, (inside & (month < 9)) / 5)):
        middle = weights @ study.value
        error = np.sqrt(weights @ study.covariance @ weights)
        plain = middle + stats.t.ppf(0.975, study.joint_df) * np.array(
            [-error, error]
        )  # where nothing drifts
        np.testing.assert_allclose(
            found.rows.iloc[0][["conf_low", "conf_high"]].to_numpy(float), plain
        )
    assert (bounds.details["period"], by_month.details["period"]) == ("quarter", "month")
    width, wider = (np.diff(found.conf_int[:, -1].astype(float)) for found in (bounds, by_month))
    assert width < 0.7 * wider  # at the largest step before
    assert bounds.rows["conf_high"].is_monotonic_increasing
    assert np.isnan(bounds.value).all()
    assert not bounds.refused
    at_breakdown = honest(study, drifts=(bounds.details["breakdown"],))
    assert at_breakdown.rows["conf_high"].iloc[0] == pytest.approx(0.0, abs=1e-6)
    assert bounds.details["truth"] is None
    true = ceiling[1].path(study)
    assert honest(study, truth=true).details["truth"] == pytest.approx(
        percent_change(true[inside].mean())
    )


def test_honest_bounds_of_a_window_after_the_last_month_are_refused(constant):
    short = replace(constant, sales=constant.sales[:, :, :36], months=MONTHS[:36])
    study = event_study(short, Design(post_to=5))
    why = honest(replace(study, design=Design(post_from=6))).reason
    assert (
        "the event study ends in month 5, before the window begins; set post_from to 5 or less"
        in why
    )


def test_months_without_error_are_in_no_test_before_closure(many):
    """Here closed and other firms move alike to the last digit but for one month."""
    sales = np.repeat(many.sales[:, :, :1], 42, axis=2)
    still = replace(many, sales=sales.copy())
    sales[:3, :, WAVES[0] - 8] *= 1.5
    sales[:3, :, WAVES[0] :] *= FALL
    study = event_study(replace(many, sales=sales), Design())
    month = study.rows.set_index("term").loc["-8"]
    t = month["estimate"] / month["std_error"]
    assert study.details["pretrend"].largest_t == pytest.approx(t)
    assert study.details["pretrend"].p_value == pytest.approx(
        2 * stats.t.sf(t, study.joint_df), abs=0.015
    )
    assert np.isnan(event_study(still, Design()).details["pretrend"].p_value)


def test_bounds_end_before_a_month_in_which_one_cluster_alone_sold(many):
    def stopping(sales):
        sales[1:40, :, WAVES[0] + 6] = 0.0

    study = event_study(changed(many, stopping), Design())
    whole = event_study(many, Design())
    lacking = study.terms.index("6")
    assert np.flatnonzero(np.isnan(study.std_error)).tolist() == [lacking]
    # Months before it are as they were, but for the degrees of freedom of all months together.
    np.testing.assert_allclose(study.value[:lacking], whole.value[:lacking], rtol=1e-9)
    early, known = (
        honest(replace(one, design=Design(post_from=0, post_to=5))).conf_int
        for one in (study, whole)
    )
    assert np.isfinite(early).all()
    np.testing.assert_allclose(early, known, rtol=0.05)
    assert (
        "month 6 has no standard error, because only one cluster sold anything then; end"
        in honest(study).reason
    )


def test_a_wave_without_comparison_has_no_estimate_and_the_others_have_theirs(constant):
    def pausing(sales):
        sales[6:, :, WAVES[1]] = 0.0  # nobody not closed is in business in July

    found = by_cohort(changed(constant, pausing), Design())
    assert np.isfinite(found.row("2021-05")["estimate"])
    assert np.isnan(found.row("2021-07")["estimate"])
    assert "without comparison firms have no estimate" in found.reason


@pytest.mark.parametrize("seed", [172, 1046])
def test_an_event_study_of_nobody_is_refused(seed):
    """In sparse panels no closed firm may have sold before, or no firm be known in all months."""
    rng = np.random.default_rng(seed)
    panel = sparse_panel(rng)
    last = int(rng.integers(0, 4))
    base = int(rng.integers(6, 13))
    low = float(rng.choice([0.02, 0.1, 0.3]))
    design = Design(post_from=0, post_to=last, base_months=base, low=low)
    assert (
        "closed firms (0) form fewer than two clusters"
        in event_study(panel, design, where=scope(panel)).reason
    )
