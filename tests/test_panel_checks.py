"""What absence means, and what is wrong or doubtful in a file as a whole: named before anything runs."""

import re

import numpy as np
import pytest

from analysis.errors import DataError
from analysis.panel import read_panel

HEADER = "firm,brand_group,origin,category,platform,month,sales,closed_on"
MONTHS = ("2021-01", "2021-02", "2021-03", "2021-04")


def rows(firm, *, sales=10.0, months=MONTHS, platform="AMZ", origin="CN", closed=""):
    return [f"{firm},g{firm},{origin},toys,{platform},{month},{sales},{closed}" for month in months]


CLOSED = rows("A", months=MONTHS[:2], closed="2021-03")  # its rows end where it was closed
OPEN = [*rows("B"), *rows("B", platform="EBY", months=MONTHS[:3])]


def read(tmp_path, lines, named=""):
    path, map_ = tmp_path / "mine.csv", tmp_path / "mine.yml"
    path.write_text("\n".join([HEADER, *lines]), encoding="utf-8")
    map_.write_text(named, encoding="utf-8")
    return read_panel(path, map=map_ if named else None)


def refusal(tmp_path, lines, named=""):
    with pytest.raises(DataError) as refused:
        read(tmp_path, lines, named)
    return str(refused.value).replace(f"{tmp_path}/", "")


# What absence means


def test_a_file_with_rows_absent_and_not_one_zero_is_refused_until_its_map_says_what_that_means(tmp_path):
    said = refusal(tmp_path, CLOSED + OPEN)
    assert "found 3 of 16 cells of firm, platform and month without sales, and not one 0; write a map with" in said
    for value in ("zero", "zero_after_closure", "missing"):
        assert f"`absent: {value}`" in said
    assert "write `absent: zero` in mine.yml" in refusal(tmp_path, CLOSED + OPEN, "home: AMZ\n")


@pytest.mark.parametrize(
    ("rule", "closed", "elsewhere"),
    [
        ("missing", [10, 10, np.nan, np.nan], np.nan),
        ("zero_after_closure", [10, 10, 0, 0], np.nan),
        ("zero", [10, 10, 0, 0], 0),
    ],
)
def test_each_rule_of_absence_fills_what_it_says_and_nothing_else(tmp_path, rule, closed, elsewhere):
    panel = read(tmp_path, CLOSED + OPEN, f"absent: {rule}\n")
    np.testing.assert_array_equal(panel.platform("AMZ"), [closed, [10] * 4])
    np.testing.assert_array_equal(panel.platform("EBY")[1], [10, 10, 10, elsewhere])


def test_a_gap_before_the_closure_stays_unknown_where_only_absence_after_it_is_zero(tmp_path):
    gap = rows("A", months=MONTHS[:1], closed="2021-03")
    panel = read(tmp_path, gap + OPEN, "absent: zero_after_closure\n")
    np.testing.assert_array_equal(panel.platform("AMZ")[0], [10, np.nan, 0, 0])


def test_a_zero_or_no_absence_needs_no_rule(tmp_path):
    assert np.isnan(read(tmp_path, CLOSED + OPEN + rows("C", sales=0.0)).sales).any()
    assert not np.isnan(read(tmp_path, rows("A") + rows("B")).sales).any()


WIDE = """\
firm,brand_group,origin,category,platform,closed_on,2021-01,2021-02,2021-03
A,a,CN,toys,AMZ,2021-03,1,2,
B,b,US,toys,AMZ,,3,,3
"""


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("missing", [[1, 2, np.nan], [3, np.nan, 3]]),
        ("zero_after_closure", [[1, 2, 0], [3, np.nan, 3]]),
        ("zero", [[1, 2, 0], [3, 0, 3]]),
    ],
)
def test_an_empty_cell_under_a_month_is_a_row_that_is_absent(tmp_path, rule, expected):
    (tmp_path / "wide.csv").write_text(WIDE)
    map_ = tmp_path / "wide.yml"
    map_.write_text('wide: {prefix: ""}\n')
    with pytest.raises(DataError, match=r"found 2 of 6 cells .*, and not one 0; write `absent: zero`"):
        read_panel(tmp_path / "wide.csv", map=map_)
    map_.write_text(f'wide: {{prefix: ""}}\nabsent: {rule}\n')
    np.testing.assert_array_equal(read_panel(tmp_path / "wide.csv", map=map_).sales[:, 0], expected)


# Months


