"""A study: what a report on a panel is about; what an audit of a panel says, and that it says
nothing about effects.
"""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fewtreated.errors import DataError, DesignError
from ruamel.yaml import YAML

from analysis import data, grades, study
from analysis.estimands.catalogue import estimate_all
from analysis.estimands.closed_firms import smallest_effect
from analysis.estimands.design import Design
from analysis.estimate import Estimate, refusal
from analysis.event import EVENTS
from analysis.panel import read_panel
from analysis.panel.panel import Doubt
from analysis.provenance import ROOT
from analysis.simulated import closures
from analysis.study import (
    contents,
    estimable,
    panel_sentence,
    possible_windows,
    sales_by_year,
    tables_as_text,
)
from market import audit, open_study, simulate
from market.parameters import PRESETS
from runner import cli as command_line
from runner import schedule

MARKET = "medium closures (3 per cent of the origin's sales), seed 1"
EXAMPLES = ROOT / "data" / "examples"

SETTINGS = {
    "event": "amazon_2021",
    "panel_path": "",
    "panel_map": "",
    "sim_preset": "mid_3k",
    "seed": 1,
    "post_from": 4,
    "post_to": 9,
    "conf": 0.9,
}


@pytest.fixture(scope="module")
def simulated():
    return open_study(SETTINGS)


def on(study, **changes):
    """Return the study on its panel with changes."""
    return replace(study, panel=replace(study.panel, **changes))


def asking(study, claims):
    """Return the study of an event with other claims."""
    return replace(study, event=study.event.model_copy(update={"claims": claims}))


def test_the_parameters_make_the_market_and_the_design(simulated):
    panel, _ = simulate("mid_3k", seed=1)
    assert simulated.panel.digest == panel.digest
    assert (simulated.market, simulated.mark) == (MARKET, "simulated")
    assert simulated.tier == "sim"
    assert simulated.design == Design(level=0.9)


def test_files_are_named_as_read_only_where_a_report_says_something_from_them(simulated):
    files = ["claims", "readings", "threats", "audit"]
    assert replace(simulated, market="").read(*files) == files
    assert simulated.read(*files) == ["claims", "readings", "audit"]
    assert replace(asking(simulated, {}), market="").read(*files) == ["threats", "audit"]


def test_the_truth_of_every_question_is_known(simulated):
    true = simulated.true()
    assert set(estimate_all(simulated.panel, simulated.design)) <= set(true)
    assert true["placebo"] == 0.0
    assert true["mechanical"] == simulated.truth.closed_by(4, 9)["mechanical"] < 0


def test_a_panel_that_was_brought_has_no_truth_and_stays_simulated(simulated, tmp_path):
    file = tmp_path / "mine.parquet"
    simulated.panel.to_parquet(file)
    brought = open_study(SETTINGS | {"panel_path": str(file)})
    assert brought.panel.digest == simulated.panel.digest
    assert (brought.market, brought.mark, brought.truth) == ("mine.parquet", "simulated", None)
    assert brought.tier == "panel"
    assert brought.true() == {}


def brought(tmp_path, simulated, months, **event):
    """Take the closed firms of the simulated panel, and one in ten others, with their closures in
    other months.
    """
    firms = simulated.panel.firms.copy()
    kept = simulated.panel.firms["closed_on"].notna().to_numpy(copy=True)
    kept[::10] = True
    firms["closed_on"] = firms["closed_on"].map(
        lambda day: pd.Timestamp(months.get(f"{day:%Y-%m}", day)), "ignore"
    )
    few = replace(simulated.panel, firms=firms[kept], sales=simulated.panel.sales[kept])
    few.to_parquet(tmp_path / "mine.parquet")
    content = YAML(typ="safe").load(EVENTS / "amazon_2021" / "event.yml") | event
    (tmp_path / "mine.yml").write_text(json.dumps(content))
    given = {"panel_path": str(tmp_path / "mine.parquet"), "event": str(tmp_path / "mine.yml")}
    return open_study(SETTINGS | given)


