"""A researcher's own file: what a map may say, months as columns, money, and accounts that are renamed or closed."""

import numpy as np
import pandas as pd
import pytest

from analysis.errors import DataError
from analysis.panel import read_panel

HEADER = "firm,brand_group,origin,category,platform,month,sales,closed_on"
SHOPS = "shop,formerly,company,brand_group,origin,category,platform,month,sales,closed_on"
SHOP_MAP = "columns: {account: shop, renamed_from: formerly, firm: company}\nclosures: account\n"
MONTHS = pd.period_range("2021-01", "2021-08", freq="M").astype(str)


def write(tmp_path, text, name):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def read(tmp_path, text, named="", **asked):
    return read_panel(
        write(tmp_path, text, "mine.csv"), map=write(tmp_path, named or "absent: missing\n", "mine.yml"), **asked
    )


def shop(name, months, sales, closed="", formerly="", firm="A", platform="AMZ"):
    """Return rows of one account, the same sales in each month."""
    return [f"{name},{formerly},{firm},g{firm},CN,toys,{platform},{month},{sales},{closed}" for month in months]


def shops(*accounts, rival=True):
    rows = [row for rows in accounts for row in rows]
    return "\n".join([SHOPS, *rows, *(shop("R1", MONTHS, 50, firm="R") if rival else [])]) + "\n"


# What a map says


def test_a_map_says_home_and_absent_and_its_home_may_not_be_contradicted(tmp_path):
    text = f"{HEADER}\nA,a,CN,toys,EBY,2021-01,1,\nA,a,CN,toys,EBY,2021-03,1,\nB,b,US,toys,EBY,2021-02,2,\n"
    panel = read(tmp_path, text, "home: EBY\nabsent: zero\n")
    assert panel.platforms == ("EBY",)
    np.testing.assert_array_equal(panel.sales[:, 0], [[1, 0, 1], [0, 2, 0]])
    assert read(tmp_path, text, "home: EBY\nabsent: zero\n", home="EBY").digest == panel.digest
    with pytest.raises(DataError, match=r"mine.yml: expected home = 'AMZ', as requested; found 'EBY'; correct the map"):
        read(tmp_path, text, "home: EBY\n", home="AMZ")


def test_columns_and_labels_of_theirs_become_ours_and_others_are_counted(tmp_path):
    text = "id,place,kind,site,when,sold,shut,note\nA,中国,toys,A站,05/2021,1,,x\nB,US,toys,B,05/2021,2,07/2021,y\n"
    named = """\
columns: {firm: id, brand: id, origin: place, category: kind, platform: site, month: when, sales: sold, closed_on: shut}
platforms: {B: OWN, A站: AMZ}
origins: {中国: CN, US: other}
month_format: "%m/%Y"
"""
    panel = read(tmp_path, text, named)
    assert panel.platforms == ("AMZ", "OWN")
    assert panel.firms["brand_group"].tolist() == ["A", "B"]
    assert panel.firms["origin"].tolist() == ["CN", "other"]
    assert panel.censored == 1
    np.testing.assert_array_equal(panel.sales[:, :, 0], [[1, 0], [0, 2]])
    assert panel.dropped.to_numpy().tolist() == [["columns", "left out: not named in the map", 1]]
    with pytest.raises(
        DataError, match=r"row 2, column 'when' \(month\): expected a date as %m/%Y; found '2021-05'; write"
    ):
        read(tmp_path, text.replace("05/2021", "2021-05", 1), named)


def test_the_order_of_platforms_is_that_of_the_map(tmp_path):
    rows = "\n".join(f"{firm},{firm},CN,toys,{site},2021-01,1," for firm in "AB" for site in ("a", "b", "c"))
    assert read(tmp_path, f"{HEADER}\n{rows}\n", "platforms: {c: OWN, a: AMZ, b: EBY}").platforms == (
        "AMZ",
        "OWN",
        "EBY",
    )


def test_a_file_without_a_column_that_the_map_names_is_refused(tmp_path):
    text = f"{HEADER}\nA,a,CN,toys,AMZ,2021-01,1,\n"
    with pytest.raises(DataError, match=r"row 1: expected one column 'gmv', which .*mine.yml says is sales; found the"):
        read(tmp_path, text, "columns: {sales: gmv}")
    with pytest.raises(
        DataError,
        match=r"found no column 'risk'|found no column 'closed_on'; write `columns: {closed_on: THEIRS}` in .*m",
    ):
        read(tmp_path, text.replace(",closed_on", ",shut"), "columns: {sales: sales}")
    with pytest.raises(DataError, match=r"one column 'sales'.* found the columns .*sales.*sales.*; correct `columns`"):
        read(tmp_path, text.replace("origin", "sales"), "columns: {sales: sales}")


