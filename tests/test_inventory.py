"""What an audit of a panel says, and that it says nothing about effects."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis import __main__ as front_desk
from analysis import inventory
from analysis.errors import DataError, DesignError
from analysis.estimands.catalogue import estimate_all
from analysis.estimands.closed_firms import smallest_effect
from analysis.estimands.design import Design
from analysis.panel import read_panel
from analysis.provenance import ROOT

EXAMPLES = ROOT / "data" / "examples"


@pytest.fixture(scope="module")
def panel():
    return read_panel(EXAMPLES / "accounts.csv", map=EXAMPLES / "accounts.map.yml")


def tables(sections):
    return dict(sections)


def found(table, what):
    return table.set_index("what").loc[what, "found"]


def test_the_inventory_counts_what_the_panel_holds(panel):
    sections = tables(inventory.inventory(panel))
    whole, platforms = sections["The panel"], sections["Platforms"]
    assert found(whole, "firms") == f"{len(panel.firms)}"
    assert found(whole, "  of them 0").startswith(f"{(panel.sales == 0).sum():,} (")
    assert found(whole, "  of them not known").startswith(f"{np.isnan(panel.sales).sum()} (")
    assert found(whole, "digest") == panel.digest[:16]
    assert platforms["platform"].tolist() == list(panel.platforms)
    assert platforms["% of sales"].sum() == pytest.approx(100)
    assert platforms["not known"].sum() == np.isnan(panel.sales).sum()
    for name, firms in zip(platforms["platform"], platforms["firms that sold"], strict=True):
        assert firms == (np.nan_to_num(panel.platform(name)).sum(axis=1) > 0).sum()


def test_what_was_added_up_and_linked_is_listed_with_its_rule(panel):
    listed = tables(inventory.inventory(panel))["Added up, linked and left out"]
    pd.testing.assert_frame_equal(listed, panel.dropped)


def test_that_no_key_comes_twice_is_what_the_reader_sees_to(panel, tmp_path):
    said = tables(inventory.inventory(panel))["The panel"].set_index("what")["found"]
    told = [found for what, found in said.items() if "twice" in what]
    assert told == ["none, or the file would have been refused"]
    lines = (EXAMPLES / "tidy.csv").read_text().splitlines()
    (tmp_path / "tidy.csv").write_text("\n".join([*lines, lines[1]]))
    (tmp_path / "tidy.map.yml").write_text((EXAMPLES / "tidy.map.yml").read_text())
    with pytest.raises(DataError, match="expected a key once"):
        read_panel(tmp_path / "tidy.csv", map=tmp_path / "tidy.map.yml")


def test_the_smallest_effect_is_that_of_placebo_closures_and_says_so(panel):
    title = "Smallest effect on closed firms (E1a), by placebo closures of spared firms"
    table = tables(inventory.reach(panel, Design()))[title]
    made = smallest_effect(panel, Design())
    terms = ["fall", "fall, normal", "size, normal"]
    assert table["per cent"].tolist() == [made.row(term)["estimate"] for term in terms]
    assert table["placebo closures"].eq(f"{made.counts['draws']} draws, within {made.details['within']}").all()
    sales = panel.sales.copy()
    sales[Design().sample(panel).comparison, :, 27] = 0.0  # nobody to compare with sold before the first wave
    refused = tables(inventory.reach(replace(panel, sales=sales), Design()))[title]
    assert refused["what"].tolist() == ["not estimable"]
    assert "untreated" in refused["found"].item()


def test_closures_are_counted_once_whole_in_part_or_after_the_window(panel):
    firms = panel.firms.copy()
    closed, whole = firms.index[firms["closed_on"].notna()], firms.index[firms["dose"] >= 0.5]
    firms.loc[whole[0], "dose"] = 0.2
    firms.loc[whole[1], "closed_on"] = (panel.months[-1] + 2).to_timestamp()
    table = tables(inventory.inventory(replace(panel, firms=firms)))["Closures by wave"]
    assert table["firms"].sum() == len(closed)
    assert table["closed"].tolist()[-2:] == [
        "in part, a dose below 0.5",
        "after the last month: not closed within the panel",
    ]
    assert table["firms"].tolist()[-2:] == [len(closed) - len(whole) + 1, 1]


def test_exposure_is_that_of_firms_never_closed_over_the_window(panel):
    design = Design()
    table = tables(inventory.reach(panel, design))["Exposure of firms never closed, per cent of their category"]
    sample = design.sample(panel)
    assert table["firms"].sum() == sample.never_closed.sum()
    for row in table.itertuples(index=False):
        exposure = 100 * sample.exposure[sample.never_closed & (panel.firms["origin"] == row.origin).to_numpy()]
        assert row.half == pytest.approx(np.median(exposure))
        assert row.most == pytest.approx(exposure.max())


def test_the_audit_shows_what_is_estimable_and_never_an_estimate(panel):
    design = Design()
    made = estimate_all(panel, design).rows
    table = tables(inventory.reach(panel, design))["What can be estimated"]
    assert set(table.columns) == {"id", "estimand", "firms", "smallest effect seen", "unit", "estimable"}
    assert table["id"].tolist() == made["id"].tolist()
    np.testing.assert_array_equal(table["smallest effect seen"], made["mde"])
    assert not set(table["unit"]) - set(made["unit"])


def test_an_estimand_that_the_panel_cannot_carry_has_the_reason(panel):
    alone = replace(panel, firms=panel.firms.assign(origin="CN"))
    table = tables(inventory.reach(alone, Design()))["What can be estimated"].set_index("id")
    assert "spillovers on firms not of origin CN were asked for" in table.loc["E2b", "estimable"]
    assert np.isnan(table.loc["E2b", "smallest effect seen"])
    assert table.loc["E2b", "firms"] == ""


def test_a_panel_without_closures_is_counted_but_reaches_nothing(panel):
    firms = panel.firms.assign(closed_on=pd.NaT, dose=np.nan)
    firms["closed_on"] = firms["closed_on"].astype("datetime64[us]")
    without = replace(panel, firms=firms)
    assert tables(inventory.inventory(without))["Closures by wave"].empty
    assert "0 firms closed; " in inventory.sentence(without)
    with pytest.raises(DesignError, match="bring a panel that holds closures"):
        inventory.reach(without, Design())


def test_the_sentence_names_firms_platforms_months_money_and_closures(panel):
    waves = panel.cohorts()
    said = inventory.sentence(panel)
    assert said.startswith(f"{len(panel.firms)} firms (")
    assert f" on {', '.join(panel.platforms)}, 2019-01 to 2022-06, in sim-$, simulated; " in said
    assert f"{waves['firms'].sum()} firms closed in {len(waves)} months from 2021-05; " in said
    assert "\n" not in said
    dropped = pd.DataFrame([("firms", "they have no known sales in any month", 3)], columns=panel.dropped.columns)
    assert "; 3 firms left out: they have no known sales in any month." in inventory.sentence(
        replace(panel, dropped=dropped)
    )


def test_numbers_stand_on_the_right_and_nothing_is_cut_off():
    frame = pd.DataFrame({"what": ["a", "long " * 30], "count": [1, 12345], "share": [1.25, np.nan]})
    lines = inventory.printed([("Title", frame), ("Empty", frame.iloc[:0])]).splitlines()
    assert lines[:2] == ["Title", "what" + " " * 146 + "   count  share"]
    assert lines[2].endswith("     1    1.2")
    assert lines[3].endswith(" 12,345")
    assert lines[-2:] == ["Empty", "none"]


# The command


def test_check_prints_the_audit_of_each_example(capsys):
    for shape in ("tidy", "wide", "accounts"):
        given = ["--panel", str(EXAMPLES / f"{shape}.csv"), "--map", str(EXAMPLES / f"{shape}.map.yml")]
        assert front_desk.main(["check", *given]) == 0
        said = capsys.readouterr().out
        for title in ("The panel", "Platforms", "Closures by wave", "What can be estimated"):
            assert f"{title}\n" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--map", "a.yml"], "Option --map a.yml: it goes with a panel of your own; give --panel FILE too"),
        (["--panel", "a.csv", "--accept", "b"], "Option --accept b: it goes with files in data/"),
        (["--panel", "a.csv"], "a.csv: expected a .csv or .parquet file; found no such file"),
        (["--panel", "a.csv", "--map", "a.yml"], "a.yml: a YAML file was asked for; there is none"),
        (["--panel", "a.csv", "--event", "other"], "the event 'other' was asked for; there are amazon_2021"),
    ],
)
def test_a_wrong_request_for_an_audit_exits_2(capsys, arguments, said):
    assert front_desk.main(["check", *arguments]) == 2
    assert said in capsys.readouterr().err
