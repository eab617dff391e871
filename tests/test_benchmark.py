"""The benchmark of estimators: its panels and their truth, how each tool is called, its measures,
and its results.
"""

import sys
from dataclasses import replace

import benchmark
import generator
import numpy as np
import pandas as pd
import pytest
import reduced
import rivals
from generator import BEFORE, CELLS, MONTHS, NEVER, WAVES, Drawn, Few
from rivals import TOOLS, Tool

from analysis import data
from analysis.provenance import ROOT
from market import ranking, simulate

pytestmark = pytest.mark.filterwarnings("ignore")  # the other libraries' own
QUIET = Few(6, firm_sd=0.0, brand_sd=0.0, category_sd=0.0, log_sd=0.5)
KEYS = ("estimate", "std_error", "low", "high")


def small(**changes):
    """Return three firms, of which the first is closed in month 20 and the second in month 22."""
    without = np.ones((3, MONTHS)) * np.array([[1.0], [3.0], [2.0]])
    firms = pd.DataFrame({"brand": [0, 1, 2], "category": 0, "first": [20, 22, NEVER], "hit": True})
    drawn = Drawn(without, without, firms, parallel=True)
    sales = np.where(drawn.after, [[0.5], [0.25], [1.0]], 1.0) * without
    return replace(drawn, **{"sales": sales} | changes)


# --- panels
# ----------------------------------------


def test_the_truth_is_the_mean_of_logs_and_the_log_of_totals_from_closure_on():
    truth = small().truth()
    assert truth["log"] == pytest.approx((4 * np.log(0.5) + 2 * np.log(0.25)) / 6)
    assert truth["ratio"] == pytest.approx(np.log((4 * 0.5 + 2 * 0.75) / (4 + 6)))
    assert truth["window"] == pytest.approx(
        np.log((2 * 0.5) / 2)
    )  # months 16 to 21, of the first firm alone


def test_the_oracle_compares_logs_without_closures_before_and_after():
    without = small().without.copy()
    without[0, 20:] *= np.e
    without[2, 22:] *= np.e**2
    # the first firm has gained 1, less 2 in half of its four months; the second 0, less 2
    assert small(without=without).oracle() == pytest.approx((1 - 1 + 0 - 2) / 2)


def test_the_table_numbers_months_from_one_and_has_no_word_of_what_would_have_been():
    table = small().long()
    assert set(table) == {
        "firm",
        "month",
        "sales",
        "log_sales",
        "brand",
        "category",
        "first",
        "closed",
    }
    assert (table["month"].min(), table["month"].max(), table["first"].unique().tolist()) == (
        1,
        MONTHS,
        [21, 23, NEVER],
    )
    assert table.groupby("firm")["closed"].sum().tolist() == [4, 2, 0]


@pytest.mark.parametrize("cell", CELLS)
def test_a_panel_is_balanced_sells_in_each_month_and_is_the_same_for_the_same_seed(cell):
    drawn = CELLS[cell](3003)
    again = CELLS[cell](3003)
    assert drawn.sales.tobytes() == again.sales.tobytes()
    assert drawn.sales.tobytes() != CELLS[cell](8).sales.tobytes()
    assert drawn.sales.shape == drawn.without.shape == (len(drawn.firms), MONTHS)
    assert (drawn.sales > 0).all()
    assert set(drawn.firms["first"]) <= {NEVER, *range(BEFORE, BEFORE + WAVES)}
    before = np.arange(MONTHS) < BEFORE
    if cell.startswith(("few", "plain", "heavy")):  # elsewhere some anticipate, and others gain
        gains = cell == "few_9_spillover"
        assert np.allclose(
            (drawn.sales / drawn.without - np.exp(0.1 * near(drawn) * gains))[~drawn.after], 0
        )
    assert np.allclose(drawn.sales[:, before], drawn.without[:, before]) or cell == "market_stress"
    low, high = (0.0, 0.2) if "rivals" in cell else (0, 0) if cell == "market_null" else (-9, -0.2)
    assert all(low <= effect <= high for effect in drawn.truth().values())


def near(drawn):
    """Return months of firms never closed in categories with closures, from the first wave on."""
    return np.outer(
        drawn.firms["hit"] & (drawn.firms["first"] == NEVER), np.arange(MONTHS) >= BEFORE
    )


def test_rivals_are_those_never_closed_and_treated_in_categories_with_closures():
    drawn = Few(9, spillover=0.1).draw(3)
    rivals = drawn.rivals()
    kept = (drawn.firms["first"] == NEVER).to_numpy()
    assert (rivals.sales == drawn.sales[kept]).all()
    assert (rivals.after == near(drawn)[kept]).all()
    assert rivals.firms["brand"].tolist() == drawn.firms["category"][kept].tolist()
    assert list(rivals.truth().values()) == pytest.approx([0.1] * 3)