def test_closures_in_months_that_are_no_wave_are_counted_and_said(simulated, tmp_path):
    number = simulated.closed_by_month
    later = brought(tmp_path, simulated, {"2021-08": "2021-10-01"})
    assert (
        f"in its waves: {number.iloc[:3].sum()}, in other months: 2021-10 ({number.iloc[3]})."
        in later.line
    )
    assert simulated.line.endswith(f"in its waves: {number.sum()}, in other months: none.")
    assert simulated.line.startswith(f"Event: {simulated.event.title}, as simulated; ")
    large = Doubt("dominant", "no large value", "one", "correct it")
    doubtful = on(simulated, doubts=(large, replace(large, name="gap", accepted="it is so")))
    assert doubtful.line == (
        f"{simulated.line} Doubtful (dominant): expected no large value; found one; correct it;"
        " if it is right, write `accepted: {dominant: REASON}` in the map."
        " Accepted (gap): one. Reason: it is so."
    )
    assert doubtful.doubts == [large]


def test_closures_before_the_first_wave_are_refused_with_their_number_and_month(
    simulated, tmp_path
):
    number = simulated.closed_by_month.iloc[0]
    said = (
        rf"in 2021-05, but {number} firms closed earlier, in 2021-03 \({number}\); leave them out"
        r" of the panel, or"
    )
    with pytest.raises(DesignError, match=said):
        brought(tmp_path, simulated, {"2021-05": "2021-03-01"})
    found = brought(tmp_path, simulated, {"2021-05": "2021-03-01"}, waves=["2021-03", "2021-06"])
    assert "in other months: 2021-07 (" in found.line


def test_a_panel_of_another_event_is_refused(simulated, tmp_path):
    total = simulated.closed_by_month.sum()
    with pytest.raises(
        DesignError,
        match=rf"its waves are in 1999-01, but all {total} closures are in other months",
    ):
        brought(tmp_path, simulated, {}, waves=["1999-01"])


@pytest.mark.parametrize("preset", PRESETS)
def test_simulated_closures_are_those_of_the_event_that_ships(preset):
    found = open_study(SETTINGS | {"sim_preset": preset, "seed": 3})
    assert found.line.endswith("in other months: none.")
    assert found.panel.cohorts()["firms"].sum() > 0


@pytest.mark.parametrize(
    ("values", "said"),
    [({"event": "none"}, "choose from amazon_2021"), ({"sim_preset": "mid"}, "choose from null")],
)
def test_what_cannot_be_taken_is_refused(values, said):
    with pytest.raises(DesignError, match=said):
        open_study(SETTINGS | values)


def test_names_in_print_are_those_of_the_event(simulated):
    assert (simulated.own, simulated.home, simulated.there) == (
        "Chinese sellers",
        "Amazon",
        "eBay and AliExpress",
    )
    assert {simulated.words[code] for code in ("CN", "AMZ", "EBY")} == {"Chinese", "Amazon", "eBay"}


# What it says of a claim

ASKED = {"kind": "interval", "window": "2021", "n": "9 firms", "margin": 2.0}


def effect(name="E3g"):
    given = {"value": np.zeros(1), "covariance": np.eye(1), "limits": np.array([[-1.0], [1.5]])}
    return Estimate(estimand=name, unit="percentage points", terms=(name,), **given)


def test_a_question_is_judged_by_the_reading_that_the_event_names(simulated):
    told = simulated.judge("growth_not_lower", effect(), **ASKED)
    assert (told.claim, told.reading) == simulated.event.asked["growth_not_lower"]
    assert (told.word, told.estimate, told.low, told.high, told.margin) == (
        "Supported",
        0.0,
        -1.0,
        1.5,
        2.0,
    )
    assert (told.tier, told.provenance, told.market) == ("sim", "simulated", MARKET)
    assert (told.interval, told.window, told.n, told.unit) == (
        "interval",
        "2021",
        "9 firms",
        "percentage points",
    )
    assert (
        simulated.judge("growth_not_lower", effect(), unit="per cent", **ASKED).unit == "per cent"
    )


def test_a_question_that_the_event_does_not_ask_gets_no_word(simulated):
    assert asking(simulated, {"C07": None}).judge("growth_not_lower", effect(), **ASKED) is None
    assert simulated.judge("who_is_to_blame", effect(), **ASKED) is None


def test_rows_are_graded_and_name_platforms_and_origin_as_print_does(simulated):
    rows = pd.DataFrame(
        {"id": ["E3g"], "label": "growth of CN sales on AMZ", "reason": "EBY is not held"}
    )
    (row,) = simulated.graded(rows).to_dict("records")
    assert row["label"] == "growth of Chinese sales on Amazon"
    assert row["reason"] == "eBay is not held"


