"""The panel: what a file becomes, and what is refused and with which message."""

import io
import json
from dataclasses import replace

import frictionless
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from panels import EARLY, random_panel

from analysis.errors import DataError
from analysis.panel import read_panel
from analysis.panel.panel import SCHEMA, attributes, columns

HEADER = "firm,brand_group,origin,category,platform,month,sales,closed_on"
ROWS = """\
A,g1,CN,kitchen,AMZ,2021-01,10,2021-03
A,g1,CN,kitchen,AMZ,2021-02,12.5,2021-03
A,g1,CN,kitchen,AMZ,2021-03,0,2021-03
B,g2,US,kitchen,AMZ,2021-01,30,
B,g2,US,kitchen,AMZ,2021-02,30,
B,g2,US,kitchen,AMZ,2021-03,40,
B,g2,US,kitchen,EBY,2021-01,1,
B,g2,US,kitchen,EBY,2021-02,,
B,g2,US,kitchen,EBY,2021-03,3,
"""


def csv(tmp_path, text, name="panel.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def small(tmp_path, old="", new="", header=HEADER):
    """Write the small panel, one text in it replaced."""
    text = f"{header}\n{ROWS}"
    assert old in text
    return csv(tmp_path, text.replace(old, new, 1) if old else text)


def all_listed(tmp_path):
    """Write the map of a file that lists all sales."""
    return csv(tmp_path, "absent: zero\n", "all_listed.yml")


def refusal(path, **asked):
    with pytest.raises(DataError) as refused:
        read_panel(path, **asked)
    return str(refused.value)


def rows_of(panel):
    """Return one row per firm, platform and month, in the columns of the schema."""
    keys = pd.MultiIndex.from_product(
        [panel.firms.index, panel.platforms, panel.months.strftime("%Y-%m")], names=["firm", "platform", "month"]
    )
    frame = pd.Series(panel.sales.reshape(-1), keys, name="sales").reset_index()
    frame = frame.join(panel.firms, on="firm")
    return frame.assign(closed_on=frame["closed_on"].dt.strftime("%Y-%m"), provenance=panel.provenance)


def assert_same(one, other):
    np.testing.assert_array_equal(one.sales, other.sales)
    pd.testing.assert_frame_equal(one.firms[attributes()], other.firms[attributes()])
    assert (one.platforms, one.provenance, one.digest) == (other.platforms, other.provenance, other.digest)
    assert one.months.equals(other.months)


# What a file becomes


def test_a_row_is_a_cell_zero_is_a_value_and_an_empty_cell_is_missing(tmp_path):
    panel = read_panel(small(tmp_path))
    assert panel.platforms == ("AMZ", "EBY")
    assert list(panel.months.astype(str)) == ["2021-01", "2021-02", "2021-03"]
    np.testing.assert_array_equal(panel.platform("AMZ"), [[10, 12.5, 0], [30, 30, 40]])
    np.testing.assert_array_equal(panel.platform("EBY"), [[0, 0, 0], [1, np.nan, 3]])
    np.testing.assert_array_equal(panel.total(), [[10, 12.5, 0], [31, np.nan, 43]])
    assert list(panel.firms.index) == ["A", "B"]
    assert list(panel.firms["closed_on"]) == [pd.Timestamp("2021-03-01"), pd.NaT]
    assert panel.firms["dose"].tolist()[0] == 1.0
    assert panel.firms[["dose", "risk"]].isna().to_numpy().tolist() == [[False, True], [True, True]]
    assert (panel.provenance, panel.unit) == ("real", "USD")
    assert panel.dropped.empty


def test_a_row_that_is_absent_is_missing_unless_the_firm_has_no_row_on_the_platform(tmp_path):
    path = small(tmp_path, "A,g1,CN,kitchen,AMZ,2021-02,12.5,2021-03\n")
    np.testing.assert_array_equal(read_panel(path).sales[0], [[10, np.nan, 0], [0, 0, 0]])
    np.testing.assert_array_equal(read_panel(path, map=all_listed(tmp_path)).sales[0], [[10, 0, 0], [0, 0, 0]])


def test_a_platform_is_not_covered_in_a_month_without_any_row_of_it(tmp_path):
    path = small(tmp_path, "B,g2,US,kitchen,EBY,2021-02,,\n")
    np.testing.assert_array_equal(read_panel(path).platform("EBY"), [[0, np.nan, 0], [1, np.nan, 3]])
    zeros = read_panel(path, map=all_listed(tmp_path))
    np.testing.assert_array_equal(zeros.platform("EBY"), [[0, 0, 0], [1, 0, 3]])


def test_a_month_without_any_row_is_missing_and_keeps_its_place(tmp_path):
    text = "\n".join(line for line in f"{HEADER}\n{ROWS}".splitlines() if ",2021-02," not in line)
    for named in (None, all_listed(tmp_path)):
        panel = read_panel(csv(tmp_path, text), map=named)
        assert len(panel.months) == 3
        assert np.isnan(panel.sales[:, :, 1]).all()
        assert not np.isnan(panel.sales[:, :, [0, 2]]).any()


def test_the_home_platform_comes_first_and_the_others_in_the_order_asked(tmp_path):
    path = small(tmp_path)
    assert read_panel(path, home="EBY").platforms == ("EBY", "AMZ")
    assert read_panel(path, platforms=["OWN", "EBY", "AMZ"]).platforms == ("AMZ", "EBY")
    assert read_panel(path, home="EBY").digest == read_panel(path).digest


def test_rows_by_account_are_added_up_to_their_firm_and_counted(tmp_path):
    header = HEADER.replace("firm,", "firm,account,")
    lines = [f"{row[0]},{row[0]}1,{row[2:]}" for row in ROWS.splitlines()]
    lines += [
        "A,A2,g1,CN,kitchen,AMZ,2021-01,0.5,2021-03",
        "A,A2,g1,CN,kitchen,AMZ,2021-02,,2021-03",
        "A,A3,g1,CN,kitchen,EBY,2021-02,7,2021-03",
    ]
    panel = read_panel(csv(tmp_path, "\n".join([header, *lines])))
    np.testing.assert_array_equal(panel.sales[0], [[10.5, np.nan, 0], [np.nan, 7, np.nan]])
    assert panel.dropped.to_numpy().tolist() == [
        ["accounts", "added up to their firms; renamed ones cannot be linked, there is no column renamed_from", 4],
        ["rows", "added up with another row of their firm, platform and month", 2],
    ]
    again = [header, *lines, lines[0]]
    assert "found ('A', 'A1', 'AMZ', '2021-01'), which stands in row 2 already" in refusal(
        csv(tmp_path, "\n".join(again))
    )


def test_the_order_of_accounts_does_not_change_the_last_digit_of_a_sum(tmp_path):
    header = HEADER.replace("firm,", "firm,account,")
    rows = [f"A,a{k},g1,CN,kitchen,AMZ,2021-01,{sales}," for k, sales in enumerate([0.1, 0.2, 0.3, 1e9])]
    rows.append("B,b,g2,US,kitchen,AMZ,2021-01,1,")
    one, other = (
        read_panel(csv(tmp_path, "\n".join([header, *order]))) for order in (rows, [rows[k] for k in (3, 1, 4, 0, 2)])
    )
    assert one.digest == other.digest


def test_a_firm_without_known_sales_is_left_out_and_counted_with_its_rows(tmp_path):
    panel = read_panel(csv(tmp_path, f"{HEADER}\n{ROWS}C,g3,CN,toys,AMZ,2021-01,,\nC,g3,CN,toys,AMZ,2021-02,,\n"))
    assert list(panel.firms.index) == ["A", "B"]
    assert panel.dropped.to_numpy().tolist() == [
        ["rows", "left out: their firm has no known sales in any month", 2],
        ["firms", "left out: no known sales in any month", 1],
    ]


@pytest.mark.parametrize("seed", range(3))
def test_csv_and_parquet_round_trips_change_nothing(tmp_path, seed):
    panel = random_panel(np.random.default_rng(seed), provenance=["simulated", "real"][seed % 2])
    panel.to_parquet(tmp_path / "panel.parquet")
    rows_of(panel).to_csv(tmp_path / "panel.csv", index=False)
    assert_same(read_panel(tmp_path / "panel.parquet"), panel)
    assert_same(read_panel(tmp_path / "panel.csv"), panel)
    assert read_panel(tmp_path / "panel.parquet").dropped.empty


def test_a_parquet_file_keeps_the_order_of_the_platforms(tmp_path):
    panel = random_panel(np.random.default_rng(3))
    panel = replace(panel, platforms=("AMZ", "ZZZ"))
    wide = replace(panel, sales=np.concatenate([panel.sales] * 2, axis=1), platforms=("AMZ", "OWN", "EBY", "ALI"))
    wide.to_parquet(tmp_path / "panel.parquet")
    assert read_panel(tmp_path / "panel.parquet").platforms == wide.platforms


def test_many_blocks_give_the_same_panel_as_one(tmp_path, monkeypatch):
    panel = random_panel(np.random.default_rng(4), n=30)
    rows_of(panel).sample(frac=1, random_state=1).to_parquet(tmp_path / "mixed.parquet", index=False, row_group_size=50)
    rows_of(panel).sample(frac=1, random_state=2).to_csv(tmp_path / "mixed.csv", index=False)
    monkeypatch.setattr("analysis.panel.file.ROWS_AT_ONCE", 7)
    monkeypatch.setattr("analysis.panel.file._BYTES_AT_ONCE", 512)
    monkeypatch.setattr("analysis.panel.read._WAITING_BYTES", 100)
    monkeypatch.setattr("analysis.panel.panel._ROWS_AT_ONCE", 40)
    assert_same(read_panel(tmp_path / "mixed.parquet"), panel)
    assert_same(read_panel(tmp_path / "mixed.csv"), panel)
    panel.to_parquet(tmp_path / "groups.parquet")
    assert pq.ParquetFile(tmp_path / "groups.parquet").num_row_groups == 15
    assert_same(read_panel(tmp_path / "groups.parquet"), panel)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "AMZ,2020-08,77,",
            "AMZ,2020-08,x,",
            "row 41, column sales: expected a number such as 1250 or 2e-3; found 'x'",
        ),
        ("AMZ,2020-08,77,", "AMZ,2020-08,", "row 41: expected 8 cells; found 7"),
        ("AMZ,2020-08,77,", "AMZ,2020-01,77,", "('F4', 'AMZ', '2020-01'), which stands in row 34 already"),
        (
            "F4,g,CN,toys,AMZ,2020-08,77,",
            "F4,g,CN,audio,AMZ,2020-08,77,",
            "row 41, column category: expected one value",
        ),
    ],
)
def test_a_wrong_row_of_a_later_block_has_its_number_in_the_file(tmp_path, monkeypatch, old, new, said):
    monkeypatch.setattr("analysis.panel.file.ROWS_AT_ONCE", 7)
    monkeypatch.setattr("analysis.panel.file._BYTES_AT_ONCE", 200)
    rows = [f"F{k},g,CN,toys,AMZ,{month},77," for k in range(6) for month in EARLY]
    text = "\n".join([HEADER, *rows]).replace(
        "F4,g,CN,toys,AMZ,2020-08,77,", "F4,g,CN,toys,AMZ,2020-08,77,".replace(old, new)
    )
    assert said in refusal(csv(tmp_path, text))


