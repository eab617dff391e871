"""The benchmark of estimators: its panels and their truth, how each tool is called, its measures,
and its results.
"""

import csv
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from io import StringIO

import benchmark
import measures
import numpy as np
import pandas as pd
import pytest
import reduced
import rivals
from generator import CELLS, NEVER, Drawn
from rivals import KEYS, SIZE, TOOLS, Sums, Tool

from analysis import data
from analysis.provenance import ROOT
from fewtreated import randomization_did
from market import ranking

pytestmark = pytest.mark.filterwarnings("ignore")  # the other libraries' own
FOLDER = ROOT / "fewtreated" / "benchmarks"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
MONTHS = 8
QUIET = replace(CELLS["two"], spread=0.5, firm_sd=1e-6, brand_sd=0.0, category_sd=0.0, hit=0.5)


def small(**changes):
    """Return three firms, of which the first is closed in month 5 and the second in month 7."""
    without = np.ones((3, MONTHS)) * np.array([[1.0], [3.0], [2.0]])
    firms = pd.DataFrame({"brand": [0, 1, 2], "category": 0, "first": [5, 7, NEVER]})
    drawn = Drawn(without, without, np.full(without.shape, True), firms)
    sales = np.where(drawn.after, [[0.5], [0.25], [1.0]], 1.0) * without
    return replace(drawn, **{"sales": sales} | changes)


# --- panels
# ----------------------------------------


def test_the_truth_is_the_mean_of_logs_and_the_log_of_totals_from_closure_on():
    truth = small().truth()
    assert truth["log"] == pytest.approx((4 * np.log(0.5) + 2 * np.log(0.25)) / 6)
    assert truth["ratio"] == pytest.approx(np.log((4 * 0.5 + 2 * 0.75) / (4 + 6)))


def test_what_a_firm_that_stopped_would_have_sold_counts_in_totals_alone():
    sales = small().sales.copy()
    sales[1, 6:] = 0.0
    truth = small(sales=sales).truth()
    assert truth["log"] == pytest.approx(np.log(0.5))
    assert truth["ratio"] == pytest.approx(np.log(4 * 0.5 / (4 + 6)))


def test_the_oracle_compares_logs_and_totals_without_closures_before_and_after():
    without = small().without.copy()
    without[0, 4:] *= np.e
    without[2, 6:] *= np.e**2
    found = small(without=without).oracle()
    # the first firm has gained 1, less 2 in half of its four months; the second 0, less 2
    assert found["log"] == pytest.approx((1 - 1 + 0 - 2) / 2)
    expected = 1 * (2 + 2 * np.e**2) + 3 * 2 * np.e**2
    assert found["ratio"] == pytest.approx(np.log((4 * np.e + 3 * 2) / expected))


def test_the_table_numbers_months_from_one_and_has_no_word_of_what_would_have_been():
    seen = np.full((3, MONTHS), True)
    seen[2, 0] = False
    sales = small().sales.copy()
    sales[0, 7] = 0.0
    drawn = small(sales=sales, seen=seen)
    table = drawn.long("log")
    names = ["firm", "month", "sales", "log_sales", "brand", "category", "first", "closed"]
    assert [*table] == names
    assert table["first"].unique().tolist() == [5, 7, NEVER]
    assert table.groupby("firm")["closed"].sum().tolist() == [3, 2, 0]
    assert table.groupby("firm")["month"].agg(["min", "max"]).to_numpy().tolist() == [
        [1, 7],
        [1, 8],
        [2, 8],
    ]
    assert len(drawn.long("ratio")) == len(table) + 1


@pytest.mark.parametrize("name", CELLS)
def test_a_panel_is_as_its_row_says_and_the_same_for_the_same_seed(name):
    cell = CELLS[name]
    drawn = cell.draw(3)
    assert drawn.sales.tobytes() == cell.draw(3).sales.tobytes() != cell.draw(8).sales.tobytes()
    assert drawn.sales.shape == drawn.without.shape == (len(drawn.firms), cell.periods)
    shut = drawn.firms["first"] != NEVER
    assert drawn.firms.loc[shut, "brand"].nunique() == cell.closed
    assert drawn.firms.loc[~shut, "brand"].nunique() == cell.open
    assert drawn.firms.loc[shut, "first"].nunique() == min(cell.waves, cell.closed)
    assert np.array_equal(drawn.sales[~drawn.after], drawn.without[~drawn.after])
    assert (drawn.sales == 0).any() == (name == "exits")
    assert (~drawn.seen).any() == (name == "missing")
    effects = np.log(drawn.sales[drawn.after] / drawn.without[drawn.after])
    if name == "exits":
        assert drawn.truth()["ratio"] < drawn.truth()["log"] == pytest.approx(cell.effect)
    elif cell.grow:
        assert effects.max() - effects.min() > 0.1
    else:
        assert np.allclose(effects, cell.effect)