def test_a_verdict_has_the_grade_of_its_estimand_and_a_refusal_none(simulated):
    (grade,) = simulated.graded(
        pd.DataFrame({"id": ["E3g"], "label": "growth on AMZ", "reason": ""})
    )["grade"]
    assert simulated.judge("growth_not_lower", effect(), **ASKED).grade == grade
    assert (
        simulated.judge("growth_not_lower", effect("growth"), **ASKED).grade == ""
    )  # the audit does not know it
    refused = refusal("nobody was closed")
    told = simulated.judge("growth_not_lower", refused, **ASKED)
    assert (told.word, told.estimate, told.low, told.grade) == ("Not testable", None, None, "")
    assert (
        simulated.graded(refusal("nobody was closed on AMZ")).reason
        == "nobody was closed on Amazon"
    )


def test_a_panel_gives_a_word_on_totals_if_it_is_a_census_or_a_sample_with_weights(simulated):
    given = [on(simulated, population=name) for name in ("census", "sample", "not representative")]
    told = [one.judge("growth_not_lower", effect(), **ASKED) for one in given]
    assert [one.word for one in told] == ["Supported", "Supported", "Not testable"]
    aside = f"In this panel of {len(simulated.panel.firms):,} firms, not representative:"
    assert [one.aside for one in told] == ["", "", aside]


