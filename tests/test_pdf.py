"""What a reader of a PDF must find: the answer first, whole tables, nothing off the page."""

import base64
import html as markup
import re

import nbformat
import pandas as pd
import pytest
from desk import cases
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from pypdf import PdfReader
from pypdf.generic import ContentStream

from analysis.exhibits.payload import MIME
from runner.pdf import PdfError, render

CASES = cases("pdf")
PAGE_WIDTH = 595.28  # A4, points
MARGIN = 25 * 72 / 25.4
SPACE = 3  # points; one that ends a justified line hangs into the margin
ANSWER = (
    '<div class="answer"><p><span class="word supported">Supported</span> The gap grew by 7.5 pp'
    " ●.</p></div>"
)
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}"><path d="M0 0L{0} {1}"'
    ' stroke="navy"/></svg>'
)


def code(*html, tags=(), more=()):
    shown = [
        new_output("display_data", data={"text/html": h, "text/plain": "<Exhibit>", MIME: []})
        for h in html
    ]
    return new_code_cell(
        "hidden_name = 1", execution_count=1, outputs=[*shown, *more], metadata={"tags": list(tags)}
    )


def figure(alt="a falling line", width=660, height=300):
    data = base64.b64encode(SVG.format(width, height).encode()).decode()
    image = (
        f'<img src="data:image/svg+xml;base64,{data}" alt="{markup.escape(alt)}"'
        ' style="width:100%">'
    )
    return f'<figure class="exhibit">{image}<figcaption>A line.</figcaption></figure>'


def table(rows, aligns, head=None):
    sides = {"l": "left", "r": "right"}
    names = head or [f"h{i}" for i in range(len(aligns))]
    top = "".join(
        f'<th style="text-align:{sides[a]}">{n}</th>' for a, n in zip(aligns, names, strict=True)
    )
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        "<table"
        f' class="exhibit"><caption>Rows.</caption><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def write(folder, *cells):
    notebook = new_notebook(
        cells=list(cells), metadata={"kernelspec": {"name": "python3", "display_name": "P"}}
    )
    path = folder / "05_growth.ipynb"
    nbformat.write(notebook, path)
    return path


def made(folder, *cells, as_of="2026-11-01"):
    pdf = folder / "05_growth.pdf"
    render(
        write(folder, new_markdown_cell("# Did the gap grow?"), *cells),
        pdf,
        as_of=as_of,
        footer="Real figures",
    )
    return PdfReader(pdf)


def links(reader):
    """Return where links lead, in their order; one of several lines counts once."""
    found = [
        a.get_object().get("/A", {}).get("/URI")
        for page in reader.pages
        for a in page.get("/Annots", [])
    ]
    return list(dict.fromkeys(address for address in found if address))


def words(reader):
    return " ".join(" ".join(page.extract_text() for page in reader.pages).split())


def said(reader):
    """Return what is read out in place of pictures and formulas."""
    every = [reader.get_object(number) for number in reader.xref[0] | reader.xref_objStm]
    return {str(one["/Alt"]) for one in every if isinstance(one, dict) and "/Alt" in one}


def product(a, b):
    rows = ((a[0], a[1], 0), (a[2], a[3], 0), (a[4], a[5], 1))
    return [
        x * b[side] + y * b[side + 2] + moved * b[side + 4]
        for x, y, moved in rows
        for side in (0, 1)
    ]


def advance(font, shown):
    """Width of shown text in 1/1000 em, from the font's own table of widths."""
    cid = font["/DescendantFonts"][0].get_object()
    table = cid["/W"].get_object()
    widths = {}
    i = 0
    while i < len(table):
        if isinstance(table[i + 1], list):
            widths |= {table[i] + k: w for k, w in enumerate(table[i + 1])}
            i += 2
        else:
            widths |= dict.fromkeys(range(table[i], table[i + 1] + 1), table[i + 2])
            i += 3
    total = 0.0
    for item in shown:
        if isinstance(item, int | float):
            total -= float(item)
            continue
        if isinstance(item, bytes):
            raw = item
        else:
            raw = item.original_bytes
        codes = [int.from_bytes(raw[k : k + 2], "big") for k in range(0, len(raw), 2)]
        total += sum(float(widths.get(c, cid.get("/DW", 1000))) for c in codes)
    return total