def test_the_types_that_pandas_writes_to_parquet_are_read(tmp_path):
    frame = pd.read_csv(io.StringIO(f"{HEADER}\n{ROWS}"))
    dates = frame.assign(month=pd.to_datetime(frame["month"]), closed_on=pd.to_datetime(frame["closed_on"]))
    numbered = dates.assign(firm=dates["firm"].map({"A": 7, "B": 30}), sales=dates["sales"].astype("Float32"))
    coded = dates.assign(**{name: dates[name].astype("category") for name in ("firm", "origin", "category")})
    expected = read_panel(small(tmp_path))
    for name, written in {"dates": dates, "coded": coded, "never": dates.assign(closed_on=None)}.items():
        written.to_parquet(tmp_path / f"{name}.parquet")
        panel = read_panel(tmp_path / f"{name}.parquet")
        np.testing.assert_array_equal(panel.sales, expected.sales)
        assert (panel.digest == expected.digest) == (name != "never")
    numbered.to_parquet(tmp_path / "numbered.parquet")
    panel = read_panel(tmp_path / "numbered.parquet")
    assert list(panel.firms.index) == ["30", "7"]
    np.testing.assert_array_equal(panel.sales, expected.sales[::-1])


def test_a_closure_after_the_last_month_is_censored_and_counted(tmp_path):
    late = small(tmp_path, "").read_text().replace(",2021-03\n", ",2021-04\n")
    panel = read_panel(csv(tmp_path, late))
    assert panel.censored == 1
    assert np.isinf(panel.first_treated()).all()
    assert panel.firms["closed_on"].iloc[0] == pd.Timestamp("2021-04-01")
    assert panel.firms["dose"].iloc[0] == 1.0
    assert read_panel(small(tmp_path)).censored == 0