def test_null_cells_differ_from_their_own_in_the_effect_alone():
    for cell in CELLS.values():
        if cell.null:
            null = CELLS[cell.null]
            names = {"cell": cell.cell, "kind": cell.kind, "effect": cell.effect}
            assert null.effect == 0
            assert replace(null, **names, differ=cell.differ, grow=cell.grow) == cell


def test_shocks_last_and_the_largest_brand_has_its_share():
    many = [CELLS["nine"].draw(seed) for seed in range(40)]
    closed = [drawn.firms[drawn.firms["first"] != NEVER] for drawn in many]
    shares = [(rows["brand"] == 0).mean() for rows in closed]
    assert np.mean(shares) == pytest.approx(CELLS["nine"].largest, abs=0.03)
    logs = [np.log(drawn.without) for drawn in many]
    assert np.mean([rows.mean(axis=1).std() for rows in logs]) == pytest.approx(2.6, abs=0.15)
    shocks = CELLS["nineteen"]._shocks(np.random.default_rng(1), 4_000)
    assert shocks.std() == pytest.approx(1, abs=0.02)
    assert (shocks[:, 1:] * shocks[:, :-1]).mean() == pytest.approx(0.6, abs=0.02)


def test_no_program_of_the_benchmark_needs_the_project():
    for file in FOLDER.glob("*.py"):
        imports = re.findall(r"^\s*(?:import|from) (\w+)", file.read_text("utf-8"), re.MULTILINE)
        assert not {*imports} & {"analysis", "market", "runner"}


# --- tools
# ----------------------------------------


@pytest.mark.parametrize("name", TOOLS)
def test_every_tool_finds_the_effect_where_nothing_else_happens(name):
    tool = TOOLS[name]
    drawn = replace(QUIET, closed=6, waves=3, largest=0).draw(5)
    if name in {"ours_permutation", "ours_synthetic"}:  # treatment that starts once
        drawn = QUIET.draw(5)
    found = tool.run(drawn.long(tool.truth))
    assert found["estimate"] == pytest.approx(QUIET.effect, abs=1e-4), found["refused"]
    assert tool.version.count(".") >= 1


def test_callaway_and_santanna_are_called_so_that_their_published_effect_comes_out():
    wide = pd.read_csv(ROOT / "fewtreated/tests/data/county_teen_employment.csv")
    names = {"county": "firm", "first_treated": "first"}
    table = wide.melt(
        ["county", "first_treated", "log_population"], var_name="month", value_name="log_sales"
    )
    table = table.rename(columns=names).assign(
        month=table["month"].astype(int), brand=table["county"]
    )
    table["first"] = table["first"].fillna(0).replace(np.inf, 0).astype(int)
    found = TOOLS["callaway_santanna"].fit(table)
    assert found["estimate"] == pytest.approx(
        -0.0399512752, abs=1e-9
    )  # R did, in fewtreated/tests/cases/published.yml
    assert found["std_error"] == pytest.approx(
        0.0119, abs=3e-4
    )  # R did 2.1: 0.0119 by the multiplier bootstrap


@pytest.mark.parametrize("cell", ["five", "missing", "comparison_3"])
def test_the_quick_jackknife_of_two_way_effects_is_that_of_pyfixest(cell):
    table = CELLS[cell].draw(5).long("log")
    quick, called = (TOOLS[name].fit(table) for name in ("feols_crv3", "feols_crv3_called"))
    assert quick == pytest.approx(called, abs=1e-10)


def test_plain_t_is_our_estimate_with_fewer_corrections():
    table = CELLS["nine"].draw(5).long("log")
    plain, ours = (TOOLS[name].fit(table) for name in ("ours_t", "ours_log"))
    assert (plain["estimate"], plain["std_error"]) == (ours["estimate"], ours["std_error"])
    half = 2.306004135 * plain["std_error"]  # Student's t with eight degrees of freedom
    assert plain["high"] - plain["estimate"] == pytest.approx(half)


