"""Closed firms month by month: event study, waves, comparisons, survival, placebo; by hand and against the truth."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import grades
from analysis.effects import att_gt
from analysis.errors import DesignError
from analysis.estimands import Design, checks, effect_on_closed, exits, paths, pick
from analysis.estimands.answers import answers
from analysis.estimands.design import attempt
from analysis.inference import Estimate, simultaneous_factor
from analysis.market import simulate, timelines
from analysis.panel import Panel

PLATFORMS = ("AMZ", "EBY")
MONTHS = pd.period_range("2019-01", periods=42, freq="M")
WAVES = (28, 30)  # May and July 2021
FALL = 0.4  # what closed firms keep
TRACE = 1e-4


def panel_of(sales: np.ndarray, closed_on: dict[int, int], origin: str = "CN") -> Panel:
    dates = pd.Series(pd.NaT, index=range(len(sales)), dtype="datetime64[s]")
    for firm, month in closed_on.items():
        dates[firm] = MONTHS[month].to_timestamp()
    closed = dates.notna().to_numpy()
    firms = pd.DataFrame(
        {
            "brand_group": [f"SIM-G{i}" for i in range(len(sales))],
            "origin": origin,
            "category": np.where(np.arange(len(sales)) < len(closed_on), "C0", "C1"),
            "closed_on": dates.to_numpy(),
            "dose": np.where(closed, 1.0, np.nan),
            "risk": np.nan,
        },
        index=pd.Index([f"SIM-{i:04d}" for i in range(len(sales))], name="firm"),
    )
    return Panel(sales, firms, PLATFORMS, MONTHS, "simulated")


@pytest.fixture
def constant() -> Panel:
    """Six closed firms, three a wave, and eight others, on one path but for a little noise; closed ones keep `FALL`."""
    rng = np.random.default_rng(1)
    size, path = rng.lognormal(3, 1, 14), np.exp(0.02 * np.arange(42) + 0.3 * rng.standard_normal(42))
    sales = np.repeat((size[:, np.newaxis] * path)[:, np.newaxis] / 2, 2, axis=1)
    for firm in range(6):
        sales[firm, :, WAVES[firm // 3] :] *= FALL
    sales *= rng.lognormal(0, TRACE, sales.shape)  # without any there is no error, and so no band
    return panel_of(sales, {firm: WAVES[firm // 3] for firm in range(6)})


@pytest.fixture(scope="module")
def market():
    return simulate("ceiling_50k", seed=1, worlds=("W11", "W00"))


def noisy(panel: Panel) -> Panel:
    noise = np.random.default_rng(2).lognormal(0, 0.3, panel.sales.shape)
    return replace(panel, sales=panel.sales * noise)


def test_an_event_study_recovers_a_constant_effect(constant):
    study = paths.event_study(constant, Design())
    month = study.rows["term"].astype(int)
    assert month.tolist() == [k for k in range(-12, 10) if k != -3]
    np.testing.assert_allclose(study.rows["estimate"], np.where(month >= 0, np.log(FALL), 0.0), atol=10 * TRACE)
    assert study.rows["n"].eq(6).all()
    waves = paths.by_wave(constant, Design()).rows
    assert waves["term"].tolist() == ["2021-05", "2021-07", "all waves"]
    np.testing.assert_allclose(waves["estimate"], 100 * (FALL - 1), atol=1000 * TRACE)


def test_an_event_study_is_group_time_effects_of_the_same_arrays(constant):
    """Where all firms sell throughout, stacking waves changes nothing against one panel in calendar months."""
    panel, design = noisy(constant), Design()
    study = paths.event_study(panel, design).rows.set_index("term")
    plain = att_gt(
        panel.total()[:, WAVES[0] - 12 : WAVES[1] + 10],
        panel.first_treated() - WAVES[0] + 12,
        scale="ratio",
        anticipation=2,
    )
    dynamic = plain.aggregate("dynamic").rows.set_index("term")
    both = [name for name in study.index if -12 <= int(name) <= 9]
    columns = ["estimate", "std_error"]
    np.testing.assert_allclose(study.loc[both, columns], dynamic.loc[both, columns], rtol=1e-9, atol=1e-12)


def test_intervals_and_band_of_few_closed_groups_are_student_s(constant):
    study = paths.event_study(noisy(constant), Design())
    rows = study.rows
    closed = study.details["closed"]["firm"]
    df = constant.firms.loc[closed, "brand_group"].nunique() - 1
    half = (rows["conf_high"] - rows["estimate"]) / rows["std_error"]
    np.testing.assert_allclose(half, stats.t.ppf(0.975, df))
    wide = ((rows["band_high"] - rows["estimate"]) / rows["std_error"]).to_numpy()
    np.testing.assert_allclose(wide, wide[0])
    normal = simultaneous_factor(study.covariance, 0.95, seed=0)
    assert wide[0] > normal > stats.norm.ppf(0.975)
    assert simultaneous_factor(study.covariance, 0.95, seed=0, df=1e6) == pytest.approx(normal, rel=0.02)
    assert simultaneous_factor(np.eye(1), 0.95, seed=0, df=df) == pytest.approx(stats.t.ppf(0.975, df))


def test_the_band_of_a_multivariate_t_covers_as_often_as_it_says():
    rng, df, level = np.random.default_rng(7), 5, 0.9
    joint = 0.5 + 0.5 * np.eye(4)
    factor = simultaneous_factor(joint, level, seed=1, df=df)
    draws = rng.multivariate_normal(np.zeros(4), joint, 20_000) / np.sqrt(rng.chisquare(df, (20_000, 1)) / df)
    assert (np.abs(draws).max(axis=1) <= factor).mean() == pytest.approx(level, abs=0.012)  # four Monte Carlo errors


def test_waves_have_the_firms_of_the_whole_and_their_totals_add_up(market):
    panel, design = market[0], Design()
    rows, waves = paths.stack(panel, design), paths.by_wave(panel, design).rows.set_index("term")
    assert waves["n"].iloc[:-1].sum() == waves.loc["all waves", "n"] == rows.closed.sum()
    after = slice(design.base_months, None)
    sold = np.array([rows.y[rows.closed & (rows.wave == wave)][:, after].sum() for wave in np.unique(rows.wave)])
    without = sold / (1 + waves["estimate"].iloc[:-1] / 100)
    whole = 100 * (sold.sum() / without.sum() - 1)
    assert waves.loc["all waves", "estimate"] == pytest.approx(whole, rel=1e-9)


def test_firms_that_had_stopped_are_compared_with_no_wave_that_they_did_not_see(constant):
    gone = constant.sales[6:9].copy()
    gone[:, :, WAVES[0] + 1 :] = 0.0  # they see the first wave only, and then vanish
    closed_on = {firm: WAVES[firm // 3] for firm in range(6)}
    rows = paths.stack(panel_of(np.concatenate([constant.sales, gone]), closed_on), Design())
    seen = {int(wave): set(rows.firm[rows.wave == wave].tolist()) for wave in WAVES}
    assert {14, 15, 16} <= seen[WAVES[0]]
    assert not {14, 15, 16} & seen[WAVES[1]]


def test_firms_not_yet_closed_serve_while_they_stay_open(constant):
    early = Design(comparison="not_yet_closed", post_from=0, post_to=0, anticipation=0)
    rows = paths.stack(constant, early)
    assert set(rows.firm[~rows.closed].tolist()) == {3, 4, 5}
    study = paths.event_study(constant, early)
    assert study.estimand.startswith("E1c")
    assert study.row("0")["estimate"] == pytest.approx(np.log(FALL), abs=10 * TRACE)


def test_firms_closed_after_the_last_month_serve_as_not_yet_closed(constant):
    design = Design(comparison="not_yet_closed")
    closed_on = {firm: WAVES[firm // 3] for firm in range(6)}
    later = panel_of(constant.sales, closed_on | {6: 41, 7: 41, 8: 40, 9: 39})
    short = replace(later, sales=later.sales[:, :, :39], months=MONTHS[:39])
    assert short.censored == 4
    # The window ends in month 37, and an effect may begin two months before a closure.
    assert np.flatnonzero(pick(short, design).comparison).tolist() == [6, 7, 8]
    found = effect_on_closed(short, design)
    assert found.estimand.startswith("E1c")
    assert found.row("simple")["estimate"] == pytest.approx(100 * (FALL - 1), abs=1000 * TRACE)
    rows = paths.stack(short, design)
    assert set(rows.firm[~rows.closed & (rows.wave == WAVES[0])]) == {6, 7, 8}
    assert set(rows.firm[~rows.closed & (rows.wave == WAVES[1])]) == {6, 7}  # month 38 is looked at: too near to 40
    study = paths.event_study(short, design)
    assert study.row("8")["estimate"] == pytest.approx(np.log(FALL), abs=10 * TRACE)
    sooner = panel_of(constant.sales, closed_on | {9: 39})
    with pytest.raises(DesignError, match="last wave is in 2022-04, month 11, so nobody is left"):
        pick(replace(sooner, sales=sooner.sales[:, :, :39], months=MONTHS[:39]), design)


def test_the_truth_of_a_simulated_market_lies_in_the_band_of_all_months(market):
    panel, truth = market
    study = paths.event_study(panel, Design())
    true, rows = paths.true_path(truth, study), study.rows
    month = rows["term"].astype(int).to_numpy()
    assert (true[month < -3] == 0).all()
    assert (true[month >= 0] < -0.5).all()
    assert ((rows["band_low"] <= true) & (true <= rows["band_high"])).all()
    waves = paths.by_wave(panel, Design())
    for term, value in paths.true_by_wave(truth, waves).items():
        assert abs(waves.row(term)["estimate"] - value) < 4 * waves.row(term)["std_error"]


def test_the_truth_of_an_event_study_is_that_of_its_own_firms(market):
    panel, truth = market
    study = paths.event_study(panel, Design())
    half = study.details["closed"].iloc[::2]
    other = replace(study, details={**study.details, "closed": half})
    assert not np.allclose(paths.true_path(truth, study), paths.true_path(truth, other))
    assert np.isnan(paths.true_path(None, study)).all()
    assert paths.true_by_wave(None, study) == {}


def test_honest_bounds_widen_from_the_confidence_interval_to_the_breakdown_value(market):
    study = paths.event_study(market[0], Design())
    bounds = paths.honest(study, sensitivity=(0.0, 0.5, 1.0))
    inside = study.rows["term"].astype(int).between(4, 9)
    assert bounds.original["estimate"] == pytest.approx(study.rows.loc[inside, "estimate"].mean())
    np.testing.assert_allclose(
        bounds.rows.iloc[0][["conf_low", "conf_high"]], bounds.original[["conf_low", "conf_high"]]
    )
    assert bounds.rows["conf_high"].is_monotonic_increasing
    edge = paths.honest(study, sensitivity=(bounds.breakdown,)).rows["conf_high"].iloc[0]
    assert edge == pytest.approx(0.0, abs=1e-6)


def test_survival_is_that_of_the_firms_followed(constant):
    panel = replace(constant, sales=np.full_like(constant.sales, 10.0))
    panel.sales[0, :, 30:] = 0.0  # lives two months of twelve
    panel.sales[13, :, 33:] = 0.0
    panel.sales[12] = 1.0  # too small to be compared
    found = exits.months_alive(panel, Design())
    lives = exits.survival_of_closed(panel, Design())
    assert int((~lives.units["treated"]).sum()) == 2 * 7
    assert found.row("difference")["estimate"] < 0
    assert found.row("treated")["estimate"] == pytest.approx((5 * 12 + 2) / 6)
    assert found.row("difference")["n"] == 6
    with pytest.raises(DesignError, match="against firms not yet closed were asked for"):
        exits.months_alive(panel, Design(comparison="not_yet_closed", post_from=0, post_to=0, anticipation=0))


def test_months_alive_lie_within_three_errors_of_the_truth(market):
    panel, truth = market
    row = exits.months_alive(panel, Design()).row("difference")
    assert abs(row["estimate"] - truth.scalars()["E1d"]) < 3 * row["std_error"]


def test_a_hazard_of_few_closed_firms_is_found():
    """In this market Newton's first step from zero is so long that the Hessian has no inverse there."""
    lives = exits.survival_of_closed(simulate("mid_3k", seed=17)[0], Design())
    assert 1 < lives.hazard.rows["estimate"].iloc[0] < 4


