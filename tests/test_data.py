"""Files of the data package: what is loaded, what is refused and with which message, and what is
accepted.
"""

import hashlib
import json
import shutil
import subprocess
import sys

import frictionless
import pytest
from fewtreated.errors import DataError
from reading import read_json

from analysis import data

EVENTS = "events/amazon_2021/events.csv"
FEW = ("events", "claims", "threats", "splices")


@pytest.fixture
def root(tmp_path):
    """Return a copy of some files of the data folder that a test may spoil."""
    package = read_json(data.DATA / "datapackage.json")
    few = [f"{data.SHIPPED}/{name}" for name in FEW]
    package["resources"] = [card for card in package["resources"] if card["name"] in few]
    root = tmp_path / "data"
    for card in package["resources"]:
        (root / card["path"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(data.DATA / card["path"], root / card["path"])
    text = json.dumps(package, indent=2, ensure_ascii=False)
    (root / "datapackage.json").write_text(f"{text}\n", encoding="utf-8")
    return root


def edit(path, old, new):
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


def tiny(tmp_path, text, *fields):
    """Write a package of one file, whose hash is right."""
    root = tmp_path / "tiny"
    root.mkdir(parents=True)
    (root / "t.csv").write_bytes(text.encode())
    entry = {
        "name": "t",
        "type": "table",
        "path": "t.csv",
        "bytes": len(text.encode()),
        "hash": f"sha256:{hashlib.sha256(text.encode()).hexdigest()}",
        "vintage": "2026-11-25",
        "schema": {"fields": list(fields), "missingValues": [""]},
    }
    (root / "datapackage.json").write_text(json.dumps({"name": "tiny", "resources": [entry]}))
    return root


def refusal(root):
    """Return why `check` refuses a folder."""
    with pytest.raises(DataError) as refused:
        data.check_files(root)
    return str(refused.value)


def test_frictionless_finds_the_package_valid():
    report = frictionless.Package(str(data.DATA / "datapackage.json")).validate()
    assert report.valid, report.flatten(["name", "message"])


@pytest.mark.slow
def test_every_file_passes_the_check_with_its_rows_and_recorded_size():
    checked = data.check_files()
    assert list(checked.columns) == ["name", "file", "rows", "bytes", "vintage", "sha256"]
    assert list(checked["bytes"]) == [(data.DATA / path).stat().st_size for path in checked["file"]]
    tables = checked[["schema" in data.card(name) for name in checked["name"]]]
    assert list(tables["rows"]) == [len(data.load(name)) for name in tables["name"]]
    assert {*checked["name"]} - {*tables["name"]} == {"benchmark", "benchmark_costs"}


def test_a_file_that_is_no_table_is_not_loaded_as_one():
    with pytest.raises(DataError, match=r"benchmark/results\.parquet: it is no table of text"):
        data.load("benchmark")


def test_every_resource_states_its_licence():
    assert [
        card["path"] for card in data.package()["resources"] if not card.get("licenseNote")
    ] == []


def test_what_may_be_missing_keeps_its_type_and_false_is_false(tmp_path):
    kinds = {"id": "string", "n": "integer", "may": "boolean", "must": "boolean"}
    fields = [{"name": name, "type": kind} for name, kind in kinds.items()]
    fields[-1]["constraints"] = {"required": True}
    frame = data.load("t", root=tiny(tmp_path, "id,n,may,must\n01,1,false,true\nNA,,,0\n", *fields))
    assert frame["id"].tolist() == ["01", "NA"]
    assert (frame["n"].dtype, frame["may"].dtype, frame["must"].dtype) == ("Int64", "boolean", bool)
    assert frame[["n", "may"]].isna().to_numpy().tolist() == [[False, False], [True, True]]
    assert not frame["may"][0]
    assert frame["must"].tolist() == [True, False]


def test_a_byte_that_was_not_accepted_is_refused_with_both_remedies(root):
    edit(root / EVENTS, b"1135", b"1136")
    with pytest.raises(DataError) as refused:
        data.load("events", root=root)
    message = str(refused.value)
    file = root / EVENTS
    assert data.card("events")["hash"] in message
    assert f"undo the change (git log -- {file} shows whether it was committed)" in message
    assert f"if it is intended, run: market-impact check --accept {file}" in message


def test_what_stands_for_the_content_of_a_file_is_refused_once_that_has_changed(root):
    assert data.verified("events", root=root) == data.verified("events")
    edit(root / EVENTS, b"1135", b"1136")
    with pytest.raises(DataError, match=r"its hash is sha256:.*, not the accepted sha256:"):
        data.verified("events", root=root)


def test_a_missing_file_and_a_name_that_is_not_declared_are_refused(root):
    (root / EVENTS).unlink()
    with pytest.raises(DataError, match="No such file or directory; restore it from git"):
        data.load("events", root=root)
    with pytest.raises(
        DataError, match=r"declares only amazon_2021/events, .*; choose or declare one"
    ):
        data.load("event", root=root)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b",1135,", b",many,", 'cell "many" in row "3" and field "quantity" .* type is "number'),
        (
            b",1135,",
            b",nan,",
            "row 3, column quantity: found NaN; numbers must be finite or missing",
        ),
        (b",1135,", b",1e999,", r"row 3, column quantity: found 1E\+999; numbers must be finite"),
        (b"E002,2020,", b"E002,2020-13,", 'cell "2020-13" .* constraint "pattern"'),
        (
            b"E002,2020,",
            b"E002,,",
            'cell "" in row at position "3" and field "date" .* constraint "required"',
        ),
        (b",policy,", b",polizy,", 'cell "polizy" .* constraint "enum" is .*analyst_estimate'),
        (
            b"E002,",
            b"E001,",
            '"3" has unique constraint violation in field "event_id" .* row at position 2',
        ),
        (b"E002,", b"E001,", '"3" violates the primary key: the same as in the row at position 2'),
        (b"actor,", b"actress,", 'Label "actress" in field actor'),
        (b"E002,2020,", b"E002,2020,extra,", 'Row at position "3" has an extra value'),
        (b"Youkeshu (Tiza)", "有棵树".encode("gbk"), "byte 0xd3"),
    ],
)
def test_a_file_that_breaks_its_schema_is_not_accepted(root, old, new, said):
    before = (root / "datapackage.json").read_bytes()
    edit(root / EVENTS, old, new)
    with pytest.raises(DataError, match=f"events.csv: .*{said}.*; (correct|save) it"):
        data.accept(root / EVENTS, vintage="2027-01-31", root=root)
    assert (root / "datapackage.json").read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_an_empty_file_is_not_accepted(root, content):
    (root / EVENTS).write_bytes(content)
    with pytest.raises(DataError, match="the source is empty"):
        data.accept(root / EVENTS, vintage="2027-01-31", root=root)


