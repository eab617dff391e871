"""What people have: kinds of file, signs in numbers, formats of dates, days and weeks, sites, and money by row."""

import gzip
import io

import numpy as np
import openpyxl
import pandas as pd
import pytest

from analysis.errors import DataError
from analysis.panel import read_panel
from analysis.provenance import ROOT

HEADER = "firm,brand_group,origin,category,platform,month,sales,closed_on"
TEXT = "\n".join(
    [
        HEADER,
        *(
            f"A,gA,CN,toys,{site},2021-{k:02d},{1250.5 if k < 3 else 0},2021-03"
            for site in ("AMZ", "EBY")
            for k in (1, 2, 3, 4)
        ),
        *(f"B,gB,US,toys,AMZ,2021-{k:02d},{k}," for k in (1, 2, 3, 4)),
    ]
)
DATED = 'month_format: "%Y-%m-%d"\nclosed_format: "%Y-%m"\n'


def read(tmp_path, text, named="", name="mine.csv"):
    path, map_ = tmp_path / name, tmp_path / "mine.yml"
    path.write_text(text, encoding="utf-8")
    map_.write_text(named or "home: AMZ\n", encoding="utf-8")
    return read_panel(path, map=map_)


def refusal(tmp_path, text, named="", name="mine.csv"):
    with pytest.raises(DataError) as refused:
        read(tmp_path, text, named, name)
    return str(refused.value).replace(f"{tmp_path}/", "")


@pytest.fixture
def expected(tmp_path):
    return read(tmp_path, TEXT).digest


def frame():
    found = pd.read_csv(io.StringIO(TEXT), dtype={"closed_on": str})
    return found.assign(month=pd.to_datetime(found["month"]), closed_on=pd.to_datetime(found["closed_on"]))


# Kinds of file


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/Los_Angeles"])
def test_months_of_a_time_zone_are_those_of_its_calendar(tmp_path, zone):
    tidy = pd.read_csv(ROOT / "data/examples/tidy.csv", dtype=str)
    for name in ("month", "closed"):
        tidy[name] = pd.to_datetime(tidy[name], format="%Y-%m").dt.tz_localize(zone)
    tidy.to_parquet(tmp_path / "tidy.parquet")
    named = ROOT / "data/examples/tidy.map.yml"
    local = read_panel(tmp_path / "tidy.parquet", map=named)
    assert local.digest == read_panel(ROOT / "data/examples/tidy.csv", map=named).digest


def test_every_kind_of_file_gives_the_same_panel(tmp_path, expected):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(TEXT.encode()))
    (tmp_path / "a.tsv").write_text(TEXT.replace(",", "\t"))
    frame().to_parquet(tmp_path / "a.parquet")
    frame().to_excel(tmp_path / "a.xlsx", index=False)
    frame().to_stata(tmp_path / "a.dta", write_index=False, convert_dates={"month": "tm", "closed_on": "td"})
    for kind in ("csv.gz", "tsv", "parquet", "xlsx", "dta"):
        assert read_panel(tmp_path / f"a.{kind}").digest == expected, kind


def test_the_separator_of_a_map_is_used(tmp_path, expected):
    assert read(tmp_path, TEXT.replace(",", ";"), 'separator: ";"\n').digest == expected
    assert 'write `separator: ";"` in its map' in refusal(tmp_path, TEXT.replace(",", ";"))


def test_a_packed_file_is_refused_with_its_row_or_as_cut_off(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(TEXT.replace("US", "美国").encode("gbk")))
    with pytest.raises(DataError, match=r"row 10: .*likely it is GBK, in which the row is 'B,gB,美国,"):
        read_panel(tmp_path / "a.csv.gz")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(TEXT.encode())[:-20])
    with pytest.raises(DataError, match=r"a file of the kind \.csv\.gz; found what cannot be read"):
        read_panel(tmp_path / "a.csv.gz")


def sheet(tmp_path, change, names=("Sales",)):
    with pd.ExcelWriter(tmp_path / "a.xlsx") as book:
        for name in names:
            frame().to_excel(book, sheet_name=name, index=False)
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    change(book[names[0]])
    book.save(tmp_path / "a.xlsx")
    return tmp_path / "a.xlsx"


def test_a_wrong_cell_of_a_sheet_is_refused_with_its_row_there(tmp_path):
    for cell, value, said in (
        ("G5", "#N/A", "a.xlsx, row 5, column sales: expected a number such as 1250 or 2e-3; found '#N/A'"),
        ("G3", True, "row 3, column sales: expected a number such as 1250 or 2e-3; found 'True'"),
        ("F4", "May 2021", 'row 2, column month: .*month_format: \\["%Y-%m-%d", "%b %Y"\\]'),
    ):
        path = sheet(tmp_path, lambda cells, cell=cell, value=value: cells.__setitem__(cell, value))
        with pytest.raises(DataError, match=said):
            read_panel(path)