# Months as columns


WIDE = """\
firm,brand_group,origin,category,platform,closed_on,sales_202101,note_,sales_202102
A,a,CN,toys,AMZ,2021-02,1,x,0
B,b,US,toys,AMZ,,3,x,
B,b,US,toys,EBY,,5,x,6
"""
WIDE_MAP = 'wide: {prefix: "sales_", format: "%Y%m"}\n'


def test_columns_of_months_become_rows(tmp_path):
    panel = read(tmp_path, WIDE, WIDE_MAP)
    assert list(panel.months.astype(str)) == ["2021-01", "2021-02"]
    np.testing.assert_array_equal(panel.platform("AMZ"), [[1, 0], [3, np.nan]])
    np.testing.assert_array_equal(panel.platform("EBY"), [[0, 0], [5, 6]])
    assert panel.dropped.to_numpy().tolist() == [["columns", "left out: not named in the map", 1]]


def test_a_wide_parquet_file_with_columns_of_several_types_is_read(tmp_path):
    frame = pd.read_csv(write(tmp_path, WIDE, "wide.csv"))
    assert frame["sales_202101"].dtype != frame["sales_202102"].dtype
    frame.to_parquet(tmp_path / "wide.parquet", index=False)
    named = write(tmp_path, WIDE_MAP, "wide.yml")
    assert read_panel(tmp_path / "wide.parquet", map=named).digest == read(tmp_path, WIDE, WIDE_MAP).digest


def test_an_encoding_of_a_parquet_file_is_refused(tmp_path):
    pd.read_csv(write(tmp_path, WIDE, "wide.csv")).to_parquet(tmp_path / "wide.parquet", index=False)
    with pytest.raises(DataError, match=r"expected no encoding, which is for \.csv, .*; found `encoding: gbk`; remove"):
        read_panel(tmp_path / "wide.parquet", map=write(tmp_path, WIDE_MAP + "encoding: gbk\n", "wide.yml"))


def test_months_without_a_prefix_are_told_from_other_columns(tmp_path):
    text = WIDE.replace("sales_2021", "2021-")
    assert read(tmp_path, text, 'wide: {prefix: ""}').digest == read(tmp_path, WIDE, WIDE_MAP).digest


def test_blocks_of_a_wide_file_keep_their_rows(tmp_path, monkeypatch):
    rows = "".join(f"F{k},g,CN,toys,AMZ,,{k},x,{2 * k}\n" for k in range(1, 40))
    whole = read(tmp_path, WIDE + rows, WIDE_MAP)
    monkeypatch.setattr("analysis.panel.file.ROWS_AT_ONCE", 5)
    monkeypatch.setattr("analysis.panel.file._BYTES_AT_ONCE", 100)
    assert read(tmp_path, WIDE + rows, WIDE_MAP).digest == whole.digest
    with pytest.raises(DataError, match=r"row 38, column 'sales_202102' \(sales\): expected at least 0; found '-68'"):
        read(tmp_path, WIDE + rows.replace(",68\n", ",-68\n"), WIDE_MAP)


@pytest.mark.parametrize(
    ("old", "new", "named", "said"),
    [
        ("3,x", "three,x", WIDE_MAP, r"row 3, column 'sales_202101' \(sales\): expected a number .*; found 'three'"),
        ("B,b,US,toys,EBY", "B,b,US,toys,AMZ", WIDE_MAP, "row 4, .*'2021-01'.*stands in row 3 already"),
        (
            "sales_202102",
            "sales_total",
            WIDE_MAP,
            "row 1: expected columns of sales called sales_MONTH, .*'sales_total",
        ),
        ("sales_202102", "sales_44228", WIDE_MAP, r"'sales_44228', an Excel serial number \(2021-02-01\)"),
        ("note_", "sales_202101", WIDE_MAP, "the month 2021-01 twice"),
        ("note_", "sales", WIDE_MAP, "instead of columns month and sales; found 2 of these and the column 'sales'"),
        ("note_", "x", 'wide: {prefix: "gmv_"}', "found 0 of these; correct `wide` in"),
    ],
)
def test_a_spoiled_wide_file_is_refused_with_its_own_row_and_column(tmp_path, old, new, named, said):
    assert old in WIDE
    with pytest.raises(DataError, match=said):
        read(tmp_path, WIDE.replace(old, new), named)


