"""A parameter that is a list: a report of each value, and one table with all of them."""

import dataclasses
import shutil

import pandas as pd
import pytest
from desk import AS_OF, Desk
from fewtreated.errors import DesignError

from analysis.exhibits.payload import COLUMNS, as_exported
from analysis.provenance import ROOT
from runner import exports, publish, schedule, site
from runner.schedule import Job

BRIEF = "  - {name: 00_brief, notebook: 00_brief.ipynb}\n"


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path / "project")
    desk.furnish()
    return desk


def planned(desk, parameters, name="01_first", more="", notebook="01_first"):
    text = (
        f"reports:\n{BRIEF}  - {{name: {name}, notebook: {notebook}.ipynb, parameters:"
        f" {parameters}{more}}}\n"
    )
    (desk.reports / "schedule.yml").write_text(text)
    return schedule.read_jobs(desk.root)


def test_a_list_makes_a_report_of_each_value_in_its_order_and_the_brief_stays_last(desk):
    found = planned(desk, "{count: [4, 2], note: x}")
    assert [job.name for job in found] == ["01_first__count-4", "01_first__count-2", "00_brief"]
    assert [dict(job.parameters) for job in found[:2]] == [
        {"count": "4", "note": "x"},
        {"count": "2", "note": "x"},
    ]
    assert [(job.sweep, dict(job.swept)) for job in found[:2]] == [
        ("01_first", {"count": value}) for value in "42"
    ]


def test_two_lists_make_a_report_of_each_combination(desk):
    names = [job.name for job in planned(desk, "{count: [1, 2], share: [0.5, 1]}")][:-1]
    assert names == [
        f"01_first__count-{count}__share-{share}" for count in (1, 2) for share in ("0-5", "1")
    ]


def test_a_list_of_one_is_that_value(desk):
    job, _ = planned(desk, "{count: [4]}")
    assert (job.name, dict(job.parameters), job.sweep) == ("01_first", {"count": "4"}, "")


def test_a_value_of_which_no_name_can_be_made_is_still_told_from_others(desk):
    found = planned(desk, "{share: [-0.5, 0.5], note: ['a b/c d.csv', 'Größe: 1/2']}")
    named = {
        f"share-{share}__note-{note}" for share in ("minus-0-5", "0-5") for note in ("c-d", "2")
    }
    assert {job.name.partition("__")[2] for job in found[:-1]} == named


@pytest.mark.parametrize(
    "values", ["[a, a]", "[a, A]", "['a b', 'a-b']", "[x/a.csv, y/a.csv]", "['!', '?!']"]
)
def test_two_values_with_one_name_are_refused(desk, values):
    with pytest.raises(
        DesignError, match=r"01_first: 2 reports are named 01_first__note-.*; use diff"
    ):
        planned(desk, f"{{note: {values}}}")


def test_a_report_that_reads_verdicts_is_one(desk):
    with pytest.raises(
        DesignError, match="04_first: it reads the verdicts of the other reports, so it cannot be"
    ):
        planned(desk, "{failed: [a, b]}", name="04_first", notebook="00_brief")


def test_a_value_that_is_not_allowed_is_refused_with_the_name_of_its_report(desk):
    with pytest.raises(DesignError, match="Report 01_first__count-99: Parameter count: found '99'"):
        schedule.settled(planned(desk, "{count: [1, 99]}"), {}, AS_OF)


def test_a_sweep_is_chosen_by_its_name_its_number_or_one_of_its_reports(desk):
    jobs = planned(desk, "{count: [1, 2]}")
    for name, chosen in (
        ("01_first", ["1", "2"]),
        ("01", ["1", "2"]),
        ("01_first__count-2", ["2"]),
    ):
        assert [job.parameters["count"] for job in schedule.select(jobs, [name])] == chosen


