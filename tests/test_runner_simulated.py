"""The runner where markets differ: simulated ones beside the real one, and a panel of one's own."""

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import stamps
from desk import AS_OF, BRIEF_PARAMETERS, SOURCES, WRITE_VERDICTS, Desk
from fewtreated.errors import DataError, DesignError
from reading import read_json
from test_release import ABOUT

from analysis.event import EVENTS
from analysis.provenance import ROOT
from runner import Exit, pdf, publish
from runner.cells import COUNTS
from runner.schedule import own_panel, read_jobs, select, settled

CLOSURES = (
    "medium closures (3 per cent of the origin's sales)"  # of the preset, as its name is shown
)
MARKET = f"{CLOSURES}, seed 1"
SIM = "simulated/panel_03_closed"
BOTH = "Real figures and estimates from them"
PARAMETERS, ON_PANEL, WRITE = (
    SOURCES[name] for name in ("event_parameters", "panel_parameters", "write_market")
)
FIRMS = WRITE.replace(
    'tier, market = "facts", ""',
    f'tier, market = ("panel", "own.csv") if panel_path else ("sim", f"{CLOSURES}, seed {{seed}}")',
)


def shown(*html):
    return f"for each in {html!r}:\n    display({{'text/html': each}})"


def write(desk, report, *sources):
    simulates = {"parameters": ON_PANEL, "market_impact": {"market": "{market}"}}
    if report == "03_listed":
        known = {"parameters": PARAMETERS}
    else:
        known = simulates
    desk.write(report.removeprefix("simulated/").replace("panel_", "panel/"), *sources, **known)


@pytest.fixture
def desk(tmp_path):
    """A project with a notebook on public facts, and one on a panel or a simulated market."""
    desk = Desk(tmp_path / "project", kernels=False)
    desk.furnish()
    (desk.reports / "schedule.yml").write_text(SOURCES["schedule_of_markets"])
    write(desk, "03_listed", WRITE)
    write(desk, "simulated/panel_03_closed", FIRMS)
    desk.write("00_brief", "1", parameters=BRIEF_PARAMETERS)
    return desk


@pytest.fixture
def real(desk):
    """The same project, whose notebooks run in kernels, and so can show something."""
    return replace(desk, kernels=True)


def reports(folder):
    return sorted(file for file in folder.rglob("*.pdf") if file.name != "annex.pdf")


def feet(folder):
    return {
        file.relative_to(folder).with_suffix("").as_posix(): file.read_text().split(f"{AS_OF}, ")[1]
        for file in reports(folder)
    }


def test_real_and_simulated_reports_say_which_they_are(desk):
    assert desk.run() == Exit.OK
    simulated = {"simulated/panel_03_closed": f"Simulated: {MARKET}, simulated"}
    assert feet(desk.published) == {"00_brief": BOTH, "03_listed": BOTH, **simulated}
    entries = desk.manifest()["reports"]
    assert [entries[name]["market"] for name in entries] == ["", "", MARKET]


def test_estimates_beside_a_verdict_on_real_figures_are_named_at_the_foot(desk):
    write(desk, "03_listed", shown("<p>12 ◐</p>"), WRITE.replace('"estimate"', '"real"'))
    assert desk.run("03_listed") == Exit.OK
    assert feet(desk.draft) == {"03_listed": BOTH}
    write(desk, "03_listed", shown("<p>12 ●</p>"), WRITE.replace('"estimate"', '"real"'))
    assert desk.run("03_listed") == Exit.OK
    assert feet(desk.draft) == {"03_listed": "Real figures"}


def test_a_short_name_chooses_the_real_or_the_simulated_report(desk):
    jobs = read_jobs(desk.root)
    assert [job.name for job in select(jobs, ["03"])] == ["03_listed"]
    for name in ("panel_03", SIM):
        assert [job.name for job in select(jobs, [name])] == [SIM]
    assert jobs[-1].is_brief


MEANT = {
    "2": "02_growth",
    "5": "05_households",
    "panel/2": "simulated/panel_02_spillovers",
    "simulated/panel/03": "simulated/panel_03_growth",
    "panel/growth": "simulated/panel_03_growth",
    "spillovers": "simulated/panel_02_spillovers",
    "methods/scenarios": "simulated/methods_scenarios",
}
REFUSED = {
    "growth": "could be 02_growth or simulated/panel_03_growth; write one of these",
    "households": "could be 05_households or simulated/methods_households_twin; write",
    "9": "is not in the schedule; choose from 00_brief, ",
    "panel/5": "is not in the schedule",
    "grow": "is not in the schedule",
}