def text_edges(page):
    """Leftmost and rightmost point of all text on a page, in points; a space that ends a line
    counts.
    """
    fonts = page["/Resources"]["/Font"]
    stack = []
    ctm = [1.0, 0, 0, 1, 0, 0]
    matrix = ctm
    font = None
    size = 0.0
    edges = []
    for operands, operator in ContentStream(page.get_contents(), page.pdf).operations:
        if operator == b"q":
            stack.append(ctm)
        elif operator == b"Q":
            ctm = stack.pop()
        elif operator == b"cm":
            ctm = product([float(x) for x in operands], ctm)
        elif operator == b"Tf":
            font = fonts[operands[0]]
            size = float(operands[1])
        elif operator == b"Tm":
            matrix = [float(x) for x in operands]
        elif operator in (b"TJ", b"Tj"):
            if operator == b"TJ":
                shown = operands[0]
            else:
                shown = [operands[0]]
            at = product(matrix, ctm)
            edges += [at[4], at[4] + advance(font, shown) / 1000 * size * at[0]]
    return min(edges), max(edges)


def assert_inside(reader):
    for page in reader.pages:
        left, right = text_edges(page)
        assert left >= MARGIN - 0.1
        assert right <= PAGE_WIDTH - MARGIN + SPACE


def test_the_ruler_of_these_tests_sees_text_that_runs_off_the_page(tmp_path):
    import typst

    off = b'#set page(paper: "a4", margin: 25mm)\n#box(width: 100%, "' + b"x" * 300 + b'")'
    (tmp_path / "off.pdf").write_bytes(typst.compile(off, ignore_system_fonts=True))
    assert text_edges(PdfReader(tmp_path / "off.pdf").pages[0])[1] > PAGE_WIDTH


def test_page_1_is_the_title_and_the_answer_and_nothing_else(tmp_path):
    reader = made(
        tmp_path,
        new_markdown_cell("## Method\n\nThe method."),
        code(ANSWER, figure(), tags=("answer",)),
    )
    first, second = (page.extract_text() for page in reader.pages)
    for text in ("Did the gap grow?", "Supported", "7.5", "Figure 1", "2026-11-01"):
        assert text in first
    assert "The method." not in first
    assert "The method." in second
    assert "Supported" not in second


def test_figures_of_page_1_give_way_so_that_the_answer_fits(tmp_path):
    squares = [figure(width=300, height=300)] * 2
    reader = made(
        tmp_path, code(ANSWER, *squares, tags=("answer",)), new_markdown_cell("The rest.")
    )
    assert "Figure 2" in reader.pages[0].extract_text()
    assert "The rest." in reader.pages[1].extract_text()


def test_cells_without_answer_follow_in_their_order_and_new_page_starts_one(tmp_path):
    last = new_markdown_cell("Third.", metadata={"tags": ["new-page"]})
    reader = made(tmp_path, new_markdown_cell("First."), code("<p>Second.</p>"), last)
    first, second = (page.extract_text() for page in reader.pages)
    assert first.index("First.") < first.index("Second.")
    assert "Third." in second


def test_code_stderr_parameters_and_removed_cells_do_not_print(tmp_path):
    stderr = new_output("stream", name="stderr", text="noise on stderr")
    tags = ("remove-cell", "parameters", "injected-parameters")
    text = words(
        made(
            tmp_path,
            code("<p>Seen.</p>", more=(stderr,)),
            *(code(f"<p>{tag}</p>", tags=(tag,)) for tag in tags),
        )
    )
    assert "Seen." in text
    for hidden in ("hidden_name", "noise", *tags, "<Exhibit>"):
        assert hidden not in text


@pytest.mark.parametrize("cell", CASES["cells"])
def test_table_text_prints_as_it_is(tmp_path, cell):
    text = words(made(tmp_path, code(table([["left", cell, "right"]], "lll"))))
    assert f"left {markup.unescape(re.sub('<[^>]*>', '', cell))} right" in text


@pytest.mark.parametrize(
    ("html", "printed"),
    [
        (
            "<p>- x <br>1. y @name #x $5 _z_ a*b</p><p>+ (z)</p>",
            "- x 1. y @name #x $5 _z_ a*b + (z)",
        ),
        (
            "<p>-17.4 (-3.2 to 1.0) on 2021-04-22, 10-20.</p>",
            "−17.4 (−3.2 to 1.0) on 2021-04-22, 10-20.",
        ),
        (
            pd.DataFrame({"firm": ["Xinghui", "Tiza"], "car": [-17.4, -17.9]}).to_html(),
            "Xinghui −17.4 1 Tiza −17.9",
        ),
    ],
)
def test_prose_and_plain_tables_print_as_they_are_but_for_a_hyphen_before_a_number(
    tmp_path, html, printed
):
    assert printed in words(made(tmp_path, code(html)))


