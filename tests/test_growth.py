"""Growth, sales and share of the origin at home: by hand, in parts that add up, and against
margins.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from panels import BY_FIRM, WAVE, by_hand, changed, panel_of, sides

from analysis.estimands import growth as verbs
from analysis.estimands.catalogue import estimate_all
from analysis.estimands.changes import estimated
from analysis.estimands.design import Design
from analysis.estimands.growth import (
    PARTS,
    against_others,
    effect_in_parts,
    effect_on_growth,
    effect_on_sales,
    effect_on_share,
    observed_growth,
)
from analysis.estimands.robustness import early
from analysis.estimate import OF_CENSUS, refusal
from analysis.evidence import claims, verdicts
from analysis.study import kind_of_interval
from market import simulate

COMMON = (-3.0, 2.0)
ONE_MONTH = Design(post_from=0, post_to=0, cluster="firm")


@pytest.fixture(scope="module")
def market():
    return simulate("ceiling_50k", seed=2)


def points(found):
    return found.rows.set_index("term")["estimate"]


# Observed growth


def random_firms(seed, n=300):
    rng = np.random.default_rng(seed)
    before = rng.lognormal(size=n) * (rng.random(n) < 0.8)
    after = (
        np.where(before > 0, before, 0.5) * rng.lognormal(sigma=0.5, size=n) * (rng.random(n) < 0.8)
    )
    return before, after, rng.random(n) < 0.1


def grown(before, after, closed, brand=None, **about):
    """Return the growth of firms from one month to the same a year later, in which some of them are
    closed; the panel is of a `population`.
    """
    sales = np.repeat(np.asarray(before)[:, np.newaxis, np.newaxis], 13, axis=2)
    sales[:, 0, 12] = after
    panel = panel_of(sales, dict.fromkeys(np.flatnonzero(closed), 12), brand=brand)
    design = replace(
        ONE_MONTH,
        comparison="spared_same_category",
        cluster="firm" if brand is None else "brand_group",
    )
    return observed_growth(replace(panel, **about), design)


def test_the_growth_of_all_firms_of_a_census_is_exact_unless_some_lack_sales():
    before = np.array([100.0, 50.0, 40.0, 10.0])
    after = np.array([20.0, 75.0, 60.0, 35.2])
    closed = np.arange(4) == 0
    drawn = grown(before, after, closed)
    assert drawn.conf_int[0, 0] < -4.9 < 0 < drawn.conf_int[1, 0]
    fell = grown(before, after, closed, population="census")
    assert fell.bounds("growth") == (pytest.approx(-4.9), pytest.approx(-4.9))
    assert f"{fell:all}" == f"−4.9 percentage points ○ ({OF_CENSUS})"
    assert kind_of_interval(fell) == OF_CENSUS
    more = (np.append(before, np.nan), np.append(after, 3.0), np.append(closed, False))
    assert grown(*more, population="census").bounds("growth") == drawn.bounds("growth")
    assert word_on_growth(fell) == verdicts.CONTRADICTED
    assert word_on_growth(drawn) == verdicts.NOT_SHOWN


def word_on_growth(effect):
    """Return the word on the claim that sellers still grow, from a panel's growth alone."""
    found = claims.Finding(
        interval=effect.bounds("growth"),
        kind=kind_of_interval(effect),
        grade="usable",
        provenance="estimate",
        tier="panel",
    )
    return claims.judge("C01", "V1", found).word


def test_growth_is_what_a_pocket_calculator_gives():
    before = np.array([50.0, 30.0, 20.0, 0.0, 0.0])
    after = np.array([10.0, 45.0, 0.0, 25.0, 0.0])
    found = grown(before, after, np.arange(5) == 0)
    assert (found.value.tolist(), [*found.n]) == ([pytest.approx(-20.0)], [5])
    assert points(observed_growth(by_hand(), Design()))["growth"] == pytest.approx(
        100 * (2 * 3 + 2 * 18 + 3 * 15 - 70) / 70
    )


