"""Another crackdown is another file: no report on it names the one that ships."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from pypdf import PdfReader

from analysis import load_estimates
from analysis.market import simulate
from analysis.provenance import ROOT
from analysis.report import Exit

CODES = {"AMZ": "BAZ", "EBY": "SQR", "ALI": "HLL", "WMT": "PIE", "OWN": "DIY"}
TITLE = "The closing of the northern bazaars"
EVENT = f"""
title: {TITLE}
home: BAZ
platforms: {{BAZ: Bazaar, SQR: Square, HLL: Hall, PIE: Pier, DIY: own stalls}}
destinations: [HLL]
opened: [PIE]
origin: XX
origin_name: Northern
waves: ["2031-05", "2031-06", "2031-07", "2031-08"]
claims:
  B1:
    claimant: Guild (its master)
    readings:
      growth_positive: The stalls grew.
      growth_not_lower: They grew all the same.
      share_unchanged: Their share stayed.
  B2:
    claimant: Union
    readings:
      more_sales_elsewhere: Stalls sell more in the Hall.
threats:
  F1:
    when: Jun 2031
    what: The great flood
    hits: all stalls
    threatens: E1 E3
"""
REAL = (
    r"Amazon|eBay|AliExpress|Alibaba|Walmart|Chinese|China|Shenzhen|\bCN\b|\bAMZ\b|\bEBY\b|\bALI\b|\bWMT\b|\b202[01]\b"
)


def project(folder: Path) -> Path:
    """Copy what runs, and write the event as the tutorial says."""
    for part in ("analysis", "data", "notebooks", "reports"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("20*", "latest", "scratch", "draft"))
    (folder / "docs").mkdir()
    for file in (
        "CITATION.cff",
        "docs/glossary.md",
    ):  # each release says how it is cited, each report what its words mean
        shutil.copy(ROOT / file, folder / file)
    (folder / "data" / "events" / "bazaar.yml").write_text(EVENT)
    return folder


def stalls() -> object:
    """Return a simulated panel with the platforms, the origin and the dates of the other event."""
    panel, _ = simulate("ceiling_50k", seed=2, n_firms=2000, n_categories=30)
    firms = panel.firms.assign(
        origin=panel.firms["origin"].replace({"CN": "XX"}),
        closed_on=panel.firms["closed_on"] + pd.DateOffset(years=10),
    )
    platforms = tuple(CODES[code] for code in panel.platforms)
    return replace(panel, platforms=platforms, months=panel.months + 120, firms=firms)


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Path:
    return project(tmp_path_factory.mktemp("other"))


def run(folder: Path, *asked: str) -> subprocess.CompletedProcess[str]:
    there = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "analysis", "run", *asked]
    return subprocess.run(command, cwd=folder, env=there, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def reports(other) -> Path:
    stalls().to_parquet(other / "stalls.parquet")
    done = run(other, "--panel", "stalls.parquet", "--event", "bazaar", "--out", "out")
    assert done.returncode == Exit.OK, done.stderr
    return next((other / "out").glob("20*"))


def text(pdf: Path) -> str:
    return " ".join(" ".join(page.extract_text() for page in PdfReader(pdf).pages).split())


def test_every_notebook_that_takes_a_panel_takes_this_one_and_no_public_figures_are_called_its_own(reports):
    made = {path.name[:7] for path in reports.glob("sim__*.pdf")}
    assert made == {f"sim__{number}" for number in ("00", "03", "04", "05", "06")}


def test_the_reports_speak_of_the_other_platforms_and_origin_and_name_the_event(reports):
    for number, word in (("03", "Bazaar"), ("04", "Northern"), ("05", "Northern"), ("06", "Hall"), ("00", "stalls")):
        told = text(next(reports.glob(f"sim__{number}_*.pdf")))
        assert word in told
        assert TITLE in told


def test_no_report_names_a_platform_origin_or_date_of_the_event_that_ships(reports):
    made = sorted(reports.glob("*.pdf"))
    assert len(made) == 6  # with the annex
    for pdf in made:
        assert re.findall(rf".{{0,60}}(?:{REAL}).{{0,30}}", text(pdf)) == [], pdf.name


def test_claims_and_threats_are_those_of_the_event(reports):
    judged = json.loads((reports / "verdicts.json").read_text(encoding="utf-8"))
    named = {f"{row['claim']} {row['reading']}".strip() for row in judged}
    assert named == {"B1 V1", "B1 V2", "B1 V3", "B2"}
    assert {row["statement"] for row in judged if row["claim"] == "B2"} == {"Stalls sell more in the Hall."}
    brief = text(reports / "sim__00_executive_brief.pdf")
    assert "They grew all the same" in brief
    assert re.findall(r"\bC\d\d\b", brief) == []
    assert "No claim gets a word" in brief
    assert "If the market were as simulated (stalls.parquet), then" in brief
    assert "Guild" not in brief  # what is simulated says nothing of anybody
    for number in ("03", "04", "05", "06"):
        told = text(next(reports.glob(f"sim__{number}_*.pdf")))
        assert "The great flood" in told
        assert re.findall(r"\bT\d\d\b|threats\.csv|claims\.csv|report 01", told) == []


def test_no_two_rows_of_one_table_have_the_id_of_the_effect_on_growth_and_a_set_says_what_it_is(reports):
    found = load_estimates(reports).query("table == 1 and report == 'sim__05_growth_panel'").set_index("estimand")
    assert (found.index == "E3g").sum() == 1
    assert found.loc["E3g_set", "interval"].startswith("set by 95% limits")
    assert found.loc["E3g_set", "grade"] == ""


def test_no_report_on_public_figures_is_printed_under_the_other_event(other):
    public = ["01_claims_and_context", "02_market_reaction", "03_listed_sellers", "05_growth_public", "06_shift_public"]
    public += ["09_households"]
    done = run(other, *public, "-p", "event=bazaar", "--out", "public")
    assert done.returncode == Exit.REFUSED
    for name in public:
        assert (
            f"{name}: public figures of {TITLE!r} were asked for; those of data/facts are of the event" in done.stderr
        )
    assert list((other / "public").rglob("*.pdf")) == []
