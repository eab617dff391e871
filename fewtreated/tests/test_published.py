"""A ledger of printed numbers that our estimators reproduce, on data that others publish, held by
checksums.

The minimum-wage panel of Callaway and Sant'Anna is in no installed package, so its 500 counties are
kept in data. Their package prints effects before treatment against the period before, which
here are differences of ours; the errors it prints are drawn by bootstrap, so ours are held against
its analytic ones. Those are of influence values and ours of the jackknife, which are longer: by .5
per cent where 131 counties are treated, 1.7 where 40 and 4.6 where 20 are. Effects given log
population are those of the Stata package and of R's did, which for units not yet treated and for
weights are kept in the tests of another library.

Left out on purpose. Wooldridge's incinerator (kielmc) and injury data are repeated cross-sections:
no unit is seen twice, so there is no panel for `att_gt`. The castle-doctrine estimates in print are
two-way regressions with weights, which staggered cohorts do not equal; a printed table of
group-time effects on those data was not found. The simulated- placebo tables of the synthetic
difference-in-differences paper (CPS and Penn data) are errors of estimators over a simulation, not
estimates. Effects of R's did on panels with missing rows treat them as repeated cross-sections, and
are not ours. More of the ledger is beside what it proves: California's estimates in test_synthetic,
Medicaid's bounds in test_honest_did.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthdid
import yaml
from datasets import digest_of, held, loaded
from fewtreated.estimators.att_gt import att_gt
from fewtreated.estimators.doubly_robust import doubly_robust
from fewtreated.estimators.synthetic import synthetic_did
from fewtreated.estimators.units import usable_units
from scipy import stats

import fewtreated as ft


def before_and_after(y, treated):
    """Return the effect of two periods."""
    rows = att_gt(y, np.where(treated, 1.0, np.inf)).effects.rows
    assert len(rows) == 1
    return float(rows["estimate"].iloc[0])


def scrap(column):
    """54 Michigan firms in 1987 and 1988, some of which got a job-training grant for 1988; others
    did not report.
    """
    frame = loaded("job training").query("year < 1989").pivot(index="fcode", columns="year")
    assert frame[(column, 1987)].notna().sum() == 54
    return before_and_after(frame[column].to_numpy(), frame[("grant", 1988)].to_numpy() == 1)


def organ_donors():
    """Return the rates of 27 states in six quarters; California changed its question before the
    fourth.
    """
    frame = loaded("organ donations").pivot(index="State", columns="Quarter_Num", values="Rate")
    assert frame.shape == (27, 6)
    return frame.to_numpy(), frame.index == "California"


def organ_donors_collapsed():
    """One cohort in a balanced panel: the two-way regression is the difference of means before and
    after.
    """
    y, treated = organ_donors()
    return before_and_after(
        np.column_stack([y[:, :3].mean(axis=1), y[:, 3:].mean(axis=1)]), treated
    )


def organ_donors_plain():
    return float(synthetic_did(*organ_donors(), 3, method="did").rows["estimate"].iloc[0])


def cholera():
    """Deaths by water supplier: those whom Lambeth came to serve clean water, and the others."""
    frame = loaded("cholera").pivot(index="supplier", columns="year", values="deathrate")
    return before_and_after(frame.to_numpy(dtype=float), frame.index == "Lambeth + Others")


@cache
def california():
    shaped = synthdid.panel_matrices(loaded("cigarettes"))
    y = np.asarray(shaped.Y, dtype=float)
    return synthetic_did(y, np.arange(len(y)) >= shaped.N0, shaped.T0), pd.Index(
        shaped.units[: shaped.N0]
    )


def california_estimate():
    return float(california()[0].value[0])


def weight_of_year(year):
    return float(california()[0].details["time_weights"][year - 1970])


def weight_of_state(state):
    found, states = california()
    return float(found.details["unit_weights"][states.get_loc(state)])


def effective(name):
    """Return one over the sum of squared weights."""
    return float(1 / (california()[0].details[name] ** 2).sum())


@cache
def counties():
    """Teen employment, in logs, of 500 counties from 2003 to 2007; some states raised the minimum
    wage.
    """
    return att_gt(*employment()[:2])


def employment():
    """Return log teen employment by county and year, the first year of a higher minimum wage, and
    log population.
    """
    frame = loaded("county employment").set_index("county")
    first = frame.pop("first_treated")
    population = frame.pop("log_population")
    return frame.to_numpy(), np.where(first > 0, first - 2003, np.inf), population.to_numpy()


def by_cell(column, cohort, year):
    return float(
        counties()
        .effects.rows.set_index(["group", "time"])
        .loc[(cohort - 2003, year - 2003), column]
    )


def before(cohort, year):
    """Return the change from the year before, for a cohort that is not treated yet."""
    earlier = by_cell("estimate", cohort, year - 1)
    return (by_cell("estimate", cohort, year) if year < cohort - 1 else 0.0) - earlier


def of_cohort(cohort):
    """Return the effect on one cohort, averaged over its treated years."""
    rows = counties().effects.rows.query("group == @cohort - 2003 and event_time >= 0")
    return float(rows["estimate"].mean())


def averaged(kind, term, column="estimate"):
    return float(counties().aggregate(kind).row(term)[column])


def balanced(term):
    """Return the effect on the counties of 2004 and 2006, which are followed for a year."""
    found = counties().aggregate("dynamic", balance_e=1)
    assert found.terms[found.terms.index("0") :] == ("0", "1", "average")
    return float(found.row(term)["estimate"])


def pretest_as_of_many_counties():
    """Return the p-value of our Wald statistic under the chi-square of R's, which takes V as known.

    Effects against the period before and against the last one are of the same span, so W is the
    same, but for the longer errors of a jackknife.
    """
    frame = loaded("county employment").melt(["county", "first_treated", "log_population"])
    names = {"outcome": "value", "unit": "county", "time": "variable"}
    found = ft.att_gt(frame.astype({"variable": int}), "first_treated", **names).pretest
    assert found.df[0] == found.effects == 5
    return float(stats.chi2.sf(found.statistic, 5))


def given_population(kind, term, column="estimate", comparison="never", weighted=False):
    """Return a doubly robust effect on counties of the same population."""
    y, first, population = employment()
    weights = None
    if weighted:
        weights = 1 + loaded("county employment")["county"].to_numpy() % 7 / 3
    options = {"weights": weights, "comparison": comparison}
    units = usable_units(y, first, population[:, np.newaxis], **options)
    return float(doubly_robust(units, kind, comparison).row(term)[column])


def of_not_yet_treated(kind, term, column="estimate"):
    return given_population(kind, term, column, comparison="not_yet")


def of_weighted_counties(kind, term, column="estimate"):
    return given_population(kind, term, column, weighted=True)


LEDGER = [
    (group, group["of"], arguments, printed)
    for group in yaml.safe_load(
        (Path(__file__).parent / "cases" / "published.yml").read_text(encoding="utf-8")
    )
    for *arguments, printed in group["printed"]
]


@pytest.mark.parametrize(
    ("group", "of", "arguments", "printed"),
    LEDGER,
    ids=[f"{of} {arguments}" for _, of, arguments, _ in LEDGER],
)
def test_a_printed_number_is_reproduced(group, of, arguments, printed):
    """Without one of n treated counties a mean moves by 1 / (n - 1) of its distance, not by 1 / n:
    n is 20 or more.
    """
    ours = globals()[of](*arguments)
    if group.get("error") == "analytic":
        assert 1 < ours / float(printed) < 1 + 1 / 19, group["source"]
    else:
        allowed = group.get("tolerance", 0.5 * 10 ** -len(printed.partition(".")[2]))
        assert ours == pytest.approx(float(printed), abs=allowed), group["source"]


def test_the_ledger_is_whole_and_a_tolerance_wider_than_half_a_digit_has_a_reason():
    assert len(LEDGER) == 166
    wide = [group for group, *_ in LEDGER if "tolerance" in group]
    assert max(group["tolerance"] for group in wide) <= 0.005
    reasons = ("stops its optimiser early", "errors are those of a jackknife")
    assert all(any(why in group["source"] for why in reasons) for group in wide)


def test_made_up_numbers_under_the_real_name_are_refused():
    real = loaded("county employment")
    made_up = real.assign(**{"2007": np.random.default_rng(0).permutation(real["2007"])})
    with pytest.raises(
        AssertionError, match=r"the data set mpdta .* was asked for; 500 rows and 8 columns with"
    ):
        held(made_up, "mpdta", digest_of(real))
    for changed in (
        real.iloc[::-1],
        real.rename(columns={"2003": "2002"}),
        real.iloc[:-1],
        real.assign(more=1),
    ):
        assert digest_of(changed) != digest_of(real)
    assert digest_of(real.astype({"first_treated": float})) == digest_of(real)