def test_errors_of_growth_are_exactly_those_of_leaving_out_each_cluster():
    before, after, closed = random_firms(3, n=60)
    code = np.minimum(np.arange(60) // 3, 12)  # the last holds 24 firms
    brand = np.array([f"SIM-G{one}" for one in code])
    found = grown(before, after, closed, brand=brand)
    kept = [code != one for one in range(13)]
    without = np.array(
        [grown(before[rows], after[rows], closed[rows], brand=brand[rows]).value for rows in kept]
    )
    moved = np.sqrt(12 / 13) * (found.value - without)
    np.testing.assert_allclose(found.covariance, moved.T @ moved, rtol=1e-9, atol=1e-9)


def test_a_firm_that_is_missing_in_a_window_is_dropped_and_counted():
    before, after, closed = random_firms(4)
    plain = grown(before, after, closed)
    found = grown(np.append(before, np.nan), np.append(after, 3.0), np.append(closed, False))
    assert found.counts["dropped_missing"] == 1
    np.testing.assert_allclose(found.value, plain.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"before": np.zeros(5)}, "the 5 firms had no baseline sales"),
        ({"brand": "SIM-G0"}, "form fewer than two"),
    ],
)
def test_growth_from_nothing_or_of_one_cluster_is_refused(given, message):
    assert (
        message
        in grown(
            **({"before": np.ones(5), "after": np.ones(5), "closed": np.arange(5) == 0} | given)
        ).reason
    )


# The effect on growth, sales and share


def test_growth_sales_and_share_are_what_a_pocket_calculator_gives():
    # home sales a month of 7 CN firms: 70 before; 87 after, 105 without closures; of 5 US firms 84,
    # and 75
    effect = points(effect_on_growth(by_hand(), BY_FIRM, common=COMMON))
    np.testing.assert_allclose(effect, [-2400 / 70, 600 / 70, -1800 / 70, np.nan])
    sales = points(effect_on_sales(by_hand(), BY_FIRM))
    assert sales["seen"] == pytest.approx(100 * (87 / 105 - 1))
    share = effect_on_share(by_hand(), BY_FIRM, common=COMMON)
    assert points(share)["seen"] == pytest.approx(100 * (87 / 171 - 105 / 180))


def test_the_ends_of_a_set_are_those_of_what_is_seen_with_the_common_part():
    def ends_of(found, term):
        return found[term].conf_int[:, 0]

    effect = effect_on_growth(by_hand(), BY_FIRM, common=COMMON)
    np.testing.assert_allclose(np.subtract(ends_of(effect, "E3g"), ends_of(effect, "seen")), COMMON)
    none, some = (
        effect_on_share(by_hand(), BY_FIRM, common=common) for common in ((0.0, 0.0), COMMON)
    )
    assert (ends_of(none, "E3s") == ends_of(none, "seen")).all()
    # of 70 sold before, 3 % less and 2 % more for the origin alone
    without = [105 / 180 - (105 - c * 0.7) / (180 - c * 0.7) for c in COMMON]
    np.testing.assert_allclose(
        np.subtract(ends_of(some, "E3s"), ends_of(some, "seen")), 100 * np.array(without)
    )
    sales = effect_on_sales(by_hand(), BY_FIRM)
    ends = ends_of(effect, "seen") * 0.7  # of sales before
    np.testing.assert_allclose(ends_of(sales, "seen"), 100 * ends / (87 - ends))


def test_errors_of_sales_follow_from_those_of_growth(market):
    panel = market[0]
    design = Design()
    effect = effect_on_growth(panel, design)
    sales = effect_on_sales(panel, design)
    level = 100 + points(observed_growth(panel, design))["growth"]
    step = 1e-5
    seen = points(effect)["seen"]
    slope = (100 * (seen + step) / (level - seen - step) - 100 * seen / (level - seen)) / step
    np.testing.assert_allclose(sales.std_error, np.sqrt((sales.scores**2).sum(axis=0)))
    np.testing.assert_allclose(sales.scores[:, 2], slope * effect.scores[:, 2], rtol=1e-4)


