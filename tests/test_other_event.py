"""Another crackdown is another file: no report on it names the one that ships, the machine, or what
its user hides.
"""

import base64
import io
import os
import re
import shutil
import socket
import subprocess
import sys
import zipfile
import zlib
from dataclasses import replace

import matplotlib as mpl
import pandas as pd
import pytest
from pypdf import PdfReader
from reading import pdf_text, read_json

from analysis import load_estimates
from analysis.provenance import ROOT
from market import simulate
from runner import Exit

CODES = {"AMZ": "BAZ", "EBY": "SQR", "ALI": "HLL", "WMT": "PIE", "OWN": "DIY"}
TITLE = "The closing of the northern bazaars"
EVENT = f"""
title: {TITLE}
home: BAZ
platforms: {{BAZ: Bazaar, SQR: Square, HLL: Hall, PIE: Pier, DIY: own stalls}}
destinations: [HLL]
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
NAMES = "Amazon|eBay|AliExpress|Alibaba|Walmart|Chinese|China|Shenzhen"
REAL = rf"{NAMES}|\b(CN|AMZ|EBY|ALI|WMT|202[01])\b"
PANELS = ("panel_01_closed_firms", "panel_02_spillovers", "panel_03_growth", "panel_04_shift")
SECRET = "planted-secret-5f1c9ab2e7d04c63"
USER = "planted-user-90b3d1"
FOLDER = "planted-folder-c4e8a7"


def project(folder):
    """Copy what runs, and write the event as the tutorial says."""
    for part in ("analysis", "data", "notebooks", "reports"):
        shutil.copytree(
            ROOT / part,
            folder / part,
            ignore=shutil.ignore_patterns("20*", "latest", "scratch", "draft"),
        )
    (folder / "docs").mkdir()
    for file in (
        "CITATION.cff",
        "docs/replication.md",
        "docs/glossary.md",
    ):  # each release says how it is cited, each report what its words mean
        shutil.copy(ROOT / file, folder / file)
    (folder / "data" / "events" / "bazaar").mkdir()
    (folder / "data" / "events" / "bazaar" / "event.yml").write_text(EVENT)
    (folder / "bazaar.yml").write_text(EVENT)
    (folder / "stalls.map.yml").write_text("population: census\n")
    return folder


def stalls():
    """Return a simulated panel with the platforms, the origin and the dates of the other event."""
    panel, _ = simulate("ceiling_50k", seed=2, n_firms=2000, n_categories=30)
    firms = panel.firms.assign(
        origin=panel.firms["origin"].replace({"CN": "XX"}),
        closed_on=panel.firms["closed_on"] + pd.DateOffset(years=10),
    )
    platforms = tuple(CODES[code] for code in panel.platforms)
    return replace(panel, platforms=platforms, months=panel.months + 120, firms=firms)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return project(tmp_path_factory.mktemp(FOLDER))


def run(folder, *asked):
    there = os.environ | {
        "PYTHONPATH": str(folder),
        "MPLCONFIGDIR": mpl.get_cachedir(),
    }  # fonts are listed once
    there |= {
        "HOME": str(folder),
        "USER": USER,
        "LOGNAME": USER,
        "HOSTNAME": USER,
        "TMPDIR": str(folder),
    }
    there |= {"PLANTED_TOKEN": SECRET, "AWS_SECRET_ACCESS_KEY": SECRET, "SMTP_PASSWORD": SECRET}
    command = [sys.executable, "-m", "runner", "run", *asked]
    return subprocess.run(
        command, cwd=folder, env=there, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def reports(other):
    stalls().to_parquet(other / "stalls.parquet")
    own = ("--panel", "stalls.parquet", "--map", "stalls.map.yml", "--event", "bazaar.yml")
    done = run(other, *own, "--out", "out")
    assert done.returncode == Exit.OK, done.stderr
    return (other / "out" / "latest").resolve()


def test_every_notebook_that_takes_a_panel_takes_this_one_and_no_public_figures_are_called_its_own(
    reports,
):
    made = {path.stem for path in reports.glob("simulated/*.pdf")}
    assert made == {"00_brief", *PANELS}


def test_the_reports_speak_of_the_other_platforms_and_origin_and_name_the_event(reports):
    words = ("Bazaar", "Northern", "Northern", "Hall", "stalls")
    for name, word in zip((*PANELS, "00_brief"), words, strict=True):
        told = pdf_text(reports / f"simulated/{name}.pdf")
        assert word in told
        assert TITLE in told


def test_no_report_names_a_platform_origin_or_date_of_the_event_that_ships(reports):
    made = sorted(reports.rglob("*.pdf"))
    assert len(made) == 6  # with the annex
    for pdf in made:
        assert re.findall(rf".{{0,60}}(?:{REAL}).{{0,30}}", pdf_text(pdf)) == [], pdf.name


def test_claims_and_threats_are_those_of_the_event(reports):
    judged = read_json(reports / "verdicts.json")
    named = {f"{row['claim']} {row['reading']}".strip() for row in judged}
    assert named == {"B1 V1", "B1 V2", "B1 V3", "B2"}
    assert {row["statement"] for row in judged if row["claim"] == "B2"} == {
        "Stalls sell more in the Hall."
    }
    brief = pdf_text(reports / "simulated/00_brief.pdf")
    assert "They grew all the same" in brief
    assert re.findall(r"\bC\d\d\b", brief) == []
    assert "No claim could be judged" in brief
    assert "In the simulated market (stalls.parquet)" in brief
    assert "Guild" not in brief  # what is simulated says nothing of anybody
    for name in PANELS:
        told = pdf_text(reports / f"simulated/{name}.pdf")
        assert "The great flood" in told
        assert re.findall(r"\bT\d\d\b|threats\.csv|claims\.csv|report 01", told) == []


def test_no_two_rows_of_one_table_have_the_id_of_the_effect_on_growth_and_a_set_says_what_it_is(
    reports,
):
    found = (
        load_estimates(reports)
        .query("table == 1 and report == 'simulated/panel_03_growth'")
        .set_index("estimand")
    )
    assert (found.index == "E3g").sum() == 1
    assert found.loc["E3g_set", "interval"].startswith("bounds from 95% limits")
    assert found.loc["E3g_set", "grade"] == ""


def test_no_report_on_public_figures_is_printed_under_the_other_event(other):
    name = "03_shift"  # the others ask the same, as test_notebooks.py sees
    done = run(other, name, "-p", "event=bazaar", "--out", "public")
    assert done.returncode == Exit.REFUSED
    assert (
        f"{name}: Cannot use public figures for {TITLE!r}: the figures of this report describe"
        in done.stderr
    )
    assert list((other / "public").rglob("*.pdf")) == []


def parts(name, content):
    """Yield a file and all that is packed in it, by name."""
    yield name, content
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            for inner in packed.namelist():
                yield from parts(f"{name}/{inner}", packed.read(inner))
    for number, picture in enumerate(re.findall(rb"base64,([A-Za-z0-9+/=]+)", content)):
        yield from parts(f"{name}/{number}", base64.b64decode(picture))
    if content.startswith(b"%PDF"):  # in whose streams a text is numbers of glyphs
        pages = "".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)
        yield f"{name}/pages", "".join(pages.split()).encode()
        for number, stream in enumerate(
            re.findall(rb"stream\r?\n(.*?)endstream", content, re.DOTALL)
        ):
            unpacked = zlib.decompressobj()
            try:
                yield f"{name}/{number}", unpacked.decompress(stream)
            except zlib.error:
                yield f"{name}/{number}", stream
    if name.endswith(".parquet"):
        yield f"{name}/rows", pd.read_parquet(io.BytesIO(content)).to_csv().encode()


def test_what_stands_on_a_page_is_looked_at(reports):
    pages = (reports / "annex.pdf").read_bytes()
    assert any(b"stalls.parquet" in content for _, content in parts("annex.pdf", pages))


def test_a_run_publishes_no_secret_path_user_or_host(reports):
    host = socket.gethostname()
    planted = {SECRET, USER, FOLDER, str(ROOT), *([host] if len(host) > 6 else [])}
    looked_at = 0
    found = set()
    for path in reports.parent.rglob("*"):
        if path.is_file():
            for name, content in parts(str(path.relative_to(reports.parent)), path.read_bytes()):
                looked_at += 1
                found |= {
                    (name, one)
                    for one in planted
                    if one.encode() in content or one.encode("utf-16-le") in content
                }
    assert found == set()
    assert looked_at > 50
