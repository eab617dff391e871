"""What a user calls: its examples run, nothing else is offered, and nothing is loaded before it is
asked for; the library knows nothing of the project in whose repository it lies.
"""

import ast
import doctest
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from fewtreated.estimate import refusal

import fewtreated as ft

FOLDER = Path(__file__).resolve().parent.parent
SOURCES = sorted((FOLDER / "src").rglob("*.py"))
TESTS = sorted((FOLDER / "tests").rglob("*.py"))
REQUIRED = {"numpy", "pandas", "scipy"}
FUNCTIONS = [name for name in ft.__all__ if inspect.isfunction(getattr(ft, name))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_examples_of_a_public_function_run(name):
    run = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for example in doctest.DocTestFinder().find(getattr(ft, name), name, globs={}):
        run.run(example)
    assert run.tries > 0
    assert run.failures == 0


def test_what_is_offered_for_completion_is_what_a_user_calls():
    from fewtreated.estimators import att_gt

    from fewtreated import testing

    assert dir(ft) == sorted(ft.__all__)
    assert dir(ft.arrays) == sorted(ft.arrays.__all__)
    assert dir(att_gt) == ["GroupTime", "att_gt"]
    assert "noninferiority" in dir(testing)
    assert not {"np", "pd", "annotations", "Floats", "DRAWS"} & {*dir(testing)}


def test_a_plot_without_matplotlib_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"Cannot plot: .* install fewtreated\[plot\]"):
        refusal("nobody was treated").plot()


def test_another_name_is_refused_with_those_that_there_are():
    with pytest.raises(AttributeError, match=r"no attribute 'att_g'; choose from .*att_gt"):
        ft.att_g  # noqa: B018


def test_the_library_loads_nothing_until_it_is_asked():
    code = "import fewtreated, fewtreated.errors, sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not REQUIRED & {*run.stdout.split()}


def imported(path):
    """Return the top names of everything that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_a_module_imports_only_what_the_library_requires(path):
    others = imported(path) - {*sys.stdlib_module_names} - REQUIRED - {"fewtreated"}
    if path.stem == "display":
        assert others == {"matplotlib"}  # within the function that draws
    elif path.stem == "tables":
        assert others == {"great_tables"}  # within the function, for HTML
    else:
        assert others <= {"matplotlib"}


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_no_test_needs_the_project(path):
    assert not imported(path) & {"analysis", "benchmarks", "market", "runner"}
