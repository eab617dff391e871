"""The table beside other libraries: what is claimed of this one is held by a test."""

import re
from pathlib import Path

import pytest
import yaml

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "compared.md").read_text(encoding="utf-8")
HELD = yaml.safe_load((TESTS / "cases" / "compared.yml").read_text(encoding="utf-8"))
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ")
]


def test_each_row_says_yes_no_or_partly_of_every_library():
    head, *rows = ROWS
    assert head == ["feature", "fewtreated", "did", "fixest", "diff-diff", "HonestDiD"]
    assert {len(row) for row in rows} == {len(head)}
    assert {cell for _, *cells in rows for cell in cells} == {"yes", "no", "partly"}
    assert len({row[0] for row in rows}) == len(rows) >= 20


def test_every_yes_names_a_test_and_nothing_else_does():
    assert [feature for feature, ours, *_ in ROWS if ours == "yes"] == list(HELD)


@pytest.mark.parametrize("feature", HELD)
def test_the_test_that_holds_a_feature_exists(feature):
    sources = "\n".join(path.read_text(encoding="utf-8") for path in TESTS.glob("test_*.py"))
    assert re.search(rf"^def {HELD[feature]}\(", sources, re.MULTILINE)
