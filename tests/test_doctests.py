"""What a user calls: its examples run, nothing else is offered, and nothing is loaded before it is
asked for.
"""

import doctest
import subprocess
import sys

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

import analysis
import fewtreated
from analysis.provenance import ROOT

PUBLIC = [*analysis.__all__, *fewtreated.__all__]
WITH_EXAMPLES = [name for name in PUBLIC if name not in ("Estimate", "arrays", "power", "survival")]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_of_a_public_name_run(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    run = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    found = getattr(analysis if name in analysis.__all__ else fewtreated, name)
    for example in doctest.DocTestFinder().find(found, name, globs={}):
        run.run(example)
    assert run.tries > 0
    assert run.failures == 0


@pytest.mark.parametrize("jedi", [True, False])
def test_tab_completion_shows_what_a_user_calls_and_nothing_else(jedi):
    shell = InteractiveShell()
    shell.run_cell(
        "import analysis, fewtreated, fewtreated.estimators.att_gt, fewtreated.testing,"
        " analysis.panel"
    )
    shell.Completer.use_jedi = jedi

    def offered(text: str) -> set[str]:
        with provisionalcompleter():
            return {one.text.lstrip(".") for one in shell.Completer.completions(text, len(text))}

    assert offered("analysis.") == set(analysis.__all__)
    assert offered("fewtreated.") == set(fewtreated.__all__)
    assert offered("analysis.panel.") == {"Panel", "read_panel"}
    assert offered("fewtreated.estimators.att_gt.") == {"GroupTime", "att_gt"}
    assert "noninferiority" in offered("fewtreated.testing.")
    assert not offered("fewtreated.testing.") & {"np", "pd", "annotations", "Floats", "DRAWS"}


def test_the_package_loads_nothing_until_it_is_asked():
    code = (
        "import analysis, sys; print(*{'numpy', 'pandas', 'scipy'} & set(sys.modules));"
        " analysis.read_panel"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_another_name_is_refused_with_those_that_there_are():
    with pytest.raises(AttributeError, match=r"no attribute 'att_g'; choose from .*att_gt"):
        fewtreated.att_g  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute 'desig'; choose from Design"):
        analysis.desig  # noqa: B018


def test_a_name_that_moved_says_where_it_is():
    with pytest.raises(
        ImportError, match=r"cannot import 'att_gt' from 'analysis': it lives in 'fewtreated'"
    ):
        from analysis import att_gt  # noqa: F401
