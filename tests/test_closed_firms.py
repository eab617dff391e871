"""Closed firms: by hand, against the truth, months alive, placebo closures, families and the
smallest effect seen.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fewtreated.estimators.att_gt import att_gt
from panels import FALL, MONTHS, TRACE, WAVE, by_hand, changed, panel_of, two_waves
from scipy import stats

from analysis import data
from analysis.estimands import closed_firms
from analysis.estimands.catalogue import estimate_all
from analysis.estimands.closed_firms import (
    damage_multiple,
    effect_on_closed,
    own_closure,
    smallest_effect,
)
from analysis.estimands.design import Design
from market import simulate


@pytest.fixture
def constant():
    return two_waves()


def test_what_closed_firms_lost_is_recovered_exactly():
    panel = by_hand()
    design = Design()
    assert effect_on_closed(panel, design).row("simple")["estimate"] == pytest.approx(-100 * 9 / 75)
    assert effect_on_closed(panel, design, where="home").row("simple")["estimate"] == pytest.approx(
        -80.0
    )
    # the closed accounts held all AMZ sales, a fifth of everything
    assert damage_multiple(panel, design).row("damage multiple")["estimate"] == pytest.approx(
        0.12 / 0.2
    )


def test_without_doses_nothing_is_said_of_what_the_closed_accounts_had_sold_and_the_rest_stays():
    panel = by_hand()
    design = Design()
    unsure = replace(panel, no_dose="the file has no dose; name the column `dose`")
    assert (
        "closed accounts: the file has no dose; name the column `dose`"
        in damage_multiple(unsure, design).reason
    )
    rows = closed_firms.mechanical(
        estimate_all(unsure, design).rows, estimate_all(unsure, design)["E1e"]
    )
    assert [*rows["id"]] == ["E1a", "E1e"]
    assert "the file has no dose" in rows["reason"].iloc[1]
    assert effect_on_closed(unsure, design).value == effect_on_closed(panel, design).value


def test_the_comparison_says_which_effect_it_is():
    panel = by_hand()
    design = Design(comparison="spared_same_category")
    low, same = (effect_on_closed(panel, asked, where="home") for asked in (Design(), design))
    assert (low.estimand, same.estimand) == ("E1b", "E1c, home")
    # rivals in the category of the same origin inherit: 18 instead of 15
    assert same.row("simple")["estimate"] == pytest.approx(100 * (3 / 18 - 1))
    everywhere = own_closure(panel, Design()).row("simple")["estimate"]
    assert (
        everywhere
        == effect_on_closed(panel, design).row("simple")["estimate"]
        == pytest.approx(100 * (66 / 78 - 1))
    )
    sales = np.where(np.arange(42) >= WAVE, 12.0, 10.0) * np.ones((6, 5, 1))
    sales[:2, 0, WAVE:] = 6.0
    later = panel_of(sales, {0: WAVE, 1: WAVE, 2: WAVE + 3, 3: WAVE + 3})
    found = effect_on_closed(
        later, Design(comparison="not_yet_closed", post_from=0, post_to=0), where="home"
    )
    assert found.estimand == "E1c, home"
    assert found.row("simple")["estimate"] == pytest.approx(-50.0)
    assert (found.counts["units"], found.counts["treated"]) == (4, 2)


def test_closed_firms_that_sell_nothing_have_lost_all_and_no_error():
    def nothing_at_home(sales):
        sales[:2, 0, WAVE:] = 0.0

    found = effect_on_closed(changed(by_hand(), nothing_at_home), Design(), where="home")
    assert found.row("simple")["estimate"] == -100.0
    assert found.bounds("simple") is None
    assert "the 2 closed firms sold nothing in the window" in found.reason

    def nothing_at_all(sales):
        nothing_at_home(sales)
        sales[:2, :, WAVE + 1 :] = (
            0.0  # the second is closed a month later, and must have sold until then
        )

    found = damage_multiple(changed(by_hand(), nothing_at_all), Design())
    assert np.isnan(found.row("damage multiple")["std_error"])


def test_the_effect_is_group_time_effects_of_the_firms_in_business_wave_by_wave(ceiling):
    panel = ceiling[0]
    design = Design(low=0.05)
    sample = design.sample(panel)
    total = panel.total()
    first = panel.first_treated()
    y = np.column_stack([total[:, 20:26].mean(axis=1), total[:, 32:38].mean(axis=1)])
    parts = []
    for wave in range(WAVE, WAVE + 4):
        closed = sample.closed & (first == wave) & (total[:, wave - 1] > 0)
        parts.append(
            np.flatnonzero((closed | sample.comparison & (total[:, wave] > 0)) & (y[:, 0] > 0))
        )
    rows = np.concatenate(parts)
    waves = np.repeat(np.arange(4), [len(part) for part in parts])
    ways = []
    for column in ("brand_group", "category"):
        log = att_gt(
            y[rows],
            np.where(sample.closed[rows], 1.0, np.inf),
            scale="ratio",
            cluster=panel.firms[column].to_numpy()[rows],
            strata=panel.firms["origin"].to_numpy()[rows] + waves.astype(str).astype(object),
        ).aggregate()
        ways.append(
            (log.std_error[0] * stats.t.ppf(0.975, log.df[0]), log.std_error[0], log.value[0])
        )
    reach, error, value = max(ways)
    found = effect_on_closed(panel, design)
    expected = [
        np.expm1(value),
        np.exp(value) * error,
        np.expm1(value - reach),
        np.expm1(value + reach),
    ]
    row = found.row("simple")[["estimate", "std_error", "conf_low", "conf_high"]].to_numpy(float)
    np.testing.assert_allclose(row, 100 * np.array(expected), rtol=1e-9)
    assert (found.design, found.digest, found.provenance) == (design, panel.digest, "simulated")


def test_what_is_mechanical_is_the_same_in_the_truth_as_in_the_estimate(ceiling):
    """Also in a window in which not all closed firms are closed yet; noise, and firms that sold
    nothing, are apart.
    """
    panel, truth = ceiling
    for window in ((0, 3), (4, 9)):
        true = truth.scalars(*window)
        found = damage_multiple(panel, Design(post_from=window[0], post_to=window[1]))
        assert found.details["mechanical_loss"] == pytest.approx(
            -true["E1a"] / true["E1e"], rel=0.02
        )


def test_mechanical_and_actual_loss_stand_beside_their_ratio(ceiling):
    found = estimate_all(ceiling[0], Design(), ["E1a", "E1e"])
    rows = closed_firms.mechanical(found.rows, found["E1e"]).set_index("id")["estimate"]
    assert rows["E1e"] == pytest.approx(rows["E1a"] / rows["mechanical"])


def test_a_firm_that_stopped_before_the_first_wave_is_no_comparison():
    panel = by_hand()
    sales = np.concatenate(
        [panel.sales, panel.sales[6:9]]
    )  # three more spared firms, which stop a month before
    sales[12:, :, WAVE - 1 :] = 0.0
    origin = [*panel.firms["origin"], "CN", "CN", "CN"]
    category = [*panel.firms["category"], "C1", "C1", "C1"]
    more = panel_of(sales, {0: WAVE, 1: WAVE + 1}, origin=origin, category=category)
    one, other = (effect_on_closed(each, Design()).row("simple") for each in (panel, more))
    assert one["estimate"] == pytest.approx(other["estimate"], abs=1e-12)


# Months alive


def test_survival_is_that_of_the_firms_followed(constant):
    def stopping(sales):
        sales[:] = 10.0
        sales[0, :, 30:] = 0.0  # lives two months of twelve
        sales[13, :, 33:] = 0.0
        sales[12] = 1.0  # too small to be compared

    panel = changed(constant, stopping)
    found = closed_firms.months_alive(panel, Design())
    assert found.counts["units"] == 6 + 2 * 7
    assert found.row("difference")["estimate"] < 0
    assert found.row("treated")["estimate"] == pytest.approx((5 * 12 + 2) / 6)
    assert found.row("difference")["n"] == 6


def test_months_alive_lie_within_three_errors_of_the_truth(ceiling):
    panel, truth = ceiling
    row = closed_firms.months_alive(panel, Design()).row("difference")
    assert abs(row["estimate"] - truth.scalars()["E1d"]) < 3 * row["std_error"]


def test_months_alive_of_one_cluster_have_no_error_and_say_so(constant):
    def stopping(sales):
        sales[0, :, 31:] = 0.0

    groups = np.r_[["SIM-G0"] * 6, constant.firms.index[6:]]
    one = replace(changed(constant, stopping), firms=constant.firms.assign(brand_group=groups))
    row = estimate_all(one, Design(), ["E1d"]).rows.iloc[0]
    assert row["estimate"] < 0
    assert row[["std_error", "conf_low", "conf_high"]].isna().all()
    assert "too few clusters with an exit: 1; an interval needs at least 5" in row["reason"]


@pytest.mark.parametrize("gone", [3, 4, 5, 6])
def test_months_alive_have_an_error_where_closed_firms_of_five_clusters_exit(constant, gone):
    def stopping(sales):
        for firm in range(gone):
            sales[firm, :, 31 + firm :] = 0.0
        sales[[12, 13], :, 33:] = 0.0

    found = closed_firms.months_alive(changed(constant, stopping), Design())
    rows = found.rows.set_index("term")
    assert np.isfinite(rows["estimate"]).all()
    assert rows.loc["comparison", ["std_error", "conf_low", "conf_high"]].notna().all()
    known = rows.loc[["treated", "difference"], ["std_error", "conf_low", "conf_high"]].notna()
    assert (known == (gone >= 5)).all(axis=None)
    assert found.reason == (
        "" if gone >= 5 else f"too few clusters with an exit: {gone}; an interval needs at least 5"
    )


# A year without closures


def test_a_placebo_year_sees_nothing_of_the_closures(constant):
    found = closed_firms.placebo(constant, Design())
    assert found.row("simple")["estimate"] == pytest.approx(0.0, abs=1000 * TRACE)
    other = replace(constant, sales=np.where(np.arange(42) >= WAVE - 2, 7.0, constant.sales))
    pd.testing.assert_frame_equal(closed_firms.placebo(other, Design()).rows, found.rows)
    for start, design in (
        (6, Design()),
        (18, Design(base_months=3)),
    ):  # in the second a year early is before the panel
        short = replace(constant, sales=constant.sales[:, :, start:], months=MONTHS[start:])
        assert "narrow the window" in closed_firms.placebo(short, design).reason


def test_a_placebo_year_leaves_out_newcomers(constant):
    """One not closed grows manyfold in that year; had it been closed it would have been another
    firm by then.
    """

    def coming(sales):
        sales[13, :, : WAVE - 22] = 0.0
        sales[13, :, WAVE - 12 :] = 50 * sales[13, :, WAVE - 12 :]

    found = closed_firms.placebo(changed(constant, coming), Design())
    assert found.row("simple")["estimate"] == pytest.approx(0.0, abs=1000 * TRACE)


def test_a_firm_closed_in_part_long_before_is_in_no_placebo_year(constant):
    firms = constant.firms.copy()
    firms.loc["SIM-0013", ["closed_on", "dose"]] = [MONTHS[5].to_timestamp(), 0.3]
    found, plain = (
        closed_firms.placebo(replace(constant, firms=one), Design())
        for one in (firms, constant.firms)
    )
    assert found.counts["units"] == plain.counts["units"] - 1


def test_a_placebo_year_keeps_its_months_where_the_first_wave_is_not_in_it(constant):
    def coming(sales):
        sales[:3, :, : WAVE - 22] = 0.0  # newcomers, all of the first wave
        sales[:, :, WAVE - 9] *= 3.0  # before the window

    panel = changed(constant, coming)
    assert closed_firms.placebo(panel, Design()).row("simple")["n"] == 3
    early, design = closed_firms.a_year_early(panel, Design(), np.arange(14) >= 3)
    assert MONTHS[design.sample(early).after][0] == MONTHS[WAVE - 8]


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["mid_3k", "ceiling_50k"])
def test_the_intervals_of_a_placebo_year_hold_zero_about_as_often_as_the_audit_says_of_e1a(preset):
    """The placebo is E1a a year early, so its intervals can be no better than the audit finds those
    of E1a to be.

    In the preset ``null`` nothing falls either. Fewer hits than 99 of 100 such sets of markets have
    would say that paths part a year before.
    """
    seeds = range(1, 31)
    rows = [
        closed_firms.placebo(simulate(preset, seed)[0], Design()).rows.iloc[0] for seed in seeds
    ]
    held = sum(row["conf_low"] <= 0 <= row["conf_high"] for row in rows)
    audited = data.load("audit").set_index(["preset", "id"]).loc[("null", "E1a"), "coverage"]
    assert 0.8 < audited < 1
    assert held >= stats.binom.ppf(0.01, len(seeds), audited)


# Other comparisons, and many tests


def test_three_comparisons_say_which_effect_they_are_and_why_one_is_absent(constant):
    design = Design(anticipation=0)
    found = closed_firms.comparisons(constant, design, lambda start, end: {"E1a": -60.0 - end})
    rows = found.set_index(["window", "comparison"])
    late = rows.loc["months 4 to 9"]
    early = rows.loc["months 0 to 1"]
    assert "but found none, since the last wave is in" in late.loc["not_yet_closed", "reason"]
    assert early.loc["not_yet_closed", "estimate"] == pytest.approx(
        100 * (FALL - 1), abs=1000 * TRACE
    )
    assert early.loc["not_yet_closed", "n"] == 3
    assert rows["id"].tolist() == ["E1c", "E1c", "E1a"] * 2
    assert late.loc["low_exposure", "truth"] == -69.0
    assert early.loc["low_exposure", "truth"] == -61.0
    assert np.isnan(early.loc["not_yet_closed", "truth"])
    assert closed_firms.comparisons(constant, design)["truth"].isna().all()


def test_a_family_is_adjusted_for_the_joint_errors_of_its_members(ceiling):
    found = estimate_all(ceiling[0], Design(), ["E1a", "E1b", "E1d"])
    tests = closed_firms.family(found).set_index("id")
    assert (tests["p_adjusted"] >= tests["p_value"] - 1e-3).all()
    row = found["E1d"].row("difference")
    assert tests.loc["E1d", "t"] == pytest.approx(row["estimate"] / row["std_error"])
    alone = closed_firms.family({"E1a": found["E1a"]}).iloc[0]
    row = found["E1a"].row("simple")
    error = row["std_error"] / (100 + row["estimate"])  # of the log
    assert alone["t"] == pytest.approx(np.log1p(row["estimate"] / 100) / error)


def test_the_members_of_a_family_have_scores_by_the_same_clusters():
    for seed in (0, 4, 5):  # where now brand groups give one the larger error, now categories
        panel, _ = simulate("mid_3k", seed)
        found = estimate_all(panel, Design(), ["E1a", "E1b"])
        one, other = (
            set(found[name].clusters[found[name].scores[:, 0] != 0]) for name in ("E1a", "E1b")
        )
        assert one & other


def test_what_has_no_error_is_in_no_family(ceiling):
    def nothing_at_home(sales):
        sales[:2, 0, WAVE:] = 0.0

    lost = effect_on_closed(changed(by_hand(), nothing_at_home), Design(), where="home")
    assert "none has a standard error" in closed_firms.family({"E1b": lost}).reason
    known = effect_on_closed(ceiling[0], Design())
    assert closed_firms.family({"E1a": known, "E1b": lost})["id"].tolist() == ["E1a"]


# The smallest effect seen


@pytest.fixture(scope="module")
def panel():
    return simulate("ceiling_50k", 1, n_firms=1500, n_categories=30)[0]


def shown(panel, level=0.95):
    return smallest_effect(panel, Design(level=level), draws=99).rows.set_index("term")["estimate"]


def test_it_does_not_look_at_what_became_of_closed_firms_nor_at_the_unit_of_money(panel):
    def falling(sales):
        sales[panel.firms["closed_on"].notna().to_numpy(), :, 30:] *= 0.3

    pd.testing.assert_series_equal(shown(changed(panel, falling)), shown(panel))
    pd.testing.assert_series_equal(shown(replace(panel, sales=7.0 * panel.sales)), shown(panel))


def test_a_harder_test_needs_a_larger_effect_and_noise_makes_it_larger(panel):
    plain = shown(panel)
    assert 0 < plain["fall"] < 100
    assert shown(panel, level=0.8)["fall, usual"] < plain["fall, usual"]

    def shaking(sales):
        sales[:, :, 30:] *= np.random.default_rng(1).lognormal(0, 1.5, sales.shape[:2])[
            :, :, np.newaxis
        ]

    assert shown(changed(panel, shaking))["fall"] > plain["fall"]


def test_such_a_fall_is_seen_about_as_often_as_it_says(panel):
    """Give a fall of that size to the placebos themselves: the share that a right test sees is the
    power asked for.
    """
    found = smallest_effect(panel, Design(), draws=199)
    placebos = found.details["placebos"]
    critical = found.details["critical"]
    fall = np.log1p(-found.row("fall")["estimate"] / 100)
    seen = (placebos[:, 0] + fall) / placebos[:, 1] < -critical
    assert seen.mean() == pytest.approx(0.8, abs=0.01)  # 199 draws, each half a point


def test_groups_are_closed_together(panel):
    found = smallest_effect(panel, Design(), draws=30)
    closed = panel.firms[panel.first_treated() < 38]
    assert found.counts["treated"] <= closed["brand_group"].nunique()
    assert found.details["within"] == "origin and size"


def test_without_groups_to_stand_in_it_is_refused(panel):
    low = np.flatnonzero(
        Design().sample(panel).comparison & (panel.firms["origin"] == "CN").to_numpy()
    )

    def stopping(sales):
        sales[low[5:], :, 27] = 0.0  # all but five sell nothing in the month before the first wave

    assert "untreated" in smallest_effect(changed(panel, stopping), Design(), draws=30).reason