# Money


def test_money_is_turned_into_dollars_by_month_by_year_or_once(tmp_path):
    rows = [f"{firm},{firm},CN,toys,AMZ,{month},100," for firm in "AB" for month in ("2020-12", "2021-01", "2021-02")]
    text = "\n".join([HEADER, *rows]) + "\n"
    for rates, expected in (
        ("0.5", [50, 50, 50]),
        ("{2020: 0.1, 2021: 0.2}", [10, 20, 20]),
        ("{2020: 0.1, 2021: 0.2, 2021-02: 0.3}", [10, 20, 30]),
    ):
        panel = read(tmp_path, text, f"currency: CNY\nrates: {rates}\n")
        np.testing.assert_allclose(panel.sales[:, 0], [expected] * 2, rtol=1e-15)
    with pytest.raises(DataError, match=r"row 3, .*a rate for CNY; found sales of 2021-01, which has none, the first"):
        read(tmp_path, text, "currency: CNY\nrates: {2020: 0.1, 2021-02: 0.3}\n")


def test_a_column_of_the_maps_currency_is_believed(tmp_path):
    rows = "\n".join(f"{firm},{firm},CN,toys,AMZ,2021-01,100,,CNY" for firm in "AB")
    text = f"{HEADER},currency\n{rows}\n"
    assert read(tmp_path, text, "currency: CNY\nrates: 0.1\n").sales.max() == pytest.approx(10)
    with pytest.raises(DataError, match=r"row 2, column currency: expected one of EUR; found 'CNY', the first of 2"):
        read(tmp_path, text, "currency: EUR\nrates: 0.1\n")


# Renamed accounts


def test_a_renamed_account_belongs_to_the_firm_of_its_first_id(tmp_path):
    text = shops(
        shop("a", MONTHS[:3], 10),
        shop("b", MONTHS[3:5], 20, formerly="a", firm="B"),
        shop("c", MONTHS[5:], 30, formerly="b", firm="C"),
    )
    panel = read(tmp_path, text, SHOP_MAP)
    assert list(panel.firms.index) == ["A", "R"]
    np.testing.assert_array_equal(panel.platform("AMZ")[0], [10] * 3 + [20] * 2 + [30] * 3)
    assert panel.firms["brand_group"].tolist() == ["gA", "gR"]
    assert panel.dropped.to_numpy().tolist()[:2] == [
        ["accounts", "added up to their firms", 4],
        ["accounts", "renamed: linked to the account that they were", 2],
    ]


def test_without_a_firm_the_first_id_is_the_firm_and_without_an_account_the_firm_is_renamed(tmp_path):
    text = shops(shop("a", MONTHS[:3], 10), shop("b", MONTHS[3:], 20, formerly="a", firm="B"))
    with_firm = read(tmp_path, text, SHOP_MAP)
    for ours in ("account", "firm"):
        named = f"columns: {{{ours}: shop, renamed_from: formerly}}\n"
        panel = read(tmp_path, text.replace("company", "other"), named)
        assert list(panel.firms.index) == ["R1", "a"]
        np.testing.assert_array_equal(panel.sales[::-1], with_firm.sales)


def test_accounts_without_a_column_of_former_ids_are_said_to_be_unlinkable(tmp_path):
    text = shops(shop("a", MONTHS, 10)).replace("formerly", "note")
    panel = read(tmp_path, text, "columns: {account: shop, firm: company}\n")
    assert panel.dropped.to_numpy().tolist() == [
        ["columns", "left out: not named in the map", 1],
        ["accounts", "added up to their firms; renamed ones cannot be linked, there is no column renamed_from", 2],
    ]