def test_the_third_generator_has_the_brands_the_spread_and_the_shocks_that_it_says():
    many = [Few(9, log_sd=1.0).draw(seed) for seed in range(60)]
    closed = [drawn.firms[drawn.firms["first"] != NEVER] for drawn in many]
    shares = [rows["brand"].value_counts(normalize=True).get(0, 0.0) for rows in closed]
    assert np.mean(shares) == pytest.approx(0.4, abs=0.03)
    assert {rows["category"].max() for rows in closed} == {5}
    logs = [np.log(drawn.without) for drawn in many]
    assert np.mean([rows.mean(axis=1).std() for rows in logs]) == pytest.approx(1.0, abs=0.08)
    moved = np.concatenate([rows - rows.mean(axis=0) for rows in logs])
    firm = moved - moved.mean(axis=1, keepdims=True)
    lag = (firm[:, 1:] * firm[:, :-1]).mean() / (firm**2).mean()
    assert 0.7 < lag < 0.9  # 0.9, less what taking out means of two years costs


def test_a_cut_keeps_all_closed_firms_of_the_origin_that_sell_throughout():
    panel, truth = simulate("ceiling_50k", 3)
    drawn = CELLS["market_ceiling_50k"](3)
    total = panel.total()[:, generator.FIRST : generator.FIRST + MONTHS]
    shut = (
        np.isfinite(panel.first_treated(cut=0.5))
        & (panel.firms["origin"] == "CN")
        & (total > 0).all(axis=1)
    )
    without = truth.sales("W00")[truth.firms.index.get_indexer(panel.firms.index)].sum(axis=1)
    shut &= (without[:, generator.FIRST : generator.FIRST + MONTHS] > 0).all(axis=1)
    assert (drawn.firms["first"] != NEVER).sum() == shut.sum() > 10
    assert (drawn.firms["first"] == NEVER).sum() == 100


# --- tools
# ----------------------------------------


@pytest.mark.parametrize("name", TOOLS)
def test_every_tool_finds_the_effect_where_nothing_else_happens(name):
    drawn = QUIET.draw(5)
    sales = drawn.sales * np.exp(1e-6 * np.random.default_rng(0).normal(size=drawn.sales.shape))
    found = TOOLS[name].run(replace(drawn, sales=sales).long())
    assert found["estimate"] == pytest.approx(np.log(0.7), abs=1e-4), found["refused"]
    assert TOOLS[name].version.count(".") >= 1


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


def test_our_ratio_scale_and_logs_are_those_of_the_arrays():
    from fewtreated.estimators.att_gt import att_gt

    drawn = Few(9).draw(4)
    first = np.where(drawn.firms["first"] == NEVER, np.inf, drawn.firms["first"])
    for name, y, scale in (
        ("ours_log", np.log(drawn.sales), "level"),
        ("ours_ratio", drawn.sales, "ratio"),
    ):
        by_hand = att_gt(
            y, first, cluster=drawn.firms["brand"].to_numpy(), scale=scale, comparison="not_yet"
        )
        row = by_hand.aggregate("simple").rows.iloc[0]
        assert [TOOLS[name].fit(drawn.long())[key] for key in KEYS] == pytest.approx(
            [*row.iloc[1:5]]
        )


def told(data):
    import warnings

    warnings.warn("one firm only", UserWarning, stacklevel=1)
    warnings.warn("old name", FutureWarning, stacklevel=1)
    return {"estimate": 1.0, "std_error": 1.0, "low": 0.0, "high": 2.0}


def failing(data):
    raise ValueError("too few clusters")


@pytest.mark.parametrize(
    ("fit", "refused", "warned"),
    [
        (told, "", "one firm only"),
        (failing, "ValueError: too few clusters", ""),
        (lambda data: {"estimate": 1.0, "low": 1.0, "high": 1.0}, "no interval", ""),
        (lambda data: {"estimate": 1.0}, "no interval", ""),
    ],
    ids=["warns", "raises", "no width", "no ends"],
)
def test_what_a_tool_says_is_kept(fit, refused, warned, monkeypatch):
    monkeypatch.setattr(rivals, "answer", fit, raising=False)
    found = Tool("tool", "a tool", "statsmodels", 1, "log", "answer(data)").run(pd.DataFrame())
    assert (found["refused"], found["warned"]) == (refused, warned)
    assert set(found) == {*KEYS, "pretrend", "refused", "warned", "seconds"}


# --- measures
# ----------------------------------------


def by_hand():
    """Return four panels of one tool: two hold the truth, one misses it, one is refused."""
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
    about = {
        "preset": "few_9",
        "id": "ours_log",
        "label": "Ours",
        "unit": "log points",
        "level": 0.95,
    }
    return rows.assign(std_error=1.0, truth=-1.5, closed=9.0, parallel=True, seed=range(4), **about)


