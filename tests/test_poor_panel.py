"""A panel that can carry little: its reports are made all the same, and say in each place why there
is nothing.
"""

import re
from dataclasses import replace

import pytest
from panels import called_real
from reading import pages, pdf_text, read_json

from runner import Exit
from runner.cli import main

WHOLE = [
    "panel_01_closed_firms",
    "panel_02_spillovers",
    "panel_03_growth",
    "panel_04_shift",
]


@pytest.fixture(scope="module")
def panel():
    return called_real(n_firms=2000, n_categories=30)


def reported(panel, folder, names):
    """Return the text of reports on a panel, and the verdicts by claim and reading."""
    panel.to_parquet(folder / "own.parquet")
    given = ["--panel", str(folder / "own.parquet"), "--out", str(folder / "out")]
    assert main(["run", *names, *given]) == Exit.OK
    out = folder / "out" / "draft"
    told = {name: pdf_text(out / f"{name}.pdf") for name in names}
    rows = read_json(out / "verdicts.json")
    found = {f"{row['claim']} {row['reading']}".strip(): row for row in rows}
    return told, found


@pytest.mark.slow
def test_a_panel_of_one_platform_without_risk_says_what_it_cannot_show(panel, tmp_path):
    firms = panel.firms.assign(risk=float("nan"))
    poor = replace(panel, sales=panel.sales[:, :1], platforms=panel.platforms[:1], firms=firms)
    told, found = reported(poor, tmp_path, WHOLE)
    assert "sold less than they would have otherwise" in told["panel_01_closed_firms"]
    assert (
        "as a multiple of what the closed accounts had sold: not estimable with this data."
        in told["panel_01_closed_firms"]
    )
    assert (
        "the panel covers only sales on Amazon; add other platforms"
        in told["panel_01_closed_firms"]
    )
    assert (
        "cannot separate inherited demand from chilling: risk is unknown for all"
        in told["panel_02_spillovers"]
    )
    assert "add sales there or choose other destinations" in told["panel_04_shift"]
    assert (
        "This panel holds Amazon alone, so it does not show where sales went"
        in told["panel_04_shift"]
    )
    assert "A regression" not in told["panel_04_shift"]
    assert "truth" not in told["panel_03_growth"]
    assert {found[f"C07 {reading}"]["word"] for reading in ("invest", "sell")} == {"Not testable"}
    assert found["C01 V2"]["low"] is not None
    assert (
        "“left over: bought elsewhere or not at all” includes its sales" in told["panel_04_shift"]
    )
    assert not re.search(
        r"\b(d[1-7]|AMZ)\b", told["panel_01_closed_firms"] + told["panel_04_shift"]
    )


@pytest.mark.slow
def test_a_panel_of_one_origin_has_the_reason_in_place_of_its_share(panel, tmp_path):
    alone = replace(panel, firms=panel.firms.assign(origin="CN"))
    told, found = reported(alone, tmp_path, WHOLE[1:3])
    assert (
        "sellers of other origins, ten points more not estimable with this data" in told[WHOLE[1]]
    )
    assert "firms are from origin Chinese; add sellers from other origins" in told[WHOLE[2]]
    assert found["C16"]["word"] == "Not testable"
    assert found["C01 V2"]["low"] is not None


@pytest.mark.slow
def test_a_report_on_closed_firms_that_lose_all_at_home_fits_its_page(tmp_path):
    given = ["-p", "sim_preset=floor_3k", "-p", "seed=2", "--out", str(tmp_path)]
    assert main(["run", "simulated/panel_01_closed_firms", *given]) == Exit.OK
    first, second, *_ = pages(tmp_path / "draft" / "simulated/panel_01_closed_firms.pdf")
    assert "Change of their sales on Amazon alone: −100.0 per cent" in first
    assert "sold nothing in the window; a total loss has no standard error" in second