@pytest.mark.parametrize(
    ("step", "months"), [(3, ("2020-01", "2020-04", "2020-10")), (12, ("2019-01", "2020-01", "2021-01"))]
)
def test_quarters_and_years_coded_as_months_are_refused(tmp_path, step, months):
    said = refusal(tmp_path, rows("A", months=months) + rows("B", months=months))
    assert (
        f"column month: expected a panel by month; found rows of {', '.join(months)} and so on, one month in {step}"
        in said
    )
    assert "a quarter cannot be split at a closure" in said


@pytest.mark.parametrize(
    ("month", "row", "said"),
    [
        ("2091-01", 10, "found '2091-01', without a row in the 836 months before it; correct the month, or leave"),
        ("1991-01", 10, "found '1991-01', without a row in the 359 months after it; correct the month"),
    ],
)
def test_a_stray_month_is_refused_with_its_row(tmp_path, month, row, said):
    found = refusal(tmp_path, [*rows("A"), *rows("B"), *rows("A", months=[month])])
    assert f"mine.csv, row {row}, column month: expected months without a gap of a year; {said}" in found


def test_months_without_a_row_are_said_and_a_year_of_them_is_refused(tmp_path):
    some = (*MONTHS, "2021-07", "2021-08")
    panel = read(tmp_path, rows("A", months=some) + rows("B", months=some) + rows("C", months=some))
    assert panel.data_warnings == ("2 of 8 months have no row in the file and are not known: 2021-05, 2021-06.",)
    late = (*MONTHS, "2022-05", "2022-06")
    said = refusal(tmp_path, rows("A", months=late) + rows("B", months=late))
    assert "row 6, column month: expected months without a gap of a year; found '2022-05'" in said
    assert "the first of 4 such" in said


# Values


@pytest.mark.parametrize("value", ["1e15", "1e290", "10000000000000.5"])
def test_a_value_that_cannot_be_sales_is_refused_with_its_row(tmp_path, value):
    said = refusal(tmp_path, [*rows("A"), *rows("B", sales=value)])
    assert f"row 6, column sales: expected at most 10,000,000,000,000; found '{value}'" in said


def test_one_value_or_one_firm_with_more_than_half_of_all_sales_is_said(tmp_path):
    one = [*rows("A"), *rows("B"), *rows("C", sales=1e9, months=MONTHS[:1]), *rows("C", sales=0.0, months=MONTHS[1:])]
    assert read(tmp_path, one).data_warnings == (
        "One value is 100.00 per cent of all sales: that of firm 'C' on AMZ in 2021-01, 1,000,000,000 USD.",
    )
    assert read(tmp_path, [*rows("A"), *rows("B"), *rows("C", sales=30)]).data_warnings == (
        "One firm has 60.00 per cent of all sales: 'C'.",
    )
    assert read(tmp_path, [*rows("A"), *rows("B"), *rows("C")]).data_warnings == ()


def test_a_rate_the_wrong_way_round_is_doubted(tmp_path):
    others = [*rows("A"), *rows("B"), *rows("C")]
    doubts = read(tmp_path, others, "currency: CNY\nrates: 6.9\n").data_warnings
    assert [doubt.partition(":")[0] for doubt in doubts] == ["A rate of CNY is 6.90"]
    assert "write the US dollars for one unit, such as 0.145." in doubts[0]
    assert read(tmp_path, others, "currency: CNY\nrates: 0.145\n").data_warnings == ()
    assert read(tmp_path, others, "currency: EUR\nrates: 1.18\n").data_warnings == ()


def test_a_stray_month_is_told_before_the_rate_that_it_lacks(tmp_path):
    named = "currency: CNY\nrates: {2021: 0.155}\n"
    said = refusal(tmp_path, [*rows("A"), *rows("B"), *rows("A", months=["2091-01"])], named)
    assert "row 10, column month: expected months without a gap of a year; found '2091-01'; correct the month" in said
    said = refusal(tmp_path, [*rows("A"), *rows("B"), *rows("A", months=["2022-01"])], named)
    assert "expected sales of a month with a rate for CNY; found sales of 2022-01, which has none" in said


def test_words_that_the_map_lists_are_not_known(tmp_path):
    lines = [*rows("A"), *rows("B", sales="NaN", months=MONTHS[:1]), *rows("B", months=MONTHS[1:])]
    assert np.isnan(read(tmp_path, lines, "missing: [NaN, N/A]\n").sales).sum() == 1
    assert "found 'NaN'" in refusal(tmp_path, lines)
    assert "`missing: [NaN]`" in refusal(tmp_path, lines)


