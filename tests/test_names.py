"""Names of firms, platforms and events: short, all characters seen, and never a link.

Columns may have any name.
"""

import json
import re
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fewtreated.errors import DataError
from panels import random_panel
from test_panel import rows_of

from analysis.data import SHIPPED
from analysis.event import EVENTS, read_event
from analysis.panel import read_panel
from analysis.panel.propose import propose
from runner import document, pdf

PANEL = random_panel(np.random.default_rng(1))
UNSEEN = {
    "zero width space": "\u200b",
    "zero width joiner": "\u200d",
    "right-to-left override": "\u202e",
    "soft hyphen": "\xad",
    "zero width no-break space": "\ufeff",
    "hangul filler": "\u3164",
    "variation selector-16": "\ufe0f",
    "braille pattern blank": "\u2800",
    "line separator": "\u2028",
    "a control character": "\n",
}
OURS = ["_row", "_ROW", "_key", "row", "file_index", "File_Row_Number", "filename", "rowid", "unit"]


def write(frame, path):
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    elif path.suffix == ".xlsx":
        frame.to_excel(path, index=False)
    else:
        frame.to_csv(path, index=False)
    return path


def renamed(name, column="firm", at=5):
    """Return rows in which a firm has another name from one row on, and the number of that row."""
    rows = rows_of(PANEL).astype({column: object})
    old = rows[column].iloc[at]
    rows.loc[(rows[column] == old) & (rows.index >= at), column] = name(old)
    return rows


@pytest.mark.parametrize("name", UNSEEN)
@pytest.mark.parametrize("kind", [".csv", ".parquet", ".xlsx"])
def test_a_character_that_is_not_seen_is_refused_with_its_row(tmp_path, kind, name):
    rows = renamed(lambda old: f"{old[:3]}{UNSEEN[name]}{old[3:]}")
    row = 6 + (kind != ".parquet")
    if (kind, name) == (".csv", "zero width no-break space"):
        rows = rows.assign(currency="USD")  # a mark at the start of a file is none of its text
    with pytest.raises(DataError, match=rf"row {row}, column firm: .* seen; .*\({name}\) in it"):
        read_panel(write(rows, tmp_path / f"a{kind}"))


@pytest.mark.parametrize("column", ["brand_group", "category", "origin", "platform"])
def test_such_a_character_is_refused_in_every_name(tmp_path, column):
    rows = renamed(lambda old: f"{old}\u200b", column)
    with pytest.raises(DataError, match=rf"row 7, column {column}: .* seen; .*U\+200B"):
        read_panel(write(rows, tmp_path / "a.csv"))


@pytest.mark.parametrize(
    "sign", ["é", "中", "🦊", "ß", "ไทย", " ", "'", '"', "[1]*?", "{x}", "$`\\"]
)
@pytest.mark.parametrize("kind", [".csv", ".parquet"])
def test_characters_that_are_seen_stay(tmp_path, kind, sign):
    rows = rows_of(PANEL)
    rows["firm"] = "a" + sign + rows["firm"]
    assert (
        read_panel(write(rows, tmp_path / f"a{kind}")).firms.index.str.startswith("a" + sign).all()
    )


@pytest.mark.parametrize("column", ["firm", "brand_group", "category"])
@pytest.mark.parametrize("kind", [".csv", ".parquet", ".xlsx"])
def test_a_long_name_is_refused_with_its_row(tmp_path, kind, column):
    path = write(renamed(lambda old: old + "x" * 200, column), tmp_path / f"a{kind}")
    row = 6 + (kind != ".parquet")
    with pytest.raises(DataError, match=rf"row {row}, column '{column}': .* at most 200 char"):
        read_panel(path)


LONG_NAMES = """
import sys
from pathlib import Path

import pyarrow as pa

from analysis.panel import read_panel
from analysis.panel.propose import propose
from fewtreated.errors import DataError

for read in (read_panel, propose):
    try:
        read(Path(sys.argv[1]))
    except DataError as refused:
        print(refused)
print(pa.default_memory_pool().max_memory())
"""


