"""Where lost sales went and where firms sell since: by hand, parts that add up, Fieller, mix,
recapture.
"""

from dataclasses import replace

import numpy as np
import pytest
from fewtreated.errors import DesignError
from panels import (
    BY_FIRM,
    DOSES_DESIGN,
    SHORT,
    by_hand,
    changed,
    doses,
    joined,
    random_sides,
    rows_of,
    sides,
    sides_by_hand,
)
from scipy.stats import t

from analysis.estimands.design import Design
from analysis.estimands.displacement import (
    RESIDUALS,
    SURE,
    _fieller,
    displacement,
    excess_recapture,
    lost_sales,
    platform_mix,
    recapture,
    relocation,
    toward_destinations,
    where_it_went,
)
from analysis.estimands.growth import effect_on_share
from analysis.estimate import refusal

PARTS = [f"d{number}" for number in range(1, 8)]


def points(verb, firms, **fields):
    return verb(sides(**firms), replace(SHORT, **fields)).rows.set_index("term")["estimate"]


def test_markets_worked_out_by_hand_are_recovered_exactly():
    found = displacement(sides(**sides_by_hand()), SHORT)
    np.testing.assert_allclose(
        found.value, [20.0, 30.0, 10.0, 5.0, 10.0, -5.0, 30.0, 100.0], atol=1e-9
    )
    money = lost_sales(sides(**sides_by_hand()), SHORT)
    np.testing.assert_allclose(money[list(found.terms)].value, 0.6 * found.value, atol=1e-9)
    assert money.unit == "sim-$"
    # lost: 2 x 12; d1: 2 x 3, d2: 2 x 4.5, d3: 2 x 3
    other = displacement(by_hand(), BY_FIRM)
    np.testing.assert_allclose(other.value, [25.0, 37.5, 25.0, 0, 0, 0, 12.5, 100], atol=1e-9)
    relocated = relocation(by_hand(), BY_FIRM)
    assert relocated.row("EBY")["estimate"] == pytest.approx(25.0)
    assert relocated.covariance.shape == (4, 4)


@pytest.mark.parametrize("seed", range(5))
def test_the_parts_add_up_to_a_hundred_and_so_do_their_errors_to_nothing(seed):
    found = displacement(sides(**random_sides(seed)), SHORT)
    assert found[PARTS].value.sum() == pytest.approx(100.0, abs=1e-9)
    assert found.row("sum")["estimate"] == pytest.approx(100.0, abs=1e-9)
    covariance = found.covariance[:7, :7]
    assert covariance.sum() == pytest.approx(0.0, abs=1e-9 * np.abs(covariance).max())
    influence = found.scores
    np.testing.assert_allclose(
        influence.T @ influence, found.covariance, rtol=1e-12, atol=1e-12
    )  # that of "sum" is nothing
    np.testing.assert_allclose(
        influence[:, :7].sum(axis=1), 0.0, atol=1e-9
    )  # no cluster moves the sum
    assert found.row("sum")["std_error"] < 1e-9


def test_no_relocation_gives_parts_of_exactly_nothing():
    firms = sides_by_hand()
    firms["sales"][:2, 1:, 12:] = 15.0
    found = displacement(sides(**firms), SHORT).rows.set_index("term")
    np.testing.assert_allclose(
        found.loc[["d3", "d4", "d5"], ["estimate", "std_error"]], 0.0, atol=1e-12
    )
    firms["sales"][:, 1:] = 0.0
    np.testing.assert_array_equal(points(displacement, firms)[["d3", "d4", "d5", "d6"]], 0.0)


def test_an_absent_platform_is_said_and_its_sales_are_in_the_residual():
    panel = sides(**sides_by_hand())
    kept = [0, 1, 3, 4]
    fewer = replace(
        panel, sales=panel.sales[:, kept], platforms=tuple(panel.platforms[place] for place in kept)
    )
    whole = displacement(panel, SHORT)
    less = displacement(fewer, SHORT)
    assert np.isnan(less.row("d4")["estimate"])
    assert "d4: no such platform in the data" in less.reason
    moved = less.row("d7")["estimate"] - whole.row("d7")["estimate"]
    assert moved == pytest.approx(whole.row("d4")["estimate"])
    assert less.row("sum")["estimate"] == pytest.approx(100.0, abs=1e-9)


