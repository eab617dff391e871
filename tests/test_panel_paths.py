"""The path of a panel names one file, whatever signs are in it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fewtreated.errors import DataError
from panels import random_panel
from test_panel import rows_of
from test_panel_build import MAP, orders

from analysis.panel import read_panel
from analysis.panel.map import Map, joined_files
from analysis.panel.propose import propose
from analysis.yaml import load
from runner.cli import main

SIGNS = [
    "panel[1]",
    "panel*",
    "panel?",
    "[pq]anel1",
    "panel[!2]",
    "panel[a-z0-9]",
    "**",
    "a'b[1]",
    "panel{1,2}",
    "~",
]
DECOYS = ["panel1", "panelx", "qanel1", "a'b1"]  # which a pattern of these would fit
KINDS = [".parquet", ".csv", ".csv.gz", ".tsv", ".xlsx", ".dta"]
TRUE, FALSE = (random_panel(np.random.default_rng(seed)) for seed in (1, 2))


def write(panel, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = rows_of(panel)
    kind = "".join(path.suffixes[-2:] if path.suffix == ".gz" else path.suffixes[-1:])
    if kind == ".parquet":
        panel.to_parquet(path)
    elif kind == ".xlsx":
        frame.to_excel(path, index=False)
    elif kind == ".dta":
        frame.drop(columns="dose").to_stata(path, write_index=False, version=118)
    else:
        frame.to_csv(path, index=False, sep="\t" if kind == ".tsv" else ",")


def laid_out(folder, sign, kind, part):
    """Write a panel whose file or folder has the signs of a pattern, and another where that pattern
    would lead.
    """
    names = {"file": "{}" + kind, "folder": "{}/panel" + kind}[part]
    for decoy in DECOYS:
        write(FALSE, folder / names.format(decoy))
    write(TRUE, path := folder / names.format(sign))
    return path


def same(panel, kind):
    if kind == ".dta":
        return np.array_equal(panel.sales, TRUE.sales, equal_nan=True)
    return panel.digest == TRUE.digest


@pytest.mark.parametrize("part", ["file", "folder"])
@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("kind", [".parquet", ".csv"])
def test_a_path_is_read_as_it_is_spelled(tmp_path, monkeypatch, kind, sign, part):
    path = laid_out(tmp_path, sign, kind, part)
    assert same(read_panel(path), kind)
    monkeypatch.chdir(tmp_path)
    assert same(read_panel(path.relative_to(tmp_path)), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_every_kind_is_read_as_it_is_spelled(tmp_path, kind):
    assert same(read_panel(laid_out(tmp_path, "panel[1]*", kind, "file")), kind)


@pytest.mark.parametrize("sign", ["panel[1]", "panel?"])
def test_a_file_that_is_not_there_is_missed_whatever_a_pattern_would_find(tmp_path, sign):
    laid_out(tmp_path, "other", ".parquet", "file")
    with pytest.raises(DataError, match="no such file"):
        read_panel(tmp_path / f"{sign}.parquet")


def test_only_a_star_in_a_name_that_no_file_has_stands_for_others(tmp_path):
    whole = rows_of(TRUE)
    for at, rows in enumerate(np.array_split(np.arange(len(whole)), 3)):
        whole.iloc[rows].to_csv(tmp_path / f"part[1]-{at}.csv", index=False)
        rows_of(FALSE).to_csv(tmp_path / f"part1-{at}.csv", index=False)
    assert read_panel(tmp_path / "part[1]-*.csv").digest == TRUE.digest
    write(FALSE, tmp_path / "part[1]-*.csv")
    assert read_panel(tmp_path / "part[1]-*.csv").digest == FALSE.digest


def test_a_folder_is_no_column(tmp_path):
    path = tmp_path / "category=toys" / "origin=CN" / "panel.parquet"
    write(TRUE, path)
    assert read_panel(path).digest == TRUE.digest


def test_the_temporary_folder_may_have_the_signs_of_a_pattern(tmp_path, monkeypatch):
    (tmp_path / "t[1]*").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t[1]*"))
    for kind in (".parquet", ".csv"):
        write(TRUE, tmp_path / f"panel{kind}")
        assert read_panel(tmp_path / f"panel{kind}").digest == TRUE.digest


@pytest.mark.parametrize(
    "name", ["a:b.parquet", "~/panel.parquet", "s3:x.parquet", "file:x.parquet", "out[1]*?.parquet"]
)
def test_a_panel_is_written_where_it_is_told(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path(name).parent.mkdir(exist_ok=True)
    TRUE.to_parquet(name)
    assert read_panel(tmp_path / name).digest == TRUE.digest


def test_maps_and_second_files_are_read_as_they_are_spelled(tmp_path):
    folder = tmp_path / "f[1]*"
    frame = rows_of(TRUE)
    folder.mkdir()
    firms = ["firm", "brand_group", "origin", "category", "closed_on", "dose", "risk"]
    attributes = [name for name in firms if name in frame]
    for name, of in (("second[1]", TRUE), ("second1", FALSE)):
        cells = (
            rows_of(of)[attributes]
            .drop_duplicates("firm")
            .astype({"closed_on": "str"})
            .replace("nan", None)
        )
        cells.to_parquet(folder / f"{name}.parquet", index=False)
    frame[["firm", "platform", "month", "sales", "provenance"]].to_csv(
        folder / "sales[1].csv", index=False
    )
    text = "join: {file: 'second[1].parquet', key: firm}\nabsent: zero\n"
    (folder / "map[1].yml").write_text(text)
    panel = read_panel(folder / "sales[1].csv", map=folder / "map[1].yml")
    pd.testing.assert_frame_equal(
        panel.firms[["origin", "category"]], TRUE.firms[["origin", "category"]]
    )
    assert propose(folder / "sales[1].csv", folder / "second[1].parquet").startswith("#")


def test_a_map_is_proposed_from_the_file_that_is_named(tmp_path):
    frame = rows_of(TRUE).rename(columns={"sales": "Umsatz in CNY"})
    frame.to_parquet(tmp_path / "panel[1].parquet", index=False)
    frame.assign(platform="Nowhere").to_parquet(tmp_path / "panel1.parquet", index=False)
    assert "Nowhere" not in propose(tmp_path / "panel[1].parquet")


def test_commands_read_and_write_the_file_that_is_named(tmp_path, capsys):
    frame = orders()
    few = tmp_path / "o[1].parquet"
    many = tmp_path / "o1.parquet"
    dated = frame.assign(month=frame["month"].dt.date, closed_on=frame["closed_on"].dt.date)
    dated[dated["firm"].isin(["F0", "F1", "F2", "F10"])].to_parquet(few)
    dated.to_parquet(many)
    (tmp_path / "m[1].yml").write_text(MAP)
    out = tmp_path / "out[1]*.parquet"
    assert main(["panel", str(few), "--map", str(tmp_path / "m[1].yml"), "--out", str(out)]) == 0
    capsys.readouterr()
    main(["check", "--panel", str(out)])
    assert "4 firms" in capsys.readouterr().out
    assert main(["map", str(few), "--out", str(tmp_path / "new[1].yml")]) == 0


def test_a_simulated_market_is_written_where_it_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", "--preset", "floor_3k", "--seed", "1", "--out", "a:b [1]*"]) == 0
    digest = json.loads((tmp_path / "a:b [1]*" / "truth.json").read_text())["panel_digest"]
    assert read_panel(tmp_path / "a:b [1]*" / "panel.parquet").digest == digest


def test_reports_are_made_on_one_file(tmp_path, capsys):
    write(TRUE, tmp_path / "part-1.csv")
    reports = [
        "run",
        "panel_01",
        "--panel",
        str(tmp_path / "part-*.csv"),
        "--out",
        str(tmp_path / "out"),
        "--dry-run",
    ]
    assert main(reports) == 2
    assert (
        "stands for several files, and a release has the hash of one; write them to one"
        in capsys.readouterr().err
    )


NAMES = [
    "a [1]*?",
    'it\'s "x"',
    "a\nb",
    "a: b #c",
    "{x}",
    "-a",
    "a\\b",
    "%20&x=y",
    "é中",
    "?",
    "null",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_proposed_map_has_the_names_of_files_so_that_it_can_be_read(tmp_path, name):
    frame = rows_of(TRUE)
    firms = ["firm", "brand_group", "origin", "category", "closed_on", "dose", "risk"]
    attributes = [column for column in firms if column in frame]
    folder = tmp_path / name
    folder.mkdir()
    second = folder / f"{name}.csv"
    frame[attributes].drop_duplicates("firm").to_csv(second, index=False)
    first = tmp_path / f"{name}.csv"
    frame.drop(columns=attributes[1:]).to_csv(first, index=False)
    text = propose(first, second)
    lines = [line for line in text.splitlines() if not line.endswith('"?"')]
    map_ = tmp_path / f"{name}.yml"
    map_.write_text("\n".join([*lines, "population: census", "absent: missing"]), encoding="utf-8")
    assert load(map_, Map).join.file == f"{name}/{name}.csv"
    assert joined_files(first, map_) == [second]
    assert text.splitlines()[0].startswith("# ")
    assert [*read_panel(first, map=map_).firms.index] == [*TRUE.firms.index]


def test_a_name_that_a_map_cannot_have_is_refused(tmp_path):
    frame = rows_of(TRUE)
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame[["firm"]].drop_duplicates().to_csv(tmp_path / "b\u200b.csv", index=False)
    with pytest.raises(
        DataError, match=r"all seen, since the map has it; found U\+200B .*; rename"
    ):
        propose(tmp_path / "a.csv", tmp_path / "b\u200b.csv")


def test_nothing_is_quoted_of_a_file_that_is_no_map(tmp_path, capsys):
    write(TRUE, tmp_path / "a.csv")
    for content in ("S3cret", "- S3cret", "S3cret:x:0", "token: S3cret", "a: {b: S3cret}"):
        (tmp_path / "map.yml").write_text(content)
        with pytest.raises(DataError) as refused:
            read_panel(tmp_path / "a.csv", map=tmp_path / "map.yml")
        assert "S3cret" not in str(refused.value)
