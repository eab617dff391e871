"""The page with a regression on a panel: its code runs, and finds the numbers that it prints."""

import re

import numpy as np
import pytest
from reading import project_text

from analysis.panel import read_panel
from analysis.provenance import ROOT

PAGE = project_text("docs/own-regression.md")
BLOCK = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
PRINTED = dict(re.findall(r"^\| (statsmodels|pyfixest) \| (.*) \|$", PAGE, re.MULTILINE))


@pytest.fixture(scope="module")
def names():
    """What the block of the page sets."""
    names = {}
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(ROOT)
        exec(BLOCK, names)
    return names


def test_two_libraries_agree_and_give_the_numbers_of_the_page(names):
    here = names["in_statsmodels"]
    there = names["in_pyfixest"]
    found = {
        "statsmodels": (here.params["closed"], here.bse["closed"]),
        "pyfixest": (there.coef()["closed"], there.se()["closed"]),
    }
    assert {name: f"{value:.2f} | {error:.2f}" for name, (value, error) in found.items()} == PRINTED
    np.testing.assert_allclose(found["statsmodels"][0], found["pyfixest"][0], rtol=1e-6)


def test_the_columns_of_the_page_are_those_of_the_frame(names):
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == [*names["frame"]]


def test_the_panel_without_a_firm_is_the_panel_less_one(names):
    map_ = ROOT / "data" / "examples" / "tidy.map.yml"
    panel = read_panel(ROOT / "data" / "examples" / "tidy.csv", map=map_)
    without = names["without"]
    kept = panel.firms.index != names["largest"]
    assert [*without.firms.index] == [*panel.firms.index[kept]]
    np.testing.assert_array_equal(without.sales, panel.sales[kept])
