"""What a panel or a design cannot carry is an estimate without a value, and with the reason:
cases/estimands.yml.
"""

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from fewtreated.errors import DesignError
from panels import (
    BY_FIRM,
    DOSES_DESIGN,
    MONTHS,
    SHORT,
    WAVE,
    by_hand,
    changed,
    doses,
    panel_of,
    sides,
    sides_by_hand,
)
from ruamel.yaml import YAML

from analysis.estimands import growth
from analysis.estimands.catalogue import estimate_all
from analysis.estimands.design import Design

CASES = YAML(typ="safe").load(Path(__file__).parent / "cases" / "estimands.yml")
HAND = by_hand()
DOSED = doses()


def firms_of(**fields):
    return replace(HAND, firms=HAND.firms.assign(**fields))


def months(start, stop=42):
    return replace(HAND, sales=HAND.sales[:, :, start:stop], months=MONTHS[start:stop])


def silent(*cells):
    def stop(sales):
        sales[cells] = 0.0

    return changed(HAND, stop)


def side(name, cells, value):
    firms = sides_by_hand()
    firms[name][cells] = value
    return sides(**firms)


def of_categories(*names):
    kept = DOSED.firms["category"].isin(names).to_numpy()
    return replace(DOSED, sales=DOSED.sales[kept], firms=DOSED.firms[kept])


PANELS = {
    "by hand": (HAND, Design()),
    "until 2022-01": (months(0, 37), Design()),
    **{f"from {MONTHS[start]}": (months(start), Design()) for start in (8, 10, 16, 20)},
    "all from US": (firms_of(origin="US"), Design()),
    "all from CN": (firms_of(origin="CN"), BY_FIRM),
    "closed from CN alone": (
        firms_of(origin=np.where(HAND.firms["category"] == "C0", "CN", "US")),
        Design(),
    ),
    "one brand group": (firms_of(brand_group="SIM-G0"), Design()),
    "one category": (panel_of(HAND.sales, {0: WAVE, 1: WAVE}), Design()),
    "new others": (silent([10, 11], slice(None), slice(14)), BY_FIRM),
    "closed newcomer": (silent(1, slice(None), slice(26)), Design()),
    "closed from elsewhere": (silent([0, 1], 0, slice(WAVE)), Design()),
    "closed that had stopped": (side("sales", np.s_[:2, :, 11], 0.0), SHORT),
    "closed that gained": (side("sales", np.s_[:2, 0, 12:], 16.0), SHORT),
    "one closed": (side("closed_at", 1, np.inf), SHORT),
    "compared of one origin": (side("comparison", np.s_[6:8], False), SHORT),
    "compared without eBay": (side("sales", (sides_by_hand()["comparison"], 1), 0.0), SHORT),
    "own shop unknown": (side("sales", np.s_[:, 4], np.nan), SHORT),
    "home alone": (sides(**sides_by_hand() | {"sales": sides_by_hand()["sales"][:, :1]}), SHORT),
    "two categories": (of_categories("C00", "C11"), DOSES_DESIGN),  # one without closures, one with
    "without risk": (replace(DOSED, firms=DOSED.firms.assign(risk=np.nan)), DOSES_DESIGN),
}


@pytest.mark.parametrize(
    "case", CASES["refused"], ids=lambda case: f"{case['verb']}: {case['reason']}"
)
def test_what_cannot_be_estimated_has_its_reason(case):
    module, verb = case["verb"].split(".")
    panel, design = PANELS[case.get("panel", "by hand")]
    refused = getattr(import_module(f"analysis.estimands.{module}"), verb)(
        panel, replace(design, **case.get("design", {}))
    )
    assert refused.refused
    assert case["reason"] in refused.reason
    with pytest.raises(DesignError):
        refused.require()


@pytest.mark.parametrize(("changes", "message"), CASES["designs"])
def test_a_design_that_means_nothing_is_refused(changes, message):
    with pytest.raises(DesignError) as refused:
        Design(**changes)
    assert message in str(refused.value)


def test_a_common_part_out_of_order_is_refused():
    assert (
        "pass two finite limits, lower first"
        in growth.effect_on_growth(HAND, BY_FIRM, common=(1.0, -1.0)).reason
    )


@pytest.mark.parametrize("names", ["E9", ["E1a", "E9"]])
def test_an_unknown_estimand_is_refused(names):
    with pytest.raises(DesignError, match=r"^estimands not found: E9; choose from E1a"):
        estimate_all(HAND, Design(), names)