def test_a_panel_of_one_origin_has_no_share_and_says_so():
    panel = by_hand()
    alone = replace(panel, sales=panel.sales[:9], firms=panel.firms[:9].assign(origin="CN"))
    found = estimate_all(alone, BY_FIRM, ["E3_seen", "E3s_seen"])
    assert "add sellers from other origins" in found["E3s_seen"].reason
    assert np.isfinite(found["E3_seen"].value)


# The common part, against other origins

LOW = {"CN": slice(6, 9), "US": slice(9, 12)}  # firms of low exposure of `by_hand`
YEARS = [
    slice(8, 14),
    slice(20, 26),
    slice(32, 38),
]  # the window, and the same months one and two years before


def selling(amounts):
    """Return a panel as by hand in which firms of low exposure sell so much a month, float64[year
    or firm, year].
    """

    def change(sales):
        for origin, firms in LOW.items():
            for year, months in enumerate(YEARS):
                sales[firms, 0, months] = np.reshape(amounts[origin], (-1, 3))[:, year, np.newaxis]

    return changed(by_hand(), change)


def test_the_common_part_is_how_growth_against_other_origins_changed():
    # own: 15 / 10 - 10 / 8 = .25; others: 16 / 10 - 10 / 5 = -.4
    found = against_others(selling({"CN": [8.0, 10.0, 15.0], "US": [5.0, 10.0, 16.0]}), BY_FIRM)
    seen = points(effect_on_growth(by_hand(), BY_FIRM))["seen"]
    np.testing.assert_allclose(found.value, [65.0, 65.0 + seen])
    assert (found.terms, found.unit, found.row("common")["n"]) == (
        ("common", "total"),
        "percentage points",
        6,
    )
    assert found.df.max() <= 2  # three firms of each origin


@pytest.mark.parametrize("gap", [-0.3, 0.0, 0.4])
def test_a_gap_in_growth_that_stays_is_no_common_part(gap):
    own = np.array([10.0, 12.0, 18.0])  # grows by .2, then by .5
    others = 7 * np.cumprod([1.0, 1.2 + gap, 1.5 + gap])
    found = points(against_others(selling({"CN": own, "US": others}), BY_FIRM))
    assert found["common"] == pytest.approx(0.0, abs=1e-9)
    later = points(against_others(selling({"CN": own * [1, 1, 0.9], "US": others}), BY_FIRM))
    assert later["common"] == pytest.approx(-15.0)  # a tenth of 1.5


def test_the_error_of_the_common_part_is_of_leaving_out_each_firm_and_moves_the_total():
    rng = np.random.default_rng(5)
    amounts = {origin: rng.lognormal(2, 0.3, (3, 3)) for origin in LOW}

    def common(sold):
        first, second, third = ([part.sum(axis=0)[year] for part in sold] for year in range(3))
        own, others = (third[side] / second[side] - second[side] / first[side] for side in (0, 1))
        return 100 * (own - others)

    panel = selling(amounts)
    sides_ = list(amounts.values())
    found = against_others(panel, BY_FIRM)
    seen = effect_on_growth(panel, BY_FIRM)["seen"]
    without = [
        common(
            [
                np.delete(part, firm, axis=0) if side == place else part
                for place, part in enumerate(sides_)
            ]
        )
        for side in (0, 1)
        for firm in range(3)
    ]
    whole = common(sides_)
    assert found.value[0] == pytest.approx(whole)
    moved = np.sqrt(5 / 6) * (whole - np.array(without))
    assert found.std_error[0] == pytest.approx(np.sqrt(moved @ moved), rel=1e-9)
    np.testing.assert_allclose(found.scores[6:, 0], moved, rtol=1e-9)
    assert found.value[1] == pytest.approx(whole + seen.value[0])
    together = (
        found.scores[:, 0]
        + verbs.growth_effect(estimated(panel, BY_FIRM, home=True))["seen"].scores[:, 0]
    )
    assert found.std_error[1] == pytest.approx(np.sqrt(together @ together))


# Its parts