def test_what_a_sweep_varies_is_not_set_from_the_command_line(desk):
    jobs = planned(desk, "{count: [1, 2]}")
    assert [
        job.parameters["share"] for job in schedule.settled(jobs[:2], {"share": "0.1"}, AS_OF)
    ] == [0.1, 0.1]
    with pytest.raises(
        DesignError,
        match="Parameter count: 01_first lists its values in the schedule; edit that list",
    ):
        schedule.settled(jobs, {"count": "3"}, AS_OF)


def test_others_refer_to_a_report_of_its_own_before_one_of_a_sweep():
    jobs = [Job("05_a__seed-1", ROOT, {}, sweep="05_a", swept={"seed": "1"}), Job("05_b", ROOT, {})]
    assert schedule.beside(jobs) == {"05": "05_b"}
    jobs.insert(0, Job("simulated/05_c", ROOT, {}, market="m"))
    assert schedule.beside(jobs) == {"05": "05_b", "simulated/05": "simulated/05_c"}


def test_one_panel_belongs_to_the_command_line_and_several_are_a_sweep(desk):
    with pytest.raises(
        DesignError, match="01_first: panel_path was given as a parameter, but the runner sets it"
    ):
        planned(desk, "{panel_path: a.csv}")
    found = planned(
        desk, "{panel_path: [panels/a.csv, panels/b.csv], panel_map: panels/our.map.yml}"
    )[:2]
    assert [job.name for job in found] == ["01_first__panel_path-a", "01_first__panel_path-b"]
    here = desk.root / "panels"
    assert [job.files for job in found] == [
        (here / f"{one}.csv", here / "our.map.yml") for one in "ab"
    ]
    assert [job.parameters["panel_path"] for job in found] == [
        str(here / "a.csv"),
        str(here / "b.csv"),
    ]
    assert [dict(job.swept) for job in found] == [{"panel_path": "a.csv"}, {"panel_path": "b.csv"}]


def test_a_sweep_over_simulated_panels_is_simulated_by_what_they_say():
    panels = {
        "panel_path": ["data/examples/wide.csv"] * 2,
        "panel_map": ["data/examples/wide.map.yml"],
    }
    job = Job(
        "panel_03_growth__a",
        ROOT / "notebooks" / "panel" / "03_growth.ipynb",
        {},
        sweep="panel_03_growth",
    )
    job = dataclasses.replace(
        job, parameters={name: str(ROOT / files[0]) for name, files in panels.items()}
    )
    with pytest.raises(
        DesignError, match="a name begins with simulated/ if and only if the numbers are simulated"
    ):
        schedule.settled([job], {}, AS_OF)
    (found,) = schedule.settled([dataclasses.replace(job, name=f"simulated/{job.name}")], {}, AS_OF)
    assert found.market


def test_on_a_panel_of_ones_own_a_sweep_over_markets_is_one_report(tmp_path):
    for folder in ("notebooks", "reports"):
        shutil.copytree(
            ROOT / folder,
            tmp_path / folder,
            ignore=shutil.ignore_patterns("20*", "latest", "*.otf"),
        )
    file = tmp_path / "reports" / "schedule.yml"
    entry = "notebook: panel/03_growth.ipynb"
    file.write_text(
        file.read_text().replace(
            entry, f"{entry}\n    timeout: 90\n    parameters: {{seed: [1, 2, 3]}}"
        )
    )
    jobs = schedule.read_jobs(tmp_path)
    assert sum(job.sweep == "simulated/panel_03_growth" for job in jobs) == 3
    own = schedule.own_panel(ROOT / "data" / "examples" / "wide.csv")
    assert [
        job.plan.timeout
        for job in schedule.on_panel(jobs, own, {})
        if "panel_03_growth" in job.name
    ] == [90]


def test_the_limit_of_the_schedule_is_the_one_that_the_page_says(desk):
    assert (
        "stale_after_days" not in planned(desk, "{count: 1}", more=", fresh_days: 90")[0].parameters
    )
    desk.write("01_first", parameters=LIMITED)
    found = planned(
        desk,
        "{count: 1}",
        more=", fresh_days: 90, every: monthly on 1, waits_for: [data/figures.csv]",
    )[0]
    assert found.parameters["stale_after_days"] == "90"
    assert (found.plan.fresh_days, found.plan.every) == (90, "monthly on 1")
    assert found.plan.waits_for == ("data/figures.csv",)


