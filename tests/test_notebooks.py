"""The notebooks: their shape, their run through the real runner, and the numbers that reach the
pages.
"""

import ast
import os
import re
import subprocess
from functools import cache
from itertools import chain
from unittest import mock
from urllib.parse import urlsplit

import golden
import pytest
import record
import stamps
from pypdf import PdfReader
from reading import pdf_text, project_text, read_json
from ruff import find_ruff_bin
from test_english import REAL
from test_pdf import links

import analysis
from analysis import data, parameters
from analysis.event import read_event
from analysis.evidence import verdicts
from analysis.evidence.claims import OURS
from analysis.exhibits import brief as brief_of
from analysis.exhibits.payload import MIME
from analysis.numbers import quantity, unmarked
from analysis.provenance import ROOT
from runner import Exit, document, run, schedule

FOLDER = ROOT / "notebooks"
OF_EVENTS = [path for event in data.events() for path in (FOLDER / event).glob("*.ipynb")]
NOTEBOOKS = sorted([*FOLDER.glob("*.ipynb"), *FOLDER.glob("[pm]*/*.ipynb"), *OF_EVENTS])
CLAIMS = read_event(data.SHIPPED).claims  # of the event whose reports have no folder of their own
AS_OF = data.newest()["vintage"]
# OpenBLAS and numpy sum and round in another way on an older one; any of today runs the code of
# both
PROCESSORS = (
    {"OPENBLAS_CORETYPE": "Haswell"},
    {
        "OPENBLAS_CORETYPE": "Nehalem",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    },
)
LOGIC = (ast.FunctionDef, ast.ClassDef, ast.If, ast.For, ast.While, ast.Try, ast.With)
DESIGN = {"comparison", "post_from", "post_to", "base_months", "anticipation", "cluster", "conf"}
CODES = re.compile(r"\b(?:[CTV]\d+|E\d+[a-z]*|d\d)\b")
HANDED_ON = {  # parameters that a call takes by itself
    "start_panel(": {"event", "panel_path", "panel_map", "sim_preset", "seed", *DESIGN},
    "start(": {"event"},
    "start_simulated(": {"event", "sim_preset", "seed", "first_seed", "markets"},
    "finish(": {"as_of", "stale_after_days"},
}


def called(notebook):
    """The path of a notebook without its ending, by which it is called."""
    return notebook.relative_to(FOLDER).with_suffix("").as_posix()


def cells(notebook):
    return read_json(notebook)["cells"]


def source(cell):
    return "".join(cell["source"])


def code(notebook):
    return [cell for cell in cells(notebook) if cell["cell_type"] == "code"]


def shown_in(output):
    return "".join(output.get("text/html", ""))


def python(notebook):
    """Return the Python of all cells but that of the parameters."""
    named = [
        cell for cell in code(notebook) if "parameters" not in cell["metadata"].get("tags", [])
    ]
    return "\n".join(source(cell) for cell in named)


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return request.param


def test_a_notebook_opens_with_its_question(notebook):
    first = cells(notebook)[0]
    assert first["cell_type"] == "markdown"
    assert re.match(r"# .+\?", source(first))


def test_a_notebook_holds_no_logic_and_no_output(notebook):
    for cell in code(notebook):
        found = [
            type(node).__name__
            for node in ast.walk(ast.parse(source(cell)))
            if isinstance(node, LOGIC)
        ]
        assert found == []
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