def test_a_firm_that_comes_back_has_exited_all_the_same():
    """In the truth as in the estimate: three silent months from the second on, and sales again after them."""
    sales = np.ones((1, 1, 42))
    silent = sales.copy()
    silent[0, 0, WAVES[0] + 2 : WAVES[0] + 5] = 0.0
    assert timelines.survival(silent, sales, np.array([WAVES[0]], dtype=float))["E1d"] == 2 - 12
    silent[0, 0, WAVES[0] + 3] = 1.0
    assert timelines.survival(silent, sales, np.array([WAVES[0]], dtype=float))["E1d"] == 0


def test_a_placebo_year_sees_nothing_of_the_closures(constant):
    found = checks.placebo(constant, Design())
    assert found.row("simple")["estimate"] == pytest.approx(0.0, abs=1000 * TRACE)
    changed = replace(constant, sales=np.where(np.arange(42) >= WAVES[0] - 2, 7.0, constant.sales))
    again = checks.placebo(changed, Design()).rows
    pd.testing.assert_frame_equal(again, found.rows)
    for start, design in ((6, Design()), (18, Design(base_months=3))):  # in the second a year early is before the panel
        short = replace(constant, sales=constant.sales[:, :, start:], months=MONTHS[start:])
        assert "narrow the window" in checks.year_before(short, design)["reason"].iloc[0]


