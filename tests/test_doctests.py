"""What a user calls: its examples run, nothing else is offered, and nothing is loaded before it is asked for."""

import doctest
import subprocess
import sys

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

import analysis
from analysis.provenance import ROOT

PUBLIC = analysis.__all__


@pytest.mark.parametrize("name", PUBLIC)
def test_the_examples_of_a_public_name_run(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    run = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    found = getattr(analysis, name)
    for example in doctest.DocTestFinder().find(found, name, globs={}):
        run.run(example)
    assert run.tries > 0
    assert run.failures == 0


@pytest.mark.parametrize("jedi", [True, False])
def test_tab_completion_shows_what_a_user_calls_and_nothing_else(jedi):
    shell = InteractiveShell()
    shell.run_cell("import analysis, analysis.estimators.att_gt, analysis.testing, analysis.panel")
    shell.Completer.use_jedi = jedi

    def offered(text: str) -> set[str]:
        with provisionalcompleter():
            return {one.text.lstrip(".") for one in shell.Completer.completions(text, len(text))}

    assert offered("analysis.") == set(PUBLIC)
    assert offered("analysis.panel.") == {"Panel", "read_panel"}
    assert offered("analysis.estimators.att_gt.") == {"GroupTime", "att_gt"}
    assert "noninferiority" in offered("analysis.testing.")
    assert not offered("analysis.testing.") & {"np", "pd", "annotations", "Floats", "DRAWS"}


def test_the_package_loads_nothing_until_it_is_asked():
    code = "import analysis, sys; print(*{'numpy', 'pandas', 'scipy'} & set(sys.modules)); analysis.att_gt"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_another_name_is_refused_with_those_that_there_are():
    with pytest.raises(AttributeError, match=r"no attribute 'att_g'; choose from .*att_gt"):
        analysis.att_g  # noqa: B018
