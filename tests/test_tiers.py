"""Cells that belong to some tiers: what names them, and what runs in a notebook."""

import pytest
from IPython.core.interactiveshell import InteractiveShell

from analysis import tiers
from analysis.errors import DesignError


@pytest.fixture
def shell():
    InteractiveShell.clear_instance()
    found = InteractiveShell.instance()
    tiers.load_ipython_extension(found)
    yield found
    InteractiveShell.clear_instance()


def run(shell, tier, cell):
    shell.user_ns["data_tier"] = tier
    return shell.run_cell(cell)


def test_a_cell_names_its_tiers_in_its_first_line_in_code_and_in_text():
    assert tiers.of("%%tier listed\nx = 1") == ("listed",)
    assert tiers.of("*Tier: panel, sim*\n\n## On a panel") == ("panel", "sim")
    assert tiers.of("x = 1\n%%tier sim") == ()
    assert tiers.body("%%tier panel sim\nx = 1\n") == "x = 1\n"
    assert tiers.body("*Tier: sim*\n\n# A") == "# A"


def test_a_cell_of_the_tier_runs_in_the_notebook_s_own_names_and_shows_its_last_expression(shell):
    done = run(shell, "sim", "%%tier panel sim\nx = 20\nx + 1")
    assert done.success
    assert done.result == 21
    assert shell.user_ns["x"] == 20
    assert run(shell, "sim", "%%tier sim\nx;").result is None
    assert run(shell, "sim", "%%tier sim\ny = x").result is None
    assert shell.user_ns["y"] == 20


def test_a_cell_of_another_tier_does_nothing(shell):
    done = run(shell, "listed", "%%tier panel sim\nz = 1 / 0")
    assert done.success
    assert done.result is None
    assert "z" not in shell.user_ns


def test_an_error_in_a_cell_is_the_cell_s_own(shell):
    with pytest.raises(ZeroDivisionError):
        run(shell, "sim", "%%tier sim\n1 / 0").raise_error()


@pytest.mark.parametrize("line", ["%%tier", "%%tier sim pannel"])
def test_a_tier_that_there_is_not_is_refused(shell, line):
    with pytest.raises(DesignError, match="use facts, listed, panel, sim"):
        run(shell, "sim", f"{line}\nx = 1").raise_error()
