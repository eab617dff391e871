import hashlib

import count
import pandas as pd
import pytest
from fewtreated.errors import DataError, DesignError

from analysis.data import DATA, load
from analysis.provenance import ROOT
from runner import cli as command_line

PART = ROOT.parent / "shared" / "purchases" / "open_ecommerce_27_states.parquet"
COMMITTED = ("purchases", "buyers", "brands", "categories", "half_years", "part", "register")
LINES = [
    # day, price, quantity, title, code, category, buyer
    ("2021-01-05", "10.99", "2.0", "[2 Pack] Anker Cable, 6 ft", "B01", "ELECTRONIC_CABLE", "ann"),
    ("2021-01-09", "0.10", "3", "QZXWVY Slippers", "B02", "SHOES", "ann"),
    ("2021-01-09", "5", "1", "CHARGER, with a cord", "B03", "PHONE_PART", "ben"),
    ("2021-02-01", "20", "1", "", "B04", "", "ben"),
    ("2021-02-01", "20", "1", " ", "B05", "", "ben"),
    ("2021-02-02", "30", "1", "mpow® H5 | over the ear", "B06", "HEADPHONES", "eve"),
    ("2022-11-01", "9", "1", "Anker Cable", "B01", "ELECTRONIC_CABLE", "ann"),
]
STORES = [("B04", "Mpow"), ("B05", "Some Store"), ("B06", "another"), ("B99", "Aukey")]


def made_up(path, lines=LINES):
    frame = pd.DataFrame(lines, columns=[*count.COLUMNS])[[*count.COLUMNS]].rename(
        columns=count.COLUMNS
    )
    if path.suffix == ".parquet":
        frame.astype({"Purchase Price Per Unit": float, "Quantity": float}).replace(
            "", None
        ).to_parquet(path)
    else:
        frame.assign(state="NY").to_csv(path, index=False)
    return path


def stores(path, rows=STORES):
    pd.DataFrame(rows, columns=["parent_asin", "store"]).to_csv(path, index=False)
    return path


@pytest.mark.skipif(
    not PART.exists(), reason="the public part of 27 states is not beside the repository"
)
def test_the_public_part_gives_the_committed_tables_byte_for_byte(tmp_path):
    out = count.count(PART).write(tmp_path / "out")
    for name in COMMITTED:
        assert (out / f"{name}.csv").read_bytes() == (
            DATA / "households" / f"{name}.csv"
        ).read_bytes()


@pytest.mark.parametrize("name", ["bought.csv", "bought.parquet"])
def test_order_lines_are_counted_by_month_group_category_and_origin(tmp_path, name):
    made = count.count(made_up(tmp_path / name)).tables["purchases"].drop(columns="buyer_group")
    assert sorted(made.itertuples(index=False, name=None)) == [
        ("2021-01", "electronic_cable", "named_chinese", 1, 2, 21.98),
        ("2021-01", "everything else", "pseudo_brand", 1, 3, 0.30),
        ("2021-01", "other electronics", "other", 1, 1, 5.0),  # a word of capitals is no brand
        ("2021-02", "headphones", "named_chinese", 1, 1, 30.0),
        ("2021-02", "not known", "blank", 2, 2, 40.0),
    ]


def test_a_buyer_of_nothing_but_blank_titles_is_active_and_stands_in_the_group_of_the_hash(
    tmp_path,
):
    buyers = (
        count.count(made_up(tmp_path / "bought.csv"))
        .tables["buyers"]
        .set_index(["month", "buyer_group"])
    )
    group = int(hashlib.sha256(b"ben").hexdigest(), 16) % 100
    assert buyers.loc[("2021-02", group)].to_dict() == {"active_buyers": 1, "purchases": 2}
    assert (
        buyers["purchases"].sum() == len(LINES) - 1
    )  # the last is of a month after the exports began


