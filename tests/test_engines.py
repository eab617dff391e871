"""Tables of databases: the engines that are tested and no others, their addresses, their names."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import duckdb
import pytest
from fewtreated.errors import DataError
from test_panel_build import built, orders, written

from runner.cli import main

INSTALLED = [shutil.which("pg_ctl"), *sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))]
BIN = Path(next(filter(None, INSTALLED), "none/pg_ctl")).parent
OURS = [  # what queries call their own tables and columns
    "units",
    "parts",
    "attributes",
    "cells",
    "parsed",
    "source",
    "numbered",
    "shops.orders",
    "a/b",
    "a//b",
    "./a",
    "a/",
    'a"b',
    "a'; --",
    "or?ers[1]*",
]


@pytest.fixture(scope="module")
def postgresql():
    """Start PostgreSQL, where it is installed."""
    pytest.importorskip("ibis")
    pytest.importorskip("psycopg")
    if not (BIN / "pg_ctl").exists():
        pytest.skip("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory() as folder:
        if os.getuid() == 0:
            owner = ["su", "postgres", "-c"]
        else:
            owner = ["sh", "-c"]
        if os.getuid() == 0:
            shutil.chown(folder, "postgres")
        control = f"{BIN}/pg_ctl -D {folder}/data"
        start = f"-w -o \"-c listen_addresses='' -k {folder}\" -l {folder}/log start"
        for command in (f"{BIN}/initdb -D {folder}/data -A trust", f"{control} {start}"):
            subprocess.run([*owner, command], check=True, capture_output=True)
        yield f"postgresql://postgres@/postgres?host={folder}"
        subprocess.run([*owner, f"{control} -m immediate stop"], check=True, capture_output=True)


@pytest.fixture(params=["duckdb", "postgresql"])
def engine(request, tmp_path):
    """Return the address of an empty database of each engine."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql")
    return f"duckdb://{tmp_path}/shop.db"


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def copy_to(engine, name, frame, **types):
    """Create a table with the rows of a frame, all text but for dates and `types`."""
    types = {"month": "date", "closed_on": "date", "sales": "numeric(18,2)"} | types
    named = ", ".join(f"{quoted(column)} {types.get(column, 'text')}" for column in frame)
    created = f"CREATE TABLE {quoted(name)} ({named})"
    text = frame.to_csv(index=False, header=False, date_format="%Y-%m-%d")
    if engine.startswith("duckdb"):
        with (
            duckdb.connect(engine.removeprefix("duckdb://")) as connection,
            tempfile.NamedTemporaryFile("w", suffix=".csv") as file,
        ):
            file.write(text)
            file.flush()
            connection.execute(created)
            connection.execute(f"COPY {quoted(name)} FROM '{file.name}' (HEADER false)")
        return
    import psycopg

    with psycopg.connect(engine, autocommit=True) as connection:
        connection.execute(f"DROP TABLE IF EXISTS {quoted(name)}")
        connection.execute(created)
        with connection.cursor().copy(f"COPY {quoted(name)} FROM STDIN (FORMAT csv)") as copied:
            copied.write(text)