def test_very_long_names_are_refused_before_they_are_all_read(tmp_path):
    path = tmp_path / "a.csv"
    with path.open("w") as file:
        file.write("firm,brand_group,origin,category,platform,month,sales,closed_on\n")
        for at in range(5000):
            file.write(f"{at}{'x' * 100_000},b,CN,c,AMZ,2021-01,1,\n")
    # Arrow's most is that of its whole process, so these two readings have one of their own.
    command = [sys.executable, "-c", LONG_NAMES, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    *refusals, most = done.stdout.splitlines()
    said = r"row 2, column 'firm': .*; found one of 100,001"
    assert len(re.findall(said, "\n".join(refusals))) == 2
    assert int(most) < path.stat().st_size / 2


@pytest.mark.parametrize("also", OURS)
@pytest.mark.parametrize("kind", [".csv", ".parquet"])
def test_columns_with_names_of_queries_are_columns_like_others(tmp_path, kind, also):
    rows = rows_of(PANEL)
    path = tmp_path / f"a{kind}"
    write(rows.assign(**{also: 10**6 - np.arange(len(rows))}), path)
    map_ = tmp_path / "map.yml"
    map_.write_text("columns: {category: category}\n")
    assert read_panel(path, map=map_).digest == PANEL.digest
    assert "firm" in propose(path)
    write(rows.rename(columns={"category": also}), path)
    map_.write_text(f"columns: {{category: {also}}}\n")
    assert read_panel(path, map=map_).digest == PANEL.digest
    wrong = renamed(lambda old: f"{old}\u200b").rename(columns={"category": also})
    row = 6 + (kind == ".csv")
    with pytest.raises(DataError, match=f"row {row}, column firm"):
        read_panel(write(wrong, path), map=map_)


def test_text_in_a_dictionary_is_copied_beside_a_column_that_would_be_hidden(tmp_path):
    rows = rows_of(PANEL).assign(file_index=0)
    table = pa.Table.from_pandas(rows, preserve_index=False)
    at = table.column_names.index("firm")
    pq.write_table(
        table.set_column(at, "firm", table["firm"].dictionary_encode()), tmp_path / "a.parquet"
    )
    (tmp_path / "map.yml").write_text("columns: {firm: firm}\n")
    assert read_panel(tmp_path / "a.parquet", map=tmp_path / "map.yml").digest == PANEL.digest


@pytest.mark.parametrize("key", ["title", "origin_name"])
@pytest.mark.parametrize(
    ("name", "said"),
    [("x" * 201, "a name of at most 200 characters"), ('"a\\u200bb"', "U+200B (zero width space)")],
)
def test_a_name_of_an_event_is_short_and_seen(tmp_path, key, name, said):
    lines = (EVENTS / SHIPPED / "event.yml").read_text(encoding="utf-8").splitlines()
    at = next(at for at, line in enumerate(lines) if line.startswith(f"{key}:"))
    lines[at] = f"{key}: {name}"
    (tmp_path / "event.yml").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(DataError) as refused:
        read_event(str(tmp_path / "event.yml"))
    assert said in str(refused.value)
    assert f"line {at + 1}" in str(refused.value) or f"key {key}" in str(refused.value)


def linked(markdown):
    """Return the links that pandoc makes of the text of a cell."""
    cell = {"cell_type": "markdown", "metadata": {}, "source": markdown}
    page = json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    command = [str(pdf.pandoc()), f"--from={pdf.READER}", "--to=json"]
    done = subprocess.run(command, input=page, capture_output=True, text=True, check=True)
    return '"Link"' in done.stdout


@pytest.mark.parametrize(
    "name",
    [
        "<http://e.vil/x>",
        "http://e.vil/x",
        "Shop (https://e.vil)",
        "[x](http://e.vil)",
        "me@e.vil",
        "<me@e.vil>",
        "ftp://e.vil",
        "<a href='http://e.vil'>x</a>",
    ],
)
@pytest.mark.parametrize("as_html", [False, True])
def test_a_name_like_a_link_is_no_link(name, as_html):
    shown = {"text/plain": repr(name)}
    if as_html:
        plain = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        shown["text/html"] = f"<span>{plain}</span>"
    result = {"expression": "x", "result": {"status": "ok", "data": shown}}
    cell = {"source": "See {eval}`x` here.", "metadata": {"user_expressions": [result]}}
    said = document.filled(cell, document.Text())
    assert not (linked(said)) or (as_html and name.startswith("["))
    assert linked("See https://example.org here.")
