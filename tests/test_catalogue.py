"""All estimands at once: what does not move them, what is refused and why, tables of them, and the
truth.
"""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fewtreated.errors import DesignError
from fewtreated.estimators.power import detectable
from panels import DOSES_DESIGN, WAVE, by_hand, doses, panel_of, sparse_panel

from analysis.estimands.catalogue import estimate_all
from analysis.estimands.closed_firms import effect_on_closed
from analysis.estimands.design import ASKED, COLUMNS, Design, as_rows, by_origin
from analysis.estimands.displacement import displacement
from analysis.estimands.event_study import by_cohort, event_study
from analysis.estimands.growth import growth
from analysis.estimands.rivals import dose_response, recentred, with_risk
from analysis.estimate import refusal

NUMBERS = ["estimate", "std_error", "conf_low", "conf_high", "n"]
INHERIT = r"E3.*|E4.*|d\d"  # what others gained is in them


# What does not move an estimate


def in_another_order(panel):
    order = np.random.default_rng(0).permutation(len(panel.firms))
    return replace(panel, sales=panel.sales[order], firms=panel.firms.iloc[order])


def with_platforms_in_another_order(panel):
    turned = [0, 3, 1, 4, 2]
    return replace(
        panel,
        sales=panel.sales[:, turned],
        platforms=tuple(panel.platforms[place] for place in turned),
    )


def under_other_names(panel):
    """Long names, in the reverse order of those that they replace; the origin that is asked about
    keeps its own.
    """
    firms = panel.firms.copy()
    for column in ("category", "brand_group", "origin"):
        names = np.unique(firms[column])[::-1]
        firms[column] = firms[column].map(
            {name: f"{1000 * 'A'}{place:06d}" for place, name in enumerate(names)}
        )
    firms["origin"] = firms["origin"].mask(panel.firms["origin"] == "CN", "CN")
    return replace(panel, firms=firms)


def in_another_currency(panel):
    return replace(panel, sales=6.49 * panel.sales)


def asked(panel, design):
    found = {
        "growth": growth(panel, design),
        "study": event_study(panel, design),
        "cohorts": by_cohort(panel, design),
        **{
            name: dose_response(panel, design, own_origin=own)
            for name, own in (("E2a", True), ("E2b", False))
        },
    }
    more = [
        one.rows.assign(id=f"{name} " + one.rows["term"], reason="") for name, one in found.items()
    ]
    return (
        pd.concat([estimate_all(panel, design).rows, *more])
        .set_index("id")[[*NUMBERS, "reason"]]
        .sort_index()
    )


@pytest.mark.parametrize(
    "other",
    [in_another_order, with_platforms_in_another_order, under_other_names, in_another_currency],
)
def test_no_estimate_depends_on_order_names_or_currency(ceiling, other):
    panel = ceiling[0]
    design = Design(low=0.05)
    turned = other(panel)
    plain = asked(panel, design)
    again = asked(turned, design)
    pd.testing.assert_frame_equal(again[NUMBERS], plain[NUMBERS], rtol=1e-6, atol=1e-8)
    assert (plain["reason"] == again["reason"]).all()
    assert plain["estimate"].notna().sum() > 80
    same = other in (in_another_order, with_platforms_in_another_order)
    assert (turned.digest == panel.digest) == same


# What is refused, and why


def test_answers_are_what_the_verbs_say(mid):
    panel = mid[0]
    design = Design()
    found = estimate_all(panel, design, ["E1a", "d3"])
    assert list(found) == found.rows["id"].tolist() == ["E1a", "d3"]
    assert found["E1a"].value == effect_on_closed(panel, design).value
    assert found["d3"].value == displacement(panel, design)["d3"].value
    assert found.labels["E1a"] == found.rows["label"][0] == "closed sellers' sales, all platforms"
    assert list(estimate_all(panel, design, "E1a")) == ["E1a"]


def test_nothing_is_answered_without_closures():
    found = estimate_all(panel_of(np.ones((4, 5, 42))), Design())
    assert all(one.refused for one in found.values())
    assert found.rows[["estimate", "std_error", "mde"]].isna().all(axis=None)
    assert (
        found.rows["reason"]
        .str.contains("none of the 4 firms was closed between 2019-01 and 2022-06")
        .all()
    )
    with pytest.raises(
        DesignError,
        match=r"^cannot estimate E1a, .* from this panel: none of the 4 firms was closed",
    ):
        found.require()


@pytest.mark.parametrize("comparison", ["not_yet_closed", "spared_same_category"])
def test_what_firms_that_inherit_cannot_show_is_refused(comparison):
    rows = estimate_all(by_hand(), Design(comparison=comparison)).rows
    inherits = rows["id"].str.fullmatch(INHERIT)
    assert inherits.sum() > 20
    said = f"with comparison={comparison!r}, whose firms gain sales"
    assert (rows["reason"].str.contains(said) == inherits).all()


