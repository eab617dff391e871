"""What a user calls: its examples run, nothing else is offered, and nothing is loaded before it is
asked for.
"""

import doctest
import subprocess
import sys

import pandas as pd
import pytest
from fewtreated.errors import DataError, DesignError
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

import analysis
import fewtreated
from analysis.provenance import ROOT


@pytest.mark.parametrize("name", analysis.__all__)
def test_the_examples_of_a_public_name_run(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    run = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for example in doctest.DocTestFinder().find(getattr(analysis, name), name, globs={}):
        run.run(example)
    assert run.tries > 0
    assert run.failures == 0


@pytest.mark.parametrize("jedi", [True, False])
def test_tab_completion_shows_what_a_user_calls_and_nothing_else(jedi):
    shell = InteractiveShell()
    shell.run_cell("import analysis, analysis.panel")
    shell.Completer.use_jedi = jedi

    def offered(text):
        with provisionalcompleter():
            return {one.text.lstrip(".") for one in shell.Completer.completions(text, len(text))}

    assert offered("analysis.") == set(analysis.__all__)
    assert offered("analysis.panel.") == {"Panel", "read_panel"}


def test_the_package_loads_nothing_until_it_is_asked():
    code = (
        "import analysis, sys; print(*{'numpy', 'pandas', 'scipy'} & set(sys.modules));"
        " analysis.read_panel"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_another_name_is_refused_with_those_that_there_are():
    with pytest.raises(AttributeError, match=r"no attribute 'desig'; choose from Design"):
        analysis.desig  # noqa: B018


def test_a_name_that_moved_says_where_it_is():
    for name in fewtreated.__all__:
        said = f"cannot import {name!r} from 'analysis': it lives in 'fewtreated'"
        with pytest.raises(ImportError, match=said):
            getattr(analysis, name)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: analysis.read_panel(pd.DataFrame()), "panel.* path.*found DataFrame; write"),
        (lambda: analysis.read_panel("a.csv", map={"home": "AMZ"}), "map.* path.*found dict"),
        (
            lambda: analysis.estimate_all(pd.DataFrame(), analysis.Design()),
            "Panel.*found DataFrame",
        ),
    ],
)
def test_something_else_than_a_path_or_a_panel_is_refused(call, says):
    with pytest.raises((DataError, DesignError), match=says):
        call()
