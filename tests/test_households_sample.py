"""The random sample of the rule's purchases: how it is drawn, what two codings of it say, and what
is corrected.
"""

import dataclasses
from collections import Counter

import coding
import numpy as np
import pandas as pd
import pytest
import sample as program
from fewtreated.errors import DataError, DesignError
from test_households import PART

from analysis.data import load
from analysis.evidence import households, recentring
from analysis.evidence.households import Households, Specification

EITHER = Specification(definition="either")
BEFORE = "2020-09"
AFTER = "2021-09"


@pytest.fixture(scope="module")
def kept():
    return load("household_sample")


def coded(first, second=None, half_year=AFTER, weight=2.0):
    if second is None:
        second = first
    frame = pd.DataFrame({"code_1": first, "code_2": second, "half_year": half_year})
    return frame.assign(weight=weight)


# The draw


def test_the_kept_sample_is_of_the_listed_categories_and_compared_half_years(kept):
    assert len(kept) == program.SIZE
    assert (
        {*kept["half_year"]}
        == {*program.HALF_YEARS}
        == {"2018-09", "2019-09", "2020-09", "2021-09"}
    )
    assert {*kept["category"]} <= {*load("household_categories")["category"]}
    origin = load("household_brands").set_index("token")["origin"]
    assert {*origin[kept["token"]]} == {"presumed CN"}


def test_weights_add_up_to_the_rule_s_purchases_in_these_half_years(kept):
    bought = load("household_purchases")
    bought = bought[bought["category"].isin(load("household_categories")["category"])]
    bought = bought[bought["origin_class"] == program.BY_RULE]
    halves = bought["month"].map(
        {month: households.half_year(month) for month in bought["month"].unique()}
    )
    by_half = bought["purchases"].groupby(halves).sum()[program.HALF_YEARS]
    assert by_half.tolist() == [74, 120, 150, 206]
    assert kept["weight"].sum() == pytest.approx(by_half.sum())
    drawn = kept["half_year"].value_counts()
    spread = np.sqrt(
        program.SIZE * by_half / by_half.sum() * (1 - by_half / by_half.sum()) * (1 - 400 / 550)
    )
    assert ((drawn - program.SIZE * by_half / by_half.sum()).abs() < 3 * spread).all()


@pytest.mark.skipif(
    not PART.exists(), reason="the public part of 27 states is not beside the repository"
)
def test_the_public_part_gives_the_kept_sample(kept):
    drawn = program.draw(program.eligible(PART))[program.DRAWN]
    pd.testing.assert_frame_equal(drawn, kept[program.DRAWN], check_dtype=False)


def test_another_seed_draws_others_and_each_purchase_at_most_once():
    purchases = pd.DataFrame({"token": [f"T{number}" for number in range(60)]})
    drawn = [program.draw(purchases, 40, seed)["token"] for seed in (0, 0, 1)]
    assert drawn[0].tolist() == drawn[1].tolist() != drawn[2].tolist()
    assert drawn[0].is_unique
    assert program.draw(purchases, 40)["weight"].unique() == pytest.approx([1.5])
    with pytest.raises(
        DesignError, match="Cannot draw 61 purchases: only 60 are eligible; choose a smaller size"
    ):
        program.draw(purchases, 61)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("1,chinese,known\n", "expected each id from 1 to 2 once; found 1 rows"),
        ("1,chinese,known\n1,chinese,known\n", "expected each id from 1 to 2 once"),
        ("1,chinese,known\n2,Chinese,known\n", "found 'Chinese'"),
        ("1,chinese,known\n2,cannot tell,\n", "a basis in each row"),
    ],
)
def test_codes_that_are_not_complete_are_refused(tmp_path, rows, said):
    file = tmp_path / "codes.csv"
    file.write_text("id,code,basis\n" + rows)
    drawn = pd.DataFrame(
        {"id": [1, 2], "token": "AB", "category": "lamp", "half_year": AFTER, "weight": 1.0}
    )
    with pytest.raises(DataError, match=r"codes\.csv") as refused:
        program.add_codes(drawn, [file])
    assert said in str(refused.value)


