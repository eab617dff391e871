"""Whatever a panel holds, an estimand is a number with an error above zero, or a reason; nothing
else is raised.
"""

from dataclasses import replace

import numpy as np
import pytest
from fewtreated.errors import DataError
from panels import changed

from analysis.estimands import closed_firms, event_study, growth
from analysis.estimands.catalogue import estimate_all
from analysis.estimands.closed_firms import cross_checks
from analysis.estimands.design import Design, as_rows
from market import simulate

PLAIN = simulate("ceiling_50k", seed=2, n_firms=150, n_categories=8)[0]
FIRST = PLAIN.first_treated()
CLOSED = np.flatnonzero(np.isfinite(FIRST))
WAVE = int(FIRST.min())
SPARED = np.flatnonzero(PLAIN.firms["closed_on"].isna())


def of_firms(rows):
    return replace(PLAIN, sales=PLAIN.sales[rows], firms=PLAIN.firms.iloc[rows])


def with_firms(**columns):
    return replace(PLAIN, firms=PLAIN.firms.assign(**columns))


def all_but(sales, firm):
    sales[firm] = 99 * sales.sum(axis=0)


def lost(sales, where):
    for firm in CLOSED:
        sales[firm, where, int(FIRST[firm]) :] = 0.0


def holes(sales):
    sales[np.random.default_rng(0).random(sales.shape) < 0.01] = np.nan


def unknown_elsewhere(sales):
    sales[:, 1:] = np.nan


ONE = PLAIN.firms.index == PLAIN.firms.index[CLOSED[0]]
EXTREMES = {
    "a closed firm has 99 per cent of sales": changed(
        PLAIN, lambda sales: all_but(sales, CLOSED[0])
    ),
    "a spared firm has 99 per cent of sales": changed(
        PLAIN, lambda sales: all_but(sales, SPARED[0])
    ),
    "sales near 1e13": replace(PLAIN, sales=PLAIN.sales * (1e13 / PLAIN.sales.max())),
    "sales near 1e-8": replace(PLAIN, sales=PLAIN.sales * (1e-8 / PLAIN.sales.max())),
    "all sales are zero": replace(PLAIN, sales=0 * PLAIN.sales),
    "all sales are alike": replace(PLAIN, sales=np.ones_like(PLAIN.sales)),
    "closed firms lose all at home": changed(PLAIN, lambda sales: lost(sales, 0)),
    "closed firms lose all": changed(PLAIN, lambda sales: lost(sales, slice(None))),
    "one value in a hundred is not known": changed(PLAIN, holes),
    "nothing is known of other platforms": changed(PLAIN, unknown_elsewhere),
    "one platform": replace(PLAIN, sales=PLAIN.sales[:, :1], platforms=PLAIN.platforms[:1]),
    "five firms": of_firms(np.r_[CLOSED[:2], SPARED[:3]]),
    "twelve months": replace(
        PLAIN,
        sales=PLAIN.sales[:, :, WAVE - 6 : WAVE + 6],
        months=PLAIN.months[WAVE - 6 : WAVE + 6],
    ),
    "one category": with_firms(category="C"),
    "one brand group": with_firms(brand_group="SIM-G0000"),
    "all firms are closed": with_firms(
        closed_on=PLAIN.firms["closed_on"].fillna(PLAIN.months[WAVE].to_timestamp()),
        dose=PLAIN.firms["dose"].fillna(1.0),
    ),
    "one firm is closed": with_firms(
        closed_on=PLAIN.firms["closed_on"].where(ONE), dose=PLAIN.firms["dose"].where(ONE)
    ),
}


def told(rows):
    """Refuse rows with an error of zero, an endless estimate, or neither an error nor a reason."""
    assert not (rows["std_error"] == 0).any()
    assert not np.isinf(rows["estimate"].astype(float)).any()
    assert (rows["reason"].str.len() > 3)[
        rows["std_error"].isna() & (rows["id"] != "mechanical")
    ].all()


@pytest.mark.filterwarnings("error", "ignore::ResourceWarning")  # files that other tests left open
@pytest.mark.parametrize("name", EXTREMES)
def test_an_extreme_panel_is_answered_with_numbers_or_reasons(name):
    panel = EXTREMES[name]
    for design in (Design(), Design(post_from=0, post_to=3, base_months=6, low=0.2)):
        made = estimate_all(panel, design)
        told(made.rows)
        for one in made.values():
            assert "()" not in f"{one:all}"
            assert "–" not in f"{one:both}"
        told(cross_checks(panel, design))
        told(closed_firms.comparisons(panel, design))
        told(as_rows(closed_firms.placebo(panel, design)))
        told(growth.placebo_growth(panel, design))
        study = event_study.event_study(panel, design)
        for found in (study, event_study.honest(study), event_study.by_cohort(panel, design)):
            assert found.reason or not np.isnan(found.conf_int).any()
        event_study.by_month(study)
        closed_firms.family({name: made[name] for name in ("E1a", "E1b", "E1d")})


@pytest.mark.parametrize("largest", [1e290, 1e-300])
def test_sales_beyond_all_money_are_refused(largest):
    with pytest.raises(DataError, match="correct them, or their unit"):
        replace(PLAIN, sales=PLAIN.sales / PLAIN.sales.max() * largest)