def execute(engine, statement):
    """Execute a statement, and return its first row if it has any."""
    if engine.startswith("duckdb"):
        with duckdb.connect(engine.removeprefix("duckdb://")) as connection:
            return connection.execute(statement).fetchone()
    import psycopg

    with psycopg.connect(engine, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone() if cursor.description else None


def count(engine, name):
    """Return the number of a table's rows, where it is as it was."""
    return execute(engine, f"SELECT count(*) FROM {quoted(name)}")[0]


@pytest.mark.parametrize("sales", ["numeric(18,2)", "text", "double precision"])
def test_a_table_has_the_digest_of_the_file(tmp_path, capsys, engine, sales):
    frame = orders()
    written(tmp_path, frame)
    copy_to(engine, "orders", frame, sales=sales)
    panel, lines = built(tmp_path, source="orders", engine=engine, pieces=2)
    assert panel.digest == built(tmp_path, "file")[0].digest
    assert lines.loc[("rows", "read"), "count"] == len(frame)
    schema = "main" if engine.startswith("duckdb") else "public"
    assert built(tmp_path, "in", source=f"{schema}.orders", engine=engine)[0].digest == panel.digest
    assert main(["map", "orders", "--engine", engine]) == 0
    said = capsys.readouterr().out
    for line in ("month: month", "firm: firm", "sales: sales"):
        assert f"\n  {line}  # " in said
    assert "\nrows: order  # " in said


@pytest.mark.parametrize("name", OURS)
def test_a_table_of_any_name_is_read_and_stays_as_it_is(tmp_path, engine, name):
    frame = orders()
    written(tmp_path, frame)
    copy_to(engine, name, frame)
    decoy = Path(name).name
    if decoy != name:
        copy_to(engine, decoy, frame[:100])
    panel, _ = built(tmp_path, source=name, engine=engine, pieces=2)
    assert panel.digest == built(tmp_path, "file")[0].digest
    assert count(engine, name) == len(frame)


@pytest.mark.parametrize("name", ["units", "parts", "attributes", "market_impact_units"])
def test_no_other_table_of_the_database_is_touched(tmp_path, engine, name):
    frame = orders()
    written(tmp_path, frame)
    shops = frame[["firm", "brand_group", "category"]].drop_duplicates("firm")
    shops.to_parquet(tmp_path / "shops.parquet")
    with (tmp_path / "o.yml").open("a") as map_:
        map_.write("join: {file: shops.parquet, key: firm}\n")
    copy_to(engine, "orders", frame.drop(columns=["brand_group", "category"]))
    copy_to(engine, name, frame[:10])
    built(tmp_path, source="orders", engine=engine, pieces=2)
    assert count(engine, name) == 10


@pytest.mark.parametrize("also", ["_row", "_ROW", "row", "_key", "file_index", "rowid", "unit"])
def test_columns_with_our_own_names_are_columns_like_others(tmp_path, engine, also):
    frame = orders()
    expected = written(tmp_path, frame) and built(tmp_path, "file")[0].digest
    for name, changed in (
        ("orders", frame.assign(**{also: "9"})),
        ("named", frame.rename(columns={"category": also})),
    ):
        copy_to(engine, name, changed)
        columns = f"columns: {{category: {also if name == 'named' else 'category'}}}\n"
        map_ = written(tmp_path, frame)[1]
        map_.write_text(map_.read_text() + columns)
        panel, _ = built(tmp_path, name, source=name, engine=engine)
        assert panel.digest == expected


def test_one_table_is_read_at_a_time(tmp_path, capsys):
    command = ["panel", "a", "b", "--engine", "duckdb:///x.db", "--out", f"{tmp_path}/o.parquet"]
    assert main(command) == 2
    assert "Cannot read 2 tables with --engine" in capsys.readouterr().err


# Addresses


SECRET = "S3cret"
HOST = "127.0.0.1:1"  # where nobody listens
OTHERS = [
    f"postgres+x://me:{SECRET}@{HOST}/shop",
    f"http://me:{SECRET}@{HOST}/shop",
    f"mysql://me:{SECRET}@{HOST}/shop",
    f"snowflake://me:{SECRET}@{HOST}/shop",
    f"sqlite:///nowhere/{SECRET}.db",
    f"pyspark://{SECRET}",
    f"file://{SECRET}/shop",
    f"host=127.0.0.1 port=1 password={SECRET}",
    f"/nowhere/{SECRET}.db",
    SECRET,
]
ADDRESSES = [
    f"postgresql://me:{SECRET}@{HOST}/shop",
    f"postgres://me:{SECRET}@{HOST}/shop",
    f"postgresql://me:{SECRET}#x@{HOST}/shop",
    f"postgresql://me:{SECRET}@x@{HOST}/shop",
    f"postgresql://me:{SECRET}/x@{HOST}/shop",
    f"postgresql://me:{SECRET}?x@{HOST}/shop",
    f"postgresql://me:{SECRET}[x@{HOST}/shop",
    f"postgresql://me:{SECRET}%ZZ@{HOST}/shop",
    f"postgresql://me@{HOST}/shop?password={SECRET}&x=y",
    f"postgresql://me@127.0.0.1:{SECRET}/shop",
    f"postgresql://?service={SECRET}",
    f"duckdb:///nowhere/{SECRET}/shop.db",
    f"duckdb://md:{SECRET}",
    f"duckdb://me:{SECRET}@{HOST}/shop",
    "duckdb://",
]
PARTS = re.compile(rf"{SECRET}|127\.0\.0\.1|nowhere|me@|me:|/shop\b")


@pytest.mark.parametrize("address", [*OTHERS, *ADDRESSES])
@pytest.mark.parametrize("variable", [False, True])
def test_nothing_of_an_address_is_quoted(tmp_path, capsys, monkeypatch, variable, address):
    pytest.importorskip("ibis")
    monkeypatch.setenv("SHOP_DATABASE", address)
    engine = "SHOP_DATABASE" if variable else address
    written(tmp_path, orders(40))
    with pytest.raises(DataError) as refused:
        built(tmp_path, source="orders", engine=engine)
    told = "".join(traceback.format_exception(refused.value, chain=True))
    told = "\n".join(
        line for line in told.splitlines() if not line.startswith("    ")
    )  # lines of code
    assert not PARTS.search(told)
    expected = r"a .+; found (no connection|none|a refused login) \(\w+\)"
    if address in OTHERS:
        expected = r"a table of DuckDB \(duckdb:///FILE\) or PostgreSQL"
    assert re.search(f"orders: expected {expected}", told)
    assert main(["panel", "orders", "--engine", engine, "--out", f"{tmp_path}/new.parquet"]) == 2
    assert not PARTS.search("".join(capsys.readouterr()))


def test_nothing_of_an_address_is_quoted_where_a_table_cannot_be_read(tmp_path):
    folder = tmp_path / SECRET
    folder.mkdir()
    written(tmp_path, orders(40))
    engine = f"duckdb://{folder}/shop.db"
    copy_to(engine, "other", orders(40))
    with pytest.raises(
        DataError, match=r"orders: expected one of the tables other; found 'orders'; correct"
    ) as refused:
        built(tmp_path, source="orders", engine=engine)
    assert SECRET not in "".join(traceback.format_exception_only(refused.value))
    assert refused.value.__context__ is None  # which has the address


ADMITTED = "a user whom the database server admits"
SAID = {  # by drivers, of a login and a database: what is said here
    'FATAL:  password authentication failed for user "me"': ADMITTED,
    'FATAL:  role "me" does not exist': ADMITTED,
    'FATAL:  database "shop" does not exist': "a database that the server has",
    "failed to resolve host 'nowhere'": "a database server that answers",
    "connection timeout expired": "a database server that answers",
    "an error without a known word": "a table in a database that can be reached",
}


@pytest.mark.parametrize("said", SAID)
def test_a_refused_login_a_database_and_a_server_have_a_sentence_each(tmp_path, monkeypatch, said):
    pytest.importorskip("ibis")
    psycopg = pytest.importorskip("psycopg")

    def connect(*_, **__):
        raise psycopg.OperationalError(said)

    monkeypatch.setattr(psycopg, "connect", connect)
    written(tmp_path, orders(40))
    with pytest.raises(
        DataError, match=f"^orders: expected {SAID[said]}; found .*OperationalError"
    ):
        built(tmp_path, source="orders", engine=ADDRESSES[0])


def test_a_server_where_nobody_listens_is_said_to_be_dead(tmp_path):
    pytest.importorskip("psycopg")
    written(tmp_path, orders(40))
    found = r"expected a database server that answers; found none \(OperationalError\); start it"
    with pytest.raises(DataError, match=found):
        built(tmp_path, source="orders", engine=ADDRESSES[0])


WRONG = {
    "eu.sales": "expected one of the tables orders, rates; found 'sales'; correct the name",
    "us.orders": "expected one of the schemas .*eu, .*; found 'us'; name the table as SCHEMA.TABLE",
    "prices": "expected one of the tables .+; found 'prices'; correct the name, and write",
    "eu.rates": r"expected a table that the user .* may read; found .* \(\w+\); ask for",
}


@pytest.mark.parametrize("table", WRONG)
def test_a_wrong_table_and_a_wrong_schema_have_a_sentence_each(tmp_path, engine, table):
    frame = orders(40)
    written(tmp_path, frame)
    copy_to(engine, "orders2", frame)
    for statement in (
        "DROP SCHEMA IF EXISTS eu CASCADE",
        "CREATE SCHEMA eu",
        "CREATE TABLE eu.orders (firm text)",
        "CREATE TABLE IF NOT EXISTS gone (firm text)",
        "CREATE VIEW eu.rates AS SELECT * FROM gone",
    ):
        execute(engine, statement)
    of = engine
    if engine.startswith("duckdb"):
        execute(engine, "DROP TABLE gone")  # so that the view cannot be read
    else:
        execute(engine, "DROP ROLE IF EXISTS reader")
        execute(engine, "CREATE ROLE reader LOGIN")
        of = engine.replace("postgres@", "reader@")
    with pytest.raises(DataError, match=f"^{table}: {WRONG[table]}") as refused:
        built(tmp_path, source=table, engine=of)
    assert refused.value.__context__ is None  # which has the address


FAULTS = {
    "&options=-csearch_path%3Dshop": "found another one in --engine",
    "nobody@": "a user whom the database server admits",
    "/nothing?": "a database that the server has",
}


@pytest.mark.parametrize("wrong", FAULTS)
def test_what_is_wrong_in_an_address_has_a_sentence(tmp_path, postgresql, wrong):
    written(tmp_path, orders(40))
    engine = f"{postgresql}{wrong}"
    if wrong == "nobody@":
        engine = postgresql.replace("postgres@", wrong)
    elif wrong == "/nothing?":
        engine = postgresql.replace("/postgres?", wrong)
    with pytest.raises(DataError, match=f"^orders: .*{FAULTS[wrong]}"):
        built(tmp_path, source="orders", engine=engine)


def test_an_address_is_neither_in_the_list_of_processes_nor_in_the_panel(tmp_path, engine):
    frame = orders(400)
    path, map_ = written(tmp_path, frame)
    del path
    copy_to(engine, "orders", frame)
    out = tmp_path / "out.parquet"
    command = [sys.executable, "-m", "runner", "panel", "orders", "--engine", "SHOP_DATABASE"]
    command += ["--map", str(map_), "--out", str(out)]
    ran = subprocess.run(
        command, env=os.environ | {"SHOP_DATABASE": engine}, capture_output=True, check=True
    )
    place = engine.partition("://")[2].encode()
    assert place not in b"".join([*map(str.encode, command), ran.stdout, ran.stderr])
    assert place not in out.read_bytes()


def test_an_address_may_stand_in_a_service_file(tmp_path, postgresql, monkeypatch):
    host = postgresql.partition("host=")[2]
    service = tmp_path / "service.conf"
    service.write_text(f"[shop]\nhost={host}\nuser=postgres\ndbname=postgres\n")
    monkeypatch.setenv("PGSERVICEFILE", str(service))
    frame = orders(400)
    written(tmp_path, frame)
    copy_to(postgresql, "orders", frame)
    panel, _ = built(tmp_path, source="orders", engine="postgresql://?service=shop")
    assert panel.digest == built(tmp_path, "file")[0].digest
