"""What is doubtful in a panel: each file that once was read without a word, with what is said of it
now, and that nothing is said of a clean one.
"""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fewtreated.errors import DataError, DesignError
from panels import changed, random_panel

from analysis import grades
from analysis.estimands import displacement
from analysis.estimands.design import Design
from analysis.estimate import Estimate
from analysis.event import read_event
from analysis.panel import read_panel
from analysis.panel.doubts import beside_home, doubts, falls, sums
from analysis.panel.panel import Doubt
from analysis.provenance import ROOT
from analysis.study import Study
from benchmarks import doubts as measured
from market import plain

MAY = 28  # 2021-05, the month of the first closures


@pytest.fixture(scope="module")
def clean():
    """Return a plain panel whose ids and amounts are those of a real one."""
    panel, _ = plain.simulate("plain_sd1_30", 1)
    firms = panel.firms.assign(brand_group=panel.firms["brand_group"].str.removeprefix("SIM-"))
    firms.index = firms.index.str.replace("SIM-", "F-")
    return replace(panel, firms=firms, sales=20_000 * panel.sales, provenance="real")


def scaled(panel, factor, *, firms=slice(None), platform=slice(None), since=0):
    def scale(sales):
        sales[firms, platform, since:] *= factor

    return changed(panel, scale)


def with_rows(panel, rows):
    """Add firms to a panel: by name, the firms that each is the sum of, and its category."""
    first = panel.firms.iloc[[0] * len(rows)].assign(
        brand_group=[*rows], category=[of for _, of in rows.values()], origin="other"
    )
    first = first.assign(closed_on=pd.NaT, dose=np.nan).set_axis([*rows], axis=0)
    sold = np.array([panel.sales[of].sum(axis=0) for of, _ in rows.values()])
    firms = pd.concat([panel.firms, first.astype(panel.firms.dtypes)])
    sales = np.concatenate([panel.sales, sold])
    return replace(panel, sales=sales, firms=firms.rename_axis("firm"))


def subtotals(panel):
    category = panel.firms["category"].to_numpy()
    return with_rows(panel, {f"S{word}": (category == word, word) for word in {*category}})


def totals(panel):
    every = np.full(len(panel.firms), fill_value=True)
    foreign = (panel.firms["origin"] != "CN").to_numpy()
    return with_rows(panel, {"Sum": (every, "all"), "Total US": (foreign, "all")})


def closed_later(panel, months):
    shift = pd.DateOffset(months=months)
    closed_on = panel.firms["closed_on"].map(lambda day: day if pd.isna(day) else day + shift)
    return replace(panel, firms=panel.firms.assign(closed_on=closed_on))


def third(panel):
    return np.arange(len(panel.firms)) % 3 == 0


def closed(panel):
    return np.isfinite(panel.first_treated(cut=1e-9))


WRONG = {
    "home in thousands": lambda panel: scaled(panel, 1e-3, platform=0),
    "home below another": lambda panel: scaled(panel, 1 / 15, platform=0),
    "one platform in another currency": lambda panel: scaled(panel, 6.5, platform=1, since=MAY),
    "home in another unit": lambda panel: scaled(panel, 3.5, platform=0, since=MAY),
    "all in another currency": lambda panel: scaled(panel, 6.5, since=MAY),
    "closed firms": lambda panel: scaled(panel, 3, firms=closed(panel), since=MAY),
    "a third in thousands": lambda panel: scaled(panel, 1e-3, firms=third(panel)),
    "a third since May": lambda panel: scaled(panel, 1e-3, firms=third(panel), since=MAY),
    "subtotals": subtotals,
    "totals": totals,
    "closures a month late": lambda panel: closed_later(panel, 1),
    "closures a month early": lambda panel: closed_later(panel, -1),
}
SAID = {  # what is found, and by which name; those of the first lines stop
    "home in thousands": ("home small", "times as many on EBY as on AMZ in the 28 months"),
    "home below another": ("home small", "times as many on EBY as on AMZ in the 28 months"),
    "subtotals": ("sums", "firms with the sum of others in nearly all months (40): "),
    "totals": ("sums", "firms with the sum of others in nearly all months (2): "),
    "closures a month late": ("months", "25 of 27 closed firms falling -1 months from it"),
    "closures a month early": ("months", "25 of 26 closed firms falling +1 months from it"),
    "one platform in another currency": ("break EBY", "sales on EBY in 2021-05 that are 6.7"),
    "home in another unit": ("break AMZ", "sales on AMZ in 2021-05 that are 3."),
    "all in another currency": ("break all", "sales on all platforms in 2021-05 that are 6.5"),
    "closed firms": ("break closed", "sales of closed firms in 2021-05 that are 3.0"),
    "a third in thousands": ("two units", "two heaps of firms, "),
    "a third since May": ("break firms", "sales of some firms in 2021-05 that are 0.001 times"),
}
STOP = ("home small", "sums", "months")


