import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fewtreated.errors import DesignError
from reading import read_json
from ruamel.yaml import YAML
from small import SMALL, small

import market as market_package
from analysis import data
from analysis.panel import read_panel
from analysis.provenance import ROOT
from analysis.simulated import closures
from benchmarks import solve
from market import export, simulate
from market.parameters import PRESETS, WAVES, Parameters, chosen, describe, plausible
from market.population import Nests
from market.worlds import CHANNELS, LATE, WORLDS, Market, at_work, intervene, run, untouched
from runner import cli as front_desk

REFUSED = YAML(typ="safe").load(ROOT / "tests" / "cases" / "market" / "refusals.yml")
STRENGTHS = {
    "closure": {"bite": 0.0},
    "relocation": {"enter": 0.0, "effort": 0.0, "follow": 0.0},
    "chilling": {"chill": 0.0},
    "hedging": {"hedge": 0.0, "deter": 0.0},
    "trust": {"trust": 0.0},
}


@pytest.fixture(scope="module")
def truth():
    return small(trust=0.05)[1]


def whole(market, channels):
    """Run a world from its first month instead of from the end of the shared history."""
    plan = intervene(market, at_work(channels), market.closures)
    news = market.news
    before = untouched(market, plan.start, 0, news)
    early = {
        "home": before.home,
        "effort": 1.0,
        "following": 0.0,
        "hazard": 0.0,
        "trust": before.trust,
    }
    months = {
        name: np.concatenate(
            [np.broadcast_to(value, (news, *getattr(plan, name).shape[1:])), getattr(plan, name)]
        )
        for name, value in early.items()
    }
    return run(market, replace(plan, first=0, **months), np.ones(len(market.firms), dtype=bool))


# worlds


@pytest.mark.parametrize("lead", [0, 2])
@pytest.mark.parametrize("world", WORLDS)
def test_worlds_are_equal_to_the_bit_before_the_first_closure_or_news(world, lead):
    market = Market.open("chill", chosen("chill", SMALL | {"news_lead": lead}), seed=2)
    course = whole(market, WORLDS[world])
    assert market.news == 28 - lead
    assert np.array_equal(course.sales[: market.news], market.history.sales)
    assert np.array_equal(course.sales[market.news :], market.go_on(WORLDS[world]).sales)


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_channel_of_zero_strength_changes_nothing_to_the_bit(channel):
    truth = small(**STRENGTHS[channel])[1]
    assert np.array_equal(truth.sales("W11"), truth.sales(f"no_{channel}"))
    assert np.array_equal(truth.course("W11").outside, truth.course(f"no_{channel}").outside)


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_channel_of_some_strength_changes_something(truth, channel):
    assert not np.array_equal(truth.sales("W11"), truth.sales(f"no_{channel}"))


def test_sham_closures_change_nothing_and_are_dated():
    panel, truth = small("null")
    assert panel.firms["closed_on"].notna().sum() > 10
    for world in WORLDS:
        assert np.array_equal(truth.sales(world), truth.sales("W00"))
    assert truth.scalars()["E1a"] == 0.0
    assert np.isnan(truth.scalars()["E4a_EBY"])  # nothing was lost, so it went nowhere


def test_channels_do_not_move_the_random_numbers_of_others():
    plain, other = (
        Market.open("x", chosen(preset, {"n_firms": 600}), 3) for preset in ("mid_3k", "chill")
    )
    assert np.array_equal(plain.history.sales, other.history.sales)


@pytest.mark.parametrize("world", ["W11", "W00", "W10n"])
def test_sales_and_the_outside_good_add_up_to_spending(truth, world):
    market = truth.market
    inside = market.firms.nests.totals(truth.sales(world).sum(axis=1).T)
    outside = np.concatenate([market.history.outside, truth.course(world).outside])
    np.testing.assert_allclose(inside + outside, market.environment.spending, rtol=1e-12)


def test_worlds_do_not_depend_on_when_they_are_asked_for():
    early, late = (simulate("mid_3k", 1, **SMALL)[1] for _ in range(2))
    early.course("W00"), late.course("W10")
    early.course("W10"), late.course("W00")
    assert np.array_equal(early.sales("W00"), late.sales("W00"))