def test_every_row_of_a_coding_has_a_basis_and_a_word_has_one_code(kept):
    for number, _ in enumerate(coding.codings(kept), start=1):
        assert (kept[f"basis_{number}"].str.len() > 3).all()
        assert {*kept[f"code_{number}"]} <= {*coding.WRONG}
        codes = kept[["token", f"code_{number}"]].drop_duplicates()
        assert codes["token"].is_unique


# What the codes say


def test_agreement_is_that_of_a_table_by_hand():
    pairs = Counter({("chinese", "chinese"): 20, ("no brand", "no brand"): 15})
    pairs += Counter({("chinese", "no brand"): 5, ("no brand", "chinese"): 10})
    first, second = zip(*pairs.elements(), strict=True)
    found = coding.agreement(coded(first, second))
    assert found == pytest.approx({"per_cent": 70.0, "kappa": 0.4})  # .7 less .5 by chance, of .5


def test_codes_by_chance_have_a_kappa_of_nought():
    rng = np.random.default_rng(1)
    codes = [rng.choice([*coding.WRONG], 20_000, p=[0.6, 0.2, 0.1, 0.1]) for _ in range(2)]
    assert coding.agreement(coded(*codes))["kappa"] == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize(
    ("pair", "as_coded", "least", "most"),
    [
        (("chinese", "chinese"), 0, 0, 0),
        (("not chinese", "no brand"), 100, 100, 100),
        (("chinese", "not chinese"), 50, 0, 100),
        (("cannot tell", "chinese"), 0, 0, 100),
        (("no brand", "cannot tell"), 100, 0, 100),
    ],
)
def test_doubts_count_as_was_written_beforehand(pair, as_coded, least, most):
    one = coded([pair[0]] * 4, [pair[1]] * 4)
    found = [
        coding.wrong(one, counts)["all"].value[0] for counts in ("as coded", "at least", "at most")
    ]
    assert found == [as_coded, least, most]


def test_what_neither_can_tell_is_left_out_and_bounded():
    some = coded(["chinese"] * 6 + ["no brand"] * 2 + ["cannot tell"] * 2)
    found = coding.wrong(some)
    assert found.counts == {"purchases": 10, "coded": 8}
    assert found["all"].value == pytest.approx([25])
    assert coding.wrong(some, "at least")["all"].value == pytest.approx([20])
    assert coding.wrong(some, "at most")["all"].value == pytest.approx([40])
    with pytest.raises(DesignError, match="choose one of as coded, at least, at most"):
        coding.wrong(some, "perhaps")


def test_a_share_has_the_error_of_a_finite_population():
    codes = ["chinese"] * 30 + ["no brand"] * 10
    by_hand = 100 * np.sqrt(0.25 * 0.75 / 39 * (1 - 1 / 1.6))
    assert coding.wrong(coded(codes, weight=1.6))["all"].std_error == pytest.approx([by_hand])
    assert coding.wrong(coded(codes, weight=1.0))["all"].std_error == pytest.approx(
        [0]
    )  # all of them were coded


def test_intervals_of_shares_by_half_year_cover_the_truth():
    rng = np.random.default_rng(3)
    halves = np.repeat([BEFORE, AFTER], [220, 330])
    codes = np.where(rng.random(550) < np.where(halves == BEFORE, 0.3, 0.15), "no brand", "chinese")
    true = [100 * (codes[halves == half] == "no brand").mean() for half in (BEFORE, AFTER)]
    inside = []
    for _ in range(600):
        places = rng.permutation(550)[:250]
        found = coding.wrong(coded(codes[places], half_year=halves[places], weight=550 / 250))
        rows = found.rows.set_index("term")
        inside.append(
            [
                rows.loc[half, "conf_low"] < of < rows.loc[half, "conf_high"]
                for half, of in zip((BEFORE, AFTER), true, strict=True)
            ]
        )
    assert np.mean(inside, axis=0) == pytest.approx([0.95, 0.95], abs=0.03)


# What is corrected


