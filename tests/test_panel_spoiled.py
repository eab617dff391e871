"""Twelve ways of spoiling a panel of one's own: each has its own message, and none reaches a report."""

import re

import pytest

from analysis.errors import DesignError
from analysis.estimands.design import Design
from analysis.inventory import estimable
from analysis.panel import read_panel
from runner import cli as front_desk

HEADER = "seller,owner,country,category,site,month,gmv,closed"
ROWS = """\
A,g1,China,kitchen,Amazon,2021-04,10,2021-06
A,g1,China,kitchen,Amazon,2021-05,12.5,2021-06
A,g1,China,kitchen,Amazon,2021-06,0,2021-06
B,g2,US,kitchen,Amazon,2021-04,30,
B,g2,US,kitchen,eBay,2021-05,30,
B,g2,US,kitchen,Amazon,2021-06,40,
"""
MAP = """\
columns: {firm: seller, brand: owner, origin: country, platform: site, sales: gmv, closed_on: closed}
platforms: {Amazon: AMZ, eBay: EBY}
origins: {China: CN, US: other}
home: AMZ
"""
WHOLE = f"{HEADER}\n{ROWS}"


def changed(old, new, text=WHOLE, count=1):
    assert old in text
    return text.replace(old, new, count)


def with_currency(*codes):
    rows = [f"{row},{codes[min(k, len(codes) - 1)]}" for k, row in enumerate(ROWS.splitlines())]
    return "\n".join([f"{HEADER},currency", *rows])


SPOILED = {
    "missing column": (changed(",gmv", ",revenue"), "row 1: expected one column 'gmv', which .* says is sales; found"),
    "unknown platform": (
        changed("eBay", "Ebay"),
        r"row 6, column 'site' \(platform\): expected one of the labels Amazon, eBay; found 'Ebay'; write "
        "`platforms: {..., Ebay: EBY}` in",
    ),
    "negative sales": (changed(",12.5,", ",-12.5,"), r"row 3, column 'gmv' \(sales\): expected at least 0; found '-12"),
    "duplicate firm-month": (
        changed("Amazon,2021-05", "Amazon,2021-04"),
        r"row 3, column 'seller' \(firm\), 'site' \(platform\), month: expected a key once; found \('A', 'Amazon', "
        r"'2021-04'\), which stands in row 2 already; remove",
    ),
    "text in a number": (
        changed(",12.5,", ',"1,250",'),
        r"row 3, column 'gmv' \(sales\): expected a number .* found '1,250'; write `thousands: \",\"` or, "
        'whichever is meant, `decimal: ","` in',
    ),
    "closed before the first month": (
        changed("2021-06\n", "2021-01\n", count=3),
        r"row 2, column 'closed' \(closed_on\): expected a closure in or after the first month, 2021-04; found '2021-0",
    ),
    "two currencies": (
        with_currency("USD", "CNY"),
        r"row 3, column currency: expected one of USD, sim-\$; found 'CNY', the first of 5 such in rows 3 to 7; write "
        "`rates: {CNY: RATE}` in",
    ),
    "gbk": (
        changed("kitchen", "厨房").encode("gbk"),
        "row 2: expected UTF-8 text; found the byte 0xb3; likely it is GBK, in which the row is 'A,g1,China,厨房,.*'; "
        "save it as UTF-8, or write `encoding: gbk` in its map",
    ),
    "gbk behind the mark of UTF-8": (
        b"\xef\xbb\xbf" + changed("kitchen", "厨房").encode("gbk"),
        r"row 2: expected UTF-8 text; .*厨房,.*'; save it as UTF-8\.",
    ),
    "Excel serials": (
        changed("2021-05", "44317"),
        r"row 3, column month: expected a month YYYY-MM; found '44317', an Excel serial number \(2021-05-01\); write",
    ),
    "empty file": ("", "expected a header and rows; found an empty file; export it again"),
    "one firm only": (
        "".join(line for line in WHOLE.splitlines(keepends=True) if not line.startswith("B")),
        r"expected at least two firms with sales; found 1 \(A\); add firms to compare with",
    ),
    "no closed firm": (
        changed("2021-06\n", "\n", count=3).replace("Amazon,2021-06,0,2021-06", "Amazon,2021-06,0,"),
        "none of 2 firms is closed between 2021-04 and 2021-06 .*; bring a panel that holds closures",
    ),
}


