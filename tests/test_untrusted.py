"""What comes from outside is read or refused with a sentence; nothing else is read, grows, waits or
runs.
"""

import base64
import contextlib
import gzip
import json
import os
import re
import zipfile
from datetime import date

import count
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fewtreated.errors import DataError, DesignError
from matplotlib import pyplot as plt
from pages import Page

from analysis import data, yaml
from analysis.data import SHIPPED
from analysis.event import read_event
from analysis.exhibits import blocks, brief, style, words
from analysis.exhibits.fonts import printable
from analysis.panel import array, opening, read_panel
from analysis.panel.map import Map, columns
from analysis.panel.propose import propose
from analysis.provenance import ROOT
from analysis.untrusted import YAML_BYTES, inside
from benchmarks import fuzz

EVIL = (
    *(
        '#import "x": *',
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        "$x_1$ $\\href{javascript:1}{y}$",
    ),
    *(
        "{{x}} {% raw %}",
        "</td></table><img src=x onerror=alert(1)>",
        "\\input{/etc/passwd}",
        '#eval("1") *b* _c_ `d`',
    ),
    *("- list\n# head", "=1+1", "%s {0}"),
)


@pytest.fixture
def rows():
    return fuzz.panel_rows()


def written(folder, rows, name="a.csv"):
    path = folder / name
    path.write_bytes(fuzz.written(rows, "".join(path.suffixes)))
    return path


def refused(reader, *asked, **named):
    with pytest.raises((DataError, DesignError)) as caught, fuzz.patience():
        reader(*asked, **named)
    return str(caught.value)


@pytest.mark.parametrize("name", [*fuzz.cases()])
def test_no_file_that_is_made_up_ends_a_reader_in_a_traceback_or_a_wait(name):
    counts = fuzz.fuzz(name, 6, start=1)
    assert counts.total() >= 6
    assert counts["refused"] > 0


# Files


@pytest.mark.parametrize(
    "reader", [read_panel, propose, count.count, lambda path: yaml.load(path, Map)]
)
def test_a_pipe_a_device_and_a_folder_are_refused_and_not_waited_for(tmp_path, reader):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "circle.csv").symlink_to(tmp_path / "circle.csv")
    for name, found in (
        ("pipe", "a pipe"),
        ("zero", "a pipe"),
        ("folder", "a folder"),
        ("circle", "Too many levels"),
    ):
        assert f"expected a file; found {found}" in refused(reader, tmp_path / f"{name}.csv")
    assert "File name too long" in refused(reader, tmp_path / ("x" * 300))


def test_a_map_that_is_a_pipe_is_refused(tmp_path, rows):
    os.mkfifo(tmp_path / "a.yml")
    assert "found a pipe" in refused(read_panel, written(tmp_path, rows), map=tmp_path / "a.yml")


@pytest.mark.parametrize(
    "text", ["a: &a [x]\nb: [*a, *a]", "a: &a {b: *a}", "a: *b", "[" * 900, "{a: " * 900]
)
def test_yaml_that_grows_or_nests_without_end_is_refused_before_it_is_read(
    tmp_path, text, monkeypatch
):
    (tmp_path / "a.yml").write_text(text)
    monkeypatch.setattr(yaml.YAML, "load", lambda *_: pytest.fail("it was read"))
    assert re.search(
        r"line \d+: .* found (the alias \*|more)", refused(yaml.load, tmp_path / "a.yml", Map)
    )


def test_yaml_that_is_too_large_or_has_signs_that_no_text_has_is_refused(tmp_path):
    path = tmp_path / "a.yml"
    for text, found in (
        ("a: b\n" * YAML_BYTES, "at most"),
        ('home: "\\ud800"', "U+D800"),
        ('home: "\\0"', "U+0000"),
    ):
        path.write_text(text)
        assert found in refused(yaml.load, path, Map)
    path.write_text(f"home: {'x' * 501}")
    assert "text of at most 500 characters" in refused(yaml.load, path, Map)


