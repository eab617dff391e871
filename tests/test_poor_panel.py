"""A panel that can carry little: its reports are made all the same, and say in each place why there
is nothing.
"""

import json
import re
from dataclasses import replace

import pytest
from panels import called_real
from pypdf import PdfReader

from runner import Exit
from runner.cli import main

WHOLE = [
    "panel__03_closed_firms",
    "panel__04_spillovers",
    "panel__05_growth_panel",
    "panel__06_shift_panel",
]


@pytest.fixture(scope="module")
def panel():
    return called_real(n_firms=2000, n_categories=30)


def reported(panel, folder, names) -> tuple[dict[str, str], dict[str, dict]]:
    """Return the text of reports on a panel, and the verdicts by claim and reading."""
    panel.to_parquet(folder / "own.parquet")
    given = ["--panel", str(folder / "own.parquet"), "--out", str(folder / "out")]
    assert main(["run", *names, *given]) == Exit.OK
    out = folder / "out" / "draft"
    told = {
        name: [page.extract_text() for page in PdfReader(out / f"{name}.pdf").pages]
        for name in names
    }
    rows = json.loads((out / "verdicts.json").read_text(encoding="utf-8"))
    found = {f"{row['claim']} {row['reading']}": row for row in rows}
    return {name: " ".join(" ".join(pages).split()) for name, pages in told.items()}, found


@pytest.mark.slow
def test_a_panel_of_one_platform_without_risk_says_what_it_cannot_show(panel, tmp_path):
    firms = panel.firms.assign(risk=float("nan"))
    poor = replace(panel, sales=panel.sales[:, :1], platforms=panel.platforms[:1], firms=firms)
    told, found = reported(poor, tmp_path, WHOLE)
    assert "How much closed sellers lost on Amazon, against" in told["panel__03_closed_firms"]
    assert (
        "on all platforms together: not estimable with this data; on Amazon alone:"
        in told["panel__03_closed_firms"]
    )
    assert (
        "the panel covers only sales on Amazon; add other platforms"
        in told["panel__03_closed_firms"]
    )
    assert (
        "cannot separate inherited demand from chilling: risk is unknown for all"
        in told["panel__04_spillovers"]
    )
    assert "add sales there or choose other destinations" in told["panel__06_shift_panel"]
    assert (
        "This panel holds Amazon alone, so it does not show where sales went"
        in told["panel__06_shift_panel"]
    )
    assert "Confidence in this verdict" not in told["panel__06_shift_panel"]
    assert "diamond" not in told["panel__05_growth_panel"]
    assert "the truth" not in told["panel__05_growth_panel"]
    assert {found[f"C07 {reading}"]["word"] for reading in ("invest", "sell")} == {"Not testable"}
    assert found["C01 V2"]["low"] is not None
    assert (
        "“left over: bought elsewhere or not at all” includes its sales"
        in told["panel__06_shift_panel"]
    )
    assert not re.search(
        r"\b(d[1-7]|AMZ)\b", told["panel__03_closed_firms"] + told["panel__06_shift_panel"]
    )


@pytest.mark.slow
def test_a_panel_of_one_origin_has_the_reason_in_place_of_its_share(panel, tmp_path):
    alone = replace(panel, firms=panel.firms.assign(origin="CN"))
    told, found = reported(alone, tmp_path, WHOLE[1:3])
    assert (
        "sellers of other origins, for ten points of exposure not estimable with this data"
        in told[WHOLE[1]]
    )
    assert "firms are from origin CN; add sellers from other origins" in told[WHOLE[2]]
    assert found["C16"]["word"] == "Not testable"
    assert found["C01 V2"]["low"] is not None


@pytest.mark.slow
def test_a_report_on_closed_firms_that_lose_all_at_home_fits_its_page(tmp_path):
    given = ["-p", "sim_preset=floor_3k", "-p", "seed=2", "--out", str(tmp_path)]
    assert main(["run", "simulated/03_closed_firms", *given]) == Exit.OK
    first, second, *_ = PdfReader(tmp_path / "draft" / "simulated/03_closed_firms.pdf").pages
    assert "on Amazon alone: −100.0 per cent" in " ".join(first.extract_text().split())
    assert "sold nothing in the window; a total loss has no standard error" in " ".join(
        second.extract_text().split()
    )
