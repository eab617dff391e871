"""Another crackdown is another file: the reports on a fictitious platform name nothing of the one that ships."""

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from pypdf import PdfReader

from analysis.__main__ import main
from analysis.market import simulate
from analysis.report.outcomes import Exit

CODES = {"AMZ": "BAZ", "EBY": "SQR", "ALI": "HLL", "WMT": "PIE", "OWN": "DIY"}
EVENT = """
title: The closing of the northern bazaars
home: BAZ
platforms: {BAZ: Bazaar, SQR: Square, HLL: Hall, PIE: Pier, DIY: own stalls}
destinations: [HLL]
origin: XX
origin_name: Northern
waves: ["2031-05", "2031-06", "2031-07", "2031-08"]
readings: {}
claims: []
threats: []
"""
REAL = r"Amazon|eBay|AliExpress|Walmart|Chinese|\bCN\b|\bAMZ\b|\bEBY\b|\bALI\b|2021"


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("other")
    (folder / "bazaar.yml").write_text(EVENT)
    panel, _ = simulate("ceiling_50k", seed=2, n_firms=2000, n_categories=30)
    firms = panel.firms.assign(
        origin=panel.firms["origin"].replace({"CN": "XX"}),
        closed_on=panel.firms["closed_on"] + pd.DateOffset(years=10),
    )
    other = replace(
        panel, platforms=tuple(CODES[code] for code in panel.platforms), months=panel.months + 120, firms=firms
    )
    other.to_parquet(folder / "stalls.parquet")
    asked = ["report", "--panel", str(folder / "stalls.parquet"), "--event", str(folder / "bazaar.yml")]
    assert main([*asked, "--out", str(folder / "out")]) == Exit.OK
    return next((folder / "out").glob("20*"))


def text(pdf: Path) -> str:
    return " ".join(" ".join(page.extract_text() for page in PdfReader(pdf).pages).split())


def test_every_notebook_that_takes_a_panel_takes_this_one(reports):
    numbers = {path.name[5:7] for path in reports.glob("sim__*.pdf")}
    assert numbers == {"00", "03", "04", "05", "06"}


def test_the_reports_speak_of_the_other_platforms_and_origin(reports):
    for number, word in (("03", "Bazaar"), ("04", "Northern"), ("05", "Northern"), ("06", "Hall")):
        assert word in text(next(reports.glob(f"sim__{number}_*.pdf")))


def test_no_report_names_a_platform_origin_or_date_of_the_event_that_ships(reports):
    for pdf in sorted(reports.glob("sim__0[3456]_*.pdf")):
        told = re.sub(r"Data read.*?Parameters as run", "", text(pdf))  # the project's own files have their own titles
        assert re.findall(rf".{{60}}(?:{REAL}).{{30}}", told) == [], pdf.name
