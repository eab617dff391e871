import datetime
import json
import math

import pytest
from desk import PARAMETERS, cell, write_notebook

from analysis import parameters
from analysis.errors import DesignError


@pytest.fixture
def notebook(tmp_path):
    file = tmp_path / "07_question.ipynb"
    write_notebook(file, "print(count)")
    return file


@pytest.fixture
def known(notebook):
    return parameters.read(notebook)


def read_cell(folder, source):
    write_notebook(folder / "cell.ipynb", parameters=source)
    return parameters.read(folder / "cell.ipynb")


def test_each_line_of_the_cell_is_a_parameter(known):
    by_name = {parameter.name: parameter for parameter in known}
    assert list(by_name) == ["as_of", "verdict_file", "count", "share", "tier", "note", "strict"]
    assert by_name["count"] == parameters.Parameter("count", "int", 3, "number of things", "1 to 9")
    assert by_name["note"] == parameters.Parameter("note", "str", "a=b", "free text", "")
    assert by_name["as_of"].help == "date of knowledge, YYYY-MM-DD"
    assert by_name["as_of"].allowed == "date"
    assert by_name["strict"].default is True


@pytest.mark.parametrize(
    ("line", "help_", "allowed"),
    [
        ("x: int = 1", "", ""),
        ("x: int = 1  # allowed 1 to 2", "", "1 to 2"),
        ("x: int = -1  # pp; the # and ; are text; allowed -2 to 2", "pp; the # and ; are text", "-2 to 2"),
        ("# a note\nx: int = 1\n", "", ""),
        ("x: float = 1e-3  # share, allowed 0 to 1", "share", "0 to 1"),
        ("x: int = 2  # allowed 1 | 2 | 3", "", "1 | 2 | 3"),
        ('x: str = "# no; allowed comment"  # text', "text", ""),
    ],
)
def test_help_and_rule_come_from_the_comment(tmp_path, line, help_, allowed):
    (parameter,) = read_cell(tmp_path, line)
    assert (parameter.help, parameter.allowed) == (help_, allowed)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1", "line 1, `x = 1`, is not a literal"),
        ("x: int", "line 1, `x: int`, is not a literal"),
        ("x: int = 1\nprint(x)", r"line 2, `print\(x\)`"),
        ("x: list = []", "line 1"),
        ("x: str = (\n'a')", "line 1"),
        ("x: int = 1 + y", "x has the value `1 \\+ y`, which is not a literal"),
        ("x: int = 1; y: int = 2", "line 1 holds 2 parameters"),
        ("x: int = 1\nx: int = 2", "x is defined 2 times"),
        ("%matplotlib inline", "line 1 is not Python"),
        ("x: int = 1.0", r"x: found 1.0 \(float\); give a value that is int"),
        ("x: int = True", r"x: found True \(bool\)"),
        ("x: bool = 1", r"x: found 1 \(int\)"),
        ("x: int = 5  # allowed 1 to 4", "x: found 5 .* allowed 1 to 4"),
        ("x: int = 5  # allowed some of 4", "`allowed some of 4`, which is no rule for int"),
        ("x: int = 5  # allowed date", "`allowed date`, which is no rule for int"),
        ('x: str = "a"  # allowed 0 to 4', "`allowed 0 to 4`, which is no rule for str"),
        ('x: str = "2021-02-30"  # allowed date', "x: found '2021-02-30'"),
    ],
)
def test_anything_but_annotated_literals_is_refused(tmp_path, source, message):
    with pytest.raises(DesignError, match=message):
        read_cell(tmp_path, source)


def test_a_notebook_without_a_parameters_cell_is_refused(tmp_path):
    write_notebook(tmp_path / "n.ipynb", "print(1)", parameters=None)
    with pytest.raises(DesignError, match="0 cells are tagged `parameters`; tag exactly one"):
        parameters.read(tmp_path / "n.ipynb")


def test_two_parameters_cells_are_refused(notebook):
    content = json.loads(notebook.read_text())
    content["cells"].append(cell("code", 9, "y: int = 1", "parameters"))
    notebook.write_text(json.dumps(content))
    with pytest.raises(DesignError, match="2 cells are tagged"):
        parameters.read(notebook)


