"""Sentences under other parameters: those that their numbers refuse are left out, and no others.

The lines left out stand in tests/cases/left_out.yml; ``ACCEPT=1`` writes them anew, to be read.
"""

import os
from itertools import chain
from pathlib import Path

import papermill
import pytest
from ends import judged
from reading import read_json
from ruamel.yaml import YAML

from analysis import parameters
from analysis.provenance import ROOT
from runner import document, engine

FILE = ROOT / "tests" / "cases" / "left_out.yml"
CASES = YAML(typ="safe").load(FILE)  # by notebook: parameters, and the lines left out under them
SETS = [(name, number) for name, sets in CASES.items() for number in range(len(sets))]
QUICK = {"03_shift"}  # the others take minutes together
NOTEBOOKS = ROOT / "notebooks"


def executed(name, given, folder):
    """Execute a notebook with parameters, and return it with the results of its expressions."""
    model = parameters.parameter_model(NOTEBOOKS / f"{name}.ipynb")
    if "verdict_folder" in model.model_fields:
        given = given | {"verdict_folder": str(judged(folder))}
    values = parameters.settled(model, {key: str(value) for key, value in given.items()})
    made = folder / "executed.ipynb"
    papermill.execute_notebook(
        str(NOTEBOOKS / f"{name}.ipynb"),
        str(made),
        parameters=values,
        engine_name=engine.NAME,
        kernel_name="python3",
        progress_bar=False,
        cwd=str((NOTEBOOKS / name).parent),
    )
    return read_json(made)


def left_out(name, given, folder):
    """Return the sentences that a notebook leaves out with these parameters."""
    _, text = document.assembled(executed(name, given, folder), strict=False)
    return [*text.refused.values()]


def accept(name, number, lines):
    yaml = YAML()
    yaml.width = 120
    cases = yaml.load(FILE)
    cases[name][number]["left out"] = lines
    yaml.dump(cases, FILE)


def marked(case):
    name, number = case
    marks = () if name in QUICK and number == 0 else pytest.mark.slow
    return pytest.param(name, number, marks=marks, id=f"{name} {number + 1}")


@pytest.mark.parametrize(("name", "number"), map(marked, SETS))
def test_under_other_parameters_only_the_lines_on_file_are_left_out(name, number, tmp_path):
    case = CASES[name][number]
    found = left_out(name, case["with"], tmp_path)
    if os.environ.get("ACCEPT"):
        accept(name, number, found)
    else:
        assert found == case["left out"]


def test_each_report_is_held_under_three_other_sets_of_parameters():
    paths = chain(NOTEBOOKS.glob("0[1-9]*.ipynb"), NOTEBOOKS.glob("[pm]*/*.ipynb"))
    names = {path.relative_to(NOTEBOOKS).with_suffix("").as_posix() for path in paths}
    assert {*CASES} == names
    for name, sets in CASES.items():
        assert len(sets) >= 3
        model = parameters.parameter_model(Path(NOTEBOOKS / f"{name}.ipynb"))
        for case in sets:
            assert any(
                model.model_fields[key].default != value for key, value in case["with"].items()
            )