@pytest.mark.parametrize(
    ("value", "said"), [("2021-02-30", "date"), ("1.0", "integer"), ("yes", "boolean")]
)
def test_text_that_is_not_of_its_type_is_refused(tmp_path, value, said):
    assert f'type is "{said}' in refusal(
        tiny(tmp_path, f"x\n{value}\n", {"name": "x", "type": said})
    )


def test_a_type_that_load_does_not_know_is_refused(tmp_path):
    assert "its schema has columns of type duration; use one of string" in refusal(
        tiny(tmp_path, "n\nP1Y\n", {"name": "n", "type": "duration"})
    )


@pytest.mark.slow
def test_a_row_that_is_cut_short_is_one_line_and_hides_no_other_file(root):
    for name in (EVENTS, "events/amazon_2021/splices.csv"):
        (root / name).write_text((root / name).read_text() + "short,2019\n" * 30)
    message = refusal(root)
    assert "62 problems, the first 20 of which are:" in message
    for name in ("events", "splices"):
        assert f"{name}.csv: its hash is sha256:" in message


def test_the_check_reports_the_problems_of_all_files_at_once_and_those_that_nothing_declares(root):
    edit(root / EVENTS, b",1135,", b",many,")
    edit(root / "events/amazon_2021/threats.csv", b"2020-11", b"2020-14")
    for name in ("new.csv", "loose.csv", ".DS_Store", ".backup.csv"):
        ((root / EVENTS).parent / name).write_text("a\n1\n")
    message = refusal(root)
    assert 'events.csv: Type error in the cell "many"' in message
    assert 'threats.csv: The cell "2020-14"' in message
    assert "new.csv: not declared;" in message
    assert "loose.csv: not declared;" in message
    assert ".DS_Store" not in message
    assert ".backup" not in message