def check(tmp_path, content, *command):
    (tmp_path / "mine.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    (tmp_path / "mine.yml").write_text(MAP)
    files = ["--panel", str(tmp_path / "mine.csv"), "--map", str(tmp_path / "mine.yml")]
    return front_desk.main([*(command or ["check"]), *files])


@pytest.mark.parametrize("way", SPOILED)
def test_a_spoiled_panel_exits_2_and_only_its_own_message_fits(tmp_path, capsys, way):
    content, said = SPOILED[way]
    assert check(tmp_path, content) == 2
    error = capsys.readouterr().err
    fitting = [other for other, (_, pattern) in SPOILED.items() if re.search(pattern, error)]
    assert fitting == [way], error
    assert said
    if way != "no closed firm":
        assert str(tmp_path / "mine.csv") in error


@pytest.mark.parametrize("way", SPOILED)
def test_no_report_starts_on_a_spoiled_panel(tmp_path, capsys, way):
    content, said = SPOILED[way]
    assert check(tmp_path, content, "run", "--out", str(tmp_path / "out")) == 2
    error = capsys.readouterr().err
    assert re.search(said, error)
    assert "running" not in error
    assert not (tmp_path / "out").exists()


def test_a_panel_without_closed_firms_is_a_panel_that_answers_nothing(tmp_path, capsys):
    assert check(tmp_path, SPOILED["no closed firm"][0]) == 2
    said = capsys.readouterr()
    assert "Closures by wave\nnone" in said.out  # what it holds is printed, what it cannot show is not
    assert "What can be estimated" not in said.out
    panel = read_panel(tmp_path / "mine.csv", map=tmp_path / "mine.yml")
    with pytest.raises(DesignError, match="bring a panel that holds closures"):
        estimable(panel, Design())


def test_without_a_map_the_platforms_are_those_of_the_event(tmp_path, capsys):
    header = "firm,brand_group,origin,category,platform,month,sales,closed_on"
    rows = ROWS.replace("Amazon", "AMZ").replace("eBay", "EBAY")
    (tmp_path / "mine.csv").write_text(f"{header}\n{rows}")
    assert front_desk.main(["check", "--panel", str(tmp_path / "mine.csv")]) == 2
    assert "row 6, column platform: expected one of AMZ, EBY, ALI, WMT, OWN; found 'EBAY'" in capsys.readouterr().err


@pytest.mark.parametrize("price", ["$12.5", "12.5 USD", "¥12.5", "12.5元", "€ 12.5"])
def test_the_sign_of_a_currency_inside_a_number_is_named(tmp_path, capsys, price):
    assert check(tmp_path, changed(",12.5,", f",{price},")) == 2
    error = capsys.readouterr().err
    assert "row 3, column 'gmv' (sales): expected plain numbers of one currency, without its sign; found" in error
    assert price in error
    assert "take the signs out, and where they are not of USD, write `currency: CODE` in" in error


def test_two_signs_of_currencies_are_both_named(tmp_path, capsys):
    assert check(tmp_path, changed(",12.5,", ",¥12.5,").replace(",40,", ",$40,")) == 2
    assert "of the signs $, ¥" in capsys.readouterr().err


def test_one_currency_that_is_not_the_maps_is_refused(tmp_path, capsys):
    assert check(tmp_path, with_currency("CNY")) == 2
    error = capsys.readouterr().err
    assert "row 2, column currency: expected one of USD, sim-$; found 'CNY', the first of 6" in error
    assert "write `rates: {CNY: RATE}` in" in error
    assert "with the US dollars for one unit for RATE" in error


def test_a_byte_order_mark_changes_nothing(tmp_path):
    (tmp_path / "mine.yml").write_text(MAP)
    digests = set()
    for encoding in ("utf-8", "utf-8-sig"):
        (tmp_path / "mine.csv").write_text(WHOLE, encoding=encoding)
        digests.add(read_panel(tmp_path / "mine.csv", map=tmp_path / "mine.yml").digest)
    assert len(digests) == 1


def test_a_column_that_the_map_does_not_name_may_be_in_any_encoding(tmp_path):
    (tmp_path / "mine.yml").write_text(MAP)
    noted = WHOLE.replace(",closed\n", ",closed,note\n").replace(",2021-06\n", ",2021-06,备注\n").replace(",\n", ",,\n")
    for name, content in (("mine.csv", noted.encode("gbk")), ("plain.csv", WHOLE.encode())):
        (tmp_path / name).write_bytes(content)
    one, other = (read_panel(tmp_path / name, map=tmp_path / "mine.yml") for name in ("mine.csv", "plain.csv"))
    assert one.digest == other.digest
    (tmp_path / "mine.csv").write_bytes(changed("gmv,closed", "gmv,closed,备注").encode("gbk"))
    with pytest.raises(ValueError, match="row 1: expected UTF-8 text; found the byte 0xb1; likely it is GBK"):
        read_panel(tmp_path / "mine.csv", map=tmp_path / "mine.yml")


def test_a_gbk_file_is_read_where_its_map_says_so(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(changed("kitchen", "厨房", count=6), encoding="gbk")
    (tmp_path / "mine.yml").write_text(MAP + "encoding: gbk\n")
    panel = read_panel(path, map=tmp_path / "mine.yml")
    assert set(panel.firms["category"]) == {"厨房"}
    path.write_text(WHOLE, encoding="utf-8-sig")
    with pytest.raises(ValueError, match="expected text in GBK, as the map says; found the byte order mark of UTF-8"):
        read_panel(path, map=tmp_path / "mine.yml")
    path.write_bytes(changed("kitchen", "厨房").encode("gbk").replace("厨".encode("gbk"), b"\xff"))
    with pytest.raises(ValueError, match="row 2: expected text in GBK, as the map says; found the byte 0xff; remove"):
        read_panel(path, map=tmp_path / "mine.yml")