def test_a_table_of_products_gives_blank_titles_their_brand(tmp_path):
    file = made_up(tmp_path / "bought.csv")
    without = count.count(file)
    made = count.count(file, stores(tmp_path / "products.csv"))
    assert without.tables["blanks"]["brand"].tolist() == ["", ""]
    assert "closed" not in without.tables
    assert made.tables["blanks"].set_index("code")["brand"].to_dict() == {
        "B04": "Mpow",
        "B05": "Some",
    }
    assert made.tables["closed"].groupby("brand")["spend"].sum().to_dict() == {"Mpow": 50.0}
    added = made.tables["purchases"].query("month == '2021-02' and category == 'not known'")
    assert sorted(added["origin_class"]) == ["named_chinese", "other"]
    assert (
        "2 order lines for 2 product codes have no title; the table of products has a brand for 2."
        in made.said
    )


def test_rare_categories_have_no_half_years_unless_an_early_page_shows_closed_brands_in_them(
    tmp_path,
):
    last = [("2021-09-01", "7", "1", "Anker Hub", "B07", "HUB", "ann")] * count.FEWEST
    rare = ("2021-09-02", "7", "1", "Anker Tripod", "B08", "CAMERA_TRIPOD", "ann")
    made = count.count(made_up(tmp_path / "bought.csv", [LINES[1], *last, rare])).tables
    assert made["half_years"].to_numpy().tolist() == [
        ["2021-09", "camera_tripod", "named_chinese", 1],
        ["2021-09", "hub", "named_chinese", 40],
    ]


def test_purchases_of_every_brand_of_the_register_are_counted_whatever_their_class(tmp_path):
    more = [
        ("2021-01-09", "5", "1", "AUSTOR pins", "B09", "TOOLS", "ann"),
        ("2021-01-09", "5", "1", "Sable pillow", "B10", "HOME", "ann"),
    ]
    made = count.count(made_up(tmp_path / "bought.csv", [*LINES, *more])).tables
    assert made["register"].to_numpy().tolist() == [
        ["Austor", "2020-09", "everything else", "named_chinese", 1],
        ["Mpow", "2020-09", "headphones", "named_chinese", 1],
        ["Sable", "2020-09", "everything else", "other", 1],
    ]
    assert made["part"]["number"].tolist() == [
        9,
        8,
        2,
        3,
    ]  # rows, lines by October 2022, blank ones, people


def test_a_file_of_another_vintage_is_counted_and_said_to_be_one(tmp_path, monkeypatch):
    file = made_up(tmp_path / "bought.csv")
    assert "another vintage, or a part" in count.count(file).said[0]
    monkeypatch.setattr(count, "WHOLE", hashlib.sha256(file.read_bytes()).hexdigest())
    assert "the whole file, as in the archive" in count.count(file).said[0]


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        (
            "date",
            "2021-02-30",
            "row 4, column 'Order Date': expected a day YYYY-MM-DD; found '2021-02-30'",
        ),
        ("date", "01/05/2021", "row 4, column 'Order Date'"),
        (
            "quantity",
            "-1",
            "row 4, column 'Quantity': expected a whole number of at least 0; found '-1'",
        ),
        ("quantity", "1.5", "row 4, column 'Quantity'"),
        (
            "price",
            "",
            "row 4, column 'Purchase Price Per Unit': expected a price of at least 0; found ''",
        ),
        ("buyer", "", "row 4, column 'Survey ResponseID': expected the id of a buyer"),
    ],
)
def test_a_value_that_cannot_be_counted_is_refused_with_its_row(tmp_path, column, value, said):
    lines = [dict(zip(count.COLUMNS, line, strict=True)) for line in LINES]
    lines[2][column] = value
    with pytest.raises(DataError, match=r"bought\.csv") as refused:
        count.count(made_up(tmp_path / "bought.csv", lines))
    assert said in str(refused.value)


@pytest.mark.parametrize("kind", [".csv", ".parquet"])
@pytest.mark.parametrize("column", ["code", "category", "buyer"])
@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("x" * 201, "expected text of at most 200 characters; found one of 2"),
        ("\u200b", "expected text without characters that are not seen; found U+200B (zero width"),
    ],
)
def test_a_name_is_short_and_seen_or_is_refused_with_its_row(tmp_path, kind, column, more, said):
    lines = [dict(zip(count.COLUMNS, line, strict=True)) for line in LINES]
    lines[2][column] += more
    with pytest.raises(DataError) as refused:
        count.count(made_up(tmp_path / f"bought{kind}", lines))
    row = 3 + (kind == ".csv")
    assert f"row {row}, column '{count.COLUMNS[column]}': {said}" in str(refused.value)