# Order and names


def test_permuting_rows_and_columns_changes_nothing(tmp_path):
    panel = random_panel(np.random.default_rng(5))
    rows = rows_of(panel).sample(frac=1, random_state=3)
    rows[rows.columns[::-1]].to_csv(tmp_path / "panel.csv", index=False)
    assert_same(read_panel(tmp_path / "panel.csv"), panel)


def test_relabelling_firms_permutes_them(tmp_path):
    panel = random_panel(np.random.default_rng(6))
    order = np.random.default_rng(7).permutation(len(panel.firms))
    names = dict(zip(panel.firms.index[order], panel.firms.index, strict=True))
    rows = rows_of(panel)
    rows.assign(firm=rows["firm"].map(names)).to_csv(tmp_path / "panel.csv", index=False)
    found = read_panel(tmp_path / "panel.csv")
    np.testing.assert_array_equal(found.sales, panel.sales[order])
    np.testing.assert_array_equal(found.first_treated(), panel.first_treated()[order])
    base = slice(0, 4)
    np.testing.assert_allclose(found.exposure(base=base), panel.exposure(base=base)[order], atol=1e-15)
    assert found.digest != panel.digest


def test_the_digest_changes_with_content_and_not_with_the_order_of_axes():
    panel = random_panel(np.random.default_rng(8))
    order = np.random.default_rng(9).permutation(len(panel.firms))
    moved = replace(panel, sales=panel.sales[order][:, ::-1], firms=panel.firms.iloc[order], platforms=("EBY", "AMZ"))
    negative_zero = np.where(panel.sales == 0, -0.0, panel.sales)
    assert {moved.digest, replace(panel, sales=negative_zero).digest} == {panel.digest}
    sold = panel.sales.copy()
    sold[3, 1, 2] = np.nan if sold[3, 1, 2] > 0 else 1.0
    changes = [{"sales": sold}, {"months": panel.months + 1}, {"platforms": ("AMZ", "ALI")}]
    for column, value in {"risk": 0.25, "origin": "XX", "closed_on": pd.Timestamp("2020-07-01")}.items():
        firms = panel.firms.copy()
        firms.loc[firms.index[2], column] = value
        changes.append({"firms": firms})
    assert len({panel.digest, *(replace(panel, **change).digest for change in changes)}) == 1 + len(changes)