def test_formatted_cells_below_the_rows_are_no_rows(tmp_path, expected):
    def formatted(cells):
        cells["A40"].number_format = "0.0"

    assert read_panel(sheet(tmp_path, formatted)).digest == expected


def test_one_of_several_sheets_is_named_by_the_map(tmp_path, expected):
    path, map_ = sheet(tmp_path, lambda _: None, ("Sales", "Notes")), tmp_path / "a.yml"
    map_.write_text("sheet: Sales\n")
    assert read_panel(path, map=map_).digest == expected
    with pytest.raises(DataError, match="expected one sheet; found the sheets Sales, Notes; write `sheet: Sales`"):
        read_panel(path)
    map_.write_text("sheet: Sails\n")
    with pytest.raises(DataError, match="expected the sheet 'Sails'; found the sheets Sales, Notes"):
        read_panel(path, map=map_)


# Numbers


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ("1250,5", 'decimal: ","'),
        ("1,250.5", 'thousands: ","'),
        ("1.250,5", 'thousands: "."` and `decimal: ","'),
        ("1 250.5", 'thousands: " "'),
        ("1\u202f250,5", 'thousands: " "` and `decimal: ","'),
        ("1'250.5", 'thousands: "\'"'),
        ("0,001,250.5", 'thousands: ","'),
    ],
)
def test_a_number_with_signs_is_refused_with_the_line_by_which_it_is_read(tmp_path, expected, written, named):
    text = TEXT.replace("1250.5", f'"{written}"')
    said = refusal(tmp_path, text)
    if "\u202f" not in written:
        assert f"found '{written}'" in said.replace('"', "'")
        assert f"write `{named}` in mine.yml" in said
    assert read(tmp_path, text, named.replace("` and `", "\n") + "\n").digest == expected


def test_thousands_that_could_be_decimals_are_asked_about(tmp_path):
    said = refusal(tmp_path, TEXT.replace("1250.5", '"1,250"'))
    assert 'write `thousands: ","` or, whichever is meant, `decimal: ","` in mine.yml' in said
    assert "found '12,50'; give plain digits" in refusal(tmp_path, TEXT.replace("1250.5", '"12,50"', 1))


def test_three_digits_behind_every_point_are_asked_about(tmp_path):
    text = TEXT.replace("1250.5", "1.250")
    said = refusal(tmp_path, text)
    assert "row 2, column sales: expected a point that is one of decimals, not with three digits behind each" in said
    assert """found '1.250', the first of 4 such in rows 2 to 7; write `decimal: "."` in mine.yml if that is""" in said
    assert read(tmp_path, text, 'decimal: "."\n').sales.max() == 4
    assert read(tmp_path, text, 'thousands: "."\ndecimal: ","\n').sales.max() == 1250
    assert read(tmp_path, text.replace("-04,4,", "-04,4.5,")).sales.max() == 4.5
    assert """write `thousands: "."` and `decimal: ","`""" in refusal(tmp_path, TEXT.replace("1250.5", "1.250.000"))


# Dates


def test_several_formats_are_read_side_by_side_and_a_date_is_of_its_month(tmp_path, expected):
    text = TEXT.replace("2021-01", "17/01/2021").replace("2021-02", "2021年02月").replace(",2021-03\n", ",2021.03.09\n")
    assert (
        read(tmp_path, text, 'month_format: ["%Y-%m", "%d/%m/%Y", "%Y年%m月"]\nclosed_format: "%Y.%m.%d"\n').digest
        == expected
    )
    assert 'write `month_format: ["%Y-%m", "%Y年%m月", "%d/%m/%Y"]` in mine.yml' in refusal(tmp_path, text)
    named = 'month_format: ["%Y-%m", "%d/%m/%Y", "%Y年%m月"]\n'
    assert 'write `closed_format: "%Y.%m.%d"` in mine.yml' in refusal(tmp_path, text, named)


def test_a_date_that_two_formats_read_as_different_months_is_refused(tmp_path, expected):
    both = 'month_format: ["%Y-%m", "%d/%m/%Y", "%m/%d/%Y"]\n'
    said = refusal(tmp_path, TEXT.replace("2021-01", "01/02/2021"), both)
    assert "expected one reading of '01/02/2021' (2021-02 by %d/%m/%Y, 2021-01 by %m/%d/%Y)" in said
    assert "take one of the formats out of `month_format` in mine.yml" in said
    assert read(tmp_path, TEXT.replace("2021-01", "01/01/2021"), both).digest == expected