def test_what_a_single_exposed_firm_of_other_origins_cannot_show_blanks_its_part_and_residuals():
    whole = displacement(sides(**sides_by_hand()), SHORT).value
    less = displacement(sides(**rows_of(sides_by_hand(), np.arange(10) != 5)), SHORT)
    blank = np.isin(less.terms, ["d2", "d6", "d7"])
    assert np.isnan(less.value[blank]).all()
    np.testing.assert_allclose(less.value[~blank], whole[~blank], atol=1e-9)
    assert "d2, d6, d7: too few clusters: 1 of exposed firms of origin US" in less.reason
    with pytest.raises(DesignError, match="exposed firms of origin US"):
        effect_on_share(sides(**rows_of(sides_by_hand(), np.arange(10) != 5)), SHORT).require()


# A loss that is unsure


def test_a_chart_shows_parts_beside_their_truth_and_residuals_as_bounds():
    found = displacement(sides(**sides_by_hand()), SHORT)
    words = {name: name.upper() for name in PARTS}
    true = dict.fromkeys(PARTS, 10.0) | {"d7": 40.0}
    drawn = where_it_went(found, words, true | {"E1a": -50.0})
    assert drawn["term"].tolist() == list(words.values())
    points = [np.nan if name in RESIDUALS else found[name].value[0] for name in PARTS]
    np.testing.assert_allclose(drawn["estimate"], points)
    assert drawn["truth"].tolist() == [*true.values()]
    assert where_it_went(found, words, {})["truth"].isna().all()
    refused = refusal("nothing was lost")
    assert where_it_went(refused, words, {}) is refused


@pytest.mark.parametrize("df", [5, np.inf])
def test_fieller_covers_a_known_share_where_the_loss_is_unsure(df):
    """Errors that are estimated go up and down together, as those of one set of clusters do."""
    rng = np.random.default_rng(10)
    runs = 4000
    hits = 0
    for _ in range(runs):
        loss = 4 + rng.normal()
        amount = 1.2 + rng.normal()
        if np.isfinite(df):
            spread = rng.chisquare(df) / df
        else:
            spread = 1.0
        wide = np.full(1, t.ppf(0.975, df))
        low, high = _fieller(
            np.array([amount]), loss, np.array([spread]), spread, np.array([0.0]), wide
        )
        hits += low[0] <= 0.3 <= high[0]
    # at least 95 %: sets that are no interval are widened to the line. 4 Monte Carlo errors below.
    assert hits / runs > 0.95 - 4 * np.sqrt(0.95 * 0.05 / runs)


def test_shares_have_fieller_s_longer_side_and_the_degrees_of_freedom_of_their_own_errors():
    panel = sides(**random_sides(8, n=80))
    found = displacement(panel, SHORT)
    money = lost_sales(panel, SHORT)
    lost = money.row("sum")
    share = found.row("d3")
    assert lost["estimate"] > SURE * lost["std_error"]
    assert share["conf_high"] - share["estimate"] > share["estimate"] - share["conf_low"] > 0
    assert found.row("sum")["conf_low"] == found.row("sum")["conf_high"] == pytest.approx(100.0)
    assert found.bounds("sum") is None  # it is 100 by definition
    place = [money.terms.index(term) for term in ("d3", "sum")]
    (var, both), (_, spread) = money.covariance[np.ix_(place, place)]
    wide = t.ppf(0.975, found["d3"].df[0])
    for end in share[["conf_low", "conf_high"]] / 100:
        amount, loss = money.value[place]
        assert (amount - end * loss) ** 2 == pytest.approx(
            wide**2 * (var - 2 * end * both + end**2 * spread)
        )
    assert found["d3"].df[0] < 19  # a cluster is a firm, and some 20 are closed


def unsure(share):
    """Return firms of which closed ones lost that share of their home sales."""
    firms = random_sides(9, n=80)
    rows = np.flatnonzero(np.isfinite(firms["closed_at"]))
    firms["sales"][rows, 0, 12:] = firms["sales"][rows, 0, :3] * (1 - share)
    return firms


def test_a_loss_of_fewer_than_three_errors_is_not_divided_by():
    error = {}
    for share in (0.05, 0.5):
        lost = lost_sales(sides(**unsure(share)), SHORT).row("sum")
        error[share] = lost["estimate"] / lost["std_error"]
    assert 0 < error[0.05] < SURE < error[0.5]
    assert displacement(sides(**unsure(0.5)), SHORT).row("sum")["estimate"] == pytest.approx(100.0)
    for verb in (displacement, relocation, recapture, excess_recapture):
        why = verb(sides(**unsure(0.05)), SHORT).reason
        assert "the loss is within 3 standard errors of zero; use" in why