def test_a_placebo_year_leaves_out_newcomers(constant):
    """One not closed grows manyfold in that year; had it been closed it would have been another firm by then."""
    sales = constant.sales.copy()
    sales[13, :, : WAVES[0] - 22], sales[13, :, WAVES[0] - 12 :] = 0.0, 50 * sales[13, :, WAVES[0] - 12 :]
    found = checks.placebo(replace(constant, sales=sales), Design())
    assert found.row("simple")["estimate"] == pytest.approx(0.0, abs=1000 * TRACE)


def test_a_firm_closed_in_part_long_before_is_in_no_placebo_year(constant):
    firms = constant.firms.copy()
    firms.loc["SIM-0013", ["closed_on", "dose"]] = [MONTHS[5].to_timestamp(), 0.3]
    found, plain = (checks.placebo(replace(constant, firms=one), Design()) for one in (firms, constant.firms))
    assert found.counts["units"] == plain.counts["units"] - 1


def test_a_placebo_year_keeps_its_months_where_the_first_wave_is_not_in_it(constant):
    sales = constant.sales.copy()
    sales[:3, :, : WAVES[0] - 22] = 0.0  # newcomers, all of the first wave
    sales[:, :, WAVES[0] - 9] *= 3.0  # before the window
    found = checks.placebo(replace(constant, sales=sales), Design())
    assert found.row("simple")["n"] == 3
    picked = pick(*checks.a_year_early(replace(constant, sales=sales), Design(), np.arange(14) >= 3))
    assert MONTHS[picked.after][0] == MONTHS[WAVES[0] - 8]