def test_one_closed_firm_has_no_error_and_is_refused():
    panel = by_hand()
    one = panel_of(
        panel.sales,
        {0: WAVE},
        origin=panel.firms["origin"].array,
        category=panel.firms["category"].array,
    )
    rows = estimate_all(one, Design()).rows.set_index("id")
    for pattern, said in (
        ("E1[abe]", r"closed firms with sales \(1\) form fewer than two clusters by brand_group"),
        (
            r"E3.*|E4[abe].*|d\d",
            r"too few clusters: 1 of closed firms of origin \w+ and \d of comparison firms",
        ),
        ("E4d.*", "fewer than two clusters of closed or of low-exposure"),
    ):
        reasons = rows.loc[rows.index.str.fullmatch(pattern), "reason"]
        assert len(reasons) > 2
        assert reasons.str.contains(said).all()


def test_a_report_without_any_estimate_is_refused():
    panel = doses()
    panel.firms["risk"] = np.nan
    with pytest.raises(
        DesignError, match=r"cannot estimate E5b from this panel: .* unknown for all 288"
    ):
        estimate_all(panel, DOSES_DESIGN, ["E5b"]).require()
    estimate_all(panel, DOSES_DESIGN, ["E5b", "E2a"]).require()


# Tables


def test_a_refusal_for_one_origin_leaves_the_other_standing():
    panel = doses()
    design = replace(DOSES_DESIGN, level=0.8)
    for origin, refused, kept in (("XA", "others", "own"), ("XB", "own", "others")):
        alone = replace(panel, firms=panel.firms.assign(origin=origin))
        rows = by_origin(
            recentred, alone, design, ("own", "others"), {"slope": "per 10 pp"}, columns=["p"]
        )
        rows = rows.set_index("origin")
        assert rows.loc[kept, ["id", "label"]].tolist() == [
            f"E2{'a' if kept == 'own' else 'b'}_slope",
            f"{kept}: per 10 pp",
        ]
        if kept == "own":
            said = "firms are from origin XA"
        else:
            said = "firms is from origin XA"
        assert said in rows.loc[refused, "reason"]
        assert rows.loc[refused, ["estimate", "mde", "p"]].isna().all()
        assert rows.loc[kept, "mde"] == detectable(rows.loc[[kept]], level=0.8)[0]


def test_rows_of_a_refusal_have_its_reason_and_no_number():
    terms = {"seen": ("E3g", "growth"), "closed": ("E3k_closed", "closed firms")}
    rows = as_rows(refusal("nobody was closed"), terms, "per cent")
    assert list(rows) == COLUMNS + ASKED
    assert rows[["id", "label"]].to_numpy().tolist() == [list(pair) for pair in terms.values()]
    assert set(rows["reason"]) == {"nobody was closed"}
    assert set(rows["unit"]) == {"per cent"}
    assert rows[["estimate", "std_error", "conf_low", "mde", "n"]].isna().all(axis=None)


def test_rows_say_what_was_asked_of_which_panel_and_on_what_their_interval_rests(mid):
    panel = mid[0]
    design = Design(cluster="firm")
    found = displacement(panel, design)[["d1", "d2", "d3"]]
    rows = as_rows(found)
    assert rows["df"].tolist() == found.df.tolist()
    assert {*rows["comparison"]} == {"low_exposure"}
    assert {*rows["months"]} == {design.sample(panel).window}
    assert {*rows["digest"]} == {panel.digest}
    refused = as_rows(refusal("nobody was closed"), {"seen": ("E3g", "growth")})
    assert refused[["months", "digest", "comparison", "interval"]].to_numpy().tolist() == [[""] * 4]


def test_rows_are_called_by_their_terms_where_nothing_else_is_said():
    panel = by_hand()
    design = Design(cluster="firm")
    rows = as_rows(displacement(panel, design))
    assert rows["id"].tolist() == rows["label"].tolist() == list(displacement(panel, design).terms)
    named = {term: (term, term) for term in rows["id"]}
    pd.testing.assert_frame_equal(rows, as_rows(displacement(panel, design), named))


def test_rows_of_two_refusals_have_text_where_text_belongs():
    panel = doses()
    panel.firms["risk"] = np.nan
    rows = by_origin(with_risk, panel, DOSES_DESIGN, ("own", "others"), {"slope": "per 10 pp"})
    assert rows["estimate"].isna().all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(rows["unit"]) == list(rows["term"]) == ["", ""]


