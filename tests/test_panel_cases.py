"""Files of panels under cases/panel: each is read as its case says, or refused with the words that
it lists.

A case begins with a text of `tables`, with templates of rows (a list of firms or months is a row
for each), or with rows of days, and changes it: `first` and `all` replace text once or everywhere,
`without` drops lines, `more` appends some; `above` counts the lines above the header; `sheets` and
`cells` are those of a workbook. It is written as `file` and read with `map`. Then `refused` lists
words of the message, and `mend` is a map with which the file is read after all; every other key
says what is read. `same` names a case that reads as the same panel.
"""

import gzip
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fewtreated.errors import DataError, DesignError
from ruamel.yaml import YAML

from analysis.estimands.design import Design
from analysis.panel import read_panel
from analysis.study import estimable
from runner.cli import main

THEMES = {
    path.stem: YAML(typ="safe").load(path)
    for path in Path(__file__).parent.glob("cases/panel/*.yml")
}
CASES = {
    name: {"theme": theme, **content.get("each", {}), **case}
    for theme, content in THEMES.items()
    for name, case in content["cases"].items()
}
SPOILED = {name: case for name, case in CASES.items() if case["theme"] == "spoiled"}
HOW = (
    "theme table rows days first all without more file encoding marked cut dates columns metadata"
    " map home allowed"
)
HOW += " above sheets cells refused mend same sales attributes notes mixed"
READ = {
    "platforms": lambda panel: [*panel.platforms],
    "months": lambda panel: [*panel.months.astype(str)],
    "firms": lambda panel: [*panel.firms.index],
    "dropped": lambda panel: listed(panel.dropped),
    "warnings": lambda panel: [doubt.found for doubt in panel.doubts],
    "population": lambda panel: panel.population,
    "provenance": lambda panel: panel.provenance,
    "unit": lambda panel: panel.unit,
    "censored": lambda panel: panel.censored,
    "no dose": lambda panel: panel.no_dose,
    "unknown": lambda panel: int(np.isnan(panel.sales).sum()),
    "closed on": lambda panel: [
        "" if day is pd.NaT else f"{day:%F}" for day in panel.firms["closed_on"]
    ],
    "closed": lambda panel: [
        None if np.isinf(month) else int(month) for month in panel.first_treated()
    ],
}


def listed(frame):
    return frame.to_numpy().tolist()


def expanded(templates, usual):
    """Return rows of templates as CSV, one for each month; {firm} in a cell is the firm's name."""
    rows = [usual | template for template in templates]
    rows = [
        row | ({"firm": firm} if firm else {})
        for row in rows
        for firm in np.atleast_1d(row.get("firm", ""))
    ]
    rows = [row | {"month": month} for row in rows for month in row["month"]]
    cells = [{name: str(cell).format(**row) for name, cell in row.items()} for row in rows]
    return pd.DataFrame(cells).fillna("").to_csv(index=False)


def days(every, begin="2021-01-01", end="2021-04-03"):
    """Return rows of every day, or every seventh, of a closed firm and another."""
    dates = [*pd.date_range(begin, end, freq=every).strftime("%F")]
    firms = [
        {"firm": firm, "month": dates, "closed_on": shut}
        for firm, shut in (("A", "2021-03"), ("B", ""))
    ]
    return expanded(firms, THEMES["days"]["row"])


def text_of(case):
    theme = THEMES[case["theme"]]
    if "days" in case:
        text = days(**case["days"])
    else:
        text = theme.get("tables", {}).get(case.get("table"), "")
    if "rows" in case:
        text = expanded(case["rows"], theme["row"])
    lines = [line for line in text.splitlines() if not re.search(case.get("without", "^$"), line)]
    text = "\n".join([*lines, case.get("more", "")])
    for key, count in (("first", 1), ("all", -1)):
        for old, new in case.get(key, {}).items():
            assert old in text, old
            text = text.replace(old, new, count)
    if "mixed" in case:
        lines = text.rstrip("\n").split("\n")
        head = 1 + case.get("above", 0)
        text = "\n".join([*lines[:head], *np.random.default_rng(0).permutation(lines[head:])])
    return text


def written(folder, case):
    """Write the file of a case, of the kind that its name says."""
    folder.mkdir(exist_ok=True)
    path = folder / case.get("file", "mine.csv")
    text = text_of(case)
    if path.suffix not in (".parquet", ".xlsx", ".dta"):
        content = (b"\xef\xbb\xbf" if case.get("marked") else b"") + text.encode(
            case.get("encoding", "utf-8")
        )
        path.write_bytes(
            (gzip.compress(content) if path.suffix == ".gz" else content)[: case.get("cut")]
        )
        return path
    frame = pd.read_csv(io.StringIO(text), dtype={"closed_on": str})
    frame = frame.assign(
        **{name: pd.to_datetime(frame[name], format="%Y-%m") for name in case.get("dates", ())}
    )
    if path.suffix == ".parquet":
        table = pa.table(
            pa.Table.from_pandas(frame, preserve_index=False).to_pydict() | case.get("columns", {})
        )
        pq.write_table(table.replace_schema_metadata(case.get("metadata")), path)
    elif path.suffix == ".xlsx":
        with pd.ExcelWriter(path) as book:
            for name in case.get("sheets", ["Sales"]):
                frame.to_excel(book, sheet_name=name, index=False, startrow=case.get("above", 0))
            for cell, value in case.get("cells", {}).items():
                book.sheets["Sales"][cell] = value
    else:
        frame.to_stata(path, write_index=False, convert_dates={"month": "tm", "closed_on": "td"})
    return path