@pytest.mark.parametrize("preset", ["mid_3k", "ceiling_50k"])
def test_the_intervals_of_a_placebo_year_hold_zero_about_as_often_as_the_audit_says_of_e1a(preset):
    """The placebo is E1a a year early, so its intervals can be no better than the audit finds those of E1a to be.

    In the preset ``null`` nothing falls either. Fewer hits than 99 of 100 such sets of markets have would say that
    paths part a year before.
    """
    seeds = range(1, 31)
    rows = [checks.placebo(simulate(preset, seed, worlds=())[0], Design()).rows.iloc[0] for seed in seeds]
    held = sum(row["conf_low"] <= 0 <= row["conf_high"] for row in rows)
    audited = grades.read().set_index(["preset", "id"]).loc[("null", "E1a"), "coverage"]
    assert 0.8 < audited < 1
    assert held >= stats.binom.ppf(0.01, len(seeds), audited)


def test_three_comparisons_say_which_effect_they_are_and_why_one_is_absent(constant):
    design = Design(anticipation=0)
    rows = checks.comparisons(constant, design, lambda start, end: {"E1a": -60.0 - end}).set_index(
        ["window", "comparison"]
    )
    late, early = rows.loc["months 4 to 9"], rows.loc["months 0 to 1"]
    assert "nobody is left" in late.loc["not_yet_closed", "reason"]
    assert early.loc["not_yet_closed", "estimate"] == pytest.approx(100 * (FALL - 1), abs=1000 * TRACE)
    assert early.loc["not_yet_closed", "n"] == 3
    assert rows["id"].tolist() == ["E1c", "E1c", "E1a"] * 2
    assert late.loc["low_exposure", "truth"] == -69.0
    assert early.loc["low_exposure", "truth"] == -61.0
    assert np.isnan(early.loc["not_yet_closed", "truth"])
    assert checks.comparisons(constant, design)["truth"].isna().all()