def by_hand(jumps, firms=1):
    """Return brands with one jump each between two months; the first is closed in the second."""
    rows = [
        {"brand": brand, "firm": f"{brand}-{copy}", "month": month, "log_sales": jump * (month - 1)}
        for brand, jump in enumerate(jumps)
        for copy in range(firms)
        for month in (1, 2)
    ]
    table = pd.DataFrame(rows)
    table["first"] = np.where(table["brand"] == 0, 2, NEVER)
    return table.assign(closed=((table["brand"] == 0) & (table["month"] == 2)).astype(int))


def test_conley_and_taber_take_the_changes_of_others_for_the_error():
    found = rivals.conley_taber(by_hand([5.0, -1.0, 0.0, 1.0]))
    assert found["estimate"] == pytest.approx(5)
    # changes of the others less their mean, times (1 - 1/4) / (1 - 1/4)
    low, high = np.quantile([-1.0, 0.0, 1.0], [0.025, 0.975])
    assert (found["low"], found["high"]) == pytest.approx((5 - high, 5 - low))


def test_ferman_and_pinto_scale_by_the_variance_that_size_predicts():
    jumps = [5.0, -1.0, 1.0, -3.0, 3.0]
    table = by_hand(jumps)
    # brands 1 and 2 have nine firms each, so that A + B / 9 = 1 and A + B = 9: A = 0, B = 9
    more = [table]
    for copy in range(8):
        more.append(table[table["brand"].isin([1, 2])].assign(firm=table["firm"] + f"+{copy}"))
    found = rivals.ferman_pinto(pd.concat(more))
    assert found["estimate"] == pytest.approx(5)
    # the closed brand has one firm: changes of the large are as far from zero as those of the small
    assert (found["low"], found["high"]) == pytest.approx((2, 8))


def test_randomisation_has_each_effect_that_reassignment_does_not_reject():
    jumps = np.array([5.0, *np.linspace(-1, 1, 40)])
    found = rivals.randomisation(by_hand(jumps))
    assert found["estimate"] == pytest.approx(5)

    def share(effect):
        rest = jumps - effect * (np.arange(41) == 0)
        gaps = [rest[k] - np.delete(rest, k).mean() for k in range(41)]
        return np.mean(np.abs(gaps) >= abs(gaps[0]) - 1e-12)

    for end, inwards in ((found["low"], 1e-6), (found["high"], -1e-6)):
        assert share(end + inwards) > SIZE >= share(end - inwards)


@pytest.mark.parametrize("cell", ["five", "missing", "one"])
def test_the_library_s_own_randomization_gives_the_same_interval(cell):
    data = CELLS[cell].draw(2).long("log")
    names = {"first_treated": "first", "unit": "firm", "time": "month", "cluster": "brand"}
    ours = randomization_did(data, **names, outcome="log_sales", absent="missing")
    theirs = rivals.randomisation(data)
    found = [ours.value[0], *ours.conf_int[:, 0]]
    assert found == pytest.approx([theirs[name] for name in ("estimate", "low", "high")])


def test_the_sums_of_brands_give_the_two_way_regression_of_any_assignment():
    table = CELLS["missing"].draw(2).long("log")
    moved, slope = Sums(table).reassigned()
    assert moved[0] == pytest.approx(TOOLS["feols"].fit(table)["estimate"])
    assert slope[0] == pytest.approx(1)
    assert np.abs(slope[1:]).max() < 1


def told(data):
    import warnings

    warnings.warn("one firm only", UserWarning, stacklevel=1)
    warnings.warn("old name", FutureWarning, stacklevel=1)
    return {"estimate": 1.0, "std_error": 1.0, "low": 0.0, "high": 2.0}


class Rows:
    """A result with a row for each term, of which the first is 1."""

    def __init__(self, *terms):
        self.terms = terms

    def tidy(self):
        names = ["estimate", "std_error", "conf_low", "conf_high"]
        rows = [[1.0, 1.0, 0.0, 2.0], [9.0, 1.0, 8.0, 10.0]]
        return pd.DataFrame(rows, index=[*self.terms], columns=names)


def failing(data):
    raise ValueError("too few clusters")