LIMITED = 'as_of: str = "2026-11-01"\ncount: int = 3\nstale_after_days: int = 400\n'


# The table


def one(name, value):
    return Job(name, ROOT, {}, sweep="simulated/05_a", swept={"seed": value})


def estimates(name, **rows):
    table = {
        "report": name,
        "unit": "percentage points",
        "market": "medium closures, seed 1",
        **rows,
    }
    return as_exported(pd.DataFrame(table).reindex(columns=[*COLUMNS]))


def make(folder, name, **rows):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / f"{name}.pdf").write_text("%PDF")
    if rows:
        estimates(name, **rows).to_parquet(folder / f"{name}.estimates.parquet", index=False)


@pytest.fixture
def compared(tmp_path):
    label = ["C01 V2: Growth was not lower", "C01 V3: <script>", "as seen"]
    numbers = {
        "label": label,
        "table": [0, 0, 1],
        "estimate": [-2.25, None, 7],
        "conf_low": [-4, 1.5, None],
    }
    first = {
        **numbers,
        "conf_high": [1.5, 2, None],
        "estimand": ["E3g", "", "E3g"],
        "truth": [None, None, -3],
    }
    make(tmp_path, "simulated/05_a__seed-1", **first)
    make(tmp_path, "simulated/05_a__seed-2", **numbers, conf_high=[2.5, 3, None])
    make(tmp_path, "simulated/05_a__seed-3")
    jobs = [one(f"simulated/05_a__seed-{seed}", seed) for seed in "1234"]  # the last has failed
    verdict = {"claim": "C01", "reading": "V2", "word": "Not shown"}
    made = exports.compare(
        tmp_path, [*jobs, Job("05_b", ROOT, {})], {"simulated/05_a__seed-1": [verdict]}
    )
    assert made == [tmp_path / "simulated/05_a.comparison.csv"]
    return tmp_path


def html(folder):
    """The section of a page that shows the sweeps of a folder, as the page fills it in."""
    sweeps = [site._sweep(folder, file) for file in sorted(folder.rglob(f"*{exports.COMPARISON}"))]
    return publish.rendered("sweep.html.j2", sweeps=sweeps)


def test_a_table_has_every_estimate_of_a_sweep_beside_what_differs_and_the_word(compared):
    rows = pd.read_csv(compared / "simulated/05_a.comparison.csv", keep_default_na=False)
    assert [*rows.columns] == ["seed", *COLUMNS, "word"]
    assert rows["seed"].to_list() == [1, 1, 1, 2, 2, 2, 3]
    assert rows["word"].to_list() == ["Not shown", *[""] * 6]
    assert rows["report"].iloc[-1] == "simulated/05_a__seed-3"


def test_the_page_shows_the_answers_side_by_side_and_is_stamped(compared):
    page = html(compared)
    assert "simulated/05_a, by seed" in page
    assert page.count('<p class="stamp">Simulated</p>') == 1
    first = page[page.index("C01 V2") : page.index("C01 V3")]
    assert first.count("<tr>") == 3
    assert (
        '<a href="simulated/05_a__seed-1.pdf">1</a></th><td>−2.3</td><td>−4.0 to +1.5</td>' in first
    )
    assert (
        "<td>−4.0 to +1.5</td><td>−3.0</td><td>percentage points</td><td>would be not shown</td>"
        in first
    )
    assert "as seen" not in page
    assert '<a href="simulated/05_a__seed-3.pdf">3</a>' in page
    assert "<script>" not in page
    assert 'href="simulated/05_a.comparison.csv"' in page


def test_without_a_sweep_there_is_no_table_and_nothing_on_the_page(tmp_path):
    make(tmp_path, "05_b", label=["x"], table=[0], estimate=[1.0])
    assert exports.compare(tmp_path, [Job("05_b", ROOT, {})], {}) == []
    assert html(tmp_path).strip() == ""