def test_a_number_means_public_figures_and_a_word_of_several_lists_them():
    jobs = read_jobs(ROOT)
    named = {name: [job.name for job in select(jobs, [name])] for name in MEANT}
    assert named == {name: [of] for name, of in MEANT.items()}
    for name, said in REFUSED.items():
        with pytest.raises(DesignError, match=f"Report {name} {said}"):
            select(jobs, [name])


def test_on_a_panel_its_set_has_the_reports_on_it(desk, own, tmp_path):
    out = tmp_path / "mine"
    assert desk.run("panel/3", panel=own, out=out) == Exit.OK
    assert [file.stem for file in reports(out / "latest")] == ["panel_03_closed"]


@pytest.mark.parametrize(
    ("name", "notebook", "found"),
    [
        ("03_closed", "panel/03_closed", MARKET),
        ("simulated/03_listed", "03_listed", "no simulated market"),
    ],
)
def test_a_name_that_does_not_agree_with_the_market_is_refused(desk, name, notebook, found):
    (desk.reports / "schedule.yml").write_text(
        f"reports: [{{name: {name}, notebook: {notebook}.ipynb}}]"
    )
    said = (
        rf"Report {name}: its parameters describe {re.escape(found)}; a name begins with simulated/"
        r" if and only if"
    )
    with pytest.raises(DesignError, match=said):
        settled(read_jobs(desk.root), {}, AS_OF)


@pytest.mark.parametrize(
    ("name", "verdicts"), [(SIM, ""), (SIM, "chill, seed 1"), ("03_listed", MARKET)]
)
def test_verdicts_of_another_market_than_the_report_get_no_pdf(desk, capsys, name, verdicts):
    write(desk, name, WRITE.replace("\ndisplay", f"\nverdict.update({of(verdicts)})\ndisplay"))
    assert desk.run(name) == Exit.FAILED
    theirs = verdicts or "the real market"
    if name == SIM:
        ours = MARKET
    else:
        ours = "the real market"
    said = (
        f"{name}: its verdicts are about {theirs}, but the report is about {ours}; real and"
        " simulated never mix."
    )
    assert said in capsys.readouterr().err


def of(market):
    return f"market={market!r}, provenance={'simulated' if market else 'estimate'!r}"


@pytest.mark.parametrize(
    ("name", "mark", "kind"), [("03_listed", "○", "simulated"), (SIM, "◐", "estimated")]
)
def test_a_report_whose_numbers_are_marked_otherwise_gets_no_pdf(desk, capsys, name, mark, kind):
    write(desk, name, shown(f"<p>It was 7.5 {mark}.</p>"), WRITE if name == "03_listed" else FIRMS)
    assert desk.run(name) == Exit.FAILED
    said = f"{name}: its numbers include 1 marked {kind} (see style.use, or names in the data"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("error", ["DesignError", "DataError"])
def test_what_a_notebook_refuses_ends_with_2_and_its_own_words_and_spares_the_others(
    desk, capsys, error
):
    write(
        desk,
        "03_listed",
        f"from fewtreated.errors import {error}\nraise {error}('A was asked; do B.')",
        WRITE,
    )
    assert desk.run() == Exit.REFUSED
    said = capsys.readouterr()
    assert "03_listed: A was asked; do B.\n" in said.err
    assert "Traceback" not in said.err
    lines = [line.split() for line in said.out.splitlines()]
    assert ["03_listed", "refused"] in lines
    assert [*feet(desk.draft)] == ["00_brief", "simulated/panel_03_closed"]


def test_every_page_and_exhibit_of_a_real_run_and_of_a_simulated_one_says_which_it_is(real):
    shows = SOURCES["exhibits"]
    write(real, "03_listed", shows.format(look="estimate"), WRITE)
    write(real, SIM, shows.format(look="simulated"), FIRMS)
    assert real.run(render=pdf.render) == Exit.OK
    made = real.published
    stamps.assert_told_apart(made)
    first = stamps.pages(made / f"{SIM}.pdf")[0]
    assert "Simulated: What is asked?" in first
    assert "Numbers of a simulated market. Nothing here is a finding about a real one." in first
    assert pdf.marks(made / f"{SIM}.ipynb").keys() == {"simulated"}
    assert pdf.marks(made / "03_listed.ipynb").keys() == {"estimated"}
    for kind in ("pdf", "ipynb"):  # the scan for stamps finds what lies under the other name
        listed, simulated = (made / f"{name}.{kind}" for name in ("03_listed", SIM))
        for taken, lies in ((listed, simulated), (simulated, listed)):
            kept = lies.read_bytes()
            shutil.copy(taken, lies)
            with pytest.raises(AssertionError):
                stamps.assert_told_apart(made)
            lies.write_bytes(kept)


# A panel of one's own