def test_nested_demand_has_its_closed_form():
    nests = Nests(np.array([0, 0]), np.array([0]), np.array([[0.5], [0.0]]))
    utility = np.array([[1.0, 0.4], [0.3, -np.inf]])
    sales, outside = nests.sales(
        np.exp(utility / (1 - nests.sigma)), np.array([[0.2], [0.0]]), np.array([100.0])
    )
    inclusive = 0.5 * np.log(np.exp(2.0) + np.exp(0.8)) + 0.2
    denominator = 1 + np.exp(inclusive) + np.exp(0.3)
    within = np.exp(2.0) / (np.exp(2.0) + np.exp(0.8))
    np.testing.assert_allclose(outside, 100 / denominator)
    np.testing.assert_allclose(sales[0, 0], 100 * within * np.exp(inclusive) / denominator)
    np.testing.assert_allclose(sales[1], [100 * np.exp(0.3) / denominator, 0.0])


@pytest.mark.parametrize("name", sorted(LATE))
def test_a_market_changed_from_the_closures_on_is_the_one_drawn_anew(truth, name):
    changed = truth.market.changed(**{name: plausible(name)[0]})
    anew = Market.open("mid_3k", changed.parameters, truth.market.seed)
    assert changed.history is truth.market.history
    assert np.array_equal(changed.history.sales, anew.history.sales)
    for world in ("W11", "W00"):
        assert np.array_equal(changed.go_on(WORLDS[world]).sales, anew.go_on(WORLDS[world]).sales)


def test_a_market_changed_from_the_start_has_another_history(truth):
    changed = truth.market.changed(sigma=0.5)
    assert not np.array_equal(changed.history.sales, truth.market.history.sales)
    assert changed.parameters.closed_gmv == SMALL["closed_gmv"]


# confounders


@pytest.mark.parametrize(("name", "value"), [("restock", 0.3), ("review_case", 0.5)])
def test_a_confounder_is_the_same_in_every_world_and_moves_no_other_random_number(
    truth, name, value
):
    plain = truth.market
    hit = small(trust=0.05, **{name: value})[1].market
    assert np.array_equal(plain.history.sales, hit.history.sales)
    for stored in plain.firms.drawn:
        assert np.array_equal(plain.firms.drawn[stored], hit.firms.drawn[stored])
    assert np.array_equal(plain.closures.month, hit.closures.month)
    for channels in WORLDS.values():
        plans = [intervene(market, at_work(channels), market.closures) for market in (plain, hit)]
        assert np.array_equal(plans[0].trust, plans[1].trust)  # nobody trusts Amazon more for it
        assert np.array_equal(plans[0].start, plans[1].start)
        assert not np.array_equal(plain.go_on(channels).sales, hit.go_on(channels).sales)
    assert np.array_equal(small(trust=0.05, **{name: 0.0})[1].sales("W11"), truth.sales("W11"))


def test_restock_limits_cost_amazon_most_where_goods_are_stored_there(truth):
    hit = small(trust=0.05, restock=0.3)[1]
    firms = truth.market.firms
    before, after = (firms.nests.totals(who.sales("W00")[:, :, 28].T) for who in (truth, hit))
    change = np.log(after[0] / before[0])
    assert (change < 0).all()
    assert np.corrcoef(change, firms.bulk)[0, 1] > 0.9  # bulky goods are not
    assert (after[1:] >= before[1:]).all()  # some of it is bought elsewhere


def test_a_review_case_hits_cheaters_whoever_is_closed_and_from_july(truth):
    hit = small(trust=0.05, review_case=0.5)[1]
    cheater = truth.firms["cheater"].to_numpy()
    for world in ("W00", "W11"):
        before, after = (who.sales(world)[:, 0] for who in (truth, hit))
        assert np.array_equal(before[:, :30], after[:, :30])
        assert after[cheater, 30].sum() < before[cheater, 30].sum()
        assert after[~cheater, 30].sum() > before[~cheater, 30].sum()