def test_a_family_is_adjusted_for_the_joint_errors_of_its_members(market):
    asked = answers(market[0], Design(), ["E1a", "E1b", "E1d"])
    terms = {"E1a": "simple", "E1b": "simple", "E1d": "difference"}
    tests = checks.family(asked.made, terms).set_index("id")
    assert (tests["p_adjusted"] >= tests["p_value"] - 1e-3).all()
    row = asked.made["E1d"].row("difference")
    assert tests.loc["E1d", "t"] == pytest.approx(row["estimate"] / row["std_error"])
    alone = checks.family(asked.made, {"E1a": "simple"}).iloc[0]
    row = asked.made["E1a"].row("simple")
    error = row["std_error"] / (100 + row["estimate"])  # of the log
    assert alone["t"] == pytest.approx(np.log1p(row["estimate"] / 100) / error)


def test_what_has_no_error_is_in_no_family():
    row = pd.DataFrame([{"term": "simple", "estimate": -100.0, "std_error": np.nan, "conf_low": np.nan}])
    lost = Estimate("E1b", "per cent", row.assign(conf_high=np.nan, n=2), reason="all is lost")
    with pytest.raises(DesignError, match="none has an error"):
        checks.family({"E1b": lost}, {"E1b": "simple", "E1a": "simple"})


def test_the_truth_of_firms_closed_by_a_month_is_that_of_all_once_all_are(market):
    true, early, late = market[1].scalars(), market[1].closed_by(0, 0), market[1].closed_by(4, 9)
    assert (late["E1a"], late["E1c"]) == (true["E1a"], true["E1c"])
    assert late["E1a"] / late["mechanical"] == pytest.approx(true["E1e"])
    assert early["E1a"] != late["E1a"]


