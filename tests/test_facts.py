"""Files of the data package: what is refused, with which message, and what is accepted."""

import doctest
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import frictionless
import pandas as pd
import pytest

from analysis import facts
from analysis.errors import DataError
from analysis.facts import descriptor

EVENTS = "facts/events.csv"


@pytest.fixture
def data(tmp_path):
    """Return a copy of the data folder that a test may spoil."""
    return Path(shutil.copytree(facts.DATA, tmp_path / "data"))


def edit(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


def tiny(tmp_path: Path, text: str, *fields: dict, key: list[str] | None = None) -> Path:
    """Write a package of one file, whose bytes and hash are right."""
    root = tmp_path / "tiny"
    (root / "facts").mkdir(parents=True)
    content = text.encode()
    (root / "facts" / "t.csv").write_bytes(content)
    entry = {
        "name": "t",
        "path": "facts/t.csv",
        "encoding": "utf-8",
        "bytes": len(content),
        "hash": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "schema": {"fields": list(fields), "missingValues": [""], "primaryKey": key or []},
    }
    (root / "datapackage.json").write_text(json.dumps({"resources": [entry]}))
    return root


def refusal(name: str, root: Path) -> str:
    with pytest.raises(DataError) as refused:
        facts.load(name, root=root)
    return str(refused.value)


def test_frictionless_finds_the_package_valid():
    package = frictionless.Package(str(facts.DATA / "datapackage.json"))
    report = package.validate()
    assert report.valid, report.flatten(["name", "message"])
    assert len(package.resources) == len(facts.names())


def test_every_file_passes_the_check_with_its_recorded_size():
    checked = facts.check()
    assert list(checked.columns) == ["name", "file", "rows", "bytes", "vintage", "sha256"]
    assert list(checked["name"]) == facts.names()
    sizes = [(facts.DATA / path).stat().st_size for path in checked["file"]]
    assert list(checked["bytes"]) == sizes


def test_the_files_hold_as_many_rows_as_their_description_says():
    rows = facts.check().set_index("name")["rows"]
    expected = {
        "events": 105,
        "claims": 39,
        "chinese_seller_share": 69,
        "platform_shift_evidence": 87,
        "platform_quarterly": 665,
        "listed_sellers": 468,
        "seller_stock_returns": 1943,
        "market_stock_returns": 243,
        "market_car_ranks": 3998,
        "market_car_paths": 868,
        "threats": 10,
    }
    assert {name: rows[name] for name in expected} == expected


def test_values_have_the_declared_types():
    events = facts.load("events")
    assert events["seed"].dtype == bool
    assert events["seed"].sum() < len(events)
    assert events["quantity"].dtype == "float64"
    assert events["quantity"].isna().sum() == 19
    returns = facts.load("market_stock_returns")
    assert pd.api.types.is_datetime64_any_dtype(returns["date"])
    assert returns["n_stocks"].dtype == "int64"


def test_a_changed_byte_is_refused(data):
    edit(data / EVENTS, b"1135", b"1136")
    message = refusal("events", data)
    assert "1 problem" in message
    assert str(data / EVENTS) in message
    assert facts.digest("events") in message
    assert f"python -m analysis check --accept {data / EVENTS}" in message


def test_a_wrong_type_is_refused_with_row_column_and_value(data):
    edit(data / EVENTS, b",1135,", b",many,")
    message = refusal("events", data)
    assert "events.csv, row 3, column quantity: expected a number such as -1.5 or 2e-3; found 'many'" in message


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"E002,2020,", b"E002,2020-13,", "row 3, column date: expected text like"),
        (b"E002,2020,", b"E002,,", "row 3, column date: expected a value; found nothing"),
        (b",policy,", b",polizy,", "row 2, column event_type: expected one of analyst_estimate"),
        (b"E002,", b"E001,", "row 3, column event_id: expected a value that no other row has; found 'E001'"),
        (
            b"E002,",
            b"E001,",
            "row 3, column event_id: expected a key once; found 'E001', which stands in row 2 already",
        ),
    ],
)
def test_a_broken_constraint_is_refused(data, old, new, said):
    edit(data / EVENTS, old, new)
    assert said in refusal("events", data)


@pytest.mark.parametrize(("value", "said"), [(b"0.9", "expected at most 0.5"), (b"-0.9", "expected at least -0.5")])
def test_a_value_out_of_range_is_refused(data, value, said):
    edit(data / "facts/market_stock_returns.csv", b"0.015504", value)
    assert f"row 2, column market_return: {said}" in refusal("market_stock_returns", data)


def test_a_duplicate_key_of_several_columns_is_refused(data):
    path = data / "facts/market_car_ranks.csv"
    edit(path, b"first_wave_10d,2021-05-06,2021-05-19,2,", b"first_wave_10d,2021-05-06,2021-05-19,1,")
    message = refusal("market_car_ranks", data)
    assert "row 3, column window, rank: expected a key once; found ('first_wave_10d', '1'), which stands in row 2" in (
        message
    )


