"""Where else Chinese sellers sell: eBay's revenue by location of the seller, its placebo years, and every bound."""

import re
import shutil
from functools import partial
from math import log
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from analysis import data, series
from analysis.errors import DataError
from analysis.evidence import claims, shift
from analysis.provenance import ROOT

LEADS = {"2019": 18.3, "2020": -11.9, "2021": -7.2, "2022": 10.9}
EARLIER = {"2017": 3.9, "2018": 9.2, "2019": 9.9}  # with StubHub and Classifieds


@pytest.fixture
def without(tmp_path, monkeypatch):
    """Return a function that takes rows out of a copy of the data folder, from which series are read."""
    root = Path(shutil.copytree(data.DATA, tmp_path / "data"))
    there = {name: partial(getattr(data, name), root=root) for name in ("load", "card", "package", "verified")}
    monkeypatch.setattr(series, "data", SimpleNamespace(**there))

    def take_out(start: str) -> None:
        path = root / data.card("platform_quarterly")["path"]
        kept, found = [], 0
        for line in path.read_bytes().decode().splitlines(keepends=True):
            found += line.startswith(start)
            kept += [] if line.startswith(start) else [line]
        assert found
        path.write_bytes("".join(kept).encode())
        data.accept("platform_quarterly", vintage="2027-01-31", root=root)

    return take_out


@pytest.mark.parametrize(("perimeter", "wanted"), [(shift.MARKETPLACE, LEADS), (shift.WITH_OTHERS, EARLIER)])
def test_the_rest_of_the_world_led_american_sellers_as_the_filings_say(perimeter, wanted):
    found = shift.leads().query("perimeter == @perimeter").set_index("year")["US"]
    assert found.round(1).to_dict() == wanted


def test_growth_is_never_taken_across_two_tables_of_the_filings():
    found = shift.leads().set_index(["perimeter", "year"])["US"]
    assert found["marketplace", "2019"] == pytest.approx(100 * ((1756 / 1520) / (3303 / 3382) - 1), abs=1e-9)
    assert found["marketplace", "2020"] == pytest.approx(100 * ((1959 / 1769) / (4151 / 3303) - 1), abs=1e-9)


def test_the_lead_over_british_and_german_sellers_is_larger_in_2022_when_their_currencies_fell():
    row = shift.leads().set_index("year").loc["2022"]
    assert [row["UK"], row["Germany"]] == pytest.approx([28.9, 29.9], abs=0.05)
    assert row["US"] < min(row["UK"], row["Germany"])


def test_2022_is_neither_the_highest_year_nor_outside_the_range_of_those_before_the_closures():
    before = shift.leads().query("role == @shift.BEFORE")["US"]
    assert before.min() < shift.lead(shift.leads()) < before.max()
    assert shift.rank(shift.leads()) == (2, 3)
    assert shift.rank(shift.leads(), with_others=True) == (2, 5)


def test_sellers_in_china_grew_fastest_once_they_stand_apart():
    found = shift.since_china_apart().set_index("place")["growth"]
    assert found.round(1).to_dict() == {"China": 16.6, "US": 4.2, "UK": -4.1, "Germany": -6.8, "other countries": 6.2}
    assert found[["China", "US"]].tolist() == pytest.approx([100 * (500 / 429 - 1), 100 * (2526 / 2425 - 1)])


def by_hand() -> dict[str, tuple[float, float]]:
    """Return the ends of every bound from the figures as they stand in the filings, as factors."""
    us, rest = 4842 / 5048, 2351 / 2210
    quarters = {"us": [(9335, -14), (8982, -13), (8699, -7), (8894, -9)]}
    quarters["abroad"] = [(10074, -24), (9567, -22), (9016, -15), (9333, -15)]
    now = {area: sum(value for value, _ in given) for area, given in quarters.items()}
    before = {area: sum(value / (1 + rate / 100) for value, rate in given) for area, given in quarters.items()}
    at_home = now["us"] / before["us"]
    take = (1913 + 1249 + 2210) / before["abroad"]
    its_volume = (now["abroad"] - (1579 + 1023) / take) / (2210 / take)
    lost = (5048 / 3303) / (2210 / 1769)
    return {
        "take rate": (its_volume / at_home, rest / at_home),
        "exchange rates": (rest / us, (2351 + 320) / 2210 / us),
        "hedges": ((2351 - 140) / (2210 + 65) / us, rest / us),
        "recovery": (rest / us / lost, rest / us),
    }


def test_each_bound_is_what_a_pocket_calculator_gives():
    found = shift.bounds()
    for term, ends in by_hand().items():
        assert found.bounds(term) == pytest.approx([100 * (end - 1) for end in ends], abs=1e-9)


def test_each_bound_is_what_the_readme_and_the_report_say():
    printed = {term: tuple(np.round(shift.bounds().bounds(term), 1)) for term in shift.bounds().terms}
    assert printed == {
        "take rate": (-12.1, 19.4),
        "exchange rates": (10.9, 26.0),
        "hedges": (1.3, 10.9),
        "recovery": (-9.3, 10.9),
        "together": (-34.4, 35.7),
    }


def test_together_the_confounders_move_the_lead_by_the_product_of_what_each_does():
    lead, ends = 1 + shift.lead(shift.leads()) / 100, np.array(list(by_hand().values()))
    together = 1 + np.array(shift.bounds().bounds("together")) / 100
    np.testing.assert_allclose(together, lead * (ends / lead).prod(axis=0), rtol=1e-12)
    assert shift.bounds().rows["estimate"].isna().all()  # a set has no point