@pytest.mark.parametrize(
    ("fit", "refused", "warned"),
    [
        (told, "", "one firm only"),
        (failing, "ValueError: too few clusters", ""),
        (lambda data: dict.fromkeys(KEYS, 1.0), "no interval", ""),
        (lambda data: dict.fromkeys(KEYS, 1.0) | {"low": 2.0}, "the interval is reversed", ""),
        (lambda data: {"estimate": 1.0}, "ValueError: the dict lacks std_error, low, high", ""),
        (lambda data: 1.0, "ValueError: a float is neither a dict, nor has it tidy(), or", ""),
        (lambda data: Rows("a", "b"), "ValueError: tidy() has several rows, and not one of", ""),
        (lambda data: Rows("closed", "b"), "", ""),
    ],
    ids=["warns", "raises", "no width", "reversed", "no ends", "a number", "rows", "closed"],
)
def test_what_a_tool_says_is_kept(fit, refused, warned, monkeypatch):
    monkeypatch.setattr(rivals, "answer", fit, raising=False)
    found = Tool("tool", "a tool", "statsmodels", 1, "log", "answer(data)").run(pd.DataFrame())
    assert found["refused"].startswith(refused)
    assert bool(found["refused"]) == bool(refused)
    assert found["warned"] == warned
    assert set(found) == {*KEYS, "pretrend", "refused", "warned", "seconds"}


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("truth", "total", "Cannot judge feols of .*mine.csv: truth is 'total'; use log or ratio"),
        ("library", "nosuchlib", "Cannot call feols of .*mine.csv: nosuchlib is not installed"),
    ],
)
def test_a_table_with_a_tool_that_cannot_be_judged_is_refused(column, value, says, tmp_path):
    rows = pd.read_csv(rivals.TABLE).query("name == 'feols'").assign(**{column: value})
    rows.to_csv(tmp_path / "mine.csv", index=False)
    with pytest.raises(ValueError, match=says):
        rivals.tools(tmp_path / "mine.csv")


def test_memory_is_read_whatever_a_library_prints(tmp_path):
    printing = "(print('a word of mine'), dict.fromkeys(KEYS, 1.0))[1]"
    rows = pd.read_csv(rivals.TABLE).query("name == 'conley_taber'").assign(call=printing)
    rows.to_csv(tmp_path / "mine.csv", index=False)
    assert 10 < benchmark.peak("conley_taber", tmp_path / "mine.csv") < 1000


# --- measures
# ----------------------------------------

TRUE = -1.5


def fits(tool="ours_log", cell="nine", **changes):
    """Return four panels of one tool: two hold the truth, one misses it by 2, one is refused."""
    rows = pd.DataFrame(
        {
            "low": [-3.0, -2.0, 0.5, np.nan],
            "high": [-1.0, 2.0, 2.5, np.nan],
            "estimate": [-2.0, 0.0, 1.5, np.nan],
            "pretrend": [0.01, 0.2, 0.04, np.nan],
            "refused": ["", "", "", "too few"],
            "warned": ["", "odd", "", ""],
            "oracle": [-1.0, 1.0, -1.0, 1.0],
        }
    )
    about = {"cell": cell, "tool": tool, "std_error": 1.0, "truth": TRUE, "seed": range(1, 5)}
    return rows.assign(**about | changes)


def test_a_summary_counts_what_was_held_said_and_refused():
    row = measures.summarise(fits(), TOOLS).iloc[0]
    length = 2 * 1.959963985 * np.std([-1, 1, -1, 1], ddof=1)
    assert (row["coverage"], row["coverage_mc"]) == pytest.approx((2 / 3, np.sqrt(2 / 9 / 3)))
    assert row["width"] == pytest.approx(2 / length)
    assert row["score"] == pytest.approx((2 + 4 + 2 + 40 * 2) / 3 / length)
    assert row["bias"] == pytest.approx((-0.5 + 1.5 + 3) / 3)
    assert (row["power"], row["pretrend"]) == (0.5, pytest.approx(2 / 3))
    assert (row["refused"], row["warned"], row["says"], row["draws"]) == (0.25, 0.25, "odd", 4)
    assert row["refused_mc"] == pytest.approx(np.sqrt(0.25 * 0.75 / 4))
    assert (row["cell"], row["tool"], row["ours"], row["effect"]) == (
        "nine",
        "ours_log",
        True,
        TRUE,
    )


def panels(tool, cell, estimate, half, many=400):
    """Return panels in which estimates are as given, and truth is zero."""
    estimate = np.broadcast_to(estimate, many)
    ends = {"low": estimate - half, "high": estimate + half, "estimate": estimate}
    rows = pd.DataFrame(ends | {"pretrend": np.nan, "refused": "", "warned": ""})
    oracle = np.random.default_rng(2).normal(size=many)
    about = {"cell": cell, "tool": tool, "std_error": half / 2, "seed": range(1, many + 1)}
    return rows.assign(**about, truth=0.0, oracle=oracle)