@pytest.mark.parametrize("content", ["", "[]", "{}", "{", '{"cells": [1]}'])
def test_a_file_that_is_no_notebook_is_refused(notebook, content):
    notebook.write_text(content)
    with pytest.raises(DesignError, match="is not a notebook"):
        parameters.read(notebook)


def test_a_missing_notebook_is_named(tmp_path):
    with pytest.raises(DesignError, match=r"nowhere.ipynb does not exist"):
        parameters.read(tmp_path / "nowhere.ipynb")


def test_given_values_go_before_defaults(known):
    values = parameters.override(known, {"count": "7", "share": 1, "strict": "false", "note": "x=1, y"})
    assert values == {
        "as_of": "2026-11-01",
        "verdict_file": "../reports/scratch/verdicts.json",
        "count": 7,
        "share": 1.0,
        "tier": "facts",
        "note": "x=1, y",
        "strict": False,
    }
    assert [type(value) for value in values.values()] == [str, str, int, float, str, str, bool]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("count", "1e3"),
        ("count", "3.0"),
        ("count", "1_0"),
        ("count", " 3"),
        ("count", ""),
        ("count", "10"),
        ("count", 10),
        ("count", True),
        ("count", 3.0),
        ("count", None),
        ("share", "nan"),
        ("share", "inf"),
        ("share", "1e400"),
        ("share", math.nan),
        ("share", "half"),
        ("share", "-0.1"),
        ("share", True),
        ("tier", "panel"),
        ("tier", 1),
        ("strict", "no"),
        ("strict", "True"),
        ("strict", "1"),
        ("strict", 1),
        ("as_of", "2026-13-01"),
        ("as_of", "20261101"),
        ("as_of", "today"),
        ("note", 5),
    ],
)
def test_a_wrong_value_is_refused_and_the_allowed_ones_are_named(known, name, given):
    wanted = next(parameter.wanted for parameter in known if parameter.name == name)
    with pytest.raises(DesignError) as caught:
        parameters.override(known, {name: given})
    assert str(caught.value).startswith(f"Parameter {name}: found ")
    assert wanted in str(caught.value)


def test_an_unknown_parameter_is_refused_and_the_known_ones_are_named(known):
    with pytest.raises(DesignError, match=r"Parameter cuont: .*; known are as_of, count, .* mean count\?"):
        parameters.override(known, {"cuont": "3"})


def test_an_unquoted_date_of_yaml_is_a_date(known):
    assert parameters.override(known, {"as_of": datetime.date(2021, 9, 1)})["as_of"] == "2021-09-01"


def test_both_ends_of_a_range_are_allowed(known):
    assert parameters.override(known, {"share": "0"})["share"] == 0.0
    assert parameters.override(known, {"share": "1"})["share"] == 1.0


def test_a_running_notebook_is_checked_the_same_way(notebook):
    namespace: dict = {}
    exec(PARAMETERS, namespace)
    assert parameters.check(str(notebook), namespace)["count"] == 3
    with pytest.raises(DesignError, match=r"Parameter count: found '3' \(str\)"):
        parameters.check(str(notebook), {**namespace, "count": "3"})
    with pytest.raises(DesignError, match=r"Parameter share: found 2\.0"):
        parameters.check(str(notebook), {**namespace, "share": 2.0})
    del namespace["tier"]
    with pytest.raises(DesignError, match=r"Parameter tier of .* it is not defined"):
        parameters.check(str(notebook), namespace)


def test_a_name_is_looked_for_in_the_notebooks_folder(notebook, monkeypatch):
    monkeypatch.setattr(parameters, "NOTEBOOKS", notebook.parent)
    with pytest.raises(DesignError, match=r"Parameter as_of of 07_question\.ipynb"):
        parameters.check("07_question.ipynb", {})


ORDERED = """\
low: float = 0.2  # allowed 0.05 to high
mid: float = 1  # allowed low to high
high: float = 1.0  # allowed 0.05 to 1
before: int = 2021  # allowed 2020 to after
after: int = 2022  # allowed before to 2023
first: str = "2021-01-05"  # first day; allowed 2020-12-01 to last
last: str = "2021-04-23"  # last day; allowed date
"""