def test_what_alone_would_explain_the_lead_leaves_none_of_it():
    alone = shift.bounds().rows.set_index("term")["alone"]
    number = {term: float(re.findall(r"[\d.]+", text)[0]) for term, text in alone.items() if text != "–"}
    us = log(4842 / 5048)
    assert log((2351 - number["exchange rates"]) / 2210) == pytest.approx(us, abs=3e-4)  # whole millions
    share = number["hedges"] / 100
    assert log((2351 - 140 * share) / (2210 + 65 * share)) == pytest.approx(us, abs=5e-4)  # whole per cent
    assert number["recovery"] / 100 * 22.33 == pytest.approx(shift.lead(shift.leads()), abs=0.1)
    ends = shift.bounds().row("take rate")
    assert number["take rate"] == pytest.approx(ends["conf_high"], abs=0.05)  # a take up by so much: no more volume


def test_china_and_the_others_add_up_to_the_rest_of_the_world():
    found, share = shift.china_alone(), shift.china_share()
    assert share == pytest.approx(429 / (429 + 691))
    whole = share * found["china_growth"] + (1 - share) * found["others_growth"]
    np.testing.assert_allclose(1 + whole / 100, 2351 / 2210, rtol=1e-12)
    assert found["lead"].round(1).tolist() == pytest.approx([28.5, 11.2, 0.0], abs=0.05)
    assert found["others_growth"].iloc[-1] == pytest.approx(12.9, abs=0.05)


@pytest.mark.parametrize("smaller", [0.3, 0.1, 0.01])
def test_the_smaller_china_s_share_the_further_is_its_growth_from_that_of_the_others(smaller, monkeypatch):
    wide = shift.china_alone()
    monkeypatch.setattr(shift, "china_share", lambda: smaller)
    apart = shift.china_alone().iloc[:2]
    assert (apart["china_growth"] > wide["china_growth"].iloc[:2]).all()


def test_the_lead_asked_otherwise_has_every_year_and_comparison_once():
    leads = shift.leads()
    rows = shift.otherwise(leads).set_index("term")
    assert rows.index.is_unique
    after = leads.query("role == @shift.AFTER").iloc[0]
    assert rows["estimate"].iloc[:3].tolist() == [after["US"], after["UK"], after["Germany"]]
    (held,) = rows[rows["estimate"].isna()].itertuples()
    assert (held.conf_low, held.conf_high) == shift.bounds().bounds("together")
    assert rows["conf_low"].notna().sum() == 1
    assert rows.loc["placebo, 2019", "estimate"] == pytest.approx(18.3, abs=0.05)
    assert rows.loc["placebo, 2019, with businesses since sold", "estimate"] == pytest.approx(9.9, abs=0.05)
    assert rows["estimate"].iloc[4:6].tolist() == shift.china_alone()["lead"].iloc[:2].tolist()
    assert len(rows) == len(leads) - 1 + 6


@pytest.mark.parametrize(
    ("start", "asked", "said"),
    [
        (
            "eBay,net_revenue_us_sellers,2021,",
            "bounds",
            r"us_sellers \(as named\) of 2019, .*: .* for 2021",
        ),
        ("eBay,net_revenue_uk_sellers,2018,1385", "leads", r"uk_sellers \(Korea apart\) of 2018, 2019: .* for 2018"),
        ("eBay,net_revenue_china_sellers,2022H1", "china_alone", r"china_sellers \(as named\) of .* none for 2022H1"),
        ("eBay,net_revenue_hedging_gain,2022", "bounds", r"hedging_gain \(as named\) of 2021, 2022: .* none for 2022"),
        ("eBay,gmv_us,2022Q2", "bounds", "us volume of 2021, 2022: .* all quarters of 2021, 2022"),
        ("eBay,gmv_international_growth_yoy,2022Q3", "bounds", "international volume .* not all quarters of 2021"),
    ],
)
def test_a_missing_figure_is_refused_by_name_and_never_bridged(without, start, asked, said):
    without(start)
    with pytest.raises(DataError, match=f"{said}; add the .* with (its|their) source$"):
        getattr(shift, asked)()


def test_the_word_of_investing_follows_from_the_bounds_and_not_from_the_sign():
    judged = claims.judge(
        "C07", "invest", claims.Finding(estimate=shift.lead(shift.leads()), interval=shift.bounds().bounds("together"))
    )
    assert (judged.word, judged.unit) == ("Not shown", shift.UNIT)
    assert judged.low < 0 < judged.estimate < judged.high
    assert "A first sign at most" in judged.why
    without_take = claims.judge("C07", "invest", claims.Finding(interval=shift.bounds().bounds("hedges")))
    assert without_take.word == "Supported"  # had hedges been the only doubt
    assert claims.judge("C07", "invest", claims.Finding(interval=(-12.9, -1.0))).word == "Contradicted"


def test_no_difference_of_growth_is_printed_in_logs_or_as_points():
    """Log differences are no per cent: 429 to 500 is 16.6, not 15.3."""
    source = (ROOT / "notebooks" / "06_shift_public.ipynb").read_text(encoding="utf-8")
    said = f"{source} {' '.join(shift.bounds().columns['assumption'])}"
    assert shift.bounds().unit == "per cent"
    assert not re.search(r"in logs|log points|\\log|, points|points (are left|more|were)", said)


def test_the_readme_quotes_the_leads_and_their_bounds_as_computed():
    bullet = next(
        line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if "The shift." in line
    )
    low, high = shift.bounds().bounds("together")
    for value in (*LEADS.values(), round(low, 1), round(high, 1)):
        assert f"{abs(value):.1f}" in bullet
