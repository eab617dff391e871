"""Nothing of the machine, its user or what a user keeps to himself is in anything that a run writes."""

import base64
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pandas as pd
import pypdf
import pytest

from analysis.provenance import ROOT

SECRET = "planted-secret-5f1c9ab2e7d04c63"
USER = "planted-user-90b3d1"
FOLDER = "planted-folder-c4e8a7"
EVENT = """\
title: A closure of accounts that was made up
home: AMZ
platforms: {AMZ: Amazon, EBY: eBay, ALI: AliExpress, WMT: Walmart, OWN: own sites}
destinations: [EBY, ALI]
origin: CN
origin_name: Chinese
waves: [2021-05, 2021-06, 2021-07, 2021-08]
claims: {X1: {claimant: Somebody, readings: {growth_not_lower: It grew as before.}}}
"""


def parts(name: str, content: bytes):
    """Yield a file and all that is packed in it, by name."""
    yield name, content
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            for inner in packed.namelist():
                yield from parts(f"{name}/{inner}", packed.read(inner))
    for number, picture in enumerate(re.findall(rb"base64,([A-Za-z0-9+/=]+)", content)):
        yield from parts(f"{name}/{number}", base64.b64decode(picture))
    if content.startswith(b"%PDF"):  # in whose streams a text is numbers of glyphs
        pages = "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages)
        yield f"{name}/pages", "".join(pages.split()).encode()
        for number, stream in enumerate(re.findall(rb"stream\r?\n(.*?)endstream", content, re.DOTALL)):
            unpacked = zlib.decompressobj()
            try:
                yield f"{name}/{number}", unpacked.decompress(stream)
            except zlib.error:
                yield f"{name}/{number}", stream
    if name.endswith(".parquet"):
        yield f"{name}/rows", pd.read_parquet(io.BytesIO(content)).to_csv().encode()


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp(FOLDER)
    for file in ("tidy.csv", "tidy.map.yml"):
        shutil.copy(ROOT / "data" / "examples" / file, home)
    (home / "event.yml").write_text(EVENT)
    environment = os.environ | {"PLANTED_TOKEN": SECRET, "AWS_SECRET_ACCESS_KEY": SECRET, "SMTP_PASSWORD": SECRET}
    environment |= {"HOME": str(home), "USER": USER, "LOGNAME": USER, "HOSTNAME": USER, "TMPDIR": str(home)}
    own = ["--panel", "tidy.csv", "--map", "tidy.map.yml", "--event", "event.yml", "--out", "out"]
    command = [sys.executable, "-m", "analysis", "run", *own]
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return home / "out"


def test_what_stands_on_a_page_is_looked_at(published):
    pages = (published / "latest" / "annex.pdf").read_bytes()
    assert any(b"tidy.csv" in content for _, content in parts("annex.pdf", pages))


def test_a_run_publishes_no_secret_path_user_or_host(published):
    host = socket.gethostname()
    planted = {SECRET, USER, FOLDER, str(ROOT), *([host] if len(host) > 6 else [])}
    looked_at, found = 0, set()
    for path in published.rglob("*"):
        if path.is_file():
            for name, content in parts(str(path.relative_to(published)), path.read_bytes()):
                looked_at += 1
                found |= {
                    (name, one) for one in planted if one.encode() in content or one.encode("utf-16-le") in content
                }
    assert found == set()
    assert looked_at > 50


def test_the_panel_is_published_by_name_and_digest(published):
    notebook = json.loads((published / "latest" / "sim__05_growth_panel.ipynb").read_text(encoding="utf-8"))
    injected = ["".join(cell["source"]) for cell in notebook["cells"] if "injected-parameters" in str(cell["metadata"])]
    assert 'panel_path = "tidy.csv"' in injected[0]
    manifest = json.loads((published / "latest" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["reports"]["sim__05_growth_panel"]["parameters"]["panel_path"] == "tidy.csv"
    assert set(manifest["reports"]["sim__05_growth_panel"]["files"]) == {"tidy.csv", "tidy.map.yml", "event.yml"}