# closures


def test_waves_come_in_their_months_and_the_big_first(ceiling):
    month = ceiling[1].closed_month
    size = ceiling[1].market.firms.size
    assert set(month[np.isfinite(month)].astype(int)) == set(WAVES)
    assert size[month == WAVES[0]].mean() > size[month == WAVES[-1]].mean()


def test_a_brand_group_is_closed_as_a_whole_and_at_once(ceiling):
    truth = ceiling[1]
    selling = truth.sales("W11")[:, 0, 27] > 0
    months = truth.firms[selling].groupby("brand_group")["closed_month"]
    assert (months.max() == months.min()).all()
    assert (months.size()[np.isfinite(months.first())] > 1).sum() > 5


def test_a_firm_closed_in_full_sells_nothing_on_the_home_platform():
    truth = small(evasion=0.0, partial=0.0)[1]
    home = truth.sales("W11")[truth.closed, 0]
    month = truth.closed_month[truth.closed].astype(int)
    assert (home[np.arange(len(home)), month - 1] > 0).all()
    assert not home[np.arange(42) >= month[:, np.newaxis]].any()


def test_the_dose_is_the_share_of_the_closed_accounts():
    market = small(partial=0.6)[1].market
    closures = market.closures
    partly = np.flatnonzero((closures.dose > 0) & (closures.dose < 1))
    assert len(partly) > 5
    held = np.cumsum(market.firms.account_shares, axis=1)[
        partly, closures.closed_accounts[partly] - 1
    ]
    np.testing.assert_allclose(closures.dose[partly], held)


@pytest.mark.parametrize("preset", ["floor_3k", "mid_3k", "ceiling_50k", "tail_50k"])
def test_a_preset_closes_its_share_of_chinese_sales(preset):
    market = Market.open(preset, chosen(preset), 1)
    year = market.history.sales[-12:, 0].sum(axis=0)
    share = year[market.closures.dose > 0].sum() / year[market.firms.chinese].sum()
    assert share == pytest.approx(chosen(preset).closed_gmv, rel=0.2)


def test_few_treated_closes_at_most_four_groups():
    firms = simulate("few_treated", 1)[0].firms
    assert 1 <= firms.loc[firms["closed_on"].notna(), "brand_group"].nunique() <= 4


def test_renamed_accounts_open_after_closure_and_sell():
    truth = small(evasion=1.0, reclosure=0.5)[1]
    firm = np.flatnonzero(np.isfinite(truth.firms["opened"]))
    opened = truth.firms["opened"].to_numpy()[firm].astype(int)
    assert len(firm)
    assert (opened > truth.closed_month[firm]).all()
    alive = np.concatenate([truth.market.history.alive, truth.course("W11").alive])
    assert np.array_equal(truth.sales("W11")[firm, 0, opened] > 0, alive[opened, firm])
    assert np.isfinite(truth.firms["closed_again"]).any()


def test_deterred_firms_do_not_come_in_by_another_platform():
    truth = small(deter=1.0, hedge=0.15)[1]
    firms = truth.firms
    late = ((firms["origin"] == "CN") & (firms["entry_month"] >= 28)).to_numpy()
    assert late.any()
    assert not truth.sales("W11")[late].any()
    assert truth.sales("W00")[late].any()


def test_exposure_of_truth_and_panel_agree():
    panel, truth = small(partial=0.0)
    rows = truth.firms.index.get_indexer(panel.firms.index)
    np.testing.assert_allclose(panel.exposure(base=slice(16, 28)), truth.exposure[rows], atol=1e-12)


# measurement


def test_the_plain_panel_is_what_happened():
    panel, truth = small()
    rows = truth.firms.index.get_indexer(panel.firms.index)
    assert np.array_equal(panel.sales, truth.sales("W11")[rows])
    assert panel.provenance == "simulated"
    assert panel.firms.index[0] == "SIM-0000"
    assert panel.firms.index.str.fullmatch(r"SIM-\d{4}").all()
    assert panel.dropped["count"].sum() == len(truth.firms) - len(panel.firms)


