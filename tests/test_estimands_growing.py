"""Growth, sales and share of the origin at home: by hand, in parts that add up, and against margins."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from analysis.estimands.answers import answers
from test_estimands import WAVE, by_hand, panel_of

from analysis import estimands, verdicts
from analysis.errors import DataError, DesignError
from analysis.estimands import Design, growing, growth_checks
from analysis.market import simulate

COMMON = (-3.0, 2.0)
VERBS = [estimands.effect_on_growth, growing.effect_on_sales, growing.effect_on_share, growing.effect_in_parts]


@pytest.fixture(scope="module")
def market():
    return simulate("ceiling_50k", seed=2)


def points(found) -> pd.Series:
    return found.rows.set_index("term")["estimate"]


def test_sales_and_share_are_what_a_pocket_calculator_gives():
    # home sales a month of 7 CN firms: 70 before; 87 after, 105 without closures; of 5 US firms 84, and 75
    sales = points(growing.effect_on_sales(by_hand(), Design(), common=COMMON))
    assert sales["seen"] == pytest.approx(100 * (87 / 105 - 1))
    share = growing.effect_on_share(by_hand(), Design(), common=COMMON)
    assert points(share)["seen"] == pytest.approx(100 * (87 / 171 - 105 / 180))
    assert points(share)[["closed", "exposed", "others"]].sum() == pytest.approx(points(share)["seen"], abs=1e-12)
    assert share.details["share_before"] == pytest.approx(100 * 7 / 12)


def test_the_ends_of_a_set_are_those_of_what_is_seen_with_the_common_part():
    none, some = (growing.effect_on_share(by_hand(), Design(), common=common) for common in ((0.0, 0.0), COMMON))
    assert none.bounds("E3s") == none.bounds("seen")
    # of 70 sold before, 3 % less and 2 % more for the origin alone
    without = [105 / 180 - (105 - c * 0.7) / (180 - c * 0.7) for c in COMMON]
    np.testing.assert_allclose(np.subtract(some.bounds("E3s"), some.bounds("seen")), 100 * np.array(without))
    sales, effect = (verb(by_hand(), Design(), common=COMMON) for verb in (growing.effect_on_sales, VERBS[0]))
    ends = np.array(effect.bounds("E3g")) * 0.7  # of sales before
    np.testing.assert_allclose(sales.bounds("E3"), 100 * ends / (87 - ends))


@pytest.mark.parametrize("verb", VERBS)
def test_money_and_the_order_of_firms_change_nothing_and_every_error_is_that_of_its_influence(market, verb):
    panel, design = market[0], Design()
    order = np.random.default_rng(0).permutation(len(panel.firms))
    moved = replace(panel, sales=3.7 * panel.sales[order], firms=panel.firms.iloc[order])
    plain, other = (verb(one, design, common=COMMON) for one in (panel, moved))
    numbers = ["estimate", "std_error", "conf_low", "conf_high", "n"]
    np.testing.assert_allclose(other.rows[numbers], plain.rows[numbers], rtol=1e-8)
    error = np.sqrt((plain.influence**2).sum(axis=0))
    np.testing.assert_allclose(plain.rows["std_error"][:-1], error)


def test_errors_of_sales_follow_from_those_of_growth_and_those_of_shares_add_up(market):
    panel, design = market[0], Design()
    effect = estimands.effect_on_growth(panel, design, common=(0.0, 0.0))
    sales = growing.effect_on_sales(panel, design, common=(0.0, 0.0))
    level, step = 100 + points(estimands.growth(panel, design))["growth"], 1e-5
    seen = points(effect)["seen"]
    slope = (100 * (seen + step) / (level - seen - step) - 100 * seen / (level - seen)) / step
    np.testing.assert_allclose(sales.influence[:, 2], slope * effect.influence[:, 2], rtol=1e-4)
    share = growing.effect_on_share(panel, design, common=(0.0, 0.0))
    np.testing.assert_allclose(share.influence[:, :3].sum(axis=1), share.influence[:, 3], atol=1e-12)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_four_parts_add_up_to_the_effect_that_is_seen(seed):
    panel, _ = simulate("mid_3k", seed=seed)
    parts = growing.effect_in_parts(panel, Design(), common=COMMON)
    effect = estimands.effect_on_growth(panel, Design(), common=COMMON)
    assert points(parts)[list(growing.PARTS)].sum() == pytest.approx(points(effect)["seen"], abs=1e-9)
    np.testing.assert_allclose(parts.influence[:, 1:4].sum(axis=1), effect.influence[:, 1], atol=1e-9)
    assert parts.bounds("E3g") == pytest.approx(effect.bounds("E3g"))


def with_margins():
    """As by hand, but of the exposed CN firms one stops and a newcomer comes; of those elsewhere all go on."""
    plain = by_hand()
    sales = np.concatenate([plain.sales, np.zeros((1, 5, 42))])
    sales[2, 0, WAVE:] = 0.0
    sales[12, 0, WAVE:] = 4.0
    closed = {0: "2021-05-01", 1: "2021-06-01"}
    origin = [*plain.firms["origin"], "CN"]
    return panel_of(sales, closed, origin=origin, category=[*plain.firms["category"], "C0"])


def test_exit_and_entry_are_told_from_what_survivors_sell():
    parts = points(growing.effect_in_parts(with_margins(), Design(), common=COMMON))
    # of 70 sold before: the survivor sells 18 instead of 15, the other nothing instead of 15, the newcomer 4
    np.testing.assert_allclose(parts[["incumbents", "exit", "entry"]], [300 / 70, -1500 / 70, 400 / 70])


def test_newcomers_are_missed_where_closed_firms_were_too():
    panel = with_margins()
    sales = np.concatenate([panel.sales, np.zeros((1, 5, 42))])
    sales[13, 0, WAVE:] = 6.0  # beside 30 sold before elsewhere
    closed = {0: "2021-05-01", 1: "2021-06-01"}
    origin, category = [*panel.firms["origin"], "CN"], [*panel.firms["category"], "C1"]
    parts = growing.effect_in_parts(panel_of(sales, closed, origin=origin, category=category), Design(), common=COMMON)
    assert points(parts)["entry"] == pytest.approx(100 * (4 - 0.2 * (20 + 20)) / 70)


def test_errors_of_the_parts_equal_those_of_a_bootstrap():
    rng = np.random.default_rng(4)
    sizes = {"closed": 60, "pool": 300, "exposed": 200}
    kind = np.repeat(list(sizes), list(sizes.values()))
    before = rng.lognormal(sigma=0.8, size=560) * (rng.random(560) < 0.85)
    after = np.where(before > 0, before, 0.6) * rng.lognormal(sigma=0.4, size=560) * (rng.random(560) < 0.8)
    _, moved = growing._margins(before, after, kind == "closed", kind == "pool")
    ends = np.cumsum([0, *sizes.values()])
    drawn = []
    for _ in range(2000):
        rows = np.concatenate([rng.integers(low, high, high - low) for low, high in pairwise(ends)])
        drawn.append(growing._margins(before[rows], after[rows], kind == "closed", kind == "pool")[0])
    # 2,000 draws leave 1.6 % Monte Carlo error; curvature is of the order 1 / 200
    np.testing.assert_allclose(np.sqrt((moved**2).sum(axis=0)), np.std(drawn, axis=0), rtol=0.07)


def entering(before: int, after: dict[str, int]):
    """Two firms a category, in C3 and C4 one of them closed; entrants a year before, and after the first wave."""
    names = ["C0", "C1", "C2", "C3", "C4"]
    category = [*np.repeat(names, 2), *np.repeat(names, before), *np.repeat(names, [after[name] for name in names])]
    new = len(names) * before
    sales = np.full((len(category), 5, 42), 10.0)
    sales[10 : 10 + new, :, : WAVE - 11] = 0.0
    sales[10 + new :, :, : WAVE + 1] = 0.0
    return panel_of(sales, {6: "2021-05-01", 8: "2021-05-01"}, category=category)


def test_the_slope_of_entry_is_that_of_the_counts_and_its_level_is_not_estimated():
    panel = entering(4, {"C0": 3, "C1": 3, "C2": 3, "C3": 6, "C4": 6})
    found = growing.entry_by_exposure(panel, Design())
    held = panel.base_share(base=slice(WAVE - 12, WAVE))[6]
    assert points(found)["slope"] == pytest.approx(100 * (2 ** (0.1 / held) - 1), rel=1e-6)
    assert found.bounds("level") is None
    assert (found.counts["entrants_before"], found.counts["entrants"]) == (20, 21)


def test_fewer_entrants_everywhere_leave_the_slope_as_it_is():
    few, many = (
        entering(4, {name: n * (2 if name in ("C3", "C4") else 1) for name in ("C0", "C1", "C2", "C3", "C4")})
        for n in (1, 3)
    )
    slopes = [points(growing.entry_by_exposure(panel, Design()))["slope"] for panel in (few, many)]
    assert slopes[0] == pytest.approx(slopes[1], rel=1e-6)


def test_entrants_of_few_categories_are_no_slope_and_say_so():
    panel = entering(1, {"C0": 0, "C1": 0, "C2": 0, "C3": 1, "C4": 0})
    lone = panel.firms["category"].ne("C3") & (panel.total()[:, WAVE - 12] == 0)
    few = replace(panel, sales=panel.sales[~lone], firms=panel.firms[~lone])
    found = answers(few, Design(), ["E5d_slope", "E3g"]).rows.set_index("id")
    assert np.isnan(found.loc["E5d_slope", "estimate"])
    assert "have no single finite solution" in found.loc["E5d_slope", "reason"]


def test_a_panel_of_one_origin_has_no_share_and_says_so():
    panel = by_hand()
    alone = replace(panel, sales=panel.sales[:9], firms=panel.firms[:9].assign(origin="CN"))
    with pytest.raises(DesignError, match="all 9 firms are of this origin"):
        growing.effect_on_share(alone, Design(), common=COMMON)
    rows = answers(alone, Design(), ["E3", "E3s"]).rows.set_index("id")
    assert "use E3g" in rows.loc["E3s", "reason"]
    assert np.isfinite(rows.loc["E3", "estimate"])


def test_entrants_of_a_year_before_need_that_year():
    late = by_hand()
    late = replace(late, sales=late.sales[:, :, 16:], months=late.months[16:])
    with pytest.raises(DesignError, match="when all firms look new"):
        growing.entry_by_exposure(late, Design(post_from=8, post_to=9))


@pytest.mark.parametrize("margin", [0.5, 2.0, 8.0, 14.0, 30.0])
@pytest.mark.parametrize("two_sided", [False, True])
def test_a_rung_passes_its_test_where_its_limits_lie_within_the_margin(market, margin, two_sided):
    effect = estimands.effect_on_growth(market[0], Design(level=0.9), common=COMMON)
    rows = growth_checks.rungs(effect, ["a", "b", "c"], margin=margin, two_sided=two_sided)
    inside = (rows["conf_low"] > -margin) & ((rows["conf_high"] < margin) | (not two_sided))
    assert ((rows["p_value"] < 0.05) == inside).all()
    np.testing.assert_allclose(rows["estimate"][:2], points(effect)[["closed", "seen"]])
    np.testing.assert_allclose(rows["std_error"][1], effect.row("seen")["std_error"])
    assert (rows["conf_low"][2], rows["conf_high"][2]) == effect.bounds("E3g")


def test_the_verdict_turns_at_the_ends_of_the_break_even(market):
    seen = estimands.effect_on_growth(market[0], Design(), common=(0.0, 0.0))
    turn = growth_checks.break_even(seen, 2.0).row("break-even common effect")
    for at, below, above in (
        (turn["conf_high"], verdicts.NOT_SHOWN, verdicts.SUPPORTED),
        (turn["conf_low"], verdicts.CONTRADICTED, verdicts.NOT_SHOWN),
    ):
        words = [
            verdicts.not_lower(
                estimands.effect_on_growth(market[0], Design(), common=(at + off, at + off)).bounds("E3g"), 2
            )
            for off in (-0.01, 0.01)
        ]
        assert words == [below, above]


def test_precision_says_how_many_more_clusters_a_verdict_needs(market):
    effect = estimands.effect_on_growth(market[0], Design(), common=COMMON)
    row = growth_checks.precision({"V2": (effect, 2.0, False)}, level=0.95).iloc[0]
    assert row["needed"] == pytest.approx(2 / (1.6448536 + 0.8416212))
    assert row["times"] == pytest.approx((effect.row("seen")["std_error"] / row["needed"]) ** 2)


def test_parts_that_do_not_add_up_are_refused(market):
    parts = growing.effect_in_parts(market[0], Design(), common=COMMON)
    terms = {name: (f"E3k_{name}", name) for name in growing.PARTS} | {"seen": ("E3g", "sum")}
    rows = growth_checks.added_up(parts, terms, {})
    assert abs(rows["estimate"].iloc[-1]) < 1e-9
    broken = replace(parts, rows=parts.rows.assign(estimate=parts.rows["estimate"] + 1e-6))
    with pytest.raises(DataError, match="add up to 1e-09"):
        growth_checks.added_up(broken, terms, {})


def test_true_parts_stand_beside_and_are_checked_too(market):
    panel, truth = market
    parts = growing.effect_in_parts(panel, Design(), common=COMMON)
    terms = {name: (name, name) for name in growing.PARTS} | {"seen": ("E3g", "sum")}
    true = truth.decomposition() | {"E3g": truth.scalars()["E3g"]}
    rows = growth_checks.added_up(parts, terms, true).set_index("id")
    assert rows.loc["closed", "truth"] == true["closed"]
    with pytest.raises(DataError):
        growth_checks.added_up(parts, terms, true | {"exit": 1.0})


def test_a_sum_of_parts_that_are_not_true_of_anything_is_not_true_either(market):
    parts = growing.effect_in_parts(market[0], Design(), common=COMMON)
    terms = {name: (name, name) for name in (*growing.PARTS, "seen")}
    rows = growth_checks.added_up(parts, terms, dict.fromkeys(growing.PARTS, np.nan) | {"seen": 100.0})
    assert rows["truth"][:-1].isna().all()


def test_a_year_without_closures_shows_nothing_but_paths_that_part():
    still = by_hand()
    assert points(growth_checks.placebo(still, Design()))["seen"] == pytest.approx(0.0, abs=1e-9)
    drift = still.sales.copy()
    drift[2:4, 0, WAVE - 8 : WAVE] = 11.0  # exposed CN firms, September 2020 to April 2021
    found = points(growth_checks.placebo(replace(still, sales=drift), Design()))
    assert found["exposed"] == pytest.approx(100 * 2 / 70)
    short = replace(still, sales=still.sales[:, :, 10:], months=still.months[10:])
    rows = growth_checks.year_before(short, Design())
    assert rows["estimate"].isna().all()
    assert rows["reason"].str.contains("narrow the window").all()