def test_nothing_of_the_caller_is_changed(tmp_path):
    panel = random_panel(np.random.default_rng(10))
    sales, firms = panel.sales.copy(), panel.firms.copy()
    panel.to_parquet(tmp_path / "panel.parquet")
    bytes_before = (tmp_path / "panel.parquet").read_bytes()
    read_panel(tmp_path / "panel.parquet", map=all_listed(tmp_path))
    panel.exposure(base=slice(0, 4))
    panel.base_share(base=slice(0, 4))
    panel.cohorts()
    panel.total()
    assert panel.digest == panel.digest
    np.testing.assert_array_equal(panel.sales, sales)
    pd.testing.assert_frame_equal(panel.firms, firms)
    assert (tmp_path / "panel.parquet").read_bytes() == bytes_before


# Bad input


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (",closed_on", ",closed", "row 1: expected the columns firm, brand_group,"),
        (
            ",closed_on",
            ",closed",
            "found the unknown column 'closed'; remove or rename it, or say in a map which is which",
        ),
        ("category,", "", "found no column 'category'; add it: give one category for all rows of the firm"),
        ("category,", "firm,", "expected one column 'firm'; found the columns firm, brand_group, origin, firm,"),
        (",12.5,", ",many,", "row 3, column sales: expected a number such as 1250 or 2e-3; found 'many'; give plain"),
        (",12.5,", ",NaN,", "row 3, column sales: expected a number such as 1250 or 2e-3; found 'NaN'"),
        (",12.5,", ",1e999,", "row 3, column sales: expected a finite number; found '1e999'"),
        (",12.5,", ",-3,", "row 3, column sales: expected at least 0; found '-3'; give plain digits"),
        ("AMZ,2021-02,12.5", "AMZ,2021-01,12.5", "row 3, column firm, platform, month: expected a key once;"),
        (
            "AMZ,2021-02,12.5",
            "AMZ,2021-01,12.5",
            "found ('A', 'AMZ', '2021-01'), which stands in row 2 already; remove",
        ),
        ("2021-01,10,2021-03", "2021-01,10,2021-02", "column closed_on: expected one value for the firm 'A'; found"),
        (
            "A,g1,CN,",
            "A,g1,US,",
            "row 3, column origin: expected one value for the firm 'A'; found 'CN', where another row has 'US'; give",
        ),
        (
            "B,g2,US,kitchen",
            "B,g2,US,toys",
            "row 6, column category: expected one value for the firm 'B'; found 'kitchen', where another row has",
        ),
        (
            "A,g1,",
            "A,g9,",
            "column brand_group: expected one value for the firm 'A'; found 'g1', where another row has",
        ),
        ("A,g1,CN,", "A,g1,,", "row 2, column origin: expected a value; found nothing; give one origin"),
        ("A,g1,CN,", "A,g1,CN ,", "row 2, column origin: expected a word; found 'CN '; remove the blanks around it"),
        ("2021-02,12.5", "44228,12.5", "row 3, column month: expected a month YYYY-MM; found '44228', an Excel serial"),
        ("2021-02,12.5", "44228,12.5", "an Excel serial number (2021-02-01); write it as YYYY-MM"),
        ("10,2021-03", "10,44256", "row 2, column closed_on: expected a month YYYY-MM; found '44256', an Excel serial"),
        ("2021-02,12.5", "2021-2,12.5", "row 3, column month: expected a month YYYY-MM; found '2021-2'"),
        ("2021-02,12.5", ",12.5", "row 3, column month: expected a month; found nothing"),
        ("2021-02,12.5", "0221-02,12.5", "row 3, column month: expected at least 1990-01; found '0221-02'"),
        ("2021-02,12.5", "2921-02,12.5", "row 3, column month: expected at most 2099-12; found '2921-02'"),
        (",12.5,2021-03", ",12.5", "row 3: expected 8 cells; found 7 in 'A,g1,CN,kitchen,AMZ,2021-02,12.5'; quote"),
        (",12.5,", ",12,5,", "row 3: expected 8 cells; found 9 in "),
        ("\nB,", "\n\nB,", "row 5, column firm: expected a value; found nothing"),
    ],
)
def test_a_spoiled_csv_is_refused_with_row_column_and_value(tmp_path, old, new, said):
    path = small(tmp_path, old, new)
    message = refusal(path)
    assert str(path) in message
    assert said in message