def test_first_words_with_characters_that_are_not_seen_are_counted_as_written(tmp_path):
    odd = ("2021-01-05", "1", "1", "An\u200bker Cable", "B01", "ELECTRONIC_CABLE", "ann")
    late = ("2021-01-05", "1", "1", "Anker Ca\u200bble", "B01", "ELECTRONIC_CABLE", "ann")
    without = count.count(made_up(tmp_path / "a.csv", [*LINES, late]))
    made = count.count(made_up(tmp_path / "b.csv", [*LINES, odd, late]))
    said = "1 order lines have a character that is not seen in the first word of their title"
    assert next(line for line in made.said if "seen" in line).startswith(said)
    assert not any("seen" in line for line in without.said)


def test_purchases_are_read_and_written_as_their_paths_are_spelled(tmp_path):
    folder = tmp_path / "a[1]*?'\"\n #"
    for kind in (".csv", ".parquet"):
        (folder / kind).mkdir(parents=True)
        file = made_up(folder / kind / f"b[1]*?'{kind}")
        products = stores(folder / kind / "s[1]?.csv")
        out = count.count(file, products).write(folder / kind / "out[1]*")
        assert (out / "purchases.csv").is_file()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "Order Date,Title\n2021-01-01,Anker\n",
            "found the columns Order Date, Title; name these columns: 'Purchase Price Per Unit'",
        ),
        ("", "found nothing"),
        (None, "no such file"),
    ],
)
def test_a_file_with_other_columns_or_without_any_is_refused(tmp_path, content, said):
    file = tmp_path / "bought.csv"
    if content is not None:
        file.write_text(content)
    with pytest.raises(DataError, match=said):
        count.count(file)


def test_a_file_without_rows_is_refused_with_or_without_a_table_of_products(tmp_path):
    file = made_up(tmp_path / "bought.csv", [])
    for products in (None, stores(tmp_path / "products.csv")):
        with pytest.raises(
            DataError, match="found 0 rows, none in these months; choose another file"
        ):
            count.count(file, products)


def test_a_row_of_another_length_and_a_product_of_two_stores_are_refused(tmp_path):
    file = made_up(tmp_path / "bought.csv")
    with pytest.raises(DataError, match="one store for the product B04; found 'Mpow' and 'Sony'"):
        count.count(file, stores(tmp_path / "products.csv", [*STORES, ("B04", "Sony")]))
    file.write_text(file.read_text() + "2021-01-01,1\n")
    with pytest.raises(DataError, match=r"an unreadable one \(CSV parse error"):
        count.count(file)


def test_the_command_says_what_it_found_and_writes_only_where_nothing_is(tmp_path, capsys):
    file = made_up(tmp_path / "bought.csv")
    out = tmp_path / "out"
    out.mkdir()
    assert command_line.main(["purchases", str(file), "--out", str(out)]) == 0
    assert (
        "6 order lines by 3 people from 2018-01 to 2022-10; 1 from other months"
        in capsys.readouterr().out
    )
    before = {path: path.read_bytes() for path in out.iterdir()}
    assert sorted(path.stem for path in before) == sorted([*COMMITTED, "blanks"])
    assert command_line.main(["purchases", str(file), "--out", str(out)]) == 2
    assert "it is not an empty folder; choose a new one" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    with pytest.raises(DesignError, match="choose a new one"):
        count.count(file).write(out)


def test_committed_tables_agree_with_each_other():
    made = {name: load(f"household_{name}") for name in COMMITTED}
    by_buyers = ["month", "buyer_group"]
    summed = made["purchases"].groupby(by_buyers)["purchases"].sum()
    pd.testing.assert_series_equal(summed, made["buyers"].set_index(by_buyers)["purchases"])
    named = made["brands"].groupby("origin")["purchases"].sum()
    of_class = made["purchases"].groupby("origin_class")["purchases"].sum()
    assert (named["CN"], named["presumed CN"]) == (
        of_class["named_chinese"],
        of_class["pseudo_brand"],
    )
    counted = made["purchases"].groupby("category")["purchases"].sum()
    assert (
        made["categories"].set_index("category")["purchases"].to_dict().items()
        <= counted.to_dict().items()
    )