def test_honest_bounds_by_month_hold_the_interval_and_widen_with_the_months(market):
    study = paths.event_study(market[0], Design())
    rows = study.rows.join(checks.honest_by_month(study))
    month = rows["term"].astype(int)
    after = rows[month >= 0]
    assert rows.loc[month < 0, ["honest_low", "honest_high"]].isna().all(axis=None)
    assert ((after["honest_low"] < after["conf_low"]) & (after["honest_high"] > after["conf_high"])).all()
    assert (after["honest_high"] - after["honest_low"]).is_monotonic_increasing
    first = study.design, paths.honest(replace(study, design=Design(post_from=0, post_to=0)), sensitivity=(1.0,))
    assert after.iloc[0][["honest_low", "honest_high"]].tolist() == first[1].rows.iloc[0].tolist()[1:]


def test_mechanical_and_actual_loss_stand_beside_their_ratio(market):
    rows = checks.mechanical(answers(market[0], Design(), ["E1a", "E1e"])).set_index("id")["estimate"]
    assert rows["E1e"] == pytest.approx(rows["E1a"] / rows["mechanical"])


def test_what_a_panel_cannot_carry_is_refused(constant):
    one = replace(constant, firms=constant.firms.assign(brand_group="SIM-G0"))
    with pytest.raises(DesignError, match="6 closed firms in 1 clusters"):
        paths.event_study(one, Design())
    with pytest.raises(DesignError, match="give base_months = 5 or more"):
        paths.event_study(constant, Design(base_months=4))
    with pytest.raises(DesignError, match="they are per cents"):
        paths.by_wave(constant, Design(scale="level"))
    short = replace(constant, sales=constant.sales[:, :, :36], months=MONTHS[:36])
    study = paths.event_study(short, Design(post_to=5))
    with pytest.raises(DesignError, match="the event study ends in month 5"):
        paths.honest(replace(study, design=Design(post_from=6)))


def test_months_without_error_are_in_no_test_before_closure(constant):
    """Here closed and other firms move alike to the last digit but for one month."""
    sales = np.repeat(constant.sales[:, :, :1], 42, axis=2)
    sales[0, :, WAVES[0] - 8] *= 1.5
    sales[0, :, WAVES[0] :] *= FALL
    study = paths.event_study(replace(constant, sales=sales), Design())
    assert np.isfinite(study.rows["band_high"]).all()
    assert np.isfinite(study.details["pretrend"].p_value)
    still = replace(constant, sales=np.repeat(constant.sales[:, :, :1], 42, axis=2))
    assert np.isnan(paths.event_study(still, Design()).details["pretrend"].p_value)


def test_a_wave_without_comparison_has_no_estimate_and_the_others_have_theirs(constant):
    sales = constant.sales.copy()
    sales[6:, :, WAVES[1]] = 0.0  # nobody not closed is in business in July
    found = paths.by_wave(replace(constant, sales=sales), Design())
    rows = found.rows.set_index("term")
    assert np.isfinite(rows.loc["2021-05", "estimate"])
    assert np.isnan(rows.loc["2021-07", "estimate"])
    assert "without comparison no estimate" in found.reason


def test_what_can_be_had_is_had_where_closed_firms_are_of_one_cluster(constant):
    one = replace(constant, firms=constant.firms.assign(brand_group=np.r_[["SIM-G0"] * 6, constant.firms.index[6:]]))
    one.sales[0, :, 31:] = 0.0
    row = answers(one, Design(), ["E1d"]).rows.iloc[0]
    assert row["estimate"] < 0
    assert row[["std_error", "conf_low", "conf_high"]].isna().all()
    assert "of one cluster by brand_group" in row["reason"]
    study, why = attempt(paths.event_study, one, Design())
    assert study is None
    assert "6 closed firms in 1 clusters" in why
    found, none = attempt(paths.event_study, constant, Design())
    assert found.row("0")["n"] == 6
    assert none == ""


def test_the_firms_of_the_event_study_are_those_of_the_effect(market):
    panel, design = market[0], Design()
    closed = paths.event_study(panel, design).details["closed"]
    row = answers(panel, design, ["E1a"]).rows.iloc[0]
    assert len(closed) == row["n"] <= pick(panel, design).closed.sum()