def test_an_accepted_change_loads_and_leaves_the_rest_of_the_descriptor_alone(root):
    before = (root / "datapackage.json").read_text().splitlines()
    edit(root / EVENTS, b",1135,", b",11350,")
    card = data.accept(root / EVENTS, vintage="2027-01-31", root=root)
    after = (root / "datapackage.json").read_text().splitlines()
    changed = [
        new.strip().split(":")[0] for old, new in zip(before, after, strict=True) if old != new
    ]
    assert changed == ['"bytes"', '"hash"', '"vintage"']
    assert card == data.card("events", root) == data.newest(root)
    assert (card["vintage"], card["bytes"]) == ("2027-01-31", len((root / EVENTS).read_bytes()))
    assert data.load("events", root=root)["quantity"][1] == 11350
    assert data.load("events")["quantity"][1] == 1135


@pytest.mark.parametrize(
    ("name", "vintage", "said"),
    [
        ("events", "31.1.2027", "write it as YYYY-MM-DD"),
        ("events/amazon_2021/new.csv", "2027-01-31", "choose or declare one"),
    ],
)
def test_no_date_and_no_declared_file_are_not_accepted(root, name, vintage, said):
    with pytest.raises(DataError, match=said):
        data.accept(name, vintage=vintage, root=root)


def test_a_card_whose_values_cannot_be_replaced_is_left_alone(root):
    vintage = f'"{data.card("events")["vintage"]}",'.encode()
    edit(root / "datapackage.json", b'"vintage": ' + vintage, b'"vintage" : ' + vintage)
    before = (root / "datapackage.json").read_bytes()
    with pytest.raises(
        DataError, match=r"its path must be followed by bytes, hash, vintage; reorder its keys"
    ):
        data.accept("events", vintage="2027-01-31", root=root)
    assert (root / "datapackage.json").read_bytes() == before


def test_a_failed_write_leaves_the_descriptor_and_no_debris(root, monkeypatch):
    before = (root / "datapackage.json").read_bytes()
    listing = sorted(root.iterdir())
    edit(root / EVENTS, b",1135,", b",11350,")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        data.accept("events", vintage="2027-01-31", root=root)
    assert (root / "datapackage.json").read_bytes() == before
    assert sorted(root.iterdir()) == listing


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'"path": "events', b'"path" "events', r"datapackage.json, line \d+: invalid JSON"),
        (b"amazon_2021/claims", b"amazon_2021/events", "declares amazon_2021/events twice"),
    ],
)
def test_a_spoiled_descriptor_is_refused(root, old, new, said):
    edit(root / "datapackage.json", old, new)
    with pytest.raises(DataError, match=said):
        data.card("events", root)


def test_cards_need_no_pandas():
    code = "import sys; from analysis import data; data.newest(); sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_address_of_a_source_is_in_the_register_of_documents():
    tables = [data.load("documents", event=event) for event in data.events()]
    known = {url for table in tables for url in table["source_url"]}
    files = [
        data.load(card["name"])
        for card in data.package()["resources"]
        if card["path"].endswith(".csv")
    ]
    cited = {url for file in files if "source_url" in file for url in file["source_url"].dropna()}
    named = {one.get("path") for card in data.package()["resources"] for one in card["sources"]} - {
        None
    }
    assert cited | named <= known
