"""A second event is a folder of data, a folder of notebooks, and their entries."""

import hashlib
import json
import re
from pathlib import Path

import nbformat
import pytest
from fewtreated.errors import DataError
from pypdf import PdfReader
from reading import read_json
from test_other_event import REAL, project, run
from test_pdf import links

from analysis import data
from runner import Exit
from runner.schedule import Job, number, read_jobs, select

NAME = "fair_2031"
EVENT = """
title: The closing of the spring fair
home: FAI
platforms: {FAI: Fair, HLL: Hall}
destinations: [HLL]
origin: XX
origin_name: Northern
waves: ["2031-05"]
speakers: {Fair: The Fair}
claims: [C01]
"""
TABLES = {
    "claims": [
        [
            "C01",
            "40 stalls were closed.",
            "Fair",
            "2031-06",
            "closed",
            "stalls",
            "https://fair.org/a",
        ]
    ],
    "events": [
        ["E001", "2031-06", "Fair", "policy", "The Fair tells its count.", 40, "stalls", "Fair"],
        ["E002", "2031-07", "Herald", "press_report", "The Herald counts.", 41, "stalls", "Herald"],
    ],
    "counts": [["E001", "Fair", "closed", "so it says"], ["E002", "Herald", "closed", "by hand"]],
    "readings": [["C01", "", "stated", "closed", "", "40 stalls were closed.", "40 closed"]],
    "documents": [["https://fair.org/a", "Fair", "A notice", "2031-06-02", "", "2031-08-01"]],
}
"""The first cells of each row."""
MORE = {
    "claims": ["true"],
    "events": ["", "https://fair.org/a", "true", "", "real"],
    "counts": [],
    "readings": [
        *("", "past", "", "Counts by others.", "stalls closed", "stalls"),
        *("false", "low", "", "A second count.", "fair_2031/01_stalls"),
    ],
    "documents": [],
}
"""The last cells of each row."""
CELLS = [
    "# 01 – How many stalls were closed?",
    'as_of: str = "2026-11-25"  # date of knowledge; allowed date\n'
    f'event: str = "{NAME}"  # event, a file of data/events\n'
    "stale_after_days: int = 20000  # warn when the newest file is older; allowed 1 to 20000",
    "from analysis import data, on_trial\n"
    "from analysis.exhibits import answers, findings\n"
    "from analysis.evidence import claims\n"
    "from analysis.exhibits.report import finish, start\n"
    "from analysis.prose import *\n"
    f'about = start("{NAME}/01_stalls")\nabout.title',
    'counted = on_trial.count("C01", window="June", n="two")\ncounts = claims.counts()\n'
    "findings.counts_table(counts)",
    "Table: The counts.",
    "They agree to within ten per cent: {eval}`verdict(counted)`.",
    "finish(counted, read=sorted(data.LOADED), sources=[counts])",
]


def card(table, folder):
    """Return the entry of a table of the event: that of the table that ships, with its bytes."""
    entry = data.card(table)
    path = f"events/{NAME}/{table}.csv"
    content = (folder / "data" / path).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    own = {"name": f"{NAME}/{table}", "path": path, "title": f"The fair: {table}", "sources": []}
    return entry | own | {"bytes": len(content), "hash": f"sha256:{digest}"}


def add(folder):
    """Add the event to a copy of the project, and return the files that were written or changed."""
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    home = folder / "data" / "events" / NAME
    home.mkdir()
    (home / "event.yml").write_text(EVENT)
    for table, rows in TABLES.items():
        heads = [field["name"] for field in data.card(table)["schema"]["fields"]]
        lines = [heads, *([*map(str, row), *MORE[table]] for row in rows)]
        assert {len(line) for line in lines} == {len(heads)}
        (home / f"{table}.csv").write_text("".join(",".join(line) + "\n" for line in lines))
    package = read_json(folder / "data" / "datapackage.json")
    package["resources"] += [card(table, folder) for table in TABLES]
    (folder / "data" / "datapackage.json").write_text(json.dumps(package))
    shipped = nbformat.read(folder / "notebooks" / "02_growth.ipynb", 4)
    notebook = nbformat.v4.new_notebook(metadata=shipped.metadata)
    for number_, source in enumerate(CELLS):
        code = number_ in (1, 2, 3, 6)
        cell = (nbformat.v4.new_code_cell if code else nbformat.v4.new_markdown_cell)(source)
        cell.metadata["tags"] = ["parameters"] if number_ == 1 else ["answer"] * (number_ > 2)
        notebook.cells.append(cell)
    (folder / "notebooks" / NAME).mkdir()
    nbformat.write(notebook, folder / "notebooks" / NAME / "01_stalls.ipynb")
    schedule = folder / "reports" / "schedule.yml"
    line = f"reports:\n  - {{name: {NAME}/01_stalls, notebook: {NAME}/01_stalls.ipynb}}\n"
    schedule.write_text(schedule.read_text().replace("reports:\n", line, 1))
    return {
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if file.is_file() and file.read_bytes() != before.get(file)
    }