def test_without_a_dose_closed_firms_that_go_on_selling_at_home_are_doubted_and_a_dose_settles_it(tmp_path):
    others = [*rows("A"), *rows("B")]
    panel = read(tmp_path, [*others, *rows("C", closed="2021-03")])
    assert "taken for closed whole (1), for the file has no dose, went on to sell 100 per cent of" in panel.no_dose
    assert panel.data_warnings == (f"Without a dose E1e is refused: {panel.no_dose}.",)
    panel.to_parquet(tmp_path / "again.parquet")
    assert read_panel(tmp_path / "again.parquet").no_dose == panel.no_dose
    gone = [*rows("C", months=MONTHS[:3], closed="2021-03"), *rows("C", sales=0, months=MONTHS[3:], closed="2021-03")]
    assert read(tmp_path, [*others, *gone]).no_dose == ""
    dosed = [f"{line},{0.5 if ',C,' in f',{line}' else ''}" for line in [*others, *rows("C", closed="2021-03")]]
    (tmp_path / "dosed.csv").write_text("\n".join([f"{HEADER},dose", *dosed]))
    assert read_panel(tmp_path / "dosed.csv").no_dose == ""


def test_a_panel_without_sales_at_home_is_refused_in_one_sentence(tmp_path):
    for lines in ([*rows("A", sales=0), *rows("B", sales=0)], [*rows("A", sales=0), *rows("B", platform="EBY")]):
        said = refusal(tmp_path, lines, "absent: missing\n")
        assert (
            "mine.csv: expected sales of more than 0 on the home platform AMZ; found none in any row; look at" in said
        )


# Two spellings


@pytest.mark.parametrize(
    ("one", "other", "code"),
    [("CN", "cn", "CN"), ("CN", "中国", "CN"), ("China", "中国", "CN"), ("US", "us", "US"), ("US", "ＵＳ", "US")],
)
def test_an_origin_in_two_spellings_is_refused_with_the_line_that_makes_them_one(tmp_path, one, other, code):
    lines = [*rows("A", origin=one), *rows("B", origin=other), *rows("C", origin="DE")]
    said = refusal(tmp_path, lines)
    assert f"expected each origin written in one way; found {min(one, other)!r} (first in row " in said
    assert f"{one}: {code}" in said
    line = said.partition("`")[2].partition("`")[0]
    assert set(read(tmp_path, lines, f"{line}\n").firms["origin"]) == {code, "DE"}


def test_a_firm_or_platform_in_two_spellings_is_refused(tmp_path):
    said = refusal(tmp_path, [*rows("A b"), *rows("ab"), *rows("C")])
    assert (
        "column firm: expected each firm written in one way; found 'A b' (first in row 2) and 'ab' (first in row 6)"
        in said
    )
    said = refusal(tmp_path, [*rows("A"), *rows("B"), *rows("B", platform="EBY"), *rows("A", platform="eby")])
    assert "'EBY' (first in row 10) and 'eby' (first in row 14); write a map with" in said
    assert "`platforms: {AMZ: AMZ, EBY: EBY, eby: EBY}`" in said


# Whatever a file holds


ODD = (
    "",
    "-1",
    "1e400",
    "NaN",
    "x",
    "2021-13",
    "44228",
    "2021Q1",
    "1,2",
    "$5",
    "CN",
    "cn",
    "SIM-0001",
    "'",
    "2021-05-17",
    "0",
)
MAPS = (
    *(
        "absent: zero\n",
        "rows: day\n",
        'decimal: ","\n',
        "closures: account\n",
        "rates: {CNY: 2}\n",
        "population: sample\n",
    ),
    *(
        'month_format: ["%Y-%m", "%d/%m/%Y"]\n',
        "platforms: {AMZ: AMZ, EBY: AMZ}\n",
        "home: EBY\n",
        'wide: {prefix: ""}\n',
    ),
)


@pytest.mark.parametrize("seed", range(40))
def test_a_file_with_odd_cells_is_read_or_refused_in_a_sentence(tmp_path, seed):
    rng = np.random.default_rng(seed)
    lines = [line.split(",") for line in [*CLOSED, *OPEN, *rows("C", sales=0.0)]]
    for _ in range(rng.integers(1, 4)):
        lines[rng.integers(len(lines))][rng.integers(8)] = f'"{rng.choice(ODD)}"'
    said = list[str]()
    try:
        read(tmp_path, map(",".join, lines), rng.choice(MAPS))
    except DataError as refused:
        said = [str(refused)]
    assert all(re.fullmatch(r".*(: expected|, key) .*; .*", one, flags=re.DOTALL) for one in said)