def test_a_refused_value_says_how_many_more_there_are(tmp_path):
    text = f"{HEADER}\n{ROWS}".replace(",30,", ",x,")
    assert "row 5, column sales: expected a number such as 1250 or 2e-3; found 'x', the first of 2" in refusal(
        csv(tmp_path, text)
    )


@pytest.mark.parametrize(
    ("closed_on", "dose", "said"),
    [
        ("2021-03", "0", "row 2, column dose: expected more than 0; found '0'; give a share above 0"),
        ("2021-03", "1.5", "row 2, column dose: expected at most 1; found '1.5'"),
        ("2021-03", "", "row 2, column dose: expected the dose of a closed firm; found nothing"),
        ("", "0.5", "row 2, column dose: expected no dose of a firm without closed_on; found '0.5'"),
    ],
)
def test_a_dose_belongs_to_a_closed_firm(tmp_path, closed_on, dose, said):
    text = f"{HEADER},dose\nA,g1,CN,toys,AMZ,2021-01,1,{closed_on},{dose}\nB,g2,US,toys,AMZ,2021-01,1,,\n"
    assert said in refusal(csv(tmp_path, text))


def test_a_platform_that_is_not_allowed_is_refused_with_its_row(tmp_path):
    message = refusal(small(tmp_path), platforms=["AMZ", "OWN"])
    assert "row 8, column platform: expected one of AMZ, OWN; found 'EBY', the first of 3" in message