def test_chinese_and_marks_print_in_text_bold_head_and_cell(tmp_path):
    bold = "<p><b>有棵树</b> ● real ◐ estimate ○ simulated</p>"
    text = words(made(tmp_path, code(bold, table([["有棵树", "1.0 ◐"]], "lr", ["有棵树", "n"]))))
    assert text.count("有棵树") == 3
    for mark in "●◐○":
        assert mark in text


def test_wide_tables_and_long_addresses_stay_inside_the_margins(tmp_path):
    url = "https://example.org/" + "a-long_path/" * 20 + "x" * 60
    wide = table([["Xinghui", *["−1234.56 ●"] * 13]] * 3, "l" + "r" * 13)
    longest = table([[url, "some text that goes on and on " * 8, "1.0"]], "llr")
    reader = made(
        tmp_path,
        code(wide, longest, f"<p>{url}</p>", f'<div class="note"><p>{"9" * 300}</p></div>'),
        new_markdown_cell(f"See <{url}> and `{url}`."),
    )
    assert_inside(reader)
    assert url in words(reader).replace(" ", "")


def test_numbers_of_a_table_never_wrap(tmp_path):
    text = (
        made(tmp_path, code(table([["long text " * 40, "−1,234.56 to 7.8 ●"]], "lr")))
        .pages[0]
        .extract_text()
    )
    assert "−1,234.56 to 7.8" in text.replace("\xa0", " ")


@pytest.mark.slow
def test_a_long_table_repeats_its_header_on_each_page(tmp_path):
    rows = [[f"row {i}", str(i)] for i in range(120)]
    reader = made(tmp_path, code(table(rows, "lr", ["Quarter", "Million USD"])))
    assert len(reader.pages) >= 3
    for number, page in enumerate(reader.pages, start=1):
        assert "Million USD" in page.extract_text()
        assert f"page {number} of {len(reader.pages)}" in page.extract_text()
    assert all(f"row {i} " in words(reader) for i in range(120))


def test_tables_and_figures_are_numbered_in_the_order_of_the_document(tmp_path):
    text = words(made(tmp_path, code(table([["a"]], "l"), figure(), table([["b"]], "l"), figure())))
    for label in ("Table 1", "Figure 1", "Table 2", "Figure 2"):
        assert label in text


def test_the_pdf_says_that_it_is_archivable_and_accessible(tmp_path):
    maths = new_markdown_cell(r"Inline $\hat\beta_i$ and" + "\n\n" + r"$$\sum_i w_i = 1$$")
    reader = made(
        tmp_path, code(ANSWER, figure(alt='a "falling" line \\ so'), tags=("answer",)), maths
    )
    root = reader.trailer["/Root"]
    xmp = root["/Metadata"].get_data().decode()
    for claim in ("<pdfaid:part>2<", "<pdfaid:conformance>A<", "<pdfuaid:part>1<"):
        assert claim in xmp
    assert root["/Lang"].startswith("en")
    info = reader.metadata
    assert info is not None
    assert (info.title, info.author) == ("Did the gap grow?", "market-impact-notebooks")
    assert info.creation_date is not None
    assert info.creation_date.isoformat() == "2026-11-01T00:00:00+00:00"
    assert {
        'a "falling" line \\ so',
        "beta hat sub i",
        "the sum over i of w sub i equals 1",
    } <= said(reader)


def test_headings_become_bookmarks_and_notes_and_links_work(tmp_path):
    reader = made(
        tmp_path,
        new_markdown_cell(
            "## One\n\nA note[^1], a [link](https://x.org).\n\n[^1]: Below.\n\n### Two"
        ),
    )
    title, below = reader.outline
    assert (title.title, below[0].title, below[1][0].title) == ("Did the gap grow?", "One", "Two")
    assert "Below." in words(reader)
    assert "https://x.org" in links(reader)


def test_an_address_that_is_written_out_is_a_link_and_so_is_the_number_of_a_report(tmp_path):
    told = (
        "See reports 03 and 05 (report 01), not report 02 or 05 firms, nor [report"
        " 05](https://y.org)."
    )
    notebook = write(
        tmp_path,
        new_markdown_cell(f"# Title?\n\n{told} From https://x.org/a_b?c=1."),
        code(table([["https://z.org/"]], "l")),
    )
    beside = {"01": "01_claims", "03": "03_listed", "05": "05_growth_public"}
    render(notebook, tmp_path / "t.pdf", as_of="2026-11-01", footer="Real figures", beside=beside)
    reader = PdfReader(tmp_path / "t.pdf")
    assert links(reader) == [
        *("03_listed.pdf", "05_growth_public.pdf", "01_claims.pdf", "https://y.org"),
        *("https://x.org/a_b?c=1", "https://z.org/"),
    ]
    assert "nor report 05. From https://x.org/a_b?c=1." in words(reader)