MONTHS = [f"{year}-{month:02d}" for year in (2019, 2020, 2021) for month in range(1, 13)]


def panel(file, firm="F-", closed="2021-05", sales=100.0):
    """Write six firms on two platforms, the first two closed."""
    lines = ["firm,brand_group,platform,month,sales,origin,category,closed_on"]
    for number in range(6):
        if number < 2:
            when = closed
        else:
            when = ""
        if number < 4:
            category = "electronics"
        else:
            category = "books"
        for platform in ("AMZ", "EBY"):
            for month in MONTHS:
                if when and month > when and platform == "AMZ":
                    sold = 0
                else:
                    sold = sales + number
                lines.append(
                    f"{firm}{number},{firm}{number},{platform},{month},{sold},CN,{category},{when}"
                )
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.fixture
def own(desk, tmp_path):
    write(desk, "simulated/panel_03_closed", FIRMS.replace('"own.csv"', '""'))
    return own_panel(panel(tmp_path / "own.csv"))


def test_a_panel_of_ones_own_runs_the_notebooks_that_can_take_one_the_public_figures_and_the_brief(
    desk, own, tmp_path
):
    desk.write("05_other", WRITE_VERDICTS)
    more = "  - {name: 05_other, notebook: 05_other.ipynb}\n"
    (desk.reports / "schedule.yml").write_text(SOURCES["schedule_of_markets"] + more)
    assert desk.run(panel=own, out=tmp_path / "mine") == Exit.OK
    mine = tmp_path / "mine" / AS_OF
    assert feet(mine) == {
        "00_brief": BOTH,
        "03_listed": BOTH,
        "05_other": "Real figures",
        "panel_03_closed": BOTH,
    }
    manifest = read_json(mine / "manifest.json")
    assert re.fullmatch("[0-9a-f]{64}", manifest["panel"])
    entry, public = (manifest["reports"][name] for name in ("panel_03_closed", "03_listed"))
    assert entry["parameters"]["panel_path"] == "own.csv"
    written = [file for file in mine.rglob("*") if file.is_file()]
    assert [file.name for file in written if str(tmp_path).encode() in file.read_bytes()] == []
    assert list(entry["files"]) == ["own.csv"]
    assert "panel_path" not in public["parameters"]
    assert public["files"] == {}
    tiers = {row["report"]: row.get("tier") for row in read_json(mine / "verdicts.json")}
    assert tiers == {"03_listed": "facts", "05_other": None, "panel_03_closed": "panel"}


def test_names_choose_the_report_on_the_panel_and_that_on_public_figures(desk, own, tmp_path):
    out = tmp_path / "mine"
    assert desk.run("panel_03_closed", panel=own, out=out) == Exit.OK
    assert [file.stem for file in reports(out / "draft")] == ["panel_03_closed"]
    assert desk.run("03", "panel_03", panel=own, out=out) == Exit.OK
    assert [file.stem for file in reports(out / "draft")] == ["03_listed", "panel_03_closed"]
    with pytest.raises(DesignError, match="none of the named reports can use a panel"):
        desk.run("03_listed", panel=own, out=out)


def test_a_copy_of_the_event_with_another_wave_keeps_its_public_figures(desk, own, tmp_path):
    copy = tmp_path / "more.yml"
    text = (EVENTS / "amazon_2021" / "event.yml").read_text(encoding="utf-8")
    copy.write_text(text.replace("waves: [2021-05,", "waves: [2021-04, 2021-05,"))
    panel(Path(own["panel_path"]), closed="2021-04")
    with pytest.raises(
        DesignError,
        match=r"2 firms closed earlier, in 2021-04 \(2\); leave them out of the panel, or",
    ):
        desk.run(panel=own, out=tmp_path / "mine")
    assert (
        desk.run(panel=own_panel(Path(own["panel_path"]), event=str(copy)), out=tmp_path / "mine")
        == Exit.OK
    )
    entries = read_json(tmp_path / "mine" / AS_OF / "manifest.json")["reports"]
    assert set(entries) == {"00_brief", "03_listed", "panel_03_closed"}
    assert list(entries["03_listed"]["files"]) == ["more.yml"]
    assert entries["03_listed"]["parameters"]["event"] == "more.yml"


def test_an_unchanged_panel_makes_nothing_new_and_a_changed_one_does(
    desk, own, tmp_path, capsys, monkeypatch
):
    (tmp_path / "sources").mkdir()  # nobody edits these meanwhile
    monkeypatch.setattr(publish, "SOURCES", tmp_path / "sources")

    def lines():
        capsys.readouterr()
        assert desk.run(panel=own, out=tmp_path / "mine") == Exit.OK
        return [line.split()[1] for line in capsys.readouterr().out.splitlines()[:3]]

    assert lines() == ["published"] * 3
    assert lines() == ["unchanged"] * 3
    panel(tmp_path / "own.csv", sales=101.0)
    made = lines()
    assert sorted(made) == [
        "published",
        "unchanged",
        "unchanged",
    ]  # the brief's verdicts are the same


