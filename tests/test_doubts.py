"""What is doubtful in a panel: each file that once was read without a word, with what is said of it
now, and that nothing is said of a clean one.
"""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fewtreated.errors import DataError
from panels import called_real, changed, random_panel

from analysis.estimands import displacement
from analysis.estimands.design import Design
from analysis.event import read_event
from analysis.panel import read_panel
from analysis.panel.doubts import beside_home, doubts, falls, sums
from analysis.provenance import ROOT
from analysis.study import Study
from benchmarks.doubts import rates
from market import audit, simulate
from runner.cli import main

MAY = 28  # 2021-05, the month of the first closures


@pytest.fixture(scope="module")
def clean():
    return called_real(n_firms=2000, n_categories=30)


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
    "home below another": lambda panel: scaled(panel, 1 / 6.5, platform=0),
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
    "subtotals": ("sums", "30 firms with the sum of others"),
    "totals": ("sums", "2 firms with the sum of others"),
    "closures a month late": ("months", "falling -1 months from it; firms by such months: -1 (55)"),
    "closures a month early": ("months", "falling +1 months from it; firms by such months: +1 ("),
    "one platform in another currency": ("break EBY", "sales on EBY in 2021-05 that are 6.8"),
    "home in another unit": ("break AMZ", "sales on AMZ in 2021-05 that are 3.6"),
    "all in another currency": ("break all", "sales on all platforms in 2021-05 that are 6.8"),
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
    told = read(wrong, tmp_path, f"accepted: {{{called}: we asked the vendor}}").doubts
    assert [doubt.accepted for doubt in told if doubt.name == called] == ["we asked the vendor"]


def test_nothing_is_said_of_a_clean_panel(clean, tmp_path):
    assert read(clean, tmp_path).doubts == ()
    for name in ("tidy", "wide", "accounts"):
        folder = ROOT / "data" / "examples"
        assert read_panel(folder / f"{name}.csv", map=folder / f"{name}.map.yml").doubts == ()


@pytest.mark.slow
def test_clean_panels_of_each_judge_are_rarely_doubted():
    for row in rates(60, 1):
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
    both = totals(subtotals(clean))
    foreign = (clean.firms["origin"] != "CN").to_numpy()
    found = {both.firms.index[firm]: of for firm, of in sums(both).items()}
    assert len(found) == 31  # the total of all rows counts each firm twice, and is none
    assert found["SC0003"] == "category C0003 on all platforms"
    at_home = with_rows(clean, {"X": (foreign, "all")})
    at_home.sales[-1, 1:] = 0
    assert [*sums(at_home).values()] == ["origin other on AMZ"]


def test_the_fall_of_a_closed_firm_is_dated_and_a_month_cut_short_is_no_shift(clean):
    found = falls(clean)
    assert found["lag"].value_counts().idxmax() == 0
    first = clean.first_treated()

    def cut(sales):
        for firm in np.flatnonzero(np.isfinite(first)):
            sales[firm, 0, int(first[firm])] = 0.4 * sales[firm, 0, int(first[firm]) - 1]

    short = changed(clean, cut)
    assert falls(short)["kept"].median() < 0.8
    assert not [each for each in doubts(short, str) if each.name == "months"]


# What follows


def test_a_doubt_lowers_each_verdict_that_rests_on_it_and_an_accepted_one_none(clean, tmp_path):
    event = read_event("amazon_2021")
    wrong = scaled(clean, 6.5, platform=3, since=MAY)
    for accepted, level in (("", "low"), ("accepted: {break WMT: it grew}", "")):
        read(wrong, tmp_path, accepted)
        study = Study.open(
            {
                "event": "amazon_2021",
                "panel_path": str(tmp_path / "mine.parquet"),
                "panel_map": str(tmp_path / "mine.yml"),
                "conf": 0.95,
            }
        )
        moved = displacement.moved_there(study.panel, study.design)
        word = study.judge("more_sales_elsewhere", moved)
        grown = study.judge("growth_positive", moved)
        assert word.word == grown.word == "Supported"
        assert (word.confidence == "low") == (level == "low")
        assert ("doubtful (break WMT)" in word.why) == (level == "low")
        assert grown.confidence == "moderate"  # which no other platform touches
        assert ("Doubtful: sales on WMT in 2021-05" in study.caveats) == (level == "low")
        assert ("Reason: it grew." in study.caveats) == (level == "")
    assert event.origin in {*study.panel.firms["origin"]}


@pytest.mark.parametrize("word", ["Yes", "1", "Shenzhen"])
def test_no_firm_of_the_origin_stops_with_the_line_to_write(clean, tmp_path, capsys, word):
    own = clean.firms["origin"] == "CN"
    other = replace(clean, firms=clean.firms.assign(origin=np.where(own, word, "US")))
    other.to_parquet(tmp_path / "mine.parquet")
    assert main(["check", "--panel", str(tmp_path / "mine.parquet")]) == 2
    said = capsys.readouterr().err
    assert f"no firm is of its origin CN, but of {word} ({own.sum()}), US ({(~own).sum()})" in said
    assert f'write `origins: {{"{word}": CN, "US": other}}` in the panel\'s map' in said


def test_firms_that_gained_more_elsewhere_than_they_lost_are_refused(clean):
    thousandfold = scaled(clean, 1e-3, platform=0)
    refused = displacement.relocation(thousandfold, Design())
    assert re.search(r"closed firms gained at least [\d,]+ per cent of them on", refused.reason)


def test_check_begins_with_what_the_panel_can_answer_and_folds_the_rest(clean, tmp_path, capsys):
    panel, _ = simulate("mid_3k", 1)
    panel.to_parquet(tmp_path / "mine.parquet")
    assert main(["check", "--panel", str(tmp_path / "mine.parquet")]) == 0
    brief = capsys.readouterr().out
    assert "mine.parquet: It can answer, of effects at least as large as in brackets: " in brief
    assert "Platforms\n" not in brief
    assert len(brief.splitlines()) < 10
    assert main(["check", "--panel", str(tmp_path / "mine.parquet"), "--details"]) == 0
    whole = capsys.readouterr().out
    assert whole.startswith(brief.partition("\nAdd")[0])
    assert "Platforms\n" in whole


def test_every_judge_is_asked():
    assert [row["judge"] for row in rates(1, 1)] == ["market", "plain", "heavy"]
    assert audit.PRESETS
