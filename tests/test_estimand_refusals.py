"""What a panel or a design cannot carry is an estimate without a value, and with the reason: a row of a table each."""

from dataclasses import replace

import numpy as np
import pytest
from panels import BY_FIRM, DOSES_DESIGN, MONTHS, SHORT, WAVE, by_hand, changed, doses, panel_of, sides, sides_by_hand

from analysis.errors import DesignError
from analysis.estimands import closed_firms, displacement, event_study, growth, rivals
from analysis.estimands.catalogue import estimate_all
from analysis.estimands.design import Design
from analysis.panel import Panel

HAND, AT_ONCE = by_hand(), Design(post_from=0, post_to=0)


def firms_of(**fields) -> Panel:
    return replace(HAND, firms=HAND.firms.assign(**fields))


def months(start: int, stop: int) -> Panel:
    return replace(HAND, sales=HAND.sales[:, :, start:stop], months=MONTHS[start:stop])


def silent(firms, platforms, before) -> Panel:
    def stop(sales):
        sales[firms, platforms, :before] = 0.0

    return changed(HAND, stop)


def spoiled(**fields) -> Panel:
    """Return sides by hand in which arrays are changed: by name, an index and the value there."""
    firms = sides_by_hand()
    for name, (index, value) in fields.items():
        firms[name][index] = value
    return sides(**firms)


def few_categories() -> Panel:
    whole = doses()
    kept = whole.firms["category"].isin(["C00", "C11"]).to_numpy()  # one without closures, one with
    return replace(whole, sales=whole.sales[kept], firms=whole.firms[kept])


def without_risk() -> Panel:
    whole = doses()
    return replace(whole, firms=whole.firms.assign(risk=np.nan))


COMPARED = spoiled()
ROWS = [
    (growth.growth, months(0, 37), Design(), "the panel runs from 2019-01 to 2022"),
    (growth.growth, months(20, 42), Design(), "12 base months do not fit"),
    (growth.effect_on_growth, panel_of(HAND.sales, {0: WAVE, 1: WAVE}), Design(), "below 0.02: the lowest is 0.167"),
    (growth.growth, firms_of(origin="US"), Design(), "none of 12 firms is of origin CN"),
    (rivals.spillover, firms_of(origin="US"), Design(), "none of 12 firms is of origin CN"),
    (displacement.displacement, spoiled(sales=(np.s_[:2, :, 11], 0.0)), SHORT, "found 0 closed firms that sold until"),
    (displacement.displacement, spoiled(closed_at=(1, np.inf)), SHORT, "closed firms of origin CN"),
    (displacement.displacement, spoiled(comparison=(np.s_[6:8], False)), SHORT, "found 2 and 0 clusters"),
    (displacement.displacement, spoiled(sales=(np.s_[:, 4], np.nan)), SHORT, "leave out OWN, unknown for all firms"),
    (
        displacement.displacement,
        spoiled(sales=(np.s_[:2, 0, 12:], 16.0)),
        SHORT,
        "the loss is not 3 of its errors from",
    ),
    (
        displacement.displacement,
        spoiled(sales=(np.ix_(COMPARED.firms.index.isin(COMPARED.firms.index[6:]), [1]), 0.0)),
        SHORT,
        "on EBY: they sold 60 before and the 2 comparison firms nothing",
    ),
    (displacement.platform_mix, sides(**sides_by_hand() | {"sales": COMPARED.sales[:, :1]}), SHORT, "on AMZ alone"),
    (displacement.relocation, sides(**sides_by_hand() | {"sales": COMPARED.sales[:, :1]}), SHORT, "on AMZ alone"),
    (
        displacement.toward_destinations,
        HAND,
        Design(destinations=("ETS",)),
        "sales on AMZ, EBY, ALI, WMT, OWN, none on",
    ),
    (displacement.hedging, firms_of(origin="CN"), Design(low=0.9), "all 12 firms are of origin CN; bring sellers of"),
    (closed_firms.effect_on_closed, silent(1, slice(None), 26), Design(), "found 1 with sales, in 1 clusters by"),
    (
        closed_firms.damage_multiple,
        silent([0, 1], 0, WAVE),
        Design(),
        "closed firms sold nothing on AMZ in 12 base months",
    ),
    (closed_firms.damage_multiple, HAND, Design(comparison="not_yet_closed"), "2021-06, month 1, so nobody is left"),
    (
        closed_firms.months_alive,
        HAND,
        replace(AT_ONCE, comparison="not_yet_closed", anticipation=0),
        "whose turn comes",
    ),
    (closed_firms.placebo, months(8, 42), Design(), "the panel begins in 2019-09: narrow the window"),
    *(
        (verb, HAND, replace(AT_ONCE, comparison=comparison), f"by other estimators against {comparison} firms")
        for verb in (closed_firms.adjusted_effect, closed_firms.imputed_effect)
        for comparison in ("spared_same_category", "not_yet_closed")
    ),
    *(
        (
            verb,
            firms_of(origin=np.where(HAND.firms["category"] == "C0", "CN", "US")),
            Design(),
            "none of the same origin",
        )
        for verb in (closed_firms.adjusted_effect, closed_firms.imputed_effect)
    ),
    (event_study.event_study, firms_of(brand_group="SIM-G0"), Design(), "2 closed firms in 1 clusters"),
    (event_study.event_study, HAND, Design(base_months=4), "give base_months = 5 or more"),
    (growth.effect_on_share, firms_of(origin="CN"), BY_FIRM, "all 12 firms are of origin CN; bring sellers of other"),
    (
        growth.against_others,
        months(10, 42),
        BY_FIRM,
        "needs 2020-09 to 2021-02 less 12 months, and the panel starts in 2",
    ),
    (
        growth.against_others,
        HAND,
        Design(comparison="spared_same_category"),
        "growth against spared_same_category firms",
    ),
    (
        growth.against_others,
        silent([10, 11], slice(None), 14),
        BY_FIRM,
        "found 3 and 1 clusters of firms of low exposure",
    ),
    (growth.against_others, HAND, replace(BY_FIRM, origin="ZZ"), "none of 12 firms is of origin ZZ"),
    (growth.entry_by_exposure, months(16, 42), Design(post_from=8, post_to=9), "when all firms look new"),
    (rivals.spared_categories, few_categories(), DOSES_DESIGN, "found 1 of 2 categories without closures"),
    (rivals.chilling, without_risk(), DOSES_DESIGN, "known for none of 288"),
    (rivals.with_risk, without_risk(), DOSES_DESIGN, "known for none of 288"),
]


@pytest.mark.parametrize(
    ("verb", "panel", "design", "reason"), ROWS, ids=[f"{row[0].__name__}: {row[3]}" for row in ROWS]
)
def test_what_cannot_be_estimated_has_its_reason(verb, panel, design, reason):
    refused = verb(panel, design)
    assert refused.refused
    assert reason in refused.reason
    with pytest.raises(DesignError):
        refused.require()


def test_a_common_part_out_of_order_is_refused():
    assert "give its lower end first" in growth.effect_on_growth(HAND, BY_FIRM, common=(1.0, -1.0)).reason


@pytest.mark.parametrize("names", ["E9", ["E1a", "E9"]])
def test_an_unknown_estimand_is_refused(names):
    with pytest.raises(DesignError, match=r"^unknown estimand E9; choose from E1a"):
        estimate_all(HAND, Design(), names)