def test_power_at_size_takes_the_critical_value_from_the_null_cell():
    null = np.random.default_rng(3).normal(size=400)
    rows = pd.concat(
        [panels("feols", "nine_null", null, 0.1), panels("feols", "nine", null + 2, 0.1)]
    )
    table = measures.summarise(rows, TOOLS).set_index("cell")
    least = np.quantile(np.abs(null), 0.95)
    assert table["power_at_size"]["nine"] == pytest.approx((np.abs(null + 2) > least).mean())
    assert 0.01 < table["power_at_size_mc"]["nine"] < 0.1
    assert table["power"]["nine"] > table["power_at_size"]["nine"]  # its own test rejects too often
    assert np.isnan(table["power_at_size"]["nine_null"])
    assert np.isnan(measures.summarise(fits(), TOOLS)["power_at_size"][0])


def test_the_best_rival_has_the_smallest_score_of_those_that_hold_the_truth_often_enough():
    error = np.random.default_rng(4).normal(size=400)
    rows = [
        panels("feols", "nine", error, 0.5),  # short, and wrong too often
        panels("feols_crv3", "nine", error, 2.2),
        panels("wild", "nine", error, 3.0),
        panels("ours_log", "nine", error, 2.1),
        panels("sun_abraham", "nine", error[:50], 2.0, 50),  # too few panels
        panels("fepois", "nine", error, 2.0),  # of totals
    ]
    table = measures.summarise(pd.concat(rows), TOOLS).set_index("tool")
    assert table.index[table["best_rival"]].tolist() == ["feols_crv3", "fepois"]
    assert table["score_ratio"]["feols_crv3"] == 1
    scores = [2 * half + 40 * (np.abs(error) - half).clip(0) for half in (2.1, 2.2)]
    ratio = scores[0].mean() / scores[1].mean()
    again = np.random.default_rng(5).integers(400, size=(2000, 400))
    drawn = scores[0][again].mean(axis=1) / scores[1][again].mean(axis=1)
    ours = table.loc["ours_log"]
    assert ours["score_ratio"] == pytest.approx(ratio)
    half = (ours["score_ratio_high"] - ours["score_ratio_low"]) / 2
    assert half == pytest.approx(1.96 * drawn.std(), rel=0.15)


# --- the command, and the page for those who add a rival
# ----------------------------------------


def test_a_rival_is_added_by_what_the_page_says_alone(tmp_path):
    blocks = dict(
        re.findall(r"```(csv|console)\n(.*?)```", README.split("## Add a rival")[1], re.DOTALL)
    )
    (tmp_path / "mine.csv").write_text(blocks["csv"], encoding="utf-8")
    for line in blocks["console"].splitlines():
        python, *command = shlex.split(line.removeprefix("$ "))
        assert python == "python"
        command = [str(FOLDER / word) if word == "benchmark.py" else word for word in command]
        run = [sys.executable, *command]
        shown = subprocess.run(run, check=True, cwd=tmp_path, capture_output=True, text=True).stdout
    assert "feols_hetero" in shown
    (line,) = csv.DictReader(StringIO(blocks["csv"]))
    (row,) = pd.read_parquet(tmp_path / "mine" / "results.parquet").to_dict("records")
    assert {key: row[key] for key in ("label", "library", "truth", "call")} == {
        key: line[key] for key in ("label", "library", "truth", "call")
    }
    assert (row["cell"], row["tool"], row["draws"]) == ("five", line["name"], 2)
    assert row["refused"] == 0 < row["width"]


def test_fits_are_kept_and_only_those_that_changed_are_made_again(tmp_path, monkeypatch):
    class Here:
        map = staticmethod(map)

    made = []
    fit = benchmark.fitted
    monkeypatch.setattr(benchmark, "fitted", lambda *work: made.append(work[1:]) or fit(*work))
    known = {name: TOOLS[name] for name in ("ours_log", "feols_crv3")}
    known["feols_crv3"] = replace(known["feols_crv3"], draws=2)
    first = benchmark.all_fits(["five"], known, 3, Here, tmp_path)
    assert [(seed, len(tools)) for seed, tools in made] == [(1, 2), (2, 2), (3, 1)]
    made.clear()
    again = benchmark.all_fits(["five"], known, 3, Here, tmp_path)
    pd.testing.assert_frame_equal(first, again)
    assert not made
    known["ours_log"] = replace(known["ours_log"], call=f"({known['ours_log'].call})")
    benchmark.all_fits(["five"], known, 4, Here, tmp_path)
    assert [[tool.name for tool in tools] for _, tools in made] == [["ours_log"]] * 4
    made.clear()
    benchmark.forget(["feols_crv3"], tmp_path)
    final = benchmark.all_fits(["five"], known, 4, Here, tmp_path)
    assert [seed for seed, _ in made] == [1, 2]
    columns = ["seed", "tool", "low"]
    pd.testing.assert_frame_equal(final[columns].head(3), first[columns].head(3))