def invented(wrong, effect=0.0):
    """Return tables as observed and as they truly are, with known shares of the rule's purchases
    wrong.
    """
    rng = np.random.default_rng(5)
    names = [f"kind_{letter}" for letter in "abcdefghijklmnopqrst"]
    by_half = []
    true = []
    for half, share in wrong.items():
        for place, name in enumerate(names):
            named = rng.integers(30, 60)
            right = rng.integers(40, 90)
            other = rng.integers(200, 300)
            if place < 6 and half == AFTER:
                named = named * np.exp(effect)
                right = right * np.exp(effect)
            seen = right / (1 - share)
            for rows, counts in (
                (by_half, (named, seen, other)),
                (true, (named, right, other + seen - right)),
            ):
                rows += [
                    {"half_year": half, "category": name, "origin_class": one, "purchases": number}
                    for one, number in zip(
                        ("named_chinese", "pseudo_brand", "other"), counts, strict=True
                    )
                ]
    tables = []
    for rows in (by_half, true):
        halves = pd.DataFrame(rows)
        exposed = halves["category"].isin(names[:6])
        months = halves.assign(month=halves["half_year"], buyer_group=0, units=1, spend=1.0).drop(
            columns="half_year"
        )
        months["category"] = months["category"].where(exposed, "everything else")
        buyers = pd.DataFrame(
            {"month": [BEFORE, AFTER], "buyer_group": 0, "active_buyers": 1, "purchases": 1}
        )
        categories = pd.DataFrame({"category": names[:6], "source_url": None})
        tables.append(Households(months, buyers, categories, halves))
    return tables


def exact(wrong, drawn=200, weight=1.0):
    parts = []
    for half, share in wrong.items():
        codes = ["no brand"] * round(share * drawn) + ["chinese"] * round((1 - share) * drawn)
        parts.append(coded(codes, half_year=half, weight=weight))
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize(("before", "after"), [(0.1, 0.5), (0.5, 0.1), (0.3, 0.3)])
def test_a_correction_by_the_true_shares_gives_what_the_true_brands_give(before, after):
    wrong = {BEFORE: before, AFTER: after}
    seen, true = invented(wrong, effect=-0.3)
    given = {"draws": 199, "similar": recentring.like_exposed(seen)}
    truth = recentring.recentred(true, EITHER, **given)
    plain = recentring.recentred(seen, EITHER, **given)
    found = coding.corrected(seen, EITHER, sample=exact(wrong), draws=199)
    assert found.value == pytest.approx(truth.value, abs=1e-6)
    assert found.conf_int == pytest.approx(
        truth.conf_int, abs=2e-3
    )  # all was coded, so that it adds no error
    assert found.details["wrong"] == pytest.approx([before, after])
    moved = households.exposed(coding.reclassified(seen, wrong), EITHER).value
    assert moved == pytest.approx(households.exposed(true, EITHER).value)
    assert abs(plain.value - truth.value) > 1e-4


def test_a_smaller_sample_widens_the_interval_and_other_categories_may_err_otherwise():
    wrong = {BEFORE: 0.1, AFTER: 0.5}
    seen, _ = invented(wrong)
    few, many = (
        coding.corrected(seen, EITHER, sample=exact(wrong, drawn, weight=5.0), draws=99)
        for drawn in (20, 2000)
    )
    assert few.value == pytest.approx(many.value)
    assert np.ptp(few.conf_int) > np.ptp(many.conf_int)
    none = coding.corrected(seen, EITHER, sample=exact(wrong), elsewhere=0.0, draws=99)
    assert (
        none.value < many.value
    )  # the share falls where errors are removed after the closures alone


def test_a_half_year_that_was_not_coded_is_refused(kept):
    spec = dataclasses.replace(EITHER, before=("2020-03", "2020-08"), after=("2021-03", "2021-08"))
    with pytest.raises(
        DesignError, match="no purchase in the half-year from 2020-03 was coded; choose windows"
    ):
        coding.corrected(Households.load(), spec, sample=kept)


@pytest.mark.slow
def test_the_kept_checks_are_those_of_the_program(kept):
    made = coding.checks(kept, Households.load())
    pd.testing.assert_frame_equal(made, load("household_checks"), check_exact=False, atol=2e-6)


def test_the_kept_shares_and_agreement_are_those_of_the_kept_sample(kept):
    checks = load("household_checks").set_index(["check", "case"])["estimate"]
    twice = len(coding.codings(kept)) > 1
    assert ("same code twice" in checks) == twice
    assert not twice or checks["same code twice"]["kappa"] == pytest.approx(
        coding.agreement(kept)["kappa"], abs=1e-6
    )
    assert checks["wrong, as coded"]["all"] == pytest.approx(
        coding.wrong(kept)["all"].value[0], abs=1e-6
    )