def read(panel, folder, accepted=""):
    """Return the panel as read from a file."""
    panel.to_parquet(folder / "mine.parquet")
    (folder / "mine.yml").write_text(f"population: census\n{accepted}", encoding="utf-8")
    return read_panel(folder / "mine.parquet", map=folder / "mine.yml")


@pytest.mark.parametrize("name", WRONG)
def test_what_once_was_read_without_a_word_stops_or_is_doubted_by_name(clean, tmp_path, name):
    called, found = SAID[name]
    wrong = WRONG[name](clean)
    if called in STOP:
        with pytest.raises(DataError) as refused:
            read(wrong, tmp_path)
        assert found in str(refused.value)
        assert f"if it is right, write `accepted: {{{called}: REASON}}` in" in str(refused.value)
    else:
        (doubt,) = read(wrong, tmp_path).doubts
        assert (doubt.name, doubt.accepted) == (called, "")
        assert found in doubt.found
        assert re.search(r"such as 'F-\d+' \(row \d", doubt.found)


@pytest.mark.parametrize("name", ["home below another", "closed firms"])
def test_a_map_accepts_a_doubt_by_its_name_with_the_reason(clean, tmp_path, name):
    called, _ = SAID[name]
    accepted = f"accepted: {{{called}: we asked the vendor}}"
    (doubt,) = read(WRONG[name](clean), tmp_path, accepted).doubts
    assert (doubt.name, doubt.accepted) == (called, "we asked the vendor")
    assert str(doubt).startswith(f"Accepted ({called}): ")
    assert str(doubt).endswith(" Reason: we asked the vendor.")


def test_nothing_is_said_of_a_clean_panel(clean, tmp_path):
    assert read(clean, tmp_path).doubts == ()
    for name in ("tidy", "wide", "accounts"):
        folder = ROOT / "data" / "examples"
        assert read_panel(folder / f"{name}.csv", map=folder / f"{name}.map.yml").doubts == ()


def test_the_rate_is_by_judge_and_counts_each_panel_once(monkeypatch):
    monkeypatch.setattr(measured, "names", lambda preset, seed: ["gap", "sums"] * (seed == 2))
    rows = [*measured.rates(4, 1)]
    assert [row["judge"] for row in rows] == ["heavy", "market", "plain"]
    for row in rows:
        assert (row["panels"], row["doubted"], row["per cent"]) == (4, 1, 25.0)
        assert row["upper limit"] == pytest.approx(80.6, abs=0.1)
        assert row["doubts"] == "gap (1), sums (1)"


@pytest.mark.slow
def test_clean_panels_of_each_judge_are_rarely_doubted():
    for row in measured.rates(60, 1):
        assert row["doubted"] <= 1, row


# Levels


def test_a_season_is_no_break_if_another_year_has_it(clean):
    def double(sales):
        sales[:, 1, 22] *= 8
        sales[:, 1, 34] *= 8

    def once(sales):
        sales[:, 1, 22] *= 8

    assert [*doubts(changed(clean, double), str)] == []
    (doubt,) = doubts(changed(clean, once), str)
    assert doubt.name == "break EBY"
    assert doubt.found.endswith("months with such a break: 2")  # up and down again


def test_a_fall_of_closed_firms_is_no_break(clean):
    fallen = scaled(clean, 0.1, firms=closed(clean), since=MAY)
    assert not [each for each in doubts(fallen, str) if each.name.startswith("break")]


def test_a_large_platform_is_compared_month_by_month_where_both_are_known(clean):
    def hide(sales):
        sales[:, 0, :27] = np.nan

    assert beside_home(changed(clean, hide)).months == 1
    alone = replace(clean, sales=clean.sales[:, :1].copy(), platforms=clean.platforms[:1])
    assert beside_home(alone) is None


def test_one_wrong_cell_is_no_unit_of_a_platform(clean):
    both = np.flatnonzero((clean.sales[:, 0, 0] > 0) & (clean.sales[:, 1, 0] > 0))[0]

    def spoil(sales):
        sales[both, 1, 0] = 1e15

    assert [each.name for each in doubts(changed(clean, spoil), str)] == ["dominant"]


def test_sellers_of_another_platform_do_not_make_the_home_platform_small():
    panel = random_panel(np.random.default_rng(5), n=40)

    def part(sales):
        sales[:20, 1:] = 0
        sales[20:, 0] = 0
        sales[20:, 1:] *= 1000

    assert beside_home(changed(panel, part)) is None