def test_a_date_whose_day_could_be_its_month_is_asked_about(tmp_path):
    said = refusal(tmp_path, TEXT.replace("2021-01", "01/02/2021"))
    assert '"%d/%m/%Y"]`' in said
    assert 'or with "%m/%d/%Y" if the month comes first' in said


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("2021Q1", "found '2021Q1', a quarter, the first of 3 such in rows 2 to 10; bring sales by month, since"),
        ("第1季度", "a quarter, .*; bring sales by month"),
    ],
)
def test_a_quarter_in_place_of_a_month_is_found_out(tmp_path, new, said):
    with pytest.raises(DataError, match=said):
        read(tmp_path, TEXT.replace("2021-01", new))


# Days and weeks


def dated(every, begin="2021-01-01", end="2021-04-03", sales=1):
    days = pd.date_range(begin, end, freq=every)
    rows = [
        f"{firm},g,CN,toys,AMZ,{day:%Y-%m-%d},{sales},{shut}"
        for firm, shut in (("A", "2021-03"), ("B", ""))
        for day in days
    ]
    return "\n".join([HEADER, *rows])


def test_days_are_added_up_to_months_and_a_month_at_the_edge_is_left_out(tmp_path):
    panel = read(tmp_path, dated("D"), DATED + "rows: day\n")
    np.testing.assert_array_equal(panel.sales[:, 0], [[31, 28, 31]] * 2)
    assert ["months", "left out: 2021-04 is covered in part, 3 of 30 days", 1] in panel.dropped.to_numpy().tolist()
    assert str(panel.months[0]) == "2021-01"


def test_a_week_is_split_by_its_days(tmp_path):
    panel = read(tmp_path, dated("7D", begin="2020-12-28", sales=7), DATED + "rows: week\n")
    np.testing.assert_allclose(panel.sales[:, 0], [[31, 28, 31]] * 2)
    told = panel.dropped["rule"].tolist()
    assert told[:2] == [
        f"left out: {month} is covered in part, 4 of {days} days" for month, days in (("2020-12", 31), ("2021-04", 30))
    ]


def test_small_blocks_add_up_the_same_days(tmp_path, monkeypatch):
    whole = [
        read(tmp_path, dated(every), f"{DATED}rows: {rows}\n").digest for every, rows in (("D", "day"), ("7D", "week"))
    ]
    monkeypatch.setattr("analysis.panel.file.ROWS_AT_ONCE", 7)
    monkeypatch.setattr("analysis.panel.cells.ROWS_AT_ONCE", 5)
    monkeypatch.setattr("analysis.panel.file._BYTES_AT_ONCE", 200)
    again = [
        read(tmp_path, dated(every), f"{DATED}rows: {rows}\n").digest for every, rows in (("D", "day"), ("7D", "week"))
    ]
    assert again == whole


def test_a_day_that_is_not_known_makes_its_month_unknown(tmp_path):
    panel = read(tmp_path, dated("D").replace("2021-02-05,1", "2021-02-05,", 1), DATED + "rows: day\n")
    np.testing.assert_array_equal(panel.sales[:, 0], [[31, np.nan, 31], [31, 28, 31]])


@pytest.mark.parametrize(
    ("text", "named", "said"),
    [
        (
            dated("D"),
            DATED,
            "row 3, .*, month: expected a key once; .*another day of the month .1 and 2.; write `rows: day`",
        ),
        (dated("7D"), DATED, "write `rows: week` in .* if they are to be added up"),
        (
            f"{dated('D')}\nA,g,CN,toys,AMZ,2021-02-03,1,2021-03",
            DATED + "rows: day\n",
            "'2021-02-03'., which stands in row 35 already; remove",
        ),
        (
            f"{dated('7D')}\nB,g,CN,toys,AMZ,2021-02-03,1,",
            DATED + "rows: week\n",
            "row 30, column month: expected a week that begins on the same day .* of row 2; found '2021-02-03'",
        ),
        (
            dated("D", "2021-01-05", "2021-02-20"),
            DATED + "rows: day\n",
            "expected a whole month; found days from 2021-01-05 to 2021-02-20",
        ),
    ],
)
def test_days_and_weeks_that_do_not_add_up_are_refused(tmp_path, text, named, said):
    with pytest.raises(DataError, match=said):
        read(tmp_path, text, named)