def test_names_of_notebooks_are_imported_and_used():
    asked = ["check", "--isolated", "--select", "F401,F811,F821", "--output-format", "concise"]
    done = subprocess.run(
        [find_ruff_bin(), *asked, *NOTEBOOKS], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stdout


def test_every_parameter_of_a_notebook_is_used(notebook):
    text = python(notebook)
    said = [
        expression
        for cell in cells(notebook)
        if cell["cell_type"] == "markdown"
        for expression in document.expressions(cell)
    ]
    every = ast.walk(ast.parse("\n".join([text, *said])))
    names = [node for node in every if isinstance(node, ast.Name)]
    named = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    taken = set().union(*(names for call, names in HANDED_ON.items() if call in text))
    unused = parameters.parameter_model(notebook).model_fields.keys() - named - taken
    assert unused <= (
        {"as_of"} if notebook.name.startswith("00_") else set()
    )  # of the brief only the runner asks it


def test_the_setup_cell_checks_the_parameters_of_its_own_notebook(notebook):
    assert re.search(rf'start(_simulated|_panel)?\("{called(notebook)}"[,)]', python(notebook))
    assert "as_of" in parameters.parameter_model(notebook).model_fields


def test_a_notebook_marks_its_answer_and_hands_on_its_verdicts(notebook):
    tags = [cell["metadata"].get("tags", []) for cell in cells(notebook)]
    assert any("answer" in each for each in tags)
    if not notebook.name.startswith("00_"):
        assert "finish(" in python(notebook)


@pytest.mark.parametrize(
    "notebook", [path for path in NOTEBOOKS if "open_study" in path.read_text(encoding="utf-8")]
)
def test_a_notebook_on_a_panel_names_no_claim_and_no_reading_of_one_event(notebook):
    assert re.findall(r"\b[CV]\d+\b", notebook.read_text(encoding="utf-8")) == []


def test_a_notebook_on_public_figures_refuses_another_event(notebook):
    given = parameters.parameter_model(notebook).model_fields.keys()
    opened = re.search(r"\bstart(_simulated)?\([^)]*\)", python(notebook))
    refuses = bool(opened) and "on_record=False" not in opened[0]
    assert refuses == ("panel_path" not in given and notebook.name != "00_brief.ipynb")


def test_every_notebook_is_scheduled():
    scheduled = {job.notebook_name for job in schedule.read_jobs(ROOT)}
    assert scheduled == {f"{called(path)}.ipynb" for path in NOTEBOOKS}


def test_every_reading_falls_to_a_notebook_that_there_is():
    assert {*data.load("readings")["notebook"]} <= {*map(called, NOTEBOOKS)}


def made(out, processor, *names):
    """Run reports, the arithmetic of their kernels with the code for one kind of processor."""
    with mock.patch.dict(os.environ, processor):
        assert run.reports(ROOT, run.Request(AS_OF, names, out=out)).code == Exit.OK


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    made(out, PROCESSORS[0])
    return out / AS_OF


@pytest.mark.parametrize("name", REAL)
def test_every_exhibit_of_public_figures_has_a_source_line_that_leads_to_its_source(
    published, name
):
    outputs = [
        output.get("data", {})
        for cell in code(published / f"{name}.ipynb")
        for output in cell["outputs"]
    ]
    exhibits = "".join(shown_in(output) for output in outputs if MIME in output)
    captions = re.findall(r"<(?:fig)?caption>(.+?)</(?:fig)?caption>", exhibits)
    assert captions
    named = r'href="(https?://|annex)|report|our own|figures? \d|annex|listed at the end'
    for caption in captions:
        line = caption.partition("Source: ")[2]
        assert re.search(named, line) or ("04" in name and "Sources" in exhibits), caption


text = cache(pdf_text)


def judged(published):
    return read_json(published / "verdicts.json")


def real(published):
    """Return the verdicts on public figures by claim and reading."""
    rows = [row for row in judged(published) if row["tier"] != "sim"]
    return {f"{row['claim']} {row['reading']}".strip(): row for row in rows}


def test_every_claim_of_the_event_gets_a_word(published):
    found = verdicts.best(verdicts.read_verdicts(published))
    of_events = [read_event(event).claims for event in data.events()]
    assert {one.claim for one in found} == {*chain(*of_events)}


def test_statements_are_counted_by_word_as_the_run_judges_them(published):
    found = verdicts.best(verdicts.read_verdicts(published, CLAIMS))
    words = [one.word for one in found if one.party != OURS]
    page = text(published / "04_claims.pdf")
    for word in verdicts.WORDS:
        assert f"{word} ({words.count(word)})" in page


def test_every_verdict_is_what_it_was(published):
    assert golden.differences(golden.verdicts(judged(published)), golden.read("schedule")) == []


def test_the_numbers_of_a_verdict_stand_in_its_report_or_in_what_it_hands_on(published):
    for row in judged(published):
        own = text(published / f"{row['report']}.pdf") + row["found"]
        for value in (row["estimate"], row["low"], row["high"], row["claimed"]):
            written = "∞"  # an open side is text in JSON
            if value is not None:
                written = quantity(float(value), row["unit"])
            # reports have "fell by" and "or more"; a simulated range may be capped
            stands = written.lstrip("−") in own or "∞" in written or row["market"]
            assert stands, (row["report"], written)


def test_the_brief_says_what_the_reports_hand_on(published):
    brief = text(published / "00_brief.pdf")
    for name in ("C08 record", "C01 V2", "C07 invest"):
        said = unmarked(real(published)[name]["detail"])
        assert " ".join(said.split()) in " ".join(brief.split())


def test_a_verdict_has_the_same_numbers_in_estimates_and_on_the_page_of_the_release(published):
    estimates = analysis.load_estimates(published).query("table == 0")
    named = estimates.assign(name=estimates["label"].str.partition(": ")[0]).set_index(
        ["report", "name"]
    )
    page = re.sub(r"<[^>]+>", " ", (published / "index.html").read_text(encoding="utf-8"))
    compared = 0
    for row in real(published).values():
        key = row["report"], f"{row['claim']} {row['reading']}".strip()
        written = [
            quantity(float(row[end]), row["unit"])
            for end in ("low", "high")
            if row[end] is not None
        ]
        assert row["found"] or all(number in page for number in written), key
        if key in named.index:
            taken_away = named.loc[key, ["estimate", "conf_low", "conf_high"]]
            given = [row["estimate"], row["low"], row["high"]]
            for mine, theirs in zip(given, taken_away, strict=True):
                if mine is None:
                    wanted = float("nan")
                else:
                    wanted = float(mine)
                assert theirs == pytest.approx(wanted, nan_ok=True), key
            compared += 1
    assert compared > 2


def test_the_page_of_a_release_sets_apart_what_is_about_another_event(published):
    page = (published / "index.html").read_text(encoding="utf-8")
    parts = dict(part.split("</h2>", 1) for part in re.split(r'<h2 id="[^"]+">', page)[1:])
    findings, elsewhere = parts["Findings, claim by claim"], parts["Other events"]
    reports = {name: f'"{name}.pdf"' for name in REAL if name != "00_brief"}
    for name, link in reports.items():
        assert (link in findings, link in elsewhere) == ("/" not in name, "/" in name), name


def test_the_brief_answers_before_it_judges_and_has_no_codes(published):
    brief = text(published / "00_brief.pdf")
    found = verdicts.read_verdicts(published)
    told = brief_of.headline(found, read_event("amazon_2021")).replace("'", "’")
    assert brief.index(told) < brief.index("Who was hit?") < brief.index("Supported")
    assert CODES.findall(brief) == []
    assert "imulated" not in brief


def test_links_of_the_brief_lead_to_reports_of_the_run(published):
    (page,) = PdfReader(published / "00_brief.pdf").pages  # one, no more
    linked = {one.get_object()["/A"]["/URI"] for one in page["/Annots"]}
    assert {"02_growth.pdf", "01_who_was_hit.pdf"} <= linked
    assert {uri for uri in linked if not (published / uri).exists()} == set()


def test_the_readme_says_what_the_reports_say(published):
    readme = project_text("README.md")
    found = record.named(verdicts.read_verdicts(published))
    for make in record.ANSWER.values():
        assert make(found) in readme


def test_what_is_simulated_and_what_is_real_are_told_apart_on_every_page(published):
    stamps.assert_told_apart(published)


@pytest.mark.parametrize("name", [job.name for job in schedule.read_jobs(ROOT)])
def test_a_report_has_four_pages_at_most_no_code_on_the_first_and_a_last_one_worth_its_paper(
    published, name
):
    first, *others = PdfReader(published / f"{name}.pdf").pages
    assert len(others) < 4
    assert CODES.findall(first.extract_text()) == []
    heights = list[float]()
    (others or [first])[-1].extract_text(
        visitor_text=lambda said, at, line, *_: (
            heights.append(line[5] + at[5]) if said.strip() else None
        )
    )
    body = [height for height in heights if 60 < height < 790]  # points, without header and footer
    assert min(body) < 790 - (790 - 60) / 3


def path(file, folder):
    return file.resolve().relative_to(folder.resolve()).as_posix()


def test_page_one_is_the_answer(published):
    there = {path(pdf, published).removesuffix(".pdf") for pdf in published.rglob("*.pdf")}
    assert there == {job.name for job in schedule.read_jobs(ROOT)} | {"annex"}
    for pdf in (published / f"{name}.pdf" for name in sorted(there - {"annex"})):
        page = PdfReader(pdf).pages[0].extract_text()
        assert "THE ANSWER" in page.upper() or pdf.stem == "00_brief"  # its headline is the answer
        assert AS_OF in page


def test_every_link_of_a_run_leads_to_a_file_beside_it_or_to_an_address(published):
    linked = {}
    for pdf in published.rglob("*.pdf"):  # an address without // is relative to its report
        found = links(PdfReader(pdf))
        linked[path(pdf, published)] = [
            uri if "//" in uri else path(pdf.parent / uri, published) for uri in found
        ]
    for name, found in linked.items():
        assert "annex.pdf" in found or name == "annex.pdf"
        addresses = [urlsplit(address) for address in found if "//" in address]
        assert [
            one for one in addresses if one.scheme not in ("http", "https") or "." not in one.netloc
        ] == []
        assert {address for address in found if "//" not in address} <= linked.keys()
    assert "02_growth.pdf" in linked["04_claims.pdf"]
    assert linked.keys() - {"00_brief.pdf", "annex.pdf"} <= {*linked["annex.pdf"]}


@pytest.mark.slow
def test_the_same_inputs_give_the_same_bytes_on_another_kind_of_processor(published, tmp_path):
    reports = ("02_growth", "simulated/panel_03_growth")
    made(tmp_path, PROCESSORS[1], *reports)
    one, other = (
        {
            path(file, folder): file.read_bytes()
            for name in reports
            for file in folder.glob(f"{name}*")
            if file.is_file()
        }
        for folder in (published, tmp_path / "draft")
    )
    assert {
        f"{name}.{kind}" for name in reports for kind in ("pdf", "ipynb", "estimates.csv")
    } <= one.keys()
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []


@pytest.mark.slow
def test_a_changed_parameter_reaches_the_page(tmp_path):
    given = {"common_high": "0.5"}
    request = run.Request(AS_OF, ["02_growth"], given=given, out=tmp_path)
    assert run.reports(ROOT, request).code == Exit.OK
    rows = read_json(tmp_path / "draft" / "verdicts.json")
    best = next(row["high"] for row in rows if row["reading"] == "V2")
    page = text(tmp_path / "draft" / "02_growth.pdf")
    assert (
        best == 0.5
    )  # rivals may have taken over all that closed accounts lost: the common part is left
    assert quantity(best, "percentage points") in page
    assert "common_high = 0.5" in text(tmp_path / "draft" / "annex.pdf")
