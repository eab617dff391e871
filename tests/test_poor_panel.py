"""A panel that can carry little: its reports are made all the same, and say in each place why there is nothing."""

import json
from dataclasses import replace

import pytest
from panels import called_real
from pypdf import PdfReader

from analysis.__main__ import main
from analysis.report import Exit

WHOLE = ["panel__03_closed_firms", "panel__04_spillovers", "panel__05_growth_panel", "panel__06_shift_panel"]


@pytest.fixture(scope="module")
def panel():
    return called_real(n_firms=2000, n_categories=30)


def reported(panel, folder, names) -> tuple[dict[str, str], dict[str, dict]]:
    """Return the text of reports on a panel, and the verdicts by claim and reading."""
    panel.to_parquet(folder / "own.parquet")
    given = ["--panel", str(folder / "own.parquet"), "--out", str(folder / "out")]
    assert main(["report", *names, *given]) == Exit.OK
    out = next((folder / "out").glob("20*"))
    told = {name: [page.extract_text() for page in PdfReader(out / f"{name}.pdf").pages] for name in names}
    rows = json.loads((out / "verdicts.json").read_text(encoding="utf-8"))
    found = {f"{row['claim']} {row['reading']}": row for row in rows}
    return {name: " ".join(" ".join(pages).split()) for name, pages in told.items()}, found


def test_a_panel_of_one_platform_without_risk_says_what_it_cannot_show(panel, tmp_path):
    firms = panel.firms.assign(risk=float("nan"))
    poor = replace(panel, sales=panel.sales[:, :1], platforms=panel.platforms[:1], firms=firms)
    told, found = reported(poor, tmp_path, WHOLE)
    assert "the risk of firms was asked for; it is known for none of" in told["panel__04_spillovers"]
    assert "bring sales there, or name other destinations" in told["panel__06_shift_panel"]
    assert {found[f"C07 {reading}"]["word"] for reading in ("invest", "sell")} == {"Not testable with this data"}
    assert found["C01 V2"]["low"] is not None


def test_a_panel_of_one_origin_has_the_reason_in_place_of_its_share(panel, tmp_path):
    alone = replace(panel, firms=panel.firms.assign(origin="CN"))
    told, found = reported(alone, tmp_path, WHOLE[2:3])
    assert "V3: not estimable with this data. The share of CN in home sales was asked for" in told[WHOLE[2]]
    assert found["C01 V3"]["word"] == "Not testable with this data"
    assert found["C01 V2"]["low"] is not None