@pytest.mark.parametrize("seed", [1, 2])
def test_the_four_parts_add_up_to_the_effect_that_is_seen(seed):
    panel, _ = simulate("mid_3k", seed=seed)
    for cluster in ("firm", "brand_group"):
        design = Design(cluster=cluster)
        parts, effect = (verb(panel, design) for verb in (effect_in_parts, effect_on_growth))
        assert points(parts)[list(PARTS)].sum() == pytest.approx(points(effect)["seen"], abs=1e-9)
        assert parts.bounds("seen") == pytest.approx(effect.bounds("seen"))
        np.testing.assert_allclose(parts.std_error, np.sqrt((parts.scores**2).sum(axis=0)))
        # A category of which one firm alone is exposed is on both sides; then they add up to second
        # order.
        within = {"firm": 1e-4, "brand_group": 0.01}[cluster]
        np.testing.assert_allclose(
            parts.scores[:, 1:4].sum(axis=1), effect.scores[:, 1], rtol=within, atol=1e-9
        )


def with_margins(*newcomers):
    """As by hand, but of the exposed CN firms one stops and newcomers come, each (sales a month,
    category).
    """
    plain = by_hand()
    sales = np.concatenate([plain.sales, np.zeros((len(newcomers), 5, 42))])
    sales[2, 0, WAVE:] = 0.0
    for place, (amount, _) in enumerate(newcomers, start=12):
        sales[place, 0, WAVE:] = amount
    category = [*plain.firms["category"], *(name for _, name in newcomers)]
    return panel_of(
        sales,
        {0: WAVE, 1: WAVE + 1},
        origin=[*plain.firms["origin"], *["CN"] * len(newcomers)],
        category=category,
    )


def test_exit_and_entry_are_told_from_what_survivors_sell():
    parts = points(effect_in_parts(with_margins((4.0, "C0")), BY_FIRM))
    # of 70 sold before: the survivor sells 18 instead of 15, the other nothing instead of 15, the
    # newcomer 4
    np.testing.assert_allclose(
        parts[["incumbents", "exit", "entry"]], [300 / 70, -1500 / 70, 400 / 70]
    )


def test_newcomers_are_missed_where_closed_firms_were_too():
    # elsewhere one sells 6 beside 30 sold before
    parts = points(effect_in_parts(with_margins((4.0, "C0"), (6.0, "C1")), BY_FIRM))
    assert parts["entry"] == pytest.approx(100 * (4 - 0.2 * (20 + 20)) / 70)


@pytest.mark.slow
def test_errors_of_the_parts_equal_those_of_a_bootstrap():
    """The base is taken as known, so both are in money."""
    rng = np.random.default_rng(4)
    sizes = {"closed": 60, "pool": 300, "exposed": 200}
    kind = np.repeat(list(sizes), list(sizes.values()))
    before = rng.lognormal(sigma=0.8, size=560) * (rng.random(560) < 0.85)
    after = (
        np.where(before > 0, before, 0.6)
        * rng.lognormal(sigma=0.4, size=560)
        * (rng.random(560) < 0.8)
    )

    closed = np.where(kind == "closed", 12.0, np.inf)
    pool = kind == "pool"
    panel = sides(np.repeat(before[:, np.newaxis, np.newaxis], 13, axis=2), closed, "CN", pool)

    def parts(rows):
        sales = np.repeat(before[rows, np.newaxis, np.newaxis], 13, axis=2)
        sales[:, 0, 12] = after[rows]
        found = effect_in_parts(replace(panel, sales=sales), ONE_MONTH)
        return found.value[1:4] * before[rows].sum(), found.std_error[1:4] * before[rows].sum()

    ends = np.cumsum([0, *sizes.values()])
    drawn = []
    for _ in range(2000):
        rows = np.concatenate([rng.integers(low, high, high - low) for low, high in pairwise(ends)])
        drawn.append(parts(rows)[0])
    # 2,000 draws leave 1.6 % Monte Carlo error; curvature is of the order 1 / 200
    np.testing.assert_allclose(parts(np.arange(560))[1], np.std(drawn, axis=0), rtol=0.07)


# Against margins