@pytest.mark.parametrize(
    "name", ["../../../etc/passwd", "/etc/passwd", "a/../../b", "link.yml", "a\0b", "circle/x"]
)
def test_a_name_that_leads_out_of_its_folder_is_refused(tmp_path, name):
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "secret").write_text("x")
    (folder / "link.yml").symlink_to(tmp_path / "secret")
    (folder / "circle").symlink_to(folder / "circle")
    assert "the name of a file in it" in refused(inside, folder, name)
    assert inside(folder, "a.yml") == folder / "a.yml"


def test_an_event_is_no_way_out_of_the_folder_of_events(tmp_path):
    assert "the name of a file in it" in refused(read_event, "../../../tmp/x")
    for name in ("a\0b.yml", f"{'x' * 300}.yml"):
        assert "Cannot find event = " in refused(read_event, name)


def described(root, **changed):
    entry = data.card("counts") | changed
    (root / "datapackage.json").write_text(json.dumps({"resources": [entry]}))
    return root


@pytest.mark.parametrize(
    "path", ["../counts.csv", "/etc/passwd", "http://e.vil/x.csv", "link.csv", "pipe.csv"]
)
def test_a_descriptor_names_files_of_its_own_folder_only(tmp_path, path):
    root = tmp_path / "data"
    root.mkdir()
    counts = ROOT / "data" / "events" / "amazon_2021" / "counts.csv"
    (tmp_path / "counts.csv").write_bytes(counts.read_bytes())
    (root / "link.csv").symlink_to(tmp_path / "counts.csv")
    os.mkfifo(root / "pipe.csv")
    for reader in (data.check_files, lambda root: data.load("counts", root=root)):
        assert "found" in refused(reader, described(root, path=path))


@pytest.mark.parametrize(
    "changed",
    [{"hash": 3}, {"schema": []}, {"schema": {"fields": [{"name": "a"}]}}, {"path": None}],
)
def test_a_descriptor_of_another_shape_is_refused_by_its_key(tmp_path, changed):
    assert f"key resources.0.{next(iter(changed))}" in refused(
        data.check_files, described(tmp_path, **changed)
    )


# Panels


@pytest.mark.filterwarnings(
    "error::pytest.PytestUnraisableExceptionWarning"
)  # as Arrow gives with odd bytes
@pytest.mark.parametrize(
    "bomb", [*fuzz.bombs(1 << 16)], ids=lambda bomb: f"{bomb[0]} {bomb[2]!r:.60}"
)
def test_a_small_bomb_is_read_or_refused(tmp_path, rows, bomb):
    name, write, of = bomb
    write(tmp_path / name, *of)
    if name == "a.yml":
        map_ = {"map": tmp_path / name}
    else:
        map_ = {}
    with contextlib.suppress(DataError), fuzz.patience():
        read_panel(written(tmp_path, rows) if map_ else tmp_path / name, **map_)


def test_a_table_of_few_rows_and_very_many_cells_is_refused_with_its_size(
    tmp_path, rows, monkeypatch
):
    monkeypatch.setattr(array, "MOST_CELLS", 50)
    said = refused(read_panel, written(tmp_path, rows))
    assert (
        "at most 50 cells, from 4 firms or accounts, 2 platforms and 9 months; found 72; leave out"
        in said
    )


def test_what_a_file_declares_is_held_against_a_limit_before_it_is_read(
    tmp_path, rows, monkeypatch
):
    parquet, book, stata = (
        written(tmp_path, rows, f"a{kind}") for kind in (".parquet", ".xlsx", ".dta")
    )
    monkeypatch.setattr(opening, "MOST_ROWS", 50)
    monkeypatch.setattr(opening, "UNPACKED_BYTES", 500)
    monkeypatch.setattr(opening, "BOOK_BYTES", 500)
    monkeypatch.setattr(pq, "ParquetFile", lambda *_, **__: pytest.fail("it was read"))
    for reader in (read_panel, propose):
        assert re.search("at most 50 rows in .* bytes; found 72", refused(reader, parquet))
        assert "at most 500 unpacked bytes (" in refused(reader, book)
        assert "at most 500 unpacked bytes;" in refused(reader, stata)
    assert "at most 50 rows; found 72" in refused(read_panel, written(tmp_path, rows))


