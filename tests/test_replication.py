"""The replication page of a release lists each table and figure by number, with its cell and
functions.
"""

import json

import pytest

from analysis import data
from runner import replication

CODE = "from analysis.evidence import totals\nfrom analysis.exhibits import blocks\n"
SHOWN = (
    "<figure><figcaption>● Sales | all of"
    " them</figcaption></figure><table><caption>Growth</caption></table>"
)


@pytest.fixture
def notebook(tmp_path):
    shown = [{"output_type": "display_data", "data": {"text/html": [SHOWN]}}]
    cells = [
        {"cell_type": "markdown", "source": ["# 05 – Was growth lower?\n", "text"]},
        {"cell_type": "code", "source": [CODE], "outputs": []},
        {
            "cell_type": "code",
            "source": ["blocks.table(totals.frontier(len([])))\nprint(1)"],
            "outputs": shown,
        },
    ]
    file = tmp_path / "05_growth.ipynb"
    file.write_text(json.dumps({"cells": cells}))
    return file


def test_exhibits_are_counted_by_kind_with_cell_and_functions(notebook):
    lines = replication.exhibits({"05_growth": notebook}).splitlines()[2:]
    calls = "`blocks.table`, `totals.frontier`"
    assert lines == [
        f"| `05_growth` | Figure 1 | Sales / all of them | 3 | {calls} |",
        f"| `05_growth` | Table 1 | Growth | 3 | {calls} |",
    ]


def test_a_long_caption_is_cut_between_words():
    title = replication._title("word " * 40)
    assert len(title) <= replication.LONGEST_TITLE + 2
    assert title.endswith("word …")


def test_the_page_of_a_release_has_every_list_and_every_data_file(notebook):
    replication.write_replication(notebook.parent, {"05_growth": {"notebook": "05_growth.ipynb"}})
    page = (notebook.parent / replication.FILE).read_text()
    assert "<!--" not in page
    assert "| `05_growth.pdf` | `notebooks/05_growth.ipynb` | 05 – Was growth lower? |" in page
    for row in data.package()["resources"]:
        assert f"`data/{row['path']}`" in page