def test_a_summary_counts_what_was_held_said_and_refused():
    row = benchmark.summarise(by_hand()).iloc[0]
    assert row["coverage"] == pytest.approx(2 / 3)
    assert row["coverage_mc"] == pytest.approx(np.sqrt(2 / 9 / 3))
    assert row["width"] == pytest.approx(2.0 / (2 * 1.959964 * np.std([-1, 1, -1, 1], ddof=1)))
    assert (row["power"], row["pretrend"]) == (0.5, pytest.approx(2 / 3))
    assert (row["refused"], row["warned"], row["says"], row["draws"]) == (0.25, 0.25, "odd", 4)
    assert (row["cell"], row["tool"], row["library"], row["ours"]) == (
        "few_9",
        "ours_log",
        rivals.HERE,
        True,
    )
    assert row["bias"] == pytest.approx(1.5)  # the median of -0.5, 1.5 and 3


def test_the_size_of_a_test_is_not_stated_where_paths_are_not_parallel():
    assert np.isnan(benchmark.summarise(by_hand().assign(parallel=False))["pretrend"][0])


def test_the_command_writes_results_that_do_not_depend_on_the_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "peak", lambda name: 100.0)
    monkeypatch.setattr(
        benchmark, "TOOLS", {name: TOOLS[name] for name in ("ours_log", "ours_report", "feols")}
    )
    monkeypatch.setattr(rivals, "TOOLS", benchmark.TOOLS)
    monkeypatch.setattr(benchmark.executor, "opened", Here)
    for out in ("one", "two"):
        options = f"--cells few_5 heavy_9 --panels 4 --out {tmp_path}/{out} --workers 1"
        options += f" --parts {tmp_path}/p{out}"
        monkeypatch.setattr(sys, "argv", ["benchmark", *options.split()])
        benchmark.main()
    table, again = (pd.read_parquet(tmp_path / out / "results.parquet") for out in ("one", "two"))
    # sums on several threads differ in their last digits
    pd.testing.assert_frame_equal(table, again, rtol=1e-9)
    assert table.groupby("cell")["tool"].agg(list).to_dict() == {
        cell: [*benchmark.TOOLS] for cell in ("few_5", "heavy_9")
    }
    assert (pd.read_parquet(tmp_path / "one" / "costs.parquet")["mebibytes"] == 100).all()
    assert "few_5" in capsys.readouterr().out


class Here:
    """Work in this process, so that what is patched here is patched there."""

    def __init__(self, options):
        pass

    def __enter__(self):
        return 1

    def __exit__(self, *_):
        pass


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


def test_the_results_have_at_least_eight_rivals_in_twenty_cells():
    data.verified("benchmark")
    table = pd.read_parquet(data.DATA / data.card("benchmark")["path"])
    assert table[~table["ours"]]["tool"].nunique() >= 8
    assert table["cell"].unique().tolist() == [*CELLS]
    assert set(table["tool"]) == {*TOOLS}
    draws = table["draws"] / table["tool"].map(lambda name: TOOLS[name].draws)
    assert (draws <= 1).all()
    assert (
        draws[table["cell"].str.startswith("few")] == 1
    ).all()  # some markets have none whose sales go on
    assert (
        table[~table["ours"] & (table["draws"] == 300)].groupby("cell")["tool"].nunique().min() >= 8
    )
    assert table["coverage"].between(0, 1).all()
    labels = {name: (tool.label, tool.call, tool.version) for name, tool in TOOLS.items()}
    assert [*zip(table["label"], table["call"], table["version"], strict=True)] == [
        labels[name] for name in table["tool"]
    ]


# --- the ranking of the report
# ----------------------------------------


def test_estimators_right_often_enough_come_first_by_length_then_the_others_by_coverage():
    rows = pd.DataFrame(
        {
            "tool": ["a", "b", "c", "d"],
            "enough": [False, True, True, False],
            "width": [0.1, 2.0, 1.0, 0.2],
            "coverage": [50.0, 92.0, 99.0, 60.0],
        }
    )
    assert [*ranking.ranked(rows).index] == ["c", "b", "d", "a"]


def test_the_results_of_the_report_are_in_per_cent_and_say_what_is_enough():
    rows = ranking.results()
    assert sorted(rows["brands"].dropna().unique()) == [5, 9, 19, 99]
    assert (rows["cell"] == "few_" + rows["brands"].astype(str))[rows["brands"].notna()].all()
    assert (rows["level"] == 95).all()
    refused = rows["refused"] >= 8
    assert (rows["enough"] == (rows["coverage"] >= 92) & ~refused).all()
    assert rows["enough"].any()
    assert (~rows["enough"] & refused & (rows["coverage"] >= 92)).any()


def test_the_cost_of_a_fit_is_in_milliseconds():
    rows = ranking.ranked(ranking.results().query("brands == 9"))
    shown = ranking.with_costs(rows)
    assert (shown.index == rows.index).all()
    assert 1 < shown.loc["ours_log", "milliseconds"] < 1000