@pytest.fixture
def ordered(tmp_path):
    return read_cell(tmp_path, ORDERED)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"low": "0.6", "high": "0.5"}, r"low: found 0\.6 \(float\); .* allowed 0\.05 to high, where high is 0\.5\."),
        ({"high": "0.5"}, r"mid: found 1\.0 \(float\); .* allowed low to high, where low is 0\.2 and high is 0\.5\."),
        ({"low": "0.01"}, r"low: found 0\.01 .* where high is 1\.0"),
        ({"before": "2023"}, r"before: found 2023 .* where after is 2022"),
        ({"after": "2020"}, r"before: found 2021 .* where after is 2020"),
        ({"after": "2024"}, r"after: found 2024 .* allowed before to 2023"),
        (
            {"last": "2021-01-04"},
            r"first: found '2021-01-05' .* YYYY-MM-DD, 2020-12-01 to last, where last is 2021-01-04",
        ),
        ({"first": "2020-11-30"}, r"first: found '2020-11-30'"),
        ({"first": "soon"}, r"first: found 'soon' .* a date YYYY-MM-DD"),
        ({"last": "late"}, r"last: found 'late' .* a date YYYY-MM-DD"),
        ({"high": "most"}, r"high: found 'most'"),
    ],
)
def test_a_bound_may_be_another_parameter_in_command_line_and_setup_cell_alike(tmp_path, ordered, given, message):
    with pytest.raises(DesignError, match=f"Parameter {message}"):
        parameters.override(ordered, given)
    namespace: dict = {}
    exec(ORDERED, namespace)
    types = {parameter.name: type(parameter.default) for parameter in ordered}
    typed = {name: text if text.isalpha() else types[name](text) for name, text in given.items()}
    with pytest.raises(DesignError, match=f"Parameter {message}"):
        parameters.check(str(tmp_path / "cell.ipynb"), {**namespace, **typed})


def test_the_bound_is_the_value_in_force_and_both_ends_are_allowed(ordered):
    assert parameters.override(ordered, {})["mid"] == 1.0
    moved = parameters.override(ordered, {"after": "2023", "before": "2023", "high": "0.2", "mid": "0.2"})
    assert (moved["before"], moved["after"], moved["mid"]) == (2023, 2023, 0.2)
    assert parameters.override(ordered, {"first": datetime.date(2021, 4, 23)})["first"] == "2021-04-23"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x: int = 3  # allowed 1 to y\ny: int = 2", r"x: found 3 \(int\); .* allowed 1 to y, where y is 2"),
        ("x: int = 3  # allowed 1 to y", "x: the comment says `allowed 1 to y`, which is no rule for int"),
        ("x: int = 3  # allowed x to 4", "`allowed x to 4`, which is no rule for int"),
        ('x: int = 3  # allowed 1 to y\ny: str = "5"', "`allowed 1 to y`, which is no rule for int"),
        ("x: int = 1  # allowed 0 to y\ny: bool = True", "`allowed 0 to y`, which is no rule for int"),
        ('x: str = "2021-01-01"  # allowed 2020-01-01 to y\ny: str = "2022-01-01"', "no rule for str"),
        ("x: bool = True  # allowed y to y\ny: bool = True", "no rule for bool"),
    ],
)
def test_a_bound_that_cannot_be_one_or_excludes_a_default_is_refused(tmp_path, source, message):
    with pytest.raises(DesignError, match=message):
        read_cell(tmp_path, source)


def test_a_running_notebook_knows_the_parameters_of_its_own_tier_alone(tmp_path):
    lines = (
        'data_tier: str = "sim"  # tier of the data; allowed facts | panel | sim\n'
        "seed: int = 1  # tier sim: seed of the market\n"
        "cut: int = 2  # tiers panel, sim: smallest dose; allowed 0 to 5\n"
        "share: int = 3  # tier facts: assumed\n"
        "rest: int = 4  # tiers of a cake\n"
    )
    notebook = str(tmp_path / "tiers.ipynb")
    write_notebook(tmp_path / "tiers.ipynb", parameters=lines)
    values = {"data_tier": "sim", "seed": 1, "cut": 2, "share": 3, "rest": 4}
    assert list(parameters.check(notebook, values)) == ["data_tier", "seed", "cut", "rest"]
    assert list(parameters.check(notebook, values | {"data_tier": "facts"})) == ["data_tier", "share", "rest"]
    with pytest.raises(DesignError, match="cut"):  # of whatever tier, a wrong value is refused
        parameters.check(notebook, values | {"data_tier": "facts", "cut": 9})