def test_a_column_that_is_not_declared_is_refused(data):
    edit(data / "facts/threats.csv", b"remedy,", b"remedy_new,")
    message = refusal("threats", data)
    assert "row 1: expected the columns threat_id" in message
    assert "found the unknown column 'remedy_new'" in message
    assert "found no column 'remedy'" in message


def test_columns_in_another_order_are_refused(data):
    edit(data / "facts/threats.csv", b"hits,threatens", b"threatens,hits")
    assert "put the columns back in the declared order" in refusal("threats", data)


def test_a_byte_order_mark_is_refused(data):
    path = data / EVENTS
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert "found a byte order mark; save it as UTF-8 without BOM" in refusal("events", data)


def test_text_in_a_chinese_encoding_is_refused(data):
    edit(data / EVENTS, b"Youkeshu (Tiza)", "有棵树".encode("gbk"))
    message = refusal("events", data)
    assert "events.csv, row 3: expected utf-8 text; found the byte 0xd3" in message
    assert "save it as UTF-8" in message


def test_a_ragged_row_is_refused(data):
    edit(data / "facts/threats.csv", b"Chinese origin,", b"Chinese origin,extra,")
    assert "threats.csv, row 2: expected 9 cells; found 10" in refusal("threats", data)


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_an_empty_file_is_refused(data, content):
    (data / EVENTS).write_bytes(content)
    assert "expected a header and rows; found an empty file" in refusal("events", data)


def test_a_missing_file_is_refused(data):
    (data / EVENTS).unlink()
    assert "expected a file; found No such file or directory" in refusal("events", data)


def test_a_name_that_is_not_declared_is_refused():
    assert "declared are events, claims" in refusal("event", facts.DATA)


def test_a_message_counts_the_problems_it_does_not_list(data):
    path = data / "facts/market_stock_returns.csv"
    path.write_bytes(path.read_bytes().replace(b"2021-", b"2o21-"))
    message = refusal("market_stock_returns", data)
    assert "244 problems" in message
    assert "and 224 more" in message


@pytest.mark.parametrize("value", ["not a date", "2021-02-30", "2021-2-3", "2021"])
def test_text_that_is_no_date_is_refused(tmp_path, value):
    root = tiny(tmp_path, f"day\n2021-02-03\n{value}\n", {"name": "day", "type": "date"})
    assert f"row 3, column day: expected a date YYYY-MM-DD; found '{value}'" in refusal("t", root)


def test_the_boolean_false_is_false(tmp_path):
    field = {"name": "seed", "type": "boolean", "constraints": {"required": True}}
    root = tiny(tmp_path, "seed\nfalse\ntrue\n0\n1\n", field)
    assert facts.load("t", root=root)["seed"].tolist() == [False, True, False, True]


def test_a_boolean_may_be_missing_but_not_yes(tmp_path):
    root = tiny(
        tmp_path, "id,seed\n1,false\n2,\n", {"name": "id", "type": "integer"}, {"name": "seed", "type": "boolean"}
    )
    seed = facts.load("t", root=root)["seed"]
    assert seed.dtype == "boolean"
    assert seed[0] is not pd.NA
    assert not seed[0]
    assert seed[1] is pd.NA
    (tmp_path / "other").mkdir()
    root = tiny(tmp_path / "other", "seed\nyes\n", {"name": "seed", "type": "boolean"})
    assert "expected true or false; found 'yes'" in refusal("t", root)


def test_a_nullable_integer_stays_an_integer(tmp_path):
    root = tiny(tmp_path, "id,n\na,1\nb,\nc,3\n", {"name": "id", "type": "string"}, {"name": "n", "type": "integer"})
    n = facts.load("t", root=root)["n"]
    assert n.dtype == "Int64"
    assert n[0] == 1
    assert n[1] is pd.NA


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("integer", "1.0"),
        ("integer", "1,000"),
        ("number", "NaN"),
        ("number", "1e999"),
        ("number", "1 000"),
        ("year", "21"),
    ],
)
def test_what_is_no_finite_number_is_refused(tmp_path, kind, value):
    root = tiny(tmp_path, f'n\n"{value}"\n', {"name": "n", "type": kind})
    assert f"row 2, column n: expected a {'year' if kind == 'year' else ''}" in refusal("t", root)


def test_a_cell_of_two_lines_does_not_shift_the_row_numbers(tmp_path):
    root = tiny(tmp_path, 'a,n\n"x\ny",1\nz,one\n', {"name": "a", "type": "string"}, {"name": "n", "type": "number"})
    assert "row 4, column n" in refusal("t", root)


