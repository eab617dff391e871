"""The table of estimates, what it says of those that are missing or small or off the truth, and
results without any.
"""

import re

import numpy as np
import pandas as pd
import pytest

from analysis.estimands.design import with_printed_names
from analysis.estimate import Estimate
from analysis.evidence.verdicts import NOT_SHOWN, Verdict
from analysis.exhibits import blocks, charts, curves
from analysis.exhibits.payload import of_estimates

pytestmark = pytest.mark.usefixtures("simulated_look")


V2 = Verdict(
    claim="C01",
    reading="V2",
    statement="Growth was not lower.",
    claimant="Amazon",
    word=NOT_SHOWN,
    confidence="moderate",
    tier="panel",
    provenance="simulated",
    market="a market",
    why="The set holds both.",
    change="A panel.",
    as_of="2026-11-01",
    notebook="panel/03_growth",
)
ROWS = pd.DataFrame(
    {
        "id": ["A", "B", "C"],
        "label": ["first", "second", "third"],
        "estimate": [1.0, -8.0, np.nan],
        "conf_low": [-1.0, -9.0, np.nan],
        "conf_high": [3.0, -7.0, np.nan],
        "unit": ["per cent", "per cent", None],
        "n": [10, 20, np.nan],
        "mde": [2.8, 1.4, np.nan],
        "reason": ["", "", "nobody was closed"],
    }
)


def cells(block):
    rows = re.findall("<tr>(.*?)</tr>", block.html)[1:]
    return [re.findall("<td[^>]*>(.*?)</td>", row) for row in rows]


def test_what_has_no_interval_is_taken_away_without_a_grade():
    rows = pd.DataFrame({"label": ["a", "b"], "conf_low": [1.0, None], "grade": "usable"})
    assert of_estimates("estimates", "", rows).data["grade"].tolist() == ["usable", ""]


def test_codes_become_names_as_whole_words_in_labels_and_reasons():
    rows = ROWS.assign(
        label=["moved to EBY", "EBYE", "by CN rivals"], reason=["EBY opened to CN", "", ""]
    )
    named = with_printed_names(rows, {"EBY": "eBay", "CN": "Chinese"})
    assert named["label"].tolist() == ["moved to eBay", "EBYE", "by Chinese rivals"]
    assert named["reason"].tolist() == ["eBay opened to Chinese", "", ""]


def made(value=np.nan, *, reason="nobody was closed.", limits=np.nan, terms=("seen",)):
    size = len(terms)
    ends = np.full((2, size), limits)
    return Estimate(
        estimand="E3g",
        unit="ratio",
        terms=terms,
        value=np.full(size, value),
        limits=ends,
        reason=reason,
    )


@pytest.mark.parametrize("refusal", [made(), made(terms=())])
@pytest.mark.parametrize(
    "show",
    [
        lambda found, caption: blocks.figure(charts.forest(found, xlabel="x"), caption),
        lambda found, caption: blocks.figure(
            curves.event_study_chart(found, reference=-1, ylabel="y"), caption
        ),
    ],
)
def test_an_exhibit_of_a_refused_estimate_is_one_line_with_its_name_and_the_reason(show, refusal):
    told = "Effect on growth: not estimable with this data. Nobody was closed."
    assert show(refusal, "Effect on growth, 2021 on 2020 (E3g).").text == told


@pytest.mark.parametrize("found", [made(1.0), made(limits=0.0)])
def test_a_reason_beside_a_number_is_no_reason_to_show_nothing(found):
    assert charts.forest(found, xlabel="x").axes


def test_what_is_taken_away_is_in_the_files_and_not_on_the_page():
    shown = blocks.estimates(ROWS, "Effects.")
    taken = blocks.taken_away(shown)
    assert (taken.html, taken.text) == ("", "")
    assert taken.parts == shown.parts != ()


def test_a_table_of_estimates_takes_its_caption_from_the_text_below_and_adds_its_notes():
    shown = blocks.estimates(ROWS)
    assert "<!--caption--> Unit: per cent. Detectable: the smallest effect" in shown.html
    assert shown.parts[0].caption == blocks.CAPTION
    assert "third:</strong> nobody was closed." in shown.html.lower()