def test_a_home_platform_without_rows_is_refused(tmp_path):
    path = small(tmp_path)
    message = refusal(path, home="SHP")
    assert "expected rows of the home platform 'SHP'; found rows of AMZ, EBY; name the platform that closed" in message
    assert "home platform 'AMZ'" in refusal(path, platforms=["EBY"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "expected a header and rows; found an empty file; export it again"),
        (b" \n\n", "expected a header and rows; found an empty file"),
        (HEADER.encode() + b"\n", "expected rows of data; found a header alone"),
        (b"\xef\xbb\xbf \n", "expected a header and rows; found an empty file"),
        (f"{HEADER}\n{ROWS}".encode("utf-16"), "row 1: expected UTF-8 text; found the byte 0xff"),
    ],
)
def test_an_empty_or_foreign_file_is_refused(tmp_path, content, said):
    path = tmp_path / "panel.csv"
    path.write_bytes(content)
    assert said in refusal(path)


def test_a_gbk_file_is_refused_with_its_row_as_it_was_meant(tmp_path):
    text = f"{HEADER}\n{ROWS}".replace("B,g2,US,kitchen", "B,g2,US,厨房", 1)
    message = refusal(csv(tmp_path, text, encoding="gbk"))
    assert "row 5: expected UTF-8 text; found the byte 0xb3" in message
    assert "likely it is GBK, in which the row is 'B,g2,US,厨房,AMZ,2021-01,30,'; save it as UTF-8, or write" in message


def test_a_path_that_is_no_panel_is_refused(tmp_path):
    assert "found no such file" in refusal(tmp_path / "panel.csv")
    assert "parquet, .xlsx, .dta; found the type '.xls'; give the path" in refusal(csv(tmp_path, "x", "panel.xls"))
    for kind in (".csv.gz", ".parquet", ".xlsx", ".dta"):
        said = f"expected a file of the kind {kind}; found what cannot be read ("
        assert said in refusal(csv(tmp_path, "nothing of the kind", f"panel{kind}"))


@pytest.mark.parametrize("sign", [";", "\t"])
def test_columns_that_are_not_separated_by_commas_are_refused(tmp_path, sign):
    message = refusal(csv(tmp_path, f"{HEADER}\n{ROWS}".replace(",", sign)))
    assert f"row 1: expected columns separated by ','; found {f'firm{sign}brand'!r}"[:-1] in message
    assert f"write `separator: {json.dumps(sign)}` in its map" in message