def test_rungs_are_sums_of_the_parts_and_the_last_is_the_set(market):
    effect = effect_on_growth(market[0], Design(level=0.9), common=COMMON)
    rows = verbs.cumulative_bounds(effect, ["a", "b", "c"]).rows
    np.testing.assert_allclose(rows["estimate"][:2], points(effect)[["closed", "seen"]])
    np.testing.assert_allclose(rows["std_error"][1], effect.row("seen")["std_error"])
    assert (rows["conf_low"][2], rows["conf_high"][2]) == effect.bounds("E3g")


def test_the_truth_of_the_whole_stands_beside_the_last_rung_alone(market):
    effect = effect_on_growth(market[0], Design(), common=COMMON)
    known, unknown = (
        verbs.cumulative_bounds(effect, ["a", "b", "c"], truth=truth) for truth in (-4.0, None)
    )
    np.testing.assert_array_equal(known.columns["truth"], [np.nan, np.nan, -4.0])
    assert np.isnan(unknown.columns["truth"]).all()
    assert (known.estimand, known.unit, known.terms) == (
        effect.estimand,
        effect.unit,
        ("a", "b", "c"),
    )


def test_the_verdict_turns_at_the_ends_of_the_break_even(market):
    turn = verbs.break_even(effect_on_growth(market[0], Design()), 2.0).row(
        "break-even common effect"
    )
    for at, below, above in (
        (turn["conf_high"], verdicts.NOT_SHOWN, verdicts.SUPPORTED),
        (turn["conf_low"], verdicts.CONTRADICTED, verdicts.NOT_SHOWN),
    ):
        effects = [
            effect_on_growth(market[0], Design(), common=(at + off, at + off)).bounds("E3g")
            for off in (-0.01, 0.01)
        ]
        assert [verdicts.not_lower(bounds, 2) for bounds in effects] == [below, above]


def test_precision_says_how_many_more_clusters_a_verdict_needs(market):
    effect = effect_on_growth(market[0], Design(), common=COMMON)
    asked = {"V2": (effect, 2.0, False), "V3": (refusal("one origin"), 1.0, True)}
    (row,) = verbs.precision(asked, level=0.95).to_dict("records")
    assert row["needed"] == pytest.approx(2 / (1.6448536 + 0.8416212))
    assert row["times"] == pytest.approx((effect.row("seen")["std_error"] / row["needed"]) ** 2)


def test_a_year_without_closures_shows_nothing_but_paths_that_part():
    still = by_hand()
    assert points(early(verbs.effect_on_growth, still, BY_FIRM))["seen"] == pytest.approx(
        0.0, abs=1e-9
    )

    def drifting(sales):
        sales[2:4, 0, WAVE - 8 : WAVE] = 11.0  # exposed CN firms, September 2020 to April 2021

    found = points(early(verbs.effect_on_growth, changed(still, drifting), BY_FIRM))
    assert found["exposed"] == pytest.approx(100 * 2 / 70)
    short = replace(still, sales=still.sales[:, :, 10:], months=still.months[10:])
    rows = verbs.placebo_growth(short, BY_FIRM)
    assert rows["estimate"].isna().all()
    assert rows["reason"].str.contains("narrow the window").all()


def test_firms_whose_sales_two_years_before_are_not_known_are_in_no_triple_difference():
    """They are left out, and not taken for firms that sold nothing."""
    panel = simulate("mid_3k", 1)[0]
    design = Design()
    sample = design.sample(panel)
    sales = panel.sales.copy()
    low = np.flatnonzero(sample.comparison & sample.is_own)[::5]
    sales[low, 0, sample.before.start - 12 : sample.before.stop - 12] = np.nan
    found = against_others(replace(panel, sales=sales), design)
    kept = np.setdiff1d(np.flatnonzero(sample.comparison), low)
    years = [
        slice(part.start - 12 * back, part.stop - 12 * back)
        for part, back in ((sample.before, 1), (sample.before, 0))
    ]
    sums = [
        [panel.sales[side, 0, year].sum() for year in (*years, sample.after)]
        for side in (kept[sample.is_own[kept]], kept[~sample.is_own[kept]])
    ]
    own, others = (c / b - b / a for a, b, c in sums)
    assert found.row("common")["estimate"] == pytest.approx(100 * (own - others))
    assert found.n == len(kept)