@pytest.mark.parametrize(("formula", "told"), CASES["formulas"])
def test_a_formula_is_said_in_words(tmp_path, formula, told):
    assert told in said(made(tmp_path, new_markdown_cell(f"So ${formula}$ is.")))


def test_title_and_footer_are_text_not_code(tmp_path):
    notebook = write(
        tmp_path, new_markdown_cell('# Was it "#1" & $5 \\\\ or *more*?\n\n_The \\#subtitle_')
    )
    render(notebook, tmp_path / "t.pdf", as_of="2026-11-01", footer='Simulated #figures ["○"]')
    text = words(PdfReader(tmp_path / "t.pdf"))
    assert "Was it “#1” & $5 \\ or more?" in text
    assert "The #subtitle" in text
    assert 'Simulated #figures ["○"]' in text


def test_a_simulated_report_says_so_on_every_page_and_a_real_one_nowhere(tmp_path):
    told = '<div class="answer"><p>If so: <span class="word simulated">Supported</span></p></div>'
    notebook = write(
        tmp_path,
        new_markdown_cell("# Title?"),
        code(told, tags=("answer",)),
        new_markdown_cell("More."),
    )
    for simulated in (True, False):
        render(notebook, tmp_path / "t.pdf", as_of="2026-11-01", footer="Foot", simulated=simulated)
        first, second = (page.extract_text() for page in PdfReader(tmp_path / "t.pdf").pages)
        assert ("OF A SIMULATED MARKET" in first.upper()) == simulated
        assert ("SIMULATED" in second) == simulated


def filled(number):
    return [[f"row {i}", "words and more words " * 5] for i in range(number)]


def test_a_dense_report_has_narrow_margins_and_its_tables_give_way(tmp_path):
    rows = filled(46)
    with pytest.raises(PdfError, match="do not fit on page 1"):
        made(tmp_path, code(ANSWER, table(rows, "ll"), tags=("answer",)))
    reader = made(tmp_path, code(ANSWER, table(rows, "ll"), tags=("answer", "dense")))
    assert len(reader.pages) == 1
    assert "row 45" in words(reader)
    assert text_edges(reader.pages[0])[0] < MARGIN - 20


def test_a_dense_report_that_is_longer_than_a_page_goes_on(tmp_path):
    """Names in a brief are a researcher's own: a long one must not leave an unattended run without
    its brief.
    """
    reader = made(tmp_path, code(ANSWER, table(filled(80), "ll"), tags=("answer", "dense")))
    assert "row 0" in reader.pages[0].extract_text()
    assert "row 79" in reader.pages[1].extract_text()


SPANNING = "<table><tr><td colspan='2'>both</td></tr><tr><td>a</td><td>b</td></tr></table>"
ERROR = new_output("error", ename="ZeroDivisionError", evalue="division by zero", traceback=["tb"])


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (code(more=(ERROR,)), "ZeroDivisionError: division by zero"),
        (code(more=(ERROR,), tags=("remove-cell",)), "ZeroDivisionError"),
        (code(figure(alt="")), "no alt text"),
        (code('<p><span class="word proven">Proven</span></p>'), "word proven"),
        (new_markdown_cell("![alt](missing.svg)"), "missing.svg"),
        (new_markdown_cell("[gone](#nowhere)"), "nowhere"),
        (
            new_markdown_cell(r"$\oint x$"),
            r"a formula has \\oint, for which there are no words; add it to filter_math.lua",
        ),
        *(
            (new_markdown_cell(f"A name: {one}"), f"{one}.* could not be displayed")
            for one in ("ก", "鱻", "🙂")
        ),
        (code(SPANNING), "reset_index"),
        (code("<p>A sentence of the answer.</p>" * 80, tags=("answer",)), "do not fit on page 1"),
    ],
)
def test_a_refused_notebook_leaves_the_old_pdf_and_no_litter(tmp_path, cell, message):
    made(tmp_path, code(ANSWER, tags=("answer",)))
    pdf = tmp_path / "05_growth.pdf"
    before = pdf.read_bytes()
    with pytest.raises(PdfError, match=message):
        made(tmp_path, cell)
    assert pdf.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["05_growth.ipynb", "05_growth.pdf"]


def test_a_notebook_without_a_title_is_refused(tmp_path):
    with pytest.raises(PdfError, match="begin its first cell"):
        render(
            write(tmp_path, new_markdown_cell("text")),
            tmp_path / "x.pdf",
            as_of="2026-11-01",
            footer="Real figures",
        )
