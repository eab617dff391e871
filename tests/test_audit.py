"""The design audit: replicates, measures, grades, and the file that carries them."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import audit, data, grades
from analysis.errors import DataError, DesignError
from analysis.estimands.catalogue import estimate_all
from analysis.estimands.design import Design
from analysis.estimands.event_study import event_study, true_path
from analysis.exhibits import charts, curves, style
from analysis.market import simulate
from analysis.market.parameters import PLATFORMS, PRESETS
from analysis.provenance import ROOT

DESIGN = Design()


@pytest.fixture(scope="module")
def small() -> pd.DataFrame:
    return audit.replicate(["few_treated", "null"], [3, 4], design=DESIGN, workers=1)


def replicates(estimate, *, truth=1.0, error=1.0, preset="mid_3k", name="E9", unit="percentage points", first=1):
    """Return replicates with normal intervals around given estimates."""
    estimate = np.asarray(estimate, dtype=float)
    half = stats.norm.ppf(0.975) * np.broadcast_to(error, estimate.shape)
    return pd.DataFrame(
        {
            "preset": preset,
            "seed": first + np.arange(len(estimate)),
            "closed": 10,
            "level": 0.95,
            "id": name,
            "label": name,
            "unit": unit,
            "truth": truth,
            "estimate": estimate,
            "std_error": error,
            "low": estimate - half,
            "high": estimate + half,
            "refused": "",
        }
    )


def row(**changed):
    plain = {"level": 0.95, "markets": 200, "undefined": 0, "coverage": 0.95, "bias": 0.0, "sd": 1.0, "mean_error": 1.0}
    return plain | changed


def test_the_rows_do_not_depend_on_the_number_of_workers(small):
    spread = audit.replicate(["few_treated", "null"], [3, 4], design=DESIGN, workers=2)
    pd.testing.assert_frame_equal(spread, small)


def test_the_audit_holds_what_a_panel_answers_against_the_truth_of_its_market(small):
    panel, truth = simulate("few_treated", 3)
    asked = estimate_all(panel, DESIGN).rows
    known = truth.scalars(4, 9)
    held = small[(small["preset"] == "few_treated") & (small["seed"] == 3)]
    assert list(held["id"]) == [*asked["id"], grades.PATH]
    held = held[held["id"] != grades.PATH]
    np.testing.assert_array_equal(held["estimate"], asked["estimate"])
    np.testing.assert_array_equal(held["low"], asked["conf_low"])
    np.testing.assert_array_equal(held["truth"], [known.get(name, np.nan) for name in held["id"]])
    assert (held["closed"] == np.isfinite(panel.first_treated()).sum()).all()


def test_every_market_is_counted_once(small):
    table = audit.summarise(small)
    assert (table["markets"] + table["refused"] + table["undefined"] == 2).all()
    lost = table[(table["preset"] == "null") & (table["id"] == "d1")].iloc[0]
    assert lost["markets"] == 0  # nothing is lost, so nothing has a share of it


def test_an_error_says_in_which_market_it_arose(monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(audit, "estimate_all", broken)
    with pytest.raises(ZeroDivisionError) as error:
        audit.replicate(["few_treated"], [5], design=DESIGN, workers=1)
    assert error.value.__notes__ == ["in the simulated market few_treated, seed 5"]


@pytest.mark.parametrize(
    ("presets", "seeds", "workers", "said"),
    [
        ([], [1], 1, "0 markets"),
        (["null"], [], 1, "0 markets"),
        (["null"], [1], 0, "0 workers"),
        (["nil"], [1], 1, "nil"),
    ],
)
def test_an_audit_of_nothing_is_refused(presets, seeds, workers, said):
    with pytest.raises(DesignError, match=said):
        audit.replicate(presets, seeds, design=DESIGN, workers=workers)


def test_measures_are_those_of_the_textbook():
    found = audit.summarise(replicates([0.0, 1.0, 2.0, 9.0], truth=1.0)).iloc[0]
    gap = np.array([-1.0, 0.0, 1.0, 8.0])
    assert found["bias"] == gap.mean()
    assert found["bias_mc"] == pytest.approx(gap.std(ddof=1) / 2)
    assert found["sd"] == pytest.approx(gap.std(ddof=1))
    assert found["sd_mc"] == pytest.approx(gap.std(ddof=1) / np.sqrt(6))
    assert found["mean_error"] == 1
    assert found["rmse"] == pytest.approx(np.sqrt(66 / 4))
    assert (found["coverage"], found["rejection"]) == (0.75, 0.5)  # 9 misses 1; 2 and 9 exclude 0
    assert found["coverage_mc"] == pytest.approx(np.sqrt(0.75 * 0.25 / 4))
    assert (found["type_s"], found["type_m"]) == (0, 5.5)
    assert found["mde"] == pytest.approx(stats.norm.ppf(0.975) * 1 + stats.norm.ppf(0.8) * found["sd"])
    assert found["mde_mc"] == pytest.approx(stats.norm.ppf(0.8) * found["sd_mc"])


def test_power_and_exaggeration_of_normal_estimates_are_those_of_gelman_and_carlin():
    draws = np.random.default_rng(1).normal(0.7, 1.0, 20_000)
    found, z = audit.summarise(replicates(draws, truth=0.7)).iloc[0], stats.norm.ppf(0.975)
    right, wrong = stats.norm.cdf([0.7 - z, -0.7 - z])
    size = stats.norm.pdf(z - 0.7) + stats.norm.pdf(z + 0.7) + 0.7 * (right - wrong)  # Lu, Qiu and Deng (2019)
    power = right + wrong
    closed = {"rejection": power, "type_s": wrong / power, "type_m": size / (0.7 * power)}
    for name, value in closed.items():
        assert abs(found[name] - value) < 4 * found[f"{name}_mc"]
        assert 0 < found[f"{name}_mc"] < 0.05
    assert abs(found["coverage"] - 0.95) < 4 * found["coverage_mc"]


def test_the_monte_carlo_errors_are_the_spread_of_repeated_audits():
    rng = np.random.default_rng(2)
    runs = [audit.summarise(replicates(rng.normal(1.5, 1.0, 60), truth=1.5)).iloc[0] for _ in range(200)]
    found = pd.DataFrame(runs)
    for name in ("bias", "sd", "rmse", "coverage", "rejection", "mde", "type_m"):
        # the spread of 200 runs is known within some 5 per cent, the mean error of a share less well
        assert found[f"{name}_mc"].mean() == pytest.approx(found[name].std(), rel=0.2), name


def test_nothing_is_exaggerated_where_the_truth_is_zero():
    found = audit.summarise(replicates([-3.0, 0.5, 3.0, 1.0], truth=1e-15)).iloc[0]
    assert found["rejection"] == 0.5
    assert np.isnan(found["type_s"])
    assert np.isnan(found["type_m"])


@pytest.mark.parametrize(
    ("changed", "grade", "reason"),
    [
        ({}, "usable", ""),
        ({"coverage": 0.92}, "usable", ""),
        ({"coverage": 0.915}, "usable with bounds", "skewed, or few closed groups"),
        ({"coverage": 0.90, "mean_error": 0.8}, "usable with bounds", "errors too small"),
        ({"coverage": 1.0, "bias": -0.6}, "usable with bounds", "bias of −0.6 spreads"),
        ({"coverage": 0.85}, "usable with bounds", "skewed, or few closed groups"),
        ({"coverage": 0.845, "bias": 1.0}, "do not use", "bias of +1.0 spreads"),
        ({"level": 0.9, "coverage": 0.87}, "usable", ""),
        ({"markets": 19}, "not graded", "fewer than 20 markets"),
        ({"markets": 0, "coverage": np.nan}, "not graded", "not estimable"),
        ({"markets": 0, "coverage": np.nan, "undefined": 3}, "not graded", "truth not defined"),
    ],
)
def test_a_grade_follows_its_rule(changed, grade, reason):
    assert grades.grade(row(**changed)) == grade
    assert grades.reason(row(**changed)) == reason


def test_more_coverage_or_less_bias_never_lowers_a_grade():
    shares, biases = np.linspace(0.7, 1, 31), np.linspace(0, 1.5, 16)
    ranks = np.array([[grades.GRADES.index(grades.grade(row(coverage=c, bias=b))) for b in biases] for c in shares])
    assert (np.diff(ranks, axis=0) <= 0).all()
    assert (np.diff(ranks, axis=1) >= 0).all()


def test_estimands_that_go_together_do_not_make_the_share_of_truths_look_surer():
    one = replicates(np.random.default_rng(3).normal(1, 1.4, 40))
    many = pd.concat([one.assign(id=f"E{k}") for k in range(10)])
    assert audit.covered(many)["share"] == audit.covered(one)["share"]
    assert audit.covered(many)["error"] == pytest.approx(audit.covered(one)["error"])


def test_the_zip_holds_the_intervals_of_one_estimand_by_distance():
    data = pd.concat([replicates([4.0, 1.0, -0.5], error=0.5), replicates([1.0], preset="null")])
    found = audit.standardised(data, "E9", "mid_3k")
    np.testing.assert_allclose(found["z"], [0.0, -3.0, 6.0])
    assert list(found["holds"]) == [True, False, False]
    assert len(audit.standardised(data, "E9", "all_presets")) == 4
    with pytest.raises(DesignError, match="E8 in all_presets"):
        audit.standardised(data, "E8", "all_presets")


def test_a_table_survives_its_file_and_its_card(tmp_path, small):
    root = Path(shutil.copytree(data.DATA, tmp_path / "data"))
    table = audit.summarise(small)
    assert audit.write(table, root / "audit.csv")
    assert not audit.write(table, root / "audit.csv")
    with pytest.raises(DataError, match="check --accept"):
        data.load("audit", root=root)
    data.accept("audit", vintage="2026-11-25", root=root)
    back = data.load("audit", root=root)
    assert (back["provenance"] == "simulated").all()
    pd.testing.assert_frame_equal(
        back.drop(columns="provenance").fillna({"unit": "", "reason": ""}), table, rtol=1e-5, check_dtype=False
    )


def test_the_shipped_audit_covers_every_preset_and_its_page_says_the_same():
    table = data.load("audit")
    assert list(table["preset"].unique()) == list(PRESETS)
    page = (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8")
    assert f"seeds {table['first_seed'].min()} to {table['last_seed'].max()}" in page
    lines = [cells for cells in map(_cells, page.splitlines()) if len(cells) > 4]  # the shares have four columns
    told = [tuple(cells[i].strip() for i in (0, 1, -2)) for cells in lines]
    assert told[2:] == list(zip(table["preset"], table["id"], table["grade"], strict=True))


def test_the_shipped_shares_are_of_the_shipped_audit():
    table, shares = data.load("audit"), data.load("audit_covered")
    assert list(shares["preset"].unique()) == ["all", *PRESETS]
    whole = shares[shares["last_seed"] == shares["last_seed"].max()].set_index("preset")
    assert whole["last_seed"].eq(table["last_seed"].max()).all()
    for preset, part in [("all", table), *table.groupby("preset")]:
        used = part[part["markets"] > 0]
        assert whole.loc[preset, "intervals"] == used["markets"].sum()
        share = 100 * np.average(used["coverage"], weights=used["markets"])
        assert whole.loc[preset, "share"] == pytest.approx(share, abs=1e-3)


def test_every_bias_that_forbids_use_has_a_cause():
    table = data.load("audit")
    biased = table[(table["grade"] == "do not use") & table["reason"].fillna("").str.startswith("bias")]
    cells = list(zip(biased["id"], biased["preset"], strict=True))
    assert [cell for cell in cells if not audit.cause(*cell)] == []
    wordless = table[(table["grade"] == "do not use") & (table["reason"].fillna("") == "")]
    assert wordless.empty


def test_every_estimand_of_a_panel_has_its_row_with_label_unit_and_causes():
    rows = data.load("estimands").set_index("id")
    panel, _ = simulate("mid_3k", 1)
    fields = {"origin": "CN", "destinations": "EBY and ALI", "first": "EBY", "second": "ALI"}
    known = {}
    for template, row in rows.iterrows():
        for name in PLATFORMS if "{platform}" in template else PLATFORMS[1:]:
            for lead in range(6, 0, -1):
                named = fields | {"platform": name, "away": name, "lead": lead}
                known[template.format(**named)] = (row["label"].format(**named), row["unit"])
    assert known.pop(grades.PATH) == ("closed firms' sales, all months at once", "half-widths of the band")
    asked = estimate_all(panel, DESIGN).rows[["id", "label", "unit"]]
    assert known == {name: (label, unit) for name, label, unit in asked.itertuples(index=False)}


def test_a_cause_is_a_clause_and_of_a_preset_that_there_is():
    causes = data.load("estimands").filter(like="bias")
    assert {name.removeprefix("bias_") for name in causes} - {"bias"} <= set(PRESETS)
    for said in causes.melt()["value"].dropna():
        assert said[0].islower()
        assert not said.endswith(".")


def test_a_cause_stands_behind_a_bias_alone():
    off = replicates(np.r_[np.full(15, 4.9), np.full(15, 5.1)], name="E5b", preset="stress")
    said = audit.summarise(off)["reason"].item()
    assert said.startswith("bias of +")
    assert said.endswith(f": {audit.cause('E5b', 'stress')}")
    small = replicates([-8.0, 8.0] * 15, truth=0.0, name="E5b", preset="stress")
    assert audit.summarise(small)["reason"].item() == "errors too small"
    assert audit.cause("E99", "stress") == ""


def test_the_path_is_inside_where_its_band_holds_the_truth_in_every_month(small):
    for preset, seed in (("null", 3), ("null", 4)):
        panel, truth = simulate(preset, seed)
        study = event_study(panel, DESIGN)
        true = true_path(truth, study)
        inside = (study.rows["band_low"] <= true) & (true <= study.rows["band_high"])
        row = small[(small["preset"] == preset) & (small["seed"] == seed) & (small["id"] == grades.PATH)].iloc[0]
        assert (row["low"] <= row["truth"] <= row["high"]) == inside.all()
    none = audit.path_inside(replace(panel, firms=panel.firms.assign(closed_on=pd.NaT)), truth, DESIGN)
    assert "none of" in none["refused"]
    assert "estimate" not in none


def test_shares_are_of_all_seeds_of_the_first_ones_and_of_each_preset(small):
    both = pd.concat([replicates(np.full(4, 1.0)), replicates([1.0, 1.0, 9.0, 9.0], preset="null")])
    found = audit.shares(both, first=2)
    assert list(found["preset"]) == ["all", "all", "mid_3k", "null"]
    assert list(found["share"]) == [75.0, 100.0, 100.0, 50.0]
    assert list(found["last_seed"]) == [4, 2, 4, 4]
    assert found.loc[0, "error"] == audit.covered(both)["error"]
    assert len(audit.shares(both, first=50)) == 3  # the first fifty are all


def _cells(line):
    return re.split(r"\|", line.strip("|")) if line.startswith("|") else []


def test_a_grade_is_that_of_the_preset_and_on_a_real_panel_the_worst():
    table = pd.DataFrame(
        {
            "preset": ["null", "mid_3k", "stress", "pretrend", "few_treated", "mid_3k"],
            "id": ["E1a"] * 5 + ["d1"],
            "grade": ["do not use", "usable", "usable with bounds", "not graded", "do not use", "not graded"],
        }
    )
    rows = pd.DataFrame({"id": ["E1a", "d1", "E99"], "estimate": [1.0, 2.0, 3.0]})
    found = grades.beside(rows, "mid_3k", 4, audit=table)
    assert list(found["grade"]) == ["usable", "not graded", "not graded"]
    real = grades.beside(rows, "", None, audit=table)
    assert list(real["grade"]) == ["usable with bounds", "not graded", "not graded"]
    assert grades.beside(rows, "few_treated", 99, audit=table)["grade"].iloc[0] == "do not use"
    assert list(rows.columns) == ["id", "estimate"]


def test_few_closed_firms_bring_the_preset_with_few():
    """The boundary is the geometric mean of the number there and the next larger one."""
    shipped = data.load("audit")
    number = shipped.groupby("preset")["closed"].first().drop("null")
    few = number.pop("few_treated")
    turn = float(np.sqrt(few * number.min()))
    assert few < turn < number.min()
    for closed, joins in (
        (1, True),
        (few, True),
        (turn - 0.01, True),
        (turn + 0.01, False),
        (500, False),
        (None, False),
    ):
        assert ("few_treated" in grades.plausible(closed, shipped)) == joins
    rows = pd.DataFrame({"id": ["E1a"]})
    worse = shipped.assign(grade=shipped["grade"].mask(shipped["id"] == "E1a", "usable"))
    worse["grade"] = worse["grade"].mask((worse["id"] == "E1a") & (worse["preset"] == "few_treated"), "do not use")
    found = [grades.beside(rows, "", closed, audit=worse).iloc[0] for closed in (4, 24)]
    assert [one["grade"] for one in found] == ["do not use", "usable"]


def test_grades_are_read_for_the_rows_of_answers():
    panel, _ = simulate("mid_3k", 1)
    rows = estimate_all(panel, DESIGN, ["E1a", "E3g"]).rows
    kept = data.load("audit").set_index(["preset", "id"])["grade"]
    assert list(grades.beside(rows, "mid_3k", None)["grade"]) == [kept["mid_3k", "E1a"], kept["mid_3k", "E3g"]]


def test_the_overview_says_every_grade_in_short():
    table = pd.DataFrame(
        {"preset": ["null", "mid_3k", "null"], "id": ["a", "a", "b"], "grade": ["usable", "do not use", "not graded"]}
    )
    found = grades.overview(table)
    assert found.to_dict("list") == {
        "id": ["a", "b"],
        "null": ["yes", "–"],
        "mid_3k": ["no", "–"],
        "panel": ["no", "–"],
    }


def test_presets_are_described_by_what_differs(small):
    found = audit.mechanisms(audit.summarise(small)).set_index("preset")["differs"]
    assert found["few_treated"] == "max_groups 4 instead of 1,000,000 (brand groups closed at most)"
    assert "bite 0 instead of 1" in found["null"]


def test_every_drawing_of_an_audit_is_stamped(small):
    table, zipped = audit.summarise(small), audit.standardised(small, "E2a", "all_presets")
    style.use("simulated", market="two presets")
    drawings = [
        charts.cells(*grades.coverage_cells(table, (0.85, 0.92))),
        charts.zip_plot(zipped, xlabel="z"),
        charts.cells(*grades.error_cells(table)[grades.BIAS], signed=True),
        *(charts.cells(*panel) for panel in grades.power_cells(table).values()),
        curves.mde_curve(table[table["id"] == "E2a"], unit="per cent"),
    ]
    for drawing in drawings:
        plots = len(drawing.axes)
        assert style.to_svg(drawing, simulated=True).startswith("data:image/svg+xml")
        assert sum(text.get_gid() == "simulated" for axes in drawing.axes for text in axes.texts) == plots
    style.use()


def test_the_cells_of_errors_and_power_are_shaded_by_their_limits():
    names = ["a", "b", "c", "z", grades.PATH]
    truths, biases = [1.25, 1.0, 1.0, 0.0, 0.0], [0.0, 0.7, -3.0, 0.0, 0.0]
    table = audit.summarise(
        pd.concat(
            [
                replicates(truth + bias + np.r_[np.ones(20), -np.ones(20)], truth=truth, name=name, error=0.4)
                for name, truth, bias in zip(names, truths, biases, strict=True)
            ]
        )
    )
    errors = grades.error_cells(table)
    scaled, shade, decimals = errors[grades.BIAS]
    assert scaled["mid_3k"].round(1).tolist() == [0.0, 0.7, -3.0, 0.0, 0.0]
    assert shade[:, 0].tolist() == [0, 1, 2, 0, 0]
    assert decimals == 1
    rmse, shade, _ = errors[grades.RMSE]
    assert rmse["mid_3k"].tolist() == table["rmse"].tolist()
    assert shade[:, 0].tolist() == [1, 2, 2, 0, 0]  # the first: 1 of a truth of 1.25
    power = grades.power_cells(table)
    assert [list(panel[0].index) for panel in power.values()] == [["a", "b", "c"]] * 3
    seen, shade, _ = power["power"]
    assert seen["mid_3k"].tolist() == [50.0, 50.0, 100.0]
    assert shade[:, 0].tolist() == [1, 1, 0]
    wrong, shade, _ = power["Type S"]
    assert wrong["mid_3k"].tolist() == [0.0, 0.0, 100.0]
    assert shade[:, 0].tolist() == [0, 0, 2]
    held, shade, _ = grades.coverage_cells(table, (0.4, 0.8))
    assert held["mid_3k"].tolist() == [0.0, 50.0, 0.0, 0.0, 0.0]  # 0.784 does not reach from 1 away, but from 0.3
    assert shade[:, 0].tolist() == [2, 1, 2, 2, 2]
    assert grades.largest_error(table, "coverage") == table["coverage_mc"].max()
    assert grades.largest_error(table, "rmse", relative=True) == (table["rmse_mc"] / table["rmse"]).max()


def test_another_level_is_audited_at_that_level():
    found = audit.replicate(["few_treated"], [3], design=replace(DESIGN, level=0.8), workers=1)
    wide = audit.replicate(["few_treated"], [3], design=DESIGN, workers=1)
    assert (found["level"] == 0.8).all()
    both = found["low"].notna() & np.isfinite(found["low"]) & np.isfinite(wide["low"])
    assert both.any()
    assert (found["high"] - found["low"])[both].lt((wide["high"] - wide["low"])[both]).mean() > 0.9
