"""The annex of a run: what its reports have recorded, once, with links that lead somewhere."""

import json

import pandas as pd
import pytest
from desk import AS_OF, WRITE_VERDICTS, Desk
from pypdf import PdfReader
from reading import pdf_text
from releases import REPORT, estimate, make

from analysis.exhibits import report
from runner import Exit, annex, diff, pdf

SOURCES = pd.DataFrame(
    {"source_publisher": ["Gazette"], "source_url": ["https://gazette.org/accounts?a=1&b=2"]}
)


def executed(file, share, *resources):
    """Write an executed notebook that ends as a report does."""
    settings = {"as_of": AS_OF, "stale_after_days": 20_000, "share": share}
    shown = report.colophon(settings, resources, [SOURCES], None)._repr_mimebundle_()
    output = {"output_type": "execute_result", "metadata": {}, "execution_count": 1, "data": shown}
    cells = [
        {
            "cell_type": "code",
            "metadata": {},
            "source": "",
            "execution_count": 1,
            "outputs": [output],
        }
    ]
    file.parent.mkdir(exist_ok=True)
    file.write_text(
        json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4})
    )
    return file


@pytest.fixture
def notebooks(tmp_path):
    public = "02_growth"
    simulated = "simulated/panel_03_growth"
    return {
        public: executed(tmp_path / f"{public}.ipynb", 0.4, "claims", "events"),
        simulated: executed(tmp_path / f"{simulated}.ipynb", 0.5, "claims"),
    }


def test_the_annex_has_parameters_by_report_and_the_rest_once_with_the_reports_that_name_it(
    notebooks, tmp_path
):
    annex.typeset_annex(notebooks, tmp_path / "annex.pdf", as_of=AS_OF)
    text = pdf_text(tmp_path / "annex.pdf")
    assert "share = 0.4" in text
    assert "share = 0.5" in text
    assert text.count("2021/claims.csv") == text.count("2021/events.csv") == 1
    recorded = pd.concat(
        [annex.facts(file).assign(report=name) for name, file in notebooks.items()]
    )
    tables = annex.fact_tables(recorded)
    assert list(tables) == ["Parameters", "Files", "Sources", "Code"]
    assert '<a href="https://gazette.org/accounts?a=1&amp;b=2">' in tables["Sources"]
    assert tables["Sources"].count("02, simulated panel_03") == 1
    assert tables["Code"].count("<tr>") == 2
    outline = PdfReader(tmp_path / "annex.pdf").outline
    assert [one.title for one in outline[1]] == list(tables)


def test_the_same_reports_give_the_same_annex_to_the_byte(notebooks, tmp_path):
    for name in ("a.pdf", "b.pdf"):
        annex.typeset_annex(notebooks, tmp_path / name, as_of=AS_OF)
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def test_reports_that_ran_with_other_code_stand_apart():
    rows = [
        (report, "version", "commit", of)
        for report, of in (("01_a", "abc"), ("02_b", "def"), ("03_c", "abc"))
    ]
    recorded = pd.DataFrame(rows, columns=["report", "what", "name", "value"])
    html = annex.fact_tables(recorded)["Code"]
    assert "commit abc" in html
    assert "01, 03" in html
    assert html.count("<tr>") == 3


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path / "project")
    desk.furnish()
    desk.write("01_first", WRITE_VERDICTS)
    return desk


def test_an_annex_that_cannot_be_set_spares_the_reports(desk, capsys):
    def render(notebook, page, **options):
        if page.name == "annex.pdf":
            raise pdf.PdfError("no glyph")
        page.write_text("%PDF")

    assert desk.run("01", render=render) == Exit.PDF
    assert "annex: no PDF: no glyph" in capsys.readouterr().err
    assert (desk.draft / "01_first.pdf").is_file()
    assert not (desk.draft / "annex.pdf").exists()
    assert desk.run("01") == Exit.OK
    assert (desk.draft / "annex.pdf").is_file()


def test_the_annex_ends_with_what_moved_since_the_release_before(notebooks, tmp_path):
    harm = "x < y & $z$ #import *bold* [a](b)"
    old = make(tmp_path, "2026-11-25")
    new = make(tmp_path, "2026-11-26", estimates={REPORT: [estimate(estimate="11", label=harm)]})
    annex.typeset_annex(
        notebooks, tmp_path / "annex.pdf", as_of=AS_OF, changes=diff.between(old, new)
    )
    text = pdf_text(tmp_path / "annex.pdf")
    assert "Since the release of 2026-11-25" in text
    assert f"{harm} in {REPORT}" in text
    annex.typeset_annex(
        notebooks, tmp_path / "same.pdf", as_of=AS_OF, changes=diff.between(old, old)
    )
    assert "Since the release of 2026-11-25: nothing moved." in pdf_text(tmp_path / "same.pdf")