@pytest.mark.parametrize(
    ("accounts", "said"),
    [
        (
            [
                shop("a", MONTHS, 1, formerly="b"),
                shop("b", MONTHS, 1, formerly="c"),
                shop("c", MONTHS, 1, formerly="a"),
            ],
            r"row 2, column 'formerly' \(renamed_from\): .*; found a circle: a from b from c from a; give",
        ),
        ([shop("a", MONTHS, 1, formerly="a")], "found a circle: a from a"),
        ([shop("a", MONTHS, 1, formerly="z")], "row 2, .*: expected an id of the file; found 'z', which has no row"),
        (
            [shop("a", MONTHS[:2], 1), shop("a", MONTHS[2:], 1, formerly="R1")],
            "row 4, column 'formerly' .*: expected one value for the account 'a'; found 'R1', where another row has no",
        ),
        (
            [shop("a", MONTHS[:2], 1), shop("a", MONTHS[2:], 1, firm="B")],
            r"row 4, column 'company' \(firm\): expected one value for the account 'a'; found 'B', where another",
        ),
        (
            [shop("a", MONTHS[:2], 1), shop("a", MONTHS[2:], 1, closed="2021-05")],
            r"row 4, column closed_on: expected one value for the account 'a'; found '2021-05', where another",
        ),
        ([shop("a", MONTHS, 1, closed="2020-12")], "row 2, column closed_on: expected a closure in or after the first"),
    ],
)
def test_accounts_that_contradict_themselves_are_refused(tmp_path, accounts, said):
    with pytest.raises(DataError, match=said):
        read(tmp_path, shops(*accounts), SHOP_MAP)


# Accounts closed one by one


def closure(tmp_path, *accounts):
    panel = read(tmp_path, shops(*accounts), SHOP_MAP)
    closed, dose = panel.firms.loc["A", ["closed_on", "dose"]]
    return (None if closed is pd.NaT else f"{closed:%Y-%m}", dose), panel.dropped.to_numpy().tolist()


def test_a_firm_is_closed_when_half_of_its_home_sales_sit_in_closed_accounts(tmp_path):
    accounts = [
        shop("a", MONTHS, 40, closed="2021-04"),
        shop("b", MONTHS, 25, closed="2021-06"),
        shop("c", MONTHS, 25, closed="2021-07"),
        shop("d", MONTHS, 10),
        shop("e", MONTHS, 900, platform="EBY"),
    ]
    assert closure(tmp_path, *accounts)[0] == ("2021-06", pytest.approx(0.9))


def test_half_is_enough_and_less_is_a_closure_in_part(tmp_path):
    half = [shop("a", MONTHS, 50, closed="2021-04"), shop("b", MONTHS, 50)]
    assert closure(tmp_path, *half)[0] == ("2021-04", 0.5)
    less = [shop("a", MONTHS, 30, closed="2021-05"), shop("b", MONTHS, 10, closed="2021-04"), shop("c", MONTHS, 60)]
    found, said = closure(tmp_path, *less)
    assert found == ("2021-04", pytest.approx(0.4))
    assert ["firms", "closed in accounts that held less than half of their sales", 1] in said


def test_only_sales_before_the_first_closure_of_any_firm_count(tmp_path):
    accounts = [
        shop("a", MONTHS[:2], 90, closed="2021-06"),  # most of the sales before March
        shop("b", MONTHS[:2], 10),
        shop("c", MONTHS[2:], 500),
    ]
    accounts[1] += shop("b", MONTHS[2:], 400)
    first = shop("z", MONTHS, 5, closed="2021-03", firm="Z")
    assert closure(tmp_path, *accounts, first)[0] == ("2021-06", pytest.approx(0.9))


def test_sales_under_former_names_count_and_the_first_closure_under_any_name(tmp_path):
    renamed_before = [shop("a", MONTHS[:2], 80), shop("b", MONTHS[2:], 80, closed="2021-05", formerly="a")]
    other = shop("c", MONTHS, 20)
    assert closure(tmp_path, *renamed_before, other)[0] == ("2021-05", pytest.approx(0.8))
    came_back = [
        shop("a", MONTHS[:4], 80, closed="2021-05"),
        shop("b", MONTHS[5:], 80, closed="2021-08", formerly="a"),
    ]
    assert closure(tmp_path, *came_back, other)[0] == ("2021-05", pytest.approx(0.8))


def test_a_firm_that_sold_nothing_at_home_before_is_measured_by_its_accounts(tmp_path):
    accounts = [shop(name, MONTHS[6:], 10, closed=closed) for name, closed in (("a", "2021-08"), ("b", ""))]
    accounts.append(shop("b", MONTHS[:6], 0))
    first = shop("z", MONTHS, 5, closed="2021-03", firm="Z")
    assert closure(tmp_path, *accounts, first)[0] == ("2021-08", 0.5)


def test_a_closed_account_that_held_nothing_closes_nobody_and_is_counted(tmp_path):
    first = shop("z", MONTHS, 5, closed="2021-03", firm="Z")
    found, said = closure(tmp_path, shop("a", MONTHS[6:], 10, closed="2021-08"), shop("b", MONTHS, 50), first)
    assert found[0] is None
    assert np.isnan(found[1])
    assert ["accounts", "closed, but without home sales in the year before", 1] in said