def test_a_panel_with_too_many_gaps_gives_no_word_on_totals_and_says_how_many_firms_are_known(
    simulated,
):
    own = np.flatnonzero(simulated.panel.firms["origin"] == "CN")
    sales = simulated.panel.sales.copy()
    sales[own[: len(own) // 5], 0, 32] = np.nan  # in the window
    holed = on(simulated, sales=sales, doubts=(Doubt("gap", "none", "one large", "mend it"),))
    said = (
        f"{len(own) - len(own) // 5:,} of {len(own):,} Chinese sellers have sales in all months"
        " compared"
    )
    told = holed.judge("growth_not_lower", effect(), **ASKED)
    assert (told.word, told.why) == (
        "Not testable",
        f"Only {said}, too few for a verdict on totals.",
    )
    assert f"{said}, 78% of firms or of their sales" in holed.lines[1]
    assert (
        f"cannot support a verdict on totals (C01 V1, C01 V2, C16): only {said}."
        in replace(holed, market="").speaks
    )
    assert holed.caveats == ""
    assert (
        replace(holed, file="mine.csv").caveats
        == f"Panel mine.csv: {len(simulated.panel.firms):,} firms, 2019-01 to 2022-06, said to be a"
        f" census, {said}. Doubtful: one large; the reports on it say under Data what to do."
    )
    few = simulated.panel.sales.copy()
    few[own[:1], 0, 32] = np.nan
    assert on(simulated, sales=few).judge("growth_not_lower", effect(), **ASKED).word == "Supported"


def test_what_the_panel_may_speak_for_names_the_readings_on_totals_or_the_line_to_write(simulated):
    assert (
        simulated.speaks
        == "Population: census; the panel is simulated, so it supports no verdict on a claim."
    )
    for name in ("census", "sample"):
        real = on(replace(simulated, market=""), population=name)
        assert (
            real.speaks
            == f"Population: {name}; the panel supports a verdict on totals (C01 V1, C01 V2, C16)."
        )
    other = on(replace(simulated, market=""), population="not representative")
    assert (
        "cannot support a verdict on totals (C01 V1, C01 V2, C16). Write `population: census` in"
        " its map" in other.speaks
    )
    assert "a verdict on totals (no reading is about them)" in asking(other, {"C07": None}).speaks


def test_a_window_that_begins_before_the_last_wave_is_said_and_has_no_grade(simulated):
    early = replace(simulated, design=replace(simulated.design, post_from=0, post_to=3))
    sample = early.design.sample(early.panel)
    still = int((sample.closed & (sample.first > sample.after.start)).sum())
    assert sample.still_open.startswith(
        f"{still} of {sample.closed.sum()} closed sellers were still open"
    )
    rows = pd.DataFrame(
        {
            "id": ["E1a", "E1d"],
            "label": "",
            "reason": "",
            "months": [sample.window, "12 months since closure"],
        }
    )
    assert early.graded(rows)["grade"].tolist() == [
        grades.TOO_EARLY,
        simulated.graded(rows)["grade"][1],
    ]
    assert early.judge("growth_not_lower", effect(), margin=2.0, kind="k").grade == ""
    assert sample.still_open in tables_as_text(estimable(early.panel, early.design))
    assert simulated.design.sample(simulated.panel).still_open == ""


def test_a_word_that_a_grade_bars_names_the_panels_of_the_grade(simulated, monkeypatch):
    table = data.load("audit").query("preset == 'mid_3k'").assign(grade="do not use")
    load = data.load
    monkeypatch.setattr(
        data, "load", lambda name, **of: table if name == "audit" else load(name, **of)
    )
    told = simulated.judge("growth_not_lower", effect(), **ASKED)
    assert told.word == "Not testable"
    assert told.why.endswith(
        "data such as these: medium closures (3 per cent of the origin's sales)."
    )


@pytest.mark.parametrize(
    ("low", "high", "level"), [(-1.0, 1.0, "high"), (-99.0, 99.0, "moderate"), (80.0, 99.0, "low")]
)
def test_the_last_row_of_a_placebo_decides_how_sure_a_verdict_is(simulated, low, high, level):
    rows = pd.DataFrame({"estimate": [9.0, 0.2], "conf_low": [8.0, low], "conf_high": [10.0, high]})
    more = replace(effect("E4a_sales"), value=np.ones(1), limits=np.array([[0.5], [1.5]]))
    usable = simulated.judge("more_sales_elsewhere", more, placebo=rows, **ASKED)
    assert (usable.grade, usable.confidence) == ("usable", level)


def test_a_verdict_states_the_kind_of_interval_and_the_period_by_itself(simulated):
    told = simulated.judge("growth_not_lower", effect(), margin=2.0)
    assert told.interval == "95% confidence interval"
    assert told.window == "2021-09 to 2022-02, on 2020-09 to 2021-02"
    both = replace(effect(), interval="confidence interval, errors clustered by firm", reason="set")
    a_set = replace(both, value=np.full(1, np.nan))
    told = simulated.judge("growth_not_lower", a_set, margin=2.0)
    assert told.interval == (
        "bounds from 95% limits, errors clustered by firm, and the common part, which is assumed"
    )


# Tables to look at


def test_each_firm_has_its_group_its_exposure_and_what_it_sold_in_both_years(simulated):
    rows = simulated.by_firm()
    sample = simulated.design.sample(simulated.panel)
    assert len(rows) == sample.observed(1).sum()
    assert rows["group"].eq("closed").sum() == sample.closed.sum()
    assert rows.loc[rows["group"] == "low exposure", "exposure"].max() < 100 * sample.design.low
    assert rows["before"].sum() == pytest.approx(sample.home[:, sample.before].sum() / 6)
    away = simulated.panel.sales[:, 1:, sample.after].sum()
    assert rows["after_away"].sum() == pytest.approx(away / 6)
    grown = rows.query("before > 0")
    assert np.allclose(grown["after"], grown["before"] * (1 + grown["growth"] / 100))
    assert rows.query("before == 0")["growth"].isna().all()


def test_sales_by_month_add_up_over_the_firms_of_a_group(simulated):
    group = simulated.by_firm()["group"].replace("exposed", np.nan)
    rows = simulated.by_month(group)
    months = simulated.panel.months
    assert rows.groupby("group").size().to_dict() == {
        "closed": len(months),
        "low exposure": len(months),
    }
    closed = simulated.design.sample(simulated.panel).closed
    of_closed = rows[rows["group"] == "closed"].set_index("month")
    assert of_closed["sales"].to_numpy() == pytest.approx(
        simulated.panel.sales[closed, 0].sum(axis=0)
    )
    assert of_closed.loc["2020-05":"2021-04", "index"].mean() == pytest.approx(100)
    elsewhere = simulated.by_month(group, platform="EBY")
    assert elsewhere["sales"].sum() == pytest.approx(simulated.panel.sales[group.notna(), 1].sum())


def test_sales_since_closure_are_of_closed_firms_in_per_cent_of_their_base(simulated):
    rows = simulated.since_closure(reach=6)
    sample = simulated.design.sample(simulated.panel)
    assert set(rows["firm"]) <= set(simulated.panel.firms.index[sample.closed])
    assert (rows["month"].min(), rows["month"].max()) == (-6, 6)
    firm = rows["firm"].iloc[0]
    at = simulated.panel.firms.index.get_loc(firm)
    (index,) = rows.query("firm == @firm and month == -1")["index"]
    base = sample.home[at, sample.base].mean()
    assert index == pytest.approx(100 * sample.home[at, int(sample.first[at]) - 1] / base)


# What an audit of a panel says


@pytest.fixture(scope="module")
def panel():
    return read_panel(EXAMPLES / "accounts.csv", map=EXAMPLES / "accounts.map.yml")


def tables(sections):
    return dict(sections)


def found(table, what):
    return table.set_index("what").loc[what, "found"]


def test_the_inventory_counts_what_the_panel_holds(panel):
    sections = tables(contents(panel))
    whole = sections["The panel"]
    platforms = sections["Platforms"]
    assert found(whole, "firms") == f"{len(panel.firms)}"
    assert found(whole, "  zero").startswith(f"{(panel.sales == 0).sum():,} (")
    assert found(whole, "  unknown").startswith(f"{np.isnan(panel.sales).sum()} (")
    assert found(whole, "digest") == panel.digest[:16]
    assert platforms["platform"].tolist() == list(panel.platforms)
    assert platforms["% of sales"].sum() == pytest.approx(100)
    assert platforms["unknown"].sum() == np.isnan(panel.sales).sum()
    assert (
        platforms["firms that sold"].tolist()
        == (np.nan_to_num(panel.sales) > 0).any(axis=2).sum(axis=0).tolist()
    )


def test_what_was_added_up_and_linked_is_listed_with_its_rule(panel):
    listed = tables(contents(panel))["Added up, linked and left out"]
    pd.testing.assert_frame_equal(listed, panel.dropped)


def test_that_no_key_comes_twice_is_what_the_reader_sees_to(panel, tmp_path):
    said = tables(contents(panel))["The panel"].set_index("what")["found"]
    told = [found for what, found in said.items() if "repeated keys" in what]
    assert told == ["none, since a file with any cannot be read"]
    lines = (EXAMPLES / "tidy.csv").read_text().splitlines()
    (tmp_path / "tidy.csv").write_text("\n".join([*lines, lines[1]]))
    (tmp_path / "tidy.map.yml").write_text((EXAMPLES / "tidy.map.yml").read_text())
    with pytest.raises(DataError, match="expected each key once"):
        read_panel(tmp_path / "tidy.csv", map=tmp_path / "tidy.map.yml")


def test_the_smallest_effect_is_that_of_placebo_closures_and_says_so(panel):
    title = "Smallest effect on closed firms (E1a), from placebo closures of other firms"
    table = tables(estimable(panel, Design()))[title]
    made = smallest_effect(panel, Design())
    terms = ["fall", "fall, usual", "size, usual"]
    assert table["per cent"].tolist() == [made.row(term)["estimate"] for term in terms]
    assert (
        table["placebo closures"]
        .eq(f"{made.counts['draws']} draws, within {made.details['within']}")
        .all()
    )
    sales = panel.sales.copy()
    sales[Design().sample(panel).comparison, :, 27] = (
        0.0  # nobody to compare with sold before the first wave
    )
    refused = tables(estimable(replace(panel, sales=sales), Design()))[title]
    assert refused["what"].tolist() == ["not estimable"]
    assert "untreated" in refused["found"].item()


def test_closures_are_counted_once_whole_in_part_or_after_the_window(panel):
    firms = panel.firms.copy()
    closed = firms.index[firms["closed_on"].notna()]
    whole = firms.index[firms["dose"] >= 0.5]
    firms.loc[whole[0], "dose"] = 0.2
    firms.loc[whole[1], "closed_on"] = (panel.months[-1] + 2).to_timestamp()
    table = tables(contents(replace(panel, firms=firms)))["Closures by wave"]
    assert table["firms"].sum() == len(closed)
    assert table["closed"].tolist()[-2:] == [
        "in part, a dose below 0.5",
        "after the last month: not closed within the panel",
    ]
    assert table["firms"].tolist()[-2:] == [len(closed) - len(whole) + 1, 1]


def test_exposure_is_that_of_firms_never_closed_over_the_window(panel):
    design = Design()
    table = tables(estimable(panel, design))[
        "Exposure of firms that were not closed, per cent of their category"
    ]
    sample = design.sample(panel)
    assert table["firms"].sum() == sample.never_closed.sum()
    for row in table.itertuples(index=False):
        exposure = (
            100
            * sample.exposure[
                sample.never_closed & (panel.firms["origin"] == row.origin).to_numpy()
            ]
        )
        assert row.half == pytest.approx(np.median(exposure))
        assert row.most == pytest.approx(exposure.max())


def test_the_audit_shows_what_is_estimable_and_never_an_estimate(panel):
    design = Design()
    made = estimate_all(panel, design).rows
    table = tables(estimable(panel, design))["What can be estimated"]
    assert set(table.columns) == {
        "id",
        "estimand",
        "firms",
        "smallest effect seen",
        "unit",
        "estimable",
    }
    assert table["id"].tolist() == made["id"].tolist()
    np.testing.assert_array_equal(table["smallest effect seen"], made["mde"])
    assert not set(table["unit"]) - set(made["unit"])


def test_an_estimand_that_the_panel_cannot_carry_has_the_reason(panel):
    alone = replace(panel, firms=panel.firms.assign(origin="CN"))
    sections = tables(estimable(alone, Design()))
    table = sections["What can be estimated"].set_index("id")
    whys = sections["Why not"].set_index("no")["reason"]
    why = whys[table.loc["E2b", "estimable"].removeprefix("no ")]
    assert "all 192 firms are from origin CN" in why
    assert whys.is_unique
    assert np.isnan(table.loc["E2b", "smallest effect seen"])
    assert table.loc["E2b", "firms"] == ""


def test_a_panel_without_closures_is_counted_but_reaches_nothing(panel):
    firms = panel.firms.assign(closed_on=pd.NaT, dose=np.nan)
    firms["closed_on"] = firms["closed_on"].astype("datetime64[us]")
    without = replace(panel, firms=firms)
    assert tables(contents(without))["Closures by wave"].empty
    assert "0 firms closed; " in panel_sentence(without)
    with pytest.raises(DesignError, match="use a panel that contains closures"):
        estimable(without, Design())


def test_the_sentence_names_firms_platforms_months_money_and_closures(panel):
    waves = panel.cohorts()
    assert f" on Amazon, {', '.join(panel.platforms[1:])}, " in panel_sentence(
        panel, {"AMZ": "Amazon"}
    )
    said = panel_sentence(panel)
    assert said.startswith(f"{len(panel.firms)} firms (")
    assert f" on {', '.join(panel.platforms)}, 2019-01 to 2022-06, in sim-$, simulated; " in said
    assert f"{waves['firms'].sum()} firms closed in {len(waves)} months from 2021-05; " in said
    assert "\n" not in said
    dropped = pd.DataFrame(
        [("firms", "left out: no known sales in any month", 3)], columns=panel.dropped.columns
    )
    assert "; 3 firms left out: no known sales in any month." in panel_sentence(
        replace(panel, dropped=dropped)
    )


def test_numbers_stand_on_the_right_and_nothing_is_cut_off():
    frame = pd.DataFrame(
        {"what": ["a", "long " * 30], "count": [1, 12345], "share": [1.25, np.nan]}
    )
    lines = tables_as_text([("Title", frame), ("Empty", frame.iloc[:0])]).splitlines()
    assert lines[:2] == ["Title", "what" + " " * 146 + "   count  share"]
    assert lines[2].endswith("     1    1.2")
    assert lines[3].endswith(" 12,345")
    assert lines[-2:] == ["Empty", "none"]


def test_firms_are_counted_and_grades_have_their_source_for_what_can_be_estimated(panel):
    sections = tables(estimable(panel, Design()))
    effects = sections["What can be estimated"]
    used = sections["Firms used and left out, each once"]
    able = effects.loc[effects["estimable"] == "estimable", "id"]
    assert (used.drop(columns="estimands").sum(axis=1) == len(panel.firms)).all()
    assert used.loc[used["estimands"] == "E1b", "closed"].item() == int(
        effects.set_index("id").loc["E1b", "firms"]
    )
    said = sections["What these columns count: the first three are used"]
    assert said["column"].tolist() == used.columns[1:].tolist()
    graded = sections["Grade of each method, the worst in panels like this one"]
    assert graded["id"].tolist() == able.tolist()
    assert set(graded["worst in"]) <= {*map(closures, audit.PRESETS), ""}
    audited = data.load("audit")
    source = audited.groupby([audited["preset"].map(closures), "id"])["grade"].agg(set)
    known = graded[graded["worst in"] != ""]
    assert len(known)
    for name, panels, grade in known[["id", "worst in", "grade"]].itertuples(index=False):
        assert grade in source[panels, name]


def months(panel, start, stop):
    return replace(panel, sales=panel.sales[:, :, start:stop], months=panel.months[start:stop])


@pytest.mark.parametrize(
    ("start", "stop", "fits"),
    [
        (0, 42, "-p post_from=4 -p post_to=9 -p base_months=12"),
        (22, 42, "-p post_from=6 -p post_to=9 -p base_months=6"),
        (0, 31, "-p post_from=0 -p post_to=2 -p base_months=12"),
        (25, 38, "-p post_from=9 -p post_to=9 -p base_months=3"),  # the shortest panel of all
        (22, 34, "none"),
        (26, 42, "none"),
    ],
)
def test_the_window_that_fits_is_the_part_of_the_one_asked_for_that_the_panel_can_carry(
    panel, start, stop, fits
):
    short = months(panel, start, stop)
    table = tables(possible_windows(short, Design()))["Window"]
    assert found(table, "nearest that fits") == fits
    fitted = Design().fitted(short)
    if fits == "none":
        assert fitted is None
        with pytest.raises(DesignError, match="no window fits: start the panel in 20"):
            Design().sample(short)
    else:
        assert fitted.given == fits
        assert fitted.sample(short).closed.any()
        assert fitted.fitted(short) == fitted


def test_a_window_that_fits_leaves_room_for_anticipation(panel):
    careful = Design(post_from=0, post_to=3, anticipation=6)
    assert (
        careful.fitted(months(panel, 18, 42)).given
        == "-p post_from=2 -p post_to=3 -p base_months=10"
    )
    assert (
        careful.fitted(months(panel, 23, 42)) is None
    )  # from month 7 on, and the year before begins at month 6
    assert (
        careful.fitted(months(panel, 21, 42)).given
        == "-p post_from=5 -p post_to=5 -p base_months=7"
    )


def test_no_window_is_wider_than_the_one_that_fits(panel):
    """Over all short panels: a month or a base month more, within what is asked for, is refused."""
    for start, stop in [(start, stop) for start in range(16, 28) for stop in range(29, 42)]:
        short = months(panel, start, stop)
        if fitted := Design().fitted(short):
            fitted.sample(short)
            for more in ({"post_from": fitted.post_from - 1}, {"post_to": fitted.post_to + 1}):
                wider = fitted.__dict__ | more
                if 4 <= wider["post_from"] <= fitted.post_from and wider["post_to"] <= 9:
                    with pytest.raises(DesignError, match="the closest fit is"):
                        Design(**wider).sample(short)


# The command


def test_check_takes_the_parameters_of_reports_with_their_messages(capsys):
    given = ["--panel", str(EXAMPLES / "tidy.csv"), "--map", str(EXAMPLES / "tidy.map.yml")]
    assert (
        command_line.main(
            ["check", *given, "--details", "-p", "post_to=6", "-p", "delta_pp=1", "-p", "conf=0.9"]
        )
        == 0
    )
    said = capsys.readouterr().out
    assert "requested                    -p post_from=4 -p post_to=6 -p base_months=12" in said
    for wrong, message in (
        ("post_to=12", "Parameter post_to: found '12'; use a value of type int, allowed 0 to 9"),
        ("post_too=3", "Parameter post_too does not exist; "),
        (
            "panel_path=x",
            "Option -p: panel_path was given as a parameter, but the runner sets it; use --panel.",
        ),
        ("event=x", "Parameter event was given with -p, but --panel sets it; use --event."),
    ):
        assert command_line.main(["check", *given, "-p", wrong]) == 2
        assert message in capsys.readouterr().err


def test_all_reports_on_a_panel_ask_for_one_design_unless_it_is_given():
    given = schedule.own_panel(EXAMPLES / "tidy.csv")
    jobs = schedule.settled(
        schedule.on_panel(schedule.read_jobs(ROOT), given, {}), {}, "2026-11-26"
    )
    asked = [job.parameters for job in jobs if job.name.startswith(schedule.PANEL)]
    assert len(asked) == 4
    for name in (*study.PARAMETERS, "conf"):
        assert len({one[name] for one in asked if name in one}) <= 1, name


def test_a_panel_that_is_too_short_is_shown_as_far_as_it_goes_and_ends_with_what_to_write(
    panel, tmp_path, capsys
):
    file = str(tmp_path / "short.parquet")
    months(panel, 22, 42).to_parquet(file)
    assert command_line.main(["check", "--panel", file, "--details"]) == 2
    said = capsys.readouterr()
    assert (
        "The estimates are for the nearest window that fits: -p post_from=6 -p post_to=9 -p"
        " base_months=6\n" in said.out
    )
    assert "Firms used and left out, each once\n" in said.out
    fits = ["-p", "post_from=6", "-p", "post_to=9", "-p", "base_months=6"]
    assert said.err.endswith(f"the closest fit is {' '.join(fits)}\n")
    assert command_line.main(["check", "--panel", file, *fits]) == 0
    months(panel, 23, 35).to_parquet(file)  # 2020-12 to 2021-11
    assert command_line.main(["check", "--panel", file, "--details"]) == 2
    said = capsys.readouterr()
    assert "It can answer nothing; the last line says why." in said.out
    assert "Window\n" in said.out
    assert (
        "no window fits: start the panel in 2020-11 or earlier, or end it in 2021-12 or later"
        in said.err
    )
    for start, stop in ((22, 35), (23, 36)):
        assert Design().fitted(months(panel, start, stop)) is not None


def test_a_panel_of_closed_firms_only_says_that_it_is_one(panel):
    closed = panel.firms["closed_on"].notna().to_numpy()
    alone = replace(panel, sales=panel.sales[closed], firms=panel.firms[closed])
    with pytest.raises(
        DesignError, match="the panel contains only closed firms; add firms that were never closed"
    ):
        Design().sample(alone)


def test_what_was_sold_at_home_is_told_by_year(panel):
    ((title, rows),) = sales_by_year(panel)
    assert title == "Sales on AMZ by year"
    assert [*rows["months"]] == [12, 12, 12, 6]
    assert rows["million sim-$"].sum() == pytest.approx(np.nansum(panel.sales[:, 0]) / 1e6)


@pytest.mark.parametrize("kept", ["five firms", "one platform"])
def test_a_panel_of_five_firms_or_of_one_platform_is_audited(panel, tmp_path, capsys, kept):
    closed = panel.firms["closed_on"].notna().to_numpy()
    five = np.r_[np.flatnonzero(closed)[:2], np.flatnonzero(~closed)[:3]]
    poor = {
        "five firms": replace(panel, sales=panel.sales[five], firms=panel.firms.iloc[five]),
        "one platform": replace(panel, sales=panel.sales[:, :1], platforms=panel.platforms[:1]),
    }[kept]
    poor.to_parquet(tmp_path / "poor.parquet")
    file = str(tmp_path / "poor.parquet")
    assert command_line.main(["check", "--panel", file, "--details"]) == 0
    assert "What can be estimated\n" in capsys.readouterr().out


def test_check_prints_the_audit_of_each_example(capsys):
    for shape in ("tidy", "wide", "accounts"):
        given = [
            "--panel",
            str(EXAMPLES / f"{shape}.csv"),
            "--map",
            str(EXAMPLES / f"{shape}.map.yml"),
        ]
        assert command_line.main(["check", *given]) == 0
        brief = capsys.readouterr().out
        assert ".csv: It can answer, of effects at least as large as in brackets: closed" in brief
        assert len(brief.splitlines()) == 5
        assert command_line.main(["check", *given, "--details"]) == 0
        said = capsys.readouterr().out
        assert said.startswith(brief.partition("\nAdd --details")[0])
        for title in ("The panel", "Platforms", "Closures by wave", "What can be estimated"):
            assert f"{title}\n" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--map", "a.yml"], "Option --map a.yml needs a panel of your own; add --panel FILE"),
        (["--panel", "a.csv", "--accept", "b"], "Option --accept b applies to files in data/"),
        (["-p", "post_to=3"], "Option -p post_to=3 needs a panel of your own; add --panel FILE"),
        (["--panel", "a.csv"], "a.csv: expected a file; found no such file"),
        (["--panel", "a.csv", "--map", "a.yml"], "a.yml: expected a file; found no such file"),
        (
            ["--panel", "a.csv", "--event", "other"],
            "Cannot find the event 'other'; choose from amazon_2021",
        ),
    ],
)
def test_a_wrong_request_for_an_audit_exits_2(capsys, arguments, said):
    assert command_line.main(["check", *arguments]) == 2
    assert said in capsys.readouterr().err
