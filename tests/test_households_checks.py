"""Checks of what purchases of households say: each asks one thing otherwise, and is held against
the plain estimate.
"""

from itertools import combinations
from math import exp, log, sqrt

import numpy as np
import pytest
from fewtreated.errors import DesignError

from analysis import data
from analysis.evidence import households, recentring
from analysis.evidence.households import AGAINST, Households, Specification, sums_by_window
from analysis.numbers import percent_change


@pytest.fixture(scope="module")
def tables():
    return Households.load()


@pytest.fixture(scope="module")
def recentred(tables):
    return recentring.recentred(tables)


def test_what_is_asked_stands_first_and_each_other_row_is_the_estimate_asked_so(tables):
    asked = Specification(against="other electronics")
    rows = {label: one.value[0] for label, one in households.robustness(tables, asked).items()}
    assert (
        rows["as above"]
        == next(iter(rows.values()))
        == pytest.approx(households.exposed(tables, asked).exp().value[0])
    )
    assert rows["against all others"] == pytest.approx(households.exposed(tables).exp().value[0])
    spend = households.exposed(tables, Specification(against="other electronics", of="spend"))
    assert rows["spend in place of purchases"] == pytest.approx(spend.exp().value[0])
    assert len(rows) == 1 + 2 + 1 + 2 + 2 + 2
    assert [*rows][1:3] == ["Chinese brands by name alone", "Chinese brands by a rule alone"]


def test_one_of_two_placebos_excludes_zero(tables):
    found = households.robustness(tables)
    ends = [found[label].bounds("effect") for label in households.PLACEBOS]
    assert [low <= 0 <= high for low, high in ends] == [True, False]


def test_random_sets_of_similar_categories_fall_too(tables, recentred):
    effects = recentred.details["effects"]
    plain = households.exposed(tables)
    assert effects[0] == pytest.approx(plain.value[0])
    assert (len(effects), 100 * (effects <= effects[0]).mean()) == (
        10_000,
        pytest.approx(13, abs=0.6),
    )
    assert (100 * (effects < 0).mean(), percent_change(np.median(effects))) == pytest.approx(
        (89, -9.9), abs=0.6
    )
    assert recentred.details["share"] == pytest.approx(0.185, abs=1e-3)
    gaps = recentred.details["gaps"]  # 385 of 1,682 less 323 of 1,406, and less the same elsewhere
    every = sums_by_window(
        tables, Specification(), Specification().windows, {"all others": AGAINST["all others"]}
    )
    before, all_before, after, all_after = (by_group.sum() for by_group in every.values())
    assert gaps[0] == pytest.approx(
        100 * (385 / 1682 - 323 / 1406 - after / all_after + before / all_before)
    )
    assert 100 * (gaps <= gaps[0]).mean() == pytest.approx(11, abs=0.6)
    subtracted = percent_change(
        plain.value[0] - recentred.value[0]
    )  # the mean of sets once the fall is taken out
    assert percent_change(effects.mean()) < subtracted == pytest.approx(-8.5, abs=0.1)


@pytest.mark.slow
def test_less_what_random_sets_show_no_choice_finds_more_than_chance(tables, recentred):
    found = recentring.robustness(tables)
    assert all(one.conf_int[0, 0] < 0 < one.conf_int[1, 0] for one in found.values())
    assert {one.counts["categories"] for one in [*found.values()][:3]} == {
        24 + 86
    }  # the same for each definition
    assert found["as above"].value == recentred.value


def test_allowing_for_lost_titles_adds_the_larger_placebo_at_both_ends(tables, recentred):
    early = [
        recentring.recentred(tables, Specification(**months))
        for months in households.PLACEBOS.values()
    ]
    added = (recentring.widened_by_placebos(recentred, early).conf_int - recentred.conf_int)[:, 0]
    assert added == pytest.approx([np.log(1 - 0.0782), -np.log(1 - 0.0782)], abs=0.003)


@pytest.mark.parametrize(
    ("definition", "often", "others", "change", "low", "high", "as_far"),
    [
        ("either", 40, 86, -9.2, -24.0, 9.6, 13),
        ("either", 0, 132, -11.3, -25.1, 6.4, 9),
        ("by rule", 40, 86, 3.1, -21.1, 39.5, 63),
    ],
)
def test_the_least_number_of_purchases_of_a_similar_category_is_an_option(
    tables, definition, often, others, change, low, high, as_far
):
    found = recentring.recentred(tables, Specification(definition=definition), often=often)
    effects = found.details["effects"]
    percent = found.exp()
    assert found.counts["categories"] - len(tables.categories) == others
    assert (*percent.value, *percent.bounds("effect")) == pytest.approx(
        (change, low, high), abs=0.3
    )
    assert 100 * (effects <= effects[0]).mean() == pytest.approx(as_far, abs=1)


def test_categories_of_early_pages_alone_are_a_second_design(tables):
    early = recentring.categories_on_early_pages()
    listed = {*tables.categories["category"]}
    assert (len(early), len(listed & {*early})) == (28, 19)
    found = recentring.recentred(tables, Specification(definition="by name"), only=early)
    assert found.details["exposed"] == 28
    assert (*found.exp().value, *found.exp().bounds("effect")) == pytest.approx(
        (-8.6, -33.6, 30.7), abs=0.5
    )
    assert not {*early, *listed} & {*recentring.like_exposed(tables, often=0)}


def test_early_pages_are_of_2018_to_2020():
    pages = data.load("household_pages")
    documents = data.documents(pages).drop_duplicates("source_url").set_index("source_url")["date"]
    assert {date[:4] for date in documents[pages["source_url"]]} == {"2018", "2019", "2020"}