def test_accounts_add_up_to_their_firm():
    firms = small()[0]
    accounts = small(by_account=1)[0]
    parent = accounts.firms.index.str.extract(r"(SIM-\d+)-(?:\d+|R)$")[0]
    summed = pd.DataFrame(accounts.sales[:, 0]).groupby(parent.to_numpy()).sum()
    np.testing.assert_allclose(
        summed.loc[firms.firms.index], firms.sales[:, 0], rtol=1e-9, atol=1e-6
    )
    assert accounts.total().sum() == pytest.approx(firms.total().sum())
    assert len(accounts.firms) > 2 * len(firms.firms)
    assert set(accounts.firms["dose"].dropna()) == {1.0}


def test_an_unlinked_renamed_account_looks_like_a_newcomer():
    linked = small(evasion=1.0)[0]
    unlinked = small(evasion=1.0, unlinked=1.0)[0]
    renamed = unlinked.firms.index.str.endswith("-R")
    assert not linked.firms.index.str.endswith("-R").any()
    assert renamed.sum() > 10
    assert unlinked.sales.sum() == pytest.approx(linked.sales.sum())
    assert not unlinked.sales[renamed, :, :29].any()
    parents = unlinked.firms.index[renamed].str.removesuffix("-R")
    assert not set(unlinked.firms["brand_group"][renamed]) & set(
        unlinked.firms["brand_group"][parents]
    )
    assert unlinked.firms["risk"][renamed].isna().all()


def test_noise_blurs_without_bias_and_keeps_zeros():
    exact = small()[0]
    noisy = small(noise=0.3)[0]
    assert np.array_equal(exact.sales == 0, noisy.sales == 0)
    ratio = noisy.sales[exact.sales > 0] / exact.sales[exact.sales > 0]
    assert np.log(ratio).std() == pytest.approx(0.3, abs=0.01)
    assert ratio.mean() == pytest.approx(1, abs=4 * 0.31 / np.sqrt(len(ratio)))


def test_small_firms_and_uncovered_platforms_are_not_seen_and_the_first_are_counted():
    panel = small(top_n=100, covered=2)[0]
    assert panel.sales.shape[0] == 100
    assert np.isnan(panel.sales[:, 2:]).all()
    assert not np.isnan(panel.sales[:, :2]).any()
    everyone = small()[0]
    base = everyone.sales[:, 0][:, 16:28].sum(axis=1)
    assert set(panel.firms.index) == set(everyone.firms.index[np.argsort(-base)[:100]])
    assert panel.dropped["count"].iloc[-1] == len(everyone.firms) - 100


def test_a_break_of_the_perimeter_steps_one_series():
    plain = small()[0]
    broken = small(perimeter=-0.5)[0]
    np.testing.assert_allclose(broken.sales[:, 1][:, 27:], plain.sales[:, 1][:, 27:] / 2)
    assert np.array_equal(broken.sales[:, 0], plain.sales[:, 0])
    assert np.array_equal(broken.sales[:, 1][:, :27], plain.sales[:, 1][:, :27])


# parameters


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: str(case["given"]))
def test_what_cannot_be_simulated_is_refused(case):
    with pytest.raises(DesignError, match="^" + re.escape(case["message"])):
        simulate(**{"preset": "mid_3k", "seed": 1} | case["given"])


def test_every_parameter_lies_in_its_ranges():
    for row in describe():
        assert row["low"] <= row["default"] <= row["high"]
        if not np.isnan(row["plausible_low"]):
            assert (
                row["low"]
                <= row["plausible_low"]
                <= row["default"]
                <= row["plausible_high"]
                <= row["high"]
            )
    assert plausible("sigma") == (0.4, 0.8)
    with pytest.raises(
        DesignError, match=r"Cannot vary 'freight': it has no plausible range; choose from"
    ):
        plausible("freight")