def test_dates_in_the_place_of_words_are_words(tmp_path, rows):
    panel = read_panel(written(tmp_path, rows.assign(category=date(2021, 5, 1)), "a.parquet"))
    assert set(panel.firms["category"]) == {"2021-05-01"}


def test_a_long_word_that_stands_once_in_a_file_is_refused_before_each_row_gets_it(
    tmp_path, monkeypatch
):
    count = 1_000_000  # rows of 100,000 letters: 100 GB
    word = pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), ["x" * 100_000])
    pq.write_table(
        pa.table({name: word for name in columns() if name != "weight"}),
        tmp_path / "a.parquet",
    )
    assert (tmp_path / "a.parquet").stat().st_size < 3_000_000
    for reader in (read_panel, propose):
        assert "found one of 100,000" in refused(reader, tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("reader", "long", "names"),
    [
        (read_panel, "firm", columns()),
        (propose, "firm", columns()),
        (count.count, "Title", count.COLUMNS.values()),
    ],
)
def test_a_long_word_in_a_file_without_types_of_arrow_is_not_copied_into_each_row(
    tmp_path, reader, long, names
):
    at = pa.array([0] * 10_000, pa.int32())  # rows of 100,000 letters: 1 GB
    words = {
        name: pa.DictionaryArray.from_arrays(at, ["x" * (100_000 if name == long else 1)])
        for name in names
    }
    words.pop("weight", None)
    pq.write_table(pa.table(words), tmp_path / "a.parquet", store_schema=False)
    assert "found one of 100,000" in refused(reader, tmp_path / "a.parquet")
    assert pa.default_memory_pool().max_memory() < 1 << 29


@pytest.mark.parametrize("says", [b"A1:XFD1048576", b"A1"])
def test_a_sheet_that_misstates_its_size_is_read_as_far_as_it_goes(
    tmp_path, rows, monkeypatch, says
):
    path = written(tmp_path, rows, "a.xlsx")
    with zipfile.ZipFile(path) as book:
        parts = {
            name: book.read(name).replace(b"<v>", b"<f>1</f><v>", 1) for name in book.namelist()
        }
    with zipfile.ZipFile(path, "w") as book:
        for name, content in parts.items():
            book.writestr(name, re.sub(rb'(?<=<dimension ref=")[^"]*', says, content))
    assert "firm: firm" in propose(path)
    read_panel(path)
    monkeypatch.setattr(opening, "SHEET_CELLS", 100)
    assert "at most 100 cells and characters" in refused(read_panel, path)


def test_a_packed_file_of_one_endless_line_is_refused(tmp_path, rows):
    text = rows.to_csv(index=False).encode() + b"a" * (1 << 25)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text))
    assert "cannot be read" in refused(read_panel, tmp_path / "a.csv.gz")


def test_a_title_is_short_and_the_price_of_an_order_line_a_whole_number_of_cents(tmp_path):
    long = fuzz.order_rows().assign(Title="x" * 30_000)
    assert "text of at most 20,000 characters; found one of 30,000" in refused(
        count.count, written(tmp_path, long)
    )
    orders = fuzz.order_rows().assign(**{"Purchase Price Per Unit": "1e9", "Quantity": "1e9"})
    assert "at most 10,000,000 dollars" in refused(count.count, written(tmp_path, orders))


# Messages, pages and figures


def test_a_message_is_short_and_has_nothing_that_a_terminal_obeys():
    said = str(DataError("x\x1b[31m\u202e" + "y" * 100_000 + "; mend it"))
    assert len(said) < 8000
    assert said.startswith("x\\x1b[31m\\u202ey")
    assert said.endswith("; mend it")