def test_one_firm_only_is_refused(tmp_path):
    text = "\n".join(line for line in f"{HEADER}\n{ROWS}".splitlines() if not line.startswith("B"))
    message = refusal(csv(tmp_path, text))
    assert "expected at least two firms with sales; found 1 (A); add firms to compare with" in message


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("sales", pa.array([1.0, -2.0]), "row 2, column sales: expected at least 0; found -2.0"),
        ("sales", pa.array([True, False]), "column sales: expected numbers; found values of type bool"),
        ("sales", pa.array([[1.0], [2.0]]), "column sales: expected numbers; found values of type list"),
        ("sales", pa.array(["1", "1,5"]), "row 2, column sales: expected a number such as 1250 or 2e-3; found '1,5'"),
        ("month", pa.array([44197, 44197]), "row 1, column month: expected a month YYYY-MM; found '44197', an Excel"),
        ("month", pa.array([44197.0, 44197.0]), "column month: expected a month YYYY-MM; found '44197', an Excel"),
        ("origin", pa.array(["CN", None]), "row 2, column origin: expected a value; found nothing"),
        ("origin", pa.array([[1], [2]]), "column origin: expected text; found values of type list"),
    ],
)
def test_a_spoiled_parquet_file_is_refused(tmp_path, column, values, said):
    table = {name: pa.array(["x", "y"]) for name in ("firm", "brand_group", "origin", "category")}
    table |= {"platform": pa.array(["AMZ"] * 2), "month": pa.array(["2021-01"] * 2), "sales": pa.array([1.0, 2.0])}
    table |= {"closed_on": pa.array([None, None]), column: values}
    pq.write_table(pa.table(table), tmp_path / "panel.parquet")
    assert said in refusal(tmp_path / "panel.parquet")


def test_a_panel_without_a_closed_firm_is_a_panel(tmp_path):
    path = csv(tmp_path, f"{HEADER}\n{ROWS}".replace(",2021-03\n", ",\n"))
    panel = read_panel(path)
    assert np.isinf(panel.first_treated()).all()
    assert panel.cohorts().empty
    assert (panel.exposure(base=slice(0, 2)) == 0).all()


# Real or simulated


def signs(tmp_path, *, metadata=None, column=None, ids=("A", "B"), groups=("g1", "g2"), accounts=None):
    frame = pd.read_csv(io.StringIO(f"{HEADER}\n{ROWS}"), dtype={"closed_on": str})
    of_firm = {"firm": ids, "brand_group": groups} | ({"account": accounts} if accounts else {})
    frame = frame.assign(
        **{name: frame["firm"].map(dict(zip("AB", words, strict=True))) for name, words in of_firm.items()}
    )
    if column:
        frame["provenance"] = [column[0]] * 3 + [column[1]] * 6
    table = pa.Table.from_pandas(frame, preserve_index=False)
    if metadata:
        table = table.replace_schema_metadata({"provenance": metadata})
    pq.write_table(table, tmp_path / "panel.parquet")
    return tmp_path / "panel.parquet"


SIMULATED = ("SIM-0001", "SIM-0002")


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, "real"),
        ({"metadata": "real", "column": ("real", "real")}, "real"),
        ({"ids": ("SIMON-1", "SIM-Tech")}, "real"),
        ({"metadata": "simulated"}, "simulated"),
        ({"column": ("simulated", "simulated")}, "simulated"),
        ({"ids": SIMULATED}, "simulated"),
        ({"metadata": "real", "column": ("real", "real"), "ids": SIMULATED}, "simulated"),
        ({"metadata": "real", "column": ("simulated", "simulated")}, "simulated"),
        ({"metadata": "simulated", "column": ("real", "real")}, "simulated"),
        ({"metadata": "simulated", "ids": ("SIM-0001", "B")}, "simulated"),
        ({"groups": ("SIM-G0001", "SIM-G0002")}, "simulated"),
        ({"groups": ("SIM-0001", "SIM-0002-R")}, "simulated"),
        ({"groups": ("SIM-Group", "SIMG01")}, "real"),
        ({"accounts": ("SIM-0001-1", "SIM-0002-1")}, "simulated"),
        ({"ids": ("A", "SIM-0002"), "groups": ("SIM-G0001", "SIM-G0002")}, "simulated"),
    ],
)
def test_any_of_the_three_signs_of_simulation_is_believed(tmp_path, given, found):
    panel = read_panel(signs(tmp_path, **given))
    assert panel.provenance == found
    assert panel.unit == {"real": "USD", "simulated": "sim-$"}[found]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"column": ("simulated", "real")},
            "row 4, column provenance: expected 'simulated' as in row 1; found 'real', the first of 6 such",
        ),
        ({"metadata": "simulated", "column": ("simulated", "real")}, "keep real and simulated rows in two files"),
        (
            {"ids": ("A", "SIM-0002")},
            "column firm: expected one provenance; found a simulated firm beside another: "
            "'SIM-0002' (first in row 4) and 'A' (first in row 1)",
        ),
        (
            {"groups": ("SIM-G0001", "g2")},
            "column brand_group: expected one provenance; found a simulated brand group beside another: "
            "'SIM-G0001' (first in row 1) and 'g2' (first in row 4)",
        ),
        ({"accounts": ("A1", "SIM-0002-1")}, "column account: expected one provenance; found a simulated account"),
        ({"metadata": "invented"}, "expected real or simulated as provenance in the metadata; found 'invented'"),
        ({"column": ("real", "guessed")}, "row 4, column provenance: expected one of real, simulated; found 'guessed'"),
    ],
)
def test_a_mixture_of_real_and_simulated_is_refused(tmp_path, given, said):
    assert said in refusal(signs(tmp_path, **given))


