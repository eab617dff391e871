"""Proposing a map: what is plain is in it, what is not is a question, and no map passes before it
is answered.
"""

import gzip
import re
from pathlib import Path

import messy
import numpy as np
import pandas as pd
import pytest
from fewtreated.errors import DataError
from ruamel.yaml import YAML

from analysis.panel import read_panel
from analysis.panel.map import Map
from analysis.panel.propose import propose
from analysis.provenance import ROOT
from analysis.yaml import load
from runner import cli as front_desk

EXAMPLES = ROOT / "data" / "examples"
LABELS = {"AMZ": "亚马逊", "EBY": "eBay.de"}
MONTHS = pd.period_range("2021-01", "2021-12", freq="M")
PLAIN = """\
columns: {firm: 卖家, brand_group: 品牌, origin: 国家, category: 类目,
  platform: 平台, month: 月份, sales: 销售额_usd,
  closed_on: 关店日期}
"""


def rows(months=MONTHS, *, day="%Y-%m", sales="{:.2f}".format):
    """Return sales of six firms on two platforms in each month, in columns with Chinese names."""
    cells = [(firm, site, month) for firm in range(6) for site in LABELS for month in months]
    firm, site, month = (list(part) for part in zip(*cells, strict=True))
    return pd.DataFrame(
        {
            "卖家": [f"M{number}" for number in firm],
            "品牌": [f"B{number // 2}" for number in firm],
            "国家": [("中国", "US", "China")[number % 3] for number in firm],
            "类目": ["toys" if number < 3 else "tools" for number in firm],
            "平台": [LABELS[code] for code in site],
            "月份": [each.strftime(day) for each in month],
            "销售额_usd": [
                sales(1000.5 + 777.25 * number + len(code))
                for number, code in zip(firm, site, strict=True)
            ],
            "关店日期": ["2021-05-14" if number == 0 else "" for number in firm],
        }
    )


EVENT = {"title": "a closing", "waves": ["2021-05"]}


def proposed(tmp_path, frame, name="mine.csv", above="", event=None, **how):
    """Return the lines of the map that is proposed for rows, with text above them."""
    of = {}
    if event:
        YAML().dump(EVENT | event, tmp_path / "event.yml")
        of = {"event": str(tmp_path / "event.yml")}
    path = tmp_path / name
    frame.to_csv(path, index=False, **how)
    path.write_bytes(above.encode() + path.read_bytes())
    return propose(path, **of).splitlines()


def answered(tmp_path, text, *answers):
    """Write a map in which some questions are answered, and return its path."""
    lines = [line for line in text.splitlines() if not line.endswith('"?"')]
    path = tmp_path / "mine.map.yml"
    path.write_text("\n".join([*lines, "population: census", *answers]) + "\n", encoding="utf-8")
    return path


CENSUS = {"population": "census"}
YUAN = "{2019: 0.145, 2020: 0.145, 2021: 0.155, 2022: 0.15}"
ANSWERS = {
    "tidy": CENSUS,
    "accounts": {"absent": "zero", **CENSUS},
    "wide": {"currency": "CNY", "rates": YUAN, **CENSUS},
}


@pytest.mark.parametrize("shape", ANSWERS)
def test_the_map_of_an_example_is_finished_once_each_question_has_its_answer(tmp_path, shape):
    file = EXAMPLES / f"{shape}.csv"
    text = propose(file)
    path = tmp_path / "mine.map.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=rf"open questions?: {', '.join(ANSWERS[shape])}; replace"):
        load(path, Map)
    path.write_text(messy.finished(text, ANSWERS[shape]), encoding="utf-8")
    assert (
        read_panel(file, map=path).digest
        == read_panel(file, map=EXAMPLES / f"{shape}.map.yml").digest
    )


def test_months_as_columns_are_found(tmp_path):
    text = propose(EXAMPLES / "wide.csv")
    mapped = load(answered(tmp_path, text, "currency: CNY", "rates: 0.15"), Map)
    assert (mapped.wide.prefix, mapped.wide.format) == ("sales_", "%Y%m")
    assert mapped.columns == load(EXAMPLES / "wide.map.yml", Map).columns | {"category": "category"}
    assert mapped.platforms == load(EXAMPLES / "wide.map.yml", Map).platforms


def test_columns_platforms_and_origins_are_known_by_chinese_names(tmp_path):
    mapped = load(answered(tmp_path, "\n".join(proposed(tmp_path, rows()))), Map)
    (tmp_path / "plain.yml").write_text(PLAIN, encoding="utf-8")
    assert mapped.columns == load(tmp_path / "plain.yml", Map).columns
    assert mapped.platforms == {"亚马逊": "AMZ", "eBay.de": "EBY"}
    assert mapped.origins == {"中国": "CN", "China": "CN", "US": "other"}
    assert (mapped.closed_format, mapped.thousands) == (("%Y-%m-%d",), "")


CASES = YAML(typ="safe").load(Path(__file__).parent / "cases" / "propose.yml")