def test_the_mix_and_presence_of_firms_need_no_loss():
    panel = sides(**unsure(0.05))
    mix = platform_mix(panel, SHORT)
    shift = toward_destinations(panel, SHORT)
    assert (mix.std_error > 0).all()
    assert mix.value.sum() == pytest.approx(0.0, abs=1e-9)
    assert np.isfinite(shift["presence"].conf_int).all()
    assert np.isnan([shift["sales"].value, *shift["sales"].conf_int]).all()
    assert "standard errors of zero" in shift.reason
    rows = shift.rows.set_index("term")
    assert rows["unit"].to_dict() == {
        "presence": "percentage points",
        "sales": "per cent of the lost sales",
    }


# The mix of platforms


def test_the_platform_mix_is_what_the_means_of_firms_say():
    firms = sides_by_hand()
    mix = points(platform_mix, firms)
    # closed firms: 5 of (5 + 16 + 15.5 + 17 or 15 + 15) against a fifth before, and as much for all
    # others
    assert mix["AMZ"] == pytest.approx(100 * ((5 / 68.5 + 5 / 66.5) / 2 - 0.2))
    assert mix.sum() == pytest.approx(0.0, abs=1e-9)
    moved = points(relocation, firms)
    assert moved["EBY"] == pytest.approx(10.0)
    assert moved.sum() == pytest.approx(25.0)
    assert points(toward_destinations, firms)["presence"] == 0.0


def test_presence_counts_months_and_leaves_out_firms_that_sold_nothing_before():
    firms = sides_by_hand()
    firms["sales"][0, 1, 12:14] = 0.0  # two of three months
    newcomer = np.full((1, 5, 15), 7.0)
    newcomer[:, :, :12] = 0.0
    for one in (firms, joined(firms, newcomer, np.inf, "CN", True)):
        found = toward_destinations(sides(**one), replace(SHORT, destinations=("EBY",)))
        assert found.row("presence")["estimate"] == pytest.approx(-100 * 2 / 3 / 2)
        assert found.row("presence")["n"] == 2


def test_the_shift_to_the_destinations_is_the_sum_of_its_parts(ceiling):
    panel = ceiling[0]
    design = Design()
    found = toward_destinations(panel, design)
    parts = displacement(panel, design)
    assert found.row("sales")["estimate"] == pytest.approx(parts[["d3", "d4"]].value.sum())
    assert found.rows["unit"].tolist() == ["percentage points", "per cent of the lost sales"]
    first, second = (
        toward_destinations(panel, replace(design, destinations=(name, "none")))
        for name in ("EBY", "ALI")
    )
    assert first.row("sales")["estimate"] == pytest.approx(parts.row("d3")["estimate"])
    presence = [one.row("presence")["estimate"] for one in (first, second)]
    assert found.row("presence")["estimate"] == pytest.approx(np.mean(presence))


# Recapture


def test_recapture_is_the_first_two_parts_of_displacement_and_the_excess_is_what_is_beyond_size(
    ceiling,
):
    panel = ceiling[0]
    found = recapture(panel, Design())
    whole = displacement(panel, Design())
    names = ["estimate", "std_error", "conf_low", "conf_high"]
    np.testing.assert_allclose(found.rows[names], whole.rows.iloc[:2][names])
    np.testing.assert_allclose(found.scores.T @ found.scores, found.covariance)
    excess = excess_recapture(panel, Design())
    for name in ("estimate", "conf_low", "conf_high"):
        np.testing.assert_allclose(excess.rows[name], found.rows[name] - found.rows["benchmark"])
    np.testing.assert_allclose(excess.covariance, found.covariance)
    assert (excess.unit, excess.digest) == ("percentage points of the lost sales", panel.digest)


def test_recapture_needs_no_sales_elsewhere_and_size_is_that_of_those_left():
    def unknown(sales):
        sales[:, 1] = np.nan

    panel = changed(doses(lambda e, r: 2 * e), unknown)
    found = recapture(panel, DOSES_DESIGN)
    assert (found.value > 0).all()
    # 8 closed firms leave 11 rivals of their origin and 12 others; 4 whole categories have 12 of
    # each
    np.testing.assert_allclose(found.rows["benchmark"], 100 * np.array([136, 144]) / 280)
    assert "where all sales are unknown" in displacement(panel, DOSES_DESIGN).reason
