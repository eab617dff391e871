"""Pages for maintainers: the architecture names what exists, and decisions cite their commits."""

import ast
import json
import re
import subprocess
from importlib import import_module

import pytest

from analysis.provenance import ROOT
from docs import house

PAGE = house.PAGE.read_text(encoding="utf-8")
NAMED = sorted({*re.findall(r"`([\w.]+/[\w./]+\.\w+)(?:::([\w.]+))?`", PAGE)})
WALKS = re.findall(r"^## From .*?(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)


def knows(file, name):
    """Return whether a module or a notebook defines a name, or a table has a column of it."""
    if file.suffix == ".py":
        inside = str(file.relative_to(ROOT).with_suffix("")).rpartition("/src/")[2]
        found = import_module(inside.replace("/", ".").removesuffix(".__init__"))
        for part in name.split("."):
            found = getattr(found, part, None)
        return found is not None
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        code = ast.parse("\n".join("".join(cell["source"]) for cell in cells))
        names = [node for node in ast.walk(code) if isinstance(node, ast.Name)]
        return name in {node.id for node in names if isinstance(node.ctx, ast.Store)}
    return name in text.splitlines()[0].split(",")


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_every_file_and_name_on_the_page_exists(path, name):
    assert (ROOT / path).is_file()
    assert not name or knows(ROOT / path, name)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("analysis/data.py", "lode"),
        ("notebooks/00_brief.ipynb", "pd"),
        ("data/events/amazon_2021/readings.csv", "knd"),
    ],
)
def test_a_name_that_is_not_there_is_not_known(path, name):
    assert not knows(ROOT / path, name)


def test_there_are_three_walks_and_each_of_their_steps_names_a_file_and_what_is_in_it():
    steps = [
        re.findall(r"^\d+\. (.*?)(?=^\d+\. |^$)", walk, re.MULTILINE | re.DOTALL) for walk in WALKS
    ]
    assert len(steps) == 3
    assert all(len(walk) > 10 and all("::" in step for step in walk) for walk in steps)


def test_the_picture_is_drawn_from_the_table_as_it_is():
    assert house.PICTURE.search(PAGE)[0] == house.picture(), (
        "the picture is old; draw it again: .venv/bin/python docs/house.py"
    )


def test_each_package_stands_on_those_that_it_imports():
    packages = re.findall(r"^│ (\w+)/", house.picture(), re.MULTILINE)
    assert packages == ["runner", "market", "analysis", "fewtreated"]


DECISIONS = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8").split("\n## ")[1:]


def git(*arguments):
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.skipif(
    git("rev-parse", "--is-shallow-repository") == "true", reason="this clone has no history"
)
@pytest.mark.parametrize("decision", DECISIONS)
def test_a_decision_has_a_reason_a_price_and_the_commit_that_it_names(decision):
    assert [word in decision for word in ("**Decided.**", "**Why.**", "**Cost.**")] == [True] * 3
    ((commit, subject),) = re.findall(r"^Commit `(\w{8})`: (.*)$", decision, re.MULTILINE)
    assert git("show", "--no-patch", "--format=%s", commit) == subject
    assert git("merge-base", commit, "HEAD").startswith(commit)
