"""The design audit: replicates, measures, grades, and the file that carries them."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fewtreated.errors import DesignError
from reading import project_text
from ruamel.yaml import YAML
from scipy import stats

from analysis import data, grades
from analysis.estimands.catalogue import estimate_all
from analysis.estimands.design import Design
from analysis.estimands.event_study import event_study
from analysis.provenance import ROOT
from benchmarks import coverage
from market import audit, grading, plain, simulate
from market.parameters import PLATFORMS, PRESETS

DESIGN = Design()
CASES = ROOT / "tests" / "cases" / "market"
GRADES = YAML(typ="safe").load(CASES / "grades.yml")
SHIPPED = data.load("audit").fillna({"reason": ""})


@pytest.fixture(scope="module")
def small():
    return audit.replicate(["few_treated", "null"], [3, 4], design=DESIGN, workers=1)


def replicates(estimate, *, truth=1.0, preset="mid_3k", name="E9"):
    """Return replicates with normal intervals around given estimates."""
    rows = pd.DataFrame(
        {"estimate": np.asarray(estimate, dtype=float), "std_error": 1.0, "truth": truth}
    )
    rows = rows.assign(
        preset=preset, seed=rows.index + 1, closed=10, level=0.95, id=name, label=name, refused=""
    )
    half = stats.norm.ppf(0.975)
    return rows.assign(
        unit="percentage points", low=rows["estimate"] - half, high=rows["estimate"] + half
    )


def table_of(name):
    return pd.read_csv(
        CASES / f"{name}.csv", keep_default_na=False, na_values=[""]
    )  # null is a preset


def row(**changed):
    right = {
        "id": "E9",
        "level": 0.95,
        "markets": 200,
        "undefined": 0,
        "coverage": 0.95,
        "mde": 2.8,
        "type_m": np.nan,
    }
    return right | {"truth": 0.0, "bias": 0.0, "sd": 1.0, "mean_error": 1.0} | changed


def test_the_audit_holds_what_a_panel_answers_against_the_truth_of_its_market(small):
    panel, truth = simulate("few_treated", 3)
    asked = estimate_all(panel, DESIGN).rows
    known = truth.scalars(4, 9)
    held = small[(small["preset"] == "few_treated") & (small["seed"] == 3)]
    assert list(held["id"]) == [*asked["id"], grading.PATH]
    held = held[held["id"] != grading.PATH]
    np.testing.assert_array_equal(held["estimate"], asked["estimate"])
    np.testing.assert_array_equal(held["low"], asked["conf_low"])
    np.testing.assert_array_equal(held["truth"], [known.get(name, np.nan) for name in held["id"]])
    assert (held["closed"] == np.isfinite(panel.first_treated()).sum()).all()


def test_every_market_is_counted_once(small):
    table = audit.summarise(small)
    assert (table["markets"] + table["refused"] + table["undefined"] == 2).all()
    lost = table[(table["preset"] == "null") & (table["id"] == "d1")].iloc[0]
    assert lost["markets"] == 0  # nothing is lost, so nothing has a share of it


@pytest.mark.parametrize(
    ("presets", "seeds", "message"),
    [
        ([], [1], "Cannot audit the methods: there are no markets"),
        (["null"], [], "no markets"),
        (["nil"], [1], "nil"),
    ],
)
def test_an_audit_of_nothing_is_refused(presets, seeds, message):
    with pytest.raises(DesignError, match=message):
        audit.replicate(presets, seeds, design=DESIGN, workers=1)


def test_measures_are_those_of_the_textbook():
    found = audit.summarise(replicates([0.0, 1.0, 2.0, 9.0], truth=1.0)).iloc[0]
    gap = np.array([-1.0, 0.0, 1.0, 8.0])
    assert found["bias"] == np.median(gap)
    assert 0 < found["bias_mc"] < 2 * gap.std(ddof=1) / 2
    assert found["sd"] == pytest.approx(gap.std(ddof=1))
    assert found["sd_mc"] == pytest.approx(gap.std(ddof=1) / np.sqrt(6))
    assert found["mean_error"] == 1
    assert found["rmse"] == pytest.approx(np.sqrt(66 / 4))
    assert (found["coverage"], found["rejection"]) == (0.75, 0.5)  # 9 misses 1; 2 and 9 exclude 0
    assert found["coverage_mc"] == pytest.approx(np.sqrt(0.75 * 0.25 / 4))
    assert (found["type_s"], found["type_m"]) == (0, 5.5)
    assert found["mde"] == pytest.approx(
        stats.norm.ppf(0.975) * 1 + stats.norm.ppf(0.8) * found["sd"]
    )
    assert found["mde_mc"] == pytest.approx(stats.norm.ppf(0.8) * found["sd_mc"])


@pytest.mark.slow
def test_the_monte_carlo_errors_are_the_spread_of_repeated_audits():
    rng = np.random.default_rng(2)
    runs = [
        audit.summarise(replicates(rng.normal(1.5, 1.0, 60), truth=1.5)).iloc[0] for _ in range(200)
    ]
    found = pd.DataFrame(runs)
    for name in ("bias", "sd", "rmse", "coverage", "rejection", "mde", "type_m"):
        # the spread of 200 runs is known within some 5 per cent, the mean error of a share less
        # well
        assert found[f"{name}_mc"].mean() == pytest.approx(found[name].std(), rel=0.2), name


def test_nothing_is_exaggerated_where_the_truth_is_zero():
    found = audit.summarise(replicates([-3.0, 0.5, 3.0, 1.0], truth=1e-15)).iloc[0]
    assert found["rejection"] == 0.5
    assert np.isnan(found["type_s"])
    assert np.isnan(found["type_m"])


@pytest.mark.parametrize(
    "case", GRADES, ids=lambda case: ", ".join(map("{0[0]} {0[1]}".format, case["changed"].items()))
)
def test_a_grade_follows_its_rule(case):
    assert (grading.grade(row(**case["changed"])), grading.reason(row(**case["changed"]))) == (
        case["grade"],
        case["reason"],
    )


def test_more_coverage_or_less_bias_never_lowers_a_grade():
    shares = np.linspace(0.7, 1, 31)
    biases = np.linspace(0, 1.5, 16)
    ranks = np.array(
        [
            [grades.GRADES.index(grading.grade(row(coverage=c, bias=b))) for b in biases]
            for c in shares
        ]
    )
    assert (np.diff(ranks, axis=0) <= 0).all()
    assert (np.diff(ranks, axis=1) >= 0).all()


def test_a_run_is_held_against_the_audit_cell_by_cell():
    """One cell covers 95 per cent in the audit and half here, the other is as it was: 0.5 - 0.95
    over two, by seed.
    """
    both = [replicates([1.0, 9.0], preset="null"), replicates([1.0, 1.0], name="E8", preset="null")]
    table = pd.DataFrame(
        {"preset": "null", "id": ["E9", "E8", "E7"], "coverage": [0.95, 1.0, np.nan], "level": 0.95}
    )
    found = audit.beside_audit(
        pd.concat([*both, replicates([9.0], name="E7", preset="null")]), table
    )
    assert found["estimate"] == pytest.approx(-22.5)
    assert (found["intervals"], found["seeds"], found["markets"]) == (4, 2, 2)
    assert found["std_error"] == pytest.approx(
        25
    )  # half a miss of two intervals, in one seed of two
    shy = audit.beside_audit(pd.concat(both).assign(level=0.8), table)
    assert shy["estimate"] == pytest.approx(
        found["estimate"] + 15
    )  # at another level, less that level
    with pytest.raises(DesignError, match="no estimate has an interval, a truth and a cell"):
        audit.beside_audit(both[0].assign(preset="stress"), table)


def test_estimands_that_go_together_do_not_make_a_run_look_surer():
    one = replicates(np.random.default_rng(3).normal(1, 1.4, 40))
    many = pd.concat([one.assign(id=f"E{k}") for k in range(10)])
    table = audit.summarise(many).assign(coverage=0.9)
    few, all_ = (audit.beside_audit(part, table) for part in (one.assign(id="E1"), many))
    assert all_["estimate"] == pytest.approx(few["estimate"])
    assert all_["std_error"] == pytest.approx(few["std_error"])


def test_the_distribution_counts_the_cells_below_within_and_above():
    shares = [0.5, 0.919, 0.92, 0.95, 0.98, 0.981, 1.0, 0.1]
    table = pd.DataFrame({"coverage": shares, "level": 0.95, "id": [f"E{k}" for k in range(8)]})
    table["markets"] = np.where(table["coverage"] == 0.1, 19, 20)
    table["preset"] = "mid_3k"
    table.loc[3:4, "preset"] = "plain_sd1_9"
    found = grading.distribution(table).set_index("judge")
    assert list(found["cells"]) == [7, 5, 2]
    np.testing.assert_allclose(
        found.loc["all", ["below", "within", "above"]].astype(float), [200 / 7, 300 / 7, 200 / 7]
    )
    assert list(found.loc["plain", ["below", "within", "above"]]) == [0, 100, 0]
    assert found.loc["all", "q50"] == 95
    off = grading.outside(table)
    assert list(off.index) == ["E0", "E1", "E5", "E6"]  # every one, and no other
    assert list(off["mid_3k"].round(1)) == [50.0, 91.9, 98.1, 100.0]
    assert list(off.columns) == ["mid_3k"]


def test_a_table_survives_its_file_and_its_card(tmp_path, small):
    root = Path(shutil.copytree(data.DATA, tmp_path / "data"))
    table = audit.summarise(small)
    assert audit.write(table, root=root)
    back = data.load("audit", root=root)
    card = data.card("audit", root)
    data.accept("audit", vintage="2020-01-01", root=root)
    assert audit.write(table, root=root) == []
    assert (
        audit.write(table.assign(bias=table["bias"] * (1 + 1e-5)), root=root) == []
    )  # only the last digit
    assert data.card("audit", root) == {
        **card,
        "vintage": "2020-01-01",
    }  # what did not move is not accepted again
    assert (back["provenance"] == "simulated").all()
    pd.testing.assert_frame_equal(
        back.drop(columns="provenance").fillna({"unit": "", "reason": ""}),
        table,
        rtol=1e-5,
        check_dtype=False,
    )


def test_the_shipped_audit_covers_every_preset_of_all_judges_and_its_page_says_the_same():
    assert list(SHIPPED["preset"].unique()) == list(audit.PRESETS)
    assert project_text("docs/coverage.md") == coverage.page(coverage.shipped())


def test_the_shipped_grades_follow_the_rule_and_every_bias_that_forbids_use_has_a_cause():
    for row_ in SHIPPED.to_dict("records"):
        cause = audit.cause(row_["id"], row_["preset"])
        assert (row_["grade"], row_["reason"]) == (grading.grade(row_), grading.reason(row_, cause))
        if row_["grade"] == "do not use" and row_["preset"] in PRESETS:
            assert row_["reason"]
            assert cause or " spreads" not in row_["reason"]


def test_the_page_names_every_cell_outside_its_limits():
    tables = coverage.page(coverage.shipped()).split("Every cell outside")[1:]
    lines = [
        line
        for text in tables
        for line in text.split("| preset")[0].splitlines()
        if line.startswith("|")
    ]
    named = sum(len(re.findall(r"(?<=\|) \d+\.\d (?=\|)", line)) for line in lines)
    graded = SHIPPED[SHIPPED["markets"] >= grading.FEWEST]
    assert named == (~graded["coverage"].round(9).between(0.92, 0.98)).sum() > 100


def test_the_margins_of_the_rule_are_those_of_the_report():
    text = project_text("notebooks/panel/03_growth.ipynb")
    for name, parameter in (
        ("E3g", "delta_pp"),
        ("E3g_seen", "delta_pp"),
        ("E3s_seen", "delta_share_pp"),
    ):
        assert float(re.search(rf"{parameter}: float = (\S+)", text)[1]) == grading.MARGINS[name]


def test_every_estimand_of_a_panel_has_its_row_with_label_unit_and_causes():
    rows = data.load("estimands").set_index("id")
    panel, _ = simulate("mid_3k", 1)
    fields = {
        "origin": "CN",
        "home": "AMZ",
        "destinations": "EBY and ALI",
        "first": "EBY",
        "second": "ALI",
    }
    known = {}
    for template, row in rows.iterrows():
        for name in PLATFORMS if "{platform}" in template else PLATFORMS[1:]:
            for lead in range(6, 0, -1):
                named = fields | {"platform": name, "away": name, "lead": lead}
                known[template.format(**named)] = (row["label"].format(**named), row["unit"])
    assert known.pop(grading.PATH) == (
        "closed sellers' sales, all months at once",
        "half-widths of the band",
    )
    asked = estimate_all(panel, DESIGN).rows[["id", "label", "unit"]]
    assert known == {name: (label, unit) for name, label, unit in asked.itertuples(index=False)}


def test_a_cause_stands_behind_a_bias_alone():
    off = replicates(np.r_[np.full(15, 4.9), np.full(15, 5.1)], name="E5b", preset="stress")
    said = audit.summarise(off)["reason"].item()
    assert said.startswith("bias of +")
    assert f" spreads ({audit.cause('E5b', 'stress')}); errors" in said
    assert (
        "(" not in audit.summarise(off.assign(preset="plain_sd1_9"))["reason"].item()
    )  # a cause is the market's
    small = replicates([-8.0, 8.0] * 15, truth=0.0, name="E5b", preset="stress")
    assert audit.summarise(small)["reason"].item() == "errors too small"
    assert audit.cause("E99", "stress") == ""


def test_the_path_is_inside_where_its_band_holds_the_truth_in_every_month(small):
    for seed in (3, 4):
        panel, truth = simulate("null", seed)
        study = event_study(panel, DESIGN)
        true = truth.path(study)
        inside = (study.rows["band_low"] <= true) & (true <= study.rows["band_high"])
        row = small[
            (small["preset"] == "null") & (small["seed"] == seed) & (small["id"] == grading.PATH)
        ].iloc[0]
        assert (row["low"] <= row["truth"] <= row["high"]) == inside.all()
    none = audit.path_inside(
        replace(panel, firms=panel.firms.assign(closed_on=pd.NaT)), truth, DESIGN
    )
    assert "none of" in none["refused"]
    assert "estimate" not in none


def test_a_grade_is_that_of_the_preset_and_on_a_real_panel_the_worst_of_all_judges():
    table = table_of("grades_by_preset")

    def found(preset, closed):
        return grades.worst(preset, closed, audit=table)["grade"].to_dict()

    assert found("mid_3k", 4) == {"E1a": "usable", "d1": "usable"}
    assert found("", 30) == {"E1a": "usable with bounds", "d1": "do not use"}
    assert found("", None) == {"E1a": "do not use", "d1": "do not use"}  # of an unknown number, any
    assert found("few_treated", 99) == {"E1a": "do not use"}
    source = grades.worst("", 30, audit=table)
    assert source.loc["E1a"].tolist() == ["usable with bounds", "stress", "market"]
    assert source.loc["d1"].tolist() == ["do not use", "plain_sd1_30", "plain"]
    both = pd.concat([table, table[2:3].assign(preset="chill", coverage=0.89)])
    assert grades.worst("", 30, audit=both).loc["E1a", "preset"] == "chill"


def test_questions_that_a_falling_trend_misleads_are_those_whose_intervals_miss_too_often_there():
    cells = [("stress", 0.9), ("pretrend", 0.7), ("mid_3k", 0.1)]
    rows = [(preset, "E1a", cover) for preset, cover in cells] + [
        ("stress", "d7", 0.92),
        ("stress", "E9", 0.1),
    ]
    table = pd.DataFrame(rows, columns=["preset", "id", "coverage"]).assign(level=0.95)
    whole = pd.DataFrame(
        [("stress", name, 0.95) for name in grading.QUESTIONS], columns=["preset", "id", "coverage"]
    )
    found = grading.misled(pd.concat([table, whole.assign(level=0.95)]))
    assert found.to_dict() == pytest.approx({grading.QUESTIONS["E1a"]: 70.0})


@pytest.mark.parametrize(
    ("closed", "groups"), [(1, 9), (13, 9), (22, 9), (25, 30), (42, 30), (90, 99), (5_000, 99)]
)
def test_plain_presets_join_by_the_number_of_closed_firms(closed, groups):
    joined = [name for name in grades.plausible(closed, SHIPPED) if name in plain.PRESETS]
    assert joined == [
        f"plain_sd1_{groups}",
        f"plain_sd2_{groups}",
        *([f"heavy_{groups}"] if groups < 99 else []),
    ]


def test_few_closed_firms_bring_the_preset_with_few():
    """The boundary is the geometric mean of the number there and the next larger one."""
    number = SHIPPED.groupby("preset")["closed"].first()[
        [name for name in PRESETS if name != "null"]
    ]
    few = number.pop("few_treated")
    turn = float(np.sqrt(few * number.min()))
    assert few < turn < number.min()
    joins = {1: True, few: True, turn - 0.01: True, turn + 0.01: False, 500: False, None: True}
    assert {closed: "few_treated" in grades.plausible(closed, SHIPPED) for closed in joins} == joins


def cells(name):
    """Return rows of an audit from a case file, alike in what it does not say."""
    alike = {
        "preset": "mid_3k",
        "closed": 20.0,
        "grade": "usable",
        "refused": 0,
        "truth": -5.0,
        "type_s": 0.0,
    }
    rows = table_of(name).assign(mde=3.0, unit="per cent")
    return rows.assign(**{column: value for column, value in alike.items() if column not in rows})


def test_a_panel_answers_where_its_interval_leaves_out_zero_on_the_side_of_the_truth():
    rows = cells("answers")
    answers = grading.answers(rows.drop(columns="estimate"))
    assert list(answers["id"]) == [
        "E1a",
        "E3g_seen",
        "E2a",
        "E3g",
        "d7",
    ]  # in the order of the questions, no other
    np.testing.assert_allclose(
        answers["estimate"], rows.set_index("id").loc[answers["id"], "estimate"]
    )
    error = 200 * np.sqrt(0.6 * 0.4 / 100)
    np.testing.assert_allclose(
        answers.loc[0, ["conf_low", "conf_high"]].astype(float), [60 - error, 60 + error]
    )
    assert answers.loc[0, ["term", "size"]].tolist() == [grading.QUESTIONS["E1a"], "medium"]
    assert grading.answers(rows.assign(preset="stress")).empty


def test_the_evidence_names_the_least_size_that_answers_and_the_worst_preset():
    table = pd.concat(
        [cells("sizes").assign(id=name) for name in grading.QUESTIONS], ignore_index=True
    )
    table.loc[table["id"] == "E3g", "rejection"] = 0.79
    found = grading.evidence(table).set_index("id")
    assert list(found.index) == list(grading.QUESTIONS)
    assert found.drop(index="E3g")["least"].tolist() == ["medium"] * (len(grading.QUESTIONS) - 1)
    assert found.loc["E3g", ["least", "medium"]].tolist() == ["none", "−5.0\u00a0(3.0)"]
    assert found.loc["E1a", ["alarms", "worst"]].tolist() == [
        4.0,
        90.0,
    ]  # 19 panels say nothing of coverage


def test_every_question_is_audited_at_every_size():
    assert len(grading.answers(SHIPPED)) == len(grading.QUESTIONS) * len(grading.SIZES)