def changed(case):
    """Return the rows of a case; a list that is added is repeated to their end."""
    if "months" in case:
        months = pd.period_range(**case["months"])
    else:
        months = MONTHS
    swap = case.get("swap", "")
    form = case.get("sales", "{:.2f}")
    signs = str.maketrans(swap, swap[::-1])
    frame = rows(
        months,
        day=case.get("day", "%Y-%m"),
        sales=lambda value: form.format(value).translate(signs),
    )
    added = {name: np.resize(cells, len(frame)) for name, cells in case.get("add", {}).items()}
    frame = (
        frame.replace(case.get("replace", {})).assign(**added).drop(columns=case.get("drop", []))
    )
    if "absent" in case:
        frame = frame[frame.index % case["absent"] > 0]
    return frame.rename(columns=case.get("rename", {}))


@pytest.mark.parametrize("name", CASES)
def test_lines_are_proposed_asked_about_or_left_out(tmp_path, name):
    case = CASES[name]
    lines = proposed(tmp_path, changed(case), event=case.get("event"), **case.get("written", {}))
    assert [
        line for line in case.get("lines", []) if not any(re.match(line, other) for other in lines)
    ] == [], lines
    assert [
        line for line in lines if any(re.match(other, line) for other in case.get("no lines", []))
    ] == []


def test_no_map_is_proposed_for_rows_of_weeks(tmp_path):
    weeks = {"start": "2021-01-04", "periods": 60, "freq": "7D"}
    with pytest.raises(DataError, match="dates a week apart, such as 2021-01-04 and 2021-01-11"):
        proposed(tmp_path, changed({"months": weeks, "day": "%Y-%m-%d"}))


def test_every_type_of_file_gives_the_same_columns(tmp_path):
    frame = rows()
    latin = dict(
        zip(
            frame,
            ["seller", "brand", "country", "category", "site", "month", "sales_usd", "closed"],
            strict=True,
        )
    )
    frame = frame.rename(columns=latin).assign(
        sales_usd=lambda all_: all_["sales_usd"].astype(float) + 0.125
    )
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))
    frame.to_parquet(tmp_path / "a.parquet", index=False)
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    frame.to_stata(tmp_path / "a.dta", write_index=False, version=118)
    found = {
        kind: propose(tmp_path / f"a.{kind}").partition("\n")[2]
        for kind in ("csv", "tsv", "csv.gz", "parquet", "dta", "xlsx")
    }
    assert {*found.values()} == {found["csv"]}


def test_of_a_large_file_the_beginning_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr("analysis.panel.propose.ROWS_LOOKED_AT", 10_000)
    monkeypatch.setattr("analysis.panel.rows.ROWS_AT_ONCE", 5_000)
    monkeypatch.setattr("analysis.panel.opening._BYTES_AT_ONCE", 1 << 16)
    lines = proposed(tmp_path, pd.concat([rows()] * 200))
    assert any(re.fullmatch(r"# only the first 10,000 rows were inspected", line) for line in lines)
    assert any(line.startswith("  sales: 销售额_usd") for line in lines)


def test_any_name_and_word_is_written_so_that_the_map_can_be_read(tmp_path):
    odd = {"销售额_usd": '销售额\n(USD): "net"', "平台": "平台 #1: {a}", "品牌": "- 品牌"}
    frame = rows().rename(columns=odd).replace({"亚马逊": "Amazon: 'com' #1", "US": "null"})
    mapped = load(answered(tmp_path, "\n".join(proposed(tmp_path, frame))), Map)
    assert {*mapped.columns.values()} == {*frame}
    assert mapped.platforms == {"Amazon: 'com' #1": "AMZ", "eBay.de": "EBY"}
    assert mapped.origins == {"中国": "CN", "China": "CN", "null": "other"}


def test_what_is_no_table_is_refused(tmp_path):
    no_tables = {
        "a.txt": "x",
        "a.parquet": "x",
        "a.xlsx": "x",
        "a.csv": "",
        "b.csv": "a\n",
        "c.csv": "a\n1,2\n",
    }
    for name, content in no_tables.items():
        (tmp_path / name).write_text(content)
        with pytest.raises(DataError, match=r"(expected|asked for).*; found .*; \w+"):
            propose(tmp_path / name)
    with pytest.raises(DataError, match="found no such file; correct its path"):
        propose(tmp_path / "none.csv")


def test_the_command_prints_or_writes_and_overwrites_nothing(tmp_path, capsys):
    file = str(EXAMPLES / "tidy.csv")
    out = tmp_path / "tidy.map.yml"
    assert front_desk.main(["map", file]) == 0
    printed = capsys.readouterr().out
    assert printed == propose(EXAMPLES / "tidy.csv")
    assert front_desk.main(["map", file, "--out", str(out)]) == 0
    assert out.read_text(encoding="utf-8") == printed
    lost = out.parent / "none" / "map.yml"
    assert front_desk.main(["map", file, "--out", str(lost)]) == 2
    assert f"there is no folder {lost.parent}; make it" in capsys.readouterr().err
    assert front_desk.main(["map", file, "--out", str(out)]) == 2
    assert "the file already exists; choose another name" in capsys.readouterr().err
    assert out.read_text(encoding="utf-8") == printed