def test_an_interval_made_longer_by_few_clusters_makes_the_detectable_effect_larger():
    row = {
        "estimate": 0.0,
        "std_error": 1.0,
        "unit": "per cent",
        "conf_low": -1.94,
        "conf_high": 1.98,
    }
    normal = detectable(pd.DataFrame([row]), level=0.95)[0]
    wide = detectable(pd.DataFrame([row | {"conf_low": -9.0, "conf_high": 9.9}]), level=0.95)[0]
    assert normal == pytest.approx(
        100 * -np.expm1(-0.028016), rel=1e-3
    )  # 1.96 and 0.84 errors of a hundredth
    assert wide > 4 * normal
    without = pd.DataFrame([row]).drop(columns=["conf_low", "conf_high"])
    assert detectable(without, level=0.95)[0] == pytest.approx(normal, rel=0.01)


def test_the_detectable_effect_is_in_the_unit_and_free_of_the_estimate(mid):
    rows = estimate_all(mid[0], Design(), ["E1a", "E3g"]).rows
    normal = rows.assign(conf_low=np.nan, conf_high=np.nan)
    logs = rows["std_error"][0] / (100 + rows["estimate"][0])  # of log points
    fall = 100 * (1 - np.exp(-(1.959964 + 0.841621) * logs))
    assert detectable(normal, level=0.95)[0] == pytest.approx(fall, rel=1e-5)
    half = (
        np.log((100 + rows["conf_high"][0]) / (100 + rows["conf_low"][0])) / 2
    )  # Student's, of few closed groups
    fall = 100 * (1 - np.exp(-(1.959964 + 0.841621) * half / 1.959964))
    assert rows["mde"][0] == pytest.approx(fall, rel=1e-5)
    assert half > 1.959964 * logs
    points = (rows["conf_high"][1] - rows["conf_low"][1]) / 2  # Student's too
    assert rows["mde"][1] == pytest.approx((1.959964 + 0.841621) / 1.959964 * points, rel=1e-5)
    assert points > 1.959964 * rows["std_error"][1]
    assert detectable(normal, level=0.95)[1] == pytest.approx(
        (1.959964 + 0.841621) * rows["std_error"][1], rel=1e-5
    )


# The truth


def test_the_truth_of_a_large_market_lies_within_four_errors(ceiling):
    panel, truth = ceiling
    names = [
        "E1a",
        "E1b",
        "E2a_slope",
        "E2b_slope",
        "E3g",
        *(f"E4a_{name}" for name in panel.platforms[1:]),
    ]
    names += [f"d{number}" for number in range(1, 8)]
    rows = estimate_all(panel, Design(low=0.05, cluster="category"), names).rows
    assert (rows["std_error"] > 0).all()
    assert (
        (rows["estimate"] - rows["id"].map(truth.scalars())).abs() < 4 * rows["std_error"]
    ).all()
    assert rows["estimate"][-7:].sum() == pytest.approx(100.0, abs=1e-9)


def test_the_truth_lies_within_three_errors_of_each_estimate(mid):
    panel, truth = mid
    true = truth.scalars()
    names = [
        "E4b_CN",
        "E4b_other",
        "E4e_CN",
        "E4e_other",
        "E5b",
        *(f"E5a_-{k}" for k in range(1, 7)),
    ]
    rows = estimate_all(panel, Design(), names).rows
    assert list(rows["reason"]) == [""] * len(names)
    bins = by_origin(dose_response, panel, Design(), ("CN", "other"))
    for found in (rows, bins):
        assert found["id"].map(true).notna().all()
        assert ((found["estimate"] - found["id"].map(true)).abs() < 3 * found["std_error"]).all()


def test_an_estimand_that_a_panel_cannot_carry_has_a_reason_and_no_number(mid):
    found = estimate_all(
        mid[0], Design(post_from=0, post_to=2, comparison="not_yet_closed"), ["E1a", "E4a_EBY"]
    )
    rows = found.rows.set_index("id")
    assert rows.loc["E4a_EBY", ["estimate", "std_error", "mde"]].isna().all()
    assert "use comparison='low_exposure'" in rows.loc["E4a_EBY", "reason"]
    assert found["E4a_EBY"].refused
    assert [(name, one.estimand) for name, one in found.items()] == [
        ("E1a", "E1a"),
        ("E4a_EBY", "E4a_EBY"),
    ]


@pytest.mark.parametrize("seed", [*range(16), 279, 286, 413, 605, 1439])
def test_whatever_a_sparse_panel_cannot_carry_is_a_row_with_a_reason(seed):
    rng = np.random.default_rng(seed)
    panel = sparse_panel(rng)
    comparisons = ["low_exposure", "spared_same_category", "not_yet_closed"]
    design = Design(
        comparison=str(rng.choice(comparisons)),
        post_from=int(rng.integers(0, 5)),
        post_to=int(rng.integers(5, 8)),
        base_months=int(rng.choice([3, 6])),
        cluster=str(rng.choice(["firm", "brand_group", "category"])),
    )
    with warnings.catch_warnings(action="error"):
        rows = estimate_all(panel, design).rows
    assert (rows["std_error"].notna() | rows["reason"].ne("")).all()