def test_a_type_that_is_not_known_is_refused(tmp_path):
    root = tiny(tmp_path, "n\n1\n", {"name": "n", "type": "duration"})
    assert "Asked for the type 'duration'" in refusal("t", root)


def test_the_check_reports_the_problems_of_all_files_at_once(data):
    edit(data / EVENTS, b",1135,", b",many,")
    edit(data / "facts/threats.csv", b"2020-11", b"2020-14")
    (data / "facts" / "new.csv").write_text("a\n1\n")
    (data / "loose.csv").write_text("a\n1\n")
    with pytest.raises(DataError) as refused:
        facts.check(data)
    message = str(refused.value)
    assert "events.csv, row 3, column quantity" in message
    assert "threats.csv, row 2, column first_day" in message
    assert "new.csv: expected a declared file" in message
    assert "loose.csv: expected a declared file" in message


def test_an_accepted_change_loads_and_leaves_the_rest_of_the_descriptor_alone(data):
    before = (data / "datapackage.json").read_text().splitlines()
    edit(data / EVENTS, b",1135,", b",11350,")
    card = facts.accept(data / EVENTS, vintage="2027-01-31", root=data)
    after = (data / "datapackage.json").read_text().splitlines()
    changed = [new.strip().split(":")[0] for old, new in zip(before, after, strict=True) if old != new]
    assert changed == ['"bytes"', '"hash"', '"vintage"']
    assert card == facts.describe("events", data)
    assert (card.vintage, card.bytes) == ("2027-01-31", len((data / EVENTS).read_bytes()))
    assert facts.load("events", root=data)["quantity"][1] == 11350


def test_a_change_that_breaks_the_schema_is_not_accepted(data):
    before = (data / "datapackage.json").read_bytes()
    edit(data / EVENTS, b",1135,", b",many,")
    with pytest.raises(DataError, match="row 3, column quantity"):
        facts.accept("events", vintage="2027-01-31", root=data)
    assert (data / "datapackage.json").read_bytes() == before


def test_a_vintage_that_is_no_date_is_not_accepted(data):
    with pytest.raises(DataError, match="give it as YYYY-MM-DD"):
        facts.accept("events", vintage="31.1.2027", root=data)


def test_a_file_that_is_not_declared_is_not_accepted(data):
    with pytest.raises(DataError, match="declares no such file"):
        facts.accept(data / "facts/new.csv", vintage="2027-01-31", root=data)


def test_a_failed_write_leaves_the_descriptor_and_no_debris(data, monkeypatch):
    before = (data / "datapackage.json").read_bytes()
    listing = sorted(path.name for path in data.iterdir())
    edit(data / EVENTS, b",1135,", b",11350,")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        facts.accept("events", vintage="2027-01-31", root=data)
    assert (data / "datapackage.json").read_bytes() == before
    assert sorted(path.name for path in data.iterdir()) == listing


def test_a_descriptor_that_is_no_json_is_refused_with_its_line(data):
    edit(data / "datapackage.json", b'"name": "events",', b'"name" "events",')
    with pytest.raises(DataError, match=r"line \d+, column \d+ is no JSON"):
        facts.names(data)


def test_a_file_that_is_declared_twice_is_refused(data):
    edit(data / "datapackage.json", b'"name": "claims"', b'"name": "events"')
    with pytest.raises(DataError, match="declares events twice"):
        facts.names(data)


def test_a_folder_without_descriptor_is_refused(tmp_path):
    with pytest.raises(DataError, match="give the right data folder as root"):
        facts.names(tmp_path)


def test_cards_and_hashes_need_no_pandas():
    code = "import sys; from analysis import facts; facts.describe('events'); sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_card_says_what_the_file_is_and_is_not():
    card = facts.describe("events")
    assert card.sha256 == hashlib.sha256((facts.DATA / card.path).read_bytes()).hexdigest()
    assert card.description.startswith("One row is")
    assert "Not deduplicated" in card.not_this
    assert card.sources


def test_the_example_in_the_docstring_holds():
    result = doctest.testmod(facts)
    assert result.attempted > 3
    assert result.failed == 0


@pytest.mark.parametrize("name", [".DS_Store", "facts/.DS_Store", ".backup.csv"])
def test_hidden_files_are_no_undeclared_data(data, name):
    (data / name).write_bytes(b"\0")
    assert list(facts.check(data)["name"]) == facts.names(data)


def test_the_newest_file_is_the_one_of_the_latest_vintage(data):
    vintages = [descriptor.describe(name, data).vintage for name in facts.names(data)]
    assert descriptor.newest(data).vintage == max(vintages)
    threats = data / "facts" / "threats.csv"
    facts.accept(threats, vintage="2031-01-01", root=data)
    assert (descriptor.newest(data).path, descriptor.newest(data).vintage) == ("facts/threats.csv", "2031-01-01")