def map_of(folder, case):
    (folder / "mine.yml").write_text(case.get("map") or "", encoding="utf-8")
    if case.get("map"):
        return folder / "mine.yml"
    return None


def read(folder, case):
    path = written(folder, case)
    return read_panel(
        path, map=map_of(folder, case), home=case.get("home"), platforms=case.get("allowed")
    )


def words(case):
    if isinstance(case["refused"], str):
        return [case["refused"]]
    return case["refused"]


def check(panel, case):
    """Hold a panel to what its case says."""
    for what in case.keys() & READ.keys():
        assert READ[what](panel) == case[what], what
    for platform, sales in case.get("sales", {}).items():
        np.testing.assert_allclose(
            panel.sales[:, panel.platforms.index(platform)],
            np.array(sales, dtype=float),
            rtol=1e-14,
            err_msg=platform,
        )
    for column, values in case.get("attributes", {}).items():
        pd.testing.assert_series_equal(
            panel.firms[column], pd.Series(values, panel.firms.index), check_names=False
        )
    for note in case.get("notes", ()):
        assert note in listed(panel.dropped)


@pytest.mark.parametrize("name", CASES)
def test_a_file_of_a_panel_is_read_or_refused_as_its_case_says(tmp_path, monkeypatch, name):
    case = CASES[name]
    assert case.keys() <= {*HOW.split(), "small blocks", *READ}
    for limit, size in (("rows.ROWS_AT_ONCE", 5), ("opening._BYTES_AT_ONCE", 200)):
        if case.get("small blocks"):
            monkeypatch.setattr(f"analysis.panel.{limit}", size)
    if "refused" in case:
        with pytest.raises(DataError) as refused:
            read(tmp_path, case)
        message = str(refused.value).replace(f"{tmp_path}/", "")
        assert re.fullmatch(r".*(: expected|, key) .*; .*", message, re.DOTALL)
        assert [word for word in words(case) if word not in message] == [], message
        case = case | {"map": case.get("mend")}
    if "refused" not in case or "mend" in case:
        panel = read(tmp_path, case)
        check(panel, case)
        assert read(tmp_path / "mixed", case | {"mixed": True}).digest == panel.digest
        if "same" in case:
            assert panel.digest == read(tmp_path / "same", CASES[case["same"]]).digest


@pytest.mark.parametrize("name", SPOILED)
def test_no_report_starts_on_a_spoiled_panel_and_only_its_own_message_fits(tmp_path, capsys, name):
    files = [
        "--panel",
        str(written(tmp_path, SPOILED[name])),
        "--map",
        str(map_of(tmp_path, SPOILED[name])),
    ]
    for command in (["check"], ["run", "--out", str(tmp_path / "out")]):
        assert main([*command, *files]) == 2
        error = capsys.readouterr().err
        assert str(tmp_path / "mine.csv") in error
        assert [
            other for other, case in SPOILED.items() if all(word in error for word in words(case))
        ] == [name]
    assert not (tmp_path / "out").exists()


def test_a_panel_without_closed_firms_is_a_panel_that_answers_nothing(tmp_path, capsys):
    case = SPOILED["missing column"] | {"first": {}, "all": {"2021-06\n": "\n"}}
    files = ["--panel", str(written(tmp_path, case)), "--map", str(map_of(tmp_path, case))]
    assert main(["run", *files, "--out", str(tmp_path / "out")]) == 2
    assert main(["check", *files, "--details"]) == 2
    said = capsys.readouterr()
    assert said.err.count("none of the 2 firms was closed between 2021-04 and 2021-06") == 2
    assert said.err.count("; use a panel that contains closures") == 2
    assert (
        "Closures by wave\nnone" in said.out
    )  # its content is printed, but not what it cannot show
    assert "What can be estimated" not in said.out
    with pytest.raises(DesignError, match="use a panel that contains closures"):
        estimable(read(tmp_path, case), Design())


def test_without_a_map_the_platforms_are_those_of_the_event(tmp_path, capsys):
    case = CASES["plain letters"] | {
        "map": "",
        "first": {"AMZ,2021-05,40": "EBAY,2021-05,40"},
        "all": {",x": "", ",note": ""},
    }
    assert main(["check", "--panel", str(written(tmp_path, case))]) == 2
    assert (
        "row 5, column platform: expected one of AMZ, EBY, ALI, WMT, OWN; found 'EBAY'"
        in capsys.readouterr().err
    )
