"""The notebooks are documents: each rule holds for each of them, and each rule can fail."""

import json
import tomllib

import pytest
from document import RULES, TRIES, Document
from reading import project_text
from ruamel.yaml import YAML

from analysis import prose
from analysis.event import EVENTS, read_event
from analysis.provenance import ROOT
from benchmarks.documents import counted, read_cells
from benchmarks.tokens import notebook_sources

NOTEBOOKS = sorted((ROOT / "notebooks").glob("**/[!.]*.ipynb"))
NOTEBOOKS = [path for path in NOTEBOOKS if ".ipynb_checkpoints" not in path.parts]
WORDS = prose.__all__
FEWER = {"00_brief": 0, "04_claims": 0}  # cells to try, where there is nothing to vary
ABOUT_NONE = ("panel", "examples")  # folders
NOR_THESE = ("design_audit", "which_estimator")
CASES = YAML(typ="safe").load(project_text("tests/cases/documents.yml"))


def names_of(event):
    """Return the names, codes and years by which a text would be about one event."""
    about = read_event(event)
    words = " ".join([about.title, about.origin_name, *about.platforms.values()]).split()
    names = {word.removesuffix("'s") for word in words if word.lower() != word}
    codes = {about.origin, *about.platforms, *about.claims}
    codes |= {reading for _, reading in about.readings.values() if reading != reading.lower()}
    return sorted(names | codes | {month[:4] for month in about.waves})


SHIPPED = sorted(file.parent.name for file in EVENTS.glob("*/event.yml"))
FOREIGN = [name for event in SHIPPED for name in names_of(event)]


def document(path):
    is_report = path.parent.name != "examples"
    about_none = path.parent.name in ABOUT_NONE or path.stem in NOR_THESE
    return Document(
        path.read_text(encoding="utf-8"),
        WORDS,
        tries=FEWER.get(path.stem, TRIES) * is_report,
        foreign=FOREIGN if about_none else (),
        is_report=is_report,
    )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_a_document(notebook, rule):
    assert [*rule(document(notebook))] == []


def test_the_strings_in_the_code_of_all_notebooks_are_short():
    limit = tomllib.loads(project_text("pyproject.toml"))["tool"]["house"]["notebook_strings"]
    sizes = {path.stem: characters(path) for path in NOTEBOOKS}
    assert sum(sizes.values()) <= limit, sizes


def characters(path):
    sources = notebook_sources(path.read_text(encoding="utf-8"), path.name)
    return sum(source.string_characters for source in sources)


def test_an_event_is_recognised_by_its_names_its_codes_and_its_years():
    assert {"Amazon", "eBay", "Chinese", "AMZ", "C01", "V2", "2021"} <= {*FOREIGN}
    assert not {"own", "other", "Other", "accounts"} & {*FOREIGN}


# Each rule can fail


def made(cells):
    """Return a small notebook of cells such as ``["code", "x = 1", "answer"]``."""
    rows = [
        {"id": f"c{at}", "cell_type": kind, "source": text, "metadata": {"tags": tags}}
        for at, (kind, text, *tags) in enumerate(cells)
    ]
    return json.dumps({"cells": rows})


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_rule_finds_each_case_against_it_and_nothing_in_a_case_for_it(rule):
    cases = CASES[rule.__name__]
    assert cases["against"]
    assert cases["kept"]
    for cells in cases["kept"]:
        assert [*rule(small(cells))] == [], cells
    for wanted, cells in cases["against"].items():
        assert wanted in [*rule(small(cells))], cells


def small(cells):
    return Document(made(cells), {"fall", "holds", "number", "when"}, tries=2, foreign=["Bazaar"])


def test_every_rule_has_its_cases():
    assert {*CASES} == {rule.__name__ for rule in RULES}


def test_prose_is_counted_where_it_stands():
    said = "f'{x:.{n}f} is not what anyone would have said of {\"of which this is no part\"} it'"
    cells = [
        ["code", f"x = 1\nprint({said})"],
        ["code", "y = 'a b'\nz = 'one two three four five'"],
        ["code", "a: int = 1  # years", "parameters"],
        ["markdown", "# A title\n\nA line."],
    ]
    characters = len(f"x = 1print({said})") + len("y = 'a b'z = 'one two three four five'") + 2
    assert counted(read_cells(made(cells))) == [characters, len(said) + 7, 1, 1, 1, 2, 9 + 5]