def test_every_preset_has_a_name_of_its_own_in_words_and_the_share_that_it_fixes():
    names = {preset: closures(preset) for preset in PRESETS}
    assert len(set(names.values())) == len(PRESETS)
    assert not any(re.search(r"_|\dk", name) for name in names.values())
    for preset, name in names.items():
        shares = [
            float(share)
            for share in re.findall(r"\(([\d.]+) per cent of the origin's sales\)", name)
        ]
        assert shares == pytest.approx(
            [] if preset == "few_treated" else [100 * chosen(preset).closed_gmv]
        )
    with pytest.raises(
        DesignError, match="Cannot describe the closures of preset 'huge'; choose from null"
    ):
        closures("huge")


def test_threats_presets_and_solved_parameters_name_rows_of_the_tables():
    rows = data.load("market_parameters")
    assert sorted(rows["threat"].dropna()) == sorted(data.load("threats")["threat_id"])
    assert set(data.load("market_presets")["parameter"]) <= set(vars(Parameters()))
    assert set(rows["solved_for"].dropna()) <= set(data.load("market_targets")["moment"])


# calibration


def test_the_market_has_the_moments_it_was_solved_for():
    report = solve.held_against_targets("mid_3k", seed=1, markets=6).set_index("moment")
    assert len(report) == 25
    for moment in data.load("market_parameters")["solved_for"].dropna():
        row = report.loc[moment]
        assert abs(row["simulated"] - row["target"]) <= 1.5 * row["tolerance"], moment
    assert report["passed"].mean() > 0.75


def test_a_preset_is_held_against_what_it_closes():
    report = solve.held_against_targets("ceiling_50k", markets=1, closed_gmv=0.1).set_index(
        "moment"
    )
    row = report.loc["closed share of Chinese AMZ sales"]
    assert (row["target"], row["tolerance"]) == pytest.approx((0.1, 0.015))
    assert report.loc["closed share of Chinese accounts", "target"] == 0.05


def test_solving_reaches_its_moment_or_says_that_it_cannot():
    solved = solve.solve(markets=2, brackets={"boost": (0.02, 0.4)}, sweeps=1)
    found = solve.averages("mid_3k", 1, solved, 2)["cheaters' units, with against without fakes"]
    assert found == pytest.approx(0.272, abs=0.01)
    said = r"Cannot solve for boost such that cheaters' units, with against without fakes = 0\.272"
    with pytest.raises(DesignError, match=said):
        solve.solve(markets=1, brackets={"boost": (0.0, 0.001)})


# files


def test_simulate_writes_panel_and_truth(tmp_path, capsys):
    out = tmp_path / "new" / "market"
    arguments = ["simulate", "--preset", "mid_3k", "--seed", "1", "--out", str(out)]
    arguments += [word for name, value in SMALL.items() for word in ("-p", f"{name}={value}")]
    assert [front_desk.main(arguments), front_desk.main(arguments)] == [
        0,
        0,
    ]  # a market is replaced by a market
    assert capsys.readouterr().out.split() == [str(out)] * 2
    assert sorted(path.name for path in out.iterdir()) == sorted(market_package.FILES)
    assert [path.name for path in out.parent.iterdir()] == ["market"]

    answers = read_json(out / "truth.json")
    panel, truth = small()
    read = read_panel(out / "panel.parquet")
    assert read.doubts == ()
    assert read.provenance == answers["provenance"] == "simulated"
    assert read.digest == panel.digest == answers["panel_digest"]
    assert answers["scalars"]["E1a"] == truth.scalars()["E1a"]
    assert answers["mechanisms"] == truth.shapley()
    pd.testing.assert_frame_equal(pd.read_parquet(out / "firms.parquet"), truth.firms)


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(DesignError, match=r"it already contains thesis\.tex; choose a new folder"):
        export("mid_3k", 1, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_failed_write_leaves_the_old_market(tmp_path, monkeypatch):
    out = tmp_path / "market"
    export("mid_3k", 1, out, SMALL)
    before = (out / "truth.json").read_bytes()
    monkeypatch.setattr(
        market_package, "_described", lambda *_: (_ for _ in ()).throw(OSError("no space"))
    )
    with pytest.raises(OSError, match="no space"):
        export("mid_3k", 2, out, SMALL)
    assert (out / "truth.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["market"]
