"""Each word that the text of a notebook may use: what it says, and what it refuses to say."""

import numpy as np
import pandas as pd
import pytest

from analysis import prose
from analysis.estimate import Estimate, refusal
from analysis.evidence import claims
from analysis.prose import NOT_SAID, UntrueError


def estimate(value, width=1.0):
    return Estimate(
        estimand="E1a",
        terms=("a",),
        value=np.array([value]),
        covariance=np.eye(1) * width**2,
        unit="per cent",
        provenance="estimate",
    )


FELL = estimate(-17.94)
NAMES = vars(prose) | {"FELL": FELL, "estimate": estimate, "refusal": refusal, "pd": pd}
SAID = [
    ("number(1234.56)", "1,234.6"),
    ("number(1234.56, 0)", "1,235"),
    ("number(FELL)", "−17.9 ◐"),
    ("signed(7.25, 2)", "+7.25"),
    ("plain(40.0)", "40"),
    ("plain(0.5)", "0.5"),
    ("fall(-7.25)", "7.3"),
    ("fall(FELL)", "17.9 ◐"),
    ("rise(3)", "3.0"),
    ("span([5.1, 3.3, 4])", "3.3 to 5.1"),
    ("span([2, 2])", "2.0"),
    ("part(67.4)", "67"),
    ("part([78, 67], 1)", "67.0 to 78.0"),
    ("each([1.14, 2, 0.43], 2)", "1.14, 2.00 and 0.43"),
    ("percent(0.4)", "40"),
    ("percent(0.123, 1)", "12.3"),
    ("points(2)", "2 points"),
    ("spelled(3)", "three"),
    ("day('2021-07-06')", "6 July 2021"),
    ("day(pd.Timestamp(2021, 7, 6))", "6 July 2021"),
    ("day('2021-07')", "July 2021"),
    ("names(['a', 'b', 'c'])", "a, b and c"),
    ("names(['a'])", "a"),
    ("capitalised('nobody sold')", "Nobody sold"),
    ("holds(True)", ""),
    ("when(1)", ""),
    ("when([])", NOT_SAID),
    ("chance(FELL)", ""),
    ("chance(estimate(-1.0))", ", which may be chance"),
    ("interval(FELL)", f"{FELL:interval}"),
    ("both(FELL)", f"{FELL:both}"),
]


@pytest.mark.parametrize(("asked", "said"), SAID)
def test_each_word_says_what_it_is_asked(asked, said):
    shown = eval(asked, NAMES)
    assert (shown, repr(shown)) == (said, said)  # a kernel shows it without quotes


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("fall(2.0)", r"\+2.0 is no fall"),
        ("fall(0)", "0.0 is no fall"),
        ("rise(FELL)", "−17.9 is no rise"),
        ("fall(float('nan'))", "is no fall"),
        ("fall(refusal('nobody was closed'))", "is no fall"),
        ("part([-8, 40])", "−8 to 40 per cent is no part of a whole"),
        ("part(101)", "101 per cent is no part"),
        ("holds(None)", "its condition does not hold"),
    ],
)
def test_a_word_refuses_what_is_not_so(asked, why):
    with pytest.raises(UntrueError, match=why) as error:
        eval(asked, NAMES)
    assert error.value._render_traceback_() == [f"Not so: {error.value}"]  # in JupyterLab


def test_a_verdict_is_named_by_its_word_its_claim_and_what_was_found():
    finding = claims.Finding(published=pd.DataFrame(), unit="per cent")
    hit = claims.judge("C09", finding=finding)
    assert prose.found(hit) == prose.in_brief(hit) == hit.statement
    assert ">Not testable</span>" in prose.verdict(hit)._repr_html_()


def test_every_word_is_in_the_vocabulary():
    tried = {asked.partition("(")[0] for asked, _ in SAID}
    others = {"verdict", "found", "in_brief", "term_of"}
    rules = {name for name in prose.__all__ if vars(prose)[name].__module__.endswith("words")}
    assert {*prose.__all__} == tried | others | rules - tried
    assert prose.term_of("account").startswith("A login")