# Sites of one platform


SITES = TEXT.replace("EBY", "Amazon.de").replace("AMZ", "Amazon.com")


def test_sites_of_one_platform_are_added_up(tmp_path):
    panel = read(tmp_path, SITES, "platforms: {Amazon.com: AMZ, Amazon.de: AMZ}\n")
    assert panel.platforms == ("AMZ",)
    np.testing.assert_array_equal(panel.sales[:, 0], [[2501, 2501, 0, 0], [1, 2, 3, 4]])
    assert panel.dropped.to_numpy().tolist() == [
        ["rows", "added up with another row of their firm, platform and month", 4]
    ]
    unknown = SITES.replace("Amazon.de,2021-01,1250.5", "Amazon.de,2021-01,")
    assert np.isnan(read(tmp_path, unknown, "platforms: {Amazon.com: AMZ, Amazon.de: AMZ}\n").sales[0, 0, 0])


def test_a_site_that_comes_twice_is_refused_and_one_that_is_not_listed_gets_its_line(tmp_path):
    named = "platforms: {Amazon.com: AMZ, Amazon.de: AMZ}\n"
    assert "('B', 'Amazon.com', '2021-02'), which stands in row 11 already" in refusal(
        tmp_path, SITES.replace("2021-03,3", "2021-02,3"), named
    )
    said = refusal(tmp_path, SITES, "platforms: {Amazon.com: AMZ, 速卖通: ALI}\n")
    assert "write `platforms: {..., Amazon.de: AMZ}` in mine.yml" in said
    said = refusal(tmp_path, SITES, "platforms: {速卖通: ALI, own: OWN}\n")
    assert "`platforms: {..., Amazon.com: CODE, Amazon.de: CODE}` in mine.yml, with one of ALI, OWN for CODE" in said


def test_a_label_with_a_code_that_is_no_platform_of_the_event_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text(SITES)
    (tmp_path / "a.yml").write_text("platforms: {Amazon.com: AMZ, Amazon.de: AMAZON}\n")
    with pytest.raises(
        DataError, match=r"expected one of AMZ, OWN; found 'Amazon.de', .*; correct `platforms` in .*a\.yml"
    ):
        read_panel(tmp_path / "a.csv", map=tmp_path / "a.yml", platforms=["AMZ", "OWN"])


def test_without_a_map_a_platform_gets_the_whole_line(tmp_path):
    (tmp_path / "a.csv").write_text(SITES)
    with pytest.raises(
        DataError,
        match=r"write a map with the line `platforms: {Amazon.com: CODE, Amazon.de: CODE}`, with one of AMZ, OWN",
    ):
        read_panel(tmp_path / "a.csv", platforms=["AMZ", "OWN"])


# Money by row


MONEY = (
    TEXT.replace("closed_on", "closed_on,currency").replace(",2021-03\n", ",2021-03,CNY\n").replace(",\n", ",,EUR\n")
    + "USD"
)
MONEY = MONEY.replace("2021-04,4,USD", "2021-04,4,,USD")


def test_each_row_is_turned_into_dollars_by_its_own_currency(tmp_path):
    panel = read(tmp_path, MONEY, "rates: {CNY: {2021: .2, 2021-02: .4}, EUR: 1.5}\n")
    np.testing.assert_allclose(panel.platform("AMZ"), [[250.1, 500.2, 0, 0], [1.5, 3, 4.5, 4]])


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (
            "home: AMZ\n",
            r"row 2, column currency: .*found 'CNY', .* `rates: {CNY: RATE, EUR: RATE}` in mine.yml, with the US",
        ),
        (
            "rates: {CNY: .2}\n",
            r"row 10, column currency: expected one of CNY, USD; found 'EUR', .* `rates: {..., EUR: RATE}`",
        ),
        (
            "currency: CNY\nrates: .2\n",
            "found 'EUR'.*rates: {CNY: RATE, EUR: RATE}` in mine.yml, instead of `currency: CNY`",
        ),
        (
            "rates: {CNY: {2020: .2}, EUR: 1.5}\n",
            "row 2, .* a rate for CNY; found sales of 2021-01.*add 2021-01 to `rates: {CNY: ...}`",
        ),
    ],
)
def test_a_currency_without_a_rate_is_refused_with_what_rates_would_look_like(tmp_path, named, said):
    import re

    assert re.search(said, refusal(tmp_path, MONEY, named))
    assert "no column 'currency'; write `columns: {currency: THEIRS}`" in refusal(tmp_path, TEXT, "rates: {CNY: .2}\n")
