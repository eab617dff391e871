"""Notebooks as a reader opens them: where paths begin, and how an error ends."""

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from analysis import config
from analysis.errors import DataError
from analysis.provenance import ROOT
from analysis.study import Study

TIDY = {"panel_path": "data/examples/tidy.csv", "panel_map": "data/examples/tidy.map.yml"}


def failed(source: str) -> dict:
    """Return the output of a cell that fails, as JupyterLab and papermill get it."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    with pytest.raises(CellExecutionError):
        NotebookClient(
            notebook, kernel_name="python3", resources={"metadata": {"path": str(ROOT / "notebooks")}}
        ).execute()
    return notebook.cells[0].outputs[-1]


def test_a_refusal_in_a_notebook_is_one_sentence_and_any_other_error_keeps_its_lines():
    asked = (
        "from analysis.study import Study\nStudy.open({'event': 'amazon_2021', 'panel_path': 'none.csv', 'conf': 0.9"
    )
    refused = failed(asked + ", 'panel_map': ''})")
    assert refused["ename"] == "DataError"
    assert refused["traceback"] == [f"DataError: {refused['evalue']}"]
    assert "panel_path = 'none.csv' was asked for" in refused["evalue"]
    assert len(failed(asked + "})")["traceback"]) > 3  # a KeyError


@pytest.mark.parametrize("folder", [".", "notebooks", "notebooks/examples"])
def test_a_path_from_the_root_is_found_from_every_folder_of_notebooks(folder, monkeypatch):
    monkeypatch.chdir(ROOT / folder)
    found = Study.open({"event": "data/events/amazon_2021.yml", "conf": 0.9, **TIDY})
    assert len(found.panel.firms) == 192


def test_a_file_beside_the_notebook_goes_before_one_of_the_same_name_at_the_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").touch()
    assert config.located("panel_path", "README.md") == tmp_path / "README.md"
    assert config.located("panel_path", "LICENSE") == ROOT / "LICENSE"


def test_a_path_that_leads_nowhere_names_both_places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        config.located("panel_map", "mine.yml")
    assert str(caught.value) == (
        f"panel_map = 'mine.yml' was asked for; there is no such file in {tmp_path}, nor in {ROOT}; correct the path"
    )
