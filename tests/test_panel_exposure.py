"""What a panel says of closures: when, of whom, what they held of a category, and who was exposed
to them.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fewtreated.errors import DataError, DesignError
from panels import random_panel


def test_first_treated_is_the_month_of_closure_by_dose_and_window():
    panel = random_panel(np.random.default_rng(16), n=60)
    for cut in (0.2, 0.5, 0.9):
        expected = [
            (
                list(panel.months.astype(str)).index(f"{closed:%Y-%m}")
                if closed is not pd.NaT and closed < pd.Timestamp("2020-09-01") and dose >= cut
                else np.inf
            )
            for closed, dose in zip(panel.firms["closed_on"], panel.firms["dose"], strict=True)
        ]
        assert panel.first_treated(cut=cut).tolist() == expected


def test_a_closure_before_the_first_month_is_refused_whoever_made_the_panel():
    panel = random_panel(np.random.default_rng(17))
    firms = panel.firms.assign(closed_on=pd.Timestamp("2019-12-01"), dose=1.0)
    with pytest.raises(
        DataError,
        match="2020-01; found 12 firms such as 'SIM-0000' that were closed earlier; leave",
    ):
        replace(panel, firms=firms).first_treated()


def test_cohorts_count_firms_and_groups_by_month():
    panel = random_panel(np.random.default_rng(18), n=60)
    cohorts = panel.cohorts()
    first = panel.first_treated()
    assert list(cohorts.columns) == ["month", "firms", "brand_groups"]
    assert list(cohorts["month"].astype(str)) == ["2020-05", "2020-06", "2020-08"]
    for month, firms, groups in cohorts.itertuples(index=False):
        members = panel.firms[first == list(panel.months).index(month)]
        assert (firms, groups) == (len(members), len(set(members["brand_group"])))
    assert cohorts["firms"].sum() == np.isfinite(first).sum()
    assert cohorts["firms"].sum() > panel.cohorts(cut=0.9)["firms"].sum()


def brute_share(panel, base):
    """Return base shares by loops, NaN where the firm is not known or the category sold nothing."""
    sales = panel.sales[:, 0, base]
    category = list(panel.firms["category"])
    sold = [sum(value for value in row if not np.isnan(value)) for row in sales]
    total = {
        name: sum(s for s, c in zip(sold, category, strict=True) if c == name) for name in category
    }
    return sold, [total[name] for name in category]


@pytest.mark.parametrize("seed", range(5))
def test_exposure_is_what_closed_rivals_of_the_category_held(seed):
    panel = random_panel(np.random.default_rng(100 + seed))
    if seed % 2:
        panel = replace(panel, sales=panel.sales[:, ::-1], platforms=panel.platforms[::-1])
    base = slice(0, 4)
    sold, total = brute_share(panel, base)
    category = list(panel.firms["category"])
    first = panel.first_treated()
    exposure = panel.exposure(base=base)
    share = panel.base_share(base=base)
    known = ~np.isnan(panel.sales[:, 0, base]).all(axis=1)
    for i in range(len(category)):
        assert (
            np.isnan(share[i])
            if not known[i] or not total[i]
            else share[i] == pytest.approx(sold[i] / total[i])
        )
        for t in range(len(panel.months)):
            rivals = [
                j
                for j in range(len(category))
                if j != i and category[j] == category[i] and first[j] <= t
            ]
            expected = sum(sold[j] for j in rivals) / total[i]
            assert exposure[i, t] == pytest.approx(expected, abs=1e-12)


def test_exposure_is_given_for_the_months_that_are_asked():
    panel = random_panel(np.random.default_rng(24), n=40)
    every = panel.exposure(base=slice(0, 4))
    for months in (slice(4, 7), slice(None, None, 3), slice(-2, None), slice(3, 3)):
        np.testing.assert_array_equal(
            panel.exposure(base=slice(0, 4), months=months), every[:, months]
        )


def test_codes_number_the_words_of_a_column_in_their_order():
    panel = random_panel(np.random.default_rng(25), n=40)
    for column in ("origin", "category", "brand_group"):
        codes, words = panel.codes(column)
        assert codes.dtype == np.int64
        assert words.is_monotonic_increasing
        assert list(words[codes]) == list(panel.firms[column])
    codes, words = panel.codes("id")
    assert list(words[codes]) == list(panel.firms.index)


def test_what_is_kept_for_the_next_call_cannot_be_changed_and_stays_with_its_panel():
    panel = random_panel(np.random.default_rng(26))
    for first, again in [
        (panel.first_treated(), panel.first_treated()),
        (panel.total(), panel.total()),
    ]:
        assert first is again
        with pytest.raises(ValueError, match="read-only"):
            first[0] = 1.0
    assert panel.first_treated(cut=0.9) is not panel.first_treated()
    never = replace(panel, firms=panel.firms.assign(closed_on=pd.NaT, dose=np.nan))
    assert np.isinf(never.first_treated()).all()


def test_a_category_that_sold_nothing_has_no_shares_and_no_exposure():
    panel = random_panel(np.random.default_rng(20))
    empty = (panel.firms["category"] == "toys").to_numpy()
    panel = replace(panel, sales=np.where(empty[:, None, None], 0.0, panel.sales))
    assert empty.any()
    np.testing.assert_array_equal(np.isnan(panel.exposure(base=slice(0, 4))).all(axis=1), empty)
    assert np.isnan(panel.base_share(base=slice(0, 4))[empty]).all()


def test_a_base_with_closures_is_refused():
    panel = random_panel(np.random.default_rng(22))
    with pytest.raises(
        DesignError,
        match=(
            "base months end in 2020-05, but the first closure is in 2020-05; choose earlier base"
            " months"
        ),
    ):
        panel.exposure(base=slice(0, 5))