@pytest.fixture(scope="module")
def fair(tmp_path_factory):
    folder = project(tmp_path_factory.mktemp("second"))
    changed = add(folder)
    own = (f"data/events/{NAME}/", f"notebooks/{NAME}/")
    others = {name for name in changed if not name.startswith(own)}
    assert others == {"data/datapackage.json", "reports/schedule.yml"}
    return folder


def load(folder, name, **of):
    return data.load(name, root=folder / "data", **of)


def test_a_short_name_means_the_table_of_the_event_that_is_studied(fair):
    assert data.events(fair / "data") == [*data.events(), NAME]
    assert len(load(fair, "claims", event=NAME)) == 1
    assert len(load(fair, "claims")) == len(load(fair, f"{data.SHIPPED}/claims")) > 1
    data.study(NAME)
    try:
        assert load(fair, "claims")["claim"].tolist() == ["40 stalls were closed."]
        with pytest.raises(DataError, match="Cannot find the file 'splices'"):
            load(fair, "splices")
    finally:
        data.study(data.SHIPPED)


def test_an_event_adds_rows_to_a_table_of_all_and_may_not_repeat_one(fair):
    shared = load(fair, "documents", event=data.SHIPPED)
    both = load(fair, "documents", event=NAME)
    assert both["source_url"].tolist() == [*shared["source_url"], "https://fair.org/a"]
    own = fair / "data" / "events" / NAME / "documents.csv"
    text = own.read_text()
    package = fair / "data" / "datapackage.json"
    declared = package.read_text()
    try:
        own.write_text(text.replace("https://fair.org/a", shared["source_url"][0]))
        entries = read_json(package)
        entries["resources"][-1] = card("documents", fair)
        package.write_text(json.dumps(entries, indent=1))
        with pytest.raises(DataError, match=r"documents\.csv together: both have http"):
            load(fair, "documents", event=NAME)
    finally:
        own.write_text(text)
        package.write_text(declared)


def test_a_report_of_the_second_event_is_made_of_its_own_figures_and_names_no_other(fair):
    done = run(fair, f"{NAME}/01_stalls", "--out", "out")
    assert done.returncode == Exit.OK, done.stderr
    (page,) = (fair / "out").rglob("01_stalls.pdf")
    told = " ".join(one.extract_text() for one in PdfReader(page).pages)
    assert "Supported" in told
    assert "Herald" in told
    assert re.findall(REAL, told) == []
    leads = [uri for uri in links(PdfReader(page)) if "//" not in uri]
    assert leads
    assert [uri for uri in leads if not (page.parent / uri).exists()] == []


def test_a_report_of_the_event_that_ships_does_not_run_for_the_second(fair):
    done = run(fair, "03_shift", "-p", f"event={NAME}", "--out", "public")
    assert done.returncode == Exit.REFUSED
    assert f"the figures of this report describe {data.SHIPPED}" in done.stderr


def test_a_report_reads_the_verdicts_on_its_own_event_alone():
    root = Path(__file__).resolve().parents[1]
    brief = Job("00_brief", root / "notebooks" / "00_brief.ipynb", {"event": data.SHIPPED})
    growth = Job("02_growth", root / "notebooks" / "02_growth.ipynb", {"event": data.SHIPPED})
    other = Job(f"{NAME}/02_growth", growth.notebook, {"event": NAME})
    assert (brief.reads(growth), brief.reads(other), growth.reads(other)) == (True, False, False)
    assert number(other.name) == f"{NAME}/02"


def test_a_brief_brings_the_reports_on_its_own_event_alone():
    root = Path(__file__).resolve().parents[1]
    jobs = read_jobs(root)
    for event in set(data.events()) - {data.SHIPPED}:
        brought = {job.name for job in select(jobs, [f"{event}/00_brief"])}
        assert {name.partition("/")[0] for name in brought} == {event}
        assert len(brought) > 1
        assert not brought & {job.name for job in select(jobs, ["00_brief"])}