# Sums and closures


def test_a_sum_is_found_on_one_platform_and_in_spite_of_other_sums(clean):
    word = clean.firms["category"].iloc[0]
    of_one = (clean.firms["category"] == word).to_numpy()
    every = np.full(len(clean.firms), fill_value=True)
    rows = {"S": (of_one, word), "T": (every, "all"), "H": (every, "other")}
    both = with_rows(clean, rows)
    both.sales[-1, 1:] = 0
    found = {both.firms.index[firm]: of for firm, of in sums(both).items()}
    assert found == {
        "S": f"category {word} on all platforms",
        "T": "all firms on all platforms",
        "H": "all firms on AMZ",
    }


def test_the_fall_of_a_closed_firm_is_dated_and_a_month_cut_short_is_no_shift(clean):
    first = clean.first_treated()
    closed = np.flatnonzero(np.isfinite(first))
    assert falls(clean)["lag"].mode().tolist() == [0]

    def cut(sales):
        for firm in closed:
            month = int(first[firm])
            sales[firm, 0, month:] = 0
            sales[firm, 0, month] = 0.4 * sales[firm, 0, month - 1]

    def whole(sales):
        cut(sales)
        for firm in closed:
            sales[firm, 0, int(first[firm])] = sales[firm, 0, int(first[firm]) - 1]

    short, late = changed(clean, cut), changed(clean, whole)
    assert falls(short)["kept"].median() < 0.8 < falls(late)["kept"].median()
    assert [*doubts(short, str)] == []
    assert [doubt.name for doubt in doubts(late, str)] == ["months"]


# What follows


def study_of(panel, *found):
    return Study(read_event("amazon_2021"), replace(panel, doubts=found), Design(), "", "mine.csv")


def test_a_doubt_lowers_each_verdict_that_rests_on_it_and_an_accepted_one_none(clean):
    given = {"value": np.ones(1), "covariance": np.eye(1), "limits": np.array([[0.5], [1.5]])}
    rise = Estimate(estimand="E4a", unit="per cent", terms=("there",), **given)
    doubt = Doubt("break WMT", "one level", "a break on WMT", "correct it", platform="WMT")
    everywhere = replace(doubt, name="break closed", platform="")
    for found, level in (
        ((), {"more_sales_elsewhere": "moderate", "growth_positive": "moderate"}),
        ((doubt,), {"more_sales_elsewhere": "low", "growth_positive": "moderate"}),
        ((everywhere,), {"more_sales_elsewhere": "low", "growth_positive": "low"}),
        ((replace(everywhere, accepted="so"),), dict.fromkeys(["growth_positive"], "moderate")),
    ):
        study = study_of(clean, *found)
        for question, expected in level.items():
            verdict = study.judge(question, rise)
            assert (verdict.word, verdict.confidence) == ("Supported", expected)
            assert ("since the panel is doubtful (break" in verdict.why) == (expected == "low")
    assert "Accepted (break closed): a break on WMT. Reason: so." in study.caveats
    doubtful = study_of(clean, doubt)
    assert "what is doubtful (break WMT) have low confidence. Population" in doubtful.answer
    assert "Doubtful: a break on WMT; the reports" in study_of(clean, doubt).caveats


def test_estimates_from_a_doubtful_panel_have_no_grade(clean):
    rows = pd.DataFrame({"id": ["E3g"], "label": "growth on AMZ", "reason": "", "months": ""})
    doubt = Doubt("gap", "rows", "none", "add them")
    assert study_of(clean, doubt).graded(rows)["grade"].tolist() == [grades.DOUBTED]
    assert study_of(clean).graded(rows)["grade"].tolist() != [grades.DOUBTED]


@pytest.mark.parametrize("word", ["Yes", "1", "Shenzhen"])
def test_no_firm_of_the_origin_stops_with_the_line_to_write(clean, word):
    own = clean.firms["origin"] == "CN"
    other = replace(clean, firms=clean.firms.assign(origin=np.where(own, word, "US")))
    with pytest.raises(DesignError) as refused:
        study_of(other)
    found = f"no firm is of its origin CN, but of {word} ({own.sum()}), US ({(~own).sum()});"
    assert found in str(refused.value)
    assert f'`origins: {{"{word}": CN, "US": other}}` in the panel\'s map' in str(refused.value)


def test_firms_that_gained_more_elsewhere_than_they_lost_are_refused():
    panel, _ = plain.simulate("plain_sd1_99", 1)
    assert displacement.relocation(panel, Design()).reason == ""
    refused = displacement.relocation(scaled(panel, 0.01, platform=0), Design())
    assert re.search(r"closed firms gained at least [\d,]+ per cent of them on EBY", refused.reason)