def test_signs_that_no_font_has_or_that_are_not_seen_are_a_square():
    for sign in ("\ufeff", "\ue000", "\uffff", "🦊", "\u202e", "\0", "\x1b", "ไ", "\xad"):
        assert printable(f"a{sign}b") == "a□b"
        assert blocks.say(f"a{sign}b")._repr_mimebundle_()["text/html"] == "<p>a□b</p>"
    assert printable("Söhne – 中国 ≥ 3 €…\n") == "Söhne – 中国 ≥ 3 €…\n"


def test_all_signs_of_our_own_pages_are_printed():
    files = [
        *ROOT.glob("notebooks/*.ipynb"),
        *ROOT.glob("analysis/exhibits/*.py"),
        *ROOT.glob("data/events/*/*.csv"),
    ]
    lost = {
        sign
        for path in files
        for sign in {*path.read_text(encoding="utf-8")}
        if printable(sign) != sign
    }
    assert lost == set()


def test_a_label_of_a_figure_is_text_as_it_is():
    style.use("real")
    drawing, axes = plt.subplots()
    axes.set_title("$x_1$ and $\\nothing{1 🦊\0$")
    axes.set_yticks([0, 1], ["a$b$", "\ue000"])
    drawn = base64.b64decode(style.to_svg(drawing).partition(",")[2]).decode()
    assert "$x_1$ and $\\nothing{1 □□$" in drawn
    assert "a$b$" in drawn
    assert ">□<" in drawn


@pytest.mark.parametrize("evil", EVIL)
def test_a_name_is_text_wherever_it_is_shown(evil):
    style.use("real")
    event = read_event(SHIPPED).model_copy(update={"title": evil})
    shown = [
        brief.head([], event, failed=evil, panel=evil),
        blocks.figure(plt.figure(), evil, alt=evil, title=evil, source=evil),
        blocks.say(evil, lead=evil),
        blocks.note(evil),
        blocks.table(pd.DataFrame({evil: [evil]}), evil),
        blocks.threats_note(
            pd.DataFrame([{"months": evil, "event": evil, "hits": evil, "threat_id": evil}])
        ),
    ]
    for block in shown:
        page = Page(re.sub('src="data:[^"]*"', "", block._repr_mimebundle_()["text/html"]))
        attributes = {name for element in page.elements for name in element}
        assert {
            name for name in attributes if name in ("href", "src") or name.startswith("on")
        } == set()
        assert page.all("script", "a", "iframe") == []
        assert bool(page.all("img")) <= ("<figure" in block.html)


@pytest.mark.parametrize(
    "address", ["javascript:alert(1).pdf", "httpx:evil", "file:///etc/passwd", "//e.vil/x.pdf"]
)
def test_an_address_that_is_no_page_is_no_link(address):
    assert "<a" not in blocks.link("x", address)
    assert "<a" in blocks.link("x", "https://example.org/a.pdf")
    assert "<a" in blocks.link("x", "simulated/05_growth.pdf")
    assert blocks.link("<b>", 'https://e.vil/"><b>').count("<") == 2


@pytest.mark.parametrize("word", ["x\nabsent: zero", "x\rhome: EBY", "x\u2028y", "🦊\0"])
def test_a_proposed_map_holds_no_line_that_a_cell_has_written(tmp_path, rows, word):
    rows = rows.astype({"sales": object}).assign(category=word, sales=["12"] * 70 + [word] * 2)
    path = written(
        tmp_path, rows.rename(columns={"category": f"shop {word}", "closed_on": word}), "a.parquet"
    )
    lines = [line for line in propose(path).splitlines() if not line.startswith(("#", " "))]
    assert {line.partition(":")[0] for line in lines} <= {*Map.model_fields}


def test_an_interval_without_width_gives_no_word_in_a_title():
    rows = pd.DataFrame({"conf_low": [5.0], "conf_high": [5.0]})
    assert "the interval has no width" in words.beside_margin(rows, 2.0, "growth")
