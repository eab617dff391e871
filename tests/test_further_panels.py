"""The audit of the methods with and without panels of a run's own, and the methods that it advises
against.
"""

import re

import pandas as pd
import pytest
from test_guards import executed

from analysis import data
from analysis.estimands.design import Design
from market import audit, grading
from runner import document

FURTHER = {"estimate": 0.3, "conf_low": -0.5, "conf_high": 1.1, "unit": "percentage points"}


def refuse(*_, **__):
    raise AssertionError("a panel was simulated")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The text of the report if it simulates nothing."""
    folder = tmp_path_factory.mktemp("audit")
    notebook = executed("methods/design_audit", {"workers": 1}, folder)
    done, _ = document.assembled(notebook, strict=True)
    return ["".join(cell["source"]) for cell in done["cells"] if cell["cell_type"] == "markdown"]


def test_the_report_simulates_nothing_unless_it_is_asked_to_and_says_so(page):
    (said,) = (text for text in page if "The code at hand:" in text)
    assert said.endswith(f"**The code at hand:** {grading.said_of_further({})}")
    assert "further panel" not in " ".join(page)


def test_a_report_without_panels_of_its_own_shows_nothing_empty(page):
    text = " ".join(page)
    assert len(text) > 3000
    assert "panels of all kinds, from the full audit" in text
    assert not re.search(r"\bnan\b|\bNone\b|\(\s*\)|\{|: \.|seeds? \d", text.split("## Method")[0])


@pytest.mark.parametrize(
    ("seeds", "sentence"),
    [
        (
            1,
            (
                "In one further panel of each kind, .* by +0.3 points; one panel of each kind gives"
                " no interval."
            ),
        ),
        (
            5,
            (
                "In 5 further panels of each kind, .* by +0.3 points (−0.5 to +1.1); zero should"
                " lie within."
            ),
        ),
    ],
)
def test_panels_of_a_run_are_held_against_the_audit(seeds, sentence):
    pattern = re.escape(sentence).replace(re.escape(".*"), ".*")
    assert re.fullmatch(pattern, grading.said_of_further({**FURTHER, "seeds": seeds}))


def test_without_seeds_nothing_is_held_against_the_audit(monkeypatch):
    table = data.load("audit")
    monkeypatch.setattr(audit, "replicate", refuse)
    assert audit.simulated_beside(table, ["mid_3k"], range(0), design=Design(), workers=1) == {}
    with pytest.raises(AssertionError, match="a panel was simulated"):
        audit.simulated_beside(table, ["mid_3k"], range(1), design=Design(), workers=1)


@pytest.mark.parametrize(
    ("preset", "name", "grade", "unsafe"),
    [
        ("mid_3k", "E1a", "do not use", {"E1a"}),
        ("few_treated", "E1a", "do not use", {"E1a"}),
        ("heavy_9", "d7", "do not use", {"d7"}),
        ("mid_3k", "E1a", "usable with bounds", set()),
        ("mid_3k", "E1a", "not graded", set()),
        (
            "null",
            "E1a",
            "do not use",
            set(),
        ),  # no real panel is one in which closures change nothing
        ("plain_null_sd1_9", "E1a", "do not use", set()),
        ("mid_3k", "E9", "do not use", set()),  # no question
    ],
)
def test_a_question_is_unsafe_if_its_method_fails_where_a_real_panel_may_be(
    preset, name, grade, unsafe
):
    rows = [(preset, name, grade), ("mid_3k", "E2a", "usable")]
    assert grading.unsafe(pd.DataFrame(rows, columns=["preset", "id", "grade"])) == unsafe


def test_the_report_counts_no_unsafe_question_as_answered_and_names_each(page):
    table = data.load("audit")
    evidence = grading.evidence(table).set_index("id")
    often = evidence.index[evidence["least"] != "none"]
    unsafe = [name for name in often if name in grading.unsafe(table)]
    assert unsafe
    answer, known = (
        next(text for text in page if words in text)
        for words in ("it reliably shows", "would show as often")
    )
    for name in unsafe:
        term = evidence.loc[name, "term"]
        assert term not in answer
        assert term in known.lower()
    assert "reliably shows one" in answer
    assert len(often) - len(unsafe) == 1
