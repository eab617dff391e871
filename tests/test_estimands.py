"""Verbs from a panel and a design to an estimate: by hand, against the simulated truth, and what they refuse."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import accounting, estimands
from analysis.effects import att_gt
from analysis.errors import DesignError
from analysis.estimands import Design, pick
from analysis.exposure import exposure_effects
from analysis.market import simulate
from analysis.panel import Panel

PLATFORMS = ("AMZ", "EBY", "ALI", "WMT", "OWN")
MONTHS = pd.period_range("2019-01", periods=42, freq="M")
WAVE = 28  # May 2021
VERBS = [
    estimands.effect_on_closed,
    estimands.effect_on_closed_at_home,
    estimands.damage_multiple,
    estimands.growth,
    estimands.displacement,
    estimands.platform_shift,
    estimands.relocation,
    lambda panel, design: estimands.effect_on_growth(panel, design, common=(-3.0, 3.0)),
    estimands.spillover,
]


def panel_of(sales, closed_on=(), *, dose=1.0, origin=None, category=None, brand=None) -> Panel:
    n = len(sales)
    dates = pd.Series(pd.NaT, index=range(n), dtype="datetime64[s]")
    for firm, month in dict(closed_on).items():
        dates[firm] = pd.Timestamp(month)
    closed = dates.notna().to_numpy()
    frame = pd.DataFrame(
        {
            "brand_group": np.array([f"SIM-G{i}" for i in range(n)]) if brand is None else brand,
            "origin": np.full(n, "CN") if origin is None else origin,
            "category": np.full(n, "C0") if category is None else category,
            "closed_on": dates.to_numpy(),
            "dose": np.where(closed, dose, np.nan),
            "risk": np.nan,
        },
        index=pd.Index([f"SIM-{i:04d}" for i in range(n)], name="firm"),
    )
    return Panel(np.asarray(sales, dtype=float), frame, PLATFORMS, MONTHS, "simulated")


def by_hand() -> Panel:
    """Twelve firms sell 10 a month on each platform and grow by half at the first wave; C0 loses two firms.

    Closed firms: 0 and 1. Exposed: 2, 3 (CN) and 4, 5 (US). In other categories: 6 to 8 (CN) and 9 to 11 (US).
    """
    sales = np.full((12, 5, 42), 10.0)
    sales[:, :, WAVE:] = 15.0
    sales[:2, 0, WAVE:] = 3.0
    sales[:2, 1, WAVE:] = 18.0
    sales[2:4, 0, WAVE:] = 18.0
    sales[4:6, 0, WAVE:] = 19.5
    return panel_of(
        sales,
        {0: "2021-05-01", 1: "2021-06-01"},
        origin=np.where(np.isin(np.arange(12), [0, 1, 2, 3, 6, 7, 8]), "CN", "US"),
        category=np.where(np.arange(12) < 6, "C0", "C1"),
    )


@pytest.fixture(scope="module")
def market():
    return simulate("ceiling_50k", seed=1)


def test_every_estimand_of_a_panel_made_by_hand_is_recovered_exactly():
    panel, design = by_hand(), Design()
    assert estimands.effect_on_closed(panel, design).row("simple")["estimate"] == pytest.approx(-100 * 9 / 75)
    assert estimands.effect_on_closed_at_home(panel, design).row("simple")["estimate"] == pytest.approx(-80.0)
    # the closed accounts held all AMZ sales, a fifth of everything
    assert estimands.damage_multiple(panel, design).row("damage multiple")["estimate"] == pytest.approx(0.12 / 0.2)
    parts = estimands.displacement(panel, design).rows["estimate"]
    # lost: 2 x 12; d1: 2 x 3, d2: 2 x 4.5, d3: 2 x 3
    np.testing.assert_allclose(parts, [25.0, 37.5, 25.0, 0, 0, 0, 12.5, 100], atol=1e-9)
    relocated = estimands.relocation(panel, design)
    assert relocated.row("relocation EBY")["estimate"] == pytest.approx(25.0)
    assert relocated.covariance.shape == (5, 5)
    growth = estimands.effect_on_growth(panel, design, common=(-1.0, 2.0)).rows.set_index("term")
    # of 7 x 10 Chinese sales before: 2 x -12 and 2 x 3
    np.testing.assert_allclose(growth["estimate"], [-2400 / 70, 600 / 70, -1800 / 70, np.nan])
    assert growth.loc["E3g", "conf_low"] == pytest.approx(growth.loc["seen", "conf_low"] - 1.0)
    assert growth.loc["E3g", "conf_high"] == pytest.approx(growth.loc["seen", "conf_high"] + 2.0)
    observed = estimands.growth(panel, design).rows.set_index("term")["estimate"]
    assert observed["growth"] == pytest.approx(100 * (2 * 3 + 2 * 18 + 3 * 15 - 70) / 70)
    assert observed["closed"] == pytest.approx(-1400 / 70)


def test_a_design_picks_the_months_and_firms_that_it_names():
    picked = pick(by_hand(), Design())
    months = np.arange(42)
    assert [str(MONTHS[i]) for i in months[picked.after][[0, -1]]] == ["2021-09", "2022-02"]
    assert [str(MONTHS[i]) for i in months[picked.before][[0, -1]]] == ["2020-09", "2021-02"]
    assert [str(MONTHS[i]) for i in months[picked.base][[0, -1]]] == ["2020-05", "2021-04"]
    assert np.flatnonzero(picked.closed).tolist() == [0, 1]
    assert np.flatnonzero(picked.comparison).tolist() == [6, 7, 8, 9, 10, 11]
    np.testing.assert_allclose(picked.exposure[2:6], 1 / 3)
    same = pick(by_hand(), Design(comparison="spared_same_category"))
    assert np.flatnonzero(same.comparison).tolist() == [2, 3, 4, 5]
    early = pick(by_hand(), Design(post_from=0, post_to=1))
    assert early.months_closed[:2].tolist() == [1.0, 0.5]


def test_the_comparison_says_which_effect_it_is():
    panel = by_hand()
    low, same = (
        estimands.effect_on_closed_at_home(panel, Design(comparison=word))
        for word in ("low_exposure", "spared_same_category")
    )
    assert (low.estimand, same.estimand) == ("E1b", "E1c, AMZ")
    # rivals in the category of the same origin inherit: 18 instead of 15
    assert same.row("simple")["estimate"] == pytest.approx(100 * (3 / 18 - 1))
    waves = {0: "2021-05-01", 1: "2021-05-01", 2: "2021-08-01", 3: "2021-08-01"}
    later = panel_of(np.where(np.arange(42) >= WAVE, 12.0, 10.0) * np.ones((6, 5, 1)), waves)
    later.sales[:2, 0, WAVE:] = 6.0
    design = Design(comparison="not_yet_closed", post_from=0, post_to=0)
    found = estimands.effect_on_closed_at_home(later, design)
    assert found.estimand == "E1c, AMZ"
    assert found.row("simple")["estimate"] == pytest.approx(-50.0)
    assert (found.counts["units"], found.counts["treated"]) == (4, 2)


def test_firms_closed_in_part_or_after_the_window_are_in_no_comparison():
    panel = by_hand()
    panel.firms.loc[panel.firms.index[6], ["closed_on", "dose"]] = [pd.Timestamp("2021-05-01"), 0.3]
    panel.firms.loc[panel.firms.index[9], ["closed_on", "dose"]] = [pd.Timestamp("2022-05-01"), 1.0]
    picked = pick(panel, Design())
    assert np.flatnonzero(picked.closed).tolist() == [0, 1]
    assert np.flatnonzero(picked.comparison).tolist() == [7, 8, 10, 11]


def test_closed_firms_that_sell_nothing_have_lost_all_and_no_error():
    panel = by_hand()
    panel.sales[:2, 0, WAVE:] = 0.0
    found = estimands.effect_on_closed_at_home(panel, Design())
    assert found.row("simple")["estimate"] == -100.0
    assert found.bounds("simple") is None
    assert "the 2 closed firms sold nothing in the window" in found.reason
    panel.sales[:2, :, WAVE + 1 :] = 0.0  # the second is closed a month later, and must have sold until then
    assert np.isnan(estimands.damage_multiple(panel, Design()).row("damage multiple")["std_error"])


def test_the_level_scale_is_money_a_firm_and_month():
    found = estimands.effect_on_closed_at_home(by_hand(), Design(scale="level"))
    assert found.unit == "sim-$ a firm and month"
    assert found.row("simple")["estimate"] == pytest.approx(-12.0)


def test_a_verb_is_one_call_of_its_estimator(market):
    panel, design = market[0], Design(low=0.05)
    picked = pick(panel, design)
    arrays = {
        "sales": panel.sales,
        "closed_at": np.where(picked.closed, panel.first_treated(), np.inf),
        "origin": panel.firms["origin"],
        "platforms": panel.platforms,
        "home": "AMZ",
        "before": slice(20, 26),
        "after": slice(32, 38),
        "comparison": picked.comparison,
        "cluster": panel.firms["brand_group"].to_numpy(),
    }
    ours = estimands.displacement(panel, design)
    pd.testing.assert_frame_equal(ours.rows, accounting.displacement(**arrays).rows)
    assert ours.design == design
    assert ours.digest == panel.digest
    total = panel.total()
    y = np.column_stack([total[:, 20:26].mean(axis=1), total[:, 32:38].mean(axis=1)])
    first, parts = panel.first_treated(), []
    for wave in range(WAVE, WAVE + 4):
        closed = picked.closed & (first == wave) & (total[:, wave - 1] > 0)
        parts.append(np.flatnonzero((closed | picked.comparison & (total[:, wave] > 0)) & (y[:, 0] > 0)))
    rows, waves = np.concatenate(parts), np.repeat(np.arange(4), [len(part) for part in parts])
    plain = att_gt(
        y[rows],
        np.where(picked.closed[rows], 1.0, np.inf),
        scale="ratio",
        cluster=panel.firms["brand_group"].to_numpy()[rows],
        strata=panel.firms["origin"].to_numpy()[rows] + waves.astype(str).astype(object),
    )
    log = plain.aggregate("simple").rows.iloc[0]
    row = estimands.effect_on_closed(panel, design).row("simple")
    groups = panel.firms["brand_group"].to_numpy()[rows][picked.closed[rows]]
    reach = stats.t.ppf(0.975, len(np.unique(groups)) - 1) * log["std_error"]  # of the closed groups, less one
    ends = log["estimate"] + np.array([0.0, -reach, reach])
    np.testing.assert_allclose(row[["estimate", "conf_low", "conf_high"]].to_numpy(float), 100 * np.expm1(ends))
    assert row["std_error"] == pytest.approx(100 * np.exp(log["estimate"]) * log["std_error"])


def test_spillovers_are_the_exposure_effects_of_firms_never_closed_by_origin(market):
    panel, design = market[0], Design()
    picked = pick(panel, design)
    for own, name in ((True, "E2a"), (False, "E2b")):
        sold = panel.platform("AMZ")
        firms = picked.whole & ((panel.firms["origin"] == "CN").to_numpy() == own) & (sold[:, [16, 27]] > 0).all(axis=1)
        home = sold[firms]
        plain = exposure_effects(
            np.hstack([home[:, 20:26], home[:, 32:38]]),
            picked.exposure[firms],
            np.arange(12) >= 6,
            category=panel.firms["category"].to_numpy()[firms],
        )
        ours = estimands.spillover(panel, design, own_origin=own)
        assert (ours.estimand, ours.unit) == (name, "per cent")
        np.testing.assert_allclose(ours.rows["estimate"], 100 * np.expm1(plain.rows["estimate"]))
        errors = np.sqrt(np.diag(ours.covariance))
        np.testing.assert_allclose(errors, ours.rows["std_error"])
        values = ours.influence
        np.testing.assert_allclose(values.T @ values, ours.covariance, atol=1e-9)


def test_the_truth_of_a_simulated_market_lies_within_four_errors(market):
    panel, truth = market
    scalars, design = truth.scalars(), Design(low=0.05, cluster="category")
    found = {
        "E1a": estimands.effect_on_closed(panel, design).row("simple"),
        "E1b": estimands.effect_on_closed_at_home(panel, design).row("simple"),
        "E2a_slope": estimands.spillover(panel, design).row("slope"),
        "E2b_slope": estimands.spillover(panel, design, own_origin=False).row("slope"),
        "E3g": estimands.effect_on_growth(panel, design, common=(-3, 3)).row("seen"),
    }
    relocated = estimands.relocation(panel, design)
    found |= {f"E4a_{name}": relocated.row(f"relocation {name}") for name in PLATFORMS[1:]}
    for name, row in found.items():
        assert row["std_error"] > 0
        assert abs(row["estimate"] - scalars[name]) < 4 * row["std_error"], name
    parts = estimands.displacement(panel, design).rows.set_index("term")
    for name, share in truth.displacement().items():
        assert abs(parts.loc[name, "estimate"] - share) < 4 * parts.loc[name, "std_error"], name
    assert parts.loc[[f"d{i}" for i in range(1, 8)], "estimate"].sum() == pytest.approx(100.0, abs=1e-9)


def test_what_is_mechanical_is_the_same_in_the_truth_as_in_the_estimate(market):
    """Also in a window in which not all closed firms are closed yet; noise, and firms that sold nothing, are apart."""
    panel, truth = market
    for window in ((0, 3), (4, 9)):
        true = truth.scalars(*window)
        found = estimands.damage_multiple(panel, Design(post_from=window[0], post_to=window[1]))
        assert found.details["mechanical_loss"] == pytest.approx(-true["E1a"] / true["E1e"], rel=0.02)


def test_the_order_of_firms_changes_no_estimate(market):
    panel, design = market[0], Design(low=0.05)
    order = np.random.default_rng(0).permutation(len(panel.firms))
    turned = replace(panel, sales=panel.sales[order], firms=panel.firms.iloc[order])
    for verb in VERBS:
        plain, again = verb(panel, design), verb(turned, design)
        columns = ["estimate", "std_error", "conf_low", "conf_high", "n"]
        np.testing.assert_allclose(again.rows[columns], plain.rows[columns], rtol=1e-6, atol=1e-8)
        assert again.digest == plain.digest


def test_the_unit_of_money_changes_no_estimate(market):
    panel, design = market[0], Design(low=0.05)
    scaled = replace(panel, sales=panel.sales * 6.49)
    for verb in VERBS:
        plain, again = verb(panel, design), verb(scaled, design)
        columns = ["estimate", "std_error", "conf_low", "conf_high"]
        np.testing.assert_allclose(again.rows[columns], plain.rows[columns], rtol=1e-6, atol=1e-8)


def test_growth_is_taken_apart_by_firms_and_adds_up(market):
    rows = estimands.growth(market[0], Design()).rows.set_index("term")["estimate"]
    assert rows.drop("growth").sum() == pytest.approx(rows["growth"], abs=1e-9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"comparison": "never"}, "comparison = 'never' was asked for"),
        ({"scale": "log"}, "scale = 'log' was asked for"),
        ({"cluster": "account"}, "cluster = 'account' was asked for"),
        ({"post_from": 5, "post_to": 4}, "a window from month 5 to 4"),
        ({"post_from": -1}, "a window from month -1 to 9"),
        ({"post_to": 10}, "end it by month 9"),
        ({"anticipation": -1}, "-1 months of anticipation"),
        ({"post_to": 9.0}, "a whole number for post_to was asked for"),
        ({"base_months": 0}, "0 base months"),
        ({"level": 95}, "level = 95"),
        ({"low": 0.0}, "low = 0.0"),
        ({"cut": 1.5}, "cut = 1.5"),
    ],
)
def test_a_design_that_means_nothing_is_refused(changes, message):
    with pytest.raises(DesignError) as refused:
        Design(**changes)
    assert message in str(refused.value)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_refuses_a_panel_without_closures(verb):
    with pytest.raises(DesignError, match="none of 4 firms is closed between 2019-01 and 2022-06"):
        verb(panel_of(np.ones((4, 5, 42))), Design())


def test_not_yet_closed_firms_serve_only_while_there_are_any():
    panel = by_hand()
    for verb in (estimands.effect_on_closed, estimands.effect_on_closed_at_home, estimands.damage_multiple):
        with pytest.raises(DesignError) as refused:
            verb(panel, Design(comparison="not_yet_closed"))
        assert "the last wave is in 2021-06, month 1, so nobody is left to compare with" in str(refused.value)


@pytest.mark.parametrize("comparison", ["not_yet_closed", "spared_same_category"])
@pytest.mark.parametrize("verb", VERBS[4:8])
def test_what_firms_that_inherit_cannot_show_is_refused(verb, comparison):
    with pytest.raises(DesignError, match=f"against {comparison} firms was asked for; these inherit sales"):
        verb(by_hand(), Design(comparison=comparison))


@pytest.mark.parametrize("verb", [*VERBS[:3], *VERBS[4:8]])
def test_one_closed_firm_has_no_error_and_is_refused(verb):
    panel = by_hand()
    panel.firms.loc[panel.firms.index[1], ["closed_on", "dose"]] = [pd.NaT, np.nan]
    with pytest.raises(DesignError, match=r"1 closed firms with sales in 1 clusters|found 1 and \d clusters"):
        verb(panel, Design())


def test_what_the_panel_cannot_carry_is_refused():
    panel, design = by_hand(), Design()
    for wrong, verb, message in (
        (replace(panel, sales=panel.sales[:, :, :37], months=MONTHS[:37]), None, "the panel runs from 2019-01 to 2022"),
        (replace(panel, sales=panel.sales[:, :, 20:], months=MONTHS[20:]), None, "and 12 base months were asked for"),
        (panel_of(panel.sales, {0: "2021-05-01", 1: "2021-05-01"}), None, "the lowest of 10 firms not closed is 0.167"),
        (replace(panel, firms=panel.firms.assign(origin="US")), estimands.growth, "of origin CN was asked for"),
        (replace(panel, firms=panel.firms.assign(origin="US")), estimands.spillover, "on firms of origin CN were"),
    ):
        with pytest.raises(DesignError) as refused:
            (verb or estimands.displacement)(wrong, design)
        assert message in str(refused.value)
    with pytest.raises(DesignError, match="give its lower end first"):
        estimands.effect_on_growth(panel, design, common=(1.0, -1.0))
    with pytest.raises(DesignError, match="a damage multiple on the level scale"):
        estimands.damage_multiple(panel, Design(scale="level"))
    unsold = by_hand()
    unsold.sales[:2, 0, :WAVE] = 0.0
    with pytest.raises(DesignError, match="the 2 closed firms sold nothing on AMZ in 12 base months"):
        estimands.damage_multiple(unsold, design)


def test_a_firm_that_stopped_before_the_first_wave_is_no_comparison():
    panel = by_hand()
    sales = np.concatenate([panel.sales, panel.sales[6:9]])  # three more spared firms, which stop a month before
    sales[12:, :, WAVE - 1 :] = 0.0
    origin = [*panel.firms["origin"], "CN", "CN", "CN"]
    category = [*panel.firms["category"], "C1", "C1", "C1"]
    more = panel_of(sales, {0: "2021-05-01", 1: "2021-06-01"}, origin=origin, category=category)
    one, other = (estimands.effect_on_closed(each, Design()).row("simple") for each in (panel, more))
    assert one["estimate"] == pytest.approx(other["estimate"], abs=1e-12)