def test_closures_by_account_need_accounts_and_make_the_dose_themselves(tmp_path):
    text = shops(shop("a", MONTHS, 1, closed="2021-05"), shop("b", MONTHS, 1))
    with pytest.raises(DataError, match=r"column closed_on: .*write `closures: account` in a map if accounts have"):
        read(tmp_path, text, SHOP_MAP.replace("closures: account\n", ""))
    with pytest.raises(
        DataError, match=r"accounts that were closed one by one, .*; found no column 'account'; correct"
    ):
        read(tmp_path, text, "columns: {firm: company}\nclosures: account\n")
    with pytest.raises(DataError, match="found a column of doses; correct `columns` or `closures` in"):
        read(tmp_path, text, SHOP_MAP.replace("{", "{dose: sales, "))


def test_the_order_of_rows_changes_no_link_and_no_closure(tmp_path):
    text = shops(
        shop("a", MONTHS[:3], 10, closed="2021-04"),
        shop("b", MONTHS[3:], 20, formerly="a"),
        shop("c", MONTHS, 7, closed="2021-06"),
    )
    header, *rows = text.splitlines()
    digests = {read(tmp_path, text, SHOP_MAP).digest}
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(rows))
        digests.add(read(tmp_path, "\n".join([header, *(rows[k] for k in order)]) + "\n", SHOP_MAP).digest)
    assert len(digests) == 1


def test_a_map_that_says_nothing_changes_nothing(tmp_path):
    text = f"{HEADER}\nA,a,CN,toys,AMZ,2021-01,1,\nB,b,CN,toys,AMZ,2021-01,1,\n"
    assert read(tmp_path, text, "{}\n").digest == read_panel(tmp_path / "mine.csv").digest


# What the firms are of


WEIGHED = (
    f"{HEADER},weight\nA,a,CN,toys,AMZ,2021-01,3,,10\nA,a,CN,toys,AMZ,2021-02,0,,10\nB,b,US,toys,AMZ,2021-01,5,,2\n"
)


def test_sales_of_a_weighted_sample_are_those_of_the_population_and_its_firms_are_counted_once(tmp_path):
    panel = read(tmp_path, WEIGHED, "population: sample\n")
    np.testing.assert_array_equal(panel.platform("AMZ"), [[30, 0], [10, np.nan]])
    assert panel.population == "sample"
    assert list(panel.firms.columns) == ["brand_group", "origin", "category", "closed_on", "dose", "risk"]
    assert panel.dropped["what"].tolist() == ["firms"]
    assert "each stands in sales for as many as its weight" in panel.dropped["rule"].item()


def test_a_panel_is_not_representative_unless_its_map_or_its_metadata_say_so(tmp_path):
    plain = read(tmp_path, WEIGHED.replace("weight", "note"), "columns: {firm: firm}\n")
    assert plain.population == "not representative"
    assert read(tmp_path, WEIGHED.replace("weight", "note"), "population: census\n").population == "census"
    sample = read(tmp_path, WEIGHED, "population: sample\n")
    sample.to_parquet(tmp_path / "sample.parquet")
    again = read_panel(tmp_path / "sample.parquet")
    assert (again.population, again.digest) == ("sample", sample.digest)
    np.testing.assert_array_equal(again.sales, sample.sales)


@pytest.mark.parametrize(
    ("old", "new", "named", "said"),
    [
        (
            "weight",
            "weight",
            "population: census\n",
            "found such a column, and the population 'census'; write `population",
        ),
        (
            "weight",
            "weight",
            "absent: missing\n",
            "such a column, and the population 'not representative'; write `population: sample",
        ),
        ("weight", "note", "population: sample\n", "found no column 'weight'; write `columns: {weight: THEIRS}`"),
        (",,2", ",,0", "population: sample\n", "row 4, column weight: expected more than 0; found '0'"),
        (",,2", ",,", "population: sample\n", "row 4, column weight: expected a number; found nothing"),
        ("2021-02,0,,10", "2021-02,0,,9", "population: sample\n", "column weight: expected one value for the firm 'A'"),
    ],
)
def test_a_weight_without_a_sample_or_a_sample_without_weights_is_refused(tmp_path, old, new, named, said):
    with pytest.raises(DataError, match=said):
        read(tmp_path, WEIGHED.replace(old, new), named)