def test_sets_without_a_chinese_brand_refuse_the_estimate(tables):
    few = recentring.recentred(
        tables, Specification(definition="by name"), only=["humidifier", "lamp"], draws=99
    )
    assert few.refused
    assert "random sets of 2 categories no Chinese brand was bought" in few.reason


def test_the_recentred_effect_is_that_of_an_independent_script_at_any_seed(tables, recentred):
    again = recentring.recentred(tables, seed=1)
    assert again.value != recentred.value
    assert recentring.recentred(tables).value == recentred.value
    for found in (
        recentred.exp(),
        again.exp(),
    ):  # 6,000 draws: -9.1 to -9.3, about -23.7 to +9, p .30
        assert (*found.value, *found.bounds("effect")) == pytest.approx((-9.2, -23.8, 9.4), abs=0.6)
        assert found.details["p"] == pytest.approx(0.30, abs=0.02)
        assert found.counts["categories"] == 110
    growth = recentring.recentred_growth(tables, recentred)
    assert growth.details["weight"] == pytest.approx(0.101, abs=5e-4)  # of Chinese purchases
    scale = (
        10.1 * 1.3
    )  # all sellers' sales grew by 30 per cent, so a part of 2021's is 1.3 times that of 2020's
    assert growth.value[0] == pytest.approx(scale * np.expm1(recentred.value[0]), abs=0.01)
    assert growth.bounds("effect on growth") == pytest.approx(
        scale * np.expm1(recentred.bounds("effect")), abs=0.02
    )


@pytest.mark.parametrize("margin", [-0.25, -0.1, -0.02, -0.002, 0.002, 0.02, 0.1, 0.25])
def test_the_interval_holds_zero_exactly_where_the_test_does_not_reject_it(tables, margin):
    p = recentring.recentred(tables, draws=999).details["p"]
    found = recentring.recentred(tables, Specification(level=1 - p + margin), draws=999)
    low, high = found.bounds("effect")
    assert low < found.value[0] < high
    assert (low <= 0 <= high) == (p > 1 - found.level) == (margin > 0)


def test_an_interval_without_ends_and_months_that_are_not_counted_are_refused(tables):
    with pytest.raises(
        DesignError,
        match=(
            "Cannot find the 99% interval of the recentred effect: it extends beyond a third or"
            " three times"
        ),
    ):
        recentring.recentred(tables, Specification(level=0.99), draws=49)  # no p is below one in 50
    with pytest.raises(DesignError, match="by half-year from March or September"):
        recentring.recentred(tables, Specification(before=("2020-05", "2020-10")))


def test_the_permutation_test_is_what_counting_every_set_by_hand_gives():
    counts = np.array(
        [[30, 90, 20, 95], [12, 80, 10, 70], [25, 100, 31, 110], [9, 60, 8, 64], [40, 130, 39, 120]]
    )
    rest = np.array([50, 600, 61, 640])
    shift = 0.1
    every = list(combinations(range(5), 2))
    test = recentring.permutation_test(counts.astype(float), rest.astype(float), np.array(every))
    moved = [
        (c0, a0, c1 * exp(-shift) if place in every[0] else c1, a1)
        for place, (c0, a0, c1, a1) in enumerate(counts)
    ]
    effects = []
    errors = []
    for chosen in every:
        c0, a0, c1, a1 = (sum(moved[place][of] for place in chosen) for of in range(4))
        others = [place for place in range(5) if place not in chosen]
        C0, A0, C1, A1 = (sum(moved[place][of] for place in others) + rest[of] for of in range(4))  # noqa: N806
        effects.append(log(c1 / a1) - log(C1 / A1) - log(c0 / a0) + log(C0 / A0))
        errors.append(sqrt(1 / c0 - 1 / a0 + 1 / c1 - 1 / a1))
    mean = sum(effects) / 10
    ratios = [(effect - mean) / error for effect, error in zip(effects, errors, strict=True)]
    gap, error, p = test(shift)
    assert (gap, error) == pytest.approx((effects[0] - mean, errors[0] * np.std(ratios)))
    assert p == sum(abs(ratio) >= abs(ratios[0]) for ratio in ratios) / 10
    assert 1 / 10 < p < 1


@pytest.mark.slow
def test_the_permutation_test_rejects_as_often_as_it_says(tables):
    pool = recentring.exposed_by_category(tables).to_numpy(dtype=float)
    pool = pool[(pool[:, :2] > 0).all(axis=1)]
    rng = np.random.default_rng(4)
    rest = np.array([1000.0, 9000.0, 1100.0, 9200.0])
    p = []
    for _ in range(
        600
    ):  # categories drawn anew, of which any may have been exposed; a shift then sets 12 apart
        counts = pool[rng.integers(len(pool), size=48)]
        counts[:12, 2] *= np.exp(0.2)
        sets = np.concatenate(
            [np.arange(12)[np.newaxis], rng.random((199, 48)).argsort(axis=1)[:, :12]]
        )
        p.append(recentring.permutation_test(counts, rest, sets)(0.2)[2])
    for size in (0.05, 0.1, 0.2):
        assert np.mean(np.array(p) <= size) == pytest.approx(
            size, abs=3 * sqrt(size * (1 - size) / 600)
        )


def test_where_nothing_is_assumed_of_blank_titles_the_change_of_the_share_has_either_sign(tables):
    blank, change = households.worst_case(tables)
    assert (blank, *change) == pytest.approx((4.8, -3.1, 6.5), abs=0.05)
