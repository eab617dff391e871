"""What is taken away from reports: estimates, tables for a paper, and figures with their data."""

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from desk import AS_OF, SOURCES, WRITE_VERDICTS, contents, published_once
from fewtreated.errors import DataError

import analysis
from analysis.exhibits import blocks, charts, style
from analysis.exhibits.payload import COLUMNS, of_estimates, of_figure
from analysis.numbers import quantity
from analysis.provenance import ROOT
from runner import Exit, exports
from runner.pdf import pandoc

SHOW, ANSWER, TABLE, FIGURE = (SOURCES[name] for name in ("show", "answer", "table", "figure"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A project whose first report has shown estimates and a figure, and whose others nothing."""
    cells = (SHOW, ANSWER, TABLE, FIGURE, WRITE_VERDICTS)
    with published_once(tmp_path_factory.mktemp("finished"), *cells) as desk:
        yield desk


@pytest.fixture
def desk(finished, tmp_path):
    return finished.copied(tmp_path)


def cells_of(file, kind: str) -> list[list[str]]:
    """Return the cells of the tables of a file, as pandoc reads it: a number is no argument of how
    a cell is set.
    """
    content = (
        re.sub(rb"\\(raggedleft|raggedright|arraybackslash)\b", b"", file.read_bytes())
        if kind == "latex"
        else None
    )
    command = [pandoc(), f"--from={kind}", "--to=html", "--wrap=none", *([] if content else [file])]
    done = subprocess.run(command, input=content, capture_output=True, check=True)
    rows = re.findall("<tr.*?</tr>", done.stdout.decode(), flags=re.S)
    plain = [
        [re.sub("<[^>]*>", "", cell).strip() for cell in re.findall("<t[hd].*?</t[hd]>", row, re.S)]
        for row in rows
    ]
    return [[cell.replace("&amp;", "&").replace("−", "-") for cell in row] for row in plain]


def test_what_a_report_shows_is_published_beside_its_pdf_and_read_back(finished):
    manifest = finished.manifest()
    names = (
        "ipynb pdf estimates.parquet estimates.csv tables.tex tables.docx figures/figure-1.svg"
        " figures/figure-1.csv"
    )
    assert {*manifest["reports"]["01_first"]["made"]} == {
        f"01_first.{name}" for name in names.split()
    }
    assert manifest["reports"]["02_second"]["made"] == ["02_second.ipynb", "02_second.pdf"]
    assert not list(finished.published.glob("02_second.e*"))
    found = analysis.load_estimates(finished.published)
    assert found.dtypes.map(str).to_dict() == COLUMNS
    assert found["table"].tolist() == [0, 1, 1]
    assert {*found["report"]} == {"01_first"}
    assert {*found["panel"]} == {"abc"}
    assert found.loc[2, ["estimand", "reason"]].tolist() == ["E1b", "nobody was closed_there"]
    file = finished.published / "01_first.estimates.csv"
    by_text = pd.read_csv(file, dtype=COLUMNS, keep_default_na=False, na_values=[""])
    texts = [name for name, kind in COLUMNS.items() if kind == "str"]
    pd.testing.assert_frame_equal(by_text.fillna(dict.fromkeys(texts, "")), found)
    drawn = finished.published / "01_first.figures" / "figure-1.csv"
    assert drawn.read_text() == "year,term,estimate\n2020,a,1\n2021,a,2.5\n"
    assert drawn.with_suffix(".svg").read_text().startswith("<?xml")


def test_an_estimate_that_is_taken_away_is_the_one_that_is_printed(finished):
    row = analysis.load_estimates(finished.published).query("table == 1").iloc[0]
    cells = json.loads((finished.published / "01_first.ipynb").read_text())["cells"]
    html = "".join(
        "".join(out.get("data", {}).get("text/html", ""))
        for cell in cells
        for out in cell.get("outputs", [])
    )
    for name in ("estimate", "conf_low", "conf_high"):
        assert quantity(row[name], row["unit"]) in html
    for kind in ("tex", "docx"):
        file = finished.published / f"01_first.tables.{kind}"
        lines = cells_of(file, {"tex": "latex"}.get(kind, kind))[-3:]
        assert lines[0][:4] == ["Effect", "Estimate", "Std. error", "95 per cent interval"]
        assert lines[1][:4] == ["closed firms", "-70.1", "8.5", "-88.0 to -35.3"]
        assert lines[2][:2] == ["at home & away", "–"]


@pytest.mark.slow
def test_the_same_report_made_twice_leaves_the_same_bytes(desk):
    before = contents(desk.published)
    assert desk.run(force=True) == Exit.OK
    assert desk.published.name == f"{AS_OF}.2"
    after = contents(desk.published)
    assert before.keys() == after.keys()
    told = {"changes.json", "index.html", "annex.pdf"}  # what moved since the first: nothing
    assert {name for name in before if before[name] != after[name]} == {"manifest.json", *told}


def test_what_was_taken_away_by_hand_is_made_again_and_what_is_no_longer_shown_goes(desk):
    drawn = Path("01_first.figures", "figure-1.csv")
    (desk.published / drawn).write_text("mine")
    assert desk.run("01_first") == Exit.OK
    assert (desk.published / drawn).read_text() != "mine"
    desk.write("01_first", SHOW, ANSWER, FIGURE, FIGURE, WRITE_VERDICTS)
    assert desk.run("01_first") == Exit.OK
    left = sorted(
        file.name
        for file in desk.published.rglob("*")
        if "first.t" in file.name or "figure-" in file.name
    )
    assert left == ["figure-1.csv", "figure-1.svg", "figure-2.csv", "figure-2.svg"]


def test_a_folder_without_estimates_and_a_file_of_something_else_are_refused(tmp_path):
    with pytest.raises(
        DataError, match=r"has no file \*\.estimates\.parquet; choose a folder of reports"
    ):
        analysis.load_estimates(tmp_path)
    (tmp_path / "05.estimates.parquet").write_text("mine")
    with pytest.raises(DataError, match=r"Cannot read estimates from .*05\.estimates\.parquet"):
        analysis.load_estimates(tmp_path)
    pd.DataFrame({"estimate": [1.0]}).to_parquet(tmp_path / "05.estimates.parquet")
    with pytest.raises(DataError, match="make the report again"):
        analysis.load_estimates(tmp_path)


def table(caption="Three designs, in the window. What gaps ● say.", **columns) -> dict:
    """Return a table of what was simulated."""
    given = {
        "provenance": "simulated",
        "unit": "per cent",
        "report": "simulated/03",
        "market": "mid_3k, seed 1",
        **columns,
    }
    made = of_estimates("estimates", "", pd.DataFrame(given)).data
    return exports.tabled(caption, made.assign(as_of="2026-11-25"))


def lines_of(table: dict) -> list[list[str]]:
    return [[*table["cells"]], *table["cells"].to_numpy().tolist()]


def test_a_row_is_an_estimate_by_its_plain_label_and_ids_stand_nowhere():
    made = table(
        label=["a", "b"],
        id=["E3g", "E2a"],
        estimate=[1.868, 8.5],
        std_error=[0.0471, 46.7],
        conf_low=1.776,
        conf_high=12.0,
        level=0.95,
        interval="95% confidence interval, by brand",
        unit=["ratio", "per cent"],
        n=1200.0,
    )
    assert lines_of(made) == [
        ["Effect", "Estimate", "Std. error", "95 per cent interval", "n", "Unit"],
        ["a", "1.87", "0.05", "1.78 to 12.00", "1,200", "ratio"],
        ["b", "+8.5", "46.7", "+1.8 to +12.0", "1,200", "per cent"],
    ]
    assert "Intervals are confidence intervals." in made["notes"]
    assert "E3g" not in str(made)


def test_a_firm_in_several_windows_is_one_row_and_windows_are_columns():
    news = {
        "label": ["Owner of: b", "Owner of: a", "Owner of: b"],
        "months": ["first", "first", "then"],
    }
    made = table(**news, estimate=[1.0, 2.0, 3.0], conf_low=-1.0, conf_high=5.0, level=0.95)
    assert lines_of(made) == [
        ["Owner of", "first", "then"],
        ["a", "+2.0 [−1.0 to +5.0]", "–"],
        ["b", "+1.0 [−1.0 to +5.0]", "+3.0 [−1.0 to +5.0]"],
    ]
    assert made["title"] == "Three designs, in the window (per cent)"
    assert "In brackets, the 95 per cent interval." in made["notes"]


def test_a_set_has_bounds_and_the_notes_say_what_a_table_is_made_of():
    reasons = {"reason": "a set, -1", "months": "2021-09 to 2022-02"}
    made = table(
        label=["a", "b"],
        estimate=[np.nan, np.nan],
        conf_low=-1.0,
        conf_high=[2.0, np.inf],
        **reasons,
    )
    assert lines_of(made)[1:] == [["a", "between −1.0 and +2.0"], ["b", "between −1.0 and ∞"]]
    assert [*made["cells"]] == ["Effect", "Bounds"]
    said = (
        "What gaps say. Window: 2021-09 to 2022-02. A, b: a set, −1. Simulated: mid_3k, seed 1; no"
        " finding about a"
    )
    assert made["notes"] == f"{said} real market. Report simulated/03, as of 25 November 2026."


def test_what_has_no_error_has_no_degrees_of_freedom_and_a_set_no_coverage():
    rows = pd.DataFrame(
        {"std_error": [1.0, np.nan], "df": 3.0, "level": 0.95, "interval": ["interval", "bounds"]}
    )
    made = of_estimates("estimates", "", rows).data
    assert made["df"].isna().tolist() == made["level"].isna().tolist() == [False, True]


def test_whatever_a_label_holds_latex_reads_it_and_months_are_written_out(tmp_path):
    label = r"up 5 % & more_than #1 {x} ~ ^ < > \n €$ of 2021-09"
    exports.write_tables(
        [table(label=[label], estimate=[-1.0], conf_low=-np.inf)], tmp_path / "x.tables"
    )
    cells = cells_of(tmp_path / "x.tables.tex", "latex")[-1]
    written = label.replace("2021-09", "September 2021").replace("<", "&lt;").replace(">", "&gt;")
    assert [" ".join(cell.split()) for cell in cells[:2]] == [written, "-1.0"]
    assert not {"−", "∞"} & {*(tmp_path / "x.tables.tex").read_text()}


def test_a_figure_carries_all_that_it_was_drawn_from():
    style.use("estimate")
    rows = pd.DataFrame({"term": ["a"], "estimate": [1.0], "conf_low": [0.0], "conf_high": [2.0]})
    block = blocks.figure(charts.forest(rows, xlabel="points"), "A forest.")
    pd.testing.assert_frame_equal(block.parts[0].data, rows)
    several = of_figure({"bins": rows, "slope": rows, "xlabel": "points"})
    assert several["part"].tolist() == ["bins", "slope"]
    dated = pd.DataFrame(
        {"term": "a", "estimate": [1.0, 2.0]}, index=pd.Index([2020, 2021], name="year")
    )
    assert list(of_figure({"rows": dated})) == ["year", "term", "estimate"]


def test_a_plain_table_of_estimates_is_taken_away_too_and_another_is_not():
    style.use("estimate")
    rows = pd.DataFrame(
        {"ratio": [0.5], "estimate": [-1.1], "conf_low": [-1.5], "conf_high": [-0.7]}
    )
    headers = {"ratio": "Variance ratio", "estimate": "Difference, log points"}
    (found,) = blocks.table(rows, "By variance.", columns=headers).parts
    assert found.data.loc[0, ["label", "unit", "estimate"]].tolist() == [
        "Variance ratio: 0.5",
        "log points",
        -1.1,
    ]
    assert blocks.table(pd.DataFrame({"firm": ["a"]}), "Firms.").parts == ()


def test_the_dictionary_names_every_column_in_its_order():
    page = (ROOT / "docs" / "estimates.md").read_text(encoding="utf-8")
    named = re.findall("`(.*?)`", " ".join(re.findall(r"^\| (`.*?) \|", page, flags=re.M)))
    assert named == [*COLUMNS]
