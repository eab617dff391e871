"""Notebooks as a reader opens them: the contents, the example, where paths begin, and how an error
ends.
"""

import re
import shutil
import subprocess

import nbformat
import pandas as pd
import papermill
import pytest
from fewtreated.errors import DataError
from lab import BROWSER, run_in_lab
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from reading import project_text, read_json

from analysis import untrusted
from analysis.provenance import ROOT
from analysis.study import Study
from runner import engine
from runner.schedule import read_jobs

TIDY = {"panel_path": "data/examples/tidy.csv", "panel_map": "data/examples/tidy.map.yml"}


CONTENTS = project_text("notebooks/README.md")
EXAMPLE = ROOT / "notebooks" / "examples" / "own_panel.ipynb"


def test_the_contents_name_each_notebook_and_what_it_asks():
    notebooks = {job.notebook_name: job.notebook for job in read_jobs(ROOT)}
    for name, notebook in notebooks.items():
        title = read_json(notebook)["cells"][0]["source"][0]
        question = re.fullmatch(r"# (?:.+ – )?(.+\?)", title.strip())[1]
        assert f"| [{name.removesuffix('.ipynb')}]({name}) | {question} |" in CONTENTS
    linked = re.findall(r"\]\(([^)]+)\)", CONTENTS)
    assert all((ROOT / "notebooks" / link).is_file() for link in linked)
    assert len(linked) == len(notebooks) + 2


def test_make_lab_opens_the_contents_and_passes_flags_on():
    asked = ["make", "--no-print-directory", "--dry-run", "lab", "ARGS=--no-browser --port 8899"]
    said = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "default_url=/lab/tree/notebooks/README.md" in said
    assert said.startswith(
        f'PATH="{ROOT / ".venv" / "bin"}:$PATH" '
    )  # what a cell with %%bash calls python
    assert said.rstrip().endswith("--no-browser --port 8899")


@pytest.mark.parametrize("folder", [pytest.param(ROOT, marks=pytest.mark.slow), EXAMPLE.parent])
def test_the_example_on_a_panel_of_ones_own_runs_from_the_root_and_from_its_folder(
    folder, tmp_path
):
    notebook = nbformat.read(EXAMPLE, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    (named,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    table = tmp_path / "tables" / "own.csv"
    named.source = named.source.replace("reports/scratch/own_panel.csv", str(table))
    NotebookClient(
        notebook, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    shown = " ".join(
        str(output.data) for cell in notebook.cells for output in cell.get("outputs", ())
    )
    for exhibit in ("What can be estimated", "imputed, from", "data:image/svg+xml", "Simulated – "):
        assert exhibit in shown
    rows = pd.read_csv(table)
    assert len(rows) == 2
    assert rows["conf_low"].lt(rows["estimate"]).all()


def test_the_example_begins_with_the_estimate_and_folds_what_the_panel_holds():
    notebook = nbformat.read(EXAMPLE, as_version=4)
    headings = [cell for cell in notebook.cells if cell.source.startswith("## ")]
    assert "estimate" in headings[0].source.splitlines()[0]
    *shown, audit = [cell.metadata.get("jp-MarkdownHeadingCollapsed", False) for cell in headings]
    assert audit
    assert not any(shown)
    at = notebook.cells.index(headings[-1])
    sections = [
        "".join(cell.source for cell in part) for part in (notebook.cells[:at], notebook.cells[at:])
    ]
    for name, places in {
        "cross_checks(": [1, 0],
        "contents(": [0, 1],
        "estimable(": [0, 1],
    }.items():
        assert [section.count(name) for section in sections] == places


def failed(source):
    """Return the output of a cell that fails, as JupyterLab and papermill get it."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    with pytest.raises(CellExecutionError):
        NotebookClient(
            notebook,
            kernel_name="python3",
            resources={"metadata": {"path": str(ROOT / "notebooks")}},
        ).execute()
    return notebook.cells[0].outputs[-1]


def test_a_refusal_in_a_notebook_is_one_sentence_and_any_other_error_keeps_its_lines():
    asked = (
        "from analysis.study import Study\nStudy.open({'event': 'amazon_2021', 'panel_path':"
        " 'none.csv', 'conf': 0.9"
    )
    refused = failed(asked + ", 'panel_map': ''})")
    assert refused["ename"] == "DataError"
    assert refused["traceback"] == [f"DataError: {refused['evalue']}"]
    assert "Cannot find panel_path = 'none.csv' in" in refused["evalue"]
    assert len(failed(asked + "})")["traceback"]) > 3  # a KeyError


@pytest.mark.parametrize("folder", [".", "notebooks", "notebooks/examples"])
def test_a_path_from_the_root_is_found_from_every_folder_of_notebooks(folder, monkeypatch):
    monkeypatch.chdir(ROOT / folder)
    found = Study.open({"event": "data/events/amazon_2021/event.yml", "conf": 0.9, **TIDY})
    assert len(found.panel.firms) == 192


def test_a_file_beside_the_notebook_goes_before_one_of_the_same_name_at_the_root(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").touch()
    assert untrusted.located("panel_path", "README.md") == tmp_path / "README.md"
    assert untrusted.located("panel_path", "LICENSE") == ROOT / "LICENSE"


def test_a_path_that_leads_nowhere_names_both_places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        untrusted.located("panel_map", "mine.yml")
    assert (
        str(caught.value)
        == f"Cannot find panel_map = 'mine.yml' in {tmp_path} or {ROOT}; correct the path"
    )


def results(notebook):
    """What the expressions in the text of an executed notebook came to, in order."""
    return [
        (each["expression"], each["result"].get("data"), each["result"].get("ename"))
        for cell in notebook["cells"]
        for each in cell["metadata"].get("user_expressions", [])
    ]


@pytest.mark.slow
@pytest.mark.skipif(not BROWSER, reason="Chromium must be installed: JupyterLab runs in a browser")
def test_in_jupyterlab_the_text_takes_the_values_that_the_runner_puts_in(tmp_path):
    notebook = "02_growth.ipynb"
    source = ROOT / "notebooks" / notebook
    papermill.execute_notebook(
        str(source),
        str(tmp_path / "by_runner.ipynb"),
        engine_name=engine.NAME,
        kernel_name="python3",
        progress_bar=False,
        cwd=str(source.parent),
    )
    shutil.copyfile(source, tmp_path / notebook)
    shown = results(run_in_lab(tmp_path, notebook))
    assert len(shown) > 50
    assert shown == results(read_json(tmp_path / "by_runner.ipynb"))
