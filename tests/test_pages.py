"""Exhibits as they were accepted, a file each in tests/cases/exhibits: after a change run with
ACCEPT=1, then read.
"""

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_brief import BARE, SIM, of
from test_exhibits import EVENT, V2, verdict
from test_exhibits_estimates import ROWS

from analysis.evidence import claims
from analysis.evidence.verdicts import CONTRADICTED, NOT_TESTABLE, SUPPORTED, WORDS
from analysis.exhibits import answers, blocks, brief, style

FOLDER = Path(__file__).parent / "cases" / "exhibits"
FIRMS = pd.DataFrame(
    {"Firm": ["a", "b"], "n": [1, 2000], "Change": [-0.5, np.nan], "Closed": [True, False]}
)
MIXED = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, np.nan], "kind": ["real", "estimate"]})
OWN = pd.DataFrame({"own": [1.0, 2.0], "kind": ["estimate", "real"]})
TOLD = "Of 2,000 ● accounts −16.1 to +2.8 per cent ◐ left; real figures ● are marked."
FLOOD = pd.DataFrame(
    [{"threat_id": "F1", "months": "June", "event": "Flood", "hits": "all", "threatens": "E1"}]
)
COUNT = {"low": None, "high": None, "unit": "accounts", "provenance": "real"}
FOUND = [
    V2,
    verdict(estimate=-4.0, word=SUPPORTED),
    verdict(**COUNT, estimate=3000.0, word=CONTRADICTED),
    verdict(**COUNT, claimed=3000.0, word=NOT_TESTABLE),
    verdict(**COUNT | {"unit": "brands named"}, estimate=2.0, claimed=3.0, grade="usable"),
    verdict(low=None, high=None),
]
PANEL = verdict(
    tier="panel",
    word=SUPPORTED,
    low=-0.9,
    high=0.4,
    grade="usable with bounds",
    why="It lies above.",
)
ASIDE = verdict(
    tier="panel",
    word=NOT_TESTABLE,
    aside="In this panel of 9 firms, not representative:",
    why="It stands for no others.",
    low=-4.1,
    high=-2.2,
)
MARKET = verdict(**SIM, word=CONTRADICTED, grade="usable", low=-4.1, high=-2.2)
MANY = [
    of(name, statement=f"{name}.", margin=None)
    for name in ("C06", "C03", "share_unchanged", "growth_positive")
]
MANY += [of("C08 record"), of("more_presence_elsewhere"), of("more_sales_elsewhere"), V2]
MANY += [
    of("C12", statement="Frozen.", margin=None),
    of("C02", statement="Unknown.", word=NOT_TESTABLE, **BARE),
]
REAL = {
    "table": lambda: blocks.table(
        FIRMS, "Firms.", decimals={"n": 0, "Change": 2}, signed=["Change"]
    ),
    "table of one mark": lambda: blocks.table(
        MIXED, "It was 7.5 ●.", columns={"b": "Last, first", "a": "a"}, provenance="estimate"
    ),
    "table of mixed marks": lambda: blocks.table(
        MIXED, "T.", columns={"a": "a", "b": "b"}, mark="kind"
    ),
    "sentence": lambda: (
        blocks.say(TOLD, lead="Found.") + blocks.note(TOLD) + blocks.note("Old.", warning=True)
    ),
    "threats": lambda: (
        blocks.threats_note(claims.threat_register().head(2)) + blocks.threats_note(FLOOD.head(0))
    ),
    "labels": lambda: blocks.Block("\n".join(map(answers.label, WORDS)), ""),
    "findings": lambda: blocks.table(
        pd.DataFrame({"Found": [answers.finding(one) for one in FOUND]}), "Findings."
    ),
    "scorecard": lambda: blocks.table(
        answers.scorecard(
            claims.scored([V2, verdict(reading="V1"), verdict(claim="C03", reading="")])
        ),
        "Who said what.",
    ),
    "estimates": lambda: blocks.estimates(ROWS, "Effects."),
    "estimates graded": lambda: blocks.estimates(
        ROWS.assign(grade=["usable", "do not use", "not graded"]), "Effects."
    ),
    "estimates not graded": lambda: blocks.estimates(
        ROWS.assign(grade=["usable", "not graded", ""]), "Effects."
    ),
    "estimates with truth": lambda: blocks.estimates(ROWS, "Effects.", true={"A": 2.0, "B": 0.0}),
    "estimates with truth of rows": lambda: blocks.estimates(
        ROWS.assign(truth=[5.0, np.nan, np.nan]), "Effects.", true={"A": 2.0}
    ),
    "estimates of two units": lambda: blocks.estimates(
        ROWS.assign(unit=["per cent", "ratio", None]), "Effects."
    ),
    "reasons": lambda: blocks.reasons(ROWS.assign(reason="a part of -3 to 3 points since 2021-05")),
    "brief": lambda: brief.head(
        [of("growth_positive", word=SUPPORTED), V2, of("C08 record")], EVENT, failed="05, 06"
    ),
    "brief of a panel": lambda: brief.head([V2, PANEL], EVENT, panel="Panel mine.csv: 9 firms."),
    "brief of a market": lambda: brief.head([MARKET], EVENT),
    "brief without verdicts": lambda: brief.head([], EVENT),
    "brief, an answer": lambda: brief.answers(
        [V2.model_copy(update={"detail": "It takes 3 billion."})], EVENT, "growth_not_lower"
    ),
    "brief, an answer of a panel": lambda: brief.answers([V2, PANEL], EVENT, "growth_not_lower"),
    "brief, no answer": lambda: brief.answers([MARKET], EVENT, "growth_not_lower"),
    "brief, below": lambda: brief.below(
        MANY, EVENT, since="Since the release before nothing moved."
    ),
    "brief, below a panel": lambda: brief.below([V2, PANEL], EVENT),
    "brief, below aside": lambda: brief.below([ASIDE, V2], EVENT),
    "brief, below a market": lambda: brief.below([MARKET], EVENT),
    "brief, below nothing": lambda: brief.below([], EVENT),
}
SIMULATED = {
    "simulated table": lambda: blocks.table(OWN, "T.", mark="kind"),
    "simulated table of real numbers": lambda: blocks.table(OWN, "T.", provenance="real"),
    "simulated threats": lambda: (
        blocks.threats_note(claims.threat_register()) + blocks.threats_note(FLOOD)
    ),
}


def plain(block):
    """Return what a block shows, a line a row or paragraph, without the looks that JupyterLab alone
    takes.
    """
    html = re.sub(r' style="(?!text-align)[^"]*"|;overflow-wrap[^"]*', "", block.html)
    return (
        re.sub(r"(?<=</tr>)|(?<=</p>)|(?<=</caption>)|(?<=</thead>)", "\n", html)
        + f"\n{block.text}\n"
    )


@pytest.mark.parametrize("name", REAL | SIMULATED)
def test_an_exhibit_is_as_it_was_accepted(name):
    style.use("simulated" if name in SIMULATED else "real")
    shown = plain((REAL | SIMULATED)[name]())
    file = FOLDER / f"{name}.html"
    style.use()
    if os.environ.get("ACCEPT"):
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8")


def test_every_accepted_exhibit_is_still_made():
    assert {file.stem for file in FOLDER.iterdir()} == REAL.keys() | SIMULATED.keys()