def test_a_simulated_panel_makes_simulated_reports_which_the_brief_keeps_from_public_figures(
    desk, tmp_path
):
    simulated = own_panel(panel(tmp_path / "own.csv", firm="SIM-"))
    assert desk.run(panel=simulated, out=tmp_path / "mine") == Exit.OK
    told = {
        "00_brief": BOTH,
        "03_listed": BOTH,
        "simulated/panel_03_closed": "Simulated: own.csv, simulated",
    }
    assert feet(tmp_path / "mine" / AS_OF) == told
    assert desk.run("panel_03", panel=simulated, out=tmp_path / "mine") == Exit.OK
    assert sorted(os.listdir(tmp_path / "mine")) == [".lock", AS_OF, "latest", "outcomes.jsonl"]


@pytest.mark.parametrize(
    ("firm", "closed", "error", "message"),
    [
        ("F-", "", DesignError, "none of the 6 firms was closed between 2019-01 and 2021-12"),
        (
            "F-",
            "2019-03",
            DesignError,
            r"but 2 firms closed earlier, in 2019-03 \(2\); leave them out of the panel",
        ),
        (
            "F-",
            "2021-10",
            DesignError,
            r"but all 2 closures are in other months: 2021-10 \(2\); pass",
        ),
        ("F-", "yesterday", DataError, "yesterday"),
    ],
)
@pytest.mark.usefixtures("no_kernels")
def test_a_panel_that_cannot_carry_the_reports_is_refused_before_a_kernel_starts(
    desk, own, tmp_path, firm, closed, error, message
):
    panel(Path(own["panel_path"]), firm=firm, closed=closed)
    with pytest.raises(error, match=message):
        desk.run(panel=own, out=tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


@pytest.mark.usefixtures("no_kernels")
def test_a_panel_needs_a_folder_of_its_own(desk, own, tmp_path, monkeypatch):
    with pytest.raises(
        DesignError, match=r"on a panel: .* is for the scheduled reports; choose another"
    ):
        desk.run(panel=own, out=desk.reports)
    for name in ("2026-11-20", "draft"):  # of whatever date
        folder = tmp_path / name / name
        folder.mkdir(parents=True)
        publish.write_json(folder / "manifest.json", {**ABOUT, "release": name, "panel": "0" * 64})
        apart = pytest.raises(DesignError, match="contains reports on other data; choose another")
        for given in ({"panel": own}, {}):
            with apart:
                desk.run(out=folder.parent, **given)
        publish.write_json(folder / "manifest.json", {**ABOUT, "release": name, "panel": ""})
        with apart:
            desk.run(panel=own, out=folder.parent)


@pytest.mark.usefixtures("no_kernels")
def test_what_the_panel_sets_is_not_given_as_a_parameter(desk, own, tmp_path):
    for name, value in {"panel_path": "x.csv", "panel_map": "x.yml", "event": "another"}.items():
        with pytest.raises(DesignError, match=rf"{name}:? .*was given .* sets it; use --"):
            desk.run(panel=own, out=tmp_path / "mine", given={name: value})


# The marks


def test_marked_numbers_are_counted_by_kind_and_words_about_the_marks_are_not(tmp_path):
    html = [
        "<td>1.0 ●</td><td>−2,345 ◐</td><td>– ●</td>",
        "<p>It fell by −17.9 [−24.4 to −11.4] per cent ◐, p = 1/28 ○ (130 million yuan ●).</p>",
        (
            "<p>As of 2026-11-25, with the report. Real figures ●, estimates ◐; <b>12</b> simulated"
            " ○.</p>"
        ),
        "<table><caption>◐ Rows.</caption><th>a</th></table><figcaption>● A line.</figcaption>",
    ]
    shown = {"text/html": html, "text/plain": "It is 4.0 ○ in a sentence."}
    output = {"output_type": "display_data", "metadata": {}, "data": shown}
    hidden = {"cell_type": "code", "metadata": {"tags": ["remove-cell"]}, "outputs": [output]}
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": "5 ●"},
        {**hidden, "metadata": {}},
        hidden,
    ]
    (tmp_path / "n.ipynb").write_text(json.dumps({"cells": cells, "metadata": {COUNTS: {"○": 1}}}))
    assert pdf.marks(tmp_path / "n.ipynb") == {"real": 3, "estimated": 3, "simulated": 3}