def test_the_page_names_every_column_and_cell():
    table = measures.summarise(fits(), TOOLS)
    named = {*re.findall(r"`(\w+)`", README)}
    assert {name for name in table if not name.endswith("_mc")} <= named
    families = {re.sub(r"_(growing|null)$", "", name) for name in CELLS}
    assert families <= named


# --- reduced cases and results
# ----------------------------------------


@pytest.mark.parametrize("estimator", ["ImputationDiD", "SunAbraham"])
def test_intervals_from_cohorts_of_one_unit_are_too_short(estimator):
    assert reduced.held(estimator, treated=4, panels=40) < 0.6
    assert reduced.held(estimator, treated=20, panels=40) > 0.85


def test_a_test_of_parallel_paths_rejects_noise_with_few_treated_units():
    assert reduced.rejects(treated=4, panels=20) > 0.8
    assert reduced.rejects(treated=20, panels=40) < 0.4


def test_local_projections_leave_out_later_waves_unless_told_their_months():
    assert reduced.pooled() == pytest.approx(1.0)
    assert reduced.pooled(post_window=2) == pytest.approx(2.0)


def test_the_results_are_whole_and_of_the_tools_as_they_are():
    data.verified("benchmark")
    table = pd.read_parquet(data.DATA / data.card("benchmark")["path"])
    assert [*zip(table["cell"], table["tool"], strict=True)] == [
        (cell, tool) for cell in CELLS for tool in TOOLS
    ]
    assert [*zip(table["label"], table["call"], table["draws"], strict=True)] == [
        (TOOLS[name].label, TOOLS[name].call, TOOLS[name].draws) for name in table["tool"]
    ]
    assert table["coverage"].dropna().between(0, 1).all()
    assert (table.groupby(["cell", "truth"])["best_rival"].sum() <= 1).all()


# --- the ranking of the report
# ----------------------------------------


def test_estimators_right_often_enough_come_first_by_score_then_the_others_by_coverage():
    rows = pd.DataFrame(
        {
            "tool": ["a", "b", "c", "d"],
            "enough": [False, True, True, False],
            "score": [0.1, 2.0, 1.0, 0.2],
            "coverage": [50.0, 92.0, 99.0, 60.0],
        }
    )
    assert [*ranking.ranked(rows).index] == ["c", "b", "d", "a"]


def test_the_choice_is_the_first_on_logs_with_enough_panels_and_ours_beside_it():
    about = ["tool", "ours", "truth", "draws", "enough", "score", "score_ratio", "coverage"]
    rows = pd.DataFrame(
        [
            ("quick", False, "log", 1000, True, 1.0, 1.0, 95.0),
            ("slow", False, "log", 20, True, 0.5, 0.5, 95.0),
            ("totals", False, "ratio", 1000, True, 0.5, 1.0, 95.0),
            ("short", False, "log", 1000, False, 0.5, 0.5, 60.0),
            ("own", True, "log", 1000, True, 1.2, 1.2, 96.0),
            ("own_longer", True, "log", 1000, True, 1.4, 1.4, 97.0),
        ],
        columns=about,
    )
    ends = {"score_ratio_low": 0.9, "score_ratio_high": 1.5, "label": rows["tool"]}
    (row,) = ranking.chosen(rows.assign(cell="nine", **ends)).to_dict("records")
    assert (row["tool"], row["label_ours"], row["score_ratio_ours"]) == ("quick", "own", 1.2)


def test_the_results_of_the_report_are_in_per_cent_and_say_what_is_enough():
    rows = ranking.results()
    assert sorted(rows["brands"].dropna().unique()) == [1, 2, 5, 9, 19]
    assert (rows["level"] == 95).all()
    refused = rows["refused"] >= 8
    assert (rows["enough"] == (rows["coverage"] >= 92) & ~refused).all()
    assert rows["enough"].any()


def test_the_cost_of_a_fit_is_in_milliseconds():
    rows = ranking.ranked(ranking.results().query("brands == 9"))
    shown = ranking.with_costs(rows)
    assert (shown.index == rows.index).all()
    assert 1 < shown.loc["ours_log", "milliseconds"] < 1000