def test_a_written_panel_carries_all_three_signs(tmp_path):
    random_panel(np.random.default_rng(11)).to_parquet(tmp_path / "panel.parquet")
    table = pq.read_table(tmp_path / "panel.parquet")
    assert table.schema.metadata[b"provenance"] == b"simulated"
    assert set(table["provenance"].to_pylist()) == {"simulated"}
    assert all(firm.startswith("SIM-0") for firm in table["firm"].to_pylist())


def test_a_simulated_panel_whose_ids_do_not_say_so_is_not_written(tmp_path):
    path = tmp_path / "panel.parquet"
    panel = replace(random_panel(np.random.default_rng(12), provenance="real"), provenance="simulated")
    with pytest.raises(
        DataError, match="found 12 of 12 firms with other ids, such as 'F0000'; give them ids such as SIM-0417"
    ):
        panel.to_parquet(path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"provenance": "estimate"}, "a provenance real or simulated"),
        ({"provenance": "real"}, "12 simulated ids such as"),
        ({"months": EARLY[:-1]}, "sales of shape"),
        ({"months": EARLY.delete(3).append(EARLY[-1:] + 1)}, "months without gaps"),
        ({"months": pd.period_range("2020Q1", periods=8, freq="Q")}, "months without gaps"),
        ({"sales": np.full((12, 2, 8), -1.0)}, "expected finite sales of at least 0; found -1 to 0"),
        ({"sales": np.full((12, 2, 8), np.inf)}, "finite sales of at least 0"),
    ],
)
def test_parts_that_do_not_fit_each_other_are_no_panel(change, said):
    panel = random_panel(np.random.default_rng(15))
    with pytest.raises(DataError, match=said):
        replace(panel, **change)
    real = random_panel(np.random.default_rng(15), provenance="real")
    with pytest.raises(DataError, match=r"found 12 simulated ids such as \['SIM-G0000'\]; say that it is simulated"):
        replace(real, firms=real.firms.assign(brand_group=[f"SIM-G{k:04d}" for k in range(12)]))
    with pytest.raises(DataError, match="found no risk; add the column"):
        replace(panel, firms=panel.firms.drop(columns="risk"))


# The schema


def test_frictionless_reads_the_schema_and_finds_a_panel_valid(tmp_path):
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    rows = rows_of(random_panel(np.random.default_rng(23))).assign(
        account="a", renamed_from="", currency="sim-$", weight=1
    )
    rows[list(columns())].to_csv(tmp_path / "panel.csv", index=False)
    resource = {"name": "panel", "type": "table", "path": "panel.csv", "encoding": "utf-8", "schema": schema}
    package = {"$schema": "https://datapackage.org/profiles/2.0/datapackage.json", "resources": [resource]}
    report = frictionless.Package.from_descriptor(package, basepath=str(tmp_path)).validate()
    assert report.valid, report.flatten(["type", "message"])
    rows[list(columns())].assign(sales=-1.0).to_csv(tmp_path / "panel.csv", index=False)
    assert not frictionless.Package.from_descriptor(package, basepath=str(tmp_path)).validate().valid


def test_every_column_says_what_to_do_about_a_wrong_value():
    assert all(column["remedy"] for column in columns().values())
    assert attributes() == ["brand_group", "origin", "category", "closed_on", "dose", "risk"]
